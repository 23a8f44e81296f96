"""Embeddings of columns: formulas written out again, knots, and what estimators make of them."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep._component import InvalidParameterError
from skdeep.kernels import numpy_kernels
from skdeep.layers import Columns, Concatenate, Dense, PiecewiseLinear
from skdeep.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DTYPES = [np.float32, np.float64]
START = {"max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0}


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    """Give each set of kernels in turn."""
    if request.param == "numpy":
        return numpy_kernels
    return pytest.importorskip("skdeep.kernels.numba_kernels")


def network_of(*layers, n_inputs=3, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    return Network(list(layers), [len(layers)], n_inputs, np.dtype(dtype), rng)


def trained_pass(network, X, dY, kernels, n_rows=None, garbage=np.nan):
    """Return Y, dX and the gradients by name, of a pass through the first layer alone."""
    network.parameters.allocate()
    network.parameters.grads.fill(garbage)
    layer = network.layers[0]
    layer.use_kernels(kernels)
    layer.allocate(n_rows or len(X) + 3, X.dtype, None, True)
    Y = layer.forward(X).copy()
    dX = layer.backward(dY.copy())
    return Y, dX, {p.name: p.grad for p in layer.parameters_ if p.trainable}


def close(actual, expected, dtype):
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


# PiecewiseLinear ------------------------------------------------------------------------------


def interpolated(X, knots, V, keep_input):
    """Return what the layer puts out, one number at a time, by numpy.interp."""
    parts = [X] if keep_input else []
    for j in range(X.shape[1]):
        parts.append(np.stack([np.interp(X[:, j], knots[j], v) for v in V[j].T], axis=1))
    return np.concatenate(parts, axis=1)


def hats(x, knots):
    """Return the weight of every knot in e(x), for each x: the hat functions of the knots."""
    return np.stack([np.interp(x, knots, unit) for unit in np.eye(len(knots))], axis=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_outputs", "n_knots"), [(1, 2), (3, 3), (4, 10), (6, 32), (2, 65)])
@pytest.mark.parametrize("keep_input", [True, False])
def test_piecewise_linear_is_interpolation(kernels, dtype, n_outputs, n_knots, keep_input, rng):
    layer = PiecewiseLinear(n_outputs, n_knots, keep_input, "normal")
    network = network_of(layer, dtype=dtype)
    layer = network.layers[0]
    layer.adapt(rng.standard_normal((500, 3)).astype(dtype), rng)
    layer.vectors_.value[...] = rng.standard_normal(layer.vectors_.shape)
    knots, V = layer.knots_.value.astype(float), layer.vectors_.value.astype(float)
    X = (2 * rng.standard_normal((300, 3))).astype(dtype)  # some numbers are outside
    X[:n_knots] = layer.knots_.value.T
    expected = interpolated(X.astype(float), knots, V, keep_input)
    dY = rng.standard_normal(expected.shape).astype(dtype)
    Y, dX, gradients = trained_pass(network, X, dY, kernels)
    close(Y, expected, dtype)
    close(layer.infer(X), expected, dtype)
    close(network.infer(X), expected, dtype)
    n_kept = 3 if keep_input else 0
    for j in range(3):
        d = dY[:, n_kept + j * n_outputs :][:, :n_outputs].astype(float)
        weights = hats(X[:, j].astype(float), knots[j])
        np.testing.assert_allclose(gradients["vectors"][j], weights.T @ d, rtol=1e-4, atol=1e-4)
        if dtype == np.float64:
            away = np.abs(X[:, [j]] - knots[j]).min(axis=1) > 1e-6
            step = 1e-7
            slopes = (hats(X[:, j] + step, knots[j]) - hats(X[:, j] - step, knots[j])) / (2 * step)
            expected = (slopes @ V[j] * d).sum(axis=1) + (dY[:, j] if keep_input else 0)
            np.testing.assert_allclose(dX[away, j], expected[away], rtol=1e-5, atol=1e-5)


def test_both_sets_of_kernels_agree_at_the_knots_and_beyond_the_ends(rng):
    numba_kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
    network = network_of(PiecewiseLinear(3, 6, True, "normal"))
    layer = network.layers[0]
    layer.adapt(np.array([[0, 1, 2, 3, 4, 5, 6], [0] * 7, [0, 0, 0, 1, 1, 2, 2]], float).T, rng)
    ends = np.array([-np.inf, -1e300, -1, -0.0, 0.0, 0.4, 1, 1.5, 2, 3, 6, 7, 1e300, np.inf])
    X = np.stack([ends] * 3, axis=1)
    dY = rng.standard_normal((len(X), 12))
    dY[~np.isfinite(X).all(axis=1)] = 0
    with np.errstate(invalid="ignore"):
        ours = trained_pass(network, X, dY, numba_kernels)
        ours = *ours[:2], ours[2]["vectors"].copy()
        reference = trained_pass(network, X, dY, numpy_kernels)
    for one, other in zip(ours, (*reference[:2], reference[2]["vectors"]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_outside_has_the_vector_of_the_next_knot(kernels, dtype, rng):
    network = network_of(PiecewiseLinear(2, 5, False, "normal"), dtype=dtype)
    V = network.layers[0].vectors_.value
    X = np.array([[-np.inf] * 3, [-1e30] * 3, [-1.0] * 3, [1.0] * 3, [1e30] * 3, [np.inf] * 3])
    X, dY = X.astype(dtype), np.ones((6, 6), dtype)
    Y, dX, _ = trained_pass(network, X, dY, kernels)
    for result in (Y, network.infer(X)):
        close(result[:3], np.tile(V[:, 0].reshape(-1), (3, 1)), dtype)
        close(result[3:], np.tile(V[:, -1].reshape(-1), (3, 1)), dtype)
    np.testing.assert_array_equal(dX[[0, 1, 4, 5]], 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_nan_in_its_column(kernels, dtype, rng):
    network = network_of(PiecewiseLinear(2, 5, True, "normal"), dtype=dtype)
    X = rng.standard_normal((6, 3)).astype(dtype)
    clean = network.infer(X)
    X[2, 1] = np.nan
    Y, _, _ = trained_pass(network, X, np.zeros((6, 9), dtype), kernels)
    for result in (Y, network.infer(X)):
        where = np.isnan(result)
        assert where.sum() == 3
        assert where[2, [1, 5, 6]].all()
        close(result[~where], clean[~where], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_knots_are_quantiles_or_the_different_values(dtype, rng):
    X = np.stack(
        [
            rng.exponential(size=4000),
            rng.integers(0, 3, 4000) * 2.5,
            np.full(4000, 7.0),
            np.maximum(rng.standard_normal(4000), 0),  # half of the numbers are 0
            np.where(rng.random(4000) < 0.5, np.nan, np.inf),
        ],
        axis=1,
    ).astype(dtype)
    X[0, 0] = np.nan
    layer = network_of(PiecewiseLinear(2, 9), n_inputs=5, dtype=dtype).layers[0]
    layer.adapt(X, rng)
    knots = layer.knots_.value
    assert knots.dtype == dtype
    close(knots[0], np.quantile(X[1:, 0].astype(float), np.arange(9) / 8), dtype)
    np.testing.assert_array_equal(knots[1], [0, 2.5, *[5] * 7])
    np.testing.assert_array_equal(knots[2], 7)
    quantiles = np.unique(np.quantile(X[:, 3], np.arange(9) / 8))
    close(knots[3][: quantiles.size], quantiles, dtype)
    assert (knots[3][quantiles.size :] == X[:, 3].max()).all()
    close(knots[4], np.linspace(-1, 1, 9), dtype)  # no number to learn from


def test_as_many_different_values_as_knots_are_the_knots(rng):
    values = np.sort(rng.standard_normal(32))
    X = rng.choice(values, (5000, 1))
    layer = network_of(PiecewiseLinear(), n_inputs=1).layers[0]
    layer.adapt(X, rng)
    np.testing.assert_array_equal(layer.knots_.value[0], np.unique(X))
    layer.vectors_.value[...] = rng.standard_normal(layer.vectors_.shape)
    found = layer.infer(np.unique(X)[:, None])[:, 1:]
    np.testing.assert_allclose(found, layer.vectors_.value[0][: len(np.unique(X))], atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_any_size_give_finite_numbers(kernels, dtype, rng):
    info = np.finfo(dtype)
    columns = [[info.min, 0, info.max], [0, info.tiny / 8, info.tiny / 4], [5, 5, 5]]
    X = np.array(columns, dtype).T.copy()
    network = network_of(PiecewiseLinear(2, 4, False, "normal"), dtype=dtype)
    layer = network.layers[0]
    layer.adapt(X, rng)
    V = layer.vectors_.value
    Y, dX, gradients = trained_pass(network, X, np.ones((3, 6), dtype), kernels)
    assert np.isfinite(Y).all()
    assert np.isfinite(dX).all()
    assert np.isfinite(gradients["vectors"]).all()
    close(Y[:, 4:], np.tile(V[2, 0], (3, 1)), dtype)  # a constant
    np.testing.assert_allclose(gradients["vectors"].sum(), 18, rtol=1e-5)


def test_knots_do_not_train_and_vectors_have_their_rate():
    network = network_of(PiecewiseLinear(2, 4, rate=3.0))
    rows = [(p.name, p.shape, p.trainable, p.kernel, p.rate) for p in network.parameters.parameters]
    assert rows == [
        ("knots", (3, 4), False, False, 1.0),
        ("vectors", (3, 4, 2), True, False, 3.0),
    ]
    np.testing.assert_allclose(network.layers[0].knots_.value[1], [-1, -1 / 3, 1 / 3, 1])


def test_the_rate_is_a_factor_of_the_learning_rate(rng):
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    moved = {}
    for rate in (0.0, 1.0, 5.0):
        layers = [PiecewiseLinear(2, 4, initializer="normal", rate=rate), Dense(4, "tanh")]
        model = MLPRegressor(layers=layers, solver="sgd", batch_size=60, alpha=0, **START)
        model.set_params(learning_rate_init=1e-3).fit(X, y)
        start = network_of(PiecewiseLinear(2, 4, initializer="normal"), dtype=float)
        start = model.before_training(X, y).network_.layers[0].vectors_.value
        moved[rate] = model.network_.layers[0].vectors_.value - start
    assert not moved[0.0].any()
    assert moved[1.0].any()
    np.testing.assert_allclose(moved[5.0], 5 * moved[1.0], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_knots": 1}, r"n_knots=1 is not allowed; give an integer >= 2"),
        ({"n_outputs": 0}, r"n_outputs=0 is not allowed"),
        ({"rate": -1.0}, r"rate=-1.0 is not allowed"),
        ({"rate": "fast"}, r"rate='fast' is not allowed"),
        ({"keep_input": "yes"}, r"keep_input='yes' is not allowed; give True or False"),
        ({"initializer": "zero"}, r"initializer='zero' is unknown; did you mean 'zeros'"),
    ],
    ids=str,
)
def test_options_of_piecewise_linear_are_checked(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        network_of(PiecewiseLinear(**options))


def test_piecewise_linear_starts_as_if_it_were_not_there(rng):
    X, y = rng.standard_normal((100, 3)), rng.standard_normal(100)
    model = MLPRegressor(layers=[PiecewiseLinear(), Dense(8, "relu")], **START).fit(X, y)
    without = model.network_.layers[1:]
    H = without[0].activation_
    Z = X @ model.coefs_[0][:3] + model.intercepts_[0]
    H = np.maximum(Z, 0) @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.predict(X), H[:, 0], atol=1e-6)


# In estimators --------------------------------------------------------------------------------


def steps(n=400):
    """Return data of which a linear model learns little: y depends on steps of the columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4))
    return X, np.sin(4 * X[:, 0]) + np.sign(X[:, 1])


