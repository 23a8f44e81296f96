"""The members of a run on a cluster, as the client sees them: how they begin, work and end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from skdeep.distributed.cluster import TICK, Cluster, ClusterError
from skdeep.distributed.host import Host, News, Stopped
from skdeep.distributed.members.member import Control, State
from skdeep.distributed.rows.chunks import Chunks
from skdeep.distributed.rows.placement import Placement

if TYPE_CHECKING:
    from distributed import Future

# The slowest that chunks may move to a member before it counts as stuck, in bytes per second.
_SLOWEST = 1e7
# The seconds for the other members to answer after one has failed.
_GRACE = 5.0
_CONNECTION_ERRORS = (ConnectionError, TimeoutError)

Steps = list[tuple[float, int, float]]


class MemberLostError(ConnectionError):
    """Members died, hang or lost their connections; others may continue."""


class Crew:
    """Members on the workers of a cluster, until the first one fails.

    Parameters
    ----------
    chunks : Chunks
    placement : dict of (list of int)
        The positions of the chunks of each member, by worker.
    plan : bytes
        A pickled `Plan`.
    shares : callable
        shares(rows) returns the targets and the weights of some rows.
    """

    def __init__(self, chunks: Chunks, placement: Placement, plan: bytes, shares: Callable):
        self.chunks, self.placement = chunks, placement
        self.cluster: Cluster = chunks.cluster
        self.workers = list(placement)
        self._hosts: list[Any] = []
        self._futures: list[Future] = []
        try:
            self._hire(plan)
            addresses = self._all("listen")
            self._connect(addresses, shares)
        except BaseException:
            self.close()
            raise

    # Begin ----------------------------------------------------------------------------------------

    def _hire(self, plan: bytes) -> None:
        """Create the members on the workers that hold their rows."""
        client, chunks = self.cluster.client, self.chunks
        sent = self.cluster.send(plan)  # the workers hand it on to each other
        n_rows = int(chunks.bounds[-1])
        for worker, some in self.placement.items():
            own = [chunks.futures[i] for i in some], chunks.bounds[some].tolist()
            future = client.submit(
                Host,
                sent,
                *own,
                n_rows,
                actor=True,
                workers=[worker],
                allow_other_workers=False,
                pure=False,
                key=f"skdeep-member-{secrets.token_hex(8)}",
            )
            self._futures.append(future)
        self._wait_for_hosts()
        self._hosts = [future.result() for future in self._futures]

    def _wait_for_hosts(self) -> None:
        n_bytes = self.chunks.row_bytes * int(self.chunks.bounds[-1])
        patience = self.cluster.timeout + n_bytes / _SLOWEST
        deadline = time.monotonic() + patience
        while late := [i for i, future in enumerate(self._futures) if not future.done()]:
            gone = {self.workers[i] for i in late} - set(self.cluster.workers())
            gone |= set(self.cluster.look_after())
            if gone:
                raise MemberLostError(f"{_named(sorted(gone))} left the cluster")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{_named([self.workers[i] for i in late])} did not begin to train for "
                    f"{patience:.0f} s. Other tasks keep a worker busy, or it is paused "
                    "because its memory is full."
                )
            self.cluster.glance([self._futures[i] for i in late])
        for worker, future in zip(self.workers, self._futures, strict=True):
            if future.status == "error" and worker in self.cluster.workers():
                error = future.exception()
                error.add_note(f"It was raised on worker {worker} before training began.")
                raise error
            if future.status != "finished":
                raise MemberLostError(f"worker {worker} left the cluster")

    def _connect(self, addresses: Sequence[Any], shares: Callable) -> None:
        """Connect the members, and give each the targets and the weights of its rows."""
        token, bounds = secrets.token_hex(16), self.chunks.bounds
        own = []
        for rank, some in enumerate(self.placement.values()):
            rows = np.concatenate([np.arange(bounds[i], bounds[i + 1]) for i in some])
            own.append((rank, addresses, token, self.cluster.timeout, *shares(rows)))
        self._all("begin", each=own)

    # Work -----------------------------------------------------------------------------------------

    def train_epoch(
        self, control: Control, until: int | None, listen: Callable[[Steps], None]
    ) -> tuple[State, Any]:
        """Do the steps of an epoch; return the state after it, and the last gradient."""
        return self._all("train_epoch", control, until, listen=listen)[0]

    def outputs_of_epoch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the rows of the last epoch, and their raw outputs."""
        rows, outputs = zip(*self._all("outputs_of_epoch"), strict=True)
        return np.concatenate(rows), np.concatenate(outputs)

    def measure_statistics(self, values: np.ndarray) -> np.ndarray:
        """Return values with batch norm's running statistics for all training rows."""
        return self._all("measure_statistics", values)[0]

    def _all(self, name: str, *args: Any, each=None, listen: Callable | None = None) -> list[Any]:
        """Call all members; return their results by rank, or raise the error behind all errors."""
        each = [args] * len(self._hosts) if each is None else each
        answers = _Answers(self.cluster, self.workers, self._hosts)
        answers.ask("do", [(name, own, TICK) for own in each])
        for rank, news in answers:
            if rank == 0 and news.steps and listen is not None:
                listen(news.steps)
        answers.check()
        return answers.values

    def stop(self) -> State | None:
        """End the running epoch; return the state after the last step, if it is known."""
        if not self._hosts:
            return None
        try:
            self._hosts[0].stop().result(timeout=_GRACE)
            deadline = time.monotonic() + self.cluster.timeout
            while time.monotonic() < deadline:
                news = self._hosts[0].news(TICK).result(timeout=_GRACE)
                if news.is_done:
                    return getattr(news.error, "state", None)
        except (OSError, RuntimeError, TimeoutError):  # the worker died meanwhile
            pass
        return None

    def close(self) -> None:
        """End all members, and leave nothing behind on the workers."""
        hosts, self._hosts = self._hosts, []
        calls = []
        for host in hosts:
            with suppress(RuntimeError):  # its worker died
                calls.append(host.close())
        for call in calls:
            with suppress(OSError, RuntimeError, TimeoutError):
                call.result(timeout=_GRACE)
        futures, self._futures = self._futures, []
        if futures:  # Dask's proxies of actors refer to themselves, so they live on for a while
            self.cluster.client.cancel(futures)


