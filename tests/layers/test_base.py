"""The Layer to subclass, and Chain."""

import copy
import pickle

import numpy as np
import pytest

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.initializers import Constant
from skdeep.layers import Chain, Concatenate, Dense, Dropout, Layer, Parameter, Residual
from skdeep.layers.base import check_layers, rows
from skdeep.network import Network


class Scale(Layer):
    """Y = s * X, with one trained s a column: the smallest layer of the user's own."""

    def __init__(self, start=2.0):
        self.start = start

    def build(self, n_inputs):
        self.scale_ = Parameter("scale", (n_inputs,), Constant(self.start))
        return n_inputs, [self.scale_]

    def forward(self, X):
        self._X = X
        return X * self.scale_.value

    def backward(self, dY):
        np.sum(dY * self._X, axis=0, out=self.scale_.grad)
        return dY * self.scale_.value

    def infer(self, X):
        return X * self.scale_.value

    def penalty(self):
        return 0.5


class Writes(Scale):
    """Breaks the rule of who owns what."""

    def forward(self, X):
        X *= 2
        return X


def network_of(layers, n_inputs=3, seed=0):
    return Network(layers, [len(layers)], n_inputs, np.dtype(float), np.random.default_rng(seed))


# A layer of the user's own --------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        [Scale()],
        [Dense(4, "tanh"), Scale(0.5), Dense(2)],
        [Residual([Scale(), Dense(3)]), Dense(2)],
        [Concatenate([[Scale()], [Dense(2), Scale(-1.0)]])],
    ],
    ids=str,
)
def test_a_layer_of_the_users_own_trains_anywhere(layers, rng):
    network = network_of(layers)
    X = rng.standard_normal((6, 3))
    network.allocate(6, None)
    C = rng.standard_normal((6, network.n_outputs))
    n = network.parameters.n_trainable
    w = network.parameters.values[:n]
    w[:] = rng.standard_normal(n)
    network.forward(X)
    network.backward(C.copy())
    gradient = network.parameters.grads.copy()
    for j, direction in enumerate(np.eye(n) * 1e-6):
        w += direction
        above = np.sum(C * network.infer(X))
        w -= 2 * direction
        below = np.sum(C * network.infer(X))
        w += direction
        assert gradient[j] == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-8)
    n_scales = str(layers).count("Scale(")
    assert network.add_penalties(0.0, 0.0) == 0.5 * n_scales


