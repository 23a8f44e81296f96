"""An activation as a layer of its own, for cases in which a dense layer can't apply it."""

from __future__ import annotations

import numpy as np

from skdeep._component import resolve
from skdeep.activations import ACTIVATIONS
from skdeep.activations import Activation as ActivationFunction
from skdeep.layers.base import Layer, rows
from skdeep.layers.operations import Apply


class Activation(Layer):
    """Y = f(X).

    Parameters
    ----------
    function : str or skdeep.activations.Activation, default="relu"
    """

    described_by = "activation_function"

    def __init__(self, function="relu"):
        self.function = function

    def build(self, n_inputs):
        self.check()
        self.function_ = resolve(self.function, ACTIVATIONS, "function", ActivationFunction)
        return n_inputs, self.function_.build(n_inputs)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape, f = (n_rows, self.n_inputs_), self.function_
        self._Y, self._work = np.empty(shape, dtype), np.empty(shape, dtype)
        self._Z = np.empty(shape, dtype) if f.needs_input else None
        f.allocate(*shape, dtype, rng)
        self._activate, self._differentiate = self.kernels.bind_activation(f, self.n_inputs_, dtype)

    def take_share(self, share):
        self.function_.take_share(share)

    @property
    def activation_function(self):
        return self.function_

    @property
    def is_random(self):
        return self.function_.is_random

    def forward(self, X):
        n_rows = len(X)
        self._A = Y = rows(self._Y, n_rows)
        Z = None if self._Z is None else rows(self._Z, n_rows)
        np.copyto(Y, X)
        self._activate(Y, None, Z, rows(self._work, n_rows))
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        Z = None if self._Z is None else rows(self._Z, n_rows)
        self._differentiate(dY, self._A, Z, rows(self._work, n_rows), None)
        return dY

    def infer(self, X):
        Y = np.array(X)
        self.function_.infer(Y, np.empty_like(Y))
        return Y

    def operations(self):
        return [Apply(self.function_)]

    def release(self):
        super().release()
        self.function_.release()
