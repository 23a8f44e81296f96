"""Losses for several outputs: derivatives, and values that are computed in another way."""

import numpy as np
import pytest

from contract_tools import assert_gradient
from skdeep.joint_losses import JointLoss, Measured, Quantiles
from skdeep.losses import (
    AbsoluteError,
    GammaLoss,
    Huber,
    LogLoss,
    PoissonLoss,
    QuantileLoss,
    RegressionLoss,
    SquaredError,
)

N = 9
WEIGHTS = [None, np.array([0.5, 2, 0, 1, 1, 3, 0.1, 0.7, 1.3])]


class Own(RegressionLoss):
    """A loss of the user's own, which averages over outputs."""

    def pointwise(self, Y, P, work):
        P -= Y
        np.multiply(P, P, out=work)
        P *= 2
        return work, P


def softmax_loss():
    loss = LogLoss()
    loss.multiclass = True
    return loss


def with_link(loss, name):
    loss.use_output_activation(name)
    return loss


def joint():
    return JointLoss(
        [SquaredError(), with_link(Huber(0.5), "softplus"), softmax_loss(), PoissonLoss()],
        [2, 1, 3, 1],
        [0.9, 0.1, 2.0, 0.5],
    )


def quantiles(non_crossing):
    loss = Quantiles([0.1, 0.5, 0.8], non_crossing)
    loss.use_output_activation("auto")
    return loss


def numbers(n_outputs):
    return np.random.default_rng(1).gamma(2.0, 1.0, (N, n_outputs))


def labels():
    return np.eye(3)[np.arange(N) % 3]


def with_gaps(Y, whole_rows):
    Y = Y.copy()
    Y[[1, 6]] = np.nan
    if not whole_rows:
        Y[[0, 3, 4], [0, 1, 0]] = np.nan
    return Y


CASES = {
    "joint": (joint, np.hstack([numbers(3), labels(), numbers(1)])),
    "quantiles": (lambda: quantiles(False), np.repeat(numbers(1), 3, axis=1)),
    "quantiles that do not cross": (lambda: quantiles(True), np.repeat(numbers(1), 3, axis=1)),
    **{
        f"gaps {name}": (lambda make=make: Measured(make()), Y)
        for name, make, Y in [
            ("rows of labels", softmax_loss, with_gaps(labels(), True)),
            ("rows of quantiles", lambda: quantiles(True), with_gaps(numbers(3), True)),
            ("squared", SquaredError, with_gaps(numbers(2), False)),
            ("poisson", PoissonLoss, with_gaps(numbers(2), False)),
            ("gamma", GammaLoss, with_gaps(numbers(2), False)),
            (
                "softplus",
                lambda: with_link(SquaredError(), "softplus"),
                with_gaps(numbers(2), False),
            ),
            ("own", Own, with_gaps(numbers(2), False)),
        ]
    },
    "joint with gaps": (
        lambda: JointLoss([Measured(SquaredError()), Measured(softmax_loss())], [1, 3]),
        np.hstack([with_gaps(numbers(1), True), with_gaps(labels(), True)]),
    ),
}


def evaluate(loss, Y, Z, weight=None):
    Z = Z.copy()
    value = loss.value_and_grad(Y, Z, weight, np.full_like(Z, np.nan))
    return value, Z


