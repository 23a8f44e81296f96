"""Parameters of layers, and the flat vector that holds all parameters of a network.

`Parameter.value` and `Parameter.grad` are views into the vector. A copy of `ParameterVector.values`
is a snapshot of the whole network, running statistics included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skdeep._component import InvalidParameterError, Limit

if TYPE_CHECKING:
    from skdeep.constraints import Constraint
    from skdeep.initializers import Initializer
    from skdeep.regularizers import Regularizer


#: The number of further numbers in the array of the gradient.
ROOM = 2
_RATE = Limit(0)


class Segment(NamedTuple):
    """A slice of the vector that a step treats alike.

    Attributes
    ----------
    start, stop : int
        The positions in the vector where the slice starts and stops.
    rate, l2, decay : float
        Factors of the learning rate, of the penalty on squares, and of the weight decay.
    """

    start: int
    stop: int
    rate: float = 1.0
    l2: float = 0.0
    decay: float = 0.0


class Parameter:
    """One named array of a layer.

    Parameters
    ----------
    name : str
        The name within the layer, such as "kernel", "bias" or "gamma".
    shape : tuple of int
        A kernel's shape is (fan_in, fan_out).
    initializer : Initializer
        The initializer that draws the first values.
    kernel : bool, default=False
        Whether `alpha` and `weight_decay` act on the parameter.
    rate : float, default=1.0
        A factor of the learning rate, for this parameter alone.
    decay : float, default=1.0
        A factor of the weight decay of a kernel. A step multiplies the kernel by
        1 - learning rate * rate * decay * weight decay.
    regularizer : Regularizer or None
    constraint : Constraint or None
    trainable : bool, default=True
        False for numbers that have no gradient, such as running statistics.

    Attributes
    ----------
    frozen : bool
        Whether the parameter does not train at present.
    multiplier : float
        Another factor of the learning rate, which the estimator or a callback sets.
    source : Parameter or None
        The parameter whose values this one has: that of the layer in its first place, if the
        layer is in several places of a network. Such a parameter belongs to no vector.
    value, grad : ndarray of shape `shape`
        Views into the network's vector. `grad` is None outside training, and if the parameter is
        not trainable.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        *,
        kernel: bool = False,
        rate: float = 1.0,
        decay: float = 1.0,
        regularizer: Regularizer | None = None,
        constraint: Constraint | None = None,
        trainable: bool = True,
    ):
        self.name = name
        self.shape = tuple(shape)
        self.initializer = initializer
        self.kernel = kernel
        self.regularizer = regularizer
        self.constraint = constraint
        self.learns = trainable
        self.frozen = False
        self.rate = check_rate(rate, name)
        self.decay = check_rate(decay, name, "decay")
        self.multiplier = 1.0
        self.source: Parameter | None = None
        self.followers: list[Parameter] = []
        self.value: np.ndarray | None = None
        self.grad: np.ndarray | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes the parameter."""
        return self.learns and not self.frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.frozen = not value

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def root(self) -> Parameter:
        """The parameter in the vector that the values belong to."""
        return self if self.source is None else self.source.root

    def follow(self, source: Parameter) -> None:
        """Have the values of another parameter from now on, and train if it does."""
        self.source = source
        source.followers.append(self)
        source.lead()

    def lead(self) -> None:
        """Show the values to the parameters that follow this one."""
        for other in self.followers:
            other.value, other.frozen = self.value, self.frozen
            other.lead()

    def __getstate__(self) -> dict:
        # A pickled view would be a copy that no longer belongs to the vector. The vector is pickled
        # with its parameters, and binds them again. A shared layer links its parameters again.
        return {**self.__dict__, "value": None, "grad": None, "source": None, "followers": []}

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, trainable={self.trainable})"


def check_rate(rate: Any, name: str, what: str = "rate") -> float:
    """Return a factor of the learning rate as a float; raise if it is not valid."""
    if not _RATE.allows(rate):
        raise InvalidParameterError(
            f"{what}={rate!r} of the parameter {name!r} is not allowed; give {_RATE}."
        )
    return float(rate)


class ParameterVector:
    """All parameters of a network in one contiguous vector.

    Trainable kernels come first, then the other trainable parameters, then those that are not
    trainable. So `alpha`, `weight_decay`, the optimizer and the gradient each work on one slice
    from the start.

    Parameters
    ----------
    parameters : list of Parameter
    dtype : numpy.dtype
    rng : numpy.random.Generator
        The generator for the first values, which are drawn in the order of the list.
    values : ndarray or None
        The values of a vector with this layout, which replace the first values.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
    grads : ndarray of shape (n_trainable,) or None
        The gradient, during training only.
    grads_with_room : ndarray of shape (n_trainable + ROOM,) or None
        The array that the gradient is the start of. A stage that sums gradients of several
        processes puts further numbers behind the gradient.
    make_zeros : callable or None
        Makes that array, given a size and a dtype, in place of numpy.zeros.
    n_kernels, n_trainable : int
        The positions where the trainable kernels end, and where all trainable parameters end.
    """

    make_zeros: Callable[[int, np.dtype], np.ndarray] | None = None

    def __init__(
        self,
        parameters: list[Parameter],
        dtype: np.dtype,
        rng: np.random.Generator,
        values: np.ndarray | None = None,
    ):
        self.parameters = parameters
        vars(self).update(self._order())
        size = sum(p.size for p in parameters)
        if values is not None and (values.shape != (size,) or values.dtype != dtype):
            raise ValueError(f"{size} values of {dtype} are needed, not {values.shape}")
        self.values = np.empty(size, dtype=dtype) if values is None else values
        self.grads: np.ndarray | None = None
        self.grads_with_room: np.ndarray | None = None
        self._bind()
        if values is None:
            for parameter in parameters:
                parameter.initializer.fill(parameter.value, rng)

    def _order(self) -> dict[str, Any]:
        """Return the order of the parameters in the vector, and the ends of its slices."""
        return {
            "_ordered": sorted(self.parameters, key=lambda p: (not p.trainable, not p.kernel)),
            "n_trainable": sum(p.size for p in self.parameters if p.trainable),
            "n_kernels": sum(p.size for p in self.parameters if p.trainable and p.kernel),
        }

    def order_anew(self) -> Callable[[np.ndarray], np.ndarray]:
        """Change the layout of the vector, after parameters were frozen or thawed.

        Returns a function that converts other vectors from the old layout to the new one.
        """
        places, order = self._places(), self._order()
        pieces = [places[id(p)] for p in order["_ordered"]]

        def laid_out(vector: np.ndarray) -> np.ndarray:
            return np.concatenate([vector[piece] for piece in pieces])

        # In one step, so that Ctrl-C finds the weights in the old layout or in the new one.
        vars(self).update(order, values=laid_out(self.values))
        self._bind()
        return laid_out

    def _places(self) -> dict[int, slice]:
        """Return the slice of each parameter in the vector, by the parameter's id."""
        stops = np.cumsum([p.size for p in self._ordered]).tolist()
        return {
            id(p): slice(stop - p.size, stop) for p, stop in zip(self._ordered, stops, strict=True)
        }

    def pieces(self, vector: np.ndarray) -> list[np.ndarray]:
        """Return views into a vector of this layout, one for each of `parameters`."""
        places = self._places()
        return [vector[places[id(p)]].reshape(p.shape) for p in self.parameters]

    def assembled(self, pieces: Sequence[np.ndarray]) -> np.ndarray:
        """Return a vector of this layout, made from one array for each of `parameters`."""
        vector = np.empty_like(self.values)
        for view, piece in zip(self.pieces(vector), pieces, strict=True):
            np.copyto(view, piece, casting="same_kind")
        return vector

    def segments(self) -> list[Segment]:
        """Return the trainable part of the vector as slices that a step treats alike."""
        segments, start = [], 0
        trainable = [p for p in self._ordered if p.trainable and p.size]
        for (is_kernel, rate, decay), run in groupby(
            trainable,
            key=lambda p: (p.kernel, p.rate * p.multiplier, p.decay if p.kernel else 0.0),
        ):
            stop = start + sum(p.size for p in run)
            segments.append(Segment(start, stop, rate, float(is_kernel), decay))
            start = stop
        return segments

    def allocate(self) -> None:
        """Allocate the gradient."""
        make = self.make_zeros or np.zeros
        self.grads_with_room = make(self.n_trainable + ROOM, self.values.dtype)
        self.grads = self.grads_with_room[: self.n_trainable]
        self._bind()

    def release(self) -> None:
        """Release the gradient."""
        self.grads = self.grads_with_room = None
        self._bind()

    def _bind(self) -> None:
        """Let every parameter view its part of the vectors."""
        start = 0
        for p in self._ordered:
            stop = start + p.size
            p.value = self.values[start:stop].reshape(p.shape)
            has_grad = p.trainable and self.grads is not None
            p.grad = self.grads[start:stop].reshape(p.shape) if has_grad else None
            p.lead()
            start = stop

    def __getstate__(self) -> dict:
        return {**self.__dict__, "grads": None, "grads_with_room": None, "make_zeros": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._bind()
