"""The base class of layers, and Chain, a stack of layers that behaves as one.

Who owns which array:

- `forward(X)` may read X until `backward` has run, and never writes it. It returns a buffer of the
  layer's own (or X itself), which the next layer reads.
- `backward(dY)` owns dY and may overwrite it. The layer below owns the array that it returns.
- `infer(X)` writes only to arrays of its own, so that threads may share a model.

The attributes that `allocate`, `forward` and `backward` set live until training ends: `release`
drops them, and they are never pickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from types import MappingProxyType

import numpy as np

from skdeep._component import Component, InvalidParameterError
from skdeep.activations import Activation
from skdeep.kernels import choose, numpy_kernels
from skdeep.layers.operations import Operation
from skdeep.parameters import Parameter
from skdeep.schedules import Progress, Scheduled

# A single row of this width takes half a gigabyte.
MOST_COLUMNS = 1 << 26
MOST_NESTED = 10
_depth: ContextVar[int] = ContextVar("depth", default=0)  # of the layer being built, inside others
# How many more columns the layers being built may put out; None is no limit.
_columns_left: ContextVar[int | None] = ContextVar("columns_left", default=None)
CHAIN_TRAINING_ATTRIBUTES = ("_forward", "_backward")


class Layer(Component):
    """Base class: a subclass implements `build`, `forward`, `backward` and `infer`.

    X and Y stand for the layer's input and output, of shape (n_rows, n_inputs) and
    (n_rows, n_outputs); dX and dY for the gradients of the loss with respect to X and Y.
    """

    #: Whether `forward` and `infer` accept a CSR matrix.
    accepts_sparse = False
    #: Whether `forward` draws random numbers. If `allocate` is given rng=None, it draws none.
    is_random = False
    #: Whether the outputs are units of the layer's own, not changed outputs of the layer below.
    has_units = False
    #: Whether `forward` takes statistics from the rows of a batch.
    uses_batch_statistics = False
    #: Whether `adapt` has something to do.
    adapts = False
    #: The number of inputs that the layer puts out first, unchanged, before other outputs.
    n_passed_on = 0
    #: The activation function that the layer applies last; None if it applies none.
    activation_function: Activation | None = None
    #: Whether the layer has `infer_with_taps` and `adapt_with_taps`, which are called instead.
    uses_taps = False
    #: Name of the attribute that `describe` shows beside the layer's class.
    described_by: str | None = None
    _scheduled: Mapping[str, Scheduled] = MappingProxyType({})

    def build(self, n_inputs: int) -> tuple[int, list[Parameter]]:
        """Return the number of outputs, and the parameters, which have no values yet."""
        return n_inputs, []

    def allocate(
        self, n_rows: int, dtype: np.dtype, rng: np.random.Generator | None, needs_dX: bool
    ) -> None:
        """Make buffers for batches of at most n_rows rows; rng is for dropout and noise."""

    def adapt(self, X, rng: np.random.Generator) -> None:
        """Change the first values of the parameters to suit a sample of the layer's inputs.

        It is called once, after the parameters were drawn and before training. X may be CSR if the
        layer accepts it.
        """

    def begin_step(self, progress: Progress) -> None:
        """Take note of how far training has come, before a step.

        Sets: `_rate` for a parameter `rate` that is Scheduled, and so for all in `_may_change`.
        """
        for name, number in self._scheduled.items():
            value = number.at(progress)
            if not self._limits[name].allows(value):
                raise InvalidParameterError(
                    f"{type(self).__name__} {name}={getattr(self, name)!r} became {value:g}; give "
                    f"it a schedule whose values are {self._limits[name]}."
                )
            setattr(self, f"_{name}", value)

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return Y: the training pass."""
        raise NotImplementedError

    def backward(self, dY: np.ndarray) -> np.ndarray | None:
        """Fill the parameters' gradients and return dX (or None if it is not needed)."""
        raise NotImplementedError

    def finish_backward(self) -> None:
        """Add to the gradients of other layers, after `backward` of the whole network."""

    def infer(self, X: np.ndarray) -> np.ndarray:
        """Return Y: the prediction pass, which changes nothing."""
        raise NotImplementedError

    def infer_with_taps(self, X: np.ndarray, kept: dict[Layer, np.ndarray]) -> np.ndarray:
        """Return Y: the prediction pass of a layer that keeps its input for others, or reads it."""
        raise NotImplementedError

    def adapt_with_taps(self, X, kept: dict[Layer, np.ndarray], rng: np.random.Generator) -> None:
        """Do the work of `adapt`, with the arrays that taps have kept."""

    def operations(self) -> list[Operation] | None:
        """Return the operations that `infer` consists of, in order; None if they can't be listed.

        A layer that lists them can be written to ONNX. An empty list says that `infer` returns X.
        A subclass that overrides `infer` overrides this too; if it does not, its operations count
        as unknown.
        """
        return None

    def describe(self) -> str:
        """Return the layer's class, with its main setting: "Dropout (0.5)"."""
        name = type(self).__name__
        setting = None if self.described_by is None else getattr(self, self.described_by)
        if setting is None:
            return name
        shown = f"{setting:g}" if isinstance(setting, Real) else type(setting).__name__
        return f"{name} ({shown})"

    def penalty(self) -> float:
        """Return the layer's own penalty in the last forward pass, without its parameters'."""
        return 0.0

    def children(self) -> list[Layer]:
        """Return the layers inside this layer."""
        return []

    # The methods below are for the engine; a layer rarely overrides them.

    def setup(self, n_inputs: int) -> int:
        """Build the layer; remember shapes, parameters, and the attributes that `release` keeps."""
        depth = _depth.get()
        if depth >= MOST_NESTED:
            raise InvalidParameterError(
                f"layers are nested more than {MOST_NESTED} deep, which is too "
                "deep for pickle and repr; put blocks one after the other, not inside each other."
            )
        token = _depth.set(depth + 1)
        try:
            self.n_inputs_ = n_inputs
            self.n_outputs_, self.parameters_ = self.build(n_inputs)
        finally:
            _depth.reset(token)
        left = _columns_left.get()
        if left is not None:
            if self.n_outputs_ > left:
                raise ValueError("there are more columns than weights can account for")
            _columns_left.set(left - self.n_outputs_)
        if self.n_outputs_ > MOST_COLUMNS:
            raise InvalidParameterError(
                f"{self!r} would put out {self.n_outputs_} columns; at most {MOST_COLUMNS} are "
                "allowed."
            )
        self._kept = None
        self._kept = frozenset(vars(self))
        return self.n_outputs_

    def take_progress(self) -> bool:
        """Get ready for `begin_step`; return whether there is something for it to do."""
        numbers = {name: getattr(self, name) for name in self._may_change}
        scheduled = {k: v.ready() for k, v in numbers.items() if isinstance(v, Scheduled)}
        if scheduled:
            self._scheduled = scheduled
        return bool(scheduled) or type(self).begin_step is not Layer.begin_step

    @property
    def is_trainable(self) -> bool:
        """Whether the layer, or a layer inside it, has parameters that train."""
        return any(p.trainable for layer in self.walk() for p in layer.parameters_)

    def walk(self) -> Iterator[Layer]:
        """Yield this layer and all layers inside it, in the order of their parameters."""
        yield self
        for child in self.children():
            yield from child.walk()

    @property
    def is_own(self) -> bool:
        """Whether the class of this layer is skdeep's own, and not the user's."""
        return type(self).__module__.partition(".")[0] == "skdeep"

    def use_kernels(self, kernels) -> None:
        """Use this set of kernels until training ends, in this layer and the layers inside it.

        A layer of the user's own, even one that inherits from a layer of skdeep, uses the NumPy
        kernels, and so do the layers inside it. It may return arrays of any kind, with which
        compiled code would crash.
        """
        self._kernels = kernels if self.is_own else numpy_kernels
        for child in self.children():
            child.use_kernels(self._kernels)

    @property
    def kernels(self):
        """The set of kernels that this training run has chosen."""
        return vars(self).get("_kernels") or choose(0.0)

    def release(self) -> None:
        """Drop the attributes that only training needs."""
        for name in vars(self).keys() - self._kept:
            delattr(self, name)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        kept = state.get("_kept")
        return {k: v for k, v in state.items() if k in kept} if kept else state


