"""The steps of the members, as the callbacks on the client hear of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skdeep.training.run import EpochSoFar

if TYPE_CHECKING:
    from skdeep.distributed.crew import Steps
    from skdeep.distributed.trainer import ClusterTrainer


class Listener:
    """Tells the callbacks of steps that the members have done.

    The last step before a state is told when the trainer has this state. At the others, the weights
    are those of the state before.
    """

    def __init__(self, trainer: ClusterTrainer):
        self._trainer = trainer
        self._n_told = trainer.batches_done
        self._held: Steps = []

    def hear(self, steps: Steps) -> None:
        """Take note of steps; tell of all but the last."""
        steps = self._held + steps
        self._tell(steps[:-1])
        self._held = steps[-1:]

    def end(self) -> None:
        """Tell of the last step."""
        self._tell(self._held)

    def _tell(self, steps: Steps) -> None:
        trainer, within = self._trainer, self._trainer.run.within
        shown = EpochSoFar(trainer.run.streams.shuffle)
        for trainer.batch_loss, trainer.batch_rows, trainer.run.learning_rate in steps:
            self._n_told += 1
            if trainer.batches_done != self._n_told:
                shown.n_batches, trainer.run.within = self._n_told, shown
            try:
                trainer.tell_of_step()
            finally:
                trainer.run.within = within
