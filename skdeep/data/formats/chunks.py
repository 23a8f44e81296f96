"""Rows in chunks that a function of the user gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import joblib
import numpy as np
import scipy.sparse as sp

from skdeep._component import InvalidParameterError, Limit
from skdeep.data.formats.npy import joined
from skdeep.data.sources.files import WholeUnits
from skdeep.data.sources.rows import aligned, checked_dtype, refuse_large_unit

_N_CHUNKS = Limit(1, integer=True, special=(None,))


class Chunk(NamedTuple):
    """An array, a CSR matrix or a data frame, and its targets and weights."""

    X: Any
    y: np.ndarray | None
    weight: np.ndarray | None


class Form(NamedTuple):
    """The properties that all chunks share."""

    kind: str
    n_columns: int
    dtype: np.dtype
    names: tuple[str, ...] | None

    def __str__(self) -> str:
        names = "" if self.names is None else f" {list(self.names)}"
        return f"{self.kind} of {self.n_columns} columns{names} of dtype {self.dtype}"


class Chunks(WholeUnits):
    """Rows in chunks that a function reads or makes.

    The first pass over all chunks, when the source is made, learns their sizes and keeps their
    targets and weights. Later passes raise an error if a chunk has another size, dtype or columns.

    Parameters
    ----------
    read : callable
        Returns chunk i, as `read(i)`, if n_chunks is given. Then the chunks are read in random
        order. Otherwise `read()` returns a new iterator over all chunks, which are read in its
        order in every epoch. A chunk is X, (X, y) or (X, y, sample_weight). X is an array, a
        sparse matrix or a pandas data frame.
    n_chunks : int or None, default=None
        The number of chunks.
    memory_limit : int or str, default="1GB"
        The memory for training: a number of bytes, or text such as "600MB" or "2GiB". No chunk may
        take more than a third of it.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.data import Chunks
    >>> def read(i):
    ...     X = np.random.default_rng(i).random((100, 5))
    ...     return X, X.sum(axis=1)
    >>> Chunks(read, n_chunks=3)
    <Chunks: 300 rows x 5 columns of float64>
    """

    def __init__(
        self, read: Callable, n_chunks: int | None = None, *, memory_limit: int | str = "1GB"
    ):
        if not callable(read):
            raise InvalidParameterError(
                f"read={read!r} is not callable. Give a function read(i) that returns chunk i, and "
                "n_chunks; or a function read() that returns a new iterator over all chunks."
            )
        if not _N_CHUNKS.allows(n_chunks):
            raise InvalidParameterError(f"n_chunks={n_chunks!r} is not allowed; give {_N_CHUNKS}.")
        self._call, self._n_chunks = read, n_chunks
        self.is_sequential = n_chunks is None
        # The pass at hand over chunks that are read in order, and the number of its next chunk.
        self._pass: Iterator[Chunk] | None = None
        self._next = 0
        self._learn(memory_limit)

    def _learn(self, memory_limit: Any) -> None:
        """Make the first pass."""
        forms: list[Form] = []
        sizes, n_bytes, hashes, targets, weights = [], [], [], [], []
        for k, chunk in enumerate(self._chunks()):
            forms.append(_form(chunk.X, f"Chunk {k}"))
            if forms[k] != forms[0]:
                raise ValueError(f"Chunk {k} is {forms[k]}, but chunk 0 is {forms[0]}.")
            sizes.append(chunk.X.shape[0])
            n_bytes.append(_bytes(chunk.X, forms[k].dtype))
            hashes.append(joblib.hash(tuple(chunk)))
            targets.append(chunk.y)
            weights.append(chunk.weight)
        if not forms:
            raise ValueError("read() gave no chunk; at least one is required.")
        self._form, self._hash, self._bytes = forms[0], joblib.hash(hashes), n_bytes
        y, weight = _of_all(targets, "y"), _of_all(weights, "sample_weight")
        self._set_up(sizes, forms[0].n_columns, forms[0].dtype, memory_limit, y, weight)
        self.is_sparse = forms[0].kind == "a sparse matrix"
        self.feature_names = None if forms[0].names is None else list(forms[0].names)
        for k, size in enumerate(n_bytes):
            refuse_large_unit(f"Chunk {k}", size, self.memory_limit)

    # Calls of the function ------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Chunk]:
        """Yield the chunks of a new pass."""
        if self._n_chunks is not None:
            yield from map(self._chunk, range(self._n_chunks))
            return
        with _named("read()"):
            given = self._call()
            if isinstance(given, tuple) or hasattr(given, "shape"):
                raise InvalidParameterError(
                    f"read() returned a {type(given).__name__}, and an iterator over chunks is "
                    "required, as of a function that yields them. If read(i) returns chunk i, give "
                    "n_chunks."
                )
            given = iter(given)
        k = 0
        while True:
            with _named(f"read(), for chunk {k}"):
                try:
                    content = next(given)
                except StopIteration:
                    return
            yield _as_chunk(content, f"Chunk {k}")
            k += 1

    def _chunk(self, k: int) -> Chunk:
        with _named(f"read({k})"):
            content = self._call(k)
        return _as_chunk(content, f"Chunk {k}")

    def _load(self, unit):
        X = (self._in_order(unit) if self.is_sequential else self._chunk(unit)).X
        form = _form(X, f"Chunk {unit}")
        n_rows = int(self.bounds[unit + 1] - self.bounds[unit])
        if form != self._form or X.shape[0] != n_rows:
            raise ValueError(
                f"Chunk {unit} has {X.shape[0]} rows and is {form}. In the first pass it had "
                f"{n_rows} rows and was {self._form}."
            )
        is_wanted = form.names is None or self.dtype.kind == "O"
        return X if is_wanted else _frame_numbers(X, form.dtype)

    def _some(self, content, start, stop):
        # The function may keep the chunk, and a transformer may write to its input.
        return content[start:stop].copy()

    def _in_order(self, unit: int) -> Chunk:
        """Return a chunk of the pass at hand, or of a new one if the chunk has passed."""
        chunks, first = self._pass, self._next
        if chunks is None or first > unit:
            chunks, first = self._chunks(), 0
        self._pass = None  # an error ends the pass
        chunk = None
        for k in range(first, unit + 1):
            chunk = next(chunks, None)
            self._check_number(chunk is not None, f"ended before chunk {k}")
        self._next = unit + 1
        if self._next < len(self.bounds) - 1:
            self._pass = chunks
        else:
            self._check_number(next(chunks, None) is None, "gave one more")
        return chunk

    def _check_number(self, is_right: bool, fault: str) -> None:
        if not is_right:
            raise ValueError(
                f"read() gave {len(self.bounds) - 1} chunks in the first pass, and {fault} in a "
                "later one. It has to return a new iterator over the same chunks in every call."
            )

    # The interface of FileSource ------------------------------------------------------------------

    @property
    def row_bytes(self):
        if self.is_sparse or self.dtype.kind == "O":
            return max(1, sum(self._bytes) / self.shape[0])
        return super().row_bytes

    def _name(self, unit):
        return f"chunk {unit}"

    def _fresh(self):
        twin = super()._fresh()
        twin._pass, twin._next = None, 0
        return twin

    def __getstate__(self):
        return {**super().__getstate__(), "_pass": None, "_next": 0}

    def _can_have_faults(self):
        return self._form.dtype.kind == "f"

    def fingerprint(self):
        return [type(self).__name__, str(self.dtype), *self.shape, self._hash]


@contextmanager
def _named(call: str) -> Iterator[None]:
    """Say in an error of the user's function which call raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This was raised by {call}, the function of Chunks.")
        raise


