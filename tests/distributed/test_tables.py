"""Tables on a cluster of processes: encoded by the workers, with the model of plain fit."""

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import TabularClassifier, TabularRegressor
from skdeep.callbacks import LambdaCallback

pytestmark = pytest.mark.slow
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
dask_distributed = pytest.importorskip("dask.distributed")

from fault_tools import Fault, WithStages  # noqa: E402

from skdeep import distributed  # noqa: E402

N = 240
rng = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "a": rng.normal(size=N),
        "b": rng.choice(["x", "y", "z"], N),
        "c": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N)),
        "d": rng.choice([f"v{i:02}" for i in range(12)], N),
        "e": pd.Categorical(rng.integers(0, 4, N)),
    }
)
X.loc[:100, "c"] = np.nan  # nothing but gaps in the first partitions
X.loc[0, "d"] = "last"
z = X["a"].to_numpy() + (X["b"] == "x") + np.nan_to_num(X["c"])
classes = np.where(z > 0.3, "p", "n")
weight = rng.integers(0, 3, N) * 1.0
COMMON = {
    "hidden_layer_sizes": (12, 6),
    "n_members": 2,
    "max_iter": 5,
    "random_state": 0,
    "dtype": "float64",
}
BOTH = pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])


def target(cls):
    return classes if cls is TabularClassifier else z


def frame(X=X, n=5):
    return dd.from_pandas(X, npartitions=n, sort=False)


def cut(values, n=5):
    """Return an array with the chunks of `frame`."""
    lengths = tuple(frame(X.iloc[: len(values)], n).map_partitions(len).compute())
    return da.from_array(values, chunks=(lengths, *values.shape[1:]))


def assert_equal(found, expected, X=X):
    assert found.best_iters_ == expected.best_iters_
    for history, of_plain in zip(found.histories_, expected.histories_, strict=True):
        np.testing.assert_allclose(history["loss"], of_plain["loss"], rtol=1e-10)
        assert history.keys() == of_plain.keys()
    np.testing.assert_allclose(found.weights_, expected.weights_, rtol=1e-8)
    encoded = (model.encoder_.transform(X) for model in (found, expected))
    np.testing.assert_array_equal(*(A.toarray() if sp.issparse(A) else A for A in encoded))
    method = "predict_proba" if isinstance(found, TabularClassifier) else "predict_interval"
    np.testing.assert_allclose(getattr(found, method)(X), getattr(expected, method)(X), rtol=1e-8)
    assert (found.oof_ is None) == (expected.oof_ is None)
    if found.oof_ is not None:
        np.testing.assert_allclose(found.oof_, expected.oof_, rtol=1e-8)
    assert vars(found).keys() == vars(expected).keys()


WAYS = {
    "bags": {},
    "no bags": {"bagging": False},
    "one member": {"n_members": 1},
    "refit": {"refit": "full"},
    "0/1 columns": {"max_one_hot": None, "numeric_embedding": None},
}


@BOTH
@pytest.mark.parametrize("way", WAYS)
def test_a_data_frame_gives_the_model_of_plain_fit(clusters, cls, way):
    options = COMMON | WAYS[way]
    expected = cls(**options).fit(X, target(cls))
    model = cls(**options)
    found = distributed.fit(model, frame(), cut(target(cls)), client=clusters(2))
    assert found is model
    assert_equal(found, expected)


@BOTH
def test_weights_and_validation_rows(clusters, cls):
    y = target(cls)
    given = {"X_val": X[:60], "y_val": y[:60], "sample_weight_val": weight[:60]}
    expected = cls(**COMMON).fit(X, y, weight, **given)
    found = distributed.fit(
        cls(**COMMON),
        frame(),
        y,
        sample_weight=cut(weight),
        X_val=frame(X[:60], 2),
        y_val=y[:60],
        sample_weight_val=weight[:60],
        client=clusters(2),
    )
    assert_equal(found, expected)


