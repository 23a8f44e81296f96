"""warm_start="continue": 5 epochs and 5 more are 10 epochs, bit for bit."""

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, load, save
from skdeep.averages import EMA, SWA
from skdeep.callbacks import (
    Callback,
    EarlyStopping,
    GradualUnfreezing,
    LearningRateLogger,
    ModelCheckpoint,
)
from skdeep.schedules import Adaptive, Cosine, Piecewise, Scheduled, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
Y = (X[:, 0] + 0.3 * RNG.standard_normal(90) > 0).astype(int)
OPTIONS = {"batch_size": 20, "learning_rate_init": 0.01, "random_state": 0}


def dumped(model, path):
    return pickle.loads(pickle.dumps(model))


def saved(model, path):
    save(model, path)
    return load(path)


def same(model, path):
    return model


def in_parts(make, again=same, path=None, parts=(5, 5), **data):
    model = make(warm_start="continue")
    for i, n_epochs in enumerate(parts):
        model = again(model, path) if i else model
        model.set_params(max_iter=n_epochs).fit(X, Y, **data)
    return model


def assert_equal_runs(model, whole):
    """The weights, the history and the state are equal; times are not."""
    np.testing.assert_array_equal(
        model.network_.parameters.values, whole.network_.parameters.values
    )
    assert model.history_.keys() == whole.history_.keys()
    for name in model.history_.keys() - {"seconds"}:
        np.testing.assert_array_equal(model.history_[name], whole.history_[name], name)
    assert (model.t_, model.best_iter_) == (whole.t_, whole.best_iter_)


EARLY = {"early_stopping": True, "learning_rate_init": 0.1}
CASES = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "plain sgd": {"solver": "sgd", "momentum": 0.0},
    "amsgrad": {"solver": "amsgrad", "dtype": "float32"},
    "dropout": {"dropout": 0.3, "input_noise": 0.1},
    "gradient noise": {"gradient_noise": 0.01, "weight_noise": 0.1, "clip_norm": 1.0},
    "batch norm": {"batch_norm": "before", "batch_norm_input": True},
    "no shuffle": {"shuffle": False},
    "class weights": {"class_weight": "balanced"},
    "metrics": {"metrics": ["accuracy", "roc_auc"]},
    "ema": {"weight_averaging": "ema"},
    "ema later": {"weight_averaging": EMA(0.9, start=7)},
    "swa": {"weight_averaging": SWA(start=2), "batch_norm": "after"},
    "swa every second": {"weight_averaging": SWA(start=2, every=2)},
    "invscaling": {"learning_rate": "invscaling", "solver": "sgd"},
    "step": {"learning_rate": "step"},
    "piecewise": {"learning_rate": Piecewise([3, 7], [1.0, 0.3, 0.1])},
    "warmup": {"learning_rate": Warmup(epochs=7)},
    "adaptive": {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    "scheduled": {"dropout": Scheduled(0.3, Piecewise([3, 7], [1.0, 0.3, 0.1]))},
    "early stopping": EARLY,
    "early stopping, ema": {**EARLY, "weight_averaging": "ema"},
    "early stopping, averaged later": {**EARLY, "weight_averaging": EMA(0.9, start=4)},
    "early stopping, swa": {**EARLY, "weight_averaging": SWA(start=1), "batch_norm": "after"},
    "early stopping, frozen": {**EARLY, "frozen_layers": 1},
    "constraint": {"kernel_constraint": "max_norm", "weight_decay": 0.01},
}


@pytest.mark.parametrize("again", [same, dumped, saved])
@pytest.mark.parametrize("case", CASES)
def test_five_and_five_are_ten(case, again, tmp_path):
    make = partial(MLPClassifier, (6, 5), **{**OPTIONS, **CASES[case]})
    whole = make(max_iter=10).fit(X, Y)
    assert whole.n_iter_ == 10
    model = in_parts(make, again, tmp_path / "model")
    assert model.n_iter_ == 5
    assert_equal_runs(model, whole)
    assert_equal_runs(in_parts(make, again, tmp_path / "model", (3, 1, 6)), whole)


