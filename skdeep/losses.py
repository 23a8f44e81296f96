"""Losses: the objective's data term and its gradient, on the raw outputs of a network.

A loss owns its link, the function that turns raw outputs into predictions, so that the two can be
fused into one stable step. Y and Z have shape (n_rows, n_outputs). `weight` is None or has one
entry for each row. `work` is scratch of Z's shape and dtype. The value is
sum_i weight_i * l_i / n_rows.
Losses that are distances average over outputs; likelihoods are summed over outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import expit, logit, xlogy

from skdeep._component import Component, InvalidParameterError, Limit, is_per_layer
from skdeep.activations import ACTIVATIONS, Activation, Exponential
from skdeep.kernels import numpy_kernels


class Loss(Component):
    """Base class: a subclass implements `value_and_grad`, and `output` if its link is not z.

    Attributes
    ----------
    task : {"classification", "regression"} or None
        The kind of problem that the loss is for; None allows both.
    gives_probabilities : bool
        Whether `output` returns probabilities.
    link : str
        The name of the link.
    averages_outputs : bool
        Whether the loss is averaged over outputs; otherwise it is summed over them.
    """

    task: str | None = None
    gives_probabilities = False
    link = "identity"
    averages_outputs = False

    def value_and_grad(self, Y: np.ndarray, Z: np.ndarray, weight, work: np.ndarray) -> float:
        """Return the loss; Z <- its derivative. Y is not changed."""
        raise NotImplementedError

    def output(self, Z: np.ndarray) -> None:
        """Z <- the predictions that the raw outputs stand for."""

    def check_targets(self, Y: np.ndarray) -> None:
        """Raise ValueError if the loss is not defined for these targets."""

    def best_constant(self, Y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the raw outputs of roughly the best constant prediction.

        `weight` has one entry for each row.
        """
        return np.zeros(Y.shape[1])


def _finish(losses: np.ndarray, weight, Z: np.ndarray, divisor: float) -> float:
    """Return the weighted sum of the elements' losses / divisor; scale the gradient in Z alike."""
    if weight is not None:
        Z *= weight[:, None]
    Z /= divisor
    numpy_kernels.settle(Z)
    if weight is None:
        return float(np.add.reduce(losses, axis=None)) / divisor
    return float(np.add.reduce(np.add.reduce(losses, axis=1) * weight)) / divisor


# Classification -----------------------------------------------------------------------------


class ClassificationLoss(Loss):
    """A loss over one logit (binary), a logit per label (multilabel) or per class (multiclass).

    The estimator sets `multiclass` before training. In a multiclass problem each row of Y is a
    distribution over the classes; otherwise every element of Y lies in [0, 1].
    """

    task = "classification"
    multiclass = False


class ProbabilityLoss(ClassificationLoss):
    """A classification loss whose link is the softmax (multiclass) or the sigmoid (otherwise)."""

    gives_probabilities = True

    @property
    def link(self) -> str:
        return "softmax" if self.multiclass else "logistic"

    def output(self, Z):
        if self.multiclass:
            numpy_kernels.softmax(Z)
        else:
            expit(Z, out=Z)

    def best_constant(self, Y, weight):
        # One more row, spread evenly over the classes, keeps the logarithms finite.
        p = (_weighted_sum(Y, weight) + (1 / Y.shape[1] if self.multiclass else 0.5)) / (
            weight.sum() + 1
        )
        return np.log(p) if self.multiclass else logit(p)


class LogLoss(ProbabilityLoss):
    """l = -sum_k y_k log p_k (multiclass), else -sum_k (y_k log p_k + (1 - y_k) log(1 - p_k)).

    It is computed from logits, and so it stays finite even if the network is very sure.
    """

    compiled_as = "log_loss"

    def value_and_grad(self, Y, Z, weight, work):
        if self.multiclass:
            n_rows = len(Z)
            value = numpy_kernels.softmax_cross_entropy(Y, Z, weight, work)
            Z /= n_rows
            numpy_kernels.settle(Z)
            return value / n_rows
        np.logaddexp(0, Z, out=work)
        Zy = Z * Y
        work -= Zy
        expit(Z, out=Z)
        Z -= Y
        return _finish(work, weight, Z, len(Z))


class BrierLoss(ProbabilityLoss):
    """l = 1 / 2 * mean_k (p_k - y_k)^2: half the squared error of the probabilities."""

    compiled_as = "brier"
    averages_outputs = True

    def value_and_grad(self, Y, Z, weight, work):
        self.output(Z)
        np.subtract(Z, Y, out=work)
        losses = 0.5 * work * work
        work *= Z
        if self.multiclass:  # dZ = P * (dP - sum(dP * P))
            inner = np.add.reduce(work, axis=1, keepdims=True)
            Z *= -inner
            Z += work
        else:  # dZ = dP * P * (1 - P)
            np.subtract(1, Z, out=Z)
            Z *= work
        return _finish(losses, weight, Z, Z.size)


