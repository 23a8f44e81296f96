"""The command line of the tools that write texts of the project from its code and its figures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text(encoding="utf-8")


def parse(prog: str, description: str | None, arguments: Sequence[str] | None) -> bool:
    """Parse the command line; return whether the tool only checks."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--check", action="store_true", help="write nothing")
    return parser.parse_args(arguments).check


def update(rendered: Callable[[Path], dict[Path, str]], root: Path, only_checks: bool) -> int:
    """Write the files that do not have the text that they should have; return the exit code."""
    stale = {path: text for path, text in rendered(root).items() if read(path) != text}
    for path, text in stale.items():
        if not only_checks:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(root)}: {'is not up to date' if only_checks else 'written'}")
    return int(only_checks and bool(stale))
