"""What a fitted estimator has: attributes, live views, summary, transform, predictions."""

import html

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError

from skdeep import MLPClassifier, MLPRegressor
from skdeep.layers import BatchNorm, Dense, Residual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
SETTINGS = {"max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def model():
    return MLPClassifier((7, 5), **SETTINGS).fit(X, y)


def test_attributes_of_scikit_learn(model):
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.n_features_in_ == 4
    assert model.n_layers_ == 4
    assert model.n_outputs_ == 3
    assert model.n_iter_ == 5
    assert model.t_ == 5 * 150
    assert model.out_activation_ == "softmax"
    assert [W.shape for W in model.coefs_] == [(4, 7), (7, 5), (5, 3)]
    assert [b.shape for b in model.intercepts_] == [(7,), (5,), (3,)]
    assert len(model.loss_curve_) == 5
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None


OUTPUTS = [
    (MLPClassifier, {}, y, "softmax"),
    (MLPClassifier, {}, y > 0, "logistic"),
    (MLPClassifier, {}, np.c_[y > 0, y > 1].astype(int), "logistic"),
    (MLPClassifier, {"loss": "hinge"}, y, "identity"),
    (MLPRegressor, {}, y, "identity"),
    (MLPRegressor, {"loss": "poisson"}, y, "exp"),
    (MLPRegressor, {"output_activation": "softplus"}, y, "softplus"),
]


@pytest.mark.parametrize(("Estimator", "settings", "target", "expected"), OUTPUTS)
def test_out_activation(Estimator, settings, target, expected):
    assert Estimator(**SETTINGS, **settings).fit(X, target).out_activation_ == expected


def test_history_is_a_table_of_epochs():
    model = MLPClassifier(**SETTINGS).fit(X, y, X_val=X[::3], y_val=y[::3])
    table = pd.DataFrame(model.history_)
    keys = {"loss", "learning_rate", "gradient_norm", "seconds", "val_loss", "val_score"}
    assert set(table.columns) == keys
    assert len(table) == 5
    assert np.isfinite(table).all(axis=None)
    assert (table["seconds"] > 0).all()
    assert model.loss_curve_ == table["loss"].tolist()
    assert model.validation_scores_ == table["val_score"].tolist()
    assert model.best_iter_ == table["loss"].idxmin() + 1


def test_gradient_norm_is_that_of_the_last_step():
    norms = []

    model = MLPClassifier(
        (4,), solver="sgd", momentum=0.0, learning_rate_init=1.0, alpha=0.0, **SETTINGS
    )
    model.fit(X, y)
    for n_epochs in (4, 5):
        model.set_params(max_iter=n_epochs).fit(X, y)
        norms.append(model.network_.parameters.values.copy())
    np.testing.assert_allclose(
        model.history_["gradient_norm"][4], np.linalg.norm(norms[1] - norms[0])
    )


@pytest.mark.parametrize("kind", ["view", "item", "slice", "attribute"])
def test_coefs_are_live(kind):
    model = MLPClassifier((3,), **SETTINGS).fit(X, y)
    before = model.predict_proba(X)
    if kind == "view":
        model.coefs_[0][...] = 0
        model.intercepts_[0][...] = 0
    elif kind == "item":
        model.coefs_[0] = np.zeros((4, 3))
        model.intercepts_[0] = np.zeros(3)
    elif kind == "slice":
        model.coefs_[:1] = [np.zeros((4, 3))]
        model.intercepts_[:1] = [np.zeros(3)]
    else:
        model.coefs_ = [np.zeros((4, 3)), model.coefs_[1]]
        model.intercepts_ = [np.zeros(3), model.intercepts_[1]]
    after = model.predict_proba(X)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, np.tile(softmax(model.intercepts_[1]), (150, 1)))


def test_coefs_of_another_shape_are_an_error(model):
    with pytest.raises(ValueError, match=r"An array of shape \(2, 2\) can't replace one of"):
        model.coefs_[0] = np.zeros((2, 2))
    with pytest.raises(ValueError, match="the network's are"):
        model.coefs_ = [np.zeros((4, 7))]


