"""MultiTaskMLP: several tasks of different kinds on one network."""

import importlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import (
    InvalidFileError,
    MLPClassifier,
    MLPRegressor,
    MultiTaskMLP,
    fold_batch_norm,
    load,
    save,
)
from skdeep._component import InvalidParameterError
from skdeep.callbacks import EarlyStopping
from skdeep.inspection import check_gradients, column_importance, diagnose, layer_statistics
from skdeep.inspection.responses import ResponseSettings, column_responses
from skdeep.layers import BatchNorm, Dense, Output
from skdeep.losses import Huber, QuantileLoss
from skdeep.tasks import Classification, Regression

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS, KIND = load_iris(return_X_y=True)
X = IRIS[:, :3]
NAMES = np.array(["setosa", "versicolor", "virginica"])[KIND]
Y = {"kind": NAMES, "width": IRIS[:, 3], "large": KIND > 0}
OPTIONS = {"max_iter": 5, "random_state": 0}
RNG = np.random.default_rng(0)


def tasks(**options):
    """Return a task of classes, one of numbers, and a hint on the lowest layer."""
    return {
        "kind": Classification(**options),
        "width": Regression(loss_weight=0.5),
        "large": Classification(at=0, training_only=True),
    }


def frame(y=None):
    return pytest.importorskip("pandas").DataFrame(Y if y is None else y)


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


# What it learns -----------------------------------------------------------------------------------


def test_it_learns_a_class_and_a_number():
    model = MultiTaskMLP((16, 8), tasks=tasks(), solver="lbfgs", max_iter=300, random_state=0)
    model.fit(X, Y)
    assert model.scores(X, Y)["kind"] > 0.95
    assert model.scores(X, Y)["width"] > 0.9
    P = model.predict(X)
    assert P.keys() == {"kind", "width"}
    assert model.predict_proba(X).keys() == model.decision_function(X).keys() == {"kind"}
    np.testing.assert_allclose(model.predict_proba(X)["kind"].sum(axis=1), 1)
    np.testing.assert_array_equal(model.classes_["kind"], np.unique(NAMES))
    expected = [(P["kind"] == NAMES).mean(), r2_score(Y["width"], P["width"])]
    assert model.score(X, Y) == pytest.approx(np.average(expected, weights=[1, 0.5]))
    assert model.n_layers_ == 4
    assert model.n_outputs_ == 5
    assert model.out_activation_ == {"kind": "softmax", "width": "identity", "large": "logistic"}


