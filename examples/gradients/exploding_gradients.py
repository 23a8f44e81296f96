"""
Exploding gradients of a target that is not scaled
==================================================

The gradient of the squared error is proportional to the error. If the targets are in the hundreds,
so are the first errors. The first steps then throw the weights so far that the next errors are
larger still, and the loss overflows.

The remedies are a scaled target and clipped gradients. Clipping by value limits each component,
:math:`g_i \\leftarrow \\max(-c, \\min(c, g_i))`. Clipping by norm shortens the gradient and keeps
its direction, :math:`g \\leftarrow g \\, \\min(1, c / \\lVert g \\rVert)`. See
:doc:`/families/clipping`.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_regression
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdeep import MLPRegressor

LONG = os.environ.get("SKDEEP_LONG_EXAMPLES") == "1"
n_seeds = 30 if LONG else 3

# %%
# The data
# --------
# 20 standard normal columns and a linear target, with 500 rows for training and 500 for the test.

X, y = make_regression(n_samples=1000, n_features=20, noise=0.1, random_state=1)
X_train, y_train, X_test, y_test = X[:500], y[:500], X[500:], y[500:]
print(f"targets from {y.min():.0f} to {y.max():.0f}, with a standard deviation of {y.std():.0f}")

# %%
# The network
# -----------
# The lecture has a learning rate of 0.01, ``clipnorm=1.0`` and ``clipvalue=0.5``. skdeep halves the
# squared error, and so its gradient. Twice the learning rate and half of each limit give the same
# steps: see :doc:`Coming from Keras </keras/index>`. ``clipnorm`` limits the gradient of each
# parameter, as ``clip_parameter_norm`` does; ``clip_norm`` limits the norm of the whole gradient.


def network(seed=0, **options):
    return MLPRegressor(
        (25,),
        "relu",
        initializer=["he_uniform", "glorot_uniform"],  # the second is for the output layer
        bias_initializer="zeros",
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        learning_rate_init=0.02,
        batch_size=32,
        max_iter=100,
        n_iter_no_change=np.inf,
        alpha=0,
        random_state=seed,
        **options,
    )


# %%
# Without a remedy
# ----------------
# In the lecture, the errors of the network are ``nan``. Here, ``fit`` stops at once, and the error
# says what helps.

try:
    network().fit(X_train, y_train)
    message = "no error"
except ValueError as error:
    message = str(error)
print(message)

# %%
# The remedies
# ------------
# ``standardize_y=True`` scales the targets, and scales the predictions back. A scaler in
# scikit-learn's TransformedTargetRegressor does so too, also to a range.

remedies = {
    "standardize_y": {"standardize_y": True},
    "StandardScaler": {"scaler": StandardScaler()},
    "MinMaxScaler, [0, 1]": {"scaler": MinMaxScaler()},
    "MinMaxScaler, [-1, 1]": {"scaler": MinMaxScaler((-1, 1))},
    "MinMaxScaler, [0, 0.5]": {"scaler": MinMaxScaler((0, 0.5))},
    "clipnorm=1.0": {"clip_parameter_norm": 0.5},
    "norm of the whole gradient, 1.0": {"clip_norm": 0.5},
    "clipvalue=0.5": {"clip_value": 0.25},
    "clipvalue=0.5 and clipnorm=1.0": {"clip_value": 0.25, "clip_parameter_norm": 0.5},
    "Huber's loss": {"loss": "huber"},
}
learns = {"StandardScaler", "clipnorm=1.0", "clipvalue=0.5"}  # those that the lecture shows


def remedied(seed, scaler=None, **options):
    mlp = network(seed, **options)
    return mlp if scaler is None else TransformedTargetRegressor(mlp, transformer=scaler)


def errors(model):
    """Return the mean squared errors of the training and of the test rows."""
    model.fit(X_train, y_train)
    return [
        mean_squared_error(y, model.predict(X)) for X, y in ((X_train, y_train), (X_test, y_test))
    ]


results = {
    name: np.array([errors(remedied(seed, **remedy)) for seed in range(n_seeds)])
    for name, remedy in remedies.items()
}
print(f"{'mean squared error':32} {'lecture':>8} {'training':>9} {'test':>7} {'R2, test':>9}")
print(f"{'no remedy':32} {'nan':>8} {'an error, see above':>27}")
for name, table in results.items():
    training, test = table.mean(axis=0)
    claim = "learns" if name in learns else "-"
    print(f"{name:32} {claim:>8} {training:9.1f} {test:7.1f} {1 - test / y_test.var():9.4f}")

# %%
# Each remedy works. At this learning rate and after 100 epochs, the clipped networks have lower
# errors than those with scaled targets. Two limits together are no better than one. MinMaxScaler
# leaves less spread than StandardScaler, so the gradients are smaller and training takes longer.
# Huber's loss, whose gradient is limited, needs no other remedy.
#
# The long setting (``SKDEEP_LONG_EXAMPLES=1``) has 30 seeds in place of three, and these errors of
# the test rows: 155 with StandardScaler, 3353, 1376 and 6160 with MinMaxScaler, 15.8 with
# ``clipnorm=1.0``, 18.9 with a limit of the whole norm, 12.8 with ``clipvalue=0.5``, 19.9 with
# both, and 43.3 with Huber's loss.
#
# A sweep of the limits
# ---------------------
# If the limit is too low, the steps are too short for 100 epochs. If it is too high, it holds back
# too little: the error exceeds that of a constant prediction of the mean.

limits = np.geomspace(0.01, 1e4, 13 if LONG else 7)


def test_error(**options):
    """Return the error of the test rows, or infinity if training diverges."""
    try:
        return errors(network(**options))[1]
    except ValueError:
        return np.inf


sweeps = {
    kind: np.array([test_error(**{kind: limit}) for limit in limits])
    for kind in ("clip_norm", "clip_parameter_norm", "clip_value")
}
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for kind, values in sweeps.items():
    ax.plot(limits, values, "o-", label=kind)
    print(f"{kind:20}", *(f"{value:9.3g}" for value in values))
ax.axhline(y_test.var(), color="gray", linestyle=":", label="prediction of the mean")
ax.set(xscale="log", yscale="log", ylim=(1, 1e7), xlabel="limit", ylabel="mean squared error")
ax.set_title("Error of the test rows by the limit of clipping")
ax.legend()

# %%

assert "standardize_y=True" in message
assert "clip_norm=1" in message
for name, table in results.items():
    assert table[:, 1].mean() < (0.5 if "MinMax" in name else 0.03) * y_test.var()
for values in sweeps.values():
    assert values.min() < 0.01 * y_test.var()
    assert values[0] > 5 * values.min()
    assert values[-1] > y_test.var()
