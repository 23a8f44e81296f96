"""Splits into training, development and test rows."""

import re
import warnings
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from skdeep.model_selection import train_dev_test_split


def positions(n, **options):
    return train_dev_test_split(np.arange(n), **options)


def lengths(n, **options):
    return [len(rows) for rows in positions(n, random_state=0, **options)]


# Sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (3, [1, 1, 1]),
        (4, [2, 1, 1]),
        (10, [6, 2, 2]),
        (1_000, [600, 200, 200]),
        (10_000, [6_000, 2_000, 2_000]),
        (100_000, [91_056, 4_472, 4_472]),
        (1_000_000, [980_000, 10_000, 10_000]),
    ],
)
def test_the_table_of_default_sizes(n, expected):
    assert lengths(n) == expected
    if n >= 1000:
        assert f"{n:,}" in train_dev_test_split.__doc__
        assert re.search(rf"^ *{n:,} +{expected[1]:,} ", train_dev_test_split.__doc__, re.MULTILINE)


def test_default_sizes_grow_up_to_a_million_rows():
    sizes = [lengths(n)[1] for n in np.geomspace(3, 2e5, 40).astype(int)]
    assert sizes == sorted(sizes)
    _, dev = train_dev_test_split(np.zeros(1_200_000, np.int8), test_size=0)
    assert len(dev) == 10_000


@pytest.mark.parametrize(
    ("n", "options", "expected"),
    [
        (10, {"dev_size": 3}, [5, 3, 2]),
        (10, {"dev_size": 1, "test_size": 1}, [8, 1, 1]),
        (100, {"dev_size": 0.07, "test_size": 0.29}, [64, 7, 29]),
        (100, {"dev_size": 0.001}, [79, 1, 20]),
        (100, {"test_size": 0}, [80, 20]),
        (100, {"test_size": 0.0, "dev_size": np.float32(0.5)}, [50, 50]),
        (100, {"train_dev_size": None}, [40, 20, 20, 20]),
        (100, {"train_dev_size": 0.05, "dev_size": np.int64(3)}, [72, 5, 3, 20]),
        (100, {"train_dev_size": 1, "test_size": 0}, [79, 1, 20]),
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_sizes_that_are_given(n, options, expected, shuffle):
    assert lengths(n, shuffle=shuffle, **options) == expected


def test_the_development_rows_of_the_lecture():
    """100,000 images of web pages, and 8,000 of the phones that the model is for."""
    target = np.arange(108_000) >= 100_000
    train, dev, test = train_dev_test_split(target, target=target, random_state=0)
    assert (len(train), len(dev), len(test)) == (104_000, 2_000, 2_000)
    assert dev.all()
    assert test.all()
    assert train.sum() == 4_000
    # Rows that are drawn from all rows would hardly have any of the target distribution.
    _, dev, _ = train_dev_test_split(target, dev_size=2_000, random_state=0)
    assert dev.sum() == pytest.approx(148, abs=35)


@pytest.mark.parametrize("options", [{}, {"stratify": 2}, {"groups": 2_000}])
def test_train_dev_rows_have_the_distribution_of_the_training_rows(options):
    target = np.arange(10_000) >= 6_000
    options = {name: np.arange(10_000) // 5 % n_labels for name, n_labels in options.items()}
    parts = train_dev_test_split(
        target, target=target, train_dev_size=1_000, random_state=0, **options
    )
    train, train_dev, *held_out = (part.mean() for part in parts)
    assert held_out == [1.0, 1.0]
    assert train_dev == pytest.approx(train, abs=0.05)
    assert len(parts[1]) == 1_000
    assert parts[0][:1_000].mean() == pytest.approx(train, abs=0.05)  # in random order


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (2, {}, "dev_size=None (1), test_size=None (1): these parts leave none of 2 rows for"),
        (0, {}, "leave none of 0 rows"),
        (10, {"dev_size": 0.5, "test_size": 0.5}, "dev_size=0.5 (5), test_size=0.5 (5): these"),
        (10, {"dev_size": 11}, "dev_size=11 (11), test_size=None (2): these parts leave none"),
        (10, {"dev_size": 0}, "dev_size=0 leaves no development rows. For training and test rows"),
        (10, {"dev_size": -1}, "dev_size=-1 is not allowed; give a share in (0, 1), a number of"),
        (10, {"test_size": 1.0}, "test_size=1.0 is not allowed; give a share in (0, 1)"),
        (10, {"test_size": True}, "test_size=True is not allowed"),
        (10, {"test_size": np.nan}, "test_size=nan is not allowed"),
        (10, {"train_dev_size": "0.1"}, "train_dev_size='0.1' is not allowed"),
        (10, {"train_dev_size": 7}, "train_dev_size=7 (7), dev_size=None (2), test_size=None (2)"),
        (
            *(10, {"target": [True] * 3 + [False] * 7, "dev_size": 0.2, "test_size": 0.2}),
            "the development and test rows need 4 target rows, and target marks 3; give smaller "
            "sizes. A share is one of all 10 rows.",
        ),
        (10, {"target": [False] * 10}, "need 2 target rows, and target marks 0"),
        (10, {"target": [0] * 10}, "target has the dtype int64 and the shape (10,); give a bool"),
        (10, {"target": [True] * 9}, "and the shape (9,); give a boolean for each of the 10 rows"),
        (10, {"target": [True, None] * 5}, "target has the dtype object"),
        (10, {"stratify": ["a"] * 10}, "stratify has one class only, so there is nothing to"),
        (10, {"stratify": [0, 1] * 4}, "stratify has the shape (8,); give one label for each of"),
        (10, {"stratify": [0, None] * 5}, "stratify has no label for 5 rows, such as row 1; give"),
        (10, {"stratify": [0, np.nan] * 5}, "stratify has no label for 5 rows, such as row 1"),
        (10, {"groups": [0, 1] * 5}, "There are 2 groups. A split into 3 parts needs at least 3"),
        (10, {"groups": np.zeros((10, 2))}, "groups has the shape (10, 2); give one label for"),
        (
            *(10, {"groups": list("aabbccddee"), "target": [False, True, True] + [False] * 7}),
            "2 groups have target rows and others too: 'a', 'b'. Their target rows can't be held "
            "out while the others train. Set target to False for all rows of these groups",
        ),
        (
            *(10, {"groups": list("aabbccdddd"), "target": [True] * 2 + [False] * 8}),
            "There are 4 groups, 1 of them in the target rows. A split into 3 parts needs at",
        ),
    ],
)
def test_requests_that_cannot_be_met(n, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        positions(n, **options)


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), ValueError, "There is nothing to split; give at least one array."),
        (([1, 2, 3], [1, 2]), ValueError, "The arrays have different numbers of rows: [3, 2]."),
        (([1, 2, 3], None), TypeError, "A NoneType has no rows to split; give arrays, lists"),
        (({"a": [1, 2, 3]},), TypeError, "A dict has no rows to split"),
        (("abcdef",), TypeError, "A str has no rows to split"),
        ((np.array(3),), TypeError, "array(3) is a single value, and has no rows to split"),
    ],
)
def test_arrays_that_cannot_be_split(arrays, error, message):
    with pytest.raises(error, match=re.escape(message)):
        train_dev_test_split(*arrays)


