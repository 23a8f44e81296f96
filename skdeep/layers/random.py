"""Layers that draw random numbers in training, and pass X on at prediction."""

from __future__ import annotations

import numpy as np

from skdeep._component import Limit
from skdeep.kernels import draw_seed
from skdeep.layers.base import Layer, rows
from skdeep.schedules import value_of


class Dropout(Layer):
    """Y = X * mask / (1 - rate), mask 0 with probability `rate`, else 1; Y = X at prediction.

    Parameters
    ----------
    rate : float or Scheduled, default=0.5

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
    """

    is_random = True
    described_by = "rate"
    _limits = {"rate": Limit(0, 1, closed="[)")}
    _may_change = ("rate",)

    def __init__(self, rate: float = 0.5):
        self.rate = rate

    def build(self, n_inputs):
        self.check()
        return n_inputs, []

    def allocate(self, n_rows, dtype, rng, needs_dX):
        # The output has a buffer of its own: the layer below needs X for its derivative.
        self._Y, self._mask = (np.empty((n_rows, self.n_inputs_), dtype) for _ in range(2))
        self._rng, self._rate = rng, value_of(self.rate)
        self._drop, self._multiply_by = self.kernels.dropout_forward, self.kernels.multiply_by
        self._share = None

    def take_share(self, share):
        self._share = share

    def forward(self, X):
        if self._rng is None:
            return X
        n_rows = len(X)
        Y, mask = rows(self._Y, n_rows), rows(self._mask, n_rows)
        place = None if self._share is None else self._share.place
        self._drop(draw_seed(self._rng), self._rate, X, mask, Y, place)
        return Y

    def backward(self, dY):
        if self._rng is not None:
            self._multiply_by(dY, rows(self._mask, len(dY)))
        return dY

    def infer(self, X):
        return X

    def operations(self):
        return []


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
        self._share = None

    def take_share(self, share):
        self._share = share

    def forward(self, X):
        if self._rng is None:
            return X
        Y = rows(self._Y, len(X))
        place = None if self._share is None else self._share.place
        self._noise_forward(draw_seed(self._rng), self._std, X, Y, place)
        return Y

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X

    def operations(self):
        return []
