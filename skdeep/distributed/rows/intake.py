"""What the user gives as X, y and weights: collections of Dask, or rows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array

from skdeep.data.sources.checks import refuse_source
from skdeep.data.sources.rows import chosen_rows
from skdeep.data.training_data import refuse_several
from skdeep.distributed.cluster import Cluster
from skdeep.distributed.rows.chunks import Chunks
from skdeep.distributed.rows.probes import rows_of_partition

if TYPE_CHECKING:
    from distributed import Future

# Rows from memory are cut into this number of chunks for each worker, so that some can move.
_CHUNKS_OF_WORKER = 4


def chunks_of(X: Any, cluster: Cluster, name: str = "X", is_raw: bool = False) -> Chunks:
    """Return the chunks of X: a dask array, a dask data frame, or rows in memory.

    With is_raw=True, an estimator encodes the rows, which may have gaps and categories.
    """
    from dask import is_dask_collection

    refuse_source(X, "distributed.fit", "make a Dask array of the files, or call estimator.fit")
    if not is_dask_collection(X):
        return _of_memory(X, cluster, name, is_raw)
    kind = type(X)  # an object that is delayed has every attribute
    if hasattr(kind, "numblocks"):
        return _of_array(X, cluster, name, is_raw)
    if hasattr(kind, "npartitions") and hasattr(kind, "columns") and X.ndim == 2:
        return _of_frame(X, cluster, name, is_raw)
    raise ValueError(
        f"{name} is a {kind.__name__}; give a dask.array.Array or a dask.dataframe.DataFrame with "
        "a row for each sample, or rows in memory."
    )


def _of_array(X: Any, cluster: Cluster, name: str, is_raw: bool) -> Chunks:
    refuse_several(X)
    if X.ndim != 2:
        raise ValueError(
            f"{name} has the shape {X.shape}, and 2 dimensions are expected. For a single column, "
            f"give {name}.reshape(-1, 1)."
        )
    if np.isnan(X.shape[0]):
        raise ValueError(
            f"{name} has chunks of unknown size: its shape is {X.shape}. Call "
            f"{name}.compute_chunk_sizes() first, or df.to_dask_array(lengths=True)."
        )
    if X.numblocks[1] > 1:
        raise ValueError(
            f"{name} has {X.numblocks[1]} chunks of columns, and each chunk has to hold whole "
            f"rows: {name} = {name}.rechunk({{1: -1}})."
        )
    dtype = np.dtype(X.dtype)
    if not is_raw and dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has the dtype {dtype}, and numbers are needed: {name}.astype('float32')."
        )
    futures = cluster.client.compute(X.to_delayed().ravel().tolist(), optimize_graph=False)
    about = {"n_columns": X.shape[1], "dtype": dtype, "is_raw": is_raw}
    return Chunks(cluster, futures, name=name, unit="chunk", token=X.name, **about)


def _of_frame(X: Any, cluster: Cluster, name: str, is_raw: bool) -> Chunks:
    columns, dtypes = list(X.columns), list(X.dtypes)
    dtype = np.dtype(object) if is_raw else common_dtype(columns, dtypes, name)
    partitions = cluster.client.compute(X.to_delayed())
    futures = cluster.client.map(
        rows_of_partition,
        partitions,
        range(len(partitions)),
        name=name,
        columns=columns,
        dtypes=dtypes,
        dtype=dtype,
        pure=False,
        key="skdeep-rows",
    )
    about = {"n_columns": len(columns), "dtype": dtype, "columns": columns, "is_raw": is_raw}
    return Chunks(cluster, futures, name=name, unit="partition", token=X._name, **about)


def common_dtype(columns: Sequence[Any], dtypes: Sequence[Any], name: str) -> np.dtype:
    """Return the dtype of the array that holds all columns; raise if some are not numbers."""
    from pandas.api.types import is_numeric_dtype

    others = [
        f"{c!r} ({d})" for c, d in zip(columns, dtypes, strict=True) if not is_numeric_dtype(d)
    ]
    if others:
        raise ValueError(
            f"{name} has columns that are not numbers: {', '.join(others)}. Encode them, leave "
            "them out, or choose TabularClassifier or TabularRegressor."
        )
    plain = [d if isinstance(d, np.dtype) else np.dtype(np.float64) for d in dtypes]
    return np.result_type(*plain)


def _of_memory(X: Any, cluster: Cluster, name: str, is_raw: bool) -> Chunks:
    """Send rows in memory to the workers, piece by piece."""
    refuse_several(X)
    columns = list(X.columns) if hasattr(X, "columns") else None
    if not is_raw:
        X = check_array(X, accept_sparse="csr", dtype="numeric", input_name=name)
    elif hasattr(X, "to_pandas"):
        X = X.to_pandas()
    elif not hasattr(X, "iloc"):
        X = X.tocsr() if sp.issparse(X) else check_array(X, dtype=None, ensure_all_finite=False)
    n_workers, n_rows = len(cluster.workers()), X.shape[0]
    n_chunks = min(n_rows, _CHUNKS_OF_WORKER * n_workers)
    bounds = np.linspace(0, n_rows, n_chunks + 1).astype(int)

    def send(i: int) -> Future:
        rows, alive = np.arange(bounds[i], bounds[i + 1]), cluster.some_workers()
        worker = alive[i * len(alive) // n_chunks]
        return cluster.client.scatter(chosen_rows(X, rows), workers=[worker], hash=False)

    return Chunks(
        cluster,
        [send(i) for i in range(n_chunks)],
        name=name,
        unit="chunk",
        token=joblib.hash(X),
        columns=columns,
        send=send,
        is_raw=is_raw,
    )


# Targets and weights ------------------------------------------------------------------------------


def gathered(values: Any, chunks: Chunks, name: str) -> Any:
    """Return targets or weights in memory; raise if their chunks are not those of X."""
    from dask import is_dask_collection

    if values is None or not is_dask_collection(values):
        return values
    if not hasattr(type(values), "to_delayed") or not values.ndim:
        raise ValueError(
            f"{name} is a {type(values).__name__}; give an array or a data frame of Dask with the "
            f"row chunks of {chunks.name}, or an array in memory."
        )
    if hasattr(values, "numblocks") and values.ndim > 1:
        values = values.rechunk({1: -1})
    known = getattr(values, "chunks", ((np.nan,),))[0]
    if not np.isnan(known).any():
        _check_lengths(list(known), chunks, name)
    client = chunks.cluster.client
    delayed = values.to_delayed()
    futures = client.compute(list(delayed.ravel() if isinstance(delayed, np.ndarray) else delayed))
    parts = chunks.cluster.results(futures)
    _check_lengths([len(part) for part in parts], chunks, name)
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    import pandas as pd

    return pd.concat(parts)


def _check_lengths(lengths: list[int], chunks: Chunks, name: str) -> None:
    """Raise if a chunk has another number of rows than that of X."""
    unit = chunks.unit
    for i, (n, n_of_X) in enumerate(zip(lengths, chunks.n_rows, strict=False)):
        if n != n_of_X:
            raise ValueError(
                f"{chunks.name} and {name} do not belong together: {unit} {i} has {n_of_X} rows in "
                f"{chunks.name} and {n} in {name}. Both need the same {unit}s of rows."
            )
    if len(lengths) != len(chunks):
        raise ValueError(
            f"{chunks.name} and {name} do not belong together: {chunks.name} has {len(chunks)} "
            f"{unit}s of rows and {name} has {len(lengths)}."
        )
