"""What MLPClassifier and MLPRegressor share: from fit's arguments to fitted attributes."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._component import InvalidParameterError, warn_user, wrap_output
from skdeep.building import architecture
from skdeep.building.checks import check_options, is_transfer, uses_lbfgs
from skdeep.building.first_values import fit_to_columns, is_auto, set_first_values
from skdeep.building.transfer import (
    copy_hidden_layers,
    copy_parameters,
    copy_what_trains,
    freeze,
    pretrained_layers,
    set_rates,
    with_structure_of_pretrained,
)
from skdeep.data.training_data import (
    TrainingData,
    checked_weight,
    combine_weights,
    ravel_single_column,
)
from skdeep.data.validation import hold_out
from skdeep.estimators import checkpoints, watching
from skdeep.estimators.live import LiveViews, chain_of, write_all
from skdeep.estimators.run import make_trainer, train
from skdeep.files.checks import check_sizes
from skdeep.files.migrations import FORMAT, completed, migrate
from skdeep.files.plain import NotPlainError, from_plain, to_plain
from skdeep.layers import Dense, Layer
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.optimizers import Optimizer
from skdeep.reports.picture import html_repr
from skdeep.reports.summary import Summary
from skdeep.training.history import History
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.trainer import Trainer

FLOATS = (np.float64, np.float32)
PLAIN = "plain_state"
ASSIGNED = "_assigned_weights"


def has_stochastic_solver(estimator: Any) -> bool:
    """Whether there is a partial_fit."""
    if uses_lbfgs(estimator):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class _NothingLearned(BaseException):
    """Training of a model that was there before was interrupted in its first epoch."""


class BaseMLP(
    watching.CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Base class of the estimators: a subclass says what targets, loss and score are.

    What a call does to an estimator that was fitted before:

    | call | weights | optimizer | schedule, stopping | history | random numbers |
    | --- | --- | --- | --- | --- | --- |
    | fit | new | new | from the start | new | from random_state |
    | fit, warm_start=True | kept | new | from the start | goes on | go on |
    | fit, warm_start="transfer" | hidden kept | new | from the start | new | from random_state |
    | partial_fit | kept | goes on | go on | goes on | go on |
    """

    _y_is_numeric = False

    # What a subclass adds -----------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, dtype: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return X and y, validated; with reset=True X's columns are what they should be."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._y_is_numeric,
            dtype=dtype,
            reset=reset,
        )
        return X, ravel_single_column(y)

    def _options(self) -> Any:
        """Return an object with the hyperparameters that the network is built from."""
        return with_structure_of_pretrained(self, BaseMLP)

    def _build_layers(self) -> tuple[list[Layer], list[int]]:
        """Return fresh layers, and where every hidden layer ends."""
        return architecture.build_layers(self._options(), self.n_outputs_)

    def check_targets(self) -> None:
        """Raise ValueError where what is known of targets does not go with the network."""

    def _own_sizes(self, hidden: list[int]) -> list[int]:
        """Return the hidden_layer_sizes of a network with these units in its hidden layers."""
        return hidden

    def _know_targets(self) -> None:
        """Learn what the targets are from what the user has set; there are no data."""

    def _encode_first(self, y: Any, classes: Any, sample_weight) -> np.ndarray:
        """Learn what the targets are, and return what `_targets` takes."""
        raise NotImplementedError

    def _encode_again(self, y: Any, incremental: bool) -> np.ndarray:
        """Return what `_targets` takes; raise where y does not go with what was learned."""
        raise NotImplementedError

    def _encode(self, y: Any) -> np.ndarray:
        """Return what `_targets` takes, for validation data."""
        raise NotImplementedError

    def _targets(self, encoded: np.ndarray, dtype: np.dtype, *, training: bool, rng=None):
        """Return what batches take targets from; an rng is for noise."""
        raise NotImplementedError

    def _choose_loss(self) -> Loss:
        """Return a fresh loss for these targets."""
        raise NotImplementedError

    def _score_outputs(self, y: Any, Z: np.ndarray, weight) -> float:
        """Return the estimator's own score, from raw outputs."""
        raise NotImplementedError

    def _class_weights(self, y: Any, incremental: bool) -> np.ndarray | None:
        """Return a weight a row, or None."""
        return None

    def _stratify(self, encoded: np.ndarray) -> np.ndarray | None:
        """Return what the validation split is stratified by."""
        return None

    # Fitting ------------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, validation=(None, None, None), *, classes=None, mode=None):
        """Fit; if anything goes wrong, the estimator is afterwards in the state it was before."""
        mode = mode or self._mode_of_fit()
        # partial_fit is a step of somebody else's loop, which is what has tasks there.
        task = X, y, {"sample_weight": sample_weight}
        check_options(self)
        context = None if mode == "partial" else watching.begin(self, *task)
        watchers = watching.bridge(self, context, *task)
        with self._undone_on_error(mode):
            self._train(X, y, sample_weight, validation, watchers, mode, classes)
        watching.end(self, context, *task)
        return self

    def _mode_of_fit(self) -> str:
        """Return the mode of a call of fit: see Settings."""
        if not hasattr(self, "network_") or not self.warm_start:
            return "fresh"
        return "transfer" if is_transfer(self.warm_start) else "warm"

    def _continues(self, mode: str) -> bool:
        """Whether a call trains the network of an earlier one further."""
        return mode in ("warm", "partial") and hasattr(self, "network_")

    def _train(self, X, y, sample_weight, validation, watchers, mode: str, classes) -> None:
        is_partial, continues = mode == "partial", self._continues(mode)
        if is_partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._check_data(X, y, self._wanted_dtype(continues), reset=not continues)
        sample_weight = checked_weight(sample_weight, X)
        if continues:
            encoded = self._encode_again(y, is_partial)
        else:
            encoded = self._encode_first(y, classes, sample_weight)
        weight = combine_weights(sample_weight, self._class_weights(y, is_partial))
        given = X, y, weight, sample_weight, validation
        run_id = checkpoints.run_id(self, *given, mode=mode)
        saved = None if is_partial else checkpoints.find(self, run_id)
        loss = self._choose_loss()
        if saved is not None:
            self._run, mode, n_kept = saved, "resumed", None
            saved.loss = loss
        else:
            run = self._run if continues else Run(Streams(self.random_state))
            n_kept = self._prepare_network(run, loss, X.shape[1], X.dtype, mode)
        data = TrainingData(X, y, encoded, weight, sample_weight)
        held_out = hold_out(self, data, validation)
        if n_kept is not None:
            self._fit_first_values(data, n_kept)
        trainer = make_trainer(
            self, self._run, data, held_out, mode=mode, run_id=run_id, watchers=watchers
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
        """Return what validate_data is to turn X into."""
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return self.network_.dtype if continues else FLOATS

    def _prepare_network(
        self, run: Run, loss: Loss, n_inputs: int, dtype: np.dtype, mode: str
    ) -> int | None:
        """Give a run its network: a new one, or the one that it has.

        Return how many hidden layers have learned something before; None if all layers have.
        Sets: _run.
        """
        built_from = architecture.settings(self._options())
        is_partial, old = mode == "partial", run.network
        changed = []
        if old is not None:
            changed = [name for name, value in built_from.items() if value != run.built_from[name]]
            self._refuse_structural(changed)
            # A callback may have thawed layers: fit begins with the frozen_layers that it is given.
            is_as_built = is_partial or old.is_as_built
            if not changed and is_as_built and old.dtype == dtype:
                self._run, run.loss = run, loss
                return None
            run.show_raw()
        network = self._new_network(run, n_inputs, dtype)
        n_kept = None
        if old is not None:
            copy_parameters(old, network)
            if is_partial and not {"frozen_layers", "learning_rate_multipliers"} & set(changed):
                copy_what_trains(old, network)  # a callback may have thawed layers
            elif run.optimizer is not None and ("frozen_layers" in changed or not is_as_built):
                run.optimizer.stop()  # its state is for the parameters that trained before
            run.take_network(network)
        else:
            n_kept = self._reuse_hidden_layers(network, mode)
            run.network = network
        self._run, run.loss, run.built_from = run, loss, built_from
        assigned = vars(self).pop(ASSIGNED, {})
        if is_partial or (self.warm_start and not is_transfer(self.warm_start)):
            for name, arrays in assigned.items():
                setattr(self, name, arrays)
            n_kept = None if assigned else n_kept
        return n_kept

    def _refuse_structural(self, changed: list[str]) -> None:
        """Raise if options were changed that the weights to continue from do not go with."""
        structural = [name for name in changed if name in architecture.STRUCTURE]
        if structural:
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in structural)
            raise InvalidParameterError(
                f"{values} would change the architecture of the network, whose weights are to "
                "be kept; set warm_start=False and call fit to train a new one, or "
                'warm_start="transfer" to keep the hidden layers that are unchanged.'
            )

    def _new_network(self, run: Run, n_inputs: int, dtype: np.dtype) -> Network:
        """Return a network with first values."""
        layers, stops = self._build_layers()
        return Network(
            layers,
            stops,
            n_inputs,
            dtype,
            run.streams.init,
            prepare=lambda layers: self._set_up(layers, stops),
        )

    def _reuse_hidden_layers(self, network: Network, mode: str) -> int:
        """Copy hidden layers into a new network, if the estimator asks for it; return how many."""
        if mode == "transfer":
            n_kept = len(self.network_.hidden_stops)
            copy_hidden_layers(self.network_, network, n_kept, 'warm_start="transfer"')
            return n_kept
        if self.pretrained is None:
            return 0
        source, n_kept = pretrained_layers(self.pretrained, BaseMLP)
        copy_hidden_layers(source, network, n_kept, "pretrained")
        return n_kept

    def before_training(self, X, y) -> BaseMLP | None:
        """Return a copy of a fitted model with the network that its training began with.

        None if the hyperparameters do not say: they were changed since, or weights were given.
        """
        if not self.history_["loss"]:
            return None
        start = copy.copy(self)
        start.random_state = 0 if self.random_state is None else copy.deepcopy(self.random_state)
        start.warm_start = False
        start.alpha = 0.0  # so that gradients are those of the loss
        dtype = self.network_.dtype
        try:
            X, y = start._check_data(X, y, dtype, reset=False)
            run = Run(Streams(start.random_state))
            n_kept = start._prepare_network(run, self._loss, X.shape[1], dtype, "fresh")
        except ValueError:
            return None
        if _shapes(start.network_) != _shapes(self.network_):
            return None
        start._fit_first_values(TrainingData(X, y, start._encode(y), None, None), n_kept)
        return start

    def _fit_first_values(self, data: TrainingData, n_kept: int) -> None:
        """Adapt a network to the data, but for the hidden layers that have learned something.

        Its first hidden layer begins as if columns were standardized, and its output layer at the
        best prediction that is equal for all rows.
        """
        if n_kept == 0:
            fit_to_columns(self.network_, data)
        output = self.network_.output_layer
        if not is_auto(self.bias_initializer) or output.bias_ is None:
            return
        Y, weight = self._rows_of_targets(data.encoded, data.row_weights())
        start = self._loss.best_constant(Y, weight)
        if np.isfinite(start).all():
            np.copyto(output.bias_.value, start, casting="same_kind")

    def _rows_of_targets(self, encoded: np.ndarray, weight: np.ndarray) -> tuple:
        """Return targets as rows of numbers, and how much each row counts."""
        return encoded, weight

    def _set_up(self, layers: list[Layer], stops: list[int]) -> None:
        """Say of a network that is built, but has no values yet, where and what it trains."""
        set_first_values(layers[: stops[-1]], layers[stops[-1]])
        freeze(layers, stops, self.frozen_layers)
        set_rates(layers, stops, self._options().learning_rate_multipliers)

    def _set_fitted(self, trainer: Trainer) -> None:
        """Set what scikit-learn's MLP has after fit, and ours."""
        history, monitor = self.history_, trainer.monitor
        losses = history["loss"]
        self.n_iter_ = trainer.epoch
        self.n_layers_ = len(self.coefs_) + 1
        self.out_activation_ = self._out_activation()
        self.loss_curve_ = losses
        self.validation_scores_ = history.get("val_score")
        finite = np.isfinite(losses)
        self.loss_ = losses[np.flatnonzero(finite)[-1]] if finite.any() else np.nan
        best = int(np.argmin(np.where(finite, losses, np.inf))) if finite.any() else None
        if self.early_stopping:
            self.best_iter_ = monitor.best_epoch
            self.best_loss_ = None
            self.best_validation_score_ = monitor.best
        else:
            self.best_iter_ = None if best is None else best + 1
            self.best_loss_ = None if best is None else losses[best]
            scores = [score for score in self.validation_scores_ or [] if np.isfinite(score)]
            self.best_validation_score_ = max(scores, default=None)

    def as_if_ended(self, trainer: Trainer) -> BaseMLP:
        """Return a copy without callbacks, with fitted attributes as if training ended now."""
        model = copy.copy(self)
        model.callbacks = None
        model._set_fitted(trainer)
        return model

    def _out_activation(self) -> str:
        link = self._loss.link
        return "exp" if link == "exponential" else link  # scikit-learn's word

    # Weights without training ---------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        assigned = vars(self).get(ASSIGNED, {}).keys()
        return "_run" in vars(self) or {"coefs_", "intercepts_"} <= assigned

    def _check_is_fitted(self) -> None:
        """Raise NotFittedError if there is neither a network nor weights for one."""
        check_is_fitted(self)
        if "_run" not in vars(self):
            rows_seen = vars(self)[ASSIGNED].get("t_", 0)
            self._adopt_weights(self.coefs_, self.intercepts_, rows_seen=rows_seen)

    def _adopt_weights(self, coefs, intercepts, history=None, rows_seen=0, **fitted) -> None:
        """Make a network with these weights, ready to predict and to be trained further.

        Parameters
        ----------
        coefs, intercepts : lists of arrays
        history : dict of lists or None
            That of the training which the weights come from.
        rows_seen : int
        **fitted
            Fitted attributes that are known.
        """
        n_inputs, hidden, n_outputs, dtype = chain_of(coefs, intercepts)
        if getattr(self, "n_features_in_", n_inputs) != n_inputs:
            raise ValueError(
                f"coefs_[0] has {n_inputs} rows, which does not go with "
                f"n_features_in_={self.n_features_in_}."
            )
        check_options(self)
        model = copy.copy(self)  # so that an error leaves the estimator as it is
        vars(model).update(fitted)
        model.n_features_in_, model.n_outputs_ = n_inputs, n_outputs
        run = Run(Streams(self.random_state), history)
        run.rows_seen = rows_seen
        if getattr(self, "layers", None) is None:  # the weights say which layers there are
            model.hidden_layer_sizes = self._own_sizes(hidden)
        model._know_targets()
        loss = model._choose_loss()
        if self.dtype != "auto":
            dtype = np.dtype(self.dtype)
        model._prepare_network(run, loss, n_inputs, dtype, "fresh")
        model.coefs_, model.intercepts_ = coefs, intercepts
        model.hidden_layer_sizes = self.hidden_layer_sizes
        nothing = {
            **{"n_layers_": len(coefs) + 1, "n_iter_": 0, "out_activation_": None, "loss_": np.nan},
            **dict.fromkeys(("best_loss_", "best_iter_", "best_validation_score_")),
        }
        vars(model).update(nothing | fitted)
        model.out_activation_ = fitted.get("out_activation_") or model._out_activation()
        model.loss_curve_ = run.history["loss"]
        model.validation_scores_ = run.history.get("val_score")
        vars(self).pop(ASSIGNED, None)
        vars(self).update(vars(model))

    # The run that the estimator holds -------------------------------------------------------------

    def _part(self, name: str) -> Any:
        """Return a part of the run; raise AttributeError if there is none."""
        try:
            return getattr(vars(self)["_run"], name)
        except KeyError:
            message = f"This {type(self).__name__} instance is not fitted yet."
            raise AttributeError(message) from None

    @property
    def network_(self) -> Network:
        """The network."""
        return self._part("network")

    @property
    def optimizer_(self) -> Optimizer | None:
        """The optimizer; None for "lbfgs", and if there was no training."""
        return self._part("optimizer")

    @property
    def history_(self) -> History:
        """One entry an epoch of the model's life, by name."""
        return self._part("history")

    @property
    def t_(self) -> int:
        """The number of rows seen in the model's life."""
        if "_run" not in vars(self):
            return self._assigned("t_")
        return self._run.rows_seen

    @t_.setter
    def t_(self, n_rows: int) -> None:
        if "_run" in vars(self):
            self._run.rows_seen = int(n_rows)
        else:
            vars(self).setdefault(ASSIGNED, {})["t_"] = int(n_rows)

    @property
    def _loss(self) -> Loss:
        return self._part("loss")

    # Using what was fitted ------------------------------------------------------------------------

    def _check_X(self, X):
        self._check_is_fitted()
        dtype = self.network_.dtype
        with np.errstate(over="ignore"):  # what is too large for float32 is then an error
            return validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False)

    def _raw_outputs(self, X) -> np.ndarray:
        X = self._check_X(X)
        with np.errstate(over="ignore", invalid="ignore"):
            Z = self.network_.infer(X)
        is_nan = np.isnan(Z)
        if is_nan.any():
            warn_user(
                f"The outputs of the network are NaN for {is_nan.any(axis=1).sum()} of {len(Z)} "
                "rows: numbers became infinite on the way. Scale X as the training data were "
                "scaled.",
                RuntimeWarning,
            )
        return Z

    def transform(self, X, layer=-1):
        """Return the activations of a hidden layer; of a network without any, its inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        layer : int, default=-1
            Which hidden layer, counted from 0 at the bottom, or from -1 at the top. With
            `layers=[...]` every Layer of the list counts.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
        """
        X_checked = self._check_X(X)
        stops = self.network_.hidden_stops
        if not isinstance(layer, (int, np.integer)) or not -len(stops) <= layer < len(stops):
            raise ValueError(
                f"layer={layer!r} is not allowed; the network has {len(stops)} hidden layers, so "
                f"give an integer from {-len(stops)} to {len(stops) - 1}."
            )
        # Names of columns are asked of a copy that knows which layer they are for.
        named = copy.copy(self)
        named._named_layer = layer
        return wrap_output(self.network_.infer(X_checked, stops[layer]), X, named)

    _named_layer = -1

    @property
    def _n_features_out(self) -> int:
        """The number of columns of `transform`, for get_feature_names_out."""
        return self.network_.width_after(self.network_.hidden_stops[self._named_layer])

    @property
    def _n_layers_to_reuse(self) -> int:
        """How many of the lowest hidden layers `pretrained` passes on."""
        return len(self.network_.hidden_stops)

    def summary(self) -> Summary:
        """Return the layers, their output shapes and numbers of parameters.

        Returns
        -------
        Summary
            Prints as a table, and renders as HTML in a notebook.
        """
        self._check_is_fitted()
        return Summary(self.network_)

    def _html_repr(self) -> str:
        return html_repr(self)

    @property
    def coefs_(self) -> LiveViews:
        """The kernels of the dense layers, of shape (fan_in, fan_out): live views."""
        if "_run" not in vars(self):
            return self._assigned("coefs_")
        return LiveViews(layer.weights for layer in self._dense_layers())

    @coefs_.setter
    def coefs_(self, arrays) -> None:
        self._write_or_assign("coefs_", arrays)

    @property
    def intercepts_(self) -> LiveViews:
        """The biases of the dense layers: live views; read-only zeros if a layer has none."""
        if "_run" not in vars(self):
            return self._assigned("intercepts_")
        return LiveViews(
            _constant_zeros(layer.weights) if layer.bias_ is None else layer.bias_.value
            for layer in self._dense_layers()
        )

    @intercepts_.setter
    def intercepts_(self, arrays) -> None:
        self._write_or_assign("intercepts_", arrays)

    def _write_or_assign(self, name: str, arrays) -> None:
        """Write into the network; if there is none yet, remember the arrays for it."""
        if "_run" in vars(self):
            write_all(getattr(self, name), arrays, name)
        else:
            vars(self).setdefault(ASSIGNED, {})[name] = list(arrays)

    def _assigned(self, name: str) -> Any:
        try:
            return vars(self)[ASSIGNED][name]
        except KeyError:
            message = f"This {type(self).__name__} instance is not fitted yet."
            raise AttributeError(message) from None

    def _dense_layers(self) -> list[Dense]:
        return [layer for layer in self.network_.walk() if isinstance(layer, Dense)]

    def _without_feature_names(self):
        """Return a shallow copy that takes arrays without a warning about names."""
        model = copy.copy(self)
        vars(model).pop("feature_names_in_", None)
        return model

    # Pickles and copies ---------------------------------------------------------------------------

    @classmethod
    def models(cls) -> dict[str, type]:
        """Return the estimators of skdeep, by the names that stand for them in files."""
        own = (c for c in BaseMLP.__subclasses__() if c.__module__.startswith("skdeep."))
        return {f"estimators.{c.__name__}": c for c in own}

    def whole_state(self) -> dict[str, Any]:
        """Return all attributes, as they are."""
        return super().__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as plain data, where it has no parts of the user's own classes.

        So a reader that wants to know what it may create, like that of skops, sees one class.
        """
        state = self.whole_state()
        if type(self) not in self.models().values():
            return state  # what a subclass does with its state is its own affair
        try:
            return {PLAIN: to_plain(state, self.models(), type(self).__name__), "format": FORMAT}
        except NotPlainError:
            return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_plain = PLAIN in state
        if is_plain:
            rest = {k: v for k, v in state.items() if k not in (PLAIN, "format")}
            plain = from_plain(migrate(state[PLAIN], state["format"]), self.models())
            state = completed(type(self), "", {**plain, **rest})
        super().__setstate__(state)
        if is_plain and "n_iter_" in vars(self):
            check_sizes(self)

    def __copy__(self):
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if self.dtype != "auto":
            tags.transformer_tags.preserves_dtype = [str(self.dtype)]
        return tags


def _constant_zeros(kernel: np.ndarray) -> np.ndarray:
    zeros = np.zeros(kernel.shape[1], kernel.dtype)
    zeros.flags.writeable = False
    return zeros


def _shapes(network: Network) -> list[tuple[str, tuple]]:
    return [(name, p.shape) for name, p in network.named_parameters()]
