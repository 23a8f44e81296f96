"""Workers that die, hang, join and leave while a model trains; and Ctrl-C."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification

from skdeep import MLPClassifier
from skdeep.callbacks import Callback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Sockets of workers that died.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dask_distributed = pytest.importorskip("dask.distributed")

from fault_tools import AtEpoch, Breaks, Fault, Slow, WithStages, left_on_worker  # noqa: E402

from skdeep import distributed  # noqa: E402
from skdeep.distributed.cluster import Cluster  # noqa: E402
from skdeep.distributed.rows.source import ClusterRows  # noqa: E402

X, y = make_classification(200, 8, n_informative=6, random_state=0)
COMMON = {"hidden_layer_sizes": (12,), "max_iter": 4, "random_state": 0, "batch_size": 20}
N_STEPS = 10
TIMEOUT = 10.0


@pytest.fixture
def start():
    """Return a function that starts a cluster for one test and gives its client."""
    started = []

    def client_of(n_workers):
        cluster = dask_distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        )
        started.append((cluster, dask_distributed.Client(cluster, set_as_default=False)))
        return started[-1][1]

    yield client_of
    for cluster, client in started:
        client.close()
        cluster.close()


def chunked(array=X, size=25):
    return da.from_array(array, chunks=(size, *array.shape[1:]))


def with_stages(*stages, **options):
    return MLPClassifier(**COMMON | options, callbacks=[WithStages(list(stages))])


def assert_equal_to_plain_fit(model, **options):
    expected = MLPClassifier(**COMMON | options).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-9)
    assert model.t_ == expected.t_


def assert_nothing_is_left(client):
    deadline = time.monotonic() + 10
    while any(map(any, (left := client.run(left_on_worker)).values())):
        if time.monotonic() > deadline:
            pytest.fail(f"left on the workers: {left}")
        time.sleep(0.2)


def test_training_continues_after_the_death_of_a_worker(start, tmp_path):
    client = start(2)
    model = with_stages(Fault(N_STEPS + 4, [str(tmp_path / "died")]))
    with pytest.warns(UserWarning, match=r"epoch 2, worker tcp.* died"):
        distributed.fit(model, chunked(), y, client=client, timeout=TIMEOUT)
    assert (tmp_path / "died").exists()
    assert_equal_to_plain_fit(model)
    assert_nothing_is_left(client)


def test_the_only_worker_is_replaced(start, tmp_path):
    client = start(1)
    model = with_stages(Fault(5, [str(tmp_path / "died")]), early_stopping=True)
    with pytest.warns(UserWarning, match="epoch 1, worker"):
        distributed.fit(model, chunked(), y, client=client, timeout=60)
    assert_equal_to_plain_fit(model, early_stopping=True)


def test_too_many_failures_raise(start, tmp_path):
    client = start(1)
    files = [str(tmp_path / f"died{i}") for i in range(3)]
    model = with_stages(Fault(5, files))
    with (
        pytest.warns(UserWarning, match="The epoch begins again"),
        pytest.raises(distributed.ClusterError, match="failed 2 times in epoch 1, and retries=1"),
    ):
        distributed.fit(model, chunked(), y, client=client, timeout=60, retries=1)
    assert not hasattr(model, "coefs_")


def test_rows_that_were_scattered_can_be_lost(start, tmp_path):
    client = start(2)
    workers = sorted(client.nthreads())
    blocks = [
        da.from_delayed(
            dask.delayed(client.scatter(X[i : i + 25], workers=[workers[i % 2]], hash=False)),
            (25, 8),
            X.dtype,
        )
        for i in range(0, 200, 25)
    ]
    model = with_stages(Fault(5, [str(tmp_path / "died")]))
    with (
        pytest.warns(UserWarning, match="The epoch begins again"),
        pytest.raises(distributed.ClusterError, match=r"Chunk \d of X is lost.*scattered"),
    ):
        distributed.fit(model, da.concatenate(blocks), y, client=client, timeout=TIMEOUT)


def test_rows_in_memory_are_sent_again(start, tmp_path):
    client = start(2)
    model = with_stages(Fault(5, [str(tmp_path / "died")]))
    with pytest.warns(UserWarning, match="The epoch begins again"):
        distributed.fit(model, X, y, client=client, timeout=TIMEOUT)
    assert_equal_to_plain_fit(model)


def test_rows_in_memory_are_sent_again_during_validation(start, monkeypatch):
    client = start(2)
    processes, plan = list(client.run(os.getpid).values()), ClusterRows._jobs_of_workers

    def plan_and_kill(rows):
        jobs = plan(rows)
        os.kill(processes.pop(), signal.SIGKILL)
        return jobs

    monkeypatch.setattr(ClusterRows, "_jobs_of_workers", plan_and_kill)
    model, plain = (MLPClassifier(**COMMON) for _ in range(2))
    given = {"X_val": X[:60], "y_val": y[:60]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the epoch may begin again, too
        distributed.fit(model, X, y, **given, client=client, timeout=TIMEOUT)
        plain.fit(X, y, **given)
    assert len(processes) == 1
    np.testing.assert_allclose(model.validation_scores_, plain.validation_scores_)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-10)


def test_workers_that_can_not_train_do_not_count(start):
    cluster = Cluster(start(1), timeout=1)
    cluster._unfit = set(cluster.workers())
    with pytest.raises(distributed.ClusterError, match="no worker for 1 s: all that have skdeep"):
        cluster.some_workers()


def test_training_continues_without_a_worker_that_hangs(start, tmp_path):
    client = start(2)
    model = with_stages(Fault(N_STEPS + 4, [str(tmp_path / "hangs")], "SIGSTOP"))
    with pytest.warns(UserWarning, match="tcp://") as caught:
        distributed.fit(model, chunked(), y, client=client, timeout=5)
    texts = [str(w.message) for w in caught if "tcp://" in str(w.message)]
    assert "has not answered for 5 s" in texts[0]
    assert "epoch 2" in texts[1]
    assert_equal_to_plain_fit(model)


def test_the_only_worker_hangs(start, tmp_path):
    client = start(1)
    files = [str(tmp_path / f"hangs{i}") for i in range(3)]
    model = with_stages(Fault(4, files, "SIGSTOP"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(distributed.ClusterError, match=r"has not answered|did not answer"):
            distributed.fit(model, chunked(), y, client=client, timeout=5, retries=1)


def test_an_error_of_a_step_is_raised_at_once(start, tmp_path):
    client = start(2)
    begin = time.monotonic()
    with pytest.raises(ArithmeticError, match="this stage is broken") as caught:
        distributed.fit(
            with_stages(Breaks(str(tmp_path / "broken"))), chunked(), y, client=client, timeout=60
        )
    assert time.monotonic() - begin < 40
    assert "worker tcp://" in caught.value.__notes__[-1]
    assert_nothing_is_left(client)


class Rescale(Callback):
    """Scales a cluster up; when all workers have members, down; ends training some epochs later."""

    def __init__(self, client):
        self.client = client
        self.seen_ = []

    def on_epoch_begin(self, trainer):
        held = self.client.has_what().values()
        n_members = sum(any("skdeep-member" in str(key) for key in keys) for keys in held)
        self.seen_.append(n_members)
        if trainer.epoch == 1:
            self.client.cluster.scale(3)
        elif n_members == 3:
            self.client.cluster.scale(1)
            self.ends_at_ = trainer.epoch + 3

    def on_epoch_end(self, trainer):
        trainer.stop_training = trainer.epoch == getattr(self, "ends_at_", -1)


def test_a_cluster_may_grow_and_shrink(start):
    client = start(1)
    rescale = Rescale(client)
    callbacks = [WithStages([Slow(0.1)]), rescale]
    model = MLPClassifier(**COMMON | {"max_iter": 60, "tol": 0.0}, callbacks=callbacks)
    with pytest.warns(UserWarning, match="The epoch begins again"):
        distributed.fit(model, chunked(), y, client=client, timeout=TIMEOUT)
    assert max(rescale.seen_) == 3
    assert rescale.seen_[0] == 0
    assert rescale.seen_[-1] == 1
    n_epochs = rescale.ends_at_
    assert_equal_to_plain_fit(model, max_iter=n_epochs, tol=0.0)


def interrupt_later(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_ctrl_c_leaves_the_model_of_the_steps_so_far(start):
    client = start(2)
    callbacks = [WithStages([Slow(0.05)]), AtEpoch(2, lambda: interrupt_later(0.2))]
    model = MLPClassifier(**COMMON | {"max_iter": 50}, callbacks=callbacks)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        distributed.fit(model, chunked(), y, client=client, timeout=TIMEOUT)
    assert model.n_iter_ == 2
    assert_nothing_is_left(client)
    whole = MLPClassifier(**COMMON).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, whole.loss_curve_[:2], rtol=1e-10)
    # The weights are those in the middle of the third epoch.
    first = MLPClassifier(**COMMON | {"max_iter": 2}).fit(X, y)
    assert not np.allclose(model.coefs_[0], first.coefs_[0], atol=1e-7)
    assert np.isfinite(model.predict_proba(X)).all()
    again = MLPClassifier(**COMMON)
    distributed.fit(again, chunked(), y, client=client, timeout=TIMEOUT)
    assert_equal_to_plain_fit(again)


def test_two_fits_at_a_time(start):
    client = start(2)
    models = [MLPClassifier(**COMMON), MLPClassifier(**COMMON)]
    threads = [
        threading.Thread(
            target=distributed.fit,
            args=(model, chunked(), y),
            kwargs={"client": client, "timeout": 60},
        )
        for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        assert_equal_to_plain_fit(model)
    assert_nothing_is_left(client)
