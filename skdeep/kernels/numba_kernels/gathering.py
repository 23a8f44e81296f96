"""Rows of a shuffled batch, dense and sparse, and the products of sparse rows."""

from __future__ import annotations

from skdeep.kernels.numba_kernels.compiling import compiled, like


@compiled
def gather_rows(X, rows, out):
    """Write X[rows]."""
    for i in range(rows.size):
        source, target = X[rows[i]], out[i]
        for j in range(target.size):
            target[j] = source[j]


@compiled
def gather_one_hot(codes, rows, on, off, out):
    """Write one row per code: `on` in the code's column, `off` in all others."""
    on, off = like(out[0, 0], on), like(out[0, 0], off)
    for i in range(rows.size):
        for j in range(out.shape[1]):
            out[i, j] = off
        out[i, codes[rows[i]]] = on


@compiled
def scatter_sparse_rows(data, indices, indptr, rows, out):
    """Write rows of a CSR matrix to a dense array."""
    for i in range(rows.size):
        target, row = out[i], rows[i]
        for j in range(target.size):
            target[j] = 0
        for p in range(indptr[row], indptr[row + 1]):
            target[indices[p]] += data[p]


@compiled
def copy_sparse_rows(data, indices, indptr, rows, new_data, new_indices, new_indptr):
    """Write rows of a CSR matrix as a CSR matrix."""
    end = 0
    new_indptr[0] = 0
    for i in range(rows.size):
        row = rows[i]
        for p in range(indptr[row], indptr[row + 1]):
            new_data[end] = data[p]
            new_indices[end] = indices[p]
            end += 1
        new_indptr[i + 1] = end


@compiled
def sparse_forward(data, indices, indptr, W, out):
    """Write X @ W."""
    for i in range(out.shape[0]):
        target = out[i]
        for j in range(target.size):
            target[j] = 0
        for p in range(indptr[i], indptr[i + 1]):
            x, row = data[p], W[indices[p]]
            for j in range(target.size):
                target[j] += x * row[j]


@compiled
def sparse_gradient(data, indices, indptr, dZ, out):
    """Write X.T @ dZ."""
    flat = out.reshape(-1)
    for i in range(flat.size):
        flat[i] = 0
    for i in range(dZ.shape[0]):
        row = dZ[i]
        for p in range(indptr[i], indptr[i + 1]):
            x, target = data[p], out[indices[p]]
            for j in range(row.size):
                target[j] += x * row[j]
