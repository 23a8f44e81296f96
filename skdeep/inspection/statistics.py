"""Statistics of the outputs, weights and gradients of a network's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdeep.activations import Activation
from skdeep.inspection.probing import Probe
from skdeep.layers import Dense, Layer
from skdeep.layers.base import infer_one
from skdeep.layers.chain import Shared
from skdeep.reports.table import Table, number

# A unit is saturated if its outputs lie within this share of the range from one of its ends, ...
SATURATED_WITHIN = 0.01
# ... for more than this share of the rows.
SATURATED_ROWS = 0.9
# An output is near an end of the range if it is within this share of the range from that end.
NEAR_WITHIN = 0.05


@dataclass
class LayerRow:
    """Statistics of one layer with an activation.

    Attributes
    ----------
    name : str
    n_units : int
    mean, std : float
        Mean and standard deviation of the outputs.
    dead, saturated : float
        Shares of dead and of saturated units; 0 if the activation can't have such units.
    near_ends : float
        The share of the outputs that are near an end of the activation's range; 0 if the
        activation does not level off at both ends.
    weight_norm : float
        The norm of the layer's weights. An activation layer has those of the dense layer below;
        NaN if there is none.
    gradient_rms : float
        The root of the mean squared gradient of these weights; NaN without y.
    outputs : ndarray of shape (n_rows, n_units)
    """

    name: str
    n_units: int
    mean: float
    std: float
    dead: float
    saturated: float
    near_ends: float
    weight_norm: float
    gradient_rms: float
    outputs: np.ndarray


class LayerReport(Table):
    """Statistics of all layers; prints as a table, renders as HTML in a notebook.

    Attributes
    ----------
    layers : list of LayerRow
        The layers from the bottom up; the last is the output layer.
    """

    header = (
        *("Layer", "Units", "Mean", "Std", "Dead", "Saturated"),
        *("Weight norm", "Gradient RMS"),
    )

    def __init__(self, layers: list[LayerRow]):
        self.layers = layers

    def _cells(self) -> list[list[str]]:
        return [
            [
                *(row.name, str(row.n_units), number(row.mean), number(row.std)),
                *(f"{row.dead:.0%}", f"{row.saturated:.0%}"),
                *(number(row.weight_norm), number(row.gradient_rms)),
            ]
            for row in self.layers
        ]


def layer_statistics(model: Any, X: Any, y: Any = None) -> LayerReport:
    """Return statistics of each layer's outputs for these rows, its weights and gradients.

    Parameters
    ----------
    model : fitted estimator of skdeep
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        If there are more than 2,000 rows, 2,000 of them are drawn.
    y : array-like or None, default=None
        The targets. Without them there are no gradients.

    Returns
    -------
    LayerReport
    """
    probe = Probe(model, X, model_targets(model, X, y))
    layers = [x.layer if isinstance(x, Shared) else x for x in probe.network.layers]
    outputs = [probe.X]
    kept: dict[Layer, np.ndarray] = {}
    for layer in layers:
        outputs.append(infer_one(layer, outputs[-1], kept))
    if probe.Y is not None:
        probe.objective()  # it changes the statistics of batch norms, so it runs second
    return LayerReport(
        [
            _row(i, layer, outputs[i + 1], _weights_before(layers, i))
            for i, layer in enumerate(layers)
            if _has_row(layers, i)
        ]
    )


def model_targets(model: Any, X: Any, y: Any) -> Any:
    """Return y, or X if the model is an autoencoder, whose targets are its inputs."""
    return X if not hasattr(model, "predict") and hasattr(model, "inverse_transform") else y


def _has_row(layers: list[Layer], i: int) -> bool:
    """Whether layer i has an activation, or is a dense layer that no activation layer follows."""
    if layers[i].activation_function is not None:
        return True
    if not isinstance(layers[i], Dense):
        return False
    for layer in layers[i + 1 :]:
        if isinstance(layer, Dense):
            return True
        if layer.activation_function is not None:
            return False
    return True


def _weights_before(layers: list[Layer], i: int) -> Any | None:
    """Return the nearest dense layer at or below layer i, or None."""
    for layer in layers[i::-1]:
        if isinstance(layer, Dense):
            return layer
    return None


def _row(i: int, layer: Layer, A: np.ndarray, dense: Dense | None) -> LayerRow:
    f = layer.activation_function
    shown = type(f).__name__ if f is not None else "linear"
    kernel = getattr(dense, "kernel_", None)
    gradient = None if kernel is None else kernel.grad
    return LayerRow(
        name=f"{i}: {type(layer).__name__} ({shown})",
        n_units=A.shape[1],
        mean=float(A.mean()),
        std=float(A.std()),
        dead=float((A == 0).all(axis=0).mean()) if f is not None and f.units_can_die else 0.0,
        saturated=float((_near_ends(A, f, SATURATED_WITHIN).mean(axis=0) > SATURATED_ROWS).mean()),
        near_ends=float(_near_ends(A, f, NEAR_WITHIN).mean()),
        weight_norm=np.nan if dense is None else float(np.linalg.norm(dense.weights)),
        gradient_rms=np.nan if gradient is None else float(np.sqrt(np.mean(gradient**2))),
        outputs=A,
    )


def _near_ends(A: np.ndarray, f: Activation | None, within: float) -> np.ndarray:
    """Return which outputs lie within this share of the activation's range from its ends."""
    if f is None or f.levels_off_at is None:
        return np.zeros(A.shape, bool)
    low, high = f.levels_off_at
    margin = within * (high - low)
    return (low + margin >= A) | (high - margin <= A)
