"""Heads on several hidden layers, and the taps through which they read middle layers."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep._component import InvalidParameterError
from skdeep.kernels import choose, numpy_kernels
from skdeep.layers import BatchNorm, Dense, Dropout
from skdeep.layers.heads import Head, Heads, Tap
from skdeep.network import Network, hidden_groups


def make(*, frozen=(), n_inputs=4, middle=(), inner=()):
    """Return a network of two hidden layers, with a head on each and a third on the lower one."""
    tap = Tap()
    heads = Heads(
        ["low", "top", "deep"],
        [[Dense(2)], [Dense(1)], [*inner, Dense(3)]],
        [tap, None, tap],
    )
    layers = [Dense(5, "tanh"), *middle, tap, Dense(6, "tanh"), heads]
    stops = [1 + len(middle), 3 + len(middle)]

    def prepare(built):
        for i in frozen:
            for part in hidden_groups(built, stops)[i]:
                for parameter in part.parameters_:
                    parameter.frozen = True

    return Network(layers, stops, n_inputs, np.dtype(float), np.random.default_rng(0), prepare)


def objective(network, X, dY):
    """Return the sum of dY * Y, of the training pass."""
    return float((network.forward(X) * dY).sum())


@pytest.mark.parametrize("frozen", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("inner", [(), (Dense(4, "tanh"),)], ids=["flat", "deep"])
@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_the_gradient_is_the_derivative(frozen, inner, kernels, rng, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    X, dY = rng.standard_normal((7, 4)), rng.standard_normal((7, 6))
    network = make(frozen=frozen, inner=inner)
    network.allocate(9, None, choose(0.0))
    network.forward(X)
    network.backward(dY.copy())
    parameters = network.parameters
    w, found = parameters.values, parameters.grads.copy()
    assert len(found) == parameters.n_trainable
    for i in range(parameters.n_trainable):
        before, values = w[i], []
        for step in (1e-6, -1e-6):
            w[i] = before + step
            values.append(objective(network, X, dY))
        w[i] = before
        assert found[i] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)


def test_outputs_are_those_of_the_layers(rng):
    X = rng.standard_normal((7, 4))
    network = make()
    below, _, above, heads = network.layers
    H = below.infer(X)
    low, top, deep = (head.output_layer for head in heads.heads_)
    expected = np.hstack([low.infer(H), top.infer(above.infer(H)), deep.infer(H)])
    np.testing.assert_array_equal(network.infer(X), expected)
    network.allocate(7, None, numpy_kernels)
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-14)


def test_many_rows_are_inferred_in_blocks_with_folded_layers(rng):
    X = rng.standard_normal((60_000, 4))
    network = make(middle=[BatchNorm(), Dropout(0.5)])
    expected = np.vstack([network.infer(X[i : i + 100]) for i in range(0, len(X), 100)])
    np.testing.assert_allclose(network.infer(X), expected, rtol=1e-10, atol=1e-12)


def test_threads_share_a_network(rng):
    network = make()
    batches = rng.standard_normal((40, 300, 4))
    expected = [network.infer(X) for X in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(network.infer, batches))
    np.testing.assert_array_equal(found, expected)


def test_hidden_layers_end_where_they_do_without_taps():
    network = make()
    assert network.hidden_stops == [1, 3]
    assert [network.width_after(stop) for stop in network.hidden_stops] == [5, 6]
    assert network.output_layer is network.layers[-1]


def test_copies_and_pickles_keep_the_connection(rng):
    X = rng.standard_normal((7, 4))
    network = make()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network)), network.rebuilt()):
        np.testing.assert_array_equal(twin.infer(X), network.infer(X))
        twin.allocate(7, None, numpy_kernels)
        twin.forward(X)
        twin.backward(np.ones((7, 6)))
        assert np.isfinite(twin.parameters.grads).all()


def test_nothing_of_training_stays(rng):
    network = make()
    size = len(pickle.dumps(network))
    network.allocate(1000, None, numpy_kernels)
    network.forward(rng.standard_normal((1000, 4)))
    network.backward(np.ones((1000, 6)))
    network.release()
    assert len(pickle.dumps(network)) <= size
    assert not {"kept", "_Y"} & set().union(*(vars(layer) for layer in network.walk()))


def test_a_network_of_heads_alone_takes_sparse_rows(rng):
    X = sp.random(20, 30, 0.2, "csr", random_state=0)
    heads = Heads(["a", "b"], [[Dense(2)], [Dense(1)]], [None, None])
    network = Network([heads], [0], 30, np.dtype(float), rng)
    assert network.accepts_sparse
    np.testing.assert_allclose(network.infer(X), network.infer(X.toarray()))
    network.allocate(20, None, numpy_kernels)
    np.testing.assert_allclose(network.forward(X), network.infer(X))


def test_heads_adapt_to_the_layer_that_they_hang_on(rng):
    tap = Tap()
    data = {"initializer": "data"}
    heads = Heads(["low", "top"], [[Dense(2, **data)], [Dense(3, **data)]], [tap, None])
    layers = [Dense(5, "tanh"), tap, Dense(6, "tanh"), heads]
    network = Network(layers, [1, 3], 4, np.dtype(float), rng)
    X = rng.standard_normal((100, 4))
    network.chain.adapt(X, rng)
    np.testing.assert_allclose(network.infer(X).std(axis=0), 1.0)


def test_the_summary_names_the_heads():
    heads = make().layers[-1]
    assert [head.describe() for head in heads.children()] == [
        "Head of 'low'",
        "Head of 'top'",
        "Head of 'deep'",
    ]
    assert isinstance(heads.heads_[0], Head)


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(InvalidParameterError, match="equal lengths"):
        Heads(["a"], [[Dense(1)], [Dense(1)]], [None]).setup(3)
