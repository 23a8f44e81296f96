"""Activations in one pass, with the addition of the bias, or the gradient of the bias.

A rule is a pair of functions of one number: f(z, c) and f'(z, a, c), with a = f(z) and c a
constant of the activation. If the rule does not need z, it is given a in place of z.
"""

from __future__ import annotations

import math

from skdeep.kernels.numba_kernels.compiling import compiled, inlined, like, specialized
from skdeep.kernels.numba_kernels.elementary import (
    absolute,
    exp,
    expm1_nonpositive,
    normal_cdf,
    sigmoid,
    softplus,
    tanh,
)
from skdeep.kernels.numba_kernels.products import multiply_columns, multiply_rows, transpose

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@inlined
def _identity(z, c):
    return z


@inlined
def _identity_slope(z, a, c):
    return like(a, 1.0)


@inlined
def _logistic(z, c):
    return sigmoid(z)


@inlined
def _logistic_slope(z, a, c):
    return a * (like(a, 1.0) - a)


@inlined
def _tanh(z, c):
    return tanh(z)


@inlined
def _tanh_slope(z, a, c):
    return like(a, 1.0) - a * a


@inlined
def _relu(z, c):
    return like(z, 0.0) if z < like(z, 0.0) else z  # this order of the arguments keeps NaN


@inlined
def _step(z, a, c):
    return like(a, 1.0) if a > like(a, 0.0) else like(a, 0.0)


@inlined
def leaky(z, c):
    """Return max(z, c z), for 0 <= c <= 1."""
    scaled = z * c
    return scaled if z < scaled else z


@inlined
def leaky_slope(z, a, c):
    """Return the derivative of max(z, c z)."""
    return like(a, 1.0) if a > like(a, 0.0) else c


@inlined
def _thresholded(z, c):
    return z * (like(z, 1.0) if z > c else like(z, 0.0))


@inlined
def _exp_arm(z):
    """Return e^z - 1 for z < 0, else 0."""
    return expm1_nonpositive(like(z, 0.0) if z > like(z, 0.0) else z)


@inlined
def _elu(z, c):
    below = c * _exp_arm(z)
    return z if z > like(z, 0.0) else below


@inlined
def _elu_slope(z, a, c):
    below = a + c
    return like(a, 1.0) if a > like(a, 0.0) else below


@inlined
def _selu(z, c):
    below = like(z, SELU_ALPHA) * _exp_arm(z)
    return like(z, SELU_SCALE) * (z if z > like(z, 0.0) else below)


@inlined
def _selu_slope(z, a, c):
    below = a + like(a, SELU_SCALE * SELU_ALPHA)
    return like(a, SELU_SCALE) if a > like(a, 0.0) else below


@inlined
def _gelu(z, c):
    return z * normal_cdf(z)


@inlined
def _gelu_slope(z, a, c):
    density = exp(like(z, -0.5) * z * z) * like(z, 1 / math.sqrt(2 * math.pi))
    return normal_cdf(z) + z * density


@inlined
def _swish(z, c):
    return z * sigmoid(c * z)


@inlined
def _swish_slope(z, a, c):
    s = sigmoid(c * z)
    return s + c * a * (like(z, 1.0) - s)


@inlined
def _tanh_of_softplus(z):
    # with e = e^z it is (e^2 + 2 e) / (e^2 + 2 e + 2), which is 1 long before e^2 overflows
    e = exp(like(z, 30.0) if z > like(z, 30.0) else z)
    n = e * (e + like(z, 2.0))
    return n / (n + like(z, 2.0))


@inlined
def _mish(z, c):
    return z * _tanh_of_softplus(z)


@inlined
def _mish_slope(z, a, c):
    t = _tanh_of_softplus(z)
    return t + z * (like(z, 1.0) - t * t) * sigmoid(z)


@inlined
def _softplus(z, c):
    return softplus(z)


@inlined
def _softplus_slope(z, a, c):
    return -expm1_nonpositive(-a)


@inlined
def _softsign(z, c):
    return z / (like(z, 1.0) + absolute(z))


