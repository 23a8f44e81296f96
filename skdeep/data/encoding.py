"""Targets: from the user's y to what a network is trained on, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from skdeep.training.batches import ClassTargets, DenseTargets


class ClassEncoder:
    """Class labels of any type <-> codes.

    | kind | labels | encoded | network outputs |
    | --- | --- | --- | --- |
    | binary | two (or a single one) | 0 or 1, one column | 1 logit |
    | multiclass | more | codes 0, 1, ..., 1-D | 1 logit a class |
    | multilabel | a column each | the indicator matrix | 1 logit a label |

    Parameters
    ----------
    y : array of the first data
    classes : array-like or None
        All classes that will ever come; None takes those of y.
    """

    def __init__(self, y: Any, classes: Any = None):
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "Multioutput target data with more than two classes a column is not supported; "
                "give one column of labels, or a 0/1 indicator matrix (multilabel)."
            )
        if kind == "multilabel-indicator":
            self.kind = "multilabel"
            self.classes = np.arange(y.shape[1])
            self.n_outputs = y.shape[1]
            return
        self.classes = unique_labels(y if classes is None else classes)
        self.kind = "binary" if len(self.classes) <= 2 else "multiclass"
        self.n_outputs = 1 if self.kind == "binary" else len(self.classes)

    def check(self) -> None:
        """Raise ValueError where classes and outputs are not of one kind."""
        n_classes = len(self.classes)
        if not np.array_equal(np.unique(self.classes), self.classes):
            raise ValueError("the classes are not sorted, or one is there twice")
        kinds = {
            "binary": n_classes in (1, 2) and self.n_outputs == 1,
            "multiclass": self.n_outputs == n_classes > 2,
            "multilabel": self.n_outputs == n_classes,
        }
        if not kinds[self.kind]:
            raise ValueError(f"{n_classes} classes do not go with {self.n_outputs} outputs")

    def labels(self, y: Any) -> np.ndarray:
        """Return the classes that y has; raise ValueError if it is of another kind."""
        is_indicator = type_of_target(y) == "multilabel-indicator"
        if is_indicator != (self.kind == "multilabel"):
            given, wanted = (
                (f"a 0/1 indicator matrix of shape {y.shape}", "one label a row, in 1-D")
                if is_indicator
                else ("one label a row", f"a 0/1 indicator matrix of {self.n_outputs} columns")
            )
            raise ValueError(
                f"y is {given}. The model was fitted to {wanted}; give y in that form, or fit a "
                "new model."
            )
        return np.arange(y.shape[1]) if is_indicator else unique_labels(y)

    def unseen(self, y: Any) -> np.ndarray:
        """Return the classes of y that the encoder does not know."""
        return np.setdiff1d(self.labels(y), self.classes)

    def encode(self, y: Any) -> np.ndarray:
        """Return codes: 1-D of a multiclass problem, else 0 and 1 of shape (n_rows, n_outputs)."""
        if self.kind == "multilabel":
            return y.toarray() if sp.issparse(y) else np.asarray(y)
        if self.kind == "binary":
            positive = np.zeros(len(y), bool) if len(self.classes) < 2 else y == self.classes[1]
            return np.asarray(positive).reshape(-1, 1)
        return np.searchsorted(self.classes, y)

    def targets(self, encoded: np.ndarray, dtype: np.dtype, smoothing: float = 0.0):
        """Return what batches are gathered from."""
        if self.kind == "multiclass":
            return ClassTargets(encoded, self.n_outputs, smoothing)
        return DenseTargets(encoded.astype(dtype) * (1 - smoothing) + smoothing / 2)

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Return labels, from logits."""
        if self.kind == "multilabel":
            return (Z > 0).astype(int)
        if self.kind == "multiclass":
            return self.classes[Z.argmax(axis=1)]
        if len(self.classes) < 2:
            return np.repeat(self.classes, len(Z))
        return self.classes[(Z[:, 0] > 0).astype(int)]
