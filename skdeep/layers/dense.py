"""The dense layer, with its activation fused into it."""

from __future__ import annotations

import math

import numpy as np
from sklearn.utils.extmath import row_norms

from skdeep._component import Limit, is_named, resolve
from skdeep.activations import ACTIVATIONS, Activation, Identity
from skdeep.constraints import CONSTRAINTS, Constraint
from skdeep.initializers import INITIALIZERS, Constant, DataDriven, Initializer
from skdeep.kernels import draw_seed, numpy_kernels
from skdeep.layers.activity import ActivityRegularization
from skdeep.layers.base import Layer, rows
from skdeep.layers.operations import Affine, Apply
from skdeep.parameters import Parameter
from skdeep.regularizers import REGULARIZERS, Regularizer
from skdeep.schedules import value_of

# The number of inputs in a mixture at which a unit bends, with initializer="data".
_MIXED = 5
# Responses that differ by less than this many rounding errors count as equal.
_ROUNDING = 10


class Dense(Layer):
    """Y = f(X W + b).

    Parameters
    ----------
    units : int
        The number of outputs.
    activation : str, Activation or None, default=None
        The function f; None is the identity.
    initializer : str or Initializer, default="auto"
        Draws the first W. "auto" depends on the activation: He for the ReLU family, LeCun normal
        for SELU, Glorot otherwise. In an estimator "auto" depends on the layer's position in the
        network, too. "data" fits W to a sample of the layer's inputs.
    bias : bool, default=True
        Whether the layer has a bias b.
    bias_initializer : str or Initializer, default="auto"
        Sets the first b. "auto" is zeros; in an estimator it depends on the layer's position in the
        network, too. "data" lets the units bend where the layer's inputs are.
    kernel_regularizer, bias_regularizer : str, Regularizer or None, default=None
    activity_regularizer : str, Regularizer or None, default=None
        A penalty on Y, divided by the number of rows of the batch, as of an
        `ActivityRegularization` after the layer.
    kernel_constraint, bias_constraint : str, Constraint or None, default=None
    weight_noise : float or Scheduled, default=0.0
        The standard deviation of the Gaussian noise that is added to W in training. It is drawn
        for each batch.
    kernel_rate : float or "fan_in", default=1.0
        A factor of the learning rate, for W alone. "fan_in" is 1 / sqrt(n_inputs), and leaves the
        weight decay of W as it is. With Adam, the layer then trains as if Y were
        f(X W / sqrt(n_inputs) + b) with larger W, which is the NTK parametrization.
    bias_rate : float, default=1.0
        A factor of the learning rate, for b alone.

    References
    ----------
    Jacot et al. (2018), "Neural tangent kernel: convergence and generalization in neural
    networks", for kernel_rate="fan_in".
    """

    accepts_sparse = True
    has_units = True
    described_by = "activation_function"
    _limits = {
        "units": Limit(1, integer=True),
        "weight_noise": Limit(0),
        "kernel_rate": Limit(0, special=("fan_in",)),
        "bias_rate": Limit(0),
    }
    _may_change = ("weight_noise",)
    activity_: ActivityRegularization | None = None

    def __init__(
        self,
        units: int,
        activation=None,
        *,
        initializer="auto",
        bias: bool = True,
        bias_initializer="auto",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        weight_noise: float = 0.0,
        kernel_rate: float | str = 1.0,
        bias_rate: float = 1.0,
    ):
        self.units = units
        self.activation = activation
        self.initializer = initializer
        self.bias = bias
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.activity_regularizer = activity_regularizer
        self.kernel_constraint = kernel_constraint
        self.bias_constraint = bias_constraint
        self.weight_noise = weight_noise
        self.kernel_rate = kernel_rate
        self.bias_rate = bias_rate

    def build(self, n_inputs):
        self.check()
        f = resolve(self.activation, ACTIVATIONS, "activation", Activation, optional=True)
        self.kernel_ = self._parameter(
            "kernel", (n_inputs, self.units), self.chosen_initializer(), "initializer"
        )
        parameters = [self.kernel_]
        self.bias_ = None
        if self.bias:
            self.bias_ = self._parameter(
                "bias", (self.units,), self.bias_initializer, "bias_initializer"
            )
            parameters.append(self.bias_)
        # Without the identity there is nothing to compute.
        self.activation_ = None if type(f) is Identity else f
        if self.activation_ is not None:
            parameters += self.activation_.build(self.units)
        if self.activity_regularizer is not None:
            self.activity_ = ActivityRegularization(self.activity_regularizer)
            self.activity_.setup(self.units)
        return self.units, parameters

    def children(self):
        return [] if self.activity_ is None else [self.activity_]

    def _parameter(self, name: str, shape: tuple[int, ...], initializer, option: str) -> Parameter:
        """Return the parameter with the parts and the learning rate that are set for it."""
        choices = {**INITIALIZERS, "auto": Constant}
        first = resolve(initializer, choices, option, Initializer)
        parts = {
            part: resolve(
                getattr(self, f"{name}_{part}"), family, f"{name}_{part}", base, optional=True
            )
            for part, family, base in (
                ("regularizer", REGULARIZERS, Regularizer),
                ("constraint", CONSTRAINTS, Constraint),
            )
        }
        rate, decay = getattr(self, f"{name}_rate"), 1.0
        if rate == "fan_in":
            decay = math.sqrt(shape[0])
            rate = 1 / decay
        return Parameter(
            name, shape, first, kernel=name == "kernel", rate=rate, decay=decay, **parts
        )

    def chosen_initializer(self):
        """Return the initializer; "auto" is replaced by the name that it stands for."""
        if not is_named(self.initializer, "auto"):
            return self.initializer
        f = resolve(self.activation, ACTIVATIONS, "activation", Activation, optional=True)
        return (f or ACTIVATIONS["identity"]).initializer

    @property
    def adapts(self):
        return any(isinstance(p.initializer, DataDriven) for p in self._own_weights())

    def _own_weights(self) -> list[Parameter]:
        """Return the kernel, if it is the layer's own, and the bias, if there is one."""
        own = (vars(self).get("kernel_"), vars(self).get("bias_"))
        return [p for p in own if p is not None]

    def adapt(self, X, rng):
        if not X.shape[0]:
            return
        with np.errstate(all="ignore"):  # a number that is not finite changes nothing
            responses = np.asarray(X @ self.weights, dtype=np.float64)
            for p in self._own_weights():  # the kernel comes first
                if isinstance(p.initializer, DataDriven) and p.kernel:
                    responses /= _scale_to_variance_1(p.value, responses, X)
                elif isinstance(p.initializer, DataDriven):
                    _bend_at_mixtures(p.value, responses, rng)

    def allocate(self, n_rows, dtype, rng, needs_dX):
        shape, f = (n_rows, self.units), self.activation_
        self._Y = np.empty(shape, dtype)
        self._work = np.empty(shape, dtype)
        self._Z = np.empty(shape, dtype) if f is not None and f.needs_input else None
        if f is not None:
            f.allocate(*shape, dtype, rng)
        self._dX = np.empty((n_rows, self.n_inputs_), dtype) if needs_dX else None
        self._W, self._dW = self._weights_in_training(dtype)
        has_bias = self.bias_ is not None
        self._b, self._db = (self.bias_.value, self.bias_.grad) if has_bias else (None, None)
        self._run_forward, self._run_backward = self.kernels.bind_dense(
            f, n_rows, self.n_inputs_, self.units, dtype
        )
        self._weight_noise = value_of(self.weight_noise)
        self._rng = rng if self.weight_noise else None
        if self._rng is not None:
            self._noise_forward = self.kernels.noise_forward
            self._W = np.empty(self.kernel_.shape, dtype)
        if self.activity_ is not None:
            self.activity_.allocate(n_rows, dtype, rng, needs_dX)

    def take_share(self, share):
        if self.activation_ is not None:
            self.activation_.take_share(share)

    @property
    def weights(self) -> np.ndarray:
        """The matrix W, of shape (n_inputs, units), as a live view."""
        return self.kernel_.value

    def _weights_in_training(self, dtype) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the weights, and the array for their gradient (None if they are frozen)."""
        return self.kernel_.value, self.kernel_.grad

    @property
    def activation_function(self):
        return self.activation_

    @property
    def is_random(self):
        return bool(self.weight_noise) or getattr(self.activation_, "is_random", False)

    def forward(self, X):
        n_rows = X.shape[0]
        self._X = X
        self._A = Y = rows(self._Y, n_rows)
        if self._rng is not None:
            seed = draw_seed(self._rng)
            self._noise_forward(seed, self._weight_noise, self.kernel_.value, self._W)
        Z = None if self._Z is None else rows(self._Z, n_rows)
        self._run_forward(X, self._W, self._b, Y, Z, rows(self._work, n_rows))
        return Y if self.activity_ is None else self.activity_.forward(Y)

    def backward(self, dY):
        n_rows = len(dY)
        if self.activity_ is not None:
            dY = self.activity_.backward(dY)
        Z = None if self._Z is None else rows(self._Z, n_rows)
        dX = None if self._dX is None else rows(self._dX, n_rows)
        work = rows(self._work, n_rows)
        self._run_backward(self._X, dY, self._A, Z, work, self._W, self._dW, self._db, dX)
        return dX

    def infer(self, X):
        Y = np.empty((X.shape[0], self.units), self.weights.dtype)
        b = None if self.bias_ is None else self.bias_.value
        numpy_kernels.dense_forward(X, self.weights, b, Y)
        if self.activation_ is not None:
            self.activation_.infer(Y, np.empty_like(Y))
        return Y

    def operations(self):
        affine = Affine(self.weights, None if self.bias_ is None else self.bias_.value)
        return [affine] if self.activation_ is None else [affine, Apply(self.activation_)]

    def release(self):
        super().release()
        for part in (self.activation_, self.activity_):
            if part is not None:
                part.release()


def _scale_to_variance_1(W: np.ndarray, responses: np.ndarray, X) -> np.ndarray:
    """Divide the weights of each unit by the deviation of its responses; return the divisors.

    A unit is left as it is if its responses differ by no more than rounding errors do.
    """
    std = responses.std(axis=0)
    largest = row_norms(X).max() * np.linalg.norm(W, axis=0)
    scaled = W / std
    is_scaled = std > _ROUNDING * np.finfo(W.dtype).eps * largest
    is_scaled &= np.isfinite(scaled).all(axis=0)
    W[:, is_scaled] = scaled[:, is_scaled]
    return np.where(is_scaled, std, 1.0)


def _bend_at_mixtures(b: np.ndarray, responses: np.ndarray, rng: np.random.Generator) -> None:
    """Set each bias so that the unit's sum is 0 at a random mixture of _MIXED rows."""
    shape = _MIXED, b.size
    shares = rng.standard_exponential(shape)
    shares /= shares.sum(axis=0)  # uniform over all shares that sum to 1
    chosen = rng.integers(len(responses), size=shape)
    first = -(shares * np.take_along_axis(responses, chosen, axis=0)).sum(axis=0).astype(b.dtype)
    np.copyto(b, first, where=np.isfinite(first))