def test_no_bias_before_batch_norm():
    model = MLPClassifier((3,), batch_norm="before", **SETTINGS).fit(X, y)
    zeros, output = model.intercepts_
    assert zeros.tolist() == [0, 0, 0]
    assert output.any()
    with pytest.raises(ValueError, match="read-only"):
        zeros[0] = 1


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_not_fitted(Estimator):
    model = Estimator()
    for method in ("predict", "transform", "score"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(*((X, y) if method == "score" else (X,)))
    with pytest.raises(NotFittedError):
        model.summary()
    assert not hasattr(model, "coefs_")
    assert not hasattr(model, "intercepts_")


def test_summary_counts_as_keras_does():
    X = np.random.default_rng(0).random((50, 784))
    model = MLPClassifier(
        (300, 100), batch_norm="after", batch_norm_input=True, max_iter=1, random_state=0
    ).fit(X, np.arange(50) % 10)
    summary = model.summary()
    assert (summary.total, summary.trainable, summary.non_trainable) == (271_346, 268_978, 2_368)
    text = str(summary)
    for part in ("Dense (ReLU)", "(None, 300)", "235,500", "Non-trainable: 2,368"):
        assert part in text
    assert len({len(line) for line in text.splitlines()[2:7]}) == 1
    assert "<td>235,500</td>" in summary._repr_html_()


def test_summary_shows_what_is_inside():
    layers = [Dense(6, "tanh"), Residual([BatchNorm(), Dense(6)])]
    model = MLPRegressor(layers=layers, **SETTINGS).fit(X, y)
    names = [row[0] for row in model.summary().rows]
    assert names == [
        "Input",
        "Dense (Tanh)",
        "Residual",
        "  BatchNorm",
        "  Dense",
        "Dense",
    ]
    assert sum(row[2] for row in model.summary().rows) == model.summary().total
    assert html.escape("<") not in model.summary()._repr_html_()


def forward(model, X, n_layers):
    for W, b in list(zip(model.coefs_, model.intercepts_, strict=True))[:n_layers]:
        X = np.maximum(X @ W + b, 0)
    return X


def test_transform_gives_the_activations_of_a_hidden_layer(model):
    np.testing.assert_allclose(model.transform(X), forward(model, X, 2))
    np.testing.assert_allclose(model.transform(X, layer=0), forward(model, X, 1))
    np.testing.assert_array_equal(model.transform(X, layer=-2), model.transform(X, layer=0))
    names = model.get_feature_names_out()
    assert names.tolist() == [f"mlpclassifier{i}" for i in range(5)]


def test_transform_of_a_linear_model_is_its_input():
    model = MLPClassifier((), **SETTINGS).fit(X, y)
    np.testing.assert_array_equal(model.transform(X), X)


def test_transform_counts_given_layers_one_by_one():
    model = MLPClassifier(layers=[Dense(6), BatchNorm(), Dense(2, "relu")], **SETTINGS).fit(X, y)
    np.testing.assert_allclose(model.transform(X, 0), X @ model.coefs_[0] + model.intercepts_[0])
    assert model.transform(X, 1).shape == (150, 6)
    assert model.transform(X).shape == (150, 2)


def test_set_output():
    model = MLPClassifier((7, 5), **SETTINGS).set_output(transform="pandas").fit(X, y)
    table = model.transform(X)
    assert table.columns.tolist() == model.get_feature_names_out().tolist()
    lower = model.transform(X, layer=0)
    assert lower.columns.tolist() == [f"mlpclassifier{i}" for i in range(7)]
    assert model.set_output(transform="default").transform(X).shape == (150, 5)
    assert model.fit_transform(X, y).shape == (150, 5)


def test_predictions_follow_from_the_logits(model):
    Z = model.decision_function(X)
    np.testing.assert_allclose(Z, forward(model, X, 2) @ model.coefs_[2] + model.intercepts_[2])
    np.testing.assert_allclose(model.predict_proba(X), softmax(Z, axis=1))
    np.testing.assert_array_equal(model.predict(X), Z.argmax(axis=1))
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))


def test_binary_predictions():
    labels = np.array(["no", "yes"])[(y == 0).astype(int)]
    model = MLPClassifier((5,), **SETTINGS).fit(X, labels)
    z = model.decision_function(X)
    assert z.shape == (150,)
    np.testing.assert_allclose(model.predict_proba(X), np.c_[expit(-z), expit(z)])
    np.testing.assert_array_equal(model.predict(X), np.where(z > 0, "yes", "no"))


