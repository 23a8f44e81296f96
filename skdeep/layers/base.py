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
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array

from skdeep._component import Component, InvalidParameterError, clone_once, one_copy_of_each
from skdeep.activations import Activation
from skdeep.kernels import choose, numpy_kernels
from skdeep.layers import nested
from skdeep.layers.operations import Operation, operations_of
from skdeep.parameters import Parameter, ParameterVector
from skdeep.schedules import Progress, Scheduled

# A single row of this width takes half a gigabyte.
MOST_COLUMNS = 1 << 26
MOST_NESTED = 10
_depth: ContextVar[int] = ContextVar("depth", default=0)  # of the layer being built, inside others
# How many more columns the layers being built may put out; None is no limit.
_columns_left: ContextVar[int | None] = ContextVar("columns_left", default=None)
# The layers of a network that is being built, by id, as far as they are built.
_built: ContextVar[dict[int, Layer] | None] = ContextVar("built", default=None)
CHAIN_TRAINING_ATTRIBUTES = ("_forward", "_backward")


class Inputs(NamedTuple):
    """The inputs of a layer that is being built, as far as they are columns of the data.

    Attributes
    ----------
    names : sequence of str or None
        The names of the columns; None if they have none.
    frame : data frame or None
        The data that the estimator is fitted to.
    are_columns : bool
        Whether the inputs are columns of the data, and not outputs of other layers.
    """

    names: Sequence[str] | None = None
    frame: Any = None
    are_columns: bool = True


_inputs: ContextVar[Inputs | None] = ContextVar("inputs", default=None)


def inputs_here() -> Inputs:
    """Return the inputs of the layer that is being built."""
    return _inputs.get() or Inputs()


