"""The tasks of a `MultiTaskMLP`: the targets and the loss of each head of the network.

A task is only a description. The estimator keeps the classes and the scales of the targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep._component import (
    Component,
    InvalidParameterError,
    Limit,
    is_per_layer,
    store_parameters,
    unknown_name,
)
from skdeep.losses import OUTPUT_ACTIVATIONS

__all__ = ["Classification", "Regression", "Task"]


class Task(Component):
    """Base class of the tasks, for the parameters that they share."""

    is_task = True
    loss: Any
    loss_weight: float
    columns: Any
    at: int | str
    training_only: bool
    layers: Any

    _limits = {"loss_weight": Limit(0)}
    _switches: tuple[str, ...] = ()
    #: The parameters that may not change in a warm start.
    structure = ("columns", "at", "layers")
    #: The parameters of the output layer; if they have these values, those of the estimator count.
    of_output_layer = {
        "initializer": "auto",
        "bias_initializer": "auto",
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }

    def check(self, what=""):
        super().check(what)
        for name in ("training_only", *self._switches):
            value = getattr(self, name)
            if not isinstance(value, (bool, np.bool_)):
                raise InvalidParameterError(
                    f"{what}__{name}={value!r} is not allowed; give True or False."
                )
        if not isinstance(self.at, (int, np.integer, str)) or isinstance(self.at, bool):
            raise InvalidParameterError(
                f"{what}__at={self.at!r} is not allowed; give the position of a hidden layer, "
                "counted from 0 at the bottom or from -1 at the top, or its name in layers=[...]."
            )

    def described_structure(self) -> tuple:
        """Return the facts that the weights depend on."""
        return (type(self).__name__, *(getattr(self, name) for name in self.structure))


class Classification(Task):
    """A task whose targets are classes: two, many, or several yes/no labels.

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        A name or an instance, as for `MLPClassifier`.
    loss_weight : float, default=1.0
        The factor of this task's loss in the sum that training minimizes.
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weights of the classes: the loss of a row is multiplied by the weight of its class. For
        several yes/no labels, a list with a dict for each.
    label_smoothing : float, default=0.0
        The share of every target that is spread evenly over the classes.
    columns : str, int, sequence of these, or None, default=None
        The column of y, or the columns with 0 and 1 for several yes/no labels: names, or positions
        if y is an array. None is the column with the task's name.
    at : int or str, default=-1
        The position of the hidden layer that the head hangs on, counted from 0 at the bottom or
        from -1 at the top; or the name of the layer, if the estimator has layers with names. A head
        on a middle layer is an auxiliary head.
    training_only : bool, default=False
        Whether the head serves training only: it has no predictions and does not count in `score`.
    layers : list of Layer or None, default=None
        Hidden layers of the head's own, below its output layer.
    initializer, bias_initializer : str or Initializer, default="auto"
        The first values of the head's output layer. "auto" is the value that the estimator has for
        the output layer.
    kernel_regularizer, bias_regularizer : str, Regularizer or None, default=None
        Penalties on the head's output layer. None is the value that the estimator has for it.
    kernel_constraint, bias_constraint : str, Constraint or None, default=None
        Constraints on the head's output layer. None is the value that the estimator has for it.
    """

    _limits = {**Task._limits, "label_smoothing": Limit(0, 1, closed="[)")}

    def __init__(
        self,
        loss="log_loss",
        loss_weight: float = 1.0,
        *,
        class_weight=None,
        label_smoothing: float = 0.0,
        columns=None,
        at: int | str = -1,
        training_only: bool = False,
        layers=None,
        initializer="auto",
        bias_initializer="auto",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    ):
        store_parameters(self, locals())


class Regression(Task):
    """A task whose targets are numbers: one column, or several.

    Parameters
    ----------
    loss : str, Loss or sequence, default="squared_error"
        A name or an instance, as for `MLPRegressor`; a sequence has one entry for each column.
        `QuantileLoss([0.1, 0.5, 0.9])` predicts several quantiles of one column.
    loss_weight : float, default=1.0
        The factor of this task's loss in the sum that training minimizes.
    output_activation : str or sequence of str, default="auto"
        The function that is applied to the raw outputs, as for `MLPRegressor`.
    standardize_y : bool, default=False
        Whether the network learns targets that are scaled to mean 0 and variance 1. Predictions
        are in the units of y. The loss of the task is in units of the standard deviation.
    columns : str, int, sequence of these, or None, default=None
        The columns of y: names, or positions if y is an array. None is the column with the task's
        name.
    at : int or str, default=-1
        The position of the hidden layer that the head hangs on, counted from 0 at the bottom or
        from -1 at the top; or the name of the layer, if the estimator has layers with names. A head
        on a middle layer is an auxiliary head.
    training_only : bool, default=False
        Whether the head serves training only: it has no predictions and does not count in `score`.
    layers : list of Layer or None, default=None
        Hidden layers of the head's own, below its output layer.
    initializer, bias_initializer : str or Initializer, default="auto"
        The first values of the head's output layer. "auto" is the value that the estimator has for
        the output layer.
    kernel_regularizer, bias_regularizer : str, Regularizer or None, default=None
        Penalties on the head's output layer. None is the value that the estimator has for it.
    kernel_constraint, bias_constraint : str, Constraint or None, default=None
        Constraints on the head's output layer. None is the value that the estimator has for it.
    """

    _switches = ("standardize_y",)
    structure = (*Task.structure, "standardize_y")
    # The facts that `regression_loss` reads, beside those that are parameters.
    loss_weights = None
    missing_targets = "ignore"

    def __init__(
        self,
        loss="squared_error",
        loss_weight: float = 1.0,
        *,
        output_activation="auto",
        standardize_y: bool = False,
        columns=None,
        at: int | str = -1,
        training_only: bool = False,
        layers=None,
        initializer="auto",
        bias_initializer="auto",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    ):
        store_parameters(self, locals())

    def check(self, what=""):
        super().check(what)
        given = self.output_activation
        choices = ("auto", *OUTPUT_ACTIVATIONS)
        for name in given if is_per_layer(given) else [given]:
            if not isinstance(name, str) or name not in choices:
                raise InvalidParameterError(
                    unknown_name(str(name), choices, f"{what}__output_activation")
                )
