"""The benchmarks: their statistics, their processes, and the command line end to end."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

import skdeep
from benchmarks import defaults, report, searching, table, tabular
from benchmarks.__main__ import ALL_CONTENDERS, NAMES, main
from benchmarks.cases import CASES, Case, Task
from benchmarks.contenders import CONTENDERS
from benchmarks.models import MODELS, Model, Setting
from benchmarks.runner import Result
from benchmarks.scale import chunks, experiments, nets, simulation
from benchmarks.worker import Worker, WorkerError

ROOT = Path(__file__).parents[1]
TINY = Task(50, 3, (4,), 2, 10)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True
    )


# Statistics -------------------------------------------------------------------------------------


def test_spread_is_median_minimum_maximum():
    assert table.spread([5.0, 1.0, 3.0, 9.0]) == (4.0, 1.0, 9.0)


def test_ratios_are_taken_within_rounds():
    assert table.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="longer"):
        table.ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize("exponent", [0, 1, 2.5])
def test_growth_exponent_of_a_power(exponent):
    sizes = [1, 2, 4, 16]
    assert table.growth_exponent(sizes, [3 * n**exponent for n in sizes]) == pytest.approx(exponent)


@pytest.mark.parametrize(
    ("measure", "value", "unit"),
    [("epoch", 1.5, "s"), ("epoch", 0.004, "ms"), ("epoch", 3e-5, "µs"), ("memory", 2e7, "MB")],
)
def test_unit(measure, value, unit):
    assert table.choose_unit(measure, [value, 2 * value])[0] == unit


def test_tables_of_known_numbers():
    case = Case(
        "", "epoch", ("floor", "scikit-learn"), {"n = 1": TINY, "n = 2": TINY}, sizes=(1, 2)
    )
    values = {
        ("floor", "n = 1"): [1.0, 2.0, 4.0],
        ("scikit-learn", "n = 1"): [3.0, 4.0, 4.0],
        ("floor", "n = 2"): [2.0, 4.0, 8.0],
        ("scikit-learn", "n = 2"): [12.0, 16.0, 16.0],
    }
    text = table.render(Result(case, values, ["pytorch (n = 1) failed: OSError: no"]))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert rows[0] == ["", "median, s", "min", "max", "x floor", "scikit-learn / this"]
    x_floor, speed = "2.00 [1.00, 3.00]", "1.00 [1.00, 1.00]"
    assert rows[3] == ["scikit-learn, n = 1", "4.00", "3.00", "4.00", x_floor, speed]
    assert rows[2][-1] == "2.00 [1.00, 3.00]"
    assert ["scikit-learn", "2.00 [2.00, 2.00]", "4.00 [4.00, 4.00]"] in rows
    assert text.endswith("\n\n- pytorch (n = 1) failed: OSError: no")


# Defaults ---------------------------------------------------------------------------------------


def test_ratios_of_errors_are_geometric_means():
    setting = defaults.Setting((100,), "standardized", False)
    outcomes = [((0.2, 0.1), (4.0, 1.0)), ((0.1, 0.2), (1.0, 2.0)), ((0.1, 0.1), (1.0, 3.0))]
    pairs = [defaults.Pair("iris", "classification", setting, *pair) for pair in outcomes]
    text = defaults.render(pairs)
    assert "- Classification: 1.00" in text
    assert "- Time of all fits, over scikit-learn's: 1.00" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["standardized, (100,)", "1.00", ""] in rows
    assert ["iris", "0.133", "0.133", "1.00", "1.00"] in rows
    halved = defaults.Pair("wine", "regression", setting, (1.0, 0.5), (1.0, 0.5))
    assert "- Regression: 0.50" in defaults.render([*pairs, halved])


def test_both_models_see_the_same_rows_and_are_judged_by_others():
    X, y = load_iris(return_X_y=True)
    X_train, X_test, y_train, y_test = defaults.split(X, y, "classification", 0)
    assert (len(X_train), len(y_test)) == (105, 45)
    assert not {tuple(row) for row in np.c_[X_train, y_train]} >= {
        tuple(row) for row in np.c_[X_test, y_test]
    }
    setting = defaults.Setting((9,), "standardized", True)
    pair = defaults.compare(
        "iris", (X_train, X_test, y_train, y_test), "classification", setting, 0
    )
    theirs = neural_network.MLPClassifier((9,), early_stopping=True, random_state=0)
    scaler = StandardScaler().fit(X_train)
    theirs.fit(scaler.transform(X_train), y_train)
    assert pair.errors[0] == pytest.approx(1 - theirs.score(scaler.transform(X_test), y_test))
    assert min(pair.seconds) > 0


def test_tables_of_a_folder(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    num = rng.normal(size=(90, 2))
    num[3, 0] = np.nan
    cat = np.c_[rng.integers(0, 2, 90), rng.integers(-1, 3, 90)]
    np.savez(tmp_path / "own.npz", num=num, cat=cat, y=num[:, 1], task="regression")
    X, y, task = defaults.read_table(tmp_path / "own.npz")
    assert task == "regression"
    assert X.shape == (90, 2 + 1 + 3)
    np.testing.assert_array_equal(X[:, 2], cat[:, 0])
    np.testing.assert_array_equal(X[:, 3:].sum(axis=1), cat[:, 1] >= 0)
    assert np.isfinite(defaults.split(X, y, task, 0)[0]).all()
    nowhere = ["benchmarks", "--cases", "defaults", "--tables", str(tmp_path / "nowhere")]
    monkeypatch.setattr(sys, "argv", nowhere)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "there is no .npz file in" in capsys.readouterr().err


# Models for tables --------------------------------------------------------------------------------


def test_rows_of_tables_are_parted_by_class():
    pytest.importorskip("pandas")
    y = np.repeat([0, 1, 2], [600, 300, 100])
    digits = tabular.Table(np.zeros((1000, 1)), y, "multiclass")
    training, validation, test = tabular.split(digits, 0)
    assert sorted(np.concatenate([training, validation, test])) == list(range(1000))
    for rows, n_rows in ((training, 640), (validation, 160), (test, 200)):
        shares = np.bincount(y[rows]) / n_rows
        np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.01)
    assert not np.array_equal(tabular.split(digits, 1)[2], test)
    many = tabular.Table(np.zeros((20_000, 1)), np.arange(20_000.0), "regression")
    assert [len(rows) for rows in tabular.split(many, 0)] == [10_000, 2_500, 4_000]


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a table of numbers and categories, of which some are missing."""
    rng = np.random.default_rng(0)
    num = rng.normal(size=(90, 2))
    num[3, 0] = np.nan
    cat = np.c_[rng.integers(0, 2, 90), rng.integers(-1, 3, 90)]
    np.savez(
        tmp_path / "own.npz",
        task="binary",
        num=num,
        num_columns=["a", "b"],
        cat=cat,
        cat_columns=["c", "d"],
        cats_0=["no", "yes"],
        cats_1=["x", "y", "z"],
        columns=["c", "a", "d", "b"],
        y=(num[:, 1] > 0).astype(int),
    )
    return tmp_path


