"""Losses: what neither the contracts nor the formulas say."""

import math

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.losses import (
    CLASSIFICATION_LOSSES,
    OUTPUT_ACTIVATIONS,
    POSITIVE_OUTPUTS,
    REGRESSION_LOSSES,
    AbsoluteError,
    FocalLoss,
    GammaLoss,
    Hinge,
    Huber,
    LogCosh,
    LogLoss,
    Loss,
    PoissonLoss,
    QuantileLoss,
    RegressionLoss,
    SquaredError,
    SquaredHinge,
)


def evaluate(loss, Y, Z, weight=None):
    Y, Z = np.array(Y, float), np.array(Z, float)
    return loss.value_and_grad(Y, Z, weight, np.empty_like(Z)), Z


def multiclass(loss):
    loss.multiclass = True
    return loss


# What a loss is for ---------------------------------------------------------------------------


def test_every_loss_says_what_it_is_for():
    assert {make().task for make in CLASSIFICATION_LOSSES.values()} == {"classification"}
    assert {make().task for make in REGRESSION_LOSSES.values()} == {"regression"}
    assert Loss().task is None


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_distances_average_over_outputs_and_likelihoods_add_up(name):
    loss = REGRESSION_LOSSES[name]()
    loss.use_output_activation("auto")
    one, _ = evaluate(loss, [[2.0]], [[0.5]])
    three, _ = evaluate(loss, [[2.0] * 3], [[0.5] * 3])
    assert three == pytest.approx(one * (3 if name in ("poisson", "gamma") else 1))


@pytest.mark.parametrize(
    ("loss", "allowed", "forbidden"),
    [
        (PoissonLoss(), [0.0, 3.0], [-1e-9, 3.0]),
        (GammaLoss(), [1e-9, 3.0], [0.0, 3.0]),
        (SquaredError(), [-1.0, 0.0], None),
        (LogLoss(), [0.0, 1.0], None),
    ],
)
def test_targets_that_a_loss_is_not_defined_for_are_an_error(loss, allowed, forbidden):
    loss.check_targets(np.array([allowed]))
    if forbidden:
        with pytest.raises(ValueError, match=r"y must be >=? 0, and its minimum is"):
            loss.check_targets(np.array([forbidden]))


# Links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_auto_gives_back_the_losss_own_link(name):
    loss = REGRESSION_LOSSES[name]()
    own = loss.link
    loss.use_output_activation("softplus")
    assert loss.link == "softplus"
    loss.use_output_activation("auto")
    assert loss.link == own == type(loss).link
    assert (loss.activation is None) == (own == "identity")


@pytest.mark.parametrize("name", ["poisson", "gamma"])
@pytest.mark.parametrize("output", sorted(set(OUTPUT_ACTIVATIONS) - set(POSITIVE_OUTPUTS)))
def test_likelihoods_of_positive_numbers_name_an_output_that_may_be_negative(name, output):
    with pytest.raises(InvalidParameterError, match=rf"output_activation='{output}'.*exponential"):
        REGRESSION_LOSSES[name]().use_output_activation(output)


# Extremes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [50.0, 1e3, 1e6])
def test_log_loss_of_a_sure_mistake_is_the_logit(size):
    value, gradient = evaluate(LogLoss(), [[1.0, 0.0]], [[-size, size]])
    assert value == pytest.approx(2 * size)
    np.testing.assert_allclose(gradient, [[-1, 1]])
    value, gradient = evaluate(multiclass(LogLoss()), [[1.0, 0, 0]], [[-size, size, 0.0]])
    assert value == pytest.approx(2 * size)
    np.testing.assert_allclose(gradient, [[-1, 1, 0]], atol=1e-20)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", POSITIVE_OUTPUTS)
@pytest.mark.parametrize("kernels", ["numpy_kernels", "numba_kernels"])
def test_poisson_of_no_events_where_none_are_expected(kernels, output, dtype):
    """Where the expectation is too small for a floating point number."""
    kernels = pytest.importorskip(f"skdeep.kernels.{kernels}")
    loss = PoissonLoss()
    loss.use_output_activation(output)
    Y, Z = np.zeros((2, 1), dtype), np.array([[-2000.0], [-1.0]], dtype)
    value = kernels.bind_loss(loss, np.dtype(dtype))(Y, Z, None, np.empty_like(Z))
    assert np.isfinite(value)
    assert Z[0] == 0
    assert 0 < Z[1] < 1


def test_log_loss_of_a_sure_success_keeps_its_digits():
    value, _ = evaluate(LogLoss(), [[1.0]], [[40.0]])
    assert value == pytest.approx(math.exp(-40), rel=1e-12)
    value, _ = evaluate(multiclass(FocalLoss(1.0)), [[1.0, 0.0]], [[20.0, 0.0]])
    assert value == pytest.approx(math.exp(-40), rel=1e-6)


