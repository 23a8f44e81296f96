"""Folds: the rows of one split, for the networks that train and are scored on them."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone

from skdeep._component import (
    MultimetricScorer,
    PassthroughScorer,
    Scorer,
    check_method_params,
    number_of_rows,
    safe_split,
    scores_of,
)
from skdeep.estimators.base import BaseMLP
from skdeep.estimators.classifier import MLPClassifier
from skdeep.estimators.multitask import MultiTaskMLP
from skdeep.estimators.regressor import MLPRegressor
from skdeep.model_selection.networks import final_step, with_final_step
from skdeep.training.trainer import INTERRUPTED, Trainer

# Numbers of X that are predicted from at a time, so that no copy of all test rows is made.
_NUMBERS_AT_A_TIME = 1 << 19


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

    def __sizeof__(self) -> int:
        """Return the bytes of the data, which tell Dask to send them only once."""
        params = [*self.fit_params.values(), *self.score_params.values()]
        return _bytes_of(self.X, self.y, *params)

    def without_data(self) -> Given:
        """Return a copy without X and y, for folds that have their own rows."""
        twin = copy.copy(self)
        twin.X, twin.y = np.empty((number_of_rows(self.X), 0)), None
        return twin

    def figures(self, test_scores=None, train_scores=None, error=None, **times) -> dict[str, Any]:
        """Return figures of a part of training, as scikit-learn's searches collect them."""
        if error is not None:
            test_scores = train_scores = self.error_score
            if isinstance(self.scorer, MultimetricScorer):
                test_scores = dict.fromkeys(self.scorer._scorers, self.error_score)
                train_scores = dict(test_scores)
        figures = {"fit_error": error, "test_scores": test_scores}
        if self.return_train_score:
            figures["train_scores"] = train_scores
        return figures | {"fit_time": 0.0, "score_time": 0.0} | times

    def scores(self, model: Any, X: Any, y: Any, rows: np.ndarray) -> Any:
        """Return the score, or the scores by name, of a model for rows of the user's data."""
        options = check_method_params(self.X, params=self.score_params, indices=rows)
        return scores_of(model, X, y, self.scorer, options, self.error_score)


def _bytes_of(*parts: Any) -> int:
    """Return the bytes of arrays; of other data, a number that is not too high."""
    total = 0
    for part in parts:
        rows = number_of_rows(part) if hasattr(part, "__len__") or hasattr(part, "shape") else 0
        total += getattr(part, "nbytes", 8 * rows)
    return total


class Fold:
    """One split of the user's rows: base class for the ways to train on it.

    Attributes
    ----------
    continues : bool
        Whether a part of training continues from the one before, or begins again.
    """

    continues = True

    def __init__(self, train: np.ndarray, test: np.ndarray):
        self.train = train
        self.test = test

    def __sizeof__(self) -> int:
        return _bytes_of(*vars(self).values())

    def fit(self, model: Any, given: Given, until: int) -> tuple[int, bool]:
        """Train a model up to an epoch.

        Return the number of epochs that this took, and whether more would change nothing.
        """
        trainer = self._fit_part(model, given, until)
        if trainer is None or trainer.interrupted:
            raise KeyboardInterrupt
        return trainer.epoch, trainer.has_ended

    def _fit_part(self, model: BaseMLP, given: Given, until: int) -> Trainer | None:
        raise NotImplementedError

    def scores(self, model: Any, given: Given, rows: str) -> Any:
        """Return the score of a model for the rows "train" or "test"."""
        raise NotImplementedError


class Afresh(Fold):
    """A fold on which any estimator trains from the beginning, for as many epochs as it has.

    Parameters
    ----------
    train, test : ndarray of int
    resource : str
        The name of the parameter that is the number of epochs.
    """

    continues = False

    def __init__(self, train, test, resource: str):
        super().__init__(train, test)
        self.resource = resource

    def fit(self, model, given, until):
        X, y = safe_split(model, given.X, given.y, self.train)
        params = check_method_params(given.X, params=given.fit_params, indices=self.train)
        model.set_params(**{self.resource: until})
        with _interruption_raised():
            model.fit(X, y, **params) if y is not None else model.fit(X, **params)
        return until, False

    def scores(self, model, given, rows):
        positions = self.train if rows == "train" else self.test
        X, y = safe_split(model, given.X, given.y, positions, self.train)
        return given.scores(model, X, y, positions)


