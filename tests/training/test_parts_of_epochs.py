"""Epochs in parts: a trainer stops between two batches, and the same or another one continues."""

import copy
import math

import numpy as np
import pytest

from skdeep.averages import EMA, SWA
from skdeep.callbacks import Callback
from skdeep.layers import BatchNorm, Dense, Dropout, GaussianNoise
from skdeep.losses import SquaredError
from skdeep.network import Network
from skdeep.optimizers import OPTIMIZERS, SGD, Adam
from skdeep.schedules import Constant, InverseScaling, OneCycle, Scheduled, Warmup
from skdeep.training.augmented import AugmentedBatches
from skdeep.training.batches import Batches, BatchSource, DenseTargets
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import Trainer

N_ROWS, N_INPUTS, N_OUTPUTS, BATCH_SIZE = 37, 4, 2, 5
N_BATCHES, N_EPOCHS = 8, 3
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N_ROWS, N_INPUTS))
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2] ** 2], axis=1)
WEIGHT = RNG.gamma(2.0, 0.5, N_ROWS)
FLOAT = np.dtype(float)


def a_run(optimizer=None, schedule=None, average=None):
    stack = [GaussianNoise(0.1), Dense(5, "tanh"), BatchNorm(), Dropout(0.2), Dense(N_OUTPUTS)]
    network = Network(stack, [4], N_INPUTS, FLOAT, np.random.default_rng(0))
    run = Run(
        Streams(0),
        network=network,
        loss=SquaredError(),
        optimizer=optimizer or Adam(),
        schedule=schedule or Constant(),
        monitor=Monitor(0.0, math.inf, False),
        average=average,
    )
    run.schedule.check()
    run.schedule.reset()
    if average is not None:
        average.reset()
    return run


def mean_output(Z, order):
    """Return figures that tell the outputs, their order and the order of their rows."""
    rows = np.arange(len(Z)) if order is None else order
    return {
        "first": float(Z[0, 0]),
        "weighted": float(np.arange(len(Z)) @ Z[:, 1] + rows @ Z[:, 0]),
    }


def a_trainer(run, callbacks=(), mode="fresh", **options):
    settings = Settings(
        mode=mode, learning_rate_init=0.01, horizon=N_EPOCHS, n_epochs=N_EPOCHS, l2=0.1, **options
    )
    return Trainer(run, settings, measure=mean_output, callbacks=callbacks)


class Foreign(BatchSource):
    """A source that draws an order piece by piece, and knows nothing of parts of epochs."""

    def __init__(self, streams):
        self.batch_size = BATCH_SIZE
        self.rng = streams.shuffle
        self.targets = DenseTargets(Y, 0.1, streams.noise)
        self.n_gathered = 0

    def __len__(self):
        return N_BATCHES

    def __iter__(self):
        for start in range(0, N_ROWS, BATCH_SIZE):
            rows = start + self.rng.permutation(min(BATCH_SIZE, N_ROWS - start))
            self.n_gathered += 1
            yield X[rows], self.targets.gather(rows, np.empty((len(rows), N_OUTPUTS))), WEIGHT[rows]

    def inputs(self):
        return (X[start : start + BATCH_SIZE] for start in range(0, N_ROWS, BATCH_SIZE))


def in_memory(streams, *, noise=0.0, shuffle=True, rows=None):
    targets = DenseTargets(Y, noise, streams.noise)
    rng = streams.shuffle if shuffle else None
    return Batches(X, targets, WEIGHT, BATCH_SIZE, rng, FLOAT, rows=rows)


def jitter(X, Y, rng):
    return X + rng.normal(0, 0.1, X.shape), Y


SOURCES = {
    "in memory": in_memory,
    "target noise": lambda streams: in_memory(streams, noise=Scheduled(0.1, "linear")),
    "in order": lambda streams: in_memory(streams, shuffle=False),
    "some rows": lambda streams: in_memory(streams, rows=np.arange(36)[::-1]),
    "augmented": lambda streams: AugmentedBatches(in_memory(streams), [jitter], streams.noise),
    "augmented, foreign": lambda streams: AugmentedBatches(
        Foreign(streams), [jitter], streams.noise
    ),
    "foreign": Foreign,
}
RUNS = {
    "plain": {},
    **{name: {"optimizer": OPTIMIZERS[name]} for name in OPTIMIZERS},
    "a schedule by step": {"schedule": OneCycle},
    "a schedule that asks for the first epoch": {"schedule": lambda: Warmup(InverseScaling(), 2)},
    "ema": {"average": lambda: EMA(0.8, start=1)},
    "swa": {"average": lambda: SWA(start=1)},
}


def epoch_of(trainer, source, stops):
    """Train an epoch in parts that end before these batches."""
    trainer.begin_epoch()
    for until in stops:
        assert trainer.train_epoch(source, until) is None
        assert trainer.batches_done == until
    trainer.end_epoch(trainer.train_epoch(source))
    assert trainer.batches_done == 0


def trained(make_source, stops=(), **parts):
    """Return a run whose epochs were trained in parts."""
    run = a_run(**{name: make() for name, make in parts.items()})
    trainer, source = a_trainer(run), make_source(run.streams)
    with session(trainer, source):
        for _ in range(N_EPOCHS):
            epoch_of(trainer, source, stops)
    return run


def session(trainer, source):
    """Open a session as `Trainer.fit` does."""
    trainer._batches = source
    frame = trainer.session(source.batch_size, trainer.rng)

    class Session:
        def __enter__(self):
            frame.__enter__()
            trainer.n_batches = len(source)
            trainer._start_optimizer()

        def __exit__(self, *error):
            return frame.__exit__(*error)

    return Session()


