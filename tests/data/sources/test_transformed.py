"""Sources whose rows go through a transformer, and transformers that are fitted block by block."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.decomposition import IncrementalPCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from skdeep import MLPRegressor, TabularEncoder
from skdeep._component import InvalidParameterError
from skdeep.data import Chunks, Memmap, NpyShards, fit_transformer

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 5)) * [1, 2, 3, 4, 5] + 1
y = X[:, 0]
S = sp.csr_matrix(np.where(X > 2, X, 0))
CODES = rng.integers(0, 4, (300, 2))
NAMES = list("abcde")
FRAME = pd.DataFrame(X, columns=NAMES).assign(city=rng.choice(list("uvw"), 300))


def in_chunks(A):
    return Chunks(lambda i: A[i * 70 : i * 70 + 70], 5)


def in_order(A):
    return Chunks(lambda: (A[i : i + 70] for i in range(0, 300, 70)))


class Transposed(FunctionTransformer):
    """A transformer that some rows do not suit."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def transform(self, X):
        return self.change(X)


def as_array(A):
    return A.toarray() if sp.issparse(A) else np.asarray(A)


CASES = {
    "scaler": (X, StandardScaler()),
    "float32": (X.astype(np.float32), StandardScaler()),
    "integers": (CODES, StandardScaler()),
    "in place": (X, StandardScaler(copy=False)),
    "sparse output": (CODES, OneHotEncoder()),
    "sparse": (S, MaxAbsScaler()),
    "sparse to dense": (S, FunctionTransformer(lambda S: S.toarray(), accept_sparse=True)),
    "pipeline": (X, make_pipeline(PolynomialFeatures(2), StandardScaler())),
    "frame": (FRAME, TabularEncoder(max_one_hot=3)),
    "frame, sparse output": (FRAME, TabularEncoder(sparse_output=True)),
    "frame of numbers": (FRAME[NAMES], StandardScaler()),
    "by names": (
        FRAME,
        make_column_transformer((OneHotEncoder(sparse_output=False), ["city"]), ("drop", ["a"])),
    ),
    "pandas output": (FRAME[NAMES], StandardScaler().set_output(transform="pandas")),
}


@pytest.mark.parametrize("wrap", [Memmap, in_chunks, in_order])
@pytest.mark.parametrize("case", CASES)
def test_rows_are_those_of_the_transformer(case, wrap):
    A, transformer = CASES[case]
    if wrap is Memmap and hasattr(A, "columns"):
        pytest.skip("frames are in memory")
    transformer.fit(A.copy())
    expected = as_array(transformer.transform(A.copy()))
    given = A.copy()
    source = wrap(given).transform(transformer)
    assert source.is_sparse == sp.issparse(transformer.transform(A[:5].copy()))
    assert (source.shape, source.dtype) == (expected.shape, expected.dtype)
    assert source.feature_names == (NAMES if case == "pandas output" else None)
    source.check()
    for rows in ([], [3], rng.integers(0, 300, 50), np.arange(300)[::-1]):
        rows = np.array(rows, int)
        np.testing.assert_allclose(as_array(source.take(rows)), expected[rows], rtol=1e-12)
        chosen = source[rows].take(np.arange(len(rows)))
        np.testing.assert_allclose(as_array(chosen), expected[rows], rtol=1e-12)
    blocks = [as_array(block) for _, block in source[::2].blocks()]
    np.testing.assert_allclose(np.concatenate(blocks), expected[::2], rtol=1e-12)
    converted = source.astype(np.float32)
    assert converted.take([5]).dtype == converted.read(0, 5).dtype == np.float32
    if not source.is_sparse:
        out = np.full((60, expected.shape[1]), np.nan, np.float32)
        converted.read_into(10, 70, out)
        np.testing.assert_array_equal(out, expected[10:70].astype(np.float32))
    np.testing.assert_array_equal(as_array(given), as_array(A))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_equals_that_of_transformed_rows(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"X-{i}.npy", X[i * 100 : i * 100 + 100])
    source = NpyShards(str(tmp_path / "X-*.npy"), y, memory_limit="20kB")
    scaler = fit_transformer(StandardScaler(), source)
    model = MLPRegressor((4,), max_iter=3, shuffle=False, random_state=0)
    expected = model.fit(StandardScaler().fit_transform(X), y).loss_curve_
    np.testing.assert_allclose(model.fit(source.transform(scaler)).loss_curve_, expected, rtol=1e-9)


