"""Inside scikit-learn: pipelines, searches, routing, cloning, pickling, threads and processes."""

import copy
import io
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback
from skdeep.layers import BatchNorm, Dense
from skdeep.optimizers import SGD, Adam
from skdeep.regularizers import L1L2
from skdeep.schedules import Exponential

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
PARTS = {
    "solver": Adam(beta_2=0.99),
    "learning_rate": Exponential(0.9),
    "kernel_regularizer": L1L2(1e-4, 1e-3),
    "batch_norm": "after",
    "dropout": 0.1,
    "callbacks": [Callback()],
}


def test_clone_and_repr():
    model = MLPClassifier((5,), **PARTS)
    other = clone(model)
    assert repr(other) == repr(model)
    assert other.solver is not model.solver
    assert "beta_2=0.99" in repr(model)
    assert "<div" in model._repr_html_()
    assert "solver__beta_2" in model.get_params()


def test_nested_parameters_can_be_set():
    model = MLPClassifier(**PARTS).set_params(
        solver__beta_2=0.9, kernel_regularizer__l1=0.5, learning_rate__decay=0.8
    )
    assert (model.solver.beta_2, model.kernel_regularizer.l1) == (0.9, 0.5)
    assert model.learning_rate.decay == 0.8


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), "joblib"],
    ids=["deepcopy", "pickle", "joblib"],
)
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_a_copy_is_a_model_of_its_own(copied, Estimator, tmp_path):
    model = Estimator((5,), max_iter=3, random_state=0, **PARTS).fit(X, y)
    if copied == "joblib":
        joblib.dump(model, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib")
    else:
        other = copied(model)
    expected = model.predict(X)
    np.testing.assert_array_equal(other.predict(X), expected)
    for W in [*other.coefs_, *other.intercepts_]:
        W[...] = 0  # views into the copy's own vector
    assert not np.array_equal(other.transform(X), model.transform(X))
    np.testing.assert_array_equal(model.predict(X), expected)
    other.partial_fit(X, y)


class Pickler(Callback):
    """Pickle the network in the middle of training."""

    def on_epoch_end(self, trainer):
        buffer = io.BytesIO()
        pickle.dump(trainer.network, buffer)
        self.size = buffer.tell()


@pytest.mark.parametrize("activation", ["relu", "gelu", "rrelu", "prelu"])
def test_buffers_never_reach_a_pickle(activation):
    watch = Pickler()
    rng = np.random.default_rng(0)
    X = rng.random((1000, 50))
    model = MLPRegressor(
        (50, 50),
        activation=activation,
        batch_norm="after",
        dropout=0.1,
        input_noise=0.1,
        activity_regularizer="l2",
        callbacks=[watch],
        batch_size=1000,
        max_iter=1,
    ).fit(X, X[:, 0])
    assert watch.size < model.network_.parameters.values.nbytes + 15_000


SPACE = {
    "mlp__dropout": [0.0, 0.2],
    "mlp__solver": [SGD(), Adam()],
    "mlp__batch_norm": [None, "before"],
    "mlp__learning_rate_init": loguniform(1e-3, 1e-1),
    "mlp__alpha": loguniform(1e-6, 1e-1),
}
STACKS = {"mlp__layers": [None, [Dense(5, "tanh"), BatchNorm()]], "mlp__alpha": [0.0, 1.0]}
SEARCHES = [
    lambda p: GridSearchCV(p, {"mlp__solver__momentum": [0.0, 0.9]}, cv=2, n_jobs=2),
    lambda p: GridSearchCV(p, STACKS, cv=2, n_jobs=2),
    lambda p: RandomizedSearchCV(p, SPACE, n_iter=4, cv=2, n_jobs=2, random_state=0),
    lambda p: HalvingRandomSearchCV(
        p,
        {"mlp__learning_rate_init": loguniform(1e-3, 1e-1)},
        resource="mlp__max_iter",
        max_resources=9,
        min_resources=3,
        n_candidates=3,
        cv=2,
        n_jobs=2,
        random_state=0,
    ),
]


@pytest.mark.parametrize("make", SEARCHES)
def test_searches_in_two_processes(make, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    mlp = MLPClassifier(solver=SGD(), learning_rate_init=0.1, max_iter=10, random_state=0)
    search = make(Pipeline([("scale", StandardScaler()), ("mlp", mlp)])).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.5


def test_as_a_transformer_in_a_pipeline():
    model = make_pipeline(
        StandardScaler(), MLPClassifier((20,), max_iter=50, random_state=0), LogisticRegression()
    )
    assert model.fit(X, y).score(X, y) > 0.9
    names = model[:-1].get_feature_names_out()
    assert names[0] == "mlpclassifier0"


def test_inside_transformed_target_regressor():
    X, y = load_diabetes(return_X_y=True)
    mlp = MLPRegressor((20,), max_iter=100, learning_rate_init=0.01, random_state=0)
    model = TransformedTargetRegressor(mlp, transformer=StandardScaler())
    assert cross_val_score(model, X, y, cv=3).mean() > 0.3


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_validation_data_is_routed_through_the_steps_before():
    mlp = MLPClassifier((5,), max_iter=2, random_state=0)
    mlp.set_fit_request(X_val=True, y_val=True, sample_weight=True)
    pipeline = Pipeline(
        [("scale", StandardScaler().set_fit_request(sample_weight=False)), ("mlp", mlp)],
        transform_input=["X_val"],
    )
    shifted = X * 100 + 5000
    pipeline.fit(shifted, y, X_val=shifted[::2], y_val=y[::2], sample_weight=np.ones(150))
    expected = pipeline.score(shifted[::2], y[::2])
    assert pipeline[-1].validation_scores_[-1] == expected


@pytest.mark.usefixtures("routing")
def test_sample_weight_is_routed_through_a_search():
    mlp = MLPClassifier((5,), max_iter=2, random_state=0)
    mlp.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(mlp, {"alpha": [0.0, 1.0]}, cv=2)
    search.fit(X, y, sample_weight=np.arange(150) % 3)
    assert np.isfinite(search.best_score_)


def test_threads_may_share_a_model():
    rng = np.random.default_rng(0)
    X = rng.random((3000, 4))
    model = MLPClassifier(
        (30, 30), activation="gelu", batch_norm="after", dropout=0.2, max_iter=1, random_state=0
    ).fit(X, (X.sum(axis=1) * 2).astype(int))
    parts = [X[i : i + 500] for i in range(0, 3000, 500)] * 10
    expected = [model.predict_proba(part) for part in parts]
    before = set(vars(model.network_.layers[0]))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(model.predict_proba, parts))
    for result, one in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, one)
    assert set(vars(model.network_.layers[0])) == before


