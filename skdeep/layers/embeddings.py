"""Layers that turn every column of a table into several numbers of its own.

No column sees another one. The numbers are trained, so that the layers above find each column in a
form that suits them.
"""

from __future__ import annotations

import math

import numpy as np

from skdeep._component import InvalidParameterError, Limit, is_per_layer, resolve
from skdeep.initializers import INITIALIZERS, EvenlySpaced, Initializer, Normal, Uniform
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
    network that continues to train keeps its knots.

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


class Periodic(_NumberEmbedding):
    """e(x) = W cos(2 pi w x + b) + c, with trained w, b, W and c for every column.

    w and b hold `n_frequencies` numbers. The outputs are the inputs, if `keep_input`, and then the
    numbers of the first column, those of the second column, and so on. Columns should be
    standardized, because the frequencies w are in turns per unit of x.

    Parameters
    ----------
    n_outputs : int, default=4
        The number of numbers for each column, including the input if `keep_input`.
    n_frequencies : int, default=16
        The number of waves for each column.
    scale : float, default=0.1
        The standard deviation of the first frequencies, which are normal around 0.
    keep_input : bool, default=True
        Whether the outputs begin with the inputs.
    rate : float, default=1.0
        A factor of the learning rate for all parameters of the layer.

    References
    ----------
    Gorishniy et al. (2022), "On embeddings for numerical features in tabular deep learning";
    Holzmueller et al. (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data", where this form is called PBLD.
    """

    _limits = {
        "n_outputs": Limit(1, integer=True),
        "n_frequencies": Limit(1, integer=True),
        "scale": Limit(0),
        "rate": Limit(0),
    }

    def __init__(
        self,
        n_outputs: int = 4,
        n_frequencies: int = 16,
        scale: float = 0.1,
        keep_input: bool = True,
        rate: float = 1.0,
    ):
        self.n_outputs = n_outputs
        self.n_frequencies = n_frequencies
        self.scale = scale
        self.keep_input = keep_input
        self.rate = rate

    def check(self, what=""):
        super().check(what)
        if self.keep_input and self.n_outputs < 2:
            raise InvalidParameterError(
                f"{what or type(self).__name__} n_outputs={self.n_outputs!r} is not allowed with "
                "keep_input=True, because the input is one of the outputs; give an integer >= 2, "
                "or keep_input=False."
            )

    def build(self, n_inputs):
        self.check()
        n_numbers = self.n_outputs - bool(self.keep_input)
        waves, bound = (n_inputs, self.n_frequencies), 1 / math.sqrt(self.n_frequencies)
        around_0 = Uniform(-bound, bound)
        self.frequencies_, self.phases_, self.weights_, self.biases_ = parameters = [
            Parameter(name, shape, first, rate=self.rate)
            for name, shape, first in (
                ("frequencies", waves, Normal(0.0, self.scale)),
                ("phases", waves, Uniform(-math.pi, math.pi)),
                ("weights", (n_inputs, n_numbers, self.n_frequencies), around_0),
                ("biases", (n_inputs, n_numbers), around_0),
            )
        ]
        return n_inputs * self.n_outputs, parameters

    def describe(self):
        return f"{type(self).__name__} ({self.n_frequencies} frequencies)"

    def _used(self) -> tuple[Parameter, ...]:
        """Return the parameters that the kernels take, also if they are those of another place."""
        return self.frequencies_, self.phases_, self.weights_, self.biases_

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = n_rows, self.n_inputs_
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._cosines, self._sines = (np.empty((*shape, self.n_frequencies), dtype) for _ in "cs")
        self._dX = np.empty(shape if needs_dX else (0, 0), dtype)
        # A callback may have frozen some of them; the kernels compute all gradients.
        self._gradients = [
            np.empty(p.shape, dtype) if p.grad is None else p.grad for p in self._used()
        ]
        self._combine = self.kernels.periodic_forward
        self._differentiate = self.kernels.periodic_backward

    def forward(self, X):
        n_rows = len(X)
        self._X, Y = X, rows(self._Y, n_rows)
        waves = rows(self._cosines, n_rows), rows(self._sines, n_rows)
        self._combine(X, *(p.value for p in self._used()), *waves, Y)
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        dX = rows(self._dX, n_rows) if self._dX.size else self._dX
        waves = rows(self._cosines, n_rows), rows(self._sines, n_rows)
        w, W = self.frequencies_.value, self.weights_.value
        self._differentiate(dY, self._X, w, W, *waves, *self._gradients, dX)
        return dX if dX.size else None

    def infer(self, X):
        values = [p.value for p in self._used()]
        dtype = values[0].dtype
        Y = np.empty((len(X), self.n_outputs_), dtype)
        for some in _blocks(X, self.n_frequencies):
            cosines, no_sines = np.empty((*X[some].shape, self.n_frequencies), dtype), np.empty(0)
            numpy_kernels.periodic_forward(X[some], *values, cosines, no_sines, Y[some])
        return Y


