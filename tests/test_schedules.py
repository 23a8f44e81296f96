"""Schedules: what their formulas in the reference tests do not say."""

import math

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.schedules import (
    SCHEDULES,
    Adaptive,
    Cosine,
    CosineRestarts,
    InverseScaling,
    Linear,
    OneCycle,
    Piecewise,
    Polynomial,
    Progress,
    Schedule,
    Step,
    Warmup,
    WarmupCosine,
)


def at(schedule, epoch, n_epochs=20, initial=1.0, **progress):
    return schedule.rate(initial, Progress(epoch, n_epochs, **progress))


def ready(schedule):
    schedule.check()
    schedule.reset()
    return schedule


@pytest.mark.parametrize(
    ("epoch", "n_epochs", "fraction"),
    [(0, 10, 0.0), (2.5, 10, 0.25), (10, 10, 1.0), (15, 10, 1.0), (0, 0, 0.0), (1, 1, 1.0)],
)
def test_progress_is_a_share_of_the_whole(epoch, n_epochs, fraction):
    assert Progress(epoch, n_epochs).fraction == fraction


@pytest.mark.parametrize(
    "schedule",
    [Linear(0.1), Polynomial(2, 0.1), Cosine(0.1), OneCycle(end=0.1), WarmupCosine(end=0.1)],
    ids=str,
)
def test_a_schedule_over_all_of_training_ends_at_its_end_and_stays(schedule):
    for epoch in (20, 21, 100):
        assert at(schedule, epoch) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["one_cycle", "warmup_cosine"])
def test_a_warmup_goes_up_to_the_initial_rate_and_then_down(name):
    rates = [at(SCHEDULES[name](), epoch, 100) for epoch in range(101)]
    top = int(np.argmax(rates))
    assert 0 < top < 50
    assert rates[top] == pytest.approx(1.0)
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()


def test_restarts_come_after_growing_periods():
    schedule = CosineRestarts(2, 3.0, 0.1)
    rates = np.array([at(schedule, epoch / 8) for epoch in range(8 * 26)])
    assert (np.flatnonzero(np.diff(rates) > 0) + 1).tolist() == [16, 64]
    assert rates[[0, 16, 64]] == pytest.approx(1.0)


def test_invscaling_starts_every_fit_at_the_initial_rate():
    schedule = InverseScaling(0.5)
    assert at(schedule, 0, rows=99, fresh=True) == 1.0
    assert at(schedule, 0, rows=99, fresh=False) == pytest.approx(0.1)


@pytest.mark.parametrize(("epoch", "factor"), [(2.99, 1), (3, 0.5), (5.99, 0.5), (6.0, 0.25)])
def test_step_drops_at_the_beginning_of_an_epoch(epoch, factor):
    assert at(Step(0.5, 3), epoch) == factor


def test_adaptive_divides_on_every_plateau_and_stops_below_its_least_rate():
    schedule = ready(Adaptive(10, 0.005))
    rates, answers = [at(schedule, 0)], []
    for _ in range(5):
        answers.append(schedule.on_plateau(1.0))
        rates.append(at(schedule, 1))
    assert rates == pytest.approx([1, 0.1, 0.01, 0.001, 0.001, 0.001])
    assert [answer is None for answer in answers] == [False, False, False, True, True]
    assert answers[0] == "Setting learning rate to 0.100000"
    schedule.reset()
    assert at(schedule, 0, initial=0.3) == 0.3


@pytest.mark.parametrize("name", sorted(SCHEDULES.keys() - {"adaptive"}))
def test_only_adaptive_has_an_answer_to_a_plateau(name):
    assert ready(SCHEDULES[name]()).on_plateau(0.1) is None


def test_piecewise_changes_at_its_boundaries():
    schedule = ready(Piecewise((1, 4), (1.0, 0.5, 2.0)))
    rates = [at(schedule, epoch) for epoch in (0, 0.9, 1, 3.9, 4, 50)]
    assert rates == [1.0, 1.0, 0.5, 0.5, 2.0, 2.0]
    assert at(ready(Piecewise([], [0.5])), 3) == 0.5


@pytest.mark.parametrize(
    ("boundaries", "factors", "words"),
    [
        ((1, 2), (1.0, 0.5), "do not fit; give one factor more than boundaries"),
        ((), (), "do not fit"),
        (3, (1.0, 0.5), "do not fit"),
        ((2, 1), (1.0, 0.5, 0.1), "must grow"),
        ((1, 1), (1.0, 0.5, 0.1), "must grow"),
        ((1, 2), (1.0, -0.5, 0.1), "must not be negative"),
    ],
)
def test_piecewise_names_what_does_not_fit(boundaries, factors, words):
    with pytest.raises(InvalidParameterError, match=words):
        Piecewise(boundaries, factors).check()


def test_warmup_raises_another_schedules_rate():
    schedule = ready(Warmup(Step(0.5, 2), epochs=4, start=0.2))
    rates = [at(schedule, epoch) for epoch in (0, 1, 2, 4, 10)]
    assert rates == pytest.approx([0.2, 0.4, 0.5 * 0.6, 0.25, 0.5**5])


def test_warmup_passes_plateaus_and_resets_on():
    schedule = ready(Warmup(Adaptive(10), epochs=1, start=1.0))
    assert at(schedule, 5) == 1.0
    assert schedule.on_plateau(1.0)
    assert at(schedule, 6) == pytest.approx(0.1)
    schedule.reset()
    assert at(schedule, 0) == 1.0


def test_warmup_never_changes_the_schedule_it_was_given():
    inner = Adaptive()
    schedule = ready(Warmup(inner))
    at(schedule, 0)
    schedule.on_plateau(1.0)
    assert vars(inner) == vars(Adaptive())


def test_parameters_of_the_schedule_within_are_reachable():
    schedule = Warmup(Step(0.5, 2)).set_params(schedule__factor=0.1)
    assert at(ready(schedule), 10) == pytest.approx(0.1**5)


@pytest.mark.parametrize("inner", [None, "cosin", 3, Step])
def test_warmup_names_a_schedule_that_is_none(inner):
    with pytest.raises(InvalidParameterError, match=r"Warmup schedule=.*(unknown|allowed|class)"):
        Warmup(inner).check()


def test_a_schedule_of_the_users_own():
    class Sawtooth(Schedule):
        every_step = True

        def rate(self, initial, progress):
            return initial * (1 - math.fmod(progress.epoch, 1))

    assert at(ready(Sawtooth()), 3.25) == 0.75
    assert at(ready(Warmup(Sawtooth(), epochs=5, start=0.0)), 2.5) == pytest.approx(0.25)
