"""A network: a chain of layers over one vector of parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.base import clone

from skdeep._component import InvalidParameterError, one_copy_of_each, unknown_name
from skdeep.kernels import choose
from skdeep.layers.base import Layer, infer_all, used_parameters
from skdeep.layers.batch_norm import BatchNorm
from skdeep.layers.building import Inputs, at_most_columns, with_inputs
from skdeep.layers.chain import Chain, Shared
from skdeep.layers.dense import Dense
from skdeep.layers.folding import folded
from skdeep.parameters import Parameter, ParameterVector
from skdeep.schedules import Progress

# Rows are predicted in blocks: the widest layer's outputs for a block take about this many bytes.
# So the activations stay in the cache, and little memory is used.
PREDICT_BLOCK_BYTES = 1 << 20
# From this many rows on, folding batch norms into weights takes less time than it saves.
FOLDING_ROWS = 256
# Limits for a network from a file: the number of columns without a weight, over all layers, and the
# number of layers.
MOST_BARE_COLUMNS = 1 << 23
MOST_LAYERS = 10_000
TRAINING_ATTRIBUTES = (
    *("_kernels", "_regularized", "_constrained", "_penalizing", "_finishing"),
    "_following",
)


class Network:
    """Layers, built for a number of inputs, over one ParameterVector.

    Parameters
    ----------
    layers : list of Layer
        Layers that are not built yet: the network builds and keeps them. The last layer has no
        activation, as the loss owns the link and overwrites the raw outputs.
    hidden_stops : sequence of int
        The number of layers up to and including hidden layer i, for each i.
    n_inputs : int
    dtype : numpy.dtype
    rng : numpy.random.Generator
        Draws the first values of the parameters.
    prepare : callable or None
        Called with the layers after they are built and before they have values, to freeze some.
    values : ndarray or None
        The values of all parameters, in the order of an equal network; None draws them.
    inputs : Inputs or None
        The columns of the data, for layers that choose some by name.
    """

    def __init__(
        self,
        layers: list[Layer],
        hidden_stops: Sequence[int],
        n_inputs: int,
        dtype: np.dtype,
        rng: np.random.Generator,
        prepare: Callable[[list[Layer]], None] | None = None,
        values: np.ndarray | None = None,
        inputs: Inputs | None = None,
    ):
        self.chain = Chain(layers)
        self.hidden_stops = list(hidden_stops)
        self.n_inputs = n_inputs
        with with_inputs(inputs):
            self.n_outputs = self.chain.setup(n_inputs)
        self.dtype = np.dtype(dtype)
        if prepare is not None:
            prepare(self.layers)
        self.parameters = ParameterVector(parameters_of(self.layers), self.dtype, rng, values)
        self.n_trainable_as_built = self.parameters.n_trainable

    # Structure ------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers of the chain."""
        return self.chain.layers

    @property
    def output_layer(self) -> Dense:
        """The layer on top, which computes the raw outputs."""
        return self.layers[self.hidden_stops[-1]]

    def walk(self, every_use: bool = False):
        """Yield every layer, including layers inside other layers; shared layers once."""
        return self.chain.walk(every_use)

    def __getitem__(self, name: str) -> Layer:
        """Return the layer with this name, inside other layers too."""
        for layer in self.walk():
            if layer.name_ is not None and layer.name_ == name:
                return layer.layer if isinstance(layer, Shared) else layer
        names = [layer.name_ for layer in self.walk() if layer.name_ is not None]
        raise KeyError(unknown_name(str(name), names, "the layer"))

    def hidden_names(self) -> list[str | None]:
        """Return the names of the hidden layers; None for one without a name."""
        return [self.layers[stop - 1].name_ if stop else None for stop in self.hidden_stops]

    @property
    def is_as_built(self) -> bool:
        """Whether no layer was thawed since the network was built."""
        return self.parameters.n_trainable == self.n_trainable_as_built

    @property
    def accepts_sparse(self) -> bool:
        """Whether the inputs may be a CSR matrix."""
        return self.chain.accepts_sparse

    def largest_product(self, n_rows: int) -> int:
        """Return the number of multiplications in the largest matrix product for n_rows rows."""
        sizes = (p.size for p in self.parameters.parameters if p.kernel)
        return n_rows * max(sizes, default=0)

    def seconds_a_step(self, n_rows: int) -> float:
        """Return roughly how many seconds the NumPy kernels take for a step with n_rows rows."""
        products = 3 * n_rows * sum(p.size for p in self.parameters.parameters if p.kernel)
        return 3e-5 * len(self.layers) + 3e-11 * products + 2e-9 * self.parameters.n_trainable

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """Return (name, parameter) pairs; a name tells the position in the network."""
        named = []
        for i, layer in enumerate(self.walk()):
            kind = f"{i}.{type(layer).__name__}"
            named += [(f"{kind}.{p.name}", p) for p in layer.parameters_]
        return named

    def hidden_copies(self, n_layers: int) -> list[Layer]:
        """Return the lowest hidden layers, and those for the inputs, as layers that are not built.

        The network may be from a file, which may hold anything.
        """
        layers = self.layers[: self.hidden_stops[n_layers - 1]]
        _check_amount(layers or self.layers)
        return copies(layers)

    # Training -------------------------------------------------------------------------------

    def allocate(
        self, n_rows: int, rng: np.random.Generator | None, kernels: ModuleType | None = None
    ) -> None:
        """Make the buffers for batches of at most n_rows rows.

        rng is for dropout and noise. None switches both off, for solvers that need a deterministic
        objective. If no kernels are given, those of the environment are used.
        """
        self._kernels = kernels = kernels or choose(0.0)
        self.parameters.allocate()
        for layer in self.layers:
            layer.use_kernels(kernels)
        self.chain.allocate(n_rows, self.dtype, rng)
        trainable = [p for p in self.parameters.parameters if p.trainable]
        self._regularized = [p for p in trainable if p.regularizer is not None]
        self._constrained = [p for p in trainable if p.constraint is not None]
        self._penalizing = self._layers_with(Layer.penalty)
        # From the top down: a layer in a further place adds to one below it.
        self._finishing = self._layers_with(Layer.finish_backward)[::-1]
        self._following = [layer for layer in self.walk(every_use=True) if layer.take_progress()]

    def take_share(self, share: Any) -> None:
        """Compute with the own rows of batches, until `release`: see Layer.take_share."""
        for layer in self.walk(every_use=True):
            _check_sharing(layer)
            layer.take_share(share)

    def _layers_with(self, method: Callable) -> list[Layer]:
        """Return the layers whose class overrides this method of Layer."""
        every = self.walk(every_use=True)
        return [x for x in every if getattr(type(x), method.__name__) is not method]

    def release(self) -> None:
        """Drop the buffers of training."""
        self.parameters.release()
        self.chain.release()
        for name in TRAINING_ATTRIBUTES:
            self.__dict__.pop(name, None)

    @property
    def follows_progress(self) -> bool:
        """Whether `begin_step` has something to do."""
        return bool(self._following)

    def begin_step(self, progress: Progress) -> None:
        """Tell the layers how far training has come."""
        for layer in self._following:
            layer.begin_step(progress)

    def forward(self, X) -> np.ndarray:
        """Return the raw outputs for a batch: the training pass."""
        return self.chain.forward(X)

    def backward(self, dZ: np.ndarray) -> None:
        """Fill the gradients, given the derivative of the loss by the raw outputs."""
        self.chain.backward(dZ)
        for layer in self._finishing:
            layer.finish_backward()

    def add_penalties(self, l1: float, l2: float) -> float:
        """Add the gradients of all penalties; return the sum of the penalties.

        One penalty is l1 * sum |w| + l2 / 2 * sum w^2 over all trainable kernels: the penalty
        `alpha`, already divided by the number of rows. The others are those of single parameters
        and layers.
        """
        value = 0.0
        n = self.parameters.n_kernels
        w, g = self.parameters.values[:n], self.parameters.grads[:n]
        if l2:
            value += self._kernels.add_l2_penalty(w, g, l2 / 2)
        if l1:
            value += self._kernels.add_l1_penalty(w, g, l1)
        for p in self._regularized:
            value += p.regularizer.penalize(p.value, p.grad)
        for layer in self._penalizing:
            value += layer.penalty()
        return value

    def apply_constraints(self) -> None:
        """Project the parameters that have a constraint."""
        for p in self._constrained:
            p.constraint.project(p.value)

    def batch_norms(self) -> list[BatchNorm]:
        """Return the batch norm layers, those inside others too, in every place."""
        return [layer for layer in self.walk(every_use=True) if isinstance(layer, BatchNorm)]

    def measure_statistics(
        self, batches: Iterable, batch_size: int, kernels: ModuleType, share: Any = None
    ) -> None:
        """Set batch norm's running statistics to those of all rows of some batches.

        It takes one pass, without dropout and noise. If other processes have further rows of the
        batches, `share` is as in `take_share`.
        """
        if not any(layer.gamma_.trainable for layer in self.batch_norms()):  # none, or all frozen
            return
        twin = copy.deepcopy(self)  # as the network itself is in the middle of its training
        pairs = zip(self.batch_norms(), twin.batch_norms(), strict=True)
        pairs = [(own, other) for own, other in pairs if own.gamma_.trainable]
        twin.allocate(batch_size, None, kernels)
        if share is not None:
            twin.take_share(share)
        for _, layer in pairs:
            layer.measure(0.0)
        # A batch norm that is shared has the statistics of all its places.
        sums = {id(own.mean_.root): np.zeros((2, own.n_inputs_)) for own, _ in pairs}
        n_seen = dict.fromkeys(sums, 0)
        for X in batches:
            n_rows = X.shape[0] if share is None else share.n_rows
            if n_rows < 2:  # which has no variance
                continue
            twin.forward(X)
            for own, layer in pairs:
                mean, variance = layer.batch_statistics()
                mean = mean.astype(np.float64)
                n_seen[id(own.mean_.root)] += n_rows
                sums[id(own.mean_.root)] += n_rows * np.stack([mean, variance + mean**2])
        for own, _ in pairs:
            n = n_seen[id(own.mean_.root)]
            if not n:
                return
            mean, square = sums[id(own.mean_.root)] / n
            np.copyto(own.mean_.value, mean, casting="same_kind")
            np.copyto(own.variance_.value, np.maximum(square - mean**2, 0), casting="same_kind")

    # Prediction -----------------------------------------------------------------------------

    def infer(self, X, stop: int | None = None, start: int = 0) -> np.ndarray:
        """Return the raw outputs, or the outputs of the first `stop` layers; thread-safe.

        X may be dense or CSR, of any float dtype. It is processed in blocks of rows. If `start` is
        given, X holds the outputs of the first `start` layers, and only the layers above run.
        """
        n_rows = X.shape[0]
        stop = len(self.layers) if stop is None else stop
        widest = max(self.width_after(i) for i in range(start, stop + 1))
        step = max(64, PREDICT_BLOCK_BYTES // (widest * self.dtype.itemsize))
        stays_sparse = self.accepts_sparse and start == 0 and stop > 0
        out = np.empty((n_rows, self.width_after(stop)), self.dtype)
        layers = self.layers[start:stop]
        if n_rows >= FOLDING_ROWS:
            layers = folded(layers)
        for begin, end in pairwise([*range(0, n_rows, step), n_rows]):
            block = X[begin:end]
            if not isinstance(block, np.ndarray) and not stays_sparse:
                block = block.toarray()
            out[begin:end] = infer_all(layers, block.astype(self.dtype, copy=False))
        return out

    def width_after(self, n_layers: int) -> int:
        """Return the number of outputs of the first n_layers layers."""
        return self.layers[n_layers - 1].n_outputs_ if n_layers else self.n_inputs

    # Counting -------------------------------------------------------------------------------

    def count(self, parameters: Sequence[Parameter] | None = None) -> tuple[int, int]:
        """Return the number of parameters, and the number of those that train."""
        chosen = self.parameters.parameters if parameters is None else parameters
        return sum(p.size for p in chosen), sum(p.size for p in chosen if p.trainable)

    def rebuilt(self) -> Network:
        """Return an equal network, made by the constructor from numbers and hyperparameters.

        It is for a network from a file, which may hold anything. ValueError is raised if the
        constructor can't make such a network.
        """
        layers, values = list(self.layers), self.parameters.values
        _check_amount(layers)
        twins = copies(layers)
        if len({id(twin) for twin in twins}) < len(layers):
            raise ValueError("a layer is in the network twice")
        for i, twin in enumerate(twins):  # a layer may share the weights of one below
            source = getattr(twin, "source", None)
            read = [source, *getattr(twin, "taps", [])]
            if any(part is not None and all(part is not t for t in twins[:i]) for part in read):
                raise ValueError("a layer has the weights of one that is not below it")
        flags = [(bool(p.frozen), float(p.multiplier)) for p in self.parameters.parameters]

        def prepare(built: list[Layer]) -> None:
            for parameter, flag in zip(parameters_of(built), flags, strict=True):
                parameter.frozen, parameter.multiplier = flag

        left = MOST_BARE_COLUMNS + 4 * values.size - int(self.n_inputs)
        if left < 0:
            raise ValueError("there are more columns than weights can account for")
        with at_most_columns(left):
            network = Network(
                twins,
                [int(stop) for stop in self.hidden_stops],
                int(self.n_inputs),
                np.dtype(self.dtype),
                np.random.default_rng(0),
                prepare,
                values,
            )
        network.n_trainable_as_built = int(self.n_trainable_as_built)
        stops = network.hidden_stops
        if not stops or stops != sorted(stops) or not 0 <= stops[0] <= stops[-1] < len(layers):
            raise ValueError(f"hidden layers can't end at {stops}")
        return network

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in TRAINING_ATTRIBUTES}


