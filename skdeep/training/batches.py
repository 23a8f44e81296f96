"""Batches: rows that are gathered, batch by batch, into buffers that are allocated once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import numpy as np

from skdeep.kernels import draw_seed, numpy_kernels
from skdeep.schedules import Progress, Scheduled, ready_number, value_of


class DenseTargets:
    """Targets that are already numbers: an array of shape (n_rows, n_outputs).

    `noise` is the standard deviation of Gaussian noise, which is drawn for every batch.
    """

    def __init__(
        self, Y: np.ndarray, noise: float | Scheduled = 0.0, rng: np.random.Generator | None = None
    ):
        self.Y = np.ascontiguousarray(Y)
        self.noise = value_of(noise)
        self._changing = ready_number(noise)
        self.rng = rng
        self._clean = np.empty((0, Y.shape[1]), Y.dtype)
        self._share = None

    def take_share(self, share) -> None:
        """Draw the noise of own rows of a batch; see Layer.take_share."""
        self._share = share

    @property
    def shape(self) -> tuple[int, int]:
        return self.Y.shape

    @property
    def follows_progress(self) -> bool:
        """Whether the standard deviation of the noise changes over time."""
        return isinstance(self._changing, Scheduled)

    def begin_step(self, progress: Progress) -> None:
        """Set the standard deviation of the noise for a step."""
        self.noise = self._changing.at(progress)

    def gather(self, rows: np.ndarray | slice, out: np.ndarray, kernels=numpy_kernels):
        """Return the targets of these rows, in `out` if they have to be copied or changed."""
        if isinstance(rows, slice):
            Y = self.Y[rows]
        elif self.noise:
            if len(self._clean) < len(out):
                self._clean = np.empty_like(out)
            Y = np.take(self.Y, rows, axis=0, out=self._clean[: len(out)], mode="clip")
        else:
            Y = np.take(self.Y, rows, axis=0, out=out, mode="clip")
        if not self.noise:
            return Y
        place = None if self._share is None else self._share.place
        kernels.noise_forward(draw_seed(self.rng), self.noise, Y, out, place)
        return out

    def take(self, rows: np.ndarray) -> DenseTargets:
        """Return the targets of some rows, without the generator of the noise."""
        return DenseTargets(self.Y[rows], self._changing)


class SparseTargets:
    """Targets that are the rows of a CSR matrix, which are made dense batch by batch."""

    def __init__(self, Y):
        self.Y = Y

    @property
    def shape(self) -> tuple[int, int]:
        return self.Y.shape

    def gather(self, rows: np.ndarray | slice, out: np.ndarray, kernels=numpy_kernels):
        """Write the targets of these rows to `out`, and return it."""
        return self.Y[rows].toarray(out=out)

    def take(self, rows: np.ndarray) -> SparseTargets:
        """Return the targets of some rows."""
        return SparseTargets(self.Y[rows])


class ClassTargets:
    """Class codes, which become rows of targets: `on` for the class, `off` for the others."""

    def __init__(self, codes: np.ndarray, n_classes: int, smoothing: float = 0.0):
        if codes.ndim != 1 or (codes.size and not 0 <= codes.min() <= codes.max() < n_classes):
            raise ValueError(f"class codes have to be 1-D, with integers from 0 to {n_classes - 1}")
        self.codes = codes
        self.smoothing = smoothing
        self.off = float(smoothing) / n_classes
        self.on = 1.0 - smoothing + self.off
        self.shape = (len(codes), n_classes)

    def gather(self, rows: np.ndarray | slice, out: np.ndarray, kernels=numpy_kernels):
        """Write the targets of these rows to `out`, and return it."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self.codes)))
        kernels.gather_one_hot(self.codes, rows, self.on, self.off, out)
        return out

    def take(self, rows: np.ndarray) -> ClassTargets:
        """Return the targets of some rows."""
        return ClassTargets(self.codes[rows], self.shape[1], self.smoothing)


