"""What all tests share."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # tests in several processes share the cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from skdeep import save
from skdeep.files import container


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def global_random_seed():
    """The fixture of this name in scikit-learn's own test suite."""
    return 42


@pytest.fixture
def save_anything(monkeypatch):
    """Return a `save` that does not check whether `load` would take the file."""

    def save_unchecked(model, path):
        with monkeypatch.context() as patch:
            patch.setattr(container, "_model_of", lambda *_, **__: None)
            save(model, path)

    return save_unchecked
