"""TabularEncoder: what becomes of each kind of column, and what is refused in which words."""

import datetime
import decimal
import enum
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import TabularEncoder

NAN = np.nan
N = pd.NA


def frame(**columns):
    return pd.DataFrame(columns)


def encode(X, **options):
    return TabularEncoder(**{"dtype": "float64", **options}).fit_transform(X)


CHECKED = [
    TabularEncoder(),
    TabularEncoder(dtype="float64", scale="standard", clip=None),
    TabularEncoder(scale=None, sparse_output=True),
    TabularEncoder(sparse_output=False, missing_indicator=False),
]
CHECKS = parametrize_with_checks(CHECKED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# Numbers

SCALED = {
    "quartiles": ([0.0, 1, 2, 3, 4], {}, [-1, -0.5, 0, 0.5, 1]),
    "equal quartiles: half the range": ([0.0, 0, 0, 0, 0, 8], {}, [0, 0, 0, 0, 0, 2]),
    "constant": ([7.0, 7, 7], {}, [0, 0, 0]),
    "one row": ([7.0], {}, [0]),
    "standard": ([1.0, 3], {"scale": "standard"}, [-1, 1]),
    "standard, constant": ([0.1] * 3, {"scale": "standard"}, [0, 0, 0]),
    "none": ([1.0, 30], {"scale": None, "clip": 3.0}, [1, 30]),
    "bools": ([True, False], {}, [1, -1]),
    "nearly overflow": ([-1.7e308, 0, 1.7e308], {}, [-1, 0, 1]),
    "large, little spread": ([1e30, 1e30, 1e30 * (1 + 2**-50)], {}, [0, 0, 2]),
    "subnormal": ([0.0, 5e-324, 1e-323], {}, [-1, 0, 1]),
    "a subnormal spread": ([0.0, 5e-324, 1.0], {"scale": "standard", "clip": None}, None),
    "beyond 2**53": ([2**60, 2**60 + 2**20, 2**60 + 2**21], {}, [-1, 0, 1]),
    "unsigned": (np.array([0, 2**63, 2**64 - 1], np.uint64), {}, [-1, 0, 1]),
    "float16": (np.array([1, 2, 3], np.float16), {}, [-1, 0, 1]),
}


@pytest.mark.parametrize("name", SCALED)
def test_numbers_are_scaled(name):
    values, options, expected = SCALED[name]
    options = {"clip": None, **options}
    Z = encode(np.array(values)[:, None], **options)
    assert np.isfinite(Z).all()
    if expected is not None:
        np.testing.assert_allclose(Z[:, 0], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(encode(pd.DataFrame({"a": values}), **options), Z)


@pytest.mark.parametrize("clip", [1e-30, 0.5, 3, 1e30, np.float32(3)])
def test_the_clip_is_smooth_and_bounds_what_is_far(clip):
    encoder = TabularEncoder(clip=clip, dtype="float64").fit([[-1.0], [0.0], [1.0]])
    z = np.array([0.0, 0.5, -2.0])
    Z = encoder.transform(z[:, None])[:, 0]
    np.testing.assert_allclose(Z, z / np.sqrt(1 + (z / clip) ** 2), rtol=1e-6)
    far = encoder.transform([[1.7e308], [-1.7e308]])[:, 0]
    assert np.isfinite(far).all()
    assert abs(far).max() <= clip * (1 + 1e-6)


MISSING = {
    "float": [1.0, NAN, 2, 3],
    "float16": np.array([1.0, NAN, 2, 3], np.float16),
    "objects": pd.Series([1, None, 2.0, 3], dtype=object),
    "objects with NA": pd.Series([1, N, 2, 3], dtype=object),
    "decimals": [decimal.Decimal(v) for v in (1, "NaN", 2, 3)],
    "Int64": pd.Series([1, None, 2, 3], dtype="Int64"),
    "Float64": pd.Series([1, None, 2, 3], dtype="Float64"),
    "sparse": pd.arrays.SparseArray([1.0, NAN, 2, 3]),
    "category of numbers as numbers": pd.Categorical([1, None, 2, 3]),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("n_copies", [1, 100])
def test_missing_numbers_become_the_median_and_are_marked(kind, n_copies):
    X = pd.concat([frame(a=MISSING[kind])] * n_copies)
    encoder = TabularEncoder(clip=None, categorical_features=None).fit(frame(a=MISSING[kind]))
    Z = encoder.transform(X)[:4]
    np.testing.assert_array_equal(Z, [[-1, 0], [0, 1], [0, 0], [1, 0]])
    assert encoder.get_feature_names_out().tolist() == ["a", "a_missing"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([True, None, False, True], dtype="boolean"), [0, 0, -2, 0]),
        (pd.Series([True, None, False, True], dtype=object), [0, 0, -2, 0]),
    ],
)
def test_nullable_booleans_are_numbers(values, expected):
    np.testing.assert_array_equal(encode(frame(a=values), clip=None)[:, 0], expected)


@pytest.mark.parametrize("scale", ["standard", None])
def test_the_median_stands_for_a_missing_number_in_every_scale(scale):
    encoder = TabularEncoder(scale=scale, dtype="float64").fit([[0.0], [1.0], [8.0], [NAN]])
    Z = encoder.transform([[NAN], [1.0]])
    assert Z[0, 0] == Z[1, 0]
    assert Z[:, 1].tolist() == [1, 0]


def test_without_indicators():
    Z = encode([[NAN, 1], [2, NAN]], missing_indicator=False)
    assert Z.shape == (2, 2)


@pytest.mark.parametrize(
    "values",
    [
        [NAN] * 3,
        pd.Series([None] * 3, dtype=object),
        pd.Series([None] * 3, dtype="string"),
        pd.Categorical([None] * 3, categories=["a"]),
    ],
)
def test_a_column_that_is_all_missing_becomes_0_with_a_warning(values):
    encoder = TabularEncoder(missing_indicator=False)
    with pytest.warns(UserWarning, match="missing in column 'Age' of X") as caught:
        encoder.fit(frame(Age=values, b=[1, 2, 3]))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    place = encoder.get_feature_names_out().tolist().index("Age")
    assert not encoder.transform(frame(Age=values, b=[1, 2, 3]))[:, place].any()
    later = frame(Age=[5.0], b=[1]) if values[0] is NAN else frame(Age=["a"], b=[1])
    assert encoder.transform(later)[0, place] == 0


INFINITE = {
    "array": np.array([[1.0, 2], [3, np.inf]]),
    "frame": frame(a=[1.0, 2], Col=[-np.inf, 1]),
    "nullable": frame(a=[1.0, 2], Col=pd.Series([np.inf, 1], dtype="Float64")),
    "objects": frame(a=[1.0, 2], Col=pd.Series([10**400, 1], dtype=object)),
    "sparse": sp.csr_matrix([[1.0, 2], [3, np.inf]]),
}


@pytest.mark.parametrize("kind", INFINITE)
@pytest.mark.parametrize("n_copies", [1, 200])
def test_infinite_numbers_are_refused_by_name(kind, n_copies):
    X = INFINITE[kind]
    is_frame = isinstance(X, pd.DataFrame)
    words = r"contains infinity or a value too large for dtype\('float32'\). It is in column "
    words += "'Col'" if is_frame else "1"
    with pytest.raises(ValueError, match=words):
        TabularEncoder().fit(X)
    if is_frame:
        finite, many = frame(a=[1, 2], Col=[1, 2]), pd.concat([X] * n_copies)
    elif sp.issparse(X):
        finite, many = sp.csr_matrix(np.eye(2)), sp.vstack([X] * n_copies)
    else:
        finite, many = np.eye(2), np.vstack([X] * n_copies)
    encoder = TabularEncoder().fit(finite)
    with pytest.raises(ValueError, match=words):
        encoder.transform(many)


@pytest.mark.parametrize("n_rows", [1, 300])
def test_without_a_clip_a_result_may_be_too_large(n_rows):
    encoder = TabularEncoder(clip=None).fit(frame(a=[0.0, 1.0], b=["x", "y"]))
    with pytest.raises(ValueError, match="too large for dtype"):
        encoder.transform(frame(a=[1e39] * n_rows, b=["x"] * n_rows))


# Categories

STRINGS = {
    "default": pd.Series,
    "object": lambda v: pd.Series(v, dtype=object),
    "string[python]": lambda v: pd.Series(v, dtype="string[python]"),
    "category": lambda v: pd.Series(pd.Categorical(v, categories=["unused", "c", "b", "a"])),
}
TO_3 = ["b", "c", None, "a", "b"]


@pytest.mark.parametrize("kind", STRINGS)
@pytest.mark.parametrize("other", STRINGS)
@pytest.mark.parametrize("n_copies", [1, 100])
def test_strings_are_compared_by_value(kind, other, n_copies):
    options = {"scale": None}
    encoder = TabularEncoder(**options).fit(frame(Col=STRINGS[kind](TO_3)))
    Z = encoder.transform(frame(Col=STRINGS[other]([*TO_3, "unused"] * n_copies)))[:6]
    expected = [[0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(Z, expected)
    assert encoder.categories_[0].tolist() == ["a", "b", "c"]
    assert encoder.get_feature_names_out().tolist() == ["Col_a", "Col_b", "Col_c"]


LAYOUTS = {  # (number of categories, max_one_hot): (columns, codes)
    (1, 8): (1, []),
    (2, 8): (1, []),
    (3, 8): (3, []),
    (8, 8): (8, []),
    (9, 8): (1, [10]),
    (2, 2): (1, []),
    (2, 1): (1, [3]),
    (1, 1): (1, []),
    (2, 0): (1, [3]),
    (1, 0): (1, [2]),
    (50, None): (50, []),
}


@pytest.mark.parametrize(("n", "max_one_hot"), LAYOUTS)
def test_max_one_hot_decides_the_layout(n, max_one_hot):
    X = frame(c=[f"v{i:02}" for i in range(n)] * 2, x=range(2 * n))
    encoder = TabularEncoder(max_one_hot=max_one_hot).fit(X)
    width, codes = LAYOUTS[n, max_one_hot]
    assert encoder.n_features_out_ == encoder.transform(X).shape[1] == width + 1
    assert encoder.n_codes_ == codes
    assert encoder.code_columns_ == [0] * len(codes)
    if codes:
        Z = encoder.transform(frame(c=[*X.c[:n], None, "new"], x=range(n + 2)))
        assert Z[:, encoder.blocks_["codes"]].ravel().tolist() == [*range(1, n + 1), 0, 0]


def test_a_pair_is_minus_1_and_1():
    encoder = TabularEncoder().fit(frame(sex=["male", "female", "male"]))
    Z = encoder.transform(frame(sex=["male", "female", None, "other"]))
    assert Z.ravel().tolist() == [1, -1, 0, 0]
    assert encoder.get_feature_names_out().tolist() == ["sex_male"]


@pytest.mark.parametrize("scale", ["robust", "standard"])
@pytest.mark.parametrize("clip", [3.0, None])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_hot_columns_are_scaled_as_numbers_are(scale, clip, weighted, rng):
    c = rng.choice(["a", "b", "c", "d", None], 200, p=[0.6, 0.2, 0.1, 0.05, 0.05])
    dummies = np.column_stack([(c == v).astype(float) for v in "abcd"])
    weight = rng.integers(0, 4, 200) / 3 if weighted else None
    options = {"scale": scale, "clip": clip, "dtype": "float64"}
    one_hot = TabularEncoder(**options).fit(frame(c=c), sample_weight=weight)
    numbers = TabularEncoder(**options).fit(dummies, sample_weight=weight)
    np.testing.assert_allclose(
        one_hot.transform(frame(c=c)), numbers.transform(dummies), rtol=1e-9, atol=1e-12
    )


def test_the_order_of_the_output():
    X = frame(
        zip=[f"z{i}" for i in range(10)],
        age=[NAN, *range(9)],
        sex=["f", "m"] * 5,
        city=["Oslo", "Rome", "Paris", "Rome", "Oslo"] * 2,
        size=range(10),
    )
    encoder = TabularEncoder().fit(X)
    names = ["age", "size", "age_missing", "sex_m", "city_Oslo", "city_Paris", "city_Rome", "zip"]
    assert encoder.get_feature_names_out().tolist() == names
    assert encoder.numeric_columns_ == [1, 4]
    assert encoder.code_columns_ == [0]
    blocks = {"numeric": (0, 2), "missing": (2, 3), "one_hot": (3, 7), "codes": (7, 8)}
    assert {k: (s.start, s.stop) for k, s in encoder.blocks_.items()} == blocks
    assert encoder.transform(X).shape == (10, 8)
    assert encoder.transform(X).dtype == np.float32


def test_names_are_unique():
    X = frame(a_b=["c", "d"], a=["b_d", "x"], b=[NAN, 1], b_missing=[1, 2])
    encoder = TabularEncoder(max_one_hot=8).fit(X.assign(a=["x", "b_d"]).replace("x", "0"))
    names = encoder.get_feature_names_out().tolist()
    assert names == ["b", "b_missing", "b_missing_2", "a_b_d", "a_b_d_2"]


NUMBER_CATEGORIES = {
    "int": np.array([1, 2, 3]),
    "float": np.array([1.0, 2.0, 3.0]),
    "float16": np.array([1, 2, 3], np.float16),
    "Int64": pd.array([1, 2, 3], dtype="Int64"),
    "objects": pd.Series([1, 2.0, decimal.Decimal(3)], dtype=object),
    "category": pd.Categorical([1, 2, 3], categories=[3, 2, 1, 9]),
}


@pytest.mark.parametrize("kind", NUMBER_CATEGORIES)
@pytest.mark.parametrize("other", NUMBER_CATEGORIES)
@pytest.mark.parametrize("spec", [["c"], [0], [True, False], np.array([0]), (True, False)])
def test_numbers_may_be_categories(kind, other, spec):
    encoder = TabularEncoder(categorical_features=spec, max_one_hot=0)
    encoder.fit(frame(c=NUMBER_CATEGORIES[kind], x=[1, 2, 3]))
    X = frame(c=NUMBER_CATEGORIES[other], x=[1, 2, 3])
    for rows in (X, pd.concat([X] * 100)):
        assert encoder.transform(rows)[:3, 1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "values", [pd.Series([2**60, 2**60 + 1]), pd.Series([2**60, None, 2**60 + 1], dtype="Int64")]
)
def test_large_integers_stay_apart(values):
    encoder = TabularEncoder(categorical_features=["c"]).fit(frame(c=values))
    assert encoder.categories_[0].tolist() == [2**60, 2**60 + 1]
    for n_copies in (1, 200):
        rows = pd.concat([frame(c=values)] * n_copies)
        assert encoder.transform(rows)[: len(values)].ravel().tolist()[:: len(values) - 1] == [
            -1,
            1,
        ]


def test_missing_numbers_among_categories_are_0():
    Z = encode([[1.0], [NAN], [2.0]], categorical_features=[0])
    assert Z.ravel().tolist() == [-1, 0, 1]


def test_intervals_and_dates_may_be_declared_categories():
    X = frame(
        bins=pd.cut([1, 2, 3, 4], 2),
        day=pd.Series(pd.to_datetime(["2020-01-02", "2020-01-01"] * 2)).astype("category"),
    )
    encoder = TabularEncoder().fit(X)
    Z = encoder.transform(X)
    assert Z.tolist() == [[-1, 1], [-1, -1], [1, 1], [1, -1]]
    np.testing.assert_array_equal(encoder.transform(pd.concat([X] * 100))[:4], Z)


def test_categories_that_cannot_be_sorted_keep_their_order():
    values = pd.Series([frozenset("b"), 1j, frozenset("a"), 1j]).astype(
        pd.CategoricalDtype([frozenset("a"), frozenset("b"), 1j])
    )
    encoder = TabularEncoder().fit(frame(c=values))
    assert list(encoder.categories_[0]) == [frozenset("b"), 1j, frozenset("a")]


def test_numeric_dtypes_of_objects_are_told_by_content():
    X = np.array([[1, "a", True], [2.5, "b", False], [None, None, None]], dtype=object)
    encoder = TabularEncoder().fit(X)
    assert encoder.numeric_columns_ == [0, 2]
    assert encoder.get_feature_names_out().tolist() == [
        *["x0", "x2", "x0_missing", "x2_missing", "x1_b"]
    ]


def test_lists_keep_numbers_and_strings_apart():
    encoder = TabularEncoder().fit([[1, "1"], [2, "2"], [3, "1"]])
    assert encoder.numeric_columns_ == [0]
    assert encoder.transform([[2, "2"]]).tolist() == [[0, 1]]


def test_members_of_an_enum_are_strings():
    class City(str, enum.Enum):  # noqa: UP042
        OSLO = "Oslo"
        ROME = "Rome"

    X = frame(c=pd.Series(list(City), dtype=object))
    encoder = TabularEncoder().fit(X)
    assert encoder.get_feature_names_out().tolist() == ["c_Rome"]
    assert {type(c) for c in encoder.categories_[0]} == {str}
    for rows in (X, frame(c=["Oslo", "Rome"])):
        assert encoder.transform(rows).ravel().tolist() == [-1, 1]


def test_ten_thousand_categories():
    X = frame(c=[f"v{i % 10_000:05}" for i in range(20_000)])
    assert encode(X).max() == 10_000
    Z = encode(X, max_one_hot=None)
    assert sp.issparse(Z)
    assert Z.nnz == 20_000


# What is refused

TIME = "Turn it into numbers"
REFUSED = {
    "dates": (pd.Series(pd.date_range("2020", periods=2)), TypeError, TIME),
    "dates with a zone": (pd.Series(pd.date_range("2020", periods=2, tz="UTC")), TypeError, TIME),
    "date objects": ([datetime.date(2020, 1, 1)] * 2, TypeError, TIME),
    "durations": (pd.Series(pd.to_timedelta([1, 2])), TypeError, "total_seconds"),
    "duration objects": (
        pd.Series([datetime.timedelta(1)] * 2, dtype=object),
        TypeError,
        "total_seconds",
    ),
    "NumPy durations": (
        pd.Series([np.timedelta64(1, "s")] * 2, dtype=object),
        TypeError,
        "total_seconds",
    ),
    "times": ([datetime.time(1)] * 2, TypeError, TIME),
    "periods": (pd.Series(pd.period_range("2020", periods=2)), TypeError, TIME),
    "intervals": (pd.Series(pd.interval_range(0, 2)), TypeError, "astype"),
    "complex": ([1j, 2], TypeError, "two columns"),
    "bytes": ([b"a", b"b"], TypeError, "decode"),
    "lists": ([[1], [2]], TypeError, "of type list"),
    "tuples": ([(1,), (2,)], TypeError, "of type tuple"),
    "dicts": ([{}, {}], TypeError, "of type dict"),
    "arrays": ([np.zeros(2)] * 2, TypeError, "of type ndarray"),
    "numbers and strings": ([1, "a"], ValueError, r"such as 1 and 'a'.*astype\(str\)"),
    "categories of both": (pd.Categorical([1, "a"]), ValueError, r"such as 1 and 'a'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_of_other_types_are_refused_by_name(kind):
    values, error, words = REFUSED[kind]
    values = values if hasattr(values, "dtype") else pd.Series(values, dtype=object)
    with pytest.raises(error, match=f"column 'My Col' holds .*{words}"):
        TabularEncoder().fit(frame(ok=[1.0, 2.0], **{"My Col": values}))
    encoder = TabularEncoder().fit(frame(ok=[1, 2, 3], **{"My Col": ["a", "b", "c"]}))
    for n_rows in (1, 2) if error is TypeError else (2,):
        with pytest.raises((TypeError, ValueError), match="column 'My Col' h"):
            encoder.transform(frame(ok=[1.0, 2.0], **{"My Col": values})[-n_rows:])


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.array([["2020-01-01"]], "M8[D]"), TypeError, "dates"),
        (np.array([[1]], "m8[s]"), TypeError, "durations"),
        (np.array([[b"a"]]), TypeError, "bytes"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        ([1, 2], ValueError, "Expected 2D array, got 1D array"),
        (pd.Series([1, 2]), ValueError, "Expected a 2-dimensional container|Expected 2D array"),
        (np.zeros((2, 2, 2)), ValueError, "Found array with dim 3"),
        (np.zeros((0, 2)), ValueError, r"Found array with 0 sample\(s\)"),
        (np.zeros((2, 0)), ValueError, r"Found array with 0 feature\(s\)"),
        (pd.DataFrame({"a": []}), ValueError, r"Found array with 0 sample\(s\)"),
        (pd.DataFrame(index=[0]), ValueError, r"Found array with 0 feature\(s\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "2 columns of the name 'a'"),
        (pd.DataFrame([[1, 2]], columns=["a", 1]), TypeError, "string names"),
        ("abc", ValueError, "got scalar array"),
        (None, ValueError, "got scalar array"),
    ],
)
def test_what_is_no_table_is_refused(array, error, words):
    with pytest.raises(error, match=words):
        TabularEncoder().fit(array)


@pytest.mark.parametrize("n_copies", [1, 200])
@pytest.mark.parametrize(
    ("fitted", "given", "words"),
    [
        (["a", "b", "c"], [1, 2, 3], r"held strings in fit, and holds numbers now, such as 1\."),
        ([1, 2, 3], ["a", "b", "c"], r"held numbers in fit, and holds strings now, such as 'a'\."),
        (
            pd.Categorical([1, 2, 3]),
            ["1", "2", "3"],
            r"held numbers in fit, and holds strings now, such as '1'\.",
        ),
    ],
)
def test_a_column_keeps_its_kind(fitted, given, words, n_copies):
    encoder = TabularEncoder().fit(frame(Col=fitted))
    with pytest.raises(ValueError, match=f"column 'Col' of X {words}|column 'Col' {words}"):
        encoder.transform(pd.concat([frame(Col=given)] * n_copies))
    missing = frame(Col=pd.Series([None] * 3, dtype=object))
    assert np.isfinite(encoder.transform(missing)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"categorical_features": None}, "column 'c' holds categories, such as 'a'"),
        ({"categorical_features": []}, "column 'c' holds categories"),
        ({"categorical_features": ["x"]}, "column 'c' holds categories"),
        ({"categorical_features": ["y"]}, r"'y', which is no column of X; choose from \['c', 'x'"),
        ({"categorical_features": [2]}, "holds 2, which is no position"),
        ({"categorical_features": [-1]}, "holds -1, which is no position"),
        ({"categorical_features": [True]}, "has 1 booleans for the 2 columns"),
        ({"categorical_features": "c"}, "'c' is not allowed"),
        ({"categorical_features": [0.5]}, "is not allowed"),
        ({"categorical_features": ["c", 1]}, "is not allowed"),
        ({"categorical_features": 0}, "is not allowed"),
        ({"max_one_hot": -1}, "max_one_hot=-1"),
        ({"max_one_hot": True}, "max_one_hot=True"),
        ({"max_one_hot": 2.5}, "max_one_hot=2.5"),
        ({"scale": "minmax"}, "scale='minmax'"),
        ({"clip": 0}, "clip=0"),
        ({"clip": np.inf}, "clip=inf"),
        ({"missing_indicator": "auto"}, "missing_indicator='auto'"),
        ({"sparse_output": "yes"}, "sparse_output='yes'"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"dtype": np.array([1, 2])}, "dtype=array"),
    ],
)
def test_parameters_are_checked(options, words):
    with pytest.raises(ValueError, match=words):
        TabularEncoder(**options).fit(frame(c=["a", "b"], x=[1, 2]))


