"""Splits of rows into training, development and test rows.

Each held-out part is planned first (the number of rows of each class), and its rows or groups are
drawn afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import indexable

from skdeep._component import InvalidParameterError, Limit, safe_indexing, warn_user
from skdeep.tabular.encoding.columns import is_missing
from skdeep.training.randomness import Streams

# A held-out part has a share of SMALL_SHARE up to FEW rows. Its number of rows grows by a power of
# the number of all rows from there to LARGEST_PART, which it has for MANY rows and more.
SMALL_SHARE, FEW, MANY, LARGEST_PART = 0.2, 10_000, 1_000_000, 10_000
POWER = math.log(LARGEST_PART / (SMALL_SHARE * FEW)) / math.log(MANY / FEW)
#: The share of the target rows that a held-out part has at most, if its size is not given.
SHARE_OF_TARGET = 0.25

SHARE, COUNT = Limit(0, 1, "[)"), Limit(0, integer=True)
#: The numbers of quantiles, of draws of groups, and of examples in messages.
N_QUANTILES, N_DRAWS, N_EXAMPLES = 10, 20, 5
#: A part of groups whose size is off by more than this share of it gives a warning.
SIZE_TOLERANCE = 0.5

PARTS = ("training", "train-dev", "development", "test")
TRAIN, TRAIN_DEV, DEV, TEST = range(4)


def train_dev_test_split(
    *arrays: Any,
    dev_size: float | int | None = None,
    test_size: float | int | None = None,
    train_dev_size: float | int | None = 0,
    stratify: Any = None,
    groups: Any = None,
    target: Any = None,
    shuffle: bool = True,
    random_state: Any = None,
) -> list:
    """Split arrays into training, development and test rows.

    Without sizes, the development and the test part are equally large. Their size depends on the
    number of rows:

    ==========  ====================  ===================
    rows        rows of each part     shares in percent
    ==========  ====================  ===================
    1,000       200                   60 / 20 / 20
    10,000      2,000                 60 / 20 / 20
    100,000     4,472                 91 / 4.5 / 4.5
    1,000,000   10,000                98 / 1 / 1
    4,000,000   10,000                99.5 / 0.25 / 0.25
    ==========  ====================  ===================

    Between 10,000 and 1,000,000 rows, the size is 2,000 * (rows / 10,000) ** 0.349. With `target`,
    it is at most a quarter of the target rows, so that half of them train.

    Parameters
    ----------
    *arrays : sequences of n rows each
        Lists, arrays, sparse matrices, and data frames or series of pandas and polars.
    dev_size, test_size : float, int or None, default=None
        A float is a share of all rows, which is rounded; an int is a number of rows. None is the
        size in the table. With `test_size=0` there is no test part.
    train_dev_size : float, int or None, default=0
        The size of the train-dev part: rows that are held out from the training rows, at random.
        `distribution_mismatch_report` needs them. 0 is no such part, and None is the size of the
        development part.
    stratify : array-like of shape (n,) or (n, n_columns), default=None
        The classes of the rows. In each part, the number of rows of each class is within one of
        its share, if `groups` allow it. With several columns, a class is a combination of their
        values. A column of numbers with a fractional part is divided into 10 quantiles. A class
        with fewer rows than there are parts trains, with a warning.
    groups : array-like of shape (n,), default=None
        Rows with the same label are kept together in one part. The parts have nearly the sizes
        and the classes asked for. A warning says if a size is off by more than half.
    target : array-like of bool of shape (n,), default=None
        The rows that come from the target distribution, which the model is to work for. All
        development and test rows are drawn from them. The other rows train, and so do the target
        rows that are left.
    shuffle : bool, default=True
        If False, the rows keep their order, and the test rows are the last ones, preceded by the
        development rows. With `stratify`, this holds within each class; with `target`, among the
        target rows.
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    list
        For each array its parts: training, train-dev (if there are any), development, and test.
        To get the positions of the rows, give `np.arange(n)` as one of the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.model_selection import train_dev_test_split
    >>> X, y = np.arange(20).reshape(10, 2), [0, 1] * 5
    >>> X_train, X_dev, X_test, y_train, y_dev, y_test = train_dev_test_split(
    ...     X, y, stratify=y, random_state=0
    ... )
    >>> len(X_train), len(X_dev), len(X_test)
    (6, 2, 2)
    >>> sorted(y_dev)
    [0, 1]
    """
    arrays, n_rows = _checked(arrays)
    is_target = np.ones(n_rows, bool) if target is None else _mask(target, n_rows)
    given = {"train_dev_size": train_dev_size, "dev_size": dev_size, "test_size": test_size}
    sizes = _sizes(given, n_rows, int(is_target.sum()))
    strata = _strata(stratify, n_rows)
    labels = None if groups is None else _labels(groups, "groups", n_rows)
    rng = Streams(random_state).shuffle if shuffle else None
    # Parts are drawn from the front, the test part first.
    order = np.arange(n_rows)[::-1] if rng is None else rng.permutation(n_rows)
    if labels is None:
        part = _split_rows(order, is_target, sizes, strata, rng)
    else:
        _check_groups(labels, is_target, sizes)
        part = _split_groups(order, is_target, sizes, strata, labels, rng)
    _warn_of_parts(part, is_target, sizes, strata)
    # The target rows that are left are the last ones of the order, so it is not that of the parts.
    order = order[::-1] if rng is None else rng.permutation(n_rows)
    rows = [order[part[order] == p] for p, size in enumerate(sizes) if size]
    return [safe_indexing(array, positions) for array in arrays for positions in rows]


# What is given ------------------------------------------------------------------------------------


class _Labels(NamedTuple):
    """A label for each row: its code, and what the codes stand for.

    `names` is None if the labels are quantiles of numbers.
    """

    codes: np.ndarray
    names: list | None

    @property
    def n_codes(self) -> int:
        return int(self.codes.max()) + 1

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of rows with each code, among those of a mask."""
        return np.bincount(self.codes[rows], minlength=self.n_codes)