STACKS = {
    "PiecewiseLinear": [PiecewiseLinear(3, 8, initializer="normal"), Dense(8, "relu")],
    "in a branch": [
        Concatenate([[Columns([0, 1]), PiecewiseLinear(3, 8)], [Columns([2, 3])]]),
        Dense(8, "relu"),
    ],
}
each_stack = pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)


def embeddings_of(model):
    return [layer for layer in model.network_.walk() if hasattr(layer, "knots_")]


@each_stack
@pytest.mark.parametrize("dtype", DTYPES)
def test_models_with_embeddings_are_saved_copied_and_trained_further(layers, dtype, tmp_path):
    X, y = steps()
    X = X.astype(dtype)
    model = MLPRegressor(layers=layers, max_iter=5, random_state=0).partial_fit(X, y)
    expected = model.predict(X)
    save(model, tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(X), expected)
        twin.partial_fit(X, y)
        assert not np.array_equal(twin.predict(X), expected)
    again = clone(model).partial_fit(X, y)
    np.testing.assert_array_equal(again.predict(X), expected)
    assert model.summary()


@each_stack
def test_a_network_that_goes_on_keeps_its_knots(layers):
    X, y = steps()
    model = MLPRegressor(layers=layers, max_iter=2, random_state=0, warm_start=True).fit(X, y)
    for layer in embeddings_of(model):
        chosen = X[:, :2] if layer.n_inputs_ == 2 else X
        close(layer.knots_.value, np.quantile(chosen, np.arange(8) / 7, axis=0).T, np.float64)
    knots = [layer.knots_.value.copy() for layer in embeddings_of(model)]
    model.fit(X * 3 + 1, y)
    model.partial_fit(X * 5, y)
    model.set_params(warm_start="transfer").fit(X * 7, y)
    for layer, kept in zip(embeddings_of(model), knots, strict=True):
        np.testing.assert_array_equal(layer.knots_.value, kept)
    model.set_params(warm_start=False).fit(X * 3 + 1, y)
    assert not np.array_equal(embeddings_of(model)[0].knots_.value, knots[0])