SINGLE = {
    "classes": (Classification(), MLPClassifier(), NAMES),
    "two classes": (Classification(), MLPClassifier(), KIND > 0),
    "labels": (Classification(), MLPClassifier(), (IRIS > 3).astype(int)),
    "smoothed": (Classification(label_smoothing=0.2), MLPClassifier(label_smoothing=0.2), NAMES),
    "hinge": (Classification("hinge"), MLPClassifier(loss="hinge"), NAMES),
    "weights": (
        Classification(class_weight="balanced"),
        MLPClassifier(class_weight="balanced"),
        KIND[:120] > 1,
    ),
    "numbers": (Regression(), MLPRegressor(), IRIS[:, 3]),
    "columns": (Regression(standardize_y=True), MLPRegressor(standardize_y=True), IRIS[:, 2:]),
    "counts": (Regression("poisson"), MLPRegressor(loss="poisson"), KIND),
    "quantiles": (
        Regression(QuantileLoss([0.2, 0.8], non_crossing=True)),
        MLPRegressor(loss=QuantileLoss([0.2, 0.8], non_crossing=True)),
        IRIS[:, 3],
    ),
    "a list of losses": (
        Regression(["squared_error", "huber"]),
        MLPRegressor(loss=["squared_error", "huber"]),
        IRIS[:, 2:],
    ),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_single_task_is_the_estimator_for_it(kind):
    task, single, y = SINGLE[kind]
    options = {"hidden_layer_sizes": (6, 5), "batch_norm": "before", "dropout": 0.1, **OPTIONS}
    if kind == "weights":  # "auto" adapts to the columns with these weights, in a classifier
        options |= {"initializer": "glorot_normal", "bias_initializer": "zeros"}
    rows = IRIS[: len(y)]
    single = clone(single).set_params(**options).fit(rows, y)
    model = MultiTaskMLP(tasks={"y": task}, **options).fit(rows, {"y": y})
    for own, other in zip(model.coefs_, single.coefs_, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(model.predict(rows)["y"].shape, single.predict(rows).shape)
    assert model.score(rows, {"y": y}) == pytest.approx(single.score(rows, y))
    if hasattr(single, "predict_proba"):
        proba = model.predict_proba(rows)["y"]
        np.testing.assert_allclose(proba, single.predict_proba(rows), rtol=1e-9, atol=1e-12)


def test_it_is_what_pytorch_computes():
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    try:
        _compare_with(torch)
    finally:
        torch.set_default_dtype(torch.float32)


def _compare_with(torch):
    model = MultiTaskMLP(
        (6, 5),
        "tanh",
        tasks={
            "kind": Classification(loss_weight=0.3, at=0),
            "width": Regression(layers=[Dense(3, "tanh")]),
            "label": Classification(class_weight={True: 2.0}),
        },
        **{"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05},
        **{"alpha": 0.0, "batch_size": 40, "shuffle": False, "max_iter": 1, "random_state": 0},
    )
    width = np.where(RNG.random(150) < 0.3, np.nan, Y["width"])
    y = {"kind": KIND, "width": width, "label": KIND > 1}
    start = clone(model).set_params(learning_rate_init=1e-300).fit(X, y)
    layers = []
    for W, b in zip(start.coefs_, start.intercepts_, strict=True):
        layer = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            layer.weight[:], layer.bias[:] = torch.tensor(W.T.copy()), torch.tensor(b)
        layers.append(layer)
    below, above, kind, own, number, label = layers
    parameters = [p for layer in layers for p in layer.parameters()]
    sgd = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    inputs, codes = torch.tensor(X), torch.tensor(KIND)
    for _ in range(3):
        for rows in np.split(np.arange(150), range(40, 150, 40)):
            H = torch.tanh(below(inputs[rows]))
            A = torch.tanh(above(H))
            loss = 0.3 * torch.nn.functional.cross_entropy(kind(H), codes[rows])
            known = rows[~np.isnan(width[rows])]
            P = number(torch.tanh(own(A)))[np.isin(rows, known), 0]
            loss = loss + 0.5 * ((P - torch.tensor(width[known])) ** 2).mean()
            large = (codes[rows] > 1).double()
            by_row = torch.nn.functional.binary_cross_entropy_with_logits(
                label(A)[:, 0], large, reduction="none"
            )
            loss = loss + (by_row * (1 + large)).mean()
            sgd.zero_grad()
            loss.backward()
            sgd.step()
    model.set_params(max_iter=3).fit(X, y)
    for W, layer in zip(model.coefs_, layers, strict=True):
        np.testing.assert_allclose(W, layer.weight.detach().numpy().T, rtol=1e-9, atol=1e-12)


# Heads --------------------------------------------------------------------------------------------


def test_the_gradient_of_heads_on_all_layers():
    model = MultiTaskMLP(
        (6, 5, 4),
        "tanh",
        tasks={
            "kind": Classification(at=0, class_weight="balanced"),
            "width": Regression(layers=[Dense(3, "tanh")]),
            "large": Classification(at=1, label_smoothing=0.1),
        },
        kernel_regularizer=[None, "l2", None, "l1"],
        **OPTIONS,
    ).fit(X, Y)
    assert max(check_gradients(model, X, Y).errors.values()) < 1e-6
    assert len(layer_statistics(model, X, Y).layers) >= 3
    with pytest.raises(TypeError, match="diagnose is for models of one task"):
        diagnose(model, X, Y)


def test_an_auxiliary_head_changes_the_layers_below_it_only():
    def first_step(weight):
        options = {"batch_size": 150, "max_iter": 1, "solver": "sgd", "random_state": 0}
        these = {"width": Regression(), "large": Classification(at=0, loss_weight=weight)}
        return MultiTaskMLP((6, 5), tasks=these, alpha=0.0, **options).fit(X, Y).coefs_

    without, with_head = first_step(0.0), first_step(1.0)
    changed = [not np.array_equal(a, b) for a, b in zip(without, with_head, strict=True)]
    assert changed == [True, False, False, True]


def test_options_of_the_output_layer_are_those_of_the_heads_unless_they_say_otherwise():
    these = {"kind": Classification(), "width": Regression(initializer="ones")}
    model = MultiTaskMLP((4,), tasks=these, initializer=["auto", "zeros"], **OPTIONS)
    model.set_params(learning_rate_init=1e-300).fit(X, Y)
    np.testing.assert_allclose(model.coefs_[1], 0, atol=1e-200)
    assert (model.coefs_[2] == 1).all()


@pytest.mark.parametrize("layers", [[Dense(6, "tanh"), Dense(5, "relu")], None])
def test_heads_on_layers_that_are_listed(layers):
    sizes = {"layers": layers} if layers else {"hidden_layer_sizes": (6, 5)}
    model = MultiTaskMLP(**sizes, tasks=tasks(), **OPTIONS).fit(X, Y)
    assert model.transform(X, 0).shape == (150, 6)
    assert model.transform(X).shape == (150, 5)


def test_a_head_hangs_on_a_layer_by_name():
    layers = [("below", Dense(6, "tanh")), ("above", Dense(5, "relu"))]
    model = MultiTaskMLP(layers=layers, tasks=tasks(at="above"), **OPTIONS)
    by_position = clone(model).fit(X, Y)
    model.set_params(tasks__large__at="below")
    same(model.fit(X, Y).predict(X), by_position.predict(X))
    with pytest.raises(InvalidParameterError, match="tasks__large__at='beolw' is unknown; did you"):
        model.set_params(tasks__large__at="beolw").fit(X, Y)
    model.set_params(tasks__large__at="below", layers=[*layers, ("output", Output())])
    same(model.fit(X, Y).predict(X), by_position.predict(X))
    with pytest.raises(InvalidParameterError, match=r"at='output' is unknown\. Choose"):
        model.set_params(tasks__large__at="output").fit(X, Y)


def test_layers_of_heads_have_names(tmp_path):
    named = Classification(layers=[("own", Dense(3))])
    model = MultiTaskMLP((6,), tasks=tasks() | {"kind": named}, **OPTIONS).fit(X, Y)
    model.set_params(tasks__kind__layers__own__units=4).fit(X, Y)
    save(model, tmp_path / "model")
    for found in (model, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert found.network_["own"].units == 4
        same(found.predict(X), model.predict(X))


def test_layers_may_be_one_layer():
    one, listed = (
        MultiTaskMLP(layers=layers, tasks=tasks(at=0), **OPTIONS).fit(X, Y)
        for layers in (Dense(6), [Dense(6)])
    )
    same(one.predict(X), listed.predict(X))


def test_a_network_without_hidden_layers():
    model = MultiTaskMLP((), tasks=tasks(), **OPTIONS).fit(X, Y)
    assert [W.shape for W in model.coefs_] == [(3, 3), (3, 1), (3, 1)]
    sparse = sp.csr_matrix(X)
    same_model = clone(model).fit(sparse, Y)
    np.testing.assert_allclose(
        same_model.predict_proba(sparse)["kind"], model.predict_proba(X)["kind"]
    )


# Kinds of y ---------------------------------------------------------------------------------------


def test_a_frame_a_dict_and_an_array_are_equal():
    pandas = pytest.importorskip("pandas")
    table = frame()
    models = [
        MultiTaskMLP((5,), tasks=tasks(), **OPTIONS).fit(X, y)
        for y in (Y, table, table.to_numpy(), {k: list(v) for k, v in Y.items()})
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.coefs_[0], models[0].coefs_[0])
    index = pandas.Index(range(150, 300))
    found = models[1].predict(pandas.DataFrame(X, index).to_numpy())
    assert list(found.columns) == ["kind", "width"]
    found = clone(models[1]).fit(pandas.DataFrame(X, index, list("abc")), table)
    assert found.predict(pandas.DataFrame(X, index, list("abc"))).index.equals(index)
    assert models[1].score(X, table) == models[0].score(X, Y)


def test_polars():
    polars = pytest.importorskip("polars")
    y = polars.DataFrame({"kind": NAMES.tolist(), "width": [None, *Y["width"][1:]]})
    these = {name: tasks()[name] for name in ("kind", "width")}
    model = MultiTaskMLP((5,), tasks=these, **OPTIONS).fit(X, y)
    found = model.predict(X)
    assert isinstance(found, polars.DataFrame)
    assert found.columns == ["kind", "width"]
    assert np.isfinite(model.score(X, y))


def test_columns_of_other_names_and_several_columns():
    y = frame({"a": NAMES, "b": IRIS[:, 2], "c": IRIS[:, 3], "d": KIND > 0, "e": KIND > 1})
    model = MultiTaskMLP(
        (5,),
        tasks={
            "sizes": Regression(columns=["b", "c"]),
            "kind": Classification(columns="a"),
            "flags": Classification(columns=["d", "e"]),
            "range": Regression(QuantileLoss([0.1, 0.9]), columns="b"),
        },
        **OPTIONS,
    ).fit(X, y)
    P = model.predict(X)
    assert list(P.columns) == ["b", "c", "a", "d", "e", "range_0.1", "range_0.9"]
    assert model.predict_proba(X)["flags"].shape == (150, 2)
    assert model.scores(X, y).keys() == {"sizes", "kind", "flags", "range"}


def test_tasks_without_names_have_those_of_the_columns():
    y = {name: Y[name] for name in ("kind", "width")}
    model = MultiTaskMLP((5,), tasks=[Classification(), Regression()], **OPTIONS).fit(X, y)
    assert list(model.tasks_) == ["kind", "width"]
    assert model.get_params()["tasks__1__loss_weight"] == 1
    model.set_params(tasks__1__loss_weight=3.0, tasks__0=Classification(label_smoothing=0.1))
    assert model.tasks[1].loss_weight == 3
    model.set_params(warm_start=True).fit(X, y)
    array = np.array([KIND, Y["width"]]).T
    assert list(clone(model).fit(X, array).tasks_) == ["0", "1"]
    pairs = [("kind", Classification()), ("width", Regression())]
    assert list(MultiTaskMLP((5,), tasks=pairs, **OPTIONS).fit(X, y).tasks_) == ["kind", "width"]


def test_tasks_that_share_a_column_have_columns_of_their_own():
    given = {"label": Classification(columns="n"), "size": Regression(columns="n")}
    y = frame({"n": KIND})
    model = MultiTaskMLP((5,), tasks=given, **OPTIONS).fit(X, y)
    P = model.predict(X)
    assert P.columns.tolist() == ["label_n", "size_n"]
    assert P["label_n"].isin([0, 1, 2]).all()
    assert np.mean(P["label_n"] == KIND) == model.scores(X, y)["label"]


@pytest.mark.parametrize(("dtype", "classes"), [("Int64", [0, 1]), ("boolean", [False, True])])
def test_nullable_labels_keep_their_type(dtype, classes):
    pandas = pytest.importorskip("pandas")
    y = pandas.DataFrame({"large": pandas.array([None, *(KIND[1:] > 0)], dtype=dtype)})
    model = MultiTaskMLP((4,), tasks=[Classification()], solver="lbfgs", random_state=0).fit(X, y)
    assert model.classes_["large"].tolist() == classes
    assert model.predict(X)["large"].dtype.kind == np.array(classes).dtype.kind
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("mark", [None, np.nan, "pandas"])
def test_missing_targets_are_left_out(mark):
    mark = pytest.importorskip("pandas").NA if mark == "pandas" else mark
    gaps = RNG.random((2, 150)) < 0.3
    y = {
        "kind": np.where(gaps[0], mark, NAMES.astype(object)),
        "width": np.where(gaps[1], mark, Y["width"].astype(object)),
        "large": Y["large"],
    }
    model = MultiTaskMLP((6, 5), "tanh", tasks=tasks(), **OPTIONS).fit(X, y)
    assert max(check_gradients(model, X, y).errors.values()) < 1e-6
    np.testing.assert_array_equal(model.classes_["kind"], np.unique(NAMES))
    P, known = model.predict(X), ~gaps
    assert model.scores(X, y) == {
        "kind": pytest.approx((P["kind"] == NAMES)[known[0]].mean()),
        "width": pytest.approx(r2_score(Y["width"][known[1]], P["width"][known[1]])),
    }


def test_a_batch_without_targets_of_a_task():
    y = {**Y, "width": np.where(np.arange(150) < 140, np.nan, Y["width"])}
    model = MultiTaskMLP((5,), tasks=tasks(), shuffle=False, batch_size=20, **OPTIONS).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()


def test_tasks_whose_known_targets_have_no_weight():
    weight = np.repeat([0.0, 1.0], 75)
    y = {
        "kind": np.where(weight > 0, None, NAMES),
        "width": np.where(weight > 0, np.nan, Y["width"]),
        "large": Y["large"],
    }
    given = {**tasks(), "width": Regression(standardize_y=True)}
    model = MultiTaskMLP((5,), tasks=given, metrics="kind__accuracy", **OPTIONS)
    with pytest.warns(UserWarning, match="'kind__accuracy' is not defined for the training rows"):
        model.fit(X, y, weight)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isnan(list(model.scores(X, y, weight).values())).all()


def test_mixtures_keep_the_targets_that_are_there():
    seen = []

    def look(X, Y, rng):
        seen.append(np.isnan(Y).sum(axis=0))
        return X, Y

    y = {**Y, "kind": np.where(np.arange(150) % 10, None, NAMES)}
    options = {**OPTIONS, "augment": ["mixup", look], "batch_size": 150}
    MultiTaskMLP((5,), tasks=tasks(), **options).fit(X, y)
    np.testing.assert_array_equal(seen, [[135, 135, 135, 0, 0]] * 5)


# Scores, histories, early stopping ----------------------------------------------------------------


def test_the_history_has_figures_of_each_task():
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS)
    model.fit(X[::2], {k: v[::2] for k, v in Y.items()}, X_val=X, y_val=Y)
    last = {name: column[-1] for name, column in model.history_.items()}
    assert last["val_score_kind"] == pytest.approx(model.scores(X, Y)["kind"])
    assert last["val_score"] == pytest.approx(model.score(X, Y))
    weighted = last["val_loss_kind"] + 0.5 * last["val_loss_width"] + last["val_loss_large"]
    assert last["val_loss"] == pytest.approx(weighted)
    assert last["val_loss_width"] == pytest.approx(
        0.5 * np.mean((model.predict(X)["width"] - Y["width"]) ** 2)
    )
    assert "val_score_large" not in last
    model.fit(X, Y, X_val=X, y_val={**Y, "kind": [None] * 150})
    assert np.isnan(model.history_["val_loss_kind"]).all()
    assert np.isfinite(model.history_["val_loss"]).all()


def test_validation_data_may_lack_what_serves_training_only():
    y_val = {name: Y[name] for name in ("kind", "width")}
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS).fit(X, Y, X_val=X, y_val=y_val)
    assert np.isnan(model.history_["val_loss_large"]).all()
    model.partial_fit(X, y_val)
    with pytest.raises(ValueError, match="Task 'width' needs the column 'width' of y"):
        model.fit(X, Y, X_val=X, y_val={"kind": NAMES})


@pytest.mark.parametrize(
    "scoring", [None, "kind", "kind__f1_macro", "loss", lambda e, X, y: e.scores(X, y)["width"]]
)
def test_early_stopping_by_the_score_of_a_task(scoring):
    model = MultiTaskMLP((6,), tasks=tasks(), early_stopping=True, scoring=scoring, **OPTIONS)
    model.fit(X, Y)
    columns = {"kind": "val_score_kind", None: "val_score"}
    if not callable(scoring) and scoring != "kind__f1_macro":
        sign = -1 if scoring == "loss" else 1
        name = columns.get(scoring, "val_loss")
        assert model.best_validation_score_ == pytest.approx(
            max(sign * v for v in model.history_[name])
        )


@pytest.mark.parametrize("monitor", ["val_score_kind", "val_loss_width"])
def test_a_callback_watches_a_task(monitor):
    callback = EarlyStopping(monitor, patience=2)
    model = MultiTaskMLP((6,), tasks=tasks(), callbacks=[callback], **OPTIONS)
    model.fit(X, Y, X_val=X, y_val=Y)
    best = max if "score" in monitor else min
    assert callback.best_ == best(model.history_[monitor])


def test_metrics_name_a_task_and_a_scorer():
    gaps = np.arange(150) % 5 == 0
    y = {**Y, "kind": np.where(gaps, None, NAMES), "width": np.where(gaps, np.nan, Y["width"])}
    names = ["kind__roc_auc_ovr", "width__neg_mean_absolute_error", "kind__accuracy"]
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS)
    model.set_params(metrics=[*names, "kind", "score"], scoring=None).fit(X, y, X_val=X, y_val=y)
    last = {name: column[-1] for name, column in model.history_.items()}
    known = ~gaps
    P = model.predict_proba(X)["kind"][known]
    expected = roc_auc_score(NAMES[known], P, multi_class="ovr")
    assert last["val_kind__roc_auc_ovr"] == pytest.approx(expected)
    error = np.abs(model.predict(X)["width"] - Y["width"])[known].mean()
    assert last["val_width__neg_mean_absolute_error"] == pytest.approx(-error)
    assert last["val_score_kind"] == last["val_kind__accuracy"]
    # In the first and only batch, training rows pass before the step.
    before = {name: column[-2] for name, column in model.history_.items()}
    for name in (*names, "score", "score_kind"):
        assert last[name] == pytest.approx(before[f"val_{name}"])
    own = {"mine": lambda estimator, X, y: estimator.scores(X, y)["width"]}
    model.set_params(metrics=own).fit(X, y, X_val=X, y_val=y)
    assert model.history_["val_mine"] == model.history_["val_score_width"]


def test_metrics_of_tasks_that_are_not_defined():
    model = MultiTaskMLP((6,), tasks=tasks(), metrics="kind__roc_auc_ovr", **OPTIONS)
    val = {name: column[:60] for name, column in Y.items()}  # with two of the three classes
    for kind in (val["kind"], np.where(np.arange(60) % 7, val["kind"], None)):
        with pytest.warns(UserWarning, match="'kind__roc_auc_ovr' is not defined for the valid"):
            model.fit(X, Y, X_val=X[:60], y_val={**val, "kind": kind})
        assert np.isnan(model.history_["val_kind__roc_auc_ovr"]).all()
    with pytest.raises(InvalidParameterError, match="'width__accuracy' can't be computed from"):
        model.set_params(metrics="width__accuracy").fit(X, Y)
    several = {"each": Classification(columns=["a", "b"])}
    y = {"a": KIND > 0, "b": KIND > 1}
    model = MultiTaskMLP((6,), tasks=several, metrics="each__roc_auc", **OPTIONS)
    with pytest.warns(UserWarning, match="'each__roc_auc' is not defined for the validation"):
        model.fit(X, y, X_val=X[:60], y_val={name: column[:60] for name, column in y.items()})


@pytest.mark.parametrize("option", ["scoring", "metrics"])
def test_scorers_of_tasks_that_are_unknown(option):
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS)
    for value, message in {
        "kind__acuracy": "'acuracy' is unknown; did you mean 'accuracy'",
        "accuracy": r"give the name of a task that is predicted, \['kind', 'width'\]",
        "large": "give the name of a task that is predicted",
    }.items():
        with pytest.raises(InvalidParameterError, match=message):
            model.set_params(**{option: value}).fit(X, Y, X_val=X, y_val=Y)


