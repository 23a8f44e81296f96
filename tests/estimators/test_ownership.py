"""Nobody but the estimators' own modules sets an attribute of an estimator."""

import ast
import inspect
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone

import skdeep
from skdeep import (
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    fold_batch_norm,
    from_sklearn,
    load,
    save,
    to_sklearn,
)
from skdeep.callbacks import ModelCheckpoint
from skdeep.estimators.base import BaseMLP
from skdeep.inspection import check_gradients, diagnose, layer_statistics, learning_rate_range_test
from skdeep.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
OWN = ("skdeep.estimators.", "skdeep._component", "sklearn.")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture
def setters(monkeypatch):
    """The modules that set attributes of an estimator."""
    found = Counter()

    def recorded(self, name, value):
        found[sys._getframe(1).f_globals["__name__"], name] += 1
        object.__setattr__(self, name, value)

    monkeypatch.setattr(BaseMLP, "__setattr__", recorded, raising=False)
    return found


def foreign(setters):
    """Return the attributes that modules of skdeep outside of `estimators` have set."""
    return {
        (module, name)
        for module, name in setters
        if module.startswith("skdeep") and not module.startswith(OWN)
    }


def test_the_recorder_sees_who_sets_an_attribute(setters):
    model = MLPClassifier()
    model.something = 3
    assert setters[__name__, "something"] == 1


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, MLPAutoencoder])
def test_fits_of_all_kinds(Estimator, setters, tmp_path):
    options = {"max_iter": 2, "random_state": 0, "batch_norm": "before", "weight_averaging": "ema"}
    model = Estimator((4,), **options, callbacks=[ModelCheckpoint(tmp_path / "a", resume=True)])
    for _ in range(2):  # the second fit resumes
        model.fit(X, Y)
    model.partial_fit(X, Y)
    model.set_params(warm_start=True, dropout=0.2).fit(X, Y)
    model.set_params(warm_start="transfer").fit(X, Y)
    model.set_params(callbacks=None)
    save(model, tmp_path / "model")
    load(tmp_path / "model").partial_fit(X, Y)
    clone(model).set_params(
        solver="lbfgs", warm_start=False, weight_averaging=None, dropout=0.0
    ).fit(X, Y)
    assert setters
    assert foreign(setters) == set()


def test_conversion_and_inspection(setters):
    theirs = neural_network.MLPClassifier((4,), max_iter=3, random_state=0).fit(X, Y)
    model = from_sklearn(theirs)
    to_sklearn(model)
    fold_batch_norm(MLPClassifier((4,), batch_norm="after", max_iter=2).fit(X, Y))
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, Y)
    diagnose(model, X, Y)
    layer_statistics(model, X, Y)
    check_gradients(model, X, Y)
    learning_rate_range_test(model, X, Y, n_steps=5)
    assert foreign(setters) == set()


# What a recorder can't see: dictionaries that are written past __setattr__.
NAMES = {"estimator", "model", "mlp", "e", "saved"}


def writes(path):
    """Yield the places that write attributes of something named like an estimator."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        targets = []
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            targets = getattr(node, "targets", None) or [node.target]
        for target in targets:
            owner = getattr(target, "value", None)
            if isinstance(target, ast.Attribute) and getattr(owner, "id", None) in NAMES:
                yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Call):
            text = ast.unparse(node)
            for name in NAMES:
                starts = f"vars({name}).update", f"vars({name}).pop", f"setattr({name},"
                if text.startswith(starts) or text.startswith(f"delattr({name},"):
                    yield f"{path.name}:{node.lineno}: {text}"


# Copies that are about to be written to a file or tried out, and a model of scikit-learn.
ALLOWED = {
    "container.py: delattr(model, name)",
    "checks.py: vars(model).pop('_sklearn_output_config', None)",
    "conversion.py: mlp.",
    "conversion.py: setattr(mlp, name, copy.deepcopy(getattr(model, name)))",
}


def test_no_source_writes_past_the_recorder():
    root = Path(skdeep.__file__).parent
    outside = [p for p in root.rglob("*.py") if p.parent.name not in ("estimators", "onnx")]
    found = [place for path in outside for place in writes(path)]
    assert found  # the walk sees those that are allowed
    left = []
    for place in found:
        file, _, code = place.split(":", 2)
        if not any(f"{file}:{code}".startswith(allowed) for allowed in ALLOWED):
            left.append(place)
    assert left == []


def test_a_trainer_has_few_arguments():
    parameters = inspect.signature(Trainer).parameters
    assert len(parameters) <= 8
