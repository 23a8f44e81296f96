"""The pictures of a search: every candidate is drawn once, in its place, and can be read."""

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from skdeep.inspection import read_cv_results  # noqa: E402
from skdeep.plotting import ParallelCoordinatesDisplay, SearchDisplay  # noqa: E402

DISPLAYS = [SearchDisplay, ParallelCoordinatesDisplay]
RATE, SIZES, CLIP = "mlp__learning_rate_init", "mlp__hidden_layer_sizes", "mlp__clip_norm"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def candidate(rng):
    params = {
        RATE: 10 ** rng.uniform(-5, -1),
        SIZES: tuple(int(2 ** rng.uniform(4, 9)) for _ in range(rng.integers(1, 4))),
        "mlp__activation": str(rng.choice(["relu", "tanh", "gelu", "leaky_relu"])),
        "mlp__solver": str(rng.choice(["adam", "sgd", "rmsprop"])),
        "mlp__dropout": rng.uniform(0, 0.5),
        CLIP: None if rng.random() < 0.4 else 10 ** rng.uniform(-1, 1),
        "scaler__with_mean": bool(rng.random() < 0.5),
        "constant": 1,
    }
    if params["mlp__solver"] == "sgd":
        params["mlp__momentum"] = 1 - 10 ** rng.uniform(-3, -0.3)
    return params


def score(params, rng):
    return 0.95 - 0.06 * (np.log10(params[RATE]) + 2.7) ** 2 + 0.01 * rng.normal()


def random_search(n=40, n_failed=0, far=()):
    rng = np.random.default_rng(0)
    params = [candidate(rng) for _ in range(n)]
    scores = np.array([score(p, rng) for p in params])
    scores[: len(far)] = far
    scores[len(far) : len(far) + n_failed] = np.nan
    return {"params": params, "mean_test_score": scores}


def halving(n=27, n_failed=0):
    rng = np.random.default_rng(1)
    params = [candidate(rng) for _ in range(n)]
    base = np.array([score(p, rng) for p in params])
    rows, left = [], np.arange(n)
    for rung, epochs in enumerate([3, 9, 27]):
        scores = base[left] - 0.3 / (rung + 1) + 0.01 * rng.normal(size=len(left))
        scores[: n_failed * (rung == 0)] = np.nan
        rows += [(i, rung, epochs, params[i], s) for i, s in zip(left, scores, strict=True)]
        left = left[np.argsort(-np.nan_to_num(scores, nan=-9))][: len(left) // 3]
    names = ("candidate", "iter", "n_resources", "params", "mean_test_score")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def simple(values, scores=None):
    """Return the results for the values of one hyperparameter; ... stands for none."""
    rng = np.random.default_rng(0)
    scores = rng.random(len(values)) if scores is None else scores
    return {"params": [{} if v is ... else {"a": v} for v in values], "mean_test_score": scores}


def drawn(display):
    """Draw for real; nothing may lie outside of the figure, and no labels on each other."""
    figure = display.figure_
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) > -0.1
    assert box.x1 < width + 0.1
    assert box.y1 < height + 0.1
    for axis in np.ravel(display.ax_):
        labels = [label for label in axis.get_xticklabels() if label.get_text()]
        if all(label.get_rotation() == 0 for label in labels):
            boxes = sorted((t.get_window_extent() for t in labels), key=lambda b: b.x0)
            for left, right in pairwise(boxes):
                assert left.x1 < right.x0
        own = [text for text in axis.texts if text.get_text()]
        for one, other in pairwise(sorted(own, key=lambda t: t.get_position())):
            if one.get_position()[0] == other.get_position()[0]:
                assert not one.get_window_extent().overlaps(other.get_window_extent())
    return display


def draw(display_class, cv_results, **options):
    return drawn(display_class.from_cv_results(cv_results, **options))


def legend(display):
    found = display.figure_.legends or [np.ravel(display.ax_)[0].get_legend()]
    return [text.get_text() for text in found[0].get_texts()]


