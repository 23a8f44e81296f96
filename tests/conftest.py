"""What all tests share."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def global_random_seed():
    """The fixture of this name in scikit-learn's own test suite."""
    return 42
