"""Converters for networks with several tasks.

Every task that is predicted has an output of its name. A task of classes has another output for the
probabilities, if there are any: "kind_probabilities".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import guess_tensor_type

from skdeep.data.task_targets import ClassTask
from skdeep.estimators import MultiTaskMLP
from skdeep.onnx.converters import (
    TRANSFORMER,
    add_labels,
    is_marked,
    outputs_of_network,
    type_of_labels,
    type_of_numbers,
)
from skdeep.onnx.graph import Graph
from skdeep.onnx.links import add_link, columns_of


def register_tasks() -> None:
    """Register the estimator with skl2onnx."""
    update_registered_converter(
        MultiTaskMLP, "SkdeepMultiTaskMLP", _shapes, _convert, parser=_parse
    )


def _predicted(model: MultiTaskMLP) -> Iterator[tuple[str, Any, slice, Any]]:
    """Yield (name, targets, columns of the raw outputs, loss) of the tasks that are predicted."""
    parts = zip(model._targets_of.items(), model._loss.slices, model._loss.losses, strict=True)
    for (name, targets), columns, loss in parts:
        if not model.tasks_[name].training_only:
            yield name, targets, columns, loss


def _parse(scope, model, inputs, custom_parsers=None):
    transforms = is_marked(scope, model)
    operator = scope.declare_local_operator(
        TRANSFORMER if transforms else "SkdeepMultiTaskMLP", model
    )
    operator.inputs = inputs
    names = ["hidden"] if transforms else []
    for name, targets, _, loss in () if transforms else _predicted(model):
        names.append(name)
        if isinstance(targets, ClassTask) and loss.gives_probabilities:
            names.append(f"{name}_probabilities")
    for name in names:  # each needs a type of its own, whose shape is set later
        kind = guess_tensor_type(inputs[0].type)
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _shapes(operator: Any) -> None:
    n_rows = operator.inputs[0].get_first_dimension()
    outputs = iter(operator.outputs)
    for _, targets, _, loss in _predicted(operator.raw_operator):
        if not isinstance(targets, ClassTask):
            next(outputs).type.shape = [n_rows, targets.n_outputs]
            continue
        next(outputs).type = type_of_labels(targets.encoder, n_rows)
        if loss.gives_probabilities:
            next(outputs).type.shape = [n_rows, len(targets.classes)]


def _convert(scope, operator, container) -> None:
    g, model = Graph(scope, container), operator.raw_operator
    raw, outputs = outputs_of_network(g, operator), iter(operator.outputs)
    kind = type_of_numbers(operator)
    for _, targets, columns, loss in _predicted(model):
        z, output = columns_of(g, raw, columns), next(outputs).full_name
        if not isinstance(targets, ClassTask):
            z = add_link(g, z, loss)
            if targets.scale is not None:
                z = g.add("Mul", z, g.constant(targets.scale))
                z = g.add("Add", z, g.constant(targets.mean))
            g.add("Cast", z, output=output, to=kind)
            continue
        add_labels(g, z, targets.encoder, output)
        if loss.gives_probabilities:
            g.add("Cast", _probabilities(g, z, targets), output=next(outputs).full_name, to=kind)


def _probabilities(g: Graph, z: str, targets: ClassTask) -> str:
    if targets.encoder.kind == "multiclass":
        return g.add("Softmax", z, axis=1)
    both = targets.encoder.kind == "binary"
    return g.add("Sigmoid", g.add("Concat", g.add("Neg", z), z, axis=1) if both else z)
