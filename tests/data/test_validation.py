"""Validation data: X_val and y_val, or rows split off; scoring; early stopping."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback
from skdeep.data.calibration import calibrated_loss, loss_of_scaled, temperature
from skdeep.data.validation import Smoothed, split_rows, warn_if_untransformed
from skdeep.losses import LogLoss
from skdeep.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(150)
X_train, y_train, X_val, y_val = X[order[:100]], y[order[:100]], X[order[100:]], y[order[100:]]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_given_data_is_watched_without_early_stopping(container):
    model = MLPClassifier((5,), max_iter=4, random_state=0)
    model.fit(X_train, y_train, X_val=container(X_val), y_val=y_val)
    assert model.n_iter_ == 4
    assert model.validation_scores_[-1] == model.score(X_val, y_val)
    losses = -np.log(model.predict_proba(X_val)[np.arange(50), y_val])
    assert model.history_["val_loss"][-1] == pytest.approx(losses.mean())
    alone = MLPClassifier((5,), max_iter=4, random_state=0).fit(X_train, y_train)
    np.testing.assert_array_equal(alone.coefs_[0], model.coefs_[0])


def test_early_stopping_restores_the_best_epoch():
    class Snapshots(Callback):
        def on_train_begin(self, trainer):
            self.values = []

        def on_epoch_end(self, trainer):
            self.values.append(trainer.network.parameters.values.copy())

    watch = Snapshots()
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.25])
    model = MLPClassifier(
        (5,),
        batch_norm="after",  # its running statistics are restored with the weights
        early_stopping=True,
        scoring=lambda *_: next(scores),
        n_iter_no_change=2,
        callbacks=[watch],
        random_state=0,
    ).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 5
    assert (model.best_iter_, model.best_validation_score_, model.best_loss_) == (2, 0.3, None)
    np.testing.assert_array_equal(model.network_.parameters.values, watch.values[1])


def score_of_two(estimator, X, y):
    return balanced_accuracy_score(y, estimator.predict(X))


SCORINGS = [
    (None, lambda m: m.score(X_val, y_val)),
    ("accuracy", lambda m: m.score(X_val, y_val)),
    ("balanced_accuracy", lambda m: balanced_accuracy_score(y_val, m.predict(X_val))),
    ("neg_log_loss", lambda m: np.log(m.predict_proba(X_val))[np.arange(50), y_val].mean()),
    ("loss", lambda m: np.log(m.predict_proba(X_val))[np.arange(50), y_val].mean()),
    (score_of_two, lambda m: balanced_accuracy_score(y_val, m.predict(X_val))),
]


@pytest.mark.parametrize(("scoring", "expected"), SCORINGS)
def test_scoring(scoring, expected):
    model = MLPClassifier((5,), scoring=scoring, max_iter=3, random_state=0)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert model.validation_scores_[-1] == pytest.approx(expected(model))


def test_regressors_score_is_r2():
    model = MLPRegressor((5,), max_iter=3, random_state=0)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert model.validation_scores_[-1] == pytest.approx(r2_score(y_val, model.predict(X_val)))


def test_scorers_see_no_warnings_about_feature_names():
    import pandas as pd

    table = pd.DataFrame(X_train, columns=list("abcd"))
    model = MLPClassifier(early_stopping=True, scoring="accuracy", max_iter=2).fit(table, y_train)
    assert model.feature_names_in_.tolist() == list("abcd")


def test_data_of_other_feature_names():
    import pandas as pd

    table = pd.DataFrame(X_train, columns=list("abcd"))
    with pytest.raises(ValueError, match="feature names should match"):
        MLPClassifier().fit(table, y_train, X_val=table[list("dcba")], y_val=y_train)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_validation_loss_has_no_smoothing_and_no_penalty(loss):
    settings = {"loss": loss, "label_smoothing": 0.5, "alpha": 10.0, "max_iter": 1}
    model = MLPClassifier((5,), random_state=0, **settings)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    P, Y = model.predict_proba(X_val), np.eye(3)[y_val]
    expected = {"log_loss": -np.log(P[Y == 1]).mean(), "squared_error": ((P - Y) ** 2).mean() / 2}
    assert model.history_["val_loss"][0] == pytest.approx(expected[loss])


CODES = np.repeat([0, 1, 2], [50, 30, 20])


def test_split_is_stratified_disjoint_and_complete():
    train, val = split_rows(100, 0.2, 0, CODES)
    assert sorted([*train, *val]) == list(range(100))
    assert np.bincount(CODES[val]).tolist() == [10, 6, 4]


def test_a_class_with_one_member_stays_in_training():
    codes = np.r_[CODES, 3]
    with pytest.warns(UserWarning, match="1 class has one member only"):
        train, val = split_rows(101, 0.2, 0, codes)
    assert 100 in train
    assert np.bincount(codes[val]).tolist() == [10, 6, 4]


def test_too_few_validation_rows_for_all_classes():
    with pytest.warns(UserWarning, match="not stratified; increase validation_fraction"):
        _, val = split_rows(20, 0.1, 0, np.arange(20) // 2)
    assert len(val) == 2


def test_new_keys_of_the_history_are_filled_up():
    model = MLPClassifier((3,), warm_start=True, max_iter=2, random_state=0)
    model.fit(X, y).fit(X, y, X_val=X, y_val=y).fit(X, y)
    assert {len(column) for column in model.history_.values()} == {6}
    assert np.isnan(model.history_["val_loss"]).tolist() == [True] * 2 + [False] * 2 + [True] * 2


def test_far_away_validation_data_is_warned_of():
    with pytest.warns(UserWarning, match="X_val is nowhere near X"):
        MLPClassifier((3,), max_iter=1).fit(X, y, X_val=X * 1000, y_val=y)


def test_scores_that_are_never_finite_are_warned_of():
    model = MLPClassifier(early_stopping=True, scoring=lambda *_: np.nan, max_iter=3)
    with pytest.warns(UserWarning, match="score was never a finite number"):
        model.fit(X, y)
    assert model.best_iter_ is None
    model.set_params(early_stopping=False).fit(X, y, X_val=X, y_val=y)
    assert model.best_validation_score_ is None


def test_only_classes_with_one_member():
    with (
        pytest.warns(UserWarning, match="4 classes have one member only"),
        pytest.raises(ValueError, match="nothing to validate with"),
    ):
        MLPClassifier(early_stopping=True).fit(X[:4], [0, 1, 2, 3])


# Data that were not transformed -----------------------------------------------------------------


def seen_as_apart(A, B):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_untransformed(A, B)
    return bool(caught)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()], ids=str)
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_raw_validation_data_beside_scaled_data_is_noticed(load, scaler):
    X = load().data
    for seed in range(20):
        X_train, X_val = train_test_split(X, test_size=0.2, random_state=seed)
        scaler.fit(X_train)
        assert seen_as_apart(scaler.transform(X_train), X_val)
        assert not seen_as_apart(scaler.transform(X_train), scaler.transform(X_val))


def heavy_tails(rng):
    return rng.standard_cauchy((400, 5))


def rare_categories(rng):
    return (rng.random((400, 30)) < 0.01).astype(float)


def days_in_order(rng):
    return np.c_[np.arange(400.0), rng.standard_normal((400, 3))]


def log_normal(rng):
    return rng.lognormal(0, 2, (400, 10))


@pytest.mark.parametrize("make", [heavy_tails, rare_categories, days_in_order, log_normal])
@pytest.mark.parametrize("n_val", [1, 2, 3, 5, 40, 120])
def test_odd_data_raise_few_false_alarms(make, n_val):
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(100):
        X = make(rng)
        if make is not days_in_order:
            rng.shuffle(X)
        alarms += seen_as_apart(X[:-n_val], X[-n_val:])
    assert alarms <= (1 if n_val >= 5 else 5)


def test_the_comparison_needs_no_copy_of_the_rows():
    X = np.random.default_rng(0).standard_normal((100_000, 20), dtype=np.float32)
    tracemalloc.start()
    assert not seen_as_apart(X, X[:1000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_of_a_transformed_target_regressor_are_noticed(dtype):
    X, y = load_diabetes(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X.astype(dtype), y, random_state=0)
    mlp = MLPRegressor((5,), max_iter=3, random_state=0)
    wrapped = TransformedTargetRegressor(mlp, transformer=StandardScaler())
    with pytest.warns(UserWarning, match=r"y_val is nowhere near y.*standardize_y=True"):
        wrapped.fit(X, y, X_val=X_val, y_val=y_val)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.set_params(standardize_y=True).fit(X, y, X_val=X_val, y_val=y_val)
        mlp.set_params(standardize_y=False).fit(X, y, X_val=X_val, y_val=y_val)
        mlp.fit(X, np.c_[y, -y], X_val=X_val, y_val=np.c_[y_val, -y_val])


def test_calibrated_loss_does_not_depend_on_the_scale_of_the_logits():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 3))
    Y = np.eye(3)[(Z + rng.normal(size=(200, 3))).argmax(axis=1)]
    loss = LogLoss()
    loss.multiclass = True
    losses = [calibrated_loss(loss, Y, factor * Z, None) for factor in (0.5, 1.0, 3.0)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    found = temperature(loss, Y, 3 * Z, None)
    around = [loss_of_scaled(loss, Y, 3 * Z, None, found * f) for f in (0.9, 1.0, 1.1)]
    assert around[1] == min(around)


def test_scoring_by_the_calibrated_loss_is_for_probabilities():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    options = {"early_stopping": True, "max_iter": 3, "scoring": "calibrated_loss"}
    model = MLPClassifier((4,), random_state=0, **options).fit(X, y)
    assert all(
        -score <= loss + 1e-9
        for score, loss in zip(model.history_["val_score"], model.history_["val_loss"], strict=True)
    )
    for wrong in (MLPClassifier(loss="hinge", **options), MLPRegressor(**options)):
        with pytest.raises(ValueError, match="scoring='calibrated_loss' is for classifiers"):
            wrong.fit(X, y)


def test_smoothed_scores_are_means_over_epochs():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    histories = []
    for scoring in ("loss", Smoothed("loss", 3)):
        model = MLPClassifier(
            (4,), early_stopping=True, max_iter=6, scoring=scoring, random_state=0
        )
        histories.append(model.fit(X, y).history_["val_score"])
    plain, smooth = histories
    assert smooth[:2] == [-np.inf, -np.inf]
    np.testing.assert_allclose(smooth[2:], [np.mean(plain[i : i + 3]) for i in range(4)])


@pytest.mark.parametrize(
    "scoring", [None, "balanced_accuracy", lambda model, X, y: model.score(X.tolist(), y)]
)
def test_validation_rows_are_predicted_once_in_an_epoch(scoring, monkeypatch):
    calls, infer = [], Network.infer
    monkeypatch.setattr(Network, "infer", lambda *given: calls.append(given[1]) or infer(*given))
    model = MLPClassifier((4,), scoring=scoring, metrics=["f1_macro"], max_iter=5, random_state=0)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    # A callable may predict other rows than those that it was given.
    assert len(calls) == 5 * (2 if callable(scoring) else 1)
    assert model.history_["val_score"][-1] == pytest.approx(
        model.score(X_val, y_val)
        if scoring != "balanced_accuracy"
        else balanced_accuracy_score(y_val, model.predict(X_val))
    )
