"""Parameters of layers by position or name: get_params, set_params, searches, copies."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, load, save
from skdeep.activations import ELU, LeakyReLU, PReLU
from skdeep.constraints import MaxNorm
from skdeep.layers import (
    Activation,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Output,
    Residual,
)
from skdeep.regularizers import L2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_friedman1(60, random_state=0)
OPTIONS = {"max_iter": 2, "batch_size": 20, "random_state": 0}


def stack():
    wide = ("wide", [Columns([0, 1]), ("drop", Dropout(0.1))])
    return [
        ("both", Concatenate([wide, Dense(3, "relu"), ("deep", Dense(4, LeakyReLU(0.1)))])),
        Dense(5, "tanh"),
        ("block", Residual([("inner", Dense(6)), Dense(5)])),
        Activation("relu"),
        ("out", Output(kernel_regularizer="l2")),
    ]


def model(layers=None, **options):
    return MLPRegressor(layers=stack() if layers is None else layers, **OPTIONS, **options)


PATHS = {
    "layers__both__branches__wide__drop__rate": 0.1,
    "layers__both__branches__wide__0__columns": [0, 1],
    "layers__both__branches__1__units": 3,
    "layers__both__branches__deep__units": 4,
    "layers__both__branches__deep__activation__negative_slope": 0.1,
    "layers__1__units": 5,
    "layers__block__layers__inner__units": 6,
    "layers__block__layers__1__units": 5,
    "layers__3__function": "relu",
    "layers__out__kernel_regularizer": "l2",
}


@pytest.mark.parametrize(("path", "value"), PATHS.items())
def test_every_parameter_is_there_and_can_be_set(path, value):
    regressor = model()
    assert regressor.get_params()[path] == value
    assert path not in regressor.get_params(deep=False)
    new = {"columns": [3], "kernel_regularizer": None, "function": "tanh", "rate": 0.3}
    new = new.get(path.rpartition("__")[2], 0.4 if "slope" in path else 7)
    if "block" in path or path == "layers__1__units":
        new = 5
    regressor.set_params(**{path: new}).fit(X, y)
    assert regressor.get_params()[path] == new


@pytest.mark.parametrize(
    ("by_position", "by_name"),
    [
        ("layers__0__branches__0__1__rate", "layers__both__branches__wide__drop__rate"),
        ("layers__0__branches__2__units", "layers__both__branches__deep__units"),
        ("layers__2__layers__0__units", "layers__block__layers__inner__units"),
        ("layers__4__kernel_regularizer", "layers__out__kernel_regularizer"),
    ],
)
def test_a_position_stands_for_a_name(by_position, by_name):
    value = "l1" if "regularizer" in by_name else 0 if "rate" in by_name else 9
    assert model().set_params(**{by_position: value}).get_params()[by_name] == value


def test_layers_set_and_get_their_own():
    block = Residual([("inner", Dense(6)), Dense(5)])
    inner, layers = block.layers[0][1], block.layers
    assert block.get_params()["layers__inner__units"] == 6
    block.set_params(layers__inner__units=7, layers__1__activation="relu")
    assert (block.layers[0][1].units, block.layers[1].activation) == (7, "relu")
    assert (inner.units, layers[0][1]) == (6, inner)  # of the list that it was given
    branches = Concatenate([Dense(2), ("b", [Dense(3)])]).set_params(branches__b__0__units=4)
    assert branches.get_params()["branches__b__0__units"] == 4


def test_whole_layers_can_be_replaced():
    regressor = model().set_params(layers__1=Residual([Dense(17)]), layers__both__branches__wide=[])
    assert isinstance(regressor.layers[1], Residual)
    assert regressor.layers[0][1].branches[0] == ("wide", [])
    regressor.set_params(layers__block=Dense(2), layers__block__units=3)
    assert regressor.layers[2][0] == "block"
    assert regressor.layers[2][1].units == 3
    assert regressor.fit(X, y).network_["block"].units == 3
    given = Dense(4)
    regressor.set_params(layers__block=given, layers__block__units=8)
    assert given.units == 4


def test_the_list_that_was_given_never_changes():
    layers = stack()
    dense = layers[1]
    first, second = model(layers), model(layers)
    twin = clone(first)
    before = repr(layers)
    first.set_params(layers__1__units=5, layers__both__branches__deep__units=2)
    first.set_params(layers__both__branches__deep__activation__negative_slope=0.7)
    assert repr(layers) == repr(second.layers) == repr(twin.layers) == before
    assert layers[1] is dense
    slope = layers[0][1].branches[2][1].activation
    assert slope.negative_slope == 0.1


def test_a_new_list_and_a_path_into_it_at_once():
    layers = [("only", Dense(2))]
    regressor = model().set_params(layers__only__units=3, layers=layers)
    assert regressor.layers[0][1].units == 3
    assert layers[0][1].units == 2


def test_sharing_survives():
    dense = Dense(5)
    regressor = model([dense, ("again", dense)])
    regressor.set_params(layers__0__units=10)
    assert regressor.layers[0] is regressor.layers[1][1]
    assert regressor.layers[0].units == 10
    assert dense.units == 5
    assert regressor.fit(X, y).network_["again"] is regressor.network_.layers[0]


def test_a_search_and_a_fitted_model():
    pipeline = make_pipeline(StandardScaler(), model())
    prefix = "mlpregressor__layers"
    grid = {
        f"{prefix}__both__branches__wide__drop__rate": [0.0, 0.3],
        f"{prefix}__block__layers__inner__units": [2, 3],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    found = search.best_estimator_[-1]
    assert found.network_["inner"].units == search.best_params_[list(grid)[1]]
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    found.set_params(layers__block__layers__inner__units=8)
    assert found.network_["inner"].units < 8  # until it is fitted again
    assert found.fit(X, y).network_["inner"].units == 8


def test_names_change_nothing_but_names():
    named, bare = (
        model(),
        model([entry[-1] if type(entry) is tuple else entry for entry in stack()]),
    )
    np.testing.assert_array_equal(named.fit(X, y).predict(X), bare.fit(X, y).predict(X))
    bare.set_params(warm_start=True, layers=stack()).fit(X, y)  # no other architecture


def test_layers_of_a_fitted_network_by_name(tmp_path):
    regressor = model().fit(X, y)
    save(regressor, tmp_path / "model")
    for found in (regressor, load(tmp_path / "model"), pickle.loads(pickle.dumps(regressor))):
        network = found.network_
        assert type(network["both"]) is Concatenate
        assert network["deep"].units == 4
        assert network["inner"] is network["block"].children()[0]
        assert "deep: Dense (LeakyReLU)" in str(found.summary())
        np.testing.assert_array_equal(found.transform(X, layer="block"), found.transform(X, 2))
    with pytest.raises(KeyError, match="did you mean 'deep'"):
        regressor.network_["deeep"]
    with pytest.raises(ValueError, match="layer='blok' is unknown; did you mean 'block'"):
        regressor.transform(X, layer="blok")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("a", Dense(2)), ("a", Dense(3))], r"layers\[1\].* the name 'a' is there twice"),
        ([("a__b", Dense(2))], "'a__b' contains '__'"),
        ([("0", Dense(2))], "'0' is a number"),
        ([(0, Dense(2))], "the name 0 is no text"),
        ([("", Dense(2))], "is empty"),
        ([(None, Dense(2))], "is no text"),
        ([("a", "relu")], r"layers\[0\]=\('a', 'relu'\) is not a Layer"),
        ([("a", Dense)], r"layers\[0\]=Dense is a class"),
        ([("a", [Dense(2)])], r"layers\[0\]=\[Dense.* is not a Layer"),
        ([Residual([("a", Dense(2)), ("a", Dense(10))])], r"layers\[1\].*twice"),
        ([Concatenate([("a", Dense(2)), ("a", Dense(10))])], r"branches\[1\].*twice"),
        ([Concatenate([[("a", Dense(2)), ("a", Dense(3))]])], r"branches\[0\]\[1\].*twice"),
        ([Concatenate([("1", [Dense(2)])])], "is a number"),
    ],
)
def test_names_that_are_not_allowed(layers, message):
    with pytest.raises(ValueError, match=message):
        model(layers).fit(X, y)
    repr(model(layers))
    clone(model(layers)).get_params()


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"layers__out__kernel_regularizer__l2": 0.3}, "layers__out__kernel_regularizer", L2(0.3)),
        (
            {"layers__1__activation__rate": 2.0, "layers__1__activation": "prelu"},
            "layers__1__activation",
            PReLU(rate=2.0),
        ),
        (
            {"layers__3__function": "elu", "layers__3__function__alpha": 0.5},
            "layers__3__function",
            ELU(0.5),
        ),
        (
            {
                "layers__block__layers__inner__bias_constraint": "max_norm",
                "layers__block__layers__inner__bias_constraint__max_value": 3.0,
            },
            "layers__block__layers__inner__bias_constraint",
            MaxNorm(3.0),
        ),
    ],
)
def test_a_part_given_by_name_becomes_an_instance(changes, path, expected):
    regressor = model().set_params(**changes)
    assert repr(regressor.get_params()[path]) == repr(expected)
    regressor.fit(X, y)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layers__1__activation__slope", "is unknown"),  # tanh has no parameters
        ("layers__1__initializer__std", "is unknown"),
        ("layers__both__branches__1__unitz", "did you mean 'layers__both__branches__1__units'"),
        ("layers__boht__branches", "did you mean 'layers__both__branches'"),
        ("layers__9__units", "'layers__9__units' is unknown"),
        ("layers__1", None),
        ("layers__-1__units", "is unknown"),
        ("layers__1__units__deep", "is unknown"),
        ("layers__1__", "is unknown"),
        ("layers__", "is unknown"),
        ("layerz__1__units", "Invalid parameter 'layerz'"),
    ],
)
def test_paths_that_lead_nowhere(path, message):
    regressor = model()
    before = repr(regressor.layers)
    if message is None:
        regressor.set_params(**{path: Dense(1)})
        return
    with pytest.raises(ValueError, match=message):
        regressor.set_params(**{path: 3, "alpha": 1.0} if path != "layerz__1__units" else {path: 3})
    assert repr(regressor.layers) == before


def test_without_layers():
    with pytest.raises(ValueError, match=r"layers=None; give layers=\[...\] first"):
        MLPClassifier().set_params(layers__0__units=3)
    with pytest.raises(ValueError, match="Invalid parameter 'layers'"):
        MLPAutoencoder().set_params(layers__0__units=3)
    assert not [name for name in MLPClassifier().get_params() if name.startswith("layers__")]


def test_parts_in_names_still_work():
    regressor = MLPRegressor(activation=LeakyReLU(0.2), layers=None)
    assert regressor.set_params(activation__negative_slope=0.3).activation.negative_slope == 0.3
