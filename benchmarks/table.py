"""Statistics of measurements, and tables of them in Markdown.

A ratio is taken within a round, in which the machine is in the same state for both sides. A table
shows the median, the smallest and the largest ratio of the rounds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.runner import Result

NO_VALUE = "-"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, minimum and maximum."""
    return statistics.median(values), min(values), max(values)


def ratios(values: Sequence[float], references: Sequence[float]) -> list[float]:
    """Return value / reference, round by round."""
    return [value / reference for value, reference in zip(values, references, strict=True)]


def growth_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of log(value) over log(size): 1 is proportional, 2 is quadratic."""
    x, y = ([math.log(number) for number in numbers] for numbers in (sizes, values))
    return statistics.linear_regression(x, y).slope


def choose_unit(measure: str, medians: Sequence[float]) -> tuple[str, float]:
    """Return a unit in which the smallest value is easy to read, and the size of the unit."""
    if measure == "memory":
        return "MB", 1e6
    smallest = min(medians)
    return next(
        ((unit, size) for unit, size in (("s", 1.0), ("ms", 1e-3)) if smallest >= size / 5),
        ("µs", 1e-6),
    )


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text, and whose other columns are numbers."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def render(result: Result) -> str:
    """Return the tables of a case, and its failures."""
    parts = []
    if not (result.values or result.failures):
        parts.append("There is no contender to run it.")
    if result.values:
        parts.append(_table(result))
        if result.case.sizes:
            parts.append(_growth_table(result))
    parts += [f"- {failure}" for failure in result.failures]
    return "\n\n".join(filter(None, parts))


def _table(result: Result) -> str:
    case, values = result.case, result.values
    unit, size = choose_unit(case.measure, [statistics.median(v) for v in values.values()])
    header = ["", f"median, {unit}", "min", "max"]
    rows = [
        [f"{name}{label and f', {label}'}", *(digits(value / size) for value in spread(v))]
        for (name, label), v in values.items()
    ]
    for title, column in _ratio_columns(result).items():
        if any(column):
            header.append(title)
            for row, cell in zip(rows, column, strict=True):
                row.append(_ratio_cell(cell) if cell else NO_VALUE)
    return markdown(header, rows)


def _ratio_columns(result: Result) -> dict[str, list[list[float]]]:
    """Return columns of lists of ratios, one list per row; it is empty if there is no ratio."""
    case, values = result.case, result.values
    columns: dict[str, list[list[float]]] = {}
    if case.measure == "memory":
        budgets = [case.tasks[label].memory_budget for _, label in values]
        return {
            "of its budget": [
                [value / budget for value in v]
                for v, budget in zip(values.values(), budgets, strict=True)
            ]
        }

    def column(reference_of, *, inverse: bool = False) -> list[list[float]]:
        cells = []
        for entry, v in values.items():
            reference = values.get(reference_of(*entry), [])
            if len(reference) != len(v):
                cells.append([])
            else:
                cells.append(ratios(reference, v) if inverse else ratios(v, reference))
        return cells

    columns["x floor"] = column(lambda name, label: ("floor", label))
    columns["scikit-learn / this"] = column(
        lambda name, label: ("scikit-learn", label), inverse=True
    )
    if case.compares_tasks:
        first = next(iter(case.tasks))
        columns[f"x {first}"] = column(lambda name, label: (name, first))
    return columns


def _growth_table(result: Result) -> str:
    """Return a table of exponents; a contender that failed at a size has no exponent."""
    case, values = result.case, result.values
    rows = []
    for name in dict.fromkeys(name for name, _ in values):
        columns = [values[name, label] for label in case.tasks if (name, label) in values]
        if len(columns) != len(case.sizes):
            continue
        exponents = [
            growth_exponent(case.sizes, in_round) for in_round in zip(*columns, strict=True)
        ]
        doublings = [_ratio_cell(ratios(larger, smaller)) for smaller, larger in pairwise(columns)]
        rows.append([name, _ratio_cell(exponents), *doublings])
    labels = [f"{b:,} / {a:,}" for a, b in pairwise(case.sizes)]
    return markdown(["", "exponent", *labels], rows) if rows else ""


def _ratio_cell(values: Sequence[float]) -> str:
    median, low, high = spread(values)
    return f"{digits(median)} [{digits(low)}, {digits(high)}]"


def digits(value: float) -> str:
    """Return three significant digits, with thousands separated and without an exponent."""
    if not value:
        return "0"
    n_decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{n_decimals}f}"
