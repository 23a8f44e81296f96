"""From hyperparameters to the parts of a run: optimizer, schedule, monitor, average, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from skdeep._component import (
    InvalidParameterError,
    described,
    is_named,
    is_per_layer,
    resolve,
    warn_user,
)
from skdeep.averages import AVERAGES, WeightAverage
from skdeep.building.by_name import defaults_of
from skdeep.building.checks import check_callbacks, continues_exactly, is_set, uses_lbfgs
from skdeep.building.options import names
from skdeep.callbacks import EarlyStopping
from skdeep.callbacks.figures import sign_of
from skdeep.network import Network
from skdeep.optimizers import OPTIMIZERS, Optimizer
from skdeep.schedules import SCHEDULES, Schedule, Scheduled
from skdeep.training.monitor import Monitor
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import Trainer

# Options that L-BFGS can't honour. The options of the learning rate are checked on their own, as
# their values without an effect are neither None nor 0.
_NOT_FOR_LBFGS = [n for n in names(not_for_lbfgs=True) if not n.startswith("learning_rate")]
# Options that may be numbers that change over time.
_SCHEDULED = names(scheduled=True)


def take_parts(
    run: Run, e: Any, *, keeps: bool, directions: Mapping[str, int | None] | None = None
) -> None:
    """Give a run the parts that an estimator's hyperparameters ask for.

    With keeps=True, a part of an earlier call stays if its settings were not changed. `directions`
    has 1 for figures of which higher is better, and -1 for those of which lower is.
    """
    is_lbfgs = uses_lbfgs(e)
    run.optimizer = None if is_lbfgs else _optimizer(e, run.optimizer if keeps else None)
    run.schedule = _schedule(e, run.schedule if keeps else None)
    figure, sign = "loss", -1
    if not is_lbfgs:
        figure, sign = _watched_by_schedule(e, run.schedule, directions or {})
    run.monitor = _monitor(e, run.monitor if keeps else None, is_lbfgs, figure, sign)
    average = None if is_lbfgs else _average(e, run.average if keeps else None)
    if average is not run.average:
        run.show_raw()
        run.average = average


def settings(
    e: Any, run: Run, *, mode: str, weight: float, run_id: str | None, until: int | None = None
) -> Settings:
    """Return the settings of a run; weight is the mean sample weight of its rows.

    If `until` is given, the call is a part of a longer one, and ends after that epoch of it.
    """
    # A weight acts as repetition, and the penalty of a batch is divided by its number of rows.
    alpha = e.alpha / weight
    before = run.epochs_before_call(mode)
    n_epochs, horizon = e.max_iter, e.max_iter + (0 if mode == "partial" else before)
    if mode == "partial":
        n_epochs = 1
    elif until is not None:
        n_epochs, horizon = until - before, e.max_iter
    return Settings(
        mode=mode,
        learning_rate_init=float(e.learning_rate_init),
        horizon=horizon,
        n_epochs=n_epochs,
        is_part=until is not None,
        l1=float(alpha * e.l1_ratio),
        l2=float(alpha * (1 - e.l1_ratio)),
        weight_decay=0.0 if run.optimizer is None else e.weight_decay,
        gradient_noise=e.gradient_noise,
        clip_value=e.clip_value,
        clip_norm=e.clip_norm,
        clip_parameter_norm=e.clip_parameter_norm,
        keeps_state=continues_exactly(e),
        stops_at_plateau=not _is_left_to_callback(e),
        verbose=bool(e.verbose),
        run_id=run_id,
        hyperparameters=e.get_params(deep=False),
        numbers=numbers_over_time(e, run.network),
    )


def numbers_over_time(e: Any, network: Network | None) -> dict[str, Scheduled]:
    """Return the numbers that change over time, by the names that they have in the history.

    The numbers of layers=[...] are known as soon as there is a network.
    """
    numbers = {}
    for name in _SCHEDULED:
        value = getattr(e, name, None)
        entries = {f"{name}_{i}": v for i, v in enumerate(value)} if is_per_layer(value) else {}
        numbers |= entries or {name: value}
    if getattr(e, "layers", None) is not None and network is not None:
        for i, layer in enumerate(network.walk()):
            kind = f"{type(layer).__name__}_{i}"
            numbers |= {f"{kind}_{name}": getattr(layer, name) for name in layer._may_change}
    return {name: value for name, value in numbers.items() if isinstance(value, Scheduled)}


def _is_left_to_callback(e: Any) -> bool:
    """Whether an EarlyStopping decides when training ends, as the user set no rule beside it."""
    stoppers = [c for c in check_callbacks(e.callbacks) if isinstance(c, EarlyStopping)]
    return bool(stoppers) and not e.early_stopping and not is_set(e, "n_iter_no_change")


def _optimizer(e: Any, old: Optimizer | None) -> Optimizer:
    """Return a new optimizer, or the old one with its state if it is of the same class."""
    choices = {**OPTIMIZERS, "lbfgs": None}
    new = resolve(e.solver, choices, "solver", Optimizer, defaults_of("solver", vars(e)))
    fits = type(old) is type(new) and old.started and old.slots == new.slots
    return old.set_params(**new.get_params(deep=False)) if fits else new


def _schedule(e: Any, old: Schedule | None) -> Schedule:
    """Return a new schedule, or the old one if its settings were not changed."""
    spec = e.learning_rate
    if is_named(spec, "invscaling") and is_named(e.solver, "adam"):
        # Many programs give it to scikit-learn, which ignores it. It would keep them from learning.
        spec = "constant"
        if old is None:
            warn_user(
                "learning_rate='invscaling' has no effect with solver='adam', as in scikit-learn: "
                "the rate falls too fast for it. For this schedule with every solver, give an "
                "instance: learning_rate=skdeep.schedules.InverseScaling(power_t=0.5). Else "
                "leave learning_rate at 'constant'."
            )
    defaults = defaults_of("learning_rate", vars(e))
    new = resolve(spec, SCHEDULES, "learning_rate", Schedule, defaults)
    if old is not None and described(old) == described(new):
        return old
    new.reset()
    return new


def _watched_by_schedule(
    e: Any, schedule: Schedule, directions: Mapping[str, int | None]
) -> tuple[str, int]:
    """Return the figure that the schedule waits for, and 1 if higher is better, or -1."""
    if schedule.monitor is None:
        return "loss", -1
    if e.early_stopping:
        raise InvalidParameterError(
            f"learning_rate={e.learning_rate!r} watches {schedule.monitor!r}, but with "
            "early_stopping=True the plateau is that of the validation score. Choose the score "
            "with `scoring`, and leave monitor at None."
        )
    sign = sign_of(schedule.monitor, schedule.mode, directions, "learning_rate")
    return schedule.monitor, sign


def _monitor(e: Any, old: Monitor | None, is_lbfgs: bool, figure: str, sign: int) -> Monitor:
    """Return a new monitor, or the old one if its settings were not changed."""
    # lbfgs itself knows when the training loss is at its minimum.
    patience = math.inf if is_lbfgs and not e.early_stopping else e.n_iter_no_change
    # If the user names a scorer, the validation loss does not count.
    new = Monitor(e.tol, patience, bool(e.early_stopping), e.scoring is None, figure, sign)
    return old if old is not None and old.watches_like(new) else new


def _average(e: Any, old: WeightAverage | None) -> WeightAverage | None:
    """Return a new average, or the old one if its settings were not changed."""
    new = resolve(e.weight_averaging, AVERAGES, "weight_averaging", WeightAverage, optional=True)
    if new is None:
        return None
    if old is not None and described(old) == described(new):
        return old
    new.reset()
    return new


def _has_effect(value: Any) -> bool:
    """Whether an option is neither None nor 0, nor a sequence of these."""
    entries = value if is_per_layer(value) else [value]
    return any(entry is not None and entry != 0 for entry in entries)


def warn_about_ignored(e: Any, trainer: Trainer) -> None:
    """Warn of the options that L-BFGS can't honour."""
    network = trainer.network
    ignored = [
        f"{name}={getattr(e, name)!r}"
        for name in _NOT_FOR_LBFGS
        if _has_effect(getattr(e, name, None))
    ]
    if not is_named(e.learning_rate, "constant"):
        ignored.append(f"learning_rate={e.learning_rate!r}")
    multipliers = e.learning_rate_multipliers
    if any(m != 1 for m in (multipliers if is_per_layer(multipliers) else [multipliers])):
        ignored.append(f"learning_rate_multipliers={multipliers!r}")
    if getattr(e, "layers", None) is not None:
        ignored += [repr(layer) for layer in network.walk() if layer.is_random]
    named = network.named_parameters()
    ignored += [f"rate={p.rate!r} of {name}" for name, p in named if p.rate != 1]
    if any(not stage.before_penalties for stage in trainer.stages):
        ignored.append("gradient stages of callbacks")
    if ignored:
        warn_user(
            f"solver='lbfgs' can't honour {', '.join(ignored)}: training ignores this. "
            "Choose another solver, or leave the defaults."
        )