def test_transforms_follow_each_other():
    first, second = MinMaxScaler().fit(X), StandardScaler()
    second.fit(first.transform(X))
    source = Memmap(X, y).transform(first)[50:].transform(second)
    np.testing.assert_allclose(source.take([0]), second.transform(first.transform(X[50:51])))
    np.testing.assert_array_equal(source.y, y[50:])
    twin = pickle.loads(pickle.dumps(source))
    assert twin.fingerprint() == source.fingerprint()
    assert twin.fingerprint() != Memmap(X).transform(first)[50:].fingerprint()
    train, val = source.split(0.2)
    assert len(train) + len(val) == 250


def test_units_with_a_large_output_are_cut():
    wide = PolynomialFeatures(6).fit(X)
    source = in_chunks(X)
    source.memory_limit = 200_000
    transformed = source.transform(wide)
    sizes = np.diff(transformed.bounds)
    assert sizes.sum() == 300
    assert sizes.max() * transformed.row_bytes <= 200_000 / 6
    assert set(source.bounds) <= set(transformed.bounds)
    out = np.concatenate([block for _, block in transformed.blocks()])
    np.testing.assert_allclose(out, wide.transform(X))
    assert np.diff(transformed[10:].bounds).max() <= sizes.max()


# Fitting ------------------------------------------------------------------------------------------

FITTED = {
    "scaler": (X, StandardScaler()),
    "frame": (FRAME[NAMES], StandardScaler()),
    "sparse": (S, MaxAbsScaler()),
    "stateless": (X, Normalizer()),
    "function": (X, FunctionTransformer(np.abs)),
    "pipeline": (X, make_pipeline(StandardScaler(), "passthrough", Normalizer(), MinMaxScaler())),
}


@pytest.mark.parametrize("wrap", [Memmap, in_chunks, in_order])
@pytest.mark.parametrize("case", FITTED)
def test_a_fit_by_blocks_equals_a_fit_of_all_rows(case, wrap, monkeypatch):
    A, transformer = FITTED[case]
    if wrap is Memmap and hasattr(A, "columns"):
        pytest.skip("frames are in memory")
    monkeypatch.setattr("skdeep.data.sources.files.BLOCK_BYTES", 1000)
    monkeypatch.setattr("skdeep.data.sources.files.FRAME_BYTES", 1000)
    fitted = fit_transformer(transformer, wrap(A))
    expected = as_array(transformer.fit(A).transform(A))
    np.testing.assert_allclose(as_array(fitted.transform(A)), expected, atol=1e-12)
    assert getattr(fitted, "feature_names_in_", None) is None or list(
        fitted.feature_names_in_
    ) == list(A.columns)


def test_the_transformer_itself_is_not_changed():
    scaler = StandardScaler().fit(X * 100)
    fitted = fit_transformer(scaler, Memmap(X))
    assert fitted is not scaler
    np.testing.assert_allclose(scaler.mean_, 100 * fitted.mean_)


def test_blocks_of_a_fit_are_not_small():
    """IncrementalPCA wants at least as many rows as components in every call."""
    for sizes in ([100, 1, 99, 97, 3], [1, 299], [299, 1]):
        ends = np.cumsum(sizes)
        source = Chunks(
            lambda i, ends=ends, sizes=sizes: X[ends[i] - sizes[i] : ends[i]], len(sizes)
        )
        pca = fit_transformer(IncrementalPCA(3), source)
        assert pca.n_samples_seen_ == 300


