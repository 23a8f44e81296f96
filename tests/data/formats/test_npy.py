"""Memmap and NpyShards: rows of files equal those in memory, and faults name their place."""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.data import Memmap, NpyShards

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 7)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
DTYPES = ["<f4", ">f4", "<f8", ">f8", "f2", "i8", ">i2", "u1", "?", "g"]


def is_read_from_file(source):
    return hasattr(source._matrices[0], "path")


def assert_gives(source, expected):
    """Every way to read a source gives the expected rows."""
    expected = np.asarray(expected)
    native = expected.dtype.newbyteorder("=")
    assert (source.shape, source.dtype) == (expected.shape, native)
    rows = rng.integers(-len(expected), len(expected), 100)
    mask = rng.random(len(expected)) < 0.3
    np.testing.assert_array_equal(source.take(rows), expected[rows], strict=False)
    np.testing.assert_array_equal(np.concatenate([B for _, B in source.blocks()]), expected)
    np.testing.assert_array_equal(source[mask].take(np.arange(mask.sum())), expected[mask])
    np.testing.assert_array_equal(source[5:50:3][::-1].take([0, 2]), expected[5:50:3][::-1][[0, 2]])
    for dtype in (np.float32, np.float64):
        out = np.full(expected.shape, np.nan, dtype)
        converted = source.astype(dtype)
        for start, stop in zip(source.bounds[:-1], source.bounds[1:], strict=True):
            converted.read_into(int(start), int(stop), out[start:stop])
        np.testing.assert_array_equal(out, expected.astype(dtype))
        assert converted.take([1]).dtype == dtype
    source.check()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_gives_its_rows_in_every_layout(dtype, order, tmp_path):
    A = np.asarray(X * 10, dtype=dtype, order=order)
    path = tmp_path / "Zeilen ä 行.npy"
    np.save(path, A)
    mapped = np.load(path, mmap_mode="r")
    for given in (path, str(path), mapped, np.asarray(mapped), mapped[10:], mapped[:, 1:]):
        source = Memmap(given)
        assert is_read_from_file(source)
        assert_gives(source, A if isinstance(given, (str, Path)) else given)
    for given in (mapped[::-1], mapped[:, ::2], A):
        assert_gives(Memmap(given), given)


def test_files_are_read_in_several_steps(tmp_path, monkeypatch):
    """As large files are."""
    monkeypatch.setattr("skdeep.data.formats.npy._SCRATCH", 700)
    monkeypatch.setattr("skdeep.data.formats.npy._LINE", 12)
    for order in "CF":
        np.save(tmp_path / "X.npy", np.asarray(X, order=order))
        assert_gives(Memmap(tmp_path / "X.npy", memory_limit=10_000), X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        assert_gives(Memmap(mapped[:, 2:6], memory_limit=10_000), X[:, 2:6])
        np.testing.assert_array_equal(Memmap(mapped.T).read(1, 7), X.T[1:])


def test_a_memmap_that_is_written_to_is_read_as_it_is(tmp_path):
    A = np.memmap(tmp_path / "raw", np.float32, "w+", offset=16, shape=X.shape)
    A[:] = X
    source = Memmap(A)
    assert is_read_from_file(source)
    assert_gives(source, X)
    copied = np.memmap(tmp_path / "raw", np.float32, "c", offset=16, shape=X.shape)
    copied[0] = 5
    assert_gives(Memmap(copied), copied)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array, sp.coo_matrix, sp.csc_array])
def test_sparse_matrices_stay_sparse(make):
    S = make(np.where(X > 0.5, X, 0))
    source = Memmap(S, y)
    source.check()
    expected = S.tocsr()
    assert source.is_sparse
    for rows in ([3], [5, 1, 1, -2], [], np.arange(300)):
        taken = source.take(rows)
        assert taken.format == "csr"
        np.testing.assert_array_equal(taken.toarray(), expected[np.array(rows, int)].toarray())
    assert source.astype(np.float64).read(0, 10).dtype == np.float64


def test_an_object_that_gives_slices_of_rows_is_enough():
    class Rows:
        shape, dtype = X.shape, X.dtype

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return X[rows]

    assert_gives(Memmap(Rows()), X)
    assert_gives(Memmap(X.tolist()), X.astype(float))


def write_shards(folder, sizes=(0, 200, 1, 99), names=("8", "9", "10", "11")):
    start = 0
    for name, n in zip(names, sizes, strict=True):
        np.save(folder / f"X-{name}.npy", X[start : start + n])
        np.save(folder / f"y-{name}.npy", y[start : start + n])
        start += n


