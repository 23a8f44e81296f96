"""An auxiliary task: a network learns computed labels before it learns the few real labels.

Only 40 of 1,797 images of digits have a label. All images can be placed on a map on which similar
images are close to each other, and a regressor learns the position of an image on the map. To do so
it has to learn which images are similar. A classifier starts with its hidden layers.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import SpectralEmbedding
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor

N_LABELLED = 40
NET = {"hidden_layer_sizes": (128, 32), "activation": "tanh", "learning_rate_init": 0.003}


def main() -> None:
    """Compare a classifier that starts with these layers to a classifier that does not."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    places = SpectralEmbedding(n_components=12, n_neighbors=10, random_state=0).fit_transform(X)
    auxiliary = MLPRegressor(**NET, max_iter=150, random_state=0)
    auxiliary.fit(X, StandardScaler().fit_transform(places))
    prepared = {"pretrained": FrozenEstimator(auxiliary), "frozen_layers": 2}

    print(f"Accuracy with {N_LABELLED} labelled images of {len(X)}:")
    print("draw   from scratch   after the auxiliary task")
    table = []
    for draw in range(5):
        order = np.random.default_rng(draw).permutation(len(X))
        few, rest = order[:N_LABELLED], order[N_LABELLED:]
        table.append(
            [
                MLPClassifier(**NET, **start, random_state=draw)
                .fit(X[few], y[few])
                .score(X[rest], y[rest])
                for start in ({}, prepared)
            ]
        )
        print("{:4d}   {:12.3f}   {:24.3f}".format(draw, *table[-1]))
    print("mean   {:12.3f}   {:24.3f}".format(*np.mean(table, axis=0)))


if __name__ == "__main__":
    main()
