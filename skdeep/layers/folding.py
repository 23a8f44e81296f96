"""Prediction with batch norms and scales folded into the dense layers beside them.

At prediction a batch norm multiplies each column by a number and adds a number to it, which the
weights and the bias of a dense layer can do. A scale only multiplies. Folding copies the weights,
so it pays off for many rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdeep.activations import Activation
from skdeep.kernels import numpy_kernels
from skdeep.layers.base import Layer
from skdeep.layers.operations import (
    Affine,
    Apply,
    Normalize,
    Operation,
    does_nothing_at_prediction,
    operations_of,
)

# If a column's mean is more than this many times its standard deviation, scale * x + shift loses
# digits that (x - mean) keeps.
LARGEST_OFFSET = 100.0


class FoldedDense:
    """Y = f(X W + b), with weights of its own: it stands in for layers, at prediction only."""

    uses_taps = False

    def __init__(self, W: np.ndarray, b: np.ndarray | None, f: Activation | None):
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

    def operations(self) -> list[Operation]:
        """Return the operations that `infer` consists of."""
        affine = Affine(self.W, self.b)
        return [affine] if self.f is None else [affine, Apply(self.f)]


def folded(layers: Sequence[Layer]) -> list[Layer | FoldedDense]:
    """Return a shorter chain of layers that predicts the same outputs."""
    steps: list[Layer | FoldedDense] = []
    waiting: Layer | None = None  # a batch norm that the next layer may take up
    for layer in layers:
        if does_nothing_at_prediction(layer):
            continue
        if waiting is not None:
            step = _behind(waiting, layer)
            steps.append(waiting if step is None else step)
            waiting = None
            if step is not None:
                continue
        step = _onto(steps[-1], layer) if steps else None
        if step is not None:
            steps[-1] = step
        elif _can_wait(layer, bool(steps)):
            waiting = layer
        else:
            steps.append(layer)
    return steps if waiting is None else [*steps, waiting]


def _can_wait(layer: Layer, has_steps_below: bool) -> bool:
    """Whether the next layer may take up a layer; of the inputs, it takes up factors alone."""
    norm = _foldable_norm(layer)
    return norm is not None and (has_steps_below or not norm.mean.any())


def _onto(below: Layer | FoldedDense, layer: Layer) -> FoldedDense | None:
    """Fold a batch norm, or an activation, into the dense layer below; None if that can't be."""
    dense = _dense(below)
    if dense is None or dense.f is not None:
        return None
    norm = _foldable_norm(layer)
    if norm is not None:
        scale, shift = _affine(norm)
        b = shift if dense.b is None else dense.b * scale + shift
        return FoldedDense(dense.W * scale, b, None)
    match operations_of(layer):
        case [Apply(f)]:
            return FoldedDense(dense.W, dense.b, f)
    return None


def _behind(norm: Layer, layer: Layer) -> FoldedDense | None:
    """Fold a batch norm into the dense layer that follows it; None if another layer follows."""
    dense, foldable = _dense(layer), _foldable_norm(norm)
    if dense is None or foldable is None:
        return None
    scale, shift = _affine(foldable)
    b = shift @ dense.W
    if dense.b is not None:
        b += dense.b
    return FoldedDense(scale[:, None] * dense.W, b, dense.f)


def _dense(layer: Layer | FoldedDense) -> FoldedDense | None:
    """Return W, b and f if a layer computes f(X W + b), else None."""
    match operations_of(layer):
        case [Affine(W, b)]:
            return FoldedDense(W, b, None)
        case [Affine(W, b), Apply(f)]:
            return FoldedDense(W, b, f)
    return None


def _foldable_norm(layer: Layer) -> Normalize | None:
    """Return the normalization that a layer is, if folding it keeps enough digits."""
    match operations_of(layer):
        case [Normalize(mean, std) as norm] if (np.abs(mean) <= LARGEST_OFFSET * std).all():
            return norm
    return None


def _affine(norm: Normalize) -> tuple[np.ndarray, np.ndarray]:
    """Return (a, c) for which the normalization is Y = a * X + c."""
    a = norm.scale / norm.std
    return a, norm.shift - a * norm.mean
