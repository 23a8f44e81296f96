"""The operations that layers list are those of their prediction pass."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skdeep import MLPRegressor
from skdeep import layers as kinds
from skdeep.files.names import CLASSES
from skdeep.layers import (
    Activation,
    ActivityRegularization,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    GaussianNoise,
    Layer,
    Output,
    Periodic,
    PiecewiseLinear,
    Pretrained,
    Residual,
    Scale,
)
from skdeep.layers.folding import folded
from skdeep.layers.heads import Head, Heads, Tap
from skdeep.layers.operations import (
    Add,
    Affine,
    Apply,
    Join,
    Normalize,
    Take,
    does_nothing_at_prediction,
    operations_of,
)
from skdeep.layers.tied import TiedDense
from skdeep.network import Network

N_ROWS, N_COLUMNS = 20, 6


def through(layers, X):
    """Return the outputs of layers, computed from their operations alone."""
    for layer in layers:
        for operation in operations_of(layer):
            X = computed(operation, X)
    return X


def computed(operation, X):
    match operation:
        case Affine(W, b):
            return X @ W if b is None else X @ W + b
        case Normalize(mean, std, scale, shift):
            return scale * (X - mean) / std + shift
        case Apply(f):
            Y = X.copy()
            f.infer(Y, np.empty_like(Y))
            return Y
        case Take(columns):
            return X[:, columns]
        case Add(branches):
            return sum(through(branch, X) for branch in branches)
        case Join(branches):
            return np.hstack([through(branch, X) for branch in branches])


def tied():
    source = Dense(4, "tanh")
    return [source, TiedDense(source, N_COLUMNS)]


def fitted():
    X = np.random.default_rng(2).standard_normal((9, N_COLUMNS))
    options = {"batch_norm": "before", "batch_norm_input": True, "solver": "lbfgs", "max_iter": 1}
    with pytest.warns(ConvergenceWarning):
        return MLPRegressor((4, 3), **options).fit(X, X[:, 0])


def shared():
    dense = Dense(N_COLUMNS, "tanh")
    return [dense, dense]


MAKE = {
    "Activation": lambda: [Activation("swish")],
    "ActivityRegularization": lambda: [ActivityRegularization()],
    "BatchNorm": lambda: [BatchNorm()],
    "Columns": lambda: [Columns([2, -1, 0, 2])],
    "Concatenate": lambda: [Concatenate([[], [Dense(3, "tanh"), Dropout()], BatchNorm()])],
    "Dense": lambda: [Dense(4), Dense(5, "prelu", bias=False), Dense(3, "rrelu", weight_noise=1.0)],
    "Dropout": lambda: [Dropout(0.9)],
    "GaussianNoise": lambda: [GaussianNoise(3.0)],
    "Residual": lambda: [Residual([BatchNorm(), Dense(N_COLUMNS, "elu")])],
    "Pretrained": lambda: [Pretrained(FrozenEstimator(fitted()))],
    "Scale": lambda: [Scale()],
    "Shared": shared,
    "TiedDense": tied,
}
# Their operations have no names, so they can't be written to ONNX.
UNLISTED = {
    "Embedding": lambda: [Embedding(2, 3)],
    "Periodic": lambda: [Periodic(3, 4)],
    "PiecewiseLinear": lambda: [PiecewiseLinear(2, 4)],
}


def network_of(layers):
    rng = np.random.default_rng(0)
    network = Network(layers, [len(layers)], N_COLUMNS, np.dtype(np.float64), rng)
    network.parameters.values[:] = rng.uniform(0.5, 2, network.parameters.values.size)
    return network


@pytest.fixture
def X():
    return np.random.default_rng(1).standard_normal((N_ROWS, N_COLUMNS))


def test_every_layer_of_skdeep_is_here():
    others = (
        Output,
        Head,
        Heads,
        Tap,
    )  # which is no layer, and those of tests/layers/test_heads.py
    layers = {n for n, cls in CLASSES.items() if issubclass(cls, Layer) and cls not in others}
    assert {name.removeprefix("layers.") for name in layers} == MAKE.keys() | UNLISTED.keys()


@pytest.mark.parametrize("kind", UNLISTED)
def test_a_network_with_other_operations_is_folded_around_them(kind, X):
    network = network_of([*UNLISTED[kind](), BatchNorm(), Dense(4), BatchNorm(), Dense(3)])
    assert operations_of(network.layers[0]) is None
    assert not does_nothing_at_prediction(network.layers[0])
    expected = network.chain.infer(X)
    steps = folded(network.layers)
    assert len(steps) < len(network.layers)
    for step in steps:
        X = step.infer(X)
    np.testing.assert_allclose(X, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", MAKE)
def test_operations_are_those_of_infer(kind, X):
    network = network_of(MAKE[kind]())
    np.testing.assert_allclose(through(network.layers, X), network.chain.infer(X), rtol=1e-12)


@pytest.mark.parametrize("kind", MAKE)
def test_the_list_is_empty_exactly_if_infer_returns_its_input(kind, X):
    for layer in network_of(MAKE[kind]()).layers:
        if layer.n_inputs_ == N_COLUMNS:
            assert does_nothing_at_prediction(layer) == (layer.infer(X) is X)


def overriding(kind):
    """Return a subclass whose prediction pass adds 1."""
    base = getattr(kinds, kind)
    return type("Own", (base,), {"infer": lambda self, X: base.infer(self, X) + 1})


@pytest.mark.parametrize(
    "kind", ["ActivityRegularization", "Dropout", "GaussianNoise", "BatchNorm", "Activation"]
)
def test_a_subclass_that_overrides_infer_inherits_no_operations(kind, X):
    own = overriding(kind)()
    assert operations_of(own) is None
    assert not does_nothing_at_prediction(own)
    network = network_of([Dense(4), own, Dense(3)])
    expected = network.chain.infer(X)
    for step in folded(network.layers):
        X = step.infer(X)
    np.testing.assert_allclose(X, expected, rtol=1e-12)


def test_infer_from_another_base_class_hides_the_operations_too():
    class Doubles:
        def infer(self, X):
            return 2 * X

    class Own(Doubles, Dropout):
        pass

    assert operations_of(Own()) is None


def test_a_subclass_that_keeps_infer_keeps_the_operations():
    class Own(Dropout):
        def forward(self, X):
            return super().forward(X)

    assert does_nothing_at_prediction(Own())


def test_a_layer_of_the_users_own_lists_its_operations(X):
    class Doubles(Layer):
        def infer(self, X):
            return 2 * X

        def operations(self):
            return [Affine(2 * np.eye(self.n_inputs_))]

    network = network_of([Dense(4), BatchNorm(), Doubles()])
    steps = folded(network.layers)
    assert len(steps) < len(network.layers)
    expected = network.chain.infer(X)
    for step in steps:
        X = step.infer(X)
    np.testing.assert_allclose(X, expected, rtol=1e-12)


STACKS = {
    "batch norm before": (lambda: [Dense(5), BatchNorm(), Activation("relu"), Dense(2)], 2),
    "batch norm after": (lambda: [Dense(5, "relu"), BatchNorm(), Dropout(), Dense(2, "tanh")], 2),
    "scale of the inputs": (lambda: [Scale(), Dense(5, "tanh"), Dense(2)], 2),
    "scale of hidden units": (lambda: [Dense(5, "relu"), Scale(), Dense(2)], 2),
    "scale of outputs": (lambda: [Dense(5, "relu"), Dense(2), Scale()], 2),
    "two batch norms": (lambda: [Dense(5, "relu"), BatchNorm(), BatchNorm(), Dense(2)], 3),
    "batch norm of the inputs": (lambda: [BatchNorm(), Dense(5)], 2),
    "batch norm at the end": (lambda: [Dense(5, "tanh"), BatchNorm()], 2),
    "no bias": (lambda: [Dense(5, bias=False), BatchNorm(), Dense(2, bias=False)], 2),
    "a branch in between": (
        lambda: [Dense(5, "relu"), BatchNorm(), Residual([Dense(5)]), Dense(2)],
        4,
    ),
}


@pytest.mark.parametrize("stack", STACKS)
def test_folded_layers_predict_the_same_in_fewer_steps(stack, X):
    make, n_steps = STACKS[stack]
    network = network_of(make())
    steps = folded(network.layers)
    assert len(steps) == n_steps
    expected = network.chain.infer(X)
    for step in steps:
        X = step.infer(X)
    np.testing.assert_allclose(X, expected, rtol=1e-10)


def test_a_mean_far_from_zero_is_not_folded(X):
    network = network_of([Dense(5, "relu"), BatchNorm(), Dense(2)])
    network.layers[1].mean_.value[:] = 1e6
    assert len(folded(network.layers)) == 3


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dense(3), "Dense"),
        (Dense(3, "relu"), "Dense (ReLU)"),
        (Activation("tanh"), "Activation (Tanh)"),
        (Dropout(0.25), "Dropout (0.25)"),
        (GaussianNoise(2), "GaussianNoise (2)"),
        (BatchNorm(), "BatchNorm"),
    ],
    ids=str,
)
def test_layers_describe_themselves(layer, text):
    layer.setup(4)
    assert layer.describe() == text


def test_a_setting_that_is_no_number_is_described_by_its_class():
    class Own(Layer):
        described_by = "part"

        def __init__(self, part=None):
            self.part = part

    assert Own().describe() == "Own"
    assert Own(Dropout()).describe() == "Own (Dropout)"
