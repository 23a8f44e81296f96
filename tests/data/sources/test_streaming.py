"""Batches of sources: their rows, their order, and models that equal those of rows in memory."""

import threading
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.data import Memmap
from skdeep.data.sources.streaming import Plan, StreamedBatches, cut
from skdeep.training.batches import DenseTargets

N_ROWS, N_COLUMNS = 1000, 7
X = np.random.default_rng(0).normal(size=(N_ROWS, N_COLUMNS))
Y = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
ROW_BYTES = N_COLUMNS * 8
IN_MEMORY = {"dense": X, "float32": X.astype(np.float32), "sparse": sp.csr_matrix(X * (X > 0.3))}


def source_of(rows, n_in_window, **options):
    """Return a source whose windows have about this number of rows."""
    size = rows.nnz / rows.shape[0] * 12 + 4 if sp.issparse(rows) else rows[0].nbytes
    return Memmap(rows, memory_limit=int(6 * n_in_window * size), **options)


def batches_of(source, *, batch_size=32, seed=0, rows=None):
    targets = DenseTargets(np.arange(float(source.shape[0])).reshape(-1, 1))
    rng = None if seed is None else np.random.default_rng(seed)
    return StreamedBatches(source, targets, None, batch_size, rng, np.dtype(float), rows=rows)


def epoch_of(batches):
    """Return the X of an epoch, and the positions of its rows."""
    pairs = [(X.copy(), Y[:, 0].astype(int)) for X, Y, _ in batches]
    return [np.concatenate(part) for part in zip(*pairs, strict=True)]


