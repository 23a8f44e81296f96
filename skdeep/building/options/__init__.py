"""The table of the estimators' hyperparameters, in the order of the constructors' signatures.

Checks, layers, warm starts, docstrings and docs/parameters.md follow from it. After a change of a
text, run `python -m tools.docstrings`.
"""

from __future__ import annotations

from typing import Any

from skdeep.building.options.network import NETWORK
from skdeep.building.options.objective import OBJECTIVE
from skdeep.building.options.optimization import OPTIMIZATION
from skdeep.building.options.option import ByLayer, Option, WarmStart, WithLayers
from skdeep.building.options.the_run import STOPPING, THE_RUN

__all__ = ["GROUPS", "OPTIONS", "ByLayer", "Option", "WarmStart", "WithLayers", "names"]

# The keys are the headings of docs/parameters.md.
GROUPS: dict[str, tuple[Option, ...]] = {
    "Network": NETWORK,
    "Objective": OBJECTIVE,
    "Optimization": OPTIMIZATION,
    "Stopping": STOPPING,
    "The run": THE_RUN,
}
OPTIONS = {option.name: option for rows in GROUPS.values() for option in rows}


def names(**facts: Any) -> tuple[str, ...]:
    """Return the names of the options with these facts, as in names(not_for_lbfgs=True)."""
    return tuple(
        name
        for name, option in OPTIONS.items()
        if all(getattr(option, fact) == value for fact, value in facts.items())
    )
