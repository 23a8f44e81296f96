"""How many threads the matrix products of a training run may use."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from skdeep._component import blas_controller

# The number of multiplications up to which a product gains too little from a second thread.
SMALL_PRODUCT = 1 << 22

# Held by the run that set the limit. A second run would take this limit for the original state, and
# restore it for good.
_limit_is_set = threading.Lock()


@contextmanager
def threads_for(largest_product: int):
    """Use one thread for matrix products in this context, if they are small.

    BLAS rounds differently with another number of threads. With one thread, a small network gets
    equal weights, bit for bit, in a process of its own and in a worker of joblib, which has fewer
    threads. One thread also avoids the waiting of idle threads, which costs much if processors are
    shared. The limit holds for the whole process: meanwhile, the products of other threads use one
    thread too. Of several runs at a time, the first one decides about the limit.
    """
    if largest_product > SMALL_PRODUCT:
        yield
        return
    with one_thread():
        yield


@contextmanager
def one_thread():
    """Use one thread for matrix products in this context; see `threads_for`."""
    if not _limit_is_set.acquire(blocking=False):
        yield
        return
    try:
        with blas_controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limit_is_set.release()
