"""Augmentations: each keeps the meaning of a batch."""

import numpy as np
import pytest
import scipy.ndimage

from skdeep._component import InvalidParameterError
from skdeep.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    FlipImages,
    Mixup,
    RotateImages,
    ShiftImages,
    SwapColumns,
    steps_of,
)

N_ROWS, HEIGHT, WIDTH = 40, 4, 6
SHAPE = HEIGHT, WIDTH
OF_IMAGES = [ShiftImages, FlipImages, RotateImages]


@pytest.fixture
def batch(rng):
    return rng.standard_normal((N_ROWS, HEIGHT * WIDTH)), rng.dirichlet(np.ones(3), N_ROWS)


def instance(cls, **options):
    return cls(SHAPE, **options) if cls in OF_IMAGES else cls(**options)


def images(X):
    return X.reshape(-1, *SHAPE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", AUGMENTATIONS.values())
def test_every_augmentation_is_drawn_from_rng_and_keeps_shapes_and_dtypes(cls, dtype, batch):
    X, Y = (a.astype(dtype) for a in batch)
    results = [instance(cls)(X.copy(), Y.copy(), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    for found in results:
        assert [a.dtype for a in found] == [dtype] * 2
        assert [a.shape for a in found] == [X.shape, Y.shape]
        np.testing.assert_allclose(found[1].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert not np.array_equal(results[0][0], results[2][0])
    assert not np.array_equal(results[0][0], X)


@pytest.mark.parametrize("cls", AUGMENTATIONS.values())
def test_one_row(cls, batch, rng):
    X, Y = (a[:1] for a in batch)
    new_X, new_Y = instance(cls)(X.copy(), Y.copy(), rng)
    np.testing.assert_allclose(new_Y, Y)
    assert new_X.shape == X.shape


@pytest.mark.parametrize(
    "neutral",
    [
        SwapColumns(0.0),
        ShiftImages(SHAPE, pixels=0),
        FlipImages(SHAPE, probability=0.0),
        FlipImages(SHAPE, horizontal=False, probability=1.0),
        RotateImages(SHAPE, degrees=0.0),
    ],
    ids=repr,
)
def test_without_strength_nothing_changes(neutral, batch, rng):
    X, Y = batch
    new_X, new_Y = neutral(X.copy(), Y.copy(), rng)
    np.testing.assert_array_equal(new_X, X)
    np.testing.assert_array_equal(new_Y, Y)


def test_mixup_mixes_rows_and_targets_alike(batch, rng):
    X, _ = batch
    Y = X[:, :3] + 2 * X[:, 3:6]  # a linear function of X stays one
    new_X, new_Y = Mixup(1.0)(X, Y, rng)
    np.testing.assert_allclose(new_Y, new_X[:, :3] + 2 * new_X[:, 3:6])
    codes, _ = Mixup(1.0)(np.eye(N_ROWS), Y, rng)
    np.testing.assert_allclose(codes.sum(axis=1), 1)
    assert (np.diag(codes) >= 0.5).all()
    assert (np.diag(codes) < 0.999).sum() > N_ROWS / 2


def test_mixup_loses_no_target(batch, rng):
    X, _ = batch
    Y = X[:, :3].copy()
    Y[::3, 0] = Y[::2, 1] = np.nan
    new_X, new_Y = Mixup(1.0)(X, Y, rng)
    np.testing.assert_array_equal(np.isnan(new_Y), np.isnan(Y))
    known = ~np.isnan(Y)
    np.testing.assert_allclose(new_Y[known], new_X[:, :3][known])
    assert (new_X != X).any(axis=1).mean() > 0.2


def test_swapped_cells_come_from_other_rows_of_their_column(rng):
    X = np.arange(3000.0).reshape(1000, 3)
    new_X, _ = SwapColumns(0.2)(X.copy(), X, rng)
    for column, new in zip(X.T, new_X.T, strict=True):
        assert np.isin(new, column).all()
        assert (new != column).mean() == pytest.approx(0.2, abs=0.05)


def test_a_shift_moves_pixels_and_repeats_the_border(batch, rng):
    X, Y = batch
    new_X, _ = ShiftImages(SHAPE, pixels=2)(X.copy(), Y, rng)
    seen = set()
    for image, new in zip(images(X), images(new_X), strict=True):
        shifts = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(
                scipy.ndimage.shift(image, (down, right), order=0, mode="nearest"), new
            )
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert {down for down, _ in seen} == {right for _, right in seen} == set(range(-2, 3))


@pytest.mark.parametrize(
    ("options", "mirrored"),
    [
        ({}, lambda A: A[:, :, ::-1]),
        ({"horizontal": False, "vertical": True}, lambda A: A[:, ::-1]),
        ({"vertical": True}, lambda A: A[:, ::-1, ::-1]),
    ],
)
def test_flips(options, mirrored, batch, rng):
    X, Y = batch
    new_X, _ = FlipImages(SHAPE, probability=1.0, **options)(X.copy(), Y, rng)
    np.testing.assert_array_equal(images(new_X), mirrored(images(X)))
    new_X, _ = FlipImages(SHAPE, **options)(X.copy(), Y, rng)
    n_same = (new_X == X).all(axis=1).sum()
    assert 0 < n_same < N_ROWS


def test_a_rotation_is_that_of_scipy(batch):
    X, _ = batch
    found = RotateImages(SHAPE).move(X.reshape(-1, *SHAPE, 1), np.linspace(-3, 3, N_ROWS))
    for image, angle, new in zip(images(X), np.linspace(-3, 3, N_ROWS), found, strict=True):
        cos, sin = np.cos(angle), np.sin(angle)
        center = (np.array(SHAPE) - 1) / 2
        matrix = np.array([[cos, -sin], [sin, cos]])
        expected = scipy.ndimage.affine_transform(
            image, matrix, center - matrix @ center, order=1, mode="nearest"
        )
        np.testing.assert_allclose(new[..., 0], expected, atol=1e-12)


def test_angles_are_within_their_limit(rng):
    (angle,) = RotateImages(degrees=30).draw(1000, rng)
    assert np.rad2deg(np.abs(angle)).max() == pytest.approx(30, abs=0.5)
    assert np.rad2deg(angle).mean() == pytest.approx(0, abs=2)


@pytest.mark.parametrize("cls", OF_IMAGES)
def test_channels_move_together(cls, rng):
    X = np.repeat(rng.standard_normal((N_ROWS, HEIGHT * WIDTH)), 3, axis=1)  # three equal channels
    new_X, _ = cls((HEIGHT, WIDTH, 3))(X, X, rng)
    channels = new_X.reshape(N_ROWS, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(channels[..., 0], channels[..., 2])


@pytest.mark.parametrize("cls", OF_IMAGES)
def test_images_are_squares_unless_a_shape_says_otherwise(cls, rng):
    square = rng.standard_normal((5, 9))
    one, other = (
        f(square.copy(), square, np.random.default_rng(0))[0] for f in (cls(), cls((3, 3)))
    )
    np.testing.assert_array_equal(one, other)
    with pytest.raises(InvalidParameterError, match=r"10 columns; give shape=\(height, width\)"):
        cls()(np.ones((5, 10)), square, rng)
    with pytest.raises(InvalidParameterError, match=r"shape \(4, 6\), with 24 pixels.*10 columns"):
        cls(SHAPE)(np.ones((5, 10)), square, rng)


@pytest.mark.parametrize("cls", OF_IMAGES)
@pytest.mark.parametrize("shape", [4, (4,), (4, 0), (4, 2.5), "44", (1, 2, 3, 4)])
def test_a_shape_that_is_not_allowed(cls, shape):
    with pytest.raises(InvalidParameterError, match=r"shape=.* is not allowed; give None, \(hei"):
        cls(shape).check()


@pytest.mark.parametrize("cls", OF_IMAGES)
def test_targets_of_an_autoencoder_move_with_its_images(cls, batch, rng):
    X, _ = batch
    new_X, new_Y = instance(cls).reconstruct(X.copy(), X.copy(), rng)
    np.testing.assert_array_equal(new_X, new_Y)
    assert not np.array_equal(new_X, X)


def test_targets_of_an_autoencoder_have_no_swapped_cells(batch, rng):
    X, _ = batch
    new_X, new_Y = SwapColumns(0.5).reconstruct(X.copy(), X.copy(), rng)
    np.testing.assert_array_equal(new_Y, X)
    assert not np.array_equal(new_X, X)


def own(X, Y, rng):
    return X, Y


def test_steps_are_new_instances_in_their_order():
    mixup = Mixup(0.5)
    steps = steps_of(["shift_images", (mixup, own)])
    assert [type(step).__name__ for step in steps] == ["ShiftImages", "Mixup", "function"]
    assert steps[1] is not mixup
    assert steps[1].alpha == 0.5
    assert steps_of(None) == steps_of([]) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mixupp", "augment='mixupp' is unknown; did you mean 'mixup'"),
        (3, "augment=3 is not allowed; give None, one of .*'mixup'.* a function"),
        (Mixup, r"augment=Mixup is a class; give an instance: augment=Mixup\(\)"),
        (["mixup", 3], "augment=3 is not allowed"),
        (Mixup(-1), "augment__alpha=-1 is not allowed"),
        (int, "augment=<class 'int'> is not allowed"),
    ],
)
def test_what_is_no_augmentation(spec, message):
    with pytest.raises(InvalidParameterError, match=message):
        steps_of(spec)


def test_the_base_class_does_nothing_of_its_own(batch, rng):
    with pytest.raises(NotImplementedError):
        Augmentation()(*batch, rng)
