"""The table of cases of every family: its registry, and constants other than the defaults.

Whoever adds an entry to a registry gets all contracts for nothing; a row here adds other constants.
"""

from functools import partial

from skdeep import activations, constraints, initializers, losses, optimizers, schedules
from skdeep.activations import ACTIVATIONS
from skdeep.augmentation import AUGMENTATIONS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.layers import (
    Activation,
    ActivityRegularization,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    GaussianNoise,
    Periodic,
    PiecewiseLinear,
    Residual,
    Scale,
)
from skdeep.losses import CLASSIFICATION_LOSSES, OUTPUT_ACTIVATIONS, REGRESSION_LOSSES
from skdeep.optimizers import OPTIMIZERS
from skdeep.regularizers import L1, L1L2, L2, REGULARIZERS
from skdeep.schedules import SCHEDULES, Piecewise, Warmup

ACTIVATION_CASES = {
    **ACTIVATIONS,
    "leaky_relu 0": partial(activations.LeakyReLU, 0.0),
    "leaky_relu 0.3": partial(activations.LeakyReLU, 0.3),
    "leaky_relu 1": partial(activations.LeakyReLU, 1.0),
    "prelu -0.5": partial(activations.PReLU, -0.5),
    "prelu 1.5": partial(activations.PReLU, 1.5),
    "prelu 0.25 2": partial(activations.PReLU, 0.25, 2.0),
    "parametric": activations.Parametric,
    **{
        f"parametric {g} {initial}": partial(activations.Parametric, g, 0.5, initial)
        for g in ("relu", "tanh", "gelu", activations.LeakyReLU(0.3))
        for initial in (0.6, -0.5)
    },
    "parametric relu 0": partial(activations.Parametric, "relu", initial=0.0),
    "rrelu 0.2 0.9": partial(activations.RReLU, 0.2, 0.9),
    "rrelu 1 1": partial(activations.RReLU, 1.0, 1.0),
    "thresholded_relu 0": partial(activations.ThresholdedReLU, 0.0),
    "thresholded_relu 0.25": partial(activations.ThresholdedReLU, 0.25),
    "elu 0": partial(activations.ELU, 0.0),
    "elu 0.5": partial(activations.ELU, 0.5),
    "elu 2": partial(activations.ELU, 2.0),
    "swish 1.7": partial(activations.Swish, 1.7),
    "parametric softmax": partial(activations.Parametric, "softmax", 0.5, 0.6),
    "swish -0.5": partial(activations.Swish, -0.5),
}

KINDS = ["binary", "multilabel", "multiclass"]
CLASSIFIERS = {
    **CLASSIFICATION_LOSSES,
    "focal 0": partial(losses.FocalLoss, 0.0),
    "focal 0.5": partial(losses.FocalLoss, 0.5),
    "focal 1": partial(losses.FocalLoss, 1.0),
}
REGRESSORS = {
    **REGRESSION_LOSSES,
    "huber 0.3": partial(losses.Huber, 0.3),
    "quantile 0.9": partial(losses.QuantileLoss, 0.9),
}
CLASSIFICATION_CASES = {
    f"{name} {kind}": (make, kind) for name, make in CLASSIFIERS.items() for kind in KINDS
}
REGRESSION_CASES = {
    f"{name} {output}": (make, output)
    for name, make in REGRESSORS.items()
    for output in ("auto", *OUTPUT_ACTIVATIONS)
    if not make().needs_positive_output or output in ("auto", *losses.POSITIVE_OUTPUTS)
}


def classifier_loss(make, kind):
    loss = make()
    loss.multiclass = kind == "multiclass"
    return loss


def regressor_loss(make, output):
    loss = make()
    loss.use_output_activation(output)
    return loss


LOSS_CASES = {
    **{k: partial(classifier_loss, *v) for k, v in CLASSIFICATION_CASES.items()},
    **{k: partial(regressor_loss, *v) for k, v in REGRESSION_CASES.items()},
}
PROBABILITY_CASES = {k: make for k, make in LOSS_CASES.items() if make().gives_probabilities}

