"""A network: a chain of layers over one vector of parameters."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep.constraints import MaxNorm, NonNeg
from skdeep.layers import (
    ActivityRegularization,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Layer,
    Residual,
)
from skdeep.network import Network
from skdeep.regularizers import L1, L2

DTYPE = np.dtype(float)


def network_of(layers, n_inputs=5, *, stops=None, dtype=DTYPE, seed=0):
    stops = [len(layers)] if stops is None else stops
    return Network(layers, stops, n_inputs, np.dtype(dtype), np.random.default_rng(seed))


def stack():
    return [
        Dense(4, "tanh"),
        BatchNorm(),
        Residual([Dense(4, "relu")]),
        Concatenate([[Dense(2)], [Columns([0, 1])]]),
        Dropout(0.2),
        Dense(3),
    ]


class Frozen(Dense):
    """A dense layer that does not train."""

    def build(self, n_inputs):
        n_outputs, parameters = super().build(n_inputs)
        for p in parameters:
            p.trainable = False
        return n_outputs, parameters


class Counts(Layer):
    """Y = X; remembers how often a gradient came through, and whether one was asked for."""

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.needs_dX = needs_dX
        self.n_backward = 0

    def forward(self, X):
        return X

    def backward(self, dY):
        self.n_backward += 1
        return dY

    def infer(self, X):
        return X


# Structure ------------------------------------------------------------------------------------


def test_layers_are_built_from_the_bottom_up():
    network = network_of(stack())
    assert [layer.n_inputs_ for layer in network.layers] == [5, 4, 4, 4, 4, 4]
    assert network.n_inputs == 5
    assert network.n_outputs == 3
    assert [network.width_after(i) for i in range(7)] == [5, 4, 4, 4, 4, 4, 3]


def test_walk_yields_layers_within_layers():
    kinds = [type(layer).__name__ for layer in network_of(stack()).walk()]
    assert kinds == [
        *["Dense", "BatchNorm", "Residual", "Dense", "Concatenate", "Dense", "Columns"],
        *["Dropout", "Dense"],
    ]


def test_every_parameter_lies_in_the_vector_once():
    network = network_of(stack())
    from_layers = [p for layer in network.walk() for p in layer.parameters_]
    assert from_layers == network.parameters.parameters
    assert len(set(map(id, from_layers))) == len(from_layers)
    assert sum(p.size for p in from_layers) == network.parameters.values.size


def test_count():
    network = network_of([Dense(4), BatchNorm(), Dense(3, bias=False)])
    assert network.count() == (20 + 4 + 16 + 12, 20 + 4 + 8 + 12)
    assert network.count(network.layers[1].parameters_) == (16, 8)
    assert network.count([]) == (0, 0)


def test_the_same_rng_gives_the_same_network():
    values = [network_of(stack(), seed=seed).parameters.values for seed in (0, 0, 1)]
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_float32_starts_where_float64_starts():
    wide, narrow = (network_of(stack(), dtype=d).parameters.values for d in (float, np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, wide.astype(np.float32))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([Dense(2)], True),
        ([Dense(2), Dropout(0.1)], True),
        ([Dropout(0.1), Dense(2)], False),
        ([BatchNorm(), Dense(2)], False),
        ([Residual([Dense(5)])], False),
        ([], False),
    ],
)
def test_accepts_sparse_where_the_lowest_layer_does(layers, expected):
    assert network_of(layers).accepts_sparse == expected


# Training -------------------------------------------------------------------------------------


def test_the_lowest_trainable_layer_and_all_below_skip_the_gradient_by_their_input(rng):
    below, above = Counts(), Counts()
    network = network_of([below, Frozen(4), below2 := Counts(), Dense(4), above, Dense(2)])
    network.allocate(6, None)
    network.forward(rng.standard_normal((6, 5)))
    network.backward(rng.standard_normal((6, 2)))
    assert [layer.n_backward for layer in (below, below2, above)] == [0, 0, 1]
    assert [layer.needs_dX for layer in (below, below2, above)] == [False, False, True]
    assert network.layers[1].kernel_.grad is None


def test_frozen_layers_pass_the_gradient_on_to_what_trains_below(rng):
    def gradient(Upper):
        network = network_of([Dense(4, "tanh"), Upper(3, "tanh"), Dense(2)])
        network.allocate(6, None)
        network.forward(X)
        network.backward(dZ.copy())
        return network.layers[0].kernel_.grad.copy()

    X, dZ = rng.standard_normal((6, 5)), rng.standard_normal((6, 2))
    np.testing.assert_allclose(gradient(Frozen), gradient(Dense), rtol=1e-12)


def test_a_network_without_anything_to_train_has_no_gradient(rng):
    network = network_of([Frozen(4), Counts()])
    network.allocate(6, None)
    network.forward(rng.standard_normal((6, 5)))
    network.backward(rng.standard_normal((6, 4)))
    assert network.parameters.grads.size == 0
    assert network.add_penalties(0.1, 0.1) == 0.0
    assert network.layers[1].n_backward == 0


def test_alpha_penalizes_the_trainable_kernels_only():
    network = network_of([Frozen(4), BatchNorm(), Dense(3, "prelu"), Dense(2)])
    network.allocate(6, None)
    network.parameters.values[:] = np.random.default_rng(0).standard_normal(
        network.parameters.values.size
    )
    network.parameters.grads.fill(1.0)
    value = network.add_penalties(0.3, 0.5)
    kernels = [network.layers[i].kernel_ for i in (2, 3)]
    w = np.concatenate([k.value.ravel() for k in kernels])
    assert value == pytest.approx(0.3 * np.abs(w).sum() + 0.5 / 2 * (w**2).sum(), rel=1e-13)
    for p in network.parameters.parameters:
        if p in kernels:
            expected = 1 + 0.3 * np.sign(p.value) + 0.5 * p.value
            np.testing.assert_allclose(p.grad, expected, rtol=1e-13)
        elif p.trainable:
            assert (p.grad == 1).all()


def test_penalties_of_parameters_and_layers_are_added_once(rng):
    network = network_of(
        [
            Dense(4, kernel_regularizer=L1(0.1), bias_regularizer=L2(0.2)),
            Residual([ActivityRegularization(L2(0.5)), Dense(4, kernel_regularizer=L2(0.3))]),
            Frozen(3, kernel_regularizer=L2(100.0)),
            ActivityRegularization(L1(0.7)),
        ]
    )
    network.parameters.values[:] = rng.standard_normal(network.parameters.values.size)
    X = rng.standard_normal((6, 5))
    network.allocate(6, None)
    Y = network.forward(X).copy()
    network.parameters.grads.fill(0.0)
    first, inner = network.layers[0], network.layers[1].children()[1]
    expected = 0.1 * np.abs(first.kernel_.value).sum() + 0.2 * (first.bias_.value**2).sum()
    expected += 0.3 * (inner.kernel_.value**2).sum()
    expected += (0.5 * (network.infer(X, 1) ** 2).sum() + 0.7 * np.abs(Y).sum()) / 6
    assert network.add_penalties(0.0, 0.0) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(first.bias_.grad, 0.4 * first.bias_.value, rtol=1e-13)
    np.testing.assert_allclose(inner.kernel_.grad, 0.6 * inner.kernel_.value, rtol=1e-13)


def test_constraints_act_on_what_trains_and_has_one(rng):
    network = network_of(
        [
            Dense(4, kernel_constraint=MaxNorm(0.5), bias_constraint="non_neg"),
            Residual([Dense(4, kernel_constraint=NonNeg())]),
            Frozen(3, kernel_constraint=NonNeg()),
            Dense(2),
        ]
    )
    network.parameters.values[:] = before = rng.standard_normal(network.parameters.values.size)
    before = before.copy()
    network.allocate(6, None)
    network.apply_constraints()
    first, inner = network.layers[0], network.layers[1].children()[0]
    assert np.linalg.norm(first.kernel_.value, axis=0).max() <= 0.5 + 1e-12
    assert (first.bias_.value >= 0).all()
    assert (inner.kernel_.value >= 0).all()
    assert (network.layers[2].kernel_.value < 0).any()
    changed = network.parameters.values != before
    assert changed.sum() == (
        first.kernel_.size + (first.bias_.value == 0).sum() + (inner.kernel_.value == 0).sum()
    )


def test_without_an_rng_nothing_is_left_to_chance(rng):
    X = rng.standard_normal((6, 5))
    network = network_of([Dense(4, weight_noise=0.5), Dropout(0.5), Dense(3, "rrelu")])
    network.allocate(6, None)
    np.testing.assert_array_equal(network.forward(X), network.infer(X))


# Prediction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 200])
def test_infer_in_blocks_is_infer_row_by_row(n_rows, rng):
    # so wide that a block is 64 rows
    network = network_of([Dense(3000, "tanh"), BatchNorm(), Dense(2)])
    X = rng.standard_normal((n_rows, 5))
    Z = network.infer(X)
    assert Z.shape == (n_rows, 2)
    alone = [network.infer(X[i : i + 1]) for i in range(0, n_rows, 31)]
    if alone:
        np.testing.assert_allclose(Z[::31], np.concatenate(alone), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("stop", range(7))
def test_infer_stops_where_it_is_told(stop, rng):
    network = network_of(stack())
    X = expected = rng.standard_normal((6, 5))
    for layer in network.layers[:stop]:
        expected = layer.infer(expected)
    result = network.infer(X, stop)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    result[:] = 0  # what comes out is the caller's own
    assert (X != 0).all()


@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("first", [Dense(4, "tanh"), Dropout(0.5), Residual([Dense(5)])])
def test_infer_takes_sparse_rows_with_any_first_layer(make, first, rng):
    X = rng.standard_normal((80, 5)) * (rng.random((80, 5)) < 0.4)
    network = network_of([first, Dense(3000, "tanh"), Dense(2)])
    for stop in (None, 0, 1):
        np.testing.assert_allclose(
            network.infer(make(X), stop), network.infer(X, stop), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("given", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infer_works_in_the_dtype_of_the_network(given, dtype, rng):
    network = network_of(stack(), dtype=dtype)
    X = (10 * rng.standard_normal((6, 5))).astype(given)
    Z = network.infer(X)
    assert Z.dtype == dtype
    np.testing.assert_array_equal(Z, network.infer(X.astype(dtype)))


def test_threads_may_share_a_network(rng):
    network = network_of(stack())
    network.allocate(40, np.random.default_rng(0))
    batches = [rng.standard_normal((n, 5)) for n in range(1, 41)]
    expected = [network.infer(X) for X in batches]
    with ThreadPoolExecutor(8) as pool:
        for Z, result in zip(expected, pool.map(network.infer, batches), strict=True):
            np.testing.assert_array_equal(result, Z)


# What is kept ---------------------------------------------------------------------------------


def in_training():
    network = network_of(stack())
    network.allocate(500, np.random.default_rng(0))
    X = np.random.default_rng(1).standard_normal((500, 5))
    network.forward(X)
    network.backward(np.ones((500, 3)))
    network.add_penalties(0.1, 0.1)
    return network


def test_release_leaves_what_was_there_before_training():
    network, fresh = in_training(), network_of(stack())
    network.release()
    assert vars(network).keys() == vars(fresh).keys()
    for mine, other in zip(network.walk(), fresh.walk(), strict=True):
        assert vars(mine).keys() == vars(other).keys()
    assert vars(network.chain).keys() == vars(fresh.chain).keys()
    assert network.parameters.grads is None


@pytest.mark.parametrize(
    "twin_of", [lambda n: pickle.loads(pickle.dumps(n)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_a_twin_predicts_and_trains_by_itself(twin_of, rng):
    network = in_training()
    twin = twin_of(network)
    X = rng.standard_normal((6, 5))
    np.testing.assert_array_equal(twin.infer(X), network.infer(X))
    for mine, other in zip(twin.walk(), network.walk(), strict=True):
        for p, q in zip(mine.parameters_, other.parameters_, strict=True):
            assert np.shares_memory(p.value, twin.parameters.values)
            assert not np.shares_memory(p.value, q.value)
    twin.allocate(6, None)
    twin.forward(X)
    twin.backward(np.ones((6, 3)))
    twin.parameters.values[: twin.parameters.n_trainable] -= 0.1 * twin.parameters.grads
    assert not np.array_equal(twin.infer(X), network.infer(X))


def test_a_pickle_is_the_weights_and_little_more():
    network = network_of([Dense(100, "gelu"), BatchNorm(), Dropout(0.1), Dense(100)], 100)
    network.allocate(2000, np.random.default_rng(0))
    network.forward(np.ones((2000, 100)))
    assert len(pickle.dumps(network)) < network.parameters.values.nbytes + 6000


def test_memory_can_be_made_and_dropped_many_times(rng):
    network, X = network_of(stack()), rng.standard_normal((6, 5))
    gradients = []
    for _ in range(2):
        network.allocate(6, np.random.default_rng(0))
        network.forward(X)
        network.backward(np.ones((6, 3)))
        gradients.append(network.parameters.grads.copy())
        network.release()
    np.testing.assert_array_equal(*gradients)
