"""The trainer: one step, one epoch, one run, and what ends it."""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skdeep.callbacks import Callback
from skdeep.clipping import gradient_norm
from skdeep.constraints import NonNeg, UnitNorm
from skdeep.kernels import draw_seed, numpy_kernels
from skdeep.layers import ActivityRegularization, BatchNorm, Dense, Dropout, GaussianNoise
from skdeep.losses import LogLoss, SquaredError
from skdeep.network import Network
from skdeep.optimizers import SGD, Adam
from skdeep.regularizers import L1, L2
from skdeep.schedules import Adaptive, Constant, Exponential, Linear, Schedule, Step
from skdeep.training.batches import Batches, DenseTargets
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import DivergenceError, Trainer

N_ROWS, N_INPUTS, N_OUTPUTS = 22, 4, 2


def data(dtype=float):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N_ROWS, N_INPUTS)).astype(dtype)
    Y = np.stack([X[:, 0] * X[:, 1], X[:, 2] ** 2], axis=1)
    return X, Y, rng.gamma(2.0, 0.5, N_ROWS).astype(dtype)


def layers(**options):
    return [Dense(5, "tanh", **options), Dense(N_OUTPUTS, **options)]


def make(
    stack=None,
    *,
    optimizer=None,
    schedule=None,
    monitor=None,
    history=None,
    loss=None,
    rows_seen=0,
    rng=None,
    average=None,
    validate=None,
    callbacks=(),
    stages=(),
    **options,
):
    """Return a trainer; by default of plain gradient descent, without any early stop."""
    network = Network(
        layers() if stack is None else stack,
        [1],
        N_INPUTS,
        np.dtype(float),
        np.random.default_rng(0),
    )
    schedule = Constant() if schedule is None else schedule
    schedule.reset()
    streams = Streams(0)
    streams.noise = np.random.default_rng(7) if rng is None else rng
    run = Run(
        streams,
        {"loss": []} if history is None else history,
        network=network,
        loss=SquaredError() if loss is None else loss,
        optimizer=SGD(momentum=0.0) if optimizer is None else optimizer,
        schedule=schedule,
        monitor=Monitor(0.0, math.inf, False) if monitor is None else monitor,
        average=average,
    )
    run.rows_seen = rows_seen
    settings = Settings(**{"mode": "partial", "learning_rate_init": 0.1, **options})
    return Trainer(run, settings, validate=validate, callbacks=callbacks, stages=stages)


def batches(batch_size=8, weighted=False, shuffle=False):
    X, Y, weight = data()
    rng = np.random.default_rng(3) if shuffle else None
    return Batches(X, DenseTargets(Y), weight if weighted else None, batch_size, rng, X.dtype)


def values(trainer):
    return trainer.network.parameters.values


def start_optimizer(trainer):
    trainer._start_optimizer()


# The objective --------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [N_ROWS, 8, 1])
def test_the_objective_is_the_weighted_loss_and_all_penalties(weighted, n_rows):
    stack = [
        Dense(5, "tanh", kernel_regularizer=L1(0.2)),
        ActivityRegularization(L2(0.3)),
        Dense(N_OUTPUTS, bias_regularizer=L2(0.4), bias_initializer="ones"),
    ]
    trainer = make(stack, l1=0.5, l2=0.7)
    X, Y, weight = (a[:n_rows] for a in data())
    network = trainer.network
    hidden, output = network.layers[0], network.layers[2]
    H, P = network.infer(X, 1), network.infer(X)
    w = weight if weighted else np.ones(n_rows)
    W = np.concatenate([hidden.kernel_.value.ravel(), output.kernel_.value.ravel()])
    expected = (
        (w * ((P - Y) ** 2).mean(axis=1) / 2).sum() / n_rows
        + 0.5 / n_rows * np.abs(W).sum()
        + 0.7 / 2 / n_rows * (W**2).sum()
        + 0.2 * np.abs(hidden.kernel_.value).sum()
        + 0.3 * (H**2).sum() / n_rows
        + 0.4 * (output.bias_.value**2).sum()
    )
    with trainer.session(N_ROWS, None):
        loss = trainer.objective(X, Y, weight if weighted else None)
    assert loss == pytest.approx(expected, rel=1e-12)


def test_the_objective_leaves_data_and_weights_alone():
    trainer = make()
    arrays = data()
    for array in arrays:
        array.flags.writeable = False
    before = values(trainer).copy()
    with trainer.session(N_ROWS, None):
        trainer.objective(*arrays)
    np.testing.assert_array_equal(values(trainer), before)


# The order of a step --------------------------------------------------------------------------

