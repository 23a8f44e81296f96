"""A program that trains on a cluster, and prints by how many MB each process has grown."""

import json
import subprocess
import sys
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path

import dask.array as da
from distributed import Client

from skdeep import MLPClassifier, distributed


def peak_memory():
    """Return the largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def peaks(client):
    workers = sum(client.run(peak_memory).values())
    return {
        "client": peak_memory(),
        "scheduler": client.run_on_scheduler(peak_memory),
        "workers": workers,
    }


def train(n_rows, n_columns):
    X = da.random.default_rng(0).standard_normal((n_rows, n_columns), chunks=(5_000, n_columns))
    X = X.astype("float32").persist()
    y = (X[:, 0] > 0).astype(int)
    mlp = MLPClassifier((8,), max_iter=2, batch_size=2048, early_stopping=True, random_state=0)
    distributed.fit(mlp, X, y)


def main(n_rows, n_columns):
    """Train on few rows, so that code is loaded and buffers are there, and then on many."""
    warnings.simplefilter("ignore")
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryDirectory()) + "/scheduler.json"
        dask = [sys.executable, "-m", "dask"]
        common = ["--scheduler-file", file, "--no-dashboard"]
        for command in (
            [*dask, "scheduler", "--port", "0", *common],
            [*dask, "worker", "--nworkers", "2", "--nthreads", "1", *common],
        ):
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        client = stack.enter_context(Client(scheduler_file=file))
        client.wait_for_workers(2)
        train(20_000, n_columns)
        before = peaks(client)
        train(n_rows, n_columns)
        print(json.dumps({name: peak - before[name] for name, peak in peaks(client).items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