def marks(axis, marker):
    """Return the places of all marks of a kind."""
    found = [line.get_xydata() for line in axis.lines if line.get_marker() == marker]
    return np.concatenate(found) if found else np.empty((0, 2))


EVERY = {
    "random": random_search(),
    "failures": random_search(n_failed=6, far=[-1e7, -1e300]),
    "halving": halving(),
    "halving with failures": halving(n_failed=4),
    "many": random_search(300),
    "few": random_search(3),
    "one": random_search(1),
}


@pytest.mark.parametrize("display_class", DISPLAYS)
@pytest.mark.parametrize("name", EVERY)
def test_every_picture_can_be_read(display_class, name):
    params = [RATE, SIZES, CLIP]
    display = draw(display_class, EVERY[name], params=params)
    best = np.nanmax(EVERY[name]["mean_test_score"])
    assert f"best: {best:.4g}" in legend(display)
    assert display.params[0] == RATE
    assert "constant" not in display.params


def test_the_score_against_each_hyperparameter():
    given = random_search()
    display = draw(SearchDisplay, given)
    labels = [axis.get_xlabel().partition(" ")[0] for axis in display.ax_]
    assert labels[0] == "learning_rate_init"
    assert sorted(labels) == sorted(
        [
            *["learning_rate_init", "hidden_layer_sizes", "activation", "solver", "dropout"],
            *["clip_norm", "with_mean", "momentum"],
        ]
    )
    assert display.ax_[0].get_title(loc="right").startswith("importance ")
    assert len({axis.get_ylim() for axis in display.ax_}) == 1
    for axis, name in zip(display.ax_, display.params, strict=True):
        dots = marks(axis, "o")
        np.testing.assert_array_equal(dots[:, 1], given["mean_test_score"])
        ((_, best),) = marks(axis, "*")
        assert best == given["mean_test_score"].max()
        low, high = axis.get_xlim()
        assert ((dots[:, 0] > low) & (dots[:, 0] < high)).all()
        place = display.coordinates[name]
        assert (np.abs(dots[:, 0] - place.places) <= place.widths / 2 + 1e-12).all()
    assert legend(display)[1:] == ["40 candidates"]


def test_failures_and_scores_that_are_far_off_are_marked_at_the_bottom():
    display = draw(SearchDisplay, random_search(n_failed=6, far=[-1e7]))
    for axis in display.ax_:
        assert len(marks(axis, "x")) == 6
        assert len(marks(axis, "v")) == 1
        assert len(marks(axis, "o")) == 33
        low, high = axis.get_ylim()
        bottom = low + 0.1 * (high - low)
        assert (marks(axis, "o")[:, 1] > bottom).all()
    assert [text.partition(" ")[0] for text in legend(display)] == [
        *["best:", "40", "below", "failed"]
    ]
    assert "failed (6)" in legend(display)


def test_rungs_are_lines():
    given = halving()
    display = draw(SearchDisplay, given)
    rungs, *others = display.ax_
    assert rungs.get_xlabel() == "Epochs"
    assert [t.get_text() for t in rungs.get_xticklabels()] == ["3", "9", "27"]
    segments = rungs.collections[0].get_segments()
    assert len(segments) == 9 + 3  # one for each candidate and rung above the lowest
    scores = np.array(given["mean_test_score"])
    for (x0, y0), (x1, y1) in segments:
        assert (x0, x1) in ((3, 9), (9, 27))
        assert {y0, y1} <= {*scores}
    for axis in others:
        lines = axis.collections[0].get_segments()
        assert len(lines) == 12
        assert all(start[0] == end[0] for start, end in lines)
        assert len(marks(axis, "o")) == len(scores)
    assert legend(display)[1:] == [
        *["27 epochs: 3 candidates", "9 epochs: 9 candidates", "3 epochs: 27 candidates"]
    ]
    sizes = [line.get_markersize() for line in others[0].lines if line.get_marker() == "o"]
    assert sizes == sorted(sizes)  # the highest rung is prominent
    (path,) = (line for line in rungs.lines if line.get_linestyle() == "-")
    assert path.get_xdata().tolist() == [3, 9, 27]


