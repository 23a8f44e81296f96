"""Parameters of parts that are given by name: `solver__momentum` beside solver="sgd"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from skdeep._component import (
    Component,
    InvalidParameterError,
    is_per_layer,
    resolve,
    unknown_name,
)
from skdeep.augmentation import AUGMENTATIONS
from skdeep.averages import AVERAGES
from skdeep.building.options import OPTIONS
from skdeep.initializers import INITIALIZERS
from skdeep.layers import nested
from skdeep.layers.nested import PARTS
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skdeep.optimizers import OPTIMIZERS
from skdeep.schedules import SCHEDULES
from skdeep.tasks import Task

# For each option: the parts that names stand for. Losses of both tasks that share a name have no
# parameters.
_FAMILIES: Mapping[str, Mapping[str, Callable[..., Component]]] = {
    "solver": OPTIMIZERS,
    "learning_rate": SCHEDULES,
    "loss": {**CLASSIFICATION_LOSSES, **REGRESSION_LOSSES},
    **PARTS,
    "initializer": INITIALIZERS,
    "weight_averaging": AVERAGES,
    "augment": AUGMENTATIONS,
}
# Names that stand for no part.
_WITHOUT_PARAMETERS = ("auto", "lbfgs")
# The options that hold several parts. A path leads to each: `layers__0__units`.
WITH_PARTS = ("layers", "tasks")
_OF_SOLVERS = ("momentum", "nesterovs_momentum", "beta_1", "beta_2", "rho", "epsilon")


def defaults_of(option: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constants of a part given by name that other hyperparameters set."""
    if option == "solver":  # the trainer adds the estimator's weight_decay
        return {name: values[name] for name in _OF_SOLVERS} | {"weight_decay": 0.0}
    return {"power_t": values["power_t"]} if option == "learning_rate" else {}


def with_instances(estimator: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of set_params, completed with the instances whose parameters they set.

    If a part is given by name, here or earlier, it becomes the instance that the name stands for.
    """
    values = {**vars(estimator), **params}
    instances = {}
    for key in params:
        option, delimiter, inner = key.partition("__")
        value = instances.get(option, values.get(option))
        if not delimiter or option not in OPTIONS or option not in values or option in WITH_PARTS:
            continue
        if option in instances or not hasattr(value, "set_params"):
            instances[option] = _with_parameter(option, value, inner.partition("__")[0], values)
    return {**params, **instances, **_in_tasks(values.get("tasks"), params)}


def _in_tasks(tasks: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the instances of parts of tasks whose parameters are set, by their paths."""
    paths = [path for path in params if path.startswith("tasks__")]
    if not paths:
        return {}
    held = {**nested.opened({"tasks": tasks}, ["tasks"]), **params}
    instances: dict[str, Any] = {}
    for path in paths:
        _, key, inner = path.split("__", 2) if path.count("__") > 1 else ("", "", "")
        option, delimiter, _ = inner.partition("__")
        task, of_option = held.get(f"tasks__{key}"), f"tasks__{key}__{option}"
        if delimiter and isinstance(task, Task):
            given = {**params, **instances}
            own = {option: given[of_option]} if of_option in given else {}
            part = with_instances(task, {**own, inner: params[path]}).get(option)
            if isinstance(part, Component):
                instances[of_option] = part
    return instances


def _with_parameter(option: str, value: Any, inner: str, values: Mapping[str, Any]) -> Component:
    """Return the part that `value` is or stands for; raise if it does not have this parameter."""
    part = value if isinstance(value, Component) else _named(option, value, inner, values)
    known = sorted(part.get_params(deep=False))
    if inner not in known:
        given = values[option]
        raise InvalidParameterError(
            f"{option}={given!r} has no parameter {inner!r}"
            + (f"; choose from {known}." if known else ", and no others.")
        )
    return part


def _named(option: str, value: Any, inner: str, values: Mapping[str, Any]) -> Component:
    choices = _FAMILIES.get(option, {})
    if isinstance(value, str) and value in choices:
        return resolve(value, choices, option, Component, defaults_of(option, values))
    if isinstance(value, str) and choices and value not in _WITHOUT_PARAMETERS:
        raise InvalidParameterError(unknown_name(value, choices, option))
    if is_per_layer(value):
        raise InvalidParameterError(
            f"{option}__{inner} can't be set while {option}={value!r} has several entries; give "
            "one value for all, or instances with the parameters that you want."
        )
    advice = f"a name of {sorted(choices)} or an instance" if choices else "an instance that has it"
    raise InvalidParameterError(
        f"{option}={value!r} has no parameter {inner!r}; set {option} to {advice}."
    )
