"""The description of the output layer, at the end of a stack of layers."""

from __future__ import annotations

from skdeep._component import InvalidParameterError, store_parameters
from skdeep.layers.base import Layer
from skdeep.layers.dense import Dense


class Output(Layer):
    """The output layer of an estimator: Y = X W + b, at the end of `layers=[...]`.

    The estimator sets the number of units, which follows from the targets. The loss turns Y into
    predictions. The estimator's own options for the output layer have to be at their defaults
    beside this layer.

    Parameters
    ----------
    initializer : str or Initializer, default="auto"
        Draws the first W. "auto" is Glorot's normal distribution.
    bias : bool, default=True
        Whether the layer has a bias b.
    bias_initializer : str or Initializer, default="auto"
        Sets the first b. "auto" is the best constant prediction.
    kernel_regularizer, bias_regularizer : str, Regularizer or None, default=None
    activity_regularizer : str, Regularizer or None, default=None
        A penalty on Y, divided by the number of rows of the batch.
    kernel_constraint, bias_constraint : str, Constraint or None, default=None
    weight_noise : float or Scheduled, default=0.0
        The standard deviation of the Gaussian noise that is added to W in training.
    kernel_rate : float or "fan_in", default=1.0
    bias_rate : float, default=1.0
        Factors of the learning rate, as in `Dense`.
    """

    def __init__(
        self,
        *,
        initializer="auto",
        bias: bool = True,
        bias_initializer="auto",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        weight_noise: float = 0.0,
        kernel_rate: float | str = 1.0,
        bias_rate: float = 1.0,
    ):
        store_parameters(self, locals())

    def build(self, n_inputs):
        raise InvalidParameterError(
            f"{self!r} speaks for the output layer of an estimator, so it can only be the last "
            "entry of layers=[...]; for a layer in another place, give a Dense."
        )

    def dense(self, units: int) -> Dense:
        """Return the output layer, with this number of units."""
        return Dense(units, **self.get_params(deep=False))
