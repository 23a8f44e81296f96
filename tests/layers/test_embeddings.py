"""Embeddings of columns: formulas written out again, knots, and what estimators make of them."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import OrdinalEncoder

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep._component import InvalidParameterError
from skdeep.kernels import numpy_kernels
from skdeep.layers import Columns, Concatenate, Dense, Embedding, Periodic, PiecewiseLinear
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


# Periodic -------------------------------------------------------------------------------------


def waves(X, w, b, W, c, keep_input):
    """Return what the layer puts out, column by column."""
    parts = [X] if keep_input else []
    for j in range(X.shape[1]):
        H = np.cos(2 * np.pi * X[:, [j]] * w[j] + b[j])
        parts.append(H @ W[j].T + c[j])
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_outputs", "n_frequencies"), [(2, 1), (4, 16), (7, 5)])
@pytest.mark.parametrize("keep_input", [True, False])
def test_periodic_is_a_combination_of_waves(
    kernels, dtype, n_outputs, n_frequencies, keep_input, rng
):
    network = network_of(Periodic(n_outputs, n_frequencies, 0.7, keep_input), dtype=dtype)
    layer = network.layers[0]
    values = [p.value.astype(float) for p in layer.parameters_]
    X = (3 * rng.standard_normal((40, 3))).astype(dtype)
    X[0] = 0
    expected = waves(X.astype(float), *values, keep_input)
    assert expected.shape == (40, 3 * n_outputs)
    dY = rng.standard_normal(expected.shape).astype(dtype)
    Y, _, _ = trained_pass(network, X, dY, kernels)
    for result in (Y, layer.infer(X), network.infer(X)):
        close(result, expected, dtype)


def test_large_numbers_lose_whole_turns_only(kernels, rng):
    network = network_of(Periodic(2, 3, keep_input=False), n_inputs=1)
    layer = network.layers[0]
    layer.frequencies_.value[...] = [[0.25, 1.0, -0.5]]
    X = rng.integers(-4, 4, (50, 1)) / 16
    dY = rng.standard_normal((50, 2))
    near, far = (trained_pass(network, X + shift, dY, kernels)[:2] for shift in (0.0, 2.0**24))
    for one, other in zip((*near, near[0]), (*far, layer.infer(X + 2.0**24)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-7)


def test_first_values_of_periodic():
    network = network_of(Periodic(4, 400, scale=0.3, rate=2.0), n_inputs=50)
    layer = network.layers[0]
    assert [(p.name, p.shape) for p in layer.parameters_] == [
        ("frequencies", (50, 400)),
        ("phases", (50, 400)),
        ("weights", (50, 3, 400)),
        ("biases", (50, 3)),
    ]
    assert {(p.rate, p.kernel, p.trainable) for p in layer.parameters_} == {(2.0, False, True)}
    w, b, W, c = (p.value for p in layer.parameters_)
    assert w.mean() == pytest.approx(0, abs=0.01)
    assert w.std() == pytest.approx(0.3, rel=0.02)
    assert b.std() == pytest.approx(np.pi / np.sqrt(3), rel=0.02)
    assert np.abs(b).max() <= np.pi
    for array in (W, c):
        assert array.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.15)
        assert np.abs(array).max() <= 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_outputs": 1},
            r"n_outputs=1 is not allowed with keep_input=True.*give an integer >= 2",
        ),
        ({"n_frequencies": 0}, r"n_frequencies=0 is not allowed"),
        ({"scale": -1}, r"scale=-1 is not allowed"),
        ({"rate": None}, r"rate=None is not allowed"),
        ({"keep_input": 1}, r"keep_input=1 is not allowed; give True or False"),
    ],
    ids=str,
)
def test_options_of_periodic_are_checked(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        network_of(Periodic(**options))


# Embedding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("counts", [6, [6, 1, 300]], ids=str)
@pytest.mark.parametrize("n_outputs", [1, 4, 9])
def test_embedding_looks_codes_up(kernels, dtype, counts, n_outputs, rng):
    network = network_of(Embedding(counts, n_outputs), dtype=dtype)
    layer, each = network.layers[0], np.broadcast_to(counts, 3)
    tables = np.split(layer.table_.value, np.cumsum(each)[:-1])
    codes = np.stack([rng.integers(0, n, 50) for n in each], axis=1)
    X = codes.astype(dtype)
    dY = rng.standard_normal((50, 3 * n_outputs)).astype(dtype)
    Y, dX, gradients = trained_pass(network, X, dY, kernels)
    expected = np.concatenate([t[codes[:, j]] for j, t in enumerate(tables)], axis=1)
    for result in (Y, layer.infer(X), network.infer(X)):
        np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(dX, 0)
    sums = [np.zeros_like(t) for t in tables]
    for i, row in enumerate(codes):
        for j, code in enumerate(row):
            sums[j][code] += dY[i, j * n_outputs :][:n_outputs]
    close(gradients["table"], np.concatenate(sums), dtype)


def test_what_is_no_code_counts_as_0(kernels):
    X = np.array([0, -1, -0.5, 3, 1e30, -np.inf, np.inf, np.nan, 1.9, 2.0])[:, None]
    codes = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    network = network_of(Embedding(3, 2), n_inputs=1)
    Y, _, gradients = trained_pass(network, X, np.ones((10, 2)), kernels)
    for result in (Y, network.infer(X)):
        np.testing.assert_array_equal(result, network.layers[0].table_.value[codes])
    np.testing.assert_array_equal(gradients["table"], [[8, 8], [1, 1], [1, 1]])


def test_first_values_of_embedding():
    network = network_of(Embedding([3, 2, 500], 40, rate=0.5))
    (table,) = network.layers[0].parameters_
    assert (table.name, table.shape, table.kernel, table.rate) == ("table", (505, 40), False, 0.5)
    assert table.value.std() == pytest.approx(1, rel=0.02)
    assert network.layers[0].describe() == "Embedding (505 categories)"
    network = network_of(Embedding(9, 4, "ones"))
    np.testing.assert_array_equal(network.layers[0].table_.value, np.ones((27, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_categories": 0}, r"n_categories=0 is not allowed; give an integer in \[1, "),
        ({"n_categories": "many"}, r"n_categories='many' is not allowed"),
        ({"n_categories": [3, 0, 2]}, r"n_categories\[1\]=0 is not allowed; give an integer"),
        ({"n_categories": [3, 2.5, 2]}, r"n_categories\[1\]=2.5 is not allowed"),
        ({"n_categories": [3, 2]}, r"2 entries for 3 columns; give one integer for all columns"),
        ({"n_categories": []}, r"0 entries for 3 columns"),
        ({"n_categories": [3, 2, 1], "n_outputs": 0}, r"n_outputs=0 is not allowed"),
        ({"n_categories": 3, "rate": -1}, r"rate=-1 is not allowed"),
    ],
    ids=str,
)
def test_options_of_embedding_are_checked(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        network_of(Embedding(**options))


@pytest.mark.parametrize("counts", [np.array([3, 2, 9]), (np.int64(3), 2, 9), range(3, 6)], ids=str)
def test_counts_may_be_of_any_kind(counts):
    if isinstance(counts, range):
        counts = tuple(counts)
    layer = network_of(Embedding(counts, np.int64(4))).layers[0]
    assert [type(count) for count in layer.n_categories] == [int] * 3
    assert type(layer.n_outputs) is int


# Beside another library -----------------------------------------------------------------------


def torch_columns(layer, x, torch):
    """Return the outputs of a layer, written in torch, and its trained arrays as tensors."""
    tensors = [
        torch.tensor(p.value, requires_grad=p.trainable, dtype=torch.float64)
        for p in layer.parameters_
    ]
    if isinstance(layer, Embedding):
        tables = tensors[0].split(np.diff(layer.starts_).tolist())
        look_up = torch.nn.functional.embedding
        return [look_up(x[:, j].long(), t) for j, t in enumerate(tables)], tensors
    if isinstance(layer, Periodic):
        w, b, W, c = tensors
        angles = 2 * torch.pi * x[:, :, None] * w + b
        e = torch.einsum("ijk,jok->ijo", torch.cos(angles), W) + c
    else:  # rtdl's encoding: the shares of the segments that x has passed, times the changes of V
        knots, V = tensors
        passed = (x[:, :, None] - knots[:, :-1]) / (knots[:, 1:] - knots[:, :-1])
        e = V[:, 0] + torch.einsum("ijk,jko->ijo", passed.clamp(0, 1), V[:, 1:] - V[:, :-1])
    return [x, *e.unbind(1)], tensors


@pytest.mark.parametrize(
    "make",
    [lambda: PiecewiseLinear(3, 9, True, "normal"), Periodic, lambda: Embedding([3, 2, 4], 5)],
    ids=["PiecewiseLinear", "Periodic", "Embedding"],
)
def test_torch_finds_the_same_outputs_and_gradients(make, kernels, rng):
    torch = pytest.importorskip("torch")
    network = network_of(make())
    layer = network.layers[0]
    X = rng.standard_normal((50, 3)) if not isinstance(layer, Embedding) else None
    X = rng.integers(0, [3, 2, 4], (50, 3)).astype(float) if X is None else X
    layer.adapt(X[:30], rng)
    x = torch.tensor(X, requires_grad=True)
    parts, tensors = torch_columns(layer, x, torch)
    expected = torch.cat(parts, dim=1)
    dY = rng.standard_normal(expected.shape)
    expected.backward(torch.tensor(dY))
    Y, dX, gradients = trained_pass(network, X, dY, kernels)
    np.testing.assert_allclose(Y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    trained = [t.grad.numpy() for t in tensors if t.requires_grad]
    for ours, theirs in zip(gradients.values(), trained, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
    if x.grad is not None:
        # at the first and at the last knot the slope is that of one side or the other
        at_end = np.isin(X, layer.knots_.value) if layer.adapts else np.zeros_like(X, bool)
        np.testing.assert_allclose(dX[~at_end], x.grad.numpy()[~at_end], rtol=1e-9, atol=1e-11)


# In estimators --------------------------------------------------------------------------------


def steps(n=400):
    """Return data of which a linear model learns little: y depends on steps of the columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4))
    return X, np.sin(4 * X[:, 0]) + np.sign(X[:, 1])


