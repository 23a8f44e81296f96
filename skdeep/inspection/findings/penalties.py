"""How strongly alpha, regularizers and weight decay pull weights towards 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.inspection.findings.case import Case
from skdeep.layers import Dense
from skdeep.schedules import value_of


class Penalties:
    """The penalties of a case.

    A penalty of strength s pulls like the L2 penalty s / 2 * sum w^2, added to the mean loss.
    """

    def __init__(self, case: Case):
        self.case = case
        model = case.model
        alpha = model.alpha / case.rows_a_step
        self.l1, self.l2 = alpha * model.l1_ratio, alpha * (1 - model.l1_ratio)
        self.weight_decay = value_of(model.weight_decay) if case.is_stochastic else 0.0
        self.weight_decay += getattr(model.optimizer_, "weight_decay", 0.0)
        network = model.network_
        self.kernels = [p for p in network.parameters.parameters if p.kernel and p.trainable]

    def pull(self, layer: Dense) -> float:
        """Return the total strength with which the penalties pull at a layer's weights."""
        return sum(self._pulls(layer).values())

    def strongest(self, layers: list[Dense]) -> tuple[str, Any]:
        """Return the name and the value of the hyperparameter that pulls most at these layers."""
        pulls = [(pull, name) for x in layers for name, pull in self._pulls(x).items()]
        name = max(pulls)[1]
        if name == "kernel_regularizer":
            layer = max(layers, key=lambda x: self._pulls(x)[name])
            return name, layer.kernel_.regularizer
        value = self.weight_decay if name == "weight_decay" else self.case.model.alpha
        return name, f"{value:g}"

    def _pulls(self, layer: Dense) -> dict[str, float]:
        kernel = layer.kernel_
        if not kernel.trainable:
            return dict.fromkeys(("alpha", "kernel_regularizer", "weight_decay"), 0.0)
        w = kernel.value
        size = max(float(np.linalg.norm(w)), np.finfo(w.dtype).tiny)
        of_regularizer = np.zeros_like(w)
        if kernel.regularizer is not None:
            kernel.regularizer.penalize(w.copy(), of_regularizer)
        return {
            "alpha": float(np.linalg.norm(self.l2 * w + self.l1 * np.sign(w))) / size,
            "kernel_regularizer": float(np.linalg.norm(of_regularizer)) / size,
            "weight_decay": self.weight_decay,
        }

    def spread(self, layer: Dense) -> float:
        """Return the standard deviation of a layer's weighted sums for standardized inputs."""
        W = layer.weights
        if layer is self.case.hidden_dense_layers[0] and len(W) == self.case.probe.X.shape[1]:
            W = W * self._column_stds()[:, None]
        return float(np.sqrt(np.mean(np.sum(np.square(W, dtype=np.float64), axis=0))))

    def _column_stds(self) -> np.ndarray:
        X = self.case.probe.X
        return (X if isinstance(X, np.ndarray) else X.toarray()).std(axis=0)

    def value(self) -> float:
        """Return the penalty that is added to the mean loss."""
        total = 0.0
        for p in self.kernels:
            w = p.value.astype(np.float64)
            total += self.l1 * np.abs(w).sum() + self.l2 / 2 * np.square(w).sum()
            if p.regularizer is not None:
                total += p.regularizer.penalize(w, np.zeros_like(w))
        return float(total)

    def data_loss(self) -> float:
        """Return the mean loss without penalties."""
        probe = self.case.probe
        Z = self.case.raw_outputs(self.case.model)
        return probe.loss.value_and_grad(probe.Y, Z, None, np.empty_like(Z))
