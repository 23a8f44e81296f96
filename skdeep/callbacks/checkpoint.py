"""ModelCheckpoint, which writes files of a model during its training."""

from __future__ import annotations

import math
import os
import string
from pathlib import Path

from skdeep._component import InvalidParameterError, Limit, warn_user
from skdeep.callbacks.base import Callback
from skdeep.callbacks.figures import check_mode


class ModelCheckpoint(Callback):
    """Writes the model to a file after epochs, and within them; a run can continue from the file.

    `skdeep.load` reads the files. To continue an interrupted run, set `resume=True` and run the
    program again. A fit that finds its file continues from it, and ends with exactly the weights
    that it would have had without the interruption. The data, the parameters, `random_state` and
    the callbacks of skdeep have to be those of the interrupted run: the name of the file depends on
    them.

    Parameters
    ----------
    path : str or path-like, default="checkpoint-{run}.skdeep"
        `{run}` stands for a name of the run, which is made from the model's parameters and the
        data. So runs in parallel, as in a search, have files of their own. If the path lacks
        `{run}`, the name is put before the suffix. The path may also contain `{epoch}` and the keys
        of `history_`: "{run}-{epoch:03d}-{val_loss:.3f}.skdeep". Missing directories are created.
    every : int, default=1
        The number of epochs from one file to the next.
    every_n_batches : int or None, default=None
        The number of batches from one file to the next within an epoch, for long epochs. These
        files are written in addition to those after epochs. The last batch of an epoch has no file
        of its own: the file after the epoch takes its place. It needs a `path` without `{epoch}`
        and keys of `history_`. None writes no files within epochs.
    best_only : bool, default=False
        Whether to write a file only if `monitor` is better than ever before in this run.
    monitor : str or None, default=None
        A key of `history_`. None is "val_score" if there is validation data, else "loss".
    mode : {None, "min", "max"}, default=None
        Whether a lower or a higher figure is better. None is enough for losses and scores, for
        metrics that are scorers, and for names with "score", "accuracy", "loss", "error" or
        "deviance" in them. Any other figure needs "min" or "max".
    resume : bool, default=False
        Whether fit continues from the file, if there is one. A finished run is not repeated.

    Attributes
    ----------
    path_ : str
        The last file that was written.
    best_ : float
        With `best_only`, the best figure so far.
    """

    runs_last = True  # the file has the changes of all other callbacks
    needs_run_id = True
    writes_files = True
    _limits = {
        "every": Limit(1, integer=True),
        "every_n_batches": Limit(1, integer=True, special=(None,)),
    }

    def __init__(
        self,
        path: str | os.PathLike = "checkpoint-{run}.skdeep",
        *,
        every: int = 1,
        every_n_batches: int | None = None,
        best_only: bool = False,
        monitor: str | None = None,
        mode: str | None = None,
        resume: bool = False,
    ):
        self.path = path
        self.every = every
        self.every_n_batches = every_n_batches
        self.best_only = best_only
        self.monitor = monitor
        self.mode = mode
        self.resume = resume

    def check(self, what=""):
        super().check(what)
        check_mode(self.mode, "ModelCheckpoint")
        for name in ("best_only", "resume"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidParameterError(
                    f"ModelCheckpoint {name}={getattr(self, name)!r} is not allowed; give True or "
                    "False."
                )
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise InvalidParameterError(
                f"ModelCheckpoint monitor={self.monitor!r} is not allowed; give a key of history_."
            )
        if self.every_n_batches is not None:
            self._check_within_epochs()
        self._fields()

    def _check_within_epochs(self) -> None:
        """Raise if other parameters do not suit files within epochs, which have no figures."""
        given = f"every_n_batches={self.every_n_batches!r}"
        if self.best_only:
            raise InvalidParameterError(
                f"ModelCheckpoint({given}, best_only=True) is not allowed: there is no figure "
                "within an epoch. Use two callbacks with two paths."
            )
        self._check_one_file(given)

    def on_train_begin(self, trainer):
        self.check()
        if trainer.optimizer is None and (self.resume or self.every_n_batches is not None):
            given = "resume=True" if self.resume else f"every_n_batches={self.every_n_batches!r}"
            raise InvalidParameterError(
                f"ModelCheckpoint({given}) is for solvers that train step by step: the "
                "state of solver='lbfgs' can't be saved. Without it, files are written with "
                "lbfgs, too."
            )
        self._n_seen = trainer.batches_done
        if trainer.first_of_fit or not hasattr(self, "best_"):
            self.best_ = None

    @property
    def on_batch_end(self):
        """After a step; None without files within epochs, so that steps cost nothing."""
        return None if self.every_n_batches is None else self._after_batches

    def _after_batches(self, trainer) -> None:
        n_done, n_seen = trainer.batches_done, self._n_seen
        if n_done < n_seen:  # in the epoch before
            n_seen = 0
        self._n_seen = n_done
        is_due = n_done // self.every_n_batches > n_seen // self.every_n_batches
        if is_due and n_done < trainer.n_batches:
            self._write(trainer)

    def on_epoch_end(self, trainer):
        if not self._is_due_after(trainer) or (self.best_only and not self._is_best(trainer)):
            return
        self._write(trainer)

    def _is_due_after(self, trainer) -> bool:
        """Whether there is to be a file after an epoch."""
        if trainer.epoch % self.every == 0:
            return True
        return self.every_n_batches is not None and trainer.n_batches % self.every_n_batches == 0

    def _write(self, trainer) -> None:
        path = self._path_after_epoch(trainer)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            trainer.save(path)
        except OSError as error:
            # Hours of training are worth more than the file.
            warn_user(
                f"ModelCheckpoint could not write {path!r}: {error}. Training continues.",
                RuntimeWarning,
            )
            return
        self.path_ = path

    def path_of(self, run_id: str) -> Path | None:
        """Return the file that a run resumes from; None without resume=True."""
        self.check()
        if not self.resume:
            return None
        self._check_one_file("resume=True")
        return Path(self._template().format(run=run_id))

    def _check_one_file(self, given: str) -> None:
        if self._fields() != {"run"}:
            raise InvalidParameterError(
                f"ModelCheckpoint({given}) needs one file, which is overwritten; path="
                f"{self._given()!r} names many. Leave {sorted(self._fields() - {'run'})} out."
            )

    def _path_after_epoch(self, trainer) -> str:
        fields = {"epoch": trainer.epochs_before + trainer.epoch, **trainer.figures}
        try:
            return self._template().format(run=trainer.run_id, **fields)
        except (KeyError, IndexError, ValueError) as error:
            raise InvalidParameterError(
                f"ModelCheckpoint path={self._given()!r}: {error!r}; choose from "
                f"{['run', *fields]}. Keys that begin with 'val_' need validation data."
            ) from error

    def _given(self) -> str:
        if not isinstance(self.path, (str, os.PathLike)) or not os.fspath(self.path):
            raise InvalidParameterError(
                f"ModelCheckpoint path={self.path!r} is not allowed; give a string or a Path."
            )
        return os.fspath(self.path)

    def _fields(self, template: str | None = None) -> set[str]:
        template = self._template() if template is None else template
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise InvalidParameterError(f"ModelCheckpoint path={template!r}: {error}.") from error
        return {name for _, name, _, _ in parsed if name is not None}

    def _template(self) -> str:
        template = self._given()
        if "run" in self._fields(template):
            return template
        root, suffix = os.path.splitext(template)
        return f"{root}-{{run}}{suffix}"

    def _is_best(self, trainer) -> bool:
        value, sign = trainer.watched(self.monitor, self.mode, "ModelCheckpoint")
        if math.isnan(value):
            return False
        is_best = self.best_ is None or sign * value > sign * self.best_
        if is_best:
            self.best_ = value
        return is_best
