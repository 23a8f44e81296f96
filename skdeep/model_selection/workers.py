"""Workers: joblib's processes or threads, and what happens if one of them dies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from joblib import Parallel, cpu_count, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skdeep.model_selection.clusters import dask_backend
from skdeep.training.threads import at_most

# The errors that say that a worker died: those of loky, of Dask and of Ray.
_DEATHS = {"TerminatedWorkerError", "KilledWorker", "WorkersDied", "RayActorError"}
# Ray's options: a worker that died starts again, and does its call again, once.
_RAY_OPTIONS = {"max_restarts": -1, "max_task_retries": 1}


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
        self._options = _options_for(backend)
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
            self._parallel = Parallel(self.n_jobs, return_as="generator", **self._options)
        except ValueError:  # the backend has no generators: multiprocessing, and Ray's
            self._parallel = Parallel(self.n_jobs, **self._options)
        self._parallel.__enter__()

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
            if _DEATHS.isdisjoint(cls.__name__ for cls in type(error).__mro__):
                raise
            self._parallel.__exit__(type(error), error, None)
            self._start()
            return underway or left[:1]  # a worker that dies idle counts for the next job
        return []


def _options_for(backend: Any) -> dict[str, Any]:
    """Return the arguments of Parallel with which a backend does best."""
    name = type(backend).__name__
    if name == "DaskDistributedBackend":  # it may wait forever for a call that Dask has given up
        return {"backend": dask_backend(backend.client, **backend.submit_kwargs)}
    if name == "RayBackend":
        return {"ray_remote_args": _RAY_OPTIONS | (backend.ray_remote_args or {})}
    return {}


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
