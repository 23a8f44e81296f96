"""Layers that turn every column of a table into several numbers of its own.

No column sees another one. The numbers are trained, so that the layers above find each column in a
form that suits them.
"""

from __future__ import annotations

import numpy as np

from skdeep._component import InvalidParameterError, Limit, resolve
from skdeep.initializers import INITIALIZERS, EvenlySpaced, Initializer
from skdeep.kernels import numpy_kernels
from skdeep.layers.base import Layer, rows
from skdeep.parameters import Parameter


class _NumberEmbedding(Layer):
    """Base class: numbers made from every column, after the columns if `keep_input`."""

    has_units = True

    def check(self, what=""):
        super().check(what)
        if not isinstance(self.keep_input, (bool, np.bool_)):
            raise InvalidParameterError(
                f"{what or type(self).__name__} keep_input={self.keep_input!r} is not allowed; "
                "give True or False."
            )

    @property
    def n_passed_on(self):
        return self.n_inputs_ if self.keep_input else 0


class PiecewiseLinear(_NumberEmbedding):
    """e(x) = (1 - f) v_k + f v_{k+1}, where x = (1 - f) t_k + f t_{k+1} lies between two knots.

    Each column has knots t_1 < ... < t_K of its own, and a trained vector v_k of `n_outputs`
    numbers at every knot. Below the first knot e(x) is v_1, and above the last knot v_K. NaN gives
    NaN.

    When training begins, the knots become quantiles of the column, at equal steps from its minimum
    to its maximum, in at most 10,000 training rows. Equal quantiles count once. A column with at
    most `n_knots` different values has its knots at these values. The knots are not trained. A
    network that goes on training keeps its knots.

    The outputs are the inputs, if `keep_input`, and then the numbers of the first column, those of
    the second column, and so on. With the first values "zeros", the network starts as if only the
    inputs were there.

    Parameters
    ----------
    n_outputs : int, default=4
        The number of numbers for each column.
    n_knots : int, default=32
        The largest number of knots of a column.
    keep_input : bool, default=True
        Whether the outputs begin with the inputs.
    initializer : str or Initializer, default="zeros"
        Draws the first vectors, an array of shape (n_columns, n_knots, n_outputs).
    rate : float, default=1.0
        A factor of the learning rate for the vectors. Each row of a batch changes two vectors of a
        column only, so a factor above 1 may help.

    References
    ----------
    Gorishniy et al. (2022), "On embeddings for numerical features in tabular deep learning".
    """

    adapts = True
    _limits = {
        "n_outputs": Limit(1, integer=True),
        "n_knots": Limit(2, integer=True),
        "rate": Limit(0),
    }

    def __init__(
        self,
        n_outputs: int = 4,
        n_knots: int = 32,
        keep_input: bool = True,
        initializer="zeros",
        rate: float = 1.0,
    ):
        self.n_outputs = n_outputs
        self.n_knots = n_knots
        self.keep_input = keep_input
        self.initializer = initializer
        self.rate = rate

    def build(self, n_inputs):
        self.check()
        first = resolve(self.initializer, INITIALIZERS, "initializer", Initializer)
        shape = n_inputs, self.n_knots
        self.knots_ = Parameter("knots", shape, EvenlySpaced(), trainable=False)
        self.vectors_ = Parameter("vectors", (*shape, self.n_outputs), first, rate=self.rate)
        n_kept = n_inputs if self.keep_input else 0
        return n_kept + n_inputs * self.n_outputs, [self.knots_, self.vectors_]

    def describe(self):
        return f"{type(self).__name__} ({self.n_knots} knots)"

    def adapt(self, X, rng):
        for knots, column in zip(self.knots_.value, X.T, strict=True):
            column = column[np.isfinite(column)]
            if column.size:
                knots[...] = _knots_of(column, self.n_knots)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = n_rows, self.n_inputs_
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._inverse = np.empty(self.knots_.shape, dtype)
        self._segment, self._fraction = np.empty(shape, np.intp), np.empty(shape, dtype)
        self._dX = np.empty(shape if needs_dX else (0, 0), dtype)
        grad = self.vectors_.grad
        self._d_vectors = np.empty(self.vectors_.shape, dtype) if grad is None else grad
        self._interpolate = self.kernels.piecewise_linear_forward
        self._differentiate = self.kernels.piecewise_linear_backward

    def forward(self, X):
        n_rows = len(X)
        self._X, Y = X, rows(self._Y, n_rows)
        self._found = self._inverse, rows(self._segment, n_rows), rows(self._fraction, n_rows)
        self._interpolate(X, self.knots_.value, self.vectors_.value, *self._found, Y)
        return Y

    def backward(self, dY):
        dX = rows(self._dX, len(dY)) if self._dX.size else self._dX
        knots, vectors = self.knots_.value, self.vectors_.value
        self._differentiate(dY, self._X, knots, vectors, *self._found, self._d_vectors, dX)
        return dX if dX.size else None

    def infer(self, X):
        knots, vectors = self.knots_.value, self.vectors_.value
        Y = np.empty((len(X), self.n_outputs_), vectors.dtype)
        inverse = np.empty_like(knots)
        for some in _blocks(X):
            shape = X[some].shape
            found = np.empty(shape, np.intp), np.empty(shape, vectors.dtype)
            numpy_kernels.piecewise_linear_forward(
                X[some], knots, vectors, inverse, *found, Y[some]
            )
        return Y


def _knots_of(x: np.ndarray, n_knots: int) -> np.ndarray:
    """Return the different values of a column, or quantiles if there are too many; n in all."""
    most = np.finfo(x.dtype).max / 4  # so that no distance between knots is infinite
    x = np.clip(x, -most, most)
    knots = np.unique(x)
    if knots.size > n_knots:
        knots = np.unique(np.quantile(x, np.linspace(0, 1, n_knots)).astype(x.dtype))
    # A knot in the place of the one before it is never reached.
    return np.pad(knots, (0, n_knots - knots.size), mode="edge")


def _blocks(X: np.ndarray):
    """Yield slices of rows whose numbers fit the cache."""
    n_rows = max(1, numpy_kernels.BLOCK // X.shape[1])
    for start in range(0, len(X), n_rows):
        yield slice(start, start + n_rows)
