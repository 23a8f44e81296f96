"""Tables in Parquet and Arrow files, which are read by row groups. Needs pyarrow."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from skdeep._component import InvalidParameterError, needs, warn_user
from skdeep.data.formats.npy import joined
from skdeep.data.formats.tables import TableFile, table_files
from skdeep.data.sources.files import SHARE_OF_UNIT, WholeUnits
from skdeep.data.sources.paths import amount, parse_memory
from skdeep.data.sources.rows import refuse_large_unit

# The numbers that are decoded at a time.
_AT_A_TIME = 2**21
_N_NAMES = 20


class RowGroup(NamedTuple):
    """Some or all rows of a row group.

    `place` is the position of its first row in the file, `start` that in the row group.
    """

    table: TableFile
    number: int
    place: int
    start: int
    n_rows: int


class Parquet(WholeUnits):
    """The rows of Parquet files, or of Arrow files. Needs pyarrow.

    If all columns are numbers, the rows are arrays, in which missing values are NaN. Otherwise they
    are pandas data frames, which a transformer has to encode: `source.transform(encoder)`. The
    columns of all files are compared before any row is read.

    Parameters
    ----------
    path : str, path, list of paths, or pyarrow.dataset.Dataset
        A file, a pattern such as `"folder/*.parquet"`, a folder, a list of files, or a dataset of
        Parquet or Arrow files. The files of a pattern or of a folder are in natural order, those of
        a list in the order of the list. If a folder has folders with names such as "year=2024",
        their names become columns.
    target : str or list of str, default=None
        The column, or the columns, with the targets, which are kept in memory.
    weight : str, default=None
        The column with the weights of the rows, which are kept in memory.
    columns : list of str, default=None
        The columns of X. None stands for all columns that are not targets, weights or the index of
        a pandas data frame.
    memory_limit : int or str, default="1GB"
        The memory for training: a number of bytes, or text such as "600MB" or "2GiB". A row group
        that takes more than a sixth of it is read in parts, each of which takes the time of the
        whole row group. So write small row groups: `to_parquet(path, row_group_size=50_000)`.
    """

    def __init__(
        self,
        path: Any,
        *,
        target: str | Sequence[str] | None = None,
        weight: str | None = None,
        columns: Sequence[str] | None = None,
        memory_limit: int | str = "1GB",
    ):
        tables = table_files(path)
        own = [target] if isinstance(target, str) else list(target or [])
        others = [*own, *([] if weight is None else [weight])]
        self._names = _chosen_names(tables[0], columns, others)
        _compare(tables, self._names, others, all_columns=columns is None)
        self.feature_names = self._names
        types = next((table for table in tables if table.n_rows), tables[0]).types()
        self._types = {name: types[name] for name in self._names}
        self._number_dtype = _dtype_of(self._types.values())
        dtype = np.dtype(object) if self._number_dtype is None else self._number_dtype
        n_bytes = sum(n_bytes for table in tables for _, n_bytes in table.groups)
        self._frame_bytes = max(1.0, 2 * n_bytes / max(1, sum(table.n_rows for table in tables)))
        self._groups = _cut(tables, len(self._names), dtype, parse_memory(memory_limit))
        self._tables = tables
        sizes = [group.n_rows for group in self._groups]
        y, weights = None, None
        if sum(sizes):
            y = self._read_targets(own, isinstance(target, str)) if own else None
            weights = None if weight is None else self._read_targets([weight], True)
        self._set_up(sizes, len(self._names), dtype, memory_limit, y, weights)
        if dtype.kind == "O":
            self._check_frames()

    def _check_frames(self) -> None:
        """Raise if rows can't be data frames."""
        if find_spec("pandas") is None:
            raise ImportError(needs("A table with columns that are not numbers", "pandas", "test"))
        for table in self._tables:
            for number, (_, n_bytes) in enumerate(table.groups):
                name = f"Row group {number} of {table.path!r}"
                refuse_large_unit(name, n_bytes, self.memory_limit)

    def _read_targets(self, names: list[str], is_one: bool) -> Any:
        """Return columns of all files in memory."""
        parts = {name: [] for name in names}
        for table in self._tables:
            with table.open() as file:
                for number in range(len(table.groups)):
                    content = table.read(file, number, names)
                    for name in names:
                        parts[name].append(_values(content.column(name)))
        labels = [str(k) for k in range(len(parts[names[0]]))]
        columns = {name: joined(values, labels) for name, values in parts.items()}
        if is_one:
            return columns[names[0]]
        if all(values.dtype.kind in "biuf" for values in columns.values()):
            return np.column_stack(list(columns.values()))
        import pandas as pd

        return pd.DataFrame(columns)

    # Rows -----------------------------------------------------------------------------------------

    def _read_into(self, unit, start, stop, out):
        group = self._groups[unit]
        if self._kept is not None or (start, stop) != (0, group.n_rows):
            super()._read_into(unit, start, stop, out)
        else:
            self._decode(group, out)

    def _load(self, unit):
        group = self._groups[unit]
        if self.dtype.kind == "O":
            with group.table.open() as file:
                table = group.table.read(file, group.number, self._names)
            return table.slice(group.start, group.n_rows)
        X = np.empty((group.n_rows, self.shape[1]), self.dtype)
        self._decode(group, X)
        return X

    def _some(self, content, start, stop):
        if self.dtype.kind == "O":
            return content.slice(start, stop - start).to_pandas()
        return super()._some(content, start, stop)

    def _decode(self, group: RowGroup, out: np.ndarray) -> None:
        """Write the numbers of a row group to an array, some columns at a time."""
        import pyarrow as pa

        n_stored = group.table.groups[group.number][0]
        step = max(1, _AT_A_TIME // max(1, n_stored))
        with group.table.open() as file:
            for first in range(0, len(self._names), step):
                names = self._names[first : first + step]
                table = group.table.read(file, group.number, names)
                _write_columns(table.slice(group.start, group.n_rows), out, first)
                del table
        pa.default_memory_pool().release_unused()

    # The interface of FileSource ------------------------------------------------------------------

    @property
    def row_bytes(self):
        return self._frame_bytes if self.dtype.kind == "O" else super().row_bytes

    def place(self, row):
        unit, position, _ = self._in_unit(row, row)
        group = self._groups[unit]
        return f"{group.table.path}, row {group.place + position}"

    def _refuse_frames(self):
        others = [name for name, type_ in self._types.items() if not _is_number(type_)]
        listed = ", ".join(f"{name!r} ({self._types[name]})" for name in others[:_N_NAMES])
        raise ValueError(
            f"Not all columns are numbers: {listed}. Encode them, source.transform(encoder) with a "
            "fitted skdeep.TabularEncoder; or choose others with columns=[...]."
        )

    def _can_have_faults(self):
        return True  # missing values

    def fingerprint(self):
        files = [[table.path, *table.state] for table in self._tables]
        return [type(self).__name__, str(self.dtype), *self.shape, self._names, files]


def _chosen_names(first: TableFile, columns: Any, others: list[str]) -> list[str]:
    """Return the names of the columns of X; raise if a column is not in the first file."""
    known = list(first.types())
    if columns is not None and (isinstance(columns, str) or not len(columns)):
        raise InvalidParameterError(f"columns={columns!r} is not allowed; give a list of names.")
    index = (first.schema.pandas_metadata or {}).get("index_columns", [])
    names = [n for n in known if n not in index and n not in others]
    names = names if columns is None else list(columns)
    for name in [*names, *others]:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            more = ", ..." if len(known) > _N_NAMES else ""
            raise InvalidParameterError(
                f"There is no column {name!r} in {first.path!r}{hint} Its columns are "
                f"{', '.join(map(repr, known[:_N_NAMES]))}{more}."
            )
    twice = [name for name, n in Counter([*names, *others]).items() if n > 1]
    if twice:
        raise InvalidParameterError(
            f"The column {twice[0]!r} is named twice among columns, target and weight."
        )
    return names


def _compare(
    tables: Sequence[TableFile],
    names: Sequence[str],
    others: Sequence[str],
    *,
    all_columns: bool,
) -> None:
    """Raise ValueError if a column is missing in a file, or has another type there."""
    first = next((table for table in tables if table.n_rows), tables[0])
    expected = first.types()
    for table in tables:
        types = table.types()
        for name in [*names, *others]:
            if name not in types:
                raise ValueError(
                    f"The column {name!r} is missing in {table.path!r}; {first.path!r} has it."
                )
            # pandas does not know the types of a table without rows.
            if table.n_rows and _plain(types[name]) != _plain(expected[name]):
                raise ValueError(
                    f"The column {name!r} has the type {types[name]} in {table.path!r}, but "
                    f"{expected[name]} in {first.path!r}."
                )
        extra = [name for name in types if name not in expected] if all_columns else []
        if extra and table.n_rows:
            raise ValueError(
                f"The column {extra[0]!r} is missing in {first.path!r}; {table.path!r} has it. "
                "Choose columns by their names: columns=[...]."
            )


def _plain(type_: Any) -> Any:
    """Return a type that is the same for all ways to store the same values."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        return "category", _plain(type_.value_type)
    return pa.string() if pa.types.is_large_string(type_) else type_


def _is_number(type_: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return any(is_kind(type_) for is_kind in kinds)


def _dtype_of(types: Any) -> np.dtype | None:
    """Return the dtype of numbers of these types; None if some are no numbers."""
    import pyarrow as pa

    types = list(types)
    if not all(map(_is_number, types)):
        return None
    empty = [pa.array([], type_).to_numpy(zero_copy_only=False) for type_ in types]
    dtype = np.result_type(*(values.dtype for values in empty))
    # Integers may be missing, too.
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _cut(
    tables: Sequence[TableFile], n_columns: int, dtype: np.dtype, memory_limit: int
) -> list[RowGroup]:
    """Return the row groups, those of numbers in parts if they are too large."""
    row_bytes = max(1, n_columns * dtype.itemsize)
    n_at_most = max(1, int(memory_limit * SHARE_OF_UNIT / row_bytes))
    groups: list[RowGroup] = []
    largest = (1, 0, 0, "")
    for table in tables:
        place = 0
        for number, (n_rows, _) in enumerate(table.groups):
            if not n_rows:
                continue
            n_parts = 1 if dtype.kind == "O" else ceil(n_rows / n_at_most)
            largest = max(largest, (n_parts, n_rows, number, table.path))
            borders = np.linspace(0, n_rows, n_parts + 1).astype(int).tolist()
            for start, stop in pairwise(borders):
                groups.append(RowGroup(table, number, place + start, start, stop - start))
            place += n_rows
    if largest[0] > 1:
        n_parts, n_rows, number, path = largest
        size, limit = amount(n_rows * row_bytes), amount(memory_limit)
        warn_user(
            f"Row group {number} of {path!r} has {n_rows:,} rows, which take {size}: more than a "
            f"sixth of memory_limit={limit}. It is read in {n_parts} parts, each of which takes "
            f"the time of the whole. Write it with row_group_size={n_at_most:,}, or raise "
            "memory_limit."
        )
    return groups


def _write_columns(table: Any, out: np.ndarray, first: int) -> None:
    """Write columns of numbers to the columns of an array from the first on."""
    columns = np.empty((table.num_columns, len(out)), out.dtype)
    with np.errstate(over="ignore"):  # a check finds what became infinite
        for j, column in enumerate(table.columns):
            columns[j] = _numbers(column)
    out[:, first : first + len(columns)] = columns.T


def _numbers(column: Any) -> np.ndarray:
    """Return a column of numbers, in which missing values are NaN."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type) and column.null_count:
        column = column.cast(pa.int8())
    return column.to_numpy()


def _values(column: Any) -> np.ndarray:
    """Return a column as numbers, or as Python objects if it has others."""
    import pyarrow as pa

    if _is_number(column.type):
        return _numbers(column)
    parts = [np.empty(0, object)]
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        values = np.array([*encoded.dictionary.to_pylist(), None], object)
        codes = encoded.indices.cast(pa.int64()).fill_null(len(values) - 1)
        parts.append(values[codes.to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)
