"""Every component, of whichever family: its parameters, and what they may be."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from contract_cases import COMPONENT_CASES
from contract_tools import each
from skdeep import (
    activations,
    augmentation,
    constraints,
    initializers,
    losses,
    optimizers,
    schedules,
)
from skdeep._component import Component, InvalidParameterError
from skdeep.layers import (
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    GaussianNoise,
    Periodic,
    PiecewiseLinear,
    Scale,
)
from skdeep.regularizers import L1, L1L2, L2
from skdeep.schedules import Warmup

# What the numbers of every component may be.
NOT_NEGATIVE, POSITIVE, ANY, SHARE, COUNT = (
    "[0, inf)",
    "(0, inf)",
    "(-inf, inf)",
    "[0, 1]",
    "1, 2, ...",
)
ADAM = {"beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": POSITIVE}
INTERVALS = {
    activations.LeakyReLU: {"negative_slope": SHARE},
    activations.PReLU: {"initial_slope": ANY, "rate": NOT_NEGATIVE},
    activations.Parametric: {"rate": NOT_NEGATIVE, "initial": ANY},
    activations.RReLU: {"lower": POSITIVE, "upper": "(0, 1]"},
    activations.ThresholdedReLU: {"theta": NOT_NEGATIVE},
    activations.ELU: {"alpha": NOT_NEGATIVE},
    activations.Swish: {"beta": ANY},
    losses.FocalLoss: {"gamma": NOT_NEGATIVE},
    losses.Huber: {"delta": POSITIVE},
    losses.QuantileLoss: {"quantile": "(0, 1)"},
    L1: {"l1": NOT_NEGATIVE},
    L2: {"l2": NOT_NEGATIVE},
    L1L2: {"l1": NOT_NEGATIVE, "l2": NOT_NEGATIVE},
    constraints.MaxNorm: {"max_value": POSITIVE},
    constraints.MinMaxNorm: {
        "min_value": NOT_NEGATIVE,
        "max_value": NOT_NEGATIVE,
        "rate": "(0, 1]",
    },
    initializers.Constant: {"value": ANY},
    initializers.EvenlySpaced: {"low": ANY, "high": ANY},
    initializers.Normal: {"mean": ANY, "std": NOT_NEGATIVE},
    initializers.TruncatedNormal: {"mean": ANY, "std": NOT_NEGATIVE},
    initializers.Uniform: {"low": ANY, "high": ANY},
    initializers.VarianceScaling: {"scale": POSITIVE},
    initializers.Orthogonal: {"gain": ANY},
    initializers.Identity: {"gain": ANY},
    schedules.InverseScaling: {"power_t": NOT_NEGATIVE},
    schedules.Adaptive: {"factor": "(1, inf)", "min_rate": NOT_NEGATIVE},
    schedules.Step: {"factor": POSITIVE, "every": COUNT},
    schedules.Exponential: {"decay": "(0, 1]"},
    schedules.InverseTime: {"decay": NOT_NEGATIVE},
    schedules.Linear: {"end": SHARE},
    schedules.Polynomial: {"power": POSITIVE, "end": SHARE},
    schedules.Cosine: {"end": SHARE},
    schedules.CosineRestarts: {"period": COUNT, "growth": "[1, inf)", "end": SHARE},
    schedules.OneCycle: {"warmup": "(0, 1)", "start": SHARE, "end": SHARE},
    schedules.FlatCosine: {"flat": "[0, 1)"},
    schedules.CosineLog: {"cycles": COUNT},
    schedules.WarmupCosine: {"warmup": "(0, 1)", "end": SHARE},
    Warmup: {"epochs": POSITIVE, "start": SHARE},
    optimizers.SGD: {"momentum": SHARE, "dampening": SHARE},
    optimizers.Adam: ADAM,
    optimizers.AdamW: {**ADAM, "weight_decay": NOT_NEGATIVE},
    optimizers.Nadam: ADAM,
    optimizers.Adamax: ADAM,
    optimizers.AMSGrad: ADAM,
    optimizers.AdaGrad: {"epsilon": POSITIVE, "initial_accumulator": NOT_NEGATIVE},
    optimizers.AdaDelta: {"rho": "[0, 1)", "epsilon": POSITIVE},
    optimizers.RMSProp: {
        "rho": "[0, 1)",
        "epsilon": POSITIVE,
        "initial_accumulator": NOT_NEGATIVE,
    },
    optimizers.Lion: {"beta_1": "[0, 1)", "beta_2": "[0, 1)"},
    augmentation.Mixup: {"alpha": POSITIVE},
    augmentation.SwapColumns: {"rate": SHARE},
    augmentation.ShiftImages: {"pixels": "0, 1, ..."},
    augmentation.FlipImages: {"probability": SHARE},
    augmentation.RotateImages: {"degrees": "[0, 180]"},
    Dense: {
        "units": COUNT,
        "weight_noise": NOT_NEGATIVE,
        "kernel_rate": NOT_NEGATIVE,
        "bias_rate": NOT_NEGATIVE,
    },
    BatchNorm: {"momentum": SHARE, "epsilon": POSITIVE},
    Dropout: {"rate": "[0, 1)"},
    Embedding: {"n_categories": COUNT, "n_outputs": COUNT, "rate": NOT_NEGATIVE},
    GaussianNoise: {"std": NOT_NEGATIVE},
    Periodic: {
        "n_outputs": COUNT,
        "n_frequencies": COUNT,
        "scale": NOT_NEGATIVE,
        "rate": NOT_NEGATIVE,
    },
    PiecewiseLinear: {"n_outputs": COUNT, "n_knots": "2, 3, ...", "rate": NOT_NEGATIVE},
    Scale: {"rate": NOT_NEGATIVE},
}


def at_the_edges(interval):
    """Return the outermost numbers of an interval, and those just outside."""
    if interval.endswith("..."):
        least = int(interval[0])
        return [least, 1000], [least - 1, -1, least + 0.5]
    inside, outside = [], []
    low, high = (float(end) for end in interval[1:-1].split(","))
    for end, is_closed, outwards in (
        (low, interval[0] == "[", -np.inf),
        (high, interval[-1] == "]", np.inf),
    ):
        if np.isfinite(end):
            inside.append(end if is_closed else float(np.nextafter(end, -outwards)))
            outside.append(float(np.nextafter(end, outwards)) if is_closed else end)
        else:
            inside.append(np.sign(outwards) * 1e300)
    return inside, outside


def parameters_of(component):
    """Return get_params in a form that compares."""
    return {
        k: repr(v) if isinstance(v, (Component, list)) else v
        for k, v in component.get_params(deep=False).items()
    }


class TestComponents:
    @each(COMPONENT_CASES)
    def test_clone_and_pickle_keep_the_parameters(self, make):
        component = make()
        for twin in (clone(component), pickle.loads(pickle.dumps(component))):
            assert type(twin) is type(component)
            assert twin is not component
            assert parameters_of(twin) == parameters_of(component)

    @each(COMPONENT_CASES)
    def test_the_constructor_only_stores(self, make):
        component = make()
        given = component.get_params(deep=False)
        assert vars(component) == given or vars(component).keys() - given.keys() <= {"power"}

    @each(COMPONENT_CASES)
    def test_every_parameter_can_be_set(self, make):
        component = make()
        for name, value in component.get_params(deep=False).items():
            assert component.set_params(**{name: value}) is component

    @each(COMPONENT_CASES)
    def test_check_passes(self, make):
        make().check()

    @each(COMPONENT_CASES)
    def test_a_value_outside_its_limits_is_an_error_that_names_it(self, make):
        component = make()
        for name in component._limits:
            for wrong in ("wrong", None, float("nan"), True):
                culprit = clone(component).set_params(**{name: wrong})
                with pytest.raises(InvalidParameterError, match=f"{name}={wrong!r} is not allowed"):
                    culprit.check()

    def test_the_limits_of_every_number_are_written_down(self):
        classes = {type(make()) for make in COMPONENT_CASES.values()}
        declared = {c: set(c._limits) for c in classes if c._limits}
        assert {c: set(intervals) for c, intervals in INTERVALS.items()} == declared

    @pytest.mark.parametrize(
        ("kind", "name", "interval"),
        [(c, name, text) for c, intervals in INTERVALS.items() for name, text in intervals.items()],
    )
    def test_numbers_are_allowed_up_to_their_limits_and_no_further(self, kind, name, interval):
        limit = kind._limits[name]
        inside, outside = at_the_edges(interval)
        assert [value for value in inside if not limit.allows(value)] == []
        assert [value for value in outside if limit.allows(value)] == []

    @each(COMPONENT_CASES)
    def test_every_number_has_limits(self, make):
        component = make()
        numbers = {
            name
            for name, value in component.get_params(deep=False).items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        assert numbers <= component._limits.keys()

    @each(COMPONENT_CASES)
    def test_the_docstring_describes_every_parameter(self, make):
        component = make()
        doc = inspect.getdoc(type(component))
        for name in inspect.signature(type(component)).parameters:
            assert name in doc, f"{type(component).__name__}: {name}"
