"""Schedules: functions from the progress of training to the learning rate, or to another number.

A schedule belongs to the trainer, not to an optimizer, so that each schedule works with every
optimizer. It is asked for the rate before every step if `every_step` is True, else before every
epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit, is_named, resolve


@dataclass
class Progress:
    """The progress of a run of training.

    Attributes
    ----------
    epoch : float
        The number of epochs done since training began, with the fraction of the running epoch.
    n_epochs : int
        The largest number of epochs (`max_iter`).
    rows : int
        The number of rows seen in the model's whole life, up to the beginning of this epoch
        (`t_`).
    fresh : bool
        Whether this is the first epoch of a call of fit.
    """

    epoch: float = 0.0
    n_epochs: int = 1
    rows: int = 0
    fresh: bool = True

    @property
    def fraction(self) -> float:
        """The share of the epochs that are done, in [0, 1]."""
        return min(1.0, self.epoch / max(1, self.n_epochs))


class Schedule(Component):
    """Base class: a subclass implements `rate`.

    Attributes
    ----------
    every_step : bool
        Whether `rate` is called before every step, not just before every epoch.
    ends : bool
        Whether the schedule is designed to end at max_iter. There is then no warning if training
        takes all epochs.
    monitor : str or None
        The figure of the history whose plateau the schedule waits for; None is the training loss,
        or with early stopping the validation score.
    mode : {None, "min", "max"}
        Whether a lower or a higher figure is better. None is for figures whose name says it.
    """

    every_step = False
    ends = False
    monitor: str | None = None
    mode: str | None = None

    def rate(self, initial: float, progress: Progress) -> float:
        """Return the learning rate; `initial` is learning_rate_init."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the state of an earlier run."""

    def on_plateau(self, initial: float) -> str | None:
        """React to a plateau; return None to stop, or a text that describes the reaction."""
        return None


class Constant(Schedule):
    """rate = initial."""

    def rate(self, initial, progress):
        return initial


class InverseScaling(Schedule):
    """rate = initial / (t + 1)^power_t, t the number of rows seen; initial in the first epoch.

    Parameters
    ----------
    power_t : float, default=0.5
    """

    _limits = {"power_t": Limit(0)}

    def __init__(self, power_t: float = 0.5):
        self.power_t = power_t

    def rate(self, initial, progress):
        return initial if progress.fresh else initial / (progress.rows + 1) ** self.power_t


class Adaptive(Schedule):
    """rate = initial, divided by `factor` instead of stopping, until it is at most `min_rate`.

    Parameters
    ----------
    factor : float, default=5.0
    min_rate : float, default=1e-6
    monitor : str or None, default=None
        The key of `history_` that is watched, such as "val_roc_auc". None is the training loss, or
        with early stopping the validation score. `tol` and `n_iter_no_change` of the estimator
        define its plateau.
    mode : {None, "min", "max"}, default=None
        Whether a lower or a higher figure is better. None is for figures whose name says it.
    """

    _limits = {"factor": Limit(1, closed="(]"), "min_rate": Limit(0)}

    def __init__(
        self,
        factor: float = 5.0,
        min_rate: float = 1e-6,
        monitor: str | None = None,
        mode: str | None = None,
    ):
        self.factor = factor
        self.min_rate = min_rate
        self.monitor = monitor
        self.mode = mode

    def check(self, what=""):
        super().check(what)
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise InvalidParameterError(
                f"Adaptive monitor={self.monitor!r} is not allowed; give a key of history_."
            )
        if self.mode not in (None, "min", "max"):
            raise InvalidParameterError(
                f"Adaptive mode={self.mode!r} is not allowed; give None, 'min' or 'max'."
            )

    def reset(self):
        self.rate_ = None

    def rate(self, initial, progress):
        if getattr(self, "rate_", None) is None:
            self.rate_ = initial
        return self.rate_

    def on_plateau(self, initial):
        if self.rate_ <= self.min_rate:
            return None
        self.rate_ /= self.factor
        return f"Setting learning rate to {self.rate_:f}"


