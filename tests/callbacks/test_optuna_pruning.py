"""The callback that reports epochs to a trial of Optuna, and lets it be pruned."""

import copy
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep._component import InvalidParameterError
from skdeep.callbacks import Callback, LambdaCallback, ModelCheckpoint, OptunaPruning

optuna = pytest.importorskip("optuna")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0] > 0
OPTIONS = {"hidden_layer_sizes": (4,), "max_iter": 4, "batch_size": 20, "random_state": 0}


class PruneFrom(optuna.pruners.BasePruner):
    """Prune every trial from a step."""

    def __init__(self, step):
        self.step = step

    def prune(self, study, trial):
        return trial.last_step >= self.step


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_of(direction="maximize", prune_from=99):
    return optuna.create_study(direction=direction, pruner=PruneFrom(prune_from))


def model_for(callback, **options):
    return MLPClassifier(**{**OPTIONS, **options}, callbacks=callback)


def fit(model):
    return model.fit(X, y, X_val=X[:20], y_val=y[:20])


def values_of(study, number=-1):
    return study.trials[number].intermediate_values


def test_every_epoch_is_reported():
    study = study_of()
    model = fit(model_for(OptunaPruning(study.ask())))
    assert values_of(study) == dict(enumerate(model.history_["val_score"]))


def test_without_validation_data_the_loss_is_reported():
    study = study_of("minimize")
    model = model_for(OptunaPruning(study.ask(), interval=2)).fit(X, y)
    assert values_of(study) == {1: model.loss_curve_[1], 3: model.loss_curve_[3]}


def test_a_figure_of_another_callback_can_be_watched():
    class Own(Callback):
        def on_epoch_end(self, trainer):
            trainer.record(distance=trainer.epoch)

    study = study_of("minimize")
    fit(model_for([OptunaPruning(study.ask(), "distance", mode="min"), Own()]))
    assert values_of(study) == {0: 1, 1: 2, 2: 3, 3: 4}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_hopeless_trial_is_pruned_and_the_estimator_is_left_as_it_was(solver):
    study = study_of("minimize", prune_from=1)
    told = []
    model = model_for(None, solver=solver, max_iter=6).fit(X, y)
    before = [weights.copy() for weights in model.coefs_]

    def objective(trial):
        failing = LambdaCallback(on_error=lambda trainer: told.append(trainer.epoch))
        model.set_params(callbacks=[OptunaPruning(trial), failing])
        return model.fit(X, y).loss_

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert sorted(values_of(study)) == [0, 1]
    assert told == [2, 2]
    assert len(model.loss_curve_) == 6
    for now, then in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_new_estimator_that_was_pruned_is_not_fitted():
    model = model_for(OptunaPruning(study_of(prune_from=0).ask()))
    with pytest.raises(optuna.TrialPruned, match="Pruned after epoch 1, with"):
        fit(model)
    assert not hasattr(model, "network_")
    assert fit(model.set_params(callbacks=None)).n_iter_ == 4


def test_the_median_pruner_prunes_bad_rates_only():
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    for rate in (0.05, 0.02, 1e-7, 0.1):
        study.enqueue_trial({"rate": rate})

    def objective(trial):
        rate = trial.suggest_float("rate", 1e-7, 1, log=True)
        return fit(
            model_for(OptunaPruning(trial, "val_loss"), learning_rate_init=rate, max_iter=8)
        ).loss_

    study.optimize(objective, n_trials=4)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]
    assert len(study.trials[2].intermediate_values) < 8


def test_calls_that_continue_continue_the_steps():
    study = study_of("minimize")
    model = model_for(OptunaPruning(study.ask()), warm_start="continue", max_iter=2)
    for _ in range(3):
        model.fit(X, y)
    assert values_of(study) == dict(enumerate(model.loss_curve_))
    assert len(values_of(study)) == 6


def test_a_run_that_is_resumed_continues_the_steps(tmp_path):
    def break_down(trainer):
        if trainer.epoch == 3:
            raise ZeroDivisionError

    def model(*callbacks):
        checkpoint = ModelCheckpoint(tmp_path / "{run}", resume=True)
        return model_for([checkpoint, OptunaPruning(study.ask()), *callbacks], max_iter=5)

    study = study_of("minimize")
    with pytest.raises(ZeroDivisionError):
        model(LambdaCallback(on_epoch_begin=break_down)).fit(X, y)
    model().fit(X, y)
    assert [sorted(values_of(study, i)) for i in (0, 1)] == [[0, 1, 2], [3, 4]]


def test_partial_fit_counts_its_calls():
    study = study_of("minimize", prune_from=2)
    model = model_for(OptunaPruning(study.ask()))
    for _ in range(2):
        model.partial_fit(X, y, classes=[False, True])
    with pytest.raises(optuna.TrialPruned, match="after epoch 3"):
        model.partial_fit(X, y)
    assert sorted(values_of(study)) == [0, 1, 2]
    assert model.t_ == 120  # the call that was pruned is undone


def test_each_fold_has_steps_of_its_own():
    study = study_of()
    trial = study.ask()
    for fold, (train, test) in enumerate(StratifiedKFold(2).split(X, y)):
        model = model_for(OptunaPruning(trial, first_step=fold * 4))
        model.fit(X[train], y[train], X_val=X[test], y_val=y[test])
    assert sorted(values_of(study)) == list(range(8))


