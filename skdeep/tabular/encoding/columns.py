"""One column of a table: its numbers, or its values with a code for each row.

A missing value is NaN among numbers, and has the code -1. Values that are no numbers and no strings
are refused with an error that names the column.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

_DATES = "Turn it into numbers, such as the year, the month, the weekday, or the days since a date."
_DURATIONS = "Turn it into numbers, such as seconds: X[column].dt.total_seconds()."
# What is refused: (type or its name, the noun, what to do). A name is that of a type of pandas.
_REFUSED = (
    ((datetime.datetime, datetime.date, np.datetime64), "dates", _DATES),
    ((datetime.timedelta, np.timedelta64), "durations", _DURATIONS),
    ((datetime.time,), "times", "Turn it into numbers, such as the hour, or seconds."),
    (("Period",), "periods", _DATES),
    (
        ("Interval",),
        "intervals",
        "Turn it into categories, X[column].astype(str), or into numbers, such as midpoints.",
    ),
    (
        (complex, np.complexfloating),
        "complex numbers",
        "Turn it into two columns, the real and the imaginary part.",
    ),
    ((bytes, bytearray), "bytes", "Decode it: X[column].str.decode('utf-8')."),
)
_REFUSED_KINDS = {
    "M": np.datetime64(0, "D"),
    "m": np.timedelta64(0, "s"),
    "c": 1j,
    "S": b"",
}


class NumberColumn:
    """A column of numbers in an array.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), of numbers or booleans
    """

    kind = "number"
    is_category = False

    def __init__(self, values: np.ndarray):
        self.values = values

    @property
    def example(self) -> Any:
        """A value, for messages."""
        return self.values[0].item() if len(self.values) else None

    def has_values(self) -> bool:
        """Whether a number is not missing."""
        first = self.values[:1]
        return bool((first == first).any()) or not bool(np.isnan(self.values).all())

    def numbers(self) -> np.ndarray:
        """Return the numbers, in the dtype that they have."""
        return self.values

    def factorize(self) -> tuple[np.ndarray, list]:
        """Return the code of each row, and the values that the codes stand for."""
        codes = np.full(len(self.values), -1, np.intp)
        known = ~np.isnan(self.values)
        uniques, codes[known] = np.unique(self.values[known], return_inverse=True)
        return codes, uniques.tolist()


class ValueColumn:
    """A column of Python values.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        The position of each row's value among the `uniques`: -1 if it is missing.
    uniques : list
    label : str
        The name of the column, for messages.
    is_category : bool
        Whether the table declares that the values are categories. Then they may have any type.

    Attributes
    ----------
    kind : {"number", "string", "other", "empty"}
        "empty" is a column in which everything is missing.
    """

    def __init__(self, codes: np.ndarray, uniques: list, label: str, is_category: bool = False):
        self.codes = codes
        self.uniques = uniques
        self.label = label
        self.is_category = is_category
        self.kind = _kind_of(uniques, label, is_category)

    @property
    def example(self) -> Any:
        """A value, for messages."""
        return self.uniques[0] if self.uniques else None

    def has_values(self) -> bool:
        """Whether a value is not missing."""
        return bool(self.uniques)

    def numbers(self) -> np.ndarray:
        """Return the values as float64."""
        try:
            table = np.array([*map(float, self.uniques), np.nan])
        except OverflowError:  # an integer beyond all floats
            table = np.full(len(self.uniques) + 1, np.inf)
        return table[self.codes]

    def factorize(self) -> tuple[np.ndarray, list]:
        """Return the code of each row, and the values that the codes stand for."""
        return self.codes, self.uniques


Column = NumberColumn | ValueColumn


def column_of_values(values: list, label: str) -> Column:
    """Return the column that holds Python values."""
    if {float, type(None)}.issuperset(map(type, values)):
        numbers = np.array(values, np.float64)
        if not np.isnan(numbers).all():
            return NumberColumn(numbers)
    try:
        codes_of = dict.fromkeys(values, -1)
    except TypeError:
        refuse(next(v for v in values if not _is_hashable(v)), label)
    uniques = [v for v in codes_of if not is_missing(v)]
    codes_of.update(zip(uniques, range(len(uniques)), strict=True))
    codes = np.fromiter(map(codes_of.__getitem__, values), np.intp, len(values))
    return ValueColumn(codes, uniques, label)


def used_only(codes: np.ndarray, uniques: Iterable) -> tuple[np.ndarray, list]:
    """Drop the values that no row has."""
    uniques = list(uniques)
    used = np.flatnonzero(np.bincount(codes + 1, minlength=len(uniques) + 1)[1:])
    if len(used) == len(uniques):
        return codes, uniques
    places = np.full(len(uniques) + 1, -1, np.intp)
    places[used] = np.arange(len(used))
    return places[codes], [uniques[i] for i in used]


def is_missing(value: Any) -> bool:
    """Whether a Python value stands for a missing one: None, NaN, pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and bool(value != value)


