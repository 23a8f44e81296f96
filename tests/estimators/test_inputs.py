"""Containers and dtypes of X and y."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris

from skdeep import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X_sparse = np.where(X > 2, X, 0)
SETTINGS = {"max_iter": 5, "random_state": 0, "batch_size": 40}

CONTAINERS = [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_matrix, sp.lil_matrix]
NETWORKS = [
    {},
    {"shuffle": False},
    {"batch_norm_input": True},
    {"input_dropout": 0.2, "dtype": "float32"},
    {"early_stopping": True},
    {"hidden_layer_sizes": ()},
]


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
@pytest.mark.parametrize("container", CONTAINERS)
def test_sparse_is_dense(container, settings):
    dense = MLPClassifier(**SETTINGS, **settings).fit(X_sparse, y)
    sparse = MLPClassifier(**SETTINGS, **settings).fit(container(X_sparse), y)
    tolerance = 1e-4 if settings.get("dtype") == "float32" else 1e-9
    for method in ("predict_proba", "transform"):
        np.testing.assert_allclose(
            getattr(sparse, method)(container(X_sparse)),
            getattr(dense, method)(X_sparse),
            rtol=tolerance,
            atol=tolerance,
        )


@pytest.mark.parametrize("settings", [{}, {"batch_norm_input": True}], ids=str)
def test_sparse_data_is_never_densified_as_a_whole(settings):
    rng = np.random.default_rng(0)
    X = sp.random(20_000, 2_000, density=0.002, format="csr", random_state=rng)
    y = rng.integers(0, 2, 20_000)
    model = MLPClassifier((4,), max_iter=1, random_state=0, **settings)
    tracemalloc.start()
    model.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 2_000 * 8 / 10


TYPES = [
    ("list", lambda X: X.tolist(), "float64"),
    ("frame", lambda X: pd.DataFrame(X), "float64"),
    ("int", lambda X: X.astype(int), "float64"),
    ("uint8", lambda X: X.astype(np.uint8), "float64"),
    ("bool", lambda X: X > 3, "float64"),
    ("float16", lambda X: X.astype(np.float16), "float64"),
    ("object", lambda X: X.astype(object), "float64"),
    ("float32", lambda X: X.astype(np.float32), "float32"),
    ("fortran", np.asfortranarray, "float64"),
    ("strided", lambda X: np.repeat(X, 2, axis=0)[::2], "float64"),
    ("reversed", lambda X: X[::-1][::-1], "float64"),
]


@pytest.mark.parametrize(("name", "convert", "dtype"), TYPES, ids=[t[0] for t in TYPES])
@pytest.mark.parametrize("shuffle", [True, False])
def test_containers_of_x(name, convert, dtype, shuffle):
    model = MLPClassifier(**SETTINGS, shuffle=shuffle)
    same = np.asarray(convert(X), dtype=dtype)
    expected = model.fit(same, y).predict_proba(same)
    assert model.network_.dtype == dtype
    np.testing.assert_allclose(model.fit(convert(X), y).predict_proba(convert(X)), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_read_only_memmap(tmp_path, dtype, order):
    stored = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=X.shape, order=order)
    stored[...] = X
    stored.flush()
    read_only = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=X.shape, order=order)
    for settings in ({}, {"shuffle": False}, {"solver": "lbfgs"}, {"batch_norm_input": True}):
        model = MLPRegressor(max_iter=3, random_state=0, **settings)
        expected = model.fit(np.array(X, dtype=dtype), y).predict(X)
        actual = model.fit(read_only, y).predict(read_only)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_data_is_left_as_it_is():
    X_before, y_before, weight = X.copy(), y.copy(), np.arange(150.0)
    for settings in ({"shuffle": False}, {"solver": "lbfgs"}, {"input_noise": 1.0}):
        for Estimator in (MLPClassifier, MLPRegressor):
            Estimator(max_iter=2, **settings).fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(weight, np.arange(150.0))


LABELS = [
    ["a", "b", "c"],
    [-1, 0, 7],
    [1.0, 2.0, 4.0],
    np.array(["x", "yy", "zzz"], dtype=object),
    [np.int8(3), np.int8(4), np.int8(5)],
    [False, True],
    ["no", "yes"],
    pd.Categorical(["low", "mid", "high"]),
]


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_labels_of_any_type(labels):
    labels = np.asarray(labels)
    target = labels[np.minimum(y, len(labels) - 1)]
    model = MLPClassifier(**{**SETTINGS, "max_iter": 100}, learning_rate_init=0.02).fit(X, target)
    assert model.score(X, target) > 0.9
    assert model.predict(X).dtype == model.classes_.dtype
    assert model.classes_.tolist() == sorted(set(target))
    order = model.predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(model.classes_[order], model.predict(X))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_multilabel_containers(container):
    Y = np.c_[y == 0, y > 0, y == 2].astype(int)
    expected = MLPClassifier(**SETTINGS).fit(X, Y).predict_proba(X)
    model = MLPClassifier(**SETTINGS, early_stopping=False).fit(X, container(Y))
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    MLPClassifier(**SETTINGS, early_stopping=True).fit(X, container(Y))


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("settings", [{}, {"batch_norm": "after"}, {"solver": "lbfgs"}])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 4), (2, 1), (3, 10_000)])
def test_extreme_shapes(Estimator, settings, n_rows, n_columns):
    rng = np.random.default_rng(0)
    X, target = rng.random((n_rows, n_columns)), np.arange(n_rows)
    model = Estimator((3,), max_iter=2, random_state=0, **settings).fit(X, target)
    assert model.predict(X).shape == (n_rows,)


@pytest.mark.parametrize("batch_size", [1, 7, 149, 150])
def test_short_last_batch(batch_size):
    model = MLPClassifier((5,), batch_norm="before", batch_size=batch_size, max_iter=2)
    assert np.isfinite(model.fit(X, y).loss_)


def test_batch_size_beyond_the_data_is_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        MLPClassifier(batch_size=1000, max_iter=1).fit(X, y)


def test_a_column_vector_is_one_output():
    from sklearn.exceptions import DataConversionWarning

    with pytest.warns(DataConversionWarning):
        model = MLPRegressor(max_iter=1).fit(X, y.reshape(-1, 1))
    assert model.predict(X).shape == (150,)


ROWS, NUMBERS = np.arange(12.0).reshape(6, 2), np.arange(6.0)


def with_one(array, value):
    changed = array.copy()
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (with_one(ROWS, np.nan), NUMBERS, "Input X contains NaN"),
        (with_one(ROWS, np.inf), NUMBERS, "Input X contains infinity"),
        (ROWS, with_one(NUMBERS, np.nan), "Input y contains NaN"),
        (ROWS[:, :1], NUMBERS, "X has 1 features"),
        (ROWS[:4], NUMBERS, "inconsistent numbers of samples"),
        (ROWS[:0], NUMBERS[:0], "0 sample"),
        (ROWS.ravel(), NUMBERS, "Expected 2D array"),
    ],
    ids=str,
)
def test_later_calls_of_partial_fit_check_their_rows(X, y, words):
    mlp = MLPRegressor((3,), random_state=0).partial_fit(ROWS, NUMBERS)
    with pytest.raises(ValueError, match=words):
        mlp.partial_fit(X, y)


@pytest.mark.parametrize("kind", [list, np.float32, np.int64, np.asfortranarray])
def test_later_calls_of_partial_fit_take_rows_of_any_kind(kind):
    X = ROWS.tolist() if kind is list else kind(ROWS)
    plain, other = (MLPRegressor((3,), random_state=0).partial_fit(ROWS, NUMBERS) for _ in "ab")
    plain.partial_fit(ROWS, NUMBERS)
    other.partial_fit(X, NUMBERS.tolist())
    np.testing.assert_array_equal(plain.coefs_[0], other.coefs_[0])
    assert plain.loss_curve_ == other.loss_curve_


def test_later_calls_of_partial_fit_check_the_names_of_columns():
    pd = pytest.importorskip("pandas")
    mlp = MLPRegressor((3,), random_state=0)
    mlp.partial_fit(pd.DataFrame(ROWS, columns=["a", "b"]), NUMBERS)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        mlp.partial_fit(ROWS, NUMBERS)
