"""Tools that show how a network works, and diagnose why it does not."""

from skdeep.inspection.diagnosis import Finding, Report, diagnose
from skdeep.inspection.errors import (
    BiasVarianceReport,
    DistributionMismatchReport,
    bias_variance_report,
    distribution_mismatch_report,
)
from skdeep.inspection.gradients import GradientCheck, check_gradients
from skdeep.inspection.hyperparameters import (
    HyperparameterImportances,
    hyperparameter_importance,
)
from skdeep.inspection.rates import RangeTest, learning_rate_range_test
from skdeep.inspection.searches import SearchResults, read_cv_results, read_search
from skdeep.inspection.statistics import LayerReport, layer_statistics
from skdeep.inspection.uncertainty import MCDropout, mc_dropout
from skdeep.tabular.importance import ColumnImportances, column_importance

__all__ = [
    "BiasVarianceReport",
    "ColumnImportances",
    "DistributionMismatchReport",
    "Finding",
    "GradientCheck",
    "HyperparameterImportances",
    "LayerReport",
    "MCDropout",
    "RangeTest",
    "Report",
    "SearchResults",
    "bias_variance_report",
    "check_gradients",
    "column_importance",
    "diagnose",
    "distribution_mismatch_report",
    "hyperparameter_importance",
    "layer_statistics",
    "learning_rate_range_test",
    "mc_dropout",
    "read_cv_results",
    "read_search",
]
