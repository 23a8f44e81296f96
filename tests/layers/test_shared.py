"""A layer in several places of a network is one layer."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPRegressor, load, save
from skdeep.averages import SWA
from skdeep.callbacks import GradualUnfreezing, LayerStatistics
from skdeep.inspection import check_gradients
from skdeep.layers import (
    Activation,
    BatchNorm,
    Chain,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Layer,
    Periodic,
    PiecewiseLinear,
    Residual,
)
from skdeep.layers.chain import Shared
from skdeep.network import FOLDING_ROWS, Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_friedman1(90, random_state=0)
OPTIONS = {"max_iter": 3, "batch_size": 30, "random_state": 0}


def siamese(tower):
    halves = [[Columns(slice(0, 5)), tower], [Columns(slice(5, 10)), tower]]
    return [Concatenate(halves), Dense(4, "tanh")]


def in_a_stack(tower):
    return [Dense(5, "relu"), tower, Dense(5), tower]


def first_inside(tower):
    return [Dense(5), Residual([tower]), Activation("relu"), tower]


def inside_later(tower):
    return [Dense(5), tower, Concatenate([[Residual([tower])], [tower, Dense(5)]])]


STACKS = [siamese, in_a_stack, first_inside, inside_later]


def dense():
    return Dense(5, "prelu")


def block():
    return Residual([Dense(5, "tanh"), BatchNorm(), Dropout(0.1), Dense(5)])


def parallel():
    inner = Dense(5, "relu", activity_regularizer="l1")
    return Residual([Concatenate([inner, [Dense(5), inner]]), Dense(5)])


def embeddings():
    return Residual([PiecewiseLinear(2, 4), Periodic(2, 3), Dense(5, "tanh")])


TOWERS = [dense, block, parallel, embeddings]
cases = pytest.mark.parametrize("stack", STACKS)
towers = pytest.mark.parametrize("tower", TOWERS)


def fitted(layers, **options):
    return MLPRegressor(layers=layers, **{**OPTIONS, **options}).fit(X, y)


def n_parameters(tower):
    network = Network([tower], [1], 5, np.dtype(float), np.random.default_rng(0))
    return network.count()[0]


@cases
@towers
def test_it_counts_once(stack, tower):
    together, apart = fitted(stack(tower())), fitted(apart_from_each_other(stack(tower())))
    n_places = {"inside_later": 3}.get(stack.__name__, 2)
    of_others = apart.summary().total - n_places * n_parameters(apart_from_each_other(tower()))
    assert together.summary().total == of_others + n_parameters(tower())
    assert str(together.summary()).count("shared") >= n_places - 1
    assert sum(n for *_, n in together.summary().rows) == together.summary().total
    assert len(together.coefs_) < len(apart.coefs_)


def apart_from_each_other(layers):
    """Return layers with an instance for each place."""
    if isinstance(layers, list):
        return [apart_from_each_other(layer) for layer in layers]
    twin = clone(layers)
    for name, inner in layers.get_params(deep=False).items():
        if isinstance(inner, list):
            setattr(twin, name, apart_from_each_other(inner))
    return twin


@cases
@towers
@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_the_gradient_is_the_sum_over_the_places(stack, tower, kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    network = fitted(stack(tower()), max_iter=1).network_
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(9, 1))
    w = network.parameters.values
    start, rows = w.copy(), X[:9] + 0.1

    def value():
        network.allocate(9, np.random.default_rng(3))
        Z = network.forward(rows)
        result = np.sum(Z * direction)
        network.backward(direction.copy())
        return result + network.add_penalties(0.0, 0.0), network.parameters.grads.copy()

    _, gradient = value()
    chosen = rng.choice(gradient.size, 12, replace=False)
    for i in chosen:
        numbers = []
        for shift in (1e-6, -1e-6):
            w[:] = start
            w[i] += shift
            numbers.append(value()[0])
        w[:] = start
        assert np.isclose((numbers[0] - numbers[1]) / 2e-6, gradient[i], rtol=1e-5, atol=1e-7)


@cases
def test_a_check_of_gradients_agrees(stack):
    model = fitted(stack(Dense(5, "tanh")))
    assert check_gradients(model, X[:20], y[:20]).passed


@cases
@towers
def test_clone_pickle_deepcopy_and_file(stack, tower, tmp_path):
    model = fitted(stack(tower()))
    expected, n_parameters = model.predict(X), model.summary().total
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), expected)
        np.testing.assert_array_equal(clone(twin).fit(X, y).predict(X), expected)
    for twin in (
        clone(model),
        copy.deepcopy(clone(model)),
        pickle.loads(pickle.dumps(clone(model))),
    ):
        twin.fit(X, y)
        assert twin.summary().total == n_parameters
        np.testing.assert_array_equal(twin.predict(X), expected)
    save(model, tmp_path / "model")
    read = load(tmp_path / "model")
    assert str(read.summary()) == str(model.summary())
    np.testing.assert_array_equal(read.predict(X), expected)
    for other in (read, pickle.loads(pickle.dumps(model)), model):
        other.partial_fit(X, y)
    np.testing.assert_array_equal(read.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(read).fit(X, y).predict(X), expected)


def test_files_hold_layers_in_very_many_places(tmp_path):
    tower = block()
    rows = Residual([Residual([tower] * 3)] * 3)
    model = MLPRegressor(layers=[Dense(5), *[tower] * 30, rows, rows], **OPTIONS).fit(X, y)
    assert model.summary().total == 55 + n_parameters(block()) + 6
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(X), model.predict(X))
    twin = pickle.loads(pickle.dumps(model))
    expected = model.partial_fit(X, y).predict(X)
    np.testing.assert_array_equal(twin.partial_fit(X, y).predict(X), expected)


def test_a_search_keeps_it():
    model = make_pipeline(StandardScaler(), MLPRegressor(layers=siamese(Dense(3)), **OPTIONS))
    prefix = "mlpregressor__layers"
    grid = {f"{prefix}__0__branches__0__1__units": [2, 4]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(X, y)
    found = search.best_estimator_[-1]
    units = search.best_params_[f"{prefix}__0__branches__0__1__units"]
    assert found.coefs_[0].shape == (5, units)
    assert found.coefs_[1].shape == (2 * units, 4)
    whole = GridSearchCV(model, {prefix: [siamese(Dense(2)), in_a_stack(Dense(5))]}, cv=2)
    assert len(whole.fit(X, y).best_estimator_[-1].coefs_) in (3, 4)


def test_a_clone_of_a_layer_keeps_it():
    tower = Dense(3)
    twin = clone(Concatenate([[tower], [Dense(2), tower]]))
    assert twin.branches[0][0] is twin.branches[1][1] is not tower


def test_the_users_layers_stay_as_they_are():
    tower = Residual([Dense(5)])
    layers = in_a_stack(tower)
    before = [dict(vars(layer)) for layer in layers]
    fitted(layers)
    assert [vars(layer) for layer in layers] == before
    assert vars(tower.layers[0]).keys() == vars(Dense(5)).keys()


def test_layers_without_parameters_are_copied():
    drop, relu = Dropout(0.1), Activation("relu")
    model = fitted([Dense(5), relu, drop, Dense(3), relu, drop])
    assert not any(isinstance(layer, Shared) for layer in model.network_.walk())
    apart = [Dense(5), Activation("relu"), Dropout(0.1), Dense(3), Activation("relu"), Dropout(0.1)]
    np.testing.assert_array_equal(model.predict(X), fitted(apart).predict(X))


def test_other_widths_are_an_error_that_says_how_to_write_it():
    with pytest.raises(ValueError, match=r"one layer in several places.*10 columns.*32 in another"):
        fitted([Dense(32)] * 3)
    assert fitted([Dense(10)] * 3).summary().total == 10 * 11 + 11


def test_prediction_in_many_rows_is_folded():
    model = fitted(siamese(Residual([Dense(5), BatchNorm(), Activation("relu"), Dense(5)])))
    assert len(X) < FOLDING_ROWS
    many = np.tile(X, (5, 1))
    np.testing.assert_allclose(model.predict(many), np.tile(model.predict(X), 5), rtol=1e-10)


# What else looks at layers ----------------------------------------------------------------------


def test_it_freezes_together():
    for frozen in ([1], [3], 2):
        model = fitted(in_a_stack(Dense(5)), frozen_layers=frozen)
        assert not model.network_.layers[1].kernel_.trainable
        assert model.summary().non_trainable >= 30
    model.set_params(frozen_layers=4, callbacks=[GradualUnfreezing([1, 2, 3])], max_iter=5)
    model.fit(X, y)
    assert model.summary().non_trainable == 0


def test_unfreezing_while_it_trains():
    unfreezing = GradualUnfreezing([1, 2])
    model = fitted(siamese(block()), frozen_layers=2, callbacks=[unfreezing], max_iter=5)
    assert model.summary().non_trainable == 10  # the running statistics
    start = fitted(siamese(block()), max_iter=1, learning_rate_init=1e-12)
    assert not np.allclose(model.coefs_[0], start.coefs_[0], rtol=1e-6)


def test_regularizers_and_constraints_act_once():
    def loss(layers):
        model = fitted(layers, alpha=0.0, learning_rate_init=1e-12, max_iter=1, batch_size=90)
        return model.loss_, model.network_.layers[1].kernel_.value

    plain, _ = loss(in_a_stack(Dense(5)))
    penalized, W = loss(in_a_stack(Dense(5, kernel_regularizer="l2")))
    assert penalized - plain == pytest.approx(0.01 * (W**2).sum(), rel=1e-6)
    model = fitted(in_a_stack(Dense(5, kernel_constraint="unit_norm")))
    np.testing.assert_allclose(np.linalg.norm(model.coefs_[1], axis=0), 1)


def test_batch_norm_sees_every_place():
    norm = BatchNorm(momentum=0.5)
    halves = [[Columns(slice(0, 5)), norm], [Columns(slice(5, 10)), norm]]
    model = fitted([Concatenate(halves)], batch_size=90, max_iter=1)
    first, second = X[:, :5].mean(axis=0), X[:, 5:].mean(axis=0)
    found = model.network_.batch_norms()[0].mean_.value
    np.testing.assert_allclose(found, 0.25 * first + 0.5 * second, rtol=1e-12)


def test_averages_measure_the_statistics_of_all_places():
    norm = BatchNorm()
    halves = [[Columns(slice(0, 5)), norm], [Columns(slice(5, 10)), norm]]
    model = fitted([Concatenate(halves)], weight_averaging=SWA(start=0), batch_size=90)
    both = np.vstack([X[:, :5], X[:, 5:]])
    norms = model.network_.batch_norms()
    np.testing.assert_allclose(norms[0].mean_.value, both.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(norms[0].variance_.value, both.var(axis=0), rtol=1e-10)


def test_lbfgs_measures_the_statistics_of_all_places():
    norm = BatchNorm()
    halves = [[Columns(slice(0, 5)), norm], [Columns(slice(5, 10)), norm]]
    norms = fitted([Concatenate(halves)], solver="lbfgs").network_.batch_norms()
    mean = (X[:, :5].mean(axis=0) + X[:, 5:].mean(axis=0)) / 2
    np.testing.assert_allclose(norms[0].mean_.value, mean, rtol=1e-12)


def test_callbacks_see_it_once():
    callback = LayerStatistics()
    model = fitted(siamese(Dense(5)), callbacks=[callback])
    assert len(model.network_.named_parameters()) == 6


def test_lbfgs_and_float32():
    assert np.isfinite(fitted(siamese(parallel()), solver="lbfgs").loss_)
    model = MLPRegressor(layers=siamese(block()), **OPTIONS).fit(X.astype(np.float32), y)
    assert model.coefs_[0].dtype == np.float32


def test_first_values_suit_the_columns_of_all_places():
    X_wide = X * np.repeat([1.0, 100.0], 5)
    options = {"learning_rate_init": 1e-12, "max_iter": 1}
    model = MLPRegressor(layers=siamese(Dense(400, "relu")), random_state=0, **options)
    W = model.fit(X_wide, y).coefs_[0]
    variances = X_wide.var(axis=0).reshape(2, 5).mean(axis=0)
    np.testing.assert_allclose(W.var(axis=1) * variances, 0.1 / 5, rtol=0.2)


def test_a_warm_start_notices_that_layers_are_no_longer_shared():
    model = fitted(in_a_stack(Dense(5)), warm_start=True)
    clone_of_layers = clone(model).layers
    model.set_params(layers=clone_of_layers).fit(X, y)
    with pytest.raises(ValueError, match="would change the architecture"):
        model.set_params(layers=apart_from_each_other(in_a_stack(Dense(5)))).fit(X, y)


def test_transfer_copies_it():
    model = fitted(in_a_stack(Dense(5)), warm_start="transfer", learning_rate_init=1e-12)
    before = model.coefs_[1].copy()
    model.fit(X, np.column_stack([y, y]))
    np.testing.assert_allclose(model.coefs_[1], before, atol=1e-9)


class Wrapper(Layer):
    """A layer of the user's own around another one."""

    def __init__(self, inner):
        self.inner = inner

    def build(self, n_inputs):
        self.chain_ = Chain([self.inner])
        return self.chain_.setup(n_inputs), []

    def children(self):
        return self.chain_.layers

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.chain_.allocate(n_rows, dtype, rng, needs_dX)

    def forward(self, X):
        return self.chain_.forward(X)

    def backward(self, dY):
        return self.chain_.backward(dY)

    def infer(self, X):
        return self.chain_.infer(X)

    def release(self):
        super().release()
        self.chain_.release()


