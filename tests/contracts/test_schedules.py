"""Every schedule: from progress alone to a rate."""

import pickle

import numpy as np
from sklearn.base import clone

from contract_cases import SCHEDULE_CASES
from contract_tools import each
from skdeep.schedules import Progress


def started(make):
    schedule = make()
    schedule.check()
    schedule.reset()
    return schedule


def rates(schedule, initial=0.1, n_epochs=25, steps=4):
    """Return the rate at every step of a run."""
    progress = [
        Progress(epoch + step / steps, n_epochs, 100 * epoch, epoch == 0)
        for epoch in range(n_epochs)
        for step in range(steps)
    ]
    return np.array([schedule.rate(initial, p) for p in progress])


class TestSchedules:
    @each(SCHEDULE_CASES)
    def test_a_rate_is_a_number_from_0_to_the_initial_rate(self, make):
        schedule = started(make)
        assert isinstance(schedule.rate(0.1, Progress(1.5, 25, 100, False)), float)
        run = rates(started(make))
        assert (run >= 0).all()
        assert (run <= 0.1 * (1 + 1e-12)).all()
        # The first step is not lost, but for the one whose formula begins at 0.
        starts_at_0 = "CosineLog" in repr(schedule) or "cosine_log" in repr(schedule)
        assert run[0] > 0 or starts_at_0

    @each(SCHEDULE_CASES)
    def test_rates_grow_with_the_initial_rate(self, make):
        np.testing.assert_allclose(
            3 * rates(started(make), 0.1), rates(started(make), 0.3), rtol=1e-12
        )

    @each(SCHEDULE_CASES)
    def test_the_same_progress_gives_the_same_rate(self, make):
        schedule = started(make)
        run = rates(schedule)
        np.testing.assert_array_equal(rates(schedule), run)
        np.testing.assert_array_equal(rates(pickle.loads(pickle.dumps(schedule))), run)
        np.testing.assert_array_equal(rates(started(lambda: clone(schedule))), run)

    @each(SCHEDULE_CASES)
    def test_reset_forgets_an_earlier_run(self, make):
        schedule = started(make)
        run = rates(schedule)
        schedule.on_plateau(0.1)
        schedule.reset()
        np.testing.assert_array_equal(rates(schedule), run)

    @each(SCHEDULE_CASES)
    def test_a_rate_for_epochs_does_not_change_within_one(self, make):
        schedule = started(make)
        by_epoch = rates(schedule).reshape(-1, 4)
        assert schedule.every_step or (by_epoch == by_epoch[:, :1]).all()

    @each(SCHEDULE_CASES)
    def test_a_plateau_stops_or_lowers_the_rate(self, make):
        schedule = started(make)
        late = Progress(20.0, 25, 2000, False)
        before = schedule.rate(0.1, late)
        answer = schedule.on_plateau(0.1)
        after = schedule.rate(0.1, late)
        assert (answer is None and after == before) or (answer and after < before)
