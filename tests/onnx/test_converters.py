"""Models in ONNX: what onnxruntime computes with them is what they compute themselves."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.activations import ACTIVATIONS, Activation, LeakyReLU, Parametric, PReLU, Swish
from skdeep.layers import BatchNorm, Columns, Concatenate, Dense, Dropout, Layer, Residual, Scale
from skdeep.losses import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, QuantileLoss

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from skl2onnx import to_onnx  # noqa: E402

import skdeep.onnx  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

rng = np.random.default_rng(0)
X = rng.standard_normal((1000, 6)).astype(np.float32)
TARGETS = {
    "binary": (X[:, 0] > 0).astype(int),
    "bool": X[:, 0] > 0,
    "multiclass": rng.integers(0, 4, 1000) * 3 - 2,
    "text": np.array(["a", "bé", "c"])[rng.integers(0, 3, 1000)],
    "objects": np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, 1000)],
    "multilabel": (X[:, :3] > 0).astype(int),
    "regression": X[:, 0] - X[:, 1],
    "two outputs": X[:, :2],
}
CLASSES = [kind for kind in TARGETS if kind not in ("regression", "two outputs")]


def run(model, data=X, **options):
    options = {id(model): {"zipmap": False}} if options.pop("plain", False) else options or None
    graph = to_onnx(model, data[:1], options=options)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": data})


def assert_same_classifier(model, data=X):
    labels, probabilities = run(model, data, plain=True)
    np.testing.assert_array_equal(labels, model.predict(data))
    np.testing.assert_allclose(probabilities, model.predict_proba(data), atol=1e-5)


def assert_same_regressor(model, data=X):
    (prediction,) = run(model, data)
    expected = model.predict(data).reshape(len(data), -1)
    np.testing.assert_allclose(prediction, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("batch_norm", [None, "before", "after"])
def test_classifiers(kind, batch_norm):
    model = MLPClassifier((8, 5), batch_norm=batch_norm, dropout=0.1, max_iter=3, random_state=0)
    assert_same_classifier(model.fit(X, TARGETS[kind]))


@pytest.mark.parametrize("kind", ["regression", "two outputs"])
@pytest.mark.parametrize("output", OUTPUT_ACTIVATIONS)
def test_regressors(kind, output):
    model = MLPRegressor((8,), output_activation=output, max_iter=3, random_state=0)
    assert_same_regressor(model.fit(X, TARGETS[kind]))


@pytest.mark.parametrize(
    ("options", "y"),
    [
        ({"loss": ["squared_error", "poisson"]}, np.exp(X[:, :2])),
        ({"output_activation": ["tanh", "identity"]}, X[:, :2]),
        ({"loss": QuantileLoss([0.1, 0.9])}, X[:, 0]),
        ({"loss": QuantileLoss([0.1, 0.5, 0.9], non_crossing=True)}, X[:, 0]),
        ({"missing_targets": "ignore", "output_activation": "softplus"}, np.exp(X[:, :2])),
    ],
)
def test_losses_for_several_outputs(options, y):
    model = MLPRegressor((8,), max_iter=3, random_state=0, **options).fit(X, y)
    assert_same_regressor(model)


PARTS = {
    **ACTIVATIONS,
    "leaky_relu 0.3": lambda: LeakyReLU(0.3),
    "prelu 0.4": lambda: PReLU(0.4),
    "parametric": lambda: Parametric("gelu", initial=0.3),
    "swish 1.7": lambda: Swish(1.7),
}


@pytest.mark.parametrize("activation", PARTS)
@pytest.mark.parametrize("batch_norm", [None, "before", "after"])
def test_activations(activation, batch_norm):
    options = {"activation": PARTS[activation](), "batch_norm": batch_norm, "max_iter": 3}
    assert_same_classifier(MLPClassifier((7,), **options).fit(X, TARGETS["multiclass"]))
    assert_same_regressor(MLPRegressor((7,), **options).fit(X, TARGETS["regression"]))


def test_there_is_a_counterpart_for_every_activation():
    assert skdeep.onnx.graph.ACTIVATIONS.keys() == {*ACTIVATIONS.values(), Parametric}


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_losses(loss, kind):
    model = MLPClassifier((5,), loss=loss, max_iter=3, random_state=0).fit(X, TARGETS[kind])
    if model._loss.gives_probabilities:
        return assert_same_classifier(model)
    labels, scores = run(model, plain=True)
    np.testing.assert_array_equal(labels, model.predict(X))
    expected = model.decision_function(X)
    both = np.column_stack([-expected, expected]) if kind == "binary" else expected
    np.testing.assert_allclose(scores, both, atol=1e-5)


def test_layers():
    layers = [
        Concatenate([[Columns([0, 2])], [Dense(6, "tanh"), BatchNorm()], []]),
        Dropout(0.1),
        Scale("normal"),
        Dense(5, "gelu", bias=False),
        Residual([Dense(5, "relu"), Residual([Dense(5)])]),
    ]
    model = MLPClassifier(layers=layers, batch_norm_input=True, input_noise=0.1, max_iter=3)
    assert_same_classifier(model.fit(X, TARGETS["text"]))


@pytest.mark.parametrize("tied", [False, True])
def test_autoencoders(tied):
    model = MLPAutoencoder((5, 2), "tanh", tied_weights=tied, max_iter=3).fit(X)
    (codes,) = run(model)
    np.testing.assert_allclose(codes, model.transform(X), atol=1e-5)


def test_in_a_pipeline():
    shifted = X * 3 + 5
    pipeline = make_pipeline(
        StandardScaler(), MLPAutoencoder((4,), max_iter=3), MLPClassifier((6,), max_iter=3)
    ).fit(shifted, TARGETS["text"])
    labels, probabilities = run(pipeline, shifted, zipmap=False)
    assert np.mean(labels == pipeline.predict(shifted)) > 0.999
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(shifted), atol=1e-5)


def test_maps_from_class_to_probability():
    model = MLPClassifier((6,), max_iter=3).fit(X, TARGETS["text"])
    _, maps = run(model)
    assert maps[0].keys() == {"a", "bé", "c"}
    assert maps[0]["bé"] == pytest.approx(model.predict_proba(X)[0, 1], abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_inputs_of_other_types(dtype):
    data = (X * 5).astype(dtype)
    assert_same_classifier(MLPClassifier((6,), max_iter=3).fit(data, TARGETS["text"]), data)
    model = MLPRegressor((6,), max_iter=3).fit(data, TARGETS["two outputs"])
    (prediction,) = run(model, data)
    np.testing.assert_allclose(prediction, model.predict(data), rtol=1e-4, atol=1e-5)


def test_a_small_network_among_large_numbers():
    """A batch norm whose mean is a thousand times its deviation keeps its digits."""
    data = (X[:, :2] + 1000).astype(np.float32)
    model = MLPRegressor((6,), batch_norm_input=True, max_iter=20).fit(data, X[:, 0])
    assert_same_regressor(model, data)


class OwnActivation(Activation):
    def forward(self, Z, work):
        Z *= 2

    def backward(self, dA, A, Z, work):
        dA *= 2


class OwnLayer(Layer):
    def forward(self, X):
        return X

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X


class OwnDropout(Dropout):
    def infer(self, X):
        return X / 2


class OwnLayerWithOperations(OwnLayer):
    def operations(self):
        return []


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((4,), OwnActivation(), max_iter=2),
        MLPClassifier(layers=[OwnLayer()], max_iter=2),
        MLPClassifier(layers=[OwnDropout()], max_iter=2),
    ],
    ids=["activation", "layer", "subclass"],
)
def test_parts_of_the_users_own_are_named(model):
    model = clone(model).fit(X, TARGETS["binary"])
    with pytest.raises(NotImplementedError, match=r"Own\w+ has no counterpart in ONNX"):
        to_onnx(model, X[:1])


def test_a_layer_of_the_users_own_is_converted_by_its_operations():
    model = MLPRegressor(layers=[OwnLayerWithOperations(), Dense(4, "tanh")], max_iter=2)
    assert_same_regressor(model.fit(X, X[:, 0]), X)


def test_without_skl2onnx_it_says_what_to_install():
    code = "import sys; sys.modules['skl2onnx'] = None; import skdeep.onnx"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "skdeep.onnx needs skl2onnx: pip install skl2onnx." in run.stderr