@contextmanager
def at_most_columns(n_columns: int) -> Iterator[None]:
    """Raise ValueError if the layers built in this context have more than n_columns outputs."""
    token = _columns_left.set(n_columns)
    try:
        yield
    finally:
        _columns_left.reset(token)


def rows(buffer: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the first n_rows rows of a buffer; only a short last batch needs fewer than all."""
    return buffer if len(buffer) == n_rows else buffer[:n_rows]


def infer_one(layer, X, kept: dict[Layer, np.ndarray]):
    """Return a layer's output; taps put arrays into `kept`, from which layers above read them."""
    return layer.infer_with_taps(X, kept) if layer.uses_taps else layer.infer(X)


def infer_all(layers: Sequence, X):
    """Return the output of the last of the layers: the prediction pass."""
    kept: dict[Layer, np.ndarray] = {}
    for layer in layers:
        X = infer_one(layer, X, kept)
    return X


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

    def __init__(self, layers: list[Layer]):
        self.layers = layers

    def setup(self, n_inputs: int) -> int:
        """Build all layers; return the number of outputs."""
        for layer in self.layers:
            n_inputs = layer.setup(n_inputs)
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
        for name in CHAIN_TRAINING_ATTRIBUTES:
            self.__dict__.pop(name, None)
        for layer in self.layers:
            layer.release()

    def walk(self) -> Iterator[Layer]:
        """Yield every layer, including layers inside other layers."""
        for layer in self.layers:
            yield from layer.walk()

    @property
    def accepts_sparse(self) -> bool:
        """Whether the lowest layer accepts CSR matrices."""
        return bool(self.layers) and self.layers[0].accepts_sparse

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in CHAIN_TRAINING_ATTRIBUTES}


def check_layers(layers, what: str) -> list:
    """Return a list of Layer instances, or raise InvalidParameterError."""
    if isinstance(layers, Layer):
        layers = [layers]
    if not isinstance(layers, (list, tuple)):
        raise InvalidParameterError(f"{what}={layers!r} is not allowed; give a list of Layers.")
    for i, layer in enumerate(layers):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise InvalidParameterError(
                f"{what}[{i}]={layer.__name__} is a class; give an instance: {layer.__name__}(...)."
            )
        if not isinstance(layer, Layer):
            raise InvalidParameterError(
                f"{what}[{i}]={layer!r} is not a Layer; choose from skdeep.layers, or subclass "
                "skdeep.layers.Layer."
            )
    return list(layers)