class Step(Schedule):
    """rate = initial * factor^floor(epoch / every).

    Parameters
    ----------
    factor : float, default=0.5
    every : int, default=10
        The number of epochs from one drop to the next.
    """

    _limits = {"factor": Limit(0, closed="(]"), "every": Limit(1, integer=True)}

    def __init__(self, factor: float = 0.5, every: int = 10):
        self.factor = factor
        self.every = every

    def rate(self, initial, progress):
        return initial * self.factor ** (int(progress.epoch) // self.every)


class Exponential(Schedule):
    """rate = initial * decay^epoch.

    Parameters
    ----------
    decay : float, default=0.95
    """

    every_step = True
    _limits = {"decay": Limit(0, 1, closed="(]")}

    def __init__(self, decay: float = 0.95):
        self.decay = decay

    def rate(self, initial, progress):
        return initial * self.decay**progress.epoch


class InverseTime(Schedule):
    """rate = initial / (1 + decay * epoch).

    Parameters
    ----------
    decay : float, default=0.1
    """

    every_step = True
    _limits = {"decay": Limit(0)}

    def __init__(self, decay: float = 0.1):
        self.decay = decay

    def rate(self, initial, progress):
        return initial / (1 + self.decay * progress.epoch)


class Polynomial(Schedule):
    """rate = initial * (end + (1 - end) * (1 - epoch / max_iter)^power).

    Parameters
    ----------
    power : float, default=2.0
    end : float, default=0.0
        The share of the initial rate that is left at the end.
    """

    every_step = True
    ends = True
    _limits = {"power": Limit(0, closed="(]"), "end": Limit(0, 1)}

    def __init__(self, power: float = 2.0, end: float = 0.0):
        self.power = power
        self.end = end

    def rate(self, initial, progress):
        return initial * (self.end + (1 - self.end) * (1 - progress.fraction) ** self.power)


class Linear(Polynomial):
    """rate = initial * (end + (1 - end) * (1 - epoch / max_iter)).

    Parameters
    ----------
    end : float, default=0.0
    """

    power = 1
    _limits = {"end": Limit(0, 1)}

    def __init__(self, end: float = 0.0):
        self.end = end


class Cosine(Schedule):
    """rate = initial * (end + (1 - end) * (1 + cos(pi * epoch / max_iter)) / 2).

    Parameters
    ----------
    end : float, default=0.0

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts".
    """

    every_step = True
    ends = True
    _limits = {"end": Limit(0, 1)}

    def __init__(self, end: float = 0.0):
        self.end = end

    def rate(self, initial, progress):
        return initial * _cosine(progress.fraction, self.end)


def _cosine(fraction: float, end: float) -> float:
    """Go from 1 to `end` along half a cosine wave."""
    return end + (1 - end) * (1 + math.cos(math.pi * fraction)) / 2


class CosineRestarts(Schedule):
    """Cosine decay from initial to end * initial, which starts again after each period.

    Parameters
    ----------
    period : int, default=10
        The number of epochs before the first restart.
    growth : float, default=2.0
        The length of each period divided by the length of the period before.
    end : float, default=0.0

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts".
    """

    every_step = True
    _limits = {"period": Limit(1, integer=True), "growth": Limit(1), "end": Limit(0, 1)}

    def __init__(self, period: int = 10, growth: float = 2.0, end: float = 0.0):
        self.period = period
        self.growth = growth
        self.end = end

    def rate(self, initial, progress):
        start, period = 0.0, float(self.period)
        while progress.epoch >= start + period:
            start += period
            period *= self.growth
        return initial * _cosine((progress.epoch - start) / period, self.end)


class OneCycle(Schedule):
    """Rise from start * initial to initial, then fall to end * initial, along cosines.

    Parameters
    ----------
    warmup : float, default=0.3
        The share of the epochs in which the rate rises.
    start : float, default=0.04
    end : float, default=4e-6

    References
    ----------
    Smith and Topin (2018), "Super-convergence: very fast training of neural networks using large
    learning rates".
    """

    every_step = True
    ends = True
    _limits = {"warmup": Limit(0, 1, closed="()"), "start": Limit(0, 1), "end": Limit(0, 1)}

    def __init__(self, warmup: float = 0.3, start: float = 0.04, end: float = 4e-6):
        self.warmup = warmup
        self.start = start
        self.end = end

    def rate(self, initial, progress):
        fraction = progress.fraction
        if fraction < self.warmup:
            return initial * _cosine(1 - fraction / self.warmup, self.start)
        return initial * _cosine((fraction - self.warmup) / (1 - self.warmup), self.end)


class WarmupCosine(Schedule):
    """Linear rise to initial, then fall to end * initial along a cosine.

    Parameters
    ----------
    warmup : float, default=0.1
        The share of the epochs in which the rate rises.
    end : float, default=0.0
    """

    every_step = True
    ends = True
    _limits = {"warmup": Limit(0, 1, closed="()"), "end": Limit(0, 1)}

    def __init__(self, warmup: float = 0.1, end: float = 0.0):
        self.warmup = warmup
        self.end = end

    def rate(self, initial, progress):
        fraction = progress.fraction
        if fraction < self.warmup:
            # at least 1 % of the initial rate, so that the first step is not lost
            return initial * max(0.01, fraction / self.warmup)
        return initial * _cosine((fraction - self.warmup) / (1 - self.warmup), self.end)


class FlatCosine(Schedule):
    """rate = initial for the first part, then initial * (1 + cos(pi * u)) / 2, u from 0 to 1.

    Parameters
    ----------
    flat : float, default=0.5
        The share of the epochs that have the initial rate.
    """

    every_step = True
    ends = True
    _limits = {"flat": Limit(0, 1, closed="[)")}

    def __init__(self, flat: float = 0.5):
        self.flat = flat

    def rate(self, initial, progress):
        u = max(0.0, progress.fraction - self.flat) / (1 - self.flat)
        return initial * (1 + math.cos(math.pi * u)) / 2


class CosineLog(Schedule):
    """rate = initial * (1 - cos(2 * pi * log2(1 + (2^cycles - 1) * t))) / 2, t from 0 to 1.

    The rate goes up and down `cycles` times, each time for twice as long.

    Parameters
    ----------
    cycles : int, default=4

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data".
    """

    every_step = True
    ends = True
    _limits = {"cycles": Limit(1, integer=True)}

    def __init__(self, cycles: int = 4):
        self.cycles = cycles

    def rate(self, initial, progress):
        # Beyond a thousand cycles the first ones are shorter than a float can tell.
        u = math.log2(1 + (2.0 ** min(self.cycles, 1000) - 1) * progress.fraction)
        return initial * (1 - math.cos(2 * math.pi * u)) / 2


class Piecewise(Schedule):
    """rate = initial * factors[i], i the number of boundaries that epoch has reached.

    Parameters
    ----------
    boundaries : sequence of int, default=(10, 20)
        Numbers of epochs, in ascending order.
    factors : sequence of float, default=(1.0, 0.1, 0.01)
        The factors of the initial rate: one more than boundaries.
    """

    def __init__(self, boundaries=(10, 20), factors=(1.0, 0.1, 0.01)):
        self.boundaries = boundaries
        self.factors = factors

    def check(self, what=""):
        boundaries, factors = np.asarray(self.boundaries), np.asarray(self.factors)
        if boundaries.ndim != 1 or factors.shape != (len(boundaries) + 1,):
            raise InvalidParameterError(
                f"Piecewise boundaries={self.boundaries!r} and factors={self.factors!r} do not "
                "fit; give one factor more than boundaries."
            )
        if (np.diff(boundaries) <= 0).any() or (factors < 0).any():
            raise InvalidParameterError(
                f"Piecewise boundaries={self.boundaries!r} must grow, and "
                f"factors={self.factors!r} must not be negative."
            )

    def rate(self, initial, progress):
        reached = sum(progress.epoch >= boundary for boundary in self.boundaries)
        return initial * float(self.factors[reached])


class Warmup(Schedule):
    """Linear rise from start * rate to rate over the first epochs; rate is another schedule's.

    Parameters
    ----------
    schedule : str or Schedule, default="constant"
    epochs : float, default=5
    start : float, default=0.01
    """

    every_step = True
    _limits = {"epochs": Limit(0, closed="(]"), "start": Limit(0, 1)}

    def __init__(self, schedule="constant", epochs: float = 5, start: float = 0.01):
        self.schedule = schedule
        self.epochs = epochs
        self.start = start

    def check(self, what=""):
        super().check(what)
        self.inner_ = resolve(self.schedule, SCHEDULES, "Warmup schedule", Schedule)

    @property
    def ends(self):
        return self.inner_.ends

    @property
    def monitor(self):
        return self.inner_.monitor

    @property
    def mode(self):
        return self.inner_.mode

    def reset(self):
        self.inner_.reset()

    def rate(self, initial, progress):
        rate = self.inner_.rate(initial, progress)
        share = min(1.0, progress.epoch / self.epochs)
        return rate * (self.start + (1 - self.start) * share)

    def on_plateau(self, initial):
        return self.inner_.on_plateau(initial)


SCHEDULES = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "step": Step,
    "exponential": Exponential,
    "inverse_time": InverseTime,
    "linear": Linear,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "one_cycle": OneCycle,
    "warmup_cosine": WarmupCosine,
    "flat_cosine": FlatCosine,
    "cosine_log": CosineLog,
}


