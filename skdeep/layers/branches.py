"""Layers for networks that branch: skip connections, parallel branches."""

from __future__ import annotations

import numpy as np

from skdeep._component import InvalidParameterError, side_by_side
from skdeep.layers.base import Layer, rows
from skdeep.layers.chain import Chain, placed
from skdeep.layers.nested import named
from skdeep.layers.operations import Add, Join


class Residual(Layer):
    """Y = X + f(X), f a stack of layers with as many outputs as inputs.

    Parameters
    ----------
    layers : list of Layer or of (str, Layer)
        The layers, with names if you like.

    References
    ----------
    He et al. (2016), "Deep residual learning for image recognition".
    """

    has_units = True

    def __init__(self, layers):
        self.layers = layers

    def build(self, n_inputs):
        self.branch_ = Chain(placed(self.layers, "layers"))
        n_outputs = self.branch_.setup(n_inputs)
        if n_outputs != n_inputs:
            raise InvalidParameterError(
                f"Residual: its layers put out {n_outputs} columns for an input of {n_inputs}; "
                f"end them with Dense({n_inputs})."
            )
        return n_outputs, []

    def children(self):
        return self.branch_.layers

    def adapt(self, X, rng):
        self.branch_.adapt(X, rng)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.branch_.allocate(n_rows, dtype, rng, needs_dX)
        self._Y, self._dF = (np.empty((n_rows, self.n_outputs_), dtype) for _ in range(2))
        self._needs_dX = needs_dX

    def forward(self, X):
        Y = rows(self._Y, len(X))
        np.add(X, self.branch_.forward(X), out=Y)
        return Y

    def backward(self, dY):
        dF = rows(self._dF, len(dY))  # the branch may overwrite its gradient, and the skip needs it
        np.copyto(dF, dY)
        dX = self.branch_.backward(dF)
        if not self._needs_dX:
            return None
        dY += dX
        return dY

    def infer(self, X):
        return X + self.branch_.infer(X)

    def operations(self):
        return [Add([[], self.branch_.layers])]

    def release(self):
        super().release()
        self.branch_.release()


class Concatenate(Layer):
    """Y = [f_1(X), f_2(X), ...], the outputs of branches side by side.

    Parameters
    ----------
    branches : list of (Layer or list of Layer)
        One entry for each branch. An empty list passes X on. A branch may be a pair (name, branch),
        and a layer in a branch a pair (name, layer).
    """

    has_units = True

    def __init__(self, branches):
        self.branches = branches

    def build(self, n_inputs):
        if not isinstance(self.branches, (list, tuple)) or not self.branches:
            raise InvalidParameterError(
                f"branches={self.branches!r} is not allowed; give a list of lists of Layers."
            )
        self.branches_, widths = [], []
        for i, (name, branch) in enumerate(named(self.branches, "branches")):
            chain = Chain(_of_branch(name, placed(branch, f"branches[{i}]")))
            self.branches_.append(chain)
            widths.append(chain.setup(n_inputs))
        self.slices_ = side_by_side(widths)
        return sum(widths), []

    def children(self):
        return [layer for branch in self.branches_ for layer in branch.layers]

    def adapt(self, X, rng):
        for branch in self.branches_:
            branch.adapt(X, rng)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        for branch in self.branches_:
            branch.allocate(n_rows, dtype, rng, needs_dX)
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._parts = [np.empty((n_rows, s.stop - s.start), dtype) for s in self.slices_]
        self._dX = np.empty((n_rows, self.n_inputs_), dtype) if needs_dX else None

    def forward(self, X):
        Y = rows(self._Y, len(X))
        for branch, columns in zip(self.branches_, self.slices_, strict=True):
            Y[:, columns] = branch.forward(X)
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        total = None if self._dX is None else rows(self._dX, n_rows)
        if total is not None:
            total.fill(0)
        for branch, columns, part in zip(self.branches_, self.slices_, self._parts, strict=True):
            own = rows(part, n_rows)
            np.copyto(own, dY[:, columns])
            dX = branch.backward(own)
            if total is not None:
                total += dX
        return total

    def infer(self, X):
        return np.concatenate([branch.infer(X) for branch in self.branches_], axis=1)

    def operations(self):
        return [Join([branch.layers for branch in self.branches_])]

    def release(self):
        super().release()
        for branch in self.branches_:
            branch.release()


def _of_branch(name: str | None, layers: list[Layer]) -> list[Layer]:
    """Return the layers of a branch, which have the branch's name if they have none."""
    if name is not None:
        for i, layer in enumerate(layers):
            layer.name_ = layer.name_ or (name if len(layers) == 1 else f"{name}__{i}")
    return layers
