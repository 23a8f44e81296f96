"""Update rules, each one pass over the parameters.

A rule is a function of one parameter w, its gradient g, its slots p, q and r (it need not use all
of them), and the constants of the step. It returns the new w, p, q and r. Constants that are
proportional to the learning rate come first, so that a segment of the vector may have its own rate.
The loop around the rule adds the gradient of the penalty l2 / 2 * w^2 to g, and gives the rule
`keep * w`, where `keep` is the share of w that decoupled weight decay leaves.
"""

from __future__ import annotations

import math

from skdeep.kernels.numba_kernels.compiling import inlined, like, specialized
from skdeep.kernels.numba_kernels.elementary import absolute, polynomial

# The squares of this many parameters are summed in their own dtype; these sums, in float64.
BLOCK = 4096


# Numbers below these are set to 0. The weights of a dead unit decay until they are subnormal, and a
# processor takes a hundred times as long for subnormal numbers. If a gradient is kept, its square
# is kept, too. An epsilon below SMALLEST_EPSILON would distinguish gradients that these rules set
# to 0.
SMALLEST_EPSILON = {"float32": 1e-10, "float64": 1e-130}
_negligible = polynomial([1e-32], [1e-280])
_negligible_gradient = polynomial([1e-16], [1e-140])


@inlined
def _settled(x):
    return like(x, 0.0) if absolute(x) < _negligible(x) else x


@inlined
def _square(g):
    square = g * g
    return like(g, 0.0) if absolute(g) < _negligible_gradient(g) else square


@inlined
def _root(x):
    return like(x, math.sqrt(x))


@inlined
def _larger(x, y):
    return y if y > x else x


@inlined
def _sgd(w, g, p, q, r, constants):
    rate, _, _, _, _ = constants
    return w - rate * g, p, q, r


@inlined
def _momentum(w, g, v, q, r, constants):
    rate, momentum, nesterov, _, _ = constants
    v = momentum * v - rate * g
    step = momentum * v - rate * g if nesterov > like(w, 0.0) else v
    return w + step, v, q, r


@inlined
def _adam(w, g, m, v, r, constants):
    rate, beta_1, beta_2, epsilon, inside = constants
    m = beta_1 * m + g
    v = beta_2 * v + _square(g)
    return w - rate * m / (_root(v + inside) + epsilon), m, v, r


@inlined
def _amsgrad(w, g, m, v, v_max, constants):
    rate, beta_1, beta_2, epsilon, inside = constants
    m = beta_1 * m + g
    v = beta_2 * v + _square(g)
    v_max = _larger(v_max, v)
    return w - rate * m / (_root(v_max + inside) + epsilon), m, v, v_max


@inlined
def _nadam(w, g, m, v, r, constants):
    moment_rate, gradient_rate, beta_1, beta_2, epsilon = constants
    m = beta_1 * m + g
    v = beta_2 * v + _square(g)
    return w - (moment_rate * m + gradient_rate * g) / (_root(v) + epsilon), m, v, r


@inlined
def _adamax(w, g, m, u, r, constants):
    rate, beta_1, beta_2, epsilon, _ = constants
    m = beta_1 * m + g
    u = _larger(beta_2 * u, absolute(g) + epsilon)
    return w - rate * m / u, m, u, r


@inlined
def _adagrad(w, g, s, q, r, constants):
    rate, inside, epsilon, _, _ = constants
    s = s + _square(g)
    return w - rate * g / (_root(s + inside) + epsilon), s, q, r


@inlined
def _rmsprop(w, g, s, q, r, constants):
    rate, rho, rest, inside, epsilon = constants
    s = rho * s + rest * _square(g)
    return w - rate * g / (_root(s + inside) + epsilon), s, q, r


@inlined
def _adadelta(w, g, s, a, r, constants):
    rate, rho, rest, epsilon, _ = constants
    s = rho * s + rest * _square(g)
    d = g / _root(s + epsilon) * _root(a + epsilon)
    a = rho * a + rest * _square(d)
    return w - rate * d, s, a, r


@inlined
def _lion(w, g, m, q, r, constants):
    rate, beta_1, beta_2, rest, _ = constants
    mix = beta_1 * (m - g) + g
    step = rate if mix > like(w, 0.0) else (-rate if mix < like(w, 0.0) else mix)
    return w - step, beta_2 * m + rest * g, q, r


# How many of a rule's constants are proportional to the learning rate, if more than one.
N_RATES = {"nadam": 2}
# by name and number of slots
RULES = {
    ("sgd", 0): _sgd,
    ("sgd", 1): _momentum,
    ("adam", 2): _adam,
    ("amsgrad", 3): _amsgrad,
    ("nadam", 2): _nadam,
    ("adamax", 2): _adamax,
    ("adagrad", 1): _adagrad,
    ("rmsprop", 1): _rmsprop,
    ("adadelta", 2): _adadelta,
    ("lion", 1): _lion,
}


# Placeholders, which `specialized` replaces.
rule = n_slots = n_rates = update_slice = None


def _update_slice(w, g, p, q, r, l2, keep, constants):
    total = like(w[0], 0.0)
    for i in range(w.size):
        old = w[i]
        total += old * old
        p_old = p[i] if n_slots > 0 else old
        q_old = q[i] if n_slots > 1 else old
        r_old = r[i] if n_slots > 2 else old
        decayed, slope = old * keep, g[i] + l2 * old
        new, p_new, q_new, r_new = rule(decayed, slope, p_old, q_old, r_old, constants)
        w[i] = _settled(new)
        if n_slots > 0:
            p[i] = _settled(p_new)
        if n_slots > 1:
            q[i] = _settled(q_new)
        if n_slots > 2:
            r[i] = _settled(r_new)
    return total


def _update_all(w, g, p, q, r, bounds, factors, l2, decay, constants):
    one = like(w[0], 1.0)
    a, b, c, d, e = constants
    penalty = 0.0
    for k in range(bounds.shape[0]):
        rate, own_l2 = factors[k, 0], l2 * factors[k, 1]
        keep = 1.0 - decay * rate * factors[k, 2]
        second = b * rate if n_rates > 1 else b
        typed = (like(one, a * rate), like(one, second), like(one, c), like(one, d), like(one, e))
        squares = 0.0
        for start in range(bounds[k, 0], bounds[k, 1], BLOCK):
            s = slice(start, min(start + BLOCK, bounds[k, 1]))
            squares += update_slice(
                w[s], g[s], p[s], q[s], r[s], like(one, own_l2), like(one, keep), typed
            )
        if own_l2 > 0.0:  # 0 * infinity would be NaN
            penalty += own_l2 / 2 * squares
    return penalty


def update(name: str, n_slots: int):
    """Return a function that makes one step, and returns the value of the penalty before the step.

    `bounds` holds start and stop of every segment, `factors` its rate, l2 and decay.
    """
    named = f"{name}_{n_slots}"
    rule = RULES[name, n_slots]
    on_slice = specialized(_update_slice, named, reorders=True, rule=rule, n_slots=n_slots)
    n_rates = N_RATES.get(name, 1)
    return specialized(_update_all, named, update_slice=on_slice, n_rates=n_rates)