def test_a_view_of_one_task():
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS).fit(X, Y)
    kind, width = model.for_task("kind"), model.for_task("width")
    np.testing.assert_array_equal(kind.predict(X), model.predict(X)["kind"])
    np.testing.assert_array_equal(kind.predict_proba(X), model.predict_proba(X)["kind"])
    assert kind.score(X, NAMES) == model.scores(X, Y)["kind"]
    assert width.score(X, Y["width"]) == pytest.approx(model.scores(X, Y)["width"])
    assert is_classifier(kind)
    assert is_regressor(width)
    auc = get_scorer("roc_auc_ovr")(kind, X, NAMES)
    assert auc == pytest.approx(roc_auc_score(NAMES, kind.predict_proba(X), multi_class="ovr"))
    calibrated = CalibratedClassifierCV(FrozenEstimator(kind), cv=3).fit(X, NAMES)
    assert calibrated.predict_proba(X).shape == (150, 3)
    with pytest.raises(TypeError, match="fit the model itself"):
        kind.fit(X, NAMES)
    with pytest.raises(ValueError, match="no prediction of a task 'large'; choose from"):
        model.for_task("large")


def test_scores_with_weights():
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS).fit(X, Y)
    weight = RNG.integers(0, 3, 150)
    rows = np.repeat(np.arange(150), weight)
    repeated = model.scores(X[rows], {name: Y[name][rows] for name in Y})
    assert model.scores(X, Y, weight) == pytest.approx(repeated)
    assert model.scores(X, Y, weight.tolist()) == pytest.approx(repeated)
    for wrong in (weight[:3], -weight):
        with pytest.raises(ValueError, match="sample_weight"):
            model.scores(X, Y, wrong)


