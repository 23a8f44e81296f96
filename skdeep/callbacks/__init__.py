"""Callbacks: what watches a training run, and may change its course."""

from skdeep.callbacks.base import Callback
from skdeep.callbacks.checkpoint import ModelCheckpoint
from skdeep.callbacks.unfreezing import GradualUnfreezing

__all__ = ["Callback", "GradualUnfreezing", "ModelCheckpoint"]
