"""Matrices in files of NumPy: one memory map or array, and shards.

Rows of a file are read by reads of the file. A memory map would count every row that was touched
as memory of the process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import joblib
import numpy as np
import scipy.sparse as sp

from skdeep._component import InvalidParameterError
from skdeep.data.sources.files import SHARE_OF_BLOCK, FileSource
from skdeep.data.sources.paths import File, existing_file, is_path, list_files
from skdeep.data.sources.rows import aligned, checked_dtype

# The bytes that are read at a time if they have to be converted.
_SCRATCH = 2**20
# The bytes of a line of the processor's cache: so many columns are written side by side.
_LINE = 64


class RowFile(File):
    """A matrix in a file.

    Parameters
    ----------
    path : str
    offset : int
        The position of the first number in the file.
    shape : tuple of (int, int)
    strides : tuple of (int, int)
        The bytes from one row to the next, and from one column to the next. One of them is the
        size of a number.
    dtype : numpy.dtype
        The type of the numbers in the file, with its byte order.
    """

    is_sparse = False

    def __init__(self, path: str, offset: int, shape: tuple, strides: tuple, dtype: np.dtype):
        super().__init__(path)
        self.offset, self.shape, self.strides, self.stored = offset, shape, strides, dtype
        last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        needed = offset + last + dtype.itemsize if min(shape) else offset
        if self.size < needed:
            raise ValueError(
                f"The file {path!r} is truncated: a matrix of shape {shape} and dtype {dtype} "
                f"ends at byte {needed:,}, and the file has {self.size:,}."
            )

    @property
    def row_bytes(self) -> int:
        """The bytes of the numbers of a row."""
        return self.shape[1] * self.stored.itemsize

    @property
    def is_by_columns(self) -> bool:
        """Whether the numbers of a column are next to each other, and those of a row are not."""
        return self.strides[1] != self.stored.itemsize

    def read_into(self, start: int, stop: int, out: np.ndarray) -> None:
        """Write rows to an array, whose dtype they are converted to."""
        is_same = self.stored == out.dtype and out.flags.c_contiguous
        with self.open() as file:
            if is_same and self.strides == (self.row_bytes, self.stored.itemsize):
                self._fill(file, start * self.row_bytes, out)
            elif self.is_by_columns:
                self._read_columns(file, start, stop, out)
            else:
                self._read_rows(file, start, stop, out)

    def _read_rows(self, file: BinaryIO, start: int, stop: int, out: np.ndarray) -> None:
        """Read rows whose numbers are next to each other."""
        step = max(1, _SCRATCH // self.strides[0])
        room = np.empty(step * self.strides[0] + self.row_bytes, np.uint8)
        for first in range(start, stop, step):
            n = min(step, stop - first)
            n_bytes = (n - 1) * self.strides[0] + self.row_bytes
            self._fill(file, first * self.strides[0], room[:n_bytes])
            rows = np.ndarray((n, self.shape[1]), self.stored, room, strides=self.strides)
            _convert(rows, out[first - start : first - start + n])

    def _read_columns(self, file: BinaryIO, start: int, stop: int, out: np.ndarray) -> None:
        """Read columns whose numbers are next to each other, several of them at a time."""
        width = max(1, _LINE // self.stored.itemsize)
        step = max(1, _SCRATCH // _LINE)
        room = np.empty((width, min(step, stop - start)), self.stored)
        for first in range(start, stop, step):
            n = min(step, stop - first)
            for left in range(0, self.shape[1], width):
                columns = room[: min(width, self.shape[1] - left), :n]
                for j, column in enumerate(columns, left):
                    position = j * self.strides[1] + first * self.stored.itemsize
                    self._fill(file, position, column)
                rows = slice(first - start, first - start + n)
                _convert(columns.T, out[rows, left : left + len(columns)])

    def _fill(self, file: BinaryIO, position: int, out: np.ndarray) -> None:
        """Read the bytes of an array, which begin at a position behind the offset."""
        if not out.size:
            return
        file.seek(self.offset + position)
        room = memoryview(out.reshape(-1).view(np.uint8))
        while len(room):
            n_read = file.readinto(room)
            if not n_read:
                raise ValueError(f"The file {self.name!r} ended while its rows were read.")
            room = room[n_read:]

    def fingerprint(self) -> list:
        layout = [self.offset, *self.shape, *self.strides, self.stored.str]
        return [*super().fingerprint(), *layout]


class RowArray:
    """A matrix in memory, or in an object that gives rows as arrays, such as a data set of HDF5."""

    name = ""
    is_by_columns = False

    def __init__(self, X: Any):
        self.X = X
        self.is_sparse = sp.issparse(X)
        self.shape, self.stored = tuple(X.shape), np.dtype(X.dtype)

    @property
    def row_bytes(self) -> float:
        if not self.is_sparse:
            return self.shape[1] * self.stored.itemsize
        n_bytes = self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes
        return max(1, n_bytes / max(1, self.shape[0]))

    def read(self, start: int, stop: int) -> Any:
        rows = self.X[start:stop]
        return rows.copy() if self.is_sparse else np.array(rows)

    def read_into(self, start: int, stop: int, out: np.ndarray) -> None:
        _convert(np.asarray(self.X[start:stop]), out)

    def fingerprint(self) -> list:
        step = max(1, int(_SCRATCH / self.row_bytes))
        parts = [joblib.hash(self.read(i, i + step)) for i in range(0, self.shape[0], step)]
        return [*self.shape, joblib.hash(parts)]


class MatrixSource(FileSource):
    """Matrices that follow each other, each of which is a unit: base class."""

    def _set_matrices(
        self, matrices: Sequence[RowFile | RowArray], memory_limit: Any, y: Any, weight: Any
    ) -> None:
        first = matrices[0]
        self._matrices = matrices
        self.is_sparse = first.is_sparse
        sizes = [matrix.shape[0] for matrix in matrices]
        dtype = checked_dtype(first.stored, first.name or "X")
        self._set_up(sizes, first.shape[1], dtype, memory_limit, y, weight)

    @property
    def row_bytes(self):
        if not self.is_sparse:
            return super().row_bytes
        return self._matrices[0].row_bytes

    @property
    def block_rows(self):
        if not self._matrices[0].is_by_columns:
            return super().block_rows
        # A block is read column by column, so long columns save reads.
        return max(1, int(self.memory_limit * SHARE_OF_BLOCK / self.row_bytes))

    def _read(self, unit, start, stop):
        matrix = self._matrices[unit]
        if self.is_sparse:
            return matrix.read(start, stop)
        X = np.empty((stop - start, self.shape[1]), self.dtype)
        matrix.read_into(start, stop, X)
        return X

    def _read_into(self, unit, start, stop, out):
        self._matrices[unit].read_into(start, stop, out)

    def _name(self, unit):
        return self._matrices[unit].name

    def _can_have_faults(self):
        return self._matrices[0].stored.kind == "f"

    def fingerprint(self):
        matrices = [matrix.fingerprint() for matrix in self._matrices]
        return [type(self).__name__, str(self.dtype), matrices]


class Memmap(MatrixSource):
    """The rows of a `numpy.memmap`, of a .npy file, or of an array.

    Rows of a file are read from the file, so the memory map itself takes no memory. Files in
    Fortran order are read too, but more slowly.

    Parameters
    ----------
    X : memmap, path, array or CSR matrix of shape (n_rows, n_columns)
        A path is that of a .npy file. An array may be any object with `shape`, `dtype` and slices
        of rows, such as a data set of h5py.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        The targets, in memory.
    sample_weight : array-like of shape (n_rows,), default=None
        The weights of the rows, in memory.
    memory_limit : int or str, default="1GB"
        The memory for training: a number of bytes, or text such as "600MB" or "2GiB".

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.data import Memmap
    >>> source = Memmap(np.arange(12.0).reshape(6, 2), y=[0, 1, 0, 1, 0, 1])
    >>> source
    <Memmap: 6 rows x 2 columns of float64>
    >>> source.take([5, 0])
    array([[10., 11.],
           [ 0.,  1.]])
    >>> training, validation = source.split(0.3)
    >>> validation.y
    array([1, 0, 1])
    """

    def __init__(self, X: Any, y: Any = None, sample_weight: Any = None, *, memory_limit="1GB"):
        matrix = read_header(existing_file(X, "X")) if is_path(X) else _matrix_of(X)
        self._set_matrices([matrix], memory_limit, y, sample_weight)


class NpyShards(MatrixSource):
    """The rows of several .npy files, one after the other.

    The headers of all files are checked before any row is read.

    Parameters
    ----------
    X_files : str, path or list of paths
        The files: a pattern such as `"folder/X-*.npy"`, a folder, or a list. The files of a pattern
        or of a folder are in natural order ("X-9.npy" before "X-10.npy"), those of a list in the
        order of the list. A file may have no rows.
    y : str, path, list of paths, or array-like, default=None
        The targets of all rows: an array, or .npy files. There is one file for all rows, or one
        for each file of X, in the same order.
    sample_weight : str, path, list of paths, or array-like, default=None
        The weights of all rows, given as y.
    memory_limit : int or str, default="1GB"
        The memory for training: a number of bytes, or text such as "600MB" or "2GiB".
    """

    def __init__(
        self, X_files: Any, y: Any = None, sample_weight: Any = None, *, memory_limit="1GB"
    ):
        shards = [read_header(path) for path in list_files(X_files, [".npy"], "X_files")]
        check_same(shards)
        sizes = [(shard.name, shard.shape[0]) for shard in shards]
        y, weight = per_row(y, sizes, "y"), per_row(sample_weight, sizes, "sample_weight")
        self._set_matrices(shards, memory_limit, y, weight)


def check_same(shards: Sequence[RowFile]) -> None:
    """Raise ValueError if files have other columns, or numbers of another type, than the first."""
    first = shards[0]
    for shard in shards[1:]:
        if shard.shape[1] != first.shape[1]:
            raise ValueError(
                f"{shard.name!r} has {shard.shape[1]} columns, but {first.name!r} has "
                f"{first.shape[1]}."
            )
        if shard.stored != first.stored:
            raise ValueError(
                f"{shard.name!r} has the dtype {shard.stored}, but {first.name!r} has "
                f"{first.stored}. Convert the files to one dtype."
            )


def per_row(values: Any, sizes: Sequence[tuple[str, int]], what: str) -> Any:
    """Return the values of all rows, which may be in files; `sizes` has the files of X."""
    if not _are_files(values):
        return values
    files = list_files(values, [".npy"], what)
    if len(files) not in (1, len(sizes)):
        raise ValueError(
            f"{what} has {len(files)} files for {len(sizes)} files of X; give one for each, or one "
            "for all."
        )
    parts = [_load_values(path) for path in files]
    if len(files) == len(sizes):
        for path, part, (name, n_rows) in zip(files, parts, sizes, strict=True):
            aligned(part, n_rows, f"{what} ({path!r}), which belongs to {name!r},")
    return joined(parts, list(map(repr, files)))


def joined(parts: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return targets or weights as one array; raise ValueError if the parts are of two kinds."""
    first = parts[0]
    for name, part in zip(names[1:], parts[1:], strict=True):
        is_text, was_text = (values.dtype.kind not in "biuf" for values in (part, first))
        if part.shape[1:] != first.shape[1:] or is_text != was_text:
            raise ValueError(
                f"{name} has the dtype {part.dtype} and rows of shape {part.shape[1:]}, but "
                f"{names[0]} has {first.dtype} and {first.shape[1:]}."
            )
    return np.concatenate(parts)


