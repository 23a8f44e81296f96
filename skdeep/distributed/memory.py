"""Sums in memory that processes on one machine share, without sending the vectors.

Anonymous memory leaves nothing behind if a process is killed. It needs Linux.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skdeep.distributed.ring import Ring

# The number of a process, that of a file in it, and a secret in front of the array.
_CARD = struct.Struct("=qq32s")
_HEADER = 64


class SharedVectors:
    """A vector of each member of a ring, in memory that all of them can read.

    All members have to be made, and their methods called, at the same time.

    Parameters
    ----------
    ring : Ring
    size : int
    dtype : numpy.dtype

    Attributes
    ----------
    own : ndarray of shape (size,)
        The vector of this member, zeros at first.
    is_complete : bool
        Whether every member can read the vectors of all. If not, they can't be summed.
    """

    def __init__(self, ring: Ring, size: int, dtype: np.dtype):
        self.ring = ring
        n_bytes = _HEADER + size * np.dtype(dtype).itemsize
        secret, file = secrets.token_bytes(32), _create(n_bytes)
        self.own = np.zeros(size, dtype)
        self._vectors: list[np.ndarray] = []
        try:
            if file is not None:
                memory = mmap.mmap(file, n_bytes)
                memory[: len(secret)] = secret
                self.own = np.frombuffer(memory, dtype, size, _HEADER)
            card = _CARD.pack(os.getpid(), -1 if file is None else file, secret)
            for other in ring.gather(np.frombuffer(card, np.uint8)).copy():
                self._vectors.append(_opened(*_CARD.unpack(other.tobytes()), n_bytes))
            missing = np.array([sum(memory is None for memory in self._vectors)], float)
            ring.sum(missing)  # nobody closes the file before all have opened it
        finally:
            if file is not None:
                os.close(file)
        self.is_complete = not missing[0]
        if self.is_complete:
            self._vectors = [np.frombuffer(m, dtype, size, _HEADER) for m in self._vectors]
            self._vectors[ring.rank] = self.own
        n = ring.n_members
        self._pieces = [slice(size * i // n, size * (i + 1) // n) for i in range(n)]

    def sum(self) -> None:
        """Add the vectors of all members; the result takes the place of each vector."""
        ring, own, pieces = self.ring, self.own, self._pieces
        mine = pieces[ring.rank]
        ring.wait()  # until all vectors are complete
        for vector in self._vectors:
            if vector is not own:
                own[mine] += vector[mine]
        ring.wait()  # until all pieces are summed
        for vector, piece in zip(self._vectors, pieces, strict=True):
            if vector is not own:
                own[piece] = vector[piece]
        ring.wait()  # until the others have read


def _create(n_bytes: int) -> int | None:
    """Return a file in memory; None if the system has no such files, or too little memory."""
    try:
        file = os.memfd_create("skdeep", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        return None
    try:
        os.posix_fallocate(file, 0, n_bytes)
    except OSError:
        os.close(file)
        return None
    return file


def _opened(process: int, file: int, secret: bytes, n_bytes: int) -> mmap.mmap | None:
    """Return the memory of another process; None if it is not on this machine, or not allowed."""
    try:
        opened = os.open(f"/proc/{process}/fd/{file}", os.O_RDONLY)
    except OSError:
        return None
    try:
        memory = mmap.mmap(opened, n_bytes, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    finally:
        os.close(opened)
    return memory if memory[: len(secret)] == secret else None
