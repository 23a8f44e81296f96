"""Full-batch training with SciPy's L-BFGS on the flat vector."""

from __future__ import annotations

import math
from collections import Counter

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
    n_rows, tol = X.shape[0], trainer.monitor.tol
    kernels = choose(max_iter * trainer.network.seconds_a_step(n_rows))
    search = _Search(trainer, X, Y, weight)
    with trainer.session(n_rows, None, kernels):
        trainer.begin_training()
        start = search.w.astype(np.float64)
        if not math.isfinite(search.objective(start)[0]):
            raise trainer.divergence("the loss was not finite", 1)
        result = scipy.optimize.minimize(
            search.objective,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=search.end_iteration,
            options={
                "maxiter": max_iter,
                "maxfun": max_fun,
                "gtol": tol,
                "ftol": FTOL if tol else 0.0,
            },
        )
        search.take(result)
        if result.status != 0 and not (trainer.stop_training or trainer.monitor.plateau):
            warn_user(
                f"lbfgs failed to converge after {result.nit} iteration(s) "
                f"(status={result.status}): {result.message}. Increase max_iter={max_iter} or "
                f"max_fun={max_fun}, or scale the data (StandardScaler).",
                ConvergenceWarning,
            )


class _Search:
    """What SciPy calls while it looks for the minimum."""

    def __init__(self, trainer: Trainer, X, Y: np.ndarray, weight):
        parameters = trainer.network.parameters
        self.trainer, self.Y, self.weight = trainer, Y, weight
        # This batch may be the user's own array. Compiled code counts strides in elements, so the
        # array has to be aligned.
        self.X = np.require(X, requirements="A") if isinstance(X, np.ndarray) else X
        self.w = parameters.values[: parameters.n_trainable]

    def objective(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the objective and its gradient."""
        trainer = self.trainer
        if trainer.between_epochs:  # the next iteration has begun
            trainer.begin_epoch()
        np.copyto(self.w, x, casting="same_kind")
        loss = trainer.objective(self.X, self.Y, self.weight)
        gradient = trainer.network.parameters.grads.astype(np.float64)
        # A line search can recover from infinity, but not from NaN.
        return (math.inf if math.isnan(loss) else loss), gradient

    def end_iteration(self, intermediate_result) -> None:
        """End an epoch; raise StopIteration if it is the last one."""
        np.copyto(self.w, intermediate_result.x, casting="same_kind")
        try:
            stops = self._end_epoch(float(intermediate_result.fun))
        except StopIteration as error:  # SciPy would take it for the one below
            raise RuntimeError("a callback raised StopIteration") from error
        if stops:
            raise StopIteration

    def take(self, result) -> None:
        """Put the minimum into the network."""
        np.copyto(self.w, result.x, casting="same_kind")
        self._measure_batch_norm()
        if not self.trainer.epoch:  # not a single iteration was needed, or possible
            self._end_epoch(float(result.fun))

    def _end_epoch(self, loss: float) -> bool:
        """Validate and record; return whether to stop."""
        trainer = self.trainer
        trainer.gradient_norm = gradient_norm(trainer.network.parameters.grads)
        trainer.tell("on_gradient")
        if trainer.validate or trainer.outputs or trainer.callbacks:  # they read the network
            self._measure_batch_norm()
        if trainer.outputs:
            # The last evaluation of a line search need not be at the point that it chose.
            trainer.outputs.take(trainer.network.infer(self.X))
        return trainer.end_epoch(loss)

    def _measure_batch_norm(self) -> None:
        """Set all running statistics to those of the whole batch at the present weights.

        A layer in several places has the mean of the statistics in its places.
        """
        layers = self.trainer.network.batch_norms()
        if not layers:
            return
        n_places: Counter[int] = Counter()
        for layer in layers:
            n_places[id(layer.mean_.root)] += 1
            layer.measure(1 - 1 / n_places[id(layer.mean_.root)])
        self.trainer.network.forward(self.X)
        for layer in layers:
            layer.measure(None)
