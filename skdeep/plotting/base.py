"""The base of all displays: axes, and the check that matplotlib is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, Limit, needs
from skdeep.reports.table import one_line


def pyplot(who: str) -> Any:
    """Return matplotlib.pyplot, or raise ImportError that says how to install it."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(needs(who, "matplotlib", "plots")) from error
    return plt


class Display:
    """Base class: `plot` draws, and sets `ax_` and `figure_`."""

    ax_: Any
    figure_: Any

    def _one_axes(self, ax: Any, size: tuple[float, float] = (6.4, 4.2)) -> Any:
        """Return the axes to draw on: the given axes, or new ones."""
        plt = pyplot(type(self).__name__)
        if ax is None:
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _many_axes(self, ax: Any, n_rows: int, n_columns: int, size: tuple[float, float]) -> Any:
        """Return an array of axes: the given axes, or new ones."""
        plt = pyplot(type(self).__name__)
        if ax is None:
            _, grid = plt.subplots(
                n_rows, n_columns, figsize=size, layout="constrained", squeeze=False
            )
            ax = grid.ravel()
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if axes.size < n_rows * n_columns:
            raise ValueError(
                f"{type(self).__name__}: ax has {axes.size} axes; {n_rows * n_columns} are needed."
            )
        self.ax_, self.figure_ = ax, axes[0].figure
        return axes

    def _axes_in_rows(
        self,
        ax: Any,
        n: int,
        n_cols: int,
        cell: tuple[float, float],
        legend: float,
        size_of_one: tuple[float, float] = (6.4, 4.2),
    ) -> Any:
        """Return n axes: the given axes, or new ones in rows of n_cols, beside a legend.

        `cell` is the size of each of several axes, and `legend` the width of the legend.
        """
        if n == 1 and is_axes(ax):
            return [self._one_axes(ax, size_of_one)]
        if ax is not None:
            return self._many_axes(ax, 1, n, ())[:n]
        n_across = min(n, n_cols)
        n_down = math.ceil(n / n_across)
        size = (legend + cell[0] * n_across, 0.4 + cell[1] * n_down)
        axes = self._many_axes(None, n_down, n_across, size)
        for axis in axes[n:]:
            axis.remove()
        self.ax_ = axes[:n]
        return self.ax_


def check_n_cols(n_cols: Any) -> None:
    """Raise unless a number of columns of axes is allowed."""
    limit = Limit(1, integer=True)
    if not limit.allows(n_cols):
        raise InvalidParameterError(f"n_cols={n_cols!r} is not allowed; give {limit}.")


def colours(n: int, who: str) -> list:
    """Return n colours from dark to light, for layers from the bottom to the top."""
    plt = pyplot(who)
    return [plt.get_cmap("viridis")(i / max(1, n - 1) * 0.85) for i in range(n)]


def is_axes(ax: Any) -> bool:
    """Whether the argument `ax` stands for one axes."""
    return ax is None or hasattr(ax, "plot")


def spread(n: int) -> np.ndarray:
    """Return n places between -0.5 and 0.5, in an order that looks random."""
    return np.arange(n) * 0.6180339887 % 1 - 0.5


def plain_text(value: Any, longest: int = 20) -> str:
    """Return a value as text of moderate length, in which no character has a meaning of its own."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return one_line(text, longest).replace("$", r"\$")


def rotation(axis: Any, labels: Sequence[str]) -> dict[str, Any]:
    """Return how labels are to be turned, so that they do not overlap."""
    size = axis.xaxis.get_ticklabels()[0].get_fontsize() if axis.xaxis.get_ticklabels() else 10.0
    character = 0.6 * size * axis.figure.dpi / 72
    room = axis.get_window_extent().width / len(labels)
    if max(map(len, labels)) * character <= 0.95 * room:
        return {}
    if 1.6 * character / 0.6 <= room:
        return {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    return {"rotation": 90}
