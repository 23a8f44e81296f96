"""The base class of sources on one machine, whose rows are read block by block.

A subclass reads some of the rows of one unit: a file, a row group or a chunk.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import joblib
import numpy as np

from skdeep.data.sources.base import Source
from skdeep.data.sources.paths import parse_memory
from skdeep.data.sources.rows import (
    aligned,
    chosen_rows,
    converted,
    first_fault,
    positions_of,
    stacked,
)
from skdeep.network import Network
from skdeep.training.batches import BatchSource

#: The bytes of a block of numbers, those of a data frame, and their largest share of the limit.
BLOCK_BYTES, FRAME_BYTES, SHARE_OF_BLOCK = 2 * 2**20, 6 * 2**20, 1 / 32
#: The largest share of the memory limit for a unit that is read as a whole, if it can be cut.
SHARE_OF_UNIT = 1 / 6
# Two rows that are at most so many bytes apart are read at once.
_GAP_BYTES = 2**16


class FileSource(Source):
    """Rows that are read from files, or that a function gives: base class.

    Attributes
    ----------
    bounds : ndarray of int
        The first row of every unit, and the number of rows.
    memory_limit : int
        The bytes that the rows in memory may take.
    is_sequential : bool
        Whether the units can be read in their order only.
    has_whole_units : bool
        Whether some rows of a unit cost as much as the whole unit.
    """

    is_sequential = False
    has_whole_units = False
    bounds: np.ndarray
    memory_limit: int
    # Whether rows of numbers are data frames, which have the names of the columns.
    _is_named = False

    def _set_up(
        self,
        sizes: Sequence[int],
        n_columns: int,
        dtype: Any,
        memory_limit: Any,
        y: Any = None,
        sample_weight: Any = None,
    ) -> None:
        """Set the attributes of a source whose units have these numbers of rows."""
        self.bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        n_rows = int(self.bounds[-1])
        self.shape = n_rows, int(n_columns)
        self.dtype = np.dtype(dtype)
        self.memory_limit = parse_memory(memory_limit)
        if not n_rows or not n_columns:
            raise ValueError(
                f"{type(self).__name__} has {n_rows} rows and {n_columns} columns; at least one "
                "of each is required."
            )
        self.y = aligned(y, n_rows, "y")
        weight = aligned(sample_weight, n_rows, "sample_weight")
        self.sample_weight = None if weight is None else np.asarray(weight, np.float64)

    # What a subclass implements -------------------------------------------------------------------

    def _read(self, unit: int, start: int, stop: int) -> Any:
        """Return new rows of a unit, by their positions in it, as they are stored."""
        raise NotImplementedError

    def _read_into(self, unit: int, start: int, stop: int, out: np.ndarray) -> None:
        """Write rows of a unit to an array."""
        with np.errstate(over="ignore"):
            out[...] = self._read(unit, start, stop)

    def _name(self, unit: int) -> str:
        """Return the name of a unit for messages, such as that of its file."""
        raise NotImplementedError

    def _fresh(self) -> FileSource:
        """Return a source that another thread may read at the same time."""
        return self

    def _release(self) -> None:
        """Drop the unit that is kept for the rest of its rows."""

    def _frames(self) -> FileSource:
        """Return the source that gives rows to transformers: data frames if there are names."""
        if self.feature_names is None or find_spec("pandas") is None:
            return self
        twin = copy.copy(self._fresh())
        twin._is_named = True
        return twin

    def _named(self, X: Any) -> Any:
        """Return rows as a data frame, if they are to be one."""
        if not self._is_named or hasattr(X, "iloc"):
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=self.feature_names, copy=False)

    # Rows -----------------------------------------------------------------------------------------

    @property
    def row_bytes(self) -> float:
        """The bytes of a row in memory; of sparse rows, their mean."""
        return self.shape[1] * self.dtype.itemsize

    @property
    def block_rows(self) -> int:
        """The number of rows of a block."""
        is_frame = self._is_named or self.dtype.kind == "O"
        room = FRAME_BYTES if is_frame else BLOCK_BYTES
        room = min(room, self.memory_limit * SHARE_OF_BLOCK)
        return max(1, int(room / self.row_bytes))

    def read(self, start: int, stop: int) -> Any:
        """Return the rows from start to stop, which lie in one unit."""
        return self._named(self._plain(start, stop))

    def _plain(self, start: int, stop: int) -> Any:
        return converted(self._read(*self._in_unit(start, stop)), self.dtype)

    def read_into(self, start: int, stop: int, out: np.ndarray) -> None:
        """Write the rows from start to stop, which lie in one unit, to an array."""
        if out.dtype == self.dtype:
            self._read_into(*self._in_unit(start, stop), out)
        else:
            out[...] = self._plain(start, stop)

    def _in_unit(self, start: int, stop: int) -> tuple[int, int, int]:
        """Return a unit, and the positions of rows in it."""
        unit = int(np.searchsorted(self.bounds, start, side="right")) - 1
        unit = min(unit, len(self.bounds) - 2)
        first, end = self.bounds[unit : unit + 2].tolist()
        if not first <= start <= stop <= end:
            raise ValueError(f"The rows from {start} to {stop} do not lie in one unit.")
        return unit, start - first, stop - first

    def place(self, row: int) -> str:
        """Return the place of a row for messages: its unit, and its position there."""
        unit, position, _ = self._in_unit(row, row)
        return f"{self._name(unit)}, row {position}".removeprefix(", ")

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """Read all rows in their order, block by block.

        Yields
        ------
        start : int
            The position of the first row of the block.
        X : ndarray, CSR matrix or DataFrame
            The rows of the block.
        """
        reader, step = self._fresh(), self.block_rows
        for first, end in pairwise(self.bounds.tolist()):
            for start in range(first, end, step):
                yield start, reader.read(start, min(start + step, end))

    def take(self, rows):
        return self._named(self._fresh()._gather(positions_of(rows, self.shape[0])))

    def _gather(self, rows: np.ndarray) -> Any:
        """Return rows, given by their positions in any order."""
        order = None
        if len(rows) > 1 and (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            rows = rows[order]
        if self.is_sparse or self.dtype.kind == "O":
            X = stacked(
                [self._chosen(rows[i:j]) for i, j in self._runs(rows)] or [self._plain(0, 0)]
            )
            return X if order is None else chosen_rows(X, np.argsort(order))
        X = np.empty((len(rows), self.shape[1]), self.dtype)
        self._gather_into(rows, order, X)
        return X

    def _gather_into(self, rows: np.ndarray, order: np.ndarray | None, out: np.ndarray) -> None:
        """Write rows in ascending order to the places `order` of an array, or one by one."""
        for i, j in self._runs(rows):
            if order is not None:
                out[order[i:j]] = self._chosen(rows[i:j])
            elif rows[j - 1] - rows[i] == j - i - 1 and (np.diff(rows[i:j]) == 1).all():
                self.read_into(int(rows[i]), int(rows[i]) + j - i, out[i:j])
            else:
                self._chosen_into(rows[i:j], out[i:j])

    def _chosen(self, rows: np.ndarray) -> Any:
        """Return rows of one unit that lie close together, in ascending order."""
        first = int(rows[0])
        return chosen_rows(self._plain(first, int(rows[-1]) + 1), rows - first)

    def _chosen_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Write such rows to an array."""
        first = int(rows[0])
        X = self._plain(first, int(rows[-1]) + 1)
        np.take(X, rows - first, axis=0, out=out, mode="clip")

    def _runs(self, rows: np.ndarray) -> Iterator[tuple[int, int]]:
        """Yield the parts of ascending positions that are to be read at once."""
        units = np.searchsorted(self.bounds, rows, side="right")
        ends = units[1:] != units[:-1]
        if not self.has_whole_units:
            ends |= np.diff(rows) > max(1, _GAP_BYTES // self.row_bytes)
        borders = [0, *(np.flatnonzero(ends) + 1).tolist(), len(rows)]
        for i, j in pairwise(borders):
            while i < j:
                k = i + int(np.searchsorted(rows[i:j], rows[i] + self.block_rows))
                yield i, k
                i = k

    # The interface of Source ----------------------------------------------------------------------

    def __getitem__(self, rows):
        from skdeep.data.sources.subsets import Subset

        return Subset(self, positions_of(rows, self.shape[0]))

    def astype(self, dtype):
        dtype = np.dtype(dtype)
        if self.dtype.kind == "O" and dtype.kind != "O":
            self._refuse_frames()
        twin = copy.copy(self._fresh())
        twin.dtype = dtype
        return twin

    def split_rows(self, n_rows, fraction, seed, stratify):
        from skdeep.data.sources.subsets import hash_split

        return hash_split(n_rows, fraction, seed)

    def split(self, fraction: float, random_state: Any = 0) -> tuple[Source, Source]:
        """Return two sources: the training rows, and a fraction of all rows for validation.

        The side of a row depends on its position and on random_state alone. So rows that are added
        at the end change no earlier row's side.

        Parameters
        ----------
        fraction : float
            The share of the validation rows, between 0 and 1.
        random_state : int, RandomState instance or None, default=0

        Returns
        -------
        tuple of (Source, Source)
            The training rows and the validation rows.
        """
        from skdeep.data.sources.subsets import split

        return split(self, fraction, random_state)

    def fitted(self, transformer, sample_weight=None):
        from skdeep.data.sources.transformed import fit_transformer

        return fit_transformer(transformer, self, sample_weight)

    def transform(self, transformer: Any) -> Source:
        """Return a source whose rows go through a fitted transformer when they are read.

        Parameters
        ----------
        transformer : object with a method `transform`
            A transformer of scikit-learn, such as `StandardScaler`, a `TabularEncoder`, or a
            `Pipeline` of transformers. `fit_transformer` fits one to a source.

        Returns
        -------
        Source
            The transformed rows: arrays or CSR matrices, as the transformer gives them.
        """
        from skdeep.data.sources.transformed import Transformed

        return Transformed(self, transformer)

    def check(self):
        if self.dtype.kind == "O":
            self._refuse_frames()
        if self._can_have_faults():
            for start, X in self.blocks():
                self._check_finite(start, X)

    def _check_finite(self, start: int, X: Any) -> None:
        """Raise ValueError that names the first NaN or infinity in rows that begin at start."""
        values = X if isinstance(X, np.ndarray) else X.data
        with np.errstate(over="ignore", invalid="ignore"):
            if values.dtype.kind not in "fc" or np.isfinite(values.sum()):
                return
        if np.isfinite(values).all():
            return
        row, column, value = first_fault(X)
        fault = "NaN" if np.isnan(value) else f"infinity or a value too large for {self.dtype!r}"
        row += start
        raise ValueError(
            f"Input X contains {fault}: {self.place(row)}, column {self._label(column)}. It is row "
            f"{row} of all rows."
        )

    def _label(self, column: int) -> str:
        """Return the name of a column, or its position, for messages."""
        return str(column) if self.feature_names is None else repr(self.feature_names[column])

    def _can_have_faults(self) -> bool:
        """Whether the stored numbers may be NaN or infinite."""
        return True

    def _refuse_frames(self) -> None:
        """Raise ValueError as not all columns are numbers."""
        raise ValueError(
            f"{type(self).__name__} has columns that are not numbers. Encode them: "
            "source.transform(encoder), with a fitted skdeep.TabularEncoder."
        )

    def fingerprint(self):
        hashes = [joblib.hash(X) for _, X in self.blocks()]
        return [type(self).__name__, str(self.dtype), *self.shape, joblib.hash(hashes)]

    def batches(self, targets, weight, batch_size, rng, dtype, *, sparse, rows) -> BatchSource:
        from skdeep.data.sources.streaming import StreamedBatches

        return StreamedBatches(
            self, targets, weight, batch_size, rng, dtype, sparse=sparse, rows=rows
        )

    def outputs(self, network: Network) -> np.ndarray:
        out = np.empty((self.shape[0], network.n_outputs), network.dtype)
        for start, X in self.blocks():
            self._check_finite(start, X)
            out[start : start + X.shape[0]] = network.infer(X)
        return out

    def __repr__(self) -> str:
        n_rows, n_columns = self.shape
        return f"<{type(self).__name__}: {n_rows:,} rows x {n_columns:,} columns of {self.dtype}>"


class WholeUnits(FileSource):
    """Sources whose units are read as a whole: base class.

    A unit whose rows are read part by part is kept until its last row is read.
    """

    has_whole_units = True
    _kept: tuple[int, Any] | None = None

    def _load(self, unit: int) -> Any:
        """Return the content of a unit."""
        raise NotImplementedError

    def _some(self, content: Any, start: int, stop: int) -> Any:
        """Return rows of the content of a unit, which are new if they are not all of it."""
        return content if stop - start == content.shape[0] else content[start:stop].copy()

    def _read(self, unit, start, stop):
        n_rows = int(self.bounds[unit + 1] - self.bounds[unit])
        if self._kept is None or self._kept[0] != unit:
            self._kept = None  # before the next unit is in memory
            content = self._load(unit)
        else:
            content = self._kept[1]
        self._kept = (unit, content) if stop < n_rows else None
        return self._some(content, start, stop)

    def _release(self):
        self._kept = None

    def _fresh(self):
        twin = copy.copy(self)
        twin._kept = None
        return twin

    def __getstate__(self):
        return {**vars(self), "_kept": None}
