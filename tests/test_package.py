"""The package as a whole: its name, and who else has it."""

import os
import re
import subprocess
import sys
import time
import tomllib
import warnings
from pathlib import Path

import pytest

import skdeep

ROOT = Path(__file__).parents[1]
TEXTS = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        *(f"{p}/**/*.py" for p in ("skdeep", "examples", "benchmarks")),
    )
    for path in ROOT.glob(pattern)
]


def test_nothing_tells_anyone_to_install_another_projects_package():
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["name"] == "scikit-deep"
    wrong = re.compile(r"install[^\n]*[\s\"'`]skdeep(?![\w./])")
    found = [
        (path.name, line)
        for path in TEXTS
        for line in path.read_text(encoding="utf-8").splitlines()
        if wrong.search(line)
    ]
    assert TEXTS
    assert not found


def test_every_pip_install_of_ours_comes_from_somewhere():
    """Until there is a release: from a checkout, or from an address."""
    for path in TEXTS:
        for line in re.findall(r"[^\n]*pip install[^\n]*", path.read_text(encoding="utf-8")):
            assert "scikit-deep" not in line or " @ git+" in line or "extra" in line, (path, line)


@pytest.mark.parametrize(
    ("name", "warns"),
    [("skdeep-1.7.13.dist-info", True), ("scikit_deep-0.1.0.dist-info", False)],
)
def test_another_package_of_this_name_is_named(tmp_path, name, warns):
    (tmp_path / name).mkdir()
    (tmp_path / "skdeep").symlink_to(Path(skdeep.__file__).parent)
    code = "import skdeep"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("can't be used side by side" in run.stderr) == warns, run.stderr


def test_looking_for_it_is_cheap():
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(20):
            skdeep._warn_of_another_skdeep(os.path.dirname(pytest.__file__))
    assert time.perf_counter() - start < 20 * 0.01


def test_a_folder_that_cannot_be_listed_is_no_reason_to_fail(tmp_path):
    skdeep._warn_of_another_skdeep(str(tmp_path / "nowhere" / "skdeep"))
