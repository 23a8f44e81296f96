"""Parameters of parts that are given by name."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.building.by_name import _FAMILIES
from skdeep.building.options import OPTIONS
from skdeep.optimizers import SGD, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
X = scale(X)
QUICK = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
# name of the part, parameter, value, the part that results
CASES = [
    ("solver", "sgd", "momentum", 0.5, "SGD(momentum=0.5)"),
    ("solver", "adam", "bias_correction", False, "Adam(bias_correction=False)"),
    ("learning_rate", "step", "factor", 0.3, "Step(factor=0.3)"),
    ("learning_rate", "warmup_cosine", "end", 0.1, "WarmupCosine(end=0.1)"),
    ("activation", "leaky_relu", "negative_slope", 0.2, "LeakyReLU(negative_slope=0.2)"),
    ("initializer", "normal", "std", 0.2, "Normal(std=0.2)"),
    ("initializer", "he_normal", "scale", 3.0, "VarianceScaling(scale=3.0)"),
    ("bias_initializer", "constant", "value", 0.2, "Constant(value=0.2)"),
    ("kernel_regularizer", "l2", "l2", 0.2, "L2(l2=0.2)"),
    ("bias_regularizer", "l1", "l1", 0.2, "L1(l1=0.2)"),
    ("activity_regularizer", "l1_l2", "l1", 0.2, "L1L2(l1=0.2)"),
    ("kernel_constraint", "max_norm", "max_value", 1.5, "MaxNorm(max_value=1.5)"),
    ("bias_constraint", "max_norm", "max_value", 1.5, "MaxNorm(max_value=1.5)"),
    ("weight_averaging", "ema", "decay", 0.5, "EMA(decay=0.5)"),
    ("augment", "mixup", "alpha", 0.5, "Mixup(alpha=0.5)"),
    ("loss", "focal", "gamma", 1.0, "FocalLoss(gamma=1.0)"),
]


def make(option, **params):
    Estimator = MLPRegressor if option == "output_activation" else MLPClassifier
    return Estimator(**QUICK, **params)


@pytest.mark.parametrize("together", [True, False], ids=["in one call", "one after the other"])
@pytest.mark.parametrize(("option", "name", "inner", "value", "expected"), CASES)
def test_a_name_becomes_its_instance(option, name, inner, value, expected, together):
    if together:
        model = make(option).set_params(**{f"{option}__{inner}": value, option: name})
    else:
        model = make(option, **{option: name})
        assert getattr(model, option) == name
        assert model.set_params(**{f"{option}__{inner}": value}) is model
    part = getattr(model, option)
    if name != "he_normal":
        assert repr(part) == expected
    assert getattr(part, inner) == value
    assert model.get_params()[f"{option}__{inner}"] == value
    for twin in (clone(model), pickle.loads(pickle.dumps(model))):
        assert repr(getattr(twin, option)) == repr(part)
    model.fit(X, y)


def test_every_family_has_a_case():
    assert {case[0] for case in CASES} == _FAMILIES.keys() <= OPTIONS.keys()


def test_the_other_hyperparameters_are_the_constants_of_the_instance():
    model = MLPClassifier(solver="sgd", momentum=0.5, nesterovs_momentum=False)
    model.set_params(solver__dampening=0.2)
    assert model.solver.get_params() == {
        "momentum": 0.5,
        "nesterovs_momentum": False,
        "dampening": 0.2,
    }
    model = MLPClassifier(beta_1=0.8).set_params(beta_2=0.9, solver__epsilon=1e-3)
    assert model.solver.get_params(False).items() >= {"beta_1": 0.8, "beta_2": 0.9}.items()
    assert model.solver.epsilon == 1e-3
    assert MLPClassifier(solver="adamw").set_params(solver__beta_1=0.5).solver.weight_decay == 0
    power = MLPClassifier(solver="sgd", learning_rate="invscaling").set_params(
        learning_rate__power_t=0.3
    )
    assert power.learning_rate.power_t == 0.3


def test_the_instance_trains_as_the_name_does():
    options = {**QUICK, "solver": "adamw", "weight_decay": 0.1, "learning_rate": "step"}
    named = MLPClassifier(**options, beta_1=0.8)
    with_instance = MLPClassifier(**options).set_params(solver__beta_1=0.8, learning_rate__every=10)
    for one, other in zip(named.fit(X, y).coefs_, with_instance.fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_parameters_and_instances():
    model = MLPClassifier(solver="sgd").set_params(
        solver__momentum=0.5, solver__nesterovs_momentum=False, solver__dampening=0.5
    )
    assert repr(model.solver) == "SGD(dampening=0.5, momentum=0.5, nesterovs_momentum=False)"
    model.set_params(solver=Adam(), solver__beta_1=0.5)
    assert repr(model.solver) == "Adam(beta_1=0.5)"


@pytest.mark.parametrize(
    ("Estimator", "options"),
    [
        (MLPRegressor, {"loss": "huber", "loss__delta": 0.5}),
        (MLPRegressor, {"loss": "quantile", "loss__quantile": 0.9}),
        (MLPAutoencoder, {"loss": "huber", "loss__delta": 0.5}),
        (MLPAutoencoder, {"solver": "rmsprop", "solver__epsilon_inside": True}),
    ],
)
def test_other_estimators(Estimator, options):
    Estimator(**QUICK).set_params(**options).fit(X, X[:, 0])


def test_searches():
    grid = {"learning_rate": ["step", "exponential"], "solver__beta_1": [0.5, 0.9]}
    search = GridSearchCV(MLPClassifier(**QUICK), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.solver.beta_1 == search.best_params_["solver__beta_1"]
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(solver="sgd", **QUICK))
    search = RandomizedSearchCV(
        pipeline,
        {"mlpclassifier__solver__momentum": [0.1, 0.5], "mlpclassifier__alpha": [0.1]},
        cv=2,
        n_iter=2,
        n_jobs=2,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert isinstance(search.best_estimator_[-1].solver, SGD)
    assert pipeline[-1].solver == "sgd"


@pytest.mark.parametrize(
    ("before", "params", "message"),
    [
        (
            {"solver": "sgd"},
            {"solver__rho": 0.5},
            r"solver='sgd' has no parameter 'rho'; choose",
        ),
        ({"solver": "lbfgs"}, {"solver__rho": 0.5}, r"solver='lbfgs' has no parameter 'rho'; set "),
        ({"solver": "sgdd"}, {"solver__rho": 0.5}, r"solver='sgdd' is unknown; did you mean 'sgd'"),
        ({}, {"initializer__std": 0.5}, r"initializer='auto' has no parameter 'std'; set init"),
        ({}, {"activation__x": 0.5}, r"activation='relu' has no parameter 'x', and no others"),
        (
            {},
            {"kernel_regularizer__l2": 0.5},
            r"kernel_regularizer=None .*a name of .*'l1_l2",
        ),
        (
            {"activation": ["relu"]},
            {"activation__x": 1},
            r"activation__x can't be set while",
        ),
        ({"augment": ["mixup"]}, {"augment__alpha": 1}, "augment__alpha can't be set"),
        ({}, {"dropout__value": 0.5}, r"dropout=0.0 has no parameter 'value'; .* an instance that"),
        ({}, {"alpha__x": 0.5}, r"alpha=3.0 has no parameter 'x'"),
    ],
)
def test_parameters_that_are_not_there(before, params, message):
    model = MLPClassifier(**before)
    expected = repr(model.get_params())
    with pytest.raises(InvalidParameterError, match=message):
        model.set_params(alpha=3.0, **params)
    assert repr(model.get_params()) == expected


@pytest.mark.parametrize("params", [{"unknown": 1}, {"unknown__x": 1}, {"solver__x": 1}])
def test_other_unknown_parameters_are_scikit_learns_error(params):
    with pytest.raises(ValueError, match="Invalid parameter"):
        MLPClassifier(solver=Adam()).set_params(**params)


def test_a_subclass_with_fewer_parameters():
    class Small(MLPClassifier):
        def __init__(self, alpha=0.1, solver="sgd"):
            super().__init__(alpha=alpha, solver=solver, max_iter=3)

    model = Small().set_params(solver__momentum=0.5)
    assert model.solver.momentum == 0.5
    clone(model).fit(X, y)
