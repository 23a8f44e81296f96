"""The first values of a network: the rule of initializer="auto" and bias_initializer="auto".

| layer | weights | biases |
| --- | --- | --- |
| the first hidden layer | U, variance 0.1 / fan_in | U(-0.3, 0.3) |
| other hidden layers | He's variance for the ReLU family, else Glorot's | U(-0.3, 0.3) |
| an encoder's layer with tied weights | as in other hidden layers | U(-0.3, 0.3) |
| SELU, any hidden layer | N, variance 1 / fan_in (LeCun) | 0 |
| before a batch norm | as above | 0 |
| the output layer | N, Glorot's variance | the best constant prediction |

The first layer starts as if all columns had mean 0 and standard deviation 1: its weights are
divided by the standard deviations, and its biases make up for the means. So the units bend within
the range of the data, whatever its scale. With zero biases, all units would bend at one point. The
outputs of the first layer have a standard deviation of 0.3, and the biases spread over a range of
this size. Small weights make the first function smooth, which lowers the error of regression.
Higher layers keep the variance of their inputs, so that deep networks train.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler

from skdeep._component import is_named
from skdeep.activations import Activation, Identity
from skdeep.data.training_data import TrainingData
from skdeep.initializers import INITIALIZERS, Constant, Initializer, Uniform, VarianceScaling
from skdeep.layers import Activation as ActivationLayer
from skdeep.layers import (
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    Pretrained,
    Residual,
    Scale,
)
from skdeep.layers.chain import Shared
from skdeep.layers.heads import Heads
from skdeep.layers.tied import TiedDense
from skdeep.network import Network

_BIAS_RANGE = 0.3
_SMALL = VarianceScaling(0.1, "fan_in", "uniform")
_OUTPUT = INITIALIZERS["glorot_normal"]()
_ROWS_TO_LOOK_AT = 10_000
_NUMBERS_AT_A_TIME = 1 << 18
# The smallest variance that a column is scaled with, as a share of the largest one. It protects
# columns that hardly vary from being blown up.
_LEAST_SHARE_OF_VARIANCE = 1e-3


def set_first_values(hidden: list[Layer], output: Layer) -> None:
    """Give the layers of a network that is built, but has no values yet, their initializers."""
    shared = _shared([*hidden, output])
    places = _first_places(hidden, np.arange(hidden[0].n_inputs_) if hidden else None)
    heads = output.heads_ if isinstance(output, Heads) else []
    for place in chain(places, *(_first_places(head.children(), None) for head in heads)):
        f = place.function
        _set(
            place.dense,
            _SMALL
            if place.columns is not None and not f.keeps_variance and place.dense not in shared
            else INITIALIZERS[f.initializer](),
            Constant(0.0)
            if f.keeps_variance or place.is_normalized
            else Uniform(-_BIAS_RANGE, _BIAS_RANGE),
        )
    for layer in [head.output_layer for head in heads] or [output]:
        _set(layer, _OUTPUT, Constant(0.0))  # fit sets the biases from the targets


def fit_to_columns(network: Network, data: TrainingData) -> None:
    """Let the first hidden layer, once it has values, begin as if columns were standardized."""
    hidden = network.layers[: network.hidden_stops[-1]]
    every = _first_places(hidden, np.arange(network.n_inputs))
    places = [place for place in every if place.columns is not None]
    if not any(is_auto(p.dense.initializer) for p in places):
        return
    mean, std = _mean_and_std(data)
    shared = _shared(network.layers)
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        return
    for place in places:
        W, b = place.dense.kernel_.value, place.dense.bias_
        is_scaled, means, stds = _of_inputs(place.columns, mean, std)
        if is_auto(place.dense.initializer):
            if place.dense not in shared:
                W[is_scaled] /= stds[:, None]
            if b is not None and is_auto(place.dense.bias_initializer):
                b.value -= (means @ W[is_scaled]).astype(W.dtype)


def adapt_to_rows(network: Network, data: TrainingData, n_kept: int, rng) -> None:
    """Let layers whose first values depend on the data adapt to a sample of the rows.

    The lowest n_kept hidden layers are left as they are.
    """
    if not any(layer.adapts for layer in network.walk()):
        return
    first = network.hidden_stops[n_kept - 1] if n_kept else 0
    X = data.some(_some_rows(data, data.row_weights() > 0))
    if not isinstance(X, np.ndarray) and not network.accepts_sparse:
        X = X.toarray()
    with np.errstate(over="ignore", invalid="ignore"):
        network.chain.adapt(X.astype(network.dtype, copy=False), rng, first)


def _some_rows(data: TrainingData, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the positions of rows spread evenly over the training rows that count."""
    rows = np.arange(data.X.shape[0]) if data.rows is None else data.rows
    if counts is not None:
        rows = rows[counts[rows]]
    if len(rows) > _ROWS_TO_LOOK_AT:
        rows = rows[np.linspace(0, len(rows) - 1, _ROWS_TO_LOOK_AT).astype(int)]
    return rows


def _shared(layers: list[Layer]) -> list[Layer]:
    """Return the dense layers whose weights a tied decoder uses too: they have to suit both."""
    return [layer.source for layer in layers if isinstance(layer, TiedDense)]


