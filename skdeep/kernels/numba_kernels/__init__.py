"""The kernels compiled with numba: the same names and signatures as in numpy_kernels.

Nothing is compiled on import. Each function is compiled at its first call, for the types of its
arguments, and kept on disk. A part (an activation, a loss, an optimizer) whose class has no
compiled rule of its own runs as NumPy code between the compiled functions.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.sparse import csr_matrix

from skdeep.kernels import numpy_kernels
from skdeep.kernels.numba_kernels import activations, gathering, losses, optimizers, products
from skdeep.kernels.numba_kernels.compiling import KEEPS_CODE as KEEPS_CODE
from skdeep.kernels.numba_kernels.embeddings import (
    embedding_backward,
    embedding_forward,
    periodic_backward,
    periodic_forward,
    piecewise_linear_backward,
    piecewise_linear_forward,
)
from skdeep.kernels.numba_kernels.gathering import gather_one_hot
from skdeep.kernels.numba_kernels.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    scale_columns,
    scale_columns_backward,
)
from skdeep.kernels.numba_kernels.randomness import (
    dropout_forward,
    fill_normal,
    fill_uniform,
    multiply_by,
    noise_forward,
)
from skdeep.kernels.numba_kernels.vectors import (
    add_l1_penalty,
    add_l2_penalty,
    clip_values,
    move_towards,
    scale,
    sum_of_squares,
)

__all__ = [
    "add_l1_penalty",
    "add_l2_penalty",
    "batch_norm_backward",
    "batch_norm_forward",
    "bind_activation",
    "bind_dense",
    "bind_loss",
    "bind_rows",
    "bind_update",
    "clip_values",
    "dropout_forward",
    "embedding_backward",
    "embedding_forward",
    "fill_normal",
    "fill_uniform",
    "gather_one_hot",
    "move_towards",
    "multiply_by",
    "noise_forward",
    "periodic_backward",
    "periodic_forward",
    "piecewise_linear_backward",
    "piecewise_linear_forward",
    "scale",
    "scale_columns",
    "scale_columns_backward",
    "sum_of_squares",
]


def _rule_of(part):
    """Return the name of a part's compiled rule, or None.

    A subclass may compute something else, so it does not inherit the rule.
    """
    return vars(type(part)).get("compiled_as")


def _constant_of(part) -> float:
    constants = part.compiled_constants()
    return float(constants[0]) if constants else 0.0


# One function for each rule in a process, as numba keeps the code by the function.
_passes, _loss = cache(activations.passes), cache(losses.by_element)
_passes_by_unit, _update = cache(activations.passes_by_unit), cache(optimizers.update)


# Layers -------------------------------------------------------------------------------------


def bind_activation(f, n_units: int, dtype):
    """Return (forward, backward) of an activation; see numpy_kernels.bind_activation."""
    forward, backward, _, _ = _bind_passes(f, n_units, dtype)
    return forward, backward


def _bind_passes(f, n_units: int, dtype):
    """Return (forward, backward, dense_forward, dense_backward) of an activation.

    The last two do the products of a dense layer too; they are None if there is no rule for them.

    - dense_forward(X, W, b, Y, Z)
    - dense_backward(X, dA, A, Z, W, W_T, dW, db, dX)
    """
    name = "identity" if f is None else _rule_of(f)
    if name == "rrelu":
        return *_bind_rrelu(f, n_units, dtype), None, None
    if name == "prelu":
        return _bind_by_unit(f, f.slope_, None, n_units, dtype)
    if name == "parametric" and _rule_of(f.function_) in activations.RULES:
        return _bind_by_unit(f, f.share_, f.function_, n_units, dtype)
    if name in activations.RULES:
        return _bind_rule(name, f, n_units, dtype)
    return *_bind_foreign(f, n_units, dtype), None, None


def _bind_rule(name, f, n_units: int, dtype):
    no_bias, no_gradient = np.zeros(n_units, dtype), np.empty(n_units, dtype)
    nothing = np.empty((0, 0), dtype)
    run = _passes(name, f is not None and f.needs_input)
    run_forward, run_backward, run_dense_forward, run_dense_backward = run
    c = 0.0 if f is None else _constant_of(f)

    def forward(Y, b, Z, work):
        run_forward(Y, no_bias if b is None else b, nothing if Z is None else Z, c)

    def backward(dA, A, Z, work, db):
        run_backward(dA, A, nothing if Z is None else Z, c, no_gradient if db is None else db)

    def dense_forward(X, W, b, Y, Z):
        run_dense_forward(X, W, no_bias if b is None else b, Y, nothing if Z is None else Z, c)

    def dense_backward(X, dA, A, Z, W, W_T, dW, db, dX):
        Z = nothing if Z is None else Z
        db = no_gradient if db is None else db
        run_dense_backward(X, dA, A, Z, c, W, W_T, dW, db, nothing if dX is None else dX)

    return forward, backward, dense_forward, dense_backward


def _bind_by_unit(f, parameter, g, n_units: int, dtype):
    """Bind an activation with a parameter of one number for each unit, and perhaps a function g."""
    no_bias, no_gradient = np.zeros(n_units, dtype), np.empty(n_units, dtype)
    no_own_gradient, nothing = np.empty(n_units, dtype), np.empty((0, 0), dtype)
    run = _passes_by_unit("prelu" if g is None else _rule_of(g), g is not None and g.needs_input)
    run_forward, run_backward, run_dense_forward, run_dense_backward = run
    c = 0.0 if g is None else _constant_of(g)

    def of_g(n_rows):
        return nothing if g is None else f.of_g(n_rows)

    def own_gradient():
        return no_own_gradient if parameter.grad is None else parameter.grad

    def forward(Y, b, Z, work):
        run_forward(Y, no_bias if b is None else b, Z, of_g(len(Y)), parameter.value, c)

    def backward(dA, A, Z, work, db):
        db = no_gradient if db is None else db
        run_backward(dA, Z, of_g(len(dA)), parameter.value, c, own_gradient(), db)

    def dense_forward(X, W, b, Y, Z):
        b = no_bias if b is None else b
        run_dense_forward(X, W, b, Y, Z, of_g(len(Y)), parameter.value, c)

    def dense_backward(X, dA, A, Z, W, W_T, dW, db, dX):
        p, dp = parameter.value, own_gradient()
        db, dX = no_gradient if db is None else db, nothing if dX is None else dX
        run_dense_backward(X, dA, Z, of_g(len(dA)), p, c, dp, W, W_T, dW, db, dX)

    return forward, backward, dense_forward, dense_backward


def _bind_rrelu(f, n_units: int, dtype):
    no_bias, no_gradient = np.zeros(n_units, dtype), np.empty(n_units, dtype)

    def forward(Y, b, Z, work):
        slopes = f.draw(len(Y), fill_uniform)
        activations.rrelu_forward(Y, no_bias if b is None else b, slopes)

    def backward(dA, A, Z, work, db):
        slopes = f.drawn(len(dA))
        activations.rrelu_backward(dA, A, slopes, no_gradient if db is None else db)

    return forward, backward


def _bind_foreign(f, n_units: int, dtype):
    """Bind an activation that is NumPy code, between a compiled bias and its gradient."""
    add_bias, _ = bind_activation(None, n_units, dtype)
    sum_columns = numpy_kernels.column_sums

    def forward(Y, b, Z, work):
        if b is not None:
            add_bias(Y, b, None, work)
        if Z is not None:
            np.copyto(Z, Y)
        f.forward(Y, work)

    def backward(dA, A, Z, work, db):
        f.backward(dA, A, Z, work)
        if db is not None:
            sum_columns(dA, db)

    return forward, backward


def bind_dense(f, n_rows: int, n_inputs: int, n_units: int, dtype):
    """Return (forward, backward) of a dense layer; see numpy_kernels.bind_dense."""
    activate, differentiate, fused_forward, fused_backward = _bind_passes(f, n_units, dtype)

    def forward(X, W, b, Y, Z, work):
        if isinstance(X, np.ndarray):
            np.matmul(X, W, out=Y)
        else:
            gathering.sparse_forward(X.data, X.indices, X.indptr, W, Y)
        activate(Y, b, Z, work)

    def backward(X, dA, A, Z, work, W, dW, db, dX):
        differentiate(dA, A, Z, work, db)
        if dW is not None:
            if isinstance(X, np.ndarray):
                np.matmul(X.T, dA, out=dW)
            else:
                gathering.sparse_gradient(X.data, X.indices, X.indptr, dA, dW)
        if dX is not None:
            np.matmul(dA, W.T, out=dX)

    if fused_forward is None or not products.is_small(
        n_rows, n_inputs, n_units, np.dtype(dtype).itemsize
    ):
        return forward, backward
    W_T = np.empty((n_units, n_inputs), dtype)
    fewest, dtype = products.ROWS, np.dtype(dtype)

    def small_forward(X, W, b, Y, Z, work):
        # A layer of the user's own may return arrays that only NumPy accepts.
        if len(Y) < fewest or not isinstance(X, np.ndarray) or X.dtype != dtype:
            forward(X, W, b, Y, Z, work)
            return
        fused_forward(X, W, b, Y, Z)

    def small_backward(X, dA, A, Z, work, W, dW, db, dX):
        if (
            len(dA) < fewest
            or dW is None
            or not isinstance(X, np.ndarray)
            or X.dtype != dtype
            or dA.dtype != dtype
            or not dA.flags.c_contiguous
        ):
            backward(X, dA, A, Z, work, W, dW, db, dX)
            return
        fused_backward(X, dA, A, Z, W, W_T, dW, db, dX)

    return small_forward, small_backward


# The objective and the step -----------------------------------------------------------------


def bind_loss(loss, dtype):
    """Return value_and_grad(Y, Z, weight, work) of a loss."""
    if hasattr(loss, "bound"):  # it is made of other losses
        return loss.bound(lambda part: bind_loss(part, dtype))
    name = _rule_of(loss)
    if name is None:
        return loss.value_and_grad
    if getattr(loss, "multiclass", False):
        run = losses.MULTICLASS[name]
    else:
        # classification losses include their link
        link = loss.link if loss.task == "regression" else "identity"
        run = _loss(name, link)
    no_weight = np.empty(0, dtype)
    c, averages_outputs = _constant_of(loss), loss.averages_outputs

    def value_and_grad(Y, Z, weight, work):
        divisor = Z.size if averages_outputs else len(Z)
        return run(Y, Z, no_weight if weight is None else weight, work, divisor, c)

    return value_and_grad


def bind_update(optimizer, segments, dtype):
    """Return update(w, g, lr, l2, decay); see numpy_kernels.bind_update."""
    name = _rule_of(optimizer)
    epsilon = getattr(optimizer, "epsilon", 1.0)
    if name is None or epsilon < optimizers.SMALLEST_EPSILON[np.dtype(dtype).name]:
        return numpy_kernels.bind_update(optimizer, segments, dtype)
    n_parameters = segments[-1].stop if segments else 0
    bounds = np.array([s[:2] for s in segments], np.int64).reshape(-1, 2)
    factors = np.array([s[2:] for s in segments], np.float64).reshape(-1, 3)
    slots = optimizer.slots_
    run = _update(name, len(slots))
    p, q, r = [*slots, *[np.empty(0, dtype)] * (3 - len(slots))]

    def update(w, g, lr, l2, decay):
        constants = (*map(float, optimizer.compiled_constants(lr)), 0.0, 0.0, 0.0)[:5]
        if not w.size == g.size == n_parameters:
            raise ValueError(f"{n_parameters} parameters expected, {w.size} and {g.size} given")
        if not n_parameters:
            return 0.0
        return run(w, g, p, q, r, bounds, factors, l2, lr * decay, constants)

    return update


# Batches ------------------------------------------------------------------------------------


class SparseRows:
    """A batch of rows in CSR form, over buffers that are made once."""

    def __init__(self, data, indices, indptr, shape):
        self.data = data
        self.indices = indices
        self.indptr = indptr
        self.shape = shape

    def tocsr(self) -> csr_matrix:
        """Return the rows as a SciPy matrix, which shares the buffers."""
        n_rows = self.shape[0]
        end = self.indptr[n_rows]
        arrays = self.data[:end], self.indices[:end], self.indptr[: n_rows + 1]
        return csr_matrix(arrays, shape=self.shape)


def bind_rows(X, batch_size: int, dtype, stays_sparse: bool):
    """Return gather(rows) for the rows of X; see numpy_kernels.bind_rows."""
    if isinstance(X, np.ndarray):
        buffer = np.empty((batch_size, X.shape[1]), dtype)

        def gather(rows):
            out = buffer[: len(rows)]
            gathering.gather_rows(X, rows, out)
            return out

        return gather
    if not stays_sparse:
        buffer = np.empty((batch_size, X.shape[1]), dtype)

        def gather_dense(rows):
            out = buffer[: len(rows)]
            gathering.scatter_sparse_rows(X.data, X.indices, X.indptr, rows, out)
            return out

        return gather_dense
    lengths = np.sort(np.diff(X.indptr))
    most = int(lengths[-batch_size:].sum())
    batch = SparseRows(
        np.empty(most, dtype),
        np.empty(most, X.indices.dtype),
        np.empty(batch_size + 1, X.indptr.dtype),
        (batch_size, X.shape[1]),
    )

    def gather_sparse(rows):
        arrays = batch.data, batch.indices, batch.indptr
        gathering.copy_sparse_rows(X.data, X.indices, X.indptr, rows, *arrays)
        if len(rows) == batch_size:
            return batch
        return SparseRows(*arrays, (len(rows), X.shape[1]))

    return gather_sparse
