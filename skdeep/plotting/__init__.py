"""Pictures of training and of networks, as Displays in the style of scikit-learn."""

from skdeep.plotting.columns import ColumnResponseDisplay
from skdeep.plotting.coordinates import ParallelCoordinatesDisplay
from skdeep.plotting.curves import (
    GradientFlowDisplay,
    LearningRateRangeDisplay,
    ScheduleDisplay,
    TrainingCurveDisplay,
)
from skdeep.plotting.layers import ActivationDisplay, FirstLayerDisplay, WeightDisplay
from skdeep.plotting.network import NetworkDisplay
from skdeep.plotting.search import SearchDisplay

__all__ = [
    "ActivationDisplay",
    "ColumnResponseDisplay",
    "FirstLayerDisplay",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "NetworkDisplay",
    "ParallelCoordinatesDisplay",
    "ScheduleDisplay",
    "SearchDisplay",
    "TrainingCurveDisplay",
    "WeightDisplay",
]
