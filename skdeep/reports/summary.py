"""A network as a table: its layers, output shapes and numbers of parameters."""

from __future__ import annotations

import html

from skdeep.layers import Layer
from skdeep.network import Network


class Summary:
    """The layers of a network; prints as a table, renders as HTML.

    Attributes
    ----------
    rows : list of tuple
        (layer, output shape, number of parameters) for every layer.
    total, trainable, non_trainable : int
        Numbers of parameters.
    """

    header = ("Layer", "Output shape", "Parameters")

    def __init__(self, network: Network):
        self.rows = [("Input", (None, network.n_inputs), 0)]
        for layer in network.layers:
            self._add(layer, "")
        self.total, self.trainable = network.count()
        self.non_trainable = self.total - self.trainable

    def _add(self, layer: Layer, indent: str) -> None:
        n_parameters = sum(p.size for p in layer.parameters_)
        self.rows.append((indent + _describe(layer), (None, layer.n_outputs_), n_parameters))
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

    def __str__(self) -> str:
        cells = [self.header, *self._cells()]
        widths = [max(len(row[i]) for row in cells) for i in range(3)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in cells
        ]
        rule = "-" * (sum(widths) + 4)
        totals = [f"{name}: {n}" for name, n in self._totals()]
        return "\n".join([lines[0], rule, *lines[1:], rule, *totals])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(cells, tag):
            inner = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
            return f"<tr>{inner}</tr>"

        body = "".join(row(cells, "td") for cells in self._cells())
        foot = "".join(row((name, "", n), "th") for name, n in self._totals())
        return (
            f"<table><thead>{row(self.header, 'th')}</thead><tbody>{body}</tbody>"
            f"<tfoot>{foot}</tfoot></table>"
        )


def _describe(layer: Layer) -> str:
    """Name a layer, with what matters of it."""
    name = type(layer).__name__
    inner = getattr(layer, "activation_", None) or getattr(layer, "function_", None)
    if inner is not None:
        return f"{name} ({type(inner).__name__})"
    for attribute in ("rate", "std"):
        if hasattr(layer, attribute):
            return f"{name} ({getattr(layer, attribute):g})"
    return name
