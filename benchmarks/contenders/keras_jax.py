"""Keras on the JAX backend: compile, fit, and everything compiled by XLA."""

from __future__ import annotations

import time

import jax
import keras
import numpy as np
from keras import layers

from benchmarks.contenders import ALPHA, LEARNING_RATE, Contender

# Steps in one call of the compiled function: this saves Keras a third of the time of small steps.
STEPS_PER_CALL = 16
PREDICT_ROWS = 1024


class _Ends(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.perf_counter())


class KerasJax(Contender):
    """Keras: each new net is compiled in its first epoch, which is not timed."""

    def __init__(self, task, X, y):
        super().__init__(task, X, y)
        keras.config.set_floatx(task.dtype)
        keras.config.set_dtype_policy(task.dtype)  # otherwise it remains that of an earlier task
        jax.config.update("jax_enable_x64", task.dtype == "float64")

    def fit(self, n_epochs):
        keras.utils.set_random_seed(0)
        ends = _Ends()
        net = self._make_net()
        net.compile(
            optimizer=keras.optimizers.Adam(LEARNING_RATE),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=STEPS_PER_CALL,
        )
        net.fit(
            self.X,
            self.y,
            batch_size=self.task.batch_size,
            epochs=n_epochs,
            shuffle=True,
            verbose=0,
            callbacks=[ends],
        )
        self.probabilities = keras.Sequential([net, layers.Softmax()])
        return ends.ends

    def predict(self, X):
        return self.probabilities.predict(X, batch_size=PREDICT_ROWS, verbose=0)

    def predict_row(self, X):
        # A direct call of the net is not compiled, and takes several times as long.
        return np.asarray(self.probabilities.predict_on_batch(X))

    def _make_net(self) -> keras.Sequential:
        task = self.task
        net = keras.Sequential([layers.Input((task.n_columns,))])
        for n_units in task.hidden:
            # Batch norm has a bias of its own.
            net.add(self._dense(n_units, use_bias=not task.batch_norm))
            if task.batch_norm:
                net.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
            net.add(layers.ReLU())
            if task.dropout:
                net.add(layers.Dropout(task.dropout))
        net.add(self._dense(task.n_classes))
        return net

    def _dense(self, n_units: int, use_bias: bool = True) -> layers.Dense:
        # Keras does not halve the penalty.
        penalty = keras.regularizers.L2(ALPHA / self.task.batch_size / 2)
        return layers.Dense(n_units, use_bias=use_bias, kernel_regularizer=penalty)
