"""A member of a training run of several processes, each of which has some of the rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdeep.averages import WeightAverage
from skdeep.callbacks import Callback
from skdeep.distributed.members.local import LocalSteps
from skdeep.distributed.members.ring import TIMEOUT, Address, Contexts, Ring, address_of, listen
from skdeep.distributed.members.shards import ShardBatches, Shards
from skdeep.distributed.members.share import Share, SharedLoss
from skdeep.kernels import choose
from skdeep.optimizers import Optimizer
from skdeep.schedules import Progress, Schedule
from skdeep.training.history import new_history
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import EpochSoFar, Run
from skdeep.training.settings import Settings
from skdeep.training.stages import ReduceGradient
from skdeep.training.threads import threads_for
from skdeep.training.trainer import Trainer


def for_members(run: Run, settings: Settings) -> tuple[Run, Settings]:
    """Return the run and the settings without the parts that only the client needs, to be sent."""
    lean = copy.copy(run)
    lean.monitor, lean.history, lean.memories = Monitor(0.0, math.inf, False), new_history(), []
    lean.last_vectors = None
    return lean, replace(settings, hyperparameters={}, numbers={})


@dataclass(frozen=True)
class Control:
    """The state of the client's trainer that an epoch depends on, and that may have changed.

    `flags` says of every parameter whether it is frozen, and its factor of the learning rate.
    `values` is None if the members have the values of the client's network.
    """

    epoch: int
    epochs_before: int
    rows_seen: int
    begins_fit: bool
    horizon: int
    learning_rate_init: float
    schedule: Schedule
    flags: list[tuple[bool, float]]
    values: np.ndarray | None

    @classmethod
    def of(cls, trainer: Trainer, sent: np.ndarray | None = None) -> Control:
        """Return the state of a trainer before an epoch, given the values that members have."""
        vector = trainer.network.parameters
        is_new = sent is not None and not np.array_equal(sent, vector.values)
        return cls(
            trainer.epoch,
            trainer.epochs_before,
            trainer.run.rows_seen,
            trainer._begins_fit,
            trainer.horizon,
            trainer.learning_rate_init,
            trainer.schedule,
            [(p.frozen, p.multiplier) for p in vector.parameters],
            vector.values.copy() if is_new else None,
        )

    def give(self, trainer: Trainer) -> None:
        """Give a trainer this state."""
        self._give_flags(trainer)
        if self.values is not None:
            np.copyto(trainer.network.parameters.values, self.values)
        run = trainer.run
        run.epoch, run.rows_seen = self.epoch, self.rows_seen
        run.epochs_before = trainer.epochs_before = self.epochs_before
        trainer._begins_fit = self.begins_fit
        trainer.horizon = self.horizon
        trainer.learning_rate_init = self.learning_rate_init
        run.schedule = trainer.schedule = self.schedule

    def _give_flags(self, trainer: Trainer) -> None:
        parameters = trainer.network.parameters.parameters
        if self.flags == [(p.frozen, p.multiplier) for p in parameters]:
            return
        for parameter, flag in zip(parameters, self.flags, strict=True):
            parameter.frozen, parameter.multiplier = flag
        trainer.rearrange()


@dataclass(frozen=True)
class State:
    """The state of a run after an epoch of the members, and what the epoch showed.

    `loss` is the mean objective of the epoch; None in the middle of one, whose part that is done is
    `within`.
    """

    loss: float | None
    learning_rate: float
    gradient_norm: float
    rows_seen: int
    values: np.ndarray
    optimizer: Optimizer
    average: WeightAverage | None
    streams: Streams
    progress: Progress
    within: EpochSoFar | None

    @classmethod
    def of(cls, trainer: Trainer, loss: float | None) -> State:
        """Return the state of a trainer after an epoch, or in the middle of one."""
        run = trainer.run
        return cls(
            loss,
            trainer.learning_rate,
            trainer.gradient_norm,
            run.rows_seen,
            run.network.parameters.values,
            run.optimizer,
            run.average,
            run.streams,
            trainer._progress,
            run.within,
        )

    def give(self, trainer: Trainer) -> float | None:
        """Give a trainer this state, in the arrays that users may hold; return the loss."""
        run = trainer.run
        run.learning_rate, run.rows_seen = self.learning_rate, self.rows_seen
        run.within = self.within
        trainer.gradient_norm, trainer._progress = self.gradient_norm, self.progress
        np.copyto(run.network.parameters.values, self.values)
        optimizer, n_steps = trainer.optimizer, self.optimizer.n_steps_
        optimizer.n_steps_, optimizer.slots_ = n_steps, self.optimizer.slots_
        optimizer._update = None
        if self.average is not None:
            vars(run.average).update(vars(self.average))
            trainer.has_averaged = self.average.n_averaged_ > 0
        for name in ("shuffle", "noise"):
            state = getattr(self.streams, name).bit_generator.state
            getattr(run.streams, name).bit_generator.state = state
        return self.loss


class MemberTrainer(Trainer):
    """The trainer of a member: its steps are those of whole batches, or local steps."""

    def __init__(
        self,
        run: Run,
        settings: Settings,
        share: Share,
        callbacks: Sequence[Callback] = (),
        local_steps: int | None = None,
        keeps_outputs: bool = False,
    ):
        self.share = share
        self.local = None if local_steps is None else LocalSteps(local_steps, share, run)
        super().__init__(
            run,
            replace(settings, mode="resumed"),
            callbacks=callbacks,
            stages=[self.local or ReduceGradient(share, run.network.parameters)],
            measure=self._keep if keeps_outputs else None,
        )
        if self.local is None:
            self.loss = SharedLoss(run.loss, share)

    def _keep(self, Z: np.ndarray, order: np.ndarray) -> dict[str, float]:
        """Keep the positions of the own rows of an epoch, and copies of their raw outputs."""
        is_own = order >= 0
        self.kept = order[is_own], Z[is_own]
        return {}

    def train_batch(self, X, Y, weight):
        loss = super().train_batch(X, Y, weight)
        if self.local is not None:
            self.local.note(loss)
        return loss

    def train_epoch(self, batches, until=None):
        if self.local is not None:
            self.local.begin_epoch()
        loss = super().train_epoch(batches, until)
        if loss is None:
            return None
        if self.local is not None:
            self.local.average()
            loss = self.local.mean_loss()
        if self.outputs is not None:
            self.outputs.figures()
        return loss

    def open(self, batches: ShardBatches, kernels) -> None:
        """Allocate buffers until `close`."""
        self._batches, self.n_batches = batches, len(batches)
        batches.bind(kernels)
        self._begin_session(batches.batch_size, self.rng, kernels)
        self._start_optimizer()

    def _begin_session(self, n_rows, rng, kernels):
        if self.local is None:
            self.network.parameters.make_zeros = self.share.zeros
        super()._begin_session(n_rows, rng, kernels)
        self.network.take_share(self.share)

    def close(self) -> None:
        """Release the buffers."""
        self._end_session()
        self.network.parameters.make_zeros = None

    @contextmanager
    def frame(self):
        """Compute as `fit` computes."""
        largest = self.network.largest_product(self._batches.batch_size)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"), threads_for(largest):
            yield


class Member:
    """A process that trains with others, and its rows.

    Parameters
    ----------
    chunks : sequence of (ndarray or CSR matrix)
        The own rows of X. They are not copied.
    starts : sequence of int
        The position of each chunk's first row among all rows.
    n_rows : int
        The number of all rows.

    Attributes
    ----------
    ring : Ring or None
    shards : Shards
    """

    def __init__(self, chunks: Sequence[Any], starts: Sequence[int], n_rows: int):
        self.shards = Shards(chunks, starts, n_rows)
        self.ring: Ring | None = None
        self._listener = None
        self._trainer: MemberTrainer | None = None

    def listen(self, host: str = "127.0.0.1") -> Address:
        """Listen at a free port of this host; return host and port."""
        self._leave()
        self._listener = listen(host)
        return address_of(self._listener)

    def join(
        self,
        rank: int,
        addresses: Sequence[Address],
        token: str,
        timeout: float = TIMEOUT,
        contexts: Contexts | None = None,
    ) -> None:
        """Connect to the other members, which have to do so at the same time; see `Ring`."""
        listener, self._listener = self._listener, None
        self.ring = Ring(rank, addresses, listener, token, timeout, contexts)

    def begin(
        self,
        run: Run,
        settings: Settings,
        targets: Any,
        weight: np.ndarray | None,
        batch_size: int,
        *,
        shuffle: bool,
        sparse: bool = False,
        rows: np.ndarray | None = None,
        callbacks: Sequence[Callback] = (),
        n_epochs: int | None = None,
        local_steps: int | None = None,
        keeps_outputs: bool = False,
    ) -> None:
        """Get ready to train.

        Parameters
        ----------
        run : Run
            Equal in all members, with an optimizer, a schedule and the random streams.
        settings : Settings
        targets, weight
            Those of the own rows, as for `Batches`.
        batch_size : int
            The number of rows of a batch of all members.
        shuffle : bool
        sparse : bool
            Whether batches of a CSR matrix stay sparse.
        rows : ndarray of int or None
            The positions of the rows to train on among all rows.
        callbacks : sequence of Callback
            Equal in all members.
        n_epochs : int or None
            The number of epochs, which decides on the kernels. None stands for the horizon.
        local_steps : int or None
            The number of steps that each member does on its own rows before all members average
            their weights. None stands for steps of whole batches.
        keeps_outputs : bool
            Whether `outputs_of_epoch` is called after each epoch.
        """
        self._end()
        share = Share(self.ring, is_local=local_steps is not None)
        if hasattr(targets, "rng"):  # one generator serves all noise
            targets.rng = run.streams.noise
        batches = ShardBatches(
            self.shards,
            targets,
            weight,
            batch_size,
            run.streams.shuffle if shuffle else None,
            run.network.dtype,
            share,
            sparse=sparse,
            rows=rows,
        )
        trainer = MemberTrainer(run, settings, share, callbacks, local_steps, keeps_outputs)
        n_epochs = settings.n_epochs if n_epochs is None else n_epochs
        longest = trainer.horizon if settings.is_part else n_epochs
        seconds = longest * len(batches) * run.network.seconds_a_step(batch_size)
        trainer.open(batches, choose(seconds))
        self._trainer, self._batches = trainer, batches

    def train_epoch(self, control: Control, until: int | None = None) -> State | None:
        """Do the steps of one epoch, with the other members; return the state on rank 0.

        With `until`, stop before the batch of this number; the next call continues the epoch. This
        is for steps of whole batches, without outputs of epochs.
        """
        trainer = self._trainer
        try:
            control.give(trainer)
            trainer.run.show_raw()
            with trainer.frame():
                loss = trainer.train_epoch(self._batches, until)
        except BaseException:  # the other members need not wait for this one
            self.ring.close()
            raise
        if loss is not None:
            trainer.run.epoch += 1
        return State.of(trainer, loss) if self.ring.rank == 0 else None

    def outputs_of_epoch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of own rows in X, and their raw outputs in the last epoch."""
        return self._trainer.kept

    def measure_statistics(self, values: np.ndarray) -> np.ndarray:
        """Return values with batch norm's running statistics for all rows that are trained on."""
        trainer, batches, share = self._trainer, self._batches, self._batches.share
        is_local, share.is_local = share.is_local, False
        try:
            with trainer.frame(), self._holding(values) as network:
                network.measure_statistics(
                    batches.inputs(), batches.batch_size, trainer._kernels, share
                )
                return network.parameters.values.copy()
        except BaseException:
            self.ring.close()
            raise
        finally:
            share.is_local = is_local

    @contextmanager
    def _holding(self, values: np.ndarray):
        """Let the network hold other values for a while."""
        network = self._trainer.network
        own = network.parameters.values
        kept = own.copy()
        np.copyto(own, values)
        try:
            yield network
        finally:
            np.copyto(own, kept)

    def _end(self) -> None:
        trainer, self._trainer, self._batches = self._trainer, None, None
        if trainer is not None:
            trainer.close()

    def _leave(self) -> None:
        ring, self.ring = self.ring, None
        if ring is not None:
            ring.close()

    def close(self) -> None:
        """Drop the run and the connections; other members that wait for this one fail."""
        self._leave()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._end()
