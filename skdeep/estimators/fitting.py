"""Fitting: from the arguments of fit to a trained network and fitted attributes."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from skdeep._component import InvalidParameterError, warn_user
from skdeep.building import architecture
from skdeep.building.checks import check_options, continues_exactly, is_transfer, uses_lbfgs
from skdeep.building.first_values import adapt_to_rows, fit_to_columns, is_auto, set_first_values
from skdeep.building.transfer import (
    copy_hidden_layers,
    copy_parameters,
    copy_what_trains,
    freeze,
    pretrained_layers,
    set_rates,
)
from skdeep.data.sources.checks import with_own_targets
from skdeep.data.training_data import TrainingData, checked_weight, combine_weights, frame_of
from skdeep.data.validation import hold_out
from skdeep.estimators import checkpoints, watching
from skdeep.estimators.fitted import ASSIGNED
from skdeep.estimators.run import make_trainer, train
from skdeep.layers import Dense, Layer
from skdeep.layers.building import Inputs
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.trainer import Trainer

FLOATS = (np.float64, np.float32)


class Part(NamedTuple):
    """A part of a call of fit: see `Fitting.fit_part`."""

    until: int
    rows: np.ndarray | None


class _NothingLearned(BaseException):
    """Further training of a fitted model was interrupted in its first epoch."""


class Fitting:
    """The part of an estimator that fits it.

    The effect of a call on an estimator that was fitted before:

    | call | weights | optimizer | schedule, stopping | history | random numbers |
    | --- | --- | --- | --- | --- | --- |
    | fit | new | new | from the start | new | from random_state |
    | fit, warm_start=True | kept | new | from the start | continues | continue |
    | fit, warm_start="continue" | kept, of the last epoch | continues | continue | continues | \
