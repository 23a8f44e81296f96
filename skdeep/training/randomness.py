"""From random_state to one independent generator for every purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


class Streams:
    """Independent generators: more dropout does not change the order of the rows.

    Attributes
    ----------
    init, shuffle, noise : numpy.random.Generator
        For first values, for the order of the rows, and for dropout and noise.
    split_seed : int
        The seed of the validation split. Warm starts keep it, so that no row changes sides.
    """

    NAMES = ("init", "shuffle", "noise")

    def __init__(self, random_state: Any):
        if isinstance(random_state, np.random.Generator):
            entropy = random_state.integers(0, 2**32, size=8, dtype=np.uint32)
        else:
            random_state = check_random_state(random_state)
            entropy = random_state.randint(0, 2**32, size=8, dtype=np.uint32)
        seeds = np.random.SeedSequence(entropy.tolist()).spawn(4)
        self.init, self.shuffle, self.noise = (np.random.default_rng(s) for s in seeds[:3])
        self.split_seed = int(seeds[3].generate_state(1)[0])

    def states(self) -> list[dict[str, Any]]:
        """Return the states of the generators, for `restore`."""
        return [getattr(self, name).bit_generator.state for name in self.NAMES]

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Let the generators draw again what they drew from these states on."""
        for name, state in zip(self.NAMES, states, strict=True):
            getattr(self, name).bit_generator.state = state