REGULARIZER_CASES = {
    **REGULARIZERS,
    "l1 0": partial(L1, 0.0),
    "l2 0.3": partial(L2, 0.3),
    "l1_l2 0.3 0": partial(L1L2, 0.3, 0.0),
    "l1_l2 0 0.3": partial(L1L2, 0.0, 0.3),
}

CONSTRAINT_CASES = {
    **CONSTRAINTS,
    "max_norm 0.5": partial(constraints.MaxNorm, 0.5),
    "min_max_norm 0.5 1.5": partial(constraints.MinMaxNorm, 0.5, 1.5),
    "min_max_norm, half way": partial(constraints.MinMaxNorm, 0.5, 1.5, 0.5),
}

INITIALIZER_CASES = {
    **INITIALIZERS,
    **{
        f"{distribution} {mode}": partial(initializers.VarianceScaling, 0.7, mode, distribution)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("uniform", "normal", "truncated_normal")
    },
    "orthogonal 2": partial(initializers.Orthogonal, 2.0),
    "identity -1": partial(initializers.Identity, -1.0),
    "evenly spaced": initializers.EvenlySpaced,
    "evenly spaced 2 0": partial(initializers.EvenlySpaced, 2.0, 0.0),
}

SCHEDULE_CASES = {
    **SCHEDULES,
    "piecewise": Piecewise,
    "step 0.1 3": partial(schedules.Step, 0.1, 3),
    "polynomial 0.5 0.2": partial(schedules.Polynomial, 0.5, 0.2),
    "linear 0.3": partial(schedules.Linear, 0.3),
    "flat_cosine 0.2": partial(schedules.FlatCosine, 0.2),
    "cosine_log 2": partial(schedules.CosineLog, 2),
    "cosine 0.1": partial(schedules.Cosine, 0.1),
    "cosine_restarts 3 1": partial(schedules.CosineRestarts, 3, 1.0, 0.1),
    **{f"warmup {name}": partial(Warmup, name, 3) for name in SCHEDULES},
    "warmup piecewise": partial(Warmup, Piecewise((2, 5)), 3),
}

OPTIMIZER_CASES = {
    **OPTIMIZERS,
    "sgd 0": partial(optimizers.SGD, 0.0),
    "sgd classical": partial(optimizers.SGD, 0.8, False),
    "adam 0 0": partial(optimizers.Adam, 0.0, 0.0),
    "adam 0.5 0.6 0.01": partial(optimizers.Adam, 0.5, 0.6, 0.01),
    "rmsprop 0.5": partial(optimizers.RMSProp, 0.5, 1e-3),
    "rmsprop inside 0.1": partial(optimizers.RMSProp, 0.9, 1e-3, True, 0.1),
    "adagrad inside 0.1": partial(optimizers.AdaGrad, 1e-3, True, 0.1),
    "adam inside": partial(optimizers.Adam, epsilon=1e-3, epsilon_inside=True),
    "adam uncorrected": partial(optimizers.Adam, bias_correction=False),
    "sgd dampened": partial(optimizers.SGD, 0.9, False, 0.1),
    "lion 0.5 0.6": partial(optimizers.Lion, 0.5, 0.6),
}

# The number of inputs that the layers are built for.
N_INPUTS = 5


def nested():
    """Return branches within branches, with every kind that has buffers of its own."""
    return Residual(
        [
            Concatenate(
                [
                    [BatchNorm(), Dense(2, "prelu")],
                    [Columns([4, 0, 0]), Residual([Dense(3, "gelu")])],
                    [],
                ]
            ),
            ActivityRegularization(L1L2(0.1, 0.2)),
            Dropout(0.3),
            Dense(N_INPUTS, weight_noise=0.1),
        ]
    )


