"""How the gallery runs the programs of examples/."""

import os
import warnings
from pathlib import Path

from sklearn.datasets import get_data_home
from sklearn.exceptions import ConvergenceWarning

from skdeep.datasets import VARIABLE

EXAMPLES = "../examples"  # as seen from docs/
SECTIONS = (
    "tables",
    "evaluation",
    "architectures",
    "fashion_mnist",
    "gradients",
    "overfitting",
    "optimization",
)
FIGURES = {"figure.dpi": 110, "savefig.dpi": 110, "axes.grid": True, "grid.alpha": 0.3}

# The networks of figures train for seconds, not to the end.
BEFORE_FIGURE = """
import warnings
from sklearn.exceptions import ConvergenceWarning
warnings.filterwarnings("ignore", category=ConvergenceWarning)
"""


def before_example(gallery_conf, name):
    """Give every example the same figures, and no warnings that its epochs ran out."""
    import matplotlib

    matplotlib.rcParams.update(matplotlib.rcParamsDefault | {"backend": "agg"} | FIGURES)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)


def has_fashion_mnist() -> bool:
    """Return whether the images are on this machine, so that no build downloads 30 MB."""
    if os.environ.get(VARIABLE):
        return True
    return any(Path(get_data_home(), "openml").rglob("*Fashion-MNIST*"))


SETTINGS = {
    "examples_dirs": EXAMPLES,
    "gallery_dirs": "gallery",
    # Without the images, the programs that need them are shown, but not run.
    "filename_pattern": "" if has_fashion_mnist() else r"^((?!fashion_mnist).)*$",
    "parallel": os.cpu_count() or 1,
    "reset_modules": ("gallery_settings.before_example",),
    "subsection_order": [f"{EXAMPLES}/{section}" for section in SECTIONS],
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skdeep",),
    "inspect_global_variables": False,
    "capture_repr": ("_repr_html_",),  # reports; no texts of the objects that matplotlib returns
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
}
