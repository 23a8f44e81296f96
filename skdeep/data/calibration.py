"""Temperatures: the factor of the logits with which probabilities are most honest."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from skdeep.losses import Loss

# Few rows that are all predicted correctly would ask for infinite logits.
_MOST = 8.0


def temperature(loss: Loss, Y: np.ndarray, Z: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the number t > 0 for which the loss of the logits t * Z is lowest."""
    bound = math.log(_MOST)
    found = minimize_scalar(
        lambda log_t: loss_of_scaled(loss, Y, Z, weight, math.exp(log_t)),
        bounds=(-bound, bound),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return math.exp(found.x)


def loss_of_scaled(loss: Loss, Y: np.ndarray, Z: np.ndarray, weight, t: float) -> float:
    """Return the loss of the logits t * Z."""
    scaled = t * Z
    return loss.value_and_grad(Y, scaled, weight, np.empty_like(scaled))


def calibrated_loss(loss: Loss, Y: np.ndarray, Z: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the loss with the best temperature: what is left if confidence does not count."""
    return loss_of_scaled(loss, Y, Z, weight, temperature(loss, Y, Z, weight))