def test_multilabel_predictions():
    X, Y = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    model = MLPClassifier((5,), **SETTINGS).fit(X, Y)
    Z = model.decision_function(X)
    np.testing.assert_allclose(model.predict_proba(X), expit(Z))
    np.testing.assert_array_equal(model.predict(X), Z > 0)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(expit(Z)))
    assert model.classes_.tolist() == [0, 1, 2]


def test_a_single_class_is_certain():
    model = MLPClassifier((5,), **SETTINGS).fit(X, np.full(150, "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((150, 1)))
    np.testing.assert_array_equal(model.predict_log_proba(X), np.zeros((150, 1)))


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("target", [y, y > 0])
def test_hinge_losses_give_no_probabilities(loss, target):
    model = MLPClassifier((20,), loss=loss, max_iter=300, learning_rate_init=0.01, random_state=0)
    model.fit(X, target)
    assert model.score(X, target) > 0.95
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError):
        model.predict_log_proba(X)
    assert not hasattr(MLPClassifier(loss=loss), "predict_proba")


def test_regressor_applies_its_output_activation():
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor((5,), loss="poisson", **SETTINGS).fit(X, y)
    Z = forward(model, X, 1) @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.predict(X), np.exp(Z[:, 0]))


@pytest.mark.parametrize("shape", [(150,), (150, 1), (150, 2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_shape_of_regression(shape):
    target = np.random.default_rng(0).random(shape)
    prediction = MLPRegressor((3,), **SETTINGS).fit(X, target).predict(X)
    assert prediction.shape == ((150, 2) if shape == (150, 2) else (150,))


def test_many_rows_are_predicted_as_few_are(model):
    """Prediction goes in blocks."""
    many = np.tile(X, (300, 1))
    expected = np.tile(model.predict_proba(X), (300, 1))
    np.testing.assert_allclose(model.predict_proba(many), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"batch_norm": "after", "dropout": 0.2}])
def test_dtype_is_kept_end_to_end(dtype, settings):
    model = MLPClassifier((6,), **SETTINGS, **settings).fit(X.astype(dtype), y)
    assert {p.value.dtype for p in model.network_.parameters.parameters} == {np.dtype(dtype)}
    assert model.predict_proba(X).dtype == dtype
    assert model.transform(X).dtype == dtype
    assert model.set_params(dtype="float32").fit(X, y).network_.dtype == np.float32
    assert model.set_params(dtype="float64").fit(X, y).network_.dtype == np.float64


def test_inputs_beyond_float32_are_refused_by_a_float32_model():
    model = MLPClassifier((3,), **SETTINGS).fit(X.astype("float32"), y)
    with pytest.raises(ValueError, match="too large for dtype\\('float32'\\)"):
        model.predict_proba(np.full((1, 4), 1e39))


@pytest.mark.parametrize("weight", [None, np.arange(150) / 30])
def test_evaluate_returns_the_figures_of_validation_data(weight):
    mlp = MLPClassifier((7,), metrics=["neg_log_loss"], class_weight={0: 3.0}, **SETTINGS)
    mlp.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    figures = mlp.evaluate(X, y, weight)
    assert figures == {
        name: mlp.history_[f"val_{name}"][-1] for name in ("loss", "score", "neg_log_loss")
    }


def test_evaluate_without_a_fit_or_with_other_targets_is_an_error(model):
    with pytest.raises(NotFittedError):
        MLPClassifier().evaluate(X, y)
    with pytest.raises(ValueError, match="classes not in"):
        model.evaluate(X, y + 1)


def test_the_best_loss_of_calls_of_partial_fit():
    X = np.random.default_rng(0).normal(size=(20, 2))
    mlp = MLPRegressor((3,), learning_rate_init=0.5, random_state=0)
    for i in range(30):
        mlp.partial_fit(X, X[:, 0] * (-1) ** (i // 3))
        losses = mlp.loss_curve_
        assert mlp.best_iter_ == np.argmin(losses) + 1
        assert (mlp.best_loss_, mlp.loss_) == (min(losses), losses[-1])
    for column in mlp.history_.values():
        del column[:29]
    mlp.partial_fit(X, X[:, 0])
    assert mlp.best_loss_ == min(mlp.loss_curve_)