def test_sample_weights_repeat_rows():
    weight = RNG.integers(0, 3, 150)
    rows = np.repeat(np.arange(150), weight)
    model = MultiTaskMLP(
        (6,), tasks=tasks(class_weight={"setosa": 3.0}), solver="lbfgs", max_iter=30, random_state=0
    )
    weighted = clone(model).fit(X, Y, weight)
    repeated = model.fit(X[rows], {name: Y[name][rows] for name in Y})
    np.testing.assert_allclose(
        weighted.predict_proba(X)["kind"], repeated.predict_proba(X)["kind"], atol=1e-4
    )


# Parameters, clones, searches ---------------------------------------------------------------------


def test_parameters_of_tasks_can_be_set():
    model = MultiTaskMLP((6,), tasks=tasks())
    assert model.get_params()["tasks__width__loss_weight"] == 0.5
    model.set_params(tasks__width__loss_weight=2.0, tasks__width=Regression("huber"), alpha=0.1)
    assert model.tasks["width"].loss == "huber"
    assert model.tasks["width"].loss_weight == 2.0
    assert model.alpha == 0.1
    twin = clone(model)
    assert repr(twin) == repr(model)
    assert twin.tasks["width"] is not model.tasks["width"]
    model.set_params(tasks__width__loss__delta=0.3)  # of a loss that is given by name
    assert model.tasks["width"].loss.delta == 0.3
    model.set_params(tasks__kind=Classification("focal"), tasks__kind__loss__gamma=1.0)
    assert model.tasks["kind"].loss.gamma == 1.0
    with pytest.raises(InvalidParameterError, match="has no parameter 'gamma'"):
        model.set_params(tasks__width__loss="squared_error", tasks__width__loss__gamma=1.0)
    with pytest.raises(ValueError, match="'tasks__size__loss_weight' is unknown"):
        model.set_params(tasks__size__loss_weight=1.0)
    with pytest.raises(ValueError, match="did you mean 'tasks__width__loss'"):
        model.set_params(tasks__width__los=1.0)
    with pytest.raises(ValueError, match="tasks__b is no parameter, as tasks=None"):
        MultiTaskMLP().set_params(tasks__b=1.0)
    with pytest.raises(InvalidParameterError, match=r"tasks__b is no .* as tasks=3 has none"):
        MultiTaskMLP().set_params(tasks=3, tasks__b=1.0)
    with pytest.raises(InvalidParameterError, match=r"l1 is no .* as kernel_regularizer='l1'"):
        Dense(3, kernel_regularizer="l1").set_params(kernel_regularizer__l1=1.0)


