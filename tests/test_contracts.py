"""Every entry of every registry, through the same contracts.

Whoever adds an entry gets all of these tests for nothing; constants other than the defaults are
one row more in the family's table of cases.
"""

import inspect
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

import skdeep.layers
from skdeep import activations, constraints, initializers, losses, optimizers, schedules
from skdeep._component import Component, InvalidParameterError
from skdeep.activations import ACTIVATIONS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.layers import (
    Activation,
    ActivityRegularization,
    BatchNorm,
    Chain,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    Parameter,
    Residual,
)
from skdeep.losses import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, REGRESSION_LOSSES
from skdeep.optimizers import OPTIMIZERS
from skdeep.parameters import ParameterVector
from skdeep.regularizers import L1, L1L2, L2, REGULARIZERS
from skdeep.schedules import SCHEDULES, Piecewise, Progress, Warmup

DTYPES = [np.float32, np.float64]
GARBAGE = [np.nan, np.inf, 1e3]


def each(cases):
    """Parametrize a test over a table from name to factory."""
    return pytest.mark.parametrize("make", cases.values(), ids=cases.keys())


def each_with(cases, *others):
    """Parametrize over a table, and over more beside it."""

    def decorate(test):
        for names, values in others:
            test = pytest.mark.parametrize(names, values)(test)
        return each(cases)(test)

    return decorate


each_dtype = ("dtype", DTYPES)
each_garbage = ("garbage", GARBAGE)


