"""A simulation of data-parallel training, from the seconds of steps and the speed of networks.

The assumptions:

- Every worker has one thread, which is as fast as the one that was measured.
- A batch is drawn from all rows, which lie on the workers in equal shares. So the rows of a batch
  on the workers are multivariate hypergeometric, and the slowest worker has the largest number.
- The workers average their gradients by a ring: 2 (n - 1) messages of 1 / n of the vector, each of
  which takes the latency, and its bytes divided by the bandwidth. They add (n - 1) / n of the
  vector. Communication does not overlap with computation, and no two messages share a line.
- With local steps, each worker has batches of its own, of equal size, and averages weights and
  both slots of Adam, three vectors, every k steps.
- Nothing else takes time: no code of Python between the parts, no validation, no failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.scale.nets import Cost, Net
from benchmarks.table import markdown

WORKERS = (1, 2, 8, 64, 512)
N_ROWS = 1 << 20  # in the whole data set
N_DRAWS = 100
# The numbers of workers among which the largest useful one is looked for.
CANDIDATES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
N_VECTORS = 3  # of a state that local steps average: weights and both slots of Adam
LOCAL_STEPS = (10, 100)


@dataclass(frozen=True)
class Link:
    """A network between machines."""

    name: str
    bytes_a_second: float
    latency: float

    def all_reduce(self, n_workers: int, n_bytes: float) -> float:
        """Return the seconds in which a ring of workers adds up vectors of this size."""
        n = n_workers
        return 2 * (n - 1) * self.latency + 2 * (n - 1) / n * n_bytes / self.bytes_a_second


LINKS = (
    Link("1 Gbit/s, 200 µs", 1e9 / 8, 200e-6),
    Link("10 Gbit/s, 50 µs", 1e10 / 8, 50e-6),
    Link("100 Gbit/s, 5 µs", 1e11 / 8, 5e-6),
)


@cache
def largest_share(batch_size: int, n_workers: int) -> float:
    """Return the expected number of rows of a batch on the worker that has most of them."""
    if n_workers == 1:
        return batch_size
    rng = np.random.default_rng(0)
    held = np.full(n_workers, N_ROWS // n_workers)
    shares = rng.multivariate_hypergeometric(held, batch_size, N_DRAWS, method="marginals")
    return float(shares.max(axis=1).mean())


def step(net: Net, cost: Cost, link: Link, n_workers: int, batch_size: int) -> float:
    """Return the seconds of a synchronous step on a batch of all workers."""
    seconds = cost.of_pass(largest_share(batch_size, n_workers)) + cost.of_update
    return seconds + _averaging(net, cost, link, n_workers, 1)


def local_step(net: Net, cost: Cost, link: Link, n_workers: int, n_rows: float, k: int) -> float:
    """Return the seconds of one of k local steps of every worker on n_rows rows of its own."""
    seconds = cost.of_pass(n_rows) + cost.of_update
    return seconds + _averaging(net, cost, link, n_workers, N_VECTORS) / k


def _averaging(net: Net, cost: Cost, link: Link, n_workers: int, n_vectors: int) -> float:
    n_bytes = n_vectors * net.n_bytes
    additions = (n_workers - 1) / n_workers * n_bytes * cost.of_byte
    return link.all_reduce(n_workers, n_bytes) + additions


def speed_ups(
    net: Net, cost: Cost, link: Link, *, weak: bool = False, k: int | None = None
) -> list[float]:
    """Return how many times as many rows as one worker each number of workers trains a second.

    The batch of all workers has the rows of `net.batch_size`; if weak, that of each worker. If k is
    given, the workers do local steps. Local batches have at least one row, so more workers than
    rows are NaN.
    """
    B, found = net.batch_size, []
    alone = (cost.of_pass(B) + cost.of_update) / B
    for n in WORKERS:
        batch_size = n * B if weak else B
        if k is None:
            seconds = step(net, cost, link, n, batch_size)
        elif batch_size < n:
            found.append(np.nan)
            continue
        else:
            seconds = local_step(net, cost, link, n, batch_size / n, 1 if n == 1 else k)
        found.append(alone * batch_size / seconds)
    return found


def limits(net: Net, cost: Cost, link: Link, efficiency: float = 0.5) -> tuple[int, int, float]:
    """Return numbers of workers, for synchronous steps on the net's batch, and a speed-up.

    The first number is the largest that is still this efficient, the second is the fastest.
    """
    alone = cost.of_pass(net.batch_size) + cost.of_update
    ups = {n: alone / step(net, cost, link, n, net.batch_size) for n in CANDIDATES}
    fastest = max(ups, key=ups.__getitem__)
    return max(n for n, up in ups.items() if up >= efficiency * n), fastest, ups[fastest]


# Tables -------------------------------------------------------------------------------------------


def render_costs(costs: dict[Net, Cost]) -> str:
    """Return a table of the measured seconds."""
    header = ["network", "weights", "µs of a pass", "µs of a row", "µs of Adam", "error"]
    rows = [
        [
            str(net),
            f"{net.n_weights:,}",
            f"{1e6 * cost.of_step:.0f}",
            f"{1e6 * cost.of_row:.2f}",
            f"{1e6 * cost.of_update:.0f}",
            f"{100 * cost.error:.0f}%",
        ]
        for net, cost in costs.items()
    ]
    return markdown(header, rows)


def render_speed_ups(net: Net, cost: Cost, *, weak: bool) -> str:
    """Return a table of a network: one row for each link and number of local steps."""
    header = ["link", "steps averaged", *(f"{n} workers" for n in WORKERS[1:])]
    rows = []
    for link in LINKS:
        for k in (None, *LOCAL_STEPS):
            ups = speed_ups(net, cost, link, weak=weak, k=k)[1:]
            how = "every one" if k is None else f"every {k}"
            rows.append([link.name, how, *map(_cell, WORKERS[1:], ups)])
    return markdown(header, rows)


def _cell(n_workers: int, speed_up: float) -> str:
    if np.isnan(speed_up):
        return "-"
    digits = 1 if speed_up < 9.95 else 0
    return f"{speed_up:.{digits}f} x, {100 * speed_up / n_workers:.0f}%"


def render_limits(costs: dict[Net, Cost]) -> str:
    """Return a table of the useful numbers of workers."""
    header = ["network", "batch", *(link.name for link in LINKS)]
    rows = []
    for net, cost in costs.items():
        found = [limits(net, cost, link) for link in LINKS]
        cells = [f"{half}; {up:.1f} x with {fastest}" for half, fastest, up in found]
        rows.append([str(net), f"{net.batch_size:,}", *cells])
    return markdown(header, rows)


def tables(costs: dict[Net, Cost]) -> Sequence[str]:
    """Return all tables of the simulation, each with a line that introduces it."""
    parts = [render_costs(costs)]
    for net, cost in costs.items():
        for weak in (False, True):
            whose = "of each worker" if weak else "of all workers together"
            title = f"{net}, batch {net.batch_size:,} {whose}: speed-up, efficiency"
            parts.append(f"{title}\n\n{render_speed_ups(net, cost, weak=weak)}")
    parts.append(
        "Synchronous steps, with this batch of all workers: the most workers that are at least "
        f"half efficient; the largest speed-up, and its workers\n\n{render_limits(costs)}"
    )
    return parts