class FocalLoss(ProbabilityLoss):
    """l = -sum_k y_k (1 - p_k)^gamma log p_k (multiclass).

    In binary and multilabel problems -sum_k (1 - y_k) p_k^gamma log(1 - p_k) is added.

    Parameters
    ----------
    gamma : float, default=2.0
        The larger gamma, the less rows count that are already predicted well; 0 is log_loss.

    References
    ----------
    Lin et al. (2017), "Focal loss for dense object detection".
    """

    compiled_as = "focal"
    _limits = {"gamma": Limit(0)}

    def __init__(self, gamma: float = 2.0):
        self.gamma = gamma

    def compiled_constants(self):
        return (self.gamma,)

    def value_and_grad(self, Y, Z, weight, work):
        losses = self._multiclass(Y, Z, work) if self.multiclass else self._by_label(Y, Z, work)
        return _finish(losses, weight, Z, len(Z))

    def _multiclass(self, Y, Z, work):
        gamma = self.gamma
        numpy_kernels.log_softmax(Z, work)  # from here on Z holds log p
        P = np.exp(Z)
        # 1 - p without cancellation near p = 1, and never 0, as gamma < 1 divides by it
        Q = np.maximum(-np.expm1(Z), np.finfo(Z.dtype).tiny)
        power = Q**gamma
        losses = -Y * power * Z
        # first dl / d log p_k, then the derivative through the softmax
        np.divide(power, Q, out=work)
        work *= gamma * P * Z
        work -= power
        work *= Y
        np.multiply(P, -np.add.reduce(work, axis=1, keepdims=True), out=Z)
        Z += work
        return losses

    def _by_label(self, Y, Z, work):
        gamma = self.gamma
        P, Q = expit(Z), expit(-Z)
        minus_log_p, minus_log_q = np.logaddexp(0, -Z), np.logaddexp(0, Z)
        P_gamma, Q_gamma = P**gamma, Q**gamma
        np.multiply(Y, Q_gamma * minus_log_p, out=work)
        work += (1 - Y) * P_gamma * minus_log_q
        np.multiply(-Y, Q_gamma * (gamma * P * minus_log_p + Q), out=Z)
        Z += (1 - Y) * P_gamma * (gamma * Q * minus_log_q + P)
        return work


class Hinge(ClassificationLoss):
    """l = sum_k max(0, 1 - t_k z_k), t = +-1; multiclass: max(0, 1 + max_(j != y) z_j - z_y).

    References
    ----------
    Crammer and Singer (2001), "On the algorithmic implementation of multiclass kernel-based
    vector machines".
    """

    compiled_as = "hinge"
    squared = False

    def value_and_grad(self, Y, Z, weight, work):
        losses = self._multiclass(Y, Z, work) if self.multiclass else self._by_label(Y, Z, work)
        return _finish(losses, weight, Z, len(Z))

    def _by_label(self, Y, Z, work):
        sign = 2 * Y - 1
        np.multiply(sign, Z, out=work)
        np.subtract(1, work, out=work)
        np.maximum(work, 0, out=work)
        losses, slope = self._shape(work)
        np.multiply(sign, -slope, out=Z)
        return losses

    def _multiclass(self, Y, Z, work):
        rows = np.arange(len(Z))
        right = Y.argmax(axis=1)
        np.copyto(work, Z)
        work[rows, right] = -np.inf
        rival = work.argmax(axis=1)
        margin = np.maximum(0, 1 + Z[rows, rival] - Z[rows, right])[:, None]
        losses, slope = self._shape(margin)
        Z.fill(0)
        Z[rows, rival] = slope[:, 0]
        Z[rows, right] = -slope[:, 0]
        return losses

    def _shape(self, margin):
        """Return the loss of a margin violation, and its derivative."""
        if self.squared:
            return margin * margin, 2 * margin
        return margin, np.sign(margin)


class SquaredHinge(Hinge):
    """l = sum_k max(0, 1 - t_k z_k)^2; multiclass: max(0, 1 + max_(j != y) z_j - z_y)^2."""

    compiled_as = "squared_hinge"
    squared = True


# Regression ---------------------------------------------------------------------------------


