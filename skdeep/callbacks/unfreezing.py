"""GradualUnfreezing, which lets frozen layers train, from the top down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

from skdeep._component import InvalidParameterError, Limit
from skdeep.callbacks.base import Callback
from skdeep.network import hidden_groups, parameters_of


class GradualUnfreezing(Callback):
    """Lets frozen hidden layers train, from the top down, after given numbers of epochs.

    Each time the optimizer starts again, as its state belongs to other parameters. When fit is
    called again, `frozen_layers` are frozen again.

    Parameters
    ----------
    epochs : int, sequence of int or dict
        After this number of epochs, the topmost frozen hidden layer begins to train. With a
        sequence, one layer begins to train after each of its numbers. A dict also gives the number
        of layers: `{4: 2, 8: "all"}`.
    multiplier : float, default=1.0
        The factor of the learning rate of these layers: once for the layers of the first time,
        twice for those of the second time, and so on, as lower layers need smaller steps.

    References
    ----------
    Howard and Ruder (2018), "Universal language model fine-tuning for text classification".
    """

    changes_course = True
    _limits = {"multiplier": Limit(0, closed="(]")}

    def __init__(self, epochs, multiplier: float = 1.0):
        self.epochs = epochs
        self.multiplier = multiplier

    def on_train_begin(self, trainer):
        self.check()
        plan = self._plan()
        if trainer.optimizer is None:
            raise InvalidParameterError(
                "GradualUnfreezing is for solvers that train step by step; solver='lbfgs' does not."
            )
        if trainer.first_of_fit and plan and not self._frozen_layers(trainer.network):
            raise InvalidParameterError(
                "GradualUnfreezing: no layer is frozen; set frozen_layers=..."
            )

    def on_epoch_begin(self, trainer):
        plan, done = self._plan(), trainer.epochs_before + trainer.epoch
        if done not in plan or trainer.batches_done:  # the file of a running epoch has it already
            return
        frozen = self._frozen_layers(trainer.network)
        n_layers = len(frozen) if plan[done] == "all" else plan[done]
        if not frozen or not n_layers:
            return
        times = 1 + sorted(plan).index(done)
        for layer in frozen[::-1][:n_layers]:
            for parameter in layer:
                parameter.frozen = False
                parameter.multiplier *= self.multiplier**times
        trainer.rearrange()

    def _plan(self) -> dict[int, int | str]:
        """Return the number of layers that begin to train, for each number of epochs done."""
        epochs = self.epochs
        if isinstance(epochs, Mapping):
            plan = dict(epochs)
        else:
            is_sequence = isinstance(epochs, Sequence) and not isinstance(epochs, str)
            plan = dict.fromkeys(epochs if is_sequence else [epochs], 1)
        for epoch, n_layers in plan.items():
            counts = [epoch] if n_layers == "all" else [epoch, n_layers]
            if not all(
                isinstance(n, Integral) and not isinstance(n, bool) and n >= 0 for n in counts
            ):
                raise InvalidParameterError(
                    f"GradualUnfreezing epochs={epochs!r} is not allowed; give an integer >= 0, a "
                    'list of them, or a dict from such integers to a number of layers or "all".'
                )
        return plan

    @staticmethod
    def _frozen_layers(network) -> list[list]:
        """Return the frozen parameters of each hidden layer that has some, from the bottom."""
        groups = hidden_groups(network.layers, network.hidden_stops)
        frozen = [[p for p in parameters_of(group) if p.frozen] for group in groups]
        return [parameters for parameters in frozen if parameters]
