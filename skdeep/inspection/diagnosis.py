"""A doctor for networks: what is wrong, by which figure, and what to try."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep.inspection.errors import bias_variance_report
from skdeep.inspection.probing import Probe
from skdeep.inspection.statistics import LayerReport, layer_statistics, model_targets
from skdeep.layers import BatchNorm

# What is out of the ordinary. Each has a network in the tests that has it, and one that has not.
GRADIENT_RATIO = 1000.0  # of the gradients of two layers
EXPLODING_NORM = 1000.0
DEAD_SHARE = SATURATED_SHARE = 0.25  # of a layer's units
INPUT_SCALE = 10.0
TARGET_SCALE = 10.0
TINY_BATCH = 8
IMBALANCE = 10.0  # rows of the most frequent class by those of the rarest
RISING_SHARE = 0.2  # of the epochs, in which the loss rises ...
RISE = 0.1  # ... by more than this share of all that it fell
SPREAD = 1e3  # of the standard deviations of two columns
STANDARD_ERRORS = 3.0
SLOW_PROGRESS = 0.1  # of the loss, gained in the whole run
# Errors are relative to that of a constant prediction; for numbers this is a variance, and noise is
# in it.
UNDERFITTING = {"classes": 0.3, "numbers": 0.7}
OVERFITTING = 0.1


@dataclass
class Finding:
    """Something that is wrong.

    Attributes
    ----------
    kind : str
        "vanishing gradients", "exploding gradients", "dead units", "saturated units", "unscaled
        inputs", "unscaled targets", "learning rate too high", "learning rate too low", "tiny
        batches", "class imbalance", "underfitting" or "overfitting".
    evidence : str
        The figure that was seen.
    advice : str
        What to try.
    """

    kind: str
    evidence: str
    advice: str


class Report:
    """What `diagnose` found; prints as text, renders as HTML in a notebook.

    Attributes
    ----------
    findings : list of Finding
    layers : LayerReport
    """

    def __init__(self, findings: list[Finding], layers: LayerReport):
        self.findings = findings
        self.layers = layers

    def __str__(self) -> str:
        if not self.findings:
            return "Nothing was found to be wrong.\n\n" + str(self.layers)
        entries = [f"{f.kind}: {f.evidence}\n    try: {f.advice}" for f in self.findings]
        return "\n".join([*entries, "", str(self.layers)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        entries = "".join(
            f"<li><b>{html.escape(f.kind)}</b>: {html.escape(f.evidence)}<br>"
            f"<i>try:</i> {html.escape(f.advice)}</li>"
            for f in self.findings
        )
        found = f"<ul>{entries}</ul>" if entries else "<p>Nothing was found to be wrong.</p>"
        return found + self.layers._repr_html_()


def diagnose(model: Any, X: Any, y: Any = None, X_val: Any = None, y_val: Any = None) -> Report:
    """Look at a fitted model, and at the data that it was trained on.

    Parameters
    ----------
    model : fitted estimator of skdeep
        Of a Pipeline, the last step.
    X, y : training data
        As the model was given them, so after the steps before it in a Pipeline.
    X_val, y_val : validation data or None, default=None
        With them it is told whether the model overfits.

    Returns
    -------
    Report
    """
    y, y_val = model_targets(model, X, y), model_targets(model, X_val, y_val)
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val belong together; give both, or neither.")
    if y is None:
        raise ValueError("diagnose needs y: without targets there are no gradients to look at.")
    layers = layer_statistics(model, X, y)
    findings = [
        *_inputs(model, X),
        *_targets(model, y),
        *_gradients(model, layers),
        *_units(layers),
        *_learning(model),
        *_batches(model, X),
        *_classes(model, y),
        *_fit(model, X, y, X_val, y_val),
    ]
    return Report(findings, layers)


def _inputs(model: Any, X: Any) -> Iterator[Finding]:
    if model.batch_norm_input:
        return
    X = Probe(model, X).X
    X = X.toarray() if sp.issparse(X) else X
    mean, std = X.mean(axis=0), X.std(axis=0)
    size = np.abs(mean) + std
    std = np.where(std > 1e-9 * size.max(), std, 0.0)  # a constant column's is rounding
    worst = int(size.argmax())
    if size[worst] > INPUT_SCALE:
        yield Finding(
            "unscaled inputs",
            f"column {worst} has mean {mean[worst]:.3g} and standard deviation {std[worst]:.3g}",
            "put a StandardScaler before it in a Pipeline, or set batch_norm_input=True",
        )
    elif std.any() and std.max() > SPREAD * std[std > 0].min():
        least = int(np.where(std > 0, std, np.inf).argmin())
        yield Finding(
            "unscaled inputs",
            f"column {int(std.argmax())} has standard deviation {std.max():.3g}, column {least} "
            f"{std[least]:.3g}",
            "put a StandardScaler before it in a Pipeline, or set batch_norm_input=True",
        )
    elif 0 < size[worst] < 1 / INPUT_SCALE**2:
        yield Finding(
            "unscaled inputs",
            f"no column is larger than {size[worst]:.3g}",
            "put a StandardScaler before it in a Pipeline, or set batch_norm_input=True",
        )


def _targets(model: Any, y: Any) -> Iterator[Finding]:
    if hasattr(model, "classes_") or model._loss.link != "identity" or sp.issparse(y):
        return
    Y = np.asarray(y, dtype=float).reshape(len(y), -1)
    mean, std = Y.mean(axis=0), Y.std(axis=0)
    size = np.abs(mean) + std
    worst = int(size.argmax())
    if size[worst] > TARGET_SCALE or 0 < size[worst] < 1 / TARGET_SCALE**2:
        yield Finding(
            "unscaled targets",
            f"target {worst} has mean {mean[worst]:.3g} and standard deviation {std[worst]:.3g}",
            "wrap the model in TransformedTargetRegressor(model, transformer=StandardScaler())",
        )


def _gradients(model: Any, layers: LayerReport) -> Iterator[Finding]:
    sizes = [row.gradient_rms for row in layers.layers if np.isfinite(row.gradient_rms)]
    norms = np.array(model.history_["gradient_norm"])
    norms = norms[np.isfinite(norms)]
    if (len(sizes) > 2 and 0 < sizes[0] * GRADIENT_RATIO < sizes[-1]) or (
        len(sizes) > 2 and sizes[0] == 0 < sizes[-1]
    ):
        yield Finding(
            "vanishing gradients",
            f"the lowest layer's gradient is {sizes[0] / sizes[-1]:.1e} times that of the highest",
            "batch_norm, residual layers, relu or selu, initializer='auto', fewer layers",
        )
    elif len(sizes) > 2 and sizes[0] > GRADIENT_RATIO * sizes[-1] > 0:
        yield Finding(
            "exploding gradients",
            f"the lowest layer's gradient is {sizes[0] / sizes[-1]:.1e} times that of the highest",
            "initializer='auto', batch_norm, clip_norm=1, a lower learning_rate_init",
        )
    elif len(norms) and norms.max() > EXPLODING_NORM:
        yield Finding(
            "exploding gradients",
            f"the norm of the gradient reached {norms.max():.3g}",
            "clip_norm=1, scaled inputs and targets, a lower learning_rate_init",
        )


def _units(layers: LayerReport) -> Iterator[Finding]:
    for row in layers.layers:
        if row.dead > DEAD_SHARE:
            yield Finding(
                "dead units",
                f"{row.dead:.0%} of the units of layer {row.name} are 0 for every row",
                "a lower learning_rate_init, leaky_relu or elu, batch_norm='before', scaled inputs",
            )
        if row.saturated > SATURATED_SHARE:
            yield Finding(
                "saturated units",
                f"{row.saturated:.0%} of the units of {row.name} are at an end of their range",
                "scaled inputs, smaller first weights, batch_norm='before', relu or selu",
            )


def _learning(model: Any) -> Iterator[Finding]:
    losses = np.array(model.loss_curve_)
    losses = losses[np.isfinite(losses)]
    if len(losses) < 5:
        return
    # Not the very first epochs: from how far up they came says nothing of the rest.
    rises = np.diff(losses) > RISE * (np.quantile(losses, 0.9) - losses.min())
    if rises.mean() > RISING_SHARE or losses[-1] > losses[0]:
        yield Finding(
            "learning rate too high",
            f"the loss rose in {rises.mean():.0%} of the epochs",
            f"a lower learning_rate_init than {model.learning_rate_init:g}, a schedule, a larger "
            "batch_size",
        )
    else:
        gained = 1 - losses[-1] / losses[0] if losses[0] > 0 else 1.0
        still_falls = np.mean(np.diff(losses[len(losses) // 2 :]) < 0) > 0.9
        if gained < SLOW_PROGRESS and (still_falls or gained < SLOW_PROGRESS / 1000):
            yield Finding(
                "learning rate too low",
                f"the loss fell by {gained:.1%} only in {len(losses)} epochs, and still falls",
                f"a higher learning_rate_init than {model.learning_rate_init:g} "
                "(skdeep.inspection.learning_rate_range_test suggests one)",
            )


def _batches(model: Any, X: Any) -> Iterator[Finding]:
    has_batch_norm = any(isinstance(layer, BatchNorm) for layer in model.network_.walk())
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    size = min(200, n_rows) if model.batch_size == "auto" else min(model.batch_size, n_rows)
    if has_batch_norm and size < TINY_BATCH:
        yield Finding(
            "tiny batches",
            f"batch norm takes its statistics from {size} rows",
            "a batch_size of 32 or more, or no batch norm",
        )


def _classes(model: Any, y: Any) -> Iterator[Finding]:
    if not hasattr(model, "classes_") or model._encoder.kind == "multilabel":
        return
    if model.class_weight is not None:
        return
    labels, counts = np.unique(np.asarray(y), return_counts=True)
    if len(labels) > 1 and counts.max() > IMBALANCE * counts.min():
        rare, frequent = labels[counts.argmin()], labels[counts.argmax()]
        yield Finding(
            "class imbalance",
            f"class {frequent} has {counts.max()} rows, class {rare} has {counts.min()}",
            "class_weight='balanced', loss='focal', and a score that does not reward the frequent",
        )


def _fit(model: Any, X: Any, y: Any, X_val: Any, y_val: Any) -> Iterator[Finding]:
    error = _error(model, X, y)
    if error > UNDERFITTING["classes" if hasattr(model, "classes_") else "numbers"]:
        yield Finding(
            "underfitting",
            f"the error on the training data is {error:.0%} of that of a constant prediction",
            "more units or layers, more epochs, a higher learning_rate_init, less regularization",
        )
    if X_val is None:
        return
    of_val = _error(model, X_val, y_val)
    variance = bias_variance_report(max(0.0, error), max(0.0, of_val)).variance
    if variance > max(OVERFITTING, STANDARD_ERRORS * _standard_error(model, of_val, y_val)):
        yield Finding(
            "overfitting",
            f"the error on the validation data is {variance:.0%} of a constant prediction's above "
            "that on the training data",
            "dropout, early_stopping=True, a larger alpha, fewer units, more data",
        )


def _error(model: Any, X: Any, y: Any) -> float:
    """Return the error relative to that of a constant prediction."""
    if not hasattr(model, "classes_"):
        return 1 - (model.score(X, y) if hasattr(model, "predict") else model.score(X))
    wrong = float(np.mean(np.asarray(model.predict(X)) != _labels(y)))
    of_constant = _error_of_constant(y)
    return wrong / of_constant if of_constant else 0.0


def _labels(y: Any) -> np.ndarray:
    y = y.toarray() if sp.issparse(y) else np.asarray(y)
    return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y


def _error_of_constant(y: Any) -> float:
    """Return the share of labels that the most frequent one gets wrong, column by column."""
    labels = _labels(y)
    columns = labels.T if labels.ndim == 2 else [labels]
    shares = [np.unique(column, return_counts=True)[1].max() / len(column) for column in columns]
    return float(1 - np.mean(shares))


def _standard_error(model: Any, error: float, y_val: Any) -> float:
    """Return what chance alone makes of an error that was measured on so few rows."""
    if not hasattr(model, "classes_"):
        return 0.0
    of_constant = _error_of_constant(y_val)
    wrong = min(1.0, error * of_constant)
    return float(np.sqrt(wrong * (1 - wrong) / len(_labels(y_val))) / of_constant)
