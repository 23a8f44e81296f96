"""Gaussian noise."""

from __future__ import annotations

import numpy as np

from skdeep._component import Limit
from skdeep.kernels import draw_seed
from skdeep.layers.base import Layer, rows
from skdeep.schedules import value_of


class GaussianNoise(Layer):
    """Y = X + N(0, std^2) in training, Y = X at prediction.

    Parameters
    ----------
    std : float or Scheduled, default=0.1
    """

    is_random = True
    described_by = "std"
    _limits = {"std": Limit(0)}
    _may_change = ("std",)

    def __init__(self, std: float = 0.1):
        self.std = std

    def build(self, n_inputs):
        self.check()
        return n_inputs, []

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self._Y = np.empty((n_rows, self.n_inputs_), dtype)
        self._rng, self._std = rng, value_of(self.std)
        self._noise_forward = self.kernels.noise_forward

    def forward(self, X):
        if self._rng is None:
            return X
        Y = rows(self._Y, len(X))
        self._noise_forward(draw_seed(self._rng), self._std, X, Y)
        return Y

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X

    def operations(self):
        return []
