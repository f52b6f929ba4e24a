"""Data beyond memory: TFRecord shards that are read row by row, in any order.

A folder of `write_shards` holds

    tfssvae-shards.json              shape, type, class names, rows and files of each part,
                                     and the range of pixels that was given
    train-00000-of-00003.tfrecord    tf.train.Example: "image" (raw bytes), "label" (int64)
    train-labels.npy                 (n,) int32, -1 where there is none
    train-offsets.npy                (n,) int64, where in its file the image of a row begins
    test-...                         the same of the test data, where there are any

Any reader of TFRecord can use the files. Here rows are read from where they lie, so that a training
run sees them in the order that it would have seen with all images in memory. What is read is not
verified by the checksums of TFRecord, which are those of its own readers; floats are checked to be
pixels.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError, check_positive, row_blocks
from tfssvae.data.arrays import Source, checked_names
from tfssvae.data.images_in_files import ImagesInFiles
from tfssvae.data.numpy_files import DAMAGE, without_warnings
from tfssvae.data.pixel_range import check_pixel_range
from tfssvae.data.splits import fingerprint

MANIFEST = "tfssvae-shards.json"
_FORMAT = 1
_PARTS = ("train", "test")
RECORD_HEAD = 12  # bytes of a TFRecord before its data: the length and its checksum
RECORD_TAIL = 4


class ShardedImages(ImagesInFiles):
    """Images in the shards of a folder: raw bytes, read as they lie."""

    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        found = np.empty((len(rows), self._row_bytes), np.uint8)

        def read(handle: int, number: int, offset: int) -> bool:
            return os.preadv(handle, [found[number]], offset) == self._row_bytes

        self._in_place(rows, read)
        return found.view(self.dtype).reshape(len(rows), *self.shape[1:])


def write_shards(
    folder: str | os.PathLike[str],
    source: Source,
    shard_bytes: int = 128 * 2**20,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write a data set as TFRecord shards; a folder that exists is left alone.

    Args:
        folder: the new folder.
        source: the data, possibly mapped from a file.
        shard_bytes: images in one file, in bytes; at least one image.
        show: is told the rows written so far, and all.

    Returns:
        The folder.

    Raises:
        InputError: the folder exists.
    """
    folder = Path(folder)
    check_positive(shard_bytes, "shard_bytes")
    if folder.exists():
        raise InputError(f"{folder} exists already: choose another folder, or delete it")
    parts = {"train": (source.x_train, source.y_train)}
    if source.x_test is not None and source.y_test is not None:
        parts["test"] = (source.x_test, source.y_test)
    total = sum(len(y) for _, y in parts.values())
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    unfinished.chmod(0o755)
    try:
        manifest: dict[str, Any] = {
            "format": _FORMAT,
            "name": source.name,
            "shape": list(source.x_train.shape[1:]),
            "dtype": str(source.x_train.dtype),
            "class_names": list(source.class_names),
            "fingerprint": fingerprint(source.x_train, source.y_train),
        }
        if source.pixel_range is not None:
            manifest["pixel_range"] = list(source.pixel_range)
        written = 0
        for part, (x, y) in parts.items():
            rows, offsets = [], []
            per_file = max(1, shard_bytes // max(1, x[:1].nbytes))
            count = -(-len(y) // per_file)
            for number in range(count):
                chosen = slice(number * per_file, (number + 1) * per_file)
                file = unfinished / _file(part, number, count)
                offsets += _write_file(file, x[chosen], y[chosen])
                rows.append(len(y[chosen]))
                written += rows[-1]
                show(written, total)
            np.save(unfinished / f"{part}-labels.npy", np.asarray(y, np.int32))
            np.save(unfinished / f"{part}-offsets.npy", np.array(offsets, np.int64))
            manifest[part] = rows
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2))
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _file(part: str, number: int, count: int) -> str:
    return f"{part}-{number:05d}-of-{count:05d}.tfrecord"


def _write_file(file: Path, x: NDArray[Any], y: NDArray[np.int32]) -> list[int]:
    """Write one shard; return where each image begins."""
    import tensorflow as tf

    places: dict[int, int] = {}  # length of a record's data -> where the image begins in it
    offsets, end = [], 0
    with tf.io.TFRecordWriter(str(file)) as writer:
        for block in row_blocks(x):
            for image, label in zip(x[block], y[block], strict=True):
                pixels = np.ascontiguousarray(image).tobytes()
                data = _example(pixels, int(label))
                if len(data) not in places:
                    places[len(data)] = _first_difference(
                        data, _example(bytes(255 - value for value in pixels), int(label))
                    )
                writer.write(data)
                offsets.append(end + RECORD_HEAD + places[len(data)])
                end += RECORD_HEAD + len(data) + RECORD_TAIL
    return offsets


