"""Problems inside the network: of gradients, and of units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skdeep.activations import SELU
from skdeep.inspection.findings.case import Case, Finding, hidden_dense_layers
from skdeep.layers import BatchNorm, Dense, Dropout

GRADIENT_RATIO = 1000.0  # the ratio of two layers' gradients
EXPLODING_NORM = 1000.0
DEAD_SHARE = SATURATED_SHARE = 0.25  # of a layer's units
# The ratio of the lowest hidden layer's gradient to the highest one's, before training, below which
# a network learns too little. 10 layers with ReLU, SELU, tanh or batch norm have 0.3 or more; 5
# sigmoid layers have less than 0.01. Two layers are too few to judge.
GRADIENT_RATIO_AT_START = 0.01
LAYERS_FOR_RATIO = 3
# Units are equal if their weights differ by less than this share of the largest weight.
SYMMETRY = 1e-3
# The variance of the first weights of SELU layers, times fan_in: 1 keeps the variance of outputs.
# He's initializer has 2; a sample of 50 weights with 1 is rarely outside these limits.
SELU_VARIANCE = (0.6, 1.6)

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
    """Look for units whose output is 0, or an end of their range, for all rows."""
    for row in case.layers.layers:
        if row.dead > DEAD_SHARE:
            yield Finding(
                "dead units",
                f"{row.dead:.0%} of the units of layer {row.name} are 0 for every row",
                "a lower learning_rate_init, leaky_relu or elu, batch_norm='before', scaled inputs",
            )
    saturated = [row for row in case.layers.layers if row.saturated > SATURATED_SHARE]
    at_start = case.saturated_at_start if saturated or case.underfits else None
    if case.learns_well and at_start is None and case.start is not None:
        return  # training saturated them, and the model learned well
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


def self_normalization(case: Case) -> Iterator[Finding]:
    """Look for what keeps SELU layers from holding mean 0 and variance 1 on their own."""
    layers = list(case.model.network_.walk())
    n_selu = sum(isinstance(layer.activation_function, SELU) for layer in layers)
    if n_selu < LAYERS_FOR_RATIO or case.learns_well:
        return
    above = layers[next(i for i, layer in enumerate(layers) if isinstance(layer, Dense)) :]
    faults, advice = [], []
    variance = _variance_of_first_weights(case)
    if variance is not None and not SELU_VARIANCE[0] <= variance <= SELU_VARIANCE[1]:
        faults.append(f"first weights of variance {variance:.2g} / fan_in instead of 1 / fan_in")
        advice.append("initializer='lecun_normal' (or 'auto')")
    for kind, name, option in (
        (BatchNorm, "batch norm", "batch_norm=None"),
        (Dropout, "dropout", "dropout=0.0"),
    ):
        if any(isinstance(layer, kind) for layer in above):
            faults.append(name)
            advice.append(option)
    if faults:
        yield Finding(
            "selu without self-normalization",
            f"{n_selu} SELU layers with {' and '.join(faults)} do not keep mean 0 and variance 1",
            f"{', '.join(advice)}, or another activation, such as relu or elu",
        )


def _variance_of_first_weights(case: Case) -> float | None:
    """Return fan_in times the mean square of the first weights above the first hidden layer."""
    dense = [] if case.start is None else hidden_dense_layers(case.start)[1:]
    scaled = [len(layer.weights) * layer.weights.ravel() ** 2 for layer in dense]
    return float(np.concatenate(scaled).mean()) if scaled else None


def symmetry(case: Case) -> Iterator[Finding]:
    """Look for hidden layers whose units are all equal, or were equal before training."""
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
