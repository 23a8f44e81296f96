"""Batch normalization with the statistics of the batch, and factors of columns."""

from __future__ import annotations

import math

from skdeep.kernels.numba_kernels.compiling import compiled, like


@compiled
def batch_norm_forward(
    X,
    running_mean,
    running_variance,
    keep,
    epsilon,
    gamma,
    beta,
    mean,
    variance,
    inverse_std,
    X_hat,
    Y,
):
    """Fill mean, variance, inverse_std, X_hat and Y; update the running statistics."""
    n_rows, n_columns = X.shape
    one = like(X[0, 0], 1.0)
    share = like(one, 1.0 / n_rows)
    for j in range(n_columns):
        mean[j] = variance[j] = 0
    for i in range(n_rows):
        for j in range(n_columns):
            mean[j] += X[i, j]
    for j in range(n_columns):
        mean[j] *= share
    for i in range(n_rows):
        for j in range(n_columns):
            d = X[i, j] - mean[j]
            variance[j] += d * d
    old, new = like(one, keep), like(one, 1.0 - keep)
    for j in range(n_columns):
        variance[j] *= share
        running_mean[j] = old * running_mean[j] + new * mean[j]
        running_variance[j] = old * running_variance[j] + new * variance[j]
        inverse_std[j] = one / like(one, math.sqrt(variance[j] + like(one, epsilon)))
    for i in range(n_rows):
        for j in range(n_columns):
            x_hat = (X[i, j] - mean[j]) * inverse_std[j]
            X_hat[i, j] = x_hat
            Y[i, j] = gamma[j] * x_hat + beta[j]


@compiled
def batch_norm_backward(dY, X_hat, gamma, inverse_std, d_gamma, d_beta, work):
    """Fill d_gamma and d_beta; dY <- dX."""
    n_rows, n_columns = dY.shape
    share = like(dY[0, 0], 1.0 / n_rows)
    for j in range(n_columns):
        d_gamma[j] = d_beta[j] = 0
    for i in range(n_rows):
        for j in range(n_columns):
            d = dY[i, j]
            d_gamma[j] += d * X_hat[i, j]
            d_beta[j] += d
    for i in range(n_rows):
        for j in range(n_columns):
            d = dY[i, j] - share * (X_hat[i, j] * d_gamma[j] + d_beta[j])
            dY[i, j] = d * gamma[j] * inverse_std[j]


@compiled
def scale_columns(X, s, Y):
    """Write Y = s * X, with a factor for each column."""
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            Y[i, j] = X[i, j] * s[j]


@compiled
def scale_columns_backward(dY, X, s, ds, work):
    """Fill ds; dY <- dX."""
    for j in range(dY.shape[1]):
        ds[j] = 0
    for i in range(dY.shape[0]):
        for j in range(dY.shape[1]):
            d = dY[i, j]
            ds[j] += d * X[i, j]
            dY[i, j] = d * s[j]
