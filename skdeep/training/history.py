"""The record of a model's life: a dict of lists of one length, one entry an epoch."""

from __future__ import annotations

import math

History = dict[str, list[float]]
COLUMNS = ("loss", "learning_rate", "gradient_norm", "seconds")


def new_history() -> History:
    """Return the history of a model that has not been trained."""
    return {name: [] for name in COLUMNS}


def record(history: History, **values: float) -> None:
    """Append an epoch; a key that is new, or missing this time, is NaN where it has no value."""
    n_epochs = max(map(len, history.values()), default=0)
    for key in values:
        history.setdefault(key, [math.nan] * n_epochs)
    for key, column in history.items():
        column.append(float(values.get(key, math.nan)))


def truncate(history: History, n_epochs: int) -> None:
    """Forget what came after the first epochs."""
    for column in history.values():
        del column[n_epochs:]


def even_out(history: History) -> None:
    """Forget an epoch of which only a part was recorded."""
    truncate(history, min(map(len, history.values()), default=0))
