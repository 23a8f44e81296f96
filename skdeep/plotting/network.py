"""A drawing of the architecture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeep.network import Network
from skdeep.plotting.base import Display

MOST_UNITS_DRAWN = 8


class NetworkDisplay(Display):
    """Layers as columns of units, with the connections between them.

    Parameters
    ----------
    layers : list of (str, int)
        Name and number of units of each column, from the inputs on. A layer without units of its
        own adds a line to the name of the column before it.
    """

    def __init__(self, layers: list[tuple[str, int]]):
        self.layers = layers

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None):
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator of skdeep
        ax : Axes or None, default=None

        Returns
        -------
        NetworkDisplay
        """
        check_is_fitted(estimator, "network_")
        return cls(_columns(estimator.network_)).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes or None, default=None

        Returns
        -------
        self
        """
        columns = [(name.split("\n"), n_units) for name, n_units in self.layers]
        ax = self._one_axes(ax, (max(4.0, 1.5 * len(columns)), 5.0))
        places = [_places(n_units) for _, n_units in columns]
        for x, (here, there) in enumerate(pairwise(places)):
            for y in here:
                for z in there:
                    ax.plot([x, x + 1], [y, z], color="0.8", linewidth=0.5, zorder=1)
        for x, ((names, n_units), ys) in enumerate(zip(columns, places, strict=True)):
            colour = "C2" if x == 0 else ("C3" if x == len(columns) - 1 else "C0")
            ax.scatter(np.full(len(ys), x), ys, s=140, color=colour, edgecolor="white", zorder=2)
            if n_units > MOST_UNITS_DRAWN:
                ax.text(x, 0, "...", ha="center", va="center", rotation=90, zorder=3, fontsize=12)
            ax.text(x, -5.2, "\n".join([f"{n_units:,}", *names]), ha="center", va="top", fontsize=8)
        ax.set(xlim=(-0.7, len(columns) - 0.3), ylim=(-6.0 - 0.75 * _most_lines(columns), 5.2))
        ax.set_axis_off()
        return self


def _columns(network: Network) -> list[tuple[str, int]]:
    """Return (name, number of units) of each column to draw."""
    columns = [("Input", network.n_inputs)]
    for layer in network.layers:
        name, n_units = columns[-1]
        if layer.has_units or layer.n_outputs_ != n_units:
            columns.append((layer.describe(), layer.n_outputs_))
        else:
            columns[-1] = (f"{name}\n{layer.describe()}", n_units)
    return columns


def _places(n_units: int) -> np.ndarray:
    n = min(n_units, MOST_UNITS_DRAWN)
    ys = np.arange(n) - (n - 1) / 2.0
    if n_units > MOST_UNITS_DRAWN:
        ys[n // 2 :] += 0.5
        ys[: n // 2] -= 0.5
    return ys


def _most_lines(columns: list[tuple[list[str], int]]) -> int:
    return 1 + max(len(names) for names, _ in columns)
