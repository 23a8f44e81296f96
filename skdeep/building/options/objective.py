"""Options of the objective: the loss, targets, penalties and constraints."""

from __future__ import annotations

from skdeep.building.options.option import (
    AUTOENCODER,
    CLASSIFIER,
    MULTITASK,
    NOT_NEGATIVE,
    REGRESSOR,
    SHARE,
    UNIT,
    ByLayer,
    Option,
    WarmStart,
    WithLayers,
    listed,
)
from skdeep.constraints import CONSTRAINTS
from skdeep.losses import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, REGRESSION_LOSSES
from skdeep.regularizers import REGULARIZERS

_EXPONENTIAL = 'the exponential for "poisson" and "gamma"'
_REGULARIZER = "str, Regularizer, None or sequence"
_CONSTRAINT = "str, Constraint, None or sequence"

OBJECTIVE = (
    Option(
        name="tasks",
        text="The tasks by name: a dict of instances from `skdeep.tasks`, `Classification` and "
        "`Regression`, or a list of (name, task) pairs. A list of tasks alone takes the names of "
        "the columns of y, in their order. The parameters of a task can be searched: "
        "`tasks__kind__loss_weight`.",
        page="See [several tasks](tasks.md).",
        type="dict or list of tasks",
        estimators=(MULTITASK,),
        warm_start=WarmStart.STRUCTURE,
    ),
    Option(
        name="output_activation",
        text="The function at the end of the network, which is applied to the raw outputs: "
        f"{listed(OUTPUT_ACTIVATIONS)}.",
        also={
            REGRESSOR: f'"auto" follows the loss: {_EXPONENTIAL}, the identity for other losses. '
            "A sequence has one entry for each output.",
            AUTOENCODER: f'"auto" follows the loss: {_EXPONENTIAL}, the logistic function for '
            '"log_loss", the identity for other losses.',
        },
        type="str or sequence of str",
        estimators=(REGRESSOR, AUTOENCODER),
        choices=("auto", *OUTPUT_ACTIVATIONS),
        by_output=True,
    ),
    Option(
        name="loss",
        text="The loss that training minimizes: a name, or an instance from `skdeep.losses`.",
        also={
            CLASSIFIER: f"Names: {listed(CLASSIFICATION_LOSSES)}. "
            '"log_loss" follows the targets: a sigmoid for two classes and for every column of '
            'multilabel targets, a softmax for more classes. "squared_error" is the squared error '
            "of the probabilities. The two hinge losses give no probabilities.",
            REGRESSOR: f"Names: {listed(REGRESSION_LOSSES)}. An instance sets the constants "
            "of its loss: `loss=QuantileLoss(0.9)`. A sequence has one loss for each output. "
            "`QuantileLoss([0.1, 0.5, 0.9])` predicts several quantiles of one target.",
            AUTOENCODER: f'Names: {listed([*REGRESSION_LOSSES, "log_loss"])}. "log_loss" is for '
            "inputs in [0, 1].",
        },
        page="See [losses](losses.md).",
        type="str, Loss or sequence",
        estimators=(CLASSIFIER, REGRESSOR, AUTOENCODER),
    ),
    Option(
        name="loss_weights",
        text="The weights of the outputs in the loss, which is then the weighted sum of their "
        "losses: one number for each output. None is the mean over the outputs. For losses that "
        'add up over the outputs ("poisson", "gamma"), None is their sum if `loss` is not a '
        "sequence.",
        page="See [several outputs](losses.md#several-outputs).",
        type="sequence of float or None",
        estimators=(REGRESSOR,),
    ),
    Option(
        name="missing_targets",
        text='The treatment of targets that are NaN. "error" refuses them. "ignore" leaves them '
        "out of the loss and of the score, so that a row may lack some of its targets.",
        page="See [missing targets](losses.md#missing-targets).",
        estimators=(REGRESSOR,),
        choices=("error", "ignore"),
        is_handling=True,
    ),
    Option(
        name="class_weight",
        text='The weights of the classes: a dict from class to weight, or "balanced"; for '
        "multilabel targets, a list with a dict for each column. They are multiplied by "
        "`sample_weight`, and the products are scaled to mean 1.",
        type='dict, list of dict, "balanced" or None',
        estimators=(CLASSIFIER,),
    ),
    Option(
        name="label_smoothing",
        text="The share of every target that is spread evenly over the classes.",
        estimators=(CLASSIFIER,),
        limit=SHARE,
    ),
    Option(
        name="soft_targets",
        text="Whether y has a row of probabilities for each sample, with one column for each "
        "class, in place of labels. The rows sum to 1. The classes are then the positions of the "
        "columns: 0, 1, 2, ... Validation data and `score` also take these classes as labels.",
        page="See [soft targets](losses.md#soft-targets).",
        estimators=(CLASSIFIER,),
        switch=True,
        is_handling=True,
    ),
    Option(
        name="standardize_y",
        text="Whether the network learns targets that are scaled to mean 0 and variance 1, each "
        "output on its own. `predict`, `score`, `y` and `y_val` are in the units of y. `loss_`, "
        "the losses in `history_`, `target_noise` and the constants of losses are in units of the "
        "standard deviation of y. It takes the place of a "
        "`TransformedTargetRegressor`, for targets of any size.",
        estimators=(REGRESSOR,),
        switch=True,
        warm_start=WarmStart.STRUCTURE,
        is_handling=True,
    ),
    Option(
        name="target_noise",
        text="The noise in the targets of each batch in training.",
        also={
            CLASSIFIER: "It is the share of the rows whose label is replaced by another class. All "
            "other classes are equally likely. For multilabel targets, it is the share of the "
            "entries that are flipped. It is less than 1.",
            REGRESSOR: "It is the standard deviation of Gaussian noise that is added to targets.",
        },
        estimators=(CLASSIFIER, REGRESSOR),
        limit=NOT_NEGATIVE,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="alpha",
        text="The strength of scikit-learn's penalty on the weights of the dense layers: `alpha / "
        "n_batch * ((1 - l1_ratio) / 2 * sum(W ** 2) + l1_ratio * sum(abs(W)))`. With "
        "`sample_weight`, the penalty is also divided by the mean weight. Biases do not have "
        "this penalty.",
        limit=NOT_NEGATIVE,
    ),
    Option(
        name="l1_ratio",
        text="The share of L1 in the penalty of strength `alpha`. The rest is L2.",
        limit=UNIT,
    ),
    Option(
        name="kernel_regularizer",
        text="A penalty on the weights of the hidden layers, which is added to the loss without a "
        f"division by the number of rows: {listed(REGULARIZERS)} or an instance from "
        "`skdeep.regularizers`.",
        type=_REGULARIZER,
        by_layer=ByLayer.AND_OUTPUT,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
    ),
    Option(
        name="bias_regularizer",
        text="A penalty on the biases of the hidden layers, which is added to the loss without a "
        f"division by the number of rows: {listed(REGULARIZERS)} or an instance from "
        "`skdeep.regularizers`.",
        type=_REGULARIZER,
        by_layer=ByLayer.AND_OUTPUT,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.OUTPUT,
    ),
    Option(
        name="activity_regularizer",
        text="A penalty on the outputs of layers, divided by the number of rows of the batch: "
        f"{listed(REGULARIZERS)} or an instance from `skdeep.regularizers`. In the output layer "
        "it is a penalty on the raw outputs.",
        also={
            CLASSIFIER: "One value is for all hidden layers.",
            REGRESSOR: "One value is for all hidden layers.",
            MULTITASK: "One value is for all hidden layers.",
            AUTOENCODER: 'One value is for the code: "l1" makes a sparse autoencoder.',
        },
        type=_REGULARIZER,
        by_layer=ByLayer.AND_OUTPUT,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
    ),
    Option(
        name="kernel_constraint",
        text="A constraint on the weights of the hidden layers, which holds after every step: "
        f"{listed(CONSTRAINTS)} or an instance from `skdeep.constraints`. Norms are those of the "
        "incoming weights of a unit.",
        type=_CONSTRAINT,
        by_layer=ByLayer.AND_OUTPUT,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.OUTPUT,
        not_for_lbfgs=True,
    ),
    Option(
        name="bias_constraint",
        text="A constraint on the biases of the hidden layers, which holds after every step: "
        f"{listed(CONSTRAINTS)} or an instance from `skdeep.constraints`.",
        type=_CONSTRAINT,
        by_layer=ByLayer.AND_OUTPUT,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.OUTPUT,
        not_for_lbfgs=True,
    ),
)
