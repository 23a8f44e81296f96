"""Converters for skl2onnx: the outputs, shapes and graphs of skdeep's estimators.

Two options of the classifier's converter are skdeep's own. "raw_scores" replaces the probabilities
by logits, which are [-z, z] in a binary problem. "one_column" reduces these to z, the output of
`decision_function`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn_classifier, _parse_sklearn_simple_model
from skl2onnx.common._registration import register_converter, register_shape_calculator
from skl2onnx.common.data_types import (
    Int64TensorType,
    StringTensorType,
    guess_proto_type,
    guess_tensor_type,
)

from skdeep.estimators import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.onnx.graph import Graph, add_layers
from skdeep.onnx.links import add_link

TRANSFORMER = "SkdeepTransformer"
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],  # zipmap sets it
    "raw_scores": [True, False],
    "one_column": [True, False],
}


def register_networks() -> None:
    """Register the estimators with skl2onnx."""
    update_registered_converter(
        MLPClassifier,
        "SkdeepMLPClassifier",
        _shape_classes,
        _convert_classifier,
        parser=_parse,
        options=CLASSIFIER_OPTIONS,
    )
    update_registered_converter(
        MLPRegressor, "SkdeepMLPRegressor", _shape_numbers, _convert_regressor, parser=_parse
    )
    update_registered_converter(
        MLPAutoencoder, "SkdeepMLPAutoencoder", _shape_features, _convert_transformer
    )
    register_converter(
        TRANSFORMER, _convert_transformer, overwrite=True, options=CLASSIFIER_OPTIONS
    )
    register_shape_calculator(TRANSFORMER, _shape_features, overwrite=True)


# Networks that transform ----------------------------------------------------------------------


def mark_as_transformers(scope: Any, models: Any) -> None:
    """Mark estimators that are to transform, not to predict."""
    _marked(scope).update(map(id, models))


def is_marked(scope: Any, model: Any) -> bool:
    """Whether an estimator is to transform."""
    return id(model) in _marked(scope)


def _marked(scope: Any) -> set[int]:
    return vars(scope).setdefault("_skdeep_transformers", set())


def _parse(scope, model, inputs, custom_parsers=None):
    """Return the outputs of a network, which depend on its position in a Pipeline."""
    if not is_marked(scope, model):
        is_classifier = isinstance(model, MLPClassifier)
        parse = _parse_sklearn_classifier if is_classifier else _parse_sklearn_simple_model
        return parse(scope, model, inputs, custom_parsers=custom_parsers)
    operator = scope.declare_local_operator(TRANSFORMER, model)
    operator.inputs = inputs
    kind = guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable("hidden", kind))
    return operator.outputs


def _shape_features(operator: Any) -> None:
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n_rows, operator.raw_operator._n_features_out]


def _convert_transformer(scope, operator, container) -> None:
    g, model = Graph(scope, container), operator.raw_operator
    stop = model.network_.hidden_stops[model._named_layer]
    features = _outputs_of_network(g, operator, stop)
    g.add("Cast", features, output=operator.outputs[0].full_name, to=_type_of_numbers(operator))


# Networks that predict ------------------------------------------------------------------------


def _outputs_of_network(g: Graph, operator: Any, stop: int | None = None) -> str:
    """Add the network, or its first layers; return the name of the output."""
    parts = [g.add("Cast", v.full_name, to=TensorProto.FLOAT) for v in operator.inputs]
    x = parts[0] if len(parts) == 1 else g.add("Concat", *parts, axis=1)
    return add_layers(g, x, operator.raw_operator.network_.layers[:stop])


def _type_of_numbers(operator: Any) -> int:
    kind = guess_proto_type(operator.inputs[0].type)
    return kind if kind == TensorProto.DOUBLE else TensorProto.FLOAT


def _shape_numbers(operator: Any) -> None:
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n_rows, operator.raw_operator.n_outputs_]


def _convert_regressor(scope, operator, container) -> None:
    g, model = Graph(scope, container), operator.raw_operator
    z = add_link(g, _outputs_of_network(g, operator), model._loss)
    if model.y_scale_ is not None:
        z = g.add("Add", g.add("Mul", z, g.constant(model.y_scale_)), g.constant(model.y_mean_))
    g.add("Cast", z, output=operator.outputs[0].full_name, to=_type_of_numbers(operator))


def _shape_classes(operator: Any) -> None:
    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    is_multilabel = model._encoder.kind == "multilabel"
    labels = StringTensorType if model.classes_.dtype.kind in "OUS" else Int64TensorType
    n_classes = len(model.classes_)
    operator.outputs[0].type = labels([n_rows, n_classes] if is_multilabel else [n_rows])
    wants_one = operator.scope_inst.get_options(model, dict.fromkeys(CLASSIFIER_OPTIONS))
    is_one = model._encoder.kind == "binary" and wants_one["one_column"]
    operator.outputs[1].type.shape = [n_rows, 1 if is_one else n_classes]


def _convert_classifier(scope, operator, container) -> None:
    g, model = Graph(scope, container), operator.raw_operator
    options = container.get_options(model, dict.fromkeys(CLASSIFIER_OPTIONS))
    z = _outputs_of_network(g, operator)
    kind, labels = model._encoder.kind, operator.outputs[0].full_name
    if kind == "multilabel":
        g.add("Cast", g.add("Greater", z, g.constant(0.0)), output=labels, to=TensorProto.INT64)
    else:
        g.add("Gather", _classes(g, model), _codes(g, z, kind), output=labels, axis=0)
    if kind == "binary" and not options["one_column"]:
        z = g.add("Concat", g.add("Neg", z), z, axis=1)
    if model._loss.gives_probabilities and not options["raw_scores"]:
        z = g.add("Softmax", z, axis=1) if kind == "multiclass" else g.add("Sigmoid", z)
    g.add("Cast", z, output=operator.outputs[1].full_name, to=_type_of_numbers(operator))


def _codes(g: Graph, z: str, kind: str) -> str:
    """Return the position of the predicted class."""
    if kind == "multiclass":
        return g.add("ArgMax", z, axis=1, keepdims=0)
    chosen = g.add("Cast", g.add("Greater", z, g.constant(0.0)), to=TensorProto.INT64)
    return g.add("Reshape", chosen, g.constant([-1], TensorProto.INT64))


def _classes(g: Graph, model: MLPClassifier) -> str:
    if len(model.classes_) < 2:
        raise NotImplementedError("skdeep.onnx: a classifier of a single class has no counterpart.")
    if model.classes_.dtype.kind in "OUS":
        return g.constant(model.classes_, TensorProto.STRING)
    if (model.classes_.astype(np.int64) != model.classes_).any():
        raise NotImplementedError("skdeep.onnx: labels have to be text or integers of int64.")
    return g.constant(model.classes_.astype(int), TensorProto.INT64)
