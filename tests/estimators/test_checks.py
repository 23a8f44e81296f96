"""scikit-learn's checks of estimators, in many configurations."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.layers import Activation, BatchNorm, Columns, Concatenate, Dense, Dropout, Residual

# A weight acts as repetition, but repeated rows also enter what weights are no part of.
WEIGHTS = {
    f"check_sample_weight_equivalence_on_{kind}_data": (
        "repeated rows have other dropout, statistics of batches, splits or roundings"
    )
    for kind in ("dense", "sparse")
}
PARTIAL_FIT = dict.fromkeys(
    (
        "check_fit_score_takes_y",
        "check_n_features_in_after_fitting",
        "check_estimators_partial_fit_n_features",
    ),
    "early_stopping is forbidden in partial_fit, which this check calls",
)
FLOAT32 = {
    "check_regressor_multioutput": "asks for float64 predictions; dtype='float32' says otherwise"
}

# Most of the checks need no more than a fit, and some need one that is good.
FEW_EPOCHS = {"learning_rate_init": 0.03, "max_iter": 30}
QUICK = {"hidden_layer_sizes": (30,), **FEW_EPOCHS}

CONFIGURATIONS = {
    "defaults": ({}, {}),
    "batch norm and dropout": ({"batch_norm": "before", "dropout": 0.1, **QUICK}, WEIGHTS),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 200, "hidden_layer_sizes": (30,)}, {}),
    "float32": ({"dtype": "float32", **QUICK}, {**WEIGHTS, **FLOAT32}),
    "early stopping": (
        {
            "early_stopping": True,
            "validation_fraction": 0.4,
            "n_iter_no_change": 50,
            **QUICK,
        },
        {**WEIGHTS, **PARTIAL_FIT},
    ),
    "custom layers": (
        {
            "layers": [
                Dense(30),
                BatchNorm(),
                Activation("swish"),
                Dropout(0.05),
                Residual([Dense(30, "tanh")]),
                Concatenate([[], [Columns([0, 1]), Dense(5, "elu")]]),
            ],
            **FEW_EPOCHS,
        },
        WEIGHTS,
    ),
    "no hidden layer": ({"hidden_layer_sizes": (), **FEW_EPOCHS, "learning_rate_init": 0.05}, {}),
    "sgd, schedule, clipping, penalties, constraints": (
        {
            **QUICK,
            "solver": "sgd",
            "learning_rate": "one_cycle",
            "learning_rate_init": 0.1,
            "clip_norm": 5.0,
            "activation": ["tanh"],
            "initializer": "orthogonal",
            "kernel_regularizer": "l1",
            "kernel_constraint": "max_norm",
            "l1_ratio": 0.5,
        },
        {},
    ),
}

AUTOENCODERS = {
    "defaults": ({}, {}),
    "tied, denoising, sparse": (
        {
            "hidden_layer_sizes": (8, 3),
            "tied_weights": True,
            "input_noise": 0.1,
            "activity_regularizer": "l1",
        },
        WEIGHTS,
    ),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 200}, {}),
}

# Which options make up the network is the same code in both estimators: one of them is checked.
ONLY = {
    "batch norm and dropout": MLPRegressor,
    "custom layers": MLPClassifier,
    "no hidden layer": MLPRegressor,
    "sgd, schedule, clipping, penalties, constraints": MLPClassifier,
}

EXPECTED = [
    (Estimator(**{"max_iter": 100, **settings}), failures)
    for name, (settings, failures) in CONFIGURATIONS.items()
    for Estimator in (MLPClassifier, MLPRegressor)
    if ONLY.get(name, Estimator) is Estimator
] + [
    (MLPAutoencoder(**{"max_iter": 20, **settings}), failures)
    for settings, failures in AUTOENCODERS.values()
]


def expected_failures(estimator):
    """Look up by identity; a classifier is not asked what only a regressor can fail."""
    failures = next(failures for known, failures in EXPECTED if known is estimator)
    regressors_only = isinstance(estimator, MLPClassifier) and "check_regressor_multioutput"
    return {name: why for name, why in failures.items() if name != regressors_only}


CHECKS = parametrize_with_checks(
    [estimator for estimator, _ in EXPECTED], expected_failed_checks=expected_failures
)


@pytest.mark.filterwarnings("ignore")
# As a list: pytest objects to the generator that older versions of scikit-learn give it.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