def raw_outputs(Y):
    return np.random.default_rng(2).standard_normal(Y.shape)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["bare", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_derivative_of_the_value(name, weight):
    make, Y = CASES[name]
    loss, Z = make(), raw_outputs(Y)
    gradient = evaluate(loss, Y, Z, weight)[1]
    assert np.isfinite(gradient).all()
    assert_gradient(gradient, lambda: evaluate(loss, Y, Z, weight)[0], Z)


@pytest.mark.parametrize("name", CASES)
def test_float32_gives_what_float64_gives(name):
    make, Y = CASES[name]
    loss, Z = make(), raw_outputs(Y)
    wide = evaluate(loss, Y, Z, WEIGHTS[1])
    narrow = evaluate(loss, *(A.astype(np.float32) for A in (Y, Z, WEIGHTS[1])))
    assert isinstance(narrow[0], float)
    assert narrow[1].dtype == np.float32
    np.testing.assert_allclose(narrow[0], wide[0], rtol=1e-5)
    np.testing.assert_allclose(narrow[1], wide[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_targets_are_left_alone(name):
    make, Y = CASES[name]
    given = Y.copy()
    given.flags.writeable = False
    make().check_targets(given)
    evaluate(make(), given, raw_outputs(Y))


@pytest.mark.parametrize("name", CASES)
def test_the_best_constant_is_no_worse_than_its_neighbours(name):
    make, Y = CASES[name]
    loss, ones = make(), np.ones(N)
    best = loss.best_constant(Y, ones)
    assert best.shape == Y.shape[1:]

    def value(z):
        return evaluate(loss, Y, np.broadcast_to(z, Y.shape).copy())[0]

    at_best = value(best)
    for k in range(len(best)):
        for step in (-0.7, 0.7):
            assert at_best <= value(best + step * np.eye(len(best))[k]) + 1e-9


def test_a_joint_loss_is_the_weighted_sum_of_its_parts():
    loss, (_, Y) = joint(), CASES["joint"]
    Z = raw_outputs(Y)
    p = np.exp(Z[:, 3:6]) / np.exp(Z[:, 3:6]).sum(axis=1, keepdims=True)
    r = np.abs(np.logaddexp(0, Z[:, 2]) - Y[:, 2])
    parts = [
        ((Z[:, :2] - Y[:, :2]) ** 2).mean() / 2,
        np.where(r <= 0.5, r**2 / 2, 0.5 * (r - 0.25)).mean(),
        -np.log((p * Y[:, 3:6]).sum(axis=1)).mean(),
        (Y[:, 6] * np.log(Y[:, 6]) - Y[:, 6] * Z[:, 6] - Y[:, 6] + np.exp(Z[:, 6])).mean(),
    ]
    np.testing.assert_allclose(loss.values(Y, Z, None), parts)
    np.testing.assert_allclose(evaluate(loss, Y, Z)[0], np.dot([0.9, 0.1, 2.0, 0.5], parts))


def test_gaps_are_left_out_of_the_mean():
    Y = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, np.nan], [4.0, 0.0]])
    Z = np.array([[2.0, 9.0], [2.0, 2.0], [7.0, 7.0], [1.0, 0.0]])
    value, gradient = evaluate(Measured(SquaredError()), Y, Z)
    assert value == pytest.approx((1 + 0 + 9 + 9 + 0) / 2 / 5)
    np.testing.assert_allclose(gradient, np.array([[1, 0], [0, -3], [0, 0], [-3, 0]]) / 5)
    value, gradient = evaluate(Measured(AbsoluteError()), np.full((3, 1), np.nan), np.ones((3, 1)))
    assert value == 0
    assert not gradient.any()


def test_without_gaps_the_loss_is_the_usual_one():
    Y, Z = numbers(2), raw_outputs(numbers(2))
    for weight in WEIGHTS:
        bare, measured = (evaluate(f, Y, Z, weight) for f in (Huber(), Measured(Huber())))
        assert bare[0] == measured[0]
        np.testing.assert_array_equal(bare[1], measured[1])


def test_one_quantile_for_each_output_is_the_mean_of_their_losses():
    Y = np.repeat(numbers(1), 3, axis=1)
    Z = raw_outputs(Y)
    each = [
        evaluate(QuantileLoss(q), Y[:, :1], Z[:, k : k + 1])[0]
        for k, q in enumerate((0.1, 0.5, 0.8))
    ]
    assert evaluate(quantiles(False), Y, Z)[0] == pytest.approx(np.mean(each))


def test_quantiles_that_do_not_cross_rise_in_every_row():
    Z = 30 * raw_outputs(np.empty((N, 3)))
    steps = np.logaddexp(0, Z[:, 1:])
    expected = np.column_stack([Z[:, 0], Z[:, 0] + steps[:, 0], Z[:, 0] + steps.sum(axis=1)])
    quantiles(True).output(Z)
    np.testing.assert_allclose(Z, expected)
    assert (np.diff(Z, axis=1) >= 0).all()
