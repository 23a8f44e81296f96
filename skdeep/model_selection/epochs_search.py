"""The base of the searches whose candidates train in parts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils import indexable

from skdeep._component import (
    BaseSearchCV,
    InvalidParameterError,
    Limit,
    check_method_params,
    insert_error_scores,
    is_named,
    number_of_rows,
    report_failures,
    warn_user,
)
from skdeep._documentation import Documented
from skdeep.data.sources.checks import refuse_source
from skdeep.estimators.watching import with_callbacks
from skdeep.model_selection.candidates import sample_candidates
from skdeep.model_selection.folds import Given
from skdeep.model_selection.networks import only_network_in, prefix_of
from skdeep.model_selection.trials import Trials
from skdeep.model_selection.watching import Watched
from skdeep.model_selection.workers import Workers


class BaseEpochsSearchCV(Documented, BaseSearchCV):
    """Base class: a subclass decides in `_run_trials` which candidates train on.

    It has an attribute for each parameter of BaseSearchCV, and `param_distributions`,
    `n_candidates`, `max_epochs` and `random_state`.
    """

    _limits = {"n_candidates": Limit(1, integer=True)}

    def _check(self) -> None:
        """Raise InvalidParameterError for a parameter that is not allowed.

        Sets: max_epochs_.
        """
        if isinstance(self.estimator, type) or not hasattr(self.estimator, "get_params"):
            raise InvalidParameterError(
                f"estimator={self.estimator!r} is not allowed; give an estimator, such as "
                "skdeep.MLPClassifier() or a Pipeline."
            )
        for name, limit in self._limits.items():
            if not limit.allows(getattr(self, name)):
                raise InvalidParameterError(
                    f"{name}={getattr(self, name)!r} is not allowed; give {limit}."
                )
        path, network = only_network_in(self.estimator)
        self._resource = f"{prefix_of(path)}max_iter"
        self.max_epochs_ = self.max_epochs
        if is_named(self.max_epochs, "auto"):
            self.max_epochs_ = network.max_iter
        if not Limit(1, integer=True).allows(self.max_epochs_):
            raise InvalidParameterError(
                f"max_epochs={self.max_epochs!r} is not allowed; give an integer >= 1. 'auto' is "
                f"the max_iter of the network, which is {network.max_iter!r}."
            )
        if not (is_named(self.error_score, "raise") or isinstance(self.error_score, Real)):
            raise InvalidParameterError(
                f"error_score={self.error_score!r} is not allowed; give 'raise' or a number."
            )

    def _check_rows(self, *given: Any) -> None:
        """Raise if the rows are in files, or on a cluster: a split takes rows from everywhere."""
        method = f"{type(self).__name__}.fit"
        for data in given:
            refuse_source(
                data,
                method,
                "search with a part of the rows, source.take(positions), and train "
                "clone(estimator).set_params(**search.best_params_) on all of them",
            )
            if hasattr(data, "__dask_graph__"):
                raise InvalidParameterError(
                    f"{method} takes rows in memory, and was given {type(data).__name__}, a "
                    "collection of Dask; give data.compute(), or a part of the rows. Workers of "
                    "Dask then train the candidates, within joblib.parallel_config(backend='dask')."
                )

    def _run_trials(self, trials: Trials, watched: Watched) -> None:
        """Train the candidates, and end those that are not promising."""
        raise NotImplementedError

    @with_callbacks
    def fit(self, X, y=None, **params):
        """Search, and fit the best candidate to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        **params
            Further arguments of the estimator's `fit`, of the scorer and of the splitter, as in
            scikit-learn's searches: `sample_weight`, `groups`.

        Returns
        -------
        self
        """
        self._check()
        self._check_rows(X, y)
        scorers, self._metric = self._get_scorers()
        X, y = indexable(X, y)
        params = check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        splits = self._splits(X, y, routed.splitter.split)
        candidates = self._candidates()
        given = Given(
            X,
            y,
            routed.estimator.fit,
            routed.scorer.score,
            scorers,
            self.error_score,
            self.return_train_score,
        )
        with Watched(self, X, y, params) as watched:
            with Workers(self.n_jobs) as workers:
                trials = Trials(
                    self.estimator, candidates, self.max_epochs_, splits, given, workers
                )
                interrupted = self._search(trials, watched)
            self._set_results(trials, scorers, interrupted)
            if self.refit and not interrupted:
                self._refit(X, y, routed.estimator.fit, watched)
        return self

    def _splits(self, X, y, split_params: dict) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the positions of the training and test rows of each split.

        Sets: n_splits_.
        """
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        # As positions, where splits may also be masks, and may count from the end.
        rows = np.arange(number_of_rows(X))
        splits = [(rows[t], rows[v]) for t, v in cv.split(X, y, **split_params)]
        if not splits:
            raise InvalidParameterError(f"cv={self.cv!r} gives no splits; give one or more.")
        self.n_splits_ = len(splits)
        return splits

    def _candidates(self) -> list[dict[str, Any]]:
        """Return the parameters of the candidates."""
        candidates = sample_candidates(
            self.param_distributions,
            self.n_candidates,
            random_state=self.random_state,
            defaults=self.estimator.get_params(),
        )
        if any(self._resource in candidate for candidate in candidates):
            raise InvalidParameterError(
                f"param_distributions has {self._resource!r}, the number of epochs, which the "
                "search itself chooses for its candidates; remove it."
            )
        return candidates

    def _search(self, trials: Trials, watched: Watched) -> bool:
        """Train the candidates; return whether the user interrupted this.

        Sets: n_epochs_.
        """
        try:
            self._run_trials(trials, watched)
        except KeyboardInterrupt:
            if not trials.rows:
                raise
            warn_user(
                "The search was interrupted: cv_results_ and best_params_ are of the "
                f"{len(trials.rows)} rows that were finished, and no model was fitted to all rows."
            )
            return True
        finally:
            trials.close()
            self.n_epochs_ = trials.n_epochs
        return False

    def _say(self, text: str) -> None:
        if self.verbose:
            print(f"[{type(self).__name__}] {text}")

    def _advance(
        self, trials: Trials, watched: Watched, chosen: list[int], until: int, iteration: int
    ) -> dict[int, float]:
        """Train some candidates up to an epoch; return their mean scores, NaN for a failure."""
        with watched.iteration(len(chosen) * self.n_splits_) as tick:
            rows = trials.advance(chosen, until, iteration, tick)
        return {
            row.candidate: float(np.mean([self._deciding(figures) for figures in row.figures]))
            for row in rows
        }

    def _check_refit_for_multimetric(self, scores: Mapping[str, Any]) -> None:
        """Raise unless `refit` names one of several scores; BaseSearchCV calls it for its scorers.

        Its own check allows False and functions, which can't decide who trains on.
        """
        if not (isinstance(self.refit, str) and self.refit in scores):
            raise InvalidParameterError(
                f"refit={self.refit!r} is not allowed with several scores: give the name of the "
                f"one that decides which candidates train on, one of {sorted(scores)}."
            )

    def _deciding(self, figures: dict[str, Any]) -> float:
        """Return the score that decides who trains on."""
        scores = figures["test_scores"]
        if figures["fit_error"] is not None:
            return np.nan
        if not isinstance(scores, dict):
            return scores
        if self._metric not in scores:
            self._check_refit_for_multimetric(scores)  # a scorer that returns a dict
            self._metric = self.refit
        return scores[self._metric]

    def _set_results(self, trials: Trials, scorers: Any, interrupted: bool) -> None:
        """Set the fitted attributes that describe the search."""
        report_failures(trials.figures, self.error_score)
        for name in ("best_score_", "best_estimator_", "feature_names_in_", "refit_time_"):
            vars(self).pop(name, None)  # of an earlier search
        rows = trials.rows
        out = [figures for row in rows for figures in row.figures]
        if callable(self.scoring):
            insert_error_scores(out, self.error_score)
        more = {
            "iter": [row.iteration for row in rows],
            "n_resources": [row.n_epochs for row in rows],
            "candidate": [row.candidate for row in rows],
        }
        params = [trials.candidates[row.candidate] for row in rows]
        results = self._format_results(params, self.n_splits_, out, more)
        self.multimetric_ = isinstance(out[0]["test_scores"], dict)
        self.scorer_ = scorers._scorers if hasattr(scorers, "_scorers") else scorers
        self.cv_results_ = results
        name = self._metric
        if callable(self.refit):
            self.best_index_ = self._select_best_index(self.refit, name, results)
        else:
            # If the last iteration is not complete, the best one may be missing there.
            best = _best if interrupted else _best_of_last
            self.best_index_ = best(results, f"mean_test_{name}")
            self.best_score_ = results[f"mean_test_{name}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X, y, fit_params: dict, watched: Watched) -> None:
        """Fit the best candidate to all rows, unless the user interrupts this."""
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        path, _ = only_network_in(best)  # it may be another one than the estimator's own
        best.set_params(**{f"{prefix_of(path)}max_iter": self.max_epochs_})
        start = time.perf_counter()
        try:
            with watched.refit(best), warnings.catch_warnings():
                # The number of epochs is what the user has chosen.
                warnings.simplefilter("ignore", ConvergenceWarning)
                best.fit(X, y, **fit_params) if y is not None else best.fit(X, **fit_params)
        except KeyboardInterrupt:
            warn_user(
                "The fit of the best candidate to all rows was interrupted: there is no "
                "best_estimator_. The results of the search are complete."
            )
            return
        self.refit_time_ = time.perf_counter() - start
        self.best_estimator_ = best
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_


def _best_of_last(results: dict[str, Any], name: str) -> int:
    """Return the row with the highest score among those of the last iteration.

    An iteration that every candidate has failed in does not count.
    """
    scores, iterations = results[name], results["iter"]
    finite = ~np.isnan(scores)
    last = iterations == (iterations[finite] if finite.any() else iterations).max()
    return int(np.argmax(np.where(last & finite, scores, -np.inf)))


def _best(results: dict[str, Any], name: str) -> int:
    """Return the row with the highest score."""
    scores = results[name]
    return int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))
