"""Error, log-loss and time of models for tables, side by side on the same rows.

All models have their defaults. A round is a seed: of the splits, and of the models. A table is
split into 64 % training, 16 % validation and 20 % test rows, stratified by class. The tables are
some that are part of scikit-learn, or those of a folder of files.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.models import MODELS, Setting
from benchmarks.table import NO_VALUE, digits, markdown

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Tables: error, log-loss and time of models for tables"
MOST_TRAINING_ROWS, MOST_VALIDATION_ROWS = 10_000, 2_500
SMALLEST_PROBABILITY = 1e-15
SHIFT = 0.01  # of geometric means: one row of an easy table changes little


@dataclass(frozen=True)
class Table:
    """A data frame of numbers and of columns of the dtype category, and its targets.

    The targets of classes are 0, 1, ... `task` is "regression", "binary" or "multiclass".
    """

    X: pd.DataFrame
    y: np.ndarray
    task: str

    @property
    def is_classification(self) -> bool:
        return self.task != "regression"


@dataclass(frozen=True)
class Outcome:
    """The result of one fit. The log-loss is NaN for regression."""

    table: str
    task: str
    model: str
    error: float
    log_loss: float
    fit_seconds: float
    predict_seconds: float


# Tables -------------------------------------------------------------------------------------------


def _of_scikit_learn(load: Callable, task: str, **arguments) -> Table:
    X, y = load(return_X_y=True, as_frame=True, **arguments)
    if "sex" in X:
        X = X.astype({"sex": "category"})
    return Table(X, y.to_numpy(), task)


SHIPPED: dict[str, Callable[[], Table]] = {
    "breast_cancer": lambda: _of_scikit_learn(datasets.load_breast_cancer, "binary"),
    "iris": lambda: _of_scikit_learn(datasets.load_iris, "multiclass"),
    "wine": lambda: _of_scikit_learn(datasets.load_wine, "multiclass"),
    "digits": lambda: _of_scikit_learn(datasets.load_digits, "multiclass"),
    "diabetes": lambda: _of_scikit_learn(datasets.load_diabetes, "regression", scaled=False),
}
QUICK = ("wine", "diabetes")


def read_table(path: Path) -> Table:
    """Return a table from a .npz file.

    The file holds `num` (numbers; NaN is missing) and `num_columns` (their names), `cat` (codes of
    categories; -1 is missing), `cat_columns`, and the names of the categories of column j in
    `cats_j`, `columns` (all names in order), `y` and `task`.
    """
    import pandas as pd

    with np.load(path) as file:
        columns = dict(zip(map(str, file["num_columns"]), file["num"].T, strict=True))
        for j, (name, codes) in enumerate(zip(file["cat_columns"], file["cat"].T, strict=True)):
            names = [str(category) for category in file[f"cats_{j}"]]
            columns[str(name)] = pd.Categorical.from_codes(codes.astype(int), categories=names)
        X = pd.DataFrame({str(name): columns[str(name)] for name in file["columns"]})
        return Table(X, file["y"], str(file["task"]))


def split(table: Table, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions of the training, the validation and the test rows."""

    def parted(rows: np.ndarray, random_state: int, **sizes) -> list[np.ndarray]:
        classes = table.y[rows] if table.is_classification else None
        return train_test_split(rows, random_state=random_state, stratify=classes, **sizes)

    def at_most(rows: np.ndarray, n_rows: int, random_state: int) -> np.ndarray:
        if len(rows) <= n_rows:
            return rows
        return parted(rows, random_state, train_size=n_rows)[0]

    rest, test = parted(np.arange(len(table.y)), 1000 + seed, test_size=0.2)
    training, validation = parted(rest, 2000 + seed, test_size=0.2)
    training = at_most(training, MOST_TRAINING_ROWS, 3000 + seed)
    return training, at_most(validation, MOST_VALIDATION_ROWS, 4000 + seed), test


# Measurements -------------------------------------------------------------------------------------


def default_threads() -> int:
    """Return the number of threads that NumPy's matrix products use."""
    counts = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(counts, default=1)