def test_names_need_a_frame():
    with pytest.raises(ValueError, match="X has no column names"):
        TabularEncoder(categorical_features=["a"]).fit([[1], [2]])


def test_an_unknown_parameter_gets_a_hint():
    with pytest.raises(TypeError, match="did you mean 'max_one_hot'"):
        TabularEncoder(max_onehot=3)


def test_an_encoder_is_as_it_was_after_an_error():
    encoder = TabularEncoder().fit(X_TWO)
    before = encoder.transform(X_TWO)
    for wrong in (frame(q=[1, "a"]), frame(q=[1.0, np.inf]), np.zeros((0, 1))):
        with pytest.raises(ValueError, match=r"In X|infinity|0 sample"):
            encoder.fit(wrong)
    with pytest.raises(ValueError, match="weight"):
        encoder.fit(X_TWO, sample_weight=[0, 0, 0])
    np.testing.assert_array_equal(encoder.transform(X_TWO), before)


def test_before_fit():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(TabularEncoder(), method)([[1]])
    with pytest.raises(NotFittedError):
        TabularEncoder().get_feature_names_out()


X_TWO = frame(a=[1.0, 2.0, 4.0], b=["x", "y", "y"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (X_TWO[["b", "a"]], "must be in the same order"),
        (X_TWO[["a"]], "now missing:\n- b"),
        (X_TWO.assign(c=1), "unseen at fit time:\n- c"),
    ],
)
def test_other_columns_get_the_words_of_scikit_learn(given, words):
    with pytest.raises(ValueError, match=words):
        TabularEncoder().fit(X_TWO).transform(given)


