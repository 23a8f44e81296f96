"""Searches on clusters of Dask: their results, what is sent, and what faults of workers cost."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import types
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from skdeep import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from skdeep.callbacks import Callback
from skdeep.data import Memmap
from skdeep.model_selection import HalvingEpochsSearchCV, PruningSearchCV, dask_backend
from skdeep.model_selection.workers import Workers

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("dask.distributed")
sizeof = pytest.importorskip("dask.sizeof").sizeof
dask_calls = pytest.importorskip("skdeep.model_selection.dask_calls")
packing = pytest.importorskip("skdeep.model_selection.packing")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2000, 10))  # more than is sent with each call
Y = np.array(["no", "yes"])[(X[:, 0] ** 2 > 0.7).astype(int)]
NUMBERS = X[:, 0] ** 2 + X[:, 1]
OPTIONS = {"batch_size": 500, "random_state": 0, "max_iter": 4}
NETWORK = MLPClassifier((4,), **OPTIONS)
RATES = [0.001, 0.003, 0.01, 0.03]
SPACE = {"learning_rate_init": RATES}
PIPELINE = make_pipeline(StandardScaler(), NETWORK)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Workers that are killed leave sockets.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def start(n_workers, **options):
    """Return a cluster of processes with one thread each."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50} | options
    return distributed.LocalCluster(n_workers=n_workers, **options)


@contextmanager
def strict_cluster():
    """Give a client of two workers whose scheduler gives up a call after one death."""
    settings = {
        # It would remove data from workers that have nothing to do.
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.allowed-failures": 0,
    }
    with dask.config.set(settings):  # for the scheduler of this cluster alone
        cluster = start(2)
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def client():
    with strict_cluster() as client:
        yield client


@pytest.fixture
def client_of_its_own():
    """A client of workers that may die for good: Dask does not always start them again."""
    with strict_cluster() as client:
        yield client


@pytest.fixture(params=["dask", "dask_backend"])
def on_dask(request, client):
    name = request.param
    with joblib.parallel_config(backend=name if name == "dask" else dask_backend(client)):
        yield name


# Results ------------------------------------------------------------------------------------------


def halving(estimator=NETWORK, space=SPACE, **options):
    options = {"n_candidates": 4, "cv": 2, "min_epochs": 2, "random_state": 0} | options
    return HalvingEpochsSearchCV(estimator, space, **options)


def of_step(step, space=SPACE):
    return {f"{step}__{name}": values for name, values in space.items()}


SEARCHES = {
    "grid": lambda: GridSearchCV(NETWORK, SPACE, cv=2, n_jobs=2).fit(X, Y),
    "random": lambda: RandomizedSearchCV(
        PIPELINE, of_step("mlpclassifier"), n_iter=3, cv=2, n_jobs=2, random_state=0
    ).fit(X, Y),
    "halving random": lambda: HalvingRandomSearchCV(
        MLPRegressor((4,), **OPTIONS),
        SPACE,
        resource="max_iter",
        max_resources=4,
        min_resources=2,
        factor=2,
        cv=2,
        n_jobs=2,
        random_state=0,
    ).fit(X, NUMBERS),
    "tables": lambda: GridSearchCV(
        TabularRegressor(n_members=2, max_iter=2, random_state=0), SPACE, cv=2, n_jobs=2
    ).fit(X[:300], NUMBERS[:300]),
    "halving": lambda: halving(n_jobs=2).fit(X, Y),
    "halving pipeline": lambda: halving(PIPELINE, of_step("mlpclassifier"), n_jobs=2).fit(X, Y),
    "halving tables": lambda: halving(
        TabularClassifier(n_members=2, max_iter=2, random_state=0), n_candidates=2, n_jobs=2
    ).fit(X[:300], Y[:300]),
    "pruning": lambda: PruningSearchCV(
        NETWORK, SPACE, n_candidates=4, group_size=2, cv=2, n_jobs=2, random_state=0
    ).fit(X, Y),
}


def results_of(search):
    results = {k: v for k, v in search.cv_results_.items() if "time" not in k}
    return results, search.predict(X)


