"""One model, trained on a cluster of Dask: each worker has some of the rows."""

from skdeep.distributed.cluster import ClusterError
from skdeep.distributed.fitting import fit

__all__ = ["ClusterError", "fit"]
