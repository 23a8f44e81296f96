"""Callbacks: what watches a training run."""

from skdeep.callbacks.base import Callback

__all__ = ["Callback"]
