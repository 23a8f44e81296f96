"""Models in ONNX, by way of skl2onnx: `import skdeep.onnx` teaches it skdeep's estimators.

After that `skl2onnx.to_onnx` and `convert_sklearn` convert them, alone or in a Pipeline. Networks
are computed in float32 there, whatever they were trained in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep._component import needs

try:
    from onnx import TensorProto
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType, guess_proto_type
except ImportError as error:
    raise ImportError(f"{needs('skdeep.onnx', 'skl2onnx', 'onnx')} ({error})") from error

from skdeep import activations as f
from skdeep import layers as layer_kinds
from skdeep.estimators import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.layers.tied import TiedDense


class _Graph:
    """Adds nodes to the graph that a converter is given, and makes up their names."""

    def __init__(self, scope, container):
        self.scope = scope
        self.container = container

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add an operator; return the name of its output."""
        output = output or self.scope.get_unique_variable_name("t")
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, list(inputs), output, name=name, **attributes)
        return output

    def constant(self, value: Any, kind: int = TensorProto.FLOAT) -> str:
        """Add an array, or a number; return its name."""
        array = np.asarray(value)
        name = self.scope.get_unique_variable_name("c")
        entries = array.ravel().tolist()
        if kind == TensorProto.STRING:
            entries = [str(entry).encode() for entry in entries]
        self.container.add_initializer(name, kind, list(array.shape), entries)
        return name


# Activations ----------------------------------------------------------------------------------


def _with_slope(g: _Graph, z: str, slope: str) -> str:
    """Return max(z, 0) + slope * min(z, 0)."""
    below = g.add("Mul", g.add("Neg", g.add("Relu", g.add("Neg", z))), slope)
    return g.add("Add", g.add("Relu", z), below)


def _gelu(g: _Graph, z: str) -> str:
    scaled = g.add("Erf", g.add("Mul", z, g.constant(np.sqrt(0.5))))
    half = g.add("Mul", z, g.constant(0.5))
    return g.add("Mul", half, g.add("Add", scaled, g.constant(1.0)))


ACTIVATIONS = {
    f.Identity: lambda g, z, a: z,
    f.Logistic: lambda g, z, a: g.add("Sigmoid", z),
    f.Tanh: lambda g, z, a: g.add("Tanh", z),
    f.ReLU: lambda g, z, a: g.add("Relu", z),
    f.LeakyReLU: lambda g, z, a: _with_slope(g, z, g.constant(float(a.negative_slope))),
    f.PReLU: lambda g, z, a: _with_slope(g, z, g.constant(a.slope_.value)),
    f.RReLU: lambda g, z, a: _with_slope(g, z, g.constant(float(a.lower + a.upper) / 2)),
    f.ThresholdedReLU: lambda g, z, a: g.add("ThresholdedRelu", z, alpha=float(a.theta)),
    f.ELU: lambda g, z, a: g.add("Elu", z, alpha=float(a.alpha)),
    f.SELU: lambda g, z, a: g.add("Selu", z),
    f.GELU: lambda g, z, a: _gelu(g, z),
    f.Swish: lambda g, z, a: g.add(
        "Mul", z, g.add("Sigmoid", g.add("Mul", z, g.constant(float(a.beta))))
    ),
    f.Mish: lambda g, z, a: g.add("Mul", z, g.add("Tanh", g.add("Softplus", z))),
    f.Softplus: lambda g, z, a: g.add("Softplus", z),
    f.Softsign: lambda g, z, a: g.add("Softsign", z),
    f.HardSigmoid: lambda g, z, a: g.add("HardSigmoid", z, alpha=1 / 6, beta=0.5),
    f.Exponential: lambda g, z, a: g.add("Exp", z),
}


def _activation(g: _Graph, z: str, activation: Any) -> str:
    if activation is None:
        return z
    if type(activation) not in ACTIVATIONS:
        raise NotImplementedError(_unknown(activation))
    return ACTIVATIONS[type(activation)](g, z, activation)


def _unknown(part: Any) -> str:
    return (
        f"skdeep.onnx: {type(part).__module__}.{type(part).__qualname__} has no counterpart in "
        "ONNX; only skdeep's own layers and activations have."
    )


# Layers ---------------------------------------------------------------------------------------


def _dense(g: _Graph, x: str, layer: Any) -> str:
    z = g.add("MatMul", x, g.constant(layer.weights))
    if layer.bias_ is not None:
        z = g.add("Add", z, g.constant(layer.bias_.value))
    return _activation(g, z, layer.activation_)


def _batch_norm(g: _Graph, x: str, layer: Any) -> str:
    # As it is computed here: scale * x + shift would lose digits where the mean is large.
    scale = layer.gamma_.value / np.sqrt(layer.variance_.value + layer.epsilon)
    centred = g.add("Sub", x, g.constant(layer.mean_.value))
    return g.add("Add", g.add("Mul", centred, g.constant(scale)), g.constant(layer.beta_.value))


def _residual(g: _Graph, x: str, layer: Any) -> str:
    return g.add("Add", x, _chain(g, x, layer.branch_.layers))


def _concatenate(g: _Graph, x: str, layer: Any) -> str:
    branches = [_chain(g, x, branch.layers) for branch in layer.branches_]
    return g.add("Concat", *branches, axis=1)


