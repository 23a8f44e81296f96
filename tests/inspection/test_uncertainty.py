"""Predictions with dropout: their mean, and their spread."""

import pickle
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.inspection import mc_dropout
from skdeep.layers import BatchNorm, Concatenate, Dense, Dropout, Residual
from skdeep.schedules import Scheduled

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.standard_normal(60)
THREE = np.digitize(y, [0, 1])
OPTIONS = {"max_iter": 5, "random_state": 0}


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_linear_layer_has_the_analytic_mean_and_spread(rate, standardize):
    """x w with dropout has mean x w and variance p / (1 - p) * sum (x_j w_j)^2."""
    model = MLPRegressor((), input_dropout=rate, standardize_y=standardize, max_iter=50)
    model.fit(X, 100 + 7 * y)
    found = mc_dropout(model, X, n=4000, random_state=0)
    assert found.mean.shape == found.std.shape == (60,)
    scale = 1.0 if model.y_scale_ is None else model.y_scale_
    spread = np.sqrt(rate / (1 - rate) * ((X * model.coefs_[0][:, 0]) ** 2).sum(axis=1)) * scale
    np.testing.assert_allclose(found.std, spread, rtol=0.12)
    assert (np.abs(found.mean - model.predict(X)) < 5 * spread / np.sqrt(4000)).all()


def test_the_spread_is_larger_far_from_the_data():
    model = MLPRegressor((50, 50), dropout=0.1, max_iter=200, random_state=0).fit(X, y)
    near = mc_dropout(model, X, random_state=0).std.mean()
    assert mc_dropout(model, 5 * X, random_state=0).std.mean() > 2 * near


@pytest.mark.parametrize("where", ["before", "after"])
def test_batch_norm_uses_its_stored_statistics(where):
    """With hardly any dropout, the predictions are those of predict, one row at a time too."""
    model = MLPRegressor((8, 5), batch_norm=where, dropout=1e-12, **OPTIONS).fit(X, y)
    for rows in (X, 5 + 3 * X, X[:1]):
        found = mc_dropout(model, rows, n=3)
        np.testing.assert_allclose(found.mean, model.predict(rows), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.std, 0, atol=1e-10)


MODELS = {
    "binary": lambda: MLPClassifier((9,), dropout=0.3, **OPTIONS).fit(X, y > 0),
    "multiclass": lambda: MLPClassifier((9,), dropout=0.3, **OPTIONS).fit(X, THREE),
    "multilabel": lambda: MLPClassifier((9,), dropout=0.3, **OPTIONS).fit(X, (X > 0).astype(int)),
    "two outputs": lambda: MLPRegressor((9,), input_noise=0.3, **OPTIONS).fit(X, X[:, :2]),
    "autoencoder": lambda: MLPAutoencoder((3,), input_dropout=0.2, **OPTIONS).fit(X),
    "weights": lambda: MLPRegressor((9,), weight_noise=0.1, **OPTIONS).fit(X, y),
    "activation": lambda: MLPRegressor((9,), "rrelu", **OPTIONS).fit(X, y),
    "scheduled": lambda: MLPRegressor((9,), dropout=Scheduled(0.2, "linear"), **OPTIONS).fit(X, y),
    "layers": lambda: MLPRegressor(
        layers=[
            Concatenate([[Dense(6, "relu"), BatchNorm(), Dropout(0.3)], [Dense(2)]]),
            Residual([Dense(8, "tanh"), Dropout(0.1)]),
        ],
        **OPTIONS,
    ).fit(X, y),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_model_and_predict_stays_as_it_is(name):
    model = MODELS[name]()
    before = pickle.dumps(model)
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(X)
    elif hasattr(model, "predict"):
        expected = model.predict(X)
    else:
        expected = model.inverse_transform(model.transform(X))
    found = mc_dropout(model, X, n=400, random_state=1)
    assert found.mean.shape == found.std.shape == expected.shape
    assert (found.std > 0).mean() > 0.9
    assert (np.abs(found.mean - expected) < 3 * found.std + 1e-12).mean() > 0.9
    assert pickle.dumps(model) == before
    if name in ("binary", "multiclass"):
        np.testing.assert_allclose(found.mean.sum(axis=1), 1)
    again = mc_dropout(model, X, n=400, random_state=1)
    np.testing.assert_array_equal(again.mean, found.mean)
    assert not np.array_equal(mc_dropout(model, X, n=9).mean, found.mean)


def test_in_blocks_of_rows_for_sparse_data_float32_and_a_pipeline():
    model = MLPRegressor((6,), dropout=0.2, dtype="float32", **OPTIONS).fit(X, y)
    many = np.tile(X, (30, 1))
    found = mc_dropout(model, many, n=300, random_state=0)
    assert found.mean.dtype == found.std.dtype == np.float32
    np.testing.assert_allclose(found.std[:60], found.std[-60:], rtol=0.5)
    dense, sparse = (mc_dropout(model, rows, 5, 3) for rows in (X, sp.csr_array(X)))
    np.testing.assert_allclose(dense.mean, sparse.mean, rtol=1e-4, atol=1e-5)
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    found = mc_dropout(pipeline[-1], pipeline[:-1].transform(X), n=300)
    assert np.abs(found.mean - pipeline.predict(X)).max() < found.std.max()


def test_threads_may_share_a_model():
    model = MODELS["layers"]()
    expected, found = mc_dropout(model, X, 30, 0).mean, {}

    def run(i):
        found[i] = mc_dropout(model, X, 30, 0).mean

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], expected) for i in range(4))


@pytest.mark.parametrize(
    ("make", "n", "error", "message"),
    [
        (lambda: MLPRegressor(**OPTIONS).fit(X, y), 9, ValueError, "needs a model with dropout or"),
        (MODELS["binary"], 1, ValueError, "n=1 is not allowed; give an integer >= 2"),
        (MODELS["binary"], 2.5, ValueError, r"n=2.5 is not allowed"),
        (lambda: MLPRegressor(dropout=0.1), 9, ValueError, "not fitted yet"),
        (lambda: make_pipeline(MLPRegressor()), 9, TypeError, "a Pipeline give its last"),
        (lambda: MLPClassifier(loss="hinge", dropout=0.1, **OPTIONS).fit(X, y > 0), 9, ValueError,
         "needs probabilities, which loss='hinge' does not give"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said(make, n, error, message):
    with pytest.raises(error, match=message):
        mc_dropout(make(), X, n)
