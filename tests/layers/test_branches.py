"""Layers made of layers: Residual, Concatenate, Columns."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.layers import Activation, BatchNorm, Columns, Concatenate, Dense, Dropout, Residual
from skdeep.network import Network


def network_of(*layers, n_inputs=4):
    return Network(list(layers), [len(layers)], n_inputs, np.dtype(float), np.random.default_rng(0))


def train(network, X, dY=None):
    """Return what comes out of a training pass, and the gradient."""
    network.allocate(len(X) + 2, None)
    Y = network.forward(X).copy()
    network.backward(np.ones_like(Y) if dY is None else dY.copy())
    return Y, network.parameters.grads


# Residual -------------------------------------------------------------------------------------


def test_residual_adds_what_its_layers_make_of_the_input(rng):
    X = rng.standard_normal((5, 4))
    network = network_of(Residual([Dense(3, "tanh"), Dense(4)]))
    inner, outer = network.layers[0].children()
    expected = X + outer.infer(inner.infer(X))
    np.testing.assert_allclose(network.infer(X), expected)
    np.testing.assert_allclose(train(network, X)[0], expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_blocks_that_begin_as_the_identity_train_at_any_depth():
    """60 blocks without batch norm: He's weights at the end of blocks make the outputs explode."""
    X, y = load_digits(return_X_y=True)
    X = X[:600] / 16

    def model(last):
        blocks = [Residual([Dense(16, "relu"), Dense(16, **last)]) for _ in range(60)]
        options = {"max_iter": 10, "learning_rate_init": 0.003, "random_state": 0}
        return MLPClassifier(layers=[Dense(16, "relu"), *blocks], **options).fit(X, y[:600])

    good = model({"initializer": "zeros", "bias_initializer": "zeros"})
    bad = model({"initializer": "he_normal"})
    assert good.history_["gradient_norm"][0] < 30
    assert bad.history_["gradient_norm"][0] > 1e6
    assert good.score(X, y[:600]) > 0.6 > bad.score(X, y[:600]) + 0.2


def test_residual_of_zeros_is_the_identity(rng):
    X = rng.standard_normal((5, 4))
    network = network_of(Residual([Dense(4, initializer="zeros")]))
    np.testing.assert_array_equal(network.infer(X), X)


def test_residual_within_residual(rng):
    X = rng.standard_normal((5, 4))
    W, V = rng.standard_normal((2, 4, 4))
    network = network_of(Residual([Residual([Dense(4, bias=False)]), Dense(4, bias=False)]))
    first, second = (layer for layer in network.walk() if isinstance(layer, Dense))
    first.kernel_.value[:], second.kernel_.value[:] = W, V
    inner = X + X @ W
    np.testing.assert_allclose(train(network, X)[0], X + inner @ V, rtol=1e-12)
    np.testing.assert_allclose(second.kernel_.grad, inner.T @ np.ones((5, 4)), rtol=1e-12)
    np.testing.assert_allclose(first.kernel_.grad, X.T @ (np.ones((5, 4)) @ V.T), rtol=1e-12)


def test_the_gradient_goes_through_the_skip_and_the_branch(rng):
    X = rng.standard_normal((5, 4))
    network = network_of(Dense(4, bias=False), Residual([Activation("tanh")]))
    _, gradient = train(network, X)
    H = network.infer(X, 1)
    expected = X.T @ (1 + 1 - np.tanh(H) ** 2)
    np.testing.assert_allclose(gradient.reshape(4, 4), expected, rtol=1e-12)


@pytest.mark.parametrize("units", [3, 5])
def test_residual_names_a_width_that_does_not_fit(units):
    with pytest.raises(InvalidParameterError, match=rf"put out {units} .* 4; .* Dense\(4\)"):
        network_of(Residual([Dense(units)]))


# Concatenate ----------------------------------------------------------------------------------


def test_concatenate_puts_its_branches_side_by_side(rng):
    X = rng.standard_normal((5, 4))
    network = network_of(
        Concatenate([[Dense(2, "tanh"), Dense(3)], [], Columns([1]), [Activation("relu")]])
    )
    layers = network.layers[0].children()
    expected = [layers[1].infer(layers[0].infer(X)), X, X[:, [1]], np.maximum(X, 0)]
    expected = np.concatenate(expected, axis=1)
    assert network.n_outputs == 3 + 4 + 1 + 4
    np.testing.assert_allclose(network.infer(X), expected)
    np.testing.assert_allclose(train(network, X)[0], expected)


