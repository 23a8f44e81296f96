"""EarlyStopping and TerminateOnNaN."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback, EarlyStopping, TerminateOnNaN

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0]


class Plan(Callback):
    """Writes planned figures into the history, and remembers weights."""

    def __init__(self, key, values):
        self.key = key
        self.values = values

    def on_train_begin(self, trainer):
        self.weights = []

    def on_epoch_end(self, trainer):
        trainer.figures[self.key] = self.values[trainer.epoch - 1]
        self.weights.append(trainer.network.parameters.values.copy())


def run(values, key="val_score", **options):
    stopping = EarlyStopping(key, **options)
    plan = Plan(key, values)
    model = MLPRegressor((3,), max_iter=len(values), callbacks=[plan, stopping], random_state=0)
    model.set_params(tol=0.0, n_iter_no_change=99).fit(X, y, X_val=X[:20], y_val=y[:20])
    return model, stopping, plan


RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    ("values", "options", "stopped"),
    [
        (RISING, {"patience": 1}, None),
        ([0.1, 0.3, 0.2, 0.1, 0.4, 0.5], {"patience": 2}, 4),
        ([0.1, 0.3, 0.2, 0.1, 0.4, 0.5], {"patience": 3}, None),
        ([0.1, 0.15, 0.2, 0.25, 0.3, 0.35], {"patience": 3, "threshold": 0.1}, None),
        ([0.1, 0.11, 0.12, 0.13, 0.3, 0.35], {"patience": 2, "threshold": 0.1}, 3),
        (RISING, {"trigger": "absolute_change", "threshold": 0.05}, None),
        ([0.1, 0.3, 0.31, 0.5, 0.6], {"trigger": "absolute_change", "threshold": 0.05}, 3),
        ([0.5, 0.1, 0.09, 0.5, 0.6], {"trigger": "absolute_change", "threshold": 0.05}, 3),
        ([0.5, 0.6, 0.55, 0.4, 0.6], {"trigger": "decrease", "patience": 2}, 4),
        ([0.5, 0.6, 0.55, 0.4, 0.6], {"trigger": "decrease", "patience": 1}, 3),
        ([0.5, 0.6, 0.45, 0.6], {"trigger": "decrease", "patience": 2, "threshold": 0.1}, None),
        (RISING, {"trigger": "average_change", "patience": 3, "threshold": 0.05}, None),
        (
            [0.1, 0.4, 0.1, 0.4, 0.45, 0.4],
            {"trigger": "average_change", "patience": 3, "threshold": 0.05},
            5,
        ),
    ],
)
def test_triggers(values, options, stopped):
    model, stopping, _ = run(values, **options)
    assert stopping.stopped_epoch_ == stopped
    assert model.n_iter_ == (stopped or len(values))
    # of a loss lower is better
    _, stopping, _ = run([1 - v for v in values], key="val_loss", **options)
    assert stopping.stopped_epoch_ == stopped


@pytest.mark.parametrize("restore_best", [True, False])
def test_the_best_weights(restore_best):
    values = [0.1, 0.9, 0.3, 0.2, 0.1]
    model, stopping, plan = run(values, patience=2, restore_best=restore_best)
    assert (stopping.best_, stopping.best_epoch_, stopping.stopped_epoch_) == (0.9, 2, 4)
    expected = plan.weights[1] if restore_best else plan.weights[3]
    np.testing.assert_array_equal(model.network_.parameters.values, expected)


def test_the_best_iteration_is_the_epoch_of_the_restored_weights():
    stopping = EarlyStopping("val_loss", patience=3)
    model = MLPRegressor((8,), learning_rate_init=0.1, max_iter=40, random_state=0)
    model.set_params(callbacks=stopping, warm_start=True)
    for _ in range(2):  # the epochs of the second call count on
        model.fit(X, y, X_val=X[::3], y_val=-y[::3])
        best = int(np.argmin(model.history_["val_loss"][-model.n_iter_ :])) + 1
        assert model.best_iter_ == len(model.loss_curve_) - model.n_iter_ + best
        assert best < model.n_iter_
    kept = MLPRegressor((8,), max_iter=5, callbacks=EarlyStopping("loss", restore_best=False))
    assert kept.fit(X, y).best_iter_ == int(np.argmin(kept.loss_curve_)) + 1


def test_the_figure_of_a_loss_is_the_loss():
    _, stopping, _ = run([0.5, 0.2, 0.3], key="val_loss", patience=1)
    assert stopping.best_ == 0.2


def test_it_watches_the_score_where_there_is_one():
    scored, unscored = EarlyStopping(patience=3), EarlyStopping(patience=3)
    model = MLPRegressor(max_iter=4, callbacks=[scored]).fit(X, y, X_val=X, y_val=y)
    assert scored.best_ == max(model.history_["val_score"])
    model = MLPRegressor(max_iter=4, callbacks=[unscored]).fit(X, y)
    assert unscored.best_ == min(model.loss_curve_)


def test_a_second_fit_begins_anew():
    stopping = EarlyStopping("loss", patience=2)
    model = MLPRegressor((3,), max_iter=5, callbacks=stopping, random_state=0).fit(X, y)
    first = stopping.values_
    assert model.fit(X, y).callbacks.values_ == first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trigger": "no_improvements"}, "did you mean 'no_improvement'"),
        ({"patience": 0}, "patience=0 is not allowed"),
        ({"threshold": -1.0}, "threshold=-1.0 is not allowed"),
        ({"monitor": "auc"}, "EarlyStopping monitor='auc' is not in history_"),
    ],
)
def test_what_is_not_allowed(options, words):
    with pytest.raises(ValueError, match=words):
        MLPRegressor(callbacks=[EarlyStopping(**options)]).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["val_loss", "val_score", "gradient_norm"])
def test_figures_that_are_not_finite_end_training(key, value):
    model = MLPClassifier(
        (3,),
        max_iter=6,
        callbacks=[Plan(key, [0.1, 0.2, value, 0.3, 0.4, 0.5]), TerminateOnNaN()],
    ).fit(X, y > 0, X_val=X, y_val=y > 0)
    assert model.n_iter_ == 3


@pytest.mark.parametrize("options", [{"batch_norm_input": True}, {"batch_norm": "before"}])
def test_the_best_weights_of_lbfgs_come_with_their_statistics(options):
    shifted = X * 5 + 100
    common = {"solver": "lbfgs", "max_iter": 40, "random_state": 0, **options}
    plain = MLPRegressor((8,), **common).fit(shifted, y)
    stopping = EarlyStopping("loss", patience=50)
    watched = MLPRegressor((8,), **common, callbacks=[stopping]).fit(shifted, y)
    np.testing.assert_allclose(watched.predict(shifted), plain.predict(shifted), rtol=1e-9)


@pytest.mark.parametrize("callback", [TerminateOnNaN(), EarlyStopping(patience=3)], ids=str)
def test_a_warm_start_without_validation_data(callback):
    model = MLPRegressor((4,), warm_start=True, max_iter=12, random_state=0, callbacks=[callback])
    model.fit(X, y, X_val=X, y_val=y)
    model.fit(X, y)
    assert model.n_iter_ == 12


def test_partial_fit_is_a_single_epoch():
    with pytest.raises(ValueError, match="partial_fit does not go with EarlyStopping"):
        MLPRegressor(callbacks=[EarlyStopping()]).partial_fit(X, y)


@pytest.mark.parametrize("trigger", ["absolute_change", "average_change"])
def test_no_change_is_smaller_than_nothing(trigger):
    with pytest.raises(ValueError, match="needs a threshold > 0"):
        MLPRegressor(callbacks=[EarlyStopping(trigger=trigger)]).fit(X, y)


# The built-in rule beside the callback ------------------------------------------------------------


class Counts(Callback):
    def on_epoch_end(self, trainer):
        self.n_epochs_ = trainer.epoch


FLAT = {"learning_rate_init": 1e-12, "max_iter": 40, "random_state": 0}


@pytest.mark.parametrize(
    ("options", "callbacks", "n_epochs"),
    [
        ({}, [], 12),
        ({}, [Counts()], 12),
        ({}, [EarlyStopping("loss", patience=200, threshold=1e-4)], 40),
        ({}, [Counts(), EarlyStopping("loss", patience=20, threshold=1e-4)], 21),
        ({"n_iter_no_change": 5}, [EarlyStopping("loss", patience=200)], 7),
        ({"early_stopping": True}, [EarlyStopping("loss", patience=200)], 12),
        ({"learning_rate": "adaptive"}, [EarlyStopping("loss", patience=200)], 40),
        (
            {"n_iter_no_change": 5, "learning_rate": "adaptive"},
            [EarlyStopping("loss", patience=99)],
            7,
        ),
    ],
)
def test_the_callback_takes_the_place_of_the_rule_on_the_training_loss(
    options, callbacks, n_epochs
):
    model = MLPRegressor((3,), **FLAT, callbacks=callbacks).set_params(**options).fit(X, y)
    assert model.n_iter_ == n_epochs


def test_a_plateau_still_lowers_the_learning_rate():
    stopping = EarlyStopping("loss", patience=200)
    model = MLPRegressor((3,), learning_rate="adaptive", callbacks=[stopping], **FLAT)
    rates = model.set_params(tol=10.0, learning_rate_init=1e-5).fit(X, y).history_["learning_rate"]
    assert len(rates) == 40
    np.testing.assert_allclose(np.unique(rates), [4e-7, 2e-6, 1e-5])


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_the_last_epoch_warns():
    model = MLPRegressor((3,), **FLAT, callbacks=[EarlyStopping("loss", patience=200)])
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(40\)"):
        model.fit(X, y)


def test_nothing_is_printed_about_a_plateau_that_does_not_count(capsys):
    MLPRegressor((3,), **FLAT, callbacks=[EarlyStopping("loss", patience=200)], verbose=1).fit(X, y)
    assert "Stopping" not in capsys.readouterr().out
