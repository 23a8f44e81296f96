"""Pictures of training and of networks, as Displays in the style of scikit-learn."""

from skdeep.plotting.columns import ColumnResponseDisplay
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
    "ColumnResponseDisplay",
    "FirstLayerDisplay",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "NetworkDisplay",
    "ScheduleDisplay",
    "TrainingCurveDisplay",
    "WeightDisplay",
]
