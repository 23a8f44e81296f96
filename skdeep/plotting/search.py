"""Pictures of a search for hyperparameters: the scores of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, unknown_name
from skdeep.inspection.coordinates import Coordinate
from skdeep.inspection.hyperparameters import (
    HyperparameterImportances,
    hyperparameter_importance,
)
from skdeep.inspection.searches import SearchResults, read_cv_results, read_search, short_names
from skdeep.plotting.base import Display, check_n_cols, plain_text, pyplot, rotation, spread

KINDS = ("both", "parameters", "rungs")
BEST, FAILED, APART = "#D55E00", "#8C2D04", "0.95"
#: The most hyperparameters that are shown if `params` names none.
MOST_PARAMS = 12
_LONGEST_NAME = 32
# The height of marks at the bottom, and the room for them, as parts of the height.
_BOTTOM, _ROOM = 0.045, 0.1


class SearchPicture(Display):
    """Base class of the pictures of a search: what is read, and which hyperparameters are shown.

    `importances` holds the importance of each hyperparameter by name. It is empty if there are too
    few candidates, or if the forest behind it has learned too little for figures. `n_hidden`
    hyperparameters are not shown.
    """

    def __init__(self, results: SearchResults, params: Sequence[str] | None = None):
        self.results = results
        found = _importances(results)
        shares = found.importances.tolist() if found else []
        self._shares = dict(zip(results.names, shares, strict=False))
        self.importances = self._shares if found and found.forest_score > 0 else {}
        self.short_names = short_names(results.names)
        self.params = self._chosen(params)
        self.coordinates = {name: results.coordinates[name] for name in self.params}

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        params: Sequence[str] | None = None,
        metric: str | None = None,
        ax: Any = None,
        **options,
    ):
        """Draw the results of a search.

        Parameters
        ----------
        search : fitted search
            A search of scikit-learn or skdeep, an `OptunaSearchCV`, or a study of Optuna.
        params : sequence of str or None, default=None
            The hyperparameters to show, in this order. The steps before a name may be left out.
            None shows those with more than one value, the most important first, at most 12.
        metric : str or None, default=None
            The metric, if the search has several. None is the one of `refit`.
        ax : Axes, sequence of Axes or None, default=None
        **options
            Other parameters of the class.

        Returns
        -------
        display
        """
        return cls(read_search(search, metric), params, **options).plot(ax=ax)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        *,
        params: Sequence[str] | None = None,
        metric: str | None = None,
        ax: Any = None,
        **options,
    ):
        """Draw results that were kept without their search.

        Parameters
        ----------
        cv_results : dict or DataFrame
            The attribute `cv_results_` of a search.
        params, metric, ax, **options
            As for `from_search`.

        Returns
        -------
        display
        """
        return cls(read_cv_results(cv_results, metric), params, **options).plot(ax=ax)

    def _chosen(self, params: Sequence[str] | None) -> list[str]:
        """Return the full names of the hyperparameters to show."""
        names = self.results.names
        if params is None:
            varied = [n for n in names if self.results.coordinates[n].n_distinct > 1] or names
            varied = sorted(varied, key=lambda name: -self._shares.get(name, 0.0))
            self.n_hidden = max(0, len(varied) - MOST_PARAMS)
            return varied[:MOST_PARAMS]
        self.n_hidden = 0
        by_any_name = {short: name for name, short in self.short_names.items()}
        by_any_name |= {name: name for name in names}
        given = [params] if isinstance(params, str) else list(params)
        for name in given:
            if name not in by_any_name:
                raise InvalidParameterError(unknown_name(str(name), by_any_name, "params"))
        return list(dict.fromkeys(by_any_name[name] for name in given))

    def _check_params(self) -> None:
        if not self.params:
            raise InvalidParameterError("The candidates of the search have no hyperparameters.")

    def _name(self, axis: Coordinate) -> str:
        return plain_text(self.short_names[axis.name], _LONGEST_NAME)

    def _title(self, axis: Coordinate) -> str:
        """Return the importance of a hyperparameter."""
        known = self.importances.get(axis.name)
        return "" if known is None else f"importance {known:.0%}".replace("%", " %")

    def _hidden(self) -> str:
        n = len(self.params)
        which = f"{n} most important" if self.importances else f"first {n}"
        return f"The {which} of {n + self.n_hidden} hyperparameters"


def _importances(results: SearchResults) -> HyperparameterImportances | None:
    try:
        return hyperparameter_importance(results, random_state=0)
    except InvalidParameterError:  # too few candidates have a score
        return None


def spread_places(axis: Coordinate) -> np.ndarray:
    """Return the place of each candidate; those of one value lie side by side."""
    return axis.places + axis.widths * spread(len(axis.places))


class SearchDisplay(SearchPicture):
    """The score of each candidate of a search against each hyperparameter.

    Each hyperparameter has axes with a scale that suits its values: a logarithmic one for numbers
    that spread over decades, that of 1 - v for momenta close to 1, and columns for categories. If
    the search halves its candidates, a vertical line connects the scores of a candidate on its
    rungs, and the first axes show all scores over the epochs.

    Parameters
    ----------
    results : SearchResults
        The scores and the hyperparameters.
    params : sequence of str or None, default=None
        The hyperparameters to show. None shows those with more than one value, the most important
        first, at most 12.
    kind : {"both", "parameters", "rungs"}, default="both"
        Whether to draw the scores against the hyperparameters, those over the rungs, or both. A
        search without rungs only has the first.
    n_cols : int, default=4
        The largest number of axes in a row of a new figure.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        One for the rungs, and one for each hyperparameter.
    figure_ : Figure

    See Also
    --------
    ParallelCoordinatesDisplay : All hyperparameters of a candidate as one line.
    skdeep.inspection.hyperparameter_importance : The shares above the axes.
    """

    def __init__(
        self,
        results: SearchResults,
        params: Sequence[str] | None = None,
        kind: str = "both",
        n_cols: int = 4,
    ):
        if kind not in KINDS:
            raise InvalidParameterError(f"kind={kind!r} is not allowed; choose from {list(KINDS)}.")
        check_n_cols(n_cols)
        super().__init__(results, params)
        self.kind = kind
        self.n_cols = n_cols
        has_rungs = results.resources is not None
        if kind == "rungs" and not has_rungs:
            raise InvalidParameterError(
                'kind="rungs" is for searches that halve their candidates; this one has no rungs.'
            )
        self._has_rungs = has_rungs and kind != "parameters"

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes, sequence of Axes or None, default=None
            One for the rungs, if there are rungs, and one for each hyperparameter.

        Returns
        -------
        self
        """
        drawn = [] if self.kind == "rungs" else list(self.coordinates.values())
        if not self._has_rungs:
            self._check_params()
        n = len(drawn) + self._has_rungs
        axes = self._axes_in_rows(ax, n, self.n_cols, (2.9, 2.7), 1.8, (7.0, 4.2))
        rows = _Rows(self.results)
        for i, axis in enumerate(axes):
            axis.set_ylim(rows.limits)
            axis.grid(axis="y", alpha=0.3)
            axis.set_axisbelow(True)
            if ax is not None or i % self.n_cols == 0:
                axis.set_ylabel(plain_text(self.results.score_label, _LONGEST_NAME))
        if self._has_rungs:
            _draw_rungs(axes[0], self.results, rows)
        for axis, place in zip(axes[self._has_rungs :], drawn, strict=False):
            self._draw_parameter(axis, place, rows)
        self._draw_legend(axes, rows, ax is None)
        return self

    def _draw_parameter(self, axis: Any, place: Coordinate, rows: _Rows) -> None:
        x = spread_places(place)[self.results.candidates]
        for low, high in place.apart:
            axis.axvspan(low, high, color=APART, lw=0, zorder=0)
        rows.draw(axis, x)
        axis.set_xlim(place.low, place.high)
        axis.tick_params(axis="x", labelsize="small")
        ticks = place.ticks if place.scale == "category" else _thinned(axis, place)
        labels = [label.replace("$", r"\$") for _, label in ticks]
        turned = {}
        if place.scale == "category":
            longest = [max(label.split("\n"), key=len) for label in labels]
            turned = rotation(axis, longest)
            axis.tick_params(axis="x", length=0)
        axis.set_xticks([at for at, _ in ticks], labels=labels, **turned)
        note = f" ({place.note})" if place.note else ""
        axis.set_xlabel(f"{self._name(place)}{note}")
        axis.set_title(self._title(place), fontsize="small", color="0.4", loc="right")

    def _draw_legend(self, axes: Any, rows: _Rows, is_own: bool) -> None:
        options = {"handles": rows.handles(), "fontsize": "small"}
        if not is_own:
            axes[0].legend(framealpha=0.7, **{**options, "fontsize": "x-small"})
            return
        self.figure_.legend(loc="outside right upper", **options)
        if self.n_hidden and self.kind != "rungs":
            self.figure_.supxlabel(self._hidden(), fontsize="small", color="0.4")