def test_shards_are_one_source(tmp_path):
    write_shards(tmp_path)
    names = [tmp_path / f"X-{i}.npy" for i in (8, 9, 10, 11)]
    np.save(tmp_path / "all.npy", y)
    pattern = str(tmp_path / "y-*.npy")
    for files in (str(tmp_path / "X-*.npy"), names):
        for targets in (pattern, y, y.tolist(), tmp_path / "all.npy"):
            source = NpyShards(files, targets, np.arange(300))
            assert_gives(source, X)
            np.testing.assert_array_equal(source.y, y)
            assert source.sample_weight.dtype == np.float64
    assert source.bounds.tolist() == [0, 0, 200, 201, 300]
    assert source.place(205) == f"{names[3]}, row 4"
    assert source[[205, 3]].place(0) == source.place(205)
    np.testing.assert_array_equal(source[[205, 3]].y, y[[205, 3]])
    assert NpyShards(names[::-1]).take([0])[0, 0] == X[201, 0]
    (tmp_path / "folder").mkdir()
    write_shards(tmp_path / "folder")
    for path in (tmp_path / "folder").glob("y-*"):
        path.unlink()
    assert_gives(NpyShards(tmp_path / "folder"), X)


def test_text_targets_are_not_taken_for_files(tmp_path):
    write_shards(tmp_path)
    names = ["yes" if positive else "no" for positive in y]
    source = NpyShards(str(tmp_path / "X-*.npy"), names)
    assert source.y.tolist() == names
    model = MLPClassifier((3,), max_iter=2, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(source)
    assert set(model.predict(source)) <= {"yes", "no"}


def test_a_pickle_has_paths_and_no_rows(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((10_000, 50)))
    source = Memmap(np.load(tmp_path / "X.npy", mmap_mode="r"))[::2]
    state = pickle.dumps(source)
    assert len(state) < 50_000
    assert_gives(pickle.loads(state), np.zeros((5_000, 50)))


def test_rows_are_new_arrays():
    """A transformer may write to its input."""
    source = Memmap(X.copy())
    for read in (lambda: source.read(0, 300), lambda: source.take(np.arange(300))):
        read()[:] = 0
    next(source.blocks())[1][:] = 0
    assert_gives(source, X)


def test_fingerprints_tell_rows_apart(tmp_path):
    write_shards(tmp_path)
    np.save(tmp_path / "one.npy", X)
    make = {
        "array": lambda: Memmap(X),
        "other array": lambda: Memmap(X[::-1]),
        "file": lambda: Memmap(tmp_path / "one.npy"),
        "subset": lambda: Memmap(X)[:100],
        "other subset": lambda: Memmap(X)[100:200],
        "float64": lambda: Memmap(X).astype(np.float64),
        "sparse": lambda: Memmap(sp.csr_array(X)),
        "shards": lambda: NpyShards(str(tmp_path / "X-*.npy")),
    }
    prints = {name: source().fingerprint() for name, source in make.items()}
    assert len({repr(value) for value in prints.values()}) == len(make)
    for name, source in make.items():
        assert source().fingerprint() == prints[name]
    os.utime(tmp_path / "one.npy", ns=(0, 0))
    assert make["file"]().fingerprint() != prints["file"]


# Faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "contains NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_a_fault_names_file_row_and_column(value, words, tmp_path):
    write_shards(tmp_path)
    bad = X[201:].copy()
    bad[42, 3], bad[50, 0] = value, value
    np.save(tmp_path / "X-11.npy", bad)
    source = NpyShards(str(tmp_path / "X-*.npy"), y)
    place = f"{words}.*X-11.npy, row 42, column 3. It is row 243 of all rows"
    with pytest.raises(ValueError, match=place):
        source.check()
    with pytest.raises(ValueError, match=place):
        MLPClassifier((3,)).fit(source)
    with pytest.raises(ValueError, match=r"X-11.npy, row 42, column 3. It is row 43 of all rows"):
        source[200:].check()
    source[:243].check()
    sparse = sp.csr_array(np.concatenate([X[:201], bad]))
    with pytest.raises(ValueError, match=rf"{words}.*: row 243, column 3\. It is row 243"):
        Memmap(sparse).check()


def test_a_number_that_is_too_large_for_the_dtype_is_a_fault():
    source = Memmap(np.array([[1.0], [1e300]]))
    source.check()
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\): row 1, column 0"):
        source.astype(np.float32).check()


def test_predictions_are_checked_too():
    model = MLPClassifier((3,), max_iter=2, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, y)
    np.testing.assert_allclose(model.predict_proba(Memmap(X)), model.predict_proba(X), rtol=1e-5)
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN: row 7, column 1"):
        model.predict(Memmap(bad))


