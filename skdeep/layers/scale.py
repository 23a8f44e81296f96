"""A trained factor for each column."""

from __future__ import annotations

import numpy as np

from skdeep._component import InvalidParameterError, Limit, resolve
from skdeep.initializers import INITIALIZERS, DataDriven, Initializer
from skdeep.layers.base import Layer, rows
from skdeep.layers.operations import Normalize
from skdeep.parameters import Parameter


class Scale(Layer):
    """Y = s * X, with one trained factor s for each column.

    Neither `alpha` nor `weight_decay` acts on the factors.

    Parameters
    ----------
    initializer : str or Initializer, default="ones"
        Sets the first factors.
    rate : float, default=1.0
        A factor of the learning rate, for s alone.
    """

    _limits = {"rate": Limit(0)}

    def __init__(self, initializer="ones", rate: float = 1.0):
        self.initializer = initializer
        self.rate = rate

    def build(self, n_inputs):
        self.check()
        first = resolve(self.initializer, INITIALIZERS, "initializer", Initializer)
        if isinstance(first, DataDriven):
            raise InvalidParameterError(
                f"Scale initializer={self.initializer!r} is not allowed, as it is for weights and "
                'biases of dense layers; give another, such as "ones".'
            )
        self.scale_ = Parameter("scale", (n_inputs,), first, rate=self.rate)
        return n_inputs, [self.scale_]

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = (n_rows, self.n_inputs_)
        self._Y, self._work = np.empty(shape, dtype), np.empty(shape, dtype)
        grad = self.scale_.grad
        self._d_scale = np.empty(self.n_inputs_, dtype) if grad is None else grad
        self._multiply = self.kernels.scale_columns
        self._differentiate = self.kernels.scale_columns_backward

    def forward(self, X):
        self._X, Y = X, rows(self._Y, len(X))
        self._multiply(X, self.scale_.value, Y)
        return Y

    def backward(self, dY):
        work = rows(self._work, len(dY))
        self._differentiate(dY, self._X, self.scale_.value, self._d_scale, work)
        return dY

    def infer(self, X):
        return X * self.scale_.value

    def operations(self):
        s = self.scale_.value
        return [Normalize(np.zeros_like(s), np.ones_like(s), s, np.zeros_like(s))]
