"""TabularClassifier: classes from a table."""

from __future__ import annotations

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length

from skdeep._component import named_parameters, store_parameters
from skdeep.data.calibration import temperature
from skdeep.data.encoding import ClassEncoder, weights_of_classes
from skdeep.data.sources.checks import with_own_targets
from skdeep.data.training_data import combine_weights, ravel_single_column
from skdeep.estimators.classifier import MLPClassifier
from skdeep.losses import LogLoss
from skdeep.tabular import weights
from skdeep.tabular.base import BaseTabular


class TabularClassifier(ClassifierMixin, BaseTabular):
    """Predict classes from a table of numbers and categories, with an ensemble of networks.

    The columns are encoded as by `TabularEncoder`, so that X may be a data frame with categories
    and missing values. Each member of the ensemble embeds the numbers and the categories, and keeps
    the weights of its best epoch on validation rows. Probabilities are averaged and calibrated.

    Parameters
    ----------
    categorical_features : "from_dtype", None, or sequence of str, int or bool, \
            default="from_dtype"
        The columns that hold categories: see `TabularEncoder`.
    max_one_hot : int or None, default=8
        The number of categories up to which a column becomes 0/1 columns. A column with more
        categories gets an embedding. None stands for no bound.
    embedding_size : int, default=8
        The number of numbers that an embedding gives each category.
    numeric_embedding : {"auto", "piecewise_linear", "periodic"}, None or Layer, default="auto"
        The layer that turns each column of numbers into several numbers: `PiecewiseLinear`,
        `Periodic`, or a layer of your choice. None passes the columns on as they are. With "auto",
        the members take turns: the first has "periodic", the second "piecewise_linear". Neither a
        sparse X nor more than 256 columns of numbers are embedded.
    hidden_layer_sizes : int or sequence of int, default=(256, 256, 256)
        The number of units of each hidden layer.
    activation : str or Activation, default="auto"
        The activation of the hidden layers. "auto" is `PReLU` with slopes that start at 0.
    dropout : float or Scheduled, default=0.15
        The share of the units of each hidden layer that dropout switches off. A number falls to 0
        along a cosine in the second half of training.
    weight_decay : float or Scheduled, default=0.02
        The decoupled decay of the weights. A number falls to 0 along a cosine in the second half of
        training.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.
    label_smoothing : float, default=0.0
        The share of each target that is spread evenly over all classes.
    learning_rate_init : float or "auto", default="auto"
        The highest learning rate. It is that of a layer with one input: the rate of a layer is
        divided by the root of its number of inputs. "auto" is 0.04. The rate follows
        `skdeep.schedules.CosineLog`.
    batch_size : int, default=256
        The number of rows of a batch.
    max_iter : int or "auto", default="auto"
        The largest number of epochs, for which the learning rate is laid out. A member keeps the
        weights of its best epoch. If a cycle of the learning rate brings no better epoch, training
        ends with it. "auto" is 192,000 / n_samples, but at least 64 and at most 128.
    validation_fraction : float, default=0.2
        The share of the rows that is held back for validation, if there is no X_val and no bagging.
    scoring : str or callable, default=None
        The score that chooses the best epoch of each member, averaged over three epochs: the name
        of a scorer, a callable scoring(estimator, X, y), "loss", "calibrated_loss" or None. None is
        "calibrated_loss": the log-loss that is left if the probabilities are calibrated.
    n_members : int, default=4
        The number of networks. Each has first weights and an order of the rows of its own.
    bagging : {"auto", True, False}, default="auto"
        Whether each member validates on a fold of its own, and trains on the other folds. "auto"
        does so if there is no X_val and more than one member. Then `oof_` holds out-of-fold
        predictions.
    refit : {None, "full"}, default=None
        "full" trains each member once more on all rows, those for validation included, for the
        number of epochs that was best. It takes about twice the time.
    calibrate : bool, default=True
        Whether the probabilities are calibrated: the log-odds are multiplied by the number with
        which the log-loss on the validation rows is lowest.
    n_jobs : int or None, default=None
        The number of members that are trained at a time, each by a thread. None stands for the
        number of threads that NumPy's matrix products may use. With callbacks, members are trained
        one after the other.
    dtype : {"float32", "float64"}, default="float32"
        The dtype of the networks.
    callbacks : Callback or list of Callback, default=None
        Callbacks of each member's training. All members are given the same objects.
    random_state : int, RandomState instance or None, default=None
        Determines first weights, the order of rows, dropout, and the validation rows.
    verbose : bool or "progress", default=False
        Whether to print a line for each member; for each epoch, or as a progress bar, if there is
        one member.

    Attributes
    ----------
    classes_ : ndarray
        The labels.
    encoder_ : TabularEncoder
        The fitted encoder of the columns.
    members_ : list of MLPClassifier
        The fitted networks, which take encoded rows.
    weights_ : ndarray of shape (n_members,)
        The weights of the members in the mean, which are best on the validation rows.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of str
        The names of the columns of X, if all are strings.
    oof_ : ndarray or None
        With bagging, for each training row the probabilities of the member that validated on it.
    best_iters_ : list of int
        The best epoch of each member.
    histories_ : list of dict
        The history of each member: see `history_` of `MLPClassifier`.
    n_iter_ : int
        The largest number of epochs of a member.
    temperature_ : float
        The number that calibrates the log-odds.

    See Also
    --------
    MLPClassifier : One network, for arrays that are encoded and scaled.
    TabularEncoder : The encoder on its own.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skdeep import TabularClassifier
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> model = TabularClassifier(n_members=2, max_iter=20, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _member_class = MLPClassifier
    _is_classifier = True
    _default_scoring = "calibrated_loss"

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

    def fit(self, X, y=None, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the members.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)
            A source of `skdeep.data` has rows that are not in memory. If it has targets and
            weights, they take the place of y=None and sample_weight=None.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type; or a 0/1 indicator matrix for multilabel targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
        X_val, y_val : DataFrame, array-like or Source, or None, default=None
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
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)

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
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)

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
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._combined(self._outputs(X))

    def decision_function(self, X):
        """Return log-odds: above 0 for `classes_[1]` in a binary problem.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)

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

    def score(self, X, y=None, sample_weight=None):
        """Return the accuracy.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
        """
        return super().score(*with_own_targets(X, y, sample_weight))

    # Methods for the base class -------------------------------------------------------------------

    def _encode_first(self, y, n_rows, weight):
        y = self._checked(y, n_rows)
        self._labels = ClassEncoder(y)
        self.classes_ = self._labels.classes
        self.temperature_, self._tempers_members = 1.0, False  # until there are validation rows
        return self._encoded(y, weight)

    def _encode(self, y, n_rows, weight):
        y = self._checked(y, n_rows)
        unseen = self._labels.unseen(y)
        if len(unseen):
            raise ValueError(f"y has classes {unseen.tolist()}, which are not among those of fit.")
        return self._encoded(y, weight)

    def _checked(self, y, n_rows: int):
        y = ravel_single_column(self._checked_targets(y))
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
        return {"label_smoothing": self.label_smoothing}

    def _output_of(self, member, A):
        return member._log_probabilities(member._outputs_of(A)).astype(np.float64)

    def _learn_from_folds(self, rows, split):
        """Set: weights_, oof_, temperature_."""
        self._tempers_members = True  # as no row was seen by all members
        L = self._out_of_fold(rows, split)
        self.oof_ = np.exp(L)
        brier = ((self.oof_ - self._indicators(rows.y)) ** 2).sum(axis=1)
        self._calibrate(L, rows.y, self._weigh_by_folds(rows, split, brier))

    def _learn_from_rows(self, seen, outputs):
        """Set: weights_, temperature_."""
        of_targets = self._of_targets(np.stack(outputs), seen.y)
        self.weights_ = weights.for_probabilities(of_targets, seen.weight)
        self._calibrate(self._combined(outputs), seen.y, seen.weight)

    def _calibrate(self, L: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Set: temperature_, the one that suits these log-probabilities best."""
        if not self.calibrate or len(self.classes_) < 2:
            return
        loss = LogLoss()
        loss.multiclass = not self._is_multilabel
        Z = L if loss.multiclass else _log_odds(L)
        self.temperature_ = temperature(loss, self._indicators(y), Z, weight)

    def _indicators(self, y: np.ndarray) -> np.ndarray:
        """Return 1 for the classes or labels of each row, and 0 for the others."""
        return y.astype(np.float64) if self._is_multilabel else np.eye(len(self.classes_))[y]

    def _of_targets(self, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the log-probability that each member gives to the target of each row."""
        if not self._is_multilabel:
            return outputs[:, np.arange(len(y)), y]
        return np.where(y, outputs, _log_of_rest(outputs)).mean(axis=2)

    def _combined(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Return the logarithms of the members' weighted mean probabilities, calibrated."""
        if self._tempers_members:
            outputs = [self._tempered(L) for L in outputs]
        with np.errstate(divide="ignore"):  # a weight may be 0
            log_weights = np.log(self.weights_).reshape(-1, 1, 1)
        mean = np.logaddexp.reduce(log_weights + np.stack(outputs))
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


def _log_of_rest(L: np.ndarray) -> np.ndarray:
    """Return log(1 - p), given log(p)."""
    return np.log(-np.expm1(np.minimum(L, -1e-16)))


def _log_odds(L: np.ndarray) -> np.ndarray:
    """Return the log-odds, given log(p)."""
    return L - _log_of_rest(L)
