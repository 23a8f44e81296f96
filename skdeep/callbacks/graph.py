"""The layers of a network as the nodes of a graph, for TensorBoard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from skdeep.layers import Concatenate, Layer, Residual
from skdeep.network import Network


class Node(NamedTuple):
    """A layer, the inputs or the loss.

    Attributes
    ----------
    name : str
        The number of the layer, as in `Network.named_parameters`, and its class. Layers inside
        another one have its name before theirs.
    kind : str
        The name of the class.
    inputs : list of str
        The names of the nodes below.
    n_columns : int
        The number of columns that the node puts out.
    settings : str
        The parameters of the layer.
    """

    name: str
    kind: str
    inputs: list[str]
    n_columns: int
    settings: str


def nodes_of(network: Network, loss: Any) -> list[Node]:
    """Return the nodes of a network, from the inputs to the loss."""
    nodes = [Node("inputs", "Placeholder", [], network.n_inputs, "")]
    top = _add(nodes, network.layers, "inputs", "", itertools.count())
    name = type(loss).__name__
    return [*nodes, Node(name, name, [top], network.n_outputs, repr(loss))]


def _add(
    nodes: list[Node], layers: Sequence[Layer], below: str, scope: str, numbers: Iterator[int]
) -> str:
    """Append a stack of layers above a node; return the name of the highest one."""
    for layer in layers:
        kind = type(layer).__name__
        name = f"{scope}{next(numbers)}.{kind}"
        inputs = [below]
        if type(layer) is Residual:
            inputs.append(_add(nodes, layer.branch_.layers, below, f"{name}/", numbers))
        elif type(layer) is Concatenate:
            inputs = [
                _add(nodes, branch.layers, below, f"{name}/", numbers) for branch in layer.branches_
            ]
        else:
            for _ in itertools.islice(layer.walk(), 1, None):
                next(numbers)  # a layer of the user's own is one node, whatever is inside
        nodes.append(Node(name, kind, inputs, layer.n_outputs_, repr(layer)))
        below = name
    return below


def graph_def(nodes: Sequence[Node], protocol: Any) -> Any:
    """Return nodes as a GraphDef of TensorFlow.

    `protocol` imports a module of tensorboardX.proto by its name.
    """
    NodeDef = protocol("node_def_pb2").NodeDef
    AttrValue = protocol("attr_value_pb2").AttrValue
    shapes = protocol("tensor_shape_pb2").TensorShapeProto

    def written(node: Node) -> Any:
        size = [shapes.Dim(size=-1), shapes.Dim(size=node.n_columns)]
        shape = AttrValue(list=AttrValue.ListValue(shape=[shapes(dim=size)]))
        settings = AttrValue(s=node.settings.encode())
        attributes = {"_output_shapes": shape, "settings": settings}
        return NodeDef(name=node.name, op=node.kind, input=node.inputs, attr=attributes)

    return protocol("graph_pb2").GraphDef(node=[written(node) for node in nodes])
