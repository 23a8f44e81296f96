"""Distributions of hyperparameters that SciPy lacks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skdeep._component import InvalidParameterError, Limit, is_named, unknown_name
from skdeep.model_selection.optuna_parts import (
    categorical,
    converted,
    labels_of,
    optuna_distributions,
    suggest_native,
)

SHAPES = ("constant", "pyramid", "free")


class Distribution:
    """Base class: a subclass draws one value in `draw`.

    The distributions of skdeep can't be changed. They are equal if their parameters are. Their repr
    is the code that builds them.
    """

    def rvs(self, size: int | tuple[int, ...] | None = None, random_state: Any = None) -> Any:
        """Draw values.

        Parameters
        ----------
        size : int, tuple of int or None, default=None
            None is one value. Else the values are in an array of this shape.
        random_state : int, RandomState, Generator or None, default=None
            None is the global random state of NumPy.

        Returns
        -------
        value or ndarray
        """
        is_generator = isinstance(random_state, np.random.Generator)
        rng = random_state if is_generator else check_random_state(random_state)
        if size is None:
            return self.draw(rng)
        # Element by element: NumPy would make a matrix of tuples, and an array of an array.
        values = np.empty(size, dtype=object)
        for index in np.ndindex(values.shape):
            values[index] = self.draw(rng)
        return values if self._dtype is None else values.astype(self._dtype)

    _dtype = None  # of several values in an array; None keeps them as they are

    def draw(self, rng: Any) -> Any:
        """Return one value.

        Parameters
        ----------
        rng : RandomState or Generator
        """
        raise NotImplementedError

    def to_optuna(self) -> Any:
        """Return the nearest distribution of Optuna: see `skdeep.model_selection.to_optuna`."""
        raise InvalidParameterError(
            f"{self!r} has no counterpart in Optuna; override its method to_optuna."
        )

    def suggest(self, trial: Any, name: str) -> Any:
        """Let a trial of Optuna suggest a value: see `skdeep.model_selection.suggest`."""
        return suggest_native(trial, name, self.to_optuna())

    def _store(self, **values: Any) -> None:
        """Set checked values in place of those given; only for constructors."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check_interval(self, limit: Limit) -> None:
        """Raise unless low and high are numbers within a limit, in ascending order."""
        who = type(self).__name__
        for name in ("low", "high"):
            value = getattr(self, name)
            if not limit.allows(value):
                raise InvalidParameterError(f"{who} {name}={value!r} is not allowed; give {limit}.")
        if self.low > self.high:
            raise InvalidParameterError(
                f"{who} low={self.low!r} is above high={self.high!r}; give low <= high."
            )


def log_integer(low: int, high: int, share: float) -> int:
    """Return the integer at a share, from 0 to 1, of the way on the scale of logarithms."""
    start, end = math.log(low - 0.5), math.log(high + 0.5)
    return min(max(round(math.exp(start + share * (end - start))), low), high)


@dataclass(frozen=True)
class LogIntUniform(Distribution):
    """Integers whose logarithm is uniform, both ends included.

    An integer k has the probability of the interval from k - 1/2 to k + 1/2 on the scale of
    logarithms, as in Optuna's `IntDistribution(low, high, log=True)`.

    Parameters
    ----------
    low, high : int
        The smallest and the largest integer, from 1.

    Examples
    --------
    >>> from skdeep.model_selection import LogIntUniform
    >>> LogIntUniform(16, 256).rvs(5, random_state=0)
    array([ 72, 115,  84,  72,  51])
    """

    low: int
    high: int

    _dtype = int

    def __post_init__(self):
        self._check_interval(Limit(1, 2**53, integer=True))
        self._store(low=int(self.low), high=int(self.high))

    def draw(self, rng):
        return log_integer(self.low, self.high, rng.uniform())

    def to_optuna(self):
        return optuna_distributions().IntDistribution(self.low, self.high, log=True)


