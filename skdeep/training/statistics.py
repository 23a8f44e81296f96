"""Batch norm's running statistics, measured for the weights that a network has."""

from __future__ import annotations

import copy

import numpy as np

from skdeep.layers import BatchNorm
from skdeep.network import Network
from skdeep.training.batches import BatchSource


def batch_norms(network: Network) -> list[BatchNorm]:
    """Return the batch norm layers, those inside others too."""
    return [layer for layer in network.walk() if isinstance(layer, BatchNorm)]


def measure_statistics(network: Network, batches: BatchSource, kernels) -> None:
    """Set running statistics to their means over all batches, without dropout and noise."""
    if not batch_norms(network):
        return
    twin = copy.deepcopy(network)  # as the network is in the middle of its training
    twin.allocate(batches.batch_size, None, kernels)
    layers, n_seen = batch_norms(twin), 0
    for X in batches.inputs():
        n_rows = X.shape[0]
        for layer in layers:
            layer.measure(n_seen / (n_seen + n_rows))
        twin.forward(X)
        n_seen += n_rows
    for own, measured in zip(batch_norms(network), layers, strict=True):
        np.copyto(own.mean_.value, measured.mean_.value)
        np.copyto(own.variance_.value, measured.variance_.value)
