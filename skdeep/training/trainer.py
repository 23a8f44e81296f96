"""The trainer, which trains the network of a run on batches."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdeep._component import InvalidParameterError, warn_user
from skdeep._documentation import see
from skdeep.callbacks.base import Callback
from skdeep.callbacks.figures import sign_of, watched
from skdeep.clipping import gradient_norm
from skdeep.kernels import choose, numpy_kernels
from skdeep.schedules import Progress, Scheduled, ready_number, value_of
from skdeep.training.batches import Batches, BatchSource, checked
from skdeep.training.history import amend, check_lengths, even_out, record
from skdeep.training.outputs import Measure, Outputs
from skdeep.training.run import EpochSoFar, Run
from skdeep.training.settings import Settings
from skdeep.training.stages import Clip, GradientStage, Noise, Step, stages_of
from skdeep.training.threads import threads_for

#: The warning of a run that the user has interrupted.
INTERRUPTED = "Training interrupted by user."


class DivergenceError(ValueError):
    """The loss or the weights stopped being finite."""


class Trainer:
    """Train the network of a run.

    Parameters
    ----------
    run : Run
        Its optimizer has a state if the run continues an earlier one, and is None for L-BFGS.
    settings : Settings
    validate : callable or None
        Returns the figures of the network with its present weights on validation data, by the names
        that they have in the history. "val_loss" and "val_score" are among them.
    measure : callable or None
        Returns further figures of an epoch from its raw outputs: see `Outputs`.
    directions : dict of (int or None)
        For figures whose names do not tell: 1 if a higher figure is better, -1 if a lower one is,
        None if that is not known.
    callbacks : sequence of Callback
    stages : sequence of GradientStage
        Stages before the gradient noise and the clipping. Callbacks may add further stages.

    Attributes
    ----------
    network, loss, optimizer, schedule, monitor, history
        The parts of the run.
    epoch : int
        The number of epochs done in this run.
    batches_done : int
        In `on_batch_end`, the number of batches of the running epoch that are done. In
        `on_epoch_begin`, it is not 0 if the run continues in the middle of an epoch.
    learning_rate : float
        The rate of the last step.
    batch_loss : float
        The loss of the last batch before its step, penalties included.
    batch_rows : int
        The number of rows of that batch.
    gradient_norm : float
        The norm of the last gradient that was measured, before noise and clipping.
    between_epochs : bool
        Whether no epoch is under way.
    figures : dict of float
        The entries of the last epoch in the history.
    interrupted : bool
        Whether Ctrl-C ended the run.
    has_averaged : bool
        Whether an average of the weights began, or continued, in this run.
    stages : list of GradientStage
        The stages that were given, and those of callbacks.
    stop_training : bool
        A callback may set it to True: training stops when the epoch ends.
    has_ended : bool
        Whether training ended before its last epoch, by a rule or a callback, or because it
        diverged.
    restored_epoch : int or None
        The epoch whose weights a callback restored when training ended, as `epoch_of_run` counts.
    horizon : int
        The number of epochs that schedules are designed for.
    learning_rate_init : float
        The rate that the schedule starts from; a callback may change it.
    save : callable
        save(path) writes the present model to a file, with everything that a resumed run needs.
    """

    def __init__(
        self,
        run: Run,
        settings: Settings,
        *,
        validate: Callable[[], dict[str, float]] | None = None,
        measure: Measure | None = None,
        directions: Mapping[str, int | None] | None = None,
        callbacks: Sequence[Callback] = (),
        stages: Sequence[GradientStage] = (),
    ):
        self.run = run
        self.settings = settings
        self.validate = validate
        self.outputs = None if measure is None else Outputs(measure)
        self.directions = dict(directions or {})
        self.callbacks = sorted(callbacks, key=lambda callback: callback.runs_last)
        self.network, self.loss, self.optimizer = run.network, run.loss, run.optimizer
        self.schedule, self.monitor, self.history = run.schedule, run.monitor, run.history
        self.rng = run.streams.noise
        self.horizon = settings.horizon
        self.learning_rate_init = settings.learning_rate_init
        self.n_batches = 1
        if settings.mode != "resumed":
            run.begin_call(settings.mode)
            run.learning_rate = settings.learning_rate_init
        # In partial_fit, and if a call continues another, schedules count the epochs of all calls.
        self.epochs_before = run.epochs_before
        adds = settings.mode in ("partial", "continued")
        self._begins_fit = settings.begins_fit or (adds and not self.epochs_before)
        self._batches: BatchSource | None = None
        self._left: tuple[EpochSoFar, Iterator[tuple]] | None = None
        self._epoch_start = time.perf_counter()
        self._averages_steps = False
        self.save: Callable[[str], None] | None = None
        self.restored_epoch: int | None = None
        self.between_epochs = True
        self.figures: dict[str, float] = {}
        self._own_figures: frozenset[str] = frozenset()
        self._ends_epoch = False
        self.batch_loss = self.gradient_norm = math.nan
        self.batch_rows = 0
        self.interrupted = self.has_averaged = self.has_ended = False
        self._l1, self._l2 = settings.l1, settings.l2
        self._decay = ready_number(settings.weight_decay)
        self._decay_of_optimizer = 0.0 if run.optimizer is None else run.optimizer.weight_decay
        self._numbers = {name: number.ready() for name, number in settings.numbers.items()}
        self._first_averaged = 0
        if run.average is not None:
            self._first_averaged = run.average.first_epoch(settings.horizon)
        self.stages = [*stages, *stages_of(self.callbacks)]
        self._stages = [*self.stages, *self._own_stages()]
        if settings.mode == "resumed":
            self.figures = {name: column[-1] for name, column in self.history.items() if column}

    def _own_stages(self) -> list[GradientStage]:
        settings, stages = self.settings, []
        if settings.gradient_noise:
            stages.append(Noise(ready_number(settings.gradient_noise), self.rng))
        limits = settings.clip_value, settings.clip_norm, settings.clip_parameter_norm
        if limits != (None, None, None):
            stages.append(Clip(*limits, self.network.parameters))
        return stages

    @property
    def epoch(self) -> int:
        return self.run.epoch

    @property
    def batches_done(self) -> int:
        """The number of batches of the running epoch that are done, for `on_batch_end`."""
        return 0 if self.run.within is None else self.run.within.n_batches

    @property
    def epoch_seconds(self) -> float:
        """The time since the epoch began, without an interruption of the run."""
        return time.perf_counter() - self._epoch_start

    @property
    def learning_rate(self) -> float:
        return self.run.learning_rate

    @property
    def stop_training(self) -> bool:
        return self.run.stops

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.run.stops = bool(value)

    @property
    def run_id(self) -> str | None:
        """The name of this run, if a callback needs it."""
        return self.settings.run_id

    @property
    def hyperparameters(self):
        """The hyperparameters of the estimator."""
        return self.settings.hyperparameters

    @property
    def is_incremental(self) -> bool:
        """Whether this run is one epoch in a loop of the user's own: partial_fit."""
        return self.settings.is_partial

    @property
    def epoch_of_run(self) -> int:
        """The number of epochs done, with those of the calls of fit that this one continues."""
        return self.epoch if self.is_incremental else self.epochs_before + self.epoch

    @property
    def first_of_fit(self) -> bool:
        """Whether the next epoch is the first of a call of fit."""
        return self._begins_fit and self.epoch == 0

    def watched(self, key: str | None, mode: str | None, who: str) -> tuple[float, int]:
        """Return a figure of the last epoch, and 1 if higher is better or -1 if lower is."""
        key, value = watched(self.figures, key, who)
        return value, sign_of(key, mode, self.directions, who)

    def record(self, **figures: float) -> None:
        """Add figures of a callback's own to the history, in its hook `on_epoch_end`.

        A column has one number for each epoch: NaN in epochs that it was not recorded in. If a name
        is recorded twice in an epoch, the last number counts.
        """
        if not self._ends_epoch:
            raise InvalidParameterError(
                f"trainer.record({', '.join(figures)}): call it in on_epoch_end, when the epoch "
                "has an entry in the history."
            )
        self.figures |= amend(self.history, figures, self._own_figures)

    # One step, one epoch, one run ---------------------------------------------------------------

    def objective(self, X, Y: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the loss with all penalties, and fill the gradient."""
        step = self._backward(X, Y, weight)
        n_rows = step.n_rows
        return step.loss + self.network.add_penalties(self._l1 / n_rows, self._l2 / n_rows)

    def _backward(self, X, Y: np.ndarray, weight: np.ndarray | None) -> Step:
        """Compute the loss of a batch, and its gradient without penalties."""
        network, step, n_rows = self.network, self._step, len(Y)
        Z = self._forward(X)
        step.n_rows = n_rows
        step.loss = self._value_and_grad(Y, Z, weight, self._work[:n_rows])
        network.backward(Z)
        for stage in self._reducing:
            stage.apply(self._g, step)
            if not step.n_rows > 0:
                raise ValueError(f"{stage!r} left step.n_rows={step.n_rows}; it has to be > 0.")
        return step

    def train_batch(self, X, Y: np.ndarray, weight: np.ndarray | None) -> float:
        """Do one step; return the objective before it."""
        g, network = self._g, self.network
        step = self._backward(X, Y, weight)
        l1, l2 = self._l1 / step.n_rows, self._l2 / step.n_rows
        if self._treating or self._measures:
            step.loss += network.add_penalties(l1, l2)
            if self._measures:
                self._measure(g)
            for stage in self._treating:
                stage.apply(g, step)
            l2 = 0.0
        else:  # nothing needs the whole gradient, so the optimizer adds the penalty on squares
            step.loss += network.add_penalties(l1, 0.0)
        step.loss += self.optimizer.step(self._w, g, self.run.learning_rate, l2, self._decay_now)
        network.apply_constraints()
        if self._averages_steps:
            self._update_average()
        return step.loss

    def _update_average(self) -> None:
        self.run.average.update(self.network.parameters.values, self._kernels)
        self.has_averaged = True

    def _measure(self, g: np.ndarray) -> None:
        self.gradient_norm = gradient_norm(g, self._kernels)
        self.tell("on_gradient")

    def train_epoch(self, batches: BatchSource, until: int | None = None) -> float | None:
        """Do one step for each batch that is left of the epoch; return the mean objective.

        With `until`, stop before the batch of this number, counted from 0. If batches are left
        then, return None; the next call continues the epoch.

        Raises DivergenceError as soon as the objective is not finite.
        """
        n_batches, average = len(batches), self.run.average
        is_averaging = average is not None and self._epochs_done >= self._first_averaged
        self._averages_steps = is_averaging and average.every_step
        done = self._epochs_done
        fresh = self.first_of_fit or not done  # also if the run resumes in its first epoch
        self._progress = Progress(done, self.horizon, self.run.rows_seen, fresh)
        first, total, n_rows, supply = self._opened(batches, until)
        stop = n_batches if until is None else min(max(first, until), n_batches)
        for i in range(first, stop):
            if i == 0 or self._changes_by_step:
                self._begin_step(i, n_batches)
            X, Y, weight = next(supply)
            # The norm costs a pass over the gradient, so the last one stands for the epoch.
            self._measures = self._measures_all or i == n_batches - 1
            loss = self.train_batch(X, Y, weight)
            self.batch_loss, self.batch_rows = loss, self._step.n_rows
            if not math.isfinite(loss):
                raise self._diverged(loss)
            total += loss * self.batch_rows
            n_rows += self.batch_rows
            if self._batch_listeners:
                self._note(i + 1, total, n_rows)
                self._call(self._batch_listeners, "on_batch_end")
        if stop < n_batches:
            self._note(stop, total, n_rows)
            self.run.within.seconds = self.epoch_seconds
            self._left = self.run.within, supply
            return None
        self.run.rows_seen += n_rows
        self.run.within = None
        if is_averaging and not average.every_step:
            self._average_epoch()
        return total / n_rows

    def _opened(self, batches: BatchSource, until: int | None) -> tuple:
        """Return the number, the total and the rows of the batches done, and the batches left."""
        run, left, self._left = self.run, self._left, None
        so_far = run.within
        if so_far is None:
            if self._batch_listeners or until is not None:
                run.within = EpochSoFar(copy.deepcopy(run.streams.shuffle))
            return 0, 0.0, 0, self._supply(batches, 0)
        if left is not None and left[0] is so_far:
            supply = left[1]
        else:
            supply = self._continued(batches, so_far)
        return so_far.n_batches, so_far.total, so_far.n_rows, supply

    def _supply(self, batches: BatchSource, first: int) -> Iterator[tuple]:
        if type(batches) is Batches:
            return batches.starting_at(first)
        network = self.network
        return checked(batches, first, network.n_inputs, network.n_outputs, network.dtype)

    def _continued(self, batches: BatchSource, so_far: EpochSoFar) -> Iterator[tuple]:
        """Yield the batches that are left of an epoch which began in another session."""
        streams, self.gradient_norm = self.run.streams, so_far.gradient_norm
        if self.outputs is not None:
            self.outputs.put_back(so_far.outputs)
        streams.shuffle.bit_generator.state = so_far.shuffle.bit_generator.state
        noise = streams.noise.bit_generator.state
        supply = self._supply(batches, so_far.n_batches)
        # A source that can't leave batches out may have drawn noise for them.
        streams.noise.bit_generator.state = noise
        return supply

    def _note(self, n_batches: int, total: float, n_rows: int) -> None:
        """Keep the state of the running epoch up to date, for callbacks and for another session."""
        so_far = self.run.within
        so_far.n_batches, so_far.total, so_far.n_rows = n_batches, total, n_rows
        so_far.gradient_norm = self.gradient_norm
        if self.outputs is not None:
            so_far.outputs = self.outputs.kept

    def _diverged(self, loss: float) -> DivergenceError:
        """Record the epoch in which the loss is not finite; return the error to raise."""
        self.run.epoch += 1
        record(self.history, loss=math.nan, learning_rate=self.learning_rate)
        return self.divergence(f"the loss became {loss}", self.epoch)

    def _average_epoch(self) -> None:
        """Take the weights into an average of epochs, if it takes those of this one."""
        if self.run.average.takes_epoch(self._epochs_done + 1 - self._first_averaged):
            self._update_average()

    @property
    def _epochs_done(self) -> int:
        """The number of epochs that schedules count."""
        return self.epochs_before + self.epoch

    def _begin_step(self, i: int, n_batches: int) -> None:
        """Set the learning rate and the other numbers that change over time."""
        progress, initial = self._progress, self.learning_rate_init
        progress.epoch = self._epochs_done + i / n_batches
        if i == 0 or self.schedule.every_step:
            self.run.learning_rate = float(self.schedule.rate(initial, progress))
        if isinstance(self._decay, Scheduled):
            self._decay_now = self._decay.at(progress) + self._decay_of_optimizer
        for follower in self._following:
            follower.begin_step(progress)

    def fit(self, batches: BatchSource, n_epochs: int) -> None:
        """Train for at most n_epochs epochs; then restore the best weights, if they were kept."""
        # The parts of a call use the kernels of the whole, so that they give the same weights.
        longest = self.horizon if self.settings.is_part else n_epochs
        seconds = longest * len(batches) * self.network.seconds_a_step(batches.batch_size)
        kernels = choose(seconds)
        self._batches, self.n_batches = batches, len(batches)
        if self.n_batches < 1:
            raise ValueError(f"{batches!r} has no batches; an epoch needs at least one.")
        with self.session(batches.batch_size, self.rng, kernels):
            batches.bind(kernels)
            self.begin_training()
            self._start_optimizer()
            if self._was_last_epoch():
                return
            while self.epoch < n_epochs:
                self.begin_epoch()
                if self.end_epoch(self.train_epoch(batches)):
                    self.has_ended = True
                    return
            is_done = self.schedule.ends or self.monitor.score_is_settled
            goes_on = self.settings.is_partial or self.settings.is_part
            if not goes_on and not is_done:
                self._warn_not_converged(n_epochs)

    def _was_last_epoch(self) -> bool:
        """Whether the run resumes after its last epoch, which its file was written in."""
        is_resumed = self.settings.mode == "resumed" and self.run.within is None
        return is_resumed and self._ends_after_epoch()

    def _start_optimizer(self) -> None:
        """Bind the optimizer to the parameters that train."""
        parameters, dtype = self.network.parameters, self.network.dtype
        # A state of another size belongs to parameters that no longer train.
        if not self.optimizer.suits(parameters.n_trainable, dtype):
            self.optimizer.start(parameters.n_trainable, dtype)
        self.optimizer.bind(self._kernels, parameters.segments(), dtype)

    def rearrange(self) -> None:
        """Adapt to a callback's change of the parameters that train, or of their learning rates.

        The optimizer starts again, as its state belongs to other parameters.
        """
        if self.optimizer is None:
            raise InvalidParameterError(
                "solver='lbfgs' can't change the parameters that it trains; to freeze or thaw "
                "layers during training, choose another solver."
            )
        self.network.release()
        self.run.rearrange()
        self._begin_session(*self._session)
        self.optimizer.stop()
        self._start_optimizer()

    # The frame of a run, epochs and callbacks ---------------------------------------------------

    @contextmanager
    def session(self, n_rows: int, rng: np.random.Generator | None, kernels=numpy_kernels):
        """Allocate buffers and release them; handle an early end; restore the best weights."""
        try:
            with self._running(n_rows, rng, kernels):
                yield
        except BaseException:
            self.tell("on_error")
            raise

    @contextmanager
    def _running(self, n_rows: int, rng: np.random.Generator | None, kernels):
        # Overflow shows in the loss, and the error names it. NumPy's warnings would say less.
        with (
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
            threads_for(self.network.largest_product(n_rows)),
        ):
            try:
                self._begin_session(n_rows, rng, kernels)
            except BaseException:  # there may not be enough memory for all buffers
                self._end_session()
                raise
            try:
                yield
                if not all(np.isfinite(vector).all() for vector in self.run.vectors()):
                    raise self.divergence("the weights became infinite or NaN", self.epoch)
                self._settle()
            except KeyboardInterrupt:
                self.interrupted = True
                even_out(self.history)
                self._settle()
                warn_user(INTERRUPTED)
            except DivergenceError:
                if not self.run.restore_best(self.settings.keeps_state):
                    raise
                self.has_ended = True
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
                warn_user(INTERRUPTED)

    def _settle(self) -> None:
        """Leave the best weights in the network, or the averaged ones."""
        if not self.run.restore_best(self.settings.keeps_state):
            self._show_average()

    def _show_average(self) -> None:
        """Let the network hold the average, with running statistics that belong to it."""
        if not self.run.show_average():
            return
        average = self.run.average
        # The rows of a call of partial_fit are too few to measure anything.
        if not (average.averages_statistics or self.settings.is_partial):
            self._measure_statistics()
            np.copyto(average.values_, self.network.parameters.values)

    def _measure_statistics(self) -> None:
        """Set the running statistics of batch norms to those of all training rows."""
        inputs, batch_size = self._batches.inputs(), self._batches.batch_size
        self.network.measure_statistics(inputs, batch_size, self._kernels)

    def _begin_session(self, n_rows: int, rng: np.random.Generator | None, kernels) -> None:
        network, parameters = self.network, self.network.parameters
        self._kernels = kernels
        network.allocate(n_rows, rng, kernels)
        self._value_and_grad = kernels.bind_loss(self.loss, network.dtype)
        self._g = parameters.grads
        self._w = parameters.values[: parameters.n_trainable]
        self._work = np.empty((n_rows, network.n_outputs), network.dtype)
        self._forward = network.forward
        if self.outputs is not None and self._batches is not None:
            self.outputs.allocate(network, self._batches)
            self._forward = self.outputs.forward
        self._session = n_rows, rng, kernels
        self._begin_stages(kernels)
        self._batch_listeners = [c for c in self.callbacks if overrides(c, "on_batch_end")]

    def _begin_stages(self, kernels) -> None:
        """Prepare everything that is used in every step."""
        for stage in self._stages:
            stage.begin(self._g, kernels)
        self._reducing = [stage for stage in self._stages if stage.before_penalties]
        self._treating = [stage for stage in self._stages if not stage.before_penalties]
        followers = [self.network, *self._stages, *([self._batches] if self._batches else [])]
        self._following = [follower for follower in followers if follower.follows_progress]
        self._decay_now = value_of(self._decay) + self._decay_of_optimizer
        self._step = Step()
        self._measures_all = any(c.every_gradient for c in self.callbacks)
        self._measures = True
        self._changes_by_step = (
            bool(self._following)
            or isinstance(self._decay, Scheduled)
            or (self.schedule is not None and self.schedule.every_step)
        )

    def _end_session(self) -> None:
        self.network.release()
        self._work = self._w = self._g = self._kernels = self._session = None
        self._forward = None
        if self.outputs is not None:
            self.outputs.release()
        self._batches = self._left = self.run.within = None
        self._following = []

    def begin_training(self) -> None:
        """Tell the callbacks that training begins."""
        self.tell("on_train_begin")

    def begin_epoch(self) -> None:
        """Start the clock, and tell the callbacks that an epoch begins."""
        self.between_epochs = False
        self._epoch_start = time.perf_counter()
        if self.run.within is not None:
            self._epoch_start -= self.run.within.seconds
        self.run.show_raw()
        self.tell("on_epoch_begin")

    def end_epoch(self, loss: float) -> bool:
        """Validate, record, tell the callbacks; return whether to stop.

        From now until the next epoch, the network holds the weights to evaluate.
        """
        self.run.epoch += 1
        self.between_epochs = True
        if self.validate is not None or self.callbacks:  # else nothing reads it before the end
            self._show_average()
        self._record(loss)
        self.monitor.update(self.figures, len(self.history["loss"]), self.run.vectors())
        self._ends_epoch = True
        self.tell("on_epoch_end")
        self._ends_epoch = False
        check_lengths(self.history)
        return self._ends_after_epoch()

    def _ends_after_epoch(self) -> bool:
        """Return whether to stop; let the schedule react to a plateau."""
        if self.stop_training:
            return True
        if not self.monitor.plateau:
            return False
        # Without an optimizer, under lbfgs, there is no learning rate to change.
        action = self.optimizer and self.schedule.on_plateau(self.learning_rate_init)
        if action is None and not self.settings.stops_at_plateau:
            self.monitor.forgive()
            return False
        if self.settings.verbose:
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
        if self.optimizer is not None:
            values |= {name: number.at(self._progress) for name, number in self._numbers.items()}
        if self.outputs is not None:
            values |= self.outputs.figures()
        if self.validate is not None:
            values |= self.validate()
        values["seconds"] = self.epoch_seconds
        record(self.history, **values)
        self.figures, self._own_figures = values, frozenset(values)

    def divergence(self, what: str, epoch: int) -> DivergenceError:
        """Return the error to raise; it says what happened and what helps."""
        advice = "scale the inputs (StandardScaler) or the targets (standardize_y=True)"
        if self.optimizer is not None:
            rate = f"learning_rate_init={self.learning_rate_init!r}"
            advice += f", lower {rate}, or set clip_norm=1"
        return DivergenceError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. In epoch {epoch} {what}. Remedies: {advice}."
            f"{see('recipes/unscaled_data')}"
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

    def _call(self, listeners: Sequence[Callback], hook: str) -> None:
        for callback in listeners:
            call = getattr(callback, hook)
            if call is not None:
                call(self)


def overrides(callback: Callback, hook: str) -> bool:
    """Whether a callback overrides a hook."""
    own = getattr(callback, hook)
    return own is not None and getattr(own, "__func__", own) is not getattr(Callback, hook)
