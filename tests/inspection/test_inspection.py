"""Errors, gradients, learning rates, and figures of layers."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.activations import Activation
from skdeep.inspection import (
    DistributionMismatchReport,
    bias_variance_report,
    check_gradients,
    distribution_mismatch_report,
    layer_statistics,
    learning_rate_range_test,
)
from skdeep.layers import BatchNorm, Dense, Layer, Residual
from skdeep.losses import RegressionLoss

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X = scale(X)


# Bias and variance ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "validation", "bayes", "verdict"),
    [
        (0.01, 0.11, 0.0, "high variance"),
        (0.15, 0.16, 0.0, "high bias"),
        (0.15, 0.30, 0.0, "high bias and high variance"),
        (0.005, 0.01, 0.0, "neither"),
        (0.15, 0.16, 0.15, "neither"),
        (0.15, 0.30, 0.14, "high variance"),
        (0.07, 0.10, 0.04, "neither"),  # 0.07 - 0.04 is above 0.03 by a rounding error
    ],
)
def test_the_table_of_the_lecture(train, validation, bayes, verdict):
    report = bias_variance_report(train, validation, bayes)
    assert report.verdict == verdict
    assert report.bias == pytest.approx(train - bayes)
    assert report.variance == pytest.approx(validation - train)
    assert verdict in str(report)
    assert report.advice in str(report)


@pytest.mark.parametrize(
    ("train", "validation", "bayes", "verdict", "note"),
    [
        (0.003, 0.004, 0.005, "Bayes error too high", "and so is the validation error: this Bayes"),
        (0.003, 0.2, 0.005, "high variance", "must be wrong, unless the network knows its rows by"),
        (0.003, 0.01, 0.005, "neither", "the training error, 0.3%, is below the Bayes error, 0.5%"),
        (0.2, 0.004, 0.005, "high bias", None),
        (1 - 0.9, 1 - 0.9, 0.1, "neither", None),  # 0.09999999999999998
    ],
)
def test_a_bayes_error_above_the_training_error_must_be_wrong(
    train, validation, bayes, verdict, note
):
    report = bias_variance_report(train, validation, bayes)
    assert report.verdict == verdict
    assert report.note == "" if note is None else note in report.note
    assert ("note: " in str(report)) == (note is not None)
    assert report.note in str(report)


@pytest.mark.parametrize("errors", [(-0.1, 0.2), (0.1, np.nan), ("0.1", 0.2), (0.1, None)])
def test_errors_that_are_none(errors):
    with pytest.raises(ValueError, match=r"_error=.* is not allowed; give a number >= 0"):
        bias_variance_report(*errors)


# Rows of two distributions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "bayes", "verdict"),
    [
        # the cases of the course that the lecture's table of errors is from
        ((0.01, 0.09, 0.10), 0.0, "high variance"),
        ((0.01, 0.015, 0.10), 0.0, "data mismatch"),
        ((0.10, 0.11, 0.12), 0.0, "high bias"),
        ((0.10, 0.11, 0.20), 0.0, "high bias and data mismatch"),
        ((0.07, 0.10, 0.12, 0.12), 0.04, "none"),
        ((0.15, 0.30, 0.31), 0.0, "high bias and high variance"),
        ((0.01, 0.02, 0.03, 0.15), 0.0, "overfitted development rows"),
        ((0.1, 0.2, 0.3, 0.4), 0.05, "high bias and high variance and data mismatch and "
         "overfitted development rows"),
        ((0.01, 0.01, 0.02), 0.05, "Bayes error too high"),
    ],
)  # fmt: skip
def test_the_table_of_errors(errors, bayes, verdict):
    report = distribution_mismatch_report(*errors, bayes_error=bayes)
    assert report.verdict == verdict
    steps = np.diff([bayes, *errors])
    own = [report.bias, report.variance, report.mismatch, report.dev_overfitting]
    assert own[: len(steps)] == pytest.approx(steps)
    assert (own[3] is None) == (len(errors) == 3)
    lines = str(report).splitlines()
    assert lines[2].split() == ["Bayes", "error", f"{bayes:.1%}"]
    assert [line.split()[-2] for line in lines[3 : 3 + len(errors)]] == [
        f"{error:.1%}" for error in errors
    ]
    assert f"verdict: {verdict}" in lines
    assert f"advice: {report.advice}" in lines
    assert "<td>data mismatch</td>" in report._repr_html_()


@pytest.mark.parametrize(
    ("errors", "bayes", "note"),
    [
        ((0.1, 0.2, 0.1), 0.0, "the development rows are easier than those of the training"),
        ((0.01, 0.2, 0.3), 0.02, "must be wrong, unless the network knows its rows by heart"),
        ((0.01, 0.01, 0.3), 0.02, "and so is the train-dev error: this Bayes error must be wrong"),
        ((0.1, 0.11, 0.1), 0.0, ""),
    ],
)
def test_notes_on_the_table_of_errors(errors, bayes, note):
    report = distribution_mismatch_report(*errors, bayes_error=bayes)
    assert note in report.note
    assert bool(report.note) == bool(note) == ("note: " in str(report))


@pytest.mark.parametrize("error", [-0.1, np.nan, "0.1", None])
def test_errors_of_the_table_that_are_none(error):
    with pytest.raises(ValueError, match=r"dev_error=.* is not allowed; give a number >= 0"):
        distribution_mismatch_report(0.1, 0.1, error)


def test_the_table_of_errors_of_an_estimator():
    y_dev = np.r_[y[:50], 9 - y[50:100]]
    mlp = MLPClassifier((32,), max_iter=15, random_state=0).fit(X[400:], y[400:])
    report = DistributionMismatchReport.from_estimator(
        mlp,
        train=(X[400:], y[400:]),
        train_dev=(X[100:400], y[100:400]),
        dev=(X[:100], y_dev),
        tolerance=0.1,
    )
    assert report.errors["train-dev"] == pytest.approx(1 - mlp.score(X[100:400], y[100:400]))
    assert report.errors["development"] == pytest.approx(1 - mlp.score(X[:100], y_dev))
    assert report.dev_overfitting is None
    assert report.verdict == "data mismatch"


def test_errors_of_a_regressor_have_one_scale():
    target = X[:, :2] * [1, 3]
    part = X[:50], target[:50]
    mlp = MLPRegressor((8,), max_iter=3, random_state=0).fit(X, target)
    parts = {"train": (X, target), "train_dev": part, "dev": part, "test": part}
    report = DistributionMismatchReport.from_estimator(mlp, **parts)
    squared = np.mean((mlp.predict(X[:50]) - target[:50]) ** 2)
    assert report.errors["test"] == pytest.approx(squared / target.var(axis=0).mean())
    report = DistributionMismatchReport.from_estimator(mlp, **parts, error=lambda y, P: len(y) / 50)
    assert report.errors["test"] == 1.0
    with pytest.raises(ValueError, match="All training targets are equal"):
        DistributionMismatchReport.from_estimator(mlp, **{**parts, "train": (X, 0 * target)})


# Gradients ------------------------------------------------------------------------------------


class Cube(Activation):
    """f(z) = z^3, with a derivative that is right or not."""

    factor = 3.0

    def forward(self, Z, work):
        np.power(Z, 3, out=Z)

    def backward(self, dA, A, Z, work):
        np.cbrt(A, out=work)
        dA *= self.factor * work**2


class WrongCube(Cube):
    factor = 2.0


class Shift(Layer):
    """Y = X + X^2 / 10, which forgets a term on the way back."""

    right = True

    def forward(self, X):
        self._X = X
        return X + X**2 / 10

    def backward(self, dY):
        return dY * (1 + self._X / 5) if self.right else dY

    def infer(self, X):
        return X + X**2 / 10


class WrongShift(Shift):
    right = False


class Quartic(RegressionLoss):
    factor = 4.0

    def pointwise(self, Y, P, work):
        R = P - Y
        return R**4, self.factor * R**3


class WrongQuartic(Quartic):
    factor = 5.0


RIGHT = {
    "classifier": lambda: MLPClassifier((8, 5), "tanh", max_iter=2, alpha=0.1).fit(X, y),
    "float32": lambda: MLPClassifier((8,), "gelu", max_iter=2).fit(X.astype("float32"), y),
    "batch norm": lambda: MLPClassifier((8, 5), "selu", batch_norm="after", max_iter=2).fit(X, y),
    "dropout": lambda: MLPClassifier((8,), "elu", dropout=0.5, input_noise=1.0).fit(X, y),
    "frozen": lambda: MLPClassifier((8, 5), "tanh", frozen_layers=1, max_iter=2).fit(X, y),
    "autoencoder": lambda: MLPAutoencoder((5,), "tanh", tied_weights=True, max_iter=2).fit(X),
    "layers": lambda: MLPRegressor(
        layers=[Dense(6, "tanh"), Residual([Dense(6, "tanh"), BatchNorm()])],
        kernel_constraint="max_norm", bias_regularizer="l2", max_iter=2,
    ).fit(X, y / 10),
    "own activation": lambda: MLPRegressor((4,), Cube(), max_iter=2).fit(X, y / 10),
    "own layer": lambda: MLPRegressor(layers=[Dense(4), Shift()], max_iter=2).fit(X, y / 10),
    "own loss": lambda: MLPRegressor((4,), "tanh", loss=Quartic(), max_iter=2).fit(X, y / 10),
}  # fmt: skip
WRONG = {
    "own activation": lambda: MLPRegressor((4,), WrongCube(), max_iter=2).fit(X, y / 10),
    "own layer": lambda: MLPRegressor(layers=[Dense(4), WrongShift()], max_iter=2).fit(X, y / 10),
    "own loss": lambda: MLPRegressor((4,), "tanh", loss=WrongQuartic(), max_iter=2).fit(X, y / 10),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_gradients_that_are_right(kind):
    model = RIGHT[kind]()
    before = model.network_.parameters.values.copy()
    check = check_gradients(model, X, y / 10 if hasattr(model, "_decode") else y)
    assert check.passed, check
    n_trainable = sum(p.trainable for p in model.network_.parameters.parameters)
    assert len(check.errors) == n_trainable
    np.testing.assert_array_equal(model.network_.parameters.values, before)
    assert model.network_.dtype == before.dtype


@pytest.mark.parametrize("kind", WRONG)
def test_gradients_that_are_wrong(kind):
    check = check_gradients(WRONG[kind](), X, y / 10)
    assert not check.passed
    assert check.errors["0.Dense.kernel"] > check.tolerance
    assert "WRONG" in str(check)
    assert "WRONG" in check._repr_html_()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: MLPAutoencoder((8, 2), max_iter=30, random_state=seed).fit(X),
        lambda seed: MLPClassifier((8,) * 8, "logistic", max_iter=3, random_state=seed).fit(X, y),
        lambda seed: MLPClassifier(
            layers=[Dense(8), BatchNorm(), Dense(6, "tanh")], max_iter=3, random_state=seed
        ).fit(X, y),
    ],
    ids=["at kinks", "tiny gradients", "a bias without any"],
)
def test_what_is_right_is_not_called_wrong(make, seed):
    check = check_gradients(make(seed), X, y)
    assert check.passed, check


# Learning rates -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_sweep_over_learning_rates(solver, is_fitted):
    model = MLPClassifier((32,), solver=solver, max_iter=2, random_state=0)
    if is_fitted:
        model.fit(X, y)
    before = dict(vars(model))
    weights = model.network_.parameters.values.copy() if is_fitted else None
    sweep = learning_rate_range_test(model, X, y)
    assert vars(model).keys() == before.keys()
    if is_fitted:
        np.testing.assert_array_equal(model.network_.parameters.values, weights)
        assert len(model.loss_curve_) == 2
    ratios = sweep.rates[1:] / sweep.rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    assert sweep.rates[0] == pytest.approx(1e-6)
    assert len(sweep.losses) == len(sweep.rates)
    # what it suggests trains, and better than what is a thousand times slower
    suggested, slow = (
        MLPClassifier((32,), solver=solver, learning_rate_init=rate, max_iter=5, random_state=0)
        .fit(X, y)
        .loss_
        for rate in (sweep.suggestion, sweep.suggestion / 1000)
    )
    assert suggested < slow
    assert f"{sweep.suggestion:.2g}" in str(sweep)


def test_a_sweep_ends_where_the_loss_runs_away():
    model = MLPRegressor((32,), solver="sgd", random_state=0)
    sweep = learning_rate_range_test(model, X, y / 10, highest=1e6, n_steps=300)
    assert len(sweep.rates) < 300
    assert sweep.suggestion < 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 0.0}, "give 0 < lowest < highest"),
        ({"lowest": 1.0, "highest": 0.1}, "give 0 < lowest < highest"),
        ({"n_steps": 2}, "n_steps=2 is not allowed"),
        ({"smoothing": 1.0}, "smoothing=1.0 is not allowed"),
    ],
)
def test_sweeps_that_are_none(options, words):
    with pytest.raises(ValueError, match=words):
        learning_rate_range_test(MLPClassifier(), X, y, **options)
    with pytest.raises(ValueError, match="solver='lbfgs' has no learning rate"):
        learning_rate_range_test(MLPClassifier(solver="lbfgs"), X, y)


# Layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [None, "before", "after"])
def test_figures_of_layers(batch_norm):
    model = MLPClassifier((8, 6), "tanh", batch_norm=batch_norm, max_iter=3).fit(X, y)
    report = layer_statistics(model, X, y)
    assert [row.n_units for row in report.layers] == [8, 6, 10]
    assert all("Tanh" in row.name for row in report.layers[:2])
    for row, W in zip(report.layers, model.coefs_, strict=True):
        assert row.weight_norm == pytest.approx(np.linalg.norm(W))
        assert row.gradient_rms > 0
    if batch_norm != "after":
        assert report.layers[1].mean == pytest.approx(model.transform(X).mean())
        assert report.layers[1].std == pytest.approx(model.transform(X).std())
    assert "Gradient RMS" in str(report)
    assert report._repr_html_().count("<tr>") == 4


def test_without_targets_there_are_no_gradients():
    model = MLPClassifier((8,), max_iter=2).fit(X, y)
    assert all(np.isnan(row.gradient_rms) for row in layer_statistics(model, X).layers)


def test_dead_units_are_counted():
    model = MLPClassifier((8,), max_iter=2).fit(X, y)
    model.intercepts_[0][:3] = -1e6
    assert layer_statistics(model, X).layers[0].dead == 3 / 8
