"""From any source of data to shards: what `tfssvae convert` does."""

from __future__ import annotations

import itertools
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError
from tfssvae.data import images
from tfssvae.data.arrays import Allocate
from tfssvae.data.background import WHITE, Background
from tfssvae.data.shards import is_shards, write_shards
from tfssvae.data.sources import load_source


def convert(
    name: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    shard_bytes: int = 128 * 2**20,
    data_dir: str | os.PathLike[str] | None = None,
    grey: bool = False,
    image_size: Sequence[int] | None = None,
    label_key: str | None = None,
    num_classes: int | None = None,
    background: Background = WHITE,
    pixel_range: Sequence[float] | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Write a data set as TFRecord shards that `data.load(folder)` reads.

    Images that are read one by one or in batches, of a folder or of tfds, are laid down in a
    temporary file beside the shards: memory does not limit them. npz files are read whole.

    Args:
        name: as in `data.load`, and so are `data_dir`, `label_key` and `num_classes`.
        folder: the new folder.
        shard_bytes: images in one file, in bytes.
        data_dir: see `data.load`.
        grey: converts colour images to one channel.
        image_size: (height, width) in pixels to resize to.
        label_key: see `data.load`.
        num_classes: see `data.load`.
        background: see `data.load`.
        pixel_range: see `data.load`; the shards hold what it makes, and know it.
        say: receives a line at the end.

    Returns:
        The folder.

    Raises:
        InputError: whatever the source refuses, or the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder, or delete it")
    if is_shards(name):
        raise InputError(f"{os.fspath(name)} is in shards already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=folder.parent) as scratch:
        allocate = _in_files(Path(scratch))
        source = load_source(
            name,
            data_dir,
            label_key,
            grey,
            image_size,
            num_classes,
            allocate,
            stream=False,
            background=background,
            pixel_range=pixel_range,
        )
        changed = {
            part: None if x is None else _changed(x, grey, image_size, allocate)
            for part, x in (("x_train", source.x_train), ("x_test", source.x_test))
        }
        write_shards(folder, source._replace(**changed), shard_bytes, _show)  # type: ignore[arg-type]
    rows = len(source.y_train) + (0 if source.y_test is None else len(source.y_test))
    size = sum(file.stat().st_size for file in folder.iterdir())
    path = shlex.quote(str(folder))
    say(f"{rows:,} rows, {size / 2**20:,.1f} MiB: tfssvae train METHOD --data {path}")
    return folder


def _in_files(folder: Path):
    """Return an `Allocate` whose arrays are in files of the folder."""
    numbers = itertools.count()

    def allocate(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        limits.check_disk(shape, dtype, folder)
        file = folder / f"{next(numbers)}.npy"
        return np.lib.format.open_memmap(file, "w+", np.dtype(dtype), shape)

    return allocate


def _changed(
    x: NDArray[Any], grey: bool, image_size: Sequence[int] | None, allocate: Allocate
) -> NDArray[Any]:
    x = images.to_grey(x, allocate) if grey else x
    return x if image_size is None else images.resize(x, image_size, allocate)


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rwriting rows {done:,}/{total:,}", end=end, file=sys.stderr, flush=True)
