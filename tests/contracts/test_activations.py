"""Every activation: a derivative, work in place, no memory of earlier batches."""

import pickle

import numpy as np
import pytest

from contract_cases import ACTIVATION_CASES
from contract_tools import (
    GARBAGE,
    assert_gradient,
    each,
    each_dtype,
    each_with,
    peak_memory,
    poison,
    tolerance,
)
from skdeep.activations import Step
from skdeep.parameters import ParameterVector

KINKS = [-3.0, -1.0, 0.0, 0.25, 1.0, 3.0]


def stand_in(make):
    """Return the function whose derivative stands in for that of an activation, or None."""
    return None if make().has_derivative else STAND_INS[type(make())]


STAND_INS = {Step: lambda Z: np.clip(Z, -1, 1)}


class ActivationRun:
    """A training pass of an activation: A = f(Z), and the gradients for Z and its parameters."""

    def __init__(self, make, Z, dA=None, *, seed=0, n_rows=None, garbage=0.0, slopes=None):
        f = make()
        shape = (n_rows or len(Z), Z.shape[1])
        rng = None if seed is None else np.random.default_rng(seed)
        self.vector = ParameterVector(f.build(shape[1]), Z.dtype, np.random.default_rng(0))
        if slopes is not None:
            self.vector.values[:] = slopes
        self.vector.allocate()
        f.allocate(*shape, Z.dtype, rng)
        poison([f], self.vector, garbage)
        self.function = f
        self.A = Z.copy()
        work = np.full_like(Z, garbage)
        kept = Z.copy() if f.needs_input else None
        f.forward(self.A, work)
        if dA is not None:
            self.dZ = dA.copy()
            work.fill(garbage)
            f.backward(self.dZ, self.A.copy(), kept, work)
            self.gradient = self.vector.grads


@pytest.fixture(scope="module")
def points():
    """Pre-activations that keep away from every kink, and a gradient from above."""
    rng = np.random.default_rng(3)
    Z, dA = rng.uniform(-4, 4, (9, 5)), rng.standard_normal((9, 5))
    assert min(np.abs(Z - kink).min() for kink in KINKS) > 1e-3
    return Z, dA


class TestActivations:
    @each_with(ACTIVATION_CASES, ("seed", [0, None]))
    def test_backward_is_the_derivative_of_forward(self, make, seed, points):
        Z, dA = points[0].copy(), points[1]
        run = ActivationRun(make, Z, dA, seed=seed)
        slopes = run.vector.values.copy()

        function = stand_in(make)

        def value():
            if function is not None:
                return np.sum(dA * function(Z))
            return np.sum(dA * ActivationRun(make, Z, seed=seed, slopes=slopes).A)

        assert_gradient(run.dZ, value, Z)
        assert_gradient(run.gradient, value, slopes)

    @each(ACTIVATION_CASES)
    def test_float32_gives_what_float64_gives(self, make, points):
        Z, dA = points
        wide = ActivationRun(make, Z, dA, seed=None)
        narrow = ActivationRun(make, Z.astype(np.float32), dA.astype(np.float32), seed=None)
        for name in ("A", "dZ", "gradient"):
            assert getattr(narrow, name).dtype == np.float32
            np.testing.assert_allclose(
                getattr(narrow, name), getattr(wide, name), **tolerance(np.float32)
            )

    @each_with(ACTIVATION_CASES, each_dtype, ("pass_", ["forward", "backward", "infer"]))
    def test_works_in_place_and_makes_no_arrays(self, make, dtype, pass_):
        Z = np.random.default_rng(0).standard_normal((500, 500)).astype(dtype)
        run = ActivationRun(make, Z, Z)
        f, work = run.function, np.empty_like(Z)
        arguments = (run.dZ, run.A, Z, work) if pass_ == "backward" else (Z, work)
        method = getattr(f, pass_)
        assert peak_memory(lambda: method(*arguments)) < Z.nbytes / 5

    @each_with(ACTIVATION_CASES, each_dtype)
    def test_what_lay_in_a_buffer_does_not_matter(self, make, dtype, points):
        Z, dA = (a.astype(dtype) for a in points)
        clean, *dirty = (ActivationRun(make, Z, dA, garbage=g) for g in (0.0, *GARBAGE))
        for run in dirty:
            for name in ("A", "dZ", "gradient"):
                np.testing.assert_array_equal(getattr(run, name), getattr(clean, name))

    @each_with(ACTIVATION_CASES, each_dtype)
    def test_a_short_batch_is_a_batch(self, make, dtype, points):
        Z, dA = (a.astype(dtype) for a in points)
        short = ActivationRun(make, Z[:4], dA[:4], n_rows=9, garbage=np.nan)
        whole = ActivationRun(make, Z[:4], dA[:4])
        for name in ("A", "dZ", "gradient"):
            np.testing.assert_array_equal(getattr(short, name), getattr(whole, name))

    @each_with(ACTIVATION_CASES, each_dtype)
    def test_infer_is_forward_without_chance(self, make, dtype, points):
        Z = points[0].astype(dtype)
        run = ActivationRun(make, Z, seed=None)
        before = pickle.dumps(run.function)
        A = Z.copy()
        run.function.infer(A, np.full_like(Z, np.nan))
        np.testing.assert_array_equal(A, run.A)
        assert pickle.dumps(run.function) == before

    @each(ACTIVATION_CASES)
    def test_only_the_rng_decides(self, make, points):
        Z, dA = points
        runs = [ActivationRun(make, Z, dA, seed=seed) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(runs[0].A, runs[1].A)
        np.testing.assert_array_equal(runs[0].dZ, runs[1].dZ)
        has_chance = runs[0].function.is_random and make().get_params() != {"lower": 1, "upper": 1}
        assert has_chance == (not np.array_equal(runs[0].A, runs[2].A))

    @each(ACTIVATION_CASES)
    def test_infer_works_before_allocate_and_after_release(self, make, points):
        Z = points[0]
        expected = ActivationRun(make, Z, seed=None)
        fresh = make()
        vector = ParameterVector(fresh.build(5), Z.dtype, np.random.default_rng(0))
        released = expected.function
        released.release()
        for f in (fresh, released):
            A = Z.copy()
            f.infer(A, np.empty_like(Z))
            np.testing.assert_array_equal(A, expected.A)
        assert vector.values.size == expected.vector.values.size

    @each_with({k: v for k, v in ACTIVATION_CASES.items() if k != "exponential"}, each_dtype)
    def test_stays_finite_far_out(self, make, dtype):
        far = np.array([[-3e4, -800, -100, -1e-30, 0, 1e-30, 100, 800, 3e4]]).T.astype(dtype)
        run = ActivationRun(make, far, np.ones_like(far))
        for name in ("A", "dZ", "gradient"):
            assert np.isfinite(getattr(run, name)).all()