def _check_sharing(layer: Layer) -> None:
    """Raise if a part of the user's own does not know how to compute with some rows of a batch."""
    has_penalty = type(layer).penalty is not Layer.penalty
    needs = layer.is_random or layer.uses_batch_statistics or has_penalty
    f = layer.activation_function
    for part, is_needed in ((layer, needs), (f, f is not None and f.is_random)):
        is_own = type(part).__module__.partition(".")[0] == "skdeep"
        names = {name: kind for kind in type(part).__mro__[::-1] for name in vars(kind)}
        if is_needed and not is_own and not issubclass(names["take_share"], names["forward"]):
            raise InvalidParameterError(
                f"{part!r} draws random numbers, takes statistics from rows or has a penalty of "
                f"its own, so {type(part).__name__} needs a method take_share to train in several "
                "processes: see skdeep.layers.Layer.take_share."
            )


def hidden_groups(layers: Sequence[Layer], stops: Sequence[int]) -> list[list[Layer]]:
    """Return the layers of each hidden layer."""
    return [list(layers[a:b]) for a, b in zip([0, *stops], stops, strict=False)]


def hidden_position(layer: Any, names: Sequence[str | None], what: str) -> int:
    """Return the position of a hidden layer, which may be given by its name.

    `names` has an entry for each hidden layer: None for one without a name.
    """
    known = [name for name in names if name is not None]
    if isinstance(layer, str) and known:
        if layer not in known:
            raise InvalidParameterError(unknown_name(layer, known, what))
        return names.index(layer)
    n = len(names)
    is_integer = isinstance(layer, (int, np.integer)) and not isinstance(layer, bool)
    if not is_integer or not -n <= layer < n:
        raise InvalidParameterError(
            f"{what}={layer!r} is not allowed; the network has {n} hidden layers, so give an "
            f"integer from {-n} to {n - 1}" + (f", or one of the names {known}." if known else ".")
        )
    return int(layer) % n


