"""A random search that ends candidates in the middle of their training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from skdeep._component import InvalidParameterError, Limit, resolve, store_parameters
from skdeep.model_selection.epochs_search import BaseEpochsSearchCV
from skdeep.model_selection.rules import RULES, Rule


class PruningSearchCV(BaseEpochsSearchCV):
    """Random search that ends candidates that are not promising in the middle of their training.

    Candidates train in groups. Those of a group train together, on all splits, up to an epoch at
    which they are compared with each other and with the groups before; `rule` decides which of them
    train on. What is said about `HalvingEpochsSearchCV` about schedules, pipelines, and candidates
    that can't continue holds here too.

    Parameters
    ----------
    estimator : estimator
        An estimator of skdeep, or one with an estimator of skdeep in it, such as a Pipeline.
    param_distributions : dict or list of dicts
        Distributions, or lists of values, by the names of parameters.
    n_candidates : int, default=30
        The number of candidates that are drawn.
    max_epochs : int or "auto", default="auto"
        The epochs of a candidate that is not ended; "auto" is the `max_iter` of the network.
    rule : {"median", "halving"} or Rule, default="median"
        The rule that ends candidates: see `MedianRule` and `HalvingRule`.
    group_size : int, default=6
        The number of candidates in a group. The result depends on it, but not on n_jobs.
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
        Whether to print a line for each comparison.

    Attributes
    ----------
    cv_results_ : dict of arrays
        As that of scikit-learn's searches, with a row for each candidate at each comparison. `iter`
        is the number of the comparison, `n_resources` its epoch, and `candidate` the number of the
        candidate.
    best_estimator_, best_params_, best_score_, best_index_ : as in scikit-learn's searches
        The best candidate is one of those that trained to the end.
    n_epochs_ : int
        The epochs that were trained, on all splits. Those of the model that is fitted to all rows
        come on top.
    max_epochs_ : int
    n_splits_ : int
    refit_time_ : float
    scorer_, multimetric_ : as in scikit-learn's searches
    """

    _limits = BaseEpochsSearchCV._limits | {"group_size": Limit(1, integer=True)}

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_candidates=30,
        max_epochs="auto",
        rule="median",
        group_size=6,
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
        rule = resolve(self.rule, RULES, "rule", Rule)
        checks = _checks(rule, self.max_epochs_)
        numbers = range(len(trials.candidates))
        groups = [numbers[i : i + self.group_size] for i in numbers[:: self.group_size]]
        scores: list[dict[int, float]] = [{} for _ in checks]
        with watched.search(len(groups) * len(checks)):
            for group in groups:
                alive = list(group)
                for i, until in enumerate(checks):
                    if not alive:
                        break
                    self._say(f"candidates {alive} train up to epoch {until}")
                    scores[i] |= self._advance(trials, watched, alive, until, i)
                    survivors = _survivors(rule, alive, scores[: i + 1])
                    trials.drop(set(alive) - set(survivors))
                    alive = survivors
                trials.drop(alive)


def _checks(rule: Rule, max_epochs: int) -> list[int]:
    """Return the epochs at which a rule compares candidates."""
    given = rule.checks(max_epochs)
    checks = list(given) if isinstance(given, Iterable) else []
    allowed = Limit(1, integer=True)
    is_sorted = all(map(allowed.allows, checks)) and checks == sorted(set(checks))
    if not is_sorted or checks[-1:] != [max_epochs]:
        raise InvalidParameterError(
            f"The checks of rule={rule!r} are {given!r}; they have to be integers >= 1 in "
            f"ascending order, and the last one has to be max_epochs={max_epochs}."
        )
    return checks


def _survivors(rule: Rule, group: list[int], scores: list[dict[int, float]]) -> list[int]:
    """Return those of a group that a rule lets train on, in their order."""
    promising = rule.promising(list(group), scores)
    named = list(promising) if isinstance(promising, Iterable) else [promising]
    wrong = [c for c in named if not Limit(0, integer=True).allows(c) or c not in group]
    if wrong:
        raise InvalidParameterError(
            f"rule={rule!r} lets {wrong} train on; `promising` has to return a list of some of "
            f"the candidates {group}."
        )
    return [c for c in group if c in named]