def test_set_params_reaches_layers_of_heads_and_leaves_shared_tasks_alone():
    given = tasks()
    given["kind"].layers = [Dense(3, "tanh")]
    model = MultiTaskMLP((6,), tasks=given, **OPTIONS)
    model.set_params(tasks__kind__layers__0__units=7, tasks__width__loss=Huber(2.0))
    model.set_params(tasks__width__loss__delta=3.0)
    assert model.fit(X, Y).coefs_[1].shape == (6, 7)
    assert model.tasks["width"].loss.delta == 3.0
    assert given["kind"].layers[0].units == 3
    assert given["width"].loss == "squared_error"


def test_fit_leaves_the_tasks_as_they_are():
    given = tasks()
    model = MultiTaskMLP((6,), tasks=given, **OPTIONS).fit(X, Y)
    assert model.tasks is given
    assert model.tasks_["kind"] is not given["kind"]
    assert set(vars(given["kind"])) == set(given["kind"].get_params())


def test_searches_pipelines_and_cross_validation():
    y = frame()
    model = make_pipeline(StandardScaler(), MultiTaskMLP((6,), tasks=tasks(), **OPTIONS))
    grid = {"multitaskmlp__tasks__width__loss_weight": [0.1, 1.0], "multitaskmlp__alpha": [0, 1]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(cross_val_score(model, X, y, cv=3)) == 3
    assert len(cross_val_score(model, X, y.to_numpy(), cv=3)) == 3
    found = cross_val_predict(model, X, y, cv=2)
    assert found.shape == (150, 2)


def test_in_two_dtypes_with_both_sets_of_kernels(monkeypatch):
    results = []
    for kernels in ("numpy", "numba"):
        monkeypatch.setenv("SKDEEP_KERNELS", kernels)
        if kernels == "numba":
            pytest.importorskip("numba")
        model = MultiTaskMLP((6, 5), tasks=tasks(), dropout=0.2, **OPTIONS)
        results.append(model.fit(X, Y).predict_proba(X)["kind"])
    np.testing.assert_allclose(*results, rtol=1e-9)
    assert model.fit(X.astype(np.float32), Y).coefs_[-1].dtype == np.float32
    assert model.predict(X)["width"].dtype == np.float32


# Files, copies, further training ------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_files_and_pickles(way, tmp_path):
    these = {
        **tasks(class_weight="balanced"),
        "sizes": Regression(columns="width", standardize_y=True, layers=[Dense(3)], at=0),
    }
    model = MultiTaskMLP((6, 5), tasks=these, batch_norm="after", **OPTIONS)
    model.fit(X, Y)
    if way == "file":
        save(model, tmp_path / "model")
        twin = load(tmp_path / "model")
    else:
        twin = pickle.loads(pickle.dumps(model))
    same(twin.predict(X), model.predict(X))
    assert repr(twin) == repr(model)
    for each in (model, twin):
        each.set_params(warm_start=True).fit(X, Y)
    same(twin.predict(X), model.predict(X))


def test_partial_fit_is_one_epoch_of_fit():
    options = {"tasks": tasks(), "hidden_layer_sizes": (6, 5), "random_state": 0, "batch_size": 30}
    model = MultiTaskMLP(max_iter=3, **options).fit(X, Y)
    parts = MultiTaskMLP(**options)
    classes = {"kind": np.unique(NAMES), "large": [False, True]}
    for _ in range(3):
        parts.partial_fit(X, Y, classes=classes)
    same(parts.predict(X), model.predict(X))
    first = {name: column[:50] for name, column in Y.items()}  # of one class
    MultiTaskMLP(**options).partial_fit(X[:50], first, classes=classes).partial_fit(X, Y)
    with pytest.raises(ValueError, match="those of 'large' are missing"):
        MultiTaskMLP(**options).partial_fit(X, Y, classes={"kind": np.unique(NAMES)})
    with pytest.raises(ValueError, match="not the same as on last call to partial_fit"):
        parts.partial_fit(X, Y, classes={"kind": ["a", "b"]})


def test_validation_data_of_partial_fit():
    model = MultiTaskMLP((6,), tasks=tasks(), random_state=0)
    classes = {"kind": np.unique(NAMES), "large": [False, True]}
    for _ in range(2):
        model.partial_fit(X, Y, classes=classes, X_val=X, y_val=Y)
    assert len(model.history_["val_score_kind"]) == 2
    assert model.history_["val_score_kind"][-1] == model.scores(X, Y)["kind"]


def test_calls_of_partial_fit_without_labels_of_a_task():
    classes = {"kind": np.unique(NAMES), "large": [False, True]}
    model = MultiTaskMLP((6,), tasks=tasks(class_weight={"setosa": 2.0}), random_state=0)
    without = {**Y, "kind": [None] * 150}
    model.partial_fit(X, without, classes=classes).partial_fit(X, Y).partial_fit(X, without)
    np.testing.assert_array_equal(model.classes_["kind"], np.unique(NAMES))
    assert np.isfinite(model.loss_curve_).all()


def test_a_file_can_not_name_any_library_for_frames(tmp_path, save_anything):
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS).fit(X, Y)
    model._frame = "this"
    save_anything(model, tmp_path / "model")
    with pytest.raises(InvalidFileError, match="data frame of this kind"):
        load(tmp_path / "model")


