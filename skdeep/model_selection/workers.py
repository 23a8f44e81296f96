"""Workers: joblib's processes or threads, and what happens if one of them dies."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skdeep.training.threads import at_most

# The errors that say that a worker died: that of loky, and those of Dask, which cancels calls if
# their data were in the memory of the worker.
_DEATHS = ("TerminatedWorkerError", "KilledWorker", "FutureCancelledError", "CancelledError")
# The seconds in which a cluster may replace a worker that died.
_PATIENCE = 60


class Workers:
    """A context in which functions are called in parallel.

    A worker may die: the system kills it for want of memory, or compiled code crashes. Then each
    call that was underway is repeated alone. A call that ends the life of its worker once more has
    no result.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib.
    """

    def __init__(self, n_jobs: int | None):
        self.n_jobs = n_jobs

    def __enter__(self):
        self._stack = ExitStack()
        self._n_threads = None
        n_workers, backend = effective_n_jobs(self.n_jobs), get_active_backend()[0]
        # loky starts its processes with a share of the cores, or with as many threads as the user
        # wants. In other workers, all together would have too many.
        if n_workers > 1 and not getattr(backend, "supports_inner_max_num_threads", False):
            self._n_threads = max(1, cpu_count() // n_workers)
            if getattr(backend, "uses_threads", False):
                self._stack.enter_context(at_most(self._n_threads))
                self._n_threads = None
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

    def _restart(self, death: BaseException) -> None:
        """Start again after the death of a worker, when Dask has replaced it."""
        self._parallel.__exit__(type(death), death, None)
        end = time.monotonic() + _PATIENCE
        while self._n_alive() < 2:  # joblib would make the calls in this process
            if time.monotonic() > end:
                raise death
            time.sleep(0.1)
        self._start()

    def _n_alive(self) -> int:
        try:
            return effective_n_jobs(self.n_jobs)
        except TimeoutError:  # Dask has no worker
            return 0

    def run(self, function: Callable, n_jobs: int, job: Callable, take: Callable) -> None:
        """Call function(*job(i)) for i < n_jobs, and take(i, result) for each result, in order.

        The result is None if the call ends the life of its worker.
        """
        left = list(range(n_jobs))
        while left:
            for i in self._round(function, job, take, left):
                if self._round(function, job, take, [i]):
                    take(i, None)
                left.remove(i)

    def _round(
        self, function: Callable, job: Callable, take: Callable, left: list[int]
    ) -> list[int]:
        """Do jobs, and remove those that are done from the list.

        Return those that were underway when a worker died.
        """
        underway: list[int] = []

        def calls() -> Iterator[tuple]:
            for i in tuple(left):
                underway.append(i)
                yield delayed(_call)(self._n_threads, function, *job(i))

        results: Any = ()
        try:
            results = self._parallel(calls())
            for result in results:
                take(underway.pop(0), result)
                del left[0]
        except BaseException as error:
            _end(results)
            if type(error).__name__ not in _DEATHS:
                raise
            self._restart(error)
            return underway or left[:1]  # a worker that dies idle counts for the next job
        return []


def _end(results: Any) -> None:
    """End a generator of joblib, if it is one: joblib would warn of the results that it has."""
    if hasattr(results, "close"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.close()


def _call(n_threads: int | None, function: Callable, *job: Any) -> Any:
    if n_threads is None:
        return function(*job)
    with at_most(n_threads):
        return function(*job)
