"""What schedules and callbacks remember over calls of partial_fit, and over resumed runs."""

import numpy as np
import pytest

from skdeep import MLPClassifier, set_kernels
from skdeep.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    GradualUnfreezing,
    LayerStatistics,
    LearningRateLogger,
    ModelCheckpoint,
)
from skdeep.layers import Dense, Residual
from skdeep.schedules import Adaptive, Piecewise, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(100, 4))
y = (X[:, 0] > 0).astype(int)
NEVER_BETTER = {"tol": 10, "n_iter_no_change": 1, "random_state": 0}


class Crash(Callback):
    """Fail after some epochs."""

    def __init__(self, after):
        self.after = after

    def on_epoch_end(self, trainer):
        if trainer.epoch == self.after:
            raise RuntimeError("power cut")


def crashed_and_resumed(tmp_path, *callbacks, after=5, **options):
    """Return a model that was trained in two runs."""
    check = ModelCheckpoint(tmp_path / "run", resume=True)
    model = MLPClassifier((4,), callbacks=[*callbacks, check, Crash(after)], **options)
    with pytest.raises(RuntimeError, match="power cut"):
        model.fit(X, y)
    return model.set_params(callbacks=[*callbacks, check]).fit(X, y)


def partial_fits(n, **options):
    model = MLPClassifier((4,), **options)
    for _ in range(n):
        model.partial_fit(X, y, classes=[0, 1])
    return model


def test_a_schedule_in_a_schedule_over_partial_fits():
    model = partial_fits(8, learning_rate=Warmup(Adaptive(), 2), **NEVER_BETTER)
    rates = model.history_["learning_rate"]
    assert rates[-1] == pytest.approx(rates[2] / 5**3)


def test_a_schedule_in_a_schedule_over_a_crash(tmp_path):
    options = {"learning_rate": Warmup(Adaptive(), 2), "solver": "sgd", "max_iter": 12}
    model = crashed_and_resumed(tmp_path, **options, **NEVER_BETTER)
    whole = MLPClassifier((4,), **options, **NEVER_BETTER).fit(X, y)
    assert model.history_["learning_rate"] == whole.history_["learning_rate"]
    np.testing.assert_array_equal(model.coefs_[0], whole.coefs_[0])


def test_parameters_of_schedules_that_are_arrays():
    schedule = Piecewise(np.array([2, 4]), np.array([1.0, 0.5, 0.1]))
    rates = partial_fits(5, learning_rate=schedule).history_["learning_rate"]
    np.testing.assert_allclose(rates, [0.001, 0.001, 0.0005, 0.0005, 0.0001])


def test_a_finished_run_that_is_resumed_with_early_stopping(tmp_path):
    callbacks = [EarlyStopping(monitor="loss"), ModelCheckpoint(tmp_path / "run", resume=True)]
    models = [
        MLPClassifier((4,), callbacks=callbacks, max_iter=4, random_state=0).fit(X, y)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])


@pytest.mark.filterwarnings("ignore:solver=.lbfgs. can't honour")
@pytest.mark.parametrize("verbose", [False, True])
def test_lbfgs_has_no_rate_that_a_plateau_could_lower(verbose):
    noise = np.random.default_rng(0).integers(0, 2, len(X))
    options = {"learning_rate": "adaptive", "early_stopping": True, "random_state": 0}
    model = MLPClassifier(solver="lbfgs", n_iter_no_change=2, verbose=verbose, **options)
    plain = MLPClassifier(solver="lbfgs", n_iter_no_change=2, early_stopping=True, random_state=0)
    model.fit(X, noise)
    assert model.n_iter_ == plain.fit(X, noise).n_iter_ < 200


@pytest.mark.parametrize("kind", [LayerStatistics, LearningRateLogger])
def test_loggers_that_come_later(kind, tmp_path):
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    logger = kind()
    model.set_params(callbacks=logger).partial_fit(X, y).partial_fit(X, y)
    kept = logger.rates_ if kind is LearningRateLogger else logger.statistics_["weight_norm"]
    assert len(kept) == 2
    crashed_and_resumed(tmp_path, after=2, max_iter=4, random_state=0).set_params(
        callbacks=[kind(), ModelCheckpoint(tmp_path / "run", resume=True)], max_iter=6
    ).fit(X, y)


def test_what_a_callback_has_thawed_stays_thawed():
    model = MLPClassifier((6, 5), random_state=0, frozen_layers=2)
    model.set_params(callbacks=GradualUnfreezing(1))
    for _ in range(4):
        model.partial_fit(X, y, classes=[0, 1])
    n_trainable = model.network_.parameters.n_trainable
    assert n_trainable > 6
    before = [W.copy() for W in model.coefs_]
    model.set_params(dropout=0.1, callbacks=None).partial_fit(X, y)
    assert model.network_.parameters.n_trainable == n_trainable
    assert not np.array_equal(model.coefs_[1], before[1])
    model.set_params(frozen_layers=2).set_params(frozen_layers=1).partial_fit(X, y)
    frozen = model.coefs_[0].copy()
    model.partial_fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], frozen)


def test_a_full_disk_costs_lines_and_not_the_fit(tmp_path):
    class FillDisk(Callback):
        def on_epoch_begin(self, trainer):
            if trainer.epoch == 1:
                log.unlink()
                log.mkdir()

    log = tmp_path / "log.csv"
    model = MLPClassifier((4,), max_iter=3, callbacks=[FillDisk(), CSVLogger(log)])
    with pytest.warns(RuntimeWarning, match=r"CSVLogger could not write .*Training continues"):
        model.fit(X, y)
    assert model.n_iter_ == 3
    with pytest.raises(OSError, match="Is a directory"):
        model.set_params(callbacks=CSVLogger(log)).fit(X, y)