def _as_chunk(content: Any, what: str) -> Chunk:
    """Return what the user's function gave as a chunk."""
    parts = content if isinstance(content, tuple) else (content,)
    if not 1 <= len(parts) <= 3 or parts[0] is None:
        given = f"a tuple of {len(parts)}" if isinstance(content, tuple) else repr(content)
        raise ValueError(f"{what} is {given}; X, (X, y) or (X, y, sample_weight) is required.")
    X, y, weight = (*parts, None, None)[:3]
    if sp.issparse(X):
        X = sp.csr_matrix(X)
    elif not hasattr(X, "iloc"):
        X = np.asarray(X)
    if len(X.shape) != 2:
        raise ValueError(f"{what} has X of shape {X.shape}; 2 dimensions are required.")
    y, weight = (
        None if values is None else np.asarray(aligned(values, X.shape[0], f"{what}: {name}"))
        for name, values in (("y", y), ("sample_weight", weight))
    )
    return Chunk(X, y, weight)


def _form(X: Any, what: str) -> Form:
    if not hasattr(X, "iloc"):
        kind = "a sparse matrix" if sp.issparse(X) else "an array"
        return Form(kind, X.shape[1], checked_dtype(X.dtype, what), None)
    import pandas as pd

    dtypes = list(X.dtypes)
    dtype = np.dtype(np.float32 if all(d == np.float32 for d in dtypes) else np.float64)
    if not all(map(pd.api.types.is_numeric_dtype, dtypes)):
        dtype = np.dtype(object)
    return Form("a data frame", X.shape[1], dtype, tuple(map(str, X.columns)))


def _frame_numbers(X: Any, dtype: np.dtype) -> np.ndarray:
    """Return a data frame of numbers as an array, in which missing values are NaN."""
    return np.ascontiguousarray(X.to_numpy(dtype, na_value=np.nan))


def _bytes(X: Any, dtype: np.dtype) -> int:
    """Return the bytes that the rows of a chunk take."""
    if sp.issparse(X):
        return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    if dtype.kind == "O":
        return int(X.memory_usage(deep=True).sum())
    return X.shape[0] * X.shape[1] * dtype.itemsize


def _of_all(parts: list[np.ndarray | None], what: str) -> np.ndarray | None:
    """Return the targets or the weights of all chunks; None if no chunk has any."""
    has = [part is not None for part in parts]
    if not any(has):
        return None
    if not all(has):
        k = has.index(not has[0])
        raise ValueError(
            f"Chunk {k} has {'' if has[k] else 'no '}{what}, but chunk 0 has "
            f"{'' if has[0] else 'no '}{what}; give it for all chunks, or for none."
        )
    return joined(parts, [f"{what} of chunk {k}" for k in range(len(parts))])
