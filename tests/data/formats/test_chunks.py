"""Chunks: rows of a user's function equal those in memory, and wrong calls are named."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.data import Chunks

rng = np.random.default_rng(0)
X = rng.standard_normal((200, 4))
y = np.where(X[:, 0] > 0, "yes", "no")
w = np.arange(200.0)
BORDERS = [0, 50, 50, 51, 140, 200]
N = len(BORDERS) - 1


def part(i, *arrays):
    return tuple(A[BORDERS[i] : BORDERS[i + 1]] for A in arrays)


def read(i):
    return part(i, X, y, w)


def read_all():
    yield from map(read, range(N))


def kinds():
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["i"] = np.arange(200)
    return {
        "array": X,
        "float32, Fortran": np.asfortranarray(X.astype(np.float32)),
        "integers": np.arange(800).reshape(200, 4),
        "big-endian": X.astype(">f8"),
        "sparse": sp.csr_array(np.where(X > 0, X, 0)),
        "frame": frame,
        "frame of float32": frame.drop(columns="i").astype(np.float32),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("in_order", [False, True])
def test_rows_are_those_of_the_chunks(kind, in_order):
    A = kinds()[kind]
    if in_order:
        source = Chunks(lambda: (A[s:e] for s, e in pairwise(BORDERS)))
    else:
        source = Chunks(lambda i: A[BORDERS[i] : BORDERS[i + 1]], N)
    expected = A.toarray() if sp.issparse(A) else np.asarray(A)
    dense = (lambda A: A.toarray()) if sp.issparse(A) else (lambda A: A)
    assert source.bounds.tolist() == BORDERS
    assert source.dtype == expected.dtype.newbyteorder("=")
    assert source.is_sparse == (kind == "sparse")
    assert source.is_sequential == in_order
    assert source.feature_names == (list(A.columns) if hasattr(A, "columns") else None)
    source.check()
    for rows in ([], [3], rng.integers(0, 200, 60), np.arange(200)[::-1]):
        np.testing.assert_array_equal(dense(source.take(rows)), expected[np.array(rows, int)])
    read = [dense(B) for _, B in source.blocks()]
    np.testing.assert_array_equal(np.concatenate(read), expected)
    out = dense(source.astype(np.float32).read(51, 140))
    np.testing.assert_array_equal(out, expected[51:140].astype(np.float32))


def test_targets_and_weights_of_all_chunks_are_kept():
    for source in (Chunks(read, N), Chunks(read_all)):
        np.testing.assert_array_equal(source.y, y)
        np.testing.assert_array_equal(source.sample_weight, w)
    assert Chunks(lambda i: part(i, X), N).y is None
    source = Chunks(lambda i: (*part(i, X), None, *part(i, w)), N)
    assert source.y is None
    np.testing.assert_array_equal(source.sample_weight, w)
    two = np.column_stack([w, w])
    np.testing.assert_array_equal(Chunks(lambda i: part(i, X, two), N).y, two)


def test_a_chunk_is_read_once_if_its_rows_are_read_in_order():
    calls = []

    def counted(i):
        calls.append(i)
        return read(i)

    source = Chunks(counted, N)
    calls.clear()
    for start in range(51, 140, 10):
        source.read(start, min(start + 10, 140))
    assert calls == [3]
    assert source._kept is None
    calls.clear()
    source.take([0, 1, 60, 150, 199])
    assert calls == [0, 3, 4]


def test_readers_do_not_disturb_each_other():
    """A validation set may be read while a thread reads the next window."""
    passes = []

    def counted():
        passes.append(0)
        yield from read_all()

    source = Chunks(counted)
    passes.clear()
    blocks = source.blocks()
    expected = 0
    for _, block in blocks:
        np.testing.assert_array_equal(source.take([199]), X[[199]])
        np.testing.assert_array_equal(source.read(expected, expected + 1), X[[expected]])
        expected += len(block)
    assert len(passes) == 1 + 1 + N - 1  # by blocks, read and take; one chunk is empty


def test_a_pickle_has_the_function_alone():
    source = Chunks(read_all)
    source.read(0, 10)
    twin = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(twin.take([150]), X[[150]])
    assert twin.fingerprint() == source.fingerprint()
    assert Chunks(lambda i: part(i, X + 1), N).fingerprint() != source.fingerprint()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("given", [(read, N), (read_all,)])
def test_a_fit_equals_that_of_rows_in_memory(given):
    model = MLPClassifier((5,), max_iter=3, shuffle=False, random_state=0)
    expected = model.fit(X, y, w).loss_curve_
    source = Chunks(*given, memory_limit="12kB")
    np.testing.assert_allclose(model.fit(source).loss_curve_, expected, rtol=1e-9)
    model.set_params(shuffle=True, early_stopping=True).fit(source)
    assert model.predict(source).shape == (200,)


# Faults -------------------------------------------------------------------------------------------


FIRST_PASS = {
    "nothing": (lambda i: None, "Chunk 0 is None; X, .* is required"),
    "a 4-tuple": (lambda i: (1, 2, 3, 4), "Chunk 0 is a tuple of 4"),
    "one dimension": (lambda i: X[0], r"Chunk 0 has X of shape \(4,\)"),
    "text": (lambda i: X.astype(str), "Chunk 0 has text"),
    "objects": (lambda i: X.astype(object), "Chunk 0 has Python objects"),
    "short y": (lambda i: (X, y[:5]), "Chunk 0: y has 5 rows, but X has 200"),
    "short weight": (lambda i: (X, y, w[:5]), "Chunk 0: sample_weight has 5 rows"),
    "no y in one": (
        lambda i: part(i, X) if i == 2 else part(i, X, y),
        "Chunk 2 has no y, but chunk 0 has y",
    ),
    "y in one": (
        lambda i: part(i, X, y) if i == 2 else part(i, X),
        "Chunk 2 has y, but chunk 0 has no y",
    ),
    "y of another kind": (
        lambda i: part(i, X, y if i else w),
        "y of chunk 1 has the dtype <U3 .* but y of chunk 0 has float64",
    ),
    "another dtype": (
        lambda i: part(i, X.astype("f4") if i == 3 else X),
        "Chunk 3 is an array of 4 columns of dtype float32, but chunk 0 is .* float64",
    ),
    "other columns": (
        lambda i: part(i, X[:, :3] if i == 3 else X),
        "Chunk 3 is an array of 3 columns .*, but chunk 0 is an array of 4 columns",
    ),
    "another kind": (
        lambda i: part(i, sp.csr_array(X) if i == 3 else X),
        "Chunk 3 is a sparse matrix of 4 .*, but chunk 0 is an array",
    ),
    "other names": (
        lambda i: pd.DataFrame(X, columns=list("abcd" if i < 2 else "abdc")),
        r"Chunk 2 is a data frame of 4 columns \['a', 'b', 'd', 'c'\]",
    ),
    "no rows": (lambda i: X[:0], "has 0 rows and 4 columns"),
}


@pytest.mark.parametrize("name", FIRST_PASS)
def test_faults_that_the_first_pass_finds(name):
    read, words = FIRST_PASS[name]
    with pytest.raises(ValueError, match=words):
        Chunks(read, N)
    with pytest.raises(ValueError, match=words):
        Chunks(lambda: map(read, range(N)))


def test_what_is_not_a_function_of_chunks():
    for given in ([X], X, iter([X])):
        with pytest.raises(InvalidParameterError, match="is not callable"):
            Chunks(given)
    for given in (lambda: X, read_all().__next__):
        with pytest.raises(InvalidParameterError, match=r"read\(\) returned a .*give n_chunks"):
            Chunks(given)
    with pytest.raises(ValueError, match="gave no chunk"):
        Chunks(lambda: [])
    with pytest.raises(TypeError, match="positional argument") as caught:
        Chunks(read)
    assert "read()" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="positional argument") as caught:
        Chunks(read_all, 3)
    assert "read(0)" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="not iterable"):
        Chunks(lambda: 3)
    for n_chunks in (0, -1, 1.5, "3", True):
        with pytest.raises(InvalidParameterError, match=r"n_chunks=.* an integer >= 1"):
            Chunks(read, n_chunks)


def test_errors_of_the_function_pass_with_the_number_of_the_chunk():
    def fails(i):
        if i == 2:
            raise OSError("the network is down")
        return read(i)

    def yields():
        yield from map(fails, range(N))

    for given, call in (((fails, N), "read(2)"), ((yields,), "read(), for chunk 2")):
        with pytest.raises(OSError, match="the network is down") as caught:
            Chunks(*given)
        assert call in caught.value.__notes__[0]


LATER = {
    "size": lambda i: part(i, X[1:]),
    "dtype": lambda i: part(i, X.astype("f4")),
    "columns": lambda i: part(i, X[:, 1:]),
    "kind": lambda i: part(i, sp.csr_array(X)),
}


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("in_order", [False, True])
def test_a_chunk_that_changes_later_is_named(name, in_order):
    changes = []

    def changing(i):
        return LATER[name](i) if changes and i == 4 else part(i, X)

    source = Chunks(lambda: map(changing, range(N))) if in_order else Chunks(changing, N)
    source.check()
    changes.append(True)
    source.take([0])
    with pytest.raises(ValueError, match=r"Chunk 4 has .*In the first pass it had 60 rows and was"):
        source.check()


def test_an_iterator_that_is_given_again_is_exhausted():
    given = read_all()
    source = Chunks(lambda: given)
    with pytest.raises(ValueError, match=r"gave 5 chunks in the first pass, and ended before chun"):
        source.check()


@pytest.mark.parametrize(("change", "words"), [(-1, "ended before chunk 4"), (1, "gave one more")])
def test_another_number_of_chunks_later(change, words):
    n_chunks = [N]
    source = Chunks(lambda: (part(min(i, N - 1), X) for i in range(n_chunks[0])))
    n_chunks[0] += change
    with pytest.raises(ValueError, match=words):
        source.check()
    n_chunks[0] -= change
    source.check()


def test_an_interrupt_in_the_function_leaves_a_source_that_works():
    interrupts = []

    def interrupted():
        for i in range(N):
            if interrupts and i == 3:
                raise KeyboardInterrupt
            yield read(i)

    source = Chunks(interrupted)
    interrupts.append(True)
    source.read(0, 50)
    with pytest.raises(KeyboardInterrupt):
        source.read(51, 60)
    interrupts.clear()
    np.testing.assert_array_equal(source.read(51, 60), X[51:60])


def test_a_chunk_that_is_too_large_for_the_limit_is_named():
    words = r'Chunk 3 takes 2.9kB in memory.*Give memory_limit="8.6kB" or more'
    with pytest.raises(InvalidParameterError, match=words):
        Chunks(read, N, memory_limit="5kB")
    Chunks(read, N, memory_limit="8.6kB")


def test_a_fault_names_its_chunk():
    bad = X.copy()
    bad[60, 2] = np.nan
    for source in (
        Chunks(lambda i: part(i, bad), N),
        Chunks(lambda i: part(i, pd.DataFrame(bad)), N),
    ):
        with pytest.raises(ValueError, match=r"NaN: chunk 3, row 9, column .?2.?\. It is row 60 "):
            source.check()
    frame = pd.DataFrame({"a": [1, None, 3]}, dtype="Int64")
    with pytest.raises(ValueError, match="NaN: chunk 0, row 1, column 'a'"):
        Chunks(lambda i: frame, 1).check()


def test_columns_of_text_need_an_encoder():
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    source = Chunks(lambda i: frame, 2)
    assert source.dtype == object
    pd.testing.assert_frame_equal(source.take([0, 3]).reset_index(drop=True), frame)
    with pytest.raises(ValueError, match=r"not numbers.*source\.transform\(encoder\)"):
        source.check()
    with pytest.raises(ValueError, match="not numbers"):
        MLPClassifier().fit(source, [0, 1, 0, 1])