RATE, DECAY, NOISE, CLIP_VALUE, CLIP_NORM = 0.4, 0.5, 0.3, 0.15, 0.25


def step_by_hand(order):
    """Return the weights after a step whose parts come in this order."""
    trainer = make(layers(kernel_constraint=UnitNorm(), bias_constraint=NonNeg()), l2=3.0)
    network = trainer.network
    with trainer.session(N_ROWS, None):
        trainer.objective(*data())
        g = network.parameters.grads.copy()
        noise = np.empty_like(g)
        numpy_kernels.fill_normal(draw_seed(np.random.default_rng(7)), NOISE, noise)
        w, n_kernels = values(trainer), network.parameters.n_kernels

        def clip_norm():
            g[:] *= min(1, CLIP_NORM / np.linalg.norm(g))

        def decay():
            w[:n_kernels] -= RATE * DECAY * w[:n_kernels]

        def constrain():
            for p in network.parameters.parameters:
                p.value[...] = (
                    p.value / np.linalg.norm(p.value, axis=0) if p.kernel else p.value.clip(0)
                )

        parts = {
            "noise": lambda: np.add(g, noise, out=g),
            "clip by value": lambda: np.clip(g, -CLIP_VALUE, CLIP_VALUE, out=g),
            "clip by norm": clip_norm,
            "optimizer": lambda: np.subtract(w, RATE * g, out=w),
            "decay": decay,
            "constraints": constrain,
        }
        for name in order:
            parts[name]()
        return w.copy()


ORDER = ["noise", "clip by value", "clip by norm", "decay", "optimizer", "constraints"]
INDEPENDENT = ("clip by norm", "decay")  # one is about the gradient, the other about the weights


def test_the_order_of_a_step():
    trainer = make(
        layers(kernel_constraint=UnitNorm(), bias_constraint=NonNeg()),
        l2=3.0,
        learning_rate_init=RATE,
        weight_decay=DECAY,
        gradient_noise=NOISE,
        clip_value=CLIP_VALUE,
        clip_norm=CLIP_NORM,
    )
    with trainer.session(N_ROWS, None):
        start_optimizer(trainer)
        loss = trainer.train_batch(*data())
    expected = step_by_hand(ORDER)
    np.testing.assert_allclose(values(trainer), expected, rtol=1e-12, atol=1e-15)
    assert (values(trainer) == 0).any()
    # what is returned is the objective before the step, penalties included
    other = make(l2=3.0)
    with other.session(N_ROWS, None):
        assert loss == pytest.approx(other.objective(*data()), rel=1e-13)
    # and the test would notice any other order
    for first, second in pairwise(ORDER):
        if (first, second) == INDEPENDENT:
            continue
        swapped = list(ORDER)
        i = swapped.index(first)
        swapped[i : i + 2] = second, first
        assert not np.allclose(step_by_hand(swapped), expected, rtol=1e-6), (first, second)


def test_nothing_that_was_not_asked_for_happens():
    trainer = make()
    with trainer.session(N_ROWS, None):
        trainer.objective(*data())
        expected = values(trainer) - 0.1 * trainer.network.parameters.grads
        start_optimizer(trainer)
        trainer.train_batch(*data())
    np.testing.assert_allclose(values(trainer), expected, rtol=1e-14)


def test_decay_is_decoupled_from_the_gradient():
    decayed, plain = make(optimizer=Adam(), weight_decay=0.5), make(optimizer=Adam())
    before = values(plain).copy()
    for trainer in (decayed, plain):
        trainer.fit(batches(N_ROWS), 1)
    n = plain.network.parameters.n_kernels
    step = values(plain)[:n] - before[:n]
    np.testing.assert_allclose(values(decayed)[:n], 0.95 * before[:n] + step, rtol=1e-13)
    np.testing.assert_array_equal(values(decayed)[n:], values(plain)[n:])


def test_frozen_parameters_and_running_statistics_are_not_stepped():
    class Frozen(Dense):
        def build(self, n_inputs):
            built = super().build(n_inputs)
            for p in built[1]:
                p.trainable = False
            return built

    trainer = make([Frozen(5, "tanh"), BatchNorm(), Dense(2)], weight_decay=0.5, l2=1.0)
    network = trainer.network
    before = [p.value.copy() for p in network.layers[0].parameters_]
    trainer.fit(batches(), 3)
    for p, value in zip(network.layers[0].parameters_, before, strict=True):
        np.testing.assert_array_equal(p.value, value)
    assert (network.layers[1].mean_.value != 0).all()


