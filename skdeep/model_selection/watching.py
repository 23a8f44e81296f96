"""The tasks of a search, for scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


class Watched:
    """A context that tells the callbacks of a search what it does; without callbacks, nothing.

    The tasks are those of scikit-learn's searches: iterations with the parts that they train, and
    the fit of the best candidate.
    """

    def __init__(self, search: Any, X: Any, y: Any, params: dict[str, Any]):
        weight = params.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        self._about = {"estimator": search, "X": X, "y": y, "metadata": metadata}
        self._root: Any = None
        watches = hasattr(search, "_skl_callbacks") or hasattr(search, "_parent_callback_ctx")
        if watches and hasattr(search, "_init_callback_context"):
            self._root = search._init_callback_context(max_subtasks=1 + (search.refit is not False))

    def __enter__(self):
        if self._root is not None:
            self._root.call_on_fit_task_begin(**self._about)
        return self

    def __exit__(self, error, *about):
        if self._root is not None and error is None:
            self._root.call_on_fit_task_end(**self._about)

    @contextmanager
    def search(self, n_iterations: int) -> Iterator[None]:
        """The task of searching, of which the iterations are parts."""
        self._search = self._root and self._root.subcontext("search", max_subtasks=n_iterations)
        with self._task(self._search):
            yield

    @contextmanager
    def iteration(self, n_parts: int) -> Iterator[Callable[[], None]]:
        """An iteration; it yields a function to call when a part was trained."""
        context = self._root and self._search.subcontext("iteration", max_subtasks=n_parts)

        def done() -> None:
            with self._task(self._root and context.subcontext("candidate-split-evaluation")):
                pass

        with self._task(context):
            yield done

    @contextmanager
    def refit(self, best: Any) -> Iterator[None]:
        """The fit of the best candidate, whose own tasks belong to it."""
        context = self._root and self._root.subcontext("refit-with-best-params")
        propagated = context.propagate_callback_context(best) if context else nullcontext()
        with propagated, self._task(context):
            yield

    @contextmanager
    def _task(self, context: Any) -> Iterator[None]:
        if context is not None:
            about = {"estimator": self._about["estimator"]}
            context.call_on_fit_task_begin(**about)
        yield
        if context is not None:
            context.call_on_fit_task_end(**about)
