"""Models to and from scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn import neural_network

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, from_sklearn, load, save, to_sklearn
from skdeep.layers import Dense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((150, 6))
TARGETS = {
    "binary": X[:, 0] > 0,
    "multiclass": rng.integers(0, 3, 150),
    "text": np.array(["a", "b", "c"])[rng.integers(0, 3, 150)],
    "multilabel": (X[:, :3] > 0).astype(int),
    "regression": X[:, 0] - X[:, 1],
    "two outputs": X[:, :2],
    "poisson": np.abs(X[:, 0]),
}
# Older versions of scikit-learn do not stop early where labels are text.
NUMBERS = [kind for kind in TARGETS if kind != "text"]


def theirs(kind, **options):
    is_classifier = kind in ("binary", "multiclass", "text", "multilabel")
    Estimator = neural_network.MLPClassifier if is_classifier else neural_network.MLPRegressor
    if kind == "poisson":
        options["loss"] = "poisson"
    options = {"hidden_layer_sizes": (7, 5), "max_iter": 15, "random_state": 0, **options}
    return Estimator(**options).fit(X, TARGETS[kind])


def prediction(model, data=X):
    return model.predict_proba(data) if hasattr(model, "predict_proba") else model.predict(data)


# Any two of a kind of target, a solver and an activation go together in some row.
ROWS = [
    (kind, ("adam", "sgd", "lbfgs")[(i + j) % 3], activation)
    for i, kind in enumerate(TARGETS)
    for j, activation in enumerate(("identity", "logistic", "tanh", "relu"))
]


@pytest.mark.parametrize(("kind", "solver", "activation"), ROWS)
def test_there_and_back(kind, solver, activation, tmp_path):
    original = theirs(kind, solver=solver, activation=activation)
    ours = from_sklearn(original)
    save(ours, tmp_path / "model")
    for model in (ours, load(tmp_path / "model"), to_sklearn(ours)):
        np.testing.assert_allclose(prediction(model), prediction(original), rtol=0, atol=1e-12)
        if hasattr(original, "classes_"):
            np.testing.assert_array_equal(model.predict(X), original.predict(X))
            np.testing.assert_array_equal(model.classes_, original.classes_)
        assert model.score(X, TARGETS[kind]) == original.score(X, TARGETS[kind])
        for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
            assert getattr(model, name) == getattr(original, name), name
        assert model.loss_ == pytest.approx(original.loss_)
    common = original.get_params()
    assert to_sklearn(ours).get_params() == common


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_was_recorded(kind, early_stopping):
    original = theirs(kind, early_stopping=early_stopping)
    ours = from_sklearn(original)
    for model in (ours, to_sklearn(ours)):
        assert model.loss_curve_ == pytest.approx(original.loss_curve_)
        assert model.best_loss_ == original.best_loss_
        assert model.best_validation_score_ == original.best_validation_score_
        assert model.validation_scores_ == original.validation_scores_
    assert set(map(len, ours.history_.values())) == {len(original.loss_curve_)}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_goes_on_from_there(kind, early_stopping):
    ours = from_sklearn(theirs(kind, early_stopping=early_stopping, n_iter_no_change=99))
    back = to_sklearn(ours)
    for model in (ours, back):
        before = model.loss_
        model.set_params(warm_start=True, max_iter=30).fit(X, TARGETS[kind])
        if not early_stopping:
            assert model.loss_ < before
            model.partial_fit(X, TARGETS[kind])


def test_a_model_of_ours_becomes_theirs():
    for kind, y in TARGETS.items():
        is_classifier = hasattr(theirs(kind), "classes_")
        Estimator = MLPClassifier if is_classifier else MLPRegressor
        options = {"loss": "poisson"} if kind == "poisson" else {}
        ours = Estimator((4,), "tanh", max_iter=5, random_state=0, **options).fit(X, y)
        np.testing.assert_allclose(prediction(to_sklearn(ours)), prediction(ours), atol=1e-12)
    linear = MLPRegressor((), max_iter=5).fit(X, TARGETS["regression"])
    np.testing.assert_allclose(to_sklearn(linear).predict(X), linear.predict(X), atol=1e-12)


def test_float32_stays_so():
    original = neural_network.MLPClassifier(max_iter=5).fit(X.astype("float32"), TARGETS["binary"])
    ours = from_sklearn(original)
    assert ours.network_.dtype == np.float32
    data = X.astype("float32")
    np.testing.assert_allclose(prediction(ours, data), prediction(original, data), atol=1e-6)


def test_names_of_columns_come_along():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    original = neural_network.MLPRegressor(max_iter=5).fit(frame, TARGETS["regression"])
    ours = from_sklearn(original)
    np.testing.assert_allclose(ours.predict(frame), original.predict(frame), atol=1e-12)
    assert to_sklearn(ours).feature_names_in_.tolist() == list("abcdef")


def test_the_original_is_left_as_it_is():
    original = theirs("binary")
    weights = [W.copy() for W in original.coefs_]
    ours = from_sklearn(original).set_params(warm_start=True).fit(X, TARGETS["binary"])
    back = to_sklearn(ours)
    back.coefs_[0][...] = 0
    assert (ours.coefs_[0] != 0).any()
    for one, other in zip(original.coefs_, weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rates_that_scikit_learns_adam_ignores_stay_ignored():
    original = theirs("binary", learning_rate="invscaling")
    assert from_sklearn(original).learning_rate == "constant"
    assert from_sklearn(theirs("binary", solver="sgd", learning_rate="adaptive")).learning_rate == (
        "adaptive"
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch_norm": "before"}, r"no BatchNorm\(\)"),
        ({"activation": "elu"}, r"no Dense\(activation='elu'"),
        ({"activation": ["relu", "tanh"]}, r"no hidden layers of several activations \(relu, tanh"),
        ({"layers": [Dense(4, bias=False)]}, r"no Dense\(bias=False, units=4"),
        ({"dropout": 0.2}, "no dropout=0.2"),
        ({"solver": "nadam"}, "no solver='nadam'"),
        ({"learning_rate": "cosine"}, "no learning_rate='cosine'"),
        ({"clip_norm": 1.0, "l1_ratio": 0.5}, "no l1_ratio=0.5, no clip_norm=1.0"),
        ({"loss": "focal"}, "no loss='focal'"),
        ({"class_weight": "balanced"}, "no class_weight='balanced'"),
        ({"kernel_constraint": "max_norm"}, "no kernel_constraint='max_norm'"),
        ({"warm_start": "transfer"}, "no warm_start='transfer'"),
    ],
    ids=str,
)
def test_what_scikit_learn_lacks_is_named(options, named):
    sizes = {} if "layers" in options else {"hidden_layer_sizes": (4, 3)}
    model = MLPClassifier(**sizes, max_iter=2, **options).fit(X, TARGETS["binary"])
    with pytest.raises(ValueError, match=f"scikit-learn's MLP has .*{named}"):
        to_sklearn(model)


@pytest.mark.parametrize(
    ("convert", "given", "error", "words"),
    [
        (from_sklearn, MLPClassifier(), TypeError, "give a fitted MLPClassifier or MLPRegressor"),
        (from_sklearn, None, TypeError, "from_sklearn: None is not allowed"),
        (from_sklearn, neural_network.MLPClassifier(), ValueError, "not fitted"),
        (to_sklearn, neural_network.MLPClassifier(), TypeError, "of skdeep"),
        (to_sklearn, MLPAutoencoder(), TypeError, "MLPAutoencoder is not allowed"),
        (to_sklearn, MLPClassifier(), ValueError, "not fitted"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_what_is_not_allowed(convert, given, error, words):
    with pytest.raises(error, match=words):
        convert(given)
