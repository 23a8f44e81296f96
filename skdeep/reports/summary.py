"""A table of a network: its layers, their output shapes and numbers of parameters."""

from __future__ import annotations

from skdeep.layers import Layer
from skdeep.network import Network
from skdeep.reports.table import Table


class Summary(Table):
    """The layers of a network; prints as a table, renders as HTML.

    Attributes
    ----------
    rows : list of tuple
        (layer, output shape, number of parameters) of each layer.
    total, trainable, non_trainable : int
        Numbers of parameters.
    """

    header = ("Layer", "Output shape", "Parameters")
    n_left_aligned = 2

    def __init__(self, network: Network):
        self.rows = [("Input", (None, network.n_inputs), 0)]
        for layer in network.layers:
            self._add(layer, "")
        self.total, self.trainable = network.count()
        self.non_trainable = self.total - self.trainable

    def _add(self, layer: Layer, indent: str) -> None:
        n_parameters = sum(p.size for p in layer.parameters_)
        name = "" if layer.name_ is None else f"{layer.name_}: "
        shown = f"{indent}{name}{layer.describe()}"
        self.rows.append((shown, (None, layer.n_outputs_), n_parameters))
        for child in layer.children():
            self._add(child, indent + "  ")

    def _cells(self) -> list[tuple[str, str, str]]:
        return [(name, str(shape), f"{n:,}") for name, shape, n in self.rows]

    def _totals(self) -> list[tuple[str, str]]:
        return [
            ("Total parameters", f"{self.total:,}"),
            ("Trainable", f"{self.trainable:,}"),
            ("Non-trainable", f"{self.non_trainable:,}"),
        ]
