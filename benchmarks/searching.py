"""Searches of hyperparameters side by side: random, by rungs of epochs, and Optuna's.

All methods search the same space around the same pipeline, on the same rows and the same splits.
The random search trains every candidate to the end. Optuna (TPE and Hyperband) gets as many epochs
as the search by rungs took. The result of each search is a line of a CSV file. A study that was
interrupted leaves out the searches that are in the file. A study takes hours:

    python -m benchmarks.searching --tables FOLDER --csv searching.csv
"""

from __future__ import annotations

import argparse
import csv
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import RandomizedSearchCV, check_cv, train_test_split
from sklearn.pipeline import make_pipeline

import skdeep
from benchmarks.table import NO_VALUE, digits, markdown
from benchmarks.tabular import SHIPPED, Table, read_table
from skdeep.model_selection import HalvingEpochsSearchCV, param_distributions, suggest
from skdeep.model_selection.rules import rungs
from skdeep.training.trainer import DivergenceError

TITLE = "Searches: test score, epochs and time of random, halving and Optuna"
#: Six development sets, four of classes and two of numbers, and one of scikit-learn.
SETS = ("german", "phoneme", "segment", "telco", "abalone", "kin8nm", "digits")
QUICK = ("wine", "diabetes")
N_FOLDS, FACTOR = 3, 3
FILE = Path("searching.csv")


