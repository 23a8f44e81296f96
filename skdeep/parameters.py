"""Parameters, and the one flat vector that holds them all.

`Parameter.value` and `Parameter.grad` are views into the vector; a copy of `ParameterVector.values`
is a snapshot of the whole network, running statistics included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skdeep.constraints import Constraint
    from skdeep.initializers import Initializer
    from skdeep.regularizers import Regularizer


class Parameter:
    """One named array of a layer.

    Parameters
    ----------
    name : str
        What it is within its layer: "kernel", "bias", "gamma".
    shape : tuple of int
        A kernel's shape is (fan_in, fan_out).
    initializer : Initializer
        Gives the first values.
    kernel : bool, default=False
        A kernel is what `alpha` and `weight_decay` act on.
    regularizer : Regularizer or None
    constraint : Constraint or None
    trainable : bool, default=True
        What never trains has no gradient: a running statistic.

    Attributes
    ----------
    frozen : bool
        Whether it does not train for the time being.
    rate : float
        What its steps are multiplied by.
    value, grad : ndarray of shape `shape`
        Views into the network's vector. `grad` is None outside training and where not trainable.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        *,
        kernel: bool = False,
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
        self.rate = 1.0
        self.value: np.ndarray | None = None
        self.grad: np.ndarray | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self.learns and not self.frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.frozen = not value

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    def __getstate__(self) -> dict:
        # A pickled view would be a copy that no longer belongs to the vector: the vector, which
        # is pickled with its parameters, binds them anew.
        return {**self.__dict__, "value": None, "grad": None}

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self.shape}, trainable={self.trainable})"


class ParameterVector:
    """All parameters of a network in one contiguous vector.

    Trainable kernels come first, then what else is trainable, then what is not: `alpha`,
    `weight_decay`, the optimizer and the gradient each work on one slice from the start.

    Parameters
    ----------
    parameters : list of Parameter
    dtype : numpy.dtype
    rng : numpy.random.Generator
        Draws the first values, in the order of the list.
    values : ndarray or None
        The values of an equal vector, which are taken in place of first values.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
    grads : ndarray of shape (n_trainable,) or None
        There during training only.
    n_kernels, n_trainable : int
        Where the slice of trainable kernels ends, and that of all trainable parameters.
    """

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
        self._bind()
        if values is None:
            for parameter in parameters:
                parameter.initializer.fill(parameter.value, rng)

    def _order(self) -> dict[str, Any]:
        """Return in which order parameters lie in the vector, and where its slices end."""
        return {
            "_ordered": sorted(self.parameters, key=lambda p: (not p.trainable, not p.kernel)),
            "n_trainable": sum(p.size for p in self.parameters if p.trainable),
            "n_kernels": sum(p.size for p in self.parameters if p.trainable and p.kernel),
        }

    def order_anew(self) -> Callable[[np.ndarray], np.ndarray]:
        """Lay the vector out anew, once something was frozen or thawed.

        Returns a function that lays out copies of the vector in the same way.
        """
        stops = np.cumsum([p.size for p in self._ordered]).tolist()
        places = {
            id(p): slice(stop - p.size, stop) for p, stop in zip(self._ordered, stops, strict=True)
        }
        order = self._order()
        pieces = [places[id(p)] for p in order["_ordered"]]

        def laid_out(vector: np.ndarray) -> np.ndarray:
            return np.concatenate([vector[piece] for piece in pieces])

        # In one step, so that Ctrl-C finds weights either as they were or as they are to be.
        vars(self).update(order, values=laid_out(self.values))
        self._bind()
        return laid_out

    def rates(self) -> np.ndarray | None:
        """Return what the step of each trainable number is multiplied by; None where by 1."""
        trainable = [p for p in self._ordered if p.trainable]
        if all(p.rate == 1 for p in trainable):
            return None
        return np.repeat(
            np.array([p.rate for p in trainable], self.values.dtype), [p.size for p in trainable]
        )

    def allocate(self) -> None:
        """Make room for gradients."""
        self.grads = np.zeros(self.n_trainable, dtype=self.values.dtype)
        self._bind()

    def release(self) -> None:
        """Give the room for gradients back."""
        self.grads = None
        self._bind()

    def _bind(self) -> None:
        """Point every parameter at its part of the vectors."""
        start = 0
        for p in self._ordered:
            stop = start + p.size
            p.value = self.values[start:stop].reshape(p.shape)
            has_grad = p.trainable and self.grads is not None
            p.grad = self.grads[start:stop].reshape(p.shape) if has_grad else None
            start = stop

    def __getstate__(self) -> dict:
        return {**self.__dict__, "grads": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._bind()
