"""An activation as a layer of its own, for where it can't be fused into the dense layer."""

from __future__ import annotations

import numpy as np

from skdeep._component import resolve
from skdeep.activations import ACTIVATIONS
from skdeep.activations import Activation as ActivationFunction
from skdeep.layers.base import Layer, rows


class Activation(Layer):
    """Y = f(X).

    Parameters
    ----------
    function : str or skdeep.activations.Activation, default="relu"
    """

    def __init__(self, function="relu"):
        self.function = function

    def build(self, n_inputs):
        self.check()
        self.function_ = resolve(self.function, ACTIVATIONS, "function", ActivationFunction)
        return n_inputs, self.function_.build(n_inputs)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = (n_rows, self.n_inputs_)
        self._Y, self._work = np.empty(shape, dtype), np.empty(shape, dtype)
        self._Z = np.empty(shape, dtype) if self.function_.needs_input else None
        self.function_.allocate(*shape, dtype, rng)

    @property
    def is_random(self):
        return self.function_.is_random

    def forward(self, X):
        n_rows = len(X)
        self._A = Y = rows(self._Y, n_rows)
        np.copyto(Y, X)
        if self._Z is not None:
            np.copyto(rows(self._Z, n_rows), X)
        self.function_.forward(Y, rows(self._work, n_rows))
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        Z = None if self._Z is None else rows(self._Z, n_rows)
        self.function_.backward(dY, self._A, Z, rows(self._work, n_rows))
        return dY

    def infer(self, X):
        Y = np.array(X)
        self.function_.infer(Y, np.empty_like(Y))
        return Y

    def release(self):
        super().release()
        self.function_.release()
