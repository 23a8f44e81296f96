"""What a step costs, counted rather than timed: memory it allocates, kernels it calls."""

import sys
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from skdeep import MLPClassifier, MLPRegressor
from skdeep.building.architecture import build_layers
from skdeep.kernels import numpy_kernels
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skdeep.network import Network
from skdeep.optimizers import OPTIMIZERS, Adam
from skdeep.schedules import Constant
from skdeep.training.batches import Batches, ClassTargets, DenseTargets
from skdeep.training.monitor import Monitor
from skdeep.training.randomness import Streams
from skdeep.training.run import Run
from skdeep.training.settings import Settings
from skdeep.training.trainer import Trainer

N_OUTPUTS = 3
FLOAT32 = np.dtype(np.float32)


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    if request.param == "numpy":
        return numpy_kernels
    return pytest.importorskip("skdeep.kernels.numba_kernels")


def a_trainer(estimator, loss, optimizer=None, **options):
    layers, stops = build_layers(estimator, N_OUTPUTS)
    rng = np.random.default_rng(0)
    network = Network(layers, stops, 10, FLOAT32, rng)
    run = Run(
        Streams(0),
        {"loss": []},
        network=network,
        loss=loss,
        optimizer=optimizer or Adam(),
        schedule=Constant(),
        monitor=Monitor(1e-4, 10, False),
    )
    return Trainer(run, Settings(l2=1e-4, **options))


def log_loss():
    loss = CLASSIFICATION_LOSSES["log_loss"]()
    loss.multiclass = True
    return loss


def class_batches(n_rows, batch_size):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 10)).astype(np.float32)
    targets = ClassTargets(rng.integers(0, N_OUTPUTS, n_rows), N_OUTPUTS)
    return Batches(X, targets, None, batch_size, rng, FLOAT32)


def number_batches(n_rows, batch_size):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 10)).astype(np.float32)
    Y = rng.gamma(2.0, 1.0, (n_rows, N_OUTPUTS)).astype(np.float32)
    return Batches(X, DenseTargets(Y), None, batch_size, rng, FLOAT32)


def peak_of_a_step(trainer, batches, kernels):
    """Return the most bytes that a warmed-up step holds beyond what was there before it."""
    with trainer.session(batches.batch_size, trainer.rng, kernels):
        batches.bind(kernels)
        n_trainable = trainer.network.parameters.n_trainable
        trainer.optimizer.start(n_trainable, FLOAT32)
        trainer.optimizer.bind(kernels, trainer.network.parameters.segments(), FLOAT32)
        trainer._measures = False
        supply = iter(batches)
        for _ in range(3):
            trainer.train_batch(*next(supply))
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(3):
                trainer.train_batch(*next(supply))
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


def growth(make_trainer, make_batches, kernels, sizes=(100, 4100)):
    """Return how much more a step allocates with larger batches, in bytes a row."""
    peaks = [peak_of_a_step(make_trainer(), make_batches(10 * n, n), kernels) for n in sizes]
    return (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])


# Row vectors, and arrays of the outputs' size, in losses that are NumPy code.
ALLOWED = {"numpy": 12 * N_OUTPUTS * FLOAT32.itemsize, "numba": 0.5}


def allowed(kernels):
    return ALLOWED["numpy" if kernels is numpy_kernels else "numba"]


ESTIMATORS = {
    "plain": {},
    "tanh": {"activation": "tanh"},
    "gelu": {"activation": "gelu"},
    "prelu": {"activation": "prelu"},
    "rrelu": {"activation": "rrelu"},
    "batch norm before": {"batch_norm": "before"},
    "batch norm after": {"batch_norm": "after"},
    "batch norm of the input": {"batch_norm_input": True},
    "dropout": {"dropout": 0.5, "input_dropout": 0.1},
    "noise": {"input_noise": 0.1, "pre_activation_noise": 0.1, "activation_noise": 0.1},
    "weight noise": {"weight_noise": 0.1},
}


@pytest.mark.parametrize("options", ESTIMATORS.values(), ids=ESTIMATORS)
def test_no_allocation_of_a_step_grows_with_its_rows(options, kernels):
    estimator = MLPClassifier((50, 50), **options)
    per_row = growth(lambda: a_trainer(estimator, log_loss()), class_batches, kernels)
    assert per_row <= allowed(kernels)


