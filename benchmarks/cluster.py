"""One network on a cluster of one machine: `python -m benchmarks.cluster`.

It compares the seconds of an epoch of `fit`, in one process with one thread, with those of
`skdeep.distributed.fit` on Dask clusters of 1 and 2 worker processes with one thread each. The rows
are persisted on the workers before. All contenders take turns, in several rounds. Then it measures
by how much the memory of the client, of the scheduler and of the workers grows. Linux only: it
reads /proc.
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
from contextlib import ExitStack
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
    """`fit`, and clusters of several sizes, for one network.

    Parameters
    ----------
    clients : dict of Client
        By the number of workers.
    """

    def __init__(self, net: Net, n_rows: int, n_epochs: int, clients: dict[int, Client]):
        self.net, self.n_epochs, self.clients = net, n_epochs, clients
        self.X, self.y = rows_of(net, n_rows)
        self.rows = {
            n: client.persist(da.from_array(self.X, chunks=(CHUNK, net.n_columns)))
            for n, client in clients.items()
        }
        #: By the number of workers, 0 for `fit`: the shortest epoch and the time of fit by round.
        self.epochs: dict[int, list[float]] = {n: [] for n in (0, *clients)}
        self.fits: dict[int, list[float]] = {n: [] for n in (0, *clients)}
        self.losses: dict[int, float] = {}

    def warm_up(self) -> None:
        """Let the workers load the code."""
        for n in (0, *self.clients):
            self._fit(n, model(self.net, 1))

    def play(self) -> None:
        """Let all contenders train once."""
        for n in (0, *self.clients):
            mlp = model(self.net, self.n_epochs)
            start = time.perf_counter()
            self._fit(n, mlp)
            self.fits[n].append(time.perf_counter() - start)
            self.epochs[n].append(statistics.median(mlp.history_["seconds"]))
            self.losses[n] = mlp.loss_

    def _fit(self, n: int, mlp: MLPClassifier) -> None:
        if n:
            distributed.fit(mlp, self.rows[n], self.y, client=self.clients[n])
        else:
            with one_thread():
                mlp.fit(self.X, self.y)

    def lines(self) -> list[list[str]]:
        """Return the lines of the table."""
        lines = []
        for n, epochs in self.epochs.items():
            ratios = [a / b for a, b in zip(self.epochs[0], epochs, strict=True)]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            outside = [
                whole - self.n_epochs * each
                for whole, each in zip(self.fits[n], epochs, strict=True)
            ]
            lines.append([str(self.net), f"{self.net.batch_size:,}"])
            lines[-1] += [f"{n} worker{'s' * (n > 1)}" if n else "fit"]
            lines[-1] += [f"{min(epochs):.3f}", spread, f"{max(0.0, min(outside)):.1f}"]
            lines[-1] += [f"{abs(self.losses[n] / self.losses[0] - 1):.0e}" if n else ""]
        return lines


def compare(args: argparse.Namespace, progress) -> str:
    """Return the table of all networks."""
    header = ["network", "batch", "", "s of an epoch", "x fit", "s outside of epochs"]
    header += ["difference of the loss"]
    lines = []
    with ExitStack() as stack:
        clients = {}
        for n in N_WORKERS:
            cluster = LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None)
            client = Client(stack.enter_context(cluster), set_as_default=False)
            clients[n] = stack.enter_context(client)
        for net in NETS:
            contest = Contest(net, args.rows, args.epochs, clients)
            contest.warm_up()
            for i in range(args.rounds):
                contest.play()
                progress(f"{net}, round {i + 1}: {contest.epochs}")
            lines += contest.lines()
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
        "each process. `x fit` is the speed relative to fit in one process: ratios of median "
        "epochs within a round, their median, smallest and largest. The state of the network comes "
        "to the client after each epoch, and that is part of its time."
    )
    parts = [TITLE, report.origin(args.rounds, False), about, compare(args, progress)]
    parts += [measure_memory(progress)]
    section = "## " + "\n\n".join(parts)
    print(section)
    if args.write is not None:
        report.write(args.write, [section])


if __name__ == "__main__":
    main()
