"""The same weights, batches and settings as scikit-learn's MLP give the same numbers."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import scale

from skdeep import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = load_iris(return_X_y=True)
X_iris = scale(X_iris)
X_diabetes, y_diabetes = load_diabetes(return_X_y=True)
X_diabetes, y_diabetes = X_diabetes[:150] * 20, scale(y_diabetes[:150])

DATA = {
    "multiclass": (MLPClassifier, TheirClassifier, X_iris, y_iris),
    "binary": (MLPClassifier, TheirClassifier, X_iris, y_iris == 1),
    "multilabel": (MLPClassifier, TheirClassifier, X_iris, np.eye(3, dtype=int)[y_iris][:, :2]),
    "regression": (MLPRegressor, TheirRegressor, X_diabetes, y_diabetes),
}

SETTINGS = {
    "sgd": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive"},
    "adam": {"solver": "adam"},
    "adam betas": {"solver": "adam", "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-4},
    "alpha": {"solver": "adam", "alpha": 0.5},
    "logistic": {"solver": "adam", "activation": "logistic"},
    "tanh": {"solver": "sgd", "activation": "tanh"},
    "identity": {"solver": "sgd", "activation": "identity", "learning_rate_init": 0.001},
}


def from_the_same_weights(data, **settings):
    """Return our model and theirs, trained for 20 epochs from one random point."""
    Ours, Theirs, X, y = DATA[data]
    common = {
        "hidden_layer_sizes": (8, 5),
        "shuffle": False,
        "batch_size": 40,
        "learning_rate_init": 0.01,
        "random_state": 0,
        "warm_start": True,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        **settings,
    }
    ours, theirs = (
        E(**{**common, "max_iter": 1, "learning_rate_init": 1e-12}).fit(X, y)
        for E in (Ours, Theirs)
    )
    rng = np.random.default_rng(0)
    for i in range(3):
        W, b = (0.5 * rng.normal(size=a[i].shape) for a in (ours.coefs_, ours.intercepts_))
        for model in (ours, theirs):
            model.coefs_[i][...] = W
            model.intercepts_[i][...] = b
    rate = common["learning_rate_init"]
    for model in (ours, theirs):
        model.set_params(max_iter=20, learning_rate_init=rate).fit(X, y)
    return ours, theirs, X


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("data", DATA)
def test_loss_curves_agree(data, settings):
    ours, theirs, X = from_the_same_weights(data, **settings)
    np.testing.assert_allclose(ours.loss_curve_[1:], theirs.loss_curve_[1:], rtol=1e-10)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(X).shape, theirs.predict(X).shape)
    predict = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    np.testing.assert_allclose(
        getattr(ours, predict)(X), getattr(theirs, predict)(X), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("data", ["multiclass", "binary", "regression"])
def test_float32_stays_close(data):
    Ours, _, X, y = DATA[data]
    settings = {"max_iter": 30, "random_state": 0, "shuffle": False}
    single, double = (Ours(dtype=d, **settings).fit(X, y) for d in ("float32", "float64"))
    np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-4)
    assert {c.dtype for c in single.coefs_} == {np.dtype("float32")}


def test_adaptive_rate_goes_down_as_theirs():
    """They wait one epoch more before each division, so ours may only be earlier by those."""
    settings = {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.5,
        "n_iter_no_change": 2,
        "max_iter": 200,
    }
    ours = MLPClassifier(**settings, random_state=0).fit(X_iris, y_iris)
    rates = ours.history_["learning_rate"]
    assert sorted(set(rates), reverse=True) == pytest.approx(
        [0.001, 0.0002, 0.00004, 0.000008, 0.0000016, 0.00000032]
    )
    assert ours.n_iter_ < 200
