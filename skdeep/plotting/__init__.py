"""Pictures of training and of networks, by scikit-learn's convention of Displays."""

from skdeep.plotting.curves import (
    GradientFlowDisplay,
    LearningRateRangeDisplay,
    ScheduleDisplay,
    TrainingCurveDisplay,
)
from skdeep.plotting.layers import ActivationDisplay, FirstLayerDisplay, WeightDisplay
from skdeep.plotting.network import NetworkDisplay

__all__ = [
    "ActivationDisplay",
    "FirstLayerDisplay",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "NetworkDisplay",
    "ScheduleDisplay",
    "TrainingCurveDisplay",
    "WeightDisplay",
]
