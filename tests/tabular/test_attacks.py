"""The estimators for tables with strange data, weights, parameters and interruptions."""

import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import TabularClassifier, TabularRegressor
from skdeep.callbacks import Callback, LambdaCallback, ModelCheckpoint
from skdeep.tabular.intervals import Residuals
from skdeep.tabular.members import splits
from skdeep.tabular.weights import for_folds

pd = pytest.importorskip("pandas")

QUICK = {"hidden_layer_sizes": (8,), "n_members": 2, "max_iter": 5, "random_state": 0}
BOTH = pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])


def quick(cls, **parameters):
    return cls(**{**QUICK, **parameters})


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": rng.choice(["x", "y", "z"], 60)})
    return X, X["a"].to_numpy() + 0.1 * rng.normal(size=60)


def target(cls, z):
    return np.where(z > 0, "p", "n") if cls is TabularClassifier else z


@pytest.mark.parametrize("options", [{}, {"bagging": False}, {"refit": "full"}])
@pytest.mark.parametrize(
    "make",
    [
        lambda z: np.full(60, 3.0),
        lambda z: np.full(60, 0.1),
        lambda z: np.zeros(60),
        lambda z: np.c_[z, np.full(60, 7.0)],
        lambda z: 1e-300 * z,
        lambda z: 1e30 * z,
    ],
    ids=["constant", "tenth", "zero", "constant output", "tiny", "large"],
)
def test_targets_of_any_size(table, make, options):
    X, z = table
    y = make(z)
    model = quick(TabularRegressor, **options).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.predict_interval(X)).all()
    assert model.weights_.sum() == pytest.approx(1)
    constant = np.ptp(y.reshape(60, -1), axis=0) == 0
    np.testing.assert_array_equal(
        model.predict(X).reshape(60, -1)[:, constant], y.reshape(60, -1)[:, constant]
    )


@pytest.mark.parametrize(
    ("cls", "make", "message"),
    [
        (TabularRegressor, lambda z: 1e40 * z, "y holds numbers up to .* divide y"),
        (TabularRegressor, lambda z: sp.csr_matrix(z[:, None]), r"give y\.toarray\(\)"),
        (TabularRegressor, lambda z: pd.Series([None, "1"] * 30, dtype="string"), "contains NA"),
        (TabularClassifier, lambda z: pd.Series([None, "a"] * 30, dtype="string"), "contains NA"),
        (TabularClassifier, lambda z: (z > 0).astype(object), r"type bool; .*astype\(int\)"),
        (TabularClassifier, lambda z: np.array([None, "a"] * 30, object), "type NoneType, str"),
    ],
)
def test_refused_targets(table, cls, make, message):
    X, z = table
    with pytest.raises(ValueError, match=message):
        quick(cls).fit(X, make(z))


def test_unknown_classes_of_y_val_are_named(table):
    X, z = table
    y = target(TabularClassifier, z)
    with pytest.raises(ValueError, match=r"y has classes \['q'\], which are not among"):
        quick(TabularClassifier).fit(X, y, X_val=X, y_val=np.where(z > 1, "q", y))


@BOTH
@pytest.mark.parametrize("n_weighted", [1, 6, 25])
@pytest.mark.parametrize("options", [{}, {"bagging": False}, {"n_members": 1}, {"n_members": 5}])
def test_rows_of_weight_zero_do_not_count(table, cls, n_weighted, options):
    X, z = table
    y = target(cls, z)
    model = quick(cls, **options).fit(X, y, (np.arange(60) < n_weighted).astype(float))
    assert len(model.predict(X)) == 60
    if n_weighted < 20:
        assert model.oof_ is None  # too few rows to hold some back
    elif model.oof_ is not None:
        assert np.isfinite(model.oof_).all()


@pytest.mark.parametrize("bags", [True, False])
def test_splits_share_the_rows_that_count(bags):
    weight = np.r_[np.zeros(40), np.ones(30)]
    y = np.arange(70) % 2
    found = splits(70, 3, bags=bags, fraction=0.2, seed=0, stratify=y, weight=weight)
    for own in found:
        assert set(own.training).isdisjoint(own.validation)
        assert weight[own.training].all()
        assert weight[own.validation].sum() == (10 if bags else 6)
    if bags:
        rows = np.concatenate([own.validation for own in found])
        np.testing.assert_array_equal(np.sort(rows), np.arange(70))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_of_weights_does_not_matter_to_intervals(factor):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=400)
    y, weight = p + p * rng.normal(size=400), rng.uniform(1, 2, 400)
    first, second = (Residuals(p, y, w).quantile(p, 0.9) for w in (weight, factor * weight))
    np.testing.assert_allclose(first, second)


@BOTH
@pytest.mark.parametrize("weight", [1e300, 1e-320])
def test_extreme_weights(table, cls, weight):
    X, z = table
    with pytest.raises(ValueError, match=r"The largest sample weight is .* multiply all"):
        quick(cls).fit(X, target(cls, z), np.full(60, weight))


