"""What initializer="auto" and bias_initializer="auto" stand for, place by place."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits, make_regression
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.layers import Activation, BatchNorm, Columns, Concatenate, Dense, Residual
from skdeep.losses import QuantileLoss

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N, D = 400, 50
CENTERS, SCALES = RNG.normal(size=D) * 5, 10 ** RNG.uniform(-1, 0.4, size=D)
X = RNG.normal(size=(N, D)) * SCALES + CENTERS
y = RNG.exponential(size=N) + 3
# A step so small that what is seen after one epoch are the first values.
START = {"max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0}


def start(*args, X=X, y=y, **options):
    return MLPRegressor(*args, **{**START, **options}).fit(X, y)


def first_layer_as_of_standardized_columns(model, X=X):
    """Return weights and biases that do the same with columns of mean 0 and variance 1."""
    W, b = model.coefs_[0], model.intercepts_[0]
    return W * X.std(axis=0)[:, None], b + X.mean(axis=0) @ W


# The rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "leaky_relu", "swish", "elu"])
def test_the_first_layer_is_small_and_bends_over_the_data(activation):
    W, b = first_layer_as_of_standardized_columns(start((300,), activation=activation))
    assert W.var() == pytest.approx(0.1 / D, rel=0.05)
    assert np.abs(W).max() <= np.sqrt(0.3 / D) * (1 + 1e-9)
    assert np.abs(b).max() <= 0.3 * (1 + 1e-9)
    assert b.std() == pytest.approx(0.3 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("activation", "variance"),
    [("relu", 2 / 200), ("prelu", 2 / 200), ("tanh", 2 / 500), ("logistic", 2 / 500)],
)
def test_higher_layers_pass_the_signal_on(activation, variance):
    model = start((200, 300), activation=activation)
    assert model.coefs_[1].var() == pytest.approx(variance, rel=0.1)
    assert 0.25 < np.abs(model.intercepts_[1]).max() < 0.3
    assert model.coefs_[2].var() == pytest.approx(2 / 301, rel=0.3)


def test_selu_keeps_mean_and_variance():
    model = start((300, 200), activation="selu")
    W, b = first_layer_as_of_standardized_columns(model)
    assert W.var() == pytest.approx(1 / D, rel=0.05)
    np.testing.assert_allclose(b, 0, atol=1e-9)
    assert model.coefs_[1].var() == pytest.approx(1 / 300, rel=0.05)
    np.testing.assert_allclose(model.intercepts_[1], 0, atol=1e-9)


def test_no_bias_where_a_batch_norm_takes_the_mean_off():
    short = start((20, 10), batch_norm="before")
    layers = [Dense(20), BatchNorm(), Activation("relu"), Dense(10), BatchNorm()]
    spelled_out = start(layers=[*layers, Activation("relu")])
    assert not any(b.any() for b in short.intercepts_[:-1])
    np.testing.assert_allclose(spelled_out.intercepts_[1], 0, atol=1e-9)


def test_columns_that_hardly_vary_or_not_at_all():
    data = X.copy()
    data[:, 0], data[:, 1] = 7.0, 1e-9 * RNG.normal(size=N)
    W = start((300,), X=data).coefs_[0]
    # No more than by the square root of 1,000, compared with the column that varies most.
    most = data.std(axis=0).max()
    for j in (0, 1):
        assert W[j].std() == pytest.approx(np.sqrt(0.1 / D) / most * np.sqrt(1000), rel=0.1)
    assert np.isfinite(start((5,), X=np.ones((20, 3)), y=y[:20]).predict(np.ones((1, 3)))).all()


def test_data_of_every_scale_start_alike():
    plain = start((30, 20), X=scale(X))
    for factor, shift in [(1e-3, 0), (1e3, 0), (1, 100), (1e4, -1e4)]:
        data = scale(X) * factor + shift
        model = start((30, 20), X=data)
        np.testing.assert_allclose(model.predict(data), plain.predict(scale(X)), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_columns_are_looked_at_as_dense_ones(dtype):
    data = np.where(RNG.random(X.shape) < 0.3, X, 0).astype(dtype)
    dense, sparse = start((9,), X=data), start((9,), X=sp.csr_matrix(data))
    np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-5)
    np.testing.assert_allclose(sparse.intercepts_[0], dense.intercepts_[0], rtol=1e-4, atol=1e-5)


def test_weights_count_as_repetition():
    weight = RNG.integers(0, 3, size=N)
    repeated = np.repeat(np.arange(N), weight)
    weighted = MLPRegressor((9,), **START).fit(X, y, sample_weight=weight)
    model = start((9,), X=X[repeated], y=y[repeated])
    for one, other in zip(
        weighted.coefs_ + weighted.intercepts_, model.coefs_ + model.intercepts_, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-8)


def test_many_rows_are_looked_at_in_part():
    data = np.tile(X, (60, 1))
    few, many = start((9,)), start((9,), X=data, y=np.tile(y, 60))
    np.testing.assert_allclose(many.coefs_[0], few.coefs_[0], rtol=0.02)


# Where the first layer is -----------------------------------------------------------------------


def test_layers_side_by_side_and_choices_of_columns():
    deep = [Columns(slice(10, None)), Dense(300, "relu")]
    model = start(layers=[Concatenate([[Columns([0, 1])], deep]), Dense(200, "relu")])
    W = model.coefs_[0] * X.std(axis=0)[10:, None]
    assert W.var() == pytest.approx(0.1 / 40, rel=0.05)
    b = model.intercepts_[0] + X.mean(axis=0)[10:] @ model.coefs_[0]
    assert np.abs(b).max() <= 0.3 * (1 + 1e-9)
    assert model.coefs_[1].var() == pytest.approx(2 / 302, rel=0.1)


def test_a_residual_block_at_the_inputs():
    model = start(layers=[Residual([Dense(300, "relu"), Dense(D)]), Dense(200, "relu")])
    assert first_layer_as_of_standardized_columns(model)[0].var() == pytest.approx(0.1 / D, rel=0.1)
    assert model.coefs_[2].var() == pytest.approx(2 / D, rel=0.1)


def test_inputs_that_are_normalized_within_the_network_are_not_scaled_twice():
    model = start((300,), batch_norm_input=True)
    assert model.coefs_[0].var() == pytest.approx(0.1 / D, rel=0.05)
    assert np.abs(model.intercepts_[0]).max() <= 0.3


def test_tied_weights_suit_the_decoder_too():
    options = {"activation": "tanh", "tied_weights": True, **START}
    model = MLPAutoencoder((300,), **options).fit(X)
    assert model.coefs_[0].var() == pytest.approx(2 / (D + 300), rel=0.05)


# What the rule leaves alone ---------------------------------------------------------------------


def test_initializers_that_are_given():
    model = start((300,), initializer="he_uniform", bias_initializer="zeros")
    assert model.coefs_[0].var() == pytest.approx(2 / D, rel=0.05)
    np.testing.assert_allclose(model.intercepts_[0], 0, atol=1e-9)
    np.testing.assert_allclose(model.intercepts_[1], 0, atol=1e-9)
    model = start((300,), bias_initializer="ones")
    np.testing.assert_allclose(model.intercepts_[0], 1, atol=1e-9)


def test_layers_that_have_learned_are_not_touched():
    source = MLPRegressor((20,), max_iter=3, random_state=0).fit(X, y)
    W, b = source.coefs_[0].copy(), source.intercepts_[0].copy()
    other = X * 3 + 1
    model = start((20,), pretrained=FrozenEstimator(source), X=other, y=-y)
    np.testing.assert_allclose(model.coefs_[0], W, atol=1e-9)
    np.testing.assert_allclose(model.intercepts_[0], b, atol=1e-9)
    assert model.intercepts_[1] == pytest.approx(-y.mean())  # its head is new
    source.set_params(warm_start="transfer", max_iter=1, learning_rate_init=1e-12).fit(other, -y)
    np.testing.assert_allclose(source.coefs_[0], W, atol=1e-9)
    assert source.intercepts_[1] == pytest.approx(-y.mean())
    source.set_params(warm_start=True).fit(other, y)
    assert source.intercepts_[1] == pytest.approx(-y.mean())
    source.partial_fit(other * 7, y)
    np.testing.assert_allclose(source.coefs_[0], W, atol=1e-9)


# The constant to start from ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "constant"),
    [
        ({}, y.mean()),
        ({"loss": "absolute_error"}, np.median(y)),
        ({"loss": QuantileLoss(0.9)}, np.quantile(y, 0.9, method="inverted_cdf")),
        ({"loss": "poisson"}, np.log(y.mean())),
        ({"output_activation": "softplus"}, np.log(np.expm1(y.mean()))),
        ({"standardize_y": True}, 0.0),
    ],
    ids=str,
)
def test_a_regressor_starts_from_the_best_constant(options, constant):
    assert start((9,), **options).intercepts_[-1] == pytest.approx(constant, abs=0.02)


@pytest.mark.parametrize("loss", ["log_loss", "focal", "squared_error"])
def test_a_classifier_starts_from_the_shares_of_the_classes(loss):
    labels = np.repeat(["a", "b", "c"], [40, 100, 260])
    model = MLPClassifier((9,), loss=loss, **START).fit(X, labels)
    shares = np.exp(model.intercepts_[-1])
    np.testing.assert_allclose(shares / shares.sum(), [0.1, 0.25, 0.65], atol=0.01)
    model = MLPClassifier((9,), loss=loss, **START).fit(X, labels == "a")
    assert model.intercepts_[-1] == pytest.approx(np.log(0.1 / 0.9), abs=0.02)


def test_rows_that_are_held_out_do_not_count():
    target = np.arange(N, dtype=float)
    model = start((9,), y=target, early_stopping=True, validation_fraction=0.5)
    assert model.intercepts_[-1] != pytest.approx(target.mean(), abs=1e-3)
    given = MLPRegressor((9,), **START).fit(X, target, X_val=X, y_val=target + 40)
    assert given.intercepts_[-1] == pytest.approx(target.mean())


# What comes of it -------------------------------------------------------------------------------


def test_a_table_that_was_not_scaled_is_learned():
    data, target = make_regression(600, 8, noise=1, random_state=0)
    target /= target.std()
    data = data * 10.0 ** np.arange(-2, 6) + 300
    model = MLPRegressor(random_state=0, max_iter=300).fit(data[:400], target[:400])
    old = MLPRegressor(
        initializer="he_uniform", bias_initializer="zeros", random_state=0, max_iter=300
    ).fit(data[:400], target[:400])
    assert old.score(data[400:], target[400:]) < model.score(data[400:], target[400:])


@pytest.mark.slow
@pytest.mark.parametrize("depth", [10, 20, 30])
def test_deep_stacks_train_as_from_he_weights(depth):
    digits, labels = load_digits(return_X_y=True)
    digits = scale(digits)
    scores = {}
    for name, options in {
        "auto": {},
        "he": {"initializer": "he_uniform", "bias_initializer": "zeros"},
    }.items():
        scores[name] = [
            MLPClassifier((50,) * depth, batch_size=32, max_iter=15, random_state=seed, **options)
            .fit(digits[:1200], labels[:1200])
            .score(digits[1200:], labels[1200:])
            for seed in range(2)
        ]
    assert np.mean(scores["auto"]) > np.mean(scores["he"]) - 0.03
