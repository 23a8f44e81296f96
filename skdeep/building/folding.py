"""Fitted layers without batch norm: their numbers go into the dense layers beside them.

At prediction, a batch norm computes factor * x + shift, column by column. The dense layer below
takes it up if it has no activation. Otherwise the dense layer above takes it up.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skdeep._component import is_per_layer
from skdeep.building.options import OPTIONS, names
from skdeep.building.transfer import frozen_indices
from skdeep.layers import BatchNorm, Columns, Concatenate, Dense, Layer, Output, Residual
from skdeep.layers.base import check_layers
from skdeep.layers.chain import Shared
from skdeep.layers.heads import Heads, Tap
from skdeep.layers.nested import named
from skdeep.layers.operations import does_nothing_at_prediction
from skdeep.layers.tied import TiedDense
from skdeep.network import hidden_position, parameters_of
from skdeep.tasks import Task


class Waiting(NamedTuple):
    """What batch norms do to columns, before a dense layer has taken it up."""

    factor: np.ndarray
    shift: np.ndarray

    def after(self, below: Waiting | None) -> Waiting:
        """Return what both do together, the one below first."""
        if below is None:
            return self
        return Waiting(self.factor * below.factor, self.factor * below.shift + self.shift)


class Part:
    """A layer that is not fitted, and the values of its parameters.

    Attributes
    ----------
    layer : Layer
    values : list of ndarray
        In the order of the parameters of the layer, and of the layers inside it.
    takes_up : bool
        Whether the layer is dense, and its outputs are not put into an activation.
    passes_on : bool
        Whether the layer does nothing at prediction.
    name : str or None
        The name of its place.
    """

    name: str | None = None

    def __init__(self, layer: Layer, values: list[np.ndarray], *, takes_up=False, passes_on=False):
        self.layer = layer
        self.values = values
        self.takes_up = takes_up
        self.passes_on = passes_on

    def take_up(self, norm: Waiting) -> None:
        """Take up a batch norm above a dense layer."""
        self.values[0] = self.values[0] * norm.factor
        if self.layer.bias:
            self.values[1] = self.values[1] * norm.factor + norm.shift
        else:
            self.layer.set_params(bias=True)
            self.values.insert(1, norm.shift)


def without_batch_norm(layers: Sequence[Layer]) -> list[Part]:
    """Return fitted layers without their batch norms, so that the list may be shorter.

    A layer in several places becomes several layers. Raise ValueError if a batch norm has no dense
    layer beside it.
    """
    parts, waiting = _fold(layers, None)
    if waiting is not None:
        raise _can_not_fold("the last layer")
    return parts


def parameters_without_batch_norm(model: Any, options: Any) -> dict[str, Any]:
    """Return the hyperparameters that change if a fitted model loses its batch norms.

    `options` describes the hidden layers. The entry "layers" lists those that are left, and the
    Output.
    """
    parameters: dict[str, Any] = {"batch_norm": None, "batch_norm_input": False}
    if model.pretrained is not None:
        described = {name: getattr(options, name, None) for name in names(from_pretrained=True)}
        own = model.get_params(deep=False)
        parameters = {k: v for k, v in described.items() if k in own} | parameters
        parameters["pretrained"] = None
    if getattr(model, "tied_weights", False):
        parameters["tied_weights"] = False
    layers = getattr(options, "layers", None)
    if layers is None:
        return parameters
    layers = check_layers(layers, "layers")
    of_output = layers[-1:] if layers and isinstance(layers[-1], Output) else []
    layers = layers[: len(layers) - len(of_output)]
    # Every layer of the list counts as a hidden layer, batch norms too.
    kept = [i for i, layer in enumerate(layers) if type(layer) is not BatchNorm]
    frozen = frozen_indices(model.frozen_layers, max(1, len(layers)))
    if layers and hasattr(model, "tasks"):
        parameters["tasks"] = _places_of_heads(model.tasks_, kept, model.network_.hidden_names())
    rates = model.learning_rate_multipliers
    if is_per_layer(rates):
        *of_layers, last = OPTIONS["learning_rate_multipliers"].spread(rates, len(layers))
        rates = [*(of_layers[i] for i in kept), last]
    return parameters | {
        "layers": [*(layers[i] for i in kept), *of_output],
        "frozen_layers": [new for new, i in enumerate(kept) if i in frozen] or 0,
        "learning_rate_multipliers": rates,
    }


def _places_of_heads(
    tasks: Any, kept: list[int], names_of_layers: Sequence[str | None]
) -> dict[str, Task]:
    """Return copies of tasks whose heads hang on the layers that are left."""
    twins = copy.deepcopy(tasks)
    for name, task in twins.items():
        old = hidden_position(task.at, names_of_layers, f"tasks__{name}__at")
        new = sum(i <= old for i in kept) - 1
        if new < 0 and kept:
            raise _can_not_fold(f"the head of {name!r}, which has no other layer below it,")
        task.set_params(at=-1 if new == len(kept) - 1 else new)
    return twins


def entries_of(parts: Sequence[Part], branch: str | None = None) -> list[Any]:
    """Return the layers of parts, as pairs with their names if they have names of their own."""
    return [
        part.layer
        if part.name in (None, branch) or "__" in part.name  # the name of a branch
        else (part.name, part.layer)
        for part in parts
    ]


def _fold(layers: Sequence[Layer], waiting: Waiting | None) -> tuple[list[Part], Waiting | None]:
    """Fold a stack whose inputs have passed `waiting`; return the parts, and what waits on top."""
    parts: list[Part] = []
    at_taps: dict[Layer, Waiting | None] = {}
    for place in layers:
        layer = place.layer if type(place) is Shared else place
        if type(layer) is Tap:
            at_taps[layer] = waiting
            parts.append(Part(Tap(), []))
            continue
        if type(layer) is Heads:
            parts.append(_heads(layer, waiting, at_taps))
            return parts, None
        if type(layer) is BatchNorm:
            norm = _of(layer)
            below = _dense_below(parts) if waiting is None else None
            if below is None:
                waiting = norm.after(waiting)
            else:
                below.take_up(norm)
            continue
        part, waiting = _part(layer, waiting)
        part.name = place.name_
        parts.append(part)
    return parts, waiting


def _of(layer: BatchNorm) -> Waiting:
    """Return what a batch norm does at prediction, in float64."""
    gamma, beta, mean, variance = (p.value.astype(np.float64) for p in layer.parameters_)
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return Waiting(factor, beta - factor * mean)


def _dense_below(parts: list[Part]) -> Part | None:
    """Return the dense layer that a batch norm on top of these parts can be folded into."""
    for part in reversed(parts):
        if part.takes_up:
            return part
        if not part.passes_on:
            return None
    return None


def _part(layer: Layer, waiting: Waiting | None) -> tuple[Part, Waiting | None]:
    """Return a layer that is no batch norm as a part, and what waits above it."""
    if type(layer) in (Dense, TiedDense):
        return _dense(layer, waiting), None
    if type(layer) is Concatenate:
        return _concatenate(layer, waiting)
    if type(layer) is Residual and waiting is None:
        inner, left = _fold(layer.branch_.layers, None)
        if left is not None:
            raise _can_not_fold("the end of a Residual")
        return Part(Residual(entries_of(inner)), _values(inner)), None
    if any(isinstance(inner, BatchNorm) for inner in layer.walk()):
        raise _can_not_fold(f"or inside {layer!r}")
    values = [p.value for p in parameters_of([layer])]
    part = Part(clone(layer), values, passes_on=does_nothing_at_prediction(layer))
    if waiting is None or part.passes_on:
        return part, waiting
    if type(layer) is Columns:
        return part, Waiting(waiting.factor[layer.columns_], waiting.shift[layer.columns_])
    raise _can_not_fold(repr(layer))


def _dense(layer: Dense, waiting: Waiting | None) -> Part:
    own = [p for p in (vars(layer).get("kernel_"), layer.bias_) if p is not None]
    others = [p.value for p in layer.parameters_ if not any(p is q for q in own)]
    W = layer.weights.astype(np.float64)
    bias = [] if layer.bias_ is None else [layer.bias_.value.astype(np.float64)]
    # The layer of a tied decoder becomes one of its own.
    spec = Dense(layer.units, layer.activation) if type(layer) is TiedDense else clone(layer)
    spec.set_params(bias=bool(bias))
    part = Part(spec, [W, *bias, *others], takes_up=layer.activation_ is None)
    if waiting is not None:
        shift = waiting.shift @ W
        part.take_up(Waiting(np.ones(layer.units), shift))
        part.values[0] = waiting.factor[:, None] * W
    return part


def _concatenate(layer: Concatenate, waiting: Waiting | None) -> tuple[Part, Waiting | None]:
    """Fold each branch; what waits on top of a branch waits for its columns."""
    branches = [_fold(branch.layers, waiting) for branch in layer.branches_]
    of_branches = [name for name, _ in named(layer.branches, "branches")]
    lists = [
        entries_of(parts, name) for name, (parts, _) in zip(of_branches, branches, strict=True)
    ]
    spec = Concatenate(
        [one if name is None else (name, one) for name, one in zip(of_branches, lists, strict=True)]
    )
    part = Part(spec, [value for parts, _ in branches for value in _values(parts)])
    if all(left is None for _, left in branches):
        return part, None
    widths = [s.stop - s.start for s in layer.slices_]
    on_top = [
        Waiting(np.ones(width), np.zeros(width)) if left is None else left
        for width, (_, left) in zip(widths, branches, strict=True)
    ]
    return part, Waiting(*(np.concatenate(numbers) for numbers in zip(*on_top, strict=True)))


def _heads(layer: Heads, waiting: Waiting | None, at_taps: dict[Layer, Waiting | None]) -> Part:
    """Fold each head; one on a middle layer takes up what waits at its tap."""
    values = []
    for head, tap in zip(layer.heads_, layer.taps, strict=True):
        below = waiting if tap is None else at_taps[tap]
        parts, left = _fold(head.children(), below)
        is_equal = len(_values(parts)) == len(parameters_of(head.children()))
        if left is not None or len(parts) < len(head.children()) or not is_equal:
            raise _can_not_fold(f"or inside the head of {head.name!r}")
        values += _values(parts)
    return Part(layer, values)


def _values(parts: list[Part]) -> list[np.ndarray]:
    return [value for part in parts for value in part.values]


def _can_not_fold(what: str) -> ValueError:
    return ValueError(
        f"A batch norm before {what} can't be folded: a dense layer has to follow it, or be below "
        "it without an activation."
    )
