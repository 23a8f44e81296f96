"""Faults that are found before training, with their place."""

import builtins
import subprocess
import sys
import threading

import numpy as np
import pytest

from skdeep import MLPAutoencoder, MLPClassifier
from skdeep.activations import ReLU
from skdeep.callbacks import Callback, LayerStatistics
from skdeep.data import Memmap
from skdeep.training.stages import GradientStage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
dask_distributed = pytest.importorskip("dask.distributed")

from skdeep import distributed  # noqa: E402

rng = np.random.default_rng(0)
X, y = rng.standard_normal((100, 4)), rng.integers(0, 2, 100)
FRAME = pd.DataFrame(X, columns=list("abcd"))


def model(**options):
    return MLPClassifier(**{"hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0} | options)


def chunked(array, size=25):
    return da.from_array(array, chunks=(size, *array.shape[1:]))


def with_entry(row, column, value):
    changed = X.copy()
    changed[row, column] = value
    return chunked(changed)


def of_blocks(*blocks, dtype=float):
    """Return an array of blocks that may not be what the array says of them."""
    return da.concatenate(
        [da.from_delayed(dask.delayed(block), (25, 4), np.dtype(dtype)) for block in blocks]
    )


def frames(*parts):
    """Return a data frame of partitions that may not be what the frame says of them."""
    return dd.from_delayed(
        [dask.delayed(part) for part in parts], meta=FRAME.iloc[:0], verify_meta=False
    )


def cut(frame):
    return [frame.iloc[i : i + 25] for i in range(0, 100, 25)]


def changed_frame(change):
    parts = cut(FRAME)
    parts[2] = change(parts[2])
    return frames(*parts)


def bad_block(change):
    blocks = [X[i : i + 25] for i in range(0, 100, 25)]
    blocks[2] = change(blocks[2])
    return of_blocks(*blocks)


def raising():
    raise KeyError("no such file")


NUMBERS = {
    "nan": (
        lambda: with_entry(60, 1, np.nan),
        r"Input X contains NaN: in row 10 of chunk 2 \(rows 50 to 74\), column 1. That is row 60",
    ),
    "infinity": (lambda: with_entry(7, 3, -np.inf), "Input X contains infinity.*row 7 of chunk 0"),
    "nan in a frame": (
        lambda: changed_frame(lambda part: part.assign(c=np.where(part.index == 55, np.nan, 1.0))),
        "contains NaN: in row 5 of partition 2, column 'c'",
    ),
    "nan in a sparse chunk": (
        lambda: with_entry(60, 1, np.nan).map_blocks(
            __import__("scipy.sparse").sparse.csr_matrix, dtype=float
        ),
        "contains NaN: in row 10 of chunk 2",
    ),
    "unknown sizes": (
        lambda: dd.from_pandas(FRAME, npartitions=3).to_dask_array(),
        "chunks of unknown size.*compute_chunk_sizes",
    ),
    "chunks of columns": (
        lambda: da.from_array(X, chunks=(25, 2)),
        r"X has 2 chunks of columns.*rechunk\(\{1: -1\}\)",
    ),
    "one dimension": (lambda: chunked(X)[:, 0], r"X has the shape .*reshape\(-1, 1\)"),
    "images": (lambda: da.zeros((10, 4, 4)), "Found array with dim 3"),
    "objects": (lambda: chunked(X.astype(object)), "dtype object, and numbers are needed"),
    "text": (lambda: chunked(X.astype(str)), "numbers are needed"),
    "other columns": (
        lambda: changed_frame(lambda part: part.drop(columns="b").assign(z=1.0)),
        r"Partition 2 of X has other columns.*Missing: \['b'\]. Unexpected: \['z'\]",
    ),
    "columns in another order": (
        lambda: changed_frame(lambda part: part[list("abdc")]),
        "Partition 2 of X has other columns",
    ),
    "another dtype in a partition": (
        lambda: changed_frame(lambda part: part.assign(c=part["c"].astype(str))),
        r"Column 'c' is (str|object|string\S*) in partition 2 of X\w*, and float64",
    ),
    "columns that are not numbers": (
        lambda: dd.from_pandas(FRAME.assign(c="x"), npartitions=2),
        "columns that are not numbers: 'c'",
    ),
    "another dtype in a chunk": (
        lambda: bad_block(lambda block: block.astype(complex)),
        r"numbers of type complex128 in chunk 2 \(rows 50 to 74\), and its dtype is float64",
    ),
    "another width in a chunk": (
        lambda: bad_block(lambda block: block[:, :3]),
        r"shape \(25, 3\) in chunk 2.*should have 4 columns",
    ),
    "another kind in a chunk": (
        lambda: bad_block(lambda block: block.tolist()),
        "X has a list in chunk 2",
    ),
    "a bag": (lambda: dask.delayed(X), "X is a Delayed"),
    "a series": (lambda: dd.from_pandas(FRAME["a"], npartitions=2), "X is a Series"),
    "nan in memory": (lambda: with_entry(60, 1, np.nan).compute(), "Input X contains NaN"),
}


def test_a_source_is_for_one_machine(clusters):
    with pytest.raises(ValueError, match=r"distributed\.fit takes rows in memory, .* Memmap; make"):
        distributed.fit(model(), Memmap(X), y, client=clusters(2))


@pytest.mark.parametrize("case", NUMBERS)
def test_faults_in_X_are_named_with_their_place(clusters, case):
    make, message = NUMBERS[case]
    with pytest.raises(ValueError, match=message):
        distributed.fit(model(), make(), y, client=clusters(2))
    with pytest.raises(ValueError, match=message.replace("X ", "X_val ")):
        distributed.fit(model(), chunked(X), y, client=clusters(2), X_val=make(), y_val=y)


def test_numbers_too_large_for_the_dtype_are_named(clusters):
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\).*1e\+39"):
        distributed.fit(model(dtype="float32"), with_entry(1, 1, 1e39), y, client=clusters(2))


def test_an_error_of_a_chunk_names_the_chunk(clusters):
    block = da.from_delayed(dask.delayed(raising)(), (25, 4), float)
    with pytest.raises(KeyError, match="no such file") as caught:
        distributed.fit(model(), da.concatenate([chunked(X), block]), y, client=clusters(2))
    assert "chunk 4 of X" in caught.value.__notes__[-1]


ALIGNED = {
    "y": (
        lambda: {"y": da.from_array(y, chunks=((25, 20, 30, 25),))},
        "X and y do not belong together: chunk 1 has 25 rows in X and 20 in y",
    ),
    "fewer chunks": (lambda: {"y": chunked(y[:75])}, "X has 4 chunks of rows and y has 3"),
    "weights": (
        lambda: {"y": y, "sample_weight": da.ones(100, chunks=50)},
        "X and sample_weight do not belong together: chunk 0 has 25 rows in X and 50",
    ),
    "memory": (lambda: {"y": y[:99]}, "inconsistent numbers of samples"),
    "validation": (
        lambda: {"y": y, "X_val": chunked(X), "y_val": chunked(y, 50)},
        "X_val and y_val do not belong together: chunk 0 has 25 rows in X_val and 50",
    ),
    "delayed": (lambda: {"y": dask.delayed(y)}, "y is a Delayed"),
    "nothing": (lambda: {}, "y is None|y"),
}


@pytest.mark.parametrize("case", ALIGNED)
def test_targets_and_weights_have_the_chunks_of_X(clusters, case):
    make, message = ALIGNED[case]
    with pytest.raises(ValueError, match=message):
        distributed.fit(model(), chunked(X), client=clusters(2), **make())


def test_partitions_of_a_frame_have_to_agree(clusters):
    rows = dd.from_pandas(FRAME, npartitions=4)
    targets = dd.from_delayed(
        [dask.delayed(pd.Series(y[a:b])) for a, b in ((0, 25), (25, 51), (51, 75), (75, 100))],
        meta=pd.Series(y[:0]),
    )
    with pytest.raises(ValueError, match="partition 1 has 25 rows in X and 26 in y"):
        distributed.fit(model(), rows, targets, client=clusters(2))


class Broken(ReLU):
    """An activation that can't be sent to another process."""

    def __init__(self):
        self.lock = threading.Lock()


class BrokenStage(GradientStage):
    def __init__(self):
        self.lock = threading.Lock()

    def apply(self, gradient, step):
        pass


class WithBrokenStage(Callback):
    def gradient_stages(self):
        return [BrokenStage()]


class WithLock(Callback):
    def __init__(self):
        self.lock = threading.Lock()


ESTIMATORS = {
    "not an estimator": (lambda: object(), "is not allowed; give an instance of MLPClassifier"),
    "a class": (lambda: MLPClassifier, "estimator=MLPClassifier is not allowed"),
    "an autoencoder": (lambda: MLPAutoencoder(), "MLPAutoencoder can't be trained on a cluster"),
    "lbfgs": (lambda: model(solver="lbfgs"), "solver='lbfgs' takes all rows at once"),
    "every gradient": (
        lambda: model(callbacks=[EveryGradient()]),
        r"EveryGradient\(\) looks at the gradient of every step",
    ),
    "a broken stage": (
        lambda: model(callbacks=[WithBrokenStage()]),
        r"gradient stages of WithBrokenStage\(\) run on the workers, and can't be sent",
    ),
    "a broken layer": (
        lambda: model(activation=Broken()),
        r"The layer Dense\(.*can't be sent to the workers: TypeError",
    ),
    "augmentation": (lambda: model(augment=lambda X, Y, rng: (X, Y)), "augment=.*rows in memory"),
    "a wrong parameter": (lambda: model(solver="adamm"), "adamm"),
}


class EveryGradient(Callback):
    every_gradient = True


@pytest.mark.parametrize("case", ESTIMATORS)
def test_estimators_that_a_cluster_can_not_train(clusters, case):
    make, message = ESTIMATORS[case]
    with pytest.raises((ValueError, TypeError), match=message):
        distributed.fit(make(), chunked(X), y, client=clusters(2))


def test_callbacks_need_not_be_sent(clusters):
    callbacks = [WithLock(), LayerStatistics()]
    fitted = distributed.fit(model(callbacks=callbacks), chunked(X), y, client=clusters(2))
    assert fitted.n_iter_ == 2
    assert len(callbacks[1].statistics_["update_ratio"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout=0 is not allowed"),
        ({"timeout": "60s"}, "timeout='60s' is not allowed"),
        ({"retries": -1}, "retries=-1 is not allowed"),
        ({"local_steps": 0}, "local_steps=0 is not allowed"),
        ({"snapshot_every": 1.5}, "snapshot_every=1.5 is not allowed"),
        ({"snapshot_every": 2, "local_steps": 2}, "exclude each other"),
        ({"client": "tcp://127.0.0.1:8786"}, "is a str; give a dask.distributed.Client"),
    ],
)
def test_options_are_checked(clusters, options, message):
    with pytest.raises(ValueError, match=message):
        distributed.fit(model(), chunked(X), y, **{"client": clusters(2)} | options)


def test_metrics_and_snapshots_exclude_each_other(clusters):
    with pytest.raises(ValueError, match="snapshot_every=2 and metrics exclude each other"):
        distributed.fit(
            model(metrics=["accuracy"]), chunked(X), y, client=clusters(2), snapshot_every=2
        )


# The cluster --------------------------------------------------------------------------------------


def test_there_has_to_be_a_client():
    with pytest.raises(ValueError, match=r"client=None.*there is no connection"):
        distributed.fit(model(), chunked(X), y)


def test_the_current_client_is_found(clusters):
    with clusters(2).as_current():
        assert distributed.fit(model(), chunked(X), y).n_iter_ == 2


def test_there_have_to_be_workers():
    with (
        dask_distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        dask_distributed.Client(cluster) as client,
        pytest.raises(distributed.ClusterError, match=r"has no workers. Start some"),
    ):
        distributed.fit(model(), chunked(X), y, client=client)


def test_an_asynchronous_client_is_refused():
    import asyncio

    async def main():
        async with (
            dask_distributed.LocalCluster(
                n_workers=0, dashboard_address=":0", asynchronous=True
            ) as cluster,
            dask_distributed.Client(cluster, asynchronous=True) as client,
        ):
            with pytest.raises(ValueError, match="is asynchronous"):
                distributed.fit(model(), chunked(X), y, client=client)

    asyncio.run(main())


def hide_skdeep(name):
    """Let a worker have no skdeep, or one of another version."""
    import sys

    for module in [m for m in sys.modules if m.partition(".")[0] == "skdeep"]:
        del sys.modules[module]
    if name is None:
        sys.modules["skdeep"] = None
    else:
        import skdeep._version

        skdeep._version.__version__ = name


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "can't import skdeep: ModuleNotFoundError"),
        ("0.0.1", "has skdeep 0.0.1, and the client has"),
    ],
)
def test_a_worker_needs_this_skdeep(version, message):
    with (
        dask_distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        dask_distributed.Client(cluster) as client,
    ):
        bad = sorted(client.nthreads())[1]
        client.run(hide_skdeep, version, workers=[bad])
        with pytest.raises(distributed.ClusterError, match=f"Worker {bad} {message}"):
            distributed.fit(model(), chunked(X), y, client=client)


def test_without_dask_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without_dask(name, *args):
        if name.partition(".")[0] in ("dask", "distributed"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_dask)
    with pytest.raises(ImportError, match='The extra "dask" of scikit-deep has it'):
        distributed.fit(model(), X, y)


def test_the_import_does_not_need_dask():
    code = "import sys; sys.modules['distributed'] = sys.modules['dask'] = None; "
    subprocess.run([sys.executable, "-c", code + "import skdeep.distributed"], check=True)
