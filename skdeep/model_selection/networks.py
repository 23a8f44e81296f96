"""The networks of skdeep within an estimator, such as a pipeline."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skdeep._component import InvalidParameterError
from skdeep.estimators.base import BaseMLP
from skdeep.tabular.base import BaseTabular

Network = BaseMLP | BaseTabular
_ENDS = (BaseMLP, BaseTabular, FrozenEstimator)


def networks_in(estimator: Any) -> dict[str, Network]:
    """Return the networks that fitting an estimator trains, by their paths in `get_params()`.

    The path of the estimator itself is "".
    """
    held = {"": estimator, **estimator.get_params(deep=True)}
    # Below a network there may be another one that it starts from.
    ends = [path for path, part in held.items() if isinstance(part, _ENDS)]
    return {
        path: held[path]
        for path in ends
        if isinstance(held[path], Network)
        and not any(path.startswith(prefix_of(other)) for other in ends if other != path)
    }


def only_network_in(estimator: Any) -> tuple[str, Network]:
    """Return the path to the network in an estimator, and the network; raise unless it has one."""
    found = networks_in(estimator)
    if len(found) != 1:
        raise InvalidParameterError(
            f"estimator={estimator!r} has {len(found)} networks of skdeep to be trained; a search "
            "by epochs needs one, whose epochs it can count."
        )
    return next(iter(found.items()))


def prefix_of(path: str) -> str:
    """Return what comes before the names of the parameters of the estimator at a path."""
    return f"{path}__" if path else ""


def final_step(pipeline: Any) -> tuple[str, Any]:
    """Return the prefix of the last step, through pipelines within pipelines, and the step."""
    prefix, last = "", pipeline
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    return prefix, last


def with_final_step(pipeline: Any, last: Any) -> Any:
    """Return a pipeline with the same steps, but for the last one."""
    if not isinstance(pipeline, Pipeline):
        return last
    name, inner = pipeline.steps[-1]
    twin = copy.copy(pipeline)
    twin.steps = [*pipeline.steps[:-1], (name, with_final_step(inner, last))]
    return twin