def test_a_file_becomes_a_frame(folder):
    pytest.importorskip("pandas")
    own = tabular.read_table(folder / "own.npz")
    assert own.task == "binary"
    assert list(own.X) == ["c", "a", "d", "b"]
    assert own.X["c"].cat.categories.tolist() == ["no", "yes"]
    with np.load(folder / "own.npz") as file:
        np.testing.assert_array_equal(own.X[["a", "b"]], file["num"])
        np.testing.assert_array_equal(own.X["d"].cat.codes, file["cat"][:, 1])


def test_models_get_the_rows_in_the_form_that_they_take(folder):
    pytest.importorskip("pandas")
    X = tabular.read_table(folder / "own.npz").X
    X, X_val = X[:60], X[60:]
    filled, _ = MODELS["RealMLP-TD"].prepare([X, X_val])
    assert filled["a"].notna().all()
    assert filled["a"][3] == X["a"].median()
    assert filled["d"].isna().sum() == X["d"].isna().sum() > 0
    texts, _ = MODELS["CatBoost"].prepare([X, X_val])
    assert set(texts["d"]) == {"x", "y", "z", "<missing>"}
    assert MODELS["CatBoost"].fit_arguments(texts) == {"cat_features": ["c", "d"]}
    assert list(MODELS["LightGBM"].prepare([X, X_val])[1]) == ["f0", "f1", "f2", "f3"]


