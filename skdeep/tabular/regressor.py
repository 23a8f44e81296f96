"""TabularRegressor: numbers from a table."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_consistent_length

from skdeep._component import (
    InvalidParameterError,
    Limit,
    named_parameters,
    resolve,
    store_parameters,
)
from skdeep.data.sources.checks import with_own_targets
from skdeep.data.training_data import ravel_single_column
from skdeep.estimators.regressor import MLPRegressor
from skdeep.losses import REGRESSION_LOSSES, Loss
from skdeep.tabular import weights
from skdeep.tabular.base import BaseTabular
from skdeep.tabular.intervals import Residuals

_SHARE = Limit(0, 1, "()")
# The largest target by dtype: predictions, and squares of errors, are to be finite.
_LARGEST = {"float32": 1e35, "float64": 1e140}


class TabularRegressor(RegressorMixin, BaseTabular):
    """Predict numbers from a table of numbers and categories, with an ensemble of networks.

    The columns are encoded as by `TabularEncoder`, so that X may be a data frame with categories
    and missing values. Each member of the ensemble embeds the numbers and the categories, and keeps
    the weights of its best epoch on validation rows. Their predictions are
    averaged, with weights.

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
        The activation of the hidden layers. "auto" is "mish".
    dropout : float or Scheduled, default=0.15
        The share of the units of each hidden layer that dropout switches off. A number falls to 0
        along a cosine in the second half of training.
    weight_decay : float or Scheduled, default=0.02
        The decoupled decay of the weights. A number falls to 0 along a cosine in the second half of
        training.
    loss : str or Loss, default="squared_error"
        The loss: see `MLPRegressor`.
    limit_predictions : bool, default=True
        Whether predictions stay within the range of the training targets.
    learning_rate_init : float or "auto", default="auto"
        The highest learning rate. It is that of a layer with one input: the rate of a layer is
        divided by the root of its number of inputs. "auto" is 0.1. The rate follows
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
        of a scorer, a callable scoring(estimator, X, y), "loss" or None. None is "loss".
    n_members : int, default=4
        The number of networks. Each has first weights and an order of the rows of its own.
    bagging : {"auto", True, False}, default="auto"
        Whether each member validates on a fold of its own, and trains on the other folds. "auto"
        does so if there is no X_val and more than one member. Then `oof_` holds out-of-fold
        predictions.
    refit : {None, "full"}, default=None
        "full" trains each member once more on all rows, those for validation included, for the
        number of epochs that was best. It takes about twice the time.
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
    n_outputs_ : int
        The number of outputs.
    encoder_ : TabularEncoder
        The fitted encoder of the columns.
    members_ : list of MLPRegressor
        The fitted networks, which take encoded rows.
    weights_ : ndarray of shape (n_members,)
        The weights of the members in the mean, which are best on the validation rows.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of str
        The names of the columns of X, if all are strings.
    oof_ : ndarray or None
        With bagging, for each training row the prediction of the member that validated on it.
    best_iters_ : list of int
        The best epoch of each member.
    histories_ : list of dict
        The history of each member: see `history_` of `MLPRegressor`.
    n_iter_ : int
        The largest number of epochs of a member.

    See Also
    --------
    MLPRegressor : One network, for arrays that are encoded and scaled.
    TabularEncoder : The encoder on its own.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdeep import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(n_members=2, max_iter=20, random_state=0).fit(X, y)
    >>> model.predict_interval(X[:5], coverage=0.9).shape
    (5, 2)
    """

    _member_class = MLPRegressor
    _is_classifier = False
    _default_scoring = "loss"

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
        loss="squared_error",
        limit_predictions=True,
        learning_rate_init="auto",
        batch_size=256,
        max_iter="auto",
        validation_fraction=0.2,
        scoring=None,
        n_members=4,
        bagging="auto",
        refit=None,
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
            Numbers.
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
        """Predict numbers.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._shaped(self._combined(self._outputs(X)))

    def predict_quantile(self, X, quantile=0.5):
        """Predict quantiles: numbers that y is below with a given probability.

        The quantiles are those of the errors on validation rows, around the prediction. They never
        cross.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)
        quantile : float or sequence of float, default=0.5
            Numbers between 0 and 1.

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_quantiles), (n_samples, n_outputs) or \
                (n_samples, n_outputs, n_quantiles)
        """
        levels = np.atleast_1d(np.asarray(quantile, dtype=object))
        for level in levels:
            if not _SHARE.allows(level):
                raise InvalidParameterError(
                    f"quantile={quantile!r} is not allowed; give numbers in (0, 1)."
                )
        found = self._quantiles(X, [float(level) for level in levels])
        found = self._shaped(found)
        return found[..., 0] if np.ndim(quantile) == 0 else found

    def predict_interval(self, X, coverage=0.9):
        """Predict intervals that hold y with a given probability.

        Parameters
        ----------
        X : DataFrame, array-like, sparse matrix or Source of shape (n_samples, n_features)
        coverage : float, default=0.9
            The share of new rows whose y lies in the interval, if new rows are drawn as the
            training rows were.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            The lower and the upper end.
        """
        if not _SHARE.allows(coverage):
            raise InvalidParameterError(
                f"coverage={coverage!r} is not allowed; give a number in (0, 1)."
            )
        return self._shaped(self._quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2]))

    def _quantiles(self, X, levels: list[float]) -> np.ndarray:
        """Return quantiles, of shape (n_samples, n_outputs, n_levels)."""
        self._check_is_fitted()
        if not self._residuals:
            raise ValueError(
                "Intervals need validation rows, and fit had too few rows to hold some back; give "
                "X_val and y_val to fit."
            )
        P = self._combined(self._outputs(X))
        out = np.empty((*P.shape, len(levels)))
        for j, residuals in enumerate(self._residuals):
            for k, level in enumerate(levels):
                out[:, j, k] = residuals.quantile(P[:, j], level)
        return out

    def score(self, X, y=None, sample_weight=None):
        """Return the R2, averaged over the outputs.

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
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._range = y.min(axis=0), y.max(axis=0)
        self._residuals = []  # until there are validation rows
        return y, weight

    def _encode(self, y, n_rows, weight):
        y = self._checked(y, n_rows)
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs_:
            raise ValueError(f"y has {n_outputs} outputs, and that of fit {self.n_outputs_}.")
        return y, weight

    def _checked(self, y, n_rows: int) -> np.ndarray:
        y = self._checked_targets(y, y_numeric=True)
        if sp.issparse(y):
            raise ValueError("y is a sparse matrix, which is not allowed; give y.toarray().")
        y = ravel_single_column(np.asarray(y, np.float64))
        check_consistent_length(np.empty(n_rows), y)
        largest = np.abs(y).max(initial=0.0)
        if largest > _LARGEST[self.dtype]:
            raise ValueError(
                f"y holds numbers up to {largest:.3g}, and with dtype={self.dtype!r} at most "
                f"{_LARGEST[self.dtype]:.0e} is allowed; divide y by a number."
            )
        return y

    def _codes(self):
        return None

    def _stratify(self, encoded):
        return None

    @property
    def _has_identity_link(self) -> bool:
        return resolve(self.loss, REGRESSION_LOSSES, "loss", Loss).link == "identity"

    def _of_member(self):
        return {"loss": self.loss, "standardize_y": self._has_identity_link}

    def _output_of(self, member, A):
        return member._decode(member._outputs_of(A)).astype(np.float64).reshape(A.shape[0], -1)

    def _combined(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Return the members' weighted mean predictions, of shape (n_samples, n_outputs)."""
        mean = np.tensordot(self.weights_, outputs, 1)
        if self.limit_predictions:
            np.clip(mean, *self._range, out=mean)
        return mean

    def _shaped(self, P: np.ndarray) -> np.ndarray:
        """Return predictions without the axis of outputs if there is one output."""
        return P[:, 0] if self.n_outputs_ == 1 else P

    def _learn_from_folds(self, rows, split):
        """Set: weights_, oof_, _residuals."""
        P, Y = self._out_of_fold(rows, split), _columns(rows.y)
        self.oof_ = self._shaped(P)
        errors = ((P - Y) / weights.spread(Y)) ** 2
        self._take_residuals(P, Y, self._weigh_by_folds(rows, split, errors.mean(axis=1)))

    def _learn_from_rows(self, seen, outputs):
        """Set: weights_, _residuals."""
        Y = _columns(seen.y)
        self.weights_ = weights.for_numbers(np.stack(outputs), Y, seen.weight)
        self._take_residuals(self._combined(outputs), Y, seen.weight)

    def _take_residuals(self, P: np.ndarray, Y: np.ndarray, weight: np.ndarray | None) -> None:
        """Set: _residuals, one for each output."""
        self._residuals = [Residuals(p, y, weight) for p, y in zip(P.T, Y.T, strict=True)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _columns(y: np.ndarray) -> np.ndarray:
    return y.reshape(len(y), -1)
