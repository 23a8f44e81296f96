"""Losses on raw outputs, with their gradients: one pass over elements, one to weight them.

If a loss is a sum or mean over elements, its rule is a function (y, z, c) -> (loss, derivative by
z) of one element. Multiclass losses work row by row. Both write the losses of the elements to
`work` and their derivatives to Z, and `finish` weights and scales them.
"""

from __future__ import annotations

import math

import numpy as np

from skdeep.kernels import numpy_kernels
from skdeep.kernels.numba_kernels.activations import RULES
from skdeep.kernels.numba_kernels.compiling import compiled, inlined, like, specialized
from skdeep.kernels.numba_kernels.elementary import (
    absolute,
    exp,
    expm1_nonpositive,
    log1p_unit,
    polynomial,
    sigmoid,
    softplus,
    tanh,
)


@compiled(reorders=True)
def _total(x):
    total = like(x[0], 0.0)
    for i in range(x.size):
        total += x[i]
    return total


_negligible = polynomial([numpy_kernels.NEGLIGIBLE["f"]], [numpy_kernels.NEGLIGIBLE["d"]])


@inlined
def _settled(x):
    return like(x, 0.0) if absolute(x) < _negligible(x) else x


@compiled
def finish(losses, Z, weight, divisor):
    """Scale the gradient in Z; return the weighted sum of losses. Both are divided by divisor."""
    scale = like(Z[0, 0], 1.0 / divisor)
    value = 0.0
    if weight.size == 0:
        flat = Z.reshape(-1)
        for i in range(flat.size):
            flat[i] = _settled(flat[i] * scale)
        elements = losses.reshape(-1)
        for start in range(0, elements.size, 4096):
            value += _total(elements[start : start + 4096])
        return value / divisor
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = _settled(Z[i, j] * (weight[i] * scale))
        value += weight[i] * _total(losses[i])
    return value / divisor


# Placeholders, which `specialized` replaces.
rule = squared = None


def _by_element(Y, Z, weight, work, divisor, c):
    y, z, losses = Y.reshape(-1), Z.reshape(-1), work.reshape(-1)
    c = like(z[0], c)
    for i in range(z.size):
        losses[i], z[i] = rule(y[i], z[i], c)
    return finish(work, Z, weight, divisor)


def by_element(name: str, link: str):
    """Return value_and_grad for a rule behind an output activation, which may be the identity."""
    named = f"{name}_{link}"
    if link == "identity":
        return specialized(_by_element, named, rule=BY_ELEMENT[name])
    if link == "exponential" and name in BY_EXPONENT:
        return specialized(_by_element, named, rule=BY_EXPONENT[name])
    on_prediction, (activation, slope) = BY_ELEMENT[name], RULES[link]

    @inlined
    def on_output(y, z, c):
        p = activation(z, like(z, 1.0))
        loss, derivative = on_prediction(y, p, c)
        return loss, derivative * slope(z, p, like(z, 1.0))

    return specialized(_by_element, named, rule=on_output)


# Elements -----------------------------------------------------------------------------------


@inlined
def _sign(x):
    sign = like(x, 1.0) if x > like(x, 0.0) else x
    return like(x, -1.0) if x < like(x, 0.0) else sign


@inlined
def _log_loss(y, z, c):
    return softplus(z) - z * y, sigmoid(z) - y


@inlined
def _brier(y, z, c):
    p = sigmoid(z)
    d = p - y
    return like(z, 0.5) * d * d, d * p * (like(z, 1.0) - p)


@inlined
def _focal(y, z, gamma):
    p, q = sigmoid(z), sigmoid(-z)
    minus_log_p, minus_log_q = softplus(-z), softplus(z)
    p_gamma, q_gamma = like(z, p**gamma), like(z, q**gamma)
    other = like(z, 1.0) - y
    loss = y * q_gamma * minus_log_p + other * p_gamma * minus_log_q
    grad = other * p_gamma * (gamma * q * minus_log_q + p)
    return loss, grad - y * q_gamma * (gamma * p * minus_log_p + q)


@inlined
def _margin(y, z):
    """Return t = +-1 and max(0, 1 - t z)."""
    t = like(z, 2.0) * y - like(z, 1.0)
    margin = like(z, 1.0) - t * z
    return t, like(z, 0.0) if margin < like(z, 0.0) else margin


@inlined
def _hinge(y, z, c):
    t, margin = _margin(y, z)
    return margin, -t * _sign(margin)


@inlined
def _squared_hinge(y, z, c):
    t, margin = _margin(y, z)
    return margin * margin, like(z, -2.0) * t * margin


@inlined
def _squared_error(y, z, c):
    r = z - y
    return like(z, 0.5) * r * r, r


@inlined
def _absolute_error(y, z, c):
    r = z - y
    return absolute(r), _sign(r)


@inlined
def _huber(y, z, delta):
    r = z - y
    cut = -delta if r < -delta else r
    cut = delta if cut > delta else cut
    return cut * (r - like(z, 0.5) * cut), cut


@inlined
def _log_cosh(y, z, c):
    r = z - y
    size = absolute(r)
    return size + log1p_unit(exp(like(z, -2.0) * size)) - like(z, math.log(2)), tanh(r)


@inlined
def _quantile(y, z, q):
    r = z - y
    tilt = like(z, 0.5) - q
    return like(z, 0.5) * absolute(r) + tilt * r, like(z, 0.5) * _sign(r) + tilt


@inlined
def _y_log_y(y):
    return like(y, 0.0) if y == like(y, 0.0) else like(y, y * math.log(y))