def test_a_model_is_judged_by_its_test_rows(folder):
    pytest.importorskip("pandas")
    own = tabular.read_table(folder / "own.npz")
    outcome = tabular.compare("own", own, "HistGradientBoosting", Setting(True, 0, 1))
    training, _, test = tabular.split(own, 0)
    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(own.X.iloc[training], own.y[training])
    X_test, y_test = own.X.iloc[test], own.y[test]
    assert outcome.error == pytest.approx(1 - model.score(X_test, y_test))
    assert outcome.log_loss == pytest.approx(log_loss(y_test, model.predict_proba(X_test)))
    assert min(outcome.fit_seconds, outcome.predict_seconds) > 0
    certain = np.eye(2)[1 - y_test]  # all wrong
    assert tabular.judge(certain, own, test)[1] == pytest.approx(-np.log(1e-15), rel=1e-3)
    with pytest.raises(ValueError, match="probabilities of shape"):
        tabular.judge(certain[:, :1], own, test)


def test_the_report_of_known_results():
    results = [
        tabular.Outcome(*row)
        for row in (
            ("iris", "multiclass", "one", 0.1, 0.3, 1.0, 0.1),
            ("iris", "multiclass", "one", 0.3, 0.5, 3.0, 0.1),
            ("iris", "multiclass", "two", 0.1, 0.2, 2.0, 0.1),
            ("iris", "multiclass", "two", 0.1, 0.2, 2.0, 0.1),
            ("diabetes", "regression", "one", 0.5, np.nan, 4.0, 0.1),
            ("diabetes", "regression", "one", 0.5, np.nan, 4.0, 0.1),
            ("diabetes", "regression", "two", 0.5, np.nan, 5.0, 0.1),
            ("diabetes", "regression", "two", 0.5, np.nan, 5.0, 0.1),
            ("wine", "multiclass", "one", 0.1, 0.1, 1.0, 0.1),
            ("wine", "multiclass", "one", 0.1, 0.1, 1.0, 0.1),
            ("wine", "multiclass", "two", 0.1, 0.1, 1.0, 0.1),
        )
    ]
    failure = "two (wine, round 2) failed: ValueError: no"
    text = tabular.render([*results, failure], 2)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    # wine is left out, as one model failed in a round
    assert "1 of classes and 1 of numbers" in text
    assert ["one", "1.75", "2.00", "0.2000", "0.5000", "0.4000", "3.00", "6.00"] in rows
    assert ["two", "1.25", "1.00", "0.1000", "0.5000", "0.2000", "3.50", "7.00"] in rows
    assert ["wine", "0.1000", "-"] in rows
    assert text.endswith(f"\n\n- {failure}")
    assert "Threads of each: 2." in text
    assert tabular.shifted_geometric_mean([0.09, 0.39]) == pytest.approx(0.19)
    assert tabular.render([failure], 2) == f"There is no result.\n\n- {failure}"


