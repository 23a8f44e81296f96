"""A table with categories and missing values, in a Pipeline.

The table is generated. Customers with a monthly contract who cancel it do so in the first months;
customers with a yearly contract cancel it after years. A high price makes both more likely. A tenth
of the prices, calls and regions is missing.
"""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdeep import MLPClassifier

NUMBERS = ["months", "price", "calls"]
CATEGORIES = ["contract", "region"]


def make_table(n_rows: int = 4000) -> tuple[pd.DataFrame, pd.Series]:
    """Return a table of customers, and whether each of them cancelled."""
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
    cancelled = rng.random(n_rows) < 1 / (1 + np.exp(-logit))
    for name in ("price", "calls", "region"):
        X[name] = X[name].mask(rng.random(n_rows) < 0.1)
    return X, cancelled.map({False: "stayed", True: "cancelled"})


def prepared(model) -> Pipeline:
    """Return a Pipeline that turns a table into numbers, and ends with this model."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")  # an empty cell is a category of its own
    columns = ColumnTransformer([("num", numbers, NUMBERS), ("cat", categories, CATEGORIES)])
    return Pipeline([("columns", columns), ("model", model)])


def main() -> None:
    """Compare a network with a linear model; predict for one customer."""
    X, y = make_table()
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    mlp = MLPClassifier((64, 32), early_stopping=True, random_state=0)
    network = prepared(mlp).fit(X_train, y_train)
    linear = prepared(LogisticRegression(max_iter=1000)).fit(X_train, y_train)
    print(X_train.head(4).to_string(index=False))
    print(f"\nAccuracy of a linear model: {linear.score(X_test, y_test):.3f}")
    print(f"Accuracy of the network:    {network.score(X_test, y_test):.3f}")
    print(f"Columns after encoding: {network['model'].n_features_in_}")
    print(f"Epochs: {mlp.n_iter_}; the weights of epoch {mlp.best_iter_} are kept")

    customer = {"months": 3, "price": np.nan, "calls": 5, "contract": "monthly", "region": "abroad"}
    probabilities = network.predict_proba(pd.DataFrame([customer]))[0]
    print("A new customer, whose price is missing, from a region that is not in the table:")
    for name, probability in zip(network.classes_, probabilities, strict=True):
        print(f"  {name:<10}{probability:.3f}")


if __name__ == "__main__":
    main()
