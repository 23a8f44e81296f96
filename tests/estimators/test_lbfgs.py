"""solver="lbfgs"."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from skdeep import MLPClassifier, MLPRegressor

X, y = load_iris(return_X_y=True)
X_reg, y_reg = load_diabetes(return_X_y=True)


def test_linear_models_reach_scikit_learns_minimum():
    """alpha / n * W^2 / 2 is their 1 / (C n) penalty."""
    ours = MLPClassifier((), solver="lbfgs", alpha=0.5, tol=1e-8, random_state=0).fit(X, y)
    theirs = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
    target = y_reg / 100
    ours = MLPRegressor((), solver="lbfgs", alpha=0.5, tol=1e-8, random_state=0)
    ours.fit(X_reg, target)
    theirs = Ridge(alpha=0.5).fit(X_reg, target)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, atol=1e-2)


def test_loss_curve_goes_down_and_ends_at_the_loss():
    model = MLPClassifier((5,), solver="lbfgs", max_iter=500, random_state=1).fit(X, y)
    curve = model.loss_curve_
    assert curve == sorted(curve, reverse=True)
    assert len(curve) == model.n_iter_
    losses = -np.log(model.predict_proba(X)[np.arange(150), y]).mean()
    penalty = 1e-4 / 2 / 150 * sum((W**2).sum() for W in model.coefs_)
    assert curve[-1] == pytest.approx(losses + penalty)
    assert model.optimizer_ is None
    assert not hasattr(model, "partial_fit")


@pytest.mark.parametrize("limit", [{"max_iter": 3}, {"max_fun": 4}])
def test_running_into_a_limit_is_a_warning(limit):
    model = MLPClassifier((5,), solver="lbfgs", random_state=0, **limit)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        model.fit(X, y)


IGNORED = [
    {"dropout": 0.1},
    {"dropout": [0.1]},
    {"dropout": np.array([0.1])},
    {"input_noise": 0.1},
    {"gradient_noise": 0.1},
    {"clip_norm": 1.0},
    {"clip_value": 1.0},
    {"learning_rate": "cosine"},
    {"weight_decay": 0.1},
    {"kernel_constraint": "max_norm"},
]


@pytest.mark.parametrize("settings", IGNORED, ids=str)
def test_what_it_cannot_honour_is_named(settings):
    ((name, value),) = settings.items()
    common = {"activation": "tanh", "solver": "lbfgs", "max_iter": 500, "random_state": 1}
    plain = MLPClassifier((5,), **common).fit(X, y)
    model = MLPClassifier((5,), **common, **settings)
    with pytest.warns(UserWarning, match=re.escape(f"can't honour {name}={value!r}:")):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_label_smoothing_is_honoured():
    plain, smooth = (
        MLPClassifier((), solver="lbfgs", label_smoothing=s, random_state=0).fit(X, y)
        for s in (0.0, 0.3)
    )
    assert smooth.predict_proba(X).max() < 0.95 < plain.predict_proba(X).max()


def test_divergence_gives_advice_that_fits():
    with pytest.raises(ValueError, match=r"\(standardize_y=True\)\.$"):
        MLPRegressor(solver="lbfgs").fit(1e300 * X, y)


def test_early_stopping_restores_the_best_iteration():
    scores = iter([0.1, 0.5, 0.2, 0.3, 0.4, 0.4])
    model = MLPClassifier(
        (5,),
        solver="lbfgs",
        early_stopping=True,
        n_iter_no_change=2,
        scoring=lambda *_: next(scores),
        random_state=0,
    ).fit(X, y)
    assert (model.n_iter_, model.best_iter_) == (5, 2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{"batch_norm_input": True}, {"batch_norm": "before"}])
def test_batch_norm_ends_with_the_statistics_of_all_rows(settings):
    """What was minimized is then what is predicted with."""
    model = MLPClassifier((5,), solver="lbfgs", alpha=0.0, max_iter=20, random_state=0, **settings)
    model.fit(X, y)
    losses = -np.log(model.predict_proba(X)[np.arange(150), y]).mean()
    assert model.loss_ == pytest.approx(losses, rel=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{}, {"batch_norm_input": True}])
def test_sparse_is_dense(settings):
    model = MLPClassifier((5,), solver="lbfgs", max_iter=20, random_state=0, **settings)
    dense = model.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(model.fit(sp.csr_array(X), y).predict_proba(X), dense, rtol=1e-6)


@pytest.mark.parametrize("nothing", [0, [0.0], (0,), np.zeros(1)])
def test_an_option_that_is_zero_is_not_missed(nothing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier((5,), solver="lbfgs", max_iter=3, dropout=nothing).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_that_needs_no_iteration_has_an_epoch_all_the_same():
    X = np.random.default_rng(0).standard_normal((30, 2))
    options = {"solver": "lbfgs", "tol": 1.0, "random_state": 0, "max_iter": 50}
    model = MLPRegressor((3,), warm_start=True, **options).fit(X, X[:, 0])
    n_epochs = len(model.loss_curve_)
    model.fit(X, X[:, 0])
    assert model.n_iter_ == 1
    assert len(model.loss_curve_) == n_epochs + 1
