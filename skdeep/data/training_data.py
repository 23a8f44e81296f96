"""The training data of a run, and the weights of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from skdeep._component import check_sample_weight, side_by_side
from skdeep.data.sources.base import Source

# Sums and squares of weights are to be finite, and greater than 0.
_SMALLEST, _LARGEST = 1e-100, 1e100


class TrainingData:
    """The data of a run of training.

    Attributes
    ----------
    X : ndarray, CSR matrix or Source
    y : array
        The targets as the user gave them.
    encoded : ndarray
        The targets in the form that the estimator's `_targets` takes.
    weight : ndarray of shape (n_rows,) or None
        The product of sample weights and class weights.
    sample_weight : ndarray of shape (n_rows,) or None
        The sample weights alone.
    given : ndarray of int or None
        The positions of the rows that the call was given. None stands for all rows.
    rows : ndarray of int or None
        The positions of the training rows: those given, without the validation rows. None stands
        for all rows.
    """

    def __init__(self, X, y, encoded: np.ndarray, weight, sample_weight, rows=None):
        self.X = X
        self.y = y
        self.encoded = encoded
        self.weight: np.ndarray | None = weight
        self.sample_weight: np.ndarray | None = sample_weight
        self.given: np.ndarray | None = rows
        self.rows: np.ndarray | None = rows

    @classmethod
    def of_rows(cls, X, y, rows: np.ndarray | None, encoded: np.ndarray, weight, sample_weight):
        """Return the data of some rows of X and y, which are not copied, or of all rows.

        `encoded` and the weights have an entry for each of the rows.
        """
        if rows is None:
            return cls(X, y, encoded, weight, sample_weight)
        n_rows = X.shape[0]

        def spread(values):
            if values is None:
                return None
            full = np.zeros((n_rows, *values.shape[1:]), values.dtype)
            full[rows] = values
            return full

        return cls(X, y, spread(encoded), spread(weight), spread(sample_weight), rows)

    @property
    def has_rows(self) -> bool:
        """Whether the rows of X are in memory, or mapped into it."""
        return not isinstance(self.X, Source)

    def some(self, rows: np.ndarray) -> Any:
        """Return some rows of X in memory."""
        return self.X[rows] if self.has_rows else self.X.take(rows)

    def of_given(self, values: np.ndarray) -> np.ndarray:
        """Return the entries of the rows that were given, of an array that has all rows."""
        return values if self.given is None else values[self.given]

    @property
    def n_rows(self) -> int:
        """The number of training rows."""
        return self.X.shape[0] if self.rows is None else len(self.rows)

    def row_weights(self) -> np.ndarray:
        """Return the number of rows that each row stands for: 0 for a held-out row."""
        n_rows = self.X.shape[0]
        if self.weight is None:
            weight = np.ones(n_rows)
        else:
            weight = self.weight * (self.mean_sample_weight / _mean_over(self.weight, self.rows))
        if self.rows is None:
            return weight
        trains = np.zeros(n_rows, bool)
        trains[self.rows] = True
        return np.where(trains, weight, 0.0)

    @property
    def mean_sample_weight(self) -> float:
        """The number of rows that a training row stands for, on average."""
        if self.sample_weight is None:
            return 1.0
        return _mean_over(self.sample_weight, self.rows)

    def scaled_weight(self, dtype: np.dtype) -> np.ndarray | None:
        """Return weights with mean 1 over the training rows; None if all are equal."""
        return scale_to_mean_one(self.weight, self.rows, dtype)


def scale_to_mean_one(weight, rows, dtype: np.dtype) -> np.ndarray | None:
    """Divide weights by their mean over some rows; return None if they are all equal."""
    if weight is None:
        return None
    mean = _mean_over(weight, rows)
    chosen = weight if rows is None else weight[rows]
    if (chosen == chosen[0]).all():
        return None
    return (weight / mean).astype(dtype)


def _mean_over(weight: np.ndarray, rows: np.ndarray | None) -> float:
    mean = (weight if rows is None else weight[rows]).mean()
    if mean == 0:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return float(mean)


def frame_of(X) -> Any | None:
    """Return X if it is a data frame; raise ValueError if it is several arrays."""
    refuse_several(X)
    return X if hasattr(X, "columns") else None


def refuse_several(X) -> None:
    """Raise ValueError if X is several arrays, or an array of images."""
    if getattr(X, "ndim", 0) > 2:
        raise ValueError(
            f"Found array with dim {X.ndim}, while dim <= 2 is required: X has the shape {X.shape}."
            " Give one row of numbers for each image: X.reshape(len(X), -1)."
        )
    if isinstance(X, Mapping) and not hasattr(X, "shape"):  # as a matrix of SciPy has
        raise ValueError(
            "X is a dict, and one table is needed: give a data frame, such as "
            'pandas.DataFrame(X), and let Columns(["name", ...]) choose the columns of each branch.'
        )
    if not isinstance(X, (list, tuple)) or not X:
        return
    if not all(getattr(part, "ndim", 0) == 2 for part in X):
        return
    columns = side_by_side(part.shape[1] for part in X)
    slices = [f"Columns(slice({part.start}, {part.stop}))" for part in columns]
    raise ValueError(
        f"X is a {type(X).__name__} of {len(X)} arrays, and one is needed: put them side by side, "
        f"X = np.hstack(X), and let {' and '.join(slices)} choose the columns of each branch; or "
        'give one data frame, and Columns(["name", ...]).'
    )


def ravel_single_column(y):
    """Return y; if it is a single column, as 1-D and with scikit-learn's warning."""
    if y.ndim == 2 and y.shape[1] == 1 and isinstance(y, np.ndarray):
        return column_or_1d(y, warn=True)
    return y


def checked_weight(sample_weight, X) -> np.ndarray | None:
    """Return the user's sample weights in float64, validated."""
    if sample_weight is None:
        return None
    weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if not _SMALLEST <= weight.max() <= _LARGEST:
        raise ValueError(
            f"The largest sample weight is {weight.max():.3g}, which is not between "
            f"{_SMALLEST:.0e} and {_LARGEST:.0e}; multiply all weights by a number."
        )
    return weight


def combine_weights(sample_weight, class_weights) -> np.ndarray | None:
    """Return the product of sample weights and class weights."""
    if class_weights is None or sample_weight is None:
        return class_weights if sample_weight is None else sample_weight
    return sample_weight * class_weights
