"""Which worker trains on which chunks."""

import numpy as np
import pytest

from skdeep.distributed.rows.placement import longest_share, place, rows_to_move

A, B, C = "a", "b", "c"


@pytest.mark.parametrize(
    ("n_rows", "holders", "workers", "expected"),
    [
        ([10, 10], [[A], [B]], [A, B], {A: [0], B: [1]}),
        ([10, 10], [[B], [A]], [A, B], {A: [1], B: [0]}),
        # Several holders: the one with fewer rows.
        ([10, 10, 10], [[A], [A, B], [A, B, C]], [A, B, C], {A: [0], B: [1], C: [2]}),
        # Nobody holds a chunk, or only a worker that has left.
        ([10, 20], [[], []], [A, B], {A: [1], B: [0]}),
        ([10, 20], [[C], [C]], [A, B], {A: [1], B: [0]}),
        # Uneven: chunks move, but no more than needed.
        ([10] * 4, [[A]] * 4, [A, B], {A: [2, 3], B: [0, 1]}),
        ([10, 10, 10], [[A], [A], [B]], [A, B], {A: [0, 1], B: [2]}),
        ([100, 1, 100], [[A], [A], [B]], [A, B], {A: [0, 1], B: [2]}),
        # A worker without rows is left out.
        ([10], [[A]], [A, B], {A: [0]}),
        ([0, 10], [[A], [B]], [A, B], {B: [1]}),
        ([5, 10], [[A], [A]], [A], {A: [0, 1]}),
    ],
)
def test_chunks_stay_unless_rows_are_uneven(n_rows, holders, workers, expected):
    found = place(n_rows, holders, workers)
    assert found == expected


@pytest.mark.parametrize("seed", range(5))
def test_every_row_has_one_worker_and_shares_are_even(seed):
    rng = np.random.default_rng(seed)
    workers = [f"w{i}" for i in range(rng.integers(1, 9))]
    n_rows = rng.integers(50, 150, 100).tolist()
    holders = [rng.choice(workers, rng.integers(0, 3)).tolist() for _ in n_rows]
    found = place(n_rows, holders, workers)
    assert sorted(i for some in found.values() for i in some) == list(range(100))
    assert longest_share(found, n_rows) * len(workers) < 1.05
    assert found == place(n_rows, holders, workers)


def test_rows_that_move_are_counted():
    placement = {A: [0, 2], B: [1]}
    assert rows_to_move(placement, [10, 20, 30], [[A], [A], [A, B]]) == 20
    assert longest_share(placement, [10, 20, 30]) == pytest.approx(40 / 60)
