"""Every loss, for every kind of target and output: a derivative, weights, extreme outputs."""

import pickle

import numpy as np

from contract_cases import LOSS_CASES, PROBABILITY_CASES, regressor_loss
from contract_tools import (
    GARBAGE,
    assert_gradient,
    each,
    each_dtype,
    each_with,
    frozen,
    tolerance,
)
from skdeep import losses
from skdeep.losses import REGRESSION_LOSSES


def targets_for(loss, n_rows, soft=False, dtype=np.float64):
    """Return raw outputs, and targets that the loss is defined for."""
    rng = np.random.default_rng(5)
    if loss.task == "regression":
        Z, Y = rng.standard_normal((n_rows, 3)), rng.gamma(2.0, 1.0, (n_rows, 3))
        if not isinstance(loss, losses.GammaLoss):
            Y[::3] = 0.0
        return Z.astype(dtype), Y.astype(dtype)
    n_outputs = 4
    Z = 2 * rng.standard_normal((n_rows, n_outputs))
    if loss.multiclass:
        Y = np.eye(n_outputs)[rng.integers(0, n_outputs, n_rows)]
        Y = 0.8 * Y + 0.2 / n_outputs if soft else Y
    else:
        Y = rng.integers(0, 2, (n_rows, n_outputs)).astype(float)
        Y = 0.8 * Y + 0.1 if soft else Y
    return Z.astype(dtype), Y.astype(dtype)


def evaluate(loss, Y, Z, weight=None, garbage=0.0):
    """Return the value, and the gradient."""
    Z = Z.copy()
    value = loss.value_and_grad(Y, Z, weight, np.full_like(Z, garbage))
    return value, Z


