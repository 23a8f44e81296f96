"""The rows of a member, and its rows of each batch: together, they are those of `Batches`."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from fleet import cut, positions_of

from skdeep.distributed.members.ring import Ring
from skdeep.distributed.members.shards import ShardBatches, Shards
from skdeep.distributed.members.share import Share
from skdeep.training.batches import Batches, DenseTargets

RNG = np.random.default_rng(0)
X = RNG.standard_normal((53, 4))
X[X < 0.3] = 0
Y = X[:, :2] * 10
WEIGHT = RNG.uniform(size=53)
SIZES = {
    "one chunk": [(0, None)],
    "two members": [(0, 30), (1, None)],
    "many chunks": [(0, 3), (1, 9), (0, 0), (0, 20), (2, 1), (1, None)],
    "members that have few rows": [(0, 1), (1, 1), (2, None)],
}
ROWS_TO_TRAIN_ON = {"all": None, "some": RNG.permutation(53)[:31]}


def share_of_one():
    return Share(Ring(0, [("127.0.0.1", 1)], None, ""))


def batches_of_all(kind, sizes, *, seed=0, batch_size=8, rows=None, sparse=False):
    """Return the batches of all rows, and those of each member."""

    def rng():
        return None if seed is None else np.random.default_rng(seed)

    given = KINDS[kind](X)
    options = {"sparse": sparse, "rows": rows}
    every = Batches(
        given.astype(X.dtype), DenseTargets(Y), WEIGHT, batch_size, rng(), X.dtype, **options
    )
    members = []
    for chunks, starts in zip(*cut(given, sizes), strict=True):
        own = positions_of(chunks, starts)
        parts = DenseTargets(Y[own]), WEIGHT[own], batch_size, rng(), X.dtype, share_of_one()
        members.append(ShardBatches(Shards(chunks, starts, len(X)), *parts, **options))
    return every, members


def at_an_odd_address(A):
    """Return an array that is not aligned, as those that Dask has received."""
    room = np.empty(A.nbytes + 1, np.uint8)[1:]
    unaligned = room.view(A.dtype).reshape(A.shape)
    unaligned[:] = A
    return unaligned


def dense(A):
    return np.array(A if isinstance(A, np.ndarray) else A.toarray())


KINDS = {
    "array": np.array,
    "float32": np.float32,
    "in columns": np.asfortranarray,
    "at an odd address": at_an_odd_address,
    "CSR matrix": sp.csr_matrix,
    "CSR array of float32": lambda X: sp.csr_array(X.astype(np.float32)),
}


@pytest.mark.parametrize("rows", ROWS_TO_TRAIN_ON)
@pytest.mark.parametrize("seed", [0, None], ids=["shuffled", "in order"])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_all_members_are_the_batch(kind, sizes, seed, rows):
    rows = ROWS_TO_TRAIN_ON[rows]
    every, members = batches_of_all(kind, SIZES[sizes], seed=seed, rows=rows)
    for _ in range(2):  # epochs
        assert len(every) == len(members[0])
        order = [[] for _ in members]
        for whole, *parts in zip(every, *members, strict=True):
            found = [np.full_like(dense(A), np.nan) for A in whole]
            for member, part, positions in zip(members, parts, order, strict=True):
                share = member.share
                assert share.n_rows == whole[0].shape[0]
                assert share.weight == share.n_own / share.n_rows
                assert len(share.positions) == part[0].shape[0] == max(share.n_own, 1)
                for A, own in zip(found, part, strict=True):
                    A[share.positions[: share.n_own]] = dense(own)[: share.n_own]
                positions.append(np.where(share.n_own, share.positions, -1))
            for A, expected in zip(found, whole, strict=True):
                np.testing.assert_array_equal(A, dense(expected))
        in_order = np.arange(53) if every.order is None else every.order
        for member, positions in zip(members, order, strict=True):
            starts = np.repeat(np.arange(len(every)) * 8, [len(p) for p in positions])
            places = np.concatenate(positions)
            expected = np.where(places < 0, -1, in_order[(places + starts) % len(in_order)])
            np.testing.assert_array_equal(member.order, expected)


@pytest.mark.parametrize("seed", [0, None])
def test_inputs_draw_no_random_numbers_of_the_epochs(seed):
    every, members = batches_of_all("array", SIZES["many chunks"], seed=seed)
    for whole, *parts in zip(every.inputs(), *(m.inputs() for m in members), strict=True):
        found = np.full_like(whole, np.nan)
        for member, part in zip(members, parts, strict=True):
            n = member.share.n_own
            found[member.share.positions[:n]] = part[:n]
        np.testing.assert_array_equal(found, whole)
    if seed is not None:
        untouched = np.random.default_rng(seed).bit_generator.state
        assert all(member.rng.bit_generator.state == untouched for member in members)


def test_sparse_batches_stay_sparse():
    _, members = batches_of_all("CSR matrix", SIZES["many chunks"], sparse=True)
    for member in members:
        for own, _, _ in member:
            assert sp.issparse(own)
            assert own.format == "csr"


@pytest.mark.parametrize("place", [np.array, at_an_odd_address])
def test_chunks_are_not_copied(place):
    chunks = [place(np.zeros((20_000, 50))), place(np.zeros((30_000, 50)))]
    tracemalloc.start()
    shards = Shards(chunks, [0, 20_000], 50_000)
    targets = DenseTargets(np.zeros((50_000, 1)))
    rng = np.random.default_rng(0)
    batches = ShardBatches(shards, targets, None, 100, rng, np.dtype(float), share_of_one())
    for _ in batches:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(a is b for a, b in zip(shards.chunks, chunks, strict=True))
    # some numbers for each row, and the buffers of a batch, but not 400 bytes for each row
    assert peak < 100 * 50_000


def test_a_member_needs_rows_and_as_many_targets():
    options = None, 8, None, np.dtype(float), share_of_one()
    with pytest.raises(ValueError, match="A member needs at least one row"):
        ShardBatches(Shards([X[:0]], [0], 53), DenseTargets(Y[:0]), *options)
    with pytest.raises(ValueError, match="10 rows need as many targets, not 53"):
        ShardBatches(Shards([X[:10]], [0], 53), DenseTargets(Y), *options)
