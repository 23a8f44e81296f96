"""Members that train together: the curves and the weights are those of one process."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from fleet import Client, Fleet, cut, positions_of, training_on
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.averages import SWA
from skdeep.callbacks import Callback, GradualUnfreezing
from skdeep.layers import BatchNorm, Dense, Dropout, PiecewiseLinear, Residual
from skdeep.losses import QuantileLoss
from skdeep.schedules import Scheduled
from skdeep.tasks import Classification, Regression
from skdeep.training.randomness import Streams
from skdeep.training.trainer import DivergenceError

X, y = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
target = X @ np.arange(6) + np.sin(y)
weight = np.random.default_rng(0).uniform(0.5, 2, 150)
COMMON = {"hidden_layer_sizes": (8, 5), "max_iter": 3, "random_state": 0, "batch_size": 32}
SIZES = {
    1: [(0, None)],
    2: [(0, 70), (1, None)],
    3: [(0, 3), (1, 90), (2, 20), (0, 3), (1, None)],
}
CLASSIFIER = {
    "plain": {},
    "alpha": {"alpha": 0.1, "l1_ratio": 0.3},
    "batch norm": {"batch_norm": "before"},
    "batch norm of inputs, and after": {"batch_norm": "after", "batch_norm_input": True},
    "dropout": {"dropout": [0.3, 0.1], "input_dropout": 0.1},
    "noise": {"input_noise": 0.1, "activation_noise": 0.2, "weight_noise": 0.1},
    "rrelu": {"activation": "rrelu"},
    "everything": {
        **{"batch_norm": "before", "dropout": 0.2, "input_noise": 0.1, "alpha": 0.01},
        **{"gradient_noise": 0.01, "clip_norm": 0.5, "weight_decay": 0.1, "activation": "prelu"},
    },
    "penalties": {
        **{"kernel_regularizer": "l1", "bias_regularizer": "l2"},
        "activity_regularizer": ["l2", "l1_l2", "l1"],
    },
    "constraint": {"kernel_constraint": "max_norm"},
    "weight decay": {"weight_decay": 0.1},
    "clip": {"clip_norm": 0.1, "clip_value": 0.01},
    "gradient noise": {"gradient_noise": 0.1},
    "class weight": {"class_weight": "balanced"},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
    "amsgrad": {"solver": "amsgrad", "learning_rate": "one_cycle"},
    "lion": {"solver": "lion", "learning_rate": "cosine"},
    "scheduled": {"dropout": Scheduled(0.3, "linear"), "weight_decay": Scheduled(0.1, "cosine")},
    "in order": {"shuffle": False, "batch_norm": "before"},
    "a last batch of one row": {"batch_size": 149, "batch_norm": "before"},
    "hinge": {"loss": "hinge"},
    "focal": {"loss": "focal", "label_smoothing": 0.1},
    "early stopping": {"early_stopping": True, "max_iter": 5, "batch_norm": "before"},
    "target noise": {"target_noise": 0.3, "dropout": 0.2},
}

REGRESSOR = {
    "plain": {},
    "target noise": {"target_noise": 0.3, "dropout": 0.2},
    "huber": {"loss": "huber", "standardize_y": True},
    "ema": {"weight_averaging": "ema"},
    "swa": {"weight_averaging": SWA(start=1), "max_iter": 4},
}
RNG = np.random.default_rng(0)
MANY = np.column_stack([target, -target, target**2])
HOLES = np.where(RNG.random(MANY.shape) < 0.4, np.nan, MANY)
TASKS = {"kind": y.astype(float), "size": target, "pair": HOLES[:, :2]}
TASKS["kind"][20:90] = np.nan
CHAIN = [Dense(6), Residual([BatchNorm(), Dropout(0.2), Dense(6)]), BatchNorm(), Dense(4)]
SHARED = Dense(6, activity_regularizer="l2")
SPARSE = sp.random(150, 30, 0.1, format="csr", random_state=0)
OTHERS = {
    "layers": (MLPClassifier, {"layers": CHAIN}, X, y),
    "shared layers": (MLPClassifier, {"layers": [SHARED, BatchNorm(), SHARED]}, X, y),
    "embedding": (MLPRegressor, {"layers": [PiecewiseLinear(), Dense(4)]}, X, target),
    "several outputs": (MLPRegressor, {}, X, MANY),
    "missing targets": (MLPRegressor, {"missing_targets": "ignore"}, X, HOLES),
    "labels": (MLPClassifier, {"target_noise": 0.2}, X, MANY > 0),
    "tasks": (
        MultiTaskMLP,
        {"tasks": {"size": Regression(at=0), "kind": Classification()}},
        X,
        TASKS,
    ),
    "tasks and batch norm": (
        MultiTaskMLP,
        {
            "tasks": {
                "kind": Classification(class_weight="balanced", loss_weight=0.7),
                "pair": Regression(at=0, loss="absolute_error"),
            },
            "batch_norm": "before",
        },
        X,
        TASKS,
    ),
    "quantiles": (MLPRegressor, {"loss": QuantileLoss([0.1, 0.9])}, X, target),
    "sparse": (MLPClassifier, {"dropout": 0.1}, SPARSE, y),
    "sparse, in order": (MLPClassifier, {"shuffle": False}, SPARSE, y),
    "sparse, made dense": (MLPClassifier, {"batch_norm_input": True}, SPARSE, y),
    "autoencoder": (MLPAutoencoder, {}, X, None),
}


@pytest.fixture(scope="module", params=[1, 2, 3])
def fleet(request):
    fleet = Fleet(request.param)
    yield fleet
    fleet.close()


@pytest.fixture
def train(fleet, monkeypatch):
    """Return a function that fits a model on the fleet, and another one in this process."""

    def fit_both(Estimator, options, *data, **more):
        common = {k: v for k, v in COMMON.items() if "layers" not in options or "hidden" not in k}
        model, expected = (Estimator(**common | options) for _ in range(2))
        expected.fit(*data, **more)
        with training_on(monkeypatch, fleet, SIZES[len(fleet)]):
            model.fit(*data, **more)
        return model, expected

    return fit_both


def assert_equal(found, expected):
    for name in ("loss", "gradient_norm", "learning_rate"):
        curves = found.history_[name], expected.history_[name]
        np.testing.assert_allclose(*curves, rtol=1e-10, atol=1e-10, err_msg=name)
    values = (model.network_.parameters.values for model in (found, expected))
    np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-10)
    assert found.t_ == expected.t_
    assert found.n_iter_ == expected.n_iter_


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("name", CLASSIFIER)
def test_a_classifier_learns_as_in_one_process(train, name):
    assert_equal(*train(MLPClassifier, CLASSIFIER[name], X, y))


@pytest.mark.parametrize("name", REGRESSOR)
def test_a_regressor_learns_as_in_one_process(train, name):
    assert_equal(*train(MLPRegressor, REGRESSOR[name], X, target))


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_and_data(train, name):
    Estimator, options, *data = OTHERS[name]
    assert_equal(*train(Estimator, options, *data))


@pytest.mark.parametrize("options", [{}, {"class_weight": {0: 1, 1: 3, 2: 0.5}}])
def test_weights_of_rows(train, options):
    assert_equal(*train(MLPClassifier, options, X, y, sample_weight=weight))


def test_figures_of_the_training_rows(train):
    options = {"metrics": ["balanced_accuracy"], "early_stopping": True}
    found, expected = train(MLPClassifier, options, X, y)
    assert_equal(found, expected)
    curves = (model.history_["balanced_accuracy"] for model in (found, expected))
    np.testing.assert_allclose(*curves)


@pytest.mark.parametrize("averaging", ["ema", SWA(start=1)])
def test_the_statistics_of_averaged_weights_are_those_of_all_rows(train, averaging):
    options = {"weight_averaging": averaging, "batch_norm": "before", "early_stopping": True}
    assert_equal(*train(MLPClassifier, options | {"max_iter": 4}, X, y))


def test_a_callback_of_the_client_unfreezes_layers(train):
    first = MLPClassifier(**COMMON, batch_norm="before").fit(X, y)
    options = {"pretrained": FrozenEstimator(first), "frozen_layers": 2}
    options["callbacks"] = [GradualUnfreezing({1: 1, 3: 1}, multiplier=0.5)]
    assert_equal(*train(MLPClassifier, options | {"batch_norm": "before", "max_iter": 5}, X, y))


def test_a_callback_of_the_client_changes_the_weights_and_the_learning_rate(train):
    class Shaking(Callback):
        def on_epoch_end(self, trainer):
            trainer.network.parameters.values *= 0.9
            trainer.learning_rate_init *= 0.5

    assert_equal(*train(MLPClassifier, {"callbacks": [Shaking()]}, X, y))


@pytest.mark.parametrize("part", ["continue", "partial_fit"])
def test_a_later_call_continues(monkeypatch, fleet, part):
    options = {**COMMON, "dropout": 0.2, "batch_norm": "before"}
    if part == "continue":
        options["warm_start"] = "continue"

    def train_twice(model):
        for _ in range(2):
            if part == "continue":
                model.fit(X, y)
            else:
                model.partial_fit(X, y, classes=np.unique(y))
        return model

    with training_on(monkeypatch, fleet, SIZES[len(fleet)]):
        found = train_twice(MLPClassifier(**options))
    assert_equal(found, train_twice(MLPClassifier(**options)))


# Local steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_averaging_after_every_step_of_sgd_is_training_on_whole_batches(
    monkeypatch, fleet, momentum
):
    options = {"solver": "sgd", "momentum": momentum, "alpha": 0.01, "learning_rate_init": 0.05}
    models = [MLPClassifier(**COMMON | options) for _ in range(2)]
    models[0].fit(X, y)
    with training_on(monkeypatch, fleet, SIZES[len(fleet)], local_steps=1):
        models[1].fit(X, y)
    for name in ("loss", "learning_rate"):
        np.testing.assert_allclose(*(model.history_[name] for model in models), rtol=1e-10)
    values = (model.network_.parameters.values for model in models)
    np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-10)


def local_steps_by_hand(members, order, every, *, batch_size, rate, n_epochs):
    """Return the weights of a linear model after local steps of gradient descent."""
    W, curve = np.zeros(X.shape[1] + 1), []
    A = np.column_stack([X, np.ones(len(X))])
    for _ in range(n_epochs):
        own = [W.copy() for _ in members]
        n_own, total, rows = np.zeros(len(members)), 0.0, order()
        starts = range(0, len(X), batch_size)
        for i, start in enumerate(starts):
            batch = rows[start : start + batch_size]
            for k, member in enumerate(members):
                part = batch[np.isin(batch, member)]
                if len(part):
                    error = A[part] @ own[k] - target[part]
                    total += 0.5 * (error**2).sum()
                    own[k] -= rate * A[part].T @ error / len(part)
                n_own[k] += len(part)
            if (i + 1) % every == 0 or i == len(starts) - 1:
                W = np.average(own, axis=0, weights=n_own)
                own, n_own[:] = [W.copy() for _ in members], 0
        curve.append(total / len(X))
    return W, curve


def test_local_steps(monkeypatch, fleet):
    members = [positions_of(*pair) for pair in zip(*cut(X, SIZES[len(fleet)]), strict=True)]
    model = MLPRegressor(
        **COMMON | {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0, "alpha": 0},
        initializer="zeros",
        bias_initializer="zeros",
        learning_rate_init=0.01,
    )
    with training_on(monkeypatch, fleet, SIZES[len(fleet)], local_steps=2):
        model.fit(X, target)
    rng = Streams(0).shuffle
    W, curve = local_steps_by_hand(
        members, lambda: rng.permutation(len(X)), 2, batch_size=32, rate=0.01, n_epochs=3
    )
    found = np.append(model.coefs_[0].ravel(), model.intercepts_[0])
    np.testing.assert_allclose(found, W, rtol=1e-10)
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-10)


@pytest.mark.parametrize("averaging", [None, "ema", SWA(start=1)])
def test_after_local_steps_all_members_have_the_weights_of_the_client(
    monkeypatch, fleet, averaging
):
    options = {"batch_norm": "before", "dropout": 0.2, "max_iter": 4, "learning_rate_init": 0.01}
    model = MLPClassifier(**COMMON | options, weight_averaging=averaging)
    with training_on(monkeypatch, fleet, SIZES[len(fleet)], local_steps=3):
        model.fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.t_ == 4 * len(X)
    run = copy.deepcopy(model._run)
    if averaging is not None:
        np.copyto(run.network.parameters.values, run.average.raw_)
    for weights in fleet.call("weights"):
        np.testing.assert_array_equal(weights, run.network.parameters.values)


# Parts of an epoch, and errors --------------------------------------------------------------------


def test_an_epoch_in_parts(monkeypatch, fleet):
    options = {"dropout": 0.2, "batch_norm": "before", "target_noise": 0.2}
    whole, parts = (MLPClassifier(**COMMON | options) for _ in range(2))
    whole.fit(X, y)
    calls = []

    def train_in_parts(client, batches):
        for until in (2, 3, None):
            if client.epoch == 0 or until == 3:  # new members continue from the client's state
                client._begin(batches)
            loss = client.train_part(batches, until)
            calls.append(loss)
        return loss

    with training_on(monkeypatch, fleet, SIZES[len(fleet)]):
        monkeypatch.setattr(Client, "train_epoch", train_in_parts)
        parts.fit(X, y)
    assert_equal(parts, whole)
    assert [loss is None for loss in calls] == [True, True, False] * 3


class Failing(Callback):
    """Fails in a step of one of several members, that which has the fewest rows."""

    def on_batch_end(self, trainer):
        if trainer.share.n_own < 5:
            raise RuntimeError("a fault of one member")


def test_if_a_member_fails_the_others_do_not_wait(monkeypatch):
    fleet = Fleet(2)
    try:
        with (
            training_on(monkeypatch, fleet, [(0, 5), (1, None)], callbacks=[Failing()]),
            pytest.raises(RuntimeError, match="a fault of one member"),
        ):
            MLPClassifier(**COMMON).fit(X, y)
        lost = fleet.answers[1]
        assert isinstance(lost, ConnectionError)
        assert "Member 1 has lost the connection to member 0" in str(lost)
    finally:
        fleet.close()


@pytest.mark.parametrize("local_steps", [None, 2])
def test_divergence(monkeypatch, fleet, local_steps):
    options = {"solver": "sgd", "learning_rate_init": 1e6, "batch_norm": None}
    with training_on(monkeypatch, fleet, SIZES[len(fleet)], local_steps=local_steps):
        with pytest.raises((DivergenceError, ConnectionError)) as caught:
            MLPRegressor(**COMMON | options).fit(X * 1e10, target)
        assert local_steps or isinstance(caught.value, DivergenceError)
