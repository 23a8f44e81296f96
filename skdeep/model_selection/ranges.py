"""The table of the default spaces: what is drawn for each parameter, from which effort, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scipy.stats import loguniform

from skdeep.model_selection.distributions import (
    Choice,
    Conditional,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
)

EFFORTS = ("quick", "standard", "full")
QUICK, STANDARD, FULL = EFFORTS

WITH_MOMENTS = ("adam", "adamw", "nadam", "adamax", "amsgrad")
# An optimizer of the user's own.
OWN = "another"
# All but "lbfgs", which has neither a learning rate nor batches.
STOCHASTIC = (*WITH_MOMENTS, "sgd", "rmsprop", "lion", "adagrad", "adadelta", OWN)

AUTOENCODER = ("MLPAutoencoder",)
PREDICTORS = ("MLPClassifier", "MLPRegressor", "MultiTaskMLP")
NETWORKS = PREDICTORS + AUTOENCODER
TABLES = ("TabularClassifier", "TabularRegressor")
ESTIMATORS = NETWORKS + TABLES


@dataclass(frozen=True, kw_only=True)
class Range:
    """A row of the table.

    Parameters
    ----------
    name : str
        The parameter.
    effort : str
        The lowest effort that searches it.
    distribution : distribution or None
        None is log-uniform from a tenth of the value of the estimator to ten times this value.
    reason : str
        For the docs.
    estimators : tuple of str
        The names of the estimators that it is for.
    solvers : tuple of str or None
        The solvers that it is for; None stands for all.
    """

    name: str
    effort: str
    distribution: Any
    reason: str
    estimators: tuple[str, ...]
    solvers: tuple[str, ...] | None = None


def _rate(solvers: tuple[str, ...], distribution: Any, reason: str) -> Range:
    return Range(
        name="learning_rate_init",
        effort=QUICK,
        distribution=distribution,
        reason=reason,
        estimators=NETWORKS,
        solvers=solvers,
    )


_OF_NETWORKS = (
    _rate(
        WITH_MOMENTS,
        loguniform(5e-4, 3e-2),
        "It matters most. Rates from 0.001 to 0.03 were the best. Lower rates need more epochs, "
        "which large data sets have in effect. Above 0.03, scores fell on most sets.",
    ),
    _rate(
        ("sgd",),
        loguniform(3e-3, 3e-2),
        "With the momenta below. Lower rates need more epochs. Training diverged in regression "
        "from 0.1 with a momentum of 0.9, and from 0.03 with 0.98.",
    ),
    _rate(
        ("rmsprop",),
        loguniform(2e-4, 2e-2),
        "Its best rates were a little lower than those of Adam.",
    ),
    _rate(
        ("lion",),
        loguniform(1e-4, 5e-3),
        "Every weight moves by the whole rate in each step, so that the best rates are smaller.",
    ),
    _rate(
        ("adagrad",),
        loguniform(5e-3, 0.15),
        "The steps shrink over time, so that they start large.",
    ),
    _rate(
        ("adadelta",),
        loguniform(0.5, 20.0),
        "It is a factor of steps that the solver finds itself, and these are small. With 0.01, "
        "networks learned nothing.",
    ),
    _rate((OWN,), None, "The scale of the rate of another optimizer is not known."),
    Range(
        name="hidden_layer_sizes",
        effort=QUICK,
        distribution=LayerSizes(units=(32, 256), depth=(1, 3)),
        reason="The mean score rose with the width. Fewer than 32 units were too few on most sets, "
        "and more than 256 take long. All depths were as good.",
        estimators=PREDICTORS,
    ),
    Range(
        name="alpha",
        effort=QUICK,
        distribution=loguniform(1e-5, 0.3),
        reason="The lower end is as good as no penalty. Above 0.3, scores fell on most sets.",
        estimators=NETWORKS,
    ),
    Range(
        name="dropout",
        effort=STANDARD,
        distribution=Conditional(
            Choice((0.0, 0.1, 0.2, 0.3), weights=(3, 2, 1, 1)), on="batch_norm", values=(None,)
        ),
        reason="Without batch normalization, a little dropout was as good as none or better; with "
        "it, worse. With 0.5, some regressors learned nothing.",
        estimators=PREDICTORS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="batch_norm",
        effort=STANDARD,
        distribution=Choice((None, "before"), weights=(2, 1)),
        reason="It makes training less sensitive to the learning rate. The place after the "
        "activation was not better.",
        estimators=PREDICTORS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="activation",
        effort=STANDARD,
        distribution=Choice(("relu", "mish", "tanh")),
        reason="The best one depends on the data: kinks, smooth functions, bounded ones. Others of "
        "the same kinds were not better. SELU and GELU were worse.",
        estimators=NETWORKS,
    ),
    Range(
        name="learning_rate",
        effort=STANDARD,
        distribution=Choice(("constant", "linear", "cosine")),
        reason="A rate that falls to 0 was better than a constant one. Schedules with a warm-up "
        "are left out, because early scores under them tell less about the last ones.",
        estimators=NETWORKS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="batch_size",
        effort=STANDARD,
        distribution=Choice((32, 64, "auto")),
        reason="It matters little if the learning rate is searched, and smaller batches take "
        'longer. "auto" is at most 200 rows.',
        estimators=NETWORKS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="momentum",
        effort=STANDARD,
        distribution=OneMinusLogUniform(0.85, 0.95),
        reason="The learning rate and 1 - momentum act together. Closer to 1, large rates diverge.",
        estimators=NETWORKS,
        solvers=("sgd",),
    ),
    Range(
        name="beta_2",
        effort=FULL,
        distribution=OneMinusLogUniform(0.9, 0.999),
        reason="Shorter memories were as good as the default of 0.999 or slightly better.",
        estimators=NETWORKS,
        solvers=WITH_MOMENTS,
    ),
    Range(
        name="rho",
        effort=FULL,
        distribution=OneMinusLogUniform(0.8, 0.99),
        reason="The memory of the squared gradients, as with beta_2. Not measured.",
        estimators=NETWORKS,
        solvers=("rmsprop", "adadelta"),
    ),
    Range(
        name="weight_decay",
        effort=FULL,
        distribution=loguniform(1e-3, 0.3),
        reason="The lower end is as good as no decay. Above 1, scores fell.",
        estimators=NETWORKS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="label_smoothing",
        effort=FULL,
        distribution=Choice((0.0, 0.05, 0.1), weights=(2, 1, 1)),
        reason="For labels with errors. On the sets below, it was not better on average.",
        estimators=("MLPClassifier",),
    ),
    Range(
        name="weight_averaging",
        effort=FULL,
        distribution=Choice((None, "ema")),
        reason="As good as without, or slightly better. It stands in for a schedule if the rate is "
        "constant.",
        estimators=NETWORKS,
        solvers=STOCHASTIC,
    ),
    Range(
        name="tied_weights",
        effort=FULL,
        distribution=Choice((False, True)),
        reason="Half as many weights, for few rows. Not measured.",
        estimators=AUTOENCODER,
    ),
)

_OF_TABLES = (
    Range(
        name="learning_rate_init",
        effort=QUICK,
        distribution=loguniform(0.01, 0.16),
        reason='Four times less and more than the 0.04 of "auto".',
        estimators=("TabularClassifier",),
    ),
    Range(
        name="learning_rate_init",
        effort=QUICK,
        distribution=loguniform(0.025, 0.4),
        reason='Four times less and more than the 0.1 of "auto".',
        estimators=("TabularRegressor",),
    ),
    Range(
        name="hidden_layer_sizes",
        effort=QUICK,
        distribution=LayerSizes(units=(96, 384), depth=(2, 4), shape="constant"),
        reason="Around the default of three layers with 256 units.",
        estimators=TABLES,
    ),
    Range(
        name="dropout",
        effort=QUICK,
        distribution=Choice((0.0, 0.05, 0.1, 0.15, 0.2, 0.3)),
        reason="Around the default of 0.15; none for large tables, more for small ones.",
        estimators=TABLES,
    ),
    Range(
        name="weight_decay",
        effort=STANDARD,
        distribution=loguniform(2e-3, 0.2),
        reason="Ten times less and more than the default of 0.02.",
        estimators=TABLES,
    ),
    Range(
        name="numeric_embedding",
        effort=STANDARD,
        distribution=Choice(("auto", "piecewise_linear", None), weights=(3, 1, 1)),
        reason='"auto" is "periodic" in a single network, and both kinds in an ensemble. Tables '
        "with many columns may need none.",
        estimators=TABLES,
    ),
    Range(
        name="activation",
        effort=STANDARD,
        distribution=Choice(("auto", "mish", "selu"), weights=(2, 1, 1)),
        reason="The activations of the recipe and its models.",
        estimators=TABLES,
    ),
    Range(
        name="batch_size",
        effort=STANDARD,
        distribution=LogIntUniform(64, 512),
        reason="Around the default of 256; small tables have more steps with small batches.",
        estimators=TABLES,
    ),
    Range(
        name="label_smoothing",
        effort=FULL,
        distribution=Choice((0.0, 0.05, 0.1), weights=(2, 1, 1)),
        reason="It may raise the accuracy, and costs log-loss.",
        estimators=("TabularClassifier",),
    ),
    Range(
        name="embedding_size",
        effort=FULL,
        distribution=LogIntUniform(4, 16),
        reason="Around the default of 8. It has an effect only on columns with many categories.",
        estimators=TABLES,
    ),
    Range(
        name="max_one_hot",
        effort=FULL,
        distribution=Choice((4, 8, 16)),
        reason="Around the default of 8. It has an effect only on columns with many categories.",
        estimators=TABLES,
    ),
)

RANGES = _OF_NETWORKS + _OF_TABLES
