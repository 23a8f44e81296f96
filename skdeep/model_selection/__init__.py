"""Distributions of hyperparameters, and searches."""

from skdeep.model_selection.candidates import sample_candidates
from skdeep.model_selection.distributions import (
    Choice,
    Conditional,
    Distribution,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
)
from skdeep.model_selection.optuna_spaces import suggest, to_optuna
from skdeep.model_selection.spaces import param_distributions

__all__ = [
    "Choice",
    "Conditional",
    "Distribution",
    "LayerSizes",
    "LogIntUniform",
    "OneMinusLogUniform",
    "param_distributions",
    "sample_candidates",
    "suggest",
    "to_optuna",
]
