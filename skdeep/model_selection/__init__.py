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

__all__ = [
    "Choice",
    "Conditional",
    "Distribution",
    "LayerSizes",
    "LogIntUniform",
    "OneMinusLogUniform",
    "sample_candidates",
]
