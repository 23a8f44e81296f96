"""Every formula once more, written out from its definition and independently of the engine.

Each family has a table REFERENCE_... with exactly the keys of its registry, so that an entry
without an independent formula is a failing test.
"""

import math

import numpy as np
import pytest
import scipy.special as special
import scipy.stats as stats
from sklearn.metrics import mean_gamma_deviance, mean_pinball_loss, mean_poisson_deviance

from skdeep import activations, constraints, initializers, losses, regularizers, schedules
from skdeep.activations import ACTIVATIONS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.layers import Activation, BatchNorm, Dense, Dropout, GaussianNoise
from skdeep.losses import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, REGRESSION_LOSSES
from skdeep.network import Network
from skdeep.optimizers import (
    OPTIMIZERS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Lion,
    Nadam,
    RMSProp,
)
from skdeep.regularizers import REGULARIZERS
from skdeep.schedules import SCHEDULES, Piecewise, Progress, Warmup


def elementwise(f):
    """Lift a function of one number to arrays."""
    return np.vectorize(f, otypes=[float])


# Activations ----------------------------------------------------------------------------------


def logistic(z):
    return 1 / (1 + math.exp(-z))


def softplus(z):
    return math.log(1 + math.exp(z))


def leaky(slope):
    return lambda z: z if z > 0 else slope * z


REFERENCE_ACTIVATIONS = {
    "identity": lambda z: z,
    "linear": lambda z: z,
    "logistic": logistic,
    "sigmoid": logistic,
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": leaky(0.01),
    "prelu": leaky(0.25),
    "rrelu": leaky((1 / 8 + 1 / 3) / 2),  # at prediction
    "thresholded_relu": lambda z: z if z > 1 else 0.0,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
    "gelu": lambda z: z * stats.norm.cdf(z),
    "swish": lambda z: z * logistic(z),
    "silu": lambda z: z * logistic(z),
    "mish": lambda z: z * math.tanh(softplus(z)),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + abs(z)),
    "hard_sigmoid": lambda z: 0.0 if z <= -3 else 1.0 if z >= 3 else z / 6 + 0.5,
    "exponential": math.exp,
    "step": lambda z: 1.0 if z >= 0 else 0.0,
    "heaviside": lambda z: 1.0 if z >= 0 else 0.0,
}
# Functions of a row of units.
REFERENCE_ROW_ACTIVATIONS = {
    "softmax": lambda row: [math.exp(z) / sum(map(math.exp, row)) for z in row],
}
REFERENCE_ACTIVATIONS_WITH_CONSTANTS = {
    "leaky_relu": (activations.LeakyReLU(negative_slope=0.3), leaky(0.3)),
    "prelu": (activations.PReLU(initial_slope=-0.4), leaky(-0.4)),
    "rrelu": (activations.RReLU(lower=0.2, upper=0.6), leaky(0.4)),
    "thresholded_relu": (
        activations.ThresholdedReLU(theta=0.5),
        lambda z: z if z > 0.5 else 0.0,
    ),
    "elu": (activations.ELU(alpha=0.7), lambda z: z if z > 0 else 0.7 * (math.exp(z) - 1)),
    "swish": (activations.Swish(beta=1.5), lambda z: z * logistic(1.5 * z)),
}
Z_GRID = np.concatenate([np.linspace(-6, 6, 49), [-1e-3, 1e-3, -3, 3, 1, 0.5]]).reshape(-1, 1)


def activate(f, Z):
    """Return f(Z) at prediction, through a network, so that trained slopes are there."""
    network = Network([Activation(f)], [1], Z.shape[1], np.dtype(float), np.random.default_rng(0))
    return network.infer(Z)


