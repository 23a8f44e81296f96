"""Rows in their containers (arrays, CSR matrices, data frames), and units of rows."""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep._component import InvalidParameterError
from skdeep.data.sources.paths import amount


def aligned(values: Any, n_rows: int, what: str) -> Any:
    """Return the values of all rows; raise ValueError if there are more or fewer of them."""
    if values is None:
        return None
    if not sp.issparse(values) and not hasattr(values, "iloc"):
        values = np.asarray(values)
    n_values = values.shape[0] if values.ndim else 0
    if n_values != n_rows:
        raise ValueError(f"{what} has {n_values} rows, but X has {n_rows}.")
    return values


def checked_dtype(dtype: Any, where: str) -> np.dtype:
    """Return the dtype of stored numbers in the machine's byte order; raise for other content."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf":
        kinds = {"c": "complex numbers", "O": "Python objects", "U": "text", "S": "text"}
        content = kinds.get(dtype.kind, f"values of dtype {dtype}")
        raise ValueError(
            f"{where} has {content} (dtype {dtype}), and numbers are required: floats, integers "
            "or booleans."
        )
    return dtype.newbyteorder("=")


def positions_of(rows: Any, n_rows: int) -> np.ndarray:
    """Return the positions of rows, given as positions, a mask or a slice."""
    if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
        rows = rows[0]  # as scikit-learn indexes arrays
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n_rows))
    positions = np.asarray(rows)
    if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "biu"):
        raise IndexError(
            f"Rows of a source are chosen by a slice, a mask or a 1-D array of positions, not by "
            f"{rows!r}."
        )
    if positions.dtype == bool:
        if len(positions) != n_rows:
            raise IndexError(f"The mask has {len(positions)} entries for {n_rows} rows.")
        return np.flatnonzero(positions)
    positions = positions.astype(np.intp)
    if positions.size and not -n_rows <= positions.min() <= positions.max() < n_rows:
        raise IndexError(f"The positions of rows have to be between 0 and {n_rows - 1}.")
    return np.where(positions < 0, positions + n_rows, positions)


def converted(X: Any, dtype: np.dtype) -> Any:
    """Return rows with numbers of a dtype; data frames stay as they are."""
    if hasattr(X, "iloc"):
        return X
    with np.errstate(over="ignore"):  # a check finds what became infinite
        return X.astype(dtype, copy=False)


def chosen_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array, a CSR matrix or a data frame."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def stacked(parts: list) -> Any:
    """Return parts of the same kind as one."""
    if len(parts) == 1:
        return parts[0]
    if sp.issparse(parts[0]):
        return sp.vstack(parts, format="csr")
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def first_fault(X: Any) -> tuple[int, int, float]:
    """Return the row, the column and the value of the first number that is not finite."""
    if isinstance(X, np.ndarray):
        row = int((~np.isfinite(X)).any(axis=1).argmax())
        column = int((~np.isfinite(X[row])).argmax())
        return row, column, X[row, column]
    k = int((~np.isfinite(X.data)).argmax())
    row = int(np.searchsorted(X.indptr, k, side="right")) - 1
    return row, int(X.indices[k]), X.data[k]


def cut_bounds(bounds: np.ndarray, n_at_most: float) -> np.ndarray:
    """Return the bounds of units that are cut into equal parts of no more than some rows."""
    if (np.diff(bounds) <= n_at_most).all():
        return bounds
    parts = [bounds[:1]]
    for first, end in pairwise(bounds.tolist()):
        n_parts = max(1, ceil((end - first) / max(1.0, n_at_most)))
        parts.append(np.linspace(first, end, n_parts + 1).astype(np.int64)[1:])
    return np.concatenate(parts)


def refuse_large_unit(name: str, n_bytes: float, memory_limit: int) -> None:
    """Raise InvalidParameterError if two units and a third one do not fit into the limit."""
    if 3 * n_bytes > memory_limit:
        raise InvalidParameterError(
            f"{name} takes {amount(n_bytes)} in memory, which is more than a third of "
            f"memory_limit={amount(memory_limit)}: it is trained on while the next one is read. "
            f'Give memory_limit="{amount(3 * n_bytes)}" or more, or make smaller ones.'
        )
