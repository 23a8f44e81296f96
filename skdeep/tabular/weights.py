"""The weights of members in the mean: how much each of them is to be trusted on these data.

Members of the two kinds, with periodic and with piecewise linear embeddings, err on different rows,
and on some tables one kind is much better than the other.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

# Equal weights count as if this number of rows spoke for them.
ROWS_OF_PRIOR = 20.0
# Steps of expectation maximization, which converges fast as the problem is convex.
N_STEPS = 200
# The correlation between the errors of two members that is assumed if no row was seen by both.
CORRELATION = 0.8


def spread(y: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column, and 1 for a constant column."""
    std = y.std(axis=0)
    return np.where((y.max(axis=0) > y.min(axis=0)) & (std > 0), std, 1.0)


def for_numbers(P: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights >= 0, with sum 1, for which the weighted mean of members errs least.

    P has shape (n_members, n_rows, n_outputs) and y (n_rows, n_outputs). All outputs count alike.
    """
    n_members = len(P)
    errors = (P - y) / spread(y)
    if weight is not None:
        errors = errors * np.sqrt(weight / weight.mean())[:, None]
    size = np.sqrt(np.mean(errors**2))
    if n_members == 1 or not size > 0:
        return np.full(n_members, 1 / n_members)
    E = errors.reshape(n_members, -1).T / size
    prior, total = np.sqrt(ROWS_OF_PRIOR), 1e4 * np.sqrt(len(E))
    A = np.vstack([E, prior * np.eye(n_members), np.full((1, n_members), total)])
    b = np.r_[np.zeros(len(E)), np.full(n_members, prior / n_members), total]
    found = nnls(A, b)[0]
    return found / found.sum()


def for_probabilities(L: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights of the mixture under which the targets are most likely.

    L has shape (n_members, n_rows): the log-probability that each member gave to each target.
    """
    n_members, n_rows = L.shape
    weight = np.ones(n_rows) if weight is None else weight * (n_rows / weight.sum())
    likelihood = np.exp(L - L.max(axis=0))
    mixture = np.full(n_members, 1 / n_members)
    for _ in range(N_STEPS):
        share = mixture[:, None] * likelihood
        share /= share.sum(axis=0)
        mixture = (share @ weight + ROWS_OF_PRIOR / n_members) / (n_rows + ROWS_OF_PRIOR)
    return mixture


def for_folds(
    errors: list[np.ndarray], kinds: np.ndarray, weights: list[np.ndarray] | None = None
) -> np.ndarray:
    """Return the weights of members that were validated on folds of their own.

    `errors` and `weights` hold the squared errors and the weights of the rows of each fold, and
    `kinds` is 0 or 1. No row was seen by two members, so the best weights of two predictions with
    such errors are computed from an assumed correlation, and the members of a kind share its
    weight. The folds have different rows: as far as a difference may be due to them, as with a row
    far from all others, it does not count.
    """
    n_members = len(errors)
    first = kinds == 0
    weights = [np.ones(len(e)) for e in errors] if weights is None else weights
    found = [_mean_and_variance(e, w) for e, w in zip(errors, weights, strict=True)]
    means, variances = np.array(found).T
    if first.all() or not first.any() or not (means > 0).all():
        return np.full(n_members, 1 / n_members)
    a, b = means[first].mean(), means[~first].mean()
    noise = sum(variances[kind].sum() / kind.sum() ** 2 for kind in (first, ~first))
    change = (a - b) / 2 * min(1.0, noise / max((a - b) ** 2, 1e-300))
    a, b = a - change, b + change
    common = CORRELATION * np.sqrt(a * b)
    share = np.clip((b - common) / (a + b - 2 * common), 0, 1)
    return np.where(first, share / first.sum(), (1 - share) / (~first).sum())


def _mean_and_variance(errors: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean, and the variance of this mean over samples of rows."""
    share = weight / weight.sum()
    mean = share @ errors
    return mean, (share**2) @ (errors - mean) ** 2