# An epoch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [8, 11, 22])
def test_the_loss_of_an_epoch_is_the_mean_over_its_rows(batch_size, weighted):
    """With a rate of 0 nothing moves, and every batch is seen with the same weights."""
    trainer = make(optimizer=SGD(0.0), learning_rate_init=0.0)
    trainer.fit(batches(batch_size, weighted), 1)
    X, Y, weight = data()
    P = trainer.network.infer(X)
    w = weight if weighted else np.ones(N_ROWS)
    expected = (w * ((P - Y) ** 2).mean(axis=1)).sum() / 2 / N_ROWS
    assert trainer.history["loss"] == [pytest.approx(expected, rel=1e-12)]


def test_the_penalty_is_divided_by_the_rows_of_each_batch():
    trainer = make(learning_rate_init=0.0, l2=1.0)
    trainer.fit(batches(8), 1)
    bare = make(learning_rate_init=0.0)
    bare.fit(batches(8), 1)
    w = values(trainer)[: trainer.network.parameters.n_kernels]
    # every row of a batch of n bears a share of penalty / n, and there are three batches
    expected = 3 * (w**2).sum() / 2 / N_ROWS
    assert trainer.history["loss"][0] - bare.history["loss"][0] == pytest.approx(expected)


def test_a_short_last_batch_is_a_step_of_its_own():
    trainer = make()
    trainer.fit(batches(8), 1)
    assert trainer.optimizer.n_steps_ == 3
    by_hand = make()
    X, Y, _ = data()
    with by_hand.session(8, None):
        for start in (0, 8, 16):
            by_hand.objective(X[start : start + 8], Y[start : start + 8], None)
            w = values(by_hand)
            w -= 0.1 * by_hand.network.parameters.grads
    np.testing.assert_allclose(values(trainer), values(by_hand), rtol=1e-13)


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_the_norm_in_the_history_is_that_of_the_last_gradient_before_it_is_clipped(clip_norm):
    trainer = make(learning_rate_init=0.0, clip_norm=clip_norm, gradient_noise=0.1, l2=0.5)
    trainer.fit(batches(8), 1)
    X, Y, _ = data()
    with trainer.session(8, None):
        trainer.objective(X[16:], Y[16:], None)
        expected = gradient_norm(trainer.network.parameters.grads)
    assert trainer.history["gradient_norm"] == [pytest.approx(expected, rel=1e-12)]


# Rates ----------------------------------------------------------------------------------------


class Asks(Schedule):
    """Writes down what it is asked."""

    def __init__(self, every_step, asked):
        self.every_step = every_step
        self.asked = asked

    def rate(self, initial, progress):
        assert initial == 0.1
        self.asked.append((progress.epoch, progress.rows, progress.fresh))
        return 0.01 * len(self.asked)


@pytest.mark.parametrize("every_step", [False, True])
def test_a_schedule_is_asked_before_every_step_or_every_epoch(every_step):
    asked = []
    trainer = make(schedule=Asks(every_step, asked), rows_seen=100, mode="warm")
    trainer.schedule.ends = True  # no warning of too few epochs
    trainer.epochs_before = 5
    trainer.fit(batches(8), 2)
    at = [(5, 100, True), (6, 100 + N_ROWS, False)]
    if not every_step:
        assert asked == at
    else:
        expected = [(e + i / 3, rows, fresh) for e, rows, fresh in at for i in range(3)]
        np.testing.assert_allclose(np.array(asked, float), np.array(expected, float))
    assert trainer.history["learning_rate"] == ([0.03, 0.06] if every_step else [0.01, 0.02])
    assert trainer.learning_rate == trainer.history["learning_rate"][-1]
    assert trainer.run.rows_seen == 100 + 2 * N_ROWS


@pytest.mark.parametrize("optimizer", [SGD(0.0), SGD(0.9), Adam()], ids=str)
def test_a_schedule_works_with_every_optimizer(optimizer):
    trainer = make(optimizer=optimizer, schedule=Step(0.5, 1))
    trainer.fit(batches(), 3)
    assert trainer.history["learning_rate"] == [0.1, 0.05, 0.025]


def test_a_plateau_lowers_an_adaptive_rate_and_then_stops():
    trainer = make(
        learning_rate_init=1e-9,
        schedule=Adaptive(10, 5e-11),
        monitor=Monitor(0.1, 1, False),
        mode="fresh",
    )
    trainer.fit(batches(), 100)
    # the first epoch improves on nothing; then two more a plateau
    assert trainer.history["learning_rate"] == pytest.approx([1e-9] * 3 + [1e-10] * 2 + [1e-11] * 2)


