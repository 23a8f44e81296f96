"""Augmentation: random changes of training batches that keep the meaning of the rows.

An augmentation is a function (X, Y, rng) -> (X, Y) of a batch. X and Y are arrays of its own, which
it may change in place. Y has the targets as the loss sees them, with one column for each output of
the network. All random numbers come from rng.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from skdeep._component import Component, InvalidParameterError, Limit, is_per_layer, resolve


class Augmentation(Component):
    """Base class: a subclass implements `__call__`.

    Attributes
    ----------
    mixes_targets : bool
        Whether classes may have targets between 0 and 1 afterwards.
    """

    mixes_targets = False

    def __call__(
        self, X: np.ndarray, Y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch as the network is to see it, with arrays of the same shapes."""
        raise NotImplementedError

    def reconstruct(
        self, X: np.ndarray, Y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Do the work of `__call__` for an autoencoder, whose targets Y are its inputs."""
        return self(X, Y, rng)


class Mixup(Augmentation):
    """x <- lam * x + (1 - lam) * x', y <- lam * y + (1 - lam) * y', with another row (x', y').

    lam is the larger one of b and 1 - b, with b from the distribution Beta(alpha, alpha). It is
    drawn for each row. So each row remains the larger part of the mixture, and keeps its weight.
    A row is not mixed with one that lacks a target which the row has.

    Parameters
    ----------
    alpha : float, default=0.2
        The larger alpha, the more the rows are mixed.

    References
    ----------
    Zhang et al. (2018), "mixup: beyond empirical risk minimization".
    """

    mixes_targets = True
    _limits = {"alpha": Limit(0, closed="(]")}

    def __init__(self, alpha: float = 0.2):
        self.alpha = alpha

    def __call__(self, X, Y, rng):
        n_rows = len(X)
        share = rng.beta(self.alpha, self.alpha, size=(n_rows, 1)).astype(X.dtype)
        share = np.maximum(share, 1 - share)
        other = rng.permutation(n_rows)
        # A target that is missing in the other row would be lost, so such a row stays as it is.
        loses = (np.isnan(Y[other]) & ~np.isnan(Y)).any(axis=1)
        share[loses] = 1
        other[loses] = np.flatnonzero(loses)
        return share * X + (1 - share) * X[other], share * Y + (1 - share) * Y[other]


class SwapColumns(Augmentation):
    """Noise for tables: some cells get the value that another row has in the same column.

    The targets of an autoencoder remain the rows without noise.

    Parameters
    ----------
    rate : float, default=0.1
        The share of the cells.

    References
    ----------
    Jahrer (2017), the first place of the "Porto Seguro's safe driver prediction" on Kaggle.
    """

    _limits = {"rate": Limit(0, 1)}

    def __init__(self, rate: float = 0.1):
        self.rate = rate

    def __call__(self, X, Y, rng):
        rows, columns = np.nonzero(rng.random(X.shape) < self.rate)
        X[rows, columns] = X[rng.integers(len(X), size=len(rows)), columns]
        return X, Y


class _ImageAugmentation(Augmentation):
    """Base class: a subclass draws the movement of each image, and moves images.

    The columns of X are the pixels of an image, row by row. `shape` is (height, width) or (height,
    width, channels). None stands for a square image with one channel. The targets of an
    autoencoder move with its inputs.
    """

    shape: tuple[int, ...] | None

    def check(self, what=""):
        super().check(what)
        sizes = self.shape
        limit = Limit(1, integer=True)
        if sizes is not None and not (
            is_per_layer(sizes) and len(sizes) in (2, 3) and all(map(limit.allows, sizes))
        ):
            raise InvalidParameterError(
                f"{what or type(self).__name__} shape={sizes!r} is not allowed; give None, "
                "(height, width) or (height, width, channels)."
            )

    def __call__(self, X, Y, rng):
        return self._moved(X, self.draw(len(X), rng)), Y

    def reconstruct(self, X, Y, rng):
        movement = self.draw(len(X), rng)
        return self._moved(X, movement), self._moved(Y, movement)

    def _moved(self, X: np.ndarray, movement: Any) -> np.ndarray:
        n_rows, n_columns = X.shape
        shape = self._shape_of(n_columns)
        return self.move(X.reshape(n_rows, *shape), *movement).reshape(n_rows, n_columns)

    def _shape_of(self, n_columns: int) -> tuple[int, ...]:
        """Return (height, width, channels)."""
        side = math.isqrt(n_columns)
        shape = (side, side) if self.shape is None else tuple(self.shape)
        if math.prod(shape) != n_columns:
            hint = "; give shape=(height, width)" if self.shape is None else ""
            raise InvalidParameterError(
                f"augment={self!r} is for images of shape {shape}, with {math.prod(shape)} "
                f"pixels, but X has {n_columns} columns{hint}."
            )
        return shape if len(shape) == 3 else (*shape, 1)

    def draw(self, n_rows: int, rng: np.random.Generator) -> tuple:
        """Return the arguments of `move`: arrays with one entry for each image."""
        raise NotImplementedError

    def move(self, images: np.ndarray, *movement: np.ndarray) -> np.ndarray:
        """Return images of shape (n_rows, height, width, channels), moved."""
        raise NotImplementedError


class ShiftImages(_ImageAugmentation):
    """Shift each image by a random number of pixels, down or up, and right or left.

    The pixels at the border are repeated where the image leaves a gap.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width) or (height, width, channels). None stands for a square.
    pixels : int, default=1
        The largest shift. All shifts up to it are equally likely.
    """

    _limits = {"pixels": Limit(0, integer=True)}

    def __init__(self, shape=None, pixels: int = 1):
        self.shape = shape
        self.pixels = pixels

    def draw(self, n_rows, rng):
        return tuple(rng.integers(-self.pixels, self.pixels + 1, size=(2, n_rows)))

    def move(self, images, down, right):
        n_rows, height, width, _ = images.shape
        y = np.clip(np.arange(height) - down[:, None], 0, height - 1)
        x = np.clip(np.arange(width) - right[:, None], 0, width - 1)
        return images[np.arange(n_rows)[:, None, None], y[:, :, None], x[:, None, :]]


class FlipImages(_ImageAugmentation):
    """Mirror images, left to right or top to bottom, with some probability.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width) or (height, width, channels). None stands for a square.
    horizontal : bool, default=True
        Whether left and right may change places.
    vertical : bool, default=False
        Whether top and bottom may change places.
    probability : float, default=0.5
        The probability of each of the two.
    """

    _limits = {"probability": Limit(0, 1)}

    def __init__(self, shape=None, horizontal=True, vertical=False, probability: float = 0.5):
        self.shape = shape
        self.horizontal = horizontal
        self.vertical = vertical
        self.probability = probability

    def draw(self, n_rows, rng):
        sides = rng.random((2, n_rows)) < self.probability
        return sides[0] & bool(self.horizontal), sides[1] & bool(self.vertical)

    def move(self, images, horizontal, vertical):
        images = np.where(horizontal[:, None, None, None], images[:, :, ::-1], images)
        return np.where(vertical[:, None, None, None], images[:, ::-1], images)


class RotateImages(_ImageAugmentation):
    """Rotate each image by a random angle around its center, with bilinear interpolation.

    The pixels at the border are repeated where the image leaves a gap.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        (height, width) or (height, width, channels). None stands for a square.
    degrees : float, default=10.0
        The largest angle. All angles up to it are equally likely, in both directions.
    """

    _limits = {"degrees": Limit(0, 180)}

    def __init__(self, shape=None, degrees: float = 10.0):
        self.shape = shape
        self.degrees = degrees

    def draw(self, n_rows, rng):
        return (np.deg2rad(rng.uniform(-self.degrees, self.degrees, n_rows)),)

    def move(self, images, angle):
        n_rows, height, width, _ = images.shape
        y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1]).reshape(2, 1, 1) / 2
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        from_y = np.clip(cos * y - sin * x + (height - 1) / 2, 0, height - 1)
        from_x = np.clip(sin * y + cos * x + (width - 1) / 2, 0, width - 1)
        top, left = from_y.astype(int), from_x.astype(int)
        below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
        down = (from_y - top)[..., None].astype(images.dtype)
        across = (from_x - left)[..., None].astype(images.dtype)
        i = np.arange(n_rows)[:, None, None]
        upper = images[i, top, left] * (1 - across) + images[i, top, right] * across
        lower = images[i, below, left] * (1 - across) + images[i, below, right] * across
        return upper * (1 - down) + lower * down


AUGMENTATIONS = {
    "mixup": Mixup,
    "swap_columns": SwapColumns,
    "shift_images": ShiftImages,
    "flip_images": FlipImages,
    "rotate_images": RotateImages,
}


def steps_of(spec: Any, what: str = "augment") -> list[Callable]:
    """Return new, checked steps of an augmentation: a name, an instance, a function or a list."""
    if spec is None:
        return []
    if isinstance(spec, (list, tuple)):
        return [step for entry in spec for step in steps_of(entry, what)]
    is_function = callable(spec) and not isinstance(spec, (type, Augmentation))
    if is_function:
        return [spec]
    if not isinstance(spec, (str, Augmentation, type)):
        raise InvalidParameterError(
            f"{what}={spec!r} is not allowed; give None, one of {sorted(AUGMENTATIONS)}, an "
            "instance of skdeep.augmentation.Augmentation, a function (X, Y, rng) -> (X, Y), or a "
            "list of these."
        )
    return [resolve(spec, AUGMENTATIONS, what, Augmentation)]
