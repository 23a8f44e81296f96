"""What the contracts share: tables as parameters, finite differences, poisoned buffers."""

import tracemalloc

import numpy as np
import pytest

from skdeep._component import Component
from skdeep.layers import Chain, Parameter

DTYPES = [np.float32, np.float64]
GARBAGE = [np.nan, np.inf, 1e3]


def each(cases):
    """Parametrize a test over a table from name to factory."""
    return pytest.mark.parametrize("make", cases.values(), ids=cases.keys())


def each_with(cases, *others):
    """Parametrize over a table, and over more beside it."""

    def decorate(test):
        for names, values in others:
            test = pytest.mark.parametrize(names, values)(test)
        return each(cases)(test)

    return decorate


each_dtype = ("dtype", DTYPES)
each_garbage = ("garbage", GARBAGE)


def central_difference(f, x, step=1e-6):
    """Return the gradient of f, a function of no arguments, by the array x that it reads."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + step
        above = f()
        x[i] = kept - step
        below = f()
        x[i] = kept
        gradient[i] = (above - below) / (2 * step)
    return gradient


def assert_gradient(actual, f, x):
    numeric = central_difference(f, x)
    scale = max(1.0, np.abs(numeric).max(initial=0))
    np.testing.assert_allclose(actual, numeric, rtol=1e-6, atol=1e-8 * scale)


def tolerance(dtype):
    return {"rtol": 2e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}


def frozen(array):
    """Return a copy that raises where it is written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def peak_memory(f):
    """Return the most bytes that f, which returns None, held beyond what was there before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        assert f() is None
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def poison(objects, vector, garbage):
    """Fill every buffer that can be reached, and the gradients; return how many there were."""
    buffers = list(float_arrays(objects, vector, seen=set()))
    for buffer in buffers:
        buffer.fill(garbage)
    vector.grads.fill(garbage)
    return len(buffers)


def float_arrays(thing, vector, seen):
    if id(thing) in seen or isinstance(thing, Parameter):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        if thing.dtype.kind == "f" and not np.shares_memory(thing, vector.values):
            yield thing
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            yield from float_arrays(part, vector, seen)
    elif isinstance(thing, (Component, Chain)):
        yield from float_arrays(list(vars(thing).values()), vector, seen)