# Faults -------------------------------------------------------------------------------------------


def test_what_is_not_a_fitted_transformer():
    source = Memmap(X)
    for given in (StandardScaler(), make_pipeline(StandardScaler()), TabularEncoder()):
        with pytest.raises(NotFittedError, match=r"is not fitted.*fit_transformer"):
            source.transform(given)
    with pytest.raises(InvalidParameterError, match="StandardScaler is a class"):
        source.transform(StandardScaler)
    for given in (None, np.abs, MLPRegressor()):
        with pytest.raises((InvalidParameterError, NotFittedError)):
            source.transform(given)
    for given in (None, StandardScaler, np.abs):
        with pytest.raises(InvalidParameterError, match="give an instance of a transformer"):
            fit_transformer(given, source)
    with pytest.raises(InvalidParameterError, match=r"has no method partial_fit.*source\.take"):
        fit_transformer(PolynomialFeatures(), source)
    with pytest.raises(InvalidParameterError, match="source=ndarray is not allowed"):
        fit_transformer(StandardScaler(), X)
    with pytest.raises(ValueError, match=r"Subset has no rows to fit StandardScaler\(\) to"):
        fit_transformer(StandardScaler(), source[np.zeros(len(X), bool)])


def test_rows_that_the_transformer_refuses_are_named(tmp_path):
    bad = X.copy()
    bad[137, 2] = np.nan
    np.save(tmp_path / "X-1.npy", bad[:100])
    np.save(tmp_path / "X-2.npy", bad[100:])
    source = NpyShards(tmp_path)
    refusing = source.transform(PolynomialFeatures().fit(X))
    words = r"PolynomialFeatures can't transform .*X-2\.npy, row 37: Input X contains NaN"
    for read in (
        refusing.check,
        lambda: refusing[130:].check(),
        lambda: refusing.take([137, 4]),
        lambda: refusing.read(100, 300),
    ):
        with pytest.raises(ValueError, match=words):
            read()
    refusing[:137].check()
    passing = source.transform(StandardScaler().fit(X))
    with pytest.raises(ValueError, match=r"NaN: .*X-2\.npy, row 37, column 'x2'\. It is row 137"):
        passing.check()
    with pytest.raises(ValueError, match="contains NaN") as caught:
        fit_transformer(make_pipeline(StandardScaler(), IncrementalPCA()), source)
    assert "IncrementalPCA.partial_fit" in str(caught.value.__notes__)


def test_an_error_that_needs_several_rows_names_them():
    def wants_few(X):
        if len(X) > 40 and X[:, 0].max() > 2:
            raise ValueError("too many")
        return X

    with pytest.raises(ValueError, match="can't transform row 0 to row 74: too many"):
        Memmap(X).transform(Transposed(wants_few)).check()


OUTPUTS = {
    "fewer rows": (lambda A: A if len(A) <= 32 else A[1:], r"dense output of shape \(299, 5\)"),
    "other columns": (
        lambda A: A if len(A) <= 32 else A[:, 1:],
        r"\(300, 4\).*\(300, 5\) was expe",
    ),
    "sparse": (
        lambda A: A if len(A) <= 32 else sp.csr_array(A),
        "a sparse output .*expected, dense",
    ),
    "text": (lambda A: A.astype(str), "The output of Transposed has text"),
    "objects": (lambda A: A.astype(object), "has Python objects"),
    "one dimension": (lambda A: A[:, 0], r"shape \(32,\); 2 dimensions are required"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_are_not_allowed(name):
    change, words = OUTPUTS[name]
    with pytest.raises(ValueError, match=words):
        Memmap(X).transform(Transposed(change)).check()


def test_an_interrupt_in_a_transformer_passes():
    class Interrupted(TransformerMixin, BaseEstimator):
        def transform(self, X):
            if len(X) > 32:
                raise KeyboardInterrupt
            return X

    source = Memmap(X).transform(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        source.read(0, 300)