@pytest.mark.parametrize("Estimator", [MLPRegressor, MLPAutoencoder])
def test_other_estimators(Estimator):
    make = partial(Estimator, (5,), **OPTIONS)
    assert_equal_runs(in_parts(make), make(max_iter=10).fit(X, Y))


@pytest.mark.parametrize("again", [same, saved])
def test_validation_data_and_callbacks(again, tmp_path):
    data = {"X_val": X[:40], "y_val": 1 - Y[:40]}

    def make(callbacks=None, **options):
        stopping = EarlyStopping("val_loss", patience=20)
        options = {**OPTIONS, "weight_averaging": EMA(0.5), **options}
        return MLPClassifier((5,), callbacks=[stopping, LearningRateLogger()], **options)

    whole = make(max_iter=10).fit(X, Y, **data)
    model = in_parts(make, again, tmp_path / "model", (4, 4, 2), **data)
    assert whole.callbacks[0].best_epoch_ < 8
    assert_equal_runs(model, whole)
    for ours, theirs in zip(model.callbacks, whole.callbacks, strict=True):
        for name in ("best_", "best_epoch_", "stopped_epoch_", "values_", "rates_"):
            assert getattr(ours, name, None) == getattr(theirs, name, None)


def test_layers_that_were_thawed_stay_so():
    def make(**options):
        callbacks = [GradualUnfreezing([2, 6])]
        return MLPClassifier(
            (5, 4), frozen_layers=2, callbacks=callbacks, **{**OPTIONS, **EARLY, **options}
        )

    assert_equal_runs(in_parts(make), make(max_iter=10).fit(X, Y))


def test_a_schedule_for_max_iter_counts_all_epochs():
    make = partial(MLPClassifier, (4,), learning_rate="linear", tol=0, **OPTIONS)
    rates = in_parts(make, parts=(2, 2)).history_["learning_rate"]
    np.testing.assert_allclose(rates, 0.01 * (1 - (np.array([0, 1, 2, 3]) + 0.8) / [2, 2, 4, 4]))


def test_the_state_is_kept_only_on_demand(tmp_path):
    sizes = {}
    for warm_start in (False, True, "continue"):
        model = MLPClassifier((50,), warm_start=warm_start, max_iter=3, **{**OPTIONS, **EARLY})
        model.fit(X, Y)
        assert model.optimizer_.started == (warm_start == "continue")
        save(model, tmp_path / "model")
        sizes[warm_start] = (tmp_path / "model").stat().st_size
    assert sizes[False] == pytest.approx(sizes[True], rel=0.05)
    assert sizes["continue"] > 1.5 * sizes[True]


def test_a_fit_without_a_state_says_that_the_solver_starts_again():
    model = MLPClassifier((4,), max_iter=3, **OPTIONS).fit(X, Y).set_params(warm_start="continue")
    with pytest.warns(UserWarning, match="no state of the optimizer"):
        model.fit(X, Y)
    model.fit(X, Y)
    with pytest.warns(UserWarning, match="no state of the optimizer"):
        model.set_params(solver="sgd").fit(X, Y)
    assert len(model.history_["loss"]) == 12


def test_best_weights_of_an_earlier_fit_still_count():
    model = MLPClassifier((4,), max_iter=5, solver="sgd", momentum=0.0, **{**OPTIONS, **EARLY})
    best = model.fit(X, Y).coefs_[0].copy()
    model.set_params(warm_start="continue", scoring=None, learning_rate_init=1e-300).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], best)


def test_weights_that_the_user_writes_are_those_to_continue_with():
    options = {**OPTIONS, **EARLY, "solver": "sgd", "momentum": 0.0}
    model = MLPClassifier((4,), max_iter=5, warm_start="continue", **options).fit(X, Y)
    model.coefs_[0][:] = 0.25
    model.set_params(learning_rate_init=1e-300).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], np.full((4, 4), 0.25))


def test_a_run_that_stopped_stops_again_without_an_improvement():
    model = MLPClassifier((4,), warm_start="continue", max_iter=50, random_state=0)
    model.set_params(learning_rate_init=1e-300).fit(X, Y)
    assert model.n_iter_ == 12
    model.fit(X, Y)
    assert model.n_iter_ == 1


