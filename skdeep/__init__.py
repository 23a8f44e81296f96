"""Deep networks for scikit-learn users, on a NumPy engine of their own."""

from skdeep.estimators import MLPClassifier, MLPRegressor
from skdeep.kernels import set_kernels

__all__ = ["MLPClassifier", "MLPRegressor", "__version__", "set_kernels"]

__version__ = "0.1.0"
