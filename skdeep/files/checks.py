"""Checks that the parts of a model that was read belong together.

Compiled code trusts sizes, so everything that was read is checked before compiled code sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skdeep.averages import WeightAverage
from skdeep.callbacks import Callback
from skdeep.files.plain import InvalidStateError
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.optimizers import Optimizer
from skdeep.schedules import Schedule
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import EpochSoFar, Run

_NONE = type(None)
_KINDS_IN_A_MODEL = {"_run": Run, "n_iter_": int, "n_outputs_": int, "n_features_in_": int}
_KINDS_IN_A_RUN = {
    "network": Network,
    "loss": Loss,
    "streams": Streams,
    "optimizer": (Optimizer, _NONE),
    "schedule": (Schedule, _NONE),
    "monitor": (Monitor, _NONE),
    "average": (WeightAverage, _NONE),
    "history": dict,
    "built_from": dict,
    "rows_seen": int,
    "epoch": int,
    "epochs_before": int,
    "last_vectors": (list, _NONE),
    "last_averaged": int,
    "left": (str, _NONE),
    "learning_rate": float,
    "stops": bool,
    "within": (EpochSoFar, _NONE),
    "name": (str, _NONE),
    "memories": list,
}
_KINDS_IN_AN_EPOCH = {
    "shuffle": np.random.Generator,
    "n_batches": int,
    "n_rows": int,
    "total": float,
    "gradient_norm": float,
    "seconds": float,
    "outputs": (np.ndarray, _NONE),
}


def check_model(model: Any, models: Mapping[str, type]) -> None:
    """Raise if the parts of a model do not belong together."""
    if type(model) not in models.values():
        raise InvalidStateError(f"{type(model).__name__} is no model")
    model.get_params()
    if hasattr(model, "check_parts"):  # it consists of other models
        model.check_parts(lambda part: check_model(part, models))
        return
    check_sizes(model)
    run = model._run
    if not all(np.isfinite(vector).all() for vector in run.vectors()):
        raise InvalidStateError("weights are not finite")
    for part in (run.optimizer, run.average):
        if part is not None:
            part.check()
    for name in ("init", "shuffle", "noise"):
        if not isinstance(getattr(run.streams, name), np.random.Generator):
            raise InvalidStateError(f"{name} is no generator")
    if run.within is not None:
        _check_epoch(run.within, run)
    _check_history(run.history)
    _try_out(model)
    _check_memories(run.memories)


def check_sizes(model: Any) -> None:
    """Raise if an array has not the size that compiled code expects: it would write past the end.

    Sets: the run's network, which is built again from its layers and its values.
    """
    _check_kinds(model, _KINDS_IN_A_MODEL)
    run = model._run
    _check_kinds(run, _KINDS_IN_A_RUN)
    network = run.network = run.network.rebuilt()
    if (network.n_inputs, network.n_outputs) != (model.n_features_in_, model.n_outputs_):
        raise InvalidStateError("the network's inputs and outputs are not the model's")
    vector, optimizer = network.parameters, run.optimizer
    if optimizer is not None and optimizer.started:
        if type(optimizer.n_steps_) is not int or optimizer.n_steps_ < 0:
            raise InvalidStateError(f"an optimizer can't have done {optimizer.n_steps_!r} steps")
        if len(optimizer.slots_) != len(optimizer.slots):
            raise InvalidStateError("the optimizer's state is not of its kind")
        _check_vectors(optimizer.slots_, vector.n_trainable, vector.values)
    best = None if run.monitor is None else run.monitor.best_vectors
    for vectors in (best, run.last_vectors):
        if vectors is not None and len(vectors) not in (1, 2):
            raise InvalidStateError(f"an epoch has {len(vectors)} vectors")
        _check_vectors(vectors or [], vector.values.size, vector.values)
    if run.average is not None:
        _check_average(run.average, vector.values)
    model.check_targets()


def _check_average(average: WeightAverage, like: np.ndarray) -> None:
    kind, n = type(average), average.n_averaged_
    if type(n) is not int or n < 0 or (average.values_ is None) != (n == 0):
        raise InvalidStateError(f"an average can't have {n!r} vectors in it")
    if average.every_step is not kind.every_step:
        raise InvalidStateError(f"{kind.__name__} averages at another time")
    vectors = [v for v in (average.values_, average.raw_) if v is not None]
    _check_vectors(vectors, like.size, like)


def _check_epoch(within: EpochSoFar, run: Run) -> None:
    """Raise if an epoch can't continue after this part of it."""
    _check_kinds(within, _KINDS_IN_AN_EPOCH)
    if within.n_batches < 0 or within.n_rows < within.n_batches:
        raise InvalidStateError(f"{within.n_batches} batches can't have {within.n_rows} rows")
    if type(within.shuffle.bit_generator) is not type(run.streams.shuffle.bit_generator):
        raise InvalidStateError("the generators of the order of the rows are of two kinds")
    network, outputs = run.network, within.outputs
    if outputs is not None and (
        outputs.shape[1:] != (network.n_outputs,) or outputs.dtype != network.dtype
    ):
        raise InvalidStateError(f"the outputs of an epoch are of shape {outputs.shape}")


def _check_kinds(owner: Any, kinds: Mapping[str, Any]) -> None:
    for name, kind in kinds.items():
        if not isinstance(vars(owner)[name], kind):
            raise InvalidStateError(f"{name} is a {type(vars(owner)[name]).__name__}")


def _check_vectors(arrays: Any, size: int, like: np.ndarray) -> None:
    if not all(
        isinstance(a, np.ndarray) and a.shape == (size,) and a.dtype == like.dtype for a in arrays
    ):
        raise InvalidStateError("arrays of the optimizer, monitor or average have other sizes")


def _try_out(model: Any) -> None:
    nothing = np.zeros((1, model.n_features_in_), model.network_.dtype)
    model = model._without_feature_names()
    vars(model).pop("_sklearn_output_config", None)
    for method in ("predict", "predict_proba", "transform", "score"):
        if hasattr(model, method) and not (method == "score" and hasattr(model, "predict")):
            getattr(model, method)(nothing)


def _check_history(history: dict) -> None:
    columns = history.values()
    if "loss" not in history or not all(isinstance(column, list) for column in columns):
        raise InvalidStateError("the history has no column of losses")
    if len({len(column) for column in columns}) > 1:
        raise InvalidStateError("the history has columns of several lengths")
    if not all(isinstance(number, (int, float)) for column in columns for number in column):
        raise InvalidStateError("the history has something that is no number")


def _check_memories(memories: list) -> None:
    """Raise if the memories are not states of callbacks."""
    for described, state in memories:
        names = [name for name in state if Callback.remembers(name)]
        if type(described) is not str or len(names) < len(state):
            raise InvalidStateError("the states of its callbacks have unknown attributes")
