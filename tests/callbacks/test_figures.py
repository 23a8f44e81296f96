"""Figures by name: whether higher is better, which one is watched, and columns of callbacks."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint
from skdeep.callbacks.figures import direction_of
from skdeep.schedules import Adaptive, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((80, 4))
y = (X[:, 0] > 0).astype(int)


def falling(y_true, y_pred):
    falling.value -= 1
    return falling.value


def fit(callbacks, Estimator=MLPClassifier, y=y, **options):
    falling.value = 100.0
    options = {"max_iter": 8, "random_state": 0, **options}
    return Estimator((3,), callbacks=callbacks, **options).fit(X, y, X_val=X, y_val=y)


# Whether higher is better -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_loss", -1),
        ("val_loss_price", -1),
        ("val_score", 1),
        ("f1_score", 1),
        ("accuracy", 1),
        ("log_loss", -1),
        ("val_mean_absolute_error", -1),
        ("seconds", -1),
        ("gradient_norm", -1),
        ("temperature", None),
    ],
)
def test_names_tell_a_direction(name, direction):
    assert direction_of(name) == direction


@pytest.mark.parametrize(
    ("metrics", "monitor", "mode", "best"),
    [
        ("roc_auc", "val_roc_auc", None, max),
        ("neg_log_loss", "neg_log_loss", None, max),
        ([mean_absolute_error], "val_mean_absolute_error", None, min),
        ({"mae": mean_absolute_error}, "mae", None, min),
        ({"mae": mean_absolute_error}, "val_mae", "max", max),
        ([falling], "falling", "min", min),
        ([falling], "falling", "max", max),
        ({"error_of_mine": falling}, "val_error_of_mine", None, min),
        ({"mine": lambda estimator, X, y: estimator.coefs_[0][0, 0]}, "mine", None, max),
    ],
)
def test_early_stopping_and_checkpoints_by_a_metric(metrics, monitor, mode, best, tmp_path):
    stopping = EarlyStopping(monitor, mode=mode, patience=20)
    model = fit([stopping], metrics=metrics)
    figures = model.history_[monitor]
    assert stopping.best_ == best(figures)
    assert stopping.best_epoch_ == figures.index(best(figures)) + 1
    if isinstance(metrics, str):
        saving = ModelCheckpoint(tmp_path / "a", best_only=True, monitor=monitor, mode=mode)
        fit([saving], metrics=metrics)
        assert saving.best_ == best(figures)
        assert load(saving.path_).history_[monitor][-1] == best(figures)


@pytest.mark.parametrize("kind", [EarlyStopping, ModelCheckpoint])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monitor": "twice"}, "monitor='twice': nothing says.*give mode='max' or mode='min'"),
        ({"mode": "maximum"}, "mode='maximum' is not allowed"),
        ({"mode": 1}, "mode=1 is not allowed"),
        ({"monitor": "val_roc_auc"}, "'val_roc_auc' is not in history_; choose from"),
    ],
)
def test_what_is_not_allowed(kind, options, message, tmp_path):
    if kind is ModelCheckpoint:
        options = {"path": tmp_path / "a", "best_only": True, **options}
    with pytest.raises(ValueError, match=message):
        fit([Records(), kind(**options)])


# A schedule that watches a figure -----------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_plateau_of_a_metric_lowers_the_rate(wrapped):
    def counts_up(y_true, y_pred):
        counts_up.value += 1
        return counts_up.value

    rates = {}
    for mode in ("min", "max"):
        counts_up.value = 0.0
        schedule = Adaptive(10, monitor="up", mode=mode)
        schedule = Warmup(schedule, epochs=1, start=1.0) if wrapped else schedule
        options = {"metrics": {"up": counts_up}, "learning_rate": schedule, "n_iter_no_change": 3}
        model = MLPRegressor((3,), max_iter=10, tol=0.5, learning_rate_init=0.1, **options)
        rates[mode] = model.fit(X, X[:, 0]).history_["learning_rate"]
    assert rates["max"] == [0.1] * 10
    np.testing.assert_allclose(rates["min"], [0.1] * 5 + [0.01] * 4 + [0.001])


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (Adaptive(monitor="val_x"), {}, "monitor='val_x': nothing says"),
        (Adaptive(monitor="val_x", mode="min"), {}, "'val_x' is not in history_"),
        (Adaptive(monitor=3), {}, "monitor=3 is not allowed"),
        (Adaptive(monitor="val_loss", mode="low"), {}, "mode='low' is not allowed"),
        (Adaptive(monitor="val_loss"), {"early_stopping": True}, "watches 'val_loss'"),
    ],
)
def test_schedules_that_are_not_allowed(schedule, options, message):
    with pytest.raises(ValueError, match=message):
        fit([], learning_rate=schedule, **options)


def test_the_message_names_the_figure(capsys):
    schedule = Adaptive(monitor="val_loss")
    fit([], learning_rate=schedule, verbose=1, tol=10.0, n_iter_no_change=2)
    assert "val_loss did not improve more than" in capsys.readouterr().out


# Columns of callbacks -----------------------------------------------------------------------------


class Records(Callback):
    def __init__(self, first=1, last=99):
        self.first = first
        self.last = last

    def on_epoch_end(self, trainer):
        if self.first <= trainer.epochs_before + trainer.epoch <= self.last:
            trainer.record(twice=1, size=0.0)
            trainer.record(twice=np.float32(2.5))


class Does(Callback):
    def __init__(self, action, hook="on_epoch_end"):
        setattr(self, hook, action)


def test_a_callback_adds_columns():
    model = fit([Records(first=3, last=6)], verbose=0)
    expected = [math.nan] * 2 + [2.5] * 4 + [math.nan] * 2
    np.testing.assert_array_equal(model.history_["twice"], expected)
    assert pd.DataFrame(model.history_).shape == (8, 8)


def test_columns_of_callbacks_are_watched_shown_and_logged(tmp_path, capsys):
    class Falls(Callback):
        def on_epoch_end(self, trainer):
            trainer.record(temperature=-trainer.epoch)

    stopping = EarlyStopping("temperature", mode="min", patience=2)
    logger = CSVLogger(tmp_path / "log.csv")
    model = fit([Falls(), stopping, logger], verbose=1)
    assert stopping.best_ == -8
    assert "temperature = -8.000000" in capsys.readouterr().out
    logged = pd.read_csv(tmp_path / "log.csv")["temperature"]
    assert logged.tolist() == model.history_["temperature"]


def test_a_log_has_nan_in_epochs_without_a_figure(tmp_path):
    fit([Records(last=5), CSVLogger(tmp_path / "log.csv")])
    logged = pd.read_csv(tmp_path / "log.csv")["twice"]
    np.testing.assert_array_equal(logged, [2.5] * 5 + [np.nan] * 3)


def test_columns_of_callbacks_last(tmp_path):
    model = fit([Records()], warm_start=True, max_iter=3)
    model.set_params(callbacks=None).fit(X, y)
    model.partial_fit(X, y)
    save(model, tmp_path / "model")
    model = load(tmp_path / "model").set_params(callbacks=[Records(last=5)]).fit(X, y)
    column = np.array(model.history_["twice"])
    np.testing.assert_array_equal(np.isfinite(column), [True] * 3 + [False] * 4 + [True] * 3)


def test_columns_of_callbacks_in_a_run_that_was_resumed(tmp_path):
    def stops(trainer):
        if trainer.epoch == 4:
            raise RuntimeError("power cut")

    whole = fit([Records()])
    saving = ModelCheckpoint(tmp_path / "a", resume=True)
    with pytest.raises(RuntimeError, match="power cut"):
        fit([Records(), saving, Does(stops, "on_epoch_begin")])
    model = fit([Records(), ModelCheckpoint(tmp_path / "a", resume=True)])
    assert model.history_["twice"] == whole.history_["twice"]


@pytest.mark.parametrize(
    ("action", "hook", "message"),
    [
        (lambda t: t.record(loss=1.0), "on_epoch_end", "history_ has a column of that name"),
        (lambda t: t.record(accuracy=1.0), "on_epoch_end", "history_ has a column of that name"),
        (lambda t: t.record(val_score=1.0), "on_epoch_end", "history_ has a column of that name"),
        (lambda t: t.record(x="1"), "on_epoch_end", "x='1'. is not allowed; give a number"),
        (lambda t: t.record(x=[1.0]), "on_epoch_end", "give a number"),
        (lambda t: t.record(x=1.0), "on_epoch_begin", "call it in on_epoch_end"),
        (lambda t: t.record(x=1.0), "on_batch_end", "call it in on_epoch_end"),
        (lambda t: t.record(x=1.0), "on_train_begin", "call it in on_epoch_end"),
        (
            lambda t: t.history.setdefault("x", []).append(1.0),
            "on_epoch_end",
            r"history_\['x'\] has 3 entries after 2 epochs; .* trainer.record\(x=value\)",
        ),
        (lambda t: t.history["loss"].append(1.0), "on_epoch_end", "has 1 entries after 2 epochs"),
    ],
)
def test_columns_that_are_not_allowed(action, hook, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit([Does(action, hook)], metrics="accuracy")
