"""Placement: which worker trains on which chunks. Chunks stay where they are, if rows are even."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

# A move has to shorten the longest share by this part of an even share.
_LEAST_GAIN = 0.02

Placement = dict[str, list[int]]


def place(
    n_rows: Sequence[int], holders: Sequence[Collection[str]], workers: Sequence[str]
) -> Placement:
    """Return the positions of the chunks of each worker; a worker without rows is left out.

    A chunk stays with a worker that holds it. If the rows are uneven then, chunks move: a step of
    training takes as long as the worker with the most rows.

    Parameters
    ----------
    n_rows : sequence of int
        The number of rows of each chunk.
    holders : sequence of collections of str
        The workers that hold a chunk in memory; there may be none.
    workers : sequence of str
    """
    chunks: Placement = {worker: [] for worker in workers}
    loads = dict.fromkeys(workers, 0)
    # A chunk with a single holder has no choice, and a large chunk has little.
    own = [[worker for worker in workers if worker in held] for held in holders]
    order = sorted(range(len(n_rows)), key=lambda i: (len(own[i]) or len(workers) + 1, -n_rows[i]))
    for i in order:
        worker = min(own[i] or workers, key=loads.__getitem__)
        chunks[worker].append(i)
        loads[worker] += n_rows[i]
    _even_out(chunks, loads, n_rows)
    return {worker: sorted(some) for worker, some in chunks.items() if loads[worker]}


def _even_out(chunks: Placement, loads: dict[str, int], n_rows: Sequence[int]) -> None:
    """Move chunks from the worker with the most rows while this shortens its share."""
    least = _LEAST_GAIN * sum(n_rows) / len(loads)
    while True:
        most, fewest = max(loads, key=loads.__getitem__), min(loads, key=loads.__getitem__)
        gap = loads[most] - loads[fewest]
        best = min(chunks[most], key=lambda i: abs(gap / 2 - n_rows[i]), default=None)
        if best is None or min(n_rows[best], gap - n_rows[best]) <= least:
            return
        chunks[most].remove(best)
        chunks[fewest].append(best)
        loads[most] -= n_rows[best]
        loads[fewest] += n_rows[best]


def longest_share(placement: Mapping[str, Sequence[int]], n_rows: Sequence[int]) -> float:
    """Return the share of the rows that the worker with the most rows has."""
    return max(sum(n_rows[i] for i in some) for some in placement.values()) / sum(n_rows)


def rows_to_move(
    placement: Mapping[str, Sequence[int]],
    n_rows: Sequence[int],
    holders: Sequence[Collection[str]],
) -> int:
    """Return the number of rows that a placement copies to other workers."""
    return sum(
        n_rows[i] for worker, some in placement.items() for i in some if worker not in holders[i]
    )
