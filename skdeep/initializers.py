"""Initializers: each fills an array with first values, in place, from a Generator.

A kernel has shape (fan_in, fan_out). Numbers are drawn in float64 whatever the array's dtype, so
that float32 and float64 networks start from the same point.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from scipy.special import ndtri

from skdeep._component import Component, InvalidParameterError, Limit, unknown_name


class Initializer(Component):
    """Base class: a subclass implements `fill`."""

    def fill(self, array: np.ndarray, rng: np.random.Generator) -> None:
        """Overwrite the array."""
        raise NotImplementedError


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out); each element of a vector has one input and one output."""
    return (1, 1) if len(shape) < 2 else (shape[0], shape[-1])


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw from N(0, 1) cut off at two standard deviations."""
    low, high = 0.022750131948179195, 0.9772498680518208  # the normal CDF at -2 and 2
    return ndtri(rng.uniform(low, high, shape))


class Constant(Initializer):
    """w = value.

    Parameters
    ----------
    value : float, default=0.0
    """

    def __init__(self, value: float = 0.0):
        self.value = value

    _limits = {"value": Limit(-math.inf)}

    def fill(self, array, rng):
        array.fill(self.value)


class EvenlySpaced(Initializer):
    """w = low + (high - low) * i / (n - 1), for i = 0, ..., n - 1 along the last axis.

    Parameters
    ----------
    low : float, default=-1.0
    high : float, default=1.0
    """

    _limits = {"low": Limit(-math.inf), "high": Limit(-math.inf)}

    def __init__(self, low: float = -1.0, high: float = 1.0):
        self.low = low
        self.high = high

    def fill(self, array, rng):
        array[...] = np.linspace(self.low, self.high, array.shape[-1])


class Normal(Initializer):
    """w ~ N(mean, std^2).

    Parameters
    ----------
    mean : float, default=0.0
    std : float, default=0.05
    """

    def __init__(self, mean: float = 0.0, std: float = 0.05):
        self.mean = mean
        self.std = std

    _limits = {"mean": Limit(-math.inf), "std": Limit(0)}

    def fill(self, array, rng):
        array[...] = self.mean + self.std * rng.standard_normal(array.shape)


class TruncatedNormal(Normal):
    """w ~ N(mean, std^2), drawn again if it falls more than two standard deviations away.

    Parameters
    ----------
    mean : float, default=0.0
    std : float, default=0.05
        The standard deviation of the normal distribution before it is cut off.
    """

    def fill(self, array, rng):
        array[...] = self.mean + self.std * truncated_normal(rng, array.shape)


class Uniform(Initializer):
    """w ~ U(low, high).

    Parameters
    ----------
    low : float, default=-0.05
    high : float, default=0.05
    """

    def __init__(self, low: float = -0.05, high: float = 0.05):
        self.low = low
        self.high = high

    _limits = {"low": Limit(-math.inf), "high": Limit(-math.inf)}

    def check(self, what=""):
        super().check(what)
        if self.low > self.high:
            raise InvalidParameterError(
                f"Uniform low={self.low!r} is above high={self.high!r}; give low <= high."
            )

    def fill(self, array, rng):
        array[...] = rng.uniform(self.low, self.high, array.shape)


class VarianceScaling(Initializer):
    """var(w) = scale / n, where n is fan_in, fan_out or their average.

    Parameters
    ----------
    scale : float, default=1.0
    mode : {"fan_in", "fan_out", "fan_avg"}, default="fan_in"
    distribution : {"uniform", "normal", "truncated_normal"}, default="truncated_normal"
        The family of distributions to draw from. Each has the variance given above.

    References
    ----------
    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks"; He et al. (2015), "Delving deep into rectifiers".
    """

    _modes = ("fan_in", "fan_out", "fan_avg")
    _distributions = ("uniform", "normal", "truncated_normal")
    _limits = {"scale": Limit(0, closed="(]")}

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
    ):
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

    def check(self, what=""):
        super().check(what)
        for name, choices in (("mode", self._modes), ("distribution", self._distributions)):
            value = getattr(self, name)
            if value not in choices:
                raise InvalidParameterError(unknown_name(str(value), choices, name))

    def fill(self, array, rng):
        fan_in, fan_out = fans(array.shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / max(1, n))
        if self.distribution == "uniform":
            bound = math.sqrt(3) * std
            array[...] = rng.uniform(-bound, bound, array.shape)
        elif self.distribution == "normal":
            array[...] = std * rng.standard_normal(array.shape)
        else:
            # 0.8796...: the standard deviation of N(0, 1) cut off at +-2
            array[...] = std / 0.87962566103423978 * truncated_normal(rng, array.shape)


class Orthogonal(Initializer):
    """W = gain * Q, with orthonormal columns, or rows if there are fewer rows than columns.

    Parameters
    ----------
    gain : float, default=1.0

    References
    ----------
    Saxe et al. (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks".
    """

    _limits = {"gain": Limit(-math.inf)}

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def fill(self, array, rng):
        matrix = array.reshape(-1, array.shape[-1])
        rows, columns = matrix.shape
        Q, R = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        Q *= np.where(np.diagonal(R) < 0, -1.0, 1.0)  # makes the distribution uniform
        matrix[...] = self.gain * (Q if rows >= columns else Q.T)


class Identity(Initializer):
    """W = gain * I (zero beyond the square part).

    Parameters
    ----------
    gain : float, default=1.0
    """

    _limits = {"gain": Limit(-math.inf)}

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def fill(self, array, rng):
        matrix = array.reshape(-1, array.shape[-1])
        matrix[...] = 0.0
        np.fill_diagonal(matrix, self.gain)


class DataDriven(Initializer):
    """w ~ N(0, 1 / fan_in) for weights, b = 0 for biases; then dense layers fit both to the data.

    A dense layer divides the weights of each unit by the standard deviation of their response w . x
    over a sample of its inputs x. The bias of a unit becomes -w . c, where c is a random mixture of
    a few inputs of the sample. So every unit begins with a response of variance 1, and bends where
    inputs are. It is done once, before training starts, and needs an estimator; in a network
    without one, the values stay as they were drawn.

    References
    ----------
    Steinwart (2019), "A sober look at neural network initializations".
    """

    def fill(self, array, rng):
        if array.ndim < 2:
            array.fill(0.0)
        else:
            array[...] = rng.standard_normal(array.shape) / math.sqrt(max(1, fans(array.shape)[0]))


INITIALIZERS = {
    "zeros": partial(Constant, 0.0),
    "ones": partial(Constant, 1.0),
    "constant": Constant,
    "normal": Normal,
    "uniform": Uniform,
    "truncated_normal": TruncatedNormal,
    "fan_in_uniform": partial(VarianceScaling, 1 / 3, "fan_in", "uniform"),
    "glorot_normal": partial(VarianceScaling, 1.0, "fan_avg", "truncated_normal"),
    "glorot_uniform": partial(VarianceScaling, 1.0, "fan_avg", "uniform"),
    "he_normal": partial(VarianceScaling, 2.0, "fan_in", "truncated_normal"),
    "he_uniform": partial(VarianceScaling, 2.0, "fan_in", "uniform"),
    "lecun_normal": partial(VarianceScaling, 1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": partial(VarianceScaling, 1.0, "fan_in", "uniform"),
    "orthogonal": Orthogonal,
    "identity": Identity,
    "data": DataDriven,
}
