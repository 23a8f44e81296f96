"""Component, and the checks that name the culprit."""

import math
import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector

from skdeep._component import (
    Component,
    InvalidParameterError,
    Limit,
    check_limits,
    described,
    is_per_layer,
    per_layer,
    per_layer_and_output,
    resolve,
    store_parameters,
    unknown_name,
)


class Part(Component):
    _limits = {"size": Limit(0), "count": Limit(1, 10, integer=True)}

    def __init__(self, size=1.0, count=3):
        self.size = size
        self.count = count


class Wrapper(Part):
    def __init__(self, part=None, size=1.0, count=3):
        super().__init__(size, count)
        self.part = part


class Unrelated(Component):
    pass


CHOICES = {"part": Part, "big": partial(Part, 100.0)}


# Limit ----------------------------------------------------------------------------------------

INF = math.inf


@pytest.mark.parametrize(
    ("limit", "allowed", "forbidden"),
    [
        (Limit(0), [0, 0.0, 3, 1e300, np.float32(2), np.int64(1)], [-1e-300, -1, np.float64(-1)]),
        (Limit(0, closed="(]"), [1e-300, 1], [0, 0.0, -1]),
        (Limit(0, 1), [0, 1, 0.5], [-0.1, 1.1]),
        (Limit(0, 1, closed="[)"), [0, 0.999], [1, 1.0, 2]),
        (Limit(0, 1, closed="(]"), [1, 0.1], [0, 1.1]),
        (Limit(0, 1, closed="()"), [0.5], [0, 1]),
        (Limit(1, integer=True), [1, 7, np.int32(2)], [0, 1.0, np.float64(3), "1"]),
        (Limit(-INF), [-1e300, 0, 5], []),
        (Limit(1, integer=True, special=("auto",)), ["auto", 1], ["Auto", 0, 1.5]),
        (Limit(0, special=(None,)), [None, 1], [-1]),
        (Limit(1, integer=True, special=(INF,)), [INF, np.float64(INF), 4], [2.5, -INF]),
    ],
)
def test_limit_is_an_interval_and_special_values(limit, allowed, forbidden):
    assert [value for value in allowed if not limit.allows(value)] == []
    assert [value for value in forbidden if limit.allows(value)] == []


@pytest.mark.parametrize("limit", [Limit(0), Limit(-INF), Limit(0, 1), Limit(0, integer=True)])
@pytest.mark.parametrize(
    "value", [math.nan, True, False, np.True_, "1", None, [1], np.ones(1), 1j, Part]
)
def test_limit_allows_numbers_only(limit, value):
    assert not limit.allows(value)


@pytest.mark.parametrize("limit", [Limit(0, 1), Limit(-5, 5), Limit(0), Limit(-INF)])
def test_infinity_is_allowed_only_where_it_is_a_special_value(limit):
    assert not limit.allows(INF)
    assert not limit.allows(-INF)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(0), "a number >= 0"),
        (Limit(0, closed="(]"), "a number > 0"),
        (Limit(1, integer=True), "an integer >= 1"),
        (Limit(0, 1, closed="[)"), "a number in [0, 1)"),
        (Limit(0.5, 2.5), "a number in [0.5, 2.5]"),
        (Limit(1, integer=True, special=("auto", None)), "an integer >= 1 or 'auto' or None"),
    ],
)
def test_limit_says_what_is_allowed(limit, text):
    assert str(limit) == text


def test_check_limits_names_parameter_value_and_what_is_allowed():
    check_limits(Part(), Part._limits)
    with pytest.raises(InvalidParameterError) as error:
        check_limits(Part(count=11), Part._limits, "solver__")
    assert str(error.value) == "solver__count=11 is not allowed; give an integer in [1, 10]."


def test_an_invalid_parameter_is_a_ValueError_and_a_TypeError():
    assert issubclass(InvalidParameterError, ValueError)
    assert issubclass(InvalidParameterError, TypeError)


# Component ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "prefix"), [("", "Part size"), ("solver", "solver__size")])
def test_check_names_the_owner(what, prefix):
    with pytest.raises(InvalidParameterError, match=f"^{prefix}=-1 is not allowed; give a number"):
        Part(size=-1).check(what)


def test_check_turns_numpys_scalars_into_pythons():
    part = Part(size=np.float64(2.5), count=np.int64(4))
    part.check()
    assert type(part.size) is float
    assert type(part.count) is int
    assert (part.size, part.count) == (2.5, 4)


def test_parameters_of_parts_are_reachable():
    wrapper = Wrapper(Part(2.0))
    assert wrapper.get_params()["part__size"] == 2.0
    wrapper.set_params(part__size=5.0)
    assert wrapper.part.size == 5.0


def test_repr_shows_what_was_changed():
    assert repr(Part()) == "Part()"
    assert repr(Part(size=2.0)) == "Part(size=2.0)"


def test_clone_and_pickle():
    wrapper = Wrapper(Part(2.0), size=0.5)
    for twin in (clone(wrapper), pickle.loads(pickle.dumps(wrapper))):
        assert (twin.size, twin.count, twin.part.size) == (0.5, 3, 2.0)
        assert twin.part is not wrapper.part


def test_store_parameters_stores_everything_but_self():
    class Stores:
        def __init__(self, a, *, b=2):
            store_parameters(self, locals())

    assert vars(Stores(1)) == {"a": 1, "b": 2}


# resolve --------------------------------------------------------------------------------------


