"""Chain, a stack of layers that behaves as one, and layers in several places of a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.base import clone

from skdeep._component import InvalidParameterError
from skdeep.layers.base import Layer, infer_all, infer_one, layer_entries, used_parameters
from skdeep.layers.building import (
    built_layers,
    change_inputs,
    inputs_here,
    one_network,
    with_inputs,
)
from skdeep.layers.operations import operations_of

TRAINING_ATTRIBUTES = ("_forward", "_backward")


class Guarded:
    """A layer of the user's own, with checks of the arrays that it returns.

    Compiled code relies on arrays of the planned shape and dtype, in C order and writable. Here the
    arrays that a foreign layer returns are checked, or converted.
    """

    def __init__(self, layer: Layer, dtype: np.dtype, needs_dX: bool):
        self.layer = layer
        self.dtype = dtype
        self.needs_dX = needs_dX

    def forward(self, X):
        """Return the layer's output; a sparse batch reaches the layer as a CSR matrix."""
        n_rows = X.shape[0]
        if not isinstance(X, np.ndarray):
            X = X.tocsr()
        return self._checked(self.layer.forward(X), (n_rows, self.layer.n_outputs_), "forward")

    def backward(self, dY: np.ndarray) -> np.ndarray | None:
        """Return dX, or None if the layer below does not need it."""
        dX = self.layer.backward(dY)
        if not self.needs_dX:
            return None
        return self._checked(dX, (len(dY), self.layer.n_inputs_), "backward")

    def _checked(self, A, shape: tuple[int, int], method: str) -> np.ndarray:
        what = f"{type(self.layer).__name__}.{method}"
        if not isinstance(A, np.ndarray):
            raise ValueError(f"{what} returned {A!r}; it has to return an array of shape {shape}.")
        if A.shape != shape:
            raise ValueError(
                f"{what} returned an array of shape {A.shape}; it has to be {shape}: the rows "
                "that it was given, and the number of columns that build() returned."
            )
        if not np.can_cast(A.dtype, self.dtype, "same_kind"):
            raise ValueError(
                f"{what} returned an array of dtype {A.dtype}, which does not fit into "
                f"{self.dtype}, the dtype of the network."
            )
        return np.require(A, self.dtype, ["C", "W", "A", "E"])


class Chain:
    """Layers one after the other: the body of a network, and of each of its branches."""

    def __init__(self, layers: Sequence[Layer]):
        self.layers = list(layers)

    def setup(self, n_inputs: int) -> int:
        """Build all layers; return the number of outputs.

        Sets: a layer that is in the network already is replaced by one that shares its parameters.
        """
        with one_network(self.layers) as built, with_inputs(inputs_here()):
            for i, layer in enumerate(self.layers):
                if not isinstance(layer, Shared) and id(layer) in built:
                    layer = Shared(layer)
                if isinstance(layer, Shared):
                    layer = layer.or_copy()
                self.layers[i] = layer
                n_inputs = layer.setup(n_inputs)
                change_inputs(layer.inputs_above(inputs_here()))
        return n_inputs

    def allocate(self, n_rows: int, dtype: np.dtype, rng, needs_dX: bool = False) -> None:
        """Allocate all layers, and list those that the backward pass has to run through."""
        self._forward, self._backward = [], []
        for layer in self.layers:
            layer.allocate(n_rows, dtype, rng, needs_dX)
            runs = layer if layer.is_own else Guarded(layer, dtype, needs_dX)
            self._forward.append(runs)
            if needs_dX or layer.is_trainable:
                self._backward.append(runs)
                needs_dX = True
        self._backward.reverse()

    def adapt(self, X, rng: np.random.Generator, first: int = 0) -> None:
        """Let the layers from position `first` on adapt to the inputs that reach them."""
        kept: dict[Layer, np.ndarray] = {}
        for i, layer in enumerate(self.layers):
            if i >= first and any(inner.adapts for inner in layer.walk()):
                if layer.uses_taps:
                    layer.adapt_with_taps(X, kept, rng)
                else:
                    layer.adapt(X, rng)
            X = infer_one(layer, X, kept)

    def forward(self, X):
        """Return the output of the last layer."""
        for layer in self._forward:
            X = layer.forward(X)
        return X

    def backward(self, dY):
        """Run backward through the layers, down to the lowest layer that trains; return its dX."""
        for layer in self._backward:
            dY = layer.backward(dY)
        return dY

    def infer(self, X):
        """Return the output of the last layer: the prediction pass."""
        return infer_all(self.layers, X)

    def release(self) -> None:
        """Drop the attributes that only training needs."""
        for name in TRAINING_ATTRIBUTES:
            self.__dict__.pop(name, None)
        for layer in self.layers:
            layer.release()

    def walk(self, every_use: bool = False) -> Iterator[Layer]:
        """Yield every layer, including layers inside other layers."""
        for layer in self.layers:
            yield from layer.walk(every_use)

    @property
    def accepts_sparse(self) -> bool:
        """Whether the lowest layer accepts CSR matrices."""
        return bool(self.layers) and self.layers[0].accepts_sparse

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in TRAINING_ATTRIBUTES}


