"""A sweep over learning rates, from small to large, to choose one."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from skdeep._component import InvalidParameterError, Limit
from skdeep.building.checks import uses_lbfgs
from skdeep.callbacks import Callback
from skdeep.estimators.base import BaseMLP
from skdeep.inspection.statistics import model_targets
from skdeep.schedules import Schedule
from skdeep.training.trainer import DivergenceError


@dataclass
class RangeTest:
    """The losses of a sweep over learning rates.

    Attributes
    ----------
    rates, losses : ndarray
        The learning rate and the smoothed loss of each step.
    suggestion : float
        A tenth of the rate with the lowest smoothed loss.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float

    def __str__(self) -> str:
        return f"learning_rate_init={self.suggestion:.2g}"


class _Sweep(Schedule):
    """rate = lowest * (highest / lowest)^(step / n_steps)."""

    every_step = True
    ends = True

    def __init__(self, lowest: float = 1e-6, highest: float = 1.0, n_steps: int = 100):
        self.lowest = lowest
        self.highest = highest
        self.n_steps = n_steps

    def rate(self, initial, progress):
        self.step_ = getattr(self, "step_", -1) + 1
        share = min(1.0, self.step_ / max(1, self.n_steps - 1))
        return self.lowest * (self.highest / self.lowest) ** share


class _Record(Callback):
    """Record the rate and the loss of each step; end the sweep if the loss explodes."""

    def __init__(self, n_steps: int = 100):
        self.n_steps = n_steps

    def on_train_begin(self, trainer):
        self.rates_, self.losses_ = [], []

    def on_batch_end(self, trainer):
        self.rates_.append(trainer.learning_rate)
        self.losses_.append(trainer.batch_loss)
        runs_away = trainer.batch_loss > 4 * abs(self.losses_[0]) + 1
        if runs_away or len(self.losses_) >= self.n_steps:
            raise _EndOfSweepError


class _EndOfSweepError(Exception):
    pass


def learning_rate_range_test(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    n_steps: int = 150,
    smoothing: float = 0.9,
) -> RangeTest:
    """Train a copy of a model for a few steps, with a rate that grows from step to step.

    The model is not changed. If it is fitted, the sweep begins with its weights.

    Parameters
    ----------
    model : estimator of skdeep
    X, y : data as fit takes them
    lowest, highest : float, default=1e-6, 10.0
        The rates of the first and of the last step.
    n_steps : int, default=150
        The number of steps. The sweep ends earlier if the loss explodes.
    smoothing : float, default=0.9
        The share of the running average that the next step keeps; 0 does not smooth.

    Returns
    -------
    RangeTest

    References
    ----------
    Smith (2017), "Cyclical learning rates for training neural networks".
    """
    if not isinstance(model, BaseMLP):
        raise TypeError(f"{type(model).__name__} is not allowed; give an estimator of skdeep.")
    if uses_lbfgs(model):
        raise InvalidParameterError("solver='lbfgs' has no learning rate; choose another solver.")
    if not (Limit(0, closed="(]").allows(lowest) and Limit(lowest).allows(highest)):
        raise InvalidParameterError(
            f"lowest={lowest!r}, highest={highest!r} is not allowed; give 0 < lowest < highest."
        )
    if not Limit(3, integer=True).allows(n_steps):
        raise InvalidParameterError(f"n_steps={n_steps!r} is not allowed; give an integer >= 3.")
    if not Limit(0, 1, closed="[)").allows(smoothing):
        raise InvalidParameterError(f"smoothing={smoothing!r} is not allowed; give [0, 1).")
    record, fitted = _Record(n_steps), hasattr(model, "network_")
    trial = copy.deepcopy(model) if fitted else clone(model)
    trial.set_params(
        learning_rate=_Sweep(lowest, highest, n_steps),
        callbacks=[record],
        max_iter=n_steps,
        early_stopping=False,
        n_iter_no_change=math.inf,
        warm_start=fitted,
        metrics=None,
        verbose=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A sweep that went far enough ends with one of these.
        with contextlib.suppress(_EndOfSweepError, DivergenceError):
            trial.fit(X, model_targets(model, X, y))
    rates, losses = np.array(record.rates_), _smoothed(record.losses_, smoothing)
    finite = np.isfinite(losses)
    best = rates[finite][np.argmin(losses[finite])] if finite.any() else lowest
    return RangeTest(rates, losses, float(best / 10))


def _smoothed(losses: list[float], share: float) -> np.ndarray:
    """Return the running average, corrected for its start at 0."""
    average, smoothed = 0.0, []
    for i, loss in enumerate(losses, 1):
        average = share * average + (1 - share) * loss
        smoothed.append(average / (1 - share**i))
    return np.array(smoothed)
