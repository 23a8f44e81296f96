"""Amounts of memory as text, and the files that a path stands for."""

import os

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.data import Memmap
from skdeep.data.sources.paths import amount, list_files, natural_key, parse_memory

AMOUNTS = {
    600: 600,
    np.int64(7): 7,
    "600MB": 600_000_000,
    "1.5GB": 1_500_000_000,
    "2GiB": 2 * 2**30,
    " 2 gib ": 2 * 2**30,
    "10 kB": 10_000,
    "10KiB": 10_240,
    ".5M": 500_000,
    "3T": 3 * 10**12,
    "12B": 12,
}


@pytest.mark.parametrize("text", AMOUNTS)
def test_amounts_of_memory(text):
    assert parse_memory(text) == AMOUNTS[text]


@pytest.mark.parametrize(
    "value",
    [0, -1, 1.5, True, None, "", "MB", "600", "600 apples", "-1GB", "1e9B", "1,5GB", "0.1B", [1]],
)
def test_amounts_that_are_not_allowed(value):
    with pytest.raises(InvalidParameterError, match=r"memory_limit=.* is not allowed.*600MB"):
        Memmap(np.zeros((2, 2)), memory_limit=value)


@pytest.mark.parametrize("n_bytes", [1, 999, 10**6, 123_456_789, 10**9, 7 * 10**12 + 1])
def test_an_amount_in_a_message_is_enough_and_can_be_given(n_bytes):
    assert n_bytes <= parse_memory(amount(n_bytes)) <= n_bytes * 1.1 + 100


def test_natural_order():
    names = ["X-1", "X-2", "X-10", "X-10-b", "Y-3", "a"]
    assert sorted(set(names), key=natural_key) == names
    assert sorted(["07", "7", "6"], key=natural_key)[0] == "6"


def test_files_of_patterns_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("f/9.npy", "f/10.npy", "f/.hidden.npy", "f/_x.npy", "f/x.txt", "f/sub/1.npy"):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, "w").close()
    assert list_files("f", [".npy"], "X") == ["f/9.npy", "f/10.npy"]
    assert list_files("f", [".npy"], "X", deep=True) == ["f/9.npy", "f/10.npy", "f/sub/1.npy"]
    assert list_files("f/*.npy", [".npy"], "X") == ["f/9.npy", "f/10.npy", "f/_x.npy"]
    assert list_files("f/**/1*.npy", [".npy"], "X") == ["f/10.npy", "f/sub/1.npy"]
    assert list_files(["f/10.npy", "f/9.npy"], [".npy"], "X") == ["f/10.npy", "f/9.npy"]
    open("f/[1].npy", "w").close()
    assert list_files("f/[1].npy", [".npy"], "X") == ["f/[1].npy"]
    with pytest.raises(FileNotFoundError, match=r"no file matches the pattern 'f/Z\*'"):
        list_files("f/Z*", [".npy"], "X")


def test_the_working_directory_may_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.eye(3))
    source = Memmap("X.npy")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(source.take([2, 1]), np.eye(3)[[2, 1]])