class WithChain(Layer):
    """Base class of layers that compute what the chain in them computes.

    A subclass makes `chain_` in `build`.
    """

    chain_: Chain

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.chain_.allocate(n_rows, dtype, rng, needs_dX)

    def forward(self, X):
        return self.chain_.forward(X)

    def backward(self, dY):
        return self.chain_.backward(dY)

    def infer(self, X):
        return self.chain_.infer(X)

    def release(self):
        super().release()
        self.chain_.release()


class Shared(WithChain):
    """A layer in a further place of its network: its function of other inputs.

    For training it has a copy of the layer, with buffers of its own. The parameters of the copy
    have the values of the layer's, and their gradients are added to the layer's.

    Parameters
    ----------
    layer : Layer
        The layer in its first place. It has to be built before this one.
    """

    is_place = True

    def __init__(self, layer: Layer):
        self.layer = layer

    def or_copy(self) -> Layer:
        """Return this layer; if there are no parameters to share, a copy of the layer instead."""
        if built_layers().get(id(self.layer)) is not self.layer:
            raise ValueError("a layer shares the parameters of one that is not in its network")
        if used_parameters([self.layer]):
            return self
        copied = clone(self.layer)
        copied.name_ = self.name_
        return copied

    def build(self, n_inputs):
        if n_inputs != self.layer.n_inputs_:
            raise InvalidParameterError(
                f"{self.layer!r} is one layer in several places, which share its weights, so all "
                f"of them need inputs of one width: {self.layer.n_inputs_} columns reach it in the "
                f"first place, and {n_inputs} in another. For layers with weights of their own, "
                "make an instance for each place: [Dense(32) for _ in range(3)] instead of "
                "[Dense(32)] * 3."
            )
        self.chain_ = Chain([clone(self.layer)])
        n_outputs = self.chain_.setup(n_inputs)
        used = used_parameters(self.chain_.layers), used_parameters([self.layer])
        self.pairs_ = [(own, first) for own, first in zip(*used, strict=True) if not own.source]
        self._link()
        for part in self.chain_.walk(every_use=True):
            if part.parameters_:
                part.linked_, part.parameters_ = part.parameters_, []
                part._kept |= {"linked_"}
        return n_outputs, []

    def _link(self) -> None:
        for own, first in self.pairs_:
            own.follow(first)

    def __setstate__(self, state):
        super().__setstate__(state)
        if "pairs_" in state:
            self._link()

    @property
    def activation_function(self):
        return self.layer.activation_function

    @property
    def has_units(self):
        return self.layer.has_units

    @property
    def is_random(self):
        return self.layer.is_random

    @property
    def uses_batch_statistics(self):
        return self.layer.uses_batch_statistics

    @property
    def accepts_sparse(self):
        return self.layer.accepts_sparse

    def describe(self):
        return f"{self.layer.describe()}, shared"

    def walk(self, every_use=False):
        yield self
        if every_use:
            yield from self.chain_.walk(every_use)

    def use_kernels(self, kernels):
        super().use_kernels(kernels)
        for layer in self.chain_.layers:
            layer.use_kernels(kernels)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        for own, _ in self.pairs_:
            own.grad = np.zeros(own.shape, dtype) if own.trainable else None
        super().allocate(n_rows, dtype, rng, needs_dX)

    def finish_backward(self):
        for own, first in self.pairs_:
            if own.grad is not None:
                first.grad += own.grad

    def infer(self, X):
        return self.layer.infer(X)

    def operations(self):
        return operations_of(self.layer)

    def release(self):
        super().release()
        for own, _ in self.pairs_:
            own.grad = None


def placed(layers, what: str) -> list[Layer]:
    """Return the layers of a list of the user's, each with the name of its place.

    A layer that is in the list twice, or in the network already, is a `Shared` there.
    """
    seen = dict(built_layers())
    found = []
    for name, layer in layer_entries(layers, what):
        place = Shared(layer) if id(layer) in seen else layer
        seen[id(layer)] = layer
        place.name_ = name or place.name_
        found.append(place)
    return found
