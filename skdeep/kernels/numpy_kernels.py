"""The inner loops in NumPy. They allocate nothing that grows with the data."""

from __future__ import annotations

import math

import numpy as np

from skdeep.kernels.numpy_embeddings import embedding_backward as embedding_backward
from skdeep.kernels.numpy_embeddings import embedding_forward as embedding_forward
from skdeep.kernels.numpy_embeddings import periodic_backward as periodic_backward
from skdeep.kernels.numpy_embeddings import periodic_forward as periodic_forward
from skdeep.kernels.numpy_embeddings import piecewise_linear_backward as piecewise_linear_backward
from skdeep.kernels.numpy_embeddings import piecewise_linear_forward as piecewise_linear_forward

# Below the size from which OpenBLAS splits a dot product over threads: the order of summation, and
# so the last bit of the result, must not depend on the number of threads.
DOT_BLOCK = 8192
# Derivatives of the loss below these become 0, by the character of the dtype. A network that is
# sure of a row would hand on subnormal derivatives, for which processors take a hundred times as
# long.
NEGLIGIBLE = {"f": 1e-20, "d": 1e-200}
# The number of elements of which the cache holds a few arrays at once.
BLOCK = 32768


def dense_forward(X, W: np.ndarray, b: np.ndarray | None, out: np.ndarray) -> None:
    """Write X @ W + b; X may be a CSR matrix."""
    if isinstance(X, np.ndarray):
        np.matmul(X, W, out=out)
    else:
        out[...] = X @ W
    if b is not None:
        np.add(out, b, out=out)


def dense_gradient(X, dZ: np.ndarray, out: np.ndarray) -> None:
    """Write X.T @ dZ; X may be a CSR matrix."""
    if isinstance(X, np.ndarray):
        np.matmul(X.T, dZ, out=out)
    else:
        out[...] = X.T @ dZ


def column_sums(A: np.ndarray, out: np.ndarray) -> None:
    """Write the sum of every column."""
    np.add.reduce(A, axis=0, out=out)


def sum_of_squares(x: np.ndarray) -> float:
    """Return the squared norm of a 1-D array; it does not depend on the number of threads."""
    if x.size <= DOT_BLOCK:
        return float(np.dot(x, x))
    total = 0.0
    for start in range(0, x.size, DOT_BLOCK):
        block = x[start : start + DOT_BLOCK]
        total += float(np.dot(block, block))
    return total


def add_scaled(y: np.ndarray, a: float, x: np.ndarray) -> None:
    """Do y <- y + a * x for 1-D arrays.

    SciPy's axpy does this too. But SciPy has a BLAS of its own, whose threads compete with those
    of NumPy's BLAS.
    """
    work = np.empty(min(BLOCK, x.size), x.dtype)
    for start in range(0, x.size, BLOCK):
        x_block = x[start : start + BLOCK]
        product = work[: x_block.size]
        np.multiply(x_block, a, out=product)
        y_block = y[start : start + BLOCK]
        np.add(y_block, product, out=y_block)


def add_l1_penalty(w: np.ndarray, g: np.ndarray, l1: float) -> float:
    """Return l1 * sum |w|, and add l1 * sign(w) to g, for 1-D arrays."""
    total = 0.0
    for start in range(0, w.size, DOT_BLOCK):
        block = w[start : start + DOT_BLOCK]
        total += float(np.add.reduce(np.abs(block)))
        g[start : start + DOT_BLOCK] += l1 * np.sign(block)
    return l1 * total


def add_l2_penalty(w: np.ndarray, g: np.ndarray, l2: float) -> float:
    """Return l2 * sum w^2, and add 2 * l2 * w to g, for 1-D arrays."""
    add_scaled(g, 2 * l2, w)
    return l2 * sum_of_squares(w)


def softmax(Z: np.ndarray) -> None:
    """Do Z <- softmax(Z), row by row."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= np.add.reduce(Z, axis=1, keepdims=True)


def log_softmax(Z: np.ndarray, work: np.ndarray) -> None:
    """Do Z <- log(softmax(Z)), row by row; never -inf for finite Z."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=work)
    Z -= np.log(np.add.reduce(work, axis=1, keepdims=True))


