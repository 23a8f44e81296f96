"""Problems of the data, and of the batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from skdeep.inspection.findings.case import Case, Finding

INPUT_SCALE = 10.0
TARGET_SCALE = 10.0
SPREAD = 1e3  # the ratio of two columns' standard deviations
TINY_BATCH = 8
IMBALANCE = 10.0  # the rows of the most frequent class per row of the rarest
# The range of an output activation, ...
REACH = {
    "relu": (0.0, np.inf),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
    "logistic": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}
REACH_ROUNDING = 1e-6  # ... with a margin for rounding by scalers, ...
OUT_OF_REACH = 0.01  # ... and the share of rows that may lie outside.

_SCALE_INPUTS = "put a StandardScaler before it in a Pipeline, or set batch_norm_input=True"


def inputs(case: Case) -> Iterator[Finding]:
    """Look at the means and the standard deviations of the columns."""
    if case.model.batch_norm_input:
        return
    X = case.probe.X
    X = X.toarray() if sp.issparse(X) else X
    mean, std = X.mean(axis=0), X.std(axis=0)
    size = np.abs(mean) + std
    std = np.where(std > 1e-9 * size.max(), std, 0.0)  # a constant column has a rounding error
    worst = int(size.argmax())
    if size[worst] > INPUT_SCALE:
        yield Finding(
            "unscaled inputs",
            f"column {worst} has mean {mean[worst]:.3g} and standard deviation {std[worst]:.3g}",
            _SCALE_INPUTS,
        )
    elif std.any() and std.max() > SPREAD * std[std > 0].min():
        least = int(np.where(std > 0, std, np.inf).argmin())
        yield Finding(
            "unscaled inputs",
            f"column {int(std.argmax())} has standard deviation {std.max():.3g}, column {least} "
            f"{std[least]:.3g}",
            _SCALE_INPUTS,
        )
    elif 0 < size[worst] < 1 / INPUT_SCALE**2:
        yield Finding(
            "unscaled inputs", f"no column is larger than {size[worst]:.3g}", _SCALE_INPUTS
        )


def targets(case: Case) -> Iterator[Finding]:
    """Look at the scale of the targets, and at the range of the output activation."""
    if case.is_classifier or sp.issparse(case.y):
        return
    model, Y = case.model, case.probe.Y
    if model._loss.link in REACH:
        low, high = REACH[model._loss.link]
        too_low, too_high = low - Y > REACH_ROUNDING, Y - high > REACH_ROUNDING
        is_outside = (too_low | too_high).any(axis=1)
        if is_outside.mean() > OUT_OF_REACH:
            yield Finding(
                "targets out of reach",
                f"{is_outside.mean():.0%} of the rows have targets outside [{low:g}, {high:g}], "
                f"the range of the output activation {model._loss.link!r}",
                "output_activation='auto', or targets scaled to that range",
            )
        return
    mean, std = np.nanmean(Y, axis=0), np.nanstd(Y, axis=0)  # targets may be missing
    size = np.abs(mean) + std
    worst = int(size.argmax())
    if size[worst] > TARGET_SCALE or 0 < size[worst] < 1 / TARGET_SCALE**2:
        yield Finding(
            "unscaled targets",
            f"target {worst} has mean {mean[worst]:.3g} and standard deviation {std[worst]:.3g}",
            how_to_scale_targets(case),
        )


def how_to_scale_targets(case: Case) -> str:
    """Return advice how to give targets a mean of 0 and a standard deviation of 1."""
    if hasattr(case.model, "standardize_y"):
        return (
            "standardize_y=True, or wrap the model in TransformedTargetRegressor(model, "
            "transformer=StandardScaler())"
        )
    return "put a StandardScaler before it in a Pipeline"  # the targets are the inputs


def batches(case: Case) -> Iterator[Finding]:
    """Look at the number of rows from which batch norm takes its statistics."""
    if case.uses_batch_statistics and case.rows_a_step < TINY_BATCH:
        yield Finding(
            "tiny batches",
            f"batch norm takes its statistics from {case.rows_a_step} rows",
            "a batch_size of 32 or more, or no batch norm",
        )


def classes(case: Case) -> Iterator[Finding]:
    """Look at the frequencies of the classes."""
    if not case.is_classifier or case.model._encoder.kind == "multilabel":
        return
    if case.model.class_weight is not None:
        return
    labels, counts = np.unique(np.asarray(case.y), return_counts=True)
    if len(labels) > 1 and counts.max() > IMBALANCE * counts.min():
        rare, frequent = labels[counts.argmin()], labels[counts.argmax()]
        yield Finding(
            "class imbalance",
            f"class {frequent} has {counts.max()} rows, class {rare} has {counts.min()}",
            "class_weight='balanced', loss='focal', a score that does not favour frequent classes",
        )
