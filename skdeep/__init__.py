"""Deep networks for scikit-learn users, on a NumPy engine of their own."""

import os
import warnings

from skdeep._version import __version__
from skdeep.conversion import fold_batch_norm, from_sklearn, to_sklearn
from skdeep.estimators import MLPAutoencoder, MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.kernels import set_kernels
from skdeep.persistence import InvalidFileError, load, save
from skdeep.tabular import TabularClassifier, TabularEncoder, TabularRegressor

__all__ = [
    "InvalidFileError",
    "MLPAutoencoder",
    "MLPClassifier",
    "MLPRegressor",
    "MultiTaskMLP",
    "TabularClassifier",
    "TabularEncoder",
    "TabularRegressor",
    "__version__",
    "fold_batch_norm",
    "from_sklearn",
    "load",
    "save",
    "set_kernels",
    "to_sklearn",
]


def _warn_of_another_skdeep(folder: str) -> None:
    """Warn if another project's distribution, named skdeep, shares this package's folder.

    It installs files of its own here, and takes files of ours away when it is removed.
    """
    try:
        neighbours = os.listdir(os.path.dirname(folder))
    except OSError:  # a folder that can't be listed, or a zip file
        return
    if any(name.startswith("skdeep-") and name.endswith(".dist-info") for name in neighbours):
        warnings.warn(
            "Another project's distribution, which is called skdeep too, is installed into the "
            "same folder as this package, scikit-deep. The two can't be used side by side. "
            "Uninstall both, then install scikit-deep again.",
            stacklevel=2,
        )


_warn_of_another_skdeep(os.path.dirname(os.path.abspath(__file__)))
