"""Layers and losses on parts of a batch: together, the parts give what the whole batch gives."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.activations import Activation, ReLU
from skdeep.distributed.members.ring import Ring, address_of, listen
from skdeep.distributed.members.share import Share, SharedLoss
from skdeep.joint_losses import ClassWeighted, JointLoss, Measured
from skdeep.layers import BatchNorm, Dense, Dropout, Layer
from skdeep.losses import AbsoluteError, LogLoss, SquaredError
from skdeep.network import Network
from skdeep.parameters import ParameterVector

N_ROWS = 23
PARTS = [np.array([4, 0, 22, 9]), np.array([], int), np.setdiff1d(range(N_ROWS), [4, 0, 22, 9])]


@pytest.fixture(scope="module")
def shares():
    """Return three members' shares of a batch, one of which has no row."""
    listeners = [listen() for _ in PARTS]
    addresses = [address_of(listener) for listener in listeners]
    with ThreadPoolExecutor(len(PARTS)) as threads:
        jobs = [threads.submit(Ring, i, addresses, x, "") for i, x in enumerate(listeners)]
        rings = [job.result() for job in jobs]
    found = [Share(ring) for ring in rings]
    for share, own in zip(found, PARTS, strict=True):
        share.take(own if len(own) else np.zeros(1, int), N_ROWS, len(own))
    yield found
    for ring in rings:
        ring.close()


def on_all(shares, work):
    """Return work(share) of all members, which run at a time."""
    with ThreadPoolExecutor(len(shares)) as threads:
        return list(threads.map(work, shares))


def passes(layer, X, dY, share=None):
    """Return Y, dX, the gradients and the values of a layer's parameters after both passes."""
    layer.setup(X.shape[1])
    vector = ParameterVector(layer.parameters_, X.dtype, np.random.default_rng(0))
    vector.values += np.linspace(0.1, 1, vector.values.size).astype(X.dtype)
    vector.allocate()
    layer.allocate(len(X), X.dtype, np.random.default_rng(1), True)
    if share is not None:
        layer.take_share(share)
    Y = layer.forward(X).copy()
    return Y, layer.backward(dY.copy()), vector.grads.copy(), vector.values.copy()


def assert_parts_are_the_whole(make, shares, X, dY, tolerance):
    Y, dX, gradient, values = passes(make(), X, dY)

    def of_part(share):
        own = share.positions
        return passes(make(), X[own], dY[own] * (share.n_own > 0), share)

    found = on_all(shares, of_part)
    for share, (own_Y, own_dX, _, own_values) in zip(shares, found, strict=True):
        own = share.positions[: share.n_own]
        np.testing.assert_allclose(own_Y[: len(own)], Y[own], **tolerance)
        np.testing.assert_allclose(own_dX[: len(own)], dX[own], **tolerance)
        np.testing.assert_allclose(own_values, values, **tolerance)
        assert own_values.tobytes() == found[0][3].tobytes()
    assert not found[1][1].any()  # the row that stands in for none
    np.testing.assert_allclose(sum(part[2] for part in found), gradient, **tolerance)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_batch_norm_of_parts(shares, offset):
    rng = np.random.default_rng(0)
    X = offset + rng.standard_normal((N_ROWS, 5)) * [1, 1, 1e-3, 0, 10]
    dY = rng.standard_normal(X.shape)
    # With large means, numbers of 64 bits know x - mean to 1e-10 only, in one process too.
    tolerance = {"rtol": 1e-12, "atol": 1e-11} if not offset else {"rtol": 1e-6, "atol": 1e-6}
    assert_parts_are_the_whole(BatchNorm, shares, X, dY, tolerance)


def test_batch_norm_of_parts_loses_no_digits_if_means_are_large(shares):
    X = 1e6 + np.random.default_rng(0).standard_normal((N_ROWS, 5))
    exact = (X.astype(np.longdouble)).var(axis=0)

    def variance(share):
        layer = BatchNorm(momentum=0.0)
        own = share.positions
        return passes(layer, X[own], X[own], share)[3][-5:]

    for found in on_all(shares, variance):
        np.testing.assert_allclose(found, exact.astype(float), rtol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dropout(0.4),
        lambda: Dense(4, activation="rrelu", activity_regularizer=None),
        lambda: BatchNorm(momentum=0.3),
    ],
)
def test_random_layers_of_parts(shares, make):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, 4))
    assert_parts_are_the_whole(make, shares, X, rng.standard_normal((N_ROWS, 4)), {"rtol": 1e-12})


def test_a_batch_norm_whose_gamma_is_frozen_uses_the_running_statistics(shares):
    def make():
        layer = BatchNorm()
        build = layer.build

        def build_frozen(n_inputs):
            built = build(n_inputs)
            layer.gamma_.frozen = True
            return built

        layer.build = build_frozen
        return layer

    X = np.random.default_rng(0).standard_normal((N_ROWS, 3))
    assert_parts_are_the_whole(make, shares, X, X + 1, {"rtol": 1e-12})


# Losses -------------------------------------------------------------------------------------------

