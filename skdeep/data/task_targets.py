"""The targets of several tasks: columns of y, in the form that each task takes, and back.

A missing target is NaN in the encoded form. A task of classes takes None, NaN and the marks of
pandas for a missing label; a task of numbers takes them for a missing number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from skdeep._component import InvalidParameterError, is_named
from skdeep.data.encoding import ClassEncoder, refuse_named_weights
from skdeep.data.gaps import check_gaps, mean_and_scale, score_of_numbers
from skdeep.data.soft_targets import warn_if_one_hot
from skdeep.losses import Loss

_MARKS_OF_PANDAS = ("NAType", "NaTType")


# The user's y -----------------------------------------------------------------------------------


class TaskTargets(Mapping):
    """The targets of each task, by name: arrays of shape (n_rows,) or (n_rows, n_columns).

    Indexing with the positions of rows returns the targets of these rows.
    """

    def __init__(self, columns: dict[str, np.ndarray]):
        self.columns = columns

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return TaskTargets({name: column[key] for name, column in self.columns.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.columns!r})"


def kind_of(y: Any) -> str:
    """Return the library of a data frame, "dict" or "array"; raise for any other y."""
    library = type(y).__module__.partition(".")[0]
    if library in ("pandas", "polars") and hasattr(y, "columns"):
        return library
    if isinstance(y, Mapping):
        return "dict"
    if sp.issparse(y):
        raise ValueError("y is a sparse matrix; give a dense array (y.toarray()).")
    if np.ndim(y) == 2:
        return "array"
    what = f"of shape {np.shape(y)}" if hasattr(y, "shape") else f"a {type(y).__name__}"
    raise ValueError(
        f"y is {what}; give a data frame or a dict with the columns of all tasks, or an array with "
        "one column for each task."
    )


def columns_of(y: Any) -> dict[Any, Any]:
    """Return the columns of y by name, or by position if y is an array."""
    kind = kind_of(y)
    if kind == "dict":
        return dict(y)
    if kind == "array":
        array = np.asarray(y, dtype=None if hasattr(y, "dtype") else object)
        return dict(enumerate(array.T))
    names = list(y.columns)
    if len(set(names)) < len(names):
        raise ValueError(f"y has two columns of one name: {names}; give each its own.")
    return {name: y[name] for name in names}


def read_targets(y: Any, places: Mapping[str, Any], may_miss: Collection[str] = ()) -> TaskTargets:
    """Return the targets of each task.

    Parameters
    ----------
    y : data frame, dict or array
    places : dict
        For each task the key of its column in y, or a list of keys.
    may_miss : collection of str
        The tasks whose columns may be missing: then all their targets are.
    """
    if isinstance(y, TaskTargets):
        return TaskTargets({name: y[name] for name in places})
    given = columns_of(y)
    n_rows = max(map(_length, given.values()), default=0)
    columns = {}
    for name, keys in places.items():
        wanted = keys if isinstance(keys, list) else [keys]
        missing = [key for key in wanted if key not in given]
        if missing and name in may_miss:
            shape = (n_rows, len(wanted)) if isinstance(keys, list) else n_rows
            columns[name] = np.full(shape, np.nan)
            continue
        if missing:
            raise ValueError(
                f"Task {name!r} needs the column {missing[0]!r} of y, which has {list(given)}. "
                "Give y this column, or name another one with the parameter `columns` of the task."
            )
        parts = [_as_array(given[key], name) for key in wanted]
        columns[name] = parts[0] if keys is not wanted else _side_by_side(parts, name)
    return TaskTargets(columns)


def _length(column: Any) -> int:
    return column.shape[0] if hasattr(column, "shape") else len(column)


def _side_by_side(parts: list[np.ndarray], name: str) -> np.ndarray:
    lengths = [len(part) for part in parts]
    if len(set(lengths)) > 1:
        raise ValueError(f"Task {name!r}: the columns of y have different lengths, {lengths}.")
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _as_array(column: Any, name: str) -> np.ndarray:
    if sp.issparse(column):
        raise ValueError(f"Task {name!r}: y is sparse; give a dense array (y.toarray()).")
    # NumPy would turn a list of text and numbers into text, and nullable integers into floats.
    dtype = getattr(column, "dtype", None)
    kind = None if isinstance(dtype, np.dtype) else getattr(dtype, "kind", None)
    is_nullable = kind in ("i", "u", "b")
    array = np.asarray(column, dtype=object if dtype is None or is_nullable else None)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(
            f"Task {name!r}: y has shape {array.shape}; give an array of shape (n_samples,) or "
            "(n_samples, n_columns)."
        )
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in _MARKS_OF_PANDAS or value != value


def _missing(column: np.ndarray) -> np.ndarray:
    """Return which entries are missing."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype != object:
        return np.zeros(column.shape, bool)
    flat = [bool(_is_missing(value)) for value in column.ravel()]
    return np.array(flat, bool).reshape(column.shape)


# Classes ----------------------------------------------------------------------------------------


