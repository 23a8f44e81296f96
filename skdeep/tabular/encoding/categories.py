"""Columns of categories: which they are, and how each becomes columns of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep._component import InvalidParameterError, is_named
from skdeep.tabular.encoding.columns import Column, refuse_other_kind, refuse_strings
from skdeep.tabular.encoding.scaling import Weights, scales_of_indicators, smooth_clip
from skdeep.tabular.encoding.tables import Table


class CategoryColumn:
    """A column of categories after fit.

    Parameters
    ----------
    position : int
        The column of X.
    kind : {"number", "string", "other", "empty"}
    categories : list
        The values that were seen in fit, in order.
    counts : ndarray
        The total weight of each.
    max_one_hot : int or None

    Attributes
    ----------
    layout : {"pair", "one_hot", "codes"}
    width : int
        The number of columns in the output.
    start : int
        The first of them. The encoder sets it.
    values : ndarray of shape (n_categories + 1,)
        The output of each category, if there is one column. The last entry is the output of a
        missing or unknown one.
    low, high : ndarray of shape (n_categories,)
        The outputs that stand for 0 and 1, if there is a column for each category.
    """

    def __init__(
        self,
        position: int,
        kind: str,
        categories: list,
        counts: np.ndarray,
        max_one_hot: int | None,
    ):
        self.position = position
        self.kind = kind
        self.categories = categories
        self.counts = counts
        self.start = 0
        n = len(categories)
        self.places = dict(zip(categories, range(n), strict=True))
        if (max_one_hot is not None and n > max_one_hot) or max_one_hot == 0:
            self.layout, self.values = "codes", np.array([*range(1, n + 1), 0.0])
        elif n == 2:
            self.layout, self.values = "pair", np.array([-1.0, 1.0, 0.0])
        elif n == 0:
            self.layout, self.values = "pair", np.array([0.0])
        else:
            self.layout, self.values = "one_hot", np.zeros(0)
        self.width = n if self.layout == "one_hot" else 1
        self.low, self.high = np.zeros(n), np.ones(n)

    def scale(self, weights: Weights, how: str | None, clip: float | None, centered: bool) -> None:
        """Scale the 0/1 columns as numbers are scaled."""
        if self.layout != "one_hot":
            return
        center, spread = scales_of_indicators(self.counts, weights, how)
        center = np.where(np.isinf(spread) | centered, center, 0.0)
        self.low = smooth_clip((0 - center) / spread + 0.0, clip)
        self.high = smooth_clip((1 - center) / spread + 0.0, clip)

    def find(self, column: Column, label: str) -> np.ndarray:
        """Return the position of each row's category: -1 for a missing or unknown one."""
        if column.kind != self.kind and self.kind != "empty" and column.has_values():
            refuse_other_kind(column, self.kind, label)
        codes, uniques = column.factorize()
        places = [self.places.get(value, -1) for value in uniques]
        return np.array([*places, -1], np.intp)[codes]

    def write(self, found: np.ndarray, out: np.ndarray) -> None:
        """Write the columns of the output."""
        if self.layout != "one_hot":
            out[:, self.start] = self.values[found]
            return
        out[:, self.start : self.start + self.width] = self.low
        rows = np.flatnonzero(found >= 0)
        chosen = found[rows]
        out[rows, self.start + chosen] = self.high[chosen]

    def sparse_columns(self, found: np.ndarray, dtype: str) -> sp.csr_matrix:
        """Return the columns of a sparse output, in which zeros are not scaled."""
        if self.layout != "one_hot":
            return sp.csr_matrix(self.values[found][:, None].astype(dtype))
        known = found >= 0
        chosen = found[known]
        starts = np.concatenate([[0], np.cumsum(known)])
        data = self.high[chosen].astype(dtype)
        return sp.csr_matrix((data, chosen, starts), shape=(len(found), self.width))

    def outputs(self) -> dict:
        """Return {category: (the output column that it sets, the number there)}."""
        if self.layout != "one_hot":
            return {c: (self.start, self.values[i]) for c, i in self.places.items()}
        return {c: (self.start + i, self.high[i]) for c, i in self.places.items()}

    def blank(self) -> np.ndarray:
        """Return the columns of the output for a missing category."""
        return self.low if self.layout == "one_hot" else self.values[-1:]

    def invert(self, X: np.ndarray) -> np.ndarray:
        """Return the categories that the columns of an output stand for; None for none."""
        columns = X[:, self.start : self.start + self.width].astype(np.float64)
        n = len(self.categories)
        if self.layout == "one_hot":
            gap = self.high - self.low
            share = np.where(gap > 0, (columns - self.low) / np.where(gap > 0, gap, 1.0), 1.0)
            found = share.argmax(axis=1)
            found[share.max(axis=1) <= 0.5] = n
        else:
            found = np.abs(columns - self.values).argmin(axis=1)
        table = np.empty(n + 1, object)
        table[:n] = self.categories
        return table[found]

    def names(self, name: str) -> list[str]:
        """Return the names of the columns of the output."""
        if self.layout == "one_hot":
            return [f"{name}_{category}" for category in self.categories]
        is_pair = self.layout == "pair" and len(self.categories) == 2
        return [f"{name}_{self.categories[1]}" if is_pair else name]


