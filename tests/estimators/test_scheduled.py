"""Numbers that change over time: dropout, noise, weight decay."""

import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skdeep import MLPClassifier, MLPRegressor, load, save
from skdeep.callbacks import Callback
from skdeep.inspection import diagnose
from skdeep.layers import Dense, Dropout, GaussianNoise, Layer
from skdeep.optimizers import AdamW
from skdeep.schedules import (
    SCHEDULES,
    CosineLog,
    FlatCosine,
    Piecewise,
    Progress,
    Schedule,
    Scheduled,
    Warmup,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = X[:, 0] * X[:, 1]
OPTIONS = {"max_iter": 8, "batch_size": 20, "random_state": 0, "n_iter_no_change": 50}
NAMES = [
    *("dropout", "input_dropout", "input_noise", "pre_activation_noise", "activation_noise"),
    *("weight_noise", "gradient_noise", "target_noise", "weight_decay"),
]


def fitted(**options):
    return MLPRegressor((6,), **{**OPTIONS, **options}).fit(X, Y)


def weights(model):
    return model.network_.parameters.values


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_schedule_is_the_number_itself(name):
    scheduled, plain = fitted(**{name: Scheduled(0.2)}), fitted(**{name: 0.2})
    np.testing.assert_array_equal(weights(scheduled), weights(plain))
    assert scheduled.history_[name] == [0.2] * 8


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_changes_trains_another_model(name):
    scheduled = fitted(**{name: Scheduled(0.2, "linear")})
    assert not np.array_equal(weights(scheduled), weights(fitted(**{name: 0.2})))
    # the number of the last step of each epoch, of three
    expected = [0.2 * (1 - (epoch + 2 / 3) / 8) for epoch in range(8)]
    np.testing.assert_allclose(scheduled.history_[name], expected, rtol=1e-12)


class Rates(Callback):
    def on_train_begin(self, trainer):
        self.rates_ = []

    def on_batch_end(self, trainer):
        layers = trainer.network.walk()
        self.rates_.append([x._rate for x in layers if isinstance(x, Dropout)])


def test_each_step_has_its_number_and_each_layer_its_schedule():
    watcher = Rates()
    dropout = [Scheduled(0.5, "linear"), 0.3, Scheduled(0.4, "flat_cosine")]
    mlp = MLPRegressor((6, 5, 4), dropout=dropout, callbacks=[watcher], **OPTIONS).fit(X, Y)
    t = np.arange(24) / 24
    flat = np.where(t < 0.5, 0.4, 0.4 * (1 + np.cos(np.pi * (t - 0.5) / 0.5)) / 2)
    expected = np.stack([0.5 * (1 - t), np.full(24, 0.3), flat], axis=1)
    np.testing.assert_allclose(watcher.rates_, expected, rtol=1e-10)
    assert {"dropout_0", "dropout_2"} <= mlp.history_.keys()
    assert "dropout_1" not in mlp.history_
    np.testing.assert_allclose(mlp.history_["dropout_2"], flat[2::3], rtol=1e-10)


def test_layers_that_are_spelled_out_follow_schedules():
    layers = [Dense(5, "relu"), Dropout(Scheduled(0.5, "cosine")), GaussianNoise(Scheduled(0.1))]
    mlp = MLPRegressor(layers=layers, **OPTIONS).fit(X, Y)
    numbers = [name for name in mlp.history_ if name.startswith(("Dropout", "Gaussian"))]
    assert numbers == ["Dropout_1_rate", "GaussianNoise_2_std"]


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_weight_decay_is_that_of_its_step(kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    kernel = []

    class Kernels(Callback):
        def on_batch_end(self, trainer):
            kernel.append(trainer.network.layers[0].kernel_.value[0, 0])

    options = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "alpha": 0.0}
    nothing = np.zeros_like(X)  # the gradient of the first kernel is 0
    decay = Scheduled(2.0, "linear")
    mlp = MLPRegressor((3,), weight_decay=decay, callbacks=[Kernels()], **options, **OPTIONS)
    mlp.fit(nothing, Y)
    t = np.arange(1, 24) / 24
    ratios = np.array(kernel[1:]) / np.array(kernel[:-1])
    np.testing.assert_allclose(ratios, 1 - 0.1 * 2.0 * (1 - t), rtol=1e-9)


def test_partial_fit_continues_the_schedule():
    model = MLPRegressor((6,), dropout=Scheduled(0.4, "linear"), **OPTIONS)
    for _ in range(3):
        model.partial_fit(X, Y)
    whole = fitted(dropout=Scheduled(0.4, "linear"))
    np.testing.assert_allclose(model.history_["dropout"], whole.history_["dropout"][:3])


def test_pipelines_searches_files_and_copies(tmp_path):
    model = MLPRegressor((4,), dropout=Scheduled(0.4, "linear"), **OPTIONS)
    assert model.get_params()["dropout__value"] == 0.4
    assert clone(model).get_params()["dropout__schedule"] == "linear"
    grid = {"dropout__value": [0.1, 0.5], "dropout__schedule": ["linear", "cosine_log"]}
    search = GridSearchCV(model, grid, cv=2).fit(X, Y)
    assert search.best_params_["dropout__value"] in (0.1, 0.5)
    best = search.best_estimator_
    save(best, tmp_path / "model")
    for twin in (load(tmp_path / "model"), pickle.loads(pickle.dumps(best))):
        np.testing.assert_array_equal(twin.predict(X), best.predict(X))
        assert repr(twin) == repr(best)
    assert "Dropout" in str(best.summary())


def test_a_warm_start_may_change_the_number():
    model = MLPRegressor((6,), dropout=0.4, warm_start=True, **OPTIONS).fit(X, Y)
    model.set_params(dropout=Scheduled(0.4, "linear")).fit(X, Y)
    assert math.isnan(model.history_["dropout"][0])
    assert 0 < model.history_["dropout"][-1] < 0.4


class Reports(Layer):
    """A layer of the user's own that follows training."""

    def forward(self, X):
        return X

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X

    def begin_step(self, progress):
        seen.append(progress.fraction)


seen: list[float] = []


def test_a_layer_of_ones_own_learns_how_far_training_has_come():
    seen.clear()
    MLPRegressor(layers=[Dense(3, "relu"), Reports()], **OPTIONS).fit(X, Y)
    np.testing.assert_allclose(seen, np.arange(24) / 24)


class Lost(Schedule):
    """A schedule of the user's own that goes wrong."""

    def rate(self, initial, progress):
        return math.nan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dropout": Scheduled(1.5)}, r"dropout=1.5 is not allowed"),
        ({"dropout": [Scheduled(-0.1)]}, r"dropout=-0.1 is not allowed"),
        ({"dropout": Scheduled("a lot")}, "dropout='a lot' is not allowed"),
        ({"weight_decay": Scheduled(-1.0)}, "weight_decay=-1.0 is not allowed"),
        ({"dropout": Scheduled(0.1, "liner")}, "did you mean 'linear'"),
        ({"dropout": Scheduled(0.1, 3)}, "dropout__schedule=3 is not allowed"),
        ({"dropout": Scheduled(0.1, "adaptive")}, "follows the training loss"),
        ({"dropout": Scheduled(0.1, Warmup("adaptive"))}, "follows the training loss"),
        ({"weight_decay": Scheduled(0.1, Lost())}, "became nan"),
        ({"alpha": Scheduled(0.1)}, "alpha=Scheduled.*is not allowed"),
        ({"dropout": Scheduled(Scheduled(0.1))}, "is not allowed"),
        ({"dropout": Scheduled(0.5, Piecewise([1, 2], [1, 3, 1]))}, "rate=.* became 1.5"),
    ],
)
def test_numbers_and_schedules_that_are_not_allowed(options, words):
    with pytest.raises(ValueError, match=words):
        fitted(**options)


