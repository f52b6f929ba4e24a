"""The orientation that cameras write beside the pixels (EXIF), for images as people see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_TAG = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)


def upright_size(image: Image) -> tuple[int, int]:
    """Return the (height, width) that an opened image has when it is upright."""
    # Pillow has turned those of TIFF itself.
    if image.format != "TIFF" and _orientation(image) in _ON_ITS_SIDE:
        return image.width, image.height
    return image.height, image.width


def upright(image: Image) -> Image:
    """Return an image as it is to be seen.

    Pillow turns those of TIFF while it decodes them. An orientation that cannot be read is none, as
    it is to viewers.
    """
    from PIL import ImageOps

    image.load()
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _orientation(image: Image) -> int:
    try:
        found = image.getexif().get(_TAG, 1)
    except Exception:  # Pillow raises nearly anything on damaged EXIF, SyntaxError included
        return 1
    return found if found in range(1, 9) else 1