TABLES = {
    "memory": lambda: (X, X),
    "polars": lambda: (pytest.importorskip("polars").DataFrame(X.astype({"e": str})),) * 2,
    "array": lambda: (cut(X[["a", "c"]].to_numpy()), X[["a", "c"]].to_numpy()),
    "objects": lambda: (cut(X[["a", "b"]].to_numpy(object)), X[["a", "b"]].to_numpy(object)),
    "CSR": lambda: (cut(_sparse().toarray()).map_blocks(sp.csr_matrix), _sparse()),
    "CSR in memory": lambda: (_sparse(), _sparse()),
    "empty partitions": lambda: (_with_empty(), X),
}


def _sparse():
    return sp.csr_matrix(np.nan_to_num(X[["a", "c"]].to_numpy()))


def _with_empty():
    parts = [X[:0], X[:100], X[100:100], X[100:]]
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=X[:0], verify_meta=False)


@pytest.mark.parametrize("kind", TABLES)
def test_other_tables(clusters, kind):
    on_cluster, in_memory = TABLES[kind]()
    expected = TabularRegressor(**COMMON).fit(in_memory, z)
    found = distributed.fit(TabularRegressor(**COMMON), on_cluster, z, client=clusters(2))
    assert_equal(found, expected, in_memory)


def test_callbacks_run_on_the_client(clusters):
    epochs = []
    model = TabularRegressor(
        **COMMON,
        callbacks=LambdaCallback(on_epoch_end=lambda trainer: epochs.append(trainer.epoch)),
    )
    distributed.fit(model, frame(), z, client=clusters(2))
    assert epochs == [*range(1, 6)] * 2


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["dask", "memory"])
def test_a_worker_dies(kind, tmp_path):
    options = COMMON | {"n_members": 1, "batch_size": 48, "bagging": False}
    expected = TabularRegressor(**options).fit(X, z)
    fault = Fault(6, [str(tmp_path / "died")])
    model = TabularRegressor(**options, callbacks=[WithStages([fault])])
    with (
        dask_distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        dask_distributed.Client(cluster, set_as_default=False) as client,
        pytest.warns(UserWarning, match="died"),
    ):
        distributed.fit(model, frame() if kind == "dask" else X, z, client=client, timeout=30)
    assert (tmp_path / "died").exists()
    assert_equal(model.set_params(callbacks=None), expected)


def of_parts(*parts):
    return dd.from_delayed([dask.delayed(p) for p in parts], meta=X[:0], verify_meta=False)


def with_entry(part, column, value):
    return part.assign(**{column: [*part[column][:-1], value]})


FAULTS = {
    "infinity": (
        (X[:120], with_entry(X[120:], "a", np.inf)),
        "infinity .* in column 'a'",
        "row 119 of partition 1",
    ),
    "dates": (
        (X[:120], X[120:].assign(b=pd.Timestamp("2020"))),
        "column 'b' holds dates",
        "row 0 of partition 1",
    ),
    "numbers": (
        (X[:120], X[120:].assign(b=1.0)),
        "column 'b' held strings in the chunks before, and holds numbers now",
        "",
    ),
    "lacks": ((X[:120], X[120:].drop(columns="b").assign(q=1)), r"Missing: \['b'\]", ""),
    "columns": ((X[:120], X[120:].drop(columns="b")), "partition 1", ""),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_named(clusters, kind):
    parts, words, place = FAULTS[kind]
    model = TabularRegressor(**COMMON)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        distributed.fit(model, of_parts(*parts), z, client=clusters(2))
    assert place in "".join(getattr(caught.value, "__notes__", []))
    assert not hasattr(model, "encoder_")


def test_faults_of_validation_rows_are_named(clusters):
    faulty = of_parts(X[:30], with_entry(X[30:60], "a", np.inf))
    with pytest.raises(ValueError, match=r"infinity .* in column 'a'") as caught:
        distributed.fit(
            TabularRegressor(**COMMON), frame(), z, X_val=faulty, y_val=z[:60], client=clusters(2)
        )
    assert "X_val" in str(caught.value)
    with pytest.raises(ValueError, match="refit='full' trains on X and X_val as one table"):
        distributed.fit(
            TabularRegressor(**COMMON, refit="full"),
            frame(),
            z,
            X_val=frame(X[:60], 2),
            y_val=z[:60],
            client=clusters(2),
        )
