"""Every kind of layer: a derivative, three passes, buffers that come and go."""

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone

import skdeep.layers
from contract_cases import LAYER_CASES, N_INPUTS
from contract_tools import (
    GARBAGE,
    assert_gradient,
    central_difference,
    each,
    each_dtype,
    each_with,
    float_arrays,
    frozen,
    poison,
    tolerance,
)
from skdeep.layers import Chain, Dropout, Layer, Output, Pretrained
from skdeep.parameters import ParameterVector

N_ROWS = 7
# What training does that prediction does not, with rng=None too.
DIFFERS_AT_PREDICTION = {"BatchNorm", "BatchNorm 0.5 0.1", "nested", "shared"}


class LayerRun:
    """A training pass of a layer, with the loss sum(dY * Y) above it, and what came of it."""

    def __init__(
        self,
        make,
        X,
        dY=None,
        *,
        seed=0,
        n_rows=None,
        garbage=0.0,
        values=None,
        needs_dX=True,
        freeze=False,
    ):
        self.layer = make()
        self.chain = Chain([self.layer])
        self.n_outputs = self.chain.setup(X.shape[1])
        parameters = [p for layer in self.chain.walk() for p in layer.parameters_]
        for p in parameters:
            p.trainable = p.trainable and not freeze
        self.vector = ParameterVector(parameters, X.dtype, np.random.default_rng(2))
        if values is not None:
            self.vector.values[:] = values
        self.start = self.vector.values.copy()
        self.vector.allocate()
        rng = None if seed is None else np.random.default_rng(seed)
        self.chain.allocate(n_rows or len(X), X.dtype, rng, needs_dX)
        self.n_buffers = poison([self.chain], self.vector, garbage)
        self.Y = self.chain.forward(X).copy()
        self.penalty = sum(layer.penalty() for layer in self.chain.walk(every_use=True))
        if dY is not None:
            self.value = np.sum(dY * self.Y) + self.penalty
            self.dX = self.chain.backward(dY.copy())
            for layer in [*self.chain.walk(every_use=True)][::-1]:
                layer.finish_backward()
            self.gradient = self.vector.grads


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(4)
    return rng.standard_normal((N_ROWS, N_INPUTS)) + 0.3


def gradient_above(make, batch):
    n_outputs = LayerRun(make, batch).n_outputs
    return np.random.default_rng(6).standard_normal((len(batch), n_outputs))


