"""Every part that has a compiled rule gives what its NumPy code gives, to float tolerance."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import activations, losses, optimizers
from skdeep.activations import ACTIVATIONS
from skdeep.joint_losses import JointLoss, Measured
from skdeep.kernels import numpy_kernels
from skdeep.losses import (
    CLASSIFICATION_LOSSES,
    OUTPUT_ACTIVATIONS,
    POSITIVE_OUTPUTS,
    REGRESSION_LOSSES,
)
from skdeep.optimizers import OPTIMIZERS
from skdeep.parameters import ParameterVector, Segment

numba_kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
DTYPES = [np.float32, np.float64]


def close(actual, expected, dtype, scale=1.0):
    tolerance = (2e-5 if dtype == np.float32 else 1e-12) * scale
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


# Activations ----------------------------------------------------------------------------------

ACTIVATION_CASES = {
    "none": lambda: None,
    **ACTIVATIONS,
    "leaky_relu 0.3": partial(activations.LeakyReLU, 0.3),
    "thresholded_relu 0.25": partial(activations.ThresholdedReLU, 0.25),
    "elu 0.5": partial(activations.ELU, 0.5),
    "swish 1.7": partial(activations.Swish, 1.7),
    "prelu 1.5": partial(activations.PReLU, 1.5),
    "prelu -0.5": partial(activations.PReLU, -0.5),
    **{
        f"parametric {g}": partial(activations.Parametric, g, 1.0, 0.3)
        for g in ("identity", "relu", "selu", "tanh", "gelu", "softmax", activations.ELU(0.5))
    },
}


def dense_pass(
    kernels,
    make,
    dtype,
    *,
    n_rows=13,
    fits=13,
    sizes=(9, 7),
    with_bias=True,
    X=None,
    is_frozen=False,
):
    """Return everything that a training pass of a dense layer writes."""
    rng = np.random.default_rng(0)
    n_inputs, n_units = sizes
    f = make()
    parameters = [] if f is None else f.build(n_units)
    for parameter in parameters:
        parameter.frozen = is_frozen
    vector = ParameterVector(parameters, np.dtype(dtype), rng)
    vector.allocate()
    if f is not None:
        f.allocate(fits, n_units, dtype, np.random.default_rng(1))
    draws = rng.standard_normal
    X = draws((n_rows, n_inputs)).astype(dtype) if X is None else X
    W = draws((n_inputs, n_units)).astype(dtype)
    b = draws(n_units).astype(dtype) if with_bias else None
    dA = draws((n_rows, n_units)).astype(dtype)
    dW, dX = np.full_like(W, np.nan), np.full((n_rows, n_inputs), np.nan, dtype)
    db = np.full(n_units, np.nan, dtype) if with_bias else None
    Y, work = (np.full((n_rows, n_units), np.nan, dtype) for _ in range(2))
    Z = np.full_like(Y, np.nan) if f is not None and f.needs_input else None
    forward, backward = kernels.bind_dense(f, fits, n_inputs, n_units, dtype)
    forward(X, W, b, Y, Z, work)
    A = Y.copy()
    backward(X, dA, Y, Z, work, W, dW, db, dX)
    return {"A": A, "dZ": dA, "dW": dW, "db": db, "dX": dX, "of f": vector.grads}


def assert_same_passes(make, dtype, **how):
    ours = dense_pass(numba_kernels, make, dtype, **how)
    reference = dense_pass(numpy_kernels, make, dtype, **how)
    for name, expected in reference.items():
        if expected is not None:
            close(ours[name], expected, dtype, scale=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", ACTIVATION_CASES.values(), ids=ACTIVATION_CASES)
def test_dense_layers(make, dtype):
    assert_same_passes(make, dtype)
    assert_same_passes(make, dtype, n_rows=2)  # too few rows for tiles


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(9, 7), (300, 200)], ids=["small", "with BLAS"])
@pytest.mark.parametrize("make", [ACTIVATIONS["prelu"], activations.Parametric])
def test_activations_with_a_number_for_each_unit(make, sizes, dtype):
    for how in ({}, {"n_rows": 2}, {"fits": 40}, {"with_bias": False}, {"is_frozen": True}):
        assert_same_passes(make, dtype, sizes=sizes, **{"n_rows": 13, "fits": 13, **how})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, 4, 5, 32])
@pytest.mark.parametrize(
    "sizes", [(1, 1), (3, 8), (4, 1), (5, 2), (17, 3), (8, 5), (20, 64), (64, 33), (700, 100)]
)
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_of_every_shape(sizes, n_rows, with_bias, dtype):
    make = ACTIVATIONS["relu"]
    assert_same_passes(make, dtype, sizes=sizes, n_rows=n_rows, fits=32, with_bias=with_bias)


@pytest.mark.parametrize(
    ("arrange", "dtype"),
    [
        (np.asfortranarray, np.float32),
        (np.asfortranarray, np.float64),
        (lambda X: X[::-1], np.float32),
        (lambda X: np.repeat(X, 2, axis=1)[:, ::2], np.float64),
        (lambda X: X.astype(np.float64), np.float32),
        (sp.csr_array, np.float32),
        (sp.csr_array, np.float64),
        (sp.csr_matrix, np.float32),
    ],
    ids=[
        *("Fortran, float32", "Fortran, float64", "reversed", "strided", "float64 to float32"),
        *("csr_array, float32", "csr_array, float64", "csr_matrix"),
    ],
)
def test_inputs_of_any_layout(arrange, dtype, rng):
    X = (rng.standard_normal((13, 9)) * (rng.random((13, 9)) < 0.5)).astype(dtype)
    assert_same_passes(ACTIVATIONS["tanh"], dtype, X=arrange(X))
    read_only = X.copy()
    read_only.flags.writeable = False
    assert_same_passes(ACTIVATIONS["tanh"], dtype, X=read_only)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_the_ends(name, value):
    """NaN stays NaN; infinity goes where the NumPy code takes it."""
    outcomes = []
    for kernels in (numba_kernels, numpy_kernels):
        f = ACTIVATIONS[name]()
        vector = ParameterVector(f.build(8), np.dtype(np.float32), np.random.default_rng(0))
        vector.allocate()
        f.allocate(4, 8, np.float32, np.random.default_rng(1))
        forward, _ = kernels.bind_activation(f, 8, np.float32)
        Y = np.full((4, 8), value, np.float32)
        with np.errstate(all="ignore"):
            forward(Y, None, np.empty_like(Y) if f.needs_input else None, np.empty_like(Y))
        outcomes.append(Y)
    np.testing.assert_allclose(*outcomes, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("make", [ACTIVATIONS["prelu"], activations.Parametric])
def test_a_gradient_that_is_nan_is_seen(make):
    """A NaN in one row reaches the gradients of its unit, and no other unit's."""
    f = make()
    vector = ParameterVector(f.build(8), np.dtype(np.float32), np.random.default_rng(0))
    vector.allocate()
    f.allocate(4, 8, np.float32, None)
    forward, backward = numba_kernels.bind_activation(f, 8, np.float32)
    Y, Z = -np.ones((4, 8), np.float32), np.empty((4, 8), np.float32)
    forward(Y, None, Z, np.empty_like(Y))
    dA, db = np.ones_like(Y), np.empty(8, np.float32)
    dA[2, 3] = np.nan
    backward(dA, Y, Z, np.empty_like(Y), db)
    for gradient in (vector.grads, db):
        assert np.flatnonzero(np.isnan(gradient)).tolist() == [3]


