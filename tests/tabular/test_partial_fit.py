"""TabularEncoder.partial_fit: chunk by chunk the same as all rows at once."""

import datetime
import decimal
import importlib.util
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone

import skdeep
from skdeep import TabularEncoder, TabularRegressor
from skdeep.tabular.encoding import sample
from skdeep.tabular.encoding.sample import Sample

NAN = np.nan
N = 72
LEARNED = (
    *("numeric_columns_", "code_columns_", "n_codes_", "n_features_out_", "blocks_"),
    *("n_features_in_", "_dtype", "_sparse_output", "_is_fitted_to_sparse", "_library", "_names"),
    *("_has_many_zeros", "_indicators"),
)


def state(encoder):
    """Return everything that an encoder has learned, as comparable values."""
    learned = {name: getattr(encoder, name) for name in LEARNED}
    learned["_indicators"] = learned["_indicators"].tolist()
    scaling = vars(encoder._scaling)
    learned["scaling"] = {
        k: repr(v.tolist() if hasattr(v, "tolist") else v) for k, v in scaling.items()
    }
    learned["categories"] = [
        {k: repr(v.tolist() if hasattr(v, "tolist") else v) for k, v in vars(c).items()}
        for c in encoder._categories
    ]
    learned["names"] = encoder.get_feature_names_out().tolist()
    return learned


