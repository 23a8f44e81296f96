"""The state of a fitted estimator: its run, its live weights, and their pickles."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeep._component import InvalidParameterError
from skdeep.building.checks import check_options
from skdeep.files.checks import check_sizes
from skdeep.files.migrations import FORMAT, completed, migrate
from skdeep.files.plain import NotPlainError, from_plain, to_plain
from skdeep.layers import Dense
from skdeep.losses import Loss
from skdeep.network import Network
from skdeep.optimizers import Optimizer
from skdeep.training.history import History
from skdeep.training.randomness import Streams
from skdeep.training.run import Run

PLAIN = "plain_state"
ASSIGNED = "_assigned_weights"


class Fitted:
    """The part of an estimator that holds a run of training, or assigned weights."""

    # The run that the estimator holds -------------------------------------------------------------

    def _part(self, name: str) -> Any:
        """Return a part of the run; raise AttributeError if there is none."""
        try:
            return getattr(vars(self)["_run"], name)
        except KeyError:
            raise self._not_fitted() from None

    def _not_fitted(self) -> AttributeError:
        return AttributeError(f"This {type(self).__name__} instance is not fitted yet.")

    @property
    def network_(self) -> Network:
        """The network."""
        return self._part("network")

    @property
    def optimizer_(self) -> Optimizer | None:
        """The optimizer; None for "lbfgs" and before any training."""
        return self._part("optimizer")

    @property
    def history_(self) -> History:
        """The history: for each name, a list with one entry for each epoch of the model's life."""
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
            raise self._not_fitted() from None

    def _dense_layers(self) -> list[Dense]:
        return [layer for layer in self.network_.walk() if isinstance(layer, Dense)]

    def get_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights, with the running statistics of batch normalization.

        Returns
        -------
        dict of ndarray
            The names tell the position and the kind of a layer, and the part of it:
            "0.Dense.kernel". Networks of equal architecture have equal names. If there is an
            average of the weights (`weight_averaging`), it is returned, as the model predicts
            with it.
        """
        self._check_is_fitted()
        return {name: p.value.copy() for name, p in self.network_.named_parameters()}

    def set_weights(self, weights: Mapping[str, Any]):
        """Copy weights into the network.

        If a name, a shape or a number is wrong, the network does not change. `partial_fit` and warm
        starts continue with these weights, and a new average of the weights begins.

        Parameters
        ----------
        weights : dict of array-like
            All weights, as `get_weights` returns them.

        Returns
        -------
        self
        """
        self._check_is_fitted()
        network = self.network_
        named = dict(network.named_parameters())
        shapes = {name: p.shape for name, p in named.items()}
        arrays = checked_weights(weights, shapes, network.dtype)
        for name, parameter in named.items():
            np.copyto(parameter.value, arrays[name])
        return self

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
            The history of the training that the weights come from.
        rows_seen : int
            The number of rows seen in that training.
        **fitted
            The fitted attributes that are known.
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
        if getattr(self, "layers", None) is None:  # the weights determine the layers
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

    # Pickles and copies ---------------------------------------------------------------------------

    def whole_state(self) -> dict[str, Any]:
        """Return all attributes, as they are."""
        return super().__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as plain data, if it has no parts of the user's own classes.

        A reader that asks which classes it may create, such as that of skops, then sees one class.
        """
        state = self.whole_state()
        if type(self) not in self.models().values():
            return state  # a subclass may have a format of its own
        try:
            return {PLAIN: to_plain(state, self.models(), type(self).__name__), "format": FORMAT}
        except NotPlainError:
            return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        is_plain = PLAIN in state
        if is_plain:
            rest = {k: v for k, v in state.items() if k not in (PLAIN, "format")}
            plain = from_plain(migrate(state[PLAIN], state.get("format")), self.models())
            name = next((name for name, cls in self.models().items() if cls is type(self)), "")
            state = completed(type(self), name, {**plain, **rest})
        super().__setstate__(state)
        if is_plain and "n_iter_" in vars(self):
            check_sizes(self)

    def __copy__(self):
        # The default goes by way of plain data, so that the copy would not share the run.
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin


