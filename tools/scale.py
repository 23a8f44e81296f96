"""Write the tables of docs/scale.md, which come from the measurements.

`python -m tools.scale` copies them from benchmarks/RESULTS.md; with `--check` it writes nothing,
and exits with 1 if one of them is not up to date. A table that was not measured stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.writing import ROOT, parse, read, update

RESULTS, PAGE = "benchmarks/RESULTS.md", "docs/scale.md"
SIMULATION = "A simulation of data-parallel training"
# The section of RESULTS.md whose title begins so, and the number of the table in it.
TABLES = {
    "candidates": ("A search over", 0),
    "file": ("A file of", 0),
    "chunks": ("A call of partial_fit", 0),
    "cluster": ("One network on a cluster of worker processes", 0),
    "steps": (SIMULATION, 0),
    "limits": (SIMULATION, -1),
    "strong": (SIMULATION, 3),
    "weak": (SIMULATION, 4),
    "local": ("Accuracy with local steps", 0),
    "batches": ("Accuracy with large batches", 0),
}
BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end table -->)", re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)


def table(results: str, name: str) -> str:
    """Return a table of RESULTS.md, or an empty text if there is no section with it."""
    title, number = TABLES[name]
    for section in results.split("\n## ")[1:]:
        if section.startswith(title):
            return TABLE.findall(f"{section}\n")[number]
    return ""


def rendered(root: Path) -> dict[Path, str]:
    """Return the text that the page should have."""
    results, page = read(root / RESULTS), root / PAGE

    def fill(match: re.Match) -> str:
        found = table(results, match[2])
        return f"{match[1]}\n{found}\n{match[3]}" if found else f"{match[1]}{match[3]}"

    return {page: BLOCK.sub(fill, read(page))}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit code."""
    return update(rendered, root, parse("python -m tools.scale", __doc__, arguments))


if __name__ == "__main__":
    raise SystemExit(main())
