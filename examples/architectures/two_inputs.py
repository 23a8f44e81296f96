"""
Two kinds of inputs from one data frame
=======================================

Some columns of a table are the pixels of an image, others are a few numbers. A branch of the
network takes the image, and another one the numbers. Both meet in a layer above them. ``Columns``
selects the columns of a branch by name.

The user guide explains :doc:`branches and columns </networks>`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier
from skdeep.layers import Columns, Concatenate, Dense, Dropout

# %%
# The table
# ---------
# Six of ten pixels of each image are lost. The numbers describe the whole image: how much ink it
# has, and how much of it in the upper half and on the left.

digits = load_digits(as_frame=True)
images, rng = digits.data / 16, np.random.default_rng(0)
hidden = images.mask(rng.random(images.shape) < 0.6, 0.0)
numbers = pd.DataFrame(
    {
        "ink": images.sum(axis=1) / 64,
        "upper": images.iloc[:, :32].mean(axis=1),
        "left": images.filter(regex="_[0-3]$").mean(axis=1),
    }
)
X = pd.concat([hidden, numbers], axis=1)
X_train, X_test, y_train, y_test = train_test_split(X, digits.target, random_state=0)
print(X[["pixel_0_2", "pixel_0_3", "pixel_0_4", "ink", "upper", "left"]].head(3).round(3))

figure, axes = plt.subplots(2, 6, figsize=(8, 3), layout="constrained")
figure.suptitle("Images of digits, and what is left of their pixels")
for i, column in enumerate(axes.T):
    for ax, table in zip(column, (images, hidden), strict=True):
        ax.imshow(table.to_numpy()[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.axis("off")

# %%
# The branches
# ------------
# The first network sees the image alone. The second one has both branches.

pixels = [Columns(make_column_selector("^pixel_")), Dropout(0.1), Dense(64, "relu")]
few = [Columns(["ink", "upper", "left"]), Dense(16, "tanh")]
both = Concatenate([("image", pixels), ("numbers", few)])
stacks = {
    "the image alone": [*pixels, Dense(32, "relu")],
    "both": [both, ("top", Dense(32, "relu"))],
}
accuracies = {}
for name, layers in stacks.items():
    mlp = MLPClassifier(
        layers=layers, learning_rate_init=0.003, early_stopping=True, random_state=0
    ).fit(X_train, y_train)
    accuracies[name] = mlp.score(X_test, y_test)
    print(f"{name}: accuracy {accuracies[name]:.3f}")
print(mlp.summary())

# %%
# The result
# ----------
# The numbers make up for some of the lost pixels: the accuracy rises from 0.63 to 0.73.

assert accuracies["both"] > accuracies["the image alone"] + 0.03
