"""Augmentations against numpy and scipy, image by image."""

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

import tfssvae
from tfssvae import layers
from tfssvae.layers.augmentation import affine
from tfssvae.noise import Noise

IMAGES = np.random.default_rng(0).uniform(size=(64, 9, 7, 3)).astype("float32")
ALL = [
    layers.RandomFlip(),
    layers.RandomCrop(2),
    layers.RandomRotation(30.0),
    layers.RandAugment(operations=2, magnitude=0.7, cutout=0.3),
    layers.Chain([layers.RandomFlip(), layers.RandomCrop(1)]),
]


@pytest.mark.parametrize("augment", ALL, ids=lambda part: type(part).__name__)
def test_images_stay_images_and_equal_noise_gives_equal_changes(augment):
    first = augment(IMAGES, noise=Noise(3, 5)).numpy()
    assert first.shape == IMAGES.shape
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6
    np.testing.assert_array_equal(first, augment(IMAGES, noise=Noise(3, 5)))
    assert np.abs(first - augment(IMAGES, noise=Noise(3, 6))).max() > 0.1
    changes = np.abs(first - IMAGES).reshape(64, -1).max(1) > 1e-3
    assert changes.any()


@pytest.mark.parametrize("augment", ALL, ids=lambda part: type(part).__name__)
def test_xla_agrees_and_a_copy_does_the_same(augment):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(augment))

    def run(images):
        # Draws differ between the plain graph and XLA: the same numbers are passed to both.
        return copy(images, noise=Fixed())

    plain, compiled = tf.function(run), tf.function(run, jit_compile=True)
    np.testing.assert_allclose(compiled(IMAGES), plain(IMAGES), atol=1e-4)
    np.testing.assert_allclose(plain(IMAGES), augment(IMAGES, noise=Fixed()), atol=1e-6)


class Fixed:
    """Uniform numbers from numpy."""

    def __init__(self):
        self._rng = np.random.default_rng(1)

    def uniform(self, shape):
        return tf.constant(self._rng.uniform(size=shape), tf.float32)


def test_half_of_the_images_are_mirrored():
    found = layers.RandomFlip()(IMAGES, noise=Noise(0, 0)).numpy()
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(found, IMAGES, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(found, IMAGES, strict=True)]
    assert np.all(np.array(mirrored) ^ np.array(same))
    assert 16 < sum(mirrored) < 48  # fails by chance once in 40,000


def test_a_crop_is_a_window_of_the_reflected_image_and_every_window_occurs():
    images = np.random.default_rng(0).uniform(size=(400, 6, 5, 1)).astype("float32")
    found = layers.RandomCrop(2)(images, noise=Noise(0, 0)).numpy()
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    seen = set()
    for row in range(len(images)):
        windows = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.array_equal(padded[row, i : i + 6, j : j + 5], found[row])
        ]
        assert len(windows) == 1
        seen.add(windows[0])
    assert len(seen) == 25


def smooth(shape):
    return scipy.ndimage.gaussian_filter(np.random.default_rng(0).uniform(size=shape), 1.5)


def test_an_affine_map_equals_scipys():
    image = smooth((12, 10)).astype("float32")
    a, b, c, d, x0, y0 = 0.9, -0.3, 0.2, 1.1, 0.7, -1.3
    numbers = [tf.constant([value]) for value in (a, b, c, d, x0, y0)]
    found = affine(image[None, :, :, None], *numbers)[0, :, :, 0]
    centre = np.array([5.5, 4.5])
    matrix = np.array([[d, c], [b, a]])
    offset = centre + np.array([y0, x0]) - matrix @ centre
    expected = scipy.ndimage.affine_transform(
        image, matrix, offset, order=1, mode="grid-constant", cval=0.0
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rotation_stays_within_its_limit():
    """Each result equals the rotation by some angle in the limits, found by search."""
    image = smooth((15, 15)).astype("float32")
    images = np.repeat(image[None, :, :, None], 8, axis=0)
    found = layers.RandomRotation(20.0)(images, noise=Noise(0, 0)).numpy()[..., 0]
    angles = np.linspace(-30, 30, 241)
    table = np.stack(
        [
            scipy.ndimage.rotate(image, angle, reshape=False, order=1, mode="grid-constant")
            for angle in angles
        ]
    )
    best = [angles[np.abs(table - one).mean((1, 2)).argmin()] for one in found]
    assert np.abs(best).max() <= 20.5
    assert np.ptp(best) > 10


def test_cutout_blanks_a_square():
    augment = layers.RandAugment(operations=0, cutout=0.4)
    found = augment(np.zeros((50, 10, 10, 1), "float32"), noise=Noise(0, 0)).numpy()[..., 0]
    counts = (found == 0.5).sum((1, 2))
    assert counts.max() == 16
    assert counts.min() >= 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomCrop(0), "at least 1"),
        (lambda: layers.RandAugment(magnitude=0.0), "magnitude"),
        (lambda: layers.RandAugment(cutout=1.0), "cutout"),
        (lambda: layers.RandomCrop(9)(IMAGES, noise=Noise(0, 0)), "too much for images"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(tfssvae.InputError, match=message):
        make()


def test_moves_of_a_chain_in_one_pass_are_those_one_after_the_other():
    images = tf.constant(np.random.default_rng(0).random((9, 6, 5, 3)), tf.float32)
    steps = [
        layers.RandomCrop(2),
        layers.RandomFlip(),
        layers.RandomCrop(1),
        layers.RandomRotation(),
        layers.RandomFlip(),
    ]
    noise, expected = Noise(3, 4), images
    for step in steps:
        expected = step(expected, noise=noise)
    found = layers.Chain(steps)(images, noise=Noise(3, 4))
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - images).max() > 0.5
