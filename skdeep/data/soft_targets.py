"""Soft targets: rows of probabilities in place of class labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep._component import warn_user

# The sums of rows that a model computed in float32 are not exactly 1.
_TOLERANCE = 1e-4
#: From this number of rows on, an indicator matrix with one 1 in every row is taken for one-hot.
_ROWS_OF_ONE_HOT = 10


def is_one_hot(indicator: Any) -> bool:
    """Whether the rows of a 0/1 indicator matrix look like one-hot codes of classes."""
    n_rows, n_columns = indicator.shape
    return (
        n_columns >= 2
        and n_rows >= _ROWS_OF_ONE_HOT
        and bool((np.asarray(indicator.sum(axis=1)) == 1).all())
    )


def warn_if_one_hot(indicator: Any, task: str = "") -> None:
    """Warn of the 0/1 indicator matrix of a task if it looks like a one-hot encoding."""
    if is_one_hot(indicator):
        warn_user(
            f"y is an indicator matrix with exactly one 1 in every row{task}, and is learned as "
            "multilabel: a yes or no for each column, on its own. If the columns are the "
            "classes of a one-hot encoding, give y.argmax(axis=1), or the labels themselves. "
            "If they are not, ignore this warning: warnings.filterwarnings('ignore', "
            "'y is an indicator matrix')."
        )


def probabilities(y: Any) -> np.ndarray:
    """Return rows of probabilities in float64; raise ValueError if y is anything else."""
    rule = (
        "with soft_targets=True, y has to be a matrix with one row of probabilities for each "
        "sample and one column for each class, two at least"
    )
    y = y.toarray() if sp.issparse(y) else np.asarray(y)
    if y.ndim != 2 or y.shape[1] < 2:
        raise ValueError(f"y has the shape {y.shape}; {rule}.")
    try:
        P = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y is not numeric ({error}); {rule}.") from error
    if not (P >= 0).all():
        raise ValueError(f"y has entries down to {P.min():g}; {rule}.")
    sums = P.sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > _TOLERANCE:
        raise ValueError(f"Row {worst} of y sums to {sums[worst]:g}, not to 1; {rule}.")
    return P


def expected_weights(class_weight: Any, P: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return for each row of probabilities the mean weight of its classes.

    "balanced" counts a class by the sum of its probabilities.
    """
    if isinstance(class_weight, str):
        counts = P.sum(axis=0)
        weights = counts.sum() / (len(counts) * np.where(counts > 0, counts, np.inf))
    else:
        weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    return P @ weights