def test_layers_of_the_users_own_share_too():
    gate = Dense(5, "tanh")
    model = fitted([Dense(5), gate, Wrapper(gate)])
    assert model.summary().total == 55 + 30 + 6
    assert check_gradients(model, X[:20], y[:20]).passed
    wrapper = Wrapper(Dense(5, "tanh"))
    model = fitted([Dense(5), wrapper, wrapper])
    assert model.summary().total == 55 + 30 + 6
    assert check_gradients(model, X[:20], y[:20]).passed


class Careless(Wrapper):
    def build(self, n_inputs):
        self.chain_ = Chain([])
        self.chain_.layers = [self.inner]
        return self.inner.setup(n_inputs), []


def test_a_layer_of_the_users_own_that_builds_it_a_second_time_is_told():
    gate = Dense(5)
    with pytest.raises(ValueError, match="put it into a Chain"):
        fitted([Dense(5), gate, Careless(gate)])


# PyTorch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_siamese_network_is_that_of_pytorch(activation):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    shared = Dense(7, activation)
    layers = [
        Concatenate(
            [
                [Columns(slice(0, 5)), shared, Residual([Dense(7, "tanh"), shared_square()])],
                [Columns(slice(5, 10)), shared],
            ]
        ),
        Dense(4, "tanh"),
    ]
    options = {"batch_size": 30, "shuffle": False, "alpha": 0.01, "learning_rate_init": 0.01}
    options |= {"solver": "sgd", "momentum": 0.0, "random_state": 0}
    model = MLPRegressor(layers=layers, max_iter=1, **options)
    model.set_params(learning_rate_init=1e-300).fit(X, y)
    first = [array.copy() for array in (*model.coefs_, *model.intercepts_)]
    model = MLPRegressor(layers=layers, max_iter=3, **options).fit(X, y)

    n = len(first) // 2
    weights = [torch.tensor(array, requires_grad=True) for array in first]
    W, b = weights[:n], weights[n:]
    f = getattr(torch, activation)

    def network(inputs):
        left, right = (f(inputs[:, part] @ W[0] + b[0]) for part in (slice(0, 5), slice(5, 10)))
        inner = torch.tanh(left @ W[1] + b[1])
        for _ in range(2):
            inner = inner @ W[2] + b[2]
        left = left + inner
        hidden = torch.tanh(torch.cat([left, right], 1) @ W[3] + b[3])
        return hidden @ W[4] + b[4]

    optimizer = torch.optim.SGD(weights, lr=0.01)
    inputs, targets = torch.tensor(X), torch.tensor(y)[:, None]
    for _ in range(3):
        for start in range(0, 90, 30):
            rows = slice(start, start + 30)
            optimizer.zero_grad()
            loss = 0.5 * ((network(inputs[rows]) - targets[rows]) ** 2).mean()
            loss = loss + 0.01 / 30 / 2 * sum((w**2).sum() for w in W)
            loss.backward()
            optimizer.step()
    found = [*model.coefs_, *model.intercepts_]
    for array, tensor in zip(found, weights, strict=True):
        np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=0, atol=1e-9)


def shared_square():
    """Return a block that applies one dense layer twice."""
    inner = Dense(7)
    return Chained([inner, inner])


class Chained(Layer):
    """Layers one after the other."""

    def __init__(self, layers):
        self.layers = layers

    def build(self, n_inputs):
        self.chain_ = Chain(self.layers)
        return self.chain_.setup(n_inputs), []

    children, allocate = Wrapper.children, Wrapper.allocate
    forward, backward, infer = Wrapper.forward, Wrapper.backward, Wrapper.infer

    def release(self):
        super().release()
        self.chain_.release()
