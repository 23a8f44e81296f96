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
    rng : numpy.random.Generator
    multiclass : bool
        Whether each row is a distribution over classes: its largest entry then changes places with
        another one. Otherwise each entry y becomes 1 - y on its own.
    """

    def __init__(
        self, targets: Any, share: float | Scheduled, rng: np.random.Generator, *, multiclass: bool
    ):
        self.targets = targets
        self.share = value_of(share)
        self._changing = ready_number(share)
        self.rng = rng
        self.multiclass = multiclass

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

    def gather(self, rows: np.ndarray | slice, out: np.ndarray, kernels=numpy_kernels):
        """Write the targets of these rows to `out`, and return it."""
        Y = self.targets.gather(rows, out, kernels)
        if Y is not out:  # it may be a view of the targets themselves
            np.copyto(out, Y)
        if self.multiclass:
            self._exchange(out)
        else:
            np.subtract(1, out, out=out, where=self.rng.random(out.shape) < self.share)
        return out

    def _exchange(self, Y: np.ndarray) -> None:
        n_rows, n_classes = Y.shape
        rows = np.flatnonzero(self.rng.random(n_rows) < self.share)
        largest = Y[rows].argmax(axis=1)
        other = (largest + self.rng.integers(1, n_classes, len(rows))) % n_classes
        Y[rows, largest], Y[rows, other] = Y[rows, other], Y[rows, largest]
