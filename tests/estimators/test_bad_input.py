"""Bad input is an error at fit, before training, that names what is wrong and what is allowed."""

import inspect
from itertools import chain

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris, make_regression
from sklearn.metrics import get_scorer_names

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep._words import SYNONYMS
from skdeep.activations import ACTIVATIONS, ReLU
from skdeep.augmentation import AUGMENTATIONS
from skdeep.constraints import CONSTRAINTS
from skdeep.initializers import INITIALIZERS
from skdeep.layers import Columns, Concatenate, Dense, Residual
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, FocalLoss, Huber
from skdeep.optimizers import OPTIMIZERS, SGD, Adam
from skdeep.regularizers import L2, REGULARIZERS
from skdeep.schedules import SCHEDULES, Piecewise, Step, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)

# (parameters, what the message says)
PARAMETERS = [
    ({"solver": "adamm"}, r"solver='adamm' is unknown; did you mean 'adam'\? Choose from \["),
    ({"solver": None}, "solver=None is not allowed"),
    ({"solver": Adam}, r"solver=Adam is a class; give an instance: solver=Adam\(\)"),
    ({"solver": 3}, "solver=3 is not allowed"),
    ({"solver": SGD(momentum=2)}, r"solver__momentum=2 is not allowed; give a number in \[0, 1\]"),
    ({"activation": "rely"}, "activation='rely' is unknown; did you mean 'relu'"),
    ({"activation": ["relu", "relu"]}, "activation=.* has 2 entries for 1 hidden layers"),
    ({"activation": ReLU}, "activation=ReLU is a class"),
    ({"initializer": "he"}, "initializer='he' is unknown; did you mean 'he_normal'"),
    ({"initializer": 1.0}, "initializer=1.0 is not allowed"),
    ({"bias_initializer": "zero"}, "bias_initializer='zero' is unknown; did you mean 'zeros'"),
    ({"loss": "logloss"}, "loss='logloss' is unknown; did you mean 'log_loss'"),
    ({"loss": "categorical_crossentropy"}, "did you mean 'log_loss'"),
    ({"loss": "cross_entropy"}, "did you mean 'log_loss'"),
    ({"loss": "MSE"}, "loss='MSE' is unknown; did you mean 'squared_error'"),
    ({"loss": "Hinge"}, "did you mean 'hinge'"),
    ({"solver": "L-BFGS"}, "did you mean 'lbfgs'"),
    ({"initializer": "xavier"}, "did you mean 'glorot_uniform'"),
    ({"activation": "LeakyReLU"}, "did you mean 'leaky_relu'"),
    ({"learning_rate": "plateau"}, "did you mean 'adaptive'"),
    ({"loss": Huber()}, "is not for classification"),
    ({"loss": None}, "loss=None"),
    ({"loss": FocalLoss(gamma=-1)}, "loss__gamma=-1 is not allowed; give a number >= 0"),
    ({"learning_rate": "cosin"}, "learning_rate='cosin' is unknown; did you mean 'cosine'"),
    ({"learning_rate": 0.1}, "learning_rate=0.1 is not allowed"),
    ({"learning_rate": Step(every=0)}, "learning_rate__every=0 is not allowed"),
    ({"learning_rate": Piecewise([1, 2], [1])}, "Piecewise .* do not fit"),
    ({"learning_rate": Warmup("nope")}, "schedule='nope' is unknown"),
    ({"kernel_regularizer": "l3"}, "kernel_regularizer='l3' is unknown"),
    ({"kernel_regularizer": L2(-1)}, "kernel_regularizer__l2=-1 is not allowed"),
    ({"bias_regularizer": 0.1}, "bias_regularizer=0.1 is not allowed"),
    ({"activity_regularizer": "l"}, "activity_regularizer='l' is unknown"),
    ({"kernel_constraint": "maxnorm"}, "kernel_constraint='maxnorm' is unknown; did you mean"),
    ({"bias_constraint": 2}, "bias_constraint=2 is not allowed"),
    ({"batch_norm": True}, "batch_norm=True is not allowed"),
    ({"batch_norm": "befor"}, "batch_norm='befor' is unknown; did you mean 'before'"),
    ({"batch_norm_input": "yes"}, "batch_norm_input='yes' is not allowed; give True or False"),
    ({"batch_norm_momentum": 1.5}, "batch_norm_momentum=1.5"),
    ({"batch_norm_epsilon": 0}, "batch_norm_epsilon=0 is not allowed; give a number > 0"),
    ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be > 0, got \[0\]"),
    ({"hidden_layer_sizes": -1}, r"hidden_layer_sizes must be > 0, got \[-1\]"),
    ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes=.* an integer >= 1"),
    ({"hidden_layer_sizes": "poisson"}, "hidden_layer_sizes='poisson' is not allowed.*loss=..."),
    ({"hidden_layer_sizes": "(4 2)"}, r"hidden_layer_sizes='\(4 2\)' is not allowed"),
    ({"hidden_layer_sizes": "(4, 0)"}, r"hidden_layer_sizes must be > 0, got \[4, 0\]"),
    ({"hidden_layer_sizes": ""}, "hidden_layer_sizes='' is not allowed"),
    ({"dropout": 1.0}, r"dropout=1.0 is not allowed; give a number in \[0, 1\)"),
    ({"dropout": [0.1, 0.2]}, "dropout=.* has 2 entries for 1 hidden layers"),
    ({"dropout": ["a"]}, r"dropout=\['a'\] is not allowed"),
    ({"input_dropout": -0.1}, "input_dropout=-0.1"),
    ({"input_noise": -1}, "input_noise=-1"),
    ({"pre_activation_noise": None}, "pre_activation_noise=None"),
    ({"activation_noise": "x"}, "activation_noise='x'"),
    ({"weight_noise": -1}, "weight_noise=-1"),
    ({"gradient_noise": np.nan}, "gradient_noise=nan"),
    ({"alpha": -1}, "alpha=-1"),
    ({"alpha": True}, "alpha=True"),
    ({"l1_ratio": 2}, r"l1_ratio=2 is not allowed; give a number in \[0, 1\]"),
    ({"learning_rate_init": 0}, "learning_rate_init=0"),
    ({"power_t": -1}, "power_t=-1"),
    ({"momentum": 1.1}, "momentum=1.1"),
    ({"nesterovs_momentum": 1}, "nesterovs_momentum=1"),
    ({"beta_1": 1.0}, "beta_1=1.0"),
    ({"beta_2": -0.1}, "beta_2=-0.1"),
    ({"rho": 1}, "rho=1"),
    ({"epsilon": 0}, "epsilon=0"),
    ({"weight_decay": -0.1}, "weight_decay=-0.1"),
    ({"clip_norm": 0}, "clip_norm=0 is not allowed; give a number > 0 or None"),
    ({"clip_value": -1}, "clip_value=-1"),
    ({"batch_size": 0}, "batch_size=0 is not allowed; give an integer >= 1 or 'auto'"),
    ({"batch_size": 1.5}, "batch_size=1.5"),
    ({"max_iter": 0}, "max_iter=0"),
    ({"max_fun": 0}, "max_fun=0"),
    ({"shuffle": None}, "shuffle=None"),
    ({"tol": -1}, "tol=-1"),
    ({"n_iter_no_change": 0}, "n_iter_no_change=0 is not allowed; give an integer >= 1 or inf"),
    ({"early_stopping": "yes"}, "early_stopping='yes'"),
    ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
    ({"warm_start": 2}, "warm_start=2"),
    ({"dtype": "float16"}, "dtype='float16' is unknown"),
    ({"dtype": 32}, "dtype=32 is not allowed"),
    ({"callbacks": print}, "callbacks=.* is not allowed"),
    ({"callbacks": [print]}, "callbacks=.* is not allowed"),
    ({"random_state": "a"}, "'a' cannot be used to seed"),
    ({"verbose": -1}, "verbose=-1"),
    ({"alpha": np.inf}, "alpha=inf"),
    ({"learning_rate_init": np.inf}, "learning_rate_init=inf"),
    ({"kernel_regularizer": ["l1"] * 3}, "one entry for each hidden layer, or one more"),
    (
        {"hidden_layer_sizes": (n for n in (3, 2))},
        "hidden_layer_sizes=<generator .* is not allowed",
    ),
    ({"hidden_layer_sizes": {3}}, r"hidden_layer_sizes=\{3\} is not allowed"),
    ({"scoring": "acc"}, "scoring='acc' is unknown; did you mean 'accuracy'"),
    ({"scoring": "auc"}, "did you mean 'roc_auc'"),
    ({"scoring": "acuracy"}, "scoring='acuracy' is unknown; did you mean 'accuracy'"),
    ({"scoring": ["accuracy"]}, r"scoring=\['accuracy'\] is not allowed"),
    ({"scoring": lambda *_: "high", "early_stopping": True}, "returned 'high'; .* a number"),
    ({"early_stopping": True, "validation_fraction": 0}, "validation_fraction=0 leaves nothing"),
    ({"class_weight": [1, 2]}, r"class_weight=\[1, 2\] is not allowed; .* such as \{0: 1\.0"),
    ({"class_weight": [{0: 1}, {0: 2}]}, "give None, 'balanced', or a dict from label to weight"),
    ({"class_weight": "balance"}, "class_weight='balance' is not allowed"),
    ({"class_weight": 2.0}, "class_weight=2.0 is not allowed"),
    ({"class_weight": {0: -1.0}}, "class_weight=.* give finite weights >= 0"),
    ({"class_weight": {0: np.nan}}, "class_weight=.* give finite weights >= 0"),
    ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
    ({"label_smoothing": 0.1, "loss": "hinge"}, "label_smoothing=0.1 is for losses that give"),
    ({"layers": Dense}, "layers=.* is not allowed; give a list of Layers"),
    ({"layers": [Dense]}, r"layers\[0\]=Dense is a class; give an instance"),
    ({"layers": [3]}, r"layers\[0\]=3 is not a Layer"),
    ({"layers": [Dense(0)]}, "units=0 is not allowed"),
    ({"layers": [Dense(3)], "dropout": 0.1}, "dropout=0.1 has no effect with layers"),
    ({"layers": [Dense(3)], "hidden_layer_sizes": (3,)}, "hidden_layer_sizes=.* has no effect"),
    ({"layers": [Residual([Dense(3)])]}, r"put out 3 columns for an input of 4; end .*Dense\(4\)"),
    ({"layers": [Columns([9])]}, r"columns=\[9\] is not allowed for an input of 4 columns"),
    ({"layers": [Columns([])]}, "columns"),
    ({"layers": [Concatenate([])]}, r"branches=\[\] is not allowed"),
    ({"layers": [Concatenate([[3]])]}, r"branches\[0\]\[0\]=3 is not a Layer"),
]


