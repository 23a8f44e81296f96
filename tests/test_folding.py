"""Fitted models without batch norm, with the same predictions."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdeep import (
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    MultiTaskMLP,
    fold_batch_norm,
    load,
    save,
    to_sklearn,
)
from skdeep.activations import PReLU
from skdeep.layers import (
    Activation,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    GaussianNoise,
    Output,
    PiecewiseLinear,
    Residual,
    Scale,
)
from skdeep.layers.base import check_layers
from skdeep.tasks import Classification, Regression

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = 3 + 2 * rng.standard_normal((80, 5))
CODES = (X[:, 0] > 3).astype(int) + (X[:, 1] > 3)
NUMBERS = np.sin(X[:, 0]) + X[:, 1]
OPTIONS = {"max_iter": 8, "random_state": 0}


def prediction(model, data=X):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(data)
    if hasattr(model, "predict"):
        return model.predict(data)
    return model.inverse_transform(model.transform(data))


def assert_folds(model):
    """Check that the folded model predicts the same without batch norm; return it."""
    before = prediction(model)
    folded = fold_batch_norm(model)
    assert type(folded) is type(model)
    assert folded.network_.batch_norms() == []
    np.testing.assert_allclose(prediction(folded), before, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(prediction(model), before)
    fresh = clone(folded).fit(X, NUMBERS if isinstance(model, MLPRegressor) else CODES)
    shapes = [[(n, p.shape) for n, p in m.network_.named_parameters()] for m in (fresh, folded)]
    assert shapes[0] == shapes[1]  # the hyperparameters describe the network
    return folded


@pytest.mark.parametrize("where", [None, "before", "after"])
@pytest.mark.parametrize("of_input", [False, True])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 6, 4)])
def test_every_place_of_batch_norm(where, of_input, sizes):
    options = {"batch_norm": where, "batch_norm_input": of_input, **OPTIONS}
    for model in (
        MLPClassifier(sizes, "tanh", **options).fit(X, CODES),
        MLPRegressor(sizes, standardize_y=True, **options).fit(X, NUMBERS),
    ):
        folded = assert_folds(model)
        assert (folded.batch_norm, folded.batch_norm_input) == (None, False)
        assert folded.hidden_layer_sizes == sizes


@pytest.mark.parametrize(
    "options",
    [
        {"activation": ["relu", PReLU(0.3)], "pre_activation_noise": 0.1, "dropout": 0.2},
        {"activation": "softmax", "activation_noise": 0.1, "input_dropout": 0.1},
        {"activation": "identity", "activity_regularizer": "l2", "frozen_layers": 1},
        {"weight_averaging": "ema", "dtype": "float64", "early_stopping": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["before", "after"])
def test_beside_other_options(options, where):
    options = {**OPTIONS, **options, "batch_norm": where, "batch_norm_input": True}
    folded = assert_folds(MLPClassifier((7, 6), **options).fit(X, CODES))
    assert folded.dropout == options.get("dropout", 0.0)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("where", ["before", "after"])
def test_autoencoders(where, tied):
    options = {"batch_norm": where, "batch_norm_input": True, "tied_weights": tied, **OPTIONS}
    model = MLPAutoencoder((4, 3), "tanh", **options).fit(X)
    folded = assert_folds(model)
    codes = model.transform(X)
    if where == "before":
        np.testing.assert_allclose(folded.transform(X), codes, rtol=1e-10)
    assert not folded.tied_weights


TOWER = [BatchNorm(), Dense(4, "tanh"), BatchNorm(), Dense(3), BatchNorm()]
BLOCK = Residual([Dense(5, "tanh"), Dense(5), BatchNorm()])
STACKS = {
    "beside dense layers": [
        BatchNorm(), Dense(6), BatchNorm(), Activation("relu"), Dense(4, "elu"),
    ],
    "without biases": [Dense(6, bias=False), BatchNorm(), Dense(5, "tanh", bias=False)],
    "two in a row": [
        Dense(6, "relu"), BatchNorm(), BatchNorm(), Dense(4), BatchNorm(), BatchNorm(),
    ],
    "across dropout": [
        Dense(6), Dropout(0.1), BatchNorm(), Activation("relu"), BatchNorm(), GaussianNoise(0.1),
        Dense(3, PReLU()),
    ],
    "before branches": [
        Dense(6, "tanh"),
        BatchNorm(),
        Concatenate([[Columns([1, 0, 3]), Dense(4, "relu"), BatchNorm()], [], [Dense(2)]]),
        Dense(5, "tanh"),
    ],
    "in a residual block": [
        Dense(6, "relu"),
        Residual([BatchNorm(), Dense(6, "relu"), BatchNorm(), Dense(6), BatchNorm()]),
    ],
    "beside other layers": [PiecewiseLinear(3, 4), Scale(), Dense(6), BatchNorm(), Scale()],
    "shared towers": [Concatenate([[Columns([0, 1]), *TOWER], [Columns([2, 3]), *TOWER]])],
    "a shared block": [Dense(5), BLOCK, Dense(5, "relu"), BLOCK],
    "with names": [
        ("norm", BatchNorm()),
        ("dense", Dense(6, "relu", bias=False)),
        Concatenate([("deep", [("low", Dense(4)), BatchNorm()]), ("wide", [])]),
        ("top", Residual([("inner", Dense(10)), ("last", BatchNorm())])),
        BatchNorm(),
        Output(bias=False, kernel_regularizer="l2"),
    ],
    "nothing else": [BatchNorm()],
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("of_input", [False, True])
def test_stacks_of_layers(name, of_input):
    if of_input and name == "beside other layers":
        pytest.skip("an embedding follows the batch norm")
    options = {"layers": STACKS[name], "batch_norm_input": of_input, **OPTIONS}
    folded = assert_folds(MLPRegressor(**options).fit(X, NUMBERS))
    assert not any(isinstance(layer, BatchNorm) for layer in check_layers(folded.layers, ""))
    if name == "with names":
        assert folded.get_params()["layers__dense__bias"] is True
        assert folded.get_params()["layers__1__branches__deep__low__units"] == 4
        assert folded.get_params()["layers__top__layers__inner__units"] == 10
        assert folded.layers[-1].get_params() == Output(kernel_regularizer="l2").get_params()


class OwnNorm(BatchNorm):
    """A batch norm whose prediction may be another one."""


@pytest.mark.parametrize("at", range(5))
def test_heads_hang_on_the_layers_that_are_left(at):
    stack = [BatchNorm(), Dense(4, "relu"), BatchNorm(), Dense(3), Output(kernel_regularizer="l2")]
    tasks = {"number": Regression(at=min(at, 3)), "code": Classification()}
    model = MultiTaskMLP(tasks=tasks, layers=stack, **OPTIONS)
    model.fit(X, {"number": NUMBERS, "code": CODES})
    if at == 0:
        with pytest.raises(ValueError, match="before the head of 'number'"):
            fold_batch_norm(model)
        return
    folded = fold_batch_norm(model)
    assert [folded.tasks[name].at for name in tasks] == [-1 if at > 2 else 0, -1]
    found, expected = (m.predict(X)["number"] for m in (folded, model))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    found, expected = (m.predict_proba(X)["code"] for m in (folded, model))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    fresh = clone(folded).fit(X, {"number": NUMBERS, "code": CODES})
    assert fresh.network_.count() == folded.network_.count()
    assert [tasks["number"].at, model.tasks_["number"].at] == [min(at, 3)] * 2


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([Dense(6, "relu"), BatchNorm(), Residual([Dense(6, "relu")])], r"before Residual\("),
        ([Dense(6, "relu"), Residual([Dense(6, "relu"), BatchNorm()])], "the end of a Residual"),
        ([Dense(6, "relu"), BatchNorm(), Activation("tanh")], r"before Activation\("),
        ([BatchNorm(), PiecewiseLinear(3, 4), Dense(3)], r"before PiecewiseLinear\("),
        ([Dense(6), OwnNorm()], r"inside OwnNorm\("),
    ],
    ids=str,
)
def test_a_batch_norm_without_a_dense_layer_beside_it_is_named(layers, named):
    model = MLPRegressor(layers=layers, **OPTIONS).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=f"batch norm .*{named}.* can't be folded: a dense layer"):
        fold_batch_norm(model)


def test_frozen_layers_and_rates_keep_their_layers():
    layers = [Dense(6), BatchNorm(), Activation("relu"), BatchNorm(), Dense(4, "tanh")]
    rates = [0.1, 0.2, 0.3, 0.4, 0.5, 1.0]
    model = MLPRegressor(
        layers=layers, frozen_layers=[0, 1, 4], learning_rate_multipliers=rates, **OPTIONS
    )
    folded = assert_folds(model.fit(X, NUMBERS))
    assert folded.frozen_layers == [0, 2]
    assert folded.learning_rate_multipliers == [0.1, 0.3, 0.5, 1.0]
    frozen = [p.frozen for p in folded.network_.parameters.parameters]
    assert frozen == [True, True, True, True, False, False]


def test_the_structure_of_a_pretrained_model():
    source = MLPClassifier((7, 4), "tanh", batch_norm="after", **OPTIONS).fit(X, CODES)
    model = MLPRegressor(pretrained=FrozenEstimator(source), frozen_layers=1, **OPTIONS)
    folded = assert_folds(model.fit(X, NUMBERS))
    assert folded.pretrained is None
    assert list(folded.hidden_layer_sizes) == [7, 4]
    assert folded.activation == "tanh"


def test_a_pretrained_autoencoder_keeps_its_own_structure():
    source = MLPAutoencoder((7, 4), batch_norm="after", **OPTIONS).fit(X)
    options = {"batch_norm": "after", "pretrained": FrozenEstimator(source), **OPTIONS}
    folded = assert_folds(MLPAutoencoder((7, 4, 2), n_reused_layers=2, **options).fit(X))
    assert (folded.hidden_layer_sizes, folded.pretrained) == ((7, 4, 2), None)
    wide = MLPAutoencoder(pretrained=FrozenEstimator(source), batch_norm_input=True, **OPTIONS)
    assert assert_folds(wide.set_params(n_reused_layers=0).fit(X)).coefs_[0].shape == (5, 100)


def test_what_follows_works(tmp_path):
    options = {"batch_norm": "before", "batch_norm_input": True, **OPTIONS}
    model = MLPClassifier((7, 4), "tanh", **options).fit(X, CODES)
    with pytest.raises(ValueError, match="no BatchNorm"):
        to_sklearn(model)
    folded = fold_batch_norm(model)
    theirs = to_sklearn(folded)
    np.testing.assert_allclose(theirs.predict_proba(X), model.predict_proba(X), rtol=1e-9)
    save(folded, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(X), folded.predict(X))
    assert folded.history_ == model.history_
    assert (folded.t_, folded.n_iter_) == (model.t_, model.n_iter_)
    folded.partial_fit(X, CODES)
    folded.set_params(warm_start=True).fit(X, CODES)
    assert len(folded.loss_curve_) == 8 + 1 + 8


def test_float32_stays_so():
    data = X.astype("float32")
    model = MLPRegressor((7,), batch_norm="after", **OPTIONS).fit(data, NUMBERS)
    folded = fold_batch_norm(model)
    assert folded.network_.dtype == np.float32
    np.testing.assert_allclose(folded.predict(data), model.predict(data), rtol=1e-4, atol=1e-4)


def test_hyperparameters_that_were_changed_after_fit_are_an_error():
    model = MLPRegressor((7,), batch_norm="after", **OPTIONS).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="do not describe the fitted network: they were changed"):
        fold_batch_norm(model.set_params(hidden_layer_sizes=(7, 3)))


def test_what_is_not_fitted_or_no_model():
    with pytest.raises(TypeError, match=r"Pipeline is not allowed.* give its last step"):
        fold_batch_norm(make_pipeline(MLPRegressor()))
    with pytest.raises(ValueError, match="not fitted"):
        fold_batch_norm(MLPRegressor())
