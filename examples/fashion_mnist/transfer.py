"""Transfer: a network trained on eight kinds of clothes learns two more from few images.

Task A is to classify eight of the ten kinds in Fashion-MNIST. Task B is to distinguish sandals from
shirts, with 200 images. The network for B starts with all hidden layers of A's network. They are
frozen for four epochs, while the new output layer is trained, and then trained with it.

The data come from OpenML, or from the file that SKDEEP_FASHION_MNIST names.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skdeep import MLPClassifier
from skdeep.callbacks import GradualUnfreezing
from skdeep.datasets import fetch_fashion_mnist

SANDAL, SHIRT = 5, 6
NET = {
    "hidden_layer_sizes": (300, 100, 50, 50, 50),
    "activation": "selu",
    "solver": "sgd",
    "momentum": 0.0,
    "learning_rate_init": 1e-3,
    "batch_size": 32,
    "max_iter": 20,
}


def main() -> None:
    """Train on A, then on B with and without the hidden layers of A's network."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X_train, y_train, X_test, y_test = fetch_fashion_mnist()
    of_B, of_B_test = (np.isin(y, [SANDAL, SHIRT]) for y in (y_train, y_test))
    eight = MLPClassifier(**NET, random_state=0).fit(X_train[~of_B], y_train[~of_B])
    print(f"A, eight kinds: accuracy {eight.score(X_test[~of_B_test], y_test[~of_B_test]):.4f}")
    after_A = {
        "pretrained": FrozenEstimator(eight),
        "frozen_layers": 5,
        "callbacks": [GradualUnfreezing({4: "all"})],
    }

    print("B, from 200 images:")
    print("seed   from scratch   after A")
    table = []
    for seed in range(5):
        models = [MLPClassifier(**NET, **start, random_state=seed) for start in ({}, after_A)]
        for model in models:
            model.fit(X_train[of_B][:200], y_train[of_B][:200])
        table.append([model.score(X_test[of_B_test], y_test[of_B_test]) for model in models])
        print("{:4d}   {:12.4f}   {:7.4f}".format(seed, *table[-1]))
    print("mean   {:12.4f}   {:7.4f}".format(*np.mean(table, axis=0)))


if __name__ == "__main__":
    main()
