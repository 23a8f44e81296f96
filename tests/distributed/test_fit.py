"""Training on a cluster of processes gives the model of plain fit."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification

from skdeep import (
    MLPClassifier,
    MLPRegressor,
    MultiTaskMLP,
    TabularClassifier,
    TabularRegressor,
    load,
    save,
)
from skdeep.callbacks import (
    Callback,
    GradualUnfreezing,
    LambdaCallback,
    LearningRateLogger,
    ModelCheckpoint,
)
from skdeep.tasks import Classification, Regression

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
pytest.importorskip("dask.distributed")

from skdeep import distributed  # noqa: E402

ROOT = Path(distributed.__file__).parents[2]
rng = np.random.default_rng(0)
X, y = make_classification(200, 8, n_informative=6, n_classes=3, random_state=0)
X_val, y_val = X[:60] + 0.1, y[:60]
Y = X[:, :2] @ [[1.0, 2.0], [0.5, -1.0]] + 0.1 * rng.standard_normal((200, 2))
weight = rng.uniform(0.5, 2, 200)
COMMON = {"hidden_layer_sizes": (12, 6), "max_iter": 5, "random_state": 0, "batch_size": 32}
CHUNKS = {1: (200,), 2: (70, 130), 3: (5, 90, 25, 60, 20)}


def cut(array, chunks=(5, 90, 25, 60, 20)):
    return da.from_array(array, chunks=(chunks, *array.shape[1:]))


def assert_equal(found, expected):
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10, atol=1e-12)
    for name in expected.history_.keys() - {"seconds"}:
        np.testing.assert_allclose(
            found.history_[name], expected.history_[name], rtol=1e-8, err_msg=name
        )
    values = (model.network_.parameters.values for model in (found, expected))
    np.testing.assert_allclose(*values, rtol=1e-8, atol=1e-10)
    names = {name for name in vars(expected) if name.endswith("_") and not name.startswith("_")}
    assert names == {n for n in vars(found) if n.endswith("_") and not n.startswith("_")}
    assert (found.t_, found.n_iter_, found.best_iter_) == (
        expected.t_,
        expected.n_iter_,
        expected.best_iter_,
    )


CASES = {
    "plain": {},
    "dropout": {"dropout": 0.3, "input_noise": 0.1},
    "batch norm": {"batch_norm": "before", "batch_norm_input": True},
    "early stopping": {"early_stopping": True},
    "penalties and clipping": {"alpha": 0.1, "clip_norm": 0.5, "weight_decay": 0.01},
    "schedule": {"learning_rate": "one_cycle", "solver": "sgd"},
    "no shuffle": {"shuffle": False},
    "ema": {"weight_averaging": "ema", "early_stopping": True},
    "swa": {"weight_averaging": "swa", "batch_norm": "after", "max_iter": 8},
    "class weight": {"class_weight": "balanced"},
    "metrics": {"metrics": ["balanced_accuracy"]},
}


@pytest.mark.parametrize("n_workers", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_classifiers_are_those_of_plain_fit(clusters, n_workers, case):
    options = COMMON | CASES[case]
    expected = MLPClassifier(**options).fit(X, y)
    chunks = CHUNKS[n_workers]
    model = MLPClassifier(**options)
    found = distributed.fit(model, cut(X, chunks), cut(y, chunks), client=clusters(n_workers))
    assert found is model
    assert_equal(found, expected)


def test_weights_and_validation_data_on_the_cluster(clusters):
    plain = {"sample_weight": weight, "X_val": X_val, "y_val": y_val}
    plain["sample_weight_val"] = weight[:60]
    expected = MLPClassifier(**COMMON, early_stopping=True).fit(X, y, **plain)
    found = distributed.fit(
        MLPClassifier(**COMMON, early_stopping=True),
        cut(X),
        cut(y),
        client=clusters(2),
        sample_weight=cut(weight),
        X_val=cut(X_val, (20, 40)),
        y_val=cut(y_val, (20, 40)),
        sample_weight_val=weight[:60],
    )
    assert_equal(found, expected)


def test_regressors_with_several_outputs(clusters):
    options = COMMON | {"standardize_y": True, "target_noise": 0.1}
    expected = MLPRegressor(**options).fit(X, Y)
    found = distributed.fit(MLPRegressor(**options), cut(X), cut(Y), client=clusters(2))
    assert_equal(found, expected)


def test_several_tasks_with_gaps(clusters):
    targets = pd.DataFrame({"kind": y.astype(object), "size": Y[:, 0]})
    targets.loc[::7, "kind"] = None
    targets.loc[::5, "size"] = np.nan
    options = COMMON | {"tasks": {"kind": Classification(), "size": Regression()}}
    expected = MultiTaskMLP(**options).fit(X, targets)
    found = distributed.fit(MultiTaskMLP(**options), cut(X), targets, client=clusters(2))
    assert_equal(found, expected)


def test_data_frames_give_the_names_of_columns(clusters):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(8)])
    frame["c3"] = frame["c3"].round().astype("int64")
    frame["target"] = y
    expected = MLPClassifier(**COMMON).fit(frame.drop(columns="target"), frame["target"])
    collection = dd.from_pandas(frame, npartitions=5)
    rows, targets = collection.drop(columns="target"), collection["target"]
    found = distributed.fit(MLPClassifier(**COMMON), rows, targets, client=clusters(2))
    assert_equal(found, expected)
    assert list(found.feature_names_in_) == list(expected.feature_names_in_)


@pytest.mark.parametrize("kind", ["array", "frame", "sparse", "float32", "integers"])
def test_rows_in_memory_are_sent_to_the_workers(clusters, kind):
    import scipy.sparse as sp

    made = {
        "array": lambda: X,
        "frame": lambda: pd.DataFrame(X, columns=list("abcdefgh")),
        "sparse": lambda: sp.csr_matrix(np.where(X > 0, X, 0)),
        "float32": lambda: X.astype(np.float32),
        "integers": lambda: (4 * X).astype(np.int16),
    }[kind]()
    expected = MLPClassifier(**COMMON).fit(made, y)
    found = distributed.fit(MLPClassifier(**COMMON), made, y, client=clusters(2))
    assert found.network_.dtype == expected.network_.dtype
    if kind == "float32":
        np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-4)
    else:
        assert_equal(found, expected)


def test_sparse_chunks(clusters):
    import scipy.sparse as sp

    A = np.where(X > 0.5, X, 0)
    expected = MLPClassifier(**COMMON).fit(sp.csr_matrix(A), y)
    chunks = cut(A).map_blocks(sp.csr_matrix, dtype=A.dtype)
    found = distributed.fit(MLPClassifier(**COMMON), chunks, y, client=clusters(2))
    assert_equal(found, expected)


@pytest.mark.parametrize("warm_start", [True, "continue", "transfer"])
def test_warm_starts_continue_a_model_from_elsewhere(clusters, warm_start):
    options = COMMON | {"warm_start": warm_start}
    expected = MLPClassifier(**options).fit(X, y).fit(X, y)
    mixed = MLPClassifier(**options).fit(X, y)
    assert_equal(distributed.fit(mixed, cut(X), cut(y), client=clusters(2)), expected)
    mixed = distributed.fit(MLPClassifier(**options), cut(X), cut(y), client=clusters(2))
    assert_equal(mixed.fit(X, y), expected)


def test_the_result_is_an_ordinary_estimator(clusters, tmp_path):
    model = distributed.fit(MLPClassifier(**COMMON), cut(X), cut(y), client=clusters(2))
    expected = MLPClassifier(**COMMON).fit(X, y).predict_proba(X)
    save(model, tmp_path / "model")
    for twin in (model, pickle.loads(pickle.dumps(model)), load(tmp_path / "model")):
        np.testing.assert_allclose(twin.predict_proba(X), expected, atol=1e-8)
    assert b"distributed" not in pickle.dumps(model)
    parts = cut(X).map_blocks(model.predict_proba, chunks=(CHUNKS[3], (3,)), dtype=float)
    found = clusters(2).compute(parts).result()
    np.testing.assert_allclose(found, expected, atol=1e-8)


# Callbacks ----------------------------------------------------------------------------------------


class Recorder(Callback):
    """Keeps what each hook sees."""

    def on_train_begin(self, trainer):
        self.steps_, self.gradients_, self.epochs_ = [], [], []

    def on_batch_end(self, trainer):
        self.steps_.append(
            (trainer.batch_loss, trainer.batch_rows, trainer.learning_rate, trainer.batches_done)
        )

    def on_gradient(self, trainer):
        parameters = trainer.network.parameters
        self.gradients_ += [trainer.gradient_norm, *parameters.values, *parameters.grads]

    def on_epoch_end(self, trainer):
        self.epochs_ += [trainer.epoch, *trainer.network.parameters.values]


def test_callbacks_see_what_they_see_in_plain_fit(clusters):
    options = COMMON | {"learning_rate": "one_cycle"}
    plain, own = Recorder(), Recorder()
    expected = MLPClassifier(**options, callbacks=plain).fit(X, y)
    model = MLPClassifier(**options, callbacks=own)
    assert_equal(distributed.fit(model, cut(X), cut(y), client=clusters(2)), expected)
    for name in ("steps_", "gradients_", "epochs_"):
        found, wanted = getattr(own, name), getattr(plain, name)
        assert len(wanted) >= 35 or name != "steps_"
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10, err_msg=name)


class Meddles(Callback):
    """Changes weights and the learning rate between epochs, and ends training."""

    changes_course = True

    def on_epoch_begin(self, trainer):
        if trainer.epoch == 1:
            trainer.network.parameters.values *= 0.9
        if trainer.epoch == 2:
            trainer.learning_rate_init *= 3

    def on_epoch_end(self, trainer):
        trainer.stop_training = trainer.epoch == 4
        trainer.record(twice=2 * trainer.figures["loss"])


@pytest.mark.parametrize(
    "callback", [Meddles(), GradualUnfreezing({2: 1, 4: 0}), LearningRateLogger()], ids=repr
)
def test_callbacks_may_change_the_course_between_epochs(clusters, callback):
    options = COMMON | {"frozen_layers": 2 if isinstance(callback, GradualUnfreezing) else 0}
    plain, own = clone(callback), clone(callback)
    expected = MLPClassifier(**options, callbacks=plain).fit(X, y)
    model = MLPClassifier(**options, callbacks=own)
    assert_equal(distributed.fit(model, cut(X), cut(y), client=clusters(2)), expected)
    assert own.get_params() == plain.get_params()
    np.testing.assert_allclose(getattr(own, "rates_", 0), getattr(plain, "rates_", 0))


class Ends(Exception):
    pass


def test_an_error_in_a_callback_ends_training(clusters):
    def end(trainer):
        if trainer.epoch == 1 and trainer.batches_done == 3:
            raise Ends

    model = MLPClassifier(**COMMON, callbacks=[LambdaCallback(on_batch_end=end)])
    with pytest.raises(Ends):
        distributed.fit(model, cut(X), cut(y), client=clusters(2))
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("every", [1, 3, 7, 100])
def test_snapshots_do_not_change_the_result(clusters, every):
    options = COMMON | {"dropout": 0.2, "learning_rate": "one_cycle", "early_stopping": True}
    expected = MLPClassifier(**options).fit(X, y)
    model = MLPClassifier(**options)
    found = distributed.fit(model, cut(X), cut(y), client=clusters(2), snapshot_every=every)
    assert_equal(found, expected)


def test_checkpoints_within_epochs_continue_on_other_workers(clusters, tmp_path):
    options = COMMON | {"dropout": 0.2}
    expected = MLPClassifier(**options).fit(X, y)
    files = ModelCheckpoint(tmp_path / "{run}.skdeep", every_n_batches=2, resume=True)

    def end(trainer):
        if trainer.epoch == 2 and trainer.batches_done == 5:
            raise Ends

    stops = LambdaCallback(on_batch_end=end)
    model = MLPClassifier(**options, callbacks=[files, stops])
    rows = cut(X), cut(y)
    with pytest.raises(Ends):
        distributed.fit(model, *rows, client=clusters(2))
    assert load(next(tmp_path.iterdir()))._run.within.n_batches == 4
    model = MLPClassifier(**options, callbacks=[files])
    found = distributed.fit(model, *rows, client=clusters(3))
    assert_equal(found, expected)


def test_local_steps_train_another_model_that_is_as_good(clusters):
    options = COMMON | {"max_iter": 40, "batch_size": 16}
    plain = MLPClassifier(**options).fit(X, y)
    model = MLPClassifier(**options)
    found = distributed.fit(model, cut(X), cut(y), client=clusters(2), local_steps=4)
    assert not np.allclose(found.coefs_[0], plain.coefs_[0], atol=1e-4)
    assert abs(found.score(X, y) - plain.score(X, y)) < 0.1
    again = distributed.fit(MLPClassifier(**options), X, y, client=clusters(1), local_steps=4)
    assert_equal(again, plain)  # a single worker has nobody to wait for


# Tables -------------------------------------------------------------------------------------------


def table():
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(8)])
    frame.loc[::9, "c2"] = np.nan
    frame["place"] = np.array(["north", "south", "east"])[(X[:, 0] > 0) + (X[:, 1] > 0).astype(int)]
    frame.loc[::11, "place"] = None
    return frame


TABLES = {
    "one member": (TabularClassifier, {"n_members": 1}),
    "members on folds": (TabularClassifier, {"n_members": 2}),
    "a regressor": (TabularRegressor, {"n_members": 1}),
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("kind", ["dask", "memory"])
def test_tables_are_encoded_on_the_workers(clusters, case, kind):
    cls, options = TABLES[case]
    options = {"max_iter": 3, "random_state": 0, "dtype": "float64", "batch_size": 64} | options
    targets = y if cls is TabularClassifier else Y[:, 0]
    expected = cls(**options).fit(table(), targets)
    rows = table() if kind == "memory" else dd.from_pandas(table(), npartitions=5)
    found = distributed.fit(cls(**options), rows, targets, client=clusters(2))
    assert list(found.feature_names_in_) == list(expected.feature_names_in_)
    for own, other in zip(found.members_, expected.members_, strict=True):
        np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(found.weights_, expected.weights_, rtol=1e-6)
    predict = "predict" if cls is TabularRegressor else "predict_proba"
    outputs = (getattr(model, predict)(table()) for model in (found, expected))
    np.testing.assert_allclose(*outputs, rtol=1e-6)


def test_validation_data_of_tables_are_encoded_on_the_workers(clusters):
    options = {"max_iter": 3, "random_state": 0, "dtype": "float64", "n_members": 1}
    given = table()[:70], y[:70]
    expected = TabularClassifier(**options).fit(table(), y, X_val=given[0], y_val=given[1])
    found = distributed.fit(
        TabularClassifier(**options),
        dd.from_pandas(table(), npartitions=4),
        y,
        X_val=dd.from_pandas(given[0], npartitions=2),
        y_val=given[1],
        client=clusters(2),
    )
    np.testing.assert_allclose(found.predict_proba(table()), expected.predict_proba(table()))


# What is left -------------------------------------------------------------------------------------


def test_the_profiler_of_the_workers_pauses_only_during_training(clusters):
    def is_running(dask_worker):
        return dask_worker.periodic_callbacks["profile"].is_running()

    client, during = clusters(2), []
    look = LambdaCallback(on_epoch_end=lambda _: during.extend(client.run(is_running).values()))
    model = MLPClassifier(**COMMON, callbacks=[look])
    distributed.fit(model, cut(X), y, client=client)
    assert during == [False] * 2 * COMMON["max_iter"]
    assert list(client.run(is_running).values()) == [True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_client_and_the_scheduler_never_hold_the_rows():
    program = Path(__file__).parent / "memory_of_client.py"
    done = subprocess.run(
        [sys.executable, program, "100000", "500"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    grown = json.loads(done.stdout)
    assert grown["workers"] > 200  # 100,000 x 500 numbers of float32
    assert grown["client"] < 70
    assert grown["scheduler"] < 40
