"""Options of the run: when it stops, where it starts, and how it is handled."""

from __future__ import annotations

import math

from skdeep._component import Limit
from skdeep.averages import AVERAGES
from skdeep.building.options.option import (
    CLASSIFIER,
    MULTITASK,
    NOT_NEGATIVE,
    REGRESSOR,
    SHARE,
    Option,
    WarmStart,
    listed,
)

STOPPING = (
    Option(
        name="tol",
        text="The smallest change that counts as an improvement: of the training loss, or with "
        "`early_stopping` of the validation score or the validation loss. With the solver "
        '"lbfgs" it is also the tolerance of the gradient.',
        limit=NOT_NEGATIVE,
    ),
    Option(
        name="n_iter_no_change",
        text="Training stops after more than this number of epochs in a row without an "
        "improvement. With `math.inf` it never stops for this reason. A callback `EarlyStopping` "
        "takes the place of this rule if this number is the default and `early_stopping` is False.",
        limit=Limit(1, integer=True, special=(math.inf,)),
    ),
    Option(
        name="early_stopping",
        text="Whether to stop by the validation score and the validation loss, and to restore the "
        "weights of the best epoch.",
        page="See [early stopping](families/stopping.md).",
        switch=True,
    ),
    Option(
        name="validation_fraction",
        text="The share of the rows that is held out for `early_stopping`, if `fit` is given no "
        "validation data. The rows are drawn at random.",
        also={
            CLASSIFIER: "The split is stratified by class, except for multilabel targets.",
            MULTITASK: "The split is stratified by the classes of the first task that has classes.",
        },
        limit=SHARE,
    ),
    Option(
        name="scoring",
        text="The validation score. None is the score of the estimator itself, and the validation "
        'loss then counts too. "loss" is the negative validation loss. Other values are the name '
        "of a scorer or a callable `scoring(estimator, X, y)`.",
        type="str, callable or None",
        also={
            CLASSIFIER: '"calibrated_loss" is the negative log-loss that is left if the '
            "probabilities are calibrated by one factor of the logits.",
            MULTITASK: "The name of a task is the score of this task. The name of a scorer follows "
            'that of its task: "kind__roc_auc".',
        },
    ),
)

THE_RUN = (
    Option(
        name="metrics",
        text="Figures of the predictions, which `history_` has for every epoch. A figure of the "
        "training rows is computed from the batches of the epoch. A figure of validation data has "
        'a name that begins with `val_`. A metric is the name of a scorer, "score" for the '
        "estimator's own score, a callable `(estimator, X, y)` or a function `(y_true, y_pred)`. "
        "Give one metric, a list, or a dict from names to metrics.",
        page="See [metrics](training.md#metrics).",
        type="str, callable, list, dict or None",
        also={
            MULTITASK: "The name of a scorer follows that of its task: "
            '"kind__roc_auc". The name of a task alone is the score of this task.',
        },
        is_handling=True,
    ),
    Option(
        name="warm_start",
        text="Whether `fit` starts from the weights of the previous fit. "
        '"continue" also keeps the state of the optimizer, of the schedule and of the random '
        "numbers, so that `fit` continues exactly where the last one ended. "
        '"transfer" keeps the weights of the hidden layers, and makes a new output layer.',
        also={
            CLASSIFIER: "The classes may differ from those of the previous fit.",
            MULTITASK: "The tasks may differ from those of the previous fit.",
            REGRESSOR: "The number of outputs may differ from that of the previous fit.",
        },
        page="See [reuse](reuse.md).",
        type='bool, "continue" or "transfer"',
    ),
    Option(
        name="pretrained",
        text="A fitted estimator of skdeep in a `sklearn.frozen.FrozenEstimator`. The hidden "
        "layers of the network start with the weights of that estimator's hidden layers, from the "
        "bottom up, as far as both networks have hidden layers.",
        also=dict.fromkeys(
            (CLASSIFIER, REGRESSOR, MULTITASK),
            "If `hidden_layer_sizes`, `activation`, `layers`, `batch_norm` and `batch_norm_input` "
            "are all at their defaults, they are taken from the fitted estimator.",
        ),
        page="See [reuse](reuse.md).",
        type="FrozenEstimator or None",
        is_handling=True,
    ),
    Option(
        name="n_reused_layers",
        text='The number of the lowest hidden layers that `pretrained` or `warm_start="transfer"` '
        "copies. The hidden layers above them may differ in size and activation, and start with "
        "new weights. With None, all hidden layers that both networks have are copied, and their "
        "shapes and activations have to agree. Without an earlier network, the option has no "
        "effect.",
        page="See [another upper part](reuse.md#another-upper-part).",
        type="int or None",
        limit=Limit(0, integer=True, special=(None,)),
    ),
    Option(
        name="frozen_layers",
        text="The hidden layers that do not train: the number of the lowest ones, or a sequence of "
        "their positions. The lowest hidden layer includes the layers for the inputs. A "
        "frozen batch normalization uses its stored statistics.",
        type="int or sequence of int",
        warm_start=WarmStart.LAYERS,
    ),
    Option(
        name="weight_averaging",
        text="The average of the weights that validation, early stopping, checkpoints and the "
        f"final model use in place of the weights themselves. Names: {listed(AVERAGES)}; or "
        "an instance from `skdeep.averages`. Training continues with the weights themselves, in "
        "a warm start too.",
        page="See [averages of weights](families/averages.md).",
        type="str, WeightAverage or None",
        not_for_lbfgs=True,
    ),
    Option(
        name="dtype",
        text='The dtype of the computations. "auto" is float32 for float32 data, and float64 for '
        "other data.",
        choices=("auto", "float32", "float64"),
        is_handling=True,
    ),
    Option(
        name="callbacks",
        text="Objects from `skdeep.callbacks` that are called during training.",
        type="Callback, list of Callback or None",
        is_handling=True,
    ),
    Option(
        name="random_state",
        text="The source of random numbers for first weights, the order of rows, splits, dropout "
        "and noise. Give an int for results that can be repeated.",
        type="int, RandomState, Generator or None",
    ),
    Option(
        name="verbose",
        text='Whether to print a line for each epoch. "progress" shows a progress bar instead, if '
        "the output is a terminal.",
        type='bool, int or "progress"',
        is_handling=True,
    ),
)
