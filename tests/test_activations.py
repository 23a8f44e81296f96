"""Activations with trained parameters: what the contracts do not say."""

import numpy as np
import pytest

from skdeep import MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.activations import ACTIVATIONS, LeakyReLU, Parametric, PReLU
from skdeep.inspection import check_gradients
from skdeep.layers import Activation, BatchNorm, Concatenate, Dense, Residual
from skdeep.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def network_of(*layers, n_inputs=4, dtype=float):
    return Network(list(layers), [len(layers)], n_inputs, np.dtype(dtype), np.random.default_rng(0))


@pytest.mark.parametrize("make", [PReLU, Parametric])
def test_the_learning_rate_of_the_parameter(make):
    for layer in (Dense(3, make(rate=7.0)), Activation(make(rate=7.0))):
        *others, own = network_of(layer).parameters.parameters
        assert (own.rate, own.kernel) == (7.0, False)
        assert all(p.rate == 1.0 for p in others)


@pytest.mark.parametrize("make", [PReLU, Parametric])
def test_a_rate_of_0_keeps_the_parameter(make, rng):
    X = rng.standard_normal((50, 3))
    moved = []
    for rate in (0.0, 1.0, 30.0):
        model = MLPRegressor((5,), make(rate=rate), max_iter=2, random_state=0)
        f = model.fit(X, np.sin(X).sum(axis=1)).network_.layers[0].activation_
        (own,) = f.build(5)[0].initializer.get_params().values()
        values = model.network_.parameters.parameters[2].value
        moved.append(np.abs(values - own).max())
    assert moved[0] == 0
    assert 0 < 3 * moved[1] < moved[2]


def test_lbfgs_says_that_it_ignores_the_rate(rng):
    X = rng.standard_normal((30, 3))
    model = MLPRegressor((5,), PReLU(rate=2), solver="lbfgs", max_iter=3)
    with pytest.warns(UserWarning, match=r"can't honour rate=2.0 of 0.Dense.slope"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("prelu", "activation='prelu' is not allowed, as it has parameters of its own"),
        (Parametric(), r"activation=Parametric\(\) is not allowed, as it has parameters"),
        ("rrelu", "activation='rrelu' is not allowed, as it is random; give"),
        ("seluu", "activation='seluu' is unknown; did you mean 'selu'"),
        (LeakyReLU(3), "activation__negative_slope=3 is not allowed"),
        (None, "activation=None is not allowed"),
    ],
    ids=repr,
)
def test_functions_that_can_not_be_mixed(given, words):
    with pytest.raises(InvalidParameterError, match=words):
        Dense(3, Parametric(given)).setup(4)