@pytest.mark.parametrize(
    ("parameters", "message"), PARAMETERS, ids=lambda v: str(v).split(" at 0x")[0][:50]
)
def test_parameter(parameters, message):
    model = MLPClassifier(**{"max_iter": 1, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert "network_" not in vars(model)


def test_invalid_parameters_are_type_errors_too():
    with pytest.raises(TypeError):
        MLPClassifier(max_iter="many").fit(X, y)
    assert issubclass(InvalidParameterError, ValueError)


REGRESSOR_PARAMETERS = [
    ({"loss": FocalLoss()}, "is not for regression"),
    ({"output_activation": "relux"}, "output_activation='relux' is unknown; did you mean 'relu'"),
    ({"output_activation": "tanh", "loss": "poisson"}, "does not keep the predictions above 0"),
    ({"output_activation": None}, "output_activation=None is not allowed; choose from"),
    ({"target_noise": -1}, "target_noise=-1"),
]


@pytest.mark.parametrize(("parameters", "message"), REGRESSOR_PARAMETERS)
def test_parameter_of_the_regressor(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(max_iter=1, **parameters).fit(X, y)


with_nan, with_inf = X.copy(), X.copy()
with_nan[3, 2], with_inf[3, 2] = np.nan, np.inf
weights = np.ones(150)
DATA = [
    ((with_nan, y), {}, "Input X contains NaN"),
    ((with_inf, y), {}, "Input X contains infinity"),
    ((sp.csr_array(with_nan), y), {}, "Input X contains NaN"),
    ((X, np.where(y == 1, np.nan, y)), {}, "Input y contains NaN"),
    ((X[:0], y[:0]), {}, r"Found array with 0 sample\(s\)"),
    ((X[:, :0], y), {}, r"0 feature\(s\)"),
    ((X[0], y), {}, "Expected 2D array, got 1D array"),
    ((X[:, :, None], y), {}, "Found array with dim 3"),
    ((X, y[:-1]), {}, "inconsistent numbers of samples"),
    ((X, None), {}, "requires y to be passed"),
    ((X + 1j, y), {}, "Complex data not supported"),
    ((X, X[:, 0]), {}, "Unknown label type"),
    ((X, np.c_[y, y]), {}, "Multioutput target data .* not supported"),
    ((X, y), {"sample_weight": np.zeros(150)}, "at least one non-zero"),
    ((X, y), {"sample_weight": -weights}, "Negative values in data passed to `sample_weight`"),
    ((X, y), {"sample_weight": weights * np.nan}, "contains NaN"),
    ((X, y), {"sample_weight": weights[1:]}, "sample_weight.shape == "),
    ((X, y), {"X_val": X}, "X_val and y_val belong together"),
    ((X, y), {"y_val": y}, "X_val and y_val belong together"),
    ((X, y), {"sample_weight_val": weights}, "belongs to X_val"),
    (
        (X, y),
        {"X_val": X[:, :2], "y_val": y},
        "In X_val, .* X has 2 features, but MLPClassifier is expecting 4",
    ),
    ((X, y), {"X_val": X, "y_val": y + 1}, "`y` has classes not in `self.classes_`"),
    ((X, y), {"X_val": X, "y_val": y[1:]}, "inconsistent numbers of samples"),
    ((X, y), {"X_val": with_nan, "y_val": y}, "contains NaN"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), DATA, ids=lambda v: None)
def test_data(args, kwargs, message):
    model = MLPClassifier((3,), max_iter=1)
    with pytest.raises(ValueError, match=message):
        model.fit(*args, **kwargs)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_data_at_prediction(method):
    model = MLPClassifier((3,), max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        getattr(model, method)(with_nan)
    with pytest.raises(ValueError, match="X has 3 features"):
        getattr(model, method)(X[:, :3])


@pytest.mark.parametrize(("loss", "bad"), [("poisson", -1.0), ("gamma", 0.0)])
def test_targets_outside_of_the_losss_range(loss, bad):
    with pytest.raises(ValueError, match=f"out of the valid range of the loss '{loss}'"):
        MLPRegressor(loss=loss).fit([[0.0], [1.0]], [bad, 1.0])


def test_targets_of_a_regressor_are_numbers():
    assert MLPRegressor(max_iter=1).fit(X, y.astype(str).astype(object)).n_iter_ == 1
    with pytest.raises(ValueError, match="could not convert string to float"):
        MLPRegressor(max_iter=1).fit(X, np.where(y == 0, "a", "b"))


def test_layer_of_transform():
    model = MLPClassifier((3, 2), max_iter=1).fit(X, y)
    for layer in (2, -3, 0.5, "top"):
        with pytest.raises(ValueError, match=f"layer={layer!r} is not allowed; .* from -2 to 1"):
            model.transform(X, layer=layer)


def test_divergence_names_the_epoch_and_what_helps():
    X, y = make_regression(100, 5, random_state=0)
    y = 1e4 * y
    settings = {"solver": "sgd", "learning_rate_init": 0.01, "random_state": 0}
    message = r"In epoch \d+ .*StandardScaler.*learning_rate_init=0.01, or set clip_norm=1"
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**settings).fit(X, y)
    model = MLPRegressor(**settings, clip_norm=1.0, max_iter=20).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_divergence_with_a_finite_best_epoch_restores_it():
    X, y = make_regression(100, 5, random_state=0)
    model = MLPRegressor(
        activation="identity",
        solver="sgd",
        learning_rate_init=1.0,
        early_stopping=True,
        random_state=0,
    )
    with pytest.warns(UserWarning, match=r"diverged in epoch \d+ .* best epoch \(\d+\) were rest"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.loss_)
    assert len({len(column) for column in model.history_.values()}) == 1


FAILURES = [
    ({"alpha": -1}, X),
    ({}, with_nan),
    ({"learning_rate_init": 1e200}, X),
    ({"learning_rate_init": 1e200, "warm_start": True}, X),
    ({"hidden_layer_sizes": (9,), "warm_start": True}, X),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("parameters", "X_bad"), FAILURES, ids=lambda v: None)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failure_leaves_what_was_learned(parameters, X_bad, method):
    model = MLPClassifier((5,), activation="identity", solver="sgd", max_iter=3, random_state=0)
    model.fit(X, y)
    proba, state = model.predict_proba(X), {k: v for k, v in vars(model).items() if k[-1] == "_"}
    model.set_params(**parameters)
    with pytest.raises(ValueError):  # noqa: PT011
        getattr(model, method)(X_bad * (1e150 if "learning_rate_init" in parameters else 1), y)
    np.testing.assert_array_equal(model.predict_proba(X), proba)
    assert len(model.loss_curve_) == len(model.history_["gradient_norm"]) == 3
    assert {k: v for k, v in vars(model).items() if k[-1] == "_"}.keys() == state.keys()
    model.set_params(alpha=0, learning_rate_init=0.1, hidden_layer_sizes=(5,))
    getattr(model, method)(X, y)


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, MLPAutoencoder])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("optimizer", "; did you mean 'solver'?"),
        ("epochs", "; did you mean 'max_iter'?"),
        ("lr", "; did you mean 'learning_rate_init'?"),
        ("patience", "; did you mean 'n_iter_no_change'?"),
        ("validation_split", "; did you mean 'validation_fraction'?"),
        ("kernel_initializer", "; did you mean 'initializer'?"),
        ("hidden_layer_size", "; did you mean 'hidden_layer_sizes'?"),
        ("xyz", "."),
    ],
)
def test_parameters_by_other_libraries_names(Estimator, name, hint):
    with pytest.raises(TypeError) as error:
        Estimator(**{name: 1})
    words = f"{Estimator.__name__}() got an unexpected keyword argument {name!r}{hint}"
    assert str(error.value) == words


