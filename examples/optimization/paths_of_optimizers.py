r"""
Paths of optimizers
===================

Seven optimizers descend the same three landscapes of two parameters: a ravine, a saddle and
Rosenbrock's valley. With :math:`\mathbf{g}` for the gradient
:math:`\nabla J(\boldsymbol{\theta})`, the lecture defines them by

- gradient descent: :math:`\boldsymbol\theta \leftarrow \boldsymbol\theta - \eta \mathbf{g}`,
- momentum: :math:`\mathbf{m} \leftarrow \beta \mathbf{m} - \eta \mathbf{g}`,
  :math:`\boldsymbol\theta \leftarrow \boldsymbol\theta + \mathbf{m}`,
- Nesterov: the same, with the gradient at
  :math:`\boldsymbol\theta + \beta \mathbf{m}`,
- AdaGrad: :math:`\mathbf{s} \leftarrow \mathbf{s} + \mathbf{g}^2`,
  :math:`\boldsymbol\theta \leftarrow \boldsymbol\theta - \eta \mathbf{g} / \sqrt{\mathbf{s} +
  \varepsilon}`,
- RMSProp: the same, with
  :math:`\mathbf{s} \leftarrow \beta \mathbf{s} + (1 - \beta) \mathbf{g}^2`,
- Adam: :math:`\mathbf{m} \leftarrow \beta_1 \mathbf{m} + (1 - \beta_1) \mathbf{g}`,
  :math:`\mathbf{s} \leftarrow \beta_2 \mathbf{s} + (1 - \beta_2) \mathbf{g}^2`,
  :math:`\boldsymbol\theta \leftarrow \boldsymbol\theta - \eta \hat{\mathbf{m}} /
  \sqrt{\hat{\mathbf{s}} + \varepsilon}` with :math:`\hat{\mathbf{m}} = \mathbf{m} / (1 -
  \beta_1^t)` and :math:`\hat{\mathbf{s}} = \mathbf{s} / (1 - \beta_2^t)`.

Nadam is Adam with Nesterov's step.

The lectures say that momentum averages out steps in wrong directions, that optimizers can leave
saddle points, and that AdaGrad may stop before it arrives. :doc:`/families/optimizers` has the
formulas of skdeep.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdeep.optimizers import SGD, AdaGrad, Adam, Nadam, RMSProp

# %%
# An optimizer without a network
# ------------------------------
# An optimizer of skdeep steps on any vector: ``start`` makes its state, and ``step`` changes the
# vector in place. ``epsilon_inside`` puts :math:`\varepsilon` under the root, as in the lecture.

OPTIMIZERS = {
    "SGD": SGD(momentum=0),
    "momentum": SGD(momentum=0.9, nesterovs_momentum=False),
    "Nesterov": SGD(momentum=0.9, nesterovs_momentum=True),
    "AdaGrad": AdaGrad(epsilon_inside=True),
    "RMSProp": RMSProp(rho=0.9, epsilon_inside=True),
    "Adam": Adam(beta_1=0.9, beta_2=0.999, epsilon_inside=True),
    "Nadam": Nadam(),
}


def descend(optimizer, landscape, rate, n_steps):
    """Return the points that an optimizer visits, one row for each."""
    theta = np.array(landscape["start"])
    path = [theta.copy()]
    optimizer.start(theta.size, theta.dtype)
    for _ in range(n_steps):
        optimizer.step(theta, landscape["gradient"](*theta), rate)
        path.append(theta.copy())
        if np.abs(theta).max() > 1e3:  # the path diverges
            break
    return np.array(path)


# %%
# The landscapes
# --------------
# The ravine is 40 times steeper in one direction than in the other. The saddle lies between two
# minima, and the start is close to the line that leads to the saddle point. Rosenbrock's valley is
# curved, and nearly flat along its bottom.

LANDSCAPES = {
    "Ravine": {
        "function": lambda x, y: (x**2 + 40 * y**2) / 2,
        "gradient": lambda x, y: np.array([x, 40 * y]),
        "start": (-4.0, 0.8),
        "view": ((-4.5, 1.5), (-1.2, 1.2)),
    },
    "Saddle": {
        "function": lambda x, y: x**2 / 2 + (y**2 - 1) ** 2 / 4,
        "gradient": lambda x, y: np.array([x, y**3 - y]),
        "start": (-1.5, 0.01),
        "rates": [0.02],
        "view": ((-1.8, 0.8), (-0.6, 1.6)),
    },
    "Rosenbrock": {
        "function": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        "gradient": lambda x, y: np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)]),
        "start": (-1.2, 1.0),
        "view": ((-1.8, 1.5), (-0.7, 2.0)),
    },
}
N_STEPS = 500
RATES = 10 ** np.arange(-3.5, -0.1, 0.5)

# %%
# The paths
# ---------
# The table counts the steps until the function stays below 0.01. The minimum of each function is 0.
# In the ravine and in Rosenbrock's valley, each optimizer has the rate that needs the fewest steps,
# or the rate that ends lowest if none arrives within 500 steps. At the saddle all of them have
# the same rate, because the question is which of them finds its way off the line.

paths, steps = {}, {}
for place, landscape in LANDSCAPES.items():
    print(f"{place:<12}{'rate':>8}{'steps':>8}{'value at the end':>19}")
    for name, optimizer in OPTIMIZERS.items():
        tried = []
        for rate in landscape.get("rates", RATES):
            path = descend(optimizer, landscape, rate, N_STEPS)
            values = landscape["function"](*path.T)
            n = len(path) - (values < 0.01)[::-1].argmin()
            tried.append((n if values[-1] < 0.01 else np.inf, values[-1], rate, path))
        n, end, rate, path = min(tried, key=lambda found: found[:2])
        paths[place, name], steps[place, name] = path, n
        shown = n if n < np.inf else f"> {N_STEPS}"
        print(f"  {name:<10}{rate:>8.4f}{shown:>8}{end:>19.1e}")

figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
for (upper, lower), (place, landscape) in zip(axes.T, LANDSCAPES.items(), strict=True):
    x, y = (np.linspace(*ends, 200) for ends in landscape["view"])
    values = landscape["function"](*np.meshgrid(x, y))
    upper.contour(x, y, np.log10(values + 0.01), levels=15, cmap="Greys", alpha=0.6)
    for i, name in enumerate(OPTIMIZERS):
        path = paths[place, name]
        upper.plot(*path.T, ".-", color=f"C{i}", ms=3, lw=0.8, label=name)
        lower.plot(landscape["function"](*path.T) + 1e-12, color=f"C{i}", lw=1)
    upper.set(title=f"Paths: {place}", xlim=landscape["view"][0], ylim=landscape["view"][1])
    lower.set(yscale="log", ylim=(1e-8, None), xlabel="Step", ylabel="Function")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)

# %%
claims = [
    ("momentum averages out wrong steps", "Ravine", "SGD", "momentum"),
    ("an optimizer can roll off a saddle", "Saddle", "SGD", "momentum"),
    ("AdaGrad stops too early", "Rosenbrock", "AdaGrad", "momentum"),
]
print(f"{'lecture':<37}{'skdeep, steps to arrive'}")
for claim, place, one, other in claims:
    counts = [f"{name} {steps[place, name]}".replace("inf", "never") for name in (one, other)]
    print(f"{claim:<37}{place}: {', '.join(counts)}")

# %%
# **Ravine.** Gradient descent has to choose its rate for the steep direction, and creeps along the
# flat one. Momentum and Nesterov add up the steps in the flat direction.
#
# **Saddle.** Gradient descent walks to the saddle point and waits there. Momentum and Nesterov pass
# it quickly. RMSProp, Adam and Nadam never come near it: they divide each component of the gradient
# by its usual size, so the tiny component counts as much as the large one.
#
# **Rosenbrock.** Momentum arrives first, then Adam and Nesterov. AdaGrad does not arrive: the large
# gradients of its first steps stay in the sum :math:`\mathbf{s}` for ever. RMSProp forgets them,
# but a constant rate keeps it moving around the minimum in the ravine and below the saddle.
#
# The formulas by hand
# --------------------
# Nesterov's gradient is that of a point ahead, :math:`\boldsymbol\theta + \beta \mathbf{m}`.
# skdeep stores this point as the weights, so it needs no second place for the gradient.


def by_hand(name, gradient, theta, rate, n_steps, beta=0.9, beta_2=0.999, epsilon=1e-8):
    """Return the path of the lecture's formulas."""
    m = s = 0.0
    path = [theta]
    for t in range(1, n_steps + 1):
        g = gradient(*theta)
        if name in ("momentum", "Nesterov"):
            m = beta * m - rate * (g if name == "momentum" else gradient(*(theta + beta * m)))
            theta = theta + m
        elif name == "Adam":
            m = beta * m + (1 - beta) * g
            s = beta_2 * s + (1 - beta_2) * g**2
            m_hat, s_hat = m / (1 - beta**t), s / (1 - beta_2**t)
            theta = theta - rate * m_hat / np.sqrt(s_hat + epsilon)
        else:
            s = s + g**2 if name == "AdaGrad" else beta * s + (1 - beta) * g**2
            theta = theta - rate * g / np.sqrt(s + epsilon)
        path.append(theta + beta * m if name == "Nesterov" else theta)
    return np.array(path)


for name in ("momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam"):
    landscape = LANDSCAPES["Rosenbrock"]
    start = np.array(landscape["start"])
    expected = by_hand(name, landscape["gradient"], start, 0.001, 30)
    path = descend(OPTIMIZERS[name], landscape, 0.001, 30)
    print(f"{name:<10} largest difference from the formula: {np.abs(path - expected).max():.0e}")
    assert np.allclose(path, expected, rtol=0, atol=1e-10)


assert steps["Ravine", "momentum"] < steps["Ravine", "SGD"]
assert steps["Ravine", "Nesterov"] < steps["Ravine", "SGD"]
assert steps["Rosenbrock", "momentum"] < N_STEPS
assert steps["Rosenbrock", "SGD"] > N_STEPS
assert steps["Rosenbrock", "AdaGrad"] > N_STEPS
assert steps["Saddle", "momentum"] < steps["Saddle", "SGD"] / 2
assert steps["Saddle", "Adam"] < steps["Saddle", "SGD"] / 2
