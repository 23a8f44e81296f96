"""Displays: what is drawn is what was measured, at one layer and at twelve."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.callbacks import LayerStatistics
from skdeep.layers import Columns, Dense, Dropout, Residual
from skdeep.schedules import SCHEDULES, Scheduled

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from skdeep import plotting  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X = X / 16
NETS = {
    "no hidden layer": (),
    "one layer": (16,),
    "twelve layers": (8,) * 12,
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def fitted(sizes=(16,), **options):
    options = {"max_iter": 4, "random_state": 0, **options}
    return MLPClassifier(sizes, "tanh", callbacks=[LayerStatistics()], **options).fit(X, y)


@pytest.fixture(scope="module", params=NETS)
def model(request):
    return fitted(NETS[request.param])


def drawn(display):
    """Draw for real; nothing may lie outside of the figure."""
    figure = display.figure_
    figure.canvas.draw()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 > -0.1
    assert box.y0 > -0.1
    assert box.x1 < width + 0.1
    assert box.y1 < height + 0.1
    return display


OF_A_MODEL = {
    "curve": plotting.TrainingCurveDisplay.from_estimator,
    "flow": plotting.GradientFlowDisplay.from_estimator,
    "activations": lambda model, ax=None: plotting.ActivationDisplay.from_estimator(
        model, X, ax=ax
    ),
    "weights": plotting.WeightDisplay.from_estimator,
    "first layer": plotting.FirstLayerDisplay.from_estimator,
    "network": plotting.NetworkDisplay.from_estimator,
    "schedule": plotting.ScheduleDisplay.from_estimator,
}


@pytest.mark.parametrize("kind", OF_A_MODEL)
def test_everything_is_on_the_figure(kind, model):
    drawn(OF_A_MODEL[kind](model))


@pytest.mark.parametrize("kind", OF_A_MODEL)
def test_axes_may_be_given(kind):
    model = fitted((6,))
    one = kind in ("first layer", "network", "schedule", "curve")
    _, ax = plt.subplots(1, 1 if one else 2)
    display = OF_A_MODEL[kind](model, ax=ax)
    assert display.ax_ is ax
    assert len(plt.get_fignums()) == 1


def test_curves_are_the_history():
    model = fitted(early_stopping=True, max_iter=12)
    axes = drawn(plotting.TrainingCurveDisplay.from_estimator(model)).ax_.ravel()
    lines = {line.get_label(): line.get_ydata() for line in axes[0].lines}
    np.testing.assert_array_equal(lines["training"], model.history_["loss"])
    np.testing.assert_array_equal(lines["validation"], model.history_["val_loss"])
    scores = axes[1].lines[0].get_ydata()
    np.testing.assert_array_equal(scores, model.history_["val_score"])
    (mark,) = (line for line in axes[1].lines if "best" in line.get_label())
    assert mark.get_xdata() == [model.best_iter_]
    assert mark.get_ydata() == [model.best_validation_score_]


def test_several_models_on_one_axis():
    models = [fitted(), fitted((8, 8), max_iter=7), fitted(max_iter=1)]
    display = drawn(plotting.TrainingCurveDisplay.from_estimator(*models, names=["a", "b", "c"]))
    labels = [line.get_label() for line in display.ax_.ravel()[0].lines]
    assert [label for label in labels if "training" in label] == [
        "a: training",
        "b: training",
        "c: training",
    ]
    automatic = plotting.TrainingCurveDisplay.from_estimator(*models[:2])
    assert list(automatic.histories) == ["MLPClassifier 1", "MLPClassifier 2"]
    with pytest.raises(ValueError, match="give 2 different names"):
        plotting.TrainingCurveDisplay.from_estimator(*models[:2], names=["a", "a"])


def test_a_sweep():
    display = plotting.LearningRateRangeDisplay.from_estimator(MLPClassifier(), X, y, n_steps=40)
    curve, suggestion = drawn(display).ax_.lines
    np.testing.assert_array_equal(curve.get_ydata(), display.sweep.losses)
    assert suggestion.get_xdata()[0] == display.sweep.suggestion
    assert display.ax_.get_xscale() == "log"


def test_gradients_by_layer_and_epoch():
    model = fitted((8, 6))
    axes = drawn(plotting.GradientFlowDisplay.from_estimator(model)).ax_.ravel()
    statistics = model.callbacks[0].statistics_
    for axis, key in zip(axes, ("gradient_norm", "update_ratio"), strict=True):
        found = np.array([line.get_ydata() for line in axis.lines]).T
        np.testing.assert_allclose(found, statistics[key])
    with pytest.raises(ValueError, match="needs the records of LayerStatistics"):
        plotting.GradientFlowDisplay.from_estimator(MLPClassifier(max_iter=2).fit(X, y))


def test_frozen_layers_have_no_curve_of_gradients():
    drawn(plotting.GradientFlowDisplay.from_estimator(fitted((8, 6), frozen_layers=1)))


def test_shares_of_dead_and_saturated_units():
    model = MLPClassifier((8,), max_iter=2).fit(X, y)
    model.intercepts_[0][:2] = -1e6
    display = drawn(plotting.ActivationDisplay.from_estimator(model, X))
    widths = [bar.get_width() for bar in display.ax_.ravel()[1].patches]
    assert widths[:2] == [25.0, 0.0]


def test_weights_as_images():
    model = fitted((20,))
    display = drawn(plotting.FirstLayerDisplay.from_estimator(model, n_units=9))
    assert display.images.shape == (9, 8, 8)
    largest = np.sort(np.argsort(-np.linalg.norm(model.coefs_[0], axis=0))[:9])
    np.testing.assert_array_equal(display.images[0].ravel(), model.coefs_[0][:, largest[0]])
    assert plotting.FirstLayerDisplay.from_estimator(model, (4, 16)).images.shape == (20, 4, 16)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) is not that of 64 inputs"):
        plotting.FirstLayerDisplay.from_estimator(model, (3, 3))
    with pytest.raises(ValueError, match="image_shape=4 is not that of 64 inputs"):
        plotting.FirstLayerDisplay.from_estimator(model, 4)
    with pytest.raises(ValueError, match="n_units=0 is not allowed"):
        plotting.FirstLayerDisplay.from_estimator(model, n_units=0)


def test_norms_of_weights():
    model = fitted((8, 6))
    display = plotting.WeightDisplay.from_estimator(model)
    titles = [axis.get_title() for axis in display.ax_.ravel()]
    for title, W in zip(titles, model.coefs_, strict=True):
        assert f"norm {np.linalg.norm(W):.3g}" in title
        assert f"{W.shape[0]} x {W.shape[1]}" in title


def test_the_network_is_drawn_as_it_is():
    model = MLPRegressor((30, 5), batch_norm="before", dropout=0.1, max_iter=2).fit(X, y)
    ax = drawn(plotting.NetworkDisplay.from_estimator(model)).ax_
    units = [len(points.get_offsets()) for points in ax.collections]
    assert units == [8, 8, 5, 1]
    texts = [text.get_text() for text in ax.texts if text.get_text() != "..."]
    assert [text.split("\n")[0] for text in texts] == ["64", "30", "5", "1"]
    assert "BatchNorm" in texts[1]
    drawn(plotting.NetworkDisplay.from_estimator(MLPAutoencoder((4,), max_iter=2).fit(X)))


def test_layers_with_units_are_columns_of_the_drawing():
    class Own(Dense):
        pass

    layers = [Own(6), Dropout(0.1), Residual([Dense(6)]), Columns([0, 1]), Dense(3, "tanh")]
    model = MLPRegressor(layers=layers, max_iter=2).fit(X, y)
    assert plotting.NetworkDisplay.from_estimator(model).layers == [
        ("Input", 64),
        ("Own\nDropout (0.1)", 6),
        ("Residual", 6),
        ("Columns", 2),
        ("Dense (Tanh)", 3),
        ("Dense", 1),
    ]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_without_training(name):
    display = drawn(plotting.ScheduleDisplay.from_schedules(name, n_epochs=20))
    (rates,) = display.rates.values()
    assert rates.max() <= 1e-3 * (1 + 1e-9)
    assert (rates >= 0).all()


def test_a_schedule_is_what_training_does():
    model = fitted(learning_rate="cosine", max_iter=10, batch_size=1797)
    display = plotting.ScheduleDisplay.from_estimator(model)
    at_beginnings = display.rates["cosine"][::20]
    np.testing.assert_allclose(at_beginnings, model.history_["learning_rate"])


def test_numbers_that_change_over_time_have_an_axis_of_their_own():
    dropout = [Scheduled(0.4, "linear"), 0.1]
    options = {"max_iter": 10, "batch_size": 1797, "weight_decay": Scheduled(0.01, "flat_cosine")}
    for model in (MLPClassifier((4, 4), dropout=dropout, **options), fitted(**options)):
        display = drawn(plotting.ScheduleDisplay.from_estimator(model))
        labels = [line.get_label() for line in display.numbers_ax_.get_lines()]
        assert labels == list(display.numbers)
    assert labels == ["weight_decay"]
    at_beginnings = display.numbers["weight_decay"][::20]
    np.testing.assert_allclose(at_beginnings, model.history_["weight_decay"])
    assert drawn(plotting.ScheduleDisplay.from_schedules("step")).numbers_ax_ is None


def test_axes_of_any_scale():
    _, ax = plt.subplots()
    ax.set_xscale("log")
    drawn(plotting.TrainingCurveDisplay.from_estimator(fitted(), ax=ax))
    with pytest.raises(ValueError, match="at least one fitted estimator"):
        plotting.TrainingCurveDisplay.from_estimator()


def test_too_few_axes():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="ActivationDisplay: ax has 1 axes; 2 are needed"):
        plotting.ActivationDisplay.from_estimator(fitted(), X, ax=ax)


def test_without_matplotlib_it_says_what_to_install():
    code = """
