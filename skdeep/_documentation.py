"""Addresses of the documentation's pages, for error messages and for the displays of notebooks.

The documentation may stand anywhere: a folder on a disk, a server of a company. The environment
variable SKDEEP_DOCS names its base address. Without it, the address "Documentation" in the metadata
of the installed distribution counts. If there is neither, messages and displays have no links.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

__all__ = ["Documented", "address", "link", "see"]

VARIABLE = "SKDEEP_DOCS"
DISTRIBUTION = "scikit-deep"
# The pages about parameters that take the name of a part.
PAGES = {
    "activation": "families/activations",
    "bias_constraint": "families/constraints",
    "bias_initializer": "families/initializers",
    "bias_regularizer": "families/penalties",
    "initializer": "families/initializers",
    "kernel_constraint": "families/constraints",
    "kernel_regularizer": "families/penalties",
    "learning_rate": "families/schedules",
    "loss": "losses",
    "output_activation": "families/activations",
    "solver": "families/optimizers",
    "trigger": "families/stopping",
    "weight_averaging": "families/averages",
}


def address() -> str:
    """Return the base address of the documentation, without a final slash, or an empty text."""
    base = os.environ.get(VARIABLE, "").strip()
    if base and "://" not in base:  # a folder
        base = Path(base).expanduser().resolve().as_uri()
    return (base or _from_metadata()).rstrip("/")


def _from_metadata() -> str:
    try:
        urls = importlib.metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # the package is used without being installed
        return ""
    labels = dict(url.split(", ", 1) for url in urls)
    return labels.get("Documentation", "")


def link(page: str) -> str:
    """Return the address of a page of docs/, or an empty text."""
    base = address()
    return f"{base}/{page}.html" if base else ""


def see(page: str) -> str:
    """Return a sentence with the address of a page, or an empty text: the end of a message."""
    url = link(page)
    return f" See {url}" if url else ""


def see_parameter(name: str) -> str:
    """Return such a sentence for a parameter that takes the name of a part."""
    return see(PAGES[name]) if name in PAGES else ""


class Documented:
    """A mixin: the display of a notebook links to the class's page in the API reference.

    scikit-learn calls `_get_doc_link` of every estimator that it shows.
    """

    def _get_doc_link(self) -> str:
        name = _public_name(type(self))
        return link(f"api/generated/{name}") if name else ""


def _public_name(cls: type) -> str:
    """Return the name under which the reference lists a class, or an empty text for a user's."""
    parts = cls.__module__.split(".")
    if parts[0] != __name__.split(".")[0] or cls.__name__.startswith("_"):
        return ""
    packages = [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
    homes = [p for p in packages if getattr(sys.modules.get(p), cls.__name__, None) is cls]
    return f"{homes[0]}.{cls.__name__}" if homes else ""
