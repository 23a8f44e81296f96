"""Prediction with batch norm folded into the dense layers beside it.

At prediction a batch norm is one multiplication and one addition a column, which a dense layer can
do with its weights. That takes a copy of the weights, so it is for many rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdeep.activations import Activation as ActivationFunction
from skdeep.kernels import numpy_kernels
from skdeep.layers.activation import Activation
from skdeep.layers.activity import ActivityRegularization
from skdeep.layers.base import Layer
from skdeep.layers.batch_norm import BatchNorm
from skdeep.layers.dense import Dense
from skdeep.layers.dropout import Dropout
from skdeep.layers.noise import GaussianNoise

# Where a column's mean is so many times its standard deviation, scale * x + shift loses digits that
# (x - mean) keeps.
LARGEST_OFFSET = 100.0
# Classes are asked for by `type(x) is`, as a subclass may do anything.
DO_NOTHING_AT_PREDICTION = (ActivityRegularization, Dropout, GaussianNoise)


class FoldedDense:
    """Y = f(X W + b), with weights of its own: a stand-in for layers, at prediction only."""

    def __init__(self, W: np.ndarray, b: np.ndarray, f: ActivationFunction | None):
        self.W = W
        self.b = b
        self.f = f

    def infer(self, X):
        """Return Y."""
        Y = np.empty((X.shape[0], self.W.shape[1]), self.W.dtype)
        numpy_kernels.dense_forward(X, self.W, self.b, Y)
        if self.f is not None:
            self.f.infer(Y, np.empty_like(Y))
        return Y


def folded(layers: Sequence[Layer]) -> list[Layer | FoldedDense]:
    """Return what does at prediction what the layers do, in fewer passes."""
    steps: list[Layer | FoldedDense] = []
    waiting: BatchNorm | None = None  # comes after a dense layer's activation; the next takes it
    for layer in layers:
        if type(layer) in DO_NOTHING_AT_PREDICTION:
            continue
        before = steps[-1] if steps else None
        if waiting is not None:
            if type(layer) is Dense:
                steps.append(_behind(*waiting.affine(), layer))
                waiting = None
                continue
            steps.append(waiting)
            before, waiting = waiting, None
        if type(layer) is BatchNorm and _is_foldable(layer) and steps:
            if type(before) is Dense and before.activation_ is None:
                steps[-1] = _ahead_of(before, *layer.affine())
            else:
                waiting = layer
        elif type(layer) is Activation and type(before) is FoldedDense and before.f is None:
            before.f = layer.function_
        else:
            steps.append(layer)
    if waiting is not None:
        steps.append(waiting)
    return steps


def _is_foldable(layer: BatchNorm) -> bool:
    std = np.sqrt(layer.variance_.value + layer.epsilon)
    return bool((np.abs(layer.mean_.value) <= LARGEST_OFFSET * std).all())


def _ahead_of(dense: Dense, scale: np.ndarray, shift: np.ndarray) -> FoldedDense:
    """Fold a batch norm into the dense layer that it follows."""
    b = shift if dense.bias_ is None else dense.bias_.value * scale + shift
    return FoldedDense(dense.kernel_.value * scale, b, None)


def _behind(scale: np.ndarray, shift: np.ndarray, dense: Dense) -> FoldedDense:
    """Fold a batch norm into the dense layer that follows it."""
    W = dense.kernel_.value
    b = shift @ W
    if dense.bias_ is not None:
        b += dense.bias_.value
    return FoldedDense(scale[:, None] * W, b, dense.activation_)
