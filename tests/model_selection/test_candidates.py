"""Candidates drawn from a space: conditions, grids, and what ParameterSampler promises."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import ParameterSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep._component import InvalidParameterError
from skdeep.model_selection import Choice, Conditional, LayerSizes, LogIntUniform, sample_candidates

SOLVERS = ["sgd", "adam"]


def on(name, *values, of=(1, 2)):
    return Conditional(list(of), on=name, values=values)


@pytest.mark.parametrize(
    "space",
    [
        {"a": [1, 2], "b": [3, 4, 5]},
        {"a": stats.uniform(), "b": [3, 4, 5], "c": LayerSizes()},
        [{"a": [1, 2]}, {"b": LogIntUniform(1, 9)}],
    ],
)
def test_without_conditions_they_are_those_of_parameter_sampler(space):
    expected = list(ParameterSampler(space, 4, random_state=0))
    assert sample_candidates(space, 4, random_state=0) == expected
    assert sample_candidates(space, 4, random_state=np.random.RandomState(0)) == expected


def test_a_parameter_is_left_out_if_its_condition_does_not_hold():
    space = {"solver": SOLVERS, "momentum": Conditional(stats.uniform()), "alpha": stats.uniform()}
    drawn = sample_candidates(space, 40, random_state=0)
    assert {c["solver"] for c in drawn} == set(SOLVERS)
    for candidate in drawn:
        assert ("momentum" in candidate) == (candidate["solver"] == "sgd")
        assert "alpha" in candidate


def test_a_condition_changes_no_other_number():
    space = {"solver": SOLVERS, "momentum": stats.uniform(), "alpha": stats.uniform()}
    plain = sample_candidates(space, 9, random_state=0)
    conditional = {**space, "momentum": Conditional(stats.uniform())}
    for a, b in zip(plain, sample_candidates(conditional, 9, random_state=0), strict=True):
        assert {**a, **b} == a


def test_the_order_of_the_dict_does_not_matter():
    items = {"solver": SOLVERS, "momentum": on("solver", "sgd"), "a": stats.uniform()}.items()
    drawn = [
        sample_candidates(dict(order), 6, random_state=0) for order in itertools.permutations(items)
    ]
    assert all(other == drawn[0] for other in drawn)


@pytest.mark.parametrize("name", ["solver", "mlp__solver"])
def test_the_name_is_that_of_a_sibling_or_a_full_key(name):
    space = {"mlp__solver": SOLVERS, "mlp__momentum": on(name, "sgd"), "alpha": stats.uniform()}
    for candidate in sample_candidates(space, 20, random_state=0):
        assert ("mlp__momentum" in candidate) == (candidate["mlp__solver"] == "sgd")


def test_the_estimators_value_counts_if_the_other_parameter_is_not_searched():
    space = {"mlpclassifier__momentum": on("solver", "sgd")}
    for solver in SOLVERS:
        model = make_pipeline(StandardScaler(), MLPClassifier(solver=solver))
        drawn = sample_candidates(space, 1, random_state=0, defaults=model.get_params())
        assert bool(drawn[0]) == (solver == "sgd")


def test_the_value_of_an_estimator_that_is_searched_itself_counts():
    networks = [MLPClassifier(solver="sgd"), MLPClassifier(), None]
    space = {"mlp": networks, "mlp__momentum": Conditional(stats.uniform())}
    defaults = {"mlp": networks[0], "mlp__solver": "sgd"}
    for given in (None, defaults):
        drawn = sample_candidates(space, 20, random_state=0, defaults=given)
        assert {c["mlp"] for c in drawn} == set(networks)
        for candidate in drawn:
            assert ("mlp__momentum" in candidate) == (candidate["mlp"] is networks[0])


def test_chains_end_at_the_first_condition_that_does_not_hold():
    space = {
        "a": [1, 2],
        "b": on("a", 1),
        "c": on("b", 1),
        "z": stats.uniform(),
    }
    # The estimator's own b would fulfil the condition of c.
    for candidate in sample_candidates(space, 60, random_state=0, defaults={"b": 1}):
        assert ("b" in candidate) == (candidate["a"] == 1)
        assert ("c" in candidate) == (candidate.get("b") == 1)


def test_a_conditional_in_a_conditional_needs_both():
    inner = Conditional(stats.uniform(), on="a", values=(1,))
    space = {"a": [1, 2], "b": [1, 2], "c": Conditional(inner, on="b", values=(2,))}
    for candidate in sample_candidates(space, 40, random_state=0):
        assert ("c" in candidate) == (candidate["a"] == 1 and candidate["b"] == 2)


def test_a_grid_has_each_candidate_once():
    space = {"solver": SOLVERS, "momentum": on("solver", "sgd", of=[0.5, 0.9]), "z": [None, (1,)]}
    with pytest.warns(UserWarning, match="has 6 different candidates"):
        drawn = sample_candidates(space, 50, random_state=0)
    assert len(drawn) == 6
    assert all(a != b for a, b in itertools.combinations(drawn, 2))
    few = sample_candidates(space, 5, random_state=0)
    assert len(few) == 5
    assert all(a != b for a, b in itertools.combinations(few, 2))


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_values_of_any_container_are_told_apart(kind):
    values = kind([1000, 1001, 1002])
    space = {"a": values, "b": Conditional(kind([0.5, 0.25]), on="a", values=values[:1])}
    with pytest.warns(UserWarning, match="has 4 different candidates"):
        assert len(sample_candidates(space, 9, random_state=0)) == 4


def test_a_huge_grid_is_not_written_out():
    space = {f"p{i}": range(1000) for i in range(6)} | {"q": on("p0", *range(500))}
    assert len(sample_candidates(space, 20, random_state=0)) == 20


def test_a_list_of_spaces_keeps_the_conditions_of_each():
    space = [
        {"solver": ["sgd"], "momentum": Conditional(stats.uniform())},
        {"solver": ["adam"], "momentum": Conditional(stats.uniform()), "beta_1": stats.uniform()},
    ]
    drawn = sample_candidates(space, 30, random_state=0)
    keys = {"sgd": {"solver", "momentum"}, "adam": {"solver", "beta_1"}}
    assert {c["solver"] for c in drawn} == set(SOLVERS)
    assert all(set(c) == keys[c["solver"]] for c in drawn)


def test_values_may_be_arrays_or_estimators():
    shared = np.arange(3)
    space = {"a": Choice([shared, MLPRegressor()]), "b": Conditional([1], on="a", values=[shared])}
    for candidate in sample_candidates(space, 10, random_state=0):
        assert ("b" in candidate) == (candidate["a"] is shared)


def test_candidates_fit_set_params():
    space = {"solver": SOLVERS, "momentum": on("solver", "sgd"), "hidden_layer_sizes": LayerSizes()}
    for candidate in sample_candidates(space, 5, random_state=0):
        MLPClassifier().set_params(**candidate)


@pytest.mark.parametrize(
    ("space", "defaults", "message"),
    [
        ({"b": on("a", 1)}, None, "give defaults"),
        ({"b": on("a", 1)}, {"solver": "sgd"}, "nor a parameter of the estimator; check the name"),
        ({"b": on("b", 1)}, None, "is on 'b'"),
        ({"a": on("b", 1), "b": on("c", 1), "c": on("a", 1)}, None, "in a circle: "),
        ({"b": on("a", 1)}, MLPClassifier(), r"give a dict: estimator.get_params\(\)"),
        (None, None, "The space None is not allowed"),
        ([None], None, "The space None is not allowed"),
        ("abc", None, "The space 'abc' is not allowed"),
        ({3: [1]}, None, r"The space \{3: \[1\]\} is not allowed"),
        ([], None, "empty list"),
    ],
)
def test_spaces_and_conditions_that_are_not_allowed(space, defaults, message):
    with pytest.raises(InvalidParameterError, match=message):
        sample_candidates(space, 1, random_state=0, defaults=defaults)


@pytest.mark.parametrize("n", [0, -1, 2.0, None, True])
def test_the_number_of_candidates_is_checked(n):
    with pytest.raises(InvalidParameterError, match="n_candidates"):
        sample_candidates({"a": [1]}, n)


def test_the_space_without_parameters_has_one_candidate():
    with pytest.warns(UserWarning, match="has 1 different candidates, fewer than n_candidates=2"):
        assert sample_candidates({}, 2) == [{}]
