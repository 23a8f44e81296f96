"""The lookups of embedding layers in NumPy. They allocate a few arrays of the outputs' size."""

from __future__ import annotations

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
