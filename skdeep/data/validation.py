"""Validation data, given by the user or split off the training data, and its score."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import train_test_split

from skdeep._component import (
    Component,
    InvalidParameterError,
    Limit,
    is_named,
    unknown_name,
    warn_user,
)
from skdeep.data.calibration import calibrated_loss
from skdeep.data.metrics import Rows
from skdeep.data.sources.base import Source
from skdeep.data.sources.checks import with_own_targets
from skdeep.data.training_data import (
    TrainingData,
    checked_weight,
    combine_weights,
    refuse_several,
    scale_to_mean_one,
)
from skdeep.losses import Loss
from skdeep.network import Network


class Smoothed(Component):
    """A score that is averaged over the last epochs, so that chance chooses the best epoch less.

    Until there are that many epochs, the score is -inf.

    Parameters
    ----------
    scoring : str, callable or None
        The score of an epoch, as in `scoring` of the estimators.
    n_epochs : int, default=3
    """

    _limits = {"n_epochs": Limit(1, integer=True)}

    def __init__(self, scoring=None, n_epochs: int = 3):
        self.scoring = scoring
        self.n_epochs = n_epochs


class ValidationSet:
    """Held-out rows, on which a network is evaluated.

    Parameters
    ----------
    X : ndarray, CSR matrix or Source
    y : array
        The targets as the user gave them, for scorers.
    Y : ndarray of shape (n_rows, n_outputs)
        The targets for the loss.
    weight : ndarray or None
        The weights of the rows, scaled to mean 1.
    """

    def __init__(self, X, y, Y: np.ndarray, weight: np.ndarray | None):
        self.X = X
        self.y = y
        self.Y = Y
        self.weight = weight

    @property
    def rows(self) -> Rows:
        """The rows, as metrics take them."""
        return Rows("validation", lambda: self.X, self.y, self.weight)

    def evaluate(
        self,
        network: Network,
        loss: Loss,
        score: Callable,
        others: Iterable[Callable[[ValidationSet, np.ndarray], dict[str, float]]] = (),
    ) -> dict[str, float]:
        """Return the loss, without penalties, the score, and the figures of `others`.

        Each of `others` is called with this set and the raw outputs. The score is NaN if an output
        is not finite.
        """
        X = self.X
        Z = X.outputs(network) if isinstance(X, Source) else network.infer(X)
        finite = bool(np.isfinite(Z).all())
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value = loss.value_and_grad(self.Y, Z.copy(), self.weight, np.empty_like(Z))
            figures = {"loss": value, "score": float(score(self, Z, value)) if finite else math.nan}
            for further in others:
                for name, figure in further(self, Z).items():
                    figures.setdefault(name, figure)
        return figures


def make_score(estimator: Any, scoring: Any) -> Callable[[ValidationSet, np.ndarray, float], float]:
    """Return the score as a function of the validation set, the raw outputs and the loss."""
    if isinstance(scoring, Smoothed):
        return _smoothed(make_score(estimator, scoring.scoring), scoring.n_epochs)
    if scoring is None:
        return lambda held_out, Z, loss: estimator._score_outputs(held_out.y, Z, held_out.weight)
    if is_named(scoring, "loss"):
        return lambda held_out, Z, loss: -loss
    if is_named(scoring, "calibrated_loss"):
        if not getattr(estimator._choose_loss(), "gives_probabilities", False):
            raise InvalidParameterError(
                "scoring='calibrated_loss' is for classifiers with a loss that gives "
                "probabilities, such as 'log_loss'; give 'loss' or the name of a scorer."
            )
        return lambda held_out, Z, loss: (
            -calibrated_loss(estimator._loss, held_out.Y, Z, held_out.weight)
        )
    if isinstance(scoring, str):
        own = estimator._score_named(scoring)
        if own is not None:
            return own
        if scoring not in get_scorer_names():
            raise InvalidParameterError(unknown_name(scoring, get_scorer_names(), "scoring"))
        if not hasattr(estimator, "predict"):
            raise InvalidParameterError(
                f"scoring={scoring!r} needs predictions, which {type(estimator).__name__} does not "
                "make; give None, 'loss', or a callable scoring(estimator, X, y)."
            )
        scorer = get_scorer(scoring)
    elif callable(scoring):
        scorer = scoring
    else:
        raise InvalidParameterError(
            f"scoring={scoring!r} is not allowed; give None, 'loss', the name of a scorer, or a "
            "callable scoring(estimator, X, y)."
        )
    weighted = isinstance(scoring, str)

    def score(held_out: ValidationSet, Z: np.ndarray, loss: float) -> float:
        model = estimator._with_outputs(held_out.X, Z)
        weight = {"sample_weight": held_out.weight}
        options = weight if weighted and held_out.weight is not None else {}
        value = scorer(model, held_out.X, held_out.y, **options)
        if not isinstance(value, Real):
            raise InvalidParameterError(
                f"scoring={scoring!r} returned {value!r}; it has to return a number."
            )
        return value

    return score


def _smoothed(score: Callable, n_epochs: int) -> Callable:
    """Return the mean of a score over the last epochs."""
    last: deque[float] = deque(maxlen=n_epochs)

    def mean(held_out: ValidationSet, Z: np.ndarray, loss: float) -> float:
        last.append(score(held_out, Z, loss))
        return sum(last) / n_epochs if len(last) == n_epochs else -math.inf

    return mean


def split_rows(
    n_rows: int, fraction: float, seed: int, stratify: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of training and validation rows, stratified if possible.

    A class with one member stays in the training set. If the validation set has fewer rows than
    there are classes, the split is not stratified. Both cases give a warning. In a binary problem
    they are errors, as in scikit-learn.
    """
    if fraction == 0:
        raise InvalidParameterError(
            "validation_fraction=0 leaves nothing for early stopping to validate with; give a "
            "number in (0, 1), or X_val and y_val to fit."
        )
    rows = np.arange(n_rows)
    single: np.ndarray = rows[:0]
    if stratify is not None and stratify.dtype != bool:
        codes, counts = np.unique(stratify, return_counts=True)
        is_single = np.isin(stratify, codes[counts < 2])
        if is_single.any():
            single, rows, stratify = rows[is_single], rows[~is_single], stratify[~is_single]
            classes = "1 class has" if len(single) == 1 else f"{len(single)} classes have"
            warn_user(
                f"{classes} one member only, which stays in the training set: early stopping "
                "does not take it into account."
            )
        if not len(rows):
            raise ValueError(
                "Every class has one member only, so there is nothing to validate with; set "
                "early_stopping=False, or give X_val and y_val to fit."
            )
        n_val = math.ceil(fraction * len(rows))
        if min(n_val, len(rows) - n_val) < (counts > 1).sum():
            warn_user(
                f"The validation set of {n_val} rows is smaller than the number of classes, so "
                "it is not stratified; increase validation_fraction."
            )
            stratify = None
    train, val = train_test_split(rows, test_size=fraction, random_state=seed, stratify=stratify)
    if len(val) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return np.concatenate([train, single]), val


