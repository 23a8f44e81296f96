"""A contender's process, and the protocol with its parent.

Each line is a JSON object. The parent sends {"measure": name, "task": {...}}. The worker, started
as `python -m benchmarks.worker <contender>`, answers {"value": number} or {"error": text}.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import Task
from benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 1800.0  # seconds for one measurement


class WorkerError(Exception):
    """A measurement failed."""


# The parent's end -------------------------------------------------------------------------------


class Worker:
    """A child process that measures one contender, and sleeps between requests."""

    def __init__(self, name: str):
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # see close
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name],
            cwd=ROOT,
            env=os.environ | CONTENDERS[name].environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def ask(self, measure: str, task: Task | None = None) -> float:
        """Return a measurement; raise WorkerError if it fails."""
        timer = threading.Timer(TIME_LIMIT, self._process.kill)
        timer.start()
        try:
            request = {"measure": measure, "task": task and asdict(task)}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise WorkerError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["value"]

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process; if it is not busy, let it end its own children first."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _last_words(self) -> str:
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return f"its process ended with code {code}: {last}"


# The child's end --------------------------------------------------------------------------------


def serve(name: str) -> None:
    """Answer requests until there are no more."""
    # Answers have a channel of their own: the output of libraries to stdout goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.suppress(Exception):  # the error is raised again, and sent, at each request
        CONTENDERS[name].load()
    for line in sys.stdin:
        try:
            answer = {"value": _answer(name, json.loads(line))}
        except Exception as error:  # whatever the error, other measurements continue
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(answer), file=answers, flush=True)


def _answer(name: str, request: dict) -> float:
    # This imports NumPy: its time is part of the time of a cold process.
    from benchmarks import measures

    if request["measure"] == "forget":
        measures.forget()
        return 0.0
    task = request["task"]
    task["hidden"] = tuple(task["hidden"])
    return getattr(measures, request["measure"])(CONTENDERS[name].load(), Task(**task))


if __name__ == "__main__":
    serve(sys.argv[1])