def test_predictions_are_a_dict_where_there_are_no_frames(monkeypatch):
    model = MultiTaskMLP((6,), tasks=tasks(), **OPTIONS).fit(X, frame())

    def without_pandas(name, package=None):
        if name == "pandas":
            raise ImportError(name)
        return import_module(name, package)

    import_module = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without_pandas)
    assert model.predict(X).keys() == {"kind", "width"}


def test_two_fits_that_continue_are_one():
    options = {"tasks": tasks(), "warm_start": "continue", "random_state": 0, "tol": 0.0}
    whole = MultiTaskMLP((6, 5), max_iter=6, dropout=0.1, **options).fit(X, Y)
    halves = MultiTaskMLP((6, 5), max_iter=3, dropout=0.1, **options).fit(X, Y).fit(X, Y)
    same(halves.predict(X), whole.predict(X))


@pytest.mark.parametrize("batch_norm", ["before", "after", ["after", None]])
def test_batch_norms_are_folded_into_heads_too(batch_norm):
    these = {**tasks(), "width": Regression(layers=[Dense(3, "tanh")], at=0)}
    model = MultiTaskMLP((6, 5), tasks=these, batch_norm=batch_norm, **OPTIONS).fit(X, Y)
    model_without = fold_batch_norm(model)
    assert not model_without.network_.batch_norms()
    for method in ("predict_proba", "decision_function"):
        own, other = (getattr(m, method)(X)["kind"] for m in (model, model_without))
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-12)
    own, other = (m.predict(X)["width"] for m in (model, model_without))
    np.testing.assert_allclose(own, other, rtol=1e-9)


@pytest.mark.parametrize(
    ("layers", "at", "new"),
    [
        ([("below", Dense(6)), ("norm", BatchNorm()), Dense(5)], "below", 0),
        ([("below", Dense(6)), ("norm", BatchNorm()), Dense(5)], "norm", 0),
        ([BatchNorm(), ("above", Dense(5))], "above", -1),
        ([BatchNorm()], 0, -1),
    ],
)
def test_heads_hang_on_the_layers_that_folding_leaves(layers, at, new):
    these = {"kind": Classification(at=at), "width": Regression()}
    model = MultiTaskMLP(layers=layers, tasks=these, **OPTIONS).fit(X, Y)
    folded = fold_batch_norm(model)
    assert folded.tasks["kind"].at == new
    np.testing.assert_allclose(
        folded.predict_proba(X)["kind"], model.predict_proba(X)["kind"], rtol=1e-9, atol=1e-12
    )


def test_a_batch_norm_inside_a_head_is_not_folded():
    these = {"kind": Classification(layers=[Dense(3, "relu"), BatchNorm()])}
    model = MultiTaskMLP((6,), tasks=these, **OPTIONS).fit(X, Y)
    with pytest.raises(ValueError, match="inside the head of 'kind' can't be folded"):
        fold_batch_norm(model)


def test_a_warm_start_goes_on_with_other_weights_of_tasks():
    model = MultiTaskMLP((6, 5), tasks=tasks(), warm_start=True, **OPTIONS).fit(X, Y)
    model.set_params(tasks__kind__loss_weight=2.0).fit(X, Y)
    assert len(model.loss_curve_) == 10
    assert model._loss.weights == [2.0, 0.5, 1.0]
    before = model.predict(X)
    model.set_params(tasks__large__at=1)
    with pytest.raises(InvalidParameterError, match="would change the architecture"):
        model.fit(X, Y)
    same(model.predict(X), before)
    model.set_params(tasks={"kind": Classification()})
    with pytest.raises(InvalidParameterError, match="the network has heads for"):
        model.fit(X, Y)
    for name, other in {"kind": Regression(), "width": Classification()}.items():
        model.set_params(tasks={**tasks(), name: other})
        with pytest.raises(InvalidParameterError, match=f"'{name}' is .* has a head for"):
            model.fit(X, {**Y, "kind": KIND, "width": KIND} if name == "width" else Y)
    same(model.predict(X), before)
    model.set_params(tasks={"kind": Classification()})
    model.set_params(warm_start="transfer").fit(X, Y)
    assert model.predict(X).keys() == {"kind"}


