"""Targets of another kind than those that the model was fitted to."""

import numpy as np
import pytest

from skdeep import MLPClassifier, MLPRegressor
from skdeep.data.encoding import ClassEncoder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 4))
TWO, THREE = (X[:, 0] > 0).astype(int), np.digitize(X[:, 0], [-0.5, 0.5])
LABELS_AND_INDICATORS = [
    (TWO, np.eye(2, dtype=int)[TWO]),
    (THREE, np.eye(3, dtype=int)[THREE]),
]


def ways_to_give(model, y, other):
    """Yield ways to give a model of y targets of another kind."""
    options = {"max_iter": 3, "random_state": 0}
    yield lambda: model(**options).fit(X, y).partial_fit(X, other)
    yield lambda: model(**options, warm_start=True).fit(X, y).fit(X, other)
    yield lambda: model(**options).fit(X, y, X_val=X, y_val=other)


@pytest.mark.filterwarnings("ignore:y is an indicator matrix")
@pytest.mark.parametrize(("labels", "indicators"), LABELS_AND_INDICATORS)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_labels_and_indicators_are_not_taken_for_each_other(labels, indicators, is_reversed):
    y, other = (indicators, labels) if is_reversed else (labels, indicators)
    words = r"y is one label per row" if is_reversed else r"y is a 0/1 indicator matrix of shape"
    for give in ways_to_give(MLPClassifier, y, other):
        with pytest.raises(ValueError, match=words):
            give()


def test_a_refused_y_leaves_the_model_as_it_was():
    model = MLPClassifier(max_iter=3, random_state=0).fit(X, TWO)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="indicator matrix"):
        model.partial_fit(X, np.eye(2, dtype=int)[TWO])
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.partial_fit(X, TWO.reshape(-1, 1).ravel())


@pytest.mark.parametrize(("y", "other"), [(X[:, 0], X[:, :2]), (X[:, :2], X[:, 0])])
def test_numbers_of_another_count_of_columns(y, other):
    for give in ways_to_give(MLPRegressor, y, other):
        with pytest.raises(ValueError, match="outputs, but the model was fitted with"):
            give()


KNOWN_AND_UNSEEN = {
    "integers": ([3, 5, 9], [9, 3, 9], [3, 4, 10, 1]),
    "small integers": (np.array([0, 1], np.int8), np.array([1, 0]), np.array([2, -1])),
    "booleans": ([False, True], [1, 0], [2, 0]),
    "whole floats": ([1.0, 2.0, 7.0], np.array([7, 1], np.float32), [3.0, 8.0, 0.0]),
    "integers beside floats": ([1, 2, 7], [7.0, 1.0], [1.0, 3.0]),
    "texts": (["a", "bb"], ["bb", "a"], ["b", "c", "a", ""]),
    "texts as objects": (["a", "bb"], np.array(["bb", "a"], object), np.array(["b"], object)),
    "a single class": ([4], [4, 4], [5, 4, 3]),
}


@pytest.mark.parametrize(("classes", "known", "other"), KNOWN_AND_UNSEEN.values(), ids=str)
def test_unseen_classes(classes, known, other):
    encoder = ClassEncoder(np.asarray(classes))
    assert not len(encoder.unseen(np.asarray(known)))
    expected = sorted(set(np.asarray(other).tolist()) - set(np.asarray(classes).tolist()))
    assert encoder.unseen(np.asarray(other)).tolist() == expected


def test_numbers_are_not_classes_that_are_texts():
    with pytest.raises(ValueError, match="classes not in"):
        MLPClassifier(max_iter=1).fit(X, TWO.astype(str)).partial_fit(X, TWO)