class _Rows:
    """How the evaluations of a search are drawn: by rungs, the best, and those without a score."""

    def __init__(self, results: SearchResults):
        self.results = results
        scores, has_score = results.scores, results.has_score
        self.low = results.lowest_score()
        self.is_failed = ~has_score
        self.is_below = has_score & (scores < self.low)
        self.is_shown = has_score & ~self.is_below
        self.levels = np.unique(results.rungs)
        self.limits = self._limits()
        steps = np.lexsort((results.rungs, results.candidates))
        pairs = np.column_stack([steps[:-1], steps[1:]])
        of_one = results.candidates[pairs[:, 0]] == results.candidates[pairs[:, 1]]
        self.pairs = pairs[of_one & has_score[pairs].all(axis=1)]

    def _limits(self) -> tuple[float, float]:
        shown = self.results.scores[self.is_shown]
        low, high = (shown.min(), shown.max()) if len(shown) else (0.0, 1.0)
        room = high - low
        if room <= 1e-9 * max(abs(low), abs(high)):
            room = 0.1 * abs(high) or 0.1
            low, high = low - room / 2, high + room / 2
        bottom = _ROOM if (self.is_failed | self.is_below).any() else 0.0
        unit = room / (0.9 - bottom)
        return low - (0.05 + bottom) * unit, high + 0.05 * unit

    def style(self, level: int) -> dict:
        """Return how the candidates on a rung are drawn: pale, or on the highest rung dark."""
        palette = pyplot("SearchDisplay").get_cmap("Blues")
        n = len(self.levels)
        share = 1.0 if n == 1 else list(self.levels).index(level) / (n - 1)
        many = len(self.results.params) > 200
        return {
            "color": palette(0.75 if n == 1 else 0.35 + 0.6 * share),
            "marker": "o",
            "ls": "none",
            "ms": (3.5 if many else 4.5) + 1.5 * share * (n > 1),
            "mec": "white",
            "mew": 0.3 if many else 0.5,
            "alpha": 0.8 if n == 1 else 1.0,
        }

    def draw(self, axis: Any, x: np.ndarray) -> None:
        """Draw every evaluation at its x."""
        from matplotlib.collections import LineCollection

        results, scores = self.results, self.results.scores
        lines = np.stack([x[self.pairs], scores[self.pairs]], axis=2)
        axis.add_collection(LineCollection(list(lines), color="0.75", lw=0.8, zorder=1))
        for level in self.levels:
            rows = self.is_shown & (results.rungs == level)
            axis.plot(x[rows], scores[rows], **self.style(level), zorder=2 + 0.01 * level)
        for rows, style in ((self.is_failed, _FAILED), (self.is_below, _BELOW)):
            bottom = np.full(rows.sum(), _BOTTOM)
            axis.plot(x[rows], bottom, transform=axis.get_xaxis_transform(), **style, zorder=3)
        if results.best is not None:
            axis.plot(x[results.best], scores[results.best], **_BEST, zorder=4)

    def handles(self) -> list:
        """Return the lines of a legend."""
        from matplotlib.lines import Line2D

        results = self.results
        found = [(self.style(level), self._label(level)) for level in reversed(self.levels)]
        if results.best is not None:
            found.insert(0, (_BEST, f"best: {results.scores[results.best]:.4g}"))
        if self.is_below.any():
            found.append((_BELOW, f"below {self.low:.3g} ({self.is_below.sum()})"))
        if self.is_failed.any():
            found.append((_FAILED, f"failed ({self.is_failed.sum()})"))
        return [Line2D([], [], label=label, **style) for style, label in found]

    def _label(self, level: int) -> str:
        results = self.results
        rows = results.rungs == level
        n = f"{rows.sum()} candidates" if rows.sum() > 1 else "1 candidate"
        if level < 0:
            return f"pruned: {n}"
        if self.levels[0] < 0:
            return f"complete: {n}"
        if results.resources is None or len(self.levels) == 1:
            return n
        amount, name = f"{results.resources[rows].max():.6g}", results.resource_label
        is_word = name in ("Epochs", "Rows", "Resources")
        return f"{amount} {name.lower()}: {n}" if is_word else f"{plain_text(name)} {amount}: {n}"


