"""Averages of the weights over training, which are evaluated and kept in place of the last weights.

An average takes the whole vector of a network, after every step or after every epoch. Training
itself uses the raw weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit
from skdeep.kernels import choose


class WeightAverage(Component):
    """Base class: a subclass implements `share`.

    Parameters
    ----------
    start : int or float
        The beginning of averaging: after this number of epochs or, if it is a float below 1, after
        this share of `max_iter`.

    Attributes
    ----------
    every_step : bool
        Whether the average moves after every step, not just at the end of an epoch.
    averages_statistics : bool
        Whether the running statistics of batch norm are averaged like the weights. If not, they are
        measured in one pass over the training data.
    values_ : ndarray or None
        The average; None before it begins.
    raw_ : ndarray or None
        The raw weights, while the network holds the average.
    n_averaged_ : int
        The number of vectors in the average.
    """

    every_step = True
    averages_statistics = True

    def __init__(self, start=0):
        self.start = start

    def check(self, what=""):
        super().check(what)
        is_count = Limit(0, integer=True).allows(self.start)
        if not is_count and not Limit(0, 1, closed="[)").allows(self.start):
            raise InvalidParameterError(
                f"{what or type(self).__name__} start={self.start!r} is not allowed; give a number "
                "of epochs, an integer >= 0, or a share of max_iter, a number in [0, 1)."
            )

    def share(self, n_averaged: int) -> float:
        """Return the share of new weights in an average that holds n_averaged vectors."""
        raise NotImplementedError

    def first_epoch(self, n_epochs: int) -> int:
        """Return the number of epochs before averaging begins, of n_epochs in all."""
        if isinstance(self.start, (int, np.integer)):
            return int(self.start)
        return math.ceil(round(self.start * n_epochs, 6))  # 0.07 * 100 is a little more than 7

    def reset(self) -> None:
        """Forget an earlier run."""
        self.values_ = self.raw_ = None
        self.n_averaged_ = 0

    def update(self, values: np.ndarray, kernels=None) -> None:
        """Take a vector into the average."""
        if self.values_ is None:
            self.values_ = values.copy()
        else:
            share = self.share(self.n_averaged_)
            (kernels or choose(0.0)).move_towards(self.values_, values, share)
        self.n_averaged_ += 1

    def show(self, values: np.ndarray) -> bool:
        """Put the average in place of a network's weights, and keep these as raw weights.

        Return False if there is no average yet, or if it is in its place.
        """
        if self.values_ is None or self.raw_ is not None:
            return False
        self.raw_ = values.copy()
        np.copyto(values, self.values_)
        return True

    def relay(self, laid_out: Callable[[np.ndarray], np.ndarray]) -> None:
        """Give the vectors another layout, which laid_out returns a vector in."""
        self.values_, self.raw_ = (
            None if vector is None else laid_out(vector) for vector in (self.values_, self.raw_)
        )

    def hide(self, values: np.ndarray) -> None:
        """Put the raw weights back, unless the user has written other weights into the network."""
        if self.raw_ is None:
            return
        raw, self.raw_ = self.raw_, None
        if np.array_equal(values, self.values_):
            np.copyto(values, raw)
        else:  # the average would bring back the overwritten weights
            self.reset()


class EMA(WeightAverage):
    """The exponential moving average: a <- d * a + (1 - d) * w after every step.

    d = min(decay, (1 + t) / (10 + t)) after t steps, so that the first weights are soon forgotten.

    Parameters
    ----------
    decay : float, default=0.999
    start : int or float, default=0
        The beginning of averaging: after this number of epochs or, if it is a float below 1, after
        this share of `max_iter`.

    References
    ----------
    Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging".
    """

    _limits = {"decay": Limit(0, 1, closed="[)")}

    def __init__(self, decay: float = 0.999, start=0):
        super().__init__(start)
        self.decay = decay

    def share(self, n_averaged):
        return 1 - min(self.decay, (1 + n_averaged) / (10 + n_averaged))


class SWA(WeightAverage):
    """The mean of the weights at the ends of epochs (stochastic weight averaging).

    Batch norm's running statistics are measured for the averaged weights in one pass over the
    training data.

    Parameters
    ----------
    start : int or float, default=0.75
        The beginning of averaging: after this number of epochs or, if it is a float below 1, after
        this share of `max_iter`.
    every : int, default=1
        The number of epochs from one averaged vector to the next.

    References
    ----------
    Izmailov et al. (2018), "Averaging weights leads to wider optima and better generalization".
    """

    every_step = False
    averages_statistics = False
    _limits = {"every": Limit(1, integer=True)}

    def __init__(self, start=0.75, every: int = 1):
        super().__init__(start)
        self.every = every

    def share(self, n_averaged):
        return 1 / (n_averaged + 1)

    def takes_epoch(self, n_epochs_averaging: int) -> bool:
        """Whether the weights are averaged after this many epochs of averaging, counted from 1."""
        return (n_epochs_averaging - 1) % self.every == 0


AVERAGES = {"ema": EMA, "swa": SWA}
