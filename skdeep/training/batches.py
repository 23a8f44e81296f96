"""Batches: rows gathered, a batch at a time, into buffers that are made once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skdeep import kernels


class DenseTargets:
    """Targets that are numbers already: an array of shape (n_rows, n_outputs).

    `noise` is the standard deviation of Gaussian noise, anew in every batch.
    """

    def __init__(self, Y: np.ndarray, noise: float = 0.0, rng: np.random.Generator | None = None):
        self.Y = Y
        self.noise = noise
        self.rng = rng

    @property
    def shape(self) -> tuple[int, int]:
        return self.Y.shape

    def gather(self, rows, out: np.ndarray) -> np.ndarray:
        """Return those rows, in `out` where they have to be moved or changed."""
        if isinstance(rows, slice) and not self.noise:
            return self.Y[rows]
        if isinstance(rows, slice):
            np.copyto(out, self.Y[rows])
        else:
            np.take(self.Y, rows, axis=0, out=out, mode="clip")
        if self.noise:
            out += self.noise * self.rng.standard_normal(out.shape, dtype=out.dtype)
        return out


class ClassTargets:
    """Class codes, spread out a batch at a time to `on` for the class and `off` for the others."""

    def __init__(self, codes: np.ndarray, n_classes: int, smoothing: float = 0.0):
        self.codes = codes
        self.off = smoothing / n_classes
        self.on = 1.0 - smoothing + self.off
        self.shape = (len(codes), n_classes)

    def gather(self, rows, out: np.ndarray) -> np.ndarray:
        """Write those rows to `out`, and return it."""
        kernels.gather_one_hot(self.codes, rows, self.on, self.off, out)
        return out


class Batches:
    """An endless supply of epochs, each one pass over all rows.

    Parameters
    ----------
    X : ndarray or CSR matrix
    targets : DenseTargets or ClassTargets
    weight : ndarray of shape (n_rows,) or None
    batch_size : int
    rng : numpy.random.Generator or None
        Shuffles the rows anew for every epoch; None keeps their order.
    dtype : numpy.dtype
    sparse : bool
        Whether batches of a CSR matrix stay sparse.
    rows : ndarray of int or None
        The rows to go through; None is all.
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
        self.X = X
        self.targets = targets
        self.weight = weight
        self.batch_size = batch_size
        self.rng = rng
        self.rows = rows
        self.n_rows = X.shape[0] if rows is None else len(rows)
        self.is_dense = isinstance(X, np.ndarray)
        self.stays_sparse = sparse and not self.is_dense
        self._Y = np.empty((batch_size, targets.shape[1]), dtype)
        moves = rng is not None or rows is not None
        needs_X = not self.stays_sparse and (moves or not self.is_dense)
        self._X = np.empty((batch_size, X.shape[1]), dtype) if needs_X else None
        self._weight = np.empty(batch_size, dtype) if weight is not None else None

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple]:
        """Yield (X, Y, weight) for every batch; they are good until the next."""
        order = self.rows
        if self.rng is not None:
            order = self.rng.permutation(self.n_rows if self.rows is None else self.rows)
        for start in range(0, self.n_rows, self.batch_size):
            stop = min(start + self.batch_size, self.n_rows)
            rows = slice(start, stop) if order is None else order[start:stop]
            n = stop - start
            Y = self.targets.gather(rows, self._Y[:n])
            yield self._gather_X(rows, n), Y, self._gather_weight(rows, n)

    def _gather_X(self, rows, n: int):
        if self.is_dense:
            if isinstance(rows, slice):
                return self.X[rows]
            return np.take(self.X, rows, axis=0, out=self._X[:n], mode="clip")
        batch = self.X[rows]
        return batch if self.stays_sparse else batch.toarray(out=self._X[:n])

    def _gather_weight(self, rows, n: int):
        if self.weight is None:
            return None
        if isinstance(rows, slice):
            return self.weight[rows]
        return np.take(self.weight, rows, out=self._weight[:n], mode="clip")
