"""What users do to the searches: data and estimators of all kinds, and wrong arguments."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import uniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, MultiTaskMLP
from skdeep.callbacks import ModelCheckpoint
from skdeep.layers import Columns, Dense
from skdeep.model_selection import (
    Conditional,
    HalvingEpochsSearchCV,
    PruningSearchCV,
    sample_candidates,
)
from skdeep.model_selection.rules import Rule
from skdeep.tasks import Classification, Regression

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 3))
NUMBERS = X[:, 0] ** 2 + X[:, 1]
Y = (NUMBERS > 0.5).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
OPTIONS = {"batch_size": 16, "random_state": 0, "max_iter": 4}
NETWORK = MLPClassifier((4,), **OPTIONS)
RATES = {"learning_rate_init": [0.003, 0.01, 0.03], "learning_rate": ["constant", "cosine"]}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def halving(estimator=NETWORK, space=RATES, **options):
    options = {"n_candidates": 3, "factor": 2, "cv": 2, "random_state": 0} | options
    return HalvingEpochsSearchCV(estimator, space, **options)


def pruning(estimator=NETWORK, space=RATES, **options):
    options = {"n_candidates": 4, "group_size": 2, "cv": 2, "random_state": 0} | options
    return PruningSearchCV(estimator, space, **options)


def prefixed(prefix, space=RATES):
    return {f"{prefix}__{name}": values for name, values in space.items()}


def assert_scores_of_uninterrupted_training(search, X, y):
    """The scores of the last rung are those of cross_validate, to the last bit."""
    results = search.cv_results_
    model = clone(search.estimator).set_params(**search.best_params_)
    expected = cross_validate(model, X, y, cv=search.cv, scoring=search.scoring)["test_score"]
    last = [results[f"split{i}_test_score"][search.best_index_] for i in range(search.n_splits_)]
    np.testing.assert_array_equal(last, expected)


# Data and estimators --------------------------------------------------------------------------


class Stateless(TransformerMixin, BaseEstimator):
    """A step without fitted attributes, which does one thing in training and another later."""

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None):
        return X + 0.1

    def transform(self, X):
        return X


class TenTimes(MLPClassifier):
    """A network with a fit of its own."""

    def fit(self, X, y, **options):
        return super().fit(10 * X, y, **options)

    def predict(self, X):
        return super().predict(10 * X)


TASKS = {"kind": Classification(), "size": Regression()}
BY_NAME = MLPClassifier(layers=[Columns(["a", "c"]), Dense(3)], **OPTIONS)
TARGETS = pd.DataFrame({"kind": np.array(["no", "yes"])[Y], "size": NUMBERS})
SCALED_FRAME = StandardScaler().set_output(transform="pandas")


@pytest.mark.parametrize(
    ("estimator", "prefix", "X", "y"),
    [
        (make_pipeline(StandardScaler(), Stateless(), NETWORK), "mlpclassifier", X, Y),
        (make_pipeline(make_pipeline(Stateless(), NETWORK)), "pipeline__mlpclassifier", X, Y),
        (make_pipeline(FunctionTransformer(), NETWORK), "mlpclassifier", FRAME, Y),
        (TenTimes((4,), **OPTIONS), "", X, Y),
        (make_pipeline(StandardScaler(), TenTimes((4,), **OPTIONS)), "tentimes", X, Y),
        (BY_NAME, "", FRAME, Y),
        (make_pipeline(SCALED_FRAME, BY_NAME), "mlpclassifier", FRAME, Y),
        (MultiTaskMLP((4,), tasks=TASKS, **OPTIONS), "", X, TARGETS),
        (MLPRegressor((4,), **OPTIONS), "", X, np.c_[NUMBERS, X[:, 2]]),
        (MLPAutoencoder((2,), **OPTIONS), "", sp.csr_matrix(X), None),
        (NETWORK, "", X.astype(np.float32), Y),
        (NETWORK, "", np.asfortranarray(X), Y),
        (NETWORK, "", X > 0, Y),
        (NETWORK, "", sp.coo_array(X), Y.tolist()),
        (NETWORK, "", X.astype(object), pd.Series(Y, index=np.arange(48)[::-1])),
        (clone(NETWORK).set_params(random_state=np.random.RandomState(3)), "", X, Y),
    ],
    ids=[
        "stateless step",
        "stateless step in a pipeline",
        "frame through a step",
        "fit of its own",
        "fit of its own in a pipeline",
        "columns by name",
        "columns by name in a pipeline",
        "several tasks",
        "several numbers",
        "autoencoder, sparse",
        "float32",
        "Fortran",
        "booleans",
        "sparse array, list",
        "objects, series",
        "RandomState",
    ],
)
def test_survivors_have_the_scores_of_uninterrupted_training(estimator, prefix, X, y):
    space = prefixed(prefix) if prefix else RATES
    search = halving(estimator, space, min_epochs=2, cv=3 if y is None else 2).fit(X, y)
    assert_scores_of_uninterrupted_training(search, X, y)


def test_functions_of_a_notebook_may_be_searched():
    space = prefixed("mlpclassifier") | {"functiontransformer__func": [lambda X: 2 * X, np.tanh]}
    search = pruning(make_pipeline(FunctionTransformer(), NETWORK), space).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_scores_of_uninterrupted_training(search, X, Y)


# Splits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "split",
    [
        (np.arange(-32, 0), np.arange(-48, -32)),
        (np.arange(48) >= 16, np.arange(48) < 16),
        (range(16, 48), range(16)),
        (np.arange(16, 48, dtype=np.uint8), np.arange(16, dtype=np.int8)),
    ],
    ids=["from the end", "masks", "ranges", "small integers"],
)
@pytest.mark.parametrize("container", [np.array, list])
def test_splits_of_all_kinds_have_the_same_rows(split, container):
    of_positions = halving(cv=[(np.arange(16, 48), np.arange(16))]).fit(container(X), Y)
    search = halving(cv=[split]).fit(container(X), Y)
    scores = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[scores], of_positions.cv_results_[scores])


@pytest.mark.parametrize(
    ("cv", "error", "message"),
    [
        ([], ValueError, "gives no splits; give one or more"),
        ([(np.arange(60), np.arange(5))], IndexError, "out of bounds"),
        ([(np.ones(5, bool), np.ones(5, bool))], IndexError, "boolean index did not match"),
        ([([], np.arange(48))], ValueError, "minimum of 1 is required by MLPClassifier"),
    ],
)
def test_splits_that_are_not_allowed(cv, error, message):
    with pytest.raises(error, match=message):
        halving(cv=cv).fit(X, Y)


def test_a_split_without_test_rows_has_no_score():
    search = halving(cv=[(np.arange(48), [])], n_candidates=1, refit=False)
    with pytest.warns(UserWarning, match="Scoring failed|non-finite"):
        search.fit(X, Y)
    assert np.isnan(search.best_score_)


# Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [None, "mlp", MLPClassifier])
def test_an_estimator_that_is_none(estimator):
    with pytest.raises(ValueError, match=r"estimator=.* is not allowed; give an estimator"):
        halving(estimator).fit(X, Y)


@pytest.mark.parametrize("estimator", [NETWORK, make_pipeline(NETWORK)], ids=["alone", "pipeline"])
def test_an_unknown_argument_of_fit_fails_at_once(estimator):
    is_alone = estimator is NETWORK
    name = "unknown" if is_alone else "mlpclassifier__unknown"
    search = halving(estimator, RATES if is_alone else prefixed("mlpclassifier"), refit=False)
    with pytest.raises(ValueError, match="unexpected keyword argument 'unknown'"):
        search.fit(X, Y, **{name: 1})


def scores_by_name(estimator, X, y):
    return {"a": estimator.score(X, y), "b": 1.0}


@pytest.mark.parametrize("refit", [False, True, len, "c"])
@pytest.mark.parametrize("scoring", [["accuracy", "f1"], scores_by_name])
def test_of_several_scores_refit_names_the_one_that_decides(scoring, refit):
    with pytest.raises(ValueError, match=r"refit=.* give the name of the one that decides"):
        halving(scoring=scoring, refit=refit).fit(X, Y)


def test_error_score_may_be_any_number():
    search = halving(space={"alpha": [0.1, -1]}, n_candidates=2, error_score=np.float32(0))
    with pytest.warns(FitFailedWarning):
        search.fit(X, Y)
    assert search.cv_results_["mean_test_score"].min() == 0


def epochs(estimator, X, y):
    return estimator.n_iter_


@pytest.mark.parametrize("search", [halving, pruning])
def test_a_scorer_sees_the_epochs_of_all_parts(search):
    search = search(scoring=epochs).fit(X, Y)
    results = search.cv_results_
    np.testing.assert_array_equal(results["mean_test_score"], results["n_resources"])
    assert_scores_of_uninterrupted_training(search, X, Y)


# Rules of the user's own ----------------------------------------------------------------------


class Own(Rule):
    def __init__(self, chosen=None, epochs=(2, 4)):
        self.chosen = chosen
        self.epochs = epochs

    def checks(self, max_epochs):
        return self.epochs

    def promising(self, group, scores):
        given = list(group)
        chosen = given if self.chosen is None else self.chosen(given)
        group.clear()  # the list is the rule's own
        return chosen


@pytest.mark.parametrize(
    ("chosen", "n_epochs"),
    [
        (np.array, 2 * 4 * 4),
        (set, 2 * 4 * 4),
        (iter, 2 * 4 * 4),
        (lambda group: group[::-1] * 2, 2 * 4 * 4),
        (lambda group: (), 2 * 4 * 2),
        (lambda group: np.array(group[:1]), 2 * (4 * 2 + 2 * 2)),
    ],
)
def test_a_rule_may_return_candidates_in_any_container(chosen, n_epochs):
    search = pruning(rule=Own(chosen)).fit(X, Y)
    assert search.n_epochs_ == n_epochs
    assert all(type(params) is dict for params in search.cv_results_["params"])


@pytest.mark.parametrize(
    "chosen",
    [
        lambda group: None,
        lambda group: 5,
        lambda group: "ab",
        lambda group: [99],
        lambda group: [-1],
        lambda group: [0.0],
        lambda group: [True] * len(group),
        lambda group: np.ones(len(group), dtype=bool),
    ],
    ids=["None", "number", "text", "unknown", "negative", "float", "mask", "NumPy mask"],
)
def test_a_rule_that_returns_no_candidates_of_the_group(chosen):
    with pytest.raises(ValueError, match=r"rule=Own.* lets .* train on; `promising` has to return"):
        pruning(rule=Own(chosen)).fit(X, Y)


@pytest.mark.parametrize("epochs", [(), (4, 2), (2, 2, 4), (2, 3), (2, 8), (0, 4), (2.0, 4), 4])
def test_the_checks_of_a_rule_that_are_not_allowed(epochs):
    with pytest.raises(ValueError, match=r"checks of rule=Own.* they have to be integers"):
        pruning(rule=Own(epochs=epochs)).fit(X, Y)


# Candidates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [halving, pruning])
def test_more_candidates_than_there_are(search):
    with pytest.warns(UserWarning, match="has 2 different candidates, fewer than n_candidates=9"):
        search = search(space={"alpha": [0.1, 0.2]}, n_candidates=9, refit=False).fit(X, Y)
    assert sorted(set(search.cv_results_["candidate"])) == [0, 1]


@pytest.mark.parametrize("others", [{}, {"m": Conditional([1, 2], on="seed", values=(3,))}])
def test_a_range_may_be_long(others):
    drawn = sample_candidates({"seed": range(10**8)} | others, 3, random_state=0)
    assert len({candidate["seed"] for candidate in drawn}) == 3


def test_values_of_a_range_are_told_apart():
    space = {"n": range(1000, 1003), "m": Conditional([1, 2], on="n", values=(1000,))}
    drawn = sample_candidates(space, 4, random_state=0)
    assert sorted(c["n"] for c in drawn) == [1000, 1000, 1001, 1002]


# Files ----------------------------------------------------------------------------------------


def test_checkpoints_of_a_search_with_other_rungs_change_nothing(tmp_path):
    """A candidate does not continue from an epoch that is later than the end of its part."""
    callbacks = [ModelCheckpoint(tmp_path / "{run}.skdeep", resume=True)]
    network = clone(NETWORK).set_params(callbacks=callbacks)
    halving(network, n_candidates=4, min_epochs=4, refit=False).fit(X, Y)
    search = pruning(network, refit=False).fit(X, Y)
    plain = pruning(refit=False).fit(X, Y)
    scores = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[scores], plain.cv_results_[scores])


@pytest.mark.parametrize(
    ("space", "options"),
    [
        ({"alpha": [-1, 0.1]}, {"error_score": "raise"}),
        ({"alpha": uniform(0, 1)}, {"scoring": lambda *given: 1 / 0, "error_score": "raise"}),
        ({"alpha": uniform(0, 1)}, {"scoring": lambda *given: "text"}),
    ],
)
@pytest.mark.parametrize("search", [halving, pruning])
def test_a_search_that_fails_leaves_no_files(search, space, options, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises((ValueError, ZeroDivisionError)):
        search(space=space, n_candidates=2, **options).fit(X, Y)
    assert not list(tmp_path.iterdir())