@dataclass(frozen=True)
class OneMinusLogUniform(Distribution):
    """Numbers v below 1 for which the logarithm of 1 - v is uniform.

    This is the scale of momenta, betas and other decay rates: 0.9 and 0.99 are as far apart as 0.99
    and 0.999.

    Parameters
    ----------
    low, high : float
        The smallest and the largest number, from 0 to below 1.

    Examples
    --------
    >>> from skdeep.model_selection import OneMinusLogUniform
    >>> OneMinusLogUniform(0.9, 0.999).rvs(3, random_state=0).round(4)
    array([0.9875, 0.9731, 0.9839])
    """

    low: float
    high: float

    _dtype = float

    def __post_init__(self):
        self._check_interval(Limit(0, 1, "[)"))
        self._store(low=float(self.low), high=float(self.high))

    def draw(self, rng):
        distance = math.exp(rng.uniform(math.log1p(-self.high), math.log1p(-self.low)))
        return self._at(distance)

    def _at(self, distance: float) -> float:
        """Return the value at a distance from 1."""
        return min(max(1.0 - distance, self.low), self.high)

    def to_optuna(self):
        near, far = 1.0 - self.high, 1.0 - self.low
        n = min(max(round(4 * math.log10(far / near)) + 1, 5), 25)  # about four a decade
        distances = [float(f"{distance:.3g}") for distance in np.geomspace(far, near, n)[1:-1]]
        between = [round(self._at(distance), 15) for distance in distances]
        return categorical([self.low, *between, self.high])

    def suggest(self, trial, name):
        near, far = (float(1 - Decimal(repr(end))) for end in (self.high, self.low))
        return self._at(trial.suggest_float(f"1 - {name}", near, far, log=True))


@dataclass(frozen=True)
class Choice(Distribution):
    """One of several values, which may have weights.

    The value itself is drawn, never a copy or a NumPy scalar, so values may be tuples, None or
    estimators.

    Parameters
    ----------
    values : sequence
    weights : sequence of float or None, default=None
        One for each value. A value of weight 2 is drawn twice as often as one of weight 1. None
        is the same weight for all.

    Examples
    --------
    >>> from skdeep.model_selection import Choice
    >>> Choice([None, (64, 32)], weights=[1, 3]).rvs(random_state=0)
    (64, 32)
    """

    values: tuple
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        self._store(values=_sequence(self.values, "Choice values"))
        given = [value for value in self.values if isinstance(value, Distribution)]
        if given:
            raise InvalidParameterError(
                f"Choice values hold {given[0]!r}, a distribution; give values to choose from."
            )
        if self.weights is not None:
            self._store(weights=self._checked_weights())

    def _checked_weights(self) -> tuple[float, ...]:
        weights = _sequence(self.weights, "Choice weights")
        if len(weights) != len(self.values):
            raise InvalidParameterError(
                f"Choice weights={weights!r} has {len(weights)} entries for {len(self.values)} "
                "values; give one weight for each value."
            )
        limit = Limit(0)
        for weight in weights:
            if not limit.allows(weight):
                raise InvalidParameterError(
                    f"Choice weights={weights!r} is not allowed: {weight!r} is not {limit}."
                )
        if not 0 < sum(weights) < math.inf:
            raise InvalidParameterError(
                f"Choice weights={weights!r} have the sum {sum(weights)}; give finite weights, at "
                "least one of them above 0."
            )
        return tuple(map(float, weights))

    def draw(self, rng):
        if self.weights is None:
            return self.values[_position(len(self.values), rng)]
        ends = np.cumsum(self.weights)
        place = np.searchsorted(ends, rng.uniform(0.0, ends[-1]), side="right")
        # The product of a random number below 1 and the sum may be rounded up to the sum.
        return self.values[min(place, np.flatnonzero(self.weights)[-1])]

    def _possible(self) -> list[Any]:
        """Return the values that have a weight above 0."""
        weights = self.weights or [1] * len(self.values)
        return [value for value, weight in zip(self.values, weights, strict=True) if weight]

    def with_text_for_tuples(self) -> Choice:
        """Return the same choice with texts as "(64, 32)" in the place of sequences of integers."""
        values = [
            str(tuple(map(int, value))) if _is_sizes(value) else value for value in self.values
        ]
        return Choice(values, self.weights)

    def to_optuna(self):
        return categorical(self._possible())

    def suggest(self, trial, name):
        values = labels_of(self._possible())
        return values[trial.suggest_categorical(name, list(values))]