class TestActivations:
    def test_every_activation_has_a_formula(self):
        given = REFERENCE_ACTIVATIONS.keys() | REFERENCE_ROW_ACTIVATIONS.keys()
        assert given == ACTIVATIONS.keys()

    @pytest.mark.parametrize("name", REFERENCE_ROW_ACTIVATIONS)
    def test_formula_of_rows(self, name):
        Z = Z_GRID[:54].reshape(-1, 6)
        for units in (1, 2, 6):
            rows = np.ascontiguousarray(Z[:, :units])
            expected = [REFERENCE_ROW_ACTIVATIONS[name](row.tolist()) for row in rows]
            np.testing.assert_allclose(activate(name, rows), expected, rtol=1e-12, atol=1e-15)
            far = activate(name, 1e4 * rows)
            np.testing.assert_allclose(far.sum(axis=1), 1.0, rtol=1e-12)

    @pytest.mark.parametrize("name", REFERENCE_ACTIVATIONS)
    def test_formula(self, name):
        expected = elementwise(REFERENCE_ACTIVATIONS[name])(Z_GRID)
        np.testing.assert_allclose(activate(name, Z_GRID), expected, rtol=1e-12, atol=1e-15)

    def test_every_activation_with_constants_has_a_formula_for_them(self):
        with_constants = {name for name, make in ACTIVATIONS.items() if make().get_params()}
        assert REFERENCE_ACTIVATIONS_WITH_CONSTANTS.keys() | {"silu"} == with_constants

    @pytest.mark.parametrize(
        ("f", "formula"),
        REFERENCE_ACTIVATIONS_WITH_CONSTANTS.values(),
        ids=REFERENCE_ACTIVATIONS_WITH_CONSTANTS,
    )
    def test_constants(self, f, formula):
        expected = elementwise(formula)(Z_GRID)
        np.testing.assert_allclose(activate(f, Z_GRID), expected, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("initial", [1.0, 0.3, -0.5, 0.0])
    @pytest.mark.parametrize("name", ["selu", "relu", "tanh", "gelu"])
    def test_parametric(self, name, initial):
        g = elementwise(REFERENCE_ACTIVATIONS[name])(Z_GRID)
        expected = Z_GRID + initial * (g - Z_GRID)
        f = activations.Parametric(name, initial=initial)
        np.testing.assert_allclose(activate(f, Z_GRID), expected, rtol=1e-12, atol=1e-15)

    def test_rrelu_draws_uniform_slopes_in_training(self):
        Z = np.random.default_rng(0).standard_normal((2000, 20))
        A, work = Z.copy(), np.empty_like(Z)
        f = activations.RReLU(0.2, 0.6)
        f.allocate(*Z.shape, Z.dtype, np.random.default_rng(1))
        f.forward(A, work)
        np.testing.assert_array_equal(A[Z > 0], Z[Z > 0])
        slopes = (A / Z)[Z < 0]
        assert stats.kstest(slopes, stats.uniform(0.2, 0.4).cdf).pvalue > 0.01


# Losses ---------------------------------------------------------------------------------------


def softmax(z):
    e = np.exp(z - max(z))
    return e / e.sum()


def by_label(loss):
    """Add a loss of (y, z) up over the labels of a row."""
    return lambda y, z: sum(loss(*pair) for pair in zip(y, z, strict=True))


def binary_log_loss(y, z):
    return -y * math.log(logistic(z)) - (1 - y) * math.log(1 - logistic(z))


def binary_focal(y, z):
    p = logistic(z)
    return -y * (1 - p) ** 2 * math.log(p) - (1 - y) * p**2 * math.log(1 - p)


def crammer_singer(y, z):
    right = int(np.argmax(y))
    return max(0.0, 1 + max(z[j] for j in range(len(z)) if j != right) - z[right])


# name -> (the loss of a row of labels apart, the loss of a row of a multiclass problem)
REFERENCE_CLASSIFICATION = {
    "log_loss": (by_label(binary_log_loss), lambda y, z: -np.sum(y * np.log(softmax(z)))),
    "squared_error": (
        lambda y, z: np.mean((elementwise(logistic)(z) - y) ** 2) / 2,
        lambda y, z: np.mean((softmax(z) - y) ** 2) / 2,
    ),
    "hinge": (by_label(lambda y, z: max(0.0, 1 - (2 * y - 1) * z)), crammer_singer),
    "squared_hinge": (
        by_label(lambda y, z: max(0.0, 1 - (2 * y - 1) * z) ** 2),
        lambda y, z: crammer_singer(y, z) ** 2,
    ),
    "focal": (
        by_label(binary_focal),
        lambda y, z: -np.sum(y * (1 - softmax(z)) ** 2 * np.log(softmax(z))),
    ),
}


def huber(r, delta):
    return r**2 / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)


# name -> the loss of a row of targets y and predictions p
REFERENCE_REGRESSION = {
    "squared_error": lambda y, p: np.mean((y - p) ** 2) / 2,
    "absolute_error": lambda y, p: np.mean(np.abs(y - p)),
    "huber": lambda y, p: np.mean([huber(r, 1.0) for r in y - p]),
    "log_cosh": lambda y, p: np.mean(np.log(np.cosh(y - p))),
    "poisson": lambda y, p: len(y) * mean_poisson_deviance(y, p) / 2,
    "gamma": lambda y, p: len(y) * mean_gamma_deviance(y, p) / 2,
    "quantile": lambda y, p: mean_pinball_loss(y, p, alpha=0.5),
}
REFERENCE_LOSSES_WITH_CONSTANTS = {
    "huber": (losses.Huber(delta=0.4), lambda y, p: np.mean([huber(r, 0.4) for r in y - p])),
    "quantile": (
        losses.QuantileLoss(quantile=0.8),
        lambda y, p: mean_pinball_loss(y, p, alpha=0.8),
    ),
}
REFERENCE_LINKS = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "softplus": softplus,
    "exponential": math.exp,
    "logistic": logistic,
    "tanh": math.tanh,
}
REFERENCE_OWN_LINKS = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "log_cosh": "identity",
    "poisson": "exponential",
    "gamma": "exponential",
    "quantile": "identity",
}
NEED_POSITIVE_OUTPUTS = {"poisson": {"softplus", "exponential", "logistic"}}
NEED_POSITIVE_OUTPUTS["gamma"] = NEED_POSITIVE_OUTPUTS["poisson"]
LOSSES_AND_OUTPUTS = [
    (name, output)
    for name in REGRESSION_LOSSES
    for output in OUTPUT_ACTIVATIONS
    if output in NEED_POSITIVE_OUTPUTS.get(name, OUTPUT_ACTIVATIONS)
]
WEIGHT = np.array([0.3, 2.0, 0.0, 1.0, 0.5, 4.0])


def loss_value(loss, Y, Z, weight=None):
    return loss.value_and_grad(Y, Z.copy(), weight, np.empty_like(Z))


def weighted_mean(row_loss, Y, Z, weight):
    """(1/n) sum_i w_i l_i."""
    return sum(w * row_loss(y, z) for w, y, z in zip(weight, Y, Z, strict=True)) / len(Y)