@pytest.fixture(scope="module")
def of_loky():
    with joblib.parallel_config(backend="loky"):
        return {name: results_of(search()) for name, search in SEARCHES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_results_equal_those_of_loky(name, on_dask, of_loky):
    np.testing.assert_equal(results_of(SEARCHES[name]()), of_loky[name])


def test_cross_validate_equals_that_of_loky(on_dask):
    def scores(**options):
        results = cross_validate(PIPELINE, X, Y, cv=3, n_jobs=2, return_estimator=True, **options)
        return results["test_score"], [model.predict_proba(X) for model in results["estimator"]]

    on_cluster = scores()
    with joblib.parallel_config(backend="loky"):
        np.testing.assert_equal(scores(), on_cluster)


def test_a_search_within_a_call_ends(on_dask):
    inner = halving(n_candidates=2, n_jobs=2)
    scores = cross_validate(inner, X, Y, cv=2, n_jobs=2)["test_score"]
    with joblib.parallel_config(backend="sequential"):
        np.testing.assert_array_equal(cross_validate(inner, X, Y, cv=2)["test_score"], scores)


def test_the_search_tells_its_progress(on_dask, capsys):
    halving(verbose=1).fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "Halving" in line]
    assert [line.split("] ")[1] for line in lines] == [
        "4 candidates train up to epoch 2",
        "2 candidates train up to epoch 4",
    ]


def blas_threads(estimator, X, y):
    return max(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")


@pytest.mark.parametrize("search", [halving, lambda **how: GridSearchCV(NETWORK, SPACE, **how)])
def test_a_worker_of_one_thread_computes_in_one(search, on_dask):
    threads = search(scoring=blas_threads, refit=False).fit(X, Y).cv_results_["mean_test_score"]
    assert set(threads) == {1}


# Data ---------------------------------------------------------------------------------------------


class Counted(np.ndarray):
    """An array that writes down where it arrives."""

    def __reduce__(self):
        return _arrived, (np.asarray(self), self.file)


def _arrived(rows, file):
    with open(file, "a") as log:
        log.write(f"{os.getpid()}\n")
    arrived = rows.view(Counted)
    arrived.file = file
    return arrived


@pytest.mark.parametrize("name", ["grid", "halving random", "halving"])
def test_data_go_to_each_worker_once(name, client, tmp_path):
    rows = X.view(Counted)
    rows.file = str(tmp_path / "arrivals")
    search = {
        "grid": GridSearchCV(NETWORK, SPACE, cv=3, refit=False),
        "halving random": HalvingRandomSearchCV(
            NETWORK, SPACE, resource="max_iter", max_resources=4, min_resources=1, refit=False
        ),
        "halving": halving(min_epochs=1, refit=False),
    }[name]
    with joblib.parallel_config(backend=dask_backend(client)):
        search.fit(rows, Y)
    arrivals = (tmp_path / "arrivals").read_text().split()
    assert 1 <= len(arrivals) == len(set(arrivals)) <= 2


def test_calls_have_no_data_in_them(client, monkeypatch):
    sizes = []
    packed = packing.packed
    monkeypatch.setattr(
        dask_calls, "packed", lambda tasks: sizes.append(len(packed(tasks))) or packed(tasks)
    )
    rows, y = np.tile(X, (20, 1)), np.tile(Y, 20)
    weight = np.ones(len(rows))
    for model, space in [(NETWORK, SPACE), (PIPELINE, of_step("mlpclassifier"))]:
        name = "sample_weight" if model is NETWORK else "mlpclassifier__sample_weight"
        with joblib.parallel_config(backend=dask_backend(client)):
            halving(model, space, refit=False).fit(rows, y, **{name: weight})
    assert len(sizes) > 10
    assert max(sizes) < len(rows)  # not one byte for each row


def alignment(values):
    return values["of a frame"].to_numpy().ctypes.data % 16 + values["rows"].ctypes.data % 16


def test_workers_get_aligned_arrays(client):
    pd = pytest.importorskip("pandas")
    for n_rows in (200, 201, 333):
        rows = X[:n_rows]
        values = Bag(rows=rows, **{"of a frame": pd.DataFrame(rows.copy())})
        with joblib.parallel_config(backend=dask_backend(client)):
            assert joblib.Parallel()(joblib.delayed(alignment)(values) for _ in range(4)) == [0] * 4


class Bag(dict):
    """A dict that is sent as data."""

    def __sizeof__(self):
        return 1 << 20


def test_workers_drop_data_that_this_process_has_dropped(client):
    def n_bytes():
        found = client.run(lambda dask_worker: sum(map(sizeof, dask_worker.data.values())))
        return sum(found.values())

    before = n_bytes()
    with joblib.parallel_config(backend=dask_backend(client)), joblib.Parallel() as parallel:
        for _ in range(3):
            rows = RNG.standard_normal((100_000, 10))
            assert parallel([joblib.delayed(np.shape)(rows)]) == [rows.shape]
            del rows
        gc.collect()
        end = time.monotonic() + 20
        while n_bytes() > before + 8_000_000 and time.monotonic() < end:
            time.sleep(0.1)
        assert n_bytes() <= before + 8_000_000


# Deaths -------------------------------------------------------------------------------------------


class Dies(Callback):
    """Kills its process at the end of an epoch: always, or if there is no file yet."""

    def __init__(self, once=None):
        self.once = once

    def on_epoch_end(self, trainer):
        if self.once is not None:
            if os.path.exists(self.once):
                return
            open(self.once, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


def with_callback(callback):
    """Return a space of four candidates, of which the second has the callback."""
    return [
        {"learning_rate_init": [rate], "callbacks": [[callback] if i == 1 and callback else None]}
        for i, rate in enumerate(RATES)
    ]


def scores_of(search):
    return {k: v for k, v in search.cv_results_.items() if k.startswith("split")}


@pytest.mark.slow
@pytest.mark.parametrize(("search", "n_workers"), [("halving", 1), ("grid", 2)])
def test_a_death_costs_nothing(search, n_workers, tmp_path):
    searches = {
        "halving": lambda callback: halving(NETWORK, with_callback(callback), factor=1.5),
        "grid": lambda callback: GridSearchCV(NETWORK, with_callback(callback), cv=2),
    }
    undisturbed = searches[search](None).fit(X, Y)
    once = tmp_path / "died"
    # If there is one worker, all data die with it.
    with (
        start(n_workers) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend=dask_backend(client)),
    ):
        disturbed = searches[search](Dies(str(once))).fit(X, Y)
    assert once.exists()
    np.testing.assert_equal(scores_of(disturbed), scores_of(undisturbed))
    assert (disturbed.predict(X) == undisturbed.predict(X)).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_candidate_that_kills_its_workers_costs_its_own_score(client_of_its_own):
    options = {"factor": 1.5, "cv": ShuffleSplit(1, random_state=0), "refit": False}
    whole = halving(space=with_callback(None), **options).fit(X, Y).cv_results_
    search = halving(space=with_callback(Dies()), **options)
    with joblib.parallel_config(backend="dask"), pytest.warns(FitFailedWarning, match="died"):
        results = search.fit(X, Y).cv_results_
    first, same = results["iter"] == 0, whole["iter"] == 0
    scores, expected = results["mean_test_score"][first], whole["mean_test_score"][same]
    assert np.isnan(scores[1])
    np.testing.assert_array_equal(np.delete(scores, 1), np.delete(expected, 1))


@pytest.mark.slow
def test_a_candidate_that_kills_its_workers_ends_searches_of_scikit_learn(client_of_its_own):
    search = GridSearchCV(NETWORK, with_callback(Dies()), cv=2)
    with (
        joblib.parallel_config(backend=dask_backend(client_of_its_own)),
        pytest.raises((distributed.KilledWorker, RuntimeError), match=r"workers? .*died"),
    ):
        search.fit(X, Y)


# Faults -------------------------------------------------------------------------------------------


def test_a_worker_without_skdeep_is_named(client):
    def hide(dask_worker=None):
        names = [name for name in sys.modules if name.split(".")[0] == "skdeep"]
        sys.hidden = {name: sys.modules.pop(name) for name in names}
        sys.modules["skdeep"] = None

    def show():
        del sys.modules["skdeep"]
        sys.modules.update(sys.hidden)

    worker = sorted(client.ncores())[0]
    client.run(hide, workers=[worker])
    try:
        with (
            joblib.parallel_config(backend="dask"),
            pytest.raises(
                ModuleNotFoundError, match=rf"{worker} .* can't import 'skdeep'\. Install"
            ),
        ):
            halving().fit(X, Y)
    finally:
        client.run(show, workers=[worker])
    assert len(client.ncores()) == 2


def test_another_version_is_named(client, monkeypatch):
    monkeypatch.setattr(dask_calls, "__version__", "99.0")
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(RuntimeError, match=r"has version .* of scikit-deep, and this .* 99\.0"),
    ):
        halving().fit(X, Y)


