"""Networks learn: real data, and the lecture's examples of what helps."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification, make_friedman1, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPClassifier, MLPRegressor
from skdeep.constraints import MaxNorm
from skdeep.initializers import Normal
from skdeep.optimizers import OPTIMIZERS
from skdeep.schedules import Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0, stratify=y)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_defaults_on_digits(digits, seed):
    X_train, X_test, y_train, y_test = digits
    model = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    assert model.fit(X_train, y_train).score(X_test, y_test) >= 0.97


def test_ten_tanh_layers_need_their_initializer(digits):
    X_train, X_test, y_train, y_test = digits

    def score(initializer):
        model = MLPClassifier(
            (32,) * 10, activation="tanh", initializer=initializer, max_iter=40, random_state=0
        )
        return model.fit(X_train / 16, y_train).score(X_test / 16, y_test)

    assert score(Normal(std=1.0)) < 0.6
    assert score("glorot_uniform") > 0.9


def test_unscaled_targets_with_and_without_clipping():
    X, y = make_friedman1(300, random_state=0)
    X, y = scale(X), 1e4 * y / y.std()
    settings = {"solver": "sgd", "learning_rate_init": 0.1, "max_iter": 300, "random_state": 0}
    with pytest.raises(ValueError, match="set clip_norm=1"):
        MLPRegressor(**settings).fit(X, y)
    model = MLPRegressor(**settings, clip_norm=1.0, batch_size=32).fit(X, y)
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize("schedule", ["cosine", "linear", Warmup("one_cycle"), "constant"])
def test_reaching_the_planned_end_is_no_failure_to_converge(schedule):
    X, y = make_moons(50, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPClassifier((5,), learning_rate=schedule, max_iter=3, random_state=0).fit(X, y)
    expected = [ConvergenceWarning] if schedule == "constant" else []
    assert [warning.category for warning in caught] == expected


RATES = {"adadelta": 10.0, "adagrad": 0.1, "lion": 0.003, "sgd": 0.1}


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_every_solver_learns(solver):
    X, y = make_moons(300, noise=0.1, random_state=0)
    model = MLPClassifier(
        (32, 32), solver=solver, learning_rate_init=RATES.get(solver, 0.01), random_state=0
    )
    assert model.fit(X, y).score(X, y) > 0.98


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "hinge", "squared_hinge", "focal"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_every_loss_of_the_classifier_learns(digits, loss, kind):
    X_train, X_test, y_train, y_test = digits
    transform = {
        "binary": lambda y: y > 4,
        "multiclass": lambda y: y,
        "multilabel": lambda y: np.c_[y > 4, y % 2].astype(int),
    }[kind]
    model = MLPClassifier((50,), loss=loss, learning_rate_init=0.005, max_iter=30, random_state=0)
    model.fit(X_train / 16, transform(y_train))
    assert model.score(X_test / 16, transform(y_test)) > 0.9


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantile_loss_finds_the_quantile(quantile):
    from skdeep.losses import QuantileLoss

    rng = np.random.default_rng(0)
    X = rng.random((2000, 1))
    y = X[:, 0] * 3 + rng.exponential(size=2000)
    model = MLPRegressor(
        (16,), loss=QuantileLoss(quantile), learning_rate_init=0.01, max_iter=100, random_state=0
    ).fit(X, y)
    assert np.mean(y <= model.predict(X)) == pytest.approx(quantile, abs=0.03)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_batch_norm_predicts_with_what_it_has_seen(digits, batch_norm):
    X_train, X_test, y_train, y_test = digits
    settings = {"batch_norm": batch_norm, "batch_norm_input": True, "random_state": 0}
    for solver in ("adam", "lbfgs"):
        model = MLPClassifier((40, 40), solver=solver, max_iter=40, **settings)
        assert model.fit(X_train, y_train).score(X_test, y_test) > 0.93


REGULARIZATION = [
    {"dropout": 0.5},
    {"kernel_regularizer": "l2"},
    {"kernel_constraint": MaxNorm(0.5)},
    {"input_noise": 0.5},
    {"label_smoothing": 0.3},
    {"weight_decay": 10.0},
    {"early_stopping": True, "scoring": "loss"},
]


@pytest.fixture(scope="module")
def loss_on_noisy_labels():
    X, y = make_classification(400, 20, n_informative=5, flip_y=0.4, random_state=0)

    def validation_loss(**settings):
        model = MLPClassifier((100,), learning_rate_init=0.01, random_state=0, **settings)
        model.set_params(max_iter=60, batch_size=32)
        model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
        return log_loss(y[200:], model.predict_proba(X[200:]))

    return validation_loss


@pytest.fixture(scope="module")
def loss_without_regularization(loss_on_noisy_labels):
    return loss_on_noisy_labels()


@pytest.mark.parametrize("settings", REGULARIZATION, ids=str)
def test_regularization_helps_with_noisy_labels(
    settings, loss_on_noisy_labels, loss_without_regularization
):
    assert loss_on_noisy_labels(**settings) < 0.8 * loss_without_regularization
