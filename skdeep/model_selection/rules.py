"""Rules that end the training of candidates that are not promising."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit, is_named


def rungs(min_epochs: int | str, max_epochs: int, factor: float) -> list[int]:
    """Return the epochs of the rungs: each has `factor` times those of the one before.

    The last rung has max_epochs. With min_epochs="auto" there are three rungs.
    """
    if is_named(min_epochs, "auto"):
        # It is not rounded here: the third rung would be slightly below max_epochs, or above.
        min_epochs = max(1, max_epochs / factor**2)
    elif min_epochs > max_epochs:
        raise InvalidParameterError(
            f"min_epochs={min_epochs} is more than max_epochs={max_epochs}; give fewer."
        )
    epochs, next_one = [], float(min_epochs)
    while round(next_one) < max_epochs:
        if not epochs or round(next_one) > epochs[-1]:
            epochs.append(round(next_one))
        next_one *= factor
    return [*epochs, max_epochs]


def best_of(means: Mapping[int, float], n: int) -> list[int]:
    """Return the n candidates with the highest scores, in the order of their numbers.

    Of equal scores, that of the lower number counts as higher. NaN is the lowest.
    """
    order = sorted(means, key=lambda c: (math.isnan(means[c]), -means[c], c))
    return sorted(order[:n])


class Rule(Component):
    """Base class: a subclass defines when candidates are compared, and which of them train on."""

    def checks(self, max_epochs: int) -> list[int]:
        """Return the epochs after which candidates are compared; the last one is max_epochs."""
        raise NotImplementedError

    def promising(self, group: Sequence[int], scores: Sequence[Mapping[int, float]]) -> list[int]:
        """Return the candidates of a group that train on.

        Parameters
        ----------
        group : list of int
            The candidates that are compared.
        scores : list of dict
            For each check up to this one, the mean scores of all candidates that came so far, those
            of the group included.
        """
        raise NotImplementedError


class MedianRule(Rule):
    """Ends a candidate whose best score so far is below the median of others at this epoch.

    The others are the candidates of earlier groups that came to this epoch. The first group trains
    to the end.

    Parameters
    ----------
    every : int or "auto", default="auto"
        The number of epochs between comparisons; "auto" is a tenth of max_epochs.
    min_epochs : int or "auto", default="auto"
        The epoch of the first comparison; "auto" is `every`.

    References
    ----------
    Golovin et al. (2017), "Google Vizier: a service for black-box optimization".
    """

    _limits = {
        "every": Limit(1, integer=True, special=("auto",)),
        "min_epochs": Limit(1, integer=True, special=("auto",)),
    }

    def __init__(self, every="auto", min_epochs="auto"):
        self.every = every
        self.min_epochs = min_epochs

    def checks(self, max_epochs):
        every = max(1, round(max_epochs / 10)) if is_named(self.every, "auto") else self.every
        first = every if is_named(self.min_epochs, "auto") else self.min_epochs
        return [*range(first, max_epochs, every), max_epochs]

    def promising(self, group, scores):
        others = [score for c, score in scores[-1].items() if c not in group]
        others = [score for score in others if not math.isnan(score)]
        if not others:
            return [c for c in group if not math.isnan(scores[-1][c])]
        median = np.median(others)
        return [
            c
            for c in group
            if not math.isnan(scores[-1][c]) and np.nanmax([s[c] for s in scores]) >= median
        ]


class HalvingRule(Rule):
    """Ends a candidate that is not among the best 1 / factor of those that came to its rung.

    The candidates of earlier groups count too, and those of its own group.

    Parameters
    ----------
    min_epochs : int or "auto", default="auto"
        The epochs of the first rung; "auto" is max_epochs / factor^2. Each further rung has
        `factor` times as many.
    factor : float, default=3

    References
    ----------
    Li et al. (2020), "A system for massively parallel hyperparameter tuning".
    """

    _limits = {
        "min_epochs": Limit(1, integer=True, special=("auto",)),
        "factor": Limit(1, closed="(]"),
    }

    def __init__(self, min_epochs="auto", factor=3):
        self.min_epochs = min_epochs
        self.factor = factor

    def checks(self, max_epochs):
        return rungs(self.min_epochs, max_epochs, self.factor)

    def promising(self, group, scores):
        means = scores[-1]
        n = math.ceil(sum(not math.isnan(score) for score in means.values()) / self.factor)
        return [c for c in best_of(means, n) if c in group]


RULES = {"median": MedianRule, "halving": HalvingRule}
