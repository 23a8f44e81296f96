"""Checks of the estimators' hyperparameters, before training, and questions about their values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from skdeep._component import (
    InvalidParameterError,
    Limit,
    check_number,
    is_named,
    is_per_layer,
    parameters_of,
    unknown_name,
)
from skdeep.augmentation import steps_of
from skdeep.building.options import OPTIONS, Option
from skdeep.callbacks import Callback
from skdeep.schedules import Scheduled


def uses_lbfgs(estimator: Any) -> bool:
    """Whether solver is "lbfgs", the only one that is not an Optimizer."""
    return is_named(estimator.solver, "lbfgs")


def is_transfer(warm_start: Any) -> bool:
    """Whether warm_start is "transfer", which keeps only the hidden layers."""
    return is_named(warm_start, "transfer")


def continues_exactly(estimator: Any) -> bool:
    """Whether warm_start is "continue": fit continues exactly where the last fit ended."""
    return is_named(estimator.warm_start, "continue")


def is_set(estimator: Any, name: str) -> bool:
    """Whether a parameter has a value other than its default."""
    value, default = getattr(estimator, name), default_of(type(estimator), name)
    return value is not default and (type(value) is not type(default) or value != default)


def default_of(cls: type, name: str) -> Any:
    """Return the default of a parameter of an estimator."""
    # A subclass of the user's own may leave parameters out.
    for owner in cls.__mro__:
        parameters = parameters_of(owner.__init__)
        if name in parameters:
            return parameters[name].default
    raise KeyError(name)


def check_mixing(augment: Any, loss: Any, what: str) -> None:
    """Raise InvalidParameterError if an augmentation mixes classes, and a loss can't learn that."""
    mixes = any(getattr(step, "mixes_targets", False) for step in steps_of(augment))
    if mixes and not loss.gives_probabilities:
        raise InvalidParameterError(
            f"augment={augment!r} mixes classes, which {what} can't learn; choose a loss that "
            "gives probabilities, such as 'log_loss'."
        )


def check_options(estimator: Any) -> None:
    """Raise InvalidParameterError for the first hyperparameter that is not allowed."""
    for name, option in OPTIONS.items():
        if hasattr(estimator, name):
            _check_option(option, getattr(estimator, name))
    _check_warm_start(estimator.warm_start)
    check_verbose(estimator.verbose)
    steps_of(estimator.augment)
    check_callbacks(estimator.callbacks)


def _check_option(option: Option, value: Any) -> None:
    if option.limit is not None:
        _check_limit(option, option.limit, value)
    if option.choices is not None:
        may_be_several = option.goes_by_layer or option.by_output
        for entry in value if may_be_several and is_per_layer(value) else [value]:
            _check_choice(option.name, entry, option.choices)
    if option.switch and not _is_bool(value):
        raise InvalidParameterError(f"{option.name}={value!r} is not allowed; give True or False.")


def _check_limit(option: Option, limit: Limit, value: Any) -> None:
    is_sequence = option.goes_by_layer and is_per_layer(value)
    for entry in value if is_sequence else [value]:
        if option.scheduled and isinstance(entry, Scheduled):
            check_number(entry, limit, option.name)
        elif not limit.allows(entry):
            allowed = str(limit)
            if option.goes_by_layer:
                allowed += ", or a sequence with one such entry for each hidden layer"
            raise InvalidParameterError(f"{option.name}={value!r} is not allowed; give {allowed}.")


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _check_warm_start(value: Any) -> None:
    if not (_is_bool(value) or is_transfer(value) or is_named(value, "continue")):
        raise InvalidParameterError(
            f"warm_start={value!r} is not allowed; give True, False, 'continue' or 'transfer'."
        )


def check_verbose(value: Any) -> None:
    """Raise if `verbose` is not allowed."""
    is_name = is_named(value, "progress")
    is_level = isinstance(value, (bool, np.bool_, int, np.integer)) and value >= 0
    if not is_name and not is_level:
        raise InvalidParameterError(
            f"verbose={value!r} is not allowed; give True, False, an integer >= 0 or 'progress'."
        )


def _check_choice(name: str, value: Any, choices: tuple) -> None:
    if any(value is c or (isinstance(value, str) and value == c) for c in choices):
        return
    if isinstance(value, str):
        raise InvalidParameterError(unknown_name(value, [c for c in choices if c], name))
    raise InvalidParameterError(f"{name}={value!r} is not allowed; choose from {list(choices)}.")


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Return the callbacks as a list."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, (list, tuple)) or not all(
        isinstance(c, Callback) for c in callbacks
    ):
        raise InvalidParameterError(
            f"callbacks={callbacks!r} is not allowed; give a list of skdeep.callbacks.Callback "
            "instances."
        )
    return list(callbacks)


def sizes_in_text(text: str) -> list[int] | None:
    """Return the integers in a text as "(64, 32)"; None for any other text.

    The databases of searches keep text, but no tuples.
    """
    is_tuple = re.fullmatch(r"\d+|\((\d+, ?)*(\d+)?\)", text)
    return [int(units) for units in re.findall(r"\d+", text)] if is_tuple else None


def check_hidden_layer_sizes(sizes: Any) -> list[int]:
    """Return the numbers of units of the hidden layers."""
    if isinstance(sizes, str) and (in_text := sizes_in_text(sizes)) is not None:
        return check_hidden_layer_sizes(in_text)
    if isinstance(sizes, str):
        raise InvalidParameterError(
            f"hidden_layer_sizes={sizes!r} is not allowed; give integers >= 1. A loss is given by "
            "its keyword: loss=..."
        )
    is_sequence = is_per_layer(sizes) or (hasattr(sizes, "__getitem__") and np.ndim(sizes) == 1)
    entries = list(sizes) if is_sequence else [sizes]
    limit = Limit(1, integer=True)
    if not all(limit.allows(entry) for entry in entries):
        numbers = all(isinstance(e, (int, np.integer)) for e in entries)
        if numbers:  # scikit-learn's words
            raise InvalidParameterError(f"hidden_layer_sizes must be > 0, got {entries}.")
        raise InvalidParameterError(
            f"hidden_layer_sizes={sizes!r} is not allowed; give an integer >= 1, or a sequence of "
            "them, one for each hidden layer."
        )
    return [int(entry) for entry in entries]