BAD_FILES = {
    "text": (np.array([["a"]]), "has text"),
    "bytes": (np.array([[b"a"]]), "has text"),
    "complex": (np.array([[1j]]), "complex numbers"),
    "dates": (np.array([["2020"]], "M8[D]"), "values of dtype datetime64"),
    "fields": (np.array([[(1, 2)]], "i4,i4"), "values of dtype"),
    "named fields": (np.array([[(1,)]], [("ä行", "i4")]), "is not a .npy file of numbers"),
    "one dimension": (np.zeros(3), r"shape \(3,\), and 2 dimensions.*reshape\(-1, 1\)"),
    "three dimensions": (np.zeros((2, 3, 4)), r"reshape\(2, -1\)"),
    "no dimension": (np.array(3.0), "2 dimensions are required"),
    "no rows": (np.zeros((0, 3)), "has 0 rows and 3 columns"),
    "no columns": (np.zeros((3, 0)), "has 3 rows and 0 columns"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_matrix_of_numbers(name, tmp_path):
    A, words = BAD_FILES[name]
    path = str(tmp_path / "X.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are not in ASCII
        np.save(path, A)
    for given in (path, A) if name != "named fields" else (path,):
        with pytest.raises(ValueError, match=words):
            Memmap(given)
    with pytest.raises(ValueError, match=words):
        NpyShards([path])


def test_objects_are_refused(tmp_path):
    np.save(tmp_path / "X.npy", np.array([[1, "a"]], object), allow_pickle=True)
    for given in (tmp_path / "X.npy", np.array([[1, "a"]], object)):
        with pytest.raises(ValueError, match="Python objects"):
            Memmap(given)
    pd = pytest.importorskip("pandas")
    with pytest.raises(InvalidParameterError, match="data frame"):
        Memmap(pd.DataFrame(X))


def test_files_that_can_not_be_read(tmp_path):
    path = tmp_path / "X.npy"
    for content in (b"", b"PK\x03\x04 no array", b"\x93NUMPY\x01\x00\x76\x00 {'descr'"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"X\.npy' is not a \.npy file of numbers"):
            Memmap(path)
    np.save(path, X)
    path.write_bytes(path.read_bytes()[:-1])
    for make in (Memmap, lambda path: NpyShards([path])):
        with pytest.raises(ValueError, match=r"X\.npy' is truncated: .*ends at byte 8,528.* 8,527"):
            make(path)
    for given in ("nowhere.npy", tmp_path / "no" / "where.npy"):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            Memmap(given)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        Memmap(tmp_path)


@pytest.mark.parametrize("change", ["longer", "shorter", "same size", "gone"])
def test_a_file_that_was_changed_later(change, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    source = Memmap(path)
    source.check()
    if change == "gone":
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r"X\.npy"):
            source.take([1])
        return
    content = path.read_bytes()
    new = {"longer": content + b"1", "shorter": content[:-1], "same size": content}[change]
    path.write_bytes(new)
    os.utime(path, ns=(1, 1))
    for read in (lambda: source.read(0, 1), lambda: source.take([1]), source.check):
        with pytest.raises(ValueError, match=r"X\.npy' was changed"):
            read()


def test_shards_that_do_not_belong_together(tmp_path):
    paths = [str(tmp_path / f"{name}.npy") for name in "abc"]
    for path in paths:
        np.save(path, X[:100])

    def refused(words, X_files=paths, error=ValueError, **given):
        with pytest.raises(error, match=words):
            NpyShards(X_files, **given)

    np.save(paths[1], X[:100].astype(float))
    refused(r"b\.npy' has the dtype float64, but .*a\.npy' has float32")
    np.save(paths[1], X[:100, :5])
    refused(r"b\.npy' has 5 columns, but .*a\.npy' has 7")
    np.save(paths[1], X[:100])
    refused("y has 299 rows, but X has 300", y=y[:299])
    refused("sample_weight has 1 rows", sample_weight=[1])
    y_paths = [str(tmp_path / f"y-{name}.npy") for name in "abc"]
    for path in y_paths:
        np.save(path, y[:100])
    refused("y has 2 files for 3 files of X", y=y_paths[:2])
    np.save(y_paths[2], y[:99])
    refused(r"y-c\.npy'\), which belongs to .*/c\.npy', has 99 rows, but X has 100", y=y_paths)
    np.save(y_paths[2], y[:100, None])
    refused(r"rows of shape \(1,\)", y=y_paths)
    np.save(y_paths[2], np.array(["a"] * 100))
    refused(r"y-c\.npy' has the dtype <U1", y=y_paths)
    np.save(y_paths[2], np.array(["a"] * 100, object), allow_pickle=True)
    refused(r"y-c\.npy' can't be read", y=y_paths)
    refused("no file matches", str(tmp_path / "Z-*.npy"), FileNotFoundError)
    refused("there is no file", [*paths, "Z.npy"], FileNotFoundError)
    (tmp_path / "empty").mkdir()
    refused(r"has no file \*\.npy", tmp_path / "empty", FileNotFoundError)
    refused("at least one", [], InvalidParameterError)
    refused("a list of paths", [X], InvalidParameterError)
    refused("a list of paths", 3, InvalidParameterError)


def test_an_interrupt_leaves_the_source_as_it_was(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_shards(tmp_path)
    source = NpyShards(str(tmp_path / "X-*.npy"))
    with monkeypatch.context() as context:
        context.setattr("skdeep.data.formats.npy.RowFile._fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            source.take([1])
    assert_gives(source, X)
