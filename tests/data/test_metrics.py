"""Metrics: figures of the predictions in every epoch, on training and on validation rows."""

import math
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_multilabel_classification
from sklearn.metrics import (
    accuracy_score,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    max_error,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, load, save
from skdeep.callbacks import Callback
from skdeep.data.metrics import figures_of, make_metrics
from skdeep.schedules import Scheduled

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_breast_cancer(return_X_y=True)
X, Y = scale(X)[:150, :8], np.array(["ill", "well"])[Y[:150]]
WEIGHT = np.arange(150) % 3 + 1.0
STILL = {"learning_rate_init": 1e-300, "alpha": 0.0, "random_state": 0}
INDICATOR = make_multilabel_classification(150, 8, n_classes=3, random_state=0)[1]


def own(estimator, X, y):
    return estimator.score(X, y)


def recall_of_ill(y_true, y_pred):
    return np.mean(y_pred[y_true == "ill"] == "ill")


def by_scorer(name):
    return lambda model, X, y, **options: get_scorer(name)(model, X, y, **options)


def by_function(function):
    return lambda model, X, y, **options: function(y, model.predict(X), **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("change", [{}, {"shuffle": False}, {"dtype": "float32"}, {"sparse": True}])
@pytest.mark.parametrize(
    ("Estimator", "y", "metrics", "references"),
    [
        (
            MLPClassifier,
            Y,
            ["accuracy", "roc_auc", "neg_log_loss", accuracy_score, "score"],
            [by_scorer("accuracy"), by_scorer("roc_auc"), by_scorer("neg_log_loss")]
            + 2 * [by_scorer("accuracy")],
        ),
        (MLPClassifier, INDICATOR, ["f1_macro", "accuracy"], None),
        (
            MLPRegressor,
            X[:, :2] * 10 + 3,
            ["r2", mean_absolute_error],
            [by_scorer("r2"), by_function(mean_absolute_error)],
        ),
        (
            MLPRegressor,
            X[:, 0],
            {"worst": max_error, "mine": make_scorer(r2_score), "score": "score"},
            [
                lambda model, X, y, **_: max_error(y, model.predict(X)),
                by_scorer("r2"),
                by_scorer("r2"),
            ],
        ),
    ],
)
def test_figures_of_weights_that_stay(Estimator, y, metrics, references, change, weighted):
    change = dict(change)
    rows = sp.csr_matrix(X) if change.pop("sparse", False) else X
    options = {"sample_weight": WEIGHT} if weighted else {}
    model = Estimator((5,), metrics=metrics, max_iter=2, batch_size=40, **STILL).set_params(
        **change
    )
    model.fit(
        rows, y, X_val=rows, y_val=y, sample_weight_val=options.get("sample_weight"), **options
    )
    references = references or [by_scorer(name) for name in metrics]
    names = [n if isinstance(n, str) else n.__name__ for n in metrics]
    for name, reference in zip(names, references, strict=True):
        expected = 2 * [pytest.approx(reference(model, rows, y, **options), rel=1e-4)]
        assert model.history_[name] == expected
        assert model.history_[f"val_{name}"] == expected


def test_the_running_figure_is_that_of_the_outputs_as_they_passed():
    model = MLPClassifier((5,), max_iter=6, batch_size=150, metrics=["neg_log_loss"])
    model.set_params(learning_rate_init=0.05, random_state=0).fit(X, Y, X_val=X, y_val=Y)
    history = model.history_
    np.testing.assert_allclose(history["neg_log_loss"][1:], history["val_neg_log_loss"][:-1])
    noisy = clone(model).set_params(dropout=0.5).fit(X, Y, X_val=X, y_val=Y).history_
    assert (np.subtract(noisy["neg_log_loss"][1:], noisy["val_neg_log_loss"][:-1]) < -0.01).all()


def test_rows_that_are_held_out_do_not_count():
    seen = {}

    def last(estimator, X, y):
        seen[len(y)] = X.sum(), np.unique(y, return_counts=True)[1]
        return 0.0

    model = MLPClassifier((3,), max_iter=1, early_stopping=True, metrics={"last": last})
    model.set_params(random_state=0).fit(X, Y)
    assert sorted(seen) == [15, 135]
    assert seen[15][0] + seen[135][0] == pytest.approx(X.sum())
    np.testing.assert_array_equal(seen[15][1] + seen[135][1], np.unique(Y, return_counts=True)[1])


def test_a_callable_may_look_at_other_rows():
    def on_others(estimator, rows, y):
        return float(len(estimator.predict(X[:7])))

    model = MLPClassifier((3,), max_iter=1, metrics={"n": on_others}).fit(X, Y)
    assert model.history_["n"] == [7.0]


@pytest.mark.parametrize("rows", [X, sp.csr_matrix(np.abs(X)), X.astype(np.float32)])
def test_autoencoders(rows):
    metrics = ["score", "neg_mean_squared_error", mean_absolute_error]
    model = MLPAutoencoder((3,), metrics=metrics, max_iter=1, **STILL).fit(rows, X_val=rows)
    dense = rows.toarray() if sp.issparse(rows) else rows
    output = model.inverse_transform(model.transform(rows))
    history = model.history_
    assert history["score"] == [pytest.approx(model.score(rows), rel=1e-4)]
    expected = [pytest.approx(np.abs(output - dense).mean(), rel=1e-4)]
    assert history["mean_absolute_error"] == expected
    assert history["val_mean_absolute_error"] == expected
    assert not hasattr(model, "predict")


def test_lbfgs_measures_the_weights_of_its_iteration():
    model = MLPClassifier((4,), solver="lbfgs", max_iter=5, metrics="neg_log_loss", random_state=0)
    history = model.fit(X, Y, X_val=X, y_val=Y).history_
    np.testing.assert_allclose(history["neg_log_loss"], history["val_neg_log_loss"])


def test_averages_are_for_validation_alone():
    options = {"metrics": "neg_log_loss", "max_iter": 3, "random_state": 0}
    raw = MLPClassifier((4,), **options).fit(X, Y, X_val=X, y_val=Y).history_
    averaged = MLPClassifier((4,), weight_averaging="ema", **options)
    averaged = averaged.fit(X, Y, X_val=X, y_val=Y).history_
    assert raw["neg_log_loss"] == averaged["neg_log_loss"]
    assert raw["val_neg_log_loss"] != averaged["val_neg_log_loss"]


def test_without_validation_data_there_are_no_columns_for_it():
    model = MLPRegressor((3,), max_iter=2, metrics="r2").fit(X, X[:, 0])
    assert [name for name in model.history_ if "r2" in name] == ["r2"]


def test_partial_fit():
    model = MLPClassifier((3,), metrics=["accuracy"], random_state=0)
    for _ in range(3):
        model.partial_fit(X, Y, classes=["ill", "well"])
    model.set_params(metrics=None).partial_fit(X, Y)
    assert len(model.history_["accuracy"]) == 4
    assert math.isnan(model.history_["accuracy"][-1])


def test_weights_do_not_depend_on_metrics():
    models = [
        MLPClassifier((4,), dropout=0.2, max_iter=3, metrics=metrics, random_state=0).fit(X, Y)
        for metrics in (None, ["accuracy", "roc_auc"])
    ]
    first, second = (model.network_.parameters.values for model in models)
    np.testing.assert_array_equal(first, second)


def test_a_step_does_not_know_of_metrics_that_are_not_asked_for():
    seen = []

    class Looks(Callback):
        def on_batch_end(self, trainer):
            seen.append(trainer._forward == trainer.network.forward)

    MLPClassifier((3,), max_iter=1, callbacks=[Looks()]).fit(X, Y)
    MLPClassifier((3,), max_iter=1, callbacks=[Looks()], metrics="accuracy").fit(X, Y)
    assert seen == [True, False]


# What is not allowed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("acc", "did you mean 'accuracy'"),
        (["accuracy", "nonsense"], "metrics='nonsense' is unknown"),
        (3, "metrics: 3 is not allowed"),
        ([None], "metrics: None is not allowed"),
        ([MLPClassifier], "is not allowed; give the name"),
        (["accuracy", "accuracy"], "two metrics of the name 'accuracy'"),
        ({"loss": "accuracy"}, "the name 'loss' is not allowed"),
        ({"val_x": "accuracy"}, "the name 'val_x' is not allowed"),
        ({3: "accuracy"}, "3 is no name"),
        ({"": "accuracy"}, "'' is no name"),
        ({"mine": "score"}, "own score, as a column of that name"),
        ([lambda y_true, y_pred: 0.0], "is no name for a column"),
        ([log_loss], "'log_loss' does not take the predictions"),
        ([roc_auc_score], "'roc_auc_score' does not take the predictions"),
        ([fbeta_score], "make_scorer sets further arguments"),
        ({"x": lambda y: 0.0}, r"has the arguments \['y'\]"),
        ({"x": lambda y_true, y_pred: "much"}, "'x' returned 'much'"),
        ({"x": lambda y_true, y_pred: y_pred}, "it has to return a number"),
        ({"x": lambda y_true, y_pred: 1 / 0}, "'x' can't be computed.*ZeroDivisionError"),
        ("neg_log_loss", "'neg_log_loss' can't be computed from the training rows.*predict_proba"),
        ("f1", "pos_label=1 is not a valid label"),
    ],
)
def test_what_is_not_allowed(metrics, message):
    model = MLPClassifier((3,), loss="hinge", max_iter=1, metrics=metrics)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(X, Y)
    assert not hasattr(model, "history_")


