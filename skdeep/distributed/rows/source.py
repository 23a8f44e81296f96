"""The source that stands for X on the client: its rows are on the workers of a cluster."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from skdeep.data.sources.base import Source
from skdeep.data.sources.rows import chosen_rows, positions_of, stacked
from skdeep.data.validation import split_rows
from skdeep.distributed.checks import dumps
from skdeep.distributed.rows.chunks import Chunks
from skdeep.distributed.rows.placement import place
from skdeep.distributed.rows.probes import encode, infer, learn, merge, rows_at
from skdeep.distributed.trainer import ClusterBatches, ClusterTrainer
from skdeep.network import Network

if TYPE_CHECKING:
    from distributed import Future

    from skdeep.distributed.trainer import Options
    from skdeep.tabular.encoding.encoder import TabularEncoder


class ClusterRows(Source):
    """Rows in the memory of the workers of a cluster.

    Parameters
    ----------
    chunks : Chunks
    options : Options
        The options of training.
    """

    trainer_class = ClusterTrainer

    def __init__(self, chunks: Chunks, options: Options):
        self.chunks = chunks
        self.options = options
        self.shape = int(chunks.bounds[-1]), chunks.n_columns
        self.dtype = chunks.dtype
        self.is_sparse = chunks.is_sparse
        names = chunks.columns
        if names is not None and any(isinstance(column, str) for column in names):
            self.feature_names = names
        self.rows: np.ndarray | None = None
        self._jobs: list[_Job] | None = None

    def __getitem__(self, rows):
        some = copy.copy(self)
        some.rows, some._jobs = self.positions(positions_of(rows, self.shape[0])), None
        some.shape = len(some.rows), self.shape[1]
        return some

    def positions(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the positions of rows, or of all rows, among the rows of the chunks."""
        if self.rows is None:
            return np.arange(self.shape[0]) if rows is None else rows
        return self.rows if rows is None else self.rows[rows]

    def astype(self, dtype):
        dtype = np.dtype(dtype)
        if self.chunks.largest > float(np.finfo(dtype).max):
            raise ValueError(
                f"Input {self.chunks.name} contains infinity or a value too large for {dtype!r}: "
                f"the largest absolute value is {self.chunks.largest:.3g}."
            )
        other = copy.copy(self)
        other.dtype = dtype
        return other

    def transform(self, transformer: TabularEncoder) -> ClusterRows:
        """Return the encoded rows: each worker encodes its own. These rows are used up."""
        sent = self.chunks.cluster.send(transformer)
        token = joblib.hash(transformer)
        return ClusterRows(self.chunks.mapped(encode, sent, token=token), self.options)

    def fitted(self, transformer: TabularEncoder, sample_weight=None) -> TabularEncoder:
        """Return a fitted copy of an encoder: each worker learns from its own rows."""
        chunks, cluster = self.chunks, self.chunks.cluster
        starts = chunks.bounds
        if sample_weight is not None:
            starts = np.concatenate([[0], np.cumsum(sample_weight > 0)])[starts]
        encoder = cluster.send(clone(transformer))

        def submit() -> list[Future]:
            learned = []
            for i, future in enumerate(chunks.futures):
                own = slice(*chunks.bounds[i : i + 2])
                weight = None if sample_weight is None else sample_weight[own]
                about = weight, int(starts[i]), chunks.label(i)
                learned.append(cluster.submit(learn, encoder, future, *about))
            while len(learned) > 1:
                pairs = [learned[i : i + 2] for i in range(0, len(learned), 2)]
                learned = [cluster.submit(merge, *pair) for pair in pairs]
            return learned

        return chunks.computed(submit)[0]

    def take(self, rows):
        chunks, dtype = self.chunks, self.dtype
        parts = chunks.split(self.positions(rows))
        blocks = chunks.computed(
            lambda: [
                chunks.cluster.submit(rows_at, chunks.futures[i], local, dtype)
                for i, _, local in parts
            ]
        )
        if not blocks:
            return self._no_rows()
        order = np.argsort(np.concatenate([places for _, places, _ in parts]))
        return chosen_rows(stacked(blocks), order)

    def _no_rows(self) -> Any:
        none = np.empty((0, self.shape[1]), self.dtype)
        return sp.csr_matrix(none) if self.is_sparse else none

    def check(self) -> None:
        """Do nothing: the chunks were checked when their rows were counted."""

    def fingerprint(self):
        return [self.chunks.token, self.chunks.n_rows, str(self.dtype), self.rows]

    def split_rows(self, n_rows, fraction, seed, stratify):
        return split_rows(n_rows, fraction, seed, stratify)

    def batches(self, targets, weight, batch_size, rng, dtype, *, sparse=False, rows=None):
        return ClusterBatches(
            self, targets, weight, batch_size, rng, dtype, sparse=sparse, rows=rows
        )

    def outputs(self, network: Network) -> np.ndarray:
        """Return the raw outputs of a network for all rows: each worker computes those it holds."""
        chunks, cluster = self.chunks, self.chunks.cluster
        text = dumps(network)

        def submit() -> list[Future]:
            if self._jobs is None:
                self._jobs = self._jobs_of_workers()
            sent = cluster.send(text)
            return [
                cluster.submit(infer, sent, [chunks.futures[i] for i in job.chunks], job.rows)
                for job in self._jobs
            ]

        blocks = chunks.computed(submit)
        Z = np.empty((self.shape[0], network.n_outputs), network.dtype)
        for job, block in zip(self._jobs, blocks, strict=True):
            Z[job.places] = block
        return Z

    def _jobs_of_workers(self) -> list[_Job]:
        """Return the rows of each worker, if chunks stay where they are."""
        chunks = self.chunks
        parts = {i: (places, local) for i, places, local in chunks.split(self.positions())}
        n_rows = [len(parts[i][0]) if i in parts else 0 for i in range(len(chunks))]
        jobs = []
        for some in place(n_rows, chunks.holders(), chunks.cluster.some_workers()).values():
            own = [i for i in some if i in parts]
            rows = [None if self.rows is None else parts[i][1] for i in own]
            jobs.append(_Job(own, rows, np.concatenate([parts[i][0] for i in own])))
        return jobs


class _Job(NamedTuple):
    """Rows of some chunks: their positions in each chunk, and their places in the result."""

    chunks: list[int]
    rows: list[np.ndarray | None]
    places: np.ndarray
