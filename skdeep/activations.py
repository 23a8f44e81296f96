"""Activations: pairs of a forward and a backward pass that work in place.

A layer owns the arrays and calls, for a batch, `forward(Z, work)`, which turns Z into A, and later
`backward(dA, A, Z, work)`, which turns the gradient for A into that for Z. `work` is scratch of
Z's shape and dtype, and its contents are garbage. If `needs_input` is true, backward gets a copy of
the input as Z, else None. Backward may use A and Z as further scratch. At prediction
`infer(Z, work)` takes the place of forward, and touches no state.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, expit

from skdeep._component import Component, InvalidParameterError, Limit, resolve
from skdeep.initializers import Constant
from skdeep.kernels import draw_seed, numpy_kernels
from skdeep.parameters import Parameter


class Activation(Component):
    """Base class: a subclass implements `forward` and `backward`, in place.

    All functions but Softmax are elementwise; Softmax works on the rows.

    Attributes
    ----------
    needs_input : bool
        Whether `backward` needs a copy of Z.
    is_random : bool
        Whether `forward` draws random numbers. If `allocate` is given rng=None, it draws none.
    initializer : str
        The name of the initializer that "auto" stands for in a layer with this activation.
    keeps_variance : bool
        Whether numbers of mean 0 and variance 1 keep both through a layer with this activation,
        weights drawn by `initializer` and biases of 0.
    has_derivative : bool
        Whether `backward` is the derivative of `forward`. If not, it is a stand-in for a derivative
        that is 0.
    units_can_die : bool
        Whether a unit can put out 0 with a slope of 0 for every row, and so never train again.
    levels_off_at : (float, float) or None
        The values between which f lies if it levels off at both of them; None if it does not.
    """

    needs_input = False
    is_random = False
    initializer = "glorot_uniform"
    keeps_variance = False
    has_derivative = True
    units_can_die = False
    levels_off_at: tuple[float, float] | None = None
    #: The attributes that `allocate` sets. They live until training ends, and are never pickled.
    _buffers: tuple[str, ...] = ()

    def build(self, n_units: int) -> list[Parameter]:
        """Return the parameters that train with the layer; most activations have none."""
        return []

    def allocate(self, n_rows: int, n_units: int, dtype: np.dtype, rng) -> None:
        """Make training buffers, if the activation needs some of its own."""

    def take_share(self, share) -> None:
        """Compute with the own rows of batches; a random activation overrides it: see Layer."""

    def release(self) -> None:
        """Drop the buffers that `allocate` made."""
        for name in self._buffers:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict:
        return {k: v for k, v in super().__getstate__().items() if k not in self._buffers}

    def forward(self, Z: np.ndarray, work: np.ndarray) -> None:
        """Z <- f(Z)."""
        raise NotImplementedError

    def backward(self, dA: np.ndarray, A: np.ndarray, Z, work: np.ndarray) -> None:
        """dA <- dA * f'(Z)."""
        raise NotImplementedError

    def infer(self, Z: np.ndarray, work: np.ndarray) -> None:
        """Z <- f(Z) at prediction."""
        self.forward(Z, work)


class Identity(Activation):
    """f(z) = z."""

    compiled_as = "identity"

    def forward(self, Z, work):
        pass

    def backward(self, dA, A, Z, work):
        pass