class RegressionLoss(Loss):
    """A loss between targets and predictions; a subclass implements `pointwise`.

    Attributes
    ----------
    link : str
        The output activation, unless the user gives another.
    needs_positive_output : bool
        Whether predictions must be above 0.
    center : float or None
        The quantile of the targets that is the best constant prediction; None is their mean.
    """

    task = "regression"
    link = "identity"
    averages_outputs = True
    needs_positive_output = False
    activation: Activation | None = None  # the function that `link` names; None is the identity
    center: float | None = None

    def best_constant(self, Y, weight):
        if self.center is None:
            best = _weighted_sum(Y, weight) / weight.sum()
        else:
            best = weighted_quantile(Y, weight, self.center)
        return OUTPUT_INVERSES[self.link](best)

    def use_output_activation(self, name: str) -> None:
        """Replace the link of the loss; "auto" restores the default."""
        self.link = type(self).link if name == "auto" else name
        if self.needs_positive_output and self.link not in POSITIVE_OUTPUTS:
            raise InvalidParameterError(
                f"output_activation={name!r} does not keep the predictions above 0, as the loss "
                f"{type(self).__name__} needs; choose from {POSITIVE_OUTPUTS} or 'auto'."
            )
        self.activation = None if self.link == "identity" else ACTIVATIONS[self.link]()

    def output(self, Z):
        if self.activation is not None:
            self.activation.infer(Z, np.empty_like(Z))

    def pointwise(self, Y: np.ndarray, P: np.ndarray, work: np.ndarray):
        """Return the elements' losses and their derivatives by P; one lies in `work`, one in P."""
        raise NotImplementedError

    def value_and_grad(self, Y, Z, weight, work):
        activation = self.activation
        if activation is not None:
            Z_before = Z.copy() if activation.needs_input else None
            activation.forward(Z, work)
            A = Z.copy()
        losses, slopes = self.pointwise(Y, Z, work)
        divisor = Z.size if self.averages_outputs else len(Z)
        value = _finish(losses, weight, slopes, divisor)
        if activation is not None:
            activation.backward(slopes, A, Z_before, losses)
        if slopes is not Z:
            np.copyto(Z, slopes)
        return value