@inlined
def _softsign_slope(z, a, c):
    rest = like(a, 1.0) - absolute(a)
    return rest * rest


@inlined
def _hard_sigmoid(z, c):
    a = z * like(z, 1 / 6) + like(z, 0.5)
    a = like(z, 0.0) if a < like(z, 0.0) else a
    return like(z, 1.0) if a > like(z, 1.0) else a


@inlined
def _hard_sigmoid_slope(z, a, c):
    inside = a * (like(a, 1.0) - a) > like(a, 0.0)
    return like(a, 1 / 6) if inside else like(a, 0.0)


@inlined
def _exponential(z, c):
    return exp(z)


@inlined
def _exponential_slope(z, a, c):
    return a


RULES = {
    "identity": (_identity, _identity_slope),
    "logistic": (_logistic, _logistic_slope),
    "tanh": (_tanh, _tanh_slope),
    "relu": (_relu, _step),
    "leaky_relu": (leaky, leaky_slope),
    "thresholded_relu": (_thresholded, _step),
    "elu": (_elu, _elu_slope),
    "selu": (_selu, _selu_slope),
    "gelu": (_gelu, _gelu_slope),
    "swish": (_swish, _swish_slope),
    "mish": (_mish, _mish_slope),
    "softplus": (_softplus, _softplus_slope),
    "softsign": (_softsign, _softsign_slope),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_slope),
    "exponential": (_exponential, _exponential_slope),
}


# Placeholders, which `specialized` replaces.
rule = slope = keeps_input = run_forward = run_backward = None


def _forward(Y, b, Z, c):
    n_units = Y.shape[1]
    c = like(Y[0, 0], c)
    for i in range(Y.shape[0]):
        for j in range(n_units):
            z = Y[i, j] + b[j]
            if keeps_input:
                Z[i, j] = z
            Y[i, j] = rule(z, c)


def _backward(dA, A, Z, c, db):
    n_units = dA.shape[1]
    c = like(dA[0, 0], c)
    for j in range(n_units):
        db[j] = 0
    for i in range(dA.shape[0]):
        for j in range(n_units):
            a = A[i, j]
            d = dA[i, j] * slope(Z[i, j] if keeps_input else a, a, c)
            dA[i, j] = d
            db[j] += d


def _dense_forward(X, W, b, Y, Z, c):
    multiply_rows(X, W, Y)
    run_forward(Y, b, Z, c)


def _dense_backward(X, dA, A, Z, c, W, W_T, dW, db, dX):
    run_backward(dA, A, Z, c, db)
    multiply_columns(X, dA, dW)
    if dX.size:
        transpose(W, W_T)
        multiply_rows(dA, W_T, dX)


def passes(name: str, keeps_input: bool):
    """Return four functions: both passes, without and with the layer's products.

    - forward(Y, b, Z, c): Y <- f(Y + b); Z <- Y + b, if it is kept
    - backward(dA, A, Z, c, db): dA <- dA * f'; db <- its sums over the rows
    - dense_forward(X, W, b, Y, Z, c): Y <- f(X W + b)
    - dense_backward(X, dA, A, Z, c, W, W_T, dW, db, dX): the gradients of a dense layer;
      W_T is scratch; an empty dX is not computed
    """
    rule, slope = RULES[name]
    forward = specialized(_forward, name, rule=rule, keeps_input=keeps_input)
    backward = specialized(_backward, name, slope=slope, keeps_input=keeps_input)
    dense_forward = specialized(_dense_forward, name, run_forward=forward)
    dense_backward = specialized(_dense_backward, name, run_backward=backward)
    return forward, backward, dense_forward, dense_backward


# Activations with a trained number p for each unit. The inner loops of the forward passes are cut:
# a loop that writes to two arrays takes nearly twice as long as two loops over a row in the cache.


def _prelu_forward(Y, b, Z, G, p, c):
    n_units = Y.shape[1]
    for i in range(Y.shape[0]):
        for j in range(n_units):
            Z[i, j] = Y[i, j] + b[j]
        for j in range(n_units):
            z = Z[i, j]
            Y[i, j] = z * p[j] if z < like(z, 0.0) else z  # this order keeps NaN


