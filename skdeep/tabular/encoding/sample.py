"""A uniform sample of rows that come in chunks, in bounded memory.

Every row has a pseudo-random number that depends on its position alone, and the rows with the
smallest numbers are the sample. So the sample does not depend on how the rows are cut into chunks,
and samples of different rows can be merged.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skdeep.data.sources.subsets import hashes

#: The number of rows that a sample has at most.
MOST_ROWS = 100_000
#: The bytes of numbers that a sample has at most, if it has more than `FEWEST_ROWS` rows.
MOST_BYTES = 64 << 20
FEWEST_ROWS = 200

# A sample may outgrow its bounds by this factor before it is cut, so that few chunks cut it.
_SLACK = 1.25
_LARGEST = np.uint64(2**64 - 1)
_SEED = np.uint64(0x6A09E667F3BCC908)  # so that no split of rows has these hashes


class SampledRows(NamedTuple):
    """Rows of a sample: their positions in the table, weights and numbers."""

    positions: np.ndarray
    weight: np.ndarray
    values: Any

    def take(self, rows: np.ndarray) -> SampledRows:
        """Return some of these rows."""
        return SampledRows(self.positions[rows], self.weight[rows], self.values[rows])


class Sample:
    """A uniform sample, without replacement, of all rows that were added.

    Parameters
    ----------
    n_columns : int
        The number of columns of a dense table. A sparse row counts by its entries.
    first : int
        The position of the first row.

    Attributes
    ----------
    n_rows : int
        The number of rows that were added.
    """

    def __init__(self, n_columns: int, first: int = 0):
        self.n_columns = n_columns
        self.next = first
        self.n_rows = 0
        self._limit = _LARGEST  # rows with larger numbers do not belong to the sample
        self._parts: list[SampledRows] = []

    def choose(self, n_rows: int, X: Any = None) -> np.ndarray:
        """Return which of the next rows to give to `add`. `X` are the rows, if they are sparse."""
        numbers = _numbers(np.arange(self.next, self.next + n_rows))
        chosen = np.flatnonzero(numbers <= self._limit)
        return chosen[self._first(numbers[chosen], None if X is None else X[chosen])]

    def add(self, chosen: np.ndarray, weight: np.ndarray, values: Any, n_rows: int) -> None:
        """Add the next rows, given the weights and the numbers of those chosen."""
        if len(chosen):
            self._append(SampledRows(chosen + self.next, weight, values))
        self.next += n_rows
        self.n_rows += n_rows

    def merge(self, other: Sample) -> None:
        """Add the sample of other rows, whose positions are others."""
        self._limit = min(self._limit, other._limit)
        self.n_rows += other.n_rows
        self.next = max(self.next, other.next)
        for part in other._parts:
            self._append(part)

    def rows(self) -> SampledRows | None:
        """Return the rows of the sample, in the order of the table; None if there are none."""
        if not self._parts:
            return None
        rows = _joined(self._parts)
        numbers = _numbers(rows.positions)
        kept = self._first(numbers, rows.values)
        if len(kept) < len(numbers):
            self._limit = numbers[kept].max()
        order = kept[np.argsort(rows.positions[kept])]
        if not np.array_equal(order, np.arange(len(numbers))):
            rows = rows.take(order)
        self._parts = [rows]
        return rows

    def drop(self, column: int) -> None:
        """Remove a column of numbers."""
        self._parts = [p._replace(values=np.delete(p.values, column, 1)) for p in self._parts]

    def _append(self, part: SampledRows) -> None:
        """Add rows to the parts, whose sizes fall by half, so that there are few of them."""
        self._parts.append(part)
        while len(self._parts) > 1 and 2 * len(self._parts[-1][0]) > len(self._parts[-2][0]):
            self._parts[-2:] = [_joined(self._parts[-2:])]
        n_rows = sum(len(p.positions) for p in self._parts)
        n_bytes = sum(int(self._bytes(p.values).sum()) for p in self._parts)
        has_many = n_rows > _SLACK * FEWEST_ROWS and n_bytes > _SLACK * MOST_BYTES
        if has_many or n_rows > _SLACK * MOST_ROWS:
            self.rows()

    def _first(self, numbers: np.ndarray, values: Any) -> np.ndarray:
        """Return the positions of the smallest numbers whose rows fit into a sample."""
        n_bytes = self._bytes(values) if sp.issparse(values) else self._bytes(numbers)
        order = np.argsort(numbers)
        fits = np.cumsum(n_bytes[order]) <= MOST_BYTES
        fits[:FEWEST_ROWS] = True
        fits[MOST_ROWS:] = False
        return np.sort(order[fits])

    def _bytes(self, values: Any) -> np.ndarray:
        """Return the bytes of each row: of a sparse one those of its entries and its end."""
        if sp.issparse(values):
            return 12 * np.diff(values.indptr).astype(np.int64) + 4
        return np.full(len(values), 8 * self.n_columns)


def _joined(parts: list[SampledRows]) -> SampledRows:
    """Return the rows of several parts."""
    if len(parts) == 1:
        return parts[0]
    positions, weights, values = zip(*parts, strict=True)
    is_sparse = sp.issparse(values[0])
    joined = sp.vstack(values, format="csr") if is_sparse else np.concatenate(values)
    return SampledRows(np.concatenate(positions), np.concatenate(weights), joined)


def _numbers(positions: np.ndarray) -> np.ndarray:
    """Return the pseudo-random number of each position."""
    return hashes(positions.astype(np.uint64) ^ _SEED)
