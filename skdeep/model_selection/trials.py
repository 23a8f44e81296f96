"""Trials: the candidates of a search, each with a network for every split, trained in parts."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from collections.abc import Iterable, Sequence
from traceback import format_exc
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone

from skdeep._component import (
    InvalidParameterError,
    MultimetricScorer,
    check_method_params,
    safe_split,
    warn_user,
)
from skdeep.building.checks import uses_lbfgs
from skdeep.estimators.base import BaseMLP
from skdeep.model_selection.folds import Fold, Given, Positions, Prepared
from skdeep.model_selection.networks import final_step, networks_in, with_final_step
from skdeep.model_selection.workers import Workers


class Part(NamedTuple):
    """The result of one part of the training of a candidate on one split.

    Attributes
    ----------
    scores : dict
        As scikit-learn's searches collect them: scores, times, the text of an error.
    n_epochs : int
        The epochs that were trained in this part.
    state : bytes or None
        The network, for the next part.
    has_ended : bool
        Whether a further part would change nothing.
    """

    scores: dict[str, Any]
    n_epochs: int
    state: bytes | None
    has_ended: bool


class Row(NamedTuple):
    """A row of cv_results_: a candidate after a number of epochs."""

    iteration: int
    n_epochs: int
    candidate: int
    parts: list[dict]


class Trials:
    """The candidates of a search.

    Parameters
    ----------
    estimator : estimator
        The user's estimator, which has one network of skdeep.
    candidates : list of dict
        The parameters of the candidates.
    max_epochs : int
        The number of epochs that schedules are designed for.
    splits : list of (train, test)
    given : Given
    workers : Workers

    Attributes
    ----------
    n_epochs : int
        The number of epochs that were trained, on all splits.
    rows : list of Row
    """

    def __init__(
        self,
        estimator: Any,
        candidates: Sequence[dict[str, Any]],
        max_epochs: int,
        splits: list[tuple[np.ndarray, np.ndarray]],
        given: Given,
        workers: Workers,
    ):
        self.candidates = list(candidates)
        self.max_epochs = max_epochs
        self.splits = splits
        self.given = given
        self.workers = workers
        self.n_epochs = 0
        self.rows: list[Row] = []
        self._folder = tempfile.TemporaryDirectory(prefix="skdeep-search-")
        self._plans = [self._plan(estimator, parameters) for parameters in self.candidates]
        self._folds: dict[tuple[str, int], Fold | dict] = {}
        self._last: dict[tuple[int, int], Part] = {}
        self._states: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        """Delete the networks."""
        self._folder.cleanup()

    # Plans: how a candidate is trained ------------------------------------------------------------

    def _plan(self, estimator: Any, parameters: dict[str, Any]) -> Plan | str:
        """Return how to train a candidate; the text of an error if its parameters are wrong."""
        try:
            whole = clone(estimator).set_params(**clone(parameters, safe=False))
            prefix, network = final_step(whole)
            if isinstance(network, BaseMLP) and not uses_lbfgs(network):
                network.set_params(max_iter=self.max_epochs, warm_start="continue")
                before = {k: v for k, v in parameters.items() if not k.startswith(prefix)}
                return Plan(whole, network, "", _key_of(before) if prefix else "")
            ((prefix, _),) = networks_in(whole).items()
            return Plan(whole, None, f"{prefix}max_iter", "")
        except Exception:
            if self.given.error_score == "raise":
                raise
            return format_exc()