def _prelu_backward(dA, Z, G, p, c, dp, db):
    n_units = dA.shape[1]
    for j in range(n_units):
        dp[j] = db[j] = 0
    for i in range(dA.shape[0]):
        for j in range(n_units):
            d, z = dA[i, j], Z[i, j]
            dp[j] += d * (z if z < like(z, 0.0) else like(z, 0.0))
            d = d if z > like(z, 0.0) else d * p[j]
            dA[i, j] = d
            db[j] += d


def _mixed_forward(Y, b, Z, G, p, c):
    n_units = Y.shape[1]
    c = like(Y[0, 0], c)
    for i in range(Y.shape[0]):
        for j in range(n_units):
            Z[i, j] = Y[i, j] + b[j]
        for j in range(n_units):
            G[i, j] = rule(Z[i, j], c)
        for j in range(n_units):
            z = Z[i, j]
            Y[i, j] = (like(z, 1.0) - p[j]) * z + p[j] * G[i, j]


def _mixed_backward(dA, Z, G, p, c, dp, db):
    n_units = dA.shape[1]
    c, one = like(dA[0, 0], c), like(dA[0, 0], 1.0)
    for j in range(n_units):
        dp[j] = db[j] = 0
    for i in range(dA.shape[0]):
        for j in range(n_units):
            d, g = dA[i, j], G[i, j]
            dp[j] += d * (g - Z[i, j])
            d *= one - p[j] + p[j] * slope(Z[i, j] if keeps_input else g, g, c)
            dA[i, j] = d
            db[j] += d


def _dense_forward_by_unit(X, W, b, Y, Z, G, p, c):
    multiply_rows(X, W, Y)
    run_forward(Y, b, Z, G, p, c)


def _dense_backward_by_unit(X, dA, Z, G, p, c, dp, W, W_T, dW, db, dX):
    run_backward(dA, Z, G, p, c, dp, db)
    multiply_columns(X, dA, dW)
    if dX.size:
        transpose(W, W_T)
        multiply_rows(dA, W_T, dX)


def passes_by_unit(name: str, keeps_input: bool):
    """Return four functions like those of `passes`, for an f with a number p_j for each unit j.

    f is PReLU, or f(z) = (1 - p) z + p g(z) with the rule of this name for g.

    - forward(Y, b, Z, G, p, c): Y <- f(Y + b); Z <- Y + b; G <- g(Z), which PReLU leaves out
    - backward(dA, Z, G, p, c, dp, db): dA <- dA * f'; dp and db <- the gradients of p and b
    - dense_forward(X, W, b, Y, Z, G, p, c)
    - dense_backward(X, dA, Z, G, p, c, dp, W, W_T, dW, db, dX)
    """
    if name == "prelu":
        forward, backward = compiled(_prelu_forward), compiled(_prelu_backward)
    else:
        rule, slope = RULES[name]
        forward = specialized(_mixed_forward, name, rule=rule)
        backward = specialized(_mixed_backward, name, slope=slope, keeps_input=keeps_input)
    dense_forward = specialized(_dense_forward_by_unit, name, run_forward=forward)
    dense_backward = specialized(_dense_backward_by_unit, name, run_backward=backward)
    return forward, backward, dense_forward, dense_backward


@compiled
def rrelu_forward(Y, b, slopes):
    """Y <- max(Y + b, slope * (Y + b)), with a slope for each element."""
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = leaky(Y[i, j] + b[j], slopes[i, j])


@compiled
def rrelu_backward(dA, A, slopes, db):
    """dA <- dA * f'; fill the bias's gradient."""
    for j in range(dA.shape[1]):
        db[j] = 0
    for i in range(dA.shape[0]):
        for j in range(dA.shape[1]):
            d = dA[i, j] * leaky_slope(A[i, j], A[i, j], slopes[i, j])
            dA[i, j] = d
            db[j] += d
