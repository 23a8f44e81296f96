"""From hyperparameters to layers: which layer an option is for."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator

from skdeep import MLPAutoencoder, MLPClassifier
from skdeep.constraints import UnitNorm
from skdeep.layers import Dense
from skdeep.regularizers import L1

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)

# An option of dense layers, a value, and the parameter and its attribute that it ends up in.
OF_DENSE_LAYERS = [
    ("kernel_regularizer", L1(0.1), "kernel_", "regularizer"),
    ("bias_regularizer", L1(0.1), "bias_", "regularizer"),
    ("kernel_constraint", UnitNorm(), "kernel_", "constraint"),
    ("bias_constraint", UnitNorm(), "bias_", "constraint"),
]


def which_have_it(parameter, attribute, **options):
    """Return, for every dense layer, whether it has the part."""
    model = MLPClassifier(max_iter=1, random_state=0, **options).fit(X, y)
    dense = [layer for layer in model.network_.layers if isinstance(layer, Dense)]
    return [getattr(getattr(layer, parameter), attribute) is not None for layer in dense]


@pytest.mark.parametrize(("name", "value", "parameter", "attribute"), OF_DENSE_LAYERS)
def test_options_of_dense_layers(name, value, parameter, attribute):
    def found(given, sizes=(5, 4), **options):
        options |= {name: given, "hidden_layer_sizes": sizes}
        return which_have_it(parameter, attribute, **options)

    assert found(value) == [True, True, False]  # a scalar is for the hidden layers
    assert found([None, value]) == [False, True, False]
    assert found([None, value, value]) == [False, True, True]  # one longer: the output layer too
    assert found((None, None, value)) == [False, False, True]
    assert found(value, ()) == [True]  # there is no other layer
    assert found([value], ()) == [True]
    with pytest.raises(ValueError, match=f"{name}=.* has 4 entries for 2 hidden layers"):
        found([value] * 4)


@pytest.mark.parametrize(("name", "value", "parameter", "attribute"), OF_DENSE_LAYERS[1:])
def test_beside_layers_they_are_the_output_layers(name, value, parameter, attribute):
    options = {"layers": [Dense(5, "relu")], name: value}
    assert which_have_it(parameter, attribute, **options) == [False, True]


def test_unit_norm_on_the_output_layer_has_to_be_asked_for():
    model = MLPClassifier((8,), kernel_constraint="unit_norm", max_iter=20, random_state=0)
    norms = [np.linalg.norm(W, axis=0) for W in model.fit(X, y).coefs_]
    np.testing.assert_allclose(norms[0], 1)
    assert not np.allclose(norms[1], 1, atol=0.01)
    model.set_params(kernel_constraint=["unit_norm"] * 2)
    np.testing.assert_allclose(np.linalg.norm(model.fit(X, y).coefs_[1], axis=0), 1)


def test_an_autoencoder_mirrors_what_goes_by_layer():
    model = MLPAutoencoder((6, 3), kernel_constraint=["unit_norm", None], max_iter=2)
    dense = [la for la in model.fit(X).network_.layers if isinstance(la, Dense)]
    constraints = [layer.kernel_.constraint is not None for layer in dense]
    assert constraints == [True, False, True, False]


def start(**options):
    options = {"hidden_layer_sizes": (5, 4), "max_iter": 1, "random_state": 0} | options
    return MLPClassifier(**options).fit(X, y).network_


def test_batch_norm_by_layer():
    network = start(batch_norm=["before", "after"])
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Dense", "BatchNorm", "Activation", "Dense", "BatchNorm", "Dense"]
    assert [d.bias for d in network.layers if isinstance(d, Dense)] == [False, True, True]
    for one, many in [("after", ("after",) * 2), (None, [None] * 2)]:
        first, second = (start(batch_norm=value).parameters.values for value in (one, many))
        np.testing.assert_array_equal(first, second)
    with pytest.raises(ValueError, match="batch_norm='middle' is unknown"):
        start(batch_norm=[None, "middle"])
    with pytest.raises(ValueError, match=r"batch_norm=.* has 3 entries for 2 hidden layers"):
        start(batch_norm=["after"] * 3)


def test_one_batch_norm_and_a_list_of_equal_ones_are_one_architecture():
    model = MLPClassifier((5, 4), batch_norm="after", max_iter=1, warm_start=True, random_state=0)
    model.fit(X, y).set_params(batch_norm=["after", "after"]).fit(X, y)
    with pytest.raises(ValueError, match="would change the architecture"):
        model.set_params(batch_norm=["after", None]).fit(X, y)


def test_batch_norm_by_layer_is_taken_from_a_pretrained_model():
    options = {"max_iter": 1, "random_state": 0}
    below = MLPAutoencoder((5, 4), batch_norm=["after", None], **options).fit(X)
    kinds = [type(layer).__name__ for layer in below.network_.layers]
    assert kinds == ["Dense", "BatchNorm", "Dense", "Dense", "BatchNorm", "Dense"]
    model = MLPClassifier(pretrained=FrozenEstimator(below), **options).fit(X, y)
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert kinds == ["Dense", "BatchNorm", "Dense", "Dense"]


def test_bias_initializer_by_layer():
    def found(given, **options):
        network = start(bias_initializer=given, initializer="zeros", **options)
        return [d.bias_initializer for d in network.layers if isinstance(d, Dense)]

    assert found("ones") == ["ones"] * 3  # one value is for the output layer too
    assert found(["ones", "zeros"]) == ["ones", "zeros", "auto"]
    assert found(["ones", "zeros", "normal"]) == ["ones", "zeros", "normal"]
    assert found("ones", hidden_layer_sizes=()) == ["ones"]
    with pytest.raises(ValueError, match=r"bias_initializer=.* has 4 entries"):
        found(["ones"] * 4)


def test_a_named_bias_initializer_of_the_output_layer_is_not_replaced():
    still = {"learning_rate_init": 1e-12}
    model = MLPClassifier((5,), bias_initializer=["auto", "ones"], max_iter=1, **still).fit(X, y)
    np.testing.assert_allclose(model.intercepts_[1], 1)
    model.set_params(bias_initializer=["ones", "auto"]).fit(X, y)
    np.testing.assert_allclose(model.intercepts_[0], 1)
    assert np.ptp(model.intercepts_[1]) < 1e-6  # three classes of equal size


@pytest.mark.parametrize(
    ("text", "sizes"), [("(4, 2)", (4, 2)), ("(4,2)", (4, 2)), ("(3,)", (3,)), ("3", 3), ("()", ())]
)
def test_sizes_as_text(text, sizes):
    of_text, expected = (
        MLPClassifier(given, max_iter=1, random_state=0).fit(X, y) for given in (text, sizes)
    )
    assert of_text.get_params()["hidden_layer_sizes"] == text
    for one, other in zip(of_text.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
