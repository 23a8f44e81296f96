"""Full-batch training with SciPy's L-BFGS on the flat vector."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from skdeep._component import warn_user
from skdeep.clipping import gradient_norm
from skdeep.kernels import choose
from skdeep.training.trainer import Trainer

# SciPy's default tolerance for the relative change of the objective. tol=0 turns it off.
FTOL = 2.220446049250313e-09


def fit_lbfgs(trainer: Trainer, X, Y: np.ndarray, weight, *, max_iter: int, max_fun: int) -> None:
    """Train with all rows as one batch; an iteration counts as an epoch.

    SciPy works in float64, the network in its own dtype. Dropout and noise are off.
    """
    network = trainer.network
    parameters = network.parameters
    w = parameters.values[: parameters.n_trainable]
    n_rows = X.shape[0]
    if isinstance(X, np.ndarray):
        # This batch may be the user's own array. Compiled code counts strides in elements, so the
        # array has to be aligned.
        X = np.require(X, requirements="A")
    kernels = choose(max_iter * network.seconds_a_step(n_rows))

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        if trainer.between_epochs:  # the next iteration has begun
            trainer.begin_epoch()
        np.copyto(w, x, casting="same_kind")
        loss = trainer.objective(X, Y, weight)
        # A line search can recover from infinity, but not from NaN.
        return (math.inf if math.isnan(loss) else loss), parameters.grads.astype(np.float64)

    def end_iteration(intermediate_result) -> None:
        np.copyto(w, intermediate_result.x, casting="same_kind")
        try:
            stops = _end_iteration(trainer, float(intermediate_result.fun), X)
        except StopIteration as error:  # SciPy would take it for the one below
            raise RuntimeError("a callback raised StopIteration") from error
        if stops:
            raise StopIteration

    with trainer.session(n_rows, None, kernels):
        trainer.begin_training()
        start = w.astype(np.float64)
        if not math.isfinite(objective(start)[0]):
            raise trainer.divergence("the loss was not finite", 1)
        tol = trainer.monitor.tol
        result = scipy.optimize.minimize(
            objective,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=end_iteration,
            options={
                "maxiter": max_iter,
                "maxfun": max_fun,
                "gtol": tol,
                "ftol": FTOL if tol else 0.0,
            },
        )
        np.copyto(w, result.x, casting="same_kind")
        _measure_batch_norm(trainer, X)
        if not trainer.epoch:  # not a single iteration was needed, or possible
            _end_iteration(trainer, float(result.fun), X)
        stopped_by_us = trainer.stop_training or trainer.monitor.plateau
        if result.status != 0 and not stopped_by_us:
            warn_user(
                f"lbfgs failed to converge after {result.nit} iteration(s) "
                f"(status={result.status}): {result.message}. Increase max_iter={max_iter} or "
                f"max_fun={max_fun}, or scale the data (StandardScaler).",
                ConvergenceWarning,
            )


def _end_iteration(trainer: Trainer, loss: float, X) -> bool:
    """Validate and record; return whether to stop."""
    trainer.gradient_norm = gradient_norm(trainer.network.parameters.grads)
    trainer.tell("on_gradient")
    if trainer.validate is not None or trainer.callbacks:  # they read the network
        _measure_batch_norm(trainer, X)
    return trainer.end_epoch(loss)


def _measure_batch_norm(trainer: Trainer, X) -> None:
    """Set all running statistics to those of the whole batch at the present weights."""
    layers = trainer.network.batch_norms()
    if not layers:
        return
    for layer in layers:
        layer.measure(0.0)
    trainer.network.forward(X)
    for layer in layers:
        layer.measure(None)
