"""The doctor: every finding on a network built to have it, and not on one that has not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_multilabel_classification,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.initializers import Constant, VarianceScaling
from skdeep.inspection import diagnose

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

digits = load_digits()
X = np.clip(scale(digits.data), -4, 4)
y = digits.target
half = slice(0, 900), slice(900, None)
noise = np.random.default_rng(0).standard_normal((300, 5))
diabetes, progression = load_diabetes(return_X_y=True)
diabetes, progression = scale(diabetes), scale(progression)


def classifier(*args, **options):
    return MLPClassifier(*args, **{"random_state": 0, "max_iter": 20, "tol": 0.0, **options})


def regressor(*args, **options):
    return MLPRegressor(*args, **{"random_state": 0, "max_iter": 20, "tol": 0.0, **options})


def healthy():
    model = classifier((64,), dropout=0.2, max_iter=30).fit(X[half[0]], y[half[0]])
    return model, X[half[0]], y[half[0]], X[half[1]], y[half[1]]


def healthy_regressor():
    model = regressor((16,), "tanh", max_iter=100, alpha=0.1).fit(diabetes, progression)
    return model, diabetes, progression


def healthy_autoencoder():
    return MLPAutoencoder((32,), "tanh", max_iter=60, tol=0.0).fit(X), X


def fitted(model, X=X, y=y, *validation):
    return lambda: (model().fit(X, y), X, y, *validation)


deep = [12] * 10
xor = (noise[:, 0] * noise[:, 1] > 0).astype(int)
random_labels = np.random.default_rng(1).integers(0, 2, 300)
rare = (np.arange(1797) % 30 == 0).astype(int)
ILL = {
    "vanishing gradients": [
        fitted(lambda: classifier(deep, "logistic", solver="sgd")),
        fitted(lambda: regressor(deep, "logistic", max_iter=6), diabetes, progression),
    ],
    "exploding gradients": [
        fitted(lambda: classifier(deep, initializer=VarianceScaling(60.0), solver="sgd", max_iter=6,
                                  learning_rate_init=1e-12)),
        fitted(lambda: regressor((8,), max_iter=6, learning_rate_init=1e-7), X, y * 1e5),
    ],
    "dead units": [
        fitted(lambda: classifier((32,), bias_initializer=Constant(-50.0), max_iter=6)),
        fitted(lambda: classifier((32,), bias_initializer=Constant(-50.0), batch_norm="after")),
    ],
    "saturated units": [
        fitted(lambda: classifier((32,), "tanh", initializer="glorot_uniform", max_iter=6), X * 100),
        fitted(lambda: classifier((32,), "logistic", bias_initializer=Constant(-30.0))),
    ],
    "unscaled inputs": [
        fitted(lambda: classifier((16,), max_iter=6), digits.data * 16),
        fitted(lambda: classifier((16,), max_iter=6), X / 1e4),
        fitted(lambda: classifier((16,), max_iter=6), sp.csr_matrix(digits.data * 16)),
    ],
    "unscaled targets": [
        fitted(lambda: regressor((8,), max_iter=6), diabetes, progression * 77 + 152),
        fitted(lambda: regressor((8,), max_iter=6), diabetes, progression / 1e4),
    ],
    "learning rate too high": [
        fitted(lambda: classifier((16,), learning_rate_init=3.0)),
        fitted(lambda: classifier((16,), solver="sgd", learning_rate_init=8.0, momentum=0.0)),
    ],
    "learning rate too low": [
        fitted(lambda: classifier((16,), learning_rate_init=1e-6)),
        fitted(lambda: classifier((16,), solver="sgd", learning_rate_init=1e-5)),
    ],
    "tiny batches": [
        fitted(lambda: classifier((8,), batch_norm="before", batch_size=4, max_iter=5)),
    ],
    "class imbalance": [fitted(lambda: classifier((8,), max_iter=6), X, rare)],
    "underfitting": [fitted(lambda: classifier(()), noise, xor)],
    "overfitting": [
        fitted(
            lambda: classifier((200,), max_iter=300, learning_rate_init=0.01),
            noise[:150], random_labels[:150], noise[150:], random_labels[150:],
        )
    ],
}  # fmt: skip
HEALTHY = [healthy, healthy_regressor, healthy_autoencoder]


def kinds(report):
    return {finding.kind for finding in report.findings}


@pytest.mark.parametrize(
    ("kind", "make"), [(kind, make) for kind, cases in ILL.items() for make in cases]
)
def test_what_a_network_was_built_to_have_is_found(kind, make):
    report = diagnose(*make())
    assert kind in kinds(report)
    finding = next(f for f in report.findings if f.kind == kind)
    assert any(c.isdigit() for c in finding.evidence)
    assert finding.advice
    for text in (str(report), report._repr_html_()):
        assert kind in text
    assert f"try: {finding.advice}" in str(report)


@pytest.mark.parametrize("make", HEALTHY)
def test_a_healthy_network_gets_a_clean_bill(make):
    report = diagnose(*make())
    assert report.findings == []
    assert str(report).startswith("Nothing was found to be wrong.")
    assert "Nothing was found" in report._repr_html_()


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("class imbalance", fitted(lambda: classifier((8,), class_weight="balanced"), X, rare)),
        ("unscaled inputs", fitted(lambda: classifier((8,), batch_norm_input=True), X * 100)),
        ("tiny batches", fitted(lambda: classifier((8,), batch_size=4, max_iter=5))),
        ("dead units", fitted(lambda: classifier((8,), "elu", bias_initializer=Constant(-50.0)))),
        ("vanishing gradients", fitted(lambda: classifier(deep, "selu"))),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_helps_makes_it_go_away(kind, make):
    assert kind not in kinds(diagnose(*make()))


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "lbfgs"},
        {"hidden_layer_sizes": (64,) * 3, "batch_norm": "before", "dropout": 0.2},
    ],
    ids=str,
)
def test_there_are_no_false_alarms(load, options):
    data, target = load(return_X_y=True)
    parts = train_test_split(scale(data), target, stratify=target, random_state=0)
    X_train, X_val, y_train, y_val = parts
    model = MLPClassifier(random_state=0, **options).fit(X_train, y_train)
    if model.score(X_val, y_val) > 0.94:
        assert kinds(diagnose(model, X_train, y_train, X_val, y_val)) == set()


def test_more_that_is_found():
    uneven = X[:, :40] * np.where(np.arange(40) < 20, 1.0, 1e-6)
    assert "unscaled inputs" in kinds(diagnose(classifier((8,)).fit(uneven, y), uneven, y))
    still = classifier((8,), solver="sgd", learning_rate_init=1e-9).fit(X, y)
    assert "learning rate too low" in kinds(diagnose(still, X, y))


def test_multilabel_targets_are_judged_label_by_label():
    data, labels = make_multilabel_classification(500, 20, n_classes=6, random_state=0)
    model = classifier((64,), max_iter=50, learning_rate_init=0.01).fit(scale(data), labels)
    assert model.score(scale(data), labels) < 0.9  # all of a row's labels right
    assert "underfitting" not in kinds(diagnose(model, scale(data), labels))


def test_frames_with_names_are_taken_as_they_are():
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = classifier((8,)).fit(frame, y)
    diagnose(model, frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        diagnose(model, frame[frame.columns[::-1]], y)


def test_the_model_is_left_as_it_is():
    model, *data = healthy()
    before = model.network_.parameters.values.copy()
    attributes = set(vars(model))
    diagnose(model, *data)
    np.testing.assert_array_equal(model.network_.parameters.values, before)
    assert set(vars(model)) == attributes
    assert model.network_.parameters.grads is None


def test_multilabel_and_many_outputs():
    labels = (X[:, 20:23] > 0).astype(int)
    diagnose(classifier((16,)).fit(X, labels), X, labels, X, labels)
    diagnose(regressor((16,)).fit(X, X[:, :2]), X, X[:, :2])


def test_what_is_not_allowed():
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=2)).fit(X, y)
    with pytest.raises(TypeError, match=r"Pipeline is not allowed.*Of a Pipeline give the last"):
        diagnose(pipeline, X, y)
    with pytest.raises(ValueError, match="not fitted"):
        diagnose(classifier(), X, y)
    with pytest.raises(ValueError, match="diagnose needs y"):
        diagnose(pipeline[-1], X)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        diagnose(pipeline[-1], X, y, X)
