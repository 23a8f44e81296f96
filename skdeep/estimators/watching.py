"""Support for scikit-learn's own callbacks, which came with its version 1.9."""

from __future__ import annotations

import copy
from typing import Any

from skdeep.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:
        """Replaces the mixin of scikit-learn, if it has none."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "begin", "bridge", "end", "with_callbacks"]


def begin(estimator: Any, X: Any, y: Any, metadata: dict) -> Any | None:
    """Begin the task of fitting; return its context, or None if no callback watches."""
    if not (hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")):
        return None
    context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=metadata)
    return context


def end(estimator: Any, context: Any | None, X: Any, y: Any, metadata: dict) -> None:
    """End the task of fitting."""
    if context is not None:
        context.call_on_fit_task_end(
            estimator=estimator,
            X=X,
            y=y,
            metadata=metadata,
            reconstruction_attributes=lambda: _fitted_attributes(estimator),
        )


def bridge(estimator: Any, context: Any | None, X: Any, y: Any, metadata: dict) -> list[Callback]:
    """Return the callback that makes a task of every epoch, if a callback watches."""
    return [] if context is None else [_Bridge(estimator, context, X, y, metadata)]


class _Bridge(Callback):
    """Makes every epoch a task; a hook that returns True ends training."""

    def __init__(self, estimator, context, X, y, metadata):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y
        self.metadata = metadata

    def on_epoch_begin(self, trainer):
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(
            estimator=self.estimator, X=self.X, y=self.y, metadata=self.metadata
        )

    def on_epoch_end(self, trainer):
        stops = self._task.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            metadata=self.metadata,
            reconstruction_attributes=lambda: self._attributes(trainer),
        )
        if stops:
            trainer.stop_training = True

    def _attributes(self, trainer) -> dict[str, Any]:
        """Return the fitted attributes, as if training ended now."""
        return _fitted_attributes(self.estimator.as_if_ended(trainer))


def _fitted_attributes(estimator: Any) -> dict[str, Any]:
    """Return copies of the attributes that fit has set."""
    parameters = estimator.get_params(deep=False)
    attributes = {
        name: value
        for name, value in vars(estimator).items()
        if name not in parameters and "callback" not in name
    }
    return copy.deepcopy(attributes)
