"""The estimator for several tasks at once, MultiTaskMLP."""

from __future__ import annotations

import copy
import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from skdeep._component import (
    InvalidParameterError,
    check_sample_weight,
    named_parameters,
    store_parameters,
)
from skdeep.building.checks import check_mixing
from skdeep.building.heads import (
    build_layers_with_heads,
    joint_loss,
    listed_tasks,
    named_tasks,
    places_of,
)
from skdeep.building.losses import n_quantiles, named_classification_loss
from skdeep.data.sources.checks import with_own_targets
from skdeep.data.task_targets import (
    ClassTask,
    NumberTask,
    TaskTargets,
    columns_of,
    kind_of,
    read_targets,
)
from skdeep.estimators.autologging import autologged
from skdeep.estimators.base import BaseMLP, has_stochastic_solver
from skdeep.estimators.fitting import word_for_link
from skdeep.estimators.one_task import OneClassification, OneRegression, TaskScorer
from skdeep.estimators.watching import with_callbacks
from skdeep.layers import Dense
from skdeep.layers.chain import Chain
from skdeep.losses import Loss
from skdeep.tasks import Classification
from skdeep.training.batches import DenseTargets


def _has_classes(estimator: Any) -> bool:
    if not any(isinstance(task, Classification) for task in _tasks_of(estimator)):
        raise AttributeError("none of the tasks that are predicted is a Classification.")
    return True


def _has_probabilities(estimator: Any) -> bool:
    classes = [t for t in _tasks_of(estimator) if isinstance(t, Classification)]
    if not any(named_classification_loss(task).gives_probabilities for task in classes):
        raise AttributeError(
            "none of the tasks that are predicted is a Classification with a loss that gives "
            "probabilities, such as 'log_loss'."
        )
    return True


def _tasks_of(estimator: Any) -> list:
    """Return the tasks that are predicted."""
    tasks = getattr(estimator, "tasks_", None)
    tasks = dict(listed_tasks(estimator.tasks)) if tasks is None else tasks
    return [task for task in tasks.values() if not task.training_only]