def test_a_share_for_each_unit_mixes_the_function_with_the_identity(rng):
    X = rng.standard_normal((300, 4))
    network = network_of(Activation(Parametric("tanh")))
    network.layers[0].function_.share_.value[:] = shares = [0.0, 0.25, 1.0, -2.0]
    expected = X + shares * (np.tanh(X) - X)
    np.testing.assert_allclose(network.infer(X), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(network.infer(X)[:, 2], np.tanh(X)[:, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 256])
def test_slopes_on_both_sides_of_1(dtype, width, rng):
    """The slopes decide which of two formulas infers; large arrays are cut into blocks."""
    Z = rng.standard_normal((200_000 // width, width)).astype(dtype)
    for largest in (0.5, 1.0, 3.0):
        slopes = rng.uniform(-2, largest, width).astype(dtype)
        slopes[0] = largest
        f = PReLU()
        (parameter,) = f.build(width)
        parameter.value = slopes
        A = Z.copy()
        f.infer(A, np.full_like(Z, np.nan))
        np.testing.assert_array_equal(A, np.where(Z > 0, Z, slopes * Z))


def test_softmax_is_exact_through_a_network_and_in_every_place(rng):
    """A function of the whole row, beside parts that work on one column or one row at a time."""
    X = rng.standard_normal((40, 4))
    y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
    stacks = [
        [Dense(6, "softmax")],
        [Dense(6), BatchNorm(), Activation("softmax"), BatchNorm()],
        [Concatenate([[Dense(3, "softmax")], [Dense(4, "softmax"), BatchNorm()]])],
        [Dense(6, "tanh"), Residual([Dense(6, Parametric("softmax", initial=0.4))])],
    ]
    for layers in stacks:
        model = MLPRegressor(layers=layers, max_iter=5, random_state=0).fit(X, y)
        assert check_gradients(model, X, y).passed
        many = np.concatenate([X] * 10)  # enough rows for folded weights
        np.testing.assert_allclose(model.predict(many)[:40], model.predict(X), rtol=1e-10)
    hidden = MLPRegressor((5,), "softmax", max_iter=3, random_state=0).fit(X, y).transform(X)
    np.testing.assert_allclose(hidden.sum(axis=1), 1.0)


def test_a_step_trains_by_a_gradient_that_goes_straight_through(rng):
    X = rng.uniform(-1, 1, (400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = MLPClassifier((30,), "step", learning_rate_init=0.02, max_iter=300, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.8  # by chance: 0.5
    assert set(np.unique(model.transform(X))) == {0.0, 1.0}
    with pytest.raises(ValueError, match=r"check_gradients can't judge Step\(\): its gradient is"):
        check_gradients(model, X, y)


def test_a_step_keeps_nan():
    Z = np.array([[-1.0, 0.0, np.nan]])
    ACTIVATIONS["step"]().forward(Z, np.empty_like(Z))
    np.testing.assert_array_equal(Z, [[0.0, 1.0, np.nan]])


GATES = {  # (weights, bias) of one threshold unit
    "and": ([1, 1], -1.5, [0, 0, 0, 1]),
    "or": ([1, 1], -0.5, [0, 1, 1, 1]),
    "nand": ([-1, -1], 1.5, [1, 1, 1, 0]),
    "not the first": ([-1, 0], 0.5, [1, 1, 0, 0]),
}
INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("name", GATES)
def test_logic_gates_with_weights_set_by_hand(name):
    weights, bias, truth = GATES[name]
    gate = MLPRegressor((1,), "step")
    gate.coefs_ = [np.reshape(weights, (2, 1)).astype(float), np.ones((1, 1))]
    gate.intercepts_ = [np.array([bias]), np.zeros(1)]
    assert gate.predict(INPUTS).tolist() == truth


def test_one_threshold_unit_is_a_perceptron():
    """The rule w <- w + lr * (y - step(x w)) * x is the squared error, straight through."""
    X, y = np.array(INPUTS), np.array([0.0, 0.0, 0.0, 1.0])
    unit = MLPRegressor(
        (1,), "step", initializer="zeros", bias_initializer="zeros", solver="sgd", momentum=0.0,
        learning_rate_init=0.25, batch_size=1, shuffle=False, alpha=0.0, max_iter=1,
    )  # fmt: skip
    unit.coefs_ = [np.zeros((2, 1)), np.ones((1, 1))]
    unit.intercepts_ = [np.zeros(1), np.zeros(1)]
    unit.set_params(warm_start=True, frozen_layers=0, learning_rate_multipliers=[1.0, 0.0])
    w, b = np.zeros(2), 0.0
    for _ in range(10):
        unit.fit(X, y)
        for x, target in zip(X, y, strict=True):
            error = target - (x @ w + b >= 0)
            w, b = w + 0.25 * error * x, b + 0.25 * error
        np.testing.assert_array_equal(unit.coefs_[0].ravel(), w)
        assert unit.intercepts_[0] == b
    assert unit.predict(X).tolist() == y.tolist()


def test_slopes_can_be_learned_in_a_search():
    model = MLPRegressor(activation=Parametric(LeakyReLU(0.1)))
    model.set_params(activation__initial=0.5, activation__activation__negative_slope=0.2)
    assert repr(model.activation) == (
        "Parametric(activation=LeakyReLU(negative_slope=0.2), initial=0.5)"
    )
