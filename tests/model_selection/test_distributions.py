"""Distributions of hyperparameters: values against theory, scikit-learn's tools, and misuse."""

import copy
import pickle
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingRandomSearchCV, ParameterSampler, RandomizedSearchCV

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.model_selection import (
    Choice,
    Conditional,
    Distribution,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
    to_optuna,
)

EXAMPLES = [
    LogIntUniform(1, 9),
    LogIntUniform(7, 7),
    OneMinusLogUniform(0.9, 0.9999),
    OneMinusLogUniform(0, 0.5),
    Choice([None, (1, 2), "a", 0.5]),
    Choice(["a", "b"], weights=[1, 0]),
    LayerSizes(),
    LayerSizes(units=8, depth=2, shape="constant"),
    LayerSizes((4, 64), (0, 5), ("pyramid", "free")),
    Conditional(OneMinusLogUniform(0.5, 0.9)),
    Conditional(Conditional([1, 2], on="a", values=[3]), on="b", values=(None, True)),
]
each = pytest.mark.parametrize("distribution", EXAMPLES, ids=repr)


def draw(distribution, n=2000, seed=0):
    return distribution.rvs(n, random_state=seed)


@each
def test_the_repr_is_code_that_builds_an_equal_distribution(distribution):
    built = eval(repr(distribution))
    assert built == distribution
    assert hash(built) == hash(distribution)
    assert repr(built) == repr(distribution)


@each
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_draw_the_same_values(distribution, copied):
    assert copied(distribution) == distribution
    assert list(draw(copied(distribution), 5)) == list(draw(distribution, 5))


@each
def test_the_random_state_may_be_whatever_scipy_takes(distribution):
    one = distribution.rvs(random_state=3)
    assert one == distribution.rvs(random_state=np.random.RandomState(3))
    assert one == distribution.rvs(random_state=3, size=4)[0]
    assert distribution.rvs(size=(2, 3), random_state=np.random.default_rng(0)).shape == (2, 3)
    np.random.seed(3)  # noqa: NPY002
    assert distribution.rvs() == one


@each
def test_one_value_is_a_python_object(distribution):
    value = distribution.rvs(random_state=0)
    assert not isinstance(value, np.generic)
    if isinstance(value, tuple):
        assert all(type(width) is int for width in value)


def test_distributions_are_not_changed():
    with pytest.raises(AttributeError):
        LogIntUniform(1, 2).low = 0


@pytest.mark.parametrize(("low", "high"), [(1, 8), (3, 40)])
def test_each_integer_has_its_share_of_the_logarithmic_scale(low, high):
    drawn = draw(LogIntUniform(low, high), 20_000)
    assert (drawn.min(), drawn.max()) == (low, high)
    assert drawn.dtype == int
    edges = np.log(np.arange(low, high + 2) - 0.5)
    shares = np.diff(edges) / (edges[-1] - edges[0])
    counts = np.bincount(drawn, minlength=high + 1)[low:]
    assert stats.chisquare(counts, shares * len(drawn)).pvalue > 0.01


def test_one_minus_the_value_is_log_uniform():
    drawn = draw(OneMinusLogUniform(0.9, 0.9999))
    assert drawn.dtype == float
    assert drawn.min() >= 0.9
    assert drawn.max() <= 0.9999
    share = (np.log10(1 - drawn) + 4) / 3
    assert stats.kstest(share, "uniform").pvalue > 0.01


def test_choices_follow_their_weights():
    drawn = draw(Choice(["a", "b", "c", "d"], weights=[1, 0, 2, 5]), 8000)
    counts = [int((drawn == name).sum()) for name in "abcd"]
    assert counts[1] == 0
    assert stats.chisquare([counts[i] for i in (0, 2, 3)], [1000, 2000, 5000]).pvalue > 0.01
    assert stats.chisquare(np.bincount(draw(Choice([0, 1, 2]), 6000).astype(int))).pvalue > 0.01


