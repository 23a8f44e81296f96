"""The base of every configurable part: parameters, cloning, and checks that name the culprit.

No other module touches anything private to scikit-learn.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate, pairwise
from numbers import Integral, Real
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, _clone_parametrized, clone
from sklearn.metrics._scorer import _BaseScorer as Scorer
from sklearn.metrics._scorer import _MultimetricScorer as MultimetricScorer
from sklearn.metrics._scorer import _PassthroughScorer as PassthroughScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import _score as scores_of
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures as report_failures
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metaestimators import _safe_split as safe_split
from sklearn.utils.parallel import _get_threadpool_controller as blas_controller
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as number_of_rows

from skdeep._documentation import Documented, see_parameter
from skdeep._words import MISSING, SYNONYMS

__all__ = [
    "BaseSearchCV",
    "Component",
    "InvalidParameterError",
    "Limit",
    "MultimetricScorer",
    "Parametrized",
    "PassthroughScorer",
    "Scorer",
    "blas_controller",
    "check_feature_names_in",
    "check_limits",
    "check_method_params",
    "check_number",
    "check_sample_weight",
    "clone_once",
    "insert_error_scores",
    "is_called_from",
    "is_named",
    "is_pair",
    "is_per_layer",
    "named_parameters",
    "needs",
    "number_of_rows",
    "one_copy_of_each",
    "parameters_of",
    "per_layer",
    "per_layer_and_output",
    "report_failures",
    "resolve",
    "safe_indexing",
    "safe_split",
    "score_function",
    "scores_of",
    "side_by_side",
    "store_parameters",
    "unknown_name",
    "warn_user",
    "wrap_output",
]


class InvalidParameterError(ValueError, TypeError):
    """A hyperparameter has a value or a type that is not allowed."""


class Limit(NamedTuple):
    """The values that a numeric parameter may take: an interval, and a few special values."""

    low: float
    high: float = math.inf
    closed: str = "[]"
    integer: bool = False
    special: tuple = ()

    def allows(self, value: Any) -> bool:
        """Whether `value` is a number in the interval, or one of the special values."""
        if any(value is s or (isinstance(value, type(s)) and value == s) for s in self.special):
            return True
        kind = Integral if self.integer else Real
        if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
            return False
        above = value >= self.low if self.closed[0] == "[" else value > self.low
        below = value <= self.high if self.closed[1] == "]" else value < self.high
        try:
            return bool(above and below and math.isfinite(value))
        except OverflowError:  # an integer beyond all floats
            return False

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a number"
        if math.isinf(self.high):
            text = f"{kind} {'>=' if self.closed[0] == '[' else '>'} {self.low:g}"
        else:
            text = f"{kind} in {self.closed[0]}{self.low:g}, {self.high:g}{self.closed[1]}"
        return " or ".join([text, *map(repr, self.special)])


def check_limits(
    owner: Any, limits: Mapping[str, Limit], prefix: str = "", may_change: Sequence[str] = ()
) -> None:
    """Raise for the first of the owner's numeric parameters that lies outside its limits.

    Those named in may_change may also be Scheduled.
    """
    for name, limit in limits.items():
        value = getattr(owner, name)
        if name in may_change:
            check_number(value, limit, f"{prefix}{name}")
        elif not limit.allows(value):
            raise InvalidParameterError(f"{prefix}{name}={value!r} is not allowed; give {limit}.")


def check_number(value: Any, limit: Limit, what: str) -> None:
    """Raise for a number, or a number that changes over time, that lies outside its limit."""
    if getattr(value, "is_scheduled_number", False):
        value.check(what)
        value = value.value
    if not limit.allows(value):
        raise InvalidParameterError(
            f"{what}={value!r} is not allowed; give {limit}, or such a number in a "
            "skdeep.schedules.Scheduled."
        )


@functools.cache
def parameters_of(function: Callable) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function, or of a constructor, which is inspected only once."""
    return inspect.signature(function).parameters


class Parametrized(BaseEstimator):
    """A base class with get_params and set_params, which inspects its constructor only once."""

    @classmethod
    @functools.cache
    def _get_param_names(cls):
        return super()._get_param_names()


class Component(Documented, Parametrized):
    """A part with hyperparameters: get_params, set_params, clone and repr come with it.

    A subclass lists the limits of its numeric parameters in `_limits`, and in `_may_change` the
    names of those that may be Scheduled.

    Attributes
    ----------
    compiled_as : str or None
        The name of the compiled rule for this class. A subclass does not inherit it, as it may
        compute something else.
    """

    _limits: dict[str, Limit] = {}
    _may_change: tuple[str, ...] = ()
    compiled_as: str | None = None

    def compiled_constants(self) -> tuple[float, ...]:
        """Return the constants that the compiled rule takes."""
        return ()

    def check(self, what: str = "") -> None:
        """Raise InvalidParameterError for a parameter that is not allowed.

        It is called on copies only, for it turns NumPy scalars, which searches draw, into Python
        numbers, which leave float32 arrays float32.
        """
        prefix = f"{what}__" if what else f"{type(self).__name__} "
        check_limits(self, self._limits, prefix, self._may_change)
        for name in self._limits:
            value = getattr(self, name)
            if isinstance(value, np.generic):
                setattr(self, name, value.item())


