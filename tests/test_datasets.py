"""Data sets for the examples."""

import numpy as np
import pytest

from skdeep.datasets import fetch_fashion_mnist


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    return {"X_train": X[:4], "y_train": y[:4], "X_test": X[4:], "y_test": y[4:]}


def test_a_file_of_ones_own(images, tmp_path, monkeypatch):
    np.savez(tmp_path / "images.npz", **images)
    monkeypatch.setenv("SKDEEP_FASHION_MNIST", str(tmp_path / "images.npz"))
    X_train, y_train, X_test, y_test = fetch_fashion_mnist()
    assert X_train.shape == (4, 784)
    assert X_train.dtype == X_test.dtype == np.float32
    np.testing.assert_array_equal(X_test, images["X_test"].reshape(2, 784) / np.float32(255))
    assert y_train.tolist() == [0, 1, 2, 3]
    assert y_test.tolist() == [4, 5]


def test_from_openml(images, monkeypatch):
    """The names and the order of OpenML's table; classes are texts there."""
    asked = {}

    def fetch_openml(name, **options):
        asked.update(options, name=name)
        X = np.concatenate([images["X_train"], images["X_test"]]).reshape(6, 784)
        return X.astype(float), np.arange(6).astype(str).astype(object)

    monkeypatch.delenv("SKDEEP_FASHION_MNIST", raising=False)
    monkeypatch.setattr("skdeep.datasets.fetch_openml", fetch_openml)
    monkeypatch.setattr("skdeep.datasets.N_TRAIN", 4)
    X_train, _, X_test, y_test = fetch_fashion_mnist(data_home="here")
    assert asked["name"] == "Fashion-MNIST"
    assert asked["data_home"] == "here"
    assert X_train.max() <= 1
    assert len(X_test) == 2
    assert y_test.tolist() == [4, 5]


def test_a_file_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDEEP_FASHION_MNIST", str(tmp_path / "images.npz"))
    with pytest.raises(FileNotFoundError, match=r"images\.npz', which the environment variable SK"):
        fetch_fashion_mnist()


def test_a_file_without_the_arrays(images, tmp_path, monkeypatch):
    del images["y_test"]
    np.savez(tmp_path / "images.npz", **images)
    monkeypatch.setenv("SKDEEP_FASHION_MNIST", str(tmp_path / "images.npz"))
    with pytest.raises(ValueError, match=r"has no array 'y_test'\. It needs the arrays X_train"):
        fetch_fashion_mnist()
