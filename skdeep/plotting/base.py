"""The base of all displays: axes, and the check that matplotlib is installed."""

from __future__ import annotations

from typing import Any

from skdeep._component import needs


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
        import numpy as np

        plt = pyplot(type(self).__name__)
        if ax is None:
            _, ax = plt.subplots(
                n_rows, n_columns, figsize=size, layout="constrained", squeeze=False
            )
        axes = np.atleast_1d(np.asarray(ax, dtype=object))
        if axes.size < n_rows * n_columns:
            raise ValueError(
                f"{type(self).__name__}: ax has {axes.size} axes; {n_rows * n_columns} are needed."
            )
        self.ax_, self.figure_ = ax, axes.flat[0].figure
        return axes.ravel()


def colours(n: int, who: str) -> list:
    """Return n colours from dark to light, for layers from the bottom to the top."""
    plt = pyplot(who)
    return [plt.get_cmap("viridis")(i / max(1, n - 1) * 0.85) for i in range(n)]
