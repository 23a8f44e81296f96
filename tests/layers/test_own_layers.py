"""Layers of the user's own between ours, with both sets of kernels: what they may hand on."""

import numpy as np
import pytest
import scipy.sparse

from skdeep.kernels import numpy_kernels
from skdeep.layers import BatchNorm, Concatenate, Dense, Dropout, GaussianNoise, Layer, Residual
from skdeep.network import Network

N_ROWS, N_COLUMNS = 8, 6


@pytest.fixture(params=["numpy", "numba"])
def kernels(request):
    if request.param == "numpy":
        return numpy_kernels
    return pytest.importorskip("skdeep.kernels.numba_kernels")


class Hands(Layer):
    """Hands on what two functions make of what comes in."""

    def __init__(self, forward=lambda X: X, backward=lambda dY: dY):
        self.on_forward, self.on_backward = forward, backward

    def forward(self, X):
        return self.on_forward(X)

    def backward(self, dY):
        return self.on_backward(dY)

    def infer(self, X):
        return X


class OwnDense(Dense):
    """Inherits from a layer of ours, and gives it what no layer of ours would."""

    def forward(self, X):
        return super().forward(X > 0)


class OwnWrapper(Layer):
    """Gives a layer of ours, inside it, an array that is too narrow for its weights."""

    def __init__(self, layer):
        self.layer = layer

    def build(self, n_inputs):
        self.layer_ = self.layer
        return self.layer_.setup(n_inputs), []

    def children(self):
        return [self.layer_]

    def allocate(self, n_rows, dtype, rng, needs_dX):
        self.layer_.allocate(n_rows, dtype, rng, needs_dX)

    def forward(self, X):
        return self.layer_.forward(X[:, 1:])

    def infer(self, X):
        return X


def step(layers, kernels, dtype=np.float32, X=None):
    """Return the raw outputs and the gradient of one step, on a network with these layers."""
    rng = np.random.default_rng(0)
    network = Network(layers, [len(layers)], N_COLUMNS, np.dtype(dtype), rng)
    network.allocate(N_ROWS, np.random.default_rng(1), kernels)
    if X is None:
        X = rng.standard_normal((N_ROWS, N_COLUMNS)).astype(dtype)
    Z = network.forward(X).copy()
    network.backward(rng.standard_normal(Z.shape).astype(dtype))
    return Z, network.parameters.grads.copy()


NEIGHBOURS = {
    "dense": lambda: Dense(6, "relu"),
    "batch norm": BatchNorm,
    "dropout": lambda: Dropout(0.5),
    "noise": GaussianNoise,
    "residual": lambda: Residual([Dense(6, "tanh")]),
    "concatenate": lambda: Concatenate([[Dense(3)], [Dropout(0.2)]]),
}

WRONG_SHAPES = {
    "one column too few": lambda A: A[:, 1:].copy(),
    "one column too many": lambda A: np.hstack([A, A[:, :1]]),
    "one row too few": lambda A: A[1:].copy(),
    "one row for all": lambda A: A[:1],
    "a vector": lambda A: A.ravel(),
    "no array": lambda A: A.tolist(),
    "nothing": lambda A: None,
    "a sparse matrix": scipy.sparse.csr_matrix,
    "complex": lambda A: A.astype(complex),
    "objects": lambda A: A.astype(object),
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("wrong", WRONG_SHAPES)
@pytest.mark.parametrize("method", ["forward", "backward"])
def test_what_does_not_fit_is_an_error_and_no_crash(kernels, neighbour, wrong, method):
    own = Hands(**{method: WRONG_SHAPES[wrong]})
    layers = [Dense(6), NEIGHBOURS[neighbour](), own, NEIGHBOURS[neighbour](), Dense(2)]
    with pytest.raises(ValueError, match=rf"Hands\.{method} returned "):
        step(layers, kernels)


RIGHT_IN_ANOTHER_WAY = {
    "as it is": lambda A: A,
    "Fortran order": np.asfortranarray,
    "every other column": lambda A: np.repeat(A, 2, axis=1)[:, ::2],
    "float16": lambda A: A.astype(np.float16),
    "float64": lambda A: A.astype(np.float64),
    "long double": lambda A: A.astype(np.longdouble),
    "big-endian": lambda A: A.astype(A.dtype.newbyteorder(">")),
    "bool": lambda A: A > 0,
    "int": lambda A: np.sign(A).astype(np.int8),
    "read-only": lambda A: np.broadcast_to(A[:1], A.shape),
    "masked array": np.ma.masked_array,
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("kind", RIGHT_IN_ANOTHER_WAY)
def test_what_fits_in_another_dtype_or_order_trains_the_same_with_both(kernels, neighbour, kind):
    def layers():
        own = Hands(RIGHT_IN_ANOTHER_WAY[kind], RIGHT_IN_ANOTHER_WAY[kind])
        return [Dense(6), NEIGHBOURS[neighbour](), own, NEIGHBOURS[neighbour](), Dense(2)]

    found, expected = step(layers(), kernels), step(layers(), numpy_kernels)
    for a, b in zip(found, expected, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_last_layer_of_the_users_own_hands_on_what_the_loss_may_overwrite(kernels):
    rng = np.random.default_rng(0)
    own = Hands(lambda X: np.broadcast_to(X[:1], X.shape))
    network = Network([Dense(3), own], [1], N_COLUMNS, np.dtype(np.float32), rng)
    network.allocate(N_ROWS, None, kernels)
    Z = network.forward(rng.standard_normal((N_ROWS, N_COLUMNS)).astype(np.float32))
    assert Z.flags.writeable
    assert Z.flags.c_contiguous
    assert Z.dtype == np.float32


def test_a_subclass_of_our_layers_may_call_them_with_anything(kernels):
    found, expected = (
        step([Dense(6), OwnDense(6, "relu"), Dense(2)], k) for k in (kernels, numpy_kernels)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inner", [Dense(6), Dropout(0.5), BatchNorm()], ids=str)
def test_layers_inside_a_foreign_one_are_as_safe(kernels, inner):
    with pytest.raises(ValueError, match=r"operand|broadcast|dimension|shape"):
        step([OwnWrapper(inner), Dense(2)], kernels)


def test_a_foreign_layer_that_takes_sparse_rows_gets_a_matrix_of_scipy(kernels):
    class Doubles(Layer):
        accepts_sparse = True

        def forward(self, X):
            assert scipy.sparse.issparse(X)
            assert X.shape == (N_ROWS, N_COLUMNS)
            return np.asarray((2 * X).todense())

        def backward(self, dY):
            return 2 * dY

        def infer(self, X):
            return 2 * X

    numbers = np.random.default_rng(0).standard_normal((20, N_COLUMNS)).astype(np.float32)
    X = scipy.sparse.csr_matrix(np.maximum(numbers, 0))
    rows = np.arange(N_ROWS)[::-1] * 2
    batch = kernels.bind_rows(X, N_ROWS, np.dtype(np.float32), True)(rows)
    Z, _ = step([Doubles(), Dense(2)], kernels, X=batch)
    expected, _ = step([Doubles(), Dense(2)], numpy_kernels, X=X[rows])
    np.testing.assert_allclose(Z, expected, rtol=1e-5)
