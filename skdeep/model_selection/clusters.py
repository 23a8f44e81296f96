"""joblib's backend for clusters of Dask."""

from __future__ import annotations

from typing import Any

from skdeep._component import needs


def dask_backend(client: Any = None, **options: Any) -> Any:
    """Return a backend of joblib that computes on a cluster of Dask, and survives its workers.

    `joblib.parallel_config(backend="dask")` waits forever if Dask gives up a call, because its
    workers died several times, or because they can't read it. It also fails if a worker dies with
    the only copy of data. With this backend, data are sent again, calls are repeated, and each call
    that can't be computed is an error. The searches of `skdeep.model_selection` use it by
    themselves; give it to those of scikit-learn.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        None is the client that was created last.
    **options
        Options of joblib's own backend: `wait_for_workers_timeout`, and arguments of
        `Client.submit` such as `resources` and `priority`.

    Returns
    -------
    joblib.parallel.ParallelBackendBase

    Examples
    --------
    >>> import joblib
    >>> from dask.distributed import Client  # doctest: +SKIP
    >>> from skdeep.model_selection import dask_backend
    >>> client = Client("scheduler:8786")  # doctest: +SKIP
    >>> with joblib.parallel_config(backend=dask_backend(client)):  # doctest: +SKIP
    ...     search.fit(X, y)
    """
    try:
        from skdeep.model_selection.dask_calls import DaskCalls
    except ImportError as error:
        raise ImportError(needs("dask_backend", "dask[distributed]", "dask")) from error
    return DaskCalls(client, **options)