class TestLosses:
    def test_every_loss_has_a_formula(self):
        assert REFERENCE_CLASSIFICATION.keys() == CLASSIFICATION_LOSSES.keys()
        assert REFERENCE_REGRESSION.keys() == REGRESSION_LOSSES.keys()
        assert REFERENCE_LINKS.keys() == set(OUTPUT_ACTIVATIONS)
        assert REFERENCE_OWN_LINKS.keys() == REGRESSION_LOSSES.keys()

    @pytest.mark.parametrize("weight", [np.ones(6), WEIGHT], ids=["bare", "weighted"])
    @pytest.mark.parametrize("multiclass", [False, True])
    @pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
    def test_classification_value(self, name, multiclass, weight, rng):
        Z = 2 * rng.standard_normal((6, 3))
        Y = np.eye(3)[[0, 1, 2, 2, 1, 0]] if multiclass else rng.integers(0, 2, (6, 3)) * 1.0
        loss = CLASSIFICATION_LOSSES[name]()
        loss.multiclass = multiclass
        expected = weighted_mean(REFERENCE_CLASSIFICATION[name][multiclass], Y, Z, weight)
        given = None if (weight == 1).all() else weight
        assert loss_value(loss, Y, Z, given) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 3.0])
    def test_focal_constant(self, gamma, rng):
        Z, Y = rng.standard_normal((6, 3)), np.eye(3)[[0, 1, 2, 2, 1, 0]]
        loss = losses.FocalLoss(gamma=gamma)
        P = special.expit(Z)
        p_right = np.where(Y == 1, P, 1 - P)
        expected = np.sum(-((1 - p_right) ** gamma) * np.log(p_right)) / 6
        assert loss_value(loss, Y, Z) == pytest.approx(expected, rel=1e-12)
        loss.multiclass = True
        p_right = special.softmax(Z, axis=1)[Y == 1]
        expected = np.mean(-((1 - p_right) ** gamma) * np.log(p_right))
        assert loss_value(loss, Y, Z) == pytest.approx(expected, rel=1e-12)

    def test_focal_without_gamma_is_the_log_loss(self, rng):
        Z, Y = rng.standard_normal((6, 3)), np.eye(3)[[0, 1, 2, 2, 1, 0]]
        for multiclass in (False, True):
            pair = losses.FocalLoss(0.0), losses.LogLoss()
            for loss in pair:
                loss.multiclass = multiclass
            gradients = Z.copy(), Z.copy()
            values = [
                loss.value_and_grad(Y, g, WEIGHT, np.empty_like(Z))
                for loss, g in zip(pair, gradients, strict=True)
            ]
            assert values[0] == pytest.approx(values[1], rel=1e-12)
            np.testing.assert_allclose(*gradients, rtol=1e-10, atol=1e-15)

    @pytest.mark.parametrize("weight", [np.ones(6), WEIGHT], ids=["bare", "weighted"])
    @pytest.mark.parametrize("name", REGRESSION_LOSSES)
    def test_regression_value_by_its_own_link(self, name, weight, rng):
        Z, Y = rng.standard_normal((6, 3)), rng.gamma(2.0, 1.0, (6, 3)) + 0.1
        loss = REGRESSION_LOSSES[name]()
        loss.use_output_activation("auto")
        link = elementwise(REFERENCE_LINKS[REFERENCE_OWN_LINKS[name]])
        assert loss.link == REFERENCE_OWN_LINKS[name]
        expected = weighted_mean(REFERENCE_REGRESSION[name], Y, link(Z), weight)
        given = None if (weight == 1).all() else weight
        assert loss_value(loss, Y, Z, given) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(("name", "output"), LOSSES_AND_OUTPUTS)
    def test_regression_value_and_output_by_other_links(self, name, output, rng):
        loss = REGRESSION_LOSSES[name]()
        loss.use_output_activation(output)
        Z, Y = rng.standard_normal((6, 3)), rng.gamma(2.0, 1.0, (6, 3)) + 0.1
        P = elementwise(REFERENCE_LINKS[output])(Z)
        expected = weighted_mean(REFERENCE_REGRESSION[name], Y, P, WEIGHT)
        assert loss_value(loss, Y, Z, WEIGHT) == pytest.approx(expected, rel=1e-12)
        loss.output(Z)
        np.testing.assert_allclose(Z, P, rtol=1e-13)

    def test_poisson_takes_counts_of_zero(self):
        Y, Z = np.array([[0.0], [3.0]]), np.array([[0.2], [0.4]])
        expected = (math.exp(0.2) + 3 * math.log(3 / math.exp(0.4)) - 3 + math.exp(0.4)) / 2
        for output in ("auto", "exponential"):
            loss = losses.PoissonLoss()
            loss.use_output_activation(output)
            assert loss_value(loss, Y, Z) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(
        ("loss", "row_loss"),
        REFERENCE_LOSSES_WITH_CONSTANTS.values(),
        ids=REFERENCE_LOSSES_WITH_CONSTANTS,
    )
    def test_constants(self, loss, row_loss, rng):
        Z, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
        expected = weighted_mean(row_loss, Y, Z, np.ones(6))
        assert loss_value(loss, Y, Z) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
    def test_classification_links(self, name, rng):
        loss = CLASSIFICATION_LOSSES[name]()
        Z = rng.standard_normal((6, 3))
        is_hinge = "hinge" in name
        for multiclass, link, output in (
            (False, "logistic", elementwise(logistic)(Z)),
            (True, "softmax", np.array([softmax(z) for z in Z])),
        ):
            loss.multiclass = multiclass
            P = Z.copy()
            loss.output(P)
            assert loss.link == ("identity" if is_hinge else link)
            assert loss.gives_probabilities != is_hinge
            np.testing.assert_allclose(P, Z if is_hinge else output, rtol=1e-13)


# Regularizers ---------------------------------------------------------------------------------

