"""The base class of callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skdeep._component import Component

if TYPE_CHECKING:
    from skdeep.training.stages import GradientStage
    from skdeep.training.trainer import Trainer


class Callback(Component):
    """Base class: a subclass overrides the hooks that it needs.

    Every hook is given the trainer, with `epoch` (epochs done in this run), `history`, `network`,
    `optimizer` and `learning_rate`. With `trainer.stop_training = True` a callback ends training
    after the epoch, and with `trainer.record(name=number)` its hook `on_epoch_end` adds a column
    to the history. The state of a callback is in attributes that end with an underscore.

    Attributes
    ----------
    runs_last : bool
        Whether its hooks are called after those of other callbacks.
    writes_files : bool
        Whether it writes files, or sends data elsewhere. `skdeep.load` leaves such callbacks out.
    needs_run_id : bool
        Whether it needs `trainer.run_id`, which is computed from all data.
    changes_course : bool
        Whether it changes the result of training, and does not just watch.
    every_gradient : bool
        Whether `on_gradient` is called in every step. This costs one more pass over the gradient
        in each step.
    """

    runs_last = False
    needs_run_id = False
    writes_files = False
    changes_course = False
    every_gradient = False

    def gradient_stages(self) -> list[GradientStage]:
        """Return stages that change the gradient in every step: see skdeep.training.stages."""
        return []

    @staticmethod
    def remembers(name: str) -> bool:
        """Whether an attribute of this name belongs to the state of a callback."""
        return name.endswith("_") and not name.startswith("_")

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before an epoch, or before the rest of one that a resumed run continues.

        In the second case, `trainer.batches_done` is not 0.
        """

    def on_batch_end(self, trainer: Trainer) -> None:
        """After a step: its batch of `trainer.batch_rows` rows had the loss `trainer.batch_loss`.

        With solver="lbfgs" there are no steps, only epochs (its iterations).
        """

    def on_gradient(self, trainer: Trainer) -> None:
        """Before an epoch's last step, when its gradients are in the network's parameters.

        With `every_gradient`, before every step.
        """

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After an epoch, when its figures are in the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch, with the best weights restored."""

    def on_error(self, trainer: Trainer) -> None:
        """If training ends with an error, in place of on_train_end: to close open files."""
