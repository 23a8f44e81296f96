"""The doctor: every finding on a network built to have it, and not on one that has not."""

from functools import cache

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
    make_circles,
    make_friedman1,
    make_moons,
    make_multilabel_classification,
    make_regression,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.initializers import Constant, Uniform, VarianceScaling
from skdeep.inspection import diagnose
from skdeep.losses import QuantileLoss
from skdeep.regularizers import L2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

digits = load_digits()
X = np.clip(scale(digits.data), -4, 4)
y = digits.target
half = slice(0, 900), slice(900, None)
noise = np.random.default_rng(0).standard_normal((300, 5))
diabetes, progression = load_diabetes(return_X_y=True)
diabetes, progression = scale(diabetes), scale(progression)
circles, rings = make_circles(400, noise=0.1, factor=0.4, random_state=0)


def load_scaled(load):
    data, target = load(return_X_y=True)
    return scale(data), target


def classifier(*args, **options):
    return MLPClassifier(*args, **{"random_state": 0, "max_iter": 20, "tol": 0.0, **options})


def regressor(*args, **options):
    return MLPRegressor(*args, **{"random_state": 0, "max_iter": 20, "tol": 0.0, **options})


@cache
def healthy():
    model = classifier((64,), dropout=0.2, max_iter=30).fit(X[half[0]], y[half[0]])
    return model, X[half[0]], y[half[0]], X[half[1]], y[half[1]]


def healthy_regressor():
    model = regressor((16,), "tanh", max_iter=100, alpha=0.1).fit(diabetes, progression)
    return model, diabetes, progression


def healthy_autoencoder():
    return MLPAutoencoder((32,), "tanh", max_iter=60, tol=0.0).fit(X), X


def fitted(model, X=X, y=y, *validation):
    """Return what gives a network and its data; it is trained once."""
    return cache(lambda: (model().fit(X, y), X, y, *validation))


