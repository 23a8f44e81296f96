"""The lists behind `coefs_` and `intercepts_`: live views, and weights that the user assigned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


class LiveViews(list):
    """A list of views into a network's parameters.

    Writing into an array changes the model. If the user puts another array of equal shape into the
    list, its numbers are copied into the view.
    """

    def __setitem__(self, index, value) -> None:
        if isinstance(index, slice):
            for view, array in zip(self[index], value, strict=True):
                _write(view, array)
        else:
            _write(self[index], value)


def chain_of(coefs: Sequence, intercepts: Sequence) -> tuple[int, list[int], int, np.dtype]:
    """Return the number of inputs, hidden layer sizes, number of outputs and dtype of weights.

    Raises ValueError if the arrays are not the weights of a network.
    """
    try:
        kernels = [np.asarray(W) for W in coefs]
        biases = [np.asarray(b) for b in intercepts]
        dtype = np.result_type(np.float32, *kernels, *biases)
    except (TypeError, ValueError) as error:
        raise ValueError(f"coefs_ and intercepts_ have to be lists of arrays: {error}") from error
    shapes = [W.shape for W in kernels]
    is_chain = (
        bool(shapes)
        and all(len(shape) == 2 and min(shape) > 0 for shape in shapes)
        and all(below[1] == above[0] for below, above in pairwise(shapes))
        and [b.shape for b in biases] == [shape[1:] for shape in shapes]
    )
    if not is_chain or dtype not in (np.float32, np.float64):
        raise ValueError(
            "coefs_ and intercepts_ have to be arrays of numbers, one of each for each layer: "
            "coefs_[i] of shape (n_inputs, n_units), where n_inputs is the n_units of the layer "
            "before, and intercepts_[i] of shape (n_units,). They have shapes "
            f"{shapes} and {[b.shape for b in biases]}, and dtype {dtype}."
        )
    units = [n_units for _, n_units in shapes]
    return shapes[0][0], units[:-1], units[-1], dtype


def write_all(views: Sequence[np.ndarray], arrays: Sequence[np.ndarray], what: str) -> None:
    """Copy arrays into views; if a shape is wrong, copy none."""
    arrays = [np.asarray(array) for array in arrays]
    shapes, given = [v.shape for v in views], [a.shape for a in arrays]
    if shapes != given:
        raise ValueError(f"{what} has arrays of shapes {given}; the network's are {shapes}.")
    for view, array in zip(views, arrays, strict=True):
        _write(view, array)


def _write(view: np.ndarray, array) -> None:
    array = np.asarray(array)
    if array.shape != view.shape:
        raise ValueError(f"An array of shape {array.shape} can't replace one of {view.shape}.")
    view[...] = array
