"""Files of tables that pyarrow reads group by group: Parquet and Arrow. Needs pyarrow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from skdeep._component import InvalidParameterError, needs
from skdeep.data.sources.paths import is_path, list_files

_PARQUET, _ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")


class TableFile:
    """A file of a table, which has to stay as it is: base class.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem
    path : str
    constants : dict of str to value
        The columns that the path tells, as in "year=2024/part-0.parquet".

    Attributes
    ----------
    groups : list of (int, int)
        The rows and the bytes of every group of rows.
    schema : pyarrow.Schema
    """

    kind: str

    def __init__(self, filesystem: Any, path: str, constants: dict[str, Any]):
        self.filesystem, self.path, self.constants = filesystem, path, constants
        self.state = self._state()
        with self.open() as file:
            self.groups, self.schema = self._header(file)
        self.n_rows = sum(n_rows for n_rows, _ in self.groups)
        for name, n in Counter(self.schema.names).items():
            if n > 1:
                raise ValueError(f"{path!r} has several columns with the name {name!r}.")

    def _header(self, file: Any) -> tuple[list[tuple[int, int]], Any]:
        """Return the groups and the schema of an open file."""
        raise NotImplementedError

    def _columns(self, file: Any, number: int, names: list[str]) -> Any:
        """Return columns of a group of an open file, as a table of Arrow."""
        raise NotImplementedError

    def _reader(self, handle: Any) -> Any:
        """Return the object that reads from an open file."""
        raise NotImplementedError

    def _state(self) -> tuple:
        info = self.filesystem.get_file_info(self.path)
        return info.size, info.mtime_ns

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Open the file; raise ValueError if it was changed, or if it can't be read."""
        import pyarrow as pa

        if self._state() != self.state:
            raise ValueError(
                f"The file {self.path!r} was changed after the source was made; make the source "
                "again."
            )
        try:
            with self.filesystem.open_input_file(self.path) as handle:
                yield self._reader(handle)
        except (FileNotFoundError, MemoryError):
            raise
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{self.path!r} can't be read as a file of {self.kind}: {error}"
            ) from error

    def types(self) -> dict[str, Any]:
        """Return the types of the columns by their names."""
        import pyarrow as pa

        given = {name: pa.scalar(value).type for name, value in self.constants.items()}
        return dict(zip(self.schema.names, self.schema.types, strict=True)) | given

    def read(self, file: Any, number: int, names: Sequence[str]) -> Any:
        """Return columns of a group of an open file, also those that the path tells."""
        import pyarrow as pa

        table = self._columns(file, number, [n for n in names if n not in self.constants])
        n_rows = self.groups[number][0]
        columns = [
            pa.repeat(pa.scalar(self.constants[name]), n_rows)
            if name in self.constants
            else table.column(name)
            for name in names
        ]
        return pa.table(dict(zip(names, columns, strict=True)))


class ParquetFile(TableFile):
    """A Parquet file, which has row groups."""

    kind = "Parquet"

    def _reader(self, handle):
        import pyarrow.parquet as pq

        return pq.ParquetFile(handle, pre_buffer=False)

    def _header(self, file):
        groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
        return [(group.num_rows, group.total_byte_size) for group in groups], file.schema_arrow

    def _columns(self, file, number, names):
        return file.read_row_group(number, columns=names)


class ArrowFile(TableFile):
    """A file in Arrow's own format (IPC, Feather), which has batches of records."""

    kind = "Arrow"

    def _reader(self, handle):
        return handle

    def _header(self, file):
        import pyarrow as pa

        schema = pa.ipc.open_file(file).schema
        few = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=[0]))
        sizes = [few.get_batch(i).num_rows for i in range(few.num_record_batches)]
        bytes_of_row = self.state[0] / max(1, sum(sizes))
        return [(n_rows, int(n_rows * bytes_of_row)) for n_rows in sizes], schema

    def _columns(self, file, number, names):
        import pyarrow as pa

        fields = [self.schema.names.index(name) for name in names]
        reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))
        return pa.Table.from_batches([reader.get_batch(number)])


def table_files(path: Any) -> list[TableFile]:
    """Return the files of a path, a pattern, a folder, a list or a dataset."""
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError(needs("Parquet", "pyarrow", "arrow")) from error
    dataset = path if isinstance(path, ds.Dataset) else _dataset(path)
    try:
        fragments = list(dataset.get_fragments())
    except ValueError as error:
        raise InvalidParameterError(
            f"The dataset can't be read file by file: {error} Rows are chosen by source[mask]."
        ) from error
    files = []
    for fragment in fragments:
        format_ = getattr(fragment, "format", None)
        kind = {ds.ParquetFileFormat: ParquetFile, ds.IpcFileFormat: ArrowFile}.get(type(format_))
        if kind is None or not isinstance(fragment, ds.FileFragment):
            raise InvalidParameterError(
                f"The dataset has parts that are no files of Parquet or Arrow, such as "
                f"{fragment!r}. Write it to Parquet: pyarrow.dataset.write_dataset(dataset, "
                "folder, format='parquet')."
            )
        constants = ds.get_partition_keys(fragment.partition_expression)
        files.append(kind(fragment.filesystem, fragment.path, constants))
    if not files:
        raise ValueError("The dataset has no files; at least one is required.")
    return files


def _dataset(path: Any) -> Any:
    """Return the dataset of a path, a pattern, a folder or a list."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    files = list_files(path, [*_PARQUET, *_ARROW], "path", deep=True)
    is_arrow = all(name.endswith(_ARROW) for name in files)
    base = os.path.abspath(path) if is_path(path) and os.path.isdir(path) else None
    layout = {} if base is None else {"partitioning": "hive", "partition_base_dir": base}
    kind = "ipc" if is_arrow else "parquet"
    try:
        return ds.dataset(list(map(os.path.abspath, files)), format=kind, **layout)
    except pa.ArrowInvalid as error:
        name = ArrowFile.kind if is_arrow else ParquetFile.kind
        raise ValueError(f"{files[0]!r} can't be read as a file of {name}: {error}") from error