deep = [12] * 10
xor = (noise[:, 0] * noise[:, 1] > 0).astype(int)
random_labels = np.random.default_rng(1).integers(0, 2, 300)
rare = (np.arange(1797) % 30 == 0).astype(int)
ILL = {
    "vanishing gradients": [
        fitted(lambda: classifier(deep, "logistic", solver="sgd")),
        fitted(lambda: regressor(deep, "logistic", max_iter=6), diabetes, progression),
        fitted(lambda: classifier((20,) * 8, "logistic", max_iter=100)),  # before training only
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
        fitted(lambda: classifier((32,), "tanh", initializer=Uniform(-5, 5), max_iter=6)),
        fitted(lambda: classifier((32,), "logistic", bias_initializer=Constant(-30.0))),
        *[  # before training only, some of them
            fitted(
                lambda seed=seed: classifier(
                    (5,) * 5, "tanh", initializer=Uniform(0, 1), max_iter=50, random_state=seed
                ),
                circles, rings,
            )
            for seed in range(4)
        ],
    ],
    "selu without self-normalization": [
        fitted(lambda: regressor((20,) * 4, "selu", initializer="he_normal"), noise, xor),
        fitted(lambda: regressor((20,) * 4, "selu", initializer=Uniform(0, 1)), noise, xor),
        fitted(lambda: regressor((20,) * 4, "selu", dropout=0.2), noise, xor),
        *[
            fitted(lambda where=where: regressor((20,) * 4, "selu", batch_norm=where), noise, xor)
            for where in ("before", "after")
        ],
    ],
    "symmetric units": [
        fitted(lambda: classifier((30, 20), initializer="zeros")),
        fitted(lambda: classifier((16,), initializer="zeros", bias_initializer="zeros")),
        fitted(lambda: classifier((16, 16), "tanh", initializer="zeros", bias_initializer="zeros")),
        fitted(lambda: regressor((16,), "tanh", initializer=[Constant(0.1)] * 2,
                                 bias_initializer="zeros"), diabetes, progression),
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
    "targets out of reach": [
        fitted(lambda output=output: regressor((8,), output_activation=output),
               diabetes, progression)
        for output in ("relu", "softplus", "exponential", "logistic", "tanh")
    ],
    "too much regularization": [
        fitted(lambda: classifier((16,), alpha=1e4, max_iter=100)),
        fitted(lambda: classifier((16,), alpha=1e3, l1_ratio=1.0, max_iter=100)),
        fitted(lambda: classifier((16,), solver="lbfgs", alpha=1e5, max_iter=100)),
        fitted(lambda: classifier((16,), kernel_regularizer=L2(100.0), max_iter=100)),
        fitted(lambda: classifier((16,), weight_decay=300.0, max_iter=100)),
        fitted(lambda: regressor((16,), alpha=1e4, max_iter=100), diabetes, progression),
        fitted(lambda: regressor((), alpha=1e4, max_iter=100), diabetes, progression),
    ],
    "learning rate too high": [
        fitted(lambda: classifier((16,), learning_rate_init=3.0)),
        fitted(lambda: classifier((16,), solver="sgd", learning_rate_init=8.0, momentum=0.0)),
        fitted(lambda: classifier((100,), learning_rate_init=1.0),  # its curve looks fine
               *load_scaled(load_breast_cancer)),
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
        ("selu without self-normalization", fitted(lambda: classifier(
            (20,) * 4, "selu", batch_norm="after"))),  # it learns well nevertheless
        ("selu without self-normalization", fitted(lambda: regressor(
            (5,) * 6, "selu", initializer="lecun_uniform", batch_norm_input=True,
            input_dropout=0.1), noise, xor)),
        ("symmetric units", fitted(lambda: classifier((16,), bias_initializer="zeros"))),
        ("too much regularization", fitted(lambda: classifier((16,), alpha=0.1, max_iter=2))),
        ("too much regularization", fitted(lambda: regressor((), max_iter=3), noise, noise[:, 0])),
        ("targets out of reach", fitted(lambda: regressor((8,), output_activation="softplus"),
                                        diabetes, np.exp(progression))),
        ("unscaled targets", fitted(lambda: regressor((8,), standardize_y=True),
                                    diabetes, progression * 77 + 152)),
        ("learning rate too high", fitted(lambda: classifier((100,), max_iter=500),
                                          *load_scaled(load_breast_cancer))),
        ("learning rate too high", fitted(lambda: classifier((100,), solver="lbfgs", max_iter=200),
                                          *load_scaled(load_breast_cancer))),
        ("saturated units", fitted(lambda: classifier((32, 32), "logistic", solver="lbfgs",
                                                      max_iter=200))),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_helps_makes_it_go_away(kind, make):
    assert kind not in kinds(diagnose(*make()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("biases", ["auto", "zeros"])
def test_saturation_is_named_and_not_the_rate_that_follows_from_it(seed, biases):
    """All weights from U(0, 1): the loss moves up and down, as nothing is learned."""
    data = scale(circles)
    sgd = {"solver": "sgd", "learning_rate_init": 0.01, "nesterovs_momentum": False, "alpha": 0.0}
    options = {**sgd, "batch_size": 32, "max_iter": 60, "bias_initializer": biases}
    ill = classifier((5,) * 5, "tanh", initializer=[Uniform(0, 1)] * 6, **options)
    found = kinds(diagnose(ill.set_params(random_state=seed).fit(data, rings), data, rings))
    assert found & {"saturated units", "vanishing gradients"}
    assert not found & {"learning rate too high", "learning rate too low"}
    for activation, initializer in {"tanh": "glorot_uniform", "relu": "he_uniform"}.items():
        cured = classifier((5,) * 5, activation, initializer=initializer, **options)
        found = kinds(diagnose(cured.set_params(random_state=seed).fit(data, rings), data, rings))
        assert not found & {"saturated units", "vanishing gradients", "learning rate too high"}


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


CLASSES = {
    **{load.__name__: load for load in (load_iris, load_wine, load_breast_cancer, load_digits)},
    "circles": lambda **_: make_circles(500, noise=0.1, factor=0.4, random_state=0),
    "moons": lambda **_: make_moons(500, noise=0.2, random_state=0),
}
NUMBERS = {
    "diabetes": load_diabetes,
    "regression": lambda **_: make_regression(1000, 8, noise=20, random_state=0),
    "friedman": lambda **_: make_friedman1(1000, noise=1, random_state=0),
}


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_sound_networks_stay_clean(name, solver):
    data, target = {**CLASSES, **NUMBERS}[name](return_X_y=True)
    data, rate = scale(data), 0.02 if solver == "sgd" else 0.001
    options = {"solver": solver, "learning_rate_init": rate, "random_state": 0}
    if name in CLASSES:
        model = MLPClassifier(**options).fit(data, target)
    else:
        target = scale(target)
        model = MLPRegressor(**options).fit(data, target)
    assert diagnose(model, data, target).findings == []
    if data.shape[1] > 2:
        model = MLPAutoencoder((data.shape[1] // 2,), **options).fit(data)
        assert kinds(diagnose(model, data)) <= {"underfitting", "learning rate too low"}


@pytest.mark.parametrize("options", [
    {}, {"solver": "sgd"}, {"batch_norm": "before"}, {"activation": "selu"}, {"activation": "tanh"},
], ids=str)  # fmt: skip
def test_nothing_but_underfitting_is_said_of_noise(options):
    model = regressor((20,) * 4, **options).fit(noise, xor)
    new = {"symmetric units", "saturated units", "vanishing gradients", "too much regularization"}
    new |= {"selu without self-normalization"}
    assert not new & kinds(diagnose(model, noise, xor))


@pytest.mark.parametrize(("kind", "others"), [
    ("symmetric units", {"underfitting"}),
    ("too much regularization", {"underfitting"}),
    ("targets out of reach", {"underfitting"}),
])  # fmt: skip
def test_what_follows_from_a_cause_is_left_out(kind, others):
    for make in ILL[kind]:
        report = diagnose(*make())
        assert kinds(report) - {kind} <= others
        for finding in report.findings:
            assert "more units" not in finding.advice
            assert "learning_rate_init" not in finding.advice


def test_the_parameter_that_penalizes_most_is_named():
    names = ["alpha"] * 3 + ["kernel_regularizer", "weight_decay"]
    for name, make in zip(names, ILL["too much regularization"], strict=False):
        finding = next(f for f in diagnose(*make()).findings if "regulariz" in f.kind)
        assert f"{name}=" in finding.evidence
        assert name in finding.advice


def test_worse_than_a_constant():
    halves = diabetes[:200], progression[:200], diabetes[200:], progression[200:]
    model = regressor((200,), max_iter=3, initializer=VarianceScaling(20.0)).fit(*halves[:2])
    report = diagnose(model, *halves)
    assert kinds(report) == {"underfitting"}
    assert report.findings[0].advice == "more epochs than max_iter=3"  # the loss still falls
    model = regressor((50,), max_iter=20, learning_rate_init=3.0).fit(halves[0], halves[1] * 100)
    report = diagnose(model, halves[0], halves[1] * 100, halves[2], halves[3] * 100)
    advice = next(f.advice for f in report.findings if f.kind == "underfitting")
    assert "overfitting" not in kinds(report)
    for what in ("a lower learning_rate_init than 3", "standardize_y=True", "more epochs"):
        assert what in advice
    model = classifier((), alpha=1e4).fit(*load_scaled(load_iris))
    report = diagnose(model, *load_scaled(load_iris))
    assert kinds(report) == {"too much regularization", "underfitting"}
    assert report.findings[1].advice.startswith("first remove the causes (too much regular")


def test_more_and_fewer_units_are_never_advised_together():
    parts = noise[:150], noise[:150, 0] * 0 + random_labels[:150], noise[150:], random_labels[150:]
    report = diagnose(regressor((100,), max_iter=60).fit(*parts[:2]), *parts)
    assert kinds(report) == {"underfitting", "overfitting"}
    advice = [f.advice for f in report.findings]
    assert sum("more units" in text for text in advice) == 1
    assert not any("fewer units" in text or "larger alpha" in text for text in advice)


def test_unscaled_targets_are_told_of_standardize_y():
    report = diagnose(*ILL["unscaled targets"][0]())
    advice = next(f.advice for f in report.findings if f.kind == "unscaled targets")
    assert "standardize_y=True" in advice
    assert "TransformedTargetRegressor" in advice


def test_errors_are_about_what_was_trained_for():
    target = np.where(np.random.default_rng(0).random(len(y)) < 0.5, 0, y == 8)
    model = classifier((5,), class_weight="balanced", max_iter=30).fit(X, target)
    assert np.mean(model.predict(X) != target) > target.mean()  # worse than a constant ...
    assert kinds(diagnose(model, X, target, X, target)) == set()  # ... that finds no class
    model = regressor((20,), loss=QuantileLoss(0.95), max_iter=100).fit(diabetes, progression)
    assert model.score(diabetes, progression) < 0
    assert "underfitting" not in kinds(diagnose(model, diabetes, progression))


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)], ids=str)
def test_the_start_is_what_training_began_with(random_state):
    model = classifier((8, 8), max_iter=2, learning_rate_init=1e-12, random_state=random_state)
    model.fit(X, y)
    states = [np.random.get_state()[1].copy()]  # noqa: NPY002
    if random_state:
        states.append(random_state.get_state()[1].copy())
    start = model.before_training(X, y)
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])  # noqa: NPY002
    if random_state:
        np.testing.assert_array_equal(random_state.get_state()[1], states[1])
    shapes = [[w.shape for w in m.coefs_] for m in (start, model)]
    assert shapes[0] == shapes[1]
    if random_state == 0:
        for a, b in zip([*start.coefs_, *start.intercepts_], [*model.coefs_, *model.intercepts_],
                        strict=True):  # fmt: skip
            np.testing.assert_allclose(a, b, atol=1e-9)


def test_where_the_start_is_not_known():
    model = classifier((20,) * 8, "logistic", max_iter=10).fit(X, y)
    for changed in ((3,), "no sizes"):
        model.set_params(hidden_layer_sizes=changed)
        assert model.before_training(X, y) is None
        assert "underfitting" in kinds(diagnose(model, X, y))


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
    with pytest.raises(TypeError, match=r"Pipeline is not allowed.*For a Pipeline give its last"):
        diagnose(pipeline, X, y)
    with pytest.raises(ValueError, match="not fitted"):
        diagnose(classifier(), X, y)
    with pytest.raises(ValueError, match="diagnose needs y"):
        diagnose(pipeline[-1], X)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        diagnose(pipeline[-1], X, y, X)
