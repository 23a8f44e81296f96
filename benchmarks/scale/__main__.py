"""Training at scale, measured and simulated: `python -m benchmarks.scale`.

The parts, each of which prints a table:

- chunks: what a call of partial_fit costs beside its steps;
- workers: a simulation of 2 to 512 workers, from the seconds of steps of this machine;
- local: what local steps cost in accuracy;
- batches: what large batches cost in accuracy;
- candidates: many candidates on the cores of this machine.

All of them use one thread for each process.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.scale import candidates, chunks, experiments, nets, simulation

NET = nets.Net(784, (300, 100), 10, 512)  # of the experiments


def study_chunks(args, progress) -> str:
    kernels = ["numpy", *(["numba"] if importlib.util.find_spec("numba") else [])]
    return chunks.study(kernels, args.quick, progress)


def study_workers(args, progress) -> str:
    costs = {}
    for net in nets.NETS:
        costs[net] = nets.measure(net, *((1, 0.0) if args.quick else ()))
        progress(f"workers: {net}: {costs[net]}")
    return "\n\n".join(simulation.tables(costs))


def _experiment(study: Callable, args, progress) -> str:
    images, n_epochs, seeds = experiments.Images.load(), experiments.N_EPOCHS, range(args.seeds)
    if args.quick:
        images, n_epochs, seeds = images.some(2048), 1, range(1)
    text = study(NET, images, seeds, n_epochs, progress)
    figures = (
        "one seed" if len(seeds) == 1 else f"mean and standard deviation of {len(seeds)} seeds"
    )
    return (
        f"{NET}, Adam, {n_epochs} epochs of {len(images.y):,} images. Test accuracy in percent, "
        f"{figures}.\n\n{text}"
    )


def study_candidates(args, progress) -> str:
    return candidates.study(args.jobs, 1 if args.quick else args.rounds, args.quick, progress)


PARTS: dict[str, tuple[str, Callable]] = {
    "chunks": (
        "A call of partial_fit, beside an epoch of fit with equal steps, by batches of a chunk",
        study_chunks,
    ),
    "workers": ("A simulation of data-parallel training", study_workers),
    "local": (
        "Accuracy with local steps, Fashion-MNIST",
        partial(_experiment, experiments.study_of_local_steps),
    ),
    "batches": (
        "Accuracy with large batches, Fashion-MNIST",
        partial(_experiment, experiments.study_of_batch_sizes),
    ),
    "candidates": (
        f"A search over {candidates.N_CANDIDATES} candidates, in one process and in several",
        study_candidates,
    ),
}


def parse_arguments() -> argparse.Namespace:
    """Return the command line, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all if none")
    parser.add_argument("--seeds", type=int, default=3, help="of the experiments; 3 by default")
    parser.add_argument("--jobs", type=int, default=2, help="processes of a search; 2 by default")
    parser.add_argument("--rounds", type=int, default=3, help="of a search; 3 by default")
    parser.add_argument("--quick", action="store_true", help="tiny runs, which mean nothing")
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=report.RESULTS,
        metavar="FILE",
        help="write the tables to benchmarks/RESULTS.md, or to another file",
    )
    args = parser.parse_args()
    unknown = [part for part in args.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    for option in ("seeds", "jobs", "rounds"):
        if getattr(args, option) < 1:
            parser.error(f"--{option}: {getattr(args, option)} is not allowed; give 1 or more")
    return args


def main() -> None:
    """Run the parts, and print each table as soon as it is there."""
    args, start = parse_arguments(), time.perf_counter()
    if args.write is not None:
        report.read_notes(args.write)  # an error should be raised before the work

    def progress(text: str) -> None:
        print(f"[{time.perf_counter() - start:5.0f} s] {text}", file=sys.stderr, flush=True)

    for part in args.parts or PARTS:
        title, study = PARTS[part]
        text = study(args, progress)
        section = f"## {title}\n\n{report.origin(args.rounds, args.quick)}\n\n{text}"
        print(section + "\n", flush=True)
        if args.write is not None:
            report.write(args.write, [section])


if __name__ == "__main__":
    main()
