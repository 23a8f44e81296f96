"""Errors relative to the error of a constant prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep.inspection.probing import Probe


def relative_error(model: Any, X: Any, y: Any) -> float:
    """Return the error relative to the error of a constant prediction.

    The error is the one that training minimizes: if there are class weights, all classes have the
    same weight, and for a quantile the error is the loss.
    """
    if not hasattr(model, "classes_"):
        if getattr(model._loss, "center", None) not in (None, 0.5):
            return _relative_loss(model, X, y)
        return 1 - (model.score(X, y) if hasattr(model, "predict") else model.score(X))
    is_wrong = np.asarray(model.predict(X)) != _labels(y)
    of_constant = error_of_constant(model, y)
    weight = _row_weights(y) if _counts_classes_alike(model) else None
    if not of_constant:
        return 0.0
    return float(np.average(is_wrong, axis=0, weights=weight).mean()) / of_constant


def error_of_constant(model: Any, y: Any) -> float:
    """Return the share of wrong labels if the most frequent one is predicted, per column."""
    labels = _labels(y)
    columns = labels.T if labels.ndim == 2 else [labels]
    if _counts_classes_alike(model):
        return 1 - 1 / len(np.unique(labels))
    shares = [np.unique(column, return_counts=True)[1].max() / len(column) for column in columns]
    return float(1 - np.mean(shares))


def standard_error(model: Any, error: float, y: Any) -> float:
    """Return the standard error of a relative error that was measured on these rows."""
    if not hasattr(model, "classes_"):
        return 0.0
    of_constant = error_of_constant(model, y)
    if not of_constant:
        return 0.0
    n_rows = float(len(_labels(y)))
    if _counts_classes_alike(model):  # the effective number of rows
        weight = _row_weights(y)
        n_rows = weight.sum() ** 2 / (weight**2).sum()
    wrong = min(1.0, error * of_constant)
    return float(np.sqrt(wrong * (1 - wrong) / n_rows) / of_constant)


def _relative_loss(model: Any, X: Any, y: Any) -> float:
    probe = Probe(model, X, y)
    rows = np.ones(len(probe.Y))
    best = np.broadcast_to(probe.loss.best_constant(probe.Y, rows), probe.Y.shape)
    values = [
        probe.loss.value_and_grad(probe.Y, Z.astype(probe.Y.dtype), None, np.empty_like(probe.Y))
        for Z in (probe.network.infer(probe.X), best)
    ]
    return values[0] / values[1] if values[1] else 0.0


def _labels(y: Any) -> np.ndarray:
    y = y.toarray() if sp.issparse(y) else np.asarray(y)
    return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y


def _counts_classes_alike(model: Any) -> bool:
    return model.class_weight is not None and model._encoder.kind != "multilabel"


def _row_weights(y: Any) -> np.ndarray:
    """Return row weights with which all classes have the same total weight."""
    _, which, counts = np.unique(_labels(y), return_inverse=True, return_counts=True)
    return 1 / counts[which]