@dataclass(frozen=True)
class LayerSizes(Distribution):
    """Tuples for `hidden_layer_sizes`: the number of layers, and the logarithms of their widths.

    | shape | widths |
    | --- | --- |
    | "constant" | one width, drawn from `units`, for all layers |
    | "pyramid" | the first is drawn from `units`, the last from the lower end of `units` to the first; the ratio of a layer to the one before is the same in between |
    | "free" | each is drawn from `units` |

    Parameters
    ----------
    units : int or (int, int), default=(16, 256)
        The smallest and the largest width. The logarithm of a width is uniform. An integer is the
        only width.
    depth : int or (int, int), default=(1, 3)
        The smallest and the largest number of layers; each number in between is as likely. An
        integer is the only number. 0 is a network without hidden layers.
    shape : {"constant", "pyramid", "free"} or a sequence of these, default="free"
        See the table. One of a sequence is drawn.

    Examples
    --------
    >>> from skdeep.model_selection import LayerSizes
    >>> LayerSizes(units=(16, 256), depth=(2, 4), shape="pyramid").rvs(random_state=0)
    (84, 57, 39)
    """  # noqa: E501

    units: tuple[int, int] = (16, 256)
    depth: tuple[int, int] = (1, 3)
    shape: str | tuple[str, ...] = "free"

    def __post_init__(self):
        self._store(units=self._range("units", 1), depth=self._range("depth", 0))
        shape = self.shape
        if not isinstance(shape, str):
            shape = _sequence(shape, "LayerSizes shape")
        for name in (shape,) if isinstance(shape, str) else shape:
            if not any(is_named(name, known) for known in SHAPES):
                raise InvalidParameterError(
                    unknown_name(name, SHAPES, "LayerSizes shape")
                    if isinstance(name, str)
                    else f"LayerSizes shape={shape!r} is not allowed; choose from {list(SHAPES)}."
                )
        self._store(shape=shape)

    def _range(self, name: str, least: int) -> tuple[int, int]:
        """Return the two ends of a parameter that is an integer or a pair of integers."""
        given, limit = getattr(self, name), Limit(least, 2**53, integer=True)
        ends = (given, given) if limit.allows(given) else given
        if (
            not isinstance(ends, (tuple, list, np.ndarray))
            or len(ends) != 2
            or not all(limit.allows(end) for end in ends)
            or ends[0] > ends[1]
        ):
            raise InvalidParameterError(
                f"LayerSizes {name}={given!r} is not allowed; give an integer >= {least}, or two "
                "of them, the smaller one first."
            )
        return int(ends[0]), int(ends[1])

    @property
    def shapes(self) -> tuple[str, ...]:
        """The shapes that one is drawn from."""
        return (self.shape,) if isinstance(self.shape, str) else self.shape

    def draw(self, rng):
        depth = self._depths[_position(len(self._depths), rng)]
        shape = self.shapes[_position(len(self.shapes), rng)]
        low, high = self.units
        widths: list[int] = []
        for i in range(_n_drawn(shape, depth)):
            # The last layer of a pyramid is at most as wide as the first.
            most = widths[0] if i and shape == "pyramid" else high
            widths.append(log_integer(low, most, rng.uniform()))
        return widths_of(shape, depth, widths)

    @property
    def _depths(self) -> range:
        return range(self.depth[0], self.depth[1] + 1)

    def _grid(self, n_widths: int) -> set[tuple[int, ...]]:
        """Return all networks with some widths, or slightly more than _MOST_CHOICES of them."""
        widths = dict.fromkeys(round(width) for width in np.geomspace(*self.units, n_widths))
        found: set[tuple[int, ...]] = set()
        for depth, shape in product(self._depths, self.shapes):
            for drawn in product(widths, repeat=_n_drawn(shape, depth)):
                if shape != "pyramid" or list(drawn) == sorted(drawn, reverse=True):
                    found.add(widths_of(shape, depth, drawn))
                if len(found) > _MOST_CHOICES:
                    return found
        return found

    def to_optuna(self):
        if self.depth == (1, 1):
            return LogIntUniform(*self.units).to_optuna()
        grids = (self._grid(n_widths) for n_widths in range(5, 1, -1))
        sizes = next((grid for grid in grids if len(grid) <= _MOST_CHOICES), None)
        if sizes is None:
            sizes = {self.rvs(random_state=seed) for seed in range(_MOST_CHOICES)}
        return categorical(str(entry) for entry in sorted(sizes, key=lambda s: (len(s), s)))

    def suggest(self, trial, name):
        low, high = self.units
        depth = _suggested_from(self._depths, trial, f"{name} depth")
        shape = _suggested_from(self.shapes if depth > 1 else SHAPES[:1], trial, f"{name} shape")
        is_pyramid = shape == "pyramid" and depth > 1
        widths = [
            trial.suggest_int(f"{name} units {i + 1}", low, high, log=True)
            for i in range(_n_drawn(shape, depth) - is_pyramid)
        ]
        if is_pyramid:
            narrowing = trial.suggest_float(f"{name} narrowing", 0.0, 1.0)
            widths.append(log_integer(low, widths[0], 1.0 - narrowing))
        return widths_of(shape, depth, widths)