STACKS = {
    "PiecewiseLinear": [PiecewiseLinear(3, 8, initializer="normal"), Dense(8, "relu")],
    "Periodic": [Periodic(3, 8), Dense(8, "relu")],
    "in branches": [
        Concatenate(
            [
                [Columns([0, 1]), PiecewiseLinear(3, 8)],
                [Columns([2, 3]), Embedding([3, 4], 2)],
                [Columns([0]), Periodic()],
            ]
        ),
        Dense(8, "relu"),
    ],
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
    for layer, kept in zip(embeddings_of(model), knots, strict=True):
        assert not np.array_equal(layer.knots_.value, kept)


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


def test_the_first_weights_above_codes_do_not_see_their_scale(rng):
    X = np.column_stack([rng.standard_normal((500, 2)) * 5 + 20, rng.integers(0, 90, (500, 2))])
    y = rng.standard_normal(500)
    branches = [[Columns([0, 1]), Periodic(4)], [Columns([2, 3]), Embedding(90, 3)]]
    model = MLPRegressor(layers=[Concatenate(branches), Dense(400, "relu")], **START).fit(X, y)
    W, b = model.coefs_[0], model.intercepts_[0]
    variances = np.full(14, 0.1 / 14)
    variances[:2] /= X[:, :2].var(axis=0)
    np.testing.assert_allclose(W.var(axis=1), variances, rtol=0.3)
    assert np.abs(b + X[:, :2].mean(axis=0) @ W[:2]).max() <= 0.3 * (1 + 1e-6)


def test_categories_are_learned():
    rng = np.random.default_rng(0)
    effect = rng.standard_normal(60)
    codes = rng.integers(0, 60, 3000)
    names = np.array([f"city {code}" for code in codes])[:, None]
    y = effect[codes] + 0.1 * rng.standard_normal(3000)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    X = encoder.fit_transform(names) + 1
    layers = [Embedding(61, 4), Dense(16, "relu")]
    model = MLPRegressor(layers=layers, learning_rate_init=0.01, max_iter=30, random_state=0)
    assert model.fit(X[:2000], y[:2000]).score(X[2000:], y[2000:]) > 0.95
    unknown = encoder.transform([["no city"]]) + 1
    np.testing.assert_array_equal(unknown, 0)
    assert np.isfinite(model.predict(unknown)).all()
