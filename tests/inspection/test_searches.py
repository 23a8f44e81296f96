"""The results of searches of every kind are read alike."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.inspection import SearchResults, read_cv_results, read_search
from skdeep.inspection.searches import short_names
from skdeep.model_selection import HalvingEpochsSearchCV, MedianRule, PruningSearchCV

X, y = load_iris(return_X_y=True)


def grid(**options):
    search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2, 1.0]}, **options)
    return search.fit(X, y)


def halving(**options):
    space = {"sgdclassifier__alpha": loguniform(1e-6, 1), "sgdclassifier__loss": ["hinge"]}
    pipe = make_pipeline(StandardScaler(), SGDClassifier(tol=None, random_state=0))
    options = {"cv": 2, "random_state": 0, "n_candidates": 9, **options}
    return HalvingRandomSearchCV(pipe, space, **options).fit(X, y)


def test_a_grid():
    search = grid()
    found = read_search(search)
    assert found.params == search.cv_results_["params"]
    np.testing.assert_array_equal(found.scores, search.cv_results_["mean_test_score"])
    assert found.best == search.best_index_
    assert found.score_label == "Mean test score"
    assert found.resources is None
    assert not found.is_dropped().any()
    assert read_search(grid(scoring="f1_macro")).score_label == "Mean test f1_macro"


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"resource": "sgdclassifier__max_iter", "max_resources": 9}, "max_iter"),
        ({}, "Rows"),
    ],
)
def test_candidates_are_followed_through_the_rungs(options, label):
    search = halving(**options)
    found = read_search(search)
    assert found.resource_label == label
    assert len(found.params) == 9
    assert set(found.params[0]) == {"sgdclassifier__alpha", "sgdclassifier__loss"}
    for row, candidate in enumerate(found.candidates):
        given = search.cv_results_["params"][row]["sgdclassifier__alpha"]
        assert found.params[candidate]["sgdclassifier__alpha"] == given
    assert found.best == search.best_index_
    on_top = found.candidates[found.rungs == found.rungs.max()]
    np.testing.assert_array_equal(np.flatnonzero(~found.is_dropped()), np.sort(on_top))


def test_equal_candidates_are_told_apart():
    a = {"x": 1}
    results = {
        "params": [a, a, {"x": 2}, a, a], "iter": [0, 0, 0, 1, 1],
        "mean_test_score": [1, 2, 3, 4, 5], "n_resources": [1, 1, 1, 3, 3],
    }  # fmt: skip
    found = read_cv_results(results)
    assert found.candidates.tolist() == [0, 1, 2, 0, 1]
    assert found.params == [a, a, {"x": 2}]


def test_the_number_of_a_candidate_counts():
    results = {
        "params": [{"x": 1}, {"x": 2}, {"x": 1}], "iter": [0, 0, 1], "candidate": [7, 3, 7],
        "n_resources": [1, 1, 3], "mean_test_score": [0.5, 0.4, 0.3],
    }  # fmt: skip
    for given in (results, pd.DataFrame(results)):
        found = read_cv_results(given)
        assert found.params[found.candidates[0]] == {"x": 1}
        assert found.candidates[0] == found.candidates[2] != found.candidates[1]
        assert found.resource_label == "Epochs"
        assert found.best == 2  # on the highest rung, not the highest score
    results["mean_test_score"][2] = None
    assert read_cv_results(results).best == 0


@pytest.mark.parametrize(("refit", "best"), [("accuracy", 0), (lambda _: 1, 1), (False, 0)])
def test_the_best_of_several_metrics(refit, best):
    search = grid(scoring=["accuracy", "f1_macro"], refit=refit)
    search.cv_results_["mean_test_accuracy"] = np.array([0.9, 0.8, 0.7])
    search.cv_results_["mean_test_f1_macro"] = np.array([0.1, 0.2, 0.9])
    if refit == "accuracy":
        search.best_index_ = 0
        assert read_search(search).best == 0
        assert read_search(search, "f1_macro").best == 2
        assert read_search(search).score_label == "Mean test accuracy"
    else:
        with pytest.raises(ValueError, match=r"has 2 scores; give metric, one of \['accuracy'"):
            read_search(search)
    assert read_search(search, "accuracy").best == best
    with pytest.raises(ValueError, match="metric='acuracy' is unknown; did you mean 'accuracy'"):
        read_search(search, "acuracy")


def test_scores_that_are_no_scores():
    n = 6
    results = {"params": [{"a": i} for i in range(n)]}
    results["mean_test_score"] = [np.nan, np.inf, -np.inf, 1e305, None, 0.5]
    found = read_cv_results(results)
    assert found.has_score.tolist() == [False] * 5 + [True]
    assert found.best == 5
    results["mean_test_score"] = [np.nan] * n
    assert read_cv_results(results).best is None
    assert np.isnan(read_cv_results(results).lowest_score())


@pytest.mark.parametrize(
    ("scores", "low"),
    [
        ([0.9, 0.95, 0.8, 0.1], 0.1),
        ([0.9, 0.8, 0.7, -1e9], 0.7),
        ([0.9, 0.8, -1e9, -1e8, -1e7, -1e6], 0.8),
        ([-0.1, -0.2, -0.9, -2.0], -2.0),
        ([3.0, 3.0, 3.0, 2.0], 2.0),
        ([1e299, -1e299, 1.0], -1e299),
        ([5.0], 5.0),
    ],
)
def test_a_score_that_is_far_off(scores, low):
    results = {"params": [{}] * len(scores), "mean_test_score": scores}
    assert read_cv_results(results).lowest_score() == low


def test_what_is_no_search():
    with pytest.raises(NotFittedError, match="GridSearchCV has no cv_results_; give a search that"):
        read_search(GridSearchCV(LogisticRegression(), {"C": [1]}))
    with pytest.raises(NotFittedError, match="MLPClassifier has no cv_results_"):
        read_search(MLPClassifier())
    with pytest.raises(ValueError, match="no 'params', but"):
        read_cv_results({"mean_test_score": [1.0]})
    with pytest.raises(ValueError, match="The search has no candidates"):
        read_cv_results({"params": [], "mean_test_score": []})
    with pytest.raises(ValueError, match="has 0 scores"):
        read_cv_results({"params": [{}]})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_conditional_hyperparameters_and_failures():
    space = [{"loss": ["hinge", "nonsense"], "alpha": [0.1]}, {"penalty": ["l1"]}]
    search = GridSearchCV(SGDClassifier(), space).fit(X, y)
    found = read_search(search)
    assert found.names == ["alpha", "loss", "penalty"]
    assert found.coordinates["alpha"].is_set.tolist() == [True, True, False]
    assert found.has_score.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a", "b"], ["a", "b"]),
        (["mlp__alpha", "pca__n"], ["alpha", "n"]),
        (["mlp__alpha", "ridge__alpha", "x"], ["mlp__alpha", "ridge__alpha", "x"]),
        (["p__mlp__alpha", "q__mlp__alpha"], ["p__mlp__alpha", "q__mlp__alpha"]),
        (["alpha", "mlp__alpha"], ["alpha", "mlp__alpha"]),
        (["p__solver__beta", "p__solver"], ["beta", "solver"]),
    ],
)
def test_names_are_shortened_if_they_stay_different(names, short):
    assert list(short_names(names).values()) == short


class TestOptuna:
    @pytest.fixture
    def optuna(self):
        optuna = pytest.importorskip("optuna")
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        yield optuna
        optuna.logging.set_verbosity(before)

    def test_a_study(self, optuna):
        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            if trial.suggest_categorical("kind", ["a", "b"]) == "b":
                trial.suggest_float("y", 0, 1)
            trial.report(x + 1, 0)
            trial.report(x + 2, 1)
            if trial.number == 1:
                raise optuna.TrialPruned
            if trial.number == 2:
                raise ZeroDivisionError
            return x

        study = optuna.create_study(direction="minimize")
        with pytest.raises(NotFittedError, match="no trial that has ended"):
            read_search(study)
        study.optimize(objective, 8, catch=ZeroDivisionError)
        found = read_search(study)
        values = [-t.params["x"] for t in study.trials]
        values[1] -= 2
        np.testing.assert_allclose(
            found.scores, [np.nan if i == 2 else v for i, v in enumerate(values)]
        )
        assert found.best == study.best_trial.number
        assert found.is_dropped().tolist() == [i == 1 for i in range(8)]
        assert found.score_label == "Negative objective value"
        with pytest.raises(ValueError, match="several objectives"):
            read_search(optuna.create_study(directions=["minimize", "minimize"]))

    @pytest.mark.filterwarnings("ignore::FutureWarning")  # by Optuna, about itself
    @pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental")
    def test_the_search(self, optuna):
        integration = pytest.importorskip("optuna_integration")
        space = {"alpha": optuna.distributions.FloatDistribution(1e-6, 1, log=True)}
        search = integration.OptunaSearchCV(SGDClassifier(), space, n_trials=4, random_state=0)
        with pytest.raises(NotFittedError, match="OptunaSearchCV has no cv_results_"):
            read_search(search)
        found = read_search(search.fit(X, y))
        assert found.scores[found.best] == search.best_score_
        assert found.params[found.best] == search.best_params_
        assert found.score_label == "Mean test score"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_searches_of_skdeep():
    space = {"learning_rate_init": loguniform(1e-4, 1e-1)}
    network = MLPClassifier((8,), random_state=0)
    options = {"n_candidates": 4, "max_epochs": 4, "cv": 2, "random_state": 0}
    for search in (
        HalvingEpochsSearchCV(network, space, min_epochs=1, factor=2, **options),
        PruningSearchCV(network, space, rule=MedianRule(every=2), group_size=2, **options),
    ):
        found = read_search(search.fit(X, y))
        assert found.resource_label == "Epochs"
        assert found.best == search.best_index_
        assert len(found.params) == 4
        assert found.rungs.max() > 0
        given = search.cv_results_["params"]
        assert all(found.params[c] == p for c, p in zip(found.candidates, given, strict=True))


def test_results_can_be_made_by_hand():
    found = SearchResults(
        params=[{"a": 1}, {"a": 2}], candidates=np.arange(2), scores=np.array([0.5, 0.6]),
        rungs=np.zeros(2, dtype=int),
    )  # fmt: skip
    assert found.names == ["a"]
    assert found.coordinates["a"].places.tolist() == [0, 1]


def test_a_random_search():
    search = RandomizedSearchCV(SGDClassifier(), {"alpha": loguniform(1e-6, 1)}, n_iter=5)
    assert read_search(search.fit(X, y)).coordinates["alpha"].scale in ("log", "linear")
