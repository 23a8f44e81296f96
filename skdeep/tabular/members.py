"""The members of an ensemble: networks with first weights and orders of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold

from skdeep._component import InvalidParameterError, blas_controller
from skdeep.building.checks import check_callbacks
from skdeep.callbacks import Callback
from skdeep.data.sources.base import Source
from skdeep.data.sources.files import FileSource
from skdeep.data.validation import split_rows
from skdeep.training.threads import one_thread

# From this number of rows on, threads are worth starting for predictions.
MANY_ROWS = 5000
# The share of a source's memory limit for validation rows.
SHARE_TO_KEEP = 1 / 6
# With fewer rows, there are too few to hold some back.
FEWEST_ROWS_TO_SPLIT = 20


class Rows(NamedTuple):
    """Encoded rows with their targets and weights; `weight` may be None, and X a source."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are those of a CSR matrix."""
        return self.X.is_sparse if isinstance(self.X, Source) else sp.issparse(self.X)

    def take(self, positions: np.ndarray | None) -> Rows:
        """Return the rows at these positions; None stands for all."""
        if positions is None:
            return self
        weight = None if self.weight is None else self.weight[positions]
        return Rows(self.X[positions], self.y[positions], weight)

    def kept(self) -> Rows:
        """Return the rows in memory, if they take a small share of the limit of their source.

        Validation looks at them in every epoch.
        """
        X = self.X
        if not isinstance(X, FileSource):
            return self
        if X.shape[0] * X.row_bytes > X.memory_limit * SHARE_TO_KEEP:
            return self
        return self._replace(X=X.take(np.arange(X.shape[0])))


class Split(NamedTuple):
    """The positions of the rows that a member trains on and validates on.

    None stands for all rows of the training data. `validation` is None if the member validates on
    the rows that the user gave, or on none.
    """

    training: np.ndarray | None = None
    validation: np.ndarray | None = None


def splits(
    n_rows: int,
    n_members: int,
    *,
    bags: bool,
    fraction: float,
    seed: int,
    stratify: np.ndarray | None,
    weight: np.ndarray | None = None,
) -> list[Split]:
    """Return the split of each member: a fold of its own, or rows held out from all members.

    Rows of weight 0 do not count. With bagging they are in the folds, as each row has a fold.
    """
    counts = np.ones(n_rows, bool) if weight is None else weight > 0
    rows, others = np.flatnonzero(counts), np.flatnonzero(~counts)
    stratify = None if stratify is None else stratify[rows]
    if len(rows) < FEWEST_ROWS_TO_SPLIT:
        return [Split()] * n_members
    if bags:
        folds = _folds(len(rows), n_members, seed, stratify)
        return [
            Split(rows[training], np.sort(np.concatenate([rows[own], others[i::n_members]])))
            for i, (training, own) in enumerate(folds)
        ]
    if stratify is not None and np.unique(stratify, return_counts=True)[1].max() < 2:
        stratify = None  # each row has a class of its own
    training, validation = split_rows(len(rows), fraction, seed, stratify)
    return [Split(rows[np.sort(training)], rows[np.sort(validation)])] * n_members


def _folds(n_rows: int, n_folds: int, seed: int, stratify: np.ndarray | None) -> Iterator:
    """Yield the positions of the training rows and of the validation rows of each fold."""
    if n_folds > n_rows:
        raise InvalidParameterError(
            f"n_members={n_folds} is too large for {n_rows} rows: with bagging, each member "
            "validates on rows of its own. Give fewer members, or bagging=False."
        )
    counts = None if stratify is None else np.unique(stratify, return_counts=True)[1]
    kind = StratifiedKFold if counts is not None and counts.min() >= n_folds else KFold
    folds = kind(n_folds, shuffle=True, random_state=seed)
    return folds.split(np.empty((n_rows, 1)), stratify)


class StopAfter(Callback):
    """Ends training after a number of epochs, without a change of its schedules.

    Parameters
    ----------
    n_epochs : int
    """

    def __init__(self, n_epochs: int):
        self.n_epochs = n_epochs

    def on_epoch_end(self, trainer):
        if trainer.epoch >= self.n_epochs:
            trainer.stop_training = True


class StopInValley(Callback):
    """Ends training if a cycle of `CosineLog` has brought no better epoch than the cycles before.

    At the end of a cycle the learning rate is 0, and the validation score at its best. If the data
    are noisy, a network is at its best after one of the first cycles, which are short.

    Parameters
    ----------
    n_cycles : int
        The number of cycles of the learning rate.
    n_epochs : int
        The number of epochs that it is laid out for.
    """

    def __init__(self, n_cycles: int, n_epochs: int):
        self.n_cycles = n_cycles
        self.n_epochs = n_epochs
        # The first epochs of a cycle have rates so small that they belong to the cycle before.
        ends = [(2**i - 1) / (2**n_cycles - 1) * n_epochs for i in range(1, n_cycles)]
        self.ends = [math.ceil(end) + round(0.02 * n_epochs) for end in ends]

    def on_epoch_end(self, trainer):
        best = trainer.monitor.best_epoch
        for before, end in pairwise(self.ends):
            if trainer.epoch == end and best is not None and best <= before:
                trainer.stop_training = True