class MultiTaskMLP(BaseMLP):
    """A multi-layer perceptron with several outputs of different kinds: classes and numbers.

    The tasks share the hidden layers. Each task has a head of its own, with its own loss, weight
    and output activation, on the last hidden layer or on another one. y is a data frame or a dict
    with a column for each task. It may also be an array with one column for each task. A target
    that is missing (NaN, None) is left out of the loss of its task.

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
    tasks : dict or list of tasks, default=None
        The tasks by name: a dict of instances from `skdeep.tasks`, `Classification` and
        `Regression`, or a list of (name, task) pairs. A list of tasks alone takes the names of the
        columns of y, in their order. The parameters of a task can be searched:
        `tasks__kind__loss_weight`.
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
        data. The rows are drawn at random. The split is stratified by the classes of the first task
        that has classes.
    scoring : str, callable or None, default=None
        The validation score. None is the score of the estimator itself, and the validation loss
        then counts too. "loss" is the negative validation loss. Other values are the name of a
        scorer or a callable `scoring(estimator, X, y)`. The name of a task is the score of this
        task. The name of a scorer follows that of its task: "kind__roc_auc".
    metrics : str, callable, list, dict or None, default=None
        Figures of the predictions, which `history_` has for every epoch. A figure of the training
        rows is computed from the batches of the epoch. A figure of validation data has a name that
        begins with `val_`. A metric is the name of a scorer, "score" for the estimator's own score,
        a callable `(estimator, X, y)` or a function `(y_true, y_pred)`. Give one metric, a list, or
        a dict from names to metrics. The name of a scorer follows that of its task:
        "kind__roc_auc". The name of a task alone is the score of this task.
    warm_start : bool, "continue" or "transfer", default=False
        Whether `fit` starts from the weights of the previous fit. "continue" also keeps the state
        of the optimizer, of the schedule and of the random numbers, so that `fit` continues exactly
        where the last one ended. "transfer" keeps the weights of the hidden layers, and makes a new
        output layer. The tasks may differ from those of the previous fit.
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
        Number of layers, input and output included. All heads count as one layer.
    n_outputs_ : int
        Number of outputs of the network, over all heads.
    tasks_ : dict of Task
        The tasks of the last fit by name.
    classes_ : dict of ndarray
        The classes of each `Classification`, in the order of its probabilities.
    out_activation_ : dict of str
        For each task the function that turns raw outputs into predictions.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of the dense layers, those of the heads last, in the order of the tasks: live
        views, so writing into them changes the model.
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
        penalties) and "val_score", and for each task, such as "kind", "val_loss_kind" (without its
        loss_weight) and "val_score_kind".
    network_ : Network
        The trained network.
    optimizer_ : Optimizer or None
        The optimizer; None for "lbfgs".

    Notes
    -----
    Training minimizes the sum of the losses of the tasks, each multiplied by its `loss_weight`, and
    the penalties. The loss of a task is the mean over the rows of a batch that have a target.

    scikit-learn can split data frames and arrays, but not dicts. So give `cross_val_score` and
    searches a data frame.

    To convert a model to ONNX, `import skdeep.onnx` before skl2onnx is called.

    See Also
    --------
    MLPClassifier : A multi-layer perceptron that predicts classes.
    MLPRegressor : A multi-layer perceptron that predicts numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import MultiTaskMLP
    >>> from skdeep.tasks import Classification, Regression
    >>> X, kind = load_iris(return_X_y=True)
    >>> y = {"kind": kind, "width": X[:, 3]}
    >>> tasks = {"kind": Classification(), "width": Regression(loss_weight=0.5)}
    >>> mlp = MultiTaskMLP((32,), tasks=tasks, solver="lbfgs", max_iter=500, tol=1e-2)
    >>> mlp = mlp.set_params(random_state=0, alpha=0.1).fit(X[:, :3], y)
    >>> mlp.score(X[:, :3], y) > 0.9
    True
    """

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
        tasks=None,
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
        y : data frame, dict or array-like of shape (n_samples, n_tasks)
            The targets of all tasks. NaN and None stand for a missing target.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            An integer weight acts as repetition of the row.
        X_val, y_val : array-like or None, default=None
            Validation data, which are evaluated after every epoch. With `early_stopping` they
            decide when training stops. y_val may lack the tasks that serve training only.
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
        classes=None,
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
        y : data frame, dict or array-like of shape (n_samples, n_tasks)
            The targets of all tasks.
        classes : dict of array-like or None, default=None
            For each Classification, all classes that may occur in any call; needed in the first
            call.
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
        if hasattr(self, "classes_"):
            self._check_classes_again(classes)
        given = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given, mode="partial", classes=classes or {})

    def _check_classes_again(self, classes: Any) -> None:
        for name, given in (classes or {}).items():
            if not np.array_equal(self.classes_.get(name), np.unique(given)):
                raise ValueError(
                    f"`classes[{name!r}]={given!r}` is not the same as on last call to "
                    f"partial_fit, was: {self.classes_.get(name)!r}"
                )

    # Predictions and scores -----------------------------------------------------------------------

    def predict(self, X):
        """Predict classes and numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray, or data frame
            The predictions of each task, apart from those that serve training only. If y was a data
            frame, they are a data frame with the columns of y; a dict if its library is missing. If
            several tasks predict a column, the name of the task precedes its name.
        """
        predictions = self._predicted_by_task(X)
        return self._as_frame(predictions, X) if self._frame else predictions

    def _predicted_by_task(self, X: Any) -> dict[str, np.ndarray]:
        return {
            name: self._targets_of[name].decode(Z, loss)
            for name, Z, loss in self._outputs_by_task(self._raw_outputs(X))
        }

    def _as_frame(self, predictions: dict[str, np.ndarray], X: Any) -> Any:
        """Return predictions in a data frame of the library that y came from."""
        entries = []
        for name, P in predictions.items():
            places = self._places[name]
            if isinstance(places, list) and P.ndim > 1 and P.shape[1] == len(places):
                entries += [(name, column, p) for column, p in zip(places, P.T, strict=True)]
            elif P.ndim > 1:
                quantiles = self.tasks_[name].loss.quantile
                entries += [(name, f"{name}_{q:g}", p) for q, p in zip(quantiles, P.T, strict=True)]
            else:
                entries.append((name, places[0] if isinstance(places, list) else places, P))
        n_tasks = Counter(column for _, column, _ in entries)
        columns = {
            column if n_tasks[column] == 1 else f"{name}_{column}": p for name, column, p in entries
        }
        try:
            library = importlib.import_module(self._frame)
        except ImportError:  # the model was loaded where there are no data frames
            return predictions
        rows = {"index": X.index} if self._frame == "pandas" and hasattr(X, "index") else {}
        return library.DataFrame(columns, **rows)

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray of shape (n_samples, n_classes)
            One entry for each Classification whose loss gives probabilities. The columns are in
            the order of `classes_`.
        """
        return {
            name: self._targets_of[name].encoder.probabilities(Z, loss)
            for name, Z, loss in self._outputs_by_task(self._raw_outputs(X))
            if name in self.classes_ and loss.gives_probabilities
        }

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
        """Predict logarithms of probabilities, which are finite even if a probability rounds to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray of shape (n_samples, n_classes)
        """
        return {
            name: self._targets_of[name].encoder.log_probabilities(Z, loss)
            for name, Z, loss in self._outputs_by_task(self._raw_outputs(X))
            if name in self.classes_ and loss.gives_probabilities
        }

    @available_if(_has_classes)
    def decision_function(self, X):
        """Return the raw outputs (logits) of the tasks of classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        dict of ndarray of shape (n_samples,) or (n_samples, n_classes)
            The first shape is for two classes: a number above 0 stands for the second of them.
        """
        return {
            name: Z[:, 0] if self._targets_of[name].encoder.kind == "binary" else Z
            for name, Z, _ in self._outputs_by_task(self._raw_outputs(X))
            if name in self.classes_
        }

    def scores(self, X, y, sample_weight=None):
        """Return the score of each task: the accuracy for classes, R2 for numbers.

        R2 is averaged over the columns of a task. For quantiles the score is D2, as in
        `MLPRegressor`. Missing targets are left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : data frame, dict or array-like
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        dict of float
        """
        Z = self._raw_outputs(X)
        places = {name: self._places[name] for name in self._predicted}
        y = read_targets(y, places)
        _check_lengths(y, len(Z))
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, Z, dtype=np.float64, ensure_non_negative=True
            )
        return self._scores_of(y, Z, sample_weight)

    def score(self, X, y=None, sample_weight=None):
        """Return the mean of the scores of the tasks, weighted by their `loss_weight`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : data frame, dict or array-like
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
        """
        X, y, sample_weight = with_own_targets(X, y, sample_weight)
        return self._mean_of(self.scores(X, y, sample_weight))

    def for_task(self, name: str) -> OneClassification | OneRegression:
        """Return a view of one task, for tools that take a classifier or a regressor.

        The view shares the weights of the model. It has `predict`, `score`, and for classes
        `predict_proba`, `decision_function` and `classes_`.

        Parameters
        ----------
        name : str
            The name of a task that is predicted.

        Returns
        -------
        OneClassification or OneRegression
        """
        self._check_is_fitted()
        if name not in self._predicted:
            raise ValueError(
                f"There is no prediction of a task {name!r}; choose from {self._predicted}."
            )
        return (OneClassification if name in self.classes_ else OneRegression)(self, name)

    def _loss_of(self, name: str) -> Loss:
        return dict(zip(self.tasks_, self._loss.losses, strict=True))[name]

    @property
    def _predicted(self) -> list[str]:
        """The names of the tasks that are predicted."""
        return [name for name, task in self.tasks_.items() if not task.training_only]

    def _outputs_by_task(self, Z: np.ndarray):
        """Yield (name, raw outputs, loss) for each task that is predicted."""
        names = self._predicted
        for name, columns, loss in zip(
            self.tasks_, self._loss.slices, self._loss.losses, strict=True
        ):
            if name in names:
                yield name, np.ascontiguousarray(Z[:, columns]), loss

    def _scores_of(self, y: TaskTargets, Z: np.ndarray, weight) -> dict[str, float]:
        return {
            name: self._targets_of[name].score(y[name], part, loss, weight)
            if np.isfinite(part).all()
            else np.nan
            for name, part, loss in self._outputs_by_task(Z)
        }

    def _mean_of(self, scores: Mapping[str, float]) -> float:
        """Return the weighted mean of the scores; tasks without known targets are left out."""
        known = [name for name, score in scores.items() if np.isfinite(score)]
        if not known:
            return np.nan
        weights = np.array([self.tasks_[name].loss_weight for name in known], dtype=float)
        if not weights.any():
            weights = np.ones(len(known))
        return float(np.average([scores[name] for name in known], weights=weights))

    # Methods for the base class -------------------------------------------------------------------

    def _check_data(self, X, y, dtype, *, reset):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=reset)
        if reset:
            kind, keys = kind_of(y), list(columns_of(y))
            self.tasks_ = named_tasks(self.tasks, keys)
            self._places = places_of(self.tasks_, keys, kind == "array")
            self._frame = kind if kind in ("pandas", "polars") else None
        may_miss = () if reset else [n for n in self.tasks_ if n not in self._predicted]
        targets = read_targets(y, self._places, may_miss)
        _check_lengths(targets, X.shape[0])
        return X, targets

    def with_weights(self, parameters, values):
        start = copy.copy(self)
        start.tasks_ = parameters.get("tasks", self.tasks_)
        return super(MultiTaskMLP, start).with_weights(parameters, values)

    def _build_layers(self):
        widths = [target.n_outputs for target in self._targets_of.values()]
        return build_layers_with_heads(self._options(), self.tasks_, widths)

    def _know_targets(self):
        raise ValueError(
            "coefs_ and intercepts_ say nothing about tasks: fit the model, or load it from a file."
        )

    def _adopt_weights(self, coefs, intercepts, history=None, rows_seen=0, **fitted):
        self._know_targets()

    def check_targets(self):
        targets = self._targets_of
        for target in targets.values():
            target.check()
        widths = [target.n_outputs for target in targets.values()]
        if not list(targets) == list(self.tasks_) == list(self._places):
            raise ValueError("the targets are not those of the tasks")
        if widths != list(self._loss.widths) or sum(widths) != self.n_outputs_:
            raise ValueError("the tasks have other numbers of outputs than the network")
        if len(self._loss.losses) != len(widths):
            raise ValueError("the losses are not those of the tasks")
        for target, loss in zip(targets.values(), self._loss.losses, strict=True):
            if isinstance(target, ClassTask):
                is_multiclass = target.encoder.kind == "multiclass"
                if getattr(loss.loss, "multiclass", is_multiclass) != is_multiclass:
                    raise ValueError("the loss of a task is for another number of classes")
        if self._frame not in (None, "pandas", "polars"):
            raise ValueError("the predictions can't be put into a data frame of this kind")

    def _encode_first(self, y, classes, sample_weight):
        self._targets_of = {
            name: self._first_targets(name, task, y[name], classes, sample_weight)
            for name, task in self.tasks_.items()
        }
        self.n_outputs_ = sum(target.n_outputs for target in self._targets_of.values())
        self.classes_ = {
            name: target.classes
            for name, target in self._targets_of.items()
            if isinstance(target, ClassTask)
        }
        self._weigh_classes(y, incremental=classes is not None)
        return self._encode(y)

    def _first_targets(self, name, task, column, classes, weight):
        if not isinstance(task, Classification):
            return NumberTask(name, column, weight, n_quantiles(task.loss), task.standardize_y)
        if classes is not None and name not in classes:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: a dict with the classes "
                f"of each Classification; those of {name!r} are missing."
            )
        return ClassTask(name, column, None if classes is None else classes[name])

    def _encode_again(self, y, incremental):
        names, keys = list(self.tasks_), self._places.values()
        now = named_tasks(
            self.tasks, [key if str(key) == n else n for n, key in zip(names, keys, strict=True)]
        )
        if list(now) != names:
            raise InvalidParameterError(
                f"tasks has {list(now)}, but the network has heads for {names}, whose weights are "
                "to be kept; set warm_start=False and call fit to train a new one, or "
                'warm_start="transfer" to keep the hidden layers.'
            )
        for name, task in now.items():
            had = self.tasks_[name]
            if isinstance(task, Classification) != isinstance(had, Classification):
                raise InvalidParameterError(
                    f"tasks: {name!r} is {task!r}, but the network has a head for {had!r}, whose "
                    "weights are to be kept; set warm_start=False and call fit to train a new "
                    'one, or warm_start="transfer" to keep the hidden layers.'
                )
        self.tasks_ = now
        if not incremental:
            for name in self.classes_:
                self._targets_of[name].check_all_seen(y[name])
        self._weigh_classes(y, incremental)
        return self._encode(y)

    def _weigh_classes(self, y: TaskTargets, incremental: bool) -> None:
        """Set the weights of the classes, of the tasks that have some."""
        self._class_weights_of = {
            name: self._targets_of[name].weights(
                self.tasks_[name].class_weight, y[name], incremental
            )
            for name in self.classes_
            if self.tasks_[name].class_weight is not None
        }

    def _encode(self, y):
        parts = [target.encode(y[name]) for name, target in self._targets_of.items()]
        return np.concatenate(parts, axis=1)

    def _targets(self, encoded, dtype, *, training, rng=None):
        for name, loss, columns in zip(
            self.tasks_, self._loss.losses, self._loss.slices, strict=True
        ):
            try:
                loss.check_targets(encoded[:, columns])
            except ValueError as error:
                raise ValueError(f"Task {name!r}: {error}") from error
        if training:
            encoded = encoded.copy()
            parts = zip(self.tasks_.items(), self._loss.slices, strict=True)
            for (name, task), columns in parts:
                share = getattr(task, "label_smoothing", 0.0)
                if share:
                    smoothed = self._targets_of[name].smoothed
                    encoded[:, columns] = smoothed(encoded[:, columns], share)
        return DenseTargets(encoded.astype(dtype))

    def _choose_loss(self):
        loss = joint_loss(self.tasks_, self._targets_of, self._class_weights_of)
        for (name, task), of_task in zip(self.tasks_.items(), loss.losses, strict=True):
            if name in self.classes_:
                check_mixing(self.augment, of_task, f"loss={task.loss!r} of the task {name!r}")
        return loss

    def _stratify(self, encoded):
        parts = zip(self._targets_of.values(), self._loss.slices, strict=True)
        codes = (t.codes(encoded[:, c]) for t, c in parts if isinstance(t, ClassTask))
        return next((c for c in codes if c is not None), None)

    def _output_layers(self):
        heads = self.network_.output_layer
        layers = [head.output_layer for head in heads.heads_]
        return list(zip(layers, heads.slices_, strict=True))

    def _score_outputs(self, y, Z, weight):
        return self._mean_of(self._scores_of(y, Z, weight))

    def _score_named(self, name) -> Callable:
        scorer = TaskScorer.named(name, self._predicted, "scoring")

        def score(held_out, Z, loss):
            model = self._with_outputs(held_out.X, Z)
            return scorer(model, held_out.X, held_out.y, held_out.weight)

        return score

    def _metric_named(self, name):
        scorer = TaskScorer.named(name, self._predicted, "metrics")
        return name if scorer.scorer else f"score_{name}", scorer

    def _figures_by_task(self, held_out, Z):
        losses = self._loss.values(held_out.Y, Z, held_out.weight)
        missing = [np.isnan(held_out.Y[:, columns]).all() for columns in self._loss.slices]
        losses = [np.nan if gone else value for gone, value in zip(missing, losses, strict=True)]
        scores = self._scores_of(held_out.y, Z, held_out.weight)
        return {
            **{f"loss_{name}": value for name, value in zip(self.tasks_, losses, strict=True)},
            **{f"score_{name}": score for name, score in scores.items()},
        }

    def _set_fitted(self, trainer):
        super()._set_fitted(trainer)
        hidden = Chain(self.network_.layers[: self.network_.hidden_stops[-1]])
        self.n_layers_ = sum(isinstance(layer, Dense) for layer in hidden.walk()) + 2

    def _out_activation(self):
        words = [word_for_link(loss.link) for loss in self._loss.losses]
        return dict(zip(self.tasks_, words, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _check_lengths(y: TaskTargets, n_rows: int) -> None:
    for name, column in y.items():
        if len(column) != n_rows:
            raise ValueError(f"Task {name!r}: y has {len(column)} rows, but X has {n_rows}.")
