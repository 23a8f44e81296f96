"""A dense layer whose weights are those of another dense layer, transposed."""

from __future__ import annotations

import numpy as np

from skdeep.layers.dense import Dense


class TiedDense(Dense):
    """Y = f(X V^T + b), V the kernel of a dense layer below it in the network.

    Parameters
    ----------
    source : Dense
        The layer that owns V. It has to be built before this one.
    units : int
        The number of outputs, which is the number of inputs of the source.
    activation : str, Activation or None, default=None
    bias : bool, default=True
    bias_initializer : str or Initializer, default="auto"
    bias_regularizer : str, Regularizer or None, default=None
    bias_constraint : str, Constraint or None, default=None
    """

    def __init__(
        self,
        source: Dense,
        units: int,
        activation=None,
        *,
        bias: bool = True,
        bias_initializer="auto",
        bias_regularizer=None,
        bias_constraint=None,
    ):
        super().__init__(
            units,
            activation,
            bias=bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
        )
        self.source = source

    def build(self, n_inputs):
        units, parameters = super().build(n_inputs)
        own = self.kernel_
        del self.kernel_
        return units, [p for p in parameters if p is not own]

    @property
    def weights(self):
        return self.source.kernel_.value.T

    def _weights_in_training(self, dtype):
        shape = self.n_inputs_, self.units
        dW = np.empty(shape, dtype) if self.source.kernel_.trainable else None
        return np.empty(shape, dtype), dW

    def forward(self, X):
        np.copyto(self._W, self.weights)
        return super().forward(X)

    def finish_backward(self):
        if self._dW is not None:
            self.source.kernel_.grad += self._dW.T
