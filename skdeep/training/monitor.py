"""The monitor: has the model stopped improving, and which epoch was the best?"""

from __future__ import annotations

import math

import numpy as np

from skdeep.parameters import ParameterVector


class Monitor:
    """Watch one figure an epoch: the training loss, or with early stopping the validation score.

    An epoch counts as an improvement where it beats the best so far by `tol`. After
    `n_iter_no_change` epochs in a row that do not, `plateau` is True.

    Parameters
    ----------
    tol : float
    n_iter_no_change : int or inf
    watches_score : bool
        True: the validation score, higher is better, and the best weights are kept. False: the
        training loss, lower is better.
    """

    def __init__(self, tol: float, n_iter_no_change: float, watches_score: bool):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.watches_score = watches_score
        self.best = -math.inf if watches_score else math.inf
        self.best_epoch: int | None = None
        self.best_values: np.ndarray | None = None
        self.n_without_improvement = 0

    def watches_the_same(self, other: Monitor) -> bool:
        """Whether another monitor has the same settings."""
        names = ("tol", "n_iter_no_change", "watches_score")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def start_from(self, score: float, epoch: int | None, parameters: ParameterVector) -> None:
        """Take weights that were there before as the best so far."""
        if self.watches_score and math.isfinite(score):
            self.best, self.best_epoch = score, epoch
            self._keep(parameters)

    def update(self, loss: float, score: float | None, epoch: int, p: ParameterVector) -> None:
        """Take note of an epoch that has ended."""
        if self.watches_score:
            improved, better = score >= self.best + self.tol, score > self.best
            figure = score
        else:
            improved, better = loss <= self.best - self.tol, loss < self.best
            figure = loss
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1
        if better:
            self.best, self.best_epoch = figure, epoch
            if self.watches_score:
                self._keep(p)

    @property
    def plateau(self) -> bool:
        """Whether it has gone on for too long without an improvement."""
        return self.n_without_improvement >= self.n_iter_no_change

    def forgive(self) -> None:
        """Begin to count anew, after something was done about a plateau."""
        self.n_without_improvement = 0

    def message(self) -> str:
        """Say what the plateau is."""
        what = "Validation score" if self.watches_score else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    def _keep(self, parameters: ParameterVector) -> None:
        if self.best_values is None:
            self.best_values = np.empty_like(parameters.values)
        np.copyto(self.best_values, parameters.values)

    def restore(self, parameters: ParameterVector) -> bool:
        """Put the best weights back, if some were kept."""
        if self.best_values is None:
            return False
        np.copyto(parameters.values, self.best_values)
        self.best_values = None
        return True