def assert_same(found, expected):
    for one, other in zip(found.vectors(), expected.vectors(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found.optimizer.slots_, expected.optimizer.slots_, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in expected.history.keys() - {"seconds"}:
        assert found.history[name] == expected.history[name], name
    for name in ("shuffle", "noise"):
        states = [getattr(r.streams, name).bit_generator.state for r in (found, expected)]
        assert states[0] == states[1], name
    assert found.rows_seen == expected.rows_seen


@pytest.mark.parametrize("stops", [(1,), (3, 4, 7), (0, 2, 2)], ids=str)
@pytest.mark.parametrize("kind", SOURCES)
def test_an_epoch_in_parts_is_an_epoch(kind, stops):
    expected = trained(SOURCES[kind])
    assert len(expected.history["weighted"]) == N_EPOCHS
    assert_same(trained(SOURCES[kind], stops), expected)


@pytest.mark.parametrize("kind", RUNS)
def test_an_epoch_in_parts_with_every_part_of_a_run(kind):
    assert_same(trained(in_memory, (2, 5), **RUNS[kind]), trained(in_memory, **RUNS[kind]))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("parts", RUNS.values(), ids=RUNS)
def test_another_trainer_continues_with_a_copy_of_the_run(kind, parts):
    expected = trained(SOURCES[kind], **parts)
    run = a_run(**{name: make() for name, make in parts.items()})
    for epoch in range(N_EPOCHS):
        for until in (epoch + 1, epoch + 4, None):  # each in a session of its own
            mode = "fresh" if (epoch, until) == (0, 1) else "resumed"
            trainer, source = a_trainer(run, mode=mode), SOURCES[kind](run.streams)
            with session(trainer, source):
                trainer.begin_epoch()
                loss = trainer.train_epoch(source, until)
                if loss is not None:
                    trainer.end_epoch(loss)
                else:
                    run = copy.deepcopy(run)  # before the session ends, which drops the state
    assert_same(run, expected)


def test_a_snapshot_within_an_epoch_brings_back_its_state():
    expected = trained(in_memory)
    run = a_run()
    trainer, source = a_trainer(run), in_memory(run.streams)
    with session(trainer, source):
        trainer.begin_epoch()
        trainer.train_epoch(source, 3)
        snapshot = run.snapshot()
        trainer.train_epoch(source, 6)
        run.restore(snapshot)
        kept = copy.deepcopy(run)
    assert kept.within.n_batches == 3
    trainer, source = a_trainer(kept, mode="resumed"), in_memory(kept.streams)
    with session(trainer, source):
        for _ in range(N_EPOCHS):
            epoch_of(trainer, source, ())
    assert_same(kept, expected)


def test_a_part_that_reaches_the_end_is_the_last():
    run = a_run()
    trainer, source = a_trainer(run), in_memory(run.streams)
    with session(trainer, source):
        trainer.begin_epoch()
        assert trainer.train_epoch(source, 3) is None
        assert trainer.train_epoch(source, 100) == pytest.approx(
            trained(in_memory).history["loss"][0]
        )
        assert run.within is None


def test_nobody_who_asks_means_no_state_within_epochs():
    class Look(Callback):
        def on_gradient(self, trainer):
            self.within_ = trainer.run.within

    run, look = a_run(), Look()
    source = in_memory(run.streams)
    trainer = a_trainer(run, [look])
    with session(trainer, source):
        epoch_of(trainer, source, ())
        assert look.within_ is None


@pytest.mark.parametrize("first", [0, 1, 5, N_BATCHES])
@pytest.mark.parametrize("kind", ["in memory", "in order", "some rows"])
def test_batches_from_a_number_on(kind, first):
    def copies(supply):
        return [[part.copy() for part in batch] for batch in supply]

    whole, part = Streams(3), Streams(3)
    expected = copies(SOURCES[kind](whole))
    source = SOURCES[kind](part)
    found = copies(source.starting_at(first))
    assert len(found) == len(source) - first
    for batch, expected_batch in zip(found, expected[first:], strict=True):
        for array, expected_array in zip(batch, expected_batch, strict=True):
            np.testing.assert_array_equal(array, expected_array)
    assert part.shuffle.bit_generator.state == whole.shuffle.bit_generator.state


def test_a_foreign_source_gathers_the_batches_that_are_left_out():
    source = Foreign(Streams(0))
    supply = source.starting_at(3)
    assert source.n_gathered == 3  # at once, so that the trainer can undo the draws of noise
    next(supply)
    assert source.n_gathered == 4


def test_batches_in_memory_draw_no_noise_for_batches_that_are_left_out():
    streams = Streams(0)
    before = streams.noise.bit_generator.state
    next(in_memory(streams, noise=0.1).starting_at(3))
    once = streams.noise.bit_generator.state
    streams.noise.bit_generator.state = before
    next(iter(in_memory(streams, noise=0.1)))
    assert streams.noise.bit_generator.state == once != before


class Watch(Callback):
    def on_batch_end(self, trainer):
        self.done_ = trainer.batches_done


def test_divergence_within_an_epoch_leaves_no_part_of_it():
    run, watch = a_run(optimizer=SGD()), Watch()
    settings = Settings(learning_rate_init=1e200, horizon=1, n_epochs=1)
    with pytest.raises(ValueError, match="the loss became"):
        Trainer(run, settings, callbacks=[watch]).fit(in_memory(run.streams), 1)
    assert watch.done_ >= 1
    assert run.within is None
