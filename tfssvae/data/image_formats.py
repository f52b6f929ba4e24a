"""Which image files are read, and of those the ones that Pillow would read wrongly."""

from __future__ import annotations

import functools
import itertools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# Whatever a file is called, Pillow opens it as what its first bytes say, and it knows formats that
# start other programs (PostScript) or that have been attacked more often. These it decodes itself.
_EXTENSIONS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
}
# Of TIFF, what has few lines of code behind it: not fax, JPEG inside of TIFF, and rarer ones.
_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
_LARGEST_TILE = 2**24  # pixels; libtiff takes memory for a whole tile, however small the image is
_GREYS_OF_PNG = {"L;2": 3, "L;4": 15}  # raw mode: its largest value

# Tags of TIFF, by their numbers in the standard.
_PARTS = (273, 279), (324, 325)  # where strips begin and how long they are, and tiles
_BITS, _SAMPLE_FORMAT, _PHOTOMETRIC, _TILE_WIDTH, _TILE_LENGTH = 258, 339, 262, 322, 323
_SIGNED, _FLOAT = 2, 3
_WHITE_IS_ZERO = 0


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the formats that this Pillow decodes, by its names."""
    from PIL import features

    modules = features.get_supported_modules()
    return tuple(name for name in _EXTENSIONS if name != "AVIF" or "avif" in modules)


@functools.cache
def extensions() -> tuple[str, ...]:
    """Return the extensions, in small letters, of files that are taken for images."""
    return tuple(extension for name in formats() for extension in _EXTENSIONS[name])


def check_meaning(image: Image) -> None:
    """Refuse an opened image whose values, or transparency, Pillow would get wrong.

    What a PNG says of a transparent grey is put right: in 2 and 4 bits Pillow scales pixels to
    0..255 and leaves it as it was.

    Raises:
        ValueError: saying why, without the file's name.
    """
    if image.format == "TIFF":
        _check_tiff(image)
    transparent = image.info.get("transparency")
    if image.format != "PNG" or isinstance(transparent, bytes | None):
        return
    if _bits_of_png(image) == 16:
        raise ValueError("it names a transparent value in 16 bits: save it with an alpha channel")
    if image.mode == "L":
        image.info["transparency"] = transparent * 255 // _GREYS_OF_PNG.get(_raw_mode(image), 255)


def several(image: Image) -> bool:
    """Whether an opened file holds more pictures than the first, which is read.

    The further ones of a camera's JPEG are previews and depths of the first.
    """
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _raw_mode(image: Image) -> str:
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def _bits_of_png(image: Image) -> int:
    return 16 if "16" in image.mode or "16" in _raw_mode(image) else 8


def _check_tiff(image: Image) -> None:
    from PIL import TiffImagePlugin

    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    tags = image.tag_v2
    compression = image.info.get("compression")
    if compression not in _COMPRESSIONS:
        raise ValueError(
            f"its compression is {compression}, and of TIFF only {', '.join(_COMPRESSIONS)} are"
            " read: save it with one of these, or as PNG"
        )
    if tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0) > _LARGEST_TILE:
        raise ValueError(
            f"its tiles have {tags[_TILE_WIDTH]} x {tags[_TILE_LENGTH]} pixels, too many to be"
            " decoded safely: save it without tiles"
        )
    # libtiff would say so on stderr.
    parts = [zip(tags.get(at, ()), tags.get(size, ()), strict=False) for at, size in _PARTS]
    end = max((at + size for at, size in itertools.chain(*parts)), default=0)
    if compression != "raw" and image.fp and end > os.fstat(image.fp.fileno()).st_size:
        raise ValueError("it is cut off")
    kinds = tags.get(_SAMPLE_FORMAT, (1,))
    if _FLOAT in kinds or _SIGNED in kinds or max(tags.get(_BITS, (1,))) > 16:
        raise ValueError(
            "it holds floats, signed numbers or more than 16 bits, which do not say what black and"
            " white are: save it in 8 or 16 bits, or pass its values as an array to from_arrays"
        )
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and image.mode.startswith("I"):
        raise ValueError("white is 0 in its 16 bits, which is not read: save it with black as 0")
