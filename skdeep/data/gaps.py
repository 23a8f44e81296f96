"""Targets of which some were not measured, and are NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from skdeep.data.training_data import ravel_single_column


def check_data_with_gaps(
    estimator: Any, X: Any, y: Any, dtype: Any, *, reset: bool
) -> tuple[Any, np.ndarray]:
    """Return X and y, validated; y may have NaN."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )
    X = validate_data(estimator, X, accept_sparse="csr", dtype=dtype, reset=reset)
    y = check_array(
        y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
    )
    check_consistent_length(X, y)
    return X, ravel_single_column(y)


def check_gaps(Y: np.ndarray, what: str) -> None:
    """Raise ValueError if a column has NaN only."""
    empty = np.flatnonzero(np.isnan(Y).all(axis=0))
    if len(empty):
        raise ValueError(
            f"Column {empty[0]} of {what} has no number, only NaN; leave the column out."
        )


def score_of_numbers(
    y: Any, P: np.ndarray, weight: Any, quantiles: Sequence[float] | None, *, with_gaps: bool
) -> float:
    """Return the mean score of the columns of predictions: R2, or D2 for quantiles.

    With gaps, rows whose target is NaN are left out, and so are columns of fewer than 2 numbers, or
    with no weight on any number.
    """
    if quantiles is None and not with_gaps:
        return r2_score(y, P, sample_weight=weight)
    is_finite = "allow-nan" if with_gaps else True
    Y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=is_finite)
    Y, P = (A.reshape(len(A), -1) for A in (Y, P))
    Y = np.broadcast_to(Y, P.shape) if quantiles is not None else Y
    scores = []
    for k, rows in enumerate(~np.isnan(Y.T)):
        own = None if weight is None else np.asarray(weight)[rows]
        if with_gaps and (rows.sum() < 2 or (own is not None and not own.any())):
            continue
        known = {"sample_weight": own}
        if quantiles is None:
            scores.append(r2_score(Y[rows, k], P[rows, k], **known))
        else:
            scores.append(d2_pinball_score(Y[rows, k], P[rows, k], alpha=quantiles[k], **known))
    return float(np.mean(scores)) if scores else np.nan


def mean_and_scale(Y: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column and the number to divide it by; NaN is left out."""
    known = ~np.isnan(Y)
    if not known.all():
        columns = [
            mean_and_scale(Y[rows, k : k + 1], None if weight is None else weight[rows])
            for k, rows in enumerate(known.T)
        ]
        means, scales = zip(*columns, strict=True)
        return np.concatenate(means), np.concatenate(scales)
    if weight is not None and not weight.any():  # on the rows with a number
        weight = None
    mean = np.average(Y, axis=0, weights=weight)
    std = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weight))
    # The spread of a constant target is 0 but for rounding: there is nothing to scale.
    is_constant = std <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(is_constant, 1.0, std)
