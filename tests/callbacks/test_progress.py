"""What `verbose` shows."""

import io
import itertools
import re
import sys

import numpy as np
import pytest

from skdeep import MLPClassifier
from skdeep.callbacks import progress

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((200, 4))
y = X[:, 0] > 0


def fit(verbose, **options):
    options = {"max_iter": 12, "batch_size": 10, "random_state": 0, "tol": 0.0, **options}
    return MLPClassifier((3,), verbose=verbose, **options).fit(X, y)


def test_lines_are_aligned(capsys):
    fit(True, early_stopping=True, n_iter_no_change=99)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert len({len(line) for line in lines}) == 1
    line = (
        r"Iteration  1, loss = \d\.\d{8}, val_loss = \d\.\d{6}, val_score = \d\.\d{6}, "
        r"rate = 1\.000e-03, \d\.\d\d s"
    )
    assert re.fullmatch(line, lines[0])


def test_without_validation_data_there_are_no_figures_of_it(capsys):
    fit(1)
    assert "val_" not in capsys.readouterr().out


@pytest.mark.parametrize("verbose", [False, 0])
def test_silence(verbose, capsys):
    fit(verbose)
    assert capsys.readouterr() == ("", "")


def test_elsewhere_than_in_a_terminal_progress_is_lines(capsys):
    fit("progress")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 12
    assert "\r" not in out
    assert "\x1b" not in out


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("kind", ["rich", "tqdm", None])
def test_a_bar_fits_the_terminal(kind, columns, monkeypatch):
    if kind is not None:
        pytest.importorskip(kind)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(progress, "find_spec", lambda name: True if name == kind else None)
    monkeypatch.setenv("COLUMNS", str(columns))
    fit("progress", max_iter=30, early_stopping=True, n_iter_no_change=99)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    lines = [line.rstrip() for line in re.split(r"[\r\n]", shown) if line.strip()]
    assert max(map(len, lines)) <= columns
    last = lines[-1]
    assert "30/30" in last
    assert re.search(r"0\.\d\d", last)
    assert ("loss = 0." in last) == (columns >= 40)
    assert ("val_score = " in last) == (columns >= 120)
    assert (" s" in last) == (columns >= 200)
    assert not last.endswith(("=", ",", "…"))
    if kind != "rich":
        assert shown.endswith("\n")


def test_ten_refreshes_a_second_at_the_most(monkeypatch):
    shown = []

    class Bar:
        def show(self, epochs, text):
            shown.append(epochs)

        def close(self):
            shown.append("closed")

    now = itertools.count(0.0, 0.005)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(progress, "_make_bar", lambda n_epochs: Bar())
    fit("progress", max_iter=40)
    looks = 40 * (20 // progress.STEPS_BETWEEN_LOOKS + 1)
    seconds = 0.005 * looks * 3  # the trainer looks at the clock too
    assert 3 < len(shown) < 10 * seconds + 3
    assert shown[-2:] == [40, "closed"]
    epochs = shown[:-1]
    assert epochs == sorted(epochs)


@pytest.mark.parametrize("verbose", ["yes", -1, 0.5, None, "Progress"])
def test_what_is_not_allowed(verbose):
    with pytest.raises(ValueError, match=r"verbose=.*give True, False, an integer >= 0 or 'progr"):
        fit(verbose)
