"""fit_part: a fit in parts is the fit, bit for bit."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.averages import EMA, SWA
from skdeep.callbacks import Callback, EarlyStopping, ModelCheckpoint
from skdeep.schedules import Scheduled

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Y = (X[:, 0] + 0.3 * RNG.standard_normal(120) > 0).astype(int)
NUMBERS = X[:, 0] ** 2 + 0.1 * RNG.standard_normal(120)
WEIGHT = RNG.random(120) + 0.1
ROWS = np.flatnonzero(RNG.random(120) < 0.7)
OPTIONS = {
    "hidden_layer_sizes": (8,),
    "batch_size": 20,
    "learning_rate_init": 0.01,
    "random_state": 0,
    "max_iter": 9,
}
PARTS = (1, 3, 9)


def in_parts(cls, *data, parts=PARTS, rows=None, again=lambda model: model, **options):
    model = cls(**OPTIONS | options, warm_start="continue")
    for until in parts:
        trainer = model.fit_part(until, *data, rows=rows)
        if trainer.has_ended:
            break
        model = again(model)
    return model


def assert_equal_runs(model, whole):
    np.testing.assert_array_equal(
        model.network_.parameters.values, whole.network_.parameters.values
    )
    assert model.history_.keys() == whole.history_.keys()
    for name in model.history_.keys() - {"seconds"}:
        np.testing.assert_array_equal(model.history_[name], whole.history_[name], name)
    assert (model.t_, model.best_iter_) == (whole.t_, whole.best_iter_)


CASES = [
    {},
    {"learning_rate": "cosine"},
    {"learning_rate": "one_cycle", "solver": "sgd"},
    {"learning_rate": "linear", "dropout": Scheduled(0.3, "linear"), "weight_decay": 0.01},
    {"weight_averaging": SWA(start=0.5), "batch_norm": "before"},
    {"weight_averaging": EMA(0.9)},
    {"early_stopping": True, "validation_fraction": 0.3},
    {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.5},
    {"n_iter_no_change": 2, "tol": 1.0},
    {"n_iter_no_change": 1, "tol": 1.0, "learning_rate": "adaptive", "solver": "sgd"},
    {"input_noise": 0.1, "gradient_noise": 0.01, "clip_norm": 1.0},
    {"callbacks": [EarlyStopping(patience=2, threshold=0.2)]},
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("again", [lambda m: m, lambda m: pickle.loads(pickle.dumps(m))])
def test_parts_give_the_whole(options, again):
    whole = MLPClassifier(**OPTIONS | options, warm_start="continue").fit(X, Y)
    assert_equal_runs(in_parts(MLPClassifier, X, Y, again=again, **options), whole)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (MLPClassifier, {}),
        (MLPClassifier, {"class_weight": "balanced"}),
        (MLPClassifier, {"early_stopping": True, "validation_fraction": 0.3}),
        (MLPClassifier, {"metrics": ["accuracy"], "batch_norm": "after"}),
        (MLPRegressor, {}),
        (MLPRegressor, {"standardize_y": True}),
        (MLPRegressor, {"loss": "absolute_error"}),
        (MLPRegressor, {"early_stopping": True, "validation_fraction": 0.3}),
    ],
    ids=str,
)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("container", [np.array, sp.csr_matrix])
def test_rows_give_what_a_copy_of_them_gives(cls, options, weight, container):
    y = NUMBERS if cls is MLPRegressor else np.array(["no", "yes"])[Y]
    some = None if weight is None else weight[ROWS]
    whole = cls(**OPTIONS | options, warm_start="continue").fit(container(X[ROWS]), y[ROWS], some)
    model = in_parts(cls, container(X), y, weight, rows=ROWS, **options)
    assert_equal_runs(model, whole)


def test_classes_are_those_of_the_rows():
    y = np.where(np.arange(120) < 3, "rare", np.array(["no", "yes"])[Y])
    model = in_parts(MLPClassifier, X, y, rows=np.arange(3, 120))
    assert model.classes_.tolist() == ["no", "yes"]


def test_an_autoencoder_trains_in_parts():
    whole = MLPAutoencoder(**OPTIONS, warm_start="continue").fit(X)
    assert_equal_runs(in_parts(MLPAutoencoder, X), whole)


def test_a_trainer_knows_whether_training_has_ended():
    model = MLPClassifier(**OPTIONS | {"tol": 1.0, "n_iter_no_change": 2}, warm_start="continue")
    assert not model.fit_part(2, X, Y).has_ended
    assert model.fit_part(9, X, Y).has_ended
    assert len(model.history_["loss"]) == 4


def test_no_part_follows_one_that_diverged():
    options = {"solver": "sgd", "learning_rate_init": 1.0, "activation": "identity"}
    options |= {"early_stopping": True, "validation_fraction": 0.3}
    with pytest.warns(UserWarning, match="Training diverged"):
        whole = MLPRegressor(**OPTIONS | options, warm_start="continue").fit(X, NUMBERS)
    with pytest.warns(UserWarning, match="Training diverged"):
        model = in_parts(MLPRegressor, X, NUMBERS, parts=(1, 5, 9), **options)
    assert_equal_runs(model, whole)


@pytest.mark.parametrize("warm_start", [False, True])
def test_parts_need_warm_start_continue(warm_start):
    with pytest.raises(ValueError, match="fit_part needs warm_start='continue'"):
        MLPClassifier(warm_start=warm_start).fit_part(2, X, Y)


class Interrupt(Callback):
    def on_batch_end(self, trainer):
        raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_an_interrupted_part_is_told_from_a_finished_one():
    model = MLPClassifier(**OPTIONS, warm_start="continue", callbacks=[Interrupt()])
    assert model.fit_part(2, X, Y).interrupted
    model = MLPClassifier(**OPTIONS, warm_start="continue")
    model.fit_part(2, X, Y)
    before = model.get_weights()
    assert model.set_params(callbacks=[Interrupt()]).fit_part(4, X, Y) is None
    np.testing.assert_equal(model.get_weights(), before)


def test_checkpoints_of_other_rows_with_equal_targets_are_those_of_other_runs(tmp_path):
    y = np.arange(120) % 2
    checkpoint = ModelCheckpoint(tmp_path / "{run}.skdeep", resume=True)
    for rows in (np.arange(60), np.arange(60, 120)):
        whole = in_parts(MLPClassifier, X, y, rows=rows)
        assert_equal_runs(in_parts(MLPClassifier, X, y, rows=rows, callbacks=[checkpoint]), whole)
