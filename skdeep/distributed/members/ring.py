"""Sums of vectors among processes, which are connected to a ring by TCP.

All members of a ring call the same methods in the same order, and get the same bits. An error
closes the ring, so that the neighbours fail at once.
"""

from __future__ import annotations

import hashlib
import hmac
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np

Address = tuple[str, int]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]

#: The number of seconds without progress after which a neighbour counts as silent.
TIMEOUT = 300.0
# Vectors up to this number of bytes go round as a whole: half as many messages, but more bytes.
SMALL = 1 << 14
# The largest number of bytes of one system call, so that sending and receiving take turns.
PIECE = 1 << 18
_GREETING = b"skdeep-1"
_HELLO = struct.Struct("!8sII32s")
_HEADER = struct.Struct("!QQ")
# A member that waits looks again and again for this number of seconds before it sleeps: waking up
# takes longer than most waits.
SPIN = 5e-4
# A stranger that connects and says nothing is left after this number of seconds.
_PATIENCE = 5.0
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def listen(host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that listens at a free port of an address of this machine."""
    family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, 0), family=family, backlog=8)


def address_of(listener: socket.socket) -> Address:
    """Return the host and the port that a socket listens at."""
    host, port = listener.getsockname()[:2]
    return host, port


class Ring:
    """A member of a ring of processes.

    Parameters
    ----------
    rank : int
        The position of this member, from 0.
    addresses : sequence of (str, int)
        The host and the port of each member's listener, by rank.
    listener : socket or None
        This member's listener, from `listen`, which the ring closes. A ring of one needs none.
    token : str
        A secret of the members, so that no stranger joins.
    timeout : float
        The number of seconds without progress after which TimeoutError is raised.
    contexts : tuple of (SSLContext, SSLContext) or None
        The contexts for the connection that this member begins, and for the one that it accepts.
        None is for connections without encryption.

    Attributes
    ----------
    rank, n_members : int
    is_closed : bool
    """

    def __init__(
        self,
        rank: int,
        addresses: Sequence[Address],
        listener: socket.socket | None,
        token: str,
        timeout: float = TIMEOUT,
        contexts: Contexts | None = None,
    ):
        self.rank = rank
        self.n_members = len(addresses)
        self.timeout = timeout
        self.is_closed = False
        self._addresses = [tuple(address[:2]) for address in addresses]
        self._secret = hashlib.sha256(token.encode()).digest()
        self._next: socket.socket | None = None
        self._previous: socket.socket | None = None
        self._selectors: dict[tuple[bool, bool], selectors.BaseSelector] = {}
        self._scratch = np.empty(0, np.uint8)
        self._piece = np.empty(PIECE, np.uint8)
        self._nothing = np.zeros(1, np.uint8)
        self._n_calls = 0
        self._lock = threading.Lock()
        try:
            if self.n_members > 1:
                self._connect(listener, *(contexts or (None, None)))
        except BaseException:
            self.close()
            raise
        finally:
            if listener is not None:
                listener.close()

    # Sums -----------------------------------------------------------------------------------------

    def sum(self, vector: np.ndarray) -> None:
        """Add the vectors of all members, in place: 1-D, contiguous, of one size and dtype."""
        if self.n_members == 1:
            return
        if vector.nbytes <= SMALL:
            np.add.reduce(self.gather(vector), axis=0, out=vector)
        else:
            self._reduce(vector)

    def gather(self, vector: np.ndarray) -> np.ndarray:
        """Return the vectors of all members, as rows; they are valid until the next call."""
        n, rank = self.n_members, self.rank
        rows = self._room(n * vector.size, vector.dtype).reshape(n, -1)
        rows[rank] = vector
        with self._calling(vector.nbytes):
            for i in range(n - 1):
                self._exchange(rows[(rank - i) % n], rows[(rank - i - 1) % n])
        return rows

    def wait(self) -> None:
        """Wait until all members call this method."""
        self.gather(self._nothing)

    def _reduce(self, vector: np.ndarray) -> None:
        """Sum pieces of the vector, one on each member, and hand the sums round."""
        n, rank = self.n_members, self.rank
        bounds = [vector.size * i // n for i in range(n + 1)]
        pieces = [vector[bounds[i] : bounds[i + 1]] for i in range(n)]
        with self._calling(vector.nbytes):
            for i in range(n - 1):
                self._exchange(pieces[(rank - i) % n], pieces[(rank - i - 1) % n], adds=True)
            for i in range(n - 1):
                self._exchange(pieces[(rank + 1 - i) % n], pieces[(rank - i) % n])

    def _room(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Return a scratch array, which is made once."""
        n_bytes = size * dtype.itemsize
        if self._scratch.size < n_bytes:
            self._scratch = np.empty(n_bytes, np.uint8)
        return self._scratch[:n_bytes].view(dtype)

    # Messages -------------------------------------------------------------------------------------

    @contextmanager
    def _calling(self, n_bytes: int) -> Iterator[None]:
        """Do a call, whose first message tells the next member what this one is about to do."""
        if self.n_members == 1:
            yield
            return
        with self._lock:
            if self.is_closed:
                raise ConnectionError(f"The ring of member {self.rank} is closed.")
            self._n_calls += 1
            self._call = self._n_calls, n_bytes
            self._is_first = True
            try:
                yield
            except BaseException:
                self.close()
                raise
            finally:
                if self.is_closed:
                    self._disconnect()

    def _exchange(self, outgoing: np.ndarray, incoming: np.ndarray, adds: bool = False) -> None:
        """Send an array to the next member while one arrives from the previous member.

        With adds=True, the array that arrives is added to `incoming`.
        """
        sends = [_bytes_of(outgoing)]
        if self._is_first:
            self._is_first = False
            sends.append(memoryview(_HEADER.pack(*self._call)))
            header = bytearray(_HEADER.size)
            self._move(sends, _Place(memoryview(header)), sends_all=False)
            self._compare(_HEADER.unpack(header))
        place = _Sum(incoming, self._piece) if adds else _Place(_bytes_of(incoming))
        self._move(sends, place)

    def _compare(self, theirs: tuple[int, int]) -> None:
        if theirs != self._call:
            raise RuntimeError(
                f"The members are out of step: member {self.rank} makes call {self._call[0]}, of "
                f"{self._call[1]} bytes, and {self.name_of(self._previous_rank)} makes call "
                f"{theirs[0]}, of {theirs[1]} bytes."
            )

    def _move(self, sends: list[memoryview], place: _Place, sends_all: bool = True) -> None:
        """Send, from the last one of a list that shrinks, and receive until all is done."""
        heard = time.monotonic()
        while True:
            while sends and not sends[-1]:
                sends.pop()
            if not place.n_left and not (sends and sends_all):
                return
            n_sent = n_received = 0
            if sends:
                n_sent = self._try(self._next.send, sends[-1][:PIECE], self._next_rank)
                sends[-1] = sends[-1][n_sent:]
            if place.n_left:
                view = place.view()
                n_received = self._try(self._previous.recv_into, view, self._previous_rank)
                place.take(n_received)
            if n_sent or n_received:
                heard = time.monotonic()
            elif time.monotonic() > heard + SPIN:
                self._wait(bool(sends), bool(place.n_left), heard + self.timeout)

    def _try(self, move: Callable, view: memoryview, rank: int) -> int:
        """Send or receive some bytes, if it is possible at once; return their number."""
        try:
            n = move(view)
        except _WOULD_BLOCK:
            return 0
        except OSError as error:
            raise self._lost(rank, str(error)) from error
        if not n:
            raise self._lost(rank, "it has closed the connection")
        return n

    def _wait(self, sends: bool, receives: bool, deadline: float) -> None:
        """Wait until one of the neighbours is ready."""
        rank = self._previous_rank if receives else self._next_rank
        if not self._selectors[sends, receives].select(deadline - time.monotonic()):
            does = "has sent nothing" if receives else "has taken nothing"
            raise TimeoutError(
                f"{self.name_of(rank)} {does} for {self.timeout:g} seconds; member {self.rank} "
                "waits for it."
            )

    def _lost(self, rank: int, why: str) -> ConnectionError:
        if self.is_closed:
            why = "this member has closed its ring"
        return ConnectionError(
            f"Member {self.rank} has lost the connection to {self.name_of(rank)}: {why}."
        )

    # Connections ----------------------------------------------------------------------------------

    @property
    def _next_rank(self) -> int:
        return (self.rank + 1) % self.n_members

    @property
    def _previous_rank(self) -> int:
        return (self.rank - 1) % self.n_members

    def name_of(self, rank: int) -> str:
        """Return a member's rank and address, for messages."""
        host, port = self._addresses[rank]
        return f"member {rank} at {f'[{host}]' if ':' in host else host}:{port}"

    def _connect(self, listener, to_next, to_previous) -> None:
        """Call the next member while the previous one is accepted."""
        deadline = time.monotonic() + self.timeout
        with ThreadPoolExecutor(1) as threads:  # TLS needs both ends of a connection at once
            accepted = threads.submit(self._accept, listener, to_previous, deadline)
            try:
                self._call_next(to_next, deadline)
            except BaseException:
                self.is_closed = True  # which ends the thread
                raise
            accepted.result()
        for neighbour in (self._next, self._previous):
            neighbour.setblocking(False)
        for sends, receives in ((True, True), (True, False), (False, True)):
            selector = self._selectors[sends, receives] = selectors.DefaultSelector()
            if sends:
                selector.register(self._next, selectors.EVENT_WRITE)
            if receives:
                selector.register(self._previous, selectors.EVENT_READ)

    def _call_next(self, context, deadline: float) -> None:
        """Connect to the next member. Sets: `_next`."""
        name, address = self.name_of(self._next_rank), self._addresses[self._next_rank]
        try:
            peer = socket.create_connection(address, _left(deadline))
            self._next = peer = _prepared(peer, context, address[0])
            peer.settimeout(_left(deadline))
            peer.sendall(_HELLO.pack(_GREETING, self.rank, self.n_members, self._secret))
            answer = _receive(peer)
        except TimeoutError as error:
            raise TimeoutError(
                f"{name} has not answered member {self.rank} for {self.timeout:g} seconds."
            ) from error
        except OSError as error:
            raise ConnectionError(f"Member {self.rank} can't reach {name}: {error}.") from error
        if not self._is_from(self._next_rank, answer):
            raise ConnectionError(f"{name} is not a member of the ring of member {self.rank}.")

    def _accept(self, listener, context, deadline: float) -> None:
        """Take the connection of the previous member, and leave all others. Sets: `_previous`."""
        listener.settimeout(0.1)
        while not self.is_closed:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.name_of(self._previous_rank)} has not called member {self.rank} for "
                    f"{self.timeout:g} seconds."
                )
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                continue
            try:
                peer.settimeout(_PATIENCE)
                peer = _prepared(peer, context, None)
                if self._is_from(self._previous_rank, _receive(peer)):
                    hello = _GREETING, self.rank, self.n_members, self._secret
                    peer.sendall(_HELLO.pack(*hello))
                    self._previous = peer
                    return
            except OSError:  # a stranger may send anything
                pass
            peer.close()
        raise ConnectionError(f"The ring of member {self.rank} is closed.")

    def _is_from(self, rank: int, message: bytes) -> bool:
        """Whether a greeting is that of the member of this rank."""
        greeting, theirs, n_members, secret = _HELLO.unpack(message)
        known = (greeting, theirs, n_members) == (_GREETING, rank, self.n_members)
        return hmac.compare_digest(secret, self._secret) and known

    def close(self) -> None:
        """Close the connections: a call that waits in another thread fails, as do neighbours."""
        self.is_closed = True
        for neighbour in (self._next, self._previous):
            if neighbour is not None:
                with suppress(OSError):  # it may be closed already
                    neighbour.shutdown(socket.SHUT_RDWR)
        # A call that runs uses the sockets, and disconnects when it fails.
        if self._lock.acquire(blocking=False):
            self._disconnect()
            self._lock.release()

    def _disconnect(self) -> None:
        for part in (self._next, self._previous, *self._selectors.values()):
            if part is not None:
                part.close()
        self._selectors = {}


