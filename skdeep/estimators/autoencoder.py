"""The autoencoder, MLPAutoencoder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, validate_data

from skdeep._component import (
    InvalidParameterError,
    is_per_layer,
    named_parameters,
    resolve,
    store_parameters,
)
from skdeep.building.checks import check_hidden_layer_sizes
from skdeep.building.losses import n_quantiles
from skdeep.building.options import OPTIONS
from skdeep.data.sources.checks import refuse_source
from skdeep.estimators.autologging import autologged
from skdeep.estimators.base import BaseMLP, has_stochastic_solver
from skdeep.estimators.watching import with_callbacks
from skdeep.layers import Dense, Layer
from skdeep.layers.tied import TiedDense
from skdeep.losses import REGRESSION_LOSSES, LogLoss, Loss, RegressionLoss
from skdeep.training.batches import DenseTargets, SparseTargets

AUTOENCODER_LOSSES = {**REGRESSION_LOSSES, "log_loss": LogLoss}


class MLPAutoencoder(BaseMLP):
    """A transformer: a network that learns to reproduce its inputs by way of a code.

    The layers of the encoder lead to the code, which `transform` returns. The decoder mirrors them.
    A narrow code makes an undercomplete autoencoder, `input_noise` or `input_dropout` a denoising
    one, `activity_regularizer="l1"` a sparse one. A classifier or regressor can start from the
    layers of the encoder: `pretrained=FrozenEstimator(autoencoder)`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        The numbers of units of the hidden layers. An int stands for one layer. The text of a tuple
        is allowed too: "(64, 32)". The numbers are those of the encoder, whose last layer is the
        code. The decoder mirrors the encoder.
    activation : str, Activation or sequence, default="relu"
        The activation of the hidden layers: a name or an instance from `skdeep.activations`. Names:
        "identity", "linear", "logistic", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "rrelu",
        "thresholded_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus", "softsign",
        "hard_sigmoid", "exponential", "softmax", "step", "heaviside". A sequence has one entry for
        each layer of the encoder, which the decoder mirrors, or one entry for each hidden layer.
    tied_weights : bool, default=False
        Whether the weights of the decoder are those of the encoder, transposed.
    initializer : str, Initializer or sequence, default="auto"
        The first values of the weights: a name or an instance from `skdeep.initializers`. One value
        is for all hidden layers, and the output layer then has "auto". "auto" is uniform with
        variance 0.1 / fan_in in the first hidden layer, divided by the standard deviations of the
        columns. In higher hidden layers it is He's initializer for the ReLU family, and Glorot's
        for other activations. With SELU it is LeCun's normal distribution in all hidden layers.
        "data" fits the weights to a sample of the rows: the weighted sum of each unit begins with
        variance 1. A sequence has one entry for each layer of the encoder, which the decoder
        mirrors, or one entry for each hidden layer, with or without one more for the output layer.
    bias_initializer : str, Initializer or sequence, default="auto"
        The first values of all biases: a name or an instance from `skdeep.initializers`. "auto" is
        uniform in [-0.3, 0.3] in hidden layers. It is 0 in hidden layers with SELU or with a batch
        normalization after them. The biases of the first hidden layer also make up for the means of
        the columns. In the output layer, "auto" is the best constant prediction. "data" sets the
        biases so that the weighted sum of each unit is 0 at a random mixture of 5 rows, in the
        output layer too. A sequence has one entry for each layer of the encoder, which the decoder
        mirrors, or one entry for each hidden layer, with or without one more for the output layer.
    batch_norm : {None, "before", "after"}, default=None
        Batch normalization in every hidden layer, before or after the activation. With "before",
        the dense layers have no biases, as the normalization has its own. A sequence has one entry
        for each layer of the encoder, which the decoder mirrors, or one entry for each hidden
        layer.
    batch_norm_input : bool, default=False
        Whether the inputs go through a batch normalization.
    batch_norm_momentum : float, default=0.9
        The share of the running statistics of batch normalization that is kept at each batch.
    batch_norm_epsilon : float, default=1e-5
        The number that batch normalization adds to variances before it divides by their square
        roots.
    dropout : float, Scheduled or sequence of these, default=0.0
        The share of the outputs of the hidden layers that is set to 0 in training. The other
        outputs are scaled up. There is no dropout at prediction. A sequence has one entry for each
        layer of the encoder, which the decoder mirrors, or one entry for each hidden layer. A
        `skdeep.schedules.Scheduled` changes it over time.
    input_dropout : float or Scheduled, default=0.0
        The share of the inputs that is set to 0 in training. The other inputs are scaled up. There
        is no dropout at prediction. Dropout of the inputs makes a denoising autoencoder. A
        `skdeep.schedules.Scheduled` changes it over time.
    input_noise : float or Scheduled, default=0.0
        The standard deviation of Gaussian noise that is added to the inputs in training. There is
        no noise at prediction. Noise on the inputs makes a denoising autoencoder: its targets are
        the inputs without noise. A `skdeep.schedules.Scheduled` changes it over time.
    pre_activation_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise that is added in training before the activations of
        the hidden layers. There is no noise at prediction. A sequence has one entry for each layer
        of the encoder, which the decoder mirrors, or one entry for each hidden layer. A
        `skdeep.schedules.Scheduled` changes it over time.
    activation_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise that is added in training after the activations of
        the hidden layers. There is no noise at prediction. A sequence has one entry for each layer
        of the encoder, which the decoder mirrors, or one entry for each hidden layer. A
        `skdeep.schedules.Scheduled` changes it over time.
    weight_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise on the weights of the dense layers in training. The
        noise is drawn again for each batch. One value is for all dense layers, the output layer
        included. There is no noise at prediction. A sequence has one entry for each layer of the
        encoder, which the decoder mirrors, or one entry for each hidden layer, with or without one
        more for the output layer. A `skdeep.schedules.Scheduled` changes it over time.
    gradient_noise : float or Scheduled, default=0.0
        The standard deviation of Gaussian noise that is added to the gradient of each batch, before
        clipping. A `skdeep.schedules.Scheduled` changes it over time.
    output_activation : str or sequence of str, default="auto"
        The function at the end of the network, which is applied to the raw outputs: "identity",
        "relu", "softplus", "exponential", "logistic", "tanh". "auto" follows the loss: the
        exponential for "poisson" and "gamma", the logistic function for "log_loss", the identity
        for other losses.
    loss : str, Loss or sequence, default="squared_error"
        The loss that training minimizes: a name, or an instance from `skdeep.losses`. Names:
        "squared_error", "absolute_error", "huber", "log_cosh", "poisson", "gamma", "quantile",
        "log_loss". "log_loss" is for inputs in [0, 1].
    alpha : float, default=0.0001
        The strength of scikit-learn's penalty on the weights of the dense layers: `alpha / n_batch
        * ((1 - l1_ratio) / 2 * sum(W ** 2) + l1_ratio * sum(abs(W)))`. With `sample_weight`, the
        penalty is also divided by the mean weight. Biases do not have this penalty.
    l1_ratio : float, default=0.0
        The share of L1 in the penalty of strength `alpha`. The rest is L2.
    kernel_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the weights of the hidden layers, which is added to the loss without a division
        by the number of rows: "l1", "l2", "l1_l2" or an instance from `skdeep.regularizers`. A
        sequence has one entry for each layer of the encoder, which the decoder mirrors, or one
        entry for each hidden layer, with or without one more for the output layer.
    bias_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the biases of the hidden layers, which is added to the loss without a division
        by the number of rows: "l1", "l2", "l1_l2" or an instance from `skdeep.regularizers`. A
        sequence has one entry for each layer of the encoder, which the decoder mirrors, or one
        entry for each hidden layer, with or without one more for the output layer.
    activity_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the outputs of layers, divided by the number of rows of the batch: "l1", "l2",
        "l1_l2" or an instance from `skdeep.regularizers`. In the output layer it is a penalty on
        the raw outputs. One value is for the code: "l1" makes a sparse autoencoder. A sequence has
        one entry for each layer of the encoder, which the decoder mirrors, or one entry for each
        hidden layer, with or without one more for the output layer.
    kernel_constraint : str, Constraint, None or sequence, default=None
        A constraint on the weights of the hidden layers, which holds after every step: "max_norm",
        "unit_norm", "min_max_norm", "non_neg" or an instance from `skdeep.constraints`. Norms are
        those of the incoming weights of a unit. A sequence has one entry for each layer of the
        encoder, which the decoder mirrors, or one entry for each hidden layer, with or without one
        more for the output layer.
    bias_constraint : str, Constraint, None or sequence, default=None
        A constraint on the biases of the hidden layers, which holds after every step: "max_norm",
        "unit_norm", "min_max_norm", "non_neg" or an instance from `skdeep.constraints`. A sequence
        has one entry for each layer of the encoder, which the decoder mirrors, or one entry for
        each hidden layer, with or without one more for the output layer.
    solver : str or Optimizer, default="adam"
        The optimizer: a name, or an instance from `skdeep.optimizers`. Names: "sgd", "adam",
        "adamw", "nadam", "adamax", "amsgrad", "adagrad", "adadelta", "rmsprop", "lion", "lbfgs".
    learning_rate : str or Schedule, default="constant"
        The schedule of the learning rate, for every solver but "lbfgs": a name, or an instance from
        `skdeep.schedules`. Names: "constant", "invscaling", "adaptive", "step", "exponential",
        "inverse_time", "linear", "polynomial", "cosine", "cosine_restarts", "one_cycle",
        "warmup_cosine", "flat_cosine", "cosine_log". The name "invscaling" has no effect with the
        solver "adam", as in scikit-learn.
    learning_rate_init : float, default=0.001
        The learning rate that the schedule starts from.
    learning_rate_multipliers : float or sequence of float, default=1.0
        The factor of the learning rate in the hidden layers. Factors below 1 make smaller steps,
        for layers that were trained before. A sequence has one entry for each layer of the encoder,
        which the decoder mirrors, or one entry for each hidden layer, with or without one more for
        the output layer.
    power_t : float, default=0.5
        The exponent of the learning rate "invscaling".
    momentum : float, default=0.9
        The momentum of the solver "sgd".
    nesterovs_momentum : bool, default=True
        Whether the solver "sgd" uses Nesterov's momentum.
    beta_1 : float, default=0.9
        The decay of the first moment, for the solvers "adam", "adamw", "nadam", "adamax", "amsgrad"
        and "lion".
    beta_2 : float, default=0.999
        The decay of the second moment, for the solvers "adam", "adamw", "nadam", "adamax" and
        "amsgrad"; for "lion", the decay of its moment.
    rho : float, default=0.9
        The decay of the mean of squared gradients, for the solvers "rmsprop" and "adadelta".
    epsilon : float, default=1e-8
        The number that keeps the divisions of the adaptive solvers away from 0.
    weight_decay : float or Scheduled, default=0.0
        The decoupled decay of the weights of the dense layers. Before each step, the weights are
        multiplied by one minus the learning rate times this number. It works with every solver but
        "lbfgs". The solver "adamw" is "adam" with this decay. The `weight_decay` of an `AdamW`
        instance is added to it. A `skdeep.schedules.Scheduled` changes it over time.
    clip_norm : float or None, default=None
        The largest norm that the gradient of all parameters may have. A gradient with a larger norm
        is scaled down.
    clip_value : float or None, default=None
        The largest absolute value that a component of the gradient may have. It is applied before
        `clip_norm`.
    clip_parameter_norm : float or None, default=None
        The largest norm that the gradient of each parameter may have, such as the weights of one
        layer or its biases. A gradient with a larger norm is scaled down. It is applied after
        `clip_value` and before `clip_norm`.
    batch_size : int or "auto", default="auto"
        The number of rows of a batch. "auto" is `min(200, n_samples)`.
    max_iter : int, default=200
        The largest number of epochs, or of iterations with the solver "lbfgs".
    max_fun : int, default=15000
        The largest number of evaluations of the loss, for the solver "lbfgs".
    shuffle : bool, default=True
        Whether the rows are shuffled before each epoch.
    augment : str, Augmentation, callable, list or None, default=None
        A change of each batch in training, for example shifts of images: a name, an instance from
        `skdeep.augmentation`, a function `(X, Y, rng) -> (X, Y)`, or a list of these. Names:
        "mixup", "swap_columns", "shift_images", "flip_images", "rotate_images". Y has the targets
        as the loss sees them, with one column for each output of the network. Batches of a sparse X
        are made dense.
    tol : float, default=0.0001
        The smallest change that counts as an improvement: of the training loss, or with
        `early_stopping` of the validation score or the validation loss. With the solver "lbfgs" it
        is also the tolerance of the gradient.
    n_iter_no_change : int or inf, default=10
        Training stops after more than this number of epochs in a row without an improvement. With
        `math.inf` it never stops for this reason. A callback `EarlyStopping` takes the place of
        this rule if this number is the default and `early_stopping` is False.
    early_stopping : bool, default=False
        Whether to stop by the validation score and the validation loss, and to restore the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        The share of the rows that is held out for `early_stopping`, if `fit` is given no validation
        data. The rows are drawn at random.
    scoring : str, callable or None, default=None
        The validation score. None is the score of the estimator itself, and the validation loss
        then counts too. "loss" is the negative validation loss. Other values are the name of a
        scorer or a callable `scoring(estimator, X, y)`.
    metrics : str, callable, list, dict or None, default=None
        Figures of the predictions, which `history_` has for every epoch. A figure of the training
        rows is computed from the batches of the epoch. A figure of validation data has a name that
        begins with `val_`. A metric is the name of a scorer, "score" for the estimator's own score,
        a callable `(estimator, X, y)` or a function `(y_true, y_pred)`. Give one metric, a list, or
        a dict from names to metrics.
    warm_start : bool, "continue" or "transfer", default=False
        Whether `fit` starts from the weights of the previous fit. "continue" also keeps the state
        of the optimizer, of the schedule and of the random numbers, so that `fit` continues exactly
        where the last one ended. "transfer" keeps the weights of the hidden layers, and makes a new
        output layer.
    pretrained : FrozenEstimator or None, default=None
        A fitted estimator of skdeep in a `sklearn.frozen.FrozenEstimator`. The hidden layers of the
        network start with the weights of that estimator's hidden layers, from the bottom up, as far
        as both networks have hidden layers.
    n_reused_layers : int or None, default=None
        The number of the lowest hidden layers that `pretrained` or `warm_start="transfer"` copies.
        The hidden layers above them may differ in size and activation, and start with new weights.
        With None, all hidden layers that both networks have are copied, and their shapes and
        activations have to agree. Without an earlier network, the option has no effect.
    frozen_layers : int or sequence of int, default=0
        The hidden layers that do not train: the number of the lowest ones, or a sequence of their
        positions. The lowest hidden layer includes the layers for the inputs. A frozen batch
        normalization uses its stored statistics.
    weight_averaging : str, WeightAverage or None, default=None
        The average of the weights that validation, early stopping, checkpoints and the final model
        use in place of the weights themselves. Names: "ema", "swa"; or an instance from
        `skdeep.averages`. Training continues with the weights themselves, in a warm start too.
    dtype : {"auto", "float32", "float64"}, default="auto"
        The dtype of the computations. "auto" is float32 for float32 data, and float64 for other
        data.
    callbacks : Callback, list of Callback or None, default=None
        Objects from `skdeep.callbacks` that are called during training.
    random_state : int, RandomState, Generator or None, default=None
        The source of random numbers for first weights, the order of rows, splits, dropout and
        noise. Give an int for results that can be repeated.
    verbose : bool, int or "progress", default=False
        Whether to print a line for each epoch. "progress" shows a progress bar instead, if the
        output is a terminal.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if all of them were strings.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs of the network: as many as inputs.
    out_activation_ : str
        The function that turns raw outputs into reconstructions.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of the dense layers: live views, so writing into them changes the model.
    intercepts_ : list of ndarray of shape (fan_out,)
        The biases of the dense layers: live views, too.
    n_iter_ : int
        Number of epochs of the last call of fit.
    t_ : int
        Number of rows seen in the model's whole life.
    loss_ : float
        The training loss of the last epoch, penalties included.
    best_loss_ : float or None
        The lowest training loss; None with `early_stopping`.
    loss_curve_ : list of float
        The training loss of every epoch of the model's life.
    validation_scores_ : list of float or None
        The validation score of every epoch, if there was validation data.
    best_validation_score_ : float or None
        With `early_stopping`, the validation score of the weights that were kept. Otherwise the
        highest validation score.
    best_iter_ : int
        The best epoch, counted from 1 over the model's life.
    history_ : dict of list
        One entry for each epoch: "loss", "learning_rate", "gradient_norm" (of the epoch's last
        step, before clipping) and "seconds". With validation data also "val_loss" (without
        penalties) and "val_score". `metrics` and callbacks add further keys.
    network_ : Network
        The trained network.
    optimizer_ : Optimizer or None
        The optimizer; None for "lbfgs".

    Notes
    -----
    To convert a model to ONNX, `import skdeep.onnx` before skl2onnx is called.

    See Also
    --------
    MLPClassifier, MLPRegressor : Estimators that can start from the layers of the encoder.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import MLPAutoencoder
    >>> X = load_digits().data / 16
    >>> autoencoder = MLPAutoencoder((32, 8), ("relu", "identity"), tol=1e-3, random_state=0)
    >>> codes = autoencoder.fit_transform(X)
    >>> codes.shape
    (1797, 8)
    >>> autoencoder.inverse_transform(codes).shape
    (1797, 64)
    """

    _targets_are_inputs = True

    @named_parameters
    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        tied_weights=False,
        initializer="auto",
        bias_initializer="auto",
        batch_norm=None,
        batch_norm_input=False,
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
        dropout=0.0,
        input_dropout=0.0,
        input_noise=0.0,
        pre_activation_noise=0.0,
        activation_noise=0.0,
        weight_noise=0.0,
        gradient_noise=0.0,
        output_activation="auto",
        loss="squared_error",
        alpha=0.0001,
        l1_ratio=0.0,
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        solver="adam",
        learning_rate="constant",
        learning_rate_init=0.001,
        learning_rate_multipliers=1.0,
        power_t=0.5,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        rho=0.9,
        epsilon=1e-8,
        weight_decay=0.0,
        clip_norm=None,
        clip_value=None,
        clip_parameter_norm=None,
        batch_size="auto",
        max_iter=200,
        max_fun=15000,
        shuffle=True,
        augment=None,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        scoring=None,
        metrics=None,
        warm_start=False,
        pretrained=None,
        n_reused_layers=None,
        frozen_layers=0,
        weight_averaging=None,
        dtype="auto",
        callbacks=None,
        random_state=None,
        verbose=False,
    ):
        store_parameters(self, locals())

    @autologged
    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, *, X_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val : array-like or None, default=None
            Validation data, which are evaluated after every epoch. With `early_stopping` they
            decide when training stops.
        sample_weight_val : array-like or None, default=None
            The sample weights of the validation data.

        Returns
        -------
        self
        """
        return self._fit(X, None, sample_weight, (X_val, X_val, sample_weight_val))

    @available_if(has_stochastic_solver)
    def partial_fit(self, X, y=None, *, sample_weight=None, X_val=None, sample_weight_val=None):
        """Train for one epoch on these rows, starting from the present weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val : array-like or None, default=None
            Validation data, which are evaluated after the epoch: `history_` has the loss, the score
            and the metrics.
        sample_weight_val : array-like or None, default=None
            The sample weights of the validation data.

        Returns
        -------
        self
        """
        return self._fit(X, None, sample_weight, (X_val, X_val, sample_weight_val), mode="partial")

    def transform(self, X):
        """Return the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_units)
        """
        self._check_is_fitted()
        return super().transform(X, self._named_layer)

    def inverse_transform(self, X):
        """Return the reconstructions that the decoder makes from codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_units)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        self._check_is_fitted()
        network = self.network_
        codes = check_array(X, dtype=network.dtype)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but codes of this {type(self).__name__} have "
                f"{self._n_features_out}."
            )
        return self._decode(network.infer(codes, start=network.hidden_stops[self._named_layer]))

    def score(self, X, y=None, sample_weight=None):
        """Return the share of the variance of X that the reconstruction explains (R squared).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
        """
        refuse_source(X, "score", "give a part of the rows, source.take(rows)")
        X = self._check_X(X)
        return self._score_outputs(X, self.network_.infer(X), sample_weight)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        self._loss.output(Z)
        return Z

    def _with_outputs(self, X, Z):
        model = super()._with_outputs(X, Z)

        def predict(rows):  # for scorers, which compare reconstructions with the inputs
            return model._decode(model._raw_outputs(rows))

        model.predict = predict
        return model

    # Methods for the base class -------------------------------------------------------------------

    def _check_data(self, X, y, dtype, *, reset):
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=reset)
        return X, X

    def _own_sizes(self, hidden):
        return hidden[: (len(hidden) + 1) // 2]

    def _know_targets(self):
        self._named_layer = len(self._encoder_sizes()) - 1  # the code

    def _encode_first(self, y, classes, sample_weight):
        self._know_targets()
        self.n_outputs_ = y.shape[1]
        return y

    def _encode(self, y):
        return y

    def _encode_again(self, y, incremental):
        return y

    def _targets(self, encoded, dtype, *, training, rng=None):
        values = encoded
        if sp.issparse(encoded):
            values = np.append(encoded.data, 0).reshape(-1, 1)
        self._loss.check_targets(values)
        if isinstance(self._loss, LogLoss) and (values.min() < 0 or values.max() > 1):
            raise ValueError(
                "loss='log_loss' is for inputs in [0, 1], and X has values from "
                f"{values.min():g} to {values.max():g}; scale them (MinMaxScaler), or choose "
                "another loss."
            )
        if sp.issparse(encoded):
            return SparseTargets(encoded.astype(dtype, copy=False))
        return DenseTargets(encoded.astype(dtype, copy=False))

    def _choose_loss(self):
        loss = resolve(self.loss, AUTOENCODER_LOSSES, "loss", Loss)
        if loss.task == "classification" and type(loss) is not LogLoss:
            raise InvalidParameterError(
                f"loss={self.loss!r} is not for reconstructions; "
                f"choose from {sorted(AUTOENCODER_LOSSES)}."
            )
        if n_quantiles(loss) is not None or is_per_layer(self.output_activation):
            raise InvalidParameterError(
                f"loss={self.loss!r} and output_activation={self.output_activation!r} have to be "
                "one loss and one name for all columns, in MLPAutoencoder."
            )
        if isinstance(loss, RegressionLoss):
            loss.use_output_activation(self.output_activation)
        elif type(loss) is LogLoss and self.output_activation not in ("auto", "logistic"):
            raise InvalidParameterError(
                f"output_activation={self.output_activation!r} does not go with loss='log_loss', "
                "which has the logistic function built in; leave it at 'auto'."
            )
        return loss

    def _rows_of_targets(self, encoded, weight):
        if not sp.issparse(encoded):
            return encoded, weight
        mean = np.asarray(encoded.T @ weight).reshape(1, -1) / weight.sum()
        return mean, weight.sum(keepdims=True)

    def _score_outputs(self, y, Z, weight):
        X = y.toarray() if sp.issparse(y) else y
        reconstruction = self._decode(Z.copy())
        if not np.isfinite(reconstruction).all():
            return np.nan
        errors, spread = (X - reconstruction) ** 2, (X - np.average(X, axis=0, weights=weight)) ** 2
        unexplained, variance = (
            np.average(squares, axis=0, weights=weight).sum(dtype=np.float64)
            for squares in (errors, spread)
        )
        if variance == 0:  # as scikit-learn's r2_score has it
            return 1.0 if unexplained == 0 else 0.0
        return float(1 - unexplained / variance)

    # The network ----------------------------------------------------------------------------------

    def _encoder_sizes(self) -> list[int]:
        sizes = check_hidden_layer_sizes(self.hidden_layer_sizes)
        if not sizes:
            raise InvalidParameterError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} leaves no layer for the code; "
                "give at least one size."
            )
        return sizes

    @property
    def _n_layers_to_reuse(self):
        return self._named_layer + 1

    def _options(self) -> SimpleNamespace:
        """Return the options of a network with the encoder's layers and the decoder's."""
        sizes = self._encoder_sizes()
        n = len(sizes)
        options = SimpleNamespace(**self.get_params(deep=False), layers=None)
        options.hidden_layer_sizes = [*sizes, *sizes[-2::-1]]
        if not is_per_layer(self.activity_regularizer):
            of_code = [None] * n
            of_code[-1] = self.activity_regularizer
            options.activity_regularizer = of_code
        for name, option in OPTIONS.items():
            if option.goes_by_layer:
                setattr(options, name, _mirrored(getattr(options, name), n, name))
        return options

    def _build_layers(self):
        layers, stops = super()._build_layers()
        return _tied(layers) if self.tied_weights else layers, stops

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


def _mirrored(value: Any, n: int, name: str) -> Any:
    """Return an option's value; if it has n entries for the encoder, with those of the decoder."""
    if not is_per_layer(value) or len(value) in (2 * n - 1, 2 * n):
        return value
    if len(value) != n:
        raise InvalidParameterError(
            f"{name}={value!r} has {len(value)} entries; give one value for all, one entry for "
            f"each of the encoder's {n} layers, or one for each of the {2 * n - 1} hidden layers."
        )
    return [*value, *list(value)[-2::-1]]


def _tied(layers: list[Layer]) -> list[Layer]:
    """Return the layers, with the encoder's weights in the dense layers of the decoder."""
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    n = len(dense) // 2
    replaced = {
        id(above): TiedDense(
            below,
            above.units,
            above.activation,
            bias=above.bias,
            bias_initializer=above.bias_initializer,
            bias_regularizer=above.bias_regularizer,
            bias_constraint=above.bias_constraint,
        )
        for above, below in zip(dense[n:], dense[n - 1 :: -1], strict=True)
    }
    return [replaced.get(id(layer), layer) for layer in layers]
