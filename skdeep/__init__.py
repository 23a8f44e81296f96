"""Deep networks for scikit-learn users, on a NumPy engine of their own."""

from skdeep.conversion import from_sklearn, to_sklearn
from skdeep.estimators import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.kernels import set_kernels
from skdeep.persistence import InvalidFileError, load, save

__all__ = [
    "InvalidFileError",
    "MLPAutoencoder",
    "MLPClassifier",
    "MLPRegressor",
    "__version__",
    "from_sklearn",
    "load",
    "save",
    "set_kernels",
    "to_sklearn",
]

__version__ = "0.1.0"
