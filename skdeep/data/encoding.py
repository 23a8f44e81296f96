"""Class labels: from the user's y to the targets of a network, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from skdeep._component import InvalidParameterError, is_named
from skdeep.data.soft_targets import expected_weights, probabilities
from skdeep.losses import Loss
from skdeep.training.batches import ClassTargets, DenseTargets


class ClassEncoder:
    """Turn class labels of any type into codes, and back.

    | kind | labels | encoded | network outputs |
    | --- | --- | --- | --- |
    | binary | one or two | 0 or 1, in one column | one logit |
    | multiclass | more than two | codes 0, 1, ..., in 1-D | one logit per class |
    | multilabel | one column per label | the indicator matrix | one logit per label |

    Soft targets, rows of probabilities, are binary or multiclass. Encoded, they are the column of
    the second class, or all columns.

    Parameters
    ----------
    y : array
        The labels of the first data.
    classes : array-like or None
        All classes that may occur in any data. None stands for the classes of y.
    """

    def __init__(self, y: Any, classes: Any = None):
        kind = type_of_target(y)
        if kind == "unknown":
            raise ValueError(_about_objects(y))
        if kind == "continuous-multioutput":
            raise ValueError(
                "Unknown label type: continuous-multioutput. y has columns of numbers; if its "
                "rows are probabilities of classes, set soft_targets=True."
            )
        check_classification_targets(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "Multioutput target data with more than two classes per column is not supported; "
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
        """Raise ValueError if the classes do not suit the kind of problem or the outputs."""
        n_classes = len(self.classes)
        if not np.array_equal(np.unique(self.classes), self.classes):
            raise ValueError("the classes are not sorted, or a class occurs twice")
        kinds = {
            "binary": n_classes in (1, 2) and self.n_outputs == 1,
            "multiclass": self.n_outputs == n_classes > 2,
            "multilabel": self.n_outputs == n_classes,
        }
        if not kinds[self.kind]:
            raise ValueError(f"{n_classes} classes do not go with {self.n_outputs} outputs")

    def labels(self, y: Any) -> np.ndarray:
        """Return the classes that occur in y; raise ValueError if y is of another kind."""
        is_indicator = type_of_target(y) == "multilabel-indicator"
        if is_indicator != (self.kind == "multilabel"):
            given, wanted = (
                (f"a 0/1 indicator matrix of shape {y.shape}", "one label per row, in 1-D")
                if is_indicator
                else ("one label per row", f"a 0/1 indicator matrix of {self.n_outputs} columns")
            )
            raise ValueError(
                f"y is {given}. The model was fitted to {wanted}; give y in that form, or fit a "
                "new model."
            )
        return np.arange(y.shape[1]) if is_indicator else unique_labels(y)

    def unseen(self, y: Any) -> np.ndarray:
        """Return the classes of y that the encoder does not know."""
        if self._knows(y):
            return self.classes[:0]
        return np.setdiff1d(self.labels(y), self.classes)

    def _knows(self, y: Any) -> bool:
        """Whether y is a plain array of known classes.

        Most calls of partial_fit are seen to be in order without sorting all labels, as
        scikit-learn's checks do.
        """
        is_array = isinstance(y, np.ndarray) and y.ndim == 1
        if self.kind == "multilabel" or not is_array or not len(y):
            return False
        if not any(y.dtype.kind in k and self.classes.dtype.kind in k for k in ("biuf", "U")):
            return False
        places = np.searchsorted(self.classes[:-1], y)
        return bool((self.classes[places] == y).all())

    def encode(self, y: Any) -> np.ndarray:
        """Return codes, in 1-D, if multiclass; else 0 and 1 of shape (n_rows, n_outputs)."""
        if self.kind == "multilabel":
            return y.toarray() if sp.issparse(y) else np.asarray(y)
        if self.kind == "binary":
            positive = np.zeros(len(y), bool) if len(self.classes) < 2 else y == self.classes[1]
            return np.asarray(positive).reshape(-1, 1)
        return np.searchsorted(self.classes, y)

    def soft_rows(self, y: Any) -> np.ndarray:
        """Return soft targets with a column for each class; raise ValueError if y is not that."""
        P = probabilities(y)
        if self.kind == "multilabel" or P.shape[1] != len(self.classes):
            raise ValueError(
                f"y has {P.shape[1]} columns of probabilities, but the model was fitted to "
                f"{len(self.classes)} {'labels' if self.kind == 'multilabel' else 'classes'}."
            )
        return P

    def encode_soft(self, y: Any) -> np.ndarray:
        """Return soft targets with one column for each output of the network."""
        P = self.soft_rows(y)
        return P if self.kind == "multiclass" else P[:, 1:]

    def targets(self, encoded: np.ndarray, dtype: np.dtype, smoothing: float = 0.0):
        """Return the targets that batches are gathered from."""
        if self.kind == "multiclass" and encoded.ndim == 1:
            return ClassTargets(encoded, self.n_outputs, smoothing)
        n_classes = self.n_outputs if self.kind == "multiclass" else 2
        return DenseTargets(encoded.astype(dtype) * (1 - smoothing) + smoothing / n_classes)

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Return the labels that logits stand for."""
        if self.kind == "multilabel":
            return (Z > 0).astype(int)
        if self.kind == "multiclass":
            return self.classes[Z.argmax(axis=1)]
        if len(self.classes) < 2:
            return np.repeat(self.classes, len(Z))
        return self.classes[(Z[:, 0] > 0).astype(int)]

    def probabilities(self, Z: np.ndarray, loss: Loss) -> np.ndarray:
        """Return the probability of each class, for logits; none is exactly 0 or 1."""
        Z = self._both_sides(Z, loss)
        return _inside(_probabilities(Z, loss).astype(Z.dtype), Z)

    def log_probabilities(self, Z: np.ndarray, loss: Loss) -> np.ndarray:
        """Return the logarithms of the probabilities, which are finite."""
        Z = self._both_sides(Z, loss)
        return np.log(_inside(_probabilities(Z, loss), Z)).astype(Z.dtype)

    def _both_sides(self, Z: np.ndarray, loss: Loss) -> np.ndarray:
        """Return logits with one column for each class: [-z, z] in a binary problem."""
        if self.kind != "binary":
            return Z
        if len(self.classes) < 2:  # a single class is certain
            return np.full_like(Z, np.inf if loss.link == "logistic" else 0)
        return np.concatenate([-Z, Z], axis=1)


