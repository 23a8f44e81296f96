"""Targets of classifiers that are not plain labels: one-hot codes, probabilities, noisy labels."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import scale

import skdeep
from skdeep import MLPClassifier
from skdeep.inspection import diagnose, layer_statistics, learning_rate_range_test
from skdeep.schedules import Linear, Scheduled
from skdeep.training.batches import ClassTargets, DenseTargets
from skdeep.training.flips import FlippedTargets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, labels = load_iris(return_X_y=True)
X = scale(X)
ONE_HOT = np.eye(3)[labels]
SOFT = 0.8 * ONE_HOT + 0.2 * np.eye(3)[(labels + 1) % 3]
OPTIONS = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
QUICK = {"learning_rate_init": 0.05, "max_iter": 40}


def soft_model(**options):
    return MLPClassifier(soft_targets=True, **{**OPTIONS, **options})


# One-hot codes -----------------------------------------------------------------------------------

ABOUT_ONE_HOT = "y is an indicator matrix with exactly one 1 in every row.*argmax"


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_matrix, pd.DataFrame, np.ndarray.tolist])
def test_one_hot_targets_give_a_warning(convert):
    with pytest.warns(UserWarning, match=ABOUT_ONE_HOT):
        MLPClassifier(**OPTIONS).fit(X, convert(ONE_HOT.astype(int)))


@pytest.mark.parametrize(
    "Y",
    [
        ONE_HOT[::25],  # few rows
        np.vstack([ONE_HOT[:-1], [[1, 1, 0]]]),
        np.vstack([ONE_HOT[:-1], [[0, 0, 0]]]),
    ],
    ids=["few rows", "two labels in a row", "no label in a row"],
)
def test_other_indicators_give_none(Y):
    MLPClassifier(**OPTIONS).fit(X[: len(Y)], Y)


def test_the_warning_is_for_the_first_fit_alone():
    model = MLPClassifier(warm_start=True, **OPTIONS)
    with pytest.warns(UserWarning, match=ABOUT_ONE_HOT):
        model.fit(X, ONE_HOT, X_val=X, y_val=ONE_HOT)
    model.fit(X, ONE_HOT)
    model.score(X, ONE_HOT)
    MLPClassifier(**OPTIONS).partial_fit(X, ONE_HOT, classes=[0, 1, 2])


def test_a_filter_silences_the_warning():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y is an indicator matrix")
        MLPClassifier(**OPTIONS).fit(X, ONE_HOT)
    soft_model().fit(X, ONE_HOT)  # asks for classes


# Soft targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_certain_rows_train_as_their_labels_do(n_classes, options):
    y = np.minimum(labels, n_classes - 1)
    hard = MLPClassifier(**OPTIONS, **options).fit(X, y)
    soft = soft_model(**options).fit(X, np.eye(n_classes)[y])
    for one, other in zip(hard.coefs_, soft.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert soft.classes_.tolist() == list(range(n_classes))
    assert soft.predict_proba(X).shape == (len(X), n_classes)
    np.testing.assert_array_equal(soft.predict(X), hard.predict(X))


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_probabilities_are_learned(n_classes, loss):
    P = np.array([[0.7, 0.3], [0.1, 0.9]]) if n_classes == 2 else np.array(SOFT[[0, 60]])
    codes = np.arange(60) % 2
    model = MLPClassifier((), loss=loss, soft_targets=True, alpha=0, random_state=0)
    model.set_params(solver="lbfgs", max_iter=500, tol=1e-8).fit(np.eye(2)[codes], P[codes])
    np.testing.assert_allclose(model.predict_proba(np.eye(2)), P, atol=2e-3)


def test_a_student_learns_from_a_teacher():
    teacher = MLPClassifier(**{**OPTIONS, **QUICK, "hidden_layer_sizes": (20,)})
    P = teacher.fit(X, labels).predict_proba(X)
    student = soft_model(**QUICK).fit(X, P)
    assert student.score(X, labels) > 0.95
    assert student.score(X, P) > 0.95


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "f1_macro"},
        {"early_stopping": True, "scoring": "calibrated_loss"},
        {"class_weight": {0: 3.0}},
        {"class_weight": "balanced"},
        {"loss": "focal"},
        {"dtype": "float32"},
        {"target_noise": 0.1},
    ],
    ids=str,
)
def test_options_with_soft_targets(options):
    model = soft_model(**{**QUICK, **options}).fit(X, SOFT)
    assert model.score(X, labels) > 0.8


@pytest.mark.parametrize("y_val", [labels, SOFT, ONE_HOT.astype(int)], ids=["hard", "soft", "int"])
def test_validation_data_may_be_labels_or_rows(y_val):
    model = soft_model(early_stopping=True, class_weight="balanced")
    model.fit(X, SOFT, X_val=X, y_val=y_val)
    assert model.history_["val_score"][-1] == pytest.approx(model.score(X, labels), abs=0.2)


@pytest.mark.parametrize("scale_of_weight", ["balanced", {0: 2.0, 1: 0.5}])
def test_class_weights_are_those_of_the_labels_if_rows_are_certain(scale_of_weight):
    y = np.repeat([0, 1, 2], [20, 50, 80])
    hard = MLPClassifier(class_weight=scale_of_weight, **OPTIONS).fit(X, y)
    soft = soft_model(class_weight=scale_of_weight).fit(X, np.eye(3)[y])
    np.testing.assert_allclose(hard.coefs_[0], soft.coefs_[0], rtol=1e-10)


def test_partial_fit_and_warm_start_take_rows_and_labels():
    model = soft_model(warm_start=True)
    model.partial_fit(X, SOFT).partial_fit(X, labels).partial_fit(X, SOFT, classes=[0, 1, 2])
    model.fit(X, SOFT).fit(X, labels)
    named = MLPClassifier(warm_start=True, **OPTIONS).fit(X, np.array(["a", "b", "c"])[labels])
    named.set_params(soft_targets=True).fit(X, SOFT)
    assert set(named.predict(X)) <= {"a", "b", "c"}
    assert named.score(X, SOFT) == named.score(X, np.array(["a", "b", "c"])[labels])


def test_searches_clones_pickles_and_files(tmp_path):
    search = GridSearchCV(soft_model(), {"alpha": [0.1, 0.01]}, cv=2).fit(X, SOFT)
    model = search.best_estimator_
    assert cross_val_score(clone(model), X, SOFT, cv=2).shape == (2,)
    skdeep.save(model, tmp_path / "soft.skdeep")
    for copied in (pickle.loads(pickle.dumps(model)), skdeep.load(tmp_path / "soft.skdeep")):
        np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
        assert copied.soft_targets


def test_metrics_compare_with_the_likeliest_classes():
    metrics = ["accuracy", "neg_log_loss", "score"]
    model = soft_model(**QUICK, metrics=metrics).fit(X, SOFT, X_val=X, y_val=SOFT)
    last = {name: column[-1] for name, column in model.history_.items()}
    assert last["accuracy"] == last["score"]
    assert last["val_accuracy"] == last["val_score"] == model.score(X, labels)
    assert last["val_neg_log_loss"] == pytest.approx(-log_loss(labels, model.predict_proba(X)))


def test_inspection_takes_rows_and_labels():
    model = soft_model(**QUICK).fit(X, SOFT)
    for y in (SOFT, labels):
        diagnose(model, X, y, X, y)
    layer_statistics(model, X, SOFT)
    learning_rate_range_test(soft_model(), X, SOFT)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (labels, r"y has the shape \(150,\); with soft_targets=True"),
        (2 * SOFT, "Row 0 of y sums to 2, not to 1"),
        (SOFT - 0.5 * np.eye(3)[labels], "sums to 0.5"),
        (np.array([1.5, -0.5, 0.0]) + 0 * SOFT, "y has entries down to -0.5"),
        (np.full((150, 3), "x"), "y is not numeric"),
        (np.full((150, 3), np.nan), "NaN"),
        (np.ones((150, 2, 2)), "dim 3"),
    ],
)
def test_what_is_not_a_row_of_probabilities_is_an_error(y, message):
    with pytest.raises(ValueError, match=message):
        soft_model().fit(X, y)


def test_other_columns_than_before_are_an_error():
    model = soft_model(warm_start=True).fit(X, SOFT)
    two = SOFT[:, :2] / SOFT[:, :2].sum(axis=1, keepdims=True).clip(0.1)
    two[labels == 2] = 0.5
    with pytest.raises(ValueError, match=r"2 columns of probabilities.* fitted to 3 classes"):
        model.fit(X, np.abs(two) / two.sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match="classes"):
        soft_model().partial_fit(X, SOFT, classes=[0, 1])


def test_a_loss_without_probabilities_is_an_error():
    with pytest.raises(ValueError, match="soft_targets=True is for losses that give probabilities"):
        soft_model(loss="hinge").fit(X, SOFT)


def test_without_the_option_probabilities_are_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"Unknown label type.*set soft_targets=True"):
        MLPClassifier(**OPTIONS).fit(X, SOFT)


# Noisy labels ------------------------------------------------------------------------------------


def flipped(targets, share, *, multiclass, seed=0):
    found = FlippedTargets(targets, share, np.random.default_rng(seed), multiclass=multiclass)
    assert found.shape == targets.shape
    return found.gather(np.arange(targets.shape[0]), np.full(targets.shape, np.nan))


def test_a_share_of_the_rows_goes_to_another_class_all_alike():
    codes = np.repeat(np.arange(4), 3000)
    Y = flipped(ClassTargets(codes, 4), 0.3, multiclass=True)
    np.testing.assert_array_equal(Y.sum(axis=1), 1)
    counts = np.array([Y[codes == k].sum(axis=0) for k in range(4)])
    expected = np.where(np.eye(4), 2100, 300)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(3000 * 0.3 * 0.7)


def test_smoothed_and_soft_rows_keep_their_numbers():
    smooth = ClassTargets(np.arange(3).repeat(50), 3, 0.3)
    Y = flipped(smooth, 0.5, multiclass=True)
    np.testing.assert_allclose(np.sort(Y, axis=1), [[0.1, 0.1, 0.8]] * 150)
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 100)
    Y = flipped(DenseTargets(rows), 0.5, multiclass=True)
    np.testing.assert_array_equal(np.sort(Y, axis=1), np.sort(rows, axis=1))
    assert 30 < (rows != Y).any(axis=1).sum() < 70


@pytest.mark.parametrize("n_columns", [1, 3])
def test_each_entry_is_flipped_on_its_own_if_columns_are_labels(n_columns):
    rows = np.zeros((4000, n_columns))
    targets = DenseTargets(rows)
    Y = flipped(targets, 0.2, multiclass=False)
    assert np.abs(Y.mean(axis=0) - 0.2).max() < 0.03
    assert set(np.unique(Y)) == {0.0, 1.0}
    in_order = FlippedTargets(targets, 0.2, np.random.default_rng(0), multiclass=False)
    in_order.gather(slice(0, 10), np.empty((10, n_columns)))
    assert not targets.Y.any()  # a slice is a view of them


@pytest.mark.parametrize("y", [labels, labels > 0, ONE_HOT[:, :2]], ids=["many", "two", "several"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_is_drawn_from_random_state(y, dtype):
    options = {**OPTIONS, "dtype": dtype}
    one, other = (MLPClassifier(target_noise=0.3, **options).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])
    assert one.coefs_[0].dtype == dtype
    assert not np.array_equal(one.coefs_[0], MLPClassifier(**options).fit(X, y).coefs_[0])


def test_noise_may_change_over_time():
    model = MLPClassifier(target_noise=Scheduled(0.4, Linear(end=0.0)), **OPTIONS).fit(X, labels)
    column = model.history_["target_noise"]
    assert column[0] > column[-1] >= 0
    with pytest.warns(UserWarning, match="target_noise"):
        model.set_params(solver="lbfgs").fit(X, labels)


@pytest.mark.parametrize("share", [1.0, 1.5, -0.1, "x", None, Scheduled(1.0, "linear")])
def test_a_share_is_below_1(share):
    with pytest.raises(ValueError, match="target_noise"):
        MLPClassifier(target_noise=share, **OPTIONS).fit(X, labels)


def test_noise_keeps_a_network_from_being_sure():
    options = {**OPTIONS, "learning_rate_init": 0.02, "max_iter": 150, "tol": 0}
    sure = MLPClassifier(**options).fit(X, labels).predict_proba(X).max(axis=1)
    noisy = MLPClassifier(target_noise=0.3, **options).fit(X, labels).predict_proba(X).max(axis=1)
    assert noisy.mean() < 0.8 < sure.mean()