class _Place(NamedTuple):
    """A dense layer within a network.

    `columns` has an entry for each input of the layer: the position of the input among the columns
    of the data, or -1 for another input, which has mean 0 and variance 1. It is None if the inputs
    are the outputs of a hidden layer. A layer in several places has a row of entries for each.
    """

    dense: Dense
    function: Activation
    is_normalized: bool
    columns: np.ndarray | None


def _first_places(layers: list[Layer], columns: np.ndarray | None) -> list[_Place]:
    """Return the dense layers of a stack; a layer in several places once."""
    found: dict[int, _Place] = {}
    for place in _places(layers, columns):
        kernel = getattr(place.dense, "kernel_", place.dense)  # a tied layer has none
        root = getattr(kernel, "root", kernel)
        first = found.get(id(root))
        if first is not None:
            both = (first.columns, place.columns)
            columns = None if any(c is None for c in both) else np.vstack(both)
            place = first._replace(columns=columns)
        if first is not None or root is kernel:
            found[id(root)] = place
    return list(found.values())


def _of_inputs(columns: np.ndarray, mean: np.ndarray, std: np.ndarray) -> tuple:
    """Return which inputs of a dense layer are columns, with their means and deviations."""
    if columns.ndim == 1:
        is_column = columns >= 0
        return is_column, mean[columns[is_column]], std[columns[is_column]]
    means = np.where(columns >= 0, mean[columns], 0.0).mean(axis=0)
    variances = np.where(columns >= 0, std[columns] ** 2, 1.0).mean(axis=0)
    return np.ones(columns.shape[1], bool), means, np.sqrt(variances)


def _places(
    layers: list[Layer], columns: np.ndarray | None
) -> Generator[_Place, None, np.ndarray | None]:
    """Yield the dense layers of a stack with these inputs; return the columns that it puts out."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            yield _Place(layer, _function_behind(layers, i), _is_normalized(layers, i), columns)
            columns = None
        elif isinstance(layer, Shared):
            columns = yield from _places(layer.chain_.layers, columns)
        elif isinstance(layer, Residual):
            yield from _places(layer.branch_.layers, columns)
            columns = None
        elif isinstance(layer, Concatenate):
            outs = []
            for branch in layer.branches_:
                outs.append((yield from _places(branch.layers, columns)))
            columns = None if any(out is None for out in outs) else np.concatenate(outs)
        elif isinstance(layer, Pretrained):  # which has first values of its own
            columns = None
        elif columns is None or isinstance(layer, (Dropout, GaussianNoise, Scale)):
            continue
        elif isinstance(layer, Columns):
            columns = columns[layer.columns_]
        elif any(parameter.kernel for parameter in layer.parameters_):
            columns = None
        else:  # a batch norm, an embedding, or a layer of the user's own
            n_others = layer.n_outputs_ - layer.n_passed_on
            columns = np.append(columns[: layer.n_passed_on], np.full(n_others, -1))
    return columns


def _mean_and_std(data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Return the means and the standard deviations of the columns; the latter are never 0."""
    rows = _some_rows(data)
    weight = data.row_weights()[rows]
    X, places = (data.X, rows) if data.has_rows else (data.some(rows), np.arange(len(rows)))
    n_at_a_time = len(rows)
    if isinstance(X, np.ndarray):  # the scaler copies dense rows
        n_at_a_time = max(1, _NUMBERS_AT_A_TIME // X.shape[1])
    scaler = StandardScaler(with_mean=False)  # it computes the means nevertheless
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), n_at_a_time):
            some = slice(start, start + n_at_a_time)
            if weight[some].any():
                scaler.partial_fit(X[places[some]], sample_weight=weight[some])
    variance = scaler.var_
    variance = np.maximum(variance, _LEAST_SHARE_OF_VARIANCE * variance.max())
    return scaler.mean_, np.sqrt(np.where(variance > 0, variance, 1.0))


def _set(dense: Dense, weights: Initializer, biases: Initializer) -> None:
    """Set the initializers that are "auto"."""
    if is_auto(dense.initializer) and hasattr(dense, "kernel_"):  # a tied layer has none
        dense.kernel_.initializer = weights
    if is_auto(dense.bias_initializer) and dense.bias_ is not None:
        dense.bias_.initializer = biases


def is_auto(initializer: Any) -> bool:
    """Whether an initializer is "auto", which stands for the rule of this module."""
    return is_named(initializer, "auto")


def _function_behind(layers: list[Layer], i: int) -> Activation:
    """Return the activation of a dense layer: its own, or that of a layer after it."""
    if layers[i].activation_ is not None:
        return layers[i].activation_
    for layer in layers[i + 1 :]:
        if isinstance(layer, ActivationLayer):
            return layer.function_
        if isinstance(layer, (Dense, Residual, Concatenate)):
            break
    return Identity()


def _is_normalized(layers: list[Layer], i: int) -> bool:
    """Whether a batch norm follows, which subtracts the mean and so cancels the bias."""
    return layers[i].activation_ is None and isinstance(
        next(iter(layers[i + 1 :]), None), BatchNorm
    )
