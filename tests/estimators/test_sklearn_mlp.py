"""scikit-learn's own tests of its MLP, run against ours.

The file that is installed with scikit-learn is imported with our estimators in place of its own.
"""

import importlib.util
from unittest import mock

import pytest
import sklearn.neural_network

import skdeep

LEFT_OUT = {
    "test_gradient": "calls the private _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads the private _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads the private _optimizer.learning_rate",
    "test_n_iter_no_change": "reads the private _no_improvement_count",
    "test_n_iter_no_change_inf": "reads the private _no_improvement_count",
}


def _import_with_our_estimators():
    path = f"{sklearn.neural_network.__path__[0]}/tests/test_mlp.py"
    spec = importlib.util.spec_from_file_location("sklearn_test_mlp", path)
    module = importlib.util.module_from_spec(spec)
    ours = {"MLPClassifier": skdeep.MLPClassifier, "MLPRegressor": skdeep.MLPRegressor}
    with mock.patch.multiple(sklearn.neural_network, **ours):
        spec.loader.exec_module(module)
    return module


_module = _import_with_our_estimators()
_tests = {name: f for name, f in vars(_module).items() if name.startswith("test_")}
globals().update({name: f for name, f in _tests.items() if name not in LEFT_OUT})

# Their warnings are theirs to judge: most of these models are not trained to the end.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_nothing_is_left_out_that_is_not_there():
    assert LEFT_OUT.keys() <= _tests.keys()
    assert len(_tests) - len(LEFT_OUT) >= 30