@contextmanager
def _interruption_raised() -> Iterator[None]:
    """Raise KeyboardInterrupt instead of the warning that the user has interrupted training."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no interruption comes here, and threads share their filters of warnings
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("error", INTERRUPTED)
        try:
            yield
        except UserWarning as warning:
            if str(warning) != INTERRUPTED:
                raise
            raise KeyboardInterrupt from warning


class Positions(Fold):
    """A fold that trains on the user's rows without a copy of them, for a network alone."""

    @staticmethod
    def suits(network: BaseMLP, X: Any, y: Any) -> bool:
        """Whether a network can train on rows of these arrays."""
        if network._targets_are_inputs or isinstance(network, MultiTaskMLP):
            return False
        if sp.issparse(X):
            has_rows = X.format == "csr"
        else:
            has_rows = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f"
        return has_rows and isinstance(y, np.ndarray)

    def _fit_part(self, model, given, until):
        return model.fit_part(until, given.X, given.y, rows=self.train, **given.fit_params)

    def scores(self, model, given, rows):
        positions = self.train if rows == "train" else self.test
        X, y = given.X, given.y[positions]
        # A subclass of the user's own may do more with X than to predict.
        predicts_alone = type(model) in (MLPClassifier, MLPRegressor)
        if not (predicts_alone and looks_at_predictions_alone(given.scorer)):
            return given.scores(model, X[positions], y, positions)
        size = max(1, _NUMBERS_AT_A_TIME // X.shape[1])
        outputs = [
            model._raw_outputs(X[positions[start : start + size]])
            for start in range(0, len(positions), size)
        ]
        # The scorer passes X on to the model, which knows the outputs for it. It would not predict
        # from a copy, because of the NaN.
        stand_in = np.broadcast_to(np.nan, (len(positions), X.shape[1]))
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
        params = check_method_params(given.X, params=given.fit_params, indices=train)
        pipeline = clone(pipeline)
        pipeline = with_final_step(pipeline, _Collector(final_step(pipeline)[1]))
        pipeline.fit(*safe_split(pipeline, given.X, given.y, train), **params)
        collector = final_step(pipeline)[1]
        self.X, self.y, self.fit_params = collector.X, collector.y, collector.params
        # A scorer of the user's own may look at the pipeline, and at the rows themselves.
        is_transformed = looks_at_predictions_alone(given.scorer)
        self._pipeline = None if is_transformed else with_final_step(pipeline, None)
        self._scored = {}
        for name in ("test", "train") if given.return_train_score else ("test",):
            positions = test if name == "test" else train
            X, y = safe_split(pipeline, given.X, given.y, positions, train)
            self._scored[name] = pipeline.transform(X) if is_transformed else X, y, positions

    def _fit_part(self, model, given, until):
        return model.fit_part(until, self.X, self.y, **self.fit_params)

    def scores(self, model, given, rows):
        X, y, positions = self._scored[rows]
        scored = model if self._pipeline is None else with_final_step(self._pipeline, model)
        return given.scores(scored, X, y, positions)


class _Collector(BaseEstimator):
    """Stands in for the network in a pipeline: its fit keeps what the network's would be given.

    Its transform returns X as it is, so that the pipeline's is that of the steps before. A pipeline
    of those steps alone counts as not fitted if the last one has no fitted attributes.
    """

    def __init__(self, network: BaseMLP):
        self.network = network

    def fit(self, X, y=None, **params):
        self.X, self.y, self.params = X, y, params
        return self

    def transform(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True

    def get_metadata_routing(self):
        return self.network.get_metadata_routing()
