"""
A class and a number from one image
===================================

Which digit does an image show, and by which angle is it rotated? One network with two heads learns
both. It minimizes the weighted sum of two losses. Beside it, two networks learn one task each. The
network with two heads shares its hidden layers, so it needs half of the weights.

The user guide explains :doc:`networks with several tasks </tasks>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.tasks import Classification, Regression

# %%
# Rotated digits
# --------------

digits = load_digits()
angle = np.random.default_rng(0).uniform(-45, 45, len(digits.images))
images = [
    rotate(image, degrees, reshape=False, order=1)
    for image, degrees in zip(digits.images, angle, strict=True)
]
X = np.reshape(images, (len(images), -1)) / 16
X, X_test, digit, digit_test, angle, angle_test = train_test_split(
    X, digits.target, np.radians(angle), test_size=0.3, stratify=digits.target, random_state=0
)

# %%
# One network with two heads
# --------------------------
# The squared error of an angle in radians is much smaller than the log-loss of a digit. So the
# angle gets a larger weight.

options = {
    "hidden_layer_sizes": (128, 64),
    "alpha": 0.1,
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "max_iter": 60,
    "random_state": 0,
}
tasks = {"digit": Classification(), "angle": Regression(loss_weight=5.0)}
both = MultiTaskMLP(tasks=tasks, **options).fit(X, {"digit": digit, "angle": angle})
scores = both.scores(X_test, {"digit": digit_test, "angle": angle_test})
predicted = both.predict(X_test)

figure, axes = plt.subplots(1, 6, figsize=(10, 2.4), layout="constrained")
figure.suptitle("Digits and angles that the network predicts for test images")
for i, ax in enumerate(axes):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(
        f"a {predicted['digit'][i]}, by {np.degrees(predicted['angle'][i]):.0f}°\n"
        f"(true: {digit_test[i]}, {np.degrees(angle_test[i]):.0f}°)",
        fontsize="medium",
    )
    ax.axis("off")

# %%
# Two networks
# ------------

classifier = MLPClassifier(**options).fit(X, digit)
regressor = MLPRegressor(**options).fit(X, angle)
alone = classifier.score(X_test, digit_test), regressor.score(X_test, angle_test)
n_weights = both.summary().total
n_weights_alone = classifier.summary().total + regressor.summary().total
print("                accuracy of the digit   R2 of the angle   weights")
print(f"two heads       {scores['digit']:21.3f}{scores['angle']:18.3f}{n_weights:10}")
print(f"two networks    {alone[0]:21.3f}{alone[1]:18.3f}{n_weights_alone:10}")

# %%
# The result
# ----------
# With half of the weights, the network with two heads is nearly as accurate in both tasks.

assert min(scores.values()) > 0.85
assert n_weights < 0.6 * n_weights_alone
