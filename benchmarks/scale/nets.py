"""The networks whose training is measured and simulated, and the seconds of their steps.

A step on n rows takes `of_step + of_row * n` seconds, and those of the optimizer. All of them are
measured with one thread, in seconds of the processor, and the shortest of many repetitions counts:
other programs only add time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from skdeep.building.architecture import build_layers
from skdeep.estimators import MLPClassifier
from skdeep.kernels import choose
from skdeep.losses import CLASSIFICATION_LOSSES
from skdeep.network import Network
from skdeep.optimizers import Adam
from skdeep.schedules import Constant
from skdeep.training.batches import Batches, ClassTargets
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.threads import one_thread
from skdeep.training.trainer import Trainer

FLOAT32 = np.dtype(np.float32)
SIZES = (8, 32, 128, 512, 2048)  # the numbers of rows whose steps are timed
ROUNDS = 5
SHORTEST_GROUP = 2e-3  # seconds of calls that are timed together
SECONDS = 0.3  # the time for which a step of one size is repeated in a round


@dataclass(frozen=True)
class Net:
    """A network, its data, and the batch that it is trained with."""

    n_columns: int
    hidden: tuple[int, ...]
    n_classes: int
    batch_size: int

    @property
    def n_weights(self) -> int:
        """The number of weights and biases."""
        widths = (self.n_columns, *self.hidden, self.n_classes)
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))

    @property
    def n_bytes(self) -> int:
        """The bytes of a gradient in float32."""
        return self.n_weights * FLOAT32.itemsize

    def __str__(self) -> str:
        hidden = ", ".join(map(str, self.hidden))
        return f"({hidden}) on {self.n_columns} columns"


NETS = (
    Net(20, (64, 64), 10, 200),
    Net(784, (300, 100), 10, 1024),
    Net(784, (1024, 1024), 10, 512),
)


@dataclass(frozen=True)
class Cost:
    """The seconds of the parts of a step with one thread.

    Parameters
    ----------
    of_step : float
        The seconds of a forward and backward pass that do not depend on the number of rows.
    of_row : float
        The seconds of a forward and backward pass for each row, which is gathered first.
    of_update : float
        The seconds of the optimizer.
    of_byte : float
        The seconds of the addition of two vectors, for each byte of one of them.
    error : float
        The largest relative difference between measured passes and this formula.
    """

    of_step: float
    of_row: float
    of_update: float
    of_byte: float
    error: float = 0.0

    def of_pass(self, n_rows):
        """Return the seconds of a forward and backward pass with this number of rows."""
        return self.of_step + self.of_row * n_rows


def trainer_of(net: Net, seed: int = 0, rate: float = 0.001) -> Trainer:
    """Return a trainer with Adam for a new network."""
    layers, stops = build_layers(MLPClassifier(net.hidden), net.n_classes)
    loss = CLASSIFICATION_LOSSES["log_loss"]()
    loss.multiclass = True
    streams = Streams(seed)
    run = Run(
        streams,
        network=Network(layers, stops, net.n_columns, FLOAT32, streams.init),
        loss=loss,
        optimizer=Adam(),
        schedule=Constant(),
        monitor=Monitor(1e-4, 10, False),
    )
    run.learning_rate = rate
    return Trainer(run, Settings(learning_rate_init=rate))


def measure(net: Net, n_rounds: int = ROUNDS, seconds: float = SECONDS) -> Cost:
    """Measure the steps of a network; those of one size are repeated for some seconds a round."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2 * max(SIZES), net.n_columns), dtype=np.float32)
    targets = ClassTargets(rng.integers(0, net.n_classes, len(X)), net.n_classes)
    a, b = rng.random((2, net.n_weights), dtype=np.float32)
    kernels, shortest = choose(1e9), np.full(len(SIZES) + 2, np.inf)
    with one_thread():
        for _ in range(n_rounds):
            found = []
            for n_rows in SIZES:
                trainer = trainer_of(net)
                batches = Batches(X, targets, None, n_rows, rng, FLOAT32)
                with trainer.session(n_rows, trainer.rng, kernels):
                    batches.bind(kernels)
                    trainer._start_optimizer()
                    supply = _without_end(batches)
                    found.append(
                        _seconds(lambda t=trainer, s=supply: t.objective(*next(s)), seconds)
                    )
                    # An optimizer may square its gradient in place: ones stay ones.
                    w, g = trainer._w, np.ones_like(trainer._g)
                    step = trainer.optimizer.step
                    update = _seconds(lambda f=step, w=w, g=g: f(w, g, 0.0), seconds / 5)
            found += [update, _seconds(lambda: np.add(a, b, out=a), seconds / 5) / a.nbytes]
            shortest = np.minimum(shortest, found)
    *passes, update, addition = shortest.tolist()
    return fitted(SIZES, passes, update, addition)


def fitted(sizes, passes, update: float, addition: float) -> Cost:
    """Return the cost whose formula is closest to measured passes, relative to each of them."""
    sizes, passes = np.asarray(sizes, float), np.asarray(passes)
    A = np.column_stack([np.ones_like(sizes), sizes]) / passes[:, None]
    (of_step, of_row), *_ = np.linalg.lstsq(A, np.ones_like(passes), rcond=None)
    of_step = max(0.0, float(of_step))
    error = np.abs((of_step + of_row * sizes) / passes - 1).max()
    return Cost(of_step, float(of_row), update, addition, float(error))


def _without_end(batches: Batches):
    """Yield full batches for ever."""
    while True:
        yield from (batch for batch in batches if len(batch[1]) == batches.batch_size)


def _seconds(call: Callable[[], object], limit: float) -> float:
    """Return the seconds of a call in the fastest of several groups of calls."""
    call()
    until, n_calls, shortest = time.perf_counter() + limit, 1, np.inf
    while time.perf_counter() < until or np.isinf(shortest):
        start = time.thread_time()
        for _ in range(n_calls):
            call()
        seconds = time.thread_time() - start
        if seconds < SHORTEST_GROUP:  # too short for the clock
            n_calls *= 2
        else:
            shortest = min(shortest, seconds / n_calls)
    return shortest
