"""A fitted model with the data to judge it by, and the findings about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skdeep._documentation import link
from skdeep.building.checks import uses_lbfgs
from skdeep.inspection.findings.errors import relative_error
from skdeep.inspection.probing import Probe
from skdeep.inspection.statistics import LayerReport, LayerRow, layer_statistics
from skdeep.layers import Dense

# Above these errors, relative to that of a constant prediction, a model underfits. For numbers the
# error is a share of the variance, which includes noise.
UNDERFITTING = {"classes": 0.3, "numbers": 0.7}
# The share of the outputs of tanh, sigmoid and the like that may be near an end before training.
# Layers with Glorot, He or orthogonal weights have a third or less; networks that fail have 0.7.
NEAR_ENDS_AT_START = 0.6


# The page of the documentation about each kind of finding.
PAGES = {
    "class imbalance": "recipes/imbalanced_classes",
    "dead units": "families/activations",
    "exploding gradients": "families/clipping",
    "learning rate too high": "families/schedules",
    "learning rate too low": "families/schedules",
    "overfitting": "recipes/tiny_data",
    "saturated units": "families/initializers",
    "selu without self-normalization": "families/activations",
    "symmetric units": "families/initializers",
    "targets out of reach": "losses",
    "tiny batches": "families/batch_normalization",
    "too much regularization": "families/penalties",
    "underfitting": "splits",
    "unscaled inputs": "recipes/unscaled_data",
    "unscaled targets": "recipes/unscaled_data",
    "vanishing gradients": "recipes/deep_narrow_networks",
}


@dataclass
class Finding:
    """A problem that `diagnose` found.

    Attributes
    ----------
    kind : str
        "vanishing gradients", "exploding gradients", "dead units", "saturated units", "symmetric
        units", "unscaled inputs", "unscaled targets", "targets out of reach", "learning rate too
        high", "learning rate too low", "too much regularization", "tiny batches", "class
        imbalance", "selu without self-normalization", "underfitting" or "overfitting".
    evidence : str
        The figure that shows the problem.
    advice : str
        Changes to try.
    """

    kind: str
    evidence: str
    advice: str

    @property
    def url(self) -> str:
        """The page of the documentation about this kind, or an empty text without an address."""
        return link(PAGES[self.kind]) if self.kind in PAGES else ""


class Case:
    """A fitted model, its data, and the figures that several findings need.

    Attributes
    ----------
    model : fitted estimator of skdeep
    X, y, X_val, y_val : data as fit takes them
    probe : Probe
        The network with at most 2,000 of the rows.
    layers : LayerReport
    """

    def __init__(self, model: Any, X: Any, y: Any, X_val: Any, y_val: Any):
        self.model = model
        self.X, self.y = X, y
        self.X_val, self.y_val = X_val, y_val
        self.layers: LayerReport = layer_statistics(model, X, y)
        self.probe = Probe(model, X, y)

    @property
    def is_classifier(self) -> bool:
        """Whether the targets are classes."""
        return hasattr(self.model, "classes_")

    @property
    def is_stochastic(self) -> bool:
        """Whether the solver has a learning rate and batches."""
        return not uses_lbfgs(self.model)

    @cached_property
    def error(self) -> float:
        """The error on the training data, relative to that of a constant prediction."""
        return relative_error(self.model, self.X, self.y)

    @property
    def underfits(self) -> bool:
        """Whether the error on the training data is high."""
        return not self.error <= self._limit

    @property
    def learns_well(self) -> bool:
        """Whether the error on the training data is low."""
        return self.error <= self._limit / 2

    @property
    def _limit(self) -> float:
        return UNDERFITTING["classes" if self.is_classifier else "numbers"]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.X.shape[0] if hasattr(self.X, "shape") else len(self.X)

    @property
    def rows_a_step(self) -> int:
        """The number of rows in a step of the solver."""
        if not self.is_stochastic:
            return self.n_rows
        size = self.model.batch_size
        return min(200 if size == "auto" else size, self.n_rows)

    @property
    def hidden_dense_layers(self) -> list[Dense]:
        """The dense layers below the output layer that have weights of their own."""
        return hidden_dense_layers(self.model)

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether a layer, like batch norm, takes statistics from the rows of a batch."""
        return any(layer.uses_batch_statistics for layer in self.model.network_.walk())

    @cached_property
    def losses(self) -> np.ndarray:
        """The training curve, without losses that are not finite."""
        losses = np.array(self.model.loss_curve_)
        return losses[np.isfinite(losses)]

    @property
    def loss_still_falls(self) -> bool:
        """Whether the loss fell in nearly all epochs of the second half."""
        later = self.losses[len(self.losses) // 2 :]
        return len(later) > 1 and bool(np.mean(np.diff(later) < 0) > 0.9)

    def raw_outputs(self, model: Any) -> np.ndarray:
        """Return the raw outputs of this model, which may be `start`, for the probe's rows."""
        return model.network_.infer(self.probe.X)

    @cached_property
    def start(self) -> Any | None:
        """The model as it was before training; None if that is not known."""
        return self.model.before_training(self.X, self.y)

    @cached_property
    def layers_at_start(self) -> LayerReport | None:
        """The statistics of the layers before training; None if they are unknown."""
        return None if self.start is None else layer_statistics(self.start, self.X, self.y)

    @cached_property
    def saturated_at_start(self) -> LayerRow | None:
        """The layer with the most outputs near an end before training, if too many were."""
        # Before training, the statistics of a batch norm are not those of the data.
        if self.uses_batch_statistics or self.layers_at_start is None:
            return None
        row = max(self.layers_at_start.layers, key=lambda row: row.near_ends)
        return row if row.near_ends > NEAR_ENDS_AT_START else None


def hidden_dense_layers(model: Any) -> list[Dense]:
    """Return the dense layers below the output layer that have weights of their own."""
    return [
        layer
        for layer in model.network_.walk()
        if isinstance(layer, Dense)
        and hasattr(layer, "kernel_")
        and layer is not model.network_.output_layer
    ]
