"""Constraints: projections of an array, in place, after every step of the optimizer.

Norms are taken over the incoming weights of each unit: the columns of a kernel. A bias counts as
a kernel with one row.
"""

from __future__ import annotations

import math

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit


class Constraint(Component):
    """Base class: a subclass implements `project`.

    An instance can be called with an array, and returns the projected copy.
    """

    def __call__(self, w) -> np.ndarray:
        """Return the nearest array that is allowed."""
        self.check()
        projected = np.array(w, order="C", ndmin=1)
        if projected.dtype != np.float32:
            projected = projected.astype(np.float64)
        self.project(projected)
        return projected

    def project(self, w: np.ndarray) -> None:
        """w <- the nearest array that is allowed."""
        raise NotImplementedError


def _columns_and_norms(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    W = w.reshape(-1, w.shape[-1]) if w.ndim > 1 else w[None, :]
    norms = np.sqrt(np.einsum("ij,ij->j", W, W))
    # A division by infinity would make weights 0 unnoticed; NaN is reported as divergence.
    norms[np.isinf(norms)] = np.nan
    return W, norms


class MaxNorm(Constraint):
    """||w|| <= max_value: longer columns are scaled down.

    Parameters
    ----------
    max_value : float, default=2.0
    """

    _limits = {"max_value": Limit(0, closed="(]", special=(math.inf,))}

    def __init__(self, max_value: float = 2.0):
        self.max_value = max_value

    def project(self, w):
        W, norms = _columns_and_norms(w)
        W *= np.minimum(1, self.max_value / np.maximum(norms, np.finfo(W.dtype).tiny))


class UnitNorm(Constraint):
    """||w|| = 1; w = 0 stays 0."""

    def project(self, w):
        W, norms = _columns_and_norms(w)
        W /= np.where(norms == 0, 1, norms)


class MinMaxNorm(Constraint):
    """min_value <= ||w|| <= max_value; each step covers the share `rate` of the way; w = 0 stays 0.

    Parameters
    ----------
    min_value : float, default=0.0
    max_value : float, default=1.0
    rate : float, default=1.0
    """

    _limits = {
        "min_value": Limit(0),
        "max_value": Limit(0, special=(math.inf,)),
        "rate": Limit(0, 1, closed="(]"),
    }

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate

    def check(self, what=""):
        super().check(what)
        if self.min_value > self.max_value:
            raise InvalidParameterError(
                f"MinMaxNorm min_value={self.min_value!r} is above max_value={self.max_value!r}; "
                "give min_value <= max_value."
            )

    def project(self, w):
        W, norms = _columns_and_norms(w)
        wanted = np.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * wanted + (1 - self.rate) * norms
        W *= wanted / np.where(norms == 0, 1, norms)


class NonNeg(Constraint):
    """w >= 0."""

    def project(self, w):
        np.maximum(w, 0, out=w)


CONSTRAINTS = {
    "max_norm": MaxNorm,
    "unit_norm": UnitNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
}