def test_a_frame_without_names_of_strings():
    X = pd.DataFrame([[1, "x"], [2, "y"], [3, "y"]])
    for columns in ([0, 1], [(0, 1), (0, 2)]):
        X.columns = pd.MultiIndex.from_tuples(columns) if columns[0] else columns
        encoder = TabularEncoder().fit(X)
        assert not hasattr(encoder, "feature_names_in_")
        assert encoder.transform(X[:1]).tolist() == encoder.transform(X)[:1].tolist()
        back = encoder.inverse_transform(encoder.transform(X))
        assert list(back.columns) == list(X.columns)
        np.testing.assert_allclose(back.iloc[:, 0], [1, 2, 3], rtol=1e-6)
    with pytest.raises(ValueError, match="3 features, but TabularEncoder is expecting 2"):
        encoder.transform(np.ones((2, 3)))


# Weights


@pytest.mark.parametrize("scale", ["robust", "standard", None])
def test_an_integer_weight_is_a_repetition(scale, rng):
    n = 300
    X = frame(
        a=rng.normal(size=n),
        b=np.where(rng.random(n) < 0.2, NAN, rng.integers(0, 5, n)),
        c=rng.choice(list("abcd"), n),
        d=rng.choice([f"v{i}" for i in range(30)], n),
    )
    weight = rng.integers(0, 4, n)
    options = {"scale": scale, "dtype": "float64"}
    weighted = TabularEncoder(**options).fit(X, sample_weight=weight)
    repeated = TabularEncoder(**options).fit(X.loc[np.repeat(np.arange(n), weight)])
    assert weighted.get_feature_names_out().tolist() == repeated.get_feature_names_out().tolist()
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-9, atol=1e-12)
    S = sp.csr_array(rng.integers(-1, 3, (n, 8)) * (rng.random((n, 8)) < 0.6) * 1.0)
    weighted = TabularEncoder(**options).fit(S, sample_weight=weight)
    repeated = TabularEncoder(**options).fit(S[np.repeat(np.arange(n), weight)])
    np.testing.assert_allclose(weighted.transform(S).data, repeated.transform(S).data, rtol=1e-9)


