"""A penalty on the outputs of a layer."""

from __future__ import annotations

import numpy as np

from skdeep._component import resolve
from skdeep.layers.base import Layer, rows
from skdeep.regularizers import REGULARIZERS, Regularizer


class ActivityRegularization(Layer):
    """Y = X, and the loss grows by penalty(X) / n_rows.

    Parameters
    ----------
    regularizer : str or Regularizer, default="l2"
    """

    def __init__(self, regularizer="l2"):
        self.regularizer = regularizer

    def build(self, n_inputs):
        self.regularizer_ = resolve(
            self.regularizer, REGULARIZERS, "activity_regularizer", Regularizer
        )
        return n_inputs, []

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self._gradient = np.empty((n_rows, self.n_inputs_), dtype)

    def forward(self, X):
        # The gradient is computed here, because the loss overwrites X if this layer is the last.
        g = rows(self._gradient, len(X))
        g.fill(0)
        self._penalty = self.regularizer_.penalize(X, g, 1 / len(X))
        return X

    def backward(self, dY):
        dY += rows(self._gradient, len(dY))
        return dY

    def infer(self, X):
        return X

    def operations(self):
        return []

    def penalty(self):
        return self._penalty
