"""Workers: joblib's processes or threads, and what happens if one of them dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skdeep._component import blas_controller


class Workers:
    """A context in which functions are called in parallel.

    A worker may die: the system kills it for want of memory, or compiled code crashes. Then the
    calls that have no result yet are repeated; a call that ends the life of its worker a second
    time, when it is alone, has no result.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib.
    """

    def __init__(self, n_jobs: int | None):
        self.n_jobs = n_jobs

    def __enter__(self):
        n_workers = effective_n_jobs(self.n_jobs)
        # Without a share of the cores, all workers together would have too many threads.
        share = max(1, cpu_count() // n_workers) if n_workers > 1 else None
        self._stack = ExitStack()
        if share is not None and getattr(get_active_backend()[0], "uses_threads", False):
            # The limit holds for the process, so its threads can't set it on their own.
            self._stack.enter_context(blas_controller().limit(limits=share, user_api="blas"))
            share = None
        self._n_threads = share
        self._start()
        return self

    def __exit__(self, *error):
        self._parallel.__exit__(*error)
        return self._stack.__exit__(*error)

    def _start(self) -> None:
        try:
            self._parallel = Parallel(self.n_jobs, return_as="generator")
        except ValueError:  # the backend has no generators: multiprocessing
            self._parallel = Parallel(self.n_jobs)
        self._parallel.__enter__()

    def run(self, function: Callable, n_jobs: int, job: Callable, take: Callable) -> None:
        """Call function(*job(i)) for i < n_jobs, and take(i, result) for each result, in order.

        The result is None if the call ends the life of its worker.
        """
        left = self._round(function, job, take, range(n_jobs))
        left = left and self._round(function, job, take, left)
        for i in left:
            if self._round(function, job, take, [i]):
                take(i, None)

    def _round(
        self, function: Callable, job: Callable, take: Callable, chosen: Iterable[int]
    ) -> list[int]:
        """Do some jobs; return those that have no result because a worker died."""
        left = list(chosen)
        calls = (delayed(_call)(self._n_threads, function, *job(i)) for i in list(left))
        try:
            for result in self._parallel(calls):
                take(left[0], result)
                del left[0]
        except BaseException as error:
            if not _is_death(error):
                raise
            self._parallel.__exit__(type(error), error, None)
            self._start()
        return left


def _is_death(error: BaseException) -> bool:
    """Whether an error says that a worker died: that of loky's processes, or Dask's."""
    return isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker"


def _call(n_threads: int | None, function: Callable, *job: Any) -> Any:
    if n_threads is None:
        return function(*job)
    with blas_controller().limit(limits=n_threads, user_api="blas"):
        return function(*job)