def test_equal_fractions_are_no_weights(rng):
    X = rng.normal(size=(50, 3))
    Z = encode(X)
    weighted = TabularEncoder(dtype="float64").fit(X, sample_weight=np.full(50, 1 / 50))
    np.testing.assert_allclose(weighted.transform(X), Z, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weight", [[0, 0, 0], [1, -1, 1], [1, 2], [1, NAN, 1]])
def test_weights_are_checked(weight):
    with pytest.raises(ValueError, match="weight"):
        TabularEncoder().fit(X_TWO, sample_weight=weight)


# Sparse


def sparse_numbers(rng, shape=(40, 12), density=0.3):
    dense = np.where(rng.random(shape) < density, rng.normal(size=shape) * 10, 0.0)
    dense[:, 0] = 0
    dense[:, 1] = 5
    dense[:, 2] = np.abs(dense[:, 2]) + 1
    return dense


@pytest.mark.parametrize("scale", ["robust", "standard", None])
@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_array, sp.coo_matrix, sp.lil_array])
def test_a_sparse_matrix_is_scaled_by_spreads(scale, kind, rng):
    dense = sparse_numbers(rng)
    X = kind(dense)
    encoder = TabularEncoder(scale=scale, clip=None, dtype="float64").fit(X)
    Z = encoder.transform(X)
    assert sp.issparse(Z)
    assert Z.format == "csr"
    assert isinstance(Z, sp.sparray) == isinstance(X, sp.sparray)
    spread = np.ones(12)
    q25, q75 = np.quantile(dense, [0.25, 0.75], axis=0)
    half = (dense.max(axis=0) - dense.min(axis=0)) / 2
    if scale == "robust":
        spread = np.where(q75 > q25, q75 - q25, half)
    elif scale == "standard":
        spread = dense.std(axis=0)
    if scale is not None:
        spread[:2] = np.inf
    np.testing.assert_allclose(Z.toarray(), dense / spread, rtol=1e-9)
    np.testing.assert_allclose(encoder.transform(dense), dense / spread, rtol=1e-9)
    forced = TabularEncoder(scale=scale, clip=None, dtype="float64", sparse_output=False)
    np.testing.assert_allclose(forced.fit_transform(X), dense / spread, rtol=1e-9)
    np.testing.assert_array_equal(X.toarray(), dense)


