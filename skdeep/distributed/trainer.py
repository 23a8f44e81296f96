"""The trainer on the client, whose epochs are done by members on the workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdeep._component import InvalidParameterError
from skdeep.callbacks import ModelCheckpoint
from skdeep.distributed.checks import check_callback
from skdeep.distributed.crews import Crews
from skdeep.schedules import Progress
from skdeep.training.batches import BatchSource
from skdeep.training.history import record
from skdeep.training.trainer import DivergenceError, Trainer, overrides

if TYPE_CHECKING:
    from skdeep.distributed.listener import Listener
    from skdeep.distributed.rows.source import ClusterRows


@dataclass(frozen=True)
class Options:
    """The options of training on a cluster, as `skdeep.distributed.fit` describes them."""

    retries: int = 3
    local_steps: int | None = None
    snapshot_every: int | None = None


class ClusterBatches(BatchSource):
    """The batches of rows on a cluster, which only the members gather.

    The parameters are those of `Batches`, with a source in the place of X.
    """

    def __init__(
        self,
        source: ClusterRows,
        targets: Any,
        weight: np.ndarray | None,
        batch_size: int,
        rng: np.random.Generator | None,
        dtype: np.dtype,
        *,
        sparse: bool,
        rows: np.ndarray | None,
    ):
        self.source = source
        self.targets = targets
        self.weight = weight
        self.batch_size = batch_size
        self.shuffles = rng is not None
        self.dtype = dtype
        self.sparse = sparse
        self.n_rows = source.shape[0] if rows is None else len(rows)
        #: The positions of the rows to use among all rows of the chunks; None stands for all.
        self.rows = rows if source.rows is None else source.positions(rows)

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of rows of the chunks in the source, 0 for rows that it has not."""
        if self.source.rows is None:
            return rows
        places = np.zeros(self.source.chunks.bounds[-1], np.int64)
        places[self.source.rows] = np.arange(len(self.source.rows))
        return places[rows]

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    @property
    def follows_progress(self):
        return getattr(self.targets, "follows_progress", False)

    def begin_step(self, progress: Progress) -> None:
        self.targets.begin_step(progress)

    def share_of(self, rows: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Return the targets and the weights of some rows."""
        own = self.places(rows)
        return self.targets.take(own), None if self.weight is None else self.weight[own]


class ClusterTrainer(Trainer):
    """A trainer that leaves the steps to members, and does the rest on the client.

    The parameters are those of `Trainer`.

    Attributes
    ----------
    listener : Listener
        Tells the callbacks of the steps of the members.
    """

    listener: Listener

    def __init__(self, *args: Any, callbacks: Sequence[Any] = (), **options: Any):
        for callback in callbacks:
            check_callback(callback)
        super().__init__(*args, callbacks=callbacks, **options)

    def fit(self, batches: BatchSource, n_epochs: int) -> None:
        self._check_snapshots(batches)
        with Crews(batches, n_epochs) as self._crews:
            super().fit(batches, n_epochs)

    def _check_snapshots(self, batches: ClusterBatches) -> None:
        """Find out how often a state is needed within epochs; raise if there can't be one."""
        options = batches.source.options
        given = [options.snapshot_every]
        given += [c.every_n_batches for c in self.callbacks if isinstance(c, ModelCheckpoint)]
        self._intervals = [every for every in given if every is not None]
        if not self._intervals:
            return
        what = f"snapshot_every={options.snapshot_every}"
        if options.snapshot_every is None:
            what = f"ModelCheckpoint(every_n_batches={self._intervals[0]})"
        if options.local_steps is not None:
            raise InvalidParameterError(
                f"{what} and local_steps={options.local_steps} exclude each other: within an epoch "
                "of local steps, each worker has weights of its own."
            )
        if self.outputs is not None:
            raise InvalidParameterError(
                f"{what} and metrics exclude each other: the metrics of an epoch need all its "
                "outputs, and those before a snapshot are with workers that may die."
            )

    def _begin_session(self, n_rows, rng, kernels):
        # No batch passes through the network of the client, so its buffers have one row.
        super()._begin_session(1, rng, kernels)
        self._session = n_rows, rng, kernels
        self._gradient_listeners = [c for c in self.callbacks if overrides(c, "on_gradient")]

    @property
    def listens_to_steps(self) -> bool:
        """Whether a callback looks at the steps."""
        return bool(self._batch_listeners)

    @property
    def listens_to_gradient(self) -> bool:
        """Whether a callback looks at the last gradient of an epoch."""
        return bool(self._gradient_listeners)

    def tell_of_step(self) -> None:
        """Tell the callbacks of a step."""
        self._call(self._batch_listeners, "on_batch_end")

    def train_epoch(self, batches: BatchSource, until: int | None = None) -> float | None:
        while True:
            stop = self._next_snapshot(len(batches), until)
            loss = self._train_part(batches, stop)
            if loss is not None or self.batches_done == until:
                return loss

    def _next_snapshot(self, n_batches: int, until: int | None) -> int | None:
        """Return the number of batches up to the next state; None for the rest of the epoch."""
        done = self.batches_done
        stops = [(done // every + 1) * every for every in self._intervals]
        stop = min(stops if until is None else [*stops, until], default=n_batches)
        return None if stop >= n_batches else stop

    def _train_part(self, batches: ClusterBatches, until: int | None) -> float | None:
        """Let the members train up to a batch; bring their state here."""
        try:
            state, gradient, outputs = self._crews.train_epoch(self, until)
        except KeyboardInterrupt:
            state = self._crews.stop()
            if state is not None:  # as in a process of its own, the steps so far count
                state.give(self)
            raise
        except DivergenceError:
            self.run.epoch += 1
            record(self.history, loss=math.nan, learning_rate=self.learning_rate)
            raise
        if outputs is not None:
            rows, Z = outputs
            batches.order = batches.places(rows)
            self.outputs.take(Z)
        if gradient is not None and state.loss is not None:
            self._show_gradient(gradient, state.gradient_norm)
        loss = state.give(self)
        self.listener.end()
        return loss

    def _show_gradient(self, gradient: tuple[np.ndarray, np.ndarray], norm: float) -> None:
        """Tell the callbacks of the last gradient of an epoch."""
        values, grads = gradient
        np.copyto(self.network.parameters.values, values)
        np.copyto(self.network.parameters.grads, grads)
        self.gradient_norm = norm
        self.tell("on_gradient")

    def _measure_statistics(self) -> None:
        if self.network.batch_norms():
            values = self.network.parameters.values
            np.copyto(values, self._crews.measure_statistics(self, values))