def refuse(value: Any, label: str, is_example: bool = True) -> None:
    """Raise TypeError for a value that is neither a number nor a string."""
    for types, noun, advice in _REFUSED:
        if any(_is_a(value, t) for t in types):
            example = f", such as {_shown(value)}" if is_example else ""
            raise TypeError(
                f"In X, {label} holds {noun}{example}. Only numbers and strings are "
                f"allowed. {advice}"
            )
    raise TypeError(
        f"In X, {label} holds {_shown(value)}, of type {type(value).__name__}. Each "
        "argument must be a string or a number. Turn the column into numbers, or into strings "
        "that stand for categories, or remove it."
    )


def refuse_kind(kind: str, label: str) -> None:
    """Raise TypeError for a kind of NumPy dtype that is no number and no string."""
    if kind in _REFUSED_KINDS:
        refuse(_REFUSED_KINDS[kind], label, is_example=False)


def refuse_other_kind(column: Column, kind: str, label: str, where: str = "in fit") -> None:
    """Raise ValueError for a column whose values are of another kind than those in fit."""
    nouns = {"number": "numbers", "string": "strings", "other": "values of another type"}
    if kind == "number":
        advice = "Give numbers in both, or strings in both."
    else:
        advice = "Give values of the same kind in both, for example by X[column].astype(str)."
    raise ValueError(
        f"In X, {label} held {nouns[kind]} {where}, and holds {nouns[column.kind]} "
        f"now, such as {_shown(column.example)}. {advice}"
    )


def refuse_other_declaration(column: Column, label: str) -> None:
    """Raise ValueError for numbers that only some chunks declare as categories."""
    now, before = ("", "not ") if column.is_category else ("not ", "")
    raise ValueError(
        f"In X, {label} holds numbers, such as {_shown(column.example)}, that are {now}declared as "
        f"categories, and in the chunks before they were {before}declared so. Give the column the "
        "same dtype in all chunks, or name it in categorical_features."
    )


def refuse_strings(column: Column, label: str) -> None:
    """Raise ValueError for categories in a column that is not among the categorical features."""
    raise ValueError(
        f"In X, {label} holds categories, such as {_shown(column.example)}, but it is "
        "not among the categorical_features. Add it to them, set "
        'categorical_features="from_dtype", or turn it into numbers.'
    )


def _kind_of(uniques: list, label: str, is_category: bool) -> str:
    """Return the kind of some values, none of which is missing."""
    if not uniques:
        return "empty"
    kinds = {t: _kind_of_type(t) for t in set(map(type, uniques))}
    found = set(kinds.values())
    if found == {"number", "string"}:
        examples = [next(u for u in uniques if kinds[type(u)] == k) for k in ("number", "string")]
        raise ValueError(
            f"In X, {label} holds both numbers and strings, such as "
            f"{_shown(examples[0])} and {_shown(examples[1])}. Give one kind of values, for "
            "example by X[column].astype(str)."
        )
    if "other" in found:
        if not is_category:
            refuse(next(u for u in uniques if kinds[type(u)] == "other"), label)
        return "other"
    return found.pop()


def _kind_of_type(t: type) -> str:
    if issubclass(t, str):
        return "string"
    is_number = issubclass(t, (Real, Decimal, np.bool_)) and not issubclass(t, np.timedelta64)
    return "number" if is_number else "other"


def _is_a(value: Any, t: type | str) -> bool:
    return type(value).__name__ == t if isinstance(t, str) else isinstance(value, t)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _shown(value: Any) -> str:
    """Return the repr of a value, shortened; NumPy's scalars as Python's."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