# Containers -------------------------------------------------------------------------------------


def test_every_container_gets_the_same_rows():
    pd = pytest.importorskip("pandas")
    n = 30
    row = np.arange(n)
    arrays = {
        "array": row,
        "list": row.tolist(),
        "tuple": tuple(row.tolist()),
        "columns": np.c_[row, row],
        "csr": sp.csr_matrix(row[:, None]),
        "coo": sp.coo_array(row[:, None]),
        "frame": pd.DataFrame({"a": row}, index=row[::-1]),
        "series": pd.Series(row, index=row[::-1]).astype("Int64"),
        "categories": pd.Series(row).astype("category"),
    }
    try:
        import polars as pl
    except ImportError:
        pass
    else:
        arrays |= {"polars": pl.DataFrame({"a": row}), "polars series": pl.Series(row)}
    parts = train_dev_test_split(*arrays.values(), train_dev_size=3, random_state=1)
    assert len(parts) == 4 * len(arrays)
    for i, (name, given_array) in enumerate(arrays.items()):
        own = parts[4 * i : 4 * i + 4]
        for rows, part in zip(parts[:4], own, strict=True):
            if name not in ("list", "tuple", "coo"):
                assert type(part) is type(given_array)
            dense = part.toarray() if sp.issparse(part) else np.asarray(part)
            values = dense.reshape(len(rows), -1)[:, 0] if dense.ndim > 1 else dense
            np.testing.assert_array_equal(values.astype(int), rows)
    frame = parts[4 * list(arrays).index("frame")]
    np.testing.assert_array_equal(frame.index, n - 1 - parts[0])


