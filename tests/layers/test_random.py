"""Dropout and Gaussian noise: what their distributions in the reference tests do not say."""

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.layers import Dense, Dropout, GaussianNoise
from skdeep.network import Network

KINDS = {"Dropout": Dropout(0.5), "GaussianNoise": GaussianNoise(0.5)}


def network_of(*layers):
    return Network(list(layers), [len(layers)], 4, np.dtype(float), np.random.default_rng(0))


@pytest.mark.parametrize("layer", KINDS.values(), ids=KINDS)
def test_every_batch_has_numbers_of_its_own(layer, rng):
    network, X = network_of(layer), rng.standard_normal((50, 4)) + 5
    network.allocate(50, np.random.default_rng(0))
    first = network.forward(X).copy()
    assert not np.array_equal(network.forward(X), first)


@pytest.mark.parametrize("layer", KINDS.values(), ids=KINDS)
def test_what_the_layer_below_put_out_is_not_written(layer, rng):
    """The derivative of tanh is computed from it, after this layer has run."""
    network, X = network_of(Dense(3, "tanh", bias=False), layer), rng.standard_normal((6, 4))
    network.allocate(6, np.random.default_rng(0))
    Y = network.forward(X).copy()
    H = network.infer(X, 1)
    network.backward(np.ones((6, 3)))
    dH = Y / H if isinstance(layer, Dropout) else np.ones((6, 3))
    np.testing.assert_allclose(network.parameters.grads.reshape(4, 3), X.T @ (dH * (1 - H**2)))


@pytest.mark.parametrize("layer", KINDS.values(), ids=KINDS)
def test_prediction_and_training_without_an_rng_pass_the_input_on(layer, rng):
    network, X = network_of(layer), rng.standard_normal((6, 4))
    assert network.layers[0].infer(X) is X
    network.allocate(6, None)
    assert network.forward(X) is X
    dY = rng.standard_normal((6, 4))
    np.testing.assert_array_equal(network.layers[0].backward(dY.copy()), dY)


@pytest.mark.parametrize("layer", [Dropout(0.0), GaussianNoise(0.0)], ids=str)
def test_nothing_dropped_or_added_changes_nothing(layer, rng):
    network, X = network_of(layer), rng.standard_normal((6, 4))
    network.allocate(6, np.random.default_rng(0))
    np.testing.assert_array_equal(network.forward(X), X)


@pytest.mark.parametrize(
    "layer", [Dropout(1.0), Dropout(-0.1), GaussianNoise(-0.1), Dropout("a")], ids=str
)
def test_bad_options_are_named_when_the_layer_is_built(layer):
    with pytest.raises(InvalidParameterError, match=r"(rate|std)=.* is not allowed; give a number"):
        network_of(layer)
