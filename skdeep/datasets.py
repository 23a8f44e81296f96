"""Data sets that scikit-learn does not ship, and that several examples use."""

import os

import numpy as np
from sklearn.datasets import fetch_openml

__all__ = ["fetch_fashion_mnist"]

VARIABLE = "SKDEEP_FASHION_MNIST"
ARRAYS = ("X_train", "y_train", "X_test", "y_test")
N_TRAIN = 60_000


def fetch_fashion_mnist(*, data_home=None):
    """Load Fashion-MNIST: 70,000 images of 28 x 28 pixels, of ten kinds of clothes.

    The data come from OpenML, and scikit-learn keeps a copy on the disk. On a machine without
    internet access, set the environment variable ``SKDEEP_FASHION_MNIST`` to the path of an npz
    file with the arrays ``X_train``, ``y_train``, ``X_test`` and ``y_test``.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the copies that scikit-learn keeps, as in
        :func:`sklearn.datasets.fetch_openml`.

    Returns
    -------
    X_train : ndarray of shape (60000, 784)
        Training images, in float32, with pixels in [0, 1].
    y_train : ndarray of shape (60000,)
        Their classes, the integers 0 to 9.
    X_test : ndarray of shape (10000, 784)
        Test images.
    y_test : ndarray of shape (10000,)
        Their classes.
    """
    path = os.environ.get(VARIABLE)
    if path:
        X_train, y_train, X_test, y_test = _read(path)
    else:
        X, y = fetch_openml(
            "Fashion-MNIST", version=1, return_X_y=True, as_frame=False, data_home=data_home
        )
        X_train, X_test, y_train, y_test = X[:N_TRAIN], X[N_TRAIN:], y[:N_TRAIN], y[N_TRAIN:]
    X_train, X_test = (X.reshape(len(X), -1).astype(np.float32) / 255 for X in (X_train, X_test))
    return X_train, y_train.astype(np.intp), X_test, y_test.astype(np.intp)


def _read(path: str) -> list[np.ndarray]:
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no file {path!r}, which the environment variable {VARIABLE} names. Set it "
            "to the path of an npz file, or unset it to load the images from OpenML."
        )
    with np.load(path) as file:
        missing = [name for name in ARRAYS if name not in file]
        if missing:
            raise ValueError(
                f"The file {path!r}, which the environment variable {VARIABLE} names, has no array "
                f"{missing[0]!r}. It needs the arrays {', '.join(ARRAYS)}."
            )
        return [file[name] for name in ARRAYS]