def settle(Z: np.ndarray) -> None:
    """Set negligible derivatives of the loss to 0; NaN stays."""
    Z *= np.abs(Z) >= NEGLIGIBLE[Z.dtype.char]


def softmax_cross_entropy(Y, Z: np.ndarray, weight, work: np.ndarray) -> float:
    """Return sum(weight * -sum(Y * log softmax(Z))); Z <- its gradient. Rows of Y sum to 1."""
    Z -= np.maximum.reduce(Z, axis=1, keepdims=True)
    np.exp(Z, out=work)
    total = np.add.reduce(work, axis=1, keepdims=True)
    np.multiply(Z, Y, out=Z)
    losses = np.log(total[:, 0]) - np.add.reduce(Z, axis=1)
    np.divide(work, total, out=Z)
    Z -= Y
    if weight is None:
        return float(np.add.reduce(losses))
    Z *= weight[:, None]
    return float(np.add.reduce(losses * weight))


def gather_one_hot(codes: np.ndarray, rows, on: float, off: float, out: np.ndarray) -> None:
    """Write one row per code: `on` in the code's column, `off` in all others."""
    out.fill(off)
    out[np.arange(len(out)), codes[rows]] = on


def clip_values(g: np.ndarray, limit: float) -> None:
    """Limit every component to +-limit; NaN stays."""
    np.clip(g, -limit, limit, out=g)


def scale(g: np.ndarray, factor: float) -> None:
    """Do g <- factor * g."""
    g *= factor


# Random numbers -----------------------------------------------------------------------------


def _hashes(counters: np.ndarray, seed: int) -> np.ndarray:
    """Return 32 random bits for each counter, computed from it and a 64-bit seed.

    As there is no generator with a state, the numbers do not depend on the order in which they are
    drawn. So compiled kernels draw the same numbers, with any number of threads, and a process that
    has some rows of a batch draws the numbers of these rows: `place` is None, or the positions of
    the rows in the batch, and the number of rows of the batch.
    """
    x = counters.astype(np.uint32)
    x *= np.uint32(0x9E3779B1)
    x += np.uint32(seed & 0xFFFFFFFF)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= np.uint32(seed >> 32)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def _units(counters: np.ndarray, seed: int, offset: float, dtype) -> np.ndarray:
    """Return (b + offset) / 2^24 for each counter, b the upper 24 bits of its hash."""
    u = (_hashes(counters, seed) >> np.uint32(8)).astype(dtype)
    u += offset
    u *= 2.0**-24
    return u


def _blocks(A: np.ndarray, place=None):
    """Yield (block of the flat A, counters of its elements); the blocks fit the cache."""
    flat = A.reshape(-1)
    for start in range(0, flat.size, DOT_BLOCK):
        counters = np.arange(start, min(start + DOT_BLOCK, flat.size))
        if place is not None:
            row, column = np.divmod(counters, A.shape[1])
            counters = place[0][row] * A.shape[1] + column
        yield flat[start : start + DOT_BLOCK], counters


def dropout_forward(seed: int, rate: float, X, mask: np.ndarray, Y: np.ndarray, place=None) -> None:
    """Draw a mask, 0 with probability `rate`, else 1 / (1 - rate); write Y = X * mask."""
    threshold = np.uint32(rate * 2.0**32)
    for block, counters in _blocks(mask, place):
        np.greater_equal(_hashes(counters, seed), threshold, out=block)
    mask *= 1.0 / (1.0 - rate)
    np.multiply(X, mask, out=Y)


def multiply_by(dY: np.ndarray, mask: np.ndarray) -> None:
    """Do dY <- dY * mask."""
    dY *= mask


def fill_uniform(seed: int, low: float, high: float, out: np.ndarray, place=None) -> None:
    """Write numbers from [low, high)."""
    for block, counters in _blocks(out, place):
        block[:] = _units(counters, seed, 0.0, out.dtype)
    out *= high - low
    out += low


