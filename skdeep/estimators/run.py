"""A run of training: from an estimator's hyperparameters and data to a trainer, and its work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, warn_user
from skdeep.augmentation import steps_of
from skdeep.building import parts
from skdeep.building.checks import check_callbacks, uses_lbfgs
from skdeep.callbacks import Callback
from skdeep.callbacks.figures import VALIDATION
from skdeep.callbacks.progress import PrintEpochs, ProgressBar
from skdeep.data.metrics import (
    Metric,
    check_names,
    directions,
    figures_of,
    make_metrics,
    training_figures,
)
from skdeep.data.sources.base import Source
from skdeep.data.training_data import TrainingData
from skdeep.data.validation import ValidationSet, given_rows, make_score
from skdeep.training.augmented import AugmentedBatches
from skdeep.training.batches import Batches
from skdeep.training.lbfgs import fit_lbfgs
from skdeep.training.run import Run
from skdeep.training.trainer import Trainer


def make_trainer(
    estimator: Any,
    run: Run,
    data: TrainingData,
    held_out: ValidationSet | None,
    *,
    mode: str,
    run_id: str | None,
    watchers: list[Callback],
    until: int | None = None,
) -> Trainer:
    """Return the trainer for a run.

    Sets: the run's optimizer, schedule, monitor and average.
    """
    e, validate, best, metrics = estimator, None, None, make_metrics(estimator)
    if held_out is not None:
        evaluate = _evaluation(e, held_out, make_score(e, e.scoring), metrics)

        def validate():
            return {f"{VALIDATION}{name}": figure for name, figure in evaluate(run).items()}

        if e.early_stopping and mode == "warm":
            # Rows and targets may be new, so the best score so far is measured again.
            figures, best_epoch = validate(), getattr(e, "best_iter_", None)
            vectors = [vector.copy() for vector in run.vectors()]
            best = figures["val_loss"], figures["val_score"], best_epoch, vectors
    else:
        make_score(e, e.scoring)  # a wrong name is an error even if it is not used
    keeps = mode in ("partial", "resumed", "continued")
    parts.take_parts(run, e, keeps=keeps, directions=directions(metrics))
    if mode == "continued" and run.history["loss"]:
        _warn_of_new_optimizer(run)
    if best is not None:
        run.monitor.start_from(*best)
    weight = data.mean_sample_weight
    settings = parts.settings(e, run, mode=mode, weight=weight, run_id=run_id, until=until)
    check_names(metrics, settings.numbers)
    return getattr(data.X, "trainer_class", Trainer)(
        run,
        settings,
        validate=validate,
        directions=directions(metrics),
        measure=training_figures(metrics, e, data) if metrics else None,
        callbacks=[*check_callbacks(e.callbacks), *_reporters(e.verbose), *watchers],
    )


def _evaluation(e: Any, rows: ValidationSet, score: Callable, metrics: list[Metric]) -> Callable:
    """Return a function that returns the figures of a run's network by name."""

    def of_metrics(rows: ValidationSet, Z: np.ndarray) -> dict[str, float]:
        return figures_of(metrics, e, rows.rows, Z)

    def evaluate(run: Run) -> dict[str, float]:
        return rows.evaluate(run.network, run.loss, score, (e._figures_by_task, of_metrics))

    return evaluate


def figures(estimator: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, float]:
    """Return the loss, the score and the metrics of a fitted model for some rows."""
    rows, _ = given_rows(estimator, X, y, sample_weight)
    score, metrics = make_score(estimator, None), make_metrics(estimator)
    return _evaluation(estimator, rows, score, metrics)(estimator._run)


def _warn_of_new_optimizer(run: Run) -> None:
    """Warn if an optimizer with a state has none to continue with."""
    if run.optimizer.slots and not run.optimizer.started:
        warn_user(
            "warm_start='continue': there is no state of the optimizer to continue with, so it "
            "starts again. The state is kept if warm_start is 'continue' in the earlier fit too, "
            "and if the solver and the layers that train are those of the earlier fit."
        )


def _reporters(verbose: Any) -> list[Callback]:
    if isinstance(verbose, str):
        return [ProgressBar()]
    return [PrintEpochs()] if verbose else []


def train(estimator: Any, trainer: Trainer, data: TrainingData) -> None:
    """Train on the data."""
    if uses_lbfgs(estimator):
        _train_lbfgs(estimator, trainer, data)
        return
    e, run = estimator, trainer.run
    dtype, augmentation = run.network.dtype, steps_of(e.augment)
    is_source = isinstance(data.X, Source)
    batches = (data.X.batches if is_source else partial(Batches, data.X))(
        e._targets(data.encoded, dtype, training=True, rng=run.streams.noise),
        data.scaled_weight(dtype),
        _batch_size(e, data.n_rows),
        run.streams.shuffle if e.shuffle else None,
        dtype,
        sparse=run.network.accepts_sparse and not augmentation,
        rows=data.rows,
    )
    if augmentation:
        batches = AugmentedBatches(
            batches, augmentation, run.streams.noise, reconstructs=e._targets_are_inputs
        )
    settings = trainer.settings
    trainer.fit(batches, settings.n_epochs)
    if settings.is_partial:
        return
    run.leave(settings.keeps_state)  # else only partial_fit continues with a state
    is_certain = settings.mode != "resumed" and not (trainer.interrupted or settings.keeps_state)
    if run.average is not None and is_certain and not trainer.has_averaged:
        warn_user(
            f"weight_averaging={e.weight_averaging!r} had no effect: training ended after "
            f"{run.epoch} epochs, before averaging began. Lower start, or raise n_iter_no_change."
        )


def _batch_size(e: Any, n_rows: int) -> int:
    if e.batch_size == "auto":
        return min(200, n_rows)
    if e.batch_size > n_rows:
        warn_user(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
    return min(int(e.batch_size), n_rows)


def _train_lbfgs(e: Any, trainer: Trainer, data: TrainingData) -> None:
    network = trainer.network
    if isinstance(data.X, Source):
        raise InvalidParameterError(
            f"solver='lbfgs' takes all rows at once, and X is {type(data.X).__name__}: choose "
            "another solver, such as 'adam'."
        )
    parts.warn_about_ignored(e, trainer)
    dtype, X, encoded = network.dtype, data.X, data.encoded
    weight = data.scaled_weight(dtype)
    if data.rows is not None:
        X, encoded = X[data.rows], encoded[data.rows]
        weight = None if weight is None else weight[data.rows]
    if not isinstance(X, np.ndarray) and not network.accepts_sparse:
        X = X.toarray()
    targets = e._targets(encoded, dtype, training=True)
    Y = targets.gather(slice(None), np.empty(targets.shape, dtype))
    fit_lbfgs(trainer, X, Y, weight, max_iter=e.max_iter, max_fun=e.max_fun)
