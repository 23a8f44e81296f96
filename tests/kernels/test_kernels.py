"""The inner loops against their definitions, in both sets, on both sides of every block size."""

import math
from inspect import signature

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special as special
from scipy import stats

from skdeep.kernels import draw_seed, numpy_kernels

DTYPES = [np.float32, np.float64]
BLOCKS = [numpy_kernels.DOT_BLOCK, numpy_kernels.BLOCK]
SIZES = [0, 1, 5, *(block + d for block in BLOCKS for d in (-1, 0, 1)), 2 * max(BLOCKS) + 3]


def close(actual, expected, dtype):
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


def garbage(shape, dtype):
    return np.full(shape, np.nan, dtype)


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    """Give each set of kernels in turn."""
    if request.param == "numpy":
        return numpy_kernels
    return pytest.importorskip("skdeep.kernels.numba_kernels")


def test_both_sets_have_one_interface():
    numba_kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
    for name in numba_kernels.__all__:
        ours, reference = getattr(numba_kernels, name), getattr(numpy_kernels, name)
        ours = getattr(ours, "py_func", ours)
        assert [*signature(ours).parameters] == [*signature(reference).parameters], name


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
        numpy_kernels.dense_forward(make(X), W, bias, out)
        close(out, X @ W + (0 if bias is None else b), dtype)
    out = garbage((4, 3), dtype)
    numpy_kernels.dense_gradient(make(X), dZ, out)
    close(out, X.T @ dZ, dtype)
    out = garbage(3, dtype)
    numpy_kernels.column_sums(dZ, out)
    close(out, dZ.sum(axis=0), dtype)


# Vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_sum_of_squares(kernels, dtype, n, rng):
    x = rng.standard_normal(n).astype(dtype)
    value = kernels.sum_of_squares(x)
    assert isinstance(value, float)
    assert value == pytest.approx(math.fsum(float(v) ** 2 for v in x), rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("name", "penalty", "slope"),
    [
        ("add_l1_penalty", np.abs, np.sign),
        ("add_l2_penalty", np.square, lambda w: 2 * w),
    ],
    ids=["l1", "l2"],
)
def test_penalties(kernels, name, penalty, slope, dtype, n, rng):
    w, g = rng.standard_normal((2, n)).astype(dtype)
    expected = g + 0.3 * slope(w)
    value = getattr(kernels, name)(w, g, 0.3)
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
    numpy_kernels.softmax(P)
    numpy_kernels.log_softmax(log_P, garbage(Z.shape, dtype))
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
    value = numpy_kernels.softmax_cross_entropy(Y, gradient, weight, garbage(Z.shape, dtype))
    assert value == pytest.approx(expected, rel=1e-5)
    close(gradient, w[:, None] * (P - Y), dtype)


# Targets, noise -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [[4, 0, 4], [2], []], ids=str)
def test_gather_one_hot(kernels, dtype, rows):
    codes, rows = np.array([2, 0, 1, 1, 0]), np.array(rows, dtype=int)
    out = garbage((len(rows), 3), dtype)
    kernels.gather_one_hot(codes, rows, 0.9, 0.05, out)
    np.testing.assert_array_equal(out, np.where(np.eye(3)[codes[rows]], 0.9, 0.05).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7, 8191, 8193, 20001])
def test_both_sets_draw_the_same_numbers(kernels, dtype, n, rng):
    X = rng.standard_normal((n, 1)).astype(dtype)
    drawn, expected = (
        {name: garbage(X.shape, dtype) for name in ("mask", "Y", "uniform", "normal", "noisy")}
        for _ in range(2)
    )
    seed = draw_seed(rng)
    for kernel_set, out in ((kernels, drawn), (numpy_kernels, expected)):
        kernel_set.dropout_forward(seed, 0.3, X, out["mask"], out["Y"])
        kernel_set.fill_uniform(seed, -1.0, 3.0, out["uniform"])
        kernel_set.fill_normal(seed, 2.5, out["normal"])
        kernel_set.noise_forward(seed, 2.5, X, out["noisy"])
    np.testing.assert_array_equal(drawn["mask"], expected["mask"])
    np.testing.assert_array_equal(drawn["Y"], X * expected["mask"])
    for name in ("uniform", "normal", "noisy"):
        np.testing.assert_allclose(drawn[name], expected[name], rtol=1e-5, atol=1e-5)
    close(drawn["noisy"], X + drawn["normal"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 3), (40, 701)])
def test_some_rows_of_a_batch_get_the_numbers_of_these_rows(kernels, dtype, shape, rng):
    positions = rng.permutation(shape[0])[: shape[0] // 2]
    place = positions, shape[0]
    X = rng.standard_normal(shape).astype(dtype)
    own, seed = np.ascontiguousarray(X[positions]), draw_seed(rng)
    draws = {
        "mask": lambda A, X, *place: kernels.dropout_forward(seed, 0.3, X, A, A.copy(), *place),
        "dropped": lambda A, X, *place: kernels.dropout_forward(seed, 0.3, X, A.copy(), A, *place),
        "uniform": lambda A, X, *place: kernels.fill_uniform(seed, -1.0, 3.0, A, *place),
        "noisy": lambda A, X, *place: kernels.noise_forward(seed, 2.5, X, A, *place),
    }
    for name, draw in draws.items():
        every, some = garbage(shape, dtype), garbage(own.shape, dtype)
        draw(every, X)
        draw(some, own, place)
        assert not np.isnan(some).any(), name
        close(some, every[positions], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.99])
