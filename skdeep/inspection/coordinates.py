"""The place of a hyperparameter's values on an axis, on a scale that suits them.

Numbers lie between 0 and 1, and so do categories. If a hyperparameter has numbers and other values,
such as None, these have places of their own beside the numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np

from skdeep.building.checks import sizes_in_text
from skdeep.reports.table import one_line

#: Stands for the value of a hyperparameter that a candidate does not have.
NOT_SET = object()
MOST_CATEGORIES = 12
_MOST_SPECIAL = 3
_MOST_DEPTHS = 5
_MOST_SIZES = 8
_LARGEST_SIZE = 2**53
_LONGEST_LABEL = 20
# The room around the numbers, and the width of the place of a special value.
_MARGIN, _SPECIAL = 0.05, 0.14
# The widest room for candidates of one number.
_WIDEST = 0.06
# A logarithmic scale needs so many decades, and numbers that are more even on it by so much.
_DECADES, _FEW_DECADES, _EVENER = 0.5, 1.5, 0.05


@dataclass
class Coordinate:
    """The places of the values of one hyperparameter.

    Attributes
    ----------
    name : str
    scale : {"linear", "log", "one_minus", "category"}
    places : ndarray of shape (n_candidates,)
    widths : ndarray of shape (n_candidates,)
        The room at each place, over which candidates of one value may be spread.
    is_set : ndarray of shape (n_candidates,)
        Whether the candidate has the hyperparameter.
    n_distinct : int
        The number of different values. To have none counts as a value.
    ticks : list of (float, str)
    note : str
        What the numbers on the axis are, if they are not the values themselves.
    low, high : float
        The ends of the axis.
    apart : list of (float, float)
        The parts of the axis that are no part of its scale.
    """

    name: str
    scale: str
    places: np.ndarray
    widths: np.ndarray
    is_set: np.ndarray
    n_distinct: int
    ticks: list[tuple[float, str]] = field(default_factory=list)
    note: str = ""
    low: float = 0.0
    high: float = 1.0
    apart: list[tuple[float, float]] = field(default_factory=list)


def coordinate(name: str, values: Sequence) -> Coordinate:
    """Return the places of values, on a scale that suits them."""
    is_set = np.array([value is not NOT_SET for value in values])
    given = [value for value in values if value is not NOT_SET]
    sizes = [_sizes(value) for value in given]
    if None not in sizes and not all(isinstance(value, Integral) for value in given):
        return _of_sizes(name, values, is_set)
    numbers = np.array([_number(value) for value in values])
    others = _Groups([v for v, n in zip(values, numbers, strict=True) if math.isnan(n)])
    n_numbers, n_others = len(np.unique(numbers[~np.isnan(numbers)])), len(others.keys)
    if n_others > _MOST_SPECIAL or n_numbers < 1 + (n_others > 0):
        return _of_categories(name, values, is_set)
    made = _of_numbers(name, numbers, is_set, n_numbers + n_others)
    _place_apart(made, values, numbers, others)
    return made


# Values ------------------------------------------------------------------------------------------


def _number(value: Any) -> float:
    """Return a finite number as a float, and NaN for all else."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _sizes(value: Any) -> tuple[int, ...] | None:
    """Return the sizes of layers, or other integers in a row, as a tuple; None for all else."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, str):  # such as "(64, 32)"
        value = sizes_in_text(value)
    value = [value] if isinstance(value, Integral) else value
    if not isinstance(value, (tuple, list)):
        return None
    is_bool = any(isinstance(v, (bool, np.bool_)) for v in value)
    is_size = all(isinstance(v, Integral) and 0 <= v < _LARGEST_SIZE for v in value)
    return tuple(map(int, value)) if is_size and not is_bool else None


class _Groups:
    """Values that are not numbers, grouped by what they show of themselves."""

    def __init__(self, values: Sequence):
        self._reprs: dict[int, tuple] = {}
        counts = Counter(self.key(value) for value in values if value is not NOT_SET)
        examples = {self.key(value): value for value in reversed(values) if value is not NOT_SET}
        self.keys = sorted(counts, key=lambda key: _order(examples[key]))
        self.counts = counts
        self.labels: dict[tuple, str] = {}
        taken: Counter = Counter()
        for key in self.keys:
            label = value_text(examples[key])
            taken[label] += 1
            self.labels[key] = label if taken[label] == 1 else f"{label} ({taken[label]})"

    def key(self, value: Any) -> tuple:
        """Return what values that count as equal have in common."""
        if id(value) not in self._reprs:
            self._reprs[id(value)] = type(value).__name__, repr(value)
        return self._reprs[id(value)]


def _order(value: Any) -> tuple:
    """Return a key for sorting: numbers, booleans, tuples of sizes, texts, and all else."""
    number, sizes = _number(value), None if isinstance(value, Integral) else _sizes(value)
    if not math.isnan(number):
        return 0, number, ()
    if isinstance(value, (bool, np.bool_)):
        return 1, float(value), ()
    if sizes is not None:
        return 2, sum(sizes), (len(sizes), sizes)
    is_text = isinstance(value, str)
    return (4 if value is None else 3), float(not is_text), (value_text(value),)


def value_text(value: Any) -> str:
    """Return a value as a text of one short line."""
    sizes = None if isinstance(value, Integral) else _sizes(value)
    if sizes is not None:
        text = _sizes_text(sizes)
    elif isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        text = number_text(float(value)) if math.isfinite(_number(value)) else str(value)
    elif isinstance(value, str):
        text = value or "''"
    elif callable(value) and isinstance(getattr(value, "__name__", None), str):
        text = value.__name__
    elif type(value).__repr__ is object.__repr__:  # which shows an address
        text = type(value).__name__
    else:
        text = str(value)
    return one_line(text, _LONGEST_LABEL)


def number_text(number: float) -> str:
    """Return a number as users write it: 1e-5 instead of 1e-05."""
    text = f"{number:.6g}"
    mantissa, e, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if e else text


def _sizes_text(sizes: tuple[int, ...]) -> str:
    if not sizes:
        return "none"
    if len(sizes) > 2 and len(set(sizes)) == 1:
        return f"{len(sizes)} x {sizes[0]}"
    return "-".join(map(str, sizes))


# Numbers -----------------------------------------------------------------------------------------


def _linear(numbers):
    return numbers


def _log(numbers):
    return np.log10(numbers)


def _one_minus(numbers):
    return -np.log10(1.0 - numbers)


_SCALES = {"linear": _linear, "log": _log, "one_minus": _one_minus}


class _Scale:
    """The scale of numbers that are sorted: a place between 0 and 1 for each, and ticks."""

    def __init__(self, numbers: np.ndarray):
        self.kind = _kind_of_scale(numbers)
        self.shown = numbers[numbers > 0] if self.kind == "log" else numbers
        move = _SCALES[self.kind]
        self._start, end = move(self.shown[[0, -1]])
        self._span = end - self._start
        self._gap = np.diff(self.place(self.shown)).min() if len(self.shown) > 1 else 1.0

    def place(self, numbers: np.ndarray) -> np.ndarray:
        """Return the places of numbers."""
        if not self._span > 0:
            return np.full(np.shape(numbers), 0.5)
        return (_SCALES[self.kind](numbers) - self._start) / self._span

    def width(self) -> float:
        """Return the room for candidates of one number."""
        return min(_WIDEST, 0.4 * self._gap)

    def ticks(self) -> list[tuple[float, str]]:
        """Return ticks at the numbers, or at round numbers if the numbers are many or long."""
        marks, labels = self.shown, [number_text(v) for v in self.shown]
        is_short = len(marks) <= 6 and max(map(len, labels)) <= 6 and self._gap > 0.1
        if len(marks) > 1 and not is_short:
            is_whole = bool((marks == np.round(marks)).all())
            marks = round_numbers(self.kind, marks[0], marks[-1], is_whole)
        at = {number_text(v): float(p) for v, p in zip(marks, self.place(marks), strict=True)}
        return [(p, text) for text, p in at.items() if -_MARGIN <= p <= 1 + _MARGIN]


def _of_numbers(name: str, numbers: np.ndarray, is_set: np.ndarray, n_distinct: int) -> Coordinate:
    """Return the places of numbers; those of other values are NaN."""
    scale = _Scale(np.unique(numbers[~np.isnan(numbers)]))
    is_shown = np.isin(numbers, scale.shown)
    places = np.full(len(numbers), np.nan)
    places[is_shown] = scale.place(numbers[is_shown])
    widths = np.full(len(numbers), scale.width())
    made = Coordinate(name, scale.kind, places, widths, is_set, n_distinct, scale.ticks())
    made.low, made.high = -_MARGIN, 1 + _MARGIN
    is_zero = (numbers == 0) & ~is_shown  # which a logarithmic scale can't show
    if is_zero.any():
        _add_apart(made, "0", is_zero, at_the_left=True)
    return made


def _kind_of_scale(distinct: np.ndarray) -> str:
    """Return the scale on which numbers are spread most evenly."""
    positive = distinct[distinct > 0]
    found = {"linear": _unevenness(distinct) - _EVENER}
    if distinct[0] >= 0 and len(positive) > 1:
        decades = np.log10(positive[-1]) - np.log10(positive[0])
        least = _DECADES if distinct[0] > 0 else _FEW_DECADES
        if decades >= (least if len(positive) > 2 else _FEW_DECADES):
            found["log"] = _unevenness(np.log10(positive))
    near_one = _one_minus(distinct) if distinct[0] >= 0 and 0.9 <= distinct[-1] < 1 else np.zeros(1)
    if np.ptp(near_one) >= _DECADES:
        found["one_minus"] = _unevenness(near_one)
    if len(distinct) == 2:  # which are even on every scale
        return next(s for s in ("log", "one_minus", "linear") if s in found)
    return min(found, key=found.__getitem__)


def _unevenness(sorted_numbers: np.ndarray) -> float:
    """Return the largest distance to places at equal distances, between 0 and 1."""
    n, span = len(sorted_numbers), np.ptp(sorted_numbers)
    if n < 3 or not span > 0:
        return 0.0
    places = (sorted_numbers - sorted_numbers[0]) / span
    return float(np.abs(places - np.linspace(0, 1, n)).max())


def round_numbers(scale: str, low: float, high: float, is_whole: bool) -> np.ndarray:
    """Return round numbers for ticks, at most about six of them."""
    if scale == "one_minus":
        k = np.arange(math.floor(_one_minus(low)), math.ceil(_one_minus(high)) + 1)
        tails = [1] if len(k) > 4 else [1, 0.5]
        return np.unique([round(1 - tail * 10.0**-power, 12) for power in k for tail in tails])
    if scale == "log" and np.log10(high) - np.log10(low) >= 1:
        powers = np.arange(math.floor(np.log10(low)), math.ceil(np.log10(high)) + 1)
        if len(powers) > 4:
            return 10.0 ** powers[:: math.ceil((len(powers) - 1) / 5)]
        return np.sort(np.outer(10.0**powers, [1, 3] if len(powers) > 2 else [1, 2, 5]).ravel())
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (m * step) <= 5)
    step = max(1.0, round(step)) if is_whole else step
    marks = np.arange(math.floor(low / step), math.ceil(high / step) + 1) * step
    return marks[marks > 0] if scale == "log" else marks


# Values beside the numbers ----------------------------------------------------------------------


def _place_apart(made: Coordinate, values: Sequence, numbers: np.ndarray, others: _Groups) -> None:
    """Give each value that is no number, and the lack of a value, a place beside the numbers."""
    keys = [
        None if not math.isnan(n) or v is NOT_SET else others.key(v)
        for v, n in zip(values, numbers, strict=True)
    ]
    for key in others.keys:
        _add_apart(made, others.labels[key], np.array([k == key for k in keys]))
    _add_not_set(made)


def _add_not_set(made: Coordinate) -> None:
    if not made.is_set.all():
        made.n_distinct += 1
        _add_apart(made, "not set", ~made.is_set)


def _add_apart(made: Coordinate, label: str, which: np.ndarray, at_the_left: bool = False) -> None:
    if at_the_left:
        low, high = made.low - _SPECIAL, made.low
        made.low = low
    else:
        low, high = made.high, made.high + _SPECIAL
        made.high = high
    # a round number in the margin makes room for the label
    made.ticks = [
        (at, text)
        for at, text in made.ticks
        if not (-_MARGIN <= at < 0 if at_the_left else 1 < at <= 1 + _MARGIN)
    ]
    made.places[which], made.widths[which] = (low + high) / 2, 0.7 * _SPECIAL
    made.apart.append((low, high))
    made.ticks.append(((low + high) / 2, label))


# Categories --------------------------------------------------------------------------------------


def _of_categories(name: str, values: Sequence, is_set: np.ndarray) -> Coordinate:
    """Return the places of categories, in columns of equal width."""
    groups = _Groups(values)
    shown = groups.keys
    if len(shown) > MOST_CATEGORIES:
        frequent = dict(groups.counts.most_common(MOST_CATEGORIES - 1))
        shown = [key for key in shown if key in frequent]
    labels = [groups.labels[key] for key in shown]
    n_hidden = len(groups.keys) - len(shown)
    labels += [f"{n_hidden} others"] if n_hidden else []
    column = {key: i for i, key in enumerate(shown)}
    at = [column.get(groups.key(v), len(shown)) if v is not NOT_SET else 0 for v in values]
    width = 1 / max(1, len(labels))
    places = (np.array(at) + 0.5) * width
    widths = np.full(len(places), 0.6 * width)
    made = Coordinate(name, "category", places, widths, is_set, len(groups.keys))
    made.ticks = [((i + 0.5) * width, label) for i, label in enumerate(labels)]
    _add_not_set(made)
    return made


# Sizes of layers ---------------------------------------------------------------------------------


def _of_sizes(name: str, values: Sequence, is_set: np.ndarray) -> Coordinate:
    """Return the places of tuples of integers: categories if few, or blocks by their lengths."""
    sizes = [NOT_SET if value is NOT_SET else _sizes(value) for value in values]
    distinct = {size for size in sizes if size is not NOT_SET}
    if len(distinct) <= _MOST_SIZES:
        return _of_categories(name, sizes, is_set)
    depths = sorted({len(size) for size in distinct})
    if 1 < len(depths) <= _MOST_DEPTHS:
        return _in_blocks(name, sizes, depths, is_set, len(distinct))
    totals = np.array([math.nan if size is NOT_SET else float(sum(size)) for size in sizes])
    made = _of_numbers(name, totals, is_set, len(distinct))
    made.note = "sum"
    _add_not_set(made)
    return made


def _in_blocks(
    name: str, sizes: list, depths: list[int], is_set: np.ndarray, n_distinct: int
) -> Coordinate:
    """Return places in one block for each number of layers, ordered by the width in a block."""
    widths = np.array([1.0 if s is NOT_SET or not s else max(1.0, np.mean(s)) for s in sizes])
    logs = np.log10(widths)
    low, span = logs[is_set].min(), np.ptp(logs[is_set]) or 1.0
    inside = 0.1 + 0.8 * (logs - low) / span
    block = np.array([0 if s is NOT_SET else depths.index(len(s)) for s in sizes])
    places = (block + inside) / len(depths)
    made = Coordinate(name, "category", places, np.zeros(len(places)), is_set, n_distinct)
    nouns = ("layer", "layers") if "layer" in name else ("entry", "entries")
    for i, depth in enumerate(depths):
        units = [n for s in sizes if s is not NOT_SET and len(s) == depth for n in s]
        ends = map(str, sorted({min(units), max(units)}) if units else [])
        label = f"{depth} {nouns[depth != 1]}\n{' to '.join(ends)}".strip()
        made.ticks.append(((i + 0.5) / len(depths), label))
    made.note = "wider to the right"
    _add_not_set(made)
    return made