@inlined
def _poisson(y, p, c):
    # If y is 0 the ratio is 0, even if p is too small for a floating-point number.
    is_zero = y == like(y, 0.0)
    log_p = like(p, 0.0) if is_zero else like(p, y * math.log(p))
    ratio = like(p, 0.0) if is_zero else y / p
    return _y_log_y(y) - log_p - y + p, like(p, 1.0) - ratio


@inlined
def _poisson_exponential(y, z, c):
    p = exp(z)
    return _y_log_y(y) - y - y * z + p, p - y


@inlined
def _gamma(y, p, c):
    ratio = y / p
    return ratio - like(p, math.log(ratio)) - like(p, 1.0), (like(p, 1.0) - ratio) / p


@inlined
def _gamma_exponential(y, z, c):
    ratio = y * exp(-z)
    return z - like(z, math.log(y)) - like(z, 1.0) + ratio, like(z, 1.0) - ratio


BY_ELEMENT = {
    "log_loss": _log_loss,
    "brier": _brier,
    "focal": _focal,
    "hinge": _hinge,
    "squared_hinge": _squared_hinge,
    "squared_error": _squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "poisson": _poisson,
    "gamma": _gamma,
}
# for the exponential as output activation: no quotient is needed
BY_EXPONENT = {"poisson": _poisson_exponential, "gamma": _gamma_exponential}


# Multiclass ---------------------------------------------------------------------------------


@inlined
def _less_the_largest(Z):
    """Do Z <- Z - max, row by row; NaN stays."""
    for i in range(Z.shape[0]):
        largest = Z[i, 0]
        for j in range(1, Z.shape[1]):
            z = Z[i, j]
            largest = z if z > largest or z != z else largest
        for j in range(Z.shape[1]):
            Z[i, j] -= largest


@inlined
def _exp_all(Z, out):
    """Write e^Z for all rows at once: for few columns this is faster than row by row."""
    z, y = Z.reshape(-1), out.reshape(-1)
    for i in range(z.size):
        y[i] = exp(z[i])


@inlined
def _row_sum(A, i):
    total = A[i, 0]
    for j in range(1, A.shape[1]):
        total += A[i, j]
    return total


@compiled
def _multiclass_log_loss(Y, Z, weight, work, divisor, c):
    _less_the_largest(Z)
    _exp_all(Z, work)
    value = 0.0
    scale = like(Z[0, 0], 1.0 / divisor)
    for i in range(Z.shape[0]):
        total = _row_sum(work, i)
        right = like(total, 0.0)
        factor = scale if weight.size == 0 else scale * weight[i]
        for j in range(Z.shape[1]):
            y = Y[i, j]
            right += y * Z[i, j]
            Z[i, j] = _settled((work[i, j] / total - y) * factor)
        value += (math.log(total) - right) * factor
    return value


@compiled
def _multiclass_brier(Y, Z, weight, work, divisor, c):
    _less_the_largest(Z)
    _exp_all(Z, work)
    for i in range(Z.shape[0]):
        total = _row_sum(work, i)
        inner = like(total, 0.0)
        for j in range(Z.shape[1]):
            p = work[i, j] / total
            d = p - Y[i, j]
            inner += d * p
            work[i, j], Z[i, j] = d, p
        for j in range(Z.shape[1]):
            d, p = work[i, j], Z[i, j]
            work[i, j], Z[i, j] = like(d, 0.5) * d * d, p * (d - inner)
    return finish(work, Z, weight, divisor)


@compiled
def _multiclass_focal(Y, Z, weight, work, divisor, gamma):
    gamma = like(Z[0, 0], gamma)
    tiny = like(gamma, np.finfo(Z.dtype).tiny)
    _less_the_largest(Z)
    _exp_all(Z, work)
    for i in range(Z.shape[0]):
        log_total = like(gamma, math.log(_row_sum(work, i)))
        inner = like(gamma, 0.0)
        for j in range(Z.shape[1]):
            log_p, y = Z[i, j] - log_total, Y[i, j]
            p = exp(log_p)
            # 1 - p without cancellation near p = 1, and never 0
            q = -expm1_nonpositive(log_p)
            q = tiny if q < tiny else q
            power = like(q, q**gamma)
            slope = y * (gamma * power / q * p * log_p - power)
            inner += slope
            work[i, j] = slope
            Z[i, j] = log_p
        for j in range(Z.shape[1]):
            log_p, y, slope = Z[i, j], Y[i, j], work[i, j]
            q = -expm1_nonpositive(log_p)
            q = tiny if q < tiny else q
            work[i, j] = -y * like(q, q**gamma) * log_p
            Z[i, j] = slope - exp(log_p) * inner
    return finish(work, Z, weight, divisor)


def _crammer_singer(Y, Z, weight, work, divisor, c):
    zero = like(Z[0, 0], 0.0)
    for i in range(Z.shape[0]):
        right = 0
        for j in range(1, Y.shape[1]):
            right = j if Y[i, j] > Y[i, right] else right
        rival = 1 if right == 0 else 0
        for j in range(Y.shape[1]):
            if j != right and (Z[i, j] > Z[i, rival] or Z[i, j] != Z[i, j]):
                rival = j
        margin = like(zero, 1.0) + Z[i, rival] - Z[i, right]
        margin = zero if margin < zero else margin
        loss, slope = (margin * margin, 2 * margin) if squared else (margin, _sign(margin))
        for j in range(Y.shape[1]):
            Z[i, j] = work[i, j] = zero
        Z[i, rival], Z[i, right] = slope, -slope
        work[i, 0] = loss
    return finish(work, Z, weight, divisor)


MULTICLASS = {
    "log_loss": _multiclass_log_loss,
    "brier": _multiclass_brier,
    "focal": _multiclass_focal,
    "hinge": specialized(_crammer_singer, "hinge", squared=False),
    "squared_hinge": specialized(_crammer_singer, "squared_hinge", squared=True),
}
