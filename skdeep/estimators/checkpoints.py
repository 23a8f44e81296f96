"""Checkpoints: files of runs, from which an interrupted run continues."""

from __future__ import annotations

from typing import Any

import joblib

from skdeep._component import InvalidParameterError
from skdeep.building.checks import check_callbacks
from skdeep.callbacks import Callback, ModelCheckpoint
from skdeep.data.sources.base import Source
from skdeep.files.container import InvalidFileError, read_file, write_file
from skdeep.files.plain import InvalidStateError, NotPlainError, to_plain
from skdeep.training.run import Run
from skdeep.training.trainer import Trainer


def run_id(estimator: Any, *data: Any, mode: str) -> str | None:
    """Return a name of the run that is about to begin, if a callback needs it.

    The name is a hash of everything that determines the result of the run: parameters, data, and
    the weights that it starts from.
    """
    e, callbacks = estimator, check_callbacks(estimator.callbacks)
    if not any(callback.needs_run_id for callback in callbacks):
        return None
    parameters = e.get_params(deep=False)
    for name in ("verbose", "callbacks", "pretrained"):
        parameters.pop(name)
    others = [c for c in _own(callbacks) if c.changes_course]
    continues = e._continues(mode)
    learned = [e.network_ if continues else None]
    if e.pretrained is not None:
        learned.append(getattr(getattr(e.pretrained, "estimator", None), "network_", None))
    weights = [None if network is None else network.parameters.values for network in learned]
    losses = e.history_["loss"] if continues else []
    try:
        plain = to_plain([parameters, others], type(e).models(), type(e).__name__)
    except NotPlainError as error:
        raise _has_no_files(error) from error
    is_partial = mode == "partial"
    plain, data = _without_histories(plain), _fingerprints(data)
    return joblib.hash((type(e).__name__, plain, weights, losses, data, is_partial))[:12]


def _fingerprints(data: Any) -> Any:
    """Return data of a run with plain data in the place of each source."""
    if isinstance(data, tuple):
        return tuple(map(_fingerprints, data))
    return data.fingerprint() if isinstance(data, Source) else data


def _without_histories(plain: Any) -> Any:
    """Return plain data in which a fitted model inside a layer is only its network.

    Its history has times, which differ if the model is fitted again.
    """
    if isinstance(plain, list):
        return [_without_histories(value) for value in plain]
    if not isinstance(plain, dict):
        return plain
    if "_run" in plain:
        plain = {"network": plain["_run"]["state"]["network"]}
    return {name: _without_histories(value) for name, value in plain.items()}


def find(estimator: Any, name: str | None, until: int | None = None) -> Run | None:
    """Return the run of the file that this run continues from; None if there is no such file.

    If this run ends with the epoch `until`, it can't continue from a file of a later epoch.
    """
    for callback in check_callbacks(estimator.callbacks):
        if not isinstance(callback, ModelCheckpoint) or name is None:
            continue
        path = callback.path_of(name)
        if path is None:
            continue
        if estimator.random_state is None:
            raise InvalidParameterError(
                "ModelCheckpoint(resume=True) needs a random_state: without one, a run can't be "
                "told from another one with equal parameters and data. Give a number."
            )
        if not path.exists():
            continue
        saved = read_file(path, type(estimator).models())
        if type(saved) is not type(estimator) or saved._run.name != name:
            raise InvalidFileError(
                f"{str(path)!r} is not the checkpoint of this run; move it away, or give "
                "ModelCheckpoint another path."
            )
        run = saved._run
        n_epochs = run.epochs_before + run.epoch + (run.within is not None)
        return run if until is None or n_epochs <= until else None
    return None


def connect(estimator: Any, trainer: Trainer) -> None:
    """Let the trainer's callbacks write the model, and give them back their earlier states."""

    def save(path: str) -> None:
        _save(estimator, trainer, path)

    trainer.save = save
    memories = list(trainer.run.memories)
    for callback in _own(trainer.callbacks):
        for entry in memories:
            if entry[0] == repr(callback):
                vars(callback).update(entry[1])
                memories.remove(entry)
                break


def forget(run: Run) -> None:
    """Drop the parts of a run that are for checkpoints alone."""
    run.name, run.memories = None, []


def _save(estimator: Any, trainer: Trainer, path: str) -> None:
    """Write the model as if training ended now, with everything that a resumed run needs."""
    run = trainer.run
    run.name = trainer.run_id
    run.memories = [[repr(c), _memory_of(c)] for c in _own(trainer.callbacks)]
    if run.within is not None:
        run.within.seconds = trainer.epoch_seconds
    try:
        with run.evaluated():
            model = estimator.as_if_ended(trainer)
            write_file(model, type(model).models(), path)
    except NotPlainError as error:
        raise _has_no_files(error) from error
    except InvalidStateError as error:  # as with a full disk, the earlier file is kept
        raise OSError(f"the file could not be read back: {error}") from error


def _has_no_files(error: NotPlainError) -> TypeError:
    return TypeError(
        f"ModelCheckpoint: {error}. A file of skdeep holds no code, so a model with such a part "
        "has no checkpoints."
    )


def _memory_of(callback: Callback) -> dict[str, Any]:
    return {name: value for name, value in vars(callback).items() if callback.remembers(name)}


def _own(callbacks: list[Callback]) -> list[Callback]:
    """Return skdeep's own callbacks, whose state is known to be plain data."""
    return [c for c in callbacks if type(c).__module__.startswith("skdeep.")]
