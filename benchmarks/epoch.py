"""Time one epoch of Adam, scikit-learn's MLP and skdeep's side by side, in one run.

    python -m benchmarks.epoch

The data is random, of Fashion-MNIST's shape: what is measured does not depend on the numbers.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

import skdeep


def make_data(n_rows: int, n_columns: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 inputs and integer classes."""
    rng = np.random.default_rng(0)
    X = rng.random((n_rows, n_columns), dtype=np.float32)
    return X, rng.integers(0, n_classes, n_rows)


def gemm_floor(X: np.ndarray, hidden: tuple[int, ...], n_classes: int, batch: int) -> float:
    """Return the seconds of an epoch's matrix products alone."""
    rng = np.random.default_rng(0)
    sizes = [X.shape[1], *hidden, n_classes]
    W = [rng.random(shape, dtype=np.float32) for shape in pairwise(sizes)]
    A = [rng.random((batch, n), dtype=np.float32) for n in sizes]
    dW = [np.empty_like(w) for w in W]
    start = time.perf_counter()
    for _ in range(len(X) // batch):
        for i, w in enumerate(W):
            np.matmul(A[i], w, out=A[i + 1])
        for i in reversed(range(len(W))):
            np.matmul(A[i].T, A[i + 1], out=dW[i])
            if i:
                np.matmul(A[i + 1], W[i].T, out=A[i])
    return time.perf_counter() - start


def epoch_seconds(estimator, X: np.ndarray, y: np.ndarray, n_epochs: int) -> float:
    """Return the seconds of one epoch: the difference between a long and a short fit."""

    def fit(max_iter: int) -> float:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.set_params(max_iter=max_iter).fit(X, y)
        return time.perf_counter() - start

    return (fit(1 + n_epochs) - fit(1)) / n_epochs


def main() -> None:
    """Print a table of medians, with the range, and ratios to scikit-learn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--columns", type=int, default=784)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--hidden", type=int, nargs="*", default=[300, 100])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    X, y = make_data(args.rows, args.columns, args.classes)
    hidden = tuple(args.hidden)
    common = {
        "batch_size": args.batch,
        "random_state": 0,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
    }
    contenders: dict[str, Callable[[], float]] = {
        "matrix products alone": lambda: gemm_floor(X, hidden, args.classes, args.batch),
        "skdeep": lambda: epoch_seconds(skdeep.MLPClassifier(hidden, **common), X, y, 1),
        "scikit-learn": lambda: epoch_seconds(SklearnMLPClassifier(hidden, **common), X, y, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.repeats):
        for name, run in contenders.items():
            seconds[name].append(run())
    print(
        f"One epoch of Adam: {args.rows} x {args.columns} float32, hidden {hidden}, "
        f"{args.classes} classes, batch {args.batch}; median of {args.repeats}."
    )
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn "
        f"{sklearn.__version__}, skdeep {skdeep.__version__}, {platform.machine()}\n"
    )
    reference = statistics.median(seconds["scikit-learn"])
    print(f"{'':<24}{'seconds':>10}{'min':>10}{'max':>10}{'scikit-learn / this':>22}")
    for name, values in seconds.items():
        median = statistics.median(values)
        row = f"{median:>10.3f}{min(values):>10.3f}{max(values):>10.3f}{reference / median:>22.2f}"
        print(f"{name:<24}{row}")


if __name__ == "__main__":
    main()
