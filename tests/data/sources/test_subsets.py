"""Some rows of a source, and splits by a hash of positions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.data import Chunks, Memmap, Source, hash_split

rng = np.random.default_rng(0)
X = rng.standard_normal((200, 3))
y = X[:, 0]


def splitmix64(x):
    mask = 2**64 - 1
    z = (x + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@pytest.mark.parametrize("seed", [0, 42, 2**40])
def test_the_hash_is_splitmix64(seed):
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # the generator's first output for the seed 0
    start = splitmix64(seed)
    expected = [i for i in range(500) if splitmix64(i ^ start) < 0.3 * 2**64]
    train, val = hash_split(500, 0.3, seed)
    assert val.tolist() == expected
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(500))


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
def test_shares_are_close_to_the_fraction_and_rows_are_independent(fraction):
    n_rows = 100_000
    in_val = np.zeros((4, n_rows), bool)
    for seed in range(4):
        in_val[seed, hash_split(n_rows, fraction, seed)[1]] = True
    deviation = np.sqrt(fraction * (1 - fraction) / n_rows)
    assert np.abs(in_val.mean(axis=1) - fraction).max() < 5 * deviation
    together = np.corrcoef([*in_val, *np.roll(in_val, 1, axis=1)])
    assert np.abs(together - np.eye(8)).max() < 0.02


def test_rows_that_are_added_change_no_side(monkeypatch):
    train, val = hash_split(3000, 0.2, 1)
    monkeypatch.setattr("skdeep.data.sources.subsets._BLOCK", 64)
    for n_rows in (1, 63, 64, 65, 1000):
        few = hash_split(n_rows, 0.2, 1)
        np.testing.assert_array_equal(few[0], train[train < n_rows])
        np.testing.assert_array_equal(few[1], val[val < n_rows])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2, np.nan, "a", None, True])
def test_fractions_that_are_not_allowed(fraction):
    with pytest.raises(InvalidParameterError, match=r"fraction=.* give a number in \(0, 1\)"):
        hash_split(10, fraction, 0)


def test_split_gives_sources_with_their_targets_and_weights():
    source = Memmap(X, pd.Series(y), np.arange(200.0))
    train, val = source.split(0.25, random_state=3)
    positions = hash_split(200, 0.25, 3)
    for part, rows in zip((train, val), positions, strict=True):
        np.testing.assert_array_equal(part.take(np.arange(len(rows))), X[rows])
        np.testing.assert_array_equal(part.y, y[rows])
        np.testing.assert_array_equal(part.sample_weight, rows)
    again = source.split(0.25, np.random.RandomState(0))
    assert len(again[0]) + len(again[1]) == 200
    assert len(source.split(0.5, None)[0])
    with pytest.raises(ValueError, match="leaves 1 rows for training and 0 for validation"):
        Memmap(X[:1]).split(0.01)


CHOICES = {
    "slice": slice(5, 150, 7),
    "backwards": slice(None, None, -1),
    "mask": X[:, 1] > 0,
    "positions": np.array([5, 3, 3, -1, 100]),
    "list": [7, 8, 9],
    "unsigned": np.array([4, 2], np.uint8),
    "none": [],
}


@pytest.mark.parametrize("name", CHOICES)
def test_chosen_rows(name):
    def read():
        yield from (X[i : i + 30] for i in range(0, 200, 30))

    rows = CHOICES[name]
    for source in (Memmap(X, y), Chunks(lambda i: X[i * 50 : i * 50 + 50], 4), Chunks(read)):
        part = source[rows]
        expected = X[
            rows if isinstance(rows, slice) else np.array(rows, getattr(rows, "dtype", int))
        ]
        assert isinstance(part, Source)
        assert part.shape == expected.shape
        n = len(part)
        np.testing.assert_array_equal(part.take(np.arange(n)), expected)
        got = [block for _, block in part.blocks()]
        np.testing.assert_array_equal(np.concatenate([X[:0], *got]), expected)
        some = np.arange(n)[::-2]
        np.testing.assert_array_equal(part[some].take(np.arange(len(some))), expected[some])
        out = np.full(part.shape, np.nan, np.float32)
        for start, stop in zip(part.bounds[:-1], part.bounds[1:], strict=True):
            part.astype(np.float32).read_into(start, stop, out[start:stop])
        np.testing.assert_array_equal(out, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (5, "slice, a mask or a 1-D array"),
        ([[1]], "1-D array"),
        ("name", "1-D array"),
        ([0.5], "1-D array"),
        ([True, False], "2 entries for 200 rows"),
        ([200], "between 0 and 199"),
        ([-201], "between 0 and 199"),
    ],
)
def test_rows_that_can_not_be_chosen(rows, words):
    for choose in (Memmap(X).__getitem__, Memmap(X)[:].__getitem__, Memmap(X).take):
        with pytest.raises(IndexError, match=words):
            choose(rows)


def test_a_source_is_no_array():
    source = Memmap(X, y)
    for use in (
        np.asarray,
        np.mean,
        list,
        StandardScaler().fit,
        lambda source: make_pipeline(StandardScaler(), MLPRegressor()).fit(source, y),
    ):
        with pytest.raises(TypeError, match=r"Memmap has rows that are not in memory.*\.transform"):
            use(source)


def test_no_rows_are_a_fault():
    with pytest.raises(ValueError, match="No rows were chosen of <Memmap: 200 rows x 3 columns"):
        Memmap(X)[:0].check()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_splits_sources():
    source = Memmap(X, y)
    parts = train_test_split(source, y, random_state=0)
    expected = train_test_split(X, random_state=0)
    for part, rows in zip(parts, expected, strict=False):
        np.testing.assert_array_equal(part.take(np.arange(len(part))), rows)
    model = MLPRegressor((4,), max_iter=3, random_state=0, shuffle=False)
    folds = KFold(3, shuffle=True, random_state=0)
    of_source = cross_val_score(model, source, y, cv=folds)
    assert len(source[np.array([4, 2]), ...]) == 2  # as scikit-learn chooses rows
    np.testing.assert_allclose(of_source, cross_val_score(model, X, y, cv=folds), rtol=1e-9)