class Stop(Callback):
    def on_epoch_end(self, trainer):
        raise StopIteration


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_stop_iteration_is_an_error_like_any_other(solver):
    error = RuntimeError if solver == "lbfgs" else StopIteration
    with pytest.raises(error):
        MLPClassifier((4,), solver=solver, callbacks=Stop()).fit(X, y)


def test_ctrl_c_while_layers_are_rearranged_leaves_weights_whole(monkeypatch):
    """Whether it comes before the new order, or after it."""
    for name in ("order_anew", "_bind"):
        model = MLPClassifier((6, 5), random_state=0, frozen_layers=1, callbacks=None)
        model.partial_fit(X, y, classes=[0, 1])
        before = [W.copy() for W in model.coefs_ + model.intercepts_]

        class Thaw(Callback):
            def on_epoch_begin(self, trainer, name=name):
                vector = trainer.network.parameters
                for parameter in vector.parameters:
                    parameter.frozen = False
                real = getattr(type(vector), name)
                n_calls = []

                def interrupted(self, *args):
                    n_calls.append(1)
                    result = real(self, *args) if name == "order_anew" else None
                    if name == "order_anew" or len(n_calls) == 2:
                        monkeypatch.undo()
                        raise KeyboardInterrupt
                    return real(self, *args) if result is None else result

                monkeypatch.setattr(type(vector), name, interrupted)
                trainer.rearrange()

        with pytest.warns(UserWarning, match="interrupted"):
            model.set_params(callbacks=Thaw(), warm_start=True).fit(X, y)
        after = model.coefs_ + model.intercepts_
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_lack_of_memory_leaves_no_buffers(monkeypatch):
    def allocate(self, *args):
        real(self, *args)
        raise MemoryError

    model = MLPClassifier((50,), max_iter=1, warm_start=True, random_state=0).fit(X, y)
    attributes = [set(vars(layer)) for layer in model.network_.walk()]
    real = Dense.allocate
    monkeypatch.setattr(Dense, "allocate", allocate)
    with pytest.raises(MemoryError):
        model.fit(X, y)
    assert [set(vars(layer)) for layer in model.network_.walk()] == attributes
    assert model.network_.parameters.grads is None


def test_outputs_that_are_nan_are_said():
    model = MLPClassifier((50, 50), max_iter=1, random_state=0).fit(X, y)
    for W in model.coefs_:
        W *= 100
    huge = np.full((2, 4), 1.7e308)
    huge[1] = 0
    with pytest.warns(RuntimeWarning, match="outputs of the network are NaN for 1 of 2 rows"):
        model.predict_proba(huge)


@pytest.mark.parametrize("constraint", ["max_norm", "unit_norm", "min_max_norm"])
def test_weights_too_large_to_square_are_not_made_zero(constraint):
    model = MLPClassifier((4,), kernel_constraint=constraint, random_state=0)
    model.partial_fit(X, y, classes=[0, 1])
    model.coefs_[0][:] = 1e200
    with pytest.raises(ValueError, match="non-finite"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("name", ["max_iter", "n_iter_no_change", "batch_size", "alpha"])
def test_integers_beyond_all_floats(name):
    with pytest.raises(ValueError, match=f"{name}=1000"):
        MLPClassifier(**{name: 10**400}).fit(X, y)


def test_layers_within_layers_have_an_end():
    """The text of a model doubles with each."""
    layer = Dense(4)
    for _ in range(11):
        layer = Residual([layer])
    with pytest.raises(ValueError, match="nested more than 10 deep"):
        MLPClassifier(layers=[layer]).fit(X, y)


class Rearrange(Callback):
    def on_epoch_begin(self, trainer):
        trainer.network.parameters.parameters[0].frozen = True
        trainer.rearrange()


def test_lbfgs_does_not_rearrange():
    with pytest.raises(ValueError, match="can't change the parameters that it trains"):
        MLPClassifier((4,), solver="lbfgs", callbacks=Rearrange()).fit(X, y)


class FreezeOne(Callback):
    """Freeze the parameters of one name."""

    def __init__(self, name):
        self.name = name

    def on_train_begin(self, trainer):
        for name, parameter in trainer.network.named_parameters():
            parameter.frozen = name.endswith(f".{self.name}")
        trainer.rearrange()


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", ["gamma", "beta", "slope", "bias", "kernel"])
def test_one_parameter_of_a_layer_is_frozen(name, kernels):
    if kernels == "numba":
        pytest.importorskip("numba")
    options = {"activation": "prelu", "batch_norm": "after", "callbacks": FreezeOne(name)}
    set_kernels(kernels)
    try:
        model = MLPClassifier((4,), max_iter=2, random_state=0, **options).fit(X, y)
    finally:
        set_kernels("auto")
    start = MLPClassifier(
        (4,), max_iter=1, random_state=0, learning_rate_init=1e-12, **options
    ).fit(X, y)
    pairs = zip(start.network_.named_parameters(), model.network_.named_parameters(), strict=True)
    for (label, before), (_, after) in pairs:
        stays = label.endswith(f".{name}")
        if not label.split(".")[-1].startswith("running"):
            assert np.allclose(before.value, after.value, atol=1e-9) == stays, label
