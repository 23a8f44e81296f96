"""Every constraint: a projection, in place."""

import numpy as np
import pytest

from contract_cases import CONSTRAINT_CASES
from contract_tools import each, each_dtype, each_with, tolerance
from skdeep import constraints


class TestConstraints:
    @each_with(CONSTRAINT_CASES, each_dtype, ("shape", [(4, 3), (5,), (1, 1)]))
    def test_projects_in_place(self, make, dtype, shape, rng):
        vector = (3 * rng.standard_normal(16)).astype(dtype)
        before = vector.copy()
        w = vector[2 : 2 + np.prod(shape)].reshape(shape)
        copy = w.copy()
        assert make().project(w) is None
        make().project(copy)
        np.testing.assert_array_equal(w, copy)
        outside = np.r_[:2, 2 + np.prod(shape) : 16]
        np.testing.assert_array_equal(vector[outside], before[outside])
        assert np.isfinite(vector).all()

    @each_with(CONSTRAINT_CASES, each_dtype, ("shape", [(4, 3), (5,)]))
    def test_a_call_returns_the_projected_copy(self, make, dtype, shape, rng):
        w = (3 * rng.standard_normal(shape)).astype(dtype)
        before, expected = w.copy(), w.copy()
        make().project(expected)
        projected = make()(w)
        assert projected.dtype == dtype
        np.testing.assert_array_equal(projected, expected)
        np.testing.assert_array_equal(w, before)
        np.testing.assert_array_equal(make()(np.asfortranarray(w)), expected)

    def test_a_call_takes_lists_of_integers(self):
        np.testing.assert_allclose(constraints.UnitNorm()([[3, 0], [4, 2]]), [[0.6, 0], [0.8, 1]])
        with pytest.raises(ValueError, match="MaxNorm max_value=-1 is not allowed"):
            constraints.MaxNorm(-1)([1.0])

    @pytest.mark.parametrize("name", ["MaxNorm", "MinMaxNorm"])
    def test_a_bound_of_infinity_is_no_bound(self, name, rng):
        w = 3 * rng.standard_normal((4, 3))
        before = w.copy()
        constraint = getattr(constraints, name)(max_value=np.inf)
        constraint.check()
        constraint.project(w)
        np.testing.assert_allclose(w, before, rtol=1e-15)

    @each(CONSTRAINT_CASES)
    def test_changes_what_is_not_allowed(self, make, rng):
        w = np.concatenate([5 * rng.standard_normal((4, 3)), -np.ones((4, 3))], axis=1)
        before = w.copy()
        make().project(w)
        assert not np.array_equal(w, before)

    @each(CONSTRAINT_CASES)
    def test_what_is_allowed_stays(self, make, rng):
        w = 3 * rng.standard_normal((4, 3))
        for _ in range(60):
            make().project(w)
        again = w.copy()
        make().project(again)
        np.testing.assert_allclose(again, w, rtol=1e-14)

    @each_with(CONSTRAINT_CASES, each_dtype)
    def test_zero_stays_zero(self, make, dtype):
        w = np.zeros((4, 3), dtype)
        make().project(w)
        assert (w == 0).all()

    @each(CONSTRAINT_CASES)
    def test_float32_gives_what_float64_gives(self, make, rng):
        w = 3 * rng.standard_normal((4, 3))
        narrow = w.astype(np.float32)
        make().project(w)
        make().project(narrow)
        np.testing.assert_allclose(narrow, w, **tolerance(np.float32))
