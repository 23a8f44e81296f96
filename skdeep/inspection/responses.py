"""The response of an estimator to columns of a table: partial dependence, by setting the column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy.stats.mstats import mquantiles
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import check_random_state

from skdeep._component import InvalidParameterError, Limit
from skdeep.data.training_data import checked_weight
from skdeep.tabular.encoding.categories import Selection
from skdeep.tabular.encoding.columns import Column
from skdeep.tabular.encoding.encoder import TabularEncoder
from skdeep.tabular.encoding.tables import Table, read_table
from skdeep.tabular.importance import column_names

KINDS = ("average", "individual", "both")
METHODS = ("predict_proba", "decision_function", "predict")
#: The largest number of classes or outputs that are shown together.
MOST_TARGETS = 10
#: The number of cells of a block of rows that are predicted at a time.
BLOCK = 2**22


@dataclass
class ColumnResponse:
    """The response of an estimator to a column.

    Attributes
    ----------
    name : str
        The name of the column.
    is_category : bool
    grid_values : ndarray of shape (n_points,)
        The values to which the column was set: floats, or objects for categories. The last one is
        NaN, or None for categories, if the column has missing values.
    average : ndarray of shape (n_targets, n_points)
        The mean prediction: the partial dependence.
    individual : ndarray of shape (n_targets, n_rows, n_points) or None
        The prediction for each row, if `kind` asks for it.
    values : ndarray
        For a column of numbers, the finite numbers of the rows.
    counts : ndarray of shape (n_points,) or None
        For a column of categories, the number of rows of X that have each.
    n_categories : int
        The number of categories. There may be more than points.
    """

    name: str
    is_category: bool
    grid_values: np.ndarray
    average: np.ndarray
    individual: np.ndarray | None
    values: np.ndarray
    counts: np.ndarray | None
    n_categories: int

    @property
    def has_missing(self) -> bool:
        """Whether the last point stands for missing values."""
        last = self.grid_values[-1]
        return last is None or bool(last != last)


class Targets(NamedTuple):
    """The classes or outputs whose response is shown.

    Attributes
    ----------
    labels : list
        Their names. None stands for the only output.
    noun : {"Class", "Output"}
    response : str
        The name of the predicted quantity.
    """

    labels: list
    noun: str
    response: str


class _Grid(NamedTuple):
    """The points of a column: values, and for each a row that has it, or -1."""

    values: np.ndarray
    rows: np.ndarray
    counts: np.ndarray | None = None
    n_categories: int = 0


@dataclass
class ResponseSettings:
    """The settings of `column_responses`; `ColumnResponseDisplay.from_estimator` describes them."""

    grid_resolution: int
    percentiles: Sequence[float]
    categorical_features: Any
    max_categories: int
    kind: str

    def check(self) -> None:
        """Raise for a setting that is not allowed."""
        for name, least in (("grid_resolution", 2), ("max_categories", 1)):
            limit, value = Limit(least, integer=True), getattr(self, name)
            if not limit.allows(value):
                raise InvalidParameterError(f"{name}={value!r} is not allowed; give {limit}.")
        if self.kind not in KINDS:
            raise InvalidParameterError(
                f"kind={self.kind!r} is not allowed; choose from {list(KINDS)}."
            )
        share = Limit(0, 1)
        ends = self.percentiles
        is_pair = hasattr(ends, "__len__") and len(ends) == 2 and all(map(share.allows, ends))
        if not is_pair or not ends[0] < ends[1]:
            raise InvalidParameterError(
                f"percentiles={ends!r} is not allowed; give two numbers in [0, 1], the lower first."
            )


def column_responses(
    estimator: Any,
    X: Any,
    columns: Any,
    settings: ResponseSettings,
    *,
    sample_weight: Any = None,
    subsample: int | float | None = None,
    target: Any = None,
    response_method: str = "auto",
    random_state: Any = None,
) -> tuple[list[ColumnResponse], Targets]:
    """Return the response to each column, and the classes or outputs that respond."""
    settings.check()
    table = read_table(X, estimator)
    n_rows = table.shape[0]
    positions = _positions(columns, table)
    weight = checked_weight(sample_weight, np.empty((n_rows, 1)))
    predictor = _Predictor(estimator, response_method, target, table.take(np.arange(1)).X)
    if settings.kind != "average" and len(predictor.targets.labels) > 1:
        raise InvalidParameterError(
            f"kind={settings.kind!r} shows the rows for one {predictor.targets.noun.lower()} only; "
            f"give target, one of {predictor.targets.labels}."
        )
    rows = _sample(subsample, n_rows, weight, check_random_state(random_state))
    sample, weight = table.take(rows), None if weight is None else weight[rows]
    found = []
    for j in positions:
        column = table.column(j)
        is_category = _is_category(j, column, table, estimator, settings.categorical_features)
        grid = _categories(column, settings) if is_category else _numbers(column, settings)
        if not len(grid.values):
            raise ValueError(f"In X, {table.label(j)} holds no finite number; remove it.")
        average, individual = _predicted(predictor, table, sample, j, grid, weight, settings.kind)
        values = np.empty(0) if is_category else column.numbers()[rows].astype(np.float64)
        found.append(
            ColumnResponse(
                name=str(column_names(table)[j]),
                is_category=is_category,
                grid_values=grid.values,
                average=average,
                individual=individual,
                values=values[np.isfinite(values)],
                counts=grid.counts,
                n_categories=grid.n_categories,
            )
        )
    return found, predictor.targets


def _positions(columns: Any, table: Table) -> list[int]:
    """Return the positions of the columns that are named or numbered."""
    is_one = isinstance(columns, (str, Integral)) or not hasattr(columns, "__len__")
    given = [columns] if is_one else list(columns)
    if not given:
        raise InvalidParameterError("columns is empty; give names or positions of columns of X.")
    return [_position(c.item() if isinstance(c, np.generic) else c, table) for c in given]


def _position(column: Any, table: Table) -> int:
    n_columns = table.shape[1]
    if isinstance(column, Integral) and not isinstance(column, bool):
        if 0 <= column < n_columns:
            return int(column)
        raise InvalidParameterError(
            f"columns holds {column}, which is no position of a column; X has {n_columns} columns, "
            f"whose positions are 0 to {n_columns - 1}."
        )
    is_label = not hasattr(column, "__array__")  # an array has no single answer to ==
    if table.names is not None and is_label and column in table.names:
        return table.names.index(column)
    if isinstance(column, str) and table.names is None:
        raise InvalidParameterError(
            f"columns holds the name {column!r}, but X has no column names; give positions, or a "
            "DataFrame."
        )
    if isinstance(column, str):
        raise InvalidParameterError(
            f"columns holds {column!r}, which is no column of X; choose from {table.names}."
        )
    raise InvalidParameterError(
        f"columns holds {column!r}; give names or positions of single columns of X."
    )


def _sample(subsample: Any, n_rows: int, weight: np.ndarray | None, rng) -> np.ndarray:
    """Return the rows over which predictions are averaged, in their order."""
    count, share = Limit(1, integer=True), Limit(0, 1, "(]")
    if subsample is None:
        n_drawn = n_rows
    elif count.allows(subsample):
        n_drawn = min(n_rows, int(subsample))
    elif share.allows(subsample):
        n_drawn = max(1, int(subsample * n_rows))
    else:
        raise InvalidParameterError(
            f"subsample={subsample!r} is not allowed; give {count}, a float in (0, 1], or None for "
            "all rows."
        )
    rows = np.arange(n_rows) if weight is None else np.flatnonzero(weight)
    if n_drawn < len(rows):
        rows = np.sort(rng.choice(rows, n_drawn, replace=False))
    return rows


# Grids --------------------------------------------------------------------------------------------


def _is_category(j: int, column: Column, table: Table, estimator: Any, spec: Any) -> bool:
    """Whether a column is shown as one of categories."""
    if spec is not None and j in Selection(spec, table).positions:
        return True
    if _is_boolean(column) or Selection("from_dtype", table).has(j, column, table.label(j)):
        return True
    encoder = getattr(estimator, "encoder_", None)
    return isinstance(encoder, TabularEncoder) and j in getattr(encoder, "categories_", {})


def _is_boolean(column: Column) -> bool:
    if hasattr(column, "values"):
        return column.values.dtype.kind == "b"
    return bool(column.uniques) and all(isinstance(u, (bool, np.bool_)) for u in column.uniques)


def _categories(column: Column, settings: ResponseSettings) -> _Grid:
    """Return the most frequent categories in order, and None if values are missing."""
    codes, uniques = column.factorize()
    present, first, counts = np.unique(codes, return_index=True, return_counts=True)
    is_missing = present == -1
    places = np.flatnonzero(~is_missing)
    n_categories = len(places)
    if n_categories > settings.max_categories:
        frequent = np.argsort(-counts[places], kind="stable")[: settings.max_categories]
        places = np.sort(places[frequent])
    if not column.is_category:  # a declared order is kept
        try:
            places = np.array(sorted(places, key=lambda i: uniques[present[i]]), np.intp)
        except TypeError:
            places = places[np.argsort(first[places])]
    values = np.empty(len(places) + is_missing.any(), object)
    for i, place in enumerate(places):
        values[i] = uniques[present[place]]
    places = np.concatenate([places, np.flatnonzero(is_missing)])
    return _Grid(values, first[places], counts[places], n_categories)


def _numbers(column: Column, settings: ResponseSettings) -> _Grid:
    """Return numbers between the percentiles, and NaN if values are missing."""
    numbers = column.numbers().astype(np.float64)
    is_finite = np.isfinite(numbers)
    values, first = np.unique(numbers[is_finite], return_index=True)
    rows = np.flatnonzero(is_finite)[first]
    if len(values) >= settings.grid_resolution:
        low, high = mquantiles(numbers[is_finite], settings.percentiles)
        if np.isclose(low, high, rtol=1e-9, atol=0):  # more than the share of equal numbers
            low, high = values[0], values[-1]
        values = np.linspace(low, high, settings.grid_resolution)
        rows = np.full(len(values), -1)
    missing = np.flatnonzero(np.isnan(numbers))[:1]
    return _Grid(
        np.concatenate([values, np.full(len(missing), np.nan)]), np.concatenate([rows, missing])
    )


# Predictions --------------------------------------------------------------------------------------


def _predicted(
    predictor: _Predictor,
    table: Table,
    sample: Table,
    j: int,
    grid: _Grid,
    weight: np.ndarray | None,
    kind: str,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the mean predictions, and those for each row if they are asked for."""
    n_rows, n_targets = sample.shape[0], len(predictor.targets.labels)
    average = np.empty((n_targets, len(grid.values)))
    individual = None if kind == "average" else np.empty((n_targets, n_rows, len(grid.values)))
    step = max(1, BLOCK // (n_rows * sample.shape[1]))
    for points in _blocks(grid, step):
        stacked = sample.take(np.tile(np.arange(n_rows), len(points)))
        if grid.rows[points[0]] < 0:
            cells = stacked.number_cells(j, np.repeat(grid.values[points], n_rows))
        else:
            cells = table.cells(j, np.repeat(grid.rows[points], n_rows))
        P = predictor(stacked.replaced(j, cells))
        P = P.reshape(len(points), n_rows, n_targets)
        average[:, points] = np.average(P, axis=1, weights=weight).T
        if individual is not None:
            individual[:, :, points] = P.transpose(2, 1, 0)
    return average, individual


def _blocks(grid: _Grid, step: int) -> Iterator[np.ndarray]:
    """Yield the points to predict together: numbers of the grid, then values of rows."""
    for points in (np.flatnonzero(grid.rows < 0), np.flatnonzero(grid.rows >= 0)):
        for start in range(0, len(points), step):
            yield points[start : start + step]


class _Predictor:
    """Predicts the classes or outputs that are shown, as columns of an array."""

    targets: Targets

    def __init__(self, estimator: Any, response_method: str, target: Any, row: Any):
        self.estimator = estimator
        self.method = _method(estimator, response_method)
        self.row = row
        labels, noun = self._labels()
        names = {"predict_proba": "Probability", "decision_function": "Decision function"}
        if target is None:
            is_binary = noun == "Class" and len(labels) == 2
            chosen = [1] if is_binary else list(range(len(labels)))
        else:
            is_one = isinstance(target, (str, bytes)) or not hasattr(target, "__len__")
            chosen = [_place(t, labels, noun) for t in ([target] if is_one else target)]
        if not 0 < len(chosen) <= MOST_TARGETS:
            raise InvalidParameterError(
                f"target={target!r} stands for {len(chosen)} of the estimator's {len(labels)} "
                f"{'classes' if noun == 'Class' else 'outputs'}; give one, or a list of at most "
                f"{MOST_TARGETS}."
            )
        self.chosen = chosen
        self.targets = Targets(
            [labels[i] for i in chosen], noun, names.get(self.method, "Prediction")
        )

    def _labels(self) -> tuple[list, str]:
        """Return the names of the columns that the method predicts, and what they stand for."""
        n_columns = self._all(self.row).shape[1]
        classes = getattr(self.estimator, "classes_", None)
        if self.method != "predict" and not self._is_multilabel and classes is not None:
            classes = np.asarray(classes).tolist()
            if len(classes) == n_columns:
                return classes, "Class"
        return [None] if n_columns == 1 else list(range(n_columns)), "Output"

    @property
    def _is_multilabel(self) -> bool:
        return np.ndim(self.estimator.predict(self.row)) == 2

    def _all(self, X: Any) -> np.ndarray:
        """Return the prediction of every class or output."""
        P = getattr(self.estimator, self.method)(X)
        if isinstance(P, list):  # for each output, the probabilities of its classes
            if any(p.shape[1] != 2 for p in P):
                raise ValueError(
                    "The estimator predicts several outputs with several classes each, which is "
                    "not supported; give an estimator for one output."
                )
            P = np.column_stack([p[:, 1] for p in P])
        if isinstance(P, Mapping):
            raise ValueError(
                "The estimator predicts several tasks; give a view of one of them: "
                "estimator.for_task(name)."
            )
        P = np.asarray(P)
        if P.dtype.kind not in "fiub":
            example = P.ravel()[:1].tolist()[0]
            raise ValueError(
                f"The estimator predicts {example!r}, which is not a number; give an estimator "
                "that predicts numbers or probabilities."
            )
        if P.ndim == 1 and self.method == "decision_function" and is_classifier(self.estimator):
            return np.column_stack([-P, P])
        return P.reshape(len(P), -1).astype(np.float64)

    def __call__(self, X: Any) -> np.ndarray:
        return self._all(X)[:, self.chosen]


def _method(estimator: Any, response_method: str) -> str:
    """Return the name of the method that predicts."""
    if response_method not in ("auto", *METHODS):
        raise InvalidParameterError(
            f"response_method={response_method!r} is not allowed; choose from {['auto', *METHODS]}."
        )
    if response_method != "auto":
        wanted: Sequence[str] = [response_method]
    elif is_regressor(estimator):
        wanted = ["predict"]
    else:
        wanted = METHODS[:2] if is_classifier(estimator) else METHODS
    found = next((m for m in wanted if hasattr(estimator, m)), None)
    if found is None:
        raise ValueError(
            f"{type(estimator).__name__} has no method {' or '.join(wanted)}; give an estimator "
            "that has one."
        )
    return found


def _place(target: Any, labels: list, noun: str) -> int:
    """Return the position of a class or output."""
    target = target.item() if isinstance(target, np.generic) else target
    places = [i for i, label in enumerate(labels) if label is not None and label == target]
    places = [0] if labels == [None] and target == 0 else places
    if not places:
        known = [0] if labels == [None] else labels
        what = "class" if noun == "Class" else "output"
        raise InvalidParameterError(
            f"target={target!r} is no {what} of the estimator; choose from {known}."
        )
    return places[0]
