"""A class and a number from one image: which digit it shows, and by which angle it is rotated.

One network with two heads learns both. Beside it, two networks learn one task each. The network
with two heads shares its hidden layers, so that it needs half of the weights.
"""

import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.tasks import Classification, Regression

NET = {
    "hidden_layer_sizes": (128, 64),
    "alpha": 0.1,
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "max_iter": 60,
    "random_state": 0,
}


def rotated_digits(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images of digits, the digits, and the angles of rotation in radians."""
    digits = load_digits()
    angles = np.random.default_rng(seed).uniform(-45, 45, len(digits.images))
    pairs = zip(digits.images, angles, strict=True)
    images = [rotate(image, angle, reshape=False, order=1) for image, angle in pairs]
    return np.reshape(images, (len(images), -1)) / 16, digits.target, np.radians(angles)


def main() -> None:
    """Print the scores of the network with two heads, and of two networks."""
    X, digit, angle = rotated_digits(seed=0)
    X, X_test, digit, digit_test, angle, angle_test = train_test_split(
        X, digit, angle, test_size=0.3, stratify=digit, random_state=0
    )
    tasks = {"digit": Classification(), "angle": Regression(loss_weight=5.0)}
    both = MultiTaskMLP(tasks=tasks, **NET).fit(X, {"digit": digit, "angle": angle})
    scores = both.scores(X_test, {"digit": digit_test, "angle": angle_test})
    classifier = MLPClassifier(**NET).fit(X, digit)
    regressor = MLPRegressor(**NET).fit(X, angle)
    weights = classifier.summary().total + regressor.summary().total
    print("                accuracy of the digit   R2 of the angle   weights")
    print(
        f"two heads       {scores['digit']:21.3f}{scores['angle']:18.3f}{both.summary().total:10}"
    )
    alone = classifier.score(X_test, digit_test), regressor.score(X_test, angle_test)
    print(f"two networks    {alone[0]:21.3f}{alone[1]:18.3f}{weights:10}")


if __name__ == "__main__":
    main()
