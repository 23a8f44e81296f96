"""Stages that change the whole gradient between `backward` and the optimizer.

Without stages, the optimizer adds the penalty on squares while it updates the weights, in one pass
over them. With stages, the gradient has all penalties before a stage sees it, unless the stage has
`before_penalties`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdeep._component import InvalidParameterError
from skdeep.callbacks.base import Callback
from skdeep.clipping import clip_gradient
from skdeep.kernels import draw_seed
from skdeep.parameters import ParameterVector
from skdeep.schedules import Progress, Scheduled, value_of


@dataclass
class Step:
    """The running step.

    Attributes
    ----------
    n_rows : int
        The number of rows that the gradient is the mean over.
    loss : float
        The loss of these rows. It includes the penalties as soon as they are added.
    """

    n_rows: int = 0
    loss: float = 0.0


class GradientStage:
    """Base class: a subclass implements `apply`.

    Attributes
    ----------
    before_penalties : bool
        Whether the stage sees the gradient of the loss alone, and may change `step.n_rows` and
        `step.loss`: penalties are divided by step.n_rows. A stage that averages the gradients of
        several processes is an example.
    """

    before_penalties = False
    follows_progress = False

    def begin_step(self, progress: Progress) -> None:
        """Take note of how far training has come; called if follows_progress is True."""

    def begin(self, gradient: np.ndarray, kernels: Any) -> None:
        """Prepare for gradients of this shape; called again if other parameters are to train."""

    def apply(self, gradient: np.ndarray, step: Step) -> None:
        """Change the gradient in place."""
        raise NotImplementedError


class Noise(GradientStage):
    """g <- g + N(0, std^2)."""

    def __init__(self, std: float | Scheduled, rng: np.random.Generator):
        self.std = std
        self.rng = rng
        self._std = value_of(std)

    @property
    def follows_progress(self) -> bool:
        """Whether the standard deviation changes over time."""
        return isinstance(self.std, Scheduled)

    def begin_step(self, progress: Progress) -> None:
        """Set the standard deviation for this step."""
        self._std = self.std.at(progress)

    def begin(self, gradient, kernels):
        self._kernels = kernels
        self._noisy = np.empty_like(gradient)

    def apply(self, gradient, step):
        self._kernels.noise_forward(draw_seed(self.rng), self._std, gradient, self._noisy)
        np.copyto(gradient, self._noisy)


class Clip(GradientStage):
    """Limit every component of the gradient, then the norm of each parameter, then that of all.

    A limit of None is not applied. `vector` holds the parameters.
    """

    def __init__(
        self,
        clip_value: float | None,
        clip_norm: float | None,
        clip_parameter_norm: float | None = None,
        vector: ParameterVector | None = None,
    ):
        self.clip_value = _number(clip_value)
        self.clip_norm = _number(clip_norm)
        self.clip_parameter_norm = _number(clip_parameter_norm)
        self.vector = vector

    def begin(self, gradient, kernels):
        self._kernels = kernels
        parameters = [] if self.vector is None else self.vector.parameters
        self._pieces = [p.grad.reshape(-1) for p in parameters if p.grad is not None and p.size]

    def apply(self, gradient, step):
        clip_gradient(
            gradient,
            self.clip_value,
            self.clip_norm,
            self._kernels,
            clip_parameter_norm=self.clip_parameter_norm,
            pieces=self._pieces,
        )


class ReduceGradient(GradientStage):
    """Sum the gradients and the losses of several processes, each of which has a part of the rows.

    Parameters
    ----------
    share : Share
        The own part of each batch, of skdeep.distributed.
    vector : ParameterVector
    """

    before_penalties = True

    def __init__(self, share: Any, vector: ParameterVector):
        self.share = share
        self.vector = vector

    def apply(self, gradient, step):
        share, sums = self.share, self.vector.grads_with_room
        # Two numbers keep the digits of the loss, if the gradient is float32.
        loss = step.loss + share.loss
        sums[-2] = loss
        sums[-1] = loss - float(sums[-2]) if math.isfinite(sums[-2]) else 0.0
        share.sum(sums)
        step.loss = float(sums[-2]) + float(sums[-1])
        step.n_rows = share.n_rows


def _number(limit: float | None) -> float | None:
    return None if limit is None else float(limit)


def stages_of(callbacks: Iterable[Callback]) -> list[GradientStage]:
    """Return the gradient stages of callbacks."""
    stages: list[GradientStage] = []
    for callback in callbacks:
        given = callback.gradient_stages()
        if not isinstance(given, (list, tuple)) or not all(
            isinstance(stage, GradientStage) for stage in given
        ):
            raise InvalidParameterError(
                f"{type(callback).__name__}.gradient_stages returned {given!r}; return a list "
                "of instances of skdeep.training.stages.GradientStage."
            )
        stages += given
    return stages