REFERENCE_REGULARIZERS = {
    "l1": lambda w: 0.01 * np.sum(np.abs(w)),
    "l2": lambda w: 0.01 * np.sum(w**2),
    "l1_l2": lambda w: 0.01 * np.sum(np.abs(w)) + 0.01 * np.sum(w**2),
}
REFERENCE_REGULARIZERS_WITH_CONSTANTS = {
    "l1": (regularizers.L1(l1=0.3), lambda w: 0.3 * np.sum(np.abs(w))),
    "l2": (regularizers.L2(l2=0.4), lambda w: 0.4 * np.sum(w**2)),
    "l1_l2": (
        regularizers.L1L2(l1=0.3, l2=0.4),
        lambda w: 0.3 * np.sum(np.abs(w)) + 0.4 * np.sum(w**2),
    ),
}


class TestRegularizers:
    def test_every_regularizer_has_a_formula(self):
        assert REFERENCE_REGULARIZERS.keys() == REGULARIZERS.keys()
        assert REFERENCE_REGULARIZERS_WITH_CONSTANTS.keys() == REGULARIZERS.keys()

    @pytest.mark.parametrize("name", REGULARIZERS)
    def test_value(self, name, rng):
        w = rng.standard_normal((5, 4))
        w[0, 0] = 0.0
        cases = [
            (REGULARIZERS[name](), REFERENCE_REGULARIZERS[name]),
            REFERENCE_REGULARIZERS_WITH_CONSTANTS[name],
        ]
        for regularizer, formula in cases:
            g = np.zeros_like(w)
            assert regularizer.penalize(w, g) == pytest.approx(formula(w), rel=1e-13)
            assert g[0, 0] == 0  # the sign of 0 is 0


# Constraints ----------------------------------------------------------------------------------


def by_column(project):
    """Apply a projection of one vector to every column; a bias has a row of them."""

    def project_all(W):
        if W.ndim == 1:
            return np.concatenate([project(W[j : j + 1]) for j in range(len(W))])
        return np.stack([project(W[:, j]) for j in range(W.shape[1])], axis=1)

    return project_all


def with_norm(w, wanted):
    norm = math.sqrt(sum(x * x for x in w))
    return w * (wanted(norm) / norm) if norm else w


REFERENCE_CONSTRAINTS = {
    "max_norm": by_column(lambda w: with_norm(w, lambda norm: min(norm, 2.0))),
    "unit_norm": by_column(lambda w: with_norm(w, lambda norm: 1.0)),
    "min_max_norm": by_column(lambda w: with_norm(w, lambda norm: min(max(norm, 0.0), 1.0))),
    "non_neg": lambda W: W * (W > 0),
}
REFERENCE_CONSTRAINTS_WITH_CONSTANTS = {
    "max_norm": (
        constraints.MaxNorm(max_value=0.7),
        by_column(lambda w: with_norm(w, lambda norm: min(norm, 0.7))),
    ),
    "min_max_norm": (
        constraints.MinMaxNorm(min_value=1.2, max_value=1.5, rate=0.3),
        by_column(lambda w: with_norm(w, lambda norm: 0.3 * min(max(norm, 1.2), 1.5) + 0.7 * norm)),
    ),
}


class TestConstraints:
    def test_every_constraint_has_a_formula(self):
        assert REFERENCE_CONSTRAINTS.keys() == CONSTRAINTS.keys()
        with_constants = {name for name, make in CONSTRAINTS.items() if make().get_params()}
        assert REFERENCE_CONSTRAINTS_WITH_CONSTANTS.keys() == with_constants

    @pytest.mark.parametrize("shape", [(4, 6), (6,)], ids=["kernel", "bias"])
    @pytest.mark.parametrize("name", CONSTRAINTS)
    def test_projection(self, name, shape, rng):
        W = rng.standard_normal(shape) * np.array([0.1, 0.5, 1, 2, 5, 0])
        cases = [(CONSTRAINTS[name](), REFERENCE_CONSTRAINTS[name])]
        if name in REFERENCE_CONSTRAINTS_WITH_CONSTANTS:
            cases.append(REFERENCE_CONSTRAINTS_WITH_CONSTANTS[name])
        for constraint, formula in cases:
            projected = W.copy()
            constraint.project(projected)
            np.testing.assert_allclose(projected, formula(W), rtol=1e-13)


# Initializers ---------------------------------------------------------------------------------

# The standard deviation of N(0, 1) cut off at two of them.
CUT = stats.truncnorm(-2, 2).std()


def truncated(variance):
    return lambda i, o: stats.truncnorm(-2, 2, scale=math.sqrt(variance(i, o)) / CUT)


def uniform(variance):
    """U(-b, b) has variance b^2 / 3."""

    def distribution(i, o):
        bound = math.sqrt(3 * variance(i, o))
        return stats.uniform(-bound, 2 * bound)

    return distribution


# name -> the distribution of an element of a kernel with i inputs and o outputs; None: not random
REFERENCE_INITIALIZERS = {
    "zeros": None,
    "ones": None,
    "constant": None,
    "normal": lambda i, o: stats.norm(0, 0.05),
    "uniform": lambda i, o: stats.uniform(-0.05, 0.1),
    "truncated_normal": lambda i, o: stats.truncnorm(-2, 2, scale=0.05),
    "fan_in_uniform": lambda i, o: stats.uniform(-1 / math.sqrt(i), 2 / math.sqrt(i)),
    "glorot_normal": truncated(lambda i, o: 2 / (i + o)),
    "glorot_uniform": uniform(lambda i, o: 2 / (i + o)),
    "he_normal": truncated(lambda i, o: 2 / i),
    "he_uniform": uniform(lambda i, o: 2 / i),
    "lecun_normal": truncated(lambda i, o: 1 / i),
    "lecun_uniform": uniform(lambda i, o: 1 / i),
    "orthogonal": None,
    "identity": None,
    "data": lambda i, o: stats.norm(0, 1 / math.sqrt(i)),  # before it meets the data
}
REFERENCE_INITIALIZERS_WITH_CONSTANTS = [
    (initializers.Normal(1.0, 0.3), lambda i, o: stats.norm(1.0, 0.3)),
    (initializers.Uniform(0.1, 0.4), lambda i, o: stats.uniform(0.1, 0.3)),
    (initializers.TruncatedNormal(1.0, 0.3), lambda i, o: stats.truncnorm(-2, 2, 1.0, 0.3)),
    (
        initializers.VarianceScaling(0.5, "fan_out", "normal"),
        lambda i, o: stats.norm(0, math.sqrt(0.5 / o)),
    ),
    (
        initializers.VarianceScaling(3.0, "fan_avg", "uniform"),
        uniform(lambda i, o: 6 / (i + o)),
    ),
    (initializers.VarianceScaling(), truncated(lambda i, o: 1 / i)),
]