def test_lbfgs_says_that_it_ignores_them():
    model = MLPClassifier((4,), solver="lbfgs", dropout=Scheduled(0.2), max_iter=5)
    with pytest.warns(UserWarning, match=r"dropout=Scheduled\(.*can't honour|can't honour dropout"):
        model.fit(X, Y > 0)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "adaptive"])
def test_every_schedule_serves_a_number(name):
    number = Scheduled(0.3, name).ready()
    values = [number.at(Progress(10 * t, 10)) for t in np.linspace(0, 1, 50)]
    assert all(0 <= value <= 0.3 + 1e-12 for value in values)


def test_the_new_schedules_are_what_their_formulas_say():
    for t in np.linspace(0, 1, 33):
        progress = Progress(100 * t, 100)
        flat = 1.0 if t < 0.5 else (1 + math.cos(math.pi * (t - 0.5) / 0.5)) / 2
        assert FlatCosine().rate(2.0, progress) == pytest.approx(2 * flat, abs=1e-12)
        log = (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t))) / 2
        assert CosineLog().rate(2.0, progress) == pytest.approx(2 * log, abs=1e-12)
        assert CosineLog(cycles=1).rate(1.0, progress) == pytest.approx(
            (1 - math.cos(2 * math.pi * math.log2(1 + t))) / 2, abs=1e-12
        )


def test_the_decay_of_an_optimizer_is_constant():
    options = {**OPTIONS, "alpha": 0.0}
    constant = MLPRegressor((4,), solver=AdamW(weight_decay=0.5), **options).fit(X, Y)
    ends_at_0 = Scheduled(0.0, "linear")
    scheduled = MLPRegressor(
        (4,), solver=AdamW(weight_decay=0.5), weight_decay=ends_at_0, **options
    )
    np.testing.assert_array_equal(weights(scheduled.fit(X, Y)), weights(constant))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_with_such_a_number_can_be_examined(name):
    diagnose(fitted(**{name: Scheduled(0.1, "cosine")}), X, Y)
