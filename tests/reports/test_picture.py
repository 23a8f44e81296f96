"""What notebooks show, and the counts of a summary."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.reports.picture import MOST_POINTS, training_curve

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((60, 4))
y = X[:, 0]


def test_the_counts_that_keras_gives():
    """784-300-100-10, batch norm on the inputs and after both hidden layers."""
    model = MLPClassifier((300, 100), batch_norm_input=True, batch_norm="after", max_iter=1)
    rng = np.random.default_rng(0)
    model.fit(rng.random((20, 784), dtype=np.float32), np.arange(20) % 10)
    summary = model.summary()
    assert (summary.total, summary.trainable, summary.non_trainable) == (271_346, 268_978, 2_368)
    text = str(summary)
    assert "Total parameters: 271,346" in text
    assert "Trainable: 268,978" in text
    assert "Non-trainable: 2,368" in text
    assert all(n in summary._repr_html_() for n in ("271,346", "268,978", "2,368"))


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, MLPAutoencoder])
def test_a_fitted_estimator_shows_its_network_and_its_curve(Estimator):
    model = Estimator((8,), max_iter=5)
    assert "<svg" not in model._repr_html_()
    model.fit(X, y > 0 if Estimator is MLPClassifier else y)
    page = model._repr_html_()
    assert Estimator.__name__ in page
    assert "Dense (ReLU)" in page
    assert "5 epochs" in page
    assert page.count("<svg") - page.count("&lt;svg") >= 1
    # nothing is fetched from anywhere
    for part in page.split("<svg")[-1].split("</svg>"):
        assert "href" not in part
        assert "src=" not in part


def polylines(svg):
    root = ET.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}polyline"
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(name)
    ]


def test_the_curve_is_the_history():
    model = MLPRegressor((8,), max_iter=20, random_state=0).fit(X, y, X_val=X, y_val=y)
    training, validation = polylines(training_curve(model.history_))
    assert len(training) == len(validation) == 20
    heights = np.array([at for _, at in training])
    losses = np.array(model.history_["loss"])
    np.testing.assert_allclose(np.corrcoef(heights, losses)[0, 1], -1, atol=1e-3)


@pytest.mark.parametrize(
    "losses",
    [
        [1.0],
        [1.0, 1.0, 1.0],
        [1.0, math.nan, 0.5],
        [math.nan],
        list(np.linspace(1, 0, 5000)),
        [1e300, 1e-300],
    ],
    ids=["one", "constant", "gap", "nothing", "long", "huge"],
)
def test_histories_of_all_kinds(losses):
    svg = training_curve({"loss": losses})
    if not np.isfinite(losses).any():
        assert svg == ""
        return
    assert "nan" not in svg
    for line in polylines(svg):
        assert len(line) <= MOST_POINTS + 1
        assert all(0 <= x <= 360 and 0 <= at <= 180 for x, at in line)
