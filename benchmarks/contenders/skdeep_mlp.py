"""skdeep's MLPClassifier; the environment of the process chooses the kernels."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.contenders import ALPHA, LEARNING_RATE, Contender
from skdeep import MLPClassifier
from skdeep.callbacks import Callback


class _Ends(Callback):
    def on_train_begin(self, trainer):
        self.ends_ = []

    def on_epoch_end(self, trainer):
        self.ends_.append(time.perf_counter())


class Skdeep(Contender):
    """skdeep; `estimator` is the class, for searches."""

    estimator = MLPClassifier

    def fit(self, n_epochs):
        task, ends = self.task, _Ends()
        self.model = MLPClassifier(
            task.hidden,
            batch_norm="before" if task.batch_norm else None,
            dropout=task.dropout,
            alpha=ALPHA,
            learning_rate_init=LEARNING_RATE,
            batch_size=task.batch_size,
            max_iter=n_epochs,
            tol=0.0,
            n_iter_no_change=np.inf,
            callbacks=[ends],
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.y)
        return ends.ends_

    def predict(self, X):
        return self.model.predict_proba(X)
