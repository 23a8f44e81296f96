"""Regularizers: penalties, added to the loss without further scaling, and their gradients."""

from __future__ import annotations

import numpy as np

from skdeep._component import Component, Limit
from skdeep.kernels import numpy_kernels


class Regularizer(Component):
    """Base class: a subclass implements `penalize`.

    An instance can be called with an array, and returns the penalty.
    """

    def __call__(self, w) -> float:
        """Return the penalty of an array."""
        self.check()
        w = np.array(w, dtype=np.float64, order="C")
        return float(self.penalize(w, np.zeros_like(w)))

    def penalize(self, w: np.ndarray, g: np.ndarray, scale: float = 1.0) -> float:
        """Return scale * penalty(w), and add its derivative to g."""
        raise NotImplementedError


class L1L2(Regularizer):
    """penalty = l1 * sum |w| + l2 * sum w^2.

    Parameters
    ----------
    l1 : float, default=0.01
    l2 : float, default=0.01
    """

    _limits = {"l1": Limit(0), "l2": Limit(0)}

    def __init__(self, l1: float = 0.01, l2: float = 0.01):
        self.l1 = l1
        self.l2 = l2

    def penalize(self, w, g, scale=1.0):
        return _l1(w, g, scale * self.l1) + _l2(w, g, scale * self.l2)


class L1(Regularizer):
    """penalty = l1 * sum |w|.

    Parameters
    ----------
    l1 : float, default=0.01
    """

    _limits = {"l1": Limit(0)}

    def __init__(self, l1: float = 0.01):
        self.l1 = l1

    def penalize(self, w, g, scale=1.0):
        return _l1(w, g, scale * self.l1)


class L2(Regularizer):
    """penalty = l2 * sum w^2.

    Parameters
    ----------
    l2 : float, default=0.01
    """

    _limits = {"l2": Limit(0)}

    def __init__(self, l2: float = 0.01):
        self.l2 = l2

    def penalize(self, w, g, scale=1.0):
        return _l2(w, g, scale * self.l2)


def _l1(w: np.ndarray, g: np.ndarray, l1: float) -> float:
    return numpy_kernels.add_l1_penalty(w.reshape(-1), g.reshape(-1), l1) if l1 else 0.0


def _l2(w: np.ndarray, g: np.ndarray, l2: float) -> float:
    return numpy_kernels.add_l2_penalty(w.reshape(-1), g.reshape(-1), l2) if l2 else 0.0


REGULARIZERS = {"l1": L1, "l2": L2, "l1_l2": L1L2}
