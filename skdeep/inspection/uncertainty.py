"""The spread of predictions with dropout: an estimate of the uncertainty of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, Limit
from skdeep.inspection.probing import Probe
from skdeep.kernels import numpy_kernels
from skdeep.network import Network
from skdeep.training.randomness import Streams

ROWS_AT_A_TIME = 1024


@dataclass
class MCDropout:
    """The mean and the spread of predictions with dropout.

    Attributes
    ----------
    mean, std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The mean and the standard deviation of the predictions of each row. For a classifier these
        are probabilities, of shape (n_samples, n_classes). For a regressor they are in the units
        of y.
    """

    mean: np.ndarray
    std: np.ndarray


def mc_dropout(model: Any, X: Any, n: int = 100, random_state: Any = None) -> MCDropout:
    """Predict with dropout many times; return the mean and the spread (Monte Carlo dropout).

    Dropout and noise are those of training. A number that is `Scheduled` has the value that it
    begins with. Batch normalization uses its stored statistics. The model is not changed.

    Parameters
    ----------
    model : fitted estimator of skdeep
        It needs dropout or noise. If the model is a Pipeline, give its last step.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        In a Pipeline, the output of the steps before the model.
    n : int, default=100
        The number of predictions of each row.
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    MCDropout

    References
    ----------
    Gal and Ghahramani (2016), "Dropout as a Bayesian approximation".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import MLPClassifier
    >>> from skdeep.inspection import mc_dropout
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(dropout=0.2, max_iter=99, tol=1, random_state=0).fit(X, y)
    >>> mc_dropout(model, X, n=20, random_state=0).std.shape
    (150, 3)
    """
    limit = Limit(2, integer=True)
    if not limit.allows(n):
        raise InvalidParameterError(f"n={n!r} is not allowed; give {limit}.")
    if hasattr(model, "tasks_"):
        raise TypeError(
            f"mc_dropout is for models of one task, and {type(model).__name__} has several."
        )
    probe = Probe(model, X, most_rows=math.inf)
    network = probe.network
    if hasattr(model, "classes_") and not hasattr(model, "predict_proba"):
        raise ValueError(
            f"mc_dropout needs probabilities, which loss={model.loss!r} does not give; train with "
            "loss='log_loss'."
        )
    if not any(layer.is_random for layer in network.walk()):
        raise ValueError(
            "mc_dropout needs a model with dropout or noise, and this one has neither: all its "
            "predictions of a row are equal. Fit it with dropout=0.1, for example."
        )
    _fix_statistics(network)
    network.allocate(
        min(ROWS_AT_A_TIME, len(probe.rows)), Streams(random_state).noise, numpy_kernels
    )
    parts = [
        _mean_and_std(model, network, probe.X[start : start + ROWS_AT_A_TIME], n)
        for start in range(0, len(probe.rows), ROWS_AT_A_TIME)
    ]
    mean, std = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return MCDropout(mean, std)


def _fix_statistics(network: Network) -> None:
    """Let batch norms use their stored statistics in the training pass."""
    for layer in network.batch_norms():
        layer.gamma_.frozen = True
    network.parameters.order_anew()


def _mean_and_std(model: Any, network: Network, X: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of n predictions, by Welford's method."""
    mean = squares = np.zeros(1)
    for i in range(1, n + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            prediction = model.prediction_of(network.forward(X).copy())
        off = prediction - mean
        mean = mean + off / i
        squares = squares + off * (prediction - mean)
    return mean.astype(prediction.dtype), np.sqrt(squares / n).astype(prediction.dtype)