def test_a_model_that_fails_is_named(folder, monkeypatch):
    pytest.importorskip("pandas")
    (folder / "worse.npz").write_bytes(b"")
    monkeypatch.setitem(MODELS, "broken", Model(lambda setting: 1 / 0))
    results = list(tabular.measure(["broken"], 1, True, folder, 1, lambda text: None))
    assert results[0] == "broken (own, round 1) failed: ZeroDivisionError: division by zero"
    assert results[1].startswith("worse could not be read: EOFError")


# Searches ---------------------------------------------------------------------------------------


def outcome(table, seed, method, score, n_epochs=10, seconds=1.0):
    sizes = SMALL.n_candidates, SMALL.n_epochs, SMALL.n_rows
    return searching.Outcome(
        table, seed, method, *sizes, score, 0.5, n_epochs, seconds, "{'a': 'b, \"c\"'}"
    )


SMALL = searching.Plan(n_candidates=3, n_epochs=3, n_rows=100, n_jobs=1)


def test_the_epochs_of_a_search_by_rungs():
    # 64 candidates for 9 epochs, 22 for 18 more, and 8 for 54 more
    assert searching.Plan().nominal_budget == 3 * (64 * 9 + 22 * 18 + 8 * 54)
    assert SMALL.nominal_budget == 3 * (3 * 1 + 1 * 2)


def test_a_study_continues_after_an_interruption(tmp_path, monkeypatch):
    calls = []

    def method(job):
        calls.append((type(job.pipeline[-1]).__name__, job.seed, job.budget))
        if job.seed == 1:
            raise ValueError("no")
        model = job.pipeline.set_params(mlpclassifier__max_iter=1).fit(job.X, job.y)
        return searching.Found(model, 0.5, 7, {"a": 1})

    monkeypatch.setattr(searching, "default_space", lambda pipeline: {})
    monkeypatch.setattr(searching, "warm_up", lambda job: None)
    monkeypatch.setattr(searching, "METHODS", {"halving": method, "optuna": method})
    path = tmp_path / "searching.csv"

    def measured(seeds):
        methods = ["optuna", "halving"]
        arguments = ["wine"], seeds, methods, SMALL, None, path, lambda text: None
        return list(searching.measure(*arguments))

    first = measured([0, 1])
    assert calls == [
        ("MLPClassifier", 0, SMALL.nominal_budget),
        ("MLPClassifier", 0, 7),  # as many epochs as halving took
        ("MLPClassifier", 1, SMALL.nominal_budget),
        ("MLPClassifier", 1, SMALL.nominal_budget),
    ]
    assert first[2:] == [f"{m} (wine, seed 1) failed: ValueError: no" for m in searching.METHODS]
    assert [result.n_epochs for result in first[:2]] == [7, 7]
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "wine,2,optuna,3", encoding="utf-8")  # a line that was cut off
    calls.clear()
    assert measured([0]) == first[:2]
    assert not calls
    searching.append(path, outcome("iris", 0, "random", 0.25))
    assert searching.read(path) == [*first[:2], outcome("iris", 0, "random", 0.25)]


def test_the_report_of_known_searches():
    results = [
        outcome("wine", 0, "random", 0.9, 30, 10.0),
        outcome("wine", 0, "halving", 0.8, 10, 4.0),
        outcome("wine", 1, "random", 0.7, 30, 10.0),
        outcome("wine", 1, "halving", 0.8, 10, 2.5),
        outcome("iris", 0, "random", 1.0, 30, 1.0),
        "halving (iris, seed 0) failed: ValueError: no",
    ]
    text = searching.render(results, SMALL)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["wine", "2", "0.8000", "0.8000", "30", "10", "10.0", "3.25"] in rows
    assert ["iris", "1", "1.0000", "-", "30", "-", "1.00", "-"] in rows
    for name in ("wine", "all"):
        figures = ["2", "+0.0000 ± 0.1000", "0.33", "0.32"]
        assert ["halving - random", name, *figures] in rows
    assert text.endswith(f"\n\n- {results[-1]}")
    assert searching.render(results[-1:], SMALL) == f"There is no result.\n\n- {results[-1]}"


