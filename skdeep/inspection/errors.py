"""Bias, variance and other causes of errors, from the errors on several sets of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss

from skdeep._component import InvalidParameterError, Limit
from skdeep.reports.table import Table

ADVICE = {
    "high bias": "a larger network, more epochs, another architecture, less regularization",
    "high variance": "more data, dropout, batch norm, weight decay, early stopping, fewer units",
    "high bias and high variance": "a larger network first, then more data or regularization",
    "neither": "nothing: both errors are as low as can be expected",
    "Bayes error too high": "a lower bayes_error, as no model can be better on new rows",
    "data mismatch": (
        "training rows that are more like the development rows: collect or create such rows, or "
        "give them more sample_weight"
    ),
    "overfitted development rows": "more development rows, and fewer choices by their error",
    "none": "nothing: no error is much above the one before it",
}
# Differences of errors below this are rounding.
ROUNDING = 1e-9


@dataclass
class BiasVarianceReport:
    """Bias and variance, and the advice that follows from them.

    Attributes
    ----------
    bias : float
        The training error minus the Bayes error.
    variance : float
        The validation error minus the training error.
    verdict : str
        "high bias", "high variance", "high bias and high variance" or "neither"; or "Bayes error
        too high" if both errors are below it.
    advice : str
    note : str
        The meaning of a training error below the Bayes error; "" if it is not below it.
    """

    bias: float
    variance: float
    verdict: str
    advice: str
    note: str = ""

    def __str__(self) -> str:
        text = (
            f"bias {self.bias:.1%}, variance {self.variance:.1%}: {self.verdict}\n"
            f"advice: {self.advice}"
        )
        return f"{text}\nnote: {self.note}" if self.note else text


def bias_variance_report(
    train_error: float,
    validation_error: float,
    bayes_error: float = 0.0,
    *,
    tolerance: float = 0.03,
) -> BiasVarianceReport:
    """Return bias and variance, and which of them is high.

    Parameters
    ----------
    train_error, validation_error : float
        Shares of rows that are wrong, or any other error for which 0 is perfect and 1 is bad.
    bayes_error : float, default=0.0
        The lowest error that is possible on new rows, estimated from people's errors or noise in
        the labels. If an error is below it, the report says that this estimate must be wrong.
    tolerance : float, default=0.03
        Bias or variance above this value is high.

    Returns
    -------
    BiasVarianceReport

    Examples
    --------
    >>> from skdeep.inspection import bias_variance_report
    >>> print(bias_variance_report(0.01, 0.11))
    bias 1.0%, variance 10.0%: high variance
    advice: more data, dropout, batch norm, weight decay, early stopping, fewer units
    """
    _check_errors(
        {
            "train_error": train_error,
            "validation_error": validation_error,
            "bayes_error": bayes_error,
            "tolerance": tolerance,
        }
    )
    bias, variance = float(train_error - bayes_error), float(validation_error - train_error)
    high = [
        name
        for name, value in {"high bias": bias, "high variance": variance}.items()
        if value > tolerance + ROUNDING
    ]
    verdict = " and ".join(high) or "neither"
    if max(train_error, validation_error) < bayes_error - ROUNDING:
        verdict = "Bayes error too high"
    note = _note(train_error, validation_error, bayes_error, "validation")
    return BiasVarianceReport(bias, variance, verdict, ADVICE[verdict], note)


@dataclass(repr=False)
class DistributionMismatchReport(Table):
    """The errors on several sets of rows, and the causes of their increase from set to set.

    It prints as a table, and renders as HTML in a notebook.

    Attributes
    ----------
    errors : dict
        The error on each set of rows, from the Bayes error to that on the test rows, if it is
        known.
    bias : float
        The training error minus the Bayes error: the avoidable bias.
    variance : float
        The train-dev error minus the training error. Both are errors on rows of the training
        distribution.
    mismatch : float
        The development error minus the train-dev error. The model was trained on neither, so the
        difference is due to their distributions.
    dev_overfitting : float or None
        The test error minus the development error. Both are errors on rows of the target
        distribution. It is None without a test error.
    verdict : str
        Those of "high bias", "high variance", "data mismatch" and "overfitted development rows"
        that are above the tolerance, joined by " and "; "none", or "Bayes error too high".
    advice : str
    note : str
        The meaning of an error that is below the one before it, if that matters.
    """

    errors: dict[str, float]
    bias: float
    variance: float
    mismatch: float
    dev_overfitting: float | None
    verdict: str
    advice: str
    note: str = ""

    header = ("Rows", "Cause of the increase", "Error", "Increase")
    n_left_aligned = 2

    def _cells(self) -> list[list[str]]:
        names = ["", "avoidable bias", "variance", "data mismatch", "overfitted development rows"]
        steps = [None, self.bias, self.variance, self.mismatch, self.dev_overfitting]
        return [
            [rows, name, f"{error:.1%}", "" if step is None else f"{step:.1%}"]
            for (rows, error), name, step in zip(self.errors.items(), names, steps, strict=False)
        ]

    def _totals(self) -> list[tuple[str, str]]:
        lines = [("verdict", self.verdict), ("advice", self.advice)]
        return [*lines, ("note", self.note)] if self.note else lines

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        train: tuple[Any, Any],
        train_dev: tuple[Any, Any],
        dev: tuple[Any, Any],
        test: tuple[Any, Any] | None = None,
        error: Callable[[Any, Any], float] | None = None,
        bayes_error: float = 0.0,
        tolerance: float = 0.03,
    ) -> DistributionMismatchReport:
        """Return the report for a fitted estimator.

        Parameters
        ----------
        estimator : fitted classifier or regressor
            It may be a Pipeline.
        train, train_dev, dev, test : tuples (X, y)
            The parts that `train_dev_test_split` returns with a `train_dev_size`.
        error : callable or None, default=None
            A function of the true and the predicted targets, for which 0 is perfect and 1 is bad.
            None is the share of rows that are wrong. For a regressor it is the mean squared error,
            divided by the variance of the training targets.
        bayes_error, tolerance : float
            As for `distribution_mismatch_report`.

        Returns
        -------
        DistributionMismatchReport
        """
        scale = 1.0
        if error is None:
            error = zero_one_loss if is_classifier(estimator) else mean_squared_error
            scale = 1.0 if is_classifier(estimator) else _variance(train[1])
        parts = [part for part in (train, train_dev, dev, test) if part is not None]
        errors = [float(error(y, estimator.predict(X))) / scale for X, y in parts]
        return distribution_mismatch_report(*errors, bayes_error=bayes_error, tolerance=tolerance)


def distribution_mismatch_report(
    train_error: float,
    train_dev_error: float,
    dev_error: float,
    test_error: float | None = None,
    bayes_error: float = 0.0,
    *,
    tolerance: float = 0.03,
) -> DistributionMismatchReport:
    """Return the causes of errors if training and development rows differ in distribution.

    The train-dev rows come from the training distribution, and the model was not trained on them.
    They separate variance from the mismatch between the distributions. `train_dev_test_split`
    returns them with `train_dev_size`.

    Parameters
    ----------
    train_error, train_dev_error, dev_error : float
        Shares of rows that are wrong, or any other error for which 0 is perfect and 1 is bad.
    test_error : float or None, default=None
    bayes_error : float, default=0.0
        The lowest error that is possible on new rows, such as that of people.
    tolerance : float, default=0.03
        An increase above this value is high.

    Returns
    -------
    DistributionMismatchReport
        Its `from_estimator` computes the errors of a fitted estimator.

    Examples
    --------
    >>> from skdeep.inspection import distribution_mismatch_report
    >>> print(distribution_mismatch_report(0.05, 0.06, 0.14, 0.15, bayes_error=0.04))
    Rows         Cause of the increase        Error  Increase
    ---------------------------------------------------------
    Bayes error                                4.0%
    training     avoidable bias                5.0%      1.0%
    train-dev    variance                      6.0%      1.0%
    development  data mismatch                14.0%      8.0%
    test         overfitted development rows  15.0%      1.0%
    ---------------------------------------------------------
    verdict: data mismatch
    advice: training rows that are more like the development rows: collect or create such rows, or give them more sample_weight
    """  # noqa: E501
    given = {"train_error": train_error, "train_dev_error": train_dev_error, "dev_error": dev_error}
    if test_error is not None:
        given["test_error"] = test_error
    _check_errors({**given, "bayes_error": bayes_error, "tolerance": tolerance})
    values = [float(error) for error in (bayes_error, *given.values())]
    names = ("Bayes error", "training", "train-dev", "development", "test")
    steps = [after - before for before, after in pairwise(values)]
    causes = ("high bias", "high variance", "data mismatch", "overfitted development rows")
    high = [
        cause for cause, step in zip(causes, steps, strict=False) if step > tolerance + ROUNDING
    ]
    if max(values[1:]) < bayes_error - ROUNDING:
        high = ["Bayes error too high"]
    both = " and ".join(high[:2])
    groups = [both, *high[2:]] if both in ADVICE else high or ["none"]
    return DistributionMismatchReport(
        errors=dict(zip(names, values, strict=False)),
        bias=steps[0],
        variance=steps[1],
        mismatch=steps[2],
        dev_overfitting=steps[3] if len(steps) > 3 else None,
        verdict=" and ".join(high) or "none",
        advice="; ".join(ADVICE[group] for group in groups),
        note=_note_of_mismatch(values, tolerance),
    )


def _note_of_mismatch(values: list[float], tolerance: float) -> str:
    """Return what errors below the Bayes error, and easier development rows, mean."""
    bayes, train, train_dev, dev = values[:4]
    name = "train-dev" if train_dev < dev else "development"
    notes = [_note(train, min(train_dev, dev), bayes, name)]
    if dev < train_dev - tolerance:
        notes.append(
            "the development rows are easier than those of the training distribution, so their "
            "error may hide high variance"
        )
    return "; ".join(filter(None, notes))


def _variance(y_train: Any) -> float:
    """Return the variance of targets: the mean over their columns."""
    variance = float(np.var(np.asarray(y_train, dtype=float), axis=0).mean())
    if variance == 0:
        raise ValueError("All training targets are equal, so errors have no scale; give error.")
    return variance


def _check_errors(given: Mapping[str, Any]) -> None:
    limit = Limit(0)
    for name, value in given.items():
        if not limit.allows(value):
            raise InvalidParameterError(f"{name}={value!r} is not allowed; give {limit}.")


def _note(train_error: float, held_out_error: float, bayes_error: float, name: str) -> str:
    """Return what a training error below the Bayes error means."""
    if train_error >= bayes_error - ROUNDING:
        return ""
    below = f"the training error, {train_error:.1%}, is below the Bayes error, {bayes_error:.1%}"
    if held_out_error < bayes_error - ROUNDING:
        return f"{below}, and so is the {name} error: this Bayes error must be wrong"
    return f"{below}: this Bayes error must be wrong, unless the network knows its rows by heart"