def test_the_value_itself_is_chosen():
    estimator, function = LogisticRegression(), len
    for value in (None, (64, 32), estimator, function, [1, 2], np.arange(3), float("nan"), True):
        assert Choice([value]).rvs(random_state=0) is value
        assert Choice([value], [2]).rvs(size=2, random_state=0)[1] is value


def test_values_of_an_array_become_pythons_numbers():
    assert type(Choice(np.array([1, 2])).rvs(random_state=0)) is int
    assert repr(Choice(np.array([0.5]), np.array([1]))) == "Choice(values=(0.5,), weights=(1.0,))"
    assert repr(LayerSizes(np.array([4, 8]))) == repr(LayerSizes((4, 8)))


def test_free_layers_have_log_uniform_widths_of_their_own():
    drawn = draw(LayerSizes((16, 256), (1, 3)))
    depths = np.bincount([len(sizes) for sizes in drawn])
    assert depths[0] == 0
    assert stats.chisquare(depths[1:]).pvalue > 0.01
    last = np.array([sizes[-1] for sizes in drawn if len(sizes) == 3])
    first = np.array([sizes[0] for sizes in drawn if len(sizes) == 3])
    for widths in (first, last):
        share = np.log(widths / 15.5) / np.log(256.5 / 15.5)
        assert stats.kstest(share, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(np.log(first), np.log(last))[0, 1]) < 0.1


def test_constant_layers_have_one_width():
    drawn = draw(LayerSizes((4, 8), (2, 4), "constant"), 200)
    assert {len(sizes) for sizes in drawn} == {2, 3, 4}
    assert all(len(set(sizes)) == 1 for sizes in drawn)


def test_a_pyramid_gets_narrower_by_one_ratio():
    for sizes in draw(LayerSizes((4, 300), (1, 6), "pyramid"), 300):
        assert 4 <= min(sizes) <= max(sizes) <= 300
        assert list(sizes) == sorted(sizes, reverse=True)
        ratio = (sizes[-1] / sizes[0]) ** (1 / max(len(sizes) - 1, 1))
        exact = sizes[0] * ratio ** np.arange(len(sizes))
        assert np.abs(exact - sizes).max() <= 0.5 + 1e-9


def test_one_of_several_shapes_is_drawn():
    drawn = draw(LayerSizes((4, 300), 3, ("pyramid", "constant")), 300)
    is_constant = [len(set(sizes)) == 1 for sizes in drawn]
    assert 100 < sum(is_constant) < 200
    assert all(list(sizes) == sorted(sizes, reverse=True) for sizes in drawn)


def test_no_layer_is_an_empty_tuple():
    assert LayerSizes(depth=0).rvs(random_state=0) == ()


def test_a_conditional_alone_draws_from_its_distribution():
    inner = stats.loguniform(1e-3, 1)
    assert Conditional(inner).rvs(random_state=0) == inner.rvs(random_state=0)
    assert Conditional(["a"]).rvs(random_state=0) == "a"


SPACE = {
    "hidden_layer_sizes": LayerSizes((2, 8), (1, 2)),
    "batch_size": LogIntUniform(4, 8),
    "momentum": Conditional(OneMinusLogUniform(0.8, 0.99)),
    "solver": Choice(["sgd", "adam"], weights=[2, 1]),
    "learning_rate_init": stats.loguniform(1e-3, 1e-1),
}


@pytest.mark.filterwarnings("ignore:(Stochastic|Got `batch_size`)")
def test_scikit_learns_searches_take_them():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] > 0
    network = MLPClassifier(max_iter=2, tol=0, n_iter_no_change=9, random_state=0)
    for search in (
        RandomizedSearchCV(network, SPACE, n_iter=3, cv=2, random_state=0),
        HalvingRandomSearchCV(network, SPACE, n_candidates=3, cv=2, random_state=0),
    ):
        first = search.fit(X, y).best_params_
        assert clone(search).fit(X, y).best_params_ == first
        assert all(type(width) is int for width in first["hidden_layer_sizes"])


