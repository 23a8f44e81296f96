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
    from skdeep.distributed.members.ring import Ring

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
        n, width = ring.n_members, np.dtype(dtype).itemsize
        self._pieces = [slice(size * i // n, size * (i + 1) // n) for i in range(n)]
        # The vector, and the sums of this member's piece.
        n_numbers = size + -(-size // n)
        n_bytes = _HEADER + n_numbers * width
        secret, file = secrets.token_bytes(32), _create(n_bytes)
        own, opened = np.zeros(n_numbers, dtype), []
        try:
            if file is not None:
                memory = mmap.mmap(file, n_bytes)
                memory[: len(secret)] = secret
                own = np.frombuffer(memory, dtype, n_numbers, _HEADER)
            card = _CARD.pack(os.getpid(), -1 if file is None else file, secret)
            for other in ring.gather(np.frombuffer(card, np.uint8)).copy():
                opened.append(_opened(*_CARD.unpack(other.tobytes()), n_bytes))
            missing = np.array([sum(memory is None for memory in opened)], float)
            ring.sum(missing)  # nobody closes the file before all have opened it
        finally:
            if file is not None:
                os.close(file)
        self.own = own[:size]
        self.is_complete = not missing[0]
        if self.is_complete:
            every = [np.frombuffer(memory, dtype, n_numbers, _HEADER) for memory in opened]
            every[ring.rank] = own
            self._vectors = [numbers[:size] for numbers in every]
            self._sums = [
                numbers[size : size + piece.stop - piece.start]
                for numbers, piece in zip(every, self._pieces, strict=True)
            ]

    def sum(self) -> None:
        """Add the vectors of all members; the result takes the place of each vector.

        The sums have a place of their own, so that no member writes numbers that others still read.
        After the second wait, all have read the vectors. When all call again, all have read the
        sums.
        """
        ring, rank = self.ring, self.ring.rank
        mine, total = self._pieces[rank], self._sums[rank]
        ring.wait()  # until all vectors are complete
        first, second, *others = self._vectors
        np.add(first[mine], second[mine], out=total)
        for vector in others:
            total += vector[mine]
        ring.wait()  # until all pieces are summed
        for piece, numbers in zip(self._pieces, self._sums, strict=True):
            self.own[piece] = numbers


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
        # In another container, it may be anything, such as a pipe that nobody writes to.
        opened = os.open(f"/proc/{process}/fd/{file}", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        memory = mmap.mmap(opened, n_bytes, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    finally:
        os.close(opened)
    return memory if memory[: len(secret)] == secret else None
