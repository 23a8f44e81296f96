"""Every optimizer: steps in place, and all of its state in its slots."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from contract_cases import OPTIMIZER_CASES
from contract_tools import each, each_dtype, each_garbage, each_with, peak_memory, tolerance
from skdeep import optimizers


def descend(optimizer, w, gradients, lr=0.01):
    """Take a step for every gradient."""
    for g in gradients:
        optimizer.step(w, g.copy(), lr)
    return w


def started_optimizer(make, n=9, dtype=np.float64):
    optimizer = make()
    optimizer.start(n, np.dtype(dtype))
    return optimizer


@pytest.fixture
def slope():
    """A point, and gradients of several steps."""
    rng = np.random.default_rng(1)
    return rng.standard_normal(9), rng.standard_normal((6, 9))


class TestOptimizers:
    @each_with(OPTIMIZER_CASES, each_dtype)
    def test_parameters_and_state_keep_their_dtype(self, make, dtype, slope):
        w, gradients = (a.astype(dtype) for a in slope)
        optimizer = started_optimizer(make, dtype=dtype)
        descend(optimizer, w, gradients)
        assert w.dtype == dtype
        assert len(optimizer.slots_) == len(optimizer.slots)
        assert all(slot.dtype == dtype and slot.shape == w.shape for slot in optimizer.slots_)
        assert optimizer.n_steps_ == len(gradients)

    @each(OPTIMIZER_CASES)
    def test_float32_gives_what_float64_gives(self, make, slope):
        wide = descend(started_optimizer(make), slope[0].copy(), slope[1])
        w, gradients = (a.astype(np.float32) for a in slope)
        narrow = descend(started_optimizer(make, dtype=np.float32), w, gradients)
        np.testing.assert_allclose(narrow, wide, **tolerance(np.float32))

    @each_with(OPTIMIZER_CASES, each_dtype)
    def test_steps_in_place_within_one_block_of_memory(self, make, dtype, rng):
        w, g = (rng.standard_normal(400_000).astype(dtype) for _ in range(2))
        before = w.copy()
        optimizer = started_optimizer(make, w.size, dtype)
        optimizer.step(w, g, 0.01)
        assert (w != before).all()

        def step():
            optimizer.step(w, g, 0.01)

        assert peak_memory(step) < w.nbytes / 5

    @each_with(OPTIMIZER_CASES, each_garbage)
    def test_what_lay_in_work_does_not_matter(self, make, garbage, slope):
        w, gradients = slope
        results = []
        for filler in (0.0, garbage):
            optimizer = started_optimizer(make)
            values = w.copy()
            for g in gradients:
                optimizer.n_steps_ += 1
                optimizer.begin_step()
                optimizer.use_rate(0.01)
                work = np.full_like(values, filler)
                optimizer.update(values, g.copy(), 0.01, work, *optimizer.slots_)
            results.append(values)
        np.testing.assert_array_equal(results[0], results[1])

    @each(OPTIMIZER_CASES)
    def test_each_parameter_goes_its_own_way(self, make, slope):
        w, gradients = slope
        together = descend(started_optimizer(make), w.copy(), gradients)
        alone = [
            descend(started_optimizer(make, 1), w[i : i + 1].copy(), gradients[:, i : i + 1])
            for i in range(len(w))
        ]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-14)

    @each(OPTIMIZER_CASES)
    def test_a_pickle_goes_on_where_it_was(self, make, slope):
        w, gradients = slope
        straight = descend(started_optimizer(make), w.copy(), gradients)
        optimizer = started_optimizer(make)
        half = descend(optimizer, w.copy(), gradients[:3])
        descend(pickle.loads(pickle.dumps(optimizer)), half, gradients[3:])
        np.testing.assert_array_equal(half, straight)

    @each(OPTIMIZER_CASES)
    def test_scratch_is_not_pickled(self, make):
        optimizer = started_optimizer(make, 10_000)
        optimizer.step(np.ones(10_000), np.ones(10_000), 0.01)
        assert len(pickle.dumps(optimizer)) < 80_000 * len(optimizer.slots) + 5_000

    @each(OPTIMIZER_CASES)
    def test_a_new_start_forgets_an_earlier_run(self, make, slope):
        w, gradients = slope
        optimizer = started_optimizer(make)
        first = descend(optimizer, w.copy(), gradients)
        optimizer.start(len(w), w.dtype)
        np.testing.assert_array_equal(descend(optimizer, w.copy(), gradients), first)

    @each_with(OPTIMIZER_CASES, ("n", [1, 3, 30]))
    def test_a_new_start_may_be_of_another_size(self, make, n, rng):
        optimizer = started_optimizer(make, 9)
        descend(optimizer, np.ones(9), np.ones((2, 9)))
        w, gradients = rng.standard_normal(n), rng.standard_normal((3, n))
        optimizer.start(n, w.dtype)
        expected = descend(started_optimizer(make, n), w.copy(), gradients)
        np.testing.assert_array_equal(descend(optimizer, w, gradients), expected)

    @each(OPTIMIZER_CASES)
    def test_a_new_start_may_be_of_another_dtype(self, make, slope):
        w, gradients = (a.astype(np.float32) for a in slope)
        optimizer = started_optimizer(make)
        descend(optimizer, slope[0].copy(), slope[1])
        optimizer.start(len(w), w.dtype)
        expected = descend(started_optimizer(make, dtype=np.float32), w.copy(), gradients)
        np.testing.assert_array_equal(descend(optimizer, w, gradients), expected)

    @each(OPTIMIZER_CASES)
    def test_a_clone_has_not_started(self, make, slope):
        optimizer = started_optimizer(make)
        assert optimizer.started
        assert not clone(optimizer).started
        assert not make().started
        optimizer.stop()
        assert not optimizer.started

    @each(OPTIMIZER_CASES)
    def test_a_rate_of_zero_moves_nothing(self, make, slope):
        w = descend(started_optimizer(make), slope[0].copy(), slope[1], lr=0.0)
        np.testing.assert_array_equal(w, slope[0])

    @each(OPTIMIZER_CASES)
    def test_finds_the_bottom_of_a_bowl(self, make):
        lr = {optimizers.AdaDelta: 100.0, optimizers.AdaGrad: 1.0}.get(type(make()), 0.02)
        w, bottom, curvature = np.zeros(3), np.array([1.0, -2.0, 0.5]), np.array([1.0, 3.0, 0.5])
        optimizer = started_optimizer(make, 3)
        for step in range(600):
            optimizer.step(w, curvature * (w - bottom), lr * (1 - step / 600))
        np.testing.assert_allclose(w, bottom, atol=0.05)
