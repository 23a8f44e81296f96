"""Docstrings say what is there: every parameter, in order, with its default."""

import importlib.util
import inspect
import pkgutil
import re

import pytest

import skdeep
from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep._component import Component

# What modules of extras can't be imported without.
NEEDS = {
    "numba_kernels": "numba",
    "onnx": "skl2onnx",
    "dask_calls": "dask",
    "packing": "dask",
}


def public_classes():
    for module in pkgutil.walk_packages(skdeep.__path__, "skdeep."):
        needs = next((NEEDS[part] for part in module.name.split(".") if part in NEEDS), None)
        if needs is not None and importlib.util.find_spec(needs) is None:
            continue
        for name, thing in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(thing) and thing.__module__ == module.name
            if is_own and not name.startswith("_"):
                yield thing


CLASSES = sorted(set(public_classes()), key=lambda c: (c.__module__, c.__name__))
SECTION = r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)"


def documented(thing):
    """Return {name: the text behind the colon} of the Parameters section, in order."""
    section = re.search(SECTION, inspect.getdoc(thing) or "", re.S | re.M)
    if not section:
        return {}
    entries = re.findall(r"^(\w[\w, ]*?) :[ ]?(.*)$", section[1], re.M)
    return {name: text for names, text in entries for name in names.split(", ")}


def arguments(function):
    signature = inspect.signature(function)
    return {n: p for n, p in signature.parameters.items() if n not in ("self", "args", "kwargs")}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_class_has_a_docstring_with_its_parameters(cls):
    assert cls.__doc__
    if issubclass(cls, Component) and "__init__" in vars(cls):
        assert list(documented(cls)) == list(arguments(cls))


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, MLPAutoencoder, MultiTaskMLP])
def test_estimators_document_every_parameter_with_its_default(cls):
    docs = documented(cls)
    assert list(docs) == list(arguments(cls))
    for name, parameter in arguments(cls).items():
        default = parameter.default
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        given = re.search(r"default=(.*)$", docs[name])
        assert given, name
        same = given[1] == shown
        assert same or float(given[1]) == default, name


METHODS = [
    (cls, name)
    for cls in (MLPClassifier, MLPRegressor, MultiTaskMLP)
    for name in (
        "fit",
        "partial_fit",
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "transform",
        "summary",
    )
    if hasattr(cls, name)
]


@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_methods_document_their_parameters(cls, name):
    method = getattr(cls, name)
    method = inspect.unwrap(method)
    assert list(documented(method)) == list(arguments(method))
    assert "Returns\n-------" in inspect.getdoc(method)
