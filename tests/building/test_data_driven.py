"""initializer="data" and bias_initializer="data": first values that fit a sample of the inputs."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog
from sklearn.datasets import load_digits

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.initializers import INITIALIZERS, DataDriven
from skdeep.layers import Activation, BatchNorm, Concatenate, Dense, Residual
from skdeep.layers.tied import TiedDense
from skdeep.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 8)) * 10.0 ** RNG.uniform(-1, 1, size=8) + RNG.normal(size=8) * 20
y = RNG.exponential(size=400)
# What is seen after a step so small are the first values.
START = {"max_iter": 1, "learning_rate_init": 1e-14, "random_state": 0}
BOTH = {"initializer": "data", "bias_initializer": "data"}


def start(*args, X=X, y=y, **options):
    return MLPRegressor(*args, **{**START, **options}).fit(X, y)


def adapted(layer, X, seed=0, dtype=float):
    """Return a layer that has adapted to a sample."""
    rng = np.random.default_rng(seed)
    Network([layer], [1], X.shape[1], np.dtype(dtype), rng)
    layer.adapt(X, rng)
    return layer


def inputs_of_layers(model, X):
    """Yield every dense layer of a plain network, with its inputs."""
    for i, layer in enumerate(model.network_.layers):
        yield layer, model.network_.infer(X, i)


def is_mixture(c, rows):
    """Whether a point lies in the convex hull of rows."""
    A = np.vstack([rows.T, np.ones(len(rows))])
    return linprog(np.zeros(len(rows)), A_eq=A, b_eq=[*c, 1.0], bounds=(0, None)).success


# The rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "selu", "tanh"])
def test_every_unit_begins_with_a_response_of_variance_1(activation):
    model = start((30, 20), activation, initializer=["data"] * 3, bias_initializer="data")
    for layer, H in inputs_of_layers(model, X):
        np.testing.assert_allclose((H @ layer.kernel_.value).std(axis=0), 1.0, rtol=1e-9)


def test_directions_are_those_of_a_normal_distribution():
    W = adapted(Dense(3000, **BOTH), X).kernel_.value
    plain = np.empty_like(W)
    INITIALIZERS["data"]().fill(plain, np.random.default_rng(0))
    np.testing.assert_allclose(W * np.linalg.norm(plain, axis=0) / np.linalg.norm(W, axis=0), plain)
    assert plain.var() == pytest.approx(1 / 8, rel=0.03)


def test_units_bend_among_the_rows():
    layer = adapted(Dense(500, "relu", **BOTH), X)
    responses = X @ layer.kernel_.value + layer.bias_.value
    assert (responses.min(axis=0) < 0).all()
    assert (responses.max(axis=0) > 0).all()
    # mixtures of 5 rows, with shares that are uniform: their mean square is 2 / (5 * 6)
    kinks = layer.bias_.value + X.mean(axis=0) @ layer.kernel_.value
    assert kinks.mean() == pytest.approx(0, abs=0.1)
    assert kinks.var() == pytest.approx(5 * 2 / 30, rel=0.15)


def test_one_unit_bends_at_a_mixture():
    rows = X[:, :1]
    layer = adapted(Dense(40, **BOTH), rows)
    kinks = -layer.bias_.value / layer.kernel_.value[0]
    assert rows.min() < kinks.min() < kinks.max() < rows.max()
    assert is_mixture([kinks[0]], rows)


@pytest.mark.parametrize("options", [{"initializer": "data"}, {"bias_initializer": "data"}])
def test_one_of_the_two(options):
    layer = adapted(Dense(30, **{"initializer": "normal", **options}), X)
    std = (X @ layer.kernel_.value).std(axis=0)
    if "bias_initializer" in options:
        assert np.ptp(std) > 0.1
        kinks = X @ layer.kernel_.value + layer.bias_.value
        assert (kinks.min(axis=0) < 0).all()
        assert (kinks.max(axis=0) > 0).all()
    else:
        np.testing.assert_allclose(std, 1.0)
        assert not layer.bias_.value.any()


def test_only_layers_that_ask_for_it_adapt():
    assert not Dense(3).adapts
    for options, expected in [({}, False), ({"initializer": "data"}, True), (BOTH, True)]:
        layer = Dense(3, **options)
        layer.setup(4)
        assert layer.adapts == expected
    layer = Dense(3, bias=False, bias_initializer=DataDriven())
    layer.setup(4)
    assert not layer.adapts


def test_only_the_random_state_decides():
    models = [start((5,), **BOTH, random_state=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])
    np.testing.assert_array_equal(models[0].intercepts_[1], models[1].intercepts_[1])
    assert not np.array_equal(models[0].intercepts_[0], models[2].intercepts_[0])


# Samples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array])
def test_sparse_rows_are_looked_at_as_dense_ones(make, dtype):
    data = np.where(RNG.random(X.shape) < 0.3, X, 0).astype(dtype)
    dense, sparse = start((9,), X=data, **BOTH), start((9,), X=make(data), **BOTH)
    np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-4)
    np.testing.assert_allclose(sparse.intercepts_[0], dense.intercepts_[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "data",
    [
        X[:1],
        np.full((20, 8), 7.1),
        np.zeros((20, 8)),
        np.repeat(X[:1] * 1e3, 50, axis=0),
        np.full((20, 8), 1e30) * np.linspace(-1, 1, 20)[:, None],
        1e-30 * X,
    ],
    ids=["one row", "constant", "zeros", "equal rows", "huge", "tiny"],
)
def test_samples_that_say_little(data, dtype):
    layer = adapted(Dense(50, **BOTH), data.astype(dtype), dtype=dtype)
    assert np.isfinite(layer.kernel_.value).all()
    assert np.isfinite(layer.bias_.value).all()
    plain = np.empty((8, 50), dtype)
    INITIALIZERS["data"]().fill(plain, np.random.default_rng(0))
    if np.ptp(data) == 0 or (data == data[0]).all():
        np.testing.assert_array_equal(layer.kernel_.value, plain)


def test_no_rows():
    layer = adapted(Dense(5, **BOTH), X[:0])
    assert not layer.bias_.value.any()


def test_a_constant_column_among_others():
    data = X.copy()
    data[:, 2] = 1e4
    layer = adapted(Dense(50, **BOTH), data)
    np.testing.assert_allclose((data @ layer.kernel_.value).std(axis=0), 1.0, rtol=1e-6)


def test_rows_without_weight_are_not_looked_at():
    weight = np.r_[np.ones(200), np.zeros(200)]
    far = np.vstack([X[:200], X[200:] + 1e6])
    model = MLPRegressor((30,), **BOTH, **START).fit(far, y, sample_weight=weight)
    std = (X[:200] @ model.coefs_[0]).std(axis=0)
    np.testing.assert_allclose(std, 1.0, rtol=1e-6)


# Where it is applied ----------------------------------------------------------------------------


def test_the_rule_of_auto_changes_nothing():
    model = start((10,), **BOTH)
    alone = adapted(Dense(10, "relu", **BOTH), X)
    spread = (X @ model.coefs_[0]).std(axis=0)
    np.testing.assert_allclose(spread, (X @ alone.kernel_.value).std(axis=0))
    mixed = start((200,), initializer="data")  # "auto" for the biases alone
    assert np.abs(mixed.intercepts_[0]).max() <= 0.3
    biases = start((200,), bias_initializer="data")  # "auto" for the weights alone
    responses = X @ biases.coefs_[0] + biases.intercepts_[0]
    assert (biases.coefs_[0] * X.std(axis=0)[:, None]).var() == pytest.approx(0.1 / 8, rel=0.1)
    assert (responses.min(axis=0) < 0).all()
    assert (responses.max(axis=0) > 0).all()


def test_the_output_layer_by_a_sequence():
    model = start((10,), initializer=["auto", "data"])
    (_, (output, H)) = inputs_of_layers(model, X)
    np.testing.assert_allclose((H @ output.kernel_.value).std(axis=0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(model.intercepts_[1], y.mean(), rtol=1e-9)  # the best constant
    model = start((10,), bias_initializer="data")
    assert abs(model.intercepts_[1][0] - y.mean()) > 1e-3


def test_layers_within_others():
    branches = [[Dense(4, "relu", **BOTH)], [Dense(3, "tanh"), Residual([Dense(3, **BOTH)])]]
    layers = [Concatenate(branches), BatchNorm(), Dense(5, **BOTH), Activation("relu")]
    network = start(layers=layers).network_
    branch = network.layers[0].branches_[0].layers[0]
    np.testing.assert_allclose((X @ branch.kernel_.value).std(axis=0), 1.0, rtol=1e-9)
    # in training, batch norm has changed the statistics that were there when the layer adapted
    H = network.infer(X, 1)
    np.testing.assert_allclose((H @ network.layers[2].kernel_.value).std(axis=0), 1.0, rtol=1e-4)


def test_reused_layers_keep_their_weights():
    model = start((6, 5), **BOTH, warm_start="transfer")
    before = model.coefs_[0].copy()
    model.fit(X * 3, y)
    np.testing.assert_allclose(model.coefs_[0], before, rtol=1e-9)


def test_a_tied_layer_has_biases_from_data():
    source = Dense(5, "tanh", **BOTH)
    tied = TiedDense(source, 8, bias_initializer="data")
    rng = np.random.default_rng(0)
    network = Network([source, tied], [2], 8, np.dtype(float), rng)
    network.chain.adapt(X, rng)
    V = source.kernel_.value
    np.testing.assert_allclose((X @ V).std(axis=0), 1.0)
    H = network.infer(X, 1)
    responses = H @ V.T + tied.bias_.value
    assert (responses.min(axis=0) < 0).all()
    assert (responses.max(axis=0) > 0).all()
    data = load_digits().data[:200] / 16
    model = MLPAutoencoder((8, 4), tied_weights=True, **BOTH, max_iter=2, random_state=0).fit(data)
    assert np.isfinite(model.transform(data)).all()


def test_learns():
    data, labels = load_digits(return_X_y=True)
    model = MLPClassifier((64,), **BOTH, max_iter=15, random_state=0).fit(
        data[:1200], labels[:1200]
    )
    assert model.score(data[1200:], labels[1200:]) > 0.88
