"""The base class of sources: rows outside of memory, which are read piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.network import Network
from skdeep.training.batches import BatchSource


class Source:
    """Rows of X that are not in memory: base class.

    A source stands for X in `fit`, in `predict` and as X_val. The targets and the weights of all
    rows are in memory.

    Attributes
    ----------
    shape : tuple of (int, int)
    dtype : numpy.dtype
        The type of the numbers; object if the rows are those of a data frame.
    feature_names : list of str or None
        The names of the columns, if they have names.
    is_sparse : bool
        Whether the rows are read as CSR matrices.
    y : array or None
        The targets of all rows, if the source has them.
    sample_weight : ndarray of shape (n_rows,) or None
        The weights of all rows, if the source has them.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    feature_names: list[str] | None = None
    is_sparse = False
    y: Any = None
    sample_weight: np.ndarray | None = None
    ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError(
            f"{type(self).__name__} has rows that are not in memory, and an array is needed here. "
            "source.take(rows) returns some of them. Estimators of skdeep take the source itself, "
            "and source.transform(transformer) transforms its rows."
        )

    # Otherwise NumPy and list() would take it for an empty sequence.
    __iter__ = __array__

    def __getitem__(self, rows: np.ndarray | slice) -> Source:
        """Return a source of some of the rows, given their positions, a mask or a slice."""
        raise NotImplementedError

    def astype(self, dtype: np.dtype) -> Source:
        """Return a source whose rows are converted to a dtype when they are read.

        Parameters
        ----------
        dtype : dtype

        Returns
        -------
        Source
        """
        raise NotImplementedError

    def take(self, rows: np.ndarray) -> Any:
        """Return some rows in memory.

        Parameters
        ----------
        rows : array-like of int, or mask
            The positions of the rows, in any order.

        Returns
        -------
        ndarray, CSR matrix or DataFrame
        """
        raise NotImplementedError

    def fitted(self, transformer: Any, sample_weight: np.ndarray | None = None) -> Any:
        """Return a copy of a transformer, fitted to all rows with its `partial_fit`."""
        raise NotImplementedError

    def transform(self, transformer: Any) -> Source:
        """Return a source whose rows go through a fitted transformer."""
        raise NotImplementedError

    def check(self) -> None:
        """Read all rows once; raise ValueError that names the place of the first fault."""
        raise NotImplementedError

    def fingerprint(self) -> Any:
        """Return plain data that tells these rows from others, for the names of checkpoints."""
        raise NotImplementedError

    def split_rows(
        self, n_rows: int, fraction: float, seed: int, stratify: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of training and validation rows among n_rows, in memory."""
        raise NotImplementedError

    def batches(
        self,
        targets: Any,
        weight: np.ndarray | None,
        batch_size: int,
        rng: np.random.Generator | None,
        dtype: np.dtype,
        *,
        sparse: bool,
        rows: np.ndarray | None,
    ) -> BatchSource:
        """Return the batches to train on, with the arguments of `Batches`."""
        raise NotImplementedError

    def outputs(self, network: Network) -> np.ndarray:
        """Return the raw outputs of a network for all rows."""
        raise NotImplementedError
