"""Files of older versions: what they lack, and how their content becomes that of today's format.

A change that only adds an attribute needs a row in `ADDED`, or nothing: parameters of a constructor
that a file lacks have their defaults. Any other change of the content needs a new FORMAT, and a
function in `MIGRATIONS` that turns the content of the format before into it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sklearn.base import BaseEstimator

#: The format that is written.
FORMAT = 1
#: By format: a function from its content, as plain data, to that of the next format.
MIGRATIONS: dict[int, Callable[[Any], Any]] = {}
#: By the name of a class in files: the attributes that older files lack, with their values.
ADDED: dict[str, Mapping[str, Any]] = {}


def migrate(content: Any, version: int) -> Any:
    """Return the content of a file as today's format has it."""
    for older in range(version, FORMAT):
        content = MIGRATIONS[older](content)
    return content


def completed(cls: type, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an object with the attributes that its file was too old to have."""
    missing = {**_defaults(cls), **ADDED.get(name, {})}
    return {**{key: copy.deepcopy(v) for key, v in missing.items() if key not in state}, **state}


@cache
def _defaults(cls: type) -> dict[str, Any]:
    """Return the parameters of a constructor that have defaults."""
    if not issubclass(cls, BaseEstimator):
        return {}
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