def _are_files(values: Any) -> bool:
    """Whether targets are given by files; a list of text may be the targets themselves."""
    if is_path(values):
        return True
    return (
        isinstance(values, (list, tuple))
        and bool(values)
        and all(is_path(value) and os.fspath(value).endswith(".npy") for value in values)
    )


def _load_values(path: str) -> np.ndarray:
    """Return a small array of a .npy file."""
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path!r} can't be read as a .npy file: {error}") from error


def read_header(path: str) -> RowFile:
    """Return the matrix in a .npy file, of which only the header is read."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:  # the version for names of fields
                raise ValueError(f"version {version} is for structured arrays")
            shape, is_fortran, dtype = read(file)
        except ValueError as error:
            raise ValueError(
                f"{path!r} is not a .npy file of numbers: {error}. Write it with numpy.save; a "
                "file of numbers alone is given as numpy.memmap(path, dtype, 'r', shape=(n_rows, "
                "n_columns))."
            ) from error
        offset = file.tell()
    checked_dtype(dtype, repr(path))
    _check_matrix(shape, repr(path), f"Memmap(numpy.load({path!r}, mmap_mode='r').reshape(")
    n = dtype.itemsize
    strides = (n, n * shape[0]) if is_fortran else (n * shape[1], n)
    return RowFile(path, offset, shape, strides, dtype)


def _check_matrix(shape: tuple, where: str, reshaped: str = "X.reshape(") -> None:
    """Raise ValueError if an array is not a matrix."""
    if len(shape) != 2:
        new = "-1, 1" if len(shape) < 2 else f"{shape[0]}, -1"
        end = ")" if reshaped.startswith("Memmap") else ""
        raise ValueError(
            f"{where} has the shape {shape}, and 2 dimensions are required: one row of numbers for "
            f"each sample, as of {reshaped}{new}){end}."
        )


def _matrix_of(X: Any) -> RowFile | RowArray:
    """Return the matrix in an array, which is read from its file if it is in one."""
    if hasattr(X, "iloc") or hasattr(X, "columns"):
        raise InvalidParameterError(
            "X is a data frame, which is in memory: give it to fit as it is."
        )
    if sp.issparse(X):
        X = X.tocsr()
    elif not _gives_rows(X):
        X = np.asarray(X)
    checked_dtype(X.dtype, "X")
    _check_matrix(tuple(X.shape), "X")
    return _file_of(X) or RowArray(X)


def _gives_rows(X: Any) -> bool:
    """Whether an object has a shape, a dtype of NumPy, and gives rows."""
    try:
        np.dtype(X.dtype)
    except (AttributeError, TypeError):
        return False
    return hasattr(X, "shape") and hasattr(X, "__getitem__")


def _convert(rows: np.ndarray, out: np.ndarray) -> None:
    """Write numbers to an array of another dtype."""
    with np.errstate(over="ignore"):  # a check finds what became infinite
        out[...] = rows


def _file_of(X: Any) -> RowFile | None:
    """Return the matrix in the file of a memory map, or of a view of one; None if there is none."""
    direct = X
    while isinstance(direct, np.ndarray) and isinstance(direct.base, np.ndarray):
        direct = direct.base
    if not isinstance(direct, np.memmap) or direct.mode == "c" or not min(X.shape):
        return None
    if direct.filename is None or not os.path.isfile(direct.filename):
        return None
    n, strides = X.dtype.itemsize, X.strides
    by_rows = strides[1] == n and strides[0] >= n * X.shape[1]
    by_columns = strides[0] == n and strides[1] >= n * X.shape[0]
    if not (by_rows or by_columns):
        return None
    if direct.mode != "r":
        direct.flush()
    offset = direct.offset + X.ctypes.data - direct.ctypes.data
    return RowFile(os.fspath(direct.filename), offset, X.shape, strides, X.dtype)
