"""Random numbers by counter: element i of an array depends only on i and the seed.

So they do not depend on the number of threads, and equal those of the NumPy kernels. `place` is as
there.
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
def _dropout_at(seed, rate, X, mask, Y, positions):
    threshold = np.uint32(rate * 2.0**32)
    kept = like(mask[0, 0], 1.0 / (1.0 - rate))
    for i in range(mask.shape[0]):
        start = positions[i] * mask.shape[1]
        for j in range(mask.shape[1]):
            value = kept if _hash(start + j, seed) >= threshold else like(kept, 0.0)
            mask[i, j] = value
            Y[i, j] = X[i, j] * value


@compiled
def _fill_uniform(seed, low, high, out):
    x = out.reshape(-1)
    width, low = like(x[0], high - low), like(x[0], low)
    for i in range(x.size):
        x[i] = low + width * _unit(_hash(i, seed), x[0], 0.0)


@compiled
def _fill_uniform_at(seed, low, high, out, positions):
    width, low = like(out[0, 0], high - low), like(out[0, 0], low)
    for i in range(out.shape[0]):
        start = positions[i] * out.shape[1]
        for j in range(out.shape[1]):
            out[i, j] = low + width * _unit(_hash(start + j, seed), out[0, 0], 0.0)


@compiled
def _fill_normal(seed, scale, out):
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
def _fill_normal_at(seed, scale, out, positions, n_rows):
    half = (n_rows * out.shape[1] + 1) // 2
    scale = like(out[0, 0], scale)
    other = seed ^ np.int64(0x5DEECE66D1CE4E5B)
    for i in range(out.shape[0]):
        start = positions[i] * out.shape[1]
        for j in range(out.shape[1]):
            k = start + j
            is_second = k >= half
            k -= half if is_second else 0
            u = _unit(_hash(k, seed), scale, 0.5)
            radius = scale * like(scale, math.sqrt(like(scale, -2.0) * log(u)))
            c, s = cos_and_sin_of_turn(_unit(_hash(k, other), scale, 0.0))
            out[i, j] = radius * (s if is_second else c)


@compiled
def _add_arrays(X, Y):
    x, y = X.reshape(-1), Y.reshape(-1)
    for i in range(y.size):
        y[i] += x[i]


def dropout_forward(seed, rate, X, mask, Y, place=None):
    """Draw a mask, 0 with probability `rate`, else 1 / (1 - rate); write Y = X * mask."""
    if place is None:
        _dropout_forward(seed, rate, X, mask, Y)
    else:
        _dropout_at(seed, rate, X, mask, Y, place[0])


def fill_uniform(seed, low, high, out, place=None):
    """Write numbers from [low, high)."""
    if place is None:
        _fill_uniform(seed, low, high, out)
    else:
        _fill_uniform_at(seed, low, high, out, place[0])


def fill_normal(seed, scale, out, place=None):
    """Write Gaussian numbers with mean 0 and this standard deviation (Box and Muller)."""
    if place is None:
        _fill_normal(seed, scale, out)
    else:
        _fill_normal_at(seed, scale, out, *place)


def noise_forward(seed, scale, X, Y, place=None):
    """Write Y = X + Gaussian noise."""
    fill_normal(seed, scale, Y, place)
    _add_arrays(X, Y)
