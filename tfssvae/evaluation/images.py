"""Many examples as one picture."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae.checks import InputError, check_images

SEPARATOR = 0.8  # stands out from black, from white and from the 0.5 of an untrained model
_STRIP_RATIO = 8  # a row of a table is drawn this many times wider than high


def image_grid(images: ArrayLike, columns: int) -> NDArray[np.float32]:
    """Lay examples out row by row, with light grey lines of one pixel around each.

    Args:
        images: (n, h, w), (n, h, w, 1) or (n, h, w, 3) images, or an (n, d) table, of which each
            row becomes a strip of d grey cells; uint8 in 0..255 or float in 0..1.
        columns: examples per row; places left over in the last row are light grey.

    Returns:
        (rows * (h + 1) + 1, columns * (w + 1) + 1, channels) float32 in 0..1.

    Raises:
        InputError: images are not as described, or columns is below 1.

    >>> image_grid(np.ones((3, 1, 1)), columns=2)[..., 0]
    array([[0.8, 0.8, 0.8, 0.8, 0.8],
           [0.8, 1. , 0.8, 1. , 0.8],
           [0.8, 0.8, 0.8, 0.8, 0.8],
           [0.8, 1. , 0.8, 0.8, 0.8],
           [0.8, 0.8, 0.8, 0.8, 0.8]], dtype=float32)
    """
    if columns < 1:
        raise InputError(f"columns must be at least 1, got {columns}.")
    pixels = as_pictures(images)
    number, height, width, channels = pixels.shape
    rows = -(-number // columns)
    cells = np.full((rows * columns, height + 1, width + 1, channels), SEPARATOR, np.float32)
    cells[:number, 1:, 1:] = pixels
    cells = cells.reshape(rows, columns, height + 1, width + 1, channels)
    picture = cells.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), -1, channels)
    return np.pad(picture, ((0, 1), (0, 1), (0, 0)), constant_values=SEPARATOR)


def as_pictures(examples: ArrayLike) -> NDArray[np.float32]:
    """Return examples as images that can be shown: (n, h, w, 1 or 3) float32 in 0..1.

    Of four channels or more the first three are shown, of two the first.

    Args:
        examples: see `image_grid`.

    Raises:
        InputError: examples are not numbers in range.
    """
    pixels = check_images(examples, "images")
    if pixels.ndim == 2:
        height = max(1, pixels.shape[1] // _STRIP_RATIO)
        pixels = np.repeat(pixels[:, None, :, None], height, axis=1)
    channels = pixels.shape[-1]
    if channels not in (1, 3):
        pixels = pixels[..., : 3 if channels > 3 else 1]
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels
