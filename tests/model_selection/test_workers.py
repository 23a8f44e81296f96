"""The workers of a search: results, threads, memory, and what the death of one costs."""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback
from skdeep.model_selection import HalvingEpochsSearchCV, workers
from skdeep.model_selection.trials import _dumped, _loaded
from skdeep.model_selection.workers import Workers

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = np.array(["no", "yes"])[(X[:, 0] ** 2 > 0.7).astype(int)]
NETWORK = MLPClassifier((4,), batch_size=20, random_state=0, max_iter=4)
SPACE = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03], "activation": ["relu", "tanh"]}
PIPELINE = make_pipeline(StandardScaler(), NETWORK)
OF_PIPELINE = {f"mlpclassifier__{name}": values for name, values in SPACE.items()}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def halving(estimator=NETWORK, space=SPACE, **options):
    options = {"n_candidates": 4, "cv": 2, "min_epochs": 2, "random_state": 0} | options
    return HalvingEpochsSearchCV(estimator, space, **options)


def cases():
    """Searches that train on rows of X, and on rows that went through other steps."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    return {
        "network": (NETWORK, SPACE, X, Y),
        "pipeline": (PIPELINE, OF_PIPELINE, X, Y),
        "data frame": (PIPELINE, OF_PIPELINE, frame, pd.Series(Y)),
        "sparse": (NETWORK, SPACE, sp.csr_matrix(X * (X > 0)), Y),
    }


def outcome(case, n_jobs):
    estimator, space, X, y = case
    search = halving(estimator, space, n_jobs=n_jobs).fit(X, y)
    results = {k: v for k, v in search.cv_results_.items() if "time" not in k and k != "params"}
    return results, search.predict_proba(X)


@pytest.fixture(scope="module")
def of_one_process():
    return {name: outcome(case, 1) for name, case in cases().items()}


@pytest.fixture(scope="module")
def dask_client():
    distributed = pytest.importorskip("dask.distributed")
    options = {"dashboard_address": ":0", "n_workers": 1, "threads_per_worker": 2}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=["loky", "threading", "multiprocessing", "dask"])
def backend(request):
    if request.param == "dask":
        request.getfixturevalue("dask_client")
    with joblib.parallel_config(backend=request.param):
        yield request.param


# Results ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_results_do_not_depend_on_the_backend(backend, of_one_process):
    for name, case in cases().items():
        results, probabilities = outcome(case, 2)
        np.testing.assert_equal(results, of_one_process[name][0])
        np.testing.assert_array_equal(probabilities, of_one_process[name][1])


CLASSIFICATION = ("accuracy", "balanced", "roc_auc", "neg_log_loss", "average_precision", "f1")
REGRESSION = ("r2", "neg_mean_squared_error", "explained_variance", "neg_max_error", "d2_absolute")


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_rows_are_scored_in_blocks_as_scikit_learn_scores_them(container, monkeypatch):
    monkeypatch.setattr("skdeep.model_selection.folds._NUMBERS_AT_A_TIME", 7 * 4)
    for names, model, y in [
        (CLASSIFICATION, NETWORK, (Y == "yes").astype(int)),
        (REGRESSION, MLPRegressor((4,), random_state=0, max_iter=4), X[:, 0] ** 2),
    ]:
        names = [name for name in get_scorer_names() if name.startswith(names)]
        known = {name: name for name in names if "micro" not in name and "samples" not in name}
        search = halving(model, {"alpha": [0.1]}, n_candidates=1, scoring=known, refit=names[0])
        results = search.fit(container(X), y).cv_results_
        plain = cross_validate(model.set_params(alpha=0.1), container(X), y, cv=2, scoring=known)
        for name in known:
            scores = [results[f"split{i}_test_{name}"][-1] for i in range(2)]
            np.testing.assert_allclose(scores, plain[f"test_{name}"], err_msg=name)


def of_notebook(source):
    """Return what code defines that no process can import."""
    names = {"__name__": "__main__", "Callback": Callback}
    exec(source, names)
    return names


def test_networks_with_classes_of_a_notebook_continue():
    code = "class Mine(Callback):\n    def on_epoch_end(self, trainer): pass"
    model = NETWORK.__class__((3,), callbacks=[of_notebook(code)["Mine"]()], max_iter=2)
    model.fit(X, Y)
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(model)
    np.testing.assert_array_equal(_loaded(_dumped(model)).predict(X), model.predict(X))


def test_steps_with_functions_of_a_notebook_are_searched():
    step = FunctionTransformer(lambda X: X * 2)
    pipeline = make_pipeline(step, NETWORK)
    for n_jobs in (1, 2):
        search = halving(pipeline, OF_PIPELINE, scoring=own_score, n_jobs=n_jobs).fit(X, Y)
        assert len(search.cv_results_["iter"]) == 6


def own_score(estimator, X, y):
    return estimator.score(X, y)


@pytest.mark.parametrize("refit", [False, True, "recall", np.argmax])
def test_one_of_several_scores_has_to_decide(refit):
    for scoring in (["accuracy", "f1_macro"], two_scores):
        with pytest.raises(ValueError, match=r"refit=.* is not allowed with several scores: give"):
            halving(scoring=scoring, refit=refit).fit(X, Y)


def two_scores(estimator, X, y):
    return {"a": estimator.score(X, y), "b": 0.0}


# Threads ------------------------------------------------------------------------------------------


def blas_threads():
    return max(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")


def threads_in_scorer(estimator, X, y):
    return {"score": estimator.score(X, y), "threads": blas_threads()}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_share_the_cores(backend):
    before = blas_threads()
    search = halving(n_jobs=2, scoring=threads_in_scorer, refit="score").fit(X, Y)
    threads = search.cv_results_["mean_test_threads"]
    assert 1 <= threads.min() <= threads.max() <= max(1, joblib.cpu_count() // 2)
    assert blas_threads() == before


def test_limits_of_a_worker_with_threads_end(monkeypatch, dask_client):
    monkeypatch.setattr(workers, "cpu_count", lambda: 2)
    before = dask_client.run(blas_threads)
    with joblib.parallel_config(backend="dask"):
        halving(n_jobs=2).fit(X, Y)
    assert dask_client.run(blas_threads) == before


def test_searches_in_threads_put_the_threads_back(monkeypatch):
    before = blas_threads()

    def search(i):
        with joblib.parallel_config(backend="threading"):
            return halving(n_jobs=2, n_candidates=2, random_state=i).fit(X, Y).best_score_

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(search, range(6)))
    assert blas_threads() == before


# Memory -------------------------------------------------------------------------------------------


def own_memory(process):
    """Return the bytes of a process; those that it shares count in part."""
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except OSError:  # it has ended
        return 0


def growth(X, y, estimator, space):
    """Return by how many bytes a search lets this process and its workers grow."""
    psutil = pytest.importorskip("psutil")
    this = psutil.Process()

    def now():
        return sum(map(own_memory, [this, *this.children(recursive=True)]))

    with ThreadPoolExecutor(1) as pool:
        before, used, ended = now(), [], []

        def sample():
            while not ended:
                used.append(now())
                time.sleep(0.02)

        sampling = pool.submit(sample)
        try:
            halving(estimator, space, n_jobs=4, refit=False, cv=3).fit(X, y)
        finally:
            ended.append(True)
        sampling.result()
    return max(used) - before


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs Linux")
def test_workers_share_the_memory_of_the_data():
    large = RNG.standard_normal((70_000, 500))
    y = (large[:, 0] > 0).astype(int)
    network = NETWORK.__class__((4,), batch_size=100, random_state=0, max_iter=3)
    of_processes = growth(large[:600], y[:600], network, SPACE)
    of_workers = 4 * 30e6  # blocks of rows, targets, a network
    assert growth(large, y, network, SPACE) - of_processes < 1.2 * large.nbytes + of_workers


# Deaths -------------------------------------------------------------------------------------------

WAYS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "crash": lambda: ctypes.string_at(0),
}


class Dies(Callback):
    """Ends the process at an epoch: always, or if there is no file yet."""

    def __init__(self, way, at=1, once=None):
        self.way = way
        self.at = at
        self.once = once

    def on_epoch_end(self, trainer):
        if trainer.epoch_of_run != self.at:
            return
        if self.once is not None:
            if os.path.exists(self.once):
                return
            open(self.once, "w").close()
        WAYS[self.way]()


def with_callback(callback):
    """Return a space of five candidates, of which the second has the callback."""
    rates = [0.001, 0.003, 0.01, 0.03, 0.1]
    return [
        {"learning_rate_init": [rate], "callbacks": [[callback] if i == 1 and callback else None]}
        for i, rate in enumerate(rates)
    ]


def scores_of(search):
    names = ("candidate", "iter", "mean_test_score")
    rows = zip(*(search.cv_results_[name] for name in names), strict=True)
    return {(int(c), int(rung)): score for c, rung, score in rows}


def large_rows():
    """Rows that joblib puts into a file."""
    return np.tile(X, (600, 1)), np.tile(Y, 600)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_death_costs_the_candidate(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    options = {"n_candidates": 5, "factor": 1.5, "max_epochs": 4, "refit": False}
    X, Y = large_rows()
    whole = scores_of(halving(space=with_callback(None), **options).fit(X, Y))
    search = halving(space=with_callback(Dies("kill")), n_jobs=2, **options)
    with pytest.warns(FitFailedWarning, match="died, twice"):
        search.fit(X, Y)
    scores = scores_of(search)
    assert np.isnan(scores[1, 0])
    same = [c for c in scores.keys() & whole.keys() if not np.isnan(scores[c])]
    assert len(same) >= 8
    assert all(scores[c] == whole[c] for c in same)
    assert not list(tmp_path.rglob("skdeep-search-*"))
    assert halving(n_jobs=2).fit(X[:60], Y[:60]).best_score_ > 0  # the next one has workers


def test_a_death_that_does_not_repeat_costs_nothing(tmp_path):
    whole = halving(space=with_callback(None), n_candidates=5).fit(X, Y)
    once = Dies("kill", once=str(tmp_path / "died"))
    search = halving(space=with_callback(once), n_candidates=5, n_jobs=2).fit(X, Y)
    assert (tmp_path / "died").exists()
    assert scores_of(search) == scores_of(whole)


def test_a_death_can_raise():
    search = halving(space=with_callback(Dies("kill")), n_jobs=2, n_candidates=5)
    with pytest.raises(RuntimeError, match="died, twice"):
        search.set_params(error_score="raise").fit(X, Y)


def number(i, died):
    if i in (3, 4) or (i == 9 and not os.path.exists(died)):
        open(died, "w").close()
        os._exit(1)
    return i * i, os.getpid()


def test_only_calls_that_were_underway_are_repeated(tmp_path):
    results, calls = {}, []

    def job(i):
        calls.append(i)
        return i, str(tmp_path / "died")

    with Workers(2) as processes:
        processes.run(number, 40, job, lambda i, result: results.update({i: result}))
    assert list(results) == list(range(40))
    assert [i for i in results if results[i] is None] == [3, 4]
    assert all(results[i][0] == i * i for i in results if results[i])
    assert len(calls) < 40 + 30


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def test_what_a_worker_cannot_read_is_no_death():
    with Workers(2) as processes, pytest.raises(Exception, match="un-serialize"):
        processes.run(number, 2, lambda i: (Unreadable(), ""), lambda i, result: None)


# Ctrl-C -------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys, time, warnings
import numpy as np
from skdeep import MLPClassifier
from skdeep.callbacks import Callback
from skdeep.model_selection import HalvingEpochsSearchCV

class Tells(Callback):
    def on_epoch_begin(self, trainer):
        with open("epochs", "a") as file:
            file.write("x")
        time.sleep(0.02)

X = np.random.default_rng(0).standard_normal((60, 4))
network = MLPClassifier((4,), random_state=0, max_iter=60, callbacks=[Tells()])
space = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03]}
search = HalvingEpochsSearchCV(network, space, n_candidates=4, min_epochs=4, cv=2, n_jobs=2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    search.fit(X, X[:, 0] > 0)
assert any("The search was interrupted" in str(w.message) for w in caught)
assert len(search.cv_results_["iter"]) >= 4 and search.best_params_
assert not hasattr(search, "best_estimator_")
print("kept")
"""


def has_processes(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "terminal"])
def test_ctrl_c_with_processes(whole_group, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "JOBLIB_TEMP_FOLDER": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path)
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    epochs, end = tmp_path / "epochs", time.monotonic() + 100
    # The first rung has 4 * 2 * 4 epochs, the second 2 * 2 * 8.
    while not epochs.exists() or epochs.stat().st_size < 4 * 2 * 4 + 10:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert out.splitlines()[-1] == "kept", out
    while has_processes(running.pid):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert [file.name for file in tmp_path.rglob("*")] == ["epochs"]
