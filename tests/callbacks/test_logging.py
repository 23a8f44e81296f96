"""Callbacks that write down what happens: each is read back by what reads such files."""

import csv
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import (
    Callback,
    CSVLogger,
    LambdaCallback,
    LayerStatistics,
    LearningRateLogger,
    TensorBoard,
)
from skdeep.callbacks.logging import of_extra
from skdeep.layers import BatchNorm, Columns, Concatenate, Dense, Residual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0] > 0


def fitted(*callbacks, **options):
    options = {"hidden_layer_sizes": (5, 4), "max_iter": 4, "batch_size": 20, **options}
    model = MLPClassifier(**options, random_state=0, callbacks=list(callbacks))
    return model.fit(X, y, X_val=X[:20], y_val=y[:20])


def test_functions_are_called():
    hooks = ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
    called = []
    functions = {hook: lambda trainer, hook=hook: called.append(hook) for hook in hooks}
    fitted(LambdaCallback(**functions), max_iter=2)
    epoch = ["on_epoch_begin", *["on_batch_end"] * 3, "on_epoch_end"]
    assert called == ["on_train_begin", *epoch, *epoch, "on_train_end"]


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end"])
def test_functions_may_be_few(hook):
    called = []
    callback = LambdaCallback(**{hook: called.append})
    assert clone(callback).get_params()[hook] == called.append
    fitted(callback)
    assert len(called) == {"on_batch_end": 12, "on_epoch_end": 4}[hook]


def test_nobody_listens_to_batches_where_nobody_says_so():
    seen = []
    fitted(LambdaCallback(on_epoch_end=lambda trainer: seen.append(trainer._batch_listeners)))
    assert seen == [[]] * 4


def test_the_rate_of_every_step():
    logger = LearningRateLogger()
    model = fitted(logger, learning_rate="one_cycle")
    assert len(logger.rates_) == 12
    assert len(set(logger.rates_)) == 12
    assert logger.rates_[2::3] == pytest.approx(model.history_["learning_rate"])


def test_a_table_of_comma_separated_values(tmp_path):
    model = fitted(CSVLogger(tmp_path / "log.csv"))
    table = pd.read_csv(tmp_path / "log.csv")
    assert table.pop("epoch").tolist() == [1, 2, 3, 4]
    pd.testing.assert_frame_equal(table[list(model.history_)], pd.DataFrame(model.history_))


def test_a_table_is_there_while_training_goes_on(tmp_path):
    n_lines = []

    def count(trainer):
        with open(tmp_path / "log.csv", newline="") as file:
            n_lines.append(len(list(csv.reader(file))))

    fitted(CSVLogger(tmp_path / "log.csv"), LambdaCallback(on_epoch_end=count))
    assert n_lines == [2, 3, 4, 5]


def test_a_table_that_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    for append in (False, True, True):
        fitted(CSVLogger(path, append=append))
    assert pd.read_csv(path)["epoch"].tolist() == [1, 2, 3, 4] * 3
    fitted(CSVLogger(path))
    assert len(pd.read_csv(path)) == 4
    with pytest.raises(ValueError, match=r"this run has .*; give another path, or append=False"):
        MLPRegressor(callbacks=[CSVLogger(path, append=True)]).fit(X, X[:, 0])


def test_a_table_a_run(tmp_path):
    for alpha in (0.1, 0.2, 0.2):
        fitted(CSVLogger(tmp_path / "{run}.csv"), alpha=alpha)
    assert len(list(tmp_path.iterdir())) == 2


def test_tensorboard_reads_it(tmp_path):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = fitted(TensorBoard(tmp_path / "{run}", histograms=True))
    (directory,) = tmp_path.iterdir()
    reader = events.EventAccumulator(str(directory)).Reload()
    assert set(reader.Tags()["scalars"]) == set(model.history_)
    for name, column in model.history_.items():
        scalars = reader.Scalars(name)
        assert [s.step for s in scalars] == [1, 2, 3, 4]
        np.testing.assert_allclose([s.value for s in scalars], column, rtol=1e-6)
    names = [name for name, _ in model.network_.named_parameters()]
    assert reader.Tags()["histograms"] == names
    assert reader.Histograms(names[0])[0].histogram_value.num == 4 * 5


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tensorboard_reads_gradients(tmp_path, solver):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    last = {}

    def remember(trainer):
        last.update((n, p.grad.copy()) for n, p in trainer.network.named_parameters())

    callbacks = TensorBoard(tmp_path, gradients=True), LambdaCallback(on_gradient=remember)
    model = fitted(*callbacks, solver=solver)
    reader = events.EventAccumulator(str(tmp_path), {events.HISTOGRAMS: 0}).Reload()
    assert reader.Tags()["histograms"] == [f"gradients/{name}" for name in last]
    for name, gradient in last.items():
        seen = reader.Histograms(f"gradients/{name}")
        assert [event.step for event in seen] == list(range(1, model.n_iter_ + 1))
        values = seen[-1].histogram_value
        np.testing.assert_allclose([values.sum, values.num], [gradient.sum(), gradient.size])
    assert "_gradients" not in vars(pickle.loads(pickle.dumps(model.callbacks[0])))


