"""An import only ever points to a lower floor, and scikit-learn's private parts have one home."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import skdeep

ROOT = Path(skdeep.__file__).parent
FLOORS = [
    {"_documentation", "_words", "_version", "datasets"},
    {"_component", "kernels"},
    {
        *{"activations", "initializers", "losses", "regularizers", "constraints", "schedules"},
        *{"clipping", "parameters", "averages", "tasks", "augmentation"},
    },
    {"optimizers", "layers", "joint_losses"},
    {"network"},
    {"training", "callbacks"},
    {"data", "reports"},
    {"building"},
    {"files"},
    {"estimators"},
    {"tabular"},
    {"distributed"},
    {"inspection", "model_selection", "persistence", "conversion", "onnx"},
    {"plotting"},
]
# Where those that live on one floor may import each other, as long as there is no cycle.
MAY_IMPORT_SIBLINGS = {2, 5}
FLOOR_OF = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
HOME_OF_PRIVATE_NAMES = "skdeep._component"


def module_name(path):
    parts = ["skdeep", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


class Imports(ast.NodeVisitor):
    """The imports of a module: (what, whether it runs when the module is imported)."""

    def __init__(self, name):
        self.name = name
        self.found = []
        self.depth = 0

    def visit_If(self, node):
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
        for child in node.orelse if name == "TYPE_CHECKING" else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_Import(self, node):
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node):
        source = node.module or ""
        if node.level:
            package = self.name if self.name in PACKAGES else self.name.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            source = f"{package}.{source}".rstrip(".")
        for alias in node.names:
            self.add(f"{source}.{alias.name}")

    def add(self, what):
        self.found.append((what, self.depth == 0))


@cache
def imports(name):
    """Return the full names that a module imports, those for type checkers left out."""
    visitor = Imports(name)
    visitor.visit(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    return visitor.found


def our_imports(name, at_import_only=False):
    """Return the modules of skdeep that a module imports."""
    modules = set()
    for what, at_import in imports(name):
        if what.partition(".")[0] != "skdeep" or (at_import_only and not at_import):
            continue
        while what not in MODULES:  # a name in a module
            what = what.rpartition(".")[0]
        modules.add(what)
    return modules - {name}


def unit_of(name):
    """Return the part of skdeep that a module belongs to: `layers` of skdeep.layers.dense."""
    return name.split(".")[1] if "." in name else None


BELOW_THE_TOP = [name for name in MODULES if name != "skdeep"]


def test_the_walk_sees_the_modules_and_their_imports():
    assert {"skdeep", "skdeep._component", "skdeep.layers.dense"} <= MODULES.keys()
    assert {"skdeep.training.run", "skdeep.callbacks.base"} <= our_imports(
        "skdeep.training.trainer"
    )
    assert "skdeep.training.trainer" not in our_imports("skdeep.callbacks.base")
    assert "skdeep.kernels" in our_imports("skdeep.layers.dense")


@pytest.mark.parametrize("name", BELOW_THE_TOP)
def test_every_module_has_a_floor(name):
    assert unit_of(name) in FLOOR_OF, f"say in FLOORS where {name} belongs"


@pytest.mark.parametrize("name", BELOW_THE_TOP)
def test_imports_point_to_lower_floors(name):
    floor = FLOOR_OF[unit_of(name)]
    for other in our_imports(name):
        unit = unit_of(other)
        if unit == unit_of(name):
            continue
        allowed = floor if floor in MAY_IMPORT_SIBLINGS else floor - 1
        assert unit is not None, f"{name} imports skdeep itself"
        assert FLOOR_OF[unit] <= allowed, f"{name} imports {other}"


def package_imports(name):
    """Return what has to be imported before a module: its imports, and their packages."""
    needed = our_imports(name, at_import_only=True)
    for other in set(needed):
        # importing a.b.c runs a and a.b first; within one package only what it says itself counts
        while "." in other:
            other = other.rpartition(".")[0]
            if other != "skdeep" and not name.startswith(other):
                needed.add(other)
    return needed


def test_there_are_no_cycles_between_modules():
    graph = {name: package_imports(name) for name in MODULES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"imports go round in a circle: {' -> '.join(error.args[1])}")
    assert order.index("skdeep") > order.index("skdeep.estimators")


def test_there_are_no_cycles_between_parts():
    graph = {unit: set() for unit in FLOOR_OF}
    for name in BELOW_THE_TOP:
        graph[unit_of(name)] |= {unit_of(other) for other in our_imports(name)} - {unit_of(name)}
    TopologicalSorter(graph).prepare()


def private_sklearn(name):
    """Return what a module takes from scikit-learn by a private name."""
    found = [
        what
        for what, _ in imports(name)
        if what.partition(".")[0] == "sklearn" and any(p.startswith("_") for p in what.split("."))
    ]
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if dotted.startswith("sklearn.") and "._" in dotted:
                found.append(dotted)
    return found


@pytest.mark.parametrize("name", [name for name in MODULES if name != HOME_OF_PRIVATE_NAMES])
def test_only_one_module_imports_what_is_private_to_scikit_learn(name):
    assert private_sklearn(name) == []
