"""Batches of a source: the next rows are read by a thread while the network trains on others.

| word | meaning |
| --- | --- |
| piece | consecutive rows of one file, which are read at once |
| window | the rows in memory: several pieces from different places of the source |

An epoch takes the pieces in random order, and puts them together to windows. The rows of a window
are shuffled. So a batch has rows from many places, even if the files are sorted by class.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skdeep.kernels import numpy_kernels
from skdeep.schedules import Progress
from skdeep.training.batches import BatchSource

if TYPE_CHECKING:
    from skdeep.data.sources.files import FileSource

# The share of the memory limit for the rows of a window. There are two windows, and room is left
# for Python and its libraries, for the network, and for the targets.
_SHARE_OF_WINDOW = 1 / 6
_PIECES_IN_WINDOW = 16


class Piece(NamedTuple):
    """Rows of one file: those from start to stop, or some of them.

    `rows` are positions among all rows of the source, in ascending order. None stands for all rows
    from start to stop.
    """

    start: int
    stop: int
    rows: np.ndarray | None

    @property
    def n_rows(self) -> int:
        """The number of rows to train on."""
        return self.stop - self.start if self.rows is None else len(self.rows)

    def positions(self) -> np.ndarray:
        """Return the positions of the rows among all rows of the source."""
        return np.arange(self.start, self.stop) if self.rows is None else self.rows


def cut(bounds: np.ndarray, rows: np.ndarray | None, n_at_most: int, is_whole: bool) -> list[Piece]:
    """Return the pieces of files that begin at `bounds`; with is_whole=True, a file is a piece."""
    pieces = []
    sorted_rows = None if rows is None else np.sort(rows)
    for first, end in pairwise(bounds.tolist()):
        for start in range(first, end, max(1, end - first) if is_whole else n_at_most):
            stop = end if is_whole else min(start + n_at_most, end)
            some = None
            if sorted_rows is not None:
                some = sorted_rows[slice(*np.searchsorted(sorted_rows, [start, stop]))]
                if len(some) == stop - start:
                    some = None
            if some is None or len(some):
                pieces.append(Piece(start, stop, some))
    return pieces


class Plan:
    """The order of the rows of an epoch.

    Parameters
    ----------
    pieces : list of Piece
    n_at_most : int
        The number of rows of a window, which only a single piece may exceed.
    seed : int or None
        Shuffles the rows. None keeps their order.
    is_sequential : bool
        Whether the pieces have to be read in their order.
    """

    def __init__(self, pieces: list[Piece], n_at_most: int, seed: int | None, is_sequential: bool):
        self.seed = seed
        fits = sum(piece.n_rows for piece in pieces) <= n_at_most  # so one window has all rows
        if seed is not None and not (is_sequential or fits):
            order = np.random.default_rng(seed).permutation(len(pieces))
            pieces = [pieces[i] for i in order]
        self.windows: list[list[Piece]] = [[]]
        starts = [0]
        n_rows = 0
        for piece in pieces:
            if n_rows and n_rows + piece.n_rows > n_at_most:
                self.windows.append([])
                starts.append(starts[-1] + n_rows)
                n_rows = 0
            self.windows[-1].append(piece)
            n_rows += piece.n_rows
        #: The number of rows before each window, and that of all rows.
        self.starts = np.array([*starts, starts[-1] + n_rows])

    @property
    def longest(self) -> int:
        """The number of rows of the largest window."""
        return int(np.diff(self.starts).max())

    def order(self, k: int) -> np.ndarray:
        """Return the order of the rows of window k, as positions in the window."""
        n_rows = int(self.starts[k + 1] - self.starts[k])
        if self.seed is None:
            return np.arange(n_rows)
        return np.random.default_rng([self.seed, k]).permutation(n_rows)

    def rows(self, k: int) -> np.ndarray:
        """Return the rows of window k as they lie in the window, as positions in the source."""
        return np.concatenate([piece.positions() for piece in self.windows[k]])

    def all_rows(self) -> np.ndarray:
        """Return the rows of the epoch in the order of the batches."""
        return np.concatenate([self.rows(k)[self.order(k)] for k in range(len(self.windows))])


class Window(NamedTuple):
    """Rows in memory, their positions in the source, and the order in which they are used."""

    X: Any
    rows: np.ndarray
    order: np.ndarray


class StreamedBatches(BatchSource):
    """The batches of a source that is larger than memory.

    Parameters
    ----------
    source : FileSource
    targets : DenseTargets, SparseTargets or ClassTargets
        The targets of all rows.
    weight : ndarray of shape (n_rows,) or None
    batch_size : int
    rng : numpy.random.Generator or None
        Shuffles the rows before every epoch. None keeps their order.
    dtype : numpy.dtype
    sparse : bool
        Whether sparse rows stay sparse.
    rows : ndarray of int or None
        The positions of the rows to use. None stands for all rows.
    """

    def __init__(
        self,
        source: FileSource,
        targets: Any,
        weight: np.ndarray | None,
        batch_size: int,
        rng: np.random.Generator | None,
        dtype: np.dtype,
        *,
        sparse: bool = False,
        rows: np.ndarray | None = None,
    ):
        self.source = source
        self.targets = targets
        self.weight = weight
        self.batch_size = batch_size
        self.rng = rng
        self.dtype = dtype
        self.stays_sparse = sparse and source.is_sparse
        self.n_rows = source.shape[0] if rows is None else len(rows)
        room = int(source.memory_limit * _SHARE_OF_WINDOW / source.row_bytes)
        self._n_in_window = max(batch_size, room)
        self._pieces = cut(
            source.bounds,
            rows,
            max(1, self._n_in_window // _PIECES_IN_WINDOW),
            source.has_whole_units,
        )
        self._Y = np.empty((batch_size, targets.shape[1]), dtype)
        self._X = None if self.stays_sparse else np.empty((batch_size, source.shape[1]), dtype)
        self._weight = None if weight is None else np.empty(batch_size, dtype)
        self._buffers: list[Any] = [None, None]
        self._kept: Window | None = None
        self._plan: Plan | None = None
        self._kernels: Any = numpy_kernels

    def bind(self, kernels) -> None:
        self._kernels = kernels

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    @property
    def follows_progress(self):
        return getattr(self.targets, "follows_progress", False)

    def begin_step(self, progress: Progress) -> None:
        self.targets.begin_step(progress)

    @property
    def order(self):
        return None if self._plan is None else self._plan.all_rows()

    def __iter__(self):
        return self.starting_at(0)

    def starting_at(self, first: int) -> Iterator[tuple]:
        seed = None if self.rng is None else int(self.rng.integers(2**63))
        self._plan = self._planned(seed)
        return self._gathered(self._plan, first)

    def inputs(self) -> Iterator:
        seed = None if self.rng is None else 0
        return (X for X, _ in self._inputs(self._planned(seed), 0))

    def _planned(self, seed: int | None) -> Plan:
        return Plan(self._pieces, self._n_in_window, seed, self.source.is_sequential)

    def _gathered(self, plan: Plan, first: int) -> Iterator[tuple]:
        gather_Y, kernels = self.targets.gather, self._kernels
        for X, rows in self._inputs(plan, first):
            n = len(rows)
            Y = gather_Y(rows, self._Y[:n], kernels)
            weight = None
            if self.weight is not None:
                weight = np.take(self.weight, rows, out=self._weight[:n], mode="clip")
            yield X, Y, weight

    def _inputs(self, plan: Plan, first: int) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield the X of every batch from the first on, and the positions of its rows."""
        start = first * self.batch_size
        k = int(np.searchsorted(plan.starts, start, side="right")) - 1
        offset = start - int(plan.starts[k])
        with self._reading(plan, k) as windows:
            window = next(windows)
            for i in range(first, len(self)):
                n_rows = min(self.batch_size, self.n_rows - i * self.batch_size)
                batch = _Batch(self._X, n_rows)
                while True:  # the rows of a batch may lie in several windows
                    some = window.order[offset : offset + n_rows - batch.n_filled]
                    batch.add(window, some)
                    offset += len(some)
                    if batch.n_filled == n_rows:
                        break
                    window, offset = next(windows), 0
                yield batch.inputs(), batch.rows()

    # Reading --------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, plan: Plan, first: int) -> Iterator[Iterator[Window]]:
        """Give an iterator over windows, the next of which is read meanwhile."""
        if len(plan.windows) == 1:
            yield iter([self._only_window(plan)])
            return
        with ThreadPoolExecutor(1, "skdeep-reader") as reader:
            futures: list[Future] = []

            def windows() -> Iterator[Window]:
                futures.append(reader.submit(self._window, plan, first))
                for k in range(first, len(plan.windows)):
                    window = futures.pop().result()
                    if k + 1 < len(plan.windows):
                        futures.append(reader.submit(self._window, plan, k + 1))
                    yield window

            try:
                yield windows()
            finally:
                for future in futures:
                    future.cancel()

    def _only_window(self, plan: Plan) -> Window:
        """Return the window that has all rows, which are read once for all epochs."""
        if self._kept is None:
            self._kept = self._window(plan, 0)
        return self._kept._replace(order=plan.order(0))

    def _window(self, plan: Plan, k: int) -> Window:
        """Read window k."""
        pieces = plan.windows[k]
        if self.source.is_sparse:
            X = sp.vstack([self._read(piece) for piece in pieces], format="csr")
        else:
            X = self._room(plan, k)
            start = 0
            for piece in pieces:
                stop = start + piece.n_rows
                if piece.rows is None:
                    self.source.read_into(piece.start, piece.stop, X[start:stop])
                else:
                    X[start:stop] = self._read(piece)
                start = stop
        return Window(X, plan.rows(k), plan.order(k))

    def _room(self, plan: Plan, k: int) -> np.ndarray:
        """Return the buffer of window k, which the window before the last does not need anymore."""
        n_rows = int(plan.starts[k + 1] - plan.starts[k])
        buffer = self._buffers[k % 2]
        if buffer is None or len(buffer) < n_rows:
            buffer = np.empty((max(plan.longest, n_rows), self.source.shape[1]), self.dtype)
            self._buffers[k % 2] = buffer
        return buffer[:n_rows]

    def _read(self, piece: Piece) -> Any:
        X = self.source.read(piece.start, piece.stop)
        return X if piece.rows is None else X[piece.rows - piece.start]


