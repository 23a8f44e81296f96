"""Where scikit-learn's MLP is at fault and ours is not: one test each."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn import neural_network
from sklearn.datasets import load_digits, load_iris, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback, LambdaCallback
from skdeep.optimizers import Adam
from skdeep.schedules import InverseScaling, Scheduled
from skdeep.training.trainer import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = load_iris(return_X_y=True)


class Gradient(Callback):
    """Keep the gradient and the objective of the first step, for plain SGD with rate 1."""

    def on_train_begin(self, trainer):
        self.before = trainer.network.parameters.values.copy()

    def on_batch_end(self, trainer):
        if not hasattr(self, "gradient"):
            self.gradient = self.before - trainer.network.parameters.values


def test_gradient_of_several_outputs_is_the_derivative():
    """Theirs is n_outputs times too large under lbfgs."""
    X, Y = make_regression(20, 4, n_targets=3, random_state=0)
    Y = Y / 100
    watch = Gradient()
    model = MLPRegressor(
        (5,),
        activation="tanh",
        solver="sgd",
        momentum=0.0,
        learning_rate_init=1.0,
        shuffle=False,
        max_iter=1,
        callbacks=[watch],
        random_state=0,
    ).fit(X, Y)

    def objective(values):
        model.network_.parameters.values[...] = values
        weights = sum((W**2).sum() for W in model.coefs_)
        return 0.5 * np.mean((model.predict(X) - Y) ** 2) + 1e-4 / 2 / 20 * weights

    expected = approx_fprime(watch.before, objective, 1e-7)
    np.testing.assert_allclose(watch.gradient, expected, rtol=1e-4, atol=1e-6)


def test_multi_output_lbfgs_reaches_the_minimum():
    X, Y = make_regression(60, 3, n_targets=2, noise=5, random_state=0)
    Y = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    model = MLPRegressor((), solver="lbfgs", alpha=0.0, tol=1e-9, random_state=0).fit(X, Y)
    design = np.c_[X, np.ones(60)]
    solution, *_ = np.linalg.lstsq(design, Y, rcond=None)
    np.testing.assert_allclose(model.predict(X), design @ solution, atol=1e-4)


def test_multiclass_split_is_stratified():
    X, y = make_classification(
        300, 5, n_informative=5, n_redundant=0, n_classes=3, weights=[0.8, 0.1], random_state=0
    )
    seen = []

    def scoring(estimator, X, y):
        seen.append(np.bincount(y, minlength=3))
        return 0.0

    MLPClassifier(early_stopping=True, scoring=scoring, max_iter=1, random_state=0).fit(X, y)
    np.testing.assert_allclose(seen[0], np.bincount(y) / 10, atol=1)


def test_learning_rate_is_not_ignored_by_adam():
    model = MLPClassifier((5,), learning_rate=InverseScaling(), max_iter=20, random_state=0)
    rates = model.fit(X_iris, y_iris).history_["learning_rate"]
    np.testing.assert_allclose(rates[1:], 0.001 / np.sqrt(150 * np.arange(1, 20) + 1))
    model.set_params(learning_rate="adaptive", tol=1e9, n_iter_no_change=1).fit(X_iris, y_iris)
    assert model.history_["learning_rate"][-1] < 1e-5


def test_invscaling_beside_adam_does_not_ruin_programs_that_have_it():
    settings = {"max_iter": 20, "random_state": 0}
    plain = MLPClassifier((5,), **settings).fit(X_iris, y_iris)
    model = MLPClassifier((5,), learning_rate="invscaling", **settings)
    with pytest.warns(UserWarning, match=r"learning_rate='invscaling' has no effect.*Inverse"):
        model.fit(X_iris, y_iris)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    for other in ({"solver": "sgd"}, {"solver": Adam()}, {"solver": "rmsprop"}):
        rates = model.set_params(**other).fit(X_iris, y_iris).history_["learning_rate"]
        assert rates[-1] < 0.1 * rates[0]


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_stops_when_more_than_k_epochs_are_no_improvement(patience, early_stopping):
    options = {"tol": 1e9, "n_iter_no_change": patience, "early_stopping": early_stopping}
    ours = MLPClassifier((4,), random_state=0, **options).fit(X_iris, y_iris)
    theirs = neural_network.MLPClassifier((4,), random_state=0, **options).fit(X_iris, y_iris)
    assert ours.n_iter_ == theirs.n_iter_ == patience + 2


def test_infinite_patience_never_stops():
    model = MLPClassifier((4,), tol=1e9, n_iter_no_change=np.inf, max_iter=30)
    assert model.fit(X_iris, y_iris).n_iter_ == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_layer_sizes", (7,)), ("activation", "tanh"), ("batch_norm", "after")],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_changed_architecture_under_warm_start_is_an_error(name, value, method):
    model = MLPClassifier((4,), warm_start=True, max_iter=2, random_state=0).fit(X_iris, y_iris)
    before = model.predict_proba(X_iris)
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=rf"{name}=.*would change the architecture"):
        getattr(model, method)(X_iris, y_iris)
    np.testing.assert_array_equal(model.predict_proba(X_iris), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_log_probabilities_are_finite(dtype, kind):
    X = np.array([[-1e6], [-1.0], [1.0], [1e6]], dtype)
    y = {
        "binary": [0, 0, 1, 1],
        "multiclass": [0, 1, 2, 2],
        "multilabel": [[0, 1]] * 2 + [[1, 0]] * 2,
    }[kind]
    model = MLPClassifier((), dtype=dtype, max_iter=3, random_state=0).fit(X / 1e6, np.array(y))
    model.coefs_ = [50 * np.arange(1, W.size + 1).reshape(W.shape) for W in model.coefs_]
    log_proba, proba = model.predict_log_proba(X), model.predict_proba(X)
    assert np.isfinite(log_proba).all()
    assert 0 < proba.min() < 1e-40  # the smallest number of its dtype
    assert log_proba.min() == np.log(proba).min()


# 17: the sure class rounds to 1 in float32; 105 and 750: the other underflows in one dtype
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("gap", [0.0, 17.0, 40.0, 105.0, 750.0, 3e38])
def test_probabilities_of_finite_logits_are_neither_0_nor_1(dtype, n_classes, gap):
    y = np.arange(6) % n_classes
    X = np.array([[1.0], [2], [3], [4], [5], [6]], dtype)
    model = MLPClassifier((), max_iter=1, dtype=dtype, random_state=0).fit(X, y)
    if n_classes == 2:
        model.coefs_, model.intercepts_ = [[[gap]]], [[0]]
    else:  # the third class is as good as impossible, by a difference that overflows
        model.coefs_, model.intercepts_ = [[[0, gap, 0]]], [[0, 0, np.finfo(dtype).min]]
    proba, log_proba = model.predict_proba(X[:1])[0], model.predict_log_proba(X[:1])[0]
    assert (proba > 0).all()
    assert (proba < 1).all()
    assert np.isfinite(log_proba).all()
    expected = -np.logaddexp(0, [gap, -gap])
    np.testing.assert_allclose(proba[:2], np.exp(expected), rtol=1e-5, atol=1e-44)
    expected[0] = max(expected[0], np.log(np.finfo(dtype).smallest_subnormal))
    np.testing.assert_allclose(log_proba[:2], expected, rtol=1e-6, atol=2e-16)
    np.testing.assert_allclose(log_proba, np.log(proba), rtol=1e-6, atol=np.finfo(dtype).eps)


def test_diverged_run_stops_at_once():
    X, y = make_regression(100, 5, random_state=0)
    seen = []

    class Count(Callback):
        def on_epoch_end(self, trainer):
            seen.append(trainer.epoch)

    model = MLPRegressor(
        activation="identity", solver="sgd", learning_rate_init=10.0, callbacks=[Count()]
    )
    with pytest.raises(DivergenceError, match=r"In epoch \d+ the loss became"):
        model.fit(X, 1e4 * y)
    assert len(seen) < 100


def test_lbfgs_keeps_float32():
    X = X_iris.astype("float32")
    model = MLPClassifier((5,), solver="lbfgs", max_iter=20, random_state=0).fit(X, y_iris)
    assert {a.dtype for a in [*model.coefs_, *model.intercepts_]} == {np.dtype("float32")}
    assert model.predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"batch_norm": "after"}])
def test_pickle_is_little_more_than_the_weights(settings):
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((200, 100), max_iter=3, random_state=0, **settings).fit(X, y)
    size = model.network_.parameters.values.nbytes
    assert size < len(pickle.dumps(model)) < size + 15_000


def test_there_is_a_validation_loss_curve():
    model = MLPClassifier((5,), early_stopping=True, max_iter=5, random_state=0)
    history = model.fit(X_iris, y_iris).history_
    assert len(history["val_loss"]) == len(history["loss"]) == 5
    assert np.isfinite(history["val_loss"]).all()


def test_untransformed_validation_data_does_not_go_unnoticed():
    X = X_iris * 100 + 5000
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=2, random_state=0))
    with pytest.warns(UserWarning, match=r"transform_input=\['X_val'\]"):
        pipeline.fit(X, y_iris, mlpclassifier__X_val=X, mlpclassifier__y_val=y_iris)
    X_scaled = pipeline[0].transform(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline[-1].fit(X_scaled, y_iris, X_val=X_scaled[::2], y_val=y_iris[::2])


def interrupt(trainer):
    raise KeyboardInterrupt


@pytest.mark.parametrize("module", ["sklearn", "skdeep", r"sklearn\.neural_network", "test_", None])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_filters_of_warnings_that_name_a_module_take_effect(module, solver):
    model = MLPClassifier(max_iter=2, solver=solver)
    own = __name__ if module == "test_" else module
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = {} if module is None else {"module": own}
        warnings.filterwarnings("ignore", category=ConvergenceWarning, **options)
        model.fit(X_iris, y_iris)
        assert not caught
        warnings.filterwarnings("always", category=ConvergenceWarning, module="another")
        model.fit(X_iris, y_iris)
        assert not caught
        warnings.simplefilter("always")
        model.fit(X_iris, y_iris)
        assert [w.category for w in caught] == [ConvergenceWarning]


def test_a_filter_may_turn_warnings_of_a_module_into_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=ConvergenceWarning, module="sklearn")
        with pytest.raises(ConvergenceWarning):
            MLPClassifier(max_iter=2).fit(X_iris, y_iris)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Maximum iterations"),
        ({"batch_size": 500}, "Got `batch_size` less than 1"),
        ({"callbacks": LambdaCallback(on_batch_end=interrupt)}, "interrupted by user"),
        ({"solver": "lbfgs", "dropout": 0.1}, "can't honour dropout"),
        ({"solver": "lbfgs"}, "lbfgs failed to converge"),
    ],
    ids=["epochs", "batch size", "interrupt", "ignored", "lbfgs"],
)
def test_warnings_name_the_line_of_the_user(options, words):
    X = np.random.default_rng(0).standard_normal((50, 3))
    for model in (
        MLPClassifier(max_iter=2, **options),
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=2, **options)),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, X[:, 0] > 0)
        assert [w.filename for w in caught if words in str(w.message)] == [__file__]


class Freeze(Callback):
    """Freeze the first layer while a model trains."""

    def on_epoch_begin(self, trainer):
        for parameter in trainer.network.parameters.parameters[:2]:
            parameter.frozen = True
        trainer.rearrange()


def test_the_optimizers_state_is_dropped_if_other_parameters_train():
    """Compiled code would write beyond the ends of arrays."""
    model = MLPClassifier((500,), callbacks=[Freeze()], random_state=0)
    model.partial_fit(X_iris, y_iris, classes=[0, 1, 2])
    model.set_params(dropout=0.1, callbacks=None)
    for _ in range(3):
        model.partial_fit(X_iris, y_iris)
    assert model.optimizer_.slots_[0].size == model.network_.parameters.n_trainable
    model.optimizer_.slots_ = [slot[:1] for slot in model.optimizer_.slots_]
    model.partial_fit(X_iris, y_iris)
    assert model.optimizer_.slots_[0].size == model.network_.parameters.n_trainable


class Boom(Callback):
    def on_epoch_end(self, trainer):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("options", "validation"),
    [({}, True), ({"early_stopping": True}, False), ({"dropout": Scheduled(0.1)}, False)],
    ids=str,
)
def test_a_warm_start_that_fails_leaves_no_columns_in_the_history(options, validation):
    X = np.random.default_rng(0).standard_normal((60, 3))
    y = X[:, 0]
    model = MLPRegressor((5,), max_iter=3, random_state=0, warm_start=True).fit(X, y)
    before = {name: list(column) for name, column in model.history_.items()}
    given = {"X_val": X, "y_val": y} if validation else {}
    with pytest.raises(ZeroDivisionError):
        model.set_params(callbacks=[Boom()], **options).fit(X, y, **given)
    assert model.history_ == before
