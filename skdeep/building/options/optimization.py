"""Options of the optimization: the solver and its constants, the learning rate, batches."""

from __future__ import annotations

from skdeep._component import Limit
from skdeep.augmentation import AUGMENTATIONS
from skdeep.building.options.option import (
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    UNIT,
    ByLayer,
    Option,
    WarmStart,
    listed,
)
from skdeep.optimizers import OPTIMIZERS
from skdeep.schedules import SCHEDULES

_CLIP = Limit(0, closed="(]", special=(None,))
_COUNT = Limit(1, integer=True)

OPTIMIZATION = (
    Option(
        name="solver",
        text="The optimizer: a name, or an instance from `skdeep.optimizers`. Names: "
        f"{listed([*OPTIMIZERS, 'lbfgs'])}.",
        type="str or Optimizer",
    ),
    Option(
        name="learning_rate",
        text='The schedule of the learning rate, for every solver but "lbfgs": a name, or an '
        f'instance from `skdeep.schedules`. Names: {listed(SCHEDULES)}. The name "invscaling" has '
        'no effect with the solver "adam", as in scikit-learn.',
        page="See [schedules](families/schedules.md).",
        type="str or Schedule",
        not_for_lbfgs=True,
    ),
    Option(
        name="learning_rate_init",
        text="The learning rate that the schedule starts from.",
        limit=POSITIVE,
    ),
    Option(
        name="learning_rate_multipliers",
        text="The factor of the learning rate in the hidden layers. Factors below 1 make smaller "
        "steps, for layers that were trained before.",
        limit=NOT_NEGATIVE,
        by_layer=ByLayer.AND_OUTPUT,
        of_output=1.0,
        warm_start=WarmStart.LAYERS,
        not_for_lbfgs=True,
    ),
    Option(
        name="power_t",
        text='The exponent of the learning rate "invscaling".',
        limit=NOT_NEGATIVE,
    ),
    Option(
        name="momentum",
        text='The momentum of the solver "sgd".',
        limit=UNIT,
    ),
    Option(
        name="nesterovs_momentum",
        text='Whether the solver "sgd" uses Nesterov\'s momentum.',
        switch=True,
    ),
    Option(
        name="beta_1",
        text='The decay of the first moment, for the solvers "adam", "adamw", "nadam", "adamax", '
        '"amsgrad" and "lion".',
        limit=SHARE,
    ),
    Option(
        name="beta_2",
        text='The decay of the second moment, for the solvers "adam", "adamw", "nadam", "adamax" '
        'and "amsgrad"; for "lion", the decay of its moment.',
        limit=SHARE,
    ),
    Option(
        name="rho",
        text='The decay of the mean of squared gradients, for the solvers "rmsprop" and '
        '"adadelta".',
        limit=SHARE,
    ),
    Option(
        name="epsilon",
        text="The number that keeps the divisions of the adaptive solvers away from 0.",
        limit=POSITIVE,
    ),
    Option(
        name="weight_decay",
        text="The decoupled decay of the weights of the dense layers. Before each step, the "
        "weights are multiplied by one minus the learning rate times this number. It works with "
        'every solver but "lbfgs". The solver "adamw" is "adam" with this decay. The '
        "`weight_decay` of an `AdamW` instance is added to it.",
        limit=NOT_NEGATIVE,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="clip_norm",
        text="The largest norm that the gradient of all parameters may have. A gradient with a "
        "larger norm is scaled down.",
        limit=_CLIP,
        not_for_lbfgs=True,
    ),
    Option(
        name="clip_value",
        text="The largest absolute value that a component of the gradient may have. It is applied "
        "before `clip_norm`.",
        limit=_CLIP,
        not_for_lbfgs=True,
    ),
    Option(
        name="clip_parameter_norm",
        text="The largest norm that the gradient of each parameter may have, such as the weights "
        "of one layer or its biases. A gradient with a larger norm is scaled down. It is applied "
        "after `clip_value` and before `clip_norm`.",
        limit=_CLIP,
        not_for_lbfgs=True,
    ),
    Option(
        name="batch_size",
        text='The number of rows of a batch. "auto" is `min(200, n_samples)`.',
        limit=Limit(1, integer=True, special=("auto",)),
    ),
    Option(
        name="max_iter",
        text='The largest number of epochs, or of iterations with the solver "lbfgs".',
        limit=_COUNT,
    ),
    Option(
        name="max_fun",
        text='The largest number of evaluations of the loss, for the solver "lbfgs".',
        limit=_COUNT,
    ),
    Option(
        name="shuffle",
        text="Whether the rows are shuffled before each epoch.",
        switch=True,
    ),
    Option(
        name="augment",
        text="A change of each batch in training, for example shifts of images: a name, an "
        "instance from `skdeep.augmentation`, a function `(X, Y, rng) -> (X, Y)`, or a list of "
        f"these. Names: {listed(AUGMENTATIONS)}. Y has the targets as the loss sees them, with one "
        "column for each output of the network. Batches of a sparse X are made dense.",
        page="See [augmentation](augmentation.md).",
        type="str, Augmentation, callable, list or None",
        not_for_lbfgs=True,
    ),
)
