"""How many threads the matrix products of a training run may use."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

from skdeep._component import blas_controller

# The number of multiplications up to which a product gains too little from a second thread.
SMALL_PRODUCT = 1 << 22


@lru_cache(maxsize=1)
def _libraries(controller: Any) -> list:
    """Return the BLAS libraries that a controller has found."""
    return controller.select(user_api="blas").lib_controllers


class _Limits:
    """The limits of BLAS threads that are set at a time, by any thread of this process.

    BLAS has one number of threads for the whole process: the lowest limit, or the original number
    if that is lower. The original number returns with the end of the last limit.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._original: list[tuple] = []

    @contextmanager
    def at_most(self, n_threads: int) -> Iterator[None]:
        libraries = _libraries(blas_controller())
        with self._lock:
            if not self._limits:
                self._original = [(library, library.num_threads) for library in libraries]
            self._limits.append(n_threads)
            self._apply()
        try:
            yield
        finally:
            with self._lock:
                self._limits.remove(n_threads)
                self._apply()

    def _apply(self) -> None:
        for library, original in self._original:
            library.set_num_threads(min([original, *self._limits]))


_limits = _Limits()
if hasattr(os, "register_at_fork"):  # a forked process has no thread that could end a limit
    os.register_at_fork(after_in_child=_limits.__init__)


def at_most(n_threads: int) -> AbstractContextManager[None]:
    """Use at most this number of threads for matrix products in this context.

    The limit holds for the whole process: meanwhile, the products of other threads follow it too.
    Of several limits at a time, the lowest one holds.
    """
    return _limits.at_most(n_threads)


def threads_for(largest_product: int) -> AbstractContextManager[None]:
    """Use one thread for matrix products in this context, if they are small.

    BLAS rounds differently with another number of threads. With one thread, a small network gets
    equal weights, bit for bit, in a process of its own and in a worker of joblib, which has fewer
    threads. One thread also avoids the waiting of idle threads, which costs much if processors are
    shared.
    """
    return nullcontext() if largest_product > SMALL_PRODUCT else one_thread()


def one_thread() -> AbstractContextManager[None]:
    """Use one thread for matrix products in this context; see `threads_for`."""
    return at_most(1)