def test_softmax_does_not_see_a_shift():
    Y, Z = [[0.0, 1, 0], [1, 0, 0]], np.array([[0.3, -1, 2], [0, 0, 1]])
    for name in ("log_loss", "squared_error", "focal", "hinge", "squared_hinge"):
        loss = multiclass(CLASSIFICATION_LOSSES[name]())
        plain, shifted = evaluate(loss, Y, Z), evaluate(loss, Y, Z + 1e4)
        assert shifted[0] == pytest.approx(plain[0], rel=1e-9)
        np.testing.assert_allclose(shifted[1], plain[1], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_robust_losses_grow_like_the_distance(size):
    for loss, expected in (
        (LogCosh(), size - math.log(2)),
        (Huber(2.0), 2 * size - 2),
        (AbsoluteError(), size),
        (QuantileLoss(0.9), 0.1 * size),
    ):
        value, gradient = evaluate(loss, [[0.0]], [[size]])
        assert value == pytest.approx(expected)
        assert 0 < gradient[0, 0] <= 2


@pytest.mark.parametrize("loss", [LogCosh(), Huber(), SquaredError(), AbsoluteError()], ids=str)
def test_a_perfect_prediction_costs_nothing_and_pulls_nowhere(loss):
    value, gradient = evaluate(loss, [[1.5, -2.0]], [[1.5, -2.0]])
    assert value == pytest.approx(0.0, abs=1e-16)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-16)


# Minima ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        (SquaredError(), np.mean),
        (AbsoluteError(), np.median),
        (QuantileLoss(0.9), lambda y: np.quantile(y, 0.9, method="inverted_cdf")),
        (QuantileLoss(0.1), lambda y: np.quantile(y, 0.1, method="inverted_cdf")),
        (PoissonLoss(), lambda y: np.log(np.mean(y))),
        (GammaLoss(), lambda y: np.log(np.mean(y))),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_the_best_constant_is_the_statistic_that_the_loss_stands_for(loss, best):
    y = np.random.default_rng(0).gamma(2.0, 1.0, (101, 1))
    grid = np.linspace(-1, 5, 6001)
    values = [evaluate(loss, y, np.full_like(y, z))[0] for z in grid]
    assert grid[int(np.argmin(values))] == pytest.approx(best(y), abs=2e-3)


# Hinge ----------------------------------------------------------------------------------------


def test_hinge_stops_pulling_beyond_the_margin():
    for loss in (Hinge(), SquaredHinge()):
        value, gradient = evaluate(loss, [[1.0, 0.0]], [[1.5, -1.5]])
        assert value == 0
        assert (gradient == 0).all()
        value, gradient = evaluate(multiclass(loss), [[1.0, 0, 0]], [[2.5, 1.4, -3]])
        assert value == 0
        assert (gradient == 0).all()


def test_multiclass_hinge_pulls_the_right_class_and_its_nearest_rival_only():
    _, gradient = evaluate(multiclass(Hinge()), [[0, 1.0, 0, 0]], [[0.2, 0.5, 0.9, -1]])
    np.testing.assert_array_equal(gradient, [[0, -1, 1, 0]])
    _, gradient = evaluate(multiclass(SquaredHinge()), [[0, 1.0, 0, 0]], [[0.2, 0.5, 0.9, -1]])
    np.testing.assert_allclose(gradient, [[0, -2.8, 2.8, 0]])


# A loss of the user's own ---------------------------------------------------------------------


class FourthPower(RegressionLoss):
    """l = mean_k (p_k - y_k)^4."""

    def pointwise(self, Y, P, work):
        P -= Y
        np.power(P, 4, out=work)
        np.power(P, 3, out=P)
        P *= 4
        return work, P


@pytest.mark.parametrize("output", OUTPUT_ACTIVATIONS)
def test_a_subclass_writes_one_method_and_has_every_output_activation(output, rng):
    Y, Z = rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    loss = FourthPower()
    loss.use_output_activation(output)
    P = Z.copy()
    loss.output(P)
    weight = np.array([1.0, 2.0, 0.5, 0.0])
    value, gradient = evaluate(loss, Y, Z, weight)
    assert value == pytest.approx((weight @ ((P - Y) ** 4).mean(axis=1)) / 4)
    step = 1e-6 * rng.standard_normal(Z.shape)
    above, below = (evaluate(loss, Y, Z + s, weight)[0] for s in (step, -step))
    assert (above - below) / 2 == pytest.approx(np.sum(gradient * step), rel=1e-6)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("multiclass", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_derivatives_are_never_subnormal(kernels, dtype, multiclass, weighted):
    # Processors take a hundred times as long for subnormal numbers.
    if kernels == "numba":
        kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
    else:
        from skdeep.kernels import numpy_kernels as kernels
    Z = np.linspace(-800, 800, 5000, dtype=dtype).reshape(-1, 2)
    if multiclass:
        Z = np.stack([Z[:, 0], np.zeros(len(Z), dtype)], axis=1)
        Y = np.eye(2, dtype=dtype)[(Z[:, 0] < 0).astype(int)]
    else:
        Y = (Z > 0).astype(dtype)
    loss = LogLoss()
    loss.multiclass = multiclass
    weight = np.full(len(Z), 0.5, dtype) if weighted else None
    with np.errstate(under="ignore"):
        kernels.bind_loss(loss, np.dtype(dtype))(Y, Z, weight, np.empty_like(Z))
    sizes = np.abs(Z[Z != 0])
    assert sizes.size
    assert sizes.min() >= (1e-20 if dtype == "float32" else 1e-200)
