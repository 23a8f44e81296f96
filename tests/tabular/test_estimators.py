"""TabularClassifier and TabularRegressor."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import skdeep
from skdeep import TabularClassifier, TabularRegressor
from skdeep.callbacks import Callback
from skdeep.layers import PiecewiseLinear
from skdeep.tabular.members import StopInValley

pd = pytest.importorskip("pandas")

QUICK = {"hidden_layer_sizes": (16,), "n_members": 2, "max_iter": 16, "random_state": 0}
REPEATED_ROWS = "repeated rows have other splits, orders and dropout"
WEIGHTS = {
    f"check_sample_weight_equivalence_on_{kind}_data": REPEATED_ROWS for kind in ("dense", "sparse")
}


def quick(cls, **parameters):
    return cls(**{**QUICK, **parameters})


CHECKS = parametrize_with_checks(
    # How float32 rounds depends on the number of rows, and the checks allow no such difference.
    [quick(cls, max_iter=30, dtype="float64") for cls in (TabularClassifier, TabularRegressor)],
    expected_failed_checks=lambda estimator: WEIGHTS,
)


@pytest.mark.filterwarnings("ignore::UserWarning")
# As a list: pytest objects to the generator that older versions of scikit-learn give it.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    """Return a frame with all kinds of columns, labels, and numbers."""
    rng = np.random.default_rng(0)
    n = 400
    city = rng.choice(["Paris", "Rome", "Oslo", "Bern"], n)
    code = rng.integers(0, 30, n)
    age = rng.normal(40, 12, n)
    effect = {"Paris": 2.0, "Rome": -2.0, "Oslo": 0.0, "Bern": 1.0}
    z = 0.1 * (age - 40) + np.vectorize(effect.get)(city) + (code % 3 - 1)
    X = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "city": pd.Categorical(city),
            "code": [f"c{c}" for c in code],
            "member": rng.random(n) < 0.5,
            "count": pd.array(rng.integers(0, 9, n), "Int64"),
            "one": 1.0,
        }
    )
    X.loc[3, "count"] = pd.NA
    X.loc[5, "code"] = None
    return X, np.where(z + rng.normal(0, 0.5, n) > 0, "yes", "no"), z + rng.normal(0, 0.3, n)


def test_learns_from_a_frame(table):
    X, labels, z = table
    parameters = {"hidden_layer_sizes": (32, 32), "max_iter": 40}
    classifier = quick(TabularClassifier, **parameters).fit(X[:300], labels[:300])
    assert classifier.score(X[300:], labels[300:]) > 0.85
    regressor = quick(TabularRegressor, **parameters).fit(X[:300], z[:300])
    assert regressor.score(X[300:], z[300:]) > 0.8


@pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])
class TestBoth:
    def fit(self, cls, table, n=200, **parameters):
        X, labels, z = table
        y = labels if cls is TabularClassifier else z
        return quick(cls, **parameters).fit(X[:n], y[:n]), X, y

    def output(self, model, X):
        return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)

    def test_is_deterministic(self, cls, table):
        first, X, _ = self.fit(cls, table)
        for n_jobs in (None, 1, 2):
            second, _, _ = self.fit(cls, table, n_jobs=n_jobs)
            np.testing.assert_array_equal(self.output(first, X), self.output(second, X))
        other, _, _ = self.fit(cls, table, random_state=1)
        assert not np.array_equal(self.output(first, X), self.output(other, X))

    def test_members_differ_and_are_averaged(self, cls, table):
        model, X, _ = self.fit(cls, table)
        first, second = (model._output_of(m, model.encoder_.transform(X)) for m in model.members_)
        assert not np.allclose(first, second)
        if cls is TabularRegressor:
            mean = model.weights_[0] * first + model.weights_[1] * second
            mean = np.clip(mean[:, 0], *model._range)
            np.testing.assert_allclose(model.predict(X), mean)

    def test_copies(self, cls, table, tmp_path):
        model, X, y = self.fit(cls, table)
        expected = self.output(model, X)
        skdeep.save(model, tmp_path / "model.skdeep")
        for twin in (
            pickle.loads(pickle.dumps(model)),
            skdeep.load(tmp_path / "model.skdeep"),
            FrozenEstimator(model),
        ):
            np.testing.assert_array_equal(self.output(twin, X), expected)
            assert twin.score(X, y) == model.score(X, y)
        again = clone(skdeep.load(tmp_path / "model.skdeep"))
        assert again.get_params() == model.get_params()

    def test_pickle_has_no_data(self, cls, table):
        X, labels, z = table
        y = labels if cls is TabularClassifier else z
        sizes = []
        for n in (100, 400):
            model = quick(cls, bagging=False, n_members=1).fit(X[:n], y[:n])
            sizes.append(len(pickle.dumps(model)))
        assert sizes[1] < sizes[0] + 3000  # the errors of some validation rows, for intervals

    def test_unknown_categories_and_order_of_columns(self, cls, table):
        model, X, _ = self.fit(cls, table)
        strange = X[:5].copy()
        strange["city"] = "Atlantis"
        assert np.isfinite(np.asarray(self.output(model, strange), float)).all()
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            model.predict(X[X.columns[::-1]])
        with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
            model.predict(X.drop(columns="age"))

    def test_validation_rows(self, cls, table):
        X, labels, z = table
        y = labels if cls is TabularClassifier else z
        model = quick(cls).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
        assert model.oof_ is None
        assert all("val_loss" in history for history in model.histories_)
        with pytest.raises(ValueError, match=r"In X_val, y_val or sample_weight_val(.|\n)*missing"):
            quick(cls).fit(X, y, X_val=X.drop(columns="age"), y_val=y)
        with pytest.raises(ValueError, match="X_val and y_val belong together"):
            quick(cls).fit(X, y, X_val=X)
        with pytest.raises(ValueError, match="bagging=True needs n_members >= 2 and no X_val"):
            quick(cls, bagging=True).fit(X, y, X_val=X, y_val=y)

    def test_bagging_has_out_of_fold_predictions(self, cls, table):
        model, X, _ = self.fit(cls, table, n_members=3)
        assert len(model.oof_) == 200
        # A row's prediction is that of the one member that did not train on it.
        A = model.encoder_.transform(X[:200])
        outputs = np.stack([model._output_of(member, A) for member in model.members_])
        oof = model.oof_ if cls is TabularRegressor else np.log(model.oof_)
        same = np.isclose(outputs.reshape(3, 200, -1), oof.reshape(200, -1)).all(axis=2)
        assert (same.sum(axis=0) >= 1).all()
        assert 50 < same[0].sum() < 90
        assert self.fit(cls, table, bagging=False)[0].oof_ is None

    def test_refit_sees_all_rows(self, cls, table):
        X, labels, z = table
        y = labels if cls is TabularClassifier else z
        model = quick(cls, refit="full").fit(X[:200], y[:200], X_val=X[200:300], y_val=y[200:300])
        plain = quick(cls).fit(X[:200], y[:200], X_val=X[200:300], y_val=y[200:300])
        assert [m.n_iter_ for m in model.members_] == plain.best_iters_
        # The rows of an epoch: 300 instead of 200.
        assert [m.t_ for m in model.members_] == [300 * n for n in plain.best_iters_]

    def test_few_rows(self, cls, table):
        model, X, _ = self.fit(cls, table, n=8)
        assert len(self.output(model, X)) == len(X)
        assert model.best_iters_ == [16, 16] or None not in model.best_iters_

    def test_searches_and_pipelines(self, cls, table):
        X, labels, z = table
        y = labels if cls is TabularClassifier else z
        search = GridSearchCV(quick(cls, max_iter=3), {"dropout": [0.0, 0.2]}, cv=2, n_jobs=2)
        assert set(search.fit(X, y).best_params_) == {"dropout"}
        pipe = make_pipeline(FunctionTransformer(lambda X: X), quick(cls, max_iter=3))
        assert np.isfinite(cross_val_score(pipe, X, y, cv=2)).all()

    def test_representations(self, cls, table):
        model, _, _ = self.fit(cls, table)
        assert "Embedding" in str(model.summary())
        assert "training curve" in model._repr_html_()
        assert cls.__name__ in quick(cls)._repr_html_()

    def test_callbacks_see_every_member(self, cls, table):
        class Count(Callback):
            n = 0

            def on_train_end(self, trainer):
                Count.n += 1

        self.fit(cls, table, callbacks=Count(), max_iter=3)
        assert Count.n == 2

    def test_verbose(self, cls, table, capsys):
        self.fit(cls, table, verbose=True, max_iter=3)
        assert capsys.readouterr().out.count("Member") == 2
        self.fit(cls, table, verbose="progress", n_members=1, max_iter=3)
        assert capsys.readouterr().out.count("Iteration") == 3
        self.fit(cls, table, max_iter=3)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"n_members": 0}, "n_members=0 is not allowed"),
            ({"max_iter": "many"}, "max_iter='many' is not allowed"),
            ({"refit": "best"}, "refit='best' is not allowed; choose from"),
            ({"bagging": "yes"}, "bagging='yes' is not allowed"),
            ({"dropout": 1.5}, "dropout=1.5 is not allowed"),
            ({"weight_decay": -1}, "weight_decay=-1 is not allowed"),
            ({"numeric_embedding": "plr"}, "numeric_embedding='plr' is unknown"),
            ({"numeric_embedding": 3}, "numeric_embedding=3 is not allowed"),
            ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
            ({"scoring": "good"}, "scoring='good' is unknown"),
            ({"dtype": "float16"}, "dtype='float16' is not allowed"),
            ({"callbacks": 3}, "callbacks=3 is not allowed"),
            ({"learning_rate_init": 0}, "learning_rate_init=0 is not allowed"),
        ],
    )
    def test_wrong_parameters(self, cls, table, parameters, message):
        with pytest.raises(ValueError, match=message):
            self.fit(cls, table, **parameters)

    def test_an_error_leaves_the_model_as_it_was(self, cls, table):
        model, X, y = self.fit(cls, table)
        expected = self.output(model, X)
        with pytest.raises(ValueError, match="inconsistent numbers"):
            model.fit(X, y[:-1])
        np.testing.assert_array_equal(self.output(model, X), expected)

    @pytest.mark.parametrize(
        "embedding", [None, "periodic", "piecewise_linear", PiecewiseLinear(2, 8)]
    )
    def test_embeddings(self, cls, table, embedding):
        model, X, y = self.fit(cls, table, numeric_embedding=embedding)
        assert np.isfinite(model.score(X, y))

    def test_sparse_rows_stay_sparse(self, cls):
        X = sp.random(60, 300, 0.05, random_state=0, format="csr")
        y = np.arange(60) % 2
        model = quick(cls, numeric_embedding="periodic").fit(X, y)
        assert model.members_[0].network_.accepts_sparse
        assert len(self.output(model, X)) == 60


def test_labels_and_probabilities(table):
    X, labels, _ = table
    model = quick(TabularClassifier).fit(X, labels)
    P = model.predict_proba(X)
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(P), model.predict_log_proba(X))
    np.testing.assert_array_equal(model.predict(X) == "yes", model.decision_function(X) > 0)


def test_one_class_multilabel_and_rare_classes():
    X = np.random.default_rng(0).normal(size=(40, 3))
    one = quick(TabularClassifier).fit(X, np.repeat("a", 40))
    assert set(one.predict(X)) == {"a"}
    np.testing.assert_array_equal(one.predict_proba(X), np.ones((40, 1)))
    Y = (X > 0).astype(int)
    many = quick(TabularClassifier, max_iter=40).fit(X, Y)
    assert many.predict(X).shape == many.predict_proba(X).shape == (40, 3)
    assert many.score(X, Y) > 0.5
    y = np.array([0] * 20 + [1] * 19 + [2])
    with pytest.warns(UserWarning, match="1 class has one member only"):
        rare = quick(TabularClassifier, bagging=False).fit(X, y)
    assert rare.predict_proba(X).shape == (40, 3)
    assert quick(TabularClassifier).fit(X, y).predict_proba(X).shape == (40, 3)


def test_class_weight_moves_the_decision():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] + rng.normal(size=400) > 1.5).astype(int)
    shares = [
        quick(TabularClassifier, class_weight=w).fit(X, y).predict(X).mean()
        for w in (None, "balanced")
    ]
    assert shares[1] > shares[0] + 0.05
    with pytest.raises(ValueError, match="class_weight='heavy' is not allowed"):
        quick(TabularClassifier, class_weight="heavy").fit(X, y)


def test_calibration_lowers_the_log_loss():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 4))
    y = (X[:, 0] + rng.normal(size=900) > 0).astype(int)
    losses, rows = [], {"X_val": X[300:600], "y_val": y[300:600]}
    for calibrate in (False, True):
        # without validation of the epoch by the loss, the members are far too sure
        model = quick(
            TabularClassifier,
            calibrate=calibrate,
            scoring="accuracy",
            max_iter=60,
            dropout=0.0,
            numeric_embedding="piecewise_linear",
        )
        model.fit(X[:300], y[:300], **rows)
        losses.append(log_loss(y[600:], model.predict_proba(X[600:])))
    assert model.temperature_ < 1
    assert losses[1] < losses[0]
    linear = LogisticRegression().fit(X[:300], y[:300])
    assert losses[1] < 1.1 * log_loss(y[600:], linear.predict_proba(X[600:]))


def test_temperature_is_the_best_one():
    X, y = load_iris(return_X_y=True)
    model = quick(TabularClassifier).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    best = model.temperature_
    losses = []
    for factor in (0.8, 1.0, 1.25):
        model.temperature_ = factor * best
        losses.append(log_loss(y[1::2], model.predict_proba(X[1::2])))
    assert losses[1] == min(losses)


def test_intervals_hold_what_they_promise():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, size=(3000, 2))
    y = 3 * X[:, 0] + (0.1 + X[:, 0]) * rng.normal(size=3000)  # errors grow with the prediction
    model = quick(TabularRegressor, max_iter=60, hidden_layer_sizes=(32, 32))
    model.fit(X[:500], y[:500], X_val=X[500:1500], y_val=y[500:1500])
    new, true = X[1500:], y[1500:]
    for coverage in (0.5, 0.8, 0.95):
        low, high = model.predict_interval(new, coverage).T
        assert abs(np.mean((low <= true) & (true <= high)) - coverage) < 0.04
    low, high = model.predict_interval(new).T
    prediction = model.predict(new)
    wide = prediction > np.median(prediction)
    assert (high - low)[wide].mean() > 1.5 * (high - low)[~wide].mean()
    levels = np.linspace(0.02, 0.98, 25)
    quantiles = model.predict_quantile(new, levels)
    assert quantiles.shape == (1500, 25)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_allclose((true[:, None] <= quantiles).mean(axis=0), levels, atol=0.04)
    np.testing.assert_array_equal(model.predict_quantile(new, 0.5), quantiles[:, 12])
    with pytest.raises(ValueError, match=r"coverage=1\.5 is not allowed"):
        model.predict_interval(new, 1.5)
    with pytest.raises(ValueError, match="quantile=0 is not allowed"):
        model.predict_quantile(new, 0)


def test_several_outputs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    Y = X[:, :2] * [1, 100] + rng.normal(size=(300, 2)) * [0.1, 10]
    model = quick(TabularRegressor, max_iter=40).fit(X, Y)
    assert model.predict(X).shape == model.oof_.shape == (300, 2)
    assert model.score(X, Y) > 0.8
    assert model.predict_interval(X).shape == (300, 2, 2)
    assert model.predict_quantile(X, [0.1, 0.5, 0.9]).shape == (300, 2, 3)
    with pytest.raises(ValueError, match="y has 1 outputs, and that of fit 2"):
        quick(TabularRegressor).fit(X, Y, X_val=X, y_val=Y[:, 0])


def test_intervals_need_validation_rows():
    X = np.arange(10.0).reshape(-1, 1)
    model = quick(TabularRegressor).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="Intervals need validation rows"):
        model.predict_interval(X)


def test_losses_and_limits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = rng.poisson(np.exp(X[:, 0]))
    model = quick(TabularRegressor, loss="poisson", learning_rate_init=0.02, max_iter=30).fit(X, y)
    assert (model.predict(X) > 0).all()
    y = np.where(X[:, 0] > 0, 1.0, -1.0)
    largest = [
        quick(TabularRegressor, limit_predictions=limits, max_iter=60).fit(X, y).predict(X).max()
        for limits in (False, True)
    ]
    assert largest[0] > largest[1] == 1.0


def test_stops_in_a_valley():
    class Trainer:
        def __init__(self, best, epoch):
            self.monitor = type("Monitor", (), {"best_epoch": best})
            self.epoch, self.stop_training = epoch, False

    stop = StopInValley(n_cycles=4, n_epochs=64)
    assert stop.ends == [6, 14, 31]
    for best, epoch, stops in [(5, 14, True), (7, 14, False), (5, 13, False), (14, 31, True)]:
        trainer = Trainer(best, epoch)
        stop.on_epoch_end(trainer)
        assert trainer.stop_training is stops


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.empty((0, 2)), [], "0 sample"),
        (np.array([[1.0], [np.inf]] * 20), [0, 1] * 20, "infinity"),
        (np.ones((40, 1)), [0, np.nan] * 20, "Input y contains NaN"),
        (np.ones((40, 2)), None, "requires y to be passed"),
        (np.ones((40, 2)), [0, 1], "inconsistent numbers"),
    ],
)
@pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])
def test_bad_data(cls, X, y, message):
    with pytest.raises(ValueError, match=message):
        quick(cls).fit(X, y)


@pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])
def test_many_rows_are_predicted_by_threads(cls):
    X = np.random.default_rng(0).normal(size=(6000, 3))
    y = (X[:, 0] > 0).astype(int)
    model = quick(cls, max_iter=2).fit(X[:200], y[:200])
    few = np.concatenate([model.predict(X[i : i + 1000]) for i in range(0, 6000, 1000)])
    np.testing.assert_allclose(model.predict(X), few, atol=1e-5)
    alone = model.set_params(n_jobs=1).predict(X)
    np.testing.assert_array_equal(alone, model.set_params(n_jobs=2).predict(X))
