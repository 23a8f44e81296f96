"""Local steps: each member trains on its own rows for some steps; then all average weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.distributed.members.share import Share
from skdeep.training.run import Run
from skdeep.training.stages import GradientStage


class LocalSteps(GradientStage):
    """Average the weights of all members after every k steps, in place of the gradients.

    The running statistics of batch norm, the slots of the optimizer and the averages of weights are
    averaged too. A member counts by the rows that it has trained on since the last time.

    Parameters
    ----------
    every : int
        The number of steps from one averaging to the next.
    share : Share
    run : Run
    """

    before_penalties = True
    follows_progress = True

    def __init__(self, every: int, share: Share, run: Run):
        self.every = every
        self.share = share
        self.run = run
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Forget the rows and the losses of the last epoch."""
        self._n_steps = 0
        self._n_own = self._n_rows = 0
        self._total, self._n_counted = 0.0, 0

    def begin_step(self, progress):
        if self._n_steps == self.every:
            self.average()

    def apply(self, gradient, step):
        share = self.share
        if not share.n_own:  # the step of a row that stands in for no row
            gradient.fill(0)
            step.loss = 0.0
        step.n_rows = share.n_rows
        self._n_steps += 1
        self._n_own += share.n_own
        self._n_rows += share.n_rows

    def note(self, loss: float) -> None:
        """Take note of the objective of a step."""
        self._total += loss * self.share.n_own
        self._n_counted += self.share.n_rows

    def average(self) -> None:
        """Average with the other members."""
        if not self._n_steps:
            return
        vectors = self._vectors()
        together = np.concatenate([*vectors, np.empty(0, vectors[0].dtype)])
        together *= self._n_own / self._n_rows
        self.share.sum(together)
        start = 0
        for vector in vectors:
            vector[:] = together[start : start + vector.size]
            start += vector.size
        self._n_steps = self._n_own = self._n_rows = 0

    def _vectors(self) -> list[np.ndarray]:
        run = self.run
        average: Any = None if run.average is None else run.average.values_
        own = [run.network.parameters.values, *run.optimizer.slots_]
        return own if average is None else [*own, average]

    def mean_loss(self) -> float:
        """Return the mean objective of the epoch over the steps of all members."""
        total = np.array([self._total])
        self.share.sum(total)
        return float(total[0]) / self._n_counted
