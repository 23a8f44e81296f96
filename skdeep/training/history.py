"""The history of a model: a dict of lists of equal length, with one entry for each epoch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

from skdeep._component import InvalidParameterError

History = dict[str, list[float]]
COLUMNS = ("loss", "learning_rate", "gradient_norm", "seconds")


def new_history() -> History:
    """Return the history of a model that has not been trained."""
    return {name: [] for name in COLUMNS}


def record(history: History, **values: float) -> None:
    """Append an epoch; in epochs without a value, a key has NaN."""
    n_epochs = max(map(len, history.values()), default=0)
    for key in values:
        history.setdefault(key, [math.nan] * n_epochs)
    for key, column in history.items():
        column.append(float(values.get(key, math.nan)))


def amend(history: History, figures: Mapping[str, Any], taken: Collection[str]) -> dict[str, float]:
    """Add figures of a callback to the last epoch; return them as floats.

    A column that is new has NaN in the epochs before. The names in `taken` are not allowed.
    """
    for name, value in figures.items():
        if name in taken:
            raise InvalidParameterError(
                f"trainer.record({name}=...): history_ has a column of that name, which the "
                "trainer itself fills; choose another name."
            )
        if not isinstance(value, Real):
            raise InvalidParameterError(
                f"trainer.record({name}={value!r}) is not allowed; give a number."
            )
    numbers = {name: float(value) for name, value in figures.items()}
    for name, value in numbers.items():
        history.setdefault(name, [math.nan] * len(history["loss"]))[-1] = value
    return numbers


def check_lengths(history: History) -> None:
    """Raise if a column does not have one entry for each epoch."""
    n_epochs = len(history["loss"])
    for name, column in history.items():
        if len(column) != n_epochs:
            raise InvalidParameterError(
                f"history_[{name!r}] has {len(column)} entries after {n_epochs} epochs; a callback "
                f"adds a figure in on_epoch_end, with trainer.record({name}=value)."
            )


def truncate(history: History, n_epochs: int) -> None:
    """Remove all epochs after the first n_epochs."""
    for column in history.values():
        del column[n_epochs:]


def even_out(history: History) -> None:
    """Remove an epoch of which only a part was recorded."""
    truncate(history, min(map(len, history.values()), default=0))
