"""The circumstances in which a layer is built: its inputs, its network, and limits of sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.base import clone

from skdeep._component import InvalidParameterError, one_copy_of_each
from skdeep.layers import nested

if TYPE_CHECKING:
    from skdeep.layers.base import Layer

# A single row of this width takes half a gigabyte.
MOST_COLUMNS = 1 << 26
MOST_NESTED = 10
_depth: ContextVar[int] = ContextVar("depth", default=0)  # of the layer being built, inside others
# How many more columns the layers being built may put out; None is no limit.
_columns_left: ContextVar[int | None] = ContextVar("columns_left", default=None)
# The layers of a network that is being built, by id, as far as they are built.
_built: ContextVar[dict[int, Layer] | None] = ContextVar("built", default=None)


# Inputs -----------------------------------------------------------------------------------------


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


def change_inputs(inputs: Inputs) -> None:
    """Build the layers above with these inputs."""
    _inputs.set(inputs)


# The network ------------------------------------------------------------------------------------


def built_layers() -> dict[int, Layer]:
    """Return the layers that are built in the network that is being built, by id."""
    return _built.get() or {}


@contextmanager
def one_network(layers: Sequence[Layer]) -> Iterator[dict[int, Layer]]:
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
                    if nested.holds_parts(value) or layer.is_place:
                        setattr(layer, name, clone(value, safe=False))
        yield _built.get()
    finally:
        _built.reset(token)


# Limits -----------------------------------------------------------------------------------------


@contextmanager
def one_level_deeper() -> Iterator[None]:
    """Build layers inside another layer; raise if they are nested too deep."""
    depth = _depth.get()
    if depth >= MOST_NESTED:
        raise InvalidParameterError(
            f"layers are nested more than {MOST_NESTED} deep, which is too "
            "deep for pickle and repr; put blocks one after the other, not inside each other."
        )
    token = _depth.set(depth + 1)
    try:
        yield
    finally:
        _depth.reset(token)


@contextmanager
def at_most_columns(n_columns: int) -> Iterator[None]:
    """Raise ValueError if the layers built in this context have more than n_columns outputs."""
    token = _columns_left.set(n_columns)
    try:
        yield
    finally:
        _columns_left.reset(token)


def check_columns(layer: Layer, n_columns: int) -> None:
    """Raise if a layer puts out more columns than are allowed."""
    left = _columns_left.get()
    if left is not None:
        if n_columns > left:
            raise ValueError("there are more columns than weights can account for")
        _columns_left.set(left - n_columns)
    if n_columns > MOST_COLUMNS:
        raise InvalidParameterError(
            f"{layer!r} would put out {n_columns} columns; at most {MOST_COLUMNS} are allowed."
        )
