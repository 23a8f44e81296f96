"""An auxiliary task: labels that can be computed prepare a network for labels that are few.

Of 1,797 images of digits only 40 have a label. A map can be drawn of all of them, on which those
lie close that look alike; a regressor learns to say where on the map an image lies. To do so it has
to learn what makes images alike, and its hidden layers are where a classifier begins.
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
    """Compare a classifier with a head start to one without."""
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
