"""Who competes: a table of names, and the base class of what trains and predicts.

A contender's module imports its library, so it is imported in that contender's process only.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.cases import Task

ALPHA = 1e-4
LEARNING_RATE = 1e-3


class Contender(ABC):
    """A program that trains a task's net on its data, with Adam.

    All do the same: relu, rows shuffled in every epoch, softmax and cross-entropy, a penalty of
    ALPHA / 2 * |kernel|^2 divided by the rows of a batch, as scikit-learn's MLP has it, and no
    early stopping. All use the threads that they use by default.
    """

    def __init__(self, task: Task, X: np.ndarray, y: np.ndarray):
        self.task = task
        self.X = X
        self.y = y

    @abstractmethod
    def fit(self, n_epochs: int) -> list[float]:
        """Train a new net; return what time.perf_counter says at the end of every epoch."""

    @abstractmethod
    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities for many rows, by the net that was trained last."""

    def predict_row(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities for one row, in the way that is fastest for one."""
        return self.predict(X)


@dataclass(frozen=True)
class Entry:
    """Where a contender is, what it needs, and what it can do.

    `needs` are modules that have to be installed, `environment` is set in its process.
    """

    module: str
    cls: str
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    has_batch_norm: bool = True

    def missing(self) -> list[str]:
        """Return the names of the modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    def load(self) -> type[Contender]:
        """Import it."""
        return getattr(importlib.import_module(f"benchmarks.contenders.{self.module}"), self.cls)


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
