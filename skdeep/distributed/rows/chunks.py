"""Chunks: the rows of X on the workers, and the checks of them that name a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skdeep.distributed.cluster import Cluster, ClusterError
from skdeep.distributed.rows.probes import Probe, fits, look_at

if TYPE_CHECKING:
    from distributed import Future

# The number of times that tasks on chunks are begun, if chunks are lost.
_ATTEMPTS = 4
_ARRAYS = ("ndarray", "memmap", "csr_matrix", "csr_array")


class Chunks:
    """The rows of X, as futures of arrays, CSR matrices or data frames.

    Parameters
    ----------
    cluster : Cluster
    futures : list of Future
    name : str
        "X" or "X_val".
    unit : {"chunk", "partition"}
    token : str
        A name of the rows, which is another one for other rows.
    n_columns : int or None
        None stands for the number of columns of the chunks themselves.
    dtype : numpy.dtype or None
        None stands for the dtype of the chunks themselves; object is that of data frames.
    columns : list or None
        The names of the columns.
    send : callable or None
        send(i) sends the rows of chunk i from memory, and returns their future.
    is_raw : bool
        Whether an estimator encodes the rows, which may have gaps and data frames.

    Attributes
    ----------
    n_rows : list of int
        The number of rows of each chunk.
    bounds : ndarray of int
        The position of the first row of each chunk, and the number of all rows.
    is_sparse : bool
    largest : float
        The largest absolute value.
    row_bytes : float
        The bytes of a row on the workers, in the mean.
    """

    def __init__(
        self,
        cluster: Cluster,
        futures: list[Future],
        *,
        name: str,
        unit: str,
        token: str,
        n_columns: int | None = None,
        dtype: np.dtype | None = None,
        columns: list | None = None,
        send: Callable[[int], Future] | None = None,
        is_raw: bool = False,
    ):
        self.cluster, self.futures = cluster, futures
        self.name, self.unit, self.token = name, unit, token
        self.columns, self.is_raw = columns, is_raw
        self._send = send
        self._derived: list[Chunks] = []
        try:
            self._look(n_columns, dtype)
        except BaseException:
            self.close()
            raise

    def _look(self, n_columns: int | None, dtype: np.dtype | None) -> None:
        """Look at all chunks, and check them."""
        probes = self.computed(lambda: [self.cluster.submit(look_at, f) for f in self.futures])
        self.n_rows = [probe.shape[0] if probe.shape else 0 for probe in probes]
        self.bounds = np.concatenate([[0], np.cumsum(self.n_rows, dtype=np.int64)])
        self.is_sparse = any(probe.is_sparse for probe in probes)
        self.largest = max((probe.largest for probe in probes), default=0.0)
        self.row_bytes = sum(probe.n_bytes for probe in probes) / max(1, int(self.bounds[-1]))
        first = next((probe for probe in probes if len(probe.shape) == 2), None)
        if first is None:
            raise ValueError(f"{self.name} has no rows.")
        self.n_columns: int = first.shape[1] if n_columns is None else n_columns
        self.dtype: np.dtype = first.dtype if dtype is None else dtype
        for i, probe in enumerate(probes):
            self._check(i, probe)
            if not self.is_raw:
                self._check_finite(i, probe)

    def _check(self, i: int, probe: Probe) -> None:
        """Raise if a chunk is not like the others."""
        name, place = self.name, self.place(i)
        if probe.kind not in _ARRAYS and not (self.is_raw and probe.kind == "DataFrame"):
            raise ValueError(
                f"{name} has a {probe.kind} in {place}; the chunks have to be NumPy arrays or CSR "
                f"matrices of SciPy: {name}.map_blocks(numpy.asarray)."
            )
        if probe.shape[1:] != (self.n_columns,):
            raise ValueError(
                f"{name} has an array of shape {probe.shape} in {place}; it should have "
                f"{self.n_columns} columns."
            )
        if not fits(probe.dtype, self.dtype):
            raise ValueError(
                f"{name} has numbers of type {probe.dtype} in {place}, and its dtype is "
                f"{self.dtype}: convert them in the task that makes the {self.unit}."
            )
        if probe.is_sparse != self.is_sparse:
            raise ValueError(f"{name} has sparse and dense chunks: {place} is dense.")

    def _check_finite(self, i: int, probe: Probe) -> None:
        if probe.bad is None:
            return
        row, column, number = probe.bad
        what = "NaN" if np.isnan(number) else f"infinity or a value too large for {self.dtype!r}"
        named = column if self.columns is None else repr(self.columns[column])
        raise ValueError(
            f"Input {self.name} contains {what}: in row {row} of {self.place(i)}, column {named}. "
            f"That is row {self.bounds[i] + row} of {self.name}. Remove such rows, or fill the "
            "gaps."
        )

    def __len__(self) -> int:
        return len(self.futures)

    def place(self, i: int) -> str:
        """Return the words for chunk i."""
        if self.unit == "partition":
            return f"partition {i}"
        first, end = self.bounds[i], self.bounds[i + 1]
        return f"chunk {i} (rows {first} to {end - 1})"

    def label(self, i: int) -> str:
        """Return the words for chunk i, with the name of the rows."""
        return f"{self.place(i)} of {self.name}"

    # On the workers -------------------------------------------------------------------------------

    def wait(self) -> None:
        """Wait until all rows are on workers; compute or send lost ones again if possible."""
        futures = self.futures
        self.cluster.wait(futures)
        for i, future in enumerate(futures):
            if future.status == "error":
                error = future.exception()
                error.add_note(f"It was raised by {self.unit} {i} of {self.name}.")
                raise error
            if future.status == "finished":
                continue
            if self._send is None:
                raise ClusterError(
                    f"{self.unit.capitalize()} {i} of {self.name} is lost: the worker that held it "
                    "died, and the rows were scattered to it, so that Dask can't compute them "
                    "again. Make the array from files, or give fit the array in memory."
                )
            futures[i] = self._send(i)
        if self._send is not None:
            self.cluster.wait(futures)

    def computed(self, submit: Callable[[], list[Future]]) -> list[Any]:
        """Return the results of tasks on the chunks; repeat them if chunks are lost meanwhile."""
        from distributed import CancelledError

        for _ in range(_ATTEMPTS):
            self.wait()
            try:
                return self.cluster.results(submit())
            except CancelledError as error:  # the only copy of a chunk was on a worker that died
                lost = error
        raise ClusterError(
            f"Chunks of {self.name} were lost {_ATTEMPTS} times while they were in use: the "
            "workers that held them died. See their logs."
        ) from lost

    def mapped(self, function: Callable, *args: Any, token: str) -> Chunks:
        """Return the results of function(chunk, label, ...), which are closed with these chunks.

        The workers may drop these chunks, if Dask can compute them again.
        """

        def submit(i: int) -> Future:
            return self.cluster.submit(function, self.futures[i], self.label(i), *args)

        def send(i: int) -> Future:
            self.wait()
            return submit(i)

        self.wait()
        derived = Chunks(
            self.cluster,
            [submit(i) for i in range(len(self))],
            name=self.name,
            unit=self.unit,
            token=f"{self.token}-{token}",
            send=None if self._send is None else send,
        )
        if self._send is None:
            self.close()
        self._derived.append(derived)
        return derived

    def close(self) -> None:
        """Let Dask drop the rows that nobody else needs."""
        for derived in self._derived:
            derived.close()
        for future in self.futures:
            future.release()
        self.futures.clear()

    def holders(self) -> list[tuple[str, ...]]:
        """Return the workers that hold each chunk."""
        return self.cluster.holders(self.futures)

    def split(self, rows: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Return the chunks of rows: (chunk, places among the rows, positions in the chunk)."""
        owners = np.searchsorted(self.bounds, rows, side="right") - 1
        order = np.argsort(owners, kind="stable")
        chunks, starts = np.unique(owners[order], return_index=True)
        parts = np.split(order, starts[1:])
        pairs = zip(chunks.tolist(), parts, strict=True) if len(rows) else ()
        return [(i, part, rows[part] - self.bounds[i]) for i, part in pairs]
