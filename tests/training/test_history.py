"""The record of a model's life: a dict of lists of one length."""

import math

import numpy as np
import pytest

from skdeep.training.history import record, truncate

NAN = math.nan


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ([], {"loss": []}),
        ([{"loss": 1.0}, {"loss": 0.5}], {"loss": [1.0, 0.5]}),
        # a figure that comes later, and one that goes
        (
            [{"loss": 1}, {"loss": 2, "val_loss": 3}, {"val_loss": 4}, {"loss": 5}],
            {"loss": [1, 2, NAN, 5], "val_loss": [NAN, 3, 4, NAN]},
        ),
        ([{"a": 1}, {"b": 2}, {"c": 3}], {"loss": [NAN] * 3, "a": [1, NAN, NAN]}),
    ],
)
def test_all_columns_have_one_entry_an_epoch(epochs, expected):
    history = {"loss": []}
    for values in epochs:
        record(history, **values)
    assert {len(column) for column in history.values()} == {len(epochs)}
    for key, column in expected.items():
        np.testing.assert_array_equal(history[key], column)


def test_entries_are_plain_floats():
    history = {}
    record(history, loss=np.float32(0.5), n=3)
    assert {type(v) for column in history.values() for v in column} == {float}


@pytest.mark.parametrize("n_epochs", range(5))
def test_truncate_forgets_what_came_after(n_epochs):
    history = {"loss": [1.0, 2.0, 3.0], "val_loss": [4.0, 5.0, 6.0]}
    column = history["loss"]
    truncate(history, n_epochs)
    assert history == {"loss": [1.0, 2.0, 3.0][:n_epochs], "val_loss": [4.0, 5.0, 6.0][:n_epochs]}
    assert history["loss"] is column  # those who hold the list see it
