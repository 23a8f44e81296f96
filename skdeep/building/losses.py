"""From the hyperparameters of an estimator, or of a task, to its loss."""

from __future__ import annotations

from typing import Any

from skdeep._component import InvalidParameterError, Limit, is_per_layer, resolve
from skdeep.joint_losses import JointLoss, Measured, Quantiles
from skdeep.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    Loss,
    QuantileLoss,
    RegressionLoss,
)


def named_classification_loss(e: Any) -> Loss:
    """Return the loss for classes that a classifier or a task names."""
    loss = resolve(e.loss, CLASSIFICATION_LOSSES, "loss", Loss)
    if loss.task == "regression":
        raise InvalidParameterError(
            f"loss={e.loss!r} is not for classification; "
            f"choose from {sorted(CLASSIFICATION_LOSSES)}."
        )
    return loss


def classification_loss(e: Any, kind: str) -> Loss:
    """Return the loss of a classifier or a task, for classes of a kind of `ClassEncoder`."""
    loss = named_classification_loss(e)
    if e.label_smoothing and not loss.gives_probabilities:
        raise InvalidParameterError(
            f"label_smoothing={e.label_smoothing!r} is for losses that give "
            f"probabilities, which loss={e.loss!r} does not; leave it at 0."
        )
    if isinstance(loss, ClassificationLoss):
        loss.multiclass = kind == "multiclass"
    return loss


def n_quantiles(loss: Any) -> int | None:
    """Return the number of quantiles that a loss predicts for one target; None if it does not."""
    is_several = isinstance(loss, QuantileLoss) and is_per_layer(loss.quantile)
    return len(loss.quantile) if is_several else None


def regression_loss(e: Any, n_outputs: int) -> Loss:
    """Return the loss of a regressor or a task with this number of outputs."""
    loss = _of_outputs(e, n_outputs)
    if e.standardize_y and loss.link != "identity":
        raise InvalidParameterError(
            f"standardize_y=True does not go with loss={e.loss!r} and "
            f"output_activation={e.output_activation!r}, which limit the predictions: "
            "standardized targets are on both sides of 0. Set standardize_y=False."
        )
    return loss


def _of_outputs(e: Any, n_outputs: int) -> Loss:
    """Return one loss for all outputs, or one for each."""
    if not any(is_per_layer(v) for v in (e.loss, e.loss_weights, e.output_activation)):
        if e.loss_weights is not None:
            raise InvalidParameterError(
                f"loss_weights={e.loss_weights!r} is not allowed; give None, or a sequence with "
                "one number >= 0 for each output."
            )
        return _with_gaps(e, _one_loss(e.loss, e.output_activation))
    if n_quantiles(e.loss) is not None:
        raise InvalidParameterError(
            f"loss={e.loss!r} has one target, so that loss_weights and a sequence for "
            "output_activation have no meaning; leave loss_weights at None, and give "
            "output_activation one name."
        )
    losses = _by_output(e.loss, "loss", n_outputs)
    several = [loss for loss in losses if n_quantiles(loss) is not None]
    if several:
        raise InvalidParameterError(
            f"loss={e.loss!r} has {several[0]!r} for one of its outputs; give that loss one "
            "quantile, or fit a model of its own to several quantiles."
        )
    activations = _by_output(e.output_activation, "output_activation", n_outputs)
    losses = [_with_gaps(e, _one_loss(*pair)) for pair in zip(losses, activations, strict=True)]
    return JointLoss(losses, [1] * n_outputs, _weights(e.loss_weights, n_outputs))


def _by_output(value: Any, what: str, n_outputs: int) -> list:
    """Return one entry for each output."""
    if not is_per_layer(value):
        return [value] * n_outputs
    if len(value) != n_outputs:
        raise InvalidParameterError(
            f"{what}={value!r} has {len(value)} entries, but y has {n_outputs} "
            f"output{'s' if n_outputs > 1 else ''}; give one value for all, or one for each."
        )
    return list(value)


def _weights(weights: Any, n_outputs: int) -> list[float]:
    if weights is None:  # the mean over the outputs, as with one loss for all
        return [1 / n_outputs] * n_outputs
    entries = _by_output(weights, "loss_weights", n_outputs)
    if not all(map(Limit(0).allows, entries)) or not sum(entries) > 0:
        raise InvalidParameterError(
            f"loss_weights={weights!r} is not allowed; give numbers >= 0, and at least one > 0."
        )
    return [float(weight) for weight in entries]


def _one_loss(spec: Any, output_activation: Any) -> Loss:
    loss = resolve(spec, REGRESSION_LOSSES, "loss", Loss)
    if loss.task == "classification":
        raise InvalidParameterError(
            f"loss={spec!r} is not for regression; choose from {sorted(REGRESSION_LOSSES)}."
        )
    if n_quantiles(loss) is not None:
        loss = Quantiles(loss.quantile, loss.non_crossing)
    if isinstance(loss, RegressionLoss):
        loss.use_output_activation(output_activation)
    return loss


def _with_gaps(e: Any, loss: Loss) -> Loss:
    return Measured(loss) if e.missing_targets == "ignore" else loss
