"""Two kinds of inputs from one data frame: a branch for an image beside one for a few numbers."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier
from skdeep.layers import Columns, Concatenate, Dense, Dropout

digits = load_digits(as_frame=True)
images, rng = digits.data / 16, np.random.default_rng(0)
hidden = images.mask(rng.random(images.shape) < 0.6, 0.0)  # most pixels are lost
numbers = pd.DataFrame(
    {
        "ink": images.sum(axis=1) / 64,
        "upper": images.iloc[:, :32].mean(axis=1),
        "left": images.filter(regex="_[0-3]$").mean(axis=1),
    }
)
X = pd.concat([hidden, numbers], axis=1)
X_train, X_test, y_train, y_test = train_test_split(X, digits.target, random_state=0)

pixels = [Columns(make_column_selector("^pixel_")), Dropout(0.1), Dense(64, "relu")]
few = [Columns(["ink", "upper", "left"]), Dense(16, "tanh")]
both = Concatenate([("image", pixels), ("numbers", few)])

options = {"learning_rate_init": 0.003, "early_stopping": True, "random_state": 0}
stacks = {
    "the image alone": [*pixels, Dense(32, "relu")],
    "both": [both, ("top", Dense(32, "relu"))],
}
for name, layers in stacks.items():
    mlp = MLPClassifier(layers=layers, **options).fit(X_train, y_train)
    print(f"{name}: accuracy {mlp.score(X_test, y_test):.3f}")
print(mlp.summary())
