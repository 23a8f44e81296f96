"""CSR matrices in files of SciPy."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdeep.data.formats.npy import check_same, per_row
from skdeep.data.sources.files import WholeUnits
from skdeep.data.sources.paths import File, list_files
from skdeep.data.sources.rows import checked_dtype, refuse_large_unit

_UNREADABLE = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class SparseFile(File):
    """A sparse matrix in a .npz file, of which only the headers are read at first."""

    def __init__(self, path: str):
        super().__init__(path)
        try:
            with zipfile.ZipFile(path) as archive:
                archive.getinfo("format.npy")  # only a file of a sparse matrix has it
                with archive.open("shape.npy") as member:
                    shape = tuple(np.lib.format.read_array(member, allow_pickle=False).tolist())
                n_stored, self.stored = _header(archive, "data")
                names = archive.namelist()
                name = next(n for n in ("indices", "row", "data") if f"{n}.npy" in names)
                _, indices = _header(archive, name)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        if len(shape) != 2:
            raise ValueError(f"{path!r} has the shape {shape}, and 2 dimensions are required.")
        checked_dtype(self.stored, repr(path))
        self.shape: tuple[int, int] = shape
        self.n_bytes = n_stored * (self.stored.itemsize + indices.itemsize) + 8 * shape[0]

    def load(self) -> sp.csr_matrix:
        """Return the matrix."""
        self.check()
        try:
            X = sp.csr_matrix(sp.load_npz(self.path))
            X.check_format(full_check=True)  # compiled code trusts indices
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        if X.shape != self.shape:
            raise ValueError(f"{self.name!r} has the shape {X.shape}, and not {self.shape}.")
        return X

    def _unreadable(self, error: Exception) -> ValueError:
        return ValueError(
            f"{self.name!r} can't be read as a sparse matrix: {error}. Write it with "
            "scipy.sparse.save_npz."
        )


def _header(archive: zipfile.ZipFile, name: str) -> tuple[int, np.dtype]:
    """Return the size and the dtype of an array in a .npz file."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return prod(shape), dtype


class SparseShards(WholeUnits):
    """The rows of several files of sparse matrices, one after the other, which stay sparse.

    The headers of all files are checked before any row is read.

    Parameters
    ----------
    files : str, path or list of paths
        Files of `scipy.sparse.save_npz`: a pattern such as `"folder/X-*.npz"`, a folder, or a list.
        The files of a pattern or of a folder are in natural order ("X-9.npz" before "X-10.npz"),
        those of a list in the order of the list. A file may have no rows. CSR is read fastest.
    y : str, path, list of paths, or array-like, default=None
        The targets of all rows: an array, or .npy files. There is one file for all rows, or one
        for each file of X, in the same order.
    sample_weight : str, path, list of paths, or array-like, default=None
        The weights of all rows, given as y.
    memory_limit : int or str, default="1GB"
        The memory for training: a number of bytes, or text such as "600MB" or "2GiB". No file may
        take more than a third of it.
    """

    is_sparse = True

    def __init__(self, files: Any, y: Any = None, sample_weight: Any = None, *, memory_limit="1GB"):
        self._shards = [SparseFile(path) for path in list_files(files, [".npz"], "files")]
        check_same(self._shards)
        first, sizes = self._shards[0], [(shard.name, shard.shape[0]) for shard in self._shards]
        y, weight = per_row(y, sizes, "y"), per_row(sample_weight, sizes, "sample_weight")
        self._set_up(
            [n_rows for _, n_rows in sizes],
            first.shape[1],
            checked_dtype(first.stored, first.name),
            memory_limit,
            y,
            weight,
        )
        for shard in self._shards:
            refuse_large_unit(repr(shard.name), shard.n_bytes, self.memory_limit)

    @property
    def row_bytes(self):
        return sum(shard.n_bytes for shard in self._shards) / self.shape[0]

    def _load(self, unit):
        return self._shards[unit].load()

    def _name(self, unit):
        return self._shards[unit].name

    def _can_have_faults(self):
        return self._shards[0].stored.kind == "f"

    def fingerprint(self):
        shards = [shard.fingerprint() for shard in self._shards]
        return [type(self).__name__, str(self.dtype), shards]
