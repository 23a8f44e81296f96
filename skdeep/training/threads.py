"""How many threads the matrix products of a training run may use."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from skdeep._component import blas_controller

# Multiplications of the largest product below which a second thread gains nothing worth having.
SMALL_PRODUCT = 1 << 22


def threads_for(largest_product: int) -> AbstractContextManager:
    """Return a context that uses one thread where products are small.

    BLAS rounds differently with another number of threads, so this is what makes a small network
    come out the same, bit for bit, in a process of its own and in a worker of joblib, which has
    fewer threads. It also spares the waiting of idle threads, which costs much where processors
    are shared. The limit is the process's: other threads' products are single-threaded meanwhile,
    and of several that train at once only the first sets it.
    """
    if largest_product > SMALL_PRODUCT:
        return nullcontext()
    return blas_controller().limit(limits=1, user_api="blas")
