"""From hyperparameters to layers: the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from skdeep._component import (
    InvalidParameterError,
    described,
    is_per_layer,
    one_copy_of_each,
    per_layer,
    resolve,
)
from skdeep.activations import ACTIVATIONS, Activation
from skdeep.building.checks import check_hidden_layer_sizes, default_of, is_set
from skdeep.building.options import OPTIONS, WarmStart, WithLayers, names
from skdeep.layers import Activation as ActivationLayer
from skdeep.layers import (
    ActivityRegularization,
    BatchNorm,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    Output,
)
from skdeep.layers.base import check_layers
from skdeep.layers.chain import placed

# Changing these between two warm starts would need other weights.
STRUCTURE = names(warm_start=WarmStart.STRUCTURE)
_SETTINGS = STRUCTURE + names(warm_start=WarmStart.LAYERS)
_REPLACED_BY_LAYERS = names(with_layers=WithLayers.REFUSED)
# The options that describe hidden layers, with one value for each layer.
_OF_OUTPUT_LAYER = names(with_layers=WithLayers.OUTPUT)
_OF_HIDDEN_LAYERS = [
    option
    for option in OPTIONS.values()
    if option.goes_by_layer and option.with_layers is not WithLayers.KEPT
]


def build_layers(estimator: Any, n_outputs: int) -> tuple[list[Layer], list[int]]:
    """Return new layers, the output layer included, and the position after each hidden layer.

    Without hidden layers, there is one position: the one after the layers for the inputs.
    """
    layers, stops, output = layers_below_output(estimator)
    return [*layers, output.dense(n_outputs)], stops


def layers_below_output(estimator: Any) -> tuple[list[Layer], list[int], Output]:
    """Return the layers, the position after each hidden layer, and the output layer's options."""
    layers = _input_layers(estimator)
    if estimator.layers is not None:
        stops, output = _add_custom_layers(estimator, layers)
    else:
        stops, output = _add_hidden_layers(estimator, layers)
    return layers, stops or [len(layers)], output


def _input_layers(e: Any) -> list[Layer]:
    layers: list[Layer] = []
    if e.batch_norm_input:
        layers.append(BatchNorm(e.batch_norm_momentum, e.batch_norm_epsilon))
    if e.input_noise:
        layers.append(GaussianNoise(e.input_noise))
    if e.input_dropout:
        layers.append(Dropout(e.input_dropout))
    return layers


def _output_layer(e: Any, given: list[Layer]) -> Output:
    """Return the output layer if layers=[...] describes the hidden layers; take it off the list."""
    if not given or not isinstance(given[-1], Output):
        values = {name: OPTIONS[name].spread(getattr(e, name), 0)[-1] for name in _OF_OUTPUT_LAYER}
        return Output(**values)
    for name in _OF_OUTPUT_LAYER:
        if is_set(e, name):
            raise InvalidParameterError(
                f"{name}={getattr(e, name)!r} is for the output layer, as is Output(...) in "
                f"layers=[...]; leave {name} at its default, and set it in Output."
            )
    return given.pop()


def _add_custom_layers(e: Any, layers: list[Layer]) -> tuple[list[int], Output]:
    """Append the hidden layers; return the position after each, and the output layer."""
    for name in _REPLACED_BY_LAYERS:
        if is_set(e, name):
            raise InvalidParameterError(
                f"{name}={getattr(e, name)!r} has no effect with layers=[...], which describes "
                f"the hidden layers; leave {name} at its default, and set it in the layers."
            )
    check_layers(e.layers, "layers")
    with one_copy_of_each():
        given = placed(clone(e.layers, safe=False), "layers")
    output = _output_layer(e, given)
    start = len(layers)
    layers += given
    return list(range(start + 1, len(layers) + 1)), output


def _add_hidden_layers(e: Any, layers: list[Layer]) -> tuple[list[int], Output]:
    """Append the hidden layers; return the position after each, and the output layer."""
    sizes = check_hidden_layer_sizes(e.hidden_layer_sizes)
    n = len(sizes)
    spread = {
        option.name: option.spread(getattr(e, option.name), n) for option in _OF_HIDDEN_LAYERS
    }
    stops = []
    for i, units in enumerate(sizes):
        layers += _hidden_layer(e, units, **{name: values[i] for name, values in spread.items()})
        stops.append(len(layers))
    of_output = {name: values[n] for name, values in spread.items() if len(values) > n}
    return stops, Output(**of_output)


def _hidden_layer(
    e: Any,
    units: int,
    *,
    activation,
    activity_regularizer,
    batch_norm,
    dropout,
    pre_activation_noise,
    activation_noise,
    **of_dense,
) -> list[Layer]:
    """Return the layers that one hidden layer is made of."""
    normalizes_before = batch_norm == "before"
    is_fused = not normalizes_before and not pre_activation_noise
    dense = Dense(
        units,
        activation,
        bias=not normalizes_before,  # the batch norm's beta takes its place
        **of_dense,
    )
    normalization = BatchNorm(e.batch_norm_momentum, e.batch_norm_epsilon)
    layers: list[Layer] = [dense]
    if not is_fused:
        dense.set_params(activation=None)
        if normalizes_before:
            layers.append(normalization)
        if pre_activation_noise:
            layers.append(GaussianNoise(pre_activation_noise))
        layers.append(ActivationLayer("identity" if activation is None else activation))
    if activity_regularizer is not None:
        layers.append(ActivityRegularization(activity_regularizer))
    if batch_norm == "after":
        layers.append(normalization)
    if activation_noise:
        layers.append(GaussianNoise(activation_noise))
    if dropout:
        layers.append(Dropout(dropout))
    return layers


def settings(estimator: Any) -> dict[str, Any]:
    """Return the options that a network is built from, in a form that can be compared."""
    return {
        name: described(_spelled_out(estimator, name))
        for name in _SETTINGS
        if hasattr(estimator, name)
    }


def changed(cls: type, built_from: Mapping[str, Any], built_before: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that a network would be built from differently.

    A model in a file may be older than an option: its network was built with the default.
    """
    before = dict(built_before)
    for name in built_from.keys() - before.keys():
        is_parameter = cls.__name__ in OPTIONS[name].estimators
        before[name] = described(default_of(cls, name)) if is_parameter else built_from[name]
    return [name for name, value in built_from.items() if value != before[name]]


def _spelled_out(estimator: Any, name: str) -> Any:
    """Return a parameter's value; if there are several ways to write it, in one form."""
    value = getattr(estimator, name)
    if name == "hidden_layer_sizes":
        return check_hidden_layer_sizes(value)
    if name == "activation" and estimator.layers is None:
        n_hidden = len(check_hidden_layer_sizes(estimator.hidden_layer_sizes))
        kinds = per_layer(value, n_hidden, name)
        return [resolve(k, ACTIVATIONS, name, Activation, optional=True) for k in kinds]
    if name == "batch_norm" and is_per_layer(value) and len(set(value)) == 1:
        return value[0]
    if name == "tasks":
        return [[key, *task.described_structure()] for key, task in estimator.tasks_.items()]
    return value
