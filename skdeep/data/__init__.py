"""Sources: rows of X that are larger than memory, for `fit` and `predict`.

A source stands for the rows of files, or for the chunks that a function gives. Training reads them
piece by piece, within a limit of memory.
"""

from skdeep.data.formats.chunks import Chunks
from skdeep.data.formats.npy import Memmap, NpyShards
from skdeep.data.formats.parquet import Parquet
from skdeep.data.formats.sparse import SparseShards
from skdeep.data.sources.base import Source
from skdeep.data.sources.subsets import hash_split
from skdeep.data.sources.transformed import fit_transformer

__all__ = [
    "Chunks",
    "Memmap",
    "NpyShards",
    "Parquet",
    "Source",
    "SparseShards",
    "fit_transformer",
    "hash_split",
]
