"""The estimators."""

from skdeep.estimators.autoencoder import MLPAutoencoder
from skdeep.estimators.classifier import MLPClassifier
from skdeep.estimators.multitask import MultiTaskMLP
from skdeep.estimators.regressor import MLPRegressor

__all__ = ["MLPAutoencoder", "MLPClassifier", "MLPRegressor", "MultiTaskMLP"]
