"""Curves over epochs and over learning rates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeep._component import resolve
from skdeep.building.checks import check_callbacks, uses_lbfgs
from skdeep.building.parts import numbers_over_time
from skdeep.callbacks import LayerStatistics
from skdeep.inspection import RangeTest, learning_rate_range_test
from skdeep.plotting.base import Display, colours
from skdeep.schedules import SCHEDULES, Progress, Schedule


class TrainingCurveDisplay(Display):
    """Loss and score of each epoch, or other figures, on training and validation data.

    A figure of the training data is a mean over the epoch, while the weights change. So it is drawn
    half an epoch to the left. With the solver "lbfgs" it is a figure of the weights at the end.

    Parameters
    ----------
    histories : dict of dict
        The `history_` of each model, by the model's name.
    best : dict of (int or None)
        The best epoch of each model, counted from 1, by the model's name.
    metric : str, sequence of str or None, default=None
        The figures to draw beside the loss, such as "accuracy": with the key `metric` of a history
        for the training data, and f"val_{metric}" for validation data. None is the score, if there
        is one.
    at_the_end : collection of str, default=()
        The names of the models whose training figures belong to the ends of the epochs.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        One for the loss, and one for the score or each metric.
    figure_ : Figure
    """

    def __init__(
        self,
        histories: Mapping[str, Mapping],
        best: Mapping[str, int | None],
        metric: str | Sequence[str] | None = None,
        at_the_end: Collection[str] = (),
    ):
        self.histories = histories
        self.best = best
        self.metric = metric
        self.at_the_end = at_the_end

    @classmethod
    def from_estimator(
        cls,
        *estimators: Any,
        names: Sequence[str] | None = None,
        metric: str | Sequence[str] | None = None,
        ax: Any = None,
    ):
        """Draw the curves of one or several fitted estimators.

        Parameters
        ----------
        *estimators : fitted estimators of skdeep
        names : sequence of str or None, default=None
            The names in the legend; None uses the classes of the estimators.
        metric : str, sequence of str or None, default=None
            The figures to draw beside the loss; None is the score, if there is one.
        ax : Axes, sequence of Axes or None, default=None

        Returns
        -------
        TrainingCurveDisplay
        """
        if not estimators:
            raise ValueError("TrainingCurveDisplay: give at least one fitted estimator.")
        for estimator in estimators:
            check_is_fitted(estimator, "history_")
        if names is None:
            kinds = [type(e).__name__ for e in estimators]
            names = kinds if len(kinds) == 1 else [f"{k} {i + 1}" for i, k in enumerate(kinds)]
        if len(names) != len(estimators) or len(set(names)) < len(names):
            raise ValueError(f"names={names!r}: give {len(estimators)} different names.")
        histories = {n: e.history_ for n, e in zip(names, estimators, strict=True)}
        best = {n: e.best_iter_ for n, e in zip(names, estimators, strict=True)}
        at_the_end = [n for n, e in zip(names, estimators, strict=True) if uses_lbfgs(e)]
        return cls(histories, best, metric, at_the_end).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes, sequence of Axes or None, default=None
            One axes for the loss, and one for each metric or for the score.

        Returns
        -------
        self
        """
        keys = ["loss", *self._metrics()]
        axes = self._many_axes(ax, 1, len(keys), (5.2 * len(keys), 4.0))
        by_model = zip(self.histories.items(), _cycle(len(self.histories)), strict=True)
        for (name, history), colour in by_model:
            label = "" if len(self.histories) == 1 else f"{name}: "
            for axis, key in zip(axes, keys, strict=False):
                for part, of_key, style in _parts(key):
                    if of_key in history:
                        epochs = np.arange(1, len(history["loss"]) + 1) - self._lead(name, of_key)
                        _curve(axis, epochs, history[of_key], f"{label}{part}", colour, style)
                self._mark_best(axis, key, name, history, colour)
        for axis, key in zip(axes, keys, strict=False):
            axis.set(xlabel="Epoch", ylabel=self._label(key))
            if ax is None:
                axis.locator_params(axis="x", integer=True)
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
        return self

    def _metrics(self) -> list[str]:
        """Return the names of the figures beside the loss."""
        known = {key for history in self.histories.values() for key in history}
        if self.metric is None:
            return ["score"] if {"score", "val_score"} & known else []
        metrics = [self.metric] if isinstance(self.metric, str) else list(self.metric)
        for metric in metrics:
            if not {metric, f"val_{metric}"} & known:
                raise ValueError(
                    f"TrainingCurveDisplay: metric={metric!r} is not in history_; choose from "
                    f"{sorted({key.removeprefix('val_') for key in known})}."
                )
        return metrics

    def _lead(self, name: str, key: str) -> float:
        """Return how many epochs before its end a figure of an epoch belongs."""
        is_running = not key.startswith("val_") and name not in self.at_the_end
        return 0.5 if is_running else 0.0

    def _label(self, key: str) -> str:
        if key == "score" and not any(key in history for history in self.histories.values()):
            return "Validation score"
        return key.capitalize() if key in ("loss", "score") else key

    def _mark_best(self, axis, key: str, name: str, history: Mapping, colour: str) -> None:
        best = self.best[name]
        if best is None or not 1 <= best <= len(history["loss"]):
            return
        key = f"val_{key}" if f"val_{key}" in history else key
        if key in history:
            axis.plot(
                best - self._lead(name, key), history[key][best - 1], "o", color=colour,
                mfc="white", label=f"best epoch ({best})", zorder=3,
            )  # fmt: skip


