"""From the tasks of a `MultiTaskMLP` to its heads and its loss."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

import numpy as np
from sklearn.base import clone

from skdeep._component import InvalidParameterError, one_copy_of_each
from skdeep.building.architecture import layers_below_output
from skdeep.building.losses import classification_loss, n_quantiles, regression_loss
from skdeep.joint_losses import ClassWeighted, JointLoss, Measured
from skdeep.layers import Layer, Output
from skdeep.layers.base import layer_entries
from skdeep.layers.heads import Heads, Tap
from skdeep.losses import Loss
from skdeep.network import hidden_position
from skdeep.tasks import Classification, Regression, Task

# Tasks ------------------------------------------------------------------------------------------


def listed_tasks(tasks: Any) -> list[tuple[str | None, Any]]:
    """Return (name, task) for each entry of `tasks`; a task without a name has None."""
    if isinstance(tasks, Mapping):
        return list(tasks.items())
    if not isinstance(tasks, (list, tuple)):
        raise InvalidParameterError(_about(tasks))
    return [
        tuple(entry) if isinstance(entry, (list, tuple)) and len(entry) == 2 else (None, entry)
        for entry in tasks
    ]


def _about(tasks: Any) -> str:
    return (
        f"tasks={tasks!r} is not allowed; give a dict from name to task, such as "
        "{'kind': Classification(), 'size': Regression()}, with tasks from skdeep.tasks."
    )


def named_tasks(tasks: Any, keys: Sequence) -> dict[str, Task]:
    """Return checked copies of the tasks by name; bare tasks have the names of the columns of y."""
    entries = listed_tasks(tasks)
    if not entries:
        raise InvalidParameterError(_about(tasks))
    bare: dict[str, Any] = {}
    if all(name is None for name, _ in entries):
        if len(keys) != len(entries):
            raise InvalidParameterError(
                f"tasks has {len(entries)} tasks without names, but y has {len(keys)} columns; "
                "give a dict from name to task."
            )
        entries = [(str(key), task) for key, (_, task) in zip(keys, entries, strict=True)]
        bare = dict(zip((name for name, _ in entries), keys, strict=True))
    names = [name for name, _ in entries]
    for i, (name, task) in enumerate(entries):
        if not isinstance(task, (Classification, Regression)):
            raise InvalidParameterError(
                f"tasks: {name!r} is {task!r}; give an instance of skdeep.tasks.Classification or "
                "skdeep.tasks.Regression."
            )
        if not isinstance(name, str) or not name or "__" in name or name in names[:i]:
            raise InvalidParameterError(
                f"tasks: the name {name!r} is not allowed; give each task a name of its own, as "
                "text without '__'."
            )
    with one_copy_of_each():
        named = {name: clone(task) for name, task in entries}
    for name, task in named.items():
        task.check(f"tasks__{name}")
        task.columns = bare.get(name) if task.columns is None else task.columns
    _check_together(named.values())
    return named


def _check_together(tasks: Collection[Task]) -> None:
    """Raise if there is nothing to predict, or nothing to learn."""
    if all(task.training_only for task in tasks):
        raise InvalidParameterError(
            "tasks: all tasks have training_only=True, so that there is nothing to predict; set "
            "training_only=False in one of them."
        )
    if not any(task.loss_weight for task in tasks):
        raise InvalidParameterError(
            "tasks: all tasks have loss_weight=0, so that there is nothing to learn; give one of "
            "them a number > 0."
        )


def places_of(tasks: Mapping[str, Task], keys: Sequence, is_array: bool) -> dict[str, Any]:
    """Return the key of each task's column in y, or a list of keys."""
    are_given = [task.columns is not None for task in tasks.values()]
    if is_array and not any(are_given):
        if len(keys) != len(tasks):
            raise ValueError(
                f"y has {len(keys)} columns for {len(tasks)} tasks; give one column for each task "
                "in the order of the tasks, or positions with the parameter `columns` of each."
            )
        return dict(zip(tasks, keys, strict=True))
    if is_array and not all(are_given):
        raise InvalidParameterError(
            "tasks: y is an array, and some tasks name their `columns` and others do not; give "
            "positions for all of them, or for none."
        )
    return {
        name: _key(name if task.columns is None else task.columns, name)
        for name, task in tasks.items()
    }


