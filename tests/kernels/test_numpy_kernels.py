"""The inner loops against their definitions, for sizes on both sides of every block."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special as special

from skdeep import kernels
from skdeep.kernels import numpy_kernels

DTYPES = [np.float32, np.float64]
BLOCKS = [numpy_kernels.DOT_BLOCK, numpy_kernels.BLOCK]
SIZES = [0, 1, 5, *(block + d for block in BLOCKS for d in (-1, 0, 1)), 2 * max(BLOCKS) + 3]


def close(actual, expected, dtype):
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


def garbage(shape, dtype):
    return np.full(shape, np.nan, dtype)


def test_every_kernel_that_is_offered_is_there():
    assert {name for name in kernels.__all__ if not callable(getattr(kernels, name))} == set()
    assert len(set(kernels.__all__)) == len(kernels.__all__)


# Dense ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("n_rows", [1, 6])
def test_dense(dtype, make, n_rows, rng):
    X = (rng.standard_normal((n_rows, 4)) * (rng.random((n_rows, 4)) < 0.6)).astype(dtype)
    W, b = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal(3).astype(dtype)
    dZ = rng.standard_normal((n_rows, 3)).astype(dtype)
    for bias in (b, None):
        out = garbage((n_rows, 3), dtype)
        kernels.dense_forward(make(X), W, bias, out)
        close(out, X @ W + (0 if bias is None else b), dtype)
    out = garbage((4, 3), dtype)
    kernels.dense_gradient(make(X), dZ, out)
    close(out, X.T @ dZ, dtype)
    out = garbage(3, dtype)
    kernels.column_sums(dZ, out)
    close(out, dZ.sum(axis=0), dtype)


# Vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_sum_of_squares(dtype, n, rng):
    x = rng.standard_normal(n).astype(dtype)
    value = kernels.sum_of_squares(x)
    assert isinstance(value, float)
    assert value == pytest.approx(math.fsum(float(v) ** 2 for v in x), rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("kernel", "penalty", "slope"),
    [
        (kernels.add_l1_penalty, np.abs, np.sign),
        (kernels.add_l2_penalty, np.square, lambda w: 2 * w),
    ],
    ids=["l1", "l2"],
)
def test_penalties(kernel, penalty, slope, dtype, n, rng):
    w, g = rng.standard_normal((2, n)).astype(dtype)
    expected = g + 0.3 * slope(w)
    value = kernel(w, g, 0.3)
    assert isinstance(value, float)
    assert value == pytest.approx(0.3 * penalty(w.astype(float)).sum(), rel=1e-4)
    assert g.dtype == dtype
    close(g, expected, dtype)


# Softmax --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [0, 1e4, -1e4])
def test_softmax_and_its_logarithm(dtype, shift, rng):
    Z = (3 * rng.standard_normal((6, 4))).round(2).astype(dtype)
    shifted = Z + dtype(shift)
    P, log_P = shifted.copy(), shifted.copy()
    kernels.softmax(P)
    kernels.log_softmax(log_P, garbage(Z.shape, dtype))
    assert P.dtype == log_P.dtype == dtype
    tolerance = 3e-3 if shift and dtype == np.float32 else 1e-5
    np.testing.assert_allclose(P, special.softmax(Z, axis=1), rtol=tolerance)
    np.testing.assert_allclose(log_P, special.log_softmax(Z, axis=1), rtol=tolerance, atol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy_is_softmax_then_cross_entropy(dtype, weighted, rng):
    Z = rng.standard_normal((6, 4)).astype(dtype)
    Y = rng.dirichlet(np.ones(4), 6).astype(dtype)
    weight = rng.random(6).astype(dtype) if weighted else None
    P = special.softmax(Z, axis=1)
    w = np.ones(6) if weight is None else weight
    expected = -(w * (Y * np.log(P)).sum(axis=1)).sum()
    gradient = Z.copy()
    value = kernels.softmax_cross_entropy(Y, gradient, weight, garbage(Z.shape, dtype))
    assert value == pytest.approx(expected, rel=1e-5)
    close(gradient, w[:, None] * (P - Y), dtype)


# Targets, noise -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [slice(1, 4), np.array([4, 0, 4]), slice(0, 0)], ids=str)
def test_gather_one_hot(dtype, rows):
    codes = np.array([2, 0, 1, 1, 0])
    out = garbage((len(codes[rows]), 3), dtype)
    kernels.gather_one_hot(codes, rows, 0.9, 0.05, out)
    np.testing.assert_array_equal(out, np.where(np.eye(3)[codes[rows]], 0.9, 0.05).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.99])
def test_dropout_mask_has_mean_1(dtype, rate):
    mask = garbage((300, 300), dtype)
    kernels.fill_dropout_mask(np.random.default_rng(0), rate, mask)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)][rate == 0 :], rtol=1e-6)
    assert mask.mean(dtype=float) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_numbers_have_their_scale(dtype):
    out = garbage((300, 300), dtype)
    kernels.fill_normal(np.random.default_rng(0), 2.5, out)
    assert out.mean(dtype=float) == pytest.approx(0, abs=0.05)
    assert out.std(dtype=float) == pytest.approx(2.5, rel=0.02)
    again = np.empty_like(out)
    kernels.fill_normal(np.random.default_rng(0), 2.5, again)
    np.testing.assert_array_equal(again, out)


# Batch normalization --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_there_and_back(dtype, rng):
    X, dY = rng.standard_normal((2, 6, 4)).astype(dtype)
    gamma, beta = rng.standard_normal((2, 4)).astype(dtype)
    mean, variance = X.mean(axis=0), X.var(axis=0)
    X_hat, out, work = (garbage(X.shape, dtype) for _ in range(3))
    inverse_std, d_gamma, d_beta = (garbage(4, dtype) for _ in range(3))
    kernels.batch_norm_forward(X, mean, variance, 1e-3, gamma, beta, X_hat, inverse_std, out)
    std = np.sqrt(variance + 1e-3)
    close(inverse_std, 1 / std, dtype)
    close(X_hat, (X - mean) / std, dtype)
    close(out, gamma * (X - mean) / std + beta, dtype)

    dX = dY.copy()
    kernels.batch_norm_backward(dX, X_hat, gamma, inverse_std, d_gamma, d_beta, work)
    close(d_gamma, (dY * X_hat).sum(axis=0), dtype)
    close(d_beta, dY.sum(axis=0), dtype)
    # the Jacobian of normalization, column by column, written out
    for j in range(4):
        x_hat = X_hat[:, j].astype(float)
        jacobian = (np.eye(6) - 1 / 6 - np.outer(x_hat, x_hat) / 6) * gamma[j] / std[j]
        close(dX[:, j], jacobian @ dY[:, j], dtype)
