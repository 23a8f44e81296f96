"""Tables in their containers: pandas and polars frames, arrays, lists and sparse matrices.

A table gives its columns one at a time. It copies the whole only if it is asked for other rows or
for another column. pandas and polars are not imported: a frame comes with its module.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_array

from skdeep.tabular.encoding.columns import (
    Column,
    NumberColumn,
    ValueColumn,
    column_of_values,
    refuse,
    refuse_kind,
    refuse_other_kind,
    used_only,
)

#: The numbers in a block: few enough for the processor's cache.
BLOCK = 32_768

_POLARS_INTEGERS = {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}


class Table:
    """The base of all tables.

    Parameters
    ----------
    X : frame, array or sparse matrix
    names : list or None
        The labels of the columns.

    Attributes
    ----------
    is_sparse : bool
    library : str or None
        The module that has the class of the frame.
    float_dtype : dtype
        The smallest one, from float32 on, that holds all numbers as float64 would.
    """

    is_sparse = False
    library: str | None = None
    float_dtype = np.dtype(np.float64)

    def __init__(self, X: Any, names: list | None = None):
        self.X = X
        self.names = names
        self.shape: tuple[int, int] = X.shape

    def label(self, j: int) -> str:
        """Return the name of a column, for messages."""
        return f"column {j if self.names is None else self.names[j]!r}"

    def column(self, j: int) -> Column:
        """Return the column at a position."""
        raise NotImplementedError

    def rows(self) -> Sequence[Sequence] | None:
        """Return the rows as sequences of Python values; None if that is not cheap."""
        return None

    def take(self, rows: np.ndarray) -> Table:
        """Return the table of these rows, in the same kind of container."""
        table = copy.copy(self)
        table.X = self._rows_of_X(rows)
        table.shape = table.X.shape
        return table

    def _rows_of_X(self, rows: np.ndarray) -> Any:
        return self.X[rows]

    def cells(self, j: int, rows: np.ndarray) -> Any:
        """Return a column at these rows, as the container stores it."""
        return self.X[rows, j]

    def number_cells(self, j: int, numbers: np.ndarray) -> Any:
        """Return other numbers for a column of numbers, as the container would store them."""
        dtype = self.X.dtype
        return numbers.astype(dtype if dtype.kind == "f" else np.float64)

    def replaced(self, j: int, cells: Any) -> Any:
        """Return a copy of X in which a column has other cells."""
        X = self.X.astype(np.result_type(self.X, cells))
        X[:, j] = cells
        return X

    def numbers(self, j: int) -> np.ndarray:
        """Return a column that held numbers in fit."""
        column = self.column(j)
        if column.kind not in ("number", "empty"):
            refuse_other_kind(column, "number", self.label(j))
        return column.numbers()

    def number_blocks(
        self, positions: Sequence[int], read: Mapping[int, Column] | None = None
    ) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield columns of numbers: the rows, which of the positions, and a new float64 array.

        `read` are the columns, if they were read before.
        """
        n_rows = self.shape[0]
        step = max(1, BLOCK // n_rows)
        for start in range(0, len(positions), step):
            chosen = positions[start : start + step]
            block = np.empty((n_rows, len(chosen)), order="F")
            for i, j in enumerate(chosen):
                block[:, i] = self.numbers(j) if read is None else read[j].numbers()
            yield slice(0, n_rows), slice(start, start + len(chosen)), block


class NumberTable(Table):
    """An array of numbers, or a sparse matrix of numbers."""

    def __init__(self, X: Any):
        super().__init__(X)
        self.is_sparse = sp.issparse(X)
        self.float_dtype = min(np.result_type(X.dtype, np.float32), super().float_dtype)

    def column(self, j: int) -> NumberColumn:
        if self.is_sparse:
            return NumberColumn(self.X[:, [j]].toarray().ravel())
        return NumberColumn(self.X[:, j])

    def cells(self, j: int, rows: np.ndarray) -> np.ndarray:
        return self.column(j).numbers()[rows]

    def replaced(self, j: int, cells: Any) -> Any:
        if not self.is_sparse:
            return super().replaced(j, cells)
        parts = [self.X[:, :j], sp.csr_matrix(cells[:, None]), self.X[:, j + 1 :]]
        return type(self.X)(sp.hstack(parts, format="csr"))

    def rows(self) -> Sequence[Sequence] | None:
        return None if self.is_sparse else self.X.tolist()

    def number_blocks(self, positions, read=None):
        n_rows, n_columns = self.shape
        is_all = len(positions) == n_columns
        step = max(1, BLOCK // n_columns)
        for start in range(0, n_rows if len(positions) else 0, step):
            rows = slice(start, min(start + step, n_rows))
            block = self.X[rows].toarray() if self.is_sparse else self.X[rows]
            block = block if is_all else block[:, positions]
            yield rows, slice(0, len(positions)), block.astype(np.float64)


class ObjectTable(Table):
    """An array of Python objects or of strings."""

    def column(self, j: int) -> Column:
        return column_of_values(self.X[:, j].tolist(), self.label(j))

    def number_cells(self, j: int, numbers: np.ndarray) -> np.ndarray:
        return numbers.astype(object)

    def rows(self) -> Sequence[Sequence] | None:
        return self.X.tolist()


class PandasTable(Table):
    """A DataFrame of pandas."""

    library = "pandas"

    def column(self, j: int) -> Column:
        series = self.X.iloc[:, j]
        dtype, label = series.dtype, self.label(j)
        kind = getattr(dtype, "kind", "O")
        refuse_kind(kind, label)
        if dtype.name == "category":
            codes = series.cat.codes.to_numpy().astype(np.intp)
            codes, uniques = used_only(codes, series.cat.categories.tolist())
            return ValueColumn(codes, uniques, label, is_category=True)
        if kind in "fiub":
            if isinstance(dtype, np.dtype):
                return NumberColumn(series.to_numpy())
            if kind == "f":
                return NumberColumn(series.to_numpy(dtype=np.float64, na_value=np.nan))
            if not series.hasnans:
                return NumberColumn(series.to_numpy(dtype=f"{kind}{'1' if kind == 'b' else '8'}"))
        try:
            codes, uniques = series.factorize()
        except (TypeError, NotImplementedError, OverflowError):  # no hash, nested, huge
            return column_of_values(series.tolist(), label)
        return ValueColumn(codes, uniques.tolist(), label)

    def _rows_of_X(self, rows):
        return self.X.iloc[rows]

    def cells(self, j, rows):
        return self.X.iloc[:, j].array[rows]

    def number_cells(self, j, numbers):
        dtype = self.X.dtypes.iloc[j]
        if not isinstance(dtype, np.dtype):  # with a mark of its own for missing values
            return sys.modules["pandas"].array(numbers, dtype="Float64")
        return numbers.astype(dtype if dtype.kind in "fO" else np.float64)

    def replaced(self, j, cells):
        X = self.X.copy(deep=False)
        X.isetitem(j, cells)
        return X

    def rows(self) -> Sequence[Sequence] | None:
        return self.X.to_numpy(dtype=object).tolist()


class PolarsTable(Table):
    """A DataFrame of polars."""

    library = "polars"

    def column(self, j: int) -> Column:
        series = self.X.to_series(j)
        name = str(series.dtype)
        is_integer = name in _POLARS_INTEGERS
        if name in ("Float32", "Float64") or (is_integer and not series.null_count()):
            return NumberColumn(series.to_numpy())
        return column_of_values(series.to_list(), self.label(j))

    def cells(self, j, rows):
        return self.X.to_series(j).gather(rows)

    def number_cells(self, j, numbers):
        series = self.X.to_series(j)
        dtype = np.float32 if str(series.dtype) == "Float32" else np.float64
        return type(series)(series.name, numbers.astype(dtype))

    def replaced(self, j, cells):
        return self.X.with_columns(cells)

    def rows(self) -> Sequence[Sequence] | None:
        return self.X.rows()


def read_table(X: Any, owner: Any) -> Table:
    """Return X as a table; raise scikit-learn's errors for what is none.

    Parameters
    ----------
    X : DataFrame, array-like or sparse matrix
    owner : estimator
        Its name is in the messages.
    """
    for module, kind in (("pandas", PandasTable), ("polars", PolarsTable)):
        frame = getattr(sys.modules.get(module), "DataFrame", None)
        if frame is not None and isinstance(X, frame):
            if 0 in X.shape:
                check_array(np.empty(X.shape), estimator=owner)
            return kind(X, _unique_names(X))
    if hasattr(X, "to_pandas"):  # a frame of another library, such as pyarrow
        return read_table(X.to_pandas(), owner)
    if hasattr(X, "collect_schema") and not hasattr(X, "shape"):
        raise TypeError("X is a lazy frame. Give a DataFrame: X.collect().")
    array = _as_array(X, owner)
    if sp.issparse(array) or array.dtype.kind in "fiub":
        return NumberTable(array)
    if array.dtype.kind in "OUT":
        return ObjectTable(array)
    refuse_kind(array.dtype.kind, "column 0")
    refuse(array[0, 0], "column 0")


def _unique_names(X: Any) -> list:
    """Return the labels of a frame's columns; raise if two are the same."""
    names = list(X.columns)
    if len(set(names)) < len(names):
        seen: set = set()
        twice = next(n for n in names if n in seen or seen.add(n))
        raise ValueError(
            f"X has {names.count(twice)} columns of the name {twice!r}. Rename them, so that "
            "every column has its own name, or remove all but one."
        )
    return names


def _as_array(X: Any, owner: Any) -> Any:
    """Return an array or a CSR matrix in its own dtype, checked by scikit-learn."""
    if isinstance(X, np.ma.MaskedArray):
        is_number = X.dtype.kind in "fiub"
        kept = np.array(X.data, dtype=np.float64 if is_number else object)
        kept[np.ma.getmaskarray(X)] = np.nan if is_number else None
        X = kept
    elif not (sp.issparse(X) or hasattr(X, "dtype") or hasattr(X, "__array__")):
        array = np.asarray(X)
        # NumPy would turn the numbers of a row that has a string into strings.
        X = np.asarray(X, dtype=object) if array.dtype.kind in "US" else array
    options = {"dtype": None, "ensure_all_finite": False, "accept_large_sparse": True}
    array = check_array(X, accept_sparse="csr", estimator=owner, **options)
    if sp.issparse(array) and not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    return array
