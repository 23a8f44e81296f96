"""Every initializer: fills an array in place, from a Generator alone."""

import numpy as np

from contract_cases import INITIALIZER_CASES
from contract_tools import each, each_dtype, each_with
from skdeep import initializers

SHAPES = [(4, 3), (3, 4), (1, 5), (5, 1), (6,)]


class TestInitializers:
    @each_with(INITIALIZER_CASES, each_dtype)
    def test_fills_every_element_in_place(self, make, dtype):
        for shape in SHAPES:
            vector, size = np.full(32, np.nan, dtype), int(np.prod(shape))
            block = vector[3 : 3 + size].reshape(shape)
            assert make().fill(block, np.random.default_rng(0)) is None
            assert np.isfinite(vector[3 : 3 + size]).all()
            assert np.isnan(vector[:3]).all()
            assert np.isnan(vector[3 + size :]).all()

    @each(INITIALIZER_CASES)
    def test_float32_starts_where_float64_starts(self, make):
        for shape in SHAPES:
            wide, narrow = np.empty(shape), np.empty(shape, np.float32)
            rngs = [np.random.default_rng(7) for _ in range(2)]
            make().fill(wide, rngs[0])
            make().fill(narrow, rngs[1])
            np.testing.assert_array_equal(narrow, wide.astype(np.float32))
            assert rngs[0].random() == rngs[1].random()

    @each(INITIALIZER_CASES)
    def test_only_the_rng_decides(self, make):
        filled = [np.empty((6, 5)) for _ in range(3)]
        for array, seed in zip(filled, (0, 0, 1), strict=True):
            make().fill(array, np.random.default_rng(seed))
        np.testing.assert_array_equal(filled[0], filled[1])
        fixed = initializers.Constant, initializers.Identity, initializers.EvenlySpaced
        is_fixed = isinstance(make(), fixed)
        assert is_fixed == np.array_equal(filled[0], filled[2])
