"""Default spaces: the parameters of an estimator that are searched, and their distributions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scipy.stats import loguniform

from skdeep._component import (
    Component,
    InvalidParameterError,
    Limit,
    is_named,
    is_per_layer,
    resolve,
    unknown_name,
)
from skdeep.building.checks import check_hidden_layer_sizes, check_options, is_set
from skdeep.building.options import OPTIONS, WithLayers, names
from skdeep.building.options.option import POSITIVE, SHARE
from skdeep.estimators.base import BaseMLP
from skdeep.model_selection.distributions import (
    Choice,
    Conditional,
    LayerSizes,
    LogIntUniform,
    OneMinusLogUniform,
)
from skdeep.model_selection.networks import Network, networks_in, prefix_of
from skdeep.model_selection.ranges import EFFORTS, ESTIMATORS, OWN, RANGES, Range
from skdeep.optimizers import OPTIMIZERS, Optimizer
from skdeep.schedules import Scheduled
from skdeep.tabular.base import BaseTabular


def param_distributions(
    estimator: Any, effort: str = "standard", *, prefix: str | None = None
) -> dict[str, Any]:
    """Return a default search space for a network, or for an estimator that holds one.

    The inputs are assumed to be scaled, for example by a `StandardScaler` in the pipeline, and so
    are the targets of a regressor. The estimators for tables do both themselves.

    Parameters left out are those that have no effect in this estimator, such as the learning rate
    with `solver="lbfgs"`. Also left out are parts that the estimator has as an instance, and
    sequences with one entry for each layer. A value that differs from its default is always within
    the space.

    Parameters
    ----------
    estimator : estimator
        An `MLPClassifier`, `MLPRegressor`, `MLPAutoencoder`, `MultiTaskMLP`, `TabularClassifier` or
        `TabularRegressor`, or an estimator that holds one, such as a `Pipeline` or a
        `TransformedTargetRegressor`. It need not be fitted.
    effort : {"quick", "standard", "full"}, default="standard"
        "quick" has the two or three parameters that matter most, "standard" up to eight, and
        "full" all that are worth a search.
    prefix : str or None, default=None
        The name of the network in `estimator.get_params()`, such as "mlp", if there are several.

    Returns
    -------
    dict from str to distributions
        The learning rate comes first. The dict may be changed before it is used.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier
    >>> from skdeep.model_selection import param_distributions
    >>> pipeline = make_pipeline(StandardScaler(), MLPClassifier())
    >>> list(param_distributions(pipeline, effort="quick"))
    ['mlpclassifier__learning_rate_init', 'mlpclassifier__hidden_layer_sizes', \
'mlpclassifier__alpha']
    """
    if not any(is_named(effort, known) for known in EFFORTS):
        raise InvalidParameterError(
            unknown_name(effort, EFFORTS, "effort")
            if isinstance(effort, str)
            else f"effort={effort!r} is not allowed; choose from {list(EFFORTS)}."
        )
    path, network = _network(estimator, prefix)
    return {f"{prefix_of(path)}{key}": drawn for key, drawn in _space(network, effort).items()}


# The network in an estimator ------------------------------------------------------------------


def _network(estimator: Any, prefix: str | None) -> tuple[str, Network]:
    """Return the path to the network in an estimator, and the network."""
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise InvalidParameterError(
            f"estimator={estimator!r} is not allowed; give an estimator, such as "
            "skdeep.MLPClassifier() or a Pipeline."
        )
    found = networks_in(estimator)
    if not found:
        raise InvalidParameterError(
            f"There is no network of skdeep to be trained in {estimator!r}. Give an estimator of "
            f"{list(ESTIMATORS)}, or one that holds it, such as a Pipeline. Others, as those of "
            "scikit-learn, have other parameters. A network in a FrozenEstimator is not trained."
        )
    if prefix is None and len(found) > 1:
        raise InvalidParameterError(
            f"The estimator holds several networks: {list(found)}. Choose one, as in "
            f"prefix={next(iter(found))!r}. To search several, unite their spaces: first | second."
        )
    if prefix is not None and not isinstance(prefix, str):
        raise InvalidParameterError(f"prefix={prefix!r} is not allowed; give one of {list(found)}.")
    path = next(iter(found)) if prefix is None else prefix
    if path not in found:
        raise InvalidParameterError(unknown_name(path, list(found), "prefix"))
    return path, found[path]


# Its space ------------------------------------------------------------------------------------

# The constants of solvers, which an Optimizer has in place of its estimator.
_CONSTANTS = ("momentum", "beta_2", "rho")


def _space(network: Network, effort: str) -> dict[str, Any]:
    """Return the space of a network."""
    if isinstance(network, BaseMLP):
        check_options(network)
    else:
        network._check_parameters()
    held, idle, solver = network.get_params(deep=True), _idle(network), _solver(network)
    space: dict[str, Any] = {}
    for row in _rows(network, effort):
        key = _key(held, row.name)
        is_for_solver = row.solvers is None or solver in row.solvers
        if is_for_solver and row.name not in idle and key in held:
            drawn = copy.deepcopy(row.distribution)  # a distribution of SciPy can be changed
            space[key] = _fitted_to(network, drawn, key, held[key])
    return {key: _without_idle_condition(drawn, space) for key, drawn in space.items()}


def _without_idle_condition(drawn: Any, space: Mapping[str, Any]) -> Any:
    """Return a distribution without a condition on a parameter that is not searched."""
    is_idle = isinstance(drawn, Conditional) and drawn.on not in space
    return drawn.distribution if is_idle else drawn


def _rows(network: Network, effort: str) -> list[Range]:
    """Return the rows of the table for an estimator and an effort."""
    kind = next(c.__name__ for c in type(network).__mro__ if c.__name__ in ESTIMATORS)
    lower = EFFORTS[: EFFORTS.index(effort) + 1]
    return [row for row in RANGES if kind in row.estimators and row.effort in lower]


def _solver(network: Network) -> str | None:
    """Return the name of an estimator's solver in the table of ranges."""
    solver = getattr(network, "solver", None)
    if solver is None or is_named(solver, "lbfgs"):
        return solver
    cls = type(resolve(solver, {**OPTIMIZERS, "lbfgs": None}, "solver", Optimizer))
    names_of = {known: name for name, known in OPTIMIZERS.items()}
    return next((names_of[known] for known in cls.__mro__ if known in names_of), OWN)


