"""Hidden layers that are reused: warm_start="transfer", pretrained, frozen_layers."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.activations import LeakyReLU
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
    with pytest.raises(
        ValueError, match=r"warm_start=.*give True, False, 'continue' or 'transfer'"
    ):
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


@pytest.mark.parametrize(
    "structure",
    [
        {"hidden_layer_sizes": (9, 7), "activation": ["tanh", "elu"], "batch_norm": "before"},
        {"hidden_layer_sizes": 6, "activation": "selu", "batch_norm_input": True},
        {"layers": [Dense(5, "gelu"), BatchNorm(), Residual([Dense(5, "tanh")])]},
    ],
)
def test_hidden_layers_that_are_not_described_are_those_of_the_pretrained_model(structure):
    source = MLPClassifier(**structure, max_iter=3, random_state=0).fit(X, CODES)
    model = MLPRegressor(pretrained=FrozenEstimator(source), frozen_layers=1, max_iter=2)
    model.set_params(random_state=0).fit(X, NUMBERS)
    n = len(source.network_.hidden_stops)
    assert len(model.network_.hidden_stops) == n
    assert same(hidden(model, 0)[:2], hidden(source, 0)[:2])
    np.testing.assert_allclose(model.transform(X, 0), source.transform(X, 0), rtol=1e-6)
    assert model.hidden_layer_sizes == (100,)  # a parameter is what the user set
    twin = clone(model).fit(X, NUMBERS)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    described = MLPRegressor(**structure, pretrained=FrozenEstimator(source), frozen_layers=1)
    described.set_params(random_state=0, max_iter=2).fit(X, NUMBERS)
    np.testing.assert_array_equal(described.predict(X), model.predict(X))
    model.partial_fit(X, NUMBERS)
    model.set_params(warm_start=True).fit(X, NUMBERS)


def test_an_autoencoder_gives_its_encoder():
    source = MLPAutoencoder((7, 3), ["tanh", "identity"], max_iter=3).fit(X)
    model = MLPClassifier(pretrained=FrozenEstimator(source), max_iter=1, random_state=0)
    assert [W.shape for W in model.fit(X, CODES).coefs_] == [(6, 7), (7, 3), (3, 4)]
    assert model.network_.layers[1].activation_ is None


@pytest.mark.parametrize(
    ("mine", "theirs", "named"),
    [
        ("relu", "tanh", r"hidden layer 0: .*Tanh\(\) there, .*ReLU\(\) here"),
        (["relu", "identity", "relu"], "relu", r"hidden layer 1: .*ReLU\(\) there"),
        (LeakyReLU(0.1), LeakyReLU(0.3), r"negative_slope=0.3\) there, .*=0.1\) here"),
    ],
)
@pytest.mark.parametrize("batch_norm", [None, "before"])
def test_another_activation_is_named_as_another_shape_is(mine, theirs, named, batch_norm):
    options = {**OPTIONS, "batch_norm": batch_norm}
    source = MLPClassifier(**{**options, "activation": theirs}).fit(X, CODES)
    model = MLPClassifier(**{**options, "activation": mine, "dropout": 0.1})
    with pytest.raises(ValueError, match=named):
        model.set_params(pretrained=FrozenEstimator(source)).fit(X, CODES)


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


# n_reused_layers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upper",
    [
        {"hidden_layer_sizes": (9, 7, 30)},
        {"hidden_layer_sizes": (9, 7, 30, 4), "activation": ["relu", "relu", "tanh", "selu"]},
        {"hidden_layer_sizes": (9, 7)},
        {"activation": ["relu", "relu", "gelu"]},
    ],
)
@pytest.mark.parametrize("by", ["pretrained", "transfer"])
def test_the_layers_below_another_upper_part_are_kept(source, upper, by):
    kept = [hidden(source, i) for i in range(3)]
    options = {**OPTIONS, "batch_norm": source.batch_norm, **upper, "n_reused_layers": 2}
    if by == "pretrained":
        model = MLPClassifier(**options, pretrained=FrozenEstimator(source))
    else:
        model = clone(source).fit(X, CODES).set_params(**options, warm_start="transfer")
    model.set_params(frozen_layers=2).fit(X, CODES % 3)
    assert same(hidden(model, 0) + hidden(model, 1), kept[0] + kept[1])
    sizes = upper.get("hidden_layer_sizes", OPTIONS["hidden_layer_sizes"])
    assert [W.shape[1] for W in model.coefs_[:-1]] == list(sizes)
    assert len(sizes) < 3 or not same(hidden(model, 2)[:1], kept[2][:1])
    before = hidden(model, 0)
    model.set_params(warm_start=True, frozen_layers=0).fit(X, CODES % 3)
    assert not same(hidden(model, 0), before)


def test_the_structure_of_the_pretrained_model_with_new_upper_weights(source):
    frozen = FrozenEstimator(source)
    model = MLPRegressor(pretrained=frozen, n_reused_layers=1, frozen_layers=[0, 2], max_iter=2)
    model.set_params(random_state=0).fit(X, NUMBERS)
    assert [W.shape for W in model.coefs_] == [W.shape for W in source.coefs_[:-1]] + [(5, 1)]
    assert same(hidden(model, 0), hidden(source, 0))
    assert not same(hidden(model, 2)[:1], hidden(source, 2)[:1])


def test_no_reused_layer_is_a_fresh_start(source):
    options = {**OPTIONS, "batch_norm": source.batch_norm}
    model = MLPClassifier(**options, pretrained=FrozenEstimator(source), n_reused_layers=0)
    fresh = MLPClassifier(**options).fit(X, CODES)
    np.testing.assert_array_equal(model.fit(X, CODES).predict_proba(X), fresh.predict_proba(X))
    other = clone(model).set_params(hidden_layer_sizes=(3,)).fit(X[:, :4], CODES)
    assert np.isfinite(other.predict_proba(X[:, :4])).all()


def test_reused_layers_in_a_search_and_in_layers_spelled_out():
    source = MLPClassifier((9, 7), max_iter=2, random_state=0).fit(X, CODES)
    model = MLPClassifier(**OPTIONS, pretrained=FrozenEstimator(source))
    search = GridSearchCV(model, {"n_reused_layers": [None, 0, 1, 2]}, cv=2).fit(X, CODES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    layers = [Dense(9, "relu"), BatchNorm(), Residual([Dense(9, "tanh")])]
    model = MLPClassifier(layers=layers, pretrained=FrozenEstimator(source), n_reused_layers=1)
    model.set_params(frozen_layers=1, max_iter=2, random_state=0).fit(X, CODES)
    assert same(hidden(model, 0), hidden(source, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_reused_layers": 4}, r"passes on 3 hidden layers, and the new one has 3.*in \[0, 3\]"),
        ({"n_reused_layers": 2, "hidden_layer_sizes": (9,)}, r"the new one has 1; .*in \[0, 1\]"),
        ({"n_reused_layers": 2, "hidden_layer_sizes": (9, 8)}, r"layer 1: .*n_reused_layers=1 cop"),
        (
            {"hidden_layer_sizes": (9, 8)},
            r"layer 1: kernel \(9, 7\).*n_reused_layers=1 copies only",
        ),
        ({"n_reused_layers": 1, "activation": "tanh"}, r"layer 0: .*ReLU\(\) there.*Tanh\(\) here"),
        (
            {"n_reused_layers": -1},
            "n_reused_layers=-1 is not allowed; give an integer >= 0 or None",
        ),
        ({"n_reused_layers": 1.0}, "n_reused_layers=1.0 is not allowed"),
        ({"n_reused_layers": "all"}, "n_reused_layers='all' is not allowed"),
    ],
)
def test_reused_layers_that_are_not_there(options, message):
    source = MLPClassifier(**OPTIONS).fit(X, CODES)
    settings = {**OPTIONS, **options}
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**settings, pretrained=FrozenEstimator(source)).fit(X, CODES)
    with pytest.raises(ValueError, match=message):
        source.set_params(**settings, warm_start="transfer").fit(X, CODES)


def test_fewer_layers_than_the_pretrained_model_with_first_values_from_the_data(source):
    options = {**OPTIONS, "batch_norm": source.batch_norm, "hidden_layer_sizes": (9,)}
    model = MLPClassifier(**options, initializer="data", pretrained=FrozenEstimator(source))
    model.set_params(frozen_layers=1).fit(X, CODES)
    assert same(hidden(model, 0), hidden(source, 0))


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