def rows_of(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def in_chunks(X, ends, weight=None, **options):
    encoder, start = TabularEncoder(**options), 0
    for end in ends:
        w = None if weight is None else weight[start:end]
        assert encoder.partial_fit(rows_of(X, slice(start, end)), sample_weight=w) is encoder
        start = end
    return encoder


def gaps(values, rng, share=0.2):
    return np.where(rng.random(len(values)) < share, NAN, values)


def objects(values, dtype=object):
    return pd.Series(values, dtype=dtype)


def make_tables():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklm"))
    numbers = rng.normal(size=N)
    late = np.r_[np.full(N // 2, NAN), numbers[: N // 2]]
    strings = rng.choice(letters, N)
    with_none = np.where(rng.random(N) < 0.3, None, strings)
    sparse = sp.random(N, 30, 0.2, "csr", random_state=rng)
    sparse.data[::7] *= -3
    gappy = sparse.copy()
    gappy.data[::11] = NAN
    Int = pd.array(rng.integers(-9, 9, N), dtype="Int64")
    Int[rng.random(N) < 0.3] = pd.NA
    arrow = "string[pyarrow]" if importlib.util.find_spec("pyarrow") else "string[python]"
    frames = {
        "numbers": {
            "f": numbers,
            "f32": numbers.astype(np.float32),
            "gaps": gaps(numbers, rng),
            "int": rng.integers(-5, 5, N),
            "uint64": rng.integers(2**63, 2**64 - 1, N, dtype=np.uint64),
            "beyond": rng.integers(2**53, 2**62, N),
            "bool": rng.random(N) < 0.3,
            "zeros": np.zeros(N),
            "constant": np.full(N, 0.1),
            "rare": (np.arange(N) == N - 1) * 5.0,
            "nan": np.full(N, NAN),
            "one": np.where(np.arange(N) == N - 1, 3.0, NAN),
        },
        "extreme numbers": {
            "large": numbers * 1e307,
            "tiny": numbers * 1e-310,
            "both": np.where(np.arange(N) < N // 2, 1e-305, 1e305) * numbers,
        },
        "gaps first": {
            "number": late,
            "Int64": pd.array([*[None] * (N - 3), 1, 2, 3], dtype="Int64"),
            "objects": objects([*[None] * (N - 2), 1, 2.5]),
            "strings": objects([*[None] * (N - 2), "a", "b"]),
            "string": objects([*[None] * (N - 2), "a", "b"], "string"),
            "category": pd.Categorical([*[None] * (N - 2), "a", "b"]),
            "none": objects([None] * N),
            "NA": pd.array([None] * N, dtype="Int64"),
            "NA string": objects([None] * N, "string"),
        },
        "nullable": {
            "Int64": Int,
            "Float64": pd.array(gaps(numbers, rng), dtype="Float64"),
            "boolean": pd.array([*[True, False, None] * (N // 3)], dtype="boolean"),
            "string": objects(with_none, "string"),
            "arrow": objects(with_none, arrow),
            "plain": pd.array(rng.integers(0, 5, N), dtype="Int8"),
            "SparseArray": pd.arrays.SparseArray(gaps(numbers, rng, 0.9)),
        },
        "categories": {
            "many": strings,
            "few": rng.choice(letters[:3], N),
            "pair": rng.choice(letters[:2], N),
            "last": objects([*["b"] * (N - 1), "a"]),
            "gaps": with_none,
            "dtype": pd.Categorical(strings, categories=["unused", *letters[::-1]]),
            "ints": pd.Categorical(rng.integers(0, 4, N), categories=[7, 3, 2, 1, 0]),
            "days": pd.Categorical(pd.to_datetime(rng.choice(["2020-01-02", "2020-01-01"], N))),
            "bins": pd.cut(numbers, 3),
            "ids": [f"id{i}" for i in range(N)],
        },
        "objects": {
            "decimals": [decimal.Decimal(int(i)) / 3 for i in rng.integers(0, 9, N)],
            "mixed numbers": objects(rng.choice([1, 1.0, True, 2.5, None], N)),
            "huge": objects([10**300 + i for i in range(N)]),
            "floats": objects(list(gaps(numbers, rng))),
            "unsortable": pd.Categorical(
                rng.choice([0, 1, 2], N), categories=[0, 1, 2]
            ).rename_categories([1j, frozenset("a"), (1, 2)]),
        },
    }
    tables = {name: pd.DataFrame(columns) for name, columns in frames.items()}
    array = np.column_stack([numbers, gaps(numbers, rng), np.ones(N), rng.integers(0, 3, N)])
    tables["labels of integers"] = pd.DataFrame(array)
    tables["array"] = array
    tables["array of float32"] = array.astype(np.float32)
    tables["array of integers"] = rng.integers(-3, 9, (N, 4))
    tables["array of booleans"] = rng.random((N, 3)) < 0.5
    tables["array of objects"] = np.column_stack([array.astype(object), with_none, strings])
    tables["array of strings"] = np.array(strings)[:, None]
    tables["CSR"] = sparse
    tables["CSR of float32"] = sp.csr_array(sparse, dtype=np.float32)
    tables["CSR with gaps"] = gappy
    return tables


TABLES = make_tables()
CHUNKINGS = {
    "one": [N],
    "halves": [N // 2, N],
    "rows": range(1, N + 1),
    "uneven": [1, 2, 40, 41, 71, N],
    "empty": [0, 50, 50, N, N],
}
STANDARD = {"scale": "standard", "max_one_hot": None, "dtype": "float64"}
WEIGHTS = {
    "none": None,
    "zeros": np.arange(N) % 3 * 1.0,
    "fractions": np.random.default_rng(1).random(N),
    "zeros first": np.where(np.arange(N) < 50, 0.0, 0.3),
}


@pytest.mark.filterwarnings("ignore:All values")
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("table", TABLES)
def test_chunks_are_the_same_as_all_rows(table, chunking, weight):
    X, w = TABLES[table], WEIGHTS[weight]
    for options in ({}, STANDARD) if chunking == "halves" else ({},):
        expected = TabularEncoder(**options).fit(X, sample_weight=w)
        encoder = in_chunks(X, CHUNKINGS[chunking], w, **options)
        assert state(encoder) == state(expected)
        assert encoder.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()
        same(encoder.transform(X), expected.transform(X))


def same(Z, expected):
    assert type(Z) is type(expected)
    if sp.issparse(Z):
        Z, expected = Z.toarray(), expected.toarray()
    np.testing.assert_array_equal(Z, expected, strict=True)


@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_polars_in_chunks(chunking):
    pl = pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    strings = rng.choice(list("abcdefghijklm"), N).tolist()
    X = pl.DataFrame(
        {
            "f": gaps(rng.normal(size=N), rng),
            "i": [*[None] * 50, *range(22)],
            "b": rng.random(N) < 0.5,
            "s": strings,
            "none": [None] * N,
            "c": pl.Series(strings).cast(pl.Categorical),
            "e": pl.Series(strings, dtype=pl.Enum(list("zabcdefghijklm"))),
            "d": [decimal.Decimal(i) for i in range(N)],
        }
    )
    with pytest.warns(UserWarning, match="missing in column 'none'"):
        expected = TabularEncoder().fit(X)
    encoder = in_chunks(X, CHUNKINGS[chunking])
    with pytest.warns(UserWarning, match="missing in column 'none'"):
        encoder.transform(X)
    assert state(encoder) == state(expected)
    same(encoder.transform(X), expected.transform(X))


@pytest.mark.parametrize("spec", [["a"], [0], None])
def test_numbers_named_as_categories(spec):
    X = pd.DataFrame({"a": [NAN, NAN, 3, 2**60, 1, 3], "b": range(6)})
    expected = TabularEncoder(categorical_features=spec).fit(X)
    encoder = in_chunks(X, range(1, 7), categorical_features=spec)
    assert state(encoder) == state(expected)


# States that are merged


def merged(X, ends, weight=None, **options):
    """Return the encoder of chunks that were read apart, and merged two by two."""
    states, start, first = [], 0, 0
    for end in ends:
        w = None if weight is None else weight[start:end]
        chunk = rows_of(X, slice(start, end))
        states.append(TabularEncoder(**options).of_chunk(chunk, w, first))
        first += end - start if w is None else np.count_nonzero(w)
        start = end
    while len(states) > 1:
        for state, other in zip(states[::2], states[1::2], strict=False):
            state.merge(pickle.loads(pickle.dumps(other)))
        states = states[::2]
    return states[0]


@pytest.mark.filterwarnings("ignore:All values")
@pytest.mark.parametrize("weight", [w for w in WEIGHTS if w != "fractions"])
@pytest.mark.parametrize("chunking", ["halves", "uneven", "empty"])
@pytest.mark.parametrize("table", TABLES)
def test_merged_chunks_are_the_same_as_all_rows(table, chunking, weight):
    X, w = TABLES[table], WEIGHTS[weight]
    w = None if w is None else np.ceil(w)  # totals of integers are exact
    expected = TabularEncoder().fit(X, sample_weight=w)
    encoder = merged(X, CHUNKINGS[chunking], w)
    assert state(encoder) == state(expected)
    same(encoder.transform(X), expected.transform(X))


@pytest.mark.filterwarnings("ignore:All values")
@pytest.mark.parametrize("table", TABLES)
def test_merged_samples_are_those_of_one_pass(small, table):
    X = TABLES[table]
    found, expected = (state(way(X, CHUNKINGS["uneven"])) for way in (merged, in_chunks))
    of_merged, of_one_pass = numbers_of(found), numbers_of(expected)
    assert (found, of_merged[0]) == (expected, of_one_pass[0])
    np.testing.assert_allclose(of_merged[1], of_one_pass[1], rtol=1e-11, atol=1e-12)


# Chunks of which the dtypes differ


FRAME_OF = {
    "int": pd.Series([1, 2]),
    "float": pd.Series([1.5, NAN]),
    "float32": pd.Series([1.5, NAN], dtype="float32"),
    "bool": pd.Series([True, False]),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "decimal": pd.Series([decimal.Decimal(3), None]),
    "objects": pd.Series([4, None], dtype=object),
    "NaN": pd.Series([NAN, NAN]),
    "None": pd.Series([None, None], dtype=object),
}


@pytest.mark.parametrize("first", FRAME_OF)
@pytest.mark.parametrize("second", FRAME_OF)
def test_dtypes_of_numbers_may_differ(first, second):
    if {first, second} <= {"NaN", "None"}:
        return
    encoder = TabularEncoder(clip=None, dtype="float64")
    both = pd.concat([FRAME_OF[n].astype("float64") for n in (first, second)]).to_frame("a")
    expected = clone(encoder).fit(both)
    for name in (first, second):
        encoder.partial_fit(FRAME_OF[name].to_frame("a"))
    same(encoder.transform(both), expected.transform(both))
    for name in (first, second):
        assert encoder.transform(FRAME_OF[name].to_frame("a")).shape == (2, encoder.n_features_out_)


STRINGS = {
    "str": pd.Series(["b", "a"]),
    "objects": pd.Series(["b", None], dtype=object),
    "string": pd.Series(["c", None], dtype="string"),
    "dtype": pd.Series(pd.Categorical(["c", "a"], categories=["c", "b", "a"])),
    "other dtype": pd.Series(pd.Categorical(["z", None], categories=["z", "q"])),
    "NaN": pd.Series([NAN, NAN]),
    "None": pd.Series([None, None], dtype=object),
    "no category": pd.Series(pd.Categorical([None, None])),
}


@pytest.mark.parametrize("first", STRINGS)
@pytest.mark.parametrize("second", STRINGS)
def test_lists_of_categories_may_differ(first, second):
    if {first, second} <= {"NaN", "None", "no category"}:
        return
    encoder = TabularEncoder(max_one_hot=0)
    chunks = [STRINGS[n].astype(object).to_frame("a") for n in (first, second)]
    expected = clone(encoder).fit(pd.concat(chunks))
    for name in (first, second):
        encoder.partial_fit(STRINGS[name].to_frame("a"))
    assert encoder.categories_[0].tolist() == expected.categories_[0].tolist()
    for name, chunk in zip((first, second), chunks, strict=True):
        for n_copies in (1, 200):  # both paths of transform
            given = pd.concat([STRINGS[name].to_frame("a")] * n_copies)
            Z = expected.transform(pd.concat([chunk] * n_copies))
            np.testing.assert_array_equal(encoder.transform(given), Z)


def test_only_gaps_of_numbers_stay_numbers():
    encoder = TabularEncoder()
    for _ in range(2):
        encoder.partial_fit(pd.DataFrame({"a": [NAN], "b": [None]}))
    with pytest.warns(UserWarning, match="missing in column 'a', column 'b'"):
        assert encoder.numeric_columns_ == [0]
    encoder.partial_fit(pd.DataFrame({"a": pd.Series([None], dtype=object), "b": [NAN]}))
    with pytest.warns(UserWarning, match="missing in column 'a', column 'b'"):
        assert encoder.numeric_columns_ == []


# What is refused

FIRST = pd.DataFrame({"a": [1.0, 2.0], "Col": ["x", "y"], "k": pd.Categorical([1, 2])})
REFUSED = {
    "missing": (FIRST[["a", "k"]], "now missing:\n- Col"),
    "new": (FIRST.assign(new=1), "unseen at fit time:\n- new"),
    "order": (FIRST[["k", "Col", "a"]], "same order"),
    "numbers": (
        FIRST.assign(Col=[1, 2]),
        "'Col' held strings in the chunks before, and .* such as 1",
    ),
    "strings": (
        FIRST.assign(a=["1", "2"]),
        "'a' held numbers in the chunks before, and .* such as '1'",
    ),
    "bools": (FIRST.assign(Col=True), "'Col' held strings in the chunks before"),
    "dates": (FIRST.assign(Col=pd.to_datetime(["2020", "2021"])), "'Col' holds dates"),
    "objects": (FIRST.assign(a=[1.0, "x"]), "'a' holds both numbers and strings"),
    "infinity": (FIRST.assign(a=[1.0, np.inf]), "contains infinity .* in column 'a'"),
    "infinity in a gap": (FIRST.assign(a=[NAN, -np.inf]), "contains infinity .* in column 'a'"),
    "undeclared": (FIRST.assign(k=[1, 2]), "'k' holds numbers, such as 1, that are not declared"),
    "declared": (
        FIRST.assign(a=pd.Categorical([1, 2])),
        "'a' .* such as 1, that are declared as cat",
    ),
    "array": (np.ones((2, 2)), "X has 2 features, but TabularEncoder is expecting 3"),
    "CSR": (sp.csr_matrix(np.ones((2, 3))), "X is sparse, and the chunks before were dense"),
    "weights": (FIRST, "inconsistent numbers of samples|sample_weight.shape"),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("kind", REFUSED)
def test_chunks_that_do_not_fit_are_refused_by_name(kind):
    X, words = REFUSED[kind]
    encoder = TabularEncoder().partial_fit(FIRST)
    before = state(clone(encoder).partial_fit(FIRST))
    weight = [1.0] * 3 if kind == "weights" else None
    for _ in range(2):
        with pytest.raises((ValueError, TypeError), match=words):
            encoder.partial_fit(X, sample_weight=weight)
    assert state(encoder) == before  # nothing of the chunk was kept
    encoder.partial_fit(FIRST)
    assert state(encoder) == state(TabularEncoder().fit(pd.concat([FIRST, FIRST])))


OTHER_WORDS = {  # of chunks that were read apart
    "missing": "X lacks column 'Col'",
    "new": "X has the new column 'new'",
    "order": "columns in the order",
    "array": "X has 2 columns, and the chunks before had 3",
    "numbers": "'Col' held strings in the chunks before, and holds numbers now, such as 1",
    "bools": "'Col' held strings in the chunks before, and holds numbers now",
    "undeclared": "'k' holds numbers, such as 1.0, that are not declared",
}
ALONE = ("dates", "objects", "infinity", "infinity in a gap", "weights")


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind not in ALONE])
def test_chunks_that_were_read_apart_are_refused_by_name(kind):
    X, words = REFUSED[kind]
    encoder = TabularEncoder().of_chunk(FIRST, None, 0)
    with pytest.raises(ValueError, match=OTHER_WORDS.get(kind, words)):
        encoder.merge(TabularEncoder().of_chunk(X, None, 2))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([0, 2], "lacks column 1"),
        ([1, 0], r"order \[1, 0\]"),
    ],
)
def test_labels_that_are_no_strings(columns, words):
    encoder = TabularEncoder().partial_fit(pd.DataFrame([[1.0, 2.0]]))
    with pytest.raises(ValueError, match=words):
        encoder.partial_fit(pd.DataFrame([[1.0, 2.0]], columns=columns))


def test_the_selection_of_columns_stays():
    encoder = TabularEncoder(categorical_features=["a"]).partial_fit(FIRST[["a"]])
    with pytest.raises(ValueError, match="categorical_features names other columns now"):
        encoder.set_params(categorical_features=None).partial_fit(FIRST[["a"]])
    with pytest.raises(ValueError, match="'Col' holds categories, such as 'x'"):
        TabularEncoder(categorical_features=["a"]).partial_fit(FIRST)


def test_chunks_of_a_sparse_matrix_have_no_categories():
    with pytest.raises(ValueError, match="for a sparse X"):
        TabularEncoder(categorical_features=[0]).partial_fit(sp.eye(3).tocsr())


@pytest.mark.parametrize("values", [[datetime.date(2020, 1, 1)], [[1]], [{}], [b"a"]])
def test_values_of_other_types_are_refused_in_any_chunk(values):
    encoder = TabularEncoder().partial_fit(pd.DataFrame({"Col": [None]}))
    with pytest.raises(TypeError, match="column 'Col' holds"):
        encoder.partial_fit(pd.DataFrame({"Col": pd.Series(values, dtype=object)}))


# The life of the encoder


def test_before_any_row():
    encoder = TabularEncoder()
    for X in (FIRST[:0], FIRST[:0]):
        encoder.partial_fit(X)
    with pytest.raises(Exception, match="not fitted yet"):
        encoder.transform(FIRST)
    with pytest.raises(ValueError, match="now missing:\n- Col"):
        encoder.partial_fit(FIRST[["a", "k"]][:0])
    encoder.partial_fit(FIRST, sample_weight=[0, 0])
    with pytest.raises(Exception, match="not fitted yet"):
        encoder.transform(FIRST)
    assert state(encoder.partial_fit(FIRST)) == state(TabularEncoder().fit(FIRST))


def test_a_transform_between_chunks():
    X = TABLES["categories"]
    encoder = TabularEncoder()
    for end in (10, 100, N):
        encoder.partial_fit(
            X[end - 10 : end] if end == 10 else X[(10 if end == 100 else 100) : end]
        )
        expected = TabularEncoder().fit(X[:end])
        assert encoder.__sklearn_is_fitted__()
        same(encoder.transform(X), expected.transform(X))


def test_fit_starts_again_and_partial_fit_after_fit_too():
    X = TABLES["nullable"]
    encoder = in_chunks(X, [50, N]).fit(X[:60])
    expected = state(TabularEncoder().fit(X[:60]))
    assert state(encoder) == expected
    with pytest.warns(UserWarning, match="partial_fit starts again"):
        encoder.partial_fit(X[:40])
    assert state(encoder.partial_fit(X[40:60])) == expected
    assert not hasattr(clone(encoder), "n_features_in_")
    assert not clone(encoder).__sklearn_is_fitted__()


def test_an_error_in_fit_keeps_the_chunks():
    encoder = TabularEncoder().partial_fit(FIRST)
    with pytest.raises(ValueError, match="infinity"):
        encoder.fit([[np.inf]])
    encoder.partial_fit(FIRST)
    assert state(encoder) == state(TabularEncoder().fit(pd.concat([FIRST, FIRST])))


def test_a_pickle_between_chunks():
    X = TABLES["categories"]
    encoder = TabularEncoder()
    for start in range(0, N, 18):
        encoder = pickle.loads(pickle.dumps(encoder.partial_fit(X[start : start + 18])))
    assert state(encoder) == state(TabularEncoder().fit(X))


def test_threads_share_an_encoder_after_the_last_chunk():
    X = TABLES["categories"]
    expected = TabularEncoder().fit(X).transform(X)
    for _ in range(10):
        encoder = in_chunks(X, CHUNKINGS["halves"])
        with ThreadPoolExecutor(4) as pool:
            for Z in pool.map(encoder.transform, [X] * 4):
                np.testing.assert_array_equal(Z, expected)


def test_files_hold_what_is_learned_and_no_rows(tmp_path):
    X, y = TABLES["categories"].drop(columns=["days", "bins"]), np.arange(N) % 5.0
    model = TabularRegressor(n_members=1, max_iter=1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(X, y).encoder_ = in_chunks(X, CHUNKINGS["uneven"])
    skdeep.save(model, tmp_path / "model.skdeep")
    loaded = skdeep.load(tmp_path / "model.skdeep")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert "_passes" in vars(model.encoder_)
    assert "_passes" not in vars(loaded.encoder_)
    with pytest.warns(UserWarning, match="partial_fit starts again: fit, and files, keep no rows"):
        loaded.encoder_.partial_fit(X)


def test_parameters_count_as_they_were_at_the_last_chunk():
    encoder = TabularEncoder().partial_fit(FIRST)
    encoder.set_params(dtype="float64", max_one_hot=0)
    assert encoder.transform(FIRST).dtype == np.float32
    assert encoder.partial_fit(FIRST).transform(FIRST).dtype == np.float64
    assert encoder.code_columns_ == [1, 2]


def test_integers_that_are_categories_stay_apart():
    encoder = TabularEncoder(categorical_features=[0])
    for value in (2**60, 2**60 + 1, 2**60):
        encoder.partial_fit(np.array([[value]]))
    assert encoder.categories_[0].tolist() == [2**60, 2**60 + 1]


# More rows than the sample holds


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 20)


def numbers_of(learned):
    """Return the learned numbers as floats, apart from all else."""
    texts = [learned.pop("scaling"), *learned.pop("categories")]
    found = {(i, k): text for i, part in enumerate(texts) for k, text in part.items()}
    floats = {key: found.pop(key) for key in list(found) if key[1] in FLOATS}
    return found, [float(x) for t in floats.values() for x in t.strip("[]").split(", ") if x]


FLOATS = ("unit", "center", "spread", "median", "fill", "low", "high", "counts")


@pytest.mark.filterwarnings("ignore:All values")
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("options", [{}, STANDARD], ids=["robust", "standard"])
def test_the_sample_does_not_depend_on_the_chunks(small, table, weight, options):
    X, w = TABLES[table], WEIGHTS[weight]
    expected = state(in_chunks(X, [N], w, **options))
    others, numbers = numbers_of(expected)
    for chunking in ("halves", "uneven", "empty"):
        found = state(in_chunks(X, CHUNKINGS[chunking], w, **options))
        of_chunks = numbers_of(found)
        assert (found, of_chunks[0]) == (expected, others)
        np.testing.assert_allclose(of_chunks[1], numbers, rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore:All values")
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("table", TABLES)
def test_all_but_the_quartiles_is_exact_beyond_the_sample(small, table, weight):
    X, w = TABLES[table], WEIGHTS[weight]
    for scale in ("standard", None):
        encoder = in_chunks(X, CHUNKINGS["uneven"], w, scale=scale, dtype="float64")
        expected = TabularEncoder(scale=scale, dtype="float64").fit(X, sample_weight=w)
        found, wanted = state(encoder), state(expected)
        for learned in (found, wanted):
            for name in ("median", "fill"):
                del learned["scaling"][name]
        of_chunks, of_all = numbers_of(found), numbers_of(wanted)
        assert (found, of_chunks[0]) == (wanted, of_all[0])
        np.testing.assert_allclose(of_chunks[1], of_all[1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["frame", "array", "CSR"])
def test_quartiles_of_a_sample_are_near(kind, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 4000)
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(3, 2, 20_000), rng.exponential(size=20_000)])
    X[rng.random(X.shape) < 0.3] = 0
    X = {"frame": pd.DataFrame, "array": np.asarray, "CSR": sp.csr_matrix}[kind](X)
    encoder = TabularEncoder(clip=None, dtype="float64")
    expected = clone(encoder).fit(X)._scaling
    for start in range(0, 20_000, 1500):
        encoder.partial_fit(rows_of(X, slice(start, start + 1500)))
    np.testing.assert_allclose(encoder._scaling.center, expected.center, atol=0.1)
    np.testing.assert_allclose(encoder._scaling.spread, expected.spread, rtol=0.1)
    assert not np.array_equal(encoder._scaling.spread, expected.spread)


def test_a_column_without_numbers_in_the_sample(small):
    X = np.full((N, 2), NAN)
    X[:, 0] = np.arange(N)
    missing = set(range(N)) - set(Sample(1).choose(N).tolist())
    rows = sorted(missing)[:3]
    X[rows, 1] = [1.0, 2.0, 6.0]
    encoder = in_chunks(X, CHUNKINGS["uneven"], clip=None, dtype="float64")
    assert encoder.transform(X[rows])[:, 1].tolist() == pytest.approx([-0.8, -0.4, 1.2])


def test_a_rare_entry_of_a_sparse_matrix(small):
    dense = np.zeros((N, 3))
    row = min(set(range(N)) - set(Sample(1).choose(N).tolist()))
    dense[row, 1] = 4.0
    dense[:, 2] = 1.0
    X = sp.csr_array(dense)
    encoder = in_chunks(X, CHUNKINGS["uneven"], clip=None)
    same(encoder.transform(X), TabularEncoder(clip=None).fit(X).transform(X))


class TestSample:
    def test_rows_are_drawn_uniformly(self):
        chosen = Sample(1).choose(2 * sample.MOST_ROWS)
        assert len(chosen) == sample.MOST_ROWS
        parts = np.bincount(chosen // 1000, minlength=200)
        assert 400 < parts.min() < parts.max() < 600
        assert np.ptp(np.bincount(chosen % 16)) < 300

    @pytest.mark.parametrize(("n_columns", "n_rows"), [(10, 100_000), (84, 99_864), (10**6, 200)])
    def test_bounds(self, n_columns, n_rows):
        assert len(Sample(n_columns).choose(150_000)) == n_rows

    def test_wide_sparse_rows(self, monkeypatch):
        monkeypatch.setattr(sample, "MOST_BYTES", 50_000)
        X = sp.random(2000, 50, 0.5, "csr", random_state=np.random.default_rng(0))
        encoder = TabularEncoder()
        for start in range(0, 2000, 90):
            encoder.partial_fit(X[start : start + 90])
        kept = encoder._passes.sample.rows()
        assert 150 <= len(kept.positions) <= 200
        assert (np.diff(kept.positions) > 0).all()
        np.testing.assert_array_equal(kept.values.toarray(), X[kept.positions].toarray())


@pytest.mark.parametrize("kind", ["frame", "array"])
def test_memory_and_pickles_stay_bounded(kind, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 2000)
    rng = np.random.default_rng(0)
    encoder = TabularEncoder()
    chunk = rng.normal(size=(1000, 20))
    chunk = pd.DataFrame(chunk).add_prefix("x") if kind == "frame" else chunk
    for i in range(40):
        encoder.partial_fit(chunk)
        if i == 10:
            tracemalloc.start()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2000 * 20 * 8  # a quarter of all chunks
    assert len(pickle.dumps(encoder)) < 1.5 * 2000 * 20 * 8


def test_many_columns(rng):
    X = rng.normal(size=(300, 3000))
    encoder = in_chunks(X, [100, 101, 300])
    same(encoder.transform(X), TabularEncoder().fit(X).transform(X))
