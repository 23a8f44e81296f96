"""A table, from the data frame to an interval.

The two tables are part of scikit-learn, and complete. To look like tables of practice, they get
holes and a category here: a column of each is cut into four named categories, and 5 % of all values
are removed.

TabularClassifier and TabularRegressor take such a frame as it is. On the same rows train
HistGradientBoosting, which takes it too, and scikit-learn's MLP, which needs a pipeline before it.
Each model has its default parameters, except that the MLP for numbers stops early, as it is better
if it does.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from skdeep import TabularClassifier, TabularRegressor

COVERAGE = 0.9


def with_holes(X: pd.DataFrame, column: str, bounds: list, names: list) -> pd.DataFrame:
    """Return the table with one column cut into categories, and 5 % of the values removed."""
    rng = np.random.default_rng(0)
    X = X.assign(**{column: pd.cut(X[column], [-np.inf, *bounds, np.inf], labels=names)})
    return pd.DataFrame({name: X[name].mask(rng.random(len(X)) < 0.05) for name in X})


def prepared(mlp) -> Pipeline:
    """Return a Pipeline that turns a table into numbers for scikit-learn's MLP."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, mlp)


def compare_classifiers(seeds: range) -> dict[str, float]:
    """Return the mean log-loss of each classifier."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = with_holes(X, "mean area", [400, 600, 900], ["small", "medium", "large", "huge"])
    print(X[["mean radius", "mean texture", "mean area", "mean symmetry"]].head(4).to_string())
    losses: dict[str, list[float]] = {}
    for seed in seeds:
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        models = {
            "TabularClassifier": TabularClassifier(random_state=seed),
            "HistGradientBoosting": HistGradientBoostingClassifier(random_state=seed),
            "MLP of scikit-learn": prepared(MLPClassifier(random_state=seed)),
        }
        for name, model in models.items():
            P = model.fit(X_train, y_train).predict_proba(X_test)
            losses.setdefault(name, []).append(log_loss(y_test, P))
    print("\nLog-loss on test rows, breast cancer:")
    return shown(losses)


def compare_regressors(seeds: range) -> tuple[dict[str, float], float]:
    """Return the mean R2 of each regressor, and the mean coverage of intervals."""
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X = with_holes(X, "bmi", [18.5, 25, 30], ["under", "normal", "over", "obese"])
    scores: dict[str, list[float]] = {}
    coverages = []
    for seed in seeds:
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        mlp = MLPRegressor(early_stopping=True, random_state=seed)
        tabular = TabularRegressor(random_state=seed)
        models = {
            "TabularRegressor": tabular,
            "HistGradientBoosting": HistGradientBoostingRegressor(random_state=seed),
            "MLP of scikit-learn": TransformedTargetRegressor(
                prepared(mlp), transformer=StandardScaler()
            ),
        }
        for name, model in models.items():
            predicted = model.fit(X_train, y_train).predict(X_test)
            scores.setdefault(name, []).append(r2_score(y_test, predicted))
        low, high = tabular.predict_interval(X_test, coverage=COVERAGE).T
        coverages.append(np.mean((low <= y_test) & (y_test <= high)))
    print("\nR2 on test rows, diabetes:")
    means = shown(scores)
    print(f"\nTest rows within their {COVERAGE:.0%} interval: {np.mean(coverages):.1%}")
    print("Two patients:")
    print(X_test[["age", "sex", "bmi", "bp"]].head(2).to_string())
    for i in range(2):
        prediction = tabular.predict(X_test[i : i + 1])[0]
        print(f"  predicted {prediction:.0f}, between {low[i]:.0f} and {high[i]:.0f}")
    return means, float(np.mean(coverages))


def shown(figures: dict[str, list[float]]) -> dict[str, float]:
    """Print figures of all seeds; return their means."""
    for name, values in figures.items():
        seeds = " ".join(f"{value:6.3f}" for value in values)
        print(f"  {name:<22}{np.mean(values):6.3f}   of the seeds: {seeds}")
    return {name: float(np.mean(values)) for name, values in figures.items()}


def main(n_seeds: int = 5) -> None:
    """Compare the models; check what is claimed of the new ones."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1, user_api="openmp"):  # trees of small tables wait for their threads
        losses = compare_classifiers(range(n_seeds))
        scores, coverage = compare_regressors(range(n_seeds))
    assert min(losses, key=losses.get) == "TabularClassifier"
    assert max(scores, key=scores.get) == "TabularRegressor"
    assert abs(coverage - COVERAGE) < 0.05


if __name__ == "__main__":
    main()
