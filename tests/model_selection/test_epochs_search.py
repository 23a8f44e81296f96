"""HalvingEpochsSearchCV and PruningSearchCV: who trains on, from where, and what is reported."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor, TabularClassifier
from skdeep.callbacks import Callback
from skdeep.model_selection import (
    Conditional,
    HalvingEpochsSearchCV,
    HalvingRule,
    MedianRule,
    PruningSearchCV,
)
from skdeep.model_selection.networks import final_step, only_network_in, prefix_of
from skdeep.model_selection.rules import rungs

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
NUMBERS = X[:, 0] ** 2 + 0.3 * RNG.standard_normal(90)
Y = np.array(["no", "yes"])[(NUMBERS > 0.7).astype(int)]
WEIGHT = RNG.random(90) + 0.1
NETWORK = MLPClassifier((6,), batch_size=20, random_state=0, max_iter=9)
SPACE = {
    "learning_rate_init": [0.0001, 0.003, 0.01, 0.03, 0.1],
    "activation": ["relu", "tanh"],
    "learning_rate": ["constant", "cosine"],
}


def halving(estimator=NETWORK, space=SPACE, **options):
    options = {"n_candidates": 6, "random_state": 0, "cv": 3} | options
    return HalvingEpochsSearchCV(estimator, space, **options)


def prefixed(space, prefix):
    return {f"{prefix}__{name}": values for name, values in space.items()}


def scores_of_last_rung(search):
    last = search.cv_results_["iter"] == search.cv_results_["iter"].max()
    names = [f"split{i}_test_score" for i in range(search.n_splits_)]
    return {
        int(c): [float(search.cv_results_[name][row]) for name in names]
        for row, c in zip(np.flatnonzero(last), search.cv_results_["candidate"][last], strict=True)
    }


def plain_scores(search, row, X=X, y=Y, **options):
    """The scores of scikit-learn's cross-validation with all epochs."""
    model = clone(search.estimator).set_params(**search.cv_results_["params"][row])
    model.set_params(**{f"{prefix_of(only_network_in(model)[0])}max_iter": search.max_epochs_})
    return cross_validate(model, X, y, cv=search.cv, **options)["test_score"]


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Rungs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ((1, 9, 3), [1, 3, 9]),
        ((2, 30, 3), [2, 6, 18, 30]),
        ((9, 9, 3), [9]),
        ((1, 10, 1.5), [1, 2, 3, 5, 8, 10]),
        ((4, 5, 100.0), [4, 5]),
        (("auto", 200, 3), [22, 67, 200]),
        (("auto", 100, 3), [11, 33, 100]),
        (("auto", 10, 2.5), [2, 4, 10]),
        (("auto", 5, 3), [1, 3, 5]),
    ],
)
def test_rungs(given, epochs):
    assert rungs(*given) == epochs


def test_rows_and_epochs_of_the_rungs():
    search = halving(n_candidates=8, factor=2, min_epochs=2, max_epochs=9).fit(X, Y)
    assert search.n_resources_ == [2, 4, 8, 9]
    assert search.n_candidates_ == [8, 4, 2, 1]
    assert search.n_epochs_ == 3 * (8 * 2 + 4 * 2 + 2 * 4 + 1 * 1)
    results = search.cv_results_
    assert results["iter"].tolist() == [0] * 8 + [1] * 4 + [2] * 2 + [3]
    assert results["n_resources"].tolist() == [2] * 8 + [4] * 4 + [8] * 2 + [9]
    for rung in range(3):
        before, after = (
            dict(zip(results["candidate"][rows], results["mean_test_score"][rows], strict=True))
            for rows in (results["iter"] == rung, results["iter"] == rung + 1)
        )
        dropped = [before[c] for c in before.keys() - after.keys()]
        assert max(dropped) <= min(before[c] for c in after)
    for row, c in enumerate(results["candidate"]):
        assert results["params"][row] == results["params"][int(c)]
    assert search.best_params_ == results["params"][search.best_index_]
    assert results["iter"][search.best_index_] == 3
    assert search.best_score_ == results["mean_test_score"][search.best_index_]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"n_iter_no_change": 2, "tol": 0.05},
        {"dropout": 0.2, "batch_norm": "before", "weight_averaging": "swa"},
    ],
    ids=str,
)
@pytest.mark.parametrize("container", [np.array, sp.csr_matrix, list])
def test_survivors_have_the_scores_of_uninterrupted_training(options, container):
    """Schedules by absolute epochs: nothing shows that training was done in parts."""
    search = halving(clone(NETWORK).set_params(**options)).fit(container(X), Y)
    for row in np.flatnonzero(search.cv_results_["iter"] == 2):
        scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
        np.testing.assert_array_equal(scores, plain_scores(search, row, container(X)))