def test_labels_in_every_container():
    pd = pytest.importorskip("pandas")
    y = ["b", "a", "c", "a", "b", "c"] * 5
    target = [True, True, True, True, True, False] * 5
    labels = [np.array(y), np.array(y, object), pd.Series(y), pd.Categorical(y), np.c_[y]]
    masks = [np.array(target), pd.Series(target, dtype="boolean")]
    try:
        import polars as pl
    except ImportError:
        pass
    else:
        labels.append(pl.Series(y))
        masks.append(pl.Series(target))
    expected = positions(30, stratify=y, target=target, random_state=0)
    cases = [*((label, target) for label in labels), *((y, mask) for mask in masks)]
    for label, mask in cases:
        own = positions(30, stratify=label, target=mask, random_state=0)
        for a, b in zip(expected, own, strict=True):
            np.testing.assert_array_equal(a, b)
    dates = pd.date_range("2024-01-01", periods=10).repeat(3)
    assert lengths(30, groups=dates) == [18, 6, 6]
    with pytest.raises(ValueError, match="groups has no label for 3 rows, such as row 3"):
        positions(30, groups=dates.where(dates != dates[3]))


# Random numbers and order -------------------------------------------------------------------------


def test_splits_are_repeatable():
    first = positions(50, random_state=3)
    for a, b in zip(first, positions(50, random_state=3), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(set(a) != set(b) for a, b in zip(first, positions(50, random_state=4), strict=True))
    generators = [np.random.default_rng(0), np.random.RandomState(0)]
    for generator in generators:
        assert lengths(50) == [30, 10, 10]
        assert len(positions(50, random_state=generator)) == 3
    assert [rows.tolist() for rows in positions(10, random_state=0)] == [
        *([5, 7, 1, 0, 2, 4], [6, 3], [8, 9]),
    ]


def test_other_seeds_hold_out_other_groups_even_if_all_differ_in_size():
    groups = np.repeat(np.arange(20), np.arange(20) + 5)
    held_out = {
        tuple(np.unique(groups[positions(len(groups), groups=groups, random_state=seed)[2]]))
        for seed in range(10)
    }
    assert len(held_out) >= 9


def test_groups_of_all_sizes_are_held_out():
    groups = np.r_[np.repeat(np.arange(1000), 2), np.repeat(np.arange(1000, 1100), 20)]
    counts = np.zeros(2)
    for seed in range(10):
        labels = np.unique(groups[positions(4000, groups=groups, random_state=seed)[2]])
        counts += (labels < 1000).sum(), (labels >= 1000).sum()
    assert counts / [10_000, 1_000] == pytest.approx([0.2, 0.2], abs=0.03)


def test_without_shuffling_the_last_rows_are_held_out():
    assert [rows.tolist() for rows in positions(10, shuffle=False, train_dev_size=1)] == [
        *([0, 1, 2, 3, 4], [5], [6, 7], [8, 9]),
    ]
    target = np.arange(10) % 2 == 0
    parts = positions(10, shuffle=False, target=target, dev_size=1, test_size=2)
    assert [rows.tolist() for rows in parts] == [[0, 1, 2, 3, 5, 7, 9], [4], [6, 8]]
    y = [0] * 5 + [1] * 5
    parts = positions(10, shuffle=False, stratify=y)
    assert [rows.tolist() for rows in parts] == [[0, 1, 2, 5, 6, 7], [3, 8], [4, 9]]
    parts = positions(10, shuffle=False, groups=np.arange(10) // 2)
    assert [rows.tolist() for rows in parts] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


# Classes ----------------------------------------------------------------------------------------


def test_rare_classes_train_with_a_warning():
    y = np.array([0] * 30 + [1] * 30 + [2] * 2 + [3])
    with pytest.warns(UserWarning, match="have no row of 2 of the classes: 2, 3. These") as caught:
        train, dev, test = positions(63, stratify=y, random_state=0)
    assert [str(w.message).split(" rows")[0] for w in caught] == ["The development", "The test"]
    assert {2, 3} <= set(y[train])
    assert len(dev) == len(test) == 13


def test_a_class_with_a_row_for_each_part_is_in_each_part():
    y = np.array([0] * 997 + [1] * 3)
    for part in positions(1000, stratify=y, random_state=0):
        assert (y[part] == 1).sum() == 1


def test_a_part_that_is_smaller_than_the_number_of_classes():
    y = np.arange(100) % 10
    with pytest.warns(UserWarning, match=r"The test rows have no row of 5 of the classes: \d, "):
        parts = positions(100, stratify=y, test_size=5, random_state=0)
    assert len(parts[2]) == 5


def test_classes_that_are_not_in_the_target_rows_train():
    y = np.array(["a", "b", "c", "a", "b"] * 10)
    target = (y != "c") & (np.arange(50) > 20)
    train, dev, test = train_dev_test_split(y, stratify=y, target=target, random_state=0)
    assert set(train) == {"a", "b", "c"}
    assert set(dev) == set(test) == {"a", "b"}


def test_numbers_are_stratified_by_quantiles():
    y = np.random.default_rng(0).lognormal(0, 2, 1000)
    edges = np.quantile(y, np.arange(1, 10) / 10)
    for part in train_dev_test_split(y, stratify=y, random_state=0):
        share = np.bincount(np.searchsorted(edges, part)) / len(part)
        np.testing.assert_allclose(share, 0.1, atol=0.006)
    assert lengths(5, stratify=np.arange(5) + 0.5) == [3, 1, 1]


def test_several_columns_are_stratified_together():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.choice(["x", "y"], 400), "b": rng.random(400)})
    expected = frame["a"].value_counts(normalize=True)
    for part in train_dev_test_split(frame, stratify=frame, random_state=0):
        share = part["a"].value_counts(normalize=True)
        assert share["x"] == pytest.approx(expected["x"], abs=0.07)
        assert part["b"].mean() == pytest.approx(0.5, abs=0.05)
    pairs = np.c_[[0, 0, 1, 1] * 10, [0, 1, 0, 1] * 10]
    for part in train_dev_test_split(pairs, stratify=pairs, random_state=0):
        assert len(np.unique(part, axis=0)) == 4


