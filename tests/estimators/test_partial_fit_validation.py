"""partial_fit with validation data: the history has their figures."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.multioutput import MultiOutputRegressor

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.callbacks import CSVLogger

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 4))
LABELS = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
WEIGHT = np.arange(20) % 3 + 1.0


def twice(Estimator, y, first, second):
    """Train with two calls; return the model before the second one, and after it."""
    model = Estimator((5,), metrics=["score"], random_state=0)
    targets = {} if y is None else {"y": y}
    classes = {"classes": ["no", "yes"]} if Estimator is MLPClassifier else {}
    model.partial_fit(X, **targets, **classes, **first)
    return model.partial_fit(X, **targets, **second)


@pytest.mark.parametrize(
    ("Estimator", "y"),
    [
        (MLPClassifier, LABELS),
        (MLPRegressor, X[:, 0]),
        (MLPRegressor, X[:, :2]),
        (MLPAutoencoder, None),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_figures_are_those_of_the_model_after_the_call(Estimator, y, sparse):
    rows = sp.csr_matrix(X[:20]) if sparse else X[:20]
    targets = {} if y is None else {"y_val": y[:20]}
    given = {"X_val": rows, **targets, "sample_weight_val": WEIGHT}
    model = twice(Estimator, y, given, given)
    scored = () if y is None else (y[:20],)
    expected = model.score(rows, *scored, sample_weight=WEIGHT)
    assert model.history_["val_score"][-1] == pytest.approx(expected)
    assert np.isfinite(model.history_["val_loss"]).all()
    assert model.validation_scores_ == model.history_["val_score"]
    assert len(model.history_["score"]) == 2
    assert "val_val_score" not in model.history_


def test_calls_with_and_without_validation_data(tmp_path):
    model = MLPRegressor((5,), random_state=0, callbacks=[CSVLogger(tmp_path / "log.csv")])
    model.partial_fit(X, X[:, 0], X_val=X, y_val=X[:, 0]).partial_fit(X, X[:, 0])
    assert [math.isnan(score) for score in model.history_["val_score"]] == [False, True]
    assert (tmp_path / "log.csv").read_text().count("nan") == 2
    assert model.best_validation_score_ == model.history_["val_score"][0]


def test_weights_do_not_depend_on_validation_data():
    given = {"X_val": X[:20], "y_val": X[:20, 0]}
    with_data, without = (twice(MLPRegressor, X[:, 0], more, more) for more in (given, {}))
    np.testing.assert_array_equal(with_data.coefs_[0], without.coefs_[0])


def test_rows_of_one_kind_are_no_reason_to_warn():
    model = MLPClassifier((5,), random_state=0)
    for label in ("no", "yes"):
        rows = label == LABELS
        model.partial_fit(
            X[rows][:10], LABELS[rows][:10], classes=["no", "yes"], X_val=X, y_val=LABELS
        )
    assert len(model.history_["val_loss"]) == 2


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({}, {"X_val": X}, "X_val and y_val belong together"),
        ({}, {"X_val": X[:, :2], "y_val": LABELS}, "In X_val, y_val or sample_weight_val"),
        ({}, {"X_val": X, "y_val": X[:, 0] > 0}, "In X_val, y_val or sample_weight_val"),
        ({}, {"sample_weight_val": WEIGHT}, "belongs to X_val and y_val"),
        ({"early_stopping": True}, {"X_val": X, "y_val": LABELS}, "does not support early_stop"),
    ],
)
def test_what_is_not_allowed(options, given, message):
    model = MLPClassifier((5,), **options)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, LABELS, classes=["no", "yes"], **given)
    assert not hasattr(model, "history_")


def test_metadata_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPRegressor((5,), random_state=0)
        model.set_partial_fit_request(X_val=True, y_val=True, sample_weight=True)
        both = MultiOutputRegressor(model)
        weight = np.ones(len(X))
        both.partial_fit(X, X[:, :2], sample_weight=weight, X_val=X[:20], y_val=X[:20, 0])
    assert all(len(e.history_["val_loss"]) == 1 for e in both.estimators_)