def siamese():
    """Return two branches that share layers, one of which is used three times."""
    dense, norm = Dense(3, "prelu", activity_regularizer=L1L2(0.1, 0.2)), BatchNorm()
    tower = Residual([Dense(4, "tanh"), Dropout(0.2), Dense(3)])
    return Concatenate(
        [
            [Columns([0, 1, 2]), norm, dense, tower],
            [Columns([2, 3, 4]), norm, dense, tower, Residual([tower, dense])],
        ]
    )


LAYER_CASES = {
    "Dense": partial(Dense, 3),
    "Dense without bias": partial(Dense, 3, bias=False),
    "Dense relu": partial(Dense, 3, "relu"),
    "Dense gelu": partial(Dense, 3, "gelu"),
    "Dense prelu": partial(Dense, 3, "prelu"),
    "Dense parametric": partial(Dense, 3, activations.Parametric("gelu", initial=0.3)),
    "Dense rrelu": partial(Dense, 3, "rrelu"),
    "Dense with rates": partial(Dense, 3, kernel_rate="fan_in", bias_rate=0.5),
    "Dense with noise": partial(Dense, 3, "tanh", weight_noise=0.2),
    "Dense with activity": partial(Dense, 3, "tanh", activity_regularizer=L1L2(0.1, 0.2)),
    "Activation": Activation,
    "Activation identity": partial(Activation, "identity"),
    "Activation mish": partial(Activation, "mish"),
    "Activation prelu": partial(Activation, "prelu"),
    "Activation parametric": partial(Activation, activations.Parametric("tanh", initial=0.3)),
    "Activation rrelu": partial(Activation, "rrelu"),
    "ActivityRegularization": ActivityRegularization,
    "ActivityRegularization l1": partial(ActivityRegularization, "l1"),
    "BatchNorm": BatchNorm,
    "BatchNorm 0.5 0.1": partial(BatchNorm, 0.5, 0.1),
    "Columns": partial(Columns, [0, 3, 3, -1]),
    "Columns slice": partial(Columns, slice(None, None, 2)),
    "Concatenate": partial(
        Concatenate, [[Dense(2, "tanh"), Dense(3)], [], Columns([1]), [Activation("gelu")]]
    ),
    "Dropout": partial(Dropout, 0.4),
    "Dropout 0": partial(Dropout, 0.0),
    "Embedding": partial(Embedding, 3, 2),
    "Embedding, counts": partial(Embedding, [1, 4, 2, 3, 9], 5, "uniform"),
    "GaussianNoise": partial(GaussianNoise, 0.3),
    "Periodic": partial(Periodic, 3, 4),
    "Periodic alone": partial(Periodic, 1, 7, 1.0, False),
    "Periodic wide": partial(Periodic, 9, 16, 0.3, True, 2.0),
    "PiecewiseLinear": partial(PiecewiseLinear, 2, 5, initializer="normal"),
    "PiecewiseLinear alone": partial(PiecewiseLinear, 5, 12, False, "normal"),
    "PiecewiseLinear zeros": PiecewiseLinear,
    "Residual": partial(Residual, [Dense(4, "tanh"), Dense(N_INPUTS)]),
    "Residual, empty": partial(Residual, []),
    "Scale": Scale,
    "Scale normal": partial(Scale, "normal", 0.1),
    "nested": nested,
    "shared": siamese,
}

COMPONENT_CASES = {
    f"{family}: {name}": make
    for family, cases in {
        "activation": ACTIVATION_CASES,
        "loss": CLASSIFICATION_LOSSES
        | {f"regression {k}": v for k, v in REGRESSION_LOSSES.items()},
        "regularizer": REGULARIZER_CASES,
        "constraint": CONSTRAINT_CASES,
        "initializer": INITIALIZER_CASES,
        "schedule": SCHEDULE_CASES,
        "optimizer": OPTIMIZER_CASES,
        "layer": LAYER_CASES,
        "augmentation": AUGMENTATIONS,
    }.items()
    for name, make in cases.items()
}
