"""The gradient of a whole network's objective is exactly its derivative.

Every activation meets every loss and every kind of output, and with them every batch normalization
and penalty, by directional derivatives: along a random direction d the central difference of the
objective must equal gradient . d. A gradient that is wrong in a single parameter j by e_j is off by
e_j * d_j; d_j is a normal number, so that this stays unseen only where it is below the tolerance
itself, and errors in several parameters cancel with probability zero. A smaller table is checked
coordinate by coordinate, which also tells which parameter it was.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import MLPClassifier, MLPRegressor
from skdeep.activations import ACTIVATIONS, Parametric
from skdeep.building.architecture import build_layers
from skdeep.layers import (
    Activation,
    ActivityRegularization,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Residual,
)
from skdeep.losses import (
    CLASSIFICATION_LOSSES,
    OUTPUT_ACTIVATIONS,
    POSITIVE_OUTPUTS,
    REGRESSION_LOSSES,
    SquaredError,
)
from skdeep.network import Network
from skdeep.optimizers import SGD
from skdeep.regularizers import L1, L1L2, L2
from skdeep.schedules import Constant
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import Trainer

N_ROWS, N_INPUTS = 12, 5
TOLERANCE = 1e-6
STEP = 3e-6

# Names that stand for the same class are tried once.
# The gradient of a step is a stand-in, and not a derivative.
DISTINCT_ACTIVATIONS = list(
    {make: name for name, make in ACTIVATIONS.items() if make().has_derivative}.values()
)
BATCH_NORMS = [None, "before", "after"]
PENALTIES = {
    "none": {"alpha": 0.0},
    "L1": {"alpha": 0.0, "kernel_regularizer": L1(0.05), "bias_regularizer": L1(0.02)},
    "L2": {
        "alpha": 0.0,
        "kernel_regularizer": [L2(0.05), "l2", L1L2(0.1, 0.2)],
        "bias_regularizer": L2(0.02),
    },
    "activity": {"alpha": 0.0, "activity_regularizer": [L2(0.05), L1(0.05), L1L2(0.03, 0.04)]},
    "alpha": {"alpha": 0.7, "l1_ratio": 0.4},
}
# exp(exp(z)) needs small z to be told from its second derivative.
WEIGHT_SCALE = {"exponential": 0.2}


def classification_losses(kind):
    for name, make in CLASSIFICATION_LOSSES.items():
        loss = make()
        loss.multiclass = kind == "multiclass"
        yield name, loss


def regression_losses():
    for name, make in REGRESSION_LOSSES.items():
        for output in OUTPUT_ACTIVATIONS:
            loss = make()
            if loss.needs_positive_output and output not in POSITIVE_OUTPUTS:
                continue
            loss.use_output_activation(output)
            yield f"{name} {output}", loss


def targets_of(kind, rng):
    if kind in ("binary", "multilabel"):
        return rng.integers(0, 2, (N_ROWS, 1 if kind == "binary" else 3)).astype(float)
    if kind == "multiclass":
        return np.eye(3)[rng.integers(0, 3, N_ROWS)]
    Y = rng.gamma(2.0, 1.0, (N_ROWS, 1 if kind == "single" else 3))
    return Y + 0.1


# What a network puts out, and the losses over it.
TASKS = {
    "binary": dict(classification_losses("binary")),
    "multilabel": dict(classification_losses("multilabel")),
    "multiclass": dict(classification_losses("multiclass")),
    "single": dict(regression_losses()),
    "multi-output": dict(regression_losses()),
}


def estimator_for(kind, **options):
    Estimator = MLPRegressor if kind in ("single", "multi-output") else MLPClassifier
    return Estimator(**options)


class Problem:
    """A network as an estimator builds it, with a trainer for its objective."""

    def __init__(self, estimator, n_outputs, rng, scale=0.6, dtype=np.float64):
        layers, stops = build_layers(estimator, n_outputs)
        self.network = Network(layers, stops, N_INPUTS, np.dtype(dtype), rng)
        run = Run(
            Streams(0),
            network=self.network,
            loss=SquaredError(),
            optimizer=SGD(),
            schedule=Constant(),
            monitor=Monitor(1e-4, 10, False),
        )
        alpha, l1_ratio = estimator.alpha, estimator.l1_ratio
        self.trainer = Trainer(run, Settings(l1=alpha * l1_ratio, l2=alpha * (1 - l1_ratio)))
        n = self.network.parameters.n_trainable
        self.values = self.network.parameters.values[:n]
        self.scale = scale

    def use(self, loss, X, Y, weight):
        """Choose what the objective is."""
        self.trainer._value_and_grad = loss.value_and_grad
        self.batch = X, Y, weight

    def draw(self, rng):
        """Move to a random point, biases and batch norm's gamma and beta included."""
        self.values[:] = self.scale * rng.standard_normal(self.values.shape)

    def session(self):
        """Return a context in which there are buffers; nothing is left to chance in it."""
        return self.trainer.session(N_ROWS, rng=None)

    def objective(self):
        return self.trainer.objective(*self.batch)

    def gradient(self):
        """Return the gradient, in an array of its own; the one before is garbage."""
        self.network.parameters.grads.fill(np.nan)
        self.objective()
        return self.network.parameters.grads.copy()

    def along(self, direction, step):
        """Return the objective and the gradient at a point nearby."""
        kept = self.values.copy()
        self.values += step * direction
        value, gradient = self.objective(), self.network.parameters.grads.copy()
        self.values[:] = kept
        return value, gradient

    def directional_error(self, rng, n_tries=20):
        """Return how far gradient . d is off, relative to the gradient's norm.

        A point is drawn again where a kink lies between the ends of the difference, which then
        tells nothing. The gradient gives it away: over three points its second difference is
        O(step^2) where it is smooth, right or wrong, and O(step) at least across a kink. So it is
        where the gradient vanishes: a relu as output may be zero for all rows.
        """
        for _ in range(n_tries):
            self.draw(rng)
            direction = rng.standard_normal(self.values.shape)
            gradient = self.gradient()
            (above, g_above), (below, g_below) = (
                self.along(direction, step) for step in (STEP, -STEP)
            )
            norm = np.linalg.norm(gradient)
            bend = np.linalg.norm(g_above - 2 * gradient + g_below)
            if norm > 0 and bend <= 1e-6 * norm:
                numeric = (above - below) / (2 * STEP)
                return abs(numeric - gradient @ direction) / norm
        raise AssertionError(f"no smooth point in {n_tries} tries")


