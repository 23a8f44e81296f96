"""Callbacks: objects that watch a run of training, and may change its course."""

from skdeep.callbacks.base import Callback
from skdeep.callbacks.checkpoint import ModelCheckpoint
from skdeep.callbacks.logging import (
    CSVLogger,
    LambdaCallback,
    LayerStatistics,
    LearningRateLogger,
    MLflow,
    TensorBoard,
)
from skdeep.callbacks.pruning import OptunaPruning
from skdeep.callbacks.stopping import EarlyStopping, TerminateOnNaN
from skdeep.callbacks.unfreezing import GradualUnfreezing

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "GradualUnfreezing",
    "LambdaCallback",
    "LayerStatistics",
    "LearningRateLogger",
    "MLflow",
    "ModelCheckpoint",
    "OptunaPruning",
    "TensorBoard",
    "TerminateOnNaN",
]
