"""Hidden layers that are reused: warm_start="transfer", pretrained, frozen_layers."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier, MLPRegressor
from skdeep.layers import BatchNorm, Dense, Residual

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((80, 6))
CODES = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0)
NUMBERS = X[:, 0] - X[:, 2] ** 2
OPTIONS = {"hidden_layer_sizes": (9, 7, 5), "max_iter": 5, "random_state": 1}


def hidden(model, i):
    """Return copies of everything that hidden layer i holds."""
    stops = [0, *model.network_.hidden_stops]
    layers = model.network_.layers[stops[i] : stops[i + 1]]
    return [p.value.copy() for layer in layers for q in layer.walk() for p in q.parameters_]


def same(arrays, others):
    return len(arrays) == len(others) and all(map(np.array_equal, arrays, others))


@pytest.fixture(params=[None, "before", "after"])
def source(request):
    return MLPClassifier(**OPTIONS, batch_norm=request.param).fit(X, CODES)


# warm_start -----------------------------------------------------------------------------------

TARGETS = {
    "the same classes": CODES,
    "other classes": np.array(["a", "b", "c"])[CODES % 3],
    "two classes": CODES % 2 == 0,
    "labels": np.eye(4, dtype=int)[CODES][:, :3],
}


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_transfer_keeps_the_hidden_layers_and_nothing_else(source, y):
    kept = [hidden(source, i) for i in range(3)]
    source.set_params(warm_start="transfer", frozen_layers=3).fit(X, y)
    assert all(same(hidden(source, i), kept[i]) for i in range(3))
    assert len(source.loss_curve_) == source.n_iter_ == 5
    assert source.t_ == 5 * len(X)
    fresh = clone(source).set_params(warm_start=False).fit(X, y)
    assert source.predict_proba(X).shape == fresh.predict_proba(X).shape
    assert not np.array_equal(source.predict_proba(X), fresh.predict_proba(X))


def test_transfer_for_another_number_of_outputs():
    model = MLPRegressor(**OPTIONS, warm_start="transfer").fit(X, NUMBERS)
    kept = hidden(model, 0)
    model.set_params(frozen_layers=1).fit(X, np.column_stack([NUMBERS, X[:, 3]]))
    assert same(hidden(model, 0), kept)
    assert model.predict(X).shape == (80, 2)


def test_transfer_in_a_first_fit_is_a_fit():
    first = MLPClassifier(**OPTIONS, warm_start="transfer").fit(X, CODES)
    plain = MLPClassifier(**OPTIONS).fit(X, CODES)
    np.testing.assert_array_equal(first.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(("sizes", "n_kept"), [((9, 7, 5, 3), 3), ((9, 7), 2), ((9,), 1)])
def test_transfer_with_layers_added_or_taken_away(source, sizes, n_kept):
    kept = [hidden(source, i) for i in range(n_kept)]
    source.set_params(warm_start="transfer", hidden_layer_sizes=sizes, frozen_layers=n_kept)
    source.fit(X, CODES)
    for i, arrays in enumerate(kept):
        assert same(hidden(source, i), arrays)
    assert [c.shape[1] for c in source.coefs_[:-1]] == list(sizes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_layer_sizes": (9, 8, 5)}, r"hidden layer 1: kernel \(9, 7\).*\(9, 8\)"),
        ({"batch_norm": "after"}, r"hidden layer 0: .* there, .*gamma \(9,\).* here"),
    ],
)
def test_transfer_to_other_shapes_names_the_layers(change, message):
    model = MLPClassifier(**OPTIONS).fit(X, CODES)
    before = model.predict_proba(X)
    model.set_params(warm_start="transfer", **change)
    with pytest.raises(ValueError, match=message):
        model.fit(X, CODES)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="inputs: 6 there, 5 here"):
        MLPClassifier(**OPTIONS, warm_start="transfer").fit(X, CODES).fit(X[:, :5], CODES)


@pytest.mark.parametrize(
    ("change", "y"), [({"hidden_layer_sizes": (9,)}, CODES), ({}, CODES + 1), ({}, CODES % 2)]
)
def test_a_warm_start_that_does_not_fit_names_transfer(change, y):
    model = MLPClassifier(**OPTIONS, warm_start=True).fit(X, CODES).set_params(**change)
    with pytest.raises(ValueError, match='warm_start="transfer"'):
        model.fit(X, y)


@pytest.mark.parametrize("value", ["transfered", None, 2, "True"])
def test_warm_start_is_a_switch_or_transfer(value):
    with pytest.raises(ValueError, match=r"warm_start=.*give True, False or 'transfer'"):
        MLPClassifier(**OPTIONS, warm_start=value).fit(X, CODES)


# pretrained -----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_pretrained_is_the_start(source, estimator):
    frozen = FrozenEstimator(source)
    options = {**OPTIONS, "batch_norm": source.batch_norm, "pretrained": frozen}
    y = CODES if estimator is MLPClassifier else NUMBERS
    model = estimator(**options, frozen_layers=2).fit(X, y)
    assert same(hidden(model, 0) + hidden(model, 1), hidden(source, 0) + hidden(source, 1))
    assert not same(hidden(model, 2), hidden(source, 2))
    np.testing.assert_array_equal(model.transform(X, 1), source.transform(X, 1))
    for twin in (clone(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.fit(X, y).predict(X), model.predict(X))


def test_pretrained_may_have_fewer_layers_or_another_dtype():
    source = MLPClassifier((9,), dtype="float32", max_iter=3, random_state=0).fit(X, CODES)
    model = MLPClassifier((9, 4), pretrained=FrozenEstimator(source), frozen_layers=1, max_iter=2)
    model.fit(X, CODES)
    assert same(hidden(model, 0), [a.astype(float) for a in hidden(source, 0)])


def test_pretrained_in_a_pipeline_and_a_search_over_frozen_layers(source):
    options = {**OPTIONS, "batch_norm": source.batch_norm, "pretrained": FrozenEstimator(source)}
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**options))
    search = GridSearchCV(pipeline, {"mlpclassifier__frozen_layers": [0, 1, [0, 2]]}, cv=2)
    search.fit(X, CODES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_fit_leaves_what_was_pretrained_alone(source):
    before = source.predict_proba(X)
    options = {**OPTIONS, "batch_norm": source.batch_norm}
    MLPClassifier(**options, pretrained=FrozenEstimator(source)).fit(X, CODES)
    np.testing.assert_array_equal(source.predict_proba(X), before)


@pytest.mark.parametrize(
    ("pretrained", "message"),
    [
        (MLPClassifier(), r"would be cloned.*pretrained=FrozenEstimator\(mlpclassifier\)"),
        (StandardScaler(), "give None, or a fitted estimator of skdeep"),
        (FrozenEstimator(StandardScaler()), "give None, or a fitted estimator of skdeep"),
        (FrozenEstimator(MLPClassifier()), "pretrained: this MLPClassifier .* not fitted"),
        ("model.pkl", "give None, or a fitted estimator of skdeep"),
    ],
)
def test_pretrained_of_the_wrong_kind(pretrained, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**OPTIONS, pretrained=pretrained).fit(X, CODES)


def test_pretrained_of_other_shapes_names_the_layers():
    source = MLPClassifier((9, 3), max_iter=1).fit(X, CODES)
    with pytest.raises(ValueError, match=r"pretrained needs .* hidden layer 1: kernel \(9, 3\)"):
        MLPClassifier(**OPTIONS, pretrained=FrozenEstimator(source)).fit(X, CODES)


# frozen_layers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frozen", "positions"),
    [(0, []), (1, [0]), (3, [0, 1, 2]), ([1], [1]), ((0, -1), [0, 2]), (np.int64(2), [0, 1])],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_frozen_layers_stay_as_they_are(source, frozen, positions, solver):
    source.set_params(warm_start=True, solver=solver, weight_decay=0.0)
    before = [hidden(source, i) for i in range(3)]
    source.set_params(frozen_layers=frozen).fit(X, CODES)
    for i in range(3):
        assert same(hidden(source, i), before[i]) == (i in positions), i


def test_frozen_layers_hold_out_against_decay_penalties_noise_and_constraints():
    model = MLPClassifier(**OPTIONS, warm_start=True).fit(X, CODES)
    before = hidden(model, 0)
    model.set_params(
        frozen_layers=1,
        weight_decay=0.1,
        alpha=1.0,
        l1_ratio=0.5,
        gradient_noise=0.1,
        kernel_constraint="unit_norm",
        kernel_regularizer="l1",
    )
    assert same(hidden(model.fit(X, CODES), 0), before)


def test_nothing_is_computed_below_what_trains():
    model = MLPClassifier(**OPTIONS, batch_norm="before", frozen_layers=2).fit(X, CODES)
    network = model.network_
    network.allocate(10, None)
    lowest = network.chain._backward[-1]
    assert lowest is network.layers[network.hidden_stops[1]]
    network.forward(X[:10].astype(network.dtype))
    network.backward(np.ones((10, 4)))
    assert lowest._dX is None
    assert len(network.parameters.grads) == sum(
        p.size for p in network.parameters.parameters if p.trainable
    )
    network.release()


def test_frozen_layers_spelled_out():
    layers = [Dense(6, "relu"), Residual([Dense(6, "relu"), BatchNorm()]), Dense(4, "tanh")]
    model = MLPClassifier(layers=layers, max_iter=3, warm_start=True, random_state=0)
    before = hidden(model.fit(X, CODES), 1)
    assert same(hidden(model.set_params(frozen_layers=2).fit(X, CODES), 1), before)


def test_unfreezing_in_partial_fit_goes_on():
    model = MLPClassifier(**OPTIONS, frozen_layers=2)
    model.partial_fit(X, CODES, classes=range(4))
    before = hidden(model, 0)
    model.partial_fit(X, CODES)
    assert same(hidden(model, 0), before)
    model.set_params(frozen_layers=0).partial_fit(X, CODES)
    assert not same(hidden(model, 0), before)


@pytest.mark.parametrize("value", [4, -1, [3], [0.5], "1", 1.0, None, [[0]]])
def test_frozen_layers_that_are_not_there(value):
    with pytest.raises(ValueError, match=r"frozen_layers=.*there are 3 hidden layers"):
        MLPClassifier(**OPTIONS, frozen_layers=value).fit(X, CODES)
