"""get_weights and set_weights: all weights by name, and federated averaging with them."""

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, load, save
from skdeep.layers import Concatenate, Dense, Residual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] > 0).astype(int)
OPTIONS = {"max_iter": 3, "random_state": 0}


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((5, 3), batch_norm="before", **OPTIONS),
        MLPRegressor((5,), activation="prelu", dtype="float32", **OPTIONS),
        MLPAutoencoder((3, 2), tied_weights=True, **OPTIONS),
        MLPRegressor(
            layers=[Concatenate([[Dense(3)], [Dense(2, "tanh")]]), Residual([Dense(5)])], **OPTIONS
        ),
        MLPClassifier((5,), weight_averaging="ema", **OPTIONS),
    ],
)
def test_weights_go_from_model_to_model(model):
    model = model.fit(X, Y)
    weights = model.get_weights()
    assert sum(w.size for w in weights.values()) == model.network_.parameters.values.size
    expected = model.network_.infer(X)
    other = type(model)(**{**model.get_params(deep=False), "random_state": 1}).fit(X[:30], Y[:30])
    assert not np.array_equal(other.network_.infer(X), expected)
    assert other.set_weights(weights) is other
    np.testing.assert_array_equal(other.network_.infer(X), expected)
    for array in weights.values():  # copies, in both directions
        array[...] = 7
    np.testing.assert_array_equal(model.network_.infer(X), expected)
    np.testing.assert_array_equal(other.network_.infer(X), expected)


def test_names_tell_the_place_and_the_part(tmp_path):
    model = MLPClassifier((5,), batch_norm="after", **OPTIONS).fit(X, Y)
    assert list(model.get_weights()) == [
        *("0.Dense.kernel", "0.Dense.bias"),
        *(f"1.BatchNorm.{part}" for part in ("gamma", "beta", "running_mean", "running_variance")),
        *("2.Dense.kernel", "2.Dense.bias"),
    ]
    save(model, tmp_path / "model")
    assert list(load(tmp_path / "model").get_weights()) == list(model.get_weights())


def changed(**change):
    return lambda weights: {**weights, **change}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: list(w.values()),
            "takes a dict of arrays, as get_weights returns it, not a list",
        ),
        (lambda w: {}, "Missing: ['0.Dense.bias', '0.Dense.kernel', '1.Dense.bias', "),
        (changed(other=np.zeros(3)), "Unknown: ['other']"),
        (lambda w: {**w, 3: 0}, "Unknown: ['3']"),
        (changed(**{"1.Dense.bias": np.zeros(2)}), "has the shape (2,); the network's is (1,)"),
        (changed(**{"1.Dense.bias": 0.0}), "has the shape (); the network's is (1,)"),
        (changed(**{"1.Dense.bias": [np.nan]}), "'1.Dense.bias' has to be finite numbers"),
        (changed(**{"1.Dense.bias": ["a"]}), "has to be finite numbers"),
        (changed(**{"1.Dense.bias": [1j]}), "has to be finite numbers"),
        (changed(**{"1.Dense.bias": None}), "has to be finite numbers"),
        (changed(**{"1.Dense.bias": [[1.0], [1.0, 2.0]]}), "has to be finite numbers"),
    ],
)
def test_wrong_weights_change_nothing(change, message):
    model = MLPClassifier((5,), **OPTIONS).fit(X, Y)
    before = model.network_.parameters.values.copy()
    other = {name: w + 1 for name, w in model.get_weights().items()}
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        model.set_weights(change(other))
    np.testing.assert_array_equal(model.network_.parameters.values, before)


def test_numbers_too_large_for_the_dtype_change_nothing():
    model = MLPClassifier((5,), dtype="float32", **OPTIONS).fit(X, Y)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'1\.Dense\.bias' has to be finite"):
        model.set_weights({**before, "1.Dense.bias": [1e300]})
    np.testing.assert_array_equal(model.get_weights()["1.Dense.bias"], before["1.Dense.bias"])


def test_variances_below_0_change_nothing():
    model = MLPClassifier((5,), batch_norm="after", **OPTIONS).fit(X, Y)
    before = model.network_.parameters.values.copy()
    other = model.get_weights()
    other["1.BatchNorm.running_variance"][2] = -1e-3
    with pytest.raises(ValueError, match=r"BatchNorm\.running_variance' has to be numbers >= 0"):
        model.set_weights(other)
    np.testing.assert_array_equal(model.network_.parameters.values, before)


def test_a_model_without_weights():
    for method in (MLPClassifier().get_weights, lambda: MLPClassifier().set_weights({})):
        with pytest.raises(NotFittedError):
            method()
    model = MLPRegressor()
    model.coefs_, model.intercepts_ = [np.ones((2, 1))], [np.zeros(1)]
    assert model.get_weights()["0.Dense.kernel"].shape == (2, 1)


@pytest.mark.parametrize("how", ["partial_fit", True, "continue"])
@pytest.mark.parametrize("average", [None, "ema", "swa"])
def test_training_continues_with_the_weights(how, average):
    options = {**OPTIONS, "warm_start": how if how != "partial_fit" else False}
    model = MLPClassifier((5,), weight_averaging=average, **options).set_params(max_iter=4)
    model.fit(X, Y)
    weights = {name: w + 1 for name, w in model.get_weights().items()}
    model.set_weights(weights).set_params(learning_rate_init=1e-300)
    model.partial_fit(X, Y) if how == "partial_fit" else model.fit(X, Y)
    for name, w in model.get_weights().items():
        np.testing.assert_allclose(w, weights[name])


def test_federated_averaging():
    parts = [np.arange(0, 60, 2), np.arange(1, 60, 2)]
    clients = [MLPClassifier((5,), learning_rate_init=0.02, random_state=i) for i in range(2)]
    average = None
    for _ in range(30):
        for client, rows in zip(clients, parts, strict=True):
            if average is not None:
                client.set_weights(average)
            client.partial_fit(X[rows], Y[rows], classes=[0, 1])
        first, second = (client.get_weights() for client in clients)
        average = {name: (first[name] + second[name]) / 2 for name in first}
    scores = [client.set_weights(average).score(X, Y) for client in clients]
    assert scores[0] == scores[1] > 0.8
