"""The table of options agrees with constructors, checks, docstrings and the page of parameters."""

import inspect
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError, Limit
from skdeep.building.checks import check_options
from skdeep.building.options import GROUPS, OPTIONS, ByLayer, WithLayers, names
from skdeep.building.options.option import Option
from tools import docstrings

X, y = load_iris(return_X_y=True)
ESTIMATORS = [MLPClassifier, MLPRegressor, MLPAutoencoder]


def rows_of(estimator):
    rows = [option for group in GROUPS.values() for option in group]
    return [option.name for option in rows if estimator.__name__ in option.estimators]


# The table and the constructors -----------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_has_one_row_in_the_order_of_the_signature(estimator):
    assert rows_of(estimator) == list(inspect.signature(estimator).parameters)


def test_every_row_is_of_an_estimator():
    known = {estimator.__name__ for estimator in ESTIMATORS}
    for option in OPTIONS.values():
        assert option.estimators
        assert set(option.estimators) <= known
        assert set(option.also) <= set(option.estimators)


def test_a_row_has_one_kind_of_values_and_facts_that_agree():
    for option in OPTIONS.values():
        given = [option.limit is not None, option.choices is not None, option.switch]
        assert sum(given) <= 1, option.name
        if option.by_layer in (ByLayer.NO, ByLayer.HIDDEN):
            assert option.of_output is None, option.name
        assert not option.scheduled or option.limit is not None, option.name


def test_the_output_layer_has_the_default():
    """A sequence without an entry for it means what leaving the option out means."""
    defaults = inspect.signature(MLPClassifier).parameters
    for option in OPTIONS.values():
        if option.goes_by_layer and option.by_layer is not ByLayer.HIDDEN:
            assert option.of_output == defaults[option.name].default, option.name


def test_names_are_looked_up_by_facts():
    assert names(by_layer=ByLayer.EVERY) == ("bias_initializer", "weight_noise")
    assert "alpha" not in names(with_layers=WithLayers.REFUSED)
    with pytest.raises(AttributeError):
        names(by_layers=ByLayer.EVERY)


# The table and the checks -----------------------------------------------------------------------


def outside(option):
    """Return values that the row forbids."""
    if option.limit is None:
        return ["no such value", 3]
    limit = option.limit
    values = ["no such value", True, math.nan, limit.low - 1, -math.inf]
    if limit.closed[0] == "(":
        values.append(limit.low)
    if math.isfinite(limit.high):
        values.append(limit.high + 1)
        if limit.closed[1] == ")":
            values.append(limit.high)
    if limit.integer:
        values.append(limit.low + 0.5)
    return values + [[value] for value in values if option.goes_by_layer]


def inside(option):
    """Return values that the row allows."""
    if option.switch:
        return [True, False, np.True_]
    if option.choices is not None:
        return list(option.choices)
    limit = option.limit
    values = [*limit.special, limit.low + (1 if limit.integer else 0.5)]
    if limit.closed[0] == "[":
        values.append(limit.low)
    if math.isfinite(limit.high) and limit.closed[1] == "]":
        values.append(limit.high)
    return values + [[value] for value in values if option.goes_by_layer]


LIMITED = [o for o in OPTIONS.values() if o.limit is not None or o.choices is not None or o.switch]
CASES = [(e, o) for o in LIMITED for e in ESTIMATORS if e.__name__ in o.estimators]


@pytest.mark.parametrize(
    ("estimator", "option"), CASES, ids=lambda v: v.name if isinstance(v, Option) else v.__name__
)
def test_fit_enforces_the_table(estimator, option):
    for value in outside(option):
        model = estimator((3,), max_iter=1).set_params(**{option.name: value})
        with pytest.raises(InvalidParameterError, match=rf"{option.name}=.* (allowed|unknown)"):
            model.fit(X, y)
        assert "network_" not in vars(model)
    for value in inside(option):
        check_options(estimator().set_params(**{option.name: value}))


def test_a_limit_that_is_not_in_the_table_is_not_enforced(monkeypatch):
    """The rows decide: there is no second list."""
    check_options(MLPClassifier(alpha=2.0))
    monkeypatch.setitem(OPTIONS, "alpha", replace(OPTIONS["alpha"], limit=Limit(0, 1)))
    with pytest.raises(InvalidParameterError, match=r"alpha=2.0 .* a number in \[0, 1\]"):
        check_options(MLPClassifier(alpha=2.0))


# The table and what is written from it ----------------------------------------------------------


@pytest.fixture
def copies(tmp_path):
    """Return a folder with copies of all files that are written from the table."""
    for name in [*docstrings.MODULES, docstrings.PAGE]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(docstrings.ROOT / name, tmp_path / name)
    return tmp_path


def test_docstrings_and_the_page_are_up_to_date(capsys):
    assert docstrings.main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [*docstrings.MODULES, docstrings.PAGE])
def test_an_edit_by_hand_is_found_and_undone(copies, name, capsys):
    path = copies / name
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace("decay of the first moment", "decay"), encoding="utf-8")
    assert docstrings.main(["--check"], copies) == 1
    assert capsys.readouterr().out == f"{name}: is not up to date\n"
    assert path.read_text(encoding="utf-8") != original  # a check writes nothing
    assert docstrings.main([], copies) == 0
    assert path.read_text(encoding="utf-8") == original


@pytest.mark.parametrize(
    ("name", "change", "n_files"),
    [
        ("alpha", {"text": "Another text."}, 4),
        ("alpha", {"limit": Limit(0, integer=True)}, 3),  # the page has no types
        ("standardize_y", {"text": "Another text."}, 2),
        ("dropout", {"by_layer": ByLayer.NO}, 4),
        ("loss", {"also": {}}, 4),
    ],
)
def test_a_change_of_the_table_is_found(copies, monkeypatch, capsys, name, change, n_files):
    new = replace(OPTIONS[name], **change)
    monkeypatch.setitem(docstrings.OPTIONS, name, new)
    groups = {
        title: tuple(new if option.name == name else option for option in options)
        for title, options in GROUPS.items()
    }
    monkeypatch.setattr(docstrings, "GROUPS", groups)
    assert docstrings.main(["--check"], copies) == 1
    assert len(capsys.readouterr().out.splitlines()) == n_files


def test_places_that_are_missing_are_errors():
    with pytest.raises(ValueError, match="MLPClassifier has no section of parameters"):
        docstrings.with_parameters("class MLPRegressor():", MLPClassifier)
    with pytest.raises(ValueError, match="0 blocks of options: Network"):
        docstrings.with_tables("# Parameters")


def test_types_follow_from_the_values():
    kinds = {name: docstrings.kind(OPTIONS[name]) for name in OPTIONS}
    assert kinds["clip_norm"] == "float or None"
    assert kinds["batch_size"] == 'int or "auto"'
    assert kinds["dropout"] == "float, Scheduled or sequence of these"
    assert kinds["batch_norm"] == '{None, "before", "after"}'
    assert kinds["shuffle"] == "bool"
    with pytest.raises(ValueError, match="new needs a type"):
        docstrings.kind(Option(name="new", text=""))


def test_every_entry_stands_alone():
    for option in OPTIONS.values():
        for text in (option.text, *option.also.values()):
            assert not re.match(r"The same\b", text), option.name
            assert text.endswith("."), option.name
