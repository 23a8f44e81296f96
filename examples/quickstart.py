"""
A search, and the learning curve of the best network
====================================================

Images of handwritten digits are 8 x 8 pixels. A Pipeline scales them, and a network with two hidden
layers classifies them. A random search of scikit-learn chooses the hyperparameters of the network.
:doc:`/start` explains the parts of such a program.
"""

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

# %%
# The model
# ---------
# Training stops early. It watches the loss on held-out rows, and keeps the weights of the epoch
# with the lowest loss. At a plateau, the schedule divides the learning rate by 5.

mlp = MLPClassifier(
    hidden_layer_sizes=(128, 64),
    batch_size=64,
    early_stopping=True,
    scoring="loss",
    n_iter_no_change=5,
    learning_rate=Adaptive(min_rate=1e-4),
    random_state=0,
)
model = Pipeline([("scale", StandardScaler()), ("mlp", mlp)])

# %%
# The search
# ----------
# The search tries 10 candidates in 3-fold cross-validation, on all cores.

distributions = {
    "mlp__learning_rate_init": loguniform(5e-4, 2e-2),
    "mlp__alpha": loguniform(1e-5, 1e-1),
    "mlp__dropout": uniform(0, 0.5),
    "mlp__batch_norm": [None, "before", "after"],
    "mlp__activation": ["relu", "elu", "swish"],
}
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
search = RandomizedSearchCV(model, distributions, n_iter=10, cv=3, n_jobs=-1, random_state=0)
search.fit(X_train, y_train)

# %%
# The results
# -----------

results = search.cv_results_
table = pd.DataFrame(
    {
        "rank": results["rank_test_score"],
        "accuracy": results["mean_test_score"].round(4),
        "std": results["std_test_score"].round(4),
        "fit [s]": results["mean_fit_time"].round(2),
    }
)
for name in distributions:
    table[name.removeprefix("mlp__")] = [
        f"{value:.2g}" if isinstance(value, float) else str(value)
        for value in (candidate[name] for candidate in results["params"])
    ]
accuracy = search.score(X_test, y_test)
print("The best 8 of 10 candidates, in 3-fold cross-validation:\n")
print(table.sort_values("rank").head(8).to_string(index=False))
print(f"\nTest accuracy of the best: {accuracy:.4f}")

# %%
# The learning curve
# ------------------
# The training loss includes dropout and the penalty on the weights, so it may be above the
# validation loss.

best = search.best_estimator_["mlp"]
history = pd.DataFrame(best.history_, index=range(1, len(best.loss_curve_) + 1))
figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(7, 6), sharex=True, height_ratios=[3, 1], layout="constrained"
)
upper.plot(history["loss"], label="training, with dropout and penalty")
upper.plot(history["val_loss"], label="validation")
kept = best.best_iter_
upper.plot(kept, history["val_loss"][kept], "o", color="black", label=f"kept: epoch {kept}")
upper.set(title="Learning curve of the best candidate", ylabel="Log loss", yscale="log")
upper.legend()
lower.step(history.index, history["learning_rate"], where="mid", color="tab:green")
lower.set(xlabel="Epoch", ylabel="Learning rate", yscale="log")

if "__file__" in globals():  # as a script; a page or a notebook shows the figure
    picture = Path(__file__).resolve().with_name("learning_curve.png")
    figure.savefig(picture, dpi=120)
    print(f"Its learning curve: {picture}")

assert accuracy > 0.95
assert table["accuracy"].max() > 0.95
