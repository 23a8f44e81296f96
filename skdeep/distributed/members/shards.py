"""The rows of one member: chunks of X, which are not copied, and batches of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep.distributed.members.share import Share
from skdeep.kernels import numpy_kernels
from skdeep.training.batches import BatchSource


class Shards:
    """Chunks of the rows of a larger X.

    Parameters
    ----------
    chunks : sequence of (ndarray or CSR matrix)
    starts : sequence of int
        The position of each chunk's first row among all rows.
    n_rows : int
        The number of all rows.

    Attributes
    ----------
    positions : ndarray of int
        The positions of the own rows among all rows, chunk by chunk.
    starts : ndarray of int
        The number of own rows before each chunk.
    """

    def __init__(self, chunks: Sequence[Any], starts: Sequence[int], n_rows: int):
        self.chunks = [chunk.tocsr() if sp.issparse(chunk) else chunk for chunk in chunks]
        self.n_rows = n_rows
        lengths = [chunk.shape[0] for chunk in self.chunks]
        parts = [np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
        self.positions = np.concatenate([np.empty(0, np.int64), *parts])
        self.starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]

    def __len__(self) -> int:
        return len(self.positions)

    def numbers(self) -> np.ndarray:
        """Return the number of each of all rows among the own rows; -1 for rows of others."""
        numbers = np.full(self.n_rows, -1, np.int32 if self.n_rows < 1 << 31 else np.int64)
        numbers[self.positions] = np.arange(len(self))
        return numbers

    def chunks_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the position of the chunk of each row."""
        return np.searchsorted(self.starts, numbers, side="right") - 1


class ShardBatches(BatchSource):
    """The own rows of each of the batches that `Batches` makes of all rows.

    The parameters are those of `Batches`, but for:

    Parameters
    ----------
    shards : Shards
    targets : DenseTargets, SparseTargets or ClassTargets
        The targets of the own rows.
    weight : ndarray or None
        The weights of the own rows.
    share : Share
        Is told the rows of each batch.
    """

    def __init__(
        self,
        shards: Shards,
        targets,
        weight,
        batch_size: int,
        rng: np.random.Generator | None,
        dtype: np.dtype,
        share: Share,
        *,
        sparse: bool = False,
        rows: np.ndarray | None = None,
    ):
        if not len(shards):
            raise ValueError("A member needs at least one row, and its chunks have none.")
        if targets.shape[0] != len(shards):
            raise ValueError(f"{len(shards)} rows need as many targets, not {targets.shape[0]}.")
        self.shards = shards
        self.targets = targets
        self.weight = weight
        self.batch_size = batch_size
        self.rng = rng
        self.dtype = np.dtype(dtype)
        self.share = share
        self.rows = rows
        self.n_rows = shards.n_rows if rows is None else len(rows)
        self._numbers = shards.numbers()
        self.is_sparse = any(sp.issparse(chunk) for chunk in shards.chunks)
        self.stays_sparse = sparse and self.is_sparse
        n_columns = shards.chunks[0].shape[1]
        n_at_most = 0 if self.stays_sparse else batch_size
        self._X = np.empty((n_at_most, n_columns), dtype)
        self._Y = np.empty((batch_size, targets.shape[1]), dtype)
        self._weight = None if weight is None else np.empty(batch_size, dtype)
        if hasattr(targets, "take_share"):
            targets.take_share(share)
        self.bind(numpy_kernels)

    def bind(self, kernels) -> None:
        self._kernels = kernels

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    @property
    def follows_progress(self):
        return getattr(self.targets, "follows_progress", False)

    def begin_step(self, progress):
        self.targets.begin_step(progress)

    def __iter__(self):
        return self.starting_at(0)

    def starting_at(self, first):
        order = self.rows
        if self.rng is not None:
            order = self.rng.permutation(self.n_rows if order is None else order)
        return self._gathered(order, first)

    def inputs(self):
        # As in Batches: with random numbers that nobody else draws.
        order = self.rows
        if self.rng is not None:
            rng = np.random.default_rng(0)
            order = rng.permutation(self.n_rows if order is None else order)
        return (self._gather_X(*rows) for rows in self._rows_of_batches(order))

    def _gathered(self, order: np.ndarray | None, first: int) -> Iterator[tuple]:
        for rows in self._rows_of_batches(order, first):
            n = len(rows[0])
            X = self._gather_X(*rows)
            Y = self.targets.gather(rows[0], self._Y[:n], self._kernels)
            weight = self.weight
            if weight is not None:
                weight = np.take(weight, rows[0], out=self._weight[:n], mode="clip")
            yield X, Y, weight

    def _rows_of_batches(self, order: np.ndarray | None, first: int = 0) -> Iterator[tuple]:
        """Yield the own rows of every batch from number `first` on.

        They are given by their numbers, their chunks, and their positions in the chunks.

        Sets: the rows of the share.
        """
        numbers = self._numbers if order is None else self._numbers[order]
        places = np.flatnonzero(numbers >= 0)
        numbers, batches = numbers[places], places // self.batch_size
        chunks, n_chunks = self.shards.chunks_of(numbers), len(self.shards.chunks)
        if n_chunks > 1:  # rows of one chunk follow one another
            together = np.argsort(batches * n_chunks + chunks, kind="stable")
            places, numbers, chunks = places[together], numbers[together], chunks[together]
        local = numbers - self.shards.starts[chunks]
        bounds = np.searchsorted(batches, np.arange(len(self) + 1)).tolist()
        self.order = self.shards.positions[numbers]
        empty = [start for start, stop in pairwise(bounds) if start == stop]
        if empty:  # a row that stands in for none has the position -1
            self.order = np.insert(self.order, empty, -1)
        one = np.zeros(1, np.int64)
        for i in range(first, len(self)):
            start, own = i * self.batch_size, slice(bounds[i], bounds[i + 1])
            n_rows, n_own = min(self.batch_size, self.n_rows - start), own.stop - own.start
            if n_own:
                self.share.take(places[own] - start, n_rows, n_own)
                yield numbers[own], chunks[own], local[own]
            else:
                self.share.take(one, n_rows, 0)
                yield one, self.shards.chunks_of(one), one

    def _gather_X(self, numbers: np.ndarray, chunks: np.ndarray, local: np.ndarray):
        cuts = (np.flatnonzero(chunks[1:] != chunks[:-1]) + 1).tolist()
        pieces, of_chunks = [], self.shards.chunks
        for a, b in pairwise([0, *cuts, len(chunks)]):
            chunk, rows = of_chunks[chunks[a]], local[a:b]
            if self.stays_sparse:
                pieces.append(chunk[rows].astype(self.dtype, copy=False))
            elif self.is_sparse:
                chunk[rows].astype(self.dtype, copy=False).toarray(out=self._X[a:b])
            elif chunk.flags.c_contiguous and chunk.dtype == self.dtype:
                # NumPy copies an array as a whole if it is not aligned, as arrays from Dask may be,
                # so that rows are taken as bytes.
                out = self._X[a:b].view(np.uint8)
                chunk.view(np.uint8).take(rows, axis=0, out=out, mode="clip")
            else:
                self._X[a:b] = chunk[rows]
        if not self.stays_sparse:
            return self._X[: len(chunks)]
        return pieces[0] if len(pieces) == 1 else sp.vstack(pieces, format="csr")