def test_tensorboard_reads_the_graph(tmp_path):
    pytest.importorskip("tensorboardX")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    layers = [
        Dense(6, "relu"),
        Residual([BatchNorm(), Dense(6)]),
        Concatenate([[Columns([0, 2]), Dense(3)], []]),
    ]
    model = MLPClassifier(layers=layers, max_iter=2, callbacks=[TensorBoard(tmp_path, graph=True)])
    model.fit(X, y)
    reader = events.EventAccumulator(str(tmp_path)).Reload()
    graph = {node.name: node for node in reader.Graph().node}
    assert {name: list(node.input) for name, node in graph.items()} == {
        "inputs": [],
        "0.Dense": ["inputs"],
        "1.Residual/2.BatchNorm": ["0.Dense"],
        "1.Residual/3.Dense": ["1.Residual/2.BatchNorm"],
        "1.Residual": ["0.Dense", "1.Residual/3.Dense"],
        "4.Concatenate/5.Columns": ["1.Residual"],
        "4.Concatenate/6.Dense": ["4.Concatenate/5.Columns"],
        "4.Concatenate": ["4.Concatenate/6.Dense", "1.Residual"],
        "7.Dense": ["4.Concatenate"],
        "LogLoss": ["7.Dense"],
    }
    named = {name.rpartition(".")[0] for name, _ in model.network_.named_parameters()}
    assert named <= {name.rpartition("/")[2] for name in graph}
    columns = graph["4.Concatenate"].attr["_output_shapes"].list.shape[0].dim[1].size
    assert (columns, graph["0.Dense"].op) == (9, "Dense")
    assert graph["0.Dense"].attr["settings"].s == b"Dense(activation='relu', units=6)"


def test_what_is_missing_is_named():
    with pytest.raises(ImportError, match="TensorBoard needs nowhere: pip install nowhere"):
        of_extra("skdeep_nowhere", "TensorBoard", "nowhere")


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.01}, {"frozen_layers": 1}], ids=str)
def test_statistics_of_layers(options):
    class Remember(Callback):
        def on_train_begin(self, trainer):
            self.seen = []

        def on_gradient(self, trainer):
            kernels = [layer.kernel_ for layer in trainer.network.layers]
            grads = [None if p.grad is None else p.grad.copy() for p in kernels]
            self.seen.append([(p.value.copy(), g) for p, g in zip(kernels, grads, strict=True)])

    remember, statistics = Remember(), LayerStatistics()
    model = fitted(remember, statistics, **options)
    assert statistics.layers_ == ["0.Dense.kernel", "1.Dense.kernel", "2.Dense.kernel"]
    found = {name: np.array(rows) for name, rows in statistics.statistics_.items()}
    assert {name: rows.shape for name, rows in found.items()} == dict.fromkeys(found, (4, 3))
    last = [layer.kernel_.value for layer in model.network_.layers]
    for i, (before, gradient) in enumerate(remember.seen[-1]):
        expected = np.nan if gradient is None else np.linalg.norm(gradient)
        np.testing.assert_allclose(found["gradient_norm"][-1, i], expected)
        np.testing.assert_allclose(found["weight_norm"][-1, i], np.linalg.norm(last[i]))
        step = np.linalg.norm(last[i] - before) / np.linalg.norm(before)
        np.testing.assert_allclose(found["update_ratio"][-1, i], step)
    if "frozen_layers" in options:
        assert (found["update_ratio"][:, 0] == 0).all()


@pytest.mark.parametrize(
    "callback", [LearningRateLogger(), LayerStatistics(), CSVLogger("log.csv")], ids=str
)
def test_they_are_pickled_and_cloned_and_used_again(callback, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = fitted(callback)
    twin = pickle.loads(pickle.dumps(model))
    assert repr(twin.callbacks) == repr(model.callbacks)
    fresh = clone(model)
    assert vars(fresh.callbacks[0]) == callback.get_params()
    model.fit(X, y)


def test_extras_are_not_imported_before_they_are_needed():
    code = (
        "import sys, skdeep.callbacks; "
        "print([m for m in ('tensorboardX', 'mlflow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_they_go_on_with_partial_fit(tmp_path):
    callbacks = [LayerStatistics(), LearningRateLogger(), CSVLogger(tmp_path / "log.csv")]
    model = MLPClassifier((5,), callbacks=callbacks, batch_size=20, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, classes=[False, True])
    statistics, rates, _ = model.callbacks
    assert len(statistics.statistics_["weight_norm"]) == 3
    assert len(rates.rates_) == 9
    assert pd.read_csv(tmp_path / "log.csv")["epoch"].tolist() == [1, 2, 3]
    model.fit(X, y)
    assert len(statistics.statistics_["weight_norm"]) == model.n_iter_


def test_statistics_of_layers_with_lbfgs():
    statistics = LayerStatistics()
    model = fitted(statistics, solver="lbfgs")
    found = statistics.statistics_
    assert {name: np.shape(rows) for name, rows in found.items()} == dict.fromkeys(
        found, (model.n_iter_, 3)
    )
    assert (np.array(found["update_ratio"]) > 0).all()


def test_an_error_is_told_of():
    called = []

    def fail(trainer):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fitted(
            LambdaCallback(on_epoch_end=fail),
            LambdaCallback(on_error=called.append, on_train_end=called.append),
        )
    assert len(called) == 1
