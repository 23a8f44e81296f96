"""What a call of partial_fit costs beside the steps that it does.

The seconds of a call on a chunk are divided by those of an epoch of `fit` on the rows of the chunk,
which does the same steps. Both are seconds of the processor, the shortest of many.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.scale.nets import Net
from benchmarks.table import markdown
from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback
from skdeep.kernels import set_kernels
from skdeep.training.threads import one_thread

NETS = tuple(
    Net(n_columns, hidden, 10, batch_size)
    for n_columns, hidden in ((20, (64, 64)), (784, (300, 100)))
    for batch_size in (200, 1024)
)
N_BATCHES = (1, 2, 5, 10, 20, 50, 100)
LARGEST = 2**26  # numbers in the rows of a chunk
LIMIT = 1.2
SECONDS = 1.0


class Clock(Callback):
    """Notes the processor's time at the end of every epoch."""

    def on_train_begin(self, trainer):
        self.times = []

    def on_epoch_end(self, trainer):
        self.times.append(time.thread_time())


def measure(model: type, net: Net, n_batches: int, limit: float = SECONDS) -> tuple[float, float]:
    """Return the seconds of a call of partial_fit, and of an epoch of fit with equal steps."""
    rng = np.random.default_rng(0)
    n_rows = n_batches * net.batch_size
    X = rng.standard_normal((n_rows, net.n_columns), dtype=np.float32)
    y, classes = X[:, 0].astype(np.float64), {}
    if model is MLPClassifier:
        y, classes = np.arange(n_rows) % net.n_classes, {"classes": np.arange(net.n_classes)}
    options: dict[str, Any] = {"batch_size": net.batch_size, "random_state": 0}
    mlp = model(net.hidden, **options)
    calls, until = [], time.perf_counter() + limit
    while time.perf_counter() < until or len(calls) < 10:
        start = time.thread_time()
        mlp.partial_fit(X, y, **classes)
        calls.append(time.thread_time() - start)
    clock = Clock()
    options |= {"max_iter": len(calls) + 1, "n_iter_no_change": 10**6, "callbacks": [clock]}
    model(net.hidden, **options).fit(X, y)
    return min(calls[1:]), min(end - start for start, end in pairwise(clock.times))


def enough(cost: float, step: float) -> int:
    """Return the number of batches from which a call takes at most LIMIT times its steps.

    Parameters
    ----------
    cost : float
        The seconds of a call beside those of its steps.
    step : float
        The seconds of a step.
    """
    return max(1, math.ceil(cost / ((LIMIT - 1) * step)))


def study(kernels: Sequence[str], quick: bool, progress) -> str:
    """Return a table of ratios, for each set of kernels, network and estimator."""
    header = ["network, batch, kernels", "estimator", "cost of a call"]
    header += [f"{n}" for n in N_BATCHES] + [f"{LIMIT} x from"]
    rows = []
    for name in kernels:
        set_kernels(name)
        for net in NETS:
            for model in (MLPClassifier, MLPRegressor):
                rows.append([f"{net}, {net.batch_size:,}, {name}", model.__name__])
                rows[-1] += _cells(model, net, quick)
                progress(f"chunks: {', '.join(rows[-1])}")
    return markdown(header, rows)


def _cells(model: type, net: Net, quick: bool) -> list[str]:
    ratios, cost, step = [], 0.0, math.inf
    sizes = N_BATCHES[:2] if quick else N_BATCHES
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n_batches in sizes:
            if n_batches * net.batch_size * net.n_columns > LARGEST:
                break
            call, epoch = measure(model, net, n_batches, 0.0 if quick else SECONDS)
            ratios.append(call / epoch)
            if n_batches == 1:
                cost = call - epoch
            step = min(step, epoch / n_batches)
    cells = [f"{ratio:.2f}" for ratio in ratios] + ["-"] * (len(N_BATCHES) - len(ratios))
    return [f"{1e3 * cost:.1f} ms", *cells, str(enough(cost, step))]
