"""Folds: the rows of one split, for the networks that train and are scored on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from skdeep._component import (
    MultimetricScorer,
    PassthroughScorer,
    Scorer,
    check_method_params,
    safe_split,
    scores_of,
)
from skdeep.estimators.base import BaseMLP
from skdeep.estimators.multitask import MultiTaskMLP
from skdeep.model_selection.networks import final_step, with_final_step

# Rows that are predicted at a time, so that no copy of all test rows is made.
_ROWS_AT_A_TIME = 4096


class Given:
    """What the user gave to the search, and the scorer.

    Attributes
    ----------
    X, y : the data
    fit_params, score_params : dict
        Further arguments of `fit` and of the scorer.
    scorer : callable
    error_score : float or "raise"
    return_train_score : bool
    """

    def __init__(self, X, y, fit_params, score_params, scorer, error_score, return_train_score):
        self.X = X
        self.y = y
        self.fit_params = fit_params
        self.score_params = score_params
        self.scorer = scorer
        self.error_score = error_score
        self.return_train_score = return_train_score

    def scores(self, model: Any, X: Any, y: Any, rows: np.ndarray) -> Any:
        """Return the score, or the scores by name, of a model for rows of the user's data."""
        options = check_method_params(self.X, params=self.score_params, indices=rows)
        return scores_of(model, X, y, self.scorer, options, self.error_score)


class Fold:
    """One split of the user's rows: base class for the ways to train on it."""

    def __init__(self, train: np.ndarray, test: np.ndarray):
        self.train = train
        self.test = test

    def train_part(self, model: BaseMLP, given: Given, until: int):
        """Train a network up to an epoch; return its trainer, or None if it was interrupted."""
        raise NotImplementedError

    def scores(self, model: BaseMLP, given: Given, rows: str) -> Any:
        """Return the score of a network for the rows "train" or "test"."""
        raise NotImplementedError


class Positions(Fold):
    """A fold that trains on the user's rows without a copy of them, for a network alone."""

    @staticmethod
    def suits(network: BaseMLP, X: Any, y: Any) -> bool:
        """Whether a network can train on rows of these arrays."""
        if network._targets_are_inputs or isinstance(network, MultiTaskMLP):
            return False
        is_dense = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f"
        return (is_dense or sp.issparse(X) and X.format == "csr") and isinstance(y, np.ndarray)

    def train_part(self, model, given, until):
        return model.fit_part(until, given.X, given.y, rows=self.train, **given.fit_params)

    def scores(self, model, given, rows):
        positions = self.train if rows == "train" else self.test
        X, y = given.X, given.y[positions]
        if not (isinstance(X, np.ndarray) and looks_at_predictions_alone(given.scorer)):
            return given.scores(model, X[positions], y, positions)
        outputs = [
            model._raw_outputs(X[positions[start : start + _ROWS_AT_A_TIME]])
            for start in range(0, len(positions), _ROWS_AT_A_TIME)
        ]
        # The scorer passes X on to the model, which knows the outputs for it.
        stand_in = np.broadcast_to(X[:1, :1], (len(positions), X.shape[1]))
        model = model._with_outputs(stand_in, np.concatenate(outputs))
        return given.scores(model, stand_in, y, positions)


def looks_at_predictions_alone(scorer: Any) -> bool:
    """Whether a scorer uses X for nothing but predictions, as scikit-learn's own do."""
    if isinstance(scorer, MultimetricScorer):
        return all(map(looks_at_predictions_alone, scorer._scorers.values()))
    return isinstance(scorer, (Scorer, PassthroughScorer))


class Prepared(Fold):
    """A fold whose rows went through the steps before the network, which are fitted once.

    Parameters
    ----------
    pipeline : Pipeline or BaseMLP
        Not fitted.
    given : Given
    """

    def __init__(self, train, test, pipeline: Any, given: Given):
        super().__init__(train, test)
        X, y = safe_split(pipeline, given.X, given.y, train)
        X_test, y_test = safe_split(pipeline, given.X, given.y, test, train)
        params = check_method_params(given.X, params=given.fit_params, indices=train)
        pipeline = clone(pipeline)
        pipeline = with_final_step(pipeline, _Collector(final_step(pipeline)[1]))
        pipeline.fit(X, y, **params)
        collector = final_step(pipeline)[1]
        self.X, self.y, self.fit_params = collector.X, collector.y, collector.params
        scored = {"test": (X_test, y_test, test)}
        if given.return_train_score:
            scored["train"] = X, y, train
        # A scorer of the user's own may look at the pipeline, and at the rows themselves.
        self._pipeline = with_final_step(pipeline, None)
        if looks_at_predictions_alone(given.scorer):
            scored = {name: (_transformed(pipeline, X), *of) for name, (X, *of) in scored.items()}
            self._pipeline = None
        self._scored = scored

    def train_part(self, model, given, until):
        return model.fit_part(until, self.X, self.y, **self.fit_params)

    def scores(self, model, given, rows):
        X, y, positions = self._scored[rows]
        scored = model if self._pipeline is None else with_final_step(self._pipeline, model)
        return given.scores(scored, X, y, positions)


def _transformed(pipeline: Any, X: Any) -> Any:
    """Return X after the steps before the last one."""
    while isinstance(pipeline, Pipeline):
        X = pipeline[:-1].transform(X) if len(pipeline.steps) > 1 else X
        pipeline = pipeline.steps[-1][1]
    return X


class _Collector(BaseEstimator):
    """Stands in for the network in a pipeline: its fit keeps what the network's would be given."""

    def __init__(self, network: BaseMLP):
        self.network = network

    def fit(self, X, y=None, **params):
        self.X, self.y, self.params = X, y, params
        return self

    def get_metadata_routing(self):
        return self.network.get_metadata_routing()
