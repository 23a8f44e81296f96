"""Losses for several outputs: one for each of them, several quantiles, and targets with gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.special import expit

from skdeep._component import InvalidParameterError, side_by_side
from skdeep.activations import Softplus
from skdeep.kernels import numpy_kernels
from skdeep.losses import OUTPUT_INVERSES, Loss, RegressionLoss, weighted_quantile

# A number that every loss accepts as a target; it stands in for a missing one.
_HARMLESS = 1.0


class JointLoss(Loss):
    """l = sum_k weight_k * l_k, where l_k is a loss of some columns of the raw outputs.

    Parameters
    ----------
    losses : list of Loss
    widths : list of int
        The number of columns of each loss, from the left.
    weights : list of float or None, default=None
        None is a weight of 1 for each loss.
    """

    def __init__(
        self, losses: list[Loss], widths: list[int], weights: Sequence[float] | None = None
    ):
        self.losses = losses
        self.widths = widths
        self.weights = weights

    @property
    def link(self) -> str:
        links = {loss.link for loss in self.losses}
        return links.pop() if len(links) == 1 else "several"

    @property
    def slices(self) -> list[slice]:
        """The columns of each loss."""
        return side_by_side(self.widths)

    @property
    def shares(self) -> list[float]:
        """The weight of each loss."""
        return [1.0] * len(self.losses) if self.weights is None else list(self.weights)

    def value_and_grad(self, Y, Z, weight, work):
        return self.bound(_in_numpy)(Y, Z, weight, work)

    def bound(self, bind: Callable[[Loss], Callable]) -> Callable:
        """Return value_and_grad, with bind(loss) in place of that of each loss."""
        parts = list(zip(map(bind, self.losses), self.slices, self.shares, strict=True))

        def value_and_grad(Y, Z, weight, work):
            total = 0.0
            for compute, columns, share in parts:
                value, gradient = _of_columns(compute, Y, Z, columns, weight)
                total += share * value
                if share != 1:
                    gradient *= share
                Z[:, columns] = gradient
            return total

        return value_and_grad

    def values(self, Y: np.ndarray, Z: np.ndarray, weight: np.ndarray | None) -> list[float]:
        """Return the value of each loss, without its weight. Z is not changed."""
        parts = zip(self.losses, self.slices, strict=True)
        return [_of_columns(_in_numpy(loss), Y, Z, columns, weight)[0] for loss, columns in parts]

    def output(self, Z):
        for loss, columns in zip(self.losses, self.slices, strict=True):
            part = np.ascontiguousarray(Z[:, columns])
            loss.output(part)
            Z[:, columns] = part

    def check_targets(self, Y):
        for loss, columns in zip(self.losses, self.slices, strict=True):
            loss.check_targets(Y[:, columns])

    def best_constant(self, Y, weight):
        parts = zip(self.losses, self.slices, strict=True)
        return np.concatenate([loss.best_constant(Y[:, c], weight) for loss, c in parts])


def _in_numpy(loss: Loss) -> Callable:
    return loss.value_and_grad


def _of_columns(compute: Callable, Y, Z, columns: slice, weight) -> tuple[float, np.ndarray]:
    """Return the value of a loss of some columns, and its derivative by these columns of Z."""
    Y = Y[:, columns].copy()
    gradient = Z[:, columns].copy()
    return compute(Y, gradient, weight, np.empty_like(gradient)), gradient


class Quantiles(RegressionLoss):
    """l = mean_k max(q_k (y_k - p_k), (q_k - 1) (y_k - p_k)), with a quantile q_k for each output.

    With non_crossing=True, the predictions of a row rise: p_1 = z_1, and
    p_k = p_(k-1) + softplus(z_k).

    Parameters
    ----------
    quantiles : sequence of float
        The quantiles, in ascending order.
    non_crossing : bool, default=False
    """

    def __init__(self, quantiles: Sequence[float], non_crossing: bool = False):
        self.quantiles = quantiles
        self.non_crossing = non_crossing

    def use_output_activation(self, name):
        if self.non_crossing and name not in ("auto", "identity"):
            raise InvalidParameterError(
                f"output_activation={name!r} does not go with QuantileLoss(non_crossing=True), "
                'whose predictions are sums; leave it at "auto", or set non_crossing=False.'
            )
        super().use_output_activation(name)

    def best_constant(self, Y, weight):
        best = np.concatenate(
            [weighted_quantile(Y[:, k : k + 1], weight, q) for k, q in enumerate(self.quantiles)]
        )
        if not self.non_crossing:
            return OUTPUT_INVERSES[self.link](best)
        return np.append(best[:1], OUTPUT_INVERSES["softplus"](np.diff(best)))

    def output(self, Z):
        if not self.non_crossing:
            super().output(Z)
            return
        steps = np.ascontiguousarray(Z[:, 1:])
        Softplus().infer(steps, np.empty_like(steps))
        Z[:, 1:] = steps
        np.cumsum(Z, axis=1, out=Z)

    def pointwise(self, Y, P, work):
        # with r = p - y: l = |r| / 2 + (1 / 2 - q) r, l' = sign(r) / 2 + (1 / 2 - q)
        tilt = (0.5 - np.asarray(self.quantiles)).astype(P.dtype)
        P -= Y
        np.abs(P, out=work)
        work *= 0.5
        work += tilt * P
        np.sign(P, out=P)
        P *= 0.5
        P += tilt
        return work, P

    def value_and_grad(self, Y, Z, weight, work):
        if not self.non_crossing:
            return super().value_and_grad(Y, Z, weight, work)
        slopes = expit(Z[:, 1:])  # of the softplus
        self.output(Z)
        value = super().value_and_grad(Y, Z, weight, work)
        # Every step raises the predictions to its right, too.
        Z[:] = np.cumsum(Z[:, ::-1], axis=1)[:, ::-1]
        Z[:, 1:] *= slopes
        return value


class Measured(Loss):
    """The mean of a loss over the targets that are not NaN.

    In a regression, each number counts on its own. In a classification, a row counts if none of its
    targets is NaN. The weighted sum over a batch is divided by the number of known targets in it. A
    batch without known targets has the loss 0.

    Parameters
    ----------
    loss : Loss
    """

    def __init__(self, loss: Loss):
        self.loss = loss

    @property
    def link(self) -> str:
        return self.loss.link

    @property
    def task(self) -> str | None:
        return self.loss.task

    @property
    def gives_probabilities(self) -> bool:
        return self.loss.gives_probabilities

    def value_and_grad(self, Y, Z, weight, work):
        return self._value_and_grad(_in_numpy(self.loss), Y, Z, weight, work)

    def bound(self, bind: Callable[[Loss], Callable]) -> Callable:
        """Return value_and_grad, with bind(loss) in place of that of the loss."""
        return partial(self._value_and_grad, bind(self.loss))

    def _value_and_grad(self, compute: Callable, Y, Z, weight, work) -> float:
        known = ~np.isnan(Y)
        if known.all():
            return compute(Y, Z, weight, work)
        rows = known.all(axis=1)
        has_gaps_within_rows = (rows != known.any(axis=1)).any()
        if has_gaps_within_rows and isinstance(self.loss, RegressionLoss):
            return self._of_elements(Y, Z, weight, work, known)
        part, value = Z[rows], 0.0
        if rows.any():
            of_rows = None if weight is None else weight[rows]
            value = compute(Y[rows], part, of_rows, np.empty_like(part))
        Z.fill(0)
        Z[rows] = part
        return value

    def _of_elements(self, Y, Z, weight, work, known) -> float:
        loss: RegressionLoss = self.loss
        f, before, after = loss.activation, None, None
        if f is not None:
            before = Z.copy() if f.needs_input else None
            f.forward(Z, work)
            after = Z.copy()
        losses, slopes = loss.pointwise(np.where(known, Y, _HARMLESS), Z, work)
        n_known = np.count_nonzero(known) / (1 if loss.averages_outputs else Y.shape[1])
        scale = (known / (n_known or 1)).astype(Z.dtype)
        if weight is not None:
            scale *= weight[:, None]
        value = float(np.sum(losses * scale))
        slopes *= scale
        numpy_kernels.settle(slopes)
        if f is not None:
            f.backward(slopes, after, before, losses)
        if slopes is not Z:
            np.copyto(Z, slopes)
        return value

    def output(self, Z):
        self.loss.output(Z)

    def check_targets(self, Y):
        self.loss.check_targets(np.where(np.isnan(Y), _HARMLESS, Y))

    def best_constant(self, Y, weight):
        known = ~np.isnan(Y)
        rows = known.all(axis=1)
        if (rows == known.any(axis=1)).all() or not isinstance(self.loss, RegressionLoss):
            return self.loss.best_constant(Y[rows], _or_ones(weight[rows]))
        columns = [
            self.loss.best_constant(Y[rows, k : k + 1], _or_ones(weight[rows]))
            for k, rows in enumerate(known.T)
        ]
        return np.concatenate(columns)


def _or_ones(weight: np.ndarray) -> np.ndarray:
    """Return weights; ones if all of them are 0."""
    return weight if weight.any() else np.ones_like(weight)


class ClassWeighted(Measured):
    """`Measured`, with the loss of each row multiplied by the weight of its class.

    Parameters
    ----------
    loss : ClassificationLoss
    class_weights : list of list of float
        The weights of the classes, in a list of one entry; or the weights of 0 and 1 for each of
        several labels, which are multiplied.
    """

    def __init__(self, loss: Loss, class_weights: list[list[float]]):
        super().__init__(loss)
        self.class_weights = class_weights

    def _combined(self, Y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the product of the weights of the rows and those of their classes."""
        if Y.shape[1] > len(self.class_weights):
            own = np.take(self.class_weights[0], Y.argmax(axis=1))
        else:
            chosen = [
                np.where(y > 0.5, w[-1], w[0]) for y, w in zip(Y.T, self.class_weights, strict=True)
            ]
            own = np.prod(chosen, axis=0)
        return own.astype(Y.dtype) if weight is None else own.astype(weight.dtype) * weight

    def _value_and_grad(self, compute, Y, Z, weight, work):
        return super()._value_and_grad(compute, Y, Z, self._combined(Y, weight), work)

    def best_constant(self, Y, weight):
        return super().best_constant(Y, self._combined(Y, weight))
