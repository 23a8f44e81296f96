"""The Callback to subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skdeep._component import Component

if TYPE_CHECKING:
    from skdeep.training.trainer import Trainer


class Callback(Component):
    """Base class: a subclass overrides the hooks that it needs.

    Every hook is given the trainer, with `epoch` (epochs done in this run), `history`, `network`,
    `optimizer` and `learning_rate`; setting `trainer.stop_training = True` ends training with
    the epoch. What a callback remembers stands in attributes that end with an underscore.

    Attributes
    ----------
    runs_last : bool
        Whether its hooks come after those of the callbacks that don't say so.
    writes_files : bool
        Whether it writes to the disk, or to elsewhere. `skdeep.load` leaves such callbacks out.
    needs_run_id : bool
        Whether it needs `trainer.run_id`, which takes a look at all data.
    changes_course : bool
        Whether it has a say in what is learned, beside watching it.
    every_gradient : bool
        Whether `on_gradient` is called in every step, which then takes one more pass over the
        gradient.
    """

    runs_last = False
    needs_run_id = False
    writes_files = False
    changes_course = False
    every_gradient = False

    def gradient_stages(self) -> list:
        """Return stages that change the gradient in every step: see skdeep.training.stages."""
        return []

    @staticmethod
    def remembers(name: str) -> bool:
        """Whether an attribute of this name is something that a callback remembers."""
        return name.endswith("_") and not name.startswith("_")

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before an epoch."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """After a step, whose batch of `trainer.batch_rows` rows had the loss `trainer.batch_loss`.

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
        """Where training ends with an error, in place of on_train_end: to close what is open."""