def test_missing_entries_of_a_sparse_matrix_become_0():
    X = sp.csr_matrix(np.array([[NAN, 1.0], [2.0, 0], [4.0, NAN], [6.0, 3.0]]))
    encoder = TabularEncoder(clip=None)
    Z = encoder.fit_transform(X)
    assert encoder.n_features_out_ == 2
    np.testing.assert_allclose(Z.toarray()[:, 0], [0, 1, 2, 3])


@pytest.mark.parametrize("number", [5e-324, 1e-200, 1.0, 1.7e308])
def test_sparse_numbers_of_any_size(number):
    X = sp.csr_matrix(np.array([[number]] + [[0.0]] * 5))
    np.testing.assert_allclose(encode(X, clip=None).data, 2)


def test_duplicate_entries_count_as_their_sum():
    X = sp.csr_matrix(([1.0, 1.0, 4.0], [0, 0, 0], [0, 2, 3]), shape=(2, 1))
    expected = encode(sp.csr_matrix(X.toarray())).toarray()
    np.testing.assert_array_equal(encode(X).toarray(), expected)
    assert X.nnz == 3


def test_a_sparse_matrix_for_an_encoder_of_dense_rows(rng):
    dense = sparse_numbers(rng)
    encoder = TabularEncoder(categorical_features=[1]).fit(dense)
    np.testing.assert_array_equal(encoder.transform(sp.csr_array(dense)), encoder.transform(dense))


