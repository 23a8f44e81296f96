"""The dense layer."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep._component import InvalidParameterError
from skdeep.activations import ACTIVATIONS, LeakyReLU, Tanh
from skdeep.activations import Activation as ActivationFunction
from skdeep.constraints import MaxNorm
from skdeep.initializers import Normal, Uniform
from skdeep.layers import Activation, Dense
from skdeep.network import Network
from skdeep.optimizers import Adam
from skdeep.parameters import Segment
from skdeep.regularizers import L1, L2


class Identity(ActivationFunction):
    """f(z) = 2 z: has the name of another activation."""

    def forward(self, Z, work):
        Z *= 2

    def backward(self, dA, A, Z, work):
        dA *= 2


def network_of(*layers, n_inputs=4, dtype=float, seed=0):
    return Network(
        list(layers), [len(layers)], n_inputs, np.dtype(dtype), np.random.default_rng(seed)
    )


def test_parameters_and_their_options():
    layer = Dense(
        3,
        "prelu",
        initializer=Normal(),
        bias_initializer="ones",
        kernel_regularizer="l2",
        bias_regularizer=L1(0.3),
        kernel_constraint="unit_norm",
        bias_constraint=MaxNorm(3.0),
    )
    kernel, bias, slope = network_of(layer).parameters.parameters
    assert (kernel.name, kernel.shape, kernel.kernel) == ("kernel", (4, 3), True)
    assert (bias.name, bias.shape, bias.kernel) == ("bias", (3,), False)
    assert (slope.name, slope.shape, slope.kernel) == ("slope", (3,), False)
    assert [str(p.regularizer) for p in (kernel, bias, slope)] == ["L2()", "L1(l1=0.3)", "None"]
    assert [str(p.constraint) for p in (kernel, bias, slope)] == [
        "UnitNorm()",
        "MaxNorm(max_value=3.0)",
        "None",
    ]
    assert (bias.value == 1).all()


def test_parts_that_were_given_are_never_changed_or_kept():
    f, initializer, regularizer = LeakyReLU(), Uniform(), L2()
    layer = Dense(3, f, initializer=initializer, kernel_regularizer=regularizer)
    network_of(layer)
    assert layer.activation is f
    assert layer.activation_ is not f
    assert layer.kernel_.initializer is not initializer
    assert layer.kernel_.regularizer is not regularizer


def test_without_bias_there_is_none(rng):
    network = network_of(Dense(3, bias=False))
    X = rng.standard_normal((5, 4))
    assert network.layers[0].bias_ is None
    assert [p.name for p in network.parameters.parameters] == ["kernel"]
    np.testing.assert_allclose(network.infer(X), X @ network.layers[0].kernel_.value)


@pytest.mark.parametrize("activation", [None, "identity", "linear"])
def test_no_activation_is_the_identity(activation, rng):
    X = rng.standard_normal((5, 4))
    network, bare = network_of(Dense(3, activation)), network_of(Dense(3))
    network.allocate(5, None)
    np.testing.assert_array_equal(network.infer(X), bare.infer(X))
    np.testing.assert_array_equal(network.forward(X), bare.infer(X))


def test_an_activation_of_the_users_own_works_whatever_its_name(rng):
    X = rng.standard_normal((5, 4))
    network, bare = network_of(Dense(3, Identity())), network_of(Dense(3))
    np.testing.assert_array_equal(network.infer(X), 2 * bare.infer(X))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_fused_activation_is_an_activation_on_top(name, rng):
    X, dY = rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    fused = network_of(Dense(3, name, initializer="he_normal", bias_initializer="normal"))
    apart = network_of(
        Dense(3, initializer="he_normal", bias_initializer="normal"), Activation(name)
    )
    results = []
    for network in (fused, apart):
        network.allocate(6, np.random.default_rng(1))
        Y = network.forward(X).copy()
        network.backward(dY.copy())
        results.append((Y, network.infer(X), network.parameters.grads))
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"weight_noise": 0.3}], ids=str)
def test_sparse_rows_give_what_dense_rows_give(make, dtype, options, rng):
    X = (rng.standard_normal((6, 4)) * (rng.random((6, 4)) < 0.5)).astype(dtype)
    X[2] = 0
    results = []
    for given in (X, make(X)):
        network = network_of(Dense(3, "tanh", **options), dtype=dtype)
        network.allocate(8, np.random.default_rng(0))
        network.parameters.grads.fill(np.nan)
        Y = network.forward(given).copy()
        network.backward(np.ones((6, 3), dtype))
        results.append((Y, network.infer(given), network.parameters.grads))
        assert {a.dtype for a in results[-1]} == {np.dtype(dtype)}
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_backward_goes_through_the_noisy_weights(rng):
    layer = Dense(3, bias=False, weight_noise=0.5)
    network = network_of(Dense(4), layer)
    network.allocate(4, np.random.default_rng(0))
    X = rng.standard_normal((4, 4))
    hidden = network.infer(X, 1)
    Y = network.forward(X).copy()
    noisy = np.linalg.solve(hidden, Y)
    assert not np.allclose(noisy, layer.kernel_.value)
    dX = layer.backward(np.ones((4, 3)))
    np.testing.assert_allclose(dX, np.ones((4, 3)) @ noisy.T, rtol=1e-8)


# Learning rates of their own ----------------------------------------------------------------------


def test_factors_of_the_learning_rate():
    layer = Dense(3, "prelu", kernel_rate=0.2, bias_rate=5)
    kernel, bias, slope = network_of(layer).parameters.parameters
    assert [p.rate for p in (kernel, bias, slope)] == [0.2, 5.0, 1.0]
    assert kernel.decay == 1.0
    layer = Dense(3, kernel_rate="fan_in")
    kernel, bias = network_of(layer, n_inputs=16).parameters.parameters
    assert (kernel.rate, kernel.decay, bias.rate, bias.decay) == (0.25, 4.0, 1.0, 1.0)


def test_segments_have_the_rates_and_the_decay_of_their_parameters():
    network = network_of(
        Dense(4, kernel_rate="fan_in", bias_rate=0.5),
        Dense(4, kernel_rate="fan_in"),
        Dense(9),
        Dense(2, kernel_rate="fan_in"),
    )
    for p in network.layers[3].parameters_:
        p.multiplier = 6.0
    assert network.parameters.segments() == [
        Segment(0, 32, 0.5, 1.0, 2.0),
        Segment(32, 68, 1.0, 1.0, 1.0),
        Segment(68, 86, 2.0, 1.0, 3.0),
        Segment(86, 90, 0.5, 0.0, 0.0),
        Segment(90, 103, 1.0, 0.0, 0.0),
        Segment(103, 105, 6.0, 0.0, 0.0),
    ]


class NTK:
    """Y = tanh(X V_1 / sqrt(n_1) + b_1) V_2 / sqrt(n_2) + b_2, with Adam and decay of every V."""

    def __init__(self, parameters, multipliers, bias_rate):
        kernels, biases = parameters[::2], parameters[1::2]
        self.roots = [np.sqrt(len(W)) for W in kernels]
        self.V = [W * root for W, root in zip(kernels, self.roots, strict=True)]
        self.b = [b.copy() for b in biases]
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for p in (*self.V, *self.b)]
        self.rates = [*multipliers, *(m * bias_rate for m in multipliers)]
        self.decays = [*multipliers, 0, 0]
        self.t = 0

    def step(self, X, target, lr, decay):
        (n1, n2), (V1, V2), (b1, b2) = self.roots, self.V, self.b
        H = np.tanh(X @ V1 / n1 + b1)
        d = H @ V2 / n2 + b2 - target
        dH = d @ V2.T / n2 * (1 - H**2)
        gradients = [X.T @ dH / n1, H.T @ d / n2, dH.sum(axis=0), d.sum(axis=0)]
        self.t += 1
        for p, g, moments, rate, own in zip(
            [V1, V2, b1, b2], gradients, self.moments, self.rates, self.decays, strict=True
        ):
            p *= 1 - lr * own * decay
            moments[0] = 0.9 * moments[0] + 0.1 * g
            moments[1] = 0.999 * moments[1] + 0.001 * g**2
            m, v = moments[0] / (1 - 0.9**self.t), moments[1] / (1 - 0.999**self.t)
            p -= lr * rate * m / np.sqrt(v)

    def parameters(self):
        return [self.V[0] / self.roots[0], self.b[0], self.V[1] / self.roots[1], self.b[1]]


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("multipliers", [(1.0, 1.0), (0.3, 2.0)])
@pytest.mark.parametrize("bias_rate", [1.0, 0.1])
def test_fan_in_trains_as_the_ntk_parametrization_does(kernels, multipliers, bias_rate, rng):
    kernels = pytest.importorskip(f"skdeep.kernels.{kernels}_kernels")
    X, target = rng.standard_normal((30, 6)), rng.standard_normal((30, 2))
    options = {"kernel_rate": "fan_in", "bias_rate": bias_rate, "bias_initializer": "normal"}
    network = network_of(Dense(20, "tanh", **options), Dense(2, **options), n_inputs=6)
    for layer, multiplier in zip(network.layers, multipliers, strict=True):
        for p in layer.parameters_:
            p.multiplier = multiplier
    vector = network.parameters
    reference = NTK([p.value.copy() for p in vector.parameters], multipliers, bias_rate)
    network.allocate(30, None, kernels)
    adam = Adam(epsilon=1e-100)
    adam.start(vector.n_trainable, np.dtype(float))
    adam.bind(kernels, vector.segments(), np.dtype(float))
    for lr in (0.1, 0.1, 0.2, 0.05, 0.1):
        network.backward(network.forward(X) - target)
        adam.step(vector.values, vector.grads, lr, 0.0, 0.3)
        reference.step(X, target, lr, 0.3)
    for p, expected in zip(vector.parameters, reference.parameters(), strict=True):
        np.testing.assert_allclose(p.value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": 0}, "units=0 is not allowed; give an integer >= 1"),
        ({"units": 2.0}, "units=2.0 is not allowed"),
        ({"weight_noise": -1}, "weight_noise=-1 is not allowed"),
        ({"kernel_rate": -1}, "kernel_rate=-1 is not allowed; give a number >= 0 or 'fan_in'"),
        ({"kernel_rate": "fan_out"}, "kernel_rate='fan_out' is not allowed"),
        ({"bias_rate": "fan_in"}, "bias_rate='fan_in' is not allowed; give a number >= 0"),
        ({"activation": "rellu"}, "activation='rellu' is unknown; did you mean 'relu'"),
        ({"activation": Tanh}, r"activation=Tanh is a class; give an instance"),
        ({"activation": LeakyReLU(2)}, "activation__negative_slope=2 is not allowed"),
        ({"initializer": "he"}, "initializer='he' is unknown"),
        ({"bias_initializer": "zero"}, "bias_initializer='zero' is unknown; did you mean 'zeros'"),
        ({"kernel_regularizer": 0.1}, "kernel_regularizer=0.1 is not allowed"),
        ({"bias_regularizer": "l3"}, "bias_regularizer='l3' is unknown"),
        ({"kernel_constraint": L2()}, r"kernel_constraint=L2\(\) is not allowed"),
        ({"bias_constraint": "norm"}, "bias_constraint='norm' is unknown"),
    ],
    ids=str,
)
def test_bad_options_are_named_when_the_layer_is_built(options, words):
    with pytest.raises(InvalidParameterError, match=words):
        Dense(**{"units": 3, **options}).setup(4)
