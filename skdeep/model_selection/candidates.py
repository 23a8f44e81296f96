"""Candidates: sets of parameters that are drawn from a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils import check_random_state

from skdeep._component import InvalidParameterError, Limit, warn_user
from skdeep.model_selection.conditions import Conditions
from skdeep.model_selection.distributions import Conditional

_N_CANDIDATES = Limit(1, integer=True)


def sample_candidates(
    param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    n_candidates: int,
    *,
    random_state: Any = None,
    defaults: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Draw candidates, as scikit-learn's `ParameterSampler` does, and respect conditions.

    A parameter whose `Conditional` does not hold is left out of its candidate. If all parameters
    are lists of values, no candidate is drawn twice.

    Parameters
    ----------
    param_distributions : dict or list of dicts
        Distributions with `rvs` or lists of values, by the names of parameters. Of several dicts,
        one is drawn for each candidate.
    n_candidates : int
    random_state : int, RandomState or None, default=None
    defaults : dict or None, default=None
        The parameters of the estimator, `estimator.get_params()`. They count for conditions on
        parameters that are not searched.

    Returns
    -------
    list of dict

    Examples
    --------
    >>> from skdeep.model_selection import Conditional, sample_candidates
    >>> space = {"solver": ["adam", "sgd"], "momentum": Conditional([0.9, 0.99])}
    >>> for candidate in sample_candidates(space, 3, random_state=0):
    ...     print(sorted(candidate.items()))
    [('momentum', 0.9), ('solver', 'sgd')]
    [('momentum', 0.99), ('solver', 'sgd')]
    [('solver', 'adam')]
    """
    if not _N_CANDIDATES.allows(n_candidates):
        raise InvalidParameterError(
            f"n_candidates={n_candidates!r} is not allowed; give {_N_CANDIDATES}."
        )
    is_one = not isinstance(param_distributions, (list, tuple))
    spaces = [param_distributions] if is_one else param_distributions
    if not spaces:
        raise InvalidParameterError("param_distributions is an empty list; give a dict.")
    conditions = [Conditions(space, defaults) for space in spaces]
    plain = [_without_conditions(space) for space in spaces]
    rng = check_random_state(random_state)
    is_grid = not any(hasattr(values, "rvs") for space in plain for values in space.values())
    if not any(conditions):
        size = len(ParameterGrid(plain)) if is_grid else n_candidates
        if size < n_candidates:
            _warn_that_few_differ(size, n_candidates)
        return list(ParameterSampler(plain, min(size, n_candidates), random_state=rng))
    # A key that no parameter has tells which of several spaces a candidate is from.
    numbered = plain if is_one else [{**space, _NUMBER: [i]} for i, space in enumerate(plain)]

    def draw(n: int, random_state: Any) -> list[dict[str, Any]]:
        drawn = ParameterSampler(numbered, n, random_state=random_state)
        return [conditions[c.pop(_NUMBER, 0)].without_idle(c) for c in drawn]

    if not is_grid:
        return draw(n_candidates, rng)
    return _without_repetition(
        draw, n_candidates, len(ParameterGrid(numbered)), rng.randint(2**31 - 1)
    )


_NUMBER = "number of the space"


def _without_conditions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space with the distributions of conditionals in their place."""
    return {
        key: _values(given.innermost if isinstance(given, Conditional) else given)
        for key, given in space.items()
    }


def _values(given: Any) -> Any:
    """Return values as a list, in which each keeps its identity; anything else as it is.

    A range may be too long for a list. Its values are told apart by `_identity`.
    """
    is_array = isinstance(given, np.ndarray) and given.ndim == 1
    return list(given) if is_array or isinstance(given, tuple) else given


def _identity(value: Any) -> tuple[bool, int]:
    """Return what tells a value of a space from others: an integer itself, or the identity."""
    is_integer = type(value) is int
    return is_integer, value if is_integer else id(value)


def _without_repetition(draw: Any, n_candidates: int, size: int, seed: int) -> list[dict[str, Any]]:
    """Draw from a grid until there are enough candidates that differ, or the grid is used up."""
    n = min(n_candidates, size)
    while True:
        # Values come from the lists of the space, so those that are the same have one identity.
        found = {
            frozenset((key, _identity(value)) for key, value in candidate.items()): candidate
            for candidate in draw(n, seed)
        }
        if len(found) >= n_candidates:
            return list(found.values())[:n_candidates]
        if n == size:
            _warn_that_few_differ(len(found), n_candidates)
            return list(found.values())
        n = min(2 * n, size)


def _warn_that_few_differ(n_different: int, n_candidates: int) -> None:
    warn_user(
        f"The space has {n_different} different candidates, fewer than "
        f"n_candidates={n_candidates}; all of them are returned."
    )