class Rates(Callback):
    """Records the learning rate of each epoch in the history of the class."""

    seen = []

    def on_epoch_end(self, trainer):
        self.seen.append((trainer.epoch_of_run, trainer.learning_rate))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "one_cycle", "warmup_cosine"])
def test_a_rung_is_at_the_same_point_of_the_schedule_for_all_candidates(schedule):
    network = clone(NETWORK).set_params(learning_rate=schedule, callbacks=[Rates()])
    Rates.seen.clear()
    halving(network, {"alpha": loguniform(1e-5, 1e-2)}, refit=False).fit(X, Y)
    of_search = dict(Rates.seen)
    assert len(set(Rates.seen)) == 9  # one rate for each epoch, in all candidates and rungs
    Rates.seen.clear()
    clone(network).fit(X[:60], Y[:60])  # as many rows as a split has
    assert of_search == dict(Rates.seen)


def test_a_candidate_that_ends_by_itself_keeps_its_score_and_takes_no_more_epochs():
    network = clone(NETWORK).set_params(tol=10.0, n_iter_no_change=1, max_iter=27)
    search = halving(network, n_candidates=3, min_epochs=9, factor=1.2).fit(X, Y)
    assert search.n_epochs_ == 3 * 3 * 3  # training ends after its third epoch
    assert search.cv_results_["mean_fit_time"][-1] == 0
    assert search.cv_results_["mean_fit_time"][0] > 0


# Estimators -----------------------------------------------------------------------------------


class Counting(TransformerMixin, BaseEstimator):
    """A scaler that counts how often it was fitted."""

    n_fits = 0

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        type(self).n_fits += 1
        return self

    def transform(self, X):
        return X * self.factor

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize("nested", [False, True])
def test_steps_before_the_network_are_fitted_once_for_each_split(nested):
    steps = [("scale", StandardScaler()), ("count", Counting()), ("mlp", NETWORK)]
    pipeline, prefix = Pipeline(steps), "mlp"
    if nested:
        pipeline, prefix = Pipeline([("first", PCA(3)), ("rest", pipeline)]), "rest__mlp"
    Counting.n_fits = 0
    search = halving(pipeline, prefixed(SPACE, prefix), refit=False).fit(X, Y)
    assert Counting.n_fits == 3
    for row in np.flatnonzero(search.cv_results_["iter"] == 2):
        scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
        np.testing.assert_array_equal(scores, plain_scores(search, row))


def test_steps_that_are_searched_are_fitted_once_for_each_setting_and_split():
    pipeline = Pipeline([("count", Counting()), ("pca", PCA()), ("mlp", NETWORK)])
    space = {"count__factor": [1.0, 2.0], "pca": [None, PCA(2)], "mlp__alpha": [0, 1e-4, 1e-3]}
    Counting.n_fits = 0
    search = halving(pipeline, space, n_candidates=12, refit=False).fit(X, Y)
    assert Counting.n_fits == 4 * 3
    for row in np.flatnonzero(search.cv_results_["iter"] == 2):
        scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
        np.testing.assert_array_equal(scores, plain_scores(search, row))