def test_gradients_of_branches_add_up(rng):
    X, dY = rng.standard_normal((5, 4)), rng.standard_normal((5, 10))
    network = network_of(
        Dense(4, bias=False),
        Concatenate([[], [Columns([0, 1])], [Residual([Activation("tanh")])]]),
    )
    _, gradient = train(network, X, dY)
    H = network.infer(X, 1)
    dH = dY[:, :4] + dY[:, 6:] * (2 - np.tanh(H) ** 2)
    dH[:, :2] += dY[:, 4:6]
    np.testing.assert_allclose(gradient.reshape(4, 4), X.T @ dH, rtol=1e-12)


def test_a_branch_may_be_wide_and_another_deep(rng):
    X = rng.standard_normal((5, 4))
    network = network_of(
        Concatenate([[Columns([0])], [Dense(3, "relu"), BatchNorm(), Dropout(0.5), Dense(2)]]),
        Dense(1),
    )
    assert network.infer(X).shape == (5, 1)
    assert network.width_after(1) == 3


@pytest.mark.parametrize("branches", [None, [], "wide", Dense(2)], ids=str)
def test_concatenate_names_what_is_no_list_of_branches(branches):
    with pytest.raises(InvalidParameterError, match=r"branches=.* is not allowed; give a list of"):
        network_of(Concatenate(branches))


def test_concatenate_names_the_branch_with_a_fault():
    with pytest.raises(InvalidParameterError, match=r"branches\[1\]\[0\]=Dense is a class"):
        network_of(Concatenate([[], [Dense]]))


# Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "positions"),
    [
        ([0, 2], [0, 2]),
        ([3, 0], [3, 0]),
        ((-1,), [3]),
        ([1, 1, -3], [1, 1, 1]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        (range(2), [0, 1]),
    ],
    ids=str,
)
def test_columns_are_chosen_by_position(columns, positions, rng):
    X = rng.standard_normal((5, 4))
    network = network_of(Columns(columns))
    np.testing.assert_array_equal(network.infer(X), X[:, positions])
    np.testing.assert_array_equal(train(network, X)[0], X[:, positions])


def test_the_gradient_of_a_repeated_column_adds_up(rng):
    dY = rng.standard_normal((5, 4))
    layer = Columns([1, 1, 3, -3])
    layer.setup(4)
    layer.allocate(8, np.dtype(float), None, True)
    layer.forward(rng.standard_normal((5, 4)))
    expected = np.zeros((5, 4))
    expected[:, 1] = dY[:, 0] + dY[:, 1] + dY[:, 3]
    expected[:, 3] = dY[:, 2]
    for _ in range(2):  # nothing is left from the batch before
        np.testing.assert_allclose(layer.backward(dY.copy()), expected, rtol=1e-13)


@pytest.mark.parametrize(
    "columns",
    [[4], [-5], [0.5], ["a"], "a", None, [], slice(3, 3), [[0, 1]], 2, np.ones(3, bool)],
    ids=str,
)
def test_columns_that_are_not_there_are_named(columns):
    words = r"(?s)columns=.*(not allowed|no columns|have none)"
    with pytest.raises(InvalidParameterError, match=words):
        network_of(Columns(columns))


# All of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda part: Residual([part]), lambda part: Concatenate([part])])
def test_layers_that_were_given_are_never_changed(make):
    part = Dense(4, "tanh")
    layer = make(part)
    network_of(layer)
    assert vars(part) == vars(Dense(4, "tanh"))
    assert layer.children()[0] is not part


def test_parameters_of_the_same_layer_twice_are_shared():
    part = Dense(4)
    network = network_of(Residual([part, part]), Concatenate([part, part]))
    assert len(network.parameters.parameters) == 2
    assert network.parameters.values.size == 16 + 4


def test_frozen_branches_beside_one_that_trains(rng):
    """A branch below which nothing trains has no gradient to give; the other one has."""
    X = rng.standard_normal((5, 4))
    network = network_of(Concatenate([[Dropout(0.3)], [Columns([0])], [Dense(2)]]), Dense(1))
    Y, gradient = train(network, X)
    dense, top = network.layers[0].children()[2], network.layers[1]
    dH = np.ones((5, 1)) @ top.kernel_.value.T
    np.testing.assert_allclose(dense.kernel_.grad, X.T @ dH[:, 5:], rtol=1e-12)
    assert np.isfinite(gradient).all()
    assert Y.shape == (5, 1)
