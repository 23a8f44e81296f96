"""The state of training: everything that training changes and that a later call continues."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from typing import Any, NamedTuple

import joblib
import numpy as np

from skdeep.averages import WeightAverage
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.optimizers import Optimizer
from skdeep.schedules import Schedule
from skdeep.training.history import History, new_history, truncate
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams

# The parts of a run that training changes in place, apart from the network and the streams.
_CHANGING = ("optimizer", "schedule", "monitor", "average", "last_vectors", "within")


class Snapshot(NamedTuple):
    """The state of a run that `Run.restore` brings back."""

    state: dict[str, Any]
    values: np.ndarray
    flags: list[tuple[bool, float]]
    n_epochs: int
    columns: tuple[str, ...]
    streams: list[dict[str, Any]]


class EpochSoFar:
    """The part of an epoch that is done, for a run that is to continue in the middle of it.

    Parameters
    ----------
    shuffle : numpy.random.Generator
        A copy of the generator of the rows' order, in its state at the beginning of the epoch.

    Attributes
    ----------
    n_batches : int
        The number of batches done.
    n_rows : int
        The number of their rows.
    total : float
        The sum of their objectives, each multiplied by its rows.
    gradient_norm : float
        The last norm of the gradient that was measured.
    seconds : float
        The time that they took.
    outputs : ndarray or None
        Their raw outputs, if figures of the epoch are computed from them.
    """

    def __init__(self, shuffle: np.random.Generator):
        self.shuffle = shuffle
        self.n_batches = self.n_rows = 0
        self.total = self.seconds = 0.0
        self.gradient_norm = math.nan
        self.outputs: np.ndarray | None = None


class Run:
    """A network, and the state of its training over all calls of fit and partial_fit.

    Attributes
    ----------
    network : Network
    loss : Loss
    streams : Streams
        The generators of random numbers.
    optimizer : Optimizer or None
        None for L-BFGS, and before any training.
    schedule : Schedule or None
    monitor : Monitor or None
    average : WeightAverage or None
    history : dict of lists
        One entry for each epoch of the model's life.
    rows_seen : int
        The number of rows seen in the model's life.
    built_from : dict
        The options that the network was built from, in a form that can be compared.
    epoch : int
        The number of epochs done in the last call of fit or partial_fit.
    epochs_before : int
        The number of epochs that schedules had counted before that call.
    learning_rate : float
        The rate of the last step.
    within : EpochSoFar or None
        The part of the running epoch that is done; None between epochs, and if nobody asks for it.
    stops : bool
        Whether training stops after the last epoch, as a callback demanded it.
    last_vectors : list of ndarray or None
        The vectors of the last epoch, if the network holds those of a better one and a later call
        is to continue exactly.
    last_averaged : int
        The number of vectors in the average after the last epoch.
    left : str or None
        A hash of the weights that the network was left with, for a later call that continues.
    name : str or None
        The name of the run, in a checkpoint.
    memories : list
        The states of the callbacks, in a checkpoint: pairs [repr, dict].
    """

    def __init__(
        self,
        streams: Streams,
        history: History | None = None,
        *,
        network: Network | None = None,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        monitor: Monitor | None = None,
        average: WeightAverage | None = None,
    ):
        self.streams = streams
        self.history = new_history() if history is None else history
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.monitor = monitor
        self.average = average
        self.rows_seen = 0
        self.built_from: dict[str, Any] = {}
        self.epoch = self.epochs_before = 0
        self.begin_call()
        self.last_vectors: list[np.ndarray] | None = None
        self.last_averaged = 0
        self.left: str | None = None
        self.name: str | None = None
        self.memories: list = []

    def epochs_before_call(self, mode: str) -> int:
        """Return the number of epochs that schedules have counted before a call of this mode."""
        if mode == "partial":
            return len(self.history["loss"])
        if mode == "continued":
            return self.epochs_before + self.epoch
        return self.epochs_before if mode == "resumed" else 0

    def begin_call(self, mode: str = "fresh") -> None:
        """Count epochs from 0, in a new call of fit or partial_fit."""
        self.epochs_before = self.epochs_before_call(mode)
        self.epoch = 0
        self.learning_rate = math.nan
        self.stops = False
        self.within: EpochSoFar | None = None

    # The weights to train, and those to evaluate --------------------------------------------------

    def show_average(self) -> bool:
        """Let the network hold the average, if there is one; return whether that is a change."""
        return self.average is not None and self.average.show(self.network.parameters.values)

    def show_raw(self) -> None:
        """Let the network hold the weights that training continues with."""
        if self.average is not None:
            self.average.hide(self.network.parameters.values)

    @contextmanager
    def evaluated(self):
        """Let the network hold the weights to evaluate for a moment, if it holds those to train."""
        values, shows = self.network.parameters.values, self.show_average()
        try:
            yield
        finally:
            if shows:  # nobody else writes weights in the middle of an epoch
                np.copyto(values, self.average.raw_)
                self.average.raw_ = None

    def vectors(self) -> list[np.ndarray]:
        """Return the network's vector and, while it holds an average, that of the raw weights."""
        raw = None if self.average is None else self.average.raw_
        return [self.network.parameters.values, *([] if raw is None else [raw])]

    def restore_best(self, keeps_state: bool = False) -> bool:
        """Put the weights of the best epoch into the network, if they were kept.

        With keeps_state=True, a later call can continue from the weights of the last epoch.
        """
        best = self.monitor.best_vectors if keeps_state else self.monitor.take_best()
        if best is None:
            return False
        if keeps_state:
            self.keep_last()
            best = [vector.copy() for vector in best]
        self._put_back(*best)
        return True

    def keep_last(self) -> None:
        """Keep the weights of the last epoch, before others take their place in the network."""
        self.show_average()
        vectors = self.vectors()
        if self.last_vectors is None and all(np.isfinite(vector).all() for vector in vectors):
            self.last_vectors = [vector.copy() for vector in vectors]
            self.last_averaged = 0 if self.average is None else self.average.n_averaged_

    def leave(self, keeps_state: bool) -> None:
        """Drop the parts that only a call that continues needs, or note what it begins with."""
        if keeps_state:
            self.left = joblib.hash(self.network.parameters.values)
        else:
            self.left = None
            self.optimizer.stop()

    def begin_again(self, exactly: bool) -> None:
        """Begin a call of fit or partial_fit, which may follow an earlier one.

        With exactly=True, bring back the state after the last epoch, to continue from it. If the
        user has written other weights into the network, training continues with them, and earlier
        scores do not count.
        """
        last, self.last_vectors = self.last_vectors, None
        left, self.left = self.left, None
        if not exactly:
            return
        monitor, values = self.monitor, self.network.parameters.values
        if left is not None and left != joblib.hash(values):
            self.monitor = None
        elif last is not None:
            self._put_back(*last)
            if self.average is not None:
                self.average.n_averaged_ = self.last_averaged
        elif monitor is not None and monitor.lacks_best:  # the network was left with it
            monitor.best_vectors = [vector.copy() for vector in self.vectors()]

    def copies(self) -> list[list[np.ndarray]]:
        """Return copies of all vectors, parameter by parameter, as their layout may change."""
        pieces = self.network.parameters.pieces
        return [[piece.copy() for piece in pieces(vector)] for vector in self.vectors()]

    def restore_copies(self, copies: list[list[np.ndarray]], keeps_state: bool = False) -> None:
        """Put weights back that `copies` has returned earlier in the run.

        With keeps_state=True, a later call can continue from the weights of the last epoch.
        """
        if keeps_state:
            self.keep_last()
        self._put_back(*map(self.network.parameters.assembled, copies))

    def _put_back(self, values: np.ndarray, raw: np.ndarray | None = None) -> None:
        np.copyto(self.network.parameters.values, values)
        if self.average is None:
            return
        if raw is None:  # averaging had not begun
            self.average.reset()
        else:
            self.average.values_, self.average.raw_ = values, raw
            self.average.n_averaged_ = max(1, self.average.n_averaged_)

    def take_network(self, network: Network) -> None:
        """Replace the network by one of equal architecture, which may have other frozen layers."""
        old, new = self.network.parameters, network.parameters

        def laid_out(vector: np.ndarray) -> np.ndarray:
            return new.assembled(old.pieces(vector))

        if self.average is not None:
            self.average.relay(laid_out)
        best = None if self.monitor is None else self.monitor.take_best()
        if best is not None:
            self.monitor.best_vectors = [laid_out(vector) for vector in best]
        self.network = network

    def rearrange(self) -> None:
        """Lay out all vectors again, after parameters were frozen or thawed."""
        # An error in between must not restore the best weights, which have the old layout.
        best = self.monitor.take_best()
        laid_out = self.network.parameters.order_anew()
        if best is not None:
            self.monitor.best_vectors = [laid_out(vector) for vector in best]
        if self.average is not None:
            self.average.relay(laid_out)

    # Undo -----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the state that `restore` brings back."""
        vector = self.network.parameters
        state = dict(vars(self))
        state |= copy.deepcopy({name: state[name] for name in _CHANGING})
        flags = [(p.frozen, p.multiplier) for p in vector.parameters]
        return Snapshot(
            state,
            vector.values.copy(),
            flags,
            len(self.history["loss"]),
            tuple(self.history),
            self.streams.states(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Bring back an earlier state, in the arrays and lists that users may hold."""
        vars(self).update(snapshot.state)
        self.streams.restore(snapshot.streams)
        for name in self.history.keys() - set(snapshot.columns):
            del self.history[name]
        truncate(self.history, snapshot.n_epochs)
        vector = self.network.parameters
        if snapshot.flags != [(p.frozen, p.multiplier) for p in vector.parameters]:
            for parameter, flag in zip(vector.parameters, snapshot.flags, strict=True):
                parameter.frozen, parameter.multiplier = flag
            vector.order_anew()
        np.copyto(vector.values, snapshot.values)