def _weighted_sum(Y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # A matrix product would copy Y to the dtype of the weights.
    return np.einsum("i,ij->j", weight, Y)


def weighted_quantile(Y: np.ndarray, weight: np.ndarray, q: float) -> np.ndarray:
    """Return for each column the smallest entry with a share q of the weight at or below it."""
    order = Y.argsort(axis=0)
    below = weight[order].cumsum(axis=0)
    reached = (below >= q * below[-1]).argmax(axis=0)
    columns = np.arange(Y.shape[1])
    return Y[order[reached, columns], columns]


class SquaredError(RegressionLoss):
    """l = 1 / 2 * mean_k (p_k - y_k)^2."""

    compiled_as = "squared_error"

    def pointwise(self, Y, P, work):
        P -= Y
        np.multiply(P, P, out=work)
        work *= 0.5
        return work, P


class AbsoluteError(RegressionLoss):
    """l = mean_k |p_k - y_k|."""

    compiled_as = "absolute_error"
    center = 0.5

    def pointwise(self, Y, P, work):
        P -= Y
        np.abs(P, out=work)
        np.sign(P, out=P)
        return work, P


class Huber(RegressionLoss):
    """l = mean_k h(p_k - y_k): h(r) = r^2 / 2 if |r| <= delta, else delta (|r| - delta / 2).

    Parameters
    ----------
    delta : float, default=1.0
    """

    compiled_as = "huber"
    center = 0.5
    _limits = {"delta": Limit(0, closed="(]")}

    def __init__(self, delta: float = 1.0):
        self.delta = delta

    def compiled_constants(self):
        return (self.delta,)

    def pointwise(self, Y, P, work):
        # with c = r cut off at +-delta, h(r) = c (r - c / 2) and h'(r) = c
        P -= Y
        np.clip(P, -self.delta, self.delta, out=work)
        P *= 2
        P -= work
        P *= 0.5
        P *= work
        return P, work


class LogCosh(RegressionLoss):
    """l = mean_k log(cosh(p_k - y_k))."""

    compiled_as = "log_cosh"
    center = 0.5

    def pointwise(self, Y, P, work):
        P -= Y
        # log cosh r = |r| + log(1 + exp(-2 |r|)) - log 2, which does not overflow
        np.abs(P, out=work)
        work *= -2
        losses = np.log1p(np.exp(work))
        losses -= np.log(2.0).astype(P.dtype)
        work *= -0.5
        work += losses
        np.tanh(P, out=P)
        return work, P


class QuantileLoss(RegressionLoss):
    """l = mean_k max(q (y_k - p_k), (q - 1) (y_k - p_k)): its minimum is the q-quantile.

    Parameters
    ----------
    quantile : float or sequence of float, default=0.5
        With a sequence in ascending order, `MLPRegressor` predicts one column for each quantile of
        a single target.
    non_crossing : bool, default=False
        Whether the predicted quantiles of a row are in ascending order. It needs a sequence of
        quantiles.
    """

    compiled_as = "quantile"
    _limits = {"quantile": Limit(0, 1, closed="()")}

    def __init__(self, quantile: float | Sequence[float] = 0.5, non_crossing: bool = False):
        self.quantile = quantile
        self.non_crossing = non_crossing

    def check(self, what=""):
        if is_per_layer(self.quantile):
            self._check_several()
            return
        super().check(what)
        if self.non_crossing:
            raise InvalidParameterError(
                f"QuantileLoss non_crossing={self.non_crossing!r} is for several quantiles; give "
                "quantile a sequence."
            )

    def _check_several(self) -> None:
        entries, limit = list(self.quantile), self._limits["quantile"]
        are_inside = bool(entries) and all(map(limit.allows, entries))
        if not are_inside or any(a >= b for a, b in pairwise(entries)):
            raise InvalidParameterError(
                f"QuantileLoss quantile={self.quantile!r} is not allowed; give {limit}, or an "
                "ascending sequence of such numbers."
            )
        self.quantile = [float(q) for q in entries]

    @property
    def center(self):
        return self.quantile

    def compiled_constants(self):
        return (self.quantile,)

    def pointwise(self, Y, P, work):
        P -= Y
        # with r = p - y: l = |r| / 2 + (1 / 2 - q) r, l' = sign(r) / 2 + (1 / 2 - q)
        np.abs(P, out=work)
        work *= 0.5
        work += (0.5 - self.quantile) * P
        np.sign(P, out=P)
        P *= 0.5
        P += 0.5 - self.quantile
        return work, P


class PoissonLoss(RegressionLoss):
    """l = sum_k (y_k log(y_k / p_k) - y_k + p_k): half the Poisson deviance; p = exp(z)."""

    compiled_as = "poisson"
    link = "exponential"
    activation = Exponential()
    averages_outputs = False
    needs_positive_output = True

    def check_targets(self, Y):
        if (Y < 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': "
                f"y must be >= 0, and its minimum is {Y.min():g}."
            )

    def pointwise(self, Y, P, work):
        # If y is 0 the ratio is 0, even if p is too small for a floating-point number.
        work.fill(0)
        np.divide(Y, P, out=work, where=Y > 0)
        losses = xlogy(Y, work)
        losses -= Y
        losses += P
        np.subtract(1, work, out=P)
        np.copyto(work, losses)
        return work, P

    def value_and_grad(self, Y, Z, weight, work):
        if self.link != "exponential":
            return super().value_and_grad(Y, Z, weight, work)
        losses = xlogy(Y, Y)
        losses -= Y
        np.multiply(Y, Z, out=work)
        losses -= work
        np.exp(Z, out=Z)
        losses += Z
        Z -= Y
        return _finish(losses, weight, Z, len(Z))


class GammaLoss(RegressionLoss):
    """l = sum_k (log(p_k / y_k) + y_k / p_k - 1): half the gamma deviance; p = exp(z)."""

    compiled_as = "gamma"
    link = "exponential"
    activation = Exponential()
    averages_outputs = False
    needs_positive_output = True

    def check_targets(self, Y):
        if (Y <= 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'gamma': "
                f"y must be > 0, and its minimum is {Y.min():g}."
            )

    def pointwise(self, Y, P, work):
        ratio = Y / P
        np.log(ratio, out=work)
        np.subtract(ratio, work, out=work)
        work -= 1
        np.subtract(1, ratio, out=ratio)
        np.divide(ratio, P, out=P)
        return work, P

    def value_and_grad(self, Y, Z, weight, work):
        if self.link != "exponential":
            return super().value_and_grad(Y, Z, weight, work)
        losses = Z - np.log(Y)
        losses -= 1
        np.negative(Z, out=Z)
        np.exp(Z, out=Z)
        Z *= Y
        losses += Z
        np.subtract(1, Z, out=Z)
        return _finish(losses, weight, Z, len(Z))


CLASSIFICATION_LOSSES = {
    "log_loss": LogLoss,
    "squared_error": BrierLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "focal": FocalLoss,
}

REGRESSION_LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": PoissonLoss,
    "gamma": GammaLoss,
    "quantile": QuantileLoss,
}

# Each returns the raw outputs for which the output activation gives p, or a number near p if p is
# out of its reach. A relu begins above 0, since it does not learn below 0.
OUTPUT_INVERSES = {
    "identity": lambda p: p,
    "relu": lambda p: np.maximum(p, 0.1),
    "softplus": lambda p: np.maximum(p, 1e-3) + np.log(-np.expm1(-np.maximum(p, 1e-3))),
    "exponential": lambda p: np.log(np.maximum(p, np.finfo(np.float32).tiny)),
    "logistic": lambda p: logit(np.clip(p, 0.01, 0.99)),
    "tanh": lambda p: np.arctanh(np.clip(p, -0.98, 0.98)),
}
OUTPUT_ACTIVATIONS = tuple(OUTPUT_INVERSES)
POSITIVE_OUTPUTS = ("exponential", "softplus", "logistic")
