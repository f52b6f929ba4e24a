"""Grids of examples, pixel by pixel."""

import numpy as np
import pytest

from tfssvae import evaluation
from tfssvae.checks import InputError

LINE = np.float32(0.8)


def test_images_go_row_by_row_between_lines():
    images = np.arange(3 * 2 * 3).reshape(3, 2, 3).astype("float32") / 17
    grid = evaluation.image_grid(images, columns=2)
    assert grid.shape == (2 * 3 + 1, 2 * 4 + 1, 1)
    np.testing.assert_array_equal(grid[1:3, 1:4, 0], images[0])
    np.testing.assert_array_equal(grid[1:3, 5:8, 0], images[1])
    np.testing.assert_array_equal(grid[4:6, 1:4, 0], images[2])
    assert (grid[4:6, 5:8] == LINE).all()  # the place left over
    assert (grid[::3] == LINE).all()
    assert (grid[:, ::4] == LINE).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_and_floats_draw_alike_in_every_channel(channels):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, channels)).astype("uint8")
    grid = evaluation.image_grid(images, columns=1)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid[1:5, 1:5], images[0] / 255, atol=1e-7)
    floats = evaluation.image_grid((images / 255).astype("float32"), columns=1)
    np.testing.assert_allclose(grid, floats, atol=1e-7)


def test_rows_of_a_table_become_strips():
    table = np.linspace(0, 1, 32, dtype="float32").reshape(2, 16)
    grid = evaluation.image_grid(table, columns=1)
    assert grid.shape == (2 * 3 + 1, 17 + 1, 1)  # 16 cells, two pixels high
    for row, first in enumerate((1, 4)):
        np.testing.assert_array_equal(grid[first, 1:17, 0], table[row])
        np.testing.assert_array_equal(grid[first + 1, 1:17, 0], table[row])


@pytest.mark.parametrize(("channels", "shown"), [(2, 1), (4, 3), (7, 3)])
def test_of_other_numbers_of_channels_the_first_are_shown(channels, shown):
    images = np.random.default_rng(0).uniform(size=(2, 4, 4, channels))
    expected = evaluation.image_grid(images[..., :shown], columns=1)
    np.testing.assert_array_equal(evaluation.image_grid(images, columns=1), expected)


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(InputError, match="columns must be at least 1, got 0"):
        evaluation.image_grid(np.zeros((1, 2, 2)), columns=0)
    with pytest.raises(InputError, match="NaN"):
        evaluation.image_grid(np.full((1, 2, 2), np.nan), columns=1)
