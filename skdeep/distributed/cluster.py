"""A cluster of Dask: its workers, and waiting for them with an eye on those that are silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from skdeep._component import InvalidParameterError, needs, warn_user
from skdeep._version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future

# The seconds between two looks at the workers while the client waits.
TICK = 0.5


class ClusterError(RuntimeError):
    """Training on a cluster can't continue."""


class Cluster:
    """The workers of a client.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        The number of seconds after which a worker that gives no sign of life is left out.
    """

    def __init__(self, client: Client, timeout: float):
        self.client = client
        self.timeout = timeout
        self._alone_since: float | None = None
        # Of each worker, the future of its version of skdeep, until it is read.
        self._versions: dict[str, Future] = {}
        self._ready: set[str] = set()
        self._unfit: set[str] = set()

    @classmethod
    def of(cls, client: Any, timeout: float) -> Cluster:
        """Return the cluster of a client of the user's, or of the current one if it is None."""
        try:
            from distributed import Client, get_client
        except ImportError as error:
            text = needs("skdeep.distributed.fit", "dask[distributed]", "dask")
            raise ImportError(f"{text} ({error})") from error
        if client is None:
            try:
                client = get_client()
            except ValueError:
                raise InvalidParameterError(
                    "client=None is for a program that is connected to a cluster, and there is no "
                    "connection: make one, as client = dask.distributed.Client(), or give a client."
                ) from None
        if not isinstance(client, Client):
            raise InvalidParameterError(
                f"client={client!r} is a {type(client).__name__}; give a dask.distributed.Client, "
                "such as Client(cluster), or None for the current one."
            )
        if client.asynchronous:
            raise InvalidParameterError(
                f"client={client!r} is asynchronous, and fit blocks until the model is trained: "
                "give a client that was made with asynchronous=False."
            )
        return cls(client, timeout)

    # Workers --------------------------------------------------------------------------------------

    def workers(self) -> list[str]:
        """Return the addresses of the workers."""
        return sorted(self.client.nthreads())

    def silent(self) -> list[str]:
        """Return the workers that have given no sign of life for too long."""
        seconds = self.client.run_on_scheduler(_function_for_silence())
        return [worker for worker, silence in seconds.items() if silence > self.timeout]

    def submit(self, function: Callable, *args: Any) -> Future:
        """Let one of the workers that have skdeep call a function."""
        where: dict[str, Any] = {}
        if self._unfit:
            where = {"workers": self.some_workers(), "allow_other_workers": False}
        return self.client.submit(function, *args, pure=False, **where)

    def leave_out(self, worker: str) -> None:
        """Restart a worker that hangs, so that Dask computes its chunks on another one."""
        warn_user(
            f"Worker {worker} has not answered for {self.timeout:g} s. It hangs, or it can't be "
            "reached. Training continues without it."
        )
        self.client.run_on_scheduler(_function_to_restart(), worker)

    def look_after(self) -> list[str]:
        """Leave out the workers that are silent, and return them; raise if no other is left."""
        silent = self.silent()
        if set(self.workers()) - set(silent) - self._unfit:
            self._alone_since = None
            for worker in silent:
                self.leave_out(worker)
            return silent
        if silent:
            raise ClusterError(
                f"No worker is left: {' and '.join(silent)} did not answer for {self.timeout:g} s. "
                "They hang, or they can't be reached. See their logs, or give a longer timeout."
            )
        if self._alone_since is None:
            self._alone_since = time.monotonic()
        if time.monotonic() - self._alone_since > self.timeout:
            raise ClusterError(
                f"The cluster has had no worker for {self.timeout:g} s: all that have skdeep died "
                "or left. See their logs; a worker that runs out of memory is killed."
            )
        return []

    def check(self) -> None:
        """Wait until all workers have skdeep; raise if one has none, or another version."""
        if not self.workers():
            raise ClusterError(
                f"The cluster of {self.client!r} has no workers. Start some, with "
                "cluster.scale(2), and wait for them with client.wait_for_workers(2)."
            )
        self._begin_checks()
        while self._versions:
            self.glance(self._versions.values())
            self.look_after()
            for fault in self._end_checks():
                raise ClusterError(fault)

    def ready(self) -> list[str]:
        """Return the workers that have skdeep; warn of a new one that has none."""
        self._begin_checks()
        for fault in self._end_checks():
            warn_user(f"{fault} It does not take part.")
        return [worker for worker in self.workers() if worker in self._ready]

    def some_workers(self) -> list[str]:
        """Return the workers that have skdeep; if there are none, wait until some join."""
        while not (workers := self.ready()):
            self.look_after()
            time.sleep(TICK)
        return workers

    def _begin_checks(self) -> None:
        """Let new workers import skdeep, in tasks: in its event loop, a worker would be silent."""
        for worker in set(self.workers()) - self._ready - self._unfit - self._versions.keys():
            self._versions[worker] = self.client.submit(
                _function_for_version(), workers=[worker], allow_other_workers=False, pure=False
            )

    def _end_checks(self) -> Iterator[str]:
        """Read the versions that are there; yield the faults."""
        alive = self.workers()
        for worker, future in list(self._versions.items()):
            if worker in alive and not future.done():
                continue
            del self._versions[worker]
            if future.status == "finished":
                found = future.result()
                fault = f"has skdeep {found}, and the client has {__version__}. Install one version"
                fault = "" if found == __version__ else f"{fault} everywhere."
            elif future.status == "error" and worker in alive:
                error = future.exception()
                fault = f"can't import skdeep: {type(error).__name__}: {error}. Every worker needs"
                fault += " the packages of the client."
            else:  # it has left
                future.release()
                continue
            future.release()
            (self._unfit if fault else self._ready).add(worker)
            if fault:
                yield f"Worker {worker} {fault}"

    def bandwidth(self) -> float:
        """Return the bytes that pass from worker to worker in a second."""
        return self.client.run_on_scheduler(_function_for_bandwidth())

    # Futures --------------------------------------------------------------------------------------

    def wait(self, futures: Collection[Future]) -> None:
        """Wait until all futures are done, whether they have a result or not."""
        waiting = list(futures)
        while waiting:
            if not self.glance(waiting):
                self.look_after()
            waiting = [future for future in waiting if not future.done()]

    def glance(self, futures: Collection[Future]) -> bool:
        """Wait for futures for a moment; return whether all are done."""
        from distributed import CancelledError, wait

        try:
            wait(list(futures), timeout=TICK)
        except TimeoutError:
            return False
        except CancelledError:  # the status tells which ones are lost
            pass
        return True

    def results(self, futures: Sequence[Future]) -> list[Any]:
        """Wait for the results, and return them; raise the error of the first that has none."""
        try:
            self.wait(futures)
            return self.client.gather(list(futures))
        finally:
            for future in futures:
                future.release()

    def send(self, thing: Any) -> Future:
        """Return a future of a thing, which Dask can make again if its worker dies."""
        from dask.config import set as setting

        # Dask warns of large arguments, because they are often sent with every task.
        with setting({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.submit(_same, thing)

    def holders(self, futures: Sequence[Future]) -> list[tuple[str, ...]]:
        """Return the workers that hold each result in memory."""
        held = self.client.who_has(list(futures))
        by_name = {str(key): tuple(workers) for key, workers in held.items()}
        return [by_name.get(str(future.key), ()) for future in futures]


def _same(thing: Any) -> Any:
    return thing


# The scheduler or a worker may lack skdeep. Functions within functions are sent as code.


def _function_for_version():
    def version():
        from skdeep._version import __version__

        return __version__

    return version


def _function_for_silence():
    def silence(dask_scheduler):
        import time

        now = time.time()
        return {w.address: now - w.last_seen for w in dask_scheduler.workers.values()}

    return silence


def _function_for_bandwidth():
    def bandwidth(dask_scheduler):
        return dask_scheduler.bandwidth

    return bandwidth


def _function_to_restart():
    async def restart(worker, dask_scheduler):
        await dask_scheduler.restart_workers(
            [worker],
            wait_for_workers=False,
            on_error="return",
            timeout=5,
            stimulus_id="skdeep-silent-worker",
        )

    return restart
