"""Every regularizer: a derivative, added in place."""

import numpy as np
import pytest

from contract_cases import REGULARIZER_CASES
from contract_tools import assert_gradient, each, each_dtype, each_with, frozen, tolerance


class TestRegularizers:
    @each_with(REGULARIZER_CASES, ("shape", [(4, 3), (5,)]), ("scale", [1.0, 0.25]))
    def test_gradient_is_the_derivative_of_the_value(self, make, shape, scale, rng):
        w, g = rng.standard_normal(shape), np.zeros(shape)
        make().penalize(w, g, scale)
        assert_gradient(g, lambda: make().penalize(w, np.zeros(shape), scale), w)

    @each(REGULARIZER_CASES)
    def test_scale_multiplies_the_value(self, make, rng):
        w = rng.standard_normal((4, 3))
        once, half = (make().penalize(w, np.zeros_like(w), s) for s in (1.0, 0.5))
        assert half == pytest.approx(once / 2, rel=1e-14)

    @each_with(REGULARIZER_CASES, each_dtype)
    def test_adds_to_the_gradient_in_place_and_leaves_the_weights(self, make, dtype, rng):
        vector = rng.standard_normal(20).astype(dtype)
        w, g = frozen(vector[:12].reshape(4, 3)), vector[8:].reshape(4, 3)
        before, alone = vector.copy(), np.zeros((4, 3), dtype)
        value = make().penalize(w, alone)
        assert isinstance(value, float)
        assert make().penalize(w, g) == value
        np.testing.assert_allclose(g, before[8:].reshape(4, 3) + alone, **tolerance(dtype))
        np.testing.assert_array_equal(vector[:8], before[:8])

    @each(REGULARIZER_CASES)
    def test_a_call_returns_the_penalty(self, make, rng):
        w = rng.standard_normal((4, 3))
        before, expected = w.copy(), make().penalize(w, np.zeros_like(w))
        assert make()(w) == expected
        assert make()(w.tolist()) == make()(np.asfortranarray(w)) == expected
        np.testing.assert_array_equal(w, before)

    @each(REGULARIZER_CASES)
    def test_float32_gives_what_float64_gives(self, make, rng):
        w = rng.standard_normal((4, 3))
        wide, narrow = np.zeros(w.shape), np.zeros(w.shape, np.float32)
        values = make().penalize(w, wide), make().penalize(w.astype(np.float32), narrow)
        assert values[1] == pytest.approx(values[0], rel=1e-5)
        np.testing.assert_allclose(narrow, wide, **tolerance(np.float32))

    @each(REGULARIZER_CASES)
    def test_a_vector_longer_than_a_block_is_penalized_as_a_whole(self, make, rng):
        w, g = rng.standard_normal(20_001), np.zeros(20_001)
        value = make().penalize(w, g)
        parts = np.array_split(w, 7)
        total = sum(make().penalize(part, np.zeros_like(part)) for part in parts)
        assert value == pytest.approx(total, rel=1e-12)
        g_parts = [np.zeros_like(part) for part in parts]
        for part, g_part in zip(parts, g_parts, strict=True):
            make().penalize(part, g_part)
        np.testing.assert_allclose(g, np.concatenate(g_parts), rtol=1e-14)
