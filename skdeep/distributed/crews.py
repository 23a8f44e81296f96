"""A crew at work: members are replaced if some are lost, and if the cluster changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skdeep._component import warn_user
from skdeep.distributed.checks import sendable
from skdeep.distributed.cluster import ClusterError
from skdeep.distributed.crew import Crew, MemberLostError
from skdeep.distributed.host import Plan
from skdeep.distributed.listener import Listener
from skdeep.distributed.members.member import Control, State, for_members
from skdeep.distributed.rows.placement import Placement, longest_share, place, rows_to_move

if TYPE_CHECKING:
    from skdeep.distributed.trainer import ClusterBatches, ClusterTrainer

# The seconds that new members take to begin.
_SECONDS_TO_BEGIN = 0.5
# The seconds between two looks at who is in the cluster.
_SECONDS_BETWEEN_LOOKS = 1.0
# Training may end early, so that a move of chunks has to pay within this number of epochs.
_EPOCHS_AHEAD = 10


class Crews:
    """The crews of a run, one after another: a context.

    The state of the client's run is that after the last epoch, and a new crew begins with it.

    Parameters
    ----------
    batches : ClusterBatches
    n_epochs : int
        The number of epochs of the call.
    """

    def __init__(self, batches: ClusterBatches, n_epochs: int):
        self.batches, self.n_epochs = batches, n_epochs
        self.chunks = batches.source.chunks
        self.cluster = self.chunks.cluster
        self.retries = batches.source.options.retries
        self._crew: Crew | None = None
        self._placement: Placement = {}
        self._seen: set[str] = set()
        self._looked_at = 0.0
        self._seconds = 0.0  # of an epoch
        # The weights that the members have; None for those of the client's network.
        self._sent: np.ndarray | None = None

    def __enter__(self) -> Crews:
        return self

    def __exit__(self, *error: Any) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """End the members, if there are any."""
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.close()

    # An epoch -------------------------------------------------------------------------------------

    def train_epoch(self, trainer: ClusterTrainer, until: int | None) -> tuple[State, Any, Any]:
        """Train an epoch, or up to a batch of it; begin again with others if members are lost.

        Return the state, the last gradient, and the outputs of the epoch, if the trainer needs
        them.
        """

        def train(crew: Crew) -> tuple[State, Any, Any]:
            begin, n_before = time.monotonic(), trainer.batches_done
            trainer.listener = Listener(trainer)
            control = Control.of(trainer, self._sent)
            state, gradient = crew.train_epoch(control, until, trainer.listener.hear)
            n_after = len(self.batches) if state.within is None else state.within.n_batches
            part = (n_after - n_before) / len(self.batches)
            self._seconds = (time.monotonic() - begin) / part
            outputs = None if trainer.outputs is None else crew.outputs_of_epoch()
            return state, gradient, outputs

        state, gradient, outputs = self._with_crew(trainer, train, self._prepare)
        self._sent = state.values
        return state, gradient, outputs

    def measure_statistics(self, trainer: ClusterTrainer, values: np.ndarray) -> np.ndarray:
        """Return values with batch norm's running statistics for all training rows."""
        return self._with_crew(
            trainer, lambda crew: crew.measure_statistics(values), self._ensure_crew
        )

    def _with_crew(self, trainer: ClusterTrainer, work: Callable, prepare: Callable) -> Any:
        for attempt in range(1, self.retries + 2):
            try:
                prepare(trainer)
                return work(self._crew)
            except MemberLostError as error:
                self.dismiss()
                where, done = f"epoch {trainer.epoch_of_run + 1}", trainer.batches_done
                if attempt > self.retries:
                    raise ClusterError(
                        f"Training failed {attempt} times in {where}, and retries={self.retries}. "
                        f"The last time, {error}."
                    ) from error
                again = f"continues after batch {done}" if done else "begins again"
                warn_user(f"In {where}, {error}. The epoch {again} with the workers that are left.")
            except BaseException as error:
                if not isinstance(error, KeyboardInterrupt):  # which `stop` follows
                    self.dismiss()
                raise
        raise AssertionError

    def stop(self) -> State | None:
        """End the running epoch; return the state after the last step, if it is known."""
        state = None if self._crew is None else self._crew.stop()
        self.dismiss()
        return state

    # The crew -------------------------------------------------------------------------------------

    def _prepare(self, trainer: ClusterTrainer) -> None:
        """Have a crew, with new workers if they pay."""
        if self._pays_to_change(trainer):
            self.dismiss()
        self._ensure_crew(trainer)

    def _ensure_crew(self, trainer: ClusterTrainer) -> None:
        if self._crew is not None:
            return
        self.chunks.wait()
        self._placement = self._placed()
        plan = sendable(self._plan(trainer))
        self._crew = Crew(self.chunks, self._placement, plan, self.batches.share_of)
        self._sent = None

    def _placed(self) -> Placement:
        workers = self.cluster.some_workers()
        self._seen, self._looked_at = set(workers), time.monotonic()
        return place(self.chunks.n_rows, self.chunks.holders(), workers)

    def _pays_to_change(self, trainer: ClusterTrainer) -> bool:
        """Whether chunks should move to workers that have joined the cluster."""
        if self._crew is None or time.monotonic() < self._looked_at + _SECONDS_BETWEEN_LOOKS:
            return False
        self._looked_at = time.monotonic()
        if set(self.cluster.ready()) <= self._seen:
            return False
        old, new = self._placement, self._placed()
        n_rows = self.chunks.n_rows
        saved = 1 - longest_share(new, n_rows) / longest_share(old, n_rows)
        n_epochs = min(self.n_epochs - trainer.epoch, _EPOCHS_AHEAD)
        n_bytes = self.chunks.row_bytes * rows_to_move(new, n_rows, self.chunks.holders())
        seconds = _SECONDS_TO_BEGIN + n_bytes / self.cluster.bandwidth()
        return saved * self._seconds * n_epochs > seconds

    def _plan(self, trainer: ClusterTrainer) -> Plan:
        batches = self.batches
        return Plan(
            *for_members(trainer.run, trainer.settings),
            batch_size=batches.batch_size,
            shuffle=batches.shuffles,
            sparse=batches.sparse and batches.source.is_sparse,
            rows=batches.rows,
            n_epochs=self.n_epochs,
            local_steps=batches.source.options.local_steps,
            stages=trainer.stages,
            keeps_steps=trainer.listens_to_steps,
            keeps_gradient=trainer.listens_to_gradient,
            keeps_outputs=trainer.outputs is not None,
        )
