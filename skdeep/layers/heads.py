"""The output layer of a network with several tasks: a head for each, on any hidden layer.

A head on a middle layer reads that layer through a `Tap`, which stands behind it. In training, the
tap keeps its input for the head, and adds the head's gradient to the one from above. At prediction
nothing is kept in layers, as threads share them: the caller hands the arrays on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdeep._component import InvalidParameterError, side_by_side
from skdeep.layers.base import Layer, rows
from skdeep.layers.chain import Chain, WithChain, placed
from skdeep.layers.dense import Dense
from skdeep.layers.operations import JoinKept, Keep


class Tap(Layer):
    """Y = X, which heads above read too."""

    uses_taps = True

    def build(self, n_inputs):
        self.n_passed_on = n_inputs
        return n_inputs, []

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.needs_dX = needs_dX
        self._gradients: list[np.ndarray] = []

    def forward(self, X):
        self.kept = X
        self._gradients.clear()
        return X

    def take(self, dX: np.ndarray) -> None:
        """Take the gradient of a head, which `backward` adds to the one from above."""
        self._gradients.append(dX)

    def backward(self, dY):
        for dX in self._gradients:
            dY += dX
        return dY

    def infer(self, X):
        return X

    def infer_with_taps(self, X, kept):
        kept[self] = X
        return X

    def operations(self):
        return [Keep(self)]


class Head(WithChain):
    """The layers of one task, the output layer included.

    Parameters
    ----------
    name : str
        The name of the task.
    layers : list of Layer
    """

    has_units = True

    def __init__(self, name: str, layers: list[Layer]):
        self.name = name
        self.layers = layers

    def build(self, n_inputs):
        self.chain_ = Chain(placed(self.layers, "layers"))
        return self.chain_.setup(n_inputs), []

    @property
    def output_layer(self) -> Dense:
        """The dense layer that computes the raw outputs."""
        return next(x for x in reversed(self.chain_.layers) if isinstance(x, Dense))

    def children(self):
        return self.chain_.layers

    def adapt(self, X, rng):
        self.chain_.adapt(X, rng)

    def describe(self):
        return f"Head of {self.name!r}"


class Heads(Layer):
    """Y = [f_1(X_1), f_2(X_2), ...]: X_k is the last hidden layer, or what tap k stands behind.

    Parameters
    ----------
    names : list of str
        The names of the tasks.
    branches : list of list of Layer
        The layers of each head. The last dense layer of a head computes its raw outputs.
    taps : list of (Tap or None)
        The taps that the heads read. They have to be built before. None is for a head on the last
        hidden layer.
    """

    has_units = True
    uses_taps = True

    def __init__(self, names: list[str], branches: list[list[Layer]], taps: Sequence[Tap | None]):
        self.names = names
        self.branches = branches
        self.taps = taps

    def build(self, n_inputs):
        if not len(self.names) == len(self.branches) == len(self.taps) > 0:
            raise InvalidParameterError(
                "names, branches and taps need equal lengths, of 1 or more."
            )
        self.heads_ = [
            Head(name, branch) for name, branch in zip(self.names, self.branches, strict=True)
        ]
        widths = [
            head.setup(n_inputs if tap is None else tap.n_outputs_)
            for head, tap in zip(self.heads_, self.taps, strict=True)
        ]
        self.slices_ = side_by_side(widths)
        return sum(widths), []

    def _parts(self):
        return zip(self.heads_, self.taps, self.slices_, strict=True)

    def children(self):
        return self.heads_

    @property
    def accepts_sparse(self):
        return all(head.chain_.accepts_sparse for head in self.heads_)

    def adapt_with_taps(self, X, kept, rng):
        for head, tap, _ in self._parts():
            head.adapt(X if tap is None else kept[tap], rng)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        for head, tap, _ in self._parts():
            head.allocate(n_rows, dtype, rng, needs_dX if tap is None else tap.needs_dX)
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._dY = [np.empty((n_rows, s.stop - s.start), dtype) for s in self.slices_]
        self._dX = np.empty((n_rows, self.n_inputs_), dtype) if needs_dX else None

    def forward(self, X):
        Y = rows(self._Y, X.shape[0])
        for head, tap, columns in self._parts():
            Y[:, columns] = head.forward(X if tap is None else tap.kept)
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        total = None if self._dX is None else rows(self._dX, n_rows)
        if total is not None:
            total.fill(0)
        for (head, tap, columns), part in zip(self._parts(), self._dY, strict=True):
            own = rows(part, n_rows)
            np.copyto(own, dY[:, columns])
            dX = head.backward(own)
            if tap is None and total is not None:
                total += dX
            elif tap is not None and tap.needs_dX:
                tap.take(dX)
        return total

    def infer(self, X):
        return self.infer_with_taps(X, {})

    def infer_with_taps(self, X, kept):
        parts = [h.infer(X if tap is None else kept[tap]) for h, tap, _ in self._parts()]
        return np.concatenate(parts, axis=1)

    def operations(self):
        return [JoinKept([head.chain_.layers for head in self.heads_], self.taps)]

    def release(self):
        super().release()
        for head in self.heads_:
            head.release()