@pytest.mark.parametrize("again", [lambda model: model, clone])
def test_a_second_fit_of_a_trial_needs_steps_of_its_own(again):
    trial = study_of("minimize").ask()
    model = model_for(OptunaPruning(trial)).fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"up to step 3.*first_step=4 or more"):
        again(model).fit(X, y)


def test_scikit_learn_lets_the_trial_be_pruned_only_with_error_score_raise():
    study = study_of("minimize", prune_from=1)

    def objective(trial):
        model = make_pipeline(StandardScaler(), model_for(OptunaPruning(trial)))
        return cross_val_score(model, X, y, cv=2, error_score="raise").mean()

    study.optimize(objective, n_trials=1)
    assert study.trials[0].state.name == "PRUNED"


def test_clones_share_the_trial_and_pickles_have_none(tmp_path):
    trial = study_of("minimize").ask()
    model = model_for([OptunaPruning(trial, "loss", interval=2, first_step=3)]).fit(X, y)
    for twin in (clone(model), copy.copy(model)):
        assert twin.callbacks[0].trial is trial
        assert twin.callbacks[0].get_params() == model.callbacks[0].get_params()
    assert clone(model).callbacks[0] is not model.callbacks[0]
    assert copy.deepcopy(model).callbacks[0].trial is None
    twin = pickle.loads(pickle.dumps(model))
    assert twin.callbacks[0].interval == 2
    with pytest.raises(InvalidParameterError, match="in another process has none"):
        twin.fit(X, y)
    assert b"optuna" not in pickle.dumps(model).lower().replace(b"optunapruning", b"")
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").callbacks == []
    assert load(tmp_path / "model", with_writers=True).callbacks[0].first_step == 3
    assert model.callbacks[0].trial is trial


@pytest.mark.parametrize(
    "trial", [optuna.trial.FixedTrial({}), optuna.trial.create_trial(value=1.0)]
)
def test_trials_that_are_not_run_prune_nothing(trial):
    assert fit(model_for(OptunaPruning(trial))).n_iter_ == 4


@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")  # of Optuna's pruner
def test_a_figure_that_is_not_a_number_is_reported():
    def spoil(trainer):
        trainer.record(own_loss=float("nan"))

    pruner = optuna.pruners.MedianPruner(n_startup_trials=0, n_warmup_steps=0)
    study = optuna.create_study(pruner=pruner)
    callbacks = [LambdaCallback(on_epoch_end=spoil)]
    study.tell(study.ask(), 1.0)
    with pytest.raises(optuna.TrialPruned, match="with nan"):
        fit(model_for([*callbacks, OptunaPruning(study.ask(), "own_loss")]))


@pytest.mark.parametrize(
    ("direction", "options", "message"),
    [
        ("maximize", {}, r"a lower figure is better.*direction='maximize'.*training loss"),
        ("minimize", {"early_stopping": True}, "a higher figure is better.*direction='minimize'"),
        ("maximize", {"early_stopping": True, "monitor": "val_loss"}, "'val_loss': a lower"),
        ("minimize", {"monitor": "val_score"}, "is not in history_"),
        ("minimize", {"mode": "down"}, "mode='down' is not allowed"),
        ("minimize", {"interval": 0}, "interval=0 is not allowed"),
        ("minimize", {"first_step": -1}, "first_step=-1 is not allowed"),
    ],
)
def test_what_contradicts_the_study_is_an_error(direction, options, message):
    study = study_of(direction)
    early_stopping = options.pop("early_stopping", False)
    model = model_for(OptunaPruning(study.ask(), **options), early_stopping=early_stopping)
    with pytest.raises(InvalidParameterError, match=message):
        model.fit(X, y)
    assert values_of(study) == {}
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("trial", [None, 3, "trial"])
def test_the_trial_has_to_be_one(trial):
    with pytest.raises(InvalidParameterError, match="is not a trial of Optuna"):
        fit(model_for(OptunaPruning(trial)))


def test_without_optuna_the_error_names_the_package(monkeypatch):
    model = model_for(OptunaPruning(study_of().ask()))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="OptunaPruning needs optuna: pip install optuna"):
        fit(model)


def test_a_study_of_several_objectives_is_refused():
    study = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(InvalidParameterError, match="has 2 objectives"):
        fit(model_for(OptunaPruning(study.ask())))


def test_other_parts_see_the_epoch_before_training_ends(tmp_path):
    from skdeep.callbacks import CSVLogger

    path = tmp_path / "log.csv"
    study = study_of("minimize", prune_from=2)
    with pytest.raises(optuna.TrialPruned):
        model_for([OptunaPruning(study.ask()), CSVLogger(path)]).fit(X, y)
    assert len(path.read_text().splitlines()) == 4


def test_the_repr_is_short():
    assert repr(OptunaPruning(None)) == "OptunaPruning(trial=None)"


def test_regressors_take_it_too():
    study = study_of("minimize")
    MLPRegressor(**OPTIONS, callbacks=OptunaPruning(study.ask())).fit(X, X[:, 0])
    assert len(values_of(study)) == 4