@pytest.mark.parametrize("n_epochs", [1, 4])
def test_a_schedule_is_laid_out_for_its_horizon_whatever_this_run_has(n_epochs):
    trainer = make(schedule=Linear(), horizon=10)
    trainer.epochs_before = 2
    trainer.fit(batches(N_ROWS), n_epochs)
    expected = [0.08, 0.07, 0.06, 0.05][:n_epochs]
    assert trainer.history["learning_rate"] == pytest.approx(expected)


def test_the_rate_goes_down_within_an_epoch():
    trainer = make(schedule=Exponential(0.5))
    trainer.fit(batches(8), 1)
    assert trainer.history["learning_rate"] == [pytest.approx(0.1 * 0.5 ** (2 / 3))]


# A run ----------------------------------------------------------------------------------------


def test_the_history_has_a_line_for_every_epoch():
    history = {"loss": [9.0]}
    trainer = make(history=history)
    trainer.fit(batches(), 3)
    assert history.keys() == {"loss", "learning_rate", "gradient_norm", "seconds"}
    assert {len(column) for column in history.values()} == {4}
    assert history["loss"][0] == 9.0
    assert math.isnan(history["seconds"][0])
    assert all(0 < s < 10 for s in history["seconds"][1:])
    assert trainer.epoch == 3


def test_validation_is_asked_for_after_every_epoch():
    seen = []

    def validate():
        seen.append(values(trainer).copy())
        return {"val_loss": 0.5 + len(seen), "val_score": 0.25 * len(seen)}

    trainer = make(validate=validate)
    trainer.fit(batches(), 3)
    assert trainer.history["val_loss"] == [1.5, 2.5, 3.5]
    assert trainer.history["val_score"] == [0.25, 0.5, 0.75]
    np.testing.assert_array_equal(seen[-1], values(trainer))
    assert not np.array_equal(seen[0], seen[1])


def test_training_stops_where_nothing_improves_any_more():
    trainer = make(learning_rate_init=1e-9, monitor=Monitor(1e-3, 4, False))
    trainer.fit(batches(), 100)
    assert trainer.epoch == 1 + 4 + 1


def test_the_best_weights_are_restored():
    scores, snapshots = iter([0.1, 0.9, 0.5, 0.3]), []

    def validate():
        snapshots.append(values(trainer).copy())
        return {"val_loss": 0.0, "val_score": next(scores)}

    trainer = make(validate=validate, monitor=Monitor(0.0, 1, True))
    trainer.fit(batches(), 100)
    assert trainer.epoch == 4
    np.testing.assert_array_equal(values(trainer), snapshots[1])


def test_best_weights_include_the_running_statistics():
    scores, snapshots = iter([0.9, 0.5, 0.4]), []

    def validate():
        snapshots.append(values(trainer).copy())
        return {"val_loss": 0.0, "val_score": next(scores)}

    trainer = make(
        [Dense(5), BatchNorm(), Dense(2)], validate=validate, monitor=Monitor(0.0, 1, True)
    )
    trainer.fit(batches(), 100)
    np.testing.assert_array_equal(values(trainer), snapshots[0])
    n = trainer.network.parameters.n_trainable
    assert not np.array_equal(snapshots[0][n:], snapshots[1][n:])


def test_a_run_that_comes_to_its_last_epoch_may_warn():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        make(mode="fresh").fit(batches(), 2)
    make(mode="partial").fit(batches(), 2)


def test_the_same_seeds_give_the_same_weights():
    stack = [GaussianNoise(0.1), Dense(5, "tanh", weight_noise=0.1), Dropout(0.3), Dense(2)]
    results = []
    for seed in (0, 0, 1):
        trainer = make(
            [type(layer)(**layer.get_params(deep=False)) for layer in stack],
            gradient_noise=0.1,
            rng=np.random.default_rng(seed),
        )
        trainer.fit(batches(shuffle=True), 3)
        results.append(values(trainer))
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_an_optimizer_that_has_started_goes_on():
    straight, first = make(optimizer=Adam()), make(optimizer=Adam())
    straight.fit(batches(), 4)
    first.fit(batches(), 2)
    second = make(optimizer=pickle.loads(pickle.dumps(first.optimizer)))
    values(second)[:] = values(first)
    second.fit(batches(), 2)
    np.testing.assert_array_equal(values(second), values(straight))


def test_training_lowers_the_loss():
    trainer = make(optimizer=Adam(), learning_rate_init=0.02)
    trainer.fit(batches(shuffle=True), 200)
    assert trainer.history["loss"][-1] < 0.1 * trainer.history["loss"][0]


