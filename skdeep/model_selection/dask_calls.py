"""joblib's calls on a cluster of Dask, each of which is sure to have an outcome.

This module imports Dask, so it is itself imported only if Dask is in use.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any
from uuid import uuid4

import dask
from dask.sizeof import sizeof
from dask.utils import funcname
from distributed.comm import CommClosedError
from joblib._dask import DaskDistributedBackend
from joblib.parallel import ParallelBackendBase

from skdeep._version import __version__
from skdeep.model_selection.packing import Failure, Place, Sent, computed, packed

# Arguments of more bytes are sent to the cluster once, and not with each call.
_LARGE = 10_000
# The seconds that a cluster may be without workers, and those between two looks at them.
PATIENCE = 60
_PERIOD = 2
# What Dask raises if the data of a call were in the memory of a worker that died.
_LOSSES = (CancelledError, CommClosedError, TimeoutError)


class WorkersDied(RuntimeError):
    """The only copies of the data of a call were lost, again and again."""


class DaskCalls(DaskDistributedBackend):
    """joblib's backend for Dask, with calls that outlive the deaths of workers.

    Every call is one coroutine of the client's loop. It sends the data that the cluster does not
    have yet, and waits for the result. If a worker dies with the only copy of data, Dask cancels
    the calls that need them: the data are sent again, and the calls are repeated. A call that Dask
    gives up is an error for joblib, and so is one that waits for a worker in vain.
    """

    def __init__(self, client=None, **options):
        super().__init__(client=client, **{"wait_for_workers_timeout": PATIENCE} | options)
        self._underway: set[asyncio.Task] = set()
        self._sent: dict[int, tuple[weakref.ref, asyncio.Task]] = {}
        self._fault: Exception | None = None
        self._watched: object = None

    def effective_n_jobs(self, n_jobs):
        # If there was one worker, joblib would make the calls in this process.
        return max(2, super().effective_n_jobs(n_jobs))

    def get_nested_backend(self):
        return ParallelBackendBase.get_nested_backend(self)

    def configure(self, n_jobs=1, parallel=None, **options):
        n_jobs = super().configure(n_jobs, parallel, **options)
        _check_workers(self.client)
        return n_jobs

    def start_call(self):
        self._fault, self._watched = None, object()
        self.client.loop.add_callback(self._watch, self._watched)

    def stop_call(self):
        self._watched = None

    def terminate(self):
        self._sent = {}

    def abort_everything(self, ensure_ready=True):
        self.client.loop.add_callback(self._cancel)

    def submit(self, func, callback=None):
        self.client.loop.add_callback(self._compute, func.items, callback)

    apply_async = submit  # its name in older versions of joblib

    def retrieve_result_callback(self, out):
        return out.reraise() if isinstance(out, Failure) else out

    # In the loop of the client --------------------------------------------------------------------

    async def _compute(self, calls: list[tuple], callback: Callable[[Any], None]) -> None:
        """Compute a batch of calls, and tell joblib the outcome, whatever it is."""
        this = asyncio.current_task()
        self._underway.add(this)
        try:
            outcome = await self._outcome(calls)
        except asyncio.CancelledError:
            if self._fault is None:
                return  # joblib does not wait for it any more
            outcome = Failure(self._fault)
        except Exception as error:
            outcome = Failure(error)
        finally:
            self._underway.discard(this)
        callback(outcome)

    async def _outcome(self, calls: list[tuple]) -> Any:
        large: dict[int, Any] = {}

        def place(value: Any) -> Any:
            """Return what stands for a large value in the text of the calls."""
            if not _is_large(value):
                return value
            large[id(value)] = value
            return Place(list(large).index(id(value)))

        text = packed(
            [
                (f, [*map(place, args)], {k: place(v) for k, v in kw.items()})
                for f, args, kw in calls
            ]
        )
        name = funcname(calls[0][0])
        n_times = 1 + dask.config.get("distributed.scheduler.allowed-failures", 3)
        for _ in range(n_times):
            try:
                values = [await self._sent_once(value) for value in large.values()]
                key = f"{name}-{uuid4().hex}"
                future = self.client.submit(computed, text, values, key=key, **self.submit_kwargs)
                return (await future).value
            except _LOSSES as error:
                loss = error
                if self.client.status != "running":
                    raise RuntimeError("The connection to the scheduler of Dask is lost.") from loss
        raise WorkersDied(
            f"A call was given up: {n_times} times, a worker of Dask died with the only copy of "
            "its data. The system may have ended the workers for want of memory."
        ) from loss

    async def _sent_once(self, value: Any) -> Any:
        """Return the future of a large value, which is sent if the cluster does not have it."""
        reference, sending = self._sent.get(id(value), (lambda: None, None))
        if reference() is not value or _is_lost(sending):
            # Dask would choose equal keys for equal data, and release both together.
            scattering = self.client.scatter(Sent(value), asynchronous=True, hash=False)
            sending = asyncio.ensure_future(scattering)
            sending.add_done_callback(_is_lost)  # its error may interest no call any more
            self._sent[id(value)] = weakref.ref(value, self._forgets(id(value))), sending
        return await asyncio.shield(sending)  # other calls may wait for it too

    def _forgets(self, key: int) -> Callable[[weakref.ref], None]:
        """Return a function that lets the workers drop a value which this process has dropped."""
        sent = self._sent

        def forget(reference: weakref.ref) -> None:
            if key in sent and sent[key][0] is reference:
                del sent[key]

        return forget

    async def _watch(self, watched: object) -> None:
        """End the calls with an error if the cluster has no workers for too long."""
        end = time.monotonic() + PATIENCE
        while self._watched is watched and self.client.status == "running":
            if await self.client.ncores():
                end = time.monotonic() + PATIENCE
            if time.monotonic() > end:
                self._fault = RuntimeError(
                    f"The cluster of Dask has had no workers for {PATIENCE} seconds. Start "
                    "workers, and call again."
                )
                self._cancel()
                return
            await asyncio.sleep(_PERIOD)

    def _cancel(self) -> None:
        for call in self._underway:
            call.cancel()


def _is_large(value: Any) -> bool:
    try:
        weakref.ref(value)
    except TypeError:
        return False
    return sizeof(value) > _LARGE


def _is_lost(sending: asyncio.Task) -> bool:
    """Whether a transfer has failed, or the workers that had the value died."""
    if not sending.done():
        return False
    failed = sending.cancelled() or sending.exception() is not None
    return failed or sending.result().status != "finished"


def _check_workers(client: Any) -> None:
    """Raise if a worker does not have this version of skdeep.

    Dask shuts down a worker that can't read a call.
    """

    def version() -> str:  # inside of a function, it is sent as code
        from skdeep._version import __version__

        return __version__

    for address, found in client.run(version, on_error="return").items():
        if isinstance(found, ModuleNotFoundError):
            package = found.name.partition(".")[0]
            raise ModuleNotFoundError(
                f"The worker {address} of Dask can't import {package!r}. Install scikit-deep "
                f"{__version__}, the version of this process, on every worker."
            ) from found
        if isinstance(found, str) and found != __version__:
            raise RuntimeError(
                f"The worker {address} of Dask has version {found} of scikit-deep, and this "
                f"process has {__version__}. Install the same version everywhere."
            )
