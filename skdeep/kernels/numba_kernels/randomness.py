"""Random numbers by counter: element i of an array depends only on i and the seed.

So they do not depend on the number of threads, and equal those of the NumPy kernels.
"""

from __future__ import annotations

import math

import numpy as np

from skdeep.kernels.numba_kernels.compiling import compiled, inlined, like
from skdeep.kernels.numba_kernels.elementary import cos_and_sin_of_turn, log


@inlined
def _hash(i, seed):
    """Return 32 random bits, from the lower 32 bits of a counter and 64 of a seed."""
    x = np.uint32(np.uint32(i) * np.uint32(0x9E3779B1) + np.uint32(seed))
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ np.uint32(seed >> np.int64(32)))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@inlined
def _unit(bits, x, offset):
    """Return (b + offset) / 2^24 as x's type, with b the upper 24 bits."""
    return (like(x, np.int32(bits >> np.uint32(8))) + like(x, offset)) * like(x, 2.0**-24)


@compiled
def _dropout_forward(seed, rate, X, mask, Y):
    threshold = np.uint32(rate * 2.0**32)
    kept = like(mask[0, 0], 1.0 / (1.0 - rate))
    x, m, y = X.reshape(-1), mask.reshape(-1), Y.reshape(-1)
    for i in range(m.size):
        value = kept if _hash(i, seed) >= threshold else like(kept, 0.0)
        m[i] = value
        y[i] = x[i] * value


@compiled
def multiply_by(dY, mask):
    """Do dY <- dY * mask."""
    d, m = dY.reshape(-1), mask.reshape(-1)
    for i in range(d.size):
        d[i] *= m[i]


@compiled
def fill_uniform(seed, low, high, out):
    """Write numbers from [low, high)."""
    x = out.reshape(-1)
    width, low = like(x[0], high - low), like(x[0], low)
    for i in range(x.size):
        x[i] = low + width * _unit(_hash(i, seed), x[0], 0.0)


@compiled
def fill_normal(seed, scale, out):
    """Write Gaussian numbers with mean 0 and this standard deviation (Box and Muller)."""
    x = out.reshape(-1)
    half = (x.size + 1) // 2
    first, second = x[:half], x[half:]
    scale = like(x[0], scale)
    other = seed ^ np.int64(0x5DEECE66D1CE4E5B)
    for i in range(second.size):
        u = _unit(_hash(i, seed), scale, 0.5)
        radius = scale * like(scale, math.sqrt(like(scale, -2.0) * log(u)))
        c, s = cos_and_sin_of_turn(_unit(_hash(i, other), scale, 0.0))
        first[i] = radius * c
        second[i] = radius * s
    if second.size < half:
        i = half - 1
        u = _unit(_hash(i, seed), scale, 0.5)
        radius = scale * like(scale, math.sqrt(like(scale, -2.0) * log(u)))
        first[i] = radius * cos_and_sin_of_turn(_unit(_hash(i, other), scale, 0.0))[0]


@compiled
def _add_arrays(X, Y):
    x, y = X.reshape(-1), Y.reshape(-1)
    for i in range(y.size):
        y[i] += x[i]


def dropout_forward(seed, rate, X, mask, Y):
    """Draw a mask, 0 with probability `rate`, else 1 / (1 - rate); write Y = X * mask."""
    _dropout_forward(seed, rate, X, mask, Y)


def noise_forward(seed, scale, X, Y):
    """Write Y = X + Gaussian noise."""
    fill_normal(seed, scale, Y)
    _add_arrays(X, Y)
