"""Batch normalization: what its formulas in the reference tests do not say."""

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.layers import BatchNorm, Dense
from skdeep.network import Network


def network_of(*layers, dtype=float):
    return Network(list(layers), [len(layers)], 3, np.dtype(dtype), np.random.default_rng(0))


def test_gamma_and_beta_train_and_the_statistics_do_not():
    network = network_of(BatchNorm())
    rows = [
        (p.name, p.trainable, p.kernel, p.value.tolist()) for p in network.parameters.parameters
    ]
    assert rows == [
        ("gamma", True, False, [1, 1, 1]),
        ("beta", True, False, [0, 0, 0]),
        ("running_mean", False, False, [0, 0, 0]),
        ("running_variance", False, False, [1, 1, 1]),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_puts_out_mean_0_and_variance_1(dtype, rng):
    X = (rng.standard_normal((50, 3)) * [0.1, 1, 30] + [5, 0, -200]).astype(dtype)
    network = network_of(BatchNorm(epsilon=1e-12), dtype=dtype)
    network.allocate(50, None)
    Y = network.forward(X).astype(float)
    np.testing.assert_allclose(Y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(Y.var(axis=0), 1, atol=1e-4)


def test_a_column_that_does_not_vary_is_finite(rng):
    X = np.full((6, 3), 7.0)
    network = network_of(BatchNorm())
    network.allocate(6, None)
    np.testing.assert_allclose(network.forward(X), 0, atol=1e-12)
    layer = network.layers[0]
    dX = layer.backward(rng.standard_normal((6, 3)))
    assert np.isfinite(dX).all()


def test_the_gradient_does_not_see_a_shift_or_a_scale_of_the_input(rng):
    network = network_of(Dense(4), BatchNorm(epsilon=1e-12))
    network.allocate(8, None)
    network.forward(rng.standard_normal((8, 3)))
    network.backward(rng.standard_normal((8, 4)))
    dense = network.layers[0]
    # the bias is taken away again, and the length of each column of W divided out
    np.testing.assert_allclose(dense.bias_.grad, 0, atol=1e-12)
    np.testing.assert_allclose((dense.kernel_.value * dense.kernel_.grad).sum(axis=0), 0, atol=1e-9)


def test_infer_uses_the_running_statistics_row_by_row(rng):
    network = network_of(BatchNorm(momentum=0.5))
    network.allocate(20, None)
    network.forward(rng.standard_normal((20, 3)) + 4)
    X = rng.standard_normal((7, 3))
    alone = np.concatenate([network.infer(X[i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(network.infer(X), alone, rtol=1e-12)
    before = network.parameters.values.copy()
    network.infer(X)
    np.testing.assert_array_equal(network.parameters.values, before)


@pytest.mark.parametrize(("momentum", "keeps"), [(1.0, True), (0.0, False)])
def test_momentum_is_what_the_running_statistics_keep(momentum, keeps, rng):
    network = network_of(BatchNorm(momentum))
    network.allocate(20, None)
    X = rng.standard_normal((20, 3)) + 4
    network.forward(X)
    layer = network.layers[0]
    np.testing.assert_allclose(layer.mean_.value, 0 if keeps else X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance_.value, 1 if keeps else X.var(axis=0), rtol=1e-12)


def test_measure_takes_over_a_batch_as_it_is(rng):
    network = network_of(BatchNorm())
    network.allocate(20, None)
    layer, X = network.layers[0], rng.standard_normal((20, 3)) + 4
    layer.measure(0.0)
    network.forward(X)
    np.testing.assert_allclose(layer.mean_.value, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance_.value, X.var(axis=0), rtol=1e-12)
    layer.measure(None)
    network.forward(np.zeros((20, 3)))
    np.testing.assert_allclose(layer.mean_.value, 0.9 * X.mean(axis=0), rtol=1e-12)


def test_the_gradient_of_one_row_goes_through_the_running_statistics(rng):
    network = network_of(BatchNorm())
    network.allocate(8, None)
    network.forward(rng.standard_normal((8, 3)) + 1)
    layer, X = network.layers[0], rng.standard_normal((1, 3))
    layer.gamma_.value[:] = [1, 2, 3]
    Y = network.forward(X)
    assert np.abs(Y).min() > 0
    dX = layer.backward(np.ones((1, 3)))
    spread = np.sqrt(layer.variance_.value + 1e-5)
    np.testing.assert_allclose(dX[0], [1, 2, 3] / spread, rtol=1e-12)
    np.testing.assert_allclose(layer.gamma_.grad, (X[0] - layer.mean_.value) / spread, rtol=1e-12)
    np.testing.assert_allclose(layer.beta_.grad, 1)


@pytest.mark.parametrize("options", [{"momentum": 1.1}, {"momentum": -0.1}, {"epsilon": 0}])
def test_bad_options_are_named_when_the_layer_is_built(options):
    (name,) = options
    with pytest.raises(InvalidParameterError, match=f"{name}=.* is not allowed"):
        BatchNorm(**options).setup(3)
