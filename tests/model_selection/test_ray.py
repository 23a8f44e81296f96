"""Searches on Ray: their results, and a worker that dies.

`register_ray` changes joblib for the rest of the process, so the searches run in a program of their
own.
"""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")

PROGRAM = """
import json, os, signal, sys, warnings

import joblib
import numpy as np
import ray
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV

from skdeep import MLPClassifier
from skdeep.callbacks import Callback
from skdeep.model_selection import HalvingEpochsSearchCV

warnings.simplefilter("ignore")
once = sys.argv[1]


class DiesOnce(Callback):
    def on_epoch_end(self, trainer):
        if not os.path.exists(once):
            open(once, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)


rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 10))
y = X[:, 0] ** 2 > 0.7
network = MLPClassifier((4,), batch_size=500, max_iter=4, random_state=0)
rates = [0.001, 0.003, 0.01, 0.03]
space = {"learning_rate_init": rates}
halving = {"n_candidates": 4, "cv": 2, "min_epochs": 2, "random_state": 0, "n_jobs": 2}
searches = {
    "grid": GridSearchCV(network, space, cv=2, n_jobs=2),
    "halving": HalvingEpochsSearchCV(network, space, **halving),
}
deadly = [
    {"learning_rate_init": [rate], "callbacks": [[DiesOnce()] if i == 1 else None]}
    for i, rate in enumerate(rates)
]


def results_of(search):
    search.fit(X, y)
    scores = {k: v.tolist() for k, v in search.cv_results_.items() if k.startswith("split")}
    return scores, search.predict(X).tolist()


with joblib.parallel_config(backend="loky"):
    expected = {name: results_of(search) for name, search in searches.items()}
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
register_ray()
with joblib.parallel_config(backend="ray"):
    grid = results_of(searches["grid"])
    disturbed = results_of(HalvingEpochsSearchCV(network, deadly, **halving))
ray.shutdown()
print(json.dumps([grid == expected["grid"], disturbed == expected["halving"]]))
"""


@pytest.mark.slow
def test_results_equal_those_of_loky_and_a_death_costs_nothing(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path)
    done = subprocess.run(
        [sys.executable, "program.py", str(tmp_path / "died")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True]
    assert (tmp_path / "died").exists()
