"""A penalty on what a layer puts out."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

from skdeep import MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.layers import ActivityRegularization, Dense, Layer
from skdeep.network import Network
from skdeep.regularizers import L1, L1L2, L2


def network_of(*layers):
    return Network(list(layers), [len(layers)], 3, np.dtype(float), np.random.default_rng(0))


@pytest.mark.parametrize("n_rows", [1, 5, 8])
def test_the_penalty_is_that_of_the_batch_divided_by_its_rows(n_rows, rng):
    layer = ActivityRegularization(L1L2(0.3, 0.5))
    network_of(layer).allocate(8, None)
    X = rng.standard_normal((n_rows, 3))
    assert layer.forward(X) is X
    expected = (0.3 * np.abs(X).sum() + 0.5 * (X**2).sum()) / n_rows
    assert layer.penalty() == pytest.approx(expected, rel=1e-13)
    dX = layer.backward(np.full((n_rows, 3), 7.0))
    np.testing.assert_allclose(dX, 7 + (0.3 * np.sign(X) + X) / n_rows, rtol=1e-13)


def test_the_penalty_is_taken_before_the_loss_overwrites_the_outputs(rng):
    network = network_of(Dense(2), ActivityRegularization(L2(0.5)))
    network.allocate(4, None)
    X = rng.standard_normal((4, 3))
    Z = network.forward(X)
    expected = 0.5 * (Z**2).sum() / 4
    gradient = X.T @ (Z / 4)
    Z.fill(0.0)  # a loss with no gradient of its own
    network.backward(Z)
    assert network.add_penalties(0.0, 0.0) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(network.layers[0].kernel_.grad, gradient, rtol=1e-12)


def test_the_penalty_counts_where_nothing_trains_below(rng):
    layer = ActivityRegularization(L1(1.0))
    network = network_of(layer, Dense(2))
    network.allocate(4, None)
    X = rng.standard_normal((4, 3))
    network.backward(np.zeros_like(network.forward(X)))
    assert network.add_penalties(0.0, 0.0) == pytest.approx(np.abs(X).sum() / 4)


def test_prediction_is_left_alone(rng):
    X = rng.standard_normal((4, 3))
    layer = ActivityRegularization()
    layer.setup(3)
    assert layer.infer(X) is X


def test_only_layers_with_a_penalty_are_asked():
    assert ActivityRegularization.penalty is not Layer.penalty
    assert Dense.penalty is Layer.penalty


@pytest.mark.parametrize("regularizer", [None, "l3", 0.1, L2, L2(-1.0)], ids=str)
def test_what_is_no_regularizer_is_named(regularizer):
    with pytest.raises(InvalidParameterError, match="activity_regularizer"):
        ActivityRegularization(regularizer).setup(3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("activation", ["relu", "gelu", None])
def test_in_a_dense_layer_it_is_the_layer_after_it_bit_for_bit(activation, kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    X, y = make_friedman1(60, random_state=0)
    inside = [Dense(5, activation, activity_regularizer="l1_l2"), Dense(4, "tanh")]
    after = [Dense(5, activation), ActivityRegularization("l1_l2"), Dense(4, "tanh")]
    models = [
        MLPRegressor(layers=layers, max_iter=4, batch_size=16, random_state=0).fit(X, y)
        for layers in (inside, after)
    ]
    assert models[0].loss_curve_ == models[1].loss_curve_
    first, second = (model.network_.parameters.values for model in models)
    np.testing.assert_array_equal(first, second)


def test_a_dense_layer_names_what_is_no_regularizer():
    with pytest.raises(InvalidParameterError, match="activity_regularizer='l3' is unknown"):
        Dense(3, activity_regularizer="l3").setup(3)
