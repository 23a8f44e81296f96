"""Lists of live views, for coefs_ and intercepts_."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class LiveViews(list):
    """A list of views into a network's parameters.

    Writing into an array changes the model; so does putting another array of the same shape into
    the list, whose numbers are copied.
    """

    def __setitem__(self, index, value) -> None:
        if isinstance(index, slice):
            for view, array in zip(self[index], value, strict=True):
                _write(view, array)
        else:
            _write(self[index], value)


def write_all(views: Sequence[np.ndarray], arrays: Sequence[np.ndarray], what: str) -> None:
    """Copy arrays into views, all or none."""
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