class Embedding(Layer):
    """e(x) = row x of a trained table, for columns of codes 0, 1, 2, ...

    Each column has a table of its own. The outputs are the `n_outputs` numbers of the first column,
    those of the second column, and so on.

    A number between two codes counts as the lower code. A number that is no code of its column, and
    NaN, count as 0. So code 0 is the place for unknown values, and known categories should have the
    codes from 1 on. `OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)` gives
    such codes if 1 is added to them.

    The time of a lookup does not depend on the number of categories. But in every step the gradient
    of all tables is set to 0, and the optimizer updates all of them. Both take time in proportion
    to the number of categories times `n_outputs`.

    Parameters
    ----------
    n_categories : int or sequence of int
        The number of codes of every column, or one number for each column. No more than 2**24.
    n_outputs : int, default=8
        The number of numbers for each column.
    initializer : str or Initializer, default="normal"
        Draws the tables, an array of shape (sum of `n_categories` over the columns, n_outputs).
        The name "normal" stands for a standard deviation of 1 here.
    rate : float, default=1.0
        A factor of the learning rate for the tables.

    References
    ----------
    Guo and Berkhahn (2016), "Entity embeddings of categorical variables".
    """

    has_units = True
    _limits = {
        "n_categories": Limit(1, 2**24, integer=True),  # float32 holds these codes exactly
        "n_outputs": Limit(1, integer=True),
        "rate": Limit(0),
    }

    def __init__(self, n_categories, n_outputs: int = 8, initializer="normal", rate: float = 1.0):
        self.n_categories = n_categories
        self.n_outputs = n_outputs
        self.initializer = initializer
        self.rate = rate

    def check(self, what=""):
        counts = self.n_categories
        if not is_per_layer(counts):
            super().check(what)
            return
        limit, name = self._limits["n_categories"], f"{what or type(self).__name__} n_categories"
        for i, count in enumerate(counts):
            if not limit.allows(count):
                raise InvalidParameterError(f"{name}[{i}]={count!r} is not allowed; give {limit}.")
        self.n_categories = 1  # the base class checks the other numbers
        super().check(what)
        self.n_categories = [int(count) for count in counts]

    def build(self, n_inputs):
        self.check()
        first = resolve(
            self.initializer, INITIALIZERS, "initializer", Initializer, defaults={"std": 1.0}
        )
        counts = self.n_categories
        if is_per_layer(counts) and len(counts) != n_inputs:
            raise InvalidParameterError(
                f"Embedding n_categories={counts!r} has {len(counts)} entries for {n_inputs} "
                "columns; give one integer for all columns, or one entry for each column."
            )
        self.starts_ = np.append(0, np.cumsum(np.full(n_inputs, counts, np.int64)))
        shape = int(self.starts_[-1]), self.n_outputs
        self.table_ = Parameter("table", shape, first, rate=self.rate)
        return n_inputs * self.n_outputs, [self.table_]

    def describe(self):
        return f"{type(self).__name__} ({self.starts_[-1]} categories)"

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape = n_rows, self.n_inputs_
        self._Y = np.empty((n_rows, self.n_outputs_), dtype)
        self._positions = np.empty(shape, np.intp)
        self._dX = np.empty(shape, dtype) if needs_dX else None
        self._look_up = self.kernels.embedding_forward
        self._add_up = self.kernels.embedding_backward

    def forward(self, X):
        n_rows = len(X)
        Y = rows(self._Y, n_rows)
        self._look_up(X, self.starts_, self.table_.value, rows(self._positions, n_rows), Y)
        return Y

    def backward(self, dY):
        n_rows = len(dY)
        if self.table_.grad is not None:
            self._add_up(dY, rows(self._positions, n_rows), self.table_.grad)
        if self._dX is None:
            return None
        dX = rows(self._dX, n_rows)
        dX.fill(0)
        return dX

    def infer(self, X):
        table = self.table_.value
        Y = np.empty((len(X), self.n_outputs_), table.dtype)
        for some in _blocks(X):
            positions = np.empty(X[some].shape, np.intp)
            numpy_kernels.embedding_forward(X[some], self.starts_, table, positions, Y[some])
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


def _blocks(X: np.ndarray, n_numbers: int = 1):
    """Yield slices of rows for which arrays with n_numbers for every number of X fit the cache."""
    n_rows = max(1, numpy_kernels.BLOCK // (X.shape[1] * n_numbers))
    for start in range(0, len(X), n_rows):
        yield slice(start, start + n_rows)