@pytest.fixture
def module_of_this_process():
    """A module that no other process can import."""
    module = types.ModuleType("only_here")
    code = "def score(estimator, X, y): return 0.5"
    exec(code, module.__dict__)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.mark.parametrize("search", [halving, lambda **how: GridSearchCV(NETWORK, SPACE, **how)])
def test_a_module_that_workers_lack_is_named(search, client, module_of_this_process):
    with (
        joblib.parallel_config(backend=dask_backend(client)),
        pytest.raises(ModuleNotFoundError, match=r"can't import 'only_here'\. Install"),
    ):
        search(scoring=module_of_this_process.score).fit(X, Y)
    assert len(client.ncores()) == 2  # Dask would have shut them down


class Unsendable(Callback):
    """What no process can be given."""

    def __init__(self, lock=None):
        self.lock = lock

    def __deepcopy__(self, memo):
        return self


def test_what_cannot_be_sent_is_an_error(on_dask):
    network = clone(NETWORK).set_params(callbacks=[Unsendable(threading.Lock())])
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock'"):
        halving(network).fit(X, Y)


def fails(estimator, X, y):
    raise ZeroDivisionError("on a worker")


def test_errors_show_the_traceback_of_the_worker(client):
    with (
        joblib.parallel_config(backend=dask_backend(client)),
        pytest.raises(ZeroDivisionError, match="on a worker") as caught,
    ):
        GridSearchCV(NETWORK, SPACE, scoring=fails, error_score="raise").fit(X, Y)
    assert "in fails" in str(caught.value.__cause__)


def wait(seconds):
    time.sleep(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["no workers", "no scheduler"])
def test_a_cluster_that_is_gone_is_an_error(fault, monkeypatch):
    if fault == "no workers":
        monkeypatch.setattr(dask_calls, "PATIENCE", 3)
    message = {"no workers": "had no workers for 3 seconds", "no scheduler": "scheduler .* is lost"}
    with start(1) as cluster, distributed.Client(cluster):

        def take(i, result):
            if i == 0:
                cluster.scale(0) if fault == "no workers" else cluster.close()

        with (
            joblib.parallel_config(backend="dask"),
            pytest.raises(RuntimeError, match=message[fault]),
            Workers(None) as workers,
        ):
            workers.run(wait, 20, lambda i: (0.2,), take)


def test_dask_is_named_if_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "skdeep.model_selection.dask_calls", None)
    with pytest.raises(ImportError, match='extra "dask" of scikit-deep'):
        dask_backend()


# Rows that are elsewhere --------------------------------------------------------------------------


def test_rows_have_to_be_in_memory(tmp_path):
    da = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match=r"HalvingEpochsSearchCV.fit takes rows in memory, .*take"):
        halving().fit(Memmap(X), Y)
    for given in ((da.from_array(X), Y), (X, da.from_array(NUMBERS))):
        with pytest.raises(ValueError, match=r"a collection of Dask; give data\.compute\(\)"):
            halving().fit(*given)


# Ctrl-C -------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time, warnings
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from skdeep import MLPClassifier
from skdeep.callbacks import Callback
from skdeep.model_selection import HalvingEpochsSearchCV

class Tells(Callback):
    def on_epoch_begin(self, trainer):
        with open(sys.argv[1], "a") as file:
            file.write("x")
        time.sleep(0.02)

if __name__ == "__main__":
    X = np.random.default_rng(0).standard_normal((60, 4))
    network = MLPClassifier((4,), random_state=0, max_iter=60, callbacks=[Tells()])
    space = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03]}
    search = HalvingEpochsSearchCV(network, space, n_candidates=4, min_epochs=4, cv=2)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        search.fit(X, X[:, 0] > 0)
    assert any("The search was interrupted" in str(w.message) for w in caught)
    assert len(search.cv_results_["iter"]) >= 4 and search.best_params_
    print("kept")
"""


@pytest.mark.slow
def test_ctrl_c(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path)
    epochs, end = tmp_path / "epochs", time.monotonic() + 100
    running = subprocess.Popen(
        [sys.executable, "program.py", str(epochs)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # The first rung has 4 * 2 * 4 epochs.
    while not epochs.exists() or epochs.stat().st_size < 4 * 2 * 4 + 10:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert "kept" in out.splitlines(), out