# All combinations would be thirty times as many. Any two of these go together in some row, and any
# activation with any three of the rest but the objective.
OBJECTIVES = [(kind, name) for kind, losses in TASKS.items() for name in losses]
COMBINATIONS = [
    (
        activation,
        objective,
        BATCH_NORMS[(i + j) % len(BATCH_NORMS)],
        list(PENALTIES)[(i + 2 * j) % len(PENALTIES)],
        ("bare", "weighted")[(i + j) // 15 % 2],
    )
    for i, activation in enumerate(DISTINCT_ACTIVATIONS)
    for j, objective in enumerate(OBJECTIVES)
]


def test_every_pair_of_options_is_in_a_combination():
    factors = [DISTINCT_ACTIVATIONS, OBJECTIVES, BATCH_NORMS, PENALTIES, ("bare", "weighted")]
    for i, j in itertools.combinations(range(len(factors)), 2):
        pairs = {(row[i], row[j]) for row in COMBINATIONS}
        assert pairs == set(itertools.product(factors[i], factors[j]))
    layers = {(row[0], *row[2:]) for row in COMBINATIONS}
    assert layers == set(itertools.product(factors[0], *factors[2:]))


@pytest.mark.parametrize("activation", DISTINCT_ACTIVATIONS)
def test_gradient_of_every_combination(activation):
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((N_ROWS, N_INPUTS)), rng.gamma(1.0, 1.0, N_ROWS)
    errors = {}
    for row in COMBINATIONS:
        _, (kind, name), batch_norm, penalty, weighted = row
        if row[0] != activation:
            continue
        Y = targets_of(kind, rng)
        estimator = estimator_for(
            kind,
            hidden_layer_sizes=(4, 3),
            activation=activation,
            batch_norm=batch_norm,
            batch_norm_epsilon=1e-2,
            **PENALTIES[penalty],
        )
        problem = Problem(estimator, Y.shape[1], rng, WEIGHT_SCALE.get(activation, 0.6))
        problem.use(TASKS[kind][name], X, Y, weights if weighted == "weighted" else None)
        with problem.session():
            errors[row] = problem.directional_error(rng)
    assert len(errors) == len(OBJECTIVES)
    assert not {row: error for row, error in errors.items() if not error <= TOLERANCE}


# Coordinate by coordinate -----------------------------------------------------------------------

EVERYTHING = {
    "hidden_layer_sizes": (4, 3),
    "batch_norm_input": True,
    "alpha": 0.3,
    "l1_ratio": 0.5,
    "kernel_regularizer": L1L2(0.02, 0.03),
    "bias_regularizer": L1L2(0.04, 0.01),
    "activity_regularizer": L1L2(0.05, 0.06),
}
STACKS = {
    "Activation": [Dense(4), Activation("gelu"), Dense(3), Activation("prelu")],
    "Parametric": [
        Dense(4, Parametric("gelu", initial=0.4)),
        Dense(3, bias=False),
        Activation(Parametric("selu")),
    ],
    "Residual": [Residual([Dense(4, "tanh"), BatchNorm(), Dense(N_INPUTS, "swish")])],
    "Residual in Residual": [Dense(4), Residual([Residual([Dense(4, "elu")]), Dense(4, "tanh")])],
    "Concatenate": [
        Dense(4, "tanh"),
        Concatenate([[Dense(2, "prelu")], [], [BatchNorm(), Dense(3)], Activation("mish")]),
    ],
    "Columns": [
        Concatenate(
            [
                [Columns([0, 2, 2, -1]), Dense(3, "tanh")],
                [Columns(slice(1, 4)), Residual([Dense(3, "gelu")])],
            ]
        ),
        Dense(4, "softplus"),
        Columns([3, 0, 0, 2, 1]),
    ],
    "ActivityRegularization": [
        ActivityRegularization(L2(0.3)),
        Dense(4, "tanh"),
        Concatenate([[ActivityRegularization("l1_l2"), Dense(2, "tanh")], []]),
        ActivityRegularization(L2(0.1)),
    ],
}
CASES = {
    **{f: ("multiclass", "log_loss", {"activation": f}) for f in DISTINCT_ACTIVATIONS},
    **{
        f"{kind} {name}": (kind, name, {"activation": "tanh"})
        for kind, losses in TASKS.items()
        for name in losses
    },
    **{f"batch_norm {b}": ("multilabel", "focal", {"batch_norm": b}) for b in BATCH_NORMS},
    "linear": ("multi-output", "squared_error identity", {"hidden_layer_sizes": ()}),
    "deep": ("binary", "log_loss", {"hidden_layer_sizes": (3,) * 5, "activation": "elu"}),
}


def smooth_point(problem, rng, n_tries=300):
    """Move to where no coordinate's difference meets a kink, and all of them have an effect."""
    for _ in range(n_tries):
        problem.draw(rng)
        gradient = problem.gradient()
        differences = coordinate_differences(problem)
        bends = [
            abs(above[1][j] - 2 * gradient[j] + below[1][j]) for j, above, below in differences
        ]
        if (gradient != 0).all() and max(bends) <= 1e-6 * np.linalg.norm(gradient):
            return
    raise AssertionError(f"no smooth point in {n_tries} tries")


def coordinate_differences(problem):
    for j, direction in enumerate(np.eye(problem.values.size)):
        yield j, problem.along(direction, STEP), problem.along(direction, -STEP)


def assert_every_coordinate(problem, rng):
    smooth_point(problem, rng)
    gradient = problem.gradient()
    numeric = [
        (above[0] - below[0]) / (2 * STEP) for _, above, below in coordinate_differences(problem)
    ]
    # what the objective is rounded to, divided by the step, is about 1e-10
    np.testing.assert_allclose(gradient, numeric, rtol=TOLERANCE, atol=1e-9)


@pytest.mark.parametrize(("kind", "name", "options"), CASES.values(), ids=CASES)
def test_gradient_of_every_parameter(kind, name, options):
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((N_ROWS, N_INPUTS)), targets_of(kind, rng)
    scale = WEIGHT_SCALE.get(options.get("activation"), 0.6)
    estimator = estimator_for(kind, **{**EVERYTHING, **options})
    problem = Problem(estimator, Y.shape[1], rng, scale)
    problem.use(TASKS[kind][name], X, Y, rng.gamma(1.0, 1.0, N_ROWS))
    with problem.session():
        assert_every_coordinate(problem, rng)


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_gradient_of_every_parameter_of_stacks_spelled_out(layers, kind):
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((N_ROWS, N_INPUTS)), targets_of(kind, rng)
    problem = Problem(MLPClassifier(layers=layers, alpha=0.3), Y.shape[1], rng)
    problem.use(TASKS[kind]["log_loss"], X, Y, None)
    with problem.session():
        assert_every_coordinate(problem, rng)


@pytest.mark.parametrize("n_rows", [1, 2, 7])
@pytest.mark.parametrize("batch_norm", BATCH_NORMS)
def test_gradient_of_a_short_batch(n_rows, batch_norm):
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((n_rows, N_INPUTS)), targets_of("multiclass", rng)[:n_rows]
    options = {**EVERYTHING, "batch_norm": batch_norm, "activation": "tanh"}
    problem = Problem(MLPClassifier(**options), 3, rng)
    problem.use(TASKS["multiclass"]["log_loss"], X, Y, None)
    with problem.session():
        assert_every_coordinate(problem, rng)


def test_gradient_from_sparse_rows_is_that_from_dense_ones():
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((N_ROWS, N_INPUTS)), targets_of("multiclass", rng)
    X[rng.random(X.shape) < 0.6] = 0.0
    problem = Problem(MLPClassifier((4,), "gelu"), 3, rng)
    gradients = []
    with problem.session():
        for rows in (X, sp.csr_array(X), sp.csr_matrix(X)):
            problem.use(TASKS["multiclass"]["log_loss"], rows, Y, None)
            gradients.append(problem.gradient())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(gradients[2], gradients[1])


def test_gradient_of_float32_is_that_of_float64():
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((N_ROWS, N_INPUTS)), targets_of("multiclass", rng)
    gradients = []
    for dtype in (np.float64, np.float32):
        options = {**EVERYTHING, "activation": "gelu", "batch_norm": "after"}
        problem = Problem(MLPClassifier(**options), 3, np.random.default_rng(6), dtype=dtype)
        problem.use(TASKS["multiclass"]["log_loss"], X.astype(dtype), Y.astype(dtype), None)
        with problem.session():
            gradients.append(problem.gradient())
    assert gradients[1].dtype == np.float32
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)
