"""Problems of training: learning rate, penalties, underfitting and overfitting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skdeep.inspection.errors import bias_variance_report
from skdeep.inspection.findings.case import Case, Finding
from skdeep.inspection.findings.data import how_to_scale_targets, inputs
from skdeep.inspection.findings.errors import relative_error, standard_error
from skdeep.inspection.findings.penalties import Penalties

RISING_SHARE = 0.2  # the share of epochs in which the loss rises ...
RISE = 0.1  # ... by more than this share of its whole decrease
SLOW_PROGRESS = 0.1  # the share of the loss by which it decreased in the whole run
# The mean size of a logit. 98 sound networks have 18 or less, and up to 78 if they train for 1,500
# epochs at ten times the usual rate. With Adam at a rate of 1 it is in the thousands.
HUGE_LOGITS = 100.0
# How strongly penalties pull a layer's weights towards 0, in units of an L2 penalty per row. Less
# does not keep a network from learning; a network without hidden layers tolerates more ...
STRONG_PULL = 0.1
STRONG_PULL_ON_LINEAR = 1.0
# ... and signs of a strong pull: a standard deviation this small of a unit's weighted sum, if the
# inputs are standardized (0.3 before training), or a penalty that is this share of the loss.
SHRUNK = 0.1
LARGE_PENALTY = 0.5
WORSE_THAN_CONSTANT = 1.1
# Findings that occur with errors above a constant prediction's, and do not rule out smaller steps.
WITH_LARGE_STEPS = {
    *("unscaled inputs", "unscaled targets", "dead units", "exploding gradients"),
    "learning rate too high",
}
STANDARD_ERRORS = 3.0
OVERFITTING = 0.1


def learning_rate(case: Case) -> Iterator[Finding]:
    """Look at the training curve, and at the size of the logits."""
    losses, rate = case.losses, case.model.learning_rate_init
    if not case.is_stochastic:
        return
    if case.underfits and case.saturated_at_start is not None:
        return  # the loss of a network that began saturated stays, and moves up and down
    lower = f"a lower learning_rate_init than {rate:g}, a schedule, a larger batch_size"
    if len(losses) >= 5:
        # The very first epochs are left out: the loss at the start says nothing about the rest.
        rises = np.diff(losses) > RISE * (np.quantile(losses, 0.9) - losses.min())
        if rises.mean() > RISING_SHARE or losses[-1] > losses[0]:
            yield Finding(
                "learning rate too high",
                f"the loss rose in {rises.mean():.0%} of the epochs",
                lower,
            )
            return
    logits = _mean_logit(case)
    if logits > HUGE_LOGITS:
        yield Finding(
            "learning rate too high",
            f"the raw outputs have a mean size of {logits:.3g}, so all probabilities are 0 or 1",
            lower,
        )
        return
    if len(losses) < 5:
        return
    gained = 1 - losses[-1] / losses[0] if losses[0] > 0 else 1.0
    if gained < SLOW_PROGRESS and (case.loss_still_falls or gained < SLOW_PROGRESS / 1000):
        yield Finding(
            "learning rate too low",
            f"the loss fell by {gained:.1%} only in {len(losses)} epochs, and still falls",
            f"a higher learning_rate_init than {rate:g} "
            "(skdeep.inspection.learning_rate_range_test suggests one)",
        )


def _mean_logit(case: Case) -> float:
    """Return the mean size of the logits, or 0 if it has another cause than training."""
    if not (case.is_classifier and case.model._loss.gives_probabilities):
        return 0.0
    size = _mean_size(case.raw_outputs(case.model))
    if size <= HUGE_LOGITS or any(inputs(case)):
        return 0.0
    if case.start is not None and _mean_size(case.raw_outputs(case.start)) > HUGE_LOGITS / 2:
        return 0.0
    return size


def _mean_size(Z: np.ndarray) -> float:
    return float(np.abs(Z - Z.mean(axis=1, keepdims=True) if Z.shape[1] > 1 else Z).mean())


def regularization(case: Case) -> Iterator[Finding]:
    """Look for penalties that keep a network from learning."""
    if not case.underfits:
        return
    penalties = Penalties(case)
    hidden = case.hidden_dense_layers
    pull = max(map(penalties.pull, hidden or [case.model.network_.output_layer]))
    if pull < (STRONG_PULL if hidden else STRONG_PULL_ON_LINEAR):
        return
    spread = min(map(penalties.spread, hidden), default=np.inf)
    share = penalties.value() / max(abs(penalties.data_loss()), np.finfo(float).tiny)
    if hidden and spread > SHRUNK and share < LARGE_PENALTY:
        return
    name, strength = penalties.strongest(hidden or [case.model.network_.output_layer])
    if spread <= SHRUNK:
        evidence = f"the sums that go into hidden units have shrunk to a spread of {spread:.2g}"
    elif share >= LARGE_PENALTY:
        evidence = f"the penalty is {share:.0%} of the loss of the data"
    else:
        evidence = f"for every row, the weights are pulled to 0 with a strength of {pull:.2g}"
    yield Finding(
        "too much regularization",
        f"{evidence}, with {name}={strength}",
        f"a lower {name}" if name != "kernel_regularizer" else "a weaker kernel_regularizer",
    )


def fit(case: Case, causes: list[str]) -> Iterator[Finding]:
    """Look at the errors; `causes` are the other findings that keep a network from learning."""
    error = case.error
    if case.underfits:
        yield Finding(
            "underfitting",
            f"the error on the training data is {error:.0%} of that of a constant prediction",
            _against_underfitting(case, causes),
        )
    if case.X_val is None or not error <= WORSE_THAN_CONSTANT:
        return
    of_val = relative_error(case.model, case.X_val, case.y_val)
    variance = bias_variance_report(max(0.0, error), max(0.0, of_val)).variance
    chance = STANDARD_ERRORS * standard_error(case.model, of_val, case.y_val)
    if variance > max(OVERFITTING, chance):
        yield Finding(
            "overfitting",
            f"the error on the validation data is {variance:.0%} of a constant prediction's above "
            "that on the training data",
            "more data; the rest once the error on the training data is low"
            if case.underfits
            else "dropout, early_stopping=True, a larger alpha, fewer units, more data",
        )


def _against_underfitting(case: Case, causes: list[str]) -> str:
    if not case.error <= WORSE_THAN_CONSTANT and WITH_LARGE_STEPS.issuperset(causes):
        return ", ".join(_against_being_worse_than_a_constant(case))
    if causes:
        return f"first remove the causes ({' and '.join(causes)}), then more epochs"
    rate = ", a higher learning_rate_init" if case.is_stochastic else ""
    return f"more units or layers, more epochs{rate}, less regularization"


def _against_being_worse_than_a_constant(case: Case) -> Iterator[str]:
    if case.is_stochastic and not case.loss_still_falls:
        yield f"a lower learning_rate_init than {case.model.learning_rate_init:g}"
    if not case.is_classifier and not _are_about_standardized(case.probe.Y):
        yield f"scaled targets ({how_to_scale_targets(case)})"
    yield f"more epochs than max_iter={case.model.max_iter}"


def _are_about_standardized(Y: np.ndarray) -> bool:
    std = Y.std(axis=0)
    return bool(((np.abs(Y.mean(axis=0)) < 1) & (std > 0.5) & (std < 2)).all())