import sys, warnings
warnings.simplefilter("ignore")
sys.modules["matplotlib"] = None
import numpy as np
from skdeep import MLPClassifier, plotting
model = MLPClassifier(max_iter=1).fit([[0.0], [1.0]], [0, 1])
plotting.WeightDisplay.from_estimator(model)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "WeightDisplay needs matplotlib: pip install matplotlib." in run.stderr


# Curves of metrics --------------------------------------------------------------------------------


def validated(**options):
    options = {"max_iter": 8, "random_state": 0, **options}
    return MLPClassifier((4,), **options).fit(X[:80], y[:80] > 4, X_val=X[:80], y_val=y[:80] > 4)


def lines(display, i):
    axes = np.atleast_1d(display.ax_).ravel()
    return {line.get_label(): line for line in axes[i].get_lines()}


def test_training_figures_are_half_an_epoch_to_the_left():
    model = validated(metrics=["score", "roc_auc"])
    display = plotting.TrainingCurveDisplay.from_estimator(model)
    for i, key in enumerate(["loss", "score"]):
        drawn = lines(display, i)
        np.testing.assert_array_equal(drawn["training"].get_xdata(), np.arange(8) + 0.5)
        np.testing.assert_array_equal(drawn["training"].get_ydata(), model.history_[key])
        np.testing.assert_array_equal(drawn["validation"].get_xdata(), np.arange(8) + 1)
    display = plotting.TrainingCurveDisplay.from_estimator(
        model, metric=["roc_auc", "gradient_norm"]
    )
    drawn = lines(display, 1)
    np.testing.assert_array_equal(drawn["validation"].get_ydata(), model.history_["val_roc_auc"])
    assert list(lines(display, 2)) == ["training", f"best epoch ({model.best_iter_})"]


def test_figures_of_lbfgs_are_at_the_ends_of_its_iterations():
    model = validated(solver="lbfgs", metrics="score")
    drawn = lines(plotting.TrainingCurveDisplay.from_estimator(model, metric="score"), 1)
    np.testing.assert_array_equal(drawn["training"].get_xdata(), drawn["validation"].get_xdata())


def test_a_curve_of_something_unknown():
    with pytest.raises(ValueError, match="metric='auc' is not in history_; choose from"):
        plotting.TrainingCurveDisplay.from_estimator(validated(), metric="auc")
