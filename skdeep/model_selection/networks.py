"""The networks of skdeep within an estimator, such as a pipeline."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.pipeline import Pipeline

from skdeep.estimators.base import BaseMLP
from skdeep.tabular.base import BaseTabular


def networks_in(estimator: Any) -> dict[str, Any]:
    """Return the estimators of skdeep within an estimator, by the prefix of their parameters.

    The prefix of "mlp__alpha" is "mlp__". If the estimator itself is one, its prefix is "".
    """
    if isinstance(estimator, (BaseMLP, BaseTabular)):
        return {"": estimator}
    found: dict[str, Any] = {}
    for name, part in sorted(estimator.get_params(deep=True).items()):
        is_within = any(name.startswith(prefix) for prefix in found)
        if isinstance(part, (BaseMLP, BaseTabular)) and not is_within:
            found[f"{name}__"] = part
    return found


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
