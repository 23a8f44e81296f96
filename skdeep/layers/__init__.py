"""Layers, for hidden layers that are listed with `layers=[...]`."""

from skdeep.layers.activation import Activation
from skdeep.layers.activity import ActivityRegularization
from skdeep.layers.base import Layer
from skdeep.layers.batch_norm import BatchNorm
from skdeep.layers.branches import Concatenate, Residual
from skdeep.layers.chain import Chain
from skdeep.layers.columns import Columns
from skdeep.layers.dense import Dense
from skdeep.layers.embeddings import Embedding, Periodic, PiecewiseLinear
from skdeep.layers.output import Output
from skdeep.layers.pretrained import Pretrained
from skdeep.layers.random import Dropout, GaussianNoise
from skdeep.layers.scale import Scale
from skdeep.parameters import Parameter

__all__ = [
    "Activation",
    "ActivityRegularization",
    "BatchNorm",
    "Chain",
    "Columns",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "GaussianNoise",
    "Layer",
    "Output",
    "Parameter",
    "Periodic",
    "PiecewiseLinear",
    "Pretrained",
    "Residual",
    "Scale",
]
