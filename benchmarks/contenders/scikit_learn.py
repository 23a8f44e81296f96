"""scikit-learn's MLPClassifier, and its input validation alone."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import validate_data

from benchmarks.contenders import ALPHA, LEARNING_RATE, Contender


class _TimedMLPClassifier(MLPClassifier):
    """MLPClassifier that records the times at which epochs end.

    scikit-learn has no callbacks. The difference between a long and a short fit would contain the
    noise of two fits. With this class the time is taken as for the other contenders.
    """

    def _update_no_improvement_count(self, *args):
        super()._update_no_improvement_count(*args)
        self.ends_.append(time.perf_counter())


class ScikitLearn(Contender):
    """scikit-learn; `estimator` is the plain class, for searches."""

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
    """Only the input validation with which every scikit-learn estimator starts to predict."""

    def predict(self, X):
        return validate_data(self.model, X, accept_sparse=("csr", "csc", "coo"), reset=False)