def parameters_of(layers: Sequence[Layer]) -> list[Parameter]:
    """Return the parameters of layers, and of the layers inside them; shared ones once."""
    return [p for layer in layers for part in layer.walk() for p in part.parameters_]


def parameters_behind(layers: Sequence[Layer]) -> list[Parameter]:
    """Return the parameters that layers use, if they are those of another layer too."""
    return [p.root for p in used_parameters(layers)]


def copies(layers: Sequence[Layer]) -> list[Layer]:
    """Return layers that are not built, with the hyperparameters of others, and their names."""
    with one_copy_of_each():
        twins = [clone(layer) for layer in layers]
    for layer, twin in zip(layers, twins, strict=True):
        twin.name_ = None if layer.name_ is None else str(layer.name_)
    return twins


def _check_amount(layers: Sequence[Layer]) -> None:
    """Raise ValueError if there are too many layers, counting those inside others."""
    amounts: dict[int, int] = {}

    def amount(thing) -> int:
        if isinstance(thing, (list, tuple)):
            return sum(map(amount, thing))
        if not isinstance(thing, Layer):
            return 0
        if id(thing) not in amounts:
            amounts[id(thing)] = MOST_LAYERS + 1  # a layer that is inside itself counts as too many
            arguments = thing.get_params(deep=False).items()
            inner = [v for name, v in arguments if name not in ("source", "taps")]
            amounts[id(thing)] = 1 + amount(inner)
        return amounts[id(thing)]

    if not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise ValueError("there are no layers, or not all of them are Layers")
    if amount(layers) > MOST_LAYERS:
        raise ValueError(f"there are more than {MOST_LAYERS} layers")
