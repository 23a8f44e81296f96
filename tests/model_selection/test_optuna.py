"""Spaces of parameters in Optuna: converted for OptunaSearchCV, and suggested one by one."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.model_selection import (
    Choice,
    Conditional,
    Distribution,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
    suggest,
    to_optuna,
)
from skdeep.optimizers import Adam

optuna = pytest.importorskip("optuna")
sklearn_search = pytest.importorskip("optuna_integration.sklearn")
FloatDistribution = optuna.distributions.FloatDistribution
IntDistribution = optuna.distributions.IntDistribution
CategoricalDistribution = optuna.distributions.CategoricalDistribution

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    # OptunaSearchCV uses it
    pytest.mark.filterwarnings("ignore:`optuna.terminator` module:FutureWarning"),
]

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0] > 0
OPTIONS = {"hidden_layer_sizes": (4,), "max_iter": 3, "batch_size": 20, "random_state": 0}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


# Conversion -------------------------------------------------------------------------------------

OPTUNAS = FloatDistribution(1, 2)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LogIntUniform(3, 9), IntDistribution(3, 9, log=True)),
        (LayerSizes((3, 9), 1), IntDistribution(3, 9, log=True)),
        (LayerSizes(8, (0, 2)), CategoricalDistribution(["()", "(8,)", "(8, 8)"])),
        (Choice(["a", None, 2], [1, 2, 0]), CategoricalDistribution(["a", None])),
        (["a", "b", "a"], CategoricalDistribution(["a", "b"])),
        (np.array([0.5, 1.5]), CategoricalDistribution([0.5, 1.5])),
        ([np.float32(0.5), np.int64(3)], CategoricalDistribution([0.5, 3])),
        (stats.uniform(2, 3), FloatDistribution(2, 5)),
        (stats.uniform(), FloatDistribution(0, 1)),
        (stats.loguniform(1e-3, 10), FloatDistribution(1e-3, 10, log=True)),
        (stats.reciprocal(1, 2, scale=2), FloatDistribution(2, 4, log=True)),
        (stats.randint(2, 5), IntDistribution(2, 4)),
        (stats.randint(2, 5, loc=1), IntDistribution(3, 5)),
        (Conditional(stats.uniform()), FloatDistribution(0, 1)),
        (Conditional(Conditional([1, 2])), CategoricalDistribution([1, 2])),
        (OPTUNAS, OPTUNAS),
    ],
    ids=lambda value: re.sub(r"<.*?>", "scipy", repr(value)),
)
def test_the_nearest_distribution_of_optuna(given, expected):
    converted = to_optuna({"a": given})["a"]
    assert converted == expected
    assert converted.__class__ is expected.__class__
    assert optuna.distributions.json_to_distribution(
        optuna.distributions.distribution_to_json(converted)
    ) == (expected)
    if isinstance(given, Distribution):
        assert given.to_optuna() == expected


def test_integers_have_the_probabilities_of_optuna():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"n": LogIntUniform(2, 6)}
    drawn = [suggest(study.ask(), space)["n"] for _ in range(2000)]
    ours = LogIntUniform(2, 6).rvs(2000, random_state=0)
    table = [np.bincount(values, minlength=7)[2:] for values in (drawn, ours)]
    assert stats.chi2_contingency(table).pvalue > 0.01


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.9999), (0, 0.99), (0.5, 0.6), (0.9, 0.9)])
def test_momenta_become_choices_on_their_scale(low, high):
    choices = to_optuna({"momentum": OneMinusLogUniform(low, high)})["momentum"].choices
    assert list(choices) == sorted(set(choices))
    assert (choices[0], choices[-1]) == (low, high)
    steps = np.diff(np.log(1 - np.array(choices)))
    assert not len(steps) or steps.max() / steps.min() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shape", ["constant", "pyramid", "free", ("pyramid", "constant")])
@pytest.mark.parametrize(("units", "depth"), [((16, 256), (1, 3)), ((2, 3), (0, 2)), (8, (6, 9))])
def test_layer_sizes_become_texts_of_some_of_them(units, depth, shape):
    sizes = LayerSizes(units, depth, shape)
    choices = to_optuna({"hidden_layer_sizes": sizes})["hidden_layer_sizes"].choices
    assert 1 < len(choices) <= 40
    for choice in map(eval, choices):
        assert sizes.depth[0] <= len(choice) <= sizes.depth[1]
        assert all(sizes.units[0] <= width <= sizes.units[1] for width in choice)
        assert shape == "free" or list(choice) == sorted(choice, reverse=True)
    assert {len(eval(choice)) for choice in choices} == set(range(sizes.depth[0], depth[1] + 1))


def test_many_free_layers_are_a_sample():
    choices = LayerSizes(depth=(6, 7)).to_optuna().choices
    assert 30 < len(choices) <= 40


def test_tuples_of_layer_sizes_become_text():
    given = [(64, 32), [8], 16, np.array([4, 2]), (), (4.5,)]
    space = {"mlp__hidden_layer_sizes": given, "dropout": [(0.1, 0.2), 0.3]}
    converted = to_optuna(space)
    texts = ("(64, 32)", "(8,)", 16, "(4, 2)", "()")
    assert converted["mlp__hidden_layer_sizes"].choices == (*texts, (4.5,))
    assert converted["dropout"].choices == ((0.1, 0.2), 0.3)
    for text in texts:
        MLPClassifier(text, max_iter=1).fit(X, y)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": stats.norm()}, "a=.* has no counterpart in Optuna"),
        ({"a": stats.loguniform(1, 2, loc=3)}, "has no counterpart"),
        ({"a": stats.loguniform(1, 2, 3)}, "has no counterpart"),
        ({"a": Distribution()}, "override its method to_optuna"),
        ({"a": [1, True]}, "can't find True"),
        ({"a": [np.arange(3), np.arange(4)]}, "can't find array"),
        ({"a": ["adam", Adam()]}, r"can't find Adam\(\).*suggest, which takes any value"),
        ({"a": 3}, "give a list or a tuple"),
        ([{"a": [1]}], "give a dict"),
        (None, "The space None is not allowed; give a dict"),
        ({1: [1]}, "give a dict from the names"),
    ],
)
def test_what_can_not_be_converted_is_named(space, message):
    with pytest.raises(InvalidParameterError, match=message):
        to_optuna(space)


# OptunaSearchCV ---------------------------------------------------------------------------------

SPACE = {
    "hidden_layer_sizes": LayerSizes((2, 8), (1, 2)),
    "batch_size": LogIntUniform(8, 16),
    "solver": Choice(["sgd", "adam"], weights=[2, 1]),
    "momentum": Conditional(OneMinusLogUniform(0.8, 0.99)),
    "learning_rate_init": stats.loguniform(1e-3, 1e-1),
    "nesterovs_momentum": [True, False],
}


def search_for(estimator, space, **options):
    options = {"n_trials": 4, "cv": 2, "random_state": 0, "error_score": "raise", **options}
    return sklearn_search.OptunaSearchCV(estimator, to_optuna(space), **options)


def test_a_search_in_a_pipeline():
    model = make_pipeline(StandardScaler(), MLPClassifier(**OPTIONS))
    search = search_for(model, {f"mlpclassifier__{name}": d for name, d in SPACE.items()})
    search.fit(X, y)
    assert search.best_params_.keys() == search.param_distributions.keys()
    sizes = eval(search.best_params_["mlpclassifier__hidden_layer_sizes"])
    assert [W.shape[1] for W in search.best_estimator_[-1].coefs_[:-1]] == list(sizes)
    assert search.predict(X).shape == y.shape


@pytest.mark.parametrize("estimator", [MLPClassifier(**OPTIONS), MLPRegressor(**OPTIONS)])
def test_pruning_trains_by_partial_fit(estimator):
    study = optuna.create_study(
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    for rate in (0.1, 1e-3, 0.1):
        study.enqueue_trial({"learning_rate_init": rate})
    search = search_for(
        estimator,
        {"learning_rate_init": stats.loguniform(1e-3, 1e-1)},
        study=study,
        enable_pruning=True,
        max_iter=6,
        n_trials=3,
    )
    search.fit(X, y)
    assert study.trials[1].state.name == "PRUNED"
    assert sorted(study.trials[0].intermediate_values) == list(range(6))
    assert search.best_estimator_.n_iter_ == OPTIONS["max_iter"]  # the refit is a fit


def test_a_study_in_a_database_needs_no_warnings(database):
    options = {"study_name": "s", "storage": database, "load_if_exists": True}
    for n in (4, 8):  # the second search continues the study
        sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
        study = optuna.create_study(direction="maximize", sampler=sampler, **options)
        search = search_for(MLPClassifier(**OPTIONS), SPACE, study=study).fit(X, y)
        assert len(study.trials) == n
    best = optuna.load_study(study_name="s", storage=database).best_params
    assert best == search.best_params_
    assert MLPClassifier(**{**OPTIONS, **best}).fit(X, y).score(X, y) > 0.3


def test_a_search_in_memory_takes_tuples_and_lists():
    space = {"dropout": Choice([0.1, (0.1,)]), "activation": ["relu", ["tanh"]]}
    search = search_for(MLPClassifier(**OPTIONS), space, n_trials=14).fit(X, y)
    assert {str(trial.params["dropout"]) for trial in search.trials_} == {"0.1", "(0.1,)"}
    assert search.best_estimator_.dropout == search.best_params_["dropout"]


# Suggestions ------------------------------------------------------------------------------------


def names_of(trial):
    return list(trial.params)


def test_the_names_of_suggested_parameters_can_be_read():
    study = optuna.create_study()
    study.enqueue_trial(
        {
            "hidden_layer_sizes depth": 3,
            "hidden_layer_sizes shape": "pyramid",
            "hidden_layer_sizes units 1": 100,
            "hidden_layer_sizes narrowing": 1.0,
            "solver": "sgd",
            "1 - momentum": 0.01,
        }
    )
    space = {
        "momentum": Conditional(OneMinusLogUniform(0.9, 0.999)),
        "hidden_layer_sizes": LayerSizes((4, 400), (1, 3), ("pyramid", "free")),
        "solver": ["sgd", "adam"],
    }
    trial = study.ask()
    expected = {"momentum": 0.99, "hidden_layer_sizes": (100, 20, 4), "solver": "sgd"}
    assert suggest(trial, space) == expected
    assert list(suggest(trial, space)) == list(space)
    assert trial.distributions["1 - momentum"] == FloatDistribution(0.001, 0.1, log=True)
    assert sorted(trial.params) == sorted(study.trials[0].params)


@pytest.mark.parametrize("shape", ["constant", "pyramid", "free"])
def test_layers_that_are_not_there_are_not_suggested(shape):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"hidden_layer_sizes": LayerSizes((4, 400), (0, 3), shape)}
    for _ in range(20):
        trial = study.ask()
        sizes = suggest(trial, space)["hidden_layer_sizes"]
        assert all(type(width) is int for width in sizes)
        n_expected = {"constant": 1, "pyramid": 2, "free": len(sizes)}[shape]
        assert len(trial.params) == 1 + min(len(sizes), n_expected)
        assert shape == "free" or list(sizes) == sorted(sizes, reverse=True)


def test_one_of_one_is_no_parameter():
    trial = optuna.create_study().ask()
    space = {"sizes": LayerSizes((4, 8), 2, "constant")}
    assert len(suggest(trial, space)["sizes"]) == 2
    assert names_of(trial) == ["sizes units 1"]


def test_conditions_hold_in_suggestions():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {
        "m__momentum": Conditional(OneMinusLogUniform(0.5, 0.9)),
        "m__nesterovs_momentum": Conditional([True, False], on="momentum", values=[0.9]),
        "alpha": Conditional(stats.loguniform(1e-5, 1), on="loss", values=["log_loss"]),
        "m__solver": ["sgd", "adam"],
    }
    defaults = {"loss": "log_loss", "m": None}
    for _ in range(10):
        trial = study.ask()
        given = suggest(trial, space, defaults)
        assert ("m__momentum" in given) == (given["m__solver"] == "sgd")
        assert ("1 - m__momentum" in trial.params) == (given["m__solver"] == "sgd")
        assert "alpha" in given
        assert "m__nesterovs_momentum" not in given
    assert "alpha" not in suggest(study.ask(), space, {**defaults, "loss": "hinge"})
    with pytest.raises(InvalidParameterError, match="give defaults"):
        suggest(study.ask(), space)
    with pytest.raises(InvalidParameterError, match="trial=None is not allowed"):
        suggest(None, space, defaults)
    with pytest.raises(InvalidParameterError, match="defaults=MLPClassifier"):
        suggest(study.ask(), space, MLPClassifier())


SAMPLERS = [
    ("RandomSampler", {}),
    ("TPESampler", {"n_startup_trials": 3}),
    ("TPESampler", {"n_startup_trials": 3, "multivariate": True, "group": True}),
    ("QMCSampler", {}),
]


@pytest.mark.parametrize(("sampler", "options"), SAMPLERS)
def test_samplers_take_both_forms(sampler, options):
    for form in (suggest, lambda trial, space: suggest(trial, to_optuna(space))):
        study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=0, **options))
        study.optimize(lambda trial, form=form: len(str(form(trial, SPACE))), n_trials=8)
        best = form(study.best_trial, SPACE)
        assert len(str(best)) == study.best_value


def own_function():
    """A value whose repr has an address in memory."""


ODD_VALUES = {
    "tuples": [(0.1, 0.2), [0.1], None],
    "almost": [1, True, 1.0, "1"],
    "nan": [float("nan"), 2],
    "arrays": [np.arange(3), np.arange(4)],
    "alike": [LogisticRegression(), LogisticRegression()],
    "functions": [own_function, len],
    "objects": [object(), object()],
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_any_value_survives_in_a_database(name, database):
    values = ODD_VALUES[name]
    space = {"a": values, "b": Choice(values), "c": Conditional(values, "d", [1])}
    study = optuna.create_study(storage=database, sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask(), space, {"d": 1}) for _ in range(8)]
    read = [suggest(trial, space, {"d": 1}) for trial in study.get_trials()]
    for key in space:
        assert {id(given[key]) for given in drawn} == {id(value) for value in values}
        assert all(a[key] is b[key] for a, b in zip(drawn, read, strict=True))


def test_the_best_trial_of_a_database_gives_its_parameters(database):
    estimator = MLPClassifier(**OPTIONS)
    study = optuna.create_study(storage=database, study_name="s", direction="maximize")
    given = []

    def objective(trial):
        given.append(suggest(trial, SPACE, estimator.get_params()))
        return estimator.set_params(**given[-1]).fit(X, y).score(X, y)

    study.optimize(objective, n_trials=5)
    loaded = optuna.load_study(study_name="s", storage=database)
    assert suggest(loaded.best_trial, SPACE) == given[loaded.best_trial.number]
    fixed = optuna.trial.FixedTrial(loaded.best_params)
    assert suggest(fixed, SPACE) == given[loaded.best_trial.number]


def test_a_sampler_finds_the_scale_of_a_momentum():
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    space = {"momentum": OneMinusLogUniform(0.9, 0.99999), "sizes": LayerSizes(depth=1)}

    def objective(trial):
        given = suggest(trial, space)
        return abs(np.log10(1 - given["momentum"]) + 3) + abs(np.log2(given["sizes"][0] / 64))

    study.optimize(objective, n_trials=60)
    assert study.best_value < 0.3


# Studies that are shared, and that survive ------------------------------------------------------

WORKER = """
import os, signal, sys, warnings
import numpy as np
import optuna
from skdeep import MLPClassifier
from skdeep.callbacks import LambdaCallback, OptunaPruning
from skdeep.model_selection import LayerSizes, OneMinusLogUniform, suggest

