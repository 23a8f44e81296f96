"""The fast path for a few rows: dict look-ups, instead of operations on whole columns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from skdeep.tabular.encoding.categories import CategoryColumn
from skdeep.tabular.encoding.scaling import Scaling

#: The number of rows up to which look-ups are faster.
FEW = 200

_PLAIN = frozenset((float, int, bool))
_ACCEPTED = {
    "number": _PLAIN,
    "string": frozenset((str,)),
    "empty": _PLAIN | {str},
    "other": frozenset(),
}


class RowEncoder:
    """Encodes rows of plain Python values.

    It makes no errors of its own: it gives up on all that is not plain, and the path for whole
    columns then finds the words.

    Parameters
    ----------
    scaling : Scaling
    positions : list of int
        The columns of X that hold numbers. Their outputs come first.
    indicators : ndarray of int
        Which of these have an indicator of missing values. The indicators come next.
    categories : list of CategoryColumn
    dtype : str
    """

    def __init__(
        self,
        scaling: Scaling,
        positions: list[int],
        indicators: np.ndarray,
        categories: list[CategoryColumn],
        dtype: str,
    ):
        self.scaling = scaling
        self.positions = positions
        self.indicators = indicators
        n_numbers, n_head = len(positions), len(positions) + len(indicators)
        width = sum(c.width for c in categories)
        self.blank = np.zeros(n_head + width, dtype)
        for c in categories:
            self.blank[c.start : c.start + c.width] = c.blank()
        self.tables = [(c.position, c.outputs(), _ACCEPTED[c.kind]) for c in categories]
        self.n_numbers, self.n_head = n_numbers, n_head

    def encode(self, rows: Sequence[Sequence]) -> np.ndarray | None:
        """Return the encoded rows; None if a value is not plain."""
        missing_value = getattr(sys.modules.get("pandas"), "NA", None)
        out = np.empty((len(rows), len(self.blank)), self.blank.dtype)
        out[:] = self.blank
        if self.positions and not self._write_numbers(rows, out, missing_value):
            return None
        for row, target in zip(rows, out, strict=True):
            for j, table, accepted in self.tables:
                value = row[j]
                if type(value) in accepted:
                    hit = table.get(value)
                    if hit is not None:
                        target[hit[0]] = hit[1]
                elif not (
                    value is None
                    or value is missing_value
                    or (type(value) is float and value != value)
                ):
                    return None
        return out

    def _write_numbers(self, rows: Sequence[Sequence], out: np.ndarray, missing_value) -> bool:
        """Write the columns of numbers and indicators; return whether all values are plain."""
        take = itemgetter(*self.positions)
        is_single = len(self.positions) == 1
        values = [[take(row)] if is_single else list(take(row)) for row in rows]
        for row in values:
            if not _PLAIN.issuperset(map(type, row)):
                for i, value in enumerate(row):
                    if value is None or value is missing_value:
                        row[i] = np.nan
                if not _PLAIN.issuperset(map(type, row)):
                    return False
        try:
            block = np.array(values, np.float64)
        except OverflowError:
            return False
        if np.isinf(block).any():
            return False
        missing = self.scaling.apply(block)
        if self.scaling.clip is None and np.abs(block).max() > np.finfo(out.dtype).max:
            return False
        out[:, : self.n_numbers] = block
        if len(self.indicators):
            out[:, self.n_numbers : self.n_head] = missing[:, self.indicators]
        return True