class Doubled(activations.ReLU):
    """A subclass that does something else than what it inherits a compiled rule for."""

    def forward(self, Z, work):
        super().forward(Z, work)
        Z *= 2

    def backward(self, dA, A, Z, work):
        super().backward(dA, A, Z, work)
        dA *= 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mixture_with_an_activation_that_is_not_compiled(dtype):
    assert_same_passes(partial(activations.Parametric, Doubled(), initial=0.4), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_subclass_of_an_activation_is_itself(dtype):
    assert_same_passes(Doubled, dtype)
    single = dense_pass(numba_kernels, activations.ReLU, dtype)["A"]
    np.testing.assert_array_equal(dense_pass(numba_kernels, Doubled, dtype)["A"], 2 * single)


# Losses ---------------------------------------------------------------------------------------


def loss_cases():
    for name, make in CLASSIFICATION_LOSSES.items():
        for kind in ("binary", "multilabel", "multiclass"):
            yield f"{name} {kind}", make, kind, "auto"
    yield "focal 0.5", partial(losses.FocalLoss, 0.5), "multiclass", "auto"
    yield "huber 0.3", partial(losses.Huber, 0.3), "regression", "auto"
    yield "quantile 0.9", partial(losses.QuantileLoss, 0.9), "regression", "auto"
    for name, make in REGRESSION_LOSSES.items():
        allowed = POSITIVE_OUTPUTS if make.needs_positive_output else OUTPUT_ACTIVATIONS
        for output in allowed:
            yield f"{name} {output}", make, "regression", output


def by_turns(make, kind, output):
    losses_and_links = [*REGRESSION_LOSSES.values()].index(make) + OUTPUT_ACTIVATIONS.index(output)
    return DTYPES[losses_and_links % 2]


LOSS_CASES = {name: case for name, *case in loss_cases()}
# Compiling takes longer than comparing: every loss and every link is compiled for both dtypes, a
# regression loss with a link that may be another one for either.
LOSSES_IN_DTYPES = [
    pytest.param(case, dtype, id=f"{name} {dtype.__name__}")
    for name, case in LOSS_CASES.items()
    for dtype in ([by_turns(*case)] if case[1] == "regression" and case[2] != "auto" else DTYPES)
]


def loss_step(kernels, make, kind, output, dtype, *, weighted, n_rows, scale=1.0):
    rng = np.random.default_rng(n_rows)
    n_outputs = 1 if kind == "binary" else 4
    Z = (scale * rng.standard_normal((n_rows, n_outputs))).astype(dtype)
    Y = rng.gamma(2.0, 1.0, Z.shape)
    if kind in ("binary", "multilabel"):
        Y = rng.integers(0, 2, Z.shape)
    elif kind == "multiclass":
        Y = np.eye(n_outputs)[rng.integers(0, n_outputs, n_rows)] * 0.9 + 0.025
    loss = make()
    if kind == "regression":
        loss.use_output_activation(output)
    else:
        loss.multiclass = kind == "multiclass"
    weight = rng.gamma(1.0, 1.0, n_rows).astype(dtype) if weighted else None
    run = kernels.bind_loss(loss, np.dtype(dtype))
    with np.errstate(all="ignore"):
        value = run(Y.astype(dtype), Z, weight, np.full_like(Z, np.nan))
    return value, Z


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_for_several_outputs(dtype):
    rng = np.random.default_rng(0)
    Z, Y = (rng.standard_normal((50, 4)).astype(dtype) for _ in range(2))
    Y[::3, 1:] = np.nan
    loss = JointLoss([losses.Huber(), Measured(losses.SquaredError())], [1, 3], [0.9, 0.1])
    (value, gradient), (expected, expected_gradient) = (
        (kernels.bind_loss(loss, np.dtype(dtype))(Y, G, None, np.full_like(G, np.nan)), G)
        for kernels, G in ((numba_kernels, Z.copy()), (numpy_kernels, Z.copy()))
    )
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5)