@pytest.mark.parametrize(("kind", "n"), [("rungs", 1), ("parameters", 2), ("both", 3)])
def test_kinds(kind, n):
    display = draw(SearchDisplay, halving(), kind=kind, params=["solver", RATE])
    assert np.size(display.ax_) == n == len(display.figure_.axes)
    assert display.params == ["mlp__solver", RATE]


def test_parallel_coordinates():
    given = random_search(n_failed=5)
    display = draw(ParallelCoordinatesDisplay, given, params=[RATE, "momentum", CLIP, "activation"])
    axis = display.ax_
    names = [t.get_text() for t in axis.get_xticklabels()]
    assert names == ["learning_rate_init", "momentum", "clip_norm", "activation", "Mean test score"]
    lines = [c.get_segments() for c in axis.collections if hasattr(c, "get_segments")]
    assert [len(part) for part in lines] == [5, 35]
    heights = np.array(lines[1])[:, :, 1]
    assert heights.min() >= 0
    assert heights.max() <= 1
    assert (np.diff(heights[:, -1]) >= 0).all()  # the best on top
    known = np.sort(given["mean_test_score"][5:])
    np.testing.assert_allclose(np.corrcoef(heights[:, -1], known)[0, 1], 1)
    texts = [text.get_text() for text in axis.texts]
    assert {"not set", "None", "tanh", "failed", "0.001"} <= {*texts}
    (best,) = (line for line in axis.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(best.get_ydata(), heights[-1])
    assert legend(display)[-1] == "failed (5)"
    assert "dropped early" in legend(draw(ParallelCoordinatesDisplay, halving()))


class Odd:
    __hash__ = None

    def __eq__(self, other):
        raise ValueError


HARD = {
    "one candidate": simple([1.0]),
    "no score": simple([1.0, 2.0, 3.0], [np.nan] * 3),
    "equal scores": simple(range(8), [0.5] * 8),
    "scores of 0": simple(range(8), [0] * 8),
    "large scores": simple(range(6), [1e299, -1e299, 1, 2, 3, 4]),
    "infinite scores": simple(range(4), [np.inf, -np.inf, 0.5, 0.6]),
    "a constant": simple([3] * 8),
    "a constant and none": simple([3, ..., 3, ...]),
    "infinite values": simple([np.inf, np.nan, 1.0, 2.0, -np.inf, 3]),
    "large integers": simple([10**400, 1, 2, 3]),
    "estimators": simple([LogisticRegression(), SGDClassifier(alpha=2), Odd()] * 3),
    "callables": simple([simple, np.tanh, len, Odd] * 2),
    "arrays": simple([np.arange(3), np.ones((2, 2)), np.zeros(50)] * 2),
    "mixed types": simple([1, "a", None, 2.5, True, (3, 4), [1], {"x": 1}, len]),
    "texts": simple(["$x$", "$", "_{^", "a\nb", "x" * 80, ""]),
    "many categories": simple([f"category {i % 25}" for i in range(80)]),
    "deep": simple([(8,) * n for n in range(16)]),
    "log with 0": simple([0, 1e-5, 1e-4, 1e-3, 1e-2, None, ...]),
}


@pytest.mark.parametrize("display_class", DISPLAYS)
@pytest.mark.parametrize("name", HARD)
def test_hard_cases(display_class, name):
    display = draw(display_class, HARD[name])
    n_failed = np.sum(~np.isfinite(HARD[name]["mean_test_score"]))
    assert (f"failed ({n_failed})" in legend(display)) == (n_failed > 0)
    assert any("best" in text for text in legend(display)) == (name != "no score")


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_thirty_hyperparameters(display_class):
    rng = np.random.default_rng(0)
    params = [{f"step__p{j}": float(rng.random()) for j in range(30)} for _ in range(40)]
    noise = {"params": params, "mean_test_score": np.random.default_rng(2).random(40)}
    clear = {"params": params, "mean_test_score": [p["step__p17"] for p in params]}
    # a forest that has learned nothing gives an order, but no figures
    assert display_class(read_cv_results(noise)).importances == {}
    display = draw(display_class, clear)
    assert display.params[0] == "step__p17"
    assert len(display.params) == 12
    is_grid = display_class is SearchDisplay
    note = display.figure_._supxlabel if is_grid else display.ax_.xaxis.label
    assert note.get_text() == "The 12 most important of 30 hyperparameters"
    names = [f"p{j}" for j in range(15)]
    assert len(display_class(read_cv_results(noise), names).params) == 15


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_a_search(display_class):
    search = GridSearchCV(
        SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2, 1.0], "loss": ["hinge", "log_loss"]},
        scoring=["accuracy", "f1_macro"], refit=False, cv=2,
    )  # fmt: skip
    with pytest.raises(NotFittedError, match="GridSearchCV has no cv_results_; give a search"):
        display_class.from_search(search)
    search.fit(*load_iris(return_X_y=True))
    with pytest.raises(ValueError, match="has 2 scores; give metric, one of"):
        display_class.from_search(search)
    display = drawn(display_class.from_search(search, metric="f1_macro"))
    assert display.results.score_label == "Mean test f1_macro"
    assert {*display.params} == {"alpha", "loss"}
    frame = pd.DataFrame(search.cv_results_)
    again = draw(display_class, frame, metric="f1_macro")
    assert again.params == display.params


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_what_is_not_allowed(display_class):
    given = random_search(8)
    with pytest.raises(ValueError, match="params='momentun' is unknown; did you mean 'momentum'"):
        display_class.from_cv_results(given, params=["momentun"])
    with pytest.raises(ValueError, match="no hyperparameters"):
        display_class.from_cv_results(simple([..., ...]))
    one = draw(display_class, given, params="solver")
    assert one.params == ["mlp__solver"]


