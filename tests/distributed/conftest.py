"""Clusters of worker processes, each of which is started once for a module."""

import pytest


@pytest.fixture(scope="module")
def clusters():
    """Return a function that gives a client of a cluster with a number of workers."""
    distributed = pytest.importorskip("dask.distributed")
    started = {}

    def client_of(n_workers):
        if n_workers not in started:
            cluster = distributed.LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
            )
            started[n_workers] = cluster, distributed.Client(cluster, set_as_default=False)
        return started[n_workers][1]

    yield client_of
    for cluster, client in started.values():
        client.close()
        cluster.close()
