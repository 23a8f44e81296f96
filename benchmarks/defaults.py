"""Error and fit time of skdeep beside scikit-learn, if only the import is changed.

scikit-learn's MLP and skdeep's are fitted with their defaults to the same rows of data sets that
are part of scikit-learn, and scored on held-out rows. A round is a seed: of the split, of generated
data, and of both models. The hidden layers differ from round to round. More data sets can be added
from a folder of files.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

import skdeep
from benchmarks.table import markdown

TITLE = "Defaults: test error and fit time beside scikit-learn's MLP"
MOST_TRAINING_ROWS, MOST_TEST_ROWS = 4_000, 6_000
HIDDEN = ((100,), (64, 32), (100, 50, 25))
PREPARATIONS = {
    "as it is": FunctionTransformer,
    "standardized": StandardScaler,
    "in [0, 1]": MinMaxScaler,
}
# Added to errors before they are divided, so that one row of an easy data set changes little.
SMALLEST = {"classification": 0.005, "regression": 0.001}
LARGEST = 10.0  # larger errors, of models that failed altogether, count as this

Data = tuple[np.ndarray, np.ndarray]
TOYS: dict[str, Callable[..., Data]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
GENERATORS: dict[str, Callable[[int], Data]] = {
    "circles": lambda seed: datasets.make_circles(1600, noise=0.1, factor=0.7, random_state=seed),
    "moons": lambda seed: datasets.make_moons(1600, noise=0.2, random_state=seed),
    "gaussian_quantiles": lambda seed: datasets.make_gaussian_quantiles(
        n_samples=3000, n_features=5, n_classes=3, random_state=seed
    ),
    "hastie": lambda seed: datasets.make_hastie_10_2(4000, random_state=seed),
    "classification": lambda seed: datasets.make_classification(
        3000, 20, n_informative=8, n_classes=4, random_state=seed
    ),
    "friedman1": lambda seed: datasets.make_friedman1(2000, noise=1.0, random_state=seed),
    "friedman2": lambda seed: datasets.make_friedman2(2000, noise=50.0, random_state=seed),
    "friedman3": lambda seed: datasets.make_friedman3(2000, noise=0.1, random_state=seed),
    "regression": lambda seed: datasets.make_regression(
        1500, 30, n_informative=10, noise=20.0, random_state=seed
    ),
}
REGRESSION = ("diabetes", "friedman1", "friedman2", "friedman3", "regression")


@dataclass(frozen=True)
class Setting:
    """How to load and prepare a data set."""

    hidden: tuple[int, ...]
    preparation: str
    early_stopping: bool


@dataclass(frozen=True)
class Pair:
    """The results of one fit of both models: (scikit-learn's, skdeep's)."""

    name: str
    task: str
    setting: Setting
    errors: tuple[float, float]
    seconds: tuple[float, float]

    @property
    def log_ratio(self) -> float:
        theirs, ours = (error + SMALLEST[self.task] for error in self.errors)
        return math.log(ours / theirs)


def read_table(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Return X, y and the task from a file.

    The file is a .npz of `num` (numbers), `cat` (codes of categories; -1 is missing), `y` and
    `task` ("regression", or another text for classification).
    """
    with np.load(path) as file:
        columns = [np.asarray(file["num"], dtype=float)]
        for codes in file["cat"].T.astype(int):
            n_categories = codes.max() + 1
            one_hot = np.eye(n_categories + 1)[codes][:, :n_categories]  # -1 becomes a row of zeros
            columns.append(one_hot[:, 1:] if n_categories == 2 else one_hot)
        task = "regression" if str(file["task"]) == "regression" else "classification"
        return np.hstack(columns), file["y"], task


