"""Runs that are written to files while they train, and go on from there."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import joblib

from skdeep._component import InvalidParameterError
from skdeep.building.checks import check_callbacks
from skdeep.callbacks import Callback, ModelCheckpoint
from skdeep.files.container import InvalidFileError, read_file, write_file
from skdeep.files.plain import InvalidStateError, NotPlainError, to_plain
from skdeep.training.trainer import Trainer

# What a run consists of, beside what it is started from; a resumed run takes them from the file.
PARTS_OF_A_RUN = (
    "network_",
    "optimizer_",
    "_schedule",
    "_monitor",
    "_streams",
    "_settings",
    "history_",
    "t_",
)


def run_id(estimator: Any, *data: Any, continues: bool, incremental: bool) -> str | None:
    """Return a name of the run that is about to begin, where a callback asks for one.

    It is made of what decides what the run will do: parameters, data, and what was learned before.
    """
    e, callbacks = estimator, check_callbacks(estimator.callbacks)
    if not any(callback.needs_run_id for callback in callbacks):
        return None
    parameters = e.get_params(deep=False)
    for name in ("verbose", "callbacks", "pretrained"):
        parameters.pop(name)
    others = [c for c in _own(callbacks) if c.changes_course]
    learned = [getattr(e, "network_", None) if continues else None]
    if e.pretrained is not None:
        learned.append(getattr(getattr(e.pretrained, "estimator", None), "network_", None))
    weights = [None if network is None else network.parameters.values for network in learned]
    losses = e.history_["loss"] if continues else []
    try:
        plain = to_plain([parameters, others], {}, type(e).__name__)
    except NotPlainError as error:
        raise _has_no_files(error) from error
    return joblib.hash((type(e).__name__, plain, weights, losses, data, incremental))[:12]


def find(estimator: Any, name: str | None) -> Any | None:
    """Return the model of the file that this run goes on from, None where there is none."""
    for callback in check_callbacks(estimator.callbacks):
        if not isinstance(callback, ModelCheckpoint) or name is None:
            continue
        path = callback.path_of(name)
        if path is None:
            continue
        if estimator.random_state is None:
            raise InvalidParameterError(
                "ModelCheckpoint(resume=True) needs a random_state: without one, a run can't be "
                "told from another that is just like it. Give a number."
            )
        if not path.exists():
            continue
        saved = read_file(path, type(estimator).models())
        run = getattr(saved, "_run", None)
        if type(saved) is not type(estimator) or run is None or run["id"] != name:
            raise InvalidFileError(
                f"{str(path)!r} is not the checkpoint of this run; move it away, or give "
                "ModelCheckpoint another path."
            )
        return saved
    return None


def take_over(estimator: Any, saved: Any) -> None:
    """Be where the run was."""
    for name in PARTS_OF_A_RUN:
        setattr(estimator, name, getattr(saved, name))


def resume(trainer: Trainer, saved: Any) -> None:
    """Set a trainer and its callbacks to where the run was."""
    run = saved._run
    trainer.resume(run["epoch"], run["learning_rate"], run["stops"])
    states = list(run["callbacks"])
    for callback in _own(trainer.callbacks):
        for entry in states:
            if entry[0] == repr(callback):
                vars(callback).update(entry[1])
                states.remove(entry)
                break


def allow_saving(estimator: Any, trainer: Trainer) -> None:
    """Let the trainer's callbacks write the model."""
    trainer.save = partial(_save, estimator, trainer)


def _save(estimator: Any, trainer: Trainer, path: str) -> None:
    """Write the model as if training ended now, and where the run is."""
    model = copy.copy(estimator)
    model.callbacks = None
    model._set_fitted(trainer)
    model._run = {
        "id": trainer.run_id,
        "epoch": trainer.epoch,
        "learning_rate": trainer.learning_rate,
        "stops": bool(trainer.stop_training),
        "callbacks": [[repr(c), _memory_of(c)] for c in _own(trainer.callbacks)],
    }
    try:
        write_file(model, type(model).models(), path)
    except NotPlainError as error:
        raise _has_no_files(error) from error
    except InvalidStateError as error:  # as if the disk were full: the file before it is kept
        raise OSError(f"no file could be read back: {error}") from error


def _has_no_files(error: NotPlainError) -> TypeError:
    return TypeError(
        f"ModelCheckpoint: {error}. A file of skdeep holds no code, so a model with such a part "
        "has no checkpoints."
    )


def _memory_of(callback: Callback) -> dict[str, Any]:
    return {name: value for name, value in vars(callback).items() if callback.remembers(name)}


def _own(callbacks: list[Callback]) -> list[Callback]:
    """Return those whose state is known to be plain data: skdeep's own."""
    return [c for c in callbacks if type(c).__module__.startswith("skdeep.")]
