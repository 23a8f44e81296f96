"""Write a page of the API reference for each public module, and list its public names."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path

# The sections of the reference. Each module's page opens with the module's docstring.
SECTIONS = {
    "Estimators": ["skdeep"],
    "Parts of a network": [
        "skdeep.activations",
        "skdeep.initializers",
        "skdeep.layers",
        "skdeep.losses",
        "skdeep.tasks",
        "skdeep.regularizers",
        "skdeep.constraints",
    ],
    "Training": [
        "skdeep.optimizers",
        "skdeep.schedules",
        "skdeep.averages",
        "skdeep.augmentation",
        "skdeep.callbacks",
        "skdeep.training.stages",
        "skdeep.data",
    ],
    "Around a network": [
        "skdeep.model_selection",
        "skdeep.distributed",
        "skdeep.inspection",
        "skdeep.plotting",
        "skdeep.datasets",
        "skdeep.onnx",
    ],
}


def modules() -> list[str]:
    return [name for names in SECTIONS.values() for name in names]


def public_names(module) -> list[str]:
    """Return the names of __all__, or those of the classes and functions of the module itself."""
    named = getattr(module, "__all__", None)
    if named is None:
        named = [
            name
            for name, thing in vars(module).items()
            if not name.startswith("_")
            and (inspect.isclass(thing) or inspect.isfunction(thing))
            and thing.__module__ == module.__name__
        ]
    return sorted((name for name in named if not name.startswith("_")), key=str.lower)


def docstring(name: str) -> str:
    """Return the docstring of a module from its file, as the module may need an extra."""
    path = Path(importlib.util.find_spec(name).origin)
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def page(name: str) -> str:
    """Return the page of a module, in reStructuredText."""
    lines = [name, "=" * len(name), "", f".. module:: {name}", "", docstring(name), ""]
    try:
        names = public_names(importlib.import_module(name))
    except ImportError:  # an extra that is not installed: its page is the docstring alone
        names = []
    if names:
        lines += [".. autosummary::", "   :toctree: generated", ""]
        lines += [f"   {entry}" for entry in names]
    return "\n".join(lines) + "\n"


def index() -> str:
    """Return the page that lists the modules."""
    lines = ["API reference", "=============", "", "The public names of skdeep, by module.", ""]
    for title, names in SECTIONS.items():
        lines += [title, "-" * len(title), "", ".. toctree::", "   :maxdepth: 1", ""]
        lines += [f"   {name}" for name in names]
        lines += [""]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Write a file if its text has changed, so that Sphinx reads only what is new."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(app, config) -> None:
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    write(folder / "index.rst", index())
    for name in modules():
        write(folder / f"{name}.rst", page(name))


# Methods that other modules of the package call, and users do not.
INTERNAL = {
    *("as_if_ended", "before_training", "check_targets", "compiled_constants", "models"),
    *("forget_rows", "gives_sparse", "merge", "of_chunk", "prediction_of", "whole_state"),
    *("with_weights", "fitted"),
    *("batches", "block_rows", "fingerprint", "outputs", "read_into", "row_bytes", "split_rows"),
}
FORMULA = re.compile(r"<-|^[\w()\[\], ]+ = ")


def formula_as_code(app, what, name, thing, options, lines) -> None:
    """Show the first paragraph of a docstring as code if it is a formula, as w <- w - lr * g."""
    start = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
    text = " ".join(line.strip() for line in lines[start:end])
    if what == "class" and FORMULA.search(text) and "`" not in text:
        lines[start:end] = [f"``{text.rstrip('., ')}``"]


def leave_out(app, what, name, thing, skip, options) -> bool | None:
    """Leave internal methods out of the pages of classes."""
    return True if name in INTERNAL else None


def setup(app):
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", formula_as_code)
    app.connect("config-inited", generate)  # before Sphinx looks for pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
