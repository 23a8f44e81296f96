"""Targets that are standardized within MLPRegressor."""

import pickle

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import check_estimator

import skdeep
from skdeep import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_diabetes(return_X_y=True)
X = scale(X)
Y = np.c_[1000 * y, y / 1000 - 5]
SETTINGS = {"hidden_layer_sizes": (8,), "max_iter": 15, "random_state": 0}


def standardized(y):
    return (y - y.mean(axis=0)) / y.std(axis=0)


@pytest.mark.parametrize("targets", [y, Y], ids=["one", "two"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_is_training_on_standardized_targets(targets, solver):
    model = MLPRegressor(standardize_y=True, solver=solver, **SETTINGS).fit(X, targets)
    plain = MLPRegressor(solver=solver, **SETTINGS).fit(X, standardized(targets))
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-6)
    expected = plain.predict(X) * targets.std(axis=0) + targets.mean(axis=0)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
    assert model.score(X, targets) == pytest.approx(r2_score(targets, model.predict(X)))
    np.testing.assert_allclose(model.y_mean_, np.atleast_1d(targets.mean(axis=0)))
    np.testing.assert_allclose(model.y_scale_, np.atleast_1d(targets.std(axis=0)))
    assert plain.y_mean_ is plain.y_scale_ is None


def test_targets_of_any_size_are_learned():
    X, y = make_friedman1(600, noise=1.0, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(scale(X), y, random_state=0)
    for factor, shift in [(1e-6, 0), (1e6, 0), (1, 1e6)]:
        model = MLPRegressor(standardize_y=True, random_state=0)
        model.fit(X_train, factor * y_train + shift)
        assert model.score(X_test, factor * y_test + shift) > 0.8


def test_validation_data_are_in_the_units_of_y():
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)
    seen = []

    def scoring(estimator, X, y):
        seen.append((y.mean(), estimator.predict(X).mean()))
        return -mean_absolute_error(y, estimator.predict(X))

    model = MLPRegressor(standardize_y=True, early_stopping=True, **SETTINGS)
    model.set_params(scoring=scoring).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert seen[0][0] == pytest.approx(y_val.mean())
    assert seen[-1][1] == pytest.approx(y_val.mean(), rel=0.3)
    kept = model.history_["val_score"][model.best_iter_ - 1]
    assert kept == -mean_absolute_error(y_val, model.predict(X_val))
    # the losses are those of standardized targets
    errors = (model.predict(X_val) - y_val) / model.y_scale_
    assert model.history_["val_loss"][model.best_iter_ - 1] == pytest.approx((errors**2).mean() / 2)


def test_a_validation_score_by_name():
    model = MLPRegressor(standardize_y=True, early_stopping=True, scoring="r2", **SETTINGS)
    assert model.fit(X, y).best_validation_score_ > -1


def test_does_what_a_transformed_target_regressor_does():
    inner = MLPRegressor(**SETTINGS)
    wrapped = TransformedTargetRegressor(inner, transformer=StandardScaler()).fit(X, y)
    model = MLPRegressor(standardize_y=True, **SETTINGS).fit(X, y)
    np.testing.assert_allclose(model.predict(X), wrapped.predict(X), rtol=1e-6)


def test_weights_count_as_repetition():
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    model = MLPRegressor(standardize_y=True, solver="lbfgs", **SETTINGS)
    weighted = model.fit(X, Y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(model.fit(X[rows], Y[rows]).predict(X), weighted, rtol=1e-5)


def test_partial_fit_and_warm_starts_keep_the_first_scale():
    model = MLPRegressor(standardize_y=True, warm_start=True, **SETTINGS)
    for method in (model.partial_fit, model.fit, model.partial_fit):
        method(X, y)
        mean = model.y_mean_.copy()
        method(X[:100], 3 * y[:100])
        assert model.y_mean_ == mean
    with pytest.raises(ValueError, match="standardize_y=False would change"):
        model.set_params(standardize_y=False).fit(X, y)
    model.set_params(warm_start="transfer").fit(X, Y)
    assert model.predict(X).shape == (442, 2)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1e10])
def test_a_constant_target(value):
    model = MLPRegressor(standardize_y=True, solver="lbfgs", **SETTINGS)
    prediction = model.fit(X, np.full(len(y), value)).predict(X)
    np.testing.assert_allclose(prediction, value, atol=0.05, rtol=1e-6)


def test_is_kept_in_pickles_files_and_conversions(tmp_path):
    for dtype in ("float32", "float64"):
        model = MLPRegressor(standardize_y=True, dtype=dtype, **SETTINGS).fit(X, Y)
        expected = model.predict(X)
        assert expected.dtype == dtype
        skdeep.save(model, tmp_path / "model.skd")
        for twin in (pickle.loads(pickle.dumps(model)), skdeep.load(tmp_path / "model.skd")):
            np.testing.assert_array_equal(twin.predict(X), expected)
        theirs = skdeep.to_sklearn(model)
        np.testing.assert_allclose(theirs.predict(X), expected, rtol=1e-4)


def test_a_scale_of_other_outputs_is_refused(tmp_path):
    model = MLPRegressor(standardize_y=True, **SETTINGS).fit(X, Y)
    model.y_scale_ = model.y_scale_[:1]
    with pytest.raises(ValueError, match="not those of all outputs"):
        skdeep.save(model, tmp_path / "model.skd")
    with pytest.raises(ValueError, match="not those of all outputs"):
        pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "poisson"}, "standardize_y=True does not go with loss='poisson'"),
        ({"output_activation": "relu"}, "output_activation='relu'.* standardize_y=False"),
        ({"standardize_y": 1}, "standardize_y=1 is not allowed; give True or False"),
    ],
)
def test_what_it_does_not_go_with(options, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**{"standardize_y": True, **options}).fit(X, y + 1)


def test_as_a_grid_searchs_scorer_sees_it():
    scorer = make_scorer(mean_absolute_error, greater_is_better=False)
    model = MLPRegressor(standardize_y=True, solver="lbfgs", **SETTINGS).fit(X, y)
    assert -80 < scorer(model, X, y) < -20


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks():
    settings = {"learning_rate_init": 0.03, "max_iter": 30}
    check_estimator(MLPRegressor((30,), standardize_y=True, **settings))


def test_numbers_whose_squares_overflow_are_an_error():
    model = MLPRegressor((3,), standardize_y=True)
    with pytest.raises(ValueError, match=r"can't scale y: .* Divide y by a constant"):
        model.fit([[0.0], [1.0]], [-1e300, 1e300])
