"""Links from displays and messages to the pages of the documentation."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import skdeep
from skdeep import MLPClassifier, MLPRegressor, _documentation
from skdeep.activations import LeakyReLU
from skdeep.inspection import Finding, diagnose
from skdeep.inspection.findings.case import PAGES
from skdeep.layers import Dense
from skdeep.model_selection import HalvingEpochsSearchCV
from skdeep.training.trainer import DivergenceError

DOCS = Path(__file__).parents[1] / "docs"
BASE = "https://docs.example.org/skdeep"


@pytest.fixture
def base(monkeypatch):
    monkeypatch.setenv("SKDEEP_DOCS", BASE + "/")


@pytest.fixture
def no_base(monkeypatch):
    monkeypatch.delenv("SKDEEP_DOCS", raising=False)
    monkeypatch.setattr(_documentation, "_from_metadata", str)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (MLPClassifier(), "skdeep.MLPClassifier"),
        (skdeep.TabularEncoder(), "skdeep.TabularEncoder"),
        (skdeep.TabularRegressor(), "skdeep.TabularRegressor"),
        (LeakyReLU(), "skdeep.activations.LeakyReLU"),
        (Dense(3), "skdeep.layers.Dense"),
        (
            HalvingEpochsSearchCV(MLPClassifier(), {}),
            "skdeep.model_selection.HalvingEpochsSearchCV",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_displays_link_to_the_reference(base, thing, name):
    assert f'href="{BASE}/api/generated/{name}.html"' in thing._repr_html_()


def test_a_network_in_a_pipeline_links_too(base):
    html = make_pipeline(LinearRegression(), MLPClassifier())._repr_html_()
    assert f"{BASE}/api/generated/skdeep.MLPClassifier.html" in html


def test_no_link_without_an_address(no_base):
    html = MLPClassifier()._repr_html_()
    assert "skdeep.MLPClassifier.html" not in html
    assert "scikit-learn.org" not in html.split("</style>")[-1].split("<table")[0]


def test_classes_of_users_have_no_page(base):
    class Mine(MLPClassifier):
        pass

    assert Mine()._get_doc_link() == ""


def test_a_class_that_no_module_offers_has_no_page(base):
    hidden = type("Hidden", (LeakyReLU,), {"__module__": "skdeep.activations"})
    assert hidden()._get_doc_link() == ""


def test_messages_name_pages(base):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    with pytest.raises(ValueError, match=rf"See {BASE}/families/optimizers.html$"):
        MLPRegressor(solver="adamm").fit(X, y)
    with pytest.raises(DivergenceError, match=rf"See {BASE}/recipes/unscaled_data.html$"):
        MLPRegressor(solver="sgd", learning_rate_init=1e9).fit(X, y * 1e6)


def test_messages_without_an_address_name_none(no_base):
    with pytest.raises(ValueError, match=r"\]\.$"):
        MLPRegressor(solver="adamm").fit(np.ones((4, 1)), np.arange(4.0))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_doctor_names_pages(base):
    X, y = np.random.default_rng(0).normal(size=(80, 3)), np.arange(80.0)
    mlp = MLPRegressor(max_iter=5, random_state=0)
    report = diagnose(mlp.fit(X * 1e4, y), X * 1e4, y)
    assert f"    see: {BASE}/recipes/unscaled_data.html" in str(report)
    assert f'<a href="{BASE}/recipes/unscaled_data.html">More</a>' in report._repr_html_()


def test_the_doctor_without_an_address(no_base):
    assert Finding("overfitting", "a figure", "advice").url == ""


def test_a_finding_of_another_kind_has_no_page(base):
    assert Finding("mine", "a figure", "advice").url == ""


def test_the_address_in_the_metadata(monkeypatch):
    monkeypatch.delenv("SKDEEP_DOCS", raising=False)
    urls = {"Project-URL": ["Source, https://git.example.org", f"Documentation, {BASE}"]}
    metadata = type("Metadata", (), {"get_all": lambda self, key: urls[key]})
    monkeypatch.setattr(_documentation.importlib.metadata, "metadata", lambda name: metadata())
    assert _documentation.link("losses") == f"{BASE}/losses.html"


def test_a_folder_is_an_address_too(monkeypatch, tmp_path):
    monkeypatch.setenv("SKDEEP_DOCS", str(tmp_path))
    assert _documentation.link("losses") == f"{tmp_path.as_uri()}/losses.html"


@pytest.mark.parametrize("page", sorted({*_documentation.PAGES.values(), *PAGES.values()}))
def test_the_pages_exist(page):
    assert (DOCS / f"{page}.md").exists()