def test_dropout_mask_has_mean_1(kernels, dtype, rate, rng):
    mask, Y = garbage((400, 400), dtype), garbage((400, 400), dtype)
    kernels.dropout_forward(draw_seed(rng), rate, np.ones_like(Y), mask, Y)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)][rate == 0 :], rtol=1e-6)
    standard_error = math.sqrt(rate / (1 - rate)) / 400
    assert mask.mean(dtype=float) == pytest.approx(1, abs=4 * standard_error + 1e-6)


def test_random_bits_are_uniform_and_independent(rng):
    out = np.empty((512, 512))
    seeds = [draw_seed(rng) for _ in range(20)]
    draws = []
    for seed in seeds:
        numpy_kernels.fill_uniform(seed, 0.0, 1.0, out)
        draws.append(out.ravel().copy())
        assert stats.kstest(draws[-1], "uniform").pvalue > 1e-4
        for lag in (1, 2, 3, 4, 8, 64, 512):
            r = np.corrcoef(draws[-1][:-lag], draws[-1][lag:])[0, 1]
            assert abs(r) < 5 / math.sqrt(out.size)
        for column in np.array_split(draws[-1].reshape(512, 512), 8, axis=1):
            assert abs(column.mean() - 0.5) < 5 * math.sqrt(1 / 12 / column.size)
    between = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(between).max() < 5 / math.sqrt(out.size)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**62])
def test_neighbouring_seeds_differ(seed):
    first, second = np.empty((300, 300)), np.empty((300, 300))
    numpy_kernels.fill_uniform(seed, -1.0, 1.0, first)
    numpy_kernels.fill_uniform(seed + 1, -1.0, 1.0, second)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / 300
    # nor is one the other moved by a few places
    for shift in (1, 2, 3):
        assert np.abs(first.ravel()[shift:] - second.ravel()[:-shift]).min() > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_numbers_are_normal(kernels, dtype, rng):
    out = garbage((300, 301), dtype)
    kernels.fill_normal(draw_seed(rng), 2.5, out)
    assert stats.kstest(out.ravel() / 2.5, "norm").pvalue > 1e-4
    halves = out.ravel()[: out.size // 2 * 2].reshape(2, -1)
    assert abs(np.corrcoef(halves)[0, 1]) < 5 / math.sqrt(out.size / 2)


# Scales ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (6, 4), (50, 33)])
def test_scales_there_and_back(kernels, dtype, shape, rng):
    X, dY = rng.standard_normal((2, *shape)).astype(dtype)
    s = rng.standard_normal(shape[1]).astype(dtype)
    Y, work, ds = garbage(shape, dtype), garbage(shape, dtype), garbage(shape[1], dtype)
    kernels.scale_columns(X, s, Y)
    close(Y, X * s, dtype)
    dX = dY.copy()
    kernels.scale_columns_backward(dX, X, s, ds, work)
    close(dX, dY * s, dtype)
    close(ds, (dY * X).sum(axis=0), dtype)


# Batch normalization --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_norm_there_and_back(kernels, dtype, rng):
    X, dY = rng.standard_normal((2, 6, 4)).astype(dtype)
    gamma, beta, running_mean = rng.standard_normal((3, 4)).astype(dtype)
    running_variance = rng.random(4).astype(dtype)
    expected_mean = 0.9 * running_mean + 0.1 * X.mean(axis=0)
    expected_variance = 0.9 * running_variance + 0.1 * X.var(axis=0)
    X_hat, Y, work = (garbage(X.shape, dtype) for _ in range(3))
    mean, variance, inverse_std, d_gamma, d_beta = (garbage(4, dtype) for _ in range(5))
    running = running_mean, running_variance
    own = mean, variance, inverse_std, X_hat, Y
    kernels.batch_norm_forward(X, *running, 0.9, 1e-3, gamma, beta, *own)
    std = np.sqrt(X.var(axis=0) + 1e-3)
    close(mean, X.mean(axis=0), dtype)
    close(variance, X.var(axis=0), dtype)
    close(running_mean, expected_mean, dtype)
    close(running_variance, expected_variance, dtype)
    close(inverse_std, 1 / std, dtype)
    close(X_hat, (X - mean) / std, dtype)
    close(Y, gamma * (X - mean) / std + beta, dtype)

    dX = dY.copy()
    kernels.batch_norm_backward(dX, X_hat, gamma, inverse_std, d_gamma, d_beta, work)
    close(d_gamma, (dY * X_hat).sum(axis=0), dtype)
    close(d_beta, dY.sum(axis=0), dtype)
    # the Jacobian of normalization, column by column, written out
    for j in range(4):
        x_hat = X_hat[:, j].astype(float)
        jacobian = (np.eye(6) - 1 / 6 - np.outer(x_hat, x_hat) / 6) * gamma[j] / std[j]
        close(dX[:, j], jacobian @ dY[:, j], dtype)


# Clipping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_clip_values_and_scale(kernels, dtype):
    g = np.array([-3, -1, 0, 0.5, 2, np.inf, -np.inf, np.nan], dtype)
    kernels.clip_values(g, 1.0)
    np.testing.assert_array_equal(g, [-1, -1, 0, 0.5, 1, 1, -1, np.nan])
    kernels.scale(g, 0.5)
    np.testing.assert_array_equal(g, [-0.5, -0.5, 0, 0.25, 0.5, 0.5, -0.5, np.nan])
    assert g.dtype == dtype