_BEST = {
    "marker": "*", "ms": 14, "color": BEST, "mec": "black", "mew": 0.8, "ls": "none",
}  # fmt: skip
_FAILED = {"marker": "x", "ms": 6, "color": FAILED, "mew": 1.4, "ls": "none"}
_BELOW = {"marker": "v", "ms": 5, "color": "0.35", "ls": "none"}


def _draw_rungs(axis: Any, results: SearchResults, rows: _Rows) -> None:
    """Draw the scores over the resources, with a line for each candidate."""
    x = results.resources
    rows.draw(axis, x)
    if results.best is not None:
        own = np.flatnonzero(
            (results.candidates == results.candidates[results.best]) & rows.is_shown
        )
        own = own[np.argsort(results.rungs[own])]
        axis.plot(x[own], results.scores[own], color=BEST, lw=1.5, zorder=3)
    marks = np.unique(x)
    if marks[0] > 0 and marks[-1] > 2.5 * marks[0]:
        axis.set_xscale("log")
    if len(marks) <= 8:
        axis.set_xticks(marks, labels=[f"{m:.6g}" for m in marks])
        axis.set_xticks([], minor=True)
    axis.set_xlabel(plain_text(results.resource_label, _LONGEST_NAME))


def _thinned(axis: Any, place: Coordinate) -> list[tuple[float, str]]:
    """Return ticks whose labels have room side by side; those apart from the scale stay."""
    width = axis.get_window_extent().width / axis.figure.dpi * 72 / (place.high - place.low)
    kept: list[tuple[float, str]] = []
    for at, label in sorted(place.ticks, key=lambda tick: -0.06 < tick[0] < 1.06):
        if all(
            abs(at - other) * width > 2.7 * (len(label) + len(text)) + 3 for other, text in kept
        ):
            kept.append((at, label))
    return sorted(kept)
