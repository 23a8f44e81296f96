"""The trainer: batches in, a trained network out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdeep._component import InvalidParameterError, warn_user
from skdeep.callbacks.base import Callback
from skdeep.clipping import clip_gradient, gradient_norm
from skdeep.kernels import choose, draw_seed, numpy_kernels
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.optimizers import Optimizer
from skdeep.schedules import Progress, Schedule
from skdeep.training.batches import Batches
from skdeep.training.history import History, even_out, record
from skdeep.training.monitor import Monitor
from skdeep.training.threads import threads_for


class DivergenceError(ValueError):
    """The loss or the weights stopped being finite."""


class Trainer:
    """Train one network.

    Parameters
    ----------
    network : Network
    loss : Loss
    optimizer : Optimizer or None
        Started already where it goes on from an earlier run; None for L-BFGS.
    schedule : Schedule
    monitor : Monitor
    history : dict of lists
        Epochs are appended to it.
    learning_rate_init : float
    horizon : int
        The number of epochs that the schedule is laid out for.
    l1, l2 : float
        The penalty l1 * sum |W| + l2 / 2 * sum W^2 over the dense kernels, which is divided by
        the number of rows of a batch.
    weight_decay : float
        Decoupled.
    gradient_noise : float
    clip_value, clip_norm : float or None
    rng : numpy.random.Generator
        For dropout and noise.
    validate : callable or None
        Returns (val_loss, val_score) of the network as it is.
    callbacks : sequence of Callback
    verbose : bool
        Whether to print what is done about a plateau; the rest is for callbacks.
    rows_seen : int
        In the model's whole life, before this run.
    first_of_fit : bool
        Whether the next epoch is the first of a call of fit.
    epochs_before : int
        Epochs of earlier runs that count for the schedule.
    warns_not_converged : bool
        Whether running into the last epoch is worth a warning.
    run_id : str or None
        What tells this run from others, where a callback asked for it.
    hyperparameters : dict
        Those of the estimator, for callbacks that write them down.

    Attributes
    ----------
    epoch : int
        Epochs done in this run.
    learning_rate : float
        The rate of the last step.
    between_epochs : bool
        Whether none is under way.
    figures : dict of float
        What the last epoch has added to the history.
    interrupted : bool
        Whether Ctrl-C ended the run.
    stop_training : bool
        A callback may set it to True: training stops when the epoch ends.
    save : callable
        save(path) writes the model as it is to a file, with what a resumed run needs.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer | None,
        schedule: Schedule,
        monitor: Monitor,
        history: History,
        *,
        learning_rate_init: float,
        horizon: int = 1,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        gradient_noise: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        rng: np.random.Generator | None = None,
        validate: Callable[[], tuple[float, float]] | None = None,
        callbacks: Sequence[Callback] = (),
        verbose: bool = False,
        rows_seen: int = 0,
        first_of_fit: bool = True,
        epochs_before: int = 0,
        warns_not_converged: bool = True,
        run_id: str | None = None,
        hyperparameters: dict[str, Any] | None = None,
    ):
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.monitor = monitor
        self.history = history
        self.learning_rate_init = float(learning_rate_init)
        self.horizon = horizon
        self.n_batches = 1
        self.l1 = float(l1)
        self.l2 = float(l2)
        self.weight_decay = float(weight_decay)
        self.gradient_noise = float(gradient_noise)
        self.clip_value = None if clip_value is None else float(clip_value)
        self.clip_norm = None if clip_norm is None else float(clip_norm)
        self.rng = rng
        self.validate = validate
        self.callbacks = sorted(callbacks, key=lambda callback: callback.runs_last)
        self.verbose = verbose
        self.rows_seen = rows_seen
        self.first_of_fit = first_of_fit
        self.epochs_before = epochs_before
        self.warns_not_converged = warns_not_converged
        self.run_id = run_id
        self.hyperparameters = hyperparameters or {}
        self.save: Callable[[str], None] | None = None
        self.epoch = 0
        self._is_resumed = False
        self.learning_rate = self.learning_rate_init
        self.stop_training = False
        self.between_epochs = True
        self.figures: dict[str, float] = {}
        self.gradient_norm = math.nan
        self.interrupted = False

    # One step, one epoch, one run ---------------------------------------------------------------

    def objective(self, X, Y: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the loss with all penalties, and fill the gradient."""
        return self._objective(X, Y, weight, self.l2 / len(Y))

    def _objective(self, X, Y: np.ndarray, weight: np.ndarray | None, l2: float) -> float:
        network, n_rows = self.network, len(Y)
        Z = network.forward(X)
        loss = self._value_and_grad(Y, Z, weight, self._work[:n_rows])
        network.backward(Z)
        return loss + network.add_penalties(self.l1 / n_rows, l2)

    def train_batch(self, X, Y: np.ndarray, weight: np.ndarray | None) -> float:
        """Do one step; return the objective before it."""
        network, g = self.network, self._g
        l2 = self.l2 / len(Y)
        if self._treats_gradient or self._measures_norm:
            loss = self._objective(X, Y, weight, l2)
            self._treat_gradient(g)
            l2 = 0.0
        else:  # nothing looks at the whole gradient: the optimizer adds the penalty as it goes
            loss = self._objective(X, Y, weight, 0.0)
        keep = 1.0 - self.learning_rate * self.weight_decay
        w, rates = self._w, self._rates
        if rates is not None:
            np.copyto(self._before, w)
        loss += self.optimizer.step(w, g, self.learning_rate, self._n_kernels, l2, keep)
        if rates is not None:  # of the step, so much is done
            w -= self._before
            w *= rates
            w += self._before
        network.apply_constraints()
        return loss

    def _treat_gradient(self, g: np.ndarray) -> None:
        if self._measures_norm:
            self.gradient_norm = gradient_norm(g, self._kernels)
            self.tell("on_gradient")
        if self.gradient_noise:
            seed = draw_seed(self.rng)
            self._kernels.noise_forward(seed, self.gradient_noise, g, self._noise)
            np.copyto(g, self._noise)
        clip_gradient(g, self.clip_value, self.clip_norm, self._kernels)

    def train_epoch(self, batches: Batches) -> float:
        """Do one step a batch; return the mean objective. Raise DivergenceError at once."""
        n_batches, total = len(batches), 0.0
        progress = Progress(self.epoch, self.horizon, self.rows_seen, self.first_of_fit)
        for i, (X, Y, weight) in enumerate(batches):
            if i == 0 or self.schedule.every_step:
                progress.epoch = self.epochs_before + self.epoch + i / n_batches
                self.learning_rate = float(self.schedule.rate(self.learning_rate_init, progress))
            # The norm costs a pass over the gradient: an epoch's last stands for all.
            self._measures_norm = i == n_batches - 1
            loss = self.train_batch(X, Y, weight)
            if not math.isfinite(loss):
                self.epoch += 1
                record(self.history, loss=math.nan, learning_rate=self.learning_rate)
                raise self.divergence(f"the loss became {loss}", self.epoch)
            total += loss * len(Y)
            if self._batch_listeners:
                self._call(self._batch_listeners, "on_batch_end")
        return total / batches.n_rows

    def fit(self, batches: Batches, n_epochs: int) -> None:
        """Train for at most so many epochs; the best weights are in the network afterwards."""
        seconds = n_epochs * len(batches) * self.network.seconds_a_step(batches.batch_size)
        kernels = choose(seconds)
        with self.session(batches.batch_size, self.rng, kernels):
            batches.bind(kernels)
            self.begin_training()
            n_trainable, dtype = self.network.parameters.n_trainable, self.network.dtype
            # A state of another size is about parameters that no longer train.
            if not self.optimizer.suits(n_trainable, dtype):
                self.optimizer.start(n_trainable, dtype)
            self.optimizer.bind(kernels, n_trainable, dtype)
            self.n_batches = len(batches)
            if self._is_resumed and self._ends_after_epoch():
                return
            while self.epoch < n_epochs:
                self.begin_epoch()
                loss = self.train_epoch(batches)
                self.rows_seen += batches.n_rows
                self.first_of_fit = False
                if self.end_epoch(loss):
                    return
            is_done = self.schedule.ends or self.monitor.score_is_settled
            if self.warns_not_converged and not is_done:
                self._warn_not_converged(n_epochs)

    def resume(self, epoch: int, learning_rate: float, stops: bool) -> None:
        """Go on behind an epoch that was the last of an earlier session of this run.

        All else that the run is at comes with the network, the optimizer and the other parts.
        """
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.stop_training = stops
        self.first_of_fit = False
        self.figures = {name: column[-1] for name, column in self.history.items() if column}
        self._is_resumed = True

    def rearrange(self) -> None:
        """Take up what a callback has changed about what trains, and how fast.

        The optimizer starts anew: what it knew was about other parameters.
        """
        if self.optimizer is None:
            raise InvalidParameterError(
                "solver='lbfgs' trains the same parameters from its start to its end; to freeze or "
                "thaw layers meanwhile, choose another solver."
            )
        parameters, monitor = self.network.parameters, self.monitor
        self.network.release()
        # Meanwhile nobody restores the best weights, which are laid out in the old way.
        best, monitor.best_values = monitor.best_values, None
        laid_out = parameters.order_anew()
        if best is not None:
            monitor.best_values = laid_out(best)
        self._begin_session(*self._session)
        self.optimizer.start(parameters.n_trainable, self.network.dtype)
        self.optimizer.bind(self._kernels, parameters.n_trainable, self.network.dtype)

    # What happens around it ---------------------------------------------------------------------

    @contextmanager
    def session(self, n_rows: int, rng: np.random.Generator | None, kernels=numpy_kernels):
        """Make buffers and drop them; take in what ends a run early; restore the best weights."""
        try:
            with self._running(n_rows, rng, kernels):
                yield
        except BaseException:
            self.tell("on_error")
            raise

    @contextmanager
    def _running(self, n_rows: int, rng: np.random.Generator | None, kernels):
        parameters = self.network.parameters
        # Overflow is looked for, and named, by way of the loss: NumPy's warnings would say less.
        with (
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
            threads_for(self.network.largest_product(n_rows)),
        ):
            try:
                self._begin_session(n_rows, rng, kernels)
            except BaseException:  # there may not be memory enough for all buffers
                self._end_session()
                raise
            try:
                yield
                if not np.isfinite(parameters.values).all():
                    raise self.divergence("the weights became infinite or NaN", self.epoch)
                self.monitor.restore(parameters)
            except KeyboardInterrupt:
                self.interrupted = True
                even_out(self.history)
                self.monitor.restore(parameters)
                warn_user("Training interrupted by user.")
            except DivergenceError:
                if not self.monitor.restore(parameters):
                    raise
                warn_user(
                    f"Training diverged in epoch {self.epoch} and was stopped; the weights of the "
                    f"best epoch ({self.monitor.best_epoch}) were restored.",
                    ConvergenceWarning,
                )
            finally:
                self._end_session()
            try:
                self.tell("on_train_end")
            except KeyboardInterrupt:
                warn_user("Training interrupted by user.")

    def _begin_session(self, n_rows: int, rng: np.random.Generator | None, kernels) -> None:
        network, parameters = self.network, self.network.parameters
        self._kernels = kernels
        network.allocate(n_rows, rng, kernels)
        self._value_and_grad = kernels.bind_loss(self.loss, network.dtype)
        self._g, self._n_kernels = parameters.grads, parameters.n_kernels
        self._w = parameters.values[: parameters.n_trainable]
        self._work = np.empty((n_rows, network.n_outputs), network.dtype)
        self._noise = np.empty_like(self._g) if self.gradient_noise else None
        self._rates = parameters.rates()
        self._before = None if self._rates is None else np.empty_like(self._w)
        self._session = n_rows, rng, kernels
        self._treats_gradient = bool(self.gradient_noise) or not (
            self.clip_value is None and self.clip_norm is None
        )
        self._measures_norm = True
        self._batch_listeners = [c for c in self.callbacks if _listens_to_batches(c)]

    def _end_session(self) -> None:
        self.network.release()
        self._work = self._noise = self._w = self._g = self._kernels = None
        self._rates = self._before = self._session = None

    def begin_training(self) -> None:
        """Tell the callbacks."""
        self.tell("on_train_begin")

    def begin_epoch(self) -> None:
        """Start the clock, and tell the callbacks."""
        self.between_epochs = False
        self._epoch_start = time.perf_counter()
        self.tell("on_epoch_begin")

    def end_epoch(self, loss: float) -> bool:
        """Validate, record, tell the callbacks; return whether to stop."""
        self.epoch += 1
        self.between_epochs = True
        self._record(loss)
        n_epochs_in_life = len(self.history["loss"])
        self.monitor.update(self.figures, n_epochs_in_life, self.network.parameters)
        self.tell("on_epoch_end")
        return self._ends_after_epoch()

    def _ends_after_epoch(self) -> bool:
        """Return whether to stop; do what the schedule does about a plateau."""
        if self.stop_training:
            return True
        if not self.monitor.plateau:
            return False
        # Without an optimizer, under lbfgs, there is no learning rate to change.
        action = self.optimizer and self.schedule.on_plateau(self.learning_rate_init)
        if self.verbose:
            print(f"{self.monitor.message()} {action or 'Stopping.'}")
        if action is None:
            return True
        self.monitor.forgive()
        return False

    def _record(self, loss: float) -> None:
        """Validate, and write the epoch into the history."""
        values = {
            "loss": loss,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
        }
        if self.validate is not None:
            values["val_loss"], values["val_score"] = self.validate()
        values["seconds"] = time.perf_counter() - self._epoch_start
        record(self.history, **values)
        self.figures = values

    def divergence(self, what: str, epoch: int) -> DivergenceError:
        """Return the error to raise: what happened, and what helps."""
        advice = "scale the inputs (StandardScaler) or the targets (standardize_y=True)"
        if self.optimizer is not None:
            rate = f"learning_rate_init={self.learning_rate_init!r}"
            advice += f", lower {rate}, or set clip_norm=1"
        return DivergenceError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. In epoch {epoch} {what}. What helps: {advice}."
        )

    def _warn_not_converged(self, n_epochs: int) -> None:
        warn_user(
            f"Stochastic Optimizer: Maximum iterations ({n_epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )

    def tell(self, hook: str) -> None:
        """Call a hook of all callbacks."""
        self._call(self.callbacks, hook)

    @property
    def is_incremental(self) -> bool:
        """Whether this run is one epoch of somebody else's loop: partial_fit."""
        return not self.warns_not_converged

    def _call(self, listeners: Sequence[Callback], hook: str) -> None:
        for callback in listeners:
            call = getattr(callback, hook)
            if call is not None:
                call(self)


def _listens_to_batches(callback: Callback) -> bool:
    hook = callback.on_batch_end
    return hook is not None and getattr(hook, "__func__", hook) is not Callback.on_batch_end
