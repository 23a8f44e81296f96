"""Weights that are set on an estimator which was never fitted."""

import pickle
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale
from sklearn.utils.validation import check_is_fitted

import skdeep
from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.layers import Dense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = scale(X)
X_numbers, y_numbers = load_diabetes(return_X_y=True)
RNG = np.random.default_rng(0)


def weights(*widths, dtype=float):
    pairs = list(pairwise(widths))
    coefs = [RNG.normal(size=pair).astype(dtype) for pair in pairs]
    return coefs, [RNG.normal(size=n).astype(dtype) for _, n in pairs]


def forward(X, coefs, intercepts):
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        X = np.maximum(X @ W + b, 0)
    return X @ coefs[-1] + intercepts[-1]


def assigned(model, coefs, intercepts, **others):
    model.coefs_, model.intercepts_ = coefs, intercepts
    for name, value in others.items():
        setattr(model, name, value)
    return model


# classes_, other attributes, widths -> probabilities of logits, predictions
CLASSIFIERS = {
    "binary": (["no", "yes"], {}, (4, 5, 1), lambda Z: np.c_[expit(-Z), expit(Z)]),
    "multiclass": ([3, 5, 7], {}, (4, 5, 6, 3), lambda Z: softmax(Z, axis=1)),
    "linear": ([3, 5, 7], {}, (4, 3), lambda Z: softmax(Z, axis=1)),
    "multilabel": ([0, 1], {"out_activation_": "logistic"}, (4, 5, 2), expit),
}


@pytest.mark.parametrize(
    ("classes", "others", "widths", "link"), CLASSIFIERS.values(), ids=CLASSIFIERS
)
def test_a_classifier_predicts_with_them(classes, others, widths, link):
    coefs, intercepts = weights(*widths)
    model = assigned(MLPClassifier(), coefs, intercepts, classes_=np.array(classes), **others)
    check_is_fitted(model)
    Z = forward(X, coefs, intercepts)
    np.testing.assert_allclose(model.predict_proba(X), link(Z))
    if others:
        expected = Z > 0
    else:
        expected = np.array(classes)[Z.argmax(axis=1) if Z.shape[1] > 1 else (Z[:, 0] > 0) * 1]
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.n_layers_ == len(widths)
    assert (model.n_features_in_, model.n_iter_, model.t_) == (4, 0, 0)
    model.coefs_[0][:] = 0  # live by now
    assert np.ptp(model.predict_proba(X), axis=0).max() == 0


def test_a_regressor_predicts_with_them_as_scikit_learns_does():
    coefs, intercepts = weights(10, 7, 3, 2)
    ours = assigned(MLPRegressor(activation="tanh"), coefs, intercepts)
    theirs = assigned(neural_network.MLPRegressor(activation="tanh"), coefs, intercepts)
    theirs.n_layers_, theirs.out_activation_ = 4, "identity"
    np.testing.assert_allclose(ours.predict(X_numbers), theirs.predict(X_numbers), rtol=1e-12)
    assert [W.shape for W in ours.coefs_] == [(10, 7), (7, 3), (3, 2)]


def test_float32_weights_make_a_float32_network():
    model = assigned(MLPRegressor(), *weights(10, 3, 1, dtype=np.float32))
    assert model.predict(X_numbers).dtype == np.float32
    model = assigned(MLPRegressor(dtype="float64"), *weights(10, 3, 1, dtype=np.float32))
    assert model.predict(X_numbers).dtype == np.float64


def test_an_autoencoder_and_spelled_out_layers():
    coefs, intercepts = weights(4, 3, 2, 3, 4)
    model = assigned(MLPAutoencoder((3, 2)), coefs, intercepts)
    assert model.transform(X).shape == (150, 2)
    expected = forward(X, coefs, intercepts)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), expected)
    coefs, intercepts = weights(10, 3, 1)
    model = assigned(MLPRegressor(layers=[Dense(3, "relu")]), coefs, intercepts)
    expected = forward(X_numbers, coefs, intercepts)[:, 0]
    np.testing.assert_allclose(model.predict(X_numbers), expected)
    with pytest.raises(ValueError, match="the network's are"):
        assigned(MLPRegressor(layers=[Dense(4)]), coefs, intercepts).predict(X_numbers)


def test_a_round_of_federated_learning():
    """Clients begin with the average, train on rows of their own, and send their weights."""
    rng = np.random.default_rng(0)
    rows = np.array_split(rng.permutation(150), 3)
    coefs, intercepts = [rng.normal(0, 0.3, (4, 8)), rng.normal(0, 0.3, (8, 3))], [0.0] * 2
    intercepts = [np.zeros(8), np.zeros(3)]
    for _ in range(15):
        clients = []
        for mine in rows:
            client = MLPClassifier((8,), learning_rate_init=0.02, random_state=0)
            client.coefs_, client.intercepts_ = coefs, intercepts
            for _ in range(3):
                client.partial_fit(X[mine], y[mine], classes=[0, 1, 2])
            clients.append(client)
        coefs, intercepts = (
            [np.mean(arrays, axis=0) for arrays in zip(*lists, strict=True)]
            for lists in ([c.coefs_ for c in clients], [c.intercepts_ for c in clients])
        )
    server = assigned(MLPClassifier((8,)), coefs, intercepts, classes_=np.arange(3))
    assert server.score(X, y) > 0.9


