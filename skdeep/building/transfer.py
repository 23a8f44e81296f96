"""Networks that start from trained hidden layers; frozen layers, and learning rates by layer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdeep._component import InvalidParameterError, Limit, is_per_layer
from skdeep.building.checks import check_hidden_layer_sizes, is_set
from skdeep.building.options import OPTIONS, names
from skdeep.layers import Layer, Output
from skdeep.layers.base import check_layers
from skdeep.network import Network, hidden_groups, parameters_behind, parameters_of

# The options that describe the hidden layers.
_DESCRIPTION = names(from_pretrained=True)


def pretrained_layers(pretrained: Any, owner_of_networks: type) -> tuple[Network, int]:
    """Return the network of `pretrained`, and the number of its hidden layers to start from.

    `pretrained` is a fitted estimator in a FrozenEstimator. Without it, `clone` would take away the
    weights that the estimator has learned.
    """
    name = type(pretrained).__name__
    if isinstance(pretrained, owner_of_networks):
        raise InvalidParameterError(
            f"pretrained={name}(...) would be cloned, and lose its weights; give "
            f"pretrained=FrozenEstimator({name.lower()}), with FrozenEstimator from sklearn.frozen "
            f"around the fitted {name}."
        )
    model = getattr(pretrained, "estimator", None)
    if not isinstance(pretrained, FrozenEstimator) or not isinstance(model, owner_of_networks):
        raise InvalidParameterError(
            f"pretrained={pretrained!r} is not allowed; give None, or a fitted estimator of skdeep "
            "in a sklearn.frozen.FrozenEstimator."
        )
    check_is_fitted(model, msg="pretrained: this %(name)s instance is not fitted yet.")
    model._check_is_fitted()
    return model.network_, model._n_layers_to_reuse


def copy_hidden_layers(
    source: Network, target: Network, n_layers: int, wanted: int | None, what: str
) -> int:
    """Copy parameters and running statistics of hidden layers, from the bottom.

    Of the lowest n_layers layers of the source, `wanted` are copied; None stands for all that the
    target has too. Return the number of layers that were copied.
    """
    n_here = len(target.hidden_stops)
    if wanted is not None and wanted > min(n_layers, n_here):
        raise InvalidParameterError(
            f"n_reused_layers={wanted!r} is not allowed with {what}: the earlier network passes on "
            f"{n_layers} hidden layers, and the new one has {n_here}; give None, or an integer in "
            f"[0, {min(n_layers, n_here)}]."
        )
    n_copied = n_layers if wanted is None else wanted
    layers_there = hidden_groups(source.layers, source.hidden_stops)[:n_copied]
    layers_here = hidden_groups(target.layers, target.hidden_stops)
    pairs = list(zip(layers_there, layers_here, strict=False))
    if pairs:
        _check_agreement(source, target, pairs, what)
    for there, here in pairs:
        for old, new in zip(parameters_of(there), parameters_of(here), strict=True):
            np.copyto(new.value, old.value, casting="same_kind")
    return len(pairs)


def _check_agreement(source: Network, target: Network, pairs: list, what: str) -> None:
    """Raise if layers that are to be copied differ between two networks."""
    problems = []
    if source.n_inputs != target.n_inputs:
        problems.append(f"inputs: {source.n_inputs} there, {target.n_inputs} here")
    described = [(_described(there), _described(here)) for there, here in pairs]
    differing = [i for i, (there, here) in enumerate(described) if there != here]
    for i in differing:
        problems.append(f"hidden layer {i}: {described[i][0]} there, {described[i][1]} here")
    if not problems:
        return
    advice = ""
    if source.n_inputs == target.n_inputs and differing[0]:
        advice = f" n_reused_layers={differing[0]} copies only the layers below them."
    raise InvalidParameterError(
        f"{what} needs hidden layers of equal shapes and activations. These differ between "
        f"the earlier network and the new one: {'; '.join(problems)}.{advice}"
    )


def copy_parameters(source: Network, target: Network) -> None:
    """Copy all values between networks of one architecture, whichever layers are frozen."""
    pairs = zip(source.parameters.parameters, target.parameters.parameters, strict=True)
    for old, new in pairs:
        np.copyto(new.value, old.value, casting="same_kind")


def copy_what_trains(source: Network, target: Network) -> None:
    """Let the target train the parameters that the source trained last, at the source's rates."""
    pairs = zip(source.parameters.parameters, target.parameters.parameters, strict=True)
    for old, new in pairs:
        new.frozen, new.multiplier = old.frozen, old.multiplier
    target.parameters.order_anew()
    target.n_trainable_as_built = source.n_trainable_as_built


