"""The raw outputs of an epoch as they passed, kept for figures at its end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skdeep.network import Network
from skdeep.training.batches import BatchSource

Measure = Callable[[np.ndarray, np.ndarray | None], dict[str, float]]


class Outputs:
    """Keeps a copy of the raw outputs of every batch, before the loss overwrites them.

    Parameters
    ----------
    measure : callable
        Returns figures by name, given raw outputs and the positions of their rows: see
        `BatchSource.order`.
    """

    def __init__(self, measure: Measure):
        self.measure = measure
        self.release()

    def allocate(self, network: Network, batches: BatchSource) -> None:
        """Make room for the outputs of an epoch."""
        self._batches, self._forward = batches, network.forward
        n_at_most = len(batches) * batches.batch_size
        self._Z = np.empty((n_at_most, network.n_outputs), network.dtype)
        self._n = 0

    def release(self) -> None:
        """Drop the outputs."""
        self._batches = self._forward = self._Z = None
        self._n = 0

    def forward(self, X) -> np.ndarray:
        """Return the raw outputs for a batch, as Network.forward does, and keep a copy."""
        Z = self._forward(X)
        start, self._n = self._n, self._n + len(Z)
        self._Z[start : self._n] = Z
        return Z

    @property
    def kept(self) -> np.ndarray:
        """The outputs of the running epoch so far."""
        return self._Z[: self._n]

    def put_back(self, Z: np.ndarray) -> None:
        """Continue an epoch with these outputs of its first batches."""
        self._n = len(Z)
        self._Z[: self._n] = Z

    def take(self, Z: np.ndarray) -> None:
        """Take the outputs of all rows at once, in the order of the data."""
        self._Z, self._n = Z, len(Z)

    def figures(self) -> dict[str, float]:
        """Return the figures of the outputs of an epoch, and begin to keep those of the next."""
        order = None if self._batches is None else self._batches.order
        n_rows, self._n = self._n, 0
        return self.measure(self._Z[:n_rows], order)
