"""Bias and variance, from the errors on training and validation data."""

from __future__ import annotations

from dataclasses import dataclass

from skdeep._component import InvalidParameterError, Limit

ADVICE = {
    "high bias": "a larger network, more epochs, another architecture, less regularization",
    "high variance": "more data, dropout, batch norm, weight decay, early stopping, fewer units",
    "high bias and high variance": "a larger network first, then more data or regularization",
    "neither": "nothing: both errors are as low as can be expected",
    "Bayes error too high": "a lower bayes_error, as no model can be better on new rows",
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
    limit = Limit(0)
    given = {
        "train_error": train_error,
        "validation_error": validation_error,
        "bayes_error": bayes_error,
        "tolerance": tolerance,
    }
    for name, value in given.items():
        if not limit.allows(value):
            raise InvalidParameterError(f"{name}={value!r} is not allowed; give {limit}.")
    bias, variance = float(train_error - bayes_error), float(validation_error - train_error)
    high = [
        name
        for name, value in {"high bias": bias, "high variance": variance}.items()
        if value > tolerance
    ]
    verdict = " and ".join(high) or "neither"
    if max(train_error, validation_error) < bayes_error - ROUNDING:
        verdict = "Bayes error too high"
    note = _note(train_error, validation_error, bayes_error)
    return BiasVarianceReport(bias, variance, verdict, ADVICE[verdict], note)


def _note(train_error: float, validation_error: float, bayes_error: float) -> str:
    """Return what a training error below the Bayes error means."""
    if train_error >= bayes_error - ROUNDING:
        return ""
    below = f"the training error, {train_error:.1%}, is below the Bayes error, {bayes_error:.1%}"
    if validation_error < bayes_error - ROUNDING:
        return f"{below}, and so is the validation error: this Bayes error must be wrong"
    return f"{below}: this Bayes error must be wrong, unless the network knows its rows by heart"
