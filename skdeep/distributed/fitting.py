"""`fit` on a cluster: from collections of Dask to an ordinary fitted estimator."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

from skdeep._component import InvalidParameterError, Limit
from skdeep.distributed.checks import check_estimator
from skdeep.distributed.cluster import Cluster
from skdeep.distributed.rows.intake import chunks_of, gathered
from skdeep.distributed.rows.source import ClusterRows
from skdeep.distributed.trainer import Options
from skdeep.tabular.base import BaseTabular


def fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    client: Any = None,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    local_steps: int | None = None,
    snapshot_every: int | None = None,
    timeout: float = 60.0,
    retries: int = 3,
) -> Any:
    """Train one model on a cluster of Dask: every worker computes with its rows of each batch.

    The workers add up their gradients among themselves, and all do the same steps. So the result
    is that of `estimator.fit` on the same rows in memory, but for rounding. X stays on the
    workers. Targets and weights of all rows come to the client, as do the weights of the network
    after each epoch. Callbacks run on the client.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, MultiTaskMLP, TabularClassifier or TabularRegressor
        Is fitted in place. Afterwards it has no connection to the cluster.
    X : dask.array.Array, dask.dataframe.DataFrame or array-like of shape (n_samples, n_features)
        The chunks have whole rows. They are computed once, and stay in the memory of the workers
        during training. Persisted chunks stay where they are, unless a move makes the share of the
        worker with the most rows at least 2% shorter. Columns of a data frame have to be numbers,
        unless the estimator is one for tables. Rows in memory are sent to the workers.
    y : array or data frame of Dask with the row chunks of X, or array-like
        The targets, in the form that the estimator's `fit` takes.
    client : distributed.Client or None, default=None
        None stands for the current client.
    sample_weight : array of Dask or array-like of shape (n_samples,) or None, default=None
    X_val, y_val, sample_weight_val : default=None
        Validation data, each as the training data. The workers compute the outputs for X_val.
    local_steps : int or None, default=None
        The number of steps that every worker does on its own rows alone, with weights of its own,
        before all average their weights. It saves messages, and the result is another one than that
        of `fit`: it depends on the number of workers. None lets the workers add up their gradients
        in every step.
    snapshot_every : int or None, default=None
        The number of steps after which the state comes to the client within an epoch, for long
        epochs. If a worker is lost, training continues from there. None takes the state after each
        epoch only.
    timeout : float, default=60.0
        The number of seconds without a sign of life after which a worker counts as hung. Training
        continues without it, if there are others.
    retries : int, default=3
        The number of attempts that may follow on one that failed because workers were lost. Each
        new state on the client begins a new count.

    Returns
    -------
    estimator
        The estimator that was given, fitted.

    Raises
    ------
    ClusterError
        If the cluster can't train the model: no worker is left, chunks are lost that Dask can't
        compute again, or an epoch failed too many times.

    Notes
    -----
    A worker may die, join or leave at any time. The state after each epoch is with the client. An
    epoch in which a worker is lost begins again from that state, with the rows that Dask computes
    again on other workers.

    Callbacks run on the client. `on_batch_end` is called a little later than the step, with its
    loss, rows and learning rate. The network has the weights of the last state then: those before
    the epoch, or those of a snapshot. If members are lost, it is called again for the steps that
    are done again. `on_gradient` is called for the last step of an epoch.
    Callbacks that look at every gradient are refused. Gradient stages of callbacks run on the
    workers.
    """
    for name, value, limit in (
        ("timeout", timeout, Limit(0, closed="()")),
        ("retries", retries, Limit(0, integer=True)),
        ("local_steps", local_steps, Limit(1, integer=True, special=(None,))),
        ("snapshot_every", snapshot_every, Limit(1, integer=True, special=(None,))),
    ):
        if not limit.allows(value):
            raise InvalidParameterError(f"{name}={value!r} is not allowed; give {limit}.")
    cluster = Cluster.of(client, timeout)
    check_estimator(estimator)
    options = Options(retries, local_steps, snapshot_every)

    # Parts of Dask, such as its proxies of actors, look for the current client.
    with ExitStack() as stack, cluster.client.as_current():
        cluster.check()

        def placed(X: Any, y: Any, weight: Any, suffix: str) -> tuple:
            chunks = chunks_of(X, cluster, f"X{suffix}", isinstance(estimator, BaseTabular))
            stack.enter_context(closing(chunks))
            y = gathered(y, chunks, f"y{suffix}")
            weight = gathered(weight, chunks, f"sample_weight{suffix}")
            return ClusterRows(chunks, options), y, weight

        X, y, sample_weight = placed(X, y, sample_weight, "")
        if X_val is not None:
            X_val, y_val, sample_weight_val = placed(X_val, y_val, sample_weight_val, "_val")
        estimator.fit(
            X,
            y,
            sample_weight,
            X_val=X_val,
            y_val=y_val,
            sample_weight_val=sample_weight_val,
        )
    return estimator