def test_a_sparse_matrix_has_no_categories():
    with pytest.raises(ValueError, match="for a sparse X"):
        TabularEncoder(categorical_features=[0]).fit(sp.eye(3).tocsr())


@pytest.mark.parametrize("scale", ["robust", None])
def test_sparse_output(scale, rng):
    X = frame(
        a=rng.normal(size=90),
        b=rng.choice(list("abcd"), 90),
        c=rng.choice([f"v{i}" for i in range(20)], 90),
        d=rng.choice(["x", "y", None], 90),
    )
    dense = encode(X, scale=scale)
    Z = encode(X, scale=scale, sparse_output=True)
    assert sp.issparse(Z)
    assert Z.format == "csr"
    if scale is None:
        np.testing.assert_array_equal(Z.toarray(), dense)
    else:  # shares of a quarter or less have a median of 0
        np.testing.assert_allclose(Z.toarray(), dense, atol=1e-12)


def test_zeros_stay_zeros_in_a_sparse_output():
    Z = encode(frame(c=["a"] * 8 + ["b", "c"]), sparse_output=True, scale="standard")
    assert Z.nnz == 10


# Back again


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", ["robust", "standard", None])
@pytest.mark.parametrize("max_one_hot", [0, 8])
def test_inverse_transform(dtype, scale, max_one_hot, rng):
    X = frame(
        a=rng.normal(5, 3, 50),
        c=rng.choice(["x", "y", "z", None], 50),
        m=np.where(rng.random(50) < 0.2, NAN, rng.normal(size=50)),
        d=rng.choice(["u", "v", None], 50),
        k=[7.0] * 50,
        n=rng.choice([f"v{i}" for i in range(12)], 50),
    )
    encoder = TabularEncoder(dtype=dtype, scale=scale, max_one_hot=max_one_hot).fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    assert list(back.columns) == list(X.columns)
    for name in "amk":
        np.testing.assert_allclose(back[name], X[name], rtol=1e-4, atol=1e-4)
    for name in "cdn":
        assert back[name].isna().tolist() == X[name].isna().tolist()
        assert back[name].dropna().tolist() == X[name].dropna().tolist()