def test_networks_may_be_searched_and_their_places_too():
    parts = [NETWORK, Pipeline([("pca", PCA(3)), ("deep", NETWORK)])]
    for choice in (parts, parts[::-1]):
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", choice[0])])
        search = halving(pipeline, {"mlp": choice}, n_candidates=2).fit(X, Y)
        row = search.best_index_
        scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
        np.testing.assert_array_equal(scores, plain_scores(search, row))
        assert final_step(search.best_estimator_)[1].n_iter_ == 9
    search = halving(pipeline, {"mlp": [NETWORK, LogisticRegression()]}, n_candidates=2)
    with (
        pytest.warns(FitFailedWarning, match="has 0 networks of skdeep"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(X, Y)


def test_a_frozen_network_is_no_part_of_the_search():
    coder = MLPAutoencoder((3,), max_iter=1, random_state=0).fit(X)
    pipeline = make_pipeline(FrozenEstimator(coder), NETWORK)
    search = halving(pipeline, prefixed(SPACE, "mlpclassifier")).fit(X, Y)
    assert search.max_epochs_ == search.best_estimator_[-1].n_iter_ == 9


@pytest.mark.parametrize(
    ("estimator", "space", "y"),
    [
        (
            TransformedTargetRegressor(
                make_pipeline(StandardScaler(), MLPRegressor((5,), random_state=0)),
                transformer=StandardScaler(),
            ),
            {"regressor__mlpregressor__alpha": [0, 1e-3, 0.1, 1]},
            NUMBERS,
        ),
        (
            MLPClassifier((5,), solver="lbfgs", random_state=0),
            {"alpha": [0, 1e-3, 0.1, 1]},
            Y,
        ),
    ],
)
def test_what_cannot_continue_begins_again_in_each_rung(estimator, space, y):
    search = halving(estimator, space, n_candidates=4, max_epochs=9, factor=2).fit(X, y)
    assert search.n_resources_ == [2, 4, 9]  # with one left, nothing is to be compared at 8
    assert search.n_epochs_ == 3 * (4 * 2 + 2 * 4 + 1 * 9)
    row = search.best_index_
    scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
    np.testing.assert_array_equal(scores, plain_scores(search, row, y=y))


@pytest.mark.slow
def test_a_tabular_estimator_begins_again_in_each_rung():
    model = TabularClassifier(n_members=1, hidden_layer_sizes=(8,), random_state=0)
    space = {"dropout": [0.0, 0.1, 0.3]}
    search = halving(model, space, n_candidates=3, max_epochs=6, min_epochs=2).fit(X, Y)
    assert search.n_resources_ == [2, 6]
    assert search.best_estimator_.max_iter == 6
    assert search.predict_proba(X).shape == (90, 2)


class ByFirstColumn(MLPClassifier):
    def predict(self, X):
        return np.where(X[:, 0] ** 2 > 0.7, "yes", "no")


def test_a_subclass_may_do_anything_with_the_rows():
    search = halving(ByFirstColumn((6,), max_iter=9, random_state=0), cv=KFold(3)).fit(X, Y)
    row = search.best_index_
    scores = [search.cv_results_[f"split{i}_test_score"][row] for i in range(3)]
    np.testing.assert_array_equal(scores, plain_scores(search, row))


def test_warnings_that_are_errors_fail_a_candidate():
    network = MLPClassifier((5,), solver="lbfgs", random_state=0)
    search = halving(network, {"alpha": [0, 1]}, n_candidates=2, max_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="ConvergenceWarning"):
            search.fit(X, Y)


def test_an_autoencoder_is_searched():
    space = {"hidden_layer_sizes": [(2,), (3,)], "learning_rate_init": [1e-3, 1e-2]}
    search = halving(MLPAutoencoder(random_state=0, max_iter=9), space, n_candidates=4).fit(X)
    assert search.transform(X).shape[0] == 90


def test_data_frames_keep_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    search = halving().fit(frame, pd.Series(Y))
    assert search.feature_names_in_.tolist() == list("abcd")
    assert search.best_score_ == halving().fit(X, Y).best_score_
    search.predict(frame)


# Scores, weights, groups, errors ----------------------------------------------------------------


def test_several_scores():
    search = halving(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(X, Y)
    assert search.multimetric_
    assert search.best_score_ == search.cv_results_["mean_test_neg_log_loss"][search.best_index_]
    row = search.best_index_
    np.testing.assert_allclose(
        search.cv_results_["mean_test_accuracy"][row], np.mean(plain_scores(search, row))
    )


@pytest.mark.parametrize("refit", [True, False, "recall", lambda results: 0])
@pytest.mark.parametrize("as_function", [False, True])
def test_of_several_scores_refit_names_the_one_that_decides(refit, as_function):
    scoring = several if as_function else {"a": "accuracy", "b": "neg_log_loss"}
    with pytest.raises(ValueError, match=r"refit=.* is not allowed .* one of \['a', 'b'\]"):
        halving(scoring=scoring, refit=refit).fit(X, Y)


def several(estimator, X, y):
    assert X.shape[1] == 4
    return {"a": estimator.score(X, y), "b": -np.mean(estimator.predict_proba(X).max(axis=1))}


def test_a_scorer_of_the_users_own_sees_the_rows():
    search = halving(scoring=several, refit="b").fit(X, Y)
    assert search.best_score_ == search.cv_results_["mean_test_b"][search.best_index_]
    pipeline = make_pipeline(StandardScaler(), NETWORK)

    def names(estimator, X, y):
        assert [name for name, _ in estimator.steps] == ["standardscaler", "mlpclassifier"]
        return estimator.score(X, y)

    halving(pipeline, prefixed(SPACE, "mlpclassifier"), scoring=names).fit(X, Y)


@pytest.mark.parametrize("as_pipeline", [False, True])
def test_sample_weights_reach_training_and_scores(as_pipeline):
    estimator, space, name = NETWORK, SPACE, "sample_weight"
    if as_pipeline:
        estimator = Pipeline([("scale", StandardScaler()), ("mlp", NETWORK)])
        space, name = prefixed(SPACE, "mlp"), "mlp__sample_weight"
    search = halving(estimator, space).fit(X, Y, **{name: WEIGHT})
    assert search.best_score_ != halving(estimator, space).fit(X, Y).best_score_
    best = clone(search.best_estimator_).fit(X, Y, **{name: WEIGHT})
    np.testing.assert_array_equal(best.predict_proba(X), search.predict_proba(X))


def test_groups_reach_the_splitter():
    groups = np.arange(90) % 9
    search = halving(cv=GroupKFold(3)).fit(X, Y, groups=groups)
    assert search.n_splits_ == 3


def test_train_scores():
    results = halving(return_train_score=True).fit(X, Y).cv_results_
    assert results["mean_train_score"][-1] > 0.5
    assert results["split2_train_score"].shape == results["iter"].shape


def test_a_candidate_that_fails_does_not_end_the_search():
    space = {"learning_rate_init": [1e-3, 1e-2], "batch_size": [10, -1]}
    with (
        pytest.warns(FitFailedWarning, match="6 fits failed out of a total of"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search = halving(space=space, n_candidates=4, factor=1.5).fit(X, Y)
    assert search.best_params_["batch_size"] == 10
    assert np.isnan(search.cv_results_["mean_test_score"]).sum() >= 2
    with pytest.warns(FitFailedWarning):
        search = halving(space=space, n_candidates=4, error_score=np.float32(-1)).fit(X, Y)
    assert search.best_params_["batch_size"] == 10
    assert (search.cv_results_["mean_test_score"] == -1).sum() >= 2
    with pytest.raises(ValueError, match="batch_size"):
        halving(space=space, n_candidates=4, error_score="raise").fit(X, Y)
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        halving(space={"batch_size": [-1, -2]}, n_candidates=2).fit(X, Y)


def test_conditions():
    space = {
        "solver": ["adam", "sgd"],
        "momentum": Conditional([0.8, 0.9, 0.95], on="solver", values=["sgd"]),
    }
    search = halving(space=space, n_candidates=4).fit(X, Y)
    for params in search.cv_results_["params"]:
        assert ("momentum" in params) == (params["solver"] == "sgd")
    assert search.cv_results_["param_momentum"].mask.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_candidates": 0}, "n_candidates=0 is not allowed"),
        ({"factor": 1}, "factor=1 is not allowed"),
        ({"min_epochs": 0}, "min_epochs=0 is not allowed"),
        ({"min_epochs": 99}, "min_epochs=99 is more than max_epochs=9"),
        ({"max_epochs": 2.5}, "max_epochs=2.5 is not allowed"),
        ({"estimator": LogisticRegression()}, "has 0 networks of skdeep"),
        (
            {"space": {"max_iter": [3, 4]}, "n_candidates": 2},
            "has 'max_iter', the number of epochs",
        ),
        ({"error_score": "nan"}, "error_score='nan' is not allowed"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        halving(**options).fit(X, Y)


# A good estimator of scikit-learn ----------------------------------------------------------------


def test_a_search_can_be_cloned_pickled_and_used_as_its_best_estimator():
    search = halving(scoring="neg_log_loss").fit(X, Y)
    assert clone(search).get_params(deep=False).keys() == search.get_params(deep=False).keys()
    twin = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(twin.predict(X), search.predict(X))
    assert search.classes_.tolist() == ["no", "yes"]
    assert search.score(X, Y) < 0
    assert search.best_estimator_.warm_start is False
    assert search.best_estimator_.n_iter_ == 9
    assert not hasattr(halving(refit=False).fit(X, Y), "best_estimator_")


def test_the_users_estimator_is_not_changed():
    network = clone(NETWORK)
    before = repr(network.get_params())
    halving(network).fit(X, Y)
    assert repr(network.get_params()) == before
    assert not hasattr(network, "network_")


def test_the_last_rung_may_be_chosen_by_a_function():
    search = halving(refit=lambda results: 0).fit(X, Y)
    assert search.best_index_ == 0


def results_of(search):
    return {k: v for k, v in search.cv_results_.items() if "time" not in k and k != "params"}


@pytest.mark.parametrize("kind", [HalvingEpochsSearchCV, PruningSearchCV])
def test_results_depend_on_random_state_alone(kind):
    first, second = (
        kind(NETWORK, SPACE, n_candidates=6, random_state=3).fit(X, Y) for _ in range(2)
    )
    np.testing.assert_equal(results_of(first), results_of(second))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


# Pruning ----------------------------------------------------------------------------------------


def pruning(**options):
    options = {"n_candidates": 9, "random_state": 0, "group_size": 3} | options
    return PruningSearchCV(NETWORK, SPACE, **options)


def test_the_median_rule_ends_what_is_below_the_median_of_earlier_groups():
    search = pruning(rule=MedianRule(every=2)).fit(X, Y)
    results = search.cv_results_
    scores = {}
    for row, c in enumerate(results["candidate"]):
        scores.setdefault(int(c), []).append(results["mean_test_score"][row])
    assert sorted(scores) == list(range(9))
    assert all(len(scores[c]) == 5 for c in (0, 1, 2))  # epochs 2, 4, 6, 8 and 9
    for c, own in scores.items():
        if c < 3:
            continue
        earlier = [s for other, s in scores.items() if other // 3 < c // 3]
        for i in range(len(own)):
            median = np.median([s[i] for s in earlier if len(s) > i])
            ended = len(own) == i + 1 and i < 4
            assert ended == (max(own[: i + 1]) < median) or i == 4
    assert search.n_epochs_ < 9 * 3 * 9
    assert results["n_resources"][search.best_index_] == 9


def test_the_halving_rule_compares_with_all_candidates_that_came_to_a_rung():
    search = pruning(rule=HalvingRule(min_epochs=1, factor=3), group_size=9).fit(X, Y)
    again = HalvingEpochsSearchCV(NETWORK, SPACE, n_candidates=9, min_epochs=1, random_state=0)
    np.testing.assert_equal(results_of(search), results_of(again.fit(X, Y)))


def test_rules_are_given_by_name_or_instance():
    assert pruning(rule="halving").fit(X, Y).n_epochs_ < 9 * 3 * 9
    with pytest.raises(ValueError, match="rule='medain' is unknown; did you mean 'median'"):
        pruning(rule="medain").fit(X, Y)
    with pytest.raises(ValueError, match="every"):
        pruning(rule=MedianRule(every=0)).fit(X, Y)


def test_without_max_iter_the_number_of_epochs_is_that_of_the_network():
    assert halving().fit(X, Y).max_epochs_ == 9
    with pytest.raises(ValueError, match="max_epochs='auto' is not allowed; give an integer"):
        halving(TabularClassifier(), {"dropout": [0.1]}, n_candidates=1).fit(X, Y)


def test_verbose_prints_the_rungs(capsys):
    halving(verbose=1).fit(X, Y)
    assert capsys.readouterr().out.splitlines() == [
        "[HalvingEpochsSearchCV] 6 candidates train up to epoch 1",
        "[HalvingEpochsSearchCV] 2 candidates train up to epoch 3",
        "[HalvingEpochsSearchCV] 1 candidates train up to epoch 9",
    ]


@pytest.mark.parametrize("container", [np.array, list])
def test_splits_may_be_masks(container):
    folds = np.arange(90) % 2
    masks = [(container(folds != i), container(folds == i)) for i in range(2)]
    rows = [(np.flatnonzero(train), np.flatnonzero(test)) for train, test in masks]
    found, expected = (results_of(halving(cv=cv).fit(X, Y)) for cv in (masks, rows))
    np.testing.assert_equal(found, expected)


@pytest.mark.parametrize("cv", [2, KFold(2), StratifiedKFold(2, shuffle=True, random_state=0)])
def test_cv_is_what_scikit_learn_takes(cv):
    assert halving(cv=cv).fit(X, Y).n_splits_ == 2
