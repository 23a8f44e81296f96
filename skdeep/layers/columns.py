"""A layer that chooses columns: by position, name, mask, or a function of the data frame."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError
from skdeep.layers.base import Layer, rows
from skdeep.layers.building import Inputs, inputs_here
from skdeep.layers.operations import Take

# The number of columns that a message lists.
_MOST_NAMES = 20


class Columns(Layer):
    """Y = some columns of X.

    Names are those of the columns of the data frame that the estimator is fitted to. They can be
    used if the inputs of the layer are columns of the data. So layers below may only choose or
    change columns, as `Columns` and `Dropout` do. In the fitted network, positions take the place
    of names.

    Parameters
    ----------
    columns : slice, str, sequence of int, str or bool, or callable
        - Positions in X, or a slice of them. Negative numbers count from the end.
        - Names, one name, or a slice of names, which includes both ends.
        - A mask with one bool for each column.
        - A function of the data frame that returns one of these, such as
          `sklearn.compose.make_column_selector()`.
    """

    has_units = True

    def __init__(self, columns):
        self.columns = columns

    def build(self, n_inputs):
        here = inputs_here()
        chosen = _called(self.columns, here) if callable(self.columns) else self.columns
        has_names = _has_names(chosen)
        if has_names:
            chosen = _positions_of(chosen, _names_here(chosen, here))
        chosen = _checked(chosen, n_inputs, self.columns)
        if has_names or callable(self.columns):
            self.columns = chosen.tolist()  # so that a file needs neither names nor a function
        self.columns_ = chosen
        return chosen.size, []

    def inputs_above(self, inputs):
        if inputs.names is None:
            return inputs
        return inputs._replace(names=[inputs.names[i] for i in self.columns_])

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._dX = np.empty((n_rows, self.n_inputs_), dtype) if needs_dX else None

    def forward(self, X):
        Y = rows(self._Y, len(X))
        np.take(X, self.columns_, axis=1, out=Y, mode="clip")
        return Y

    def backward(self, dY):
        if self._dX is None:
            return None
        dX = rows(self._dX, len(dY))
        dX.fill(0)
        np.add.at(dX, (slice(None), self.columns_), dY)  # a column may be chosen twice
        return dX

    def infer(self, X):
        return np.take(X, self.columns_, axis=1)

    def operations(self):
        return [Take(self.columns_)]


def _called(function: Any, here: Inputs) -> Any:
    """Return what a function of the data frame chooses."""
    if here.frame is None or not here.are_columns:
        raise InvalidParameterError(
            f"columns={function!r} is a function of the data frame that the estimator is fitted "
            "to, and "
            + ("X is no data frame" if here.are_columns else "here the inputs are no columns of X")
            + "; fit the estimator to a data frame, or give the positions of the columns."
        )
    return function(here.frame)


def _has_names(columns: Any) -> bool:
    if isinstance(columns, slice):
        return isinstance(columns.start, str) or isinstance(columns.stop, str)
    if isinstance(columns, str):
        return True
    is_sequence = np.iterable(columns) and not isinstance(columns, (dict, set, frozenset))
    return is_sequence and any(isinstance(entry, str) for entry in columns)


def _names_here(columns: Any, here: Inputs) -> Sequence[str]:
    if not here.are_columns:
        raise InvalidParameterError(
            f"columns={columns!r} are names of columns of X, and here the inputs are the outputs "
            "of other layers, which have no names; give positions, or put Columns below these "
            "layers."
        )
    if here.names is None:
        raise InvalidParameterError(
            f"columns={columns!r} are names, and the columns of X have none; fit the estimator to "
            "a data frame whose column names are texts, or give positions."
        )
    return list(here.names)


def _positions_of(columns: Any, names: Sequence[str]) -> Any:
    """Return positions in place of names."""
    if isinstance(columns, str):
        return [_position(columns, names)]
    if not isinstance(columns, slice):
        return [_position(name, names) for name in columns]
    start, stop = (
        end if end is None else _position(end, names) for end in (columns.start, columns.stop)
    )
    return slice(start, None if stop is None else stop + 1, columns.step)


def _position(name: Any, names: Sequence[str]) -> int:
    """Return the position of the column with a name."""
    if not isinstance(name, str):
        raise InvalidParameterError(
            f"columns: {name!r} stands beside names, and is none; give names or positions alone."
        )
    if name in names:
        return names.index(name)
    behind_prefix = [known for known in names if known.rpartition("__")[2] == name]
    meant = behind_prefix or difflib.get_close_matches(name, names, n=1)
    shown = ", ".join(map(repr, names[:_MOST_NAMES])) + ", ..." * (len(names) > _MOST_NAMES)
    hint = f"; did you mean {meant[0]!r}?" if meant else "."
    raise InvalidParameterError(f"columns: there is no column {name!r}{hint} There are {shown}.")


def _checked(chosen: Any, n_inputs: int, given: Any) -> np.ndarray:
    """Return the positions of columns as an array."""
    every = range(n_inputs)  # a range takes no memory, however many columns there are
    try:
        if isinstance(chosen, slice):
            positions = np.arange(*chosen.indices(n_inputs))
        else:
            positions = np.asarray(chosen)
            if positions.dtype == bool:
                positions = np.arange(n_inputs)[positions]
            positions = np.array([every[i] for i in positions], dtype=np.intp)
    except (IndexError, TypeError) as error:
        raise InvalidParameterError(
            f"columns={given!r} is not allowed for an input of {n_inputs} columns; "
            "give a slice, positions in it, names, or a mask of its length."
        ) from error
    if positions.ndim != 1 or not positions.size:
        raise InvalidParameterError(
            f"columns={given!r} chooses no columns; give a slice or a list of positions."
        )
    return positions
