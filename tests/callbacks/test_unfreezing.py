"""GradualUnfreezing, and rates that differ from layer to layer."""

import numpy as np
import pytest

from skdeep import MLPClassifier, MLPRegressor
from skdeep.callbacks import Callback, GradualUnfreezing
from skdeep.layers import Dense, Residual
from skdeep.optimizers import OPTIMIZERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((100, 6))
y = X[:, 0] * X[:, 1]


class Remember(Callback):
    """Keeps the weights of every epoch, with those at the beginning."""

    def on_train_begin(self, trainer):
        self.weights = []

    def on_epoch_begin(self, trainer):
        network = trainer.network
        self.weights.append([x.kernel_.value.copy() for x in network.walk() if type(x) is Dense])


def fitted(epochs, multiplier=1.0, **options):
    """Return a model, and for every epoch which of its dense layers have changed."""
    remember = Remember()
    options = {"hidden_layer_sizes": (5, 4, 3), "max_iter": 6, "tol": 0.0, **options}
    model = MLPRegressor(
        **options, random_state=0, callbacks=[GradualUnfreezing(epochs, multiplier), remember]
    ).fit(X, y)
    after = [
        *remember.weights[1:],
        [x.kernel_.value for x in model.network_.walk() if type(x) is Dense],
    ]
    moved = [
        [bool((a != b).any()) for a, b in zip(one, other, strict=True)]
        for one, other in zip(remember.weights, after, strict=True)
    ]
    return model, np.array(moved)


def first_epochs(moved):
    """Return in which epoch each layer began to change; it never stops then."""
    firsts = [int(column.argmax()) if column.any() else None for column in moved.T]
    for column, first in zip(moved.T, firsts, strict=True):
        assert first is None or column[first:].all()
    return firsts


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (2, [None, None, 2, 0]),
        ([1, 2, 4], [4, 2, 1, 0]),
        ((4, 1), [None, 4, 1, 0]),
        ({3: "all"}, [3, 3, 3, 0]),
        ({1: 2, 5: "all"}, [5, 1, 1, 0]),
        ({0: 1}, [None, None, 0, 0]),
        ([99], [None, None, None, 0]),
        ([], [None, None, None, 0]),
        ([1, 2, 3, 4, 5], [3, 2, 1, 0]),
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"batch_norm": "after", "dropout": 0.1}], ids=["", "more"])
def test_layers_begin_to_train_from_the_top(epochs, expected, options):
    _, moved = fitted(epochs, frozen_layers=3, **options)
    assert first_epochs(moved) == expected


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_with_every_solver(solver):
    _, moved = fitted([2], frozen_layers=2, solver=solver)
    assert first_epochs(moved) == [None, 2, 0, 0]


def test_only_frozen_layers_are_counted():
    _, moved = fitted([1, 3], frozen_layers=[0, 2])
    assert first_epochs(moved) == [3, 0, 1, 0]


def test_layers_of_the_users_stack():
    layers = [Dense(5, "tanh"), Residual([Dense(5, "tanh"), Dense(5)]), Dense(4, "relu")]
    _, moved = fitted([1, 3], frozen_layers=2, layers=layers, hidden_layer_sizes=(100,))
    assert first_epochs(moved) == [3, 1, 1, 0, 0]


def test_the_rate_is_lower_every_time():
    model, _ = fitted([1, 2, 3], 0.5, frozen_layers=3)
    dense = [layer for layer in model.network_.layers if isinstance(layer, Dense)]
    assert [layer.kernel_.multiplier for layer in dense] == [0.125, 0.25, 0.5, 1.0]
    model, _ = fitted({1: "all"}, 0.1, frozen_layers=3)
    assert model.network_.layers[0].bias_.multiplier == 0.1