def _constant_zeros(kernel: np.ndarray) -> np.ndarray:
    zeros = np.zeros(kernel.shape[1], kernel.dtype)
    zeros.flags.writeable = False
    return zeros


class LiveViews(list):
    """A list of views into a network's parameters.

    Writing into an array changes the model. If the user puts another array of equal shape into the
    list, its numbers are copied into the view.
    """

    def __setitem__(self, index, value) -> None:
        if isinstance(index, slice):
            for view, array in zip(self[index], value, strict=True):
                _write(view, array)
        else:
            _write(self[index], value)


def chain_of(coefs: Sequence, intercepts: Sequence) -> tuple[int, list[int], int, np.dtype]:
    """Return the number of inputs, hidden layer sizes, number of outputs and dtype of weights.

    Raises ValueError if the arrays are not the weights of a network.
    """
    try:
        kernels = [np.asarray(W) for W in coefs]
        biases = [np.asarray(b) for b in intercepts]
        dtype = np.result_type(np.float32, *kernels, *biases)
    except (TypeError, ValueError) as error:
        raise ValueError(f"coefs_ and intercepts_ have to be lists of arrays: {error}") from error
    shapes = [W.shape for W in kernels]
    is_chain = (
        bool(shapes)
        and all(len(shape) == 2 and min(shape) > 0 for shape in shapes)
        and all(below[1] == above[0] for below, above in pairwise(shapes))
        and [b.shape for b in biases] == [shape[1:] for shape in shapes]
    )
    if not is_chain or dtype not in (np.float32, np.float64):
        raise ValueError(
            "coefs_ and intercepts_ have to be arrays of numbers, one of each for each layer: "
            "coefs_[i] of shape (n_inputs, n_units), where n_inputs is the n_units of the layer "
            "before, and intercepts_[i] of shape (n_units,). They have shapes "
            f"{shapes} and {[b.shape for b in biases]}, and dtype {dtype}."
        )
    units = [n_units for _, n_units in shapes]
    return shapes[0][0], units[:-1], units[-1], dtype


def checked_weights(
    weights: Any, shapes: Mapping[str, tuple], dtype: np.dtype
) -> dict[str, np.ndarray]:
    """Return weights as arrays; raise if they are not numbers of these names and shapes."""
    if not isinstance(weights, Mapping):
        raise InvalidParameterError(
            f"set_weights takes a dict of arrays, as get_weights returns it, not a "
            f"{type(weights).__name__}."
        )
    missing, unknown = sorted(shapes.keys() - weights), sorted(map(str, weights.keys() - shapes))
    if missing or unknown:
        raise InvalidParameterError(
            f"set_weights: the names are not those of the network. Missing: {missing}. Unknown: "
            f"{unknown}."
        )
    arrays = {}
    for name, shape in shapes.items():
        try:
            array = np.asarray(weights[name])
        except ValueError:  # rows of several lengths
            array = np.array(None)
        if array.dtype.kind in "biuf":
            with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite
                array = array.astype(dtype)
        if array.dtype != dtype or not np.isfinite(array).all():
            raise InvalidParameterError(f"set_weights: {name!r} has to be finite numbers.")
        if array.shape != shape:
            raise InvalidParameterError(
                f"set_weights: {name!r} has the shape {array.shape}; the network's is {shape}."
            )
        if name.endswith("BatchNorm.running_variance") and (array < 0).any():
            raise InvalidParameterError(f"set_weights: {name!r} has to be numbers >= 0.")
        arrays[name] = array
    return arrays


def write_all(views: Sequence[np.ndarray], arrays: Sequence[np.ndarray], what: str) -> None:
    """Copy arrays into views; if a shape is wrong, copy none."""
    arrays = [np.asarray(array) for array in arrays]
    shapes, given = [v.shape for v in views], [a.shape for a in arrays]
    if shapes != given:
        raise ValueError(f"{what} has arrays of shapes {given}; the network's are {shapes}.")
    for view, array in zip(views, arrays, strict=True):
        _write(view, array)


def _write(view: np.ndarray, array) -> None:
    array = np.asarray(array)
    if array.shape != view.shape:
        raise ValueError(f"An array of shape {array.shape} can't replace one of {view.shape}.")
    view[...] = array