class ClassTask:
    """The classes of a task.

    Parameters
    ----------
    name : str
    column : ndarray
        The targets of the first data.
    classes : array-like or None
        All classes that may occur in any data. None stands for those of `column`.
    """

    def __init__(self, name: str, column: np.ndarray, classes: Any = None):
        self.name = name
        labels, _ = self._known(column) if classes is None else self.known(column)
        if not len(labels):
            labels = np.asarray(classes)
        self.encoder = self._named_errors(ClassEncoder, labels, classes)
        self.n_outputs = self.encoder.n_outputs
        if self.encoder.kind == "multilabel" and classes is None:
            warn_if_one_hot(labels, f" of the task {name!r}")

    def _named_errors(self, function, *arguments):
        try:
            return function(*arguments)
        except ValueError as error:
            raise ValueError(f"Task {self.name!r}: {error}") from error

    def _known(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels that are not missing, and the rows that they are in."""
        missing = _missing(column)
        known = ~(missing.any(axis=1) if column.ndim == 2 else missing)
        if not known.any():
            raise ValueError(f"Task {self.name!r}: y has no label, only missing values.")
        labels = column[known]
        if labels.dtype != object:
            return labels, known
        kinds = {isinstance(label, str) for label in labels.ravel()}
        if len(kinds) > 1:
            raise ValueError(
                f"Task {self.name!r}: y has text and numbers; give labels of one type, for example "
                "by .astype(str)."
            )
        return np.array(labels.tolist()), known

    def known(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels that are not missing, and which rows they are in."""
        if _missing(column).all():
            return column[:0], np.zeros(len(column), bool)
        return self._known(column)

    def check(self) -> None:
        """Raise ValueError if the classes do not suit the outputs."""
        self.encoder.check()
        if self.encoder.n_outputs != self.n_outputs:
            raise ValueError("the classes are not those of the head")

    @property
    def classes(self) -> np.ndarray:
        """The classes, in the order of the outputs."""
        return self.encoder.classes

    def encode(self, column: np.ndarray) -> np.ndarray:
        """Return rows of 0 and 1, with NaN in the rows without a label."""
        if column.shape[:1] == (0,) or _missing(column).all():
            return np.full((len(column), self.n_outputs), np.nan)
        labels, known = self._known(column)
        unseen = self._named_errors(self.encoder.unseen, labels)
        if len(unseen):
            raise ValueError(
                f"Task {self.name!r}: y has the classes {unseen.tolist()}, which are not among "
                f"those of the fit, {self.classes.tolist()}."
            )
        codes = self.encoder.encode(labels)
        Y = np.full((len(column), self.n_outputs), np.nan)
        Y[known] = np.eye(self.n_outputs)[codes] if codes.ndim == 1 else codes
        return Y

    def check_all_seen(self, column: np.ndarray) -> None:
        """Raise ValueError if a class of the earlier fit does not occur."""
        labels, _ = self._known(column)
        there = self._named_errors(self.encoder.labels, labels)
        if set(there) != set(self.classes):
            raise ValueError(
                f"Task {self.name!r}: warm_start can only be used if `y` has the same classes as "
                f"in the previous call to fit. Previously got {self.classes}, `y` has {there}. "
                'warm_start="transfer" keeps the hidden layers for new classes.'
            )

    def codes(self, Y: np.ndarray) -> np.ndarray | None:
        """Return a number for each row's class, -1 if it is missing; None for several labels."""
        if self.encoder.kind == "multilabel":
            return None
        missing = np.isnan(Y[:, 0])
        codes = Y.argmax(axis=1) if self.encoder.kind == "multiclass" else Y[:, 0]
        return np.where(missing, -1, codes).astype(int)

    def smoothed(self, Y: np.ndarray, share: float) -> np.ndarray:
        """Return targets of which a share is spread evenly over the classes."""
        n_classes = self.n_outputs if self.encoder.kind == "multiclass" else 2
        return Y * (1 - share) + share / n_classes

    def decode(self, Z: np.ndarray, loss: Loss) -> np.ndarray:
        """Return the labels that raw outputs stand for."""
        return self.encoder.decode(Z)

    def score(self, column: np.ndarray, Z: np.ndarray, loss: Loss, weight) -> float:
        """Return the accuracy on the rows with a label; NaN if there are none with a weight."""
        labels, known = self.known(column)
        if not known.any():
            return np.nan
        weight = None if weight is None else np.asarray(weight)[known]
        if weight is not None and not weight.any():
            return np.nan
        predicted = self.encoder.decode(Z[known])
        return self._named_errors(_accuracy, labels, predicted, weight)

    def weights(
        self, class_weight: Any, column: np.ndarray, incremental: bool
    ) -> list[list[float]]:
        """Return the weights of the classes: a list for the task, or one for each label."""
        if incremental:
            self._named_errors(refuse_named_weights, class_weight)
        labels, _ = self.known(column)
        columns, classes, given = [labels], [self.classes], [class_weight]
        if self.encoder.kind == "multilabel":
            columns, classes = list(labels.T), [np.arange(2)] * self.n_outputs
            is_list = isinstance(class_weight, list) and len(class_weight) == self.n_outputs
            given = class_weight if is_list else [class_weight] * self.n_outputs
        if not all(isinstance(w, dict) or is_named(w, "balanced") for w in given):
            raise InvalidParameterError(
                f"tasks__{self.name}__class_weight={class_weight!r} is not allowed; give None, "
                "'balanced', or a dict from label to weight; for several yes/no labels, a list "
                "with a dict for each."
            )
        weights = [
            self._named_errors(_class_weights, w, c, labels)
            for w, c, labels in zip(given, classes, columns, strict=True)
        ]
        if not all(np.isfinite(w) and w >= 0 for entries in weights for w in entries):
            raise InvalidParameterError(
                f"tasks__{self.name}__class_weight={class_weight!r} is not allowed; give finite "
                "weights >= 0."
            )
        return weights


def _accuracy(labels, predicted, weight) -> float:
    return float(accuracy_score(labels, predicted, sample_weight=weight))


def _class_weights(given: Any, classes: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the weight of each class; 1 for a class that does not occur."""
    there = np.isin(classes, labels)
    weights = np.ones(len(classes))
    if isinstance(given, dict):
        unknown = [label for label in given if label not in classes]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}, which y does not have.")
        weights = np.array([given.get(label, 1.0) for label in classes.tolist()], dtype=float)
    else:
        weights[there] = compute_class_weight(given, classes=classes[there], y=labels)
    return weights.tolist()


# Numbers ----------------------------------------------------------------------------------------


class NumberTask:
    """The numbers of a task.

    Parameters
    ----------
    name : str
    column : ndarray
        The targets of the first data.
    weight : ndarray or None
        The weights of the rows.
    n_quantiles : int or None
        The number of quantiles that are predicted for a single column; None for the usual case.
    standardize : bool
        Whether the encoded targets have mean 0 and variance 1.
    """

    def __init__(self, name: str, column: np.ndarray, weight, n_quantiles, standardize: bool):
        self.name = name
        self.is_flat = column.ndim == 1 and n_quantiles is None
        self.n_targets = 1 if column.ndim == 1 else column.shape[1]
        self.n_outputs = n_quantiles or self.n_targets
        self.mean = self.scale = None
        if n_quantiles is not None and self.n_targets > 1:
            raise ValueError(
                f"Task {name!r}: its loss predicts several quantiles of one column, but y has "
                f"{self.n_targets}; give one column, or one quantile."
            )
        Y = self.encode(column)
        check_gaps(Y, f"y of task {name!r}")
        if standardize:
            self.mean, self.scale = mean_and_scale(Y, weight)

    def check(self) -> None:
        """Raise ValueError if the mean and the scale do not suit the outputs."""
        shapes = [None if numbers is None else numbers.shape for numbers in (self.mean, self.scale)]
        if shapes not in ([None, None], [(self.n_outputs,)] * 2):
            raise ValueError("the mean and the scale are not those of all outputs of a task")

    def known(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of numbers of which none is missing, and their positions as a mask."""
        Y = self._numbers(column)
        rows = ~np.isnan(Y.reshape(len(Y), -1)).any(axis=1)
        return Y[rows], rows

    def _numbers(self, column: np.ndarray) -> np.ndarray:
        """Return the numbers as float64, with NaN for a missing one."""
        if column.dtype == object:
            is_text = [isinstance(value, str) for value in column.ravel()]
            if not any(is_text):
                column = np.where(_missing(column), np.nan, column)
        if column.dtype.kind in "USMmc" or (column.dtype == object and any(is_text)):
            example = next(v for v in column.ravel() if not isinstance(v, (float, int)))
            raise ValueError(
                f"Task {self.name!r} is a Regression, but its y holds {str(example)!r}, which is "
                "no number. Give numbers, or make the task a Classification."
            )
        try:
            Y = column.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Task {self.name!r}: y holds no numbers: {error}") from error
        if np.isinf(Y).any():
            raise ValueError(f"Task {self.name!r}: Input y contains infinity.")
        return Y

    def encode(self, column: np.ndarray) -> np.ndarray:
        """Return the targets of the network."""
        Y = self._numbers(column).reshape(len(column), -1)
        if Y.shape[1] != self.n_targets:
            raise ValueError(
                f"Task {self.name!r}: y has {Y.shape[1]} columns, but the model was fitted with "
                f"{self.n_targets}."
            )
        if self.n_outputs != self.n_targets:
            Y = np.repeat(Y, self.n_outputs, axis=1)
        return Y if self.scale is None else (Y - self.mean) / self.scale

    def decode(self, Z: np.ndarray, loss: Loss) -> np.ndarray:
        """Return the predictions that raw outputs stand for."""
        P = np.array(Z)
        loss.output(P)
        if self.scale is not None:
            P *= self.scale
            P += self.mean
        return P[:, 0] if self.is_flat else P

    def score(self, column: np.ndarray, Z: np.ndarray, loss: Loss, weight) -> float:
        """Return R2 (D2 for quantiles), averaged over the columns, without missing numbers."""
        P, Y = self.decode(Z, loss), self._numbers(column)
        quantiles = getattr(getattr(loss, "loss", loss), "quantiles", None)
        return score_of_numbers(Y, P, weight, quantiles, with_gaps=True)
