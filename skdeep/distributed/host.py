"""The actor on a worker: a member of a training run, which works in a thread of its own.

Dask runs actors in one thread of each worker. Members of two runs would wait for each other there.
An actor keeps its worker: a cluster that closes idle workers does not close one with an actor.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdeep.callbacks import Callback
from skdeep.distributed.members.member import Control, Member, State
from skdeep.distributed.members.ring import Address
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.stages import GradientStage


class Stopped(Exception):
    """The client has stopped the member after a step; `state` is that of its run."""

    def __init__(self, state: State | None = None):
        super().__init__("stopped by the client")
        self.state = state


@dataclass(frozen=True)
class Plan:
    """The parts of a run that are equal in all members.

    Attributes
    ----------
    run, settings
        Those of the client's trainer, without the parts that only the client needs.
    batch_size, shuffle, sparse, rows, n_epochs, local_steps, keeps_outputs
        As `Member.begin` takes them.
    stages : list of GradientStage
        The stages of the user's callbacks.
    keeps_steps, keeps_gradient : bool
        Whether the client's callbacks look at the steps, and at the last gradient of an epoch.
    """

    run: Run
    settings: Settings
    batch_size: int
    shuffle: bool
    sparse: bool
    rows: np.ndarray | None
    n_epochs: int
    local_steps: int | None
    stages: list[GradientStage]
    keeps_steps: bool
    keeps_gradient: bool
    keeps_outputs: bool


@dataclass(frozen=True)
class News:
    """The answer of a member.

    Attributes
    ----------
    is_done : bool
        Whether the call has ended.
    value : object
        Its result.
    error : Exception or None
        Its error.
    steps : list of (loss, rows, learning rate)
        The steps since the last answer, if the client's callbacks look at them.
    """

    is_done: bool
    value: Any
    error: Exception | None
    steps: list[tuple[float, int, float]]


class Reporter(Callback):
    """The callback of a member that tells the client about its steps, and that can stop it.

    Parameters
    ----------
    stages : sequence of GradientStage, default=()
    keeps_steps, keeps_gradient : bool, default=False
        As in `Plan`.

    Attributes
    ----------
    gradient : tuple of (ndarray, ndarray) or None
        The weights before the last step that was measured, and the gradient.
    """

    def __init__(self, stages=(), keeps_steps: bool = False, keeps_gradient: bool = False):
        self.stages = stages
        self.keeps_steps = keeps_steps
        self.keeps_gradient = keeps_gradient
        self.stops = False
        self.steps: list[tuple[float, int, float]] = []
        self.gradient: tuple[np.ndarray, np.ndarray] | None = None

    def gradient_stages(self):
        return list(self.stages)

    def on_batch_end(self, trainer):
        if self.keeps_steps:
            self.steps.append((trainer.batch_loss, trainer.batch_rows, trainer.learning_rate))
        if self.stops:
            raise Stopped(State.of(trainer, float("nan")))

    def on_gradient(self, trainer):
        if self.keeps_gradient:
            vector = trainer.network.parameters
            self.gradient = vector.values.copy(), vector.grads.copy()


class Host:
    """A member on a worker of Dask.

    Every method is called from the event loop of the worker, and returns soon.

    Parameters
    ----------
    plan : bytes
        A pickled `Plan`. Bytes can't be changed, so that Dask may hand them to other workers.
    chunks : sequence of (ndarray or CSR matrix)
    starts : sequence of int
    n_rows : int
    """

    def __init__(self, plan: bytes, chunks: Sequence[Any], starts: Sequence[int], n_rows: int):
        self._member = Member(chunks, starts, n_rows)
        self._thread = ThreadPoolExecutor(1, "skdeep-member")
        self._plan: Plan = pickle.loads(plan)
        keeps = self._plan.keeps_steps, self._plan.keeps_gradient
        self._reporter = Reporter(self._plan.stages, *keeps)
        self._job: asyncio.Future | None = None
        self._where = _host_and_contexts()
        self._profiler = _profiler()

    async def do(self, name: str, args: tuple, seconds: float) -> News:
        """Begin a call of the member; return its result, or news after some seconds."""
        self._loop = loop = asyncio.get_running_loop()
        if self._profiler is not None:
            self._profiler.stop()
        self._job = loop.run_in_executor(self._thread, getattr(self, f"_{name}"), *args)
        return await self.news(seconds)

    async def news(self, seconds: float) -> News:
        """Return the result of the call as soon as it is there, or news after some seconds."""
        job, reporter = self._job, self._reporter
        await asyncio.wait([job], timeout=seconds)
        steps, reporter.steps = reporter.steps, []
        if not job.done():
            return News(False, None, None, steps)
        error = job.exception()
        if error is not None:
            return News(True, None, _sendable(error), steps)
        return News(True, job.result(), None, steps)

    async def stop(self) -> None:
        """Stop training after the running step."""
        self._reporter.stops = True

    async def close(self) -> None:
        """End the running step, and leave the ring."""
        self._cut()
        _start(self._profiler)
        if self._job is not None:
            await asyncio.wait([self._job], timeout=5)
            if self._job.done():
                self._job.exception()  # else asyncio would report it
        self._thread.shutdown(wait=False)
        self._member.close()

    def __del__(self):
        # If the client is gone, Dask drops the actor.
        if hasattr(self, "_thread"):
            self._cut()
            self._thread.shutdown(wait=False)
        if hasattr(self, "_loop"):
            with suppress(RuntimeError):  # the worker is closing
                self._loop.call_soon_threadsafe(_start, self._profiler)

    def _cut(self) -> None:
        """Let a running step fail when it waits for other members."""
        self._reporter.stops = True
        ring = self._member.ring
        if ring is not None:
            ring.close()

    # In the thread of the member ------------------------------------------------------------------

    def _listen(self) -> Address:
        return self._member.listen(self._where[0])

    def _begin(
        self,
        rank: int,
        addresses: Sequence[Address],
        token: str,
        timeout: float,
        targets: Any,
        weight: np.ndarray | None,
    ) -> None:
        plan = self._plan
        self._member.join(rank, addresses, token, timeout, self._where[1])
        self._member.begin(
            plan.run,
            plan.settings,
            targets,
            weight,
            plan.batch_size,
            shuffle=plan.shuffle,
            sparse=plan.sparse,
            rows=plan.rows,
            callbacks=[self._reporter],
            n_epochs=plan.n_epochs,
            local_steps=plan.local_steps,
            keeps_outputs=plan.keeps_outputs,
        )

    def _train_epoch(self, control: Control, until: int | None) -> tuple[State | None, Any]:
        state = self._member.train_epoch(control, until)
        return state, None if state is None else self._reporter.gradient

    def _outputs_of_epoch(self) -> tuple[np.ndarray, np.ndarray]:
        return self._member.outputs_of_epoch()

    def _measure_statistics(self, values: np.ndarray) -> np.ndarray:
        return self._member.measure_statistics(values)


def _host_and_contexts() -> tuple[str, Any]:
    """Return this worker's host and, if the cluster is encrypted, its contexts of TLS."""
    from distributed import get_worker
    from distributed.comm import get_address_host

    worker = get_worker()
    if worker.address.startswith("inproc://"):
        return "127.0.0.1", None
    security, host = worker.security, get_address_host(worker.address)
    begins = security.get_connection_args("worker").get("ssl_context")
    accepts = security.get_listen_args("worker").get("ssl_context")
    return host, None if begins is None or accepts is None else (begins, accepts)


def _profiler() -> Any:
    """Return what lets this worker look at its tasks a hundred times a second; None if it doesn't.

    No task runs while a member trains, and each look interrupts the member.
    """
    from distributed import get_worker

    return get_worker().periodic_callbacks.get("profile")


def _start(profiler: Any) -> None:
    if profiler is not None and not profiler.is_running():
        profiler.start()


def _sendable(error: BaseException) -> Exception:
    """Return an error that the client can read."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