# The copies that `clone_once` has made, with the originals, by the id of the original.
_copies: ContextVar[dict[int, tuple[Any, Any]] | None] = ContextVar("copies", default=None)


@contextmanager
def one_copy_of_each(*kept: Any) -> Iterator[None]:
    """Let `clone_once` copy an object once in this context, in however many places it is.

    The objects in `kept` are not copied.
    """
    token = _copies.set({id(part): (part, part) for part in kept})
    try:
        yield
    finally:
        _copies.reset(token)


def clone_once(part: Any) -> Any:
    """Return a clone of an object; within its owner's clone, always the same one."""
    copies = _copies.get()
    if copies is None:
        with one_copy_of_each():
            return clone_once(part)
    if id(part) not in copies:
        copies[id(part)] = part, _clone_parametrized(part)
    return copies[id(part)][1]


def store_parameters(owner: Any, given: Mapping[str, Any]) -> None:
    """Set every constructor argument, from the constructor's locals(), as an attribute."""
    for name, value in given.items():
        if name != "self":
            setattr(owner, name, value)


def resolve(
    spec: Any,
    choices: Mapping[str, Callable[..., Component]],
    what: str,
    base: type,
    defaults: Mapping[str, Any] | None = None,
    *,
    optional: bool = False,
) -> Any:
    """Turn a name or an instance into a fresh, checked part.

    Parameters
    ----------
    spec : str, instance of `base` or None
    choices : the family's dict from name to class
    what : the name of the user's parameter, for messages
    base : the class that every part of the family extends
    defaults : values for the constructor arguments of a named part, by name; others are ignored
    optional : whether None is allowed; it is returned as it is
    """
    if spec is None and optional:
        return None
    if isinstance(spec, str):
        if spec not in choices:
            raise InvalidParameterError(unknown_name(spec, choices, what))
        factory = choices[spec]
        accepted = parameters_of(factory)
        part = factory(**{k: v for k, v in (defaults or {}).items() if k in accepted})
    elif isinstance(spec, base):
        part = clone(spec)
    elif isinstance(spec, type) and issubclass(spec, base):
        raise InvalidParameterError(
            f"{what}={spec.__name__} is a class; give an instance: {what}={spec.__name__}()."
        )
    else:
        raise InvalidParameterError(
            f"{what}={spec!r} is not allowed; give one of {sorted(choices)} "
            f"or an instance of {base.__module__}.{base.__name__}."
        )
    part.check(what if not isinstance(spec, str) else "")
    return part


def unknown_name(given: str, choices: Mapping[str, Any] | Sequence[str], what: str) -> str:
    """Return the message for a name that is not among the choices, with the one probably meant."""
    return (
        f"{what}={given!r} is unknown{_hint(given, choices)} Choose from {sorted(choices)}."
        f"{see_parameter(what)}"
    )


def _hint(given: str, choices: Iterable[str]) -> str:
    """Return the rest of a sentence: the choice that a name probably stands for, or the reason."""
    choices = list(choices)
    lower = given.lower()
    if lower in MISSING:
        return f": {MISSING[lower]}."
    meant = [name for name in (lower, *SYNONYMS.get(lower, ())) if name in choices]
    meant = meant or difflib.get_close_matches(lower, choices, n=1)
    return f"; did you mean {meant[0]!r}?" if meant else "."


def named_parameters(init: Callable) -> Callable:
    """Decorate a constructor: an unknown keyword argument raises TypeError with a hint."""
    known = [name for name in inspect.signature(init).parameters if name != "self"]

    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        unknown = [name for name in kwargs if name not in known]
        if unknown:
            raise TypeError(
                f"{type(self).__name__}() got an unexpected keyword argument {unknown[0]!r}"
                f"{_hint(unknown[0], known)}"
            )
        init(self, *args, **kwargs)

    return wrapper


def needs(who: str, package: str, extra: str) -> str:
    """Return the message for a package that is missing."""
    return (
        f'{who} needs {package}: pip install {package}. The extra "{extra}" of scikit-deep has it.'
    )


def wrap_output(data: np.ndarray, X: Any, estimator: Any) -> Any:
    """Return the output of `transform` in the container that `set_output` asked for."""
    return _wrap_data_with_container("transform", data, X, estimator)


def score_function(scorer: Callable) -> Callable:
    """Return the function of targets and predictions in a scorer; any other callable as it is."""
    return getattr(scorer, "_score_func", scorer)


def is_named(value: Any, name: str) -> bool:
    """Whether a value is this name; arrays and objects with an == of their own are not."""
    return isinstance(value, str) and value == name


