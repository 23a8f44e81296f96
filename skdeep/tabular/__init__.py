"""Tables: an encoder of columns, and estimators that take a data frame."""

from skdeep.tabular.classifier import TabularClassifier
from skdeep.tabular.encoding.encoder import TabularEncoder
from skdeep.tabular.regressor import TabularRegressor

__all__ = ["TabularClassifier", "TabularEncoder", "TabularRegressor"]
