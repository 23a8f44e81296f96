"""Successive halving by epochs: the candidates that survive a rung train on where they were."""

from __future__ import annotations

import math

import numpy as np

from skdeep._component import Limit, store_parameters
from skdeep.model_selection.epochs_search import BaseEpochsSearchCV
from skdeep.model_selection.rules import best_of, rungs


class HalvingEpochsSearchCV(BaseEpochsSearchCV):
    """Search of hyperparameters by successive halving, with epochs as the resource.

    All candidates train for `min_epochs`. The best third of them trains on up to three times as
    many epochs, and so on up to `max_epochs`: these are the rungs. A candidate that survives a rung
    continues where it was: with its weights, the state of its optimizer, its schedule and its
    random numbers, on each split of the cross-validation on its own. The survivors of the last rung
    are therefore trained exactly as `fit` with `max_iter=max_epochs` trains them.

    Schedules of the learning rate are designed for `max_epochs` epochs in every rung. So all
    candidates of a rung are compared at the same epoch, and at the same point of their schedules.

    In a Pipeline, the steps before the network are fitted once for each split. Some candidates
    can't continue: those with solver="lbfgs", Tabular estimators, subclasses that define `fit`, and
    networks inside of other estimators than pipelines. They train from the beginning in each rung,
    with schedules designed for the epochs of the rung.

    Parameters
    ----------
    estimator : estimator
        An estimator of skdeep, or one with an estimator of skdeep in it, such as a Pipeline.
    param_distributions : dict or list of dicts
        Distributions, or lists of values, by the names of parameters: see `param_distributions` of
        this module for default ones.
    n_candidates : int, default=27
        The number of candidates that are drawn.
    min_epochs : int or "auto", default="auto"
        The epochs of the first rung; "auto" is max_epochs / factor^2, which gives three rungs.
    max_epochs : int or "auto", default="auto"
        The epochs of the last rung, and of the model that is fitted to all rows; "auto" is the
        `max_iter` of the network.
    factor : float, default=3
        The number of candidates is divided by it from rung to rung, and the number of epochs is
        multiplied by it.
    cv : int, splitter or iterable, default=3
        The splits, as scikit-learn's searches take them.
    scoring : str, callable, list, tuple, dict or None, default=None
        The score, or several of them, as scikit-learn's searches take them. None is the score of
        the estimator. Of several scores, the one that `refit` names decides.
    n_jobs : int or None, default=None
        The number of processes, as in joblib.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows, with `max_epochs` epochs. With several
        scores, the name of the one that decides.
    random_state : int, RandomState or None, default=None
        For drawing candidates. The networks have a `random_state` of their own.
    error_score : "raise" or float, default=nan
        The score of a candidate whose training fails.
    return_train_score : bool, default=False
        Whether to compute the scores of the training rows too.
    verbose : int, default=0
        Whether to print a line for each rung.

    Attributes
    ----------
    cv_results_ : dict of arrays
        As that of scikit-learn's searches, with a row for each candidate in each rung. `iter` is
        the number of the rung, `n_resources` its epochs, and `candidate` the number of the
        candidate, which it has in all rungs.
    best_estimator_, best_params_, best_score_, best_index_ : as in scikit-learn's searches
        The best candidate is one of the last rung.
    n_epochs_ : int
        The epochs that were trained in all rungs, on all splits. Those of the model that is fitted
        to all rows come on top.
    n_resources_, n_candidates_ : list of int
        The epochs, and the number of candidates, of each rung.
    max_epochs_ : int
    n_splits_ : int
    refit_time_ : float
    scorer_, multimetric_ : as in scikit-learn's searches

    References
    ----------
    Jamieson, Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
    optimization".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier
    >>> from skdeep.model_selection import HalvingEpochsSearchCV, LogIntUniform
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=18, random_state=0))
    >>> space = {
    ...     "mlpclassifier__learning_rate_init": [0.001, 0.003, 0.01, 0.03],
    ...     "mlpclassifier__batch_size": LogIntUniform(8, 64),
    ... }
    >>> search = HalvingEpochsSearchCV(model, space, n_candidates=9, random_state=0).fit(X, y)
    >>> search.n_resources_, search.n_candidates_
    ([2, 6, 18], [9, 3, 1])
    >>> search.n_epochs_  # 9 candidates for 2 epochs, 3 for 4 more, 1 for 12 more; on 3 splits
    126
    """

    _limits = BaseEpochsSearchCV._limits | {
        "factor": Limit(1, closed="(]"),
        "min_epochs": Limit(1, integer=True, special=("auto",)),
    }

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_candidates=27,
        min_epochs="auto",
        max_epochs="auto",
        factor=3,
        cv=3,
        scoring=None,
        n_jobs=None,
        refit=True,
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        verbose=0,
    ):
        store_parameters(self, locals())

    def _run_trials(self, trials, watched):
        epochs = rungs(self.min_epochs, self.max_epochs_, self.factor)
        self.n_resources_, self.n_candidates_ = [], []
        alive = list(range(len(trials.candidates)))
        with watched.search(len(epochs)):
            while epochs:
                until = epochs.pop(0)
                self._say(f"{len(alive)} candidates train up to epoch {until}")
                means = self._advance(trials, watched, alive, until, len(self.n_resources_))
                self.n_resources_.append(until)
                self.n_candidates_.append(len(alive))
                survivors = best_of(means, math.ceil(len(alive) / self.factor))
                trials.drop(set(alive) - set(survivors))
                alive = survivors
                if len(alive) == 1 or np.isnan(list(means.values())).all():
                    epochs = epochs[-1:]  # nothing more is to be compared
