"""What distributions need of Optuna, which is imported if it is used."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, needs


def optuna_distributions() -> Any:
    """Return the module `optuna.distributions`."""
    try:
        return import_module("optuna.distributions")
    except ImportError as error:
        who = "The conversion to Optuna"
        raise ImportError(f"{needs(who, 'optuna', 'optuna')} ({error})") from error


def converted(given: Any, what: str) -> Any:
    """Return the nearest distribution of Optuna to one of skdeep, of SciPy or of Optuna."""
    if hasattr(given, "to_optuna"):
        return given.to_optuna()
    optuna = optuna_distributions()
    if isinstance(given, optuna.BaseDistribution):
        return given
    kind = getattr(getattr(given, "dist", None), "name", None)
    if kind in ("uniform", "loguniform", "reciprocal", "randint"):
        low, high = given.support()
        if kind == "uniform":
            return optuna.FloatDistribution(float(low), float(high))
        if kind == "randint":
            return optuna.IntDistribution(int(low), int(high))
        if given.kwds.get("loc", 0) == 0 and len(given.args) < 3:
            return optuna.FloatDistribution(float(low), float(high), log=True)
    raise InvalidParameterError(
        f"{what}={given!r} has no counterpart in Optuna; give uniform, loguniform (loc=0) or "
        "randint of scipy.stats, a distribution of skdeep.model_selection or of Optuna, or a list "
        "of values."
    )


def categorical(values: Iterable[Any]) -> Any:
    """Return Optuna's distribution over some values, each once."""
    different = _different(values)
    for i, value in enumerate(different):
        if _place(different, copy.deepcopy(value)) != i:
            raise InvalidParameterError(
                f"Optuna copies choices and finds them by ==, so it can't find {value!r} among "
                f"{different!r}. Give None, numbers, text or tuples that differ, or use "
                "skdeep.model_selection.suggest, which takes any value."
            )
    with warnings.catch_warnings():
        # Optuna warns of values that storages can't keep; the documentation of to_optuna does too.
        warnings.simplefilter("ignore", UserWarning)
        return optuna_distributions().CategoricalDistribution(different)


def _different(values: Iterable[Any]) -> list[Any]:
    """Return values without repetitions; scalars of NumPy become Python's numbers."""
    found: dict[Any, Any] = {}
    for value in values:
        value = value.item() if isinstance(value, np.generic) else value
        found.setdefault((type(value), value) if _is_plain(value) else id(value), value)
    return list(found.values())


def _is_plain(value: Any) -> bool:
    """Whether all storages of Optuna keep a value."""
    return value is None or (isinstance(value, (bool, int, float, str)) and value == value)


def _place(values: list[Any], value: Any) -> int | None:
    """Return the place where Optuna finds a value, or None if the comparison fails."""
    try:
        return values.index(value)
    except ValueError:  # an array is neither equal nor different
        return None


def labels_of(values: Iterable[Any]) -> dict[Any, Any]:
    """Return values by labels that all storages of Optuna keep.

    The labels are the values themselves if these are None, bool, int, float or str, and can be told
    apart. The others' are texts, the same ones in every process.
    """
    different = _different(values)
    if all(_is_plain(v) and _place(different, v) == i for i, v in enumerate(different)):
        return {value: value for value in different}
    labelled: dict[Any, Any] = {}
    for value in different:
        text = label = _text(value)
        n = 1
        while label in labelled:
            n += 1
            label = f"{text} #{n}"
        labelled[label] = value
    return labelled


def _text(value: Any) -> str:
    """Return a short text for a value, without addresses in memory."""
    text = getattr(value, "__qualname__", None) or repr(value)
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())[:200]


def suggest_native(trial: Any, name: str, distribution: Any) -> Any:
    """Let a trial suggest a parameter with one of Optuna's distributions."""
    if isinstance(distribution, optuna_distributions().CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    is_integer = isinstance(distribution, optuna_distributions().IntDistribution)
    suggest = trial.suggest_int if is_integer else trial.suggest_float
    options = {"step": distribution.step, "log": distribution.log}
    return suggest(name, distribution.low, distribution.high, **options)
