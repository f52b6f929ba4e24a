"""Transforms of whole arrays of images, in blocks of rows so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae.checks import InputError, row_blocks
from tfssvae.data.arrays import Allocate
from tfssvae.limits import in_memory

_LUMA = (299, 587, 114)  # ITU-R BT.601, in thousandths


def to_grey(x: NDArray[Any], allocate: Allocate = in_memory) -> NDArray[Any]:
    """Grey images by ITU-R BT.601 luma, 0.299 R + 0.587 G + 0.114 B.

    Args:
        x: (n, h, w, 3) uint8 or float32; (n, h, w, 1) is returned as it is.
        allocate: makes the array of the result.

    Returns:
        (n, h, w, 1) of the same dtype; uint8 values are rounded to the nearest, halves up.

    Raises:
        InputError: for another rank or number of channels.
    """
    _check_rank(x, "grey")
    if x.shape[-1] == 1:
        return x
    if x.shape[-1] != 3:
        raise InputError(f"grey=True needs images with 1 or 3 channels, these have {x.shape[-1]}.")
    grey = allocate((*x.shape[:-1], 1), x.dtype)
    for rows in row_blocks(x, itemsize=8):
        if x.dtype == np.uint8:
            grey[rows, ..., 0] = (x[rows] @ np.array(_LUMA, np.uint32) + 500) // 1000
        else:
            # The weights' sum is not exactly 1 in float32: white must stay within 0..1.
            luma = x[rows] @ (np.array(_LUMA, np.float32) / 1000)
            grey[rows, ..., 0] = np.minimum(luma, 1)
    return grey


def resize(x: NDArray[Any], size: Sequence[int], allocate: Allocate = in_memory) -> NDArray[Any]:
    """Images of another size, by Pillow.

    Shrinking averages areas (`BOX`); if any side grows, interpolation is bilinear, which Pillow
    widens (antialiases) along a side that shrinks. uint8 stays uint8 (rounded, halves up), and so
    does uint16; float32 stays float32.

    Args:
        x: (n, h, w, c) uint8, uint16 or float32.
        size: (height, width) of the result in pixels.
        allocate: makes the array of the result.

    Returns:
        (n, height, width, c) of the same dtype; `x` itself if it has that size already.

    Raises:
        InputError: for another rank or a size that is not two positive integers.
    """
    _check_rank(x, "image_size")
    height, width = check_size(size)
    if x.shape[1:3] == (height, width):
        return x
    from PIL import Image

    shrinks = height <= x.shape[1] and width <= x.shape[2]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    resized = allocate((len(x), height, width, x.shape[3]), x.dtype)
    whole = x.dtype.kind == "u"
    # In float32, for in 8 bits Pillow rounds after each axis; and channel by channel, for it has no
    # float colour images.
    for row in range(len(x)):
        for channel in range(x.shape[3]):
            plane = Image.fromarray(x[row, :, :, channel].astype(np.float32))
            pixels = np.asarray(plane.resize((width, height), method))
            resized[row, :, :, channel] = pixels + 0.5 if whole else pixels
    return resized if whole else np.clip(resized, 0, 1, out=resized)


def check_size(size: Sequence[int]) -> tuple[int, int]:
    """Returns (height, width) as integers.

    Raises:
        InputError: for anything but two positive integers.
    """
    try:
        height, width = (int(side) for side in size)
        if height != size[0] or width != size[1] or min(height, width) < 1:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InputError(
            f"image_size must be two positive integers, (height, width), got {size!r}."
        ) from error
    return height, width


def binarize_fixed(x: NDArray[Any], seed: int | Sequence[int]) -> NDArray[np.uint8]:
    """One Bernoulli draw per pixel, with the pixel's intensity as probability.

    Args:
        x: (n, ...) uint8 (255 is probability 1) or float32 in 0..1.
        seed: the same seed and array give the same draws, on every platform.

    Returns:
        (n, ...) uint8, 0 or 255.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    binary = np.empty(x.shape, np.uint8)
    for rows in row_blocks(x, itemsize=8):
        scale = 255.0 if x.dtype == np.uint8 else 1.0
        ones = generator.random(x[rows].shape) * scale < x[rows]
        np.multiply(ones, np.uint8(255), out=binary[rows])
    return binary


def binarize_rounded(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Each pixel as the nearer of 0 and 1; halves become 1.

    Args:
        x: (n, ...) uint8 (255 is 1) or float32 in 0..1.

    Returns:
        (n, ...) uint8, 0 or 255.
    """
    binary = (x >= (128 if x.dtype == np.uint8 else 0.5)).view(np.uint8)
    return np.multiply(binary, np.uint8(255), out=binary)


def _check_rank(x: NDArray[Any], option: str) -> None:
    if x.ndim != 4:
        raise InputError(
            f"{option} needs images (n, h, w) or (n, h, w, c), this data is a table {x.shape}."
        )
