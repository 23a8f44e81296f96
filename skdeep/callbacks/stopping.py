"""Callbacks that end training."""

from __future__ import annotations

import math

import numpy as np

from skdeep._component import InvalidParameterError, Limit, unknown_name
from skdeep.callbacks.base import Callback
from skdeep.callbacks.figures import check_mode

TRIGGERS = ("no_improvement", "absolute_change", "decrease", "average_change")


class EarlyStopping(Callback):
    """Ends training when a figure of the history says so.

    | trigger | training ends when the figure |
    | --- | --- |
    | "no_improvement" | was not better than the best one by more than `threshold` for `patience` epochs |
    | "absolute_change" | changed by less than `threshold` from one epoch to the next |
    | "decrease" | is worse than `patience` epochs before, by more than `threshold` |
    | "average_change" | changed by less than `threshold` per epoch, on average over `patience` epochs |

    This callback takes the place of the estimator's rule that ends training at a plateau of the
    training loss. Both hold if the estimator has `early_stopping=True`, or an `n_iter_no_change`
    that is not its default, 10.

    The parameter `early_stopping=True` of the estimators works like "no_improvement", with
    validation data that are split off. A run whose training loss becomes infinite still ends with
    an error.

    Parameters
    ----------
    monitor : str or None, default=None
        A key of `history_`. None is "val_score" if there is validation data, else "loss".
    mode : {None, "min", "max"}, default=None
        Whether a lower or a higher figure is better. None is enough for losses and scores, for
        metrics that are scorers, and for names with "score", "accuracy", "loss", "error" or
        "deviance" in them. Any other figure needs "min" or "max".
    trigger : str, default="no_improvement"
        The rule that ends training: see the table.
    patience : int, default=10
        The number of epochs that the rule looks back.
    threshold : float, default=0.0
        The size of a change that counts: see the table.
    restore_best : bool, default=True
        Whether the weights of the best epoch are restored at the end of training.

    Attributes
    ----------
    best_ : float
        The best figure.
    best_epoch_ : int
        The epoch of the best figure, counted from 1 in this run.
    stopped_epoch_ : int or None
        The epoch after which this callback ended training. None if it did not.

    References
    ----------
    Prechelt (1998), "Early stopping: but when?".
    """  # noqa: E501

    changes_course = True
    _limits = {"patience": Limit(1, integer=True), "threshold": Limit(0)}

    def __init__(
        self,
        monitor: str | None = None,
        *,
        mode: str | None = None,
        trigger: str = "no_improvement",
        patience: int = 10,
        threshold: float = 0.0,
        restore_best: bool = True,
    ):
        self.monitor = monitor
        self.mode = mode
        self.trigger = trigger
        self.patience = patience
        self.threshold = threshold
        self.restore_best = restore_best

    def on_train_begin(self, trainer):
        self.check()
        check_mode(self.mode, "EarlyStopping")
        if self.trigger not in TRIGGERS:
            raise InvalidParameterError(unknown_name(self.trigger, TRIGGERS, "trigger"))
        if trainer.is_incremental:
            raise InvalidParameterError(
                "partial_fit does not go with EarlyStopping: each call trains for one epoch."
            )
        if "change" in self.trigger and not self.threshold:
            raise InvalidParameterError(
                f"trigger={self.trigger!r} needs a threshold > 0: no change is smaller than 0."
            )
        if not trainer.first_of_fit and hasattr(self, "values_"):
            self.stopped_epoch_ = None
            return  # a run that continues
        self.values_: list[float] = []
        self.best_, self.best_epoch_, self.stopped_epoch_ = math.nan, 0, None
        self.n_waited_, self.reference_ = 0, -math.inf
        self.best_weights_: list[list[np.ndarray]] | None = None

    def on_epoch_end(self, trainer):
        figure, sign = trainer.watched(self.monitor, self.mode, "EarlyStopping")
        value = sign * figure
        self.values_.append(value)
        # The reference moves with improvements only, so that small steps may add up to one.
        improved = value > self.reference_ + self.threshold
        self.n_waited_ = 0 if improved else self.n_waited_ + 1
        self.reference_ = value if improved else self.reference_
        if value > (sign * self.best_ if self.best_epoch_ else -math.inf):
            self.best_, self.best_epoch_ = figure, trainer.epoch_of_run
            if self.restore_best:
                self.best_weights_ = trainer.run.copies()
        if self._is_triggered():
            self.stopped_epoch_ = trainer.epoch_of_run
            trainer.stop_training = True

    def _is_triggered(self) -> bool:
        values, k = self.values_, self.patience
        if self.trigger == "no_improvement":
            return self.n_waited_ >= k
        if self.trigger == "absolute_change":
            return len(values) > 1 and abs(values[-1] - values[-2]) < self.threshold
        if len(values) <= k:
            return False
        change = values[-1] - values[-1 - k]
        if self.trigger == "decrease":
            return change < -self.threshold
        return abs(change) / k < self.threshold

    def on_train_end(self, trainer):
        if self.best_weights_ is not None:
            keeps_state = trainer.settings.keeps_state
            trainer.run.restore_copies(self.best_weights_, keeps_state)
            trainer.restored_epoch = self.best_epoch_
            if not keeps_state:
                self.best_weights_ = None


class TerminateOnNaN(Callback):
    """Ends training after an epoch in which a figure of the history is infinite or NaN.

    A training loss that is not finite is an error in any case. This callback checks the other
    figures too: the validation loss, the score, the norm of the gradient.
    """

    changes_course = True

    def on_epoch_end(self, trainer):
        if not all(math.isfinite(value) for value in trainer.figures.values()):
            trainer.stop_training = True
