"""Small products run in one thread, and the limit is put back."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skdeep.training.threads import SMALL_PRODUCT, threads_for


def blas_threads():
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("product", "limit"), [(SMALL_PRODUCT, 1), (SMALL_PRODUCT + 1, 2)])
def test_limit_goes_by_the_size(product, limit):
    with threads_for(product):
        assert set(blas_threads()) == {limit}
    assert set(blas_threads()) == {2}


@pytest.mark.usefixtures("two_threads")
def test_limit_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), threads_for(1):
        _ = 1 / 0
    assert set(blas_threads()) == {2}


@pytest.mark.usefixtures("two_threads")
def test_limits_nest():
    with threads_for(1):
        with threads_for(1):
            pass
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


def test_limit_is_put_back_after_many_threads():
    before = blas_threads()

    def work(_):
        with threads_for(1):
            np.ones((50, 50)) @ np.ones((50, 50))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert blas_threads() == before


def test_small_products_are_the_same_whatever_the_number_of_threads():
    rng = np.random.default_rng(0)
    A, B = rng.random((200, 64), np.float32), rng.random((64, 100), np.float32)
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"), threads_for(200 * 64 * 100):
            results.append(A @ B)
    np.testing.assert_array_equal(*results)