def _key(columns: Any, name: str) -> Any:
    if isinstance(columns, (str, int, np.integer)):
        return columns
    is_ordered = hasattr(columns, "__iter__") and not isinstance(columns, (Set, Mapping))
    keys = list(columns) if is_ordered else [None]
    if not keys or None in keys or len(set(keys)) < len(keys):
        raise InvalidParameterError(
            f"tasks__{name}__columns={columns!r} is not allowed; give the name of a column of y, "
            "or a list of different names."
        )
    return keys


# Layers -----------------------------------------------------------------------------------------


def build_layers_with_heads(
    estimator: Any, tasks: Mapping[str, Task], widths: Sequence[int]
) -> tuple[list[Layer], list[int]]:
    """Return new layers, the heads included, and the position after each hidden layer."""
    layers, stops, output = layers_below_output(estimator)
    n_hidden = len(stops)
    names = _hidden_names(estimator, n_hidden)
    places = [hidden_position(task.at, names, f"tasks__{key}__at") for key, task in tasks.items()]
    if max(places) < n_hidden - 1:
        raise InvalidParameterError(
            f"tasks: the highest head hangs on hidden layer {max(places)}, so that the layers "
            f"above it have no use; the network has {n_hidden} hidden layers. Give one task "
            "at=-1, or leave out the upper layers."
        )
    taps = {place: Tap() for place in sorted(set(places)) if place < n_hidden - 1}
    for place, tap in reversed(taps.items()):
        layers.insert(stops[place], tap)
        stops[place + 1 :] = [stop + 1 for stop in stops[place + 1 :]]
    with one_copy_of_each():  # a layer may be in several heads
        branches = [
            [*_own_layers(name, task), _with_own(output, task).dense(width)]
            for (name, task), width in zip(tasks.items(), widths, strict=True)
        ]
    layers.append(Heads(list(tasks), branches, [taps.get(place) for place in places]))
    return layers, stops


def _hidden_names(estimator: Any, n_hidden: int) -> list[str | None]:
    """Return the names of the hidden layers; None for one without a name."""
    listed = [] if estimator.layers is None else layer_entries(estimator.layers, "layers")
    names = [name for name, _ in listed[:n_hidden]]  # an Output may follow
    return names or [None] * n_hidden


def _own_layers(name: str, task: Task) -> list:
    """Return copies of a head's own layers, as pairs if they have names."""
    given = [] if task.layers is None else layer_entries(task.layers, f"tasks__{name}__layers")
    return [clone(layer) if own is None else (own, clone(layer)) for own, layer in given]


def _with_own(output: Output, task: Task) -> Output:
    """Return an output layer with the options that the task itself sets."""
    own = {name: getattr(task, name) for name in task.of_output_layer}
    is_default = {name: _is(own[name], value) for name, value in task.of_output_layer.items()}
    set_here = {name: value for name, value in own.items() if not is_default[name]}
    return clone(output).set_params(**set_here)


def _is(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str) and value == default)


# Losses -----------------------------------------------------------------------------------------


def joint_loss(
    tasks: Mapping[str, Task], targets: Mapping[str, Any], class_weights: Mapping[str, Any]
) -> JointLoss:
    """Return the weighted sum of the losses of the tasks.

    Parameters
    ----------
    tasks : dict of Task
    targets : dict of (ClassTask or NumberTask)
    class_weights : dict
        The weights of the classes, for the tasks that have some.
    """
    losses = []
    for name, task in tasks.items():
        try:
            if isinstance(task, Regression):
                losses.append(_of_numbers(task, targets[name]))
            else:
                losses.append(_of_classes(task, targets[name], class_weights.get(name)))
        except InvalidParameterError as error:
            raise InvalidParameterError(f"Task {name!r}: {error}") from error
    widths = [target.n_outputs for target in targets.values()]
    return JointLoss(losses, widths, [float(task.loss_weight) for task in tasks.values()])


def _of_classes(task: Classification, target: Any, class_weights: Any) -> Loss:
    loss = classification_loss(task, target.encoder.kind)
    return Measured(loss) if class_weights is None else ClassWeighted(loss, class_weights)


def _of_numbers(task: Regression, target: Any) -> Loss:
    if (n_quantiles(task.loss) or target.n_targets) != target.n_outputs:
        raise InvalidParameterError(
            f"loss={task.loss!r} needs another number of outputs than the {target.n_outputs} that "
            "the network has; set warm_start=False, and call fit."
        )
    return regression_loss(task, target.n_outputs)
