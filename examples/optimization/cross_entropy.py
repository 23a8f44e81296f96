r"""
Cross-entropy and squared error on saturated outputs
====================================================

The output of a neuron is :math:`\hat y = \sigma(z)`, with :math:`z = w x + b`. The gradient of the
cross-entropy and that of half the squared error are

.. math::

    \frac{\partial L_{CE}}{\partial w} = x (\hat y - y), \qquad
    \frac{\partial L_{SE}}{\partial w} = x (\hat y - y) \, \sigma'(z).

If the neuron saturates at the wrong end, :math:`\sigma'(z)` is nearly 0. The squared error then has
hardly any gradient, although the error is at its largest. The same holds for the softmax.
:doc:`/losses` has the formulas of all losses.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit, logsumexp, softmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.initializers import Constant, EvenlySpaced, Normal

losses = {"cross-entropy": "log_loss", "squared error": "squared_error"}

# %%
# The gradient of one neuron
# --------------------------
# One step of gradient descent with a learning rate of 1 changes a weight by its gradient. The step
# is made for :math:`x = 1` and the target 0. For the softmax, there are three classes with the
# logits -z, 0 and z, and the first class is the true one. The squared error of a softmax is the
# mean over its classes:
#
# .. math::
#
#     \frac{\partial L_{CE}}{\partial z_j} = p_j - y_j, \qquad
#     \frac{\partial L_{SE}}{\partial z_j}
#     = \frac{p_j}{K} \Bigl((p_j - y_j) - \sum_k p_k (p_k - y_k)\Bigr).


def gradient(loss, initializer, classes):
    """Return the gradient of the weights for one row with x = 1 and class 0."""
    mlp = MLPClassifier(
        (),
        loss=loss,
        initializer=[initializer],
        bias_initializer="zeros",
        solver="sgd",
        momentum=0,
        learning_rate_init=1.0,
        alpha=0,
        random_state=0,
    )
    first = np.zeros((1, 1 if len(classes) == 2 else len(classes)))
    initializer.fill(first, None)
    return (first - mlp.partial_fit([[1.0]], [0], classes=classes).coefs_[0])[0]


logits = np.linspace(-10, 10, 41)
one_neuron = {
    name: np.array([gradient(loss, Constant(z), [0, 1])[0] for z in logits])
    for name, loss in losses.items()
}
first_of_three = {
    name: np.array([gradient(loss, EvenlySpaced(-z, z), [0, 1, 2])[0] for z in logits])
    for name, loss in losses.items()
}

p = expit(logits)
P, Y = softmax(np.outer(logits, [-1, 0, 1]), axis=1), np.array([1, 0, 0])
inner = np.sum(P * (P - Y), axis=1)
formulas = {
    "sigmoid": {"cross-entropy": p, "squared error": p * p * (1 - p)},
    "softmax": {
        "cross-entropy": P[:, 0] - 1,
        "squared error": P[:, 0] / 3 * (P[:, 0] - 1 - inner),
    },
}

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, kind, found in zip(axes, formulas, (one_neuron, first_of_three), strict=True):
    for name, values in found.items():
        (line,) = ax.plot(logits, formulas[kind][name], label=f"{name}, formula")
        ax.plot(logits, values, ".", color=line.get_color(), label=f"{name}, skdeep")
    ax.set(title=kind, xlabel="z", ylabel="gradient")
axes[0].legend()
figure.suptitle("Gradients of a neuron that should be 0, and of the first of three classes")

for kind, found in zip(formulas, (one_neuron, first_of_three), strict=True):
    for name, values in found.items():
        print(f"{kind}, {name:14} gradient at z = 10: {values[-1]:9.2g}")
        np.testing.assert_allclose(values, formulas[kind][name], atol=1e-12)

# %%
# Training from a saturated start
# -------------------------------
# Two linear models start saturated. One learns to tell the digit 1 from the others, and starts from
# a bias of 10. The other one learns to tell all digits apart, and starts from weights of N(0, 1).

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
starts = {
    "sigmoid, bias of 10": ("zeros", Constant(10), y_train == 1, y_test == 1),
    "softmax, weights of N(0, 1)": (Normal(0, 1), "zeros", y_train, y_test),
}

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
scores = {}
for ax, (start, (weights, bias, target, target_test)) in zip(axes, starts.items(), strict=True):
    for name, loss in losses.items():
        mlp = MLPClassifier(
            (),
            loss=loss,
            initializer=[weights],
            bias_initializer=[bias],
            solver="sgd",
            momentum=0,
            learning_rate_init=0.5,
            max_iter=50,
            n_iter_no_change=np.inf,
            alpha=0,
            random_state=0,
        ).fit(X_train, target, X_val=X_test, y_val=target_test)
        ax.plot(range(1, 51), mlp.history_["val_score"], label=name)
        scores[start, name] = mlp.score(X_test, target_test)
    ax.set(title=start, xlabel="epoch")
axes[0].set_ylabel("accuracy on the test rows")
axes[0].legend(loc="center right")
figure.suptitle("Accuracy by epoch from a saturated start")

print(f"{'accuracy after 50 epochs':44} {'lecture':>11} {'skdeep':>7}")
for (start, name), score in scores.items():
    claim = "learns" if name == "cross-entropy" else "slows down"
    print(f"{start + ', ' + name:44} {claim:>11} {score:7.3f}")

# %%
# The claim holds. From these starts, the squared error hardly moves in 50 epochs, and the
# cross-entropy learns.
#
# Logits and the log-sum-exp
# --------------------------
# The logarithm of a softmax is :math:`\log p_i = z_i - \log \sum_j e^{z_j}`. Step by step, from the
# exponential to the logarithm, large logits overflow. skdeep computes the loss from the logits,
# which ``decision_function`` returns. ``predict_log_proba`` is finite too. Its lowest possible
# value is -744.4, the logarithm of the smallest positive number of float64. Here, the weights of
# the last model are multiplied by 1,000.

mlp.coefs_[0][:] *= 1000
Z = mlp.decision_function(X_test)
with np.errstate(all="ignore"):
    naive = np.log(np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True))
exact = Z - logsumexp(Z, axis=1, keepdims=True)
stable = mlp.predict_log_proba(X_test)
print(f"logits from {Z.min():.0f} to {Z.max():.0f}")
for name, values in {"naive": naive, "logits": exact, "predict_log_proba": stable}.items():
    n_infinite, n_nan = np.isinf(values).sum(), np.isnan(values).sum()
    print(f"{name:18} {n_infinite:4} infinite, {n_nan:4} nan, smallest {np.nanmin(values):.1f}")

assert not np.isfinite(naive).all()
assert np.isfinite(stable).all()
shown = exact > -700
np.testing.assert_allclose(stable[shown], exact[shown], rtol=1e-6, atol=1e-9)
for start in starts:
    assert scores[start, "cross-entropy"] > 0.9
    assert scores[start, "squared error"] < 0.6
