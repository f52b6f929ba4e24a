"""Data from image files: train/<class>/*, train/unlabelled/*, test/<class>/*."""

from __future__ import annotations

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError, printable
from tfssvae.data import images
from tfssvae.data.arrays import Allocate, Source, make_source
from tfssvae.data.background import (
    WHITE,
    Background,
    check_background,
    is_grey_over,
    over_background,
)
from tfssvae.data.folder_layout import find_layout
from tfssvae.data.image_formats import check_meaning, formats, several
from tfssvae.data.orientation import upright, upright_size
from tfssvae.data.pixel_range import (
    as_eight_bits,
    check_files_not_dark,
    check_one_depth,
    sixteen_bit_greys,
)
from tfssvae.limits import in_memory

if TYPE_CHECKING:
    from PIL.Image import Image

_LOG = logging.getLogger("tfssvae")
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_CHUNK = 2048
_PIXELS_AT_ONCE = 2**27  # in all threads; a pixel that is resized takes up to 12 bytes

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _Header(NamedTuple):
    size: tuple[int, int]  # (height, width)
    grey: bool
    several: bool
    bits: int


def read_folder(
    path: str | os.PathLike[str],
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    num_classes: int | None = None,
    allocate: Allocate = in_memory,
    background: Background = WHITE,
    pixel_range: Sequence[float] | None = None,
) -> Source:
    """Reads a folder of images.

    The class names are the sorted names of the folders in train/ (see `find_layout`). Which files
    are images, their extensions say; in which format, their first bytes. Images are turned upright
    by their EXIF orientation, and laid over the background where they are transparent. Colour
    images stay in colour unless `grey`; grey ones become colour if any other is. Of several
    pictures in a file (animations, pages) the first is taken. What is passed over is counted in a
    warning of the logger "tfssvae". Images beyond `PIL.Image.MAX_IMAGE_PIXELS`, and more of them
    than the memory that is free can hold, are refused.

    Args:
        path: folder with train/ and perhaps test/; images are png, jpg, bmp, gif, webp, tif, ppm,
            or avif where Pillow has it.
        grey: converts everything to one channel.
        image_size: (height, width) that every image is resized to.
        num_classes: K, for folders that have unlabelled images only.
        allocate: makes the array of all images.
        background: see `check_background`.
        pixel_range: (low, high), the values of black and of white as they stand in the files, which
            then all have 8 or all have 16 bits. None: those of the files' bits, which is refused
            where no training image of so many bits reaches a quarter of them.

    Returns:
        images (n, h, w, 1 or 3) uint8 in the order of the class and file names, rounded from 16
        bits (of colour Pillow reads the higher 8); with `pixel_range` see `from_pixel_range`.

    Raises:
        InputError: for another layout, no images, a class without any, a file that cannot be read
            (named), images of different sizes without `image_size`, test classes that are not in
            train/, an image that shows nothing over the background, or values that are out of
            range or in doubt.
    """
    folder = Path(path)
    colour = check_background(background)
    try:
        class_names, train, test, notes = find_layout(folder)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}.") from error
    for note in notes:
        _LOG.warning(printable(note))
    files = [file for file, _ in (*train, *test)]
    with warnings.catch_warnings():
        # Pillow only warns of images that are suspiciously, though not yet absurdly, large.
        warnings.simplefilter("error", _bomb_warning())
        # And of notes beside the pixels that are damaged, or unusual.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        headers = list(_in_threads(lambda file: _read_header(file, colour), files))
        _say_several(files, headers, folder)
        size = _common_size(files, headers) if image_size is None else images.check_size(image_size)
        channels = 1 if grey or all(header.grey for header in headers) else 3
        bits = [header.bits for header in headers]
        if pixel_range is not None:
            check_one_depth(bits, files)
        as_stored = pixel_range is not None and bits[0] == 16
        pixels = allocate((len(files), *size, channels), np.uint16 if as_stored else np.uint8)
        stored_most = np.zeros(len(files), np.int64)

        def decode(row: int) -> None:
            stored = _opened(files[row], lambda image: _to_array(image, colour))
            stored_most[row] = stored.max()
            one = stored if as_stored else as_eight_bits(stored)
            pixels[row] = _fitted(one, channels, size)

        largest = max(math.prod(header.size) for header in headers)
        for done, _ in enumerate(_in_threads(decode, range(len(files)), _threads(largest))):
            _show_progress(done + 1, len(files))
    labels = np.array([label for _, label in (*train, *test)], np.int32)
    n = len(train)
    if pixel_range is None:
        check_files_not_dark(stored_most[:n], bits[:n], f"{folder / 'train'}")
        check_files_not_dark(stored_most[n:], bits[n:], f"{folder / 'test'}")
    return make_source(
        pixels[:n],
        labels[:n],
        pixels[n:] if test else None,
        labels[n:] if test else None,
        name=folder.resolve().name,
        class_names=class_names or None,
        num_classes=num_classes,
        origin=str(folder),
        pixel_range=pixel_range,
        allocate=allocate,
    )


