"""A wide branch beside a deep branch: the wide one learns the linear part of the target.

In Friedman's data the target is 10 sin(pi x0 x1) + 20 (x2 - 0.5)^2 + 10 x3 + 5 x4 + noise; columns
5 to 9 are irrelevant. The wide branch passes x3 and x4 directly to the output layer, so that the
deep branch only has to learn the rest.
"""

from sklearn.datasets import make_friedman1
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPRegressor
from skdeep.layers import Columns, Concatenate, Dense, Dropout

DEEP = [Dense(64, "relu"), Dropout(0.1), Dense(32, "relu")]
NETWORKS = {
    "linear": [],
    "deep": DEEP,
    "wide and deep": [Concatenate([[Columns([3, 4])], DEEP])],
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


def main():
    X, y = make_friedman1(n_samples=1000, noise=1.0, random_state=0)
    folds = KFold(n_splits=5, shuffle=True, random_state=0)
    print("R2 in 5-fold cross-validation:")
    for name, layers in NETWORKS.items():
        scores = cross_val_score(make_model(layers), X, y, cv=folds)
        print(f"  {name:<14}{scores.mean():.3f} +- {scores.std():.3f}")
    model = make_model(NETWORKS["wide and deep"]).fit(X, y)
    print(f"\nThe network of the last model:\n{model[-1].summary()}")


if __name__ == "__main__":
    main()
