"""What is wrong inside the network: with gradients, and with units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skdeep.inspection.findings.case import Case, Finding, hidden_dense_layers
from skdeep.inspection.statistics import LayerRow
from skdeep.layers import Dense

GRADIENT_RATIO = 1000.0  # of the gradients of two layers
EXPLODING_NORM = 1000.0
DEAD_SHARE = SATURATED_SHARE = 0.25  # of a layer's units
# Before training, of a network that learns too little: the gradient of the lowest hidden layer by
# that of the highest. ReLU, SELU and tanh with 10 layers have 0.3 or more, and so has batch norm;
# 5 sigmoid layers have less than 0.01. Two layers are too few to say.
GRADIENT_RATIO_AT_START = 0.01
LAYERS_FOR_RATIO = 3
# Before training, this share of what tanh, sigmoid and the like put out may be near an end: layers
# with Glorot's, He's or orthogonal weights have a third or less, and networks that fail 0.7.
NEAR_ENDS_AT_START = 0.6
SYMMETRY = 1e-3  # of the largest weight: units that differ by less are equal

_AGAINST_VANISHING = "batch_norm, residual layers, relu or selu, initializer='auto', fewer layers"
_AGAINST_SATURATION = (
    "scaled inputs, smaller first weights (initializer='auto'), batch_norm='before', relu or selu"
)


def gradients(case: Case) -> Iterator[Finding]:
    """Look at the gradients of the layers, now and before training, and at their norm."""
    rows = case.layers.layers
    sizes = [row.gradient_rms for row in rows if np.isfinite(row.gradient_rms)]
    norms = np.array(case.model.history_["gradient_norm"])
    norms = norms[np.isfinite(norms)]
    if (len(sizes) > 2 and 0 < sizes[0] * GRADIENT_RATIO < sizes[-1]) or (
        len(sizes) > 2 and sizes[0] == 0 < sizes[-1]
    ):
        yield Finding(
            "vanishing gradients",
            f"the lowest layer's gradient is {sizes[0] / sizes[-1]:.1e} times that of the highest",
            _AGAINST_VANISHING,
        )
        return
    if len(sizes) > 2 and sizes[0] > GRADIENT_RATIO * sizes[-1] > 0:
        yield Finding(
            "exploding gradients",
            f"the lowest layer's gradient is {sizes[0] / sizes[-1]:.1e} times that of the highest",
            "initializer='auto', batch_norm, clip_norm=1, a lower learning_rate_init",
        )
    elif len(norms) and norms.max() > EXPLODING_NORM:
        yield Finding(
            "exploding gradients",
            f"the norm of the gradient reached {norms.max():.3g}",
            "clip_norm=1, scaled inputs and targets, a lower learning_rate_init",
        )
    yield from _gradients_at_start(case)


def _gradients_at_start(case: Case) -> Iterator[Finding]:
    if not case.underfits or case.layers_at_start is None:
        return
    hidden = case.layers_at_start.layers[:-1]
    sizes = [row.gradient_rms for row in hidden if np.isfinite(row.gradient_rms)]
    if len(sizes) >= LAYERS_FOR_RATIO and sizes[0] < GRADIENT_RATIO_AT_START * sizes[-1]:
        yield Finding(
            "vanishing gradients",
            f"before training, the lowest layer's gradient was {sizes[0] / sizes[-1]:.1e} times "
            "that of the highest hidden layer",
            _AGAINST_VANISHING,
        )


def units(case: Case) -> Iterator[Finding]:
    """Look at units that put out 0, or an end of their range, for all rows."""
    for row in case.layers.layers:
        if row.dead > DEAD_SHARE:
            yield Finding(
                "dead units",
                f"{row.dead:.0%} of the units of layer {row.name} are 0 for every row",
                "a lower learning_rate_init, leaky_relu or elu, batch_norm='before', scaled inputs",
            )
    saturated = [row for row in case.layers.layers if row.saturated > SATURATED_SHARE]
    at_start = _near_ends_at_start(case) if saturated or case.underfits else None
    if case.learns_well and at_start is None and case.start is not None:
        return  # training made them so, to its own good
    for row in saturated:
        yield Finding(
            "saturated units",
            f"{row.saturated:.0%} of the units of {row.name} are at an end of their range",
            _AGAINST_SATURATION,
        )
    if not saturated and at_start is not None:
        yield Finding(
            "saturated units",
            f"before training, {at_start.near_ends:.0%} of the outputs of {at_start.name} were "
            "near an end of their range",
            _AGAINST_SATURATION,
        )


def _near_ends_at_start(case: Case) -> LayerRow | None:
    """Return the layer that was most at its ends before training, if it was too much."""
    # A batch norm's statistics are not those of the data, before training.
    if case.uses_batch_statistics or case.layers_at_start is None:
        return None
    row = max(case.layers_at_start.layers, key=lambda row: row.near_ends)
    return row if row.near_ends > NEAR_ENDS_AT_START else None


def symmetry(case: Case) -> Iterator[Finding]:
    """Look for hidden layers whose units are all the same, or were so before training."""
    several = [layer for layer in case.hidden_dense_layers if layer.units > 1]
    for layer in several:
        if _has_equal_weights(layer) and _has_equal_biases(layer):
            evidence = "have the same weights and biases, so they do the work of one"
            break
    else:
        if not case.underfits or case.start is None:
            return
        layer = next(
            (w for w in hidden_dense_layers(case.start) if w.units > 1 and _has_equal_weights(w)),
            None,
        )
        if layer is None:
            return
        evidence = "began with the same weights, and few of them came to do different work"
    yield Finding(
        "symmetric units",
        f"all {layer.units} units of a hidden layer {evidence}",
        "initializer='auto', whose random weights make units differ",
    )


def _has_equal_weights(layer: Dense) -> bool:
    W = layer.weights
    return bool(np.ptp(W, axis=1).max() <= SYMMETRY * np.abs(W).max())


def _has_equal_biases(layer: Dense) -> bool:
    b = None if layer.bias_ is None else layer.bias_.value
    return b is None or bool(np.ptp(b) <= SYMMETRY * np.abs(b).max())
