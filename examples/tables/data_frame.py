"""
A table with categories and missing values, in a Pipeline
=========================================================

A ``ColumnTransformer`` of scikit-learn turns a data frame into numbers, and a network follows it in
a Pipeline. The table is generated. Customers with a monthly contract who cancel it do so in the
first months; customers with a yearly contract cancel it after years. A high price makes both more
likely.

The user guide explains :doc:`tables </tables>`.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeep import MLPClassifier

# %%
# The table
# ---------
# A tenth of the prices, calls and regions is missing.

n_rows = 4000
rng = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "months": rng.integers(1, 60, n_rows).astype(float),
        "price": rng.gamma(4.0, 10.0, n_rows),
        "calls": rng.poisson(2.0, n_rows).astype(float),
        "contract": rng.choice(["monthly", "yearly"], n_rows),
        "region": rng.choice(["north", "east", "south", "west"], n_rows),
    }
)
years = (X["months"] - 30) / 12
logit = 2 * years * np.where(X["contract"] == "yearly", 1, -1) + 0.05 * (X["price"] - 40)
y = np.where(rng.random(n_rows) < 1 / (1 + np.exp(-logit)), "cancelled", "stayed")
for name in ("price", "calls", "region"):
    X[name] = X[name].mask(rng.random(n_rows) < 0.1)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(X_train.head(4).to_string(index=False))

# %%
# The Pipeline
# ------------
# Missing numbers become the median, with a column that says so. An empty cell of a category is a
# category of its own.


def prepared(model):
    """Return a Pipeline that turns a table into numbers, and ends with this model."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer(
        [
            ("num", numbers, ["months", "price", "calls"]),
            ("cat", categories, ["contract", "region"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", model)])


network = prepared(MLPClassifier((64, 32), early_stopping=True, random_state=0))
linear = prepared(LogisticRegression(max_iter=1000))
accuracies = {
    name: model.fit(X_train, y_train).score(X_test, y_test)
    for name, model in (("linear model", linear), ("network", network))
}
mlp = network["model"]
print(f"Accuracy of a linear model: {accuracies['linear model']:.3f}")
print(f"Accuracy of the network:    {accuracies['network']:.3f}")
print(f"Columns after encoding: {mlp.n_features_in_}")
print(f"Epochs: {mlp.n_iter_}; the weights of epoch {mlp.best_iter_} are kept")

# %%
# What the network has learned
# ----------------------------
# The lines are the network's probabilities for a customer with a median price and two calls from
# the north. A linear model can't let the months count differently in the two kinds of contracts.

months = np.arange(1, 60)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
curves = {}
for contract in ("monthly", "yearly"):
    customers = pd.DataFrame(
        {"months": months, "price": 37.0, "calls": 2, "contract": contract, "region": "north"}
    )
    curves[contract] = network.predict_proba(customers)[:, 0]
    ax.plot(months, curves[contract], label=f"{contract} contract")
ax.set(title="Who cancels, and when", xlabel="Months", ylabel="Probability to cancel")
ax.legend()

# %%
# A new customer
# --------------
# The price is missing, and the region is not in the table.

customer = {"months": 3, "price": np.nan, "calls": 5, "contract": "monthly", "region": "abroad"}
probabilities = network.predict_proba(pd.DataFrame([customer]))[0]
for name, probability in zip(network.classes_, probabilities, strict=True):
    print(f"  {name:<10}{probability:.3f}")

assert accuracies["network"] > accuracies["linear model"] + 0.2
assert curves["monthly"][0] > 0.7 > 0.3 > curves["monthly"][-1]
