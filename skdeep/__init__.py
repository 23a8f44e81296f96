"""Deep networks for scikit-learn users, on a NumPy engine of their own."""

from skdeep.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "__version__"]

__version__ = "0.1.0"
