"""Fair splits, distributions of hyperparameters, and searches."""

from skdeep.model_selection.candidates import sample_candidates
from skdeep.model_selection.clusters import dask_backend
from skdeep.model_selection.distributions import (
    Choice,
    Conditional,
    Distribution,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
)
from skdeep.model_selection.halving import HalvingEpochsSearchCV
from skdeep.model_selection.optuna_spaces import suggest, to_optuna
from skdeep.model_selection.pruning import PruningSearchCV
from skdeep.model_selection.rules import HalvingRule, MedianRule, Rule
from skdeep.model_selection.spaces import param_distributions
from skdeep.model_selection.splits import train_dev_test_split

__all__ = [
    "Choice",
    "Conditional",
    "Distribution",
    "HalvingEpochsSearchCV",
    "HalvingRule",
    "LayerSizes",
    "LogIntUniform",
    "MedianRule",
    "OneMinusLogUniform",
    "PruningSearchCV",
    "Rule",
    "dask_backend",
    "param_distributions",
    "sample_candidates",
    "suggest",
    "to_optuna",
    "train_dev_test_split",
]
