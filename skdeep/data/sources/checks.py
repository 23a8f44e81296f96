"""Sources in the place of X: their targets and weights, and the checks of `validate_data`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skdeep._component import InvalidParameterError
from skdeep.data.sources.base import Source


def with_own_targets(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return X, y and weights; those of a source take the place of y and weights of None."""
    if not isinstance(X, Source):
        return X, y, sample_weight
    return (
        X,
        X.y if y is None else y,
        X.sample_weight if sample_weight is None else sample_weight,
    )


def refuse_source(X: Any, method: str, instead: str) -> None:
    """Raise if X is a source."""
    if isinstance(X, Source):
        raise InvalidParameterError(
            f"{method} takes rows in memory, and was given {type(X).__name__}; {instead}."
        )


def checked_columns(estimator: Any, X: Source, dtype: Any, *, reset: bool) -> Source:
    """Return a source of numbers whose columns are those of the estimator."""
    if X.dtype == object:
        X.check()  # which says how to make numbers of the columns
    head = X.take(np.arange(min(1, X.shape[0])))
    if X.feature_names is not None and not hasattr(head, "columns"):
        import pandas as pd

        head = pd.DataFrame(head, columns=X.feature_names)
    head = validate_data(estimator, head, accept_sparse="csr", dtype=dtype, reset=reset)
    return X.astype(head.dtype)
