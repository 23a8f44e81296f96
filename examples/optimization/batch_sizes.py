r"""
Batch, mini-batch and online gradient descent
=============================================

Gradient descent takes a step against the mean gradient of some rows: all rows (batch), one row
(online, or stochastic), or a few (mini-batch). A mean over :math:`n_b` rows costs :math:`n_b` times
as much as one row, and its noise is smaller by the factor :math:`1 / \sqrt{n_b}` only.

The lectures say that a step with all rows takes long, that a single row is too noisy and gains
nothing from matrix computations, that mini-batches of 16 to 128 rows are in use, and that their
cost does not fall smoothly. See :doc:`/training` for the steps of a run.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeep import MLPClassifier
from skdeep.callbacks import Callback
from skdeep.optimizers import SGD

X, y = load_digits(return_X_y=True)
X = X / 16
SIZES = [1, 16, 32, 64, 128, len(y)]

# %%
# The noise of the gradient
# -------------------------
# A callback with ``every_gradient`` sees the gradient of every batch. With a rate of almost 0 the
# weights stay where they are, so the gradients of one epoch differ by their rows only.


class Gradients(Callback):
    every_gradient = True

    def on_train_begin(self, trainer):
        self.gradients_ = []

    def on_gradient(self, trainer):
        parameters = [parameter for _, parameter in trainer.network.named_parameters()]
        self.gradients_.append(np.concatenate([p.grad.ravel() for p in parameters]))


print(f"{'rows':>5}{'noise / gradient':>18}{'noise * sqrt(rows)':>20}")
noise = {}
for size in SIZES[:-1]:
    recorded = Gradients()
    MLPClassifier(
        (32,),
        solver=SGD(momentum=0),
        learning_rate_init=1e-12,
        alpha=0,
        batch_size=size,
        max_iter=1,
        callbacks=[recorded],
        random_state=0,
    ).fit(X, y)
    gradients = np.array(recorded.gradients_[: len(y) // size])  # without a smaller last batch
    mean = gradients.mean(axis=0)
    noise[size] = np.sqrt(((gradients - mean) ** 2).sum(axis=1).mean()) / np.linalg.norm(mean)
    print(f"{size:>5}{noise[size]:>18.2f}{noise[size] * np.sqrt(size):>20.2f}")

# %%
# The last column is constant: halving the noise takes four times as many rows.
#
# Loss by epoch, by step and by time
# ----------------------------------
# Each size has the best of four rates, and enough epochs to get to a low loss. The last column is
# the share of steps in which the loss of the batch is higher than that of the batch before.

EPOCHS = dict(zip(SIZES, (4, 12, 16, 20, 30, 250), strict=True))
TARGET = 0.3


class Losses(Callback):
    def on_train_begin(self, trainer):
        self.losses_ = []

    def on_batch_end(self, trainer):
        self.losses_.append(trainer.batch_loss)


models = {}
for size in SIZES:
    for rate in (0.03, 0.1, 0.3, 1.0):
        mlp = MLPClassifier(
            (32,),
            solver=SGD(momentum=0),
            learning_rate_init=rate,
            alpha=0,
            batch_size=size,
            max_iter=EPOCHS[size],
            n_iter_no_change=np.inf,
            callbacks=[Losses()],
            random_state=0,
        ).fit(X, y)
        if size not in models or mlp.loss_ < models[size].loss_:
            models[size] = mlp

figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharey=True)
print(f"{'':>5}{'':>6}{'steps of':>10}{'ms of':>8}{'us of':>7}{'until the loss is below 0.3':>30}")
print(
    f"{'rows':>5}{'rate':>6}{'an epoch':>10}{'a step':>8}{'a row':>7}{'epochs':>10}{'steps':>10}"
    f"{'seconds':>10}{'rises':>8}"
)
seconds_per_row, seconds_to_target, rises = {}, {}, {}
for size, mlp in models.items():
    losses, clock = np.array(mlp.history_["loss"]), np.cumsum(mlp.history_["seconds"])
    n_steps = int(np.ceil(len(y) / size))
    seconds_per_row[size] = np.median(mlp.history_["seconds"]) / len(y)
    n_epochs = (losses < TARGET).argmax() + 1
    assert losses[n_epochs - 1] < TARGET
    seconds_to_target[size] = clock[n_epochs - 1]
    rises[size] = np.mean(np.diff(mlp.callbacks[0].losses_) > 0)
    print(
        f"{size:>5}{mlp.learning_rate_init:>6}{n_steps:>10}"
        f"{1e3 * seconds_per_row[size] * len(y) / n_steps:>8.2f}{1e6 * seconds_per_row[size]:>7.1f}"
        f"{n_epochs:>10}{n_epochs * n_steps:>10}{clock[n_epochs - 1]:>10.3f}{rises[size]:>8.0%}"
    )
    middles = np.arange(len(losses)) + 0.5  # the loss of an epoch is a mean over its steps
    for panel, x in zip(panels, (middles, middles * n_steps, clock), strict=True):
        panel.plot(x, losses, label=f"{size} rows")
panels[0].set(title="Loss by epoch", xlabel="Epoch", ylabel="Loss of the epoch", xlim=(0, 30))
panels[1].set(title="Loss by step", xlabel="Step", xscale="log", yscale="log")
panels[2].set(title="Loss by time", xlabel="Seconds", xscale="log")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")

# %%
# A mini-batch arrives first. Online gradient descent needs as many epochs as mini-batches of 16 to
# 64 rows, but a row costs it many times as much, because each row is a small product of its own.
# Batch gradient descent has the fewest steps and the cheapest rows, but passes over all rows for
# each step. Its rate can't make up for that: with a rate of 1, its loss already rises in some
# steps.

print(f"{'lecture':<41}skdeep")
ratio = seconds_to_target[len(y)] / seconds_to_target[64]
print(f"{'a step with all rows takes long':<41}{ratio:.0f} times the seconds of 64 rows")
ratio = seconds_per_row[1] / seconds_per_row[64]
print(f"{'one row gains nothing from matrices':<41}{ratio:.0f} times the seconds of a row in 64")
print(f"{'one row: the variance is too big':<41}noise of {noise[1]:.1f} times the gradient")
text = f"rises in {rises[64]:.0%} of the steps with 64 rows, {rises[len(y)]:.0%} with all"
print(f"{'the cost does not fall smoothly':<41}{text}")

fastest = min(seconds_to_target[size] for size in (16, 32, 64, 128))
assert fastest < seconds_to_target[1]
assert fastest < seconds_to_target[len(y)]
assert seconds_per_row[1] > 5 * seconds_per_row[64]
assert np.allclose([noise[size] * np.sqrt(size) for size in noise], noise[1], rtol=0.1)
assert rises[64] > rises[len(y)]