def fill_normal(seed: int, scale: float, out: np.ndarray, place=None) -> None:
    """Write Gaussian numbers with mean 0 and this standard deviation (Box and Muller)."""
    if place is not None:
        _fill_normal_at(seed, scale, out, place)
        return
    flat = out.reshape(-1)
    half = (flat.size + 1) // 2
    for first, counters in _blocks(flat[:half]):
        second = flat[half + counters[0] :][: first.size]
        radius, angle = _polar(counters, seed, scale, out.dtype)
        np.multiply(radius, np.cos(angle), out=first)
        n = second.size
        np.multiply(radius[:n], np.sin(angle[:n]), out=second)


def _fill_normal_at(seed: int, scale: float, out: np.ndarray, place) -> None:
    half = (place[1] * out.shape[1] + 1) // 2
    for block, counters in _blocks(out, place):
        is_second = counters >= half
        radius, angle = _polar(counters - half * is_second, seed, scale, out.dtype)
        np.multiply(radius, np.where(is_second, np.sin(angle), np.cos(angle)), out=block)


def _polar(counters: np.ndarray, seed: int, scale: float, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the radius and the angle of a pair of Gaussian numbers for each counter."""
    radius = _units(counters, seed, 0.5, dtype)
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    radius *= scale
    angle = _units(counters, seed ^ 0x5DEECE66D1CE4E5B, 0.0, dtype)
    angle *= 2 * math.pi
    return radius, angle


def noise_forward(seed: int, scale: float, X, Y: np.ndarray, place=None) -> None:
    """Write Y = X + Gaussian noise."""
    fill_normal(seed, scale, Y, place)
    np.add(Y, X, out=Y)


# Scales ---------------------------------------------------------------------------------------


def scale_columns(X, s: np.ndarray, Y: np.ndarray) -> None:
    """Write Y = s * X, with a factor for each column."""
    np.multiply(X, s, out=Y)


def scale_columns_backward(dY, X, s: np.ndarray, ds: np.ndarray, work: np.ndarray) -> None:
    """Fill ds; dY <- dX."""
    np.multiply(dY, X, out=work)
    np.add.reduce(work, axis=0, out=ds)
    dY *= s


# Batch normalization ------------------------------------------------------------------------


def batch_norm_forward(
    X,
    running_mean,
    running_variance,
    keep,
    epsilon,
    gamma,
    beta,
    mean,
    variance,
    inverse_std,
    X_hat,
    Y,
) -> None:
    """Normalise with the statistics of the batch, and update the running statistics.

    Fills mean, variance, inverse_std, X_hat = (X - mean) * inverse_std, Y = gamma * X_hat + beta;
    running <- keep * running + (1 - keep) * batch.
    """
    n_rows = len(X)
    np.add.reduce(X, axis=0, out=mean)
    mean /= n_rows
    np.subtract(X, mean, out=X_hat)
    np.multiply(X_hat, X_hat, out=Y)
    np.add.reduce(Y, axis=0, out=variance)
    variance /= n_rows
    for running, batch in ((running_mean, mean), (running_variance, variance)):
        running *= keep
        running += (1 - keep) * batch
    normalize(X, mean, variance, epsilon, gamma, beta, inverse_std, X_hat, Y)


def normalize(X, mean, variance, epsilon, gamma, beta, inverse_std, X_hat, Y) -> None:
    """Normalise with the given statistics; fill inverse_std, X_hat and Y."""
    np.add(variance, epsilon, out=inverse_std)
    np.sqrt(inverse_std, out=inverse_std)
    np.reciprocal(inverse_std, out=inverse_std)
    np.subtract(X, mean, out=X_hat)
    X_hat *= inverse_std
    np.multiply(X_hat, gamma, out=Y)
    Y += beta


def batch_norm_backward(dY, X_hat, gamma, inverse_std, d_gamma, d_beta, work) -> None:
    """Fill d_gamma and d_beta; dY <- dX, if the statistics are those of the batch."""
    np.multiply(dY, X_hat, out=work)
    np.add.reduce(work, axis=0, out=d_gamma)
    np.add.reduce(dY, axis=0, out=d_beta)
    n_rows = len(dY)
    np.multiply(X_hat, d_gamma / n_rows, out=work)
    dY -= work
    dY -= d_beta / n_rows
    dY *= gamma * inverse_std


# Functions that are bound once for a training run --------------------------------------------


def bind_activation(f, n_units: int, dtype):
    """Return (forward, backward) of an activation, None being the identity.

    - forward(Y, b, Z, work): Y <- f(Y + b), and Z <- Y + b; b and Z may be None
    - backward(dA, A, Z, work, db): dA <- dA * f'; db <- the sums over its rows; db may be None
    """

    def forward(Y, b, Z, work):
        if b is not None:
            np.add(Y, b, out=Y)
        if Z is not None:
            np.copyto(Z, Y)
        if f is not None:
            f.forward(Y, work)

    def backward(dA, A, Z, work, db):
        if f is not None:
            f.backward(dA, A, Z, work)
        if db is not None:
            column_sums(dA, db)

    return forward, backward


def bind_dense(f, n_rows: int, n_inputs: int, n_units: int, dtype):
    """Return (forward, backward) of a dense layer, for batches of at most n_rows rows.

    - forward(X, W, b, Y, Z, work): Y <- f(X W + b), and Z as in bind_activation
    - backward(X, dA, A, Z, work, W, dW, db, dX): dA <- dA * f'; fill dW, db and dX, each of which
      may be None
    """
    activate, differentiate = bind_activation(f, n_units, dtype)

    def forward(X, W, b, Y, Z, work):
        dense_forward(X, W, None, Y)
        activate(Y, b, Z, work)

    def backward(X, dA, A, Z, work, W, dW, db, dX):
        differentiate(dA, A, Z, work, db)
        if dW is not None:
            dense_gradient(X, dA, dW)
        if dX is not None:
            np.matmul(dA, W.T, out=dX)

    return forward, backward


def bind_loss(loss, dtype):
    """Return value_and_grad(Y, Z, weight, work) of a loss."""
    return loss.value_and_grad


def move_towards(average: np.ndarray, values: np.ndarray, share: float) -> None:
    """Do average <- average + share * (values - average)."""
    work = np.empty(min(BLOCK, values.size), values.dtype)
    for start in range(0, values.size, BLOCK):
        part = slice(start, start + BLOCK)
        step = np.subtract(values[part], average[part], out=work[: values[part].size])
        step *= share
        average[part] += step


def bind_update(optimizer, segments, dtype):
    """Return update(w, g, lr, l2, decay), which does one step of an optimizer.

    It returns the value of the penalty that it adds: see Optimizer.step.
    """
    work = np.empty(min(BLOCK, max((s.stop - s.start for s in segments), default=0)), dtype)
    blocks = [
        (slice(start, min(start + BLOCK, s.stop)), s)
        for s in segments
        for start in range(s.start, s.stop, BLOCK)
    ]

    def update(w, g, lr, l2, decay):
        penalty, rate_in_use = 0.0, 1.0
        for piece, segment in blocks:
            block, gradient, rate = w[piece], g[piece], segment.rate
            if rate != rate_in_use:
                optimizer.use_rate(lr * rate)
                rate_in_use = rate
            if l2 * segment.l2:
                penalty += add_l2_penalty(block, gradient, l2 * segment.l2 / 2)
            if decay * segment.decay:
                block *= 1.0 - lr * rate * decay * segment.decay
            slots = [slot[piece] for slot in optimizer.slots_]
            optimizer.update(block, gradient, lr * rate, work[: block.size], *slots)
        return penalty

    return update


def bind_rows(X, batch_size: int, dtype, stays_sparse: bool):
    """Return gather(rows), which returns these rows of X; they are valid until the next call."""
    if stays_sparse:
        return lambda rows: X[rows]
    buffer = np.empty((batch_size, X.shape[1]), dtype)
    if isinstance(X, np.ndarray):
        return lambda rows: np.take(X, rows, axis=0, out=buffer[: len(rows)], mode="clip")
    return lambda rows: X[rows].toarray(out=buffer[: len(rows)])
