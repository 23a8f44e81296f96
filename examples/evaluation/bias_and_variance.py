r"""
Bias and variance by the table
==============================

Two errors show what to do next. The *bias* is the training error minus the Bayes error, the lowest
error that is possible on new rows. The *variance* is the development error minus the training
error. :func:`~skdeep.inspection.bias_variance_report` names the one that is high, and its remedies.
First it judges the tables of two lectures, then a network for digits on its way to a small error.
:doc:`/splits` explains the errors of the parts of the data.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier
from skdeep.inspection import bias_variance_report

# %%
# The tables of the lectures
# --------------------------
# All errors are in percent. In the first lecture people make no errors: its Bayes error is 0. In
# the second one, people err in 0.5% of the pictures of cats and dogs.

both, neither = "high bias and high variance", "neither"
cases = [  # the errors of training and development rows, the Bayes error, the lecture's verdict
    ("scenario 1", 1, 16, 0, "high variance"),
    ("scenario 2", 15, 16, 0, "high bias"),
    ("scenario 3", 15, 30, 0, both),
    ("scenario 4", 0.5, 1, 0, neither),
    ("A1", 1, 11, 0.5, "high variance"),
    ("A2", 15, 16, 0.5, "high bias"),
    ("A3", 15, 30, 0.5, both),
    ("A4", 0.5, 1, 0.5, neither),
    ("A5", 0.3, 0.4, 0.5, "?"),
]
line = "{:12}{:>6}{:>6}{:>7}{:>7}{:>10}   {:29}{}"
print(line.format("", "train", "dev", "Bayes", "bias", "variance", "lecture", "skdeep"))
verdicts = {}
for name, train, dev, bayes, lecture in cases:
    report = bias_variance_report(train / 100, dev / 100, bayes / 100)
    bias, variance = (f"{100 * value:.1f}" for value in (report.bias, report.variance))
    verdicts[name] = report.verdict
    print(line.format(name, train, dev, bayes, bias, variance, lecture, report.verdict))

# %%
# The verdicts agree. The lecture leaves the last row open: both errors are below the Bayes error.
# The report concludes that the Bayes error must be lower than it was thought to be. For A4, the
# lecture gives a bias of 0.5; but 0.5 - 0.5 is 0, and the verdict is the same.
#
# The basic recipe on a network
# -----------------------------
# The images of digits get some noise, so that they are not too easy. The recipe asks two questions
# in turn. Is the bias high? Then make the network larger, or train longer. Is the variance high?
# Then regularize, or get more data. Every step is repeated with three seeds.

X, y = load_digits(return_X_y=True)
X = X / 16 + np.random.default_rng(0).normal(0, 0.2, X.shape)
X_train, X_dev, y_train, y_dev = train_test_split(X, y, stratify=y, test_size=600, random_state=0)
steps = {
    "2 hidden units,\n300 rows": (300, {"hidden_layer_sizes": 2}),
    "256 units": (300, {"hidden_layer_sizes": 256}),
    "and noise\non the inputs": (300, {"hidden_layer_sizes": 256, "input_noise": 0.4}),
    "and all\n1,197 rows": (1197, {"hidden_layer_sizes": 256, "input_noise": 0.4}),
}
options = {"batch_size": 32, "max_iter": 60, "n_iter_no_change": np.inf}
errors = np.empty((len(steps), 3, 2))
for i, (n_rows, settings) in enumerate(steps.values()):
    X_few, y_few = X_train[:n_rows], y_train[:n_rows]
    for seed in range(3):
        mlp = MLPClassifier(**settings, **options, random_state=seed).fit(X_few, y_few)
        errors[i, seed] = 1 - mlp.score(X_few, y_few), 1 - mlp.score(X_dev, y_dev)
means = errors.mean(axis=1)
reports = [bias_variance_report(*pair) for pair in means]
for name, report in zip(steps, reports, strict=True):
    print(f"{name.replace(chr(10), ' ')}\n  {str(report).replace(chr(10), chr(10) + '  ')}")

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
places = np.arange(len(steps))
for k, part in enumerate(("training", "development")):
    bars = ax.bar(places + 0.4 * k - 0.2, means[:, k], 0.4, label=f"{part} rows")
    ax.bar_label(bars, fmt="{:.1%}")
ax.set_xticks(places, steps)
ax.set(title="The basic recipe: errors after each step", ylabel="Error, mean of three seeds")
ax.legend()

# %%
# The result
# ----------
# Two hidden units have a high bias. The large network knows its 300 rows by heart, so its bias is 0
# and its variance is high. Noise on the inputs, a regularizer, lowers the development error from
# 15.5 to 12.9%. Four times as many rows lower it to 6.5%. The variance is then just above 3%,
# the tolerance of the report.

assert all(verdicts[name] == lecture for name, *_, lecture in cases[:-1])
assert verdicts["A5"] == "Bayes error too high"
assert "high bias" in reports[0].verdict
assert reports[1].verdict == "high variance"
assert means[1, 1] < means[0, 1] - 0.3  # the larger network
assert means[2, 1] < means[1, 1]  # noise on the inputs
assert means[3, 1] < means[2, 1] - 0.02  # more rows
