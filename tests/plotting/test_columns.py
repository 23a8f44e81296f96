"""The display of responses to columns: what is drawn is what was computed, and can be read."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skdeep import TabularClassifier, TabularRegressor

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from skdeep.plotting import ColumnResponseDisplay  # noqa: E402

N = 100
OPTIONS = {"hidden_layer_sizes": (8,), "n_members": 2, "max_iter": 5, "random_state": 0}
LONG = ["a private company, employed", "self-employed", "the state", "no_work $x$ $", "a\nb\tc"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def frame():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=N) * 1e6,
            "few": rng.integers(0, 4, N),
            "job": rng.choice(LONG, N),
            "zip": rng.choice([f"{i:05}" for i in range(30)], N),
            "truth": rng.random(N) < 0.5,
            "$broken_{$ name of a column that never ends, not even here": rng.random(N),
        }
    )
    X.loc[::7, "number"] = np.nan
    X.loc[::9, "job"] = None
    return X, np.nan_to_num(X["number"]) / 1e6 + X["truth"]


X, y = frame()
LABELS = np.array(["low", "mid", "high"])[np.digitize(y, [0, 1])]


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(**OPTIONS).fit(X, y)


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(**OPTIONS).fit(X, LABELS)


def draw(*args, **options):
    """Draw for real; nothing may lie outside of the figure, and no labels on each other."""
    display = ColumnResponseDisplay.from_estimator(*args, **options)
    figure = display.figure_
    figure.canvas.draw()
    if options.get("ax") is None:
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0) > -0.1
        assert box.x1 < width + 0.1
        assert box.y1 < height + 0.1
    for axis in np.ravel(display.ax_):
        labels = axis.get_xticklabels() + axis.get_xticklabels(minor=True)
        if all(label.get_rotation() == 0 for label in labels):
            boxes = sorted((t.get_window_extent() for t in labels), key=lambda b: b.x0)
            for left, right in pairwise(boxes):
                assert left.x1 < right.x0
    return display


def lines(axis):
    return [line for line in axis.lines if line.get_linestyle() == "-"]


def points(axis):
    return [line for line in axis.lines if line.get_linestyle() == "None"]


def ticks(axis, minor=False):
    return [label.get_text() for label in axis.get_xticklabels(minor=minor)]


@pytest.mark.parametrize("kind", ["average", "individual", "both"])
@pytest.mark.parametrize("column", list(X))
def test_every_column_in_every_way(regressor, column, kind):
    display = draw(regressor, X, column, kind=kind, grid_resolution=7)
    assert display.ax_.get_ylabel() == "Prediction"
    assert display.ax_.figure is display.figure_
    assert bool(display.figure_.legends) == (kind == "both")


def test_numbers_are_a_line_over_a_rug(regressor):
    display = draw(regressor, X, "number", grid_resolution=15)
    (found,) = display.responses
    (line,), (missing,) = lines(display.ax_), points(display.ax_)
    np.testing.assert_array_equal(line.get_xdata(), found.grid_values[:-1])
    np.testing.assert_array_equal(line.get_ydata(), found.average[0, :-1])
    np.testing.assert_array_equal(missing.get_ydata(), found.average[0, -1:])
    assert missing.get_xdata()[0] > line.get_xdata()[-1]
    assert ticks(display.ax_, minor=True) == ["missing"]
    (rug,) = display.ax_.collections
    at = [segment[0, 0] for segment in rug.get_segments()]
    seen = X["number"].to_numpy()
    low, high = line.get_xdata()[[0, -1]]
    np.testing.assert_array_equal(at, seen[(seen >= low) & (seen <= high)])
    assert display.ax_.get_xlabel() == "number"


def test_categories_are_points_over_bars(regressor):
    axis = draw(regressor, X, "truth").ax_
    (dots,) = points(axis)
    assert dots.get_xdata().tolist() == [0, 1]
    assert ticks(axis) == ["False", "True"]
    heights = np.array([bar.get_height() for bar in axis.patches])
    counts = np.array([(~X["truth"]).sum(), X["truth"].sum()])
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max())
    # the bars do not reach the points
    low, high = axis.get_ylim()
    assert dots.get_ydata().min() > low + heights.max() * (high - low)
    assert ticks(draw(regressor, X, "job").ax_)[-1] == "missing"
    assert (
        draw(regressor, X, "zip", max_categories=6).ax_.get_xlabel()
        == f"zip (6 of {X['zip'].nunique()})"
    )


def test_single_rows(regressor):
    display = draw(regressor, X, ["number", "truth"], kind="individual", subsample=12)
    curves = display.ax_[0].collections[0].get_segments()
    np.testing.assert_allclose(
        [curve[:, 1] for curve in curves], display.responses[0].individual[0, :, :-1]
    )
    (dots,) = points(display.ax_[1])
    assert len(dots.get_xdata()) == 2 * 12


def test_classes(classifier):
    display = draw(classifier, X, ["number", "job"])
    assert len(lines(display.ax_[0])) == 3
    assert display.ax_[0].get_ylabel() == "Probability"
    assert [text.get_text() for text in display.figure_.legends[0].get_texts()] == sorted({*LABELS})
    total = sum(line.get_ydata() for line in lines(display.ax_[0]))
    np.testing.assert_allclose(total, 1)
    one = draw(classifier, X, "number", target="mid", kind="both")
    assert one.ax_.get_ylabel() == "Probability of mid"


def test_several_outputs():
    model = TabularRegressor(**OPTIONS).fit(X, np.column_stack([y, -y]))
    assert len(lines(draw(model, X, "number").ax_)) == 2
    assert draw(model, X, "number", target=1).ax_.get_ylabel() == "Prediction of output 1"


@pytest.mark.parametrize(("n", "n_cols", "shape"), [(1, 3, (1, 1)), (4, 3, (2, 3)), (6, 2, (3, 2))])
def test_several_columns(regressor, n, n_cols, shape):
    display = draw(regressor, X, list(range(n)), n_cols=n_cols)
    assert np.size(display.ax_) == n == len(display.figure_.axes)
    axes = np.ravel(display.ax_)
    assert len({axis.get_ylim() for axis in axes}) == 1
    grid = axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    assert [bool(axis.get_ylabel()) for axis in axes] == [i % n_cols == 0 for i in range(n)]


def test_axes_may_be_given(classifier):
    figure, ax = plt.subplots()
    assert draw(classifier, X, "number", ax=ax).ax_ is ax
    assert ax.get_legend() is not None
    _, axes = plt.subplots(2, 2, figsize=(12, 9))
    display = draw(classifier, X, [0, 1, 2], ax=axes)
    assert display.ax_ is axes
    assert len(plt.get_fignums()) == 2
    with pytest.raises(ValueError, match="ColumnResponseDisplay: ax has 1 axes; 2 are needed"):
        draw(classifier, X, [0, 1], ax=figure.axes[0])
    with pytest.raises(ValueError, match="n_cols=0 is not allowed; give an integer >= 1"):
        draw(classifier, X, [0, 1], n_cols=0)
    _, log = plt.subplots()
    log.set_yscale("log")
    draw(classifier, X, "number", ax=log)


def test_a_display_draws_again(regressor):
    display = draw(regressor, X, ["number", "job"])
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first


def test_names_and_categories_are_taken_as_text(regressor):
    axis = draw(regressor, X, "job").ax_
    assert any("\\$x\\$" in label for label in ticks(axis))
    assert "a b c" in ticks(axis)
    assert max(map(len, ticks(axis))) <= 24
    axis = draw(regressor, X, 5).ax_
    assert axis.get_xlabel().startswith("\\$broken_{\\$ name")


@pytest.mark.parametrize("size", [(3, 2), (5, 5), (20, 4)])
def test_figures_of_every_size(regressor, size):
    _, axes = plt.subplots(1, 2, figsize=size, layout="constrained")
    draw(regressor, X, ["number", "few"], ax=axes)


@pytest.mark.parametrize(
    "values",
    [np.full(N, 3.0), np.full(N, 1e17), np.full(N, np.nan), np.where(np.arange(N) % 2, 1, np.nan)],
    ids=["constant", "large", "missing", "one number and missing"],
)
@pytest.mark.parametrize("kind", ["average", "both"])
@pytest.mark.filterwarnings("ignore:All values are missing")
def test_columns_of_one_value(values, kind):
    table = pd.DataFrame({"a": values, "b": np.arange(N)})
    model = TabularRegressor(**OPTIONS).fit(table, table["b"])
    draw(model, table, ["a", "b"], kind=kind)


def test_one_row_and_predictions_that_are_all_equal(regressor):
    draw(regressor, X[1:2], ["number", "truth"], kind="both")
    A, b = load_iris(return_X_y=True)
    for flat in (0.0, 100.0):
        model = LinearRegression().fit(A, np.full(150, flat))
        model.coef_[0] = flat * 1e-9  # what rounding leaves is no response
        low, high = draw(model, A, [0]).ax_.get_ylim()
        assert low < flat - 0.01 < flat + 0.01 < high
    draw(make_pipeline(GaussianNB()).fit(A, b), A, [0, 3], target=1)


def test_polars():
    polars = pytest.importorskip("polars")
    known = X.astype(object).where(X.notna(), None)
    table = polars.DataFrame({name: known[name].tolist() for name in X})
    model = TabularRegressor(**OPTIONS).fit(table, y)
    assert ticks(draw(model, table, "truth").ax_) == ["False", "True"]


def test_without_matplotlib_it_says_what_to_install():
    code = """
import sys
sys.modules["matplotlib"] = None
from sklearn.linear_model import LinearRegression
from skdeep.plotting import ColumnResponseDisplay
ColumnResponseDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0, 1]), [[1.0]], 0)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ColumnResponseDisplay needs matplotlib: pip install matplotlib." in run.stderr
