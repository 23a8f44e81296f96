"""
Pretraining on an auxiliary task
================================

Only 40 of 1,797 images of digits have a label. All images can be placed on a map on which similar
images are close to each other, and a regressor learns the position of an image on the map. To do so
it has to learn which images are similar. Learning positions is an *auxiliary task*: a classifier
starts with the hidden layers that the regressor has learned.

The user guide explains :doc:`the reuse of layers </reuse>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import SpectralEmbedding
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor

# %%
# The auxiliary task
# ------------------
# The map has 12 dimensions. The picture shows two of them; the colours are the digits, which the
# map does not know.

X, y = load_digits(return_X_y=True)
X = X / 16
places = SpectralEmbedding(n_components=12, n_neighbors=10, random_state=0).fit_transform(X)
places = StandardScaler().fit_transform(places)

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
points = ax.scatter(places[:, 3], places[:, 6], c=y, cmap="tab10", s=8)
figure.colorbar(points, ax=ax, label="Digit", ticks=range(10))
ax.set(title="A map of images of digits", xlabel="Dimension 4", ylabel="Dimension 7")

network = {"hidden_layer_sizes": (128, 32), "activation": "tanh", "learning_rate_init": 0.003}
auxiliary = MLPRegressor(**network, max_iter=150, random_state=0).fit(X, places)

# %%
# Forty labels
# ------------
# One classifier starts from scratch. The other one keeps the two hidden layers of the regressor,
# and trains its output layer only. The test rows are all other images.

starts = {
    "from scratch": {},
    "after the auxiliary task": {"pretrained": FrozenEstimator(auxiliary), "frozen_layers": 2},
}
accuracies = []
print("draw   from scratch   after the auxiliary task")
for draw in range(5):
    order = np.random.default_rng(draw).permutation(len(X))
    few, rest = order[:40], order[40:]
    accuracies.append(
        [
            MLPClassifier(**network, **start, random_state=draw)
            .fit(X[few], y[few])
            .score(X[rest], y[rest])
            for start in starts.values()
        ]
    )
    print("{:4d}   {:12.3f}   {:24.3f}".format(draw, *accuracies[-1]))
scratch, prepared = means = np.mean(accuracies, axis=0)
print("mean   {:12.3f}   {:24.3f}".format(*means))

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for pair in accuracies:
    ax.plot(list(starts), pair, "o-", color="C0", alpha=0.5)
ax.plot(list(starts), means, "s-", color="black", label="mean")
ax.set(title="Accuracy with 40 labels, in five draws", ylabel="Accuracy", xlim=(-0.4, 1.4))
ax.legend()

# %%
# The result
# ----------
# In every draw, the classifier with the prepared layers is more accurate. The mean rises from 0.74
# to 0.90.

assert prepared > scratch + 0.1
