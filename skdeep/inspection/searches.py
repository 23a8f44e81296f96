"""The results of a search for hyperparameters, read from what searches of any kind leave."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skdeep._component import InvalidParameterError, unknown_name
from skdeep.inspection.coordinates import NOT_SET, Coordinate, coordinate

_PREFIX = "mean_test_"
# A score is far off if a step down to it makes the range of the scores larger by this factor.
_JUMP = 30.0
# The range of larger scores overflows.
_LARGEST = 1e300


@dataclass
class SearchResults:
    """The scores of the candidates of a search: one row for each evaluation.

    Attributes
    ----------
    params : list of dict
        The hyperparameters of each candidate. A dict may lack those that do not apply.
    candidates : ndarray of shape (n_rows,)
        The position of the candidate in `params`.
    scores : ndarray of shape (n_rows,)
        Higher is better. A score that is not finite stands for a candidate that failed.
    rungs : ndarray of shape (n_rows,)
        The rung of a search that halves its candidates; otherwise 0. A trial of Optuna that was
        pruned has -1.
    resources : ndarray of shape (n_rows,) or None
        The epochs, or other resources, that the candidate had.
    best : int or None
        The row of the best candidate.
    score_label, resource_label : str
        The names of the score and of the resource.
    """

    params: list[dict[str, Any]]
    candidates: np.ndarray
    scores: np.ndarray
    rungs: np.ndarray
    resources: np.ndarray | None = None
    best: int | None = None
    score_label: str = "Mean test score"
    resource_label: str = "Resources"

    def __post_init__(self):
        self.names = list(dict.fromkeys(name for params in self.params for name in params))
        self.has_score = np.abs(self.scores) < _LARGEST  # neither NaN nor infinite

    @cached_property
    def coordinates(self) -> dict[str, Coordinate]:
        """The places of the values of each hyperparameter on its axis."""
        return {
            name: coordinate(name, [params.get(name, NOT_SET) for params in self.params])
            for name in self.names
        }

    def last_rows(self) -> np.ndarray:
        """Return for each candidate its row on the highest rung that it reached."""
        last = np.zeros(len(self.params), dtype=int)
        order = np.argsort(self.rungs, kind="stable")
        last[self.candidates[order]] = order
        return last

    def is_dropped(self) -> np.ndarray:
        """Whether each candidate did not reach the highest rung."""
        return self.rungs[self.last_rows()] < self.rungs.max()

    def lowest_score(self) -> float:
        """Return the lowest score that is not far off the others; NaN if there is no score."""
        scores = -np.sort(-self.scores[self.has_score])
        if not len(scores):
            return math.nan
        if scores[0] <= 1 and scores[-1] >= 0:  # an accuracy can't be far off
            return float(scores[-1])
        n = max(2, math.ceil(len(scores) / 4))
        while n < len(scores) and (
            scores[0] == scores[n - 1]
            or scores[0] - scores[n] <= _JUMP * (scores[0] - scores[n - 1])
        ):
            n += 1
        return float(scores[:n][-1])


def read_search(search: Any, metric: str | None = None) -> SearchResults:
    """Return the results of a fitted search, or of a study of Optuna."""
    study = getattr(search, "study_", search)
    if hasattr(study, "get_trials"):
        found = _read_study(study)
        if study is not search:  # an OptunaSearchCV, whose objective is the mean of the splits
            found.score_label = "Mean test score"
        return found
    kind = type(search).__name__
    if not hasattr(search, "cv_results_"):
        raise NotFittedError(
            f"{kind} has no cv_results_; give a search that is fitted, such as "
            "RandomizedSearchCV(...).fit(X, y)."
        )
    results = search.cv_results_
    refit = getattr(search, "refit", None)
    metric = _metric(results, metric, refit)
    is_theirs = metric == "score" or not isinstance(refit, str) or refit == metric
    scoring = getattr(search, "scoring", None)
    resource = getattr(search, "resource", "epochs").rpartition("__")[2]
    return _read(
        results,
        metric,
        best=getattr(search, "best_index_", None) if is_theirs else None,
        metric_label=scoring if metric == "score" and isinstance(scoring, str) else metric,
        resource_label={"n_samples": "Rows", "epochs": "Epochs"}.get(resource, resource),
    )


def read_cv_results(cv_results: Any, metric: str | None = None) -> SearchResults:
    """Return the results in a dict or a data frame with the keys of `cv_results_`."""
    metric = _metric(cv_results, metric, None)
    label = "Epochs" if "candidate" in cv_results else "Resources"
    return _read(cv_results, metric, None, metric, label)


def _metric(results: Mapping, metric: str | None, refit: Any) -> str:
    """Return the name of the metric to read."""
    if "params" not in results:
        raise InvalidParameterError(
            f"The results have no 'params', but {sorted(map(str, results))[:5]}; give the "
            "cv_results_ of a search."
        )
    known = [key.removeprefix(_PREFIX) for key in results if str(key).startswith(_PREFIX)]
    if metric is not None:
        if metric not in known:
            raise InvalidParameterError(unknown_name(str(metric), known, "metric"))
        return metric
    for choice in ("score", refit):
        if isinstance(choice, str) and choice in known:
            return choice
    if len(known) != 1:
        raise InvalidParameterError(
            f"The search has {len(known)} scores; give metric, one of {sorted(known)}."
        )
    return known[0]


def _read(
    results: Mapping, metric: str, best: int | None, metric_label: str, resource_label: str
) -> SearchResults:
    rows = [dict(params) for params in results["params"]]
    if not rows:
        raise InvalidParameterError("The search has no candidates.")
    scores = np.array([_float(score) for score in results[f"{_PREFIX}{metric}"]])
    rungs, resources = np.zeros(len(rows), dtype=int), None
    if "iter" in results:
        rungs = np.asarray(results["iter"], dtype=int)
    if "n_resources" in results:
        resources = np.asarray(results["n_resources"], dtype=float)
        rows = _without_resource(rows, resources) if np.ptp(resources) else rows
    candidates = _candidates(results, rows, rungs)
    firsts = np.unique(candidates, return_index=True)[1]
    if best is None or not np.abs(scores[best]) < _LARGEST:
        best = _best(scores, rungs)
    return SearchResults(
        params=[rows[i] for i in firsts],
        candidates=candidates,
        scores=scores,
        rungs=rungs,
        resources=resources,
        best=best,
        score_label="Mean test score" if metric_label == "score" else f"Mean test {metric_label}",
        resource_label=resource_label,
    )


def _float(score: Any) -> float:
    return math.nan if score is None else float(score)


def _without_resource(rows: list[dict], resources: np.ndarray) -> list[dict]:
    """Leave the resource out of the hyperparameters; scikit-learn's searches write it there."""
    given = {
        name
        for name in rows[0]
        if all(
            type(r.get(name)) is int and r[name] == n for r, n in zip(rows, resources, strict=True)
        )
    }
    return [{name: value for name, value in row.items() if name not in given} for row in rows]


