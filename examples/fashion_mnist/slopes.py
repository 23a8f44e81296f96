r"""
Slopes of rectifiers compared
=============================

All these functions are :math:`z` for positive sums. They differ for negative ones:

- ReLU is 0.
- Leaky ReLU is :math:`\alpha z` with a small slope :math:`\alpha`.
- PReLU is :math:`\alpha z`, where each unit learns its own :math:`\alpha`.
- RReLU is :math:`\alpha z` with a random :math:`\alpha` in training, and with its mean afterwards.
- ELU is :math:`e^z - 1`.

The lecture reports claims from the literature: leaky ReLU always beats ReLU, and a slope of about
0.2 is better than 0.01; RReLU does fairly well and acts like a regularizer; PReLU beats ReLU on
large sets of images, and risks overfitting on small ones; ELU beats ReLU. Here, each claim is
compared with what is found on few images of clothes, and on more.

The user guide explains :doc:`activations </families/activations>`.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

from skdeep import MLPClassifier
from skdeep.activations import LeakyReLU, PReLU
from skdeep.datasets import fetch_fashion_mnist

LONG = os.environ.get("SKDEEP_LONG_EXAMPLES") == "1"

# %%
# The functions
# -------------

ACTIVATIONS = {
    "ReLU": "relu",
    "leaky ReLU 0.01": LeakyReLU(0.01),
    "leaky ReLU 0.2": LeakyReLU(0.2),
    "leaky ReLU 0.3": LeakyReLU(0.3),
    "PReLU from 0": PReLU(0.0),
    "PReLU from 0.25": PReLU(0.25),
    "RReLU": "rrelu",
    "ELU": "elu",
}

# %%
# Networks with each function
# ---------------------------
# All networks have two hidden layers of 100 units, which start from He's normal distribution, and
# are trained by Adam. Each seed draws other training images and other first weights, which are the
# same for all functions.

X, y, X_test, y_test = fetch_fashion_mnist()
N_EPOCHS = {500: 20, 10_000: 10} if LONG else {500: 20, 2500: 8}
N_SEEDS = 5 if LONG else 3


def accuracies(activation, n_images, seed):
    """Return the accuracies of a network on its training images and on test images."""
    rows = np.random.default_rng(seed).choice(len(X), n_images, replace=False)
    mlp = MLPClassifier(
        (100, 100),
        activation,
        initializer="he_normal",
        alpha=0,
        batch_size=50,
        max_iter=N_EPOCHS[n_images],
        random_state=seed,
    )
    mlp.fit(X[rows], y[rows])
    return mlp.score(X[rows], y[rows]), mlp.score(X_test[:5000], y_test[:5000])


table = np.array(
    [
        [
            [accuracies(activation, n_images, seed) for seed in range(N_SEEDS)]
            for activation in ACTIVATIONS.values()
        ]
        for n_images in N_EPOCHS
    ]
)  # of shape (sizes, functions, seeds, 2)
means, deviations = table.mean(axis=2), table.std(axis=2, ddof=1)

for n_images, mean, deviation in zip(N_EPOCHS, means, deviations, strict=True):
    print(f"{n_images:6,} images     training accuracy   test accuracy")
    for name, (train, test), (train_sd, test_sd) in zip(ACTIVATIONS, mean, deviation, strict=True):
        print(f"{name:16}  {train:.4f} +- {train_sd:.4f}    {test:.4f} +- {test_sd:.4f}")

# %%
# Differences from ReLU
# ---------------------
# A difference between two functions with the same seed varies less than the accuracies do, as both
# networks have the same images and the same first weights.

test = table[..., 1]
differences = 100 * (test - test[:, :1])
errors = differences.std(axis=2, ddof=1) / np.sqrt(N_SEEDS)
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
places = np.arange(len(ACTIVATIONS))
for i, n_images in enumerate(N_EPOCHS):
    axis.errorbar(
        differences[i].mean(axis=1)[1:],
        places[1:] + 0.2 * i - 0.1,
        xerr=errors[i][1:],
        fmt="o",
        capsize=3,
        label=f"{n_images:,} images",
    )
axis.axvline(0, color="black", linewidth=1)
axis.set_yticks(places[1:], list(ACTIVATIONS)[1:])
axis.invert_yaxis()
axis.legend()
axis.set(
    title="Test accuracy of slopes of rectifiers, compared with ReLU",
    xlabel="Difference in points (mean over seeds and its standard error)",
)

# %%
# The claims
# ----------
# The gap is the training accuracy minus the test accuracy. The rows about it compare it with that
# of ReLU. Positive figures support a claim.

difference = dict(zip(ACTIVATIONS, differences.mean(axis=2).T, strict=True))
gaps = 100 * (means[..., 0] - means[..., 1])
wider_gap = dict(zip(ACTIVATIONS, (gaps - gaps[:, :1]).T, strict=True))
claims = {
    "leaky ReLU 0.01 beats ReLU": difference["leaky ReLU 0.01"],
    "leaky ReLU 0.2 beats ReLU": difference["leaky ReLU 0.2"],
    "leaky ReLU 0.2 beats 0.01": difference["leaky ReLU 0.2"] - difference["leaky ReLU 0.01"],
    "RReLU does fairly well": difference["RReLU"],
    "RReLU narrows the gap": -wider_gap["RReLU"],
    "PReLU beats ReLU on large sets": difference["PReLU from 0.25"],
    "PReLU widens the gap on small sets": wider_gap["PReLU from 0.25"],
    "ELU beats ReLU": difference["ELU"],
}
sizes = "".join(f"{f'{n_images:,} images':>15}" for n_images in N_EPOCHS)
print(f"{'lecture':35}skdeep, points{sizes}")
for claim, points in claims.items():
    print(f"{claim:49}{points[0]:+15.2f}{points[1]:+15.2f}")

# %%
# Most of these claims do not show on these data. With 500 images, no function beats ReLU. With
# 2,500 images, all of them do, but by 0.8 points at most, and mostly by no more than two standard
# errors. A slope of 0.2 is not better than 0.01. All functions overfit the 500 images to nearly the
# same degree, PReLU and RReLU among them. With 2,500 images, the gaps of RReLU and PReLU are about
# 0.4 points narrower than that of ReLU.
#
# In the long setting, with 5 seeds and 10,000 images, leaky ReLU with a slope of 0.01 beats ReLU by
# 0.3 points. The other functions are below ReLU, by 0.0 to 0.6 points, both PReLUs among them. The
# claims come from deep convolutional networks on larger sets of images. In a dense network with two
# layers, the choice among these functions matters little.

assert np.abs(differences.mean(axis=2)).max() < 2.5
assert (means[0, :, 0] - means[0, :, 1] > 0.05).all()