@pytest.mark.filterwarnings("ignore")
def test_quick_run_of_searches(monkeypatch, capsys):
    pytest.importorskip("pandas")
    pytest.importorskip("optuna")
    monkeypatch.setattr(
        sys, "argv", ["benchmarks", "--quick", "--cases", "searching", "--rounds", "1"]
    )
    main()
    out = capsys.readouterr().out
    assert "failed" not in out
    for name in searching.QUICK:
        assert re.search(rf"\n\| {name} +\| +1 \|( +-?\d+\.\d{{4}} \|){{3}}( +\d+ \|){{3}}", out)
    assert "| optuna - halving |" in out


# The table of cases -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_complete(name):
    case = CASES[name]
    assert set(case.contenders) <= CONTENDERS.keys()
    assert not case.sizes or len(case.sizes) == len(case.tasks)
    for task in case.shrunk().tasks.values():
        assert task.n_rows * max(task.widths) <= 60_000


def test_memory_budget():
    n_weights = (3 + 1) * 4 + (4 + 1) * 2
    assert TINY.weight_bytes == 4 * n_weights
    assert TINY.memory_budget == 2 * 4 * 4 * n_weights + 10 * (3 + 4 + 2) * 4 + 20_000_000


# Processes --------------------------------------------------------------------------------------


@pytest.fixture
def worker():
    worker = Worker("floor")
    yield worker
    worker.close()


def test_a_failure_is_answered_and_the_process_goes_on(worker):
    with pytest.raises(WorkerError, match=r"AttributeError: .*no_such_measure"):
        worker.ask("no_such_measure", TINY)
    assert worker.ask("epoch", TINY) > 0


def test_the_end_of_a_process_is_an_error_that_says_so(worker):
    worker._process.kill()
    with pytest.raises(WorkerError, match="its process ended with code -9: it said nothing"):
        worker.ask("epoch", TINY)
    assert not worker.is_alive


def test_what_a_contender_prints_is_not_taken_for_an_answer():
    code = (
        "import os, sys, benchmarks.measures as measures, benchmarks.worker as worker\n"
        "measures.epoch = lambda *_: os.system('echo stray') or print('stray') or 7.0\n"
        "worker.serve('floor')"
    )
    request = '{"measure": "epoch", "task": {"n_rows": 1, "n_columns": 1, "hidden": [], '
    request += '"n_classes": 1, "batch_size": 1}}\n'
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=request, capture_output=True, text=True
    )
    assert done.stdout == '{"value": 7.0}\n'
    assert done.stderr.count("stray") == 2


# The command line -------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--cases", "--contenders"])
def test_an_unknown_name_is_an_error_that_lists_the_names(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", option, "fashion-33"])
    with pytest.raises(SystemExit, match="2"):
        main()
    known = NAMES if option == "--cases" else ALL_CONTENDERS
    assert f"there is no 'fashion-33'; choose from {', '.join(known)}" in capsys.readouterr().err


def test_notes_survive_and_are_not_lost_silently(tmp_path):
    path = tmp_path / "RESULTS.md"
    report.write(path, ["## First\n\none", "## Second\n\nof old"])
    text = path.read_text(encoding="utf-8")
    assert report.NO_NOTES in text
    path.write_text(text.replace(report.START, f"{report.START}\nBy hand.\n"), encoding="utf-8")
    report.write(path, ["## Second\n\n2", "## Third"])
    text = path.read_text(encoding="utf-8")
    assert "By hand." in text
    # What was measured now takes the place of what was; the rest stays.
    assert text.endswith("\n\n## First\n\none\n\n## Second\n\n2\n\n## Third\n")
    assert "of old" not in text
    path.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="has no notes between the lines"):
        report.write(path, [])
    assert path.read_text(encoding="utf-8") == "no markers"