def test_a_name_of_a_number_that_changes_is_taken():
    model = MLPClassifier((3,), dropout=Scheduled(0.1, "linear"), metrics={"dropout": "accuracy"})
    with pytest.raises(ValueError, match="the name 'dropout' is not allowed"):
        model.fit(X, Y)


def test_the_own_score_is_not_another_scoring():
    with pytest.raises(ValueError, match="needs scoring=None"):
        MLPClassifier((3,), scoring="f1_macro", metrics="score").fit(X, Y)


def test_a_figure_that_is_not_defined_is_nan_with_one_warning():
    model = MLPClassifier((3,), max_iter=3, metrics=["roc_auc", "accuracy"], random_state=0)
    single = Y == "ill"
    with pytest.warns(UserWarning, match="'roc_auc' is not defined for the validation") as record:
        model.fit(X, Y, X_val=X[single], y_val=Y[single])
    assert len([w for w in record if "roc_auc" in str(w.message)]) == 1
    assert np.isnan(model.history_["val_roc_auc"]).all()
    assert np.isfinite(model.history_["val_accuracy"]).all()
    assert np.isfinite(model.history_["roc_auc"]).all()


def test_a_metric_that_needs_all_classes_is_nan_without_them():
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    model = MLPClassifier((3,), max_iter=1, metrics="roc_auc_ovr", random_state=0)
    with pytest.warns(UserWarning, match="'roc_auc_ovr' is not defined for the validation rows"):
        model.fit(X, y, X_val=X[y > 0], y_val=y[y > 0])
    with pytest.raises(ValueError, match="multi_class must be in"):
        clone(model).set_params(metrics="roc_auc").fit(X, y)


def test_outputs_that_are_not_finite_have_no_figures():
    model = MLPRegressor((3,), max_iter=1, metrics=["r2"]).fit(X, X[:, 0])
    figures = figures_of(make_metrics(model), model, None, np.array([[1.0], [math.inf]]))
    assert list(figures) == ["r2"]
    assert math.isnan(figures["r2"])


# Among other things -------------------------------------------------------------------------------


def test_searches_pipelines_clones_and_files(tmp_path):
    model = MLPClassifier((3,), max_iter=2, metrics=["accuracy", own], random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2
    ).fit(X, Y)
    best = pickle.loads(pickle.dumps(search.best_estimator_[-1]))
    assert best.history_["accuracy"] == best.history_["own"]
    with pytest.raises(TypeError, match="metrics"):
        save(best, tmp_path / "model")
    model.set_params(metrics=["accuracy"], warm_start=True).fit(X, Y)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model").fit(X, Y)
    assert again.history_["accuracy"][:2] == model.history_["accuracy"]
    assert len(again.history_["accuracy"]) == 4