class TestLosses:
    @each_with(LOSS_CASES, ("weighted", [False, True]))
    def test_gradient_is_the_derivative_of_the_value(self, make, weighted):
        loss = make()
        Z, Y = targets_for(loss, 8)
        weight = np.array([0.5, 2, 0, 1, 1, 3, 0.1, 0.7]) if weighted else None
        gradient = evaluate(loss, Y, Z, weight)[1]
        assert_gradient(gradient, lambda: evaluate(loss, Y, Z, weight)[0], Z)

    @each_with(PROBABILITY_CASES, ("weighted", [False, True]))
    def test_gradient_holds_for_smoothed_labels_too(self, make, weighted):
        loss = make()
        Z, Y = targets_for(loss, 8, soft=True)
        weight = np.array([0.5, 2, 0, 1, 1, 3, 0.1, 0.7]) if weighted else None
        gradient = evaluate(loss, Y, Z, weight)[1]
        assert_gradient(gradient, lambda: evaluate(loss, Y, Z, weight)[0], Z)

    @each_with(LOSS_CASES, ("weighted", [False, True]))
    def test_float32_gives_what_float64_gives(self, make, weighted):
        loss = make()
        Z, Y = targets_for(loss, 8)
        weight = np.linspace(0.1, 2, 8) if weighted else None
        wide = evaluate(loss, Y, Z, weight)
        narrow = evaluate(
            loss,
            Y.astype(np.float32),
            Z.astype(np.float32),
            None if weight is None else weight.astype(np.float32),
        )
        assert isinstance(narrow[0], float)
        assert isinstance(wide[0], float)
        assert narrow[1].dtype == np.float32
        np.testing.assert_allclose(narrow[0], wide[0], **tolerance(np.float32))
        np.testing.assert_allclose(narrow[1], wide[1], **tolerance(np.float32))

    @each_with(LOSS_CASES, each_dtype)
    def test_targets_and_weights_are_left_alone(self, make, dtype):
        loss = make()
        Z, Y = targets_for(loss, 8, dtype=dtype)
        for weight in (None, frozen(np.linspace(0, 2, 8, dtype=dtype))):
            evaluate(loss, frozen(Y), Z, weight)

    @each_with(LOSS_CASES, each_dtype)
    def test_what_lay_in_work_does_not_matter(self, make, dtype):
        loss = make()
        Z, Y = targets_for(loss, 8, dtype=dtype)
        weight = np.linspace(0, 2, 8, dtype=dtype)
        clean, *dirty = (evaluate(loss, Y, Z, weight, g) for g in (0.0, *GARBAGE))
        for value, gradient in dirty:
            assert value == clean[0]
            np.testing.assert_array_equal(gradient, clean[1])

    @each(LOSS_CASES)
    def test_a_weight_is_a_repetition(self, make):
        loss = make()
        Z, Y = targets_for(loss, 6)
        times = np.array([1, 3, 0, 2, 1, 4])
        value, gradient = evaluate(loss, Y, Z, times.astype(float))
        repeated, rows = evaluate(loss, np.repeat(Y, times, 0), np.repeat(Z, times, 0))
        n_repeated = times.sum()
        np.testing.assert_allclose(value * 6, repeated * n_repeated, rtol=1e-12)
        first = np.concatenate([[0], np.cumsum(times)[:-1]])
        kept = times > 0
        np.testing.assert_allclose(
            gradient[kept] * 6, (rows * n_repeated)[first[kept]] * times[kept, None], rtol=1e-12
        )
        assert (gradient[~kept] == 0).all()

    @each(LOSS_CASES)
    def test_weights_of_one_change_nothing(self, make):
        loss = make()
        Z, Y = targets_for(loss, 8)
        bare, weighted = evaluate(loss, Y, Z), evaluate(loss, Y, Z, np.ones(8))
        np.testing.assert_allclose(weighted[0], bare[0], rtol=1e-13)
        np.testing.assert_allclose(weighted[1], bare[1], rtol=1e-13)

    @each(LOSS_CASES)
    def test_rows_do_not_disturb_each_other(self, make):
        loss = make()
        Z, Y = targets_for(loss, 8)
        value, gradient = evaluate(loss, Y, Z)
        alone = [evaluate(loss, Y[i : i + 1], Z[i : i + 1]) for i in range(8)]
        np.testing.assert_allclose(value, np.mean([v for v, _ in alone]), rtol=1e-12)
        np.testing.assert_allclose(gradient, np.concatenate([g for _, g in alone]) / 8, rtol=1e-12)

    @each_with(LOSS_CASES, each_dtype)
    def test_a_step_down_the_gradient_lowers_the_value(self, make, dtype):
        loss = make()
        Z, Y = targets_for(loss, 8, dtype=dtype)
        value, gradient = evaluate(loss, Y, Z)
        assert evaluate(loss, Y, Z - dtype(0.01) * gradient)[0] < value

    @each_with(PROBABILITY_CASES, each_dtype)
    def test_probability_losses_stay_finite_however_sure(self, make, dtype):
        loss = make()
        signs = np.array([[1, -1, -1], [-1, 1, -1], [0, 0, 0]], dtype)
        Y = np.eye(3, dtype=dtype)
        for size in (30, -30, 100, -100, 1e4, -1e4):
            value, gradient = evaluate(loss, Y, (size * signs).astype(dtype))
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()
            assert value >= 0

    @each_with(LOSS_CASES, each_dtype)
    def test_output_works_in_place(self, make, dtype):
        loss = make()
        Z, _ = targets_for(loss, 8, dtype=dtype)
        before = Z.copy()
        assert loss.output(Z) is None
        assert Z.dtype == dtype
        assert (loss.link == "identity") == np.array_equal(before, Z)
        if loss.gives_probabilities:
            assert ((Z >= 0) & (Z <= 1)).all()
            assert np.allclose(Z.sum(axis=1), 1) == loss.multiclass

    @each(REGRESSION_LOSSES)
    def test_a_fresh_loss_puts_out_by_its_own_link(self, make):
        Z, _ = targets_for(make(), 8)
        fresh, set_up = Z.copy(), Z.copy()
        make().output(fresh)
        regressor_loss(make, "auto").output(set_up)
        np.testing.assert_array_equal(fresh, set_up)

    @each(LOSS_CASES)
    def test_a_pickle_computes_the_same(self, make):
        loss = make()
        Z, Y = targets_for(loss, 8)
        value, gradient = evaluate(loss, Y, Z)
        twin = pickle.loads(pickle.dumps(loss))
        assert evaluate(twin, Y, Z)[0] == value
        np.testing.assert_array_equal(evaluate(twin, Y, Z)[1], gradient)