class Counts:
    """The total weight of each value of a column of categories, over rows that come in chunks.

    Attributes
    ----------
    places : dict
        The position of each value in `totals`, in the order of their appearance.
    totals : ndarray
    """

    def __init__(self):
        self.places: dict[Any, int] = {}
        self.totals = np.zeros(0)

    def of_rows(self, column: Column, weights: Weights) -> tuple[list, np.ndarray]:
        """Return the new values and all totals, with the rows of a column that count."""
        codes, uniques = column.factorize()
        codes = weights.take(codes)
        is_known = codes >= 0
        codes = codes[is_known]
        first = np.full(len(uniques), -1)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        if column.kind == "string":  # no members of an Enum, which would be part of files
            uniques = [str.__str__(value) for value in uniques]
        appearing = [uniques[i] for i in codes[np.sort(first[first >= 0])].tolist()]
        new = [value for value in appearing if value not in self.places]
        of_new = {value: i for i, value in enumerate(new, len(self.places))}
        places = [self.places.get(value, of_new.get(value, -1)) for value in uniques]
        totals = np.concatenate([self.totals, np.zeros(len(new))])
        weight = 1.0 if weights.weight is None else weights.weight[is_known]
        np.add.at(
            totals, np.array(places, np.intp)[codes], weight
        )  # row by row, as if all were one chunk
        return new, totals

    def set(self, new: list, totals: np.ndarray) -> None:
        """Take over what `of_rows` has returned."""
        for value in new:
            self.places[value] = len(self.places)
        self.totals = totals

    def merge(self, other: Counts) -> None:
        """Add the counts of other rows."""
        new = [value for value in other.places if value not in self.places]
        self.set(new, np.concatenate([self.totals, np.zeros(len(new))]))
        self.totals[[self.places[value] for value in other.places]] += other.totals

    def fitted(self, position: int, kind: str | None, max_one_hot: int | None) -> CategoryColumn:
        """Return the column with these categories: sorted, if they can be sorted."""
        categories = list(self.places)
        try:
            categories.sort()
        except TypeError:
            categories = list(self.places)
        counts = self.totals[[self.places[value] for value in categories]]
        kind = kind if categories and kind is not None else "empty"
        return CategoryColumn(position, kind, categories, counts, max_one_hot)

    def _with_values(self, values: Iterable) -> Counts:
        """Return a copy that has places for these values."""
        counts = Counts()
        counts.places = dict(self.places)
        for value in values:
            counts.places.setdefault(value, len(counts.places))
        counts.totals = np.zeros(len(counts.places))
        counts.totals[: len(self.totals)] = self.totals
        return counts


def fit_category(
    position: int, column: Column, weights: Weights, max_one_hot: int | None
) -> CategoryColumn:
    """Learn the categories that occur in the rows that count."""
    counts = Counts()
    counts.set(*counts.of_rows(column, weights))
    return counts.fitted(position, column.kind, max_one_hot)


def as_array(category: CategoryColumn) -> np.ndarray:
    """Return the categories as an array: of numbers if they are, else of objects."""
    if category.kind == "number":
        array = np.array(category.categories)
        if array.dtype.kind in "biuf" and array.tolist() == category.categories:
            return array
    array = np.empty(len(category.categories), object)
    array[:] = category.categories
    return array


class Selection:
    """The parameter `categorical_features`, resolved for a table.

    Parameters
    ----------
    spec : "from_dtype", None, or sequence of names, positions or booleans
    table : Table
    """

    def __init__(self, spec: Any, table: Table):
        self.is_from_dtype = is_named(spec, "from_dtype")
        none_given = self.is_from_dtype or spec is None
        self.positions = set() if none_given else set(_positions(spec, table))

    def has(self, j: int, column: Column, label: str) -> bool:
        """Whether a column is one of categories; raise if it should be, but is not."""
        if self.is_from_dtype:
            return column.is_category or column.kind in ("string", "other", "empty")
        if j in self.positions:
            return True
        if column.kind not in ("number", "empty"):
            refuse_strings(column, label)
        return False


def _positions(spec: Any, table: Table) -> Iterable[int]:
    """Return the positions of the columns that are named, numbered or marked."""
    n_columns = table.shape[1]
    allowed = (
        'give "from_dtype", None, a list of names or positions of columns, or one boolean for '
        "each column"
    )
    if isinstance(spec, (str, bytes)) or not hasattr(spec, "__len__"):
        raise InvalidParameterError(f"categorical_features={spec!r} is not allowed; {allowed}.")
    entries = [e.item() if isinstance(e, np.generic) else e for e in spec]
    shown = f"categorical_features={spec!r}"
    if entries and all(isinstance(e, bool) for e in entries):
        if len(entries) != n_columns:
            raise InvalidParameterError(
                f"{shown} has {len(entries)} booleans for the {n_columns} columns of X; give one "
                "for each column."
            )
        return np.flatnonzero(entries).tolist()
    if all(isinstance(e, str) for e in entries):
        return [_position_of(e, table) for e in entries]
    if not all(isinstance(e, Integral) and not isinstance(e, bool) for e in entries):
        raise InvalidParameterError(f"{shown} is not allowed; {allowed}.")
    wrong = [e for e in entries if not 0 <= e < n_columns]
    if wrong:
        raise InvalidParameterError(
            f"{shown} holds {wrong[0]}, which is no position of a column; X has {n_columns} "
            f"columns, whose positions are 0 to {n_columns - 1}."
        )
    return entries


def _position_of(name: str, table: Table) -> int:
    if table.names is None:
        raise InvalidParameterError(
            f"categorical_features holds the name {name!r}, but X has no column names; give "
            "positions, or a DataFrame."
        )
    if name not in table.names:
        raise InvalidParameterError(
            f"categorical_features holds {name!r}, which is no column of X; choose from "
            f"{table.names}."
        )
    return table.names.index(name)
