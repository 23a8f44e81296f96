"""Two ways to need less communication, and what they cost in accuracy on real images.

Both train on Fashion-MNIST for an equal number of epochs, and are judged by its test images.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from benchmarks.scale.nets import FLOAT32, Net, trainer_of
from benchmarks.table import markdown
from skdeep.kernels import choose
from skdeep.training.batches import Batches, ClassTargets
from skdeep.training.threads import one_thread
from skdeep.training.trainer import Trainer

N_EPOCHS = 10
BATCH_SIZES = (256, 1024, 4096, 16384)
RATE, RATE_FOR = 0.001, 256  # the learning rate, and the batch that it is for
RATES: dict[str, Callable[[float], float]] = {
    "constant": lambda ratio: 1.0,
    "by the root": lambda ratio: ratio**0.5,
    "in proportion": lambda ratio: ratio,
}
LOCAL = tuple((n, k) for n in (8, 64) for k in (10, 100))


@dataclass(frozen=True)
class Images:
    """Training and test images as rows of numbers from 0 to 1, with their classes."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls) -> Images:
        """Return Fashion-MNIST, which is downloaded if SKDEEP_FASHION_MNIST names no file."""
        from skdeep.datasets import fetch_fashion_mnist

        return cls(*fetch_fashion_mnist())

    def some(self, n_rows: int) -> Images:
        """Return some of the rows, for a quick run."""
        return Images(self.X[:n_rows], self.y[:n_rows], self.X_test, self.y_test)


class Workers:
    """Workers with rows of their own, which train copies of one network for `k` steps at a time.

    Parameters
    ----------
    net : Net
        Its batch is that of all workers together.
    images : Images
    shares : list of ndarray of int
        The rows of each worker.
    k : int
        The number of steps after which the workers average their weights, and the slots of Adam.
    seed : int
    rate : float
    """

    def __init__(
        self,
        net: Net,
        images: Images,
        shares: Sequence[np.ndarray],
        k: int,
        seed: int,
        rate: float = RATE,
    ):
        self.images, self.k = images, k
        targets = ClassTargets(images.y, net.n_classes)
        self.trainers, self.batches, self.kernels = [], [], choose(1e9)
        for i, rows in enumerate(shares):
            trainer = trainer_of(net, seed, rate)
            rng = np.random.default_rng([seed, i])
            size = net.batch_size // len(shares)
            batches = Batches(images.X, targets, None, size, rng, FLOAT32, rows=rows)
            self.trainers.append(trainer)
            self.batches.append(batches)

    def train(self, n_epochs: int) -> float:
        """Train, and return the accuracy of the average on the test images."""
        with ExitStack() as stack:
            for trainer, batches in zip(self.trainers, self.batches, strict=True):
                session = trainer.session(batches.batch_size, trainer.rng, self.kernels)
                stack.enter_context(session)
                batches.bind(self.kernels)
                trainer._start_optimizer()
                trainer._measures = False
            n_steps = 0
            for _ in range(n_epochs):
                for of_step in zip(*map(iter, self.batches), strict=False):
                    for trainer, batch in zip(self.trainers, of_step, strict=True):
                        trainer.train_batch(*batch)
                    n_steps += 1
                    if n_steps % self.k == 0:
                        self._average()
            self._average()
        Z = self.trainers[0].network.infer(self.images.X_test)
        return float((Z.argmax(axis=1) == self.images.y_test).mean())

    def _average(self) -> None:
        for vectors in zip(*map(_state, self.trainers), strict=True):
            total = np.zeros(len(vectors[0]))
            for vector in vectors:
                total += vector
            total /= len(vectors)
            for vector in vectors:
                vector[:] = total


def _state(trainer: Trainer) -> list[np.ndarray]:
    return [trainer.network.parameters.values, *trainer.optimizer.slots_]


def shares_of(images: Images, n_workers: int, seed: int, *, by_class: bool) -> list[np.ndarray]:
    """Return the rows of each worker: at random, or with as few classes each as possible."""
    order = np.random.default_rng(seed).permutation(len(images.y))
    if by_class:
        order = order[np.argsort(images.y[order], kind="stable")]
    n = len(order) // n_workers * n_workers
    return np.split(order[:n], n_workers)


def accuracies_of_workers(
    net: Net, images: Images, n_workers: int, k: int, seeds, n_epochs: int, *, by_class: bool
) -> list[float]:
    """Return the test accuracy for each seed."""
    with one_thread():
        return [
            Workers(
                net, images, shares_of(images, n_workers, seed, by_class=by_class), k, seed
            ).train(n_epochs)
            for seed in seeds
        ]


def study_of_local_steps(net: Net, images: Images, seeds, n_epochs: int, progress) -> str:
    """Return a table: synchronous steps, and local steps of several workers."""
    header = ["workers", "rows of a step", "averaged", "rows at random", "rows sorted by class"]
    rows = []
    for n_workers, k in ((1, 1), *LOCAL):
        cells = []
        for by_class in (False, True):
            if n_workers == 1 and by_class:
                cells.append(cells[0])  # synchronous batches do not depend on the workers' rows
                continue
            settings = n_workers, k, seeds, n_epochs
            found = accuracies_of_workers(net, images, *settings, by_class=by_class)
            cells.append(_spread(found))
            progress(f"{n_workers} workers, k = {k}, by class: {by_class}: {cells[-1]}")
        size = f"{n_workers} x {net.batch_size // n_workers}" if k > 1 else f"{net.batch_size}"
        how = "every step" if n_workers == 1 else f"every {k} steps"
        rows.append(["any" if n_workers == 1 else str(n_workers), size, how, *cells])
    return markdown(header, rows)


def study_of_batch_sizes(net: Net, images: Images, seeds, n_epochs: int, progress) -> str:
    """Return a table: the accuracy by batch size, with three ways to choose the rate."""
    rows = []
    for batch_size in (size for size in BATCH_SIZES if size <= len(images.y)):
        sized = Net(net.n_columns, net.hidden, net.n_classes, batch_size)
        cells: dict[float, str] = {}
        rates = [RATE * factor(batch_size / RATE_FOR) for factor in RATES.values()]
        for rate in dict.fromkeys(rates):
            cells[rate] = _spread(_accuracies(sized, images, rate, seeds, n_epochs))
            progress(f"batch {batch_size}, rate {rate:.2g}: {cells[rate]}")
        n_steps = -(-len(images.y) // batch_size)
        texts = [f"{cells[rate]} ({rate:.2g})" for rate in rates]
        rows.append([f"{batch_size:,}", f"{n_steps:,}", *texts])
    return markdown(["batch", "steps of an epoch", *(f"rate {name}" for name in RATES)], rows)


def _accuracies(net: Net, images: Images, rate: float, seeds, n_epochs: int) -> list[float]:
    everything = [np.arange(len(images.y))]
    with one_thread():
        return [Workers(net, images, everything, 1, s, rate).train(n_epochs) for s in seeds]


def _spread(values: Sequence[float]) -> str:
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.1f}"