def filled(initializer, shape, seed=0):
    W = np.empty(shape)
    initializer.fill(W, np.random.default_rng(seed))
    return W


def assert_distributed(W, distribution):
    low, high = distribution.support()
    assert W.min() >= low
    assert W.max() <= high
    assert W.var() == pytest.approx(distribution.var(), rel=0.05)
    assert stats.kstest(W.ravel(), distribution.cdf).pvalue > 0.01


class TestInitializers:
    def test_every_initializer_has_a_reference(self):
        assert REFERENCE_INITIALIZERS.keys() == INITIALIZERS.keys()

    @pytest.mark.parametrize("shape", [(150, 60), (50, 170)])
    @pytest.mark.parametrize("name", [k for k, v in REFERENCE_INITIALIZERS.items() if v])
    def test_distribution(self, name, shape):
        W = filled(INITIALIZERS[name](), shape)
        assert_distributed(W, REFERENCE_INITIALIZERS[name](*shape))

    @pytest.mark.parametrize(
        ("initializer", "reference"),
        REFERENCE_INITIALIZERS_WITH_CONSTANTS,
        ids=lambda v: "" if callable(v) else str(v),
    )
    def test_constants(self, initializer, reference):
        assert_distributed(filled(initializer, (150, 60)), reference(150, 60))

    @pytest.mark.parametrize(("name", "value"), [("zeros", 0.0), ("ones", 1.0), ("constant", 0.0)])
    def test_constant(self, name, value):
        assert (filled(INITIALIZERS[name](), (3, 4)) == value).all()
        assert (filled(initializers.Constant(value=0.7), (3, 4)) == 0.7).all()

    @pytest.mark.parametrize("gain", [1.0, 2.5])
    @pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (7,)])
    def test_orthogonal(self, shape, gain):
        W = np.atleast_2d(filled(initializers.Orthogonal(gain), shape))
        if W.shape[0] < W.shape[1]:
            W = W.T
        np.testing.assert_allclose(W.T @ W, gain**2 * np.eye(W.shape[1]), atol=1e-12)

    def test_orthogonal_prefers_no_direction(self):
        corners = [filled(initializers.Orthogonal(), (3, 3), seed)[0, 0] for seed in range(500)]
        # an entry of a uniform rotation of the sphere is uniform in [-1, 1]
        assert stats.kstest(corners, stats.uniform(-1, 2).cdf).pvalue > 0.01

    @pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
    def test_identity(self, shape):
        np.testing.assert_array_equal(filled(INITIALIZERS["identity"](), shape), np.eye(*shape))
        np.testing.assert_array_equal(filled(initializers.Identity(0.5), shape), np.eye(*shape) / 2)

    def test_auto_follows_the_activation(self):
        he = {"relu", "leaky_relu", "prelu", "rrelu", "thresholded_relu", "elu"}
        smooth_relus = {"gelu", "swish", "silu", "mish"}
        for name in ACTIVATIONS:
            chosen = Dense(3, name).chosen_initializer()
            family = "lecun_normal" if name == "selu" else "glorot_uniform"
            assert chosen == ("he_uniform" if name in he | smooth_relus else family)
            if not ACTIVATIONS[name]().is_random and name != "prelu":
                assert Dense(3, activations.Parametric(name)).chosen_initializer() == chosen
        assert Dense(3).chosen_initializer() == "glorot_uniform"
        assert Dense(3, "relu", initializer="zeros").chosen_initializer() == "zeros"


# Schedules ------------------------------------------------------------------------------------


def half_cosine(x, end):
    """1 at x = 0, `end` at x = 1."""
    return end + (1 - end) * (math.cos(math.pi * x) + 1) / 2


def restarts(epoch, period, growth, end):
    if epoch < period:
        return half_cosine(epoch / period, end)
    return restarts(epoch - period, period * growth, growth, end)


def one_cycle(x, warmup, start, end):
    if x < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * x / warmup)) / 2
    return half_cosine((x - warmup) / (1 - warmup), end)


def warmup_cosine(x, warmup, end):
    return max(0.01, x / warmup) if x < warmup else half_cosine((x - warmup) / (1 - warmup), end)