SETTINGS = {
    "dropout": 0.2,
    "input_noise": 0.1,
    "weight_noise": 0.1,
    "batch_norm": "before",
    "activation": "rrelu",
    "max_iter": 3,
    "batch_size": 20,
}


def fitted_values(random_state):
    model = MLPClassifier((10,), random_state=random_state, **SETTINGS)
    return model.fit(X, y).network_.parameters.values


@pytest.mark.parametrize(
    "make", [lambda: 3, lambda: np.random.RandomState(3), lambda: np.random.default_rng(3)]
)
def test_the_same_random_state_gives_the_same_model(make):
    np.testing.assert_array_equal(fitted_values(make()), fitted_values(make()))


def test_a_random_state_that_is_used_up_gives_another_model():
    state = np.random.RandomState(0)
    assert not np.array_equal(fitted_values(state), fitted_values(state))
    assert not np.array_equal(fitted_values(None), fitted_values(None))


def test_another_process_learns_the_same():
    code = f"""
import sys, warnings
warnings.simplefilter("ignore")
from skdeep import MLPClassifier
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
model = MLPClassifier((10,), random_state=3, **{SETTINGS!r}).fit(X, y)
sys.stdout.write(model.network_.parameters.values.tobytes().hex())
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout == fitted_values(3).tobytes().hex()
    parallel = joblib.Parallel(n_jobs=2)(joblib.delayed(_quiet_values)(3) for _ in range(2))
    for values in parallel:
        np.testing.assert_array_equal(values, fitted_values(3))


def _quiet_values(random_state):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted_values(random_state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_nothing_in_a_small_network(dtype):
    X, y = load_digits(return_X_y=True)
    X = X[:600].astype(dtype)
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            model = MLPClassifier(max_iter=3, clip_norm=0.1, random_state=0).fit(X, y[:600])
        results.append(model.network_.parameters.values)
    np.testing.assert_array_equal(*results)


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    fitted_values(5)
    assert np.random.random() == expected  # noqa: NPY002
