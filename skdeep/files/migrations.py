"""Files of older versions: missing attributes, and the way from an older format to today's.

A change that only adds an attribute needs a row in `ADDED`. A parameter of a constructor needs
no row: a parameter that a file lacks has its default. Any other change of the content needs a new
FORMAT, and a function in `MIGRATIONS` that converts the content of the previous format.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sklearn.base import BaseEstimator

#: The format of new files.
FORMAT = 1
#: For each older format: a function that converts its content, as plain data, to the next format.
MIGRATIONS: dict[int, Callable[[Any], Any]] = {}
#: For each name of a class in files: the attributes that older files lack, with their values.
ADDED: dict[str, Mapping[str, Any]] = {
    "parameters.Parameter": {"decay": 1.0, "source": None, "followers": []},
    "training.Monitor": {"figure": "loss", "sign": -1},
    "training.Run": {
        "epochs_before": 0,
        "last_vectors": None,
        "last_averaged": 0,
        "left": None,
        "within": None,
    },
}


def migrate(content: Any, version: int) -> Any:
    """Return the content of a file in today's format."""
    if type(version) is not int or version > FORMAT:
        raise ValueError(
            f"the content is of format {version!r}, and this version of skdeep reads formats up to "
            f"{FORMAT}; a newer version is needed"
        )
    for older in range(version, FORMAT):
        if older not in MIGRATIONS:
            raise ValueError(f"there never was a format {older}")
        content = MIGRATIONS[older](content)
    return content


def completed(cls: type, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an object, completed with the attributes that an older file lacks."""
    missing = {**_defaults(cls), **ADDED.get(name, {})}
    return {**{key: copy.deepcopy(v) for key, v in missing.items() if key not in state}, **state}


@cache
def _defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of a constructor's parameters."""
    if not issubclass(cls, BaseEstimator):
        return {}
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
