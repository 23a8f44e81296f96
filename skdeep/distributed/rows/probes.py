"""Functions that run on the workers, chunk by chunk: rows as arrays, and looks at them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skdeep.data.sources.rows import chosen_rows, converted, first_fault
from skdeep.data.sources.transformed import refused

if TYPE_CHECKING:
    from skdeep.tabular.encoding.encoder import TabularEncoder

# The number of rows that are looked at in one go times that of the columns.
_NUMBERS_AT_A_TIME = 1 << 20


class Probe(NamedTuple):
    """A look at a chunk.

    `bad` is the row, the column and the number of the first entry that is not finite; None if all
    entries are finite. `largest` is the largest absolute value, and `n_bytes` the size in memory.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    is_sparse: bool
    bad: tuple[int, int, float] | None
    largest: float
    n_bytes: int


def look_at(chunk: Any) -> Probe:
    """Return what the client has to know of a chunk."""
    from dask.sizeof import sizeof

    is_sparse, n_bytes = sp.issparse(chunk), sizeof(chunk)
    shape = getattr(chunk, "shape", ())
    dtype = np.dtype(object) if hasattr(chunk, "iloc") else getattr(chunk, "dtype", None)
    kind = type(chunk).__name__
    is_known = is_sparse or isinstance(chunk, np.ndarray)
    if not is_known or len(shape) != 2 or dtype.kind != "f":
        return Probe(kind, shape, dtype or np.dtype(object), is_sparse, None, 0.0, n_bytes)
    bad, largest = None, 0.0
    for start, block in _blocks(chunk):
        low, high = float(block.min(initial=0.0)), float(block.max(initial=0.0))  # NaN stays NaN
        if not (np.isfinite(low) and np.isfinite(high)):
            row, column, value = first_fault(chunk if is_sparse else block)
            bad = start + int(row), int(column), float(value)
            break
        largest = max(largest, -low, high)
    return Probe(kind, shape, dtype, is_sparse, bad, largest, n_bytes)


def _blocks(chunk: Any):
    """Yield parts of the numbers of a chunk, and where each begins."""
    if sp.issparse(chunk):
        yield 0, chunk.data
        return
    n_rows = max(1, _NUMBERS_AT_A_TIME // max(1, chunk.shape[1]))
    for start in range(0, len(chunk), n_rows):
        yield start, chunk[start : start + n_rows]


def rows_of_partition(
    frame: Any, i: int, name: str, columns: Sequence[Any], dtypes: Sequence[Any], dtype: np.dtype
) -> Any:
    """Return a partition of a data frame as an array; raise if it is not like the others.

    If the dtype is object, the partition stays a data frame.
    """
    own = list(frame.columns)
    if own != list(columns):
        missing, more = [c for c in columns if c not in own], [c for c in own if c not in columns]
        raise ValueError(
            f"Partition {i} of {name} has other columns than {name} as a whole. Missing: "
            f"{missing}. Unexpected: {more}. Its columns are {own}, and those of {name} are "
            f"{list(columns)}."
        )
    if dtype.kind == "O":
        return frame
    for column, actual, declared in zip(columns, frame.dtypes, dtypes, strict=True):
        if not fits(actual, declared):
            raise ValueError(
                f"Column {column!r} is {actual} in partition {i} of {name}, and {declared} by the "
                f"type of {name} as a whole. Convert it when the partitions are read: "
                f"{name}.astype({{{column!r}: {str(declared)!r}}})."
            )
    missing_number = {"na_value": np.nan} if dtype.kind == "f" else {}
    return np.ascontiguousarray(frame.to_numpy(dtype=dtype, **missing_number))


def fits(actual: Any, declared: Any) -> bool:
    """Whether numbers of a dtype become those of the declared dtype without a loss."""
    if actual == declared:
        return True
    if not (isinstance(actual, np.dtype) and isinstance(declared, np.dtype)):
        return False
    return actual.kind in "biuf" and np.can_cast(actual, declared, "safe")


def rows_at(chunk: Any, rows: np.ndarray, dtype: np.dtype) -> Any:
    """Return some rows of a chunk."""
    return converted(chosen_rows(chunk, rows), dtype)


def learn(
    encoder: TabularEncoder, chunk: Any, weight: np.ndarray | None, first: int, place: str
) -> TabularEncoder:
    """Return an encoder that has learned from a chunk.

    `first` is the number of the rows before it that count.
    """
    with _named(place, lambda rows: encoder.of_chunk(rows, None, 0), chunk):
        return encoder.of_chunk(chunk, weight, first)


def merge(encoder: TabularEncoder, *others: TabularEncoder) -> TabularEncoder:
    """Return an encoder that has learned what several encoders have learned."""
    first, *others = copy.deepcopy((encoder, *others))  # Dask may need them again
    for other in others:
        first.merge(other)
    return first


def encode(chunk: Any, place: str, encoder: TabularEncoder) -> Any:
    """Return the encoded rows of a chunk."""
    if not chunk.shape[0]:
        make = sp.csr_matrix if encoder.gives_sparse(sp.issparse(chunk)) else np.zeros
        return make((0, encoder.n_features_out_), dtype=encoder.dtype)
    with _named(place, encoder.transform, chunk):
        return encoder.transform(chunk)


@contextmanager
def _named(place: str, function: Callable[[Any], Any], chunk: Any) -> Iterator[None]:
    """Add the place of the rows that a function refuses to an error."""
    try:
        yield
    except Exception as error:
        first, last = refused(function, chunk)
        rows = f"row {first}" if last == first + 1 else f"rows {first} to {last - 1}"
        error.add_note(f"It was raised for {rows} of {place}.")
        raise


def infer(network: bytes, chunks: Sequence[Any], rows: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return the raw outputs for rows of several chunks; None stands for all rows of a chunk."""
    predict = pickle.loads(network).infer
    return np.concatenate(
        [predict(c if r is None else c[r]) for c, r in zip(chunks, rows, strict=True)]
    )
