"""What is seen through transparent pixels: images are laid over a background."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tfssvae.checks import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

Background = str | int | Sequence[int]
WHITE = (255, 255, 255)


def check_background(background: Any) -> tuple[int, int, int]:
    """Return a background as red, green and blue in 0..255.

    Args:
        background: a name of CSS ("white"), "#rrggbb", a grey in 0..255, or (red, green, blue).

    Raises:
        InputError: for anything else.

    >>> check_background("white"), check_background(128), check_background([0, 0, 255])
    ((255, 255, 255), (128, 128, 128), (0, 0, 255))
    """
    try:
        if isinstance(background, str):
            from PIL import ImageColor

            values = list(ImageColor.getrgb(background))
        elif isinstance(background, Sequence):
            values = [operator.index(value) for value in background]
        else:
            values = [operator.index(background)] * 3
        red, green, blue = values
        if isinstance(background, bool) or min(values) < 0 or max(values) > 255:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InputError(
            'background must be the name of a colour such as "white", "#rrggbb", a grey in 0..255'
            f" or (red, green, blue), got {background!r:.80}."
        ) from error
    return red, green, blue


def is_grey_over(image: Image, background: tuple[int, int, int]) -> bool:
    """Whether grey pixels stay grey: the background is grey, or nowhere seen."""
    return len(set(background)) == 1 or not image.has_transparency_data


def over_background(
    image: Image, background: tuple[int, int, int], grey: bool
) -> NDArray[np.uint8]:
    """Return the pixels of an image over a background.

    Args:
        image: of 8 bits, of any mode that Pillow converts to RGB.
        background: red, green and blue in 0..255.
        grey: whether image and background are grey.

    Returns:
        (h, w, 1) if grey, else (h, w, 3); rounded to the nearest.

    Raises:
        ValueError: what the image shows is not seen over this background, which leaves one colour.
    """
    if not image.has_transparency_data:
        pixels = np.array(image.convert("L" if grey else "RGB"))
        return pixels[..., np.newaxis] if grey else pixels
    # Those whose colours are multiplied by alpha have no way of their own to RGBA.
    straight = image.convert("LA") if image.mode == "La" else image
    layers = np.asarray(straight.convert("RGBA"))
    colours, alpha = layers[..., : 1 if grey else 3], layers[..., 3:]
    if alpha.min() == 255:
        return colours.copy()
    seen = colours * alpha.astype(np.uint16)
    seen += (255 - alpha) * np.array(background[: colours.shape[2]], np.uint16) + np.uint16(127)
    pixels = (seen // 255).astype(np.uint8)
    if _is_constant(pixels) and not _is_constant(layers):
        raise ValueError(
            f"it shows nothing over the background {background}: pass another one, such as"
            ' background="black" (--background black), or save it without transparency'
        )
    return pixels


def _is_constant(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == pixels[0, 0]).all())
