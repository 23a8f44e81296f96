"""scikit-learn's own callbacks, where its version has them."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, load, save

callback = pytest.importorskip("sklearn.callback")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((80, 4))
y = (X[:, 0] > 0).astype(int)
LOG = []


class Watch:
    """Notes every task; may end training."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after

    def setup(self, estimator, context):
        LOG.append("setup")

    def teardown(self, estimator, context):
        LOG.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        LOG.append(("begin", context.task_name, context.task_id, len(X)))

    def on_fit_task_end(self, estimator, context, *, y=None, metadata=None):
        LOG.append(("end", context.task_name, context.task_id, sorted(metadata)))
        return context.task_name == "epoch" and context.task_id == self.stop_after


class Predict(Watch):
    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        assert fitted_estimator is not estimator
        LOG.append(fitted_estimator)


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


def options(Estimator, **more):
    return Estimator(**{"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **more})


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, MLPAutoencoder])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_task_an_epoch(Estimator, solver):
    model = options(Estimator, solver=solver).set_callbacks(Watch()).fit(X, y)
    epochs = [
        entry
        for i in range(model.n_iter_)
        for entry in (("begin", "epoch", i, 80), ("end", "epoch", i, ["sample_weight"]))
    ]
    begun = [entry for entry in LOG if entry[:2] != ("begin", "epoch") or entry in epochs]
    assert begun[0] == "setup"
    assert begun[1] == ("begin", "fit", 0, 80)
    assert [entry for entry in LOG if entry[0] == "end"][:-1] == epochs[1::2]
    assert LOG[-2:] == [("end", "fit", 0, ["sample_weight"]), "teardown"]


def test_what_a_hook_returns_ends_training():
    model = options(MLPClassifier, max_iter=9).set_callbacks(Watch(stop_after=3)).fit(X, y)
    assert model.n_iter_ == 4


def test_a_model_of_every_epoch():
    model = options(MLPClassifier, max_iter=4).set_callbacks(Predict()).fit(X, y)
    fitted = [entry for entry in LOG if isinstance(entry, MLPClassifier)]
    assert [m.n_iter_ for m in fitted] == [1, 2, 3, 4, 4]
    for n, m in enumerate(fitted[:-1], 1):
        alone = options(MLPClassifier, max_iter=n).fit(X, y)
        np.testing.assert_array_equal(m.predict_proba(X), alone.predict_proba(X))
        assert m.loss_curve_ == alone.loss_curve_
    np.testing.assert_array_equal(fitted[-1].predict_proba(X), model.predict_proba(X))


def test_copies_for_callbacks_are_made_only_where_one_asks(monkeypatch):
    from skdeep.estimators import watching

    made = []
    real = watching._fitted_attributes
    monkeypatch.setattr(
        watching, "_fitted_attributes", lambda model: made.append(model) or real(model)
    )
    options(MLPClassifier).set_callbacks(Watch()).fit(X, y)
    assert not made
    options(MLPClassifier).set_callbacks(Predict()).fit(X, y)
    assert len(made) == 4


def test_an_error_ends_it_in_order():
    class Fail(Watch):
        def on_fit_task_end(self, estimator, context):
            raise ZeroDivisionError

    model = options(MLPClassifier, warm_start=True).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ZeroDivisionError):
        model.set_callbacks(Fail()).fit(X, y)
    assert LOG[-1] == "teardown"
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert not [name for name in vars(model) if "ctx" in name]


def test_scores_of_every_epoch():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    options(MLPClassifier, max_iter=5).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs()
    scores = [row["accuracy"] for row in log.data if row["task_name"] == "epoch"]
    assert len(scores) == 5
    assert all(0 <= score <= 1 for score in scores)


def test_a_bar_for_a_search_of_a_pipeline_with_two_workers(capsys):
    pytest.importorskip("rich")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), options(MLPClassifier)),
        {"mlpclassifier__alpha": [0.0, 0.1]},
        cv=2,
        n_jobs=2,
    )
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    out = capsys.readouterr().out
    assert "MLPClassifier - fit" in out
    assert "100%" in out


def test_watched_models_are_pickled_cloned_and_saved(tmp_path):
    model = options(MLPClassifier).set_callbacks(Watch()).fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), model.predict_proba(X))
    clone(model).fit(X, y)
    assert LOG.count("setup") == 2


def test_partial_fit_is_a_step_of_somebody_elses_loop():
    options(MLPClassifier).set_callbacks(Watch()).partial_fit(X, y, classes=[0, 1])
    assert LOG == []
