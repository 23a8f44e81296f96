"""One network on a cluster of one machine: `python -m benchmarks.cluster`.

It compares the seconds of an epoch of `fit`, in one process with one thread, with those of
`skdeep.distributed.fit` on Dask clusters of 1 and 2 worker processes with one thread each. The rows
are persisted on the workers before. Both take turns, in several rounds. Then it measures by how
much the memory of the client, of the scheduler and of the workers grows. Linux only: it reads
/proc.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from benchmarks import report
from benchmarks.scale.nets import NETS, Net
from benchmarks.table import markdown
from benchmarks.worker import ROOT
from skdeep import MLPClassifier, distributed
from skdeep.training.threads import one_thread

TITLE = "One network on a cluster of worker processes, on one machine"
CHUNK = 7_500
N_WORKERS = (1, 2)


def model(net: Net, n_epochs: int) -> MLPClassifier:
    """Return an estimator that is not trained yet."""
    return MLPClassifier(
        net.hidden,
        batch_size=net.batch_size,
        max_iter=n_epochs,
        tol=0.0,
        n_iter_no_change=10**6,
        random_state=0,
    )


def rows_of(net: Net, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and their classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, net.n_columns), dtype=np.float32)
    W = rng.standard_normal((net.n_columns, net.n_classes), dtype=np.float32)
    return X, (X @ W + rng.gumbel(size=(n_rows, net.n_classes))).argmax(axis=1)


class Contest:
    """`fit` and a cluster, for one network: they take turns.

    Attributes
    ----------
    epochs : dict of (list of list of float)
        The seconds of the epochs of each round, by "fit" and "cluster".
    outside : list of float
        The seconds that each training on the cluster takes beside its epochs.
    """

    def __init__(self, net: Net, n_rows: int, n_epochs: int, client: Client):
        self.net, self.n_epochs, self.client = net, n_epochs, client
        self.X, self.y = rows_of(net, n_rows)
        self.rows = client.persist(da.from_array(self.X, chunks=(CHUNK, net.n_columns)))
        self.epochs: dict[str, list[list[float]]] = {"fit": [], "cluster": []}
        self.outside: list[float] = []
        self.losses: dict[str, float] = {}

    def warm_up(self) -> None:
        """Let the workers load the code."""
        for name in self.epochs:
            self._fit(name, model(self.net, 1))

    def play(self) -> None:
        """Let both train once."""
        for name, epochs in self.epochs.items():
            mlp = model(self.net, self.n_epochs)
            start = time.perf_counter()
            self._fit(name, mlp)
            seconds = mlp.history_["seconds"]
            epochs.append(seconds)
            self.losses[name] = mlp.loss_
        self.outside.append(time.perf_counter() - start - sum(seconds))

    def _fit(self, name: str, mlp: MLPClassifier) -> None:
        if name == "cluster":
            distributed.fit(mlp, self.rows, self.y, client=self.client)
        else:
            with one_thread():
                mlp.fit(self.X, self.y)

    def line(self, n_workers: int) -> list[str]:
        """Return the line of the table."""
        best = {name: min(map(min, epochs)) for name, epochs in self.epochs.items()}
        medians = [map(statistics.median, epochs) for epochs in self.epochs.values()]
        ratios = [fit / cluster for fit, cluster in zip(*medians, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        line = [str(self.net), f"{self.net.batch_size:,}", str(n_workers)]
        line += [f"{best['fit']:.3f}", f"{best['cluster']:.3f}"]
        line += [f"{best['fit'] / best['cluster']:.2f}", spread, f"{min(self.outside):.1f}"]
        return [*line, f"{abs(self.losses['cluster'] / self.losses['fit'] - 1):.0e}"]


def compare(args: argparse.Namespace, progress) -> str:
    """Return the table of all networks."""
    header = ["network", "batch", "workers", "s of an epoch: fit", "cluster"]
    header += ["x fit, shortest epochs", "x fit, median epochs", "s outside of epochs"]
    header += ["difference of the loss"]
    lines = []
    for net in NETS:
        for n in N_WORKERS:
            # One cluster at a time: the processes of an idle one take a tenth of a core.
            with (
                LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                contest = Contest(net, args.rows, args.epochs, client)
                contest.warm_up()
                for _ in range(args.rounds):
                    contest.play()
                lines.append(contest.line(n))
                progress(" | ".join(lines[-1]))
    return markdown(header, lines)


def measure_memory(progress) -> str:
    """Return a sentence about the memory of each process."""
    n_rows, n_columns = 100_000, 500
    program = ROOT / "tests" / "distributed" / "memory_of_client.py"
    done = subprocess.run(
        [sys.executable, program, str(n_rows), str(n_columns)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    grown = json.loads(done.stdout)
    progress(f"memory: {grown}")
    return (
        f"Memory: X has {n_rows:,} x {n_columns} numbers of float32, which are "
        f"{4 * n_rows * n_columns / 1e6:.0f} MB, and is made on two workers. While it is made and "
        f"a network is trained, the peak of the client's memory grows by {grown['client']:.0f} MB, "
        f"that of the scheduler by {grown['scheduler']:.0f} MB, and those of the workers by "
        f"{grown['workers']:.0f} MB in all."
    )


def parse_arguments() -> argparse.Namespace:
    """Return the command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("--rows", type=int, default=60_000, help="60,000 by default")
    parser.add_argument("--epochs", type=int, default=5, help="of each fit; 5 by default")
    parser.add_argument("--rounds", type=int, default=5, help="5 by default")
    parser.add_argument("--write", nargs="?", type=Path, const=report.RESULTS, metavar="FILE")
    args = parser.parse_args()
    for option in ("rows", "epochs", "rounds"):
        if getattr(args, option) < 1:
            parser.error(f"--{option}: {getattr(args, option)} is not allowed; give 1 or more")
    return args


def main() -> None:
    """Compare, and print the table."""
    args, start = parse_arguments(), time.perf_counter()
    warnings.simplefilter("ignore")

    def progress(text: str) -> None:
        print(f"[{time.perf_counter() - start:5.0f} s] {text}", file=sys.stderr, flush=True)

    about = (
        f"float32, {args.rows:,} rows in chunks of {CHUNK:,}, 10 classes, Adam. One thread for "
        "each process. `x fit` is the speed relative to fit in one process. Other load only adds "
        "time, and two processes that wait for each other suffer from the load of either, so the "
        "shortest epochs are compared as well as the median epochs of each round (the median, the "
        "smallest and the largest ratio). The state of the network comes to the client after each "
        "epoch, and that is part of its time."
    )
    parts = [TITLE, report.origin(args.rounds, False), about, compare(args, progress)]
    parts += [measure_memory(progress)]
    section = "## " + "\n\n".join(parts)
    print(section)
    if args.write is not None:
        report.write(args.write, [section])


if __name__ == "__main__":
    main()
