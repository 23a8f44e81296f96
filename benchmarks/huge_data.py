"""Seconds and memory of training on many rows: `python -m benchmarks.huge_data`.

It writes a file of 400 MB to a temporary directory. Linux only: it reads /proc.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from skdeep import MLPClassifier
from skdeep.data import Memmap

N_ROWS, N_VAL, N_COLUMNS, CHUNK, N_EPOCHS = 1_000_000, 10_000, 100, 50_000, 3
WAYS = ("float64", "float32", "memmap", "source", "chunks")
RUNS = [(way, 1024, 0.004) for way in WAYS]
RUNS += [("memmap", 200, 0.001), ("memmap", 1024, 0.001)]
RUNS += [("memmap", 8192, 0.001), ("memmap", 8192, 0.01)]


def write(folder: Path) -> None:
    """Write X and y to files, one chunk at a time."""
    n_rows, rng = N_ROWS + N_VAL, np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", "float32", (n_rows, N_COLUMNS))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", "int64", (n_rows,))
    for start in range(0, n_rows, CHUNK):
        part = rng.standard_normal(X[start : start + CHUNK].shape, dtype=np.float32)
        X[start : start + CHUNK] = part
        z = 2 * part[:, 0] * part[:, 1] + part[:, 2:6].sum(axis=1)
        z += np.abs(part[:, 6:10]).sum(axis=1) - 3.2
        y[start : start + CHUNK] = z + rng.logistic(size=len(z)) > 0


def watch_memory(done: threading.Event, found: list[int]) -> None:
    """Note the private memory in kB, without the pages of files, every 10 ms."""
    while not done.wait(0.01):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found.append(int(status.split("RssAnon:")[1].split()[0]))


def run(folder: Path, way: str, batch_size: int, rate: float) -> str:
    """Train in one way, and return a line of the table."""
    warnings.simplefilter("ignore")
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    X_val, y_val, X, y = X[N_ROWS:], y[N_ROWS:], X[:N_ROWS], y[:N_ROWS]
    if way.startswith("float"):
        X = X.astype(way)
    mlp = MLPClassifier(
        (64, 64),
        batch_size=batch_size,
        learning_rate_init=rate,
        max_iter=N_EPOCHS,
        random_state=0,
    )
    done, found = threading.Event(), []
    watcher = threading.Thread(target=watch_memory, args=(done, found))
    watcher.start()
    begin = time.process_time()
    if way == "chunks":
        for _ in range(N_EPOCHS):
            for start in range(0, N_ROWS, CHUNK):
                rows = slice(start, start + CHUNK)
                mlp.partial_fit(X[rows], y[rows], classes=[0, 1])
    else:
        if way == "source":
            X = Memmap(X, memory_limit="200MB")
        mlp.fit(X, y, X_val=X_val, y_val=y_val)
    seconds = (time.process_time() - begin) / N_EPOCHS
    done.set()
    watcher.join()
    accuracy = mlp.score(X_val, y_val)
    return (
        f"{way:<8}{batch_size:>6}{rate:>7}{seconds:>7.1f} s{max(found) / 1024:>6.0f} MB"
        f"{accuracy:>8.4f}"
    )


def main() -> None:
    """Run each way in a process of its own."""
    if len(sys.argv) > 1:
        folder, way, batch_size, rate = sys.argv[1:]
        print(run(Path(folder), way, int(batch_size), float(rate)), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for settings in RUNS:
            command = [sys.executable, "-m", "benchmarks.huge_data", folder, *map(str, settings)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
