"""Parameters, and the one flat vector that holds them all."""

import copy
import pickle

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.initializers import Constant, Normal
from skdeep.parameters import Parameter, ParameterVector, Segment

DTYPES = [np.float32, np.float64]


def parameters():
    """Return parameters in an order that is not the vector's."""
    return [
        Parameter("mean", (3,), Constant(0.5), trainable=False),
        Parameter("bias", (3,), Normal()),
        Parameter("kernel", (4, 3), Normal(), kernel=True),
        Parameter("frozen kernel", (2, 2), Normal(), kernel=True, trainable=False),
        Parameter("gamma", (2,), Constant(1.0)),
        Parameter("kernel 2", (3, 2), Normal(), kernel=True),
    ]


@pytest.fixture(params=DTYPES)
def vector(request):
    return ParameterVector(parameters(), np.dtype(request.param), np.random.default_rng(0))


def assert_bound(vector):
    """Every value and gradient is a view into the vector, and together they fill it."""
    covered = np.zeros(vector.values.size, int)
    for p in vector.parameters:
        assert p.value.shape == p.shape
        start = p.value.ctypes.data - vector.values.ctypes.data
        start //= vector.values.itemsize
        covered[start : start + p.size] += 1
        assert np.shares_memory(p.value, vector.values)
        assert p.value.flags.c_contiguous
        if p.trainable and vector.grads is not None:
            assert p.grad.shape == p.shape
            assert np.shares_memory(p.grad, vector.grads)
            assert (p.grad.ctypes.data - vector.grads.ctypes.data) // p.grad.itemsize == start
        else:
            assert p.grad is None
    assert (covered == 1).all()


def test_trainable_kernels_come_first_then_trainable_then_the_rest(vector):
    assert vector.n_kernels == 12 + 6
    assert vector.n_trainable == 18 + 3 + 2
    assert vector.values.shape == (18 + 5 + 3 + 4,)
    by_name = {p.name: p.value.ravel() for p in vector.parameters}
    order = ["kernel", "kernel 2", "bias", "gamma"]
    expected = np.concatenate([by_name[name] for name in order])
    np.testing.assert_array_equal(vector.values[: vector.n_trainable], expected)


def test_values_are_views_in_the_dtype_of_the_vector(vector):
    assert_bound(vector)
    assert vector.values.flags.c_contiguous
    vector.values[:] = np.arange(vector.values.size)
    assert vector.parameters[2].value[1, 0] == 3
    vector.parameters[2].value[1, 0] = -7
    assert vector.values[3] == -7
    assert all(p.value.dtype == vector.values.dtype for p in vector.parameters)


def test_first_values_are_drawn_in_the_order_of_the_list():
    rng = np.random.default_rng(0)
    vector = ParameterVector(parameters(), np.dtype(float), rng)
    rng = np.random.default_rng(0)
    for p in vector.parameters:
        expected = np.empty(p.shape)
        p.initializer.fill(expected, rng)
        np.testing.assert_array_equal(p.value, expected)


def test_gradients_are_there_between_allocate_and_release(vector):
    assert vector.grads is None
    vector.allocate()
    assert_bound(vector)
    assert vector.grads.shape == (vector.n_trainable,)
    assert vector.grads.dtype == vector.values.dtype
    vector.parameters[1].grad[:] = 5
    assert (vector.grads == 5).sum() == 3
    vector.release()
    assert vector.grads is None
    assert_bound(vector)


def test_values_survive_allocate_and_release(vector):
    before = vector.values.copy()
    view = vector.parameters[2].value
    vector.allocate()
    vector.release()
    np.testing.assert_array_equal(vector.values, before)
    view[0, 0] = 9.0  # a view from before is still a view
    assert vector.values[0] == 9.0


def test_a_copy_of_values_is_a_snapshot_of_everything(vector):
    snapshot = vector.values.copy()
    kept = [p.value.copy() for p in vector.parameters]
    for p in vector.parameters:
        p.value[...] = np.nan
    vector.values[:] = snapshot
    for p, value in zip(vector.parameters, kept, strict=True):
        np.testing.assert_array_equal(p.value, value)


TWINS = {
    "pickle": lambda vector: pickle.loads(pickle.dumps(vector)),
    "deepcopy": copy.deepcopy,
    "parameters first": lambda vector: pickle.loads(pickle.dumps((vector.parameters, vector)))[1],
}


@pytest.mark.parametrize("twin_of", TWINS.values(), ids=TWINS)
@pytest.mark.parametrize("training", [False, True])
def test_a_twin_is_bound_to_a_vector_of_its_own(vector, twin_of, training):
    if training:
        vector.allocate()
    twin = twin_of(vector)
    assert_bound(twin)
    assert twin.grads is None
    np.testing.assert_array_equal(twin.values, vector.values)
    assert not np.shares_memory(twin.values, vector.values)
    twin.parameters[2].value[0, 0] = 123.0
    assert twin.values[0] == 123.0
    assert vector.values[0] != 123.0
    assert_bound(vector)
    assert (vector.grads is not None) == training


def test_a_pickle_holds_every_number_once():
    big = [Parameter("kernel", (200, 200), Normal(), kernel=True)]
    vector = ParameterVector(big, np.dtype(float), np.random.default_rng(0))
    vector.allocate()
    assert len(pickle.dumps(vector)) < 8 * 200 * 200 + 2000


def test_a_vector_may_be_empty():
    vector = ParameterVector([], np.dtype(float), np.random.default_rng(0))
    vector.allocate()
    assert vector.values.shape == vector.grads.shape == (0,)
    assert vector.n_trainable == vector.n_kernels == 0


def test_parameter_says_what_it_is():
    p = Parameter("kernel", [4, 3], Normal(), trainable=False)
    assert repr(p) == "Parameter('kernel', shape=(4, 3), trainable=False)"
    assert p.size == 12
    assert Parameter("scalar", (), Normal()).size == 1


def test_the_decay_is_for_kernels_alone():
    both = {"rate": 0.5, "decay": 2.0}
    vector = ParameterVector(
        [
            Parameter("kernel", (2, 3), Normal(), kernel=True, **both),
            Parameter("kernel 2", (2, 3), Normal(), kernel=True, rate=0.5),
            Parameter("bias", (3,), Normal(), **both),
            Parameter("bias 2", (3,), Normal(), rate=0.5),
        ],
        np.dtype(float),
        np.random.default_rng(0),
    )
    assert vector.segments() == [
        Segment(0, 6, 0.5, 1.0, 2.0),
        Segment(6, 12, 0.5, 1.0, 1.0),
        Segment(12, 18, 0.5, 0.0, 0.0),
    ]
    for wrong in (-1, "fan_in", np.nan):
        with pytest.raises(InvalidParameterError, match=r"decay=.* of the parameter 'kernel'"):
            Parameter("kernel", (2, 3), Normal(), decay=wrong)