def _checked(arrays: Sequence) -> tuple[list, int]:
    """Return the arrays, all with rows that can be taken, and the number of rows."""
    if not arrays:
        raise ValueError("There is nothing to split; give at least one array.")
    for array in arrays:
        if isinstance(array, (str, bytes, dict)) or not (
            hasattr(array, "shape") or hasattr(array, "__len__") or hasattr(array, "__array__")
        ):
            raise TypeError(
                f"A {type(array).__name__} has no rows to split; give arrays, lists, sparse "
                "matrices or data frames."
            )
    lengths = [_length(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"The arrays have different numbers of rows: {lengths}.")
    return indexable(*arrays), lengths[0]


def _length(array: Any) -> int:
    shape = getattr(array, "shape", None)
    if shape is None:
        return len(array)
    if len(shape) == 0:
        raise TypeError(f"{array!r} is a single value, and has no rows to split.")
    return int(shape[0])


def _mask(target: Any, n_rows: int) -> np.ndarray:
    mask = np.asarray(target)
    if mask.dtype == object and all(isinstance(value, (bool, np.bool_)) for value in mask.flat):
        mask = mask.astype(bool)
    if mask.dtype != bool or mask.shape != (n_rows,):
        raise ValueError(
            f"target has the dtype {mask.dtype} and the shape {mask.shape}; give a boolean for "
            f"each of the {n_rows} rows: True if it comes from the target distribution."
        )
    return mask


def _labels(values: Any, what: str, n_rows: int) -> _Labels:
    """Return the labels of rows, by one column of values."""
    values = np.asarray(values)
    if values.shape != (n_rows,):
        raise ValueError(
            f"{what} has the shape {values.shape}; give one label for each of the {n_rows} rows."
        )
    if values.dtype.kind in "biufSUM":
        names, codes = np.unique(values, return_inverse=True)
        missing, names = values != values, names.tolist()
    else:
        values = values.tolist()
        missing = np.fromiter(map(is_missing, values), bool, n_rows)
        names = list(dict.fromkeys(values))
        with suppress(TypeError):  # then the split does not depend on the container of the labels
            names = sorted(names)
        places = {name: i for i, name in enumerate(names)}
        codes = np.fromiter(map(places.__getitem__, values), np.intp, n_rows)
    if missing.any():
        raise ValueError(
            f"{what} has no label for {missing.sum()} rows, such as row {missing.argmax()}; give "
            "each row a label, or leave these rows out."
        )
    return _Labels(codes, names)


def _strata(stratify: Any, n_rows: int) -> _Labels:
    """Return the classes of the rows; without `stratify`, one class."""
    if stratify is None:
        return _Labels(np.zeros(n_rows, np.intp), None)
    values = np.asarray(stratify)
    if values.ndim == 2 and values.shape[1] > 1:
        # Of a frame with several dtypes, each column gets its own dtype back.
        columns = [_column_of_strata(np.array(column.tolist()), n_rows) for column in values.T]
        pairs, codes = np.unique(
            np.stack([c.codes for c in columns], 1), axis=0, return_inverse=True
        )
        names = [
            tuple(k if c.names is None else c.names[k] for c, k in zip(columns, pair, strict=True))
            for pair in pairs.tolist()
        ]
        strata = _Labels(codes.reshape(-1), names)
    else:
        strata = _column_of_strata(values.ravel(), n_rows)
    if strata.codes.max() == 0:
        raise ValueError(
            "stratify has one class only, so there is nothing to stratify; leave it out."
        )
    return strata


def _column_of_strata(values: np.ndarray, n_rows: int) -> _Labels:
    labels = _labels(values, "stratify", n_rows)
    if values.dtype.kind != "f" or (values == np.floor(values)).all():
        return labels
    ranks = np.empty(n_rows, np.intp)
    ranks[np.argsort(values, kind="stable")] = np.arange(n_rows)
    return _Labels(ranks * min(N_QUANTILES, n_rows) // n_rows, None)


# Sizes --------------------------------------------------------------------------------------------


def _sizes(given: dict[str, Any], n_rows: int, n_target: int) -> list[int]:
    """Return the numbers of rows of the parts; raise if they do not fit."""
    for name, size in given.items():
        if size is not None and not (SHARE.allows(size) or COUNT.allows(size)):
            raise InvalidParameterError(
                f"{name}={size!r} is not allowed; give a share in (0, 1), a number of rows, or "
                "None."
            )
    most = math.inf if n_target == n_rows else SHARE_OF_TARGET * n_target
    default = max(1, int(min(_default_size(n_rows), most)))
    sizes = {
        name: default if size is None else _n_rows_of(size, n_rows) for name, size in given.items()
    }
    if given["train_dev_size"] is None:
        sizes["train_dev_size"] = sizes["dev_size"]
    if sizes["dev_size"] == 0:
        raise InvalidParameterError(
            f"dev_size={given['dev_size']!r} leaves no development rows. For training and test "
            "rows only, use train_test_split of scikit-learn."
        )
    asked = ", ".join(f"{name}={given[name]!r} ({size:,})" for name, size in sizes.items() if size)
    n_train = n_rows - sum(sizes.values())
    if n_train < 1:
        raise ValueError(
            f"{asked}: these parts leave none of {n_rows:,} rows for training; give smaller sizes."
        )
    n_held_out = sizes["dev_size"] + sizes["test_size"]
    if n_held_out > n_target:
        raise ValueError(
            f"{asked}: the development and test rows need {n_held_out:,} target rows, and target "
            f"marks {n_target:,}; give smaller sizes. A share is one of all {n_rows:,} rows."
        )
    return [n_train, *sizes.values()]


def _default_size(n_rows: int) -> int:
    growth = min(max(n_rows / FEW, 1.0), MANY / FEW) ** POWER
    return round(SMALL_SHARE * min(n_rows, FEW) * growth)


def _n_rows_of(size: float, n_rows: int) -> int:
    if size == 0 or COUNT.allows(size):
        return int(size)
    return max(1, round(size * n_rows))


# The plan -----------------------------------------------------------------------------------------


def _plan(counts: np.ndarray, others: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return the number of rows of each class, for each of the held-out parts.

    Each number is within one of the class's share. A class with fewer rows than there are parts
    is left out, if the others have enough rows.

    Parameters
    ----------
    counts : the number of rows of each class that may be drawn
    others : the number of its rows that train in any case
    sizes : the numbers of rows of the parts
    """
    n_trains = (others == 0).astype(int)  # the rows of each class to keep for training
    kept = np.where(counts >= len(sizes) + n_trains, counts, 0)
    counts = kept if kept.sum() >= sum(sizes) else counts
    left, owed, plans = counts.copy(), np.zeros(len(counts)), []
    for i, size in enumerate(sizes):
        spare = np.maximum(left - n_trains - (len(sizes) - 1 - i), 0)
        most = spare if spare.sum() >= size else left
        share = size * counts / counts.sum()
        rows = np.minimum(size * counts // counts.sum(), most)
        while (n_missing := size - rows.sum()) > 0:
            # Classes without a row come first, and then those that are furthest from their share.
            need = np.where(rows < most, share - rows + owed + 2.0 * (rows == 0), -np.inf)
            n_chosen = min(n_missing, (rows < most).sum())
            rows[np.argsort(-need, kind="stable")[:n_chosen]] += 1
        owed += share - rows
        left -= rows
        plans.append(rows)
    return plans


def _stages(
    order: np.ndarray,
    is_target: np.ndarray,
    sizes: Sequence[int],
    strata: _Labels,
    part: np.ndarray,
    rng: np.random.Generator | None,
) -> Iterator[tuple[np.ndarray, list[tuple[int, np.ndarray]]]]:
    """Yield the rows that may be drawn, in order, and the parts to draw with their plans.

    Train-dev rows are drawn from the rows that the first stage leaves for training. They are
    shuffled again, as the first stage took the first of the target rows.
    """
    for parts in ((TEST, DEV), (TRAIN_DEV,)):
        parts = [p for p in parts if sizes[p]]
        if parts:
            free = part == TRAIN
            may_be = free & is_target if DEV in parts else free
            counts, others = strata.counts(may_be), strata.counts(free & ~may_be)
            plans = _plan(counts, others, [sizes[p] for p in parts])
            pool = order[may_be[order]]
            if rng is not None and TRAIN_DEV in parts:
                pool = rng.permutation(pool)
            yield pool, list(zip(parts, plans, strict=True))


# Rows without groups ------------------------------------------------------------------------------


def _split_rows(
    order: np.ndarray,
    is_target: np.ndarray,
    sizes: Sequence[int],
    strata: _Labels,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return the part of each row."""
    part = np.full(len(order), TRAIN)
    for pool, plans in _stages(order, is_target, sizes, strata, part, rng):
        codes = strata.codes[pool]
        rank = _ranks(codes)
        start = np.zeros(strata.n_codes, np.intp)
        for p, rows in plans:
            part[pool[(rank >= start[codes]) & (rank < (start + rows)[codes])]] = p
            start += rows
    return part


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Return the number of earlier rows with the same code, for each row."""
    counts = np.bincount(codes)
    ranks = np.empty(len(codes), np.intp)
    starts = np.cumsum(counts) - counts
    ranks[np.argsort(codes, kind="stable")] = np.arange(len(codes)) - np.repeat(starts, counts)
    return ranks


# Groups -------------------------------------------------------------------------------------------


def _check_groups(groups: _Labels, is_target: np.ndarray, sizes: Sequence[int]) -> None:
    """Raise if there are too few groups, or if groups have rows of both distributions."""
    in_target, in_others = groups.counts(is_target) > 0, groups.counts(~is_target) > 0
    both = np.flatnonzero(in_target & in_others)
    if len(both):
        raise ValueError(
            f"{len(both)} groups have target rows and others too: {_some(groups, both)}. Their "
            "target rows can't be held out while the others train. Set target to False for all "
            "rows of these groups, and they train, or leave the other rows out."
        )
    n_parts = sum(size > 0 for size in sizes)
    n_held_out = (sizes[DEV] > 0) + (sizes[TEST] > 0)
    n_target, n_groups = int(in_target.sum()), len(in_target)
    if n_groups < n_parts or n_target < n_held_out:
        marked = f", {n_target} of them in the target rows" if n_target < n_groups else ""
        raise ValueError(
            f"There are {n_groups} groups{marked}. A split into {n_parts} parts needs at least "
            f"{n_parts} groups, and at least {n_held_out} in the target rows."
        )


def _split_groups(
    order: np.ndarray,
    is_target: np.ndarray,
    sizes: Sequence[int],
    strata: _Labels,
    groups: _Labels,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return the part of each row, all rows of a group in one part."""
    part = np.full(len(order), TRAIN)
    n_to_come = sum(size > 0 for size in sizes)  # parts without rows yet, training too
    for pool, plans in _stages(order, is_target, sizes, strata, part, rng):
        elsewhere = part == TRAIN
        elsewhere[pool] = False
        n_elsewhere = len(np.unique(groups.codes[elsewhere]))
        for i, (p, wanted) in enumerate(plans):
            pool = pool[part[pool] == TRAIN]
            codes, first, unit = np.unique(
                groups.codes[pool], return_index=True, return_inverse=True
            )
            cells = unit * strata.n_codes + strata.codes[pool]
            table = np.bincount(cells, minlength=len(codes) * strata.n_codes)
            table = table.reshape(len(codes), strata.n_codes)
            n_to_come -= 1
            n_kept = max(len(plans) - 1 - i, n_to_come - n_elsewhere)
            chosen = _draw(table, np.argsort(first), wanted, len(codes) - n_kept, rng)
            part[pool[chosen[unit]]] = p
    return part


def _draw(
    table: np.ndarray,
    order: np.ndarray,
    wanted: np.ndarray,
    most: int,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return the groups whose rows are close to those wanted: the best of several draws.

    Parameters
    ----------
    table : ndarray of shape (n_groups, n_classes)
        The number of rows.
    order : ndarray of shape (n_groups,)
        The order in which groups are tried, if `rng` is None. Otherwise, orders are drawn: that of
        the first rows of groups would favour large groups.
    wanted : ndarray of shape (n_classes,)
    most : int
        The largest number of groups to take.
    """
    # The number of all rows counts as much as those of all classes.
    table = np.column_stack([table, table.sum(axis=1)])
    wanted = np.append(wanted, wanted.sum())
    weight = np.append(np.ones(len(wanted) - 1), len(wanted) - 1) / np.maximum(wanted, 1)
    n_draws = 1 if rng is None else max(1, min(N_DRAWS, MANY // (N_DRAWS * len(table))))
    best, least = np.zeros(len(table), bool), np.inf
    for _ in range(n_draws):
        order = order if rng is None else rng.permutation(len(table))
        chosen = _fill(table[order], wanted, weight, most)
        distance = float(weight @ (table[order[chosen]].sum(axis=0) - wanted) ** 2)
        if distance < least:
            best, least = np.zeros(len(table), bool), distance
            best[order[chosen]] = True
    return best


def _fill(table: np.ndarray, wanted: np.ndarray, weight: np.ndarray, most: int) -> list[int]:
    """Return groups in the order of the table, each of which brings the rows nearer to the wish.

    The number of rows does not exceed the wish, except by the last group.
    """
    chosen: list[int] = []
    lack = wanted.astype(float)
    distance = weight @ lack**2
    for i, rows in enumerate(table):
        if len(chosen) == most or lack[-1] == 0:
            return chosen
        if rows[-1] <= lack[-1]:
            after = weight @ (lack - rows) ** 2
            if after < distance:
                chosen.append(i)
                lack, distance = lack - rows, after
    rest = np.setdiff1d(np.arange(len(table)), chosen)
    if len(chosen) < most and len(rest):
        after = (lack - table[rest]) ** 2 @ weight
        if after.min() < distance or not chosen:
            chosen.append(int(rest[after.argmin()]))
    return chosen


# Warnings -----------------------------------------------------------------------------------------


def _warn_of_parts(
    part: np.ndarray, is_target: np.ndarray, sizes: Sequence[int], strata: _Labels
) -> None:
    """Warn if the size of a part is far off, or if classes have no row in it."""
    for p, size in enumerate(sizes):
        n_rows = int((part == p).sum())
        if abs(n_rows - size) > SIZE_TOLERANCE * size:
            warn_user(
                f"There are {n_rows:,} {PARTS[p]} rows instead of {size:,}, as groups are kept "
                "together; smaller groups, or another size, would fit better."
            )
        if size and strata.names is not None:
            drawn_from = is_target if p in (DEV, TEST) else np.ones(len(part), bool)
            missing = (strata.counts(drawn_from) > 0) & (strata.counts(part == p) == 0)
            if missing.any():
                warn_user(
                    f"The {PARTS[p]} rows have no row of {missing.sum()} of the classes: "
                    f"{_some(strata, np.flatnonzero(missing))}. These classes have too few rows, "
                    "or the part is too small."
                )


def _some(labels: _Labels, codes: np.ndarray) -> str:
    """Return a few names, for a message."""
    names = [repr(labels.names[code]) for code in codes[:N_EXAMPLES]]
    return ", ".join([*names, "..."] if len(codes) > N_EXAMPLES else names)