def is_per_layer(value: Any) -> bool:
    """Whether a parameter holds one entry for each layer rather than one value for all."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def is_pair(value: Any) -> bool:
    """Whether a value is (name, layer), (name, layers) or (name, task), as steps of a Pipeline."""
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)):
        return False
    content = value[1]
    return (
        isinstance(content, (list, tuple))
        or hasattr(content, "setup")
        or getattr(content, "is_task", False)
    )


def side_by_side(widths: Iterable[int]) -> list[slice]:
    """Return the columns of parts that stand side by side, from the left."""
    stops = [0, *accumulate(widths)]
    return [slice(start, stop) for start, stop in pairwise(stops)]


def per_layer(value: Any, n_hidden: int, what: str) -> list:
    """Spread a per-layer parameter over the hidden layers."""
    if not is_per_layer(value):
        return [value] * n_hidden
    if len(value) != n_hidden:
        raise InvalidParameterError(
            f"{what}={value!r} has {len(value)} entries for {n_hidden} hidden layers; give one "
            "value for all, or one entry for each hidden layer."
        )
    return list(value)


def per_layer_and_output(value: Any, n_hidden: int, what: str, output: Any = None) -> list:
    """Spread a per-layer parameter over the hidden layers and the output layer.

    If a sequence has one entry more than there are hidden layers, the last entry is the output
    layer's; otherwise the output layer gets `output`. In a network without hidden layers a scalar
    is the output layer's.
    """
    if is_per_layer(value) and len(value) == n_hidden + 1:
        return list(value)
    if not n_hidden and not is_per_layer(value):
        return [value]
    if is_per_layer(value) and len(value) != n_hidden:
        raise InvalidParameterError(
            f"{what}={value!r} has {len(value)} entries for {n_hidden} hidden layers; give one "
            "value for all, one entry for each hidden layer, or one more for the output layer."
        )
    return [*per_layer(value, n_hidden, what), output]


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the user's own line, not to one of skdeep or scikit-learn.

    A filter may name the module that a warning comes from. It takes effect if it names the user's
    module, skdeep, or `sklearn.neural_network`, which programs for scikit-learn's MLP name.
    """
    frame = outermost = sys._getframe(1)
    while frame is not None and _module_of(frame).partition(".")[0] in _NOT_THE_USERS:
        frame = frame.f_back
    frame = frame or outermost
    modules = (_module_of(frame), "skdeep", "sklearn.neural_network")
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=next((m for m in modules if _has_filter(m, message, category)), modules[0]),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


_NOT_THE_USERS = ("skdeep", "sklearn", "contextlib")


def is_called_from(package: str) -> bool:
    """Whether a function of this package, or of a module in it, is among the callers."""
    frame = sys._getframe(1)
    while frame is not None:
        if f"{_module_of(frame)}.".startswith(f"{package}."):
            return True
        frame = frame.f_back
    return False


def _module_of(frame: Any) -> str:
    return frame.f_globals.get("__name__") or "<unknown>"


def _has_filter(module: str, message: str, category: type[Warning]) -> bool:
    """Whether a warnings filter names this module and applies to the warning."""

    def fits(pattern: Any, text: str) -> bool:  # Python's filters hold text, others patterns
        return pattern == text if isinstance(pattern, str) else bool(pattern.match(text))

    return any(
        of_module is not None
        and fits(of_module, module)
        and issubclass(category, of_category)
        and (of_message is None or fits(of_message, message))
        for _, of_message, of_category, of_module, _ in warnings.filters
    )


def described(value: Any, layers: dict[int, int] | None = None) -> Any:
    """Return a value as nested tuples of text that compare: parts by class and parameters.

    Files hold such descriptions. Therefore they have neither the module of a class of skdeep nor
    parameters at their defaults: a class may move, and later versions may add parameters to it.

    The names of layers do not count. A layer in a further place is described by its number.
    """
    layers = {} if layers is None else layers
    if hasattr(value, "setup"):
        if id(value) in layers:
            return "shared", layers[id(value)]
        layers[id(value)] = len(layers)
    if isinstance(value, Component):
        kind, module = type(value).__qualname__, type(value).__module__
        kind = kind if module.partition(".")[0] == "skdeep" else f"{module}.{kind}"
        defaults = parameters_of(type(value))
        given = {name: described(v, layers) for name, v in value.get_params(deep=False).items()}
        return (
            kind,
            *((name, v) for name, v in given.items() if v != described(defaults[name].default)),
        )
    if is_pair(value):
        return described(value[1], layers)
    if is_per_layer(value):
        return tuple(described(entry, layers) for entry in value)
    if isinstance(value, FunctionType):
        return value.__module__, value.__qualname__
    if type(value).__repr__ is object.__repr__:  # which shows an address
        state = sorted(getattr(value, "__dict__", {}).items())
        return type(value).__qualname__, *((name, described(part)) for name, part in state)
    return repr(value)
