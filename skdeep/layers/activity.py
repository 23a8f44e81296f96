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
        self._share = None

    def take_share(self, share):
        self._share = share

    def forward(self, X):
        # The gradient is computed here, because the loss overwrites X if this layer is the last.
        g = rows(self._gradient, len(X))
        g.fill(0)
        if self._share is None:
            self._penalty = self.regularizer_.penalize(X, g, 1 / len(X))
        elif self._share.n_own:
            self._share.loss += self.regularizer_.penalize(X, g, 1 / self._share.n_rows)
        return X

    def backward(self, dY):
        dY += rows(self._gradient, len(dY))
        return dY

    def infer(self, X):
        return X

    def operations(self):
        return []

    def penalty(self):
        return 0.0 if self._share else self._penalty
