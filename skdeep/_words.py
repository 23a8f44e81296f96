"""Names that other libraries use, with skdeep's or scikit-learn's names, for error messages."""

from __future__ import annotations

_LOG_LOSS = ("log_loss", "neg_log_loss")
_SQUARED = ("squared_error", "neg_mean_squared_error")
_ABSOLUTE = ("absolute_error", "neg_mean_absolute_error")
_RADIAL = "it is for the kernels of convolutions, which skdeep does not have"
# Names of parts that skdeep does not have, with the reason.
MISSING: dict[str, str] = dict.fromkeys(
    ("radial", "radialconstraint", "radial_constraint"), _RADIAL
)
SYNONYMS: dict[str, tuple[str, ...]] = {
    # losses and scores
    **dict.fromkeys(("mse", "mean_squared_error", "l2", "l2_loss", "quadratic"), _SQUARED),
    **dict.fromkeys(("mae", "mean_absolute_error", "l1", "l1_loss"), _ABSOLUTE),
    **dict.fromkeys(("cross_entropy", "crossentropy", "cross-entropy", "bce", "nll"), _LOG_LOSS),
    **dict.fromkeys(("categorical_crossentropy", "binary_crossentropy", "deviance"), _LOG_LOSS),
    **dict.fromkeys(("sparse_categorical_crossentropy", "logistic_loss", "logloss"), _LOG_LOSS),
    "rmse": ("neg_root_mean_squared_error", "squared_error"),
    "smooth_l1": ("huber",),
    "logcosh": ("log_cosh",),
    "pinball": ("quantile",),
    "focal_loss": ("focal",),
    "brier": ("squared_error", "neg_brier_score"),
    "acc": ("accuracy",),
    "auc": ("roc_auc",),
    "f1_score": ("f1",),
    **dict.fromkeys(("r_squared", "r2_score"), ("r2",)),
    "val_loss": ("loss",),
    # parts of networks
    **dict.fromkeys(("xavier", "glorot", "xavier_uniform"), ("glorot_uniform",)),
    "xavier_normal": ("glorot_normal",),
    **dict.fromkeys(("kaiming", "he", "kaiming_normal"), ("he_normal",)),
    "kaiming_uniform": ("he_uniform",),
    "lecun": ("lecun_normal",),
    **dict.fromkeys(("threshold", "hard_threshold", "sign", "binary_step"), ("step",)),
    **dict.fromkeys(("leakyrelu", "lrelu"), ("leaky_relu",)),
    "hardsigmoid": ("hard_sigmoid",),
    **dict.fromkeys(("maxnorm", "max-norm"), ("max_norm",)),
    **dict.fromkeys(("nonneg", "non_negative"), ("non_neg",)),
    **dict.fromkeys(("l1l2", "elastic_net", "elasticnet"), ("l1_l2",)),
    **dict.fromkeys(("unitnorm", "unit-norm"), ("unit_norm",)),
    **dict.fromkeys(("minmaxnorm", "min_max"), ("min_max_norm",)),
    # training
    **dict.fromkeys(("momentum", "nesterov", "gradient_descent"), ("sgd",)),
    **dict.fromkeys(("l-bfgs", "bfgs", "l_bfgs"), ("lbfgs",)),
    **dict.fromkeys(("onecycle", "1cycle"), ("one_cycle",)),
    **dict.fromkeys(("plateau", "reduce_on_plateau", "reducelronplateau"), ("adaptive",)),
    **dict.fromkeys(("cosine_annealing", "cosine_decay"), ("cosine",)),
    "piecewise": ("step",),
    # parameters of estimators
    "optimizer": ("solver",),
    **dict.fromkeys(("epochs", "n_epochs", "num_epochs"), ("max_iter",)),
    **dict.fromkeys(("lr", "eta", "eta0"), ("learning_rate_init",)),
    **dict.fromkeys(("lr_schedule", "lr_scheduler", "scheduler", "schedule"), ("learning_rate",)),
    **dict.fromkeys(("units", "hidden_units", "hidden_sizes", "hidden"), ("hidden_layer_sizes",)),
    **dict.fromkeys(("activations", "activation_function"), ("activation",)),
    **dict.fromkeys(("kernel_initializer", "init"), ("initializer",)),
    **dict.fromkeys(("validation_split", "val_fraction"), ("validation_fraction",)),
    **dict.fromkeys(("patience", "early_stopping_rounds"), ("n_iter_no_change",)),
    **dict.fromkeys(("min_delta", "tolerance"), ("tol",)),
    **dict.fromkeys(("dropout_rate", "p_dropout"), ("dropout",)),
    **dict.fromkeys(("batchnorm", "batch_normalization", "use_batch_norm"), ("batch_norm",)),
    **dict.fromkeys(("global_clipnorm", "max_grad_norm", "gradient_clip_norm"), ("clip_norm",)),
    "clipnorm": ("clip_parameter_norm",),
    "clipvalue": ("clip_value",),
    **dict.fromkeys(("augmentation", "data_augmentation", "transforms"), ("augment",)),
    **dict.fromkeys(("label_noise", "noisy_labels"), ("target_noise",)),
    **dict.fromkeys(("randomtranslation", "random_crop", "translation"), ("shift_images",)),
    **dict.fromkeys(("randomflip", "horizontal_flip"), ("flip_images",)),
    **dict.fromkeys(("randomrotation", "rotation"), ("rotate_images",)),
    "swap_noise": ("swap_columns",),
    **dict.fromkeys(("l2_reg", "reg_lambda", "weight_penalty"), ("alpha",)),
    **dict.fromkeys(("kernel_constraints", "constraint"), ("kernel_constraint",)),
    **dict.fromkeys(("metric", "eval_metric"), ("metrics", "scoring")),
    **dict.fromkeys(("seed", "random_seed"), ("random_state",)),
    **dict.fromkeys(("loss_function", "objective", "criterion"), ("loss",)),
    **dict.fromkeys(("n_transferred_layers", "n_pretrained_layers"), ("n_reused_layers",)),
    "nesterovs": ("nesterovs_momentum",),
    **dict.fromkeys(("rate_multipliers", "lr_multipliers"), ("learning_rate_multipliers",)),
}
