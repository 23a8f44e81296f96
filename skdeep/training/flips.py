"""Noise in class labels: targets of which a share is given to other classes, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.kernels import numpy_kernels
from skdeep.schedules import Progress, Scheduled, ready_number, value_of


class FlippedTargets:
    """Targets in which chance gives a share of the labels to another class, in every batch again.

    Parameters
    ----------
    targets : DenseTargets or ClassTargets
    share : float or Scheduled
        The probability that a label is changed.
    rng : numpy.random.Generator or None
    multiclass : bool
        Whether each row is a distribution over classes: its largest entry then changes places with
        another one. Otherwise each entry y becomes 1 - y on its own.
    """

    def __init__(
        self,
        targets: Any,
        share: float | Scheduled,
        rng: np.random.Generator | None,
        *,
        multiclass: bool,
    ):
        self.targets = targets
        self.share = value_of(share)
        self._changing = ready_number(share)
        self.rng = rng
        self.multiclass = multiclass
        self._share = None

    def take_share(self, share) -> None:
        """Draw the chances of own rows of a batch; see Layer.take_share."""
        self._share = share

    @property
    def shape(self) -> tuple[int, int]:
        return self.targets.shape

    @property
    def follows_progress(self) -> bool:
        """Whether the share changes over time."""
        return isinstance(self._changing, Scheduled)

    def begin_step(self, progress: Progress) -> None:
        """Set the share for a step."""
        self.share = self._changing.at(progress)

    def take(self, rows: np.ndarray) -> FlippedTargets:
        """Return the targets of some rows, without the generator of the chances."""
        own = self.targets.take(rows)
        return FlippedTargets(own, self._changing, None, multiclass=self.multiclass)

    def gather(self, rows: np.ndarray | slice, out: np.ndarray, kernels=numpy_kernels):
        """Write the targets of these rows to `out`, and return it."""
        Y = self.targets.gather(rows, out, kernels)
        if Y is not out:  # it may be a view of the targets themselves
            np.copyto(out, Y)
        if self.multiclass:
            self._exchange(out)
        else:
            chances = self.rng.random((self._n_drawn(out), out.shape[1]))
            np.subtract(1, out, out=out, where=self._own(chances) < self.share)
        return out

    def _n_drawn(self, Y: np.ndarray) -> int:
        """Return the number of rows of the batch, in this process and in others."""
        return len(Y) if self._share is None else self._share.n_rows

    def _own(self, drawn: np.ndarray) -> np.ndarray:
        return drawn if self._share is None else drawn[self._share.positions]

    def _exchange(self, Y: np.ndarray) -> None:
        n_drawn, n_classes = self._n_drawn(Y), Y.shape[1]
        chosen = np.flatnonzero(self.rng.random(n_drawn) < self.share)
        shifts = np.zeros(n_drawn, int)
        shifts[chosen] = self.rng.integers(1, n_classes, len(chosen))
        shifts = self._own(shifts)
        rows = np.flatnonzero(shifts)
        largest = Y[rows].argmax(axis=1)
        other = (largest + shifts[rows]) % n_classes
        Y[rows, largest], Y[rows, other] = Y[rows, other], Y[rows, largest]
