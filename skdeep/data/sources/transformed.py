"""Rows that go through a fitted transformer, and transformers that are fitted block by block."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skdeep._component import InvalidParameterError
from skdeep.data.sources.files import FRAME_BYTES, SHARE_OF_BLOCK, SHARE_OF_UNIT, FileSource
from skdeep.data.sources.rows import aligned, checked_dtype, converted, cut_bounds, stacked

# The rows from which the columns of the output are learned.
_FEW = 32


class Transformed(FileSource):
    """The rows of a source, which go through a fitted transformer when they are read.

    Parameters
    ----------
    source : FileSource
    transformer : object with a method `transform`
    """

    # Whether all rows were read, and had no fault.
    _is_checked = False

    def __init__(self, source: FileSource, transformer: Any):
        _check_transformer(transformer)
        self._source, self._transformer = source._frames(), transformer
        self.y, self.sample_weight = source.y, source.sample_weight
        self.bounds, self.memory_limit = source.bounds, source.memory_limit
        rows = np.arange(min(_FEW, source.shape[0]))
        Z = self._transform(self._source.take(rows), rows)
        head = _numbers(Z, self._who)
        self.shape = source.shape[0], head.shape[1]
        self.dtype = checked_dtype(head.dtype, f"The output of {self._who}")
        self.is_sparse = sp.issparse(head)
        # As in scikit-learn, an array has no names.
        self.feature_names = list(map(str, Z.columns)) if hasattr(Z, "columns") else None
        self._stored_in_row = head.nnz / head.shape[0] if self.is_sparse else self.shape[1]
        self._set_units()

    def _set_units(self) -> None:
        """Set the units: those of the source, or parts of them if their output is too large."""
        source, bounds = self._source, self._source.bounds
        self.is_sequential, self.has_whole_units = source.is_sequential, source.has_whole_units
        if self.has_whole_units:
            bounds = cut_bounds(bounds, self.memory_limit * SHARE_OF_UNIT / self.row_bytes)
        self.bounds = bounds

    @property
    def _who(self) -> str:
        return type(self._transformer).__name__

    @property
    def row_bytes(self):
        if self.is_sparse:
            return 8 + self._stored_in_row * (self.dtype.itemsize + 4)
        return super().row_bytes

    @property
    def block_rows(self):
        room = min(FRAME_BYTES, self.memory_limit * SHARE_OF_BLOCK)
        return max(1, min(int(room / self.row_bytes), self._source.block_rows))

    def _read(self, unit, start, stop):
        blocks = list(self._transformed(unit, start, stop)) if self.is_sparse else []
        if blocks:
            return stacked(blocks)
        if self.is_sparse:
            return sp.csr_matrix((0, self.shape[1]), dtype=self.dtype)
        X = np.empty((stop - start, self.shape[1]), self.dtype)
        self._read_into(unit, start, stop, X)
        return X

    def _read_into(self, unit, start, stop, out):
        done = 0
        for Z in self._transformed(unit, start, stop):
            with np.errstate(over="ignore"):
                out[done : done + Z.shape[0]] = Z
            done += Z.shape[0]

    def _transformed(self, unit: int, start: int, stop: int) -> Iterator[Any]:
        """Yield transformed blocks of a unit, so that the rows before it take little memory."""
        first, step = int(self.bounds[unit]), self.block_rows
        for i in range(first + start, first + stop, step):
            rows = np.arange(i, min(i + step, first + stop))
            yield self._checked(self._source.read(i, i + len(rows)), rows)

    def _chosen(self, rows):
        X = self._source._named(self._source._chosen(rows))
        return converted(self._checked(X, rows), self.dtype)

    def _chosen_into(self, rows, out):
        out[...] = self._chosen(rows)

    def _checked(self, X: Any, rows: np.ndarray) -> Any:
        """Return transformed rows; raise ValueError if they are unlike the first rows."""
        Z = _numbers(self._transform(X, rows), self._who)
        if Z.shape != (len(rows), self.shape[1]) or sp.issparse(Z) != self.is_sparse:
            kind = "sparse" if sp.issparse(Z) else "dense"
            raise ValueError(
                f"{self._who} gave a {kind} output of shape {Z.shape} for the rows from "
                f"{self.place(int(rows[0]))} to {self.place(int(rows[-1]))}. By its first rows, "
                f"{(len(rows), self.shape[1])} was expected, "
                f"{'sparse' if self.is_sparse else 'dense'}."
            )
        return Z

    def _transform(self, X: Any, rows: np.ndarray) -> Any:
        """Return the output of the transformer; an error names the first row that it refuses."""
        try:
            return self._transformer.transform(X)
        except Exception as error:
            first, last = refused(self._transformer.transform, X)
            places = _places(self, int(rows[first]), int(rows[last - 1]) + 1)
            raise ValueError(f"{self._who} can't transform {places}: {error}") from error

    def place(self, row):
        return self._source.place(row)

    def _label(self, column):
        with suppress(AttributeError, ValueError, NotImplementedError):
            return repr(str(self._transformer.get_feature_names_out()[column]))
        return str(column)

    def __getitem__(self, rows):
        return self._over(self._source[rows])

    def _fresh(self):
        return self._over(self._source._fresh())

    def _release(self):
        self._source._release()

    def _over(self, source: FileSource) -> Transformed:
        """Return these columns of other rows, or of another version of the source."""
        twin = copy.copy(self)
        twin._source, twin.shape = source, (source.shape[0], self.shape[1])
        twin.y, twin.sample_weight = source.y, source.sample_weight
        twin._set_units()
        return twin

    def check(self):
        if not self.shape[0]:
            self._source.check()
        if not self._is_checked:
            super().check()
        self._is_checked = True

    def astype(self, dtype):
        twin = super().astype(dtype)
        twin._is_checked &= np.can_cast(self.dtype, twin.dtype)
        return twin

    def fingerprint(self):
        source = self._source.fingerprint()
        return ["Transformed", str(self.dtype), source, joblib.hash(self._transformer)]


def _check_transformer(transformer: Any) -> None:
    """Raise if an object is not a fitted transformer."""
    if isinstance(transformer, type):
        raise InvalidParameterError(
            f"transformer={transformer.__name__} is a class; give a fitted instance."
        )
    if not hasattr(transformer, "transform"):
        raise InvalidParameterError(
            f"transformer={transformer!r} has no method transform; give a fitted transformer, such "
            "as a StandardScaler, a TabularEncoder, or a Pipeline of transformers."
        )
    if hasattr(transformer, "fit"):
        check_is_fitted(
            transformer,
            msg="This %(name)s is not fitted. Fit it first: fit_transformer(transformer, source) "
            "of skdeep.data does so block by block, transformer.fit(source.take(rows)) on some "
            "rows.",
        )


def _numbers(Z: Any, who: str) -> Any:
    """Return the output of a transformer as an array or as a CSR matrix."""
    if sp.issparse(Z):
        return Z.tocsr()
    Z = Z.to_numpy() if hasattr(Z, "to_numpy") else np.asarray(Z)
    if Z.ndim != 2:
        raise ValueError(f"{who} gave an output of shape {Z.shape}; 2 dimensions are required.")
    return Z


def _places(source: FileSource, start: int, stop: int) -> str:
    """Return the place of the first row, and that of the last one if there are several."""
    first = source.place(start)
    return first if stop == start + 1 else f"{first} to {source.place(stop - 1)}"


def refused(transform: Callable[[Any], Any], X: Any) -> tuple[int, int]:
    """Return the bounds of the fewest first rows that a transformer refuses."""
    first, last = 0, X.shape[0]
    while last - first > 1:
        middle = (first + last) // 2
        if _refuses(transform, X[first:middle]):
            last = middle
        elif _refuses(transform, X[middle:last]):
            first = middle
        else:
            break
    return first, last


def _refuses(transform: Callable[[Any], Any], X: Any) -> bool:
    try:
        transform(X)
    except Exception:
        return True
    return False


def fit_transformer(transformer: Any, source: FileSource, sample_weight: Any = None) -> Any:
    """Fit a transformer to all rows of a source, block by block, with its `partial_fit`.

    Parameters
    ----------
    transformer : estimator
        A transformer with a method `partial_fit`, such as `StandardScaler`, `MaxAbsScaler` or
        `IncrementalPCA`; or a `Pipeline` of such transformers, which are fitted one after the
        other. It is not changed.
    source : Source
        A source of files or of chunks.
    sample_weight : array-like of shape (n_rows,) or None, default=None
        The weights of all rows, for a transformer whose `partial_fit` takes weights.

    Returns
    -------
    estimator
        A fitted copy of the transformer, for `source.transform`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep.data import Memmap, fit_transformer
    >>> source = Memmap(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler = fit_transformer(StandardScaler(), source)
    >>> source.transform(scaler).take([0, 1])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    if not isinstance(source, FileSource):
        raise InvalidParameterError(
            f"source={type(source).__name__} is not allowed; give a source of files or chunks, "
            "such as Memmap. Rows in memory are for transformer.fit."
        )
    weight = aligned(sample_weight, source.shape[0], "sample_weight")
    if isinstance(transformer, Pipeline):
        return _fit_pipeline(transformer, source, weight)
    if isinstance(transformer, type) or not hasattr(transformer, "fit"):
        raise InvalidParameterError(
            f"transformer={transformer!r} is not allowed; give an instance of a transformer."
        )
    if not source.shape[0]:
        raise ValueError(f"{type(source).__name__} has no rows to fit {transformer!r} to.")
    transformer, source = clone(transformer), source._frames()
    if not get_tags(transformer).requires_fit:
        return transformer.fit(source.take(np.arange(min(_FEW, source.shape[0]))))
    if not hasattr(transformer, "partial_fit"):
        raise InvalidParameterError(
            f"{type(transformer).__name__} has no method partial_fit, so it can't be fitted block "
            "by block. Fit it to as many rows as memory holds: "
            "transformer.fit(source.take(numpy.arange(100_000)))."
        )
    for start, X in _blocks_to_fit(source):
        of_rows = {} if weight is None else {"sample_weight": weight[start : start + X.shape[0]]}
        try:
            transformer.partial_fit(X, **of_rows)
        except Exception as error:
            first, last = refused(lambda X: copy.deepcopy(transformer).partial_fit(X), X)
            error.add_note(
                f"{type(transformer).__name__}.partial_fit raised this for {last - first} of the "
                f"rows: {_places(source, start + first, start + last)}."
            )
            raise
    return transformer


def _fit_pipeline(pipeline: Pipeline, source: FileSource, weight: Any) -> Pipeline:
    """Return a fitted copy of a pipeline."""
    steps = []
    for name, step in pipeline.steps:
        if step is not None and step != "passthrough":
            step = fit_transformer(step, source, weight)
            source = source.transform(step)
        steps.append((name, step))
    return clone(pipeline).set_params(steps=steps)


def _blocks_to_fit(source: FileSource) -> Iterator[tuple[int, Any]]:
    """Yield (start, X) for blocks, none of which is small unless all rows are few.

    Some transformers want a certain number of rows.
    """
    full: tuple[int, Any] | None = None
    parts: list[Any] = []
    n_rows = first = 0
    for start, X in source.blocks():
        first = first if parts else start
        parts.append(X)
        n_rows += X.shape[0]
        if n_rows >= source.block_rows:
            if full is not None:
                yield full
            full, parts, n_rows = (first, stacked(parts)), [], 0
    if full is not None:
        first, parts = full[0], [full[1], *parts]
    yield first, stacked(parts)
