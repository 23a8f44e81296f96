"""From a regressor's hyperparameters to its loss: one for all outputs, or one for each."""

from __future__ import annotations

from typing import Any

from skdeep._component import InvalidParameterError, Limit, is_per_layer, resolve
from skdeep.joint_losses import JointLoss, Measured, Quantiles
from skdeep.losses import REGRESSION_LOSSES, Loss, QuantileLoss, RegressionLoss


def n_quantiles(loss: Any) -> int | None:
    """Return the number of quantiles that a loss predicts for one target; None if it does not."""
    is_several = isinstance(loss, QuantileLoss) and is_per_layer(loss.quantile)
    return len(loss.quantile) if is_several else None


def regression_loss(e: Any, n_outputs: int) -> Loss:
    """Return the loss of a regressor with this number of outputs."""
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
