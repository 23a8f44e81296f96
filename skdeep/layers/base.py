"""The base class of layers.

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
from numbers import Real
from types import MappingProxyType

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array

from skdeep._component import Component, InvalidParameterError, clone_once
from skdeep.activations import Activation
from skdeep.kernels import choose, numpy_kernels
from skdeep.layers import nested
from skdeep.layers.building import Inputs, check_columns, one_level_deeper, one_network
from skdeep.layers.operations import Operation
from skdeep.parameters import Parameter, ParameterVector
from skdeep.schedules import Progress, Scheduled


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
    #: Whether the layer is a further place of another layer.
    is_place = False
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

    def take_share(self, share) -> None:
        """Compute with the own rows of batches, of which other processes have the further rows.

        It is called after `allocate`. A layer that looks at more than one row at a time, draws
        random numbers or has a penalty of its own overrides it. `share` is a `Share` of
        skdeep.distributed.members.share.
        """

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
        with one_level_deeper(), one_network([self]) as built:
            if id(self) in built:
                raise InvalidParameterError(
                    f"{self!r} is in the network twice, and in a layer of your own. To share "
                    "it, put it into a Chain of skdeep.layers in that layer; else copy it."
                )
            built[id(self)] = self
            self.n_inputs_ = n_inputs
            self.n_outputs_, self.parameters_ = self.build(n_inputs)
        check_columns(self, self.n_outputs_)
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


def check_layers(layers, what: str) -> list[Layer]:
    """Return the Layer instances of a list, without names, or raise InvalidParameterError."""
    return [layer for _, layer in layer_entries(layers, what)]


def layer_entries(layers, what: str) -> list[tuple[str | None, Layer]]:
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