# name -> the factor at epoch e of E, after t rows
REFERENCE_SCHEDULES = {
    "constant": lambda e, E, t: 1.0,
    "invscaling": lambda e, E, t: 1.0 if e < 1 else 1 / math.sqrt(t + 1),
    "adaptive": lambda e, E, t: 1.0,
    "step": lambda e, E, t: 0.5 ** math.floor(e / 10),
    "exponential": lambda e, E, t: 0.95**e,
    "inverse_time": lambda e, E, t: 1 / (1 + 0.1 * e),
    "linear": lambda e, E, t: 1 - e / E,
    "polynomial": lambda e, E, t: (1 - e / E) ** 2,
    "cosine": lambda e, E, t: half_cosine(e / E, 0.0),
    "cosine_restarts": lambda e, E, t: restarts(e, 10, 2, 0.0),
    "one_cycle": lambda e, E, t: one_cycle(e / E, 0.3, 0.04, 4e-6),
    "warmup_cosine": lambda e, E, t: warmup_cosine(e / E, 0.1, 0.0),
    "flat_cosine": lambda e, E, t: 1.0 if e < E / 2 else half_cosine(2 * e / E - 1, 0.0),
    "cosine_log": lambda e, E, t: math.sin(math.pi * math.log2(1 + 15 * e / E)) ** 2,
}
REFERENCE_SCHEDULES_WITH_CONSTANTS = [
    (schedules.InverseScaling(0.3), lambda e, E, t: 1.0 if e < 1 else (t + 1) ** -0.3),
    (schedules.Step(0.3, 4), lambda e, E, t: 0.3 ** (int(e) // 4)),
    (schedules.Exponential(0.8), lambda e, E, t: 0.8**e),
    (schedules.InverseTime(0.7), lambda e, E, t: 1 / (1 + 0.7 * e)),
    (schedules.Linear(0.2), lambda e, E, t: 1 - 0.8 * e / E),
    (schedules.Polynomial(3.0, 0.1), lambda e, E, t: 0.1 + 0.9 * (1 - e / E) ** 3),
    (schedules.Cosine(0.1), lambda e, E, t: half_cosine(e / E, 0.1)),
    (schedules.CosineRestarts(3, 1.5, 0.2), lambda e, E, t: restarts(e, 3, 1.5, 0.2)),
    (schedules.OneCycle(0.5, 0.1, 0.01), lambda e, E, t: one_cycle(e / E, 0.5, 0.1, 0.01)),
    (schedules.FlatCosine(0.2), lambda e, E, t: half_cosine(max(0, e / E - 0.2) / 0.8, 0.0)),
    (schedules.CosineLog(2), lambda e, E, t: math.sin(math.pi * math.log2(1 + 3 * e / E)) ** 2),
    (schedules.WarmupCosine(0.3, 0.2), lambda e, E, t: warmup_cosine(e / E, 0.3, 0.2)),
    (
        Piecewise((3, 11), (1.0, 0.4, 0.2)),
        lambda e, E, t: 1.0 if e < 3 else 0.4 if e < 11 else 0.2,
    ),
    (
        Warmup("exponential", 4, 0.1),
        lambda e, E, t: 0.95**e * (0.1 + 0.9 * e / 4 if e < 4 else 1.0),
    ),
]


class TestSchedules:
    def test_every_schedule_has_a_formula(self):
        assert REFERENCE_SCHEDULES.keys() == SCHEDULES.keys()

    @pytest.mark.parametrize(
        ("schedule", "formula"),
        [(SCHEDULES[name](), REFERENCE_SCHEDULES.get(name)) for name in SCHEDULES]
        + REFERENCE_SCHEDULES_WITH_CONSTANTS,
        ids=lambda v: str(v) if isinstance(v, schedules.Schedule) else "",
    )
    def test_rate(self, schedule, formula):
        schedule.check()
        schedule.reset()
        n_epochs, rows_an_epoch = 40, 150
        for step in range(0, n_epochs * 4 + 1):
            epoch = step / 4
            t = int(epoch) * rows_an_epoch
            progress = Progress(epoch, n_epochs, t, fresh=epoch < 1)
            expected = 0.03 * formula(epoch, n_epochs, t)
            assert schedule.rate(0.03, progress) == pytest.approx(expected, rel=1e-12, abs=1e-17)

    def test_adaptive_divides_by_5_down_to_a_millionth(self):
        schedule = SCHEDULES["adaptive"]()
        schedule.reset()
        rates = [schedule.rate(0.001, Progress())]
        while schedule.on_plateau(0.001):
            rates.append(schedule.rate(0.001, Progress(1.0)))
        # the first that is at most 1e-6 is the last
        np.testing.assert_allclose(rates, [0.001 / 5**k for k in range(6)])


# Optimizers -----------------------------------------------------------------------------------


def sgd(w, gradients, lr, momentum=0.9, nesterov=True, dampening=0.0):
    v = np.zeros_like(w)
    for g in gradients:
        v = momentum * v - lr * (1 - dampening) * g
        w = w + (momentum * v - lr * g if nesterov else v)
    return w


def adam_by_the_book(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-8, corrects=True, amsgrad=False):
    """Adam with epsilon under the root of the corrected moment."""
    m, v, v_max = (np.zeros_like(w) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_max = np.maximum(v_max, v)
        of_m, of_v = (1 - b1**t, 1 - b2**t) if corrects else (1, 1)
        w = w - lr * (m / of_m) / np.sqrt((v_max if amsgrad else v) / of_v + eps)
    return w


def adam_uncorrected(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        w = w - lr * m / (np.sqrt(v) + eps)
    return w


def adam(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-8, amsgrad=False):
    m, v, v_max = (np.zeros_like(w) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_max = np.maximum(v_max, v)
        rate = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - rate * m / (np.sqrt(v_max if amsgrad else v) + eps)
    return w


def nadam(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = np.zeros_like(w), np.zeros_like(w)
    mus = [b1 * (1 - 0.5 * 0.96 ** (t / 250)) for t in range(1, len(gradients) + 2)]
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        product = math.prod(mus[:t])
        direction = mus[t] * m / (1 - product * mus[t]) + (1 - mus[t - 1]) * g / (1 - product)
        w = w - lr * direction / (np.sqrt(v / (1 - b2**t)) + eps)
    return w


def adamax(w, gradients, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + eps)
        w = w - lr / (1 - b1**t) * m / u
    return w


def adagrad(w, gradients, lr, eps=1e-8, inside=False, initial=0.0):
    s = np.full_like(w, initial)
    for g in gradients:
        s = s + g**2
        w = w - lr * g / (np.sqrt(s + eps) if inside else np.sqrt(s) + eps)
    return w


def rmsprop(w, gradients, lr, rho=0.9, eps=1e-8, inside=False, initial=0.0):
    s = np.full_like(w, initial)
    for g in gradients:
        s = rho * s + (1 - rho) * g**2
        w = w - lr * g / (np.sqrt(s + eps) if inside else np.sqrt(s) + eps)
    return w


def adadelta(w, gradients, lr, rho=0.9, eps=1e-8):
    s, a = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        s = rho * s + (1 - rho) * g**2
        d = np.sqrt(a + eps) / np.sqrt(s + eps) * g
        a = rho * a + (1 - rho) * d**2
        w = w - lr * d
    return w


def lion(w, gradients, lr, b1=0.9, b2=0.99):
    m = np.zeros_like(w)
    for g in gradients:
        w = w - lr * np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
    return w


# name -> the rule, and (an instance, the rule) for other constants
REFERENCE_OPTIMIZERS = {
    "sgd": (
        sgd,
        [
            (SGD(0.0), lambda *a: sgd(*a, momentum=0.0)),
            (SGD(0.0, False), lambda *a: sgd(*a, momentum=0.0, nesterov=False)),
            (SGD(0.5), lambda *a: sgd(*a, momentum=0.5)),
            (SGD(0.8, False), lambda *a: sgd(*a, momentum=0.8, nesterov=False)),
            (SGD(1.0), lambda *a: sgd(*a, momentum=1.0)),
            (SGD(0.9, False, 0.9), lambda *a: sgd(*a, nesterov=False, dampening=0.9)),
            (SGD(0.5, False, 1.0), lambda *a: a[0]),
            (SGD(0.0, dampening=0.9), lambda *a: sgd(*a, momentum=0.0)),
        ],
    ),
    "adam": (
        adam,
        [
            (Adam(0.5, 0.7, 0.1), lambda *a: adam(*a, b1=0.5, b2=0.7, eps=0.1)),
            (Adam(0.0, 0.0, 0.1), lambda *a: adam(*a, b1=0.0, b2=0.0, eps=0.1)),
            (Adam(epsilon=0.1, epsilon_inside=True), lambda *a: adam_by_the_book(*a, eps=0.1)),
            (Adam(bias_correction=False), adam_uncorrected),
            (
                Adam(0.5, 0.7, 0.1, bias_correction=False, epsilon_inside=True),
                lambda *a: adam_by_the_book(*a, b1=0.5, b2=0.7, eps=0.1, corrects=False),
            ),
        ],
    ),
    # the trainer applies the decay: see its tests
    "adamw": (
        adam,
        [
            (AdamW(0.5, 0.7, 0.1), lambda *a: adam(*a, b1=0.5, b2=0.7, eps=0.1)),
            (AdamW(epsilon=0.1, epsilon_inside=True), lambda *a: adam_by_the_book(*a, eps=0.1)),
            (AdamW(bias_correction=False), adam_uncorrected),
        ],
    ),
    "nadam": (nadam, [(Nadam(0.5, 0.7, 0.1), lambda *a: nadam(*a, b1=0.5, b2=0.7, eps=0.1))]),
    "adamax": (adamax, [(Adamax(0.5, 0.7, 0.1), lambda *a: adamax(*a, b1=0.5, b2=0.7, eps=0.1))]),
    "amsgrad": (
        lambda *a: adam(*a, amsgrad=True),
        [
            (AMSGrad(0.5, 0.7, 0.1), lambda *a: adam(*a, b1=0.5, b2=0.7, eps=0.1, amsgrad=True)),
            (
                AMSGrad(epsilon=0.1, epsilon_inside=True),
                lambda *a: adam_by_the_book(*a, eps=0.1, amsgrad=True),
            ),
        ],
    ),
    "adagrad": (
        adagrad,
        [
            (AdaGrad(0.1), lambda *a: adagrad(*a, eps=0.1)),
            (AdaGrad(0.1, True), lambda *a: adagrad(*a, eps=0.1, inside=True)),
            (AdaGrad(initial_accumulator=0.3), lambda *a: adagrad(*a, initial=0.3)),
        ],
    ),
    "adadelta": (
        adadelta,
        [(AdaDelta(0.7, 1e-3), lambda *a: adadelta(*a, rho=0.7, eps=1e-3))],
    ),
    "rmsprop": (
        rmsprop,
        [
            (RMSProp(0.6, 0.1), lambda *a: rmsprop(*a, rho=0.6, eps=0.1)),
            (RMSProp(0.6, 0.1, True), lambda *a: rmsprop(*a, rho=0.6, eps=0.1, inside=True)),
            (RMSProp(initial_accumulator=0.3), lambda *a: rmsprop(*a, initial=0.3)),
        ],
    ),
    "lion": (
        lambda *a: lion(*a),
        [(Lion(0.5, 0.7), lambda *a: lion(*a, b1=0.5, b2=0.7))],
    ),
}


class TestOptimizers:
    def test_every_optimizer_has_a_rule(self):
        assert REFERENCE_OPTIMIZERS.keys() == OPTIMIZERS.keys()

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_rule(self, name, rng):
        w = rng.standard_normal(11)
        # large then small: what keeps a maximum has something to keep
        gradients = rng.standard_normal((8, 11)) * np.geomspace(10, 0.01, 8)[:, None]
        rule, others = REFERENCE_OPTIMIZERS[name]
        for optimizer, formula in [(OPTIMIZERS[name](), rule), *others]:
            optimizer.start(w.size, w.dtype)
            values = w.copy()
            for g in gradients:
                optimizer.step(values, g.copy(), 0.03)
            np.testing.assert_allclose(
                values, formula(w, gradients, 0.03), rtol=1e-10, err_msg=str(optimizer)
            )

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_rule_with_the_rate_of_every_step(self, name, rng):
        w, g = rng.standard_normal(5), rng.standard_normal(5)
        optimizer = OPTIMIZERS[name]()
        optimizer.start(w.size, w.dtype)
        values = w.copy()
        optimizer.step(values, g.copy(), 0.0)
        np.testing.assert_array_equal(values, w)
        optimizer.step(values, g.copy(), 0.03)
        if name == "sgd":  # a velocity holds the rate of its own step
            expected = sgd(w, [g], 0.03)
        else:
            rule = REFERENCE_OPTIMIZERS[name][0]
            expected = w + rule(w, [g, g], 0.03) - rule(w, [g], 0.03)
        np.testing.assert_allclose(values, expected, rtol=1e-10)


# Layers ---------------------------------------------------------------------------------------


def network_of(layers, n_inputs, seed=0):
    return Network(layers, [len(layers)], n_inputs, np.dtype(float), np.random.default_rng(seed))


class TestLayers:
    def test_dense(self, rng):
        network = network_of([Dense(3, "tanh", bias_initializer="normal")], 4)
        layer = network.layers[0]
        X = rng.standard_normal((6, 4))
        W, b = layer.kernel_.value, layer.bias_.value
        expected = [
            [math.tanh(sum(x[i] * W[i, j] for i in range(4)) + b[j]) for j in range(3)] for x in X
        ]
        assert np.abs(b).min() > 0
        np.testing.assert_allclose(network.infer(X), expected, rtol=1e-12)

    @pytest.mark.parametrize(("momentum", "epsilon"), [(0.9, 1e-5), (0.3, 0.1), (0.0, 1e-3)])
    def test_batch_norm(self, momentum, epsilon, rng):
        network = network_of([BatchNorm(momentum, epsilon)], 3)
        layer = network.layers[0]
        layer.gamma_.value[:] = gamma = np.array([1.0, -2.0, 0.5])
        layer.beta_.value[:] = beta = np.array([0.0, 3.0, -1.0])
        network.allocate(8, None)
        mean, variance = np.zeros(3), np.ones(3)
        for n_rows in (8, 5, 8, 2):
            X = rng.standard_normal((n_rows, 3)) * [1, 5, 0.1] + [0, 10, -3]
            batch_mean = X.sum(axis=0) / n_rows
            batch_variance = ((X - batch_mean) ** 2).sum(axis=0) / n_rows  # biased
            expected = gamma * (X - batch_mean) / np.sqrt(batch_variance + epsilon) + beta
            np.testing.assert_allclose(network.forward(X), expected, rtol=1e-10, atol=1e-10)
            mean = momentum * mean + (1 - momentum) * batch_mean
            variance = momentum * variance + (1 - momentum) * batch_variance
            np.testing.assert_allclose(layer.mean_.value, mean, rtol=1e-12)
            np.testing.assert_allclose(layer.variance_.value, variance, rtol=1e-12)
        for n_rows in (1, 4):
            X = rng.standard_normal((n_rows, 3))
            expected = gamma * (X - mean) / np.sqrt(variance + epsilon) + beta
            np.testing.assert_allclose(network.infer(X), expected, rtol=1e-10)

    def test_batch_norm_of_one_row_uses_the_running_statistics_and_leaves_them_alone(self, rng):
        network = network_of([BatchNorm()], 3)
        network.allocate(5, None)
        network.forward(rng.standard_normal((5, 3)))
        before = network.parameters.values.copy()
        X = rng.standard_normal((1, 3))
        np.testing.assert_allclose(network.forward(X), network.infer(X), rtol=1e-12)
        np.testing.assert_array_equal(network.parameters.values, before)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dropout(self, rate, dtype, rng):
        X = rng.standard_normal((400, 50)).astype(dtype) + 5
        layer = Dropout(rate)
        layer.setup(50)
        layer.allocate(400, np.dtype(dtype), np.random.default_rng(0), True)
        Y = layer.forward(X)
        kept = Y != 0
        np.testing.assert_allclose(Y[kept], X[kept] / dtype(1 - rate), rtol=1e-6)
        assert stats.binomtest(int(kept.sum()), kept.size, 1 - rate).pvalue > 0.01
        dY = np.ones_like(X)
        np.testing.assert_allclose(layer.backward(dY), kept / dtype(1 - rate), rtol=1e-6)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_gaussian_noise(self, dtype, rng):
        X = rng.standard_normal((400, 50)).astype(dtype)
        layer = GaussianNoise(0.3)
        layer.setup(50)
        layer.allocate(400, np.dtype(dtype), np.random.default_rng(0), True)
        noise = layer.forward(X).astype(float) - X
        assert stats.kstest(noise.ravel(), stats.norm(0, 0.3).cdf).pvalue > 0.01

    def test_weight_noise_is_new_in_every_batch_and_gone_at_prediction(self):
        network = network_of([Dense(40, bias=False, weight_noise=0.2)], 50)
        W = network.layers[0].kernel_.value
        network.allocate(50, np.random.default_rng(0))
        seen = [network.forward(np.eye(50)) - W for _ in range(2)]
        for noise in seen:
            assert stats.kstest(noise.ravel(), stats.norm(0, 0.2).cdf).pvalue > 0.01
        assert abs(np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1]) < 0.1
        np.testing.assert_array_equal(network.infer(np.eye(50)), W)