@pytest.mark.parametrize("n_in_window", [40, 100, 333, 5000])
@pytest.mark.parametrize("batch_size", [1, 32, 1000])
@pytest.mark.parametrize("some", [None, "two thirds", "few"])
def test_an_epoch_has_every_row_once(n_in_window, batch_size, some):
    rows = {
        None: None,
        "two thirds": np.flatnonzero(np.arange(N_ROWS) % 3),
        "few": np.array([3, 700, 701]),
    }[some]
    batches = batches_of(source_of(X, n_in_window), batch_size=batch_size, rows=rows)
    every = np.arange(N_ROWS) if rows is None else rows
    orders = []
    for _ in range(2):
        given, order = epoch_of(batches)
        np.testing.assert_array_equal(given, X[order])
        np.testing.assert_array_equal(np.sort(order), every)
        np.testing.assert_array_equal(batches.order, order)
        assert len(batches) == -(-len(every) // batch_size)
        orders.append(order)
    assert some == "few" or (orders[0] != orders[1]).any()


@pytest.mark.parametrize("n_in_window", [100, 5000])
@pytest.mark.parametrize("first", [0, 1, 7, 31])
def test_an_epoch_begins_with_any_batch(n_in_window, first):
    _, order = epoch_of(batches_of(source_of(X, n_in_window)))
    batches = batches_of(source_of(X, n_in_window))
    rest = [Y[:, 0].astype(int) for _, Y, _ in batches.starting_at(first)]
    np.testing.assert_array_equal(np.concatenate(rest), order[32 * first :])


def test_the_order_depends_on_the_seed_alone():
    orders = [epoch_of(batches_of(source_of(X, 100), seed=seed))[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_a_batch_has_rows_from_many_places():
    # Consecutive rows alone would be a batch of one class, if the file is sorted by class.
    _, order = epoch_of(batches_of(source_of(X, 200), batch_size=100))
    tenths = [len(np.unique(batch // 100)) for batch in order.reshape(-1, 100)]
    assert min(tenths) >= 4


def test_statistics_of_inputs_draw_no_random_numbers():
    batches = batches_of(source_of(X, 100))
    state = batches.rng.bit_generator.state
    seen = np.concatenate([rows.copy() for rows in batches.inputs()])
    assert batches.rng.bit_generator.state == state
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(X, axis=0))


@pytest.mark.parametrize("kind", IN_MEMORY)
@pytest.mark.parametrize("n_in_window", [64, 300, 5000])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": "after", "dropout": 0.2},
        {"metrics": ["accuracy"], "class_weight": "balanced", "label_smoothing": 0.1},
        {"weight_averaging": "ema", "batch_norm": "after"},
    ],
    ids=lambda options: "-".join(options) or "default",
)
def test_without_shuffling_models_equal_those_of_rows_in_memory(kind, n_in_window, options):
    rows = IN_MEMORY[kind]
    weight = np.random.default_rng(1).uniform(0.5, 2, N_ROWS)
    models = []
    for given in (rows, source_of(rows, n_in_window)):
        model = MLPClassifier((16,), shuffle=False, max_iter=3, random_state=0, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.append(model.fit(given, Y, weight))
    plain, streamed = models
    assert plain.loss_curve_ == streamed.loss_curve_
    np.testing.assert_array_equal(plain.predict_proba(rows), streamed.predict_proba(rows))
    # Products of other numbers of rows are rounded in other ways.
    predicted = streamed.predict_proba(source_of(rows, n_in_window))
    np.testing.assert_allclose(predicted, plain.predict_proba(rows), rtol=1e-5)


def test_early_stopping_holds_out_rows_by_hash():
    source = source_of(X, 100)
    target = X[:, 0] - X[:, 3]
    model = MLPRegressor(early_stopping=True, random_state=0, max_iter=60, n_iter_no_change=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(source, target)
    assert model.best_validation_score_ > 0.97
    assert model.score(source, target) > 0.97


@pytest.mark.parametrize("n_in_window", [100, 5000])
def test_reading_ends_with_the_epoch(n_in_window):
    before = threading.active_count()
    batches = iter(batches_of(source_of(X, n_in_window)))
    next(batches)
    batches.close()
    assert threading.active_count() == before
    epoch_of(batches_of(source_of(X, n_in_window)))
    assert threading.active_count() == before


class Unreadable(Memmap):
    """A source whose last rows can't be read."""

    def read_into(self, start, stop, out):
        if stop == N_ROWS:
            raise OSError("the disk is gone")
        super().read_into(start, stop, out)


def test_an_error_in_the_thread_reaches_the_user():
    source = Unreadable(X, memory_limit=6 * 100 * ROW_BYTES)
    with pytest.raises(OSError, match="the disk is gone"):
        MLPClassifier(random_state=0, shuffle=False).fit(source, Y)
    assert not [t for t in threading.enumerate() if t.name.startswith("skdeep-reader")]


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("rows", [None, np.arange(0, 30, 2), np.array([12])])
def test_pieces_and_windows(rows, is_whole):
    bounds = np.array([0, 7, 7, 10, 30])
    pieces = cut(bounds, rows, 4, is_whole)
    for piece in pieces:
        file = np.searchsorted(bounds, piece.start, side="right")
        assert piece.stop <= bounds[file]
        assert is_whole or piece.stop - piece.start <= 4
    found = np.concatenate([piece.positions() for piece in pieces])
    np.testing.assert_array_equal(found, np.arange(30) if rows is None else rows)
    plan = Plan(pieces, 8, 0, is_sequential=False)
    sizes = np.diff(plan.starts)
    assert all(n <= 8 or len(w) == 1 for n, w in zip(sizes, plan.windows, strict=True))
    in_order = Plan(pieces, 8, 0, is_sequential=True)
    assert [piece for window in in_order.windows for piece in window] == pieces


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (MLPAutoencoder((3,)), "MLPAutoencoder takes X in memory, and was given Memmap"),
        (MLPRegressor((3,), solver="lbfgs"), "'lbfgs' takes all rows at once, and X is Memmap"),
    ],
    ids=["autoencoder", "lbfgs"],
)
def test_what_needs_rows_in_memory_says_so(model, match):
    with pytest.raises(InvalidParameterError, match=match):
        model.fit(source_of(X, 100), X[:, 0])