@pytest.mark.parametrize("how", ["partial_fit", "warm start"])
@pytest.mark.parametrize("predicts_first", [False, True])
def test_training_begins_with_them(how, predicts_first):
    coefs, intercepts = weights(10, 5, 1)
    model = MLPRegressor((5,), learning_rate_init=1e-9, warm_start=how != "partial_fit")
    assigned(model.set_params(max_iter=1, random_state=0), coefs, intercepts)
    if predicts_first:
        model.predict(X_numbers)
    getattr(model, "fit" if model.warm_start else "partial_fit")(X_numbers, y_numbers)
    np.testing.assert_allclose(model.coefs_[0], coefs[0], rtol=1e-4)
    assert (model.t_, model.n_iter_, len(model.loss_curve_)) == (442, 1, 1)


def test_a_plain_fit_forgets_them():
    model = MLPRegressor((5,), max_iter=2, random_state=0)
    expected = clone(model).fit(X_numbers, y_numbers).coefs_[0]
    assigned(model, *weights(10, 5, 1)).fit(X_numbers, y_numbers)
    np.testing.assert_array_equal(model.coefs_[0], expected)


def test_they_are_copied_pickled_and_saved(tmp_path):
    coefs, intercepts = weights(10, 5, 1)
    model = assigned(MLPRegressor(), coefs, intercepts)
    twin = pickle.loads(pickle.dumps(model))
    expected = model.predict(X_numbers)
    np.testing.assert_array_equal(twin.predict(X_numbers), expected)
    skdeep.save(assigned(MLPRegressor(), coefs, intercepts), tmp_path / "model.skd")
    loaded = skdeep.load(tmp_path / "model.skd")
    np.testing.assert_array_equal(loaded.predict(X_numbers), expected)
    assert not hasattr(clone(assigned(MLPRegressor(), coefs, intercepts)), "coefs_")


def test_one_of_the_two_is_not_enough():
    model = MLPRegressor()
    model.coefs_ = weights(10, 5, 1)[0]
    assert len(model.coefs_) == 2
    assert not hasattr(model, "intercepts_")
    for method in (model.predict, check_is_fitted):
        with pytest.raises(NotFittedError):
            method(X_numbers if method == model.predict else model)


def changed(widths=(10, 5, 1), **changes):
    coefs, intercepts = weights(*widths)
    for name, value in changes.items():
        {"W": coefs, "b": intercepts}[name[0]][int(name[1])] = value
    return coefs, intercepts


NO_NETWORKS = {
    "layers that do not fit": changed(W1=np.ones((4, 1))),
    "a bias of another size": changed(b0=np.ones(4)),
    "a matrix of biases": changed(b0=np.ones((1, 5))),
    "three dimensions": changed(W0=np.ones((10, 5, 1))),
    "numbers for arrays": changed(W0=0),
    "text": changed(W0=np.full((10, 5), "a")),
    "ragged": changed(W0=[[1, 2], [3]]),
    "complex": changed(W0=np.ones((10, 5)) * 1j),
    "too few biases": (weights(10, 5, 1)[0], weights(10, 5)[1]),
    "nothing": ([], []),
    "no units": ([np.ones((10, 0)), np.ones((0, 1))], [np.ones(0), np.ones(1)]),
}


@pytest.mark.parametrize(("coefs", "intercepts"), NO_NETWORKS.values(), ids=NO_NETWORKS)
def test_what_is_no_network_is_a_clear_error(coefs, intercepts):
    model = assigned(MLPRegressor(), coefs, intercepts)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"coefs_ and intercepts_ have to be"):
        model.predict(X_numbers)
    assert vars(model) == before
    assigned(model, *weights(10, 5, 1)).predict(X_numbers)


@pytest.mark.parametrize(
    ("widths", "others", "message"),
    [
        ((4, 5, 3), {}, "set classes_ too"),
        ((4, 5, 3), {"classes_": np.arange(4)}, "classes_=.* does not go with.* 3 outputs"),
        ((4, 5, 3), {"classes_": np.array([2, 1, 0])}, "give sorted labels"),
        ((4, 5, 1), {"classes_": np.arange(3)}, "does not go with a network of 1 outputs"),
        ((4, 5, 3), {"classes_": np.arange(3), "n_features_in_": 3}, "has 4 rows, .*n_features_in"),
    ],
)
def test_what_does_not_go_with_the_weights_is_a_clear_error(widths, others, message):
    model = assigned(MLPClassifier(), *weights(*widths), **others)
    with pytest.raises(ValueError, match=message):
        model.predict(X)


def test_weights_of_another_network_than_what_is_trained():
    model = assigned(MLPRegressor((7,)), *weights(10, 5, 1))
    with pytest.raises(ValueError, match=r"coefs_ has arrays of shapes .* the network's are"):
        model.partial_fit(X_numbers, y_numbers)
    model.predict(X_numbers)  # as in scikit-learn, which looks at the weights alone
    with pytest.raises(ValueError, match="would change the architecture"):
        model.partial_fit(X_numbers, y_numbers)


def test_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assigned(MLPRegressor(), *weights(10, 5, 1)).predict(X_numbers)
