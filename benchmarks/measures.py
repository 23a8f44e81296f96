"""The measures of a contender: functions of its class and a task that return a number.

They run in the contender's own process, once in every round.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.cases import Task
from benchmarks.contenders import Contender

SECONDS_OF_CALLS = 0.2  # a short call is repeated for this time
N_CANDIDATES = 24


@lru_cache(maxsize=1)
def make_data(n_rows: int, n_columns: int, n_classes: int, dtype: str):
    """Return random inputs and unrelated classes."""
    rng = np.random.default_rng(0)
    X = rng.random((n_rows, n_columns), dtype=dtype)
    return X, rng.permutation(np.arange(n_rows) % n_classes)  # so that no class is missing


@cache
def make_contender(cls: type[Contender], task: Task) -> Contender:
    """Return the contender for a task; all rounds of a case use it."""
    return cls(task, *make_data(task.n_rows, task.n_columns, task.n_classes, task.dtype))


def forget() -> None:
    """Free the objects that the rounds of a case share."""
    make_contender.cache_clear()
    _fitted.cache_clear()
    make_data.cache_clear()
    gc.collect()


# Seconds ----------------------------------------------------------------------------------------


def epoch(cls: type[Contender], task: Task) -> float:
    """Return the seconds of an epoch, the median of several.

    The first epoch does not count, as it touches buffers, compiles code and starts threads.
    """
    ends = make_contender(cls, task).fit(1 + task.n_epochs)
    return statistics.median(end - start for start, end in pairwise(ends))


def predict(cls: type[Contender], task: Task) -> float:
    """Return the seconds of a prediction for all rows."""
    contender = _fitted(cls, task)
    return _seconds_of_call(lambda: contender.predict(contender.X))


def predict_row(cls: type[Contender], task: Task) -> float:
    """Return the seconds of a prediction for a single row."""
    contender = _fitted(cls, task)
    row = contender.X[:1]
    return _seconds_of_call(lambda: contender.predict_row(row))


def cold(cls: type[Contender], task: Task) -> float:
    """Fit; the parent process takes the time."""
    make_contender(cls, task).fit(task.n_epochs)
    return 0.0


def search(cls: type[Contender], task: Task) -> float:
    """Return the seconds of a random search, with the same candidates for all estimators."""
    from sklearn.datasets import make_classification

    X, y = make_classification(
        task.n_rows,
        task.n_columns,
        n_informative=task.n_columns // 2,
        n_redundant=0,
        n_classes=task.n_classes,
        random_state=0,
    )
    X = X.astype(task.dtype)
    # joblib's processes are started, with all imports done, before the clock starts.
    _search(cls, 1, 2).fit(X, y)
    start = time.perf_counter()
    _search(cls, task.n_epochs, N_CANDIDATES).fit(X, y)
    return time.perf_counter() - start


def _search(cls: type[Contender], n_epochs: int, n_candidates: int):
    from scipy.stats import loguniform
    from sklearn.model_selection import RandomizedSearchCV

    # Nothing may stop early: a candidate has to be equal work for all estimators.
    estimator = cls.estimator(max_iter=n_epochs, tol=0.0, n_iter_no_change=np.inf, random_state=0)
    distributions = {
        "alpha": loguniform(1e-5, 1e-1),
        "batch_size": [32, 64, 128],
        "hidden_layer_sizes": [(50,), (100,), (50, 50)],
        "learning_rate_init": loguniform(1e-4, 1e-2),
    }
    return RandomizedSearchCV(
        estimator,
        distributions,
        n_iter=n_candidates,
        cv=3,
        n_jobs=2,
        refit=False,  # the winners may differ
        random_state=0,
        error_score="raise",
    )


@cache
def _fitted(cls: type[Contender], task: Task) -> Contender:
    contender = make_contender(cls, task)
    contender.fit(1)
    return contender


def _seconds_of_call(call: Callable[[], object]) -> float:
    """Return the median over the calls that fit into a set time; the first does not count."""
    call()
    seconds: list[float] = []
    until = time.perf_counter() + SECONDS_OF_CALLS
    while not seconds or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


# Bytes ------------------------------------------------------------------------------------------


def memory(cls: type[Contender], task: Task) -> float:
    """Return the peak growth of the process in an epoch, in bytes, without the weights.

    Code and threads are loaded, compiled and started beforehand: another net of this shape is
    trained on two batches, and deleted.
    """
    X, y = make_data(task.n_rows, task.n_columns, task.n_classes, task.dtype)
    n_few = min(2 * task.batch_size, task.n_rows)
    cls(replace(task, n_rows=n_few), X[:n_few], y[:n_few]).fit(1)
    before = _forget_peak()
    cls(task, X, y).fit(1)
    return _status("VmHWM") - before - task.weight_bytes


def _forget_peak() -> int:
    """Return free memory to the system and reset the peak; return the bytes in use."""
    gc.collect()
    # Otherwise an allocation could reuse memory of an earlier one, and would not show.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(key: str) -> int:
    """Return an entry of this process's status in Linux, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))
