"""The importance of hyperparameters: the share of the variance of the scores that each explains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skdeep._component import InvalidParameterError, Limit
from skdeep.inspection.coordinates import Coordinate
from skdeep.inspection.searches import SearchResults, read_search
from skdeep.reports import table as reports

#: The fewest candidates with a score from which importances are computed.
FEWEST_CANDIDATES = 5
_N_TREES = 64


class HyperparameterImportances(reports.Table):
    """The importances of hyperparameters. Prints as a table that begins with the largest.

    Parameters
    ----------
    names : list of str
        The names of the hyperparameters.
    importances : ndarray of shape (n_hyperparameters,)
        The share of the variance that each explains alone.
    forest_score : float
        R2 of the forest on candidates that its trees have not seen. If it is low, the importances
        say little.
    n_candidates : int
        The number of candidates with a score.

    Attributes
    ----------
    order : ndarray of shape (n_hyperparameters,)
        The positions of the hyperparameters, from the most important to the least.
    interactions : float
        The share of the variance that only several hyperparameters together explain.
    """

    header = ("Hyperparameter", "Importance")

    def __init__(
        self,
        names: Sequence[str],
        importances: np.ndarray,
        forest_score: float,
        n_candidates: int,
    ):
        self.names = list(names)
        self.importances = importances
        self.forest_score = forest_score
        self.n_candidates = n_candidates
        self.order = np.argsort(-importances, kind="stable")
        total = importances.sum()
        self.interactions = float(max(0.0, 1.0 - total)) if total > 0 else 0.0

    def _cells(self):
        return [(self.names[j], reports.number(self.importances[j])) for j in self.order]

    def _totals(self):
        return [
            ("Interactions", reports.number(self.interactions)),
            ("Candidates", str(self.n_candidates)),
            (
                "R2 of the forest on candidates that it has not seen",
                reports.number(self.forest_score),
            ),
        ]


def hyperparameter_importance(
    search: Any, *, metric: str | None = None, rung: int = 0, random_state: Any = None
) -> HyperparameterImportances:
    """Return the share of the variance of the scores that each hyperparameter explains.

    It is the functional analysis of variance (fANOVA): a random forest learns the scores, and its
    predictions are averaged over all values of the other hyperparameters. The variance of this
    average over the values of a hyperparameter is its importance. The shares are at most 1 in
    total, and the rest is due to interactions.

    Numbers are taken on the scale that `SearchDisplay` shows, such as a logarithmic one. If a
    hyperparameter applies to some candidates only, its importance is that among those. Candidates
    without a finite score are left out. A score far below all others counts as the lowest of these.

    Parameters
    ----------
    search : fitted search, or SearchResults
        A search of scikit-learn or skdeep, an `OptunaSearchCV`, or a study of Optuna.
    metric : str or None, default=None
        The metric, if the search has several. None is the one of `refit`.
    rung : int, default=0
        The rung of a search that halves its candidates. The lowest rung has all candidates, after
        equally few epochs. -1 is the highest.
    random_state : int, RandomState instance or None, default=None
        Determines the forest.

    Returns
    -------
    HyperparameterImportances

    References
    ----------
    F. Hutter, H. Hoos and K. Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
    Importance", ICML 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.svm import SVC
    >>> from skdeep.inspection import hyperparameter_importance
    >>> search = GridSearchCV(SVC(), {"C": [0.001, 0.01, 0.1, 1], "shrinking": [True, False]})
    >>> result = hyperparameter_importance(search.fit(*load_iris(return_X_y=True)), random_state=0)
    >>> result.names[result.order[0]]
    'C'
    """
    results = search if isinstance(search, SearchResults) else read_search(search, metric)
    rows = _rows(results, rung)
    scores = np.maximum(results.scores[rows], results.lowest_score())
    candidates = results.candidates[rows]
    X = np.column_stack([_unit(axis, candidates) for axis in results.coordinates.values()])
    importances = np.zeros(X.shape[1])
    has_values = np.ptp(X, axis=0) > 0
    forest_score = float("nan")
    if has_values.any() and np.ptp(scores) > 0:
        seed = check_random_state(random_state).randint(2**31 - 1)
        scores = scores / np.abs(scores).max()
        scores = (scores - scores.mean()) / scores.std()
        importances[has_values], forest_score = _fanova(X[:, has_values], scores, seed)
    return HyperparameterImportances(results.names, importances, forest_score, len(rows))


def _rows(results: SearchResults, rung: int) -> np.ndarray:
    """Return the rows of a rung that have a score."""
    if not results.names:
        raise InvalidParameterError("The candidates of the search have no hyperparameters.")
    rungs = np.unique(results.rungs[results.rungs >= 0])
    n = max(1, len(rungs))
    if not Limit(-n, n - 1, integer=True).allows(rung):
        raise InvalidParameterError(
            f"rung={rung!r} is not allowed; the search has {n}: give 0 for the lowest, or -1 for "
            "the highest."
        )
    is_of_rung = results.rungs == rungs[rung] if len(rungs) else np.zeros(len(results.rungs), bool)
    rows = np.flatnonzero(is_of_rung & results.has_score)
    if len(rows) < FEWEST_CANDIDATES:
        raise InvalidParameterError(
            f"The importance of hyperparameters needs at least {FEWEST_CANDIDATES} candidates with "
            f"a finite score; there are {len(rows)}."
        )
    return rows


def _unit(axis: Coordinate, candidates: np.ndarray) -> np.ndarray:
    """Return the places of candidates in [0, 1]; those that lack the value are at the median."""
    apart = axis.apart if axis.is_set.all() else axis.apart[:-1]
    low = min([0.0, *(start for start, _ in apart)])
    high = max([1.0, *(stop for _, stop in apart)])
    places = (axis.places[candidates] - low) / (high - low)
    is_set = axis.is_set[candidates]
    places[~is_set] = np.median(places[is_set]) if is_set.any() else 0.5
    return places


def _fanova(X: np.ndarray, scores: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Return the share of the variance of each column, and R2 on rows that trees have not seen."""
    from sklearn.ensemble import RandomForestRegressor  # it imports much, and few need it

    forest = RandomForestRegressor(_N_TREES, random_state=seed, oob_score=True).fit(X, scores)
    shares = [_shares(tree.tree_, X.shape[1]) for tree in forest.estimators_]
    found = [share for share in shares if share is not None]
    return np.mean(found, axis=0) if found else np.zeros(X.shape[1]), float(forest.oob_score_)