def test_what_is_not_allowed_for_the_scores():
    given = random_search(8)
    with pytest.raises(ValueError, match=r"kind='rung' is not allowed; choose from \['both'"):
        SearchDisplay.from_cv_results(given, kind="rung")
    with pytest.raises(ValueError, match='kind="rungs" is for searches that halve'):
        SearchDisplay.from_cv_results(given, kind="rungs")
    with pytest.raises(ValueError, match="n_cols=0 is not allowed; give an integer >= 1"):
        SearchDisplay.from_cv_results(given, n_cols=0)


def test_axes_may_be_given():
    given = halving()
    _, axes = plt.subplots(1, 3, figsize=(14, 5), layout="constrained")
    display = draw(SearchDisplay, given, params=["solver", RATE], ax=axes)
    assert display.ax_ is axes
    assert axes[0].get_legend() is not None
    _, ax = plt.subplots(figsize=(9, 6), layout="constrained")
    assert draw(ParallelCoordinatesDisplay, given, params=["solver", RATE], ax=ax).ax_ is ax
    _, ax = plt.subplots(layout="constrained")
    assert draw(SearchDisplay, random_search(), params=[RATE], ax=ax).ax_ is ax
    assert len(plt.get_fignums()) == 3
    with pytest.raises(ValueError, match="SearchDisplay: ax has 1 axes; 3 are needed"):
        SearchDisplay.from_cv_results(given, params=["solver", RATE], ax=ax)


@pytest.mark.parametrize("display_class", DISPLAYS)
def test_a_display_draws_again(display_class):
    display = draw(display_class, halving())
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    fresh = display_class(display.results)
    assert pickle.loads(pickle.dumps(fresh)).params == display.params


def test_without_matplotlib_it_says_what_to_install():
    code = """
import sys
sys.modules["matplotlib"] = None
from skdeep.plotting import ParallelCoordinatesDisplay, SearchDisplay
for display in (ParallelCoordinatesDisplay, SearchDisplay):
    try:
        display.from_cv_results({"params": [{"a": 1}], "mean_test_score": [1.0]})
    except ImportError as error:
        print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("ParallelCoordinatesDisplay", "SearchDisplay"):
        assert f"{name} needs matplotlib: pip install matplotlib." in run.stdout
