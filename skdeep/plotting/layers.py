"""Displays of the outputs and the weights of layers."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeep._component import Limit, check_limits
from skdeep.inspection import LayerReport, layer_statistics
from skdeep.plotting.base import Display, colours

MOST_POINTS = 20_000


class ActivationDisplay(Display):
    """The distribution of each layer's outputs, and its shares of dead and saturated units.

    Parameters
    ----------
    report : LayerReport
    """

    def __init__(self, report: LayerReport):
        self.report = report

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Any = None):
        """Run the network on these rows, and draw the outputs of its layers.

        Parameters
        ----------
        estimator : fitted estimator of skdeep
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        ax : sequence of two Axes or None, default=None

        Returns
        -------
        ActivationDisplay
        """
        return cls(layer_statistics(estimator, X)).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : sequence of two Axes or None, default=None

        Returns
        -------
        self
        """
        rows = self.report.layers
        height = max(3.0, 0.5 * len(rows) + 1.2)
        axes = self._many_axes(ax, 1, 2, (10.0, height))
        samples = [_sample(row.outputs) for row in rows]
        parts = axes[0].violinplot(
            samples, positions=range(len(rows)), orientation="horizontal", widths=0.9,
            showextrema=False, showmedians=True,
        )  # fmt: skip
        for body, colour in zip(
            parts["bodies"], colours(len(rows), type(self).__name__), strict=True
        ):
            body.set(facecolor=colour, alpha=0.8)
        parts["cmedians"].set(color="black", linewidth=1)
        names = [row.name for row in rows]
        axes[0].set(xlabel="Outputs", yticks=range(len(rows)), yticklabels=names)
        places = np.arange(len(rows))
        for shift, key, colour in ((-0.2, "dead", "C3"), (0.2, "saturated", "C1")):
            shares = [100 * getattr(row, key) for row in rows]
            axes[1].barh(places + shift, shares, 0.4, color=colour, label=key)
        axes[1].set(xlabel="Units, %", xlim=(0, 100), yticks=places, yticklabels=[""] * len(rows))
        axes[1].legend()
        for axis in axes[:2]:
            axis.invert_yaxis()
            axis.grid(alpha=0.3, axis="x")
        return self


def _sample(A: np.ndarray) -> np.ndarray:
    flat = A.ravel()
    if flat.size > MOST_POINTS:
        flat = np.random.default_rng(0).choice(flat, MOST_POINTS, replace=False)
    if np.ptp(flat) == 0:  # a violin of one value has no width
        flat = flat + np.linspace(-1e-9, 1e-9, flat.size)
    return flat


class WeightDisplay(Display):
    """The weights of each dense layer: their distribution, and their norm.

    Parameters
    ----------
    weights : list of ndarray
        The weights of each dense layer, from the bottom up.
    """

    def __init__(self, weights: list[np.ndarray]):
        self.weights = weights

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None):
        """Draw the weights of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator of skdeep
        ax : sequence of Axes or None, default=None
            One for each dense layer; None makes new ones.

        Returns
        -------
        WeightDisplay
        """
        check_is_fitted(estimator, "network_")
        return cls([np.array(W) for W in estimator.coefs_]).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : sequence of Axes or None, default=None

        Returns
        -------
        self
        """
        n = len(self.weights)
        n_columns = min(4, n)
        n_rows = math.ceil(n / n_columns)
        axes = self._many_axes(ax, n_rows, n_columns, (3.0 * n_columns, 2.6 * n_rows))
        shades = colours(n, type(self).__name__)
        for i, (axis, W, colour) in enumerate(zip(axes, self.weights, shades, strict=False)):
            axis.hist(W.ravel(), bins=50, color=colour)
            axis.set_title(
                f"{i}: {W.shape[0]} x {W.shape[1]}, norm {np.linalg.norm(W):.3g}", fontsize=9
            )
            axis.set_yticks([])
            axis.tick_params(labelsize=8)
        for axis in axes[n:]:
            axis.set_visible(False)
        return self


class FirstLayerDisplay(Display):
    """The incoming weights of the lowest layer's units, as images.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width)
    """

    def __init__(self, images: np.ndarray):
        self.images = images

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image_shape: tuple[int, int] | None = None,
        *,
        n_units: int = 64,
        ax: Any = None,
    ):
        """Draw the units with the largest weights.

        Parameters
        ----------
        estimator : fitted estimator of skdeep
        image_shape : (int, int) or None, default=None
            The height and the width of an image; None is a square.
        n_units : int, default=64
        ax : Axes or None, default=None

        Returns
        -------
        FirstLayerDisplay
        """
        check_is_fitted(estimator, "network_")
        W = np.array(estimator.coefs_[0])
        side = math.isqrt(W.shape[0])
        shape = (side, side) if image_shape is None else image_shape
        if np.shape(shape) != (2,) or math.prod(shape) != W.shape[0]:
            raise ValueError(
                f"image_shape={shape} is not that of {W.shape[0]} inputs; give (height, width)."
            )
        check_limits(SimpleNamespace(n_units=n_units), {"n_units": Limit(1, integer=True)})
        order = np.argsort(-np.linalg.norm(W, axis=0))[:n_units]
        return cls(W.T[np.sort(order)].reshape(-1, *shape)).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes or None, default=None

        Returns
        -------
        self
        """
        n, height, width = self.images.shape
        n_columns = math.ceil(math.sqrt(n))
        n_rows = math.ceil(n / n_columns)
        sheet = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1), np.nan)
        for i, image in enumerate(self.images):
            top, left = (i // n_columns) * (height + 1), (i % n_columns) * (width + 1)
            sheet[top : top + height, left : left + width] = image
        ax = self._one_axes(ax, (6.0, 6.0 * n_rows / n_columns + 0.4))
        limit = np.nanmax(np.abs(sheet))
        drawn = ax.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_axis_off()
        self.figure_.colorbar(drawn, ax=ax, shrink=0.7, label="Weight")
        return self
