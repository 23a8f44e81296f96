"""TabularClassifier: classes from a table."""

from __future__ import annotations

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length, validate_data

from skdeep._component import named_parameters, store_parameters
from skdeep.data.calibration import temperature
from skdeep.data.encoding import ClassEncoder, weights_of_classes
from skdeep.data.training_data import combine_weights, ravel_single_column
from skdeep.estimators.classifier import MLPClassifier
from skdeep.losses import LogLoss
from skdeep.tabular.base import BaseTabular
from skdeep.tabular.members import Rows


class TabularClassifier(ClassifierMixin, BaseTabular):
    """Predict classes from a table of numbers and categories, with an ensemble of networks.

    The columns are encoded as by `TabularEncoder`, so that X may be a data frame with categories
    and missing values. Each member of the ensemble embeds the numbers and the categories, and keeps
    the weights of its best epoch on validation rows. Probabilities are averaged and calibrated.

    Parameters
    ----------

    Parameters
    ----------
    """

    _member_class = MLPClassifier
    _is_classifier = True

    @named_parameters
    def __init__(
        self,
        *,
        categorical_features="from_dtype",
        max_one_hot=8,
        embedding_size=8,
        numeric_embedding="auto",
        hidden_layer_sizes=(256, 256, 256),
        activation="auto",
        dropout=0.15,
        weight_decay=0.02,
        class_weight=None,
        label_smoothing=0.0,
        learning_rate_init="auto",
        batch_size=256,
        max_iter="auto",
        validation_fraction=0.2,
        scoring=None,
        n_members=4,
        bagging="auto",
        refit=None,
        calibrate=True,
        n_jobs=None,
        dtype="float32",
        callbacks=None,
        random_state=None,
        verbose=False,
    ):
        store_parameters(self, locals())

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the members.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type; or a 0/1 indicator matrix for multilabel targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
        X_val, y_val : DataFrame or array-like, or None, default=None
            Validation rows. If they are given, all members train on all rows of X.
        sample_weight_val : array-like or None, default=None
            The sample weights of the validation rows.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The second shape is for multilabel targets.
        """
        P = self.predict_proba(X)
        if self._is_multilabel:
            return (P > 0.5).astype(int)
        return self.classes_[P.argmax(axis=1)]

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The columns are in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._combined(self._outputs(X))

    def decision_function(self, X):
        """Return log-odds: above 0 for `classes_[1]` in a binary problem.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The second shape has log-probabilities if there are more than two classes, and log-odds
            for multilabel targets.
        """
        L = self.predict_log_proba(X)
        if self._is_multilabel:
            return _log_odds(L)
        return L[:, 1] - L[:, 0] if L.shape[1] == 2 else L

    # Methods for the base class -------------------------------------------------------------------

    def _encode_first(self, y, n_rows, weight):
        y = self._checked(y, n_rows)
        self._labels = ClassEncoder(y)
        self.classes_ = self._labels.classes
        return self._encoded(y, weight)

    def _encode(self, y, n_rows, weight):
        y = self._checked(y, n_rows)
        unseen = self._labels.unseen(y)
        if len(unseen):
            raise ValueError(f"y has classes {list(unseen)}, which are not among those of fit.")
        return self._encoded(y, weight)

    def _checked(self, y, n_rows: int):
        y = ravel_single_column(validate_data(self, y=y, multi_output=True))
        check_consistent_length(np.empty(n_rows), y)
        return y

    def _encoded(self, y, weight) -> tuple[np.ndarray, np.ndarray | None]:
        """Return codes, or the indicator matrix, and the weights of the rows."""
        encoded = self._labels.encode(y)
        if self._labels.kind == "binary":
            encoded = encoded[:, 0].astype(int)
        of_classes = weights_of_classes(self.class_weight, y, self._labels)
        return encoded, combine_weights(weight, of_classes)

    def _codes(self):
        return None if self._is_multilabel else np.arange(len(self.classes_))

    def _stratify(self, encoded):
        return None if self._is_multilabel else encoded

    @property
    def _is_multilabel(self) -> bool:
        return self._labels.kind == "multilabel"

    def _of_member(self):
        scoring = "calibrated_loss" if self.scoring is None else self.scoring
        return {"scoring": scoring, "label_smoothing": self.label_smoothing}

    def _output_of(self, member, A):
        return member.predict_log_proba(A).astype(np.float64)

    def _learn_from_validation(self, rows, given, split):
        """Set: oof_, temperature_."""
        self.temperature_ = 1.0
        self._tempers_members = split[0].validation is not None and self._bags(given is not None)
        if self._tempers_members:
            L, seen = self._out_of_fold(rows, split), rows
            self.oof_ = np.exp(L)
        elif given is not None or split[0].validation is not None:
            seen = rows.take(split[0].validation) if given is None else given
            L = self._combined([self._output_of(member, seen.X) for member in self.members_])
        else:
            return
        if self.calibrate and len(self.classes_) > 1:
            self.temperature_ = self._temperature(L, seen)

    def _temperature(self, L: np.ndarray, rows: Rows) -> float:
        """Return the temperature that suits these log-probabilities best."""
        loss = LogLoss()
        loss.multiclass = not self._is_multilabel
        Y = np.eye(L.shape[1])[rows.y] if loss.multiclass else rows.y.astype(np.float64)
        return temperature(loss, Y, L if loss.multiclass else _log_odds(L), rows.weight)

    def _combined(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Return the logarithms of the members' mean probabilities, calibrated."""
        if self._tempers_members:
            outputs = [self._tempered(L) for L in outputs]
        mean = np.logaddexp.reduce(outputs) - np.log(len(outputs))
        return mean if self._tempers_members else self._tempered(mean)

    def _tempered(self, L: np.ndarray) -> np.ndarray:
        if self.temperature_ == 1.0:
            return L
        if self._is_multilabel:
            return log_expit(self.temperature_ * _log_odds(L))
        return log_softmax(self.temperature_ * L, axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _log_odds(L: np.ndarray) -> np.ndarray:
    """Return the log-odds of logarithms of probabilities."""
    return L - np.log(-np.expm1(np.minimum(L, -1e-16)))
