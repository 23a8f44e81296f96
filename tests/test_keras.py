"""The programs of docs/keras/: Keras or PyTorch and skdeep give equal weights and predictions.

Where the other library is not installed, the programs of skdeep are run alone. skdeep draws the
first weights, and the noise of training; the other library is given the same numbers.
"""

import os
import re
import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from skdeep import initializers
from skdeep._component import resolve
from skdeep.initializers import INITIALIZERS, Initializer
from skdeep.layers import Dropout, GaussianNoise
from skdeep.training.trainer import Trainer

PAGES = sorted((Path(__file__).parents[1] / "docs" / "keras").glob("*.md"))
HAS_KERAS = find_spec("keras") is not None
SHARED = {
    "keras": "Lines that all programs share",
    "torch": "Lines that the programs in PyTorch share",
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sections():
    """Return the code blocks of each section of the pages: {heading: {language: code}}."""
    found = {}
    for page in PAGES:
        for section in re.split(r"^###? ", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            heading, _, text = section.partition("\n")
            assert heading not in found, f"{heading} twice: the second in {page.name}"
            blocks = re.findall(r"^```python ?(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            found[heading] = {language or "data": code for language, code in blocks}
            found[heading]["rows"] = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", text, re.MULTILINE)
    return found


def programs(found):
    """Return {name: {language: code}}: one program for each pair of blocks, and each row below."""
    both = {}
    for heading, blocks in found.items():
        theirs = "torch" if "torch" in blocks else "keras"
        if not {theirs, "skdeep"} <= set(blocks) or heading in SHARED.values():
            continue
        first, *others = blocks["rows"] or [("", "")]
        both[heading] = {language: blocks[language] for language in (theirs, "skdeep")}
        for row in others:
            changes = list(zip((theirs, "skdeep"), first, row, strict=True))
            assert all(one in blocks[language] for language, one, _ in changes), heading
            both[f"{heading}: {row[0]}"] = {
                language: blocks[language].replace(one, other) for language, one, other in changes
            }
    return both


SECTIONS = sections()
PROGRAMS = programs(SECTIONS)


@pytest.fixture(scope="module")
def keras():
    """Keras, computing in float64, or None."""
    if not HAS_KERAS:
        return None
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        if keras.backend.backend() == "jax":
            import jax

            jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    return keras


class Tape:
    """The weights that every fit of skdeep began with, and the noise by layer and batch."""

    def __init__(self):
        self.starts, self.noise = [], []

    def record(self, monkeypatch):
        """Record what skdeep draws from now on."""
        fit, drop, add_noise = Trainer.fit, Dropout.forward, GaussianNoise.forward

        def recorded_fit(trainer, *args, **kwargs):
            self.starts.append([p.value.copy() for _, p in trainer.network.named_parameters()])
            return fit(trainer, *args, **kwargs)

        def recorded_drop(layer, X):
            Y = drop(layer, X)
            self.noise.append(np.divide(Y, X, out=np.zeros_like(X), where=X != 0))
            return Y

        def recorded_noise(layer, X):
            Y = add_noise(layer, X)
            self.noise.append(Y - X)
            return Y

        monkeypatch.setattr(Trainer, "fit", recorded_fit)
        monkeypatch.setattr(Dropout, "forward", recorded_drop)
        monkeypatch.setattr(GaussianNoise, "forward", recorded_noise)

    def replay(self, keras, monkeypatch):
        """From now on, let every model of Keras begin with these weights, and draw this noise."""
        self.order, self.begun = {}, []
        add_weight = keras.Layer.add_weight

        def ordered_weight(layer, *args, **kwargs):
            variable = add_weight(layer, *args, **kwargs)
            self.order[id(variable)] = len(self.order), variable
            return variable

        def begins(method):
            def wrapper(model, x, *args, **kwargs):
                self.begin(keras, model, x)
                return method(model, x, *args, **kwargs)

            return wrapper

        def replayed(combine):
            def call(layer, inputs, training=False):
                return combine(inputs, keras.ops.array(self.noise.pop(0))) if training else inputs

            return call

        monkeypatch.setattr(keras.Layer, "add_weight", ordered_weight)
        for name in ("fit", "train_on_batch"):
            monkeypatch.setattr(keras.Model, name, begins(getattr(keras.Model, name)))
        monkeypatch.setattr(keras.layers.Dropout, "call", replayed(keras.ops.multiply))
        monkeypatch.setattr(keras.layers.GaussianNoise, "call", replayed(keras.ops.add))

    def begin(self, keras, model, x):
        """Give a new model its first weights; compare those of a model that continues."""
        is_new = not any(model is other for other in self.begun)
        if not is_new and not self.starts:
            return  # one fit of skdeep stands for several
        model.run_eagerly = True  # a compiled step would draw the noise of the first batch for ever
        if not model.built:
            model(keras.tree.map_structure(lambda array: array[:1], x))
        for variable, value in matched(self.weights(model), self.starts.pop(0)):
            if is_new:
                variable.assign(value)
            else:
                assert_equal(value, keras.ops.convert_to_numpy(variable), variable.path)
        self.begun.append(model)

    def weights(self, model):
        """Return the weights of a model, in the order of their creation."""
        own = [weight for weight in model.weights if id(weight) in self.order]
        return sorted(own, key=lambda weight: self.order[id(weight)][0])


def matched(variables, arrays):
    """Pair the variables of Keras with the arrays of skdeep: in order, with equal shapes."""
    left, pairs = list(arrays), []
    for variable in variables:
        shape = tuple(variable.shape)
        alike = [i for i, array in enumerate(left) if array.shape == shape]
        wider = [i for i, array in enumerate(left) if array.shape[:-1] == shape[:-1]]
        assert alike or wider, f"skdeep has no weights of the shape {shape}"
        if alike:
            pairs.append((variable, left.pop(alike[0])))
        else:  # skdeep has one output layer for several outputs
            value, left[wider[-1]] = np.split(left[wider[-1]], shape[-1:], axis=-1)
            pairs.append((variable, value))
    assert not left, f"Keras has no weights of the shapes {[array.shape for array in left]}"
    return pairs


def run(language, name, monkeypatch):
    """Run a program of the page; return its names."""
    module = types.ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    data = SECTIONS[SHARED["keras"]]["data"]
    shared = SECTIONS[SHARED["torch" if "torch" in PROGRAMS[name] else "keras"]]
    for code in (data, shared[language], PROGRAMS[name][language]):
        exec(compile(code, f"{name} ({language})", "exec"), vars(module))
    return vars(module)


def assert_equal(actual, desired, what):
    """Compare arrays, or lists of them."""
    if isinstance(desired, list) and np.ndim(desired[0]):
        assert len(actual) == len(desired)
        for one, other in zip(actual, desired, strict=True):
            assert_equal(one, other, what)
        return
    actual, desired = np.asarray(actual, float), np.asarray(desired, float)
    assert actual.size == desired.size, f"{what}: {actual.shape} and {desired.shape}"
    np.testing.assert_allclose(
        actual.reshape(desired.shape), desired, rtol=1e-6, atol=1e-6, err_msg=what
    )


@pytest.mark.parametrize("name", [n for n in PROGRAMS if "keras" in PROGRAMS[n]])
def test_programs_agree(name, keras, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKDEEP_KERNELS", os.environ.get("SKDEEP_KERNELS", "numpy"))
    tape = Tape()
    tape.record(monkeypatch)
    ours = run("skdeep", name, monkeypatch)
    if keras is None:
        return
    tape.replay(keras, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = run("keras", name, monkeypatch)
        if "mlp" in ours:
            weights = [keras.ops.convert_to_numpy(w) for w in tape.weights(theirs["model"])]
        if "result" in theirs:
            result = theirs["result"]
            result = keras.ops.convert_to_numpy(result) if keras.ops.is_tensor(result) else result
        else:
            result = theirs["model"].predict(theirs["X"])
    assert not tape.starts
    assert not tape.noise
    assert_equal(ours["result"] if "result" in ours else predictions(ours), result, "result")
    if "mlp" in ours:
        values = [p.value for _, p in ours["mlp"].network_.named_parameters()]
        for theirs_, ours_ in matched(weights, values):
            assert_equal(ours_, theirs_, "weights")


@pytest.mark.parametrize("name", [n for n in PROGRAMS if "torch" in PROGRAMS[n]])
def test_programs_in_pytorch_agree(name, monkeypatch):
    monkeypatch.setenv("SKDEEP_KERNELS", os.environ.get("SKDEEP_KERNELS", "numpy"))
    tape = Tape()
    tape.record(monkeypatch)
    ours = run("skdeep", name, monkeypatch)
    if not find_spec("torch"):
        return
    import torch

    create = torch.optim.Optimizer.__init__

    def begin(optimizer, parameters, *args, **kwargs):
        """Give the network the first weights; a kernel of PyTorch may be transposed."""
        parameters = list(parameters)
        for parameter, value in zip(parameters, tape.starts[0], strict=True):
            same = value if value.shape == tuple(parameter.shape) else value.T
            parameter.data.copy_(torch.from_numpy(same.copy()))
        create(optimizer, parameters, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", begin)
    dtype = torch.get_default_dtype()
    try:
        theirs = run("torch", name, monkeypatch)
    finally:
        torch.set_default_dtype(dtype)
    assert_equal(ours["result"], theirs["result"].detach().numpy(), "result")


def predictions(ours):
    """Return what Keras's predict returns."""
    mlp, X = ours["mlp"], ours["X"]
    if not hasattr(mlp, "predict_proba"):
        return mlp.predict(X)
    P = mlp.predict_proba(X)
    return P[:, 1:] if len(mlp.classes_) == 2 and mlp.n_outputs_ == 1 else P


def test_the_table_of_programs_has_every_section():
    index = PAGES[0].with_name("index.md").read_text(encoding="utf-8")
    for page in PAGES:
        if page.name != "index.md":
            headings = re.findall("^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            for heading in set(headings) - set(SHARED.values()):
                anchor = re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
                assert f"]({page.name}#{anchor})" in index


@pytest.mark.parametrize("row", SECTIONS["Initializers"]["rows"], ids="".join)
def test_initializers_agree(row, keras):
    cell = eval(row[1], dict(vars(initializers)))
    ours = resolve(cell, INITIALIZERS, "initializer", Initializer)
    W = np.empty((200, 100))
    ours.fill(W, np.random.default_rng(0))
    if keras is None:
        return
    theirs = keras.initializers.get(eval(row[0], dict(vars(keras.initializers))))
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        V = keras.ops.convert_to_numpy(theirs(W.shape))
    shares = [0.0001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.9999]
    shares = shares if "uniform" in row[0].lower() else shares[1:-1]
    np.testing.assert_allclose(
        np.quantile(W, shares), np.quantile(V, shares), atol=0.05 * V.std() + 1e-12
    )
    np.testing.assert_allclose(W.std(), V.std(), rtol=0.02)
