"""A trained factor for each column."""

import numpy as np
import pytest

from skdeep import MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.initializers import DataDriven, Normal
from skdeep.layers import Dense, Scale
from skdeep.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def network_of(*layers, n_inputs=3, dtype=float):
    return Network(list(layers), [len(layers)], n_inputs, np.dtype(dtype), np.random.default_rng(0))


def test_has_one_factor_for_each_column_to_which_no_penalty_applies():
    network = network_of(Scale(rate=20))
    (s,) = network.parameters.parameters
    assert (s.name, s.shape, s.rate, s.kernel, s.trainable) == ("scale", (3,), 20.0, False, True)
    assert s.value.tolist() == [1, 1, 1]
    assert network_of(Scale("normal")).parameters.values.std() > 0


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_frozen", [False, True])
def test_passes(kernels, dtype, is_frozen, rng):
    kernels = pytest.importorskip(f"skdeep.kernels.{kernels}_kernels")
    X, dY = (rng.standard_normal((40, 3)).astype(dtype) for _ in range(2))
    network = network_of(Dense(3), Scale(Normal(1.0, 0.5)), dtype=dtype)
    dense, scale = network.layers
    s = scale.scale_.value.copy()
    scale.scale_.frozen = is_frozen
    network.parameters.order_anew()
    network.allocate(50, None, kernels)
    H = network.infer(X, 1)
    np.testing.assert_allclose(network.forward(X), H * s, rtol=1e-6)
    network.backward(dY.copy())
    np.testing.assert_allclose(dense.kernel_.grad, X.T @ (dY * s), rtol=1e-4, atol=1e-5)
    if is_frozen:
        assert scale.scale_.grad is None
    else:
        expected = (dY * H).sum(axis=0)
        np.testing.assert_allclose(scale.scale_.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["data", DataDriven()], ids=str)
def test_there_are_no_factors_from_data(name):
    with pytest.raises(InvalidParameterError, match=r"Scale initializer=.* is not allowed, as it"):
        Scale(name).setup(3)


def test_the_layer_above_sees_columns_of_the_data(rng):
    X = rng.standard_normal((200, 3)) * [0.1, 1.0, 30.0] + [5, 0, -20]
    y = X @ [1.0, 2.0, 0.1]
    options = {"max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0}
    plain = MLPRegressor(layers=[Dense(9, "relu")], **options).fit(X, y)
    scaled = MLPRegressor(layers=[Scale(), Dense(9, "relu")], **options).fit(X, y)
    np.testing.assert_allclose(scaled.coefs_[0], plain.coefs_[0], rtol=1e-7)
    np.testing.assert_allclose(scaled.intercepts_[0], plain.intercepts_[0], rtol=1e-7)


def test_finds_the_column_that_matters(rng):
    X = rng.standard_normal((300, 5))
    layers = [Scale(rate=10.0), Dense(16, "tanh")]
    model = MLPRegressor(layers=layers, max_iter=60, learning_rate_init=0.01, random_state=0)
    model.fit(X, np.sin(2 * X[:, 1]))
    s = np.abs(model.network_.layers[0].scale_.value)
    assert s.argmax() == 1
    assert s[1] > 2 * np.delete(s, 1).max()
