"""What holds for any combination of hyperparameters."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_iris

from skdeep import MLPClassifier, MLPRegressor
from skdeep.activations import ACTIVATIONS
from skdeep.initializers import INITIALIZERS
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skdeep.optimizers import OPTIMIZERS
from skdeep.schedules import SCHEDULES

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
share = st.floats(0.0, 0.9)
# The exponential as a hidden activation may well overflow: that is an error, and has its tests.
mild = sorted(ACTIVATIONS.keys() - {"exponential"})
PARAMETERS = {
    "hidden_layer_sizes": st.lists(st.integers(1, 8), max_size=3),
    "activation": st.sampled_from(mild),
    "initializer": st.sampled_from(sorted(INITIALIZERS)),
    "batch_norm": st.sampled_from([None, "before", "after"]),
    "batch_norm_input": st.booleans(),
    "dropout": share,
    "input_dropout": share,
    "input_noise": share,
    "weight_noise": share,
    "alpha": share,
    "l1_ratio": st.floats(0.0, 1.0),
    "kernel_regularizer": st.sampled_from([None, "l1", "l2", "l1_l2"]),
    "activity_regularizer": st.sampled_from([None, "l1", "l2", "l1_l2"]),
    "kernel_constraint": st.sampled_from([None, "max_norm", "unit_norm", "non_neg"]),
    "solver": st.sampled_from(sorted(OPTIMIZERS)),
    "learning_rate": st.sampled_from(sorted(SCHEDULES)),
    "clip_norm": st.sampled_from([None, 1.0]),
    "batch_size": st.integers(1, 150),
    "shuffle": st.booleans(),
    "early_stopping": st.booleans(),
    "dtype": st.sampled_from(["auto", "float32"]),
    "random_state": st.integers(0, 2**32 - 1),
}
# So may a prediction that is an exponential.
LOSSES = {
    MLPClassifier: sorted(CLASSIFICATION_LOSSES),
    MLPRegressor: sorted(REGRESSION_LOSSES.keys() - {"poisson", "gamma"}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(parameters=st.fixed_dictionaries(PARAMETERS), data=st.data())
def test_a_fit_is_finite_repeatable_and_survives_a_pickle(Estimator, parameters, data):
    loss = data.draw(st.sampled_from(LOSSES[Estimator]))
    model = Estimator(loss=loss, max_iter=2, **parameters).fit(X, y)
    prediction = model.predict(X)
    assert prediction.shape == (150,)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.network_.parameters.values).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), prediction)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), prediction)