def test_hidden_layers_are_passed_on_in_both_directions():
    single = MLPClassifier((6, 5), random_state=0, max_iter=5).fit(X, NAMES)
    still = {"learning_rate_init": 1e-300, **OPTIONS}
    model = MultiTaskMLP(tasks=tasks(), pretrained=FrozenEstimator(single), **still).fit(X, Y)
    np.testing.assert_array_equal(model.transform(X), single.transform(X))
    model.set_params(learning_rate_init=0.01).fit(X, Y)
    other = MLPRegressor(pretrained=FrozenEstimator(model), frozen_layers=2, **OPTIONS)
    other.fit(X, Y["width"])
    for layer in (0, 1):
        np.testing.assert_array_equal(other.transform(X, layer), model.transform(X, layer))
    frozen = MultiTaskMLP(
        tasks=tasks(), pretrained=FrozenEstimator(model), frozen_layers=2, **OPTIONS
    ).fit(X, Y)
    np.testing.assert_array_equal(frozen.transform(X), model.transform(X))


def test_threads_share_a_model():
    model = MultiTaskMLP((6, 5), tasks=tasks(), **OPTIONS).fit(X, Y)
    expected = model.predict_proba(X)["kind"]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.predict_proba(X)["kind"], range(50)):
            np.testing.assert_array_equal(found, expected)


def test_the_summary_and_the_picture():
    model = MultiTaskMLP((6, 5), tasks=tasks(), **OPTIONS).fit(X, Y)
    assert "Head of 'kind'" in str(model.summary())
    assert "Head of &#x27;kind&#x27;" in model._repr_html_()
    assert model.summary().total == sum(a.size for a in (*model.coefs_, *model.intercepts_))


