"""The importance of columns: scikit-learn's, for tables in every container."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from skdeep import TabularClassifier, TabularRegressor, inspection
from skdeep.tabular.importance import ColumnImportances, column_importance

N = 120
OPTIONS = {"hidden_layer_sizes": (8,), "n_members": 2, "max_iter": 15, "random_state": 0}


def frame():
    """Return a table with every kind of column, and targets that follow two of them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "integer": rng.integers(0, 5, N),
            "category": pd.Categorical(rng.choice(list("abc"), N)),
            "text": rng.choice(["u", "v"], N).astype(object),
            "nullable": pd.array(rng.integers(0, 9, N), dtype="Int64"),
            "truth": rng.random(N) < 0.5,
            "mixed": [None if i % 3 == 0 else i / 7 for i in range(N)],
        }
    )
    y = X["number"] + 3.0 * (X["category"] == "a")
    X.loc[::7, "number"] = np.nan
    X.loc[::11, "nullable"] = pd.NA
    X.loc[::5, "category"] = np.nan
    X.loc[::13, "text"] = None
    X["mixed"] = X["mixed"].astype(object)
    return X, y.to_numpy()


def as_polars(X):
    polars = pytest.importorskip("polars")
    known = X.astype(object).where(X.notna(), None)
    return polars.DataFrame({name: known[name].tolist() for name in X})


CONTAINERS = {
    "pandas": lambda X: X,
    "pandas with an index that repeats": lambda X: X.set_index(np.zeros(N, int)),
    "pandas with names that are numbers": lambda X: X.set_axis(range(7, 14), axis=1),
    "polars": as_polars,
    "array of objects": lambda X: X.to_numpy(dtype=object),
    "list": lambda X: X.to_numpy(dtype=object).tolist(),
}


@pytest.fixture(scope="module")
def expected():
    X, y = frame()
    return TabularRegressor(**OPTIONS).fit(X, y).explain(X, y, random_state=1)


def test_the_columns_that_matter_come_first(expected):
    assert [expected.names[j] for j in expected.order[:2]] == ["category", "number"]
    assert expected.names == list(frame()[0].columns)
    assert (np.abs(expected.importances_mean[1:]) < 0.1).sum() == 5
    assert expected.importances.shape == (7, 5)
    np.testing.assert_array_equal(expected.importances_mean, expected.importances.mean(axis=1))
    np.testing.assert_array_equal(expected.importances_std, expected.importances.std(axis=1))


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_the_same(kind, expected):
    X, y = frame()
    X = CONTAINERS[kind](X)
    model = TabularRegressor(**OPTIONS).fit(X, y)
    result = column_importance(model, X, y, random_state=1)
    np.testing.assert_allclose(result.importances, expected.importances, atol=1e-6)
    assert result.score == pytest.approx(expected.score)
    assert result.score == pytest.approx(model.score(X, y))
    names = list(X.columns) if hasattr(X, "columns") else [f"x{j}" for j in range(7)]
    assert result.names == names


@pytest.mark.parametrize("weight", [None, np.linspace(0, 1, 442)])
@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize(
    "scoring", [None, "neg_mean_absolute_error", ["r2", "neg_root_mean_squared_error"]]
)
def test_it_is_that_of_scikit_learn(as_frame, scoring, weight):
    X, y = load_diabetes(return_X_y=True, as_frame=as_frame)
    model = Ridge().fit(X, y)
    options = {"scoring": scoring, "n_repeats": 3, "random_state": 7, "sample_weight": weight}
    found = column_importance(model, X, y, **options)
    theirs = permutation_importance(model, X, y, **options)
    pairs = [(found[k], theirs[k]) for k in theirs] if isinstance(scoring, list) else None
    for ours, other in pairs or [(found, theirs)]:
        for name in ("importances", "importances_mean", "importances_std"):
            np.testing.assert_allclose(getattr(ours, name), other[name], rtol=1e-12, atol=1e-12)


def test_a_sparse_matrix_is_as_the_dense_one():
    X, y = load_iris(return_X_y=True)
    X[X < 1] = 0
    model = LogisticRegression().fit(X, y)
    dense = column_importance(model, X, y, random_state=0)
    for kind in (sp.csr_matrix, sp.csc_array, sp.coo_matrix):
        S = kind(X)
        found = column_importance(model, S, y, random_state=0)
        np.testing.assert_allclose(found.importances, dense.importances)
        np.testing.assert_array_equal(S.toarray(), X)


def test_columns_that_say_nothing_have_no_importance():
    X, y = load_diabetes(return_X_y=True)
    model = Ridge(alpha=1e-8).fit(X, y)
    model.coef_[3] = 0.0
    constant = X.copy()
    constant[:, 0] = 1.5
    for table, j in ((X, 3), (constant, 0)):
        result = column_importance(model, table, y, random_state=0)
        assert not result.importances[j].any()
        assert result.importances_mean[2] > 0.05


def test_a_classifier_that_names_its_classes():
    X, y = frame()
    labels = np.where(y > 1, "high", "low")
    model = TabularClassifier(**OPTIONS).fit(X, labels)
    result = model.explain(X, labels, scoring="neg_log_loss", random_state=0)
    assert {result.names[j] for j in result.order[:2]} == {"number", "category"}
    accuracy = model.explain(X, pd.Series(labels, index=np.zeros(N)), random_state=0)
    assert accuracy.score == pytest.approx(model.score(X, labels))