@each_stack
def test_frozen_embeddings_stay(layers):
    X, y = steps()
    options = {"layers": layers, "max_iter": 3, "random_state": 0, "frozen_layers": 1}
    model = MLPRegressor(**options).fit(X, y)
    for layer, start in zip(
        embeddings_of(model), embeddings_of(model.before_training(X, y)), strict=True
    ):
        np.testing.assert_array_equal(layer.vectors_.value, start.vectors_.value)
        assert layer.knots_.value.min() < -2  # they are adapted nevertheless


@pytest.mark.parametrize("set_name", ["numpy", "numba"])
def test_an_embedding_learns_what_it_is_for(set_name, monkeypatch):
    if set_name == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", set_name)
    X, y = steps(1500)
    scores = []
    for below in ([], [PiecewiseLinear(rate=5.0)]):
        model = MLPRegressor(layers=[*below, Dense(16, "relu")], max_iter=25, random_state=0)
        scores.append(model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]))
    assert scores[1] > scores[0] + 0.05


def test_lbfgs_and_classification_with_embeddings():
    X, y = steps()
    layers = [PiecewiseLinear(2, 8), Dense(6, "tanh")]
    model = MLPClassifier(layers=layers, solver="lbfgs", max_iter=80, random_state=0)
    assert model.fit(X, y > 0).score(X, y > 0) > 0.9


# The first weights above ----------------------------------------------------------------------


def test_the_first_weights_above_an_embedding_suit_the_columns_that_it_passes_on(rng):
    scales, means = np.array([0.5, 1.0, 10.0, 5.0]), np.array([1.0, -2, 50, 40])
    X = rng.standard_normal((500, 4)) * scales + means
    y = rng.standard_normal(500)
    for n_outputs, keep in [(3, True), (5, False)]:
        layers = [PiecewiseLinear(n_outputs, 8, keep), Dense(400, "relu")]
        model = MLPRegressor(layers=layers, **START).fit(X, y)
        n_kept = 4 if keep else 0
        W, fan_in = model.coefs_[0].copy(), n_kept + 4 * n_outputs
        W[:n_kept] *= X.std(axis=0)[:n_kept, None]
        np.testing.assert_allclose(W.var(axis=1), 0.1 / fan_in, rtol=0.3)
        b = model.intercepts_[0]
        if keep:
            b = b + (X.mean(axis=0) / X.std(axis=0)) @ W[:4]
        assert np.abs(b).max() <= 0.3 * (1 + 1e-6)
