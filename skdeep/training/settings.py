"""The settings of one call of fit or partial_fit, which do not change while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skdeep.schedules import Scheduled

MODES = ("fresh", "warm", "continued", "transfer", "partial", "resumed")


@dataclass(frozen=True)
class Settings:
    """The settings of a trainer.

    | mode | the run |
    | --- | --- |
    | "fresh" | trains a new network |
    | "warm" | trains the network of an earlier call further |
    | "continued" | continues where the earlier call ended |
    | "transfer" | trains a new network with the hidden layers of an earlier one |
    | "partial" | is one epoch in a loop of the user's own: partial_fit |
    | "resumed" | was interrupted, and continues after its last checkpoint |

    Attributes
    ----------
    mode : str
    learning_rate_init : float
    horizon : int
        The number of epochs that schedules are designed for.
    n_epochs : int
        The largest number of epochs of this call.
    is_part : bool
        Whether the call is a part of a longer one, which has `horizon` epochs.
    l1, l2 : float
        The penalty l1 * sum |W| + l2 / 2 * sum W^2 over the dense kernels, which is divided by
        the number of rows of a batch.
    weight_decay : float or Scheduled
        The decoupled decay of the dense kernels.
    gradient_noise : float or Scheduled
        The standard deviation of the noise on the gradient.
    clip_value, clip_norm, clip_parameter_norm : float or None
        The limits of the gradient's components, of its norm, and of the norm of each parameter's
        gradient.
    keeps_state : bool
        Whether a later call is to continue exactly where this one ends.
    stops_at_plateau : bool
        Whether training ends at a plateau that the schedule does not react to. If not, a callback
        decides when training ends.
    verbose : bool
        Whether to print how the schedule reacts to a plateau.
    run_id : str or None
        The name of this run, if a callback needs it.
    hyperparameters : dict
        The hyperparameters of the estimator, for callbacks that log them.
    numbers : dict of Scheduled
        The numbers that change over time, by the names that they have in the history.
    """

    mode: str = "fresh"
    learning_rate_init: float = 0.001
    horizon: int = 1
    n_epochs: int = 1
    is_part: bool = False
    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float | Scheduled = 0.0
    gradient_noise: float | Scheduled = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    clip_parameter_norm: float | None = None
    keeps_state: bool = False
    stops_at_plateau: bool = True
    verbose: bool = False
    run_id: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Scheduled] = field(default_factory=dict)

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode={self.mode!r} is unknown; choose from {MODES}")

    @property
    def is_partial(self) -> bool:
        """Whether the run is one epoch in a loop of the user's own."""
        return self.mode == "partial"

    @property
    def begins_fit(self) -> bool:
        """Whether the run begins with the first epoch of a call of fit."""
        return self.mode in ("fresh", "warm", "transfer")
