"""Every hyperparameter changes the fitted model: none is a silent no-op."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

from skdeep import MLPClassifier, MLPRegressor
from skdeep.activations import LeakyReLU
from skdeep.augmentation import Mixup
from skdeep.callbacks import Callback
from skdeep.layers import Dense
from skdeep.losses import FocalLoss, QuantileLoss
from skdeep.optimizers import SGD, Adam
from skdeep.regularizers import L1
from skdeep.schedules import Piecewise, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class StopEarly(Callback):
    def on_epoch_end(self, trainer):
        trainer.stop_training = trainer.epoch == 3


def never_better(estimator, X, y):
    return 0.0


SGD_SETTINGS = {"solver": "sgd", "learning_rate_init": 0.05}
EARLY = {"early_stopping": True, "n_iter_no_change": 5}
# (name, another value, settings that it needs beside it)
BOTH = [
    ("hidden_layer_sizes", (8,), {}),
    ("hidden_layer_sizes", (), {}),
    ("hidden_layer_sizes", 8, {}),
    ("activation", "tanh", {}),
    ("activation", ["tanh", "relu"], {}),
    ("activation", LeakyReLU(0.3), {}),
    ("layers", [Dense(8, "tanh")], {"hidden_layer_sizes": (100,), "activation": "relu"}),
    ("initializer", "orthogonal", {}),
    ("initializer", ["he_normal", "lecun_normal"], {}),
    ("initializer", ["auto", "auto", "zeros"], {}),
    ("bias_initializer", "ones", {}),
    ("bias_initializer", ["zeros", "auto"], {"hidden_layer_sizes": (5, 4)}),
    ("batch_norm", "before", {}),
    ("batch_norm", "after", {}),
    ("batch_norm", [None, "before"], {"hidden_layer_sizes": (5, 4)}),
    ("batch_norm_input", True, {}),
    ("frozen_layers", 1, {}),
    ("weight_averaging", "ema", {}),
    ("batch_norm_momentum", 0.5, {"batch_norm": "after"}),
    ("batch_norm_epsilon", 0.1, {"batch_norm": "after"}),
    ("dropout", 0.3, {}),
    ("dropout", [0.0, 0.3], {}),
    ("input_dropout", 0.2, {}),
    ("input_noise", 0.1, {}),
    ("pre_activation_noise", 0.1, {}),
    ("pre_activation_noise", [0.1, 0.0], {}),
    ("activation_noise", 0.1, {}),
    ("activation_noise", [0.0, 0.1], {}),
    ("weight_noise", 0.1, {}),
    ("weight_noise", [0.0, 0.1], {}),
    ("gradient_noise", 0.1, {}),
    ("alpha", 1.0, {}),
    ("l1_ratio", 0.5, {"alpha": 0.1}),
    ("kernel_regularizer", "l2", {}),
    ("kernel_regularizer", [None, None, "l1"], {}),
    ("kernel_regularizer", L1(0.1), {}),
    ("kernel_regularizer", "l2", {"hidden_layer_sizes": ()}),
    ("bias_regularizer", "l1", {}),
    ("bias_regularizer", [None, None, "l1"], {}),
    ("bias_regularizer", "l1", {"hidden_layer_sizes": ()}),
    ("activity_regularizer", "l1_l2", {}),
    ("activity_regularizer", [None, None, "l2"], {}),
    ("kernel_constraint", "unit_norm", {}),
    ("kernel_constraint", "non_neg", {}),
    ("kernel_constraint", [None, "max_norm", "unit_norm"], {"kernel_constraint": "max_norm"}),
    ("bias_constraint", "non_neg", {}),
    ("solver", "sgd", {}),
    ("solver", "adamw", {"weight_decay": 0.1, "solver": "sgd"}),
    ("solver", "nadam", {}),
    ("solver", "adamax", {}),
    ("solver", "amsgrad", {"learning_rate_init": 0.05}),
    ("solver", "adagrad", {}),
    ("solver", "adadelta", {}),
    ("solver", "rmsprop", {}),
    ("solver", "lion", {}),
    ("solver", "lbfgs", {}),
    ("solver", Adam(beta_1=0.5), {}),
    ("solver__momentum", 0.1, {"solver": SGD()}),
    ("learning_rate", "invscaling", {"solver": "sgd"}),
    ("learning_rate", "adaptive", {"tol": 1.0, "n_iter_no_change": 2}),
    ("learning_rate", "step", {}),
    ("learning_rate", "exponential", {}),
    ("learning_rate", "inverse_time", {}),
    ("learning_rate", "linear", {}),
    ("learning_rate", "polynomial", {}),
    ("learning_rate", "cosine", {}),
    ("learning_rate", "cosine_restarts", {}),
    ("learning_rate", "one_cycle", {}),
    ("learning_rate", "warmup_cosine", {}),
    ("learning_rate", Warmup("cosine", epochs=2), {}),
    ("learning_rate", Piecewise([2], [1.0, 0.1]), {}),
    ("learning_rate_init", 0.01, {}),
    ("learning_rate_multipliers", 0.1, {}),
    ("learning_rate_multipliers", [1.0, 1.0, 0.1], {}),
    ("power_t", 0.9, {"learning_rate": "invscaling", "solver": "sgd"}),
    ("momentum", 0.5, SGD_SETTINGS),
    ("nesterovs_momentum", False, SGD_SETTINGS),
    ("beta_1", 0.5, {}),
    ("beta_2", 0.9, {}),
    ("rho", 0.5, {"solver": "rmsprop"}),
    ("epsilon", 0.1, {}),
    ("weight_decay", 0.5, {}),
    ("weight_decay", 0.5, {"solver": "adamw"}),
    ("weight_decay", 0.5, {"solver": SGD()}),
    ("clip_norm", 0.01, SGD_SETTINGS),
    ("clip_value", 0.001, SGD_SETTINGS),
    ("clip_parameter_norm", 0.001, SGD_SETTINGS),
    ("batch_size", 17, {}),
    ("max_iter", 5, {}),
    ("max_fun", 3, {"solver": "lbfgs"}),
    ("shuffle", False, {"batch_size": 20}),
    ("augment", "mixup", {}),
    ("augment", ["swap_columns", Mixup(0.5)], {}),
    ("augment__alpha", 0.5, {"augment": Mixup()}),
    ("tol", 10.0, {}),
    ("n_iter_no_change", 2, {"tol": 10.0}),
    ("early_stopping", True, {}),
    ("validation_fraction", 0.4, EARLY),
    ("scoring", never_better, {**EARLY, "learning_rate_init": 0.02}),
    ("dtype", "float32", {}),
    ("callbacks", [StopEarly()], {}),
    ("random_state", 1, {}),
]
CLASSIFIER = [
    ("loss", "squared_error", {}),
    ("loss", "hinge", {}),
    ("loss", "squared_hinge", {}),
    ("loss", "focal", {}),
    ("loss__gamma", 0.5, {"loss": FocalLoss()}),
    ("class_weight", {0: 5.0}, {}),
    ("label_smoothing", 0.1, {}),
    ("target_noise", 0.2, {}),
]
REGRESSOR = [
    ("loss", "absolute_error", {}),
    ("loss_weights", [0.5], {}),
    ("loss", "huber", {}),
    ("loss", "log_cosh", {}),
    ("loss", "poisson", {}),
    ("loss", "gamma", {}),
    ("loss", QuantileLoss(0.9), {}),
    ("output_activation", "softplus", {}),
    ("output_activation", "exponential", {}),
    ("standardize_y", True, {}),
    ("target_noise", 0.5, {}),
]
# What does not change what is learned, and is tested by its own rules.
ELSEWHERE = {"warm_start", "pretrained", "n_reused_layers", "verbose"}
ELSEWHERE |= {"missing_targets", "soft_targets", "metrics"}

ROWS = [(MLPClassifier, *row) for row in BOTH + CLASSIFIER] + [
    (MLPRegressor, *row) for row in BOTH + REGRESSOR
]


BASELINES = {}


def data(Estimator):
    if Estimator is MLPClassifier:
        X, y = load_iris(return_X_y=True)
        return scale(X), y
    X, y = load_diabetes(return_X_y=True)
    return scale(X[:200]), y[:200] / 100


def baseline(Estimator, beside):
    """Return what is learned without the other value; most rows have the same one."""
    key = Estimator, repr(beside)
    if key not in BASELINES:
        BASELINES[key] = learned(Estimator, **beside)
    return BASELINES[key]


def learned(Estimator, **settings):
    X, y = data(Estimator)
    common = {"hidden_layer_sizes": (10, 6), "max_iter": 15, "random_state": 0}
    settings = clone({**common, **settings}, safe=False)  # rows share their instances
    model = Estimator(**{k: v for k, v in settings.items() if "__" not in k})
    model.set_params(**{k: v for k, v in settings.items() if "__" in k})
    model.fit(X, y)
    return np.concatenate([model.network_.parameters.values, [model.n_iter_]])


@pytest.mark.filterwarnings("ignore:solver='lbfgs'")
@pytest.mark.parametrize(
    ("Estimator", "name", "value", "beside"), ROWS, ids=lambda v: getattr(v, "__name__", None)
)
def test_changes_the_model(Estimator, name, value, beside):
    one, other = baseline(Estimator, beside), learned(Estimator, **{**beside, name: value})
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_no_parameter_is_left_out(Estimator):
    names = {row[1].split("__")[0] for row in ROWS if row[0] is Estimator}
    parameters = set(inspect.signature(Estimator).parameters)
    assert names == parameters - ELSEWHERE


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("name", "value", "solver"),
    [
        ("momentum", 0.5, "adam"),
        ("beta_1", 0.5, "sgd"),
        ("rho", 0.5, "adam"),
        ("epsilon", 0.1, "sgd"),
        ("power_t", 0.9, "adam"),
        ("max_fun", 3, "adam"),
    ],
)
def test_another_solvers_constants_are_ignored_quietly(Estimator, name, value, solver):
    one, other = (
        baseline(Estimator, {"solver": solver}),
        learned(Estimator, solver=solver, **{name: value}),
    )
    np.testing.assert_array_equal(one, other)


def test_adamw_without_decay_is_adam():
    np.testing.assert_array_equal(
        learned(MLPClassifier, solver="adamw"), learned(MLPClassifier, solver="adam")
    )


def test_verbose_prints_and_changes_nothing(capsys):
    quiet = learned(MLPClassifier)
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(learned(MLPClassifier, verbose=True), quiet)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15
    assert lines[0].startswith("Iteration  1, loss = ")
