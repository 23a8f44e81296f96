"""Hidden stacks spelled out with layers=[...]."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep.initializers import Constant
from skdeep.layers import (
    Activation,
    BatchNorm,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    Parameter,
    Residual,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_diabetes(return_X_y=True)
y = (y - y.mean()) / y.std()
SETTINGS = {"max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}


def test_wide_and_deep():
    wide = [Columns([0, 1, 2])]
    deep = [Columns(slice(2, None)), Dense(30, "relu"), Dropout(0.1), Dense(30, "relu")]
    model = make_pipeline(
        StandardScaler(), MLPRegressor(layers=[Concatenate([wide, deep])], **SETTINGS)
    )
    model.fit(X, y)
    assert model.score(X, y) > 0.5
    assert [W.shape for W in model[-1].coefs_] == [(8, 30), (30, 30), (33, 1)]


@pytest.mark.parametrize("batch_size", [50, 442])
def test_spelled_out_is_the_same_as_by_parameters(batch_size):
    common = {"batch_size": batch_size, **SETTINGS}
    short = MLPRegressor(
        (20, 10), activation="tanh", batch_norm="before", dropout=0.1, **common
    ).fit(X, y)
    stack = [
        layer
        for units in (20, 10)
        for layer in (
            Dense(units, bias=False),
            BatchNorm(),
            Activation("tanh"),
            Dropout(0.1),
        )
    ]
    spelled_out = MLPRegressor(layers=stack, **common).fit(X, y)
    np.testing.assert_array_equal(short.predict(X), spelled_out.predict(X))


class Scale(Layer):
    """Y = s * X, with one trained s a column."""

    def build(self, n_inputs):
        self.scale = Parameter("scale", (n_inputs,), Constant(1.0))
        return n_inputs, [self.scale]

    def forward(self, X):
        self.X = X
        return X * self.scale.value

    def backward(self, dY):
        self.scale.grad[...] = (dY * self.X).sum(axis=0)
        return dY * self.scale.value

    def infer(self, X):
        return X * self.scale.value


@pytest.mark.parametrize(
    "stack",
    [
        [Scale(), Dense(20, "relu")],
        [Dense(20), Scale(), Activation("elu"), Scale()],
        [Residual([Scale(), Dense(10, "tanh")])],
        [Concatenate([Scale(), [Dense(5), Scale()]])],
    ],
)
def test_a_users_own_layer(stack):
    import pickle

    model = MLPRegressor(layers=stack, **SETTINGS).fit(X, y)
    assert model.score(X, y) > 0.4
    for layer in model.network_.walk():
        assert "X" not in vars(layer)
        if isinstance(layer, Scale):
            assert not (layer.scale.value == 1).any()
    assert len(pickle.dumps(model)) < model.network_.parameters.values.nbytes + 20_000
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))


def test_the_users_layers_are_left_alone():
    stack = [Dense(5), Residual([Dense(5)]), Concatenate([[Dense(2)]])]
    MLPRegressor(layers=stack, max_iter=1).fit(X, y)
    assert all(set(vars(layer)) == set(layer.get_params(deep=False)) for layer in stack)


def test_an_empty_stack_is_a_linear_model():
    one = MLPRegressor(layers=[], **SETTINGS).fit(X, y)
    other = MLPRegressor((), **SETTINGS).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_input_options_go_with_given_layers():
    model = MLPRegressor(
        layers=[Dense(5)], batch_norm_input=True, input_noise=0.1, input_dropout=0.1, max_iter=2
    ).fit(X, y)
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert kinds == ["BatchNorm", "GaussianNoise", "Dropout", "Dense", "Dense"]


@pytest.mark.parametrize(
    "stack",
    [[Dropout(0.5)], [GaussianNoise(1.0)], [Dense(5, weight_noise=1.0)], [Dense(5, "rrelu")]],
)
def test_lbfgs_switches_randomness_off_and_says_so(stack):
    model = MLPRegressor(layers=stack, solver="lbfgs", max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match=f"can't honour {type(stack[0]).__name__}"):
        model.fit(X, y)
    assert model.loss_curve_ == sorted(model.loss_curve_, reverse=True)


def test_classifier_with_given_layers():
    model = MLPClassifier(layers=[Dense(20, "swish"), BatchNorm()], **SETTINGS)
    assert model.fit(X, y > 0).score(X, y > 0) > 0.7


def test_a_class_that_does_not_pickle_can_be_trained():
    class Local(Scale):
        pass

    model = MLPRegressor(layers=[Local(), Dense(5)], warm_start=True, max_iter=2).fit(X, y)
    model.set_params(layers=[Local(), Dense(5)]).fit(X, y)
    with pytest.raises(ValueError, match="would change the architecture"):
        model.set_params(layers=[Scale(), Dense(5)]).fit(X, y)
