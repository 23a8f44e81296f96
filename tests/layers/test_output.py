"""Output: what a stack of layers says about the output layer."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.frozen import FrozenEstimator

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep.constraints import MinMaxNorm
from skdeep.initializers import Constant
from skdeep.layers import Concatenate, Dense, Output, Residual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_friedman1(60, random_state=0)
OPTIONS = {"max_iter": 3, "batch_size": 20, "random_state": 0}


def fitted(*layers, **options):
    return MLPRegressor(layers=list(layers), **OPTIONS, **options).fit(X, y)


def assert_equal_models(one, other):
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_array_equal(one.loss_curve_, other.loss_curve_)


def test_with_nothing_to_say_it_changes_nothing():
    assert_equal_models(fitted(Dense(5, "relu")), fitted(Dense(5, "relu"), Output()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initializer", "ones"),
        ("bias_initializer", Constant(3.0)),
        ("kernel_regularizer", "l2"),
        ("bias_regularizer", "l1"),
        ("activity_regularizer", "l1"),
        ("kernel_constraint", "unit_norm"),
        ("bias_constraint", MinMaxNorm(max_value=1.0)),
        ("weight_noise", 0.3),
    ],
)
def test_it_is_what_the_options_of_an_estimator_say(name, value):
    """A sequence that is one longer has the same effect on hidden layers without options."""
    hidden = ["auto"] if name.endswith("initializer") else [0.0 if name == "weight_noise" else None]
    by_option = MLPRegressor((5,), **OPTIONS, **{name: [*hidden, value]}).fit(X, y)
    by_layer = fitted(Dense(5, "relu"), Output(**{name: value}))
    assert_equal_models(by_layer, by_option)
    assert not np.array_equal(by_layer.predict(X), fitted(Dense(5, "relu")).predict(X))


def test_it_has_every_parameter_of_a_dense_layer():
    def names(cls):
        return set(inspect.signature(cls).parameters)

    assert names(Dense) - names(Output) == {"units", "activation"}
    assert names(Output) <= names(Dense)


def test_rates_and_no_bias():
    model = fitted(Dense(5), Output(bias=False, kernel_rate=0.0))
    output = model.network_.output_layer
    assert (output.bias_, output.kernel_.rate) == (None, 0.0)
    assert len(fitted(Output(kernel_regularizer="l2")).coefs_) == 1  # a linear model


@pytest.mark.parametrize(
    "layers",
    [
        [Output(), Dense(3)],
        [Output(), Output()],
        [Residual([Output()])],
        [Concatenate([[Dense(3)], [Output()]]), Output()],
    ],
    ids=["first", "twice", "in a residual", "in a branch"],
)
def test_elsewhere_it_is_an_error(layers):
    with pytest.raises(ValueError, match=r"Output\(\) speaks for the output layer .* last entry"):
        fitted(*layers)


@pytest.mark.parametrize(
    "options",
    [
        {"bias_initializer": "zeros"},
        {"bias_regularizer": "l2"},
        {"kernel_constraint": "unit_norm"},
        {"bias_constraint": "non_neg"},
    ],
    ids=str,
)
def test_the_options_of_the_estimator_can_not_say_the_same(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* set it in Output"):
        fitted(Dense(3), Output(), **options)


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match="kernel_constraint='unit' is unknown"):
        fitted(Dense(3), Output(kernel_constraint="unit"))
    with pytest.raises(TypeError, match="units"):
        Output(units=3)


def test_clone_pickle_and_file(tmp_path):
    model = fitted(Dense(5, "relu"), Output(kernel_constraint="unit_norm", initializer="ones"))
    assert_equal_models(clone(model).fit(X, y), model)
    assert_equal_models(pickle.loads(pickle.dumps(model)), model)
    save(model, tmp_path / "model")
    read = load(tmp_path / "model")
    assert_equal_models(read, model)
    assert_equal_models(clone(read).fit(X, y), model)


def test_a_pretrained_model_passes_on_its_hidden_layers_alone():
    below = fitted(Dense(5, "relu"), Output(kernel_regularizer="l2"))
    labels = (y > y.mean()).astype(int)
    model = MLPClassifier(pretrained=FrozenEstimator(below), bias_regularizer="l2", **OPTIONS).fit(
        X, labels
    )
    assert model.network_.output_layer.kernel_regularizer is None
    assert len(model.network_.layers) == 2