MULTICLASS = LogLoss()
MULTICLASS.multiclass = True
LOSSES = {
    "one loss": (SquaredError(), "numbers"),
    "several": (JointLoss([LogLoss(), SquaredError()], [1, 2], [0.3, 2]), "shares"),
    "gaps": (Measured(AbsoluteError()), "gaps"),
    "gaps in rows": (Measured(AbsoluteError()), "rows with gaps"),
    "gaps of one member": (Measured(SquaredError()), "gaps of one member"),
    "nothing known": (Measured(SquaredError()), "nothing"),
    "no gaps": (Measured(SquaredError()), "numbers"),
    "classes": (ClassWeighted(MULTICLASS, [[1.0, 2.0, 0.5]]), "classes with gaps"),
    "tasks": (
        JointLoss([Measured(LogLoss()), Measured(SquaredError())], [1, 2]),
        "shares with gaps",
    ),
    "some tasks": (
        JointLoss([SquaredError(), Measured(SquaredError())], [1, 2]),
        "gaps at the end",
    ),
}


def targets(kind):
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((N_ROWS, 3))
    holes = rng.random(Y.shape) < 0.4
    if "shares" in kind:
        Y = rng.random(Y.shape)
    if "classes" in kind:
        Y = np.eye(3)[rng.integers(0, 3, N_ROWS)]
    if kind in ("rows with gaps", "classes with gaps"):
        holes = np.repeat(holes[:, :1], 3, axis=1)
    if kind == "gaps of one member":
        holes[PARTS[0]] = False
    if kind == "gaps at the end":
        holes[:, 0] = False
    if kind == "nothing":
        holes[:] = True
    return np.where(holes, np.nan, Y) if "gaps" in kind or kind == "nothing" else Y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_parts(shares, name, kernels, weighted):
    loss, kind = LOSSES[name]
    kernels = pytest.importorskip(f"skdeep.kernels.{kernels}_kernels")
    rng = np.random.default_rng(0)
    Y, Z = targets(kind), rng.standard_normal((N_ROWS, 3))
    weight = rng.uniform(0.5, 2, N_ROWS) if weighted else None
    expected = Z.copy()
    value = kernels.bind_loss(loss, Z.dtype)(Y, expected, weight, np.empty_like(Z))

    def of_part(share):
        own = share.positions
        gradient = Z[own]
        own_weight = None if weight is None else weight[own]
        compute = kernels.bind_loss(SharedLoss(loss, share), Z.dtype)
        return compute(Y[own], gradient, own_weight, np.empty_like(gradient)), gradient

    found = on_all(shares, of_part)
    assert sum(part[0] for part in found) == pytest.approx(value, rel=1e-12, abs=1e-12)
    for share, (_, gradient) in zip(shares, found, strict=True):
        own = share.positions[: share.n_own]
        np.testing.assert_allclose(gradient[: len(own)], expected[own], rtol=1e-12, atol=1e-14)
    assert found[1][0] == 0
    assert not found[1][1].any()


# Parts of the user's own --------------------------------------------------------------------------


class Plain(Layer):
    def forward(self, X):
        return X

    def backward(self, dY):
        return dY

    def infer(self, X):
        return X


class Random(Plain):
    is_random = True


class WithStatistics(Plain):
    uses_batch_statistics = True


class WithPenalty(Plain):
    def penalty(self):
        return 1.0


class OwnDropout(Dropout):
    def forward(self, X):
        return super().forward(X)


class Sharing(Random):
    def take_share(self, share):
        self.share = share


class RandomReLU(ReLU):
    is_random = True

    def forward(self, Z, work):
        super().forward(Z, work)


class SharingReLU(RandomReLU):
    def take_share(self, share):
        """Do nothing."""


def network(*layers):
    rng = np.random.default_rng(0)
    return Network([*layers, Dense(2)], [len(layers)], 3, np.dtype(float), rng)


@pytest.mark.parametrize(
    "layer",
    [Random(), WithStatistics(), WithPenalty(), OwnDropout(), Dense(2, activation=RandomReLU())],
    ids=lambda layer: type(layer).__name__,
)
def test_a_part_that_does_not_know_shares_is_refused(shares, layer):
    refused = layer.activation if isinstance(layer, Dense) else layer
    with pytest.raises(InvalidParameterError, match=f"{type(refused).__name__} needs a method"):
        network(layer).take_share(shares[0])


@pytest.mark.parametrize(
    "layer",
    [Plain(), Sharing(), Dense(2, activation=SharingReLU()), Dense(2, weight_noise=0.1)],
    ids=lambda layer: type(layer).__name__,
)
def test_a_part_that_needs_no_share_or_knows_it(shares, layer):
    built = network(layer)
    built.allocate(5, np.random.default_rng(0))
    built.take_share(shares[0])
    if isinstance(layer, Sharing):
        assert built.layers[0].share is shares[0]
        built.release()
        assert not hasattr(built.layers[0], "share")
    assert Activation.take_share(ReLU(), shares[0]) is None


def test_members_that_train_on_their_own_rows_have_statistics_of_their_own(shares):
    X = np.random.default_rng(0).standard_normal((N_ROWS, 3))
    share = Share(shares[0].ring, is_local=True)
    share.take(PARTS[0], N_ROWS, len(PARTS[0]))
    own = passes(BatchNorm(), X[PARTS[0]], X[PARTS[0]], share)
    for A, expected in zip(own, passes(BatchNorm(), X[PARTS[0]], X[PARTS[0]]), strict=True):
        np.testing.assert_array_equal(A, expected)
