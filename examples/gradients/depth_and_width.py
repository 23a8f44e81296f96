"""
Depth and width of networks that saturate
=========================================

Tanh layers with first weights from :math:`U(0, 1)` saturate. More layers make it worse. Wider
layers make it worse too: a unit adds up :math:`m` outputs of the layer below, so with weights of
mean :math:`1/2` its input grows like :math:`m / 2`. ReLU layers with He's first weights, whose
variance is :math:`2 / m`, have neither problem.

The number of layers runs from 1 to 10, with 5 and with 25 units in each. The lecture poses these
experiments as exercises, and gives no figures. The recipe :doc:`/recipes/deep_narrow_networks` has
the remedies.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles
from sklearn.preprocessing import MinMaxScaler

from skdeep import MLPClassifier
from skdeep.initializers import Uniform

LONG = os.environ.get("SKDEEP_LONG_EXAMPLES") == "1"
depths = range(1, 11) if LONG else (1, 2, 4, 7, 10)
n_epochs, n_seeds = (500, 3) if LONG else (200, 2)

# %%
# The data
# --------
# Two noisy circles, one inside the other: 500 rows for training and 500 for the test, in [-1, 1].

X, y = make_circles(n_samples=1000, noise=0.1, random_state=1)
scaler = MinMaxScaler((-1, 1)).fit(X[:500])
X_train, y_train = scaler.transform(X[:500]), y[:500]
X_test, y_test = scaler.transform(X[500:]), y[500:]

# %%
# The networks
# ------------


def accuracy(n_layers, n_units, activation, initializer, seed):
    mlp = MLPClassifier(
        (n_units,) * n_layers,
        activation,
        initializer=[initializer] * (n_layers + 1),  # the last one is for the output layer
        bias_initializer="zeros",
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        learning_rate_init=0.01,
        batch_size=32,
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        alpha=0,
        random_state=seed,
    )
    return mlp.fit(X_train, y_train).score(X_test, y_test)


kinds = {"tanh, U(0, 1)": ("tanh", Uniform(0, 1)), "ReLU, He": ("relu", "he_uniform")}
scores = {
    (kind, n_units): np.array(
        [[accuracy(n, n_units, *options, seed) for seed in range(n_seeds)] for n in depths]
    )
    for kind, options in kinds.items()
    for n_units in (5, 25)
}

# %%
# The result
# ----------

print(f"{'mean accuracy by number of layers':33}", *(f"{n:5}" for n in depths))
for (kind, n_units), table in scores.items():
    name = f"{kind}, {n_units} units"
    print(f"{name:33}", *(f"{mean:5.2f}" for mean in table.mean(axis=1)))

# %%

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, n_units in zip(axes, (5, 25), strict=True):
    for kind in kinds:
        table = scores[kind, n_units]
        ax.plot(depths, table.mean(axis=1), "o-", label=kind)
        ax.fill_between(depths, table.min(axis=1), table.max(axis=1), alpha=0.2)
    ax.set(title=f"{n_units} units in each layer", xlabel="hidden layers", xticks=depths)
axes[0].set_ylabel("accuracy on the test rows")
axes[0].legend()
figure.suptitle("Accuracy on two circles by depth and width: mean and range over seeds")

# %%
# With weights from U(0, 1), tanh layers learn while there are few of them. From seven layers on,
# the networks guess. With 25 units they guess already from four layers on: width does not help, but
# harms. With He's weights, ReLU layers learn at every depth. Narrow ones may die: the accuracy of
# one of the two networks with ten layers of five units is 0.496.
#
# The long setting (``SKDEEP_LONG_EXAMPLES=1``) has all depths from 1 to 10, 500 epochs and three
# seeds. With 5 units, the mean accuracy of the tanh networks is 0.82 at three layers, 0.66 at four,
# 0.57 at five and 0.50 from seven layers on. With 25 units, it is 0.83 at two layers and 0.50 from
# three layers on. The ReLU networks have 0.81 or more, except for 0.72 at ten layers of 5 units,
# where one of the three died.

deep = np.array(depths) >= 7
for n_units in (5, 25):
    saturated = scores["tanh, U(0, 1)", n_units].mean(axis=1)
    assert saturated.max() > 0.7
    assert saturated[deep].max() < 0.65
    assert scores["ReLU, He", n_units].mean(axis=1)[~deep].min() > 0.7
assert scores["tanh, U(0, 1)", 25].mean(axis=1)[np.array(depths) >= 4].max() < 0.65
assert scores["ReLU, He", 25].mean(axis=1).min() > 0.7
