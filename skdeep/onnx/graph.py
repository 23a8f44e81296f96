"""Networks as ONNX graphs: operations of layers, and activations, in the operators of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from skdeep import activations as f
from skdeep.layers import Layer, operations


class Graph:
    """The graph that a converter fills: adds nodes, and gives them names."""

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


def _with_slope(g: Graph, z: str, slope: str) -> str:
    """Return max(z, 0) + slope * min(z, 0)."""
    below = g.add("Mul", g.add("Neg", g.add("Relu", g.add("Neg", z))), slope)
    return g.add("Add", g.add("Relu", z), below)


def _gelu(g: Graph, z: str) -> str:
    scaled = g.add("Erf", g.add("Mul", z, g.constant(np.sqrt(0.5))))
    half = g.add("Mul", z, g.constant(0.5))
    return g.add("Mul", half, g.add("Add", scaled, g.constant(1.0)))


def _parametric(g: Graph, z: str, a: Any) -> str:
    share = a.share_.value
    linear = g.add("Mul", z, g.constant(1 - share))
    return g.add("Add", linear, g.add("Mul", add_activation(g, z, a.function_), g.constant(share)))


def _step(g: Graph, z: str) -> str:
    below = g.add("Less", z, g.constant(0.0))
    return g.add("Cast", g.add("Not", below), to=TensorProto.FLOAT)


ACTIVATIONS = {
    f.Identity: lambda g, z, a: z,
    f.Logistic: lambda g, z, a: g.add("Sigmoid", z),
    f.Tanh: lambda g, z, a: g.add("Tanh", z),
    f.ReLU: lambda g, z, a: g.add("Relu", z),
    f.LeakyReLU: lambda g, z, a: _with_slope(g, z, g.constant(float(a.negative_slope))),
    f.PReLU: lambda g, z, a: _with_slope(g, z, g.constant(a.slope_.value)),
    f.Parametric: _parametric,
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
    f.Softmax: lambda g, z, a: g.add("Softmax", z, axis=1),
    f.Step: lambda g, z, a: _step(g, z),
}


def add_activation(g: Graph, z: str, activation: Any) -> str:
    """Add an activation (None is the identity); return the name of its output."""
    if activation is None:
        return z
    if type(activation) not in ACTIVATIONS:
        raise NotImplementedError(
            f"{_unknown(activation)}; only the activation functions of skdeep have."
        )
    return ACTIVATIONS[type(activation)](g, z, activation)


def _unknown(part: Any) -> str:
    return (
        f"skdeep.onnx: {type(part).__module__}.{type(part).__qualname__} has no counterpart in ONNX"
    )


# Layers ---------------------------------------------------------------------------------------


def _affine(g: Graph, x: str, step: operations.Affine) -> str:
    z = g.add("MatMul", x, g.constant(step.W))
    return z if step.b is None else g.add("Add", z, g.constant(step.b))


def _normalize(g: Graph, x: str, step: operations.Normalize) -> str:
    # The mean is subtracted first: a * x + c would lose digits if the mean is large.
    centred = g.add("Sub", x, g.constant(step.mean))
    scaled = g.add("Mul", centred, g.constant(step.scale / step.std))
    return g.add("Add", scaled, g.constant(step.shift))


def _add(g: Graph, x: str, step: operations.Add) -> str:
    return g.add("Sum", *(add_layers(g, x, branch) for branch in step.branches))


def _join(g: Graph, x: str, step: operations.Join) -> str:
    return g.add("Concat", *(add_layers(g, x, branch) for branch in step.branches), axis=1)


def _take(g: Graph, x: str, step: operations.Take) -> str:
    return g.add("Gather", x, g.constant(step.columns, TensorProto.INT64), axis=1)


OPERATIONS = {
    operations.Affine: _affine,
    operations.Normalize: _normalize,
    operations.Apply: lambda g, x, step: add_activation(g, x, step.function),
    operations.Add: _add,
    operations.Join: _join,
    operations.Take: _take,
}


def add_layers(g: Graph, x: str, layers: Sequence[Layer]) -> str:
    """Add layers one after the other; return the name of the last one's output."""
    for layer in layers:
        steps = operations.operations_of(layer)
        if steps is None:
            raise NotImplementedError(
                f"{_unknown(layer)}, as it does not list the operations of its infer(); "
                "override operations()."
            )
        for step in steps:
            x = OPERATIONS[type(step)](g, x, step)
    return x
