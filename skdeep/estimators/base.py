"""The base class of the estimators: the methods that they share, and those that they define."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from skdeep._component import (
    InvalidParameterError,
    Parametrized,
    clone_once,
    warn_user,
    wrap_output,
)
from skdeep._documentation import Documented
from skdeep.building import architecture
from skdeep.building.by_name import WITH_PARTS, with_instances
from skdeep.building.checks import uses_lbfgs
from skdeep.building.transfer import with_structure_of_pretrained
from skdeep.data.sources.base import Source
from skdeep.data.sources.checks import checked_columns, refuse_source
from skdeep.data.training_data import ravel_single_column, refuse_several
from skdeep.data.validation import ValidationSet
from skdeep.estimators import watching
from skdeep.estimators.fitted import Fitted
from skdeep.estimators.fitting import Fitting
from skdeep.estimators.run import figures
from skdeep.layers import Layer, nested
from skdeep.losses import Loss
from skdeep.network import hidden_position
from skdeep.reports.picture import html_repr
from skdeep.reports.summary import Summary


def has_stochastic_solver(estimator: Any) -> bool:
    """Whether the solver has a partial_fit; raise AttributeError if not."""
    if uses_lbfgs(estimator):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class BaseMLP(
    Fitting,
    Fitted,
    watching.CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Documented,
    Parametrized,
    auto_wrap_output_keys=None,
):
    """Base class of the estimators: a subclass defines the targets, the loss and the score."""

    _y_is_numeric = False
    _targets_are_inputs = False

    # Hyperparameters ------------------------------------------------------------------------------

    def get_params(self, deep=True):
        """Get the parameters; with deep=True, also those of parts: `layers__0__units`.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        params = super().get_params(deep)
        return nested.opened(params, WITH_PARTS) if deep else params

    def set_params(self, **params):
        """Set parameters.

        Parameters
        ----------
        **params
            Parameters by name, and those of parts, as in `solver__momentum`. If a part was given
            by name, it becomes the instance that the name stands for: with `solver="sgd"`,
            `solver__momentum=0.5` makes `solver=SGD(momentum=0.5)`. Layers are reached by position
            or name: `layers__0__units=32`. So are tasks: `tasks__kind__loss_weight=0.5`. Layers and
            tasks are not changed, as other estimators may have them too: the estimator gets changed
            copies.

        Returns
        -------
        self
        """
        params = with_instances(self, params)
        names = set(WITH_PARTS) & set(self._get_param_names())
        return super().set_params(**nested.closed(self, params, names))

    def __sklearn_clone__(self):
        return clone_once(self)

    # Methods that a subclass defines --------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, dtype: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return X and y, validated; with reset=True, the model takes over the columns of X."""
        if not reset and self._takes_as_they_are(X, y, dtype):
            return X, y
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._y_is_numeric,
            dtype=dtype,
            reset=reset,
        )
        return X, ravel_single_column(y)

    def _takes_as_they_are(self, X: Any, y: Any, dtype: Any) -> bool:
        """Whether X and y are plain arrays, of which scikit-learn's checks would change nothing.

        In partial_fit on few rows, those checks would take longer than the training.
        """
        if type(X) is not np.ndarray or type(y) is not np.ndarray or y.dtype.kind not in "biuf":
            return False
        if X.dtype != dtype or X.shape[1:] != (self.n_features_in_,) or y.shape != X.shape[:1]:
            return False
        if not len(X) or "feature_names_in_" in vars(self):
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(X.sum()) and np.isfinite(y.sum()))

    def _checked(self, X: Any, y: Any, dtype: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return X and y, validated; X may be a source."""
        check = self._check_source if isinstance(X, Source) else self._check_data
        return check(X, y, dtype, reset=reset)

    def _check_source(self, X: Source, y: Any, dtype: Any, *, reset: bool) -> tuple[Source, Any]:
        """Return a source of numbers, and y, validated as arrays are."""
        if self._targets_are_inputs:
            raise InvalidParameterError(
                f"{type(self).__name__} takes X in memory, and was given {type(X).__name__}: its "
                "targets are X itself. Train it on parts, with partial_fit."
            )
        numbers = checked_columns(self, X, dtype, reset=reset)
        numbers.check()
        # The check of y wants an X with as many rows, here of one column.
        stand_in = np.broadcast_to(np.zeros((1, 1), numbers.dtype), (X.shape[0], 1))
        twin = self._without_feature_names()
        twin.n_features_in_ = 1
        _, y = twin._check_data(stand_in, y, numbers.dtype, reset=reset)
        of_columns = {"n_features_in_", "feature_names_in_"}
        learned = {name: value for name, value in vars(twin).items() if name not in of_columns}
        vars(self).update(learned)
        return numbers, y

    def _options(self) -> Any:
        """Return an object with the hyperparameters that the network is built from."""
        return with_structure_of_pretrained(self, BaseMLP)

    def _build_layers(self) -> tuple[list[Layer], list[int]]:
        """Return new layers, and the position after each hidden layer."""
        return architecture.build_layers(self._options(), self.n_outputs_)

    def check_targets(self) -> None:
        """Raise ValueError if the attributes that describe the targets do not suit the network."""

    def _own_sizes(self, hidden: list[int]) -> list[int]:
        """Return the hidden_layer_sizes of a network with these units in its hidden layers."""
        return hidden

    def _know_targets(self) -> None:
        """Set the attributes that describe the targets from the user's attributes, without data."""

    def _encode_first(self, y: Any, classes: Any, sample_weight) -> np.ndarray:
        """Set the attributes that describe the targets, and return y encoded for `_targets`."""
        raise NotImplementedError

    def _encode_again(self, y: Any, incremental: bool) -> np.ndarray:
        """Return y encoded for `_targets`; raise if y does not suit the targets of earlier fits."""
        raise NotImplementedError

    def _encode(self, y: Any) -> np.ndarray:
        """Return y of validation data, encoded for `_targets`."""
        raise NotImplementedError

    def _targets(self, encoded: np.ndarray, dtype: np.dtype, *, training: bool, rng=None):
        """Return the targets that batches are gathered from; rng is for noise."""
        raise NotImplementedError

    def _choose_loss(self) -> Loss:
        """Return a new loss for these targets."""
        raise NotImplementedError

    def prediction_of(self, Z: np.ndarray) -> np.ndarray:
        """Return the numbers, or the probabilities, for raw outputs, which may be overwritten."""
        return self._decode(Z)

    def _score_outputs(self, y: Any, Z: np.ndarray, weight) -> float:
        """Return the estimator's own score, from raw outputs."""
        raise NotImplementedError

    def _scored_targets(self, y: Any) -> Any:
        """Return y in the form that scorers take."""
        return y

    def _score_named(self, name: str) -> Callable | None:
        """Return the score that `scoring` names, as `make_score` does; None for other names."""
        return None

    def _metric_named(self, name: str) -> tuple[str, Callable] | None:
        """Return the column of a metric, and the metric as (estimator, X, y, sample_weight).

        None stands for the metric of this name that scikit-learn has.
        """
        return None

    def _figures_by_task(self, held_out: ValidationSet, Z: np.ndarray) -> dict[str, float]:
        """Return the validation figures of an epoch beside loss and score, from raw outputs."""
        return {}

    def _class_weights(self, y: Any, incremental: bool) -> np.ndarray | None:
        """Return one weight for each row, or None."""
        return None

    def _stratify(self, encoded: np.ndarray) -> np.ndarray | None:
        """Return the classes that stratify the validation split, or None."""
        return None

    # Use of a fitted model ------------------------------------------------------------------------

    def _check_X(self, X):
        self._check_is_fitted()
        refuse_several(X)
        dtype = self.network_.dtype
        if isinstance(X, Source):
            return checked_columns(self, X, dtype, reset=False)
        with np.errstate(over="ignore"):  # numbers too large for float32 are then an error
            return validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False)

    def _raw_outputs(self, X) -> np.ndarray:
        return self._outputs_of(self._check_X(X))

    def _outputs_of(self, X) -> np.ndarray:
        """Return the raw outputs for X, which was checked."""
        with np.errstate(over="ignore", invalid="ignore"):
            Z = X.outputs(self.network_) if isinstance(X, Source) else self.network_.infer(X)
        is_nan = np.isnan(Z)
        if is_nan.any():
            warn_user(
                f"The outputs of the network are NaN for {is_nan.any(axis=1).sum()} of {len(Z)} "
                "rows: numbers became infinite in between. Scale X as the training data were "
                "scaled.",
                RuntimeWarning,
            )
        return Z

    def evaluate(self, X, y=None, sample_weight=None):
        """Return the loss, the score and the metrics of the model for these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like
            The targets, in the form that `fit` takes. An autoencoder needs none.
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        dict of float
            The figures that `history_` has for validation data: "loss", without penalties and with
            class weights; "score", the estimator's own score; and the figures of `metrics`.
        """
        self._check_is_fitted()
        return figures(self, X, y, sample_weight)

    def transform(self, X, layer=-1):
        """Return the outputs of a hidden layer.

        A network without hidden layers returns the inputs of the output layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        layer : int or str, default=-1
            The position of the hidden layer, counted from 0 at the bottom or from -1 at the top.
            With `layers=[...]` every layer of the list counts. If the layer has a name, the name
            stands for its position.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
        """
        refuse_source(
            X, "transform", "source.transform(model) transforms the rows as it reads them"
        )
        X_checked = self._check_X(X)
        layer = hidden_position(layer, self.network_.hidden_names(), "layer")
        # The names of the columns depend on the layer, so a copy of the model knows it.
        named = copy.copy(self)
        named._named_layer = layer
        stop = self.network_.hidden_stops[layer]
        return wrap_output(self.network_.infer(X_checked, stop), X, named)

    _named_layer = -1

    @property
    def _n_features_out(self) -> int:
        """The number of columns of `transform`, for get_feature_names_out."""
        return self.network_.width_after(self.network_.hidden_stops[self._named_layer])

    @property
    def _n_layers_to_reuse(self) -> int:
        """The number of the lowest hidden layers that `pretrained` passes on."""
        return len(self.network_.hidden_stops)

    def summary(self) -> Summary:
        """Return the layers, their output shapes and numbers of parameters.

        Returns
        -------
        Summary
            Prints as a table, and renders as HTML in a notebook.
        """
        self._check_is_fitted()
        return Summary(self.network_)

    def _html_repr(self) -> str:
        return html_repr(self)

    def _without_feature_names(self):
        """Return a shallow copy that takes arrays without a warning about names."""
        model = copy.copy(self)
        vars(model).pop("feature_names_in_", None)
        return model

    def _with_outputs(self, X, Z: np.ndarray):
        """Return a shallow copy that predicts from the raw outputs Z if it is given this very X."""
        model, plain = self._without_feature_names(), self._without_feature_names()
        model._raw_outputs = lambda rows: Z.copy() if rows is X else plain._raw_outputs(rows)
        return model

    @classmethod
    def models(cls) -> dict[str, type]:
        """Return the estimators of skdeep, by the names that stand for them in files."""
        own = (c for c in BaseMLP.__subclasses__() if c.__module__.startswith("skdeep."))
        return {f"estimators.{c.__name__}": c for c in own}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if self.dtype != "auto":
            tags.transformer_tags.preserves_dtype = [str(self.dtype)]
        return tags