CHANGES = [
    ("kind", {"loss": "focal"}),
    ("kind", {"loss_weight": 3.0}),
    ("kind", {"class_weight": {"setosa": 5.0}}),
    ("kind", {"label_smoothing": 0.2}),
    ("kind", {"at": 0}),
    ("kind", {"layers": [Dense(4, "tanh")]}),
    ("kind", {"initializer": "he_uniform"}),
    ("kind", {"bias_initializer": "ones"}),
    ("kind", {"kernel_regularizer": "l2"}),
    ("kind", {"bias_regularizer": "l1"}),
    ("kind", {"kernel_constraint": "unit_norm"}),
    ("kind", {"bias_constraint": "non_neg"}),
    ("width", {"loss": "huber"}),
    ("width", {"loss_weight": 3.0}),
    ("width", {"output_activation": "softplus"}),
    ("width", {"standardize_y": True}),
    ("width", {"columns": "other"}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=str)
def test_every_parameter_of_a_task_changes_the_model(name, change):
    y = {**Y, "other": IRIS[:, 2]}
    model = MultiTaskMLP((6, 5), tasks=tasks(), **OPTIONS)
    before = model.fit(X, y).coefs_[0].copy()
    model.set_params(**{f"tasks__{name}__{key}": value for key, value in change.items()})
    assert not np.array_equal(model.fit(X, y).coefs_[0], before)


def test_the_table_of_changes_has_every_parameter():
    changed = {(name, *change) for name, change in CHANGES}
    own = {("kind", n) for n in Classification().get_params()}
    own |= {("width", n) for n in ("loss", "loss_weight", "output_activation", "standardize_y")}
    assert own - changed == {("kind", "columns"), ("kind", "training_only")}


# Bad input ----------------------------------------------------------------------------------------

C, R = Classification, Regression
BAD = {
    "no tasks": (None, Y, "tasks=None is not allowed; give a dict"),
    "an empty dict": ({}, Y, "tasks={} is not allowed"),
    "a class": ({"kind": C}, Y, "'kind' is <class .* give an instance"),
    "a name": ({"kind": "classification"}, Y, "'kind' is 'classification'; give an instance"),
    "two of one name": ([("kind", C()), ("kind", R())], Y, "the name 'kind' is not allowed"),
    "underscores": ({"a__b": C()}, {"a__b": KIND}, "the name 'a__b' is not allowed"),
    "another number": ([C(), R()], Y, "tasks has 2 tasks without names, but y has 3 columns"),
    "nothing to predict": ({"kind": C(training_only=True)}, Y, "nothing to predict"),
    "nothing to learn": ({"kind": C(loss_weight=0)}, Y, "nothing to learn"),
    "a weight": ({"kind": C(loss_weight=-1)}, Y, "tasks__kind__loss_weight=-1 is not allowed"),
    "a switch": ({"kind": C(training_only=2)}, Y, "tasks__kind__training_only=2 is not allowed"),
    "smoothing": ({"kind": C(label_smoothing=1)}, Y, "tasks__kind__label_smoothing=1 is not"),
    "a layer": ({"kind": C(at=2)}, Y, "tasks__kind__at=2 .* 2 hidden layers, .* from -2 to 1"),
    "no names": ({"kind": C(at="a")}, Y, "tasks__kind__at='a' .* an integer from -2 to 1"),
    "half a layer": ({"kind": C(at=0.5)}, Y, "tasks__kind__at=0.5 is not allowed"),
    "no use": ({"kind": C(at=0)}, Y, "the layers above it have no use"),
    "layers": ({"kind": C(layers=[3])}, Y, "tasks__kind__layers.0.=3 is not a Layer"),
    "a loss": ({"kind": C("huber")}, Y, "Task 'kind': loss='huber' is unknown"),
    "a loss of numbers": ({"width": R("log_los")}, Y, "Task 'width': loss='log_los' is unknown"),
    "hinge": ({"kind": C("hinge", label_smoothing=0.1)}, Y, "Task 'kind': label_smoothing=0.1"),
    "limits": ({"width": R("poisson", standardize_y=True)}, Y, "Task 'width': standardize_y=True"),
    "weights": ({"kind": C(class_weight="balance")}, Y, "tasks__kind__class_weight='balance'"),
    "a label": ({"kind": C(class_weight={"rose": 2})}, Y, "class_weight has the label 'rose'"),
    "a column": ({"size": R()}, Y, "Task 'size' needs the column 'size' of y, which has"),
    "a set": ({"size": R(columns={"width"})}, Y, "tasks__size__columns={'width'} is not allowed"),
    "columns twice": ({"a": R(columns=["width"] * 2)}, Y, "tasks__a__columns=.* different names"),
    "an activation": ({"width": R(output_activation="a")}, Y, "tasks__width__output_activation='a"),
    "one of two": ({"width": R(output_activation=["relu", None])}, Y, "activation='None' is unk"),
    "below 0": ({"a": R("gamma")}, {"a": -X[:, 0]}, "Task 'a': Some value.* of y are out of"),
    "no column": ({"size": R(columns=[])}, Y, "tasks__size__columns=.. is not allowed"),
    "text": ({"kind": R()}, Y, "Task 'kind' is a Regression, but its y holds 'setosa'"),
    "numbers as text": ({"a": R()}, {"a": ["1.5"] * 150}, "but its y holds '1.5', which is no"),
    "numbers": ({"width": C()}, {"width": IRIS[:, 3] + 0.01}, "Task 'width': Unknown label type"),
    "both": ({"a": C()}, {"a": ["a", 1] * 75}, "Task 'a': y has text and numbers"),
    "infinity": ({"a": R()}, {"a": [np.inf] * 150}, "Task 'a': Input y contains infinity"),
    "complex numbers": ({"a": R()}, {"a": np.full(150, 1j)}, "its y holds '1j', which is no"),
    "dates": ({"a": R()}, {"a": np.full(150, "2020", "M8[Y]")}, "its y holds '2020', which is no"),
    "a sparse matrix": ({"a": R()}, sp.csr_matrix(X), "y is a sparse matrix"),
    "a sparse column": ({"a": R()}, {"a": sp.csr_matrix(X)}, "Task 'a': y is sparse"),
    "no label": ({"a": C()}, {"a": [None] * 150}, "Task 'a': y has no label"),
    "no number": ({"a": R()}, {"a": [np.nan] * 150}, "y of task 'a' has no number"),
    "too few": ({"kind": C()}, {"kind": KIND[1:]}, "Task 'kind': y has 149 rows, but X has 150"),
    "3-D": ({"a": R()}, {"a": np.zeros((150, 2, 2))}, "Task 'a': y has shape .150, 2, 2."),
    "quantiles": (
        {"a": R(QuantileLoss([0.1, 0.9]))},
        {"a": IRIS[:, :2]},
        "Task 'a': its loss predicts several quantiles of one column, but y has 2",
    ),
    "a vector": ({"kind": C()}, KIND, r"y is of shape \(150,\); give a data frame or a dict"),
    "no y": ({"kind": C()}, None, "requires y to be passed"),
    "columns of an array": ({"a": C(), "b": R()}, IRIS, "y has 4 columns for 2 tasks"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_say_what_is_wrong(case):
    given, y, message = BAD[case]
    model = MultiTaskMLP((4, 3), tasks=given, **OPTIONS)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "network_")


def test_one_hot_targets_of_a_task_give_a_warning():
    model = MultiTaskMLP((4,), tasks={"kind": Classification()}, **OPTIONS)
    with pytest.warns(UserWarning, match="y is an indicator .* row of the task 'kind', and is"):
        model.fit(X, {"kind": np.eye(3, dtype=int)[KIND]})


def test_a_loss_that_can_not_learn_mixtures():
    model = MultiTaskMLP((4,), tasks=tasks(loss="hinge"), augment="mixup", **OPTIONS)
    with pytest.raises(InvalidParameterError, match="which loss='hinge' of the task 'kind' can't"):
        model.fit(X, Y)
    numbers = {"width": Regression("huber")}
    MultiTaskMLP((4,), tasks=numbers, augment="mixup", **OPTIONS).fit(X, Y)


def test_tools_for_one_task_say_so():
    model = MultiTaskMLP((4,), tasks=tasks(), **OPTIONS).fit(X, Y)
    with pytest.raises(ValueError, match=r"y is a dict, .* give a data frame"):
        column_importance(model, X, Y)
    with pytest.raises(ValueError, match=r"several tasks; .*estimator.for_task\(name\)"):
        column_responses(model, X, [0], ResponseSettings(9, (0, 1), None, 9, "average"))


def test_errors_of_later_data():
    model = MultiTaskMLP((4,), tasks=tasks(), warm_start=True, **OPTIONS).fit(X, Y)
    rose = {**Y, "kind": np.where(KIND == 0, "rose", NAMES)}
    with pytest.raises(ValueError, match=r"In X_val.* the classes .'rose'., which are not among"):
        model.fit(X, Y, X_val=X, y_val=rose)
    with pytest.raises(ValueError, match="Task 'kind': warm_start can only be used"):
        model.fit(X, rose)
    with pytest.raises(ValueError, match="Task 'width': y has 3 rows, but X has 150"):
        model.score(X, {**Y, "width": Y["width"][:3]})
    with pytest.raises(InvalidParameterError, match=r"scoring='accuracy' .* \['kind', 'width'\]"):
        model.set_params(scoring="accuracy").fit(X, Y)
    balanced = MultiTaskMLP((4,), tasks=tasks(class_weight="balanced"), **OPTIONS)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        balanced.partial_fit(X, Y, classes={"kind": np.unique(NAMES), "large": [False, True]})
    assigned = MultiTaskMLP((4,), tasks=tasks())
    assigned.coefs_, assigned.intercepts_ = model.coefs_, model.intercepts_
    with pytest.raises(ValueError, match="say nothing about tasks"):
        assigned.predict(X)


def test_methods_for_classes_are_there_if_a_task_has_classes():
    model = MultiTaskMLP(tasks={"width": Regression(), "kind": Classification(training_only=True)})
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "decision_function")
    assert hasattr(model.set_params(tasks__kind__training_only=False), "predict_log_proba")
    hinge = model.set_params(tasks__kind__loss="hinge")
    assert not hasattr(hinge, "predict_proba")
    assert hasattr(hinge, "decision_function")