def _say_several(files: Sequence[Path], headers: Sequence[_Header], folder: Path) -> None:
    found = [file for file, header in zip(files, headers, strict=True) if header.several]
    if found:
        example = os.path.relpath(found[0], folder)
        _LOG.warning(
            printable(
                f"{folder}: of files with several pictures or pages the first is read, in"
                f" {len(found):,} of {len(files):,} files, e.g. {example}"
            )
        )


def _bomb_warning() -> type[Warning]:
    from PIL import Image

    return Image.DecompressionBombWarning


def _threads(pixels: int = 1) -> int:
    """Return how many images of so many pixels are worked on at once."""
    return max(1, min(16, os.cpu_count() or 1, _PIXELS_AT_ONCE // max(1, pixels)))


def _in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], threads: int | None = None
) -> Iterator[_Result]:
    with ThreadPoolExecutor(threads or _threads()) as pool:
        for start in range(0, len(items), _CHUNK):
            yield from pool.map(function, items[start : start + _CHUNK])


def _show_progress(done: int, total: int) -> None:
    if total > _CHUNK and sys.stderr.isatty() and (done % 500 == 0 or done == total):
        end = "\n" if done == total else ""
        print(f"\rreading images {done}/{total}", end=end, file=sys.stderr, flush=True)


def _read_header(file: Path, background: tuple[int, int, int]) -> _Header:
    return _opened(
        file,
        lambda image: _Header(
            upright_size(image), _is_grey(image, background), several(image), _bits(image)
        ),
    )


def _fitted(pixels: NDArray[Any], channels: int, size: tuple[int, int]) -> NDArray[Any]:
    pixels = pixels[np.newaxis]
    if channels == 1:
        pixels = images.to_grey(pixels)
    pixels = images.resize(pixels, size)[0]
    return np.broadcast_to(pixels, (*size, channels))


def _opened(file: Path, read: Callable[[Image], _Result]) -> _Result:
    from PIL import Image

    try:
        with limits.open_file(file) as stream, Image.open(stream, formats=formats()) as image:
            check_meaning(image)
            return read(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"{file} is too large to be opened safely ({error}): make it smaller first."
        ) from error
    # Pillow's decoders raise nearly anything on damaged files, SyntaxError included.
    except Image.UnidentifiedImageError as error:
        raise InputError(
            f"{file} cannot be read as an image: its content is not {', '.join(formats()[:-1])} or"
            f" {formats()[-1]}."
        ) from error
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{file} cannot be read as an image: {error}") from error


def _is_grey(image: Image, background: tuple[int, int, int]) -> bool:
    if image.mode.startswith("I"):
        return True
    return image.mode in _GREY_MODES and is_grey_over(image, background)


def _bits(image: Image) -> int:
    return 16 if image.mode.startswith("I") else 8


def _to_array(image: Image, background: tuple[int, int, int]) -> NDArray[Any]:
    grey = _is_grey(image, background)
    image = upright(image)
    return (
        sixteen_bit_greys(image) if _bits(image) == 16 else over_background(image, background, grey)
    )


def _common_size(files: Sequence[Path], headers: Sequence[_Header]) -> tuple[int, int]:
    first = headers[0].size
    for file, header in zip(files, headers, strict=True):
        if header.size != first:
            raise InputError(
                f"Images differ in size: {files[0]} has {first[0]}x{first[1]} pixels, {file} has"
                f" {header.size[0]}x{header.size[1]} (height x width). Pass image_size."
            )
    return first