@BOTH
def test_more_members_than_rows(table, cls):
    X, z = table
    y = target(cls, z)
    with pytest.raises(ValueError, match="n_members=25 is too large for 22 rows: with bagging"):
        quick(cls, n_members=25, max_iter=1).fit(X[:22], y[:22])
    model = quick(cls, n_members=25, max_iter=1, bagging=False).fit(X[:22], y[:22])
    assert len(model.members_) == 25


def test_each_row_a_class_of_its_own(table):
    X, _ = table
    with pytest.warns(UserWarning, match="unique classes"):
        model = quick(TabularClassifier, bagging=False).fit(X, np.arange(60))
    assert model.predict_proba(X).shape == (60, 60)


@BOTH
@pytest.mark.parametrize("name", ["calibrate", "limit_predictions", "verbose"])
def test_switches(table, cls, name, capsys):
    X, z = table
    if name not in cls().get_params():
        pytest.skip(f"no parameter {name}")
    with pytest.raises(ValueError, match=f"{name}='no' is not allowed; give True"):
        quick(cls, **{name: "no"}).fit(X, target(cls, z))
    quick(cls, **{name: np.False_}).fit(X, target(cls, z))
    quick(cls, verbose=0).fit(X, target(cls, z))
    assert capsys.readouterr().out == ""


@BOTH
@pytest.mark.parametrize("columns", [["b"], ["x", "y"]])
def test_members_of_one_kind_count_alike(table, cls, columns):
    X, z = table
    X = X[columns] if columns == ["b"] else sp.csr_matrix(X[["a", "a"]].to_numpy())
    np.testing.assert_array_equal(quick(cls).fit(X, target(cls, z)).weights_, 0.5)


class Interrupt(Callback):
    """Raises in an epoch of a member."""

    def __init__(self, member, epoch=2):
        self.member = member
        self.epoch = epoch
        self.begun = -1

    def on_train_begin(self, trainer):
        self.begun += 1

    def on_epoch_end(self, trainer):
        if self.begun == self.member and trainer.epoch == self.epoch:
            raise KeyboardInterrupt


@BOTH
class TestInterruption:
    @pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:The validation score was")
    @pytest.mark.parametrize("member", [0, 1])
    @pytest.mark.parametrize("options", [{}, {"refit": "full"}, {"bagging": False}])
    def test_ends_all_members(self, table, cls, member, options):
        X, z = table
        y = target(cls, z)
        model = quick(cls, **options).fit(X, y)
        expected = model.predict(X)
        interrupt = Interrupt(member)
        with pytest.raises(KeyboardInterrupt):
            model.set_params(callbacks=interrupt).fit(X, y)
        assert interrupt.begun == member  # no other member began
        np.testing.assert_array_equal(model.predict(X), expected)

    @pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:The validation score was")
    def test_a_sole_member_is_kept(self, table, cls):
        X, z = table
        model = quick(cls, n_members=1, callbacks=Interrupt(0)).fit(X, target(cls, z))
        assert model.n_iter_ == 2
        assert len(model.predict(X)) == 60

    @pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:The validation score was")
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_no_thread_trains_on(self, table, cls, error):
        X, z = table
        first, epochs = [], []

        def scoring(estimator, X, y):
            first.append(threading.get_ident())
            if first[0] == threading.get_ident():
                if len(first) > 20:
                    raise error
            else:
                epochs.append(estimator)
            return 0.0

        model = quick(cls, scoring=scoring, n_jobs=2, max_iter=10**6)
        with pytest.raises(error):
            model.fit(X, target(cls, z))
        time.sleep(0.3)
        seen = len(epochs)
        time.sleep(0.2)
        assert len(epochs) == seen


@BOTH
@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_resumes_from_checkpoints(table, cls, tmp_path):
    X, z = table
    y = target(cls, z)
    expected = quick(cls, max_iter=16).fit(X, y).predict(X)

    def model(*callbacks):
        checkpoint = ModelCheckpoint(tmp_path / "{run}.skdeep", resume=True)
        return quick(cls, max_iter=16, callbacks=[checkpoint, *callbacks])

    with pytest.raises(KeyboardInterrupt):
        model(Interrupt(1, epoch=9)).fit(X, y)
    epochs = []
    count = LambdaCallback(on_epoch_end=lambda trainer: epochs.append(trainer.epoch))
    np.testing.assert_array_equal(model(count).fit(X, y).predict(X), expected)
    assert 0 < len(epochs) < 10  # the first member was finished, and the second one in part


def test_one_row_does_not_decide_about_the_weights_of_members():
    rng = np.random.default_rng(0)
    errors = [rng.chisquare(1, 100) for _ in range(4)]
    kinds = np.array([0, 1, 0, 1])
    np.testing.assert_allclose(for_folds(errors, kinds), 0.25, atol=0.1)
    errors[0][0] = 1e4  # a row far from all others
    np.testing.assert_allclose(for_folds(errors, kinds), 0.25, atol=0.05)
    rows = [np.r_[0.0, np.ones(99)], *[np.ones(100)] * 3]  # but its weight is 0
    np.testing.assert_allclose(for_folds(errors, kinds, rows), 0.25, atol=0.1)
    better = [e if kind else 3 * e for e, kind in zip(errors[1:], kinds[1:], strict=True)]
    assert for_folds(better, kinds[1:])[1] < 0.01  # the worse kind
