"""The benchmark runs."""

import subprocess
import sys
from pathlib import Path


def test_epoch_prints_a_row_for_every_contender():
    command = [sys.executable, "-m", "benchmarks.epoch", "--rows", "64", "--columns", "5"]
    out = subprocess.run(
        [*command, "--hidden", "4", "--repeats", "1"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in ("matrix products alone", "skdeep", "scikit-learn"):
        assert f"\n{name} " in out
