"""A picture of whole candidates: one line through all hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.inspection.coordinates import Coordinate, round_numbers
from skdeep.inspection.searches import SearchResults
from skdeep.plotting.base import plain_text, pyplot, rotation
from skdeep.plotting.search import APART, BEST, FAILED, SearchPicture, spread_places

_COLOURS = "viridis_r"


class ParallelCoordinatesDisplay(SearchPicture):
    """Every candidate of a search as a line through its hyperparameters to its score.

    Each hyperparameter has a vertical axis with the scale of `SearchDisplay`. The lines are
    coloured by the score, the best candidate on top. The score of a search that halves its
    candidates is that of the highest rung which the candidate reached; those that were dropped are
    pale. Candidates without a score are dashed lines.

    Parameters
    ----------
    results : SearchResults
        The scores and the hyperparameters.
    params : sequence of str or None, default=None
        The hyperparameters to show, from left to right. None shows those with more than one value,
        the most important first, at most 12.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    SearchDisplay : The score against each hyperparameter.
    """

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes or None, default=None

        Returns
        -------
        self
        """
        self._check_params()
        axes = list(self.coordinates.values())
        ax = self._one_axes(ax, (1.6 + 1.35 * (len(axes) + 1), 4.6))
        score = _Score(self.results)
        heights = np.column_stack([*map(_heights, axes), score.heights])
        self._draw_lines(ax, heights, score)
        for at, axis in enumerate(axes):
            _draw_axis(
                ax, at, _ticks(axis), [(_scaled(a, axis), _scaled(b, axis)) for a, b in axis.apart]
            )
        _draw_axis(ax, len(axes), score.ticks, [(0.0, score.bottom)] if score.bottom else [])
        names = [*map(self._name, axes), plain_text(self.results.score_label, 32)]
        ax.set(xlim=(-0.3, len(axes) + 0.55), ylim=(-0.02, 1.02), yticks=[])
        ax.tick_params(axis="x", labelsize="small")
        ax.set_xticks(range(len(names)), labels=names, **rotation(ax, names))
        ax.tick_params(axis="x", length=0)
        ax.spines[:].set_visible(False)
        for at, axis in enumerate(axes):
            ax.text(at, 1.03, self._title(axis), fontsize="small", color="0.4", ha="center")
        self._draw_legend(ax)
        return self

    def _draw_lines(self, ax: Any, heights: np.ndarray, score: _Score) -> None:
        from matplotlib.collections import LineCollection

        at = np.arange(heights.shape[1])
        lines = np.stack([np.broadcast_to(at, heights.shape), heights], axis=2)
        failed = ~score.is_known
        ax.add_collection(
            LineCollection(list(lines[failed]), color=FAILED, ls="--", lw=0.7, alpha=0.5, zorder=1)
        )
        order = np.flatnonzero(score.is_known)
        order = order[np.argsort(score.heights[order], kind="stable")]
        n = len(lines)
        pale, power = (0.45, 2) if n <= 30 else (0.2, 2) if n <= 150 else (0.06, 4)
        opaque = np.where(self.results.is_dropped(), 0.5, 1.0) * (pale + 0.4 * score.shares**power)
        colours = pyplot(type(self).__name__).get_cmap(_COLOURS)(score.shares[order])
        colours[:, 3] = opaque[order]
        width = 1.3 if n <= 150 else 0.8
        ax.add_collection(LineCollection(list(lines[order]), color=colours, lw=width, zorder=2))
        if self.results.best is not None:
            best = heights[self.results.candidates[self.results.best]]
            ax.plot(at, best, color="white", lw=5, zorder=3)
            ax.plot(at, best, "o-", color=BEST, lw=2.5, ms=5, zorder=3)

    def _draw_legend(self, ax: Any) -> None:
        from matplotlib.lines import Line2D

        results, handles = self.results, []
        dark, light = (pyplot(type(self).__name__).get_cmap(_COLOURS)(x) for x in (0.85, 0.15))
        if results.best is not None:
            label = f"best: {results.scores[results.best]:.4g}"
            handles.append(Line2D([], [], color=BEST, lw=2.5, marker="o", ms=5, label=label))
            handles.append(Line2D([], [], color=dark, lw=1.5, label="high score"))
            handles.append(Line2D([], [], color=light, lw=1.5, label="low score"))
        if results.is_dropped().any():
            handles.append(Line2D([], [], color=dark, lw=1.5, alpha=0.35, label="dropped early"))
        n_failed = int((~results.has_score[results.last_rows()]).sum())
        if n_failed:
            label = f"failed ({n_failed})"
            handles.append(Line2D([], [], color=FAILED, ls="--", lw=0.9, alpha=0.7, label=label))
        ax.legend(
            handles=handles, fontsize="small", frameon=False,
            loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=len(handles),
        )  # fmt: skip
        if self.n_hidden:
            ax.set_xlabel(self._hidden(), fontsize="small", color="0.4")


class _Score:
    """The axis of the score: a place for each candidate, and one for those that failed."""

    def __init__(self, results: SearchResults):
        rows = results.last_rows()
        scores, self.is_known = results.scores[rows], results.has_score[rows]
        self.bottom = 0.0 if self.is_known.all() else 0.12
        low = results.lowest_score()
        known = scores[self.is_known]
        high = known.max() if len(known) else 1.0
        low = low if len(known) else 0.0
        span = high - low
        is_flat = not span > 1e-9 * max(abs(low), abs(high))
        shares = np.full(len(scores), 0.5) if is_flat else np.maximum(scores - low, 0) / span
        self.shares = np.where(self.is_known, shares, 0.0)
        self.heights = np.where(self.is_known, self._height(self.shares), 0.05)
        self.ticks = [(0.05, "failed")] if self.bottom else []
        if is_flat and len(known):
            self.ticks.append((float(self._height(0.5)), f"{high:.4g}"))
        elif len(known):
            marks = [m for m in round_numbers("linear", low, high, False) if low <= m <= high]
            self.ticks += [(float(self._height((m - low) / span)), f"{m:.4g}") for m in marks]

    def _height(self, share: Any) -> Any:
        return self.bottom + share * (1 - self.bottom)


def _scaled(place: Any, axis: Coordinate) -> Any:
    return (place - axis.low) / (axis.high - axis.low)


def _heights(axis: Coordinate) -> np.ndarray:
    """Return the height of each candidate on the axis of a hyperparameter, from 0 to 1."""
    return _scaled(spread_places(axis), axis)


def _ticks(axis: Coordinate) -> list[tuple[float, str]]:
    return [(_scaled(at, axis), label) for at, label in axis.ticks]


def _draw_axis(ax: Any, at: float, ticks: list, apart: list) -> None:
    """Draw a vertical axis with labels on its right."""
    ax.plot([at, at], [0, 1], color="0.3", lw=1, zorder=4)
    for low, high in apart:
        ax.fill_betweenx([low, high], at - 0.06, at + 0.06, color=APART, lw=0, zorder=0)
    for height, label in ticks:
        ax.plot([at, at + 0.03], [height, height], color="0.3", lw=1, zorder=4)
        ax.text(
            at + 0.05, height, label.replace("$", r"\$"), fontsize="small", va="center", zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )  # fmt: skip
