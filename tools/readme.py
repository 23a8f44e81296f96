"""Write what the README takes from the measurements: its table of speed, and its picture.

`python -m tools.readme` writes both (the picture needs matplotlib); with `--check` it writes
nothing, and exits with 1 if the table is not that of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.writing import ROOT, parse, read, update

RESULTS, TABLES = "benchmarks/RESULTS.md", "docs/tables.md"
PICTURE = "docs/_static/measured.png"
# The cases, by their headings in RESULTS.md.
CASES = (
    "60,000 x 784, hidden (300, 100), 10 classes, batch 32",
    "60,000 x 784, hidden (300, 100), 10 classes, batch 256",
    "20,000 x 20, hidden (64, 64), 4 classes, batch 32",
    "20,000 x 20, hidden (64, 64), 4 classes, batch 200",
    "8,192 x 512, hidden (1024, 1024), 10 classes, batch 512",
)
# The rows of RESULTS.md that stand for a peer: the fastest counts.
PEERS = {
    "scikit-learn": ("scikit-learn",),
    "PyTorch": ("pytorch", "pytorch fused"),
    "Keras on JAX": ("keras jax",),
}
BLOCK = re.compile(r"(<!-- speed -->\n).*?(<!-- end speed -->)", re.DOTALL)
Seconds = dict[str, float]


def medians(results: str, case: str) -> Seconds:
    """Return the median time of each contender in a case of RESULTS.md."""
    section = results.split(f"## One epoch: {case}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([\w -]+?) +\| +([\d.]+) \|", section, re.MULTILINE)
    return {name: float(median) for name, median in rows}


def of_peers(times: Seconds) -> Seconds:
    """Return the time of each peer."""
    return {peer: min(times[name] for name in names) for peer, names in PEERS.items()}


def speed_table(results: str) -> str:
    """Return the README's table, in Markdown."""
    lines = [
        f"| One epoch in float32 | {' | '.join(PEERS)} | scikit-learn, NumPy kernels |",
        "|---|" + "---|" * (len(PEERS) + 1),
    ]
    for case in CASES:
        times = medians(results, case)
        peers = of_peers(times)
        figures = [seconds / times["skdeep numba"] for seconds in peers.values()]
        figures.append(peers["scikit-learn"] / times["skdeep numpy"])
        lines.append(f"| {case} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")
    return "\n".join(lines) + "\n"


def errors(tables: str) -> dict[str, float]:
    """Return the mean error of each model on the tables of docs/tables.md."""
    names = re.search(r"^\| table \| (.*) \|$", tables, re.MULTILINE)
    figures = re.search(r"^\| shifted geometric mean \| (.*) \|$", tables, re.MULTILINE)
    if names is None or figures is None:
        raise ValueError(f"{TABLES} has lost its table of errors.")
    values = [float(text.strip("* ")) for text in figures[1].split("|")]
    titles = ["skdeep", *names[1].split(" | ")[1:]]
    return dict(zip(titles, values, strict=True))


def draw(results: str, tables: str, path: Path) -> None:
    """Draw the times of an epoch and the errors on tables, beside those of the peers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    times = medians(results, CASES[3])
    speed = {"skdeep": times["skdeep numba"]} | of_peers(times)
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained")
    parts = (
        (speed, "Milliseconds an epoch, 20,000 rows x 20 columns", "{:.0f}"),
        (errors(tables), "Mean error on 13 tables, defaults", "{:.3f}"),
    )
    for ax, (values, title, style) in zip(axes, parts, strict=True):
        names = sorted(values, key=lambda name: -values[name])
        colours = ["#d95f02" if name == "skdeep" else "#9aa5b1" for name in names]
        bars = ax.barh(names, [values[name] for name in names], color=colours)
        ax.bar_label(bars, padding=3, fmt=style)
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        ax.set_xticks([])
        ax.margins(x=0.12)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def rendered(root: Path) -> dict[Path, str]:
    """Return the text that the README should have."""
    table = speed_table(read(root / RESULTS))
    readme = root / "README.md"
    return {readme: BLOCK.sub(lambda match: match[1] + table + match[2], read(readme))}


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit code."""
    only_checks = parse("python -m tools.readme", __doc__, arguments)
    if not only_checks:
        draw(read(root / RESULTS), read(root / TABLES), root / PICTURE)
    return update(rendered, root, only_checks)


if __name__ == "__main__":
    raise SystemExit(main())
