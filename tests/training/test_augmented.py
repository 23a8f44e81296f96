"""Augmented batches in the estimators: what a step sees, and what its result has to be."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score

import skdeep
from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.augmentation import Mixup, ShiftImages, SwapColumns

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = (A[:150] for A in load_digits(return_X_y=True))
X = X / 16
OPTIONS = {"hidden_layer_sizes": (6,), "max_iter": 3, "batch_size": 40, "random_state": 0}
ESTIMATORS = [MLPClassifier, MLPRegressor, MLPAutoencoder]


def unchanged(X, Y, rng):
    return X, Y


def in_place(X, Y, rng):
    X += rng.normal(0, 0.1, X.shape)
    Y[:] = Y[::-1]
    return X, Y


def weights(model):
    return model.network_.parameters.values


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_a_step_that_changes_nothing_changes_nothing(Estimator, kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    plain = Estimator(metrics="score", **OPTIONS).fit(X, y)
    augmented = Estimator(augment=unchanged, metrics="score", **OPTIONS).fit(X, y)
    np.testing.assert_array_equal(weights(augmented), weights(plain))
    assert augmented.history_["score"] == plain.history_["score"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_the_users_arrays_stay_as_they_are(Estimator, shuffle, dtype):
    own_X, own_y = np.ascontiguousarray(X, dtype), y.astype(float)
    models = [
        Estimator(augment=in_place, shuffle=shuffle, dtype=dtype, **OPTIONS).fit(own_X, own_y)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(own_X, X.astype(dtype))
    np.testing.assert_array_equal(own_y, y)
    np.testing.assert_array_equal(*map(weights, models))
    assert weights(models[0]).dtype == dtype
    plain = Estimator(shuffle=shuffle, dtype=dtype, **OPTIONS).fit(own_X, own_y)
    assert not np.array_equal(weights(plain), weights(models[0]))


SEEN = []


def watch(X, Y, rng):
    SEEN.append((X, Y))
    return X, Y


@pytest.mark.parametrize(
    ("estimator", "shape", "check"),
    [
        (MLPClassifier(), (40, 10), lambda Y: (Y.sum(axis=1) == 1).all()),
        (MLPClassifier(label_smoothing=0.5), (40, 10), lambda Y: Y.min() == 0.05),
        (MLPRegressor(), (40, 1), lambda Y: Y.max() == 9),
        (MLPRegressor(standardize_y=True), (40, 1), lambda Y: -2 < Y.min() < -1 < 1 < Y.max() < 2),
        (MLPAutoencoder(), (40, 64), lambda Y: 0 <= Y.min() < Y.max() <= 1),
    ],
    ids=["classifier", "smoothed", "regressor", "standardized", "autoencoder"],
)
def test_targets_are_those_of_the_loss(estimator, shape, check):
    SEEN.clear()
    estimator.set_params(augment=watch, **OPTIONS).fit(X, y)
    assert len(SEEN) == 12
    assert SEEN[0][0].shape == (40, 64)
    assert SEEN[0][1].shape == shape
    assert check(SEEN[0][1])
    assert SEEN[3][0].shape == (30, 64)
    SEEN.clear()


def test_binary_targets_are_one_column_and_validation_rows_are_not_augmented():
    SEEN.clear()
    model = MLPClassifier(augment=watch, early_stopping=True, **{**OPTIONS, "max_iter": 1})
    model.fit(X, y > 4, X_val=X, y_val=y > 4).predict(X)
    assert [Y.shape[1] for _, Y in SEEN] == [1] * 4
    SEEN.clear()
    model.set_params(early_stopping=False).partial_fit(X, y > 4)
    assert len(SEEN) == 4
    SEEN.clear()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_are_made_dense(dtype):
    model = MLPClassifier(augment=SwapColumns(0.2), **OPTIONS)
    one, other = (clone(model).fit(A.astype(dtype), y) for A in (X, sp.csr_matrix(X)))
    np.testing.assert_allclose(weights(one), weights(other), rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"weight_averaging": "ema", "batch_norm": "before"},
        {"early_stopping": True, "class_weight": "balanced"},
        {"soft_targets": True},
        {"target_noise": 0.1, "dropout": 0.1},
        {"loss": "focal"},
    ],
    ids=str,
)
def test_with_other_options(options):
    Y = np.eye(10)[y] if "soft_targets" in options else y
    model = MLPClassifier(augment=[ShiftImages(), "mixup"], **OPTIONS, **options).fit(X, Y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_sample_weights_stay_with_their_rows():
    weight = np.where(y > 4, 1.0, 0.0)
    one, other = (
        MLPClassifier(augment="shift_images", **OPTIONS).fit(X, labels, sample_weight=weight)
        for labels in (y, np.where(y > 4, y, (y + 1) % 5))
    )
    assert one.score(X[y > 4], y[y > 4]) == other.score(X[y > 4], y[y > 4])


def test_searches_clones_pickles_files_and_processes(tmp_path):
    model = MLPClassifier(augment=Mixup(), **OPTIONS)
    search = GridSearchCV(model, {"augment__alpha": [0.1, 1.0], "augment": [Mixup()]}, cv=2)
    search.fit(X, y)
    assert search.best_params_["augment__alpha"] in (0.1, 1.0)
    alone, together = (cross_val_score(model, X, y, cv=2, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(alone, together)
    model.fit(X, y)
    skdeep.save(model, tmp_path / "model.skdeep")
    for copied in (pickle.loads(pickle.dumps(model)), skdeep.load(tmp_path / "model.skdeep")):
        assert copied.augment.alpha == 0.2
        copied.partial_fit(X, y)
    with_function = MLPClassifier(augment=unchanged, **OPTIONS).fit(X, y)
    assert pickle.loads(pickle.dumps(with_function)).augment is unchanged


def test_lbfgs_ignores_it_with_a_warning():
    with pytest.warns(UserWarning, match=r"can't honour augment='mixup'"):
        MLPClassifier(augment="mixup", solver="lbfgs", max_iter=5).fit(X, y)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_losses_without_probabilities_can_not_learn_mixtures(loss):
    with pytest.raises(InvalidParameterError, match=r"augment=.*Mixup.* mixes classes"):
        MLPClassifier(augment=["shift_images", Mixup()], loss=loss, **OPTIONS).fit(X, y)
    MLPClassifier(augment="shift_images", loss=loss, **OPTIONS).fit(X, y)


# Results that are not allowed --------------------------------------------------------------------


def only_x(X, Y, rng):
    return X


def nothing(X, Y, rng):
    return None


def fewer_rows(X, Y, rng):
    return X[1:], Y[1:]


def other_columns(X, Y, rng):
    return X[:, 1:], Y


def one_dimension(X, Y, rng):
    return X, Y[:, 0]


def not_a_number(X, Y, rng):
    X[0, 0] = np.nan
    return X, Y


def infinite_targets(X, Y, rng):
    Y[0, 0] = np.inf
    return X, Y


def text(X, Y, rng):
    return np.full(X.shape, "a"), Y


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (only_x, "augment=only_x returned ndarray; it has to return two arrays"),
        (nothing, "augment=nothing returned NoneType; it has to"),
        (fewer_rows, r"augment=fewer_rows returned X of shape \(39, 64\); it has to be \(40, 64\)"),
        (other_columns, r"returned X of shape \(40, 63\); it has to be \(40, 64\)"),
        (one_dimension, r"returned Y of shape \(40,\); it has to be \(40, 10\)"),
        (not_a_number, "augment=not_a_number returned X with NaN or infinity"),
        (infinite_targets, "augment=infinite_targets returned Y with NaN or infinity"),
        (text, "augment=text returned X, which is not numeric"),
        (ShiftImages((5, 5)), r"augment=ShiftImages\(shape=\(5, 5\)\).*25 pixels.* 64 columns"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_results_that_are_not_allowed(step, message):
    model = MLPClassifier(augment=unchanged, **OPTIONS).fit(X, y)
    before = weights(model).copy()
    with pytest.raises(InvalidParameterError, match=message):
        model.set_params(augment=step).fit(X, y)
    np.testing.assert_array_equal(weights(model), before)


def test_other_dtypes_become_that_of_the_network():
    def integers(X, Y, rng):
        return np.round(X).astype(int).tolist(), Y.astype("float16")

    model = MLPClassifier(augment=integers, dtype="float32", **OPTIONS).fit(X, y)
    assert weights(model).dtype == np.float32


@pytest.mark.parametrize("augment", ["mixupp", 3, Mixup, Mixup(-1.0), ["mixup", None, 3]])
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_what_is_no_augmentation_is_an_error_before_training(Estimator, augment):
    with pytest.raises(InvalidParameterError, match="augment"):
        Estimator(augment=augment, **OPTIONS).fit(X, y)