class _Batch:
    """A batch that is put together from parts of windows.

    Parameters
    ----------
    room : ndarray or None
        The buffer for dense rows; None if the rows stay sparse.
    n_rows : int
    """

    def __init__(self, room: np.ndarray | None, n_rows: int):
        self._X = None if room is None else room[:n_rows]
        self._rows: list[np.ndarray] = []
        self._parts: list[Any] = []
        self.n_filled = 0

    def add(self, window: Window, some: np.ndarray) -> None:
        """Add rows of a window, given by their positions in it."""
        stop = self.n_filled + len(some)
        if self._X is None:
            self._parts.append(window.X[some])
        elif isinstance(window.X, np.ndarray):
            np.take(window.X, some, axis=0, out=self._X[self.n_filled : stop], mode="clip")
        else:
            window.X[some].toarray(out=self._X[self.n_filled : stop])
        self._rows.append(window.rows[some])
        self.n_filled = stop

    def inputs(self) -> Any:
        """Return the rows of X."""
        if self._X is not None:
            return self._X
        return self._parts[0] if len(self._parts) == 1 else sp.vstack(self._parts, format="csr")

    def rows(self) -> np.ndarray:
        """Return the positions of the rows in the source."""
        return self._rows[0] if len(self._rows) == 1 else np.concatenate(self._rows)
