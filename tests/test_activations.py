"""Activations with trained parameters: what the contracts do not say."""

import numpy as np
import pytest

from skdeep import MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.activations import LeakyReLU, Parametric, PReLU
from skdeep.layers import Activation, Dense
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


def test_slopes_can_be_learned_in_a_search():
    model = MLPRegressor(activation=Parametric(LeakyReLU(0.1)))
    model.set_params(activation__initial=0.5, activation__activation__negative_slope=0.2)
    assert repr(model.activation) == (
        "Parametric(activation=LeakyReLU(negative_slope=0.2), initial=0.5)"
    )