@pytest.mark.parametrize(("case", "dtype"), LOSSES_IN_DTYPES)
def test_losses(case, dtype):
    for weighted in (False, True):
        for n_rows in (1, 50):
            how = {"weighted": weighted, "n_rows": n_rows}
            value, gradient = loss_step(numba_kernels, *case, dtype, **how)
            expected, expected_gradient = loss_step(numpy_kernels, *case, dtype, **how)
            close(value, expected, dtype, scale=10)
            close(gradient, expected_gradient, dtype, scale=10)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("scale", [1e3, np.nan, np.inf])
def test_losses_of_huge_and_broken_logits(name, kind, scale):
    """Huge logits stay finite; a NaN is seen in the loss, where training looks for it."""
    case = CLASSIFICATION_LOSSES[name], kind, "auto", np.float32
    value, gradient = loss_step(numba_kernels, *case, weighted=False, n_rows=20, scale=scale)
    if scale == 1e3:
        expected, expected_gradient = loss_step(
            numpy_kernels, *case, weighted=False, n_rows=20, scale=scale
        )
        np.testing.assert_allclose(value, expected, rtol=1e-4)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-6)
    elif np.isnan(scale):
        assert not np.isfinite(value)


class TwiceSquared(losses.SquaredError):
    def value_and_grad(self, Y, Z, weight, work):
        value = super().value_and_grad(Y, Z, weight, work)
        Z *= 2
        return 2 * value


