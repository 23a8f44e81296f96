"""Checks before training on a cluster, each of which names the place of a fault."""

from __future__ import annotations

from typing import Any

from skdeep._component import InvalidParameterError
from skdeep.building.checks import check_callbacks, uses_lbfgs
from skdeep.callbacks import Callback
from skdeep.distributed.host import Plan
from skdeep.estimators.base import BaseMLP
from skdeep.tabular.base import BaseTabular


def check_estimator(estimator: Any) -> None:
    """Raise if an estimator can't be trained on a cluster."""
    if not isinstance(estimator, (BaseMLP, BaseTabular)):
        given = estimator.__name__ if isinstance(estimator, type) else repr(estimator)
        raise InvalidParameterError(
            f"estimator={given} is not allowed; give an instance of MLPClassifier, MLPRegressor, "
            "MultiTaskMLP, TabularClassifier or TabularRegressor."
        )
    for callback in check_callbacks(estimator.callbacks):
        check_callback(callback)
    if isinstance(estimator, BaseMLP):
        _check_network(estimator)


def _check_network(estimator: BaseMLP) -> None:
    if estimator._targets_are_inputs:
        raise InvalidParameterError(
            f"{type(estimator).__name__} can't be trained on a cluster: its targets are X itself, "
            "which is on the workers, and targets have to be on the client."
        )
    if uses_lbfgs(estimator):
        raise InvalidParameterError(
            "solver='lbfgs' takes all rows at once, and a cluster trains batch by batch: choose "
            "another solver, such as 'adam'."
        )
    if estimator.augment is not None:
        raise InvalidParameterError(
            f"augment={estimator.augment!r} is for rows in memory: on a cluster, no process has "
            "all rows of a batch. Set augment=None, and change the chunks of X, with X.map_blocks."
        )


def check_callback(callback: Callback) -> None:
    """Raise if a callback needs what the client does not have."""
    if callback.every_gradient:
        raise InvalidParameterError(
            f"{callback!r} looks at the gradient of every step, and on a cluster the gradients are "
            "with the workers. Leave it out, or let it look at the last gradient of each epoch: "
            "every_gradient=False."
        )
    stages = callback.gradient_stages()
    try:
        dumps(stages)
    except Exception as error:
        raise InvalidParameterError(
            f"The gradient stages of {callback!r} run on the workers, and can't be sent there: "
            f"{type(error).__name__}: {error}"
        ) from error


def sendable(plan: Plan) -> bytes:
    """Return the pickle of a plan; raise if a part of it has none."""
    try:
        return dumps(plan)
    except Exception as error:
        what, part = _culprit(plan)
        raise InvalidParameterError(
            f"{what} {part!r} can't be sent to the workers: {type(error).__name__}: {error}. A "
            "part of an estimator must not hold open files, locks or connections."
        ) from error


def _culprit(plan: Plan) -> tuple[str, Any]:
    """Return the part of a plan that can't be pickled, with a word for it."""
    run, network = plan.run, plan.run.network
    parts = [("The layer", layer) for layer in network.layers]
    parts += [("The loss", run.loss), ("The optimizer", run.optimizer)]
    parts += [("The schedule", run.schedule), ("The average", run.average)]
    parts += [("The gradient stage", stage) for stage in plan.stages]
    for what, part in parts:
        try:
            dumps(part)
        except Exception:
            return what, part
    return "The run", run


def dumps(thing: Any) -> bytes:
    """Return the pickle of a thing, with the code of classes of the user's program."""
    import cloudpickle

    return cloudpickle.dumps(thing)
