"""A copy of a fitted model for experiments, which leave the model itself unchanged."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeep.estimators.base import BaseMLP
from skdeep.kernels import numpy_kernels

# This many rows are enough to judge gradients and activations.
MOST_ROWS = 2000


class Probe:
    """A copy of a model's network, with data in the form that the network takes.

    Parameters
    ----------
    model : fitted estimator of skdeep
    X, y : data as the model's fit takes them; y may be None
    most_rows : int
        If there are more rows, this many are drawn.
    """

    def __init__(self, model: Any, X: Any, y: Any = None, most_rows: int = MOST_ROWS):
        if not isinstance(model, BaseMLP):
            raise TypeError(
                f"{type(model).__name__} is not allowed; give a fitted estimator of skdeep. For "
                "a Pipeline give its last step, and the data that the steps before it return."
            )
        check_is_fitted(model, "network_")
        self.model = model
        self.network = copy.deepcopy(model.network_)
        self.loss = copy.deepcopy(model._loss)
        dtype = self.network.dtype
        if y is None:
            X = model._check_X(X)
            self.rows = _some_rows(X.shape[0], most_rows)
            self.X, self.Y = X[self.rows], None
        else:
            X, y = model._check_data(X, y, dtype, reset=False)
            self.rows = _some_rows(X.shape[0], most_rows)
            targets = model._targets(model._encode(y), dtype, training=False)
            everything = np.empty(targets.shape, dtype)
            self.X, self.Y = X[self.rows], targets.gather(slice(None), everything)[self.rows]
        if not isinstance(self.X, np.ndarray) and not self.network.accepts_sparse:
            self.X = self.X.toarray()
        self.X = self.X.astype(dtype, copy=False)

    def train_pass(self) -> np.ndarray:
        """Run the training pass without random numbers; return the raw outputs."""
        self.network.allocate(len(self.rows), None, numpy_kernels)
        return self.network.forward(self.X)

    def objective(self) -> float:
        """Return the loss plus all penalties, and fill the gradients."""
        Z = self.train_pass().copy()
        model, n_rows = self.model, len(self.rows)
        value = self.loss.value_and_grad(self.Y, Z, None, np.empty_like(Z))
        self.network.backward(Z)
        l1, l2 = model.alpha * model.l1_ratio, model.alpha * (1 - model.l1_ratio)
        return value + self.network.add_penalties(l1 / n_rows, l2 / n_rows)


def _some_rows(n_rows: int, most: int) -> np.ndarray:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))
