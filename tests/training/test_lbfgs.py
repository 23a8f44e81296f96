"""Full-batch training with SciPy's L-BFGS on the flat vector."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skdeep.callbacks import Callback
from skdeep.constraints import NonNeg
from skdeep.layers import BatchNorm, Dense, Dropout, GaussianNoise
from skdeep.losses import LogLoss, SquaredError
from skdeep.network import Network
from skdeep.schedules import Constant
from skdeep.training.lbfgs import fit_lbfgs
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import DivergenceError, Trainer


def problem(n_outputs=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    Y = X @ rng.standard_normal((3, n_outputs)) + 0.3 + 0.1 * rng.standard_normal((40, n_outputs))
    return X, Y, rng.gamma(2.0, 0.5, 40)


def make(layers, *, loss=None, monitor=None, dtype=float, validate=None, callbacks=(), **options):
    network = Network(layers, [len(layers)], 3, np.dtype(dtype), np.random.default_rng(0))
    run = Run(
        Streams(0),
        {"loss": []},
        network=network,
        loss=loss or SquaredError(),
        schedule=Constant(),
        monitor=monitor or Monitor(1e-8, math.inf, False),
    )
    return Trainer(run, Settings(**options), validate=validate, callbacks=callbacks)


def coarse():
    """Return a monitor whose `tol` ends the search early; lbfgs stops by nothing else of it."""
    return Monitor(1e-3, math.inf, False)


def run(trainer, X, Y, weight=None, max_iter=500, max_fun=5000):
    fit_lbfgs(trainer, X, Y, weight, max_iter=max_iter, max_fun=max_fun)
    return trainer


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("l2", [0.0, 5.0])
def test_a_linear_model_reaches_the_exact_solution(l2, n_outputs, weighted):
    X, Y, weight = problem(n_outputs)
    trainer = run(make([Dense(n_outputs)], l2=l2), X, Y, weight if weighted else None)
    w = weight if weighted else np.ones(len(X))
    A = np.column_stack([X, np.ones(len(X))])
    # (1/n) sum w (1/2) mean_k r^2 + l2 / (2 n) sum W^2, without a penalty on the bias
    ridge = n_outputs * l2 * np.diag([1, 1, 1, 0])
    solution = np.linalg.solve(A.T @ (w[:, None] * A) + ridge, A.T @ (w[:, None] * Y))
    layer = trainer.network.layers[0]
    np.testing.assert_allclose(layer.kernel_.value, solution[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.bias_.value, solution[3], rtol=1e-4, atol=1e-5)


def test_the_history_has_a_line_for_every_iteration():
    X, Y, _ = problem()
    trainer = run(make([Dense(4, "tanh"), Dense(2)], monitor=coarse()), X, Y)
    history = trainer.history
    assert trainer.epoch == len(history["loss"]) > 3
    assert history.keys() >= {"loss", "learning_rate", "gradient_norm", "seconds"}
    assert (np.diff(history["loss"]) <= 0).all()
    assert history["gradient_norm"][-1] < 1e-2 * history["gradient_norm"][0]
    with trainer.session(len(X), None):
        assert history["loss"][-1] == pytest.approx(trainer.objective(X, Y, None), rel=1e-9)


def test_float32_stays_float32():
    X, Y, _ = problem()
    trainer = run(make([Dense(2)], dtype=np.float32), X.astype("f"), Y.astype("f"))
    assert trainer.network.parameters.values.dtype == np.float32
    wide = run(make([Dense(2)]), X, Y)
    np.testing.assert_allclose(
        trainer.network.parameters.values, wide.network.parameters.values, rtol=1e-2, atol=1e-3
    )


def test_sparse_rows_give_what_dense_rows_give():
    X, Y, _ = problem()
    X[np.abs(X) < 0.7] = 0
    dense, sparse = (run(make([Dense(2)]), given, Y) for given in (X, sp.csr_array(X)))
    np.testing.assert_allclose(
        dense.network.parameters.values, sparse.network.parameters.values, rtol=1e-6
    )


def test_chance_is_off(monkeypatch):
    monkeypatch.setenv("SKDEEP_KERNELS", "numpy")  # the choice goes by the number of layers
    X, Y, _ = problem()
    noisy = [GaussianNoise(0.5), Dense(4, "tanh", weight_noise=0.5), Dropout(0.5), Dense(2)]
    plain = [Dense(4, "tanh"), Dense(2)]
    results = [run(make(layers, monitor=coarse()), X, Y) for layers in (noisy, plain)]
    np.testing.assert_array_equal(*(t.network.parameters.values for t in results))


def test_frozen_parameters_stay():
    class Frozen(Dense):
        def build(self, n_inputs):
            built = super().build(n_inputs)
            for p in built[1]:
                p.trainable = False
            return built

    X, Y, _ = problem()
    trainer = make([Frozen(4, "tanh"), Dense(2)])
    before = trainer.network.layers[0].kernel_.value.copy()
    run(trainer, X, Y)
    np.testing.assert_array_equal(trainer.network.layers[0].kernel_.value, before)


def test_running_statistics_are_those_of_all_rows_at_the_last_weights():
    X, Y, _ = problem()
    network = run(make([Dense(4), BatchNorm(), Dense(2)]), X, Y).network
    H = network.infer(X, 1)
    layer = network.layers[1]
    np.testing.assert_allclose(layer.mean_.value, H.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.variance_.value, H.var(axis=0), rtol=1e-9)
    assert layer.momentum == 0.9


def test_validation_sees_the_statistics_of_its_own_iteration():
    X, Y, _ = problem()
    seen = []

    def validate():
        H = trainer.network.infer(X, 1)
        seen.append(np.abs(trainer.network.layers[1].mean_.value - H.mean(axis=0)).max())
        return {"val_loss": 0.0, "val_score": 0.0}

    trainer = make([Dense(4), BatchNorm(), Dense(2)], validate=validate)
    run(trainer, X, Y)
    assert len(seen) == trainer.epoch
    assert max(seen) < 1e-9


@pytest.mark.parametrize(
    ("limits", "word"), [({"max_iter": 3}, "max_iter=3"), ({"max_fun": 4}, "max_fun=4")]
)
def test_running_into_a_limit_warns(limits, word):
    X, Y, _ = problem()
    trainer = make([Dense(4, "tanh"), Dense(2)])
    with pytest.warns(ConvergenceWarning, match=f"lbfgs failed to converge.*(?s:.*){word}"):
        run(trainer, X, Y, **limits)
    assert 1 <= trainer.epoch <= 4


def test_stops_quietly_where_a_callback_says_so():
    class StopsAt(Callback):
        def on_epoch_end(self, trainer):
            trainer.stop_training = trainer.epoch == 3

    X, Y, _ = problem()
    trainer = run(make([Dense(4, "tanh"), Dense(2)], callbacks=[StopsAt()]), X, Y)
    assert trainer.epoch == len(trainer.history["loss"]) == 3


def test_stops_where_the_score_does_not_improve_and_restores_the_best():
    X, Y, _ = problem()
    scores, snapshots = iter([0.1, 0.9, 0.5, 0.4, 0.3]), []

    def validate():
        snapshots.append(trainer.network.parameters.values.copy())
        return {"val_loss": 0.0, "val_score": next(scores)}

    monitor = Monitor(0.0, 1, True)
    trainer = make([Dense(4, "tanh"), Dense(2)], monitor=monitor, validate=validate)
    run(trainer, X, Y)
    assert trainer.epoch == 4
    np.testing.assert_array_equal(trainer.network.parameters.values, snapshots[1])


def test_a_minimum_from_the_start_is_an_epoch_too():
    X = np.ones((5, 3))
    layers = [Dense(2, initializer="zeros")]
    trainer = run(make(layers), X, np.zeros((5, 2)))
    assert trainer.history["loss"] == [0.0]
    assert trainer.epoch == 1


def test_a_start_that_is_not_finite_is_an_error():
    X, Y, _ = problem()
    with pytest.raises(DivergenceError, match="the loss was not finite"):
        run(make([Dense(2)]), np.full_like(X, 1e300), Y)


def test_constraints_are_not_applied():
    X, Y, _ = problem()
    trainer = run(make([Dense(2, kernel_constraint=NonNeg())]), X, -Y)
    assert (trainer.network.layers[0].kernel_.value < 0).any()


def test_a_separable_problem_with_a_penalty_has_a_minimum():
    X, _, _ = problem()
    Y = (X[:, :1] > 0).astype(float)
    trainer = run(make([Dense(1)], loss=LogLoss(), l2=1.0), X, Y)
    assert trainer.history["gradient_norm"][-1] < 1e-4
    assert ((trainer.network.infer(X) > 0) == (Y == 1)).mean() > 0.9
