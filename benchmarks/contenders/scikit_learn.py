"""scikit-learn's MLPClassifier, and its check of the input alone."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import validate_data

from benchmarks.contenders import ALPHA, LEARNING_RATE, Contender


class _TimedMLPClassifier(MLPClassifier):
    """Writes down when epochs end.

    scikit-learn has no callbacks. The difference between a long and a short fit would do too, but
    with the noise of two fits in it; this is the same clock at the same place as for the others.
    """

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        self.ends_.append(time.perf_counter())


class ScikitLearn(Contender):
    """`estimator` is the plain class, for searches."""

    estimator = MLPClassifier

    def fit(self, n_epochs):
        task = self.task
        self.model = _TimedMLPClassifier(
            task.hidden,
            alpha=ALPHA,
            learning_rate_init=LEARNING_RATE,
            batch_size=task.batch_size,
            max_iter=n_epochs,
            tol=0.0,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        self.model.ends_ = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.y)
        return self.model.ends_

    def predict(self, X):
        return self.model.predict_proba(X)


class ValidateData(ScikitLearn):
    """What every prediction of a scikit-learn estimator starts with, and nothing else."""

    def predict(self, X):
        return validate_data(self.model, X, accept_sparse=("csr", "csc", "coo"), reset=False)
