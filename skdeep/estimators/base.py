"""What all estimators share: what a subclass says, and what a fitted model is used for."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from skdeep._component import warn_user, wrap_output
from skdeep.building import architecture
from skdeep.building.checks import uses_lbfgs
from skdeep.building.transfer import (
    with_structure_of_pretrained,
)
from skdeep.data.training_data import (
    ravel_single_column,
)
from skdeep.estimators import watching
from skdeep.estimators.fitted import Fitted
from skdeep.estimators.fitting import Fitting
from skdeep.layers import Layer
from skdeep.losses import Loss
from skdeep.reports.picture import html_repr
from skdeep.reports.summary import Summary


def has_stochastic_solver(estimator: Any) -> bool:
    """Whether there is a partial_fit."""
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
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Base class of the estimators: a subclass says what targets, loss and score are."""

    _y_is_numeric = False

    # What a subclass adds -----------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, dtype: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return X and y, validated; with reset=True X's columns are what they should be."""
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

    def _options(self) -> Any:
        """Return an object with the hyperparameters that the network is built from."""
        return with_structure_of_pretrained(self, BaseMLP)

    def _build_layers(self) -> tuple[list[Layer], list[int]]:
        """Return fresh layers, and where every hidden layer ends."""
        return architecture.build_layers(self._options(), self.n_outputs_)

    def check_targets(self) -> None:
        """Raise ValueError where what is known of targets does not go with the network."""

    def _own_sizes(self, hidden: list[int]) -> list[int]:
        """Return the hidden_layer_sizes of a network with these units in its hidden layers."""
        return hidden

    def _know_targets(self) -> None:
        """Learn what the targets are from what the user has set; there are no data."""

    def _encode_first(self, y: Any, classes: Any, sample_weight) -> np.ndarray:
        """Learn what the targets are, and return what `_targets` takes."""
        raise NotImplementedError

    def _encode_again(self, y: Any, incremental: bool) -> np.ndarray:
        """Return what `_targets` takes; raise where y does not go with what was learned."""
        raise NotImplementedError

    def _encode(self, y: Any) -> np.ndarray:
        """Return what `_targets` takes, for validation data."""
        raise NotImplementedError

    def _targets(self, encoded: np.ndarray, dtype: np.dtype, *, training: bool, rng=None):
        """Return what batches take targets from; an rng is for noise."""
        raise NotImplementedError

    def _choose_loss(self) -> Loss:
        """Return a fresh loss for these targets."""
        raise NotImplementedError

    def _score_outputs(self, y: Any, Z: np.ndarray, weight) -> float:
        """Return the estimator's own score, from raw outputs."""
        raise NotImplementedError

    def _class_weights(self, y: Any, incremental: bool) -> np.ndarray | None:
        """Return a weight a row, or None."""
        return None

    def _stratify(self, encoded: np.ndarray) -> np.ndarray | None:
        """Return what the validation split is stratified by."""
        return None

    # Using what was fitted ------------------------------------------------------------------------

    def _check_X(self, X):
        self._check_is_fitted()
        dtype = self.network_.dtype
        with np.errstate(over="ignore"):  # what is too large for float32 is then an error
            return validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False)

    def _raw_outputs(self, X) -> np.ndarray:
        X = self._check_X(X)
        with np.errstate(over="ignore", invalid="ignore"):
            Z = self.network_.infer(X)
        is_nan = np.isnan(Z)
        if is_nan.any():
            warn_user(
                f"The outputs of the network are NaN for {is_nan.any(axis=1).sum()} of {len(Z)} "
                "rows: numbers became infinite on the way. Scale X as the training data were "
                "scaled.",
                RuntimeWarning,
            )
        return Z

    def transform(self, X, layer=-1):
        """Return the activations of a hidden layer; of a network without any, its inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        layer : int, default=-1
            Which hidden layer, counted from 0 at the bottom, or from -1 at the top. With
            `layers=[...]` every Layer of the list counts.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
        """
        X_checked = self._check_X(X)
        stops = self.network_.hidden_stops
        if not isinstance(layer, (int, np.integer)) or not -len(stops) <= layer < len(stops):
            raise ValueError(
                f"layer={layer!r} is not allowed; the network has {len(stops)} hidden layers, so "
                f"give an integer from {-len(stops)} to {len(stops) - 1}."
            )
        # Names of columns are asked of a copy that knows which layer they are for.
        named = copy.copy(self)
        named._named_layer = layer
        return wrap_output(self.network_.infer(X_checked, stops[layer]), X, named)

    _named_layer = -1

    @property
    def _n_features_out(self) -> int:
        """The number of columns of `transform`, for get_feature_names_out."""
        return self.network_.width_after(self.network_.hidden_stops[self._named_layer])

    @property
    def _n_layers_to_reuse(self) -> int:
        """How many of the lowest hidden layers `pretrained` passes on."""
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