# The largest number of rows that medians and quartiles are computed from.
_SAMPLE = 1000
# The number of rows that are converted to float64 at a time.
_BLOCK = 1024


def lie_apart(A: np.ndarray, B: np.ndarray) -> bool:
    """Whether the rows of B were not transformed as those of A were.

    This is so if the median of a column in B lies outside of the range of the column in A by more
    than the column's standard deviation in A. It is also so if most columns have another spread,
    more than three times larger or smaller. Medians and quartiles are compared, so that outliers
    and rare categories raise no alarm.
    """
    A = A.reshape(len(A), -1)
    B = B.reshape(len(B), -1)[:: max(1, len(B) // _SAMPLE)].astype(np.float64)
    std = _standard_deviations(A)
    varies = std > 0
    if not varies.any():
        return False
    # If there are few rows, all may be unusual.
    margin = std if len(B) >= 5 else 5 * std
    median = np.median(B, axis=0)
    is_outside = (median < A.min(axis=0) - margin) | (median > A.max(axis=0) + margin)
    if (is_outside & varies).any():
        return True
    if min(len(A), len(B)) < 50:
        return False
    sample = A[:: max(1, len(A) // _SAMPLE)].astype(np.float64)
    of_A, of_B = (np.subtract(*np.percentile(rows, [75, 25], axis=0)) for rows in (sample, B))
    comparable = (of_A > 0) & (of_B > 0)
    ratio = of_B[comparable] / of_A[comparable]
    return bool(ratio.size and ((ratio > 3) | (ratio < 1 / 3)).mean() > 0.5)


def _standard_deviations(A: np.ndarray) -> np.ndarray:
    """Return the standard deviations of the columns, without a float64 copy of all rows."""
    mean = A.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for start in range(0, len(A), _BLOCK):
        squares += np.square(A[start : start + _BLOCK] - mean).sum(axis=0)
    return np.sqrt(squares / len(A))


def warn_if_untransformed(X: Any, X_val: Any) -> None:
    """Warn if X_val was not transformed as X was."""
    are_dense = isinstance(X, np.ndarray) and isinstance(X_val, np.ndarray)
    if are_dense and lie_apart(X, X_val):
        warn_user(
            "X_val is nowhere near X: its columns lie outside of those of X, or have another "
            "spread. In a Pipeline, X_val goes through the steps before the network only with "
            "Pipeline(..., transform_input=['X_val'])."
        )


def warn_if_targets_untransformed(y: np.ndarray, y_val: np.ndarray) -> None:
    """Warn if the targets y_val were not transformed as y was."""
    if lie_apart(y, y_val):
        warn_user(
            "y_val is nowhere near y: it lies outside of y, or has another spread. "
            "TransformedTargetRegressor transforms y and leaves y_val as it is: give "
            "standardize_y=True to MLPRegressor in its place, or transform y_val too."
        )


def check_belong_together(X_val: Any, y_val: Any, weight_val: Any) -> None:
    """Raise if some of the validation data are missing."""
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val belong together; give both, or neither.")
    if X_val is None and weight_val is not None:
        raise ValueError("sample_weight_val belongs to X_val and y_val; give all three.")


def hold_out(
    estimator: Any, data: TrainingData, given, compares: bool = True
) -> ValidationSet | None:
    """Return the validation set: the user's, or rows split off for early stopping, or None.

    Class weights count in the validation too, as they count in training. With compares=True there
    is a warning if the validation data are unlike the training data. In partial_fit, the rows may
    be few, or of one kind.
    Sets: data.rows, if rows were split off.
    """
    given = X_val, y_val, weight_val = with_own_targets(*given)
    check_belong_together(X_val, y_val, weight_val)
    if X_val is not None:
        return _given_validation(estimator, data, given, compares)
    if not estimator.early_stopping:
        return None
    split = data.X.split_rows if isinstance(data.X, Source) else split_rows
    train, val = split(
        data.n_rows,
        estimator.validation_fraction,
        estimator._run.streams.split_seed,
        estimator._stratify(data.of_given(data.encoded)),
    )
    if data.given is not None:
        train, val = data.given[train], data.given[val]
    data.rows = train
    weight = None if data.weight is None else data.weight[val]
    return _validation_set(estimator, data.X[val], data.y[val], data.encoded[val], weight)


def _given_validation(estimator, data: TrainingData, given, compares: bool) -> ValidationSet:
    try:
        refuse_several(given[0])
        held_out, encoded = given_rows(estimator, *given)
    except ValueError as error:
        raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from error
    if compares:
        warn_if_untransformed(data.X, held_out.X)
    if compares and estimator._y_is_numeric:
        warn_if_targets_untransformed(data.encoded, encoded)
    return held_out


def given_rows(estimator: Any, X: Any, y: Any, weight: Any) -> tuple[ValidationSet, np.ndarray]:
    """Return rows of the user's to evaluate a network on, and their encoded targets."""
    X, y, weight = with_own_targets(X, y, weight)
    X, y = estimator._checked(X, y, estimator.network_.dtype, reset=False)
    encoded = estimator._encode(y)
    weight = combine_weights(checked_weight(weight, X), estimator._class_weights(y, False))
    return _validation_set(estimator, X, y, encoded, weight), encoded


def _validation_set(estimator, X, y, encoded, weight) -> ValidationSet:
    dtype = estimator.network_.dtype
    targets = estimator._targets(encoded, dtype, training=False)
    Y = targets.gather(slice(None), np.empty(targets.shape, dtype))
    return ValidationSet(X, estimator._scored_targets(y), Y, scale_to_mean_one(weight, None, dtype))
