"""The weights of members in the mean."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skdeep.tabular import weights

RNG = np.random.default_rng(0)


def squared_error(w, P, y, weight):
    return np.average(((np.tensordot(w, P, 1) - y) ** 2).sum(axis=1), weights=weight)


@pytest.mark.parametrize("weight", [None, RNG.random(2000)])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_weights_of_numbers_are_close_to_the_best(weight, n_outputs):
    y = RNG.normal(size=(2000, n_outputs))
    P = y + RNG.normal(size=(3, 2000, n_outputs)) * np.array([0.1, 0.2, 1.0]).reshape(3, 1, 1)
    found = weights.for_numbers(P, y, weight)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    best = minimize(lambda v: squared_error(np.exp(v) / np.exp(v).sum(), P, y, weight), np.zeros(3))
    assert squared_error(found, P, y, weight) < 1.1 * best.fun
    assert found[0] > found[1] > found[2]


def test_weights_of_probabilities_are_close_to_the_best():
    L = np.log(RNG.uniform(0.05, 1, size=(3, 1000)) * np.array([[1.0], [0.8], [0.3]]))
    found = weights.for_probabilities(L, None)
    assert found.sum() == pytest.approx(1)

    def minus_log(w):
        return -np.log(w @ np.exp(L)).mean()

    best = minimize(lambda v: minus_log(np.exp(v) / np.exp(v).sum()), np.zeros(3))
    assert minus_log(found) < best.fun + 0.01
    doubled = weights.for_probabilities(L, np.full(1000, 2.0))
    np.testing.assert_allclose(doubled, found)
    half = np.repeat([1.0, 0.0], 500)
    np.testing.assert_allclose(
        weights.for_probabilities(L, half), weights.for_probabilities(L[:, :500], None), atol=0.05
    )


def test_few_rows_say_little():
    y = RNG.normal(size=(3, 1))
    P = y + np.array([0.1, 1.0]).reshape(2, 1, 1)
    assert weights.for_numbers(P, y, None).min() > 0.05
    assert weights.for_probabilities(np.log([[0.9] * 3, [0.1] * 3]), None).min() > 0.3


@pytest.mark.parametrize(
    ("errors", "kinds", "expected"),
    [
        ([1.0, 1.0, 1.0, 1.0], [0, 1, 0, 1], [0.25] * 4),
        ([1.0, 4.0, 1.0, 4.0], [0, 1, 0, 1], [0.5, 0.0, 0.5, 0.0]),
        ([4.0, 1.0, 4.0], [0, 1, 0], [0.0, 1.0, 0.0]),
        ([1.0, 9.0], [0, 0], [0.5, 0.5]),
        ([0.0, 1.0], [0, 1], [0.5, 0.5]),
    ],
)
def test_weights_of_folds(errors, kinds, expected):
    of_rows = [np.full(50, error) for error in errors]
    found = weights.for_folds(of_rows, np.array(kinds))
    np.testing.assert_allclose(found, expected)


def test_perfect_members_and_single_ones():
    y = np.ones((5, 1))
    np.testing.assert_array_equal(weights.for_numbers(np.ones((2, 5, 1)), y, None), [0.5, 0.5])
    np.testing.assert_array_equal(weights.for_numbers(np.zeros((1, 5, 1)), y, None), [1.0])
    np.testing.assert_allclose(weights.for_probabilities(np.zeros((1, 5)), None), [1.0])
