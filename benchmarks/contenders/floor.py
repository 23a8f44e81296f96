"""The matrix products alone: no program that computes them with BLAS is faster."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from threadpoolctl import ThreadpoolController

from benchmarks.contenders import Contender

PREDICT_ROWS = 1024  # a block that stays in the cache
ONE_OR_ALL = (1, None)


class Floor(Contender):
    """Forward, all layers' gradients, and the gradients by the inputs of all layers but the first.

    Nothing is gathered, added or updated. The floor is the faster of two ways: BLAS with one
    thread, and with all its threads.
    """

    def __init__(self, task, X, y):
        super().__init__(task, X, y)
        rng = np.random.default_rng(0)
        # The scale keeps the numbers far from overflow and underflow in nets of any depth.
        self.W = [
            (rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(task.dtype)
            for n_in, n_out in pairwise(task.widths)
        ]
        self.dW = [np.empty_like(w) for w in self.W]
        self.A = [np.empty((task.batch_size, n), task.dtype) for n in task.widths]
        self.A[0][:] = rng.standard_normal(self.A[0].shape)
        self.A_predict = [np.empty((PREDICT_ROWS, n), task.dtype) for n in task.widths[1:]]
        self.blas = ThreadpoolController().select(user_api="blas")

    def fit(self, n_epochs):
        """Return the ends of epochs, by a clock that stops while the slower way runs."""
        ends = [0.0]
        for _ in range(n_epochs):
            seconds = {n_threads: self._epoch(n_threads) for n_threads in ONE_OR_ALL}
            self.n_threads = min(seconds, key=seconds.get)
            ends.append(ends[-1] + seconds[self.n_threads])
        return ends[1:]

    def predict(self, X):
        with self.blas.limit(limits=self.n_threads):
            for start in range(0, len(X), PREDICT_ROWS):
                A = X[start : start + PREDICT_ROWS]
                for W, out in zip(self.W, self.A_predict, strict=True):
                    A = np.matmul(A, W, out=out[: len(A)])
        return A

    def _epoch(self, n_threads: int | None) -> float:
        """Return the seconds that the function takes."""
        n_batches, n_last = divmod(self.task.n_rows, self.task.batch_size)
        last = [a[:n_last] for a in self.A]
        with self.blas.limit(limits=n_threads):
            start = time.perf_counter()
            for _ in range(n_batches):
                self._step(self.A)
            if n_last:
                self._step(last)
            return time.perf_counter() - start

    def _step(self, A: list[np.ndarray]) -> None:
        W, dW = self.W, self.dW
        for i in range(len(W)):
            np.matmul(A[i], W[i], out=A[i + 1])
        for i in reversed(range(len(W))):
            np.matmul(A[i].T, A[i + 1], out=dW[i])
            if i:
                np.matmul(A[i + 1], W[i].T, out=A[i])