def test_none_stays_none_where_a_part_is_optional():
    assert resolve(None, CHOICES, "part", Part, optional=True) is None


def test_a_name_becomes_a_fresh_instance():
    first, second = (resolve("part", CHOICES, "part", Part) for _ in range(2))
    assert type(first) is Part
    assert first is not second
    assert resolve(np.str_("big"), CHOICES, "part", Part).size == 100.0


def test_defaults_go_to_a_named_part_where_it_has_such_a_parameter():
    defaults = {"count": 7, "momentum": 0.5}
    assert resolve("part", CHOICES, "part", Part, defaults).count == 7
    assert resolve(Part(count=2), CHOICES, "part", Part, defaults).count == 2


def test_an_instance_is_cloned_and_never_changed():
    given = Wrapper(Part(2.0))
    part = resolve(given, CHOICES, "part", Part)
    assert part is not given
    assert part.part is not given.part
    part.set_params(size=9.0, part__size=9.0)
    assert (given.size, given.part.size) == (1.0, 2.0)


def test_what_is_resolved_is_checked():
    with pytest.raises(InvalidParameterError, match=r"^my_part__size=-1 is not allowed"):
        resolve(Part(size=-1), CHOICES, "my_part", Part)
    with pytest.raises(InvalidParameterError, match=r"^Part count=0 is not allowed"):
        resolve("part", CHOICES, "my_part", Part, {"count": 0})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("prt", ["my_part='prt' is unknown", "did you mean 'part'?", "['big', 'part']"]),
        ("zzz", ["my_part='zzz' is unknown. Choose from ['big', 'part']"]),
        (None, ["my_part=None is not allowed", "['big', 'part']"]),
        (3, ["my_part=3 is not allowed", "['big', 'part']", "Part"]),
        ([Part()], ["my_part=[Part()] is not allowed"]),
        (Unrelated(), ["my_part=Unrelated() is not allowed"]),
        (Part, ["my_part=Part is a class; give an instance: my_part=Part()"]),
        (Unrelated, ["is not allowed"]),
    ],
    ids=str,
)
def test_what_cannot_be_resolved_is_named_with_the_choices(spec, words):
    with pytest.raises(InvalidParameterError) as error:
        resolve(spec, CHOICES, "my_part", Part)
    assert [word for word in words if word not in str(error.value)] == []


def test_unknown_name_suggests_only_what_is_near():
    assert "did you mean 'adam'?" in unknown_name("adamm", ["adam", "sgd"], "solver")
    assert "did you mean" not in unknown_name("lbfgs", ["adam", "sgd"], "solver")


# per_layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "n_hidden", "expected"),
    [
        (0.1, 3, [0.1, 0.1, 0.1]),
        (None, 2, [None, None]),
        ("relu", 0, []),
        ([1, 2], 2, [1, 2]),
        ((1, 2), 2, [1, 2]),
        (np.array([1, 2]), 2, [1, 2]),
        (np.float64(2), 1, [2]),
        ([], 0, []),
    ],
)
def test_per_layer_spreads_over_hidden_layers(value, n_hidden, expected):
    spread = per_layer(value, n_hidden, "dropout")
    assert isinstance(spread, list)
    assert spread == expected


@pytest.mark.parametrize(
    ("value", "n_hidden", "output", "expected"),
    [
        (0.1, 3, None, [0.1, 0.1, 0.1, None]),
        ("relu", 1, "auto", ["relu", "auto"]),
        ([1, 2], 2, None, [1, 2, None]),
        ((1, 2), 2, "auto", [1, 2, "auto"]),
        # one entry more is the output layer's
        ([1, 2, 3], 2, "auto", [1, 2, 3]),
        (np.array([1, 2, 3]), 2, "auto", [1, 2, 3]),
        # without hidden layers a scalar is the output layer's
        (0.1, 0, None, [0.1]),
        ([], 0, "auto", ["auto"]),
        ([5], 0, "auto", [5]),
    ],
)
def test_per_layer_and_output_has_one_entry_more(value, n_hidden, output, expected):
    spread = per_layer_and_output(value, n_hidden, "initializer", output)
    assert isinstance(spread, list)
    assert spread == expected


@pytest.mark.parametrize(
    ("spread", "value", "n_hidden"),
    [
        (per_layer, [1], 2),
        (per_layer, [1, 2, 3], 2),
        (per_layer, [1], 0),
        (per_layer_and_output, [1], 2),
        (per_layer_and_output, [1, 2, 3, 4], 2),
        (per_layer_and_output, [1, 2], 0),
    ],
)
def test_a_sequence_of_the_wrong_length_is_named(spread, value, n_hidden):
    with pytest.raises(InvalidParameterError) as error:
        spread(value, n_hidden, "dropout")
    assert f"dropout={value!r} has {len(value)} entries for {n_hidden} hidden" in str(error.value)


def test_per_layer_leaves_the_given_list_alone():
    given = [1, 2]
    for spread in (per_layer, per_layer_and_output):
        spread(given, 2, "dropout").append(3)
    assert given == [1, 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [([], True), ((1,), True), (np.ones(2), True), (np.array(1.0), False), ("abc", False), (1, 0)],
)
def test_is_per_layer(value, expected):
    assert is_per_layer(value) == expected


def test_objects_are_described_without_their_address():
    first, second = (make_column_selector("^a", dtype_include=["int64", float]) for _ in "ab")
    assert described(first) == described(second) != described(make_column_selector("^b"))
    assert described(object()) == described(object())
    assert described(described) == ("skdeep._component", "described")
