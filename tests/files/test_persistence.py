"""Files of models: what comes back, and what becomes of files that are not what they should be."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdeep
from file_tools import parts_of, sealed
from skdeep import InvalidFileError, MLPAutoencoder, MLPClassifier, MLPRegressor, load, save
from skdeep.activations import ACTIVATIONS, PReLU
from skdeep.callbacks import (
    Callback,
    CSVLogger,
    GradualUnfreezing,
    LearningRateLogger,
    ModelCheckpoint,
)
from skdeep.files import container
from skdeep.files.container import HASH_BYTES, LENGTHS
from skdeep.layers import BatchNorm, Columns, Concatenate, Dense, Dropout, Layer, Residual
from skdeep.losses import CLASSIFICATION_LOSSES, FocalLoss, Huber
from skdeep.optimizers import OPTIMIZERS, Adam
from skdeep.schedules import SCHEDULES, Piecewise, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
CONVERTERS = {
    "a file": lambda model, path: (save(model, path), load(path, with_writers=True))[1],
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "joblib": lambda model, path: joblib.load(joblib.dump(model, path)[0]),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@pytest.fixture(params=CONVERTERS)
def again(request, tmp_path):
    return lambda model: CONVERTERS[request.param](model, tmp_path / "model")


class OwnAdam(Adam):
    pass


class OwnLayer(Layer):
    def forward(self, X):
        return X

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X


class OwnCallback(Callback):
    pass


class OwnClassifier(MLPClassifier):
    pass


def outputs(model):
    """Return what a model says about the data."""
    return model.network_.infer(X.astype(model.network_.dtype))


def assert_same(actual, expected):
    assert type(actual) is type(expected)
    np.testing.assert_array_equal(outputs(actual), outputs(expected))
    shown = [re.sub(" at 0x[0-9A-F]+", "", repr(m.get_params())) for m in (actual, expected)]
    assert shown[0] == shown[1]
    assert vars(actual).keys() == vars(expected).keys()
    for name in (
        "history_",
        "n_iter_",
        "t_",
        "loss_",
        "best_loss_",
        "n_features_in_",
        "n_outputs_",
    ):
        assert repr(getattr(actual, name)) == repr(getattr(expected, name))
    frozen = [[p.frozen for p in m.network_.parameters.parameters] for m in (actual, expected)]
    assert frozen[0] == frozen[1]


# What comes back ------------------------------------------------------------------------------

LAYERS = [
    Dense(6, PReLU()),
    Residual([Dense(6, "tanh"), BatchNorm()]),
    Concatenate([[], [Columns([0, 2]), Dense(3)]]),
    Columns(slice(0, 7)),
    Dropout(0.1),
]
MODELS = {
    "regressor": lambda: MLPRegressor(max_iter=3, loss=Huber(0.5)).fit(X, X[:, :2]),
    "binary": lambda: MLPClassifier(max_iter=3, batch_norm="before").fit(X, y > 0),
    "strings": lambda: MLPClassifier(max_iter=3).fit(X, np.array(["a", "bé", "c"])[y]),
    "objects": lambda: MLPClassifier(max_iter=3).fit(X, np.array(["a", "b", "c"], object)[y]),
    "multilabel": lambda: MLPClassifier(max_iter=3).fit(X, (X[:, :3] > 3).astype(int)),
    "one class": lambda: MLPClassifier(max_iter=3).fit(X, np.ones(150)),
    "float32": lambda: MLPClassifier(max_iter=3).fit(X.astype("float32"), y),
    "autoencoder": lambda: MLPAutoencoder((3, 2), max_iter=3, tied_weights=True).fit(X),
    "lbfgs": lambda: MLPClassifier(solver="lbfgs", max_iter=3).fit(X, y),
    "early stopping": lambda: MLPClassifier(early_stopping=True, max_iter=20).fit(X, y),
    "layers": lambda: MLPClassifier(layers=LAYERS, max_iter=3, batch_norm_input=True).fit(X, y),
    "frozen": lambda: MLPClassifier((5, 4), frozen_layers=[1], max_iter=3).fit(X, y),
    "thawed": lambda: MLPClassifier(
        (5, 4), frozen_layers=2, callbacks=[GradualUnfreezing([1])], max_iter=3
    ).fit(X, y),
    "pretrained": lambda: MLPClassifier(
        (3,), pretrained=FrozenEstimator(MLPAutoencoder((3,), max_iter=2).fit(X)), max_iter=3
    ).fit(X, y),
    "numbers of NumPy": lambda: MLPClassifier(
        (np.int64(4), np.int32(3)),
        max_iter=np.int64(3),
        alpha=np.float32(0.01),
        dropout=np.array([0.1, 0.2]),
        n_iter_no_change=float("inf"),
        class_weight={0: 1.0, 1: np.float64(2.0), 2: 3},
    ).fit(X, y),
    "parts": lambda: MLPClassifier(
        solver=Adam(beta_2=0.9),
        learning_rate=Warmup(Piecewise([2], [1.0, 0.1]), epochs=1),
        loss=FocalLoss(1.5),
        callbacks=[ModelCheckpoint(every=100)],
        max_iter=3,
    ).fit(X, y),
    "generator": lambda: MLPClassifier(
        max_iter=3, random_state=np.random.Generator(np.random.Philox(3))
    ).fit(X, y),
    "random state": lambda: MLPClassifier(max_iter=3, random_state=np.random.RandomState(3)).fit(
        X, y
    ),
    "odd containers": lambda: MLPClassifier(
        range(5, 3, -1),
        class_weight=OrderedDict({0: 1.0, 1: 2.0, 2: 1.0}),
        callbacks=[ModelCheckpoint(Path("a") / "b", every=99)],
        max_iter=2,
    ).fit(X, y),
    "columns with names": lambda: (
        MLPClassifier(max_iter=3)
        .set_output(transform="pandas")
        .fit(pd.DataFrame(X, columns=list("abcd")), y)
    ),
    **{
        f"activation {name}": lambda name=name: MLPRegressor((4,), name, max_iter=2).fit(X, y)
        for name in ACTIVATIONS
    },
    **{
        f"solver {name}": lambda name=name: MLPRegressor((4,), solver=name, max_iter=2).fit(X, y)
        for name in OPTIMIZERS
    },
    **{
        f"schedule {name}": lambda name=name: MLPRegressor(
            (4,), learning_rate=SCHEDULES[name](), max_iter=2
        ).fit(X, y)
        for name in SCHEDULES
    },
    **{
        f"loss {name}": lambda name=name: MLPClassifier((4,), loss=name, max_iter=2).fit(X, y)
        for name in CLASSIFICATION_LOSSES
    },
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_comes_back_as_it_was(kind, again, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = MODELS[kind]()
    assert_same(again(model), model)
    assert_same(again(again(model)), model)


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_partial_fit_goes_on_to_the_last_bit(solver, again):
    model = MLPClassifier((6,), solver=solver, dropout=0.2, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    twin = again(model)
    for each in (model, twin):
        each.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(outputs(twin), outputs(model))


def test_a_warm_start_goes_on(again):
    model = MLPClassifier((6,), warm_start=True, max_iter=3, random_state=0).fit(X, y)
    twin = again(model)
    np.testing.assert_array_equal(outputs(twin.fit(X, y)), outputs(model.fit(X, y)))


def test_live_views_stay_live(again):
    model = again(MODELS["regressor"]())
    for view in (*model.coefs_, *model.intercepts_):
        view[...] = 0
    assert (model.network_.parameters.values == 0).all()
    assert (model.predict(X) == 0).all()


def test_labels_of_every_type(again):
    labels = {
        "bool": np.array([True, False, True]),
        "int8": np.array([-1, 0, 1], np.int8),
        "uint64": np.array([1, 2, 2**63], np.uint64),
        "floats": np.array([0.0, 1.0, 2.0]),
    }
    for kind, classes in labels.items():
        model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, classes[y])
        twin = again(model)
        assert twin.predict(X).dtype == model.predict(X).dtype, kind
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        np.testing.assert_array_equal(twin.classes_, model.classes_)


def test_a_fitted_model_is_small(again):
    model = MLPClassifier((100,), max_iter=3, early_stopping=True).fit(X, y)
    weights = model.network_.parameters.values.nbytes
    assert len(pickle.dumps(again(model))) < weights + 8000


def test_a_file_is_about_as_large_as_the_weights(tmp_path):
    model = MLPRegressor((200, 200), max_iter=2).fit(X.astype("float32"), y)
    save(model, tmp_path / "model")
    weights = model.network_.parameters.values.nbytes
    assert weights < os.path.getsize(tmp_path / "model") < weights + 20_000


def test_predictions_in_memory_maps(tmp_path):
    model = MODELS["binary"]()
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict_proba(X), model.predict_proba(X))


# Parts of the user's own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MLPClassifier(solver=OwnAdam(), max_iter=2), r"solver is an object of .*\.OwnAdam"),
        (MLPClassifier(layers=[OwnLayer()], max_iter=2), r"layers\[0\] is an object of .*OwnLayer"),
        (MLPClassifier(callbacks=[OwnCallback()], max_iter=2), r"callbacks\[0\] is an object of"),
        (MLPClassifier(scoring=lambda m, X, y: 0.0, max_iter=2), r"scoring is an object of"),
    ],
    ids=["optimizer", "layer", "callback", "function"],
)
def test_files_say_that_they_hold_no_classes_of_the_users_own(model, words, tmp_path):
    model.fit(X, y)
    with pytest.raises(TypeError, match=f"skdeep.save: MLPClassifier.*{words}.*holds no code"):
        save(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    if "function" not in repr(model):
        assert_same(pickle.loads(pickle.dumps(model)), model)


@pytest.mark.parametrize(
    "model",
    [OwnClassifier(max_iter=2), make_pipeline(StandardScaler(), MLPClassifier()), Adam(), None],
    ids=["subclass", "pipeline", "part", "None"],
)
def test_files_hold_our_estimators_only(model, tmp_path):
    if hasattr(model, "fit"):
        model.set_params(**{k: 2 for k in model.get_params() if k.endswith("max_iter")}).fit(X, y)
    with pytest.raises(TypeError, match=r"is none of \['MLPAutoencoder', 'MLPClassifier', "):
        save(model, tmp_path / "model")


class AddsToItsState(MLPClassifier):
    def __getstate__(self):
        return {**super().__getstate__(), "extra_": 1}


@pytest.mark.parametrize("Estimator", [OwnClassifier, AddsToItsState])
def test_a_subclass_is_pickled(Estimator):
    model = Estimator(max_iter=2).fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(outputs(twin), outputs(model))
    assert vars(twin).keys() - vars(model).keys() <= {"extra_"}


def test_an_estimator_that_is_not_fitted(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        save(MLPClassifier(), tmp_path / "model")
    assert repr(pickle.loads(pickle.dumps(MLPClassifier((3,))))) == repr(MLPClassifier((3,)))


def test_a_shallow_copy_shares_what_was_learned():
    model = MODELS["binary"]()
    assert copy.copy(model).network_ is model.network_


# skops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["strings", "layers", "parts", "autoencoder", "early stopping"])
def test_skops_has_to_trust_one_class(kind, tmp_path, monkeypatch):
    io = pytest.importorskip("skops.io")
    monkeypatch.chdir(tmp_path)
    model = MODELS[kind]()
    pipeline = make_pipeline(StandardScaler(), model) if kind != "autoencoder" else model
    io.dump(pipeline, tmp_path / "model.skops")
    trusted = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert trusted == [f"{type(model).__module__}.{type(model).__name__}"]
    twin = io.load(tmp_path / "model.skops", trusted=trusted)
    twin = twin if kind == "autoencoder" else twin[-1]
    np.testing.assert_array_equal(outputs(twin), outputs(model))


# Writing --------------------------------------------------------------------------------------


def test_half_a_file_never_takes_the_place_of_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    save(MODELS["binary"](), path)
    before = path.read_bytes()

    def fails(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        save(MODELS["strings"](), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_writing_at_once_leaves_one_whole_file(tmp_path):
    models = [MLPClassifier((n,), max_iter=2, random_state=0).fit(X, y) for n in (3, 200)]
    path = tmp_path / "model"

    def write(model):
        for _ in range(20):
            save(model, path)

    threads = [threading.Thread(target=write, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load(path).hidden_layer_sizes in [(3,), (200,)]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["model", "modèle ☃", "a.b.c"])
def test_any_name_will_do(name, tmp_path):
    model = MODELS["binary"]()
    save(model, str(tmp_path / name))
    assert_same(load(str(tmp_path / name)), model)


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(MODELS["binary"](), tmp_path / "nowhere" / "model")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


# Files that are damaged, or hostile -----------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model"
    model = MLPClassifier((4, 3), batch_norm="after", max_iter=2, random_state=0)
    save(model.fit(X.astype("float32"), np.array(["a", "b", "c"])[y]), path)
    return path.read_bytes()


def refused(data, path):
    """Return the error that a file gets; None where it is taken, and then it is of use."""
    path.write_bytes(data)
    try:
        model = load(path)
    except InvalidFileError as error:
        return str(error)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of weights that are nonsense
        model.predict(X)
    return None


def test_a_good_file_is_taken_apart_and_put_together(good, tmp_path):
    assert sealed(*parts_of(good)) == good
    assert refused(good, tmp_path / "model") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda good: b"", "is not a file that skdeep.save wrote"),
        (lambda good: b"PK\3\4" + good, "is not a file that skdeep.save wrote"),
        (lambda good: good[:20], "is not a file that skdeep.save wrote"),
        (lambda good: good[:-1], "was cut off"),
        (lambda good: good + b"\0", "something was added"),
        (lambda good: good[:-1] + bytes([good[-1] ^ 1]), "its checksum is wrong"),
        (lambda good: sealed(*parts_of(good), version=2), "is of format 2, .*install a newer"),
        (lambda good: sealed(b"[]", b""), "does not hold a model"),
        (lambda good: sealed(b"{", b""), "does not hold a model"),
        (lambda good: sealed(b"[" * 100_000, b""), "does not hold a model"),
        (lambda good: sealed(b'{"model": 3}', b""), "int is no model"),
        (lambda good: sealed(*parts_of(good)[:1], b""), "longer than the file"),
    ],
)
def test_files_that_are_something_else(change, words, good, tmp_path):
    assert re.search(words, refused(change(good), tmp_path / "model"))


def test_three_thousand_damaged_files(good, tmp_path):
    """Half of them are just damaged; of the others the checksum is right, as a villain makes it."""
    rng = np.random.default_rng(0)
    header, body = parts_of(good)
    path = tmp_path / "model"
    n_taken = 0
    for i in range(3_000):
        kind = i % 4
        source = (good, good, header, body)[kind]
        data = bytearray(source)
        for _ in range(rng.integers(1, 4)):
            position = rng.integers(len(data))
            if kind == 1:
                data = data[:position] or data
            elif kind == 2 and rng.random() < 0.3:
                stop = position + rng.integers(1, 40)
                data[position:stop] = data[stop : stop + rng.integers(0, 40)]
            else:
                data[position] ^= 1 << rng.integers(8)
        if kind < 2:
            if bytes(data) != good:
                assert refused(bytes(data), path) is not None
            continue
        changed = sealed(bytes(data), body) if kind == 2 else sealed(header, bytes(data))
        n_taken += refused(changed, path) is None
    assert n_taken > 100  # other weights, other names: it is not that all are refused


def changed(good, change):
    """Return the file with a change to what its header says."""
    header, body = parts_of(good)
    content = json.loads(header)
    change(content["model"])
    return sealed(json.dumps(content).encode(), body)


def find(data, name):
    """Return the first object of a class in plain data."""
    if isinstance(data, dict):
        if data.get("$object") == name:
            return data
        data = list(data.values())
    found = (find(entry, name) for entry in data) if isinstance(data, list) else ()
    return next((f for f in found if f is not None), None)


def of(name, **state):
    return lambda model: find(model, name)["state"].update(state)


HOSTILE = {
    "a class of the standard library": lambda model: model.update({"$object": "os.system"}),
    "a class that is no model": lambda model: model.update({"$object": "layers.Dense"}),
    "a tag that is unknown": of("estimators.MLPClassifier", alpha={"$code": "1"}),
    "an array of objects": of("estimators.MLPClassifier", alpha={"$array": ["|O", 3]}),
    "an array without end": of("estimators.MLPClassifier", alpha={"$array": ["<f8", 10**18]}),
    "an array of negative size": of("estimators.MLPClassifier", alpha={"$array": ["<f8", -8]}),
    "a dtype with fields": of("estimators.MLPClassifier", alpha={"$dtype": "f8,O"}),
    "an unknown generator": of(
        "estimators.MLPClassifier", random_state={"$generator": {"bit_generator": "os"}}
    ),
    "objects in a shape": of(
        "estimators.MLPClassifier", alpha={"$objects": [1], "shape": [10**9, 10**9]}
    ),
    "no network": lambda model: find(model, "training.Run")["state"].pop("network"),
    "a network that is a number": of("training.Run", network=3),
    "more units": of("layers.Dense", units=10**12),
    "other units": of("layers.Dense", units=5),
    "another number of inputs": of("network.Network", n_inputs=10**12),
    "other stops": of("network.Network", hidden_stops=[10**9]),
    "another dtype": of("network.Network", dtype={"$dtype": "<f8"}),
    "a layer that is a number": lambda model: find(model, "layers.Chain")["state"].update(
        layers=[1, 2]
    ),
    "no layers": lambda model: find(model, "layers.Chain")["state"].update(layers=[]),
    "a chain in itself": lambda model: find(model, "layers.Chain")["state"].update(
        layers=[{"$same": find(model, "layers.Chain")["number"]}]
    ),
    "a parameter of another shape": of("parameters.Parameter", shape={"$tuple": [10**6, 10**6]}),
    "classes that are missing": lambda model: model["state"].pop("classes_"),
    "an encoder without classes": of("data.ClassEncoder", classes=None),
    "features that do not fit": of("estimators.MLPClassifier", n_features_in_=7),
    "a method that is a number": of("estimators.MLPClassifier", predict=3),
    "a loss that is none": of("training.Run", loss=None),
    "a generator that is a model": lambda model: find(model, "training.Streams")["state"]["init"][
        "$generator"
    ].update(bit_generator={"$same": 0}),
    "a generator that reads elsewhere": lambda model: model["state"].update(
        random_state=generator(np.random.Philox(), buffer_pos=-(10**9))
    ),
    "a Mersenne twister that reads elsewhere": lambda model: model["state"].update(
        random_state=generator(np.random.MT19937(), pos=2**31 - 1)
    ),
    "classes without outputs": of("data.ClassEncoder", classes=list(range(1000))),
    "a history of several lengths": of("training.Run", history={"loss": [1.0], "seconds": []}),
    "no run": lambda model: model["state"].pop("_run"),
    "a run that is a network": of(
        "estimators.MLPClassifier", _run={"$object": "network.Network", "number": 99, "state": {}}
    ),
    "layers within layers without end": lambda model: find(model, "layers.Chain")["state"].update(
        layers=[bush(40)]
    ),
    "columns without end": lambda model: find(model, "layers.Chain")["state"].update(
        layers=[*[layer("Concatenate", branches=[[]] * 10) for _ in range(12)]]
    ),
    "columns without end, well hidden": lambda model: find(model, "layers.Chain")["state"].update(
        layers=[
            layer(
                "Residual",
                layers=[
                    *[layer("Concatenate", branches=[[]] * 10) for _ in range(12)],
                    layer("Columns", columns=[0, 1, 2, 3]),
                ],
            )
        ]
    ),
}


def layer(kind, **state):
    return {"$object": f"layers.{kind}", "number": str(state), "state": state}


def bush(depth):
    """Return a layer that has two of the kind below in it, and those two again."""
    inner = layer("Dropout", rate=0.0)
    for i in range(depth):
        again = {"$same": inner["number"]}
        inner = {**layer("Residual", layers=[inner, again]), "number": f"bush {i}"}
    return inner


def generator(bit_generator, **changes):
    state = bit_generator.state
    for key in changes:
        (state if key in state else state["state"])[key] = changes[key]
    plain = json.loads(json.dumps(state, default=lambda array: array.tolist()))
    return {"$generator": plain}


def in_front(*layers, n_inputs=4):
    """Return a change that puts layers below the first one of a network."""

    def change(model):
        network = find(model, "network.Network")["state"]
        back = layer("Columns", columns=[0, 1, 2, 3], n=-1)  # what the layers above expect
        find(model, "layers.Chain")["state"]["layers"][:0] = [*layers, back]
        network["hidden_stops"] = [stop + len(layers) + 1 for stop in network["hidden_stops"]]
        network["n_inputs"] = model["state"]["n_features_in_"] = n_inputs

    return change


def columns(i):
    return layer("Columns", columns={"$slice": [None, None, None]}, n=i)


def gelu(i):
    return layer("Activation", function={"$object": "activations.GELU", "number": f"f{i}",
                                         "state": {}}, n=i)  # fmt: skip


def shared(depth):
    """Return a regularizer whose parts are the one below, twice."""
    inner = {"$object": "regularizers.L1L2", "number": "r", "state": {"l1": 0.0, "l2": 0.0}}
    for i in range(depth):
        state = {"l1": inner, "l2": {"$same": inner["number"]}}
        inner = {"$object": "regularizers.L1L2", "number": f"r{i}", "state": state}
    return inner


BOMBS = {
    "shared": (of("estimators.MLPClassifier", kernel_regularizer=shared(20)), "share more parts"),
    "wide": (in_front(*map(columns, range(12)), n_inputs=1 << 26), "more columns than"),
    "often": (in_front(*map(columns, range(300)), n_inputs=1 << 20), "more columns than"),
    "slow": (in_front(*map(gelu, range(3000)), n_inputs=10**6), "more columns than"),
    "range": (
        in_front(layer("Columns", columns={"$range": [0, 3 * 10**7, 1]}), n_inputs=3 * 10**7),
        "is longer than",
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_small_files_take_neither_long_nor_much_memory(kind, good, tmp_path):
    change, words = BOMBS[kind]
    data = changed(good, change)
    tracemalloc.start()
    start = time.perf_counter()
    message = refused(data, tmp_path / "model")
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in message
    assert seconds < 10  # it was up to a minute, and doubled with one layer more
    assert peak < 200e6 + 50 * len(data)


def test_what_is_put_in_front_is_not_refused_as_such(good, tmp_path):
    data = changed(good, in_front(columns(0), gelu(1)))
    assert refused(data, tmp_path / "model") is None


def test_a_header_of_nothing_but_brackets(tmp_path):
    data = sealed(b'{"model":[' + b"{}," * 10**7 + b"{}]}", b"")
    assert "more parts than any model" in refused(data, tmp_path / "model")


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind, good, tmp_path):
    message = refused(changed(good, HOSTILE[kind]), tmp_path / "model")
    assert message is not None
    assert "does not hold a model" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.optimizer_, "slots_", [np.zeros(1), np.zeros(1)]),
        lambda m: setattr(m.optimizer_, "slots_", m.optimizer_.slots_[:1]),
        lambda m: setattr(m.optimizer_, "slots_", [[0.0] * 10] * 2),
        lambda m: setattr(m.optimizer_, "slots_", [s.astype("f4") for s in m.optimizer_.slots_]),
        lambda m: setattr(m.optimizer_, "beta_1", "a"),
        lambda m: setattr(m._run.monitor, "best_vectors", [np.zeros(3)]),
        lambda m: setattr(m._run, "streams", None),
        lambda m: setattr(m._run, "optimizer", m._run.schedule),
    ],
)
def test_arrays_that_compiled_code_would_write_past_are_refused(change, tmp_path, save_anything):
    model = MLPClassifier((4,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").optimizer_.started
    change(model)
    with pytest.raises(ValueError, match="load would not read this model"):
        save(model, tmp_path / "model")
    assert load(tmp_path / "model").optimizer_.started  # the file is what it was
    save_anything(model, tmp_path / "model")
    with pytest.raises(InvalidFileError, match="does not hold a model"):
        load(tmp_path / "model")


# What was saved is read -------------------------------------------------------------------------


class Stop(Callback):
    """Stop with something that is true, but is no bool."""

    needs_run_id = False

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, trainer):
        trainer.stop_training = np.True_
        trainer.save(self.path)


def test_a_users_callback_saves_what_can_be_read(tmp_path):
    MLPClassifier((4,), callbacks=Stop(tmp_path / "model"), max_iter=3).fit(X, y)
    assert load(tmp_path / "model").n_iter_ == 1


def fitted_in_two_dtypes():
    model = MLPClassifier((4,), max_iter=2, early_stopping=True).fit(X.astype("f4"), y)
    return model.set_params(dtype="float64", early_stopping=False).partial_fit(X, y)


def few_of_many_columns():
    wide = sp.random(40, 1 << 20, 1e-5, format="csr", random_state=0)
    layers = [Columns(range(20)), Dense(3)]
    return MLPRegressor(layers=layers, max_iter=2).fit(wide, np.arange(40.0))


def of_many_layers():
    layers = [*[Dropout(0.0) for _ in range(3400)], Dense(3)]
    return MLPRegressor(layers=layers, max_iter=1).fit(X, X[:, 0])


class Interrupt(Callback):
    """Ctrl-C while an epoch is written into the history."""

    def on_epoch_end(self, trainer):
        trainer.history["loss"].append(1.0)
        raise KeyboardInterrupt


def interrupted():
    return MLPClassifier((4,), callbacks=Interrupt()).fit(X, y).set_params(callbacks=None)


@pytest.mark.filterwarnings("ignore:Training interrupted")
@pytest.mark.parametrize(
    "make", [fitted_in_two_dtypes, few_of_many_columns, of_many_layers, interrupted]
)
def test_what_save_wrote_load_reads(make, tmp_path):
    model = make()
    save(model, tmp_path / "model")
    twin = load(tmp_path / "model")
    nothing = np.zeros((1, model.n_features_in_))
    np.testing.assert_array_equal(twin.predict(nothing), model.predict(nothing))
    assert len(set(map(len, twin.history_.values()))) == 1


def test_callbacks_that_write_files_come_back_only_if_asked_for(tmp_path):
    log, path = tmp_path / "log.csv", tmp_path / "model"
    callbacks = [CSVLogger(log), LearningRateLogger(), ModelCheckpoint(tmp_path / "check")]
    model = MLPClassifier((4,), max_iter=2, callbacks=callbacks).fit(X, y)
    save(model, path)
    (kept,) = load(path).callbacks
    assert type(kept) is LearningRateLogger
    kinds = [type(callback) for callback in load(path, with_writers=True).callbacks]
    assert kinds == [CSVLogger, LearningRateLogger, ModelCheckpoint]
    save(model.set_params(callbacks=CSVLogger(log)), path)
    log.write_text("precious", encoding="utf-8")
    twin = load(path)
    assert twin.callbacks is None
    twin.fit(X, y)
    assert log.read_text(encoding="utf-8") == "precious"


def test_reading_in_threads_leaves_warnings_alone(good, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(good)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: load(path), range(200)))
    assert list(warnings.filters) == before


def test_what_a_layer_says_of_its_weights_is_not_believed(tmp_path):
    """It is built anew from its parameters: an array that is too small can't be slipped in."""
    model = MODELS["binary"]()
    expected = outputs(model)
    other = MLPClassifier((2,), max_iter=1).fit(X[:, :1], y > 0)
    model.network_.layers[0].kernel_ = other.network_.layers[0].kernel_
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(outputs(load(tmp_path / "model")), expected)


