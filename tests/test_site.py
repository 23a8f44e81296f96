"""The parts of the documentation site that need no Sphinx."""

import importlib
import runpy
from pathlib import Path

import pytest

from skdeep import _documentation
from skdeep.files import names
from tools import readme, scale, site

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    return runpy.run_path(str(ROOT / "docs" / "_ext" / "reference.py"))


@pytest.fixture(scope="module")
def listed(reference):
    pages = set()
    for module in reference["modules"]():
        if module != "skdeep.onnx":  # skl2onnx may be missing
            found = reference["public_names"](importlib.import_module(module))
            pages |= {f"{module}.{name}" for name in found}
    return pages


def test_the_reference_has_every_class_of_a_model(reference, listed):
    pages = {_documentation._public_name(cls) for cls in names.CLASSES.values()}
    public = {page for page in pages if page.rpartition(".")[0] in reference["modules"]()}
    assert len(public) > 100
    assert public <= listed, sorted(public - listed)


def test_the_reference_has_the_names_of_the_package(listed):
    import skdeep

    assert {f"skdeep.{name}" for name in skdeep.__all__ if name != "__version__"} <= listed


def test_a_module_that_needs_an_extra_has_its_docstring(reference):
    page = reference["page"]("skdeep.onnx")
    assert ".. module:: skdeep.onnx\n\nModels in ONNX, by way of skl2onnx" in page
    assert "automodule" not in page  # it would import the extra


def test_the_table_of_speed_is_that_of_the_results():
    assert readme.main(["--check"]) == 0


def test_an_outdated_table_of_speed_is_found(tmp_path):
    for path in ("README.md", readme.RESULTS, readme.TABLES):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        text = (ROOT / path).read_text(encoding="utf-8")
        (tmp_path / path).write_text(text.replace("7.7 |", "9.9 |"), encoding="utf-8")
    assert readme.main(["--check"], tmp_path) == 1


def test_the_tables_of_scale_are_those_of_the_results():
    assert scale.main(["--check"]) == 0


def test_an_outdated_table_of_scale_is_found(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "docs").mkdir()
    results, page = tmp_path / scale.RESULTS, tmp_path / scale.PAGE
    results.write_text(
        "# R\n\n## A search over 8\n\ntext\n\n| a |\n| - |\n| 1 |\n", encoding="utf-8"
    )
    empty = "above\n\n<!-- table {} -->\n<!-- end table -->\n\nbelow\n"
    page.write_text(empty.format("candidates") + empty.format("file"), encoding="utf-8")
    assert scale.main(["--check"], tmp_path) == 1
    assert scale.main([], tmp_path) == 0
    full = empty.replace(" -->\n<", " -->\n\n| a |\n| - |\n| 1 |\n\n<")
    text = page.read_text(encoding="utf-8")
    assert text == full.format("candidates") + empty.format("file")
    assert scale.main(["--check"], tmp_path) == 0


def test_the_texts_of_the_readme_are_those_of_the_tables():
    errors = readme.errors((ROOT / readme.TABLES).read_text(encoding="utf-8"))
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for error in errors.values():
        assert f"{error:.3f}" in text


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="b.html#there">b</a><a href="https://example.org">away</a>', None),
        ('<a href="c.html">c</a>', "a.html: c.html leads nowhere"),
        ('<a href="b.html#gone">b</a>', "a.html: b.html#gone leads nowhere"),
        ('<a href="#gone">b</a>', "a.html: #gone leads nowhere"),
        ('<img src="b.html">', "a.html: the picture b.html has no text"),
        ('<img src="b.html" alt="A curve.">', None),
        ('<script src="d.js"></script>', "a.html: d.js leads nowhere"),
    ],
)
def test_faults_of_a_site_are_found(tmp_path, capsys, body, problem):
    (tmp_path / "a.html").write_text(body, encoding="utf-8")
    (tmp_path / "b.html").write_text('<p id="there"></p>', encoding="utf-8")
    assert site.main([str(tmp_path)]) == int(problem is not None)
    assert (problem or "no broken link") in capsys.readouterr().out


def test_an_empty_site_is_a_fault(tmp_path, capsys):
    assert site.main([str(tmp_path)]) == 1
    assert "has no pages" in capsys.readouterr().out
