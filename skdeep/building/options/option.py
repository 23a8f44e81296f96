"""The row of a hyperparameter in the table of options: all facts about it but its default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from skdeep._component import Limit, is_per_layer, per_layer, per_layer_and_output

CLASSIFIER, REGRESSOR, AUTOENCODER = "MLPClassifier", "MLPRegressor", "MLPAutoencoder"
ESTIMATORS = (CLASSIFIER, REGRESSOR, AUTOENCODER)

SHARE = Limit(0, 1, closed="[)")
UNIT = Limit(0, 1)
POSITIVE = Limit(0, closed="(]")
NOT_NEGATIVE = Limit(0)


class ByLayer(Enum):
    """Whether an option may be a sequence with one entry for each hidden layer."""

    NO = "no"
    HIDDEN = "hidden layers"
    AND_OUTPUT = "hidden layers, and one entry more for the output layer"
    EVERY = "as AND_OUTPUT, but a single value is for the output layer too"


class WarmStart(Enum):
    """What a warm start does if the value is not that of the previous fit."""

    STRUCTURE = "an error: the network would need other weights"
    LAYERS = "the layers are built again with the new value, and keep their weights"
    FREE = "the layers do not depend on it"


class WithLayers(Enum):
    """What an option means with layers=[...], which describes the hidden layers."""

    KEPT = "its usual meaning"
    OUTPUT = "it is for the output layer alone"
    REFUSED = "an error: the layers have to say it"


@dataclass(frozen=True, kw_only=True)
class Option:
    """A hyperparameter. Its default is in the constructors' signatures.

    Parameters
    ----------
    name : str
    text : str
        The description, for the docstrings and for docs/parameters.md.
    also : mapping of str to str
        Sentences to add for an estimator, by the name of the estimator.
    page : str
        Sentences to add in docs/parameters.md, for links.
    type : str
        The type, for the docstrings; "" if it follows from the allowed values.
    estimators : tuple of str
        The names of the estimators that have the option.
    limit : Limit or None
        The numbers that are allowed; with `by_layer`, for every entry.
    choices : tuple or None
        The values that are allowed.
    switch : bool
        Whether the allowed values are True and False. An option without limit, choices and switch
        is checked by the code that uses it.
    by_output : bool
        Whether the value may be a sequence with one entry for each output, in MLPRegressor.
    by_layer : ByLayer
    of_output : object
        If the option goes by layer: the value for the output layer, if the user gives none.
    warm_start : WarmStart
    with_layers : WithLayers
    from_pretrained : bool
        Whether the option describes the hidden layers. If all options of this kind are at their
        defaults, they are taken from the `pretrained` estimator.
    not_for_lbfgs : bool
        Whether solver="lbfgs" can't honour the option, and warns if it is set.
    scheduled : bool
        Whether the option may be a number that changes over time.
    is_handling : bool
        Whether the option says how a model is handled or trained, not what the model is. A
        conversion to another library may leave it out.
    """

    name: str
    text: str
    also: Mapping[str, str] = field(default_factory=dict)
    page: str = ""
    type: str = ""
    estimators: tuple[str, ...] = ESTIMATORS
    limit: Limit | None = None
    choices: tuple | None = None
    switch: bool = False
    by_output: bool = False
    by_layer: ByLayer = ByLayer.NO
    of_output: Any = None
    warm_start: WarmStart = WarmStart.FREE
    with_layers: WithLayers = WithLayers.KEPT
    from_pretrained: bool = False
    not_for_lbfgs: bool = False
    scheduled: bool = False
    is_handling: bool = False

    @property
    def goes_by_layer(self) -> bool:
        """Whether the option may be a sequence with one entry for each layer."""
        return self.by_layer is not ByLayer.NO

    def spread(self, value: Any, n_hidden: int) -> list:
        """Return the values for the hidden layers, and for the output layer if it has one."""
        if self.by_layer is ByLayer.HIDDEN:
            return per_layer(value, n_hidden, self.name)
        is_for_all = self.by_layer is ByLayer.EVERY and not is_per_layer(value)
        output = value if is_for_all else self.of_output
        return per_layer_and_output(value, n_hidden, self.name, output)


def listed(names: Iterable[str]) -> str:
    """Return the names of a family as a list in a text."""
    return ", ".join(f'"{name}"' for name in names)
