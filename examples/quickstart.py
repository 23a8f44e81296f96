"""Search the hyperparameters of a network for handwritten digits, and draw its learning curve."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import loguniform, uniform
from sklearn.datasets import load_digits
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.schedules import Adaptive

PICTURE = Path(__file__).resolve().with_name("learning_curve.png")
N_CANDIDATES = 20
N_SHOWN = 8

DISTRIBUTIONS = {
    "mlp__learning_rate_init": loguniform(5e-4, 2e-2),
    "mlp__alpha": loguniform(1e-5, 1e-1),
    "mlp__dropout": uniform(0, 0.5),
    "mlp__batch_norm": [None, "before", "after"],
    "mlp__activation": ["relu", "elu", "swish"],
}


def make_search() -> RandomizedSearchCV:
    """Return a search over a scaler and a network with two hidden layers."""
    mlp = MLPClassifier(
        hidden_layer_sizes=(128, 64),
        batch_size=32,
        early_stopping=True,
        # Watch the loss on held-out rows, and keep the weights of the epoch with the lowest loss.
        scoring="loss",
        n_iter_no_change=5,
        learning_rate=Adaptive(min_rate=1e-4),  # at a plateau divide the rate by 5, then stop
        random_state=0,
    )
    return RandomizedSearchCV(
        Pipeline([("scale", StandardScaler()), ("mlp", mlp)]),
        DISTRIBUTIONS,
        n_iter=N_CANDIDATES,
        cv=3,
        n_jobs=-1,
        random_state=0,
    )


def result_table(search: RandomizedSearchCV) -> str:
    """Return the best candidates, one per line."""
    results = search.cv_results_
    table = pd.DataFrame(
        {
            "rank": results["rank_test_score"],
            "accuracy": [f"{mean:.4f}" for mean in results["mean_test_score"]],
            "std": [f"{std:.4f}" for std in results["std_test_score"]],
            "fit [s]": [f"{seconds:.2f}" for seconds in results["mean_fit_time"]],
        }
    )
    for name in DISTRIBUTIONS:
        values = [candidate[name] for candidate in results["params"]]
        table[name.removeprefix("mlp__")] = [
            f"{value:.2g}" if isinstance(value, float) else str(value) for value in values
        ]
    return table.sort_values("rank").head(N_SHOWN).to_string(index=False)


def draw_learning_curve(mlp: MLPClassifier, path: Path) -> None:
    """Save a picture of the loss and the learning rate in each epoch."""
    history = pd.DataFrame(mlp.history_, index=range(1, len(mlp.loss_curve_) + 1))
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(7, 6), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    upper.plot(history["loss"], label="training, with dropout and penalty")
    upper.plot(history["val_loss"], label="validation")
    best = mlp.best_iter_
    upper.plot(best, history["val_loss"][best], "o", color="black", label=f"kept: epoch {best}")
    upper.set(title="Learning curve of the best candidate", ylabel="Log loss", yscale="log")
    upper.legend()
    lower.step(history.index, history["learning_rate"], where="mid", color="tab:green")
    lower.set(xlabel="Epoch", ylabel="Learning rate", yscale="log")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the search, and print its results."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    search = make_search().fit(X_train, y_train)

    print(f"The best {N_SHOWN} of {N_CANDIDATES} candidates, in 3-fold cross-validation:\n")
    print(result_table(search))
    print(f"\nTest accuracy of the best: {search.score(X_test, y_test):.4f}")
    draw_learning_curve(search.best_estimator_["mlp"], PICTURE)
    print(f"Its learning curve: {PICTURE}")


if __name__ == "__main__":
    main()
