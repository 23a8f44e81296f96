"""A member's part of the batches, of which other processes have the further rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from skdeep.distributed.members.memory import SharedVectors
from skdeep.joint_losses import JointLoss, Measured
from skdeep.losses import Loss, RegressionLoss

if TYPE_CHECKING:
    from skdeep.distributed.members.ring import Ring


class Share:
    """The rows of the running batch that are this member's own.

    Parameters
    ----------
    ring : Ring
    is_local : bool, default=False
        Whether each member trains on its own rows alone for some steps.

    Attributes
    ----------
    n_rows : int
        The number of rows of the whole batch.
    n_own : int
        The number of this member's own rows among them. If it is 0, the member computes with one
        of its rows nevertheless, which has no effect.
    positions : ndarray of int
        The positions of the own rows in the batch, of length max(n_own, 1).
    loss : float
        Terms of the loss that layers have computed from the own rows.
    """

    def __init__(self, ring: Ring, is_local: bool = False):
        self.ring = ring
        self.is_local = is_local
        self._shared: SharedVectors | None = None
        self.take(np.zeros(1, np.int64), 1, 1)

    def take(self, positions: np.ndarray, n_rows: int, n_own: int) -> None:
        """Take note of the rows of the next batch."""
        self.positions, self.n_rows, self.n_own = positions, n_rows, n_own
        self.loss = 0.0

    @property
    def place(self) -> tuple[np.ndarray, int]:
        """The positions of the own rows, and the number of rows of the batch: see the kernels."""
        return self.positions, self.n_rows

    @property
    def weight(self) -> float:
        """The share of the own rows in the batch."""
        return self.n_own / self.n_rows

    def zeros(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Return a vector of zeros that `sum` adds fast; all members call this at the same time.

        If all members are on one machine, they share its memory.
        """
        self._shared = None
        if self.ring.n_members > 1:
            shared = SharedVectors(self.ring, size, dtype)
            if shared.is_complete:
                self._shared = shared
                return shared.own
        return np.zeros(size, dtype)

    def sum(self, vector: np.ndarray) -> None:
        """Add the vectors of all members, in place."""
        if self._shared is not None and vector is self._shared.own:
            self._shared.sum()
        else:
            self.ring.sum(vector)

    def gather(self, vector: np.ndarray) -> np.ndarray:
        """Return the vectors of all members, as rows; they are valid until the next call."""
        return self.ring.gather(vector)


class SharedLoss(Loss):
    """The terms of a loss that come from the own rows: their sum over all members is the loss.

    Parameters
    ----------
    loss : Loss
    share : Share
    """

    def __init__(self, loss: Loss, share: Share):
        self.loss = loss
        self.share = share

    def value_and_grad(self, Y, Z, weight, work):
        return self.bound(lambda loss: loss.value_and_grad)(Y, Z, weight, work)

    def bound(self, bind: Callable[[Loss], Callable]) -> Callable:
        """Return value_and_grad, with bind(loss) in place of that of each loss."""
        loss, share = self.loss, self.share
        if any(isinstance(part, Measured) for part in (loss, *getattr(loss, "losses", []))):
            return self._bound_by_known(bind)
        compute = bind(loss)

        def value_and_grad(Y, Z, weight, work):
            return _scaled(compute(Y, Z, weight, work), Z, share.weight)

        return value_and_grad

    def _bound_by_known(self, bind: Callable[[Loss], Callable]) -> Callable:
        """Return value_and_grad of a loss with parts that are means over the known targets."""
        loss, share = self.loss, self.share
        is_joint = isinstance(loss, JointLoss)
        losses = loss.losses if is_joint else [loss]
        slices = loss.slices if is_joint else [slice(None)]
        computes, counts = [bind(part) for part in losses], np.empty(len(losses))
        own = np.empty_like(counts)

        def value_and_grad(Y, Z, weight, work):
            for k, part in enumerate(losses):
                own[k] = _n_known(part, Y[:, slices[k]]) if share.n_own else 0
            np.copyto(counts, own)
            share.sum(counts)
            total = 0.0
            for k, columns in enumerate(slices):
                factor = own[k] / counts[k] if counts[k] else 0.0
                gradient = Z[:, columns].copy()
                value = computes[k](Y[:, columns].copy(), gradient, weight, np.empty_like(gradient))
                factor *= loss.shares[k] if is_joint else 1.0
                total += _scaled(value, gradient, factor)
                Z[:, columns] = gradient
            return total

        return value_and_grad


def _n_known(loss: Loss, Y: np.ndarray) -> int:
    """Return the number of targets that the mean of a loss is over."""
    if not isinstance(loss, Measured):
        return len(Y)
    known = ~np.isnan(Y)
    by_element = isinstance(loss.loss, RegressionLoss)
    return np.count_nonzero(known if by_element else known.all(axis=1))


def _scaled(value: float, gradient: np.ndarray, factor: float) -> float:
    """Return factor * value, and scale the gradient alike; a factor of 0 gives 0, not NaN."""
    if not factor:
        gradient.fill(0)
        return 0.0
    gradient *= factor
    return factor * value
