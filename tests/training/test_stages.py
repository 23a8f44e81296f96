"""What stands between the gradient and the optimizer, in a user's own script."""

import threading
import tracemalloc

import numpy as np
import pytest

from skdeep import MLPRegressor
from skdeep.callbacks import Callback
from skdeep.initializers import Normal
from skdeep.layers import Dense, Layer
from skdeep.losses import SquaredError
from skdeep.network import Network
from skdeep.optimizers import SGD, Adam
from skdeep.parameters import Parameter
from skdeep.schedules import Constant
from skdeep.training.batches import Batches, BatchSource, DenseTargets
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.stages import GradientStage
from skdeep.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Y = np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2])], axis=1)


def a_trainer(layers=None, *, optimizer=None, stages=(), callbacks=(), n_inputs=4, **settings):
    layers = layers or [Dense(6, "tanh"), Dense(2)]
    network = Network(layers, [1], n_inputs, np.dtype(float), np.random.default_rng(0))
    run = Run(
        Streams(0),
        network=network,
        loss=SquaredError(),
        optimizer=optimizer or Adam(),
        schedule=Constant(),
        monitor=Monitor(0.0, np.inf, False),
    )
    settings = Settings(**{"mode": "partial", "learning_rate_init": 0.01, **settings})
    return Trainer(run, settings, stages=stages, callbacks=callbacks)


def batches_of(rows, batch_size):
    return Batches(X[rows], DenseTargets(Y[rows]), None, batch_size, None, np.dtype(float))


# Two networks in lockstep ------------------------------------------------------------------------


class Meeting:
    """Where workers meet to average their gradients."""

    def __init__(self, n_workers):
        self.barrier = threading.Barrier(n_workers, timeout=60)
        self.given = [None] * n_workers


class MeanOverWorkers(GradientStage):
    """The mean gradient of all workers' rows."""

    before_penalties = True

    def __init__(self, meeting, worker):
        self.meeting, self.worker = meeting, worker

    def apply(self, gradient, step):
        meeting = self.meeting
        meeting.given[self.worker] = gradient.copy(), step.loss, step.n_rows
        meeting.barrier.wait()
        gradients, losses, n_rows = zip(*meeting.given, strict=True)
        meeting.barrier.wait()
        weights = np.array(n_rows) / sum(n_rows)
        np.copyto(gradient, sum(w * g for w, g in zip(weights, gradients, strict=True)))
        step.loss, step.n_rows = float(weights @ losses), sum(n_rows)


