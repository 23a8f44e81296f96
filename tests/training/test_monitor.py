"""The monitor: has the model stopped improving, and which epoch was the best?"""

import math

import numpy as np
import pytest

from skdeep.initializers import Constant
from skdeep.parameters import Parameter, ParameterVector
from skdeep.training.monitor import Monitor

INF, NAN = math.inf, math.nan


@pytest.fixture
def weights():
    return ParameterVector(
        [Parameter("kernel", (2, 2), Constant(0.0))], np.dtype(float), np.random.default_rng(0)
    )


def watch(monitor, figures, weights):
    """Show an epoch a figure, the weights numbered as the epochs; return when it is a plateau."""
    plateaus = []
    for epoch, figure in enumerate(figures, 1):
        weights.values[:] = epoch
        loss, score = (0.0, figure) if monitor.watches_score else (figure, None)
        monitor.update(loss, score, epoch, weights)
        plateaus.append(monitor.plateau)
    return plateaus


# tol, patience, losses -> whether there is a plateau after each epoch, the best, its epoch
LOSSES = {
    "falling": (0.0, 2, [3, 2, 1], [0, 0, 0], 1, 3),
    "rising": (0.0, 2, [1, 2, 3, 4], [0, 0, 1, 1], 1, 1),
    "patience 1": (0.0, 1, [1, 2], [0, 1], 1, 1),
    "constant without tol": (0.0, 2, [1, 1, 1, 1], [0, 0, 0, 0], 1, 1),
    "constant with tol": (0.1, 2, [1, 1, 1, 1], [0, 0, 1, 1], 1, 1),
    # each epoch is measured against the best, not against the one before
    "slow fall": (0.1, 3, [1, 0.96, 0.92, 0.88, 0.84], [0, 0, 0, 1, 1], 0.84, 5),
    "just enough": (0.25, 1, [1, 0.75, 0.5], [0, 0, 0], 0.5, 3),
    "recovers": (0.1, 2, [1, 2, 0.5, 2, 2], [0, 0, 0, 0, 1], 0.5, 3),
    "infinite patience": (0.1, INF, [1] * 50, [0] * 50, 1, 1),
    "NaN": (0.0, 2, [1, NAN, NAN], [0, 0, 1], 1, 1),
}


@pytest.mark.parametrize(
    ("tol", "patience", "losses", "plateaus", "best", "best_epoch"), LOSSES.values(), ids=LOSSES
)
def test_watches_the_loss(tol, patience, losses, plateaus, best, best_epoch, weights):
    monitor = Monitor(tol, patience, watches_score=False)
    assert watch(monitor, losses, weights) == [bool(p) for p in plateaus]
    assert (monitor.best, monitor.best_epoch) == (best, best_epoch)
    assert not monitor.restore(weights)  # weights are kept by their score only
    assert (weights.values == len(losses)).all()


@pytest.mark.parametrize(
    ("tol", "patience", "losses", "plateaus", "best", "best_epoch"), LOSSES.values(), ids=LOSSES
)
def test_watches_the_score_upside_down_and_keeps_the_best_weights(
    tol, patience, losses, plateaus, best, best_epoch, weights
):
    monitor = Monitor(tol, patience, watches_score=True)
    scores = [-loss for loss in losses]
    assert watch(monitor, scores, weights) == [bool(p) for p in plateaus]
    assert (monitor.best, monitor.best_epoch) == (-best, best_epoch)
    assert monitor.restore(weights)
    assert (weights.values == best_epoch).all()
    assert not monitor.restore(weights)  # once


def test_the_first_of_equal_scores_is_the_best(weights):
    monitor = Monitor(0.0, 5, watches_score=True)
    watch(monitor, [0.5, 0.9, 0.9, 0.9], weights)
    assert monitor.best_epoch == 2


def test_nothing_was_kept_where_no_score_was_a_number(weights):
    monitor = Monitor(0.0, 2, watches_score=True)
    assert watch(monitor, [NAN, NAN], weights) == [False, True]
    assert monitor.best_epoch is None
    assert not monitor.restore(weights)


def test_forgive_begins_to_count_anew(weights):
    monitor = Monitor(0.1, 2, watches_score=False)
    assert watch(monitor, [1, 1, 1], weights)[-1]
    monitor.forgive()
    assert not monitor.plateau
    assert watch(monitor, [1, 1], weights) == [False, True]
    assert monitor.best == 1


@pytest.mark.parametrize(
    ("score", "later", "best_epoch"), [(0.9, 0.5, 7), (0.9, 0.95, 1), (NAN, 0.5, 1), (-INF, 0.5, 1)]
)
def test_weights_from_before_count_as_the_best_so_far(score, later, best_epoch, weights):
    monitor = Monitor(0.0, 5, watches_score=True)
    weights.values[:] = 7
    monitor.start_from(score, 7, weights)
    watch(monitor, [later], weights)
    assert monitor.best_epoch == best_epoch
    assert monitor.restore(weights)
    assert (weights.values == best_epoch).all()


def test_a_monitor_of_the_loss_does_not_start_from_a_score(weights):
    monitor = Monitor(0.0, 5, watches_score=False)
    monitor.start_from(0.9, 7, weights)
    assert monitor.best == INF
    assert not monitor.restore(weights)


@pytest.mark.parametrize(
    ("watches_score", "what"), [(True, "Validation score"), (False, "Training loss")]
)
def test_message_says_what_the_plateau_is(watches_score, what):
    message = Monitor(1e-4, 10, watches_score).message()
    assert message == f"{what} did not improve more than tol=0.000100 for 10 consecutive epochs."


def test_watches_the_same():
    monitor = Monitor(0.1, 5, False)
    assert monitor.watches_the_same(Monitor(0.1, 5, False))
    for other in (Monitor(0.2, 5, False), Monitor(0.1, 6, False), Monitor(0.1, 5, True)):
        assert not monitor.watches_the_same(other)


def test_the_kept_weights_are_a_copy(weights):
    monitor = Monitor(0.0, 5, watches_score=True)
    watch(monitor, [0.9, 0.1, 0.2], weights)
    kept = monitor.best_values
    assert not np.shares_memory(kept, weights.values)
    watch(monitor, [0.95], weights)
    assert monitor.best_values is kept  # one copy, made once
