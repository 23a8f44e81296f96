"""One task of a fitted `MultiTaskMLP`, for tools that take a classifier or a regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils.metaestimators import available_if

from skdeep._component import InvalidParameterError, unknown_name

SEPARATOR = "__"


class OneTask(BaseEstimator):
    """Base class of the views of one task; a view shares the weights of its model.

    Parameters
    ----------
    model : MultiTaskMLP
        The fitted model.
    task : str
        The name of the task.
    """

    _rows: Any = slice(None)  # the rows of X whose predictions are returned

    def __init__(self, model: Any, task: str):
        self.model = model
        self.task = task

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def n_features_in_(self) -> int:
        """The number of columns of X."""
        return self.model.n_features_in_

    def fit(self, X, y):
        """Raise TypeError, as the model has to be fitted to all of its tasks."""
        raise TypeError(
            f"{type(self).__name__} shows the task {self.task!r} of a fitted MultiTaskMLP; fit "
            "the model itself. scikit-learn's FrozenEstimator keeps it from being fitted."
        )

    def predict(self, X):
        """Predict the targets of the task.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self.model._predicted_by_task(X)[self.task][self._rows]


class OneRegression(RegressorMixin, OneTask):
    """The view of a `Regression` of a fitted `MultiTaskMLP`.

    Parameters
    ----------
    model : MultiTaskMLP
        The fitted model.
    task : str
        The name of the task.
    """


def _has_probabilities(view: OneClassification) -> bool:
    return view.model._loss_of(view.task).gives_probabilities


class OneClassification(ClassifierMixin, OneTask):
    """The view of a `Classification` of a fitted `MultiTaskMLP`.

    Parameters
    ----------
    model : MultiTaskMLP
        The fitted model.
    task : str
        The name of the task.
    """

    @property
    def classes_(self) -> np.ndarray:
        """The classes, in the order of the probabilities."""
        return self.model.classes_[self.task]

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self.model.predict_proba(X)[self.task][self._rows]

    def decision_function(self, X):
        """Return the raw outputs (logits).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self.model.decision_function(X)[self.task][self._rows]


class TaskScorer:
    """A scorer of one task, called as scorer(model, X, y); targets that are missing are left out.

    Parameters
    ----------
    task : str
        The name of the task.
    scorer : str or None
        The name of a scorer. None is the score of the task itself.
    """

    def __init__(self, task: str, scorer: str | None = None):
        self.task = task
        self.scorer = scorer

    @classmethod
    def named(cls, name: str, tasks: list[str], what: str) -> TaskScorer:
        """Return the scorer for a name like "kind" or "kind__roc_auc", if it is one of a task."""
        task, _, scorer = name.partition(SEPARATOR)
        if task not in tasks:
            raise InvalidParameterError(
                f"{what}={name!r} is not allowed; give the name of a task that is predicted, "
                f"{tasks}, alone or with a scorer, as in '{tasks[0]}{SEPARATOR}accuracy', or a "
                "callable (estimator, X, y)."
            )
        if scorer and scorer not in get_scorer_names():
            raise InvalidParameterError(unknown_name(scorer, get_scorer_names(), what))
        return cls(task, scorer or None)

    def __call__(self, model: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        if self.scorer is None:
            return model.scores(X, y, sample_weight)[self.task]
        targets, known = model._targets_of[self.task].known(y[self.task])
        if not known.any() or (sample_weight is not None and not sample_weight[known].any()):
            return np.nan
        view = model.for_task(self.task)
        view._rows = known
        weight = {} if sample_weight is None else {"sample_weight": sample_weight[known]}
        return float(get_scorer(self.scorer)(view, X, targets, **weight))