def _candidates(results: Mapping, rows: list[dict], rungs: np.ndarray) -> np.ndarray:
    """Return the number of the candidate of each row."""
    if "candidate" in results:
        return np.unique(np.asarray(results["candidate"]), return_inverse=True)[1].ravel()
    if not rungs.any():
        return np.arange(len(rows))
    seen: Counter = Counter()
    numbers: dict = {}
    found = []
    for row, rung in zip(rows, rungs, strict=True):
        key = tuple(sorted((name, repr(value)) for name, value in row.items()))
        seen[key, rung] += 1  # candidates that are equal are told apart by their order
        found.append(numbers.setdefault((key, seen[key, rung]), len(numbers)))
    return np.array(found)


def _best(scores: np.ndarray, rungs: np.ndarray) -> int | None:
    """Return the row of the highest score on the highest rung that has a score."""
    rows = np.flatnonzero(np.abs(scores) < _LARGEST)
    if not len(rows):
        return None
    rows = rows[rungs[rows] == rungs[rows].max()]
    return int(rows[np.argmax(scores[rows])])


def _read_study(study: Any) -> SearchResults:
    """Return the trials of a study of Optuna that have ended."""
    if len(study.directions) > 1:
        raise InvalidParameterError("The study has several objectives; only one can be shown.")
    sign = -1.0 if study.direction.name == "MINIMIZE" else 1.0
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
    if not trials:
        raise NotFittedError("The study has no trial that has ended; give it after optimize.")
    rungs = np.array([-(t.state.name == "PRUNED") for t in trials], dtype=int)
    scores = sign * np.array([_score_of_trial(t) for t in trials])
    return SearchResults(
        params=[dict(t.params) for t in trials],
        candidates=np.arange(len(trials)),
        scores=scores,
        rungs=rungs,
        best=_best(scores, rungs),
        score_label="Objective value" if sign > 0 else "Negative objective value",
    )


def _score_of_trial(trial: Any) -> float:
    """Return the value of a trial; for one that was pruned, the last value that it reported."""
    if trial.state.name == "PRUNED" and trial.intermediate_values:
        return _float(trial.intermediate_values[max(trial.intermediate_values)])
    return _float(trial.value if trial.state.name == "COMPLETE" else None)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return each name without the steps before it, as far as the names stay different."""
    found = {}
    for name in names:
        parts = name.split("__")
        ends = ["__".join(parts[i:]) for i in reversed(range(len(parts)))]
        found[name] = next(
            end
            for end in ends
            if sum(other == end or other.endswith(f"__{end}") for other in names) == 1
            or end == name
        )
    return found
