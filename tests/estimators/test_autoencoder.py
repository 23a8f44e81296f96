"""The autoencoder: codes, reconstructions, its kinds, and what it is the start of."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.layers import Dense
from skdeep.layers.tied import TiedDense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_digits().data / 16


def fitted(X=X, **options):
    common = {"hidden_layer_sizes": (32, 8), "max_iter": 5, "random_state": 0, "tol": 0}
    return MLPAutoencoder(**{**common, **options}).fit(X)


# Codes and reconstructions --------------------------------------------------------------------


def test_a_linear_one_finds_what_principal_components_find():
    """With one linear layer the best reconstruction is that of PCA."""
    centred = X - X.mean(axis=0)
    autoencoder = MLPAutoencoder(
        (6,), activation="identity", solver="lbfgs", alpha=0.0, max_iter=500, random_state=0
    ).fit(centred)
    explained = PCA(6).fit(centred).explained_variance_ratio_.sum()
    assert autoencoder.score(centred) == pytest.approx(explained, abs=0.01)


def test_shapes_names_and_round_trip():
    model = fitted()
    codes = model.transform(X)
    assert codes.shape == (len(X), 8)
    assert model.get_feature_names_out().tolist() == [f"mlpautoencoder{i}" for i in range(8)]
    assert [W.shape for W in model.coefs_] == [(64, 32), (32, 8), (8, 32), (32, 64)]
    np.testing.assert_allclose(model.inverse_transform(codes), model.network_.infer(X), rtol=1e-9)
    np.testing.assert_array_equal(model.fit_transform(X), codes)
    frame = model.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == [f"mlpautoencoder{i}" for i in range(8)]


def test_the_score_is_the_explained_variance():
    model = fitted()
    reconstruction = model.inverse_transform(model.transform(X))
    rest = ((X - reconstruction) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert model.score(X) == pytest.approx(1 - rest)
    weight = np.arange(len(X)) % 2
    assert model.score(X, sample_weight=weight) == pytest.approx(model.score(X[1::2]))


def test_in_a_pipeline_and_a_search():
    pipeline = make_pipeline(StandardScaler(), fitted())
    codes = pipeline.fit_transform(X)
    assert pipeline.inverse_transform(codes).shape == X.shape
    search = GridSearchCV(fitted(max_iter=30), {"hidden_layer_sizes": [(2,), (16,)]}, cv=2).fit(X)
    assert search.best_params_ == {"hidden_layer_sizes": (16,)}


@pytest.mark.parametrize("options", [{}, {"tied_weights": True}, {"loss": "log_loss"}], ids=str)
def test_sparse_inputs_train_the_same(options):
    dense, sparse = fitted(**options), fitted(sp.csr_matrix(X), **options)
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(sparse.transform(sp.csr_matrix(X)), dense.transform(X), rtol=1e-7)
    assert sparse.score(sp.csr_matrix(X)) == pytest.approx(dense.score(X))


# Its kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(5,), (7, 4), (7, 5, 3)])
@pytest.mark.parametrize("bias", [{}, {"batch_norm": "before"}], ids=["bias", "batch norm"])
def test_the_gradient_of_tied_weights(sizes, bias, rng):
    """Each weight counts twice: in the encoder, and transposed in the decoder."""
    data = rng.random((9, 6))
    model = MLPAutoencoder(
        sizes, "tanh", tied_weights=True, max_iter=1, batch_size=9, random_state=0, **bias
    ).fit(data)
    network, loss = model.network_, model._loss
    network.allocate(9, None)

    def objective():
        Z = network.forward(data)
        value = loss.value_and_grad(data, Z, None, np.empty_like(Z))
        return value, Z

    _, dZ = objective()
    network.backward(dZ)
    w, gradient = network.parameters.values, network.parameters.grads.copy()
    for i in range(len(gradient)):
        before, h = w[i], 1e-6
        w[i] = before + h
        above, _ = objective()
        w[i] = before - h
        below, _ = objective()
        w[i] = before
        assert gradient[i] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-8)


def test_tied_weights_are_one():
    model = fitted(tied_weights=True)
    encoder, decoder = model.coefs_[:2], model.coefs_[2:]
    for W, V in zip(encoder, decoder[::-1], strict=True):
        np.testing.assert_array_equal(W.T, V)
        assert np.shares_memory(W, V)
    untied = fitted()
    n_kernels = 64 * 32 + 32 * 8
    assert untied.network_.count()[0] - model.network_.count()[0] == n_kernels
    assert isinstance(model.network_.layers[-1], TiedDense)


def test_frozen_tied_weights_stay_as_they_are():
    model = fitted(tied_weights=True, frozen_layers=4 - 1)
    first = MLPAutoencoder((32, 8), tied_weights=True, max_iter=1, random_state=0, tol=0)
    first.set_params(frozen_layers=3).fit(X)
    for W, V in zip(model.coefs_, first.coefs_, strict=True):
        np.testing.assert_array_equal(W, V)


def test_a_denoising_one_is_asked_for_the_clean_input():
    noisy = X + np.random.default_rng(0).normal(scale=0.3, size=X.shape)
    options = {"hidden_layer_sizes": (64,), "max_iter": 60, "learning_rate_init": 0.003}
    plain, denoising = fitted(**options), fitted(**options, input_noise=0.3)

    def error(model):
        return np.mean((model.inverse_transform(model.transform(noisy)) - X) ** 2)

    assert error(denoising) < 0.8 * error(plain)


def test_a_sparse_one_has_sparse_codes():
    options = {"hidden_layer_sizes": (64,), "activation": "relu", "max_iter": 30}
    plain, sparse = fitted(**options), fitted(**options, activity_regularizer="l1")
    assert np.mean(sparse.transform(X) == 0) > np.mean(plain.transform(X) == 0) + 0.1
    layers = fitted(activity_regularizer="l1").network_.layers
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == ["Dense", "Dense", "ActivityRegularization", "Dense", "Dense"]


def test_options_by_layer_are_mirrored():
    def units_and_activations(**options):
        dense = [x for x in fitted(**options).network_.layers if isinstance(x, Dense)]
        return [(x.units, x.activation) for x in dense]

    mirrored = units_and_activations(activation=("tanh", "identity"))
    assert mirrored == [(32, "tanh"), (8, "identity"), (32, "tanh"), (64, None)]
    assert units_and_activations(activation=("tanh", "identity", "tanh")) == mirrored
    assert units_and_activations(hidden_layer_sizes=8, activation=["selu"]) == [
        (8, "selu"),
        (64, None),
    ]


def test_log_loss_keeps_to_the_unit_interval():
    model = fitted(loss="log_loss")
    reconstruction = model.inverse_transform(model.transform(X))
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1
    assert model.out_activation_ == "logistic"
    with pytest.raises(ValueError, match=r"inputs in \[0, 1\], and X has values from 0 to 16"):
        fitted(X * 16, loss="log_loss")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_layer_sizes": ()}, "leaves no layer for the code"),
        ({"tied_weights": "yes"}, "tied_weights='yes' is not allowed; give True or False"),
        ({"loss": "hinge"}, "loss='hinge' is unknown"),
        ({"early_stopping": True, "scoring": "r2"}, "scoring='r2' needs predictions"),
        ({"output_activation": "relu", "loss": "log_loss"}, "does not go with loss='log_loss'"),
        ({"activation": ["relu"] * 5}, "5 entries; give .* encoder's 2 layers, or .* 3 hidden"),
    ],
    ids=str,
)
def test_options_that_are_not_allowed(options, words):
    with pytest.raises(ValueError, match=words):
        fitted(**options)


def test_codes_of_another_width_are_an_error():
    with pytest.raises(
        ValueError, match="X has 7 columns, but codes of this MLPAutoencoder have 8"
    ):
        fitted().inverse_transform(np.zeros((2, 7)))


# Fitting in other ways ------------------------------------------------------------------------


def test_validation_data_and_early_stopping():
    model = fitted(early_stopping=True, max_iter=10)
    assert len(model.validation_scores_) == 10
    model = MLPAutoencoder((8,), max_iter=3, random_state=0).fit(X[200:], X_val=X[:200])
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X[:200]))


def test_partial_fit_goes_on():
    model = MLPAutoencoder((8,), max_iter=4, random_state=0, tol=0).fit(X)
    parts = MLPAutoencoder((8,), random_state=0)
    for _ in range(4):
        parts.partial_fit(X)
    np.testing.assert_array_equal(parts.transform(X), model.transform(X))


def test_a_changed_architecture_is_an_error_in_a_warm_start():
    model = fitted(warm_start=True)
    with pytest.raises(ValueError, match="tied_weights=True would change the architecture"):
        model.set_params(tied_weights=True).fit(X)


# What it is the start of ----------------------------------------------------------------------


def test_pretraining_without_labels_helps_where_labels_are_few():
    y = load_digits().target
    options = {"hidden_layer_sizes": (128, 32), "activation": "tanh", "learning_rate_init": 0.003}
    autoencoder = fitted(**options, input_dropout=0.3, max_iter=200, n_iter_no_change=200)
    accuracy = {}
    for name, pretrained in {"no": None, "yes": FrozenEstimator(autoencoder)}.items():
        scores = []
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(X))
            few, rest = order[:40], order[40:]
            model = MLPClassifier(**options, pretrained=pretrained, random_state=seed)
            scores.append(model.fit(X[few], y[few]).score(X[rest], y[rest]))
        accuracy[name] = np.mean(scores)
    assert accuracy["yes"] > accuracy["no"] + 0.01


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_its_encoder_becomes_the_hidden_layers(Estimator):
    autoencoder = fitted(batch_norm_input=True)
    model = Estimator(
        (32, 8, 5),
        batch_norm_input=True,
        pretrained=FrozenEstimator(autoencoder),
        frozen_layers=2,
        max_iter=2,
    ).fit(X, np.arange(len(X)) % 2)
    for ours, theirs in zip(model.coefs_[:2], autoencoder.coefs_[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        model.network_.layers[0].mean_.value, autoencoder.network_.layers[0].mean_.value
    )
    scaled = MinMaxScaler().fit_transform(X)
    assert model.transform(scaled, layer=1) == pytest.approx(autoencoder.transform(scaled))
