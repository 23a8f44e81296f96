"""The regressor."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from skdeep._component import InvalidParameterError, named_parameters, resolve, store_parameters
from skdeep.estimators.autologging import autologged
from skdeep.estimators.base import BaseMLP, has_stochastic_solver
from skdeep.estimators.watching import with_callbacks
from skdeep.losses import REGRESSION_LOSSES, Loss, RegressionLoss
from skdeep.training.batches import DenseTargets


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers.

    A superset of `sklearn.neural_network.MLPRegressor`. One or many outputs; dense and sparse X.
    Every part that has a name may also be given as an instance, whose own parameters can be
    searched: `solver__beta_2`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; `()` is a linear model; an int is one layer.
    activation : str, Activation or sequence, default="relu"
        The activation of the hidden layers, or one a layer: a name from `skdeep.activations`
        ("identity", "logistic", "tanh", "relu", "leaky_relu", "prelu", "rrelu",
        "thresholded_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus",
        "softsign", "hard_sigmoid", "exponential", ...) or an instance.
    layers : list of Layer or None, default=None
        The hidden stack spelled out as instances from `skdeep.layers`, instead of
        `hidden_layer_sizes` and the options that go by layer. The output layer is added; the
        options for biases and constraints are then its own.
    initializer : str, Initializer or sequence, default="auto"
        First values of the hidden layers' weights: a name from `skdeep.initializers` or an
        instance, or one a layer (and one more for the output layer, which else follows "auto").
        "auto" is U with variance 0.1 / fan_in in the first hidden layer, divided by the standard
        deviations of the columns; above it, He for the ReLU family and Glorot otherwise. With
        SELU it is LeCun normal in all hidden layers.
    bias_initializer : str or Initializer, default="auto"
        First values of all biases. "auto" is U(-0.3, 0.3) in hidden layers, and 0 in those with
        SELU or with a batch norm behind them; the first layer's make up for the means of the
        columns. In the output layer it is the best constant prediction.
    batch_norm : {None, "before", "after"}, default=None
        Batch normalization in every hidden layer, before or after the activation. "before"
        drops the dense layer's bias, as the normalization has its own.
    batch_norm_input : bool, default=False
        Batch normalization of the inputs.
    batch_norm_momentum : float, default=0.9
        How much of the running statistics is kept at each batch.
    batch_norm_epsilon : float, default=1e-5
        Added to the variance.
    dropout : float or sequence of float, default=0.0
        The share of a hidden layer's outputs that is set to 0 in training, or one a layer; what
        is left is scaled up. Never at prediction.
    input_dropout : float, default=0.0
        The same for the inputs.
    input_noise : float, default=0.0
        Standard deviation of Gaussian noise on the inputs, in training only.
    pre_activation_noise : float or sequence of float, default=0.0
        The same before the activations of the hidden layers, or one a layer.
    activation_noise : float or sequence of float, default=0.0
        The same after the activations.
    weight_noise : float or sequence of float, default=0.0
        The same on the weights of every dense layer, the output layer included; or one a layer.
    gradient_noise : float, default=0.0
        The same on the gradient.
    output_activation : str, default="auto"
        What turns the network's output into predictions: "identity", "relu", "softplus",
        "exponential", "logistic" or "tanh"; "auto" follows the loss: the exponential for
        "poisson" and "gamma", else the identity.
    loss : str or Loss, default="squared_error"
        "squared_error", "absolute_error", "huber", "log_cosh", "poisson", "gamma", "quantile",
        or an instance from `skdeep.losses`: `loss=QuantileLoss(0.9)`.
    standardize_y : bool, default=False
        Whether the network learns targets that are scaled to mean 0 and variance 1, each output on
        its own. `predict` and `score`, `y` and `y_val` are in the units of y; `loss_`, the
        losses in `history_`, `target_noise` and the constants of losses are in units of the
        standard deviation of y. For targets of any size, in the place of a
        `TransformedTargetRegressor`.
    target_noise : float, default=0.0
        Standard deviation of Gaussian noise on the targets, in training only.
    alpha : float, default=0.0001
        Strength of scikit-learn's penalty on the weights (not the biases): `alpha / n_batch *
        ((1 - l1_ratio) / 2 * sum(W ** 2) + l1_ratio * sum(abs(W)))`.
    l1_ratio : float, default=0.0
        The share of L1 in that penalty.
    kernel_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the weights of the hidden layers, added to the loss as it is: "l1", "l2",
        "l1_l2" or an instance from `skdeep.regularizers`; or one a layer, and one more for the
        output layer.
    bias_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the biases of the hidden layers; or one a layer, and one more for the output
        layer.
    activity_regularizer : str, Regularizer, None or sequence, default=None
        The same for the activations of the hidden layers, divided by the number of rows; or one
        a layer, and one more for the raw outputs.
    kernel_constraint : str, Constraint, None or sequence, default=None
        "max_norm", "unit_norm", "min_max_norm", "non_neg" or an instance from
        `skdeep.constraints`, for the weights of the hidden layers; or one a layer, and one more
        for the output layer. Norms are over the incoming weights of a unit.
    bias_constraint : str, Constraint, None or sequence, default=None
        A constraint on the biases of the hidden layers; or one a layer, and one more for the
        output layer.
    solver : str or Optimizer, default="adam"
        "sgd", "adam", "adamw", "nadam", "adamax", "amsgrad", "adagrad", "adadelta", "rmsprop",
        "lion", "lbfgs", or an instance from `skdeep.optimizers`.
    learning_rate : str or Schedule, default="constant"
        "constant", "invscaling", "adaptive", "step", "exponential", "inverse_time", "linear",
        "polynomial", "cosine", "cosine_restarts", "one_cycle", "warmup_cosine", or an instance
        from `skdeep.schedules`. Works with every solver but "lbfgs"; "invscaling" by name has no
        effect on "adam", as in scikit-learn.
    learning_rate_init : float, default=0.001
        The learning rate that the schedule starts from.
    learning_rate_multipliers : float or sequence of float, default=1.0
        What the learning rate of the hidden layers is multiplied by, or one a layer, and one more
        for the output layer: smaller steps for layers that were trained before.
    power_t : float, default=0.5
        The exponent of "invscaling".
    momentum : float, default=0.9
        For "sgd".
    nesterovs_momentum : bool, default=True
        For "sgd".
    beta_1 : float, default=0.9
        Decay of the first moment: "adam" and its relatives, "lion".
    beta_2 : float, default=0.999
        Decay of the second moment: "adam" and its relatives, "lion".
    rho : float, default=0.9
        Decay of the squared gradients: "rmsprop", "adadelta".
    epsilon : float, default=1e-8
        For the numerical stability of all adaptive solvers.
    weight_decay : float, default=0.0
        Decoupled decay of the dense layers' weights, with every solver but "lbfgs"; "adamw" is
        "adam" with this. An `AdamW` instance's own is added to it.
    clip_norm : float or None, default=None
        The largest norm of the whole gradient.
    clip_value : float or None, default=None
        The largest component of the gradient; comes before `clip_norm`.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is `min(200, n_samples)`.
    max_iter : int, default=200
        Epochs at the most; iterations for "lbfgs".
    max_fun : int, default=15000
        Evaluations of the loss at the most, for "lbfgs".
    shuffle : bool, default=True
        Whether rows come in a new order in every epoch.
    tol : float, default=1e-4
        By how much the training loss has to be better to count as an improvement; with
        `early_stopping`, the validation score or the validation loss.
    n_iter_no_change : int or inf, default=10
        Training stops after more than so many epochs in a row without an improvement.
    early_stopping : bool, default=False
        Whether to stop by the score and the loss on validation data, and to restore the best
        epoch's weights.
    validation_fraction : float, default=0.1
        The share of rows set aside for that, where fit is given no X_val; at random.
    scoring : str, callable or None, default=None
        The validation score: None is the estimator's own, "loss" the negative loss, else a
        scorer's name or a callable `scoring(estimator, X, y)`.
    warm_start : bool or "transfer", default=False
        Whether fit goes on from the weights that are there. "transfer" keeps the hidden layers, and
        puts a new output layer on them: for new classes, or targets of another kind.
    pretrained : FrozenEstimator or None, default=None
        A fitted estimator of skdeep in a `sklearn.frozen.FrozenEstimator`: its hidden layers are
        the start of the network's, from the bottom, as far as both have some. If
        `hidden_layer_sizes`, `activation`, `layers`, `batch_norm` and `batch_norm_input` are all
        at their defaults, they are those of the fitted estimator.
    frozen_layers : int or sequence of int, default=0
        How many of the lowest hidden layers do not train, or the positions of those. The lowest
        hidden layer has the layers for the inputs with it. A frozen batch norm runs on its stored
        statistics.
    dtype : {"auto", "float32", "float64"}, default="auto"
        What to compute in; "auto" is float32 for float32 data, else float64.
    callbacks : list of Callback or None, default=None
        From `skdeep.callbacks`.
    random_state : int, RandomState, Generator or None, default=None
        Makes first weights, shuffling, splits, dropout and noise repeatable.
    verbose : bool, int or "progress", default=False
        Whether to print a line an epoch; "progress" shows a bar instead, in a terminal.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of those columns, where X had names that are all strings.
    n_layers_ : int
        Number of layers, input and output included.
    y_mean_, y_scale_ : ndarray of shape (n_outputs_,) or None
        What `standardize_y` subtracts from y, and divides by; None without it.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        What turns raw outputs into predictions.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of the dense layers: live views, so writing into them changes the model.
    intercepts_ : list of ndarray of shape (fan_out,)
        Their biases, live too.
    n_iter_ : int
        Epochs of the last call of fit.
    t_ : int
        Rows seen in the model's whole life.
    loss_ : float
        The last epoch's training loss, penalties included.
    best_loss_ : float or None
        The lowest training loss; None with `early_stopping`.
    loss_curve_ : list of float
        The training loss of every epoch of the model's life.
    validation_scores_ : list of float or None
        The validation score of every epoch, where there was validation data.
    best_validation_score_ : float or None
        The score of the weights that were kept, with `early_stopping`; else the highest.
    best_iter_ : int
        The epoch, counted from 1 over the model's life, that was best.
    history_ : dict of list
        One entry an epoch: "loss", "learning_rate", "gradient_norm" (of the epoch's last step,
        before clipping), "seconds", and with validation data "val_loss" (without penalties)
        and "val_score".
    network_ : Network
        The trained network.
    optimizer_ : Optimizer or None
        The optimizer; None for "lbfgs".

    Notes
    -----
    To convert a model to ONNX, `import skdeep.onnx` before skl2onnx is called.

    See Also
    --------
    MLPClassifier : The same for classes.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from skdeep import MLPRegressor
    >>> X, y = make_friedman1(n_samples=500, random_state=0)
    >>> mlp = MLPRegressor((32,), activation="tanh", solver="lbfgs", max_iter=2000)
    >>> mlp = mlp.set_params(random_state=0, alpha=0.1, max_iter=500, tol=1e-2).fit(X, y)
    >>> mlp.score(X, y) > 0.9
    True
    """

    _y_is_numeric = True

    @named_parameters
    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        layers=None,
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
        standardize_y=False,
        target_noise=0.0,
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
        batch_size="auto",
        max_iter=200,
        max_fun=15000,
        shuffle=True,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        scoring=None,
        warm_start=False,
        pretrained=None,
        frozen_layers=0,
        dtype="auto",
        callbacks=None,
        random_state=None,
        verbose=False,
    ):
        store_parameters(self, locals())

    @autologged
    @with_callbacks
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val, y_val : array-like or None, default=None
            Validation data: watched in every epoch, and with `early_stopping` what decides.
        sample_weight_val : array-like or None, default=None
            Weights for them.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(has_stochastic_solver)
    def partial_fit(self, X, y, *, sample_weight=None):
        """Train for one epoch on these rows, going on from what is there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predict numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._decode(self._raw_outputs(X))

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        self._loss.output(Z)
        if self.y_scale_ is not None:
            Z *= self.y_scale_
            Z += self.y_mean_
        return Z[:, 0] if self.n_outputs_ == 1 else Z

    # What the base class asks for -----------------------------------------------------------------

    def check_targets(self):
        scaling = self.y_mean_, self.y_scale_
        shapes = [None if numbers is None else numbers.shape for numbers in scaling]
        if shapes not in ([None, None], [(self.n_outputs_,)] * 2):
            raise ValueError("the mean and the scale of the targets are not those of all outputs")

    def _know_targets(self):
        self.y_mean_ = self.y_scale_ = None

    def _encode_first(self, y, classes, sample_weight):
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._know_targets()
        Y = self._encode(y)
        if not self.standardize_y:
            return Y
        self.y_mean_ = np.average(Y, axis=0, weights=sample_weight)
        std = np.sqrt(np.average((Y - self.y_mean_) ** 2, axis=0, weights=sample_weight))
        # The spread of a constant is 0, or what rounding makes of it: there is nothing to scale.
        is_constant = std <= 10 * np.finfo(np.float64).eps * np.abs(self.y_mean_)
        self.y_scale_ = np.where(is_constant, 1.0, std)
        return self._encode(y)

    def _encode(self, y):
        Y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if Y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {Y.shape[1]} outputs, but the model was fitted with {self.n_outputs_}."
            )
        return Y if self.y_scale_ is None else (Y - self.y_mean_) / self.y_scale_

    def _encode_again(self, y, incremental):
        return self._encode(y)

    def _targets(self, encoded, dtype, *, training, rng=None):
        self._loss.check_targets(encoded)
        return DenseTargets(
            encoded.astype(dtype), self.target_noise if rng is not None else 0.0, rng
        )

    def _choose_loss(self):
        loss = resolve(self.loss, REGRESSION_LOSSES, "loss", Loss)
        if loss.task == "classification":
            raise InvalidParameterError(
                f"loss={self.loss!r} is not for regression; "
                f"choose from {sorted(REGRESSION_LOSSES)}."
            )
        if isinstance(loss, RegressionLoss):
            loss.use_output_activation(self.output_activation)
        if self.standardize_y and loss.link != "identity":
            raise InvalidParameterError(
                f"standardize_y=True does not go with loss={self.loss!r} and "
                f"output_activation={self.output_activation!r}, which limit what is predicted: "
                "standardized targets are on both sides of 0. Set standardize_y=False."
            )
        return loss

    def _score_outputs(self, y, Z, weight):
        prediction = self._decode(Z.copy())
        if not np.isfinite(prediction).all():
            return np.nan
        return r2_score(y, prediction, sample_weight=weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