def test_a_subclass_of_a_loss_is_itself():
    how = {"dtype": np.float64, "weighted": False, "n_rows": 9}
    value, gradient = loss_step(numba_kernels, TwiceSquared, "regression", "auto", **how)
    once, once_gradient = loss_step(numba_kernels, losses.SquaredError, "regression", "auto", **how)
    assert value == pytest.approx(2 * once, rel=1e-14)
    np.testing.assert_allclose(gradient, 2 * once_gradient, rtol=1e-14)


# Optimizers -----------------------------------------------------------------------------------

OPTIMIZER_CASES = {
    **OPTIMIZERS,
    "sgd without momentum": partial(optimizers.SGD, 0.0),
    "sgd without Nesterov": partial(optimizers.SGD, 0.9, False),
    "adam 0.5 0.9 1e-3": partial(optimizers.Adam, 0.5, 0.9, 1e-3),
    "rmsprop 0.5": partial(optimizers.RMSProp, 0.5),
    "sgd dampened": partial(optimizers.SGD, 0.9, False, 0.6),
    **{
        f"{f.__name__} {options}": partial(f, epsilon=1e-3, **options)
        for f in (optimizers.Adam, optimizers.AdamW, optimizers.AMSGrad)
        for options in (
            {"bias_correction": False},
            {"epsilon_inside": True},
            {"bias_correction": False, "epsilon_inside": True},
        )
    },
    **{
        f"{f.__name__} {inside} {initial}": partial(
            f, epsilon=1e-3, epsilon_inside=inside, initial_accumulator=initial
        )
        for f in (optimizers.AdaGrad, optimizers.RMSProp)
        for inside, initial in [(True, 0.0), (False, 0.1), (True, 0.1)]
    },
    "lion 0.5 0.9": partial(optimizers.Lion, 0.5, 0.9),
}


SEGMENTS = [
    [Segment(0, 1)],
    [Segment(0, 7, 1.0, 1.0, 1.0)],
    [Segment(0, 4500, 0.5, 1.0, 1.0), Segment(4500, 5000)],
    [Segment(0, 20000, 1.0, 1.0, 1.0), Segment(20000, 39000, 3.0, 1.0, 1.0), Segment(39000, 40000)],
]


def steps(kernels, make, dtype, segments, l2, decay):
    """Return the weights, slots and penalties of a few steps."""
    n = segments[-1].stop
    rng = np.random.default_rng(n)
    optimizer = make()
    optimizer.start(n, np.dtype(dtype))
    optimizer.bind(kernels, segments, np.dtype(dtype))
    w = rng.standard_normal(n).astype(dtype)
    values = []
    for i in range(4):
        g = rng.standard_normal(n).astype(dtype)
        g[i % n] = 0
        values.append(optimizer.step(w, g, 0.01, l2, decay))
    return w, optimizer.slots_, values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", OPTIMIZER_CASES.values(), ids=OPTIMIZER_CASES)
