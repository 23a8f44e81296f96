"""How many threads the matrix products of a training run may use."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from skdeep._component import blas_controller

# Multiplications of the largest product below which a second thread gains nothing worth having.
SMALL_PRODUCT = 1 << 22

# Held by the run that set the limit. If two set it, the one that came second would take the
# other's limit for the original state, and put it back for good.
_limit_is_set = threading.Lock()


@contextmanager
def threads_for(largest_product: int):
    """Use one thread in this context where products are small.

    BLAS rounds differently with another number of threads, so this is what makes a small network
    come out the same, bit for bit, in a process of its own and in a worker of joblib, which has
    fewer threads. It also spares the waiting of idle threads, which costs much where processors
    are shared. The limit is the process's: other threads' products are single-threaded meanwhile,
    and of several runs at the same time the first has its way.
    """
    if largest_product > SMALL_PRODUCT or not _limit_is_set.acquire(blocking=False):
        yield
        return
    try:
        with blas_controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limit_is_set.release()
