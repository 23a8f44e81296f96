"""Optimizers: update rules for one 1-D slice of the parameters, in place.

A rule gets a block of the flat vector that fits into the cache: the parameters w, the gradient g,
which it may overwrite, its slots, and `work`, a scratch array of the size of w. Every step is given
its learning rate; a segment of the vector may have a factor of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit
from skdeep.kernels import choose
from skdeep.parameters import Segment


class Optimizer(Component):
    """Base class: a subclass names its slots, and implements `update`.

    Attributes
    ----------
    slots : tuple of str
        Names of the arrays that a rule keeps, with one number for each parameter. They start at 0.
    weight_decay : float
        The decoupled decay of the dense kernels, which the trainer passes to every step.
    n_steps_ : int
        The number of steps done, the running one included.
    """

    slots: tuple[str, ...] = ()
    weight_decay = 0.0
    _update: Callable | None = None

    def start(self, n_parameters: int, dtype: np.dtype) -> None:
        """Make new slots for n_parameters parameters, and forget all steps."""
        self.n_steps_ = 0
        self.slots_ = [np.zeros(n_parameters, dtype=dtype) for _ in self.slots]
        self._update = None

    @property
    def started(self) -> bool:
        """Whether the optimizer has a state, which the next step continues."""
        return getattr(self, "slots_", None) is not None

    def stop(self) -> None:
        """Drop the state."""
        self.slots_ = self._update = None

    def suits(self, n_parameters: int, dtype: np.dtype) -> bool:
        """Whether the optimizer has a state for n_parameters parameters of this dtype."""
        slots = getattr(self, "slots_", None)
        return (
            isinstance(slots, list)
            and len(slots) == len(self.slots)
            and all(
                isinstance(slot, np.ndarray)
                and slot.shape == (n_parameters,)
                and slot.dtype == dtype
                and slot.flags.carray
                for slot in slots
            )
        )

    def bind(self, kernels, segments: Sequence[Segment], dtype: np.dtype) -> None:
        """Set the kernels that do the steps, and the treatment of each part of the vector.

        Call `start` first: compiled kernels trust the sizes of the state.
        """
        n_parameters = segments[-1].stop if segments else 0
        if not self.suits(n_parameters, dtype):
            raise ValueError(
                f"{self!r} has no state for {n_parameters} parameters in {np.dtype(dtype)}; "
                "call start first."
            )
        self._update = kernels.bind_update(self, segments, dtype)

    def step(
        self, w: np.ndarray, g: np.ndarray, lr: float, l2: float = 0.0, decay: float = 0.0
    ) -> float:
        """Update the parameters w with the gradient g, which may be overwritten.

        In a segment, the learning rate is lr * segment.rate. The gradient of the penalty
        segment.l2 * l2 / 2 * w^2 is added to g, and w is multiplied by
        1 - lr * segment.rate * segment.decay * decay before the rule is applied.

        Returns the value of the penalty before the step.
        """
        if self._update is None:
            self.bind(choose(0.0), [Segment(0, w.size, 1.0, 1.0, 1.0)], w.dtype)
        self.n_steps_ += 1
        self.begin_step()
        self.use_rate(lr)
        return self._update(w, g, lr, l2, decay)

    def begin_step(self) -> None:
        """Compute the numbers of a step that do not depend on the learning rate.

        `n_steps_` already counts this step.
        """

    def use_rate(self, lr: float) -> None:
        """Compute the numbers that depend on the learning rate; called for every rate of a step."""

    def update(self, w, g, lr: float, work, *slots) -> None:
        """Apply the rule to one block; g and work may be overwritten."""
        raise NotImplementedError

    def compiled_constants(self, lr: float) -> tuple[float, ...]:
        """Return the constants of the compiled rule, in a step that has begun.

        Constants that are proportional to the learning rate come first.
        """
        return ()

    def __getstate__(self):
        return {**super().__getstate__(), "_update": None}


def _root(s, inside: float, outside: float, work) -> None:
    """Work <- sqrt(s + inside) + outside; at most one of the two numbers is not 0."""
    if inside:
        np.add(s, inside, out=work)
        np.sqrt(work, out=work)
    else:
        np.sqrt(s, out=work)
        work += outside


class SGD(Optimizer):
    """v <- momentum * v - lr * (1 - dampening) * g; w <- w + v.

    With Nesterov: v <- momentum * v - lr * g; w <- w + momentum * v - lr * g.

    Parameters
    ----------
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
    dampening : float, default=0.0
        The share of the gradient that the velocity does not take over. With `dampening=momentum`,
        the velocity is an exponential moving average of the steps. It needs
        `nesterovs_momentum=False`, and has no effect without momentum.
    """

    compiled_as = "sgd"
    _limits = {"momentum": Limit(0, 1), "dampening": Limit(0, 1)}

    def __init__(
        self, momentum: float = 0.9, nesterovs_momentum: bool = True, dampening: float = 0.0
    ):
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.dampening = dampening

    def check(self, what=""):
        super().check(what)
        if self.dampening and self.momentum and self.nesterovs_momentum:
            raise InvalidParameterError(
                f"dampening={self.dampening!r} does not go with nesterovs_momentum=True; set "
                "nesterovs_momentum=False."
            )

    @property
    def slots(self):
        return ("velocity",) if self.momentum else ()

    def _gradient_rate(self, lr):
        return lr * (1 - self.dampening) if self.momentum else lr

    def update(self, w, g, lr, work, v=None):
        g *= self._gradient_rate(lr)
        if v is None:
            w -= g
            return
        v *= self.momentum
        v -= g
        if not self.nesterovs_momentum:
            w += v
            return
        np.multiply(v, self.momentum, out=work)
        work -= g
        w += work

    def compiled_constants(self, lr):
        return self._gradient_rate(lr), self.momentum, self.nesterovs_momentum


class _WithMoments(Optimizer):
    """An optimizer with the means m of the gradients and v of their squares."""

    slots = ("m", "v")
    _limits = {
        "beta_1": Limit(0, 1, closed="[)"),
        "beta_2": Limit(0, 1, closed="[)"),
        "epsilon": Limit(0, closed="(]"),
    }

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon


class Adam(_WithMoments):
    """m <- beta_1 m + (1 - beta_1) g; v <- beta_2 v + (1 - beta_2) g^2;
    w <- w - lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon).

    The slots hold m / (1 - beta_1) and v / (1 - beta_2), which saves two passes.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8
    bias_correction : bool, default=True
        Whether the moments, which start at 0, are divided by 1 - beta_1^t and 1 - beta_2^t. Without
        it: w <- w - lr * m / (sqrt(v) + epsilon).
    epsilon_inside : bool, default=False
        Whether epsilon is added under the root: w <- w - lr * m' / sqrt(v' + epsilon), where m' and
        v' are the corrected moments.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization".
    """  # noqa: D205

    compiled_as = "adam"
    _inside = 0.0

    def __init__(
        self,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: bool = True,
        epsilon_inside: bool = False,
    ):
        super().__init__(beta_1, beta_2, epsilon)
        self.bias_correction = bias_correction
        self.epsilon_inside = epsilon_inside

    def use_rate(self, lr):
        t, root = self.n_steps_, math.sqrt(1 - self.beta_2)
        of_m, of_v = 1.0, 1.0
        if self.bias_correction:
            of_m, of_v = 1 - self.beta_1**t, 1 - self.beta_2**t
        self._rate = lr * math.sqrt(of_v) / of_m * (1 - self.beta_1) / root
        # The slot of v lacks the factor 1 - beta_2, and the rate has the root of its correction.
        self._epsilon = 0.0 if self.epsilon_inside else self.epsilon / root
        self._inside = self.epsilon * of_v / (1 - self.beta_2) if self.epsilon_inside else 0.0

    def moments(self, g, m, v):
        """Update both moments; g is overwritten."""
        m *= self.beta_1
        m += g
        v *= self.beta_2
        g *= g
        v += g

    def update(self, w, g, lr, work, m, v):
        self.moments(g, m, v)
        self.move(w, work, m, v)

    def move(self, w, work, m, v):
        """w <- w - rate * m / (sqrt(v + epsilon) or sqrt(v) + epsilon)."""
        _root(v, self._inside, self._epsilon, work)
        np.divide(m, work, out=work)
        work *= self._rate
        w -= work

    def compiled_constants(self, lr):
        return self._rate, self.beta_1, self.beta_2, self._epsilon, self._inside


class AdamW(Adam):
    """Adam, with w <- w * (1 - lr * weight_decay) on the dense kernels before the step.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8
    weight_decay : float, default=0.01
        With the name "adamw", the estimator's `weight_decay` is used in place of this default.
    bias_correction : bool, default=True
    epsilon_inside : bool, default=False

    References
    ----------
    Loshchilov and Hutter (2019), "Decoupled weight decay regularization".
    """

    compiled_as = "adam"
    _limits = {**Adam._limits, "weight_decay": Limit(0)}

    def __init__(
        self,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        weight_decay: float = 0.01,
        bias_correction=True,
        epsilon_inside=False,
    ):
        super().__init__(beta_1, beta_2, epsilon, bias_correction, epsilon_inside)
        self.weight_decay = weight_decay


class AMSGrad(Adam):
    """Adam with sqrt(max over time of v) in the denominator.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8
    bias_correction : bool, default=True
    epsilon_inside : bool, default=False

    References
    ----------
    Reddi et al. (2018), "On the convergence of Adam and beyond".
    """

    compiled_as = "amsgrad"
    slots = ("m", "v", "v_max")

    def update(self, w, g, lr, work, m, v, v_max):
        self.moments(g, m, v)
        np.maximum(v_max, v, out=v_max)
        self.move(w, work, m, v_max)


class Nadam(_WithMoments):
    """w <- w - lr * (mu' m / (1 - Mu mu') + (1 - mu) g / (1 - Mu)) / (sqrt(v / (1 - beta_2^t)) +
    epsilon), mu = beta_1 (1 - 0.96^(t / 250) / 2), mu' is mu at t + 1, Mu the product up to t.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam".
    """  # noqa: D205

    compiled_as = "nadam"

    def start(self, n_parameters, dtype):
        super().start(n_parameters, dtype)
        self.mu_product_ = 1.0

    def _mu(self, t):
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t * 0.004))

    def begin_step(self):
        self.mu_product_ *= self._mu(self.n_steps_)

    def use_rate(self, lr):
        t = self.n_steps_
        mu, mu_next = self._mu(t), self._mu(t + 1)
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**t))
        self._epsilon = self.epsilon / root
        self._gradient_rate = lr * (1 - mu) / (1 - self.mu_product_) / root
        moment_rate = lr * mu_next / (1 - self.mu_product_ * mu_next) / root
        self._moment_rate = moment_rate * (1 - self.beta_1)

    def update(self, w, g, lr, work, m, v):
        m *= self.beta_1
        m += g
        v *= self.beta_2
        np.multiply(g, g, out=work)
        v += work
        np.multiply(m, self._moment_rate, out=work)
        g *= self._gradient_rate
        g += work
        np.sqrt(v, out=work)
        work += self._epsilon
        g /= work
        w -= g

    def compiled_constants(self, lr):
        return self._moment_rate, self._gradient_rate, self.beta_1, self.beta_2, self._epsilon


class Adamax(_WithMoments):
    """m as in Adam; u <- max(beta_2 u, |g| + epsilon); w <- w - lr / (1 - beta_1^t) * m / u.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.999
    epsilon : float, default=1e-8

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", section 7.
    """

    compiled_as = "adamax"
    slots = ("m", "u")

    def use_rate(self, lr):
        self._rate = lr * (1 - self.beta_1) / (1 - self.beta_1**self.n_steps_)

    def update(self, w, g, lr, work, m, u):
        m *= self.beta_1
        m += g
        np.abs(g, out=g)
        g += self.epsilon
        u *= self.beta_2
        np.maximum(u, g, out=u)
        np.divide(m, u, out=work)
        work *= self._rate
        w -= work

    def compiled_constants(self, lr):
        return self._rate, self.beta_1, self.beta_2, self.epsilon


class _Accumulating(Optimizer):
    """An optimizer with one slot s of squared gradients: w <- w - lr * g / (sqrt(s) + epsilon)."""

    slots = ("s",)

    def start(self, n_parameters, dtype):
        super().start(n_parameters, dtype)
        self.slots_[0].fill(self.initial_accumulator)

    def _epsilons(self):
        """Return the numbers to add under the root, and after it."""
        return (self.epsilon, 0.0) if self.epsilon_inside else (0.0, self.epsilon)

    def move(self, w, g, lr, work, s):
        """w <- w - lr * g / (sqrt(s + epsilon) or sqrt(s) + epsilon)."""
        _root(s, *self._epsilons(), work)
        g /= work
        g *= lr
        w -= g


class AdaGrad(_Accumulating):
    """s <- s + g^2; w <- w - lr * g / (sqrt(s) + epsilon).

    Parameters
    ----------
    epsilon : float, default=1e-8
    epsilon_inside : bool, default=False
        Whether epsilon is added under the root: w <- w - lr * g / sqrt(s + epsilon).
    initial_accumulator : float, default=0.0
        The first value of s. The larger it is, the smaller are the first steps.

    References
    ----------
    Duchi et al. (2011), "Adaptive subgradient methods for online learning".
    """

    compiled_as = "adagrad"
    _limits = {"epsilon": Limit(0, closed="(]"), "initial_accumulator": Limit(0)}

    def __init__(
        self,
        epsilon: float = 1e-8,
        epsilon_inside: bool = False,
        initial_accumulator: float = 0.0,
    ):
        self.epsilon = epsilon
        self.epsilon_inside = epsilon_inside
        self.initial_accumulator = initial_accumulator

    def update(self, w, g, lr, work, s):
        np.multiply(g, g, out=work)
        s += work
        self.move(w, g, lr, work, s)

    def compiled_constants(self, lr):
        return lr, *self._epsilons()


class RMSProp(_Accumulating):
    """s <- rho s + (1 - rho) g^2; w <- w - lr * g / (sqrt(s) + epsilon).

    Parameters
    ----------
    rho : float, default=0.9
    epsilon : float, default=1e-8
    epsilon_inside : bool, default=False
        Whether epsilon is added under the root: w <- w - lr * g / sqrt(s + epsilon).
    initial_accumulator : float, default=0.0
        The first value of s. The larger it is, the smaller are the first steps.

    References
    ----------
    Tieleman and Hinton (2012), "Lecture 6.5: rmsprop".
    """

    compiled_as = "rmsprop"
    _limits = {**AdaGrad._limits, "rho": Limit(0, 1, closed="[)")}

    def __init__(
        self,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        epsilon_inside: bool = False,
        initial_accumulator: float = 0.0,
    ):
        self.rho = rho
        self.epsilon = epsilon
        self.epsilon_inside = epsilon_inside
        self.initial_accumulator = initial_accumulator

    def update(self, w, g, lr, work, s):
        s *= self.rho
        np.multiply(g, g, out=work)
        work *= 1 - self.rho
        s += work
        self.move(w, g, lr, work, s)

    def compiled_constants(self, lr):
        return lr, self.rho, 1 - self.rho, *self._epsilons()


class AdaDelta(Optimizer):
    """s <- rho s + (1 - rho) g^2; d = sqrt(a + epsilon) / sqrt(s + epsilon) * g;
    a <- rho a + (1 - rho) d^2; w <- w - lr * d.

    The rule is meant for learning rates near 1: set learning_rate_init.

    Parameters
    ----------
    rho : float, default=0.9
    epsilon : float, default=1e-8

    References
    ----------
    Zeiler (2012), "ADADELTA: an adaptive learning rate method".
    """  # noqa: D205

    compiled_as = "adadelta"
    slots = ("s", "a")
    _limits = {"rho": Limit(0, 1, closed="[)"), "epsilon": Limit(0, closed="(]")}

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-8):
        self.rho = rho
        self.epsilon = epsilon

    def update(self, w, g, lr, work, s, a):
        s *= self.rho
        np.multiply(g, g, out=work)
        work *= 1 - self.rho
        s += work
        np.add(s, self.epsilon, out=work)
        np.sqrt(work, out=work)
        g /= work
        np.add(a, self.epsilon, out=work)
        np.sqrt(work, out=work)
        g *= work
        a *= self.rho
        np.multiply(g, g, out=work)
        work *= 1 - self.rho
        a += work
        g *= lr
        w -= g

    def compiled_constants(self, lr):
        return lr, self.rho, 1 - self.rho, self.epsilon


class Lion(Optimizer):
    """w <- w - lr * sign(beta_1 m + (1 - beta_1) g); m <- beta_2 m + (1 - beta_2) g.

    Parameters
    ----------
    beta_1 : float, default=0.9
    beta_2 : float, default=0.99
        With the name "lion", the estimator's `beta_2` is used in place of this default.

    References
    ----------
    Chen et al. (2023), "Symbolic discovery of optimization algorithms".
    """

    compiled_as = "lion"
    slots = ("m",)
    _limits = {"beta_1": Limit(0, 1, closed="[)"), "beta_2": Limit(0, 1, closed="[)")}

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.99):
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def update(self, w, g, lr, work, m):
        np.subtract(m, g, out=work)
        work *= self.beta_1
        work += g
        np.sign(work, out=work)
        work *= lr
        w -= work
        m *= self.beta_2
        g *= 1 - self.beta_2
        m += g

    def compiled_constants(self, lr):
        return lr, self.beta_1, self.beta_2, 1 - self.beta_2


OPTIMIZERS = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
    "adamax": Adamax,
    "amsgrad": AMSGrad,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
    "rmsprop": RMSProp,
    "lion": Lion,
}
