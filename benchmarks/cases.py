"""The cases that are measured: one row of the table `CASES` for each.

A case runs its contenders on one or several tasks. A task is a shape of data, and a net. The
numbers in the data are random, as the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True)
class Task:
    """A net, and the data that it is trained on.

    `n_epochs` epochs are timed together: if they are short, enough of them to exceed the noise.
    """

    n_rows: int
    n_columns: int
    hidden: tuple[int, ...]
    n_classes: int
    batch_size: int
    dtype: str = "float32"
    batch_norm: bool = False
    dropout: float = 0.0
    n_epochs: int = 1

    @property
    def widths(self) -> tuple[int, ...]:
        """The numbers of columns, of units in each hidden layer, and of classes."""
        return (self.n_columns, *self.hidden, self.n_classes)

    @property
    def weight_bytes(self) -> int:
        """The memory of kernels and biases."""
        n_weights = sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths))
        return n_weights * self.item_bytes

    @property
    def memory_budget(self) -> int:
        """2 x (weights + gradients + Adam's two slots) + activations of a batch + 20 MB."""
        activations = self.batch_size * sum(self.widths) * self.item_bytes
        return 2 * 4 * self.weight_bytes + activations + 20_000_000

    @property
    def item_bytes(self) -> int:
        return 8 if self.dtype == "float64" else 4

    def shrunk(self) -> Task:
        """Return a tiny version of this task."""
        return replace(
            self,
            n_rows=max(200, self.n_rows // 100),
            n_columns=max(8, self.n_columns // 16),
            hidden=tuple(max(4, n // 16) for n in self.hidden),
            batch_size=min(100, self.batch_size),
            n_epochs=1,
        )


@dataclass(frozen=True)
class Case:
    """A table of the report.

    Parameters
    ----------
    title : str
        A description of the figures.
    measure : str
        The name of a function of `benchmarks.measures`.
    contenders : tuple of str
    tasks : dict of Task
        The tasks by label. If there is only one, its label is empty.
    sizes : tuple of float
        The size of each task, if the case measures how time grows with size.
    compares_tasks : bool
        Whether each task is compared with the first task.
    fresh : bool
        Whether each measurement has a fresh process of its own.
    n_warm_up : int
        The number of first rounds that do not count.
    max_rounds : int
    """

    title: str
    measure: str
    contenders: tuple[str, ...]
    tasks: dict[str, Task]
    sizes: tuple[float, ...] = ()
    compares_tasks: bool = False
    fresh: bool = False
    n_warm_up: int = 0
    max_rounds: int = 1000

    def shrunk(self) -> Case:
        """Return a tiny version of this case, with as few processes as possible."""
        tasks = {label: task.shrunk() for label, task in self.tasks.items()}
        return replace(self, tasks=tasks, fresh=self.measure == "cold", n_warm_up=0)


SKDEEP = ("skdeep numpy", "skdeep numba")
ESTIMATORS = (*SKDEEP, "scikit-learn")
LIBRARIES = ("pytorch", "pytorch fused", "keras jax")
PROGRAMS = (*ESTIMATORS, *LIBRARIES)
ALL = ("floor", *PROGRAMS)
WITH_BATCH_NORM = (
    "floor",
    *SKDEEP,
    *LIBRARIES,
)  # scikit-learn's MLP lacks both

FASHION_32 = Task(60_000, 784, (300, 100), 10, 32)
FASHION_256 = Task(60_000, 784, (300, 100), 10, 256)
SMALL_32 = Task(20_000, 20, (64, 64), 4, 32, n_epochs=5)
SMALL_200 = Task(20_000, 20, (64, 64), 4, 200, n_epochs=15)
WIDE = Task(8_192, 512, (1024, 1024), 10, 512)
DEFAULT = Task(1_000, 20, (100,), 2, 200, n_epochs=20)  # the estimators' default net
SEARCHED = Task(2_000, 20, (100,), 2, 200, dtype="float64", n_epochs=20)


def _epoch(title: str, task: Task) -> Case:
    return Case(f"One epoch: {title}", "epoch", ALL, {"": task})


def _regularized(title: str, task: Task) -> Case:
    """Return a case that compares a net without and with batch norm and dropout."""
    more = replace(task, batch_norm=True, dropout=0.2)
    tasks = {"plain": task, "batch norm, dropout 0.2": more}
    title = f"One epoch with batch norm and dropout: {title}"
    return Case(title, "epoch", WITH_BATCH_NORM, tasks, compares_tasks=True)


def _growth(unit: str, rest: str, sizes: tuple[int, ...], make: Callable[[int], Task]) -> Case:
    title = f"How an epoch's time grows with {unit}: {rest}, batch 200"
    tasks = {f"{unit} = {n:,}": make(n) for n in sizes}
    return Case(title, "epoch", ("floor", *SKDEEP), tasks, sizes=sizes)


FASHION = "60,000 x 784, hidden (300, 100), 10 classes"
SMALL = "20,000 x 20, hidden (64, 64), 4 classes"

CASES: dict[str, Case] = {
    "fashion-32": _epoch(f"{FASHION}, batch 32", FASHION_32),
    "fashion-256": _epoch(f"{FASHION}, batch 256", FASHION_256),
    "small-32": _epoch(f"{SMALL}, batch 32", SMALL_32),
    "small-200": _epoch(f"{SMALL}, batch 200", SMALL_200),
    "wide": _epoch("8,192 x 512, hidden (1024, 1024), 10 classes, batch 512", WIDE),
    "batch-norm-32": _regularized(f"{FASHION}, batch 32", FASHION_32),
    "batch-norm-256": _regularized(f"{FASHION}, batch 256", FASHION_256),
    "batch-norm-small": _regularized(f"{SMALL}, batch 200", SMALL_200),
    "float64-256": _epoch(f"{FASHION}, batch 256, float64", replace(FASHION_256, dtype="float64")),
    "float64-small": _epoch(f"{SMALL}, batch 200, float64", replace(SMALL_200, dtype="float64")),
    "cold": Case(
        "A fresh interpreter, from its start to a net fitted in 20 epochs: "
        "1,000 x 20, hidden (100,), 2 classes, batch 200",
        "cold",
        ("skdeep auto", *PROGRAMS),
        {"": DEFAULT},
        fresh=True,
        n_warm_up=1,  # the first round fills the caches of files and of compiled kernels
    ),
    "search": Case(
        "RandomizedSearchCV: 24 candidates x 3 folds x 20 epochs on 2,000 x 20, n_jobs=2",
        "search",
        ESTIMATORS,
        {"": SEARCHED},
    ),
    "one-row": Case(
        "Probabilities of a single row: 20 columns, hidden (64, 64), 4 classes",
        "predict_row",
        (*ESTIMATORS, "validate_data", "pytorch", "keras jax"),
        {"": SMALL_200},
    ),
    "predict": Case(
        f"Probabilities of many rows: {FASHION}",
        "predict",
        ("floor", *ESTIMATORS, "pytorch", "keras jax"),
        {"plain": FASHION_256, "batch norm": replace(FASHION_256, batch_norm=True)},
        compares_tasks=True,
    ),
    "memory": Case(
        "Peak memory of one epoch, above X, y and the weights",
        "memory",
        PROGRAMS,
        {
            "60,000 x 784, batch 32": FASHION_32,
            "60,000 x 784, batch 256": FASHION_256,
            "20,000 x 20, batch 32": SMALL_32,
            "20,000 x 20, batch 200": SMALL_200,
            "8,192 x 512, wide, batch 512": WIDE,
        },
        fresh=True,
        max_rounds=3,  # pages do not vary as seconds do
    ),
    "rows": _growth(
        "rows",
        "20 columns, hidden (64, 64), 4 classes",
        (5_000, 10_000, 20_000, 40_000),
        lambda n: Task(n, 20, (64, 64), 4, 200, n_epochs=5),
    ),
    "units": _growth(
        "units",
        "5,000 x 20, two hidden layers, 4 classes",
        (64, 128, 256, 512),
        lambda n: Task(5_000, 20, (n, n), 4, 200, n_epochs=5),
    ),
    "layers": _growth(
        "layers",
        "5,000 x 20, 64 units in each, 4 classes",
        (1, 2, 4, 8),
        lambda n: Task(5_000, 20, (64,) * n, 4, 200, n_epochs=10),
    ),
}
