"""What the README and the pages of docs/ say is run, and held against the code."""

import ast
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import sklearn

import skdeep
from skdeep.activations import ACTIVATIONS
from skdeep.averages import AVERAGES
from skdeep.callbacks.stopping import TRIGGERS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skdeep.optimizers import OPTIMIZERS
from skdeep.regularizers import REGULARIZERS
from skdeep.schedules import SCHEDULES

ROOT = Path(__file__).parents[1]
GENERATED = {"_build", "api", "gallery"}  # the folders that a build of the site makes in docs/
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if GENERATED.isdisjoint(page.relative_to(ROOT).parts)
    ),
]
FAMILIES = {
    "families/activations": ACTIVATIONS,
    "families/averages": AVERAGES,
    "families/constraints": CONSTRAINTS,
    "families/initializers": INITIALIZERS,
    "families/optimizers": OPTIMIZERS,
    "families/penalties": REGULARIZERS,
    "families/schedules": SCHEDULES,
    "families/stopping": TRIGGERS,
    "losses": {**CLASSIFICATION_LOSSES, **REGRESSION_LOSSES},
}
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FOR_CLUSTERS = re.compile(r"^```python dask\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")
REFERENCE = re.compile(r"\{(?:class|func|meth)\}`~?([\w.]+)`")

# Documentation trains for seconds, not to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Return (line number, code) for every Python block of a page."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)), m.group(1)) for m in PYTHON.finditer(text)]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name)
def test_blocks_run(page, monkeypatch, tmp_path):
    """The blocks of one page are one program, from top to bottom."""
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")  # there for pickle, as __main__ is
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.setenv("SKDEEP_KERNELS", os.environ.get("SKDEEP_KERNELS", "auto"))  # is put back
    with sklearn.config_context():
        for line, code in blocks(page):
            exec(compile("\n" * line + code, str(page), "exec"), vars(module))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["scale", "searching"])
def test_programs_for_clusters_run(page, tmp_path):
    """Each of these blocks is a program of its own, whose workers are processes."""
    pytest.importorskip("dask.distributed")
    programs = FOR_CLUSTERS.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert programs
    for program in programs:
        path = tmp_path / "program.py"
        path.write_text(program, encoding="utf-8")
        command = [sys.executable, "-W", "ignore", str(path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert not done.returncode, done.stderr
        assert done.stdout


def anchors(page):
    """Return what a link into a page may end with."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" not in target:
            path = page.parent / target if target else page
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


@pytest.mark.parametrize("page", FAMILIES)
def test_every_part_is_on_the_page_of_its_family(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert not [name for name in FAMILIES[page] if f'"{name}"' not in text]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_references_name_something(page):
    for path in REFERENCE.findall(page.read_text(encoding="utf-8")):
        assert not path.split(".")[-1].startswith("_")
        pkgutil.resolve_name(path)


def test_own_layer_is_short():
    """Only lines of code count."""
    code = (ROOT / "examples" / "architectures" / "own_layer.py").read_text(encoding="utf-8")
    layer = next(node for node in ast.parse(code).body if isinstance(node, ast.ClassDef))
    lines = code.splitlines()[layer.lineno - 1 : layer.end_lineno]
    assert sum(bool(line.strip()) for line in lines) <= 15


@pytest.mark.parametrize(
    "estimator",
    [skdeep.MLPClassifier, skdeep.MLPRegressor, skdeep.MLPAutoencoder, skdeep.MultiTaskMLP],
)
def test_parameters_page_agrees_with_the_signature(estimator):
    text = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    documented = {}
    for section in re.split(r"^##+ ", text, flags=re.MULTILINE):
        title = section.splitlines()[0]
        if not title.endswith("only") or title.startswith(estimator.__name__):
            rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|(.*)$", section, re.MULTILINE)
            others = re.compile(rf"Not in [^.]*`{estimator.__name__}`")
            documented.update({n: default for n, default, text in rows if not others.search(text)})
    parameters = inspect.signature(estimator).parameters.values()
    assert documented == {p.name: repr(p.default) for p in parameters}
