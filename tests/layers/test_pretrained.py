"""The hidden layers of a fitted estimator as a layer."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, TabularRegressor, load, save
from skdeep.callbacks import GradualUnfreezing
from skdeep.inspection import check_gradients
from skdeep.layers import (
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    PiecewiseLinear,
    Pretrained,
    Residual,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_friedman1(80, random_state=0)
OPTIONS = {"max_iter": 3, "batch_size": 20, "random_state": 0}


def shared_stack():
    dense = Dense(5, "relu")
    return [Concatenate([[Columns(slice(0, 5)), dense], [Columns(slice(5, 10)), dense]]), Dense(4)]


MODELS = {
    "dense": lambda: MLPRegressor((6, 4), **OPTIONS).fit(X, y),
    "batch norm": lambda: MLPClassifier(
        (6, 4), "prelu", batch_norm="before", batch_norm_input=True, **OPTIONS
    ).fit(X, y > 14),
    "autoencoder": lambda: MLPAutoencoder((6, 4), tied_weights=True, **OPTIONS).fit(X),
    "shared": lambda: MLPRegressor(layers=shared_stack(), **OPTIONS).fit(X, y),
    "embedding": lambda: MLPRegressor(layers=[PiecewiseLinear(2), Dense(4)], **OPTIONS).fit(X, y),
    "linear": lambda: MLPRegressor((), **OPTIONS).fit(X, y),
}
each_model = pytest.mark.parametrize("name", MODELS)
each_mode = pytest.mark.parametrize("trainable", [False, True])


@pytest.fixture(scope="module")
def models():
    return {name: make() for name, make in MODELS.items()}


def on_top(below, **options):
    layers = [Pretrained(FrozenEstimator(below), **options), Dense(3, "tanh")]
    return MLPRegressor(layers=layers, **OPTIONS)


@each_model
@each_mode
def test_it_is_the_hidden_part_of_the_model(name, trainable, models):
    below = models[name]
    before = below.network_.parameters.values.copy()
    model = on_top(below, trainable=trainable).fit(X, y)
    layer = model.network_.layers[0]
    is_equal = np.allclose(layer.infer(X), below.transform(X), rtol=1e-12)
    assert is_equal == (not trainable or name == "linear")
    np.testing.assert_array_equal(below.network_.parameters.values, before)
    start = on_top(below, trainable=trainable).set_params(learning_rate_init=1e-300, max_iter=1)
    if name != "batch norm" or not trainable:  # whose statistics move
        start.fit(X, y)
        np.testing.assert_allclose(start.transform(X, 0), below.transform(X), rtol=1e-10)
    assert check_gradients(model, X[:10], y[:10]).passed


@each_model
@each_mode
def test_copies(name, trainable, models, tmp_path):
    model = on_top(models[name], trainable=trainable).fit(X, y)
    expected = model.predict(X)
    save(model, tmp_path / "model")
    copies = (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)))
    for twin in copies:
        np.testing.assert_array_equal(twin.predict(X), expected)
        np.testing.assert_array_equal(clone(twin).fit(X, y).predict(X), expected)
        assert str(twin.summary()) == str(model.summary())
    further = [m.partial_fit(X, y).predict(X) for m in (model, *copies)]
    np.testing.assert_array_equal(further[0], further[1])
    np.testing.assert_array_equal(further[0], further[2])


def test_it_does_not_thaw():
    below = MODELS["dense"]()
    model = on_top(below).set_params(
        frozen_layers=2, callbacks=[GradualUnfreezing([1, 2])], max_iter=4
    )
    model.fit(X, y)
    assert model.summary().non_trainable == below.summary().total - 5
    np.testing.assert_array_equal(model.coefs_[0], below.coefs_[0])


def test_the_statistics_of_batch_norm_stay():
    below = MODELS["batch norm"]()
    for trainable in (False, True):
        model = on_top(below, trainable=trainable).fit(X, y)
        found, stored = (m.network_.batch_norms()[0].mean_.value for m in (model, below))
        assert np.array_equal(found, stored) == (not trainable)


def test_some_of_the_layers():
    below = MODELS["dense"]()
    model = on_top(below, n_layers=1).fit(X, y)
    np.testing.assert_allclose(model.transform(X, 0), below.transform(X, 0), rtol=1e-12)
    for n_layers in (0, 3, -1, 1.5, True, "1"):
        with pytest.raises(ValueError, match=r"n_layers=.* give None, or an integer in \[1, 2\]"):
            on_top(below, n_layers=n_layers).fit(X, y)


def test_in_branches_beside_others_and_shared():
    part = Pretrained(FrozenEstimator(MODELS["dense"]()), trainable=True)
    layers = [Concatenate([part, [BatchNorm(), part], [Columns([0])]]), Dense(3)]
    model = MLPRegressor(layers=layers, **OPTIONS).fit(X, y)
    assert check_gradients(model, X[:10], y[:10]).passed
    assert len(model.coefs_) == 4
    part.set_params(trainable=False)
    model.fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], part.estimator.coefs_[0])
    assert check_gradients(model, X[:10], y[:10]).passed


def test_a_search_over_it():
    model = on_top(MODELS["dense"]())
    grid = {"layers__0__trainable": [True, False], "layers__0__n_layers": [1, None]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    found = search.best_estimator_.network_.layers[0]
    assert found.trainable == search.best_params_["layers__0__trainable"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_float32_and_lbfgs():
    below = MODELS["dense"]()
    model = on_top(below).fit(X.astype(np.float32), y)
    assert model.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(model.coefs_[0], below.coefs_[0], rtol=1e-6)
    model = on_top(below).set_params(solver="lbfgs").fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], below.coefs_[0])


def test_warm_start_keeps_what_it_has_learned():
    model = on_top(MODELS["dense"](), trainable=True).set_params(warm_start=True).fit(X, y)
    learned = model.coefs_[0].copy()
    model.set_params(learning_rate_init=1e-300, max_iter=1).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], learned, rtol=1e-12)
    model.set_params(warm_start="transfer").fit(X, np.column_stack([y, y]))
    np.testing.assert_allclose(model.coefs_[0], learned, rtol=1e-12)


def test_a_model_with_assigned_weights():
    below = MLPRegressor((2,))
    below.coefs_ = [np.eye(10)[:, :2], np.ones((2, 1))]
    below.intercepts_ = [np.ones(2), np.zeros(1)]
    model = on_top(below).fit(X, y)
    np.testing.assert_array_equal(model.transform(X, 0), X[:, :2] + 1)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (None, "estimator=None is not allowed; give a fitted MLPClassifier"),
        (MLPRegressor(), "in a sklearn.frozen.FrozenEstimator, which keeps its weights"),
        (FrozenEstimator(MLPRegressor()), "Pretrained: this MLPRegressor .* not fitted yet"),
        (FrozenEstimator(LinearRegression()), "give a fitted MLPClassifier"),
        (FrozenEstimator(TabularRegressor()), "give a fitted MLPClassifier"),
        (FrozenEstimator(MLPRegressor), "give a fitted MLPClassifier|not fitted"),
        ("relu", "give a fitted MLPClassifier"),
    ],
)
def test_what_is_no_fitted_model(estimator, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MLPRegressor(layers=[Pretrained(estimator)], **OPTIONS).fit(X, y)


def test_other_columns_and_other_mistakes():
    below = MODELS["dense"]()
    with pytest.raises(ValueError, match="fitted to 10 columns, and 5 reach the layer"):
        on_top(below).fit(X[:, :5], y)
    layers = [Residual([Dense(4), Pretrained(FrozenEstimator(below))])]
    with pytest.raises(ValueError, match="fitted to 10 columns, and 4 reach the layer"):
        MLPRegressor(layers=layers, **OPTIONS).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    below = MLPRegressor((4,), **OPTIONS).fit(frame, y)
    on_top(below).fit(frame.rename(columns=str.upper), y)
    with pytest.raises(ValueError, match=r"in another order; put Columns\(\['a', .*below it"):
        on_top(below).fit(frame[frame.columns[::-1]], y)
    with pytest.raises(ValueError, match="trainable='no' is not allowed; give True or False"):
        on_top(below, trainable="no").fit(X, y)


def test_onnx(models):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("skdeep.onnx")
    from skl2onnx import to_onnx

    model = on_top(models["batch norm"]).fit(X, y)
    graph = to_onnx(model, X[:1].astype(np.float32))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    found = session.run(None, {"X": X.astype(np.float32)})[0].ravel()
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-4, atol=1e-4)
