"""Metrics: figures of the predictions after every epoch, on training and on validation rows."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer, get_scorer_names, log_loss

from skdeep._component import (
    InvalidParameterError,
    is_named,
    score_function,
    unknown_name,
    warn_user,
)
from skdeep.callbacks.figures import VALIDATION, direction_of
from skdeep.data.training_data import TrainingData
from skdeep.training.history import COLUMNS

OWN_SCORE = "score"
_FORMS = (
    "give the name of a scorer, a scorer or callable (estimator, X, y), or a function "
    "(y_true, y_pred)"
)
# Names of the second argument of functions that do not take the predictions of predict.
_NOT_PREDICTIONS = ("y_score", "y_prob", "y_proba", "y_pred_proba")


class Rows:
    """Rows as metrics take them: the targets that the user gave, and the weights.

    Parameters
    ----------
    what : str
        The kind of rows, for messages.
    take_X : callable
        Returns the X of the rows. Few metrics need it, so it is not taken before.
    y : array or CSR matrix
    weight : ndarray or None
    """

    def __init__(self, what: str, take_X: Callable[[], Any], y: Any, weight: np.ndarray | None):
        self.what = what
        self.take_X = take_X
        self.y = y
        self.weight = weight

    def are_too_few(self, classes: Any) -> bool:
        """Whether one of the classes is missing in the rows, or there are fewer than two rows."""
        y = self.y
        if isinstance(y, Mapping):  # of several tasks
            return any(_lacks(column, classes.get(name)) for name, column in y.items())
        n_classes = len(classes)
        if y.shape[0] < 2 or not n_classes or sp.issparse(y):
            return y.shape[0] < 2
        if y.ndim == 1:
            return len(np.unique(y)) < n_classes
        return any(len(np.unique(column)) < 2 for column in y.T)


def _lacks(column: np.ndarray, classes: np.ndarray | None) -> bool:
    """Whether the targets of a task lack one of its classes, or have fewer than two rows."""
    if len(column) < 2 or classes is None:
        return len(column) < 2
    if column.ndim == 2:  # several labels
        return any(not {0, 1} <= set(labels.tolist()) for labels in column.T)
    return not set(classes.tolist()) <= set(column.tolist())


class Metric:
    """A figure of the predictions.

    Parameters
    ----------
    name : str
        Its column in the history; the column for validation data begins with "val_".
    function : callable
        Called as function(estimator, X, y), or with the targets and the predictions.
    takes_estimator : bool
    needs_X : bool
        Whether X has to be the rows themselves.
    direction : int or None
        1 if a higher figure is better, -1 if a lower one is, None if that is not known.
    """

    def __init__(
        self,
        name: str,
        function: Callable,
        *,
        takes_estimator: bool = True,
        needs_X: bool = False,
        direction: int | None = 1,
    ):
        self.name = name
        self.function = function
        self.takes_estimator = takes_estimator
        self.needs_X = needs_X
        self.direction = direction
        self.takes_weight = "sample_weight" in _parameters(score_function(function))
        self._has_warned = False

    def figure(self, estimator: Any, rows: Rows, Z: np.ndarray) -> float:
        """Return the figure for rows with raw outputs Z; NaN if it is not defined for them."""
        X = rows.take_X() if self.needs_X else Z
        model = estimator._with_outputs(X, Z)
        y = rows.y.toarray() if sp.issparse(rows.y) and not self.needs_X else rows.y
        first = (model, X, y) if self.takes_estimator else (y, model.predict(X))
        is_weighted = self.takes_weight and rows.weight is not None
        options = {"sample_weight": rows.weight} if is_weighted else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # NaN has a warning of its own
            try:
                value = self.function(*first, **options)
            except Exception as error:
                if not rows.are_too_few(getattr(estimator, "classes_", ())):
                    raise self._error(rows, error) from error
                self._warn(rows, str(error))
                return math.nan
        if not isinstance(value, Real):
            raise InvalidParameterError(
                f"metrics: {self.name!r} returned {value!r}; it has to return a number."
            )
        if math.isnan(value):
            self._warn(rows, "it returned NaN")
        return float(value)

    def _error(self, rows: Rows, error: Exception) -> InvalidParameterError:
        return InvalidParameterError(
            f"metrics: {self.name!r} can't be computed from the {rows.what} rows: "
            f"{type(error).__name__}: {error}"
        )

    def _warn(self, rows: Rows, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warn_user(
                f"metrics: {self.name!r} is not defined for the {rows.what} rows, so the history "
                f"has NaN: {reason}"
            )


class _OwnScore(Metric):
    """The score of the estimator itself."""

    def __init__(self):
        super().__init__(OWN_SCORE, _OwnScore)

    def figure(self, estimator, rows, Z):
        return float(estimator._score_outputs(rows.y, Z, rows.weight))


def figures_of(
    metrics: list[Metric], estimator: Any, rows: Rows, Z: np.ndarray
) -> dict[str, float]:
    """Return the figure of each metric by its name: NaN if an output is not finite."""
    if not metrics:
        return {}
    if not np.isfinite(Z).all():
        return dict.fromkeys((metric.name for metric in metrics), math.nan)
    return {metric.name: metric.figure(estimator, rows, Z) for metric in metrics}


def training_figures(
    metrics: list[Metric], estimator: Any, data: TrainingData
) -> Callable[[np.ndarray, np.ndarray | None], dict[str, float]]:
    """Return the figures as a function of raw outputs and the positions of their rows.

    The positions are None if the rows have the order of the data.
    """
    weight = data.scaled_weight(estimator.network_.dtype)
    y = estimator._scored_targets(data.y)

    def measure(Z: np.ndarray, positions: np.ndarray | None) -> dict[str, float]:
        chosen = data.rows if positions is None else positions
        if chosen is None:
            chosen = slice(None)
        rows = Rows(
            "training",
            lambda: data.X[chosen],
            y[chosen],
            None if weight is None else weight[chosen],
        )
        return figures_of(metrics, estimator, rows, Z)

    return measure


def make_metrics(estimator: Any) -> list[Metric]:
    """Return the metrics of an estimator; raise if they are not allowed."""
    given = getattr(estimator, "metrics", None)
    if given is None:
        return []
    if isinstance(given, Mapping):
        metrics = [_make(spec, estimator, name) for name, spec in given.items()]
    elif isinstance(given, (list, tuple)):
        metrics = [_make(spec, estimator) for spec in given]
    else:
        metrics = [_make(given, estimator)]
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(
                f"metrics={given!r} has two metrics of the name {name!r}; give a dict from names "
                "to metrics."
            )
    return metrics


def directions(metrics: list[Metric]) -> dict[str, int | None]:
    """Return whether higher is better, for each column that the metrics have in the history."""
    return {
        f"{prefix}{metric.name}": metric.direction
        for metric in metrics
        for prefix in ("", VALIDATION)
    }


def check_names(metrics: list[Metric], taken: Mapping[str, Any]) -> None:
    """Raise if a metric has the name of another column of the history."""
    for metric in metrics:
        name = metric.name
        if name in COLUMNS or name in taken or name.startswith(VALIDATION):
            raise InvalidParameterError(
                f"metrics: the name {name!r} is not allowed, as history_ has columns of such "
                "names; give a dict from another name to the metric."
            )


def _make(spec: Any, estimator: Any, name: Any = None) -> Metric:
    """Return the metric that a name or a callable stands for."""
    if isinstance(spec, str):
        return _of_name(spec, estimator, spec if name is None else _checked(name))
    if not callable(spec) or isinstance(spec, type):
        raise InvalidParameterError(f"metrics: {spec!r} is not allowed; {_FORMS}.")
    function = score_function(spec)
    if name is None:
        name = getattr(function, "__name__", "<unnamed>")
    name = _checked(name)
    if function is not spec:  # a scorer of scikit-learn takes predictions, not X
        return Metric(name, spec)
    if _takes_estimator(spec, name):
        return Metric(name, spec, needs_X=True)
    direction = direction_of(getattr(spec, "__name__", "")) or direction_of(name)
    return Metric(name, spec, takes_estimator=False, direction=direction)


def _of_name(spec: str, estimator: Any, name: str) -> Metric:
    if is_named(spec, OWN_SCORE):
        if name != OWN_SCORE or estimator.scoring is not None:
            raise InvalidParameterError(
                f"metrics: {OWN_SCORE!r} is the estimator's own score, as a column of that name "
                f'beside "val_score", so it needs scoring=None. Here, scoring is '
                f"{estimator.scoring!r}; give the name of a scorer."
            )
        return _OwnScore()
    own = estimator._metric_named(spec)
    if own is not None:
        column, metric = own
        return Metric(column if name == spec else name, metric)
    if spec not in get_scorer_names():
        known = [OWN_SCORE, *get_scorer_names()]
        raise InvalidParameterError(unknown_name(spec, known, "metrics"))
    return Metric(name, get_scorer(spec))


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith("<"):
        raise InvalidParameterError(
            f"metrics: {name!r} is no name for a column; give a dict from a name to the metric."
        )
    return name


def _takes_estimator(function: Callable, name: str) -> bool:
    """Whether a callable is called as function(estimator, X, y), not with (y_true, y_pred)."""
    parameters = list(_parameters(function).values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if positional and positional[0].name in ("estimator", "model", "est", "clf"):
        return True
    if function is log_loss or (len(positional) > 1 and positional[1].name in _NOT_PREDICTIONS):
        raise InvalidParameterError(
            f"metrics: {name!r} does not take the predictions of predict; give the name of its "
            "scorer, or sklearn.metrics.make_scorer(function, response_method=...)."
        )
    unset = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) == 3 and not unset:
        return True
    if unset or len(needed) > 2 or (len(positional) < 2 and not open_ended):
        raise InvalidParameterError(
            f"metrics: {name!r} has the arguments {[p.name for p in parameters]}; {_FORMS}. "
            "sklearn.metrics.make_scorer sets further arguments."
        )
    return False


def _parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C
        return inspect.signature(lambda y_true, y_pred: None).parameters