class TestLayers:
    def test_every_kind_of_layer_has_a_case(self):
        public = [getattr(skdeep.layers, name) for name in skdeep.layers.__all__]
        kinds = {c for c in public if inspect.isclass(c) and issubclass(c, Layer)}
        kinds -= {Layer, Output}  # which are not built
        kinds -= {Pretrained}  # which consists of others
        assert {type(make()) for make in LAYER_CASES.values()} == kinds

    @each_with(LAYER_CASES, (("seed", "n_rows"), [(0, N_ROWS), (None, N_ROWS), (0, 1)]))
    def test_backward_is_the_derivative_of_forward(self, make, seed, n_rows, batch):
        X = batch[:n_rows].copy()
        dY = gradient_above(make, X)
        run = LayerRun(make, X, dY, seed=seed)
        values = run.start.copy()

        def value():
            return LayerRun(make, X, dY, seed=seed, values=values).value

        assert_gradient(run.dX, value, X)
        numeric = central_difference(value, values)[: run.vector.n_trainable]
        np.testing.assert_allclose(run.gradient, numeric, rtol=1e-6, atol=1e-8)

    @each(LAYER_CASES)
    def test_a_frozen_layer_passes_the_gradient_on(self, make, batch):
        X = batch.copy()
        dY = gradient_above(make, X)
        run = LayerRun(make, X, dY, freeze=True)
        assert run.gradient.size == 0
        assert_gradient(run.dX, lambda: LayerRun(make, X, dY, freeze=True).value, X)

    @each_with(LAYER_CASES, each_dtype)
    def test_keeps_the_dtype(self, make, dtype, batch):
        X = batch.astype(dtype)
        dY = gradient_above(make, batch).astype(dtype)
        run = LayerRun(make, X, dY)
        assert run.Y.dtype == run.dX.dtype == run.gradient.dtype == dtype
        assert run.layer.infer(X).dtype == dtype

    @each(LAYER_CASES)
    def test_float32_gives_what_float64_gives(self, make, batch):
        dY = gradient_above(make, batch)
        wide = LayerRun(make, batch, dY, seed=None)
        narrow = LayerRun(make, batch.astype(np.float32), dY.astype(np.float32), seed=None)
        for name in ("Y", "dX", "gradient", "penalty"):
            np.testing.assert_allclose(
                getattr(narrow, name), getattr(wide, name), **tolerance(np.float32)
            )

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_input_is_never_written(self, make, seed, batch):
        X = frozen(batch)
        run = LayerRun(make, X, gradient_above(make, batch), seed=seed)
        run.layer.infer(X)

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_what_lay_in_a_buffer_does_not_matter(self, make, seed, batch):
        dY = gradient_above(make, batch)
        clean, *dirty = (
            LayerRun(make, batch, dY, seed=seed, garbage=g, n_rows=9) for g in (0.0, *GARBAGE)
        )
        for run in dirty:
            assert run.n_buffers > 0
            for name in ("Y", "dX", "gradient", "penalty"):
                np.testing.assert_array_equal(getattr(run, name), getattr(clean, name))

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_a_short_batch_is_a_batch(self, make, seed, batch):
        X, dY = batch[:4], gradient_above(make, batch[:4])
        whole = LayerRun(make, X, dY, seed=seed)
        short = LayerRun(make, X, dY, seed=seed, n_rows=N_ROWS, garbage=np.nan)
        for name in ("Y", "dX", "gradient", "penalty"):
            np.testing.assert_allclose(
                getattr(short, name), getattr(whole, name), rtol=1e-12, atol=1e-14
            )

    @each_with(LAYER_CASES, ("seed", [0, None]))
    def test_a_batch_leaves_nothing_to_the_next(self, make, seed, batch):
        dY = gradient_above(make, batch)
        once = LayerRun(make, batch, dY, seed=seed)
        # the same buffers, after another batch; the numbers drawn and the statistics start anew
        again = LayerRun(make, batch[::-1] * 2, dY, seed=seed)
        again.vector.values[:] = again.start
        again.layer.release()
        rng = None if seed is None else np.random.default_rng(seed)
        again.chain.allocate(N_ROWS, batch.dtype, rng, True)
        np.testing.assert_array_equal(again.chain.forward(batch), once.Y)
        np.testing.assert_array_equal(again.chain.backward(dY.copy()), once.dX)
        for layer in [*again.chain.walk(every_use=True)][::-1]:
            layer.finish_backward()
        np.testing.assert_array_equal(again.vector.grads, once.gradient)

    @pytest.mark.parametrize("name", LAYER_CASES)
    def test_infer_is_forward_without_chance(self, name, batch):
        run = LayerRun(LAYER_CASES[name], batch, seed=None)
        run.vector.values[:] = run.start
        same = np.allclose(run.layer.infer(batch), run.Y, rtol=1e-12, atol=1e-14)
        assert same == (name not in DIFFERS_AT_PREDICTION)

    @each(LAYER_CASES)
    def test_only_the_rng_decides(self, make, batch):
        dY = gradient_above(make, batch)
        runs = [LayerRun(make, batch, dY, seed=seed) for seed in (0, 0, 1)]
        for name in ("Y", "dX", "gradient"):
            np.testing.assert_array_equal(getattr(runs[0], name), getattr(runs[1], name))
        has_chance = any(layer.is_random for layer in runs[0].chain.walk())
        is_idle = isinstance(runs[0].layer, Dropout) and runs[0].layer.rate == 0
        assert (has_chance and not is_idle) == (not np.array_equal(runs[0].Y, runs[2].Y))

    @each(LAYER_CASES)
    def test_infer_touches_no_state(self, make, batch):
        run = LayerRun(make, batch, gradient_above(make, batch))
        before = {id(layer): dict(vars(layer)) for layer in run.chain.walk()}
        arrays = list(float_arrays([run.chain], run.vector, set()))
        contents = [a.copy() for a in arrays]
        values = run.vector.values.copy()
        expected = run.layer.infer(batch)
        rows = [slice(None), slice(3), slice(None, None, -1), slice(2, None)] * 5
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda chosen: run.layer.infer(batch[chosen]), rows))
        for chosen, result in zip(rows, results, strict=True):
            np.testing.assert_allclose(result, expected[chosen], rtol=1e-12, atol=1e-13)
        assert {id(layer): dict(vars(layer)) for layer in run.chain.walk()} == before
        np.testing.assert_array_equal(run.vector.values, values)
        for array, content in zip(arrays, contents, strict=True):
            np.testing.assert_array_equal(array, content)

    @each(LAYER_CASES)
    def test_gradients_are_the_same_where_no_dX_is_needed(self, make, batch):
        dY = gradient_above(make, batch)
        full = LayerRun(make, batch, dY)
        bare = LayerRun(make, batch, dY, needs_dX=False, garbage=np.nan)
        if full.layer.is_trainable:
            np.testing.assert_array_equal(bare.gradient, full.gradient)

    @each(LAYER_CASES)
    def test_buffers_go_with_release_and_are_never_pickled(self, make, batch):
        run = LayerRun(make, np.tile(batch, (400, 1)))
        # what is pickled: the layers and the vector, as a network does it
        parts = [run.layer, run.vector]
        small = len(pickle.dumps(parts))
        assert small < 12_000
        run.layer.release()
        run.vector.release()
        assert not list(float_arrays([run.layer], run.vector, set()))
        assert len(pickle.dumps(parts)) <= small

    @each(LAYER_CASES)
    def test_infer_works_on_a_pickle(self, make, batch):
        run = LayerRun(make, batch, gradient_above(make, batch))
        layer, _ = pickle.loads(pickle.dumps((run.layer, run.vector)))
        np.testing.assert_array_equal(layer.infer(batch), run.layer.infer(batch))

    @each(LAYER_CASES)
    def test_a_clone_is_not_built(self, make, batch):
        run = LayerRun(make, batch)
        twin = clone(run.layer)
        fresh = make()
        assert vars(twin).keys() == vars(fresh).keys()
        assert repr(twin) == repr(fresh)
        with_twin = LayerRun(lambda: twin, batch)
        np.testing.assert_array_equal(with_twin.Y, run.Y)