def compare(name: str, table: Table, model: str, setting: Setting) -> Outcome:
    """Fit a model to the training rows, and judge it by the test rows."""
    entry = MODELS[model]
    training, validation, test = split(table, setting.seed)
    X, X_val, X_test = entry.prepare([table.X.iloc[rows] for rows in (training, validation, test)])
    arguments = entry.fit_arguments(X) if entry.fit_arguments else {}
    if entry.validates:
        arguments |= {"X_val": X_val, "y_val": table.y[validation]}
    estimator = entry.make(setting)  # before the limit, which holds for libraries that are loaded
    with threadpool_limits(setting.n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        estimator.fit(X, table.y[training], **arguments)
        fitted = time.perf_counter()
        predict = estimator.predict_proba if table.is_classification else estimator.predict
        P = np.asarray(predict(X_test), dtype=float)
        seconds = fitted - start, time.perf_counter() - fitted
    return Outcome(name, table.task, model, *judge(P, table, test), *seconds)


def judge(P: np.ndarray, table: Table, test: np.ndarray) -> tuple[float, float]:
    """Return the error and the log-loss of predictions for the test rows."""
    y = table.y[test]
    if not table.is_classification:
        return float(np.mean((P.ravel() - y) ** 2) / np.var(y)), math.nan
    n_classes = int(table.y.max()) + 1
    if P.shape != (len(y), n_classes):
        raise ValueError(f"probabilities of shape {P.shape}, for {n_classes} classes")
    bounded = np.clip(P, SMALLEST_PROBABILITY, 1)
    bounded /= bounded.sum(axis=1, keepdims=True)
    loss = log_loss(y, bounded, labels=np.arange(n_classes))
    return float(np.mean(P.argmax(axis=1) != y)), float(loss)


def measure(
    models: Sequence[str],
    n_rounds: int,
    quick: bool,
    folder: Path | None,
    n_threads: int,
    report: Callable[[str], None],
) -> Iterator[Outcome | str]:
    """Yield the result of each fit; a sentence if it fails."""
    if folder is not None:
        loaders = {p.stem: (lambda p=p: read_table(p)) for p in sorted(folder.glob("*.npz"))}
    else:
        loaders = {name: SHIPPED[name] for name in (QUICK if quick else SHIPPED)}
    for name, load in loaders.items():
        try:
            table = load()
        except Exception as error:
            yield f"{name} could not be read: {_text(error)}"
            continue
        for seed in range(n_rounds):
            report(f"{name}: round {seed + 1} of {n_rounds}")
            setting = Setting(table.is_classification, seed, n_threads, quick)
            for model in models:
                try:
                    yield compare(name, table, model, setting)
                except Exception as error:  # other models are still compared
                    yield f"{model} ({name}, round {seed + 1}) failed: {_text(error)}"


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


# The report ---------------------------------------------------------------------------------------


def render(results: Sequence[Outcome | str], n_threads: int) -> str:
    """Return the tables, and the failures."""
    failures = [f"- {result}" for result in results if isinstance(result, str)]
    outcomes = [result for result in results if isinstance(result, Outcome)]
    if not outcomes:
        return "\n\n".join(["There is no result.", *failures])
    intro = (
        "Error is 1 - accuracy, or the mean squared error over the variance of the test targets. "
        "It is a mean over the rounds, and so is the log-loss. The time is the median of the "
        "rounds. All models have their default parameters and the same rows, and run one at a time "
        f"in one process. Threads of each: {n_threads}. skdeep and RealMLP are given the "
        "validation rows as X_val; the other models do not use them."
    )
    sections = [intro, _summary(outcomes)]
    for title, measured, combine, show in (
        ("Error", "error", mean, "{:.4f}".format),
        ("Log-loss", "log_loss", mean, "{:.4f}".format),
        ("Fit time, s", "fit_seconds", median, digits),
        ("Time to predict the test rows, s", "predict_seconds", median, digits),
    ):
        figures = _figures(outcomes, measured, combine)
        if figures:
            sections.append(f"### {title}\n\n{_by_table(outcomes, figures, show)}")
    return "\n\n".join(sections + (["\n".join(failures)] if failures else []))


def shifted_geometric_mean(values: Sequence[float]) -> float:
    """Return exp(mean(log(value + SHIFT))) - SHIFT."""
    return math.exp(mean(math.log(value + SHIFT) for value in values)) - SHIFT


Figures = dict[tuple[str, str], float]


def _figures(outcomes: Sequence[Outcome], measured: str, combine: Callable) -> Figures:
    """Return a figure by table and model. There is none if the model failed in a round."""
    values: dict[tuple[str, str], list[float]] = {}
    for outcome in outcomes:
        value = getattr(outcome, measured)
        if not math.isnan(value):
            values.setdefault((outcome.table, outcome.model), []).append(value)
    n_rounds = max(map(len, values.values()), default=0)
    return {key: combine(v) for key, v in values.items() if len(v) == n_rounds}


def _by_table(outcomes: Sequence[Outcome], figures: Figures, show: Callable) -> str:
    models = _unique(outcome.model for outcome in outcomes)
    rows = [
        [table, *(show(figures[table, m]) if (table, m) in figures else NO_VALUE for m in models)]
        for table in _unique(table for table, _ in figures)
    ]
    return markdown(["", *models], rows)


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Return a table of means over those tables for which every model has a result."""
    models = _unique(outcome.model for outcome in outcomes)
    is_class = {outcome.table: outcome.task != "regression" for outcome in outcomes}
    errors = _figures(outcomes, "error", mean)
    complete = [t for t in is_class if all((t, model) in errors for model in models)]
    classes = [t for t in complete if is_class[t]]
    numbers = [t for t in complete if not is_class[t]]
    losses = _figures(outcomes, "log_loss", mean)
    times = _figures(outcomes, "fit_seconds", median)
    text = (
        f"Over the tables for which every model has a result: {len(classes)} of classes and "
        f"{len(numbers)} of numbers. A mean error is the shifted geometric mean "
        f"exp(mean(log(error + {SHIFT}))) - {SHIFT}."
    )
    columns: dict[str, list[str]] = {}
    for title, tables, figures in (
        ("mean rank by error", complete, errors),
        ("mean rank by log-loss", classes, losses),
    ):
        if tables:
            ranks = np.mean(
                [rankdata([figures[t, m] for m in models]).round(6) for t in tables], axis=0
            )
            columns[title] = [f"{rank:.2f}" for rank in ranks]
    for title, tables, figures in (
        ("mean error, classes", classes, errors),
        ("mean error, numbers", numbers, errors),
        ("mean log-loss", classes, losses),
    ):
        if tables:
            columns[title] = [
                f"{shifted_geometric_mean([figures[t, m] for t in tables]):.4f}" for m in models
            ]
    for title, combine in (("median fit time, s", median), ("sum of fit times, s", sum)):
        if complete:
            columns[title] = [digits(combine([times[t, m] for t in complete])) for m in models]
    rows = [[m, *cells] for m, *cells in zip(models, *columns.values(), strict=True)]
    return f"{text}\n\n{markdown(['', *columns], rows)}"


def _unique(values) -> list[str]:
    return list(dict.fromkeys(values))