class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z))."""

    compiled_as = "logistic"
    levels_off_at = (0.0, 1.0)

    def forward(self, Z, work):
        expit(Z, out=Z)

    def backward(self, dA, A, Z, work):
        dA *= A
        np.subtract(1, A, out=work)
        dA *= work


class Tanh(Activation):
    """f(z) = tanh(z)."""

    compiled_as = "tanh"
    levels_off_at = (-1.0, 1.0)

    def forward(self, Z, work):
        np.tanh(Z, out=Z)

    def backward(self, dA, A, Z, work):
        np.multiply(A, A, out=work)
        np.subtract(1, work, out=work)
        dA *= work


class ReLU(Activation):
    """f(z) = max(z, 0)."""

    compiled_as = "relu"
    units_can_die = True
    initializer = "he_uniform"

    def forward(self, Z, work):
        np.maximum(Z, 0, out=Z)

    def backward(self, dA, A, Z, work):
        np.greater(A, 0, out=work)
        dA *= work


class LeakyReLU(Activation):
    """f(z) = z for z > 0, negative_slope * z elsewhere.

    Parameters
    ----------
    negative_slope : float, default=0.01
    """

    compiled_as = "leaky_relu"
    initializer = "he_uniform"
    _limits = {"negative_slope": Limit(0, 1)}

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def compiled_constants(self):
        return (self.negative_slope,)

    def forward(self, Z, work):
        np.multiply(Z, self.negative_slope, out=work)
        np.maximum(Z, work, out=Z)

    def backward(self, dA, A, Z, work):
        np.greater(A, 0, out=work)
        work *= 1 - self.negative_slope
        work += self.negative_slope
        dA *= work


class PReLU(Activation):
    """f(z) = z for z > 0, a * z elsewhere, with one trained slope a for each unit.

    Parameters
    ----------
    initial_slope : float, default=0.25
    rate : float, default=1.0
        A factor of the learning rate, for the slopes alone.

    References
    ----------
    He et al. (2015), "Delving deep into rectifiers".
    """

    compiled_as = "prelu"
    initializer = "he_uniform"
    needs_input = True
    _limits = {"initial_slope": Limit(-math.inf), "rate": Limit(0)}

    def __init__(self, initial_slope: float = 0.25, rate: float = 1.0):
        self.initial_slope = initial_slope
        self.rate = rate

    def build(self, n_units):
        first = Constant(self.initial_slope)
        self.slope_ = Parameter("slope", (n_units,), first, rate=self.rate)
        return [self.slope_]

    def forward(self, Z, work):
        slopes = self.slope_.value
        if not slopes.max(initial=0) <= 1:
            np.minimum(Z, 0, out=work)
            work *= slopes
            np.maximum(Z, 0, out=Z)
            Z += work
            return
        # No slope is above 1, so f(z) = max(z, a z).
        n_rows = _rows_in_a_block(Z)
        if len(Z) > n_rows:
            # Rows of slopes, made once, save NumPy a loop over the rows of every block.
            slopes = np.repeat(slopes[None, :], n_rows, axis=0)
        for start in range(0, len(Z), n_rows):
            z = Z[start : start + n_rows]
            scaled = work[: len(z)]
            np.multiply(z, slopes if slopes.ndim == 1 else slopes[: len(z)], out=scaled)
            np.maximum(z, scaled, out=z)

    def backward(self, dA, A, Z, work):
        if self.slope_.grad is not None:
            np.minimum(Z, 0, out=work)
            work *= dA
            np.add.reduce(work, axis=0, out=self.slope_.grad)
        # work <- slope + (1 - slope) * [z > 0]
        np.greater(Z, 0, out=work)
        work *= 1 - self.slope_.value
        work += self.slope_.value
        dA *= work


def _rows_in_a_block(Z: np.ndarray) -> int:
    """Return the number of rows of which the cache holds a few arrays at once."""
    return max(1, numpy_kernels.BLOCK // max(1, Z.shape[1]))


class RReLU(Activation):
    """f(z) = z for z > 0, a * z elsewhere: a ~ U(lower, upper) in training, their mean afterwards.

    Parameters
    ----------
    lower : float, default=1/8
    upper : float, default=1/3

    References
    ----------
    Xu et al. (2015), "Empirical evaluation of rectified activations in convolutional network".
    """

    compiled_as = "rrelu"
    initializer = "he_uniform"
    is_random = True
    _buffers = ("_rng", "_slopes", "_share")
    _limits = {"lower": Limit(0, closed="(]"), "upper": Limit(0, 1, closed="(]")}

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3):
        self.lower = lower
        self.upper = upper

    def check(self, what=""):
        super().check(what)
        if self.lower > self.upper:
            raise InvalidParameterError(
                f"RReLU lower={self.lower!r} is above upper={self.upper!r}; give lower <= upper."
            )

    def allocate(self, n_rows, n_units, dtype, rng):
        self._rng = rng
        self._slopes = np.empty((n_rows, n_units), dtype=dtype)
        self._share = None

    def take_share(self, share):
        self._share = share

    def draw(self, n_rows: int, fill_uniform) -> np.ndarray:
        """Draw slopes for n_rows rows with this kernel, and return them."""
        slopes = self._slopes[:n_rows]
        if self._rng is None:
            slopes.fill((self.lower + self.upper) / 2)
        else:
            limits = float(self.lower), float(self.upper)
            place = None if self._share is None else self._share.place
            fill_uniform(draw_seed(self._rng), *limits, slopes, place)
        return slopes

    def drawn(self, n_rows: int) -> np.ndarray:
        """Return the slopes of the last draw."""
        return self._slopes[:n_rows]

    def forward(self, Z, work):
        slopes = self.draw(len(Z), numpy_kernels.fill_uniform)
        np.multiply(Z, slopes, out=work)
        np.maximum(Z, work, out=Z)

    def backward(self, dA, A, Z, work):
        # f' = max(slope, [a > 0]): slopes are at most 1
        np.greater(A, 0, out=work)
        np.maximum(work, self.drawn(len(A)), out=work)
        dA *= work

    def infer(self, Z, work):
        np.multiply(Z, (self.lower + self.upper) / 2, out=work)
        np.maximum(Z, work, out=Z)


class ThresholdedReLU(Activation):
    """f(z) = z for z > theta, 0 elsewhere.

    Parameters
    ----------
    theta : float, default=1.0
    """

    compiled_as = "thresholded_relu"
    units_can_die = True
    initializer = "he_uniform"
    _limits = {"theta": Limit(0)}

    def __init__(self, theta: float = 1.0):
        self.theta = theta

    def compiled_constants(self):
        return (self.theta,)

    def forward(self, Z, work):
        np.greater(Z, self.theta, out=work)
        Z *= work

    def backward(self, dA, A, Z, work):
        np.greater(A, 0, out=work)
        dA *= work


def _elu_backward(dA, A, work, slope: float, alpha: float) -> None:
    """dA <- dA * (slope if A > 0, else A + alpha); A is overwritten."""
    np.greater(A, 0, out=work)
    work *= slope - alpha
    np.minimum(A, 0, out=A)
    A += alpha
    work += A
    dA *= work


class ELU(Activation):
    """f(z) = z for z > 0, alpha * (exp(z) - 1) elsewhere.

    Parameters
    ----------
    alpha : float, default=1.0

    References
    ----------
    Clevert et al. (2016), "Fast and accurate deep network learning by exponential linear units".
    """

    compiled_as = "elu"
    initializer = "he_uniform"
    _limits = {"alpha": Limit(0)}

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def compiled_constants(self):
        return (self.alpha,)

    def forward(self, Z, work):
        np.minimum(Z, 0, out=work)
        np.expm1(work, out=work)
        work *= self.alpha
        np.maximum(Z, 0, out=Z)
        Z += work

    def backward(self, dA, A, Z, work):
        _elu_backward(dA, A, work, 1.0, self.alpha)


class SELU(Activation):
    """f(z) = 1.0507 * z for z > 0, 1.0507 * 1.6733 * (exp(z) - 1) elsewhere.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks".
    """

    compiled_as = "selu"
    initializer = "lecun_normal"
    keeps_variance = True
    scale = 1.0507009873554805
    alpha = 1.6732632423543772

    def forward(self, Z, work):
        np.minimum(Z, 0, out=work)
        np.expm1(work, out=work)
        work *= self.alpha
        np.maximum(Z, 0, out=Z)
        Z += work
        Z *= self.scale

    def backward(self, dA, A, Z, work):
        _elu_backward(dA, A, work, self.scale, self.scale * self.alpha)


class GELU(Activation):
    """f(z) = z * Phi(z), with Phi the normal distribution function.

    References
    ----------
    Hendrycks and Gimpel (2016), "Gaussian error linear units".
    """

    compiled_as = "gelu"
    initializer = "he_uniform"
    needs_input = True

    def forward(self, Z, work):
        np.multiply(Z, math.sqrt(0.5), out=work)
        erf(work, out=work)
        work += 1
        work *= 0.5
        Z *= work

    def backward(self, dA, A, Z, work):
        # f' = Phi(z) + z * phi(z); Z is not needed any more and serves as the second scratch
        np.multiply(Z, Z, out=work)
        work *= -0.5
        np.exp(work, out=work)
        work *= Z
        work *= 1 / math.sqrt(2 * math.pi)
        Z *= math.sqrt(0.5)
        erf(Z, out=Z)
        Z += 1
        Z *= 0.5
        work += Z
        dA *= work


class Swish(Activation):
    """f(z) = z / (1 + exp(-beta * z)).

    Parameters
    ----------
    beta : float, default=1.0

    References
    ----------
    Ramachandran et al. (2017), "Searching for activation functions".
    """

    compiled_as = "swish"
    initializer = "he_uniform"
    needs_input = True
    _limits = {"beta": Limit(-math.inf)}

    def __init__(self, beta: float = 1.0):
        self.beta = beta

    def compiled_constants(self):
        return (self.beta,)

    def forward(self, Z, work):
        np.multiply(Z, self.beta, out=work)
        expit(work, out=work)
        Z *= work

    def backward(self, dA, A, Z, work):
        # f' = s + beta * A * (1 - s), with s the sigmoid
        np.multiply(Z, self.beta, out=work)
        expit(work, out=work)
        np.subtract(1, work, out=Z)
        Z *= A
        Z *= self.beta
        work += Z
        dA *= work


class Mish(Activation):
    """f(z) = z * tanh(log(1 + exp(z))).

    References
    ----------
    Misra (2019), "Mish: a self regularized non-monotonic activation function".
    """

    compiled_as = "mish"
    initializer = "he_uniform"
    needs_input = True

    def forward(self, Z, work):
        _tanh_of_softplus(Z, work)
        Z *= work

    def backward(self, dA, A, Z, work):
        # f' = t + z * (1 - t^2) * sigmoid(z), with t = tanh(softplus(z))
        _tanh_of_softplus(Z, work)
        np.multiply(work, work, out=A)
        np.subtract(1, A, out=A)
        A *= Z
        expit(Z, out=Z)
        A *= Z
        work += A
        dA *= work


def _tanh_of_softplus(Z: np.ndarray, out: np.ndarray) -> None:
    """Write tanh(log(1 + e^z)) = n / (n + 2), with n = e^z (e^z + 2), in blocks that fit the cache.

    It is 1 long before n overflows.
    """
    z, t = Z.reshape(-1), out.reshape(-1)
    work = np.empty(min(z.size, numpy_kernels.DOT_BLOCK), z.dtype)
    for start in range(0, z.size, numpy_kernels.DOT_BLOCK):
        e = t[start : start + numpy_kernels.DOT_BLOCK]
        np.minimum(z[start : start + e.size], 30, out=e)
        np.exp(e, out=e)
        n = np.add(e, 2, out=work[: e.size])
        n *= e
        np.add(n, 2, out=e)
        np.divide(n, e, out=e)


class Softplus(Activation):
    """f(z) = log(1 + exp(z))."""

    compiled_as = "softplus"

    def forward(self, Z, work):
        np.logaddexp(0, Z, out=Z)

    def backward(self, dA, A, Z, work):
        np.negative(A, out=work)
        np.expm1(work, out=work)
        np.negative(work, out=work)
        dA *= work


class Softsign(Activation):
    """f(z) = z / (1 + |z|)."""

    compiled_as = "softsign"
    levels_off_at = (-1.0, 1.0)

    def forward(self, Z, work):
        np.abs(Z, out=work)
        work += 1
        Z /= work

    def backward(self, dA, A, Z, work):
        np.abs(A, out=work)
        np.subtract(1, work, out=work)
        work *= work
        dA *= work


class HardSigmoid(Activation):
    """f(z) = z / 6 + 1 / 2, cut off at 0 and 1."""

    compiled_as = "hard_sigmoid"
    levels_off_at = (0.0, 1.0)

    def forward(self, Z, work):
        Z *= 1 / 6
        Z += 0.5
        np.clip(Z, 0, 1, out=Z)

    def backward(self, dA, A, Z, work):
        # 4 A (1 - A) is positive inside and 0 at both ends
        np.subtract(1, A, out=work)
        work *= A
        np.greater(work, 0, out=work)
        work *= 1 / 6
        dA *= work


class Exponential(Activation):
    """f(z) = exp(z)."""

    compiled_as = "exponential"

    def forward(self, Z, work):
        np.exp(Z, out=Z)

    def backward(self, dA, A, Z, work):
        dA *= A


class Softmax(Activation):
    """f(z)_j = exp(z_j) / sum_k exp(z_k): the outputs of each row are positive, and sum to 1.

    The function works on all units of the layer together.
    """

    def forward(self, Z, work):
        Z -= Z.max(axis=1, keepdims=True)  # so that no exponential overflows
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=1, keepdims=True)

    def backward(self, dA, A, Z, work):
        # dz_j = a_j * (da_j - sum_k a_k * da_k)
        np.multiply(dA, A, out=work)
        dA -= work.sum(axis=1, keepdims=True)
        dA *= A


class Step(Activation):
    """f(z) = 1 for z >= 0, 0 elsewhere: the Heaviside step of a threshold logic unit.

    The derivative is 0, so that nothing below would train. In its place, the gradient goes straight
    through for abs(z) <= 1, as if f were z there, and is 0 elsewhere.

    References
    ----------
    Bengio et al. (2013), "Estimating or propagating gradients through stochastic neurons"; Hubara
    et al. (2016), "Binarized neural networks".
    """

    needs_input = True
    has_derivative = False
    units_can_die = True

    def forward(self, Z, work):
        np.heaviside(Z, 1.0, out=Z)

    def backward(self, dA, A, Z, work):
        np.abs(Z, out=work)
        np.less_equal(work, 1, out=work)
        dA *= work


class Parametric(Activation):
    """f(z) = z + a * (g(z) - z), with one trained share a of g for each unit.

    So a unit learns how nonlinear it is: with a = 0 it is linear, with a = 1 it applies g.

    Parameters
    ----------
    activation : str or Activation, default="selu"
        The function g. It may neither be random nor have parameters of its own.
    rate : float, default=1.0
        A factor of the learning rate, for the shares alone.
    initial : float, default=1.0
        The first share of every unit.
    """

    compiled_as = "parametric"
    needs_input = True
    _buffers = ("_G",)
    _limits = {"rate": Limit(0), "initial": Limit(-math.inf)}

    def __init__(self, activation="selu", rate: float = 1.0, initial: float = 1.0):
        self.activation = activation
        self.rate = rate
        self.initial = initial

    def check(self, what=""):
        super().check(what)
        g = self._function()
        if g.is_random or g.build(1):
            why = "is random" if g.is_random else "has parameters of its own"
            raise InvalidParameterError(
                f"Parametric activation={self.activation!r} is not allowed, as it {why}; give an "
                'activation like "selu", "relu" or "tanh".'
            )

    def _function(self) -> Activation:
        return resolve(self.activation, ACTIVATIONS, "activation", Activation)

    @property
    def initializer(self):
        return self._function().initializer

    @property
    def keeps_variance(self):
        return self._function().keeps_variance

    @property
    def has_derivative(self):
        return self._function().has_derivative

    def build(self, n_units):
        self.function_ = self._function()
        self.share_ = Parameter("share", (n_units,), Constant(self.initial), rate=self.rate)
        return [self.share_]

    def allocate(self, n_rows, n_units, dtype, rng):
        self.function_.allocate(n_rows, n_units, dtype, rng)
        self._G = np.empty((n_rows, n_units), dtype)

    def release(self):
        super().release()
        self.function_.release()

    def of_g(self, n_rows: int) -> np.ndarray:
        """Return the array in which forward keeps g(Z) for backward."""
        return self._G[:n_rows]

    def forward(self, Z, work):
        G = self.of_g(len(Z))
        np.copyto(G, Z)
        self.function_.forward(G, work)
        self._mix(Z, G, work)

    def _mix(self, Z: np.ndarray, G: np.ndarray, work: np.ndarray) -> None:
        """Z <- (1 - a) * Z + a * G, which is exactly G with a = 1."""
        share = self.share_.value
        np.multiply(G, share, out=work)
        Z *= 1 - share
        Z += work

    def backward(self, dA, A, Z, work):
        G, share = self.of_g(len(dA)), self.share_.value
        if self.share_.grad is not None:
            np.subtract(G, Z, out=work)
            work *= dA
            np.add.reduce(work, axis=0, out=self.share_.grad)
        dG = A  # A is not needed
        np.multiply(dA, share, out=dG)
        self.function_.backward(dG, G, Z if self.function_.needs_input else None, work)
        dA *= 1 - share
        dA += dG

    def infer(self, Z, work):
        n_rows = _rows_in_a_block(Z)
        scratch = np.empty((min(n_rows, len(Z)), Z.shape[1]), Z.dtype)
        for start in range(0, len(Z), n_rows):
            z = Z[start : start + n_rows]
            G, rest = work[: len(z)], scratch[: len(z)]
            np.copyto(G, z)
            self.function_.infer(G, rest)
            self._mix(z, G, rest)


ACTIVATIONS = {
    "identity": Identity,
    "linear": Identity,
    "logistic": Logistic,
    "sigmoid": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "prelu": PReLU,
    "rrelu": RReLU,
    "thresholded_relu": ThresholdedReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "swish": Swish,
    "silu": Swish,
    "mish": Mish,
    "softplus": Softplus,
    "softsign": Softsign,
    "hard_sigmoid": HardSigmoid,
    "exponential": Exponential,
    "softmax": Softmax,
    "step": Step,
    "heaviside": Step,
}