_MOST_CHOICES = 40  # of layer sizes, for Optuna: a sampler has to try most of them


def _suggested_from(values: Sequence[Any], trial: Any, name: str) -> Any:
    """Return one of several values; a single one is no parameter."""
    if len(values) == 1:
        return values[0]
    if isinstance(values, range):
        return trial.suggest_int(name, values[0], values[-1])
    return trial.suggest_categorical(name, values)


def _n_drawn(shape: str, depth: int) -> int:
    """Return the number of widths that determine a network."""
    return min(depth, {"constant": 1, "pyramid": 2, "free": depth}[shape])


def widths_of(shape: str, depth: int, drawn: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of all layers: of each, of one for all, or of the first and the last."""
    if len(drawn) == depth:
        return tuple(drawn)
    if shape == "constant":
        return tuple(drawn) * depth
    first, last = drawn
    ratio = (last / first) ** (1 / (depth - 1))
    return (*(round(first * ratio**i) for i in range(depth - 1)), last)


@dataclass(frozen=True)
class Conditional(Distribution):
    """A parameter that is drawn only if another parameter has one of several values.

    `skdeep.model_selection.sample_candidates`, the searches of skdeep and `suggest` leave the
    parameter out if the condition does not hold. In scikit-learn's searches it is always drawn.

    If the other parameter is not searched, its value in the estimator counts. If it is a
    Conditional that is left out, this one is left out too. A Conditional in a Conditional needs
    both conditions.

    Parameters
    ----------
    distribution : distribution or sequence of values
        Any distribution with `rvs`, as those of SciPy.
    on : str, default="solver"
        The name of the other parameter. It is looked for beside this parameter first, then on
        every level above: under the key "mlp__momentum", "solver" is "mlp__solver", or "solver".
    values : sequence, default=("sgd",)

    Examples
    --------
    >>> from skdeep.model_selection import Conditional, OneMinusLogUniform, sample_candidates
    >>> momentum = Conditional(OneMinusLogUniform(0.8, 0.99), on="solver", values=("sgd",))
    >>> space = {"solver": ["adam", "sgd"], "momentum": momentum}
    >>> for candidate in sample_candidates(space, 2, random_state=3):
    ...     print(sorted(candidate))
    ['momentum', 'solver']
    ['solver']
    """

    distribution: Any
    on: str = "solver"
    values: tuple = ("sgd",)

    def __post_init__(self):
        if not hasattr(self.distribution, "rvs"):
            self._store(distribution=_sequence(self.distribution, "Conditional distribution"))
        if not isinstance(self.on, str) or not self.on:
            raise InvalidParameterError(
                f"Conditional on={self.on!r} is not allowed; give the name of a parameter."
            )
        self._store(values=_sequence(self.values, "Conditional values"))

    @property
    def innermost(self) -> Any:
        """The distribution, without any condition."""
        inner = self.distribution
        return inner.innermost if isinstance(inner, Conditional) else inner

    @property
    def conditions(self) -> list[tuple[str, tuple]]:
        """All conditions: names of parameters, and values."""
        inner = self.distribution
        more = inner.conditions if isinstance(inner, Conditional) else []
        return [(self.on, self.values), *more]

    def to_optuna(self):
        inner = self.innermost
        given = inner if hasattr(inner, "rvs") else Choice(inner)
        return converted(given, "Conditional distribution")

    def draw(self, rng):
        inner = self.distribution
        if hasattr(inner, "rvs"):
            return inner.rvs(random_state=rng)
        return inner[_position(len(inner), rng)]


def _is_sizes(value: Any) -> bool:
    """Whether a value is a sequence of integers."""
    is_sequence = isinstance(value, (tuple, list, np.ndarray))
    return is_sequence and all(isinstance(entry, Integral) for entry in value)


def _position(n: int, rng: Any) -> int:
    """Draw an integer from 0 to below n."""
    return min(int(rng.uniform(0.0, n)), n - 1)


def _sequence(values: Any, what: str) -> tuple:
    """Return values as a tuple; those of an array are Python's numbers."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    is_ordered = isinstance(values, Iterable) and not isinstance(
        values, (str, bytes, Mapping, Set, np.ndarray)
    )
    if not is_ordered:
        raise InvalidParameterError(
            f"{what}={values!r} is not allowed; give a list or a tuple, also for one value."
        )
    values = tuple(values)
    if not values:
        raise InvalidParameterError(f"{what} is empty; give at least one value.")
    return values