def test_inverse_transform_of_arrays(rng):
    X = rng.normal(size=(30, 3))
    encoder = TabularEncoder(dtype="float64").fit(X)
    np.testing.assert_allclose(encoder.inverse_transform(encoder.transform(X)), X)
    objects = np.array([[1.0, "a"], [2.0, "b"], [3.0, None]], dtype=object)
    encoder = TabularEncoder(dtype="float64").fit(objects)
    back = encoder.inverse_transform(encoder.transform(objects))
    assert back.dtype == object
    assert back[:, 1].tolist() == ["a", "b", None]
    S = sp.csr_matrix(sparse_numbers(rng)[:, 2:])
    encoder = TabularEncoder(dtype="float64").fit(S)
    np.testing.assert_allclose(
        encoder.inverse_transform(encoder.transform(S)).toarray(), S.toarray()
    )
    with pytest.raises(ValueError, match="gives 10; give an output of transform"):
        encoder.inverse_transform(np.zeros((2, 3)))


def test_what_lies_at_the_clip_comes_back_finite():
    encoder = TabularEncoder().fit([[0.0], [1.0], [2.0]])
    back = encoder.inverse_transform(encoder.transform([[1e30], [-1e30]]))
    assert np.isfinite(back).all()
    assert back[0] > 100
    assert back[1] < -100


# The two paths, and the neighbours


def everything(rng, n=300):
    X = frame(
        f=rng.normal(size=n),
        f32=rng.normal(size=n).astype(np.float32),
        i=rng.integers(-5, 5, n),
        b=rng.random(n) < 0.5,
        m=np.where(rng.random(n) < 0.3, NAN, rng.normal(size=n)),
        I=pd.array(rng.integers(0, 9, n), dtype="Int64"),
        s=rng.choice(["x", "y", "z"], n),
        o=pd.Series(rng.choice(["p", "q", None], n), dtype=object),
        c=pd.Categorical(rng.choice(list("abcdefghijkl"), n)),
        ci=pd.Categorical(rng.integers(0, 4, n)),
    )
    X.loc[::7, "I"] = pd.NA
    X.loc[::5, "c"] = None
    return X


@pytest.mark.parametrize("options", [{}, {"clip": None}, {"scale": "standard"}, {"scale": None}])
@pytest.mark.parametrize("as_array", [False, True])
def test_single_rows_are_encoded_as_many_are(options, as_array, rng):
    X = everything(rng)
    X = X.to_numpy(dtype=object) if as_array else X
    encoder = TabularEncoder(**options).fit(X)
    Z = encoder.transform(X)
    for i in range(len(Z)):
        np.testing.assert_array_equal(encoder.transform(X[i : i + 1]), Z[i : i + 1])


def test_transform_does_not_look_at_the_index(rng):
    X = everything(rng)
    encoder = TabularEncoder().fit(X)
    Z = encoder.transform(X)
    X.index = [0] * len(X)
    np.testing.assert_array_equal(encoder.transform(X), Z)
    np.testing.assert_array_equal(TabularEncoder().fit(X).transform(X), Z)


def test_copies_and_pickles(rng):
    X = everything(rng)
    encoder = TabularEncoder(max_one_hot=3).fit(X)
    assert clone(encoder).get_params() == encoder.get_params()
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))
    before = encoder.transform(X[:3])
    encoder.set_params(dtype="float64", sparse_output=True)
    np.testing.assert_array_equal(encoder.transform(X[:3]), before)


def test_set_output_and_column_transformer(rng):
    X = everything(rng)
    encoder = TabularEncoder().set_output(transform="pandas")
    Z = encoder.fit_transform(X)
    assert list(Z.columns) == encoder.get_feature_names_out().tolist()
    both = ColumnTransformer([("all", TabularEncoder(), ["f", "s"]), ("b", "passthrough", ["i"])])
    assert both.fit_transform(X).shape == (300, 5)
    assert both.get_feature_names_out()[1] == "all__s_x"


