"""Columns by name, mask and function of the data frame, and X that is several arrays."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPRegressor, load, save
from skdeep.layers import (
    BatchNorm,
    Chain,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    GaussianNoise,
    Layer,
    Residual,
)

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
NAMES = ["age", "income", "a", "b", "kind"]
FRAME = pd.DataFrame(RNG.normal(size=(40, 4)), columns=NAMES[:4]).assign(kind=np.arange(40) % 3)
Y = (FRAME.age + FRAME.b).to_numpy()
OPTIONS = {"max_iter": 2, "batch_size": 20, "random_state": 0}


def model(columns, **options):
    layers = [Concatenate([("some", [Columns(columns), Dense(3, "tanh")]), [Dense(2)]])]
    return MLPRegressor(layers=layers, **OPTIONS, **options)


def first_two_names(frame):
    return list(frame.columns[:2])


def is_not_a_number(frame):
    return frame.dtypes == np.int64


CHOICES = {
    "names": (["age", "b"], [0, 3]),
    "the same name twice": (["b", "b"], [3, 3]),
    "one name": ("income", [1]),
    "an index": (FRAME.columns[2:], [2, 3, 4]),
    "an array": (np.array(["a", "age"]), [2, 0]),
    "a tuple": (("kind",), [4]),
    "a slice": (slice("income", "b"), [1, 2, 3]),
    "a slice with a step": (slice("age", "b", 2), [0, 2]),
    "a slice from the start": (slice(None, "income"), [0, 1]),
    "a slice to the end": (slice("b", None), [3, 4]),
    "a mask": ([True, False, False, True, False], [0, 3]),
    "an array as a mask": (np.array(NAMES) == "a", [2]),
    "positions": ([0, -1], [0, 4]),
    "all types": (make_column_selector(), [0, 1, 2, 3, 4]),
    "a type": (make_column_selector(dtype_include=np.floating), [0, 1, 2, 3]),
    "types": (make_column_selector(dtype_include=["int64", object]), [4]),
    "a type that is left out": (make_column_selector(dtype_exclude=np.integer), [0, 1, 2, 3]),
    "a pattern": (make_column_selector("^a"), [0, 2]),
    "a function": (first_two_names, [0, 1]),
    "a mask from a function": (is_not_a_number, [4]),
}
each_choice = pytest.mark.parametrize(("columns", "positions"), CHOICES.values(), ids=CHOICES)


@each_choice
def test_they_are_those_at_the_positions(columns, positions):
    found = model(columns).fit(FRAME, Y)
    assert found.network_["some__0"].columns_.tolist() == positions
    expected = model(positions).fit(FRAME, Y)
    np.testing.assert_array_equal(found.predict(FRAME), expected.predict(FRAME))


@each_choice
def test_copies_and_later_fits(columns, positions, tmp_path):
    fitted = model(columns).fit(FRAME, Y)
    expected = fitted.predict(FRAME)
    copies = [pickle.loads(pickle.dumps(fitted))]
    if not (callable(columns) and hasattr(columns, "__code__")) and not hasattr(columns, "union"):
        save(fitted, tmp_path / "model")
        copies.append(load(tmp_path / "model"))
    for twin in copies:
        np.testing.assert_array_equal(twin.predict(FRAME), expected)
        np.testing.assert_array_equal(clone(twin).fit(FRAME, Y).predict(FRAME), expected)
        twin.partial_fit(FRAME, Y)
        twin.set_params(warm_start=True, dropout=0.0, max_iter=1).fit(FRAME, Y)
        assert twin.network_["some__0"].columns_.tolist() == positions


def test_predictions_need_names_as_in_scikit_learn():
    fitted = model(["age", "b"]).fit(FRAME, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = fitted.predict(FRAME.to_numpy())
    np.testing.assert_array_equal(found, fitted.predict(FRAME))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(FRAME[NAMES[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        model(["age"]).fit(FRAME, Y, X_val=FRAME[NAMES[::-1]], y_val=Y)
    assert model(make_column_selector()).partial_fit(FRAME[:20], Y[:20]).t_ == 20


@pytest.mark.parametrize(
    ("columns", "X", "message"),
    [
        (["agee"], FRAME, r"no column 'agee'; did you mean 'age'\? There are 'age', 'income'"),
        ("zzz", FRAME, r"no column 'zzz'\. There are"),
        (["age", 0], FRAME, "0 stands beside names"),
        (slice("age", 2), FRAME, "2 stands beside names"),
        (slice("b", "age"), FRAME, "chooses no columns"),
        ([], FRAME, "chooses no columns"),
        ([True, False], FRAME, "not allowed for an input of 5 columns"),
        ([5], FRAME, "not allowed for an input of 5 columns"),
        (None, FRAME, "not allowed"),
        ({"age": 1}, FRAME, "not allowed"),
        ({"age", "income"}, FRAME, "not allowed"),  # a set has no order
        (1.5, FRAME, "not allowed"),
        (
            ["age"],
            FRAME.to_numpy(),
            "the columns of X have none; fit the estimator to a data frame",
        ),
        (["age"], FRAME.set_axis(range(5), axis=1), "the columns of X have none"),
        (make_column_selector(), FRAME.to_numpy(), "and X is no data frame"),
        (make_column_selector("^z"), FRAME, "chooses no columns"),
    ],
)
def test_what_is_not_allowed(columns, X, message):
    with pytest.raises(ValueError, match=message):
        model(columns).fit(X, Y)


class Mixed(Layer):
    """Another order of the columns."""

    def forward(self, X):
        return np.ascontiguousarray(X[:, ::-1])

    backward = infer = forward


@pytest.mark.parametrize(
    "below",
    [
        [Dense(5)],
        [Mixed()],
        [Residual([Dense(5)])],
        [Concatenate([[], Dense(2)])],
    ],
    ids=str,
)
@pytest.mark.parametrize("columns", [["age"], make_column_selector()])
def test_above_other_layers_there_are_no_names(below, columns):
    with pytest.raises(ValueError, match=r"here the inputs are .*(outputs of other|no columns)"):
        MLPRegressor(layers=[*below, Columns(columns)], **OPTIONS).fit(FRAME, Y)
    MLPRegressor(layers=[*below, Columns([0])], **OPTIONS).fit(FRAME, Y)


def test_layers_that_change_columns_keep_their_names():
    below = [BatchNorm(), GaussianNoise(0.1), Columns(["b", "age", "kind"]), Dropout(0.1)]
    layers = [*below, Concatenate([Columns("age"), [Residual([Columns(slice("b", None))])]])]
    network = MLPRegressor(layers=layers, **OPTIONS).fit(FRAME, Y).network_
    chosen = [x.columns_.tolist() for x in network.walk() if isinstance(x, Columns)]
    assert chosen == [[3, 0, 4], [1], [0, 1, 2]]


def test_behind_a_column_transformer():
    columns = [("num", StandardScaler(), ["age", "b"]), ("rest", "passthrough", ["kind"])]
    prepare = ColumnTransformer(columns).set_output(transform="pandas")
    pipeline = make_pipeline(prepare, model(["num__age", "rest__kind"]))
    assert pipeline.fit(FRAME, Y)[-1].network_["some__0"].columns_.tolist() == [0, 2]
    assert np.isfinite(pipeline.predict(FRAME)).all()
    path = "mlpregressor__layers__0__branches__some__0__columns"
    with pytest.raises(ValueError, match="no column 'age'; did you mean 'num__age'"):
        pipeline.set_params(**{path: ["age"]}).fit(FRAME, Y)
    choices = [["num__age"], make_column_selector("num__"), slice("num__age", "num__b")]
    search = GridSearchCV(pipeline, {path: choices}, cv=2).fit(FRAME, Y)
    assert search.best_params_[path] in choices


def test_a_shared_layer_has_the_columns_of_its_first_place():
    some = Residual([Columns(slice("a", "b")), Dense(5)])
    with pytest.raises(ValueError, match="outputs of other layers"):
        MLPRegressor(layers=[Dense(5), some], **OPTIONS).fit(FRAME, Y)
    network = MLPRegressor(layers=[some, some], **OPTIONS).fit(FRAME, Y).network_
    assert network.count()[0] == 2 * 5 + 5 + 6
    assert "shared" in network.layers[1].describe()


def test_names_outside_an_estimator():
    with pytest.raises(ValueError, match="columns of X have none"):
        Chain([Columns("age")]).setup(3)


def test_the_users_layer_keeps_the_names():
    layer = Columns(["age"])
    fitted = MLPRegressor(layers=[layer, Dense(2)], **OPTIONS).fit(FRAME, Y)
    assert layer.columns == fitted.layers[0].columns == ["age"]


# Several arrays ---------------------------------------------------------------------------------

TWO = (np.ones((40, 2)), np.ones((40, 3)))


@pytest.mark.parametrize("X", [TWO, list(TWO), (FRAME[["age", "a"]], TWO[1])], ids=type)
def test_several_arrays(X):
    message = r"2 arrays.*np\.hstack\(X\).*Columns\(slice\(0, 2\)\) and Columns\(slice\(2, 5\)\)"
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**OPTIONS).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        MLPAutoencoder(**OPTIONS).fit(X)
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**OPTIONS).fit(FRAME.to_numpy(), Y).predict(X)
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**OPTIONS).fit(FRAME.to_numpy(), Y, X_val=X, y_val=Y)
    assert MLPRegressor(**OPTIONS).fit(np.hstack(X), Y).n_features_in_ == 5


def test_a_dict_of_arrays():
    with pytest.raises(ValueError, match=r"X is a dict.*pandas.DataFrame"):
        MLPRegressor(**OPTIONS).fit(dict(FRAME), Y)


def test_lists_of_rows_are_one_array():
    fitted = MLPRegressor(**OPTIONS).fit(FRAME.to_numpy().tolist(), Y)
    rows = list(FRAME.to_numpy())
    np.testing.assert_array_equal(fitted.predict(rows), fitted.predict(FRAME.to_numpy()))


def test_a_sparse_matrix_that_is_a_dict_is_one_array():
    X = scipy.sparse.dok_matrix(FRAME.to_numpy())
    fitted = MLPRegressor(**OPTIONS).fit(X, Y)
    np.testing.assert_allclose(fitted.predict(X), fitted.predict(FRAME.to_numpy()), rtol=1e-12)
