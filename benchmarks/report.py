"""RESULTS.md: the tables, the machine that they were measured on, and hand-written notes.

A run replaces the tables of its own cases, and keeps all other tables.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import date
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.worker import ROOT

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
START, END = "<!-- notes -->", "<!-- end notes -->"
NO_NOTES = f"{START}\n{END}"
PACKAGES = (
    *("scikit-deep", "numpy", "scipy", "scikit-learn", "numba", "torch", "keras", "jax"),
    *("pytabkit", "catboost", "lightgbm"),
)

HOW_TO_READ = """\
Written by `python -m benchmarks --write`, which keeps the notes. Every contender has a process of
its own; they run one at a time, and all of them in every round. The date and the commit at the top
are those of the last run; a table states its own if they differ.

- `x floor` is the time divided by that of the matrix products alone.
- `scikit-learn / this` is how many times as fast as scikit-learn's MLP a contender is.
- `x plain` is the time divided by the contender's time without batch norm.
- Ratios are taken within a round: their median, and in brackets the smallest and the largest.
- The budget of memory is 2 x (weights + gradients + Adam's two slots) + one batch's activations
  + 20 MB. Code is loaded and threads are started before it is measured; but Keras compiles every
  net again, and its figures include the memory for that."""


def describe_machine() -> dict[str, str]:
    """Return a list of the hardware and software that the figures depend on."""
    import numpy  # noqa: F401  # so that threadpool_info finds its BLAS

    blas = {
        f"{info['internal_api']} {info['version']} ({info.get('architecture', 'unknown')}), "
        f"{info['num_threads']} threads"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return {
        "Date": date.today().isoformat(),
        "Commit": _commit(),
        "Processor": f"{_processor()}, {os.cpu_count()} logical cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": platform.platform(),
        "Python": platform.python_version(),
        "Packages": ", ".join(filter(None, map(_version, PACKAGES))),
        "BLAS": "; ".join(sorted(blas)) or "unknown",
    }


def origin(n_rounds: int, is_quick: bool) -> str:
    """Return a line with the date, the commit and the number of rounds of a table."""
    end = "; quick, so the figures mean nothing" if is_quick else ""
    return f"{date.today().isoformat()}, commit {_commit()}, rounds: {n_rounds}{end}"


def write(path: Path, sections: list[str]) -> None:
    """Write sections to the file, and keep its notes and its other sections."""
    machine = "\n".join(f"- {key}: {value}" for key, value in describe_machine().items())
    tables = {_title(section): section for section in [*read_sections(path), *sections]}
    parts = ["# Results of the benchmarks", HOW_TO_READ, machine, read_notes(path)]
    path.write_text("\n\n".join([*parts, *tables.values()]) + "\n", encoding="utf-8")


def read_sections(path: Path) -> list[str]:
    """Return the tables of a file, each with its title."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8").partition(END)[2]
    return [f"## {section.strip()}" for section in text.split("\n## ")[1:]]


def _title(section: str) -> str:
    return section.partition("\n")[0]


def read_notes(path: Path) -> str:
    """Return the notes of a file, with their markers."""
    if not path.exists():
        return NO_NOTES
    text = path.read_text(encoding="utf-8")
    start, end = text.find(START), text.find(END)
    if not 0 <= start < end:
        raise ValueError(
            f"{path} has no notes between the lines {START} and {END}: put them back, so that "
            "no hand-written notes are lost."
        )
    return text[start : end + len(END)]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the commit, and whether files other than the results have changed."""
    head = _git("rev-parse", "--short", "HEAD")
    changes = _git("status", "--porcelain", "--", ".", f":!{RESULTS.relative_to(ROOT)}")
    return f"{head} + changes" if head and changes else head or "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:  # no git
        return ""
    return done.stdout.strip()
