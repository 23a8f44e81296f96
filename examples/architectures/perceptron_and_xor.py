r"""
The perceptron and XOR
======================

A perceptron is one layer of threshold units: :math:`h(x) = \mathrm{step}(x^\top w + b)`. Its rule
goes through the rows one by one. If a row is predicted wrongly, the rule adds
:math:`\eta \, (y - h(x)) \, x` to the weights. The rule ends at weights without an error if a
straight line separates the classes. No line separates the classes of XOR, so no perceptron can
compute it. A network with one hidden layer can.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import Perceptron
from sklearn.preprocessing import scale
from sklearn.utils import shuffle

from skdeep import MLPClassifier
from skdeep.losses import ClassificationLoss

# %%
# The rule as a loss
# ------------------
# The perceptron's rule is gradient descent with one row in a batch. For a raw output :math:`z` and
# the sign :math:`s = \pm 1` of the class, the loss of a row is :math:`\max(0, -s z)`. Its
# derivative is :math:`-s` if the sign of :math:`z` is wrong, and 0 otherwise. :doc:`/losses`
# describes the arguments of the method.


class PerceptronLoss(ClassificationLoss):
    def value_and_grad(self, Y, Z, weight, work):
        sign = 2 * Y - 1
        value = np.maximum(0, -sign * Z).mean()
        Z[:] = np.where(sign * Z <= 0, -sign, 0) / len(Z)
        return float(value)


def perceptrons():
    """Return the perceptron of scikit-learn, and the same rule in skdeep."""
    rule = MLPClassifier(
        (),
        loss=PerceptronLoss(),
        initializer="zeros",
        bias_initializer="zeros",
        solver="sgd",
        momentum=0,
        learning_rate_init=1.0,
        alpha=0,
        batch_size=1,
        shuffle=False,
        max_iter=20,
        n_iter_no_change=np.inf,
    )
    return Perceptron(shuffle=False, max_iter=20, tol=None), rule


# %%
# Classes with and without a line between them
# --------------------------------------------
# The length and the width of a petal tell setosa from the two other kinds of iris. Versicolor lies
# between the other two, and no line separates it from them.

X, species = shuffle(*load_iris(return_X_y=True), random_state=0)
petals = scale(X[:, 2:])

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
figure.suptitle("Perceptrons on petals of irises")
rules = {}
for kind, (name, ax) in enumerate(zip(("setosa", "versicolor"), axes, strict=True)):
    reference, rule = (model.fit(petals, species == kind) for model in perceptrons())
    np.testing.assert_allclose(rule.coefs_[0].T, reference.coef_)
    np.testing.assert_allclose(rule.intercepts_[0], reference.intercept_)
    rules[name] = rule
    print(f"{name}, weights of scikit-learn {reference.coef_[0].round(2)}", end=", ")
    print(f"of skdeep {rule.coefs_[0][:, 0].round(2)}")
    print(f"  loss of epochs 1 to 4 {np.round(rule.history_['loss'][:4], 2)}", end=", ")
    print(f"of epochs 17 to 20 {np.round(rule.history_['loss'][-4:], 2)}")
    DecisionBoundaryDisplay.from_estimator(
        rule, petals, response_method="predict", cmap="coolwarm", alpha=0.4, ax=ax
    )
    ax.scatter(*petals.T, c=species == kind, cmap="coolwarm", s=8)
    ax.set(title=f"Is it {name}?", xlabel="Length, standardized", ylabel="Width, standardized")

# %%
# The weights of both libraries are equal. For setosa, no row is wrong after the first epoch, and
# the weights no longer change. For versicolor, the rule never ends.
#
# Logical functions
# -----------------
# A threshold unit can compute AND and OR. It can't compute XOR.

corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
functions = {"AND": ([0, 0, 0, 1], "yes"), "OR": ([0, 1, 1, 1], "yes"), "XOR": ([0, 1, 1, 0], "no")}
accuracies = {}
print("       lecture: can a    accuracy")
print("       perceptron?       scikit-learn   skdeep")
for name, (truth, verdict) in functions.items():
    accuracies[name] = [model.fit(corners, truth).score(corners, truth) for model in perceptrons()]
    print("{:7}{:18}{:12.2f}{:9.2f}".format(name, verdict, *accuracies[name]))

# %%
# Four networks for XOR
# ---------------------
# The rows now lie around the four corners.
#
# - The first network is the perceptron.
# - The second one has two step units, whose weights are set by hand: "at least one input is 1" and
#   "both are 1". The output is 1 if the first unit is on and the second one is off.
# - The third one learns the weights of eight step units. The derivative of a step is 0, so training
#   takes that of the identity: the gradient goes straight through.
# - The fourth one has eight tanh units. The tanh is a smooth step, as backpropagation asks for.

rng = np.random.default_rng(0)
X = np.repeat(corners, 60, axis=0) + rng.normal(0, 0.12, (240, 2))
y = np.repeat([0, 1, 1, 0], 60)

by_hand = MLPClassifier((2,), "step")
by_hand.coefs_ = [np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[1.0], [-1.0]])]
by_hand.intercepts_ = [np.array([-0.5, -1.5]), np.array([-0.5])]
by_hand.classes_ = np.array([0, 1])

options = {"learning_rate_init": 0.02, "batch_size": 32, "max_iter": 200, "random_state": 0}
networks = {
    "Perceptron": perceptrons()[1].fit(X, y),
    "Two step units, by hand": by_hand,
    "Eight step units, trained": MLPClassifier((8,), "step", **options).fit(X, y),
    "Eight tanh units, trained": MLPClassifier((8,), "tanh", **options).fit(X, y),
}

scores = {}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
figure.suptitle("XOR: what a perceptron and three networks predict")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    scores[name] = network.score(X, y)
    DecisionBoundaryDisplay.from_estimator(
        network, X, response_method="predict", cmap="coolwarm", alpha=0.4, ax=ax
    )
    ax.scatter(*X.T, c=y, cmap="coolwarm", s=8)
    ax.set(title=f"{name}\naccuracy {scores[name]:.2f}", xlabel="$x_1$", ylabel="$x_2$")

# %%
# The line of the perceptron leaves at least one corner on its wrong side. The three networks with a
# hidden layer separate all corners.

assert rules["setosa"].score(petals, species == 0) == 1
assert rules["setosa"].history_["loss"][-1] == 0
assert min(rules["versicolor"].history_["loss"]) > 0
assert accuracies["AND"] == accuracies["OR"] == [1, 1]
assert max(accuracies["XOR"]) <= 0.75
assert scores["Perceptron"] < 0.8
assert min(list(scores.values())[1:]) > 0.95
