r"""
A learning rate that decays
===========================

With batches, the gradient stays noisy at the minimum, so a constant rate keeps the weights moving
around it. Robbins and Monro showed that rates :math:`\mu_n` make the noise average out, and still
let the weights get to the minimum from anywhere, if

.. math:: \sum_n \mu_n = \infty \qquad\text{and}\qquad \sum_n \mu_n^2 < \infty.

The lecture lists four ways to lower the rate: in steps, exponentially
(:math:`\alpha_0 e^{-kt}`), by time (:math:`\alpha_0 / (1 + kt)`) and linearly. The reason that it
gives is "to prevent bouncing around minimums". A cosine and a warm-up are more recent.
:doc:`/families/schedules` has all schedules.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier
from skdeep.optimizers import SGD
from skdeep.plotting import ScheduleDisplay
from skdeep.schedules import Constant, Exponential, InverseTime, Linear, Progress, Step, Warmup

# %%
# The conditions on the mean of numbers
# -------------------------------------
# The weight :math:`\theta` descends :math:`(\theta - x)^2 / 2` for one random number :math:`x`
# after another. The minimum of the expectation is the mean of the numbers, which is 0 here. The
# start is 5. Each schedule has 500 runs of 2,000 steps.

rng = np.random.default_rng(0)
N_STEPS, N_RUNS = 2000, 500
CASES = {  # the schedule, its first rate, and the sums of all rates and of their squares
    "constant": (Constant(), 0.1, "infinite", "infinite"),
    "1/t": (InverseTime(decay=1.0), 1.0, "infinite", "finite"),
    "exponential": (Exponential(decay=0.95), 0.1, "finite", "finite"),
}
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
print(f"{'':<13}{'sum of':>10}{'sum of':>10}{'mean of':>9}{'spread of':>11}")
print(f"{'schedule':<13}{'rates':>10}{'squares':>10}{'theta':>9}{'theta':>11}")
errors = {}
for name, (schedule, initial, rates, squares) in CASES.items():
    theta, errors[name] = np.full(N_RUNS, 5.0), []
    for step in range(N_STEPS):
        rate = schedule.rate(initial, Progress(epoch=step, n_epochs=N_STEPS))
        theta -= rate * (theta - rng.normal(size=N_RUNS))
        errors[name].append(np.sqrt(np.mean(theta**2)))
    print(f"{name:<13}{rates:>10}{squares:>10}{theta.mean():>9.3f}{theta.std():>11.3f}")
    axes.plot(np.arange(1, N_STEPS + 1), errors[name], label=name)
axes.set(title="Distance from the minimum under three schedules", xscale="log", yscale="log")
axes.set(xlabel="Step", ylabel="Root of the mean squared distance")
axes.legend()

# %%
# The constant rate arrives and bounces: its spread does not fall. The exponential decay stops
# before it arrives, because its rates sum to only 2. The rate :math:`1 / (1 + t)` meets both
# conditions. With it, :math:`\theta` is exactly the mean of the numbers so far.
#
# The schedules on digits
# -----------------------
# The classifier changes 10% of the labels of each batch (``target_noise``), so that the gradient
# does not lose its noise when the network has learned all rows.

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X / 16, y, stratify=y, random_state=0)

N_EPOCHS = 20
SCHEDULES = {
    "constant": "constant",
    "step": Step(factor=0.5, every=4),
    "exponential": Exponential(decay=math.exp(-0.15)),
    "1/t": InverseTime(decay=0.5),
    "linear": Linear(),
    "cosine": "cosine",
    "warm-up, cosine": Warmup("cosine", epochs=2),
}
models = {}
for name, schedule in {**SCHEDULES, "constant, low": "constant"}.items():
    models[name] = MLPClassifier(
        (64,),
        solver=SGD(momentum=0),
        learning_rate=schedule,
        learning_rate_init=0.06 if name == "constant, low" else 0.6,
        batch_size=16,
        target_noise=0.1,
        max_iter=N_EPOCHS,
        n_iter_no_change=math.inf,
        random_state=0,
    ).fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# The bounce is the range of the validation loss over the last five epochs.

bounce = {}
print(f"{'':<17}{'rate of the':>12}{'training':>10}{'validation':>12}{'validation':>12}")
print(f"{'schedule':<17}{'last step':>12}{'loss':>10}{'loss':>12}{'accuracy':>12}{'bounce':>9}")
for name, mlp in models.items():
    history = mlp.history_
    bounce[name] = np.ptp(history["val_loss"][-5:])
    print(
        f"{name:<17}{history['learning_rate'][-1]:>12.4f}{history['loss'][-1]:>10.3f}"
        f"{history['val_loss'][-1]:>12.3f}{history['val_score'][-1]:>12.3f}{bounce[name]:>9.3f}"
    )

# %%
# With the constant rate, the network bounces until the end. Every schedule that lowers the rate
# ends with a lower loss, and bounces a tenth as much or less. A constant rate that is ten times
# lower bounces little too, but after 20 epochs it has not arrived.
#
# The four decays of the lecture end close to each other. Linear decay, cosine, and cosine after a
# warm-up keep a high rate for longer, and reach 0 at ``max_iter``. Their training losses are the
# lowest.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
ScheduleDisplay.from_schedules(
    *SCHEDULES.values(), learning_rate_init=0.6, n_epochs=N_EPOCHS, ax=left
)
left.get_legend().remove()
left.set(title="Learning rate", yscale="linear")
for name, mlp in models.items():
    right.plot(range(1, N_EPOCHS + 1), mlp.history_["val_loss"], label=name)
right.set(title="Validation loss", xlabel="Epoch", yscale="log")
for axes in (left, right):
    axes.set_xticks(range(0, N_EPOCHS + 1, 5))
figure.legend(*right.get_legend_handles_labels(), loc="outside right center")

# %%

print(f"{'lecture':<38}skdeep: bounce / bounce of the constant rate")
for name in ("step", "exponential", "1/t", "linear"):
    print(f"{name + ' decay prevents bouncing':<38}{bounce[name] / bounce['constant']:.2f}")

assert errors["1/t"][-1] < errors["constant"][-1] / 3 < errors["exponential"][-1] / 3
for name in SCHEDULES:
    if name != "constant":
        assert bounce[name] < bounce["constant"] / 2
        assert models[name].loss_ < models["constant"].loss_
