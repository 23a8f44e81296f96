"""sample_weight and class_weight."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.metrics import accuracy_score

from skdeep import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X_reg, y_reg = load_diabetes(return_X_y=True)
WEIGHT = np.random.default_rng(0).integers(1, 4, 150)

# One batch and no order of rows.
FULL_BATCH = {"batch_size": 10_000, "shuffle": False, "max_iter": 20}
DATA = [
    (MLPClassifier, {}, X, y),
    (MLPClassifier, {}, X, y == 1),
    (MLPClassifier, {"loss": "focal"}, X, y),
    (MLPClassifier, {"loss": "hinge"}, X, y),
    (MLPClassifier, {"loss": "squared_error"}, X, np.c_[y == 1, y == 2].astype(int)),
    (MLPRegressor, {}, X_reg[:150], y_reg[:150] / 100),
    (MLPRegressor, {"loss": "huber"}, X_reg[:150], np.c_[y_reg[:150], y_reg[1:151]] / 100),
    (MLPRegressor, {"loss": "poisson", "solver": "sgd"}, X_reg[:150], y_reg[:150] / 100),
]


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize("alpha", [0.0, 10.0])
@pytest.mark.parametrize(("Estimator", "settings", "X", "y"), DATA)
def test_integer_weight_acts_as_repetition(Estimator, settings, X, y, alpha):
    model = Estimator((5,), random_state=0, alpha=alpha, l1_ratio=0.5, **FULL_BATCH, **settings)
    weighted = model.fit(X, y, sample_weight=WEIGHT).network_.parameters.values
    curve = model.loss_curve_
    rows = np.repeat(np.arange(150), WEIGHT)
    repeated = model.fit(X[rows], y[rows]).network_.parameters.values
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(curve, model.loss_curve_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize(("Estimator", "settings", "X", "y"), DATA)
def test_weight_zero_acts_as_removal(Estimator, settings, X, y):
    weight = np.where(np.arange(150) % 10 == 0, 0.0, WEIGHT)
    model = Estimator((5,), random_state=0, alpha=10.0, **FULL_BATCH, **settings)
    weighted = model.fit(X, y, sample_weight=weight).network_.parameters.values
    kept = weight > 0
    removed = model.fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(weighted, removed.network_.parameters.values, rtol=1e-6, atol=1e-9)


def test_weights_have_mean_one_over_the_training_set():
    model = MLPClassifier((), alpha=0.0, batch_size=150, max_iter=1, random_state=0, shuffle=False)
    start = model.set_params(learning_rate_init=1e-300).fit(X, y, sample_weight=WEIGHT)
    losses = -np.log(start.predict_proba(X)[np.arange(150), y])
    assert start.loss_ == pytest.approx(np.average(losses, weights=WEIGHT))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", [0.1, 1.0, 7])
def test_a_constant_weight_changes_nothing_but_the_penalty(solver, weight):
    model = MLPClassifier((5,), solver=solver, alpha=weight, max_iter=5, random_state=0)
    weighted = model.fit(X, y, sample_weight=np.full(150, weight)).predict_proba(X)
    plain = model.set_params(alpha=1.0).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(weighted, plain, rtol=1e-9)


def test_class_weight_is_a_sample_weight_of_mean_1():
    weights = {0: 1.0, 1: 5.0, 2: 0.5}
    sample_weight = np.vectorize(weights.get)(y)
    settings = {"max_iter": 10, "alpha": 10.0, "random_state": 0}
    one = MLPClassifier(class_weight=weights, **settings).fit(X, y)
    other = MLPClassifier(**settings).fit(X, y, sample_weight / sample_weight.mean())
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-12)


def test_integer_weight_acts_as_repetition_beside_class_weight():
    settings = {"class_weight": {0: 1.0, 1: 5.0, 2: 0.5}, "alpha": 10.0, "random_state": 0}
    model = MLPClassifier((5,), solver="lbfgs", max_iter=20, **settings)
    weighted = model.fit(X, y, sample_weight=WEIGHT).predict_proba(X)
    rows = np.repeat(np.arange(150), WEIGHT)
    np.testing.assert_allclose(model.fit(X[rows], y[rows]).predict_proba(X), weighted, rtol=1e-6)


def test_weights_that_add_up_to_1_make_the_penalty_stronger():
    """As in scikit-learn: they say that there is one row in all."""
    settings = {"solver": "lbfgs", "max_iter": 50, "random_state": 0}
    model = MLPClassifier((5,), alpha=0.01, **settings).fit(X, y, np.full(150, 1 / 150))
    plain = MLPClassifier((5,), alpha=1.5, **settings).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-4)


def test_balanced_weights_lift_the_rare_class():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] + rng.normal(size=400) > 2).astype(int)
    settings = {"max_iter": 100, "learning_rate_init": 0.01, "random_state": 0}
    plain = MLPClassifier((), **settings).fit(X, y).predict(X).mean()
    balanced = MLPClassifier((), class_weight="balanced", **settings).fit(X, y).predict(X).mean()
    assert balanced > 2 * plain


def test_class_weight_of_multilabel_targets():
    X, Y = make_multilabel_classification(60, 4, n_classes=2, random_state=0)
    weights = [{0: 1, 1: 9}, {0: 1, 1: 1}]
    models = [
        MLPClassifier(class_weight=w, max_iter=3, random_state=0).fit(X, Y) for w in (None, weights)
    ]
    assert not np.array_equal(models[0].coefs_[0], models[1].coefs_[0])


def test_weights_count_in_validation():
    """The validation score and loss are weighted, too."""
    weight = np.where(y == 2, 10.0, 1.0)
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    model.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    expected = accuracy_score(y, model.predict(X), sample_weight=weight)
    assert model.validation_scores_[-1] == expected != model.score(X, y)
    losses = -np.log(model.predict_proba(X)[np.arange(150), y])
    assert model.history_["val_loss"][-1] == pytest.approx(np.average(losses, weights=weight))
