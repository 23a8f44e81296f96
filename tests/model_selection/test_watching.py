"""What callbacks see of a search, and Ctrl-C within it."""

import signal
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.callbacks import Callback, EarlyStopping, LearningRateLogger, ModelCheckpoint
from skdeep.model_selection import HalvingEpochsSearchCV, PruningSearchCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = (X[:, 0] ** 2 > 0.7).astype(int)
NETWORK = MLPClassifier((4,), batch_size=20, random_state=0, max_iter=9)
RATES = [0.001, 0.003, 0.01, 0.03, 0.1]
SPACE = {"learning_rate_init": RATES}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def halving(estimator=NETWORK, space=SPACE, **options):
    options = {"n_candidates": 5, "random_state": 0} | options
    return HalvingEpochsSearchCV(estimator, space, **options)


def piped(network=NETWORK, scaler=None):
    return make_pipeline(scaler or StandardScaler(), network)


PIPED = {"mlpclassifier__learning_rate_init": RATES}

# Callbacks of scikit-learn ------------------------------------------------------------------------


class Watch:
    """Counts the tasks that begin and end; it is passed on to all estimators within."""

    max_propagation_depth = None

    def __init__(self):
        self.tasks = Counter()
        self.open = 0

    def setup(self, estimator, context):
        self.open += 1

    def on_fit_task_begin(self, estimator, context):
        self.tasks["begin", context.task_name] += 1

    def on_fit_task_end(self, estimator, context):
        self.tasks["end", context.task_name] += 1

    def teardown(self, estimator, context):
        self.open -= 1

    def ended(self):
        """Return the number of each task, if all that began have ended."""
        names = {name for _, name in self.tasks}
        assert self.open == 0
        assert all(self.tasks["begin", name] == self.tasks["end", name] for name in names)
        return {name: self.tasks["end", name] for name in names}


PARTS = {"search": 1, "iteration": 3, "candidate-split-evaluation": (5 + 2 + 1) * 3, "epoch": 9}


@pytest.mark.parametrize(
    ("search", "tasks"),
    [
        (halving(), {"fit": 2, **PARTS}),
        (halving(n_jobs=2), {"fit": 2, **PARTS}),
        (halving(piped(), PIPED), {"fit": 4, **PARTS}),
        (make_pipeline(StandardScaler(), halving()), {"fit": 4, **PARTS}),
        (halving(refit=False), {"fit": 1, **PARTS, "epoch": 0}),
        (
            PruningSearchCV(NETWORK, SPACE, n_candidates=5, group_size=3, random_state=0),
            {"fit": 2, "search": 1, "iteration": 2 * 9, "epoch": 9},
        ),
        (GridSearchCV(halving(), {"factor": [2, 3]}, cv=2), {"search": 1 + 5, "epoch": 5 * 9}),
    ],
    ids=["halving", "processes", "of a pipeline", "in a pipeline", "no refit", "pruning", "grid"],
)
def test_tasks_begin_and_end(search, tasks):
    pytest.importorskip("sklearn.callback")
    watch = Watch()
    clone(search).set_callbacks(watch).fit(X, Y)
    ended = watch.ended()
    assert {name: ended.get(name, 0) for name in tasks} == tasks


def test_progress_bars_come_to_the_end(capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    halving().set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, Y)
    bars = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(bars) == 1 + 1 + 3 + 1  # search, its task, rungs, refit
    assert all("100%" in bar for bar in bars)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_of_the_network_are_torn_down_after_each_part(n_jobs):
    pytest.importorskip("sklearn.callback")
    watch = Watch()
    watch.max_propagation_depth = 0
    network = clone(NETWORK).set_callbacks(watch)
    halving(network, n_jobs=n_jobs).fit(X, Y)
    ended = watch.ended()
    assert ended["fit"] == (15 + 1 if n_jobs == 1 else 1)  # later parts, and workers, have copies


def test_a_callback_that_fails_ends_the_search(tmp_path, monkeypatch):
    pytest.importorskip("sklearn.callback")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Fails(Watch):
        def on_fit_task_end(self, estimator, context):
            raise ZeroDivisionError

    watch = Fails()
    for n_jobs in (1, 2):
        with pytest.raises(ZeroDivisionError):
            halving(n_jobs=n_jobs).set_callbacks(watch).fit(X, Y)
        assert watch.open == 0
        assert not list(tmp_path.glob("skdeep-*"))


# Callbacks of skdeep ------------------------------------------------------------------------------


