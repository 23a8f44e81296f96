"""One run of training, from an estimator's hyperparameters and data to a trainer that ran."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skdeep._component import described, is_per_layer, resolve, warn_user
from skdeep.building.checks import check_callbacks, uses_lbfgs
from skdeep.building.options import names
from skdeep.callbacks import Callback
from skdeep.callbacks.progress import PrintEpochs, ProgressBar
from skdeep.data.training_data import TrainingData
from skdeep.data.validation import ValidationSet, make_score
from skdeep.estimators import checkpoints
from skdeep.optimizers import OPTIMIZERS, Optimizer
from skdeep.schedules import SCHEDULES, Schedule
from skdeep.training.batches import Batches
from skdeep.training.lbfgs import fit_lbfgs
from skdeep.training.monitor import Monitor
from skdeep.training.trainer import Trainer

# Settings that a deterministic full-batch solver can't honour. Those of the learning rate are
# apart: their values without an effect are neither None nor 0.
_NOT_FOR_LBFGS = [n for n in names(not_for_lbfgs=True) if not n.startswith("learning_rate")]


# The trainer ----------------------------------------------------------------------------------


def make_trainer(
    estimator: Any,
    data: TrainingData,
    held_out: ValidationSet | None,
    *,
    continues: bool,
    incremental: bool,
    run_id: str | None,
    saved: Any | None,
    watchers: list[Callback],
) -> Trainer:
    """Return the trainer for a run, `saved` being the checkpoint that it goes on from.

    Sets: estimator.optimizer_, _schedule, _monitor.
    """
    e, network = estimator, estimator.network_
    is_lbfgs = uses_lbfgs(e)
    goes_on = continues and incremental
    keeps = goes_on or saved is not None
    e.optimizer_ = _optimizer(e, keeps) if not is_lbfgs else None
    e._schedule = _schedule(e, keeps)
    e._monitor = _monitor(e, keeps, is_lbfgs)
    validate = None
    if held_out is not None:
        score = make_score(e, e.scoring)

        def validate():
            return held_out.evaluate(network, e._loss, score)

        if e.early_stopping and continues and saved is None:
            # Rows and targets may be new: what was best is measured again, not remembered.
            e._monitor.start_from(*validate(), getattr(e, "best_iter_", None), network.parameters)
    else:
        make_score(e, e.scoring)  # a wrong name is an error even where it is not used
    # A weight acts as repetition, and the penalty of a batch is divided by its number of rows.
    alpha = e.alpha / data.mean_sample_weight
    done_in_this_run = 0 if saved is None else saved._run["epoch"]
    trainer = Trainer(
        network,
        e._loss,
        e.optimizer_,
        e._schedule,
        e._monitor,
        e.history_,
        learning_rate_init=e.learning_rate_init,
        horizon=e.max_iter,
        l1=alpha * e.l1_ratio,
        l2=alpha * (1 - e.l1_ratio),
        weight_decay=0.0 if is_lbfgs else e.weight_decay + e.optimizer_.weight_decay,
        gradient_noise=e.gradient_noise,
        clip_value=e.clip_value,
        clip_norm=e.clip_norm,
        rng=e._streams.noise,
        validate=validate,
        callbacks=[*check_callbacks(e.callbacks), *_reporters(e.verbose), *watchers],
        verbose=bool(e.verbose),
        rows_seen=e.t_,
        first_of_fit=not goes_on,
        epochs_before=len(e.history_["loss"]) - done_in_this_run if goes_on else 0,
        warns_not_converged=not incremental,
        run_id=run_id,
        hyperparameters=e.get_params(deep=False),
    )
    checkpoints.allow_saving(e, trainer)
    if saved is not None:
        checkpoints.resume(trainer, saved)
    return trainer


def _reporters(verbose: Any) -> list[Callback]:
    if isinstance(verbose, str):
        return [ProgressBar()]
    return [PrintEpochs()] if verbose else []


def _optimizer(e: Any, goes_on: bool) -> Optimizer:
    """Return a fresh optimizer, or the one from before with what it has learned."""
    constants = ("momentum", "nesterovs_momentum", "beta_1", "beta_2", "rho", "epsilon")
    defaults = {name: getattr(e, name) for name in constants} | {"weight_decay": 0.0}
    choices = {**OPTIMIZERS, "lbfgs": None}
    new = resolve(e.solver, choices, "solver", Optimizer, defaults)
    old = getattr(e, "optimizer_", None)
    fits = goes_on and type(old) is type(new) and old.started and old.slots == new.slots
    return old.set_params(**new.get_params(deep=False)) if fits else new


def _schedule(e: Any, goes_on: bool) -> Schedule:
    """Return a fresh schedule, or the one from before where it was not changed."""
    spec = e.learning_rate
    if _is_named(spec, "invscaling") and _is_named(e.solver, "adam"):
        # Many programs have it, for scikit-learn ignores it; it would stop them from learning.
        spec = "constant"
        if not goes_on:
            warn_user(
                "learning_rate='invscaling' has no effect with solver='adam', as in scikit-learn: "
                "the rate falls too fast for it. For this schedule with every solver, give an "
                "instance: learning_rate=skdeep.schedules.InverseScaling(power_t=0.5). Else "
                "leave learning_rate at 'constant'."
            )
    new = resolve(spec, SCHEDULES, "learning_rate", Schedule, {"power_t": e.power_t})
    old = getattr(e, "_schedule", None)
    if goes_on and described(old) == described(new):
        return old
    new.reset()
    return new


def _is_named(spec: Any, name: str) -> bool:
    return isinstance(spec, str) and spec == name


def _monitor(e: Any, goes_on: bool, is_lbfgs: bool) -> Monitor:
    """Return a fresh monitor, or the one from before where it was not changed."""
    # lbfgs itself knows when the training loss is at its minimum.
    patience = math.inf if is_lbfgs and not e.early_stopping else e.n_iter_no_change
    # A scorer that the user names counts alone.
    new = Monitor(e.tol, patience, bool(e.early_stopping), heeds_loss=e.scoring is None)
    old = getattr(e, "_monitor", None)
    return old if goes_on and old is not None and old.watches_the_same(new) else new


# Running it -----------------------------------------------------------------------------------


def train(estimator: Any, trainer: Trainer, data: TrainingData, *, incremental: bool) -> None:
    """Run the trainer over the data."""
    if estimator.optimizer_ is None:
        _train_lbfgs(estimator, trainer, data)
        return
    e, network = estimator, estimator.network_
    batches = Batches(
        data.X,
        e._targets(data.encoded, network.dtype, training=True, rng=e._streams.noise),
        data.scaled_weight(network.dtype),
        _batch_size(e, data.n_rows),
        e._streams.shuffle if e.shuffle else None,
        network.dtype,
        sparse=network.accepts_sparse,
        rows=data.rows,
    )
    trainer.fit(batches, 1 if incremental else e.max_iter)
    if not incremental:
        e.optimizer_.stop()  # only partial_fit goes on with it


def _batch_size(e: Any, n_rows: int) -> int:
    if e.batch_size == "auto":
        return min(200, n_rows)
    if e.batch_size > n_rows:
        warn_user(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
    return min(int(e.batch_size), n_rows)


def _train_lbfgs(e: Any, trainer: Trainer, data: TrainingData) -> None:
    _warn_about_ignored(e)
    dtype, X, encoded = e.network_.dtype, data.X, data.encoded
    weight = data.scaled_weight(dtype)
    if data.rows is not None:
        X, encoded = X[data.rows], encoded[data.rows]
        weight = None if weight is None else weight[data.rows]
    if not isinstance(X, np.ndarray) and not e.network_.accepts_sparse:
        X = X.toarray()
    targets = e._targets(encoded, dtype, training=True)
    Y = targets.gather(slice(None), np.empty(targets.shape, dtype))
    fit_lbfgs(trainer, X, Y, weight, max_iter=e.max_iter, max_fun=e.max_fun)


def _is_set(value: Any) -> bool:
    """Whether an option is neither None nor 0, nor a sequence of such."""
    entries = value if is_per_layer(value) else [value]
    return any(entry is not None and entry != 0 for entry in entries)


def _warn_about_ignored(e: Any) -> None:
    ignored = [
        f"{name}={getattr(e, name)!r}" for name in _NOT_FOR_LBFGS if _is_set(getattr(e, name, None))
    ]
    if not _is_named(e.learning_rate, "constant"):
        ignored.append(f"learning_rate={e.learning_rate!r}")
    multipliers = e.learning_rate_multipliers
    if any(m != 1 for m in (multipliers if is_per_layer(multipliers) else [multipliers])):
        ignored.append(f"learning_rate_multipliers={multipliers!r}")
    if getattr(e, "layers", None) is not None:
        ignored += [repr(layer) for layer in e.network_.walk() if layer.is_random]
    if ignored:
        warn_user(
            f"solver='lbfgs' can't honour {', '.join(ignored)}: it goes on without. Choose "
            "another solver, or leave them at their defaults."
        )
