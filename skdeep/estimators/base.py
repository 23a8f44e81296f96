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
from skdeep.estimators import checkpoints, run, watching
from skdeep.estimators.live import LiveViews, chain_of, write_all
from skdeep.files.container import check_sizes
from skdeep.files.plain import NotPlainError, from_plain, to_plain
from skdeep.layers import Dense, Layer
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.reports.picture import html_repr
from skdeep.reports.summary import Summary
from skdeep.training.history import truncate
from skdeep.training.randomness import Streams
from skdeep.training.trainer import Trainer

FLOATS = (np.float64, np.float32)
HISTORY = ("loss", "learning_rate", "gradient_norm", "seconds")
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

    def _fit(self, X, y, sample_weight, validation=(None, None, None), **how):
        """Fit; where anything goes wrong, the estimator is afterwards what it was before."""
        continues = hasattr(self, "network_") and (
            how.get("incremental", False)
            or (bool(self.warm_start) and not is_transfer(self.warm_start))
        )
        # partial_fit is a step of somebody else's loop, which is what has tasks there.
        task = X, y, {"sample_weight": sample_weight}
        check_options(self)
        context = None if how.get("incremental") else watching.begin(self, *task)
        watchers = watching.bridge(self, context, *task)
        with self._undone_on_error(continues):
            self._train(X, y, sample_weight, validation, watchers, continues=continues, **how)
        watching.end(self, context, *task)
        return self

    def _train(
        self,
        X,
        y,
        sample_weight,
        validation,
        watchers,
        *,
        continues: bool,
        incremental=False,
        classes=None,
    ) -> None:
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._check_data(X, y, self._wanted_dtype(continues), reset=not continues)
        sample_weight = checked_weight(sample_weight, X)
        if continues:
            encoded = self._encode_again(y, incremental)
        else:
            encoded = self._encode_first(y, classes, sample_weight)
        weight = combine_weights(sample_weight, self._class_weights(y, incremental))
        run_id = checkpoints.run_id(
            self,
            X,
            y,
            weight,
            sample_weight,
            validation,
            continues=continues,
            incremental=incremental,
        )
        saved = checkpoints.find(self, run_id)
        self._loss = self._choose_loss()
        if saved is not None:
            checkpoints.take_over(self, saved)
        else:
            if not continues:
                self._streams = Streams(self.random_state)
                self.history_ = {key: [] for key in HISTORY}
                self.t_ = 0
            n_kept = self._prepare_network(X.shape[1], X.dtype, continues, incremental)
        data = TrainingData(X, y, encoded, weight, sample_weight)
        held_out = hold_out(self, data, validation)
        if saved is None and n_kept is not None:
            self._fit_first_values(data, n_kept)
        trainer = run.make_trainer(
            self,
            data,
            held_out,
            continues=continues,
            incremental=incremental,
            run_id=run_id,
            saved=saved,
            watchers=watchers,
        )
        was_fitted = "n_iter_" in vars(self)
        run.train(self, trainer, data, incremental=incremental)
        if trainer.interrupted and trainer.epoch == 0 and was_fitted:
            raise _NothingLearned
        if self.early_stopping and trainer.epoch and trainer.monitor.best_epoch is None:
            warn_user(
                "The validation score was never a finite number, so there is no best epoch: the "
                "last one's weights are kept. Check scoring and the validation data."
            )
        self._set_fitted(trainer)

    @contextmanager
    def _undone_on_error(self, continues: bool):
        before = dict(vars(self))
        if continues:
            network, history, n_epochs = self.network_, self.history_, len(self.history_["loss"])
            vector = network.parameters
            values, frozen = vector.values.copy(), [(p.frozen, p.rate) for p in vector.parameters]
            changing = ("optimizer_", "_schedule", "_monitor", "_streams")
            before |= copy.deepcopy({name: before[name] for name in changing})
        try:
            yield
        except BaseException as error:
            vars(self).clear()
            vars(self).update(before)
            if continues:
                truncate(history, n_epochs)
                if frozen != [(p.frozen, p.rate) for p in vector.parameters]:
                    for parameter, (is_frozen, rate) in zip(vector.parameters, frozen, strict=True):
                        parameter.frozen, parameter.rate = is_frozen, rate
                    vector.order_anew()
                np.copyto(vector.values, values)
            if not isinstance(error, _NothingLearned):
                raise

    def _wanted_dtype(self, continues: bool):
        """Return what validate_data is to turn X into."""
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return self.network_.dtype if continues else FLOATS

    def _prepare_network(
        self, n_inputs: int, dtype: np.dtype, continues: bool, incremental: bool
    ) -> int | None:
        """Build a network, or take over the one that is there.

        Return how many hidden layers have learned something before; None if all layers have.
        Sets: network_, _settings.
        """
        settings = architecture.settings(self._options())
        if continues:
            changed = [k for k, v in settings.items() if v != self._settings[k]]
            structural = [name for name in changed if name in architecture.STRUCTURE]
            if structural:
                values = ", ".join(f"{name}={getattr(self, name)!r}" for name in structural)
                raise InvalidParameterError(
                    f"{values} would change the architecture of the network, whose weights are to "
                    "be kept; set warm_start=False and call fit to train a new one, or "
                    'warm_start="transfer" to keep the hidden layers that are unchanged.'
                )
            # A callback may have thawed layers: fit begins with those frozen that it says.
            is_as_built = incremental or self.network_.is_as_built
            if not changed and is_as_built and self.network_.dtype == dtype:
                return None
        n_kept = 0
        layers, stops = self._build_layers()
        network = Network(
            layers,
            stops,
            n_inputs,
            dtype,
            self._streams.init,
            prepare=lambda layers: self._set_up(layers, stops),
        )
        if continues:
            copy_parameters(self.network_, network)
            if incremental and not {"frozen_layers", "learning_rate_multipliers"} & set(changed):
                copy_what_trains(self.network_, network)  # a callback may have thawed layers
            elif "frozen_layers" in changed or not is_as_built:
                self.optimizer_ = None  # its state is for what trained before
        elif is_transfer(self.warm_start) and "network_" in vars(self):
            n_kept = len(self.network_.hidden_stops)
            copy_hidden_layers(self.network_, network, n_kept, 'warm_start="transfer"')
        elif self.pretrained is not None:
            source, n_kept = pretrained_layers(self.pretrained, BaseMLP)
            copy_hidden_layers(source, network, n_kept, "pretrained")
        self.network_ = network
        self._settings = settings
        assigned = vars(self).pop(ASSIGNED, {})
        if incremental or (self.warm_start and not is_transfer(self.warm_start)):
            for name, arrays in assigned.items():
                setattr(self, name, arrays)
            continues |= bool(assigned)
        return None if continues else n_kept

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
        self.t_ = trainer.rows_seen
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

    def _out_activation(self) -> str:
        link = self._loss.link
        return "exp" if link == "exponential" else link  # scikit-learn's word

    # Weights without training ---------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self) or len(vars(self).get(ASSIGNED, {})) == 2

    def _check_is_fitted(self) -> None:
        """Raise NotFittedError if there is neither a network nor weights for one."""
        check_is_fitted(self)
        if "network_" not in vars(self):
            self._adopt_weights(self.coefs_, self.intercepts_)

    def _adopt_weights(self, coefs, intercepts) -> None:
        """Make a network with these weights, ready to predict and to be trained further."""
        n_inputs, hidden, n_outputs, dtype = chain_of(coefs, intercepts)
        if getattr(self, "n_features_in_", n_inputs) != n_inputs:
            raise ValueError(
                f"coefs_[0] has {n_inputs} rows, which does not go with "
                f"n_features_in_={self.n_features_in_}."
            )
        check_options(self)
        model = copy.copy(self)  # so that an error leaves the estimator as it is
        model.n_features_in_, model.n_outputs_ = n_inputs, n_outputs
        model._streams = Streams(self.random_state)
        model.history_ = {key: [] for key in HISTORY}
        if getattr(self, "layers", None) is None:  # the weights say which layers there are
            model.hidden_layer_sizes = self._own_sizes(hidden)
        model._know_targets()
        model._loss = model._choose_loss()
        if self.dtype != "auto":
            dtype = np.dtype(self.dtype)
        model._prepare_network(n_inputs, dtype, continues=False, incremental=False)
        model.coefs_, model.intercepts_ = coefs, intercepts
        model.hidden_layer_sizes = self.hidden_layer_sizes
        model.optimizer_ = model._schedule = model._monitor = None
        model.n_layers_, model.n_iter_, model.t_ = len(coefs) + 1, 0, 0
        model.out_activation_ = model._out_activation()
        model.loss_curve_, model.validation_scores_ = model.history_["loss"], None
        model.loss_ = np.nan
        model.best_loss_ = model.best_iter_ = model.best_validation_score_ = None
        vars(self).pop(ASSIGNED, None)
        vars(self).update(vars(model))

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
        if "network_" not in vars(self):
            return self._assigned("coefs_")
        return LiveViews(layer.weights for layer in self._dense_layers())

    @coefs_.setter
    def coefs_(self, arrays) -> None:
        self._write_or_assign("coefs_", arrays)

    @property
    def intercepts_(self) -> LiveViews:
        """The biases of the dense layers: live views; read-only zeros if a layer has none."""
        if "network_" not in vars(self):
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
        if "network_" in vars(self):
            write_all(getattr(self, name), arrays, name)
        else:
            vars(self).setdefault(ASSIGNED, {})[name] = list(arrays)

    def _assigned(self, name: str) -> list:
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
            return {PLAIN: to_plain(state, self.models(), type(self).__name__)}
        except NotPlainError:
            return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_plain = PLAIN in state
        if is_plain:
            rest = {name: value for name, value in state.items() if name != PLAIN}
            state = {**from_plain(state[PLAIN], self.models()), **rest}
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
