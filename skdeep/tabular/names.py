"""The names that stand for the classes of this package in files; see skdeep.files.names."""

from __future__ import annotations

from collections.abc import Mapping

from skdeep.estimators.base import BaseMLP
from skdeep.tabular.classifier import TabularClassifier
from skdeep.tabular.encoding.categories import CategoryColumn
from skdeep.tabular.encoding.encoder import TabularEncoder
from skdeep.tabular.encoding.scaling import Scaling
from skdeep.tabular.intervals import Residuals
from skdeep.tabular.regressor import TabularRegressor

#: The estimators that `skdeep.save` takes, by name.
ESTIMATORS: Mapping[str, type] = {
    "tabular.TabularClassifier": TabularClassifier,
    "tabular.TabularRegressor": TabularRegressor,
}
#: The classes of which they consist.
PARTS: Mapping[str, type] = {
    "tabular.CategoryColumn": CategoryColumn,
    "tabular.Residuals": Residuals,
    "tabular.Scaling": Scaling,
    "tabular.TabularEncoder": TabularEncoder,
}


def models() -> dict[str, type]:
    """Return the estimators of skdeep, by the names that stand for them in files."""
    return {**BaseMLP.models(), **ESTIMATORS}
