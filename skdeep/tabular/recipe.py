"""The recipe: from the hyperparameters and an encoded table to a network that is not trained yet.

Networks of different widths train with the learning rates of the recipe, as the rate of a kernel is
divided by the root of its number of inputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError, is_named, unknown_name
from skdeep.activations import PReLU
from skdeep.building.checks import check_hidden_layer_sizes
from skdeep.layers import (
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Layer,
    Periodic,
    PiecewiseLinear,
    Scale,
)
from skdeep.schedules import FlatCosine, Scheduled
from skdeep.tabular.encoding.encoder import TabularEncoder

# Of Adam, and of the schedule.
BETA_2, CYCLES = 0.95, 4
# With few rows an epoch has few steps, and takes little time.
FEWEST_EPOCHS, MOST_EPOCHS, ROWS_TO_SEE = 64, 128, 192_000
# The validation score is averaged over this number of epochs.
SMOOTHED_EPOCHS = 3
# With fewer, the first cycles are too short to tell anything.
FEWEST_EPOCHS_TO_STOP = 16
# Factors of the learning rate.
BIAS_RATE, ACTIVATION_RATE, EMBEDDING_RATE, SCALE_RATE = 0.1, 0.1, 0.1, 6.0
# In wider tables, embeddings cost more than they bring.
MOST_EMBEDDED = 256
EMBEDDINGS = ("auto", "piecewise_linear", "periodic")


def learning_rate(estimator: Any, is_classifier: bool) -> float:
    """Return the learning rate; "auto" depends on the task."""
    if is_named(estimator.learning_rate_init, "auto"):
        return 0.04 if is_classifier else 0.1
    return estimator.learning_rate_init


def n_epochs(estimator: Any, n_rows: int) -> int:
    """Return the number of epochs; "auto" depends on the number of rows."""
    if not is_named(estimator.max_iter, "auto"):
        return estimator.max_iter
    return min(max(FEWEST_EPOCHS, ROWS_TO_SEE // n_rows), MOST_EPOCHS)


def layers_for(
    estimator: Any, encoder: TabularEncoder, i: int, is_classifier: bool, is_sparse: bool
) -> list[Layer]:
    """Return the layers up to the output layer: embeddings, a scale, and dense layers.

    Sparse rows go straight to the first dense layer, which keeps them sparse.
    """
    layers = [] if is_sparse and not encoder.n_codes_ else _input_layers(estimator, encoder, i)
    activation = _activation(estimator, is_classifier)
    for units in check_hidden_layer_sizes(estimator.hidden_layer_sizes):
        layers.append(
            Dense(
                units,
                activation,
                initializer="data",
                bias_initializer="data",
                kernel_rate="fan_in",
                bias_rate=BIAS_RATE,
            )
        )
        if estimator.dropout:
            layers.append(Dropout(_flat_cosine(estimator.dropout)))
    return layers


def _activation(estimator: Any, is_classifier: bool) -> Any:
    if is_named(estimator.activation, "auto"):
        return PReLU(0.0, rate=ACTIVATION_RATE) if is_classifier else "mish"
    return estimator.activation


def _flat_cosine(value: float | Scheduled) -> Scheduled:
    """Return a number that falls to 0 in the second half of training."""
    return value if isinstance(value, Scheduled) else Scheduled(value, FlatCosine())


def weight_decay(estimator: Any) -> float | Scheduled:
    """Return the decay of the weights, which falls to 0 in the second half of training."""
    return _flat_cosine(estimator.weight_decay) if estimator.weight_decay else 0.0


def output_rate(estimator: Any) -> float:
    """Return the factor of the learning rate of the output layer."""
    sizes = check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    return 1 / math.sqrt(sizes[-1]) if sizes else 1.0


def _input_layers(estimator: Any, encoder: TabularEncoder, i: int) -> list[Layer]:
    """Return the layers between the encoded columns and the first dense layer."""
    numeric, codes = encoder.blocks_["numeric"], encoder.blocks_["codes"]
    embedding = numeric_embedding(estimator.numeric_embedding, i)
    branches: list[list[Layer]] = []
    if embeds_numbers(encoder) and embedding is not None:
        branches.append([Columns(numeric), embedding])
    first = numeric.stop if branches else 0
    if codes.start > first:
        branches.append([Columns(slice(first, codes.start))])
    if codes.stop > codes.start:
        branches.append([Columns(codes), Embedding(encoder.n_codes_, estimator.embedding_size)])
    if len(branches) > 1:
        layers: list[Layer] = [Concatenate(branches)]
    else:  # all columns are of one kind
        layers = branches[0][1:]
    return [*layers, Scale(rate=SCALE_RATE)]


def kinds(estimator: Any, n_members: int, is_sparse: bool) -> np.ndarray:
    """Return for each member the kind of its embedding: with "auto", the kinds take turns."""
    if is_sparse or not embeds_numbers(estimator.encoder_):
        return np.zeros(n_members, int)
    return np.array([_kind(estimator.numeric_embedding, i) for i in range(n_members)])


def _kind(given: Any, i: int) -> int:
    return i % 2 if is_named(given, "auto") else 0


def embeds_numbers(encoder: TabularEncoder) -> bool:
    """Whether there are columns of numbers to embed, and not too many."""
    return 0 < encoder.blocks_["numeric"].stop <= MOST_EMBEDDED


def numeric_embedding(given: Any, i: int = 0) -> Layer | None:
    """Return the layer that embeds columns of numbers in member i, or None."""
    if given is None or isinstance(given, Layer):
        return given
    if not isinstance(given, str):
        raise InvalidParameterError(
            f"numeric_embedding={given!r} is not allowed; give None, one of {list(EMBEDDINGS)}, or "
            "a layer such as skdeep.layers.Periodic()."
        )
    if given not in EMBEDDINGS:
        raise InvalidParameterError(unknown_name(given, EMBEDDINGS, "numeric_embedding"))
    if given == "piecewise_linear" or _kind(given, i) == 1:
        return PiecewiseLinear(rate=EMBEDDING_RATE)
    return Periodic(rate=EMBEDDING_RATE)