def test_a_subclass_with_parameters_of_its_own():
    class Own(MLPClassifier):
        def __init__(self, hidden_layer_sizes=(5,), *, extra=1):
            super().__init__(hidden_layer_sizes, max_iter=3)
            self.extra = extra

    assert Own(extra=2).get_params() == {"hidden_layer_sizes": (5,), "extra": 2}
    with pytest.raises(TypeError, match="extr"):
        Own(extr=2)


@pytest.mark.parametrize("name", ["radial", "RadialConstraint"])
def test_a_part_that_skdeep_does_not_have_is_named_with_the_reason(name):
    with pytest.raises(
        ValueError, match=r"is unknown: it is for the kernels of convolutions.*Choo"
    ):
        MLPClassifier(kernel_constraint=name).fit([[0.0], [1.0]], [0, 1])


def test_words_of_other_libraries_lead_to_names_that_exist():
    families = [ACTIVATIONS, CLASSIFICATION_LOSSES, CONSTRAINTS, INITIALIZERS, OPTIMIZERS]
    families += [REGRESSION_LOSSES, REGULARIZERS, SCHEDULES, get_scorer_names(), ["lbfgs", "loss"]]
    families += [AUGMENTATIONS]
    known = set(chain(*families, inspect.signature(MLPClassifier).parameters))
    assert {name for names in SYNONYMS.values() for name in names} <= known