def test_an_error_undoes_the_call():
    class Raises(Callback):
        def on_epoch_end(self, trainer):
            raise RuntimeError("no")

    make = partial(MLPClassifier, (4,), **{**OPTIONS, **EARLY}, weight_averaging="ema")
    model = make(warm_start="continue", max_iter=5).fit(X, Y)
    with pytest.raises(RuntimeError, match="no"):
        model.set_params(callbacks=[Raises()]).fit(X, Y)
    model.set_params(callbacks=None).fit(X, Y)
    assert_equal_runs(model, make(max_iter=10).fit(X, Y))


def test_other_ways_to_train_go_from_the_weights_of_the_model():
    model = MLPClassifier((4,), max_iter=5, warm_start="continue", **{**OPTIONS, **EARLY}).fit(X, Y)
    twin = pickle.loads(pickle.dumps(model))
    model.set_params(early_stopping=False, learning_rate_init=1e-300)
    np.testing.assert_array_equal(model.partial_fit(X, Y).coefs_[0], twin.coefs_[0])
    model.fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], twin.coefs_[0])
    twin.set_params(warm_start=True, learning_rate_init=1e-300).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], twin.coefs_[0])


def test_checkpoints_of_runs_that_continue(tmp_path):
    def make(callbacks=(), **options):
        saving = ModelCheckpoint(tmp_path / "a", resume=True)
        options = {**OPTIONS, **EARLY, "learning_rate": Cosine(), **options}
        return MLPClassifier((4,), callbacks=[*callbacks, saving], **options)

    class Stops(Callback):
        def on_epoch_begin(self, trainer):
            if trainer.epoch == 3:
                raise RuntimeError("power cut")

    whole = in_parts(make)
    for path in tmp_path.iterdir():
        path.unlink()
    model = make(warm_start="continue", max_iter=5).fit(X, Y)
    with pytest.raises(RuntimeError, match="power cut"):
        model.set_params(callbacks=[Stops(), *model.callbacks]).fit(X, Y)
    again = in_parts(make)
    assert_equal_runs(again, whole)


def test_a_checkpoint_of_the_middle_continues(tmp_path):
    saving = ModelCheckpoint(tmp_path / "{run}-{epoch}")
    options = {**OPTIONS, **EARLY, "max_iter": 10}
    whole = MLPClassifier((4,), callbacks=[saving], **options).fit(X, Y)
    middle = load(next(tmp_path.glob("*-4")))
    middle.set_params(callbacks=None, max_iter=6, warm_start="continue").fit(X, Y)
    assert_equal_runs(middle, whole)


def test_lines_and_bars_count_all_epochs(capsys):
    in_parts(partial(MLPClassifier, (3,), verbose=1, **OPTIONS), parts=(2, 1))
    assert [line[:12] for line in capsys.readouterr().out.splitlines()] == [
        f"Iteration {i}," for i in (1, 2, 3)
    ]


@pytest.mark.parametrize("fitted", [False, True])
def test_lbfgs_has_no_state_to_continue(fitted):
    model = MLPClassifier((4,), solver="lbfgs", max_iter=3)
    if fitted:
        model.fit(X, Y)
    with pytest.raises(ValueError, match="solver='lbfgs' can't be kept"):
        model.set_params(warm_start="continue").fit(X, Y)


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({"hidden_layer_sizes": (7,)}, X, "would change the architecture"),
        ({}, X[:, :3], "3 features"),
    ],
)
def test_what_may_not_change(change, rows, message):
    model = MLPClassifier((4,), warm_start="continue", max_iter=2, **OPTIONS).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.set_params(**change).fit(rows, Y)
    with pytest.raises(ValueError, match="same classes"):
        model.set_params(hidden_layer_sizes=(4,)).fit(X, Y + 1)


def test_what_may_change():
    model = MLPClassifier((4,), warm_start="continue", max_iter=2, **OPTIONS).fit(X, Y)
    model.set_params(dropout=0.2, batch_size=7, learning_rate=Adaptive(), alpha=0.1, beta_1=0.5)
    model.fit(X[:50], Y[:50])
    with pytest.warns(UserWarning, match="no state of the optimizer"):
        model.set_params(frozen_layers=1).fit(X, Y)
    assert len(model.history_["loss"]) == 6
    assert clone(model).warm_start == "continue"