def split(X, y, task: str, seed: int) -> tuple[np.ndarray, ...]:
    """Return training and test rows, without missing values."""
    classes = None if task == "regression" else y
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.3, random_state=seed, stratify=classes
    )
    X, y = X[:MOST_TRAINING_ROWS], y[:MOST_TRAINING_ROWS]
    X_test, y_test = X_test[:MOST_TEST_ROWS], y_test[:MOST_TEST_ROWS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any number
        median = np.nan_to_num(np.nanmedian(X, axis=0))
    return np.where(np.isnan(X), median, X), np.where(np.isnan(X_test), median, X_test), y, y_test


def compare(name: str, data, task: str, setting: Setting, seed: int) -> Pair:
    """Fit both models; if columns are prepared, targets of a regression are standardized."""
    X, X_test, y, y_test = data
    scaler = PREPARATIONS[setting.preparation]().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    if task == "regression" and setting.preparation != "as it is":
        mean, std = y.mean(), y.std()
        y, y_test = (y - mean) / std, (y_test - mean) / std
    outcomes = []
    for module in (neural_network, skdeep):
        cls = module.MLPRegressor if task == "regression" else module.MLPClassifier
        model = cls(
            hidden_layer_sizes=setting.hidden,
            early_stopping=setting.early_stopping,
            random_state=seed,
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        seconds = time.perf_counter() - start
        predicted = model.predict(X_test)
        if task == "regression":
            error = np.mean((predicted - y_test) ** 2) / np.var(y_test)
        else:
            error = np.mean(predicted != y_test)
        outcomes.append((float(min(error, LARGEST)), seconds))
    errors, seconds = zip(*outcomes, strict=True)
    return Pair(name, task, setting, errors, seconds)


def measure(n_rounds: int, quick: bool, tables: Path | None, report) -> Iterator[Pair]:
    """Yield the results, data set by data set."""
    loaders = {name: (lambda seed, load=load: load(return_X_y=True)) for name, load in TOYS.items()}
    tasks = dict.fromkeys((*TOYS, *GENERATORS), "classification")
    tasks |= dict.fromkeys(REGRESSION, "regression")
    loaders |= GENERATORS
    for path in sorted(tables.glob("*.npz")) if tables else []:
        X, y, tasks[path.stem] = read_table(path)
        loaders[path.stem] = lambda seed, X=X, y=y: (X, y)
    preparations = list(PREPARATIONS)
    if quick:
        loaders = {name: loaders[name] for name in ("iris", "diabetes")}
        preparations = ["standardized"]
    for seed in range(n_rounds):
        hidden = (10,) if quick else HIDDEN[seed % len(HIDDEN)]
        settings = [Setting(hidden, *values) for values in product(preparations, (False, True))]
        for name, load in loaders.items():
            report(f"round {seed + 1} of {n_rounds}: {name}")
            data = split(*load(seed), tasks[name], seed)
            for setting in settings:
                yield compare(name, data, tasks[name], setting, seed)


def render(pairs: list[Pair]) -> str:
    """Return the tables."""
    intro = (
        "Error is 1 - accuracy, or the mean squared error over the variance of the targets. A "
        "ratio is skdeep's error over scikit-learn's on the same rows, as a geometric mean over "
        "data sets, seeds and all factors that a table does not name. Below 1 is better than "
        "scikit-learn.\n\n"
        f"- Classification: {_ratio([p for p in pairs if p.task == 'classification'])}\n"
        f"- Regression: {_ratio([p for p in pairs if p.task == 'regression'])}\n"
        f"- Time of all fits, over scikit-learn's: {_time(pairs)}"
    )
    return "\n\n".join([intro, _by_setting(pairs), _by_set(pairs)])


def _by_setting(pairs: list[Pair]) -> str:
    tasks = [task for task in SMALLEST if any(p.task == task for p in pairs)]
    stops = {False: "", True: ", early stopping"}
    header = ["columns, hidden layers", *(f"{t}{s}" for t in tasks for s in stops.values())]
    rows = []
    for preparation, hidden in product(
        PREPARATIONS, dict.fromkeys(p.setting.hidden for p in pairs)
    ):
        cells = [
            _ratio(
                [p for p in pairs if p.task == t and p.setting == Setting(hidden, preparation, s)]
            )
            for t in tasks
            for s in stops
        ]
        if any(cells):
            rows.append([f"{preparation}, {hidden}", *cells])
    return markdown(header, rows)


def _by_set(pairs: list[Pair]) -> str:
    header = ["data", "scikit-learn's error", "skdeep's", "ratio", "fit time / scikit-learn's"]
    rows = []
    for task in SMALLEST:
        for name in dict.fromkeys(p.name for p in pairs if p.task == task):
            own = [p for p in pairs if p.name == name]
            means = np.mean([p.errors for p in own], axis=0)
            rows.append([name, *(f"{mean:.3f}" for mean in means), _ratio(own), _time(own)])
    return markdown(header, rows)


def _ratio(pairs: list[Pair]) -> str:
    return f"{math.exp(np.mean([p.log_ratio for p in pairs])):.2f}" if pairs else ""


def _time(pairs: list[Pair]) -> str:
    theirs, ours = np.sum([p.seconds for p in pairs], axis=0)
    return f"{ours / theirs:.2f}"
