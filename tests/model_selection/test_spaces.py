"""Default spaces: what is searched, what is left out, and that every candidate can be trained."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest
from scipy import sparse as sp
from scipy.stats import loguniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier as OtherMLP
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import skdeep
from skdeep import (
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    TabularClassifier,
    TabularRegressor,
)
from skdeep._component import InvalidParameterError
from skdeep.activations import LeakyReLU
from skdeep.building.options import OPTIONS
from skdeep.layers import Dense, Periodic
from skdeep.model_selection import (
    Choice,
    Conditional,
    LayerSizes,
    OneMinusLogUniform,
    param_distributions,
    sample_candidates,
)
from skdeep.model_selection.ranges import (
    EFFORTS,
    ESTIMATORS,
    NETWORKS,
    OWN,
    RANGES,
    STOCHASTIC,
    TABLES,
)
from skdeep.model_selection.spaces import _widened
from skdeep.optimizers import OPTIMIZERS, SGD, AdamW, Lion, Optimizer
from skdeep.schedules import Cosine, OneCycle, Scheduled
from skdeep.tasks import Classification, Regression
from tools import spaces as tool

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Plain(Optimizer):
    def update(self, w, g, lr, work):
        w -= lr * g


class OwnSGD(SGD):
    pass


class Short(MLPClassifier):
    """A subclass with fewer parameters."""

    def __init__(self, alpha=0.01):
        super().__init__(alpha=alpha)


def new(name, **parameters):
    if name == "MultiTaskMLP":
        parameters["tasks"] = {"kind": Classification(), "size": Regression()}
    return getattr(skdeep, name)(**parameters)


def sampled(estimator, effort, n, seed=0):
    space = param_distributions(estimator, effort)
    return sample_candidates(space, n, random_state=seed, defaults=estimator.get_params())


# The table --------------------------------------------------------------------------------------


def holds(drawn, value):
    """Whether a distribution can draw a value."""
    return _widened(drawn, value) is drawn or ends(_widened(drawn, value)) == ends(drawn)


def ends(drawn):
    return drawn.args if hasattr(drawn, "args") else drawn


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_defaults_are_in_the_ranges(name):
    """So the search can do no worse than the estimator as it comes, given enough candidates."""
    defaults = inspect.signature(getattr(skdeep, name)).parameters
    for row in RANGES:
        if name in row.estimators and "adam" in (row.solvers or ["adam"]):
            default = defaults[row.name].default
            assert row.name == "weight_decay" or holds(row.distribution, default), row


def test_rows_name_parameters_and_give_reasons():
    for row in RANGES:
        assert row.effort in EFFORTS
        assert row.reason.endswith(".")
        for name in row.estimators:
            assert row.name in inspect.signature(getattr(skdeep, name)).parameters
    by_solver = [row.solvers for row in RANGES if row.name == "learning_rate_init" and row.solvers]
    assert sorted(sum(by_solver, ())) == sorted(STOCHASTIC)
    assert set(STOCHASTIC) == {*OPTIMIZERS, OWN}


def test_lbfgs_has_only_what_it_can_honour():
    searched = param_distributions(MLPClassifier(solver="lbfgs"), "full")
    assert list(searched) == ["hidden_layer_sizes", "alpha", "activation", "label_smoothing"]
    assert not any(OPTIONS[name].not_for_lbfgs for name in searched)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_higher_effort_searches_more(name):
    spaces = [param_distributions(new(name), effort) for effort in EFFORTS]
    quick, standard, full = map(set, spaces)
    assert quick < standard < full
    assert len(quick) in (2, 3)
    assert len(standard) <= 8
    for space in spaces:
        assert next(iter(space)) == "learning_rate_init"
        assert set(space) <= set(new(name).get_params())


def test_the_default_effort_is_standard():
    assert list(param_distributions(MLPClassifier())) == list(
        param_distributions(MLPClassifier(), "standard")
    )


def test_the_page_has_the_table():
    assert tool.main(["--check"]) == 0, "run python -m tools.spaces"


def test_the_tool_writes_the_table(tmp_path, capsys):
    page = tmp_path / tool.PAGE
    page.parent.mkdir()
    text = (tool.ROOT / tool.PAGE).read_text(encoding="utf-8")
    page.write_text(text.replace("0.0005 to 0.03", "1 to 2"), encoding="utf-8")
    assert tool.main(["--check"], tmp_path) == 1
    assert tool.main([], tmp_path) == 0
    assert page.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out.count(tool.PAGE) == 2
    with pytest.raises(ValueError, match="0 blocks of ranges: networks"):
        tool.with_tables("")


# The path to the network ------------------------------------------------------------------------

SEARCHED_PATHS = [
    (MLPClassifier(), ""),
    (make_pipeline(StandardScaler(), MLPClassifier()), "mlpclassifier__"),
    (Pipeline([("all", Pipeline([("net", MLPRegressor())]))]), "all__net__"),
    (TransformedTargetRegressor(MLPRegressor()), "regressor__"),
    (
        TransformedTargetRegressor(make_pipeline(StandardScaler(), TabularRegressor())),
        "regressor__tabularregressor__",
    ),
    (MultiOutputRegressor(MLPRegressor()), "estimator__"),
    (BaggingClassifier(MLPClassifier()), "estimator__"),
    (CalibratedClassifierCV(Pipeline([("mlp", MLPClassifier())])), "estimator__mlp__"),
    (make_pipeline(MLPAutoencoder(), LogisticRegression()), "mlpautoencoder__"),
    (VotingClassifier([("a", LogisticRegression()), ("b", TabularClassifier())]), "b__"),
    (GridSearchCV(MLPClassifier(), {}), "estimator__"),
    (
        make_pipeline(ColumnTransformer([("code", MLPAutoencoder(), [0, 1])]), OtherMLP()),
        "columntransformer__code__",
    ),
    # The networks that another one starts from, and frozen ones, are not trained.
    (
        make_pipeline(MLPClassifier(pretrained=FrozenEstimator(MLPClassifier()))),
        "mlpclassifier__",
    ),
    (make_pipeline(FrozenEstimator(MLPAutoencoder()), MLPClassifier()), "mlpclassifier__"),
]


@pytest.mark.parametrize(("estimator", "start"), SEARCHED_PATHS, ids=lambda v: type(v).__name__)
def test_the_network_is_found(estimator, start):
    space = param_distributions(estimator, "full")
    assert next(iter(space)) == f"{start}learning_rate_init"
    assert set(space) <= set(estimator.get_params())
    for candidate in sample_candidates(space, 3, random_state=0, defaults=estimator.get_params()):
        copy.deepcopy(estimator).set_params(**candidate)


def test_one_of_several_networks():
    both = Pipeline([("code", MLPAutoencoder()), ("mlp", MLPClassifier(solver="sgd"))])
    with pytest.raises(InvalidParameterError, match=r"several networks: \['code', 'mlp'\].*prefix"):
        param_distributions(both)
    space = param_distributions(both, prefix="mlp") | param_distributions(both, prefix="code")
    assert {"mlp__momentum", "code__alpha"} <= set(space)
    assert "code__momentum" not in space
    with pytest.raises(InvalidParameterError, match="prefix='mpl' is unknown; did you mean 'mlp'"):
        param_distributions(both, prefix="mpl")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LogisticRegression(),), "no network of skdeep"),
        ((OtherMLP(),), "scikit-learn, have other parameters"),
        ((make_pipeline(StandardScaler(), OtherMLP()),), "no network of skdeep"),
        ((FrozenEstimator(MLPClassifier()),), "FrozenEstimator is not trained"),
        ((MLPClassifier,), "give an estimator"),
        (("mlp",), "give an estimator"),
        ((None,), "give an estimator"),
        (([MLPClassifier()],), "give an estimator"),
        ((Pipeline,), "give an estimator"),
        ((MLPClassifier(), "Quick"), "effort='Quick' is unknown; did you mean 'quick'"),
        ((MLPClassifier(), 3), "effort=3 is not allowed"),
        ((MLPClassifier(), None), "effort=None is not allowed"),
        ((MLPClassifier(), ["quick"]), "effort=.*is not allowed"),
        ((MLPClassifier(solver="adamm"),), "solver='adamm' is unknown; did you mean 'adam'"),
        ((MLPClassifier(solver=3),), "solver=3 is not allowed"),
        ((MLPClassifier(solver=SGD),), "give an instance"),
        ((MLPClassifier(hidden_layer_sizes="wide"),), "hidden_layer_sizes='wide'"),
        ((TabularClassifier(hidden_layer_sizes=None),), "hidden_layer_sizes=None"),
        ((TabularClassifier(dropout=np.array([0.1, 0.2])),), "dropout=array"),
        ((MLPClassifier(learning_rate_init=math.nan),), "learning_rate_init=nan"),
        ((make_pipeline(MLPRegressor(batch_size=np.array([3, 4]))),), "batch_size=array"),
        ((MLPClassifier(solver=Plain(), learning_rate_init=None),), "learning_rate_init=None"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(InvalidParameterError, match=message):
        param_distributions(*arguments)


@pytest.mark.parametrize("prefix", ["mlp", 3, "", "mlp__"])
def test_a_prefix_that_is_not_there(prefix):
    pipeline = make_pipeline(MLPClassifier())
    with pytest.raises(InvalidParameterError, match=r"prefix=.*mlpclassifier"):
        param_distributions(pipeline, prefix=prefix)


# What is left out, and what depends on the estimator ----------------------------------------------

FULL = set(param_distributions(MLPClassifier(), "full"))
OF_HIDDEN = {"hidden_layer_sizes", "activation", "batch_norm", "dropout"}


@pytest.mark.parametrize(
    ("parameters", "left_out", "added"),
    [
        ({}, set(), set()),
        ({"layers": [Dense(3)]}, OF_HIDDEN, set()),
        ({"hidden_layer_sizes": ()}, OF_HIDDEN, set()),
        (
            {"pretrained": FrozenEstimator(MLPClassifier())},
            {"hidden_layer_sizes", "activation", "batch_norm"},
            set(),
        ),
        ({"early_stopping": True}, {"learning_rate"}, set()),
        ({"loss": "hinge"}, {"label_smoothing"}, set()),
        ({"soft_targets": True}, {"label_smoothing"}, set()),
        ({"activation": LeakyReLU()}, {"activation"}, set()),
        ({"activation": ["tanh"]}, {"activation"}, set()),
        ({"dropout": (0.2,)}, {"dropout"}, set()),
        ({"dropout": Scheduled(0.2, Cosine())}, {"dropout"}, {"dropout__value"}),
        ({"weight_decay": Scheduled(0.2, Cosine())}, {"weight_decay"}, {"weight_decay__value"}),
        ({"learning_rate": OneCycle()}, {"learning_rate"}, set()),
        ({"solver": "sgd"}, {"beta_2"}, {"momentum"}),
        ({"solver": "nadam"}, set(), set()),
        ({"solver": "rmsprop"}, {"beta_2"}, {"rho"}),
        ({"solver": "lion"}, {"beta_2"}, set()),
        ({"solver": SGD()}, {"beta_2"}, {"solver__momentum"}),
        ({"solver": OwnSGD()}, {"beta_2"}, {"solver__momentum"}),
        (
            {"solver": AdamW()},
            {"beta_2", "weight_decay"},
            {"solver__beta_2", "solver__weight_decay"},
        ),
        ({"solver": Plain()}, {"beta_2"}, set()),
    ],
    ids=lambda names: str(sorted(names) if isinstance(names, set) else names),
)
def test_what_is_left_out(parameters, left_out, added):
    estimator = MLPClassifier(**parameters)
    space = param_distributions(estimator, "full")
    assert set(space) == FULL - left_out | added
    assert set(space) <= set(estimator.get_params())


def test_a_subclass_with_fewer_parameters():
    assert list(param_distributions(Short(), "full")) == ["alpha"]


def test_parts_of_tables_are_left_out():
    estimator = TabularClassifier(
        numeric_embedding=Periodic(), activation=LeakyReLU(), dropout=Scheduled(0.3, Cosine())
    )
    space = param_distributions(estimator)
    assert not {"numeric_embedding", "activation", "dropout"} & set(space)
    assert "dropout__value" in space


RATE, SIZES = "learning_rate_init", "hidden_layer_sizes"
DROPOUT = Choice((0.0, 0.1, 0.2, 0.3), (3, 2, 1, 1))


@pytest.mark.parametrize(
    ("parameters", "key", "expected"),
    [
        ({}, RATE, (5e-4, 0.03)),
        ({RATE: 0.2}, RATE, (5e-4, 0.2)),
        ({RATE: np.float32(0.25)}, RATE, (5e-4, 0.25)),
        ({"solver": "sgd"}, RATE, (3e-3, 0.03)),
        ({"solver": OwnSGD()}, RATE, (3e-3, 0.03)),
        ({"solver": Lion()}, RATE, (1e-4, 5e-3)),
        ({"solver": "adadelta"}, RATE, (0.5, 20.0)),
        ({"solver": Plain(), RATE: 1.0}, RATE, (0.1, 10.0)),
        ({"alpha": 0}, "alpha", (1e-5, 0.3)),
        ({"momentum": 0, "solver": "sgd"}, "momentum", OneMinusLogUniform(0, 0.95)),
        ({"momentum": 1, "solver": "sgd"}, "momentum", OneMinusLogUniform(0.85, 0.95)),
        ({"batch_size": np.int64(64)}, "batch_size", Choice((32, 64, "auto"))),
        ({"batch_size": 1000}, "batch_size", Choice((32, 64, "auto", 1000))),
        (
            {"momentum": 0.99, "solver": "sgd"},
            "momentum",
            OneMinusLogUniform(0.85, 0.99),
        ),
        (
            {"solver": SGD(momentum=0.5)},
            "solver__momentum",
            OneMinusLogUniform(0.5, 0.95),
        ),
        ({"momentum": 0.99, "solver": SGD()}, "solver__momentum", OneMinusLogUniform(0.85, 0.95)),
        ({SIZES: 1000}, SIZES, LayerSizes((32, 1000), (1, 3))),
        ({SIZES: np.array([9, 8, 7, 6])}, SIZES, LayerSizes((6, 256), (1, 4))),
        ({SIZES: (50, 50), "dropout": [0.1, 0.2]}, SIZES, LayerSizes((32, 256), 2)),
        ({SIZES: (50, 50), "frozen_layers": 1}, SIZES, LayerSizes((32, 256), 2)),
        ({SIZES: (50, 50), "frozen_layers": [0]}, SIZES, LayerSizes((32, 256), 2)),
        ({SIZES: (50, 50), "frozen_layers": []}, SIZES, LayerSizes((32, 256))),
        ({"learning_rate_multipliers": [0.1, 1]}, SIZES, LayerSizes((32, 256), 1)),
        ({"activation": "tanh"}, "activation", Choice(("relu", "mish", "tanh"))),
        ({"activation": "elu"}, "activation", Choice(("relu", "mish", "tanh", "elu"))),
        (
            {"dropout": 0.8},
            "dropout",
            Conditional(
                Choice((0.0, 0.1, 0.2, 0.3, 0.8), (3, 2, 1, 1, 1.75)), "batch_norm", (None,)
            ),
        ),
        ({}, "dropout", Conditional(DROPOUT, "batch_norm", (None,))),
        ({"batch_norm": "after"}, "dropout", Conditional(DROPOUT, "batch_norm", (None,))),
        ({"batch_norm": ["after"]}, "dropout", DROPOUT),
    ],
    ids=str,
)
def test_ranges_depend_on_the_estimator(parameters, key, expected):
    drawn = param_distributions(MLPClassifier(**parameters), "full")[key]
    assert ends(drawn) == pytest.approx(expected) if hasattr(drawn, "args") else drawn == expected


# Candidates -------------------------------------------------------------------------------------


def test_candidates_are_determined_by_the_seed():
    pipeline = make_pipeline(MLPClassifier())
    assert sampled(pipeline, "full", 20) == sampled(pipeline, "full", 20)
    assert sampled(pipeline, "full", 20) != sampled(pipeline, "full", 20, seed=1)


def test_a_space_belongs_to_its_user():
    space = param_distributions(MLPClassifier())
    space["alpha"].random_state = 0
    del space["dropout"]
    assert param_distributions(MLPClassifier())["alpha"] is not space["alpha"]
    assert "dropout" in param_distributions(MLPClassifier())


def test_a_space_survives_pickle():
    space = pickle.loads(pickle.dumps(param_distributions(MLPClassifier(), "full")))
    assert len(sample_candidates(space, 3, random_state=0)) == 3


def test_the_estimator_is_not_changed():
    estimator = MLPClassifier(activation=LeakyReLU(), solver=SGD())
    before = repr(estimator.get_params())
    param_distributions(estimator, "full")
    assert repr(estimator.get_params()) == before


def data(name):
    if name in ("MLPRegressor", "TabularRegressor"):
        X, y = load_diabetes(return_X_y=True)
        return scale(X)[:130], scale(y)[:130]
    X, y = load_digits(return_X_y=True)
    X, y = X[:130] / 16, y[:130]
    if name == "MLPAutoencoder":
        return X, None
    return X, {"kind": y, "size": scale(y)} if name == "MultiTaskMLP" else y


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_candidate_can_be_trained(name, effort):
    X, y = data(name)
    for solver in ("adam", "sgd", "lbfgs"):
        estimator = new(name, solver=solver, max_iter=2, random_state=0)
        for candidate in sampled(estimator, effort, 8 if solver == "adam" else 3):
            model = copy.deepcopy(estimator).set_params(**candidate).fit(X, y)
            assert np.isfinite(model.loss_), candidate


@pytest.mark.parametrize("solver", [s for s in STOCHASTIC if s in OPTIMIZERS])
def test_the_highest_rates_do_not_diverge(solver):
    X, y = data("MLPRegressor")
    estimator = MLPRegressor((256, 256), solver=solver, max_iter=5, batch_size=32)
    estimator.set_params(random_state=0, momentum=0.95)
    highest = param_distributions(estimator)[RATE].args[1]
    assert np.isfinite(estimator.set_params(learning_rate_init=highest).fit(X, y).loss_)


@pytest.mark.parametrize("name", TABLES)
def test_every_candidate_for_tables_can_be_trained(name):
    X, y = data(name)
    estimator = new(name, max_iter=1, n_members=1, random_state=0)
    for candidate in sampled(estimator, "full", 6):
        model = copy.deepcopy(estimator).set_params(**candidate).fit(X[:100], y[:100])
        assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize(
    "change",
    [
        {"class_weight": "balanced", "augment": "mixup"},
        {"bias_initializer": "zeros", "kernel_constraint": "max_norm"},
        {"hidden_layer_sizes": (8, 4), "dropout": [0.1, 0.2], "frozen_layers": 1},
        {"hidden_layer_sizes": (), "input_noise": 0.1},
        {"layers": [Dense(4, "tanh")]},
        {"solver": OwnSGD(), "weight_decay": Scheduled(0.1, Cosine())},
        {"early_stopping": True, "dtype": "float32"},
        {"loss": "hinge"},
    ],
    ids=str,
)
def test_candidates_of_an_unusual_estimator(change):
    X, y = load_iris(return_X_y=True)
    X, y = np.vstack([X, X]), np.hstack([y, y])
    estimator = MLPClassifier(max_iter=1, random_state=0, **change)
    for candidate in sampled(estimator, "full", 8):
        model = copy.deepcopy(estimator).set_params(**candidate)
        model.fit(scale(X), y)
        assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("y", [np.arange(300) % 2, np.arange(900).reshape(300, 3) % 7 < 3])
def test_candidates_with_sparse_rows(y):
    X = sp.random(300, 8, 0.3, format="csr", random_state=0)
    for candidate in sampled(MLPClassifier(), "full", 6):
        MLPClassifier(max_iter=1, random_state=0).set_params(**candidate).fit(X, y)


def test_candidates_of_a_network_that_is_transferred():
    X, y = data("MLPClassifier")
    first = MLPClassifier((20, 10), max_iter=1).fit(X, y)
    estimator = MLPClassifier(pretrained=FrozenEstimator(first), frozen_layers=1, max_iter=1)
    for candidate in sampled(estimator, "full", 6):
        copy.deepcopy(estimator).set_params(**candidate).fit(X, y)


def test_the_searches_of_scikit_learn_take_it():
    X, y = data("MLPClassifier")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=2, random_state=0))
    space = param_distributions(pipeline, "full")
    search = RandomizedSearchCV(pipeline, space, n_iter=3, cv=2, random_state=0)
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()
    assert isinstance(loguniform(1, 2), type(space["mlpclassifier__alpha"]))
