"""An activation as a layer of its own."""

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.activations import PReLU
from skdeep.layers import Activation, Dense
from skdeep.network import Network


def test_has_the_parameters_of_its_function():
    network = Network([Activation(PReLU(0.4))], [1], 3, np.dtype(float), np.random.default_rng(0))
    assert [(p.name, p.shape) for p in network.parameters.parameters] == [("slope", (3,))]
    assert (network.parameters.values == 0.4).all()


def test_does_not_write_what_the_layer_below_put_out(rng):
    network = Network(
        [Dense(3, "tanh"), Activation("relu")], [2], 3, np.dtype(float), np.random.default_rng(0)
    )
    network.allocate(5, None)
    X = rng.standard_normal((5, 3))
    network.forward(X)
    below = network.infer(X, 1)
    assert (below < 0).any()
    # tanh' is computed from what tanh put out
    network.backward(np.ones((5, 3)))
    expected = X.T @ ((below > 0) * (1 - below**2))
    np.testing.assert_allclose(network.layers[0].kernel_.grad, expected, rtol=1e-12)


def test_the_function_that_was_given_stays_as_it_is():
    function = PReLU()
    layer = Activation(function)
    layer.setup(3)
    assert layer.function is function
    assert vars(function) == vars(PReLU())


@pytest.mark.parametrize("function", ["rel", None, 3, PReLU, Dense(2)], ids=str)
def test_what_is_no_function_is_named(function):
    with pytest.raises(InvalidParameterError, match="function="):
        Activation(function).setup(3)
