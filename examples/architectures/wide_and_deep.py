r"""
A wide branch beside a deep branch
==================================

In Friedman's data the target is :math:`10 \sin(\pi x_0 x_1) + 20 (x_2 - 0.5)^2 + 10 x_3 + 5 x_4`
with noise, and columns 5 to 9 are irrelevant. The wide branch passes :math:`x_3` and :math:`x_4`
directly to the output layer, so that it learns the linear part of the target. The deep branch only
has to learn the rest.

The user guide explains :doc:`branches </networks>`.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_friedman1
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPRegressor
from skdeep.layers import Columns, Concatenate, Dense, Dropout

# %%
# Three networks
# --------------
# A network without hidden layers is a linear model. ``Concatenate`` puts the two branches side by
# side.

deep = [Dense(64, "relu"), Dropout(0.1), Dense(32, "relu")]
networks = {
    "linear": [],
    "deep": deep,
    "wide and deep": [Concatenate([[Columns([3, 4])], deep])],
}


def make_model(layers):
    mlp = MLPRegressor(
        layers=layers,
        batch_size=32,
        learning_rate_init=0.01,
        early_stopping=True,
        scoring="loss",
        max_iter=400,
        random_state=0,
    )
    return make_pipeline(StandardScaler(), mlp)


# %%
# Cross-validation
# ----------------

X, y = make_friedman1(n_samples=1000, noise=1.0, random_state=0)
folds = KFold(n_splits=5, shuffle=True, random_state=0)
scores = {}
print("R2 in 5-fold cross-validation:")
for name, layers in networks.items():
    scores[name] = cross_val_score(make_model(layers), X, y, cv=folds)
    print(f"  {name:<14}{scores[name].mean():.3f} +- {scores[name].std():.3f}")

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.boxplot(list(scores.values()), orientation="horizontal", tick_labels=list(scores))
ax.set(title="Three networks on Friedman's data", xlabel="R2 of the five folds")

# %%
# The network
# -----------

model = make_model(networks["wide and deep"]).fit(X, y)
print(model[-1].summary())

# %%
# The result
# ----------
# Both networks with a deep branch are far better than the linear model. They are equally good: with
# 1,000 rows, the deep branch learns the linear part as well. The wide branch shows in the model
# that this part is linear.

assert scores["deep"].mean() > scores["linear"].mean() + 0.1
assert scores["wide and deep"].mean() > scores["linear"].mean() + 0.1
