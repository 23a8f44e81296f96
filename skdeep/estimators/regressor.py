"""The regressor, MLPRegressor."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skdeep._component import named_parameters, store_parameters
from skdeep.building.losses import n_quantiles, regression_loss
from skdeep.data.gaps import (
    check_data_with_gaps,
    check_gaps,
    mean_and_scale,
    score_of_numbers,
)
from skdeep.data.sources.checks import with_own_targets
from skdeep.estimators.autologging import autologged
from skdeep.estimators.base import BaseMLP, has_stochastic_solver
from skdeep.estimators.watching import with_callbacks
from skdeep.training.batches import DenseTargets


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers.

    A superset of `sklearn.neural_network.MLPRegressor`. There may be one or many outputs,
    and X may be dense or sparse. Every part that has a name may also be given as an instance, whose
    own parameters can be searched: `solver__beta_2`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        The numbers of units of the hidden layers. An int stands for one layer. The text of a tuple
        is allowed too: "(64, 32)". `()` makes a linear model.
    activation : str, Activation or sequence, default="relu"
        The activation of the hidden layers: a name or an instance from `skdeep.activations`. Names:
        "identity", "linear", "logistic", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "rrelu",
        "thresholded_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus", "softsign",
        "hard_sigmoid", "exponential", "softmax", "step", "heaviside". A sequence has one entry for
        each hidden layer.
    layers : list of Layer or None, default=None
        The hidden layers as a list of instances from `skdeep.layers`, instead of
        `hidden_layer_sizes` and the options that describe hidden layers. The output layer is added
        to them. `bias_initializer`, `bias_regularizer`, `kernel_constraint` and `bias_constraint`
        are then for the output layer alone. An `Output` at the end of the list describes the output
        layer instead.
    initializer : str, Initializer or sequence, default="auto"
        The first values of the weights: a name or an instance from `skdeep.initializers`. One value
        is for all hidden layers, and the output layer then has "auto". "auto" is uniform with
        variance 0.1 / fan_in in the first hidden layer, divided by the standard deviations of the
        columns. In higher hidden layers it is He's initializer for the ReLU family, and Glorot's
        for other activations. With SELU it is LeCun's normal distribution in all hidden layers.
        "data" fits the weights to a sample of the rows: the weighted sum of each unit begins with
        variance 1. A sequence has one entry for each hidden layer, and may have one more for the
        output layer.
    bias_initializer : str, Initializer or sequence, default="auto"
        The first values of all biases: a name or an instance from `skdeep.initializers`. "auto" is
        uniform in [-0.3, 0.3] in hidden layers. It is 0 in hidden layers with SELU or with a batch
        normalization after them. The biases of the first hidden layer also make up for the means of
        the columns. In the output layer, "auto" is the best constant prediction. "data" sets the
        biases so that the weighted sum of each unit is 0 at a random mixture of 5 rows, in the
        output layer too. A sequence has one entry for each hidden layer, and may have one more for
        the output layer.
    batch_norm : {None, "before", "after"}, default=None
        Batch normalization in every hidden layer, before or after the activation. With "before",
        the dense layers have no biases, as the normalization has its own. A sequence has one entry
        for each hidden layer.
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
        hidden layer. A `skdeep.schedules.Scheduled` changes it over time.
    input_dropout : float or Scheduled, default=0.0
        The share of the inputs that is set to 0 in training. The other inputs are scaled up. There
        is no dropout at prediction. A `skdeep.schedules.Scheduled` changes it over time.
    input_noise : float or Scheduled, default=0.0
        The standard deviation of Gaussian noise that is added to the inputs in training. There is
        no noise at prediction. A `skdeep.schedules.Scheduled` changes it over time.
    pre_activation_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise that is added in training before the activations of
        the hidden layers. There is no noise at prediction. A sequence has one entry for each hidden
        layer. A `skdeep.schedules.Scheduled` changes it over time.
    activation_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise that is added in training after the activations of
        the hidden layers. There is no noise at prediction. A sequence has one entry for each hidden
        layer. A `skdeep.schedules.Scheduled` changes it over time.
    weight_noise : float, Scheduled or sequence of these, default=0.0
        The standard deviation of Gaussian noise on the weights of the dense layers in training. The
        noise is drawn again for each batch. One value is for all dense layers, the output layer
        included. There is no noise at prediction. A sequence has one entry for each hidden layer,
        and may have one more for the output layer. A `skdeep.schedules.Scheduled` changes it over
        time.
    gradient_noise : float or Scheduled, default=0.0
        The standard deviation of Gaussian noise that is added to the gradient of each batch, before
        clipping. A `skdeep.schedules.Scheduled` changes it over time.
    output_activation : str or sequence of str, default="auto"
        The function at the end of the network, which is applied to the raw outputs: "identity",
        "relu", "softplus", "exponential", "logistic", "tanh". "auto" follows the loss: the
        exponential for "poisson" and "gamma", the identity for other losses. A sequence has one
        entry for each output.
    loss : str, Loss or sequence, default="squared_error"
        The loss that training minimizes: a name, or an instance from `skdeep.losses`. Names:
        "squared_error", "absolute_error", "huber", "log_cosh", "poisson", "gamma", "quantile". An
        instance sets the constants of its loss: `loss=QuantileLoss(0.9)`. A sequence has one loss
        for each output. `QuantileLoss([0.1, 0.5, 0.9])` predicts several quantiles of one target.
    loss_weights : sequence of float or None, default=None
        The weights of the outputs in the loss, which is then the weighted sum of their losses: one
        number for each output. None is the mean over the outputs. For losses that add up over the
        outputs ("poisson", "gamma"), None is their sum if `loss` is not a sequence.
    missing_targets : {"error", "ignore"}, default="error"
        The treatment of targets that are NaN. "error" refuses them. "ignore" leaves them out of the
        loss and of the score, so that a row may lack some of its targets.
    standardize_y : bool, default=False
        Whether the network learns targets that are scaled to mean 0 and variance 1, each output on
        its own. `predict`, `score`, `y` and `y_val` are in the units of y. `loss_`, the losses in
        `history_`, `target_noise` and the constants of losses are in units of the standard
        deviation of y. It takes the place of a `TransformedTargetRegressor`, for targets of any
        size.
    target_noise : float or Scheduled, default=0.0
        The noise in the targets of each batch in training. It is the standard deviation of Gaussian
        noise that is added to targets. A `skdeep.schedules.Scheduled` changes it over time.
    alpha : float, default=0.0001
        The strength of scikit-learn's penalty on the weights of the dense layers: `alpha / n_batch
        * ((1 - l1_ratio) / 2 * sum(W ** 2) + l1_ratio * sum(abs(W)))`. With `sample_weight`, the
        penalty is also divided by the mean weight. Biases do not have this penalty.
    l1_ratio : float, default=0.0
        The share of L1 in the penalty of strength `alpha`. The rest is L2.
    kernel_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the weights of the hidden layers, which is added to the loss without a division
        by the number of rows: "l1", "l2", "l1_l2" or an instance from `skdeep.regularizers`. A
        sequence has one entry for each hidden layer, and may have one more for the output layer.
    bias_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the biases of the hidden layers, which is added to the loss without a division
        by the number of rows: "l1", "l2", "l1_l2" or an instance from `skdeep.regularizers`. A
        sequence has one entry for each hidden layer, and may have one more for the output layer.
    activity_regularizer : str, Regularizer, None or sequence, default=None
        A penalty on the outputs of layers, divided by the number of rows of the batch: "l1", "l2",
        "l1_l2" or an instance from `skdeep.regularizers`. In the output layer it is a penalty on
        the raw outputs. One value is for all hidden layers. A sequence has one entry for each
        hidden layer, and may have one more for the output layer.
    kernel_constraint : str, Constraint, None or sequence, default=None
        A constraint on the weights of the hidden layers, which holds after every step: "max_norm",
        "unit_norm", "min_max_norm", "non_neg" or an instance from `skdeep.constraints`. Norms are
        those of the incoming weights of a unit. A sequence has one entry for each hidden layer, and
        may have one more for the output layer.
    bias_constraint : str, Constraint, None or sequence, default=None
        A constraint on the biases of the hidden layers, which holds after every step: "max_norm",
        "unit_norm", "min_max_norm", "non_neg" or an instance from `skdeep.constraints`. A sequence
        has one entry for each hidden layer, and may have one more for the output layer.
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
        for layers that were trained before. A sequence has one entry for each hidden layer, and may
        have one more for the output layer.
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
        output layer. The number of outputs may differ from that of the previous fit.
    pretrained : FrozenEstimator or None, default=None
        A fitted estimator of skdeep in a `sklearn.frozen.FrozenEstimator`. The hidden layers of the
        network start with the weights of that estimator's hidden layers, from the bottom up, as far
        as both networks have hidden layers. If `hidden_layer_sizes`, `activation`, `layers`,
        `batch_norm` and `batch_norm_input` are all at their defaults, they are taken from the
        fitted estimator.
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
    y_mean_, y_scale_ : ndarray of shape (`n_outputs_`,) or None
        The numbers that `standardize_y` subtracts from y, and those that it divides by. None
        without `standardize_y`.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : str
        The function that turns raw outputs into predictions.
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
    MLPClassifier : A multi-layer perceptron that predicts classes.

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
        loss_weights=None,
        missing_targets="error",
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
    def fit(self, X, y=None, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix, Source} of shape (n_samples, n_features)
            A source of `skdeep.data` has rows that are not in memory. If it has targets and
            weights, they take the place of y=None and sample_weight=None.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets, which are numbers.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val, y_val : array-like or None, default=None
            Validation data, which are evaluated after every epoch. With `early_stopping` they
            decide when training stops.
        sample_weight_val : array-like or None, default=None
            The sample weights of the validation data.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    @available_if(has_stochastic_solver)
    def partial_fit(
        self,
        X,
        y=None,
        *,
        sample_weight=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Train for one epoch on these rows, starting from the present weights.

        Parameters
        ----------
        X : {array-like, sparse matrix, Source} of shape (n_samples, n_features)
            A source of `skdeep.data` has rows that are not in memory. If it has targets and
            weights, they take the place of y=None and sample_weight=None.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets, which are numbers.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val, y_val : array-like or None, default=None
            Validation data, which are evaluated after the epoch: `history_` has the loss, the score
            and the metrics.
        sample_weight_val : array-like or None, default=None
            The sample weights of the validation data.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), mode="partial")

    def predict(self, X):
        """Predict numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With several quantiles, the second shape has one column for each quantile.
        """
        return self._decode(self._raw_outputs(X))

    def score(self, X, y=None, sample_weight=None):
        """Return R2, averaged over the outputs; with several quantiles, their mean D2.

        D2 is 1 minus the pinball loss divided by that of the constant quantile of y. With
        `missing_targets="ignore"`, targets that are NaN are left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
        """
        X, y, sample_weight = with_own_targets(X, y, sample_weight)
        return self._score_of(y, self.predict(X), sample_weight)

    def _score_of(self, y, prediction: np.ndarray, weight) -> float:
        quantiles = None if n_quantiles(self.loss) is None else self.loss.quantile
        return score_of_numbers(
            y, prediction, weight, quantiles, with_gaps=self.missing_targets == "ignore"
        )

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        self._loss.output(Z)
        if self.y_scale_ is not None:
            Z *= self.y_scale_
            Z += self.y_mean_
        return Z[:, 0] if self.n_outputs_ == 1 else Z

    # Methods for the base class -------------------------------------------------------------------

    def _check_data(self, X, y, dtype, *, reset):
        if self.missing_targets != "ignore":
            return super()._check_data(X, y, dtype, reset=reset)
        return check_data_with_gaps(self, X, y, dtype, reset=reset)

    def check_targets(self):
        scaling = self.y_mean_, self.y_scale_
        shapes = [None if numbers is None else numbers.shape for numbers in scaling]
        if shapes not in ([None, None], [(self.n_outputs_,)] * 2):
            raise ValueError("the mean and the scale of the targets are not those of all outputs")

    def _know_targets(self):
        self.y_mean_ = self.y_scale_ = None

    def _encode_first(self, y, classes, sample_weight):
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        self.n_outputs_ = n_quantiles(self.loss) or n_targets
        if n_quantiles(self.loss) and n_targets > 1:
            raise ValueError(
                f"y has {n_targets} outputs, but loss={self.loss!r} predicts several quantiles of "
                "one; give y one column, or QuantileLoss one quantile."
            )
        self._know_targets()
        Y = self._encode(y)
        check_gaps(Y, "y")
        if not self.standardize_y:
            return Y
        self.y_mean_, self.y_scale_ = mean_and_scale(Y, sample_weight)
        return self._encode(y)

    def _encode(self, y):
        Y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        n_given = n_targets = Y.shape[1]
        if n_quantiles(self.loss) == self.n_outputs_ and n_given == 1:
            n_targets = self.n_outputs_
            Y = np.repeat(Y, n_targets, axis=1)
        if n_targets != self.n_outputs_:
            raise ValueError(
                f"y has {n_given} outputs, but the model was fitted with {self.n_outputs_}."
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
        return regression_loss(self, self.n_outputs_)

    def _score_outputs(self, y, Z, weight):
        prediction = self._decode(Z.copy())
        if not np.isfinite(prediction).all():
            return np.nan
        return self._score_of(y, prediction, weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
