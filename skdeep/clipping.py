"""Gradient clipping, in place: first every component, then the norm of the whole."""

from __future__ import annotations

import math

import numpy as np

from skdeep.kernels import numpy_kernels


def clip_gradient(
    g: np.ndarray, clip_value: float | None, clip_norm: float | None, kernels=numpy_kernels
) -> None:
    """Limit every component to +-clip_value, then scale to at most the norm clip_norm."""
    if clip_value is not None:
        kernels.clip_values(g, clip_value)
    if clip_norm is not None:
        norm = gradient_norm(g, kernels)
        if norm > clip_norm:
            kernels.scale(g, clip_norm / norm)


def gradient_norm(g: np.ndarray, kernels=numpy_kernels) -> float:
    """Return the Euclidean norm; if the squares overflow, those of g / max |g| are used instead."""
    squares = kernels.sum_of_squares(g)
    if math.isfinite(squares):
        return math.sqrt(squares)
    largest = float(np.abs(g).max())
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(kernels.sum_of_squares(g / largest))
