"""
First weights that keep the variance
====================================

The outputs of a layer with :math:`m` inputs and :math:`n` outputs have about the variance of its
inputs if the weights have a variance near :math:`1 / m`. The gradients, on their way back,
keep their variance if the weights have a variance near :math:`1 / n`. Glorot's rule is between the
two, :math:`2 / (m + n)`. ReLU sets half of the outputs to zero, so He's rule doubles the variance,
:math:`2 / m`. SELU needs LeCun's rule, :math:`1 / m`.

Here, six rules meet four activations in a stack of 20 layers, before training.
:doc:`/families/initializers` has all rules, and the default of skdeep.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdeep import MLPClassifier, MLPRegressor
from skdeep.initializers import Identity, Normal
from skdeep.inspection import layer_statistics

# %%
# The same factor in every layer
# ------------------------------
# If all layers are linear and have the same weights :math:`W`, the output of 20 layers is
# :math:`x W^{20}`. With :math:`W = 1.5 \, I` it explodes, and with :math:`W = 0.5 \, I` it
# vanishes. A learning rate of 1e-300 leaves the first weights as they are.

untrained = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0}
products = {}
for factor in (1.5, 0.5):
    linear = MLPRegressor(
        (2,) * 20,
        "identity",
        initializer=Identity(factor),
        bias_initializer="zeros",
        **untrained,
    ).fit(np.eye(2), [0.0, 1.0])
    products[factor] = linear.transform([[1.0, 1.0]])[0]
    print(f"{factor}^20 = {factor**20:.6g}; skdeep: {products[factor]}")

# %%
# A stack of 20 layers
# --------------------
# 100 standard normal columns pass 20 layers of 100 units. All layers have as many inputs as
# outputs, so Glorot's and LeCun's variances are equal.

rng = np.random.default_rng(0)
X, y = rng.standard_normal((500, 100)), rng.integers(0, 2, 500)
rules = {
    "N(0, 1)": Normal(0, 1),
    "U(-1/√m, 1/√m)": "fan_in_uniform",
    "Glorot": "glorot_normal",
    "He": "he_normal",
    "LeCun": "lecun_normal",
    "orthogonal": "orthogonal",
}
advised = {"logistic": "Glorot", "tanh": "Glorot", "relu": "He", "selu": "LeCun"}  # in the lecture

spread, gradient = {}, {}
for activation in advised:
    for rule, initializer in rules.items():
        mlp = MLPClassifier(
            (100,) * 20,
            activation,
            initializer=initializer,
            bias_initializer="zeros",
            random_state=0,
            **untrained,
        ).fit(X, y)
        hidden = layer_statistics(mlp, X, y).layers[:-1]
        spread[activation, rule] = np.array([layer.std for layer in hidden])
        gradient[activation, rule] = np.array([layer.gradient_rms for layer in hidden])

# %%
# The result
# ----------
# The table has the standard deviation of the outputs of the top layer divided by that of the lowest
# one, and the size of the gradient of the lowest layer divided by that of the top one. Both should
# be near 1. A pair is marked if neither changes by more than a factor of ten.

kept = set()
print(f"{'activation':10} {'first weights':15} {'lecture':>8} {'outputs':>9} {'gradients':>9}")
for activation, rule in spread:
    outputs = spread[activation, rule][-1] / spread[activation, rule][0]
    gradients = gradient[activation, rule][0] / gradient[activation, rule][-1]
    if 0.1 < outputs < 10 and 0.1 < gradients < 10:
        kept.add((activation, rule))
    print(
        f"{activation:10} {rule:15} {'advised' if advised[activation] == rule else '-':>8}",
        f"{outputs:9.2g} {gradients:9.2g} {'kept' if (activation, rule) in kept else ''}",
    )

# %%

figure, axes = plt.subplots(2, 4, figsize=(12, 6), layout="constrained", sharex=True, sharey="row")
for activation, (above, below) in zip(advised, axes.T, strict=True):
    for rule in rules:
        style = "--" if rule == "LeCun" else "-"  # it lies on the line of Glorot
        above.plot(range(1, 21), spread[activation, rule], style, label=rule)
        below.plot(range(1, 21), gradient[activation, rule], style)
    above.set(title=activation, yscale="log", ylim=(1e-6, 1e4))
    below.set(xlabel="layer", yscale="log", ylim=(1e-18, 1e6))
axes[0, 0].set_ylabel("standard deviation of the outputs")
axes[1, 0].set_ylabel("size of the gradient")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
figure.suptitle("Outputs and gradients of 20 layers by first weights and activation")

# %%
# - **Tanh** keeps outputs and gradients with Glorot's, He's and LeCun's rules and with orthogonal
#   weights. With N(0, 1), the units saturate, and the gradient explodes towards the lowest layer.
# - **ReLU** needs He's rule. With Glorot's or LeCun's, the outputs of the top layer are a
#   thousandth of those of the lowest one. The gradient of a weight is the product of its input and
#   of the error that comes back. Low layers have large inputs and small errors, and high layers the
#   reverse. So all gradients are equally small.
# - **SELU** keeps a standard deviation of 1 with LeCun's rule, with orthogonal weights, and here
#   with Glorot's. With He's rule, the outputs grow slowly.
# - **The logistic function** does not keep its gradients with the rule that the lecture advises,
#   Glorot's. Its slope is at most 1/4, so the gradient of the lowest of 20 layers is 6e-13 times
#   that of the top one.
# - **N(0, 1)** multiplies the standard deviation of ReLU and SELU outputs by more than seven in
#   each layer. **U(-1/√m, 1/√m)** has a variance of :math:`1 / (3 m)`, which is too small for all
#   four.

for factor, product in products.items():
    np.testing.assert_allclose(product, factor**20)
assert {("tanh", "Glorot"), ("relu", "He"), ("selu", "LeCun"), ("selu", "orthogonal")} <= kept
for rule in rules:
    assert ("relu", rule) not in kept or rule == "He"
    if rule != "N(0, 1)":
        assert gradient["logistic", rule][0] < 1e-6 * gradient["logistic", rule][-1]
for activation in ("relu", "selu"):
    assert spread[activation, "N(0, 1)"][-1] > 1e10
    assert spread[activation, "U(-1/√m, 1/√m)"][-1] < 0.1
assert gradient["tanh", "N(0, 1)"][0] > 1e4 * gradient["tanh", "N(0, 1)"][-1]