class StopTogether(Callback):
    """Ends the training of all members if one of them was interrupted, or has failed."""

    def __init__(self):
        self.interrupted = self.stopped = False

    def on_epoch_end(self, trainer):
        if self.stopped:
            trainer.stop_training = True

    def on_train_end(self, trainer):
        self.interrupted |= trainer.interrupted


class Job(NamedTuple):
    """A member to train: an estimator that is not fitted, the rows of all members, and its split.

    `validation` are the rows that the user gave. The rows of a split are copied when training
    begins, so that there are as many copies as members that train at a time.
    """

    member: Any
    rows: Rows
    split: Split
    validation: Rows | None
    classes: np.ndarray | None


def train(jobs: Sequence[Job], n_jobs: int | None, verbose: bool) -> list[Any]:
    """Return the trained members, in the order of the jobs.

    Every member of several computes its products with one thread, so that the members do not
    depend on n_jobs. On a source they train one after the other, with all threads: the memory
    limit is that of one reader. If one of several is interrupted, all are, with KeyboardInterrupt.
    """
    if len(jobs) == 1:
        return [_trained(jobs[0])]
    reads = isinstance(jobs[0].rows.X, Source)
    together = StopTogether()
    n_at_a_time = 1 if reads else _at_a_time(n_jobs)  # before the threads are limited
    with nullcontext() if reads else one_thread():
        try:
            parallel = Parallel(n_at_a_time, require="sharedmem", return_as="generator")
            members = parallel(delayed(_trained)(job, together) for job in jobs)
            return list(_told(members, len(jobs), verbose))
        finally:
            together.stopped = True  # threads may still be at work


def _told(members: Iterator[Any], n_members: int, verbose: bool) -> Iterator[Any]:
    """Yield trained members; tell of each, if verbose."""
    for i, member in enumerate(members, 1):
        if verbose:
            best = member.best_iter_ or member.n_iter_
            score = member.best_validation_score_
            shown = "" if score is None or not math.isfinite(score) else f", score {score:.6f}"
            print(f"Member {i} of {n_members}: best epoch {best} of {member.n_iter_}{shown}")
        yield member


def _trained(job: Job, together: StopTogether | None = None) -> Any:
    validation = job.validation
    if job.split.validation is not None:
        validation = job.rows.take(job.split.validation)
    if validation is not None:
        validation = validation.kept()
    if together is not None:
        job.member.callbacks = [*check_callbacks(job.member.callbacks), together]
    rows = job.rows.take(job.split.training)
    job.member._fit(*rows, validation or (None, None, None), classes=job.classes)
    if together is not None and together.interrupted:
        raise KeyboardInterrupt
    job.member.callbacks = None  # a model keeps nothing of the run
    return job.member


def outputs(
    members: Sequence[Any], X: Any, output_of: Callable[[Any, Any], np.ndarray], n_jobs: int | None
) -> list[np.ndarray]:
    """Return the outputs of members for encoded rows; of many rows, several at a time.

    The rows of a source are read and encoded once for all members, if it gives blocks.
    """
    if hasattr(X, "blocks"):
        of_blocks = [outputs(members, block, output_of, n_jobs) for _, block in X.blocks()]
        return [np.concatenate(parts) for parts in zip(*of_blocks, strict=True)]
    if isinstance(X, Source) or X.shape[0] < MANY_ROWS or len(members) == 1:
        return [output_of(member, X) for member in members]
    n_at_a_time = _at_a_time(n_jobs)  # before the threads are limited
    with one_thread():
        parallel = Parallel(n_at_a_time, require="sharedmem")
        return parallel(delayed(output_of)(member, X) for member in members)


def _at_a_time(n_jobs: int | None) -> int:
    """Return joblib's n_jobs for the members.

    None stands for the number of threads that matrix products may use. joblib's workers limit it,
    so that members within a search do not take processors from each other.
    """
    if n_jobs is not None:
        return n_jobs
    libraries = [lib for lib in blas_controller().info() if lib["user_api"] == "blas"]
    return libraries[0]["num_threads"] if libraries else 1


def refitted(members: Sequence[Any], rows: Rows, classes, n_jobs, verbose: bool) -> list[Any]:
    """Return members trained on all rows, each for the number of epochs that was best for it."""
    jobs = []
    for member in members:
        twin = clone(member)
        twin.set_params(
            early_stopping=False, callbacks=[StopAfter(member.best_iter_ or member.n_iter_)]
        )
        jobs.append(Job(twin, rows, Split(), None, classes))
    return train(jobs, n_jobs, verbose)
