"""What values the estimators' hyperparameters may have: checked as a whole before training."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from skdeep._component import (
    InvalidParameterError,
    Limit,
    check_limits,
    check_number,
    is_per_layer,
    unknown_name,
)
from skdeep.callbacks import Callback
from skdeep.losses import OUTPUT_ACTIVATIONS

_SHARE = Limit(0, 1, closed="[)")
_POSITIVE = Limit(0, closed="(]")
_NOT_NEGATIVE = Limit(0)
_CLIP = Limit(0, closed="(]", special=(None,))

LIMITS = {
    "batch_norm_momentum": Limit(0, 1),
    "batch_norm_epsilon": _POSITIVE,
    "input_dropout": _SHARE,
    "input_noise": _NOT_NEGATIVE,
    "gradient_noise": _NOT_NEGATIVE,
    "alpha": _NOT_NEGATIVE,
    "l1_ratio": Limit(0, 1),
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "momentum": Limit(0, 1),
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "rho": _SHARE,
    "epsilon": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "clip_norm": _CLIP,
    "clip_value": _CLIP,
    "batch_size": Limit(1, integer=True, special=("auto",)),
    "max_iter": Limit(1, integer=True),
    "max_fun": Limit(1, integer=True),
    "tol": _NOT_NEGATIVE,
    "n_iter_no_change": Limit(1, integer=True, special=(math.inf,)),
    "validation_fraction": _SHARE,
}
CLASSIFIER_LIMITS = {"label_smoothing": _SHARE}
REGRESSOR_LIMITS = {"target_noise": _NOT_NEGATIVE}

PER_LAYER_LIMITS = {
    "dropout": _SHARE,
    "pre_activation_noise": _NOT_NEGATIVE,
    "activation_noise": _NOT_NEGATIVE,
    "weight_noise": _NOT_NEGATIVE,
    "learning_rate_multipliers": _NOT_NEGATIVE,
}
MAY_CHANGE = (
    "dropout",
    "input_dropout",
    "input_noise",
    "pre_activation_noise",
    "activation_noise",
    "weight_noise",
    "gradient_noise",
    "target_noise",
    "weight_decay",
)
SWITCHES = ("batch_norm_input", "nesterovs_momentum", "shuffle", "early_stopping")
REGRESSOR_SWITCHES = ("standardize_y",)
CHOICES = {"batch_norm": (None, "before", "after"), "dtype": ("auto", "float32", "float64")}


def uses_lbfgs(estimator: Any) -> bool:
    """Whether the solver is the one that is not an Optimizer."""
    return isinstance(estimator.solver, str) and estimator.solver == "lbfgs"


def is_transfer(warm_start: Any) -> bool:
    """Whether hidden layers are kept, and what is above them is not."""
    return isinstance(warm_start, str) and warm_start == "transfer"


def is_set(estimator: Any, name: str) -> bool:
    """Whether a parameter has another value than its default."""
    value, default = getattr(estimator, name), _default(type(estimator), name)
    return value is not default and (type(value) is not type(default) or value != default)


def _default(cls: type, name: str) -> Any:
    # A subclass of the user's own may leave parameters out.
    for owner in cls.__mro__:
        parameters = inspect.signature(owner.__init__).parameters
        if name in parameters:
            return parameters[name].default
    raise KeyError(name)


def check_options(estimator: Any) -> None:
    """Raise InvalidParameterError for the first hyperparameter that is not allowed."""
    check_limits(estimator, LIMITS, may_change=MAY_CHANGE)
    own = {**CLASSIFIER_LIMITS, **REGRESSOR_LIMITS}
    own = {k: v for k, v in own.items() if hasattr(estimator, k)}
    check_limits(estimator, own, may_change=MAY_CHANGE)
    for name, limit in PER_LAYER_LIMITS.items():
        _check_per_layer(name, getattr(estimator, name), limit)
    for name in (*SWITCHES, *(name for name in REGRESSOR_SWITCHES if hasattr(estimator, name))):
        value = getattr(estimator, name)
        if not isinstance(value, (bool, np.bool_)):
            raise InvalidParameterError(f"{name}={value!r} is not allowed; give True or False.")
    for name, choices in CHOICES.items():
        _check_choice(name, getattr(estimator, name), choices)
    warm_start = estimator.warm_start
    if not isinstance(warm_start, (bool, np.bool_)) and not is_transfer(warm_start):
        raise InvalidParameterError(
            f"warm_start={warm_start!r} is not allowed; give True, False or 'transfer'."
        )
    verbose = estimator.verbose
    is_text = isinstance(verbose, str)
    if (is_text and verbose != "progress") or not (
        is_text or (isinstance(verbose, (bool, np.bool_, int, np.integer)) and verbose >= 0)
    ):
        raise InvalidParameterError(
            f"verbose={verbose!r} is not allowed; give True, False, an integer >= 0 or 'progress'."
        )
    check_callbacks(estimator.callbacks)


def _check_per_layer(name: str, value: Any, limit: Limit) -> None:
    for entry in value if is_per_layer(value) else [value]:
        if getattr(entry, "is_scheduled_number", False) and name in MAY_CHANGE:
            check_number(entry, limit, name)
        elif not limit.allows(entry):
            raise InvalidParameterError(
                f"{name}={value!r} is not allowed; give {limit}, or a sequence with one such "
                "entry a hidden layer."
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


def check_hidden_layer_sizes(sizes: Any) -> list[int]:
    """Return the numbers of units of the hidden layers."""
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
            "them, one a hidden layer."
        )
    return [int(entry) for entry in entries]


def check_output_activation(name: Any) -> None:
    """Raise where there is no such output activation."""
    _check_choice("output_activation", name, ("auto", *OUTPUT_ACTIVATIONS))
