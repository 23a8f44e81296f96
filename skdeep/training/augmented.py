"""Augmented batches: each batch of another source is changed before the network sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError
from skdeep.schedules import Progress
from skdeep.training.batches import BatchSource


class AugmentedBatches(BatchSource):
    """The batches of a source, changed by the steps of an augmentation.

    Parameters
    ----------
    batches : BatchSource
        Its batches are dense.
    steps : sequence of callable
        Functions (X, Y, rng) -> (X, Y).
    rng : numpy.random.Generator
    reconstructs : bool
        Whether the targets are the inputs, as those of an autoencoder.
    """

    def __init__(
        self,
        batches: BatchSource,
        steps: Sequence[Callable],
        rng: np.random.Generator,
        *,
        reconstructs: bool = False,
    ):
        self.batches = batches
        self.steps = steps
        self.rng = rng
        self._calls = [
            getattr(step, "reconstruct", step) if reconstructs else step for step in steps
        ]

    @property
    def batch_size(self) -> int:
        return self.batches.batch_size

    @property
    def follows_progress(self):
        return self.batches.follows_progress

    @property
    def order(self):
        return self.batches.order

    def begin_step(self, progress: Progress) -> None:
        self.batches.begin_step(progress)

    def bind(self, kernels) -> None:
        self.batches.bind(kernels)

    def __len__(self) -> int:
        return len(self.batches)

    def inputs(self) -> Iterator:
        # Statistics of the inputs are for predictions, whose rows are not augmented.
        return self.batches.inputs()

    def __iter__(self):
        return self._augmented(iter(self.batches))

    def starting_at(self, first):
        return self._augmented(self.batches.starting_at(first))

    def _augmented(self, supply: Iterator[tuple]) -> Iterator[tuple]:
        for X, Y, weight in supply:
            # A batch may be a view of the user's X, and a step may work in place.
            new_X, new_Y = X.copy(), Y.copy()
            is_complete = bool(np.isfinite(Y).all())
            for step, call in zip(self.steps, self._calls, strict=True):
                new_X, new_Y = _checked(step, call(new_X, new_Y, self.rng), X, Y, is_complete)
            yield new_X, new_Y, weight


def _checked(step: Any, result: Any, X: np.ndarray, Y: np.ndarray, is_complete: bool) -> tuple:
    """Return the result of a step as arrays of the dtypes of X and Y; raise if it is unsuitable.

    If Y is not complete, NaN stands for a missing target.
    """
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        kind = type(result).__name__
        raise _error(step, f"{kind}; it has to return two arrays, X and Y.")
    arrays = []
    for name, found, given in zip("XY", result, (X, Y), strict=True):
        try:
            array = np.asarray(found).astype(given.dtype, order="C", copy=False)
        except (TypeError, ValueError) as error:
            raise _error(step, f"{name}, which is not numeric: {error}") from error
        if array.shape != given.shape:
            raise _error(
                step,
                f"{name} of shape {array.shape}; it has to be {given.shape}, as the array that it "
                "was given.",
            )
        if (name == "X" or is_complete) and not np.isfinite(array).all():
            raise _error(step, f"{name} with NaN or infinity.")
        arrays.append(array)
    return tuple(arrays)


def _error(step: Any, what: str) -> InvalidParameterError:
    given = getattr(step, "__name__", None) or repr(step)
    return InvalidParameterError(f"augment={given} returned {what}")