class Scheduled(Component):
    """A number that changes over time: a dropout, a noise or the weight decay.

    Parameters
    ----------
    value : float
        The number that the schedule starts from, as a schedule of the learning rate starts from
        `learning_rate_init`.
    schedule : str or Schedule, default="constant"
        A name or an instance, as for `learning_rate`. "adaptive" is not allowed.

    Examples
    --------
    >>> from skdeep import MLPClassifier
    >>> from skdeep.schedules import Scheduled
    >>> mlp = MLPClassifier(dropout=Scheduled(0.15, "flat_cosine"))
    >>> mlp.get_params()["dropout__value"]
    0.15
    """

    is_scheduled_number = True

    def __init__(self, value: float, schedule="constant"):
        self.value = value
        self.schedule = schedule

    def _resolved(self, what: str = "Scheduled schedule") -> Schedule:
        schedule = resolve(self.schedule, SCHEDULES, what, Schedule)
        parts = [schedule, *schedule.get_params().values()]  # one may wrap another
        if any(isinstance(p, Adaptive) or is_named(p, "adaptive") for p in parts):
            raise InvalidParameterError(
                f"{what}={self.schedule!r} is not allowed: it follows the training loss, and is "
                "for the learning rate alone. Choose another schedule."
            )
        schedule.reset()
        return schedule

    def check(self, what=""):
        self._resolved(f"{what}__schedule" if what else "Scheduled schedule")

    def ready(self) -> Scheduled:
        """Return a copy whose `at` can be called."""
        twin = Scheduled(float(self.value), self.schedule)
        twin._ready = self._resolved()
        return twin

    def at(self, progress: Progress) -> float:
        """Return the number for a step. Call it on a copy that `ready` has returned."""
        number = float(self._ready.rate(self.value, progress))
        if not math.isfinite(number):
            raise InvalidParameterError(f"{self!r} became {number}; give it another schedule.")
        return number


def value_of(number: float | Scheduled) -> float:
    """Return a number as a float; of a Scheduled, the first number."""
    return float(number.value if isinstance(number, Scheduled) else number)


def ready_number(number: float | Scheduled) -> float | Scheduled:
    """Return a number as a float, or as a Scheduled whose `at` can be called."""
    return number.ready() if isinstance(number, Scheduled) else float(number)
