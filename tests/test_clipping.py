"""Gradient clipping: first every component, then the norm of the whole."""

import math

import numpy as np
import pytest

from skdeep.clipping import clip_gradient, gradient_norm

DTYPES = [np.float32, np.float64]
# values, clip_value, clip_norm -> expected
CASES = [
    ([3.0, -4.0], None, None, [3.0, -4.0]),
    ([3.0, -4.0], 3.5, None, [3.0, -3.5]),
    ([3.0, -4.0], None, 5.0, [3.0, -4.0]),
    ([3.0, -4.0], None, 10.0, [3.0, -4.0]),
    ([3.0, -4.0], None, 1.0, [0.6, -0.8]),
    ([3.0, -4.0], 3.0, 3.0, [3 / math.sqrt(2), -3 / math.sqrt(2)]),  # the other order: [1.8, -2.4]
    ([0.0, 0.0], 1.0, 1.0, [0.0, 0.0]),
    ([3.0, -4.0], math.inf, math.inf, [3.0, -4.0]),
    ([], 1.0, 1.0, []),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("g", "clip_value", "clip_norm", "expected"), CASES)
def test_clips_in_place_by_value_then_by_norm(dtype, g, clip_value, clip_norm, expected):
    g = np.array(g, dtype)
    assert clip_gradient(g, clip_value, clip_norm) is None
    assert g.dtype == dtype
    np.testing.assert_allclose(g, expected, rtol=1e-6)


def test_each_parameter_is_clipped_by_its_own_norm_between_the_other_two():
    g = np.array([3.0, -4.0, 0.3, 0.4, 9.0])
    pieces = [g[:2], g[2:4], g[4:]]
    clip_gradient(g, 4.0, None, clip_parameter_norm=1.0, pieces=pieces)
    np.testing.assert_allclose(g, [0.6, -0.8, 0.3, 0.4, 1.0])
    g[:] = [3.0, -5.0, 0.3, 0.4, 9.0]
    clip_gradient(g, 4.0, 1.5, clip_parameter_norm=1.0, pieces=pieces)
    np.testing.assert_allclose(g, [0.6, -0.8, 0.3, 0.4, 1.0])  # its norm is 1.5
    clip_gradient(g, None, 0.15, clip_parameter_norm=1.0, pieces=pieces)
    np.testing.assert_allclose(g, [0.06, -0.08, 0.03, 0.04, 0.1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 8191, 8192, 8193, 100_001])
def test_norm_is_that_of_the_whole_vector(dtype, n, rng):
    g = rng.standard_normal(n).astype(dtype)
    expected = math.sqrt(math.fsum(float(x) ** 2 for x in g))
    assert gradient_norm(g) == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-13)
    clip_gradient(g, None, 0.5)
    assert np.linalg.norm(g.astype(float)) == pytest.approx(min(0.5, expected), rel=1e-5)


def test_the_direction_stays_when_the_norm_is_clipped(rng):
    g = rng.standard_normal(50)
    clipped = g.copy()
    clip_gradient(clipped, None, 1e-3)
    np.testing.assert_allclose(clipped / np.linalg.norm(clipped), g / np.linalg.norm(g))


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e25), (np.float64, 1e200)])
def test_a_gradient_whose_squares_overflow_is_clipped_all_the_same(dtype, size):
    g = np.array([3 * size, -4 * size], dtype)
    with np.errstate(over="ignore"):  # as in a training session
        assert gradient_norm(g) == pytest.approx(5 * size, rel=1e-6)
        clip_gradient(g, None, 1.0)
    np.testing.assert_allclose(g, [0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_has_no_finite_norm(dtype, bad):
    assert not math.isfinite(gradient_norm(np.array([1.0, bad], dtype)))
