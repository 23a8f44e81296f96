"""The conditions in a space of parameters: names, order, and whether they hold."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from skdeep._component import InvalidParameterError
from skdeep.model_selection.distributions import Conditional

_NO_VALUE = object()


def check_space(space: Any) -> None:
    """Raise unless a space is a dict from names of parameters."""
    if not isinstance(space, Mapping) or not all(isinstance(key, str) for key in space):
        raise InvalidParameterError(
            f"The space {space!r} is not allowed; give a dict from the names of parameters to "
            "distributions or lists of values."
        )


class Conditions:
    """The conditions of a space of parameters.

    Parameters
    ----------
    space : dict from str to distributions or sequences
    defaults : dict or None
        The parameters of the estimator, for conditions on parameters that are not searched.

    Attributes
    ----------
    order : list of str
        The keys of the space; a parameter comes after those that it depends on.
    """

    def __init__(self, space: Mapping[str, Any], defaults: Mapping[str, Any] | None):
        check_space(space)
        if not isinstance(defaults, (Mapping, type(None))):
            raise InvalidParameterError(
                f"defaults={defaults!r} is not allowed; give a dict: estimator.get_params()."
            )
        self._space = space
        self._defaults = defaults
        self._of = {
            key: [(self._find(key, on), values) for on, values in distribution.conditions]
            for key, distribution in space.items()
            if isinstance(distribution, Conditional)
        }
        graph = {key: [] for key in sorted(space)}
        for key, conditions in self._of.items():
            # A condition on `mlp__solver` depends on `mlp` too, which may be another estimator.
            levels = [level for on, _ in conditions for level in [on, *_levels_above(on)]]
            graph[key] = [level for level in levels if level in space]
        try:
            self.order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle = " -> ".join(reversed(error.args[1]))
            raise InvalidParameterError(
                f"The conditions depend on each other in a circle: {cycle}. Leave one of them out."
            ) from None

    def __bool__(self):
        return bool(self._of)

    def _find(self, key: str, on: str) -> str:
        """Return the full name of the parameter that the parameter `key` depends on."""
        names = [f"{level}__{on}" for level in _levels_above(key)] + [on]
        for name in names:
            if name != key and (name in self._space or name in (self._defaults or {})):
                return name
        for name in names:  # a parameter of an estimator that is searched
            if any(level in self._space for level in _levels_above(name)):
                return name
        advice = (
            "give defaults=estimator.get_params(), so that its value in the estimator counts"
            if self._defaults is None
            else "check the name"
        )
        raise InvalidParameterError(
            f"The condition of {key!r} is on {on!r}, but none of {names} is searched"
            f"{'' if self._defaults is None else ', nor a parameter of the estimator'}; {advice}."
        )

    def hold(self, key: str, drawn: Mapping[str, Any]) -> bool:
        """Whether a parameter's conditions hold, given those before it in the order."""
        return all(self._holds(on, values, drawn) for on, values in self._of.get(key, []))

    def _holds(self, on: str, values: tuple, drawn: Mapping[str, Any]) -> bool:
        if on in self._space and on not in drawn:
            return False  # it was left out itself
        value = self._value(on, drawn)
        return any(_is_same(value, given) for given in values)

    def _value(self, name: str, drawn: Mapping[str, Any]) -> Any:
        """Return the value of a parameter: the one drawn, or that of its estimator."""
        if name in drawn:
            return drawn[name]
        for level in _levels_above(name):
            if level in drawn:  # an estimator that is searched, or None or "passthrough"
                owner = drawn[level]
                known = owner.get_params() if hasattr(owner, "get_params") else {}
                return known.get(name.removeprefix(f"{level}__"), _NO_VALUE)
        return (self._defaults or {}).get(name, _NO_VALUE)

    def without_idle(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return a candidate without the parameters whose conditions do not hold."""
        kept: dict[str, Any] = {}
        for key in self.order:
            if self.hold(key, kept):
                kept[key] = drawn[key]
        return {key: value for key, value in drawn.items() if key in kept}


def _levels_above(key: str) -> list[str]:
    """Return the names of the estimators that hold a parameter, the innermost first."""
    levels = []
    while "__" in key:
        key = key.rpartition("__")[0]
        levels.append(key)
    return levels


def _is_same(value: Any, given: Any) -> bool:
    """Whether two values are equal; arrays are equal to nothing but themselves."""
    try:
        return value is given or bool(value == given)
    except (ValueError, TypeError):
        return False