def _key(held: Mapping[str, Any], name: str) -> str:
    """Return the key under which a parameter is set: that of the number in a Scheduled one."""
    if isinstance(held.get("solver"), Optimizer):
        inner = f"solver__{name}"
        if inner in held or name in _CONSTANTS:
            return inner
    return f"{name}__value" if isinstance(held.get(name), Scheduled) else name


def _idle(network: Network) -> set[str]:
    """Return the parameters that have no effect in an estimator, or that it has in detail."""
    held = network.get_params(deep=False)
    idle = {name for name, value in held.items() if _is_detailed(name, value)}
    if isinstance(network, BaseTabular):
        return idle
    if held.get("layers") is not None:
        idle |= {*names(with_layers=WithLayers.REFUSED)}
    if held.get("pretrained") is not None:  # its layers are those of another network
        idle |= {*names(from_pretrained=True), "tied_weights"}
    if not check_hidden_layer_sizes(held.get("hidden_layer_sizes", ())):
        idle |= {"hidden_layer_sizes", "activation", "batch_norm", "dropout"}
    if held.get("early_stopping"):  # schedules are laid out for max_iter epochs
        idle.add("learning_rate")
    if not is_named(held.get("loss"), "log_loss") or held.get("soft_targets"):
        idle.add("label_smoothing")
    return idle


def _is_detailed(name: str, value: Any) -> bool:
    """Whether a value says more than a name or a number: an instance, or one entry for a layer."""
    if isinstance(value, Component):
        return not isinstance(value, Scheduled)
    return name in _BY_LAYER and is_per_layer(value)


_BY_LAYER = tuple(option.name for option in OPTIONS.values() if option.goes_by_layer)


def _fitted_to(network: Network, drawn: Any, key: str, value: Any) -> Any:
    """Return a distribution for an estimator: it reaches to a value that the user has set."""
    if drawn is None:
        return loguniform(value / _FACTOR, value * _FACTOR)
    if "__" in key or is_set(network, key):
        drawn = _widened(drawn, value)
    if isinstance(drawn, LayerSizes) and _has_fixed_depth(network):
        drawn = replace(drawn, depth=len(check_hidden_layer_sizes(value)))
    return drawn


# The range of the learning rate of an optimizer that is not in the table.
_FACTOR = 10.0


def _has_fixed_depth(network: Network) -> bool:
    """Whether other parameters of a network go by hidden layer."""
    held = network.get_params(deep=False)
    frozen = held.get("frozen_layers", 0)
    freezes = len(frozen) > 0 if is_per_layer(frozen) else frozen != 0
    return freezes or any(is_per_layer(held.get(name)) for name in _BY_LAYER)


def _widened(drawn: Any, value: Any) -> Any:
    """Return a distribution that reaches to a value, as far as it can."""
    if isinstance(drawn, Choice):
        return drawn if value in drawn.values else _with_value(drawn, value)
    if isinstance(drawn, Conditional):
        return replace(drawn, distribution=_widened(drawn.distribution, value))
    if isinstance(drawn, LayerSizes):
        sizes = check_hidden_layer_sizes(value)
        units = _reaching(*drawn.units, *sizes)
        return replace(drawn, units=units, depth=_reaching(*drawn.depth, len(sizes)))
    limit = _LIMITS.get(type(drawn), POSITIVE)
    if not limit.allows(value):  # such as "auto", or 0 on a logarithmic scale
        return drawn
    if limit is POSITIVE:
        return loguniform(*_reaching(*drawn.args, value))
    low, high = _reaching(drawn.low, drawn.high, value)
    return replace(drawn, low=low, high=high)


_LIMITS = {LogIntUniform: Limit(1, integer=True), OneMinusLogUniform: SHARE}


def _reaching(*values: Any) -> tuple[Any, Any]:
    """Return the ends of a range with these values."""
    return min(values), max(values)


def _with_value(drawn: Choice, value: Any) -> Choice:
    """Return a choice with one more value, which is as likely as the others on average."""
    weights = drawn.weights
    if weights is not None:
        weights = (*weights, sum(weights) / len(weights))
    return Choice((*drawn.values, value), weights)
