"""Tables that print as text, and render as HTML in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence


class Table:
    """Base class: a subclass has a `header`, and returns its rows from `_cells`."""

    header: Sequence[str] = ()
    #: The number of columns that are aligned to the left; the others are aligned to the right.
    n_left_aligned = 1

    def _cells(self) -> Sequence[Sequence[str]]:
        """Return the rows, without the header."""
        raise NotImplementedError

    def _totals(self) -> Sequence[tuple[str, str]]:
        """Return (name, figure) of each line below the table."""
        return []

    def __str__(self) -> str:
        cells = [self.header, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(self._aligned, row, widths, range(len(row)))) for row in cells]
        lines = [line.rstrip() for line in lines]
        rule = "-" * max(map(len, lines))
        totals = [f"{name}: {figure}" for name, figure in self._totals()]
        return "\n".join([lines[0], rule, *lines[1:], *([rule, *totals] if totals else [])])

    __repr__ = __str__

    def _aligned(self, cell: str, width: int, column: int) -> str:
        return cell.ljust(width) if column < self.n_left_aligned else cell.rjust(width)

    def _repr_html_(self) -> str:
        head = _row(self.header, "th")
        body = "".join(_row(cells, "td") for cells in self._cells())
        empty = [""] * (len(self.header) - 2)
        foot = "".join(_row([name, *empty, figure], "th") for name, figure in self._totals())
        foot = foot and f"<tfoot>{foot}</tfoot>"
        return f"<table><thead>{head}</thead><tbody>{body}</tbody>{foot}</table>"


def number(value: float) -> str:
    """Return a number in few characters."""
    return f"{value:.3g}"


def one_line(text: str, longest: int) -> str:
    """Return a text on one line, which is cut off if it is long."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
