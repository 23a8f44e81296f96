"""PyTorch: the usual hand-written loop, with the default Adam and with the fused Adam."""

from __future__ import annotations

import time
from itertools import pairwise

import torch
from torch import nn

from benchmarks.contenders import ALPHA, LEARNING_RATE, Contender

PREDICT_ROWS = 1024  # a block that stays in the cache: all rows at once take longer


class PyTorch(Contender):
    """Tensors in memory, permuted rows picked by index_select: no DataLoader, which costs more."""

    fused = False

    def fit(self, n_epochs):
        task = self.task
        torch.manual_seed(0)
        self.net = self._make_net().train()
        X, y = torch.from_numpy(self.X), torch.from_numpy(self.y)
        loss_of = nn.CrossEntropyLoss()
        # Adam's weight_decay is the L2 penalty, added to the gradient. It acts on biases, too: a
        # second group of parameters, to exclude them, would slow the optimizer down.
        adam = torch.optim.Adam(
            self.net.parameters(),
            lr=LEARNING_RATE,
            weight_decay=ALPHA / task.batch_size,
            fused=self.fused,
        )
        ends = []
        for _ in range(n_epochs):
            order = torch.randperm(task.n_rows)
            for rows in order.split(task.batch_size):
                adam.zero_grad(set_to_none=True)
                loss_of(self.net(X.index_select(0, rows)), y.index_select(0, rows)).backward()
                adam.step()
            ends.append(time.perf_counter())
        self.net.eval()
        return ends

    def predict(self, X):
        blocks = torch.from_numpy(X).split(PREDICT_ROWS)
        with torch.inference_mode():
            return torch.cat([torch.softmax(self.net(block), dim=1) for block in blocks]).numpy()

    def _make_net(self) -> nn.Sequential:
        task, layers = self.task, []
        *hidden, output = pairwise(task.widths)
        for n_inputs, n_units in hidden:
            # Batch norm has a bias of its own.
            layers.append(nn.Linear(n_inputs, n_units, bias=not task.batch_norm))
            if task.batch_norm:
                layers.append(nn.BatchNorm1d(n_units))
            layers.append(nn.ReLU())
            if task.dropout:
                layers.append(nn.Dropout(task.dropout))
        return nn.Sequential(*layers, nn.Linear(*output)).to(getattr(torch, task.dtype))


class PyTorchFused(PyTorch):
    """PyTorch with the fused Adam, which updates all parameters in one call."""

    fused = True