# Groups -----------------------------------------------------------------------------------------


def test_a_huge_group_trains():
    groups = np.array([0] * 900 + list(range(1, 101)))
    with pytest.warns(UserWarning, match="rows instead of 200, as groups are kept together"):
        train, dev, test = positions(1000, groups=groups, random_state=0)
    assert 0 in groups[train]
    assert min(len(dev), len(test)) >= 1
    assert len(train) >= 900


def test_classes_in_groups_keep_their_shares():
    rng = np.random.default_rng(0)
    rate = rng.beta(0.5, 1.5, 80)
    groups = rng.integers(0, 80, 4000)
    y = (rng.random(4000) < rate[groups]).astype(int)
    own, random = [], []
    for seed in range(5):
        parts = train_dev_test_split(y, groups=groups, stratify=y, random_state=seed)
        own += [abs(part.mean() - y.mean()) for part in parts]
        parts = train_dev_test_split(y, groups=groups, random_state=seed)
        random += [abs(part.mean() - y.mean()) for part in parts]
        assert [len(part) for part in parts] == pytest.approx([2400, 800, 800], abs=20)
    assert max(own) < 0.01
    assert np.mean(own) < 0.3 * np.mean(random)


# Properties -------------------------------------------------------------------------------------


@st.composite
def requests(draw):
    n = draw(st.integers(12, 120))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    options = {"random_state": seed, "shuffle": draw(st.booleans())}
    for name in ("dev_size", "test_size", "train_dev_size"):
        share = st.floats(0.02, 0.25)
        size = draw(st.one_of(st.integers(1, n // 5), share, st.none()))
        options[name] = 0 if name == "train_dev_size" and draw(st.booleans()) else size
    if draw(st.booleans()):
        options["stratify"] = rng.choice(draw(st.integers(2, 6)), n)
        options["stratify"][:2] = 0, 1
    if draw(st.booleans()):
        options["groups"] = rng.integers(0, draw(st.integers(8, 40)), n)
        options["groups"][:8] = np.arange(8)
    if draw(st.booleans()):
        options["target"] = rng.random(n) < 0.7
        if "groups" in options:
            options["target"] = (rng.random(60) < 0.8)[options["groups"]]
    return n, options


@settings(max_examples=100, deadline=None)
@given(requests())
def test_what_holds_for_every_split(request):
    n, options = request
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parts = positions(n, **options)
            again = positions(n, **options)
        except ValueError as error:
            if "target" in str(error) or "leave none of" in str(error):
                return
            raise
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert all(len(part) for part in parts)
    target = options.get("target", np.ones(n, bool))
    held_out = parts[-2:]
    assert all(target[part].all() for part in held_out)
    if "groups" in options:
        groups = options["groups"]
        for a, b in combinations(parts, 2):
            assert not set(groups[a]) & set(groups[b])
        return
    for name, part in zip(["dev_size", "test_size"], held_out, strict=True):
        size = options[name]
        if isinstance(size, int):
            assert len(part) == size
        elif size is not None:
            assert len(part) == max(1, round(size * n))
    if not options["shuffle"]:
        assert all(np.all(np.diff(part) > 0) for part in parts)
    if "stratify" in options:
        y = options["stratify"]
        shares = np.bincount(y[target], minlength=6) / target.sum()
        common = np.bincount(y[target], minlength=6) >= 3
        if common[shares > 0].all() and len(parts) == 3:
            for part in held_out:
                counts = np.bincount(y[part], minlength=6)
                assert np.all(np.abs(counts - shares * len(part)) <= 1 + 1e-9)