def _first_difference(one: bytes, other: bytes) -> int:
    return int(np.flatnonzero(np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8))[0])


def _example(pixels: bytes, label: int) -> bytes:
    import tensorflow as tf

    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def is_shards(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is one of `write_shards`."""
    return (Path(folder) / MANIFEST).is_file()


def read_shards(folder: str | os.PathLike[str]) -> Source:
    """Return the data set of a folder of `write_shards`; training images stay in their files.

    Raises:
        InputError: naming the file that is missing or damaged.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        manifest = limits.read_json(path)
        if manifest["format"] is True or manifest["format"] != _FORMAT:
            raise InputError(f"{path} has format {manifest['format']}, not {_FORMAT}")
        parts = {part: _read_part(folder, part, manifest) for part in _PARTS if manifest.get(part)}
        x_train, y_train = parts["train"]
        x_test, y_test = parts.get("test", (None, None))
        names = manifest["class_names"]
        if not isinstance(names, list) or len(names) < 2:
            raise ValueError(f"class_names must be two or more, got {names!r:.200}")
        if not all(isinstance(t, str) for t in (*names, manifest["name"], manifest["fingerprint"])):
            raise TypeError("names and fingerprint must be text")
        names = checked_names(names, suffix=f" in {path}")
        if x_test is not None:
            limits.check_memory(x_test.shape, x_test.dtype, f"The test data in {folder}")
        found = Source(
            x_train,  # type: ignore[arg-type]
            y_train,
            None if x_test is None else np.asarray(x_test),
            y_test,
            names,
            manifest["name"],
            _pixel_range(manifest),
        )
        if any(y is not None and y.max() >= len(names) for y in (y_train, y_test)):
            raise InputError(f"{folder} is damaged: labels of more than {len(names)} classes")
        return found
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is damaged: {error!r}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _pixel_range(manifest: dict[str, Any]) -> tuple[float, float] | None:
    found = manifest.get("pixel_range")
    try:
        return None if found is None else check_pixel_range(found)
    except InputError as error:
        raise ValueError(str(error)) from None


def _read_part(
    folder: Path, part: str, manifest: dict[str, Any]
) -> tuple[ShardedImages, NDArray[np.int32]]:
    rows = [check_positive(count, "rows") for count in manifest[part]]
    shape = [check_positive(size, "shape") for size in manifest["shape"]]
    if manifest["dtype"] not in ("uint8", "float32") or len(shape) not in (1, 3):
        raise ValueError(f"images of shape {shape}, {manifest['dtype']}")
    files = [folder / _file(part, number, len(rows)) for number in range(len(rows))]
    offsets = _read_array(folder / f"{part}-offsets.npy", np.int64, sum(rows))
    labels = _read_array(folder / f"{part}-labels.npy", np.int32, sum(rows))
    row_bytes = math.prod(shape) * np.dtype(manifest["dtype"]).itemsize
    starts = np.split(offsets, np.cumsum(rows)[:-1])
    for file, first in zip(files, starts, strict=True):
        size = file.stat().st_size if file.is_file() else 0
        if int(first.max()) > size - row_bytes or len(first) > size // row_bytes:
            raise InputError(f"{file} is missing or cut off: convert the data again")
    if labels.min() < -1 or offsets.min() < 0:
        raise ValueError(f"labels or offsets of {part} are not those that were written")
    known = manifest["fingerprint"] if part == "train" else None
    file_of = np.repeat(np.arange(len(files), dtype=np.int32), rows)
    return ShardedImages(files, file_of, offsets, shape, manifest["dtype"], known), labels


def _read_array(path: Path, dtype, rows: int) -> NDArray[Any]:
    try:
        with limits.open_file(path) as file, without_warnings():
            array = np.lib.format.read_array(file, allow_pickle=False)
    except DAMAGE as error:
        raise InputError(f"{path} is missing or damaged: convert the data again") from error
    if array.dtype != dtype or array.shape != (rows,):
        raise InputError(f"{path} is damaged: {array.shape} {array.dtype} for {rows} rows")
    return array
