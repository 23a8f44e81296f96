"""Gradient clipping, in place: every component, the norm of each parameter, that of the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from skdeep.kernels import numpy_kernels


def clip_gradient(
    g: np.ndarray,
    clip_value: float | None,
    clip_norm: float | None,
    kernels=numpy_kernels,
    *,
    clip_parameter_norm: float | None = None,
    pieces: Sequence[np.ndarray] = (),
) -> None:
    """Limit every component to +-clip_value, then scale to at most the norm clip_norm.

    In between, scale each of the `pieces`, 1-D views into g, to at most clip_parameter_norm.
    """
    if clip_value is not None:
        kernels.clip_values(g, clip_value)
    if clip_parameter_norm is not None:
        for piece in pieces:
            _clip_norm(piece, clip_parameter_norm, kernels)
    if clip_norm is not None:
        _clip_norm(g, clip_norm, kernels)


def _clip_norm(g: np.ndarray, limit: float, kernels) -> None:
    norm = gradient_norm(g, kernels)
    if norm > limit:
        kernels.scale(g, limit / norm)


def gradient_norm(g: np.ndarray, kernels=numpy_kernels) -> float:
    """Return the Euclidean norm; if the squares overflow, those of g / max |g| are used instead."""
    squares = kernels.sum_of_squares(g)
    if math.isfinite(squares):
        return math.sqrt(squares)
    largest = float(np.abs(g).max())
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(kernels.sum_of_squares(g / largest))