class BatchSource:
    """The batches of a trainer: base class for rows in memory and for streams.

    A subclass implements `__len__` and `__iter__`. So that a run can continue in the middle of an
    epoch, all random numbers for the order of the rows are drawn when the epoch begins, and none
    for a batch before it is asked for.

    Attributes
    ----------
    batch_size : int
        The largest number of rows of a batch.
    follows_progress : bool
        Whether `begin_step` has to be called before every step.
    order : ndarray of int or None
        The positions of the rows of the last epoch, in the order of the batches. None stands for
        the order of the data.
    """

    batch_size: int
    follows_progress = False
    order: np.ndarray | None = None

    def bind(self, kernels) -> None:
        """Use the kernels that a run of training has chosen."""

    def begin_step(self, progress: Progress) -> None:
        """Take note of how far training has come, before the batch of a step is gathered."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple]:
        """Yield (X, Y, weight) for every batch of an epoch.

        X and Y are arrays of the network's dtype with at most batch_size rows. weight is None or
        an array with one number for each row. The arrays are valid until the next batch.
        """
        raise NotImplementedError

    def starting_at(self, first: int) -> Iterator[tuple]:
        """Yield the batches of an epoch from number `first` on, counted from 0.

        The order of the rows is drawn as for a whole epoch. A subclass may leave out the work for
        the batches before.
        """
        supply = iter(self)
        deque(islice(supply, first), maxlen=0)
        return supply

    def inputs(self) -> Iterator:
        """Yield the X of every batch, without drawing random numbers."""
        return (X for X, _, _ in self)


def checked(
    source: BatchSource, first: int, n_inputs: int, n_outputs: int, dtype: np.dtype
) -> Iterator[tuple]:
    """Yield the batches of a source that is not skdeep's own, from number `first` on.

    Raise if they are not as promised, because compiled code trusts shapes and dtypes.
    """
    supply = source.starting_at(first)  # at once, not when the first batch is asked for
    return _checked(source, supply, first, n_inputs, n_outputs, dtype)


def _checked(
    source: BatchSource,
    supply: Iterator[tuple],
    first: int,
    n_inputs: int,
    n_outputs: int,
    dtype: np.dtype,
) -> Iterator[tuple]:
    n_batches, n_given = len(source), first
    for X, Y, weight in islice(supply, n_batches - first):
        n_given += 1
        n_rows = X.shape[0]
        shapes = [X.shape, Y.shape, None if weight is None else weight.shape]
        expected = [(n_rows, n_inputs), (n_rows, n_outputs), None if weight is None else (n_rows,)]
        if shapes != expected or not 1 <= n_rows <= source.batch_size:
            raise ValueError(
                f"{type(source).__name__} gave a batch with X, Y and weight of shapes {shapes}; "
                f"with at most batch_size={source.batch_size} rows they have to be {expected}."
            )
        X = np.require(X, dtype, "CA") if isinstance(X, np.ndarray) else X
        weight = None if weight is None else np.require(weight, dtype, "CA")
        yield X, np.require(Y, dtype, "CA"), weight
    if n_given < n_batches:
        raise ValueError(
            f"{type(source).__name__} has {n_batches} batches by its len(), but gave {n_given}."
        )


class Batches(BatchSource):
    """The batches of rows in memory: every iteration is an epoch, which is one pass over all rows.

    Parameters
    ----------
    X : ndarray or CSR matrix
    targets : DenseTargets, SparseTargets or ClassTargets
    weight : ndarray of shape (n_rows,) or None
    batch_size : int
    rng : numpy.random.Generator or None
        Shuffles the rows before every epoch. None keeps their order.
    dtype : numpy.dtype
    sparse : bool
        Whether batches of a CSR matrix stay sparse.
    rows : ndarray of int or None
        The positions of the rows to use. None stands for all rows.
    """

    def __init__(
        self,
        X,
        targets,
        weight,
        batch_size: int,
        rng: np.random.Generator | None,
        dtype: np.dtype,
        *,
        sparse: bool = False,
        rows: np.ndarray | None = None,
    ):
        # Arrays from another process may lie at odd addresses, from which rows are taken several
        # times slower.
        self.X = np.require(X, requirements="A") if isinstance(X, np.ndarray) else X
        self.targets = targets
        self.weight = weight
        self.batch_size = batch_size
        self.rng = rng
        self.dtype = dtype
        self.rows = rows
        self.n_rows = X.shape[0] if rows is None else len(rows)
        is_dense = isinstance(X, np.ndarray)
        self.stays_sparse = sparse and not is_dense
        # Batches of a C-contiguous array can be views if the rows keep their order.
        self._views_X = is_dense and rng is None and rows is None and X.flags.c_contiguous
        self._Y = np.empty((batch_size, targets.shape[1]), dtype)
        self._weight = np.empty(batch_size, dtype) if weight is not None else None
        self.bind(numpy_kernels)

    def bind(self, kernels) -> None:
        """Choose the kernels that gather."""
        self._kernels = kernels
        self._gather_X = None
        if not self._views_X:
            self._gather_X = kernels.bind_rows(
                self.X, self.batch_size, self.dtype, self.stays_sparse
            )

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    @property
    def follows_progress(self):
        return getattr(self.targets, "follows_progress", False)

    def begin_step(self, progress):
        self.targets.begin_step(progress)

    def __iter__(self):
        return self.starting_at(0)

    def starting_at(self, first):
        order = self.rows
        if self.rng is not None:
            order = self.rng.permutation(self.n_rows if order is None else order)
        self.order = order
        return self._gathered(order, first)

    def inputs(self):
        # Shuffled rows stay shuffled, with random numbers that nobody else draws: batches of rows
        # that have an order would not be like those of training.
        order = self.rows
        if self.rng is not None:
            rng = np.random.default_rng(0)
            order = rng.permutation(self.n_rows if order is None else order)
        return (self._gather_inputs(rows) for rows in self._rows_of_batches(order))

    def _gathered(self, order: np.ndarray | None, first: int) -> Iterator[tuple]:
        gather_Y, kernels = self.targets.gather, self._kernels
        for rows in self._rows_of_batches(order, first):
            X = self._gather_inputs(rows)
            n = X.shape[0]
            Y = gather_Y(rows, self._Y[:n], kernels)
            yield X, Y, None if self.weight is None else self._gather_weight(rows, n)

    def _rows_of_batches(
        self, order: np.ndarray | None, first: int = 0
    ) -> Iterator[np.ndarray | slice]:
        """Yield the positions of the rows of every batch, from number `first` on."""
        for start in range(first * self.batch_size, self.n_rows, self.batch_size):
            stop = min(start + self.batch_size, self.n_rows)
            yield slice(start, stop) if order is None else order[start:stop]

    def _gather_inputs(self, rows: np.ndarray | slice):
        if not isinstance(rows, slice):
            return self._gather_X(rows)
        if self._gather_X is None:
            return self.X[rows]
        return self._gather_X(np.arange(rows.start, rows.stop))

    def _gather_weight(self, rows: np.ndarray | slice, n: int) -> np.ndarray:
        if isinstance(rows, slice):
            return self.weight[rows]
        return np.take(self.weight, rows, out=self._weight[:n], mode="clip")
