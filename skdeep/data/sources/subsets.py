"""Some of the rows of a source, and splits by a hash of the positions of rows."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

import joblib
import numpy as np
from sklearn.utils import check_random_state

from skdeep._component import InvalidParameterError, Limit, safe_indexing
from skdeep.data.sources.files import FileSource
from skdeep.data.sources.rows import positions_of

_FRACTION = Limit(0, 1, "()")
# The positions that are hashed at a time.
_BLOCK = 2**20
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class Subset(FileSource):
    """Some rows of a source, which are read when they are needed.

    Rows in ascending order are read fastest.

    Parameters
    ----------
    source : FileSource
    rows : ndarray of int
        The positions of the rows. A position may be there several times.
    """

    def __init__(self, source: FileSource, rows: np.ndarray):
        self._source = source
        self._rows = rows
        self.shape = len(rows), source.shape[1]
        self.dtype, self.memory_limit = source.dtype, source.memory_limit
        self.is_sparse, self.feature_names = source.is_sparse, source.feature_names
        self.y, self.sample_weight = (
            None if values is None else safe_indexing(values, rows)
            for values in (source.y, source.sample_weight)
        )
        # In another order than the files', rows are read from here and there.
        is_sorted = not (rows[1:] < rows[:-1]).any()
        self.is_sequential = source.is_sequential and is_sorted
        self.has_whole_units = source.has_whole_units and is_sorted
        self.bounds = np.array([0, len(rows)])
        if is_sorted:
            self.bounds = np.searchsorted(rows, source.bounds)

    @property
    def row_bytes(self):
        return self._source.row_bytes

    @property
    def block_rows(self):
        return self._source.block_rows

    def _read(self, unit, start, stop):
        X = self._source._gather(self._of_unit(unit, start, stop))
        self._release_after(unit, stop)
        return X

    def _read_into(self, unit, start, stop, out):
        rows = self._of_unit(unit, start, stop)
        if self.is_sparse or (rows[1:] < rows[:-1]).any():
            out[...] = self._source._gather(rows)
        else:
            self._source._gather_into(rows, None, out)
        self._release_after(unit, stop)

    def _of_unit(self, unit: int, start: int, stop: int) -> np.ndarray:
        return self._rows[slice(*(self.bounds[unit] + [start, stop]))]

    def _release_after(self, unit: int, stop: int) -> None:
        """Release a unit of the source whose last rows were not chosen."""
        if stop == self.bounds[unit + 1] - self.bounds[unit]:
            self._release()

    def _release(self):
        self._source._release()

    def place(self, row):
        return self._source.place(int(self._rows[row]))

    def check(self):
        if not len(self._rows):
            raise ValueError(f"No rows were chosen of {self._source!r}; at least one is required.")
        super().check()

    def __getitem__(self, rows):
        return Subset(self._source, self._rows[positions_of(rows, len(self._rows))])

    def astype(self, dtype):
        return self._over(self._source.astype(dtype))

    def _fresh(self):
        return self._over(self._source._fresh())

    def _frames(self):
        return self._over(self._source._frames())

    def _over(self, source: FileSource) -> Subset:
        """Return these rows of another version of the source."""
        twin = copy.copy(self)
        twin._source, twin.dtype, twin._is_named = source, source.dtype, source._is_named
        return twin

    def _can_have_faults(self):
        return self._source._can_have_faults()

    def fingerprint(self):
        return ["Subset", self._source.fingerprint(), joblib.hash(self._rows)]


def hash_split(n_rows: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of training and validation rows, each in ascending order.

    A row is one for validation if the hash of its position and of the seed is below the fraction.

    Parameters
    ----------
    n_rows : int
    fraction : float
        The expected share of the validation rows, between 0 and 1.
    seed : int

    Returns
    -------
    tuple of (ndarray of int, ndarray of int)
    """
    if not _FRACTION.allows(fraction):
        raise InvalidParameterError(f"fraction={fraction!r} is not allowed; give {_FRACTION}.")
    start = hashes(np.array([int(seed) & (2**64 - 1)], np.uint64))
    threshold = np.uint64(int(fraction * 2**64))
    held_out = np.empty(n_rows, bool)
    for first in range(0, n_rows, _BLOCK):
        positions = np.arange(first, min(first + _BLOCK, n_rows), dtype=np.uint64)
        held_out[first : first + _BLOCK] = hashes(positions ^ start) < threshold
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def hashes(values: np.ndarray) -> np.ndarray:
    """Return the outputs of splitmix64, whose state are the values."""
    Z = values + _GOLDEN
    Z = (Z ^ (Z >> np.uint64(30))) * _MIX_1
    Z = (Z ^ (Z >> np.uint64(27))) * _MIX_2
    return Z ^ (Z >> np.uint64(31))


def split(source: FileSource, fraction: float, random_state: Any) -> tuple[Subset, Subset]:
    """Return the training rows and the validation rows of a source."""
    seed = random_state
    if not isinstance(seed, Integral):
        seed = check_random_state(random_state).randint(2**31)
    train, val = hash_split(source.shape[0], fraction, int(seed))
    if not len(train) or not len(val):
        raise ValueError(
            f"fraction={fraction} of {source.shape[0]} rows leaves {len(train)} rows for training "
            f"and {len(val)} for validation; give another fraction, or choose rows: source[rows]."
        )
    return source[train], source[val]
