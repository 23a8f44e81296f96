"""Facts about all rows of columns of numbers that come in chunks: ranges, moments and gaps."""

from __future__ import annotations

import numpy as np

from skdeep.tabular.encoding.scaling import ColumnFacts, units_of


class Facts:
    """The facts about some columns.

    Parameters
    ----------
    n_columns : int

    Attributes
    ----------
    low, high : ndarray of shape (n_columns,)
        The range: infinity and minus infinity if there is no number.
    has_missing : ndarray of bool
    weight : ndarray
        The total weight of the numbers.
    mean, scatter : ndarray
        The weighted mean, and the sum of the weighted squares of the differences from it, of the
        numbers times `unit`, a power of 2 that brings them into a safe range.
    """

    def __init__(self, n_columns: int):
        self.low = np.full(n_columns, np.inf)
        self.high = np.full(n_columns, -np.inf)
        self.has_missing = np.zeros(n_columns, bool)
        self.weight = np.zeros(n_columns)
        self.mean = np.zeros(n_columns)
        self.scatter = np.zeros(n_columns)

    @property
    def unit(self) -> np.ndarray:
        """The power of 2 by which the numbers of each column are multiplied."""
        return units_of(np.maximum(-self.low, self.high))

    def column(self, j: int) -> ColumnFacts:
        """Return the facts about one column."""
        spread = np.sqrt(self.scatter[j] / self.weight[j]) if self.weight[j] else np.float64(0)
        facts = self.low[j], self.high[j], self.has_missing[j], self.mean[j], spread
        return ColumnFacts(*(fact.item() for fact in facts))

    def infinite(self) -> int | None:
        """Return the first column that has an infinite number."""
        is_infinite = (self.low == -np.inf) | (self.high == np.inf)
        return int(is_infinite.argmax()) if is_infinite.any() else None

    def merge(self, other: Facts, columns: np.ndarray | slice = slice(None)) -> None:
        """Add the facts about other rows of some columns."""
        unit = self.unit[columns]
        self.low[columns] = np.minimum(self.low[columns], other.low)
        self.high[columns] = np.maximum(self.high[columns], other.high)
        self.has_missing[columns] |= other.has_missing
        new = self.unit[columns]
        first, second = new / unit, new / other.unit
        mean, more = self.mean[columns] * first, other.mean * second
        total = self.weight[columns] + other.weight
        share = other.weight / np.where(total > 0, total, 1)
        gap = more - mean
        # the squares of the factors may overflow where the scatter is 0
        scatter = self.scatter[columns] * first * first + other.scatter * second * second
        self.scatter[columns] = scatter + self.weight[columns] * share * gap**2
        self.mean[columns] = mean + share * gap
        self.weight[columns] = total


def facts_of(X: np.ndarray, weight: np.ndarray) -> Facts:
    """Return the facts about the columns of a float64 array, which is overwritten."""
    facts = Facts(X.shape[1])
    facts.low = np.fmin.reduce(X, axis=0, initial=np.inf)
    facts.high = np.fmax.reduce(X, axis=0, initial=-np.inf)
    if facts.infinite() is not None:
        return facts
    missing = np.isnan(X)
    facts.has_missing = missing.any(axis=0)
    X *= facts.unit
    if facts.has_missing.any():
        X[missing] = 0
        facts.weight = weight @ ~missing
    else:
        facts.weight[:] = weight.sum()
    facts.mean = weight @ X / np.where(facts.weight > 0, facts.weight, 1)
    X -= facts.mean
    if facts.has_missing.any():
        X[missing] = 0
    facts.scatter = np.einsum("i,ij,ij->j", weight, X, X)
    return facts


def facts_of_sparse(X, weight: np.ndarray) -> Facts:
    """Return the facts about the columns of a CSR matrix of float64 numbers."""
    facts = Facts(X.shape[1])
    np.fmin.at(facts.low, X.indices, X.data)
    np.fmax.at(facts.high, X.indices, X.data)
    if facts.infinite() is not None:
        return facts

    def total(numbers: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        sums = np.bincount(X.indices[chosen], numbers[chosen], minlength=X.shape[1])
        return sums.astype(np.float64)  # of nothing, they are integers

    is_missing = np.isnan(X.data)
    has_zeros = np.bincount(X.indices, minlength=X.shape[1]) < X.shape[0]
    facts.low[has_zeros] = np.minimum(facts.low[has_zeros], 0)
    facts.high[has_zeros] = np.maximum(facts.high[has_zeros], 0)
    weights = np.repeat(weight, np.diff(X.indptr))
    stored, lost = total(weights, ~is_missing), total(weights, is_missing)
    facts.has_missing = lost > 0
    facts.weight = np.maximum(weight.sum() - lost, 0)
    data = X.data * facts.unit[X.indices]
    facts.mean = total(weights * data, ~is_missing) / np.where(facts.weight > 0, facts.weight, 1)
    facts.scatter = total(weights * (data - facts.mean[X.indices]) ** 2, ~is_missing)
    facts.scatter += np.maximum(facts.weight - stored, 0) * facts.mean**2
    return facts