def test_a_layer_of_the_users_own_in_an_estimator(rng):
    X = rng.standard_normal((60, 3))
    y = X[:, 0] > 0
    mlp = MLPClassifier(layers=[Dense(4, "tanh"), Scale()], max_iter=3, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        mlp.fit(X, y)
    scale = mlp.network_.layers[1]
    assert scale is not mlp.layers[1]
    assert (scale.scale_.value != 2.0).all()
    assert "_X" not in vars(scale)
    twin = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(twin.predict_proba(X), mlp.predict_proba(X))


def test_defaults_of_a_subclass_that_writes_only_its_passes():
    class Doubles(Layer):
        def forward(self, X):
            return 2 * X

        def backward(self, dY):
            return 2 * dY

        def infer(self, X):
            return 2 * X

    network = network_of([Doubles(), Dense(2)])
    network.allocate(4, None)
    layer = network.layers[0]
    assert (layer.n_inputs_, layer.n_outputs_, layer.parameters_) == (3, 3, [])
    assert (layer.penalty(), layer.children(), layer.is_trainable) == (0.0, [], False)
    assert not layer.accepts_sparse
    assert not layer.is_random


@pytest.mark.parametrize("method", ["forward", "backward", "infer"])
def test_a_pass_that_is_not_written_is_an_error(method):
    with pytest.raises(NotImplementedError):
        getattr(Layer(), method)(np.ones((1, 1)))


def test_an_input_that_may_not_be_written_catches_a_layer_that_writes_it():
    """What the contracts rely on."""
    X = np.ones((2, 3))
    X.flags.writeable = False
    network = network_of([Writes()])
    network.allocate(2, None)
    with pytest.raises(ValueError, match="read-only"):
        network.forward(X)


# What is kept ---------------------------------------------------------------------------------


def test_what_a_layer_keeps_in_training_goes_with_release_and_is_never_pickled(rng):
    network = network_of([Scale()])
    layer = network.layers[0]
    built = set(vars(layer))
    network.allocate(1000, None)
    network.forward(rng.standard_normal((1000, 3)))
    assert vars(layer).keys() - built == {"_X", "_kernels"}
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert set(vars(twin)) == built
    assert len(pickle.dumps(network)) < 5000
    network.release()
    assert set(vars(layer)) == built


def test_a_layer_that_was_never_built_is_pickled_as_it_is():
    twin = pickle.loads(pickle.dumps(Dense(4, "tanh", bias=False)))
    assert vars(twin) == vars(Dense(4, "tanh", bias=False))


# Chain ----------------------------------------------------------------------------------------


def test_a_chain_is_its_layers_one_after_the_other(rng):
    chain = Chain([Scale(2.0), Scale(3.0), Scale(5.0)])
    assert chain.setup(3) == 3
    for layer in chain.layers:
        layer.scale_.value = np.full(3, layer.start)
        layer.scale_.grad = np.empty(3)
    chain.allocate(4, np.dtype(float), None, needs_dX=True)
    X = rng.standard_normal((4, 3))
    np.testing.assert_allclose(chain.forward(X), 30 * X)
    np.testing.assert_allclose(chain.backward(np.ones((4, 3))), 30.0)
    np.testing.assert_allclose(chain.infer(X), 30 * X)


def test_an_empty_chain_passes_everything_on(rng):
    chain = Chain([])
    assert chain.setup(3) == 3
    chain.allocate(4, np.dtype(float), None, needs_dX=True)
    X = rng.standard_normal((4, 3))
    assert chain.forward(X) is X
    assert chain.backward(X) is X
    assert chain.infer(X) is X
    assert not chain.accepts_sparse


def test_is_trainable_sees_layers_within_layers():
    layers = {
        Residual([Dropout()]): False,
        Residual([Dropout(), Residual([Dense(3)])]): True,
        Concatenate([[Dropout()], []]): False,
        Concatenate([[Dropout()], [Dense(1)]]): True,
        Dense(2): True,
    }
    for layer, expected in layers.items():
        layer.setup(3)
        assert layer.is_trainable == expected


# Helpers --------------------------------------------------------------------------------------


def test_rows_is_the_buffer_or_its_beginning():
    buffer = np.zeros((4, 2))
    assert rows(buffer, 4) is buffer
    assert rows(buffer, 3).shape == (3, 2)
    assert np.shares_memory(rows(buffer, 3), buffer)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Dense, r"layers=.*Dense.* is not allowed; give a list of Layers"),
        ("Dense", r"layers='Dense' is not allowed"),
        (None, r"layers=None is not allowed"),
        ([Dense], r"layers\[0\]=Dense is a class; give an instance: Dense\(\.\.\.\)"),
        ([Dense(2), "relu"], r"layers\[1\]='relu' is not a Layer; choose from skdeep.layers"),
        ([Dense(2), None], r"layers\[1\]=None is not a Layer"),
    ],
)
def test_what_is_not_a_layer_is_named(given, words):
    with pytest.raises(InvalidParameterError, match=words):
        check_layers(given, "layers")


def test_layers_may_come_as_one_or_in_any_sequence():
    layer = Dense(2)
    for given in (layer, [layer], (layer,)):
        checked = check_layers(given, "layers")
        assert isinstance(checked, list)
        assert checked[0] is layer
    assert check_layers([], "layers") == []


class TestCalls:
    """A layer that is applied to rows."""

    data = np.arange(1.0, 11.0).reshape(5, 2)

    def test_a_layer_without_weights(self):
        outputs = Dropout(0.2)(self.data, training=True, random_state=0)
        kept = outputs != 0
        np.testing.assert_allclose(outputs[kept], self.data[kept] / 0.8)
        np.testing.assert_array_equal(Dropout(0.2)(self.data), self.data)
        again = Dropout(0.2)(self.data, training=True, random_state=np.random.default_rng(0))
        np.testing.assert_array_equal(again, outputs)

    def test_a_layer_with_weights_draws_them(self):
        layer = Concatenate([[Dense(3, "relu")], []])
        outputs = layer(self.data.astype(np.float32), random_state=0)
        assert outputs.dtype == np.float32
        assert outputs.shape == (5, 5)
        assert not hasattr(layer, "n_inputs_")

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("options", [{}, {"batch_norm": "after"}])
    def test_layers_of_a_fitted_network(self, options):
        mlp = MLPClassifier((3,), max_iter=2, random_state=0, **options)
        mlp.fit(self.data, [0, 1, 2, 1, 0])
        before = mlp.network_.parameters.values.copy()
        Y = self.data
        for layer in mlp.network_.layers:
            layer(Y, training=True)
            Y = layer(Y)
        np.testing.assert_allclose(Y, mlp.decision_function(self.data))
        np.testing.assert_array_equal(mlp.network_.parameters.values, before)

    def test_wrong_rows_are_an_error(self):
        with pytest.raises(ValueError, match="2D"):
            Dense(2)([1.0, 2.0])
        with pytest.raises(ValueError, match="NaN"):
            Dense(2)([[np.nan]])