def central_difference(f, x, step=1e-6):
    """Return the gradient of f, a function of no arguments, by the array x that it reads."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + step
        above = f()
        x[i] = kept - step
        below = f()
        x[i] = kept
        gradient[i] = (above - below) / (2 * step)
    return gradient


def assert_gradient(actual, f, x):
    numeric = central_difference(f, x)
    scale = max(1.0, np.abs(numeric).max(initial=0))
    np.testing.assert_allclose(actual, numeric, rtol=1e-6, atol=1e-8 * scale)


def tolerance(dtype):
    return {"rtol": 2e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}


def frozen(array):
    """Return a copy that raises where it is written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def peak_memory(f):
    """Return the most bytes that f, which returns None, held beyond what was there before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        assert f() is None
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


# Activations ----------------------------------------------------------------------------------

ACTIVATION_CASES = {
    **ACTIVATIONS,
    "leaky_relu 0": partial(activations.LeakyReLU, 0.0),
    "leaky_relu 0.3": partial(activations.LeakyReLU, 0.3),
    "leaky_relu 1": partial(activations.LeakyReLU, 1.0),
    "prelu -0.5": partial(activations.PReLU, -0.5),
    "prelu 1.5": partial(activations.PReLU, 1.5),
    "rrelu 0.2 0.9": partial(activations.RReLU, 0.2, 0.9),
    "rrelu 1 1": partial(activations.RReLU, 1.0, 1.0),
    "thresholded_relu 0": partial(activations.ThresholdedReLU, 0.0),
    "thresholded_relu 0.25": partial(activations.ThresholdedReLU, 0.25),
    "elu 0": partial(activations.ELU, 0.0),
    "elu 0.5": partial(activations.ELU, 0.5),
    "elu 2": partial(activations.ELU, 2.0),
    "swish 1.7": partial(activations.Swish, 1.7),
    "swish -0.5": partial(activations.Swish, -0.5),
}
KINKS = [-3.0, 0.0, 0.25, 1.0, 3.0]


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


def poison(objects, vector, garbage):
    """Fill every buffer that can be reached, and the gradients; return how many there were."""
    buffers = list(_float_arrays(objects, vector, seen=set()))
    for buffer in buffers:
        buffer.fill(garbage)
    vector.grads.fill(garbage)
    return len(buffers)


def _float_arrays(thing, vector, seen):
    if id(thing) in seen or isinstance(thing, Parameter):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        if thing.dtype.kind == "f" and not np.shares_memory(thing, vector.values):
            yield thing
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            yield from _float_arrays(part, vector, seen)
    elif isinstance(thing, (Component, Chain)):
        yield from _float_arrays(list(vars(thing).values()), vector, seen)


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

        def value():
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

    @each_with(ACTIVATION_CASES, each_dtype, each_garbage)
    def test_what_lay_in_a_buffer_does_not_matter(self, make, dtype, garbage, points):
        Z, dA = (a.astype(dtype) for a in points)
        clean, dirty = (ActivationRun(make, Z, dA, garbage=g) for g in (0.0, garbage))
        for name in ("A", "dZ", "gradient"):
            np.testing.assert_array_equal(getattr(dirty, name), getattr(clean, name))

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


# Losses ---------------------------------------------------------------------------------------

KINDS = ["binary", "multilabel", "multiclass"]
CLASSIFIERS = {
    **CLASSIFICATION_LOSSES,
    "focal 0": partial(losses.FocalLoss, 0.0),
    "focal 0.5": partial(losses.FocalLoss, 0.5),
    "focal 1": partial(losses.FocalLoss, 1.0),
}
REGRESSORS = {
    **REGRESSION_LOSSES,
    "huber 0.3": partial(losses.Huber, 0.3),
    "quantile 0.9": partial(losses.QuantileLoss, 0.9),
}
CLASSIFICATION_CASES = {
    f"{name} {kind}": (make, kind) for name, make in CLASSIFIERS.items() for kind in KINDS
}
REGRESSION_CASES = {
    f"{name} {output}": (make, output)
    for name, make in REGRESSORS.items()
    for output in ("auto", *OUTPUT_ACTIVATIONS)
    if not make().needs_positive_output or output in ("auto", *losses.POSITIVE_OUTPUTS)
}


def classifier_loss(make, kind):
    loss = make()
    loss.multiclass = kind == "multiclass"
    return loss


def regressor_loss(make, output):
    loss = make()
    loss.use_output_activation(output)
    return loss


LOSS_CASES = {
    **{k: partial(classifier_loss, *v) for k, v in CLASSIFICATION_CASES.items()},
    **{k: partial(regressor_loss, *v) for k, v in REGRESSION_CASES.items()},
}
PROBABILITY_CASES = {k: make for k, make in LOSS_CASES.items() if make().gives_probabilities}


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

    @each_with(LOSS_CASES, each_dtype, ("weighted", [False, True]))
    def test_targets_and_weights_are_left_alone(self, make, dtype, weighted):
        loss = make()
        Z, Y = targets_for(loss, 8, dtype=dtype)
        weight = frozen(np.linspace(0, 2, 8, dtype=dtype)) if weighted else None
        evaluate(loss, frozen(Y), Z, weight)

    @each_with(LOSS_CASES, each_dtype, each_garbage)
    def test_what_lay_in_work_does_not_matter(self, make, dtype, garbage):
        loss = make()
        Z, Y = targets_for(loss, 8, dtype=dtype)
        weight = np.linspace(0, 2, 8, dtype=dtype)
        clean, dirty = (evaluate(loss, Y, Z, weight, g) for g in (0.0, garbage))
        assert clean[0] == dirty[0]
        np.testing.assert_array_equal(clean[1], dirty[1])

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
    @pytest.mark.parametrize("size", [30, 100, 1e4])
    def test_probability_losses_stay_finite_however_sure(self, make, dtype, size):
        loss = make()
        signs = np.array([[1, -1, -1], [-1, 1, -1], [0, 0, 0]], dtype)
        Y = np.eye(3, dtype=dtype)
        for Z in (size * signs, -size * signs):
            value, gradient = evaluate(loss, Y, Z.astype(dtype))
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


# Regularizers ---------------------------------------------------------------------------------

REGULARIZER_CASES = {
    **REGULARIZERS,
    "l1 0": partial(L1, 0.0),
    "l2 0.3": partial(L2, 0.3),
    "l1_l2 0.3 0": partial(L1L2, 0.3, 0.0),
    "l1_l2 0 0.3": partial(L1L2, 0.0, 0.3),
}


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


# Constraints ----------------------------------------------------------------------------------

CONSTRAINT_CASES = {
    **CONSTRAINTS,
    "max_norm 0.5": partial(constraints.MaxNorm, 0.5),
    "min_max_norm 0.5 1.5": partial(constraints.MinMaxNorm, 0.5, 1.5),
    "min_max_norm, half way": partial(constraints.MinMaxNorm, 0.5, 1.5, 0.5),
}


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


# Initializers ---------------------------------------------------------------------------------

INITIALIZER_CASES = {
    **INITIALIZERS,
    **{
        f"{distribution} {mode}": partial(initializers.VarianceScaling, 0.7, mode, distribution)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("uniform", "normal", "truncated_normal")
    },
    "orthogonal 2": partial(initializers.Orthogonal, 2.0),
    "identity -1": partial(initializers.Identity, -1.0),
}
SHAPES = [(4, 3), (3, 4), (1, 5), (5, 1), (6,)]


class TestInitializers:
    @each_with(INITIALIZER_CASES, each_dtype, ("shape", SHAPES))
    def test_fills_every_element_in_place(self, make, dtype, shape):
        vector = np.full(32, np.nan, dtype)
        size = int(np.prod(shape))
        assert make().fill(vector[3 : 3 + size].reshape(shape), np.random.default_rng(0)) is None
        assert np.isfinite(vector[3 : 3 + size]).all()
        assert np.isnan(vector[:3]).all()
        assert np.isnan(vector[3 + size :]).all()

    @each_with(INITIALIZER_CASES, ("shape", SHAPES))
    def test_float32_starts_where_float64_starts(self, make, shape):
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
        is_fixed = isinstance(make(), (initializers.Constant, initializers.Identity))
        assert is_fixed == np.array_equal(filled[0], filled[2])


# Schedules ------------------------------------------------------------------------------------

SCHEDULE_CASES = {
    **SCHEDULES,
    "piecewise": Piecewise,
    "step 0.1 3": partial(schedules.Step, 0.1, 3),
    "polynomial 0.5 0.2": partial(schedules.Polynomial, 0.5, 0.2),
    "linear 0.3": partial(schedules.Linear, 0.3),
    "cosine 0.1": partial(schedules.Cosine, 0.1),
    "cosine_restarts 3 1": partial(schedules.CosineRestarts, 3, 1.0, 0.1),
    **{f"warmup {name}": partial(Warmup, name, 3) for name in SCHEDULES},
    "warmup piecewise": partial(Warmup, Piecewise((2, 5)), 3),
}


def started(make):
    schedule = make()
    schedule.check()
    schedule.reset()
    return schedule


def rates(schedule, initial=0.1, n_epochs=25, steps=4):
    """Return the rate at every step of a run."""
    progress = [
        Progress(epoch + step / steps, n_epochs, 100 * epoch, epoch == 0)
        for epoch in range(n_epochs)
        for step in range(steps)
    ]
    return np.array([schedule.rate(initial, p) for p in progress])


class TestSchedules:
    @each(SCHEDULE_CASES)
    def test_a_rate_is_a_number_from_0_to_the_initial_rate(self, make):
        schedule = started(make)
        assert isinstance(schedule.rate(0.1, Progress(1.5, 25, 100, False)), float)
        run = rates(started(make))
        assert (run >= 0).all()
        assert (run <= 0.1 * (1 + 1e-12)).all()
        assert run[0] > 0  # the first step is not lost

    @each(SCHEDULE_CASES)
    def test_rates_grow_with_the_initial_rate(self, make):
        np.testing.assert_allclose(
            3 * rates(started(make), 0.1), rates(started(make), 0.3), rtol=1e-12
        )

    @each(SCHEDULE_CASES)
    def test_the_same_progress_gives_the_same_rate(self, make):
        schedule = started(make)
        run = rates(schedule)
        np.testing.assert_array_equal(rates(schedule), run)
        np.testing.assert_array_equal(rates(pickle.loads(pickle.dumps(schedule))), run)
        np.testing.assert_array_equal(rates(started(lambda: clone(schedule))), run)

    @each(SCHEDULE_CASES)
    def test_reset_forgets_an_earlier_run(self, make):
        schedule = started(make)
        run = rates(schedule)
        schedule.on_plateau(0.1)
        schedule.reset()
        np.testing.assert_array_equal(rates(schedule), run)

    @each(SCHEDULE_CASES)
    def test_a_rate_for_epochs_does_not_change_within_one(self, make):
        schedule = started(make)
        by_epoch = rates(schedule).reshape(-1, 4)
        assert schedule.every_step or (by_epoch == by_epoch[:, :1]).all()

    @each(SCHEDULE_CASES)
    def test_a_plateau_stops_or_lowers_the_rate(self, make):
        schedule = started(make)
        late = Progress(20.0, 25, 2000, False)
        before = schedule.rate(0.1, late)
        answer = schedule.on_plateau(0.1)
        after = schedule.rate(0.1, late)
        assert (answer is None and after == before) or (answer and after < before)


# Optimizers -----------------------------------------------------------------------------------

OPTIMIZER_CASES = {
    **OPTIMIZERS,
    "sgd 0": partial(optimizers.SGD, 0.0),
    "sgd classical": partial(optimizers.SGD, 0.8, False),
    "adam 0 0": partial(optimizers.Adam, 0.0, 0.0),
    "adam 0.5 0.6 0.01": partial(optimizers.Adam, 0.5, 0.6, 0.01),
    "rmsprop 0.5": partial(optimizers.RMSProp, 0.5, 1e-3),
    "lion 0.5 0.6": partial(optimizers.Lion, 0.5, 0.6),
}


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


# Layers ---------------------------------------------------------------------------------------

N_ROWS, N_INPUTS = 7, 5


def nested():
    """Return branches within branches, with every kind that has buffers of its own."""
    return Residual(
        [
            Concatenate(
                [
                    [BatchNorm(), Dense(2, "prelu")],
                    [Columns([4, 0, 0]), Residual([Dense(3, "gelu")])],
                    [],
                ]
            ),
            ActivityRegularization(L1L2(0.1, 0.2)),
            Dropout(0.3),
            Dense(N_INPUTS, weight_noise=0.1),
        ]
    )


LAYER_CASES = {
    "Dense": partial(Dense, 3),
    "Dense without bias": partial(Dense, 3, bias=False),
    "Dense relu": partial(Dense, 3, "relu"),
    "Dense gelu": partial(Dense, 3, "gelu"),
    "Dense prelu": partial(Dense, 3, "prelu"),
    "Dense rrelu": partial(Dense, 3, "rrelu"),
    "Dense with noise": partial(Dense, 3, "tanh", weight_noise=0.2),
    "Activation": Activation,
    "Activation identity": partial(Activation, "identity"),
    "Activation mish": partial(Activation, "mish"),
    "Activation prelu": partial(Activation, "prelu"),
    "Activation rrelu": partial(Activation, "rrelu"),
    "ActivityRegularization": ActivityRegularization,
    "ActivityRegularization l1": partial(ActivityRegularization, "l1"),
    "BatchNorm": BatchNorm,
    "BatchNorm 0.5 0.1": partial(BatchNorm, 0.5, 0.1),
    "Columns": partial(Columns, [0, 3, 3, -1]),
    "Columns slice": partial(Columns, slice(None, None, 2)),
    "Concatenate": partial(
        Concatenate, [[Dense(2, "tanh"), Dense(3)], [], Columns([1]), [Activation("gelu")]]
    ),
    "Dropout": partial(Dropout, 0.4),
    "Dropout 0": partial(Dropout, 0.0),
    "GaussianNoise": partial(GaussianNoise, 0.3),
    "Residual": partial(Residual, [Dense(4, "tanh"), Dense(N_INPUTS)]),
    "Residual, empty": partial(Residual, []),
    "nested": nested,
}
# What training does that prediction does not, with rng=None too.
DIFFERS_AT_PREDICTION = {"BatchNorm", "BatchNorm 0.5 0.1", "nested"}


class LayerRun:
    """A training pass of a layer, with the loss sum(dY * Y) above it, and what came of it."""

    def __init__(
        self,
        make,
        X,
        dY=None,
        *,
        seed=0,
        n_rows=None,
        garbage=0.0,
        values=None,
        needs_dX=True,
        freeze=False,
    ):
        self.layer = make()
        self.chain = Chain([self.layer])
        self.n_outputs = self.chain.setup(X.shape[1])
        parameters = [p for layer in self.chain.walk() for p in layer.parameters_]
        for p in parameters:
            p.trainable = p.trainable and not freeze
        self.vector = ParameterVector(parameters, X.dtype, np.random.default_rng(2))
        if values is not None:
            self.vector.values[:] = values
        self.start = self.vector.values.copy()
        self.vector.allocate()
        rng = None if seed is None else np.random.default_rng(seed)
        self.chain.allocate(n_rows or len(X), X.dtype, rng, needs_dX)
        self.n_buffers = poison([self.chain], self.vector, garbage)
        self.Y = self.chain.forward(X).copy()
        self.penalty = sum(layer.penalty() for layer in self.chain.walk())
        if dY is not None:
            self.value = np.sum(dY * self.Y) + self.penalty
            self.dX = self.chain.backward(dY.copy())
            self.gradient = self.vector.grads


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(4)
    return rng.standard_normal((N_ROWS, N_INPUTS)) + 0.3


def gradient_above(make, batch):
    n_outputs = LayerRun(make, batch).n_outputs
    return np.random.default_rng(6).standard_normal((len(batch), n_outputs))


class TestLayers:
    def test_every_kind_of_layer_has_a_case(self):
        public = [getattr(skdeep.layers, name) for name in skdeep.layers.__all__]
        kinds = {c for c in public if inspect.isclass(c) and issubclass(c, Layer)} - {Layer}
        assert {type(make()) for make in LAYER_CASES.values()} == kinds

    @each_with(LAYER_CASES, ("seed", [0, None]), ("n_rows", [N_ROWS, 1]))
    def test_backward_is_the_derivative_of_forward(self, make, seed, n_rows, batch):
        X = batch[:n_rows].copy()
        dY = gradient_above(make, X)
        run = LayerRun(make, X, dY, seed=seed)
        values = run.start.copy()

        def value():
            return LayerRun(make, X, dY, seed=seed, values=values).value

        assert_gradient(run.dX, value, X)
        numeric = central_difference(value, values)[: run.vector.n_trainable]
        np.testing.assert_allclose(run.gradient, numeric, rtol=1e-6, atol=1e-8)

    @each(LAYER_CASES)
    def test_a_frozen_layer_passes_the_gradient_on(self, make, batch):
        X = batch.copy()
        dY = gradient_above(make, X)
        run = LayerRun(make, X, dY, freeze=True)
        assert run.gradient.size == 0
        assert_gradient(run.dX, lambda: LayerRun(make, X, dY, freeze=True).value, X)

    @each_with(LAYER_CASES, each_dtype)
    def test_keeps_the_dtype(self, make, dtype, batch):
        X = batch.astype(dtype)
        dY = gradient_above(make, batch).astype(dtype)
        run = LayerRun(make, X, dY)
        assert run.Y.dtype == run.dX.dtype == run.gradient.dtype == dtype
        assert run.layer.infer(X).dtype == dtype

    @each(LAYER_CASES)
    def test_float32_gives_what_float64_gives(self, make, batch):
        dY = gradient_above(make, batch)
        wide = LayerRun(make, batch, dY, seed=None)
        narrow = LayerRun(make, batch.astype(np.float32), dY.astype(np.float32), seed=None)
        for name in ("Y", "dX", "gradient", "penalty"):
            np.testing.assert_allclose(
                getattr(narrow, name), getattr(wide, name), **tolerance(np.float32)
            )

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_input_is_never_written(self, make, seed, batch):
        X = frozen(batch)
        run = LayerRun(make, X, gradient_above(make, batch), seed=seed)
        run.layer.infer(X)

    @each_with(LAYER_CASES, each_garbage, ("seed", [0, None]))
    def test_what_lay_in_a_buffer_does_not_matter(self, make, garbage, seed, batch):
        dY = gradient_above(make, batch)
        clean, dirty = (
            LayerRun(make, batch, dY, seed=seed, garbage=g, n_rows=9) for g in (0.0, garbage)
        )
        assert dirty.n_buffers > 0
        for name in ("Y", "dX", "gradient", "penalty"):
            np.testing.assert_array_equal(getattr(dirty, name), getattr(clean, name))

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_a_short_batch_is_a_batch(self, make, seed, batch):
        X, dY = batch[:4], gradient_above(make, batch[:4])
        whole = LayerRun(make, X, dY, seed=seed)
        short = LayerRun(make, X, dY, seed=seed, n_rows=N_ROWS, garbage=np.nan)
        for name in ("Y", "dX", "gradient", "penalty"):
            np.testing.assert_allclose(
                getattr(short, name), getattr(whole, name), rtol=1e-12, atol=1e-14
            )

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_a_batch_leaves_nothing_to_the_next(self, make, seed, batch):
        dY = gradient_above(make, batch)
        once = LayerRun(make, batch, dY, seed=seed)
        # the same buffers, after another batch; the numbers drawn and the statistics start anew
        again = LayerRun(make, batch[::-1] * 2, dY, seed=seed)
        again.vector.values[:] = again.start
        again.layer.release()
        rng = None if seed is None else np.random.default_rng(seed)
        again.chain.allocate(N_ROWS, batch.dtype, rng, True)
        np.testing.assert_array_equal(again.chain.forward(batch), once.Y)
        np.testing.assert_array_equal(again.chain.backward(dY.copy()), once.dX)
        np.testing.assert_array_equal(again.vector.grads, once.gradient)

    @pytest.mark.parametrize("name", LAYER_CASES)
    def test_infer_is_forward_without_chance(self, name, batch):
        run = LayerRun(LAYER_CASES[name], batch, seed=None)
        run.vector.values[:] = run.start
        same = np.allclose(run.layer.infer(batch), run.Y, rtol=1e-12, atol=1e-14)
        assert same == (name not in DIFFERS_AT_PREDICTION)

    @each(LAYER_CASES)
    def test_only_the_rng_decides(self, make, batch):
        dY = gradient_above(make, batch)
        runs = [LayerRun(make, batch, dY, seed=seed) for seed in (0, 0, 1)]
        for name in ("Y", "dX", "gradient"):
            np.testing.assert_array_equal(getattr(runs[0], name), getattr(runs[1], name))
        has_chance = any(layer.is_random for layer in runs[0].chain.walk())
        is_idle = isinstance(runs[0].layer, Dropout) and runs[0].layer.rate == 0
        assert (has_chance and not is_idle) == (not np.array_equal(runs[0].Y, runs[2].Y))

    @each(LAYER_CASES)
    def test_infer_touches_no_state(self, make, batch):
        run = LayerRun(make, batch, gradient_above(make, batch))
        before = {id(layer): dict(vars(layer)) for layer in run.chain.walk()}
        arrays = list(_float_arrays([run.chain], run.vector, set()))
        contents = [a.copy() for a in arrays]
        values = run.vector.values.copy()
        expected = run.layer.infer(batch)
        rows = [slice(None), slice(3), slice(None, None, -1), slice(2, None)] * 5
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda chosen: run.layer.infer(batch[chosen]), rows))
        for chosen, result in zip(rows, results, strict=True):
            np.testing.assert_allclose(result, expected[chosen], rtol=1e-12, atol=1e-13)
        assert {id(layer): dict(vars(layer)) for layer in run.chain.walk()} == before
        np.testing.assert_array_equal(run.vector.values, values)
        for array, content in zip(arrays, contents, strict=True):
            np.testing.assert_array_equal(array, content)

    @each(LAYER_CASES)
    def test_gradients_are_the_same_where_no_dX_is_needed(self, make, batch):
        dY = gradient_above(make, batch)
        full = LayerRun(make, batch, dY)
        bare = LayerRun(make, batch, dY, needs_dX=False, garbage=np.nan)
        if full.layer.is_trainable:
            np.testing.assert_array_equal(bare.gradient, full.gradient)

    @each(LAYER_CASES)
    def test_buffers_go_with_release_and_are_never_pickled(self, make, batch):
        run = LayerRun(make, np.tile(batch, (400, 1)))
        # what is pickled: the layers and the vector, as a network does it
        parts = [run.layer, run.vector]
        small = len(pickle.dumps(parts))
        assert small < 12_000
        run.layer.release()
        run.vector.release()
        assert not list(_float_arrays([run.layer], run.vector, set()))
        assert len(pickle.dumps(parts)) <= small

    @each(LAYER_CASES)
    def test_infer_works_on_a_pickle(self, make, batch):
        run = LayerRun(make, batch, gradient_above(make, batch))
        layer, _ = pickle.loads(pickle.dumps((run.layer, run.vector)))
        np.testing.assert_array_equal(layer.infer(batch), run.layer.infer(batch))

    @each(LAYER_CASES)
    def test_a_clone_is_not_built(self, make, batch):
        run = LayerRun(make, batch)
        twin = clone(run.layer)
        fresh = make()
        assert vars(twin).keys() == vars(fresh).keys()
        assert repr(twin) == repr(fresh)
        with_twin = LayerRun(lambda: twin, batch)
        np.testing.assert_array_equal(with_twin.Y, run.Y)


# All components -------------------------------------------------------------------------------

COMPONENT_CASES = {
    f"{family}: {name}": make
    for family, cases in {
        "activation": ACTIVATION_CASES,
        "loss": CLASSIFICATION_LOSSES
        | {f"regression {k}": v for k, v in REGRESSION_LOSSES.items()},
        "regularizer": REGULARIZER_CASES,
        "constraint": CONSTRAINT_CASES,
        "initializer": INITIALIZER_CASES,
        "schedule": SCHEDULE_CASES,
        "optimizer": OPTIMIZER_CASES,
        "layer": LAYER_CASES,
    }.items()
    for name, make in cases.items()
}


# What the numbers of every component may be.
NOT_NEGATIVE, POSITIVE, ANY, SHARE, COUNT = (
    "[0, inf)",
    "(0, inf)",
    "(-inf, inf)",
    "[0, 1]",
    "1, 2, ...",
)
ADAM = {"beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": POSITIVE}
INTERVALS = {
    activations.LeakyReLU: {"negative_slope": SHARE},
    activations.PReLU: {"initial_slope": ANY},
    activations.RReLU: {"lower": POSITIVE, "upper": "(0, 1]"},
    activations.ThresholdedReLU: {"theta": NOT_NEGATIVE},
    activations.ELU: {"alpha": NOT_NEGATIVE},
    activations.Swish: {"beta": ANY},
    losses.FocalLoss: {"gamma": NOT_NEGATIVE},
    losses.Huber: {"delta": POSITIVE},
    losses.QuantileLoss: {"quantile": "(0, 1)"},
    L1: {"l1": NOT_NEGATIVE},
    L2: {"l2": NOT_NEGATIVE},
    L1L2: {"l1": NOT_NEGATIVE, "l2": NOT_NEGATIVE},
    constraints.MaxNorm: {"max_value": POSITIVE},
    constraints.MinMaxNorm: {
        "min_value": NOT_NEGATIVE,
        "max_value": NOT_NEGATIVE,
        "rate": "(0, 1]",
    },
    initializers.Constant: {"value": ANY},
    initializers.Normal: {"mean": ANY, "std": NOT_NEGATIVE},
    initializers.TruncatedNormal: {"mean": ANY, "std": NOT_NEGATIVE},
    initializers.Uniform: {"low": ANY, "high": ANY},
    initializers.VarianceScaling: {"scale": POSITIVE},
    initializers.Orthogonal: {"gain": ANY},
    initializers.Identity: {"gain": ANY},
    schedules.InverseScaling: {"power_t": NOT_NEGATIVE},
    schedules.Adaptive: {"factor": "(1, inf)", "min_rate": NOT_NEGATIVE},
    schedules.Step: {"factor": POSITIVE, "every": COUNT},
    schedules.Exponential: {"decay": "(0, 1]"},
    schedules.InverseTime: {"decay": NOT_NEGATIVE},
    schedules.Linear: {"end": SHARE},
    schedules.Polynomial: {"power": POSITIVE, "end": SHARE},
    schedules.Cosine: {"end": SHARE},
    schedules.CosineRestarts: {"period": COUNT, "growth": "[1, inf)", "end": SHARE},
    schedules.OneCycle: {"warmup": "(0, 1)", "start": SHARE, "end": SHARE},
    schedules.WarmupCosine: {"warmup": "(0, 1)", "end": SHARE},
    Warmup: {"epochs": POSITIVE, "start": SHARE},
    optimizers.SGD: {"momentum": SHARE},
    optimizers.Adam: ADAM,
    optimizers.AdamW: {**ADAM, "weight_decay": NOT_NEGATIVE},
    optimizers.Nadam: ADAM,
    optimizers.Adamax: ADAM,
    optimizers.AMSGrad: ADAM,
    optimizers.AdaGrad: {"epsilon": POSITIVE},
    optimizers.AdaDelta: {"rho": "[0, 1)", "epsilon": POSITIVE},
    optimizers.RMSProp: {"rho": "[0, 1)", "epsilon": POSITIVE},
    optimizers.Lion: {"beta_1": "[0, 1)", "beta_2": "[0, 1)"},
    Dense: {"units": COUNT, "weight_noise": NOT_NEGATIVE},
    BatchNorm: {"momentum": SHARE, "epsilon": POSITIVE},
    Dropout: {"rate": "[0, 1)"},
    GaussianNoise: {"std": NOT_NEGATIVE},
}


def at_the_edges(interval):
    """Return the outermost numbers of an interval, and those just outside."""
    if interval == COUNT:
        return [1, 1000], [0, -1, 1.5]
    inside, outside = [], []
    low, high = (float(end) for end in interval[1:-1].split(","))
    for end, is_closed, outwards in (
        (low, interval[0] == "[", -np.inf),
        (high, interval[-1] == "]", np.inf),
    ):
        if np.isfinite(end):
            inside.append(end if is_closed else float(np.nextafter(end, -outwards)))
            outside.append(float(np.nextafter(end, outwards)) if is_closed else end)
        else:
            inside.append(np.sign(outwards) * 1e300)
    return inside, outside


def parameters_of(component):
    """Return get_params in a form that compares."""
    return {
        k: repr(v) if isinstance(v, (Component, list)) else v
        for k, v in component.get_params(deep=False).items()
    }


class TestComponents:
    @each(COMPONENT_CASES)
    def test_clone_and_pickle_keep_the_parameters(self, make):
        component = make()
        for twin in (clone(component), pickle.loads(pickle.dumps(component))):
            assert type(twin) is type(component)
            assert twin is not component
            assert parameters_of(twin) == parameters_of(component)

    @each(COMPONENT_CASES)
    def test_the_constructor_only_stores(self, make):
        component = make()
        given = component.get_params(deep=False)
        assert vars(component) == given or vars(component).keys() - given.keys() <= {"power"}

    @each(COMPONENT_CASES)
    def test_every_parameter_can_be_set(self, make):
        component = make()
        for name, value in component.get_params(deep=False).items():
            assert component.set_params(**{name: value}) is component

    @each(COMPONENT_CASES)
    def test_check_passes(self, make):
        make().check()

    @each(COMPONENT_CASES)
    def test_a_value_outside_its_limits_is_an_error_that_names_it(self, make):
        component = make()
        for name in component._limits:
            for wrong in ("wrong", None, float("nan"), True):
                culprit = clone(component).set_params(**{name: wrong})
                with pytest.raises(InvalidParameterError, match=f"{name}={wrong!r} is not allowed"):
                    culprit.check()

    def test_the_limits_of_every_number_are_written_down(self):
        classes = {type(make()) for make in COMPONENT_CASES.values()}
        declared = {c: set(c._limits) for c in classes if c._limits}
        assert {c: set(intervals) for c, intervals in INTERVALS.items()} == declared

    @pytest.mark.parametrize(
        ("kind", "name", "interval"),
        [(c, name, text) for c, intervals in INTERVALS.items() for name, text in intervals.items()],
    )
    def test_numbers_are_allowed_up_to_their_limits_and_no_further(self, kind, name, interval):
        limit = kind._limits[name]
        inside, outside = at_the_edges(interval)
        assert [value for value in inside if not limit.allows(value)] == []
        assert [value for value in outside if limit.allows(value)] == []

    @each(COMPONENT_CASES)
    def test_every_number_has_limits(self, make):
        component = make()
        numbers = {
            name
            for name, value in component.get_params(deep=False).items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        assert numbers <= component._limits.keys()

    @each(COMPONENT_CASES)
    def test_the_docstring_describes_every_parameter(self, make):
        component = make()
        doc = inspect.getdoc(type(component))
        for name in inspect.signature(type(component)).parameters:
            assert name in doc, f"{type(component).__name__}: {name}"
