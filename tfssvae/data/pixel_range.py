"""Data whose black and white are not those of their dtype: `pixel_range=(low, high)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfssvae import value_range
from tfssvae.checks import ROUNDING, InputError, as_numbers, finite_limits, row_blocks
from tfssvae.limits import in_memory

if TYPE_CHECKING:
    from PIL.Image import Image

    from tfssvae.data.arrays import Allocate

_OWN = {"uint8": (0, 255), "float32": (0, 1)}  # what images of these dtypes are read as


def check_pixel_range(pixel_range: Any) -> tuple[float, float]:
    """Return (low, high), whole numbers as int.

    Raises:
        InputError: for anything but two finite numbers of which the first is below the second.
    """
    limits = tuple(pixel_range) if isinstance(pixel_range, Sequence | np.ndarray) else ()
    numbers = [
        float(v)
        for v in limits
        if isinstance(v, Real | np.number) and not isinstance(v, bool) and math.isfinite(v)
    ]
    if len(limits) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise InputError(
            "pixel_range must be two numbers, (low, high), the values of black and of white, such"
            f" as (0, 16); got {pixel_range!r:.80}."
        )
    low, high = (int(value) if value.is_integer() else value for value in numbers)
    return low, high


def is_own_range(pixel_range: tuple[float, float] | None, dtype: Any) -> bool:
    """Whether a range leaves images of a dtype as they are; None does."""
    return pixel_range is None or pixel_range == _OWN.get(np.dtype(dtype).name)


def from_pixel_range(
    x: ArrayLike,
    pixel_range: tuple[float, float],
    name: str = "x",
    allocate: Allocate = in_memory,
    training: bool = True,
) -> NDArray[Any]:
    """Return values mapped to (x - low) / (high - low).

    Args:
        x: (n, ...) numbers.
        pixel_range: of `check_pixel_range`.
        name: see `check_images`.
        allocate: makes the array of the result.
        training: whether these are all training images, which a right range does not leave black.

    Returns:
        (n, ...): uint8 in 0..255 where that loses nothing, which is so of whole numbers whose span
        divides 255: (0, 255) stay as they are, of (0, 1) come 0 and 255. Else float32 in 0..1.

    Raises:
        InputError: for values outside of the range, NaN, another kind of values, and for floats
            or bool that the range would make nearly black.
    """
    array = as_numbers(x, name, "images are arrays of numbers")
    low, high = pixel_range
    kind = array.dtype.kind
    if kind == "b" and pixel_range != (0, 1):
        raise InputError(f"{name} is bool, whose range is (0, 1): leave pixel_range out.")
    if array.size == 0 or pixel_range == _OWN.get(array.dtype.name):
        return array  # `check_images` looks at the values
    slack = ROUNDING * (high - low) if kind == "f" else 0
    least, most = finite_limits(array, name)
    if least < low - slack or most > high + slack:
        raise InputError(
            f"{name} has values from {least:.7g} to {most:.7g}, which are not all in"
            f" pixel_range={pixel_range}: give the smallest and the largest possible value."
        )
    span = high - low
    # What is stated of whole numbers stands; floats in 0..1 are taken for others by mistake.
    if training and kind == "f" and span > 1 and 0 < (most - low) / span <= value_range.DARK_FLOAT:
        raise InputError(
            f"{name} has floats of at most {most:.7g}, which are nearly black in"
            f" pixel_range={pixel_range}: leave it out if they are in 0..1, else give their range."
        )
    whole = kind != "f" and isinstance(low, int) and isinstance(span, int) and 255 % span == 0
    mapped = allocate(array.shape, np.uint8 if whole else np.float32)
    for rows in row_blocks(array, itemsize=8):
        if whole:
            mapped[rows] = (array[rows].astype(np.int64) - low) * (255 // span)
        else:
            mapped[rows] = np.clip((array[rows].astype(np.float64) - low) / span, 0, 1)
    return mapped


# Files of 8 and of 16 bits --------------------------------------------------------------------


def sixteen_bit_greys(image: Image) -> NDArray[np.uint16]:
    """Return the pixels of a grey image of more than 8 bits as they are, (h, w, 1).

    Pillow's own conversion cuts them off at 255.

    Args:
        image: of a mode that begins with "I".

    Raises:
        InputError: they do not fit into 16 bits.
    """
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise InputError(
            f"its values are {pixels.min()} to {pixels.max()}, and at most 16 bits are read: save"
            " it in 8 or 16 bits"
        )
    return pixels.astype(np.uint16)[..., np.newaxis]


def as_eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 16 bits rounded to 8; 8 bits are returned as they are."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def check_files_not_dark(largest: ArrayLike, bits: ArrayLike, folder: str) -> None:
    """Refuse image files whose largest value says that they hold fewer bits than they could.

    Args:
        largest: (n,) of each file, as it stands in it.
        bits: (n,) of each file, 8 or 16.
        folder: where they are, for messages.

    Raises:
        InputError: those of 8 or those of 16 bits reach no further than a quarter of their range.
    """
    values, depths = np.asarray(largest), np.asarray(bits)
    for depth, limit in ((8, value_range.DARK_WHOLE), (16, value_range.DARK_SIXTEEN_BITS)):
        most = int(values[depths == depth].max(initial=0))
        if 0 < most <= limit:
            white, full = value_range.likeliest_white(most), 2**depth - 1
            raise InputError(
                f"The {depth}-bit images in {folder} have values of at most {most}, which are"
                f" nearly black in 0..{full}: pass pixel_range=(0, {white}) (--pixel-range 0"
                f" {white}) if {white} is white, or pixel_range=(0, {full}) if they are this dark."
            )


def check_one_depth(bits: Sequence[int], files: Sequence[Any]) -> None:
    """Refuse a range for files of 8 and 16 bits at once, which cannot be that of both.

    Raises:
        InputError: naming one file of each.
    """
    if len(set(bits)) > 1:
        eight, sixteen = (files[list(bits).index(depth)] for depth in (8, 16))
        raise InputError(
            f"pixel_range cannot be that of 8 and of 16 bits: {eight} has 8 bits, {sixteen} has 16;"
            " save them alike."
        )