def _columns(g: _Graph, x: str, layer: Any) -> str:
    return g.add("Gather", x, g.constant(layer.columns_, TensorProto.INT64), axis=1)


LAYERS = {
    layer_kinds.Dense: _dense,
    TiedDense: _dense,
    layer_kinds.BatchNorm: _batch_norm,
    layer_kinds.Activation: lambda g, x, layer: _activation(g, x, layer.function_),
    layer_kinds.Residual: _residual,
    layer_kinds.Concatenate: _concatenate,
    layer_kinds.Columns: _columns,
    **dict.fromkeys(
        (layer_kinds.Dropout, layer_kinds.GaussianNoise, layer_kinds.ActivityRegularization),
        lambda g, x, layer: x,  # they do nothing at prediction
    ),
}


def _chain(g: _Graph, x: str, layers: list) -> str:
    for layer in layers:
        if type(layer) not in LAYERS:
            raise NotImplementedError(_unknown(layer))
        x = LAYERS[type(layer)](g, x, layer)
    return x


def _outputs_of_network(g: _Graph, operator: Any, stop: int | None = None) -> str:
    """Add the network, or its first layers; return the name of what comes out."""
    parts = [g.add("Cast", v.full_name, to=TensorProto.FLOAT) for v in operator.inputs]
    x = parts[0] if len(parts) == 1 else g.add("Concat", *parts, axis=1)
    return _chain(g, x, operator.raw_operator.network_.layers[:stop])


# Estimators -----------------------------------------------------------------------------------


def _type_of_numbers(operator: Any) -> int:
    kind = guess_proto_type(operator.inputs[0].type)
    return kind if kind == TensorProto.DOUBLE else TensorProto.FLOAT


def _shape_numbers(operator: Any) -> None:
    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    is_code = isinstance(model, MLPAutoencoder)
    n_columns = model._n_features_out if is_code else model.n_outputs_
    operator.outputs[0].type.shape = [n_rows, n_columns]


def _convert_regressor(scope, operator, container) -> None:
    g, model = _Graph(scope, container), operator.raw_operator
    z = _activation(g, _outputs_of_network(g, operator), model._loss.activation)
    if model.y_scale_ is not None:
        z = g.add("Add", g.add("Mul", z, g.constant(model.y_scale_)), g.constant(model.y_mean_))
    g.add("Cast", z, output=operator.outputs[0].full_name, to=_type_of_numbers(operator))


def _convert_autoencoder(scope, operator, container) -> None:
    g, model = _Graph(scope, container), operator.raw_operator
    stop = model.network_.hidden_stops[model._n_layers_to_reuse - 1]
    code = _outputs_of_network(g, operator, stop)
    g.add("Cast", code, output=operator.outputs[0].full_name, to=_type_of_numbers(operator))


def _shape_classes(operator: Any) -> None:
    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    is_multilabel = model._encoder.kind == "multilabel"
    labels = StringTensorType if model.classes_.dtype.kind in "OUS" else Int64TensorType
    n_classes = len(model.classes_)
    operator.outputs[0].type = labels([n_rows, n_classes] if is_multilabel else [n_rows])
    operator.outputs[1].type.shape = [n_rows, n_classes]


def _convert_classifier(scope, operator, container) -> None:
    g, model = _Graph(scope, container), operator.raw_operator
    z = _outputs_of_network(g, operator)
    kind, loss, labels = model._encoder.kind, model._loss, operator.outputs[0].full_name
    if kind == "multilabel":
        g.add("Cast", g.add("Greater", z, g.constant(0.0)), output=labels, to=TensorProto.INT64)
    elif len(model.classes_) < 2:
        raise NotImplementedError("skdeep.onnx: a classifier of a single class has no counterpart.")
    else:
        if kind == "binary":
            chosen = g.add("Cast", g.add("Greater", z, g.constant(0.0)), to=TensorProto.INT64)
            chosen = g.add("Reshape", chosen, g.constant([-1], TensorProto.INT64))
            z = g.add("Concat", g.add("Neg", z), z, axis=1)
        else:
            chosen = g.add("ArgMax", z, axis=1, keepdims=0)
        is_text = model.classes_.dtype.kind in "OUS"
        if not is_text and (model.classes_.astype(np.int64) != model.classes_).any():
            raise NotImplementedError("skdeep.onnx: labels have to be text or fit into int64.")
        element = TensorProto.STRING if is_text else TensorProto.INT64
        classes = g.constant(model.classes_ if is_text else model.classes_.astype(int), element)
        g.add("Gather", classes, chosen, output=labels, axis=0)
    if loss.gives_probabilities:
        is_multiclass = kind == "multiclass"
        z = g.add("Softmax", z, axis=1) if is_multiclass else g.add("Sigmoid", z)
    g.add("Cast", z, output=operator.outputs[1].full_name, to=_type_of_numbers(operator))


def _register() -> None:
    update_registered_converter(
        MLPClassifier,
        "SkdeepMLPClassifier",
        _shape_classes,
        _convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],  # asked for by zipmap
        },
    )
    for model, convert in (
        (MLPRegressor, _convert_regressor),
        (MLPAutoencoder, _convert_autoencoder),
    ):
        update_registered_converter(model, f"Skdeep{model.__name__}", _shape_numbers, convert)


_register()