def test_callbacks_of_skdeep_see_each_epoch_once(tmp_path):
    rates = LearningRateLogger()
    network = clone(NETWORK).set_params(callbacks=[rates, EarlyStopping(monitor="loss")])
    search = halving(network, n_jobs=2).fit(X, Y)
    history = search.best_estimator_.history_
    assert len(history["learning_rate"]) == search.best_estimator_.n_iter_
    assert search.best_score_ == halving(clone(NETWORK)).fit(X, Y).best_score_


def test_early_stopping_ends_a_candidate_in_the_middle_of_a_rung():
    stop = EarlyStopping(monitor="loss", patience=2, threshold=10.0)
    network = clone(NETWORK).set_params(callbacks=[stop])
    search = halving(network, min_epochs=1, max_epochs=9).fit(X, Y)
    plain = clone(network).fit(X, Y).n_iter_
    assert plain < 9
    assert search.n_epochs_ <= 5 * 3 * plain


# Ctrl-C -------------------------------------------------------------------------------------------


class Interrupts(Callback):
    """Presses Ctrl-C at one of the epochs, counted over all parts."""

    n_epochs = 0

    def __init__(self, at):
        self.at = at

    def on_epoch_begin(self, trainer):
        Interrupts.n_epochs += 1
        if Interrupts.n_epochs == self.at:
            signal.raise_signal(signal.SIGINT)


class InterruptedScaler(StandardScaler):
    """Presses Ctrl-C if it is fitted to all rows."""

    def fit(self, X, y=None):
        if len(X) == 60:
            signal.raise_signal(signal.SIGINT)
        return super().fit(X, y)


def interrupted(at, **options):
    Interrupts.n_epochs = 0
    return halving(clone(NETWORK).set_params(callbacks=[Interrupts(at)]), **options)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


# All candidates: 15 epochs; two candidates: 2 * 3 * 2; one: 1 * 3 * 6; fit to all rows: 9.
@pytest.mark.parametrize(
    ("at", "n_rows"), [(4, 1), (15, 4), (16, 5), (22, 6), (27, 6), (28, 7), (45, 7)]
)
def test_an_interrupted_search_keeps_what_is_finished(at, n_rows, folder):
    whole = halving().fit(X, Y)
    search = interrupted(at)
    with (
        pytest.warns(UserWarning, match="Training interrupted by user"),
        pytest.warns(UserWarning, match=f"cv_results_ and best_params_ are of the {n_rows} rows"),
    ):
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, whole.cv_results_["mean_test_score"][:n_rows])
    assert search.best_params_["learning_rate_init"] in RATES
    assert search.n_epochs_ < at
    assert not hasattr(search, "best_estimator_")
    assert not list(folder.iterdir())


def test_a_search_with_nothing_finished_is_interrupted(folder):
    search = interrupted(2)
    with (
        pytest.warns(UserWarning, match="Training interrupted by user"),
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")
    assert not list(folder.iterdir())


def test_the_network_keeps_what_it_has_if_its_refit_is_interrupted():
    search = interrupted(15 + 12 + 18 + 5)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        search.fit(X, Y)
    assert len(search.cv_results_["iter"]) == 8
    assert search.best_estimator_.n_iter_ == 4
    search.predict(X)


def test_the_results_remain_if_a_step_is_interrupted_in_the_refit():
    search = halving(piped(scaler=InterruptedScaler()), PIPED)
    search.set_params(estimator=make_pipeline(InterruptedScaler(), NETWORK))
    with pytest.warns(UserWarning, match="fit of the best candidate to all rows was interrupted"):
        search.fit(X, Y)
    assert len(search.cv_results_["iter"]) == 8
    assert not hasattr(search, "best_estimator_")


def test_an_interrupted_search_has_no_model_of_an_earlier_one():
    search = halving().fit(X, Y)
    Interrupts.n_epochs = 0
    search.set_params(estimator__callbacks=[Interrupts(20)])
    with (
        pytest.warns(UserWarning, match="Training interrupted by user"),
        pytest.warns(UserWarning, match="The search was interrupted"),
    ):
        search.fit(X, Y)
    assert not hasattr(search, "best_estimator_")
    assert search.best_score_ == search.cv_results_["mean_test_score"][search.best_index_]


def test_tasks_of_an_interrupted_search():
    pytest.importorskip("sklearn.callback")
    watch = Watch()
    search = interrupted(20).set_callbacks(watch)
    with (
        pytest.warns(UserWarning, match="Training interrupted by user"),
        pytest.warns(UserWarning, match="The search was interrupted"),
    ):
        search.fit(X, Y)
    assert watch.open == 0
    assert watch.tasks["end", "fit"] == 1


def test_checkpoints_of_parts(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "model", monitor="loss")
    network = clone(NETWORK).set_params(callbacks=[checkpoint])
    assert halving(network).fit(X, Y).best_score_ == halving().fit(X, Y).best_score_
