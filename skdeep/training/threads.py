"""How many threads the matrix products of a training run may use."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from skdeep._component import blas_controller

# Multiplications of the largest product below which a second thread gains nothing worth having.
SMALL_PRODUCT = 1 << 22


class _OneThread:
    """Limits BLAS to one thread while anyone wants that; safe to enter from many threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._n_users = 0
        self._limit = None

    def __enter__(self):
        with self._lock:
            self._n_users += 1
            if self._n_users == 1:
                self._limit = blas_controller().limit(limits=1, user_api="blas")

    def __exit__(self, *error):
        with self._lock:
            self._n_users -= 1
            if self._n_users == 0:
                self._limit.restore_original_limits()
                self._limit = None


_one_thread = _OneThread()


@contextmanager
def threads_for(largest_product: int):
    """Use one thread for small products, for the time of the context.

    BLAS rounds differently with another number of threads, so this is what makes a small network
    come out the same, bit for bit, in a process of its own and in a worker of joblib, which has
    fewer threads. It also spares the waiting of idle threads, which costs much where processors
    are shared. The limit is the process's: other threads' products are single-threaded meanwhile.
    """
    if largest_product > SMALL_PRODUCT:
        yield
    else:
        with _one_thread:
            yield
