"""Runs of MLflow: by the callback, and by MLflow's own autologging."""

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn import neural_network
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.callbacks import LambdaCallback, MLflow

mlflow = pytest.importorskip("mlflow")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0] > 0
OPTIONS = {"hidden_layer_sizes": (5, 4), "max_iter": 4, "batch_size": 20, "random_state": 0}


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """The address of an empty store of files, which MLflow is not set to."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "runs").as_uri()


@pytest.fixture
def store(uri):
    """A client of a store that MLflow is set to."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


def fitted(*callbacks, **options):
    model = MLPClassifier(**{**OPTIONS, **options}, callbacks=list(callbacks))
    return model.fit(X, y, X_val=X[:20], y_val=y[:20])


def runs_in(client):
    numbers = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(numbers)


# The callback -----------------------------------------------------------------------------------


def test_the_history_is_read_back(uri):
    callback = MLflow("clothes", "first", uri)
    model = fitted(callback)
    client = mlflow.MlflowClient(tracking_uri=uri)
    run = client.get_run(callback.run_id_)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert client.get_experiment(run.info.experiment_id).name == "clothes"
    assert run.data.params["hidden_layer_sizes"] == "(5, 4)"
    for name, column in model.history_.items():
        metrics = client.get_metric_history(callback.run_id_, name)
        assert [m.step for m in metrics] == [1, 2, 3, 4]
        np.testing.assert_allclose([m.value for m in metrics], column)
    fitted(MLflow("clothes", tracking_uri=uri))
    assert len(client.search_runs([run.info.experiment_id])) == 2


def test_a_run_that_failed_is_marked(uri):
    def fail(trainer):
        raise ZeroDivisionError

    callback = MLflow(tracking_uri=uri)
    with pytest.raises(ZeroDivisionError):
        fitted(callback, LambdaCallback(on_epoch_end=fail))
    client = mlflow.MlflowClient(tracking_uri=uri)
    assert client.get_run(callback.run_id_).info.status == "FAILED"


@pytest.mark.parametrize("options", [{"tracking_uri": "gopher://nowhere"}, {"experiment": "/"}])
def test_the_error_of_a_run_that_cannot_start_is_shown(store, options):
    if "experiment" in options:  # something that the store refuses
        options = {"experiment": "x" * 10_000}
    with pytest.raises(mlflow.exceptions.MlflowException):
        fitted(MLflow(**options))


def test_a_parent_that_is_not_there(store):
    with pytest.raises(mlflow.exceptions.MlflowException, match="0123"):
        fitted(MLflow(parent_run_id="0123456789abcdef0123456789abcdef"))


def test_in_a_run_that_is_active(store):
    with mlflow.start_run() as active:
        for alpha in (0.1, 0.2):
            callback = MLflow()
            fitted(callback, alpha=alpha)
            assert callback.run_id_ == active.info.run_id
    mlflow.set_experiment("mine")
    callback = MLflow()
    fitted(callback)
    run = store.get_run(callback.run_id_)
    assert store.get_experiment(run.info.experiment_id).name == "mine"
    assert run.info.status == "FINISHED"
    mlflow.set_experiment("Default")


SEARCHED = {"mlpclassifier__alpha": [0.1, 0.2]}


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_fits_of_a_search_are_nested_runs(store, uri, n_jobs):
    get_reusable_executor().shutdown(wait=True)  # whose workers have another environment
    with mlflow.start_run() as active:
        callback = MLflow()
        if n_jobs:  # other processes know nothing of this one's run
            callback = MLflow(tracking_uri=uri, parent_run_id=active.info.run_id)
        model = MLPClassifier(**OPTIONS, callbacks=[callback])
        pipeline = make_pipeline(StandardScaler(), model)
        GridSearchCV(pipeline, SEARCHED, cv=2, n_jobs=n_jobs).fit(X, y)
        own = MLflow()
        fitted(own)
        assert own.run_id_ == active.info.run_id  # nothing of the search is left
    nested = [r for r in runs_in(store) if r.info.run_id != active.info.run_id]
    assert len(nested) == 2 * 2 + 1
    assert {r.data.tags["mlflow.parentRunId"] for r in nested} == {active.info.run_id}
    assert {r.info.status for r in nested} == {"FINISHED"}
    alphas = [run.data.params["alpha"] for run in nested]
    assert min(alphas.count("0.1"), alphas.count("0.2")) == 2


def test_fits_of_a_cross_validation_without_an_active_run(store):
    cross_val_score(MLPClassifier(**OPTIONS, callbacks=[MLflow()]), X, y, cv=3)
    runs = runs_in(store)
    assert len(runs) == 3
    assert not any("mlflow.parentRunId" in run.data.tags for run in runs)


# Autologging ------------------------------------------------------------------------------------


@pytest.fixture
def autologging(store):
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    yield store
    mlflow.sklearn.autolog(disable=True, silent=True)


MODELS = [
    (MLPClassifier, neural_network.MLPClassifier, y),
    (MLPRegressor, neural_network.MLPRegressor, X[:, 0]),
]


@pytest.mark.parametrize(("ours", "theirs", "y"), MODELS)
def test_autologging_logs_what_it_logs_of_scikit_learns(autologging, ours, theirs, y):
    logged = []
    for Estimator in (theirs, ours):
        model = Estimator(**{**OPTIONS, "max_iter": 60}).fit(X, y)
        (run,) = [r for r in runs_in(autologging) if r.info.run_id not in {i for i, *_ in logged}]
        logged.append((run.info.run_id, run.data.params, run.data.metrics))
        assert run.data.tags["estimator_name"] == Estimator.__name__
        assert run.data.tags["estimator_class"].startswith(Estimator.__module__)
        assert run.data.metrics["training_score"] == pytest.approx(model.score(X, y))
        assert run.info.status == "FINISHED"
    (_, their_params, their_metrics), (_, our_params, our_metrics) = logged
    assert their_params.keys() <= our_params.keys() | {"loss"}
    assert our_params["hidden_layer_sizes"] == "(5, 4)"
    # One that is not defined for a model, as a precision without a prediction, is left out.
    assert our_metrics.keys() | {"training_precision_score"} >= their_metrics.keys()


def test_autologging_of_an_autoencoder_and_of_transforms(autologging):
    MLPAutoencoder((2,), max_iter=2).fit_transform(X)
    (run,) = runs_in(autologging)
    assert run.data.params["tied_weights"] == "False"


def test_autologging_of_a_pipeline_is_one_run(autologging):
    make_pipeline(StandardScaler(), MLPClassifier(**OPTIONS)).fit(X, y)
    (run,) = runs_in(autologging)
    assert run.data.tags["estimator_name"] == "Pipeline"
    assert run.data.params["mlpclassifier__max_iter"] == "4"


def test_autologging_ends_when_it_is_switched_off(autologging):
    MLPClassifier(**OPTIONS).fit(X, y)
    mlflow.sklearn.autolog(disable=True, silent=True)
    MLPClassifier(**OPTIONS).fit(X, y)
    assert len(runs_in(autologging)) == 1
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    MLPClassifier(**OPTIONS).fit(X, y)
    assert len(runs_in(autologging)) == 2


def test_autologging_changes_nothing_about_the_model(autologging):
    logged = MLPClassifier(**OPTIONS).fit(X, y, X_val=X, y_val=y)
    mlflow.sklearn.autolog(disable=True, silent=True)
    plain = MLPClassifier(**OPTIONS).fit(X, y, X_val=X, y_val=y)
    np.testing.assert_array_equal(logged.coefs_[0], plain.coefs_[0])
    assert logged.validation_scores_ == plain.validation_scores_
