"""Fitting again: warm_start, partial_fit, and what each goes on with."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from skdeep import MLPClassifier, MLPRegressor
from skdeep.activations import ReLU
from skdeep.callbacks import Callback
from skdeep.optimizers import Adam
from skdeep.schedules import Adaptive

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
OPTIONS = [
    {},
    {"solver": "sgd"},
    {"solver": "nadam", "batch_norm": "after", "dropout": 0.3},
    {"learning_rate": "invscaling", "solver": "sgd"},
    {"learning_rate": "cosine", "input_noise": 0.1},
    {"activation": "rrelu", "weight_noise": 0.01, "gradient_noise": 0.01},
]


def values(model):
    return model.network_.parameters.values


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("batch_size", ["auto", 32])
def test_partial_fit_is_fit_an_epoch_at_a_time(options, batch_size):
    settings = {"max_iter": 6, "tol": 0.0, "n_iter_no_change": np.inf, "random_state": 0}
    fitted = MLPClassifier((5,), batch_size=batch_size, **settings, **options).fit(X, y)
    partial = clone(fitted)
    for _ in range(6):
        partial.partial_fit(X, y, classes=[0, 1, 2])
        partial = pickle.loads(pickle.dumps(partial))  # a pickle goes on as the original does
    np.testing.assert_array_equal(values(partial), values(fitted))
    assert partial.loss_curve_ == fitted.loss_curve_
    assert partial.history_["learning_rate"] == fitted.history_["learning_rate"]
    assert (partial.n_iter_, partial.t_) == (1, fitted.t_)


def test_adaptive_rate_goes_down_over_calls_of_partial_fit():
    model = MLPRegressor(learning_rate="adaptive", tol=1e9, n_iter_no_change=1, random_state=0)
    for _ in range(6):
        model.partial_fit(X, y)
    rates = model.history_["learning_rate"]
    assert rates == pytest.approx([0.001, 0.001, 0.001, 0.0002, 0.0002, 0.00004])


def test_warm_start_goes_on_from_the_weights():
    model = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, y)
    first, curve = values(model).copy(), list(model.loss_curve_)
    model.fit(X, y)
    np.testing.assert_array_equal(values(model), first)
    assert model.loss_curve_ == curve
    model.set_params(warm_start=True).fit(X, y)
    assert model.loss_curve_[:5] == curve
    assert len(model.loss_curve_) == 10
    assert model.loss_curve_[5] < curve[-1]
    assert (model.n_iter_, model.t_) == (5, 1500)


def test_warm_start_keeps_the_validation_rows():
    seen = []

    def scoring(estimator, X, y):
        seen.append(X[:, 0].tolist())
        return len(seen)

    model = MLPClassifier(
        early_stopping=True, scoring=scoring, warm_start=True, max_iter=2, random_state=0
    )
    model.fit(X, y).fit(X, y)
    assert len(seen) == 5  # the second fit looks where it starts from
    assert all(rows == seen[0] for rows in seen)


def test_warm_start_with_early_stopping_never_gets_worse():
    scores = iter([0.5, 0.6, 0.6, 0.1, 0.2])
    model = MLPClassifier(
        early_stopping=True,
        scoring=lambda *_: next(scores),
        warm_start=True,
        max_iter=2,
        random_state=0,
    ).fit(X, y)
    best = values(model).copy()
    assert (model.best_iter_, model.best_validation_score_) == (2, 0.6)
    model.fit(X, y)
    np.testing.assert_array_equal(values(model), best)
    assert (model.best_iter_, model.best_validation_score_) == (2, 0.6)
    assert model.validation_scores_ == [0.5, 0.6, 0.1, 0.2]


@pytest.mark.parametrize(
    ("name", "value"),
    [("dropout", 0.9), ("kernel_constraint", "unit_norm"), ("kernel_regularizer", "l2")],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_options_of_layers_take_effect_on_the_weights_that_are_there(name, value, method):
    model = MLPClassifier((5,), warm_start=True, max_iter=1, random_state=0).fit(X, y)
    other = copy.deepcopy(model).set_params(**{name: value})
    np.testing.assert_array_equal(values(other), values(model))
    for m in (model, other):
        getattr(m, method)(X, y)
    difference = np.abs(values(model) - values(other)).max()
    assert difference > 0
    if name != "kernel_constraint":
        assert difference < 0.1  # one epoch away from the same point


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_other_number_of_outputs(n_outputs):
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(warm_start=True, max_iter=1).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match=f"y has {n_outputs} outputs, but the model .* with 2"):
        model.fit(X, np.tile(y[:, None], n_outputs).squeeze())


def test_float32_model_goes_on_in_float32():
    model = MLPClassifier((5,), max_iter=1).fit(X.astype("float32"), y)
    assert model.partial_fit(X, y).network_.dtype == np.float32
    model.set_params(dtype="float64").partial_fit(X, y)
    assert model.network_.dtype == np.float64


PARTIAL_FIT_ERRORS = [
    ({}, "classes must be passed on the first call to partial_fit"),
    ({"classes": [0, 1]}, "`y` has classes not in `self.classes_`"),
]


@pytest.mark.parametrize(("arguments", "message"), PARTIAL_FIT_ERRORS)
def test_partial_fit_needs_all_classes(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().partial_fit(X, y, **arguments)


def test_partial_fit_errors_afterwards():
    model = MLPClassifier((3,)).partial_fit(X, y, classes=[0, 1, 2, 3])
    assert model.predict_proba(X).shape == (150, 4)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes not in"):
        model.partial_fit(X, y + 9)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        model.set_params(class_weight="balanced").partial_fit(X, y)


def test_optimizer_state_is_kept_where_it_can_be_used():
    model = MLPClassifier((50,), max_iter=2, random_state=0).fit(X, y)
    assert not model.optimizer_.started
    model.partial_fit(X, y)
    assert model.optimizer_.started
    assert len(pickle.dumps(model)) > 3 * values(model).nbytes


def test_parts_that_were_given_are_not_changed():
    solver, schedule = Adam(), Adaptive()
    MLPClassifier(solver=solver, learning_rate=schedule, max_iter=2).fit(X, y)
    assert vars(solver) == vars(Adam())
    assert vars(schedule) == vars(Adaptive())


class Fail(Callback):
    """Raise in the middle of an epoch."""

    def __init__(self, error=RuntimeError, hook="on_batch_end"):
        self.error = error
        self.hook = hook

    def on_train_begin(self, trainer):
        self._fail("on_train_begin")

    def on_batch_end(self, trainer):
        self._fail("on_batch_end")

    def on_epoch_end(self, trainer):
        self._fail("on_epoch_end")

    def on_train_end(self, trainer):
        self._fail("on_train_end")

    def _fail(self, hook):
        if hook == self.hook:
            raise self.error("boom")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_after_a_failure_training_goes_on_as_if_it_had_not_been(options):
    """Weights, optimizer, schedule and random numbers are all put back."""
    model = MLPClassifier((5,), random_state=0, **options)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    other = copy.deepcopy(model).set_params(callbacks=[Fail()])
    with pytest.raises(RuntimeError, match="boom"):
        other.partial_fit(X, y)
    other.set_params(callbacks=None)
    for m in (model, other):
        m.partial_fit(X, y)
    np.testing.assert_array_equal(values(other), values(model))
    assert other.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_errors_after_lbfgs_are_not_hidden(solver):
    model = MLPClassifier((5,), solver="lbfgs", warm_start=True, max_iter=5, random_state=0).fit(
        X, y
    )
    before = values(model).copy()
    model.set_params(solver=solver, callbacks=[Fail(hook="on_epoch_end")])
    with pytest.raises(RuntimeError, match="boom"):
        model.fit(X, y)
    np.testing.assert_array_equal(values(model), before)


HOOKS = ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_leaves_a_usable_model(hook, solver):
    if (solver, hook) == ("lbfgs", "on_batch_end"):
        pytest.skip("lbfgs has no batches")
    model = MLPClassifier(
        (5,), solver=solver, max_iter=3, callbacks=[Fail(KeyboardInterrupt, hook)]
    )
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert model.predict(X).shape == (150,)
    assert model.n_iter_ == {"on_epoch_end": 1, "on_train_end": 3}.get(hook, 0)
    assert len({len(column) for column in model.history_.values()}) == 1


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupt_in_the_first_epoch_keeps_the_model_that_was_there(warm_start):
    model = MLPClassifier((5,), max_iter=3, random_state=0, warm_start=warm_start).fit(X, y)
    before = values(model).copy()
    model.set_params(callbacks=[Fail(KeyboardInterrupt)])
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    np.testing.assert_array_equal(values(model), before)
    assert (model.n_iter_, len(model.loss_curve_)) == (3, 3)


def test_an_interrupt_with_early_stopping_restores_the_best_epoch():
    class Interrupt(Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 3:
                raise KeyboardInterrupt

    scores = iter([0.1, 0.9, 0.2])
    model = MLPClassifier(
        early_stopping=True, scoring=lambda *_: next(scores), callbacks=[Interrupt()]
    )
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert (model.n_iter_, model.best_iter_) == (3, 2)


SAME = [
    ("activation", ["relu"]),
    ("activation", ("relu",)),
    ("activation", ReLU()),
    ("hidden_layer_sizes", 5),
    ("hidden_layer_sizes", [5]),
    ("hidden_layer_sizes", np.array([5])),
]


@pytest.mark.parametrize(("name", "value"), SAME)
def test_the_same_architecture_in_other_words(name, value):
    model = MLPClassifier((5,), warm_start=True, max_iter=1).fit(X, y)
    model.set_params(**{name: value}).fit(X, y)