def _probabilities(Z: np.ndarray, loss: Loss) -> np.ndarray:
    """Return the probabilities that logits stand for, in float64."""
    P = Z.astype(np.float64)
    with np.errstate(over="ignore"):  # of differences of logits
        loss.output(P)
    return P


def _inside(P: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Move probabilities of finite logits Z from 0 and 1 to the nearest numbers in between."""
    low, high = np.finfo(Z.dtype).smallest_subnormal, 1 - np.finfo(P.dtype).epsneg
    outside = ((low > P) | (high < P)) & np.isfinite(Z)
    if outside.any():
        P[outside] = P[outside].clip(low, high)
    return P


def _about_objects(y: Any) -> str:
    types = sorted({type(label).__name__ for label in np.ravel(y)})
    return (
        f"Unknown label type: unknown. y holds Python objects of type {', '.join(types)}; give "
        "labels of one NumPy dtype, for example by y.astype(int) or y.astype(str)."
    )


def refuse_named_weights(class_weight: Any) -> None:
    """Raise ValueError if class_weight is a name, whose weights need all rows."""
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight={class_weight!r} is not supported for partial_fit, which "
            "does not see all rows; give a dict of weights, computed with "
            "sklearn.utils.class_weight.compute_class_weight."
        )


def weights_of_classes(
    class_weight: Any, y: Any, encoder: ClassEncoder, *, is_soft: bool = False
) -> np.ndarray | None:
    """Return one weight for each row by its class, or None if class_weight is None."""
    if class_weight is None:
        return None
    is_list = isinstance(class_weight, list) and all(isinstance(e, dict) for e in class_weight)
    is_dict = isinstance(class_weight, dict) or (is_list and encoder.kind == "multilabel")
    if not is_dict and not is_named(class_weight, "balanced"):
        example = dict.fromkeys(encoder.classes[:2].tolist(), 1.0)
        raise InvalidParameterError(
            f"class_weight={class_weight!r} is not allowed; give None, 'balanced', or a dict from "
            f"label to weight, such as {example}. For multilabel targets give a list with one "
            "dict for each column."
        )
    if is_soft:
        weights = expected_weights(class_weight, encoder.soft_rows(y), encoder.classes)
    else:
        weights = compute_sample_weight(class_weight, y)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidParameterError(
            f"class_weight={class_weight!r} is not allowed; give finite weights >= 0."
        )
    return weights
