"""Images of prepared tensorflow-datasets, decoded from where they lie when they are asked for."""

from __future__ import annotations

import functools
import os
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfssvae import limits
from tfssvae.checks import InputError
from tfssvae.data.images_in_files import ImagesInFiles
from tfssvae.data.shards import RECORD_HEAD, RECORD_TAIL

_LENGTH = 8  # bytes at the beginning of a record's head
# Images in one call of the decoder: a call costs as much as decoding five to twenty.
_FEWEST, _MOST = 32, 128


class Records(NamedTuple):
    """The records of TFRecord files.

    Attributes:
        files: in order.
        offsets: of each file, (m,) int64 where the data of its records begin.
        lengths: of each file, (m,) int64 bytes of these data.
    """

    files: list[Path]
    offsets: list[NDArray[np.int64]]
    lengths: list[NDArray[np.int64]]


class TfdsImages(ImagesInFiles):
    """Images inside the serialised examples of TFRecord files.

    Args:
        records: of the files.
        order: (n,) number of each row's record, counted through all files.
        shape: of one image, (h, w, c).
    """

    def __init__(self, records: Records, order: NDArray[np.int64], shape: Sequence[int]):
        ends = np.cumsum([len(offsets) for offsets in records.offsets])
        file_of = np.searchsorted(ends, order, side="right").astype(np.int32)
        offsets = np.concatenate(records.offsets)[order]
        super().__init__(records.files, file_of, offsets, shape, "uint8")
        self._lengths = np.concatenate(records.lengths)[order]

    def prepare(self, count: int) -> None:
        for size in {1, *map(len, _parts(count))}:  # one alone is read where one is damaged
            _decoder(size, self.shape[1:])

    def chosen(self, rows: NDArray[Any]) -> TfdsImages:
        found = super().chosen(rows)
        found._lengths = self._lengths[rows]
        return found

    def _read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        self.prepare(len(rows))
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)

        def read(numbers: NDArray[np.int64]) -> None:
            found[numbers] = self._decoded(rows[numbers])

        in_place = np.lexsort((self._offsets[rows], self._file_of[rows]))
        parts = [in_place[part] for part in _parts(len(rows))]
        try:
            # Threads of our own: TensorFlow's are those that wait for this very batch.
            done = _threads().map(read, parts)
        except RuntimeError:  # there are none when Python ends
            done = map(read, parts)
        for _ in done:
            pass
        return found

    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        import tensorflow as tf

        examples = np.empty(len(rows), object)
        lengths = self._lengths[rows]

        def read(handle: int, number: int, offset: int) -> bool:
            examples[number] = os.pread(handle, int(lengths[number]), offset)
            return len(examples[number]) == lengths[number]

        self._in_place(rows, read)
        try:
            return _decoder(len(rows), self.shape[1:])(examples)
        # A message with bytes of the file in it is no text.
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            if len(rows) > 1:
                for row in rows:  # one of them is at fault
                    self._decoded(row[np.newaxis])
            file, place = self._files[self._file_of[rows[0]]], self._offsets[rows[0]]
            raise InputError(
                f"{file} is damaged: the record at byte {place - RECORD_HEAD:,} holds no image of"
                f" shape {self.shape[1:]}"
            ) from error


def _parts(count: int) -> list[NDArray[np.int64]]:
    """Share out rows to threads, at most two sizes of parts."""
    each = min(_MOST, max(_FEWEST, -(-count // _cores())))
    return np.array_split(np.arange(count), -(-count // each)) if count else []


@functools.lru_cache(maxsize=64)
def _decoder(count: int, shape: tuple[int, ...]) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """Return a function from (count,) serialised examples to their images.

    It runs in the thread that calls it. A `tf.function` would wait for a thread of TensorFlow, all
    of which may be waiting for what it decodes. The images are unrolled: a loop in the graph costs
    half as much as decoding small images does.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        examples = tf.compat.v1.placeholder(tf.string, [count])
        features = {"image": tf.io.FixedLenFeature([], tf.string)}
        images = [
            # As `tfds.features.Image` decodes.
            tf.ensure_shape(tf.image.decode_image(image, shape[-1], tf.uint8), shape)
            for image in tf.unstack(tf.io.parse_example(examples, features)["image"])
        ]
        stacked = tf.stack(images)
    in_this_thread = tf.compat.v1.ConfigProto(
        inter_op_parallelism_threads=-1,
        intra_op_parallelism_threads=1,
        use_per_session_threads=True,
        device_count={"GPU": 0},
    )
    session = tf.compat.v1.Session(graph=graph, config=in_this_thread)
    return session.make_callable(stacked, [examples])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_cores(), "tfssvae-decode")


def find_records(files: Sequence[Path], counts: Sequence[int]) -> Records:
    """Return where the records of TFRecord files lie; their data are not read.

    Args:
        files: that are to hold them.
        counts: how many records each is said to have.

    Raises:
        InputError: naming the file that is missing or damaged, has another number of records, or a
            record that claims more bytes than there are.
    """
    found = [_find_records(file, count) for file, count in zip(files, counts, strict=True)]
    return Records(list(files), [offsets for offsets, _ in found], [sizes for _, sizes in found])


def _find_records(path: Path, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offsets, lengths = array("q"), array("q")
    with limits.open_file(path) as file:
        handle = file.fileno()
        end, place = os.fstat(handle).st_size, 0
        while place < end and len(offsets) <= count:
            length = int.from_bytes(os.pread(handle, _LENGTH, place), "little")
            offsets.append(place + RECORD_HEAD)
            place += RECORD_HEAD + length + RECORD_TAIL
            if place > end:
                raise InputError(
                    f"{path} is damaged or cut off: its record {len(lengths)} claims {length:,} "
                    f"bytes, and the file ends after {end:,}"
                )
            lengths.append(length)
    if len(offsets) != count:
        more = "more" if len(offsets) > count else f"{len(offsets):,}"
        raise InputError(f"{path} is damaged: it should have {count:,} records and has {more}")
    return np.array(offsets, np.int64), np.array(lengths, np.int64)


def damaged_file(files: Sequence[Path]) -> Path | None:
    """Return the first of TFRecord files whose checksums do not fit, None where all do."""
    import tensorflow as tf

    for file in files:
        try:
            for _ in tf.data.TFRecordDataset(os.fspath(file)).batch(1024):
                pass
        except tf.errors.OpError:
            return file
    return None