continue |
    | fit, warm_start="transfer" | hidden kept | new | from the start | new | from random_state |
    | partial_fit | kept | continues | continue | continues | continue |
    """

    def _fit(self, X, y, sample_weight, validation=(None, None, None), *, classes=None, mode=None):
        """Fit; after an error, the estimator is in the state that it had before."""
        self._fit_with(X, y, sample_weight, validation, classes=classes, mode=mode)
        return self

    @watching.with_callbacks
    def fit_part(
        self,
        until: int,
        X,
        y=None,
        sample_weight=None,
        *,
        rows=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ) -> Trainer | None:
        """Train up to an epoch of a fit of max_iter epochs, which the next call continues exactly.

        Schedules follow the fit as a whole. So the parts together give the model that `fit` gives,
        to the last bit. `warm_start` has to be "continue". No part may follow one whose training
        has ended by itself.

        Parameters
        ----------
        until : int
            The number of epochs, counted from the beginning, after which the part ends.
        X, y, sample_weight
            As `fit` takes them.
        rows : ndarray of int or None
            The positions of the training rows in X and y. These are arrays, and X may be a CSR
            matrix; X is not copied. None stands for all rows.
        X_val, y_val, sample_weight_val
            As `fit` takes them.

        Returns
        -------
        Trainer or None
            `has_ended` says whether training has ended by itself, and `interrupted` whether the
            user has interrupted it. None if it was interrupted in the first epoch of the part.
        """
        if not continues_exactly(self):
            raise InvalidParameterError(
                f"fit_part needs warm_start='continue' instead of {self.warm_start!r}: otherwise "
                "the next part can't continue."
            )
        given = X_val, X_val if self._targets_are_inputs else y_val, sample_weight_val
        trainer = self._fit_with(X, y, sample_weight, given, part=Part(until, rows))
        if trainer is not None:
            self.n_iter_ = trainer.epochs_before + trainer.epoch  # of all parts, as fit has it
        return trainer

    def _fit_with(self, X, y, sample_weight, validation, *, classes=None, mode=None, part=None):
        """Fit, or train one part of a fit; return the trainer, or None if nothing was learned."""
        mode = mode or self._mode_of_fit()
        X, y, sample_weight = with_own_targets(X, y, sample_weight)
        # partial_fit is a step of a loop that is not ours: the tasks to watch belong to that loop.
        task = X, y, {"sample_weight": sample_weight}
        check_options(self)
        context = None if mode == "partial" else watching.begin(self, *task)
        watchers = watching.bridge(self, context, *task)
        trainer = None
        with self._undone_on_error(mode):
            trainer = self._train(X, y, sample_weight, validation, watchers, mode, classes, part)
        watching.end(self, context, *task)
        return trainer

    def _mode_of_fit(self) -> str:
        """Return the mode of a call of fit, as `Settings` lists them."""
        if continues_exactly(self) and uses_lbfgs(self):
            raise InvalidParameterError(
                "warm_start='continue' is for solvers that train step by step: the state of "
                "solver='lbfgs' can't be kept. Set warm_start=True, which keeps the weights."
            )
        if not hasattr(self, "network_") or not self.warm_start:
            return "fresh"
        if continues_exactly(self):
            return "continued"
        return "transfer" if is_transfer(self.warm_start) else "warm"

    def _continues(self, mode: str) -> bool:
        """Whether a call trains the network of an earlier one further."""
        return mode in ("warm", "continued", "partial") and hasattr(self, "network_")

    def _train(
        self, X, y, sample_weight, validation, watchers, mode: str, classes, part: Part | None
    ) -> Trainer:
        is_partial, continues = mode == "partial", self._continues(mode)
        until, rows = part or (None, None)
        frame = frame_of(X)
        if is_partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._checked(X, y, self._wanted_dtype(continues), reset=not continues)
        sample_weight = checked_weight(sample_weight, X)
        whole_y = y
        if rows is not None:
            y, sample_weight = y[rows], None if sample_weight is None else sample_weight[rows]
        if continues:
            encoded = self._encode_again(y, is_partial)
        else:
            encoded = self._encode_first(y, classes, sample_weight)
        weight = combine_weights(sample_weight, self._class_weights(y, is_partial))
        # Other rows of X may have equal targets.
        given = X, y, weight, sample_weight, validation, *(() if rows is None else (rows,))
        run_id = checkpoints.run_id(self, *given, mode=mode)
        saved = None if is_partial else checkpoints.find(self, run_id, until)
        loss = self._choose_loss()
        if saved is not None:
            self._run, mode, n_kept, saved.loss = saved, "resumed", None, loss
        else:
            run = self._run if continues else Run(Streams(self.random_state))
            run.begin_again(exactly=mode == "continued")
            n_kept = self._prepare_network(run, loss, X.shape[1], X.dtype, mode, frame)
        data = TrainingData.of_rows(X, whole_y, rows, encoded, weight, sample_weight)
        held_out = hold_out(self, data, validation, compares=not is_partial)
        if n_kept is not None:
            self._fit_first_values(data, n_kept)
        trainer = make_trainer(
            self,
            self._run,
            data,
            held_out,
            mode=mode,
            run_id=run_id,
            watchers=watchers,
            until=until,
        )
        checkpoints.connect(self, trainer)
        was_fitted = "n_iter_" in vars(self)
        train(self, trainer, data)
        checkpoints.forget(self._run)
        if trainer.interrupted and trainer.epoch == 0 and was_fitted:
            raise _NothingLearned
        if self.early_stopping and trainer.epoch and trainer.monitor.best_epoch is None:
            warn_user(
                "The validation score was never a finite number, so there is no best epoch: the "
                "last one's weights are kept. Check scoring and the validation data."
            )
        self._set_fitted(trainer)
        return trainer

    @contextmanager
    def _undone_on_error(self, mode: str):
        before = dict(vars(self))
        run = self._run if self._continues(mode) else None
        snapshot = None if run is None else run.snapshot()
        try:
            yield
        except BaseException as error:
            vars(self).clear()
            vars(self).update(before)
            if run is not None:
                run.restore(snapshot)
            if not isinstance(error, _NothingLearned):
                raise

    def _wanted_dtype(self, continues: bool):
        """Return the dtype, or the dtypes, that X is converted to."""
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return self.network_.dtype if continues else FLOATS

    def _prepare_network(
        self, run: Run, loss: Loss, n_inputs: int, dtype: np.dtype, mode: str, frame: Any = None
    ) -> int | None:
        """Give a run a new network, or let it keep its own.

        Return the number of hidden layers with weights that were learned before; None if all layers
        have such weights.
        Sets: _run.
        """
        built_from = architecture.settings(self._options())
        keeps_frozen, old = mode in ("partial", "continued"), run.network
        changed = []
        if old is not None:
            changed = architecture.changed(type(self), built_from, run.built_from)
            self._refuse_structural(changed)
            # A callback may have thawed layers, but fit begins with its frozen_layers.
            is_as_built = keeps_frozen or old.is_as_built
            if not changed and is_as_built and old.dtype == dtype:
                self._run, run.loss = run, loss
                return None
        network = self._new_network(run, n_inputs, dtype, frame)
        n_kept = None
        if old is not None:
            copy_parameters(old, network)
            if keeps_frozen and not {"frozen_layers", "learning_rate_multipliers"} & set(changed):
                copy_what_trains(old, network)  # a callback may have thawed layers
            elif run.optimizer is not None and ("frozen_layers" in changed or not is_as_built):
                run.optimizer.stop()  # its state belongs to the parameters that trained before
            run.take_network(network)
        else:
            n_kept = self._reuse_hidden_layers(network, mode)
            run.network = network
        self._run, run.loss, run.built_from = run, loss, built_from
        assigned = vars(self).pop(ASSIGNED, {})
        if mode == "partial" or (self.warm_start and not is_transfer(self.warm_start)):
            for name, arrays in assigned.items():
                setattr(self, name, arrays)
            n_kept = None if assigned else n_kept
        return n_kept

    def _refuse_structural(self, changed: list[str]) -> None:
        """Raise if options were changed that do not suit the weights to continue from."""
        structural = [name for name in changed if name in architecture.STRUCTURE]
        if structural:
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in structural)
            raise InvalidParameterError(
                f"{values} would change the architecture of the network, whose weights are to "
                "be kept; set warm_start=False and call fit to train a new one, or "
                'warm_start="transfer" to keep the hidden layers that are unchanged.'
            )

    def _new_network(self, run: Run, n_inputs: int, dtype: np.dtype, frame: Any = None) -> Network:
        """Return a new network with its first values.

        Layers may choose columns by the names, or by the types, of a data frame's columns.
        """
        layers, stops = self._build_layers()
        return Network(
            layers,
            stops,
            n_inputs,
            dtype,
            run.streams.init,
            prepare=lambda layers: self._set_up(layers, stops),
            inputs=Inputs(getattr(self, "feature_names_in_", None), frame),
        )

    def _reuse_hidden_layers(self, network: Network, mode: str) -> int:
        """Copy hidden layers into a new network, if there are any to reuse; return their number."""
        if mode == "transfer":
            source, n_layers = self.network_, len(self.network_.hidden_stops)
            what = 'warm_start="transfer"'
        elif self.pretrained is None:
            return 0
        else:
            (source, n_layers), what = pretrained_layers(self.pretrained, Fitting), "pretrained"
        return copy_hidden_layers(source, network, n_layers, self.n_reused_layers, what)

    def before_training(self, X, y) -> Any | None:
        """Return a copy of a fitted model with the network that its training began with.

        Return None if the hyperparameters do not determine that network, because they were changed
        later, or because the user assigned the weights.
        """
        if not self.history_["loss"]:
            return None
        start = copy.copy(self)
        start.random_state = 0 if self.random_state is None else copy.deepcopy(self.random_state)
        start.warm_start = False
        start.alpha = 0.0  # so that gradients are those of the loss
        dtype, frame = self.network_.dtype, frame_of(X)
        try:
            X, y = start._checked(X, y, dtype, reset=False)
            run = Run(Streams(start.random_state))
            n_kept = start._prepare_network(run, self._loss, X.shape[1], dtype, "fresh", frame)
        except ValueError:
            return None
        if _shapes(start.network_) != _shapes(self.network_):
            return None
        start._fit_first_values(TrainingData(X, y, start._encode(y), None, None), n_kept)
        return start

    def with_weights(self, parameters: dict[str, Any], values: list[np.ndarray]) -> Any:
        """Return a fitted copy with other hyperparameters, whose network has these values.

        `values` has an array for each parameter of the network that the hyperparameters describe.
        """
        twin, old = copy.deepcopy(self).set_params(**parameters), self._run
        network = twin._new_network(Run(Streams(0)), old.network.n_inputs, old.network.dtype)
        own = network.parameters.parameters
        if [p.shape for p in own] != [value.shape for value in values]:
            raise ValueError(
                "The hyperparameters do not describe the fitted network: they were changed after "
                "fit. Set them back, or fit again."
            )
        for parameter, value in zip(own, values, strict=True):
            np.copyto(parameter.value, value, casting="same_kind")
        run = Run(twin._run.streams, twin._run.history, network=network, loss=twin._run.loss)
        run.rows_seen = old.rows_seen
        run.built_from = architecture.settings(twin._options())
        twin._run = run
        return twin

    def _fit_first_values(self, data: TrainingData, n_kept: int) -> None:
        """Adapt the first values of a network to the data.

        The first hidden layer starts as if the columns were standardized, unless its weights were
        learned before. The output layer starts at the best constant prediction.
        """
        if n_kept == 0:
            fit_to_columns(self.network_, data)
        adapt_to_rows(self.network_, data, n_kept, self._run.streams.init)
        self._fit_output_biases(data)

    def _fit_output_biases(self, data: TrainingData) -> None:
        """Let the output layer start at the best constant prediction."""
        biases = [
            (output.bias_, columns)
            for output, columns in self._output_layers()
            if is_auto(output.bias_initializer) and output.bias_ is not None
        ]
        if not biases:
            return
        encoded, weight = data.of_given(data.encoded), data.of_given(data.row_weights())
        Y, weight = self._rows_of_targets(encoded, weight)
        start = self._loss.best_constant(Y, weight)
        for bias, columns in biases:
            if np.isfinite(start[columns]).all():
                np.copyto(bias.value, start[columns], casting="same_kind")

    def _output_layers(self) -> list[tuple[Dense, slice]]:
        """Return the dense layers that compute raw outputs, with the columns that each computes."""
        return [(self.network_.output_layer, slice(None))]

    def _rows_of_targets(self, encoded: np.ndarray, weight: np.ndarray) -> tuple:
        """Return targets as rows of numbers, and the weight of each row."""
        return encoded, weight

    def _set_up(self, layers: list[Layer], stops: list[int]) -> None:
        """Set initializers, frozen layers and learning rates in a network that has no values."""
        set_first_values(layers[: stops[-1]], layers[stops[-1]])
        freeze(layers, stops, self.frozen_layers)
        set_rates(layers, stops, self._options().learning_rate_multipliers)

    def _set_fitted(self, trainer: Trainer) -> None:
        """Set the fitted attributes: those of scikit-learn's MLP, and those of skdeep."""
        history, monitor = self.history_, trainer.monitor
        losses = history["loss"]
        self.n_iter_ = trainer.epoch
        self.n_layers_ = len(self.coefs_) + 1
        self.out_activation_ = self._out_activation()
        self.loss_curve_ = losses
        self.validation_scores_ = history.get("val_score")
        self.loss_ = next(filter(math.isfinite, reversed(losses)), np.nan)
        lowest = self._lowest(losses, trainer)
        if self.early_stopping:
            self.best_iter_ = monitor.best_epoch
            self.best_loss_ = None
            self.best_validation_score_ = monitor.best
        else:
            self.best_iter_ = None if lowest is None else losses.index(lowest) + 1
            self.best_loss_ = lowest
            scores = filter(math.isfinite, self.validation_scores_ or [])
            self.best_validation_score_ = max(scores, default=None)
        if trainer.restored_epoch is not None:
            self.best_iter_ = len(losses) - trainer.epoch_of_run + trainer.restored_epoch

    def _lowest(self, losses: list[float], trainer: Trainer) -> float | None:
        """Return the lowest loss that is finite; None if there is none."""
        before = vars(self).get("best_loss_") if trainer.is_incremental else None
        # After thousands of calls of partial_fit, each of them adds one loss.
        candidates = [before, losses[-1]] if before in losses else losses
        return min(filter(math.isfinite, candidates), default=None)

    def as_if_ended(self, trainer: Trainer) -> Any:
        """Return a copy without callbacks, with fitted attributes as if training ended now."""
        model = copy.copy(self)
        model.callbacks = None
        model._set_fitted(trainer)
        return model

    def _out_activation(self) -> str:
        return word_for_link(self._loss.link)


def word_for_link(link: str) -> str:
    """Return scikit-learn's word for a link."""
    return "exp" if link == "exponential" else link


def _shapes(network: Network) -> list[tuple[str, tuple]]:
    return [(name, p.shape) for name, p in network.named_parameters()]
