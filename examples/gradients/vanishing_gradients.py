"""
Vanishing gradients in a network of five layers
===============================================

The gradient of a low layer is a product of one factor for each layer above it: the weights of that
layer and the slope of its activation. Units of tanh whose weights are all positive, from
:math:`U(0, 1)`, add up the outputs of the units below, and saturate. Their slopes
:math:`1 - \\tanh^2(z)` are small, so the product vanishes.

A network with one such hidden layer learns to separate two circles, and a network with five does
not. Three remedies are compared: ReLU with He's first weights, tanh with Glorot's (Xavier's) first
weights, and tanh with Adam. Batch normalization is tried too. See also
:doc:`/recipes/deep_narrow_networks`.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles
from sklearn.preprocessing import MinMaxScaler

from skdeep import MLPClassifier
from skdeep.callbacks import LayerStatistics
from skdeep.initializers import Uniform
from skdeep.inspection import diagnose
from skdeep.plotting import GradientFlowDisplay, TrainingCurveDisplay

LONG = os.environ.get("SKDEEP_LONG_EXAMPLES") == "1"

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
# Each layer has five units. All networks train for 500 epochs with batches of 32 rows and a
# learning rate of 0.01, and all but the last with a momentum of 0.9.


def network(n_layers, activation, initializer, seed=0, **options):
    momentum = {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False}
    return MLPClassifier(
        (5,) * n_layers,
        activation,
        initializer=[initializer] * (n_layers + 1),  # the last one is for the output layer
        bias_initializer="zeros",
        learning_rate_init=0.01,
        batch_size=32,
        max_iter=500,
        n_iter_no_change=np.inf,
        alpha=0,
        random_state=seed,
        **(momentum | options),
    )


networks = {
    "1 layer, tanh, U(0, 1)": ("learns", 1, "tanh", Uniform(0, 1)),
    "5 layers, tanh, U(0, 1)": ("fails", 5, "tanh", Uniform(0, 1)),
    "5 layers, ReLU, U(0, 1)": ("-", 5, "relu", Uniform(0, 1)),
    "5 layers, ReLU, He": ("learns", 5, "relu", "he_uniform"),
    "5 layers, tanh, He": ("-", 5, "tanh", "he_uniform"),
    "5 layers, tanh, Xavier": ("-", 5, "tanh", "glorot_uniform"),
    "5 layers, tanh, U(0, 1), Adam": ("-", 5, "tanh", Uniform(0, 1)),
    "5 layers, tanh, U(0, 1), batch norm": ("robust", 5, "tanh", Uniform(0, 1)),
}
changes = {"Adam": {"solver": "adam"}, "batch norm": {"batch_norm": "before"}}
scores = {}
for name, (_, *arguments) in networks.items():
    options = changes.get(name.rpartition(", ")[2], {})
    fits = [
        network(*arguments, seed, **options).fit(X_train, y_train)
        for seed in range(10 if LONG else 1)
    ]
    scores[name] = [mlp.score(X_test, y_test) for mlp in fits]

print(f"{'accuracy on the test rows':36} {'lecture':>8} {'skdeep':>8}")
for name, (claim, *_) in networks.items():
    spread = f" +- {np.std(scores[name]):.3f}" if LONG else ""
    print(f"{name:36} {claim:>8} {np.mean(scores[name]):8.3f}{spread}")

# %%
# The lecture's claims hold: one layer learns, five saturated layers do not, and five ReLU layers
# with He's first weights do. Both halves of this remedy matter. ReLU layers with weights from
# U(0, 1) are no better than a coin. Tanh layers learn if their first weights are Glorot's or He's.
# Adam, which divides each component of the gradient by its usual size, trains even the saturated
# layers.
#
# Batch normalization is said to be robust to bad first weights. It is no reliable remedy for
# weights from U(0, 1): all of them are positive, so the units of the upper layers begin with nearly
# equal outputs.
#
# The long setting (``SKDEEP_LONG_EXAMPLES=1``) takes the mean and the standard deviation over ten
# seeds:
#
# - one layer: 0.822 +- 0.015,
# - five layers of tanh with U(0, 1): 0.585 +- 0.062, with Adam 0.828 +- 0.013, and with batch
#   normalization 0.655 +- 0.111,
# - five layers of ReLU with U(0, 1): 0.543 +- 0.103, and with He's weights 0.806 +- 0.103,
# - five layers of tanh with He's weights: 0.825 +- 0.015, and with Glorot's 0.829 +- 0.014.
#
# The spread of ReLU with He's weights comes from one network of the ten. All five units of its top
# layer died, so its accuracy is 0.496.
#
# The training curves
# -------------------
# A callback records the gradients of the networks with five layers.

shallow = network(1, "tanh", Uniform(0, 1))
failing = network(5, "tanh", Uniform(0, 1), callbacks=[LayerStatistics()])
sound = network(5, "relu", "he_uniform", callbacks=[LayerStatistics()])
models = {"1 layer, tanh": shallow, "5 layers, tanh": failing, "5 layers, ReLU": sound}
for mlp in models.values():
    mlp.fit(X_train, y_train, X_val=X_test, y_val=y_test)

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
TrainingCurveDisplay.from_estimator(*models.values(), names=list(models), ax=axes)
axes[1].get_legend().remove()  # the legend of the loss is enough
figure.suptitle("Loss and accuracy of three networks on two circles")

# %%
# The gradient of each layer
# --------------------------
# With tanh and U(0, 1), the layers in the middle have the smallest gradients. The third and the
# fourth layer take steps of about a thousandth of those of the output layer. The top hidden layers
# saturate most, and let little through. Further down, the slopes are larger, and products with
# positive weights add up without cancelling, so the gradient grows again towards the lowest layer.
# With ReLU and He's weights, all layers move at a similar pace.

figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained", sharey="col")
for (name, mlp), pair in zip(list(models.items())[1:], axes, strict=True):
    GradientFlowDisplay.from_estimator(mlp, ax=pair)
    for ax in pair:
        ax.set(title=name, xlim=(0, 100))
figure.suptitle("Gradients and steps of each layer in the first 100 epochs")

# %%

steps = {
    name: np.median(mlp.callbacks[0].statistics_["update_ratio"][:100], axis=0)
    for name, mlp in list(models.items())[1:]
}
print("Size of a step / of the weights, median of the first 100 epochs")
for name, ratios in steps.items():
    print(f"{name:15}", *(f"{ratio:9.1e}" for ratio in ratios))

# %%
# :func:`~skdeep.inspection.diagnose` names the cause, the saturated units, and remedies.

print(diagnose(failing, X_train, y_train))

# %%

accuracy = {name: np.mean(values) for name, values in scores.items()}
assert accuracy["1 layer, tanh, U(0, 1)"] > 0.75
assert accuracy["5 layers, tanh, U(0, 1)"] < 0.7
assert accuracy["5 layers, ReLU, He"] > 0.75
assert accuracy["5 layers, tanh, Xavier"] > 0.75
assert accuracy["5 layers, tanh, U(0, 1), Adam"] > 0.75
assert min(steps["5 layers, tanh"][:5]) < 0.02 * steps["5 layers, tanh"][5]
assert min(steps["5 layers, ReLU"][:5]) > 0.05 * steps["5 layers, ReLU"][5]
