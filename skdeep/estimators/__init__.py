"""The estimators."""

from skdeep.estimators.classifier import MLPClassifier
from skdeep.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
