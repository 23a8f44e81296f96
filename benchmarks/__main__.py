"""The command line: python -m benchmarks [--cases NAME ...] [--rounds N] [--quick] [--write].

All cases measure time and memory, except "defaults", "tabular" and "searching", which also measure
the quality of models. "searching" takes hours, and runs only if it is named.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks import defaults, report, searching, tabular
from benchmarks.cases import CASES
from benchmarks.contenders import CONTENDERS
from benchmarks.models import MODELS
from benchmarks.runner import Workers, run_case
from benchmarks.table import render

DEFAULTS, TABULAR, SEARCHING = "defaults", "tabular", "searching"
NAMES = (*CASES, DEFAULTS, TABULAR, SEARCHING)
#: MODELS run in the case "tabular", and the others in the cases that measure time and memory.
ALL_CONTENDERS = {**CONTENDERS, **MODELS}


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line; end the program if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure skdeep and its peers side by side, and print ratios.",
    )
    for option, known in (("--cases", NAMES), ("--contenders", ALL_CONTENDERS)):
        default = [name for name in known if name != SEARCHING]
        parser.add_argument(
            option, nargs="+", metavar="NAME", default=default, help="of " + ", ".join(known)
        )
    parser.add_argument("--rounds", type=int, metavar="N", help="5, or 1 with --quick")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny cases, to check that they run; their figures mean nothing",
    )
    parser.add_argument(
        "--tables",
        type=Path,
        metavar="FOLDER",
        help=f'.npz files in the format of benchmarks/{TABULAR}.py: more data for "{DEFAULTS}", '
        f'and the data of "{TABULAR}" and "{SEARCHING}"',
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help=f'the threads of each model in "{TABULAR}"; by default those of NumPy\'s products',
    )
    parser.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=report.RESULTS,
        metavar="FILE",
        help="write the tables of this run to benchmarks/RESULTS.md, or to another file",
    )
    args = parser.parse_args()
    for option, known in (("cases", NAMES), ("contenders", ALL_CONTENDERS)):
        unknown = [name for name in getattr(args, option) if name not in known]
        if unknown:
            names = ", ".join(map(repr, unknown))
            parser.error(f"--{option}: there is no {names}; choose from {', '.join(known)}")
    if args.rounds is None:
        args.rounds = 1 if args.quick else 5
    if args.rounds < 1:
        parser.error(f"--rounds: {args.rounds} is not allowed; give 1 or more")
    if args.threads is None:
        args.threads = tabular.default_threads()
    if args.threads < 1:
        parser.error(f"--threads: {args.threads} is not allowed; give 1 or more")
    if args.tables is not None and not any(args.tables.glob("*.npz")):
        parser.error(f"--tables: there is no .npz file in {args.tables}")
    return args


def main() -> None:
    """Run the cases, and print each table as soon as its case ends."""
    args = parse_arguments()
    sections: list[str] = []
    start = time.perf_counter()

    def show(text: str) -> None:
        print(text + "\n", flush=True)

    def show_table(title: str, text: str) -> None:
        sections.append(f"## {title}\n\n{report.origin(args.rounds, args.quick)}\n\n{text}")
        show(sections[-1])

    if args.write is not None:
        report.read_notes(args.write)  # an error should be raised before the work
    timed = [name for name in args.cases if name in CASES]
    installed = []
    for name in args.contenders:
        runs = timed if name in CONTENDERS else TABULAR in args.cases
        missing = ALL_CONTENDERS[name].missing() if runs else ()
        if missing:
            show(f"Skipped {name}: not installed: {', '.join(missing)}.")
        else:
            installed.append(name)
    cases = {name: CASES[name].shrunk() if args.quick else CASES[name] for name in timed}
    rows = {name: [n for n in case.contenders if n in installed] for name, case in cases.items()}
    long_lived = dict.fromkeys(
        contender for name, case in cases.items() if not case.fresh for contender in rows[name]
    )

    def progress(name: str, text: str) -> None:
        seconds = time.perf_counter() - start
        print(f"[{seconds:5.0f} s] {name}: {text}", file=sys.stderr, flush=True)

    with Workers(long_lived) as workers:
        for name, case in cases.items():
            result = run_case(case, rows[name], args.rounds, workers, partial(progress, name))
            show_table(case.title, render(result))
    if DEFAULTS in args.cases:
        pairs = defaults.measure(args.rounds, args.quick, args.tables, partial(progress, DEFAULTS))
        show_table(defaults.TITLE, defaults.render(list(pairs)))
    if TABULAR in args.cases:
        models = [name for name in installed if name in MODELS]
        settings = args.rounds, args.quick, args.tables, args.threads
        results = tabular.measure(models, *settings, partial(progress, TABULAR))
        show_table(tabular.TITLE, tabular.render(list(results), args.threads))
    if SEARCHING in args.cases:
        settings = args.rounds, args.quick, args.tables, partial(progress, SEARCHING)
        show_table(searching.TITLE, searching.study(*settings))
    if args.write is not None:
        report.write(args.write, sections)


if __name__ == "__main__":
    main()
