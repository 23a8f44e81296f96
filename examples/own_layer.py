"""A layer of one's own: it learns how wide to open a gate for every column."""

import numpy as np
from sklearn.datasets import make_friedman1
from skdeep import MLPRegressor
from skdeep.initializers import Constant
from skdeep.layers import Dense, Layer, Parameter
from skdeep.regularizers import L1


class Gate(Layer):  # Y = X * gate
    def build(self, n_inputs):
        self.gate_ = Parameter("gate", (n_inputs,), Constant(1.0), regularizer=L1(0.1))
        return n_inputs, [self.gate_]

    def forward(self, X):
        self._X = X
        return X * self.gate_.value

    def backward(self, dY):
        np.sum(dY * self._X, axis=0, out=self.gate_.grad)
        return dY * self.gate_.value

    def infer(self, X):
        return X * self.gate_.value


X, y = make_friedman1(n_samples=500, n_features=8, random_state=0)
mlp = MLPRegressor(layers=[Gate(), Dense(64, "relu")], solver="adam", learning_rate_init=.01, max_iter=500, random_state=0).fit(X-.5, y)
print(mlp.score(X-.5, y), mlp.n_iter_, np.round(mlp.network_.layers[0].gate_.value, 2))
mlp = MLPRegressor(layers=[Gate(), Dense(64, "relu")], solver="lbfgs", max_iter=500, random_state=0).fit(X-.5, y)
print(mlp.score(X-.5, y), mlp.n_iter_, np.round(mlp.network_.layers[0].gate_.value, 2))