def test_input_is_left_alone(rng, tmp_path):
    X = rng.normal(size=(200, 3))
    expected = encode(X)
    stored = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    read = np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
    np.testing.assert_array_equal(encode(read), expected)
    np.testing.assert_array_equal(encode(np.asfortranarray(X)), expected)
    masked = np.ma.array(X, mask=np.zeros(X.shape, bool))
    masked[0, 0] = np.ma.masked
    assert encode(masked)[0].tolist()[3:] == [1.0]


def test_threads_share_an_encoder(rng):
    X = everything(rng, 500)
    encoder = TabularEncoder().fit(X)
    expected, wrong = encoder.transform(X), []

    def work():
        for i in range(20):
            rows = slice(i, i + 3 if i % 2 else None)
            if not np.array_equal(encoder.transform(X[rows]), expected[rows]):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_stays_near_the_size_of_the_output(rng):
    import tracemalloc

    X = rng.normal(size=(20_000, 20))
    names = [f"x{i}" for i in range(20)]
    for table in (X, pd.DataFrame(X, columns=names), pd.DataFrame(dict(zip(names, X.T)))):  # noqa: B905
        encoder = TabularEncoder().fit(table)
        tracemalloc.start()
        out = encoder.transform(table)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * out.nbytes


# polars and pyarrow


@pytest.fixture(scope="module")
def pl():
    return pytest.importorskip("polars")


def test_polars(pl, rng):
    n = 300
    columns = {
        "f": rng.normal(size=n),
        "i": [None, *range(n - 1)],
        "b": rng.random(n) < 0.5,
        "s": rng.choice(["x", "y", "z"], n).tolist(),
        "c": [*rng.choice(list("abcdefghijkl"), n - 1).tolist(), None],
    }
    X = pl.DataFrame(columns).with_columns(
        e=pl.Series(["q", "p", None] * 100, dtype=pl.Enum(["z", "q", "p"])),
        c=pl.col("c").cast(pl.Categorical),
        d=pl.Series([decimal.Decimal("1.5"), None, decimal.Decimal(3)] * 100),
        j=pl.Series(range(n), dtype=pl.Int16),
    )
    same = X.to_pandas().astype({"d": "float64"}) if _has_pyarrow() else None
    encoder = TabularEncoder(dtype="float64").fit(X)
    Z = encoder.transform(X)
    if same is not None:
        np.testing.assert_allclose(TabularEncoder(dtype="float64").fit_transform(same), Z)
        assert encoder.feature_names_in_.tolist() == list(same.columns)
    for i in range(n):
        np.testing.assert_array_equal(encoder.transform(X[i : i + 1]), Z[i : i + 1])
    back = encoder.inverse_transform(Z)
    assert isinstance(back, pl.DataFrame)
    assert back["s"].to_list() == columns["s"]
    assert back["c"].to_list() == columns["c"]


def _has_pyarrow():
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([datetime.date(2020, 1, 1)], "dates"),
        ([datetime.timedelta(1)], "durations"),
        ([[1]], "of type list"),
        ([{"a": 1}], "of type dict"),
        ([b"a"], "bytes"),
    ],
)
def test_polars_columns_of_other_types_are_refused(pl, values, words):
    with pytest.raises(TypeError, match=f"column 'Col' holds .*{words}"):
        TabularEncoder().fit(pl.DataFrame({"Col": values}))


def test_a_lazy_frame_is_refused(pl):
    with pytest.raises(TypeError, match=r"X\.collect\(\)"):
        TabularEncoder().fit(pl.LazyFrame({"a": [1]}))


def test_large_integers_of_polars(pl):
    for values in ([2**60, 2**60 + 1], [2**60, None, 2**60 + 1]):
        encoder = TabularEncoder(categorical_features=["c"]).fit(pl.DataFrame({"c": values}))
        assert encoder.categories_[0].tolist() == [2**60, 2**60 + 1]
    X = pl.DataFrame({"c": pl.Series([1, 2, 3], dtype=pl.Int128)})
    np.testing.assert_array_equal(encode(X, clip=None).ravel(), [-1, 0, 1])


ARROW = {
    "int": ("int64", [1, None, 2, 3]),
    "float": ("float64", [1.0, None, 2.0, 3.0]),
    "decimal": ("decimal128", [decimal.Decimal(v) for v in (1, 2, 3)]),
}


@pytest.mark.parametrize("kind", ARROW)
def test_numbers_of_pyarrow(kind):
    pa = pytest.importorskip("pyarrow")
    name, values = ARROW[kind]
    dtype = pa.decimal128(5, 2) if name == "decimal128" else getattr(pa, name)()
    values = [*values, None] if name == "decimal128" else values
    X = frame(a=pd.Series(values, dtype=pd.ArrowDtype(dtype)))
    encoder = TabularEncoder(clip=None).fit(X)
    for rows in (X, pd.concat([X] * 100)):
        Z = encoder.transform(rows)[:4]
        assert sorted(Z[:, 0].tolist()) == [-1, 0, 0, 1]
        assert Z[:, 1].sum() == 1


def test_categories_and_nested_columns_of_pyarrow():
    pa = pytest.importorskip("pyarrow")
    X = frame(c=pd.Series(TO_3, dtype=pd.ArrowDtype(pa.string())))
    assert TabularEncoder().fit(X).categories_[0].tolist() == ["a", "b", "c"]
    X = frame(Col=pd.Series([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))))
    with pytest.raises(TypeError, match=r"column 'Col' holds .*of type list"):
        TabularEncoder().fit(X)
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    encoder = TabularEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == ["a", "b_y"]
    assert encoder.transform(table).shape == (3, 2)
