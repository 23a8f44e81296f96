"""The scale of columns of numbers: robust or standard, with a smooth clip.

All statistics and all results are float64. Numbers near the ends of float64's range are multiplied
by a power of 2 first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from skdeep.tabular.encoding.facts import Facts

_QUARTERS = np.array([0.25, 0.5, 0.75])
_SAFE = (1e-100, 1e100)  # the squares of such numbers are floats too


class Weights:
    """The weights of the rows that count in fit.

    An integer weight acts as a repetition of the row. If all weights are fractions, the smallest
    one takes the place of 1.

    Parameters
    ----------
    n_rows : int
    weight : ndarray of shape (n_rows,) or None

    Attributes
    ----------
    rows : ndarray of int or None
        The rows with a positive weight. None stands for all rows.
    weight : ndarray or None
        Their weights. None stands for ones.
    total : float
    unit : float
        The weight of a row that counts once.
    """

    def __init__(self, n_rows: int, weight: np.ndarray | None):
        self._n_rows = n_rows
        self.rows = None if weight is None or weight.all() else np.flatnonzero(weight)
        if weight is not None and self.rows is not None:
            weight = weight[self.rows]
        self.weight = None if weight is None or (weight == 1).all() else weight
        self.total = float(n_rows if weight is None else weight.sum())
        self.unit = 1.0 if self.weight is None else min(1.0, float(self.weight.min()))

    @property
    def n_rows(self) -> int:
        """The number of rows that count."""
        return self._n_rows if self.rows is None else len(self.rows)

    def take(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the rows that count."""
        return values if self.rows is None else values[self.rows]

    def each(self) -> np.ndarray:
        """Return the weight of each row that counts."""
        return np.ones(self.n_rows) if self.weight is None else self.weight


class ColumnScale(NamedTuple):
    """The scale of a column: z = (x * unit - center) / spread."""

    unit: float = 1.0
    center: float = 0.0
    spread: float = math.inf
    median: float = math.nan
    has_missing: bool = True


class ColumnFacts(NamedTuple):
    """Facts about a column. The mean and the spread are those of the numbers times the unit."""

    low: float
    high: float
    has_missing: bool
    mean: float
    spread: float


def scale_of_column(values: np.ndarray, weights: Weights, how: str | None) -> ColumnScale:
    """Return the scale of a column of numbers, some of which may be missing.

    Raises FloatingPointError for an infinite number.
    """
    x = weights.take(values).astype(np.float64)  # a copy
    weight = weights.weight
    missing = np.isnan(x)
    has_missing = bool(missing.any())
    if has_missing:
        x = x[~missing]
        weight = None if weight is None else weight[~missing]
    return _scale_of(x, weight, weights.unit, how)._replace(has_missing=has_missing)


def scale_of_sample(
    values: np.ndarray, weights: Weights, how: str | None, facts: ColumnFacts
) -> ColumnScale:
    """Return the scale of a column, given a sample of its numbers and facts about all of them.

    The range, the mean and the standard deviation are those of all numbers.
    """
    known = ~np.isnan(values)
    weight = None if weights.weight is None else weights.weight[known]
    scale = _scale_of(values[known].astype(np.float64), weight, weights.unit, how, facts)
    return scale._replace(has_missing=facts.has_missing)


def _scale_of(
    x: np.ndarray,
    weight,
    unit_weight: float,
    how: str | None,
    facts: ColumnFacts | None = None,
) -> ColumnScale:
    """Return the scale of numbers, in float64 and none missing. The array may be overwritten.

    With facts, the numbers are a sample. If it is empty, the mean takes the place of the median.
    """
    if not len(x) and (facts is None or facts.low > facts.high):
        return ColumnScale()
    low, high = (float(x.min()), float(x.max())) if facts is None else (facts.low, facts.high)
    if math.isinf(low) or math.isinf(high):
        raise FloatingPointError
    unit = units_of(np.float64(max(-low, high))).item()
    if unit != 1:
        x *= unit
        low, high = low * unit, high * unit
    center, spread = (0.0, 1.0) if how is None else (low, math.inf)
    if low < high and how == "standard":
        center, spread = _moments(x, weight) if facts is None else (facts.mean, facts.spread)
        spread = spread or math.inf
    q25, median, q75 = _quartiles(x, weight, unit_weight) if len(x) else [facts.mean] * 3
    if low < high and how == "robust":
        center, spread = median, q75 - q25 or (high - low) / 2
    if how is None:
        return ColumnScale(1.0, 0.0, 1.0, median / unit)
    return ColumnScale(unit, center, spread, median / unit)


