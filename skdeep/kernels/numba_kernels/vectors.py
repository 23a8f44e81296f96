"""Passes over flat vectors: penalties, norms, clipping."""

from __future__ import annotations

from skdeep.kernels.numba_kernels.compiling import compiled, like
from skdeep.kernels.numba_kernels.elementary import absolute

BLOCK = 4096


@compiled(reorders=True)
def _squares(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * x[i]
    return total


@compiled(reorders=True)
def _l1_slice(w, g, l1):
    total = like(l1, 0.0)
    for i in range(w.size):
        total += absolute(w[i])
        g[i] += l1 if w[i] > like(l1, 0.0) else (-l1 if w[i] < like(l1, 0.0) else w[i])
    return total


@compiled
def sum_of_squares(x):
    """Return the squared norm."""
    total = 0.0
    for start in range(0, x.size, BLOCK):
        total += _squares(x[start : start + BLOCK])
    return total


@compiled
def add_l1_penalty(w, g, l1):
    """Return l1 * sum |w|, and add l1 * sign(w) to g."""
    total = 0.0
    for start in range(0, w.size, BLOCK):
        s = slice(start, start + BLOCK)
        total += _l1_slice(w[s], g[s], w.dtype.type(l1))
    return l1 * total


@compiled
def add_l2_penalty(w, g, l2):
    """Return l2 * sum w^2, and add 2 * l2 * w to g."""
    rate = w.dtype.type(2.0 * l2)
    for i in range(w.size):
        g[i] += rate * w[i]
    return l2 * sum_of_squares(w)


@compiled
def clip_values(g, limit):
    """Limit every component to +-limit; NaN stays."""
    high = g.dtype.type(limit)
    for i in range(g.size):
        x = -high if g[i] < -high else g[i]
        g[i] = high if x > high else x


@compiled
def _move(average, values, share):
    share = average.dtype.type(share)
    for i in range(average.size):
        average[i] += share * (values[i] - average[i])


def move_towards(average, values, share):
    """Do average <- average + share * (values - average)."""
    if average.shape != values.shape:
        raise ValueError(f"vectors of {average.shape} and {values.shape} do not go together")
    _move(average, values, share)


@compiled
def scale(g, factor):
    """Do g <- factor * g."""
    factor = g.dtype.type(factor)
    for i in range(g.size):
        g[i] *= factor