@contextmanager
def with_inputs(inputs: Inputs | None) -> Iterator[None]:
    """Build layers with these inputs."""
    token = _inputs.set(inputs)
    try:
        yield
    finally:
        _inputs.reset(token)


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
    #: The name of the layer's place in a network, if the user gave it one.
    name_: str | None = None
    #: The parameters of a layer in a further place: they have the values of those in the first.
    linked_: Sequence[Parameter] = ()
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

    def inputs_above(self, inputs: Inputs) -> Inputs:
        """Return the inputs of the layer above, given those of this layer."""
        keeps = self.is_own and not self.has_units and self.n_outputs_ == self.n_inputs_
        return inputs if keeps else Inputs(are_columns=False)

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
            with _one_network([self]) as built:
                if id(self) in built:
                    raise InvalidParameterError(
                        f"{self!r} is in the network twice, and in a layer of your own. To share "
                        "it, put it into a Chain of skdeep.layers in that layer; else copy it."
                    )
                built[id(self)] = self
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
        return any(p.trainable for p in used_parameters([self]))

    def walk(self, every_use: bool = False) -> Iterator[Layer]:
        """Yield this layer and all layers inside it, in the order of their parameters.

        With every_use=True, a layer that is in several places is yielded for each of them, with
        the buffers of that place.
        """
        yield self
        for child in self.children():
            yield from child.walk(every_use)

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

    # Parameters of the constructor, with those of layers in lists -------------------------------

    def get_params(self, deep=True):
        """Return the parameters; with deep=True, also those of layers inside."""
        params = super().get_params(deep)
        return nested.opened(params, params) if deep else params

    def set_params(self, **params):
        """Set parameters; those of layers inside by position or name: `layers__0__units`."""
        return super().set_params(**nested.closed(self, params, self._get_param_names()))

    def __sklearn_clone__(self):
        return clone_once(self)

    def __call__(self, X, *, training: bool = False, random_state=None) -> np.ndarray:
        """Apply a copy of the layer to rows, to see what it does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        training : bool, default=False
            Whether to do the training pass, with dropout, noise and statistics of these rows.
        random_state : int, Generator or None, default=None
            The source of the first values, if the layer is not part of a fitted network, and of
            dropout and noise.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        X = check_array(X, dtype=(np.float64, np.float32))
        rng = np.random.default_rng(random_state)
        twin = clone(self)
        twin.setup(X.shape[1])
        vector = ParameterVector(_parameters_of(twin), X.dtype, rng)
        if hasattr(self, "n_inputs_"):
            pairs = zip(_parameters_of(self), vector.parameters, strict=True)
            for learned, copied in pairs:
                np.copyto(copied.value, learned.value, casting="same_kind")
        if not training:
            return twin.infer(X)
        vector.allocate()
        twin.use_kernels(numpy_kernels)
        twin.allocate(len(X), X.dtype, rng, True)
        return twin.forward(X).copy()


def _parameters_of(layer: Layer) -> list[Parameter]:
    return [parameter for part in layer.walk() for parameter in part.parameters_]


def used_parameters(layers: Sequence[Layer]) -> list[Parameter]:
    """Return the parameters in every place where layers use them."""
    every = (part for layer in layers for part in layer.walk(every_use=True))
    return [p for part in every for p in (*part.parameters_, *part.linked_)]


@contextmanager
def _one_network(layers: Sequence[Layer]) -> Iterator[dict[int, Layer]]:
    """Yield the layers that are built so far; begin a network if none is being built.

    A network keeps the layers that it is given, and copies the lists of layers inside them, which
    may belong to the user. The copies have the same layers in several places as the originals.
    """
    built = _built.get()
    if built is not None:
        yield built
        return
    token = _built.set({})
    try:
        with one_copy_of_each(*layers):
            for layer in layers:
                for name, value in layer.get_params(deep=False).items():
                    if nested.holds_parts(value) or isinstance(layer, Shared):
                        setattr(layer, name, clone(value, safe=False))
        yield _built.get()
    finally:
        _built.reset(token)


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

    def __init__(self, layers: Sequence[Layer]):
        self.layers = list(layers)

    def setup(self, n_inputs: int) -> int:
        """Build all layers; return the number of outputs.

        Sets: a layer that is in the network already is replaced by one that shares its parameters.
        """
        with _one_network(self.layers) as built, with_inputs(inputs_here()):
            for i, layer in enumerate(self.layers):
                if not isinstance(layer, Shared) and id(layer) in built:
                    layer = Shared(layer)
                if isinstance(layer, Shared):
                    layer = layer.or_copy()
                self.layers[i] = layer
                n_inputs = layer.setup(n_inputs)
                _inputs.set(layer.inputs_above(inputs_here()))
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

    def walk(self, every_use: bool = False) -> Iterator[Layer]:
        """Yield every layer, including layers inside other layers."""
        for layer in self.layers:
            yield from layer.walk(every_use)

    @property
    def accepts_sparse(self) -> bool:
        """Whether the lowest layer accepts CSR matrices."""
        return bool(self.layers) and self.layers[0].accepts_sparse

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in CHAIN_TRAINING_ATTRIBUTES}


class Shared(Layer):
    """A layer in a further place of its network: its function of other inputs.

    For training it has a copy of the layer, with buffers of its own. The parameters of the copy
    have the values of the layer's, and their gradients are added to the layer's.

    Parameters
    ----------
    layer : Layer
        The layer in its first place. It has to be built before this one.
    """

    def __init__(self, layer: Layer):
        self.layer = layer

    def or_copy(self) -> Layer:
        """Return this layer; if there are no parameters to share, a copy of the layer instead."""
        if (_built.get() or {}).get(id(self.layer)) is not self.layer:
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
        self.chain_.allocate(n_rows, dtype, rng, needs_dX)

    def forward(self, X):
        return self.chain_.forward(X)

    def backward(self, dY):
        return self.chain_.backward(dY)

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
        self.chain_.release()
        for own, _ in self.pairs_:
            own.grad = None


def placed(layers, what: str) -> list[Layer]:
    """Return the layers of a list of the user's, each with the name of its place.

    A layer that is in the list twice, or in the network already, is a `Shared` there.
    """
    seen = dict(_built.get() or {})
    found = []
    for name, layer in _entries(layers, what):
        place = Shared(layer) if id(layer) in seen else layer
        seen[id(layer)] = layer
        place.name_ = name or place.name_
        found.append(place)
    return found


def check_layers(layers, what: str) -> list[Layer]:
    """Return the Layer instances of a list, without names, or raise InvalidParameterError."""
    return [layer for _, layer in _entries(layers, what)]


def _entries(layers, what: str) -> list[tuple[str | None, Layer]]:
    """Return the layers of a list, with their names."""
    if isinstance(layers, Layer):
        layers = [layers]
    if not isinstance(layers, (list, tuple)):
        raise InvalidParameterError(f"{what}={layers!r} is not allowed; give a list of Layers.")
    entries = nested.named(layers, what)
    for i, (_, layer) in enumerate(entries):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise InvalidParameterError(
                f"{what}[{i}]={layer.__name__} is a class; give an instance: {layer.__name__}(...)."
            )
        if not isinstance(layer, Layer):
            raise InvalidParameterError(
                f"{what}[{i}]={layer!r} is not a Layer; choose from skdeep.layers, or subclass "
                "skdeep.layers.Layer."
            )
    return entries
