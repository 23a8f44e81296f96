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


def as_figures(monitor, figure):
    """Return what an epoch has: a score, or (score, validation loss), or a training loss."""
    if not monitor.watches_score:
        return {"loss": figure}
    score, val_loss = figure if isinstance(figure, tuple) else (figure, 0.0)
    return {"loss": 0.0, "val_score": score, "val_loss": val_loss}


def watch(monitor, figures, weights):
    """Show an epoch a figure, the weights numbered as the epochs; return when it is a plateau."""
    plateaus = []
    for epoch, figure in enumerate(figures, 1):
        weights.values[:] = epoch
        monitor.update(as_figures(monitor, figure), epoch, [weights.values])
        plateaus.append(monitor.plateau)
    return plateaus


# tol, patience, losses -> whether there is a plateau after each epoch, the best, its epoch
LOSSES = {
    "falling": (0.0, 1, [3, 2, 1], [0, 0, 0], 1, 3),
    "rising": (0.0, 1, [1, 2, 3, 4], [0, 0, 1, 1], 1, 1),
    "patience 2": (0.0, 2, [1, 2, 2, 2], [0, 0, 0, 1], 1, 1),
    "constant without tol": (0.0, 1, [1, 1, 1, 1], [0, 0, 0, 0], 1, 1),
    "constant with tol": (0.1, 1, [1, 1, 1, 1], [0, 0, 1, 1], 1, 1),
    # each epoch is measured against the best, not against the one before
    "slow fall": (0.1, 2, [1, 0.96, 0.92, 0.88, 0.84], [0, 0, 0, 1, 1], 0.84, 5),
    "just enough": (0.25, 1, [1, 0.75, 0.5], [0, 0, 0], 0.5, 3),
    "recovers": (0.1, 1, [1, 2, 0.5, 2, 2], [0, 0, 0, 0, 1], 0.5, 3),
    "infinite patience": (0.1, INF, [1] * 50, [0] * 50, 1, 1),
    "NaN": (0.0, 1, [1, NAN, NAN], [0, 0, 1], 1, 1),
}


@pytest.mark.parametrize(
    ("tol", "patience", "losses", "plateaus", "best", "best_epoch"), LOSSES.values(), ids=LOSSES
)
def test_watches_the_loss(tol, patience, losses, plateaus, best, best_epoch, weights):
    monitor = Monitor(tol, patience, watches_score=False)
    assert watch(monitor, losses, weights) == [bool(p) for p in plateaus]
    assert (monitor.best, monitor.best_epoch) == (best, best_epoch)
    assert monitor.take_best() is None  # weights are kept by their score only
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
    (best_values,) = monitor.take_best()
    assert (best_values == best_epoch).all()
    assert monitor.take_best() is None  # once


# (score, validation loss) an epoch -> plateaus, the best epoch: tol 0.1, patience 1
BOTH = {
    "either may improve": ([(0.5, 3), (0.5, 2), (0.5, 1), (0.7, 1), (0.7, 0.5)], [0] * 5, 5),
    "neither does": ([(0.5, 1), (0.55, 0.95), (0.5, 2), (0.5, 2)], [0, 0, 1, 1], 2),
    "ties by the loss": ([(0.5, 1), (0.5, 0.98), (0.5, 0.99)], [0, 0, 1], 2),
    "the score comes first": ([(0.5, 1), (0.8, 4), (0.7, 0.5)], [0, 0, 0], 2),
    # the loss that decides a tie is that of the best epoch, not the lowest so far
    "a tie with a worse epoch": ([(0.5, 1), (0.8, 4), (0.8, 3)], [0, 0, 0], 3),
    "no loss is a number": ([(0.5, NAN), (0.5, NAN), (0.5, NAN)], [0, 0, 1], 1),
    "an infinite loss": ([(0.5, INF), (0.5, INF), (0.5, INF)], [0, 0, 1], 1),
    "a loss that becomes finite": ([(0.5, INF), (0.5, INF), (0.5, 9)], [0, 0, 0], 3),
}


