"""The lookups of embedding layers in NumPy. They allocate a few arrays of the outputs' size."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array


def piecewise_linear_forward(X, knots, V, inverse, segment, fraction, Y) -> None:
    """Interpolate between the rows of V, for every column of X.

    Fills, for an x that lies at the share f between two knots of its column:

    - inverse: 1 / the distance of a knot from the next one; 0 if there is none
    - segment: the position of the lower knot in the table of all knots
    - fraction: f, between 0 and 1
    - Y: the columns of X if there is room for them, and (1 - f) V[lower] + f V[upper]
    """
    n_columns, n_knots, n_numbers = V.shape
    n_kept = Y.shape[1] - n_columns * n_numbers
    _invert_distances(knots, inverse)
    x = np.minimum(X, knots[:, -1])
    every, steps = knots.reshape(-1), np.empty_like(segment)
    segment[...] = np.arange(0, every.size, n_knots)
    n_left = n_knots - 1
    while n_left > 1:  # the lower knot is among n_left knots from `segment` on
        half = n_left // 2
        np.multiply(np.take(every[half:], segment, mode="clip") < x, half, out=steps)
        segment += steps
        n_left -= half
    np.subtract(x, np.take(every, segment, mode="clip"), out=fraction)
    fraction *= np.take(inverse.reshape(-1), segment, mode="clip")
    np.maximum(fraction, 0, out=fraction)
    np.minimum(fraction, 1, out=fraction)
    numbers = np.take(_changes(V), segment, axis=0, mode="clip")
    for o in range(n_numbers):  # a few long loops take less time than many short ones
        numbers[:, :, o] *= fraction
    numbers += np.take(V.reshape(-1, n_numbers), segment, axis=0, mode="clip")
    Y[:, n_kept:] = numbers.reshape(len(Y), -1)
    Y[:, :n_kept] = X[:, :n_kept]


def piecewise_linear_backward(dY, X, knots, V, inverse, segment, fraction, dV, dX) -> None:
    """Fill dV, and dX unless it is empty, from what the forward pass filled."""
    n_columns, _, n_numbers = V.shape
    n_kept = dY.shape[1] - n_columns * n_numbers
    dE = _by_column(dY[:, n_kept:], n_columns)
    pairs = np.stack([segment, segment + 1], axis=-1).reshape(-1)
    shares = np.stack([1 - fraction, fraction], axis=-1).reshape(-1)
    ends = np.arange(0, pairs.size + 1, 2)
    _add_up(pairs, shares, ends, dE, dV)
    if dX.size:
        slope = np.take(_changes(V), segment, axis=0, mode="clip")
        np.einsum("ijo,ijo->ij", slope, dE, out=dX)
        dX *= np.take(inverse.reshape(-1), segment, mode="clip")
        low, high = knots[:, 0], knots[:, -1]
        dX[(low > X) | (high < X)] = 0
        dX[:, :n_kept] += dY[:, :n_kept]


def periodic_forward(X, frequencies, phases, weights, biases, cosines, sines, Y) -> None:
    """Combine waves of every column of X.

    Fills cosines and sines (unless it is empty) with those of 2 pi frequency x + phase, and Y with
    the columns of X, if there is room for them, and weights @ cosines + biases for every column.
    """
    angles = cosines
    np.multiply(X[:, :, None], frequencies, out=angles)
    angles += phases / (2 * math.pi)
    angles -= np.rint(angles)  # whole turns
    angles *= 2 * math.pi
    if sines.size:
        np.sin(angles, out=sines)
    np.cos(angles, out=cosines)
    numbers = np.matmul(cosines.transpose(1, 0, 2), weights.transpose(0, 2, 1))
    numbers += biases[:, None, :]
    n_kept = Y.shape[1] - biases.size
    Y[:, :n_kept] = X[:, :n_kept]
    Y[:, n_kept:] = numbers.transpose(1, 0, 2).reshape(len(Y), -1)


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
) -> None:
    """Fill all gradients, and dX unless it is empty, from what the forward pass filled."""
    n_kept = dY.shape[1] - d_biases.size
    dE = _by_column(dY[:, n_kept:], X.shape[1])
    np.add.reduce(dE, axis=0, out=d_biases)
    dE = np.ascontiguousarray(dE.transpose(1, 0, 2))
    np.matmul(dE.transpose(0, 2, 1), cosines.transpose(1, 0, 2), out=d_weights)
    d_angles = np.matmul(dE, -weights)
    d_angles *= sines.transpose(1, 0, 2)
    np.add.reduce(d_angles, axis=1, out=d_phases)
    np.matmul(2 * math.pi * X.T[:, None, :], d_angles, out=d_frequencies[:, None, :])
    if dX.size:
        slopes = np.matmul(d_angles, 2 * math.pi * frequencies[:, :, None])
        dX[...] = slopes[:, :, 0].T
        dX[:, :n_kept] += dY[:, :n_kept]


def embedding_forward(X, starts, table, positions, Y) -> None:
    """Write the row of the table for every code; column j has the rows from starts[j] on.

    Fills positions, with those of the rows. A number that is no code of its column counts as 0.
    """
    is_code = (X >= 0) & (np.diff(starts) > X)
    positions[...] = np.where(is_code, X, 0)
    positions += starts[:-1]
    np.take(table, positions, axis=0, out=_by_column(Y, X.shape[1]), mode="clip")


def embedding_backward(dY, positions, d_table) -> None:
    """Fill the gradient of the table from what the forward pass filled."""
    ends = np.arange(positions.size + 1)
    shares = np.ones(positions.size, dY.dtype)
    _add_up(positions.reshape(-1), shares, ends, dY, d_table)


def _invert_distances(knots, inverse) -> None:
    inverse[:, -1] = 0
    np.subtract(knots[:, 1:], knots[:, :-1], out=inverse[:, :-1])
    is_apart = inverse >= np.finfo(inverse.dtype).tiny
    np.reciprocal(inverse, out=inverse, where=is_apart)
    inverse[~is_apart] = 0


def _changes(V):
    """Return what each row of V lacks to be the next one."""
    rows = V.reshape(-1, V.shape[-1])
    return np.diff(rows, axis=0, append=rows[-1:])


def _by_column(A, n_columns: int):
    """Return a view with an axis for the columns of X, and one for the numbers of each."""
    return A.reshape(len(A), n_columns, -1)


def _add_up(positions, shares, ends, dE, out) -> None:
    """Fill the gradient of tables, from the positions and the shares of the rows in each sum."""
    flat = out.reshape(-1, out.shape[-1])
    sums = csr_array((shares, positions, ends), shape=(len(ends) - 1, len(flat)))
    flat[...] = sums.T @ dE.reshape(-1, flat.shape[1])
