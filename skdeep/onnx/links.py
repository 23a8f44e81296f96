"""The links of regression losses, from raw outputs to predictions, in the operators of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from skdeep.joint_losses import JointLoss, Measured, Quantiles
from skdeep.onnx.graph import Graph, add_activation


def add_link(g: Graph, z: str, loss: Any) -> str:
    """Add the link of a loss; return the name of its output."""
    if isinstance(loss, Measured):
        return add_link(g, z, loss.loss)
    if isinstance(loss, JointLoss):
        pairs = zip(loss.losses, loss.slices, strict=True)
        return g.add("Concat", *(add_link(g, columns_of(g, z, c), f) for f, c in pairs), axis=1)
    if isinstance(loss, Quantiles) and loss.non_crossing:
        n_quantiles = len(loss.quantiles)
        steps = g.add("Softplus", columns_of(g, z, slice(1, n_quantiles)))
        rising = g.add("Concat", columns_of(g, z, slice(0, 1)), steps, axis=1)
        return g.add("MatMul", rising, g.constant(np.triu(np.ones((n_quantiles, n_quantiles)))))
    return add_activation(g, z, loss.activation)


def columns_of(g: Graph, z: str, columns: slice) -> str:
    """Add the choice of some columns; return its name."""
    positions = np.arange(columns.start, columns.stop)
    return g.add("Gather", z, g.constant(positions, TensorProto.INT64), axis=1)
