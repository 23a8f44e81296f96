"""Trials: the candidates of a search, each with a network for every split, trained in parts."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from traceback import format_exc
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone

from skdeep.building.checks import uses_lbfgs
from skdeep.estimators.base import BaseMLP
from skdeep.model_selection.folds import Afresh, Fold, Given, Positions, Prepared
from skdeep.model_selection.networks import final_step, only_network_in, prefix_of
from skdeep.model_selection.workers import Workers


class Part(NamedTuple):
    """The result of one part of the training of a candidate on one split.

    Attributes
    ----------
    figures : dict
        Scores, times, and the text of an error, as scikit-learn's searches collect them.
    n_epochs : int
        The epochs that were trained in this part.
    state : bytes or None
        The network, for the next part.
    is_over : bool
        Whether a further part would change nothing.
    """

    figures: dict[str, Any]
    n_epochs: int = 0
    state: bytes | None = None
    is_over: bool = False


class Row(NamedTuple):
    """A row of `cv_results_`: the figures of a candidate, one for each split."""

    iteration: int
    n_epochs: int
    candidate: int
    figures: list[dict[str, Any]]


class Plan(NamedTuple):
    """How a candidate is trained.

    Attributes
    ----------
    estimator : estimator
        The user's estimator with the parameters of the candidate.
    model : estimator
        The estimator that is fitted and scored: the network, or with a `resource` all of it.
    steps : str
        A name of the steps before the network. Candidates with equal steps share their folds.
    resource : str or None
        If the model has to train from the beginning in each part, the name of the parameter that
        is the number of epochs.
    error : str or None
        The text of an error, if the parameters are wrong.
    """

    estimator: Any
    model: Any
    steps: str = ""
    resource: str | None = None
    error: str | None = None


class Trials:
    """The candidates of a search.

    Parameters
    ----------
    estimator : estimator
        The user's estimator, which has one network of skdeep.
    candidates : list of dict
        The parameters of the candidates.
    max_epochs : int
        The number of epochs that schedules are designed for.
    splits : list of (train, test)
    given : Given
    workers : Workers

    Attributes
    ----------
    n_epochs : int
        The number of epochs that were trained, on all splits.
    rows : list of Row
    figures : list of dict
        The figures of all parts.
    """

    def __init__(
        self,
        estimator: Any,
        candidates: Sequence[dict[str, Any]],
        max_epochs: int,
        splits: list[tuple[np.ndarray, np.ndarray]],
        given: Given,
        workers: Workers,
    ):
        self.candidates = list(candidates)
        self.max_epochs = max_epochs
        self.splits = splits
        self.given = given
        self.workers = workers
        self.n_epochs = 0
        self.rows: list[Row] = []
        self.figures: list[dict[str, Any]] = []
        self._given_alone = given.without_data()
        self._plans = [self._plan(estimator, parameters) for parameters in self.candidates]
        self._folds: dict[tuple[str, int], Fold] = {}
        self._last: dict[tuple[int, int], Part] = {}
        # A file that a worker still writes, or reads on Windows, must not cost the results.
        self._folder = tempfile.TemporaryDirectory(
            prefix="skdeep-search-", ignore_cleanup_errors=True
        )

    def close(self) -> None:
        """Delete the files of the search."""
        self._folds.clear()  # they are mapped into memory
        self._folder.cleanup()

    def advance(
        self, chosen: list[int], until: int, iteration: int, tick: Callable[[], None]
    ) -> list[Row]:
        """Train some candidates up to an epoch; add a row for each, and return these.

        `tick` is called for each split of each candidate.
        """
        self._prepare(chosen)
        n_splits = len(self.splits)
        every = [(c, s) for c in chosen for s in range(n_splits)]
        pairs = [(c, s) for c, s in every if not self._is_over(c, s)]
        done: set[tuple[int, int]] = set()

        def take(i: int, part: Part | None) -> None:
            if part is None and self.given.error_score == "raise":
                raise RuntimeError(_DIED)
            self._note(pairs[i], part or Part(self.given.figures(error=_DIED), is_over=True))
            done.add(pairs[i])
            tick()

        try:
            self.workers.run(_train, len(pairs), lambda i: self._job(*pairs[i], until), take)
        finally:  # if it is interrupted, the rows that are complete remain
            missing = {c for c, s in set(pairs) - done}
            complete = [c for c in chosen if c not in missing]
            rows = [Row(iteration, until, c, self._row(c, done)) for c in complete]
            self.rows += rows
        return rows

    def drop(self, candidates: Iterable[int]) -> None:
        """Delete the networks of candidates that do not continue."""
        for c in candidates:
            for s in range(len(self.splits)):
                self._path(c, s).unlink(missing_ok=True)

    # Candidates -----------------------------------------------------------------------------------

    def _plan(self, estimator: Any, parameters: dict[str, Any]) -> Plan:
        """Return how to train a candidate."""
        try:
            whole = clone(estimator).set_params(**clone(parameters, safe=False))
            path, _ = only_network_in(whole)
            prefix, network = final_step(whole)
            if not isinstance(network, BaseMLP) or uses_lbfgs(network) or _has_own_fit(network):
                return Plan(whole, whole, resource=f"{prefix_of(path)}max_iter")
            network.set_params(max_iter=self.max_epochs, warm_start="continue")
            if network is whole:
                return Plan(whole, whole)
            of_steps = {k: v for k, v in parameters.items() if not f"{k}__".startswith(prefix)}
            return Plan(whole, network, _name_of(of_steps))
        except Exception:
            if self.given.error_score == "raise":
                raise
            return Plan(None, None, error=format_exc())

    def _is_over(self, candidate: int, split: int) -> bool:
        """Whether a candidate has no part to train on a split: it has ended, or failed."""
        last = self._last.get((candidate, split))
        return last is not None and last.is_over

    def _note(self, pair: tuple[int, int], part: Part) -> None:
        """Take note of a part, and keep the network in a file."""
        if part.state is not None:
            self._path(*pair).write_bytes(part.state)
        self._last[pair] = part._replace(state=None)
        self.figures.append(part.figures)
        self.n_epochs += part.n_epochs

    def _row(self, candidate: int, done: set[tuple[int, int]]) -> list[dict[str, Any]]:
        """Return the figures of a candidate; splits that had nothing to train took no time."""
        row = []
        for s in range(len(self.splits)):
            figures = self._last[candidate, s].figures
            idle = {} if (candidate, s) in done else {"fit_time": 0.0, "score_time": 0.0}
            row.append({**figures, **idle})
        return row

    def _path(self, candidate: int, split: int) -> Path:
        return Path(self._folder.name, f"network-{candidate}-{split}")

    def _job(self, candidate: int, split: int, until: int) -> tuple:
        """Return the arguments of `_train` for the next part of a candidate."""
        plan, given = self._plans[candidate], self.given
        if plan.resource is not None:
            fold: Fold | str = Afresh(*self.splits[split], plan.resource)
        else:
            fold = plan.error or self._folds[plan.steps, split]
        if isinstance(fold, (str, Prepared)):
            given = self._given_alone
        path = self._path(candidate, split)
        state = path.read_bytes() if path.exists() else None
        return given, fold, plan.model if state is None else None, state, until

    # Folds ----------------------------------------------------------------------------------------

    def _prepare(self, chosen: list[int]) -> None:
        """Fit the steps before the networks, once for each split and each setting of them."""
        missing: dict[tuple[str, int], tuple] = {}
        for plan in (self._plans[c] for c in chosen):
            if plan.error or plan.resource:
                continue
            is_alone = plan.model is plan.estimator
            keeps_rows = is_alone and Positions.suits(plan.model, self.given.X, self.given.y)
            for s, split in enumerate(self.splits):
                if (plan.steps, s) in self._folds:
                    continue
                if keeps_rows and all(map(len, split)):
                    self._folds[plan.steps, s] = Positions(*split)
                else:
                    path = Path(self._folder.name, f"fold-{len(self._folds) + len(missing)}")
                    missing.setdefault((plan.steps, s), (self.given, plan.estimator, *split, path))
        keys = list(missing)

        def take(i: int, fold: Fold | Path | str | None) -> None:
            if isinstance(fold, Prepared):
                fold = _in_file(fold, missing[keys[i]][-1])
            if isinstance(fold, Path):
                fold = joblib.load(fold, mmap_mode="r")
            self._folds[keys[i]] = fold or _DIED

        self.workers.run(_prepared, len(keys), lambda i: missing[keys[i]], take)


def _has_own_fit(network: BaseMLP) -> bool:
    """Whether a class of the user's own defines `fit`, which training in parts would pass over."""
    own = [cls for cls in type(network).__mro__ if not cls.__module__.startswith("skdeep.")]
    return any("fit" in vars(cls) for cls in own)