def _moments(x: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
    """Return the mean and the standard deviation."""
    mean = float(np.average(x, weights=weight))
    return mean, math.sqrt(np.average((x - mean) ** 2, weights=weight))


def units_of(largest: np.ndarray) -> np.ndarray:
    """Return powers of 2 that bring numbers with these maxima into a safe range.

    It is 1 for a maximum that is not positive.
    """
    is_safe = (largest <= 0) | ((largest >= _SAFE[0]) & (largest <= _SAFE[1]))
    return np.where(is_safe, 1.0, np.ldexp(1.0, np.minimum(-np.frexp(largest)[1], 1000)))


def _quartiles(x: np.ndarray, weight: np.ndarray | None, unit_weight: float) -> list[float]:
    """Return the quartiles, as NumPy computes them after a repetition of rows by their weights.

    Without weights, the array is overwritten.
    """
    if weight is None:
        return np.quantile(x, _QUARTERS, overwrite_input=True).tolist()
    order = np.argsort(x, kind="stable")
    x, weight = x[order], weight[order]
    ends = np.cumsum(weight)
    starts = ends - weight
    knots = np.column_stack([starts, np.maximum(ends - unit_weight, starts)]).ravel()
    return np.interp(_QUARTERS * knots[-1], knots, np.repeat(x, 2)).tolist()


def scales_of_sparse(
    X, weights: Weights, how: str | None, facts: Facts | None = None
) -> list[ColumnScale]:
    """Return the scales of a CSC matrix's columns: spreads only, as zeros stay zeros.

    The median is 0, as zeros stand for what is missing. An infinite number is not looked for. With
    facts about all rows, X and the weights are those of a sample.
    """
    n_columns = X.shape[1]
    spread = np.ones(n_columns)
    if how is None:
        return [ColumnScale(1.0, 0.0, 1.0, 0.0, False)] * n_columns
    columns = np.repeat(np.arange(n_columns), np.diff(X.indptr))
    weight = np.ones(len(X.data)) if weights.weight is None else weights.weight[X.indices]
    missing = np.isnan(X.data)

    def total(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(columns[chosen], weight[chosen], minlength=n_columns)

    below, above = total(X.data < 0), total(X.data > 0)
    last = weights.total - weights.unit
    # Where the quartiles are 0 for certain, and the spread is half the range.
    is_plain = (below <= 0.25 * last) & (weights.total - above - weights.unit >= 0.75 * last)
    is_plain &= (total(missing) == 0) & (how == "robust")
    if facts is not None or len(X.data):
        X_min, X_max = _range_of(X) if facts is None else (facts.low, facts.high)
        spread = X_max / 2 - X_min / 2
        largest = np.maximum(X_max, -X_min)
        is_plain &= (largest == 0) | ((largest >= _SAFE[0]) & (largest <= _SAFE[1]))
    units = np.ones(n_columns)
    for j in np.flatnonzero(~is_plain):
        entries = slice(X.indptr[j], X.indptr[j + 1])
        known = ~missing[entries]
        lost = float(weight[entries][~known].sum())
        x, w = X.data[entries][known], weight[entries][known]
        rest = weights.total - lost - w.sum()
        if rest > 0.5 * weights.unit:
            x, w = np.append(x, 0.0), np.append(w, rest)
        scale = _scale_of(x, w, weights.unit, how, None if facts is None else facts.column(j))
        units[j], spread[j] = scale.unit, scale.spread
    spread[spread == 0] = math.inf
    return [
        ColumnScale(float(u), 0.0, float(s), 0.0, False) for u, s in zip(units, spread, strict=True)
    ]


def _range_of(X) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest number of each column of a sparse matrix."""
    return X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()


class Scaling:
    """The scales of some columns, and the smooth clip z / sqrt(1 + (z / clip)^2).

    Parameters
    ----------
    scales : sequence of ColumnScale
    clip : float or None
        The bound of the results. None stands for none.
    """

    def __init__(self, scales: Sequence[ColumnScale], clip: float | None):
        self.clip = clip
        self.unit = np.array([s.unit for s in scales])
        self.center = np.array([s.center for s in scales])
        self.spread = np.array([s.spread for s in scales])
        self.median = np.array([s.median for s in scales])
        self.has_missing = np.array([s.has_missing for s in scales], bool)
        self.is_plain = bool((self.unit == 1).all())
        fill = self.median * self.unit - self.center
        fill = smooth_clip(np.nan_to_num(fill / self.spread), clip)
        self.fill = fill

    def apply(self, block: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Scale a float64 array in place, and return which of its numbers are missing."""
        missing = np.isnan(block)
        with np.errstate(over="ignore"):
            if not self.is_plain:
                block *= self.unit[columns]
            block -= self.center[columns]
            block /= self.spread[columns]
        smooth_clip(block, self.clip)
        if missing.any():
            np.copyto(block, self.fill[columns], where=missing)
        return missing

    def apply_sparse(self, data: np.ndarray, columns: np.ndarray) -> None:
        """Scale the entries of a sparse matrix in place. A missing one becomes 0."""
        data[np.isnan(data)] = 0.0
        with np.errstate(over="ignore"):
            data *= self.unit[columns]
            data /= self.spread[columns]
        smooth_clip(data, self.clip)

    def invert(self, z: np.ndarray, epsilon: float) -> np.ndarray:
        """Return the numbers that were scaled to z. A constant column gives its median."""
        z = undo_clip(z.astype(np.float64), self.clip, epsilon)
        is_constant = np.isinf(self.spread)
        with np.errstate(over="ignore"):
            x = (z * np.where(is_constant, 0.0, self.spread) + self.center) / self.unit
        x[:, is_constant] = self.median[is_constant]
        return x

    def invert_sparse(self, data: np.ndarray, columns: np.ndarray, epsilon: float) -> np.ndarray:
        """Return the entries of a sparse matrix that were scaled to these."""
        z = undo_clip(data.astype(np.float64), self.clip, epsilon)
        spread = np.where(np.isinf(self.spread), 0.0, self.spread)
        return z * spread[columns] / self.unit[columns]


def smooth_clip(z: np.ndarray, clip: float | None) -> np.ndarray:
    """Compute z / sqrt(1 + (z / clip)^2) in place, and return it."""
    if clip is None:
        return z
    limit = min(1e12 * clip, 1e300)  # infinity would become NaN
    np.clip(z, -limit, limit, out=z)
    divisor = z / clip
    divisor *= divisor
    divisor += 1
    np.sqrt(divisor, out=divisor)
    z /= divisor
    return z


def undo_clip(y: np.ndarray, clip: float | None, epsilon: float) -> np.ndarray:
    """Return the z whose smooth clip is y. Numbers at the clip are taken to be just below it."""
    if clip is None:
        return y
    rest = 1 - (y / clip) ** 2
    return np.clip(y, -clip, clip) / np.sqrt(np.maximum(rest, epsilon))


def scales_of_indicators(counts: np.ndarray, weights: Weights, how: str | None) -> tuple:
    """Return the centers and spreads of 0/1 columns with these counts of ones."""
    if how is None:
        return np.zeros(len(counts)), np.ones(len(counts))
    if how == "standard":
        share = counts / weights.total
        center, spread = share, np.sqrt(share * (1 - share))
    else:
        last, unit = weights.total - weights.unit, weights.unit
        last_zero = weights.total - counts - unit
        q25, center, q75 = (np.clip((q * last - last_zero) / unit, 0, 1) for q in _QUARTERS)
        spread = q75 - q25
        spread = np.where(spread == 0, 0.5, spread)
    is_constant = counts >= weights.total
    return np.where(is_constant, 1.0, center), np.where(is_constant, math.inf, spread)
