"""The response to a column: scikit-learn's partial dependence, for tables of every kind."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from skdeep import MLPClassifier, TabularClassifier, TabularRegressor
from skdeep.inspection import responses
from skdeep.inspection.responses import ResponseSettings, column_responses

N = 90
OPTIONS = {"hidden_layer_sizes": (8,), "n_members": 2, "max_iter": 5, "random_state": 0}
DEFAULTS = {
    "grid_resolution": 10,
    "percentiles": (0.05, 0.95),
    "categorical_features": None,
    "max_categories": 20,
    "kind": "both",
}


def responded(estimator, X, columns, **options):
    settings = {k: options.pop(k, default) for k, default in DEFAULTS.items()}
    return column_responses(estimator, X, columns, ResponseSettings(**settings), **options)


def response(*args, **options):
    (found,), _ = responded(*args, **options)
    return found


def frame():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "integer": np.arange(N) % 5,
            "category": pd.Categorical(
                rng.choice(["low", "high"], N), ["low", "high", "unused"], ordered=True
            ),
            "text": rng.choice(["v", "u"], N).astype(object),
            "nullable": pd.array(rng.integers(0, 50, N), dtype="Int64"),
            "truth": rng.random(N) < 0.5,
            "objects": np.array([i / 7 for i in range(N)], object),
        }
    )
    X.loc[::7, "number"] = np.nan
    X.loc[::11, "nullable"] = pd.NA
    X.loc[::5, "category"] = np.nan
    X.loc[::13, "text"] = None
    X.loc[::9, "objects"] = None
    return X, np.nan_to_num(X["number"]) + 3.0 * (X["category"] == "low")


@cache
def fitted():
    X, y = frame()
    return TabularRegressor(**OPTIONS).fit(X, y)


# (the grid's ends, whether these are categories, whether values are missing)
EXPECTED = {
    "number": (None, False, True),
    "integer": ([0.0, 1, 2, 3, 4], False, False),
    "category": (["low", "high", None], True, True),
    "text": (["u", "v", None], True, True),
    "nullable": (None, False, True),
    "truth": ([False, True], True, False),
    "objects": (None, False, True),
}


def as_polars(X):
    polars = pytest.importorskip("polars")
    known = X.astype(object).where(X.notna(), None)
    return polars.DataFrame({name: known[name].tolist() for name in X})


CONTAINERS = {
    "pandas": lambda X: X,
    "polars": as_polars,
    "array of objects": lambda X: X.to_numpy(dtype=object),
    "list": lambda X: X.to_numpy(dtype=object).tolist(),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_kind_of_column_in_every_container(kind):
    X, y = frame()
    expected, _ = responded(fitted(), X, list(range(7)))
    given = CONTAINERS[kind](X)
    found, targets = responded(TabularRegressor(**OPTIONS).fit(given, y), given, list(range(7)))
    assert targets == ([None], "Output", "Prediction")
    for name, one, other in zip(EXPECTED, found, expected, strict=True):
        grid, is_category, has_missing = EXPECTED[name]
        assert one.name == (name if hasattr(given, "columns") else f"x{list(X).index(name)}")
        assert one.is_category == is_category
        assert one.has_missing == has_missing
        if name == "category" and kind != "pandas":
            continue  # its order is declared in pandas only
        if grid is not None:
            assert one.grid_values.tolist() == grid
        np.testing.assert_array_equal(one.grid_values, other.grid_values)
        np.testing.assert_allclose(one.average, other.average, atol=1e-5)
        np.testing.assert_allclose(one.individual.mean(axis=1), one.average, atol=1e-9)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_response_is_that_to_rows_with_the_value(name):
    X, model = frame()[0], fitted()
    found = response(model, X, name)
    for k, value in enumerate(found.grid_values):
        twin = X.copy()
        if value is None or value != value:
            twin[name] = X[name].where(np.zeros(N, bool))
        elif name == "category":
            twin[name] = pd.Categorical([value] * N, X[name].cat.categories, ordered=True)
        else:
            twin[name] = value
        np.testing.assert_allclose(
            found.individual[0, :, k], model.predict(twin), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 150)])
@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize(
    ("model", "target"),
    [
        (GaussianNB(), None),
        (GaussianNB(), 2),
        (MLPClassifier((4,), max_iter=5, random_state=0), None),
        (RandomForestClassifier(3, random_state=0), 1),
        (RidgeClassifier(), None),
        (Ridge(), None),
        (LinearRegression(), "several"),
        (DecisionTreeRegressor(max_depth=3), None),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_the_partial_dependence_of_scikit_learn(model, target, as_frame, weight):
    X, y = load_iris(return_X_y=True, as_frame=as_frame)
    y = np.column_stack([y, -y]) if target == "several" else y
    model.fit(X, y)
    target = None if target == "several" else target
    options = {"grid_resolution": 10, "percentiles": (0.1, 0.8)}
    for j in range(4):
        kind = "average" if target is None and not isinstance(model, Ridge) else "both"
        found = response(model, X, j, target=target, sample_weight=weight, kind=kind, **options)
        theirs = partial_dependence(
            model, X, [j], sample_weight=weight, kind=kind, method="brute", **options
        )
        chosen = slice(None) if target is None else [target]
        np.testing.assert_allclose(found.grid_values, theirs.grid_values[0], rtol=1e-12)
        np.testing.assert_allclose(found.average, theirs.average[chosen], rtol=1e-6)
        if kind == "both":
            np.testing.assert_allclose(found.individual, theirs.individual[chosen], rtol=1e-6)


def test_two_classes_are_shown_as_the_second():
    X, y = load_iris(return_X_y=True)
    X, y = X[:100], np.array(["no", "yes"])[y[:100]]
    theirs = partial_dependence(LogisticRegression().fit(X, y), X, [0], grid_resolution=10)
    for model in (LogisticRegression(), LinearSVC()):
        model.fit(X, y)
        found, targets = responded(model, X, 0)
        other, others = responded(model, X, 0, target="no")
        assert (targets.labels, others.labels) == (["yes"], ["no"])
        is_svc = isinstance(model, LinearSVC)
        assert targets.response == ("Decision function" if is_svc else "Probability")
        opposite = -found[0].average if is_svc else 1 - found[0].average
        np.testing.assert_allclose(other[0].average, opposite)
        if not is_svc:
            np.testing.assert_allclose(found[0].average, theirs.average)


def test_labels_of_several_classes():
    X, y = make_multilabel_classification(n_samples=60, n_features=4, n_classes=2, random_state=0)
    for model in (RandomForestClassifier(3), TabularClassifier(**OPTIONS)):
        model.fit(X, y)
        (found,), targets = responded(model, X, 1, kind="average")
        assert targets == ([0, 1], "Output", "Probability")
        assert found.average.shape == (2, 10)
        one = response(model, X, 1, target=1)
        np.testing.assert_allclose(one.average[0], found.average[1])
    codes = np.column_stack([y[:, 0], y.sum(axis=1)])
    with pytest.raises(ValueError, match="several outputs with several classes each"):
        responded(RandomForestClassifier(3).fit(X, codes), X, 1)


def test_other_estimators():
    X, y = load_iris(return_X_y=True)
    assert (
        responded(IsolationForest(n_estimators=5).fit(X), X, 0)[1].response == "Decision function"
    )
    assert responded(KMeans(2, n_init=1).fit(X), X, 0)[1].response == "Prediction"
    model = LogisticRegression(max_iter=1000).fit(X, y)
    assert responded(model, X, 0, response_method="predict")[1] == ([None], "Output", "Prediction")
    sparse = sp.csr_matrix(X)
    dense = response(model, X, 2, target=0)
    np.testing.assert_allclose(response(model, sparse, 2, target=0).average, dense.average)


def test_a_pipeline_with_columns_of_its_own():
    X, y = frame()
    X = X[["category", "integer"]].assign(day=pd.date_range("2020-01-01", periods=N))
    columns = make_column_transformer(
        (OneHotEncoder(), ["category"]), ("passthrough", ["integer"]), ("drop", ["day"])
    )
    model = make_pipeline(columns, Ridge()).fit(X, y)
    found, _ = responded(model, X, ["category", "integer"])
    assert found[0].average[0].argmax() == 0
    with pytest.raises(TypeError, match="column 'day' holds dates"):
        responded(model, X, "day")


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "float32", "int8", "float16", object])
def test_numbers_in_every_dtype(dtype):
    X = pd.DataFrame({"a": pd.Series(range(N)).astype(dtype), "b": np.arange(N) % 3})
    seen = []

    class Watched(Ridge):
        def predict(self, X):
            seen.append(X["a"].dtype)
            return super().predict(X)

    model = Watched().fit(X, np.arange(N))
    found = response(model, X, "a")
    assert found.grid_values[0] == pytest.approx(4, abs=0.2)
    is_float = "loat" in str(dtype) or dtype is object
    nullable = {"Int64": "Float64", "Float32": "Float64"}
    assert seen[-1] == nullable.get(dtype, X["a"].dtype if is_float else float)
    np.testing.assert_allclose(found.average[0], found.grid_values, rtol=0.02, atol=0.1)


def test_columns_and_percentiles_in_other_containers():
    X, model = frame()[0], fitted()
    expected, _ = responded(model, X, ["number", "text"])
    for columns in (
        X.columns[[0, 3]],
        np.array([0, 3]),
        ("number", "text"),
        np.array(["number", "text"]),
    ):
        found, _ = responded(model, X, columns, percentiles=np.array([0.05, 0.95]))
        assert [f.name for f in found] == ["number", "text"]
        np.testing.assert_array_equal(found[0].average, expected[0].average)
    intervals = pd.DataFrame({"a": pd.cut(np.arange(40.0), 4), "b": np.arange(40) % 2})
    model = TabularRegressor(**OPTIONS).fit(intervals, intervals["b"])
    assert response(model, intervals, "a").grid_values.tolist() == list(
        intervals["a"].cat.categories
    )
    two = pd.DataFrame(
        np.arange(40.0).reshape(20, 2), columns=pd.MultiIndex.from_product([["a"], [1, 2]])
    )
    model = TabularRegressor(**OPTIONS).fit(two, np.arange(20))
    assert response(model, two, [("a", 2)]).name == "('a', 2)"


def test_columns_of_numbers_that_stand_for_categories():
    X, y = frame()
    model = TabularRegressor(categorical_features=["integer"], **OPTIONS).fit(
        X[["number", "integer"]], y
    )
    assert response(model, X[["number", "integer"]], "integer").is_category
    linear = LinearRegression().fit(X[["integer"]], y)
    assert not response(linear, X[["integer"]], "integer").is_category
    for spec in (["integer"], [0], [True]):
        found = response(linear, X[["integer"]], "integer", categorical_features=spec)
        assert found.is_category
        np.testing.assert_array_equal(found.counts, [18] * 5)


def test_the_most_frequent_categories():
    words = np.repeat([f"c{i}" for i in range(40)], np.r_[np.ones(37, int), 9, 8, 7])
    X = pd.DataFrame({"a": words, "b": np.arange(len(words)) % 2})
    model = TabularRegressor(**OPTIONS).fit(X, X["b"])
    found = response(model, X, "a", max_categories=3)
    assert found.grid_values.tolist() == ["c37", "c38", "c39"]
    assert found.counts.tolist() == [9, 8, 7]
    assert found.n_categories == 40


CORNERS = {
    "constant": np.full(N, 3.0),
    "one number and missing": np.where(np.arange(N) % 2, 3.0, np.nan),
    "all missing": np.full(N, np.nan),
    "nearly all 0": np.r_[np.zeros(N - 15), np.arange(15)] * (np.arange(N) > N - 4),
    "tiny": np.arange(N) * 1e-300,
    "huge": 1e17 + np.arange(N) * 1e5,
}


@pytest.mark.parametrize("kind", CORNERS)
@pytest.mark.filterwarnings("ignore:All values are missing")
def test_columns_that_are_hard_to_cut(kind):
    X = pd.DataFrame({"a": CORNERS[kind], "b": np.arange(N, dtype=float)})
    model = TabularRegressor(**OPTIONS).fit(X, X["b"])
    found = response(model, X, "a", grid_resolution=4)
    assert np.isfinite(found.average).all()
    assert found.has_missing == ("missing" in kind)
    known = found.grid_values[np.isfinite(found.grid_values)]
    assert (np.diff(known) > 0).all()
    assert len(known) == {"constant": 1, "one number and missing": 1, "all missing": 0}.get(kind, 4)


def test_infinite_numbers_are_left_out():
    X = np.column_stack([np.r_[np.inf, np.arange(40.0)], np.arange(41.0)])
    model = HistGradientBoostingRegressor(max_iter=2).fit(X, X[:, 1])
    assert np.isfinite(response(model, X, 0).grid_values).all()
    X[:, 0] = np.inf
    with pytest.raises(ValueError, match="column 0 holds no finite number"):
        responded(model, X, 0)


def test_one_row():
    X, model = frame()[0], fitted()
    for found in responded(model, X[1:2], list(X))[0]:
        assert found.average.shape == (1, 1)
        np.testing.assert_allclose(found.average[0], model.predict(X[1:2]), rtol=1e-6)


def test_rows_that_are_drawn():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(X, y)

    def rows(subsample, seed=0, **options):
        return response(model, X, "age", subsample=subsample, random_state=seed, **options)

    assert rows(None).individual.shape[1] == rows(10_000).individual.shape[1] == 442
    assert rows(20).individual.shape[1] == len(rows(20).values) == 20
    assert rows(0.1).individual.shape[1] == 44
    assert rows(1e-9).individual.shape[1] == 1
    np.testing.assert_array_equal(rows(20).individual, rows(20).individual)
    assert (rows(20).average != rows(20, 1).average).any()
    weight = np.zeros(442)
    weight[7] = 2.0
    only = response(model, X, "age", sample_weight=weight, subsample=5)
    np.testing.assert_allclose(
        only.average[0, -1], response(model, X[7:8], "age").average[0, 0], atol=30
    )
    assert only.individual.shape[1] == 1


def test_blocks_of_rows_do_not_change_the_result(monkeypatch):
    X, model = frame()[0], fitted()
    expected, _ = responded(model, X, list(X))
    sizes = []
    predict = TabularRegressor.predict
    monkeypatch.setattr(
        TabularRegressor, "predict", lambda self, X: sizes.append(len(X)) or predict(self, X)
    )
    responded(model, X, ["integer", "truth"])
    assert sizes == [1, 5 * N, 2 * N]  # a look at the outputs, and one call for each column
    monkeypatch.setattr(responses, "BLOCK", 2 * N * X.shape[1])
    found, _ = responded(model, X, list(X))
    assert max(sizes[3:]) == 2 * N
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.individual, other.individual, rtol=1e-5, atol=1e-6)


def test_x_stays_as_it_is():
    X, model = frame()[0], fitted()
    kept = X.copy()
    responded(model, X, list(X))
    pd.testing.assert_frame_equal(X, kept)
    A, b = load_diabetes(return_X_y=True)
    A.flags.writeable = False
    responded(Ridge().fit(A, b), A, [0, 1])


REFUSED = {
    "columns=nope": ({"columns": "nope"}, "'nope', which is no column of X; choose from"),
    "columns=7": ({"columns": 7}, "holds 7, which is no position .* positions are 0 to 6"),
    "columns=-1": ({"columns": [-1]}, "holds -1, which is no position"),
    "columns=None": ({"columns": None}, "columns holds None; give names or positions"),
    "columns=True": ({"columns": [True]}, "columns holds True"),
    "columns=pair": ({"columns": [("number", "text")]}, "names or positions of single columns"),
    "columns=list": ({"columns": [["number"]]}, "names or positions of single columns"),
    "columns=array": ({"columns": np.zeros((1, 2))}, "names or positions of single columns"),
    "columns=[]": ({"columns": []}, "columns is empty; give names or positions"),
    "kind": ({"kind": "all"}, "kind='all' is not allowed; choose from"),
    "grid_resolution": ({"grid_resolution": 1}, "grid_resolution=1 is not allowed; give an int"),
    "max_categories": ({"max_categories": 0}, "max_categories=0 is not allowed"),
    "percentiles": ({"percentiles": (0.9, 0.1)}, "give two numbers in .0, 1., the lower first"),
    "percentiles=5": ({"percentiles": 5}, "percentiles=5 is not allowed"),
    "percentiles=%": ({"percentiles": (5, 95)}, "percentiles=.5, 95. is not allowed"),
    "subsample": ({"subsample": 0}, "subsample=0 is not allowed"),
    "target": ({"target": 1}, "target=1 is no output of the estimator; choose from .0"),
    "target=[]": ({"target": []}, "stands for 0 of the estimator's 1 outputs"),
    "response_method": ({"response_method": "score"}, "response_method='score' is not allowed"),
    "no method": ({"response_method": "predict_proba"}, "has no method predict_proba"),
    "sample_weight": ({"sample_weight": np.ones(3)}, "sample_weight"),
    "zeros": ({"sample_weight": np.zeros(N)}, "at least one non-zero"),
    "categorical": ({"categorical_features": ["x"]}, "'x', which is no column of X"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(case):
    X, model = frame()[0], fitted()
    options, message = REFUSED[case]
    options = {"columns": "number", **options}
    with pytest.raises(ValueError, match=message):
        responded(model, X, options.pop("columns"), **options)


def test_estimators_that_do_not_fit():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NotFittedError):
        responded(TabularClassifier(), X, 0)
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match=r"one class only; give target, one of \[0, 1, 2\]"):
        responded(model, X, 0)
    with pytest.raises(ValueError, match=r"target='a' is no class .* choose from \[0, 1, 2\]"):
        responded(model, X, 0, target="a")
    with pytest.raises(ValueError, match="the name 'a', but X has no column names"):
        responded(model, X, "a", target=0)
    words = GaussianNB().fit(X, np.array(["a", "b", "c"])[y])
    with pytest.raises(ValueError, match="predicts 'a', which is not a number"):
        responded(words, X, 0, response_method="predict")
    many = GaussianNB().fit(X, np.arange(150) % 12)
    with pytest.raises(ValueError, match="12 of the estimator's 12 classes; give one, or a list"):
        responded(many, X, 0)
    assert responded(many, X, 0, target=[3, 1], kind="average")[1].labels == [3, 1]
    with pytest.raises(ValueError, match="0 feature"):
        responded(model, X[:, :0], 0)
    with pytest.raises(ValueError, match="0 sample"):
        responded(model, X[:0], 0)
