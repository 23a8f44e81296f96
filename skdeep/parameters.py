"""Parameters, and the one flat vector that holds them all.

`Parameter.value` and `Parameter.grad` are views into the vector; a copy of `ParameterVector.values`
is a snapshot of the whole network, running statistics included.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

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
        A parameter that does not train has no gradient: a running statistic, a frozen weight.

    Attributes
    ----------
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
        self.trainable = trainable
        self.value: np.ndarray | None = None
        self.grad: np.ndarray | None = None

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

    Attributes
    ----------
    values : ndarray of shape (n_values,)
    grads : ndarray of shape (n_trainable,) or None
        There during training only.
    n_kernels, n_trainable : int
        Where the slice of trainable kernels ends, and that of all trainable parameters.
    """

    def __init__(self, parameters: list[Parameter], dtype: np.dtype, rng: np.random.Generator):
        self.parameters = parameters
        ordered = sorted(parameters, key=lambda p: (not p.trainable, not p.kernel))
        self._ordered = ordered
        self.n_trainable = sum(p.size for p in ordered if p.trainable)
        self.n_kernels = sum(p.size for p in ordered if p.trainable and p.kernel)
        self.values = np.empty(sum(p.size for p in ordered), dtype=dtype)
        self.grads: np.ndarray | None = None
        self._bind()
        for parameter in parameters:
            parameter.initializer.fill(parameter.value, rng)

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
