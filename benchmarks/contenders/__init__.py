"""The contenders: a table of their names, and their base class.

The module of a contender imports its library, so it is imported only in the contender's process.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.cases import Task

ALPHA = 1e-4
LEARNING_RATE = 1e-3


class Contender(ABC):
    """A program that trains a task's net on its data, with Adam.

    All contenders use relu, rows shuffled in every epoch, softmax and cross-entropy, no early
    stopping, and the penalty of scikit-learn's MLP: ALPHA / 2 * |kernel|^2 divided by the number
    of rows in a batch. Each uses its default number of threads.
    """

    def __init__(self, task: Task, X: np.ndarray, y: np.ndarray):
        self.task = task
        self.X = X
        self.y = y

    @abstractmethod
    def fit(self, n_epochs: int) -> list[float]:
        """Train a new net; return the values of time.perf_counter() at the end of each epoch."""

    @abstractmethod
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities of many rows, predicted by the net that was trained last."""

    def predict_row(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities of one row, in the way that is fastest for a single row."""
        return self.predict(X)


@dataclass(frozen=True)
class Entry:
    """The module, the requirements and the abilities of a contender.

    `needs` lists modules that have to be installed; `environment` is set in its process.
    """

    module: str
    cls: str
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    has_batch_norm: bool = True

    def missing(self) -> list[str]:
        """Return the names of the modules that are not installed."""
        return not_installed(self.needs)

    def load(self) -> type[Contender]:
        """Import the contender, and return its class."""
        return getattr(importlib.import_module(f"benchmarks.contenders.{self.module}"), self.cls)


def not_installed(modules: Iterable[str]) -> list[str]:
    """Return the names of those modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


CONTENDERS: dict[str, Entry] = {
    "floor": Entry("floor", "Floor"),
    "skdeep numpy": Entry("skdeep_mlp", "Skdeep", (), {"SKDEEP_KERNELS": "numpy"}),
    "skdeep numba": Entry("skdeep_mlp", "Skdeep", ("numba",), {"SKDEEP_KERNELS": "numba"}),
    "skdeep auto": Entry("skdeep_mlp", "Skdeep", (), {"SKDEEP_KERNELS": "auto"}),
    "scikit-learn": Entry("scikit_learn", "ScikitLearn", has_batch_norm=False),
    "validate_data": Entry("scikit_learn", "ValidateData"),
    "pytorch": Entry("pytorch", "PyTorch", ("torch",)),
    "pytorch fused": Entry("pytorch", "PyTorchFused", ("torch",)),
    "keras jax": Entry("keras_jax", "KerasJax", ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
}