def test_optimizers(make, dtype):
    for segments in SEGMENTS:
        for l2, decay in [(0.0, 0.0), (0.01, 10.0)]:
            how = (make, dtype, segments, l2, decay)
            w, slots, values = steps(numba_kernels, *how)
            expected_w, expected_slots, expected_values = steps(numpy_kernels, *how)
            close(w, expected_w, dtype, scale=10)
            for slot, expected in zip(slots, expected_slots, strict=True):
                close(slot, expected, dtype, scale=10)
            np.testing.assert_allclose(values, expected_values, rtol=1e-4)
            if not (l2 and segments[0].l2):
                assert values == [0.0] * 4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_pass_nan_on(name):
    optimizer = OPTIMIZERS[name]()
    optimizer.start(20, np.dtype(np.float32))
    optimizer.bind(numba_kernels, [Segment(0, 20)], np.dtype(np.float32))
    w, g = np.ones(20, np.float32), np.ones(20, np.float32)
    g[3] = np.nan
    optimizer.step(w, g, 0.01)
    assert np.isnan(w[3])
    assert np.isfinite(np.delete(w, 3)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [1e-30, 1e-18, 1e-12])
@pytest.mark.parametrize("name", ["adam", "amsgrad", "nadam", "adamax", "adagrad", "rmsprop"])
def test_an_epsilon_that_tells_tiny_gradients_apart(name, epsilon, dtype):
    found = []
    for kernels in (numba_kernels, numpy_kernels):
        optimizer = OPTIMIZERS[name](epsilon=epsilon)
        optimizer.start(3, np.dtype(dtype))
        optimizer.bind(kernels, [Segment(0, 3)], np.dtype(dtype))
        w = np.ones(3, dtype)
        for _ in range(3):
            optimizer.step(w, np.array([1e-18, 1e-14, 1e-3], dtype), 0.01)
        found.append(w)
    np.testing.assert_allclose(*found, rtol=1e-4)


class Backwards(optimizers.Adam):
    def update(self, w, g, lr, work, m, v):
        g *= -1
        super().update(w, g, lr, work, m, v)


def test_a_subclass_of_an_optimizer_is_itself():
    w, _, _ = steps(numba_kernels, Backwards, np.float64, [Segment(0, 50)], 0.0, 0.0)
    expected, _, _ = steps(numpy_kernels, Backwards, np.float64, [Segment(0, 50)], 0.0, 0.0)
    np.testing.assert_array_equal(w, expected)


# Batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "arrange",
    [np.asarray, np.asfortranarray, lambda X: X[:, ::-1], sp.csr_array, sp.csr_matrix],
    ids=["C", "Fortran", "strided", "csr_array", "csr_matrix"],
)
@pytest.mark.parametrize("stays_sparse", [False, True])
def test_rows_of_a_batch(arrange, stays_sparse, dtype, rng):
    X = (rng.standard_normal((30, 9)) * (rng.random((30, 9)) < 0.4)).astype(dtype)
    given = arrange(X)
    if stays_sparse and isinstance(given, np.ndarray):
        return
    gather = numba_kernels.bind_rows(given, 8, np.dtype(dtype), stays_sparse)
    whole = given if isinstance(given, np.ndarray) else given.toarray()
    for rows in ([3, 3, 29, 0, 7, 12, 1, 2], [5], list(range(8))):
        batch = gather(np.array(rows))
        assert batch.shape == (len(rows), 9)
        if stays_sparse:
            W, out = rng.standard_normal((9, 4)).astype(dtype), np.empty((len(rows), 4), dtype)
            forward, _ = numba_kernels.bind_dense(None, 8, 9, 4, dtype)
            forward(batch, W, None, out, None, None)
            close(out, whole[rows] @ W, dtype)
        else:
            assert batch.dtype == dtype
            np.testing.assert_array_equal(batch, whole[rows])


def test_duplicate_entries_of_a_sparse_row_add_up():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 3])), shape=(1, 2))
    gather = numba_kernels.bind_rows(X, 1, np.dtype(float), False)
    np.testing.assert_array_equal(gather(np.array([0])), [[1.0, 2.0]])