def _name_of(parameters: dict[str, Any]) -> str:
    """Return a name that equal parameters share."""
    try:
        return joblib.hash(sorted(parameters.items()))
    except _NOT_PICKLED:  # functions of a notebook: candidates have the same ones from their space
        return str(sorted((key, id(value)) for key, value in parameters.items()))


def _prepared(
    given: Given, estimator: Any, train: np.ndarray, test: np.ndarray, path: Path
) -> Fold | Path | str:
    """Return a fold after the steps before the network, or the text of an error."""
    try:
        fold = Prepared(train, test, estimator, given)
    except Exception:
        if given.error_score == "raise":
            raise
        return format_exc()
    return _in_file(fold, path)


def _in_file(fold: Prepared, path: Path) -> Prepared | Path:
    """Write a fold into a file, which is shared by all workers, and return the path.

    Return the fold if this is impossible: on another computer, or because of classes of a notebook.
    """
    try:
        joblib.dump(fold, path)
    except (FileNotFoundError, *_NOT_PICKLED):
        return fold
    return path


def _train(given: Given, fold: Fold | str, model: Any, state: bytes | None, until: int) -> Part:
    """Train one part, and score it. Instead of a fold, there may be the text of an error."""
    if isinstance(fold, str):
        return Part(given.figures(error=fold), is_over=True)
    start = time.perf_counter()
    try:
        model = clone(model) if state is None else _loaded(state)
        n_epochs, is_over = fold.fit(model, given, until)
    except Exception:
        if given.error_score == "raise":
            raise
        times = {"fit_time": time.perf_counter() - start}
        return Part(given.figures(error=format_exc(), **times), is_over=True)
    trained = time.perf_counter()
    names = ("test", "train") if given.return_train_score else ("test",)
    scores = {f"{rows}_scores": fold.scores(model, given, rows) for rows in names}
    times = {"fit_time": trained - start, "score_time": time.perf_counter() - trained}
    goes_on = fold.continues and not is_over
    state = _dumped(model) if goes_on else None
    return Part(given.figures(**scores, **times), n_epochs, state, is_over)


def _dumped(model: BaseMLP) -> bytes:
    """Return a network as bytes. Its own pickles are checked when read, which takes longer."""
    parts = type(model), model.whole_state()
    try:
        return pickle.dumps(parts, protocol=5)
    except _NOT_PICKLED:  # classes of a notebook, which takes longer too
        return pickle.dumps(joblib.wrap_non_picklable_objects(parts, keep_wrapper=False))


def _loaded(dumped: bytes) -> BaseMLP:
    cls, state = pickle.loads(dumped)
    model = cls.__new__(cls)
    model.__setstate__(state)
    return model


# What pickle raises for classes and functions that a process can't import by their names.
_NOT_PICKLED = (pickle.PicklingError, AttributeError, TypeError)

_DIED = (
    "The process that trained this candidate died, twice. The system may have ended it for want of "
    "memory: lower n_jobs, or the size of the networks."
)