def _described(group: list[Layer]) -> str:
    """Return the shapes of the parameters, and the activations, which give weights a meaning."""
    parts = [part for layer in group for part in layer.walk()]
    shapes = [f"{p.name} {p.shape}" for p in parameters_of(group)] or ["no parameters"]
    functions = [getattr(p, "activation_", getattr(p, "function_", None)) for p in parts]
    return ", ".join([*shapes, *(repr(f) for f in functions if f is not None)])


def with_structure_of_pretrained(model: Any, owner_of_networks: type) -> Any:
    """Return the model, or a copy with the hidden layers of its pretrained estimator.

    It is a copy if all options of `_DESCRIPTION` are at their defaults.
    """
    if model.pretrained is None or any(is_set(model, name) for name in _DESCRIPTION):
        return model
    _, n_layers = pretrained_layers(model.pretrained, owner_of_networks)
    source = model.pretrained.estimator._options()
    twin = copy.copy(model)
    for name in _DESCRIPTION:
        setattr(twin, name, getattr(source, name))
    if source.layers is not None:
        entries = [source.layers] if isinstance(source.layers, Layer) else list(source.layers)
        last = check_layers(entries, "layers")[-1:]
        twin.layers = entries[:-1] if last and isinstance(last[0], Output) else entries
    else:
        twin.hidden_layer_sizes = check_hidden_layer_sizes(source.hidden_layer_sizes)[:n_layers]
        for name in ("activation", "batch_norm"):
            if is_per_layer(getattr(source, name)):
                setattr(twin, name, list(getattr(source, name))[:n_layers])
    return twin


def freeze(layers: list[Layer], stops: list[int], frozen_layers: Any) -> None:
    """Freeze the parameters of some hidden layers of a network that is built."""
    groups = hidden_groups(layers, stops)
    for i in frozen_indices(frozen_layers, len(groups)):
        for parameter in parameters_behind(groups[i]):
            parameter.frozen = True


def set_rates(layers: list[Layer], stops: list[int], multipliers: Any) -> None:
    """Set the factors of the learning rate: one for each hidden layer, one for the output layer."""
    groups = hidden_groups(layers, stops)
    of_layers = OPTIONS["learning_rate_multipliers"].spread(multipliers, len(groups))
    for group, rate in zip([*groups, layers[stops[-1] :]], of_layers, strict=True):
        for parameter in parameters_of(group):
            parameter.multiplier = float(rate)


def frozen_indices(frozen_layers: Any, n_hidden: int) -> set[int]:
    """Return the positions of the hidden layers that are frozen."""
    count = Limit(0, n_hidden, integer=True)
    if count.allows(frozen_layers):
        return set(range(frozen_layers))
    is_sequence = isinstance(frozen_layers, (list, tuple, np.ndarray))
    if is_sequence and all(
        isinstance(i, (int, np.integer)) and -n_hidden <= i < n_hidden for i in frozen_layers
    ):
        return {int(i) % n_hidden for i in frozen_layers}
    raise InvalidParameterError(
        f"frozen_layers={frozen_layers!r} is not allowed; there are {n_hidden} hidden layers, so "
        f"give how many of the lowest are frozen, an integer in [0, {n_hidden}], or a sequence of "
        f"their positions, from {-n_hidden} to {n_hidden - 1}."
    )