@pytest.mark.slow
def test_quick_run_of_two_cases(tmp_path):
    path = tmp_path / "RESULTS.md"
    contenders = ["floor", "skdeep numpy", "scikit-learn"]
    done = run(
        *("--quick", "--cases", "small-32", "cold"),
        *("--contenders", *contenders, "--write", str(path)),
    )
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    tables = done.stdout.split("## ")[1:]
    assert [table.count("\n| ") for table in tables] == [5, 4]  # two lines are the header
    for name in contenders:
        ratio = r"[\d.,]+ \[[\d.,]+, [\d.,]+\]"
        assert re.search(rf"\| {name} +\|( +[\d.,]+ \|){{3}}( +{ratio} \|){{2}}", tables[0])
    text = path.read_text(encoding="utf-8")
    assert done.stdout.strip() in text
    assert "- Commit: " in text


def test_quick_run_of_defaults():
    done = run("--quick", "--cases", "defaults")
    assert done.returncode == 0, done.stderr
    assert "Skipped" not in done.stdout
    for name in ("iris", "diabetes"):
        assert re.search(rf"\n\| {name} +\|( +\d\.\d+ \|){{4}}", done.stdout)
    assert "quick, so the figures mean nothing" in done.stdout


def test_quick_run_of_tables(folder, monkeypatch, capsys):
    pytest.importorskip("pandas")
    monkeypatch.setitem(MODELS, "elsewhere", Model(int, ("no_such_library",)))
    monkeypatch.setitem(ALL_CONTENDERS, "elsewhere", MODELS["elsewhere"])
    names = ["skdeep", "skdeep, one member", "HistGradientBoosting", "scikit-learn MLP"]
    options = ["--quick", "--cases", "tabular", "--tables", str(folder), "--threads", "1"]
    contenders = ["--contenders", *names, "elsewhere"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options, *contenders])
    main()
    out = capsys.readouterr().out
    assert "Skipped elsewhere: not installed: no_such_library." in out
    assert "failed" not in out
    for name in names:
        assert re.search(rf"\n\| {name} +\|( +[\d.]+ \|){{6}}", out)
    assert len(re.findall(rf"\n\| own +\|(?: +[\d.]+ \|){{{len(names)}}}", out)) == 4
    assert "Threads of each: 1." in out


def test_tables_of_scikit_learn():
    pytest.importorskip("pandas")
    tables = {name: load() for name, load in tabular.SHIPPED.items()}
    assert {own.task for own in tables.values()} == {"binary", "multiclass", "regression"}
    assert tables["diabetes"].X["sex"].dtype == "category"
    assert all(len(own.X) == len(own.y) for own in tables.values())


# Scale --------------------------------------------------------------------------------------------

COST = nets.Cost(of_step=1e-4, of_row=1e-5, of_update=1e-4, of_byte=0.0)
NO_LINK = simulation.Link("", math.inf, 0.0)


def test_a_line_through_seconds_of_steps():
    sizes = (8, 32, 512)
    cost = nets.fitted(sizes, [3e-4 + 2e-5 * n for n in sizes], 1e-3, 1e-10)
    assert (cost.of_step, cost.of_row) == pytest.approx((3e-4, 2e-5))
    assert (cost.of_update, cost.of_byte, cost.error) == pytest.approx((1e-3, 1e-10, 0.0))


def test_weights_of_a_net():
    layers = skdeep.MLPClassifier((7, 5), max_iter=1).partial_fit(
        np.zeros((6, 4)), np.arange(6) % 3, classes=range(3)
    )
    n_weights = sum(array.size for array in [*layers.coefs_, *layers.intercepts_])
    assert nets.Net(4, (7, 5), 3, 10).n_weights == n_weights


def test_a_ring_of_workers():
    link = simulation.Link("", 1000.0, 0.5)
    assert link.all_reduce(1, 800.0) == 0.0
    assert link.all_reduce(2, 800.0) == pytest.approx(2 * 0.5 + 0.8)
    assert link.all_reduce(4, 800.0) == pytest.approx(6 * (0.5 + 0.2))


