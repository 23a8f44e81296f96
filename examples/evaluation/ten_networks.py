r"""
Ten networks and their test errors
==================================

Two networks that differ in their first weights only have different test errors. So one network of
each kind does not tell which kind is better. This example trains ten networks of each kind on the
same rows of three data sets, draws all test errors, and computes how many seeds it takes to tell
two kinds apart. :doc:`/searching` explains searches over many kinds of networks.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor

N_SEEDS = 10


def kinds(reference, network):
    """Return the networks to compare: one of scikit-learn, and four of skdeep."""
    shape = {"hidden_layer_sizes": (64,), "max_iter": 50}
    return {
        "scikit-learn": reference(**shape),
        "skdeep": network(**shape),
        "batch norm": network(**shape, batch_norm="after"),
        "three layers": network(**{**shape, "hidden_layer_sizes": (64, 64, 64)}),
        "input noise": network(**shape, input_noise=0.5),
    }


classifiers = kinds(sklearn.neural_network.MLPClassifier, MLPClassifier)
regressors = kinds(sklearn.neural_network.MLPRegressor, MLPRegressor)
sets = {
    "digits": (load_digits, classifiers),
    "breast cancer": (load_breast_cancer, classifiers),
    "diabetes": (load_diabetes, regressors),
}

# %%
# Ten errors of each kind
# -----------------------
# The error is the share of wrong test rows. For the numbers of the diabetes set it is 1 - R2. All
# networks of a data set have the same training rows and test rows, and differ in ``random_state``.

errors = {}
for name, (load, networks) in sets.items():
    X, y = load(return_X_y=True)
    classes = is_classifier(next(iter(networks.values())))
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.6, stratify=y if classes else None, random_state=0
    )
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    if not classes:
        y_train, y_test = ((part - y_train.mean()) / y_train.std() for part in (y_train, y_test))
    for kind, network in networks.items():
        fitted = [
            clone(network).set_params(random_state=seed).fit(X_train, y_train)
            for seed in range(N_SEEDS)
        ]
        errors[name, kind] = np.array([1 - mlp.score(X_test, y_test) for mlp in fitted])

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
figure.suptitle("Ten networks of each kind: their test errors, and the means")
for ax, name in zip(axes, sets, strict=True):
    for i, kind in enumerate(classifiers):
        values = errors[name, kind]
        ax.plot(values, i + np.linspace(-0.2, 0.2, N_SEEDS), "o", color=f"C{i}", alpha=0.6)
        ax.plot([values.mean()] * 2, [i - 0.35, i + 0.35], color="black")
    ax.set_yticks(range(len(classifiers)), classifiers)
    ax.set(title=name, xlabel="Test error")
    ax.invert_yaxis()

# %%
# How many seeds?
# ---------------
# Two kinds with means :math:`m_1, m_2` and standard deviations :math:`s_1, s_2` of the errors are
# told apart in four of five experiments, at a level of 5%, with :math:`n = 2.8^2 (s_1^2 + s_2^2) /
# (m_1 - m_2)^2` seeds each. The last column is this number for a comparison with the plain network
# of skdeep.

print(f"{'':16}{'kind':14}{'mean':>7}{'std':>8}{'best':>8}{'worst':>8}{'seeds':>8}")
needed = {}
for (name, kind), values in errors.items():
    plain = errors[name, "skdeep"]
    gap, variances = abs(values.mean() - plain.mean()), values.var(ddof=1) + plain.var(ddof=1)
    if kind != "skdeep":
        needed[name, kind] = max(2, int(np.ceil(2.8**2 * variances / max(gap, 1e-6) ** 2)))
    print(
        f"{name:16}{kind:14}{values.mean():7.3f}{values.std(ddof=1):8.4f}"
        f"{values.min():8.3f}{values.max():8.3f}{needed.get((name, kind), ''):>8}"
    )

# %%
# The result
# ----------
# On the digits, single networks of one kind have errors from 3.6 to 5.3% (batch norm). Five seeds
# tell most kinds from the plain network. On breast cancer the kinds overlap: a lucky network of the
# worst kind beats an unlucky one of the best kind. Small differences, such as that between input
# noise and no noise on the diabetes set, need more seeds than are worth their time. Which kind is
# best depends on the data set.
#
# The seeds show how much the first weights matter. How much the choice of the test rows matters
# is another question, which cross-validation answers.


def mean(name, kind):
    return errors[name, kind].mean()


assert mean("digits", "skdeep") < mean("digits", "scikit-learn")
assert mean("digits", "three layers") < mean("digits", "skdeep") < mean("digits", "input noise")
assert mean("diabetes", "batch norm") > mean("diabetes", "skdeep") + 0.1
by_mean = sorted(classifiers, key=lambda kind: mean("breast cancer", kind))
assert errors["breast cancer", by_mean[-1]].min() < errors["breast cancer", by_mean[0]].max()
assert max(needed.values()) > 30