def _parts(key: str) -> list[tuple[str, str, str]]:
    """Return the label, the key and the line style of the two curves of a figure."""
    return [("training", key, "-"), ("validation", f"val_{key}", "--")]


def _curve(axis, epochs, values, label: str, colour: str, style: str) -> None:
    marker = "." if len(values) < 3 else None
    axis.plot(epochs, values, style, color=colour, label=label, marker=marker)


def _cycle(n: int) -> list[str]:
    return [f"C{i % 10}" for i in range(n)]


class LearningRateRangeDisplay(Display):
    """The loss over a sweep of learning rates.

    Parameters
    ----------
    sweep : RangeTest
    """

    def __init__(self, sweep: RangeTest):
        self.sweep = sweep

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None, **options):
        """Make a sweep over learning rates, and draw it.

        Parameters
        ----------
        estimator : estimator of skdeep
        X, y : data as fit takes them
        ax : Axes or None, default=None
        **options
            Options of `skdeep.inspection.learning_rate_range_test`.

        Returns
        -------
        LearningRateRangeDisplay
        """
        return cls(learning_rate_range_test(estimator, X, y, **options)).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes or None, default=None

        Returns
        -------
        self
        """
        ax, sweep = self._one_axes(ax), self.sweep
        ax.plot(sweep.rates, sweep.losses)
        ax.axvline(
            sweep.suggestion, color="C1", ls="--", label=f"suggestion: {sweep.suggestion:.2g}"
        )
        low, high = np.nanmin(sweep.losses), sweep.losses[0]
        margin = 0.5 * max(high - low, 1e-12)
        ax.set(
            xscale="log",
            xlabel="Learning rate",
            ylabel="Loss (smoothed)",
            ylim=(low - 0.2 * margin, high + margin),
        )
        ax.grid(alpha=0.3)
        ax.legend()
        return self


class GradientFlowDisplay(Display):
    """The gradients and the step sizes of each layer and epoch.

    Parameters
    ----------
    statistics : LayerStatistics
        The callback, after training.

    Attributes
    ----------
    ax_ : ndarray of Axes
    figure_ : Figure
    """

    def __init__(self, statistics: LayerStatistics):
        self.statistics = statistics

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None):
        """Draw the statistics that the estimator's LayerStatistics has recorded.

        Parameters
        ----------
        estimator : fitted estimator of skdeep
            One of its callbacks has to be a `LayerStatistics`.
        ax : sequence of two Axes or None, default=None

        Returns
        -------
        GradientFlowDisplay
        """
        callbacks = check_callbacks(estimator.callbacks)
        found = [c for c in callbacks if isinstance(c, LayerStatistics)]
        if not found or not hasattr(found[0], "statistics_"):
            raise ValueError(
                "GradientFlowDisplay needs the records of LayerStatistics: fit with "
                "callbacks=[skdeep.callbacks.LayerStatistics()]."
            )
        return cls(found[0]).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : sequence of two Axes or None, default=None

        Returns
        -------
        self
        """
        axes = self._many_axes(ax, 1, 2, (11.0, 4.2))
        statistics, layers = self.statistics.statistics_, self.statistics.layers_
        titles = {
            "gradient_norm": "Norm of the gradient",
            "update_ratio": "Size of a step / of the weights",
        }
        for axis, (key, title) in zip(axes, titles.items(), strict=False):
            table = np.array(statistics[key], dtype=float)
            epochs = np.arange(1, len(table) + 1)
            for column, name, colour in zip(
                table.T, layers, colours(len(layers), type(self).__name__), strict=True
            ):
                shown = np.where(column > 0, column, np.nan)
                axis.plot(epochs, shown, color=colour, label=name.removesuffix(".kernel"))
            axis.set(xlabel="Epoch", ylabel=title, yscale="log")
            axis.grid(alpha=0.3)
        axes[1].legend(title="Layer", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return self


class ScheduleDisplay(Display):
    """The learning rate, and other numbers that change over time, without training.

    Parameters
    ----------
    epochs, rates : dict of ndarray
        The epochs, and the learning rate at each, by the name of the schedule.
    numbers : dict of ndarray or None, default=None
        Other numbers at these epochs, by name. They have an axis of their own, on the right.

    Attributes
    ----------
    ax_ : Axes
    numbers_ax_ : Axes or None
        The axes of the other numbers.
    figure_ : Figure
    """

    def __init__(
        self,
        epochs: Mapping[str, np.ndarray],
        rates: Mapping[str, np.ndarray],
        numbers: Mapping[str, np.ndarray] | None = None,
    ):
        self.epochs = epochs
        self.rates = rates
        self.numbers = dict(numbers or {})

    @classmethod
    def from_schedules(
        cls,
        *schedules: str | Schedule,
        learning_rate_init: float = 1e-3,
        n_epochs: int = 100,
        ax: Any = None,
    ):
        """Draw one or several schedules.

        Parameters
        ----------
        *schedules : str or Schedule
        learning_rate_init : float, default=1e-3
        n_epochs : int, default=100
            The number of epochs, as `max_iter` gives it to an estimator.
        ax : Axes or None, default=None

        Returns
        -------
        ScheduleDisplay
        """
        epochs, rates = {}, {}
        for given in schedules:
            name = given if isinstance(given, str) else repr(given)
            name = name if name not in rates else f"{name} ({len(rates) + 1})"
            epochs[name], rates[name] = _over_epochs(given, learning_rate_init, n_epochs)
        return cls(epochs, rates).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None):
        """Draw the schedules of an estimator, which need not be fitted.

        They are that of the learning rate, and those of dropout, noise and weight decay.

        Parameters
        ----------
        estimator : estimator of skdeep
        ax : Axes or None, default=None

        Returns
        -------
        ScheduleDisplay
        """
        spec, n_epochs = estimator.learning_rate, estimator.max_iter
        name = spec if isinstance(spec, str) else repr(spec)
        epochs, rates = _over_epochs(spec, estimator.learning_rate_init, n_epochs)
        numbers = {
            key: _over_epochs(number.schedule, number.value, n_epochs)[1]
            for key, number in numbers_over_time(
                estimator, getattr(estimator, "network_", None)
            ).items()
        }
        return cls({name: epochs}, {name: rates}, numbers).plot(ax=ax)

    def plot(self, ax: Any = None):
        """Draw.

        Parameters
        ----------
        ax : Axes or None, default=None

        Returns
        -------
        self
        """
        ax = self._one_axes(ax)
        for name, rates in self.rates.items():
            ax.plot(self.epochs[name], rates, label=name)
        ax.set(xlabel="Epoch", ylabel="Learning rate")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
        self.numbers_ax_ = None
        lines = list(ax.get_lines())
        if self.numbers:
            self.numbers_ax_ = right = ax.twinx()
            epochs = next(iter(self.epochs.values()))
            for i, (name, values) in enumerate(self.numbers.items(), len(lines)):
                lines += right.plot(epochs, values, label=name, color=f"C{i % 10}", linestyle="--")
            right.set(ylabel="Other numbers")
            right.set_ylim(bottom=0)
        ax.legend(handles=lines, fontsize="small")
        return self


def _over_epochs(
    given: str | Schedule, initial: float, n_epochs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs, and the number that a schedule gives at each."""
    schedule = resolve(given, SCHEDULES, "schedule", Schedule)
    schedule.reset()
    epochs = np.linspace(0, n_epochs, 20 * n_epochs + 1)[:-1]
    return epochs, np.array(
        [schedule.rate(initial, _progress(at, n_epochs, schedule)) for at in epochs]
    )


def _progress(at: float, n_epochs: int, schedule: Schedule) -> Progress:
    epoch = at if schedule.every_step else np.floor(at)
    return Progress(float(epoch), n_epochs, rows=int(epoch) * 1000, fresh=epoch < 1)
