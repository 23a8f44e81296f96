"""The operations of which the prediction pass of a layer is made up.

A layer lists them in `operations`. With this list the layer is written to ONNX and fused with its
neighbours, and neither needs to know the layer's class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdeep.activations import Activation

if TYPE_CHECKING:
    from skdeep.layers.base import Layer


@dataclass(frozen=True)
class Affine:
    """Y = X W + b; b is None if there is none."""

    W: np.ndarray
    b: np.ndarray | None = None


@dataclass(frozen=True)
class Normalize:
    """Y = scale * (X - mean) / std + shift, column by column."""

    mean: np.ndarray
    std: np.ndarray
    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Apply:
    """Y = f(X), f an activation function."""

    function: Activation


@dataclass(frozen=True)
class Take:
    """Y = the columns of X at these positions."""

    columns: np.ndarray


@dataclass(frozen=True)
class Add:
    """Y = f_1(X) + f_2(X) + ...; a branch without layers passes X on."""

    branches: Sequence[Sequence[Layer]]


@dataclass(frozen=True)
class Join:
    """Y = [f_1(X), f_2(X), ...], side by side; a branch without layers passes X on."""

    branches: Sequence[Sequence[Layer]]


@dataclass(frozen=True)
class Keep:
    """Y = X, which a later `JoinKept` reads."""

    tap: Layer


@dataclass(frozen=True)
class JoinKept:
    """`Join`, of which a branch with a tap begins at the array that the tap keeps, not at X."""

    branches: Sequence[Sequence[Layer]]
    taps: Sequence[Layer | None]


Operation = Affine | Normalize | Apply | Take | Add | Join | Keep | JoinKept


def operations_of(layer: Any) -> list[Operation] | None:
    """Return the operations that a layer's `infer` consists of; None if they are not known.

    A class that overrides `infer` without overriding `operations` has inherited a list that may no
    longer be true, so that its operations are not known.
    """
    for cls in type(layer).__mro__:
        if "operations" in vars(cls):
            return layer.operations()
        if "infer" in vars(cls):
            return None
    return None


def does_nothing_at_prediction(layer: Any) -> bool:
    """Whether a layer's `infer` is known to return its input."""
    return operations_of(layer) == []
