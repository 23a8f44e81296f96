"""The inner loops in NumPy. They allocate nothing that grows with the data."""

from __future__ import annotations

import numpy as np

# Below the size at which OpenBLAS splits a dot product over threads: the order of summation, and
# so the last bit of the result, must not depend on how many threads there are.
DOT_BLOCK = 8192
# What the cache holds of a few arrays at once.
BLOCK = 32768


def dense_forward(X, W: np.ndarray, b: np.ndarray | None, out: np.ndarray) -> None:
    """Write X @ W + b; X may be a CSR matrix."""
    if isinstance(X, np.ndarray):
        np.matmul(X, W, out=out)
    else:
        out[...] = X @ W
    if b is not None:
        np.add(out, b, out=out)


def dense_gradient(X, dZ: np.ndarray, out: np.ndarray) -> None:
    """Write X.T @ dZ; X may be a CSR matrix."""
    if isinstance(X, np.ndarray):
        np.matmul(X.T, dZ, out=out)
    else:
        out[...] = X.T @ dZ


def column_sums(A: np.ndarray, out: np.ndarray) -> None:
    """Write the sum of every column."""
    np.add.reduce(A, axis=0, out=out)


def sum_of_squares(x: np.ndarray) -> float:
    """Return the squared norm of a 1-D array, the same for any number of threads."""
    if x.size <= DOT_BLOCK:
        return float(np.dot(x, x))
    total = 0.0
    for start in range(0, x.size, DOT_BLOCK):
        block = x[start : start + DOT_BLOCK]
        total += float(np.dot(block, block))
    return total


def add_scaled(y: np.ndarray, a: float, x: np.ndarray) -> None:
    """Do y <- y + a * x for 1-D arrays.

    SciPy's axpy would do, but SciPy brings a BLAS of its own, whose threads and those of NumPy's
    get in each other's way.
    """
    work = np.empty(min(BLOCK, x.size), x.dtype)
    for start in range(0, x.size, BLOCK):
        x_block = x[start : start + BLOCK]
        product = work[: x_block.size]
        np.multiply(x_block, a, out=product)
        y_block = y[start : start + BLOCK]
        np.add(y_block, product, out=y_block)


def add_l1_penalty(w: np.ndarray, g: np.ndarray, l1: float) -> float:
    """Return l1 * sum |w|, and add l1 * sign(w) to g, for 1-D arrays."""
    total = 0.0
    for start in range(0, w.size, DOT_BLOCK):
        block = w[start : start + DOT_BLOCK]
        total += float(np.add.reduce(np.abs(block)))
        g[start : start + DOT_BLOCK] += l1 * np.sign(block)
    return l1 * total


def add_l2_penalty(w: np.ndarray, g: np.ndarray, l2: float) -> float:
    """Return l2 * sum w^2, and add 2 * l2 * w to g, for 1-D arrays."""
    add_scaled(g, 2 * l2, w)
    return l2 * sum_of_squares(w)


def softmax(Z: np.ndarray) -> None:
    """Do Z <- softmax(Z), row by row."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= np.add.reduce(Z, axis=1, keepdims=True)


def log_softmax(Z: np.ndarray, work: np.ndarray) -> None:
    """Do Z <- log(softmax(Z)), row by row; never -inf for finite Z."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=work)
    Z -= np.log(np.add.reduce(work, axis=1, keepdims=True))


def softmax_cross_entropy(Y, Z: np.ndarray, weight, work: np.ndarray) -> float:
    """Return sum(weight * -sum(Y * log softmax(Z))); Z <- its gradient. Rows of Y sum to 1."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=work)
    total = np.add.reduce(work, axis=1, keepdims=True)
    np.multiply(Z, Y, out=Z)
    losses = np.log(total[:, 0]) - np.add.reduce(Z, axis=1)
    np.divide(work, total, out=Z)
    Z -= Y
    if weight is None:
        return float(np.add.reduce(losses))
    Z *= weight[:, None]
    return float(np.add.reduce(losses * weight))


def gather_one_hot(codes: np.ndarray, rows, on: float, off: float, out: np.ndarray) -> None:
    """Write one row a code: `on` in the code's column, `off` in all others."""
    out.fill(off)
    out[np.arange(len(out)), codes[rows]] = on


def fill_dropout_mask(rng: np.random.Generator, rate: float, out: np.ndarray) -> None:
    """Write 0 with probability `rate`, else 1 / (1 - rate)."""
    rng.random(out=out, dtype=out.dtype)
    np.greater_equal(out, rate, out=out)
    out *= 1.0 / (1.0 - rate)


def fill_normal(rng: np.random.Generator, scale: float, out: np.ndarray) -> None:
    """Write Gaussian numbers with mean 0 and this standard deviation."""
    rng.standard_normal(out=out, dtype=out.dtype)
    out *= scale


def batch_norm_forward(X, mean, variance, epsilon, gamma, beta, X_hat, inverse_std, out) -> None:
    """Write X_hat = (X - mean) / sqrt(variance + epsilon) and out = gamma * X_hat + beta.

    Where `mean` and `variance` are the batch's own, `batch_norm_backward` gives the derivative.
    """
    np.add(variance, epsilon, out=inverse_std)
    np.sqrt(inverse_std, out=inverse_std)
    np.reciprocal(inverse_std, out=inverse_std)
    np.subtract(X, mean, out=X_hat)
    X_hat *= inverse_std
    np.multiply(X_hat, gamma, out=out)
    out += beta


def batch_norm_backward(dY, X_hat, gamma, inverse_std, d_gamma, d_beta, work) -> None:
    """Fill d_gamma and d_beta; dY <- dX, for statistics that came from the batch itself."""
    np.multiply(dY, X_hat, out=work)
    np.add.reduce(work, axis=0, out=d_gamma)
    np.add.reduce(dY, axis=0, out=d_beta)
    n_rows = len(dY)
    np.multiply(X_hat, d_gamma / n_rows, out=work)
    dY -= work
    dY -= d_beta / n_rows
    dY *= gamma * inverse_std
