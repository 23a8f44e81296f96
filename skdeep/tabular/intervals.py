"""Intervals around predictions, from the errors on rows that training did not see.

The error of a row is divided by the size of errors that is typical for its prediction. Quantiles of
these ratios, times the typical size, are added to a prediction. So the quantiles never cross. An
interval holds the share of new rows that was asked for, if new rows are drawn as the validation
rows were.
"""

from __future__ import annotations

import numpy as np

# The typical size of errors is measured in up to this number of groups of rows with similar
# predictions, each of at least this number of rows.
MOST_GROUPS, FEWEST_ROWS = 12, 40
# The typical size is moved towards that of all rows as if this number of rows said so.
ROWS_OF_PRIOR = 20.0


class Residuals:
    """The errors of one output on validation rows.

    Attributes
    ----------
    centers, sizes : ndarray of shape (n_groups,)
        Predictions, and the typical size of the errors at these predictions.
    ratios : ndarray of shape (n_rows,)
        Errors divided by the typical size, sorted.
    shares : ndarray of shape (n_rows,)
        The share of the weight of all rows up to each ratio.
    """

    def __init__(self, prediction: np.ndarray, y: np.ndarray, weight: np.ndarray | None):
        errors = y - prediction
        weight = np.ones(len(y)) if weight is None else weight
        prediction, errors, weight = (a[weight > 0] for a in (prediction, errors, weight))
        weight = weight / weight.mean()
        self.centers, self.sizes = _typical_sizes(prediction, np.abs(errors), weight)
        ratios = errors / self.size_at(prediction)
        order = np.argsort(ratios, kind="stable")
        self.ratios = ratios[order]
        self.shares = np.cumsum(weight[order]) / weight.sum()

    def size_at(self, prediction: np.ndarray) -> np.ndarray:
        """Return the typical size of errors at these predictions."""
        return np.interp(prediction, self.centers, self.sizes)

    def quantile(self, prediction: np.ndarray, q: float) -> np.ndarray:
        """Return the q-th quantile of the targets, given predictions.

        The quantile of n errors is that of n + 1 numbers of which the last is at the far end, as in
        split conformal prediction.
        """
        n = len(self.ratios)
        level = q * (n + 1) / n if q >= 0.5 else 1 - (1 - q) * (n + 1) / n
        at = np.searchsorted(self.shares, np.clip(level, 0, 1) - 1e-12)
        ratio = self.ratios[min(at, n - 1)]
        return prediction + ratio * self.size_at(prediction)


def _typical_sizes(
    prediction: np.ndarray, sizes: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean sizes of errors in groups of rows with similar predictions."""
    overall = float(np.average(sizes, weights=weight))
    overall = overall if overall > 0 else 1.0
    n_groups = max(1, min(MOST_GROUPS, len(sizes) // FEWEST_ROWS))
    order = np.argsort(prediction, kind="stable")
    centers, typical = [], []
    for group in np.array_split(order, n_groups):
        total = weight[group].sum()
        mean = float((weight[group] * sizes[group]).sum())
        centers.append(float(np.average(prediction[group], weights=weight[group])))
        typical.append((mean + ROWS_OF_PRIOR * overall) / (total + ROWS_OF_PRIOR))
    return np.array(centers), np.maximum(typical, 1e-12 * overall)
