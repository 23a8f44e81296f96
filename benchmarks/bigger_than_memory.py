"""Training from a file that is larger than the memory: `python -m benchmarks.bigger_than_memory`.

It writes a file of 4 GiB, trains from it and from the same rows in memory, each in a process of its
own, and compares the seconds of an epoch and the memory. Then it kills a run in the middle of an
epoch, continues it, and compares the weights with those of a run that nobody killed. Linux only: it
reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np

from benchmarks import report
from benchmarks.table import markdown
from benchmarks.worker import ROOT
from skdeep import MLPClassifier
from skdeep.callbacks import Callback, ModelCheckpoint
from skdeep.data import Memmap

TITLE = "A file of {gib:.1f} GiB, from the disk and from memory"
BLOCK, N_TEST = 10_000, 10_000
HIDDEN, BATCH_SIZE = (300, 100), 1024
N_FILES = 5  # checkpoints in an epoch
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


# The data -----------------------------------------------------------------------------------------


def block(index: int, n_rows: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a block of rows and their classes."""
    rng = np.random.default_rng([17, index])
    X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
    z = 2 * X[:, 0] * X[:, 1] + X[:, 2:6].sum(axis=1)
    return X, (z + rng.logistic(size=n_rows) > 0).astype(np.int64)


def write(folder: Path, n_rows: int, n_columns: int) -> None:
    """Write the rows to a file, block by block, and their classes to another one."""
    y = np.empty(n_rows, np.int64)
    with (folder / "X.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_columns)}
        np.lib.format.write_array_header_1_0(file, header)
        for index, start in enumerate(range(0, n_rows, BLOCK)):
            X, classes = block(index, min(BLOCK, n_rows - start), n_columns)
            X.tofile(file)
            y[start : start + len(X)] = classes
    np.save(folder / "y.npy", y)


def fill_page_cache(path: Path) -> None:
    """Read a file once, so that the operating system holds it in free memory."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


# The process that trains --------------------------------------------------------------------------


class Killed(Callback):
    """Kills the process after a number of batches of the second epoch."""

    def __init__(self, n_batches: int):
        self.n_batches = n_batches

    def on_epoch_begin(self, trainer):
        self.n_done_ = 0

    def on_batch_end(self, trainer):
        self.n_done_ += 1
        if trainer.epoch == 1 and self.n_done_ == self.n_batches:
            os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, settings: dict) -> dict:
    """Train as the settings say, and return the figures."""
    warnings.simplefilter("ignore")
    y, path = np.load(folder / "y.npy"), folder / "X.npy"
    limit = settings["limit"]
    X = np.load(path) if limit is None else Memmap(path, memory_limit=limit)
    callbacks: list[Callback] = []
    n_batches = -(-len(y) // BATCH_SIZE)
    if settings["resumes"]:
        name = str(folder / "checkpoint-{run}.skdeep")
        every = max(1, n_batches // N_FILES)
        callbacks.append(ModelCheckpoint(name, every_n_batches=every, resume=True))
    if settings["dies"]:
        callbacks.append(Killed(n_batches // 2))
    mlp = MLPClassifier(
        HIDDEN,
        batch_size=BATCH_SIZE,
        max_iter=settings["epochs"],
        n_iter_no_change=settings["epochs"],
        random_state=0,
        callbacks=callbacks,
    )
    start = time.perf_counter()
    mlp.fit(X, y)
    seconds = time.perf_counter() - start
    memory = peak_memory()
    X_test, y_test = block(10**6, N_TEST, X.shape[1])
    return {
        "epochs": mlp.history_["seconds"],
        "fit": seconds,
        "memory": memory,
        "accuracy": mlp.score(X_test, y_test),
        "weights": joblib.hash([*mlp.coefs_, *mlp.intercepts_]),
    }


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


# The process that compares ------------------------------------------------------------------------


def in_process(folder: Path, n_threads: int, **settings) -> dict | None:
    """Train in a process of its own; return the figures, or None if the process was killed."""
    settings = {"folder": str(folder), "limit": None, "resumes": False, "dies": False} | settings
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bigger_than_memory", "--train", json.dumps(settings)],
        cwd=ROOT,
        env=os.environ | dict.fromkeys(THREADS, str(n_threads)),
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode == -signal.SIGKILL and settings["dies"]:
        return None
    if done.returncode:
        raise SystemExit(f"The process that trains has ended with {done.returncode}.")
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, args: argparse.Namespace, progress) -> str:
    """Train from the file and from memory with each number of threads; return the table."""
    header = ["rows", "threads", "s of an epoch", "min", "max", "/ memory", "peak memory"]
    header += ["test accuracy", "s of fit"]
    rows = []
    for n_threads in args.threads:
        found = {
            way: in_process(folder, n_threads, limit=limit, epochs=args.epochs)
            for way, limit in (("memory", None), ("file", args.limit))
        }
        alone = statistics.median(found["memory"]["epochs"])
        for way, figures in found.items():
            epochs = figures["epochs"]
            rows.append([way, str(n_threads), f"{statistics.median(epochs):.1f}"])
            rows[-1] += [f"{min(epochs):.1f}", f"{max(epochs):.1f}"]
            rows[-1] += [f"{statistics.median(epochs) / alone:.2f}"]
            rows[-1] += [f"{figures['memory'] / 1e6:,.0f} MB"]
            rows[-1] += [f"{figures['accuracy']:.4f}", f"{figures['fit']:.1f}"]
            progress(", ".join(rows[-1]))
    return markdown(header, rows)


def check_resuming(folder: Path, args: argparse.Namespace, progress) -> str:
    """Kill a run in the middle of its second epoch, and continue it; return a sentence."""
    settings = {"limit": args.limit, "epochs": 2}
    whole = in_process(folder, args.threads[0], **settings)
    if in_process(folder, args.threads[0], **settings, resumes=True, dies=True) is not None:
        raise SystemExit("The process was to be killed in its second epoch, but it has ended.")
    progress("killed")
    resumed = in_process(folder, args.threads[0], **settings, resumes=True)
    is_equal = resumed["weights"] == whole["weights"]
    progress(f"resumed: {resumed['fit']:.1f} s, equal: {is_equal}")
    return (
        f"A run of 2 epochs from the file was killed by SIGKILL in the middle of the second, and "
        f"run again, with {N_FILES} checkpoints in an epoch. Its weights are "
        f"{'equal to' if is_equal else 'NOT those of'} a run that nobody killed"
        f"{', bit for bit' if is_equal else ''}. The second run took {resumed['fit']:.1f} s, "
        f"and a whole one {whole['fit']:.1f} s."
    )


def parse_arguments() -> argparse.Namespace:
    """Return the command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bigger_than_memory")
    parser.add_argument("--rows", type=int, default=1_000_000, help="1,000,000 by default")
    parser.add_argument("--columns", type=int, default=1_074, help="1,074 by default")
    parser.add_argument("--epochs", type=int, default=3, help="of a comparison; 3 by default")
    parser.add_argument("--limit", default="600MB", help="of memory; 600MB by default")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}), metavar="N"
    )
    parser.add_argument("--folder", type=Path, help="where to write the file, which is deleted")
    parser.add_argument("--write", nargs="?", type=Path, const=report.RESULTS, metavar="FILE")
    parser.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for option in ("rows", "epochs"):
        if getattr(args, option) < 1:
            parser.error(f"--{option}: {getattr(args, option)} is not allowed; give 1 or more")
    if args.columns < 6:
        parser.error(f"--columns: {args.columns} is not allowed; the classes depend on 6 columns")
    return args


def main() -> None:
    """Write the file, compare, and print the tables."""
    args, start = parse_arguments(), time.perf_counter()
    if args.train is not None:
        print(json.dumps(train(Path(args.train["folder"]), args.train)))
        return

    def progress(text: str) -> None:
        print(f"[{time.perf_counter() - start:5.0f} s] {text}", file=sys.stderr, flush=True)

    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        write(folder, args.rows, args.columns)
        gib = (folder / "X.npy").stat().st_size / 2**30
        progress(f"wrote {gib:.2f} GiB")
        fill_page_cache(folder / "X.npy")
        about = (
            f"float32, {args.rows:,} x {args.columns:,}; hidden {HIDDEN}, 2 classes, batch "
            f"{BATCH_SIZE:,}; {args.epochs} epochs; memory_limit={args.limit!r}. The operating "
            "system holds the file in free memory. Peak memory is the resident memory of the "
            "process, with Python and its libraries."
        )
        parts = [TITLE.format(gib=gib), report.origin(1, False), about]
        parts += [compare(folder, args, progress), check_resuming(folder, args, progress)]
    section = "## " + "\n\n".join(parts)
    print(section)
    if args.write is not None:
        report.write(args.write, [section])


if __name__ == "__main__":
    main()
