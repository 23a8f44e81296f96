"""
A layer of your own
===================

The layer multiplies every column by a gate, :math:`y_j = g_j x_j`. An L1 penalty closes the gates
of columns that are of no use. A layer declares its parameters in ``build``. It computes a forward
pass, a backward pass and a prediction.

The user guide explains :doc:`layers of your own </networks>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import scale

from skdeep import MLPRegressor
from skdeep.initializers import Constant
from skdeep.layers import Dense, Layer, Parameter
from skdeep.regularizers import L1


class Gate(Layer):
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


# %%
# The gates
# ---------
# In these data, columns 5 to 7 are noise.

X, y = make_friedman1(n_samples=500, n_features=8, random_state=0)
mlp = MLPRegressor(layers=[Gate(), Dense(64, "relu")], alpha=1.0, batch_size=32, random_state=0)
mlp.set_params(learning_rate_init=0.01).fit(scale(X), y)
gates = np.abs(mlp.network_.layers[0].gate_.value)
print("R2:", round(mlp.score(scale(X), y), 3))
print("gates:", gates.round(2))

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.bar(range(8), gates)
ax.set(title="The gates of the columns after training", xlabel="Column", ylabel="Gate")

# %%
# The gates of the three columns of noise are closed.

assert mlp.score(scale(X), y) > 0.95
assert gates[5:].max() < 0.1 < gates[:5].min()
