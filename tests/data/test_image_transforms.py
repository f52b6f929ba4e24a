"""Transforms of whole arrays, against values worked out by hand."""

import numpy as np
import pytest

from tfssvae import checks
from tfssvae.checks import InputError
from tfssvae.data.images import binarize_fixed, binarize_rounded, check_size, resize, to_grey


def test_grey_is_rounded_bt601_luma():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (50, 4, 5, 3)).astype(np.uint8)
    exact = (x.astype(object) * [299, 587, 114]).sum(-1, keepdims=True)
    np.testing.assert_array_equal(to_grey(x), (exact + 500) // 1000)
    assert to_grey(x).dtype == np.uint8
    primaries = np.eye(3, dtype=np.uint8).reshape(1, 1, 3, 3) * 255
    assert to_grey(primaries).ravel().tolist() == [76, 150, 29]


def test_grey_of_floats():
    x = np.array([1, 0, 0, 0, 0.5, 1, 1, 1, 1], np.float32).reshape(1, 1, 3, 3)
    grey = to_grey(x)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey.ravel(), [0.299, 0.5 * 0.587 + 0.114, 1], atol=1e-6)
    assert grey.max() <= 1


def test_grey_of_grey_and_of_what_is_not_colour():
    grey = np.zeros((1, 2, 2, 1), np.uint8)
    assert to_grey(grey) is grey
    with pytest.raises(InputError, match="1 or 3 channels, these have 4"):
        to_grey(np.zeros((1, 2, 2, 4), np.uint8))
    with pytest.raises(InputError, match=r"this data is a table \(2, 3\)"):
        to_grey(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_shrinking_averages_areas(channels):
    rng = np.random.default_rng(1)
    x = rng.random((3, 6, 4, channels)).astype(np.float32)
    expected = x.reshape(3, 2, 3, 2, 2, channels).mean(axis=(2, 4))
    small = resize(x, (2, 2))
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, expected, atol=1e-6)
    x = rng.integers(0, 256, (3, 6, 4, channels)).astype(np.uint8)
    expected = x.reshape(3, 2, 3, 2, 2, channels).mean(axis=(2, 4))
    small = resize(x, (2, 2))
    assert small.dtype == np.uint8
    assert np.abs(small - expected).max() < 0.5 + 1e-4


def test_growing_is_bilinear_and_size_is_height_width():
    x = np.array([[0.0, 1.0]], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(resize(x, (1, 4)).ravel(), [0, 0.25, 0.75, 1], atol=1e-6)
    assert resize(x, (5, 3)).shape == (1, 5, 3, 1)
    assert resize(x, (1, 2)) is x


@pytest.mark.parametrize("size", [28, (28,), (28, 0), (2.5, 3), (1, 2, 3), "ab", (-1, 4)])
def test_bad_sizes(size):
    with pytest.raises(InputError, match="image_size must be two positive integers"):
        check_size(size)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_binarization_draws_each_pixel_with_its_intensity(dtype):
    levels = np.array([0, 51, 128, 255], np.uint8)
    x = np.tile(levels, (20_000, 1))
    if dtype == np.float32:
        x = (x / 255).astype(np.float32)
    binary = binarize_fixed(x, seed=0)
    assert binary.dtype == np.uint8
    assert set(np.unique(binary)) == {0, 255}
    # Standard errors are 0.0028 and 0.0035.
    np.testing.assert_allclose(binary.mean(0) / 255, levels / 255, atol=0.015)
    assert (binary[:, 0] == 0).all()
    assert (binary[:, 3] == 255).all()
    assert abs(np.corrcoef(binary[:, 1], binary[:, 2])[0, 1]) < 0.03


def test_binarization_depends_on_the_seed_and_not_on_the_blocks(monkeypatch):
    x = np.full((9, 5), 128, np.uint8)
    whole = binarize_fixed(x, seed=3)
    assert whole[0].tolist() == [255, 255, 0, 0, 255]
    monkeypatch.setattr(checks, "_BLOCK_BYTES", 1)
    np.testing.assert_array_equal(binarize_fixed(x, seed=3), whole)
    assert (binarize_fixed(x, seed=4) != whole).any()


def test_rounding_goes_to_the_nearer_of_black_and_white():
    for x in (
        np.array([[0, 127, 128, 255]], np.uint8),
        np.array([[0, 0.4999, 0.5, 1]], np.float32),
    ):
        rounded = binarize_rounded(x)
        assert rounded.dtype == np.uint8
        assert rounded.tolist() == [[0, 0, 255, 255]]