@pytest.mark.parametrize(("figures", "plateaus", "best_epoch"), BOTH.values(), ids=BOTH)
def test_heeds_the_loss_beside_the_score(figures, plateaus, best_epoch, weights):
    monitor = Monitor(0.1, 1, watches_score=True, heeds_loss=True)
    assert watch(monitor, figures, weights) == [bool(p) for p in plateaus]
    assert (monitor.best_epoch, monitor.best) == (best_epoch, figures[best_epoch - 1][0])
    (best_values,) = monitor.take_best()
    assert (best_values == best_epoch).all()


def test_says_that_the_score_is_settled_while_the_loss_still_falls(weights):
    monitor = Monitor(0.1, 1, watches_score=True, heeds_loss=True)
    seen = []
    for figures in [(0.5, 3), (0.5, 2), (0.5, 1), (0.7, 0.8), (0.7, 0.6)]:
        watch(monitor, [figures], weights)
        seen.append((monitor.plateau, monitor.score_is_settled))
    assert seen == [(False, settled) for settled in (False, False, True, False, False)]


def test_a_score_that_the_user_names_counts_alone(weights):
    monitor = Monitor(0.1, 1, watches_score=True)
    figures = [(0.5, 3), (0.5, 2), (0.5, 1)]
    assert watch(monitor, figures, weights) == [False, False, True]
    assert monitor.best_epoch == 1


def test_the_first_of_equal_scores_is_the_best(weights):
    monitor = Monitor(0.0, 5, watches_score=True)
    watch(monitor, [0.5, 0.9, 0.9, 0.9], weights)
    assert monitor.best_epoch == 2


def test_nothing_was_kept_where_no_score_was_a_number(weights):
    monitor = Monitor(0.0, 1, watches_score=True)
    assert watch(monitor, [NAN, NAN], weights) == [False, True]
    assert monitor.best_epoch is None
    assert monitor.take_best() is None


def test_forgive_begins_to_count_anew(weights):
    monitor = Monitor(0.1, 1, watches_score=False)
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
    monitor.start_from(0.0, score, 7, [weights.values])
    watch(monitor, [later], weights)
    assert monitor.best_epoch == best_epoch
    (best_values,) = monitor.take_best()
    assert (best_values == best_epoch).all()


def test_a_monitor_of_the_loss_does_not_start_from_a_score(weights):
    monitor = Monitor(0.0, 5, watches_score=False)
    monitor.start_from(0.1, 0.9, 7, [weights.values])
    assert monitor.best == INF
    assert monitor.take_best() is None


@pytest.mark.parametrize(
    ("watches_score", "what"), [(True, "Validation score"), (False, "Training loss")]
)
def test_message_says_what_the_plateau_is(watches_score, what):
    message = Monitor(1e-4, 10, watches_score).message()
    assert message == f"{what} did not improve more than tol=0.000100 for 10 consecutive epochs."


def test_watches_like_another_with_the_same_settings():
    monitor = Monitor(0.1, 5, False)
    assert monitor.watches_like(Monitor(0.1, 5, False))
    others = (0.2, 5, False), (0.1, 6, False), (0.1, 5, True), (0.1, 5, False, True)
    for other in others:
        assert not monitor.watches_like(Monitor(*other))


def test_the_kept_weights_are_a_copy(weights):
    monitor = Monitor(0.0, 5, watches_score=True)
    watch(monitor, [0.9, 0.1, 0.2], weights)
    (kept,) = monitor.best_vectors
    assert not np.shares_memory(kept, weights.values)
    watch(monitor, [0.95], weights)
    assert monitor.best_vectors[0] is kept  # one copy, made once


def test_all_vectors_of_the_best_epoch_are_kept():
    monitor = Monitor(0.0, 5, watches_score=True)
    shown, raw = np.zeros(2), np.zeros(2)
    for epoch, score in enumerate([0.1, 0.9, 0.2], 1):
        shown[:], raw[:] = epoch, -epoch
        monitor.update({"val_score": score, "val_loss": 0.0}, epoch, [shown, raw][:epoch])
    assert [vector.tolist() for vector in monitor.take_best()] == [[2, 2], [-2, -2]]