def _shares(tree: Any, n_columns: int) -> np.ndarray | None:
    """Return the share of the variance of a tree over the unit cube that each column explains."""
    low, high, values = _leaves(tree, n_columns)
    widths = high - low
    volumes = widths.prod(axis=1)
    values = values - volumes @ values
    variance = volumes @ values**2
    if not variance > 0:
        return None
    shares = np.empty(n_columns)
    for j in range(n_columns):
        edges = np.unique([low[:, j], high[:, j]])
        weights = values * volumes / widths[:, j]
        steps = np.zeros(len(edges))
        np.add.at(steps, np.searchsorted(edges, low[:, j]), weights)
        np.subtract.at(steps, np.searchsorted(edges, high[:, j]), weights)
        marginal = np.cumsum(steps)[:-1]  # the mean over all other columns, between the edges
        shares[j] = np.diff(edges) @ marginal**2 / variance
    return shares


def _leaves(tree: Any, n_columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lower and upper ends of each leaf of a tree, and its value."""
    low, high = np.zeros((tree.node_count, n_columns)), np.ones((tree.node_count, n_columns))
    children = zip(tree.children_left, tree.children_right, strict=True)
    for node, (left, right) in enumerate(children):  # parents come before their children
        if left >= 0:
            low[[left, right]], high[[left, right]] = low[node], high[node]
            column = tree.feature[node]
            high[left, column] = low[right, column] = tree.threshold[node]
    is_leaf = tree.children_left < 0
    return low[is_leaf], high[is_leaf], tree.value[is_leaf].ravel()
