"""The hidden layers of a fitted estimator, as one layer of another network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdeep._component import InvalidParameterError, Limit
from skdeep.layers.base import used_parameters
from skdeep.layers.building import inputs_here
from skdeep.layers.chain import Chain, WithChain
from skdeep.layers.operations import operations_of


class Pretrained(WithChain):
    """Y = the hidden layers of a fitted estimator, applied to X, with the weights it has learned.

    The layers and the weights are copied when the network is built, so the estimator does not
    change. Layers for the inputs, such as those of `batch_norm_input`, are copied too.

    Parameters
    ----------
    estimator : FrozenEstimator
        A fitted estimator of skdeep in a `sklearn.frozen.FrozenEstimator`, which keeps its weights
        in clones and searches. If it is an autoencoder, the encoder is copied.
    trainable : bool, default=False
        Whether the copied weights train. If not, batch normalization uses its stored statistics.
        Dropout and noise stay active in training.
    n_layers : int or None, default=None
        The number of the lowest hidden layers to copy. None stands for all of them.
    """

    has_units = True
    adapts = True

    def __init__(self, estimator, trainable: bool = False, n_layers: int | None = None):
        self.estimator = estimator
        self.trainable = trainable
        self.n_layers = n_layers

    def build(self, n_inputs):
        if not isinstance(self.trainable, (bool, np.bool_)):
            raise InvalidParameterError(
                f"Pretrained trainable={self.trainable!r} is not allowed; give True or False."
            )
        network, n_layers = self._source()
        if n_inputs != network.n_inputs:
            raise InvalidParameterError(
                f"Pretrained: the estimator was fitted to {network.n_inputs} columns, and "
                f"{n_inputs} reach the layer; choose its columns with a Columns below it."
            )
        self._check_order()
        self.chain_ = Chain(network.hidden_copies(n_layers))
        n_outputs = self.chain_.setup(n_inputs)
        for parameter in used_parameters(self.chain_.layers):
            parameter.learns = parameter.learns and bool(self.trainable)
        return n_outputs, []

    def _source(self) -> tuple[Any, int]:
        """Return the network of the estimator, and the number of hidden layers to copy."""
        model = getattr(self.estimator, "estimator", None)
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        if not is_frozen or not hasattr(type(model), "_n_layers_to_reuse"):
            raise InvalidParameterError(
                f"Pretrained estimator={self.estimator!r} is not allowed; give a fitted "
                "MLPClassifier, MLPRegressor, MLPAutoencoder or MultiTaskMLP in a "
                "sklearn.frozen.FrozenEstimator, which keeps its weights in clones."
            )
        check_is_fitted(model, msg="Pretrained: this %(name)s instance is not fitted yet.")
        model._check_is_fitted()
        network = model.network_
        if self.n_layers is None:
            return network, model._n_layers_to_reuse
        limit = Limit(1, len(network.hidden_stops), integer=True)
        if not limit.allows(self.n_layers):
            raise InvalidParameterError(
                f"Pretrained n_layers={self.n_layers!r} is not allowed; give None, or {limit}: the "
                f"estimator has {len(network.hidden_stops)} hidden layers."
            )
        return network, int(self.n_layers)

    def _check_order(self) -> None:
        """Raise if the columns of the estimator reach the layer in another order."""
        fitted = getattr(self.estimator.estimator, "feature_names_in_", None)
        if fitted is None or inputs_here().names is None:
            return
        here, fitted = list(inputs_here().names), list(fitted)
        if here != fitted and sorted(here) == sorted(fitted):
            raise InvalidParameterError(
                f"Pretrained: the columns {here} reach the layer, and the estimator was fitted to "
                f"them in another order; put Columns({fitted}) below it."
            )

    def adapt(self, X, rng):
        network, _ = self._source()
        sources = network.layers[: len(self.chain_.layers)]
        pairs = zip(used_parameters(self.chain_.layers), used_parameters(sources), strict=True)
        for own, source in pairs:
            np.copyto(own.value, source.value, casting="same_kind")

    def children(self):
        return self.chain_.layers

    @property
    def accepts_sparse(self):
        return self.chain_.accepts_sparse

    def operations(self):
        of_layers = [operations_of(layer) for layer in self.chain_.layers]
        if any(steps is None for steps in of_layers):
            return None
        return [step for steps in of_layers for step in steps]