@pytest.mark.parametrize("n_workers", [2, 8, 64, 512])
def test_the_largest_share_of_a_batch(n_workers):
    share = simulation.largest_share(512, n_workers)
    assert 512 / n_workers < share < 512 / n_workers + 4 * (512 / n_workers) ** 0.5 + 3


def test_speed_ups_of_a_net():
    net = nets.Net(20, (64, 64), 10, 512)
    for weak in (False, True):
        for k in (None, 10):
            ups = simulation.speed_ups(net, COST, simulation.LINKS[1], weak=weak, k=k)
            assert ups[0] == pytest.approx(1.0)
            bounds = zip(ups, simulation.WORKERS, strict=True)
            assert all(0 < up < n * (1 + 1e-9) for up, n in bounds)
    local = simulation.speed_ups(net, COST, NO_LINK, k=10)
    assert local[2] == pytest.approx((2e-4 + 512e-5) / (2e-4 + 64e-5))
    assert simulation.speed_ups(net, COST, NO_LINK, weak=True, k=10) == pytest.approx(
        simulation.WORKERS
    )
    assert math.isnan(simulation.speed_ups(nets.NETS[0], COST, NO_LINK, k=10)[-1])


def test_the_useful_number_of_workers():
    net = nets.Net(20, (64, 64), 10, 512)
    slow = simulation.Link("", 1e3, 1.0)
    assert simulation.limits(net, COST, slow) == (1, 1, 1.0)
    half, fastest, up = simulation.limits(net, COST, NO_LINK)
    assert 8 <= half < fastest == 512
    assert up * 2e-4 < 2e-4 + 512e-5


def test_workers_average_their_states():
    images = experiments.Images(np.eye(12, 4, dtype=np.float32), *[np.arange(12) % 3] * 3)
    shares = experiments.shares_of(images, 2, 0, by_class=True)
    assert [sorted(set(images.y[rows])) for rows in shares] == [[0, 1], [1, 2]]
    workers = experiments.Workers(nets.Net(4, (3,), 3, 4), images, shares, 2, 0)
    first, second = (trainer.network.parameters.values for trainer in workers.trainers)
    np.testing.assert_array_equal(first, second)
    second += 1
    for trainer in workers.trainers:
        trainer.optimizer.start(trainer.network.parameters.n_trainable, nets.FLOAT32)
    mean = (first + second) / 2
    workers._average()
    np.testing.assert_array_equal([first, second], [mean, mean])


@pytest.mark.parametrize(
    ("cost", "step", "n_batches"),
    [(0.9e-3, 1e-3, 5), (1.1e-3, 1e-3, 6), (1.9e-3, 1e-2, 1), (0.0, 1e-3, 1), (-1e-4, 1e-3, 1)],
)
def test_the_smallest_chunk_that_is_worth_a_call(cost, step, n_batches):
    assert chunks.enough(cost, step) == n_batches


@pytest.mark.slow
def test_quick_parts_of_scale(tmp_path):
    command = [sys.executable, "-m", "benchmarks.scale", "workers", "candidates", "--quick"]
    path = tmp_path / "results.md"
    done = subprocess.run(
        [*command, "--write", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    for title in ("A simulation of data-parallel training", "A search over 8 candidates"):
        assert f"## {title}" in done.stdout
        assert f"## {title}" in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc")
def test_a_run_from_a_file_that_is_killed(tmp_path):
    options = ["--rows", "30000", "--columns", "8", "--epochs", "1", "--threads", "1", "--folder"]
    command = [sys.executable, "-m", "benchmarks.bigger_than_memory", *options, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert "was killed by SIGKILL" in done.stdout
    assert "bit for bit" in done.stdout
    assert not list(tmp_path.iterdir())
