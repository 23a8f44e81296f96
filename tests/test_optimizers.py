"""Optimizers: what the base class does around the rules."""

import pickle

import numpy as np
import pytest

from skdeep._component import InvalidParameterError
from skdeep.kernels import numpy_kernels
from skdeep.kernels.numpy_kernels import BLOCK
from skdeep.optimizers import OPTIMIZERS, SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from skdeep.parameters import Segment

SIZES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 777]
N_STEPS = 3


def gradients(n, n_steps=N_STEPS, dtype=float):
    rng = np.random.default_rng(n)
    return rng.standard_normal((n_steps, n)).astype(dtype)


def started(optimizer, n, dtype=float):
    optimizer.start(n, np.dtype(dtype))
    return optimizer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_blocks_give_what_the_rule_gives_on_the_whole(name, n, dtype):
    in_blocks = started(OPTIMIZERS[name](), n, dtype)
    in_blocks.bind(numpy_kernels, [Segment(0, n)], np.dtype(dtype))
    whole = started(OPTIMIZERS[name](), n, dtype)
    w = np.linspace(-1, 1, n, dtype=dtype)
    expected, work = w.copy(), np.empty(n, dtype)
    for g in gradients(n, dtype=dtype):
        in_blocks.step(w, g.copy(), 0.01)
        whole.n_steps_ += 1
        whole.begin_step()
        whole.use_rate(0.01)
        whole.update(expected, g.copy(), 0.01, work, *whole.slots_)
    np.testing.assert_array_equal(w, expected)
    for slot, other in zip(in_blocks.slots_, whole.slots_, strict=True):
        np.testing.assert_array_equal(slot, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_on_the_trainable_slice_of_a_vector(name):
    values, g = np.ones(10), np.full(6, 0.5)
    started(OPTIMIZERS[name](), 6).step(values[:6], g, 0.01)
    assert (values[:6] != 1).all()
    assert (values[6:] == 1).all()


class Signs(Optimizer):
    """w <- w - lr * (sign of the summed gradients): a rule of the user's own."""

    slots = ("total",)

    def begin_step(self):
        self.begun = getattr(self, "begun", 0) + 1

    def update(self, w, g, lr, work, total):
        assert w.shape == g.shape == work.shape == total.shape
        assert work.dtype == w.dtype
        total += g
        np.sign(total, out=work)
        work *= lr
        w -= work


@pytest.mark.parametrize("n", SIZES)
def test_an_optimizer_of_the_users_own(n):
    optimizer = started(Signs(), n)
    w, all_gradients = np.zeros(n), gradients(n)
    for g in all_gradients:
        optimizer.step(w, g.copy(), 0.5)
    assert optimizer.begun == optimizer.n_steps_ == N_STEPS
    np.testing.assert_allclose(w, -0.5 * np.sign(np.cumsum(all_gradients, axis=0)).sum(axis=0))


def test_start_makes_a_slot_of_zeros_for_every_name():
    optimizer = started(Adam(), 7, np.float32)
    assert [(s.dtype, s.shape, s.any()) for s in optimizer.slots_] == [
        (np.float32, (7,), False)
    ] * 2
    assert optimizer.n_steps_ == 0


@pytest.mark.parametrize(("momentum", "n_slots"), [(0.0, 0), (0.9, 1)])
def test_sgd_without_momentum_keeps_nothing(momentum, n_slots):
    optimizer = started(SGD(momentum), 5)
    assert len(optimizer.slots_) == n_slots
    assert optimizer.started


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_without_state_is_pickled_small(name):
    optimizer = started(OPTIMIZERS[name](), 50_000)
    optimizer.step(np.ones(50_000), np.ones(50_000), 0.01)
    optimizer.stop()
    assert len(pickle.dumps(optimizer)) < 1000


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_0_but_for_adamw(name):
    assert OPTIMIZERS[name]().weight_decay == (0.01 if name == "adamw" else 0.0)
    assert "weight_decay" not in OPTIMIZERS[name]().get_params() or name == "adamw"


def test_adamw_leaves_the_decay_to_the_trainer():
    adam, adamw = started(Adam(), 5), started(AdamW(weight_decay=0.5), 5)
    w, other = np.ones(5), np.ones(5)
    for g in gradients(5):
        adam.step(w, g.copy(), 0.1)
        adamw.step(other, g.copy(), 0.1)
    np.testing.assert_array_equal(w, other)


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_comes_before_the_step(name, kernels):
    if kernels == "numba":
        chosen = pytest.importorskip("skdeep.kernels.numba_kernels")
    else:
        chosen = numpy_kernels
    decayed, plain = (started(OPTIMIZERS[name](), 7) for _ in range(2))
    for optimizer in (decayed, plain):
        optimizer.bind(chosen, [Segment(0, 5, decay=0.5), Segment(5, 7)], np.dtype(float))
    w, other = np.linspace(-1, 1, 7), np.linspace(-1, 1, 7)
    for g in gradients(7):
        decayed.step(w, g.copy(), 0.1, decay=4.0)
        other[:5] *= 0.8
        plain.step(other, g.copy(), 0.1)
    np.testing.assert_allclose(w, other, rtol=1e-12)


def test_two_optimizers_do_not_share_anything():
    first, second = (started(Adam(), 5) for _ in range(2))
    w, other = np.ones(5), np.ones(5)
    for g in gradients(5):
        first.step(w, g.copy(), 0.1)
    for g in gradients(5):
        second.step(other, g.copy(), 0.1)
    np.testing.assert_array_equal(w, other)


# PyTorch ------------------------------------------------------------------------------------------


def dampened(torch, w):
    optimizer = torch.optim.SGD([w], lr=0.01, momentum=0.9, dampening=0.4)
    # PyTorch does not dampen the first gradient, if there is no velocity yet.
    optimizer.state[w]["momentum_buffer"] = torch.zeros_like(w)
    return optimizer


IN_PYTORCH = {
    "dampening": (SGD(0.9, False, 0.4), dampened),
    "initial accumulator": (
        AdaGrad(1e-10, initial_accumulator=0.3),
        lambda torch, w: torch.optim.Adagrad([w], lr=0.01, initial_accumulator_value=0.3),
    ),
    "rmsprop": (
        RMSProp(0.99),
        lambda torch, w: torch.optim.RMSprop([w], lr=0.01),
    ),
}


@pytest.mark.parametrize("case", IN_PYTORCH)
def test_as_in_pytorch(case):
    torch = pytest.importorskip("torch")
    ours, make = IN_PYTORCH[case]
    w = np.linspace(-1, 1, 9)
    theirs = torch.tensor(w.copy(), requires_grad=True)
    optimizer = make(torch, theirs)
    started(ours, w.size)
    for g in gradients(w.size, n_steps=8):
        ours.step(w, g.copy(), 0.01)
        theirs.grad = torch.tensor(g)
        optimizer.step()
    np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("parameters", [{"dampening": 0.5}, {"dampening": 1.5}])
def test_dampening_that_is_not_allowed(parameters):
    with pytest.raises(InvalidParameterError, match=r"dampening=.*(nesterovs_momentum=False|give)"):
        SGD(**parameters).check()


@pytest.mark.parametrize("cls", [AdaGrad, RMSProp])
def test_an_initial_accumulator_below_0_is_an_error(cls):
    with pytest.raises(InvalidParameterError, match=r"initial_accumulator=-0\.1 is not allowed"):
        cls(initial_accumulator=-0.1).check()


# A state that is not for these parameters --------------------------------------------------------

CUTS = {
    "short": lambda slots: [slot[:1] for slot in slots],
    "one too few": lambda slots: slots[:-1],
    "another dtype": lambda slots: [slot.astype(np.float32) for slot in slots],
    "read-only": lambda slots: [read_only(slot) for slot in slots],
    "strided": lambda slots: [np.repeat(slot, 2)[::2] for slot in slots],
    "no arrays": lambda slots: [list(slot) for slot in slots],
    "no list": lambda slots: None,
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("cut", CUTS)
def test_kernels_are_not_bound_to_slots_of_another_size(cut):
    kernels = numpy_kernels
    optimizer = Adam()
    optimizer.start(40, np.float64)
    optimizer.bind(kernels, [Segment(0, 40)], np.float64)
    optimizer.slots_ = CUTS[cut](optimizer.slots_)
    with pytest.raises(ValueError, match="has no state for 40 parameters"):
        optimizer.bind(kernels, [Segment(0, 40)], np.float64)


def test_a_step_of_compiled_kernels_checks_sizes():
    kernels = pytest.importorskip("skdeep.kernels.numba_kernels")
    optimizer = Adam()
    optimizer.start(40, np.float64)
    optimizer.bind(kernels, [Segment(0, 40)], np.float64)
    for n_weights, n_gradients in [(41, 41), (40, 39)]:
        with pytest.raises(ValueError, match="40 parameters expected"):
            optimizer.step(np.ones(n_weights), np.ones(n_gradients), 0.1)


# Segments ----------------------------------------------------------------------------------------


def chosen_kernels(kernels):
    if kernels == "numba":
        return pytest.importorskip("skdeep.kernels.numba_kernels")
    return numpy_kernels


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_segment_does_what_a_vector_of_its_own_does(name, kernels):
    cuts = [Segment(0, 5, 0.3, 1.0, 1.0), Segment(5, 6), Segment(6, 11, 7.0, 2.0, 0.5)]
    together = started(OPTIMIZERS[name](), 11)
    together.bind(chosen_kernels(kernels), cuts, np.dtype(float))
    alone = [started(OPTIMIZERS[name](), cut.stop - cut.start) for cut in cuts]
    w, parts = np.linspace(-1, 1, 11), np.split(np.linspace(-1, 1, 11), [5, 6])
    for g in gradients(11):
        penalty, expected = together.step(w, g.copy(), 0.01, l2=0.2, decay=3.0), 0.0
        for cut, optimizer, part in zip(cuts, alone, parts, strict=True):
            gradient = g[cut.start : cut.stop] + 0.2 * cut.l2 * part
            expected += 0.2 * cut.l2 / 2 * (part**2).sum()
            part *= 1 - 0.01 * cut.rate * cut.decay * 3.0
            optimizer.step(part, gradient, 0.01 * cut.rate)
        assert penalty == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(w, np.concatenate(parts), rtol=1e-10)