def test_several_outputs():
    X, y = frame()
    Y = np.column_stack([y, -2 * y])
    model = TabularRegressor(**{**OPTIONS, "max_iter": 60}).fit(X, Y)
    result = model.explain(X, Y, random_state=0)
    assert {result.names[j] for j in result.order[:2]} == {"number", "category"}


def test_a_pipeline_takes_the_columns_of_the_table():
    X, y = frame()
    X = X[["category", "integer"]].assign(day=pd.date_range("2020-01-01", periods=N))
    columns = make_column_transformer(
        (OneHotEncoder(), ["category"]),
        ("passthrough", ["integer"]),
        (FunctionTransformer(lambda D: D.apply(lambda d: d.dt.day)), ["day"]),
    )
    model = make_pipeline(columns, Ridge()).fit(X, y)
    result = column_importance(model, X, y, random_state=0)
    assert result.names == ["category", "integer", "day"]
    assert result.order[0] == 0


def test_no_targets():
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = KernelDensity().fit(X)
    assert column_importance(model, X, None, random_state=0).importances.shape == (3, 5)
    few = column_importance(model, X, None, max_samples=10, random_state=0)
    assert few.score == pytest.approx(model.score(X) / 3, rel=0.2)


def test_random_state_determines_it():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(X, y)

    def importances(seed, **options):
        return column_importance(model, X, y, random_state=seed, **options).importances

    np.testing.assert_array_equal(importances(0), importances(0))
    np.testing.assert_array_equal(importances(0), importances(np.random.RandomState(0)))
    np.testing.assert_array_equal(importances(0), importances(0, n_jobs=2))
    drawn = {"max_samples": 0.3}
    np.testing.assert_array_equal(importances(0, **drawn), importances(0, **drawn))
    assert (importances(0) != importances(1)).any()


@pytest.mark.parametrize("max_samples", [0.5, 60, 0.001, 1])
@pytest.mark.parametrize("kind", ["pandas", "polars", "list"])
@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")
def test_fewer_rows(kind, max_samples):
    X, y = frame()
    y = np.zeros(N)
    X = CONTAINERS[kind](X)
    model = TabularRegressor(**OPTIONS).fit(X, y)
    options = {"scoring": "neg_mean_absolute_error", "max_samples": max_samples}
    result = model.explain(X, y.tolist(), sample_weight=np.ones(N), random_state=0, **options)
    assert not result.importances.any()  # the rows of all scores are the same


def test_x_and_the_estimator_stay_as_they_are():
    X, y = frame()
    model = TabularRegressor(**OPTIONS).fit(X, y)
    kept, attributes = X.copy(), set(vars(model))
    before = model.predict(X)
    model.explain(X, y, random_state=0)
    pd.testing.assert_frame_equal(X, kept)
    np.testing.assert_array_equal(model.predict(X), before)
    assert set(vars(model)) == attributes
    A = load_diabetes().data.astype(np.float32)
    A.flags.writeable = False
    column_importance(Ridge().fit(A, A[:, 0]), A, A[:, 0], random_state=0)


def test_a_table_of_one_row():
    X, y = frame()
    model = TabularRegressor(**OPTIONS).fit(X, y)
    result = model.explain(X[:1], y[:1], scoring="neg_mean_absolute_error")
    assert not result.importances.any()


def test_it_prints_as_a_table():
    result = ColumnImportances(["a", "<b>", 3], np.array([[0.0, 0], [1, 3], [0.5, 0.5]]), 0.75)
    assert str(result).splitlines() == [
        "Column  Importance  Std",
        "-----------------------",
        "<b>              2    1",
        "3              0.5    0",
        "a                0    0",
        "-----------------------",
        "Score: 0.75",
    ]
    assert repr(result) == str(result)
    assert "<td>&lt;b&gt;</td>" in result._repr_html_()
    wide = ColumnImportances([f"c{i}" for i in range(100)], np.zeros((100, 2)), np.nan)
    assert len(str(wide).splitlines()) == 35
    assert "Columns that are not shown: 70" in str(wide)


def test_what_is_wrong_is_named():
    X, y = frame()
    model = TabularRegressor(**OPTIONS).fit(X, y)

    def refused(message, *args, error=ValueError, **options):
        with pytest.raises(error, match=message):
            column_importance(model, *args, **options)

    refused("n_repeats=0 is not allowed; give an integer >= 1", X, y, n_repeats=0)
    refused("max_samples=0 is not allowed; give an integer from 1 to 120", X, y, max_samples=0)
    refused("max_samples=121 is not allowed", X, y, max_samples=121)
    refused("max_samples=1.5 is not allowed", X, y, max_samples=1.5)
    refused("max_samples=None is not allowed", X, y, max_samples=None)
    refused("inconsistent numbers of samples", X, y[:-1])
    refused("sample_weight", X, y, sample_weight=np.ones(3))
    refused("at least one non-zero", X, y, sample_weight=np.zeros(N))
    refused("feature names", X.rename(columns={"number": "n"}), y)
    refused("0 sample", X[:0], y[:0])
    refused("0 feature", X[[]], y)
    refused("2 columns of the name 'a'", X[["number", "text"]].set_axis(["a", "a"], axis=1), y)
    refused("Expected 2D array, got 1D array", y, y)
    refused("scoring", X, y, scoring="no such score", error=ValueError)
    with pytest.raises(NotFittedError):
        TabularRegressor().explain(X, y)


def test_it_is_public():
    assert inspection.column_importance is column_importance
    assert inspection.ColumnImportances is ColumnImportances