def test_what_trains_is_what_would_train_without_freezing():
    """Thawed before the first step, it is as if nothing had ever been frozen."""
    thawed, _ = fitted({0: "all"}, frozen_layers=3)
    free = MLPRegressor((5, 4, 3), max_iter=6, tol=0.0, random_state=0).fit(X, y)
    for one, other in zip(thawed.coefs_, free.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_best_weights_of_before_are_restored_after():
    """The vector of parameters is laid out anew while the best weights are kept."""

    class Score:
        scores = iter([3.0, 9.0, 1.0, 1.0, 1.0, 1.0])

        def __call__(self, model, X, y):
            return next(self.scores)

    remember = Remember()
    model = MLPRegressor(
        (5, 4), max_iter=6, random_state=0, frozen_layers=2, early_stopping=True, scoring=Score()
    )
    model.set_params(callbacks=[GradualUnfreezing([3, 4]), remember]).fit(X, y)
    assert model.best_iter_ == 2
    for kept, best in zip(model.coefs_, remember.weights[2], strict=True):
        np.testing.assert_array_equal(kept, best)


def test_a_warm_start_begins_with_frozen_layers_again():
    model, _ = fitted([1], frozen_layers=2)
    model.set_params(warm_start=True, callbacks=None)
    before = [W.copy() for W in model.coefs_]
    model.fit(X, y)
    changed = [(a != b).any() for a, b in zip(model.coefs_, before, strict=True)]
    assert changed == [False, False, True, True]


def test_partial_fit_counts_on():
    model = MLPRegressor(
        (5, 4), frozen_layers=2, random_state=0, callbacks=[GradualUnfreezing([2, 3])]
    )
    frozen = []
    for _ in range(5):
        model.partial_fit(X, y)
        frozen.append([layer.kernel_.frozen for layer in model.network_.layers])
    first, second = [True, True, False], [True, False, False]
    assert frozen == [first, first, second, [False] * 3, [False] * 3]


def test_an_error_in_the_middle_takes_everything_back():
    class Fail(Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 3:
                raise ZeroDivisionError

    model, _ = fitted([99], frozen_layers=2)
    expected, shown = model.predict(X), model.coefs_
    model.set_params(warm_start=True, callbacks=[GradualUnfreezing([1, 2]), Fail()])
    with pytest.raises(ZeroDivisionError):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert [layer.kernel_.frozen for layer in model.network_.layers] == [True, True, False, False]
    assert len(shown) == 4


@pytest.mark.parametrize(
    ("epochs", "options", "words"),
    [
        ([-1], {}, "GradualUnfreezing epochs=.* is not allowed"),
        (2.5, {}, "GradualUnfreezing epochs=2.5 is not allowed"),
        ("2", {}, "GradualUnfreezing epochs='2' is not allowed"),
        ({1: "some"}, {}, "GradualUnfreezing epochs=.* is not allowed"),
        ([1], {"multiplier": 0}, "multiplier=0 is not allowed"),
        ([1], {"frozen_layers": 0}, "no layer is frozen; set frozen_layers"),
        ([1], {"solver": "lbfgs"}, "solver='lbfgs' does not"),
    ],
    ids=str,
)
def test_what_is_not_allowed(epochs, options, words):
    with pytest.raises(ValueError, match=words):
        fitted(epochs, **{"frozen_layers": 1, **options})


# learning_rate_multipliers --------------------------------------------------------------------


def steps(multipliers, solver="sgd", **options):
    """Return what one step changes in each layer's weights and biases."""
    common = {"hidden_layer_sizes": (5, 4), "batch_size": 100, "alpha": 0.0, "random_state": 0}
    model = MLPRegressor(
        max_iter=1, solver=solver, learning_rate_multipliers=multipliers, **{**common, **options}
    )
    start = MLPRegressor(max_iter=1, learning_rate_init=1e-300, solver="sgd", **common).fit(X, y)
    model.fit(X, y)
    pairs = zip(model.coefs_ + model.intercepts_, start.coefs_ + start.intercepts_, strict=True)
    return [a - b for a, b in pairs]


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize(
    ("multipliers", "factors"),
    [(0.1, (0.1, 0.1, 1.0)), ([0.5, 2.0], (0.5, 2.0, 1.0)), ([0.0, 1.0, 3.0], (0.0, 1.0, 3.0))],
    ids=str,
)
def test_steps_are_multiplied(solver, multipliers, factors):
    plain, scaled = steps(1.0, solver), steps(multipliers, solver)
    for one, other, factor in zip(plain, scaled, factors * 2, strict=True):
        np.testing.assert_allclose(other, factor * one, rtol=1e-6, atol=1e-15)


def test_decay_is_multiplied_too():
    options = {"weight_decay": 0.5, "learning_rate_init": 0.1}
    plain, scaled = steps(1.0, **options), steps(0.1, **options)
    np.testing.assert_allclose(scaled[0], 0.1 * plain[0], rtol=1e-9)


def test_lbfgs_says_that_it_can_not():
    with pytest.warns(UserWarning, match="can't honour learning_rate_multipliers=0.1"):
        MLPClassifier(solver="lbfgs", learning_rate_multipliers=0.1, max_iter=2).fit(X, y > 0)


@pytest.mark.parametrize("value", [-1.0, "0.1", [1.0], [0.1, -0.1], np.nan, None])
def test_multipliers_that_are_not_allowed(value):
    with pytest.raises(ValueError, match="learning_rate_multipliers="):
        MLPRegressor((5, 4, 3), learning_rate_multipliers=value).fit(X, y)