def test_only_regular_files_are_opened(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(InvalidFileError, match="is no regular file"):
            load(tmp_path / "fifo")
    with pytest.raises(InvalidFileError, match="is no regular file"):
        load(tmp_path)


def test_a_link_stays_a_link(tmp_path):
    os.symlink(tmp_path / "target", tmp_path / "link")
    save(MODELS["binary"](), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same(load(os.fsencode(tmp_path / "link")), load(tmp_path / "target"))


def test_weights_that_are_not_finite_are_refused(good, tmp_path):
    header, body = parts_of(good)
    message = refused(sealed(header, b"\xff" * len(body)), tmp_path / "model")
    assert "does not hold a model" in message


def test_a_file_that_claims_to_be_huge_takes_no_memory(good, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "model"
    lengths = LENGTHS.pack(b"\x93skdeep\n", 1, 1 << 20, 8 << 30)
    with open(path, "wb") as file:  # a sparse file: 8 GB of nothing
        file.write(lengths + b"\0" * HASH_BYTES)
        file.truncate(len(lengths) + HASH_BYTES + (1 << 20) + (1 << 28))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidFileError, match="was cut off"):
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_reading_needs_nothing_but_the_file(tmp_path):
    """In another process, which has not imported anything of what the model is made of."""
    model = MODELS["layers"]()
    save(model, tmp_path / "model")
    code = (
        f"import skdeep; model = skdeep.load({str(tmp_path / 'model')!r}); "
        "print(model.network_.infer(__import__('numpy').ones((1, 4))).tobytes().hex())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.decode().strip() == model.network_.infer(np.ones((1, 4))).tobytes().hex()


def test_the_public_names():
    assert {"save", "load", "InvalidFileError"} <= set(skdeep.__all__)


# What comes from a pickle, or through skops, is checked as well -----------------------------------


def unsorted_classes(model):
    model.classes_ = model._encoder.classes = np.array([2, 1, 0])


DAMAGES = {
    "slots": lambda m: setattr(m.optimizer_, "slots_", [s[:1] for s in m.optimizer_.slots_]),
    "best weights": lambda m: setattr(m._run.monitor, "best_vectors", [np.zeros(3)]),
    "a shape": lambda m: setattr(m.network_.layers[0].kernel_, "shape", (4, 5000)),
    "units": lambda m: setattr(m.network_.layers[0], "units", 5000),
    "classes": unsorted_classes,
    "outputs": lambda m: setattr(m, "n_outputs_", 300),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_sizes_in_pickles_are_checked(damage):
    model = MLPClassifier((4,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    DAMAGES[damage](model)
    data = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"sizes|reshape|sorted|values|outputs"):
        pickle.loads(data)


# Files that are there, and what killed runs have left --------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_permissions_stay_and_other_files_are_not_replaced(tmp_path):
    model = MLPClassifier((4,), max_iter=1).fit(X, y)
    path = tmp_path / "model"
    save(model, path)
    path.chmod(0o600)
    save(model, path)
    assert path.stat().st_mode & 0o777 == 0o600
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no regular file"):
        save(model, tmp_path / "pipe")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "pipe"]


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_parts_of_killed_runs_are_removed_and_those_of_others_are_not(tmp_path):
    import fcntl

    model = MLPClassifier((4,), max_iter=1).fit(X, y)
    path = tmp_path / "model"
    start = container._start_of_parts(path)
    names = ["dead", "fresh", "busy"]
    parts = {name: tmp_path / f"{start}{name}{container.PART}" for name in names}
    of_another = container._start_of_parts(tmp_path / "b")
    parts["of another file"] = tmp_path / f"{of_another}x{container.PART}"
    for name, part in parts.items():
        part.write_bytes(b"half a model")
        if name != "fresh":
            os.utime(part, (0, 0))
    with open(parts["busy"], "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        save(model, path)
    assert {name for name, part in parts.items() if not part.exists()} == {"dead"}
