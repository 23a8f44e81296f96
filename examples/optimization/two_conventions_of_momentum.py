r"""
Two conventions of momentum
===========================

Books write momentum in two ways. In the first one, a velocity adds up steps:

.. math:: v_t = m v_{t-1} - \eta g_t, \qquad w_t = w_{t-1} + v_t.

In the second one, it is an exponentially weighted average of gradients:

.. math:: v_t = \beta v_{t-1} + (1 - \beta) g_t, \qquad w_t = w_{t-1} - \alpha v_t.

With :math:`m = \beta` and :math:`\eta = (1 - \beta) \alpha` the weights are the same. So a rate
from one book has to be converted for the other: with :math:`\beta = 0.9`, by a factor of 10.
:doc:`/families/optimizers` has the variants of other optimizers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeep import MLPClassifier
from skdeep.optimizers import SGD, Adam

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# The same weights
# ----------------
# The first convention is that of ``SGD``. There are two ways to get the second one: a smaller rate,
# or ``dampening``, the share of the gradient that the velocity does not take.

BETA, RATE = 0.9, 0.5


def trained(solver, rate):
    """Return the weights of a network after five epochs."""
    mlp = MLPClassifier(
        (32,), solver=solver, learning_rate_init=rate, batch_size=64, max_iter=5, random_state=0
    )
    return np.concatenate([array.ravel() for array in mlp.fit(X, y).get_weights().values()])


usual = SGD(momentum=BETA, nesterovs_momentum=False)
averaged = SGD(momentum=BETA, nesterovs_momentum=False, dampening=BETA)
by_rate = trained(usual, (1 - BETA) * RATE)
by_dampening = trained(averaged, RATE)
print(f"largest difference of {by_rate.size} weights: {np.abs(by_rate - by_dampening).max():.0e}")
assert np.allclose(by_rate, by_dampening, rtol=0, atol=1e-12)

# %%
# The lecture's two lines, computed by hand on a function of one weight, give the same numbers too.

weight, velocity = 1.0, 0.0
w = np.array([1.0])
averaged.start(1, w.dtype)
for _ in range(50):
    velocity = BETA * velocity + (1 - BETA) * 4 * weight  # the gradient of 2 w^2
    weight -= 0.1 * velocity
    averaged.step(w, 4 * w, 0.1)
print(f"by hand {weight:.12f}, skdeep {w[0]:.12f}")
assert np.isclose(weight, w[0], rtol=0, atol=1e-12)

# %%
# The effective step
# ------------------
# If the gradient is 1 in every step, the steps of the first convention grow to
# :math:`\eta / (1 - m)`: 10 times the rate for 0.9, and 100 times for 0.99. Those of the second
# convention grow to the rate. They start at :math:`(1 - \beta) \alpha`, because the average starts
# at 0 and nothing corrects it. Adam corrects this bias: it divides by :math:`1 - \beta^t`.


def step_sizes(optimizer, n_steps):
    """Return the sizes of steps with a rate of 1, if the gradient is always 1."""
    w, sizes = np.zeros(1), []
    optimizer.start(1, w.dtype)
    for _ in range(n_steps):
        before = w[0]
        optimizer.step(w, np.ones(1), 1.0)
        sizes.append(before - w[0])
    return np.array(sizes)


N_STEPS = 600
figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
print(f"{'':>8}{'first convention':>20}{'second convention':>22}")
print(f"{'beta':>8}{'step 1':>10}{'limit':>10}{'step 1':>11}{'limit':>11}{'1 / (1 - beta)':>17}")
for beta in (0.5, 0.9, 0.99):
    first = step_sizes(SGD(beta, nesterovs_momentum=False), N_STEPS)
    second = step_sizes(SGD(beta, nesterovs_momentum=False, dampening=beta), N_STEPS)
    print(
        f"{beta:>8}{first[0]:>10.2f}{first[-1]:>10.2f}{second[0]:>11.2f}{second[-1]:>11.2f}"
        f"{1 / (1 - beta):>17.0f}"
    )
    panels[0].plot(first, label=f"first, {beta}")
    panels[1].plot(second, label=f"second, {beta}")
    t = np.arange(1, N_STEPS + 1)
    assert np.allclose(first, (1 - beta**t) / (1 - beta))
    assert np.allclose(second, 1 - beta**t)
adam = step_sizes(Adam(beta_1=0.99), N_STEPS)
panels[1].plot(adam, "k--", lw=1, label="Adam, 0.99")
assert np.allclose(adam, 1, atol=1e-6)
panels[0].set(title="Velocity that adds up steps", yscale="log")
panels[1].set(title="Velocity that averages gradients")
for panel in panels:
    panel.set(xlabel="Step", ylabel="Size of the step / rate", xlim=(0, 300))
    panel.legend(loc="lower right")

# %%
# A rate for each momentum
# ------------------------
# One set of runs shows both conventions: a run with the rate :math:`\eta` of the first one is a run
# with the rate :math:`\eta / (1 - \beta)` of the second one.

BETAS = (0.0, 0.5, 0.9, 0.99)
RATES = 10 ** np.arange(-3.5, 1.1, 0.5)
figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
print(f"{'beta':>8}{'best rate, first':>20}{'best rate, second':>22}{'loss':>9}")
best, lowest = {}, {}
for beta in BETAS:
    losses = []
    for rate in RATES:
        mlp = MLPClassifier(
            (32,),
            solver=SGD(beta, nesterovs_momentum=False, dampening=beta),
            learning_rate_init=rate,
            batch_size=64,
            max_iter=5,
            random_state=0,
        )
        losses.append(mlp.fit(X, y).loss_)
    best[beta], lowest[beta] = RATES[np.argmin(losses)], min(losses)
    print(f"{beta:>8}{(1 - beta) * best[beta]:>20.4f}{best[beta]:>22.4f}{lowest[beta]:>9.3f}")
    panels[0].plot((1 - beta) * RATES, losses, ".-", label=f"beta = {beta}")
    panels[1].plot(RATES, losses, ".-", label=f"beta = {beta}")
panels[0].set(title="Loss by rate, first convention", ylabel="Loss after 5 epochs", ylim=(0, 3))
panels[1].set(title="Loss by rate, second convention")
for panel in panels:
    panel.set(xscale="log", xlabel="Learning rate")
    panel.legend()

# %%
# In the first convention, the best rate falls by a factor of 50 from a momentum of 0.5 to one of
# 0.99. In the second one, a rate near 1 suits all of them, which makes momentum and rate easier to
# tune together. A momentum of 0.99 averages over about 100 steps. The run has 145 steps, so the
# start without a correction costs it the most.
#
# The lecture says that momentum speeds up convergence. Here it does so with 0.5 and 0.9, if each
# momentum has its best rate: the loss after five epochs is lower than without momentum. With 0.99
# it is higher.

first = [(1 - beta) * best[beta] for beta in BETAS]
second = [best[beta] for beta in BETAS]
assert max(first) / min(first) > 3 * max(second) / min(second)
assert lowest[0.9] < lowest[0.0]