def test_draws_do_not_depend_on_the_order_of_the_dict():
    spaces = SPACE, dict(reversed(SPACE.items()))
    drawn = [list(ParameterSampler(s, 4, random_state=1)) for s in spaces]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LogIntUniform(0, 3), "low=0"),
        (lambda: LogIntUniform(1.5, 3), "low=1.5"),
        (lambda: LogIntUniform(True, 3), "low=True"),
        (lambda: LogIntUniform(3, float("nan")), "high=nan"),
        (lambda: LogIntUniform(3, 2), "low <= high"),
        (lambda: LogIntUniform("3", 4), "low='3'"),
        (lambda: OneMinusLogUniform(0.9, 1), "high=1"),
        (lambda: OneMinusLogUniform(-0.1, 0.9), "low=-0.1"),
        (lambda: OneMinusLogUniform(0.99, 0.9), "low <= high"),
        (lambda: OneMinusLogUniform(None, 0.9), "low=None"),
        (lambda: Choice("relu"), "list or a tuple"),
        (lambda: Choice({"a", "b"}), "list or a tuple"),
        (lambda: Choice({"a": 1}), "list or a tuple"),
        (lambda: Choice(3), "list or a tuple"),
        (lambda: Choice(np.ones((2, 2))), "list or a tuple"),
        (lambda: Choice([]), "empty"),
        (lambda: Choice([LogIntUniform(1, 2)]), "a distribution"),
        (lambda: Choice([1, 2], [1]), "1 entries for 2"),
        (lambda: Choice([1, 2], [1, -1]), "-1 is not a number"),
        (lambda: Choice([1, 2], [1, float("nan")]), "nan is not a number"),
        (lambda: Choice([1, 2], [1, float("inf")]), "inf is not a number"),
        (lambda: Choice([1, 2], [1e308, 1e308]), "the sum inf"),
        (lambda: Choice([1, 2], [0, 0]), "above 0"),
        (lambda: LayerSizes(units=0), "units=0"),
        (lambda: LayerSizes(units=(8, 4)), "smaller one first"),
        (lambda: LayerSizes(units=(8, 16, 32)), "units="),
        (lambda: LayerSizes(units="16"), "units='16'"),
        (lambda: LayerSizes(depth=-1), "depth=-1"),
        (lambda: LayerSizes(depth=2.0), "depth=2.0"),
        (lambda: LayerSizes(shape="piramid"), "did you mean 'pyramid'"),
        (lambda: LayerSizes(shape=()), "empty"),
        (lambda: LayerSizes(shape=("free", 3)), "choose from"),
        (lambda: LayerSizes(shape=None), "list or a tuple"),
        (lambda: Conditional(0.9), "list or a tuple"),
        (lambda: Conditional([0.9], on=None), "on=None"),
        (lambda: Conditional([0.9], on=""), "on=''"),
        (lambda: Conditional([0.9], values="sgd"), "also for one value"),
        (lambda: Conditional([0.9], values=()), "empty"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(build, message):
    with pytest.raises(InvalidParameterError, match=message):
        build()


def test_without_optuna_the_error_names_the_package(monkeypatch):
    for name in ("optuna", "optuna.distributions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'needs optuna: pip install optuna. The extra "optuna"'):
        to_optuna({"a": [1]})
    with pytest.raises(ImportError, match="pip install optuna"):
        LogIntUniform(1, 2).to_optuna()


class Die(Distribution):
    def __init__(self, n_faces):
        self.n_faces = n_faces

    def draw(self, rng):
        return int(rng.uniform(1, self.n_faces + 1))


def test_a_foreign_subclass_needs_one_method():
    assert set(Die(6).rvs(200, random_state=0)) == {1, 2, 3, 4, 5, 6}
    assert Die(6) != Die(20)
    assert set(Conditional(Die(2)).rvs(20, random_state=0)) == {1, 2}
