"""Which set of kernels a run of training takes."""

import os
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import skdeep
from skdeep import MLPClassifier, MLPRegressor
from skdeep.activations import RReLU
from skdeep.kernels import (
    SECONDS_OF_COMPILING,
    SHORTEST_RUN_SECONDS,
    choose,
    numpy_kernels,
    set_kernels,
)
from skdeep.layers import Activation, BatchNorm, Dense

LONG, SHORT = 2 * SHORTEST_RUN_SECONDS, SHORTEST_RUN_SECONDS / 2


@pytest.fixture(autouse=True)
def from_scratch(monkeypatch):
    """Begin without a choice; put back what was there."""
    monkeypatch.setenv("SKDEEP_KERNELS", "auto")


@pytest.fixture
def numba_kernels():
    return pytest.importorskip("skdeep.kernels.numba_kernels")


@pytest.fixture
def no_numba(monkeypatch):
    """Let the import of numba fail, whether it is there or not."""
    for name in list(sys.modules):
        if name.startswith("skdeep.kernels.numba_kernels"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(skdeep.kernels, "numba_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)


def test_auto_takes_numba_for_long_runs(numba_kernels, monkeypatch):
    for value in ("auto", "", None):
        if value is None:
            monkeypatch.delenv("SKDEEP_KERNELS")
        else:
            monkeypatch.setenv("SKDEEP_KERNELS", value)
        assert choose(LONG) is numba_kernels
        assert choose(SHORT) is numpy_kernels


def test_a_choice_holds_for_every_run(numba_kernels):
    for name, kernels in (("numba", numba_kernels), ("numpy", numpy_kernels)):
        set_kernels(name)
        assert choose(LONG) is choose(SHORT) is kernels
        assert os.environ["SKDEEP_KERNELS"] == name


@pytest.mark.parametrize("name", ["Numba", "fast", "", None, 1])
def test_unknown_names(name, monkeypatch):
    with pytest.raises(ValueError, match=r"set_kernels: .* is unknown; choose from \['auto'"):
        set_kernels(name)
    assert os.environ["SKDEEP_KERNELS"] == "auto"


def test_an_unknown_name_in_the_environment(monkeypatch):
    monkeypatch.setenv("SKDEEP_KERNELS", "nunba")
    with pytest.raises(ValueError, match="environment variable SKDEEP_KERNELS: 'nunba'"):
        MLPClassifier(max_iter=1).fit([[0.0], [1.0]], [0, 1])


def test_without_numba_asking_for_it_says_what_to_install(no_numba):
    with pytest.raises(ImportError, match="compiled kernels need numba: pip install numba"):
        set_kernels("numba")
    assert os.environ["SKDEEP_KERNELS"] == "auto"


# What the import of numba runs, and what is said of it; the last is another package of that name.
BROKEN = {
    "raise OSError('no libLLVM')": "OSError: no libLLVM",
    "raise AttributeError('np has no long')": "AttributeError: np has no long",
    "from numba import nothing": "ImportError: .*nothing",
    "": "has no attribute|cannot import|No module",
}


def test_a_numba_that_is_broken_is_reported_and_replaced(tmp_path):
    path = tmp_path / "numba" / "__init__.py"
    path.parent.mkdir()
    script = f"""
import importlib, sys, warnings
from skdeep.kernels import choose, numpy_kernels
for code in {list(BROKEN)}:
    with open({str(path)!r}, "w") as file:
        file.write(code)
    importlib.invalidate_caches()
    assert "numba" not in sys.modules
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert choose(1000.0) is numpy_kernels
    print(*[str(w.message).replace(chr(10), " ") for w in caught])
"""
    said = run(script, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1").splitlines()
    for line, named in zip(said, BROKEN.values(), strict=True):
        assert re.search(f"numba is installed, but does not work: .*({named})", line)


def test_where_there_is_no_numba_nothing_is_said(no_numba, recwarn):
    assert choose(LONG) is numpy_kernels
    assert not recwarn.list


def test_a_numba_that_does_not_compile_is_left_alone(numba_kernels):
    code = """
import sys
from skdeep.kernels import choose, numpy_kernels, set_kernels
assert choose(1000.0) is numpy_kernels
try:
    set_kernels("numba")
except ImportError as error:
    print(error)
"""
    assert "NUMBA_DISABLE_JIT" in run(code, NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="error")


def test_ctrl_c_during_the_import_comes_when_it_is_whole(numba_kernels):
    code = """
import builtins, os, signal, sys
import skdeep.kernels
signal.signal(signal.SIGINT, signal.default_int_handler)  # of a process in the background it is not
real, sent = builtins.__import__, []
def interrupting(name, *args, **kwargs):
    if name.startswith("numba.core") and not sent:
        sent.append(name)
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *args, **kwargs)
builtins.__import__ = interrupting
try:
    skdeep.kernels.choose(1000.0)
except KeyboardInterrupt:
    print("interrupted", bool(sent))
builtins.__import__ = real
print(skdeep.kernels.choose(1000.0) is sys.modules["skdeep.kernels.numba_kernels"])
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    assert run(code).split("\n") == ["interrupted True", "True", "True", ""]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_short_run_and_predictions_do_not_import_numba():
    code = """
import sys
import numpy as np
from skdeep import MLPClassifier
X = np.random.default_rng(0).random((200, 5))
MLPClassifier(max_iter=20, tol=0, random_state=0).fit(X, X[:, 0] > 0.5).predict_proba(X)
print("numba" in sys.modules)
"""
    assert run(code, PYTHONWARNINGS="ignore").strip() == "False"


FITS = """
import sys
import numpy as np
from skdeep import MLPClassifier
rng = np.random.default_rng(0)
X, y = rng.random((600, 20)).astype(np.float32), rng.integers(0, 3, 600)
model = MLPClassifier(dropout=0.2, batch_size=32, max_iter=30, tol=0, random_state=0)
for rows in {order}:
    model.fit(X[:rows], y[:rows])
    print(model.predict_proba(X).tobytes().hex(), "numba" in sys.modules)
"""


def test_a_fit_does_not_depend_on_what_ran_before_it(numba_kernels):
    (alone,) = run(FITS.format(order=[600]), PYTHONWARNINGS="ignore").splitlines()
    short, after_another, short_after = run(
        FITS.format(order=[40, 600, 40]), PYTHONWARNINGS="ignore"
    ).splitlines()
    assert alone == after_another
    assert alone.endswith("True")  # long enough for the compiled kernels
    assert short.endswith("False")
    assert short_after.endswith("True")  # numba is there by now, and not used
    assert short.split()[0] == short_after.split()[0]


def test_both_sets_train_the_same_model(numba_kernels):
    rng = np.random.default_rng(0)
    X, y = rng.random((300, 10)).astype(np.float32), rng.integers(0, 3, 300)
    models = []
    for name in ("numpy", "numba"):
        set_kernels(name)
        model = MLPClassifier(
            (30, 20),
            batch_norm="before",
            dropout=0.3,
            input_noise=0.1,
            weight_noise=0.01,
            clip_norm=1.0,
            max_iter=5,
            tol=0,
            n_iter_no_change=9,
            random_state=0,
        )
        with pytest.warns(match="Maximum iterations"):
            models.append(model.fit(X, y))
    reference, compiled = models
    np.testing.assert_allclose(compiled.loss_curve_, reference.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(compiled.predict_proba(X), reference.predict_proba(X), atol=1e-3)
    for name in ("gradient_norm", "learning_rate"):
        np.testing.assert_allclose(compiled.history_[name], reference.history_[name], rtol=1e-3)


def test_compiled_code_is_found_again_in_another_process(numba_kernels, tmp_path):
    """Nothing is compiled twice: each kernel's key in the cache is the same everywhere."""
    code = """
import os
os.environ["SKDEEP_KERNELS"] = "numba"
import numpy as np
from skdeep import MLPClassifier
from skdeep.kernels.numba_kernels import activations, losses, optimizers, _passes, _loss, _update
rng = np.random.default_rng(0)
X, y = rng.random((64, 6)).astype(np.float32), rng.integers(0, 2, 64)
MLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
used = [*_passes("relu", False)[2:], _loss("log_loss", "identity"), _update("adam", 2)]
for f in used:
    hits, misses = sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())
    print(f.__name__, hits, misses)
"""
    environment = {"PYTHONWARNINGS": "ignore", "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (run(code, **environment).split("\n")[:-1] for _ in range(2))
    assert [line.split()[1:] for line in first] == [["0", "1"]] * 4
    assert [line.split()[1:] for line in second] == [["1", "0"]] * 4


def test_a_cache_that_is_broken_or_of_another_package_or_can_not_be_written(
    numba_kernels, tmp_path
):
    code = f"""
import importlib, pathlib, warnings
import numpy as np
from numba.core.caching import IndexDataCacheFile
from skdeep.kernels.numba_kernels import compiling, vectors

def call():
    # what a process does that finds the cache as it is now
    importlib.reload(vectors)
    x = np.ones(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vectors.scale(x, 2.0)
    assert x[0] == 2.0
    n_hits = sum(vectors.scale.stats.cache_hits.values())
    print(n_hits, any("cache of compiled kernels" in str(w.message) for w in caught))

call()
call()
for suffix in ("nbi", "nbc"):
    files = list(pathlib.Path({str(tmp_path)!r}).rglob(f"*.{{suffix}}"))
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:20])
    call()
    call()
compiling._Cache.sources = "another version"
call()
call()

def save(self, key, data):
    raise OSError(28, "No space left on device")

compiling._Cache.sources = "a third version"
IndexDataCacheFile.save = save
call()
"""
    said = run(code, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    new, found = ["0 False", "1 False"]
    assert said[:2] == [new, found]
    replaced = ["0 True", found]
    assert said[2:6] == replaced * 2
    assert said[6:8] == [new, found]  # although the file that the kernel is in did not change
    assert said[8:] == ["0 True"]


def test_where_code_can_not_be_kept_only_a_long_run_is_worth_compiling(numba_kernels, monkeypatch):
    monkeypatch.setattr(numba_kernels, "KEEPS_CODE", False)
    assert choose(LONG) is numpy_kernels
    assert choose(2 * SECONDS_OF_COMPILING) is numba_kernels


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_targets_in_fortran_order(numba_kernels, solver, rng):
    set_kernels("numba")
    X, Y = rng.standard_normal((40, 4)), np.asfortranarray(rng.standard_normal((40, 2)))
    model = MLPRegressor((5,), solver=solver, shuffle=False, max_iter=2, random_state=0)
    with pytest.warns(match="converge"):
        model.fit(X, Y)
    assert np.isfinite(model.predict(X)).all()


def test_many_rows_are_predicted_as_few_are(rng):
    X = rng.standard_normal((300, 4))
    layers = [Dense(8, "relu"), BatchNorm(), Dense(8), BatchNorm(), Activation("relu")]
    model = MLPRegressor(layers=layers, max_iter=3, random_state=0)
    with pytest.warns(match="converge"):
        model.fit(X, X[:, 0])
    np.testing.assert_allclose(model.predict(X)[:100], model.predict(X[:100]), rtol=1e-9)


def test_a_field_of_packed_records(numba_kernels):
    """Its strides are no multiple of its items' size; lbfgs takes the array as it is."""
    set_kernels("numba")
    records = np.zeros(40, np.dtype([("tag", "u1"), ("X", "f8", (6,))]))
    records["X"] = np.random.default_rng(0).standard_normal((40, 6))
    y = records["X"][:, 0]
    predictions = []
    for X in (records["X"], records["X"].copy()):
        model = MLPRegressor((8,), solver="lbfgs", max_iter=5, random_state=0)
        with pytest.warns(match="converge"):
            predictions.append(model.fit(X, y).predict(X))
    np.testing.assert_allclose(*predictions, rtol=1e-6)


@pytest.mark.parametrize("number", [np.float16, np.float32, np.longdouble, Fraction], ids=str)
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_options_may_be_numbers_of_any_kind(name, number, request):
    if name == "numba":
        request.getfixturevalue("numba_kernels")
    set_kernels(name)
    X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    kinds = {
        MLPClassifier: {"label_smoothing": number(0.25)},
        MLPRegressor: {"target_noise": number(0.25)},
    }
    for kind, more in kinds.items():
        model = kind(
            (6,),
            activation=RReLU(number(0.125), number(0.5)),
            dropout=number(0.25),
            input_noise=number(0.125),
            weight_noise=number(0.125),
            gradient_noise=number(0.125),
            batch_norm="before",
            batch_norm_momentum=number(0.875),
            batch_norm_epsilon=number(0.125),
            clip_norm=number(1.5),
            clip_value=number(0.5),
            alpha=number(0.125),
            weight_decay=number(0.125),
            learning_rate_init=number(0.125),
            max_iter=2,
            random_state=0,
            **more,
        )
        with pytest.warns(match="converge"):
            model.fit(X, X[:, 0] > 0)
