"""The lookups of embedding layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from skdeep.kernels.numba_kernels.compiling import compiled, inlined, like, specialized
from skdeep.kernels.numba_kernels.elementary import cos_and_sin_of_turn

# The number of rows whose numbers of one column are looked up together.
ROWS = 256
# The number of knots that one pass over these numbers compares with.
KNOTS = 8
# The numbers of each column in the output: every function for them is compiled for its own count,
# so that a loop over a few numbers becomes one vector instruction.
N_NUMBERS = 1


@cache
def _for_count(template: Callable, n_numbers: int) -> Callable:
    return specialized(template, f"{n_numbers}", N_NUMBERS=n_numbers)


# Piecewise linear functions -----------------------------------------------------------------


@inlined
def _count_below(knots, x, counts):
    """Write the number of inner knots below each x; no x is above the last knot.

    Comparing with all knots takes less time than a binary search, because it is vector code.
    """
    last = knots.size - 1
    for i in range(x.size):
        counts[i] = 0
    for k in range(1, last, KNOTS):
        # beyond the end the last knot stands in, which is not below any x
        a, b, c, d = (
            *(knots[k], knots[min(k + 1, last)]),
            *(knots[min(k + 2, last)], knots[min(k + 3, last)]),
        )
        e, f, g, h = (
            *(knots[min(k + 4, last)], knots[min(k + 5, last)]),
            *(knots[min(k + 6, last)], knots[min(k + 7, last)]),
        )
        for i in range(x.size):
            y = x[i]
            first = np.int32(a < y) + np.int32(b < y) + np.int32(c < y) + np.int32(d < y)
            other = np.int32(e < y) + np.int32(f < y) + np.int32(g < y) + np.int32(h < y)
            counts[i] += first + other


@compiled
def _find_segments(X, knots, inverse, segment, fraction):
    """Fill inverse, segment and fraction."""
    n_columns, n_knots = knots.shape
    zero, one, tiny = like(X[0, 0], 0.0), like(X[0, 0], 1.0), np.finfo(knots.dtype).tiny
    some, counts = np.empty(ROWS, knots.dtype), np.empty(ROWS, np.int32)
    for j in range(n_columns):
        own, top, inverses = knots[j], knots[j, n_knots - 1], inverse[j]
        inverses[n_knots - 1] = zero
        for k in range(n_knots - 1):
            distance = own[k + 1] - own[k]
            inverses[k] = one / distance if distance >= tiny else zero
        for start in range(0, X.shape[0], ROWS):
            n_rows = min(ROWS, X.shape[0] - start)
            x = some[:n_rows]
            for i in range(n_rows):
                x[i] = top if X[start + i, j] > top else X[start + i, j]
            _count_below(own, x, counts)
            for i in range(n_rows):
                lower = counts[i]
                f = (x[i] - own[lower]) * inverses[lower]
                f = zero if f < zero else f
                segment[start + i, j] = j * n_knots + lower
                fraction[start + i, j] = one if f > one else f


def _interpolate(X, V, segment, fraction, Y):
    n_kept = Y.shape[1] - X.shape[1] * N_NUMBERS
    rows = V.reshape((-1, N_NUMBERS))
    for i in range(X.shape[0]):
        for j in range(n_kept):
            Y[i, j] = X[i, j]
        for j in range(X.shape[1]):
            lower, f, start = segment[i, j], fraction[i, j], n_kept + j * N_NUMBERS
            for o in range(N_NUMBERS):
                v = rows[lower, o]
                Y[i, start + o] = v + f * (rows[lower + 1, o] - v)


def _scatter(dY, segment, fraction, dV):
    flat, rows = dV.reshape(-1), dV.reshape((-1, N_NUMBERS))
    n_kept = dY.shape[1] - segment.shape[1] * N_NUMBERS
    one = like(dY[0, 0], 1.0)
    for i in range(flat.size):
        flat[i] = 0
    for i in range(dY.shape[0]):
        for j in range(segment.shape[1]):
            lower, f, start = segment[i, j], fraction[i, j], n_kept + j * N_NUMBERS
            for o in range(N_NUMBERS):
                d = dY[i, start + o]
                rows[lower, o] += (one - f) * d
                rows[lower + 1, o] += f * d


def _slopes(dY, X, knots, V, inverse, segment, dX):
    n_kept = dY.shape[1] - X.shape[1] * N_NUMBERS
    rows, inverses, last = V.reshape((-1, N_NUMBERS)), inverse.reshape(-1), knots.shape[1] - 1
    zero = like(dY[0, 0], 0.0)
    for i in range(dY.shape[0]):
        for j in range(X.shape[1]):
            lower, start = segment[i, j], n_kept + j * N_NUMBERS
            slope = zero
            for o in range(N_NUMBERS):
                slope += dY[i, start + o] * (rows[lower + 1, o] - rows[lower, o])
            is_outside = (X[i, j] < knots[j, 0]) | (X[i, j] > knots[j, last])
            slope = zero if is_outside else slope * inverses[lower]
            dX[i, j] = slope + dY[i, j] if n_kept else slope


def piecewise_linear_forward(X, knots, V, inverse, segment, fraction, Y):
    """Fill inverse, segment, fraction and Y; see numpy_kernels."""
    _find_segments(X, knots, inverse, segment, fraction)
    _for_count(_interpolate, V.shape[-1])(X, V, segment, fraction, Y)


def piecewise_linear_backward(dY, X, knots, V, inverse, segment, fraction, dV, dX):
    """Fill dV, and dX unless it is empty, from what the forward pass filled."""
    n_numbers = V.shape[-1]
    _for_count(_scatter, n_numbers)(dY, segment, fraction, dV)
    if dX.size:
        _for_count(_slopes, n_numbers)(dY, X, knots, V, inverse, segment, dX)


# Periodic functions -------------------------------------------------------------------------


@compiled
def _waves(X, frequencies, phases, cosines, sines):
    two_pi = like(X[0, 0], 2 * math.pi)
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            x, w, b = X[i, j], frequencies[j], phases[j]
            c, s = cosines[i, j], sines[i, j]
            for k in range(w.size):
                c[k], s[k] = cos_and_sin_of_turn(w[k] * x + b[k] / two_pi)


@compiled(reorders=True)
def _combine_waves(X, weights, biases, cosines, Y):
    n_columns, n_numbers, n_waves = weights.shape
    n_kept = Y.shape[1] - n_columns * n_numbers
    for i in range(X.shape[0]):
        for j in range(n_kept):
            Y[i, j] = X[i, j]
        for j in range(n_columns):
            c, start = cosines[i, j], n_kept + j * n_numbers
            for o in range(n_numbers):
                w, total = weights[j, o], like(X[0, 0], 0.0)
                for k in range(n_waves):
                    total += w[k] * c[k]
                Y[i, start + o] = total + biases[j, o]


@compiled(reorders=True)
def periodic_backward(
    dY,
    X,
    frequencies,
    weights,
    cosines,
    sines,
    d_frequencies,
    d_phases,
    d_weights,
    d_biases,
    dX,
):
    """Fill all gradients, and dX unless it is empty, from what the forward pass filled."""
    n_columns, n_numbers, n_waves = weights.shape
    n_kept = dY.shape[1] - n_columns * n_numbers
    zero, two_pi = like(dY[0, 0], 0.0), like(dY[0, 0], 2 * math.pi)
    d_frequencies[:, :] = zero
    d_phases[:, :] = zero
    d_weights[:, :, :] = zero
    d_biases[:, :] = zero
    dz = np.empty(n_waves, dY.dtype)
    for i in range(dY.shape[0]):
        for j in range(n_columns):
            c, s, start = cosines[i, j], sines[i, j], n_kept + j * n_numbers
            for k in range(n_waves):
                dz[k] = zero
            for o in range(n_numbers):
                d, w, dw = dY[i, start + o], weights[j, o], d_weights[j, o]
                d_biases[j, o] += d
                for k in range(n_waves):
                    dw[k] += d * c[k]
                    dz[k] -= d * w[k]
            turn = two_pi * X[i, j]
            d_phase, d_frequency = d_phases[j], d_frequencies[j]
            for k in range(n_waves):
                dz[k] *= s[k]
                d_phase[k] += dz[k]
                d_frequency[k] += turn * dz[k]
            if dX.size:
                total, f = zero, frequencies[j]
                for k in range(n_waves):
                    total += dz[k] * f[k]
                dX[i, j] = two_pi * total + (dY[i, j] if n_kept else zero)


def periodic_forward(X, frequencies, phases, weights, biases, cosines, sines, Y):
    """Fill cosines, sines and Y; see numpy_kernels."""
    _waves(X, frequencies, phases, cosines, sines)
    _combine_waves(X, weights, biases, cosines, Y)


# Codes --------------------------------------------------------------------------------------


@compiled
def embedding_forward(X, starts, table, positions, Y):
    """Fill positions and Y; see numpy_kernels."""
    n_numbers = table.shape[1]
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            x, position = X[i, j], starts[j]
            if x >= 0 and x < starts[j + 1] - starts[j]:  # not so for NaN
                position += np.int64(x)
            positions[i, j] = position
            row, start = table[position], j * n_numbers
            for o in range(n_numbers):
                Y[i, start + o] = row[o]


@compiled
def embedding_backward(dY, positions, d_table):
    """Fill the gradient of the table from what the forward pass filled."""
    flat, n_numbers = d_table.reshape(-1), d_table.shape[1]
    for i in range(flat.size):
        flat[i] = 0
    for i in range(dY.shape[0]):
        for j in range(positions.shape[1]):
            row, start = d_table[positions[i, j]], j * n_numbers
            for o in range(n_numbers):
                row[o] += dY[i, start + o]