warnings.simplefilter("ignore")
url, n_trials, kill = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "kill"
X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0] > 0
space = {"hidden_layer_sizes": LayerSizes((2, 8)), "momentum": OneMinusLogUniform(0.5, 0.99)}

def die(trainer):
    if kill and trainer.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)

def objective(trial):
    watchers = [OptunaPruning(trial), LambdaCallback(on_epoch_begin=die)]
    model = MLPClassifier(max_iter=4, solver="sgd", callbacks=watchers)
    return model.set_params(**suggest(trial, space)).fit(X, y).loss_

study = optuna.create_study(study_name="s", storage=url, load_if_exists=True)
study.optimize(objective, n_trials=n_trials)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_processes_share_a_study_that_survives_one_that_is_killed(database):
    study = optuna.create_study(study_name="s", storage=database)
    command = [sys.executable, "-c", WORKER, database, "3"]
    workers = [
        subprocess.Popen([*command, end], stderr=subprocess.PIPE, text=True)
        for end in ("kill", "live")
    ]
    space = {"hidden_layer_sizes": LayerSizes((2, 8)), "momentum": OneMinusLogUniform(0.5, 0.99)}

    def objective(trial):
        return suggest(trial, space)["momentum"]

    study.optimize(objective, n_trials=2)
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, 0], errors
    study.optimize(objective, n_trials=1)
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(7))
    (left,) = [trial for trial in trials if trial.state.name == "RUNNING"]
    assert sorted(left.intermediate_values) == [0, 1, 2]
    assert all(suggest(trial, space).keys() == space.keys() for trial in trials)


def test_the_programs_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python optuna\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    names = {}
    exec("".join(found), names)
    assert len(found) == 3
    assert names["best"].n_iter_ == 8
