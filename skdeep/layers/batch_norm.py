"""Batch normalization."""

from __future__ import annotations

import numpy as np

from skdeep._component import Limit
from skdeep.initializers import Constant
from skdeep.kernels import numpy_kernels
from skdeep.layers.base import Layer, rows
from skdeep.layers.operations import Normalize
from skdeep.parameters import Parameter


class BatchNorm(Layer):
    """Y = gamma * (X - mean) / sqrt(variance + epsilon) + beta, column by column.

    In training, mean and (biased) variance are those of the batch. At prediction they are the
    running statistics: running <- momentum * running + (1 - momentum) * batch. A batch of one row
    has no variance. It is normalised with the running statistics, and does not change them. If
    gamma is frozen, this holds for every batch.

    Parameters
    ----------
    momentum : float, default=0.9
        The share of the running statistics that a batch leaves in place.
    epsilon : float, default=1e-5
        Added to the variance, so that the division is stable.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
    internal covariate shift".
    """

    uses_batch_statistics = True
    _limits = {"momentum": Limit(0, 1), "epsilon": Limit(0, closed="(]")}

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5):
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, n_inputs):
        self.check()
        shape, zeros, ones = (n_inputs,), Constant(0.0), Constant(1.0)
        self.gamma_ = Parameter("gamma", shape, ones)
        self.beta_ = Parameter("beta", shape, zeros)
        self.mean_ = Parameter("running_mean", shape, zeros, trainable=False)
        self.variance_ = Parameter("running_variance", shape, ones, trainable=False)
        return n_inputs, [self.gamma_, self.beta_, self.mean_, self.variance_]

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = (n_rows, self.n_inputs_)
        self._Y, self._X_hat, self._work = (np.empty(shape, dtype) for _ in range(3))
        self._inverse_std, self._batch_mean, self._batch_variance = (
            np.empty(self.n_inputs_, dtype) for _ in range(3)
        )
        # A callback may have frozen one of the two; the kernels compute both gradients.
        self._d_gamma, self._d_beta = (
            np.empty(self.n_inputs_, dtype) if p.grad is None else p.grad
            for p in (self.gamma_, self.beta_)
        )
        self._normalize = self.kernels.batch_norm_forward
        self._differentiate = self.kernels.batch_norm_backward
        self._epsilon = float(self.epsilon)
        self._share = None
        self.measure(None)

    def take_share(self, share):
        # Members that train on their own rows for some steps have statistics of their own.
        self._share = None if share.is_local else share

    def forward(self, X):
        n_rows = len(X)
        Y, X_hat = rows(self._Y, n_rows), rows(self._X_hat, n_rows)
        n_in_batch = n_rows if self._share is None else self._share.n_rows
        self._uses_batch = n_in_batch > 1 and self.gamma_.trainable
        gamma, beta = self.gamma_.value, self.beta_.value
        running = self.mean_.value, self.variance_.value
        if self._uses_batch and self._share is None:
            own = self._batch_mean, self._batch_variance, self._inverse_std
            self._normalize(X, *running, self._keep, self._epsilon, gamma, beta, *own, X_hat, Y)
            return Y
        statistics = running
        if self._uses_batch:
            statistics = self._batch_mean, self._batch_variance
            self._merge_statistics(X, X_hat)
            for of_all, of_batch in zip(running, statistics, strict=True):
                of_all *= self._keep
                of_all += (1 - self._keep) * of_batch
        numpy_kernels.normalize(
            X, *statistics, self._epsilon, gamma, beta, self._inverse_std, X_hat, Y
        )
        return Y

    def _merge_statistics(self, X: np.ndarray, work: np.ndarray) -> None:
        """Compute the statistics of a batch of which other processes have further rows.

        Each process sends its count, its means and its sums of squares around them, so that no
        digits are lost if the means are large.
        """
        own, n = np.zeros((3, self.n_inputs_)), self._share.n_own
        if n:
            np.add.reduce(X, axis=0, out=self._batch_mean)
            self._batch_mean /= n
            np.subtract(X, self._batch_mean, out=work)
            np.multiply(work, work, out=work)
            own[0], own[1] = n, self._batch_mean
            own[2] = np.add.reduce(work, axis=0)
        every = self._share.gather(own.reshape(-1)).reshape(-1, *own.shape)
        counts, means, squares = every[:, 0], every[:, 1], every[:, 2]
        n_rows = self._share.n_rows
        mean = np.add.reduce(counts * means, axis=0) / n_rows
        squares += counts * (means - mean) ** 2
        self._batch_mean[...] = mean
        self._batch_variance[...] = np.add.reduce(squares, axis=0) / n_rows

    def backward(self, dY):
        n_rows = len(dY)
        X_hat, work = rows(self._X_hat, n_rows), rows(self._work, n_rows)
        gamma = self.gamma_
        if self._uses_batch and self._share is None:
            self._differentiate(
                dY, X_hat, gamma.value, self._inverse_std, self._d_gamma, self._d_beta, work
            )
            return dY
        if gamma.trainable or self.beta_.trainable:
            np.multiply(dY, X_hat, out=work)
            np.add.reduce(work, axis=0, out=self._d_gamma)
            np.add.reduce(dY, axis=0, out=self._d_beta)
        if self._uses_batch:
            self._take_off_means(dY, X_hat, work)
        dY *= gamma.value * self._inverse_std
        return dY

    def _take_off_means(self, dY: np.ndarray, X_hat: np.ndarray, work: np.ndarray) -> None:
        """Do dY <- dY - mean(dY) - X_hat * mean(dY * X_hat): means over the whole batch.

        dY is the derivative of the loss of the whole batch, and the gradients of gamma and beta
        stay those of the own rows.
        """
        sums = np.concatenate([self._d_gamma, self._d_beta])
        self._share.sum(sums)
        if not self._share.n_own:
            return
        sums /= self._share.n_rows
        np.multiply(X_hat, sums[: self.n_inputs_], out=work)
        dY -= work
        dY -= sums[self.n_inputs_ :]

    def infer(self, X):
        scale = self.gamma_.value / np.sqrt(self.variance_.value + self.epsilon)
        Y = X - self.mean_.value
        Y *= scale
        Y += self.beta_.value
        return Y

    def operations(self):
        std = np.sqrt(self.variance_.value + self.epsilon)
        return [Normalize(self.mean_.value, std, self.gamma_.value, self.beta_.value)]

    def batch_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and the variances of the last batch that had statistics of its own."""
        return self._batch_mean, self._batch_variance

    def measure(self, keep: float | None) -> None:
        """Set the share of the running statistics that a batch leaves; None means `momentum`."""
        self._keep = float(self.momentum if keep is None else keep)
