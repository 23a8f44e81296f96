"""Conversion of models: from and to scikit-learn's estimators, and to models without batch norm."""

from __future__ import annotations

import copy
import inspect
import math
from numbers import Real
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import clone
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from skdeep.activations import Identity, Logistic, ReLU, Tanh
from skdeep.building.folding import (
    entries_of,
    parameters_without_batch_norm,
    without_batch_norm,
)
from skdeep.building.options import names
from skdeep.estimators import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.estimators.base import BaseMLP
from skdeep.layers import Dense, Layer, Output
from skdeep.layers.heads import Tap
from skdeep.layers.operations import does_nothing_at_prediction, operations_of
from skdeep.training.history import COLUMNS

_OURS = {
    neural_network.MLPClassifier: MLPClassifier,
    neural_network.MLPRegressor: MLPRegressor,
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_ACTIVATIONS = {Identity: "identity", Logistic: "logistic", Tanh: "tanh", ReLU: "relu"}
_SOLVERS = ("sgd", "adam", "lbfgs")
_LEARNING_RATES = ("constant", "invscaling", "adaptive")
_LOSSES = {MLPClassifier: ("log_loss",), MLPRegressor: ("squared_error", "poisson")}
# Parameters that say how a model is handled, not what the model is.
_OF_NO_CONSEQUENCE = names(is_handling=True)


# From scikit-learn ----------------------------------------------------------------------------


def from_sklearn(mlp: Any) -> MLPClassifier | MLPRegressor:
    """Return a model of skdeep with the predictions of a fitted model of scikit-learn.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
        The fitted model. It is not changed.

    Returns
    -------
    MLPClassifier or MLPRegressor
        A model with the parameters, weights, classes and loss curve of `mlp`. A warm start
        continues from these weights with a new optimizer.
    """
    if type(mlp) not in _OURS:
        raise TypeError(
            f"from_sklearn: {mlp!r} is not allowed; give a fitted MLPClassifier or MLPRegressor of "
            "sklearn.neural_network."
        )
    check_is_fitted(mlp, "coefs_")
    cls = _OURS[type(mlp)]
    known = inspect.signature(cls).parameters
    parameters = {k: copy.deepcopy(v) for k, v in mlp.get_params().items() if k in known}
    parameters["hidden_layer_sizes"] = tuple(W.shape[1] for W in mlp.coefs_[:-1])
    if mlp.solver != "sgd":
        parameters["learning_rate"] = "constant"  # scikit-learn's other solvers ignore it
    model = cls(**parameters)
    losses = [float(loss) for loss in getattr(mlp, "loss_curve_", [mlp.loss_])]
    history = {name: [math.nan] * len(losses) for name in COLUMNS} | {"loss": losses}
    scores = getattr(mlp, "validation_scores_", None)
    if scores:
        history["val_score"] = [float(score) for score in scores]
    model._adopt_weights(
        mlp.coefs_, mlp.intercepts_, history, mlp.t_, **_fitted_attributes(mlp, losses)
    )
    return model


def _fitted_attributes(mlp: Any, losses: list[float]) -> dict[str, Any]:
    """Return the attributes of a model of scikit-learn that skdeep's model takes over."""
    kept = ("n_features_in_", "feature_names_in_", "n_iter_", "loss_", "best_loss_")
    fitted = {name: getattr(mlp, name) for name in kept if hasattr(mlp, name)}
    fitted["best_validation_score_"] = getattr(mlp, "best_validation_score_", None)
    figures = mlp.validation_scores_ if mlp.early_stopping else [-loss for loss in losses]
    fitted["best_iter_"] = int(np.argmax(figures)) + 1 if figures else None
    if isinstance(mlp, neural_network.MLPClassifier):
        classes = np.arange(mlp.n_outputs_) if _is_multilabel(mlp) else mlp.classes_
        fitted |= {"classes_": classes, "out_activation_": mlp.out_activation_}
    return fitted


def _is_multilabel(mlp: neural_network.MLPClassifier) -> bool:
    return mlp._label_binarizer.y_type_ == "multilabel-indicator"


# To scikit-learn ------------------------------------------------------------------------------


def to_sklearn(model: BaseMLP) -> Any:
    """Return a model of scikit-learn with the predictions of a fitted model of skdeep.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        The fitted model. It is not changed.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If the model has a part that scikit-learn lacks. The message names the part.
    """
    if type(model) not in _THEIRS:
        raise TypeError(
            f"to_sklearn: {type(model).__name__} is not allowed; give a fitted MLPClassifier or "
            "MLPRegressor of skdeep."
        )
    model._check_is_fitted()
    lacking = [*_lacking_layers(model), *_lacking_parameters(model)]
    if lacking:
        raise ValueError(f"to_sklearn: scikit-learn's MLP has no {', no '.join(lacking)}.")
    theirs = _THEIRS[type(model)]
    known = inspect.signature(theirs).parameters
    parameters = {k: copy.deepcopy(v) for k, v in model.get_params().items() if k in known}
    hidden = [layer for layer in model.network_.layers if isinstance(layer, Dense)][:-1]
    parameters["hidden_layer_sizes"] = tuple(layer.units for layer in hidden)
    parameters["activation"] = _activation_of(hidden[0]) if hidden else "identity"
    mlp = theirs(**parameters)
    mlp.coefs_ = [W.copy() for W in model.coefs_]
    mlp.intercepts_ = [b.copy() for b in model.intercepts_]
    if isinstance(model, MLPRegressor) and model.y_scale_ is not None:
        mlp.coefs_[-1] *= model.y_scale_
        mlp.intercepts_[-1] *= model.y_scale_
        mlp.intercepts_[-1] += model.y_mean_
    _copy_fitted(model, mlp)
    # A warm start in scikit-learn needs these attributes.
    mlp._no_improvement_count = 0
    mlp._best_coefs = [W.copy() for W in mlp.coefs_]
    mlp._best_intercepts = [b.copy() for b in mlp.intercepts_]
    if isinstance(model, MLPClassifier):
        is_multilabel = model._encoder.kind == "multilabel"
        labels = np.eye(model.n_outputs_, dtype=int) if is_multilabel else model.classes_
        mlp._label_binarizer = LabelBinarizer().fit(labels)
    return mlp


def _is_plain(layer: Layer) -> bool:
    """Whether scikit-learn's MLP has such a layer."""
    is_dense = isinstance(layer, Dense) and operations_of(layer) is not None
    return is_dense and layer.bias_ is not None and _activation_of(layer) is not None


def _copy_fitted(model: BaseMLP, mlp: Any) -> None:
    """Copy the fitted attributes that both libraries have."""
    for name in (
        *("n_features_in_", "feature_names_in_", "classes_", "n_outputs_", "n_layers_", "n_iter_"),
        *("t_", "out_activation_", "loss_", "best_loss_", "best_validation_score_"),
    ):
        if hasattr(model, name):
            setattr(mlp, name, copy.deepcopy(getattr(model, name)))
    mlp.loss_curve_ = list(model.loss_curve_)
    scores = model.validation_scores_
    mlp.validation_scores_ = None if scores is None else list(scores)


def _activation_of(layer: Dense) -> str | None:
    f = layer.activation_
    return "identity" if f is None else _ACTIVATIONS.get(type(f))


def _lacking_layers(model: BaseMLP) -> list[str]:
    """Return the parts of the network at prediction that scikit-learn's MLP lacks."""
    at_prediction = [x for x in model.network_.layers if not does_nothing_at_prediction(x)]
    lacking = [repr(layer) for layer in at_prediction if not _is_plain(layer)]
    if not lacking:
        kinds = list(dict.fromkeys(_activation_of(layer) for layer in at_prediction[:-1]))
        if len(kinds) > 1:
            lacking.append(f"hidden layers of several activations ({', '.join(kinds)})")
    if isinstance(model, MLPClassifier) and len(model.classes_) < 2:
        lacking.append("classifier of a single class")
    return lacking


def _lacking_parameters(model: BaseMLP) -> list[str]:
    """Return the parameters that are set and that scikit-learn's MLP lacks."""
    theirs = inspect.signature(_THEIRS[type(model)]).parameters
    choices = {
        "solver": _SOLVERS,
        "learning_rate": _LEARNING_RATES,
        "loss": _LOSSES[type(model)],
        "warm_start": (False, True),
    }
    lacking = []
    for name, parameter in inspect.signature(type(model)).parameters.items():
        value = getattr(model, name)
        if name in choices:
            is_there = any(_equal(value, choice) for choice in choices[name])
        elif name == "random_state":
            is_there = not isinstance(value, np.random.Generator)
        elif name in theirs or name in _OF_NO_CONSEQUENCE:
            is_there = True
        else:
            is_there = _equal(value, parameter.default)
        if not is_there:
            lacking.append(f"{name}={value!r}")
    return lacking


def _equal(value: Any, other: Any) -> bool:
    are_numbers = isinstance(value, Real) and isinstance(other, Real)
    return value is other or ((are_numbers or type(value) is type(other)) and bool(value == other))


# Without batch norm ---------------------------------------------------------------------------


def fold_batch_norm(model: BaseMLP) -> BaseMLP:
    """Return a fitted model with the same predictions, and without batch normalization.

    The numbers of each batch norm go into the weights and the biases of the dense layer below it or
    above it. `to_sklearn` can convert the model that is returned.

    Parameters
    ----------
    model : fitted estimator of skdeep
        It is not changed.

    Returns
    -------
    estimator of the model's class
        Its hyperparameters have no batch normalization. A warm start or `partial_fit` continues
        from its weights with a new optimizer. Tied weights are no longer tied, and a layer in
        several places becomes several layers.

    Raises
    ------
    ValueError
        If a batch norm in `layers=[...]` has no dense layer beside it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import MLPClassifier, fold_batch_norm, to_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), batch_norm="before", max_iter=99, tol=1, random_state=0)
    >>> to_sklearn(fold_batch_norm(model.fit(X, y))).coefs_[0].shape
    (4, 8)
    """
    if not isinstance(model, BaseMLP):
        raise TypeError(
            f"fold_batch_norm: {type(model).__name__} is not allowed; give a fitted estimator of "
            "skdeep. For a Pipeline, give its last step."
        )
    model._check_is_fitted()
    network = model.network_
    if not network.batch_norms() and model.batch_norm is None:
        return copy.deepcopy(model)
    parts = without_batch_norm(network.layers)
    # An autoencoder's own hyperparameters describe the encoder alone.
    options = model if isinstance(model, MLPAutoencoder) else model._options()
    parameters = parameters_without_batch_norm(model, options)
    if parameters.get("layers") is not None:
        n_above = len(network.layers) - network.hidden_stops[-1]
        stop = len(parts) - n_above
        below = [part for part in parts[:stop] if not isinstance(part.layer, Tap)]
        kept = [layer for layer in parameters["layers"] if not isinstance(layer, Output)]
        outputs = [clone(layer) for layer in parameters["layers"][len(kept) :]]
        for output in outputs:
            if isinstance(parts[stop].layer, Dense):  # which may have taken up a batch norm
                output.set_params(bias=parts[stop].layer.bias)
        parameters["layers"] = [*entries_of(below[len(below) - len(kept) :]), *outputs]
    return model.with_weights(parameters, [value for part in parts for value in part.values])