class _Answers:
    """The answers of all members to a call, as they come: pairs (rank, news)."""

    def __init__(self, cluster: Cluster, workers: list[str], hosts: list[Any]):
        self._cluster, self._workers, self._hosts = cluster, workers, hosts
        self._calls: dict[int, Any] = {}
        self._done: dict[int, News] = {}
        self._lost: dict[int, str] = {}
        self._hung: list[int] = []
        self._heard = [time.monotonic()] * len(hosts)
        self._has_failed = False

    def ask(self, name: str, each: Sequence[tuple]) -> None:
        """Call a method of all hosts."""
        for rank, args in enumerate(each):
            self._ask(rank, name, *args)

    def _ask(self, rank: int, name: str, *args: Any) -> None:
        try:
            self._calls[rank] = getattr(self._hosts[rank], name)(*args)
        except RuntimeError:  # so Dask says that the worker of an actor died
            self._lose(rank, "died")

    def __iter__(self) -> Iterator[tuple[int, News]]:
        while self._calls:
            for rank in list(self._calls):
                news = self._answer_of(rank)
                if news is not None:
                    yield rank, news

    def _answer_of(self, rank: int) -> News | None:
        """Return the answer of a member; None if there is none yet, or if it is lost."""
        try:
            news = self._calls[rank].result(timeout=TICK)
        except TimeoutError:
            silence = time.monotonic() - self._heard[rank]
            if self._workers[rank] not in self._cluster.workers():
                self._lose(rank, "died")
            elif silence > self._cluster.timeout:
                self._hung.append(rank)
                self._lose(rank, f"has not answered for {silence:.0f} s")
            elif self._has_failed and silence > _GRACE:
                self._lose(rank, f"has not answered for {silence:.0f} s")
            return None
        except (OSError, RuntimeError):
            self._lose(rank, "died")
            return None
        self._heard[rank] = time.monotonic()
        if news.is_done:
            del self._calls[rank]
            self._done[rank] = news
            self._has_failed |= news.error is not None
        else:
            self._ask(rank, "news", TICK)
        return news

    def _lose(self, rank: int, what: str) -> None:
        self._calls.pop(rank, None)
        self._lost[rank] = what
        self._has_failed = True

    @property
    def values(self) -> list[Any]:
        """The results by rank."""
        return [self._done[rank].value for rank in sorted(self._done)]

    def check(self) -> None:
        """Raise the error that the other errors follow from, if there is one."""
        errors = {rank: news.error for rank, news in self._done.items() if news.error is not None}
        for rank, error in errors.items():
            if not isinstance(error, (*_CONNECTION_ERRORS, Stopped)):
                error.add_note(f"It was raised on worker {self._workers[rank]}.")
                raise error
        for rank in self._hung:
            self._cluster.leave_out(self._workers[rank])
        what = [f"worker {self._workers[rank]} {what}" for rank, what in self._lost.items()]
        if not what:
            what = [f"worker {self._workers[rank]}: {error}" for rank, error in errors.items()][:1]
        if what:
            raise MemberLostError(", and ".join(what)) from next(iter(errors.values()), None)


def _named(workers: Sequence[str]) -> str:
    return f"worker{'s' if len(workers) > 1 else ''} {', '.join(workers)}"
