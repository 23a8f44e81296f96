"""The monitor: has the model stopped improving, and which epoch was the best?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from skdeep.callbacks.figures import watched


class Monitor:
    """Watch the training loss of each epoch, or with early stopping the validation score.

    An epoch is an improvement if it beats the best so far by `tol`. `plateau` is True once more
    than `n_iter_no_change` epochs in a row were no improvement.

    A score may be coarse: the accuracy on few rows stays on one value for many epochs while the
    network learns. With `heeds_loss` an epoch is therefore an improvement too if its validation
    loss beats the lowest so far by `tol`, and the validation loss decides between equal scores.

    Parameters
    ----------
    tol : float
    n_iter_no_change : int or inf
    watches_score : bool
        If True, the monitor watches the validation score, of which higher is better, and keeps the
        best weights. If False, it watches the training loss, of which lower is better.
    heeds_loss : bool, default=False
        Whether the validation loss counts in addition to the score.
    figure : str, default="loss"
        The figure of the history that the monitor watches in place of the training loss.
    sign : int, default=-1
        1 if a higher figure is better, -1 if a lower one is.
    """

    def __init__(
        self,
        tol: float,
        n_iter_no_change: float,
        watches_score: bool,
        heeds_loss: bool = False,
        figure: str = "loss",
        sign: int = -1,
    ):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.watches_score = watches_score
        self.heeds_loss = heeds_loss
        self.figure = figure
        self.sign = sign
        self.best = -math.inf if watches_score else math.inf
        self.best_epoch: int | None = None
        self.best_vectors: list[np.ndarray] | None = None
        self.loss_of_best = math.inf
        self.lowest_loss = math.inf
        self.n_without_improvement = 0
        self.n_without_better_score = 0

    def watches_like(self, other: Monitor) -> bool:
        """Whether another monitor has the settings of this one."""
        names = ("tol", "n_iter_no_change", "watches_score", "heeds_loss", "figure", "sign")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def start_from(
        self, val_loss: float, score: float, epoch: int | None, vectors: list[np.ndarray]
    ) -> None:
        """Take the weights of an earlier run as the best so far."""
        if self.watches_score and math.isfinite(score):
            self.best, self.best_epoch = score, epoch
            self.loss_of_best = self.lowest_loss = val_loss
            self._keep(vectors)

    def update(self, figures: Mapping[str, float], epoch: int, vectors: list[np.ndarray]) -> None:
        """Take note of the figures of an epoch that has ended, and of its weights."""
        if self.watches_score:
            improved = self._take_score(figures, epoch, vectors)
        else:
            _, value = watched(figures, self.figure, "learning_rate")
            improved = self._take_loss(-self.sign * value, epoch)
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1

    def _take_loss(self, loss: float, epoch: int) -> bool:
        """Return whether the watched figure, of which lower is better, is an improvement."""
        improved = loss <= self.best - self.tol
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
        return improved

    def _take_score(
        self, figures: Mapping[str, float], epoch: int, vectors: list[np.ndarray]
    ) -> bool:
        """Return whether the score is an improvement; keep the weights if they are the best."""
        score = figures["val_score"]
        improved, better = score >= self.best + self.tol, score > self.best
        self.n_without_better_score = 0 if improved else self.n_without_better_score + 1
        if self.heeds_loss:
            loss = figures["val_loss"]
            improved = improved or self.lowest_loss - loss >= self.tol  # False for inf - inf
            better = better or (score == self.best and loss < self.loss_of_best)
            self.lowest_loss = min(self.lowest_loss, loss)
            if better:
                self.loss_of_best = loss
        if better:
            self.best, self.best_epoch = score, epoch
            self._keep(vectors)
        return improved

    @property
    def plateau(self) -> bool:
        """Whether too many epochs in a row were no improvement."""
        return self.n_without_improvement > self.n_iter_no_change

    @property
    def score_is_settled(self) -> bool:
        """Whether the score alone is at a plateau, so that only the loss still improves."""
        return self.n_without_better_score > self.n_iter_no_change

    def forgive(self) -> None:
        """Count epochs without improvement from 0 again, as the schedule reacts to a plateau."""
        self.n_without_improvement = 0

    def message(self) -> str:
        """Return a text that describes the plateau."""
        what = "Training loss" if self.figure == "loss" else self.figure
        what = "Validation score" if self.watches_score else what
        return (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    def _keep(self, vectors: list[np.ndarray]) -> None:
        if self.best_vectors is None or len(self.best_vectors) != len(vectors):
            self.best_vectors = [np.empty_like(vector) for vector in vectors]
        for best, vector in zip(self.best_vectors, vectors, strict=True):
            np.copyto(best, vector)

    @property
    def lacks_best(self) -> bool:
        """Whether there was a best epoch whose weights are no longer kept."""
        is_known = self.watches_score and self.best_epoch is not None
        return is_known and self.best_vectors is None

    def take_best(self) -> list[np.ndarray] | None:
        """Return the vectors of the best epoch and forget them; return None if there are none."""
        best, self.best_vectors = self.best_vectors, None
        return best