@pytest.mark.parametrize(
    "settings",
    [{}, {"l1": 0.2, "l2": 0.7, "weight_decay": 0.1}, {"clip_norm": 0.1, "clip_value": 0.05}],
    ids=["plain", "penalties", "clipping"],
)
def test_networks_that_average_gradients_train_like_one_on_all_rows(settings):
    n_own, n_other = 20, 10  # rows of a batch
    own = [i for start in range(0, 120, 30) for i in range(start, start + n_own)]
    other = sorted(set(range(120)) - set(own))
    meeting = Meeting(2)
    workers = [a_trainer(stages=[MeanOverWorkers(meeting, i)], **settings) for i in range(2)]
    sources = batches_of(own, n_own), batches_of(other, n_other)
    threads = [
        threading.Thread(target=worker.fit, args=(source, 5))
        for worker, source in zip(workers, sources, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = a_trainer(**settings)
    together.fit(batches_of(list(range(120)), 30), 5)
    expected = together.network.parameters.values
    for worker in workers:
        np.testing.assert_allclose(
            worker.network.parameters.values, expected, rtol=1e-12, atol=1e-12
        )
    np.testing.assert_allclose(workers[0].history["loss"], together.history["loss"], rtol=1e-12)
    assert len(together.history["loss"]) == 5


# A layer with a rate of its own ------------------------------------------------------------------


class Embedding(Layer):
    """Y = rows of a table, chosen by the first column of X; with a learning rate of its own."""

    def __init__(self, n_entries=3, width=2, rate=1.0):
        self.n_entries, self.width, self.rate = n_entries, width, rate

    def build(self, n_inputs):
        shape = self.n_entries, self.width
        self.table_ = Parameter("table", shape, Normal(0.1), rate=self.rate)
        return self.width, [self.table_]

    def forward(self, X):
        self._codes = X[:, 0].astype(int) % self.n_entries
        return self.table_.value[self._codes]

    def backward(self, dY):
        self.table_.grad[...] = 0
        np.add.at(self.table_.grad, self._codes, dY)
        return None

    def infer(self, X):
        return self.table_.value[X[:, 0].astype(int) % self.n_entries]


CODES = np.arange(60).reshape(-1, 1).astype(float)
PRICES = np.array([1.0, -2.0, 3.0])[np.arange(60) % 3]


def trained_tables(**options):
    """Return the table before and after a step of gradient descent."""
    found = []
    for n_epochs, rate in [(1, 0.0), (1, options.pop("rate", 1.0))]:
        mlp = MLPRegressor(
            layers=[Embedding(rate=rate)],
            solver=SGD(momentum=0.0),
            learning_rate_init=0.01,
            batch_size=60,
            max_iter=n_epochs,
            alpha=0.0,
            random_state=0,
            **(options if rate else {}),
        ).fit(CODES, PRICES)
        found.append(mlp.network_.layers[0].table_.value.copy())
    return found


def test_a_layer_of_ones_own_has_a_rate_of_its_own():
    start, after = trained_tables(rate=1.0)
    assert not np.array_equal(start, after)
    for rate in (0.5, 20.0):
        _, faster = trained_tables(rate=rate)
        np.testing.assert_allclose(faster - start, rate * (after - start), rtol=1e-9)


def test_learning_rate_multipliers_multiply_it():
    start, after = trained_tables(rate=1.0)
    _, faster = trained_tables(rate=4.0, learning_rate_multipliers=[0.5, 1.0])
    np.testing.assert_allclose(faster - start, 2.0 * (after - start), rtol=1e-9)


@pytest.mark.parametrize("rate", [-1, np.nan, "fast", None, True])
def test_a_rate_is_a_number(rate):
    with pytest.raises(ValueError, match=r"rate=.* of the parameter 'table' is not allowed"):
        MLPRegressor(layers=[Embedding(rate=rate)]).fit(CODES, PRICES)


# Training from a stream --------------------------------------------------------------------------


class Chunks(BatchSource):
    """Batches from an iterable of chunks, one of which is in memory at a time."""

    def __init__(self, chunks, n_batches, batch_size):
        self.chunks, self.n_batches, self.batch_size = chunks, n_batches, batch_size

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        for X, Y in self.chunks():
            for start in range(0, len(X), self.batch_size):
                part = slice(start, start + self.batch_size)
                yield X[part], Y[part], None


def chunks(n_chunks, n_rows=1000, n_columns=50):
    """Yield rows that are made as they are asked for."""
    for i in range(n_chunks):
        X = np.random.default_rng(i).standard_normal((n_rows, n_columns))
        yield X, X[:, :2] * X[:, 1:2]


def test_a_network_trains_on_a_stream_that_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setenv("SKDEEP_KERNELS", "numpy")  # what an import takes is not counted
    n_chunks = 40
    size = n_chunks * 1000 * 50 * 8
    trainer = a_trainer([Dense(16, "relu"), Dense(2)], n_inputs=50)
    source = Chunks(lambda: chunks(n_chunks), n_chunks * 10, 100)
    tracemalloc.start()
    trainer.fit(source, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 8
    assert trainer.run.rows_seen == 3 * n_chunks * 1000
    losses = trainer.history["loss"]
    assert losses[-1] < 0.6 * losses[0]


def test_a_stream_trains_as_rows_in_memory_do():
    stream = a_trainer([Dense(16, "relu"), Dense(2)], n_inputs=50)
    stream.fit(Chunks(lambda: chunks(3), 30, 100), 2)
    parts = list(chunks(3))
    X, Y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    memory = a_trainer([Dense(16, "relu"), Dense(2)], n_inputs=50)
    memory.fit(Batches(X, DenseTargets(Y), None, 100, None, X.dtype), 2)
    np.testing.assert_array_equal(
        stream.network.parameters.values, memory.network.parameters.values
    )


# Who sees the gradient, and the loss of a batch --------------------------------------------------


class Gradients(Callback):
    def __init__(self, every_gradient=False):
        self.every_gradient = every_gradient

    def on_train_begin(self, trainer):
        self.norms_, self.losses_ = [], []

    def on_gradient(self, trainer):
        norm = np.linalg.norm(trainer.network.parameters.grads)
        assert trainer.gradient_norm == pytest.approx(norm)
        self.norms_.append(norm)

    def on_batch_end(self, trainer):
        self.losses_.append((trainer.batch_loss, trainer.batch_rows))


@pytest.mark.parametrize(("every", "n_seen"), [(False, 2), (True, 6)])
def test_a_callback_sees_the_gradient_of_the_steps_that_it_asks_for(every, n_seen):
    watcher = Gradients(every)
    mlp = MLPRegressor((4,), callbacks=[watcher], batch_size=50, max_iter=2, random_state=0)
    mlp.fit(X, Y)
    assert len(watcher.norms_) == n_seen
    of_epochs = watcher.norms_[n_seen // 2 - 1 :: n_seen // 2]
    np.testing.assert_allclose(mlp.history_["gradient_norm"], of_epochs, rtol=1e-12)
    assert [n for _, n in watcher.losses_] == [50, 50, 20] * 2
    means = np.array([loss * n for loss, n in watcher.losses_]).reshape(2, 3).sum(axis=1) / 120
    np.testing.assert_allclose(mlp.loss_curve_, means, rtol=1e-12)
    plain = MLPRegressor((4,), batch_size=50, max_iter=2, random_state=0).fit(X, Y)
    np.testing.assert_allclose(mlp.coefs_[0], plain.coefs_[0], rtol=1e-10)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("frozen_layers", [0, 1])
def test_the_norm_of_each_parameter_is_clipped_on_its_own(monkeypatch, kernels, frozen_layers):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    options = {
        "solver": SGD(momentum=0.0),
        "learning_rate_init": 0.1,
        "batch_size": 120,
        "max_iter": 1,
        "alpha": 0.0,
        "random_state": 0,
        "bias_initializer": "zeros",
        "frozen_layers": frozen_layers,
    }
    start = MLPRegressor((4,), **{**options, "learning_rate_init": 1e-300}).fit(X, 10 * Y)
    free = MLPRegressor((4,), **options).fit(X, 10 * Y)
    first, wanted = ([*mlp.coefs_, *mlp.intercepts_] for mlp in (start, free))
    pairs = zip(first, wanted, strict=True)
    norms = [np.linalg.norm(after - before) / 0.1 for before, after in pairs]
    limit = float(np.mean(norms))
    clipped = MLPRegressor((4,), clip_parameter_norm=limit, **options).fit(X, 10 * Y)
    found = [*clipped.coefs_, *clipped.intercepts_]
    for before, after, norm, array in zip(first, wanted, norms, found, strict=True):
        share = limit / norm if norm > limit else 1.0
        np.testing.assert_allclose(array, before + share * (after - before), rtol=1e-9)
    assert min(norms) < limit < max(norms)


class Halve(GradientStage):
    def apply(self, gradient, step):
        gradient *= 0.5


class Halving(Callback):
    changes_course = True

    def gradient_stages(self):
        return [Halve()]


def test_a_callback_may_bring_a_stage():
    options = {"solver": SGD(momentum=0.0), "batch_size": 120, "max_iter": 3, "random_state": 0}
    halved = MLPRegressor((4,), callbacks=[Halving()], learning_rate_init=0.1, **options).fit(X, Y)
    slower = MLPRegressor((4,), learning_rate_init=0.05, **options).fit(X, Y)
    np.testing.assert_allclose(halved.coefs_[0], slower.coefs_[0], rtol=1e-10)


def test_lbfgs_names_the_stages_and_rates_that_it_can_not_honour():
    with pytest.warns(UserWarning, match=r"rate=2.0 of 0.Embedding.table, gradient stages"):
        MLPRegressor(layers=[Embedding(rate=2.0)], callbacks=[Halving()], solver="lbfgs").fit(
            CODES, PRICES
        )


class Slower(Callback):
    def on_epoch_begin(self, trainer):
        trainer.learning_rate_init = 0.01 / (1 + trainer.epoch)


def test_a_callback_may_change_the_learning_rate():
    mlp = MLPRegressor((4,), callbacks=[Slower()], max_iter=3, random_state=0).fit(X, Y)
    np.testing.assert_allclose(mlp.history_["learning_rate"], [0.01, 0.005, 0.01 / 3])


class Honoured(Callback):
    def gradient_stages(self):
        return [MeanOfOne()]


class MeanOfOne(GradientStage):
    before_penalties = True

    def apply(self, gradient, step):
        pass


def test_lbfgs_honours_a_stage_before_the_penalties(recwarn):
    MLPRegressor((4,), solver="lbfgs", callbacks=[Honoured()], max_iter=5).fit(X, Y)
    assert not [w for w in recwarn if "can't honour" in str(w.message)]


@pytest.mark.parametrize(
    "given", [None, Halve(), [Halve], [print]], ids=["None", "a stage", "a class", "a function"]
)
def test_stages_of_a_callback_are_a_list_of_instances(given):
    class Own(Callback):
        def gradient_stages(self):
            return given

    with pytest.raises(ValueError, match=r"Own\.gradient_stages returned"):
        MLPRegressor((4,), callbacks=[Own()]).fit(X, Y)


class NoRows(MeanOfOne):
    def apply(self, gradient, step):
        step.n_rows = 0


def test_a_stage_leaves_rows():
    with pytest.raises(ValueError, match=r"left step.n_rows=0"):
        a_trainer(stages=[NoRows()]).fit(batches_of(list(range(120)), 30), 1)


class Given(BatchSource):
    """One batch, whatever it is."""

    def __init__(self, *batch, batch_size=10, n_batches=1):
        self.batch, self.batch_size, self.n_batches = batch, batch_size, n_batches

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        yield self.batch


LIES = {
    "too many rows": (Given(X[:11], Y[:11], None), "at most batch_size=10 rows"),
    "no rows": (Given(X[:0], Y[:0], None), "at most batch_size=10 rows"),
    "too few columns": (Given(X[:10, :2], Y[:10], None), r"of shapes \[\(10, 2\)"),
    "too few outputs": (Given(X[:10], Y[:10, :1], None), r"\(10, 1\)"),
    "fewer targets": (Given(X[:10], Y[:9], None), r"\(9, 2\)"),
    "fewer weights": (Given(X[:10], Y[:10], np.ones(3)), r"\(3,\)"),
    "fewer batches": (Given(X[:10], Y[:10], None, n_batches=2), "2 batches by its len.*gave 1"),
    "no batches": (Given(X[:10], Y[:10], None, n_batches=0), "has no batches; an epoch needs"),
}


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize(("source", "words"), LIES.values(), ids=LIES)
def test_a_source_of_batches_that_is_not_what_it_says(source, words, kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    with pytest.raises(ValueError, match=words):
        a_trainer().fit(source, 1)


def test_batches_of_another_layout_are_taken_over():
    found = []
    for XX, YY in [(X, Y), (np.asfortranarray(X), Y[:, ::-1][:, ::-1])]:
        trainer = a_trainer()
        trainer.fit(Given(XX[:10].astype(np.float32).astype(float), YY[:10], None), 2)
        found.append(trainer.network.parameters.values)
    trainer = a_trainer()
    trainer.fit(Given(X[:10].astype(np.float32), Y[:10], None), 2)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], trainer.network.parameters.values)
