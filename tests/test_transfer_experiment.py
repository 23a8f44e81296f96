"""What is claimed of transfer, on real data that are too large to be kept with the tests."""

import os
import re
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion_mnist" / "transfer.py"


@pytest.mark.skipif(
    "SKDEEP_FASHION_MNIST" not in os.environ,
    reason="set SKDEEP_FASHION_MNIST to an npz file of Fashion-MNIST: transfer was NOT tested",
)
def test_eight_kinds_of_clothes_help_with_two_others(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{printed}")
    eight = float(re.search(r"accuracy (\S+)", printed)[1])
    scratch, transferred = map(float, printed.split("mean")[1].split())
    assert eight > 0.9
    assert transferred >= 0.985
    assert transferred > scratch
