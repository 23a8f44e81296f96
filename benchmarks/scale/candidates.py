"""Many candidates on the cores of one machine, instead of many workers for one network."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from benchmarks.scale.nets import NETS, Net
from benchmarks.table import markdown
from skdeep import MLPClassifier
from skdeep.training.threads import one_thread

N_CANDIDATES = 8
N_ROWS = {NETS[0]: 50_000, NETS[1]: 20_000, NETS[2]: 5_000}
N_EPOCHS = {NETS[0]: 10, NETS[1]: 5, NETS[2]: 3}


@dataclass(frozen=True)
class Search:
    """The seconds of a search with one process, and with several."""

    net: Net
    n_jobs: int
    alone: float
    together: float

    @property
    def speed_up(self) -> float:
        return self.alone / self.together


def measure(net: Net, n_jobs: int, n_rounds: int, *, quick: bool = False) -> Search:
    """Search a learning rate, in one process and in several; the fastest of the rounds counts."""
    rng = np.random.default_rng(0)
    n_rows = 2 * net.batch_size if quick else N_ROWS[net]
    X = rng.standard_normal((n_rows, net.n_columns), dtype=np.float32)
    y = rng.permutation(np.arange(n_rows) % net.n_classes)
    _search(net, n_jobs, 1).fit(X, y)  # starts the processes
    alone, together = [], []
    for _ in range(n_rounds):
        for jobs, found in ((1, alone), (n_jobs, together)):
            start = time.perf_counter()
            with one_thread():
                _search(net, jobs, 1 if quick else N_EPOCHS[net]).fit(X, y)
            found.append(time.perf_counter() - start)
    return Search(net, n_jobs, min(alone), min(together))


def _search(net: Net, n_jobs: int, n_epochs: int) -> GridSearchCV:
    estimator = MLPClassifier(
        net.hidden,
        batch_size=net.batch_size,
        learning_rate="cosine",  # no warning that training has not converged
        max_iter=n_epochs,
        tol=0.0,
        n_iter_no_change=10**6,
        random_state=0,
    )
    rates = np.geomspace(1e-4, 1e-2, N_CANDIDATES)
    split = ShuffleSplit(1, test_size=0.1, random_state=0)
    grid = {"learning_rate_init": rates}
    return GridSearchCV(estimator, grid, cv=split, n_jobs=n_jobs, refit=False)


def study(n_jobs: int, n_rounds: int, quick: bool, progress) -> str:
    """Return a table of all networks."""
    rows = []
    for net in NETS:
        search = measure(net, n_jobs, n_rounds, quick=quick)
        rows.append(
            [
                str(net),
                f"{search.alone:.1f} s",
                f"{search.together:.1f} s",
                f"{search.speed_up:.2f} x",
                f"{100 * search.speed_up / n_jobs:.0f}%",
            ]
        )
        progress(f"candidates: {net}: {search.speed_up:.2f} x")
    header = ["network", "one process", f"{n_jobs} processes", "speed-up", "efficiency"]
    return markdown(header, rows)
