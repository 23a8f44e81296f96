"""The importance of the columns of a table: the fall of the score if a column is permuted.

scikit-learn's `permutation_importance` does the work. It permutes numbers of rows, and the table is
put together from them, so that the table may be in any container.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, resample
from sklearn.utils.validation import check_consistent_length

from skdeep._component import InvalidParameterError, Limit
from skdeep.data.training_data import checked_weight
from skdeep.reports import table as reports
from skdeep.tabular.encoding import tables

_SHARE, _COUNT = Limit(0, 1, "(]"), Limit(1, integer=True)
#: The number of columns that a report prints.
N_SHOWN = 30


class ColumnImportances(reports.Table):
    """The importances of the columns of a table. Prints as a table that begins with the largest.

    The arrays are in the order of the columns of X, as in scikit-learn.

    Parameters
    ----------
    names : list
        The names of the columns.
    importances : ndarray of shape (n_columns, n_repeats)
        The fall of the score in each repetition.
    score : float
        The score of the table without a permutation.

    Attributes
    ----------
    importances_mean : ndarray of shape (n_columns,)
        The mean over the repetitions.
    importances_std : ndarray of shape (n_columns,)
        The standard deviation over the repetitions.
    order : ndarray of shape (n_columns,)
        The positions of the columns, from the most important to the least.
    """

    header = ("Column", "Importance", "Std")

    def __init__(self, names: Sequence, importances: np.ndarray, score: float):
        self.names = list(names)
        self.importances = importances
        self.score = score
        self.importances_mean = importances.mean(axis=1)
        self.importances_std = importances.std(axis=1)
        self.order = np.argsort(-self.importances_mean, kind="stable")

    def _cells(self):
        return [
            (
                str(self.names[j]),
                reports.number(self.importances_mean[j]),
                reports.number(self.importances_std[j]),
            )
            for j in self.order[:N_SHOWN]
        ]

    def _totals(self):
        hidden = len(self.names) - N_SHOWN
        more = [("Columns that are not shown", str(hidden))] if hidden > 0 else []
        return [*more, ("Score", reports.number(self.score))]


def column_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    scoring: Any = None,
    n_repeats: int = 5,
    sample_weight: Any = None,
    max_samples: int | float = 1.0,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> Any:
    """Return how far the score falls if a column of the table is permuted.

    The columns are those of X as the estimator takes it. A column of categories is permuted as a
    whole, even if the estimator turns it into several columns. It is scikit-learn's
    `permutation_importance`, for tables in every container that `TabularEncoder` takes.

    Parameters
    ----------
    estimator : fitted estimator
        An estimator of skdeep, a Pipeline, or another estimator of scikit-learn.
    X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
        Training rows, or rows that the estimator has not seen.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
        The targets. None is for estimators that are fitted without y.
    scoring : str, callable, list, tuple, dict or None, default=None
        The score or the scores, as in `permutation_importance`. None is the estimator's `score`:
        the accuracy of a classifier, and R2 of a regressor.
    n_repeats : int, default=5
        The number of permutations of each column.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        The weights of the rows in the score.
    max_samples : int or float, default=1.0
        The number of rows to draw, or their share. They are drawn once, so that all scores are
        those of the same rows.
    n_jobs : int or None, default=None
        The number of columns that are permuted at a time. None means 1 unless in a
        `joblib.parallel_config` context. -1 means all processors.
    random_state : int, RandomState instance or None, default=None
        Determines the permutations, and the rows that are drawn.

    Returns
    -------
    ColumnImportances, or dict of ColumnImportances
        A dict by the names of the scores if there are several scores.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from skdeep.inspection import column_importance
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> result = column_importance(Ridge().fit(X, y), X, y, random_state=0)
    >>> result.names[result.order[0]]
    'bmi'
    """
    from sklearn.inspection import permutation_importance  # it imports much, and few need it

    if not _COUNT.allows(n_repeats):
        raise InvalidParameterError(f"n_repeats={n_repeats!r} is not allowed; give {_COUNT}.")
    table = tables.read_table(X, estimator)
    n_rows = table.shape[0]
    if isinstance(y, Mapping):
        raise ValueError("y is a dict, whose rows can't be drawn; give a data frame.")
    if y is not None:
        check_consistent_length(np.empty(n_rows), y)
    weight = checked_weight(sample_weight, np.empty((n_rows, 1)))
    rng = check_random_state(random_state)
    n_drawn = _n_drawn(max_samples, n_rows)
    if n_drawn < n_rows:
        given = [np.arange(n_rows)] if y is None else [np.arange(n_rows), y]
        drawn = resample(*given, replace=False, n_samples=n_drawn, random_state=rng)
        rows, y = (drawn, None) if y is None else drawn
        table, weight = table.take(rows), None if weight is None else weight[rows]
    scorer = _ScorerOfRows(check_scoring(estimator, scoring), table)
    found = permutation_importance(
        estimator,
        scorer.rows,
        y,
        scoring=scorer,
        n_repeats=n_repeats,
        n_jobs=n_jobs,
        random_state=rng,
        sample_weight=weight,
    )
    names = column_names(table)
    if isinstance(scorer.score, dict):
        return {
            name: ColumnImportances(names, found[name].importances, score)
            for name, score in scorer.score.items()
        }
    return ColumnImportances(names, found.importances, scorer.score)


def column_names(table: tables.Table) -> list:
    """Return the names of the columns of a table: x0, x1, ... if it has none."""
    return [f"x{j}" for j in range(table.shape[1])] if table.names is None else table.names


def _n_drawn(max_samples: Any, n_rows: int) -> int:
    """Return the number of rows to draw."""
    if _SHARE.allows(max_samples) and not isinstance(max_samples, Integral):
        return max(1, int(max_samples * n_rows))
    if not _COUNT.allows(max_samples) or max_samples > n_rows:
        raise InvalidParameterError(
            f"max_samples={max_samples!r} is not allowed; give an integer from 1 to {n_rows}, the "
            "number of rows of X, or a float in (0, 1], the share of them."
        )
    return max_samples


class _ScorerOfRows:
    """A scorer that takes numbers of rows, and scores the table that they stand for.

    Column j of the table gets the rows that column j of the numbers names.
    """

    def __init__(self, scorer: Any, table: tables.Table):
        n_rows = table.shape[0]
        self.scorer = scorer
        self.table = table
        self.order = np.arange(n_rows, dtype=np.min_scalar_type(n_rows))
        self.score: Any = None

    @property
    def rows(self) -> np.ndarray:
        """The numbers that stand for the table as it is."""
        return np.repeat(self.order[:, None], self.table.shape[1], axis=1)

    def __call__(self, estimator: Any, rows: np.ndarray, y: Any, **weight: Any) -> Any:
        changed = np.flatnonzero((rows != self.order[:, None]).any(axis=0))
        if len(changed) == 0:
            if self.score is None:
                self.score = self.scorer(estimator, self.table.X, y, **weight)
            return self.score
        (j,) = changed
        cells = self.table.cells(j, rows[:, j].astype(np.intp))
        return self.scorer(estimator, self.table.replaced(j, cells), y, **weight)