@dataclass(frozen=True)
class Plan:
    """The size of a study.

    Parameters
    ----------
    n_candidates : int
        Of the random search and of the search by rungs.
    n_epochs : int
        The epochs of a candidate that is trained to the end. The first rung has a ninth of them.
    n_rows : int
        The largest number of training rows.
    n_jobs : int
    """

    n_candidates: int = 64
    n_epochs: int = 81
    n_rows: int = 5_000
    n_jobs: int = 2

    @property
    def first_rung(self) -> int:
        return max(1, self.n_epochs // FACTOR**2)

    @property
    def nominal_budget(self) -> int:
        """The epochs of a search by rungs, on all folds."""
        n_alive, epochs, total = self.n_candidates, 0, 0
        for rung in rungs(self.first_rung, self.n_epochs, FACTOR):
            total += n_alive * (rung - epochs) * N_FOLDS
            n_alive, epochs = math.ceil(n_alive / FACTOR), rung
        return total


@dataclass(frozen=True)
class Outcome:
    """The result of a search: a line of the CSV file.

    `n_epochs` is the number of epochs that were trained in the search, on all folds. `seconds` is
    the time of the search, and of the model that is fitted to all training rows.
    """

    table: str
    seed: int
    method: str
    n_candidates: int
    max_epochs: int
    n_rows: int
    test_score: float
    cv_score: float
    n_epochs: int
    seconds: float
    params: str

    @property
    def key(self) -> tuple:
        return self.table, self.seed, self.method, self.n_candidates, self.max_epochs, self.n_rows


@dataclass(frozen=True)
class Found:
    """The model of a search, fitted to all training rows; its score and the epochs it took."""

    model: Any
    score: float
    n_epochs: int
    params: dict


# Methods ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A pipeline, its space, the training rows, and a seed."""

    pipeline: Any
    space: dict
    X: Any
    y: np.ndarray
    seed: int
    plan: Plan
    budget: int


def score_and_epochs(model: Any, X: Any, y: np.ndarray) -> dict[str, float]:
    """Return the score, and the number of epochs that the network was trained."""
    return {"score": model.score(X, y), "epochs": float(model[-1].n_iter_)}


def random_search(job: Job) -> Found:
    """Search with scikit-learn's RandomizedSearchCV."""
    search = _random_search(job, job.pipeline, job.plan.n_candidates).fit(job.X, job.y)
    epochs = [search.cv_results_[f"split{k}_test_epochs"] for k in range(N_FOLDS)]
    n_epochs = int(np.nansum(epochs))
    return Found(search.best_estimator_, search.best_score_, n_epochs, search.best_params_)


def warm_up(job: Job) -> None:
    """Start joblib's processes, with all imports done."""
    pipeline = clone(job.pipeline)
    pipeline[-1].set_params(max_iter=1)
    _random_search(job, pipeline, job.plan.n_jobs).fit(job.X, job.y)


def _random_search(job: Job, pipeline: Any, n_candidates: int) -> RandomizedSearchCV:
    return RandomizedSearchCV(
        pipeline,
        job.space,
        n_iter=n_candidates,
        cv=N_FOLDS,
        scoring=score_and_epochs,
        refit="score",
        n_jobs=job.plan.n_jobs,
        random_state=job.seed,
    )


def halving_search(job: Job) -> Found:
    """Search by rungs of epochs."""
    search = HalvingEpochsSearchCV(
        job.pipeline,
        job.space,
        n_candidates=job.plan.n_candidates,
        min_epochs=job.plan.first_rung,
        max_epochs=job.plan.n_epochs,
        factor=FACTOR,
        cv=N_FOLDS,
        n_jobs=job.plan.n_jobs,
        random_state=job.seed,
    ).fit(job.X, job.y)
    return Found(search.best_estimator_, search.best_score_, search.n_epochs_, search.best_params_)


def optuna_search(job: Job) -> Found:
    """Search with TPE and Hyperband until the epochs of the budget are used up."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objective = _Objective(job)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=job.seed),
        pruner=optuna.pruners.HyperbandPruner(job.plan.first_rung, job.plan.n_epochs, FACTOR),
    )
    study.optimize(objective, n_trials=100 * job.plan.n_candidates, catch=DivergenceError)
    # A trial that was pruned counts only if none was trained to the end.
    trials = [trial for trial in study.trials if trial.intermediate_values]
    best = max(trials, key=lambda t: (t.state.name == "COMPLETE", _last_value(t)))
    params = suggest(best, job.space, job.pipeline.get_params())
    model = clone(job.pipeline).set_params(**params).fit(job.X, job.y)
    return Found(model, _last_value(best), objective.n_epochs, params)


def _last_value(trial: Any) -> float:
    return trial.intermediate_values[max(trial.intermediate_values)]


class _Objective:
    """The mean score of a trial of Optuna; its folds are trained in turns.

    Attributes
    ----------
    n_epochs : int
        The epochs of all trials so far.
    """

    def __init__(self, job: Job):
        self.job = job
        self.n_epochs = 0
        cv = check_cv(N_FOLDS, job.y, classifier=is_classifier(job.pipeline))
        self._splits = list(cv.split(job.X, job.y))

    def __call__(self, trial: Any) -> float:
        from optuna import TrialPruned

        job, plan = self.job, self.job.plan
        params = suggest(trial, job.space, job.pipeline.get_params())
        candidate = clone(job.pipeline).set_params(**params)
        candidate[-1].set_params(max_iter=plan.n_epochs, warm_start="continue")
        folds = [_Fold(clone(candidate), job.X, job.y, *split) for split in self._splits]
        for until in [*range(plan.first_rung, plan.n_epochs, plan.first_rung), plan.n_epochs]:
            self.n_epochs += sum(fold.train(until) for fold in folds)
            score = mean(fold.score() for fold in folds)
            trial.report(score, until)
            is_spent = self.n_epochs >= job.budget
            if is_spent:
                trial.study.stop()
            if until < plan.n_epochs and (is_spent or trial.should_prune()):
                raise TrialPruned
        return score


class _Fold:
    """A network on one split, which is trained in parts."""

    def __init__(self, pipeline: Any, X: Any, y: np.ndarray, train: np.ndarray, test: np.ndarray):
        steps, self.network = pipeline[:-1], pipeline[-1]
        self.X, self.y = steps.fit_transform(_rows(X, train), y[train]), y[train]
        self.held_out = steps.transform(_rows(X, test)), y[test]
        self.has_ended = False

    def train(self, until: int) -> int:
        """Train up to an epoch; return the number of epochs that this took."""
        if self.has_ended:
            return 0
        trainer = self.network.fit_part(until, self.X, self.y)
        if trainer is None:
            raise KeyboardInterrupt
        self.has_ended = trainer.has_ended
        return trainer.epoch

    def score(self) -> float:
        return self.network.score(*self.held_out)


METHODS: dict[str, Callable[[Job], Found]] = {
    "random": random_search,
    "halving": halving_search,
    "optuna": optuna_search,
}


# The study ----------------------------------------------------------------------------------------


def make_pipeline_for(table: Table, plan: Plan, seed: int) -> Any:
    """Return the pipeline that is searched."""
    options = {"max_iter": plan.n_epochs, "random_state": seed}
    if table.is_classification:
        return make_pipeline(skdeep.TabularEncoder(), skdeep.MLPClassifier(**options))
    return make_pipeline(
        skdeep.TabularEncoder(), skdeep.MLPRegressor(standardize_y=True, **options)
    )


def default_space(pipeline: Any) -> dict:
    """Return the space that is searched."""
    return param_distributions(pipeline, effort="standard")


def load(name: str, folder: Path | None) -> Table:
    """Return a table of the folder, or else one of scikit-learn."""
    path = None if folder is None else folder / f"{name}.npz"
    if path is not None and path.exists():
        return read_table(path)
    if name not in SHIPPED:
        raise FileNotFoundError(f"there is no {name}.npz in {folder}; give --tables FOLDER")
    return SHIPPED[name]()


def split(table: Table, seed: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of at most `n_rows` training rows, and of the test rows."""
    rows = np.arange(len(table.y))
    classes = table.y if table.is_classification else None
    training, test = train_test_split(
        rows, test_size=0.2, stratify=classes, random_state=1000 + seed
    )
    return training[:n_rows], test  # they were shuffled


def compare(name: str, table: Table, method: str, seed: int, plan: Plan, budget: int) -> Outcome:
    """Search with one method, and judge the model that it finds by the test rows."""
    training, test = split(table, seed, plan.n_rows)
    pipeline = make_pipeline_for(table, plan, seed)
    X, y = _rows(table.X, training), table.y[training]
    job = Job(pipeline, default_space(pipeline), X, y, seed, plan, budget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm_up(job)
        start = time.perf_counter()
        found = METHODS[method](job)
        seconds = time.perf_counter() - start
        score = found.model.score(_rows(table.X, test), table.y[test])
    sizes = plan.n_candidates, plan.n_epochs, plan.n_rows
    figures = float(score), float(found.score), int(found.n_epochs), round(seconds, 3)
    return Outcome(name, seed, method, *sizes, *figures, repr(found.params))


def measure(
    sets: Sequence[str],
    seeds: Iterable[int],
    methods: Sequence[str],
    plan: Plan,
    folder: Path | None,
    path: Path | None,
    report: Callable[[str], None],
) -> Iterator[Outcome | str]:
    """Yield the outcome of each search, from the file if it is there; a sentence if it fails."""
    known = {outcome.key: outcome for outcome in read(path)} if path is not None else {}
    for seed in seeds:  # a study that is interrupted has all sets for the first seeds
        for name in sets:
            budget = plan.nominal_budget
            for method in sorted(methods, key=list(METHODS).index):
                sizes = plan.n_candidates, plan.n_epochs, plan.n_rows
                outcome = known.get((name, seed, method, *sizes))
                if outcome is None:
                    report(f"{name}, seed {seed}: {method}")
                    try:
                        table = load(name, folder)
                        outcome = compare(name, table, method, seed, plan, budget)
                    except Exception as error:  # other searches are still compared
                        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
                        yield f"{method} ({name}, seed {seed}) failed: {text}"
                        continue
                    if path is not None:
                        append(path, outcome)
                if method == "halving":
                    budget = outcome.n_epochs
                yield outcome


def study(n_seeds: int, quick: bool, folder: Path | None, report: Callable[[str], None]) -> str:
    """Return the tables of a study; a quick one is tiny, and neither reads nor writes the file."""
    plan = Plan(3, 3, 100, 1) if quick else Plan()
    sets, path = (QUICK, None) if quick else (SETS, FILE)
    return render(
        list(measure(sets, range(n_seeds), list(METHODS), plan, folder, path, report)), plan
    )


def _rows(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


# The file -----------------------------------------------------------------------------------------


def read(path: Path) -> list[Outcome]:
    """Return the outcomes in a file; a line that was cut off is left out."""
    if not path.exists():
        return []
    kinds = {"int": int, "float": float, "str": str}
    outcomes = []
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if None not in line.values() and None not in line:
                values = {f.name: kinds[f.type](line[f.name]) for f in fields(Outcome)}
                outcomes.append(Outcome(**values))
    return outcomes


def append(path: Path, outcome: Outcome) -> None:
    """Add a line to a file."""
    is_new = not path.exists() or not path.stat().st_size
    is_cut_off = not is_new and not path.read_bytes().endswith(b"\n")
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write("\n" if is_cut_off else "")
        writer = csv.DictWriter(file, [field.name for field in fields(Outcome)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(outcome))


# The report ---------------------------------------------------------------------------------------


def render(results: Sequence[Outcome | str], plan: Plan) -> str:
    """Return the tables, and the failures."""
    failures = [f"- {result}" for result in results if isinstance(result, str)]
    outcomes = [result for result in results if isinstance(result, Outcome)]
    if not outcomes:
        return "\n\n".join(["There is no result.", *failures])
    methods = [method for method in METHODS if any(o.method == method for o in outcomes)]
    intro = (
        f"{plan.n_candidates} candidates, {N_FOLDS} folds, {plan.n_epochs} epochs, at most "
        f"{plan.n_rows:,} training rows, {plan.n_jobs} processes for random and halving, one for "
        "Optuna (TPE and Hyperband), which gets the epochs that halving took. A score is the "
        "accuracy or R2 on the test rows of the model that the search has found and fitted. "
        "Epochs are those of the search on all folds."
    )
    sections = [intro, _by_set(outcomes, methods)]
    pairs = [(later, first) for first, later in combinations(methods, 2)]
    if pairs:
        sections += [
            "A difference is taken within a set and a seed. The number after ± is the standard "
            "error of its mean. Ratios are geometric means.",
            _differences(outcomes, pairs),
        ]
    return "\n\n".join(sections + (["\n".join(failures)] if failures else []))


def _by_set(outcomes: Sequence[Outcome], methods: Sequence[str]) -> str:
    header = ["", "seeds"]
    for figure in ("score", "epochs", "seconds"):
        header += [f"{figure}, {method}" for method in methods]
    rows = []
    for name in dict.fromkeys(outcome.table for outcome in outcomes):
        own = {m: [o for o in outcomes if (o.table, o.method) == (name, m)] for m in methods}
        cells = [name, str(max(len(found) for found in own.values()))]
        for figure, show in (
            ("test_score", "{:.4f}".format),
            ("n_epochs", "{:,.0f}".format),
            ("seconds", digits),
        ):
            cells += [
                show(mean(getattr(o, figure) for o in own[m])) if own[m] else NO_VALUE
                for m in methods
            ]
        rows.append(cells)
    return markdown(header, rows)


def _differences(outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]]) -> str:
    """Return a table of one method less another one: by set, and over all sets."""
    found = {(o.method, o.table, o.seed): o for o in outcomes}
    cells = list(dict.fromkeys((o.table, o.seed) for o in outcomes))
    rows = []
    for a, b in pairs:
        both = [
            (found[a, *cell], found[b, *cell])
            for cell in cells
            if (a, *cell) in found and (b, *cell) in found
        ]
        for name in [*dict.fromkeys(one.table for one, _ in both), None]:
            own = [pair for pair in both if name in (None, pair[0].table)]
            if own:
                differences = [one.test_score - other.test_score for one, other in own]
                ratios = [
                    _geometric_mean([getattr(one, f) / getattr(other, f) for one, other in own])
                    for f in ("n_epochs", "seconds")
                ]
                row = [f"{a} - {b}", name or "all", str(len(own)), with_error(differences)]
                rows.append([*row, *(f"{ratio:.2f}" for ratio in ratios)])
    return markdown(["", "set", "pairs", "score", "epochs, ratio", "seconds, ratio"], rows)


def with_error(values: Sequence[float]) -> str:
    """Return the mean of values with its standard error."""
    error = f"{stdev(values) / math.sqrt(len(values)):.4f}" if len(values) > 1 else NO_VALUE
    return f"{mean(values):+.4f} ± {error}"


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(mean(map(math.log, values)))


# The command line ---------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line; end the program if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.searching", description="Compare searches of hyperparameters."
    )
    plan = Plan()
    parser.add_argument(
        "--tables", type=Path, metavar="FOLDER", help=".npz files as for the case tabular"
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    for option, default, text in (
        ("--seeds", 5, "the number of seeds, 0, 1, ..."),
        ("--candidates", plan.n_candidates, "of the random search and of halving"),
        ("--epochs", plan.n_epochs, "of a candidate that is trained to the end"),
        ("--rows", plan.n_rows, "the largest number of training rows"),
        ("--jobs", plan.n_jobs, "processes of the random search and of halving"),
    ):
        parser.add_argument(
            option, type=int, metavar="N", default=default, help=f"{text}; {default} by default"
        )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", default=FILE, help="results; those in it are kept"
    )
    args = parser.parse_args()
    for option in ("seeds", "candidates", "epochs", "rows", "jobs"):
        if getattr(args, option) < 1:
            parser.error(f"--{option}: {getattr(args, option)} is not allowed; give 1 or more")
    for name in args.sets:
        if name not in SHIPPED and not (args.tables and (args.tables / f"{name}.npz").exists()):
            parser.error(f"--sets: there is no {name}.npz in --tables {args.tables}")
    return args


def main() -> None:
    """Run what is left of a study, and print its tables."""
    args = parse_arguments()
    plan = Plan(args.candidates, args.epochs, args.rows, args.jobs)
    start = time.perf_counter()

    def progress(text: str) -> None:
        print(f"[{time.perf_counter() - start:6.0f} s] {text}", flush=True)

    results = []
    for result in measure(
        args.sets, range(args.seeds), args.methods, plan, args.tables, args.csv, progress
    ):
        results.append(result)
        if isinstance(result, str):
            progress(result)
    print(f"\n## {TITLE}\n\n{render(results, plan)}")


if __name__ == "__main__":
    main()
