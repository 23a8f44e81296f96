"""The response of an estimator to the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skdeep.inspection.responses import (
    ColumnResponse,
    ResponseSettings,
    Targets,
    column_responses,
)
from skdeep.plotting.base import Display, check_n_cols, plain_text, rotation, spread

_RUG_COLOUR, _BAR_COLOUR, _MISSING = "0.45", "0.82", "0.95"
# The parts of the height that the rug and the bars of counts take.
_RUG, _BARS = 0.035, 0.13
# Predictions that differ by less, relative to their size, are shown as equal.
_ROUNDING = 1e-5
_MOST_POINTS_WITH_MARKERS = 12


class ColumnResponseDisplay(Display):
    """The mean prediction of an estimator over the values of a column: its partial dependence.

    The column is set to one value in all rows, and the predictions are averaged; then to the next
    value. The columns are those of the table, so that a column may hold categories. Grey ticks at
    the bottom show the numbers that rows have, and grey bars how many rows have a category.

    Parameters
    ----------
    responses : list of ColumnResponse
        The response to each column.
    targets : Targets
        The classes or outputs whose response is shown.
    kind : {"average", "individual", "both"}, default="average"
        Whether to draw the average over the rows, single rows, or both.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        One for each column.
    figure_ : Figure

    See Also
    --------
    skdeep.inspection.column_importance : The fall of the score if a column is permuted.
    sklearn.inspection.PartialDependenceDisplay : The same for arrays, with pairs of columns.
    """

    def __init__(
        self, responses: Sequence[ColumnResponse], targets: Targets, kind: str = "average"
    ):
        self.responses = responses
        self.targets = targets
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        columns: Any,
        *,
        sample_weight: Any = None,
        categorical_features: Any = None,
        target: Any = None,
        response_method: str = "auto",
        grid_resolution: int = 50,
        percentiles: Sequence[float] = (0.05, 0.95),
        max_categories: int = 20,
        kind: str = "average",
        subsample: int | float | None = 1000,
        n_cols: int = 3,
        random_state: Any = None,
        ax: Any = None,
    ):
        """Compute the responses to one or several columns, and draw them.

        Parameters
        ----------
        estimator : fitted estimator
            An estimator of skdeep, a Pipeline, or another estimator of scikit-learn.
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            The table, as the estimator takes it.
        columns : str, int, or sequence of str or int
            Names or positions of columns of X.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            The weights of the rows in the average.
        categorical_features : sequence of str, int or bool, or None, default=None
            Columns of numbers to show as categories: their names, their positions, or one boolean
            for each column. Columns of strings, of booleans and of categorical dtypes are always
            shown as categories. So are those that a `TabularClassifier` or `TabularRegressor`
            takes as categories.
        target : label, int, list or None, default=None
            A class of a classifier or the position of an output, or a list of them. None is the
            second class of two, and all classes or outputs otherwise.
        response_method : {"auto", "predict_proba", "decision_function", "predict"}, \
                default="auto"
            The method that predicts. "auto" is `predict` for regressors. For classifiers, it is
            `predict_proba` if there is one, and `decision_function` otherwise.
        grid_resolution : int, default=50
            The number of values to which a column of numbers is set, at equal distances. A column
            with fewer different numbers is set to each of them.
        percentiles : tuple of two floats, default=(0.05, 0.95)
            The shares of the rows that have a lower number than the first and the last value.
        max_categories : int, default=20
            The largest number of categories to draw: the most frequent ones.
        kind : {"average", "individual", "both"}, default="average"
            Whether to draw the average over the rows, single rows, or both.
        subsample : int, float or None, default=1000
            The number of rows to draw at random, or their share. The average is that of these
            rows. None takes all rows.
        n_cols : int, default=3
            The largest number of axes in a row of the figure.
        random_state : int, RandomState instance or None, default=None
            Determines the rows that are drawn.
        ax : Axes, sequence of Axes or None, default=None
            One for each column.

        Returns
        -------
        ColumnResponseDisplay
        """
        settings = ResponseSettings(
            grid_resolution, percentiles, categorical_features, max_categories, kind
        )
        responses, targets = column_responses(
            estimator,
            X,
            columns,
            settings,
            sample_weight=sample_weight,
            subsample=subsample,
            target=target,
            response_method=response_method,
            random_state=random_state,
        )
        return cls(responses, targets, kind).plot(ax=ax, n_cols=n_cols)

    def plot(self, ax: Any = None, *, n_cols: int = 3):
        """Draw.

        Parameters
        ----------
        ax : Axes, sequence of Axes or None, default=None
            One for each column.
        n_cols : int, default=3
            The largest number of axes in a row of a new figure.

        Returns
        -------
        self
        """
        check_n_cols(n_cols)
        axes = self._axes_in_rows(ax, len(self.responses), n_cols, (3.5, 3.0), legend=1.0)
        low, high, limits = self._limits()
        for i, (axis, response) in enumerate(zip(axes, self.responses, strict=False)):
            if response.is_category:
                self._draw_categories(axis, response)
            else:
                self._draw_numbers(axis, response)
            if axis.get_yscale() == "linear":
                axis.set_ylim(limits)
                axis.set_yticks([t for t in axis.get_yticks() if low <= t <= high])
            axis.grid(axis="y", alpha=0.3)
            axis.set_axisbelow(True)
            if ax is not None or i % n_cols == 0:
                axis.set_ylabel(self._label())
        self._draw_legend(axes, ax is None)
        return self

    # The figure -----------------------------------------------------------------------------------

    def _limits(self) -> tuple[float, float, tuple[float, float]]:
        """Return the range of ticks, and limits with room for the rug and the bars below."""
        shown = [r.average if self.kind == "average" else r.individual for r in self.responses]
        values = np.concatenate([np.ravel(v) for v in shown])
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        room, size = high - low, max(abs(low), abs(high))
        if room <= _ROUNDING * size:
            room = 0.1 * size or 0.1
            low, high = low - room / 2, high + room / 2
        has_bars = any(r.is_category for r in self.responses)
        below = (_BARS if has_bars else _RUG) + 0.05
        unit = room / (0.95 - below)
        limits = low - below * unit, high + 0.05 * unit
        return low - 0.05 * unit, limits[1], limits

    def _label(self) -> str:
        response, labels = self.targets.response, self.targets.labels
        if len(labels) > 1 or labels[0] is None:
            return response
        noun = "" if self.targets.noun == "Class" else "output "
        return f"{response} of {noun}{plain_text(labels[0])}"

    def _draw_legend(self, axes: Any, is_own: bool) -> None:
        from matplotlib.lines import Line2D

        if self.kind == "both":
            styles = [{"color": "C0", "alpha": 0.4, "lw": 1}, {"color": "C1", "lw": 2.5}]
            names, title = ["One row", "Average"], None
        elif len(self.targets.labels) > 1:
            names, title = [plain_text(label) for label in self.targets.labels], self.targets.noun
            styles = [{"color": f"C{i}", "lw": 2} for i in range(len(names))]
        else:
            return
        handles = [Line2D([], [], label=n, **s) for n, s in zip(names, styles, strict=True)]
        options = {"handles": handles, "title": title, "fontsize": "small"}
        if is_own:
            self.figure_.legend(loc="outside right upper", **options)
        else:
            axes[0].legend(framealpha=0.7, **{**options, "fontsize": "x-small"})

    # One column -----------------------------------------------------------------------------------

    def _colours(self) -> list[str]:
        if self.kind == "both":
            return ["C1"]
        return [f"C{i}" for i in range(len(self.targets.labels))]

    def _draw_numbers(self, axis: Any, response: ColumnResponse) -> None:
        is_known = np.isfinite(response.grid_values)
        grid = response.grid_values[is_known].astype(float)
        low, high = (grid[0], grid[-1]) if len(grid) else (0.0, 0.0)
        span = (high - low) or 0.1 * abs(high) or 1.0
        if self.kind != "average":
            self._draw_rows(axis, grid, response.individual[0][:, is_known])
        if self.kind != "individual":
            marker = "o" if len(grid) <= _MOST_POINTS_WITH_MARKERS else None
            for values, colour in zip(response.average, self._colours(), strict=True):
                axis.plot(grid, values[is_known], color=colour, lw=2, marker=marker, ms=4)
        seen = response.values[(response.values >= low) & (response.values <= high)]
        axis.vlines(
            seen, 0, _RUG, transform=axis.get_xaxis_transform(), color=_RUG_COLOUR, lw=0.6,
            alpha=float(np.clip(60 / max(1, len(seen)), 0.15, 0.8)),
        )  # fmt: skip
        end = high + (0.34 if response.has_missing else 0.05) * span
        axis.set_xlim(low - 0.05 * span, end)
        if len(grid) == 1:
            axis.set_xticks(grid, labels=[plain_text(low)])
        if response.has_missing:
            self._draw_missing(axis, response, high + 0.08 * span, end)
        axis.set_xlabel(plain_text(response.name))

    def _draw_rows(self, axis: Any, grid: np.ndarray, rows: np.ndarray) -> None:
        from matplotlib.collections import LineCollection

        alpha = float(np.clip(25 / max(1, len(rows)), 0.05, 0.6))
        if len(grid) == 1:
            axis.plot(np.repeat(grid, len(rows)), rows[:, 0], "_", color="C0", alpha=alpha)
            return
        lines = np.stack([np.broadcast_to(grid, rows.shape), rows], axis=2)
        axis.add_collection(LineCollection(lines, color="C0", lw=0.8, alpha=alpha))

    def _draw_missing(self, axis: Any, response: ColumnResponse, start: float, end: float) -> None:
        """Draw the response to a missing value, to the right of the numbers."""
        from matplotlib import rcParams

        x = np.array([(start + end) / 2])
        axis.axvspan(start, end, color=_MISSING, lw=0, zorder=0)
        self._draw_points(axis, x, 0.5 * (end - start), response, slice(-1, None))
        known = response.grid_values[:-1]
        if len(known) != 1:
            ticks = axis.get_xticks()
            axis.set_xticks([t for t in ticks if (known >= t).any() and (known <= t).any()])
        axis.set_xticks(x, labels=["missing"], minor=True)
        pad = rcParams["xtick.major.size"] + rcParams["xtick.major.pad"]
        axis.tick_params(axis="x", which="minor", length=0, pad=pad)

    def _draw_points(
        self, axis: Any, at: np.ndarray, width: float, response: ColumnResponse, points: slice
    ) -> None:
        """Draw the response at single points, and each row's as a small dot beside them."""
        if self.kind != "average":
            rows = response.individual[0][:, points]
            places = at + width * spread(len(rows))[:, None]
            alpha = float(np.clip(150 / len(rows), 0.15, 0.8))
            axis.plot(places.ravel(), rows.ravel(), ".", ms=3, mew=0, color="C0", alpha=alpha)
        if self.kind != "individual":
            for values, colour in zip(response.average, self._colours(), strict=True):
                axis.plot(at, values[points], "o", color=colour, ms=7)

    def _draw_categories(self, axis: Any, response: ColumnResponse) -> None:
        n = len(response.grid_values)
        at = np.arange(n)
        if response.has_missing:
            axis.axvspan(n - 1.5, n - 0.4, color=_MISSING, lw=0, zorder=0)
        self._draw_points(axis, at, 0.5, response, slice(None))
        heights = _BARS * response.counts / response.counts.max()
        axis.bar(
            at,
            heights,
            transform=axis.get_xaxis_transform(),
            color=_BAR_COLOUR,
            width=0.8,
            zorder=1,
        )
        labels = ["missing" if v is None else plain_text(v) for v in response.grid_values]
        axis.set_xticks(at, labels=labels, **rotation(axis, labels))
        axis.tick_params(axis="x", length=0)
        axis.set_xlim(-0.6, n - 0.4)
        n_shown = n - response.has_missing
        more = f" ({n_shown} of {response.n_categories})" if response.n_categories > n_shown else ""
        axis.set_xlabel(f"{plain_text(response.name)}{more}")