class _Place:
    """The place of bytes that arrive; `n_left` of them have not come yet."""

    def __init__(self, view: memoryview):
        self._left = view
        self.n_left = len(view)

    def view(self) -> memoryview:
        """Return the room for the next bytes."""
        return self._left[:PIECE]

    def take(self, n: int) -> None:
        """Take note of bytes that are in their room."""
        self._left = self._left[n:]
        self.n_left -= n


class _Sum(_Place):
    """An array that the array which arrives is added to, piece by piece, out of the cache."""

    def __init__(self, array: np.ndarray, room: np.ndarray):
        self._array, self._room = array, room
        self._numbers = room.view(array.dtype)
        self._n_waiting = 0
        self.n_left = array.nbytes

    def view(self):
        return memoryview(self._room)[self._n_waiting :][: self.n_left]

    def take(self, n):
        self.n_left -= n
        self._n_waiting += n
        n_numbers, rest = divmod(self._n_waiting, self._array.itemsize)
        self._array[:n_numbers] += self._numbers[:n_numbers]
        self._array = self._array[n_numbers:]
        self._room[:rest] = self._room[self._n_waiting - rest : self._n_waiting]
        self._n_waiting = rest


def _bytes_of(array: np.ndarray) -> memoryview:
    return memoryview(array).cast("B") if array.size else memoryview(b"")


def _left(deadline: float) -> float:
    """Return the seconds until a deadline, as a time-out of a socket."""
    return max(deadline - time.monotonic(), 1e-3)


def _prepared(peer: socket.socket, context, host: str | None) -> socket.socket:
    """Return a connection without delays of small messages, encrypted if there is a context."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return peer
    if host is None:
        return context.wrap_socket(peer, server_side=True)
    return context.wrap_socket(peer, server_hostname=host)


def _receive(peer: socket.socket) -> bytes:
    """Return a greeting; raise ConnectionError if the connection ends before."""
    message = b""
    while len(message) < _HELLO.size:
        part = peer.recv(_HELLO.size - len(message))
        if not part:
            raise ConnectionError("it has closed the connection")
        message += part
    return message
