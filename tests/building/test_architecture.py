"""From hyperparameters to layers: which layer an option is for."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

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