@pytest.mark.parametrize("name", [*CLASSIFICATION_LOSSES, *REGRESSION_LOSSES])
def test_no_loss_allocates_more_than_arrays_of_the_outputs_size(name, kernels):
    def make():
        family = CLASSIFICATION_LOSSES if name in CLASSIFICATION_LOSSES else REGRESSION_LOSSES
        return a_trainer(MLPRegressor((50,)), family[name]())

    assert growth(make, number_batches, kernels) <= allowed(kernels)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0, "clip_value": 0.5}])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_allocation_of_a_step_grows_with_the_network(name, options, kernels):
    peaks = []
    for units in (300, 1200):
        trainer = a_trainer(MLPClassifier((units, 100)), log_loss(), OPTIMIZERS[name](), **options)
        peaks.append(peak_of_a_step(trainer, class_batches(200, 20), kernels))
    # NumPy kernels use one block, which the small network fills already
    assert peaks[1] <= peaks[0] + 2000


class Counting:
    """A set of kernels that counts the calls of what it hands out."""

    def __init__(self, kernels):
        self.kernels = kernels
        self.calls = Counter()

    def __getattr__(self, name):
        function = getattr(self.kernels, name)
        if not name.startswith("bind_"):
            return self.counted(name, function)

        def bind(*args):
            bound = function(*args)
            if not isinstance(bound, tuple):
                return self.counted(name, bound)
            passes = zip(("forward", "backward"), bound, strict=True)
            return tuple(self.counted(f"{name} {which}", f) for which, f in passes)

        return bind

    def counted(self, name, function):
        def call(*args):
            self.calls[name] += 1
            return function(*args)

        return call


def calls_of_a_step(estimator, kernels, **options):
    trainer, batches = a_trainer(estimator, log_loss(), **options), class_batches(100, 20)
    counting = Counting(kernels)
    with trainer.session(20, trainer.rng, counting):
        batches.bind(counting)
        n_trainable = trainer.network.parameters.n_trainable
        trainer.optimizer.start(n_trainable, FLOAT32)
        trainer.optimizer.bind(counting, trainer.network.parameters.segments(), FLOAT32)
        trainer._measures = False
        counting.calls.clear()
        trainer.train_batch(*next(iter(batches)))
    return dict(counting.calls)


PLAIN_STEP = {
    "bind_rows": 1,
    "gather_one_hot": 1,
    "bind_dense forward": 3,
    "bind_loss": 1,
    "bind_dense backward": 3,
    "bind_update": 1,
}


def test_kernels_of_a_plain_step(kernels):
    assert calls_of_a_step(MLPClassifier((50, 50)), kernels) == PLAIN_STEP


def test_kernels_of_a_step_with_everything(kernels):
    estimator = MLPClassifier((50, 50), batch_norm="before", dropout=0.2, input_noise=0.1)
    calls = calls_of_a_step(estimator, kernels, clip_norm=1e-6, clip_value=1.0)
    assert calls == {
        **PLAIN_STEP,
        "bind_activation forward": 2,
        "bind_activation backward": 2,
        "batch_norm_forward": 2,
        "batch_norm_backward": 2,
        "dropout_forward": 2,
        "multiply_by": 2,
        "noise_forward": 1,
        "add_l2_penalty": 1,
        "clip_values": 1,
        "sum_of_squares": 1,
        "scale": 1,
    }


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
def test_python_calls_of_partial_fit(model):
    X, y = np.random.default_rng(0).normal(size=(200, 20)), np.arange(200) % 10
    options = {"classes": np.arange(10)} if model is MLPClassifier else {}
    net, n_calls = model((64, 64), random_state=0), 0

    def count(frame, event, argument):
        nonlocal n_calls
        n_calls += event == "call"

    for _ in range(2):  # the first call inspects the constructors
        net.partial_fit(X, y, **options)
    sys.setprofile(count)
    try:
        net.partial_fit(X, y, **options)
    finally:
        sys.setprofile(None)
    assert n_calls < 1800  # about 1,200; 4,100 if constructors are inspected and labels sorted
