"""What the chunks of a table have told so far: the state of `TabularEncoder.partial_fit`.

Categories, gaps, ranges and moments are those of all rows. The quartiles are those of a sample. As
long as the sample holds all rows, everything is computed from it as `fit` would.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skdeep._component import InvalidParameterError
from skdeep.tabular.encoding.categories import CategoryColumn, Counts, Selection
from skdeep.tabular.encoding.columns import Column, refuse_other_declaration, refuse_other_kind
from skdeep.tabular.encoding.facts import Facts, facts_of, facts_of_sparse
from skdeep.tabular.encoding.sample import Sample
from skdeep.tabular.encoding.scaling import (
    ColumnScale,
    Weights,
    scale_of_column,
    scale_of_sample,
    scales_of_sparse,
)
from skdeep.tabular.encoding.tables import Table


class Look(NamedTuple):
    """What a chunk tells about a column.

    `counts` are the new values and all totals of a column of categories, and `column` is another
    column.
    """

    kind: str | None
    is_declared: bool
    is_untyped: bool
    is_category: bool
    counts: tuple[list, np.ndarray] | None
    column: Column | None


class Known(NamedTuple):
    """What other chunks have told about a column, as a `Column` tells it."""

    kind: str | None
    is_category: bool
    example: Any


class Passes:
    """The chunks of a table, in bounded memory.

    Parameters
    ----------
    table : Table
        The first chunk. It is not added.
    selection : Selection
    first : int
        The position of its first row among the rows that count.

    Attributes
    ----------
    parameters : dict
        The parameters of the encoder at its last chunk.
    n_rows : int
        The number of rows that count.
    total, unit : float
        Their weight, and the weight of a row that counts once.
    kinds : list of {"number", "string", "other", None}
        The kind of the values of each column; None if all are missing.
    is_declared : list of bool
        Whether the chunks declare the values of a column as categories.
    is_untyped : list of bool
        Whether a chunk had only missing values in a column, of no dtype of numbers.
    counts : dict of int to Counts
        The columns of categories.
    numeric : list of int
        The other columns, which the sample holds.
    """

    def __init__(self, table: Table, selection: Selection, first: int = 0):
        n_columns = table.shape[1]
        self.selected = selection.is_from_dtype, selection.positions
        self.parameters: dict[str, Any] = {}
        self.names, self.library, self.is_sparse = table.names, table.library, table.is_sparse
        self.n_rows, self.total, self.unit = 0, 0.0, 1.0
        self.kinds: list[str | None] = [None] * n_columns
        self.is_declared = [False] * n_columns
        self.is_untyped = [False] * n_columns
        self.counts: dict[int, Counts] = {}
        self.numeric = list(range(n_columns))
        self.facts = Facts(n_columns)
        self.sample = Sample(n_columns, first)

    def label(self, j: int) -> str:
        """Return the name of a column, for messages."""
        return f"column {j if self.names is None else self.names[j]!r}"

    def check(self, other: Passes) -> None:
        """Raise if a chunk is another kind of table than the chunks before."""
        if other.is_sparse != self.is_sparse:
            now, before = ("sparse", "dense") if other.is_sparse else ("dense", "sparse")
            raise ValueError(
                f"X is {now}, and the chunks before were {before}. Give all of them in one form."
            )
        self._check_names(other.names)
        if len(other.kinds) != len(self.kinds):
            raise ValueError(
                f"X has {len(other.kinds)} columns, and the chunks before had {len(self.kinds)}."
            )
        if other.selected != self.selected:
            raise InvalidParameterError(
                "categorical_features names other columns now than for the chunks before; set it "
                "before the first chunk."
            )

    def _check_names(self, names: list | None) -> None:
        if self.names is None or names is None or names == self.names:
            return
        for noun, some, others in (
            ("lacks", self.names, names),
            ("has the new", names, self.names),
        ):
            if missing := [name for name in some if name not in others]:
                raise ValueError(
                    f"X {noun} column {missing[0]!r}, compared with the chunks before."
                )
        raise ValueError(
            f"X has its columns in the order {names[:10]}, and the chunks before had "
            f"{self.names[:10]}."
        )

    def add(self, table: Table, weights: Weights, selection: Selection) -> None:
        """Add the rows of a chunk. After an error, the state is as it was before.

        Raises FloatingPointError for an infinite number, with the position of its column.
        """
        if table.is_sparse:
            self._add_sparse(weights.take(table.X), weights)
        else:
            looks = {j: self._look(j, table, weights, selection) for j in range(table.shape[1])}
            columns = {j: look.column for j, look in looks.items() if look.column is not None}
            chosen, values, facts = self._read_numbers(table, weights, columns)
            for j, look in looks.items():
                self._take_over(j, look)
            self.facts.merge(facts, np.array(self.numeric, np.intp))
            self.sample.add(chosen, weights.each()[chosen], values, weights.n_rows)
        self.n_rows += weights.n_rows
        self.total += weights.total
        self.unit = min(self.unit, weights.unit)

    def merge(self, other: Passes) -> None:
        """Add the chunks of another state, which come after these. The other state is used up.

        Totals of weights that are no integers may differ in the last bits from those of `add`.
        """
        self.check(other)
        for j in range(len(self.kinds)):
            if other.kinds[j] is not None:
                self._check_kind(j, other.known(j), self.label(j))
        for j in self.counts.keys() | other.counts.keys():
            self._make_category(j)
            other._make_category(j)
            self.counts[j].merge(other.counts[j])
        for j, kind in enumerate(other.kinds):
            self.is_untyped[j] |= other.is_untyped[j]
            if kind is not None:
                self.kinds[j], self.is_declared[j] = kind, other.is_declared[j]
        self.facts.merge(other.facts)
        self.sample.merge(other.sample)
        self.n_rows += other.n_rows
        self.total += other.total
        self.unit = min(self.unit, other.unit)

    def known(self, j: int) -> Known:
        """Return what is known about a column that has values."""
        counts = self.counts.get(j)
        example = self.facts.low[j].item() if counts is None else next(iter(counts.places), None)
        return Known(self.kinds[j], self.is_declared[j], example)

    def fitted(
        self, how: str | None, max_one_hot: int | None, is_from_dtype: bool
    ) -> tuple[list[int], list[ColumnScale], list[CategoryColumn], Weights]:
        """Return the columns of numbers, their scales, the columns of categories, and weights."""
        rows = self.sample.rows()
        weights = Weights(len(rows.weight), rows.weight)
        facts = None if weights.n_rows == self.n_rows else self.facts
        numeric, categories = self.numeric, []
        if self.is_sparse:
            X = rows.values.tocsc().astype(np.float64)
            scales = scales_of_sparse(X, weights, how, facts)
        else:
            empty = {j: Counts() for j in self.numeric if is_from_dtype and self._is_empty(j)}
            numeric = [j for j in self.numeric if j not in empty]
            counts = sorted({**self.counts, **empty}.items())
            categories = [c.fitted(j, self.kinds[j], max_one_hot) for j, c in counts]
            columns = dict(zip(self.numeric, rows.values.T, strict=True))
            if facts is None:
                scales = [scale_of_column(columns[j], weights, how) for j in numeric]
            else:
                scales = [
                    scale_of_sample(columns[j], weights, how, facts.column(j)) for j in numeric
                ]
        if facts is not None:
            weights.total, weights.unit = self.total, self.unit
        return numeric, scales, categories, weights

    def _is_empty(self, j: int) -> bool:
        return self.kinds[j] is None and self.is_untyped[j]

    # Chunks ---------------------------------------------------------------------------------------

    def _look(self, j: int, table: Table, weights: Weights, selection: Selection) -> Look:
        """Look at a column of a chunk; raise if it does not go with the chunks before."""
        column, label = table.column(j), table.label(j)
        kind, is_category, counts = None, j in self.counts or j in selection.positions, None
        if column.has_values():
            kind = column.kind
            self._check_kind(j, column, label)
            is_category = selection.has(j, column, label)
            if is_category:
                counts = self.counts.get(j, Counts()).of_rows(column, weights)
        return Look(
            kind,
            kind is not None and column.is_category,
            column.kind == "empty",
            is_category,
            counts,
            None if is_category else column,
        )

    def _check_kind(self, j: int, column: Column | Known, label: str) -> None:
        """Raise if a column that has values is unlike the chunks before."""
        before = self.kinds[j]
        if before is None:
            return
        if column.kind != before:
            refuse_other_kind(column, before, label, "in the chunks before")
        is_from_dtype, _ = self.selected
        if is_from_dtype and before == "number" and column.is_category != self.is_declared[j]:
            refuse_other_declaration(column, label)

    def _take_over(self, j: int, look: Look) -> None:
        """Set what is known about a column."""
        if look.is_category:
            self._make_category(j)
        if look.counts is not None:
            self.counts[j].set(*look.counts)
        self.is_untyped[j] |= look.is_untyped
        if look.kind is not None:
            self.kinds[j], self.is_declared[j] = look.kind, look.is_declared

    def _make_category(self, j: int) -> None:
        """Let a column be one of categories, if it is not one yet."""
        if j not in self.counts:
            self.counts[j] = Counts()
            self.sample.drop(self.numeric.index(j))
            self.numeric.remove(j)

    def _read_numbers(
        self, table: Table, weights: Weights, columns: dict[int, Column]
    ) -> tuple[np.ndarray, np.ndarray, Facts]:
        """Return which of the rows that count go to the sample, their numbers, and the facts."""
        chosen = self.sample.choose(weights.n_rows)
        numeric = list(columns)
        values = np.empty((len(chosen), len(numeric)), table.float_dtype)
        facts = Facts(len(numeric))
        weight = weights.each()
        counting = np.arange(table.shape[0]) if weights.rows is None else weights.rows
        for rows, which, block in table.number_blocks(numeric, columns):
            start, stop = np.searchsorted(counting, [rows.start, rows.stop])
            if stop - start < len(block):
                block = block[counting[start:stop] - rows.start]
            first, last = np.searchsorted(chosen, [start, stop])
            values[first:last, which] = block[chosen[first:last] - start]
            found = facts_of(block, weight[start:stop])
            if (infinite := found.infinite()) is not None:
                raise FloatingPointError(numeric[which.start + infinite])
            facts.merge(found, which)
        return chosen, values, facts

    def _add_sparse(self, X: Any, weights: Weights) -> None:
        """Add the rows of a sparse matrix that count."""
        facts = facts_of_sparse(X.astype(np.float64), weights.each())
        if (infinite := facts.infinite()) is not None:
            raise FloatingPointError(infinite)
        self.facts.merge(facts)
        chosen = self.sample.choose(weights.n_rows, X)
        self.sample.add(chosen, weights.each()[chosen], X[chosen], weights.n_rows)
