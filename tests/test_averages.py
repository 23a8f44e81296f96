"""Averages of weights: what is averaged, what is evaluated, and what training continues with."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor
from skdeep.averages import AVERAGES, EMA, SWA
from skdeep.callbacks import Callback, EarlyStopping, GradualUnfreezing
from skdeep.kernels import numpy_kernels
from skdeep.training.stages import GradientStage

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 5))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def model(averaging, **options):
    settings = {"max_iter": 6, "batch_size": 30, "n_iter_no_change": 50, "random_state": 0}
    return MLPClassifier((8,), weight_averaging=averaging, **{**settings, **options})


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Weights(Callback):
    """Keeps the weights after every step, and those that are shown after every epoch."""

    def on_train_begin(self, trainer):
        self.steps_, self.shown_ = [], []

    def on_batch_end(self, trainer):
        self.steps_.append(trainer.network.parameters.values.copy())

    def on_epoch_end(self, trainer):
        self.shown_.append(trainer.network.parameters.values.copy())


def followed(averaging, **options):
    """Return a fitted model, its weights after every step, and those shown after every epoch."""
    watcher = Weights()
    fitted = model(averaging, callbacks=[watcher], **options).fit(X, Y)
    return fitted, np.array(watcher.steps_), np.array(watcher.shown_)


def ema_by_hand(steps, decay):
    average = steps[0].copy()
    averages = [average.copy()]
    for t, w in enumerate(steps[1:], 1):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * w
        averages.append(average.copy())
    return np.array(averages)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_ema_is_the_moving_average_over_steps(kernels, monkeypatch):
    if kernels == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDEEP_KERNELS", kernels)
    fitted, steps, shown = followed(EMA(decay=0.5))
    averages = ema_by_hand(steps, 0.5)
    np.testing.assert_allclose(shown, averages[2::3], rtol=1e-12)
    np.testing.assert_array_equal(fitted.network_.parameters.values, shown[-1])


@pytest.mark.parametrize(("start", "first"), [(2, 2), (0.5, 3), (0, 0)])
def test_averaging_begins_at_its_start(start, first):
    _, steps, shown = followed(EMA(decay=0.9, start=start))
    raw = steps[2::3]
    np.testing.assert_array_equal(shown[:first], raw[:first])
    averages = ema_by_hand(steps[3 * first :], 0.9)
    np.testing.assert_allclose(shown[first:], averages[2::3], rtol=1e-12)


@pytest.mark.parametrize(("every", "taken"), [(1, [2, 3, 4, 5]), (2, [2, 4])])
def test_swa_is_the_mean_of_the_ends_of_epochs(every, taken):
    fitted, steps, shown = followed(SWA(start=2, every=every))
    raw = steps[2::3]
    np.testing.assert_allclose(shown[-1], raw[taken].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(fitted.network_.parameters.values, shown[-1])


@pytest.mark.parametrize("averaging", [EMA(0.9), SWA(start=1)], ids=str)
@pytest.mark.parametrize("watched", [False, True])
def test_training_itself_is_what_it_is_without_an_average(averaging, watched):
    options = {"callbacks": [Weights()] if watched else None, "dropout": 0.2}
    averaged = model(averaging, **options).fit(X, Y)
    plain = model(None, dropout=0.2).fit(X, Y)
    assert averaged.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(averaged._run.average.raw_, plain.network_.parameters.values)
    assert not np.array_equal(averaged.coefs_[0], plain.coefs_[0])


def test_nobody_watching_gives_the_model_that_a_watched_run_gives():
    for averaging in (EMA(0.9), SWA(start=1)):
        watched, _, _ = followed(averaging, batch_norm="before")
        alone = model(averaging, batch_norm="before").fit(X, Y)
        np.testing.assert_array_equal(alone.predict_proba(X), watched.predict_proba(X))


def test_validation_scores_are_those_of_the_averages():
    X_train, X_val, y_train, y_val = train_test_split(X, Y, random_state=0)
    scores = []

    class Scores(Callback):
        def on_epoch_end(self, trainer):
            Z = trainer.network.infer(X_val)
            scores.append(float(((Z[:, 0] > 0) == y_val).mean()))

    fitted = model(EMA(0.95), callbacks=[Scores()]).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    assert fitted.validation_scores_ == scores
    assert fitted.score(X_val, y_val) == scores[-1]


def test_early_stopping_keeps_the_best_average_and_continues_from_its_raw_weights():
    fitted, steps, shown = followed(
        EMA(0.9), early_stopping=True, scoring="loss", max_iter=12, learning_rate_init=0.05
    )
    best = fitted.best_iter_ - 1
    np.testing.assert_array_equal(fitted.network_.parameters.values, shown[best])
    n_batches = len(steps) // len(shown)
    raw = steps[n_batches - 1 :: n_batches][best]
    np.testing.assert_array_equal(fitted._run.average.raw_, raw)


def batch_statistics(fitted):
    layer = next(x for x in fitted.network_.walk() if hasattr(x, "variance_"))
    return layer.mean_.value, layer.variance_.value


@pytest.mark.parametrize("batch_size", [90, 30])
def test_swa_measures_batch_norm_statistics_of_the_averaged_weights(batch_size):
    fitted = model(SWA(start=2), batch_norm="before", dropout=0.3, batch_size=batch_size).fit(X, Y)
    A = X @ fitted.coefs_[0]
    mean, variance = batch_statistics(fitted)
    np.testing.assert_allclose(mean, A.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(variance, A.var(axis=0), rtol=1e-10)


@pytest.mark.parametrize("averaging", [None, "ema", "swa"])
def test_rows_that_have_an_order_do_no_harm_to_batch_norm(averaging):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, 4))
    X = X[np.argsort(X[:, 0])]
    y = 2 * X[:, 0] - X[:, 1] ** 2
    mlp = MLPRegressor(
        (16,), batch_norm_input=True, weight_averaging=averaging, batch_size=20, max_iter=40,
        n_iter_no_change=50, learning_rate_init=0.01, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert mlp.score(X, y) > 0.95


def test_a_few_rows_in_partial_fit_do_no_harm_to_batch_norm():
    y = X[:, 0] - X[:, 1] ** 2
    mlp = MLPRegressor((8,), weight_averaging=SWA(5), batch_norm="before", random_state=0)
    mlp.set_params(learning_rate_init=0.02)
    for _ in range(40):
        mlp.partial_fit(X, y)
    score = mlp.score(X, y)
    assert score > 0.5
    assert mlp.partial_fit(X[:2], y[:2]).score(X, y) > score - 0.1


class Passive(Callback):
    def on_epoch_end(self, trainer):
        pass


def test_measuring_statistics_draws_no_random_numbers():
    options = {"batch_norm": "before", "target_noise": 0.1, "max_iter": 6, "batch_size": 20}
    found = [
        MLPRegressor(
            (5,), weight_averaging=SWA(1), random_state=0, callbacks=callbacks, **options
        ).fit(X, Y)
        for callbacks in (None, [Passive()])
    ]
    np.testing.assert_array_equal(*(mlp.predict(X) for mlp in found))


@pytest.mark.parametrize(
    "change", [{}, {"dropout": 1e-9}, {"frozen_layers": 1}, {"dtype": "float32"}], ids=str
)
def test_the_average_is_what_a_warm_start_with_early_stopping_has_to_beat(change):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = X[:, 0] - X[:, 1] ** 2
    noisy = {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.3, "batch_size": 2}
    options = {"early_stopping": True, "warm_start": True, "n_iter_no_change": 50}
    mlp = MLPRegressor(
        (8,), weight_averaging="ema", max_iter=30, random_state=0, **noisy, **options
    )
    best = mlp.fit(X, y).best_validation_score_
    mlp.set_params(learning_rate_init=1e-13, max_iter=1, **change).fit(X, y)
    assert mlp.best_validation_score_ == pytest.approx(best, rel=1e-5)


class LastGradientIsInfinite(GradientStage):
    def __init__(self, n_steps):
        self.n_left = n_steps

    def apply(self, gradient, step):
        self.n_left -= 1
        if not self.n_left:
            gradient[:] = np.inf


class Explodes(Callback):
    def gradient_stages(self):
        return [LastGradientIsInfinite(18)]


def test_raw_weights_that_became_infinite_are_an_error():
    with pytest.raises(ValueError, match="weights became infinite"):
        model(SWA(start=0, every=5), solver="sgd", callbacks=[Explodes()]).fit(X, Y)


def test_a_best_epoch_before_averaging_is_no_reason_to_warn(recwarn):
    rng = np.random.default_rng(1)
    X, noise = rng.standard_normal((40, 4)), rng.standard_normal(40)
    options = {"early_stopping": True, "learning_rate_init": 0.05, "batch_size": 10}
    fitted = MLPRegressor((50,), weight_averaging=SWA(start=8), random_state=1, **options)
    fitted.fit(X, noise)
    assert fitted.best_iter_ < 8 < fitted.n_iter_
    assert not [w for w in recwarn if "no effect" in str(w.message)]


@pytest.mark.parametrize(
    ("start", "n_epochs", "first"), [(0.07, 100, 7), (0.75, 200, 150), (0.3, 5, 2), (3, 5, 3)]
)
def test_where_averaging_begins(start, n_epochs, first):
    assert SWA(start=start).first_epoch(n_epochs) == first


def test_ema_averages_the_running_statistics():
    fitted, steps, _ = followed(EMA(0.8), batch_norm="before")
    np.testing.assert_allclose(
        fitted.network_.parameters.values, ema_by_hand(steps, 0.8)[-1], rtol=1e-12
    )


@pytest.mark.parametrize("averaging", [EMA(0.9), SWA(start=1)], ids=str)
def test_a_warm_start_continues_with_the_raw_weights(averaging):
    averaged = model(averaging, warm_start=True).fit(X, Y).fit(X, Y)
    plain = model(None, warm_start=True).fit(X, Y).fit(X, Y)
    assert averaged.loss_curve_ == plain.loss_curve_


def test_partial_fit_continues_weights_and_average():
    averaged, plain = model(EMA(0.9)), model(None)
    steps = []
    for _ in range(4):
        averaged.partial_fit(X, Y, classes=[0, 1])
        plain.partial_fit(X, Y, classes=[0, 1])
        assert averaged.loss_curve_ == plain.loss_curve_
    watcher = Weights()
    whole = model(EMA(0.9), callbacks=[watcher], max_iter=4).fit(X, Y)
    steps = np.array(watcher.steps_)
    np.testing.assert_allclose(whole.network_.parameters.values, ema_by_hand(steps, 0.9)[-1])
    np.testing.assert_allclose(
        averaged.network_.parameters.values, whole.network_.parameters.values, rtol=1e-12
    )


def test_weights_that_the_user_writes_are_what_training_continues_with():
    averaged = model(EMA(0.9)).partial_fit(X, Y, classes=[0, 1])
    averaged.coefs_[0][:] = 0.5
    plain = model(None).partial_fit(X, Y, classes=[0, 1])
    for own, other in zip(
        plain.network_.parameters.parameters, averaged.network_.parameters.parameters, strict=True
    ):
        own.value[...] = other.value
    averaged.partial_fit(X, Y)
    plain.partial_fit(X, Y)
    assert averaged.loss_curve_[-1] == plain.loss_curve_[-1]


@pytest.mark.parametrize("change", [{"frozen_layers": 1}, {"dtype": "float32"}], ids=str)
def test_partial_fit_with_a_rebuilt_network_keeps_its_average(change):
    averaged, plain = model(EMA(0.9)), model(None)
    for own in (averaged, plain):
        for _ in range(3):
            own.partial_fit(X, Y, classes=[0, 1])
        own.set_params(**change)
    before = averaged.predict_proba(X)
    averaged.partial_fit(X, Y)
    plain.partial_fit(X, Y)
    assert averaged.loss_curve_ == plain.loss_curve_
    assert averaged._run.average.values_.dtype == averaged.network_.dtype
    assert np.abs(averaged.predict_proba(X) - before).max() < 0.1
    np.testing.assert_array_equal(averaged._run.average.raw_, plain.network_.parameters.values)


@pytest.mark.parametrize("change", [{"frozen_layers": 1}, {"dtype": "float32"}], ids=str)
def test_a_warm_start_with_a_rebuilt_network_begins_with_the_raw_weights(change):
    averaged, plain = (model(a, warm_start=True).fit(X, Y) for a in (SWA(start=1), None))
    for own in (averaged, plain):
        own.set_params(**change).fit(X, Y)
    assert averaged.loss_curve_ == plain.loss_curve_


def test_an_average_does_not_bring_back_weights_that_were_written_over():
    averaged = model(EMA(0.99))
    for _ in range(5):
        averaged.partial_fit(X, Y, classes=[0, 1])
    for array in (*averaged.coefs_, *averaged.intercepts_):
        array[:] = 0
    averaged.partial_fit(X, Y)
    assert np.abs(averaged.coefs_[0]).max() < 0.01


def test_the_callback_early_stopping_restores_the_raw_weights_too():
    stopping, watcher = EarlyStopping("val_loss", patience=2), Weights()
    fitted = model(EMA(0.9), callbacks=[stopping, watcher], learning_rate_init=0.1, max_iter=30)
    fitted.fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    assert stopping.stopped_epoch_ > stopping.best_epoch_
    best, n_batches = stopping.best_epoch_ - 1, 2
    np.testing.assert_array_equal(fitted.network_.parameters.values, watcher.shown_[best])
    raw = watcher.steps_[n_batches - 1 :: n_batches][best]
    np.testing.assert_array_equal(fitted._run.average.raw_, raw)
    np.testing.assert_array_equal(fitted._run.average.values_, watcher.shown_[best])


def test_switching_the_average_off_leaves_the_raw_weights_to_train():
    averaged = model(EMA(0.9), warm_start=True).fit(X, Y)
    plain = model(None, warm_start=True).fit(X, Y).fit(X, Y)
    averaged.set_params(weight_averaging=None).fit(X, Y)
    np.testing.assert_array_equal(
        averaged.network_.parameters.values, plain.network_.parameters.values
    )


def test_a_pickle_continues_where_it_was():
    straight = model(EMA(0.9))
    for _ in range(4):
        straight.partial_fit(X, Y, classes=[0, 1])
    broken = model(EMA(0.9))
    for _ in range(4):
        broken = pickle.loads(pickle.dumps(broken.partial_fit(X, Y, classes=[0, 1])))
    np.testing.assert_array_equal(
        broken.network_.parameters.values, straight.network_.parameters.values
    )


def test_frozen_and_thawed_layers_keep_their_average():
    fitted = model(EMA(0.9), frozen_layers=1, callbacks=[GradualUnfreezing(3)], max_iter=6).fit(
        X, Y
    )
    assert np.isfinite(fitted.network_.parameters.values).all()
    assert fitted._run.average.values_.size == fitted.network_.parameters.values.size
    frozen = model(EMA(0.9), frozen_layers=1, max_iter=3).fit(X, Y)
    assert not np.array_equal(fitted.coefs_[0], frozen.coefs_[0])


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, MLPAutoencoder])
def test_all_estimators_have_it(Estimator, name):
    y = None if Estimator is MLPAutoencoder else Y
    estimator = Estimator((4,), weight_averaging=name, max_iter=8, random_state=0)
    estimator.fit(X, y)
    plain = clone(estimator).set_params(weight_averaging=None).fit(X, y)
    assert estimator.loss_curve_ == plain.loss_curve_
    assert not np.array_equal(estimator.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize(
    ("averaging", "words"),
    [
        ("emma", "did you mean 'ema'"),
        (3, "weight_averaging=3 is not allowed"),
        (EMA, "is a class"),
        (EMA(decay=1.0), "decay=1.0 is not allowed"),
        (EMA(start=-1), "start=-1 is not allowed"),
        (SWA(start=1.5), "start=1.5 is not allowed"),
        (SWA(start="half"), "start='half' is not allowed"),
        (SWA(every=0), "every=0 is not allowed"),
    ],
)
def test_settings_that_are_not_allowed(averaging, words):
    with pytest.raises(ValueError, match=words):
        model(averaging).fit(X, Y)


def test_an_average_that_never_began_is_worth_a_warning():
    with pytest.warns(UserWarning, match="ended after 3 epochs, before averaging began"):
        model(SWA(start=5), max_iter=3).fit(X, Y)


def test_lbfgs_says_that_it_has_no_average():
    with pytest.warns(UserWarning, match="weight_averaging='ema'"):
        MLPClassifier((4,), solver="lbfgs", weight_averaging="ema", max_iter=5).fit(X, Y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 40_000])
def test_both_kernels_move_an_average_alike(n, dtype):
    numba_kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
    average, values = (np.random.default_rng(i).standard_normal(n).astype(dtype) for i in (0, 1))
    found = []
    for kernels in (numpy_kernels, numba_kernels):
        moved = average.copy()
        kernels.move_towards(moved, values, 0.3)
        found.append(moved)
    expected = 0.7 * average.astype(float) + 0.3 * values
    for moved in found:
        np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-6)
        assert moved.dtype == dtype
