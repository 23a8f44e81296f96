"""Batches: every row once an epoch, in buffers that are made once."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep.training.batches import Batches, ClassTargets, DenseTargets

N, N_INPUTS = 23, 4
DTYPES = [np.float32, np.float64]
KINDS = {
    "dense": np.asarray,
    "Fortran order": np.asfortranarray,
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
}
SUBSETS = {"all rows": None, "some rows": np.array([20, 3, 4, 11, 0, 7, 22, 15])}


def numbers(dtype=float):
    """Return rows that can be told apart by any of X, Y and weight."""
    X = np.zeros((N, N_INPUTS), dtype)
    X[:, 0] = np.arange(1, N + 1)
    X[::3, 2] = np.arange(0, N, 3) + 0.5
    Y = np.stack([np.arange(1, N + 1), -np.arange(1, N + 1)], axis=1).astype(dtype)
    return X, Y, np.arange(1, N + 1).astype(dtype)


def make(kind="dense", batch_size=5, seed=None, dtype=float, weighted=True, **options):
    X, Y, weight = numbers(dtype)
    rng = None if seed is None else np.random.default_rng(seed)
    return Batches(
        KINDS[kind](X),
        DenseTargets(Y),
        weight if weighted else None,
        batch_size,
        rng,
        np.dtype(dtype),
        **options,
    )


def collect(batches):
    """Return copies of an epoch's batches, dense ones."""
    return [
        (X.toarray() if sp.issparse(X) else X.copy(), Y.copy(), None if w is None else w.copy())
        for X, Y, w in batches
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("batch_size", [1, 5, 23])
@pytest.mark.parametrize("rows", SUBSETS.values(), ids=SUBSETS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_comes_once_with_its_target_and_weight(
    kind, rows, batch_size, seed, sparse, dtype
):
    batches = make(kind, batch_size, seed, dtype, sparse=sparse, rows=rows)
    X, Y, _ = numbers(dtype)
    chosen = np.arange(N) if rows is None else rows
    assert batches.n_rows == len(chosen)
    for _ in range(2):
        epoch = collect(batches)
        assert len(epoch) == len(batches) == -(-len(chosen) // batch_size)
        sizes = [len(Y_batch) for _, Y_batch, _ in epoch]
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sum(sizes) == len(chosen)
        seen = np.concatenate([w for _, _, w in epoch]).astype(int) - 1
        assert sorted(seen) == sorted(chosen)
        np.testing.assert_array_equal(np.concatenate([x for x, _, _ in epoch]), X[seen])
        np.testing.assert_array_equal(np.concatenate([y for _, y, _ in epoch]), Y[seen])
        if seed is None:
            np.testing.assert_array_equal(seen, chosen)
        assert {a.dtype for batch in epoch for a in batch} == {np.dtype(dtype)}


def order(batches):
    return np.concatenate([Y[:, 0] for _, Y, _ in collect(batches)]).tolist()


def test_every_epoch_is_shuffled_anew_and_the_rng_decides():
    batches, same, other = make(seed=0), make(seed=0), make(seed=1)
    epochs = [order(batches) for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert [order(same) for _ in range(2)] == epochs
    assert order(other) != epochs[0]


@pytest.mark.parametrize("rows", SUBSETS.values(), ids=SUBSETS)
def test_neither_the_data_nor_the_rows_are_changed(rows):
    kept = None if rows is None else rows.copy()
    batches = make(seed=0, rows=rows)
    collect(batches)
    X, Y, weight = numbers()
    np.testing.assert_array_equal(batches.X, X)
    np.testing.assert_array_equal(batches.targets.Y, Y)
    np.testing.assert_array_equal(batches.weight, weight)
    if rows is not None:
        np.testing.assert_array_equal(rows, kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_sparse_batch_stays_sparse_only_where_it_is_wanted(kind, sparse):
    for X, _, _ in make(kind, seed=0, sparse=sparse):
        if sparse and "csr" in kind:
            assert sp.issparse(X)
            assert X.format == "csr"
        else:
            assert isinstance(X, np.ndarray)


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("seed", [None, 0])
def test_a_row_of_zeros_wipes_out_what_was_in_the_buffer(kind, seed):
    batches = make(kind, seed=seed)
    for X, Y, _ in batches:
        rows = Y[:, 0].astype(int) - 1
        np.testing.assert_array_equal(X, numbers()[0][rows])
        X.fill(np.nan)


def test_without_shuffling_nothing_dense_is_copied():
    batches = make(seed=None)
    X, Y, weight = next(iter(batches))
    assert np.shares_memory(X, batches.X)
    assert np.shares_memory(Y, batches.targets.Y)
    assert np.shares_memory(weight, batches.weight)


def test_rows_at_odd_addresses_are_copied_once():
    X, Y, _ = numbers()
    odd = np.empty(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    odd[:] = X
    for given in (X, odd):
        batches = Batches(given, DenseTargets(Y), None, 5, None, X.dtype)
        assert batches.X.flags.aligned
        assert (batches.X is given) == given.flags.aligned
        np.testing.assert_array_equal(batches.X, X)


@pytest.mark.parametrize("kind", ["dense", "csr_array"])
def test_shuffled_batches_share_one_buffer(kind):
    batches = make(kind, seed=0)
    addresses = {tuple(a.ctypes.data for a in batch) for batch in batches}
    assert len(addresses) == 1


def test_without_weights_there_are_none():
    assert {w for _, _, w in make(weighted=False)} == {None}


# Targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_class_codes_become_distributions(dtype, smoothing):
    codes = np.array([2, 0, 1, 2])
    targets = ClassTargets(codes, 3, smoothing)
    assert targets.shape == (4, 3)
    expected = (1 - smoothing) * np.eye(3)[codes] + smoothing / 3
    for rows in (slice(0, 4), slice(1, 3), np.array([3, 3, 0])):
        out = np.full((len(codes[rows]), 3), np.nan, dtype)
        assert targets.gather(rows, out) is out
        np.testing.assert_allclose(out, expected[rows], rtol=1e-6)
        np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [slice(0, 4000), np.arange(4000)[::-1]], ids=["slice", "rows"])
def test_target_noise_is_new_in_every_batch_and_leaves_the_targets_alone(dtype, rows):
    Y = np.arange(8000, dtype=dtype).reshape(4000, 2) / 100
    targets = DenseTargets(Y.copy(), 0.3, np.random.default_rng(0))
    assert targets.shape == (4000, 2)
    noise = []
    for _ in range(2):
        out = np.full_like(Y, np.nan)
        noise.append(targets.gather(rows, out) - Y[rows])
        assert noise[-1].dtype == dtype
        assert noise[-1].std(dtype=float) == pytest.approx(0.3, rel=0.05)
        assert noise[-1].mean(dtype=float) == pytest.approx(0, abs=0.02)
    assert not np.array_equal(*noise)
    np.testing.assert_array_equal(targets.Y, Y)


@pytest.mark.parametrize("rows", SUBSETS.values(), ids=SUBSETS)
def test_class_targets_go_with_their_rows(rows):
    X = np.arange(N, dtype=float).reshape(-1, 1)
    codes = np.arange(N) % 3
    rng = np.random.default_rng(0)
    batches = Batches(X, ClassTargets(codes, 3), None, 5, rng, np.dtype(float), rows=rows)
    for X_batch, Y_batch, _ in batches:
        np.testing.assert_array_equal(Y_batch.argmax(axis=1), X_batch[:, 0] % 3)