def test_the_memory_of_training_is_given_back():
    trainer = make([Dense(5, "gelu"), Dropout(0.1), Dense(2)])
    size = len(pickle.dumps(trainer.network))
    trainer.fit(batches(), 2)
    assert trainer.network.parameters.grads is None
    assert len(pickle.dumps(trainer.network)) == size


def test_verbose_says_why_it_stops(capsys):
    monitor = Monitor(1e-3, 1, False)
    make(verbose=True, learning_rate_init=1e-9, monitor=monitor).fit(batches(), 9)
    assert capsys.readouterr().out.rstrip().endswith("for 1 consecutive epochs. Stopping.")


# What ends a run early ------------------------------------------------------------------------


class RaisesAfter(Callback):
    def __init__(self, epoch, error):
        self.epoch = epoch
        self.error = error

    def on_epoch_end(self, trainer):
        if trainer.epoch == self.epoch:
            raise self.error


def counting_up():
    """Return a validation whose score is best in the second epoch."""
    scores = iter([0.1, 0.9, 0.5, 0.3, 0.2, 0.1])
    return lambda: {"val_loss": 0.0, "val_score": next(scores)}


def test_a_loss_that_is_not_finite_ends_it_at_once():
    trainer = make(learning_rate_init=1e200)
    with pytest.raises(DivergenceError, match="non-finite") as error:
        trainer.fit(batches(), 50)
    assert trainer.epoch <= 2
    assert f"In epoch {trainer.epoch} the loss became" in str(error.value)
    for help_ in ("StandardScaler", "learning_rate_init=1e+200", "clip_norm"):
        assert help_ in str(error.value)
    assert math.isnan(trainer.history["loss"][-1])
    assert trainer.network.parameters.grads is None


def test_weights_that_are_not_finite_after_the_last_step_are_an_error():
    trainer = make(learning_rate_init=math.inf)
    with pytest.raises(DivergenceError, match="In epoch 1 the weights became infinite or NaN"):
        trainer.fit(batches(N_ROWS), 1)


def test_a_run_that_diverges_after_a_good_epoch_restores_it():
    class Explodes(Schedule):
        def rate(self, initial, progress):
            return 0.1 if progress.epoch < 3 else 1e300

    snapshots = []
    scores = counting_up()

    def validate():
        snapshots.append(values(trainer).copy())
        return scores()

    trainer = make(schedule=Explodes(), validate=validate, monitor=Monitor(0.0, 50, True))
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d.*best\s+epoch \(2\)"):
        trainer.fit(batches(), 50)
    np.testing.assert_array_equal(values(trainer), snapshots[1])


def test_an_interrupted_run_keeps_the_best_weights():
    snapshots, scores = [], counting_up()

    def validate():
        snapshots.append(values(trainer).copy())
        return scores()

    trainer = make(
        validate=validate,
        monitor=Monitor(0.0, 50, True),
        callbacks=[RaisesAfter(4, KeyboardInterrupt())],
    )
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        trainer.fit(batches(), 50)
    assert trainer.epoch == 4
    np.testing.assert_array_equal(values(trainer), snapshots[1])
    assert trainer.network.parameters.grads is None


def test_an_interrupted_run_without_a_score_keeps_the_last_weights():
    trainer = make(callbacks=[RaisesAfter(3, KeyboardInterrupt())])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        trainer.fit(batches(), 50)
    other = make()
    other.fit(batches(), 3)
    np.testing.assert_array_equal(values(trainer), values(other))


def test_any_other_error_goes_through_and_leaves_no_buffers():
    trainer = make(callbacks=[RaisesAfter(1, ZeroDivisionError())])
    with pytest.raises(ZeroDivisionError):
        trainer.fit(batches(), 50)
    assert trainer.network.parameters.grads is None
    assert "_X" not in vars(trainer.network.layers[0])


# Losses and tasks -----------------------------------------------------------------------------


def test_a_classifier_learns_a_table():
    X = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]] * 5, float)
    Y = (X[:, :1] != X[:, 1:2]).astype(float)
    network = Network(
        [Dense(8, "tanh"), Dense(1)], [1], 4, np.dtype(float), np.random.default_rng(0)
    )
    run = Run(
        Streams(0),
        network=network,
        loss=LogLoss(),
        optimizer=Adam(),
        schedule=Linear(),
        monitor=Monitor(0.0, math.inf, False),
    )
    trainer = Trainer(run, Settings(learning_rate_init=0.1, horizon=100))
    trainer.fit(Batches(X, DenseTargets(Y), None, 10, None, X.dtype), 100)
    assert ((network.infer(X) > 0) == (Y == 1)).all()
    assert trainer.history["loss"][-1] < 0.01
