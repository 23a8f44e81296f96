"""
Learning curves by the number of rows
=====================================

Do more rows help? A learning curve shows the score on training and validation rows for a growing
number of training rows. If both curves are low and close, the network has a high bias, and more
rows are of no use. If there is a gap between them that still shrinks, the variance is high, and
more rows help. The networks of skdeep are estimators of scikit-learn, so its
:class:`~sklearn.model_selection.LearningCurveDisplay` draws the curves. :doc:`/splits` explains
bias and variance.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import LearningCurveDisplay, StratifiedShuffleSplit

from skdeep import MLPClassifier
from skdeep.inspection import bias_variance_report

# %%
# Three networks
# --------------
# The images of digits get some noise, so that they are not too easy. The third network is the
# second one with noise on its inputs. The noise is drawn again for every batch, and regularizes the
# network.

X, y = load_digits(return_X_y=True)
X = X / 16 + np.random.default_rng(0).normal(0, 0.2, X.shape)
options = {"max_iter": 60, "batch_size": 64, "n_iter_no_change": np.inf, "random_state": 0}
networks = {
    "3 units": MLPClassifier(3, "tanh", learning_rate_init=0.01, **options),
    "100 units": MLPClassifier(100, learning_rate_init=0.003, **options),
    "100 units, noise": MLPClassifier(100, learning_rate_init=0.003, input_noise=0.4, **options),
}

# %%
# The curves
# ----------
# The title of each picture has the verdict of :func:`~skdeep.inspection.bias_variance_report` on
# the errors with all rows.

figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
figure.suptitle("Learning curves by the number of rows, and the verdicts with all rows")
errors, verdicts = {}, {}
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    display = LearningCurveDisplay.from_estimator(
        network,
        X,
        y,
        train_sizes=[100, 200, 400, 800, 1400],
        cv=StratifiedShuffleSplit(2, test_size=0.2, random_state=0),
        score_name="Accuracy",
        ax=ax,
    )
    scores = np.array([display.train_scores, display.test_scores])  # part, size, split
    errors[name] = train, validation = 1 - scores.mean(axis=2)
    report = bias_variance_report(train[-1], validation[-1], tolerance=0.05)
    ax.set(title=f"{name}:\n{report.verdict}", xlabel="Training rows")
    verdicts[name] = report.verdict
    print(f"{name}\n  rows       {display.train_sizes}")
    print(f"  training   {train.round(3)}\n  validation {validation.round(3)}")
    print(f"  {report.verdict}: {report.advice}")

# %%
# The result
# ----------
# Three units are too few. The training error rises with the number of rows, the validation error
# falls, and both approach an error near 30%. More rows can't lower it further. The bias is the
# larger part of the error.
#
# With 100 units, no training row is wrong, and the validation error falls with every step. With all
# rows it is 10%: high variance. Noise on the inputs hardly changes it with few rows, and lowers it
# to 6% with all of them.

assert "high bias" in verdicts["3 units"]
assert verdicts["100 units"] == "high variance"
assert verdicts["100 units, noise"] == "neither"
plain, noisy = errors["100 units"][1], errors["100 units, noise"][1]
assert plain[-1] < plain[0] - 0.08
assert noisy[-1] < plain[-1] - 0.01
