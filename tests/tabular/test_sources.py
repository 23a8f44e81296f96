"""The estimators for tables on sources: rows that are not in memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

import skdeep
from skdeep import TabularClassifier, TabularEncoder, TabularRegressor
from skdeep.data import Chunks, Memmap, fit_transformer
from skdeep.data.sources.base import Source
from skdeep.data.validation import split_rows
from skdeep.tabular.encoding import sample
from skdeep.training.batches import Batches

pd = pytest.importorskip("pandas")

QUICK = {"hidden_layer_sizes": (8,), "n_members": 2, "max_iter": 6, "random_state": 0}
BOTH = pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])
N = 240


def quick(cls, **parameters):
    return cls(**{**QUICK, **parameters})


def make_table(n=N):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.choice(["x", "y", "z"], n),
            "c": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "d": rng.choice([f"v{i:02}" for i in range(12)], n),
        }
    )
    return X, X["a"].to_numpy() + (X["b"] == "x") + np.nan_to_num(X["c"])


X, Z = make_table()
WEIGHT = np.random.default_rng(1).integers(0, 3, N) * 1.0


def target(cls, z=Z):
    return np.where(z > 0.3, "p", "n") if cls is TabularClassifier else z


def chunks(X=X, n_rows=50, y=None, **options):
    """Return a source of the rows of X."""

    def read(i):
        rows = slice(i * n_rows, (i + 1) * n_rows)
        some = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        return some if y is None else (some, y[rows])

    return Chunks(read, -(-X.shape[0] // n_rows), **options)


class InMemory(Source):
    """Rows in memory, whose batches are those of plain fit."""

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, np.dtype(getattr(X, "dtype", object))
        self.is_sparse = sp.issparse(X)

    def _some(self, rows):
        return self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]

    def __getitem__(self, rows):
        return InMemory(self._some(rows))

    def take(self, rows):
        return self._some(rows)

    def astype(self, dtype):
        return InMemory(self.X.astype(dtype))

    def check(self):
        pass

    def fitted(self, transformer, sample_weight=None):
        transformer = clone(transformer)
        for i in range(0, N, 70):
            weight = None if sample_weight is None else sample_weight[i : i + 70]
            transformer.partial_fit(self._some(slice(i, i + 70)), sample_weight=weight)
        return transformer

    def transform(self, transformer):
        return InMemory(transformer.transform(self.X))

    def split_rows(self, n_rows, fraction, seed, stratify):
        return split_rows(n_rows, fraction, seed, stratify)

    def batches(self, targets, weight, batch_size, rng, dtype, *, sparse, rows):
        return Batches(self.X, targets, weight, batch_size, rng, dtype, sparse=sparse, rows=rows)

    def outputs(self, network):
        return network.infer(self.X)


WAYS = {
    "bags": {},
    "no bags": {"bagging": False},
    "one member": {"n_members": 1},
    "refit": {"refit": "full"},
    "refit without bags": {"refit": "full", "bagging": False},
    "validation rows": {"n_members": 3},
    "no calibration": {"calibrate": False},
    "codes": {"max_one_hot": 2, "numeric_embedding": None},
}


@BOTH
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("way", WAYS)
def test_batches_of_plain_fit_give_the_model_of_plain_fit(cls, way, weight):
    options = {"dtype": "float64", **WAYS[way]}
    if "calibrate" in options and cls is TabularRegressor:
        options = {"loss": "huber", "dtype": "float64"}
    y, given = target(cls), {}
    if way == "validation rows":
        given = {"X_val": X[:40], "y_val": y[:40], "sample_weight_val": WEIGHT[:40]}
    expected = quick(cls, **options).fit(X, y, weight, **given)
    if given:
        given["X_val"] = InMemory(given["X_val"])
    model = quick(cls, **options).fit(InMemory(X), y, weight, **given)
    np.testing.assert_allclose(model.weights_, expected.weights_, rtol=1e-10)
    assert model.best_iters_ == expected.best_iters_
    method = "predict_proba" if cls is TabularClassifier else "predict_interval"
    np.testing.assert_allclose(getattr(model, method)(X), getattr(expected, method)(X), rtol=1e-9)
    assert (model.oof_ is None) == (expected.oof_ is None)
    if model.oof_ is not None:
        np.testing.assert_allclose(model.oof_, expected.oof_, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("way", WAYS)
def test_a_source_of_chunks(cls, way):
    options = {"max_iter": 20, "hidden_layer_sizes": (16,), **WAYS[way]}
    if "calibrate" in options and cls is TabularRegressor:
        options = {**options, "loss": "huber"}
        del options["calibrate"]
    y, source, given = target(cls), chunks(), {}
    if way == "validation rows":
        given = {"X_val": chunks(X[:60]), "y_val": y[:60]}
    model = quick(cls, **options).fit(source, y, **given)
    plain = quick(cls, **options).fit(X, y, **{**given, "X_val": X[:60]} if given else {})
    assert model.score(X, y) > plain.score(X, y) - 0.1
    assert model.score(source, y) == pytest.approx(model.score(X, y), abs=1e-5)
    assert model.weights_.sum() == pytest.approx(1)
    assert model.feature_names_in_.tolist() == plain.feature_names_in_.tolist() == list("abcd")
    assert "_passes" not in vars(model.encoder_)
    np.testing.assert_array_equal(model.encoder_.transform(X), plain.encoder_.transform(X))
    if model.oof_ is not None:
        assert model.oof_.shape == plain.oof_.shape
    if cls is TabularClassifier:
        np.testing.assert_allclose(model.predict_proba(source), model.predict_proba(X), atol=1e-6)
        assert model.predict(source).tolist() == model.predict(X).tolist()
        assert model.decision_function(source).shape == (N,)
    else:
        np.testing.assert_allclose(model.predict(source), model.predict(X), atol=1e-5)
        assert model.predict_interval(source).shape == (N, 2)
        assert model.predict_quantile(source, [0.1, 0.9]).shape == (N, 2)


@BOTH
def test_targets_and_weights_of_the_source(cls):
    y = target(cls)
    source = chunks(y=y)
    model = quick(cls).fit(source)
    np.testing.assert_array_equal(model.predict(X), quick(cls).fit(chunks(), y).predict(X))
    assert model.score(source) == model.score(source, y)
    source.sample_weight = WEIGHT
    weighted = quick(cls).fit(source).predict(X)
    np.testing.assert_array_equal(weighted, quick(cls).fit(chunks(), y, WEIGHT).predict(X))
    assert not np.array_equal(weighted, model.predict(X))
    given = quick(cls).fit(source, X_val=source[:60])
    also = quick(cls).fit(
        chunks(), y, WEIGHT, X_val=chunks(X[:60]), y_val=y[:60], sample_weight_val=WEIGHT[:60]
    )
    np.testing.assert_array_equal(given.predict(X), also.predict(X))


@BOTH
def test_validation_rows_in_memory_or_not(cls):
    y = target(cls)
    expected = quick(cls).fit(X, y, X_val=X[:60], y_val=y[:60])
    in_source = quick(cls).fit(X, y, X_val=chunks(X[:60]), y_val=y[:60])
    np.testing.assert_allclose(
        in_source.histories_[0]["val_loss"], expected.histories_[0]["val_loss"]
    )
    first = quick(cls).fit(chunks(), y, X_val=chunks(X[:60]), y_val=y[:60])
    second = quick(cls).fit(chunks(), y, X_val=X[:60], y_val=y[:60])
    np.testing.assert_allclose(first.histories_[0]["val_loss"], second.histories_[0]["val_loss"])


def test_the_same_random_state_gives_the_same_model():
    first = quick(TabularRegressor).fit(chunks(), Z)
    second = quick(TabularRegressor, n_jobs=2).fit(chunks(), Z)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


@pytest.mark.parametrize("kind", ["array", "CSR", "parquet", "names"])
def test_other_sources(kind, tmp_path):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(N, 3)) * (rng.random((N, 3)) < 0.7)
    y = A[:, 0] - A[:, 1]
    rows = A
    if kind == "array":
        A[3, 2] = np.nan  # as an array has it that is not in memory
        source = Memmap(A)
    elif kind == "CSR":
        rows = sp.csr_matrix(A)
        source = chunks(rows)
    elif kind == "names":
        rows = pd.DataFrame(A, columns=list("abc"))
        source = chunks(rows)
    else:
        pytest.importorskip("pyarrow")
        from skdeep.data import Parquet

        rows = X.assign(y=Z)
        rows.to_parquet(tmp_path / "rows.parquet", row_group_size=60)
        source, rows, y = Parquet(tmp_path / "rows.parquet", target="y"), X, Z
        np.testing.assert_array_equal(source.y, Z)
    model = quick(TabularRegressor, max_iter=40).fit(source, y)
    assert model.score(rows, y) > 0.7
    np.testing.assert_allclose(model.predict(source), model.predict(rows), atol=1e-5)
    assert hasattr(model, "feature_names_in_") == (kind in ("parquet", "names"))


def test_files(tmp_path):
    model = quick(TabularRegressor).fit(chunks(), Z)
    skdeep.save(model, tmp_path / "model.skdeep")
    np.testing.assert_array_equal(
        skdeep.load(tmp_path / "model.skdeep").predict(X), model.predict(X)
    )


def test_a_sample_for_the_encoder(monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 60)
    model = quick(TabularRegressor, max_iter=40).fit(chunks(), Z)
    assert model.score(X, Z) > 0.7


@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_checkpoints(tmp_path):
    from skdeep.callbacks import LambdaCallback, ModelCheckpoint

    expected = quick(TabularRegressor).fit(chunks(), Z).predict(X)
    epochs = []

    def model(stop):
        def count(trainer):
            epochs.append(trainer.epoch)
            if len(epochs) == stop:
                raise KeyboardInterrupt

        checkpoint = ModelCheckpoint(tmp_path / "{run}.skdeep", resume=True)
        return quick(TabularRegressor, callbacks=[checkpoint, LambdaCallback(on_epoch_end=count)])

    with pytest.raises(KeyboardInterrupt):
        model(9).fit(chunks(), Z)
    np.testing.assert_allclose(model(-1).fit(chunks(), Z).predict(X), expected)
    assert 2 * QUICK["max_iter"] <= len(epochs) <= 2 * QUICK["max_iter"] + 1


# What is refused


def with_fault(column, row, value):
    wrong = X.copy()
    wrong[column] = wrong[column].astype(object) if isinstance(value, str) else wrong[column]
    wrong.loc[row, column] = value
    return wrong


REFUSED = {
    "infinity": (with_fault("a", 130, np.inf), "infinity .* in column 'a'"),
    "a string among numbers": (with_fault("a", 130, "?"), "column 'a' holds both numbers and str"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_faults_are_named_before_training(kind):
    wrong, words = REFUSED[kind]
    frames = [wrong[i : i + 40].infer_objects() for i in range(0, N, 40)]
    before = quick(TabularRegressor, n_members=1, max_iter=1).fit(X, Z)
    expected = before.predict(X)
    if kind == "infinity":
        source = Chunks(lambda i: frames[i], len(frames))
        with pytest.raises(ValueError, match=words) as caught:
            before.fit(source, Z)
        assert "1 of the rows: chunk 3, row 10." in caught.value.__notes__[0]
        np.testing.assert_array_equal(before.predict(X), expected)
        with pytest.raises(ValueError, match=f"In X_val.*hunk 3, row 10.*{words}"):
            before.fit(X, Z, X_val=source, y_val=Z)
        with pytest.raises(ValueError, match=f"hunk 3, row 10.*{words}"):
            before.predict(source)
    else:
        with pytest.raises(ValueError, match=words):
            before.fit(chunks(wrong), Z)
    np.testing.assert_array_equal(before.predict(X), expected)


@BOTH
def test_what_a_source_can_not_do(cls):
    y, source = target(cls), chunks()
    with pytest.raises(ValueError, match="requires y to be passed"):
        quick(cls).fit(source)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick(cls).fit(source, y[1:])
    with pytest.raises(ValueError, match="sample_weight"):
        quick(cls).fit(source, y, WEIGHT[1:])
    with pytest.raises(ValueError, match="belong together"):
        quick(cls).fit(source, y, X_val=source)
    for X_fit, X_val in ((source, X), (X, source), (source, source)):
        with pytest.raises(ValueError, match=r"refit='full' .* if one of them is a Chunks"):
            quick(cls, refit="full").fit(X_fit, y, X_val=X_val, y_val=y)
    model = quick(cls).fit(source, y)
    with pytest.raises(ValueError, match=r"explain takes rows in memory.*source\.take\(rows\)"):
        model.explain(source, y)
    with pytest.raises(ValueError, match="now missing:\n- a"):
        model.predict(chunks(X[["b", "c", "d"]]))
    assert model.explain(source.take(np.arange(60)), y[:60], n_repeats=1)


def test_rows_that_fit_into_memory_are_read_once_for_all_epochs():
    calls = []

    def read(i):
        calls.append(i)
        return X[i * 60 : (i + 1) * 60], Z[i * 60 : (i + 1) * 60]

    def n_calls(max_iter):
        source = Chunks(read, 4)
        calls.clear()
        quick(TabularRegressor, max_iter=max_iter).fit(source)
        return len(calls)

    assert n_calls(2) == n_calls(9) < 80


@pytest.mark.slow
def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(sample, "MOST_BYTES", 200_000)

    def read(i):
        A = np.random.default_rng(i).normal(size=(5000, 16))
        return pd.DataFrame(A).assign(c="u").rename(columns=str), A[:, 0]

    source = Chunks(read, 16, memory_limit="3MB")
    model = quick(TabularRegressor, max_iter=1, n_members=1, numeric_embedding=None)
    tracemalloc.start()
    try:
        model.fit(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 7e6  # the numbers take 10.2e6, of which training looks at 10,000 rows first


def test_the_encoder_is_fitted_with_weights():
    encoder = fit_transformer(TabularEncoder(), chunks(), WEIGHT)
    expected = TabularEncoder().fit(X, sample_weight=WEIGHT)
    np.testing.assert_array_equal(encoder.transform(X), expected.transform(X))
    assert not np.array_equal(encoder.transform(X), TabularEncoder().fit(X).transform(X))
