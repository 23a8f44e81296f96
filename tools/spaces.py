"""Write the table of the default search spaces into the docs.

`python -m tools.spaces` writes; with `--check` it writes nothing, and exits with 1 if the page is
not up to date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skdeep.model_selection import (
    Choice,
    Conditional,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
)
from skdeep.model_selection.ranges import (
    NETWORKS,
    OWN,
    PREDICTORS,
    RANGES,
    STOCHASTIC,
    TABLES,
    Range,
)
from tools.writing import ROOT, parse, read, update

PAGE = "docs/spaces.md"
BLOCKS = {"networks": NETWORKS, "tables": TABLES}
_FOR_ALL = {NETWORKS, PREDICTORS, TABLES}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit code."""
    only_checks = parse("python -m tools.spaces", __doc__, arguments)
    return update(rendered, root, only_checks)


def rendered(root: Path) -> dict[Path, str]:
    """Return the text that the page should have."""
    return {root / PAGE: with_tables(read(root / PAGE))}


def with_tables(page: str) -> str:
    """Return the page with the tables between its markers written from the table of ranges."""
    for name, estimators in BLOCKS.items():
        block = re.compile(rf"(<!-- ranges: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        rows = [row for row in RANGES if set(row.estimators) <= set(estimators)]
        page, n_found = block.subn(lambda m, rows=rows: f"{m[1]}\n{table(rows)}\n{m[2]}", page)
        if n_found != 1:
            raise ValueError(f"{PAGE} has {n_found} blocks of ranges: {name}; one is expected")
    return page


def table(rows: Sequence[Range]) -> str:
    """Return the table of some rows."""
    lines = ["| parameter | from effort | values | reason |", "|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.name}`{scope(row)}", row.effort, shown(row.distribution), row.reason)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def scope(row: Range) -> str:
    """Return the solvers and the estimators that a row is for, unless it is for all."""
    parts = []
    if row.solvers not in (None, STOCHASTIC):
        solvers = [f'`"{name}"`' for name in row.solvers if name != OWN]
        parts.append(f"with {', '.join(solvers) or 'an optimizer of your own'}")
    if row.estimators not in _FOR_ALL:
        parts.append(f"in {', '.join(f'`{name}`' for name in row.estimators)}")
    return f", {' '.join(parts)}" if parts else ""


def shown(drawn: Any) -> str:
    """Return the words for a distribution."""
    if drawn is None:
        return "the estimator's value / 10 to 10 times this value, log-uniform"
    if isinstance(drawn, Conditional):
        values = " or ".join(f"`{value!r}`" for value in drawn.values)
        return f"if `{drawn.on}` is {values}: {shown(drawn.distribution)}"
    if isinstance(drawn, Choice):
        weights = drawn.weights or [1.0] * len(drawn.values)
        least = min(weights)
        values = (
            f"`{value!r}`" + (f" ({weight / least:g} times as often)" if weight > least else "")
            for value, weight in zip(drawn.values, weights, strict=True)
        )
        return ", ".join(values)
    if isinstance(drawn, LayerSizes):
        (few, many), (low, high) = drawn.depth, drawn.units
        kind = "of one width" if drawn.shape == "constant" else "each of its own width"
        return f"{few} to {many} layers, {kind}: {low} to {high} units, log-uniform"
    low, high = (
        (drawn.low, drawn.high)
        if isinstance(drawn, LogIntUniform | OneMinusLogUniform)
        else drawn.args
    )
    scale = "1 - value is log-uniform" if isinstance(drawn, OneMinusLogUniform) else "log-uniform"
    return f"{low:g} to {high:g}, {scale}"


if __name__ == "__main__":
    raise SystemExit(main())
