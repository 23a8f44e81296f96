"""Runs a case: round by round, contender after contender, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from benchmarks.cases import Case, Task
from benchmarks.contenders import CONTENDERS
from benchmarks.worker import Worker, WorkerError

# The pause between two contenders, in which threads that wait for work in a loop go to sleep.
PAUSE = 0.05


@dataclass
class Result:
    """The results: a list with a number per round, by contender and label of the task."""

    case: Case
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Workers(AbstractContextManager):
    """One long-lived process for each contender; a process that crashes is started again."""

    def __init__(self, contenders: Iterable[str]):
        self._workers = {name: Worker(name) for name in contenders}
        self.forget()  # when all have answered, no process is importing any more

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception):
        for worker in self._workers.values():
            worker.close()

    def measure(self, contender: str, measure: str, task: Task) -> float:
        """Return one measurement; raise WorkerError if it fails."""
        if not self._workers[contender].is_alive:
            self._workers[contender].close()
            self._workers[contender] = Worker(contender)
        return self._workers[contender].ask(measure, task)

    def forget(self) -> None:
        """Free the objects that earlier tasks left behind."""
        for worker in self._workers.values():
            with suppress(WorkerError):  # a measurement will fail, too, and be reported
                worker.ask("forget")


def measure_in_fresh_process(contender: str, measure: str, task: Task) -> float:
    """Return one measurement, made in a new process."""
    start = time.perf_counter()
    worker = Worker(contender)
    try:
        value = worker.ask(measure, task)
        return time.perf_counter() - start if measure == "cold" else value
    finally:
        worker.close()


def run_case(
    case: Case,
    contenders: list[str],
    n_rounds: int,
    workers: Workers,
    report: Callable[[str], None],
) -> Result:
    """Return all measurements of these contenders; failures are named and left out."""
    result = Result(case)
    entries = [
        (name, label)
        for label, task in case.tasks.items()
        for name in contenders
        if CONTENDERS[name].has_batch_norm or not task.batch_norm
    ]
    values: dict[tuple[str, str], list[float]] = {entry: [] for entry in entries}
    n_rounds = min(n_rounds, case.max_rounds)
    for i in range(-case.n_warm_up, n_rounds):
        report("warm-up" if i < 0 else f"round {i + 1} of {n_rounds}")
        # The order changes, so that no contender always follows the same contender.
        first = i % max(1, len(entries))
        for entry in entries[first:] + entries[:first]:
            if entry not in values:
                continue
            time.sleep(PAUSE)
            name, label = entry
            measure = measure_in_fresh_process if case.fresh else workers.measure
            try:
                value = measure(name, case.measure, case.tasks[label])
            except WorkerError as error:
                del values[entry]
                result.failures.append(f"{name}{label and f' ({label})'} failed: {error}")
                continue
            if i >= 0:
                values[entry].append(value)
    workers.forget()
    result.values = values
    return result
