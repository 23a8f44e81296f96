"""The callback that lets Optuna end hopeless trials."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from skdeep._component import InvalidParameterError, Limit, needs
from skdeep.callbacks.base import Callback
from skdeep.callbacks.figures import check_mode

_DIRECTIONS = {1: "maximize", -1: "minimize"}


class OptunaPruning(Callback):
    """Reports a figure of the history to a trial of Optuna, and ends training if it is pruned.

    Needs optuna. If the study's pruner decides against the trial, training ends with
    `optuna.TrialPruned`, and the estimator is as it was before the call of fit. Optuna marks the
    trial as pruned if the objective lets the exception pass. Functions of scikit-learn that fit
    need `error_score="raise"` for that.

    The steps of Optuna are epochs, counted from 0. With `warm_start="continue"` and `partial_fit`,
    the epochs of earlier calls are counted too.

    Clones have the same trial. Deep copies, pickles and files are without it, so an estimator with
    this callback can be saved, but not fitted in another process.

    Parameters
    ----------
    trial : optuna.trial.Trial
    monitor : str or None, default=None
        A key of `history_`. None is "val_score" if there is validation data, else "loss". A score
        needs a study with direction="maximize", a loss one with "minimize".
    mode : {None, "min", "max"}, default=None
        Whether a lower or a higher figure is better. None is enough for losses and scores; see
        `EarlyStopping`.
    interval : int, default=1
        The number of epochs from one report to the next.
    first_step : int, default=0
        The step of the first epoch. The folds of a cross-validation that are fitted one after the
        other need steps of their own: `fold * max_iter`.
    """

    writes_files = True
    runs_last = True
    _limits = {"interval": Limit(1, integer=True), "first_step": Limit(0, integer=True)}

    def __init__(
        self,
        trial: Any,
        monitor: str | None = None,
        *,
        mode: str | None = None,
        interval: int = 1,
        first_step: int = 0,
    ):
        self.trial = trial
        self.monitor = monitor
        self.mode = mode
        self.interval = interval
        self.first_step = first_step

    def on_train_begin(self, trainer):
        self.check()
        check_mode(self.mode, "OptunaPruning")
        _pruned()  # whether optuna is installed
        if not (hasattr(self.trial, "report") and hasattr(self.trial, "should_prune")):
            raise InvalidParameterError(
                f"OptunaPruning trial={self.trial!r} is not a trial of Optuna; give the argument "
                "of the objective. Deep copies, pickles and files do not keep the trial, so an "
                "estimator in another process has none: remove the callback there."
            )
        study = _study(self.trial)
        if study is None:
            return
        if len(study.directions) > 1:
            raise InvalidParameterError(
                f"OptunaPruning: the study has {len(study.directions)} objectives; Optuna prunes "
                "trials of one objective only. Remove the callback."
            )
        if trainer.first_of_fit:
            self._check_steps(study, self.first_step + trainer.epochs_before)

    def _check_steps(self, study: Any, step: int) -> None:
        """Raise if the trial has reports of this step or later ones: Optuna would ignore ours."""
        trials = study.get_trials(deepcopy=False)
        own = next(trial for trial in trials if trial.number == self.trial.number)
        reported = own.intermediate_values
        if reported and max(reported) >= step:
            raise InvalidParameterError(
                f"OptunaPruning first_step={self.first_step!r}: trial {self.trial.number} has "
                f"reports up to step {max(reported)}, and Optuna ignores a second report of a "
                "step. For the folds of a cross-validation, give first_step=fold * max_iter; for "
                f"one more fit, give first_step={max(reported) + 1} or more."
            )

    def on_epoch_end(self, trainer):
        epoch = trainer.epochs_before + trainer.epoch
        if epoch % self.interval:
            return
        value, sign = trainer.watched(self.monitor, self.mode, "OptunaPruning")
        self._check_direction(sign)
        step = self.first_step + epoch - 1
        self.trial.report(value, step)
        if self.trial.should_prune():
            raise _pruned()(f"Pruned after epoch {epoch}, with {value:.6g}.")

    def _check_direction(self, sign: int) -> None:
        study = _study(self.trial)
        if study is not None and study.direction.name.lower() != _DIRECTIONS[sign]:
            kind = "higher" if sign > 0 else "lower"
            monitor = "the default" if self.monitor is None else repr(self.monitor)
            raise InvalidParameterError(
                f"OptunaPruning monitor={self.monitor!r}: a {kind} figure is better, but the study "
                f"has direction={study.direction.name.lower()!r}. Give another monitor than "
                f"{monitor} or create_study(direction={_DIRECTIONS[sign]!r}). Without validation "
                "data (early_stopping=True, or X_val in fit), the default is the training loss."
            )

    # The trial belongs to a study, of which there is one.

    def __sklearn_clone__(self):
        return type(self)(**self.get_params(deep=False))

    def __getstate__(self):
        return {**super().__getstate__(), "trial": None}


def _study(trial: Any) -> Any:
    """Return the study of a trial; None for FixedTrial and FrozenTrial, which ignore reports."""
    return getattr(trial, "study", None)


def _pruned() -> type[Exception]:
    """Return optuna.TrialPruned."""
    try:
        return import_module("optuna").TrialPruned
    except ImportError as error:
        raise ImportError(f"{needs('OptunaPruning', 'optuna', 'optuna')} ({error})") from error
