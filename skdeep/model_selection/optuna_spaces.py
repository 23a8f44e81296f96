"""Spaces of parameters for Optuna: converted as a whole, or suggested one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skdeep._component import InvalidParameterError
from skdeep.model_selection.conditions import Conditions, check_space
from skdeep.model_selection.distributions import Choice, Conditional
from skdeep.model_selection.optuna_parts import converted, optuna_distributions, suggest_native


def to_optuna(param_distributions: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a space of parameters for `OptunaSearchCV` of optuna-integration.

    | given | converted to | what is lost |
    | --- | --- | --- |
    | `LogIntUniform`, `uniform`, `loguniform`, `randint` | Float or Int | nothing |
    | `OneMinusLogUniform` | Categorical, with values evenly spaced on its scale | values in between, the order |
    | `LayerSizes` of one layer | Int | nothing |
    | other `LayerSizes` | Categorical, with at most 40 texts as "(64, 32)" | widths in between, the order |
    | `Choice`, a list | Categorical | weights, the order of numbers |
    | `Conditional` | its distribution | the condition: the parameter is always drawn |

    In the storage of a study in a database, Categorical keeps None, bool, int, float and str. If
    other values are given, Optuna warns of tuples and reads them as lists, and fails for objects.
    Tuples for `hidden_layer_sizes` are converted to text, which the estimators understand.
    `suggest` has none of these limits.

    Parameters
    ----------
    param_distributions : dict
        Distributions of skdeep, of SciPy (`uniform`, `loguniform`, `randint`) or of Optuna, or
        lists of values, by the names of parameters.

    Returns
    -------
    dict
        Distributions of Optuna by the names of parameters.
    """  # noqa: E501
    check_space(param_distributions)
    return {key: _converted(key, given) for key, given in param_distributions.items()}


def suggest(
    trial: Any, param_distributions: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Let a trial of Optuna suggest the parameters of an estimator.

    Optuna's parameters have the name of the estimator's parameter, and these in place of it:

    | distribution | Optuna's parameters |
    | --- | --- |
    | `OneMinusLogUniform` | "1 - momentum", on a logarithmic scale |
    | `LayerSizes` | "hidden_layer_sizes depth"; "... shape"; "... units 1" and so on; "... narrowing", from 0 (the last layer of a pyramid has the width of the first) to 1 (the least width) |
    | `Choice`, a list | texts, for values that storages can't keep |

    A parameter whose `Conditional` does not hold is not suggested. The only thing that is lost are
    the weights of `Choice`: a sampler tries all choices alike until it has results.

    All parameters can be kept in a database, and read again: if `trial` is a finished one, like
    `study.best_trial`, its parameters are returned.

    Parameters
    ----------
    trial : optuna.trial.Trial, FrozenTrial or FixedTrial
    param_distributions : dict
        As in `to_optuna`.
    defaults : dict or None, default=None
        The parameters of the estimator, `estimator.get_params()`. They count for conditions on
        parameters that are not searched.

    Returns
    -------
    dict
        For `estimator.set_params`.
    """  # noqa: E501
    if not hasattr(trial, "suggest_categorical"):
        raise InvalidParameterError(f"trial={trial!r} is not allowed; give a trial of Optuna.")
    conditions = Conditions(param_distributions, defaults)
    drawn: dict[str, Any] = {}
    for key in conditions.order:
        if conditions.hold(key, drawn):
            drawn[key] = _suggested(trial, key, param_distributions[key])
    return {key: drawn[key] for key in param_distributions if key in drawn}


def _plain(given: Any) -> Any:
    """Return a distribution without conditions; values become a Choice."""
    given = given.innermost if isinstance(given, Conditional) else given
    is_optunas = isinstance(given, optuna_distributions().BaseDistribution)
    return given if hasattr(given, "rvs") or is_optunas else Choice(given)


def _converted(key: str, given: Any) -> Any:
    given = _plain(given)
    if isinstance(given, Choice) and key.rpartition("__")[2] == "hidden_layer_sizes":
        given = given.with_text_for_tuples()
    return converted(given, key)


def _suggested(trial: Any, key: str, given: Any) -> Any:
    given = _plain(given)
    if hasattr(given, "suggest"):
        return given.suggest(trial, key)
    return suggest_native(trial, key, converted(given, key))
