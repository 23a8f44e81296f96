"""The places of hyperparameters: numbers on the scale that suits them, and room for all else."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skdeep.inspection.coordinates import (
    MOST_CATEGORIES,
    NOT_SET,
    coordinate,
    number_text,
    value_text,
)

RNG = np.random.default_rng(0)


class Odd:
    """No ==, no hash, and a repr that shows an address."""

    __hash__ = None

    def __eq__(self, other):
        raise ValueError


def made(values, name="a"):
    """Return the coordinate, after checks that hold for all."""
    axis = coordinate(name, values)
    assert np.isfinite(axis.places).all()
    assert (axis.places >= axis.low).all()
    assert (axis.places <= axis.high).all()
    assert (axis.places - axis.widths / 2 >= axis.low - 1e-9).all()
    assert (axis.places + axis.widths / 2 <= axis.high + 1e-9).all()
    at, labels = zip(*axis.ticks, strict=True)
    assert len({*labels}) == len(labels)
    assert all(axis.low <= place <= axis.high for place in at)
    return axis


def labels(axis):
    return [text for _, text in sorted(axis.ticks)]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (10 ** RNG.uniform(-5, -1, 60), "log"),
        (10 ** RNG.uniform(-5, -1, 4), "log"),
        ([1e-4, 1e-3], "linear"),
        ([1e-4, 1e-2], "log"),
        ([16, 32, 64, 128, 256], "log"),
        ([0, 1e-5, 1e-4, 1e-3, 1e-2], "log"),
        (1 - 10 ** RNG.uniform(-3, -0.5, 60), "one_minus"),
        ([0.5, 0.9, 0.99], "one_minus"),
        ([0.9, 0.99], "one_minus"),
        ([0.0, 0.9, 0.99, 0.999], "one_minus"),
        ([0.5, 0.9, 0.99, 1.0], "linear"),
        (RNG.random(60), "linear"),
        (RNG.uniform(0, 0.5, 60), "linear"),
        ([0.0, 0.1, 0.2, 0.5], "linear"),
        (RNG.integers(1, 9, 30), "linear"),
        (RNG.normal(size=30), "linear"),
        ([-1, 0.9, 0.99], "linear"),
        ([3], "linear"),
        ([0] * 5, "linear"),
        ([True, False], "category"),
        (["adam", "sgd"], "category"),
    ],
)
def test_scales_are_found(values, scale):
    assert made(list(values)).scale == scale


def test_numbers_lie_between_0_and_1():
    axis = made([1e-4, 1e-1, 1e-3, 1e-2])
    np.testing.assert_allclose(axis.places, [0, 1, 1 / 3, 2 / 3])
    assert labels(axis) == ["1e-4", "0.001", "0.01", "0.1"] or labels(axis)[0] == "0.0001"
    axis = made([0.9, 0.999, 0.99])
    np.testing.assert_allclose(axis.places, [0, 1, 0.5])
    assert labels(axis) == ["0.9", "0.99", "0.999"]
    assert labels(made(list(10 ** RNG.uniform(-5, -1, 60)))) == [
        *["1e-5", "0.0001", "0.001", "0.01", "0.1"]
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, None, 3.0], ["1", "2", "3", "None"]),
        ([1, 2, "auto", 3, False, None], ["1", "2", "3", "False", "auto", "None"]),
        ([0, 1e-5, 1e-4, 1e-3, 1e-2], ["0", "1e-5", "0.0001", "0.001", "0.01"]),
        ([1.0, NOT_SET, 2.0, None], ["1", "2", "None", "not set"]),
        ([np.nan, np.inf, 1.0, 2.0], ["1", "2", "inf", "nan"]),
        ([0.5, NOT_SET], ["0.5", "not set"]),
    ],
)
def test_what_is_no_number_has_a_place_of_its_own(values, expected):
    axis = made(values)
    assert labels(axis) == expected
    assert axis.n_distinct == len(expected)
    inside = [any(low < place < high for low, high in axis.apart) for place in axis.places]
    numbers = [text.replace("e-", "").replace(".", "").isdigit() for text in expected]
    assert sum(inside) == len(axis.apart)
    assert len(axis.apart) == (len(expected) - sum(numbers)) or "0" in expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, None, False], ["False", "True", "None"]),
        (["b", "a", None, NOT_SET], ["a", "b", "None", "not set"]),
        ([0.5, None], ["0.5", "None"]),
        ([np.True_, np.False_], ["False", "True"]),
        (["None", None], ["None", "None (2)"]),
        (["a\nb", "", "x" * 80], ["''", "a b", "x" * 19 + "…"]),
        ([LogisticRegression(), SVC(), LogisticRegression()], ["LogisticRegression()", "SVC()"]),
        ([np.tanh, len, Odd, made], ["Odd", "len", "made", "tanh"]),
        ([np.ones((2, 2)), np.zeros(3)], ["[0. 0. 0.]", "[[1. 1.] [1. 1.]]"]),
        ([[1.5], {"x": 1}, 2, "s", (3, 4)], ["2", "3-4", "s", "[1.5]", "{'x': 1}"]),
        ([(64, 32), (8,), (), (16,) * 12, [4, 4]], ["none", "8", "4-4", "64-32", "12 x 16"]),
        ([(8,), 16, np.array([4, 4])], ["8", "4-4", "16"]),
        ([10**400, "a"], ["a", f"{10**400}"[:19] + "…"]),
        ([(10**400,), (2,)], [f"({10**400}"[:19] + "…", "2"]),
    ],
)
def test_categories(values, expected):
    axis = made(values)
    assert axis.scale == "category"
    assert sorted(labels(axis)) == sorted(expected)
    if "2" not in expected:
        assert labels(axis) == expected


def test_objects_without_equality_are_told_apart():
    odd = [Odd(), Odd()]
    assert labels(made([*odd, odd[0]])) == ["Odd", "Odd (2)"]


def test_rare_categories_share_a_column():
    values = ["often", "often", *[f"c{i}" for i in range(30)]]
    axis = made(values)
    assert len(axis.ticks) == MOST_CATEGORIES
    assert labels(axis)[-1] == f"{31 - MOST_CATEGORIES + 1} others"
    assert "often" in labels(axis)
    assert axis.n_distinct == 31


@pytest.mark.parametrize("kind", [tuple, str])
def test_many_sizes_of_layers_are_ordered_by_depth_and_width(kind):
    sizes = [(16,), (32,), (64,), (512,), (8, 8), (16, 16), (64, 64), (256, 32), (4, 4, 4), ()]
    axis = made([*map(kind, sizes), NOT_SET], "hidden_layer_sizes")
    assert labels(axis) == [
        *["0 layers", "1 layer\n16 to 512", "2 layers\n8 to 256", "3 layers\n4"],
        "not set",
    ]
    order = [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert (np.diff(axis.places[order]) > 0).all()
    one_depth = made([(int(n),) for n in RNG.integers(8, 512, 30)])
    assert one_depth.note == "sum"
    assert len(made([(8,) * n for n in range(1, 15)]).ticks) > 2


def test_an_axis_of_numbers_that_are_nearly_equal_or_far_apart():
    made([1.0, 1 + 1e-15, 1 + 2e-15])
    made([1e-300, 1.0, 1e300])
    made([5e-324, 1.0, 0.5])
    made(list(0.011 + 0.05 * RNG.random(20)))  # less than a decade on a logarithmic scale
    assert labels(made([0.0123456789] * 3)) == ["0.0123457"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1e-5"), (0.001, "0.001"), (1e6, "1e6"), (20000.0, "20000"), (0.9995, "0.9995"),
        (np.float32(0.5), "0.5"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_as_users_write_them(value, text):
    assert number_text(float(value)).replace("-0", "0") == text
    assert value_text(value).replace("-0", "0") == text
