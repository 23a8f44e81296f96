"""Callbacks: which hook is called when, and what it sees."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback
from skdeep.layers import Dropout

HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
LOG = []


class Logs(Callback):
    """Writes down every call."""

    def __init__(self, name="", stop_after=None):
        self.name = name
        self.stop_after = stop_after

    def on_train_begin(self, trainer):
        LOG.append(self.name + "train begin")

    def on_epoch_begin(self, trainer):
        LOG.append(self.name + f"epoch {trainer.epoch} begin")

    def on_batch_end(self, trainer):
        LOG.append(self.name + "batch end")

    def on_epoch_end(self, trainer):
        LOG.append(self.name + f"epoch {trainer.epoch} end")
        if trainer.epoch == self.stop_after:
            trainer.stop_training = True

    def on_train_end(self, trainer):
        LOG.append(self.name + "train end")


class Sees(Callback):
    """Takes down what a hook can see."""

    def on_epoch_end(self, trainer):
        LOG.append(
            {
                "epoch": trainer.epoch,
                "history": {k: list(v) for k, v in trainer.history.items()},
                "learning_rate": trainer.learning_rate,
                "n_steps": trainer.optimizer.n_steps_ if trainer.optimizer else None,
                "values": trainer.network.parameters.values.copy(),
            }
        )


class AtTheEnd(Callback):
    def on_train_end(self, trainer):
        LOG.append((trainer.network, trainer.network.parameters.values.copy()))


class Interrupts(Callback):
    """Acts like a user who presses Ctrl-C."""

    def __init__(self, after=2):
        self.after = after

    def on_epoch_end(self, trainer):
        if trainer.epoch == self.after:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


@pytest.fixture
def data(rng):
    X = rng.standard_normal((50, 3))
    return X, (X[:, 0] > 0).astype(int)


def make(callbacks, Estimator=MLPClassifier, **options):
    defaults = {
        "hidden_layer_sizes": (4,),
        "batch_size": 20,
        "max_iter": 2,
        "tol": 0.0,
        "n_iter_no_change": 1000,
        "random_state": 0,
    }
    return Estimator(callbacks=callbacks, **{**defaults, **options})


def fit(model, data):
    with pytest.warns(ConvergenceWarning):
        return model.fit(*data)


EPOCH = ["epoch 0 begin", "batch end", "batch end", "batch end", "epoch 1 end"]
SECOND = ["epoch 1 begin", "batch end", "batch end", "batch end", "epoch 2 end"]


def test_hooks_are_called_in_order(data):
    fit(make([Logs()]), data)
    assert ["train begin", *EPOCH, *SECOND, "train end"] == LOG


def test_callbacks_are_called_in_the_order_of_their_list(data):
    fit(make([Logs("a "), Logs("b ")], max_iter=1), data)
    assert LOG[::2] == ["a " + entry for entry in ["train begin", *EPOCH, "train end"]]
    assert LOG[1::2] == ["b " + entry for entry in ["train begin", *EPOCH, "train end"]]


def test_stop_training_ends_with_the_epoch_and_without_a_warning(data):
    model = make([Logs(stop_after=2)], max_iter=100).fit(*data)
    assert ["train begin", *EPOCH, *SECOND, "train end"] == LOG
    assert model.n_iter_ == len(model.loss_curve_) == 2


def test_every_callback_sees_the_epoch_in_which_one_of_them_stops(data):
    make([Logs("a ", stop_after=1), Logs("b ")], max_iter=100).fit(*data)
    assert LOG[-4:] == ["a epoch 1 end", "b epoch 1 end", "a train end", "b train end"]


def test_partial_fit_is_a_run_of_one_epoch(data):
    model = make([Logs()])
    for _ in range(2):
        model.partial_fit(*data, classes=[0, 1])
    assert ["train begin", *EPOCH, "train end"] * 2 == LOG


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_epochs_figures_are_in_the_history_when_it_ends(data, early_stopping):
    model = fit(make([Sees()], max_iter=3, early_stopping=early_stopping), data)
    for i, seen in enumerate(LOG, 1):
        assert seen["epoch"] == i
        assert seen["history"] == {k: v[:i] for k, v in model.history_.items()}
        assert ("val_score" in seen["history"]) == early_stopping
        assert seen["learning_rate"] == 0.001
        assert seen["n_steps"] == 3 * i
    assert not np.array_equal(LOG[0]["values"], LOG[1]["values"])


def test_the_best_weights_are_back_when_training_ends(data):
    scores = iter([0.1, 0.9, 0.2, 0.3])
    options = {"early_stopping": True, "scoring": lambda *_: next(scores), "max_iter": 4}
    model = fit(make([Sees(), AtTheEnd()], **options), data)
    *epochs, (network, at_the_end) = LOG
    assert model.best_iter_ == 2 < len(epochs)
    np.testing.assert_array_equal(at_the_end, epochs[model.best_iter_ - 1]["values"])
    assert network is model.network_


def test_lbfgs_calls_the_hooks_of_an_epoch_for_every_iteration(data):
    model = make([Logs(stop_after=2)], solver="lbfgs", max_iter=50).fit(*data)
    expected = [e for e in [*EPOCH, *SECOND] if e != "batch end"]
    assert [entry for entry in LOG if "epoch 2 begin" not in entry] == [
        "train begin",
        *expected,
        "train end",
    ]
    assert model.n_iter_ == 2


def test_an_interrupted_run_ends_properly(data):
    model = make([Logs(), Interrupts(2)], max_iter=100)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*data)
    assert ["train begin", *EPOCH, *SECOND, "train end"] == LOG
    assert model.predict(data[0]).shape == (50,)


def test_a_callback_changes_nothing_by_being_there(data):
    with_callback, without = (
        fit(make(c, layers=None, dropout=0.2), data) for c in ([Logs(), Sees()], None)
    )
    assert with_callback.loss_curve_ == without.loss_curve_


def test_a_callback_of_the_users_own_needs_no_hook_at_all(data):
    class Idle(Callback):
        pass

    assert [getattr(Callback(), hook)(None) for hook in HOOKS] == [None] * 5
    fit(make(Idle()), data)


def test_callbacks_are_components():
    callback = Logs("a", 3)
    assert clone(callback).get_params() == {"name": "a", "stop_after": 3}
    assert pickle.loads(pickle.dumps(callback)).get_params() == {"name": "a", "stop_after": 3}
    assert repr(callback) == "Logs(name='a', stop_after=3)"


@pytest.mark.parametrize("callbacks", [Logs, "early", [Logs], [Logs(), None], [Dropout()]], ids=str)
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_what_is_no_callback_is_named(callbacks, Estimator, data):
    with pytest.raises(ValueError, match=r"callbacks=.* is not allowed; give a list of"):
        make(callbacks, Estimator).fit(*data)
